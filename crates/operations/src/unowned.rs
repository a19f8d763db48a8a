//! What is at a platform, is declared by nobody, and has nobody who answers for it.

use std::collections::BTreeSet;

use domain::IntegrationId;

use crate::{Context, Problem, take_inventory};

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Nobodys {
    pub(crate) id: IntegrationId,
    pub(crate) vendor_id: String,
    pub(crate) name: String,
}

/// Those of one connection. What bears a record is somebody's, whoever governs it; what its vendor built in,
/// and as what nhi itself signs in, is no integration of nobody.
///
/// With it whether all could be listed: of what was not, nothing is known.
///
/// # Errors
///
/// Nothing could be.
pub(crate) async fn nobodys(
    context: &Context,
    connection: &str,
    declared: &BTreeSet<String>,
) -> Result<(Vec<Nobodys>, bool), Problem> {
    let seen = take_inventory(context, &[connection.to_owned()]).await?;
    if let Some(problem) = seen.unreadable.get(connection) {
        return Err(problem.clone());
    }
    let Some(observation) = seen.observations.get(connection) else {
        return Ok((Vec::new(), false));
    };
    let all = observation.integrations.iter().filter(|one| {
        let ours = seen.ourselves_as(connection, one).is_some();
        one.record.is_none() && !one.builtin && !ours && one.gaps.is_empty()
    });
    let found = all.map(|one| Nobodys {
        id: IntegrationId::new(connection, &one.kind, &one.key),
        vendor_id: one.vendor_id.clone(),
        name: one.name.clone(),
    });
    let found = found.filter(|one| !declared.contains(&one.id.to_string())).collect();
    Ok((found, observation.is_complete()))
}
