//! Carries out a planned change, and never loses what is true.

use crate::erased::{ApplyRequest, ApplyResponse, Deferred};
use crate::plan::{merge_typed, nothing, same_identity};
use crate::resource::{Create, Delete, Done, Failure, Kept, Registration, Resource, Update};
use crate::value::without_write_only;
use crate::{
    Attribute, Diagnostic, Diagnostics, Kind, Model, Nesting, Object, Schema, Value, laws, model,
};

pub(crate) async fn apply<R: Resource>(
    registration: &Registration<R>,
    request: ApplyRequest,
) -> ApplyResponse {
    let mut response = ApplyResponse {
        state: request.prior.clone(),
        private: request.planned_private.clone(),
        identity: request.planned_identity.clone(),
        diagnostics: Diagnostics::new(),
    };
    if let Err(wrong) = go(registration, &request, &mut response).await {
        response.diagnostics.push(wrong);
    }
    finish(registration, &request, &mut response);
    response
}

async fn go<R: Resource>(
    registration: &Registration<R>,
    request: &ApplyRequest,
    response: &mut ApplyResponse,
) -> Result<(), Diagnostic> {
    let resource = &registration.resource;
    let prior = model::from_nullable::<R::Model>(&request.prior)?;
    let planned = model::from_nullable::<R::Model>(&request.planned)?;
    let (planned_private, planned_identity) =
        (request.planned_private.clone(), request.planned_identity.clone());
    let (provider_meta, call) = (request.provider_meta.clone(), request.call.clone());
    let Some(planned) = planned else {
        let Some(prior) = prior else {
            response.state = Value::Null;
            return Ok(());
        };
        let delete = Delete { prior, planned_private, planned_identity, provider_meta, call };
        match resource.delete(delete).await {
            Ok(warnings) => {
                response.state = Value::Null;
                response.private = Vec::new();
                response.diagnostics.extend(warnings);
            }
            Err(failure) => fail(request, response, failure),
        }
        return Ok(());
    };
    let config = model::from_nullable(&request.config)?.unwrap_or_else(|| planned.clone());
    let result = match prior {
        None => {
            let planned = planned.clone();
            let create =
                Create { planned, config, planned_private, planned_identity, provider_meta, call };
            resource.create(create).await
        }
        Some(prior) => {
            let planned = planned.clone();
            let update = Update {
                prior,
                planned,
                config,
                planned_private,
                planned_identity,
                provider_meta,
                call,
            };
            resource.update(update).await
        }
    };
    match result {
        Ok(Done { state, private, diagnostics, deferred }) => {
            // The change was carried out: it is too late to wait.
            Deferred::granted(deferred, false, &mut response.diagnostics);
            response.state = stored(&request.planned, &planned, &state);
            if let Some(private) = private {
                response.private = private;
            }
            response.diagnostics.extend(diagnostics);
        }
        Err(failure) => fail(request, response, failure),
    }
    Ok(())
}

/// The object in its stored form: where the typed view is as planned, exactly what was planned.
fn stored<M: Model>(planned: &Value, planned_model: &M, state: &M) -> Value {
    let mut object = match planned {
        Value::Object(object) if planned.is_wholly_known() => object.clone(),
        _ => return model::to_value(state),
    };
    merge_typed(&mut object, planned_model, state);
    Value::Object(object)
}

fn fail<M: Model>(request: &ApplyRequest, response: &mut ApplyResponse, failure: Failure<M>) {
    let Failure { kept, private, mut diagnostics } = failure;
    if !diagnostics.has_errors() {
        diagnostics.error(
            "Change failed",
            "The change failed and nothing more is known. Report it to the provider's developers.",
        );
    }
    response.state = match kept {
        Kept::AsBefore => request.prior.clone(),
        Kept::Nothing => Value::Null,
        Kept::Object(state) => model::to_value(&*state),
    };
    if let Some(private) = private {
        response.private = private;
    }
    response.diagnostics.extend(diagnostics);
}

