//! `ValidateResourceConfig`: is a resource block right?

use tfplugin_proto::tfplugin6::validate_resource_config::{Request, Response};

use super::{Answered, Service, convert};

pub(super) async fn call(service: Service, request: Request) -> Answered<Response> {
    let resource = service.resource(&request.type_name)?;
    let config = convert::decode(request.config, resource.schema().ty())?;
    let found = resource.validate(config, service.call(request.client_capabilities)).await;
    Ok(Response { diagnostics: convert::diagnostics(&found) })
}
