//! Small conversions between attributes and the words below.

use jiff::Timestamp;
use tfplugin::{Attr, Value};
use wiring::Node;

/// A moment as state has it.
pub(crate) fn moment(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A moment out of state.
pub(crate) fn instant(text: &Attr<String>) -> Option<Timestamp> {
    text.as_deref().and_then(|text| text.parse().ok())
}

/// A value that may be absent.
pub(crate) fn optional(text: Option<String>) -> Attr<String> {
    Attr::from(text)
}

/// The provider block as configuration.
pub(crate) fn node(value: &Value) -> Node {
    match value {
        Value::Null => Node::Null,
        Value::Unknown(_) => Node::Unknown,
        Value::Bool(flag) => Node::Flag(*flag),
        // What is no whole number stays what it is, for the reader to refuse.
        Value::Number(number) => {
            number.as_i64().map_or_else(|| Node::Text(number.to_string()), Node::Count)
        }
        Value::String(text) => Node::Text(text.clone()),
        Value::List(items) | Value::Set(items) | Value::Tuple(items) => {
            Node::List(items.iter().map(node).collect())
        }
        Value::Map(members) | Value::Object(members) => Node::Map(
            members
                .iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(name, value)| (name.clone(), node(value)))
                .collect(),
        ),
        Value::Dynamic(inner) => node(&inner.1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_is_not_whole_is_never_taken_for_none() {
        let half = Value::Number("2.5".parse().unwrap());
        assert_eq!(node(&half), Node::Text("2.5".into()));
        assert_eq!(node(&Value::int(2)), Node::Count(2));
    }
}
