//! `revoked-credential-returned`: a credential that was ended is there again.

use super::{Condition, Finding, Rule, Severity, Verdict, found};

/// The rule.
pub(super) static RULE: Rule = Rule {
    alias: "revoked-credential-returned",
    checks: &["OFF04"],
    title: "A credential that was ended is there again",
    means: "Its end was proven, and the platform shows it again.",
    cause: "A backup of the platform was put back, or somebody brought it back by hand.",
    remedy: "Find out who brought it back, and end it with `nhi revoke`.",
    severity: Severity::Critical,
    condition: Condition::Policy,
    rows: &[34, 205],
    waivable: false,
};

/// A key that was ended, and that its platform shows.
pub(super) fn judge(slot: &str, key: &str) -> Finding {
    Finding {
        expected: "it has ended".into(),
        actual: key.to_owned(),
        why: "it was ended, and its platform shows it again: find out who brought it back, and end it \
              (nhi revoke)"
            .into(),
        ..found(&RULE, slot, "previous", Verdict::Added)
    }
}
