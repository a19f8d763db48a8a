//! The grammar of scopes: `<api path>:<capability>`, and opaque forms for what it cannot say.
//!
//! | form | what it is |
//! |---|---|
//! | `secret/data/invoices/*:read` | a rule of the integration's own policy |
//! | `policy/<name>` | another policy attached to the role |
//! | `identity-policy/<name>` | a policy that its entity or a group gives |
//! | `rule/<path>#<8 hex>` | a rule with parameters, templates or members that we do not model |
//! | `role/<setting>` | a setting of the role that lets it sign in or stay with less than it should |

use std::sync::LazyLock;

use connector::{OnlyShown, ScopeError};
use domain::{Action, Scope};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use unicode_normalization::UnicodeNormalization;

use crate::effective::Pattern;

/// Every capability, in the order in which a rule is written.
pub(crate) const CAPABILITIES: [&str; 11] = [
    "create",
    "read",
    "update",
    "patch",
    "delete",
    "list",
    "scan",
    "sudo",
    "subscribe",
    "recover",
    "deny",
];

/// What stands before the names of policies and entities of ours.
pub(crate) const OURS: &str = "nhi/";
/// The policy that allows everything.
const ROOT: &str = "root";

/// A colon would end a name, so it is escaped in one.
const NAME: &AsciiSet = &CONTROLS.add(b':').add(b'%').add(b' ');

/// What a canonical scope is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Form<'a> {
    /// A rule of our own policy.
    Rule { path: &'a str, capability: &'static str },
    /// A rule that we keep and do not understand.
    OpaqueRule { path: &'a str },
    /// Another policy on the role.
    Policy(String),
    /// A policy through entity or groups.
    IdentityPolicy(String),
    /// A setting of the role.
    Role(&'a str),
}

/// The scope of one capability on one path.
pub(crate) fn rule(path: &str, capability: &str) -> Scope {
    Scope::canonical(format!("{path}:{capability}"))
}

/// The scope of a rule that we do not model.
pub(crate) fn opaque_rule(path: &str, hash: &str) -> Scope {
    Scope::canonical(format!("rule/{path}#{hash}"))
}

/// The scope of another policy on the role.
pub(crate) fn attached(name: &str) -> Scope {
    Scope::canonical(format!("policy/{}", utf8_percent_encode(name, NAME)))
}

/// The scope of a policy that identity gives.
pub(crate) fn identity(name: &str) -> Scope {
    Scope::canonical(format!("identity-policy/{}", utf8_percent_encode(name, NAME)))
}

/// The scope of a setting of the role.
pub(crate) fn role(setting: &str) -> Scope {
    Scope::canonical(format!("role/{setting}"))
}

/// A policy's name as the server looks it up, which is how it keeps it: in lower case, letter by letter.
pub(crate) fn policy_name(name: &str) -> String {
    name.trim().chars().filter_map(|one| one.to_lowercase().next()).collect()
}

/// The settings of a role that are scopes.
pub(crate) const ROLE_SETTINGS: [&str; 2] = ["no-secret-needed", "periodic-tokens"];

/// Whether a path can stand in a plain rule: no template, nothing that HCL reads as its own.
pub(crate) fn is_plain_path(path: &str) -> bool {
    !path.is_empty()
        && !path.contains("{{")
        && !path.contains("${")
        && !path.contains("%{")
        && !path.chars().any(char::is_control)
}

/// What a canonical scope is; `None` where it is none.
pub(crate) fn form(text: &str) -> Option<Form<'_>> {
    let name = |text: &str| {
        let name = policy_name(&percent_decode_str(text).decode_utf8().ok()?);
        (!name.is_empty()).then_some(name)
    };
    if let Some(found) = opaque(text) {
        return Some(found);
    }
    if let Some((path, word)) = text.rsplit_once(':') {
        let capability = CAPABILITIES.iter().find(|one| **one == word)?;
        return is_plain_path(path).then_some(Form::Rule { path, capability });
    }
    if let Some(rest) = text.strip_prefix("policy/") {
        return Some(Form::Policy(name(rest)?));
    }
    if let Some(rest) = text.strip_prefix("identity-policy/") {
        return Some(Form::IdentityPolicy(name(rest)?));
    }
    if let Some(setting) = text.strip_prefix("role/") {
        return ROLE_SETTINGS.contains(&setting).then_some(Form::Role(setting));
    }
    None
}

