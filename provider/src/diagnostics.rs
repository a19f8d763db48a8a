//! Problems in Terraform's words: a summary, what and why, what to do, at an attribute.

use operations::Problem;
use tfplugin::{Diagnostic, Diagnostics, Path, Step};

/// Attributes whose members have names that people chose.
const MAPS: [&str; 4] = ["deliver_to", "temporary", "connections", "labels"];

/// A problem as an error.
pub(crate) fn error(problem: &Problem) -> Diagnostic {
    let diagnostic = Diagnostic::error(problem.summary, problem.body());
    at(diagnostic, &problem.attribute)
}

/// A problem as a warning.
pub(crate) fn warning(problem: &Problem) -> Diagnostic {
    at(Diagnostic::warning(problem.summary, problem.body()), &problem.attribute)
}

fn at(diagnostic: Diagnostic, attribute: &[String]) -> Diagnostic {
    if attribute.is_empty() {
        return diagnostic;
    }
    let mut path = Path::root();
    let mut key_next = false;
    for step in attribute {
        path = path.with(if key_next {
            Step::Key(step.clone())
        } else {
            Step::Attribute(step.clone())
        });
        key_next = !key_next && MAPS.contains(&step.as_str());
    }
    diagnostic.at(path)
}

/// A problem as the only thing to say.
pub(crate) fn errors(problem: Problem) -> Diagnostics {
    error(&problem).into()
}
