//! `nhi revoke`: ends credentials, now, and shows that they are ended.

use std::collections::BTreeSet;

use clap::Args;
use domain::{CredentialId, IntegrationId};
use futures::{StreamExt, stream};
use operations::{
    Context, Problem, Revoked, SeenIntegration, SeenSlot, SlotSpec, Wish, Wishes, carry_out,
    declared_slot, observe_integration, observe_slot, revoke_unmanaged, slot_to_end,
    undeclared_slot,
};
use policy::rotation::Goal;
use serde_json::{Value, json};

use super::{drift::declared, rotate::named};
use crate::{
    ask::Asking,
    deed::{self, Deed, Part},
    exit::Exit,
    group::{Group, MEMBERS},
    output::{BOLD, GREEN, Output, styled},
    told::{ended_json, not_done_json, say, say_ended, short},
};

/// End credentials at their platform, and show that they are ended.
///
/// What uses them stops working at once. Nothing brings an ended credential back.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  nhi revoke bao/openbao_approle/invoice-sync --dry-run
  nhi revoke bao/openbao_approle/invoice-sync/credential/default
  nhi revoke bao/openbao_approle/invoice-sync e36219c8-f401-2485-ffb2-c01877d5257f --yes
  nhi revoke --owner ana --dry-run
  nhi revoke --finding credential-unmanaged --dry-run

An integration: all credentials of its slots, and those that nobody declared.
A slot: all that it has.
A key beside its integration: that one alone, if it is an earlier one or nobody's.
The current one of a slot goes with its slot.

What is declared stays declared: the next apply issues another one, unless its
nhi_credential is removed or its integration has enabled = false. Never ended:
what bears another installation's mark, and what nhi itself signs in with.

Of a group, what cannot be looked at is named and keeps nothing else alive; several are ended at once.

Exit codes: 0 ended, or shown with --dry-run · 1 not done · 3 some of a group could not be looked at ·
5 begun and not finished: run it again")]
pub(crate) struct Revoke {
    /// An integration, or one of its slots: INTEGRATION/credential/NAME.
    #[arg(value_name = "ID", required_unless_present_any = MEMBERS, conflicts_with_all = MEMBERS)]
    id: Option<String>,

    /// One credential of the integration, by its id at the platform.
    #[arg(value_name = "KEY")]
    key: Option<String>,

    #[command(flatten)]
    group: Group,

    /// Declared is what this state says (`terraform show -json`, or a state file); `-` is standard
    /// input. Else the ledger says.
    #[arg(long, value_name = "FILE")]
    state: Option<String>,

    #[command(flatten)]
    pub(crate) asking: Asking,
}

/// How many integrations are looked at at once.
const AT_ONCE: usize = 8;

/// What one part of it is about to end.
enum Planned {
    /// All that a slot has.
    Slot { spec: Box<SlotSpec>, seen: Option<Box<SeenSlot>> },
    /// The earlier ones of a slot, before their time.
    Earlier { spec: Box<SlotSpec>, seen: Box<SeenSlot> },
    /// What nobody declared.
    Strays { id: IntegrationId, seen: Box<SeenIntegration>, keys: BTreeSet<String> },
}

/// What became of it.
enum Done {
    Ended(Vec<Revoked>),
    Not { problem: Problem, begun: bool },
}

impl Revoke {
    pub(crate) async fn run(self, config: Option<&str>, output: &Output) -> Result<Exit, Problem> {
        let context = self.asking.context_to_end(&wiring::load(config)?, output)?;
        let command = format!("revoke {}", self.id());
        let (wishes, from) = declared(&context, self.state.as_deref(), command.trim()).await?;
        let progress = output.progress("looking");
        if !self.group.is_none() {
            let (all, left) = self.of_group(&context, &wishes).await?;
            drop(progress);
            for (id, problem) in &left {
                output.warning(&format!("{id} is left as it is: {problem}"));
            }
            let stands = match (left.is_empty(), all.is_empty()) {
                (true, _) => Exit::Clean,
                (false, false) => Exit::Partial,
                (false, true) => Exit::Failed,
            };
            return self.end_all(&context, &all, stands, output).await;
        }
        let (integration, _) = self.id().split_once("/credential/").unwrap_or((self.id(), ""));
        let all = match wishes.integrations.get(integration) {
            Some(wish) if integration == self.id() => self.of_integration(&context, wish).await?,
            Some(wish) => {
                let mut all = Vec::new();
                for (_, name) in named(&wishes, self.id(), &from)? {
                    all.push(slot(&context, wish, &name).await?);
                }
                self.no_key_beside_a_slot()?;
                all
            }
            // What nobody declares is ended too, where it is there and named exactly.
            None => match undeclared_integration(&context, self.id()).await {
                Some(wish) => self.of_integration(&context, &wish).await?,
                None => {
                    return Err(named(&wishes, self.id(), &from)
                        .err()
                        .unwrap_or_else(|| nothing(self.id())));
                }
            },
        };
        drop(progress);
        self.end_all(&context, &all, Exit::Clean, output).await
    }

