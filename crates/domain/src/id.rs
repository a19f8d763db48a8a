//! Ids that people and programs can parse: `<connection>/<kind>/<vendor key>` and what hangs below.

use std::{fmt, str::FromStr};

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

/// What is escaped inside one segment of an id.
const SEGMENT: &AsciiSet = &CONTROLS.add(b'/').add(b'%').add(b' ').add(b'"').add(b'\\').add(b'?');

/// Why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {expected}")]
pub struct IdError {
    text: String,
    expected: &'static str,
}

fn encode(segment: &str) -> impl fmt::Display + '_ {
    utf8_percent_encode(segment, SEGMENT)
}

fn decode(segment: &str) -> Option<String> {
    let text = percent_decode_str(segment).decode_utf8().ok()?.into_owned();
    (!text.is_empty()).then_some(text)
}

fn segments<const N: usize>(text: &str, expected: &'static str) -> Result<[String; N], IdError> {
    let refuse = || IdError { text: text.to_owned(), expected };
    let parts: Option<Vec<String>> = text.split('/').map(decode).collect();
    parts.ok_or_else(refuse)?.try_into().map_err(|_| refuse())
}

/// One integration: `<connection>/<kind>/<vendor key>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IntegrationId {
    /// The connection's name in `nhi.hcl`, or `none` for a third-party integration.
    pub connection: String,
    /// The platform object's name, such as `openbao_approle`.
    pub kind: String,
    /// The vendor's own key of the object: a role name, a client id.
    pub key: String,
}

impl IntegrationId {
    /// Puts the three parts together.
    pub fn new(
        connection: impl Into<String>,
        kind: impl Into<String>,
        key: impl Into<String>,
    ) -> Self {
        IntegrationId { connection: connection.into(), kind: kind.into(), key: key.into() }
    }

    /// What is known of an id before the vendor has chosen its key: `<connection>/<kind>/`.
    pub fn prefix(connection: &str, kind: &str) -> String {
        format!("{}/{}/", encode(connection), encode(kind))
    }
}

impl fmt::Display for IntegrationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", encode(&self.connection), encode(&self.kind), encode(&self.key))
    }
}

impl FromStr for IntegrationId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let [connection, kind, key] =
            segments(text, "an integration's id: <connection>/<kind>/<vendor key>")?;
        Ok(IntegrationId { connection, kind, key })
    }
}

/// The scopes of one integration: `<integration id>/scope`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScopeId(pub IntegrationId);

impl fmt::Display for ScopeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/scope", self.0)
    }
}

impl FromStr for ScopeId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let expected = "a scope's id: <integration id>/scope";
        let [connection, kind, key, word] = segments(text, expected)?;
        if word != "scope" {
            return Err(IdError { text: text.to_owned(), expected });
        }
        Ok(ScopeId(IntegrationId { connection, kind, key }))
    }
}

/// One credential slot: `<integration id>/credential/<name>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CredentialId {
    /// The integration that the slot belongs to.
    pub integration: IntegrationId,
    /// The slot's name, `default` unless named.
    pub name: String,
}

impl fmt::Display for CredentialId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/credential/{}", self.integration, encode(&self.name))
    }
}

impl FromStr for CredentialId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let expected = "a credential's id: <integration id>/credential/<name>";
        let [connection, kind, key, word, name] = segments(text, expected)?;
        if word != "credential" {
            return Err(IdError { text: text.to_owned(), expected });
        }
        Ok(CredentialId { integration: IntegrationId { connection, kind, key }, name })
    }
}

macro_rules! named_id {
    ($(#[$doc:meta])* $id:ident, $word:literal, $expected:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $id(pub String);

        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($word, "/{}"), encode(&self.0))
            }
        }

        impl FromStr for $id {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let [word, name] = segments(text, $expected)?;
                if word != $word {
                    return Err(IdError { text: text.to_owned(), expected: $expected });
                }
                Ok($id(name))
            }
        }
    };
}

named_id!(
    /// An owner: `owner/<name>`.
    OwnerId, "owner", "an owner's id: owner/<name>"
);
named_id!(
    /// A rotation schedule: `schedule/<name>`.
    ScheduleId, "schedule", "a schedule's id: schedule/<name>"
);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_credential_id_reads_as_it_is_written() {
        let text = "bao/openbao_approle/invoice-sync/credential/default";
        let id: CredentialId = text.parse().unwrap();
        assert_eq!(id.integration.key, "invoice-sync");
        assert_eq!(id.to_string(), text);
    }

    #[test]
    fn a_missing_segment_is_refused_with_the_form() {
        let error = "bao/openbao_approle".parse::<IntegrationId>().unwrap_err();
        assert!(error.to_string().contains("<connection>/<kind>/<vendor key>"), "{error}");
        assert!("bao//x".parse::<IntegrationId>().is_err());
    }

    proptest! {
        #[test]
        fn every_id_survives_being_written_and_read(c in ".+", k in ".+", v in ".+", n in ".+") {
            let id = CredentialId { integration: IntegrationId::new(c, k, v), name: n };
            prop_assert_eq!(id.to_string().parse::<CredentialId>().unwrap(), id);
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in ".*") {
            let _ = text.parse::<CredentialId>();
            let _ = text.parse::<ScopeId>();
            let _ = text.parse::<OwnerId>();
        }
    }
}
