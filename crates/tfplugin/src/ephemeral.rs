//! Ephemeral resources: open, renew, close, and no state.

use std::future::Future;
use std::time::SystemTime;

use crate::erased::{AnyEphemeral, BoxFuture, Call, Deferred, OpenResponse, RenewResponse};
use crate::provider::{schema_of, whole};
use crate::value::without_write_only;
use crate::{Diagnostics, Model, Schema, Value, laws, model, validate};

/// An ephemeral resource. It is opened in plan **and** in apply: never change in `open` what others
/// use.
pub trait Ephemeral: Send + Sync + 'static {
    /// Its attributes.
    type Model: Model;
    /// The full type name.
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

    /// Opens: fills in the computed attributes of a configuration whose defaults are applied.
    fn open(
        &self,
        config: Self::Model,
        call: &Call,
    ) -> impl Future<Output = Result<Opened<Self::Model>, Diagnostics>> + Send;

    /// Makes it live longer. Only called if `renew_at` was given.
    fn renew(
        &self,
        private: Vec<u8>,
        call: &Call,
    ) -> impl Future<Output = Result<Renewed, Diagnostics>> + Send {
        let _ = call;
        async { Ok(Renewed { renew_at: None, private, diagnostics: Diagnostics::new() }) }
    }

    /// Ends it, with the private bytes of **open**.
    fn close(&self, private: Vec<u8>, call: &Call) -> impl Future<Output = Diagnostics> + Send {
        let _ = (private, call);
        async { Diagnostics::new() }
    }
}

/// What was opened.
#[derive(Clone)]
pub struct Opened<M> {
    /// All attributes, known.
    pub result: M,
    /// When the core calls renew: well before the real end.
    pub renew_at: Option<SystemTime>,
    /// Bytes for renew and close.
    pub private: Vec<u8>,
    /// Waits for a later run; only where `call.capabilities.deferral_allowed`.
    pub deferred: Option<Deferred>,
    /// Warnings.
    pub diagnostics: Diagnostics,
}

impl<M> From<M> for Opened<M> {
    fn from(result: M) -> Self {
        Self {
            result,
            renew_at: None,
            private: Vec::new(),
            deferred: None,
            diagnostics: Diagnostics::new(),
        }
    }
}

/// What was renewed.
#[derive(Clone, Default)]
pub struct Renewed {
    /// When the core calls renew again.
    pub renew_at: Option<SystemTime>,
    /// Bytes for the next renew (close gets those of open).
    pub private: Vec<u8>,
    /// Warnings.
    pub diagnostics: Diagnostics,
}

// Private bytes may hold anything.
crate::secret::shows! {
    Opened<M> { result, renew_at, deferred, diagnostics }
    Renewed { renew_at, diagnostics }
}

pub(crate) struct EphemeralOf<E> {
    ephemeral: E,
    schema: Schema,
}

impl<E: Ephemeral> EphemeralOf<E> {
    pub(crate) fn new(ephemeral: E) -> Self {
        Self { ephemeral, schema: schema_of::<E::Model>(E::DEPRECATED) }
    }
}

impl<E: Ephemeral> AnyEphemeral for EphemeralOf<E> {
    fn type_name(&self) -> &str {
        E::TYPE_NAME
    }

    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn validate<'a>(&'a self, config: Value, call: Call) -> BoxFuture<'a, Diagnostics> {
        let capabilities = call.capabilities;
        Box::pin(validate::block(&self.schema, config, capabilities, move |config| async move {
            self.ephemeral.validate(&config, &call).await
        }))
    }

    fn open<'a>(&'a self, config: Value, call: Call) -> BoxFuture<'a, OpenResponse> {
        Box::pin(async move {
            let mut response = OpenResponse::default();
            let opened = match model::from_value(&whole(config.clone(), &self.schema)) {
                Ok(config) => self.ephemeral.open(config, &call).await,
                Err(wrong) => Err(wrong.into()),
            };
            match opened {
                Ok(opened) => {
                    response.result = without_write_only(
                        model::to_value(&opened.result),
                        &self.schema.attributes,
                    );
                    response.renew_at = opened.renew_at;
                    response.private = opened.private;
                    response.diagnostics = opened.diagnostics;
                    response.deferred = Deferred::granted(
                        opened.deferred,
                        call.capabilities.deferral_allowed,
                        &mut response.diagnostics,
                    );
                    let judged = response.deferred.is_none() && !response.diagnostics.has_errors();
                    if cfg!(debug_assertions) && judged {
                        let breaches = laws::check_open(&self.schema, &config, &response.result);
                        response.diagnostics.extend(laws::diagnostics(breaches));
                    }
                }
                Err(diagnostics) => response.diagnostics = diagnostics,
            }
            response
        })
    }

    fn renew<'a>(&'a self, private: Vec<u8>, call: Call) -> BoxFuture<'a, RenewResponse> {
        Box::pin(async move {
            match self.ephemeral.renew(private.clone(), &call).await {
                Ok(Renewed { renew_at, private, diagnostics }) => {
                    RenewResponse { renew_at, private, diagnostics }
                }
                Err(diagnostics) => RenewResponse { renew_at: None, private, diagnostics },
            }
        })
    }

    fn close<'a>(&'a self, private: Vec<u8>, call: Call) -> BoxFuture<'a, Diagnostics> {
        Box::pin(async move { self.ephemeral.close(private, &call).await })
    }
}
