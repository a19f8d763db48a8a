//! A provider that breaks the laws on purpose: one resource a law, lawful but for that one breach.
//!
//! The parts are the SDK's own with their answers spoiled after the engine checked them, for the
//! engine itself would tell the breach instead. Tests see that cores refuse each of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value as Json;
use tfplugin::data_source::{DataSource, Found};
use tfplugin::erased::{
    AnyAction, AnyDataSource, AnyEphemeral, AnyFunction, AnyList, AnyProvider, AnyResource,
    ApplyRequest, ApplyResponse, BoxFuture, Call, ConfigureRequest, DataRequest, DataResponse,
    ImportRequest, ImportResponse, MoveRequest, MoveResponse, PlanRequest, PlanResponse,
    ReadRequest, ReadResponse, StateResponse,
};
use tfplugin::laws::Law;
use tfplugin::provider::{Configure, Provider, Server};
use tfplugin::resource::{
    Create, Delete, Done, Failure, Identity, Import, ImportState, Read, Register, Resource, Update,
};
use tfplugin::serve::{ServeOptions, serve};
use tfplugin::{Attr, Diagnostics, Model, Path, Schema, Value};

/// A thing without faults.
#[derive(Clone, Debug, Model)]
struct ThingModel {
    /// The id.
    #[tf(computed, prefix = "thing/")]
    id: Attr<String>,
    /// The name.
    #[tf(required)]
    name: Attr<String>,
    /// A note.
    #[tf(optional)]
    note: Attr<String>,
    /// A secret.
    #[tf(optional, write_only)]
    secret: Attr<String>,
    /// Its parts.
    #[tf(optional)]
    parts: Attr<Vec<PartModel>>,
}

/// A part.
#[derive(Clone, Debug, Model)]
struct PartModel {
    /// What it is.
    #[tf(required)]
    text: Attr<String>,
}

/// What tells things apart.
#[derive(Clone, Debug, Model)]
struct ThingIdentity {
    /// The name.
    #[tf(required)]
    name: Attr<String>,
}

struct Thing;

fn made(mut thing: ThingModel) -> ThingModel {
    thing.id = Attr::Value(format!("thing/{}", thing.name.text()));
    thing
}

impl Resource for Thing {
    type Model = ThingModel;
    const TYPE_NAME: &'static str = "wrong_thing";

    async fn create(
        &self,
        request: Create<ThingModel>,
    ) -> Result<Done<ThingModel>, Failure<ThingModel>> {
        Ok(made(request.planned).into())
    }

    async fn read(
        &self,
        request: Read<ThingModel>,
    ) -> Result<Option<Done<ThingModel>>, Diagnostics> {
        Ok(Some(request.state.into()))
    }

    async fn update(
        &self,
        request: Update<ThingModel>,
    ) -> Result<Done<ThingModel>, Failure<ThingModel>> {
        Ok(made(request.planned).into())
    }

    async fn delete(
        &self,
        _request: Delete<ThingModel>,
    ) -> Result<Diagnostics, Failure<ThingModel>> {
        Ok(Diagnostics::new())
    }
}

impl Identity for Thing {
    type Identity = ThingIdentity;

    fn identity(&self, state: &ThingModel) -> ThingIdentity {
        ThingIdentity { name: state.name.clone() }
    }
}

impl ImportState for Thing {
    async fn import(&self, _request: Import) -> Result<Done<ThingModel>, Diagnostics> {
        Ok(made(ThingModel {
            id: Attr::Null,
            name: "imported".into(),
            note: Attr::Null,
            secret: Attr::Null,
            parts: Attr::Null,
        })
        .into())
    }
}

/// Names.
#[derive(Clone, Debug, Model)]
struct NamesModel {
    /// Which.
    #[tf(optional)]
    prefix: Attr<String>,
}

struct Names;

impl DataSource for Names {
    type Model = NamesModel;
    const TYPE_NAME: &'static str = "wrong_names";

    async fn read(
        &self,
        config: NamesModel,
        _call: &Call,
    ) -> Result<Found<NamesModel>, Diagnostics> {
        Ok(config.into())
    }
}

/// Nothing.
#[derive(Clone, Debug, Model)]
struct NothingModel {}

struct Base;

