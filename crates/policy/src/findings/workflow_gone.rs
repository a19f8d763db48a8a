//! `workflow-gone`: a workflow that uses it is gone.

use super::{Condition, Rule, Severity};

/// The rule.
pub(super) static RULE: Rule = Rule {
    alias: "workflow-gone",
    checks: &["PUR05"],
    title: "A workflow that uses it is gone",
    means: "Its platform shows that the identity of a workflow in `workflows` is gone or \
        switched off. Where all of them are gone, the integration serves nothing any more, \
        and `workflow_gone` of the policy says what follows.",
    cause: "The workflow was retired, and what it used was not.",
    remedy: "Remove the integration, with its scopes and credentials; or, where another workflow \
        uses it now, declare that one in `workflows`.",
    severity: Severity::High,
    condition: Condition::Policy,
    rows: &[81, 117],
    waivable: true,
};
