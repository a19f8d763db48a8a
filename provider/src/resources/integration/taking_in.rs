//! How an integration that exists comes under our hand: by import or by a moved block.

use domain::IntegrationId;
use tfplugin::{
    Attr, Diagnostic, Diagnostics,
    resource::{By, Done, Identity, Import, ImportState, MoveState, Source},
};

use super::{Integration, IntegrationIdentity, IntegrationModel};
use crate::resources::{
    moved,
    platform_objects::{kind, kinds},
};

impl Identity for Integration {
    type Identity = IntegrationIdentity;

    fn identity(&self, state: &IntegrationModel) -> IntegrationIdentity {
        let id = state.id.as_deref().and_then(|id| id.parse::<IntegrationId>().ok());
        match id.filter(moved::is_found) {
            Some(id) => IntegrationIdentity {
                connection: id.connection.into(),
                kind: id.kind.into(),
                key: id.key.into(),
            },
            None => IntegrationIdentity {
                connection: Attr::unknown(),
                kind: Attr::unknown(),
                key: Attr::unknown(),
            },
        }
    }
}

impl ImportState for Integration {
    async fn import(&self, request: Import) -> Result<Done<IntegrationModel>, Diagnostics> {
        let id = match (&request.by, request.by.identity::<IntegrationIdentity>()?) {
            (By::Id(id), _) => id.parse::<IntegrationId>().map_err(|error| {
                Diagnostic::error(
                    "This is no integration's id",
                    format!("{error}.\nNext: nhi scan prints them.\n(E-ID)"),
                )
            })?,
            (_, Some(identity)) => IntegrationId::new(
                identity.connection.need("connection")?.clone(),
                identity.kind.need("kind")?.clone(),
                identity.key.need("key")?.clone(),
            ),
            (_, None) => {
                return Err(Diagnostic::error(
                    "No id",
                    "Nothing says what to import.\nNext: give an id or an identity.\n(E-ID)",
                )
                .into());
            }
        };
        if kind(&id.kind).is_none() {
            let known: Vec<&str> = kinds().map(|(_, kind)| kind.name).collect();
            return Err(Diagnostic::error(
                "This is no kind of integration",
                format!("{:?}.\nNext: import one of: {}.\n(E-KIND)", id.kind, known.join(", ")),
            )
            .into());
        }
        Ok(IntegrationModel { id: Attr::Value(id.to_string()), ..IntegrationModel::default() }
            .into())
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
