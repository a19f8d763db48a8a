//! What go-plugin expects beside the provider: controller, stdio, broker, health.

use std::pin::Pin;
use std::task::{Context, Poll};

use tfplugin_proto::health::{
    HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus, health_server,
};
use tfplugin_proto::plugin::{
    ConnInfo, Empty, StdioData, grpc_broker_server, grpc_controller_server, grpc_stdio_server,
};
use tokio_stream::{Stream, StreamExt};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::{Request, Response, Status, Streaming};

/// Lets the core end us. A core that was given a process to debug must not, and does not, use it.
pub(super) struct Controller {
    end: CancellationToken,
    debug: bool,
}

impl Controller {
    pub(super) fn new(end: CancellationToken, debug: bool) -> Controller {
        Controller { end, debug }
    }
}

#[tonic::async_trait]
impl grpc_controller_server::GrpcController for Controller {
    async fn shutdown(&self, _request: Request<Empty>) -> Result<Response<Empty>, Status> {
        tracing::debug!("asked to shut down");
        if !self.debug {
            self.end.cancel();
        }
        Ok(Response::new(Empty {}))
    }
}

/// The core that started us.
#[derive(Clone)]
pub(super) struct Owner {
    orphaned: CancellationToken,
    spoke: CancellationToken,
}

impl Owner {
    /// `orphaned` is told when it is gone without a word.
    pub(super) fn new(orphaned: &CancellationToken) -> Owner {
        Owner { orphaned: orphaned.clone(), spoke: CancellationToken::new() }
    }

    #[cfg_attr(not(unix), allow(dead_code))]
    pub(super) fn spoke(&self) -> bool {
        self.spoke.is_cancelled()
    }

    pub(super) fn gone(&self) {
        self.orphaned.cancel();
    }
}

/// A stream that says nothing until the end.
pub(super) struct Silence {
    end: Pin<Box<WaitForCancellationFutureOwned>>,
    // Told of its loss before the end: where the core owns us, nobody is left then.
    owner: Option<Owner>,
    all: CancellationToken,
}

impl Silence {
    fn until(end: &CancellationToken, owner: Option<Owner>) -> Silence {
        Silence { end: Box::pin(end.clone().cancelled_owned()), owner, all: end.clone() }
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        if let Some(owner) = &self.owner
            && !self.all.is_cancelled()
        {
            owner.gone();
            self.all.cancel();
        }
    }
}

/// Carries our output to the core: none, since everything is in the log. The core holds the stream
/// for as long as it lives, so its loss tells that the core is gone, however it went.
pub(super) struct Stdio {
    end: CancellationToken,
    owner: Option<Owner>,
}

impl Stdio {
    pub(super) fn new(end: CancellationToken, owner: Option<Owner>) -> Stdio {
        Stdio { end, owner }
    }
}

/// [`Silence`] as a stream of output.
pub(super) struct SilentOutput(Silence);

impl Stream for SilentOutput {
    type Item = Result<StdioData, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.end.as_mut().poll(context).map(|()| None)
    }
}

#[tonic::async_trait]
impl grpc_stdio_server::GrpcStdio for Stdio {
    type StreamStdioStream = SilentOutput;

    async fn stream_stdio(&self, _request: Request<()>) -> Result<Response<SilentOutput>, Status> {
        if let Some(owner) = &self.owner {
            owner.spoke.cancel();
        }
        Ok(Response::new(SilentOutput(Silence::until(&self.end, self.owner.clone()))))
    }
}

/// Arranges further connections: there are none.
pub(super) struct Broker {
    end: CancellationToken,
}

impl Broker {
    pub(super) fn new(end: CancellationToken) -> Broker {
        Broker { end }
    }
}

/// [`Silence`] as a stream of connections.
pub(super) struct SilentBroker(Silence);

impl Stream for SilentBroker {
    type Item = Result<ConnInfo, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.end.as_mut().poll(context).map(|()| None)
    }
}

#[tonic::async_trait]
impl grpc_broker_server::GrpcBroker for Broker {
    type StartStreamStream = SilentBroker;

    async fn start_stream(
        &self,
        request: Request<Streaming<ConnInfo>>,
    ) -> Result<Response<SilentBroker>, Status> {
        let (mut offers, end) = (request.into_inner(), self.end.clone());
        tokio::spawn(async move {
            // Nothing is ever offered; reading keeps the stream from filling up.
            while let Some(Ok(_)) = tokio::select! {
                () = end.cancelled() => None,
                offer = offers.next() => offer,
            } {}
        });
        Ok(Response::new(SilentBroker(Silence::until(&self.end, None))))
    }
}

/// Ready from the first moment.
pub(super) struct Ready;

#[tonic::async_trait]
impl health_server::Health for Ready {
    type WatchStream = tokio_stream::Once<Result<HealthCheckResponse, Status>>;

    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        match request.into_inner().service.as_str() {
            "" | "plugin" => {
                Ok(Response::new(HealthCheckResponse { status: ServingStatus::Serving.into() }))
            }
            _ => Err(Status::not_found("there is no such service")),
        }
    }

    async fn watch(
        &self,
        _request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        Err(Status::unimplemented("it never changes: use Check"))
    }
}
