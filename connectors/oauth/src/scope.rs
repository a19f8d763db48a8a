//! Scopes: one RFC 6749 scope token each, and `*` for a client that the server sets no limit.

use connector::ScopeError;
use domain::{Action, Scope};

/// No limit: the registration names no scope at all.
pub(crate) const UNLIMITED: &str = "*";

/// Reads scope tokens; several may stand with spaces between, as the wire has them.
pub(crate) fn parse(text: &str) -> Result<Vec<Scope>, ScopeError> {
    let token = |part: &str| {
        part.bytes().all(|b| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e)) && part != UNLIMITED
    };
    let mut scopes: Vec<Scope> = Vec::new();
    for part in text.split(' ').filter(|part| !part.is_empty()) {
        if !token(part) {
            return Err(ScopeError {
                message: format!(
                    "{part:?} is no OAuth scope: printable ASCII without space, quote and backslash, and \
                     not \"*\""
                ),
                suggestion: None,
            });
        }
        let scope = Scope::canonical(part);
        if !scopes.contains(&scope) {
            scopes.push(scope);
        }
    }
    if scopes.is_empty() {
        return Err(ScopeError {
            message: "an empty text is no OAuth scope".into(),
            suggestion: None,
        });
    }
    Ok(scopes)
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
        assert_eq!(names("Tickets:Read a a"), Some(vec!["Tickets:Read".into(), "a".into()]));
        for wrong in ["", " ", "*", "a\"b", "ä", "a\\b"] {
            assert_eq!(names(wrong), None, "{wrong:?}");
        }
    }
}
