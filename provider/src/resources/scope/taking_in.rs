//! How the scopes of an integration that exists come under our hand.

use domain::ScopeId;
use tfplugin::{
    Diagnostics,
    resource::{Done, Identity, Import, ImportState},
};

use super::{Scope, ScopeModel};
use crate::resources::identity::{IntegrationIdentity, asked_for, imported, of_known_kind};

impl Identity for Scope {
    type Identity = IntegrationIdentity;

    fn identity(&self, state: &ScopeModel) -> IntegrationIdentity {
        state.id.as_deref().and_then(|id| id.parse().ok()).map(|ScopeId(id)| id).into()
    }
}

impl ImportState for Scope {
    async fn import(&self, request: Import) -> Result<Done<ScopeModel>, Diagnostics> {
        let id = asked_for(&request, "scope", |one: &IntegrationIdentity| Ok(ScopeId(one.id()?)))?;
        of_known_kind(&self.shared, &id.0)?;
        let id = id.to_string();
        let model = ScopeModel { id: id.clone().into(), ..ScopeModel::default() };
        Ok(imported(&self.shared, &id, model))
    }
}
