//! `ValidateListResourceConfig`: is the inner block of a list right?

use tfplugin_proto::tfplugin6::validate_list_resource_config::{Request, Response};

use super::{Answered, Service, convert};

pub(super) async fn call(service: Service, request: Request) -> Answered<Response> {
    let list = service.list(&request.type_name)?;
    let config = convert::decode(request.config, list.schema().ty())?;
    let found = list.validate(config, service.call(None)).await;
    Ok(Response { diagnostics: convert::diagnostics(&found) })
}
