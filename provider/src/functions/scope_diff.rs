//! `provider::nhi::scope_diff`: what one set of scopes gives more than another.

use std::collections::{BTreeMap, BTreeSet};

use domain::Scope;
use operations::KindLattice;
use policy::scopes::{Lattice, canonical_set, highest_action};
use tfplugin::{Attr, Model, Set, erased::FunctionError, function::Function};

/// What changes between two sets of scopes: for `check` blocks, tests and policies, without an
/// account at the platform. Scopes are compared as the platform's own table understands them, so
/// another spelling is no change and what is implied already adds nothing.
#[derive(Debug, Clone, PartialEq, Model)]
pub(crate) struct ScopeDiffArguments {
    /// The kind of integration, such as `openbao_approle`.
    #[tf(required)]
    kind: Attr<String>,
    /// The scopes before.
    #[tf(required)]
    before: Attr<Set<String>>,
    /// The scopes after.
    #[tf(required)]
    after: Attr<Set<String>>,
}

/// The difference.
#[derive(Debug, Clone, Default, PartialEq, Model)]
pub(crate) struct ScopeDifference {
    /// What nothing before gave, canonical.
    #[tf(computed)]
    added: Attr<Set<String>>,
    /// What nothing after gives, canonical.
    #[tf(computed)]
    removed: Attr<Set<String>>,
    /// `none`, `narrows`, `widens`, `mixed` or `unknown`; the last two are to be judged as widening.
    #[tf(computed)]
    direction: Attr<String>,
    /// The highest action among what was added: `none` where nothing was.
    #[tf(computed)]
    highest_action_added: Attr<String>,
}

/// `scope_diff`.
#[derive(Debug)]
pub(crate) struct ScopeDiff;

impl Function for ScopeDiff {
    type Arguments = ScopeDiffArguments;
    type Output = ScopeDifference;
    const NAME: &'static str = "scope_diff";
    const SUMMARY: &'static str = "What one set of scopes gives more, and less, than another.";

    fn call(&self, arguments: ScopeDiffArguments) -> Result<ScopeDifference, FunctionError> {
        let named = arguments.kind.text();
        let Some((platform, kind)) = wiring::kind(named) else {
            let kinds = wiring::platforms().into_iter().flat_map(|platform| platform.kinds());
            let kinds: Vec<&str> = kinds.map(|kind| kind.name).collect();
            return Err(FunctionError::of_argument(
                0,
                format!(
                    "{named:?} is no kind of integration that has scopes: {}.",
                    kinds.join(", ")
                ),
            ));
        };
        let lattice = KindLattice { platform, kind: kind.name };
        let set = |position: i64, texts: &Attr<Set<String>>| {
            let texts = texts.value().cloned().unwrap_or_default();
            for text in &texts {
                if let Err(error) = platform.parse_scope(kind.name, text) {
                    return Err(FunctionError::of_argument(
                        position,
                        format!("{text:?}: {error}."),
                    ));
                }
            }
            Ok(canonical_set(&lattice, &texts))
        };
        let (before, after) = (set(1, &arguments.before)?, set(2, &arguments.after)?);
        let beyond = |these: &BTreeSet<Scope>, those: &BTreeSet<Scope>| -> Set<String> {
            let new =
                these.iter().filter(|one| !those.iter().any(|have| lattice.implies(have, one)));
            new.map(ToString::to_string).collect()
        };
        let added = beyond(&after, &before);
        let highest = highest_action(&lattice, &added, &BTreeMap::new());
        Ok(ScopeDifference {
            removed: beyond(&before, &after).into(),
            direction: lattice.direction(&before, &after).as_str().to_owned().into(),
            highest_action_added: highest.to_string().into(),
            added: added.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diff(kind: &str, before: &[&str], after: &[&str]) -> Result<ScopeDifference, FunctionError> {
        let set = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Set<_>>();
        ScopeDiff.call(ScopeDiffArguments {
            kind: kind.into(),
            before: set(before).into(),
            after: set(after).into(),
        })
    }

    #[test]
    fn another_spelling_is_no_difference_and_what_is_implied_adds_nothing() {
        let kind = "openbao_approle";
        let same = diff(kind, &["/secret/data/x:READ"], &["secret/data/x:read"]).unwrap();
        assert_eq!((same.direction.text(), same.added.value().map(Set::len)), ("none", Some(0)));
        assert_eq!(same.highest_action_added, "none");

        let wider = diff(kind, &["sys/health:read"], &["sys/policies/acl/x:update"]).unwrap();
        assert_eq!(
            wider.added.value().unwrap().iter().collect::<Vec<_>>(),
            ["sys/policies/acl/x:update"]
        );
        assert_eq!(wider.removed.value().unwrap().iter().collect::<Vec<_>>(), ["sys/health:read"]);
        assert_eq!(
            (wider.direction.text(), wider.highest_action_added.text()),
            ("mixed", "policy")
        );
    }

    #[test]
    fn an_unknown_kind_and_a_scope_outside_its_grammar_are_said_with_their_argument() {
        let error = diff("nosuch", &[], &[]).unwrap_err();
        assert!(error.argument == Some(0) && error.text.contains("openbao_approle"), "{error:?}");
        let error = diff("openbao_approle", &[], &["read everything"]).unwrap_err();
        assert!(error.argument == Some(2) && error.text.contains("read everything"), "{error:?}");
    }
}
