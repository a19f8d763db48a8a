//! The types that values have.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value as Json;

use crate::value::named;

/// How deep a type or a value may nest.
pub(crate) const MAX_DEPTH: usize = 100;

/// The type of a value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Type {
    /// Unicode text.
    String,
    /// True or false.
    Bool,
    /// A number of any size.
    Number,
    /// Any type: each value says its own.
    Dynamic,
    /// Values of one type in order.
    List(Box<Type>),
    /// Distinct values of one type.
    Set(Box<Type>),
    /// Values of one type by key.
    Map(Box<Type>),
    /// Values of several types by name.
    Object(BTreeMap<String, Type>),
    /// Values of several types in order.
    Tuple(Vec<Type>),
}

/// Why a JSON text is no type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotAType(String);

impl fmt::Display for NotAType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NotAType {}

impl Type {
    /// A list of these.
    pub fn list(of: Type) -> Self {
        Self::List(Box::new(of))
    }

    /// A set of these.
    pub fn set(of: Type) -> Self {
        Self::Set(Box::new(of))
    }

    /// A map of these.
    pub fn map(of: Type) -> Self {
        Self::Map(Box::new(of))
    }

    /// An object with these attributes.
    pub fn object<N: Into<String>>(attributes: impl IntoIterator<Item = (N, Type)>) -> Self {
        let attributes = attributes.into_iter().map(|(name, ty)| (name.into(), ty));
        Self::Object(named(attributes.collect()))
    }

    /// Whether a dynamic type is inside.
    pub fn has_dynamic(&self) -> bool {
        match self {
            Self::String | Self::Bool | Self::Number => false,
            Self::Dynamic => true,
            Self::List(of) | Self::Set(of) | Self::Map(of) => of.has_dynamic(),
            Self::Object(attributes) => attributes.values().any(Self::has_dynamic),
            Self::Tuple(elements) => elements.iter().any(Self::has_dynamic),
        }
    }

    /// The form that schemas and dynamic values carry: `"string"`, `["list","bool"]`.
    pub fn to_json(&self) -> Json {
        match self {
            Self::String => "string".into(),
            Self::Bool => "bool".into(),
            Self::Number => "number".into(),
            Self::Dynamic => "dynamic".into(),
            Self::List(of) => Json::Array(vec!["list".into(), of.to_json()]),
            Self::Set(of) => Json::Array(vec!["set".into(), of.to_json()]),
            Self::Map(of) => Json::Array(vec!["map".into(), of.to_json()]),
            Self::Object(attributes) => {
                let attributes = attributes.iter().map(|(name, ty)| (name.clone(), ty.to_json()));
                let attributes = named(attributes.collect());
                Json::Array(vec!["object".into(), Json::Object(attributes)])
            }
            Self::Tuple(elements) => {
                let elements = elements.iter().map(Self::to_json).collect();
                Json::Array(vec!["tuple".into(), Json::Array(elements)])
            }
        }
    }

    /// The same as bytes.
    pub fn to_json_bytes(&self) -> Vec<u8> {
        self.to_json().to_string().into_bytes()
    }

    /// Reads the JSON form.
    ///
    /// # Errors
    /// It is not the form of a type, or nests too deep.
    pub fn from_json(json: &Json) -> Result<Self, NotAType> {
        Self::read(json, 0)
    }

    /// Reads the JSON form from bytes.
    ///
    /// # Errors
    /// The bytes are no JSON, or not the form of a type, or nest too deep.
    pub fn from_json_bytes(bytes: &[u8]) -> Result<Self, NotAType> {
        let json: Json = serde_json::from_slice(bytes)
            .map_err(|error| NotAType(format!("a type must be JSON: {error}")))?;
        Self::from_json(&json)
    }

