//! The grammar of what a user holds, and the hub's own scopes as far as shares and tokens use them.
//!
//! No scope of a user implies another. Of a share the hub gives a token what is written in it and not
//! what is inside of that: beside `servers!server=a/`, which does nothing for a token, a
//! `start:servers!server=a/` is more.
//!
//! | form | what it is |
//! |---|---|
//! | `group/<name>` | a group that the user is in: whatever roles and shares the group has |
//! | `<scope>!server=<owner>/<server>` | a server that is shared with the user, and what for |
//! | `admin` | the hub's own admin flag |
//! | `role/<name>` | a role from the hub's configuration: only shown, since nobody can take it away here |

use connector::{OnlyShown, ScopeError};
use domain::{Action, Scope};

/// The hub's own admin flag.
pub(crate) const ADMIN: &str = "admin";
const GROUP: &str = "group/";
const ROLE: &str = "role/";
const SERVER: &str = "!server=";

/// What a canonical scope is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form<'a> {
    /// The hub's own admin flag.
    Admin,
    /// A group.
    Group(&'a str),
    /// A share: what for, whose server, and its name, which may be empty.
    Share { owner: &'a str, server: &'a str },
    /// A role from the hub's configuration.
    Role(&'a str),
}

/// Each scope of the hub with those that it holds in it and what it lets its holder do.
///
/// Whoever may open a server runs what they like in it, as its owner, and finds the owner's token there.
const SCOPES: [(&str, &[&str], Action); 48] = [
    ("(no_scope)", &[], Action::None),
    ("access:servers", &[], Action::Secret),
    ("access:services", &[], Action::Unknown),
    ("admin-ui", &[], Action::Read),
    ("admin:auth_state", &[], Action::Secret),
    ("admin:groups", &["groups", "read:roles:groups", "delete:groups"], Action::Identity),
    ("admin:server_state", &[], Action::Secret),
    ("admin:servers", &["admin:server_state", "servers"], Action::Secret),
    (
        "admin:services",
        &["list:services", "read:services", "read:roles:services"],
        Action::Identity,
    ),
    (
        "admin:users",
        &["admin:auth_state", "users", "read:roles:users", "delete:users"],
        Action::Admin,
    ),
    ("delete:groups", &[], Action::Identity),
    ("delete:servers", &[], Action::Delete),
    ("delete:users", &[], Action::Identity),
    ("groups", &["read:groups", "list:groups"], Action::Identity),
    ("groups:shares", &["read:groups:shares"], Action::Identity),
    ("inherit", &[], Action::Unknown),
    ("list:groups", &["read:groups:name"], Action::Read),
    ("list:services", &["read:services:name"], Action::Read),
    ("list:users", &["read:users:name"], Action::Read),
    ("proxy", &[], Action::Admin),
    ("read:groups", &["read:groups:name"], Action::Read),
    ("read:groups:name", &[], Action::Read),
    ("read:groups:shares", &[], Action::Read),
    ("read:hub", &[], Action::Read),
    ("read:metrics", &[], Action::Read),
    ("read:roles", &["read:roles:users", "read:roles:services", "read:roles:groups"], Action::Read),
    ("read:roles:groups", &[], Action::Read),
    ("read:roles:services", &[], Action::Read),
    ("read:roles:users", &[], Action::Read),
    ("read:servers", &["read:users:name"], Action::Read),
    ("read:services", &["read:services:name"], Action::Read),
    ("read:services:name", &[], Action::Read),
    ("read:shares", &[], Action::Read),
    ("read:tokens", &[], Action::Read),
    ("read:users", &["read:users:name", "read:users:groups", "read:users:activity"], Action::Read),
    ("read:users:activity", &[], Action::Read),
    ("read:users:groups", &[], Action::Read),
    ("read:users:name", &[], Action::Read),
    ("read:users:shares", &[], Action::Read),
    ("self", &[], Action::Identity),
    ("servers", &["read:servers", "start:servers", "delete:servers"], Action::Execute),
    (
        "shares",
        &["access:servers", "read:shares", "users:shares", "groups:shares"],
        Action::Identity,
    ),
    ("shutdown", &[], Action::Admin),
    ("start:servers", &[], Action::Execute),
    ("tokens", &["read:tokens"], Action::Identity),
    ("users", &["read:users", "list:users", "users:activity"], Action::Write),
    ("users:activity", &["read:users:activity"], Action::Write),
    ("users:shares", &["read:users:shares"], Action::Identity),
];

/// What is read of a user and never written to one.
pub(crate) fn only_shown(scope: &Scope) -> Option<OnlyShown> {
    match form(scope.as_str())? {
        Form::Role(_) => Some(OnlyShown {
            why: "a role is given in the hub's own configuration (`load_roles`), and nowhere else"
                .into(),
            instead: "group/<name> of a group that has that role".into(),
        }),
        _ => None,
    }
}

fn known(base: &str) -> Option<&'static (&'static str, &'static [&'static str], Action)> {
    SCOPES.iter().find(|(name, _, _)| *name == base)
}

