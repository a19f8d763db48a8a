//! `nhi decommission`: takes an integration out of service, step by step.

use clap::Args;
use operations::{
    Checklist, Context, Decommissioned, Problem, SeenIntegration, SlotSpec, Step, Wish,
    decommission, not_shown, observe_integration, slot_to_end, undeclared_slot,
};
use serde_json::{Value, json};

use super::{drift::declared, revoke::unheard_slots, rotate::none_of};
use crate::{
    ask::Asking,
    deed::{self, Deed, Part},
    exit::Exit,
    output::{BOLD, GREEN, Output, styled},
    told::{ended_json, problem_json, say, say_ended},
};

/// Take an integration out of service: take away its scopes, switch it off, end all its credentials.
///
/// What uses it stops working at once, and no apply brings it back.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  nhi decommission bao/openbao_approle/invoice-sync --dry-run
  nhi decommission bao/openbao_approle/invoice-sync
  terraform show -json | nhi decommission bao/openbao_approle/invoice-sync --state - --yes

It is narrowed to nothing, switched off, all its credentials are ended, those that nobody declared too,
with what was minted from them, that is shown, and its record says so. What a platform cannot do is told
beside its step. The object itself goes when its nhi_integration is removed and applied.

What is declared stays declared: the next plan says what to remove, and no apply gives anything back.

Exit codes: 0 done, or shown with --dry-run · 1 not done, and nothing was changed · 5 begun and not
finished: run it again, and it goes on")]
pub(crate) struct Decommission {
    /// The integration.
    #[arg(value_name = "INTEGRATION")]
    id: String,

    /// Declared is what this state says (`terraform show -json`, or a state file); `-` is standard
    /// input. Else the ledger says.
    #[arg(long, value_name = "FILE")]
    state: Option<String>,

    #[command(flatten)]
    pub(crate) asking: Asking,
}

struct Planned {
    wish: Wish,
    seen: SeenIntegration,
    slots: Vec<SlotSpec>,
}

struct Done {
    checklist: Checklist,
    problem: Option<Problem>,
    begun: bool,
}

impl Decommission {
    pub(crate) async fn run(self, config: Option<&str>, output: &Output) -> Result<Exit, Problem> {
        let context = self.asking.context_to_end(&wiring::load(config)?, output)?;
        let command = format!("decommission {}", self.id);
        let (mut wishes, from) = declared(&context, self.state.as_deref(), &command).await?;
        let progress = output.progress("looking");
        let Some(wish) = wishes.integrations.remove(&self.id) else {
            let known = wishes.integrations.into_keys().collect();
            let what = format!("{:?} is none of those that are declared in {from}:", self.id);
            return Err(none_of("No such integration is declared", &what, known, &self.id));
        };
        let id = wish.integration()?;
        let seen = observe_integration(&context, &id, None, wish.vendor_id.as_deref()).await?;
        let seen = seen.ok_or_else(|| not_shown(&id))?;
        seen.governed_here(&context, &id).await?;
        let mut slots = Vec::new();
        for slot in &wish.slots {
            slots.push(slot_to_end(&context, &wish, &slot.name).await?);
        }
        for slot in unheard_slots(&wish, &seen) {
            slots.push(undeclared_slot(&context, &slot, &seen.observed.vendor_id)?);
        }
        drop(progress);
        let deed = Deed {
            asking: &self.asking,
            form: "nhi-decommission/1",
            parts: "integrations",
            doing: "taking out of service",
            question: "Take it out of service? Nothing brings its credentials back.".to_owned(),
            stands: Exit::Clean,
        };
        deed.run(&context, &[Planned { wish, seen, slots }], output).await
    }
}

impl Planned {
    fn live(&self) -> Vec<&str> {
        let all = self.seen.observed.credentials.iter().flatten();
        all.filter(|one| one.live).map(|one| one.key_id.as_str()).collect()
    }

    fn begun(&self) -> Option<Decommissioned> {
        Decommissioned::of(self.seen.observed.record.as_ref())
    }
}

impl Part for Planned {
    type Done = Done;

    fn subject(&self) -> String {
        self.wish.id.clone()
    }

