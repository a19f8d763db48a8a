//! What has no state: data sources, ephemeral resources, functions, lists, actions.

use std::time::SystemTime;

use serde_json::Value as Json;
use tfplugin_proto::tfplugin6 as proto;

use super::{MiniCore, Refusal, config, wire};
use crate::laws::{self, Law};
use crate::{Diagnostics, Path, Schema, Value, json};

/// An ephemeral resource that is open.
#[derive(Clone, Debug)]
pub struct Opened {
    /// Its type.
    pub type_name: String,
    /// Its attributes.
    pub value: Value,
    /// When it must be renewed, if ever.
    pub renew_at: Option<SystemTime>,
    /// The bytes of open: close gets these.
    opened: Option<Vec<u8>>,
    /// The bytes of the last open or renew: renew gets these.
    renewed: Option<Vec<u8>>,
}

/// An object that a list found.
#[derive(Clone, Debug)]
pub struct Found {
    /// Its identity.
    pub identity: Value,
    /// What people see.
    pub display_name: String,
    /// The whole object, where it was asked for.
    pub object: Option<Value>,
}

fn known<'a>(found: Option<&'a Schema>, noun: &str, name: &str) -> Result<&'a Schema, Refusal> {
    found.ok_or_else(|| Refusal::Config(format!("the provider has no {noun} {name}")))
}

impl MiniCore {
    /// Reads a data source: judges its configuration, reads, judges the answer.
    ///
    /// # Errors
    /// The configuration or the answer is wrong, or the provider refuses.
    pub async fn read_data(&self, type_name: &str, block: Json) -> Result<Json, Refusal> {
        let schema = known(self.schemas.data_sources.get(type_name), "data source", type_name)?;
        let (config, ty) = (config::read(schema, &block)?, schema.ty());
        let mut client = self.client.clone();
        let encoded = wire::encode(&config, ty)?;
        let request = proto::validate_data_resource_config::Request {
            type_name: type_name.to_owned(),
            config: encoded.clone(),
        };
        let answer = self.patiently(client.validate_data_resource_config(request)).await?;
        wire::check(answer.diagnostics)?;
        let request = proto::read_data_source::Request {
            type_name: type_name.to_owned(),
            config: encoded,
            client_capabilities: self.wire_capabilities(),
            ..proto::read_data_source::Request::default()
        };
        let answer = self.patiently(client.read_data_source(request)).await?;
        wire::check(answer.diagnostics)?;
        self.deferral(answer.deferred)?;
        let state = wire::decode(answer.state, ty)?;
        let breaches = laws::check_data(schema, &config, &state);
        if !breaches.is_empty() {
            return Err(Refusal::Broken(breaches));
        }
        json::encode(&state, ty).map_err(|wrong| Refusal::wire(wrong.to_string()))
    }

    /// Opens an ephemeral resource.
    ///
    /// # Errors
    /// The configuration or the answer is wrong, or the provider refuses.
    pub async fn open(&self, type_name: &str, block: Json) -> Result<Opened, Refusal> {
        let schema =
            known(self.schemas.ephemerals.get(type_name), "ephemeral resource", type_name)?;
        let (config, ty) = (config::read(schema, &block)?, schema.ty());
        let mut client = self.client.clone();
        let encoded = wire::encode(&config, ty)?;
        let request = proto::validate_ephemeral_resource_config::Request {
            type_name: type_name.to_owned(),
            config: encoded.clone(),
        };
        let answer = self.patiently(client.validate_ephemeral_resource_config(request)).await?;
        wire::check(answer.diagnostics)?;
        let request = proto::open_ephemeral_resource::Request {
            type_name: type_name.to_owned(),
            config: encoded,
            client_capabilities: self.wire_capabilities(),
        };
        let answer = self.patiently(client.open_ephemeral_resource(request)).await?;
        wire::check(answer.diagnostics)?;
        self.deferral(answer.deferred)?;
        let value = wire::decode(answer.result, ty)?;
        let breaches = laws::check_open(schema, &config, &value);
        if !breaches.is_empty() {
            return Err(Refusal::Broken(breaches));
        }
        Ok(Opened {
            type_name: type_name.to_owned(),
            value,
            renew_at: moment(answer.renew_at)?,
            opened: answer.private.clone(),
            renewed: answer.private,
        })
    }

