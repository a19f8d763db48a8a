//! `GetMetadata`: the names of everything. Cores do not call it; multiplexers do.

use tfplugin_proto::tfplugin6::get_metadata::{
    ActionMetadata, DataSourceMetadata, EphemeralMetadata, FunctionMetadata, ListResourceMetadata,
    Request, ResourceMetadata, Response,
};

use super::{Answered, Service};

pub(super) async fn call(service: Service, _request: Request) -> Answered<Response> {
    let provider = service.provider();
    let names = |keys: Vec<&String>| keys.into_iter().cloned().collect::<Vec<String>>();
    Ok(Response {
        server_capabilities: Some(service.capabilities()),
        resources: names(provider.resources().keys().collect())
            .into_iter()
            .map(|type_name| ResourceMetadata { type_name })
            .collect(),
        data_sources: names(provider.data_sources().keys().collect())
            .into_iter()
            .map(|type_name| DataSourceMetadata { type_name })
            .collect(),
        functions: names(provider.functions().keys().collect())
            .into_iter()
            .map(|name| FunctionMetadata { name })
            .collect(),
        ephemeral_resources: names(provider.ephemerals().keys().collect())
            .into_iter()
            .map(|type_name| EphemeralMetadata { type_name })
            .collect(),
        list_resources: names(provider.lists().keys().collect())
            .into_iter()
            .map(|type_name| ListResourceMetadata { type_name })
            .collect(),
        actions: names(provider.actions().keys().collect())
            .into_iter()
            .map(|type_name| ActionMetadata { type_name })
            .collect(),
        ..Response::default()
    })
}
