//! A document: fields that are secrets, and their JSON.

use std::collections::BTreeMap;

use domain::Secret;
use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::Value;
use zeroize::Zeroizing;

/// Stands before the JSON of a field that is no text, so that it goes back as it came. No text that
/// people write begins with it.
const RAW: char = '\u{0}';

/// A document's fields. Every value is held as a secret, whether it is one or not.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Document(pub BTreeMap<String, Secret>);

impl Document {
    /// One field's text.
    pub fn get(&self, field: &str) -> Option<&Secret> {
        self.0.get(field)
    }

    /// The fields as texts: what is no text as its JSON. Said aloud, since what comes out may be
    /// copied.
    pub fn exposed(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(field, secret)| {
            let text = secret.expose();
            (field.as_str(), text.strip_prefix(RAW).unwrap_or(text))
        })
    }

    /// Adds a field, for building a document in one expression.
    #[must_use]
    pub fn with(mut self, field: &str, value: Secret) -> Self {
        self.0.insert(field.to_owned(), value);
        self
    }

    /// A second holder of the same fields, said aloud where it is needed.
    #[must_use]
    pub fn duplicate(&self) -> Document {
        Document(self.0.iter().map(|(field, value)| (field.clone(), value.duplicate())).collect())
    }

    /// Takes the members of a JSON object. Texts are moved, not copied. What is no text (a number, a
    /// list) is kept so that [`Exposed`] writes it as it was.
    pub fn from_values(values: impl IntoIterator<Item = (String, Value)>) -> Document {
        let secret = |value| match value {
            Value::String(text) => Secret::new(text),
            other => Secret::new(format!("{RAW}{other}")),
        };
        Document(values.into_iter().map(|(field, value)| (field, secret(value))).collect())
    }

    /// Reads a JSON object.
    ///
    /// # Errors
    ///
    /// Where the bytes are none; the message tells line and column and quotes nothing.
    pub fn from_json(bytes: &[u8]) -> Result<Document, String> {
        serde_json::from_slice::<BTreeMap<String, Value>>(bytes).map(Document::from_values).map_err(
            |error| format!("no JSON object (line {}, column {})", error.line(), error.column()),
        )
    }

    /// Writes a JSON object, in bytes that are wiped.
    ///
    /// # Errors
    ///
    /// A field that claims to be JSON and is none.
    pub fn to_json(&self) -> Result<Zeroizing<Vec<u8>>, String> {
        // Reserved ahead, so that growing leaves no copies behind.
        let size: usize =
            self.0.iter().map(|(key, value)| key.len() + value.expose().len() + 16).sum();
        let mut bytes = Zeroizing::new(Vec::with_capacity(2 * size + 64));
        serde_json::to_writer_pretty(&mut *bytes, &Exposed(self))
            .map_err(|error| error.to_string())?;
        bytes.push(b'\n');
        Ok(bytes)
    }
}

/// A document that is about to be sent or stored: the only way to serialize one, said aloud.
#[derive(Debug, Clone, Copy)]
pub struct Exposed<'a>(pub &'a Document);

impl Serialize for Exposed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.0.len()))?;
        for (field, secret) in &self.0.0 {
            match secret.expose().strip_prefix(RAW) {
                Some(json) => {
                    let value: Value = serde_json::from_str(json).map_err(|_| {
                        serde::ser::Error::custom(format!("field {field:?} is no JSON"))
                    })?;
                    map.serialize_entry(field, &value)?;
                }
                None => map.serialize_entry(field, secret.expose())?,
            }
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_text_goes_back_as_it_came() {
        let json = br#"{"a":"x","b":[1,{"c":null}],"n":12345678901234567890.5,"t":true}"#;
        let document = Document::from_json(json).unwrap();
        assert_eq!(document.get("a").unwrap().expose(), "x");
        let again: Value = serde_json::from_slice(&document.to_json().unwrap()).unwrap();
        assert_eq!(again, serde_json::from_slice::<Value>(json).unwrap());
    }

    #[test]
    fn an_error_quotes_nothing_of_the_text() {
        let error = Document::from_json(b"{\"a\": s.supersecret}").unwrap_err();
        assert!(!error.contains("supersecret"), "{error}");
    }
}
