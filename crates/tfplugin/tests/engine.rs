//! The engine through a sample resource: plan, apply, read, import, upgrade and move, as a core
//! calls them.

use std::collections::BTreeMap;
use std::sync::Mutex;

use serde_json::json;
use tfplugin::data_source::{DataSource, Found};
use tfplugin::erased::{
    AnyDataSource, AnyFunction, AnyProvider, AnyResource, ApplyRequest, ApplyResponse, Call,
    ClientCapabilities, ConfigureRequest, DataRequest, Deferred, FunctionError, ImportRequest,
    MoveRequest, PlanRequest, PlanResponse, ReadRequest,
};
use tfplugin::function::Function;
use tfplugin::provider::{Configure, Provider, Server};
use tfplugin::resource::{
    By, Create, Delete, Done, Failure, Identity, Import, ImportState, MoveState, Plan, Purpose,
    Read, Registration, Resource, Source, Update, UpgradeState,
};
use tfplugin::{
    Attr, Attribute, Diagnostic, Diagnostics, Model, Object, Path, Set, Type, Value, laws, model,
};

/// A sink.
#[derive(Clone, Debug, PartialEq, Model)]
struct Sink {
    /// Where.
    #[tf(required)]
    path: Attr<String>,
    /// Which.
    #[tf(computed)]
    version: Attr<i64>,
}

/// Attributes that are made at run time.
#[derive(Clone, Debug, PartialEq)]
struct Platforms(BTreeMap<String, Value>);

impl Model for Platforms {
    fn attributes() -> Vec<Attribute> {
        ["alpha_role", "beta_client"]
            .into_iter()
            .map(|name| Attribute::new(name, Type::String).optional())
            .collect()
    }

    fn read(from: &Object) -> Result<Self, tfplugin::model::Misread> {
        let names = Self::attributes().into_iter().map(|a| a.name);
        Ok(Self(
            names
                .filter_map(|name| {
                    from.get_key_value(&name).map(|(name, value)| (name.clone(), value.clone()))
                })
                .collect(),
        ))
    }

    fn write(&self, into: &mut Object) {
        into.extend(self.0.clone());
    }
}

/// A thing.
#[derive(Clone, Debug, PartialEq, Model)]
struct ThingModel {
    /// The id.
    #[tf(computed, prefix = "thing/")]
    id: Attr<String>,
    /// The name.
    #[tf(required, replace, validate = short)]
    name: Attr<String>,
    /// The mode.
    #[tf(default = "team")]
    kind: Attr<String>,
    /// Counts changes.
    #[tf(computed, volatile)]
    revision: Attr<i64>,
    /// A secret.
    #[tf(optional, write_only, sensitive, validate = long)]
    password: Attr<String>,
    /// Words.
    #[tf(optional)]
    tags: Attr<Set<String>>,
    /// Copies.
    #[tf(optional)]
    sinks: Attr<BTreeMap<String, Sink>>,
    #[tf(flatten)]
    platforms: Platforms,
}

#[derive(Clone, Debug, PartialEq, Model)]
struct ThingIdentity {
    /// The name.
    #[tf(required)]
    name: Attr<String>,
}

fn short(name: &str) -> Result<(), String> {
    if name.len() > 8 { Err("at most 8 letters".to_owned()) } else { Ok(()) }
}

fn long(password: &str) -> Result<(), String> {
    if password.len() < 4 { Err(format!("{password} is too short")) } else { Ok(()) }
}

/// What the sample shall do wrong.
#[derive(Clone, Copy, Default, PartialEq)]
enum Slip {
    #[default]
    None,
    ForgetsTags,
    ChangesKind,
    LeavesUnknown,
    FailsHalfWay,
    FailsAtOnce,
    InventsKind,
    RenamesInPlace,
    HasNoIdentity,
    MistakesTypes,
}

#[derive(Default)]
struct Thing {
    slip: Slip,
    deleted_with: Mutex<Vec<u8>>,
}

impl Thing {
    fn with(slip: Slip) -> Registration<Self> {
        Registration::new(Self { slip, ..Self::default() })
            .with_import()
            .with_identity()
            .with_upgrade()
            .with_move()
    }

    fn finish(&self, mut thing: ThingModel) -> Result<ThingModel, Diagnostic> {
        let name = thing.name.need("name")?;
        thing.id = format!("thing/{name}").into();
        if thing.revision.is_unknown() && self.slip != Slip::LeavesUnknown {
            thing.revision = 1.into();
        }
        if let Some(sinks) = thing.sinks.value_mut() {
            for sink in sinks.values_mut().filter(|sink| sink.version.is_unknown()) {
                sink.version = 1.into();
            }
        }
        match self.slip {
            Slip::ForgetsTags => thing.tags = Attr::Null,
            Slip::ChangesKind => thing.kind = "other".into(),
            Slip::MistakesTypes => {
                let odd = [("alpha_role", true.into()), ("gamma", "strange".into())];
                thing.platforms.0.extend(odd.map(|(name, value)| (name.to_owned(), value)));
            }
            _ => {}
        }
        Ok(thing)
    }
}

