//! The lives of managed resources, step by step as a core takes them.

use serde_json::Value as Json;
use tfplugin_proto::tfplugin6 as proto;

use super::{MiniCore, Refusal, config, wire};
use crate::laws::{self, Breach, Law};
use crate::{Diagnostics, Path, Schema, Type, Value, json};

/// An object as it would be in state.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// Its type.
    pub type_name: String,
    /// Its attributes.
    pub value: Value,
    /// The provider's private bytes.
    pub private: Vec<u8>,
    /// Its identity, where the type has one.
    pub identity: Option<Value>,
    /// Left behind by a create that failed; the next plan replaces it.
    pub tainted: bool,
    ty: Type,
    version: i64,
}

impl State {
    /// Its attributes as `terraform show -json` has them.
    pub fn json(&self) -> Json {
        json::encode(&self.value, &self.ty).unwrap_or(Json::Null)
    }
}

/// What a plan comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing.
    Nothing,
    /// A new object.
    Create,
    /// The object changes in place.
    Update,
    /// Another object takes its place.
    Replace,
    /// The object goes.
    Delete,
}

/// A planned change.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The type of the object.
    pub type_name: String,
    /// What will happen.
    pub action: Action,
    /// The object in state, if any.
    pub prior: Option<State>,
    /// What will be; null to destroy.
    pub planned: Value,
    /// The attributes for whose sake the object is replaced.
    pub replace: Vec<Path>,
    /// Warnings.
    pub diagnostics: Diagnostics,
    /// The provider's private bytes for apply.
    pub private: Vec<u8>,
    identity: Option<Value>,
    config: Value,
}

impl Plan {
    /// The planned value of an attribute of the object; null where there is none.
    pub fn planned(&self, attribute: &str) -> &Value {
        self.planned.as_object().and_then(|object| object.get(attribute)).unwrap_or(&Value::Null)
    }
}

/// One answer of `PlanResourceChange` that obeys the laws.
struct Answer {
    planned: Value,
    private: Vec<u8>,
    identity: Option<Value>,
    replace: Vec<Path>,
    diagnostics: Diagnostics,
}

/// What one call of `PlanResourceChange` is made from.
#[derive(Clone, Copy)]
struct Question<'a> {
    prior: &'a Value,
    config: &'a Value,
    private: &'a [u8],
    identity: Option<&'a Value>,
    /// Whether the object of the identity goes away.
    replaces: bool,
}

fn lawful(breaches: Vec<Breach>) -> Result<(), Refusal> {
    if breaches.is_empty() { Ok(()) } else { Err(Refusal::Broken(breaches)) }
}

impl MiniCore {
    fn resource_schema(&self, type_name: &str) -> Result<&Schema, Refusal> {
        self.schema(type_name)
            .ok_or_else(|| Refusal::Config(format!("the provider has no resource {type_name}")))
    }

    fn identity_schema(&self, type_name: &str) -> Option<&Schema> {
        self.schemas.identities.get(type_name)
    }

    /// Judges a configuration. Errors are in the answer.
    ///
    /// # Errors
    /// It is not of the schema, or the provider does not answer.
    pub async fn validate(&self, type_name: &str, config: Json) -> Result<Diagnostics, Refusal> {
        let config = config::read(self.resource_schema(type_name)?, &config)?;
        self.judge(type_name, &config).await
    }

    async fn judge(&self, type_name: &str, config: &Value) -> Result<Diagnostics, Refusal> {
        let request = proto::validate_resource_config::Request {
            type_name: type_name.to_owned(),
            config: wire::encode(config, self.resource_schema(type_name)?.ty())?,
            client_capabilities: self.wire_capabilities(),
        };
        let answer = self.patiently(self.client.clone().validate_resource_config(request)).await?;
        Ok(wire::diagnostics(answer.diagnostics))
    }

    /// Plans a new object.
    ///
    /// # Errors
    /// The configuration is wrong, the provider refuses it, or its plan breaks laws.
    pub async fn plan_create(&self, type_name: &str, config: Json) -> Result<Plan, Refusal> {
        self.plan_change(type_name, None, &config).await
    }

    /// Plans a change of an object.
    ///
    /// # Errors
    /// As [`MiniCore::plan_create`].
    pub async fn plan(&self, prior: &State, config: Json) -> Result<Plan, Refusal> {
        self.plan_change(&prior.type_name, Some(prior), &config).await
    }

