//! `nhi rotate`: another generation of a credential, now.

use std::collections::BTreeSet;

use clap::Args;
use domain::IntegrationId;
use futures::{StreamExt, stream};
use operations::{
    Another, Context, Outcome, Problem, SeenSlot, SlotSpec, Wish, Wishes, another, carry_out,
    declared_slot, may_have_more, not_shown, observe_integration, observe_slot,
};
use policy::rotation::Goal;
use serde_json::{Value, json};

use super::{
    drift::declared,
    revoke::{unheard, unheard_slots},
};
use crate::{
    ask::Asking,
    deed::{self, Deed, Part},
    exit::Exit,
    group::{Group, MEMBERS},
    output::{BOLD, GREEN, Output, styled},
    told::{ended_json, not_done_json, say, say_ended, short},
};

/// Issue another generation of a credential, deliver it, and keep the old one for its overlap.
///
/// It is the rotation that an apply makes, and the next plan finds it done.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  nhi rotate bao/openbao_approle/invoice-sync --dry-run
  nhi rotate bao/openbao_approle/invoice-sync
  nhi rotate bao/openbao_approle/invoice-sync/credential/reports --yes --format json
  nhi rotate --owner ana --exposed --dry-run
  nhi rotate --finding overdue --yes
  terraform show -json | nhi rotate bao/openbao_approle/invoice-sync --state - --yes

What is under way is finished, and is the one that was asked for; what waits for a person is for nhi
recover. Windows of the schedule do not hold it back; its blackouts do, unless the credential is
exposed, or it is an emergency.

Of a group, what cannot rotate is named and left as it is, and the others rotate, several at once.

Exit codes: 0 done, or shown with --dry-run · 1 not done, and nothing was changed · 3 some of a group
were left · 5 begun and not finished: the next run, or the next apply, goes on from there")]
pub(crate) struct Rotate {
    /// Integrations, for all their credentials, or single ones: INTEGRATION/credential/NAME.
    #[arg(value_name = "ID", required_unless_present_any = MEMBERS)]
    ids: Vec<String>,

    #[command(flatten)]
    group: Group,

    /// It is exposed: the old one ends as soon as the new one is delivered, with all that was
    /// minted from it.
    #[arg(long)]
    exposed: bool,

    /// It must go now: the old one ends as with --exposed, and nobody says that its secret is in wrong
    /// hands.
    #[arg(long, conflicts_with = "exposed")]
    emergency: bool,

    /// It is a drill: the same rotation, and the ledger says that it was made to show that it works.
    #[arg(long, conflicts_with_all = ["exposed", "emergency"])]
    drill: bool,

    /// Custody that delivered documents name is lost, and no run uses it any more: what nhi.hcl names
    /// now takes its place.
    #[arg(long)]
    custody_is_lost: bool,

    /// Declared is what this state says (`terraform show -json`, or a state file); `-` is standard
    /// input. Else the ledger says.
    #[arg(long, value_name = "FILE")]
    state: Option<String>,

    #[command(flatten)]
    pub(crate) asking: Asking,
}

/// How many are looked at at once.
const AT_ONCE: usize = 8;

/// What one rotation is about to do.
struct Planned {
    spec: SlotSpec,
    seen: SeenSlot,
    reason: &'static str,
    to: Another,
}

/// What became of one.
enum Done {
    Rotated(Box<Outcome>),
    Not { problem: Problem, begun: bool },
}