    async fn end_all(
        &self,
        context: &Context,
        all: &[Planned],
        stands: Exit,
        output: &Output,
    ) -> Result<Exit, Problem> {
        let question = match self.group.is_none() {
            true => "End all of this? Nothing brings it back.".to_owned(),
            false => {
                let of: BTreeSet<String> = all.iter().map(Planned::integration).collect();
                format!("End all of these {} integrations? Nothing brings it back.", of.len())
            }
        };
        let deed = Deed {
            asking: &self.asking,
            form: "nhi-revoke/1",
            parts: "parts",
            doing: "ending",
            question,
            stands,
        };
        if all.iter().all(Planned::is_empty) {
            output.hint("There is nothing to end.");
            return Ok(deed.nothing_done(all, output));
        }
        deed.run(context, all, output).await
    }

    /// What is to be ended of all that share something; and what could not be looked at, which keeps nothing
    /// else alive.
    async fn of_group(
        &self,
        context: &Context,
        wishes: &Wishes,
    ) -> Result<(Vec<Planned>, Vec<(String, Problem)>), Problem> {
        let meant = self.group.meant(context, wishes).await?;
        let looks = meant.all.iter().filter_map(|(id, names)| {
            let wish = wishes.integrations.get(id)?;
            Some(async move {
                let looked = async {
                    if names.is_empty() {
                        return self.of_integration(context, wish).await;
                    }
                    let mut all = Vec::new();
                    for name in names {
                        all.push(slot(context, wish, name).await?);
                    }
                    Ok(all)
                };
                looked.await.map_err(|problem| (id.clone(), problem))
            })
        });
        let (mut all, mut left) = (Vec::new(), meant.unread);
        let mut looked = stream::iter(looks.collect::<Vec<_>>()).buffered(AT_ONCE);
        while let Some(one) = looked.next().await {
            match one {
                Ok(found) => all.extend(found),
                Err(not) => left.push(not),
            }
        }
        Ok((all, left))
    }

    fn id(&self) -> &str {
        self.id.as_deref().unwrap_or_default()
    }

    fn no_key_beside_a_slot(&self) -> Result<(), Problem> {
        match &self.key {
            None => Ok(()),
            Some(key) => Err(Problem::new("E-REVOKE-KEY", "A key is named beside its integration")
                .detail(format!("{:?} is a slot, and {key:?} stands beside it.", self.id()))
                .next(format!(
                    "nhi revoke {} {key}",
                    self.id().split("/credential/").next().unwrap_or_default()
                ))),
        }
    }