impl Resource for Thing {
    type Model = ThingModel;
    const TYPE_NAME: &'static str = "sample_thing";
    const VERSION: i64 = 2;

    async fn validate(&self, config: &ThingModel, _call: &Call) -> Diagnostics {
        let mut diagnostics = Diagnostics::new();
        let set = config.platforms.0.values().filter(|v| !v.is_null()).count();
        if set > 1 {
            diagnostics.error("Too many platforms", "Set exactly one.");
        }
        diagnostics
    }

    async fn plan(&self, plan: &mut Plan<ThingModel>) {
        if let (Slip::InventsKind, Some(planned)) = (self.slip, &mut plan.planned) {
            planned.tags = Attr::Value(Set::from(["invented".to_owned()]));
        }
        match plan.purpose() {
            Purpose::Create => plan.planned_private = b"create".to_vec(),
            Purpose::Destroy => plan.planned_private.extend(b"+destroy"),
            Purpose::Update => {}
        }
        if let Some((_, prior, planned)) = plan.updating()
            && planned.kind == "reset"
            && prior.kind != planned.kind
        {
            plan.require_replace("kind");
        }
    }

    async fn create(
        &self,
        request: Create<ThingModel>,
    ) -> Result<Done<ThingModel>, Failure<ThingModel>> {
        let done = self.finish(request.planned)?;
        match self.slip {
            Slip::FailsAtOnce => Err(Diagnostic::error("No", "Not today.").into()),
            Slip::FailsHalfWay => {
                Err(Failure::keeping(done, Diagnostic::error("No", "Half done.")))
            }
            _ => Ok(Done::new(done).private(b"stored")),
        }
    }

    async fn read(
        &self,
        request: Read<ThingModel>,
    ) -> Result<Option<Done<ThingModel>>, Diagnostics> {
        if request.state.kind == "gone" {
            return Ok(None);
        }
        if request.state.kind == "dark" {
            return Err(Diagnostic::error("Not readable", "403").into());
        }
        let mut thing = request.state;
        thing.kind = "live".into();
        if self.slip == Slip::RenamesInPlace {
            thing.name = "other".into();
        }
        Ok(Some(thing.into()))
    }

    async fn update(
        &self,
        request: Update<ThingModel>,
    ) -> Result<Done<ThingModel>, Failure<ThingModel>> {
        let done = self.finish(request.planned)?;
        match self.slip {
            Slip::FailsAtOnce => Err(Diagnostic::error("No", "Not today.").into()),
            Slip::FailsHalfWay => {
                Err(Failure::keeping(done, Diagnostic::error("No", "Half done.")))
            }
            _ => Ok(done.into()),
        }
    }

    async fn delete(
        &self,
        request: Delete<ThingModel>,
    ) -> Result<Diagnostics, Failure<ThingModel>> {
        *self.deleted_with.lock().unwrap() = request.planned_private;
        match self.slip {
            Slip::FailsAtOnce => Err(Diagnostic::error("No", "Not today.").into()),
            _ => Ok(Diagnostic::warning("Gone", "For good.").into()),
        }
    }
}

impl Identity for Thing {
    type Identity = ThingIdentity;

    fn identity(&self, state: &ThingModel) -> ThingIdentity {
        match self.slip {
            Slip::HasNoIdentity => ThingIdentity { name: Attr::unknown() },
            _ => ThingIdentity { name: state.name.clone() },
        }
    }

    fn upgrade_identity(
        &self,
        _version: i64,
        _identity: serde_json::Value,
    ) -> Result<ThingIdentity, Diagnostics> {
        Ok(ThingIdentity { name: Attr::unknown() })
    }
}

impl ImportState for Thing {
    async fn import(&self, request: Import) -> Result<Done<ThingModel>, Diagnostics> {
        let name = match &request.by {
            By::Id(id) => id.clone(),
            By::Identity(_) => {
                let identity: Option<ThingIdentity> = request.by.identity()?;
                identity.unwrap().name.need("name")?.clone()
            }
        };
        let mut thing = model::empty::<ThingModel>()?;
        thing.name = name.into();
        Ok(thing.into())
    }
}

impl UpgradeState for Thing {
    async fn upgrade(
        &self,
        version: i64,
        state: serde_json::Value,
    ) -> Result<ThingModel, Diagnostics> {
        assert_eq!(version, 1);
        let mut thing = model::empty::<ThingModel>()?;
        thing.name = state["title"].as_str().map(str::to_owned).into();
        Ok(thing)
    }
}

