//! `ledger-changed`: the ledger is not as it was written.

use super::{Condition, Finding, Rule, Severity, Verdict, found};

/// The rule.
pub(super) static RULE: Rule = Rule {
    alias: "ledger-changed",
    checks: &["LOG03"],
    title: "The ledger is not as it was written",
    means: "The chain of the ledger does not hold: an entry was changed, taken out or cut off. What it \
        says was declared may be what somebody wrote into it.",
    cause: "Somebody edited the file, an older copy was put back, or a disk failed.",
    remedy: "`nhi ledger verify` says which part can be trusted; `nhi ledger salvage` saves it.",
    severity: Severity::Critical,
    condition: Condition::Policy,
    rows: &[14, 168],
    waivable: false,
};

/// A ledger whose chain does not hold: what it says is declared may be what somebody wrote into it.
pub fn chain_broken(what: &str) -> Finding {
    Finding {
        expected: "as it was written".into(),
        actual: what.to_owned(),
        why: "nhi ledger verify says which part can be trusted".into(),
        ..found(&RULE, "ledger", "chain", Verdict::Changed)
    }
}
