//! The form that statements of every kind have: in-toto Statement v1.
//!
//! Source: in-toto Attestation Framework, Statement v1 (github.com/in-toto/attestation, spec/v1).

use std::collections::BTreeMap;

use policy::change::Digest;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// The statement's type.
const STATEMENT: &str = "https://in-toto.io/Statement/v1";

/// The digest's name in a subject. It is SHA-256 over a domain of its own, so that no file and no image
/// has it.
const DIGEST: &str = "sha256";

/// Why bytes are no statement of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoStatement(pub(crate) String);

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Wire<P> {
    #[serde(rename = "_type")]
    of: String,
    subject: Vec<Subject>,
    predicate_type: String,
    predicate: P,
}

/// What a statement is about.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Subject {
    pub(crate) name: String,
    digest: BTreeMap<String, String>,
}

impl Subject {
    pub(crate) fn new(name: &str, digest: Digest) -> Subject {
        Subject { name: name.to_owned(), digest: [(DIGEST.to_owned(), digest.hex())].into() }
    }

    /// Its one digest, in its one spelling.
    pub(crate) fn digest(&self) -> Option<Digest> {
        match (self.digest.len(), self.digest.get(DIGEST)) {
            (1, Some(text)) => Digest::parse(text).filter(|digest| digest.hex() == *text),
            _ => None,
        }
    }
}

/// The bytes of a statement, as they are signed.
pub(crate) fn to_bytes<P: Serialize>(
    subject: Vec<Subject>,
    predicate_type: &str,
    predicate: P,
) -> Vec<u8> {
    let predicate_type = predicate_type.to_owned();
    let wire = Wire { of: STATEMENT.to_owned(), subject, predicate_type, predicate };
    serde_json::to_vec(&wire).unwrap_or_default()
}

/// Reads a statement of this predicate. What it has beside what this version knows might limit it, so it is
/// refused.
///
/// # Errors
///
/// It is none, or says something of another kind than `noun`.
pub(crate) fn from_bytes<P: DeserializeOwned>(
    bytes: &[u8],
    predicate_type: &str,
    noun: &str,
) -> Result<(Vec<Subject>, P), NoStatement> {
    let wire: Wire<P> = serde_json::from_slice(bytes)
        .map_err(|error| NoStatement(format!("it is no {noun}: {error}")))?;
    if wire.of != STATEMENT {
        return Err(NoStatement(format!("it is a {:?}, not {STATEMENT}", wire.of)));
    }
    if wire.predicate_type != predicate_type {
        return Err(NoStatement(format!(
            "it says {:?}, not {predicate_type}",
            wire.predicate_type
        )));
    }
    Ok((wire.subject, wire.predicate))
}

/// Refuses texts that must say something and do not.
pub(crate) fn all_said(texts: &[(&str, &str)]) -> Result<(), NoStatement> {
    match texts.iter().find(|(_, text)| text.trim().is_empty()) {
        Some((name, _)) => Err(NoStatement(format!("its {name} is empty"))),
        None => Ok(()),
    }
}
