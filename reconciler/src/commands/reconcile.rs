//! `nhi reconcile --due`: does what is owed now, so that nobody need apply for it.

use std::{collections::BTreeSet, sync::Arc};

use clap::Args;
use operations::{
    Context, DueNow, Met, Problem, SeenSlot, SlotSpec, Wish, Wishes, catch_up, declared_slot,
    due_now, meet, observe_integration, observe_slot,
};
use policy::{
    duty::{Duty, Standing},
    findings::Severity,
    rotation::Goal,
};
use serde_json::{Value, json};
use tokio::{sync::Semaphore, task::JoinSet};

use super::{drift::declared, rotate::named};
use crate::{
    ask::Asking,
    deed::{self, Deed, Part},
    exit::Exit,
    output::{BOLD, Format, GREEN, Output, styled},
    told::{ended_json, not_done_json, say, say_ended, short},
};

/// Do what is owed now on every declared credential, and start no rotation.
///
/// Earlier credentials whose time is over are switched off or ended, ends are proven, and what a run
/// began before it died is finished: what the next apply would do about them.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  nhi reconcile --due --dry-run
  nhi reconcile --due --yes                              from cron, beside its ledger
  nhi reconcile --due bao/openbao_approle/invoice-sync --yes
  terraform show -json | nhi reconcile --due --state - --yes --format json

What somebody else is at work on is left to them. What waits for a person is told, and is for nhi
recover; nothing that was switched off is switched on.

Exit codes: 0 nothing is owed any more, or it is shown with --dry-run · 1 not done · 3 something
could not be read · 5 something is held or overdue, or was begun and not finished; of several the
first of 1, 5, 3")]
pub(crate) struct Reconcile {
    /// Integrations, or credentials of them: INTEGRATION/credential/NAME. Else all that are declared.
    #[arg(value_name = "ID")]
    ids: Vec<String>,

    /// What is owed now.
    #[arg(long, required = true)]
    due: bool,

    /// Declared is what this state says (`terraform show -json`, or a state file); `-` is standard
    /// input. Else the ledger says.
    #[arg(long, value_name = "FILE")]
    state: Option<String>,

    #[command(flatten)]
    pub(crate) asking: Asking,
}

/// How many integrations are looked at at once.
const AT_ONCE: usize = 16;

/// A slot that was looked at.
struct Planned {
    spec: SlotSpec,
    seen: SeenSlot,
    active: bool,
    now: DueNow,
}

/// What became of it.
enum Done {
    Met(Option<Box<Met>>),
    /// Somebody else does it.
    Busy,
    /// It is told why, and nothing was to be done.
    Left,
    Not {
        problem: Problem,
        begun: bool,
    },
}

/// What the looks came to.
#[derive(Default)]
struct Looked {
    slots: Vec<Planned>,
    unread: Vec<(String, Problem)>,
}

impl Reconcile {
    pub(crate) async fn run(self, config: Option<&str>, output: &Output) -> Result<Exit, Problem> {
        let context = self.asking.context_to_end(&wiring::load(config)?, output)?;
        let (wishes, from) = declared(&context, self.state.as_deref(), "reconcile --due").await?;
        let progress = output.progress("looking");
        let chosen = self.chosen(&wishes, &from)?;
        let mut looked = look(&context, wishes, &chosen).await;
        drop(progress);
        looked.slots.sort_by_key(|one| one.spec.id.to_string());
        looked.unread.sort_by(|(a, _), (b, _)| a.cmp(b));
        for (id, problem) in &looked.unread {
            output.warning(&format!("{id} could not be looked at: {problem}"));
        }
        let mut stands = looked.slots.iter().map(Planned::stands).fold(Exit::Clean, Exit::worst);
        if !looked.unread.is_empty() {
            let none = looked.slots.is_empty();
            stands = stands.worst(if none { Exit::Failed } else { Exit::Partial });
        }
        let next = looked.slots.iter().filter_map(Planned::next).min();
        let does = looked.slots.iter().any(|one| matches!(one.now, DueNow::Do(..)));
        looked.slots.retain(|one| one.now != DueNow::Nothing);
        let deed = Deed {
            asking: &self.asking,
            form: "nhi-reconcile/1",
            parts: "slots",
            doing: "meeting what is owed on",
            question: "Do this?".to_owned(),
            stands,
        };
        if does {
            return deed.run(&context, &looked.slots, output).await;
        }
        if self.asking.format == Format::Text {
            looked.slots.iter().for_each(|one| one.tell(output));
            output.hint("Nothing is to be done now.");
            if let Some((at, what)) = next {
                output.hint(&format!("Next: {what}, at {at}"));
            }
        }
        Ok(deed.nothing_done(&looked.slots, output))
    }

