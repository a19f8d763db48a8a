//! `GetResourceIdentitySchemas`: what tells objects apart, for the types that say so.

use tfplugin_proto::tfplugin6::get_resource_identity_schemas::{Request, Response};

use super::{Answered, Service, convert};

pub(super) async fn call(service: Service, _request: Request) -> Answered<Response> {
    let identity_schemas = service
        .provider()
        .resources()
        .iter()
        .filter_map(|(name, one)| {
            Some((name.clone(), convert::identity_schema(one.identity_schema()?)))
        })
        .collect();
    Ok(Response { identity_schemas, ..Response::default() })
}
