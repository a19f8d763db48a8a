//! `contacts-changed`: the contacts at the platform are not the owners.

use super::{Condition, Finding, Rule, Severity, Verdict, found};

/// The rule.
pub(super) static RULE: Rule = Rule {
    alias: "contacts-changed",
    checks: &["SCP01"],
    title: "The contacts at the platform are not the owners",
    means: "The platform shows people whom to ask about this integration, and names others than its \
        owners.",
    cause: "Somebody edited the contacts by hand, or an owner's address was changed and not applied.",
    remedy: "Apply: it writes the owners' addresses again.",
    severity: Severity::Low,
    condition: Condition::Drift,
    rows: &[60],
    waivable: true,
};

/// Contacts at the platform that are not the owners'. Which they are stays out: reports are kept.
pub fn contacts(id: &str) -> Finding {
    Finding {
        expected: "the addresses of its owners".into(),
        actual: "others".into(),
        why: "the platform shows them to people as whom to ask; apply writes them again".into(),
        ..found(&RULE, id, "record.contacts", Verdict::Changed)
    }
}
