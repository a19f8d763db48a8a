//! Values as JSON, directed by their type: state as cores store it, and dynamic values.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use crate::codec::{Malformed, Trail};
use crate::value::named;
use crate::{Attribute, Kind, Nesting, Number, Schema, Type, Value};

/// Reads a value of this type. Strings that say a number or a bool are taken where one is wanted,
/// as cores do.
///
/// # Errors
/// The JSON is no value of the type; the error names the place.
pub fn decode(json: &Json, ty: &Type) -> Result<Value, Malformed> {
    read(json, ty, &Trail::root(), Strictness::Exact)
}

/// Said of a number that we do not take; never the number itself.
const BEYOND: &str = "a number has too many digits or too large an exponent";

/// Reads a value of this type from bytes; no bytes are null.
///
/// # Errors
/// The bytes are no JSON, or no value of the type.
pub fn decode_bytes(bytes: &[u8], ty: &Type) -> Result<Value, Malformed> {
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    decode(&parse(bytes)?, ty)
}

/// Reads any JSON, numbers kept exactly.
///
/// # Errors
/// The bytes are too many, or no JSON.
pub fn parse(bytes: &[u8]) -> Result<Json, Malformed> {
    let root = Trail::root();
    if bytes.len() > crate::codec::MAX_BYTES {
        return root.wrong("the JSON is larger than 256 MiB");
    }
    serde_json::from_slice(bytes).or_else(|error| root.wrong(format!("this is no JSON: {error}")))
}

/// Reads stored state of today's schema: unknown keys are ignored, missing ones are null.
///
/// # Errors
/// A value does not have its attribute's type; the error names the place.
pub fn decode_state(json: &Json, schema: &Schema) -> Result<Value, Malformed> {
    read_object(json, &schema.attributes, &Trail::root())
}

fn read_object(json: &Json, attributes: &[Attribute], at: &Trail<'_>) -> Result<Value, Malformed> {
    at.check_depth()?;
    let object = match json {
        Json::Null => return Ok(Value::Null),
        Json::Object(object) => object,
        other => return at.wrong(format!("{} is no object", noun(other))),
    };
    let mut read_attributes = BTreeMap::new();
    for attribute in attributes {
        let at = at.attribute(&attribute.name);
        let value = match object.get(&attribute.name) {
            None => Value::Null,
            Some(json) => match &attribute.kind {
                Kind::Type(ty) => read(json, ty, &at, Strictness::Lenient)?,
                Kind::Nested { nesting, attributes } => {
                    read_nested(json, *nesting, attributes, &at)?
                }
            },
        };
        read_attributes.insert(attribute.name.clone(), value);
    }
    Ok(Value::Object(read_attributes))
}

fn read_nested(
    json: &Json,
    nesting: Nesting,
    attributes: &[Attribute],
    at: &Trail<'_>,
) -> Result<Value, Malformed> {
    match (nesting, json) {
        (_, Json::Null) => Ok(Value::Null),
        (Nesting::Single, json) => read_object(json, attributes, at),
        (Nesting::List, Json::Array(all)) => all
            .iter()
            .enumerate()
            .map(|(index, json)| read_object(json, attributes, &at.index(index)))
            .collect::<Result<_, _>>()
            .map(Value::List),
        (Nesting::Set, Json::Array(all)) => all
            .iter()
            .map(|json| read_object(json, attributes, &at.same()))
            .collect::<Result<Vec<_>, _>>()
            .map(Value::set),
        (Nesting::Map, Json::Object(all)) => all
            .iter()
            .map(|(key, json)| Ok((key.clone(), read_object(json, attributes, &at.key(key))?)))
            .collect::<Result<_, _>>()
            .map(|all| Value::Map(named(all))),
        (_, other) => at.wrong(format!("{} is no collection of objects", noun(other))),
    }
}

/// Whether attributes may be missing or too many.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Strictness {
    Exact,
    Lenient,
}

fn noun(json: &Json) -> &'static str {
    match json {
        Json::Null => "null",
        Json::Bool(_) => "a bool",
        Json::Number(_) => "a number",
        Json::String(_) => "a string",
        Json::Array(_) => "an array",
        Json::Object(_) => "an object",
    }
}

