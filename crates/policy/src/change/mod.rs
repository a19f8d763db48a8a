//! One change of one object, as it is reviewed, signed and applied.
//!
//! The record is what an approval is bound to: the tenant, the object, what is there and what is
//! wanted, of an allow-listed part of its attributes ([`projection`]). It holds no secret, no time and
//! no Terraform address, so that planning again, `moved`, other resources and formatting leave it as it
//! is, and any governed difference makes it another one.

pub mod advice;
pub mod explain;
pub mod freeze;
pub mod impact;
pub mod projection;
pub mod quorum;
pub mod requester;
pub mod review;
pub mod standing;
pub mod value;

use std::fmt;

use domain::realm::sha256;

pub use value::Value;

/// The record's schema; it stands in the digest twice, as its domain and in the record.
pub const SCHEMA: &str = "nhi-change/v1";

/// What stands where the platform will choose a value that nobody can know yet.
pub const NEW: &str = "(new)";

/// What is done to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// It comes into being.
    Create,
    /// It is taken under management as it is, and perhaps changed.
    Adopt,
    /// It is changed in place.
    Update,
    /// Its credential is issued anew.
    Rotate,
    /// It goes, and another comes in its place.
    Replace,
    /// It ends.
    Delete,
    /// It lives on and nobody manages it any more.
    Forget,
}

impl Action {
    /// Every action.
    pub const ALL: [Action; 7] = [
        Action::Create,
        Action::Adopt,
        Action::Update,
        Action::Rotate,
        Action::Replace,
        Action::Delete,
        Action::Forget,
    ];

    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Action::Create => "create",
            Action::Adopt => "adopt",
            Action::Update => "update",
            Action::Rotate => "rotate",
            Action::Replace => "replace",
            Action::Delete => "delete",
            Action::Forget => "forget",
        }
    }

    /// The action of this word.
    pub fn from_word(word: &str) -> Option<Action> {
        Action::ALL.into_iter().find(|one| one.as_str() == word)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The record of one change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The tenant's own id, pinned: an approval for one tenant is none for another.
    pub tenant: String,
    /// The resource type: `nhi_scope`.
    pub kind: String,
    /// The object's own id: the platform's id of this very incarnation, and for what has none yet the
    /// name that it will have. A connection's name is none of it.
    pub object: String,
    /// What is done.
    pub action: Action,
    /// The generation that is there before, of what has one; else 0.
    pub generation: i64,
    /// What is there, projected; null where nothing is.
    pub before: Value,
    /// What is wanted, projected; null where nothing is to be left.
    pub after: Value,
}

impl Change {
    /// The record as a value.
    pub fn to_value(&self) -> Value {
        Value::map([
            ("schema", Value::text(SCHEMA)),
            ("tenant", Value::text(&self.tenant)),
            (
                "object",
                Value::map([("type", Value::text(&self.kind)), ("id", Value::text(&self.object))]),
            ),
            ("action", Value::text(self.action.as_str())),
            ("generation", Value::Count(self.generation)),
            ("before", self.before.clone()),
            ("after", self.after.clone()),
        ])
    }

    /// The record of a value that [`Change::to_value`] gave.
    ///
    /// # Errors
    ///
    /// Which member is missing, foreign or of another type.
    pub fn from_value(value: &Value) -> Result<Change, String> {
        let Value::Map(all) = value else { return Err("it is no record".to_owned()) };
        const MEMBERS: [&str; 7] =
            ["schema", "tenant", "object", "action", "generation", "before", "after"];
        if let Some(foreign) = all.keys().find(|name| !MEMBERS.contains(&name.as_str())) {
            return Err(format!("it has a member {foreign:?} that {SCHEMA} does not have"));
        }
        let member = |name: &str| all.get(name).ok_or_else(|| format!("it lacks {name:?}"));
        let text = |value: &Value, name: &str| match value {
            Value::Text(text) => Ok(text.clone()),
            _ => Err(format!("{name:?} is no text")),
        };
        let schema = text(member("schema")?, "schema")?;
        if schema != SCHEMA {
            return Err(format!("it is a {schema:?}, and this reads {SCHEMA:?}"));
        }
        let Value::Map(object) = member("object")? else {
            return Err("\"object\" is no map".to_owned());
        };
        let (Some(kind), Some(id), 2) = (object.get("type"), object.get("id"), object.len()) else {
            return Err("\"object\" has a type and an id, and nothing else".to_owned());
        };
        let action = text(member("action")?, "action")?;
        let Value::Count(generation) = member("generation")? else {
            return Err("\"generation\" is no whole number".to_owned());
        };
        Ok(Change {
            tenant: text(member("tenant")?, "tenant")?,
            kind: text(kind, "object.type")?,
            object: text(id, "object.id")?,
            action: Action::from_word(&action)
                .ok_or_else(|| format!("{action:?} is no action of {SCHEMA}"))?,
            generation: *generation,
            before: member("before")?.clone(),
            after: member("after")?.clone(),
        })
    }

