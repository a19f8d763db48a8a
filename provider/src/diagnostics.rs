//! Problems in Terraform's words: a summary, what and why, what to do, at an attribute.

use domain::IntegrationId;
use operations::{Context, Problem};
use tfplugin::{
    Attr, Diagnostic, Diagnostics, Model, Path, Severity, Step,
    erased::{Call, Deferred},
    resource::{Done, Plan},
};

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

/// What the run has to say about itself.
pub(crate) fn notices(context: &Context) -> Diagnostics {
    let mut told = Diagnostics::new();
    context.notices.take().iter().for_each(|notice| told.push(warning(notice)));
    told
}

/// Warnings that say in their summaries what they are about: of those that share one a core shows the
/// first and counts the rest, and what is folded away nobody reviews.
pub(crate) fn about(told: Diagnostics, id: &Attr<String>) -> Diagnostics {
    let Some(id) = id.as_deref() else { return told };
    let name = |one: Diagnostic| match one.severity {
        Severity::Warning => Diagnostic { summary: format!("{}: {id}", one.summary), ..one },
        Severity::Error => one,
    };
    told.into_iter().map(name).collect()
}

/// The same for all that a plan says.
pub(crate) fn about_planned<M: Model>(plan: &mut Plan<M>, id: impl Fn(&M) -> &Attr<String>) {
    let Some(model) = plan.planned.as_ref().or(plan.prior.as_ref()) else { return };
    let told = std::mem::take(&mut plan.diagnostics);
    plan.diagnostics = about(told, id(model));
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

/// Why something could not be observed.
#[derive(Debug)]
pub(crate) enum Unseen {
    /// In the words of deeds; a connection that is not known yet may be waited for.
    Problem(Problem),
    /// In the core's words.
    Told(Diagnostics),
}

impl From<Problem> for Unseen {
    fn from(problem: Problem) -> Unseen {
        Unseen::Problem(problem)
    }
}

impl From<Diagnostic> for Unseen {
    fn from(diagnostic: Diagnostic) -> Unseen {
        Unseen::Told(diagnostic.into())
    }
}

/// The answer of a Read. What hangs on a connection that becomes known only in apply is deferred
/// where the core takes that, and is an error elsewhere: never "as it was", which would be clean by
/// silence.
pub(crate) fn observed<M>(
    seen: Result<Option<Done<M>>, Unseen>,
    state: M,
    call: &Call,
) -> Result<Option<Done<M>>, Diagnostics> {
    match seen {
        Ok(done) => Ok(done),
        Err(Unseen::Told(diagnostics)) => Err(diagnostics),
        Err(Unseen::Problem(problem))
            if problem.code == "E-NOT-YET-KNOWN" && call.capabilities.deferral_allowed =>
        {
            Ok(Some(Done::new(state).defer(Deferred::ProviderConfigUnknown)))
        }
        Err(Unseen::Problem(problem)) => Err(errors(problem)),
    }
}

/// A connection that an id names is no attribute of what hangs on the integration: there it is the
/// integration that is wrong.
pub(crate) fn on_integration(unseen: Unseen) -> Unseen {
    match unseen {
        Unseen::Problem(problem) => Unseen::Problem(of_integration(problem)),
        other => other,
    }
}

/// The same of a problem that a deed came to.
pub(crate) fn of_integration(problem: Problem) -> Problem {
    match problem.code {
        "E-CONNECTION-UNKNOWN" if problem.attribute == ["connection_name"] => {
            problem.at(&["integration", "id"])
        }
        _ => problem,
    }
}

/// Says at plan that an integration's id names no connection.
pub(crate) fn tell_unknown_connection(
    context: Option<&Context>,
    id: &Attr<String>,
    told: &mut Diagnostics,
) {
    let id = id.as_deref().and_then(|id| id.parse::<IntegrationId>().ok());
    if let (Some(context), Some(id)) = (context, id)
        && let Err(problem) = context.connections.platform(&id.connection)
    {
        told.push(error(&problem.at(&["integration", "id"])));
    }
}

/// What was found before any part of ours was asked, by a library that knows of no codes.
pub(crate) fn coded(summary: &str, detail: String) -> String {
    let last = detail.rsplit_once('(').and_then(|(_, last)| last.strip_suffix(')'));
    let letter = |one: u8| one.is_ascii_uppercase() || one.is_ascii_digit() || one == b'-';
    if last.is_some_and(|last| !last.is_empty() && last.bytes().all(letter)) {
        return detail;
    }
    let code = match summary {
        "Import needs an id" | "Nothing imported" => "E-ID",
        "Move not supported" | "Source state cannot be read" => "E-MOVED",
        _ if summary.starts_with("State ") => "E-STATE",
        "Provider failed" => "E-INTERNAL",
        _ if detail.contains("the provider's developers") => "E-INTERNAL",
        _ => "E-VALUE",
    };
    format!("{detail}\n({code})")
}

/// A value that decides over power or secrets and becomes known only during apply.
pub(crate) fn unknown_governed(at: impl Into<Path>) -> Diagnostic {
    Diagnostic::error(
        "This must be known to be reviewed",
        "It becomes known during apply, so this plan cannot say what it would do.\nNext: write it out, \
         or apply what it comes from first, with -target.\n(E-UNKNOWN-GOVERNED)",
    )
    .at(at)
}

/// A problem as the only thing to say.
pub(crate) fn errors(problem: Problem) -> Diagnostics {
    error(&problem).into()
}

/// A plan that reached apply with a part unknown.
pub(crate) fn incomplete() -> Diagnostics {
    Diagnostic::error(
        "The plan is not complete",
        "Something that must be known by now is not. This is a fault of the provider.\nNext: report it, with the plan.\n(E-INTERNAL)",
    )
    .into()
}

/// The same at an attribute: the one that the problem names, or else this one.
pub(crate) fn errors_at(problem: Problem, default: &[&str]) -> Diagnostics {
    match problem.attribute.is_empty() {
        true => errors(problem.at(default)),
        false => errors(problem),
    }
}

#[cfg(test)]
mod tests {
    use super::coded;

    #[test]
    fn an_error_without_a_code_gets_one_and_one_with_a_code_stays() {
        for (summary, detail, code) in [
            ("Required attribute is null", "name must have a value (or none). Set it.", "E-VALUE"),
            ("Import needs an id", "Give the id or the identity.", "E-ID"),
            ("State is too old", "Upgrade it with that core first.", "E-STATE"),
            ("Provider failed", "ReadResource ended in a fault.", "E-INTERNAL"),
            ("Read failed", "Report it to the provider's developers.", "E-INTERNAL"),
        ] {
            assert_eq!(coded(summary, detail.into()), format!("{detail}\n({code})"));
        }
        for whole in ["No.\nNext: x.\n(E-SINK-PLACE)", "It names another.\n(ENV01)"] {
            assert_eq!(coded("Read failed", whole.into()), whole);
        }
    }
}
