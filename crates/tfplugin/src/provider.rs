//! A provider and its parts.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use crate::action::{Action, ActionOf};
use crate::data_source::{DataSource, DataSourceOf};
use crate::ephemeral::{Ephemeral, EphemeralOf};
use crate::erased::{
    AnyAction, AnyDataSource, AnyEphemeral, AnyFunction, AnyList, AnyProvider, AnyResource,
    BoxFuture, Call, ConfigureRequest,
};
use crate::function::{Function, FunctionOf};
use crate::list::{ListOf, ListResource};
use crate::resource::IntoResource;
use crate::schema::Place;
use crate::{Diagnostics, Model, Path, Schema, Value, model, validate};

/// A provider: its configuration and what it does with it.
pub trait Provider: Send + Sync + 'static {
    /// The attributes of the provider block.
    type Model: Model;
    /// The word that type names begin with, such as `nhi`.
    const NAME: &'static str;

    /// Judges a configuration beyond its attributes' own rules; its defaults are filled in, and
    /// values may be unknown.
    fn validate(
        &self,
        config: &Self::Model,
        call: &Call,
    ) -> impl Future<Output = Diagnostics> + Send {
        let _ = (config, call);
        async { Diagnostics::new() }
    }

    /// The detail of an error as it is told, whoever found it: what is found before a part of the
    /// provider is asked is worded without knowing the form of this provider's own errors. What a list
    /// or an action streams does not come by here.
    fn word(&self, summary: &str, detail: String) -> String {
        let _ = summary;
        detail
    }

    /// Takes the configuration, which may be unknown in part during a plan. May be called again.
    fn configure(
        &self,
        config: Self::Model,
        request: Configure,
    ) -> impl Future<Output = Diagnostics> + Send;
}

/// What comes with a configuration.
#[derive(Clone, Debug)]
pub struct Configure {
    /// What the core says its version is. For logs only: OpenTofu pretends to be a Terraform.
    pub terraform_version: String,
    /// Where the provider block is unknown until apply; nowhere in most runs. What cannot be
    /// answered without it is deferred by the procedures that come after, each where its own
    /// `call.capabilities.deferral_allowed`, or is an error there.
    pub unknown: Vec<Path>,
    /// What every call carries. Never allows a deferral: cores say so at the wrong time here.
    pub call: Call,
}

/// A provider with all its parts, ready to be served.
pub struct Server<P: Provider> {
    provider: P,
    schema: Schema,
    resources: BTreeMap<String, Arc<dyn AnyResource>>,
    data_sources: BTreeMap<String, Arc<dyn AnyDataSource>>,
    ephemerals: BTreeMap<String, Arc<dyn AnyEphemeral>>,
    functions: BTreeMap<String, Arc<dyn AnyFunction>>,
    lists: BTreeMap<String, Arc<dyn AnyList>>,
    actions: BTreeMap<String, Arc<dyn AnyAction>>,
    /// Parts whose name another of their kind had before.
    doubles: Vec<String>,
}

impl<P: Provider> Server<P> {
    /// The provider without parts.
    pub fn new(provider: P) -> Self {
        Self {
            provider,
            schema: schema_of::<P::Model>(None),
            resources: BTreeMap::new(),
            data_sources: BTreeMap::new(),
            ephemerals: BTreeMap::new(),
            functions: BTreeMap::new(),
            lists: BTreeMap::new(),
            actions: BTreeMap::new(),
            doubles: Vec::new(),
        }
    }

    /// With a managed resource.
    #[must_use]
    pub fn resource(mut self, resource: impl IntoResource) -> Self {
        let resource = resource.into_any();
        let name = resource.type_name().to_owned();
        add(&mut self.resources, "resource", &name, resource, &mut self.doubles);
        self
    }

    /// With a data source.
    #[must_use]
    pub fn data_source<D: DataSource>(mut self, source: D) -> Self {
        let part = Arc::new(DataSourceOf::new(source));
        add(&mut self.data_sources, "data source", D::TYPE_NAME, part, &mut self.doubles);
        self
    }

    /// With an ephemeral resource.
    #[must_use]
    pub fn ephemeral<E: Ephemeral>(mut self, ephemeral: E) -> Self {
        let part = Arc::new(EphemeralOf::new(ephemeral));
        add(&mut self.ephemerals, "ephemeral resource", E::TYPE_NAME, part, &mut self.doubles);
        self
    }

    /// With a function.
    #[must_use]
    pub fn function<F: Function>(mut self, function: F) -> Self {
        let part = Arc::new(FunctionOf::new(function));
        add(&mut self.functions, "function", F::NAME, part, &mut self.doubles);
        self
    }

    /// With a list resource.
    #[must_use]
    pub fn list<L: ListResource>(mut self, list: L) -> Self {
        let part = Arc::new(ListOf::new(list));
        add(&mut self.lists, "list resource", L::TYPE_NAME, part, &mut self.doubles);
        self
    }

