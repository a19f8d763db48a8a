//! A drill: what nobody reads is ended at once, to show that an end works and how long it takes.

use domain::Span;
use policy::{proof::Grade, rotation::Goal};
use serde_json::json;

use crate::{Context, Outcome, Problem, Revoked, SlotSpec, carry_out, task::with_drill};

/// What a drill came to.
#[derive(Debug, Clone)]
pub struct Drilled {
    /// The platform that it was made on.
    pub platform: &'static str,
    /// The one that was ended.
    pub ended: Revoked,
    /// What the slot came to.
    pub outcome: Outcome,
    /// How long it may take, and whether it took no longer; nothing where that was not seen.
    pub limit: Option<(Span, Option<bool>)>,
}

/// That nobody reads what a slot delivers: only then it may be ended for a drill.
///
/// # Errors
///
/// `E-NO-CANARY`.
pub fn may_drill(spec: &SlotSpec) -> Result<(), Problem> {
    if spec.drill {
        return Ok(());
    }
    Err(Problem::new("E-NO-CANARY", "This credential is not there for drills")
        .detail(format!(
            "{}: a drill ends it at once, and what is declared does not say that nobody reads it. Nothing \
             was changed.",
            spec.id
        ))
        .next(
            "declare an nhi_credential of its own for drills, with drill = true and a place that nobody reads, \
             and apply",
        ))
}

/// Issues another one, signs in with it, ends the earlier one at once, and shows that: `to` is the
/// generation that it makes. It is an ordinary rotation that keeps nothing. `own`: how fast it must be
/// possible to stop its integration, where that is declared; the policy may ask for less.
///
/// # Errors
///
/// Why it stopped. What was begun is in the claim, and the next drill, or another run, goes on.
pub async fn drill(
    context: &Context,
    spec: &SlotSpec,
    to: u64,
    own: Option<Span>,
) -> Result<Drilled, Problem> {
    may_drill(spec)?;
    let goal = Goal::Rotate { to, at_once: true };
    let outcome = carry_out(context, spec, goal, "drill").await?;
    let platform = context.connections.platform(&spec.id.integration.connection)?.name();
    let what = spec.id.to_string();
    let ended = outcome.revoked.last().cloned().ok_or_else(|| {
        Problem::new("E-DRILL", "Nothing was ended")
            .detail(format!("{what}: there was nothing to end, or another run has ended it."))
            .next("run it again: there is one to end now")
    })?;
    let took = ended.how.time_to_stop;
    let limit = [own, context.rules.stop_within_longest].into_iter().flatten().min();
    let limit = limit.map(|limit| (limit, took.map(|took| took <= limit)));
    let mut entry = context
        .entry("drill.ended", &what)
        .detail("platform", platform)
        .detail("key", ended.key_id.clone())
        .detail("grade", ended.grade_words())
        .detail("grade_at_best", ended.at_best.as_str())
        .detail("shown", json!(ended.grade >= Grade::B));
    for (name, words) in ended.modifiers() {
        entry = entry.detail(name, words);
    }
    if let Some((limit, within)) = limit {
        entry = entry.detail("stop_within", limit.to_string()).detail("within", json!(within));
    }
    entry.generation = Some(outcome.generation);
    context.note(with_drill(context, entry, &what)).await;
    Ok(Drilled { platform, ended, outcome, limit })
}