    /// Renews an ephemeral resource.
    ///
    /// # Errors
    /// The provider refuses.
    pub async fn renew(&self, opened: &mut Opened) -> Result<(), Refusal> {
        let request = proto::renew_ephemeral_resource::Request {
            type_name: opened.type_name.clone(),
            private: opened.renewed.clone(),
        };
        let answer = self.patiently(self.client.clone().renew_ephemeral_resource(request)).await?;
        wire::check(answer.diagnostics)?;
        opened.renew_at = moment(answer.renew_at)?;
        opened.renewed = answer.private;
        Ok(())
    }

    /// Closes an ephemeral resource, with the bytes of open. The answer holds warnings.
    ///
    /// # Errors
    /// The provider refuses.
    pub async fn close(&self, opened: Opened) -> Result<Diagnostics, Refusal> {
        let request = proto::close_ephemeral_resource::Request {
            type_name: opened.type_name,
            private: opened.opened,
        };
        let answer = self.patiently(self.client.clone().close_ephemeral_resource(request)).await?;
        wire::check(answer.diagnostics)
    }

    /// Calls a function, twice: the answers must be the same.
    ///
    /// # Errors
    /// The function refuses its arguments, or is no function.
    pub async fn call(&self, name: &str, arguments: &[Json]) -> Result<Json, Refusal> {
        let Some(function) = self.schemas.functions.get(name) else {
            return Err(Refusal::Config(format!("the provider has no function {name}")));
        };
        let mut encoded = Vec::with_capacity(arguments.len());
        for (index, argument) in arguments.iter().enumerate() {
            let parameter = function.parameters.get(index).or(function.variadic_parameter.as_ref());
            let Some(parameter) = parameter else {
                return Err(Refusal::Config(format!("{name} takes fewer arguments")));
            };
            let ty = wire::ty(&parameter.r#type, &parameter.name)?;
            let value = config::read_value(argument, &ty)?;
            if value.is_null() && !parameter.allow_null_value {
                return Err(Refusal::Config(format!("{} must not be null", parameter.name)));
            }
            encoded.extend(wire::encode(&value, &ty)?);
        }
        let Some(gives) = &function.r#return else {
            return Err(Refusal::wire(format!("function {name} gives nothing")));
        };
        let ty = wire::ty(&gives.r#type, name)?;
        let request = proto::call_function::Request { name: name.to_owned(), arguments: encoded };
        let mut client = self.client.clone();
        let mut answers = Vec::new();
        for _ in 0..2 {
            let answer = self.patiently(client.call_function(request.clone())).await?;
            if let Some(error) = answer.error {
                let place = error.function_argument.map(|at| format!(" (argument {at})"));
                return Err(Refusal::Provider(
                    crate::Diagnostic::error(
                        "Function failed",
                        format!("{}{}", error.text, place.unwrap_or_default()),
                    )
                    .into(),
                ));
            }
            answers.push(wire::decode(answer.result, &ty)?);
        }
        if answers[0] != answers[1] {
            return Err(Refusal::wire(format!("function {name} answers one question in two ways")));
        }
        json::encode(&answers[0], &ty).map_err(|wrong| Refusal::wire(wrong.to_string()))
    }

    /// Lists objects, as many as `limit` at most.
    ///
    /// # Errors
    /// The configuration or an event is wrong, or the provider refuses.
    pub async fn list(
        &self,
        type_name: &str,
        block: Json,
        limit: i64,
        whole: bool,
    ) -> Result<Vec<Found>, Refusal> {
        let schema = known(self.schemas.lists.get(type_name), "list resource", type_name)?;
        let config = config::read(schema, &block)?;
        let mut client = self.client.clone();
        let encoded = wire::encode(&config, schema.ty())?;
        let request = proto::validate_list_resource_config::Request {
            type_name: type_name.to_owned(),
            config: encoded.clone(),
            ..proto::validate_list_resource_config::Request::default()
        };
        let answer = self.patiently(client.validate_list_resource_config(request)).await?;
        wire::check(answer.diagnostics)?;
        let request = proto::list_resource::Request {
            type_name: type_name.to_owned(),
            config: encoded,
            include_resource_object: whole,
            limit,
        };
        let mut events = self.patiently(client.list_resource(request)).await?;
        let ty = known(self.schemas.resources.get(type_name), "resource", type_name)?.ty();
        let identity = self.schemas.identities.get(type_name);
        let mut all = Vec::new();
        while i64::try_from(all.len()).is_ok_and(|have| have < limit) {
            let Some(event) = events.message().await? else { break };
            wire::check(event.diagnostic)?;
            let Some(identity) = wire::decode_identity(event.identity, identity)? else { continue };
            let object = match event.resource_object {
                Some(object) => Some(wire::decode(Some(object), ty)?),
                None if whole => {
                    return Err(Refusal::wire("a whole object was asked for and did not come"));
                }
                None => None,
            };
            if !whole && object.is_some() {
                return Err(Refusal::wire("a whole object came and was not asked for"));
            }
            if !identity.is_wholly_known() {
                return Err(Refusal::broken(
                    Law::IdentityIsKnown,
                    Path::root(),
                    "a listed identity is not complete",
                ));
            }
            all.push(Found { identity, display_name: event.display_name, object });
        }
        Ok(all)
    }

    /// Plans and invokes an action; the answer is what it told on its way.
    ///
    /// # Errors
    /// The configuration is wrong, the provider refuses, or the stream does not end as it must.
    pub async fn invoke(&self, action: &str, block: Json) -> Result<Vec<String>, Refusal> {
        use proto::invoke_action::event::Type as Kind;
        let schema = known(self.schemas.actions.get(action), "action", action)?;
        let config = config::read(schema, &block)?;
        let mut client = self.client.clone();
        let encoded = wire::encode(&config, schema.ty())?;
        let request = proto::validate_action_config::Request {
            type_name: action.to_owned(),
            config: encoded.clone(),
        };
        let answer = self.patiently(client.validate_action_config(request)).await?;
        wire::check(answer.diagnostics)?;
        let request = proto::plan_action::Request {
            action_type: action.to_owned(),
            config: encoded.clone(),
            client_capabilities: self.wire_capabilities(),
        };
        let answer = self.patiently(client.plan_action(request)).await?;
        wire::check(answer.diagnostics)?;
        let request = proto::invoke_action::Request {
            action_type: action.to_owned(),
            config: encoded,
            client_capabilities: self.wire_capabilities(),
        };
        let mut events = self.patiently(client.invoke_action(request)).await?;
        let mut told = Vec::new();
        let mut done = None;
        while let Some(event) = events.message().await? {
            if done.is_some() {
                return Err(Refusal::wire("the action went on after its end"));
            }
            match event.r#type {
                Some(Kind::Progress(progress)) => told.push(progress.message),
                Some(Kind::Completed(end)) => done = Some(end.diagnostics),
                None => return Err(Refusal::wire("an event is neither: cores crash on it")),
            }
        }
        match done {
            Some(diagnostics) => wire::check(diagnostics).map(|_| told),
            None => Err(Refusal::wire("the action has no end")),
        }
    }
}

fn moment(at: Option<prost_types::Timestamp>) -> Result<Option<SystemTime>, Refusal> {
    at.map(|at| SystemTime::try_from(at).map_err(|error| Refusal::wire(error.to_string())))
        .transpose()
}
