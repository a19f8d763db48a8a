//! `nhi reconcile`: one tick over everything that is declared, so that nobody need apply for it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use clap::Args;
use operations::{
    About, Asked, Looked, Next, Problem, SeenSlot, Taken, Tick, TickStep, Unread, Wishes, Work,
    break_glass::close_reviewed, note_tasks, tasks,
};
use policy::{
    duty::{Duty, Standing},
    rotation::Goal,
};
use serde_json::{Value, json};
use tracing::Instrument;

use super::{drift::declared, rotate::named, serve::holds_some};
use crate::{
    ask::Asking,
    deed::not_done,
    exit::Exit,
    output::{BOLD, Format, GREEN, Output, styled},
    told::{ended_json, not_done_json, problem_json, say, say_ended, short},
    traces::Traces,
};

/// Do what is to be done now about everything that is declared, as the next apply would, and no more than
/// policy approves.
///
/// What is owed is done: earlier credentials whose time is over end, with proof, and what a run began
/// before it died is finished. What is due, has ended or is lost rotates. What outlived its day is
/// switched off, and a temporary scope that is over is taken away. The rest is told, with the command.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  nhi reconcile --dry-run                                what would be done now?
  nhi reconcile --yes                                    from cron, beside its ledger
  nhi reconcile --due --yes                              what is owed alone: no rotation begins
  nhi reconcile bao/openbao_approle/invoice-sync --yes
  terraform show -json | nhi reconcile --state - --yes --format json

What somebody else is at work on is left to them. What waits for a person is told, and is for nhi
recover; nothing that was switched off is switched on. What it may do unasked: standing in policy.hcl.
What fails stops nothing else; it is tried again later each time, or at once where it is named.

Exit codes: 0 nothing is to be done any more, or it is shown with --dry-run · 1 not done · 3 something
could not be read · 5 something is held, late, or was begun and not finished; of several the first of
1, 5, 3")]
pub(crate) struct Reconcile {
    /// Integrations, or credentials of them: INTEGRATION/credential/NAME. Else all that are declared.
    #[arg(value_name = "ID")]
    ids: Vec<String>,

    /// Only what is owed now: no rotation begins.
    #[arg(long)]
    due: bool,

    /// Declared is what this state says (`terraform show -json`, or a state file); `-` is standard
    /// input. Else the ledger says.
    #[arg(long, value_name = "FILE")]
    state: Option<String>,

    #[command(flatten)]
    pub(crate) asking: Asking,
}

/// The name of the JSON's form.
const FORM: &str = "nhi-reconcile/1";

impl Reconcile {
    pub(crate) async fn run(self, config: Option<&str>, output: &Output) -> Result<Exit, Problem> {
        let loaded = wiring::load(config)?;
        let traces = Traces::begin(&loaded.environment, |why| eprintln!("nhi: {why}"))?;
        let span = telemetry::tick();
        let ran = self.ran(&loaded, &span, output).instrument(span.clone()).await;
        match &ran {
            Ok(_) => telemetry::ended(&span, "done"),
            Err(problem) => telemetry::failed(&span, "failed", Some(problem.code)),
        }
        drop(span);
        traces.end().await;
        ran
    }

