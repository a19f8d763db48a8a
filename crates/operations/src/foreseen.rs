//! What a plan can know of a platform's refusal before anything is sent.

use std::collections::BTreeSet;

use connector::{Effect, Freshness, Kind, Obstacle};
use domain::{CredentialId, IntegrationId, Settings};

use crate::{Context, Problem, claim::ClaimStore, observe_integration};

/// The setting of an integration that its connection, as it is set up, cannot take. What cannot be
/// asked now is told by the deed.
pub async fn unfit_setting(
    context: &Context,
    connection: &str,
    kind: &'static Kind,
    settings: &Settings,
) -> Option<Problem> {
    let connector = context.connector(connection).await.ok()?;
    let (field, Obstacle { why, next }) = connector.unfit(kind.name, settings)?;
    let problem = Problem::new("E-NOT-TAKEN", "This setting is not taken through this connection")
        .detail(format!("{}.{field}, through connection {connection:?}: {why}.", kind.name))
        .next(next)
        .at(&[kind.name, field]);
    Some(problem)
}

/// What lives on an integration beside which a credential of this type cannot. `unmanaged_ends`: what
/// is in no slot ends before this one is issued. What cannot be asked now is told by the deed.
pub async fn no_room(
    context: &Context,
    id: &IntegrationId,
    wanted: &str,
    unmanaged_ends: bool,
) -> Option<Problem> {
    let seen = observe_integration(context, id, None, None).await.ok()??;
    let live = seen.observed.credentials.iter().flatten().filter(|one| one.live);
    live.filter(|one| !(unmanaged_ends && seen.unmanaged.contains(&one.key_id))).find_map(|one| {
        no_room_beside(context, id, wanted, &one.credential_type, Some(&one.key_id))
    })
}

/// The same of one credential, which lives under this id or, where it has none, is planned.
pub fn no_room_beside(
    context: &Context,
    id: &IntegrationId,
    wanted: &str,
    there: &str,
    key_id: Option<&str>,
) -> Option<Problem> {
    let platform = context.connections.platform(&id.connection).ok()?;
    let obstacle = platform.in_the_way(&id.kind, wanted, there, key_id)?;
    let problem = Problem::new("E-NO-ROOM", "There is no room for this credential")
        .detail(format!("{id}: {}.", obstacle.why))
        .next(obstacle.next)
        .at(&[wanted]);
    Some(problem)
}

/// That the slots of an integration, with this one, leave no place in which any of them could rotate.
/// `planned`: the names of those that this plan has. It is no error, since one may be on its way out;
/// what cannot be asked now is told when one rotates.
pub async fn crowded(
    context: &Context,
    id: &CredentialId,
    vendor_id: Option<&str>,
    effect: Effect,
    planned: &BTreeSet<String>,
) -> Option<Problem> {
    let most = usize::from(effect.most().filter(|most| *most > 1)?);
    let mut all = planned.clone();
    if let Some(vendor_id) = vendor_id.filter(|_| context.custody.is_some()) {
        let claims = async {
            let tenant = context.tenant(&id.integration.connection).await?;
            ClaimStore::mirrors_of(context, &tenant, vendor_id, Freshness::Shared).await
        };
        let there = claims.await.unwrap_or_default();
        let there = there.iter().filter(|claim| !claim.is_ended());
        all.extend(there.filter_map(|claim| claim.slot_name()).map(str::to_owned));
    }
    all.remove(&id.name);
    if all.is_empty() || all.len() + 1 < most {
        return None;
    }
    let others: Vec<String> = all.iter().map(|name| format!("{name:?}")).collect();
    let problem = Problem::new("E-CROWDED", "Beside this credential none can rotate")
        .detail(format!(
            "{id}: {most} may live at a time, and with {} of the same integration that is all of them: a \
             rotation needs one place more, so neither this one nor those can rotate while all are there.",
            others.join(", ")
        ))
        .next(
            "give this credential an nhi_integration of its own; or, where it takes the place of another, \
             remove that one when nothing uses it any more",
        )
        .at(&["integration"]);
    Some(problem)
}