    /// Its canonical bytes (RFC 8785).
    pub fn canonical(&self) -> String {
        self.to_value().canonical()
    }

    /// What an approval is bound to: SHA-256 over the domain, a line's end and the canonical record.
    pub fn digest(&self) -> Digest {
        Digest(sha256(format!("{SCHEMA}\n{}", self.canonical()).as_bytes()))
    }

    /// What differs between before and after, leaf by leaf, in order of the paths.
    pub fn differences(&self) -> Vec<Difference> {
        differences(&self.before, &self.after)
    }
}

/// The digest of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// The first characters, by which people name it; a command takes any that are not ambiguous.
    pub fn short(self) -> String {
        self.hex()[..12].to_owned()
    }

    /// All of it, in 64 lower-case hexadecimal digits.
    pub fn hex(self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Reads what [`Digest::hex`] or `sha256:` and that wrote.
    pub fn parse(text: &str) -> Option<Digest> {
        let text = text.strip_prefix("sha256:").unwrap_or(text);
        let is_hex = |byte: &u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
        if text.len() != 64 || !text.as_bytes().iter().all(is_hex) {
            return None;
        }
        let mut bytes = [0; 32];
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()?;
        }
        Some(Digest(bytes))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}

/// One leaf that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Its path: `openbao_approle.token_ttl`.
    pub path: String,
    /// What is there; nothing where it comes.
    pub before: Option<Value>,
    /// What is wanted; nothing where it goes.
    pub after: Option<Value>,
}

/// What differs between two records, leaf by leaf, in order of the paths.
pub fn differences(before: &Value, after: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    differ(before, after, "", &mut found);
    found
}

