//! `UpgradeResourceIdentity`: reads an identity that an older version stored.

use tfplugin_proto::tfplugin6::upgrade_resource_identity::{Request, Response};

use super::{Answered, Service, convert};
use crate::Diagnostic;

pub(super) async fn call(service: Service, request: Request) -> Answered<Response> {
    let resource = service.resource(&request.type_name)?;
    let Some(schema) = resource.identity_schema() else {
        return Err(Diagnostic::error(
            "No identity",
            format!("{} has no identity, so there is none to upgrade.", request.type_name),
        )
        .into());
    };
    let identity = convert::raw_json(request.raw_identity)?;
    let answer = resource.upgrade_identity(request.version, identity, service.call(None)).await;
    Ok(Response {
        upgraded_identity: convert::encode_identity(Some(&answer.value), Some(schema))?,
        diagnostics: convert::diagnostics(&answer.diagnostics),
    })
}