fn read(json: &Json, ty: &Type, at: &Trail<'_>, strict: Strictness) -> Result<Value, Malformed> {
    at.check_depth()?;
    match (ty, json) {
        (_, Json::Null) => Ok(Value::Null),
        (Type::String, Json::String(text)) => Ok(Value::string(text.as_str())),
        (Type::String, Json::Bool(value)) => Ok(Value::string(value.to_string())),
        (Type::String, Json::Number(number)) => match number.to_string().parse::<Number>() {
            Ok(number) => Ok(Value::string(number.to_string())),
            Err(_) => at.wrong(BEYOND),
        },
        (Type::Bool, Json::Bool(value)) => Ok(Value::Bool(*value)),
        (Type::Bool, Json::String(text)) if text == "true" => Ok(Value::Bool(true)),
        (Type::Bool, Json::String(text)) if text == "false" => Ok(Value::Bool(false)),
        (Type::Number, Json::Number(number)) => match number.to_string().parse() {
            Ok(number) => Ok(Value::Number(number)),
            Err(_) => at.wrong(BEYOND),
        },
        (Type::Number, Json::String(text)) => match text.parse() {
            Ok(number) => Ok(Value::Number(number)),
            Err(_) => at.wrong("a string is no number"),
        },
        (Type::List(of), Json::Array(all)) => all
            .iter()
            .enumerate()
            .map(|(index, json)| read(json, of, &at.index(index), strict))
            .collect::<Result<_, _>>()
            .map(Value::List),
        (Type::Set(of), Json::Array(all)) => all
            .iter()
            .map(|json| read(json, of, &at.same(), strict))
            .collect::<Result<Vec<_>, _>>()
            .map(Value::set),
        (Type::Tuple(types), Json::Array(all)) => {
            if types.len() != all.len() {
                return at.wrong(format!("{} elements, where {}", all.len(), types.len()));
            }
            all.iter()
                .zip(types)
                .enumerate()
                .map(|(index, (json, ty))| read(json, ty, &at.index(index), strict))
                .collect::<Result<_, _>>()
                .map(Value::Tuple)
        }
        (Type::Map(of), Json::Object(all)) => all
            .iter()
            .map(|(key, json)| {
                let Value::String(name) = Value::string(key.as_str()) else {
                    return at.wrong("a key is no string");
                };
                Ok((name, read(json, of, &at.key(key), strict)?))
            })
            .collect::<Result<_, _>>()
            .map(|all| Value::Map(named(all))),
        (Type::Object(types), Json::Object(all)) => {
            if strict == Strictness::Exact
                && let Some(name) = all.keys().find(|name| !types.contains_key(*name))
            {
                return at.attribute(name).wrong("there is no such attribute");
            }
            types
                .iter()
                .map(|(name, ty)| {
                    let at = at.attribute(name);
                    let value = match all.get(name) {
                        Some(json) => read(json, ty, &at, strict)?,
                        None if strict == Strictness::Exact => {
                            return at.wrong("the attribute is missing");
                        }
                        None => Value::Null,
                    };
                    Ok((name.clone(), value))
                })
                .collect::<Result<_, _>>()
                .map(|all| Value::Object(named(all)))
        }
        (Type::Dynamic, Json::Object(pair)) => {
            let (Some(ty), Some(value), 2) = (pair.get("type"), pair.get("value"), pair.len())
            else {
                return at.wrong("a dynamic value is an object of type and value");
            };
            let ty = Type::from_json(ty).or_else(|error| at.wrong(error.to_string()))?;
            match read(value, &ty, &at.same(), strict)? {
                Value::Null => Ok(Value::Null),
                value => Ok(Value::Dynamic(Box::new((ty, value)))),
            }
        }
        (ty, other) => at.wrong(format!("{} is no {ty}", noun(other))),
    }
}

/// Writes a value of this type.
///
/// # Errors
/// The value is not of the type, or a part of it is unknown; the error names the place.
pub fn encode(value: &Value, ty: &Type) -> Result<Json, Malformed> {
    write(value, ty, &Trail::root())
}

