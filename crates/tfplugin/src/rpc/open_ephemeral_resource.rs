//! `OpenEphemeralResource`: opens for one phase of one run, at plan and at apply.

use tfplugin_proto::tfplugin6::open_ephemeral_resource::{Request, Response};

use super::{Answered, Service, convert};

pub(super) async fn call(service: Service, request: Request) -> Answered<Response> {
    let ephemeral = service.ephemeral(&request.type_name)?;
    let ty = ephemeral.schema().ty();
    let config = convert::decode(request.config, ty)?;
    let answer = ephemeral.open(config, service.call(request.client_capabilities)).await;
    Ok(Response {
        diagnostics: convert::diagnostics(&answer.diagnostics),
        renew_at: convert::timestamp(answer.renew_at),
        result: convert::encode(&answer.result, ty)?,
        private: Some(answer.private),
        deferred: convert::deferred(answer.deferred),
    })
}
