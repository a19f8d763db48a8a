//! A sample provider: the README's, served.

use std::collections::BTreeMap;

use tfplugin::provider::{Configure, Provider, Server};
use tfplugin::resource::{
    By, Create, Delete, Done, Failure, Identity, Import, ImportState, Plan, Read, Register,
    Resource, Update,
};
use tfplugin::erased::Call;
use tfplugin::serve::{ServeOptions, serve};
use tfplugin::{Attr, Diagnostic, Diagnostics, Model, Set};

/// A person or team that answers for things.
#[derive(Clone, Debug, PartialEq, Model)]
struct OwnerModel {
    /// The id, `owner/<name>`.
    #[tf(computed, prefix = "owner/")]
    id: Attr<String>,
    /// The name; another name is another owner.
    #[tf(required, replace, validate = a_name)]
    name: Attr<String>,
    /// `person`, `team` or `vendor`.
    #[tf(default = "team")]
    kind: Attr<String>,
    /// Where the directory knows it.
    #[tf(optional)]
    directory: Attr<Directory>,
    /// Free words.
    #[tf(optional)]
    labels: Attr<BTreeMap<String, String>>,
    /// Who may speak for it.
    #[tf(optional)]
    deputies: Attr<Set<String>>,
    /// What the directory says.
    #[tf(computed, not_null)]
    status: Attr<String>,
}

/// A place in a directory.
#[derive(Clone, Debug, PartialEq, Model)]
struct Directory {
    /// The connection.
    #[tf(required)]
    connection: Attr<String>,
    /// The id there.
    #[tf(required)]
    id: Attr<String>,
}

#[derive(Clone, Debug, PartialEq, Model)]
struct OwnerIdentity {
    /// The name.
    #[tf(required)]
    name: Attr<String>,
}

fn a_name(name: &String) -> Result<(), String> {
    if name.is_empty() { Err("say a name".to_owned()) } else { Ok(()) }
}

struct Owner;

impl Resource for Owner {
    type Model = OwnerModel;
    const TYPE_NAME: &'static str = "sample_owner";

    // Beyond the attributes' own rules; unknown values pass.
    async fn validate(&self, config: &OwnerModel, _call: &Call) -> Diagnostics {
        let mut diagnostics = Diagnostics::new();
        if config.kind == "person" && config.directory.is_null() {
            diagnostics.warning_at("directory", "Person without directory", "Bind a directory id.");
        }
        diagnostics
    }

    // The engine has applied defaults, kept computed values and marked new ones unknown.
    async fn plan(&self, plan: &mut Plan<OwnerModel>) {
        if let Some((_config, prior, planned)) = plan.updating() {
            if planned.directory != prior.directory {
                planned.status = Attr::unknown_not_null();
            }
        }
    }

    async fn create(&self, request: Create<OwnerModel>) -> Result<Done<OwnerModel>, Failure<OwnerModel>> {
        let mut owner = request.planned;
        let name = owner.name.need("name")?; // `?` on a diagnostic: failed, nothing exists
        owner.id = Attr::Value(format!("owner/{name}"));
        owner.status = "unchecked".into();
        Ok(owner.into()) // or Done::new(owner).private(bytes).tell([warning])
    }

    async fn read(&self, request: Read<OwnerModel>) -> Result<Option<Done<OwnerModel>>, Diagnostics> {
        Ok(Some(request.state.into())) // None: proven gone
    }

    async fn update(&self, request: Update<OwnerModel>) -> Result<Done<OwnerModel>, Failure<OwnerModel>> {
        let mut owner = request.planned;
        if owner.status.is_unknown() {
            owner.status = "unchecked".into();
        }
        if owner.kind == "vendor" {
            // The prior object stays in state; Failure::keeping(partly, error) stores partial truth.
            return Err(Diagnostic::error("Vendors cannot change", "Make a new owner.").at("kind").into());
        }
        Ok(owner.into())
    }

    async fn delete(&self, _request: Delete<OwnerModel>) -> Result<Diagnostics, Failure<OwnerModel>> {
        Ok(Diagnostics::new()) // warnings
    }
}

impl Identity for Owner {
    type Identity = OwnerIdentity;

    fn identity(&self, state: &OwnerModel) -> OwnerIdentity {
        OwnerIdentity { name: state.name.clone() }
    }
}

impl ImportState for Owner {
    async fn import(&self, request: Import) -> Result<Done<OwnerModel>, Diagnostics> {
        let name = match (&request.by, request.by.identity::<OwnerIdentity>()?) {
            (By::Id(id), _) => id.strip_prefix("owner/").unwrap_or(id).to_owned(),
            (_, Some(identity)) => identity.name.need("name")?.clone(),
            (_, None) => return Err(Diagnostic::error("No id", "Give one.").into()),
        };
        Ok(OwnerModel {
            id: Attr::Value(format!("owner/{name}")),
            name: name.into(),
            kind: "team".into(),
            directory: Attr::Null,
            labels: Attr::Null,
            deputies: Attr::Null,
            status: Attr::Null,
        }
        .into())
    }
}

/// The sample provider.
#[derive(Clone, Debug, Model)]
struct SampleModel {
    /// Where the server is.
    #[tf(optional)]
    address: Attr<String>,
}

struct Sample;

impl Provider for Sample {
    type Model = SampleModel;
    const NAME: &'static str = "sample";

    async fn configure(&self, _config: SampleModel, _request: Configure) -> Diagnostics {
        Diagnostics::new()
    }
}

fn main() -> std::process::ExitCode {
    let server = Server::new(Sample).resource(Owner.with_import().with_identity());
    let options = ServeOptions {
        address: "registry.terraform.io/acme/sample",
        version: env!("CARGO_PKG_VERSION"),
        redact: None,
    };
    serve(server, options)
}