    /// Plans the end of an object.
    ///
    /// # Errors
    /// As [`MiniCore::plan_create`].
    pub async fn plan_destroy(&self, prior: &State) -> Result<Plan, Refusal> {
        let question = Question {
            prior: &prior.value,
            config: &Value::Null,
            private: &prior.private,
            identity: prior.identity.as_ref(),
            replaces: true,
        };
        let answer = self.ask(&prior.type_name, question).await?;
        Ok(Plan {
            type_name: prior.type_name.clone(),
            action: Action::Delete,
            prior: Some(prior.clone()),
            planned: Value::Null,
            replace: Vec::new(),
            diagnostics: answer.diagnostics,
            private: answer.private,
            identity: answer.identity,
            config: Value::Null,
        })
    }

    async fn plan_change(
        &self,
        type_name: &str,
        prior: Option<&State>,
        config: &Json,
    ) -> Result<Plan, Refusal> {
        let schema = self.resource_schema(type_name)?;
        let config = config::read(schema, config)?;
        let plan = self.plan_value(type_name, prior, config.clone()).await?;
        // The same question has the same answer: a plan is made again at apply.
        let again = self.plan_value(type_name, prior, config).await?;
        if plan.action != again.action {
            return Err(Refusal::broken(
                Law::FinalPlanKeepsPlan,
                Path::root(),
                format!("the plan says {:?}, and said again {:?}", plan.action, again.action),
            ));
        }
        lawful(laws::check_final_plan(schema, &plan.planned, &again.planned))?;
        Ok(plan)
    }

    async fn plan_value(
        &self,
        type_name: &str,
        prior: Option<&State>,
        config: Value,
    ) -> Result<Plan, Refusal> {
        let schema = self.resource_schema(type_name)?;
        let mut told = self.judge(type_name, &config).await?;
        if told.has_errors() {
            return Err(Refusal::Provider(told));
        }
        // A tainted object is planned as if there were none.
        let before = prior.filter(|prior| !prior.tainted);
        let nothing = Value::Null;
        let prior_value = before.map_or(&nothing, |prior| &prior.value);
        let mut answer = self
            .ask(
                type_name,
                Question {
                    prior: prior_value,
                    config: &config,
                    private: before.map_or(&[], |prior| &prior.private),
                    identity: before.and_then(|prior| prior.identity.as_ref()),
                    replaces: false,
                },
            )
            .await?;
        let mut replace: Vec<Path> = Vec::new();
        let mut action = match prior {
            None => Action::Create,
            Some(prior) if prior.tainted => Action::Replace,
            Some(_) if answer.planned.same(prior_value) => Action::Nothing,
            Some(_) => Action::Update,
        };
        if !prior_value.is_null() {
            // What does not change asks for nothing; write-only values are never seen to change.
            replace = answer
                .replace
                .iter()
                .filter(|path| {
                    let (was, will) = (prior_value.at(path), answer.planned.at(path));
                    is_write_only(schema, path)
                        || match (was, will) {
                            (Some(was), Some(will)) => !was.same(will),
                            (was, will) => was.is_some() || will.is_some(),
                        }
                })
                .cloned()
                .collect();
        }
        if !replace.is_empty() {
            action = Action::Replace;
            told.extend(answer.diagnostics);
            answer = self
                .ask(
                    type_name,
                    Question {
                        prior: &nothing,
                        config: &config,
                        private: &answer.private,
                        identity: answer.identity.as_ref(),
                        replaces: true,
                    },
                )
                .await?;
            // Cores show errors of the second half, and none of its warnings.
        } else {
            told.extend(answer.diagnostics);
        }
        Ok(Plan {
            type_name: type_name.to_owned(),
            action,
            prior: prior.cloned(),
            planned: answer.planned,
            replace,
            diagnostics: told,
            private: answer.private,
            identity: answer.identity,
            config,
        })
    }

