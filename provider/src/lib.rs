//! The Terraform provider: what people write in HCL.
//!
//! One file or folder a resource. A resource reads through `operations`, judges through `policy`, and says in
//! Terraform's words what that means; it decides nothing about platforms itself.

#![warn(clippy::disallowed_methods)]

mod diagnostics;
mod provider;
mod resources;
pub mod review;
mod rules;
mod shared;
mod values;

mod data_sources;
mod ephemerals;
mod functions;

use tfplugin::{provider::Server, resource::Register};

pub use self::provider::Nhi;
use self::review::Guarded;

/// The version of this provider.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The provider as a core starts it: its block, or `nhi.hcl`, says what it acts on.
pub fn provider() -> Server<Nhi> {
    let shared = shared::Shared::default();
    parts(Nhi::new(shared.clone()), shared)
}

/// The provider over what it is to act on, whatever the block says: for tests that bring a
/// platform, sinks and a clock of their own. No program that is released is made so.
pub fn provider_over(context: operations::Context) -> Server<Nhi> {
    let shared = shared::Shared::default();
    shared.configure(Ok(context));
    parts(Nhi::ready(shared.clone()), shared)
}

/// All its parts. Adding a resource is its file and a line here.
fn parts(nhi: Nhi, shared: shared::Shared) -> Server<Nhi> {
    let owner = resources::owner::Owner::new(shared.clone()).with_import().with_identity();
    let integration = resources::integration::Integration::new(shared.clone())
        .with_import()
        .with_identity()
        .with_move();
    let scope = resources::scope::Scope::new(shared.clone()).with_import().with_identity();
    let schedule = resources::rotation_schedule::RotationSchedule::new(shared.clone()).with_move();
    let credential = resources::credential::Credential::new(shared.clone())
        .with_import()
        .with_identity()
        .with_move();
    Server::new(nhi)
        .resource(Guarded::new(owner, &shared))
        .resource(Guarded::new(integration, &shared))
        .resource(Guarded::new(scope, &shared))
        .resource(Guarded::new(schedule, &shared))
        .resource(Guarded::new(credential, &shared))
        .data_source(data_sources::findings::Findings::new(shared.clone()))
        .data_source(data_sources::integrations::Integrations::new(shared.clone()))
        .ephemeral(ephemerals::access_token::AccessToken::new(shared.clone()))
        .ephemeral(ephemerals::credential_secret::CredentialSecret::new(shared))
        .function(functions::next_rotation::NextRotation)
        .function(functions::scope_diff::ScopeDiff)
}

#[cfg(test)]
mod tests {
    use tfplugin::{Attribute, Kind, erased::AnyProvider};

    #[test]
    fn cores_accept_the_schemas() {
        let faults = super::provider().faults();
        assert!(faults.is_empty(), "{faults:?}");
    }

    #[test]
    fn no_schema_has_a_place_for_a_secret() {
        fn check(place: &str, attributes: &[Attribute]) {
            for attribute in attributes {
                let name = format!("{place}.{}", attribute.name);
                assert!(
                    !attribute.sensitive || !attribute.computed,
                    "{name} is sensitive and stored"
                );
                let telling = ["secret", "password", "token", "private_key", "api_key"];
                let bare = telling.contains(&attribute.name.as_str());
                let nested = matches!(attribute.kind, Kind::Nested { .. });
                assert!(!bare || nested, "{name} looks like a secret");
                if let Kind::Nested { attributes, .. } = &attribute.kind {
                    check(&name, attributes);
                }
            }
        }
        let provider = super::provider();
        for (name, resource) in provider.resources() {
            check(name, &resource.schema().attributes);
        }
        for (name, source) in provider.data_sources() {
            check(name, &source.schema().attributes);
        }
    }
}
