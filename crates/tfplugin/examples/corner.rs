//! A provider of corner cases: every kind of attribute in one resource, to be driven by a real
//! core.

use std::collections::BTreeMap;

use tfplugin::provider::{Configure, Provider, Server};
use tfplugin::resource::{
    By, Create, Delete, Done, Failure, Import, ImportState, Plan, Read, Register, Resource, Update,
};
use tfplugin::serve::{ServeOptions, serve};
use tfplugin::{Attr, Diagnostics, Dynamic, Model, Number, Set, model};

/// An element whose parts are defaulted and computed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Model)]
struct Part {
    /// What it is called.
    #[tf(required)]
    name: Attr<String>,
    /// How it is.
    #[tf(default = "plain")]
    mode: Attr<String>,
    /// Its number.
    #[tf(computed)]
    serial: Attr<i64>,
    /// Words.
    #[tf(optional)]
    words: Attr<Set<String>>,
}

impl Part {
    fn made(mut self) -> Self {
        if self.serial.is_unknown() {
            self.serial = i64::try_from(self.name.text().len()).unwrap_or(0).into();
        }
        self
    }
}

/// Everything at once.
#[derive(Clone, Debug, PartialEq, Model)]
struct CornerModel {
    /// The id.
    #[tf(computed, prefix = "corner/")]
    id: Attr<String>,
    /// The name.
    #[tf(required, replace)]
    name: Attr<String>,
    /// An integer.
    #[tf(optional)]
    integer: Attr<i64>,
    /// A number of any size.
    #[tf(optional)]
    number: Attr<Number>,
    /// Yes or no.
    #[tf(default = true)]
    flag: Attr<bool>,
    /// Anything.
    #[tf(optional)]
    anything: Attr<Dynamic>,
    /// A list of lists.
    #[tf(optional)]
    table: Attr<Vec<Vec<String>>>,
    /// One part.
    #[tf(optional)]
    one: Attr<Part>,
    /// Parts in order.
    #[tf(optional)]
    listed: Attr<Vec<Part>>,
    /// Distinct parts.
    #[tf(optional)]
    distinct: Attr<Set<Part>>,
    /// Parts by key.
    #[tf(optional, computed)]
    keyed: Attr<BTreeMap<String, Part>>,
    /// Only in configuration.
    #[tf(optional, write_only, sensitive)]
    secret: Attr<String>,
    /// Whether a secret was given.
    #[tf(computed, volatile)]
    had_secret: Attr<bool>,
    /// Counts changes.
    #[tf(computed)]
    generation: Attr<i64>,
}

struct Corner;

impl Corner {
    fn made(mut thing: CornerModel, config: &CornerModel) -> CornerModel {
        thing.id = format!("corner/{}", thing.name.text()).into();
        thing.had_secret = config.secret.is_value().into();
        if thing.generation.is_unknown() {
            thing.generation = 1.into();
        }
        thing.one = thing.one.map(Part::made);
        thing.listed = thing.listed.map(|all| all.into_iter().map(Part::made).collect());
        thing.distinct = thing.distinct.map(|all| all.into_iter().map(Part::made).collect());
        if thing.keyed.is_unknown() {
            thing.keyed = Attr::Null;
        }
        thing.keyed =
            thing.keyed.map(|all| all.into_iter().map(|(key, part)| (key, part.made())).collect());
        thing
    }
}

impl Resource for Corner {
    type Model = CornerModel;
    const TYPE_NAME: &'static str = "corner_thing";

    async fn plan(&self, plan: &mut Plan<CornerModel>) {
        if let Some((_, prior, planned)) = plan.updating()
            && (planned.flag != prior.flag || planned.integer != prior.integer)
        {
            planned.generation = (prior.generation.value().copied().unwrap_or(0) + 1).into();
        }
    }

    async fn create(
        &self,
        request: Create<CornerModel>,
    ) -> Result<Done<CornerModel>, Failure<CornerModel>> {
        Ok(Self::made(request.planned, &request.config).into())
    }

    async fn read(
        &self,
        request: Read<CornerModel>,
    ) -> Result<Option<Done<CornerModel>>, Diagnostics> {
        Ok(Some(request.state.into()))
    }

    async fn update(
        &self,
        request: Update<CornerModel>,
    ) -> Result<Done<CornerModel>, Failure<CornerModel>> {
        Ok(Self::made(request.planned, &request.config).into())
    }

    async fn delete(
        &self,
        _request: Delete<CornerModel>,
    ) -> Result<Diagnostics, Failure<CornerModel>> {
        Ok(Diagnostics::new())
    }
}

impl ImportState for Corner {
    async fn import(&self, request: Import) -> Result<Done<CornerModel>, Diagnostics> {
        let mut thing: CornerModel = model::empty()?;
        if let By::Id(id) = request.by {
            thing.id = format!("corner/{id}").into();
            thing.name = id.into();
        }
        Ok(thing.into())
    }
}

struct CornerProvider;

impl Provider for CornerProvider {
    type Model = ();
    const NAME: &'static str = "corner";

    async fn configure(&self, _config: (), _request: Configure) -> Diagnostics {
        Diagnostics::new()
    }
}

fn main() -> std::process::ExitCode {
    let server = Server::new(CornerProvider).resource(Corner.with_import());
    let options = ServeOptions {
        address: "registry.terraform.io/acme/corner",
        version: env!("CARGO_PKG_VERSION"),
    };
    serve(server, options)
}
