//! What a record is made of: no fractions, no times, nothing that has two spellings.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

/// A value of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Nothing, said.
    Null,
    /// A switch.
    Flag(bool),
    /// A whole number.
    Count(i64),
    /// A text.
    Text(String),
    /// Texts without an order, each once.
    Set(BTreeSet<String>),
    /// Values in an order that matters.
    List(Vec<Value>),
    /// Named values.
    Map(BTreeMap<String, Value>),
}

impl Value {
    /// A text.
    pub fn text(text: impl Into<String>) -> Value {
        Value::Text(text.into())
    }

    /// A set of texts.
    pub fn set<'a>(texts: impl IntoIterator<Item = &'a str>) -> Value {
        Value::Set(texts.into_iter().map(str::to_owned).collect())
    }

    /// A map.
    pub fn map<'a>(members: impl IntoIterator<Item = (&'a str, Value)>) -> Value {
        Value::Map(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    /// The member of a map; null where it is absent or this is no map.
    pub fn member(&self, name: &str) -> &Value {
        match self {
            Value::Map(all) => all.get(name).unwrap_or(&Value::Null),
            _ => &Value::Null,
        }
    }

    /// The text that it is, if it is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Canonical JSON (RFC 8785): one spelling for one value. Names and sets are ordered by UTF-16
    /// code units, as §3.2.3 wants names to be.
    pub fn canonical(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) {
        match self {
            Value::Null => out.push_str("null"),
            Value::Flag(flag) => out.push_str(if *flag { "true" } else { "false" }),
            Value::Count(count) => {
                let _ = write!(out, "{count}");
            }
            Value::Text(text) => write_text(text, out),
            Value::Set(all) => {
                let mut all: Vec<&String> = all.iter().collect();
                all.sort_by(|a, b| a.encode_utf16().cmp(b.encode_utf16()));
                enclosed(out, '[', ']', all, |out, text| write_text(text, out));
            }
            Value::List(all) => enclosed(out, '[', ']', all, |out, value| value.write(out)),
            Value::Map(all) => {
                let mut all: Vec<(&String, &Value)> = all.iter().collect();
                all.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
                enclosed(out, '{', '}', all, |out, (name, value)| {
                    write_text(name, out);
                    out.push(':');
                    value.write(out);
                });
            }
        }
    }
}

fn enclosed<T>(
    out: &mut String,
    open: char,
    close: char,
    all: impl IntoIterator<Item = T>,
    mut write: impl FnMut(&mut String, T),
) {
    out.push(open);
    for (at, one) in all.into_iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        write(out, one);
    }
    out.push(close);
}

/// RFC 8785 §3.2.2.2: the short escapes, and four digits for the other controls.
fn write_text(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\u{c}' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            c if c < ' ' => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Flag),
            // Whole numbers are read back from JSON as doubles: exact up to 2^53.
            (-(1i64 << 53)..(1i64 << 53)).prop_map(Value::Count),
            any::<String>().prop_map(Value::Text),
            prop::collection::btree_set(any::<String>(), 0..4).prop_map(Value::Set),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::List),
                prop::collection::btree_map(any::<String>(), inner, 0..4).prop_map(Value::Map),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_what_another_canonicalizer_makes_of_it(value in values()) {
            let ours = value.canonical();
            let read: serde_json::Value = serde_json::from_str(&ours).unwrap();
            prop_assert_eq!(serde_json_canonicalizer::to_string(&read).unwrap(), ours);
        }
    }

    #[test]
    fn names_are_ordered_by_utf_16() {
        // RFC 8785 §3.2.3: U+FB33 stands behind U+1F600, whose first unit is a surrogate.
        let value = Value::map([("\u{fb33}", Value::Count(1)), ("\u{1f600}", Value::Count(2))]);
        assert_eq!(value.canonical(), "{\"\u{1f600}\":2,\"\u{fb33}\":1}");
        assert_eq!(
            Value::set(["\u{fb33}", "\u{1f600}"]).canonical(),
            "[\"\u{1f600}\",\"\u{fb33}\"]"
        );
        assert_eq!(
            Value::text("\u{1}\u{8}\"\\/\u{7f}é").canonical(),
            "\"\\u0001\\b\\\"\\\\/\u{7f}é\""
        );
    }
}
