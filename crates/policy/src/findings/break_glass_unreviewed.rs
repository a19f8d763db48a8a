//! `break-glass-unreviewed`: somebody made a change alone, and nobody has reviewed it since.

use jiff::Timestamp;

use super::{Condition, Finding, Rule, Severity, Verdict, found};

/// The rule.
pub(super) static RULE: Rule = Rule {
    alias: "break-glass-unreviewed",
    checks: &["BRK03"],
    title: "A change that was made in an emergency waits for its review",
    means: "Somebody whom the policy lets break the glass made this change without the approvals that it \
        needs. It stands, and those who would have approved it have not signed it since.",
    cause: "The emergency is over, and nobody has come back to what was done in it; or whoever read it \
        would not have approved it.",
    remedy: "Read the change, and sign it: `nhi approve DIGEST`. Where it should not have been made, take it \
        back by an apply, and sign it all the same: that it was read is what is owed.",
    severity: Severity::High,
    condition: Condition::Policy,
    rows: &[240],
    waivable: false,
};

/// A change that nobody has reviewed: who made it, when, until when it must be reviewed, how many have, and
/// the command.
pub fn break_glass_unreviewed(
    subject: &str,
    by: &str,
    at: Timestamp,
    due: Timestamp,
    have: usize,
    next: &str,
) -> Finding {
    let day = |at: Timestamp| at.strftime("%Y-%m-%dT%H:%MZ").to_string();
    Finding {
        expected: format!("reviewed by {}", day(due)),
        actual: format!("made by {by} at {}, signed since by {have}", day(at)),
        why: next.to_owned(),
        ..found(&RULE, subject, "break_glass", Verdict::Changed)
    }
}
