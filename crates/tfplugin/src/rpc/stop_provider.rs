//! `StopProvider`: work in flight should come to an end.

use tfplugin_proto::tfplugin6::stop_provider::{Request, Response};

use super::{Answered, Service};

pub(super) async fn call(service: Service, _request: Request) -> Answered<Response> {
    tracing::debug!("asked to stop");
    service.stop();
    Ok(Response::default())
}