impl Rotate {
    pub(crate) async fn run(self, config: Option<&str>, output: &Output) -> Result<Exit, Problem> {
        let mut context = self.asking.context(&wiring::load(config)?)?;
        if let Some(custody) = context.custody.as_mut().filter(|_| self.custody_is_lost) {
            custody.other_is_lost = true;
        }
        let command = format!("rotate {}", self.ids.join(" "));
        let (wishes, from) = declared(&context, self.state.as_deref(), command.trim()).await?;
        let progress = output.progress("looking");
        let (mut all, mut left, mut slots) = (Vec::new(), Vec::new(), BTreeSet::new());
        for id in &self.ids {
            slots.extend(named(&wishes, id, &from)?);
            if let Some(wish) = wishes.integrations.get(id) {
                all_are_declared(&context, wish).await?;
            }
        }
        for (id, name) in &slots {
            all.push(self.plan(&context, &wishes, id, name).await?);
        }
        if !self.group.is_none() {
            let meant = self.group.meant(&context, &wishes).await?;
            left.extend(meant.unread);
            let pairs = meant.all.iter().flat_map(|(id, names)| {
                let of = wishes.integrations.get(id).map_or(&[][..], |wish| &wish.slots);
                let of = of.iter().filter(|slot| names.is_empty() || names.contains(&slot.name));
                of.map(|slot| (id.clone(), slot.name.clone())).collect::<Vec<_>>()
            });
            let pairs = pairs.filter(|pair| !slots.contains(pair)).map(|(id, name)| {
                let (context, wishes, command) = (&context, &wishes, &self);
                async move {
                    let planned = command.plan(context, wishes, &id, &name).await;
                    planned.map_err(|problem| (format!("{id}/credential/{name}"), problem))
                }
            });
            // One of many that cannot rotate keeps no other from it.
            let mut planned = stream::iter(pairs.collect::<Vec<_>>()).buffered(AT_ONCE);
            while let Some(one) = planned.next().await {
                match one {
                    Ok(one) => all.push(one),
                    Err(not) => left.push(not),
                }
            }
        }
        drop(progress);
        for (id, problem) in &left {
            output.warning(&format!("{id} is left as it is: {problem}"));
        }
        if all.is_empty() {
            return match left.into_iter().next() {
                Some((_, problem)) => Err(problem),
                None => Err(Problem::new("E-UNDECLARED", "No such credential is declared")
                    .detail("What is meant has no credential that is declared.")
                    .next("nhi drift lists what is declared, and what is found of it")),
            };
        }
        let question = match &all[..] {
            [_] => "Rotate it?".to_owned(),
            more => format!("Rotate all {}?", more.len()),
        };
        let deed = Deed {
            asking: &self.asking,
            form: "nhi-rotate/1",
            parts: "credentials",
            doing: "rotating",
            question,
            stands: if left.is_empty() { Exit::Clean } else { Exit::Partial },
        };
        deed.run(&context, &all, output).await
    }

    /// Why, in the word that claims and entries have.
    fn reason(&self) -> &'static str {
        match (self.exposed, self.emergency, self.drill) {
            (true, ..) => "exposed",
            (_, true, _) => "emergency",
            (.., true) => "drill",
            _ => "asked",
        }
    }

    async fn plan(
        &self,
        context: &Context,
        wishes: &Wishes,
        id: &str,
        name: &str,
    ) -> Result<Planned, Problem> {
        let wish = &wishes.integrations[id];
        let spec = declared_slot(context, wish, name).await?;
        may_have_more(context, &spec).await?;
        let seen =
            observe_slot(context, &spec).await?.ok_or_else(|| not_shown(&spec.id.integration))?;
        let to = another(context, &spec, &seen, self.reason()).await?;
        Ok(Planned { reason: self.reason(), to, seen, spec })
    }
}

/// The slots that an id means: all of an integration, or the one.
pub(super) fn named(
    wishes: &Wishes,
    id: &str,
    from: &str,
) -> Result<Vec<(String, String)>, Problem> {
    let (integration, slot) = match id.split_once("/credential/") {
        Some((integration, slot)) => (integration, Some(slot)),
        None => (id, None),
    };
    let declared = wishes.integrations.get(integration).map_or(&[][..], |wish| &wish.slots);
    let names = declared.iter().map(|one| one.name.as_str());
    let chosen: Vec<(String, String)> = names
        .filter(|name| slot.is_none_or(|slot| slot == *name))
        .map(|name| (integration.to_owned(), name.to_owned()))
        .collect();
    if !chosen.is_empty() {
        return Ok(chosen);
    }
    Err(unknown(wishes, integration, id, from))
}

