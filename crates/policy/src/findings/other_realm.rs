//! `other-realm`: another installation governs it.

use super::{Condition, Finding, Rule, Severity, Verdict, found};

/// The rule.
pub(super) static RULE: Rule = Rule {
    alias: "other-realm",
    checks: &["INV01"],
    title: "Another installation governs it",
    means: "The integration or one of its credentials carries the mark of another installation of this \
        product. Nothing here ends it.",
    cause: "Two installations declare the same thing, it was handed over, or somebody wrote over its \
        record.",
    remedy: "Agree whose it is, and remove it from the other configuration; or ask that installation to \
        end it.",
    severity: Severity::High,
    condition: Condition::Policy,
    rows: &[],
    waivable: true,
};

/// A live credential with another installation's mark.
pub(super) fn credential(id: &str, key: &str, of: &str, known: &str) -> Finding {
    let known = if known.is_empty() { String::new() } else { format!(" {known}") };
    Finding {
        actual: key.to_owned(),
        why: format!("it carries the mark of installation {of}{known}; apply never ends it"),
        ..found(&RULE, id, "credentials", Verdict::Added)
    }
}

/// A declared integration whose record names another installation, though credentials of this one may
/// live on it.
pub fn governed_elsewhere(id: &str, here: &str, of: &str, was_ours: bool) -> Finding {
    Finding {
        expected: here.to_owned(),
        actual: of.to_owned(),
        condition: Condition::Drift,
        why: match was_ours {
            true => "credentials of this one live on it: it was handed over, or somebody wrote over its \
                     record",
            false => "another installation governs it; nothing else of it is compared here",
        }
        .into(),
        ..found(&RULE, id, "installation", Verdict::Changed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_of_another_installation_is_a_person_s_matter_and_named_with_whose_it_is() {
        let one = credential("x", "k8", "other1", "");
        assert_eq!((one.rule, one.condition), ("other-realm", Condition::Policy));
        assert!(one.why.contains("other1; apply never ends it"), "{}", one.why);
        let moved = governed_elsewhere("x", "here1", "other1", true);
        assert_eq!((moved.rule, moved.condition), ("other-realm", Condition::Drift));
        assert_ne!(one.fingerprint("t", "v"), moved.fingerprint("t", "v"));
    }
}