/// Whether one of the hub's scopes holds another in it, filters aside.
fn holds(base: &str, other: &str) -> bool {
    base == other
        || known(base).is_some_and(|(_, inside, _)| inside.iter().any(|one| holds(one, other)))
}

/// The scope of a group.
pub(crate) fn group(name: &str) -> Scope {
    Scope::canonical(format!("{GROUP}{name}"))
}

/// The scope of a role from the hub's configuration.
pub(crate) fn role(name: &str) -> Scope {
    Scope::canonical(format!("{ROLE}{name}"))
}

/// What a canonical scope is; `None` where it is none.
pub(crate) fn form(text: &str) -> Option<Form<'_>> {
    let named = |name: &str| !name.is_empty() && name.trim() == name;
    if text.chars().any(char::is_control) {
        return None;
    }
    if text == ADMIN {
        return Some(Form::Admin);
    }
    if let Some(name) = text.strip_prefix(GROUP) {
        return named(name).then_some(Form::Group(name));
    }
    if let Some(name) = text.strip_prefix(ROLE) {
        return named(name).then_some(Form::Role(name));
    }
    let (base, rest) = text.split_once(SERVER)?;
    let (owner, server) = rest.split_once('/')?;
    let fits = is_word(base) && named(owner) && server.trim() == server && !server.contains('/');
    fits.then_some(Form::Share { owner, server })
}

/// A scope's name: what the hub's own are made of.
fn is_word(base: &str) -> bool {
    !base.is_empty()
        && base.bytes().all(|b| b.is_ascii_lowercase() || matches!(b, b':' | b'-' | b'_'))
}

/// Reads a scope as people write it.
pub(crate) fn parse(text: &str) -> Result<Vec<Scope>, ScopeError> {
    let text = text.trim();
    if form(text).is_some() {
        return Ok(vec![Scope::canonical(text)]);
    }
    // A person's default server has no name, and people leave the slash away.
    let default = format!("{text}/");
    if text.contains(SERVER) && form(&default).is_some() {
        return Ok(vec![Scope::canonical(default)]);
    }
    let base = text.split('!').next().unwrap_or_default();
    let message = if known(base).is_some() {
        format!(
            "{text:?} is a scope of the hub, and a user gets such a one only for one server \
             (\"{base}!server=<owner>/<server>\"), or through a group whose role has it \
             (\"group/<name>\"); what a token may do of it is a setting of the token"
        )
    } else {
        format!(
            "{:?} is nothing that a user of a hub can hold: \"group/<name>\", \
             \"<scope>!server=<owner>/<server>\", \"admin\", or \"role/<name>\" as it is shown",
            text.chars().take(80).collect::<String>()
        )
    };
    Err(ScopeError { message, suggestion: None })
}

/// What a scope lets its holder do, by the compiled-in table. What a group's or a role's members may is
/// said in the hub's configuration, and nobody can ask.
pub(crate) fn action(scope: &Scope) -> Action {
    match form(scope.as_str()) {
        Some(Form::Admin) => Action::Admin,
        Some(Form::Share { .. }) => {
            let base = scope.as_str().split('!').next().unwrap_or_default();
            highest(base)
        }
        _ => Action::Unknown,
    }
}

/// The highest of what a scope of the hub and those in it let their holder do.
fn highest(base: &str) -> Action {
    known(base).map_or(Action::Unknown, |(_, inside, action)| {
        inside.iter().map(|one| highest(one)).fold(*action, Action::max)
    })
}

/// Why a text is no scope of a token; `None` if it is one.
pub(crate) fn refuse_of_token(text: &str) -> Option<String> {
    let (base, filter) = match text.split_once('!') {
        Some((base, filter)) => (base, Some(filter)),
        None => (text, None),
    };
    let filtered = |filter: &str| match filter.split_once('=') {
        Some((name, value)) => {
            matches!(name, "user" | "group" | "server" | "service") && !value.is_empty()
        }
        None => matches!(filter, "user" | "server" | "service"),
    };
    let bare = base == "(no_scope)" || is_word(base);
    let fits = bare
        && filter.is_none_or(filtered)
        && !text.chars().any(|c| c.is_whitespace() || c.is_control());
    (!fits).then(|| {
        format!(
            "{text:?} is no scope of a token: \"<scope>\", or with a filter \"<scope>!user=<name>\", \
             \"!group=<name>\", \"!server=<owner>/<server>\", \"!service=<name>\""
        )
    })
}

