//! Slots that exist already: imported by id or identity, or moved here from another provider.

use domain::{CredentialId, IntegrationId};
use tfplugin::{
    Attr, Diagnostic, Diagnostics, Model,
    resource::{By, Done, Identity, Import, ImportState, MoveState, Source},
};

use super::{Credential, model::CredentialModel};
use crate::resources::moved;

/// The identity: the slot.
#[derive(Debug, Clone, PartialEq, Model)]
pub(crate) struct CredentialIdentity {
    /// The connection's name.
    #[tf(required)]
    pub connection: Attr<String>,
    /// The platform object's name.
    #[tf(required)]
    pub kind: Attr<String>,
    /// The vendor's key.
    #[tf(required)]
    pub key: Attr<String>,
    /// The slot's name.
    #[tf(required)]
    pub name: Attr<String>,
}

impl Identity for Credential {
    type Identity = CredentialIdentity;

    fn identity(&self, state: &CredentialModel) -> CredentialIdentity {
        let id = state.id.as_deref().and_then(|id| id.parse::<CredentialId>().ok());
        match id.filter(|id| moved::is_found(&id.integration)) {
            Some(CredentialId { integration, name }) => CredentialIdentity {
                connection: integration.connection.into(),
                kind: integration.kind.into(),
                key: integration.key.into(),
                name: name.into(),
            },
            None => CredentialIdentity {
                connection: Attr::unknown(),
                kind: Attr::unknown(),
                key: Attr::unknown(),
                name: Attr::unknown(),
            },
        }
    }
}

impl ImportState for Credential {
    async fn import(&self, request: Import) -> Result<Done<CredentialModel>, Diagnostics> {
        let id = match (&request.by, request.by.identity::<CredentialIdentity>()?) {
            (By::Id(id), _) => id.parse::<CredentialId>().map_err(|error| {
                Diagnostic::error(
                    "This is no credential's id",
                    format!("{error}.\nNext: nhi scan prints them.\n(E-ID)"),
                )
            })?,
            (_, Some(identity)) => CredentialId {
                integration: IntegrationId::new(
                    identity.connection.need("connection")?.clone(),
                    identity.kind.need("kind")?.clone(),
                    identity.key.need("key")?.clone(),
                ),
                name: identity.name.need("name")?.clone(),
            },
            (_, None) => {
                return Err(Diagnostic::error(
                    "No id",
                    "Nothing says what to import.\nNext: give an id or an identity.\n(E-ID)",
                )
                .into());
            }
        };
        Ok(CredentialModel { id: Attr::Value(id.to_string()), ..CredentialModel::default() }.into())
    }
}

impl MoveState for Credential {
    /// Takes over a `vault_approle_auth_backend_role_secret_id`. The secret in its state is left
    /// behind: it never was a secret any more.
    async fn move_state(
        &self,
        source: Source,
    ) -> Result<Option<Done<CredentialModel>>, Diagnostics> {
        let type_name = "vault_approle_auth_backend_role_secret_id";
        let Some(integration) = moved::role(&source, type_name, "role_name")? else {
            return Ok(None);
        };
        let Some(accessor) = source.state.get("accessor").and_then(serde_json::Value::as_str)
        else {
            return Err(Diagnostic::error(
                "The state of the source has no accessor",
                "A secret-id is known by its accessor.\nNext: remove the moved block and make a new nhi_credential.\n(E-MOVED)",
            )
            .into());
        };
        let mut told = Diagnostics::new();
        told.warning(
            "The secret stands in old versions of this state",
            format!(
                "{integration}: the other provider wrote the secret-id into state in clear, and every \
                 stored version of that state still has it. It is left out from now on.\nNext: deliver \
                 it to a sink, and rotate it by changing a value in triggers."
            ),
        );
        let id = CredentialId { integration, name: "default".to_owned() };
        let model = CredentialModel {
            id: Attr::Value(id.to_string()),
            key_id: Attr::Value(accessor.to_owned()),
            secret_held: Attr::Value(false),
            ..CredentialModel::default()
        };
        Ok(Some(Done::new(model).tell(told)))
    }
}
