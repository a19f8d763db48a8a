//! A provider that breaks the laws on purpose: a part a breach, lawful but for that one.
//!
//! The parts are the SDK's own with their answers spoiled after the engine checked them, for the
//! engine itself would tell the breach instead. Tests see that cores refuse each of them.

// The tests ask more of them.
#[allow(dead_code)]
mod breaches;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use breaches::{BREACHES, Breach, Place};
use serde_json::Value as Json;
use tfplugin::data_source::{DataSource, Found};
use tfplugin::ephemeral::{Ephemeral, Opened};
use tfplugin::erased::{
    AnyAction, AnyDataSource, AnyEphemeral, AnyFunction, AnyList, AnyProvider, AnyResource,
    ApplyRequest, ApplyResponse, BoxFuture, Call, ConfigureRequest, DataRequest, DataResponse,
    ImportRequest, ImportResponse, MoveRequest, MoveResponse, OpenResponse, PlanRequest,
    PlanResponse, ReadRequest, ReadResponse, RenewResponse, StateResponse,
};
use tfplugin::laws::Law;
use tfplugin::provider::{Configure, Provider, Server};
use tfplugin::resource::{
    Create, Delete, Done, Failure, Identity, Import, ImportState, Read, Register, Resource, Update,
};
use tfplugin::serve::{ServeOptions, serve};
use tfplugin::{Attr, Diagnostics, Model, Path, Schema, Set, Type, Value};

/// A thing without faults.
#[derive(Clone, Debug, PartialEq, Model)]
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
    /// Its parts in order.
    #[tf(optional)]
    parts: Attr<Vec<PartModel>>,
    /// Its marks.
    #[tf(optional)]
    marks: Attr<Set<MarkModel>>,
    /// Its parts by key.
    #[tf(optional)]
    by_key: Attr<BTreeMap<String, PartModel>>,
    /// Its one part.
    #[tf(optional)]
    one: Attr<PartModel>,
}

/// A part.
#[derive(Clone, Debug, PartialEq, Model)]
struct PartModel {
    /// What it is.
    #[tf(required)]
    text: Attr<String>,
    /// A note.
    #[tf(optional)]
    note: Attr<String>,
    /// A secret.
    #[tf(optional, write_only)]
    secret: Attr<String>,
}

/// A mark.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Model)]
struct MarkModel {
    /// What it says.
    #[tf(required)]
    word: Attr<String>,
}

/// What tells things apart.
#[derive(Clone, Debug, PartialEq, Model)]
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
            marks: Attr::Null,
            by_key: Attr::Null,
            one: Attr::Null,
        })
        .into())
    }
}

/// Names.
#[derive(Clone, Debug, PartialEq, Model)]
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

/// A token.
#[derive(Clone, Debug, PartialEq, Model)]
struct TokenModel {
    /// How it begins.
    #[tf(optional)]
    prefix: Attr<String>,
    /// A note.
    #[tf(optional)]
    note: Attr<String>,
}

struct Token;

impl Ephemeral for Token {
    type Model = TokenModel;
    const TYPE_NAME: &'static str = "wrong_token";

    async fn open(
        &self,
        config: TokenModel,
        _call: &Call,
    ) -> Result<Opened<TokenModel>, Diagnostics> {
        Ok(config.into())
    }
}

struct Base;

impl Provider for Base {
    type Model = ();
    const NAME: &'static str = "wrong";

    async fn configure(&self, _config: (), _request: Configure) -> Diagnostics {
        Diagnostics::new()
    }
}

/// A thing that breaks one law in one place.
struct Broken {
    breach: Breach,
    name: String,
    inner: Arc<dyn AnyResource>,
    /// What its schema turns into once it was told to the core, and whether it has.
    other: Schema,
    turned: AtomicBool,
}

impl Broken {
    fn new(breach: Breach, inner: Arc<dyn AnyResource>) -> Broken {
        let mut other = inner.schema().clone();
        if let Some(note) = other.attributes.iter_mut().find(|one| one.name == "note") {
            note.kind = tfplugin::Kind::Type(Type::list(Type::String));
        }
        Broken { breach, name: breach.type_name(), inner, other, turned: AtomicBool::new(false) }
    }

