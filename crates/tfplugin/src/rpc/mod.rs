//! The procedures of the wire, one file each, and the service that holds them.

use std::future::Future;
use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};
use std::time::Instant;

use tfplugin_proto::tfplugin6::{self as wire, provider_server};
use tokio::sync::watch;
use tonic::{Request, Response, Status, Streaming};
use tracing::Instrument;

use crate::erased::{
    AnyAction, AnyDataSource, AnyEphemeral, AnyList, AnyProvider, AnyResource, Call, Stop,
};
use crate::{Diagnostic, Diagnostics, Value};

mod apply_resource_change;
mod call_function;
mod close_ephemeral_resource;
mod configure_provider;
mod configure_state_store;
mod convert;
mod delete_state;
mod generate_resource_config;
mod get_functions;
mod get_metadata;
mod get_provider_schema;
mod get_resource_identity_schemas;
mod get_states;
mod import_resource_state;
mod invoke_action;
mod list_resource;
mod lock_state;
mod move_resource_state;
mod open_ephemeral_resource;
mod plan_action;
mod plan_resource_change;
mod read_data_source;
mod read_resource;
mod read_state_bytes;
mod renew_ephemeral_resource;
mod stop_provider;
mod unlock_state;
mod upgrade_resource_identity;
mod upgrade_resource_state;
mod validate_action_config;
mod validate_data_resource_config;
mod validate_ephemeral_resource_config;
mod validate_list_resource_config;
mod validate_provider_config;
mod validate_resource_config;
mod validate_state_store_config;
mod write_state_bytes;

/// What a procedure comes to: an answer, or why there is none.
pub(crate) type Answered<T> = Result<T, Diagnostics>;

/// A provider on the wire.
#[derive(Clone)]
pub(crate) struct Service(Arc<Inner>);

struct Inner {
    provider: Arc<dyn AnyProvider>,
    stop: Mutex<Stop>,
    calls: AtomicU64,
    /// How many calls are being worked on, whether or not anybody still waits for them.
    busy: watch::Sender<usize>,
}

/// One call that is being worked on.
struct Busy(Arc<Inner>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.send_modify(|calls| *calls -= 1);
    }
}

impl Service {
    pub(crate) fn new(provider: Arc<dyn AnyProvider>) -> Service {
        let stop = Mutex::new(Stop::new());
        let busy = watch::Sender::new(0);
        Service(Arc::new(Inner { provider, stop, calls: AtomicU64::new(0), busy }))
    }

    fn provider(&self) -> &dyn AnyProvider {
        &*self.0.provider
    }

    /// What every call carries.
    fn call(&self, capabilities: Option<wire::ClientCapabilities>) -> Call {
        let stop = self.0.stop.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Call { stop, capabilities: convert::capabilities(capabilities) }
    }

