//! What several deeds tell in the same words.

use jiff::Timestamp;
use operations::{Problem, Revoked};
use serde_json::{Value, json};

use crate::{exit::Exit, output::Output};

/// To the second, as people read it.
pub(crate) fn short(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A line of what a deed will do or did: a word, and what it is about.
pub(crate) fn say(output: &Output, what: &str, text: &str) {
    output.line(&format!("  {what:<9} {text}"));
}

/// A line for each credential that was ended.
pub(crate) fn say_ended(output: &Output, revoked: &[Revoked]) {
    for one in revoked {
        let rest = one.residual_until.map_or_else(String::new, |at| {
            format!("; what was minted from it may live until {}", short(at))
        });
        say(
            output,
            "ended",
            &format!("{}, shown to grade {}{rest}", one.key_id, one.grade.as_str()),
        );
    }
}

/// The same for programs.
pub(crate) fn ended_json(revoked: &[Revoked]) -> Value {
    let one = |one: &Revoked| {
        json!({
            "key_id": one.key_id, "grade": one.grade.as_str(),
            "residual_until": one.residual_until.map(|at| at.to_string()),
        })
    };
    revoked.iter().map(one).collect()
}

/// What stands in place of a report where there is none, for programs.
pub(crate) fn failed_json(problem: &Problem) -> Value {
    json!({
        "format": "nhi-problem/1", "problem": problem_json(problem),
        "outcome": Exit::Failed.sole_outcome(),
    })
}

/// An error for programs.
pub(crate) fn problem_json(problem: &Problem) -> Value {
    json!({
        "code": problem.code, "summary": problem.summary, "detail": problem.detail,
        "next": problem.next,
    })
}
