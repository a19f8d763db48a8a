//! `old-still-used`: an earlier credential is in use after its overlap.

use jiff::Timestamp;

use super::{Condition, Finding, Rule, Severity, Verdict, found};

/// The rule.
pub(super) static RULE: Rule = Rule {
    alias: "old-still-used",
    checks: &["CRD04", "CRD12"],
    title: "An earlier credential is in use after its overlap",
    means: "Its overlap is over, and its platform shows that somebody uses it still. To end it would \
        cut them off.",
    cause: "A consumer has not read what is delivered, or has a copy of its own.",
    remedy: "Find out who uses it and let them read the sink; it ends when it is quiet. `nhi recover` \
        ends it on a person's word.",
    severity: Severity::High,
    condition: Condition::Unfinished,
    rows: &[34],
    waivable: true,
};

/// How much it matters is judged with the overlap: it grows with the time.
pub(super) fn judge(slot: &str, key: &str, at: Timestamp, severity: Severity) -> Finding {
    Finding {
        expected: "nobody uses it".into(),
        actual: key.to_owned(),
        severity,
        condition: match severity {
            Severity::High | Severity::Critical => RULE.condition,
            _ => Condition::Note,
        },
        why: format!(
            "its overlap is over, and it was last used at {at}: find out who uses it, and let them read \
             what is delivered; it ends when it is quiet"
        ),
        ..found(&RULE, slot, "previous", Verdict::Added)
    }
}

/// Nothing tells whether somebody uses it, and consumers have time to read the next one still: that is as it
/// was wanted, and only noted.
pub(super) fn unread(slot: &str, key: &str, until: Timestamp) -> Finding {
    Finding {
        actual: key.to_owned(),
        severity: Severity::Info,
        condition: Condition::Note,
        why: format!(
            "its overlap is over, and it is kept until {until} for consumers that may not have read the \
             next; where all of them have: nhi ack {slot} --generation"
        ),
        ..found(&RULE, slot, "previous", Verdict::Added)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_only_noted_until_it_matters() {
        let told = |severity| judge("x", "k1", Timestamp::UNIX_EPOCH, severity).condition;
        assert_eq!(told(Severity::Medium), Condition::Note);
        assert_eq!(told(Severity::High), Condition::Unfinished);
    }
}
