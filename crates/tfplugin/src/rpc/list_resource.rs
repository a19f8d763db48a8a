//! `ListResource`: a stream of objects. The core stops reading at its limit; so do we.

use std::time::Instant;

use tfplugin_proto::tfplugin6::list_resource::{Event, Request};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use tracing::Instrument;

use super::{Service, answered, convert};
use crate::erased::{ListEvent, ListRequest, Outlet};
use crate::{Diagnostic, Diagnostics, laws};

/// How many events may wait for the core.
const AHEAD: usize = 16;

pub(super) type Events = ReceiverStream<Result<Event, Status>>;

pub(super) fn call(service: Service, request: Request) -> Events {
    let (wire, events) = mpsc::channel(AHEAD);
    let (span, begun) = (service.span("ListResource", &request.type_name), Instant::now());
    let work = async move {
        if let Err(diagnostics) = list(&service, request, &wire).await {
            let event =
                Event { diagnostic: convert::diagnostics(&diagnostics), ..Event::default() };
            // Nobody listening any more is no failure.
            let _ = wire.send(Ok(event)).await;
        }
        answered(begun);
    };
    tokio::spawn(work.instrument(span));
    ReceiverStream::new(events)
}

async fn list(
    service: &Service,
    request: Request,
    wire: &mpsc::Sender<Result<Event, Status>>,
) -> Result<(), Diagnostics> {
    let list = service.list(&request.type_name)?;
    let resource = service.resource(&request.type_name)?;
    let identity = resource.identity_schema();
    let ty = resource.schema().ty();
    let config = convert::decode(request.config, list.schema().ty())?;
    let limit = if request.limit > 0 { request.limit } else { 100 };
    let (outlet, mut found) = Outlet::<ListEvent>::new(AHEAD);
    let mut call = service.call(None);
    // A stop for this listing alone, beside the one for all.
    let enough = call.stop.child_token();
    call.stop = enough.clone();
    let wanted =
        ListRequest { config, include_object: request.include_resource_object, limit, call };
    let (lister, busy) = (list.clone(), service.busy());
    let listing = async move {
        let _busy = busy;
        lister.list(wanted, outlet).await;
    };
    let listing = tokio::spawn(listing.in_current_span());
    let mut left = limit;
    while left > 0 {
        let event = tokio::select! {
            event = found.recv() => event,
            // Nobody listens, though the next object may be long in coming.
            () = wire.closed() => None,
        };
        let Some(event) = event else { break };
        let mut told = event.diagnostics;
        if cfg!(debug_assertions) && !told.has_errors() {
            let mut breaches = Vec::new();
            if let (Some(schema), Some(now)) = (identity, &event.identity) {
                breaches.extend(laws::check_identity(schema, None, now, true, true));
            }
            if let Some(object) = &event.object {
                breaches.extend(laws::check_read(resource.schema(), object));
            }
            told.extend(laws::diagnostics(breaches));
        }
        let object = match (&event.object, request.include_resource_object) {
            (Some(object), true) => convert::encode(object, ty)?,
            _ => None,
        };
        if event.identity.is_some() {
            left -= 1;
        }
        let event = Event {
            identity: convert::encode_identity(event.identity.as_ref(), identity)?,
            display_name: event.display_name,
            resource_object: object,
            diagnostic: convert::diagnostics(&told),
        };
        if wire.send(Ok(event)).await.is_err() {
            break;
        }
    }
    // The outlet's other end goes, and with it the lister's reason to go on.
    drop(found);
    enough.cancel();
    match listing.await {
        Err(error) if error.is_panic() => Err(Diagnostic::error(
            "Provider failed",
            "Listing ended in a fault of the provider; its log says more.",
        )
        .into()),
        _ => Ok(()),
    }
}
