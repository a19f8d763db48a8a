//! `GetProviderSchema`: everything that the provider has, with its shapes.

use std::collections::HashMap;

use tfplugin_proto::tfplugin6::{
    ActionSchema, Schema as WireSchema,
    get_provider_schema::{Request, Response},
};

use super::{Answered, Service, convert};
use crate::Schema;

pub(super) async fn call(service: Service, _request: Request) -> Answered<Response> {
    let provider = service.provider();
    let faults = provider.faults();
    if faults.has_errors() {
        return Err(faults);
    }
    Ok(Response {
        provider: Some(convert::schema(provider.schema())),
        provider_meta: provider.meta_schema().map(convert::schema),
        resource_schemas: schemas(provider.resources(), |one| one.schema()),
        data_source_schemas: schemas(provider.data_sources(), |one| one.schema()),
        ephemeral_resource_schemas: schemas(provider.ephemerals(), |one| one.schema()),
        list_resource_schemas: schemas(provider.lists(), |one| one.schema()),
        action_schemas: provider
            .actions()
            .iter()
            .map(|(name, one)| {
                let schema = Some(convert::schema(one.schema()));
                (name.clone(), ActionSchema { schema })
            })
            .collect(),
        functions: provider
            .functions()
            .iter()
            .map(|(name, one)| (name.clone(), convert::function(one.signature())))
            .collect(),
        server_capabilities: Some(service.capabilities()),
        ..Response::default()
    })
}

fn schemas<T>(
    parts: &std::collections::BTreeMap<String, T>,
    schema: impl Fn(&T) -> &Schema,
) -> HashMap<String, WireSchema> {
    parts.iter().map(|(name, one)| (name.clone(), convert::schema(schema(one)))).collect()
}
