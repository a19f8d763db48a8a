//! `PlanAction`: what is wrong with an action before it is invoked.

use tfplugin_proto::tfplugin6::plan_action::{Request, Response};

use super::{Answered, Service, convert};

pub(super) async fn call(service: Service, request: Request) -> Answered<Response> {
    let action = service.action(&request.action_type)?;
    let config = convert::decode(request.config, action.schema().ty())?;
    let answer = action.plan(config, service.call(request.client_capabilities)).await;
    Ok(Response {
        diagnostics: convert::diagnostics(&answer.diagnostics),
        deferred: convert::deferred(answer.deferred),
    })
}
