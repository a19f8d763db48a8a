//! `UpgradeResourceState`: reads stored state. Called each time, also where versions are equal.

use tfplugin_proto::tfplugin6::upgrade_resource_state::{Request, Response};

use super::{Answered, Service, convert};

pub(super) async fn call(service: Service, request: Request) -> Answered<Response> {
    let resource = service.resource(&request.type_name)?;
    let state = convert::raw_json(request.raw_state)?;
    let answer = resource.upgrade(request.version, state, service.call(None)).await;
    Ok(Response {
        upgraded_state: convert::encode(&answer.value, resource.schema().ty())?,
        diagnostics: convert::diagnostics(&answer.diagnostics),
    })
}
