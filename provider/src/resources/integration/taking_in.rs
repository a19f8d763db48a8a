//! How an integration that exists comes under our hand: by import or by a moved block.

use domain::IntegrationId;
use tfplugin::{
    Attr, Diagnostics,
    resource::{Done, Identity, Import, ImportState, MoveState, Source},
};

use super::{Integration, IntegrationModel};
use crate::resources::{
    identity::{IntegrationIdentity, asked_for, imported, of_known_kind},
    moved,
};

impl Identity for Integration {
    type Identity = IntegrationIdentity;

    fn identity(&self, state: &IntegrationModel) -> IntegrationIdentity {
        let id = state.id.as_deref().and_then(|id| id.parse::<IntegrationId>().ok());
        id.filter(moved::is_found).into()
    }
}

impl ImportState for Integration {
    async fn import(&self, request: Import) -> Result<Done<IntegrationModel>, Diagnostics> {
        let id: IntegrationId = asked_for(&request, "integration", IntegrationIdentity::id)?;
        of_known_kind(&self.shared, &id)?;
        let id = id.to_string();
        let model = IntegrationModel { id: id.clone().into(), ..IntegrationModel::default() };
        Ok(imported(&self.shared, &id, model))
    }
}

impl MoveState for Integration {
    /// Takes over a `vault_approle_auth_backend_role`: Read finds the connection that has it.
    async fn move_state(
        &self,
        source: Source,
    ) -> Result<Option<Done<IntegrationModel>>, Diagnostics> {
        let Some(role) = moved::role(&source, "vault_approle_auth_backend_role", "role_name")?
        else {
            return Ok(None);
        };
        let vendor_id = source.state.get("role_id").and_then(serde_json::Value::as_str);
        Ok(Some(
            IntegrationModel {
                id: Attr::Value(role.to_string()),
                name: Attr::Value(role.key.rsplit(':').next().unwrap_or_default().to_owned()),
                vendor_id: Attr::from(vendor_id.map(str::to_owned)),
                ..IntegrationModel::default()
            }
            .into(),
        ))
    }
}