impl MoveState for Thing {
    async fn move_state(&self, source: Source) -> Result<Option<Done<ThingModel>>, Diagnostics> {
        if source.type_name != "old_thing" {
            return Ok(None);
        }
        let mut thing = model::empty::<ThingModel>()?;
        thing.name = source.state["name"].as_str().map(str::to_owned).into();
        Ok(Some(thing.into()))
    }
}

fn call() -> Call {
    Call {
        capabilities: ClientCapabilities {
            write_only_attributes_allowed: true,
            ..ClientCapabilities::default()
        },
        ..Call::default()
    }
}

fn config(changes: &[(&str, Value)]) -> Value {
    let mut object = tfplugin::value::all_null(&ThingModel::attributes());
    object.insert("name".to_owned(), "x".into());
    for (name, value) in changes {
        assert!(object.insert((*name).to_owned(), value.clone()).is_some());
    }
    Value::Object(object)
}

async fn plan(
    thing: &dyn AnyResource,
    prior: &Value,
    config: &Value,
    identity: Option<Value>,
) -> PlanResponse {
    thing
        .plan(PlanRequest {
            prior: prior.clone(),
            proposed: laws::proposed_new(thing.schema(), prior, config),
            config: config.clone(),
            prior_private: b"before".to_vec(),
            planned_private: None,
            prior_identity: identity,
            provider_meta: Value::Null,
            call: call(),
        })
        .await
}

async fn apply(
    thing: &dyn AnyResource,
    prior: &Value,
    config: &Value,
    plan: PlanResponse,
) -> ApplyResponse {
    thing
        .apply(ApplyRequest {
            prior: prior.clone(),
            planned: plan.planned,
            config: config.clone(),
            planned_private: plan.private,
            planned_identity: plan.identity,
            provider_meta: Value::Null,
            call: call(),
        })
        .await
}

fn at(value: &Value, path: &str) -> Value {
    value.at(&path.into()).cloned().unwrap()
}

/// Creates the thing that this configuration describes.
async fn create(slip: Slip, config: &Value) -> (Registration<Thing>, PlanResponse, ApplyResponse) {
    let thing = Thing::with(slip);
    let planned = plan(&thing, &Value::Null, config, None).await;
    let applied = apply(&thing, &Value::Null, config, planned.clone()).await;
    (thing, planned, applied)
}

#[tokio::test]
async fn a_create_plans_defaults_promises_and_nothing_write_only() {
    let sinks =
        Value::map([("app", Value::object([("path", "p".into()), ("version", Value::Null)]))]);
    let config = config(&[("password", "hush".into()), ("sinks", sinks)]);
    let (_, planned, applied) = create(Slip::None, &config).await;
    assert!(planned.diagnostics.is_empty(), "{}", planned.diagnostics);
    assert_eq!(at(&planned.planned, "kind"), "team".into());
    assert_eq!(
        at(&planned.planned, "id"),
        Value::Unknown(Some(Box::new(tfplugin::Refinement::prefix("thing/"))))
    );
    assert_eq!(at(&planned.planned, "revision"), Value::unknown());
    assert_eq!(at(&planned.planned, "sinks.app.version"), Value::unknown());
    assert_eq!(at(&planned.planned, "password"), Value::Null);
    assert_eq!(planned.private, b"create");
    assert_eq!(planned.identity, Some(Value::object([("name", "x".into())])));

    assert!(applied.diagnostics.is_empty(), "{}", applied.diagnostics);
    assert_eq!(at(&applied.state, "id"), "thing/x".into());
    assert_eq!(at(&applied.state, "sinks.app.version"), 1.into());
    assert_eq!(at(&applied.state, "password"), Value::Null);
    assert_eq!(applied.private, b"stored");
    assert_eq!(applied.identity, planned.identity);
}

#[tokio::test]
async fn a_plan_that_failed_says_nothing_of_what_was_proposed() {
    let config = config(&[("password", "hush".into()), ("kind", true.into())]);
    let planned = plan(&Thing::with(Slip::None), &Value::Null, &config, None).await;
    assert!(planned.diagnostics.to_string().contains("wrong type"), "{}", planned.diagnostics);
    assert_eq!(planned.planned, Value::Null);
}

#[tokio::test]
async fn the_plan_after_apply_is_empty() {
    let config = config(&[("tags", Value::set(["a".into()]))]);
    let (thing, _, applied) = create(Slip::None, &config).await;
    let next = plan(&thing, &applied.state, &config, applied.identity.clone()).await;
    assert!(next.diagnostics.is_empty());
    assert_eq!(next.planned, applied.state);
    assert!(next.requires_replace.is_empty());
    assert_eq!(next.private, b"before");
    assert_eq!(next.identity, applied.identity);
}

