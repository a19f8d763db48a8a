//! `reach-wide`: it reaches more than one thing should.

use super::{Condition, Finding, Rule, Severity, Verdict, found};

/// The rule.
pub(super) static RULE: Rule = Rule {
    alias: "reach-wide",
    checks: &["BLA02", "BLA03"],
    title: "It reaches more than one thing should",
    means: "By its scopes, its `reaches` and those of the integrations that it goes through, it \
        gets to systems in more domains of the business than `findings.domains_most`, or to \
        more systems than `findings.systems_most`. Whoever has its credential has all of \
        them in one run.",
    cause: "Each step was small: one more system, one more workflow.",
    remedy: "Make one integration for each domain, so that a credential that is lost is one door \
        and not all of them.",
    severity: Severity::High,
    condition: Condition::Policy,
    rows: &[226, 227],
    waivable: true,
};

/// One that reaches too many of something.
pub(super) fn judge(id: &str, what: &str, all: &[&str], most: u64) -> Finding {
    Finding {
        expected: format!("at most {most} {what}"),
        actual: all.join(", "),
        why: "whoever has its credential has all of them in one run".into(),
        ..found(&RULE, id, &format!("reach.{what}"), Verdict::Added)
    }
}
