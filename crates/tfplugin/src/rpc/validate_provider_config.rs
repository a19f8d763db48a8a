//! `ValidateProviderConfig`: is the provider block right?

use tfplugin_proto::tfplugin6::validate_provider_config::{Request, Response};

use super::{Answered, Service, convert};

pub(super) async fn call(service: Service, request: Request) -> Answered<Response> {
    let provider = service.provider();
    let config = convert::decode(request.config, provider.schema().ty())?;
    let found = provider.validate(config, service.call(None)).await;
    Ok(Response { diagnostics: convert::diagnostics(&found) })
}
