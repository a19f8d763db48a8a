//! What we sign in with ourselves. To end it would lock this run and every later one out.

use connector::Ourselves;
use domain::IntegrationId;

use crate::{Context, Problem};

/// As which of its integrations a connection signs in; `None` where it is none of them.
///
/// # Errors
///
/// It could not be asked.
pub async fn ourselves(context: &Context, connection: &str) -> Result<Option<Ourselves>, Problem> {
    let connector = context.connector(connection).await?;
    connector.ourselves().await.map_err(|error| Problem::unreadable(connection, &error))
}

/// The same where it is this integration.
pub(crate) async fn ourselves_as(
    context: &Context,
    id: &IntegrationId,
) -> Result<Option<Ourselves>, Problem> {
    let found = ourselves(context, &id.connection).await?;
    Ok(found.filter(|found| found.is(&id.kind, &id.key)))
}

/// That an integration may be ended or switched off: it is not the one that we sign in as.
///
/// # Errors
///
/// `E-OURSELVES`, or it could not be asked.
pub async fn not_ourselves(context: &Context, id: &IntegrationId) -> Result<(), Problem> {
    match ourselves_as(context, id).await? {
        None => Ok(()),
        Some(_) => Err(Problem::new("E-OURSELVES", "nhi itself signs in as this integration")
            .detail(format!(
                "Connection {:?} signs in as {id}: without it no run would come in any more, this one \
                 included.",
                id.connection
            ))
            .next(format!(
                "give connections.{} a credential of another one first; or, if it is not to be \
                 managed here, replace its resource by a removed block with lifecycle {{ destroy = false \
                 }}",
                id.connection
            ))),
    }
}

/// That a credential may be ended or given to a slot: it is not the one that we sign in with.
///
/// # Errors
///
/// `E-OURSELVES`, or it could not be asked.
pub(crate) async fn not_our_key(
    context: &Context,
    id: &IntegrationId,
    key_id: &str,
) -> Result<(), Problem> {
    match ourselves_as(context, id).await?.filter(|found| found.may_be(key_id)) {
        None => Ok(()),
        Some(found) => {
            let is = match found.key_id {
                Some(_) => "is the one",
                None => "may be the one, for its platform does not tell which of them is,",
            };
            Err(Problem::new("E-OURSELVES", "nhi itself signs in with this credential")
                .detail(format!(
                    "{id}: {key_id} {is} that connection {:?} signs in with. It was left alone.",
                    id.connection
                ))
                .next(format!(
                    "give connections.{} another credential first, and apply again",
                    id.connection
                )))
        }
    }
}