/// Whether the server ends it by itself: a rule of our own policy has room for an `expiration`.
pub(crate) fn ends(scope: &Scope) -> bool {
    matches!(form(scope.as_str()), Some(Form::Rule { .. }))
}

/// What is read of a role and never written to one.
pub(crate) fn only_shown(scope: &Scope) -> Option<OnlyShown> {
    match form(scope.as_str())? {
        Form::OpaqueRule { path } => Some(OnlyShown {
            why:
                "it stands for a rule with more in it than a scope can say, so nobody could write \
                  that rule from it"
                    .into(),
            instead: format!(
                "{path}:<capability>, if the path has no template in it; or policy/<name> of a policy \
                 that says all of it"
            ),
        }),
        Form::Policy(name) | Form::IdentityPolicy(name) if name == ROOT => Some(OnlyShown {
            why: "root can do everything, and the server lets nobody sign in with it".into(),
            instead: "the paths that it needs, as <api path>:<capability>".into(),
        }),
        Form::Policy(name) if name.starts_with(OURS) => Some(OnlyShown {
            why: format!(
                "{name:?} holds the scopes of one integration: its own are written into it, and those \
                 of others change and go with theirs"
            ),
            instead:
                "those scopes themselves; or policy/<name> of a policy that several are to share"
                    .into(),
        }),
        Form::Role(_) => Some(OnlyShown {
            why: "with it a role asks for less than it should, so it is only ever taken away"
                .into(),
            instead: "nothing: leave it out".into(),
        }),
        _ => None,
    }
}

fn opaque(text: &str) -> Option<Form<'_>> {
    let (path, hash) = text.strip_prefix("rule/")?.rsplit_once('#')?;
    let fits = hash.len() == 8 && hash.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    (fits && !path.is_empty()).then_some(Form::OpaqueRule { path })
}

/// A path without what an address has before it. Taken away until nothing changes any more, so that
/// what is canonical stays as it is when it is read again.
fn bare(mut path: &str) -> &str {
    loop {
        path = path.trim_start_matches(|one: char| one == '/' || one.is_whitespace());
        match path.strip_prefix("v1/") {
            Some(rest) => path = rest,
            None => return path,
        }
    }
}

/// Reads a scope as people write it.
pub(crate) fn parse(text: &str) -> Result<Vec<Scope>, ScopeError> {
    let refuse =
        |message: String, suggestion: Option<String>| Err(ScopeError { message, suggestion });
    let text: String = text.trim().nfc().collect();
    let is_form = |prefix: &str| text.starts_with(prefix) && !text.contains(':');
    if is_form("policy/") || is_form("identity-policy/") || is_form("role/") {
        return match form(&text) {
            // Written as it is read back, whatever of a name people escape.
            Some(Form::Policy(name)) => Ok(vec![attached(&name)]),
            Some(Form::IdentityPolicy(name)) => Ok(vec![identity(&name)]),
            Some(_) => Ok(vec![Scope::canonical(text)]),
            None => refuse(
                format!(
                    "{text:?} names nothing: expected policy/<name>, identity-policy/<name> or role/<setting>"
                ),
                None,
            ),
        };
    }
    if opaque(&text).is_some() {
        return Ok(vec![Scope::canonical(text)]);
    }
    let Some((path, words)) = text.rsplit_once(':') else {
        return refuse(
            format!("{text:?} has no capability: expected <api path>:<capability>"),
            Some(format!("{}:read", text.trim_start_matches('/'))),
        );
    };
    let path = bare(path);
    if !is_plain_path(path) {
        return refuse(
            format!(
                "{text:?}: a path is not empty and has no template, \"${{\" or control character"
            ),
            None,
        );
    }
    if path.contains("+*") {
        return refuse(
            format!(
                "{text:?}: the server refuses \"+*\": a whole segment is \"+\", the rest of a path \"*\""
            ),
            Some(format!("{}:{words}", path.replace("+*", "+/*"))),
        );
    }
    if let Some(at) = path.find('*')
        && at + 1 != path.len()
    {
        return refuse(
            format!("{text:?}: \"*\" stands only at the end of a path; \"+\" is one whole segment"),
            Some(format!("{}:{words}", path.replace("/*/", "/+/"))),
        );
    }
    let mut scopes = Vec::new();
    for word in words.split('+') {
        let word = word.trim().to_lowercase();
        let capabilities: &[&str] = match word.as_str() {
            "write" => &["create", "update", "patch"],
            word => match CAPABILITIES.iter().find(|one| **one == word) {
                Some(known) => std::slice::from_ref(known),
                None => {
                    return refuse(
                        format!(
                            "{text:?}: {word:?} is no capability: expected {} or write (create, update and patch)",
                            CAPABILITIES.join(", ")
                        ),
                        nearest(word).map(|known| format!("{path}:{known}")),
                    );
                }
            },
        };
        for capability in capabilities {
            let scope = rule(path, capability);
            if !scopes.contains(&scope) {
                scopes.push(scope);
            }
        }
    }
    Ok(scopes)
}