    async fn of_integration(
        &self,
        context: &Context,
        wish: &Wish,
    ) -> Result<Vec<Planned>, Problem> {
        let id = wish.integration()?;
        let seen = observe_integration(context, &id, None, wish.vendor_id.as_deref()).await?;
        let Some(key) = &self.key else {
            let mut all = Vec::new();
            for declared in &wish.slots {
                all.push(slot(context, wish, &declared.name).await?);
            }
            if let Some(seen) = seen {
                seen.governed_here(context, &id).await?;
                // Of these custody knows, and whoever declared what this run was told did not.
                for slot in unheard_slots(wish, &seen) {
                    all.push(undeclared(context, &slot, &seen).await?);
                }
                let keys = seen.unmanaged.difference(&seen.own).cloned().collect();
                all.push(Planned::Strays { id, seen: Box::new(seen), keys });
            }
            return Ok(all);
        };
        let Some(seen) = seen else { return Err(nothing(self.id())) };
        seen.governed_here(context, &id).await?;
        if let Some(of) = seen.foreign.get(key) {
            return Err(Problem::new(
                "E-FOREIGN-REALM",
                "Another installation issued this credential",
            )
            .detail(format!("{id}: {key} carries the mark of installation {of:?}."))
            .next("end it from there, or by hand at its platform"));
        }
        if seen.unmanaged.contains(key) {
            let keys = BTreeSet::from([key.clone()]);
            return Ok(vec![Planned::Strays { id, seen: Box::new(seen), keys }]);
        }
        for declared in &wish.slots {
            let spec = slot_to_end(context, wish, &declared.name).await?;
            let Some(looked) = observe_slot(context, &spec).await? else { continue };
            if looked.key_id.as_ref() == Some(key) && looked.listed {
                return Err(Problem::new("E-REVOKE-CURRENT", "It is the current one of a slot")
                    .detail(format!(
                        "{key} is what {} delivers: it goes with all that the slot has. Nothing \
                         was changed.",
                        spec.id
                    ))
                    .next(format!(
                        "nhi revoke {0}; or, to have another one in its place first: nhi rotate {0} \
                         --exposed",
                        spec.id
                    )));
            }
            if looked.previous.iter().any(|one| one.key_id == *key) && looked.note.is_none() {
                // Its slot lives on, and what is kept of it is to be whole.
                let spec = declared_slot(context, wish, &declared.name).await?;
                let (spec, seen) = (Box::new(spec), Box::new(looked));
                return Ok(vec![Planned::Earlier { spec, seen }]);
            }
        }
        if let Some(slot) = seen.slots.get(key) {
            // Who gives a state and names the key means what that state does not declare.
            if self.state.is_some()
                && let Ok(slot) = slot.parse::<CredentialId>()
            {
                return Ok(vec![undeclared(context, &slot, &seen).await?]);
            }
            return Err(unheard(slot).detail(format!(
                "{key} is one of {slot}, and nothing that this run was told declares that. Nothing \
                 was changed."
            )));
        }
        let slots = seen.slots.iter().map(|(key, slot)| format!("{key}  # {slot}"));
        let known: Vec<String> =
            slots.chain(seen.unmanaged.iter().map(|key| seen.tell(key))).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join("\n  ") };
        Err(Problem::new("E-REVOKE-UNKNOWN", "No such credential is there to be ended")
            .detail(format!("{key:?} is none of those that live in {id}:\n  {known}"))
            .next("name one of these; what is under way in a slot goes with the slot"))
    }
}

/// The slots that have something live, and are not among those that are declared.
pub(super) fn unheard_slots(wish: &Wish, seen: &SeenIntegration) -> BTreeSet<CredentialId> {
    wish.undeclared(seen).map(|(_, slot)| slot).collect()
}

/// What is declared is known in part only: a ledger is younger than that, or another's.
pub(super) fn unheard(slot: &str) -> Problem {
    Problem::new("E-DRIFT-HALF", "Only a part of what is declared is known").next(format!(
        "give the state that declares {slot}: terraform show -json | nhi … --state -"
    ))
}

/// An integration that is there, and that nobody declares.
async fn undeclared_integration(context: &Context, id: &str) -> Option<Wish> {
    let named = id.parse::<IntegrationId>().ok()?;
    let seen = observe_integration(context, &named, None, None).await.ok().flatten()?;
    Some(Wish { id: id.to_owned(), vendor_id: Some(seen.observed.vendor_id), ..Wish::default() })
}

fn nothing(id: &str) -> Problem {
    Problem::new("E-GONE", "The integration is not there")
        .detail(format!("{id}: its platform does not show it, so nothing of it works."))
        .next("nhi drift")
}

async fn undeclared(
    context: &Context,
    slot: &CredentialId,
    seen: &SeenIntegration,
) -> Result<Planned, Problem> {
    let spec = Box::new(undeclared_slot(context, slot, &seen.observed.vendor_id)?);
    let seen = observe_slot(context, &spec).await?.map(Box::new);
    Ok(Planned::Slot { spec, seen })
}

async fn slot(context: &Context, wish: &Wish, name: &str) -> Result<Planned, Problem> {
    let spec = Box::new(slot_to_end(context, wish, name).await?);
    let seen = observe_slot(context, &spec).await?.map(Box::new);
    Ok(Planned::Slot { spec, seen })
}

impl Planned {
    fn integration(&self) -> String {
        match self {
            Planned::Slot { spec, .. } | Planned::Earlier { spec, .. } => {
                spec.id.integration.to_string()
            }
            Planned::Strays { id, .. } => id.to_string(),
        }
    }

    /// The credentials that end, each with what it is.
    fn keys(&self) -> Vec<(String, String)> {
        let earlier = |seen: &SeenSlot| {
            let one = |one: &operations::PreviousKey| {
                let until = one
                    .retire_after
                    .map_or_else(String::new, |at| format!(", kept until {}", short(at)));
                (
                    one.key_id.clone(),
                    format!("generation {}, an earlier one{until}", one.generation),
                )
            };
            seen.previous.iter().map(one).collect::<Vec<_>>()
        };
        match self {
            Planned::Slot { seen: None, .. } => Vec::new(),
            Planned::Slot { seen: Some(seen), .. } => {
                let current = seen.key_id.iter().filter(|_| seen.listed).map(|key| {
                    (key.clone(), format!("generation {}, the current one", seen.generation))
                });
                current.chain(earlier(seen)).collect()
            }
            Planned::Earlier { seen, .. } => earlier(seen),
            Planned::Strays { seen, keys, .. } => {
                let told = |key: &String| {
                    let all = seen.tell(key);
                    let rest = all.strip_prefix(key.as_str()).unwrap_or_default().trim().to_owned();
                    (key.clone(), format!("that nobody declared {rest}"))
                };
                keys.iter().map(told).collect()
            }
        }
    }

