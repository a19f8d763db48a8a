//! `ReadDataSource`: answers a data block.

use tfplugin_proto::tfplugin6::read_data_source::{Request, Response};

use super::{Answered, Service, convert};
use crate::erased::DataRequest;

pub(super) async fn call(service: Service, request: Request) -> Answered<Response> {
    let source = service.data_source(&request.type_name)?;
    let ty = source.schema().ty();
    let answer = source
        .read(DataRequest {
            config: convert::decode(request.config, ty)?,
            provider_meta: service.meta(request.provider_meta)?,
            call: service.call(request.client_capabilities),
        })
        .await;
    Ok(Response {
        state: convert::encode(&answer.state, ty)?,
        diagnostics: convert::diagnostics(&answer.diagnostics),
        deferred: convert::deferred(answer.deferred),
    })
}