/// The capability that a slip of the pen most likely meant.
fn nearest(word: &str) -> Option<&'static str> {
    let distance = |other: &str| {
        let (a, b): (Vec<char>, Vec<char>) = (word.chars().collect(), other.chars().collect());
        let mut row: Vec<usize> = (0..=b.len()).collect();
        for (i, x) in a.iter().enumerate() {
            let mut corner = row[0];
            row[0] = i + 1;
            for (j, y) in b.iter().enumerate() {
                let substitute = corner + usize::from(x != y);
                corner = row[j + 1];
                row[j + 1] = substitute.min(corner + 1).min(row[j] + 1);
            }
        }
        row[b.len()]
    };
    let best = CAPABILITIES.iter().min_by_key(|one| distance(one))?;
    (word.len() <= 20 && distance(best) <= 2).then_some(*best)
}

/// What doing something on a path means.
type Table = Vec<(Pattern, Action)>;

fn table(rows: &[(&str, Action)]) -> Table {
    rows.iter().map(|(path, action)| (Pattern::new(path), *action)).collect()
}

/// What a change on these paths is, highest first: reading there is looking, unless said otherwise.
static PLACES: LazyLock<Table> = LazyLock::new(|| {
    table(&[
        ("sys/policies/*", Action::Policy),
        ("sys/policy", Action::Policy),
        ("sys/policy/*", Action::Policy),
        ("sys/audit*", Action::Suppress),
        ("sys/config/auditing/*", Action::Suppress),
        ("sys/auth", Action::Identity),
        ("sys/auth/*", Action::Identity),
        ("sys/leases/*", Action::Identity),
        ("sys/revoke*", Action::Identity),
        ("sys/locked-users*", Action::Identity),
        ("identity/*", Action::Identity),
        ("auth/*", Action::Identity),
        ("sys/capabilities*", Action::Read),
        ("sys/wrapping/*", Action::Read),
        ("sys/tools/*", Action::Read),
        ("sys/internal/ui/*", Action::Read),
        ("sys/mounts", Action::Admin),
        ("sys/mounts/*", Action::Admin),
        ("sys/remount*", Action::Admin),
        ("sys/namespaces*", Action::Admin),
        ("sys/raw*", Action::Admin),
        ("sys/seal", Action::Admin),
        ("sys/rotate*", Action::Admin),
        ("sys/generate-root/*", Action::Admin),
        ("sys/rekey/*", Action::Admin),
        ("sys/plugins/*", Action::Admin),
        ("sys/quotas/*", Action::Suppress),
        ("sys/storage/*", Action::Admin),
        ("sys/config/*", Action::Admin),
        ("sys/step-down", Action::Admin),
        ("sys/*", Action::Admin),
        ("+/issue/*", Action::Identity),
        ("+/sign/*", Action::Identity),
    ])
});