fn write(value: &Value, ty: &Type, at: &Trail<'_>) -> Result<Json, Malformed> {
    at.check_depth()?;
    match (value, ty) {
        (Value::Null, _) => Ok(Json::Null),
        (Value::Unknown(_), _) => at.wrong("an unknown value has no JSON form"),
        (Value::String(text), Type::String) => Ok(Json::String(text.clone())),
        (Value::Bool(value), Type::Bool) => Ok(Json::Bool(*value)),
        (Value::Number(number), Type::Number) => {
            match number.to_string().parse::<serde_json::Number>() {
                Ok(number) => Ok(Json::Number(number)),
                Err(_) => at.wrong(BEYOND),
            }
        }
        (Value::List(all), Type::List(of)) => all
            .iter()
            .enumerate()
            .map(|(index, value)| write(value, of, &at.index(index)))
            .collect::<Result<_, _>>()
            .map(Json::Array),
        (Value::Set(all), Type::Set(of)) => all
            .iter()
            .map(|value| write(value, of, &at.same()))
            .collect::<Result<_, _>>()
            .map(Json::Array),
        (Value::Tuple(all), Type::Tuple(types)) if all.len() == types.len() => all
            .iter()
            .zip(types)
            .enumerate()
            .map(|(index, (value, ty))| write(value, ty, &at.index(index)))
            .collect::<Result<_, _>>()
            .map(Json::Array),
        (Value::Map(all), Type::Map(of)) => all
            .iter()
            .map(|(key, value)| Ok((key.clone(), write(value, of, &at.key(key))?)))
            .collect::<Result<_, _>>()
            .map(|all| Json::Object(named(all))),
        (Value::Object(all), Type::Object(types)) => {
            if let Some(name) = all.keys().find(|name| !types.contains_key(*name)) {
                return at.attribute(name).wrong("there is no such attribute");
            }
            types
                .iter()
                .map(|(name, ty)| {
                    let at = at.attribute(name);
                    match all.get(name) {
                        Some(value) => Ok((name.clone(), write(value, ty, &at)?)),
                        None => at.wrong("the attribute is missing"),
                    }
                })
                .collect::<Result<_, _>>()
                .map(|all| Json::Object(named(all)))
        }
        (Value::Dynamic(inner), Type::Dynamic) => {
            let mut pair = Map::new();
            pair.insert("type".to_owned(), inner.0.to_json());
            pair.insert("value".to_owned(), write(&inner.1, &inner.0, &at.same())?);
            Ok(Json::Object(pair))
        }
        (value, ty) => at.wrong(format!("{} is no {ty}", value.noun())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Json {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn state_of_an_older_binary_is_read_with_missing_attributes_null() {
        let schema = Schema::new(vec![
            Attribute::new("a", Type::String).optional(),
            Attribute::nested(
                "n",
                Nesting::List,
                vec![Attribute::new("x", Type::Number).optional()],
            )
            .optional(),
        ]);
        let state = decode_state(&json(r#"{"gone":1,"n":[{"y":2},{"x":1e2}]}"#), &schema).unwrap();
        let x = |v: Value| Value::object([("x", v)]);
        let n = Value::List(vec![x(Value::Null), x(100.into())]);
        assert_eq!(state, Value::object([("a", Value::Null), ("n", n)]));
    }

    #[test]
    fn an_error_names_the_place() {
        let ty = Type::object([("a", Type::map(Type::list(Type::Bool)))]);
        let error = decode(&json(r#"{"a":{"k":[true,7]}}"#), &ty).unwrap_err();
        assert_eq!(error.to_string(), "at a[\"k\"][1]: a number is no bool");
        assert!(decode(&json("{}"), &ty).unwrap_err().to_string().contains("missing"));
        assert!(decode(&json(r#"{"a":null,"b":1}"#), &ty).is_err());
    }

    #[test]
    fn an_exponent_without_an_absolute_value_is_an_error() {
        for text in ["1e-2147483648", "\"1e-2147483648\""] {
            assert!(decode_bytes(text.as_bytes(), &Type::Number).is_err());
            // As text a number is read too, in whatever spelling.
            let _ = decode_bytes(text.as_bytes(), &Type::String);
        }
    }

    #[test]
    fn numbers_keep_all_digits() {
        let long = "12345678901234567890123.25";
        let value = decode(&json(long), &Type::Number).unwrap();
        assert_eq!(encode(&value, &Type::Number).unwrap().to_string(), long);
        assert_eq!(decode(&json("\"7\""), &Type::Number).unwrap(), 7.into());
    }

    #[test]
    fn a_dynamic_value_says_its_type() {
        let text = r#"{"type":["list","bool"],"value":[true]}"#;
        let value = decode(&json(text), &Type::Dynamic).unwrap();
        let expected =
            Value::Dynamic(Box::new((Type::list(Type::Bool), Value::List(vec![true.into()]))));
        assert_eq!(value, expected);
        assert_eq!(encode(&value, &Type::Dynamic).unwrap().to_string(), text);
    }

    #[test]
    fn what_is_unknown_has_no_json() {
        assert!(encode(&Value::unknown(), &Type::String).is_err());
    }
}
