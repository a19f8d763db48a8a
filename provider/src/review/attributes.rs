//! Values of the wire as the policy reads them.

use policy::change::projection::Attributes;
use tfplugin::Value;

/// The same value, without the types that only the wire has.
pub(super) fn attributes(value: &Value) -> Attributes {
    match value {
        Value::Null => Attributes::Null,
        Value::Unknown(_) => Attributes::Unknown,
        Value::Bool(flag) => Attributes::Flag(*flag),
        // A record has no fractions: what is none is told apart by its text.
        Value::Number(number) => {
            number.as_i64().map_or_else(|| Attributes::Text(number.to_string()), Attributes::Count)
        }
        Value::String(text) => Attributes::Text(text.clone()),
        Value::List(all) | Value::Set(all) | Value::Tuple(all) => {
            Attributes::List(all.iter().map(attributes).collect())
        }
        Value::Map(all) => {
            Attributes::Map(all.iter().map(|(name, one)| (name.clone(), attributes(one))).collect())
        }
        Value::Object(all) => Attributes::Map(
            all.iter().map(|(name, one)| (name.to_string(), attributes(one))).collect(),
        ),
        Value::Dynamic(inner) => attributes(&inner.1),
    }
}
