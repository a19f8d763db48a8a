//! `not-in-given-states`: a credential of ours is not in the given state.

use super::{Condition, Finding, Rule, Severity, Verdict, found};

/// The rule.
pub(super) static RULE: Rule = Rule {
    alias: "not-in-given-states",
    checks: &["INV03"],
    title: "A credential of ours is not in the given state",
    means: "A credential that was issued here works, and the state that was given does not declare it. \
        Another state may.",
    cause: "It belongs to another root module, or its resource left the state without being destroyed.",
    remedy: "Where no state has it: `nhi revoke` with its integration and key, and `--state`.",
    severity: Severity::Info,
    condition: Condition::Note,
    rows: &[200],
    waivable: true,
};

/// A credential of ours that works, in a slot that the given state does not declare.
pub fn not_given(id: &str, key_id: &str, integration: &str) -> Finding {
    Finding {
        actual: format!("{key_id} works"),
        why: format!(
            "issued here, and not declared in the given state; where no other state has it: terraform \
             show -json | nhi revoke {integration} {key_id} --state -"
        ),
        ..found(&RULE, id, "credentials", Verdict::Added)
    }
}
