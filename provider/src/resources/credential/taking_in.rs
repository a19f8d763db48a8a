//! Slots that exist already: imported by id or identity, or moved here from another provider.

use domain::CredentialId;
use tfplugin::{
    Attr, Diagnostic, Diagnostics, Model,
    resource::{Done, Identity, Import, ImportState, MoveState, Source},
};

use super::{Credential, model::CredentialModel};
use crate::resources::{
    identity::{IntegrationIdentity, asked_for, imported, of_known_kind},
    moved,
};

/// The identity: the slot.
#[derive(Debug, Clone, PartialEq, Model)]
pub(crate) struct CredentialIdentity {
    /// The integration.
    #[tf(flatten)]
    pub integration: IntegrationIdentity,
    /// The slot's name.
    #[tf(required)]
    pub name: Attr<String>,
}

impl Identity for Credential {
    type Identity = CredentialIdentity;

    fn identity(&self, state: &CredentialModel) -> CredentialIdentity {
        let id = state.id.as_deref().and_then(|id| id.parse::<CredentialId>().ok());
        let found = id.filter(|id| moved::is_found(&id.integration));
        let (integration, name) = found.map(|id| (id.integration, id.name)).unzip();
        CredentialIdentity {
            integration: integration.into(),
            name: name.map_or_else(Attr::unknown, Attr::Value),
        }
    }
}

impl ImportState for Credential {
    async fn import(&self, request: Import) -> Result<Done<CredentialModel>, Diagnostics> {
        let id = asked_for(&request, "credential", |one: &CredentialIdentity| {
            Ok(CredentialId {
                integration: one.integration.id()?,
                name: one.name.need("name")?.clone(),
            })
        })?;
        of_known_kind(&self.shared, &id.integration)?;
        let id = id.to_string();
        let model = CredentialModel { id: id.clone().into(), ..CredentialModel::default() };
        Ok(imported(&self.shared, &id, model))
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
                "{:?}: the other provider wrote the secret-id into state in clear, and every stored \
                 version of that state still has it. It is left out from now on.\nNext: deliver it to a \
                 sink, and rotate it by changing a value in triggers.",
                integration.key
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