    /// The slots that are meant, by integration and name.
    fn chosen(&self, wishes: &Wishes, from: &str) -> Result<BTreeSet<(String, String)>, Problem> {
        let mut all = BTreeSet::new();
        for id in &self.ids {
            all.extend(named(wishes, id, from)?);
        }
        if self.ids.is_empty() {
            let slots = wishes.integrations.iter().flat_map(|(id, wish)| {
                wish.slots.iter().map(|slot| (id.clone(), slot.name.clone()))
            });
            all.extend(slots);
        }
        Ok(all)
    }
}

/// Looks at all of them, several integrations at once.
async fn look(context: &Context, wishes: Wishes, chosen: &BTreeSet<(String, String)>) -> Looked {
    let gate = Arc::new(Semaphore::new(AT_ONCE));
    let mut running: JoinSet<Looked> = JoinSet::new();
    for (id, wish) in wishes.integrations {
        let of_it = chosen.iter().filter(|(integration, _)| *integration == id);
        let names: Vec<String> = of_it.map(|(_, name)| name.clone()).collect();
        if names.is_empty() {
            continue;
        }
        let (context, gate) = (context.clone(), gate.clone());
        running.spawn(async move {
            let _turn = gate.acquire().await;
            look_at(&context, &wish, &names).await
        });
    }
    let mut all = Looked::default();
    while let Some(ended) = running.join_next().await {
        if let Ok(one) = ended {
            all.slots.extend(one.slots);
            all.unread.extend(one.unread);
        }
    }
    all
}

async fn look_at(context: &Context, wish: &Wish, names: &[String]) -> Looked {
    let mut looked = Looked::default();
    let active = match is_active(context, wish).await {
        Ok(Some(active)) => active,
        // What is gone owes nothing here; nhi drift says so.
        Ok(None) => return looked,
        Err(problem) => {
            looked.unread.push((wish.id.clone(), problem));
            return looked;
        }
    };
    for name in names {
        match plan(context, wish, name, active).await {
            Ok(found) => looked.slots.extend(found),
            Err(problem) => {
                looked.unread.push((format!("{}/credential/{name}", wish.id), problem));
            }
        }
    }
    looked
}

/// Whether an integration may act, as a plan has it; `None` where it is not there.
async fn is_active(context: &Context, wish: &Wish) -> Result<Option<bool>, Problem> {
    let id = wish.integration()?;
    let Some(seen) = observe_integration(context, &id, None, wish.vendor_id.as_deref()).await?
    else {
        return Ok(None);
    };
    seen.governed_here(context, &id).await?;
    let live = &seen.observed;
    let quarantined = live.record.as_ref().is_some_and(|record| record.quarantined.is_some());
    Ok(Some(wish.enabled.unwrap_or(live.enabled) && !quarantined))
}

async fn plan(
    context: &Context,
    wish: &Wish,
    name: &str,
    active: bool,
) -> Result<Option<Planned>, Problem> {
    let spec = declared_slot(context, wish, name).await?;
    let Some(seen) = observe_slot(context, &spec).await? else { return Ok(None) };
    // What is only shown is written nowhere, as the context knows.
    catch_up(context, &spec, &seen).await;
    let now = due_now(context, &spec, &seen, active).await?;
    Ok(Some(Planned { spec, seen, active, now }))
}

impl Planned {
    /// What holds of it whatever this run does.
    fn stands(&self) -> Exit {
        let used_for_long = self.seen.in_use.iter().any(|(.., how)| *how >= Severity::High);
        match &self.now {
            DueNow::Held(_) => Exit::Unfinished,
            DueNow::PutOff(_) if self.seen.in_use.is_empty() || used_for_long => Exit::Unfinished,
            _ => Exit::Clean,
        }
    }

    /// When the next duty's time comes, and which that is.
    fn next(&self) -> Option<(String, String)> {
        let duty = self.seen.owed.next()?;
        Some((short(duty.not_before?), format!("{duty} of {}", self.spec.id)))
    }
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

fn duty_json(duty: &Duty, standing: Standing) -> Value {
    json!({
        "deed": duty.task.as_str(), "key_id": duty.key_id, "generation": duty.generation,
        "not_before": duty.not_before.map(|at| at.to_string()),
        "due_by": duty.due_by.map(|at| at.to_string()),
        "standing": words(standing), "carried_by": duty.carrier.as_str(),
    })
}

impl Part for Planned {
    type Done = Done;

    fn subject(&self) -> String {
        self.spec.id.to_string()
    }