/// How many ids are listed where one is not known.
const LISTED: usize = 12;

/// An id that nothing declares: which there are, those that were likely meant first, and what to do.
fn unknown(wishes: &Wishes, integration: &str, id: &str, from: &str) -> Problem {
    let slots_of = |id: &str, wish: &Wish| {
        let all = wish.slots.iter().map(|slot| format!("{id}/credential/{}", slot.name));
        all.collect::<Vec<_>>()
    };
    let (what, known): (_, Vec<String>) = match wishes.integrations.get(integration) {
        Some(wish) if wish.slots.is_empty() => {
            return Problem::new("E-UNDECLARED", "No such credential is declared")
                .detail(format!("In {from} {integration} is declared, and no credential of it."))
                .next(format!(
                    "declare an nhi_credential of it, and apply; where another state has one, name \
                     that state with --state. What nobody declared there: nhi revoke {integration}"
                ));
        }
        Some(wish) => (
            format!("{id:?} is none of those that are declared there in {from}:"),
            slots_of(integration, wish),
        ),
        None => {
            let all = wishes.integrations.iter();
            let all = all.flat_map(|(id, wish)| slots_of(id, wish)).collect();
            (format!("{id:?} is none of those that are declared in {from}:"), all)
        }
    };
    none_of("No such credential is declared", &what, known, integration)
}

/// An id that is none of those that are known: which there are, how one looks where it is none at all, and
/// what to do. `integration`: what was asked for, as far as that is one.
pub(super) fn none_of(
    title: &'static str,
    what: &str,
    known: Vec<String>,
    integration: &str,
) -> Problem {
    let more = match known.len().saturating_sub(LISTED) {
        0 => String::new(),
        more => format!("\n  and {more} more"),
    };
    let known = match known.is_empty() {
        true => "none".to_owned(),
        false => known.into_iter().take(LISTED).collect::<Vec<_>>().join("\n  "),
    };
    let (form, scan) = match integration.parse::<IntegrationId>() {
        Ok(id) => (String::new(), format!("nhi scan {}", id.connection)),
        Err(_) => (
            "\nAn id is <connection>/<kind>/<vendor key>, with /credential/<name> behind it for one \
             credential."
                .to_owned(),
            "nhi scan".to_owned(),
        ),
    };
    Problem::new("E-UNDECLARED", title)
        .detail(format!("{what}\n  {known}{more}{form}"))
        .next(format!(
            "name one that is declared, or with --state the state that declares it. What is there at \
             all: {scan}; what nobody declares is ended by nhi revoke INTEGRATION, or imported first"
        ))
}

/// An integration means all of its slots, those too that whoever declares this never heard of.
async fn all_are_declared(context: &Context, wish: &Wish) -> Result<(), Problem> {
    let id = wish.integration()?;
    let seen = observe_integration(context, &id, None, wish.vendor_id.as_deref()).await?;
    let more = seen.and_then(|seen| unheard_slots(wish, &seen).into_iter().next());
    match more.map(|slot| slot.to_string()) {
        None => Ok(()),
        Some(slot) => Err(unheard(&slot).detail(format!(
            "{slot} has a credential that works, and nothing that this run was told declares it, as \
             where another ledger has it. Nothing was changed."
        ))),
    }
}

impl Planned {
    fn generation(&self) -> u64 {
        match self.to.goal {
            Goal::Rotate { to, .. } | Goal::Retire { at: to } | Goal::Cut { at: to, .. } => to,
            Goal::Reenable | Goal::Revoke => 0,
        }
    }

    /// What is under way is finished.
    fn resumes(&self) -> bool {
        self.seen.note.is_some()
    }
}

impl Part for Planned {
    type Done = Done;

    fn subject(&self) -> String {
        self.spec.id.to_string()
    }