impl Provider for Base {
    type Model = NothingModel;
    const NAME: &'static str = "wrong";

    async fn configure(&self, _config: NothingModel, _request: Configure) -> Diagnostics {
        Diagnostics::new()
    }
}

/// A thing that breaks one law.
struct Broken {
    name: String,
    law: Law,
    inner: Arc<dyn AnyResource>,
}

fn set(object: &mut Value, name: &str, value: Value) {
    if let Some(object) = object.as_object_mut() {
        object.insert(name.to_owned(), value);
    }
}

impl AnyResource for Broken {
    fn type_name(&self) -> &str {
        &self.name
    }

    fn schema(&self) -> &Schema {
        self.inner.schema()
    }

    fn identity_schema(&self) -> Option<&Schema> {
        self.inner.identity_schema()
    }

    fn can_import(&self) -> bool {
        true
    }

    fn can_move(&self) -> bool {
        false
    }

    fn validate<'a>(&'a self, config: Value, call: Call) -> BoxFuture<'a, Diagnostics> {
        self.inner.validate(config, call)
    }

    fn plan<'a>(&'a self, request: PlanRequest) -> BoxFuture<'a, PlanResponse> {
        Box::pin(async move {
            let config = request.config.clone();
            let (is_update, is_destroy) = (!request.prior.is_null(), request.proposed.is_null());
            let mut answer = self.inner.plan(request).await;
            let planned = &mut answer.planned;
            match self.law {
                _ if is_destroy => {}
                Law::FitsSchema => set(planned, "note", Value::int(7)),
                Law::PlanKeepsConfig => set(planned, "name", Value::string("another")),
                Law::PlanInventsNothing => set(planned, "note", Value::string("invented")),
                Law::PlanKeepsNested => set(planned, "parts", Value::List(Vec::new())),
                Law::PlanKeepsExistence => *planned = Value::Null,
                Law::ReplacePathExists if is_update => {
                    answer.requires_replace = vec![Path::attribute("nowhere")];
                }
                Law::FinalPlanKeepsPlan => {
                    let now = std::time::SystemTime::now();
                    let since = now.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
                    set(planned, "id", Value::string(format!("thing/{}", since.as_nanos())));
                }
                Law::WriteOnlyIsNull => {
                    let secret = config.as_object().and_then(|config| config.get("secret"));
                    set(planned, "secret", secret.cloned().unwrap_or(Value::Null));
                }
                Law::QuietWhenNothingChanged if is_update => {
                    set(planned, "id", Value::unknown());
                }
                _ => {}
            }
            answer
        })
    }

    fn apply<'a>(&'a self, request: ApplyRequest) -> BoxFuture<'a, ApplyResponse> {
        Box::pin(async move {
            let is_delete = request.planned.is_null();
            let planned_id =
                request.planned.as_object().and_then(|object| object.get("id")).cloned();
            let mut answer = self.inner.apply(request).await;
            match self.law {
                _ if is_delete => {}
                Law::ApplyKeepsPlan => set(&mut answer.state, "note", Value::string("changed")),
                Law::ApplyKeepsPromise => set(&mut answer.state, "id", Value::string("wrong/id")),
                Law::StateIsKnown => set(&mut answer.state, "id", Value::unknown()),
                Law::ApplyKeepsExistence => answer.state = Value::Null,
                Law::IdentityIsKnown => {
                    answer.identity = Some(Value::object([("name", Value::unknown())]));
                }
                // Lawful where the plan said which.
                Law::FinalPlanKeepsPlan => {
                    set(&mut answer.state, "id", planned_id.unwrap_or(Value::Null));
                }
                _ => {}
            }
            answer
        })
    }

    fn read<'a>(&'a self, request: ReadRequest) -> BoxFuture<'a, ReadResponse> {
        Box::pin(async move {
            let mut answer = self.inner.read(request).await;
            if self.law == Law::IdentityIsStable {
                answer.identity = Some(Value::object([("name", Value::string("another"))]));
            }
            answer
        })
    }

    fn import<'a>(&'a self, request: ImportRequest) -> BoxFuture<'a, ImportResponse> {
        Box::pin(async move {
            let mut answer = self.inner.import(request).await;
            if self.law == Law::ImportFinds {
                answer.state = Value::Null;
            }
            answer
        })
    }

    fn upgrade<'a>(
        &'a self,
        version: i64,
        state: Json,
        call: Call,
    ) -> BoxFuture<'a, StateResponse> {
        self.inner.upgrade(version, state, call)
    }

    fn upgrade_identity<'a>(
        &'a self,
        version: i64,
        identity: Json,
        call: Call,
    ) -> BoxFuture<'a, StateResponse> {
        self.inner.upgrade_identity(version, identity, call)
    }

    fn move_state<'a>(&'a self, request: MoveRequest) -> BoxFuture<'a, MoveResponse> {
        self.inner.move_state(request)
    }

    fn generate_config(&self, state: Value) -> StateResponse {
        self.inner.generate_config(state)
    }
}

