//! The attributes of a plan's JSON.

use std::{collections::BTreeMap, fmt, sync::LazyLock};

use serde_json::Value as Json;
use tfplugin::{Model, Schema, Value, json};

use crate::resources::{
    credential::CredentialModel, integration::IntegrationModel, owner::OwnerModel,
    rotation_schedule::RotationScheduleModel, scope::ScopeModel,
};

/// What in a plan's JSON does not fit the resource type: it was made by another version, or is no plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit(String);

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Misfit {}

static SCHEMAS: LazyLock<BTreeMap<&'static str, Schema>> = LazyLock::new(|| {
    fn of<M: Model>() -> Schema {
        let mut schema = Schema::default();
        schema.attributes = M::attributes();
        schema
    }
    [
        ("nhi_credential", of::<CredentialModel>()),
        ("nhi_integration", of::<IntegrationModel>()),
        ("nhi_owner", of::<OwnerModel>()),
        ("nhi_rotation_schedule", of::<RotationScheduleModel>()),
        ("nhi_scope", of::<ScopeModel>()),
    ]
    .into()
});

/// `before` or `after` of a resource in a plan's JSON, with `after_unknown` of the latter: attributes that
/// this version does not have are left out, as they are not governed.
///
/// # Errors
///
/// The type is none of ours, or a value does not have its attribute's type.
pub fn from_json(kind: &str, values: &Json, unknown: &Json) -> Result<Value, Misfit> {
    let schema = SCHEMAS.get(kind);
    let schema = schema.ok_or_else(|| Misfit(format!("{kind:?} is no governed resource type")))?;
    let value = json::decode_state(values, schema).map_err(|error| Misfit(error.to_string()))?;
    Ok(with_unknown(value, unknown))
}

/// Whether anything of it is unknown.
fn any(unknown: &Json) -> bool {
    match unknown {
        Json::Bool(flag) => *flag,
        Json::Array(all) => all.iter().any(any),
        Json::Object(all) => all.values().any(any),
        _ => false,
    }
}

