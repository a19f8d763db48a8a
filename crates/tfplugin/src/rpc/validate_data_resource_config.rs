//! `ValidateDataResourceConfig`: is a data block right?

use tfplugin_proto::tfplugin6::validate_data_resource_config::{Request, Response};

use super::{Answered, Service, convert};

pub(super) async fn call(service: Service, request: Request) -> Answered<Response> {
    let data_source = service.data_source(&request.type_name)?;
    let config = convert::decode(request.config, data_source.schema().ty())?;
    let found = data_source.validate(config, service.call(None)).await;
    Ok(Response { diagnostics: convert::diagnostics(&found) })
}