    /// With an action.
    #[must_use]
    pub fn action<A: Action>(mut self, action: A) -> Self {
        let part = Arc::new(ActionOf::new(action));
        add(&mut self.actions, "action", A::TYPE_NAME, part, &mut self.doubles);
        self
    }
}

/// Adds a part under its name, which no other of its kind may have.
fn add<T: ?Sized>(
    parts: &mut BTreeMap<String, Arc<T>>,
    noun: &str,
    name: &str,
    part: Arc<T>,
    doubles: &mut Vec<String>,
) {
    if parts.insert(name.to_owned(), part).is_some() {
        doubles.push(format!("{noun} {name}"));
    }
}

/// The schema of a model without a version.
pub(crate) fn schema_of<M: Model>(deprecated: Option<&str>) -> Schema {
    Schema {
        version: 0,
        attributes: M::attributes(),
        description: M::description().to_owned(),
        deprecation: deprecated.map(str::to_owned),
        ..Schema::default()
    }
}

impl<P: Provider> AnyProvider for Server<P> {
    fn name(&self) -> &str {
        P::NAME
    }

    fn word(&self, summary: &str, detail: String) -> String {
        self.provider.word(summary, detail)
    }

    fn schema(&self) -> &Schema {
        &self.schema
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
        &self.functions
    }

    fn lists(&self) -> &BTreeMap<String, Arc<dyn AnyList>> {
        &self.lists
    }

    fn actions(&self) -> &BTreeMap<String, Arc<dyn AnyAction>> {
        &self.actions
    }

    fn faults(&self) -> Diagnostics {
        let mut faults = Diagnostics::new();
        for double in &self.doubles {
            faults.error("Invalid schema", format!("{double}: there are two of this name"));
        }
        let mut judge = |what: String, schema: &Schema, place: Place| {
            for mut fault in schema.faults(place) {
                fault.detail = format!("{what}: {}", fault.detail);
                faults.push(fault);
            }
        };
        judge("provider".to_owned(), &self.schema, Place::Provider);
        for (name, resource) in &self.resources {
            judge(format!("resource {name}"), resource.schema(), Place::Resource);
            if let Some(identity) = resource.identity_schema() {
                judge(format!("identity of {name}"), identity, Place::Identity);
            }
        }
        for (name, source) in &self.data_sources {
            judge(format!("data source {name}"), source.schema(), Place::Data);
        }
        for (name, ephemeral) in &self.ephemerals {
            judge(format!("ephemeral resource {name}"), ephemeral.schema(), Place::Data);
        }
        for (name, list) in &self.lists {
            judge(format!("list resource {name}"), list.schema(), Place::List);
        }
        for (name, action) in &self.actions {
            judge(format!("action {name}"), action.schema(), Place::Action);
        }
        for name in self.lists.keys() {
            if self.resources.get(name).is_none_or(|r| r.identity_schema().is_none()) {
                faults.error(
                    "Invalid schema",
                    format!(
                        "list resource {name}: no managed resource of that name has an identity"
                    ),
                );
            }
        }
        let prefix = format!("{}_", P::NAME);
        for name in self
            .resources
            .keys()
            .chain(self.data_sources.keys())
            .chain(self.ephemerals.keys())
            .chain(self.actions.keys())
        {
            if !name.starts_with(&prefix) && name != P::NAME {
                faults.error(
                    "Invalid schema",
                    format!("{name}: cores look for this provider under names that begin {prefix}"),
                );
            }
        }
        for (name, function) in &self.functions {
            for fault in function.faults() {
                faults.error("Invalid schema", format!("function {name}: {fault}"));
            }
        }
        faults
    }

    fn validate<'a>(&'a self, config: Value, call: Call) -> BoxFuture<'a, Diagnostics> {
        let capabilities = call.capabilities;
        Box::pin(validate::block(&self.schema, config, capabilities, move |config| async move {
            self.provider.validate(&config, &call).await
        }))
    }

    fn configure<'a>(&'a self, request: ConfigureRequest) -> BoxFuture<'a, Diagnostics> {
        Box::pin(async move {
            let ConfigureRequest { terraform_version, config, call } = request;
            let config = whole(config, &self.schema);
            let unknown = config.unknown_paths();
            match model::from_value(&config) {
                Ok(config) => {
                    let request = Configure { terraform_version, unknown, call };
                    self.provider.configure(config, request).await
                }
                Err(wrong) => wrong.into(),
            }
        })
    }
}

/// A configuration that the core neither plans nor stores: where it is absent altogether its
/// attributes are null, and defaults are filled in.
pub(crate) fn whole(config: Value, schema: &Schema) -> Value {
    let config = match config {
        Value::Null => Value::Object(crate::value::all_null(&schema.attributes)),
        Value::Unknown(_) => {
            let all = schema.attributes.iter().map(|one| (one.name.clone(), Value::unknown()));
            Value::Object(crate::value::named(all.collect()))
        }
        other => other,
    };
    crate::plan::with_defaults(config, &schema.attributes)
}
