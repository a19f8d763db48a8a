//! JSON on the way out and in.

use domain::Secret;
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned};
use zeroize::Zeroizing;

use super::Body;
use crate::{Error, Result};

/// A JSON body whose bytes are wiped.
///
/// # Errors
///
/// The value cannot be written as JSON.
pub fn write(value: &impl Serialize) -> Result<Body> {
    // Reserved ahead, so that growing leaves no copies of secrets behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(8 * 1024));
    serde_json::to_writer(&mut *bytes, value)
        .map_err(|error| Error::Configuration(format!("the request cannot be written: {error}")))?;
    Ok(Body { content_type: "application/json", bytes })
}

/// Reads a body of a known shape.
///
/// # Errors
///
/// It has another one; nothing of it is quoted.
pub fn read<T: DeserializeOwned>(what: &str, body: &[u8]) -> Result<T> {
    serde_json::from_slice(body).map_err(|error| Error::UnexpectedAnswer {
        what: what.to_owned(),
        // The category and the place: serde's own text may quote the body.
        message: format!(
            "the body is not as documented ({:?} at line {}, column {})",
            error.classify(),
            error.line(),
            error.column()
        ),
    })
}

/// Reads a time.
///
/// # Errors
///
/// The text is none.
pub fn time<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> std::result::Result<Timestamp, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}

/// Reads a time that may be null.
///
/// # Errors
///
/// The text is none.
pub fn perhaps<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> std::result::Result<Option<Timestamp>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| text.parse().map_err(serde::de::Error::custom)).transpose()
}

/// A secret that is kept as one from the parser on.
#[derive(Debug)]
pub struct Held(pub Secret);

impl<'de> Deserialize<'de> for Held {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Held, D::Error> {
        String::deserialize(deserializer).map(|text| Held(Secret::new(text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_that_was_read_is_not_shown() {
        let Held(secret) = read("GET x", br#""verysecret""#).unwrap();
        assert_eq!(secret.expose(), "verysecret");
        assert!(!format!("{:?}", Held(secret)).contains("verysecret"));
    }

    #[test]
    fn no_error_quotes_a_body() {
        let said = read::<Vec<u8>>("GET x", br#"["verysecret"]"#).unwrap_err().to_string();
        assert!(said.contains("line 1") && !said.contains("verysecret"), "{said}");
    }

    #[test]
    fn what_is_written_is_read_again() {
        let body = write(&vec![1, 2, 3]).unwrap();
        assert_eq!(body.content_type, "application/json");
        assert_eq!(read::<Vec<u8>>("GET x", &body.bytes).unwrap(), [1, 2, 3]);
    }
}
