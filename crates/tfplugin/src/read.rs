//! Observes objects: read, import, upgrade and move.

use serde_json::Value as Json;

use crate::erased::{
    AnyResource, ApplyRequest, ApplyResponse, BoxFuture, Call, Deferred, ImportRequest,
    ImportResponse, MoveRequest, MoveResponse, PlanRequest, PlanResponse, ReadRequest,
    ReadResponse, StateResponse,
};
use crate::plan::{changed_identity, merge_typed, nothing, same_identity};
use crate::resource::{By, Done, Import, Read, Registration, Resource, Source};
use crate::value::{all_null, without_write_only};
use crate::{
    Attribute, Diagnostic, Diagnostics, Kind, Object, Path, Schema, Value, apply, json, laws,
    model, plan, validate,
};

impl<R: Resource> Registration<R> {
    /// The stored form of an object that was observed: write-only null, nothing unknown.
    fn observed(&self, state: Value, step: &str, diagnostics: &mut Diagnostics) -> Value {
        let state = without_write_only(state, &self.schema.attributes);
        if state.is_wholly_known() {
            return state;
        }
        for path in state.unknown_paths() {
            diagnostics.push(
                Diagnostic::error(
                    "Value unknown in state",
                    format!(
                        "The {step} left {path} unknown; state holds only what is known. Report \
                         it to the provider's developers."
                    ),
                )
                .at(path),
            );
        }
        state.without_unknowns()
    }

    /// What identifies an object in this state, as far as it says.
    fn identity_in(&self, state: &Value) -> Option<Value> {
        let identities = self.identity.as_ref()?;
        let state = model::from_nullable::<R::Model>(state).ok().flatten()?;
        Some((identities.of)(&self.resource, &state))
    }

    /// The identity of an object that was observed; a part that is unknown is a fault.
    fn complete(identity: Value, step: &str, diagnostics: &mut Diagnostics) -> Option<Value> {
        let unknown = identity.unknown_paths();
        if unknown.is_empty() {
            return Some(identity);
        }
        let unknown: Vec<String> = unknown.iter().map(ToString::to_string).collect();
        diagnostics.error(
            "Identity not complete",
            format!(
                "The {step} left {} of the identity of the {} unknown, and an identity is \
                 complete. Report it to the provider's developers.",
                unknown.join(", "),
                R::TYPE_NAME
            ),
        );
        None
    }

    /// In debug builds an answer without errors is held to the laws.
    fn judge(
        &self,
        breaches: impl FnOnce() -> Vec<laws::Breach>,
        identity: Option<&Value>,
        diagnostics: &mut Diagnostics,
    ) {
        if !cfg!(debug_assertions) || diagnostics.has_errors() {
            return;
        }
        let mut breaches = breaches();
        if let (Some(identities), Some(identity)) = (&self.identity, identity) {
            breaches.extend(laws::check_identity(&identities.schema, None, identity, true, true));
        }
        diagnostics.extend(laws::diagnostics(breaches));
    }

    async fn read_object(&self, request: ReadRequest) -> ReadResponse {
        let mut response = ReadResponse {
            state: request.state.clone(),
            private: request.private.clone(),
            identity: request.identity.clone().filter(|_| self.identity.is_some()),
            ..ReadResponse::default()
        };
        let state = match model::from_nullable::<R::Model>(&request.state) {
            Ok(Some(state)) => state,
            Ok(None) => return response,
            Err(wrong) => {
                response.diagnostics.push(wrong);
                return response;
            }
        };
        let read = Read {
            state: state.clone(),
            private: request.private,
            identity: request.identity.clone(),
            provider_meta: request.provider_meta,
            call: request.call.clone(),
        };
        match self.resource.read(read).await {
            Err(diagnostics) => {
                response.diagnostics = diagnostics;
                if !response.diagnostics.has_errors() {
                    response.diagnostics.error(
                        "Read failed",
                        "The object could not be read and nothing more is known. Report it to \
                         the provider's developers.",
                    );
                }
                return response;
            }
            Ok(None) => {
                response.state = Value::Null;
                // The plan that makes it anew would be given them, as if it replaced something.
                response.private = Vec::new();
            }
            Ok(Some(Done { deferred: Some(why), diagnostics, .. })) => {
                response.diagnostics = diagnostics;
                let allowed = request.call.capabilities.deferral_allowed;
                response.deferred =
                    Deferred::granted(Some(why), allowed, &mut response.diagnostics);
                return response;
            }
            Ok(Some(Done { state: now, private, diagnostics, deferred: None })) => {
                let mut object = request.state.as_object().cloned().unwrap_or_default();
                merge_typed(&mut object, &state, &now);
                response.diagnostics = diagnostics;
                response.state =
                    self.observed(Value::Object(object), "read", &mut response.diagnostics);
                if let Some(private) = private {
                    response.private = private;
                }
                self.keep_identity(&mut response);
            }
        }
        self.judge(
            || laws::check_read(&self.schema, &response.state),
            response.identity.as_ref().filter(|_| !response.state.is_null()),
            &mut response.diagnostics,
        );
        response
    }