    fn tell(&self, output: &Output) {
        output.line(&styled(BOLD, &self.wish.id));
        match self.begun() {
            Some(Decommissioned::Partly) => {
                say(output, "now", "begun, and not finished: it goes on")
            }
            Some(Decommissioned::Wholly) => {
                say(output, "now", "out of service already: it is looked at again")
            }
            None => {}
        }
        for scope in &self.seen.observed.scopes {
            say(output, "take", scope.scope.as_str());
        }
        if self.seen.observed.enabled {
            say(output, "off", "it is switched off, where its platform can");
        }
        for key in self.live() {
            say(output, "end", key);
        }
        for slot in &self.slots {
            for one in &slot.deliveries {
                let place = one.place();
                say(output, "mark", &format!("{}: {place} says that nothing is current", one.name));
            }
        }
        say(
            output,
            "mind",
            "it stays declared: remove its resources from the configuration, and apply",
        );
    }

    async fn carry_out(&self, context: &Context) -> Done {
        let (mut checklist, live) = (Checklist::default(), &self.seen.observed);
        let done = match self.wish.integration() {
            Ok(id) => {
                let (vendor_id, name) = (&live.vendor_id, &live.name);
                decommission(context, &id, vendor_id, name, &self.slots, &mut checklist).await
            }
            Err(problem) => Err(problem),
        };
        // What nobody can look at any more may be begun.
        let begun = match (&done, self.wish.integration()) {
            (Err(_), Ok(id)) => {
                let seen = observe_integration(context, &id, None, Some(&live.vendor_id)).await;
                seen.ok()
                    .flatten()
                    .is_none_or(|seen| Decommissioned::of(seen.observed.record.as_ref()).is_some())
            }
            _ => false,
        };
        Done { checklist, problem: done.err(), begun }
    }

    fn json(&self, done: Option<&Done>) -> Value {
        let scopes = self.seen.observed.scopes.iter().map(|one| one.scope.as_str());
        let places =
            self.slots.iter().flat_map(|slot| slot.deliveries.iter().map(|one| one.place()));
        json!({
            "id": self.wish.id,
            "begun": self.begun() == Some(Decommissioned::Partly),
            "will": {
                "take": scopes.collect::<Vec<_>>(), "end": self.live(),
                "mark": places.collect::<Vec<_>>(),
            },
            "did": done.map(Done::json),
        })
    }
}

impl deed::Done<Planned> for Done {
    fn exit(&self) -> Exit {
        match (&self.problem, self.begun) {
            (None, _) => Exit::Clean,
            (Some(_), true) => Exit::Unfinished,
            (Some(_), false) => Exit::Failed,
        }
    }

    fn tell(&self, planned: &Planned, output: &Output) {
        for (name, step) in &self.checklist.steps {
            let mark = match step {
                Step::Done(_) | Step::Already(_) => "✓",
                Step::Cannot(_) => "–",
                Step::Open => " ",
            };
            say(output, &format!("{mark} {name}"), step.says());
        }
        say_ended(output, &self.checklist.revoked);
        match &self.problem {
            Some(problem) => output.problem(problem),
            None => {
                output.line(&format!("{} {}", styled(GREEN, "Out of service:"), planned.wish.id));
                output.hint(
                    "Next: remove its nhi_integration, nhi_scope and nhi_credential, and apply",
                );
            }
        }
    }
}

impl Done {
    fn json(&self) -> Value {
        let steps = self.checklist.steps.iter();
        let steps = steps
            .map(|(name, step)| json!({ "step": name, "is": step.word(), "says": step.says() }));
        json!({
            "done": self.problem.is_none(),
            "begun": self.begun,
            "steps": steps.collect::<Vec<_>>(),
            "revoked": ended_json(&self.checklist.revoked),
            "problem": self.problem.as_ref().map(problem_json),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deed::Done as _;

    #[test]
    fn what_is_taken_out_in_part_is_unfinished_and_each_step_is_told() {
        let done = |problem: Option<Problem>, begun| Done {
            checklist: Checklist::default(),
            problem,
            begun,
        };
        let problem = || Some(Problem::new("E-X", "No"));
        assert_eq!(done(None, false).exit(), Exit::Clean);
        assert_eq!(done(problem(), true).exit(), Exit::Unfinished);
        assert_eq!(done(problem(), false).exit(), Exit::Failed);
        let told = done(problem(), true).json();
        let steps: Vec<_> =
            told["steps"].as_array().unwrap().iter().map(|one| &one["is"]).collect();
        assert_eq!(steps, ["open"; 6], "{told}");
        assert_eq!(told["done"], false);
    }
}