    async fn ran(
        &self,
        loaded: &wiring::Loaded,
        span: &tracing::Span,
        output: &Output,
    ) -> Result<Exit, Problem> {
        let context = self.asking.context_to_end(loaded, output)?;
        let command = if self.due { "reconcile --due" } else { "reconcile" };
        let (wishes, from) = declared(&context, self.state.as_deref(), command).await?;
        let mut asked = self.asked(&wishes, &from)?;
        if self.ids.is_empty() {
            let declared = wishes.integrations.keys().cloned().collect();
            let connections = context.connections.names().into_iter();
            let connections = connections.filter(|name| holds_some(&context, name)).collect();
            asked.beside = Some((declared, connections));
        }
        let people = tasks(&context, &wishes).await?;
        note_tasks(&context, &wishes, &people).await;
        close_reviewed(&context).await?;
        let late = people.iter().filter(|one| one.is_overdue()).count();
        if late > 0 && self.ids.is_empty() {
            output.hint(&format!("{late} task(s) of people are overdue: nhi task list --overdue"));
        }
        let tick = Tick::begin(&context, asked).await;
        let progress = output.progress("looking");
        let looked = tick.look(wishes, |at, of| progress.say(&format!("looked at {at} of {of}")));
        let looked = looked.await;
        drop(progress);
        telemetry::ticked(span, looked.steps.len(), looked.unread.len(), 0, 0);
        tell_unread(&looked.unread, output);
        let (mut exit, shown) = (stands(&looked), shown(&looked));
        // Nothing that rotates is even judged without the policy, so that all may seem well.
        if context.gate.closed().is_some() {
            exit = exit.worst(Exit::Partial);
        }
        let text = self.asking.format == Format::Text;
        if text {
            shown.iter().for_each(|step| tell(step, output));
        }
        let does = shown.iter().filter(|step| matches!(step.next, Next::Do(..))).count();
        if does == 0 || self.asking.dry_run {
            if text && does == 0 {
                output.hint("Nothing is to be done now.");
                if let Some((at, what)) = looked.steps.iter().filter_map(|one| next_of(one)).min() {
                    output.hint(&format!("Next: {what}, at {at}"));
                }
            }
            self.end(&shown, &vec![None; shown.len()], &looked.unread, exit, output);
            return Ok(exit);
        }
        let question = match does {
            1 => "Do this?".to_owned(),
            more => format!("Do all {more}?"),
        };
        if !self.asking.agreed(&question, output)? {
            output.hint("Nothing was changed.");
            return Ok(Exit::Failed);
        }
        let progress = output.progress(&format!("done 0 of {does}"));
        let (mut done, mut all) = (0, vec![None; shown.len()]);
        tick.take_all(&shown, |at, step, taken| {
            exit = exit.worst(exit_of(&taken));
            if matches!(step.next, Next::Do(..)) {
                done += 1;
                progress.say(&format!("done {done} of {does}"));
            }
            if text {
                tell_taken(step, &taken, output);
            }
            all[at] = Some(taken);
        })
        .await;
        drop(progress);
        let failed = all.iter().flatten().filter(|one| matches!(one, Taken::Not { .. })).count();
        let (well, failed) = (does.saturating_sub(failed), failed);
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        let (read, gaps) = (looked.steps.len(), looked.unread.len());
        telemetry::ticked(span, read, gaps, count(well), count(failed));
        tell_unasked(&tick, &all, output);
        for notice in context.notices.take() {
            output.warning(&notice.to_string());
        }
        self.end(&shown, &all, &looked.unread, exit, output);
        Ok(exit)
    }

    /// The slots and the integrations that are meant.
    fn asked(&self, wishes: &Wishes, from: &str) -> Result<Asked, Problem> {
        let asked =
            Asked { owed_only: self.due, at_once: !self.ids.is_empty(), ..Asked::default() };
        if self.ids.is_empty() {
            return Ok(asked);
        }
        let (mut slots, mut integrations) = (BTreeSet::new(), BTreeSet::new());
        for id in &self.ids {
            match wishes.integrations.get(id) {
                Some(wish) if !self.due => {
                    integrations.insert(id.clone());
                    slots.extend(wish.slots.iter().map(|slot| (id.clone(), slot.name.clone())));
                }
                _ => slots.extend(named(wishes, id, from)?),
            }
        }
        Ok(Asked { slots: Some(slots), integrations: Some(integrations), ..asked })
    }

    fn end(
        &self,
        steps: &[Arc<TickStep>],
        taken: &[Option<Taken>],
        unread: &[Unread],
        exit: Exit,
        output: &Output,
    ) {
        if self.asking.format != Format::Json {
            return;
        }
        let of = |slots: bool| {
            let all =
                steps.iter().zip(taken).filter(move |(step, _)| step.slot().is_some() == slots);
            all.map(|(step, taken)| step_json(step, taken.as_ref())).collect::<Vec<Value>>()
        };
        let gaps = unread.iter().map(|one| {
            json!({
                "id": one.subject, "since": one.since.map(|at| at.to_string()),
                "problem": problem_json(&one.problem),
            })
        });
        let all = json!({
            "format": FORM, "dry_run": self.asking.dry_run, "slots": of(true),
            "integrations": of(false), "gaps": gaps.collect::<Vec<_>>(),
            "outcome": exit.sole_outcome(),
        });
        output.line(&all.to_string());
    }
}

