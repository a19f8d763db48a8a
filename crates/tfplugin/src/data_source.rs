//! Data sources.

use std::future::Future;

use crate::erased::{AnyDataSource, BoxFuture, Call, DataRequest, DataResponse, Deferred};
use crate::provider::{schema_of, whole};
use crate::value::without_write_only;
use crate::{Diagnostics, Model, Schema, Value, laws, model, validate};

/// A data source: takes arguments, gives values, changes nothing.
pub trait DataSource: Send + Sync + 'static {
    /// Its attributes.
    type Model: Model;
    /// The full type name, such as `nhi_integrations`.
    const TYPE_NAME: &'static str;
    /// What to use instead, when deprecated.
    const DEPRECATED: Option<&'static str> = None;

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

    /// Fills in the computed attributes of a configuration whose defaults are applied.
    fn read(
        &self,
        config: Self::Model,
        call: &Call,
    ) -> impl Future<Output = Result<Found<Self::Model>, Diagnostics>> + Send;
}

/// What a data source found.
#[derive(Clone, Debug)]
pub struct Found<M> {
    /// All attributes, known.
    pub state: M,
    /// Defers the answer; only where `call.capabilities.deferral_allowed`.
    pub deferred: Option<Deferred>,
    /// Warnings.
    pub diagnostics: Diagnostics,
}

impl<M> Found<M> {
    /// Could not be read yet: the answer waits for a later run. See [`Found::deferred`].
    #[must_use]
    pub fn defer(mut self, why: Deferred) -> Self {
        self.deferred = Some(why);
        self
    }
}

impl<M> From<M> for Found<M> {
    fn from(state: M) -> Self {
        Self { state, deferred: None, diagnostics: Diagnostics::new() }
    }
}

pub(crate) struct DataSourceOf<D> {
    source: D,
    schema: Schema,
}

impl<D: DataSource> DataSourceOf<D> {
    pub(crate) fn new(source: D) -> Self {
        Self { source, schema: schema_of::<D::Model>(D::DEPRECATED) }
    }
}

impl<D: DataSource> AnyDataSource for DataSourceOf<D> {
    fn type_name(&self) -> &str {
        D::TYPE_NAME
    }

    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn validate<'a>(&'a self, config: Value, call: Call) -> BoxFuture<'a, Diagnostics> {
        let capabilities = call.capabilities;
        Box::pin(validate::block(&self.schema, config, capabilities, move |config| async move {
            self.source.validate(&config, &call).await
        }))
    }

    fn read<'a>(&'a self, request: DataRequest) -> BoxFuture<'a, DataResponse> {
        Box::pin(async move {
            let mut response = DataResponse::default();
            let config = whole(request.config.clone(), &self.schema);
            let found = match model::from_value(&config) {
                Ok(config) => self.source.read(config, &request.call).await,
                Err(wrong) => Err(wrong.into()),
            };
            match found {
                Ok(found) => {
                    response.state =
                        without_write_only(model::to_value(&found.state), &self.schema.attributes);
                    response.diagnostics = found.diagnostics;
                    response.deferred = Deferred::granted(
                        found.deferred,
                        request.call.capabilities.deferral_allowed,
                        &mut response.diagnostics,
                    );
                    let judged = response.deferred.is_none() && !response.diagnostics.has_errors();
                    if cfg!(debug_assertions) && judged {
                        let breaches =
                            laws::check_data(&self.schema, &request.config, &response.state);
                        response.diagnostics.extend(laws::diagnostics(breaches));
                    }
                }
                Err(diagnostics) => response.diagnostics = diagnostics,
            }
            response
        })
    }
}
