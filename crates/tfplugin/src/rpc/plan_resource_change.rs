//! `PlanResourceChange`: what would be done.

use tfplugin_proto::tfplugin6::plan_resource_change::{Request, Response};

use super::{Answered, Service, convert};
use crate::erased::PlanRequest;

pub(super) async fn call(service: Service, request: Request) -> Answered<Response> {
    let resource = service.resource(&request.type_name)?;
    let (ty, identity) = (resource.schema().ty(), resource.identity_schema());
    let call = service.call(request.client_capabilities);
    let stores = call.capabilities.store_planned_private;
    let answer = resource
        .plan(PlanRequest {
            prior: convert::decode(request.prior_state, ty)?,
            proposed: convert::decode(request.proposed_new_state, ty)?,
            config: convert::decode(request.config, ty)?,
            prior_private: request.prior_private,
            planned_private: (stores && !request.planned_private.is_empty())
                .then_some(request.planned_private),
            prior_identity: convert::decode_identity(request.prior_identity, identity)?,
            provider_meta: service.meta(request.provider_meta)?,
            call,
        })
        .await;
    Ok(Response {
        planned_state: convert::encode(&answer.planned, ty)?,
        requires_replace: answer.requires_replace.iter().map(convert::path).collect(),
        planned_private: answer.private,
        diagnostics: convert::diagnostics(&answer.diagnostics),
        legacy_type_system: false,
        deferred: convert::deferred(answer.deferred),
        planned_identity: convert::encode_identity(answer.identity.as_ref(), identity)?,
    })
}