/// The repairs that no resource should have to do, and the laws.
fn finish<R: Resource>(
    registration: &Registration<R>,
    request: &ApplyRequest,
    response: &mut ApplyResponse,
) {
    let attributes = &registration.schema.attributes;
    let mut state = without_write_only(std::mem::take(&mut response.state), attributes);
    if let (Value::Object(state), Value::Object(planned)) = (&mut state, &request.planned) {
        empty_as_planned(attributes, planned, state);
    }
    state = fitting(state, &registration.schema, "the resource", &mut response.diagnostics);
    if !state.is_wholly_known() {
        for path in state.unknown_paths() {
            response.diagnostics.push(
                Diagnostic::error(
                    "Value unknown after apply",
                    format!(
                        "The change is done, and the resource left {path} unknown. It is stored \
                         as null. Report it to the provider's developers."
                    ),
                )
                .at(path),
            );
        }
        state = state.without_unknowns();
    }
    response.state = state;

    response.identity = match &registration.identity {
        Some(identities) if !response.state.is_null() => {
            let kept = request.planned_identity.clone().filter(|i| i.is_wholly_known());
            match model::from_value::<R::Model>(&response.state) {
                Ok(state) => {
                    let identity = fitting(
                        (identities.of)(&registration.resource, &state),
                        &identities.schema,
                        "the identity",
                        &mut response.diagnostics,
                    );
                    let failed = response.diagnostics.has_errors();
                    match kept {
                        // An update keeps its identity; the plan has complained already.
                        Some(kept) if !nothing(&kept) && (failed || !identities.mutable) => {
                            if !failed
                                && identity.is_wholly_known()
                                && !same_identity(&kept, &identity)
                            {
                                response.diagnostics.push(crate::plan::changed_identity("apply"));
                            }
                            Some(kept)
                        }
                        _ => Some(identity),
                    }
                }
                Err(_) => kept,
            }
        }
        Some(_) => request.planned_identity.clone().filter(Value::is_wholly_known),
        None => None,
    };

    if cfg!(debug_assertions) && !response.diagnostics.has_errors() {
        let mut breaches =
            laws::check_apply(&registration.schema, &request.planned, &response.state);
        if let (Some(identities), Some(identity)) = (&registration.identity, &response.identity) {
            breaches.extend(laws::check_identity(&identities.schema, None, identity, true, true));
        }
        response.diagnostics.extend(laws::diagnostics(breaches));
    }
}

/// The change is done, and the core throws away an answer that it cannot read: what does not have
/// its type is told, and all else is kept.
fn fitting(value: Value, schema: &Schema, whose: &str, diagnostics: &mut Diagnostics) -> Value {
    let ty = schema.ty();
    let Some((path, why)) = value.misfit(ty) else { return value };
    diagnostics.push(
        Diagnostic::error(
            "Value has the wrong type after apply",
            format!(
                "The change is done, and {whose} has what its schema does not allow, at {path}: \
                 {why}. It is stored as null. Report it to the provider's developers."
            ),
        )
        .at(path),
    );
    value.without_misfits(ty)
}

/// The commonest slip of providers: `[]` was planned and the platform says nothing, or the other
/// way round. What was planned stands.
fn empty_as_planned(attributes: &[Attribute], planned: &Object, state: &mut Object) {
    for attribute in attributes {
        let (Some(planned), Some(value)) =
            (planned.get(&attribute.name), state.get_mut(&attribute.name))
        else {
            continue;
        };
        if planned.is_unknown() {
            continue;
        }
        let empty = |value: &Value| value.length() == Some(0);
        if (empty(planned) && value.is_null()) || (planned.is_null() && empty(value)) {
            *value = planned.clone();
            continue;
        }
        let Kind::Nested { nesting, attributes } = &attribute.kind else { continue };
        match (nesting, planned, value) {
            (Nesting::Single, Value::Object(planned), Value::Object(value)) => {
                empty_as_planned(attributes, planned, value);
            }
            (Nesting::List, Value::List(planned), Value::List(value)) => {
                for pair in planned.iter().zip(value) {
                    if let (Value::Object(planned), Value::Object(value)) = pair {
                        empty_as_planned(attributes, planned, value);
                    }
                }
            }
            (Nesting::Map, Value::Map(planned), Value::Map(value)) => {
                for (key, value) in value {
                    if let (Some(Value::Object(planned)), Value::Object(value)) =
                        (planned.get(key), value)
                    {
                        empty_as_planned(attributes, planned, value);
                    }
                }
            }
            _ => {}
        }
    }
}
