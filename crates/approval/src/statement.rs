//! What somebody says of changes, in the words of in-toto.
//!
//! Source: in-toto Attestation Framework, Statement v1 (github.com/in-toto/attestation, spec/v1).

use std::collections::BTreeMap;

use domain::realm::sha256;
use jiff::Timestamp;
use policy::change::{Digest, quorum::Decision};
use serde::{Deserialize, Serialize};

pub use crate::in_toto::NoStatement;
use crate::in_toto::{self, Subject};

/// The predicate's type: what this file says of a change.
pub const PREDICATE: &str = "https://github.com/open-nhi/nhi/change-approval/v1";

/// The most changes that one statement may name.
pub const MOST_SUBJECTS: usize = 10_000;

/// What somebody says of one or more changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// The changes, each with what people call it.
    pub subjects: BTreeMap<Digest, String>,
    /// What is said of all of them.
    pub said: Said,
}

/// What is said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Said {
    /// `approve`, `reject` or `revoke`.
    #[serde(with = "decision")]
    pub decision: Decision,
    /// In which role.
    pub role: String,
    /// Why.
    pub reason: String,
    /// When, as whoever signs says.
    pub signed_at: Timestamp,
    /// From when on it holds.
    pub not_before: Timestamp,
    /// Until when it holds.
    pub not_after: Timestamp,
    /// Who asked for the change, as far as whoever signs was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requester: Option<String>,
    /// The ticket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<String>,
    /// The policy under which it was said.
    pub policy: Policy,
    /// SHA-256 of the text that was shown before it was signed, in hexadecimal digits.
    pub shown: String,
    /// Makes each statement another one.
    pub nonce: String,
}

/// A policy, by its version and digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Its version.
    pub version: u64,
    /// SHA-256 of its text, in hexadecimal digits.
    pub digest: String,
}

mod decision {
    use policy::change::quorum::Decision;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(one: &Decision, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(one.as_str())
    }

    pub(super) fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<Decision, D::Error> {
        let word = String::deserialize(from)?;
        Decision::from_word(&word)
            .ok_or_else(|| D::Error::custom(format!("{word:?} is no decision")))
    }
}

impl Statement {
    /// Its bytes, as they are signed.
    pub fn to_bytes(&self) -> Vec<u8> {
        let subjects = self.subjects.iter().map(|(digest, name)| Subject::new(name, *digest));
        in_toto::to_bytes(subjects.collect(), PREDICATE, &self.said)
    }

    /// Reads a statement. What it has beside what this version knows might limit it, so it is refused.
    ///
    /// # Errors
    ///
    /// It is no statement, of another type, or says something that cannot be.
    pub fn from_bytes(bytes: &[u8]) -> Result<Statement, NoStatement> {
        let no = |text: String| NoStatement(text);
        let (named, said): (_, Said) = in_toto::from_bytes(bytes, PREDICATE, "approval")?;
        if named.is_empty() || named.len() > MOST_SUBJECTS {
            return Err(no(format!("it names {} changes, not 1 to {MOST_SUBJECTS}", named.len())));
        }
        let mut subjects = BTreeMap::new();
        for one in named {
            let digest = one.digest();
            let digest =
                digest.ok_or_else(|| no(format!("{:?} has no digest of a change", one.name)))?;
            if subjects.insert(digest, one.name).is_some() {
                return Err(no(format!("it names {digest} twice")));
            }
        }
        in_toto::all_said(&[
            ("role", &said.role),
            ("reason", &said.reason),
            ("nonce", &said.nonce),
        ])?;
        if said.not_after <= said.not_before {
            return Err(no("it ends before it begins".to_owned()));
        }
        Ok(Statement { subjects, said })
    }
}

/// The digest of the text that somebody was shown.
pub fn shown(text: &str) -> String {
    Digest(sha256(format!("nhi-shown/v1\n{text}").as_bytes())).hex()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn statement() -> Statement {
        let at = |text: &str| text.parse().unwrap();
        Statement {
            subjects: [(Digest([7; 32]), "nhi_scope openbao_approle/x".to_owned())].into(),
            said: Said {
                decision: Decision::Approve,
                role: "security".into(),
                reason: "INC-4711".into(),
                signed_at: at("2027-01-10T09:00:00Z"),
                not_before: at("2027-01-10T09:00:00Z"),
                not_after: at("2027-01-10T13:00:00Z"),
                requester: Some("rob".into()),
                ticket: None,
                policy: Policy { version: 12, digest: "00".into() },
                shown: shown("text"),
                nonce: "n1".into(),
            },
        }
    }

    #[test]
    fn what_is_said_is_read_back_and_anything_more_is_refused() {
        let one = statement();
        let text = String::from_utf8(one.to_bytes()).unwrap();
        assert_eq!(Statement::from_bytes(text.as_bytes()), Ok(one.clone()));
        let no = |text: &str| Statement::from_bytes(text.as_bytes()).unwrap_err().to_string();
        assert!(no(&text.replace("\"role\"", "\"more\":1,\"role\"")).contains("more"));
        assert!(no(&text.replace("change-approval/v1", "change-approval/v2")).contains("v2"));
        assert!(no(&text.replace("Statement/v1", "Statement/v0")).contains("v0"));
        assert!(no(&text.replace("\"approve\"", "\"accept\"")).contains("accept"));
        assert!(no(&text.replace("\"security\"", "\" \"")).contains("role"));
        assert!(no(&text.replace("T13:", "T08:")).contains("ends before"));
        assert!(no(&text.replace("0707", "070")).contains("digest"));
        assert!(no(&text.replace("\"sha256\"", "\"sha1\"")).contains("digest"));
        let twice = text.replace(
            "[{\"name\"",
            &format!(
                "[{{\"name\":\"a\",\"digest\":{{\"sha256\":\"{}\"}}}},{{\"name\"",
                Digest([7; 32]).hex()
            ),
        );
        assert!(no(&twice).contains("twice"));
        assert!(no("{}").contains("no approval"));
    }

    #[test]
    fn what_was_shown_has_a_digest_of_its_own_domain() {
        assert_ne!(shown("a"), shown("b"));
        assert_ne!(shown("a"), Digest(sha256(b"a")).hex());
    }
}
