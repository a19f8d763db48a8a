//! Asking a directory whether an owner is still there.

use policy::owner::Seen;

use crate::{Context, Problem};

/// Looks an owner up.
///
/// # Errors
///
/// The directory could not be read. That is no reason to think that somebody left.
pub async fn look_up_owner(
    context: &Context,
    connection: &str,
    id: &str,
) -> Result<(Seen, Option<connector::Member>), Problem> {
    let directory = context.directory(connection).await?;
    let member = directory
        .member(id)
        .await
        .map_err(|error| Problem::unreadable(&format!("{connection}/{id}"), &error))?;
    let seen = match &member {
        None => Seen::Gone,
        Some(member) => Seen::There {
            active: member.active,
            department: member.department.clone(),
            changed_at: member.changed_at,
        },
    };
    Ok((seen, member))
}
