//! Whether a connection answers, and takes what we sign in with: the cheapest calls, before any other.

use connector::Refusal;

use crate::{Context, Problem};

/// The code of a connection that does not let us in.
pub(crate) const UNAUTHORIZED: &str = "E-UNAUTHORIZED";

/// Asks a connection who it is, and whether it lets us in.
///
/// # Errors
///
/// It does not answer, or it does not let us in: `E-UNAUTHORIZED`.
pub async fn whoami(context: &Context, connection: &str) -> Result<(), Problem> {
    let connector = context.connector(connection).await?;
    let asked = match connector.tenant().await {
        Ok(_) => connector.check_credential().await,
        Err(error) => Err(error),
    };
    let Err(error) = asked else { return Ok(()) };
    match error.refusal() {
        Some(Refusal::Unauthorized | Refusal::Forbidden) => {
            Err(Problem::new(UNAUTHORIZED, "A connection does not let us in")
                .detail(format!(
                    "Connection {connection:?}: {error}. Nothing else was asked of it, and nothing of it is \
                     called gone."
                ))
                .next(format!(
                    "renew our own credential of it, or what that may do, until nhi doctor {connection} is \
                     content"
                )))
        }
        _ => Err(Problem::unreadable(connection, &error)),
    }
}
