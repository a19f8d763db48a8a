//! `ConfigureProvider`: takes the provider block; parts of it may be unknown during a plan.

use tfplugin_proto::tfplugin6::configure_provider::{Request, Response};

use super::{Answered, Service, convert};
use crate::erased::ConfigureRequest;

pub(super) async fn call(service: Service, request: Request) -> Answered<Response> {
    let provider = service.provider();
    let config = convert::decode(request.config, provider.schema().ty())?;
    let mut call = service.call(request.client_capabilities);
    // Cores set it to true here in the apply walk, whatever they then allow.
    call.capabilities.deferral_allowed = false;
    let request = ConfigureRequest { terraform_version: request.terraform_version, config, call };
    let found = provider.configure(request).await;
    Ok(Response { diagnostics: convert::diagnostics(&found) })
}