#[tokio::test]
async fn an_update_keeps_what_is_stable_and_unknows_what_is_volatile() {
    let (thing, _, applied) = create(Slip::None, &config(&[])).await;
    let changed = config(&[("kind", "person".into())]);
    let next = plan(&thing, &applied.state, &changed, applied.identity.clone()).await;
    assert_eq!(at(&next.planned, "id"), "thing/x".into());
    assert_eq!(at(&next.planned, "revision"), Value::unknown());
    assert!(next.requires_replace.is_empty());
    let updated = apply(&thing, &applied.state, &changed, next).await;
    assert!(updated.diagnostics.is_empty(), "{}", updated.diagnostics);
    assert_eq!(at(&updated.state, "kind"), "person".into());
    assert_eq!(updated.private, b"before");
}

#[tokio::test]
async fn a_declared_attribute_and_the_hook_can_ask_for_a_new_object() {
    let (thing, _, applied) = create(Slip::None, &config(&[])).await;
    let renamed = config(&[("name", "y".into()), ("kind", "reset".into())]);
    let next = plan(&thing, &applied.state, &renamed, applied.identity).await;
    assert_eq!(next.requires_replace, ["kind".into(), "name".into()]);
    assert_eq!(next.identity, Some(Value::object([("name", "y".into())])));
    // After an import the name may be null in state: to fill it in replaces nothing.
    let imported = config(&[("name", Value::Null)]);
    let next = plan(&thing, &imported, &config(&[]), None).await;
    assert!(next.requires_replace.is_empty());
}

#[tokio::test]
async fn a_destroy_calls_the_hook_and_delete_gets_its_bytes() {
    let (thing, _, applied) = create(Slip::None, &config(&[])).await;
    let next = plan(&thing, &applied.state, &Value::Null, applied.identity).await;
    assert_eq!(next.planned, Value::Null);
    assert_eq!(next.private, b"before+destroy");
    let gone = apply(&thing, &applied.state, &Value::Null, next).await;
    assert_eq!(gone.state, Value::Null);
    assert_eq!(gone.diagnostics.to_string(), "warning: Gone: For good.");
}

#[tokio::test]
async fn an_empty_set_that_the_platform_forgot_stays_empty() {
    let config = config(&[("tags", Value::set([]))]);
    let (_, _, applied) = create(Slip::ForgetsTags, &config).await;
    assert!(applied.diagnostics.is_empty(), "{}", applied.diagnostics);
    assert_eq!(at(&applied.state, "tags"), Value::set([]));
}

#[tokio::test]
async fn a_resource_that_breaks_a_law_is_told_which() {
    let tags = config(&[("tags", Value::set(["a".into()]))]);
    for (slip, config, law) in [
        (Slip::ForgetsTags, &tags, "ApplyKeepsPlan"),
        (Slip::ChangesKind, &tags, "ApplyKeepsPlan"),
        (Slip::InventsKind, &config(&[]), "PlanInventsNothing"),
        (Slip::InventsKind, &tags, "PlanKeepsConfig"),
    ] {
        let (_, planned, applied) = create(slip, config).await;
        let told = format!("{}\n{}", planned.diagnostics, applied.diagnostics);
        assert!(told.contains(law), "{law}: {told}");
    }
}

#[tokio::test]
async fn what_is_unknown_after_apply_is_named_and_stored_as_null() {
    let (_, _, applied) = create(Slip::LeavesUnknown, &config(&[])).await;
    assert!(applied.diagnostics.to_string().contains("at revision"), "{}", applied.diagnostics);
    assert!(applied.state.is_wholly_known());
}

#[tokio::test]
async fn what_has_the_wrong_type_after_apply_is_named_and_costs_nothing_else() {
    let (thing, _, applied) = create(Slip::MistakesTypes, &config(&[])).await;
    let told = applied.diagnostics.to_string();
    assert!(told.contains("wrong type after apply"), "{told}");
    assert_eq!(applied.state.misfit(AnyResource::schema(&thing).ty()), None);
    assert_eq!(at(&applied.state, "id"), "thing/x".into());
    assert_eq!(at(&applied.state, "alpha_role"), Value::Null);
    assert_eq!(applied.private, b"stored");
}

