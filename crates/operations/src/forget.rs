//! Taking out of the ledger what is gone for good and nobody can destroy any more.

use connector::Want;
use domain::IntegrationId;
use ledger::{Change, Selection};

use crate::{Context, Problem, observe::object_of};

/// Writes down that an integration is declared no longer, although no destroy of it was seen: it left
/// the state because it was gone, or its resource was removed without one. Nothing outside is
/// changed. What its platform still shows is refused; what it does not tell of takes `unread`, the
/// word of whoever knows.
///
/// # Errors
///
/// It is not declared, is still there, or cannot be looked at.
pub async fn forget(
    context: &Context,
    id: &str,
    reason: &str,
    unread: bool,
) -> Result<(), Problem> {
    context.may_change()?;
    let declared = context.ledger.integrations(&Selection::declared()).await?;
    let known = declared.iter().any(|row| row.id == id && row.declared.is_some());
    let (true, Ok(integration)) = (known, id.parse::<IntegrationId>()) else {
        return Err(Problem::new("E-FORGET-UNKNOWN", "The ledger declares no such integration")
            .detail(format!(
                "{id:?} is no integration that is declared now in {}.",
                context.ledger.place()
            ))
            .next("copy the id from what nhi drift lists"));
    };
    let connector = context.connector(&integration.connection).await?;
    match connector.read(&object_of(&integration, None, None), Want::LEAN).await {
        Ok(None) => {}
        Ok(Some(_)) => {
            return Err(Problem::new("E-FORGET-THERE", "This integration is still there")
                .detail(format!(
                    "{id}: its platform shows it. Forgotten, it would go on working and nothing would \
                     compare it."
                ))
                .next("end it: remove its resource from the configuration, and apply"));
        }
        Err(_) if unread => {}
        Err(error) => {
            return Err(Problem::new("E-FORGET-UNREAD", "Whether it is gone is not known")
                .detail(format!("{id}: {error}."))
                .next(format!(
                    "find out whether it is there; if you know that it is gone for good: nhi ledger \
                     forget '{id}' --reason '{}' --unread",
                    reason.replace('\'', "'\\''")
                )));
        }
    }
    let entry = context.entry("integration.forgotten", id).detail("reason", reason);
    let entry = entry.change(Change::Ended { integration: id.to_owned() });
    context.journal(entry).await
}