/// The smallest set of a token's scopes that gives the same: the hub shows every scope that is in
/// another one too.
pub(crate) fn reduce(scopes: &[String]) -> Vec<String> {
    let part = |text: &str| {
        let (base, filter) = text.split_once('!').unwrap_or((text, ""));
        (base.to_owned(), filter.to_owned())
    };
    let covers = |a: &str, b: &str| {
        let ((base, filter), (other, of)) = (part(a), part(b));
        a != b && (filter.is_empty() || filter == of) && holds(&base, &other)
    };
    let needed = |one: &&String| !scopes.iter().any(|other| covers(other, one));
    scopes.iter().filter(needed).cloned().collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_role_is_shown_and_never_given() {
        let only = |text: &str| only_shown(&parse(text).unwrap()[0]).is_some();
        assert!(only("role/grader"));
        for given in ["group/readers", "admin", "access:servers!server=ada/"] {
            assert!(!only(given), "{given}");
        }
    }

    fn canonical(text: &str) -> Option<String> {
        parse(text).ok().map(|all| all[0].to_string())
    }

    #[test]
    fn what_a_user_holds_is_a_group_a_share_the_admin_flag_or_a_role() {
        for good in [
            "group/class-a",
            "group/Ünïversity/dept",
            "admin",
            "role/reader",
            "access:servers!server=alice/",
            "servers!server=alice/lab",
        ] {
            assert_eq!(canonical(good).as_deref(), Some(good));
        }
        let default = canonical("access:servers!server=alice");
        assert_eq!(default.as_deref(), Some("access:servers!server=alice/"));
        for bad in [
            "",
            "group/",
            "group/ a",
            "read:users",
            "read:users!user=x",
            "x!server=",
            "x!server=/lab",
            "!server=a/b",
            "x!server=a/b/c",
            "group/a\nb",
        ] {
            assert_eq!(canonical(bad), None, "{bad:?}");
        }
        let said = parse("read:users").unwrap_err().message;
        assert!(said.contains("setting of the token"), "{said}");
    }

    #[test]
    fn a_scope_ranks_as_high_as_the_highest_in_it() {
        for (text, expected) in [
            ("read:servers!server=a/", Action::Read),
            ("delete:servers!server=a/", Action::Delete),
            ("servers!server=a/", Action::Execute),
            ("access:servers!server=a/", Action::Secret),
            ("admin:servers!server=a/", Action::Secret),
            ("shares!server=a/", Action::Identity),
            ("fly:servers!server=a/", Action::Unknown),
            ("admin", Action::Admin),
            ("group/x", Action::Unknown),
            ("role/x", Action::Unknown),
        ] {
            assert_eq!(action(&Scope::canonical(text)), expected, "{text}");
        }
    }

    #[test]
    fn the_table_names_only_scopes_that_it_has_and_each_once() {
        for (name, inside, _) in SCOPES {
            assert_eq!(SCOPES.iter().filter(|(other, _, _)| *other == name).count(), 1, "{name}");
            assert!(inside.iter().all(|one| known(one).is_some()), "{name}");
        }
    }

    #[test]
    fn a_token_s_scopes_are_shown_without_those_that_are_in_another() {
        let all = |texts: &[&str]| texts.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>();
        let shown = all(&[
            "read:users:activity!user=bot",
            "read:users!user=bot",
            "read:users:name",
            "read:users:name!user=bot",
            "tokens!user=bot",
        ]);
        let kept = all(&["read:users!user=bot", "read:users:name", "tokens!user=bot"]);
        assert_eq!(reduce(&shown), kept);
    }

    #[test]
    fn a_token_s_scope_is_a_word_with_a_filter_of_the_hub() {
        for good in ["inherit", "(no_scope)", "read:users!user", "servers!server=a/b", "admin-ui"] {
            assert_eq!(refuse_of_token(good), None, "{good}");
        }
        for bad in
            ["", "a b", "read:users!", "read:users!name=x", "read:users!group", "Ä", "x!user="]
        {
            assert!(refuse_of_token(bad).is_some(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_parsed_is_canonical_and_what_is_canonical_is_of_one_form(
            text in "(group/|role/|admin|[a-z:]{0,9}!server=)?[ -~äö]{0,12}",
        ) {
            if let Ok(all) = parse(&text) {
                prop_assert!(all.len() == 1 && form(all[0].as_str()).is_some());
                prop_assert_eq!(parse(all[0].as_str()), Ok(all));
            }
        }

        #[test]
        fn the_least_that_gives_the_same_gives_all_and_is_the_least(
            picked in prop::collection::btree_set((0..SCOPES.len(), 0..3usize), 0..8),
        ) {
            let filters = ["", "!user=a", "!server=a/b"];
            let all: Vec<String> =
                picked.into_iter().map(|(at, of)| format!("{}{}", SCOPES[at].0, filters[of])).collect();
            let least = reduce(&all);
            prop_assert_eq!(reduce(&least), least.clone());
            for one in &all {
                let (base, filter) = one.split_once('!').unwrap_or((one, ""));
                let given = least.iter().any(|other| {
                    let (of, by) = other.split_once('!').unwrap_or((other, ""));
                    holds(of, base) && (by.is_empty() || by == filter)
                });
                prop_assert!(given, "{} is lost: {:?}", one, least);
            }
        }
    }
}
