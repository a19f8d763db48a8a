//! The grammar of what tokens reach. It is fixed when a token is issued, so that an integration holds
//! what its live tokens reach together, and nobody gives or takes it but by issuing and ending them.
//!
//! | form | what it is |
//! |---|---|
//! | `backend/<environment>/<project>` | every flag of the project with its rules, as in that environment |
//! | `frontend/<environment>/<project>` | which flags of the project are on, in that environment |
//! | `admin` | everything: a token of the kind that Unleash makes no more |
//!
//! The project `*` is all of them.

use connector::{OnlyShown, ScopeError};
use domain::{Action, Scope};

/// What a token of the earlier kind for admins reaches.
pub(crate) const ADMIN: &str = "admin";
/// All projects.
pub(crate) const ALL: &str = "*";

/// What a canonical scope is, in its parts: type, environment, project.
fn parts(text: &str) -> Option<(&str, &str, &str)> {
    let named = |name: &str| {
        !name.is_empty()
            && !name.contains('/')
            && !name.chars().any(|c| c.is_whitespace() || c.is_control())
    };
    let (of, rest) = text.split_once('/')?;
    let (environment, project) = rest.split_once('/')?;
    let fits = matches!(of, "backend" | "frontend") && named(environment) && named(project);
    fits.then_some((of, environment, project))
}

/// What one token reaches.
pub(crate) fn of(kind: &str, environment: &str, projects: &[String]) -> Vec<Scope> {
    if kind == ADMIN {
        return vec![Scope::canonical(ADMIN)];
    }
    let one = |project: &String| Scope::canonical(format!("{kind}/{environment}/{project}"));
    projects.iter().map(one).collect()
}

/// Reads a scope as people write it.
pub(crate) fn parse(text: &str) -> Result<Vec<Scope>, ScopeError> {
    let text = text.trim();
    if text == ADMIN || parts(text).is_some() {
        return Ok(vec![Scope::canonical(text)]);
    }
    Err(ScopeError {
        message: format!(
            "{:?} is nothing that a token reaches: \"backend/<environment>/<project>\", \
             \"frontend/<environment>/<project>\", or \"admin\"",
            text.chars().take(80).collect::<String>()
        ),
        suggestion: None,
    })
}

/// Whether one holds the other.
pub(crate) fn implies(a: &Scope, b: &Scope) -> bool {
    if a == b || a.as_str() == ADMIN {
        return true;
    }
    match (parts(a.as_str()), parts(b.as_str())) {
        (Some((of, environment, project)), Some((other, another, _))) => {
            (of, environment, project) == (other, another, ALL)
        }
        _ => false,
    }
}

/// What it lets its holder do.
pub(crate) fn action(scope: &Scope) -> Action {
    match parts(scope.as_str()) {
        Some(("backend", ..)) => Action::Export,
        Some(_) => Action::Read,
        None if scope.as_str() == ADMIN => Action::Admin,
        None => Action::Unknown,
    }
}

/// None is given by itself.
pub(crate) fn only_shown(scope: &Scope) -> OnlyShown {
    let instead = match parts(scope.as_str()) {
        Some((of, environment, project)) => format!(
            "unleash_token = {{ type = \"{of}\", environment = \"{environment}\", projects = [\"{project}\"] }} \
             on the nhi_credential, and no nhi_scope"
        ),
        None => "a token for what is needed: Unleash makes no admin's tokens any more".to_owned(),
    };
    OnlyShown { why: "what a token reaches is fixed when it is issued".to_owned(), instead }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(text: &str) -> Scope {
        parse(text).unwrap().remove(0)
    }

    #[test]
    fn what_is_reached_has_a_type_an_environment_and_a_project() {
        for good in ["backend/production/shop", " frontend/development/*", "admin"] {
            assert_eq!(scope(good).as_str(), good.trim());
        }
        for bad in [
            "",
            "backend",
            "backend/production",
            "client/a/b",
            "backend//b",
            "backend/a/b/c",
            "backend/a b/c",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn all_projects_hold_each_of_one_type_and_environment_and_an_admin_everything() {
        let all = scope("backend/production/*");
        assert!(implies(&all, &scope("backend/production/shop")));
        for other in ["backend/development/shop", "frontend/production/shop", "admin"] {
            assert!(!implies(&all, &scope(other)), "{other}");
            assert!(implies(&scope("admin"), &scope(other)), "{other}");
        }
        assert!(!implies(&scope("backend/production/shop"), &all));
    }

    #[test]
    fn what_to_write_instead_of_a_scope_is_said() {
        let said = only_shown(&scope("backend/production/shop")).instead;
        assert!(said.contains("environment = \"production\", projects = [\"shop\"]"), "{said}");
        assert_eq!(action(&scope("backend/production/shop")), Action::Export);
        assert_eq!(action(&scope("admin")), Action::Admin);
    }
}
