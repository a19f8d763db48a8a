//! Their words: metadata (RFC 8414), registrations (RFC 7591, 7592), tokens (RFC 6749, 7009).

use std::collections::BTreeSet;

use connector::{
    Error, Refusal, Result,
    transport::{Answer, Body},
};
use domain::Secret;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

/// Where a server has what.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Metadata {
    pub(crate) issuer: String,
    #[serde(default)]
    pub(crate) registration_endpoint: Option<String>,
    pub(crate) token_endpoint: String,
    #[serde(default)]
    pub(crate) revocation_endpoint: Option<String>,
    #[serde(default)]
    pub(crate) introspection_endpoint: Option<String>,
    #[serde(default)]
    pub(crate) token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) token_endpoint_auth_signing_alg_values_supported: Option<Vec<String>>,
}

/// A registration: what is public of it, and apart the secrets that an answer carries.
#[derive(Debug)]
pub(crate) struct Registration {
    pub(crate) members: Map<String, Value>,
    pub(crate) secret: Option<Secret>,
    pub(crate) token: Option<Secret>,
    pub(crate) uri: Option<String>,
}

/// Members that a server writes and a client never sends.
const THEIRS: [&str; 3] =
    ["client_id_issued_at", "client_secret_expires_at", "registration_client_uri"];

/// The members of RFC 7591 §2, which every server knows.
const STANDARD: [&str; 16] = [
    "client_id",
    "redirect_uris",
    "token_endpoint_auth_method",
    "grant_types",
    "response_types",
    "client_name",
    "client_uri",
    "logo_uri",
    "scope",
    "contacts",
    "tos_uri",
    "policy_uri",
    "jwks_uri",
    "jwks",
    "software_id",
    "software_version",
];

/// The members that a server must know that knows only the standard.
pub(crate) fn standard(members: &Map<String, Value>) -> Map<String, Value> {
    let mut members = members.clone();
    members.retain(|name, _| STANDARD.contains(&name.as_str()));
    members
}

fn unexpected(what: &str, message: &str) -> Error {
    Error::UnexpectedAnswer { what: what.to_owned(), message: message.to_owned() }
}

/// Reads a JSON body of a known shape, quoting nothing of it.
pub(crate) fn parse<T: serde::de::DeserializeOwned>(what: &str, body: &[u8]) -> Result<T> {
    serde_json::from_slice(body).map_err(|error| {
        let place = format!("line {}, column {}", error.line(), error.column());
        unexpected(what, &format!("the body is not as the standard has it ({place})"))
    })
}

impl Registration {
    /// Reads an answer; secrets leave the map at once. Whatever else is missing in it: a token that
    /// it carries is the only one from now on.
    pub(crate) fn read(what: &str, body: &[u8]) -> Result<Registration> {
        let mut members: Map<String, Value> = parse(what, body)?;
        let mut take = |name: &str| match members.remove(name) {
            Some(Value::String(text)) if !text.is_empty() => Some(text),
            _ => None,
        };
        let secret = take("client_secret").map(Secret::new);
        let token = take("registration_access_token").map(Secret::new);
        let uri = take("registration_client_uri");
        Ok(Registration { members, secret, token, uri })
    }

    /// The grant types in force. Where none are named the standard's default is.
    pub(crate) fn grants(&self) -> BTreeSet<String> {
        let redirects = !self.texts("redirect_uris").is_empty();
        match self.members.get("grant_types") {
            Some(Value::Array(_)) => self.texts("grant_types").into_iter().collect(),
            _ if redirects => BTreeSet::from(["authorization_code".to_owned()]),
            _ => BTreeSet::new(),
        }
    }

    /// Whether a member gives something.
    pub(crate) fn has(&self, name: &str) -> bool {
        match self.members.get(name) {
            None | Some(Value::Null) => false,
            Some(Value::String(text)) => !text.trim().is_empty(),
            Some(Value::Object(_)) if name == "jwks" => !self.keys().is_empty(),
            Some(_) => true,
        }
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.members.get(name).and_then(Value::as_str)
    }

    pub(crate) fn texts(&self, name: &str) -> Vec<String> {
        let all = self.members.get(name).and_then(Value::as_array).into_iter().flatten();
        all.filter_map(Value::as_str).map(str::to_owned).collect()
    }

    pub(crate) fn keys(&self) -> Vec<Map<String, Value>> {
        let keys = self.members.get("jwks").and_then(|jwks| jwks.get("keys"));
        let keys = keys.and_then(Value::as_array).into_iter().flatten();
        keys.filter_map(Value::as_object).cloned().collect()
    }