    async fn carry_out(&self, context: &Context) -> Done {
        match carry_out(context, &self.spec, self.to.goal, self.reason).await {
            Ok(outcome) => Done::Rotated(Box::new(outcome)),
            Err(problem) => {
                let seen = observe_slot(context, &self.spec).await.ok().flatten();
                let begun = seen.is_none_or(|seen| {
                    seen.note.is_some() || seen.generation > self.seen.generation
                });
                Done::Not { problem, begun }
            }
        }
    }

    fn tell(&self, output: &Output) {
        let seen = &self.seen;
        output.line(&styled(BOLD, &self.spec.id.to_string()));
        let say = |what: &str, text: &str| say(output, what, text);
        let issued =
            seen.issued_at.map_or_else(String::new, |at| format!(", issued {}", short(at)));
        match &seen.key_id {
            Some(key) => say(
                "now",
                &format!("generation {}, {key}{issued}; {}", seen.generation, seen.status),
            ),
            None => say("now", "no credential"),
        }
        if let Some(note) = &seen.note {
            say("under way", note);
        }
        let verb = if self.resumes() { "finish" } else { "issue" };
        say(verb, &format!("generation {}: {}", self.generation(), self.to.way));
        for one in &self.spec.deliveries {
            let when =
                if self.to.replaces { "at once, and tried there" } else { "once it was tried" };
            say("deliver", &format!("{}: {}, {when}", one.name, one.place()));
        }
        for one in &seen.previous {
            let until = one.retire_after.map_or_else(|| "its end".to_owned(), short);
            let what = format!("generation {}, {}", one.generation, one.key_id);
            match self.to.goal {
                Goal::Rotate { at_once: true, .. } => say("end", &format!("{what}, with it")),
                _ => say("earlier", &format!("{what}, kept until {until}")),
            }
        }
        if let Some(key) = &seen.key_id {
            match self.to.kept_for {
                Some(overlap) => say(
                    "keep",
                    &format!(
                        "{key} works for {overlap} more; the next apply after that ends it{}",
                        self.to.alone.map_or_else(String::new, |after| format!(
                            ", or its platform by itself {after} later"
                        ))
                    ),
                ),
                None => {
                    let when = if self.to.replaces { "made" } else { "delivered" };
                    let grade = self.to.grade;
                    say(
                        "end",
                        &format!(
                            "{key} once the new one is {when}, with proof to grade {grade} at best"
                        ),
                    );
                }
            }
        }
        self.to.limits.iter().for_each(|limit| say("mind", limit));
    }

    fn json(&self, done: Option<&Done>) -> Value {
        let seen = &self.seen;
        let to = self.spec.deliveries.iter();
        json!({
            "id": self.spec.id.to_string(),
            "now": {
                "generation": seen.generation, "key_id": seen.key_id, "status": seen.status,
                "under_way": seen.note,
            },
            "will": {
                "generation": self.generation(),
                "resumes": self.resumes(),
                "how": self.to.way,
                "limits": self.to.limits,
                "overlap": self.to.kept_for.map(|overlap| overlap.to_string()),
                "deliver_to": to.map(|one| (one.name.clone(), json!(one.place()))).collect::<serde_json::Map<_, _>>(),
                "grade_at_best": self.to.grade,
            },
            "did": done.map(Done::json),
        })
    }
}

impl deed::Done<Planned> for Done {
    fn exit(&self) -> Exit {
        match self {
            Done::Rotated(_) => Exit::Clean,
            Done::Not { begun, .. } => deed::not_done(*begun),
        }
    }