    /// Nothing lives and nothing says that something does.
    fn is_empty(&self) -> bool {
        let delivered = match self {
            Planned::Slot { seen: Some(seen), .. } => seen.secret_held || seen.note.is_some(),
            _ => false,
        };
        !delivered && self.keys().is_empty()
    }
}

impl Part for Planned {
    type Done = Done;

    fn subject(&self) -> String {
        match self {
            Planned::Slot { spec, .. } | Planned::Earlier { spec, .. } => spec.id.to_string(),
            Planned::Strays { id, .. } => id.to_string(),
        }
    }

    fn tell(&self, output: &Output) {
        if self.is_empty() {
            return;
        }
        output.line(&styled(BOLD, &self.subject()));
        for (key, what) in self.keys() {
            say(output, "end", &format!("{key}  # {what}"));
        }
        if let Planned::Slot { spec, seen } = self {
            if let Some(note) = seen.as_ref().and_then(|seen| seen.note.as_ref()) {
                say(output, "take over", note);
            }
            for one in &spec.deliveries {
                say(
                    output,
                    "mark",
                    &format!("{}: {} says that nothing is current", one.name, one.place()),
                );
            }
            let then = if spec.deliveries.is_empty() {
                "another has nowhere to go: remove its nhi_credential, or give it deliver_to"
            } else {
                "the next apply issues another, unless its nhi_credential is removed or its \
                 integration has enabled = false"
            };
            say(output, "mind", then);
        }
    }

    async fn carry_out(&self, context: &Context) -> Done {
        let done = match self {
            Planned::Slot { spec, .. } => {
                carry_out(context, spec, Goal::Revoke, "revoked").await.map(|one| one.revoked)
            }
            Planned::Earlier { spec, seen } => {
                let goal = Goal::Rotate { to: seen.generation, at_once: true };
                carry_out(context, spec, goal, "revoked").await.map(|one| one.revoked)
            }
            Planned::Strays { id, seen, keys } => {
                let (vendor_id, name) = (&seen.observed.vendor_id, &seen.observed.name);
                revoke_unmanaged(context, id, vendor_id, name, keys).await
            }
        };
        match done {
            Ok(revoked) => Done::Ended(revoked),
            Err(problem) => {
                let begun = match self {
                    Planned::Slot { spec, .. } | Planned::Earlier { spec, .. } => {
                        let seen = observe_slot(context, spec).await;
                        seen.ok().flatten().is_none_or(|seen| seen.note.is_some())
                    }
                    Planned::Strays { .. } => false,
                };
                Done::Not { problem, begun }
            }
        }
    }

    fn json(&self, done: Option<&Done>) -> Value {
        let keys = self.keys();
        let keys = keys.iter().map(|(key, what)| json!({ "key_id": key, "what": what }));
        let places = match self {
            Planned::Slot { spec, .. } => spec.deliveries.iter().map(|one| one.place()).collect(),
            _ => Vec::new(),
        };
        json!({
            "id": self.subject(),
            "will": { "end": keys.collect::<Vec<_>>(), "mark": places },
            "did": done.map(Done::json),
        })
    }
}

impl deed::Done<Planned> for Done {
    fn exit(&self) -> Exit {
        match self {
            Done::Ended(_) => Exit::Clean,
            Done::Not { begun, .. } => deed::not_done(*begun),
        }
    }

    fn tell(&self, planned: &Planned, output: &Output) {
        match self {
            Done::Not { problem, .. } => output.problem(problem),
            Done::Ended(revoked) if revoked.is_empty() && planned.is_empty() => {}
            Done::Ended(revoked) => {
                output.line(&format!("{} {}", styled(GREEN, "Revoked:"), planned.subject()));
                say_ended(output, revoked);
            }
        }
    }
}

impl Done {
    fn json(&self) -> Value {
        match self {
            Done::Ended(revoked) => json!({ "done": true, "revoked": ended_json(revoked) }),
            Done::Not { problem, begun } => not_done_json(problem, *begun),
        }
    }
}