    /// How it signs in. A registration that does not say uses the standard's default.
    pub(crate) fn method(&self) -> &str {
        self.text("token_endpoint_auth_method").unwrap_or("client_secret_basic")
    }

    /// The whole object for a PUT, with what the server would take for its own left out; without the
    /// secret too where it is to make another.
    pub(crate) fn body(&self, members: &Map<String, Value>, renews: bool) -> Result<Body> {
        let mut members = members.clone();
        for theirs in THEIRS {
            members.remove(theirs);
        }
        let mut bytes = Zeroizing::new(Vec::with_capacity(16 * 1024));
        let write = |bytes: &mut Vec<u8>, value: &Value| {
            serde_json::to_writer(bytes, value).map_err(|error| {
                Error::Configuration(format!("the request cannot be written: {error}"))
            })
        };
        let uses_secret = members
            .get("token_endpoint_auth_method")
            .and_then(Value::as_str)
            .is_some_and(|method| method.starts_with("client_secret"));
        write(&mut bytes, &Value::Object(members))?;
        // RFC 7592 §2.2: it must be the present one, or absent.
        if let Some(secret) = self.secret.as_ref().filter(|_| uses_secret && !renews) {
            bytes.pop();
            bytes.extend_from_slice(b",\"client_secret\":");
            serde_json::to_writer(&mut *bytes, secret.expose()).map_err(|error| {
                Error::Configuration(format!("the request cannot be written: {error}"))
            })?;
            bytes.push(b'}');
        }
        Ok(Body { content_type: "application/json", bytes })
    }
}

/// A form; values may be secret.
pub(crate) fn form(fields: &[(&str, &str)]) -> Body {
    let mut bytes = Zeroizing::new(Vec::with_capacity(8 * 1024));
    for (name, value) in fields {
        if !bytes.is_empty() {
            bytes.push(b'&');
        }
        bytes.extend_from_slice(name.as_bytes());
        bytes.push(b'=');
        let value = Zeroizing::new(utf8_percent_encode(value, NON_ALPHANUMERIC).to_string());
        bytes.extend_from_slice(value.as_bytes());
    }
    Body { content_type: "application/x-www-form-urlencoded", bytes }
}

/// The error code of an answer, if it is one of the standards'; nothing else of it is kept.
pub(crate) fn code(body: &[u8]) -> Option<&'static str> {
    const CODES: [&str; 10] = [
        "invalid_client",
        "unauthorized_client",
        "invalid_grant",
        "invalid_scope",
        "invalid_request",
        "unsupported_grant_type",
        "invalid_token",
        "invalid_client_metadata",
        "invalid_redirect_uri",
        "access_denied",
    ];
    #[derive(Deserialize)]
    struct Said {
        error: String,
    }
    let said: Said = serde_json::from_slice(body).ok()?;
    CODES.into_iter().find(|code| *code == said.error)
}

/// What an answer that is no success means.
pub(crate) fn refused(what: &str, answer: &Answer, changes: bool) -> Error {
    // A client that is gone is a 401 (RFC 7592 §2.1): a 404 is a gateway's, or a wrong address.
    if answer.status == 404 {
        return unexpected(
            what,
            "status 404, which no standard has here: something else is in between, or the address is \
             wrong",
        );
    }
    let Some(refusal) = Refusal::of_status(answer.status) else {
        return Error::no_judgment(what, format!("status {}", answer.status), changes);
    };
    let said = code(&answer.body).map(|code| format!(", {code}")).unwrap_or_default();
    Error::Refused {
        what: what.to_owned(),
        refusal,
        message: format!("status {}{said}", answer.status),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_leave_a_registration_when_it_is_read_and_come_back_when_it_is_sent() {
        let body = br#"{"client_id":"c","client_secret":"verysecret","registration_access_token":"rat",
            "registration_client_uri":"u","token_endpoint_auth_method":"client_secret_basic","client_id_issued_at":1}"#;
        let found = Registration::read("test", body).unwrap();
        assert!(!format!("{found:?}").contains("verysecret"));
        let sent = |renews| -> Value {
            let sent = found.body(&found.members, renews).unwrap();
            serde_json::from_slice(&sent.bytes).unwrap()
        };
        let mut expected = serde_json::json!({"client_id": "c", "client_secret": "verysecret",
            "token_endpoint_auth_method": "client_secret_basic"});
        assert_eq!(sent(false), expected);
        expected.as_object_mut().unwrap().remove("client_secret");
        assert_eq!(sent(true), expected);
    }

    #[test]
    fn a_form_escapes_what_would_end_a_field() {
        assert_eq!(&form(&[("a", "x&y=z"), ("b", "ä")]).bytes[..], b"a=x%26y%3Dz&b=%C3%A4");
    }
}