    fn tell(&self, planned: &Planned, output: &Output) {
        let outcome = match self {
            Done::Rotated(outcome) => outcome,
            Done::Not { problem, .. } => {
                output.problem(problem);
                return;
            }
        };
        let key = outcome.key_id.as_deref().unwrap_or("unknown");
        output.line(&format!(
            "{} {} is at generation {}, {key}",
            styled(GREEN, "Rotated:"),
            planned.spec.id,
            outcome.generation
        ));
        let say = |what: &str, text: &str| say(output, what, text);
        if let Some(who) = &outcome.done_by {
            say("by", &format!("{who}, which was faster"));
        }
        for (name, one) in &outcome.deliveries {
            let version =
                one.version.map_or_else(String::new, |number| format!(", version {number}"));
            say("delivered", &format!("{name}{version}"));
        }
        for one in &outcome.previous {
            let until = one.retire_after.map_or_else(|| "the next apply".to_owned(), short);
            let alone = one.ends.map(short).map(|at| format!(", and by itself it ends at {at}"));
            say(
                "kept",
                &format!(
                    "{} until {until}; the next apply after that ends it{}",
                    one.key_id,
                    alone.unwrap_or_default()
                ),
            );
        }
        say_ended(output, &outcome.revoked);
    }
}

impl Done {
    fn json(&self) -> Value {
        match self {
            Done::Not { problem, begun } => not_done_json(problem, *begun),
            Done::Rotated(outcome) => json!({
                "done": true,
                "generation": outcome.generation,
                "key_id": outcome.key_id,
                "by": outcome.done_by,
                "deliver_to": outcome.deliveries.iter().map(|(name, one)| {
                    (name.clone(), json!({ "version": one.version, "status": one.status }))
                }).collect::<serde_json::Map<_, _>>(),
                "previous": outcome.previous.iter().map(|one| json!({
                    "key_id": one.key_id, "generation": one.generation,
                    "retire_after": one.retire_after.map(|at| at.to_string()),
                    "expires_at": one.ends.map(|at| at.to_string()),
                })).collect::<Vec<_>>(),
                "revoked": ended_json(&outcome.revoked),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use operations::{Wish, WishedSlot};

    use super::*;

    #[test]
    fn an_id_means_one_slot_or_all_of_its_integration_and_another_is_told_which_there_are() {
        let id = "bao/openbao_approle/x";
        let slot = |name: &str| WishedSlot { name: name.into(), ..WishedSlot::default() };
        let slots = vec![slot("default"), slot("reports")];
        let mut wishes = Wishes::default();
        wishes.integrations.insert(id.into(), Wish { id: id.into(), slots, ..Wish::default() });
        let found = |asked: &str| named(&wishes, asked, "nhi.db");
        let pair = |name: &str| (id.to_owned(), name.to_owned());
        assert_eq!(found(id).unwrap(), [pair("default"), pair("reports")]);
        assert_eq!(found(&format!("{id}/credential/reports")).unwrap(), [pair("reports")]);
        for wrong in ["bao/openbao_approle/y", "bao/openbao_approle/x/credential/other", "x", ""] {
            let problem = found(wrong).unwrap_err();
            assert_eq!(problem.code, "E-UNDECLARED");
            assert!(problem.detail.contains(&format!("{id}/credential/reports")), "{problem}");
            let next = problem.next.as_deref().unwrap();
            assert!(next.contains("--state") && next.contains("nhi scan"), "{problem}");
            // What is no id at all is told how one looks.
            assert_eq!(
                problem.detail.contains("<connection>/<kind>"),
                !wrong.contains('/'),
                "{problem}"
            );
        }
        let bare = "bao/openbao_approle/bare";
        wishes.integrations.insert(bare.into(), Wish { id: bare.into(), ..Wish::default() });
        let problem = named(&wishes, bare, "nhi.db").unwrap_err();
        assert!(problem.detail.contains("and no credential of it"), "{problem}");
        assert!(problem.next.as_deref().unwrap().contains("nhi_credential"), "{problem}");
        // One of many is not shown as if it were all.
        let many = (0..20).map(|at| slot(&format!("s{at}"))).collect();
        wishes
            .integrations
            .insert(id.into(), Wish { id: id.into(), slots: many, ..Wish::default() });
        let problem = named(&wishes, "bao/openbao_approle/y", "nhi.db").unwrap_err();
        assert!(problem.detail.contains("and 8 more"), "{problem}");
    }
}
