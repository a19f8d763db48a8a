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
        (Value::List(all), Json::Array(unknown)) => {
            let mut marks = unknown.iter();
            let none = Json::Null;
            let each = all.into_iter().map(|one| with_unknown(one, marks.next().unwrap_or(&none)));
            Value::List(each.collect())
        }
        // The members of a set have no places by which they could be told apart.
        (Value::Set(_), unknown @ Json::Array(_)) if any(unknown) => Value::unknown(),
        (value, _) => value,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

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
        assert!(in_set.as_object().unwrap()["scopes"].is_unknown());
        assert!(from_json("nhi_scope", &json!({ "scopes": 3 }), &Json::Null).is_err());
        assert!(from_json("aws_iam_user", &after, &Json::Null).is_err());
        assert_eq!(from_json("nhi_scope", &Json::Null, &json!(false)), Ok(Value::Null));
    }
}
