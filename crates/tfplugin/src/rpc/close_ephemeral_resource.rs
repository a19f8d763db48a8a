//! `CloseEphemeralResource`: ends it, with the private bytes of open (cores pass no others).

use tfplugin_proto::tfplugin6::close_ephemeral_resource::{Request, Response};

use super::{Answered, Service, convert};

pub(super) async fn call(service: Service, request: Request) -> Answered<Response> {
    let ephemeral = service.ephemeral(&request.type_name)?;
    let found = ephemeral.close(request.private.unwrap_or_default(), service.call(None)).await;
    Ok(Response { diagnostics: convert::diagnostics(&found) })
}
