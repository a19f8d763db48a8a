//! DSSE: the envelope of a signed statement.
//!
//! Source: Dead Simple Signing Envelope 1.0.2, §envelope and §protocol (github.com/secure-systems-lab/dsse).

use data_encoding::BASE64;
use serde::{Deserialize, Serialize};

/// The payload's type: an in-toto statement.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// The most that is read of one envelope.
pub const LARGEST: usize = 1 << 20;

/// A payload and who signed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// The statement's bytes as they were signed.
    pub payload: Vec<u8>,
    /// The signatures, each an SSH signature.
    pub signatures: Vec<Vec<u8>>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    payload_type: String,
    payload: String,
    signatures: Vec<WireSignature>,
}

#[derive(Serialize, Deserialize)]
struct WireSignature {
    /// A hint that nobody authenticated: it is written for people and never read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    keyid: Option<String>,
    sig: String,
}

/// Why bytes are no envelope of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoEnvelope(String);

impl Envelope {
    /// The bytes that are signed: the pre-authentication encoding of type and payload.
    pub fn signed_bytes(payload: &[u8]) -> Vec<u8> {
        let mut bytes =
            format!("DSSEv1 {} {PAYLOAD_TYPE} {} ", PAYLOAD_TYPE.len(), payload.len()).into_bytes();
        bytes.extend_from_slice(payload);
        bytes
    }

    /// Reads an envelope.
    ///
    /// # Errors
    ///
    /// It is too large, no JSON, of another type, or its base64 is not in its one spelling.
    pub fn from_json(bytes: &[u8]) -> Result<Envelope, NoEnvelope> {
        let no = |text: String| NoEnvelope(text);
        if bytes.len() > LARGEST {
            return Err(no(format!("it is larger than {LARGEST} bytes")));
        }
        let wire: Wire = serde_json::from_slice(bytes)
            .map_err(|error| no(format!("it is no DSSE envelope: {error}")))?;
        if wire.payload_type != PAYLOAD_TYPE {
            return Err(no(format!(
                "its payload is a {:?}, not {PAYLOAD_TYPE}",
                wire.payload_type
            )));
        }
        let decode = |text: &str, what: &str| {
            BASE64.decode(text.as_bytes()).map_err(|_| no(format!("its {what} is no base64")))
        };
        if wire.signatures.is_empty() {
            return Err(no("nobody signed it".to_owned()));
        }
        if wire.signatures.len() > 16 {
            return Err(no("it has more than 16 signatures".to_owned()));
        }
        let signatures = wire.signatures.iter().map(|one| decode(&one.sig, "signature"));
        Ok(Envelope {
            payload: decode(&wire.payload, "payload")?,
            signatures: signatures.collect::<Result<_, _>>()?,
        })
    }

    /// Writes it, with a line's end.
    pub fn to_json(&self, keyid: &str) -> String {
        let wire = Wire {
            payload_type: PAYLOAD_TYPE.to_owned(),
            payload: BASE64.encode(&self.payload),
            signatures: self
                .signatures
                .iter()
                .map(|bytes| WireSignature {
                    keyid: Some(keyid.to_owned()),
                    sig: BASE64.encode(bytes),
                })
                .collect(),
        };
        let mut text = serde_json::to_string_pretty(&wire).unwrap_or_default();
        text.push('\n');
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_signed_is_the_standard_s_encoding() {
        // DSSE protocol.md, its example with our type in the place of theirs.
        let bytes = Envelope::signed_bytes(b"hello world");
        assert_eq!(
            String::from_utf8(bytes).unwrap(),
            "DSSEv1 28 application/vnd.in-toto+json 11 hello world"
        );
    }

    #[test]
    fn what_is_written_is_read_and_everything_else_is_refused() {
        let one = Envelope { payload: b"{}".to_vec(), signatures: vec![b"sig".to_vec()] };
        let text = one.to_json("SHA256:x");
        assert_eq!(Envelope::from_json(text.as_bytes()), Ok(one));
        let no = |text: &str| Envelope::from_json(text.as_bytes()).unwrap_err().to_string();
        assert!(no("{}").contains("no DSSE envelope"));
        assert!(no(&text.replace("in-toto", "other")).contains("other"));
        assert!(no(&text.replace("e30=", "e30")).contains("payload is no base64"));
        let unsigned =
            r#"{"payloadType":"application/vnd.in-toto+json","payload":"","signatures":[]}"#;
        assert!(no(unsigned).contains("nobody signed"));
        assert!(no(&" ".repeat(LARGEST + 1)).contains("larger"));
    }
}