fn with_unknown(value: Value, unknown: &Json) -> Value {
    match (value, unknown) {
        (_, Json::Bool(true)) => Value::unknown(),
        (Value::Object(mut all), Json::Object(unknown)) => {
            for (name, value) in &mut all {
                if let Some(unknown) = unknown.get(name) {
                    *value = with_unknown(std::mem::take(value), unknown);
                }
            }
            Value::Object(all)
        }
        (Value::Map(mut all), Json::Object(unknown)) => {
            for (name, unknown) in unknown.iter().filter(|(_, unknown)| any(unknown)) {
                let value = all.remove(name).unwrap_or_default();
                all.insert(name.clone(), with_unknown(value, unknown));
            }
            Value::Map(all)
        }
        (Value::List(all), Json::Array(unknown)) if unknown.len() <= all.len() => {
            let mut marks = unknown.iter();
            let none = Json::Null;
            let each = all.into_iter().map(|one| with_unknown(one, marks.next().unwrap_or(&none)));
            Value::List(each.collect())
        }
        // The members of a set have no places by which they could be told apart: one of them is unknown, and
        // that is not the same as a set of which the platform says all.
        (Value::Set(all), unknown @ Json::Array(_)) if any(unknown) => {
            let known = all.into_iter().filter(|one| *one != Value::Null);
            Value::set(known.chain([Value::unknown()]))
        }
        // What is unknown of what is not there, or is built otherwise: none of it is known.
        (_, unknown) if any(unknown) => Value::unknown(),
        (value, _) => value,
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use proptest::{
        arbitrary::any,
        prelude::*,
        test_runner::{Config, TestRunner},
    };
    use serde_json::json;
    use tfplugin::{Attribute, Kind, Nesting, Type};

    use super::*;
    use crate::review::reviewed;

    /// Texts that models know at their places, so that most of what comes out is a change.
    fn text(name: &str) -> BoxedStrategy<Value> {
        let words: &'static [&'static str] = match name {
            "id" => &["bao/openbao_approle/x"],
            "connection_name" => &["bao"],
            "kind" => &["openbao_approle"],
            "name" => &["x"],
            "highest_action" => &["read", "secret", "admin"],
            _ => &["a:read", "secret/data/x/*:write", "exact", "2026-12-01T00:00:00Z", "24h"],
        };
        prop::sample::select(words).prop_map(Value::string).boxed()
    }

    /// Seldom nothing, and more seldom unknown.
    fn perhaps(value: BoxedStrategy<Value>, unknowns: bool) -> BoxedStrategy<Value> {
        let known = prop_oneof![9 => value, 1 => Just(Value::Null)];
        match unknowns {
            true => prop_oneof![150 => known, 1 => Just(Value::unknown())].boxed(),
            false => known.boxed(),
        }
    }

    fn of_type(name: &str, ty: &Type, unknowns: bool) -> BoxedStrategy<Value> {
        // The members of a collection are there.
        let there = |of: &Type| {
            let one = of_type(name, of, unknowns);
            one.prop_filter("a member is not null", |one| *one != Value::Null).boxed()
        };
        let each = |of: &Type| prop::collection::vec(there(of), 0..3);
        let value = match ty {
            Type::String => text(name),
            Type::Bool => any::<bool>().prop_map(Value::Bool).boxed(),
            Type::Number => (0..4i64).prop_map(|one| Value::Number(one.into())).boxed(),
            Type::List(of) => each(of).prop_map(Value::List).boxed(),
            Type::Set(of) => each(of).prop_map(Value::set).boxed(),
            Type::Map(of) => by_name(there(of)),
            Type::Object(types) => {
                let all: Vec<_> =
                    types.iter().map(|(name, ty)| of_type(name, ty, unknowns)).collect();
                let names: Vec<String> = types.keys().cloned().collect();
                all.prop_map(move |all| Value::object(names.iter().cloned().zip(all))).boxed()
            }
            Type::Dynamic | Type::Tuple(_) => Just(Value::Null).boxed(),
        };
        perhaps(value, unknowns)
    }

    fn by_name(each: BoxedStrategy<Value>) -> BoxedStrategy<Value> {
        let names = prop::sample::select(&["a:read", "b", "c"][..]);
        prop::collection::btree_map(names, each, 0..3).prop_map(Value::map).boxed()
    }

    fn of_attributes(attributes: &[Attribute], unknowns: bool) -> BoxedStrategy<Value> {
        let each = |one: &Attribute| match &one.kind {
            Kind::Type(ty) => of_type(&one.name, ty, unknowns),
            Kind::Nested { nesting, attributes } => {
                let inner = of_attributes(attributes, unknowns);
                let some = |one: BoxedStrategy<Value>| prop::collection::vec(one, 0..3);
                let value = match nesting {
                    Nesting::Single => inner,
                    Nesting::List => some(inner).prop_map(Value::List).boxed(),
                    Nesting::Set => some(inner).prop_map(Value::set).boxed(),
                    Nesting::Map => by_name(inner),
                };
                perhaps(value, unknowns)
            }
        };
        let all: Vec<_> = attributes.iter().map(each).collect();
        let names: Vec<String> = attributes.iter().map(|one| one.name.clone()).collect();
        all.prop_map(move |all| Value::object(names.iter().cloned().zip(all))).boxed()
    }

    /// As cores show a value in a plan: what is unknown is left out, or null where it has a place.
    fn shown(value: &Value) -> Option<Json> {
        let list = |all: &[Value]| all.iter().map(|one| shown(one).unwrap_or_default()).collect();
        Some(match value {
            Value::Unknown(_) => return None,
            Value::Null | Value::Dynamic(_) => Json::Null,
            Value::Bool(_) => json::encode(value, &Type::Bool).unwrap(),
            Value::Number(_) => json::encode(value, &Type::Number).unwrap(),
            Value::String(_) => json::encode(value, &Type::String).unwrap(),
            Value::List(all) | Value::Set(all) | Value::Tuple(all) => Json::Array(list(all)),
            Value::Map(all) => {
                let all = all.iter().filter_map(|(name, one)| Some((name.clone(), shown(one)?)));
                Json::Object(all.collect())
            }
            Value::Object(all) => {
                let all =
                    all.iter().filter_map(|(name, one)| Some((name.to_string(), shown(one)?)));
                Json::Object(all.collect())
            }
        })
    }

    /// As cores say what of it is unknown: members that are known are left out.
    fn unknowns(value: &Value) -> Json {
        let told = |(name, one): (String, &Value)| {
            Some((name, unknowns(one))).filter(|(_, one)| *one != Json::Bool(false))
        };
        match value {
            Value::Unknown(_) => Json::Bool(true),
            Value::List(all) | Value::Set(all) | Value::Tuple(all) => {
                Json::Array(all.iter().map(unknowns).collect())
            }
            Value::Map(all) => Json::Object(
                all.iter().filter_map(|(name, one)| told((name.clone(), one))).collect(),
            ),
            Value::Object(all) => Json::Object(
                all.iter().filter_map(|(name, one)| told((name.to_string(), one))).collect(),
            ),
            _ => Json::Bool(false),
        }
    }

    /// By way of the text that a core prints.
    fn read(kind: &str, value: &Value) -> Value {
        let text = [shown(value).unwrap_or_default(), unknowns(value)].map(|one| one.to_string());
        let [value, unknown] = text.map(|text| serde_json::from_str::<Json>(&text).unwrap());
        from_json(kind, &value, &unknown).unwrap()
    }

    /// Half of the attributes stay as they are.
    fn partly(before: &Value, after: Value, stay: u128) -> Value {
        let (Value::Object(was), Value::Object(mut will)) = (before, after) else {
            unreachable!("both are objects")
        };
        for (at, (name, value)) in will.iter_mut().enumerate() {
            if stay >> at & 1 == 1 {
                *value = was[name].clone();
            }
        }
        Value::Object(will)
    }

    #[test]
    fn a_change_is_the_same_over_the_wire_and_out_of_a_plan_s_json() {
        for (kind, schema) in SCHEMAS.iter() {
            let (changes, unknown) = (Cell::new(0), Cell::new(0));
            let side = |unknowns| of_attributes(&schema.attributes, unknowns);
            let after = any::<bool>().prop_flat_map(side);
            let sides = (side(false), after, any::<u128>(), 0..4u8);
            let mut runner =
                TestRunner::new(Config { failure_persistence: None, ..Config::default() });
            let ran = runner.run(&sides, |(before, after, stay, what)| {
                let after = partly(&before, after, stay);
                let (before, after) = match what {
                    0 => (Value::Null, after),
                    1 => (before, Value::Null),
                    _ => (before, after),
                };
                let wire = reviewed(kind, &before, &after);
                let plan = reviewed(kind, &read(kind, &before), &read(kind, &after));
                match (&wire, &plan) {
                    (Ok(Some(one)), Ok(Some(two))) => {
                        changes.set(changes.get() + 1);
                        prop_assert_eq!(one.change("t").digest(), two.change("t").digest());
                    }
                    (Err(_), Err(_)) => unknown.set(unknown.get() + 1),
                    _ => {}
                }
                prop_assert_eq!(wire, plan);
                Ok(())
            });
            ran.unwrap_or_else(|error| panic!("{kind}: {error}"));
            let told = (changes.get(), unknown.get());
            assert!(told.0 >= 20 && told.1 >= 2, "{kind}: too few were of use: {told:?}");
        }
    }

    #[test]
    fn what_is_unknown_of_what_is_not_there_is_unknown() {
        let of = |values: Json, unknown: Json| {
            let value = from_json("nhi_scope", &values, &unknown).unwrap();
            value.as_object().unwrap()["integration"].clone()
        };
        let id = json!({ "id": true });
        assert!(
            of(json!({ "integration": null }), json!({ "integration": id.clone() })).is_unknown()
        );
        assert!(of(json!({}), json!({ "integration": id })).is_unknown());
        assert_eq!(of(json!({}), json!({ "integration": { "id": false } })), Value::Null);
        assert_eq!(of(json!({}), json!({ "integration": {} })), Value::Null);
        // More is marked than is there.
        let long = with_unknown(Value::List(vec![Value::Null]), &json!([false, true]));
        assert!(long.is_unknown());
        let odd = with_unknown(Value::string("a"), &json!({ "a": true }));
        assert!(odd.is_unknown());
    }

    #[test]
    fn what_is_not_known_is_unknown_where_the_plan_says_so() {
        let after = json!({
            "scopes": ["a:read"], "enforcement": "exact", "what_a_later_version_has": 1,
            "integration": { "id": "bao/openbao_approle/x" },
        });
        let unknown = json!({
            "id": true, "scopes": [false], "integration": { "vendor_id": true, "id": false },
        });
        let value = from_json("nhi_scope", &after, &unknown).unwrap();
        let at = |path: &[&str]| {
            path.iter().fold(&value, |value, name| &value.as_object().unwrap()[*name]).clone()
        };
        assert!(at(&["id"]).is_unknown());
        assert!(at(&["integration", "vendor_id"]).is_unknown());
        assert_eq!(at(&["integration", "id"]).as_str(), Some("bao/openbao_approle/x"));
        assert_eq!(at(&["scopes"]), Value::set([Value::string("a:read")]));
        let in_set = from_json("nhi_scope", &after, &json!({ "scopes": [true] })).unwrap();
        let in_set = &in_set.as_object().unwrap()["scopes"];
        assert_eq!(*in_set, Value::set([Value::string("a:read"), Value::unknown()]));
        assert!(from_json("nhi_scope", &json!({ "scopes": 3 }), &Json::Null).is_err());
        assert!(from_json("aws_iam_user", &after, &Json::Null).is_err());
        assert_eq!(from_json("nhi_scope", &Json::Null, &json!(false)), Ok(Value::Null));
    }
}
