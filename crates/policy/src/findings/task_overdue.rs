//! `task-overdue`: what the policy has people do was not done in time.

use jiff::Timestamp;

use super::{Condition, Finding, Rule, Severity, Verdict, found};
use crate::task::Task;

/// The rule.
pub(super) static RULE: Rule = Rule {
    alias: "task-overdue",
    checks: &["REV04"],
    title: "What people are to do was not done in time",
    means: "The policy has somebody do this at a cadence, because no platform can be asked for it: read \
        a contract, go through a vendor's administrators, try out an end. Nobody has shown that it was \
        done since.",
    cause: "It was forgotten, or done and not written down.",
    remedy: "Do it, and give the file that shows it: `nhi task done NAME --evidence FILE`. `nhi task list` \
        tells what else is due.",
    severity: Severity::Medium,
    condition: Condition::Unfinished,
    rows: &[68, 185, 187, 204, 249],
    waivable: true,
};

/// A task that is late, for one object or for all: since when, when it was last done, and the command.
pub fn task_overdue(
    task: &Task,
    subject: &str,
    since: Timestamp,
    last_done: Option<Timestamp>,
    next: &str,
) -> Finding {
    let day = |at: Timestamp| at.strftime("%Y-%m-%d").to_string();
    Finding {
        expected: format!("done by {}", day(since)),
        actual: last_done
            .map_or_else(|| "never done".into(), |at| format!("last done {}", day(at))),
        why: format!("{} ({}): {next}", task.what, task.owner),
        ..found(&RULE, subject, &format!("tasks.{}", task.name), Verdict::Changed)
    }
}