#[tokio::test]
async fn a_failed_change_never_loses_what_is_true() {
    let (_, _, nothing) = create(Slip::FailsAtOnce, &config(&[])).await;
    assert_eq!(nothing.state, Value::Null);
    assert!(nothing.diagnostics.has_errors());

    let (_, _, half) = create(Slip::FailsHalfWay, &config(&[])).await;
    assert_eq!(at(&half.state, "id"), "thing/x".into());
    assert!(half.diagnostics.has_errors());

    let (_, _, whole) = create(Slip::None, &config(&[])).await;
    let changed = config(&[("kind", "person".into())]);
    for (slip, kind) in [(Slip::FailsAtOnce, "team"), (Slip::FailsHalfWay, "person")] {
        let thing = Thing::with(slip);
        let next = plan(&thing, &whole.state, &changed, whole.identity.clone()).await;
        let failed = apply(&thing, &whole.state, &changed, next).await;
        assert!(failed.diagnostics.has_errors());
        assert_eq!(at(&failed.state, "kind"), kind.into());
        assert_eq!(failed.identity, whole.identity);
        assert_eq!(failed.private, b"before");
    }
    let thing = Thing::with(Slip::FailsAtOnce);
    let next = plan(&thing, &whole.state, &Value::Null, whole.identity.clone()).await;
    let kept = apply(&thing, &whole.state, &Value::Null, next).await;
    assert_eq!(kept.state, whole.state);
}

#[tokio::test]
async fn a_read_shows_drift_echoes_private_and_keeps_what_it_cannot_see() {
    let (thing, _, applied) = create(Slip::None, &config(&[])).await;
    let read = |state: Value| {
        thing.read(ReadRequest {
            state,
            private: b"mine".to_vec(),
            identity: applied.identity.clone(),
            provider_meta: Value::Null,
            call: call(),
        })
    };
    let mut state = applied.state.clone();
    let drift = read(state.clone()).await;
    assert_eq!(at(&drift.state, "kind"), "live".into());
    assert_eq!(
        (drift.private.as_slice(), drift.identity),
        (&b"mine"[..], applied.identity.clone())
    );

    state.as_object_mut().unwrap().insert("kind".to_owned(), "gone".into());
    let gone = read(state.clone()).await;
    // The plan that makes it anew gets them, and would take itself for half of a replacement.
    assert_eq!((gone.state, gone.private), (Value::Null, Vec::new()));

    state.as_object_mut().unwrap().insert("kind".to_owned(), "dark".into());
    let dark = read(state.clone()).await;
    assert_eq!(dark.state, state);
    assert!(dark.diagnostics.has_errors());
    assert_eq!(dark.private, b"mine");
}

#[tokio::test]
async fn an_identity_does_not_change_in_a_read() {
    let (_, _, applied) = create(Slip::None, &config(&[])).await;
    let read = Thing::with(Slip::RenamesInPlace)
        .read(ReadRequest {
            state: applied.state,
            private: Vec::new(),
            identity: applied.identity,
            provider_meta: Value::Null,
            call: call(),
        })
        .await;
    assert!(read.diagnostics.to_string().contains("Unexpected identity change"));
}

#[tokio::test]
async fn an_identity_that_is_not_complete_is_told_wherever_it_is_given() {
    let thing = Thing::with(Slip::HasNoIdentity);
    let read = ReadRequest {
        state: config(&[("kind", "team".into())]),
        private: Vec::new(),
        identity: None,
        provider_meta: Value::Null,
        call: call(),
    };
    let import = ImportRequest { id: "x".to_owned(), identity: None, call: call() };
    let moved = MoveRequest {
        source_provider_address: "registry.terraform.io/acme/old".to_owned(),
        source_type_name: "old_thing".to_owned(),
        source_schema_version: 0,
        source_state: json!({"name": "x"}),
        source_private: Vec::new(),
        source_identity: None,
        call: call(),
    };
    for told in [thing.read(read).await.diagnostics, thing.import(import).await.diagnostics] {
        assert!(told.to_string().contains("Identity not complete"), "{told}");
        assert!(told.to_string().contains("left name of"), "{told}");
    }
    let told = thing.upgrade_identity(7, json!({}), call()).await.diagnostics;
    assert!(told.to_string().contains("IdentityIsKnown"), "{told}");
    // A move may leave all of it to the Read that follows.
    let moved = thing.move_state(moved).await;
    assert!(!moved.diagnostics.has_errors(), "{}", moved.diagnostics);
    assert_eq!(moved.identity, None);
}

#[tokio::test]
async fn an_object_is_imported_by_id_and_by_identity() {
    let thing = Thing::with(Slip::None);
    let identity = Value::object([("name", "x".into())]);
    for (id, by) in [("x", None), ("", Some(identity.clone()))] {
        let imported =
            thing.import(ImportRequest { id: id.to_owned(), identity: by, call: call() }).await;
        assert!(imported.diagnostics.is_empty(), "{}", imported.diagnostics);
        assert_eq!(at(&imported.state, "name"), "x".into());
        assert_eq!(imported.identity, Some(identity.clone()));
    }
    let neither =
        thing.import(ImportRequest { id: String::new(), identity: None, call: call() }).await;
    assert!(neither.diagnostics.has_errors());
    let alone = Registration::new(Thing::default());
    let refused =
        alone.import(ImportRequest { id: "x".to_owned(), identity: None, call: call() }).await;
    assert!(refused.diagnostics.to_string().contains("Import not supported"));
}

