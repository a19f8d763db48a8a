//! `incident`: there was an incident, and nobody has reviewed the integration since.

use super::{Condition, Rule, Severity};

/// The rule.
pub(super) static RULE: Rule = Rule {
    alias: "incident",
    checks: &["REV03"],
    title: "There was an incident, and nobody has reviewed the integration since",
    means: "It had a part in an incident. What it may do, who answers for it and what it is for were \
        judged before that, and hold until somebody has judged them anew.",
    cause: "A person, or a system that manages incidents, reported it.",
    remedy: "Review its scopes, owners and purpose, apply what follows from that, and say so: `nhi signal \
        close ID --reason TEXT`. Where a secret may be in wrong hands: `nhi signal exposure`.",
    severity: Severity::High,
    condition: Condition::Policy,
    rows: &[181],
    waivable: true,
};
