//! A change's record as it is kept for those who are to sign: its canonical bytes, beside what is said of
//! it. Its digest is its name, so that nobody need be believed.

use std::collections::{BTreeMap, BTreeSet};

use policy::change::{Change, Digest, Value};

/// The longest record that is read.
pub const LONGEST: usize = 1 << 20;

/// Why bytes are no record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoRecord(String);

/// Reads a record, and takes it for nothing else than what its bytes are.
///
/// # Errors
///
/// It is none.
pub fn read(bytes: &[u8]) -> Result<Change, NoRecord> {
    if bytes.len() > LONGEST {
        return Err(NoRecord(format!("it is larger than {LONGEST} bytes")));
    }
    let value: serde_json::Value =
        serde_json::from_slice(bytes).map_err(|_| NoRecord("it is no JSON".to_owned()))?;
    from_json(&value)
}

/// Reads the record of a change that has this digest.
///
/// # Errors
///
/// It is none, or another's.
pub fn read_of(bytes: &[u8], digest: Digest) -> Result<Change, NoRecord> {
    let change = read(bytes)?;
    match change.digest() == digest {
        true => Ok(change),
        false => Err(NoRecord(format!("it is the record of {}", change.digest()))),
    }
}

/// The record of a JSON value.
///
/// # Errors
///
/// It is none.
pub fn from_json(value: &serde_json::Value) -> Result<Change, NoRecord> {
    let value = value_of(value).ok_or_else(|| NoRecord("it holds a fraction".to_owned()))?;
    Change::from_value(&value).map_err(NoRecord)
}

/// A JSON value as a value of a record: texts in a list are a set, which is how records have them.
fn value_of(value: &serde_json::Value) -> Option<Value> {
    use serde_json::Value as Json;
    Some(match value {
        Json::Null => Value::Null,
        Json::Bool(flag) => Value::Flag(*flag),
        Json::Number(number) => Value::Count(number.as_i64()?),
        Json::String(text) => Value::text(text),
        Json::Array(all) => {
            let texts: Option<Vec<&str>> = all.iter().map(Json::as_str).collect();
            let set = texts.map(|texts| texts.into_iter().map(str::to_owned).collect());
            match set {
                Some(set) if is_whole(&set, all.len()) => Value::Set(set),
                _ => Value::List(all.iter().map(value_of).collect::<Option<_>>()?),
            }
        }
        Json::Object(all) => {
            let members = all.iter().map(|(name, one)| Some((name.clone(), value_of(one)?)));
            Value::Map(members.collect::<Option<BTreeMap<_, _>>>()?)
        }
    })
}

/// A set has each text once.
fn is_whole(set: &BTreeSet<String>, length: usize) -> bool {
    set.len() == length
}

/// A value of a record as JSON.
pub fn to_json(value: &Value) -> serde_json::Value {
    // What is canonical is JSON.
    serde_json::from_str(&value.canonical()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use policy::change::Action;

    use super::*;

    #[test]
    fn a_record_is_read_as_it_is_written_and_has_the_same_digest_and_differences() {
        let change = Change {
            tenant: "cluster-1".into(),
            kind: "nhi_scope".into(),
            object: "openbao_approle/4f1c".into(),
            action: Action::Update,
            generation: 2,
            before: Value::map([("scopes", Value::set(["a:read"])), ("none", Value::set([]))]),
            after: Value::map([
                ("scopes", Value::set(["a:read", "b:read"])),
                ("windows", Value::List(vec![Value::map([("start", Value::text("02:00"))])])),
                ("on", Value::Flag(true)),
            ]),
        };
        let bytes = change.canonical().into_bytes();
        let read = read_of(&bytes, change.digest()).unwrap();
        assert_eq!(read, change);
        assert_eq!(from_json(&to_json(&change.to_value())).unwrap(), change);
        let other = Change { generation: 3, ..change };
        let no = read_of(&bytes, other.digest()).unwrap_err().to_string();
        assert!(no.contains("the record of sha256:"), "{no}");
        for text in ["", "[]", "{}", r#"{"generation":1.5}"#] {
            assert!(super::read(text.as_bytes()).is_err(), "{text}");
        }
    }
}