#[tokio::test]
async fn state_of_every_version_is_read_or_refused() {
    let thing = Thing::with(Slip::None);
    let same = thing.upgrade(2, json!({"name": "x", "dropped": 1}), call()).await;
    assert_eq!(same.value, config(&[]));
    let old = thing.upgrade(1, json!({"title": "x"}), call()).await;
    assert_eq!(old.value, config(&[]));
    let alone = Registration::new(Thing::default());
    assert!(alone.upgrade(1, json!({}), call()).await.diagnostics.has_errors());
    assert!(thing.upgrade(3, json!({}), call()).await.diagnostics.has_errors());
    let broken = thing.upgrade(2, json!({"name": []}), call()).await;
    assert!(broken.diagnostics.to_string().contains("at name"), "{}", broken.diagnostics);
    let identity = thing.upgrade_identity(0, json!({"name": "x"}), call()).await;
    assert_eq!(identity.value, Value::object([("name", "x".into())]));
}

#[tokio::test]
async fn an_object_of_another_type_moves_here_or_is_refused() {
    let thing = Thing::with(Slip::None);
    let request = |type_name: &str| MoveRequest {
        source_provider_address: "registry.terraform.io/acme/old".to_owned(),
        source_type_name: type_name.to_owned(),
        source_schema_version: 0,
        source_state: json!({"name": "x"}),
        source_private: Vec::new(),
        source_identity: None,
        call: call(),
    };
    let moved = thing.move_state(request("old_thing")).await;
    assert_eq!(moved.state, config(&[]));
    assert_eq!(moved.identity, Some(Value::object([("name", "x".into())])));
    let refused = thing.move_state(request("strange")).await;
    assert!(refused.diagnostics.to_string().contains("acme/old"));
}

#[tokio::test]
async fn a_configuration_is_judged_attribute_by_attribute() {
    let thing = Thing::with(Slip::None);
    let judge = |config: Value, call: Call| thing.validate(config, call);
    assert!(judge(config(&[]), call()).await.is_empty());
    assert!(judge(config(&[("name", Value::unknown())]), call()).await.is_empty());
    let long = judge(config(&[("name", "much too long".into())]), call()).await;
    assert_eq!(long.to_string(), "error: Invalid attribute value at name: name: at most 8 letters");
    for value in ["thing/y".into(), Value::unknown()] {
        let computed = judge(config(&[("id", value)]), call()).await.to_string();
        assert!(computed.contains("Read-only attribute at id"), "{computed}");
    }
    let secret = judge(config(&[("password", "psw".into())]), call()).await.to_string();
    assert!(secret.contains("password is not allowed") && !secret.contains("psw"), "{secret}");
    let both = config(&[("alpha_role", "a".into()), ("beta_client", "b".into())]);
    assert!(judge(both, call()).await.to_string().contains("Too many platforms"));
    let secret = judge(config(&[("password", "hush".into())]), Call::default()).await;
    assert!(secret.to_string().contains("Write-only"), "{secret}");
}

#[test]
fn a_generated_configuration_has_what_a_person_would_write() {
    let thing = Thing::with(Slip::None);
    let state = config(&[("id", "thing/x".into()), ("kind", "team".into())]);
    assert_eq!(thing.generate_config(state).value, config(&[]));
}

/// What a data source takes and gives.
#[derive(Clone, Debug, PartialEq, Model)]
struct Numbers {
    /// How many.
    #[tf(default = 2)]
    limit: Attr<i64>,
    /// Them.
    #[tf(computed)]
    all: Attr<Vec<i64>>,
}

struct Count;

impl DataSource for Count {
    type Model = Numbers;
    const TYPE_NAME: &'static str = "sample_numbers";

    async fn read(&self, config: Numbers, _call: &Call) -> Result<Found<Numbers>, Diagnostics> {
        let limit = *config.limit.need("limit")?;
        Ok(Numbers { all: Attr::Value((0..limit).collect()), ..config }.into())
    }
}

/// Adds numbers.
#[derive(Clone, Debug, PartialEq, Model)]
struct Summands {
    /// The first.
    #[tf(required)]
    first: Attr<i64>,
    /// The others.
    #[tf(required)]
    others: Attr<Vec<i64>>,
}

struct Sum;

impl Function for Sum {
    type Arguments = Summands;
    type Output = i64;
    const NAME: &'static str = "sum";
    const SUMMARY: &'static str = "Adds numbers";
    const VARIADIC: bool = true;

    fn call(&self, arguments: Summands) -> Result<i64, FunctionError> {
        let others = arguments.others.unwrap_or_default();
        Ok(arguments.first.unwrap_or_default() + others.iter().sum::<i64>())
    }
}

struct Sample;

impl Provider for Sample {
    type Model = ();
    const NAME: &'static str = "sample";

