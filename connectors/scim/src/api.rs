//! Their words: users, groups, lists and errors as SCIM writes them.

use connector::{Error, Member, Outcome, Refusal, Result, transport::Answer};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value};

/// Everything but what an id may hold without harm.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
const ERROR: &str = "urn:ietf:params:scim:api:messages:2.0:Error";

/// What a look at one resource showed.
#[derive(Debug)]
pub(crate) enum Found {
    There(Box<Member>),
    Absent,
}

/// An id as one segment of a path.
pub(crate) fn encode(id: &str) -> String {
    // Alone, these would be other paths.
    match id {
        "." => "%2E".to_owned(),
        ".." => "%2E%2E".to_owned(),
        id => utf8_percent_encode(id, SEGMENT).to_string(),
    }
}

/// Attribute names are compared without regard to case (RFC 7643 §2.1).
fn attribute<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    object.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

fn text(object: &Map<String, Value>, name: &str) -> Option<String> {
    attribute(object, name)?.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

/// Switches that some servers write as texts.
fn flag(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(flag) => Some(*flag),
        Value::String(text) if text.eq_ignore_ascii_case("true") => Some(true),
        Value::String(text) if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

fn unexpected(what: &str, message: &str) -> Error {
    Error::UnexpectedAnswer { what: what.to_owned(), message: message.to_owned() }
}

fn object(what: &str, body: &[u8]) -> Result<Map<String, Value>> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(object)) => Ok(object),
        _ => Err(unexpected(what, "the body is no JSON object")),
    }
}

/// Reads a user or a group.
pub(crate) fn member(what: &str, kind: &str, body: &[u8]) -> Result<Member> {
    let found = object(what, body)?;
    let id = text(&found, "id").ok_or_else(|| unexpected(what, "a resource without an id"))?;
    // Absent means that the server does not keep it; what is there and unreadable is no "true".
    let active = match attribute(&found, "active") {
        None | Some(Value::Null) => true,
        Some(value) => {
            flag(value).ok_or_else(|| unexpected(what, "`active` is neither true nor false"))?
        }
    };
    let nested = |name: &str| attribute(&found, name).and_then(Value::as_object);
    let emails = attribute(&found, "emails").and_then(Value::as_array);
    let address = |one: &Value| text(one.as_object()?, "value");
    let is_primary = |one: &&Value| {
        one.as_object().and_then(|one| flag(attribute(one, "primary")?)).unwrap_or(false)
    };
    let email = emails
        .and_then(|all| all.iter().find(is_primary).or_else(|| all.first()).and_then(address));
    let display_name = text(&found, "displayName")
        .or_else(|| nested("name").and_then(|name| text(name, "formatted")))
        .or_else(|| text(&found, "userName"));
    Ok(Member {
        id,
        kind: Some(kind.to_owned()),
        active,
        department: nested(ENTERPRISE).and_then(|more| text(more, "department")),
        email,
        display_name,
        changed_at: nested("meta")
            .and_then(|meta| text(meta, "lastModified"))
            .and_then(|at| at.parse().ok()),
    })
}

/// How many resources a listing says there are.
pub(crate) fn total(what: &str, body: &[u8]) -> Result<u64> {
    let found = object(what, body)?;
    attribute(&found, "totalResults").and_then(Value::as_u64).ok_or_else(|| {
        unexpected(what, "a listing without totalResults: this may be no SCIM 2.0 directory")
    })
}

/// Whether a body is an error in SCIM's own words, and not some proxy's page.
pub(crate) fn is_scim_error(body: &[u8]) -> bool {
    let Ok(Value::Object(error)) = serde_json::from_slice(body) else { return false };
    let schemas = attribute(&error, "schemas").and_then(Value::as_array);
    schemas.is_some_and(|all| all.iter().any(|one| one.as_str() == Some(ERROR)))
}

/// What an answer that is no success means.
pub(crate) fn refused(what: &str, answer: &Answer) -> Error {
    let what = what.to_owned();
    let (refusal, hint) = match answer.status {
        401 => (Refusal::Unauthorized, ": the credential is not accepted"),
        403 => (Refusal::Forbidden, ": the credential may not read this"),
        404 => (Refusal::NotFound, ": no SCIM directory answers here; the address may be wrong"),
        429 => (Refusal::RateLimited, ""),
        300..=399 => (Refusal::Redirect, ": redirects are not followed"),
        400..=499 => (Refusal::Invalid, ""),
        status => {
            let message = format!("status {status}");
            return Error::Unreachable { what, message, outcome: Outcome::NotSent };
        }
    };
    Error::Refused { what, refusal, message: format!("status {}{hint}", answer.status) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_user_as_the_standard_shows_it() {
        let body = br#"{
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "id": "2819c223",
            "userName": "bjensen", "name": {"formatted": "Ms. Barbara J Jensen III"}, "active": "False",
            "emails": [{"value": "home@example.com"}, {"VALUE": "work@example.com", "primary": true}],
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {"department": "Tour Operations"},
            "meta": {"lastModified": "2011-05-13T04:42:34Z"}
        }"#;
        let found = member("test", "person", body).unwrap();
        assert!(!found.active);
        assert_eq!(found.email.as_deref(), Some("work@example.com"));
        assert_eq!(found.department.as_deref(), Some("Tour Operations"));
        assert_eq!(found.display_name.as_deref(), Some("Ms. Barbara J Jensen III"));
        assert_eq!(found.changed_at.unwrap().to_string(), "2011-05-13T04:42:34Z");
    }

    #[test]
    fn an_activity_that_cannot_be_read_is_no_activity() {
        assert!(member("test", "person", br#"{"id":"a","active":"yes"}"#).is_err());
        assert!(member("test", "person", br#"{"id":"a"}"#).unwrap().active);
        assert!(member("test", "person", br#"{"active":true}"#).is_err());
    }

    #[test]
    fn an_id_never_leaves_its_segment() {
        for (id, path) in [("a/../b", "a%2F..%2Fb"), ("..", "%2E%2E"), ("a?b#c", "a%3Fb%23c")] {
            assert_eq!(encode(id), path);
        }
    }

    proptest! {
        #[test]
        fn no_body_makes_the_reader_panic(body in ".*|\\{\"id\": ?.{0,30}\\}") {
            let _ = member("test", "person", body.as_bytes());
            let _ = total("test", body.as_bytes());
            let _ = is_scim_error(body.as_bytes());
        }
    }
}
