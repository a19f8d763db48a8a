//! `CallFunction`: a pure answer. There are no diagnostics here, only one error.

use tfplugin_proto::tfplugin6::{
    FunctionError as WireError,
    call_function::{Request, Response},
};

use super::{Answered, Service, convert};
use crate::erased::FunctionError;
use crate::{Type, Value};

pub(super) async fn call(service: Service, request: Request) -> Answered<Response> {
    Ok(match answer(&service, request).await {
        Ok(result) => Response { result, error: None },
        Err(error) => Response {
            result: None,
            error: Some(WireError { text: error.text, function_argument: error.argument }),
        },
    })
}

async fn answer(
    service: &Service,
    request: Request,
) -> Result<Option<tfplugin_proto::tfplugin6::DynamicValue>, FunctionError> {
    let wrong = |text: String, argument| FunctionError { text, argument };
    let Some(function) = service.provider().functions().get(&request.name) else {
        return Err(wrong(format!("there is no function {:?}", request.name), None));
    };
    let signature = function.signature();
    let mut arguments: Vec<Value> = Vec::with_capacity(request.arguments.len());
    for (index, argument) in request.arguments.into_iter().enumerate() {
        let place = i64::try_from(index).ok();
        let ty: &Type = match signature.parameters.get(index).or(signature.variadic.as_ref()) {
            Some(parameter) => &parameter.ty,
            None => return Err(wrong("there are more arguments than parameters".into(), place)),
        };
        let value = convert::decode(Some(argument), ty)
            .map_err(|diagnostic| wrong(diagnostic.to_string(), place))?;
        arguments.push(value);
    }
    if arguments.len() < signature.parameters.len() {
        return Err(wrong("there are fewer arguments than parameters".into(), None));
    }
    let result = function.call(arguments, service.call(None)).await?;
    convert::encode(&result, &signature.returns)
        .map_err(|diagnostic| wrong(diagnostic.to_string(), None))
}