    async fn configure(&self, _config: (), _request: Configure) -> Diagnostics {
        Diagnostics::new()
    }
}

#[tokio::test]
async fn a_provider_serves_its_parts() {
    let server =
        Server::new(Sample).resource(Thing::with(Slip::None)).data_source(Count).function(Sum);
    assert!(server.faults().is_empty(), "{}", server.faults());
    let twice = Server::new(Sample).resource(Waits).resource(Waits).function(Sum).function(Sum);
    let told = twice.faults().to_string();
    for double in ["resource sample_waits: there are two", "function sum: there are two"] {
        assert!(told.contains(double), "{told}");
    }
    let numbers: &dyn AnyDataSource = &*server.data_sources()["sample_numbers"];
    let config = model::to_value(&Numbers { limit: Attr::Null, all: Attr::Null });
    let request = DataRequest { config, provider_meta: Value::Null, call: call() };
    let found = numbers.read(request).await;
    assert!(found.diagnostics.is_empty(), "{}", found.diagnostics);
    assert_eq!(at(&found.state, "all"), Value::List(vec![0.into(), 1.into()]));

    let sum: &dyn AnyFunction = &*server.functions()["sum"];
    assert_eq!(sum.signature().parameters.len(), 1);
    assert_eq!(sum.signature().variadic.as_ref().unwrap().ty, Type::Number);
    let three = sum.call(vec![1.into(), 2.into(), 3.into()], call()).await;
    assert_eq!(three, Ok(6.into()));
    assert!(sum.call(vec![], call()).await.unwrap_err().text.contains("takes 1"));
    let null = sum.call(vec![Value::Null], call()).await.unwrap_err();
    assert_eq!(null.argument, Some(0));
}

/// A resource that waits wherever it is asked.
struct Waits;

impl Resource for Waits {
    type Model = Numbers;
    const TYPE_NAME: &'static str = "sample_waits";

    async fn plan(&self, plan: &mut Plan<Numbers>) {
        plan.deferred = Some(Deferred::ResourceConfigUnknown);
    }

    async fn create(&self, request: Create<Numbers>) -> Result<Done<Numbers>, Failure<Numbers>> {
        let all = Attr::Value(Vec::new());
        Ok(Done::new(Numbers { all, ..request.planned }).defer(Deferred::AbsentPrerequisite))
    }

    async fn read(&self, request: Read<Numbers>) -> Result<Option<Done<Numbers>>, Diagnostics> {
        Ok(Some(Done::new(request.state).defer(Deferred::ProviderConfigUnknown)))
    }

    async fn update(&self, request: Update<Numbers>) -> Result<Done<Numbers>, Failure<Numbers>> {
        Ok(request.planned.into())
    }

    async fn delete(&self, _request: Delete<Numbers>) -> Result<Diagnostics, Failure<Numbers>> {
        Ok(Diagnostics::new())
    }
}

#[tokio::test]
async fn a_deferral_goes_out_only_where_that_very_call_allows_it() {
    let waits = Registration::new(Waits);
    let schema = AnyResource::schema(&waits).clone();
    let config = model::to_value(&Numbers { limit: Attr::Value(1), all: Attr::Null });
    for allowed in [false, true] {
        let mut call = call();
        call.capabilities.deferral_allowed = allowed;
        let planned = waits
            .plan(PlanRequest {
                prior: Value::Null,
                proposed: laws::proposed_new(&schema, &Value::Null, &config),
                config: config.clone(),
                prior_private: Vec::new(),
                planned_private: None,
                prior_identity: None,
                provider_meta: Value::Null,
                call: call.clone(),
            })
            .await;
        let read = waits
            .read(ReadRequest {
                state: config.clone(),
                private: Vec::new(),
                identity: None,
                provider_meta: Value::Null,
                call,
            })
            .await;
        assert_eq!(planned.deferred.is_some(), allowed);
        assert_eq!(read.deferred.is_some(), allowed);
        for told in [planned.diagnostics, read.diagnostics] {
            assert_eq!(told.to_string().contains("Deferral not allowed"), !allowed, "{told}");
        }
        assert_eq!(read.state, config, "what was in state stays");
    }
    // What is carried out cannot wait any more, and is stored all the same.
    let planned = model::to_value(&Numbers { limit: Attr::Value(1), all: Attr::unknown() });
    let made = PlanResponse { planned, ..PlanResponse::default() };
    let mut call = call();
    call.capabilities.deferral_allowed = true;
    let made = waits
        .apply(ApplyRequest {
            prior: Value::Null,
            planned: made.planned,
            config,
            planned_private: Vec::new(),
            planned_identity: None,
            provider_meta: Value::Null,
            call,
        })
        .await;
    assert!(made.diagnostics.to_string().contains("Deferral not allowed"), "{}", made.diagnostics);
    assert!(!made.state.is_null());
}