    fn keep_identity(&self, response: &mut ReadResponse) {
        let Some(identities) = &self.identity else { return };
        let identity = self
            .identity_in(&response.state)
            .and_then(|identity| Self::complete(identity, "read", &mut response.diagnostics));
        let Some(identity) = identity else { return };
        match &response.identity {
            Some(stored) if !identities.mutable && !same_identity(stored, &identity) => {
                response.diagnostics.push(changed_identity("read"));
            }
            _ => response.identity = Some(identity),
        }
    }

    async fn import_object(&self, request: ImportRequest) -> ImportResponse {
        let mut response = ImportResponse::default();
        let Some(import) = self.import else {
            response.diagnostics.error(
                "Import not supported",
                format!("Existing objects cannot be imported as {}.", R::TYPE_NAME),
            );
            return response;
        };
        let by = match (&request.identity, request.id.is_empty()) {
            (Some(Value::Object(identity)), _) if !nothing(&Value::Object(identity.clone())) => {
                By::Identity(identity.clone())
            }
            (_, false) => By::Id(request.id.clone()),
            _ => {
                response.diagnostics.error(
                    "Import needs an id",
                    format!(
                        "Give the id or the identity of the object to import as {}.",
                        R::TYPE_NAME
                    ),
                );
                return response;
            }
        };
        let allowed = request.call.capabilities.deferral_allowed;
        match import(&self.resource, Import { by, call: request.call }).await {
            Ok(Done { deferred: Some(why), diagnostics, .. }) => {
                response.diagnostics = diagnostics;
                response.deferred =
                    Deferred::granted(Some(why), allowed, &mut response.diagnostics);
            }
            Ok(Done { state, private, diagnostics, deferred: None }) => {
                response.diagnostics = diagnostics;
                response.state =
                    self.observed(model::to_value(&state), "import", &mut response.diagnostics);
                response.private = private.unwrap_or_default();
                if self.identity.is_some() {
                    // What the user gave is the identity; the object may know more of it.
                    let given = request.identity.filter(|identity| !nothing(identity));
                    let found = self.identity_in(&response.state);
                    response.identity = match (given, found) {
                        (Some(given), Some(found))
                            if found.is_wholly_known() && same_identity(&given, &found) =>
                        {
                            Some(found)
                        }
                        (Some(given), _) => Some(given),
                        (None, found) => found.and_then(|identity| {
                            Self::complete(identity, "import", &mut response.diagnostics)
                        }),
                    };
                }
                self.judge(
                    || laws::check_import(&self.schema, &response.state),
                    response.identity.as_ref(),
                    &mut response.diagnostics,
                );
            }
            Err(diagnostics) => response.diagnostics = diagnostics,
        }
        response
    }

    async fn upgrade_object(&self, version: i64, state: Json) -> StateResponse {
        let mut response = StateResponse::default();
        if state.is_null() {
            return response;
        }
        let upgraded = if version == self.schema.version {
            json::decode_state(&state, &self.schema).map_err(Diagnostics::from)
        } else {
            match self.upgrade {
                Some(upgrade) if version < self.schema.version => {
                    upgrade(&self.resource, version, state).await.map(|m| model::to_value(&m))
                }
                _ => Err(Diagnostic::error(
                    "State version not supported",
                    format!(
                        "The state of {} is of version {version}; this provider writes version {} \
                         and cannot turn one into the other. Use the version of the provider that \
                         wrote it.",
                        R::TYPE_NAME,
                        self.schema.version
                    ),
                )
                .into()),
            }
        };
        match upgraded {
            Ok(state) => {
                response.value = self.observed(state, "upgrade", &mut response.diagnostics);
                self.judge(
                    || laws::check_read(&self.schema, &response.value),
                    None,
                    &mut response.diagnostics,
                );
            }
            Err(diagnostics) => response.diagnostics = diagnostics,
        }
        response
    }

    fn upgrade_identity_value(&self, version: i64, identity: Json) -> StateResponse {
        let mut response = StateResponse::default();
        let Some(identities) = &self.identity else {
            response.diagnostics.error(
                "Identity not supported",
                format!("Objects of {} have no identity.", R::TYPE_NAME),
            );
            return response;
        };
        let upgraded = if version == identities.schema.version {
            json::decode_state(&identity, &identities.schema).map_err(Diagnostics::from)
        } else {
            (identities.upgrade)(&self.resource, version, identity)
        };
        match upgraded {
            Ok(value) => {
                response.value = value;
                self.judge(Vec::new, Some(&response.value), &mut response.diagnostics);
            }
            Err(diagnostics) => response.diagnostics = diagnostics,
        }
        response
    }

