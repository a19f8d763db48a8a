//! `connection-unauthorized`: a platform does not let us in.

use super::{Condition, Finding, Rule, Severity, Verdict, found};

/// The rule.
pub(super) static RULE: Rule = Rule {
    alias: "connection-unauthorized",
    checks: &[],
    title: "A connection does not let us in",
    means: "Its platform refuses what nhi signs in with, or refuses that the cheapest look. Nothing behind it is \
        seen: nothing of it rotates, ends, or is called gone. What could not be read stands beside it and \
        counts by itself.",
    cause: "Our own credential ended or was revoked, or what it may do was narrowed.",
    remedy: "Renew our own credential of the connection, or what that may do, until `nhi doctor` is content.",
    severity: Severity::High,
    condition: Condition::Note,
    rows: &[],
    waivable: true,
};

/// A connection that does not let us in, and why in its platform's words.
pub fn unauthorized(connection: &str, why: &str) -> Finding {
    Finding {
        expected: "it lets us in".into(),
        actual: why.to_owned(),
        why: format!("nhi doctor {connection} says what it asks and what is answered"),
        ..found(&RULE, connection, "connection", Verdict::Changed)
    }
}