/// Those on which there is something to say.
pub(super) fn shown(looked: &Looked) -> Vec<Arc<TickStep>> {
    looked.steps.iter().filter(|step| step.next != Next::Nothing).cloned().collect()
}

/// What could not be read, each once; what was not asked any more is told by its connection.
fn tell_unread(unread: &[Unread], output: &Output) {
    let is_whole = |one: &&Unread| ["E-UNHEARD", "E-UNAUTHORIZED"].contains(&one.problem.code);
    let (unasked, failed): (Vec<&Unread>, Vec<&Unread>) = unread.iter().partition(is_whole);
    for one in failed {
        let since = one.since.map_or_else(String::new, |at| format!(" (since {})", short(at)));
        output.warning(&format!("{} could not be looked at{since}: {}", one.subject, one.problem));
    }
    let mut by: BTreeMap<&str, Vec<&Unread>> = BTreeMap::new();
    for one in unasked {
        by.entry(one.subject.split('/').next().unwrap_or_default()).or_default().push(one);
    }
    for all in by.values() {
        if let Some(first) = all.first() {
            let count = all.len();
            output.warning(&format!("{count} thing(s) were not looked at: {}", first.problem));
        }
    }
}

fn tell_unasked(tick: &Tick, taken: &[Option<Taken>], output: &Output) {
    let count = taken.iter().flatten().filter(|one| matches!(one, Taken::Unasked(_))).count();
    if count > 0 {
        let names = tick.open_breakers().join(", ");
        output.warning(&format!("{count} thing(s) were not done: nobody answers at {names}"));
    }
}

/// What holds whatever this run does.
pub(super) fn stands(looked: &Looked) -> Exit {
    let mut exit = looked.steps.iter().map(|step| match &step.next {
        Next::Held(_) | Next::PutOff { late: true, .. } => Exit::Unfinished,
        _ => Exit::Clean,
    });
    let exit = exit.by_ref().fold(Exit::Clean, Exit::worst);
    match (looked.unread.is_empty(), looked.steps.is_empty()) {
        (true, _) => exit,
        (false, true) => exit.worst(Exit::Failed),
        (false, false) => exit.worst(Exit::Partial),
    }
}

/// How the command ends for one that was taken.
pub(super) fn exit_of(taken: &Taken) -> Exit {
    match taken {
        Taken::Met(_)
        | Taken::Rotated(_)
        | Taken::SwitchedOff
        | Taken::Revoked(_)
        | Taken::Narrowed(_)
        | Taken::Busy
        | Taken::Left => Exit::Clean,
        Taken::Stopped => Exit::Unfinished,
        Taken::Unasked(_) => Exit::Partial,
        Taken::Not { begun, .. } => not_done(*begun),
    }
}

/// When the next duty's time comes, and which that is.
fn next_of(step: &TickStep) -> Option<(String, String)> {
    let About::Slot { spec, seen, .. } = &step.about else { return None };
    let duty = seen.owed.next()?;
    Some((short(duty.not_before?), format!("{duty} of {}", spec.id)))
}

fn words(standing: Standing) -> &'static str {
    match standing {
        Standing::Early => "early",
        Standing::Doubtful => "doubtful",
        Standing::InUse => "in_use",
        Standing::Waits => "waits",
        Standing::Due => "due",
        Standing::Overdue => "overdue",
    }
}

/// What one deed does, in words.
fn will(goal: Goal) -> &'static str {
    match goal {
        Goal::Cut { .. } => "switch the earlier one off; it is ended later, if nobody misses it",
        Goal::Retire { .. } => "end what is due, and show it as far as it can be",
        Goal::Revoke => "finish ending all that it has",
        Goal::Reenable => "switch the earlier one on again",
        Goal::Rotate { .. } => "finish what a run began before it fell silent",
    }
}