    fn is(&self, law: Law, place: Place) -> bool {
        (self.breach.law, self.breach.place) == (law, place)
    }
}

/// Puts a value at a place; the place must be there.
fn set(object: &mut Value, place: &[Step], value: Value) {
    let mut at = object;
    for step in place {
        at = match (at, step) {
            (Value::Object(all), Step::Name(name)) => all.entry((*name).to_owned()).or_default(),
            (Value::Map(all), Step::Name(name)) => all.entry((*name).to_owned()).or_default(),
            (Value::List(all), Step::First) => match all.first_mut() {
                Some(first) => first,
                None => return,
            },
            _ => return,
        };
    }
    *at = value;
}

/// A step to a place.
enum Step {
    Name(&'static str),
    First,
}

use Step::{First, Name};

fn word(text: &str) -> Value {
    Value::object([("word", text)].map(|(name, text)| (name, Value::string(text))))
}

impl AnyResource for Broken {
    fn type_name(&self) -> &str {
        &self.name
    }

    fn schema(&self) -> &Schema {
        if self.turned.load(Ordering::Relaxed) { &self.other } else { self.inner.schema() }
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
        Box::pin(async move {
            let diagnostics = self.inner.validate(config, call).await;
            // The core knows the schema by now, and judges before it plans.
            self.turned.store(self.breach.law == Law::FitsSchema, Ordering::Relaxed);
            diagnostics
        })
    }

