//! Actions.

use std::future::Future;

use crate::erased::{ActionPlan, AnyAction, BoxFuture, Call, Deferred, Outlet};
use crate::provider::{schema_of, whole};
use crate::{Diagnostics, Model, Schema, Value, model, validate};

/// Something that is done once, and has no state.
pub trait Action: Send + Sync + 'static {
    /// Its attributes.
    type Config: Model;
    /// The full type name.
    const TYPE_NAME: &'static str;
    /// What to use instead, when deprecated.
    const DEPRECATED: Option<&'static str> = None;

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

    /// Says at plan what would go wrong; values may be unknown.
    fn plan(&self, config: &Self::Config, call: &Call) -> impl Future<Output = ActionPlan> + Send {
        let _ = (config, call);
        async { ActionPlan::default() }
    }

    /// Acts, and tells progress.
    fn invoke(
        &self,
        config: Self::Config,
        progress: &Outlet<String>,
        call: &Call,
    ) -> impl Future<Output = Diagnostics> + Send;
}

pub(crate) struct ActionOf<A> {
    action: A,
    schema: Schema,
}

impl<A: Action> ActionOf<A> {
    pub(crate) fn new(action: A) -> Self {
        Self { action, schema: schema_of::<A::Config>(A::DEPRECATED) }
    }
}

impl<A: Action> AnyAction for ActionOf<A> {
    fn type_name(&self) -> &str {
        A::TYPE_NAME
    }

    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn validate<'a>(&'a self, config: Value, call: Call) -> BoxFuture<'a, Diagnostics> {
        let capabilities = call.capabilities;
        Box::pin(validate::block(&self.schema, config, capabilities, move |config| async move {
            self.action.validate(&config, &call).await
        }))
    }

    fn plan<'a>(&'a self, config: Value, call: Call) -> BoxFuture<'a, ActionPlan> {
        Box::pin(async move {
            match model::from_value(&whole(config, &self.schema)) {
                Ok(config) => {
                    let mut answer = self.action.plan(&config, &call).await;
                    answer.deferred = Deferred::granted(
                        answer.deferred,
                        call.capabilities.deferral_allowed,
                        &mut answer.diagnostics,
                    );
                    answer
                }
                Err(wrong) => ActionPlan { deferred: None, diagnostics: wrong.into() },
            }
        })
    }

    fn invoke<'a>(
        &'a self,
        config: Value,
        progress: Outlet<String>,
        call: Call,
    ) -> BoxFuture<'a, Diagnostics> {
        Box::pin(async move {
            match model::from_value(&whole(config, &self.schema)) {
                Ok(config) => self.action.invoke(config, &progress, &call).await,
                Err(wrong) => wrong.into(),
            }
        })
    }
}
