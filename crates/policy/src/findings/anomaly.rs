//! `anomaly`: somebody saw it do what it does not usually do.

use super::{Condition, Rule, Severity};

/// The rule.
pub(super) static RULE: Rule = Rule {
    alias: "anomaly",
    checks: &["MON01"],
    title: "Somebody saw it do what it does not usually do",
    means: "A monitor, or a person, reported what an integration or a credential did, and nobody has said \
        yet what that was. Until then it is not known whether it was who it should have been.",
    cause: "Its consumer does something new, or somebody else has its secret.",
    remedy: "Find out what it was. Where it was nothing: `nhi signal close ID --reason TEXT`. Where it may \
        have been somebody else: `nhi signal exposure`, and the credential is rotated without an overlap; \
        `nhi quarantine` switches all of it off.",
    severity: Severity::High,
    condition: Condition::Policy,
    rows: &[215],
    waivable: true,
};
