//! The grammar of what a token may do: the actions of the content API, by their own names.
//!
//! | form | what it is |
//! |---|---|
//! | `api::ticket.ticket.find` | one action of one controller, of an API or a plugin of the project |
//! | `api::ticket.ticket.find+findOne` | sugar for two |
//! | `read-only` | every `find` and `findOne`: shown, never given |
//! | `full-access` | everything: shown, never given |

use connector::{OnlyShown, ScopeError};
use domain::{Action, Scope};

/// The type of a token that may look at everything.
pub(crate) const READ_ONLY: &str = "read-only";
/// The type of a token that may do everything.
pub(crate) const FULL_ACCESS: &str = "full-access";
/// The type of a token whose actions are named.
pub(crate) const CUSTOM: &str = "custom";

/// An action in its parts: what stands before the last point, and the action itself.
fn parts(text: &str) -> Option<(&str, &str)> {
    let plain = |part: &str| {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        !part.is_empty() && part.chars().all(fits)
    };
    let (of, action) = text.rsplit_once('.')?;
    let (source, rest) = of.split_once("::")?;
    let (name, controller) = rest.split_once('.')?;
    let fits = [source, name, controller, action].into_iter().all(plain);
    fits.then_some((of, action))
}

/// Reads a scope as people write it.
pub(crate) fn parse(text: &str) -> Result<Vec<Scope>, ScopeError> {
    let text = text.trim();
    if matches!(text, READ_ONLY | FULL_ACCESS) {
        return Ok(vec![Scope::canonical(text)]);
    }
    let each = text.rsplit_once('.').and_then(|(of, actions)| {
        let one = |action| {
            let whole = format!("{of}.{action}");
            parts(&whole).is_some().then(|| Scope::canonical(whole))
        };
        actions.split('+').map(one).collect::<Option<Vec<_>>>()
    });
    each.ok_or_else(|| ScopeError {
        message: format!(
            "{:?} is no action of a content API: \"api::<api>.<controller>.<action>\" or \
             \"plugin::<plugin>.<controller>.<action>\", such as \"api::ticket.ticket.find\"",
            text.chars().take(80).collect::<String>()
        ),
        suggestion: None,
    })
}

/// Whether one holds the other, as the server itself judges.
pub(crate) fn implies(a: &Scope, b: &Scope) -> bool {
    match a.as_str() {
        _ if a == b => true,
        FULL_ACCESS => true,
        READ_ONLY => b.as_str().ends_with("find") || b.as_str().ends_with("findOne"),
        _ => false,
    }
}

/// What it lets its holder do. What an action of a project's own making does, only its name tells.
pub(crate) fn action(scope: &Scope) -> Action {
    match scope.as_str() {
        FULL_ACCESS => return Action::Admin,
        READ_ONLY => return Action::Export,
        _ => {}
    }
    let Some((of, action)) = parts(scope.as_str()) else { return Action::Unknown };
    // Users who sign in to the project, and what they may.
    let access = of.strip_prefix("plugin::users-permissions.");
    match action {
        "find" | "findOne" | "findPage" | "count" | "me" => Action::Read,
        "getComponent" | "getComponents" | "getContentType" | "getContentTypes" | "listLocales" => {
            Action::Read
        }
        "getPermissions" | "getSessions" if access.is_some() => Action::Read,
        _ if access.is_some() => Action::Identity,
        "create" | "update" | "upload" => Action::Write,
        "delete" | "destroy" => Action::Delete,
        "send" if of == "plugin::email.email" => Action::Execute,
        _ => Action::Unknown,
    }
}

/// What no scope of ours gives.
pub(crate) fn only_shown(scope: &Scope) -> Option<OnlyShown> {
    matches!(scope.as_str(), READ_ONLY | FULL_ACCESS).then(|| OnlyShown {
        why: format!("a token of the type {:?} grows with each API that comes", scope.as_str()),
        instead: "the actions that are needed, such as \"api::ticket.ticket.find+findOne\"".into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(text: &str) -> Scope {
        parse(text).unwrap().remove(0)
    }

    #[test]
    fn an_action_is_named_as_the_project_names_it_and_two_may_be_written_as_one() {
        for good in ["api::ticket.ticket.find", "plugin::users-permissions.user.me", "read-only"] {
            assert_eq!(scope(good).as_str(), good);
        }
        let two = parse(" api::ticket.ticket.find+findOne ").unwrap();
        let two: Vec<&str> = two.iter().map(Scope::as_str).collect();
        assert_eq!(two, ["api::ticket.ticket.find", "api::ticket.ticket.findOne"]);
        for bad in [
            "",
            "custom",
            "find",
            "api::ticket.find",
            "ticket.ticket.find",
            "api::ticket.ticket.",
            "api::ticket.ticket.find+",
            "api::a b.c.find",
            "api::a.b.c.find",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_a_type_of_token_holds_is_what_the_server_lets_it_do() {
        let (all, read) = (scope("full-access"), scope("read-only"));
        let (find, create) = (scope("api::a.a.findOne"), scope("api::a.a.create"));
        assert!(implies(&all, &read) && implies(&all, &create) && implies(&read, &find));
        assert!(!implies(&read, &create) && !implies(&find, &read) && !implies(&read, &all));
        assert!(only_shown(&all).is_some() && only_shown(&read).is_some());
        assert!(only_shown(&find).is_none());
    }

    #[test]
    fn an_action_that_nobody_knows_is_unknown_and_who_gives_access_is_told() {
        for (text, expected) in [
            ("api::a.a.find", Action::Read),
            ("api::a.a.create", Action::Write),
            ("api::a.a.delete", Action::Delete),
            ("api::a.a.publishAll", Action::Unknown),
            ("plugin::upload.content-api.destroy", Action::Delete),
            ("plugin::email.email.send", Action::Execute),
            ("plugin::users-permissions.user.find", Action::Read),
            ("plugin::users-permissions.user.update", Action::Identity),
            ("plugin::users-permissions.auth.callback", Action::Identity),
            ("full-access", Action::Admin),
            ("read-only", Action::Export),
        ] {
            assert_eq!(action(&scope(text)), expected, "{text}");
        }
    }
}
