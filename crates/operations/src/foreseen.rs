//! What a plan can know of a platform's refusal before anything is sent.

use connector::{Kind, Obstacle};
use domain::{IntegrationId, Settings};

use crate::{Context, Problem, observe_integration};

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
