//! `MoveResourceState`: takes over an object of another type. The provider is not configured.

use tfplugin_proto::tfplugin6::move_resource_state::{Request, Response};

use super::{Answered, Service, convert};
use crate::erased::MoveRequest;

pub(super) async fn call(service: Service, request: Request) -> Answered<Response> {
    let resource = service.resource(&request.target_type_name)?;
    let source_identity = request
        .source_identity
        .filter(|raw| !raw.json.is_empty())
        .map(|raw| convert::raw_json(Some(raw)))
        .transpose()?;
    let answer = resource
        .move_state(MoveRequest {
            source_provider_address: request.source_provider_address,
            source_type_name: request.source_type_name,
            source_schema_version: request.source_schema_version,
            source_state: convert::raw_json(request.source_state)?,
            source_private: request.source_private,
            source_identity,
            call: service.call(None),
        })
        .await;
    Ok(Response {
        target_state: convert::encode(&answer.state, resource.schema().ty())?,
        diagnostics: convert::diagnostics(&answer.diagnostics),
        target_private: answer.private,
        target_identity: convert::encode_identity(
            answer.identity.as_ref(),
            resource.identity_schema(),
        )?,
    })
}
