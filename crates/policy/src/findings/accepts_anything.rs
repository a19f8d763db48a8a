//! `accepts-anything`: a secret that nobody issued was let in.

use jiff::Timestamp;

use super::{Condition, Finding, Rule, Severity, Verdict, found};

/// The rule.
pub(super) static RULE: Rule = Rule {
    alias: "accepts-anything",
    checks: &["OFF04"],
    title: "A secret that nobody issued was let in",
    means: "The last proof of an end tried a secret that was never issued, and the platform let it in. \
        So an end that is tried out there shows nothing, and whoever asks may be let in.",
    cause: "Something between here and the platform answers in its place, or the platform does not \
        check secrets at all.",
    remedy: "See what stands between here and the platform: `nhi doctor` names the address. The next \
        proof looks again.",
    severity: Severity::High,
    condition: Condition::Policy,
    rows: &[205],
    waivable: true,
};

/// A secret that nobody issued was let in at this time.
pub(super) fn judge(slot: &str, at: Timestamp) -> Finding {
    Finding {
        expected: "a secret that nobody issued is refused".into(),
        actual: format!("one was let in at {at}"),
        why:
            "whoever asks may be let in there, and no end is shown by use: see what stands between \
              here and the platform (nhi doctor); the next proof looks again"
                .into(),
        ..found(&RULE, slot, "proof", Verdict::Changed)
    }
}