fn differ(before: &Value, after: &Value, path: &str, found: &mut Vec<Difference>) {
    let join = |name: &str| match path {
        "" => name.to_owned(),
        path => format!("{path}.{name}"),
    };
    let empty = std::collections::BTreeMap::new();
    let maps = match (before, after) {
        (Value::Map(before), Value::Map(after)) => Some((before, after)),
        (Value::Map(before), Value::Null) => Some((before, &empty)),
        (Value::Null, Value::Map(after)) => Some((&empty, after)),
        _ => None,
    };
    match (maps, before, after) {
        (Some((before, after)), ..) => {
            let names: std::collections::BTreeSet<&String> =
                before.keys().chain(after.keys()).collect();
            for name in names {
                let of = |map: &std::collections::BTreeMap<String, Value>| {
                    map.get(name).cloned().unwrap_or(Value::Null)
                };
                differ(&of(before), &of(after), &join(name), found);
            }
        }
        // Of a set each member is a difference of its own.
        (None, Value::Set(_) | Value::Null, Value::Set(_) | Value::Null) if before != after => {
            let members = |value: &Value| match value {
                Value::Set(all) => all.clone(),
                _ => Default::default(),
            };
            let (was, is) = (members(before), members(after));
            let one = |text: &String| Some(Value::text(text));
            let path = path.to_owned();
            for text in was.difference(&is) {
                found.push(Difference { path: path.clone(), before: one(text), after: None });
            }
            for text in is.difference(&was) {
                found.push(Difference { path: path.clone(), before: None, after: one(text) });
            }
        }
        _ if before != after => {
            let shown = |value: &Value| (*value != Value::Null).then(|| value.clone());
            found.push(Difference {
                path: path.to_owned(),
                before: shown(before),
                after: shown(after),
            });
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change() -> Change {
        Change {
            tenant: "cluster-1".into(),
            kind: "nhi_scope".into(),
            object: "openbao_approle/4f1c".into(),
            action: Action::Update,
            generation: 0,
            before: Value::map([("scopes", Value::set(["a:read"]))]),
            after: Value::map([("scopes", Value::set(["a:read", "b:read"]))]),
        }
    }

    #[test]
    fn a_record_is_canonical_and_its_digest_is_of_its_own_domain() {
        let one = change();
        assert_eq!(
            one.canonical(),
            r#"{"action":"update","after":{"scopes":["a:read","b:read"]},"before":{"scopes":["a:read"]},"generation":0,"object":{"id":"openbao_approle/4f1c","type":"nhi_scope"},"schema":"nhi-change/v1","tenant":"cluster-1"}"#
        );
        let digest = one.digest();
        assert_ne!(digest.0, sha256(one.canonical().as_bytes()));
        assert_eq!(Digest::parse(&digest.to_string()), Some(digest));
        assert_eq!(Digest::parse(&digest.hex()), Some(digest));
        for wrong in ["", "sha256:", &digest.hex()[1..], &digest.hex().to_uppercase(), "zz"] {
            assert_eq!(Digest::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_digest_is_bound_to_every_part_of_the_record() {
        let one = change();
        for other in [
            Change { tenant: "cluster-2".into(), ..one.clone() },
            Change { kind: "nhi_integration".into(), ..one.clone() },
            Change { object: "openbao_approle/5".into(), ..one.clone() },
            Change { action: Action::Replace, ..one.clone() },
            Change { generation: 1, ..one.clone() },
            Change { before: Value::Null, ..one.clone() },
            Change { after: Value::Null, ..one.clone() },
            Change { before: one.after.clone(), after: one.before.clone(), ..one.clone() },
        ] {
            assert_ne!(other.digest(), one.digest(), "{other:?}");
        }
    }

    #[test]
    fn a_record_that_is_read_back_is_the_same_and_anything_else_is_refused() {
        let one = change();
        assert_eq!(Change::from_value(&one.to_value()), Ok(one.clone()));
        let with = |name: &str, value: Option<Value>| {
            let Value::Map(mut all) = one.to_value() else { unreachable!() };
            match value {
                Some(value) => all.insert(name.to_owned(), value),
                None => all.remove(name),
            };
            Change::from_value(&Value::Map(all)).unwrap_err()
        };
        for name in ["schema", "tenant", "object", "action", "generation", "before", "after"] {
            assert!(with(name, None).contains(name), "{name}");
        }
        assert!(with("more", Some(Value::Null)).contains("more"));
        assert!(with("schema", Some(Value::text("nhi-change/v2"))).contains("v2"));
        assert!(with("action", Some(Value::text("widen"))).contains("widen"));
        assert!(with("generation", Some(Value::text("1"))).contains("whole number"));
        assert!(with("object", Some(Value::map([("type", Value::Null)]))).contains("object"));
    }

    #[test]
    fn differences_name_each_leaf_and_each_member_of_a_set() {
        let one = Change {
            before: Value::map([
                ("scopes", Value::set(["a", "b"])),
                ("ends", Value::text("2027-01-01")),
                ("more", Value::map([("ttl", Value::text("1h"))])),
            ]),
            after: Value::map([
                ("scopes", Value::set(["b", "c"])),
                ("more", Value::map([("ttl", Value::text("2h")), ("n", Value::Count(1))])),
            ]),
            ..change()
        };
        let told: Vec<String> = one
            .differences()
            .iter()
            .map(|one| {
                let shown = |value: &Option<Value>| {
                    value.as_ref().map_or_else(|| "-".to_owned(), Value::canonical)
                };
                format!("{} {} {}", one.path, shown(&one.before), shown(&one.after))
            })
            .collect();
        assert_eq!(
            told,
            [
                r#"ends "2027-01-01" -"#,
                r#"more.n - 1"#,
                r#"more.ttl "1h" "2h""#,
                r#"scopes "a" -"#,
                r#"scopes - "c""#,
            ]
        );
        assert!(Change { after: one.before.clone(), ..one }.differences().is_empty());
    }
}