/// The same of everything that a tick does.
fn work_words(work: &Work, seen: Option<&SeenSlot>) -> String {
    match work {
        Work::Owed(goal) => will(*goal).to_owned(),
        Work::Copy => "deliver the present one again where a copy is missing or changed".to_owned(),
        Work::Rotate(to) => {
            let status = seen.map_or("due", |seen| seen.status);
            let generation = match to.goal {
                Goal::Rotate { to, .. } => to,
                _ => 0,
            };
            let kept = match to.kept_for {
                Some(overlap) => format!("the old one is kept for {overlap}"),
                None => "no old one is kept".to_owned(),
            };
            format!("it is {status}: issue generation {generation} ({}); {kept}", to.way)
        }
        Work::SwitchOff(why) => format!("switch it off: {why}"),
        Work::Revoke(why) => format!("switch it off, and end all that it has: {why}"),
        Work::RemoveTemporary(over) => {
            let over: Vec<&str> = over.iter().map(|scope| scope.as_str()).collect();
            format!("take away what is over: {}", over.join(", "))
        }
    }
}

fn duty_json(duty: &Duty, standing: Standing) -> Value {
    json!({
        "deed": duty.task.as_str(), "key_id": duty.key_id, "generation": duty.generation,
        "not_before": duty.not_before.map(|at| at.to_string()),
        "due_by": duty.due_by.map(|at| at.to_string()),
        "standing": words(standing), "carried_by": duty.carrier.as_str(),
    })
}

fn tell(step: &TickStep, output: &Output) {
    output.line(&styled(BOLD, &step.subject));
    let seen = match &step.about {
        About::Slot { seen, .. } => Some(&**seen),
        About::Integration { .. } => None,
    };
    let late = |standing: Standing| if standing == Standing::Overdue { ", overdue" } else { "" };
    let owed = seen.iter().flat_map(|seen| &seen.owed.0);
    for (duty, standing) in owed.filter(|(_, one)| *one != Standing::Early) {
        let since = duty.not_before.map_or_else(String::new, |at| format!(" since {}", short(at)));
        say(output, "owed", &format!("{duty}{since}{}", late(*standing)));
    }
    match &step.next {
        Next::Nothing => {}
        Next::Busy(who) => say(output, "left", who),
        Next::Held(why) => {
            say(output, "held", why);
            say(output, "next", &format!("nhi recover {}", step.subject));
        }
        Next::PutOff { why, next, .. } => {
            say(output, "put off", why);
            if let Some(next) = next {
                say(output, "next", next);
            }
        }
        Next::Do(work, _) => say(output, "do", &work_words(work, seen)),
    }
}

fn step_json(step: &TickStep, taken: Option<&Taken>) -> Value {
    let (deed, word, why, next) = match &step.next {
        Next::Nothing => (None, "nothing", None, None),
        Next::Busy(who) => (None, "busy", Some(who.clone()), None),
        Next::Held(why) => {
            (None, "held", Some(why.clone()), Some(format!("nhi recover {}", step.subject)))
        }
        Next::PutOff { why, next, .. } => (None, "put_off", Some(why.clone()), next.clone()),
        Next::Do(work, _) => {
            let seen = match &step.about {
                About::Slot { seen, .. } => Some(&**seen),
                About::Integration { .. } => None,
            };
            (Some(work.word()), "do", Some(work_words(work, seen)), None)
        }
    };
    let mut told = json!({
        "id": step.subject,
        "will": { "word": word, "why": why },
        "did": taken.map(taken_json),
    });
    if let Some(deed) = deed {
        told["will"]["deed"] = json!(deed);
    }
    if let Some(next) = next {
        told["will"]["next"] = json!(next);
    }
    if let About::Slot { seen, .. } = &step.about {
        let owed = seen.owed.0.iter().map(|(duty, standing)| duty_json(duty, *standing));
        told["status"] = json!(seen.status);
        told["owed"] = owed.collect::<Vec<_>>().into();
    }
    told
}

