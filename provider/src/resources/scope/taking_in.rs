//! How the scopes of an integration that exists come under our hand.

use domain::{IntegrationId, ScopeId};
use tfplugin::{
    Attr, Diagnostic, Diagnostics,
    resource::{By, Done, Identity, Import, ImportState},
};

use super::{Scope, ScopeIdentity, ScopeModel};

impl Identity for Scope {
    type Identity = ScopeIdentity;

    fn identity(&self, state: &ScopeModel) -> ScopeIdentity {
        match state.id.as_deref().and_then(|id| id.parse::<ScopeId>().ok()) {
            Some(ScopeId(id)) => ScopeIdentity {
                connection: id.connection.into(),
                kind: id.kind.into(),
                key: id.key.into(),
            },
            None => ScopeIdentity {
                connection: Attr::unknown(),
                kind: Attr::unknown(),
                key: Attr::unknown(),
            },
        }
    }
}

impl ImportState for Scope {
    async fn import(&self, request: Import) -> Result<Done<ScopeModel>, Diagnostics> {
        let id = match (&request.by, request.by.identity::<ScopeIdentity>()?) {
            (By::Id(id), _) => id.parse::<ScopeId>().map_err(|error| {
                Diagnostic::error(
                    "This is no scope's id",
                    format!("{error}.\nNext: nhi scan prints them.\n(E-ID)"),
                )
            })?,
            (_, Some(identity)) => ScopeId(IntegrationId::new(
                identity.connection.need("connection")?.clone(),
                identity.kind.need("kind")?.clone(),
                identity.key.need("key")?.clone(),
            )),
            (_, None) => {
                return Err(Diagnostic::error(
                    "No id",
                    "Nothing says what to import.\nNext: give an id or an identity.\n(E-ID)",
                )
                .into());
            }
        };
        Ok(ScopeModel { id: Attr::Value(id.to_string()), ..ScopeModel::default() }.into())
    }
}