    fn read(json: &Json, depth: usize) -> Result<Self, NotAType> {
        if depth > MAX_DEPTH {
            return Err(NotAType(format!("a type may nest {MAX_DEPTH} levels deep, not more")));
        }
        let wrong = || {
            let mut text = json.to_string();
            if text.len() > 80 {
                text = text.chars().take(80).chain("…".chars()).collect();
            }
            NotAType(format!("{text} is not the JSON form of a type"))
        };
        match json {
            Json::String(word) => match word.as_str() {
                "string" => Ok(Self::String),
                "bool" => Ok(Self::Bool),
                "number" => Ok(Self::Number),
                "dynamic" => Ok(Self::Dynamic),
                _ => Err(wrong()),
            },
            Json::Array(parts) => {
                let word = parts.first().and_then(Json::as_str).ok_or_else(wrong)?;
                let of = parts.get(1).ok_or_else(wrong)?;
                match (word, of) {
                    ("list", of) if parts.len() == 2 => Ok(Self::list(Self::read(of, depth + 1)?)),
                    ("set", of) if parts.len() == 2 => Ok(Self::set(Self::read(of, depth + 1)?)),
                    ("map", of) if parts.len() == 2 => Ok(Self::map(Self::read(of, depth + 1)?)),
                    ("tuple", Json::Array(elements)) if parts.len() == 2 => elements
                        .iter()
                        .map(|element| Self::read(element, depth + 1))
                        .collect::<Result<_, _>>()
                        .map(Self::Tuple),
                    // A third part names attributes that may be left out in a conversion.
                    ("object", Json::Object(attributes)) if parts.len() <= 3 => attributes
                        .iter()
                        .map(|(name, ty)| Ok((name.clone(), Self::read(ty, depth + 1)?)))
                        .collect::<Result<_, _>>()
                        .map(|attributes| Self::Object(named(attributes))),
                    _ => Err(wrong()),
                }
            }
            _ => Err(wrong()),
        }
    }
}

/// As people write types in HCL: `list(string)`, `object({ id = string })`.
impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::String => f.write_str("string"),
            Self::Bool => f.write_str("bool"),
            Self::Number => f.write_str("number"),
            Self::Dynamic => f.write_str("any"),
            Self::List(of) => write!(f, "list({of})"),
            Self::Set(of) => write!(f, "set({of})"),
            Self::Map(of) => write!(f, "map({of})"),
            Self::Object(attributes) => {
                f.write_str("object({ ")?;
                for (position, (name, ty)) in attributes.iter().enumerate() {
                    if position > 0 {
                        f.write_str(", ")?;
                    }
                    write!(f, "{name} = {ty}")?;
                }
                f.write_str(" })")
            }
            Self::Tuple(elements) => {
                f.write_str("tuple([")?;
                for (position, ty) in elements.iter().enumerate() {
                    if position > 0 {
                        f.write_str(", ")?;
                    }
                    ty.fmt(f)?;
                }
                f.write_str("])")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_has_the_json_form_of_the_schema() {
        for (ty, text) in [
            (Type::String, r#""string""#),
            (Type::list(Type::Bool), r#"["list","bool"]"#),
            (Type::set(Type::Number), r#"["set","number"]"#),
            (Type::map(Type::Dynamic), r#"["map","dynamic"]"#),
            (
                Type::object([("b", Type::String), ("a", Type::Bool)]),
                r#"["object",{"a":"bool","b":"string"}]"#,
            ),
            (Type::Tuple(vec![Type::String, Type::Bool]), r#"["tuple",["string","bool"]]"#),
        ] {
            assert_eq!(ty.to_json().to_string(), text);
            assert_eq!(Type::from_json_bytes(text.as_bytes()).unwrap(), ty);
        }
    }

    #[test]
    fn what_is_no_type_is_refused() {
        for text in
            ["", "7", r#""text""#, "[]", r#"["list"]"#, r#"["list","x"]"#, r#"["object",[]]"#]
        {
            assert!(Type::from_json_bytes(text.as_bytes()).is_err(), "{text}");
        }
        let deep = format!("{}\"string\"{}", r#"["list","#.repeat(110), "]".repeat(110));
        assert!(Type::from_json_bytes(deep.as_bytes()).unwrap_err().to_string().contains("deep"));
    }
}
