//! Configurations from JSON, completed and checked as a core does before it asks the provider.

use serde_json::{Value as Json, json};

use super::Refusal;
use crate::{Attribute, Kind, Nesting, Path, Schema, Step, Type, Value, json};

/// The one key of an object that stands for an unknown value.
const UNKNOWN: &str = "$unknown";

/// Stands for a value that is not known yet, anywhere in a configuration.
pub fn unknown() -> Json {
    json!({ UNKNOWN: true })
}

/// A configuration: what is left out is null.
pub(super) fn read(schema: &Schema, config: &Json) -> Result<Value, Refusal> {
    let value = convert(config, schema.ty(), &Path::root())?;
    check(&schema.attributes, &value, &Path::root())?;
    Ok(value)
}

/// A value of a type that is no whole configuration, such as an argument.
pub(super) fn read_value(json: &Json, ty: &Type) -> Result<Value, Refusal> {
    convert(json, ty, &Path::root())
}

fn wrong<T>(at: &Path, why: impl std::fmt::Display) -> Result<T, Refusal> {
    Err(Refusal::Config(if at.is_root() { why.to_string() } else { format!("{at}: {why}") }))
}

fn convert(from: &Json, ty: &Type, at: &Path) -> Result<Value, Refusal> {
    if from.is_null() {
        return Ok(Value::Null);
    }
    if from.as_object().is_some_and(|object| object.len() == 1 && object.contains_key(UNKNOWN)) {
        return Ok(Value::unknown());
    }
    let all = |of: &Type| -> Result<Vec<Value>, Refusal> {
        match from {
            Json::Array(all) => all
                .iter()
                .enumerate()
                .map(|(index, one)| convert(one, of, &at.index(index)))
                .collect(),
            _ => wrong(at, "an array is wanted"),
        }
    };
    match ty {
        Type::List(of) => Ok(Value::List(all(of)?)),
        Type::Set(of) => Ok(Value::set(all(of)?)),
        Type::Map(of) => {
            let Json::Object(all) = from else { return wrong(at, "an object is wanted") };
            let all: Result<Vec<_>, Refusal> = all
                .iter()
                .map(|(key, one)| Ok((key.clone(), convert(one, of, &at.key(key))?)))
                .collect();
            Ok(Value::map(all?))
        }
        Type::Object(types) => {
            let Json::Object(all) = from else { return wrong(at, "an object is wanted") };
            if let Some(name) = all.keys().find(|name| !types.contains_key(*name)) {
                return wrong(&at.then(name), "there is no such attribute");
            }
            let all: Result<Vec<_>, Refusal> = types
                .iter()
                .map(|(name, ty)| {
                    let one = all.get(name).unwrap_or(&Json::Null);
                    Ok((name.clone(), convert(one, ty, &at.then(name))?))
                })
                .collect();
            Ok(Value::object(all?))
        }
        other => json::decode(from, other).or_else(|error| wrong(at, error)),
    }
}

/// What is required is there, and what only the provider sets is not.
fn check(attributes: &[Attribute], value: &Value, at: &Path) -> Result<(), Refusal> {
    let Value::Object(object) = value else { return Ok(()) };
    for attribute in attributes {
        let at = at.then(&attribute.name);
        let value = object.get(&attribute.name).unwrap_or(&Value::Null);
        match (value.is_null(), attribute) {
            (true, attribute) if attribute.required => return wrong(&at, "it is required"),
            (true, _) => continue,
            (false, attribute) if !attribute.is_configurable() => {
                return wrong(&at, "only the provider sets it");
            }
            _ => {}
        }
        let Kind::Nested { nesting, attributes } = &attribute.kind else { continue };
        match (nesting, value) {
            (Nesting::Single, value) => check(attributes, value, &at)?,
            (_, Value::List(all) | Value::Set(all)) => {
                for (index, one) in all.iter().enumerate() {
                    check(attributes, one, &at.index(index))?;
                }
            }
            (_, Value::Map(all)) => {
                for (key, one) in all {
                    check(attributes, one, &at.with(Step::Key(key.clone())))?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema() -> Schema {
        Schema::new(vec![
            Attribute::new("name", Type::String).required(),
            Attribute::new("id", Type::String).computed(),
            Attribute::new("tags", Type::map(Type::String)).optional(),
        ])
    }

    #[test]
    fn what_is_left_out_is_null_and_unknown_values_have_a_word() {
        let value = read(&schema(), &json!({"name": "a", "tags": {"x": unknown()}})).unwrap();
        assert!(value.as_object().unwrap()["id"].is_null());
        assert!(!value.is_wholly_known());
    }

    #[test]
    fn what_cores_refuse_themselves_never_reaches_the_provider() {
        for wrong in [json!({}), json!({"name": "a", "id": "b"}), json!({"name": "a", "nmae": 1})] {
            assert!(matches!(read(&schema(), &wrong), Err(Refusal::Config(_))), "{wrong}");
        }
    }
}