    async fn ask(&self, type_name: &str, question: Question<'_>) -> Result<Answer, Refusal> {
        let schema = self.resource_schema(type_name)?;
        let (ty, identity_schema) = (schema.ty(), self.identity_schema(type_name));
        let proposed = laws::proposed_new(schema, question.prior, question.config);
        let request = proto::plan_resource_change::Request {
            type_name: type_name.to_owned(),
            prior_state: wire::encode(question.prior, ty)?,
            proposed_new_state: wire::encode(&proposed, ty)?,
            config: wire::encode(question.config, ty)?,
            prior_private: question.private.to_vec(),
            client_capabilities: self.wire_capabilities(),
            prior_identity: wire::encode_identity(question.identity, identity_schema)?,
            ..proto::plan_resource_change::Request::default()
        };
        let answer = self.patiently(self.client.clone().plan_resource_change(request)).await?;
        let diagnostics = wire::check(answer.diagnostics)?;
        self.deferral(answer.deferred)?;
        if answer.legacy_type_system {
            return Err(Refusal::wire("the provider asks for the old type system's leniency"));
        }
        let planned = wire::decode(answer.planned_state, ty)?;
        let identity = wire::decode_identity(answer.planned_identity, identity_schema)?;
        let replace: Vec<Path> = answer.requires_replace.into_iter().map(wire::path).collect();
        lawful(laws::check_plan(schema, question.config, question.prior, &proposed, &planned))?;
        lawful(laws::check_replace(schema, question.prior, &planned, &replace))?;
        if let (Some(schema), Some(identity)) = (identity_schema, &identity) {
            let settled = !question.prior.is_null() && !question.replaces;
            let known = settled && replace.is_empty();
            let may_change = !known || self.identities_may_change;
            lawful(laws::check_identity(schema, question.identity, identity, known, may_change))?;
        }
        Ok(Answer { planned, private: answer.planned_private, identity, replace, diagnostics })
    }

    /// Carries a plan out; the answer is what would be in state, nothing after a delete.
    ///
    /// # Errors
    /// The change failed ([`Refusal::Failed`] says what exists), or an answer breaks laws.
    pub async fn apply(&self, plan: Plan) -> Result<Option<State>, Refusal> {
        let config = plan.config.clone();
        self.apply_value(plan, config).await
    }

    /// The same where the configuration was unknown in part at plan and is known now.
    ///
    /// # Errors
    /// As [`MiniCore::apply`]; also where the new configuration is wrong.
    pub async fn apply_with(&self, plan: Plan, config: Json) -> Result<Option<State>, Refusal> {
        let config = config::read(self.resource_schema(&plan.type_name)?, &config)?;
        self.apply_value(plan, config).await
    }

    async fn apply_value(&self, plan: Plan, config: Value) -> Result<Option<State>, Refusal> {
        let type_name = plan.type_name.clone();
        let schema = self.resource_schema(&type_name)?;
        if !config.is_wholly_known() {
            return Err(Refusal::Config("a change is carried out with known values only".into()));
        }
        match plan.action {
            Action::Nothing => return Ok(plan.prior),
            Action::Delete => {
                let Some(prior) = &plan.prior else { return Ok(None) };
                return self.change(&type_name, Some(prior), &plan).await;
            }
            Action::Create | Action::Update | Action::Replace => {}
        }
        let mut prior = plan.prior.clone();
        if plan.action == Action::Replace {
            if let Some(old) = &prior {
                let end = Plan {
                    action: Action::Delete,
                    planned: Value::Null,
                    config: Value::Null,
                    ..plan.clone()
                };
                self.change(&type_name, Some(old), &end).await?;
            }
            prior = None;
        }
        // The plan is made again with what is known now, and must keep what was approved.
        let last = self.plan_value(&type_name, prior.as_ref(), config).await?;
        lawful(laws::check_final_plan(schema, &plan.planned, &last.planned))?;
        let wanted = if plan.action == Action::Replace { Action::Create } else { plan.action };
        // What turns out to be no change after all is none.
        if last.action == Action::Nothing {
            return Ok(prior);
        }
        if last.action != wanted {
            return Err(Refusal::broken(
                Law::FinalPlanKeepsPlan,
                Path::root(),
                format!("{wanted:?} was approved, and {:?} is planned now", last.action),
            ));
        }
        self.change(&type_name, prior.as_ref(), &last).await
    }

