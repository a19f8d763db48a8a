//! `tools-unknown`: nobody has said which tools an agent has.

use super::{Condition, Finding, Rule, Severity, Verdict, found};

/// The rule.
pub(super) static RULE: Rule = Rule {
    alias: "tools-unknown",
    checks: &["AGT02"],
    title: "Nobody has said which tools an agent has",
    means: "The integration runs as an agent (`execution_mode`), and `tools` does not say what \
        it may choose to use. What it could do cannot be judged.",
    cause: "It was made an agent, and its tools were not declared.",
    remedy: "Declare every tool that it may choose; `tools = []` where its scopes are all that it \
        has. A tool that is added later is a widening in its plan.",
    severity: Severity::Medium,
    condition: Condition::Policy,
    rows: &[261],
    waivable: true,
};

/// One agent.
pub(super) fn judge(id: &str) -> Finding {
    Finding {
        why: "what it could do cannot be judged".into(),
        ..found(&RULE, id, "tools", Verdict::Removed)
    }
}
