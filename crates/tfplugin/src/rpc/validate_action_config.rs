//! `ValidateActionConfig`: is an action block right?

use tfplugin_proto::tfplugin6::validate_action_config::{Request, Response};

use super::{Answered, Service, convert};

pub(super) async fn call(service: Service, request: Request) -> Answered<Response> {
    let action = service.action(&request.type_name)?;
    let config = convert::decode(request.config, action.schema().ty())?;
    let mut call = service.call(None);
    // The message does not say it: every core that knows actions knows write-only attributes.
    call.capabilities.write_only_attributes_allowed = true;
    let found = action.validate(config, call).await;
    Ok(Response { diagnostics: convert::diagnostics(&found) })
}