#[tokio::test]
async fn a_provider_sees_where_its_configuration_is_unknown() {
    /// Keeps what it saw.
    #[derive(Default)]
    struct Looks(Mutex<Vec<Path>>);

    /// A place.
    #[derive(Clone, Debug, PartialEq, Model)]
    struct PlaceModel {
        /// Where.
        #[tf(optional)]
        address: Attr<String>,
        /// More.
        #[tf(optional)]
        headers: Attr<BTreeMap<String, Attr<String>>>,
    }

    impl Provider for &'static Looks {
        type Model = PlaceModel;
        const NAME: &'static str = "sample";

        async fn configure(&self, _config: PlaceModel, request: Configure) -> Diagnostics {
            assert!(!request.call.capabilities.deferral_allowed);
            *self.0.lock().unwrap() = request.unknown;
            Diagnostics::new()
        }
    }

    let looks: &'static Looks = Box::leak(Box::default());
    let server = Server::new(looks);
    let headers = Value::map([("a", Value::unknown()), ("b", "known".into())]);
    for (config, unknown) in [
        (Value::Null, vec![]),
        (Value::object([("address", "here".into()), ("headers", Value::Null)]), vec![]),
        (
            Value::object([("address", Value::unknown()), ("headers", headers)]),
            vec![Path::attribute("address"), Path::attribute("headers").key("a")],
        ),
        (Value::unknown(), vec![Path::attribute("address"), Path::attribute("headers")]),
    ] {
        let request = ConfigureRequest {
            terraform_version: "1.12.0".to_owned(),
            config,
            call: Call::default(),
        };
        let told = server.configure(request).await;
        assert!(told.is_empty(), "{told}");
        assert_eq!(*looks.0.lock().unwrap(), unknown);
    }
}

/// What tells countings apart: how far, and, if one knows, what came of it.
#[derive(Clone, Debug, PartialEq, Model)]
struct CountIdentity {
    #[tf(required)]
    limit: Attr<i64>,
    #[tf(optional)]
    all: Attr<Vec<i64>>,
}

/// Counts as far as it is told; the second part of its identity comes with the first read.
struct Counts;

impl Resource for Counts {
    type Model = Numbers;
    const TYPE_NAME: &'static str = "sample_counts";

    async fn create(&self, request: Create<Numbers>) -> Result<Done<Numbers>, Failure<Numbers>> {
        Ok(request.planned.into())
    }

    async fn read(&self, request: Read<Numbers>) -> Result<Option<Done<Numbers>>, Diagnostics> {
        let limit = *request.state.limit.need("limit")?;
        Ok(Some(Numbers { all: Attr::Value((0..limit).collect()), ..request.state }.into()))
    }

    async fn update(&self, request: Update<Numbers>) -> Result<Done<Numbers>, Failure<Numbers>> {
        Ok(request.planned.into())
    }

    async fn delete(&self, _request: Delete<Numbers>) -> Result<Diagnostics, Failure<Numbers>> {
        Ok(Diagnostics::new())
    }
}

impl Identity for Counts {
    type Identity = CountIdentity;

    fn identity(&self, state: &Numbers) -> CountIdentity {
        CountIdentity { limit: state.limit.clone(), all: state.all.clone() }
    }
}

impl ImportState for Counts {
    async fn import(&self, request: Import) -> Result<Done<Numbers>, Diagnostics> {
        let identity: Option<CountIdentity> = request.by.identity()?;
        Ok(Numbers { limit: identity.unwrap().limit, all: Attr::Null }.into())
    }
}

#[tokio::test]
async fn an_identity_that_was_given_in_part_is_filled_in_by_the_read_and_then_stays() {
    let counts = Registration::new(Counts).with_import().with_identity();
    let identity = |limit: i64, all: Value| Value::object([("limit", limit.into()), ("all", all)]);
    let numbers = |to: i64| Value::List((0..to).map(Value::from).collect());
    let given =
        ImportRequest { id: String::new(), identity: Some(identity(2, Value::Null)), call: call() };
    let imported = counts.import(given).await;
    assert!(imported.diagnostics.is_empty(), "{}", imported.diagnostics);
    let read = |state: Value, identity: Option<Value>| {
        let (private, provider_meta) = (Vec::new(), Value::Null);
        counts.read(ReadRequest { state, private, identity, provider_meta, call: call() })
    };
    let first = read(imported.state, imported.identity).await;
    assert!(first.diagnostics.is_empty(), "{}", first.diagnostics);
    assert_eq!(first.identity, Some(identity(2, numbers(2))));
    let second = read(first.state.clone(), first.identity).await;
    assert!(second.diagnostics.is_empty(), "{}", second.diagnostics);
    let other = read(first.state, Some(identity(2, numbers(1)))).await;
    assert!(other.diagnostics.to_string().contains("Unexpected identity change"));
}
