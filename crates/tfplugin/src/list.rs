//! List resources: `terraform query`.

use std::future::Future;

use crate::erased::{AnyList, BoxFuture, Call, ListEvent, ListRequest, Outlet};
use crate::provider::{schema_of, whole};
use crate::{Diagnostics, Model, Schema, Value, model, validate};

/// Finds objects of a managed resource that has an identity.
pub trait ListResource: Send + Sync + 'static {
    /// The attributes of the inner `config` block.
    type Config: Model;
    /// The type name of the managed resource.
    const TYPE_NAME: &'static str;

    /// Judges a configuration beyond its attributes' own rules; its defaults are filled in, and
    /// values may be unknown.
    fn validate(
        &self,
        config: &Self::Config,
        call: &Call,
    ) -> impl Future<Output = Diagnostics> + Send {
        let _ = (config, call);
        async { Diagnostics::new() }
    }

    /// Sends one event per object. Stop when a send answers false: nobody listens any more.
    fn list(
        &self,
        request: List<Self::Config>,
        out: &Outlet<ListEvent>,
    ) -> impl Future<Output = Diagnostics> + Send;
}

/// What to list.
#[derive(Clone, Debug)]
pub struct List<C> {
    /// The configuration.
    pub config: C,
    /// Whether events carry the whole object.
    pub include_object: bool,
    /// How many at most.
    pub limit: i64,
    /// What every call carries.
    pub call: Call,
}

impl ListEvent {
    /// An object found.
    pub fn found<I: Model>(identity: &I, display_name: impl Into<String>) -> Self {
        Self {
            identity: Some(model::to_value(identity)),
            display_name: display_name.into(),
            object: None,
            diagnostics: Diagnostics::new(),
        }
    }

    /// With the whole object.
    #[must_use]
    pub fn with_object<M: Model>(mut self, object: &M) -> Self {
        self.object = Some(model::to_value(object));
        self
    }
}

pub(crate) struct ListOf<L> {
    list: L,
    schema: Schema,
}

impl<L: ListResource> ListOf<L> {
    pub(crate) fn new(list: L) -> Self {
        Self { list, schema: schema_of::<L::Config>(None) }
    }
}

impl<L: ListResource> AnyList for ListOf<L> {
    fn type_name(&self) -> &str {
        L::TYPE_NAME
    }

    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn validate<'a>(&'a self, config: Value, call: Call) -> BoxFuture<'a, Diagnostics> {
        let capabilities = call.capabilities;
        Box::pin(validate::block(&self.schema, config, capabilities, move |config| async move {
            self.list.validate(&config, &call).await
        }))
    }

    fn list<'a>(&'a self, request: ListRequest, out: Outlet<ListEvent>) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let ListRequest { config, include_object, limit, call } = request;
            let diagnostics = match model::from_value(&whole(config, &self.schema)) {
                Ok(config) => {
                    self.list.list(List { config, include_object, limit, call }, &out).await
                }
                Err(wrong) => wrong.into(),
            };
            if !diagnostics.is_empty() {
                out.send(ListEvent { diagnostics, ..ListEvent::default() }).await;
            }
        })
    }
}
