//! `ValidateEphemeralResourceConfig`: is an ephemeral block right?

use tfplugin_proto::tfplugin6::validate_ephemeral_resource_config::{Request, Response};

use super::{Answered, Service, convert};

pub(super) async fn call(service: Service, request: Request) -> Answered<Response> {
    let ephemeral = service.ephemeral(&request.type_name)?;
    let config = convert::decode(request.config, ephemeral.schema().ty())?;
    let found = ephemeral.validate(config, service.call(None)).await;
    Ok(Response { diagnostics: convert::diagnostics(&found) })
}