/// A data source that forgets what it was asked.
struct Forgetful(Arc<dyn AnyDataSource>);

impl AnyDataSource for Forgetful {
    fn type_name(&self) -> &str {
        self.0.type_name()
    }

    fn schema(&self) -> &Schema {
        self.0.schema()
    }

    fn validate<'a>(&'a self, config: Value, call: Call) -> BoxFuture<'a, Diagnostics> {
        self.0.validate(config, call)
    }

    fn read<'a>(&'a self, request: DataRequest) -> BoxFuture<'a, DataResponse> {
        Box::pin(async move {
            let mut answer = self.0.read(request).await;
            set(&mut answer.state, "prefix", Value::string("another"));
            answer
        })
    }
}

struct Wrong {
    base: Server<Base>,
    resources: BTreeMap<String, Arc<dyn AnyResource>>,
    data_sources: BTreeMap<String, Arc<dyn AnyDataSource>>,
}

impl AnyProvider for Wrong {
    fn name(&self) -> &str {
        self.base.name()
    }

    fn schema(&self) -> &Schema {
        self.base.schema()
    }

    fn resources(&self) -> &BTreeMap<String, Arc<dyn AnyResource>> {
        &self.resources
    }

    fn data_sources(&self) -> &BTreeMap<String, Arc<dyn AnyDataSource>> {
        &self.data_sources
    }

    fn ephemerals(&self) -> &BTreeMap<String, Arc<dyn AnyEphemeral>> {
        self.base.ephemerals()
    }

    fn functions(&self) -> &BTreeMap<String, Arc<dyn AnyFunction>> {
        self.base.functions()
    }

    fn lists(&self) -> &BTreeMap<String, Arc<dyn AnyList>> {
        self.base.lists()
    }

    fn actions(&self) -> &BTreeMap<String, Arc<dyn AnyAction>> {
        self.base.actions()
    }

    fn faults(&self) -> Diagnostics {
        self.base.faults()
    }

    fn validate<'a>(&'a self, config: Value, call: Call) -> BoxFuture<'a, Diagnostics> {
        self.base.validate(config, call)
    }

    fn configure<'a>(&'a self, request: ConfigureRequest) -> BoxFuture<'a, Diagnostics> {
        self.base.configure(request)
    }
}

/// `PlanKeepsConfig` is broken by `wrong_plan_keeps_config`.
fn type_name(law: Law) -> String {
    let mut name = "wrong".to_owned();
    for letter in law.to_string().chars() {
        if letter.is_ascii_uppercase() {
            name.push('_');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name
}

fn main() -> std::process::ExitCode {
    let base = Server::new(Base).resource(Thing.with_import().with_identity()).data_source(Names);
    let thing = base.resources()[Thing::TYPE_NAME].clone();
    let mut resources = base.resources().clone();
    for law in Law::ALL {
        let name = type_name(law);
        let broken = Broken { name: name.clone(), law, inner: thing.clone() };
        resources.insert(name, Arc::new(broken));
    }
    let forgetful: Arc<dyn AnyDataSource> =
        Arc::new(Forgetful(base.data_sources()[Names::TYPE_NAME].clone()));
    let data_sources = BTreeMap::from([(Names::TYPE_NAME.to_owned(), forgetful)]);
    let options = ServeOptions {
        address: "registry.terraform.io/acme/wrong",
        version: env!("CARGO_PKG_VERSION"),
        redact: None,
    };
    serve(Wrong { base, resources, data_sources }, options)
}
