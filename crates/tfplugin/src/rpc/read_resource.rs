//! `ReadResource`: what is there now.

use tfplugin_proto::tfplugin6::read_resource::{Request, Response};

use super::{Answered, Service, convert};
use crate::erased::ReadRequest;

pub(super) async fn call(service: Service, request: Request) -> Answered<Response> {
    let resource = service.resource(&request.type_name)?;
    let (ty, identity) = (resource.schema().ty(), resource.identity_schema());
    let answer = resource
        .read(ReadRequest {
            state: convert::decode(request.current_state, ty)?,
            private: request.private,
            identity: convert::decode_identity(request.current_identity, identity)?,
            provider_meta: service.meta(request.provider_meta)?,
            call: service.call(request.client_capabilities),
        })
        .await;
    Ok(Response {
        new_state: convert::encode(&answer.state, ty)?,
        diagnostics: convert::diagnostics(&answer.diagnostics),
        private: answer.private,
        deferred: convert::deferred(answer.deferred),
        new_identity: convert::encode_identity(answer.identity.as_ref(), identity)?,
    })
}