    /// Calls `ApplyResourceChange` and judges the answer.
    async fn change(
        &self,
        type_name: &str,
        prior: Option<&State>,
        plan: &Plan,
    ) -> Result<Option<State>, Refusal> {
        let schema = self.resource_schema(type_name)?;
        let (ty, identity_schema) = (schema.ty(), self.identity_schema(type_name));
        let before = prior.map_or(&Value::Null, |prior| &prior.value);
        let request = proto::apply_resource_change::Request {
            type_name: type_name.to_owned(),
            prior_state: wire::encode(before, ty)?,
            planned_state: wire::encode(&plan.planned, ty)?,
            config: wire::encode(&plan.config, ty)?,
            planned_private: plan.private.clone(),
            planned_identity: wire::encode_identity(plan.identity.as_ref(), identity_schema)?,
            ..proto::apply_resource_change::Request::default()
        };
        let answer = self.patiently(self.client.clone().apply_resource_change(request)).await?;
        let diagnostics = wire::diagnostics(answer.diagnostics);
        // Decoded even after an error, as cores do.
        let value = wire::decode(answer.new_state, ty)?;
        let identity = wire::decode_identity(answer.new_identity, identity_schema)?;
        let state = State {
            type_name: type_name.to_owned(),
            value,
            private: answer.private,
            identity,
            tainted: false,
            ty: ty.clone(),
            version: schema.version,
        };
        if diagnostics.has_errors() {
            let state = match (state.value.is_null(), prior) {
                // Nothing was made; or an error without an object keeps what was before.
                (true, prior) => prior.cloned(),
                (false, prior) => Some(State {
                    value: state.value.clone().without_unknowns(),
                    tainted: prior.is_none(),
                    ..state
                }),
            };
            return Err(Refusal::Failed { state: state.map(Box::new), diagnostics });
        }
        lawful(laws::check_apply(schema, &plan.planned, &state.value))?;
        if state.value.is_null() {
            return Ok(None);
        }
        self.check_identity(&state, prior.and_then(|prior| prior.identity.as_ref()))?;
        Ok(Some(state))
    }

    /// A stored identity is there, is complete, and stays.
    fn check_identity(&self, state: &State, prior: Option<&Value>) -> Result<(), Refusal> {
        let Some(schema) = self.identity_schema(&state.type_name) else { return Ok(()) };
        match &state.identity {
            None => Err(Refusal::broken(
                Law::IdentityIsKnown,
                Path::root(),
                "the type has an identity, and the object came without",
            )),
            Some(now) => {
                lawful(laws::check_identity(schema, prior, now, true, self.identities_may_change))
            }
        }
    }

    /// Makes an object: plan, apply, and a new run that finds nothing to do.
    ///
    /// # Errors
    /// Whatever goes wrong in any step.
    pub async fn create(&self, type_name: &str, config: Json) -> Result<State, Refusal> {
        let plan = self.plan_create(type_name, config.clone()).await?;
        let state = self.apply(plan).await?;
        self.settled(state, config).await
    }

    /// Changes an object (in place, or by another one): plan, apply, and a new run that finds
    /// nothing to do.
    ///
    /// # Errors
    /// Whatever goes wrong in any step.
    pub async fn update(&self, prior: &State, config: Json) -> Result<State, Refusal> {
        let plan = self.plan(prior, config.clone()).await?;
        let state = self.apply(plan).await?;
        self.settled(state, config).await
    }

    /// A new run reads the state, refreshes it, and plans nothing.
    async fn settled(&self, state: Option<State>, config: Json) -> Result<State, Refusal> {
        let lost = || {
            Refusal::broken(
                Law::QuietWhenNothingChanged,
                Path::root(),
                "the object is there after apply and gone in the next run",
            )
        };
        let state = self.reload(&state.ok_or_else(lost)?).await?;
        let state = self.refresh(&state).await?.ok_or_else(lost)?;
        let plan = self.plan(&state, config).await?;
        if plan.action != Action::Nothing {
            let path = first_difference(&state.value, &plan.planned);
            return Err(Refusal::broken(
                Law::QuietWhenNothingChanged,
                path,
                format!("the run after the change plans {:?}", plan.action),
            ));
        }
        Ok(state)
    }

    /// Reads state from its JSON as every run does first.
    ///
    /// # Errors
    /// The provider cannot read what it wrote, or reads something else.
    pub async fn reload(&self, state: &State) -> Result<State, Refusal> {
        let value = self.upgrade(&state.type_name, state.version, state.json()).await?;
        if !value.same(&state.value) {
            return Err(Refusal::broken(
                Law::FitsSchema,
                first_difference(&state.value, &value),
                "state of today's version reads as something else",
            ));
        }
        Ok(State { value, ..state.clone() })
    }