    fn plan<'a>(&'a self, request: PlanRequest) -> BoxFuture<'a, PlanResponse> {
        Box::pin(async move {
            let prior = request.prior.clone();
            let (is_change, is_destroy) = (!prior.is_null(), request.proposed.is_null());
            let mut answer = self.inner.plan(request).await;
            let planned = &mut answer.planned;
            let text = Value::string;
            match (self.breach.law, self.breach.place) {
                (Law::PlanKeepsExistence, Place::Destroy) if is_destroy => *planned = prior,
                _ if is_destroy => {}
                (Law::FitsSchema, _) => set(planned, &[Name("note")], Value::List(Vec::new())),
                (Law::PlanKeepsConfig, Place::Plan) => {
                    set(planned, &[Name("name")], text("another"));
                }
                (Law::PlanKeepsConfig, Place::PlanInList) => {
                    set(planned, &[Name("parts"), First, Name("text")], text("another"));
                }
                (Law::PlanKeepsConfig, Place::PlanInMap) => {
                    set(planned, &[Name("by_key"), Name("k"), Name("text")], text("another"));
                }
                (Law::PlanInventsNothing, Place::Plan) => {
                    set(planned, &[Name("note")], text("invented"));
                }
                (Law::PlanInventsNothing, Place::PlanInList) => {
                    set(planned, &[Name("parts"), First, Name("note")], text("invented"));
                }
                (Law::PlanKeepsNested, Place::PlanInList) => {
                    set(planned, &[Name("parts")], Value::List(Vec::new()));
                }
                (Law::PlanKeepsNested, Place::PlanInSet) => {
                    set(planned, &[Name("marks")], Value::set([word("a")]));
                }
                (Law::PlanKeepsNested, Place::PlanInMap) => {
                    let part = planned.at(&Path::attribute("by_key").key("k")).cloned();
                    let other = Value::map([("other", part.unwrap_or_default())]);
                    set(planned, &[Name("by_key")], other);
                }
                (Law::PlanKeepsNested, Place::PlanInSingle) => {
                    set(planned, &[Name("one")], Value::Null);
                }
                (Law::PlanKeepsExistence, Place::Plan) => *planned = Value::Null,
                (Law::ReplacePathExists, Place::Update) if is_change => {
                    answer.requires_replace = vec![Path::attribute("nowhere")];
                }
                (Law::ReplacePathExists, Place::UpdateInSet) if is_change => {
                    answer.requires_replace = vec![Path::attribute("marks").index(0)];
                }
                (Law::FinalPlanKeepsPlan, _) => {
                    let now = std::time::SystemTime::now();
                    let since = now.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
                    set(planned, &[Name("id")], text(&format!("thing/{}", since.as_nanos())));
                }
                (Law::WriteOnlyIsNull, Place::Plan) => {
                    set(planned, &[Name("secret")], text("hush"));
                }
                (Law::WriteOnlyIsNull, Place::PlanInList) => {
                    set(planned, &[Name("parts"), First, Name("secret")], text("hush"));
                }
                (Law::QuietWhenNothingChanged, _) if is_change => {
                    set(planned, &[Name("id")], Value::unknown());
                }
                _ => {}
            }
            answer
        })
    }

    fn apply<'a>(&'a self, request: ApplyRequest) -> BoxFuture<'a, ApplyResponse> {
        Box::pin(async move {
            let (prior, planned) = (request.prior.clone(), request.planned.clone());
            let mut answer = self.inner.apply(request).await;
            let state = &mut answer.state;
            let text = Value::string;
            match (self.breach.law, self.breach.place) {
                (Law::ApplyKeepsExistence, Place::Delete) if planned.is_null() => *state = prior,
                _ if planned.is_null() => {}
                (Law::ApplyKeepsPlan, Place::Apply) => {
                    set(state, &[Name("note")], text("changed"));
                }
                (Law::ApplyKeepsPlan, Place::ApplyInList) => {
                    set(state, &[Name("parts"), First, Name("text")], text("changed"));
                }
                (Law::ApplyKeepsPlan, Place::ApplyMoreOfSet) => {
                    let more = ["a", "b", "c"].map(word);
                    set(state, &[Name("marks")], Value::set(more));
                }
                (Law::ApplyKeepsPlan, Place::ApplyOtherOfSet) => {
                    set(state, &[Name("marks")], Value::set(["a", "c"].map(word)));
                }
                (Law::ApplyKeepsPromise, _) => set(state, &[Name("id")], text("wrong/id")),
                (Law::StateIsKnown, Place::Apply) => set(state, &[Name("id")], Value::unknown()),
                (Law::ApplyKeepsExistence, Place::Apply) => *state = Value::Null,
                (Law::WriteOnlyIsNull, Place::Apply) => {
                    set(state, &[Name("secret")], text("hush"));
                }
                (Law::WriteOnlyIsNull, Place::ApplyInList) => {
                    set(state, &[Name("parts"), First, Name("secret")], text("hush"));
                }
                (Law::IdentityIsKnown, Place::Apply) => answer.identity = Some(no_identity()),
                // Lawful where the plan said which.
                (Law::FinalPlanKeepsPlan, _) => {
                    let id = planned.at(&Path::attribute("id")).cloned();
                    set(state, &[Name("id")], id.unwrap_or_default());
                }
                _ => {}
            }
            answer
        })
    }

    fn read<'a>(&'a self, request: ReadRequest) -> BoxFuture<'a, ReadResponse> {
        Box::pin(async move {
            let just_imported = request.private == IMPORTED;
            let mut answer = self.inner.read(request).await;
            let state = &mut answer.state;
            match (self.breach.law, self.breach.place) {
                (Law::StateIsKnown, Place::Read) => set(state, &[Name("id")], Value::unknown()),
                (Law::WriteOnlyIsNull, Place::Read) => {
                    set(state, &[Name("secret")], Value::string("hush"));
                }
                (Law::WriteOnlyIsNull, Place::ReadInList) => {
                    set(state, &[Name("parts"), First, Name("secret")], Value::string("hush"));
                }
                (Law::IdentityIsKnown, Place::Read) => answer.identity = Some(no_identity()),
                (Law::IdentityIsStable, _) => {
                    answer.identity = Some(Value::object([("name", Value::string("another"))]));
                }
                (Law::ImportFinds, _) if just_imported => *state = Value::Null,
                _ => {}
            }
            answer
        })
    }

    fn import<'a>(&'a self, request: ImportRequest) -> BoxFuture<'a, ImportResponse> {
        Box::pin(async move {
            let mut answer = self.inner.import(request).await;
            answer.private = IMPORTED.to_vec();
            let state = &mut answer.state;
            match (self.breach.law, self.breach.place) {
                (Law::StateIsKnown, Place::Import) => set(state, &[Name("id")], Value::unknown()),
                (Law::WriteOnlyIsNull, Place::Import) => {
                    set(state, &[Name("secret")], Value::string("hush"));
                }
                (Law::IdentityIsKnown, Place::ImportByIdentity) => answer.identity = None,
                (Law::ImportFinds, Place::Import) => *state = Value::Null,
                _ => {}
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
        Box::pin(async move {
            let mut answer = self.inner.upgrade(version, state, call).await;
            if self.is(Law::StateIsKnown, Place::Upgrade) {
                set(&mut answer.value, &[Name("id")], Value::unknown());
            } else if self.is(Law::WriteOnlyIsNull, Place::Upgrade) {
                set(&mut answer.value, &[Name("secret")], Value::string("hush"));
            }
            answer
        })
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

/// The private bytes of what was imported and not yet read.
const IMPORTED: &[u8] = b"imported";

fn no_identity() -> Value {
    Value::object([("name", Value::unknown())])
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
            set(&mut answer.state, &[Name("prefix")], Value::string("another"));
            answer
        })
    }
}

