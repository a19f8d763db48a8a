//! JSON on the way out and in.

use serde::{Serialize, de::DeserializeOwned};
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

#[cfg(test)]
mod tests {
    use super::*;

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