    /// Reads state that a version of the provider stored.
    ///
    /// # Errors
    /// The provider cannot read it, or what it reads breaks laws.
    pub async fn upgrade(
        &self,
        type_name: &str,
        version: i64,
        state: Json,
    ) -> Result<Value, Refusal> {
        let schema = self.resource_schema(type_name)?;
        let request = proto::upgrade_resource_state::Request {
            type_name: type_name.to_owned(),
            version,
            raw_state: Some(proto::RawState {
                json: state.to_string().into_bytes(),
                ..proto::RawState::default()
            }),
        };
        let answer = self.patiently(self.client.clone().upgrade_resource_state(request)).await?;
        wire::check(answer.diagnostics)?;
        let value = wire::decode(answer.upgraded_state, schema.ty())?;
        lawful(laws::check_read(schema, &value))?;
        Ok(value)
    }

    /// A state that was upgraded from an older version, ready for further steps.
    ///
    /// # Errors
    /// As [`MiniCore::upgrade`].
    pub async fn adopt(
        &self,
        type_name: &str,
        version: i64,
        state: Json,
    ) -> Result<State, Refusal> {
        let value = self.upgrade(type_name, version, state).await?;
        let schema = self.resource_schema(type_name)?;
        Ok(State {
            type_name: type_name.to_owned(),
            value,
            private: Vec::new(),
            identity: None,
            tainted: false,
            ty: schema.ty().clone(),
            version: schema.version,
        })
    }

    /// Observes an object; nothing when it is proven gone.
    ///
    /// # Errors
    /// The provider cannot observe it, or its answer breaks laws.
    pub async fn refresh(&self, state: &State) -> Result<Option<State>, Refusal> {
        self.observe(state).await.map(|(state, _)| state)
    }

    /// The same, with the warnings that people would see.
    ///
    /// # Errors
    /// As [`MiniCore::refresh`].
    pub async fn observe(&self, state: &State) -> Result<(Option<State>, Diagnostics), Refusal> {
        let schema = self.resource_schema(&state.type_name)?;
        let identity_schema = self.identity_schema(&state.type_name);
        let request = proto::read_resource::Request {
            type_name: state.type_name.clone(),
            current_state: wire::encode(&state.value, &state.ty)?,
            private: state.private.clone(),
            client_capabilities: self.wire_capabilities(),
            current_identity: wire::encode_identity(state.identity.as_ref(), identity_schema)?,
            ..proto::read_resource::Request::default()
        };
        let answer = self.patiently(self.client.clone().read_resource(request)).await?;
        let told = wire::check(answer.diagnostics)?;
        self.deferral(answer.deferred)?;
        let value = wire::decode(answer.new_state, &state.ty)?;
        if value.is_null() {
            return Ok((None, told));
        }
        lawful(laws::check_read(schema, &value))?;
        let identity = wire::decode_identity(answer.new_identity, identity_schema)?;
        let read = State { value, private: answer.private, identity, ..state.clone() };
        self.check_identity(&read, state.identity.as_ref())?;
        Ok((Some(read), told))
    }

    /// Ends an object: refresh, plan, apply. Gone already is success.
    ///
    /// # Errors
    /// Whatever goes wrong in any step.
    pub async fn destroy(&self, state: State) -> Result<(), Refusal> {
        let Some(state) = self.refresh(&state).await? else { return Ok(()) };
        let plan = self.plan_destroy(&state).await?;
        self.apply(plan).await.map(|_| ())
    }

    /// Takes an object into state by its id.
    ///
    /// # Errors
    /// The provider does not find it, or its answer breaks laws.
    pub async fn import(&self, type_name: &str, id: &str) -> Result<State, Refusal> {
        self.import_telling(type_name, id).await.map(|(state, _)| state)
    }

    /// The same, with the warnings that people would see.
    ///
    /// # Errors
    /// As [`MiniCore::import`].
    pub async fn import_telling(
        &self,
        type_name: &str,
        id: &str,
    ) -> Result<(State, Diagnostics), Refusal> {
        self.take_in(type_name, id, None).await
    }

    /// Takes an object into state by its identity.
    ///
    /// # Errors
    /// As [`MiniCore::import`].
    pub async fn import_identity(&self, type_name: &str, identity: Json) -> Result<State, Refusal> {
        let Some(schema) = self.identity_schema(type_name) else {
            return Err(Refusal::Config(format!("{type_name} has no identity")));
        };
        let identity = config::read(schema, &identity)?;
        self.take_in(type_name, "", Some(identity)).await.map(|(state, _)| state)
    }

