//! `proof-due`: an end is to be looked at once more.

use super::{Condition, Rule, Severity};

/// The rule.
pub(super) static RULE: Rule = Rule {
    alias: "proof-due",
    checks: &["OFF04"],
    title: "An end is to be looked at once more",
    means: "A credential was ended and the proof of it is not complete. Its secret is kept until then.",
    cause: "A proof by use was not possible at once.",
    remedy: "Apply, or `nhi reconcile --due`, looks once more and forgets the secret.",
    severity: Severity::Low,
    condition: Condition::Drift,
    rows: &[205],
    waivable: true,
};
