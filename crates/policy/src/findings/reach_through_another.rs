//! `reach-through-another`: it gets further through another integration.

use domain::Action;

use super::{Condition, Finding, Rule, Severity, Verdict, found};

/// The rule.
pub(super) static RULE: Rule = Rule {
    alias: "reach-through-another",
    checks: &["MON01", "BLA01"],
    title: "It gets further through another integration",
    means: "It uses another integration (`reaches`), or another one runs on it (`runs_on`), and \
        that one may do more than it may itself, or reaches further. Whoever has its \
        credential has that too. Out of policy it is where that is above its own ceiling; \
        else it is told.",
    cause: "Systems start one another, and each was looked at alone.",
    remedy: "Give the one in the middle less, or an identity of its own for this caller. Where \
        the chain is meant: raise the ceiling of the first, so that it is reviewed as what \
        it is.",
    severity: Severity::Medium,
    condition: Condition::Note,
    rows: &[220, 228],
    waivable: true,
};

/// One that gets further, and through which; `above`: its ceiling, where that is above it.
pub(super) fn judge(
    id: &str,
    through: &[&str],
    gains: &[String],
    action: Option<Action>,
    above: Option<Action>,
) -> Finding {
    let told = Finding {
        actual: format!("through {}: {}", through.join(", "), gains.join("; ")),
        action,
        why: "whoever has its credential has that too".into(),
        ..found(&RULE, id, "reach.through", Verdict::Added)
    };
    match above {
        Some(ceiling) => Finding {
            expected: format!("at most {ceiling}, by its ceiling"),
            condition: Condition::Policy,
            severity: Severity::High,
            ..told
        },
        None => told,
    }
}