/// Paths where reading shows credentials.
static SECRETS: LazyLock<Table> = LazyLock::new(|| {
    table(&[
        ("+/data/*", Action::Secret),
        ("+/+/data/*", Action::Secret),
        ("+/+/+/data/*", Action::Secret),
        ("cubbyhole/*", Action::Secret),
        ("+/creds/*", Action::Secret),
        ("+/static-creds/*", Action::Secret),
        ("+/export/*", Action::Secret),
        ("sys/raw*", Action::Secret),
    ])
});

/// Paths of a KV v2 mount where a change is a change or removal of data.
static KV: LazyLock<Table> = LazyLock::new(|| {
    table(&[
        ("+/metadata/*", Action::Write),
        ("+/delete/*", Action::Delete),
        ("+/destroy/*", Action::Delete),
        ("+/undelete/*", Action::Write),
        ("+/subkeys/*", Action::Read),
    ])
});

/// What a scope lets its holder do.
pub(crate) fn action(scope: &Scope) -> Action {
    let (path, capability) = match form(scope.as_str()) {
        Some(Form::Rule { path, capability }) => (path, capability),
        Some(Form::Policy(name) | Form::IdentityPolicy(name)) if name == ROOT => {
            return Action::Admin;
        }
        _ => return Action::Unknown,
    };
    if capability == "deny" {
        return Action::None;
    }
    if capability == "sudo" || matches!(path, "*" | "+" | "+/*") {
        return Action::Admin;
    }
    let pattern = Pattern::new(path);
    let highest = |table: &Table| {
        table.iter().filter(|(place, _)| pattern.meets(place)).map(|(_, action)| *action).max()
    };
    // A pattern that says less than the place (`sys/*`) reaches it as well: the highest counts. One
    // that stays inside a place is judged by the most particular one.
    let inside = PLACES.iter().find(|(place, _)| place.covers(&pattern)).map(|(_, action)| *action);
    let place = inside.or_else(|| highest(&PLACES));
    let secret = highest(&SECRETS).is_some();
    let kv = highest(&KV);
    match capability {
        "read" if secret => Action::Secret,
        // Without knowing the engine behind a mount, nobody knows what a read there shows.
        "read" | "subscribe" if place.is_none() && kv.is_none() => Action::Unknown,
        "read" | "subscribe" | "list" => Action::Read,
        "scan" => Action::Export,
        _ if place.is_some() => place.unwrap_or(Action::Unknown),
        "delete" if secret || kv.is_some() => Action::Delete,
        "create" | "update" | "patch" | "recover" if kv.is_some() => kv.unwrap_or(Action::Unknown),
        "create" | "update" | "patch" | "recover" if secret => Action::Write,
        _ => Action::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(text: &str) -> Vec<String> {
        parse(text).unwrap().iter().map(Scope::to_string).collect()
    }

    #[test]
    fn scopes_are_brought_into_one_spelling() {
        assert_eq!(parsed("/secret/data/x:READ"), ["secret/data/x:read"]);
        assert_eq!(
            parsed("v1/secret/data/x:read+list"),
            ["secret/data/x:read", "secret/data/x:list"]
        );
        // Whatever stands before it, at once and for good.
        for text in ["/ / secret/data/x:read", "v1/v1//v1/secret/data/x:read"] {
            assert_eq!(parsed(text), ["secret/data/x:read"]);
        }
        assert_eq!(parsed("a:write"), ["a:create", "a:update", "a:patch"]);
        assert_eq!(parsed("a:b:read"), ["a:b:read"]);
        assert_eq!(parsed("policy/admin"), ["policy/admin"]);
        // A name as the server keeps it, escaped as it is read back.
        for text in ["policy/Foo Bar", "policy/foo%20bar", "policy/%46oo Bar%20"] {
            assert_eq!(parsed(text), ["policy/foo%20bar"], "{text}");
        }
        assert_eq!(parsed("policy/ÄÖ"), ["policy/%C3%A4%C3%B6"]);
        assert_eq!(parsed("policy/a%3Ab"), ["policy/a%3Ab"]);
        assert_eq!(parsed("identity-policy/Pay"), ["identity-policy/pay"]);
        assert_eq!(parsed("rule/a/b#0011aabb"), ["rule/a/b#0011aabb"]);
        assert_eq!(parsed("e\u{301}:read"), ["\u{e9}:read"]);
    }

    #[test]
    fn what_is_no_scope_is_refused_with_what_may_have_been_meant() {
        let suggestion = |text: &str| parse(text).unwrap_err().suggestion;
        assert_eq!(suggestion("secret/data/x").as_deref(), Some("secret/data/x:read"));
        assert_eq!(suggestion("secret/data/x:raed").as_deref(), Some("secret/data/x:read"));
        assert_eq!(suggestion("secret/*/x:read").as_deref(), Some("secret/+/x:read"));
        assert_eq!(suggestion("secret/+*:read").as_deref(), Some("secret/+/*:read"));
        assert!(
            parse(":read").is_err() && parse("policy/").is_err() && parse("a{{b}}:read").is_err()
        );
        assert!(parse("policy/%20").is_err() && parse("policy/%ff").is_err());
        assert!(parse("role/anything").is_err());
    }

    #[test]
    fn policies_that_cannot_be_shared_are_shown_and_never_given() {
        let why = |text: &str| only_shown(&parse(text).unwrap()[0]).map(|only| only.why);
        for root in ["policy/root", "policy/ROOT", "identity-policy/root"] {
            assert!(why(root).unwrap().contains("root can do everything"), "{root}");
        }
        assert!(why("policy/nhi/ci").unwrap().contains("the scopes of one integration"));
        for other in ["policy/legacy", "policy/rooted", "policy/nhi", "identity-policy/nhi/x"] {
            assert_eq!(why(other), None, "{other}");
        }
    }

    #[test]
    fn actions_are_ranked_by_place_and_capability() {
        let of = |text: &str| action(&Scope::canonical(text));
        for (text, expected) in [
            ("secret/data/invoices/*:read", Action::Secret),
            ("secret/data/invoices/*:list", Action::Read),
            ("secret/*:read", Action::Secret),
            ("team/kv/data/x:read", Action::Secret),
            ("secret/data/x:update", Action::Write),
            ("secret/data/x:delete", Action::Delete),
            ("secret/metadata/x:list", Action::Read),
            ("secret/metadata/x:delete", Action::Delete),
            ("secret/destroy/x:update", Action::Delete),
            ("secret/data/x:deny", Action::None),
            ("secret/data/x:sudo", Action::Admin),
            ("database/creds/app:read", Action::Secret),
            ("sys/policies/acl/x:update", Action::Policy),
            ("sys/policies/acl/x:read", Action::Read),
            ("sys/audit/file:update", Action::Suppress),
            ("identity/entity:create", Action::Identity),
            ("auth/approle/role/x/secret-id:update", Action::Identity),
            ("sys/auth/x:update", Action::Identity),
            ("sys/mounts/x:update", Action::Admin),
            ("sys/*:update", Action::Admin),
            ("+/policies/acl/x:update", Action::Admin),
            ("sys/capabilities-self:update", Action::Read),
            ("*:read", Action::Admin),
            ("something/new:update", Action::Unknown),
            ("something/new:read", Action::Unknown),
            ("policy/root", Action::Admin),
            ("identity-policy/root", Action::Admin),
            ("policy/legacy", Action::Unknown),
            ("rule/a#00112233", Action::Unknown),
        ] {
            assert_eq!(of(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_parsed_is_canonical(text in "(/|v1/| )*[a-z/+:*]{1,20}|(policy|rule|role|identity-policy)/[a-z%:#0-9]{0,12}") {
            if let Ok(scopes) = parse(&text) {
                for scope in scopes {
                    prop_assert!(form(scope.as_str()).is_some(), "{scope}");
                    prop_assert_eq!(parse(scope.as_str()).unwrap(), vec![scope]);
                }
            }
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in ".*") {
            if let Ok(scopes) = parse(&text) {
                for scope in scopes { let _ = action(&scope); }
            }
        }

        #[test]
        fn a_policy_of_any_name_has_a_scope_of_its_own(name in "[^/]{1,12}") {
            let name = policy_name(&name);
            prop_assume!(!name.is_empty());
            let scope = attached(&name);
            prop_assert_eq!(form(scope.as_str()), Some(Form::Policy(name.clone())));
            prop_assert_eq!(policy_name(&name), name);
        }
    }
}