fn tell_taken(step: &TickStep, taken: &Taken, output: &Output) {
    let done = |what: &str| {
        output.line(&format!("{} {}", styled(GREEN, what), step.subject));
    };
    match taken {
        Taken::Met(Some(met)) => {
            done("Done:");
            for one in &met.outcome.previous {
                let until = one.retire_after.map_or_else(|| "its end".to_owned(), short);
                say(output, "kept", &format!("{} until {until}", one.key_id));
            }
            say_ended(output, &met.outcome.revoked);
        }
        Taken::Met(None) => {
            output.line(&format!("{}: somebody else has done it", step.subject));
        }
        Taken::Rotated(outcome) => {
            let key = outcome.key_id.as_deref().unwrap_or("none");
            output.line(&format!(
                "{} {} is at generation {}, {key}",
                styled(GREEN, "Done:"),
                step.subject,
                outcome.generation
            ));
            for one in &outcome.previous {
                let until = one.retire_after.map_or_else(|| "its end".to_owned(), short);
                say(output, "kept", &format!("{} until {until}", one.key_id));
            }
            say_ended(output, &outcome.revoked);
        }
        Taken::SwitchedOff => done("Switched off:"),
        Taken::Revoked(revoked) => {
            done("Switched off and ended:");
            say_ended(output, revoked);
        }
        Taken::Narrowed(scopes) => {
            done("Narrowed:");
            scopes.iter().for_each(|scope| say(output, "took", scope.as_str()));
        }
        Taken::Busy => {
            output.line(&format!("{}: somebody else is at work on it", step.subject));
        }
        Taken::Left if matches!(step.next, Next::Do(..)) => {
            output.line(&format!("{}: there is nothing to be done any more", step.subject));
        }
        Taken::Left | Taken::Unasked(_) => {}
        Taken::Stopped => {
            output.line(&format!("{}: this run was asked to stop; the next goes on", step.subject));
        }
        Taken::Not { problem, .. } => output.problem(problem),
    }
}

fn taken_json(taken: &Taken) -> Value {
    match taken {
        Taken::Met(met) => json!({
            "done": true,
            "did": met.as_ref().map_or_else(Vec::new, |met| {
                met.did.iter().map(|goal| will(*goal)).collect()
            }),
            "revoked": met.as_ref().map_or_else(|| json!([]), |met| ended_json(&met.outcome.revoked)),
        }),
        Taken::Rotated(outcome) => json!({
            "done": true,
            "generation": outcome.generation,
            "key_id": outcome.key_id,
            "previous": outcome.previous.iter().map(|one| json!({
                "key_id": one.key_id, "generation": one.generation,
                "retire_after": one.retire_after.map(|at| at.to_string()),
            })).collect::<Vec<_>>(),
            "revoked": ended_json(&outcome.revoked),
        }),
        Taken::SwitchedOff => json!({ "done": true }),
        Taken::Revoked(revoked) => json!({ "done": true, "revoked": ended_json(revoked) }),
        Taken::Narrowed(scopes) => {
            let scopes: Vec<&str> = scopes.iter().map(|scope| scope.as_str()).collect();
            json!({ "done": true, "taken": scopes })
        }
        Taken::Busy => json!({ "done": false, "busy": true }),
        Taken::Left => json!({ "done": false }),
        Taken::Stopped => json!({ "done": false, "stopped": true }),
        Taken::Unasked(problem) => json!({ "done": false, "problem": problem_json(problem) }),
        Taken::Not { problem, begun } => not_done_json(problem, *begun),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_else_does_is_no_failure_and_what_is_begun_is_unfinished() {
        let not = |begun| Taken::Not { problem: Problem::new("E-X", "No"), begun };
        assert_eq!(exit_of(&Taken::Met(None)), Exit::Clean);
        assert_eq!(exit_of(&Taken::Busy), Exit::Clean);
        assert_eq!(exit_of(&Taken::Left), Exit::Clean);
        assert_eq!(exit_of(&Taken::Unasked(Problem::new("E-X", "No"))), Exit::Partial);
        assert_eq!(exit_of(&not(true)), Exit::Unfinished);
        assert_eq!(exit_of(&not(false)), Exit::Failed);
        assert_eq!(taken_json(&Taken::Busy), json!({ "done": false, "busy": true }));
    }

    #[test]
    fn a_duty_is_told_to_programs_with_its_times_its_carrier_and_how_it_stands() {
        let at = |text: &str| text.parse().ok();
        let duty = Duty {
            task: policy::duty::Task::Retire,
            key_id: Some("k1".into()),
            generation: 1,
            not_before: at("2026-12-01T00:00:00Z"),
            due_by: at("2026-12-02T00:00:00Z"),
            carrier: policy::duty::Carrier::NextRun,
        };
        let told = duty_json(&duty, Standing::Overdue);
        assert_eq!(told["deed"], "retire");
        assert_eq!(told["key_id"], "k1");
        assert_eq!(told["due_by"], "2026-12-02T00:00:00Z");
        assert_eq!(
            (&told["standing"], &told["carried_by"]),
            (&json!("overdue"), &json!("next_run"))
        );
    }
}
