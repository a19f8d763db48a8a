//! `InvokeAction`: progress, then exactly one end. Cores crash on an event that is neither.

use std::time::Instant;

use tfplugin_proto::tfplugin6::invoke_action::{
    Event, Request,
    event::{Completed, Progress, Type as Kind},
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use tracing::Instrument;

use super::{Service, answered, convert};
use crate::erased::Outlet;
use crate::{Diagnostic, Diagnostics};

/// How many events may wait for the core.
const AHEAD: usize = 16;

pub(super) type Events = ReceiverStream<Result<Event, Status>>;

pub(super) fn call(service: Service, request: Request) -> Events {
    let (wire, events) = mpsc::channel(AHEAD);
    let (span, begun) = (service.span("InvokeAction", &request.action_type), Instant::now());
    let work = async move {
        let diagnostics = match invoke(&service, request, &wire).await {
            Ok(diagnostics) | Err(diagnostics) => convert::diagnostics(&diagnostics),
        };
        let end = Event { r#type: Some(Kind::Completed(Completed { diagnostics })) };
        // The core may have gone; the deed is done all the same.
        let _ = wire.send(Ok(end)).await;
        answered(begun);
    };
    tokio::spawn(work.instrument(span));
    ReceiverStream::new(events)
}

async fn invoke(
    service: &Service,
    request: Request,
    wire: &mpsc::Sender<Result<Event, Status>>,
) -> Result<Diagnostics, Diagnostics> {
    let action = service.action(&request.action_type)?;
    let config = convert::decode(request.config, action.schema().ty())?;
    let (outlet, mut said) = Outlet::<String>::new(AHEAD);
    let call = service.call(request.client_capabilities);
    let busy = service.busy();
    let deed = async move {
        let _busy = busy;
        action.invoke(config, outlet, call).await
    };
    let deed = tokio::spawn(deed.in_current_span());
    while let Some(message) = said.recv().await {
        let event = Event { r#type: Some(Kind::Progress(Progress { message })) };
        // Without a listener the deed still goes on to its end.
        let _ = wire.send(Ok(event)).await;
    }
    deed.await.map_err(|_| {
        Diagnostic::error(
            "Provider failed",
            "The action ended in a fault of the provider; its log says more. What it did until \
             then is not known.",
        )
        .into()
    })
}
