//! `ApplyResourceChange`: does it, and answers what exists now, whatever went wrong.

use tfplugin_proto::tfplugin6::apply_resource_change::{Request, Response};

use super::{Answered, Service, convert};
use crate::erased::ApplyRequest;

pub(super) async fn call(service: Service, request: Request) -> Answered<Response> {
    let resource = service.resource(&request.type_name)?;
    let (ty, identity) = (resource.schema().ty(), resource.identity_schema());
    let answer = resource
        .apply(ApplyRequest {
            prior: convert::decode(request.prior_state, ty)?,
            planned: convert::decode(request.planned_state, ty)?,
            config: convert::decode(request.config, ty)?,
            planned_private: request.planned_private,
            planned_identity: convert::decode_identity(request.planned_identity, identity)?,
            provider_meta: service.meta(request.provider_meta)?,
            call: service.call(None),
        })
        .await;
    Ok(Response {
        new_state: convert::encode(&answer.state, ty)?,
        private: answer.private,
        diagnostics: convert::diagnostics(&answer.diagnostics),
        legacy_type_system: false,
        new_identity: convert::encode_identity(answer.identity.as_ref(), identity)?,
    })
}
