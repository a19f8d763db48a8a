//! Text that no log shows.

use std::fmt;

use crate::model::Misread;
use crate::{Data, Kind, Value};

/// A secret text. It has no `Display` and its `Debug` shows nothing of it, so that a model that is
/// logged whole gives nothing away. An attribute of this type is sensitive by its type.
///
/// On the wire it is a string like any other: cores hide what is sensitive in their output, and
/// store it in clear all the same. Make the attribute write-only where that must not be.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Secret(String);

impl Secret {
    /// Hides a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one who needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl Data for Secret {
    const SECRET: bool = true;

    fn kind() -> Kind {
        String::kind()
    }

    fn decode(value: &Value) -> Result<Self, Misread> {
        String::decode(value).map(Self)
    }

    fn encode(&self) -> Value {
        self.0.encode()
    }
}

/// `Debug` that shows these fields and leaves out the others: private bytes, and what other
/// providers stored.
macro_rules! shows {
    ($($name:ident $(<$model:ident>)? { $($field:ident),* $(,)? })*) => {$(
        impl$(<$model: std::fmt::Debug>)? std::fmt::Debug for $name$(<$model>)? {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                let mut shown = f.debug_struct(stringify!($name));
                $(shown.field(stringify!($field), &self.$field);)*
                shown.finish_non_exhaustive()
            }
        }
    )*};
}
pub(crate) use shows;

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::erased::{Call, MoveRequest, OpenResponse, PlanRequest, ReadRequest};
    use crate::resource::{Create, Done};
    use crate::{Attr, Attribute, Type};

    #[test]
    fn a_secret_is_shown_by_nothing_and_is_a_string_on_the_wire() {
        let secret: Attr<Secret> = Secret::new("hush").into();
        assert_eq!(format!("{secret:?} {secret:#?}").matches("hush").count(), 0);
        let value = crate::model::put(&secret);
        assert_eq!(value, Value::string("hush"));
        assert_eq!(Secret::decode(&value).unwrap().expose(), "hush");
    }

    #[test]
    fn an_attribute_that_holds_secrets_is_sensitive_by_its_type() {
        assert!(Attribute::of::<Secret>("s").sensitive);
        assert!(Attribute::of::<Vec<Secret>>("s").sensitive);
        assert!(Attribute::of::<BTreeSet<Secret>>("s").sensitive);
        assert!(Attribute::of::<BTreeMap<String, Attr<Secret>>>("s").sensitive);
        assert!(!Attribute::of::<Vec<String>>("s").sensitive);
    }

    #[test]
    fn no_value_and_no_private_byte_is_shown_where_a_request_is_logged_whole() {
        let hush = || Value::string("hush");
        let all = Value::object([
            ("text", hush()),
            ("number", Value::Number("424242.5".parse().unwrap())),
            ("list", Value::List(vec![hush()])),
            ("set", Value::set([hush()])),
            ("map", Value::map([("k", hush())])),
            ("tuple", Value::Tuple(vec![hush()])),
            ("any", Value::Dynamic(Box::new((Type::String, hush())))),
        ]);
        let bytes = || b"hush".to_vec();
        let numbers = format!("{:?}", bytes());
        let call = Call::default;
        let shown = [
            format!("{all:?} {all:#?}"),
            format!(
                "{:?}",
                PlanRequest {
                    prior: all.clone(),
                    proposed: all.clone(),
                    config: all.clone(),
                    prior_private: bytes(),
                    planned_private: Some(bytes()),
                    prior_identity: Some(all.clone()),
                    provider_meta: all.clone(),
                    call: call(),
                }
            ),
            format!(
                "{:?}",
                ReadRequest {
                    state: all.clone(),
                    private: bytes(),
                    identity: None,
                    provider_meta: Value::Null,
                    call: call(),
                }
            ),
            format!(
                "{:?}",
                MoveRequest {
                    source_provider_address: "acme/old".to_owned(),
                    source_type_name: "old_thing".to_owned(),
                    source_schema_version: 0,
                    source_state: serde_json::json!({"text": "hush"}),
                    source_private: bytes(),
                    source_identity: Some(serde_json::json!({"text": "hush"})),
                    call: call(),
                }
            ),
            format!(
                "{:?}",
                OpenResponse { private: bytes(), result: hush(), ..Default::default() }
            ),
            format!("{:?}", Done::new(()).private(bytes())),
            format!(
                "{:?}",
                Create {
                    planned: Secret::new("hush"),
                    config: Secret::new("hush"),
                    planned_private: bytes(),
                    planned_identity: None,
                    provider_meta: all.clone(),
                    call: call(),
                }
            ),
        ];
        for shown in shown {
            assert!(!shown.contains("hush") && !shown.contains("424242"), "{shown}");
            assert!(!shown.contains(&numbers), "{shown}");
        }
    }
}
