//! `GetFunctions`: all functions. OpenTofu asks a configured provider; Terraform never asks.

use tfplugin_proto::tfplugin6::get_functions::{Request, Response};

use super::{Answered, Service, convert};

pub(super) async fn call(service: Service, _request: Request) -> Answered<Response> {
    let functions = service
        .provider()
        .functions()
        .iter()
        .map(|(name, one)| (name.clone(), convert::function(one.signature())))
        .collect();
    Ok(Response { functions, ..Response::default() })
}
