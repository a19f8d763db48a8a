//! `retire-due`: an earlier credential has outlived its overlap.

use jiff::Timestamp;

use super::{Condition, Finding, Rule, Severity, Verdict, found};

/// The rule.
pub(super) static RULE: Rule = Rule {
    alias: "retire-due",
    checks: &["CRD04"],
    title: "An earlier credential has outlived its overlap",
    means: "The next generation is delivered, the overlap is over, and the earlier one still works.",
    cause: "No run came since.",
    remedy: "Apply, or `nhi reconcile --due`, ends it.",
    severity: Severity::Medium,
    condition: Condition::Unfinished,
    rows: &[115, 203],
    waivable: true,
};

/// An earlier key that outlived its overlap. `cuts`: it is switched off before it is ended; `ends`:
/// when its platform ends it by itself.
pub(super) fn judge(slot: &str, key: &str, cuts: bool, ends: Option<Timestamp>) -> Finding {
    let why = match cuts {
        true => {
            "an earlier credential whose overlap is over still works; apply, or nhi reconcile --due, \
             switches it off"
        }
        false => {
            "an earlier credential whose overlap is over is not ended; apply, or nhi reconcile --due, \
             ends it"
        }
    };
    Finding {
        actual: key.to_owned(),
        why: match ends {
            None => why.to_owned(),
            Some(at) => format!("{why}, and its platform does by itself at {at}"),
        },
        ..found(&RULE, slot, "previous", Verdict::Added)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_that_its_platform_brings_by_itself_is_told() {
        let at = "2026-03-01T10:00:00Z".parse().ok();
        assert!(judge("x", "k1", false, at).why.ends_with("by itself at 2026-03-01T10:00:00Z"));
        assert!(judge("x", "k1", true, None).why.ends_with("switches it off"));
    }
}