/// A token that says something else than was configured.
struct Loose {
    name: &'static str,
    attribute: &'static str,
    inner: Arc<dyn AnyEphemeral>,
}

impl AnyEphemeral for Loose {
    fn type_name(&self) -> &str {
        self.name
    }

    fn schema(&self) -> &Schema {
        self.inner.schema()
    }

    fn validate<'a>(&'a self, config: Value, call: Call) -> BoxFuture<'a, Diagnostics> {
        self.inner.validate(config, call)
    }

    fn open<'a>(&'a self, config: Value, call: Call) -> BoxFuture<'a, OpenResponse> {
        Box::pin(async move {
            let mut answer = self.inner.open(config, call).await;
            set(&mut answer.result, &[Name(self.attribute)], Value::string("another"));
            answer
        })
    }

    fn renew<'a>(&'a self, private: Vec<u8>, call: Call) -> BoxFuture<'a, RenewResponse> {
        self.inner.renew(private, call)
    }

    fn close<'a>(&'a self, private: Vec<u8>, call: Call) -> BoxFuture<'a, Diagnostics> {
        self.inner.close(private, call)
    }
}

struct Wrong {
    base: Server<Base>,
    resources: BTreeMap<String, Arc<dyn AnyResource>>,
    data_sources: BTreeMap<String, Arc<dyn AnyDataSource>>,
    ephemerals: BTreeMap<String, Arc<dyn AnyEphemeral>>,
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
        &self.ephemerals
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

fn main() -> std::process::ExitCode {
    let base = Server::new(Base)
        .resource(Thing.with_import().with_identity())
        .data_source(Names)
        .ephemeral(Token);
    let thing = base.resources()[Thing::TYPE_NAME].clone();
    let mut resources = base.resources().clone();
    let others = [Place::Data, Place::Open, Place::OpenUnasked];
    for breach in BREACHES.iter().filter(|breach| !others.contains(&breach.place)) {
        let broken = Broken::new(*breach, thing.clone());
        resources.insert(broken.name.clone(), Arc::new(broken));
    }
    let forgetful: Arc<dyn AnyDataSource> =
        Arc::new(Forgetful(base.data_sources()[Names::TYPE_NAME].clone()));
    let data_sources = BTreeMap::from([(Names::TYPE_NAME.to_owned(), forgetful)]);
    let token = &base.ephemerals()[Token::TYPE_NAME];
    let ephemerals = [("wrong_token", "prefix"), ("wrong_inventor", "note")]
        .into_iter()
        .map(|(name, attribute)| {
            let loose: Arc<dyn AnyEphemeral> =
                Arc::new(Loose { name, attribute, inner: token.clone() });
            (name.to_owned(), loose)
        })
        .collect();
    let options = ServeOptions {
        address: "registry.terraform.io/acme/wrong",
        version: env!("CARGO_PKG_VERSION"),
    };
    serve(Wrong { base, resources, data_sources, ephemerals }, options)
}
