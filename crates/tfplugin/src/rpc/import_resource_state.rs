//! `ImportResourceState`: finds an object that is in no state yet.

use tfplugin_proto::tfplugin6::import_resource_state::{ImportedResource, Request, Response};

use super::{Answered, Service, convert};
use crate::erased::ImportRequest;

pub(super) async fn call(service: Service, request: Request) -> Answered<Response> {
    let resource = service.resource(&request.type_name)?;
    let identity = resource.identity_schema();
    let answer = resource
        .import(ImportRequest {
            id: request.id,
            identity: convert::decode_identity(request.identity, identity)?,
            call: service.call(request.client_capabilities),
        })
        .await;
    let mut told = answer.diagnostics;
    if answer.state.is_null() && answer.deferred.is_none() && !told.has_errors() {
        // `terraform import` takes an answer without an object for a success.
        told.error(
            "Nothing imported",
            format!(
                "There is no {} of that id, and the provider did not say so.",
                request.type_name
            ),
        );
    }
    let diagnostics = convert::diagnostics(&told);
    let imported_resources = if told.has_errors() || answer.deferred.is_some() {
        Vec::new()
    } else {
        vec![ImportedResource {
            type_name: request.type_name,
            state: convert::encode(&answer.state, resource.schema().ty())?,
            private: answer.private,
            identity: convert::encode_identity(answer.identity.as_ref(), identity)?,
        }]
    };
    Ok(Response { imported_resources, diagnostics, deferred: convert::deferred(answer.deferred) })
}