    async fn take_in(
        &self,
        type_name: &str,
        id: &str,
        identity: Option<Value>,
    ) -> Result<(State, Diagnostics), Refusal> {
        let schema = self.resource_schema(type_name)?;
        let (ty, identity_schema) = (schema.ty(), self.identity_schema(type_name));
        let request = proto::import_resource_state::Request {
            type_name: type_name.to_owned(),
            id: id.to_owned(),
            client_capabilities: self.wire_capabilities(),
            identity: wire::encode_identity(identity.as_ref(), identity_schema)?,
        };
        let answer = self.patiently(self.client.clone().import_resource_state(request)).await?;
        let mut told = wire::check(answer.diagnostics)?;
        self.deferral(answer.deferred)?;
        let found = match <[_; 1]>::try_from(answer.imported_resources) {
            Ok([found]) if found.type_name == type_name => found,
            Ok([found]) => {
                return Err(Refusal::broken(
                    Law::ImportFinds,
                    Path::root(),
                    format!("the import found a {:?}", found.type_name),
                ));
            }
            Err(all) => {
                return Err(Refusal::broken(
                    Law::ImportFinds,
                    Path::root(),
                    format!("the import found {} objects", all.len()),
                ));
            }
        };
        let value = wire::decode(found.state, ty)?;
        lawful(laws::check_import(schema, &value))?;
        let state = State {
            type_name: type_name.to_owned(),
            value,
            private: found.private,
            identity: wire::decode_identity(found.identity, identity_schema)?,
            tainted: false,
            ty: ty.clone(),
            version: schema.version,
        };
        let given = identity.is_some();
        if given && state.identity.is_none() {
            return Err(Refusal::broken(
                Law::IdentityIsKnown,
                Path::root(),
                "imported by identity, and none came back",
            ));
        }
        // A read follows at once.
        let (read, said) = self.observe(&state).await?;
        told.extend(said);
        let gone = "the object that was imported is gone when it is read";
        let read = read.ok_or_else(|| Refusal::broken(Law::ImportFinds, Path::root(), gone))?;
        Ok((read, told))
    }

    /// Takes over the state of an object of another type or provider.
    ///
    /// # Errors
    /// The provider does not know such objects, or its answer breaks laws.
    pub async fn take_over(
        &self,
        target: &str,
        source_provider: &str,
        source: &str,
        source_version: i64,
        state: Json,
    ) -> Result<State, Refusal> {
        let schema = self.resource_schema(target)?;
        let request = proto::move_resource_state::Request {
            source_provider_address: source_provider.to_owned(),
            source_type_name: source.to_owned(),
            source_schema_version: source_version,
            source_state: Some(proto::RawState {
                json: state.to_string().into_bytes(),
                ..proto::RawState::default()
            }),
            target_type_name: target.to_owned(),
            ..proto::move_resource_state::Request::default()
        };
        let answer = self.patiently(self.client.clone().move_resource_state(request)).await?;
        wire::check(answer.diagnostics)?;
        let value = wire::decode(answer.target_state, schema.ty())?;
        lawful(laws::check_import(schema, &value))?;
        Ok(State {
            type_name: target.to_owned(),
            value,
            private: answer.target_private,
            identity: wire::decode_identity(answer.target_identity, self.identity_schema(target))?,
            tainted: false,
            ty: schema.ty().clone(),
            version: schema.version,
        })
    }
}

fn is_write_only(schema: &Schema, path: &Path) -> bool {
    let mut attributes = schema.attributes.as_slice();
    for step in path.steps() {
        let crate::Step::Attribute(name) = step else { continue };
        let Some(found) = attributes.iter().find(|one| one.name == *name) else { return false };
        if found.write_only {
            return true;
        }
        match &found.kind {
            crate::Kind::Nested { attributes: inner, .. } => attributes = inner,
            crate::Kind::Type(_) => return false,
        }
    }
    false
}

/// The first attribute in which two objects differ.
fn first_difference(one: &Value, other: &Value) -> Path {
    let (Some(one), Some(other)) = (one.as_object(), other.as_object()) else {
        return Path::root();
    };
    one.iter()
        .find(|(name, value)| other.get(*name).is_none_or(|other| !other.same(value)))
        .map_or_else(Path::root, |(name, _)| Path::attribute(name))
}