    fn tell(&self, output: &Output) {
        output.line(&styled(BOLD, &self.subject()));
        let late =
            |standing: Standing| if standing == Standing::Overdue { ", overdue" } else { "" };
        for (duty, standing) in self.seen.owed.0.iter().filter(|(_, one)| *one != Standing::Early) {
            let since =
                duty.not_before.map_or_else(String::new, |at| format!(" since {}", short(at)));
            say(output, "owed", &format!("{duty}{since}{}", late(*standing)));
        }
        match &self.now {
            DueNow::Nothing => {}
            DueNow::Busy(who) => say(output, "left", who),
            DueNow::Held(why) => {
                say(output, "held", why);
                say(output, "next", &format!("nhi recover {}", self.spec.id));
            }
            DueNow::PutOff(why) => say(output, "put off", why),
            DueNow::Do(goal, _) => say(output, "do", will(*goal)),
        }
    }

    async fn carry_out(&self, context: &Context) -> Done {
        if !matches!(self.now, DueNow::Do(..)) {
            return Done::Left;
        }
        match meet(context, &self.spec, self.active).await {
            Ok(met) => Done::Met(met.map(Box::new)),
            Err(problem) if problem.code == "E-BUSY" => Done::Busy,
            // Somebody rotated it meanwhile, and did this with it.
            Err(problem) if problem.code == "E-FURTHER" => Done::Met(None),
            Err(problem) => {
                let seen = observe_slot(context, &self.spec).await.ok().flatten();
                let begun = seen.is_none_or(|seen| {
                    seen.note.is_some() || seen.still_used || seen.owed.due().next().is_some()
                });
                Done::Not { problem, begun }
            }
        }
    }

    fn json(&self, done: Option<&Done>) -> Value {
        let owed = self.seen.owed.0.iter().map(|(duty, standing)| duty_json(duty, *standing));
        let (word, why) = match &self.now {
            DueNow::Nothing => ("nothing", None),
            DueNow::Busy(who) => ("busy", Some(who.clone())),
            DueNow::Held(why) => ("held", Some(why.clone())),
            DueNow::PutOff(why) => ("put_off", Some((*why).to_owned())),
            DueNow::Do(goal, _) => ("do", Some(will(*goal).to_owned())),
        };
        json!({
            "id": self.subject(),
            "status": self.seen.status,
            "owed": owed.collect::<Vec<_>>(),
            "will": { "word": word, "why": why },
            "did": done.map(Done::json),
        })
    }
}

impl deed::Done<Planned> for Done {
    fn exit(&self) -> Exit {
        match self {
            Done::Met(_) | Done::Busy | Done::Left => Exit::Clean,
            Done::Not { begun, .. } => deed::not_done(*begun),
        }
    }

    fn tell(&self, planned: &Planned, output: &Output) {
        match self {
            Done::Met(Some(met)) => {
                output.line(&format!("{} {}", styled(GREEN, "Done:"), planned.spec.id));
                for one in &met.outcome.previous {
                    let until = one.retire_after.map_or_else(|| "its end".to_owned(), short);
                    say(output, "kept", &format!("{} until {until}", one.key_id));
                }
                say_ended(output, &met.outcome.revoked);
            }
            Done::Met(None) => {
                output.line(&format!("{}: somebody else has done it", planned.spec.id));
            }
            Done::Busy => {
                output.line(&format!("{}: somebody else is at work on it", planned.spec.id))
            }
            Done::Left => {}
            Done::Not { problem, .. } => output.problem(problem),
        }
    }
}

impl Done {
    fn json(&self) -> Value {
        match self {
            Done::Met(met) => json!({
                "done": true,
                "did": met.as_ref().map_or_else(Vec::new, |met| {
                    met.did.iter().map(|goal| will(*goal)).collect()
                }),
                "revoked": met.as_ref().map_or_else(|| json!([]), |met| ended_json(&met.outcome.revoked)),
            }),
            Done::Busy => json!({ "done": false, "busy": true }),
            Done::Left => json!({ "done": false }),
            Done::Not { problem, begun } => not_done_json(problem, *begun),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deed::Done as _;

    #[test]
    fn what_somebody_else_does_is_no_failure_and_what_is_begun_is_unfinished() {
        let not = |begun| Done::Not { problem: Problem::new("E-X", "No"), begun };
        assert_eq!(Done::Met(None).exit(), Exit::Clean);
        assert_eq!(Done::Busy.exit(), Exit::Clean);
        assert_eq!(Done::Left.exit(), Exit::Clean);
        assert_eq!(not(true).exit(), Exit::Unfinished);
        assert_eq!(not(false).exit(), Exit::Failed);
        assert_eq!(Done::Busy.json(), json!({ "done": false, "busy": true }));
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
