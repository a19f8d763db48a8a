//! `ValidateActionConfig`: is an action block right?

use tfplugin_proto::tfplugin6::validate_action_config::{Request, Response};

use super::{Answered, Service, convert};

pub(super) async fn call(service: Service, request: Request) -> Answered<Response> {
    let action = service.action(&request.type_name)?;
    let config = convert::decode(request.config, &action.schema().ty())?;
    let found = action.validate(config, service.call(None)).await;
    Ok(Response { diagnostics: convert::diagnostics(&found) })
}
