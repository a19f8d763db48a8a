//! `GenerateResourceConfig`: writes a configuration for an object that exists.

use tfplugin_proto::tfplugin6::generate_resource_config::{Request, Response};

use super::{Answered, Service, convert};

pub(super) async fn call(service: Service, request: Request) -> Answered<Response> {
    let resource = service.resource(&request.type_name)?;
    let ty = resource.schema().ty();
    let answer = resource.generate_config(convert::decode(request.state, ty)?);
    Ok(Response {
        config: convert::encode(&answer.value, ty)?,
        diagnostics: convert::diagnostics(&answer.diagnostics),
    })
}
