//! What several deeds tell in the same words.

use connector::Children;
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
        say(output, "ended", &ended_words(one));
    }
}

/// How far an end was shown, what more could have been, and what it says nothing of.
fn ended_words(one: &Revoked) -> String {
    let mut words = format!("{}, shown to grade {}", one.key_id, one.grade_words());
    if one.grade < one.at_best {
        words.push_str(&format!(" of {} at best", one.at_best.as_str()));
    }
    let besides = one.modifiers().into_iter().filter(|(name, _)| *name != "children");
    let besides: Vec<String> =
        besides.map(|(name, said)| format!("{} {said}", name.replace('_', " "))).collect();
    words.push_str(&format!(" ({})", besides.join(", ")));
    match one.children {
        Children::None | Children::Swept(_) => {}
        Children::Residual(Some(at)) => {
            words.push_str(&format!("; what was minted from it may live until {}", short(at)));
        }
        Children::Residual(None) | Children::Unknown => {
            words.push_str("; whether anything that was minted from it lives is not known");
        }
    }
    words
}

/// The same for programs.
pub(crate) fn ended_json(revoked: &[Revoked]) -> Value {
    let one = |one: &Revoked| {
        let mut told = json!({
            "key_id": one.key_id, "grade": one.grade_words(),
            "grade_at_best": one.at_best.as_str(),
            "residual_until": one.residual_until().map(|at| at.to_string()),
            "first_refused_at": one.refused_at.map(|(first, _)| first.to_string()),
            "last_refused_at": one.refused_at.map(|(_, last)| last.to_string()),
        });
        for (name, words) in one.modifiers() {
            told[name] = words.into();
        }
        told
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

/// What was not done, for programs: why, and whether it was begun.
pub(crate) fn not_done_json(problem: &Problem, begun: bool) -> Value {
    json!({ "done": false, "begun": begun, "problem": problem_json(problem) })
}

/// An error for programs.
pub(crate) fn problem_json(problem: &Problem) -> Value {
    json!({
        "code": problem.code, "summary": problem.summary, "detail": problem.detail,
        "next": problem.next,
    })
}
