//! Objects of other providers that are moved here, by their state alone: nothing is configured yet
//! when a core asks.

use domain::IntegrationId;
use operations::UNKNOWN_CONNECTION;
use serde_json::Value;
use tfplugin::{Diagnostic, Diagnostics, resource::Source};

/// The AppRole role that a resource of the Vault provider is about; `None` where the source is
/// another type or another provider.
///
/// # Errors
///
/// It is one that cannot be taken over, with the way that remains.
pub(crate) fn role(
    source: &Source,
    type_name: &str,
    name: &str,
) -> Result<Option<IntegrationId>, Diagnostics> {
    let theirs = source.type_name == type_name && source.provider_address.ends_with("/vault");
    if !theirs {
        return Ok(None);
    }
    let text = |name: &str| source.state.get(name).and_then(Value::as_str).unwrap_or_default();
    let (mount, key) = (text("backend"), text(name));
    if key.is_empty() {
        return Err(Diagnostic::error(
            "The state of the source has no role",
            format!(
                "{type_name}: {name} is empty.\nNext: import it by its id; nhi scan prints them.\n(E-MOVED)"
            ),
        )
        .into());
    }
    // A role on another mount than the usual one is known by both.
    let key = match mount.trim_matches('/') {
        "" | "approle" => key.to_owned(),
        mount => format!("{mount}:{key}"),
    };
    Ok(Some(IntegrationId::new(UNKNOWN_CONNECTION, "openbao_approle", key)))
}

/// Whether it is known where the object is. An identity is for all time, so there is none before:
/// the first Read finds the connection, and the identity with it.
pub(crate) fn is_found(id: &IntegrationId) -> bool {
    id.connection != UNKNOWN_CONNECTION
}
