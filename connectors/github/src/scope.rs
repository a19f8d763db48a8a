//! The grammar of permissions, by GitHub's own names.
//!
//! | form | what it is |
//! |---|---|
//! | `contents:write` | a permission, with its level: `read`, `write` or `admin` |
//! | `organization/members:read` | one that a token has on the organisation and not on repositories |
//! | `other/gists:write` | one that a token has on its owner's account |
//! | `issues+contents:read` | sugar for two |

use connector::{OnlyShown, ScopeError};
use domain::{Action, Scope};

/// The levels, each of which holds those before it.
const LEVELS: [&str; 3] = ["read", "write", "admin"];

/// A permission of a token, in its group.
pub(crate) fn of(group: &str, permission: &str, level: &str) -> Scope {
    match group {
        "repository" => Scope::canonical(format!("{permission}:{level}")),
        _ => Scope::canonical(format!("{group}/{permission}:{level}")),
    }
}

/// A permission in its parts: group, name, level.
fn parts(text: &str) -> Option<(&str, &str, usize)> {
    let (whole, level) = text.rsplit_once(':')?;
    let level = LEVELS.iter().position(|known| *known == level)?;
    let (group, name) = whole.split_once('/').unwrap_or(("", whole));
    let plain = |name: &str| {
        let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        !name.is_empty() && name.bytes().all(fits)
    };
    let known = matches!(group, "" | "organization" | "other");
    let bare = group.is_empty() != whole.contains('/');
    (known && bare && plain(name)).then_some((group, name, level))
}

/// Reads a scope as people write it.
pub(crate) fn parse(text: &str) -> Result<Vec<Scope>, ScopeError> {
    let text = text.trim();
    let each = text.rsplit_once(':').and_then(|(names, level)| {
        let (group, names) = match names.split_once('/') {
            Some((group, names)) => (format!("{group}/"), names),
            None => (String::new(), names),
        };
        let one = |name| {
            let whole = format!("{group}{name}:{level}");
            parts(&whole).is_some().then(|| Scope::canonical(whole))
        };
        names.split('+').map(one).collect::<Option<Vec<_>>>()
    });
    each.ok_or_else(|| ScopeError {
        message: format!(
            "{:?} is no permission: \"<permission>:<read, write or admin>\", such as \"contents:read\", with \
             \"organization/\" before it where a token has it on the organisation",
            text.chars().take(80).collect::<String>()
        ),
        suggestion: None,
    })
}

/// Whether one holds the other: of one permission, a level holds those below it.
pub(crate) fn implies(a: &Scope, b: &Scope) -> bool {
    a == b
        || parts(a.as_str()).zip(parts(b.as_str())).is_some_and(|(a, b)| {
            let (a_group, a_name, a_level) = a;
            let (b_group, b_name, b_level) = b;
            (a_group, a_name) == (b_group, b_name) && a_level >= b_level
        })
}

/// Nothing of it is given here.
pub(crate) fn only_shown(scope: &Scope) -> OnlyShown {
    OnlyShown {
        why: format!("GitHub lets nobody give {:?} through its API", scope.as_str()),
        instead: "what an App may do is chosen by its owner and accepted by a person; what a deploy key may \
                  is read_only of its nhi_credential"
            .into(),
    }
}

/// What the highest level of a permission lets its holder do; `None` of one that nobody here knows.
fn most(name: &str) -> Option<Action> {
    let name = name.strip_prefix("organization_").unwrap_or(name);
    Some(match name {
        // Who may do what: members, roles, keys and tokens; of a repository its administration.
        "administration"
        | "members"
        | "custom_roles"
        | "custom_org_roles"
        | "personal_access_tokens"
        | "personal_access_token_requests"
        | "user_blocking"
        | "git_ssh_keys"
        | "gpg_keys"
        | "enterprise_administration"
        | "enterprise_organization_installations"
        | "enterprise_organization_installation_repositories" => Action::Identity,
        // What guards deployments, and what rules are chosen by.
        "environments"
        | "interaction_limits"
        | "custom_properties"
        | "custom_properties_for_organizations"
        | "enterprise_custom_properties_for_organizations"
        | "repository_custom_properties"
        | "copilot_agent_settings" => Action::Policy,
        // What credentials workflows get.
        "secrets" | "dependabot_secrets" | "codespaces_secrets" => Action::Secret,
        // Alarms that can be dismissed, and where events are sent, or no more.
        "security_events"
        | "secret_scanning_alerts"
        | "vulnerability_alerts"
        | "code_quality"
        | "repository_hooks"
        | "hooks" => Action::Suppress,
        // What runs.
        "actions"
        | "workflows"
        | "deployments"
        | "codespaces"
        | "self_hosted_runners"
        | "actions_variables"
        | "variables"
        | "merge_queues" => Action::Execute,
        "contents" | "packages" | "repository_projects" | "projects" | "pages" | "gists" => {
            Action::Delete
        }
        "artifact_metadata"
        | "attestations"
        | "checks"
        | "discussions"
        | "issues"
        | "metadata"
        | "pull_requests"
        | "single_file"
        | "statuses"
        | "announcement_banners"
        | "copilot_seat_management"
        | "events"
        | "plan"
        | "followers"
        | "profile"
        | "starring"
        | "email_addresses" => Action::Write,
        _ => return None,
    })
}