    /// Tells all calls in flight to come to an end. Later ones begin afresh: a provider that is
    /// being debugged outlives the core that stopped it.
    pub(crate) fn stop(&self) {
        let mut stop = self.0.stop.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *stop).cancel();
    }

    /// Held for as long as a call is being worked on.
    fn busy(&self) -> Busy {
        self.0.busy.send_modify(|calls| *calls += 1);
        Busy(self.0.clone())
    }

    /// Comes when no call is being worked on any more.
    pub(crate) async fn idle(&self) {
        // The sender lives in `self`, so the wait cannot fail.
        let _ = self.0.busy.subscribe().wait_for(|calls| *calls == 0).await;
    }

    fn meta(&self, value: Option<wire::DynamicValue>) -> Result<Value, Diagnostic> {
        match self.provider().meta_schema() {
            Some(schema) => convert::decode(value, schema.ty()),
            None => Ok(Value::Null),
        }
    }

    fn capabilities(&self) -> wire::ServerCapabilities {
        wire::ServerCapabilities {
            plan_destroy: true,
            get_provider_schema_optional: true,
            move_resource_state: self.provider().resources().values().any(|one| one.can_move()),
            // The core's own generation leaves out what is computed; ours would do no better.
            generate_resource_config: false,
        }
    }

    fn resource(&self, name: &str) -> Result<Arc<dyn AnyResource>, Diagnostic> {
        part(self.provider().resources().get(name), "resource", name)
    }

    fn data_source(&self, name: &str) -> Result<Arc<dyn AnyDataSource>, Diagnostic> {
        part(self.provider().data_sources().get(name), "data source", name)
    }

    fn ephemeral(&self, name: &str) -> Result<Arc<dyn AnyEphemeral>, Diagnostic> {
        part(self.provider().ephemerals().get(name), "ephemeral resource", name)
    }

    fn list(&self, name: &str) -> Result<Arc<dyn AnyList>, Diagnostic> {
        part(self.provider().lists().get(name), "list resource", name)
    }

    fn action(&self, name: &str) -> Result<Arc<dyn AnyAction>, Diagnostic> {
        part(self.provider().actions().get(name), "action", name)
    }

    /// What every line of the log has that a call brings about.
    fn span(&self, procedure: &'static str, type_name: &str) -> tracing::Span {
        let number = self.0.calls.fetch_add(1, Ordering::Relaxed);
        tracing::debug_span!(
            "rpc",
            tf_rpc = procedure,
            tf_req_id = number,
            tf_resource_type = %type_name
        )
    }

    /// Runs one procedure in a task of its own, so that it comes to its end though the core no
    /// longer waits, and so that a fault in it is told as a diagnostic.
    async fn run<A: Answer>(
        &self,
        procedure: &'static str,
        type_name: String,
        answer: impl Future<Output = Answered<A>> + Send + 'static,
    ) -> Result<Response<A>, Status> {
        let (span, begun) = (self.span(procedure, &type_name), Instant::now());
        let busy = self.busy();
        let work = async move {
            let _busy = busy;
            answer.await
        };
        let done = tokio::spawn(work.instrument(span.clone())).await;
        let _entered = span.enter();
        let mut answer = match done {
            Ok(Ok(answer)) => answer,
            Ok(Err(diagnostics)) => A::refuse(&diagnostics),
            Err(_) => A::refuse(
                &Diagnostic::error(
                    "Provider failed",
                    format!("{procedure} ended in a fault of the provider; its log says more."),
                )
                .into(),
            ),
        };
        for one in answer.told() {
            if one.severity() == wire::diagnostic::Severity::Error {
                one.detail = self.provider().word(&one.summary, std::mem::take(&mut one.detail));
            }
        }
        answered(begun);
        Ok(Response::new(answer))
    }
}

/// The last line of a call.
fn answered(begun: Instant) {
    let milliseconds = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    tracing::debug!(tf_req_duration_ms = milliseconds, "answered");
}

fn part<T: ?Sized>(found: Option<&Arc<T>>, noun: &str, name: &str) -> Result<Arc<T>, Diagnostic> {
    found.cloned().ok_or_else(|| {
        Diagnostic::error(
            format!("Unknown {noun}"),
            format!("This version of the provider has no {noun} {name:?}."),
        )
    })
}

/// An answer that can say what went wrong.
trait Answer: Default + Send + 'static {
    fn refuse(diagnostics: &Diagnostics) -> Self;
    /// What it tells.
    fn told(&mut self) -> &mut [wire::Diagnostic] {
        &mut []
    }
}

/// The answers that have diagnostics.
macro_rules! answers {
    ($($procedure:ident)*) => {
        $(impl Answer for wire::$procedure::Response {
            // Some of them have no more than diagnostics.
            #[allow(clippy::needless_update)]
            fn refuse(diagnostics: &Diagnostics) -> Self {
                Self { diagnostics: convert::diagnostics(diagnostics), ..Self::default() }
            }

            fn told(&mut self) -> &mut [wire::Diagnostic] {
                &mut self.diagnostics
            }
        })*
    };
}

/// The service: what asks once and is answered once is listed, the rest is written out.
macro_rules! service {
    (
        $($procedure:ident $name:literal $(of $about:ident)?;)*
        { $($others:tt)* }
    ) => {
        #[tonic::async_trait]
        impl provider_server::Provider for Service {
            $($others)*

            $(async fn $procedure(
                &self,
                request: Request<wire::$procedure::Request>,
            ) -> Result<Response<wire::$procedure::Response>, Status> {
                let request = request.into_inner();
                // No name where it is about the whole provider.
                let about = String::new() $(+ &request.$about)?;
                self.run($name, about, $procedure::call(self.clone(), request)).await
            })*
        }
    };
}

answers! {
    get_metadata
    get_provider_schema
    get_resource_identity_schemas
    validate_provider_config
    configure_provider
    validate_resource_config
    validate_data_resource_config
    validate_ephemeral_resource_config
    validate_list_resource_config
    validate_action_config
    upgrade_resource_state
    upgrade_resource_identity
    read_resource
    plan_resource_change
    apply_resource_change
    import_resource_state
    move_resource_state
    generate_resource_config
    read_data_source
    open_ephemeral_resource
    renew_ephemeral_resource
    close_ephemeral_resource
    get_functions
    plan_action
}