    async fn move_object(&self, request: MoveRequest) -> MoveResponse {
        let mut response = MoveResponse::default();
        let (address, type_name) =
            (request.source_provider_address.clone(), request.source_type_name.clone());
        let moved = match self.moves {
            None => Ok(None),
            Some(moves) => {
                let source = Source {
                    provider_address: request.source_provider_address,
                    type_name: request.source_type_name,
                    schema_version: request.source_schema_version,
                    state: request.source_state,
                    private: request.source_private,
                    identity: request.source_identity,
                    call: request.call,
                };
                moves(&self.resource, source).await
            }
        };
        match moved {
            Ok(Some(Done { state, private, diagnostics, deferred })) => {
                response.diagnostics = diagnostics;
                // The procedure has no such answer.
                Deferred::granted(deferred, false, &mut response.diagnostics);
                response.state =
                    self.observed(model::to_value(&state), "move", &mut response.diagnostics);
                response.private = private.unwrap_or_default();
                // A state that was moved here may not say yet where its object is: then it has no
                // identity before the Read.
                response.identity = self
                    .identity_in(&response.state)
                    .filter(|identity| {
                        let parts = identity.as_object().map_or(0, |all| all.len());
                        identity.unknown_paths().len() < parts
                    })
                    .and_then(|identity| {
                        Self::complete(identity, "move", &mut response.diagnostics)
                    });
                self.judge(
                    || laws::check_import(&self.schema, &response.state),
                    response.identity.as_ref(),
                    &mut response.diagnostics,
                );
            }
            Ok(None) => response.diagnostics.error(
                "Move not supported",
                format!(
                    "A {type_name} of {address} cannot become a {}. Remove the moved block, import \
                     the object under its new type and take the old one out of state with a \
                     removed block.",
                    R::TYPE_NAME
                ),
            ),
            Err(diagnostics) => response.diagnostics = diagnostics,
        }
        response
    }
}

impl<R: Resource> AnyResource for Registration<R> {
    fn type_name(&self) -> &str {
        R::TYPE_NAME
    }

    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn identity_schema(&self) -> Option<&Schema> {
        self.identity.as_ref().map(|identity| &identity.schema)
    }

    fn can_import(&self) -> bool {
        self.import.is_some()
    }

    fn can_move(&self) -> bool {
        self.moves.is_some()
    }

    fn validate<'a>(&'a self, config: Value, call: Call) -> BoxFuture<'a, Diagnostics> {
        Box::pin(async move {
            let mut diagnostics =
                validate::attributes(&self.schema.attributes, &config, call.capabilities);
            if diagnostics.has_errors() {
                return diagnostics;
            }
            match model::from_value(&config) {
                Ok(config) => diagnostics.extend(self.resource.validate(&config, &call).await),
                Err(wrong) => diagnostics.push(wrong),
            }
            diagnostics
        })
    }

    fn plan<'a>(&'a self, request: PlanRequest) -> BoxFuture<'a, PlanResponse> {
        Box::pin(plan::plan(self, request))
    }

    fn apply<'a>(&'a self, request: ApplyRequest) -> BoxFuture<'a, ApplyResponse> {
        Box::pin(apply::apply(self, request))
    }

    fn read<'a>(&'a self, request: ReadRequest) -> BoxFuture<'a, ReadResponse> {
        Box::pin(self.read_object(request))
    }

    fn import<'a>(&'a self, request: ImportRequest) -> BoxFuture<'a, ImportResponse> {
        Box::pin(self.import_object(request))
    }

    fn upgrade<'a>(
        &'a self,
        version: i64,
        state: Json,
        _call: Call,
    ) -> BoxFuture<'a, StateResponse> {
        Box::pin(self.upgrade_object(version, state))
    }

    fn upgrade_identity<'a>(
        &'a self,
        version: i64,
        identity: Json,
        _call: Call,
    ) -> BoxFuture<'a, StateResponse> {
        Box::pin(async move { self.upgrade_identity_value(version, identity) })
    }

    fn move_state<'a>(&'a self, request: MoveRequest) -> BoxFuture<'a, MoveResponse> {
        Box::pin(self.move_object(request))
    }

    fn generate_config(&self, state: Value) -> StateResponse {
        let value = match state {
            Value::Object(object) => Value::Object(configurable(&object, &self.schema.attributes)),
            other => other,
        };
        StateResponse { value, diagnostics: Diagnostics::new() }
    }
}

/// Of an object what a person would write: nothing that only the provider sets, nothing
/// deprecated, no defaults.
fn configurable(object: &Object, attributes: &[Attribute]) -> Object {
    let mut config = all_null(attributes);
    for attribute in attributes {
        let Some(value) = object.get(&attribute.name) else { continue };
        let plain = !attribute.is_configurable()
            || attribute.deprecation.is_some()
            || attribute.default.as_ref() == Some(value)
            || (attribute.optional && value.as_str() == Some(""));
        if plain {
            continue;
        }
        let mut value = value.clone();
        if let Kind::Nested { nesting, attributes } = &attribute.kind {
            crate::value::for_each_object(&mut value, *nesting, &Path::root(), &mut |inner, _| {
                *inner = configurable(inner, attributes);
            });
        }
        config.insert(attribute.name.clone(), value);
    }
    config
}
