//! `RenewEphemeralResource`: keeps an open one going.

use tfplugin_proto::tfplugin6::renew_ephemeral_resource::{Request, Response};

use super::{Answered, Service, convert};

pub(super) async fn call(service: Service, request: Request) -> Answered<Response> {
    let ephemeral = service.ephemeral(&request.type_name)?;
    let private = request.private.unwrap_or_default();
    let answer = ephemeral.renew(private, service.call(None)).await;
    Ok(Response {
        diagnostics: convert::diagnostics(&answer.diagnostics),
        renew_at: convert::timestamp(answer.renew_at),
        private: Some(answer.private),
    })
}