impl Answer for wire::stop_provider::Response {
    fn refuse(diagnostics: &Diagnostics) -> Self {
        Self { error: first(diagnostics) }
    }
}

impl Answer for wire::call_function::Response {
    fn refuse(diagnostics: &Diagnostics) -> Self {
        let text = first(diagnostics);
        Self { result: None, error: Some(wire::FunctionError { text, function_argument: None }) }
    }
}

fn first(diagnostics: &Diagnostics) -> String {
    diagnostics.iter().next().map(ToString::to_string).unwrap_or_default()
}

service! {
    get_metadata "GetMetadata";
    get_provider_schema "GetProviderSchema";
    get_resource_identity_schemas "GetResourceIdentitySchemas";
    validate_provider_config "ValidateProviderConfig";
    configure_provider "ConfigureProvider";
    stop_provider "StopProvider";
    validate_resource_config "ValidateResourceConfig" of type_name;
    validate_data_resource_config "ValidateDataResourceConfig" of type_name;
    validate_ephemeral_resource_config "ValidateEphemeralResourceConfig" of type_name;
    validate_list_resource_config "ValidateListResourceConfig" of type_name;
    validate_action_config "ValidateActionConfig" of type_name;
    upgrade_resource_state "UpgradeResourceState" of type_name;
    upgrade_resource_identity "UpgradeResourceIdentity" of type_name;
    read_resource "ReadResource" of type_name;
    plan_resource_change "PlanResourceChange" of type_name;
    apply_resource_change "ApplyResourceChange" of type_name;
    import_resource_state "ImportResourceState" of type_name;
    move_resource_state "MoveResourceState" of target_type_name;
    generate_resource_config "GenerateResourceConfig" of type_name;
    read_data_source "ReadDataSource" of type_name;
    open_ephemeral_resource "OpenEphemeralResource" of type_name;
    renew_ephemeral_resource "RenewEphemeralResource" of type_name;
    close_ephemeral_resource "CloseEphemeralResource" of type_name;
    get_functions "GetFunctions";
    call_function "CallFunction" of name;
    plan_action "PlanAction" of action_type;
    {
        type ListResourceStream = list_resource::Events;
        type InvokeActionStream = invoke_action::Events;
        type ReadStateBytesStream =
            tokio_stream::Empty<Result<wire::read_state_bytes::Response, Status>>;

        async fn list_resource(
            &self,
            request: Request<wire::list_resource::Request>,
        ) -> Result<Response<Self::ListResourceStream>, Status> {
            Ok(Response::new(list_resource::call(self.clone(), request.into_inner())))
        }

        async fn invoke_action(
            &self,
            request: Request<wire::invoke_action::Request>,
        ) -> Result<Response<Self::InvokeActionStream>, Status> {
            Ok(Response::new(invoke_action::call(self.clone(), request.into_inner())))
        }

        async fn validate_state_store_config(
            &self,
            _request: Request<wire::validate_state_store::Request>,
        ) -> Result<Response<wire::validate_state_store::Response>, Status> {
            Err(validate_state_store_config::refuse())
        }

        async fn configure_state_store(
            &self,
            _request: Request<wire::configure_state_store::Request>,
        ) -> Result<Response<wire::configure_state_store::Response>, Status> {
            Err(configure_state_store::refuse())
        }

        async fn lock_state(
            &self,
            _request: Request<wire::lock_state::Request>,
        ) -> Result<Response<wire::lock_state::Response>, Status> {
            Err(lock_state::refuse())
        }

        async fn unlock_state(
            &self,
            _request: Request<wire::unlock_state::Request>,
        ) -> Result<Response<wire::unlock_state::Response>, Status> {
            Err(unlock_state::refuse())
        }

        async fn get_states(
            &self,
            _request: Request<wire::get_states::Request>,
        ) -> Result<Response<wire::get_states::Response>, Status> {
            Err(get_states::refuse())
        }

        async fn delete_state(
            &self,
            _request: Request<wire::delete_state::Request>,
        ) -> Result<Response<wire::delete_state::Response>, Status> {
            Err(delete_state::refuse())
        }

        async fn read_state_bytes(
            &self,
            _request: Request<wire::read_state_bytes::Request>,
        ) -> Result<Response<Self::ReadStateBytesStream>, Status> {
            Err(read_state_bytes::refuse())
        }

        async fn write_state_bytes(
            &self,
            _request: Request<Streaming<wire::write_state_bytes::RequestChunk>>,
        ) -> Result<Response<wire::write_state_bytes::Response>, Status> {
            Err(write_state_bytes::refuse())
        }
    }
}
