//! Scopes: one RFC 6749 scope token each, and `*` for a client that the server sets no limit.

use connector::ScopeError;
use domain::{Action, Scope};

/// No limit: the registration names no scope at all.
pub(crate) const UNLIMITED: &str = "*";

/// Reads a scope token. The wire has several in one text; people write each by itself.
pub(crate) fn parse(text: &str) -> Result<Vec<Scope>, ScopeError> {
    let wrong = |message: String| Err(ScopeError { message, suggestion: None });
    if text.is_empty() {
        return wrong("an empty text is no OAuth scope".into());
    }
    if text.contains(' ') {
        let each: Vec<String> = text.split_whitespace().map(|part| format!("{part:?}")).collect();
        return wrong(format!(
            "{text:?} is no OAuth scope, which has no space in it: several are written as {}",
            each.join(", ")
        ));
    }
    let token = text.bytes().all(|b| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e));
    if !token || text == UNLIMITED {
        return wrong(format!(
            "{text:?} is no OAuth scope: printable ASCII without space, quote and backslash, and not \"*\""
        ));
    }
    Ok(vec![Scope::canonical(text)])
}

/// What a scope lets its holder do. A server's own scopes are its own business: only those of the
/// standards are known.
pub(crate) fn action(scope: &Scope) -> Action {
    match scope.as_str() {
        UNLIMITED => Action::Admin,
        "openid" | "profile" | "email" | "address" | "phone" => Action::Read,
        _ => Action::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_stay_as_they_are_and_the_unlimited_is_never_asked_for() {
        let names = |text: &str| {
            parse(text).map(|all| all.iter().map(Scope::to_string).collect::<Vec<_>>()).ok()
        };
        assert_eq!(names("Tickets:Read"), Some(vec!["Tickets:Read".into()]));
        for wrong in ["", " ", "*", "a\"b", "ä", "a\\b", "a b", " a", "a "] {
            assert_eq!(names(wrong), None, "{wrong:?}");
        }
        let said = parse("tickets read").unwrap_err().message;
        assert!(said.contains("\"tickets\", \"read\""), "{said}");
    }
}
