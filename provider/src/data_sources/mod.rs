//! One file a data source; here what they have in common.

use operations::Problem;
use tfplugin::{Attr, Diagnostic, Diagnostics, erased::Call};

use crate::diagnostics::errors;

pub(crate) mod findings;
pub(crate) mod integrations;

/// Whether the read waits for the apply: what is known only there is waited for where a core takes that,
/// and is an error elsewhere, since half of it would be clean by silence.
fn waits(problem: Option<&Problem>, call: &Call) -> Result<bool, Diagnostics> {
    match problem {
        None => Ok(false),
        Some(one) if one.code == "E-NOT-YET-KNOWN" && call.capabilities.deferral_allowed => {
            Ok(true)
        }
        Some(one) => Err(errors(one.clone())),
    }
}

/// Refuses more of `what` than the limit, since all of it goes into state.
fn within(limit: &Attr<i64>, what: &str, count: usize) -> Result<(), Diagnostics> {
    let limit = limit.value().copied().unwrap_or(1000);
    if i64::try_from(count).unwrap_or(i64::MAX) <= limit {
        return Ok(());
    }
    Err(Diagnostic::error(
        format!("There are more {what} than the limit"),
        format!("{count} were found and limit is {limit}. All of it goes into state.\nNext: narrow it, or raise limit.\n(E-LIMIT)"),
    )
    .at("limit")
    .into())
}