/// What it lets its holder do.
pub(crate) fn action(scope: &Scope) -> Action {
    let Some((_, name, level)) = parts(scope.as_str()) else { return Action::Unknown };
    match (most(name), level) {
        (None, _) => Action::Unknown,
        // An alert of secret scanning shows the secret that was found.
        (Some(_), 0) if name == "secret_scanning_alerts" => Action::Secret,
        (Some(_), 0) => Action::Read,
        (Some(most), 1) => most,
        (Some(most), _) => most.max(Action::Delete),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn scope(text: &str) -> Scope {
        parse(text).unwrap().remove(0)
    }

    #[test]
    fn a_permission_is_named_as_github_names_it_and_two_may_be_written_as_one() {
        for good in ["contents:write", "organization/members:read", "other/gists:write"] {
            assert_eq!(scope(good).as_str(), good);
        }
        let two = parse(" organization/members+plan:read ").unwrap();
        let two: Vec<&str> = two.iter().map(Scope::as_str).collect();
        assert_eq!(two, ["organization/members:read", "organization/plan:read"]);
        for bad in [
            "",
            "contents",
            "contents:",
            ":read",
            "contents:all",
            "team/contents:read",
            "/contents:read",
            "organization/:read",
            "contents+:read",
            "Contents:read",
            "a/b/c:read",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        assert_eq!(of("repository", "contents", "read"), scope("contents:read"));
        assert_eq!(of("organization", "members", "read"), scope("organization/members:read"));
    }

    #[test]
    fn a_level_holds_those_below_it_and_no_other_permission() {
        let [read, write, admin] = ["read", "write", "admin"].map(|one| scope(&format!("p:{one}")));
        assert!(implies(&admin, &write) && implies(&write, &read) && implies(&read, &read));
        assert!(!implies(&read, &write) && !implies(&write, &admin));
        assert!(!implies(&scope("organization/p:admin"), &read));
        assert!(!implies(&admin, &scope("q:read")));
    }

    #[test]
    fn what_a_permission_lets_its_holder_do_grows_with_its_level_and_an_unknown_one_is_unknown() {
        for (text, expected) in [
            ("contents:read", Action::Read),
            ("contents:write", Action::Delete),
            ("issues:write", Action::Write),
            ("workflows:write", Action::Execute),
            ("secrets:write", Action::Secret),
            ("organization_secrets:write", Action::Secret),
            ("secret_scanning_alerts:read", Action::Secret),
            ("repository_hooks:write", Action::Suppress),
            ("organization_hooks:read", Action::Read),
            ("environments:write", Action::Policy),
            ("administration:write", Action::Identity),
            ("organization_administration:write", Action::Identity),
            ("organization/members:write", Action::Identity),
            ("organization_projects:admin", Action::Delete),
            ("a_permission_of_tomorrow:read", Action::Unknown),
        ] {
            assert_eq!(action(&scope(text)), expected, "{text}");
        }
        assert_eq!(action(&Scope::canonical("contents:all")), Action::Unknown);
    }

    proptest! {
        #[test]
        fn what_is_parsed_is_parsed_into_itself(text in "\\PC*") {
            for one in parse(&text).unwrap_or_default() {
                prop_assert_eq!(parse(one.as_str()), Ok(vec![one.clone()]));
            }
        }
    }
}
