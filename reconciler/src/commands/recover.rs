//! `nhi recover`: what was begun and not finished, and a person's word on how it goes on.

use clap::{Args, ValueEnum};
use domain::Span;
use operations::{
    Begun, Context, Outcome, Problem, SlotSpec, Wishes, carry_out, declared_slot, everything_begun,
    goal_of_finish, goal_of_going_on, keep_sink, other_fields, slot_to_end, undeclared_slot,
};
use policy::rotation::Goal;
use serde_json::{Value, json};

use super::drift::declared;
use crate::{
    ask::Asking,
    deed::{self, Deed, Part},
    exit::Exit,
    output::{BOLD, Format, GREEN, Output, styled},
    told::{ended_json, problem_json, say, say_ended, short},
};

/// List what was begun and not finished, or finish it.
///
/// Without an id it lists, from custody alone: it needs no ledger and no state.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  nhi recover                      everything that is open, and what helps
  nhi recover bao/openbao_approle/invoice-sync --dry-run
  nhi recover bao/openbao_approle/invoice-sync/credential/default --keep ours
  nhi recover bao/openbao_approle/invoice-sync/credential/default --keep sink   what somebody wrote there stays
  nhi recover bao/openbao_approle/invoice-sync/credential/default --take --yes
  nhi recover aws/aws_iam_user/invoice-sync --reenable   what was switched off works again

Of what nobody declares any more everything can be ended: --end.

Exit codes: 0 nothing waits (what a run may still be at is listed), or it was finished, or is shown
with --dry-run · 1 not done · 5 something waits, or was begun and is still not finished")]
pub(crate) struct Recover {
    /// A slot (INTEGRATION/credential/NAME), or an integration for all that is open in it.
    #[arg(value_name = "ID")]
    id: Option<String>,

    /// List everything that is open; the same as no id.
    #[arg(long, conflicts_with_all = ["id", "take", "keep", "reenable", "end", "yes", "dry_run"])]
    scan: bool,

    /// Take it from whoever holds it, although they may be at work: you know that they are not.
    #[arg(long, requires = "id")]
    take: bool,

    /// What wins where somebody wrote over a delivered document meanwhile.
    #[arg(long, value_enum, value_name = "WHOSE", requires = "id")]
    keep: Option<Keep>,

    /// Switch the earlier credential on again that was switched off before its end: somebody still needs
    /// it. It is then kept until you say otherwise, by the same command without this.
    #[arg(long, requires = "id", conflicts_with_all = ["keep", "end"])]
    reenable: bool,

    /// Finish by ending all that the slot has.
    #[arg(long, requires = "id", conflicts_with = "keep")]
    end: bool,

    /// Declared is what this state says (`terraform show -json`, or a state file); `-` is standard
    /// input. Else the ledger says.
    #[arg(long, value_name = "FILE", requires = "id")]
    state: Option<String>,

    #[command(flatten)]
    pub(crate) asking: Asking,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Keep {
    /// What this rotation delivers: the document is written over.
    Ours,
    /// What stands there, once it was seen to work: it becomes the current credential, and the new one of
    /// this rotation is kept for an overlap and ended.
    Sink,
}

/// The name of the JSON's form.
const FORM: &str = "nhi-recover/1";

/// What is about to be finished, and how.
struct Planned {
    open: Begun,
    spec: SlotSpec,
    goal: Goal,
    /// What somebody wrote over a document is to be the current one.
    keeps_sink: bool,
    /// What is there instead of ours, in names of fields alone.
    there: String,
}

/// What became of it.
enum Done {
    Finished(Box<Outcome>),
    Not { problem: Problem, open: bool },
}

impl Recover {
    pub(crate) async fn run(self, config: Option<&str>, output: &Output) -> Result<Exit, Problem> {
        let loaded = wiring::load(config)?;
        let Some(id) = &self.id else {
            let context = loaded.read_only().context("nhi", "command")?;
            has_custody(&context)?;
            let locked_out = locked_out(&context, None).await;
            return Ok(self.list(&everything_begun(&context).await?, &locked_out, output));
        };
        let mut context = match self.end {
            true => self.asking.context_to_end(&loaded, output)?,
            false => self.asking.context(&loaded)?,
        };
        has_custody(&context)?;
        // Whatever is open of it can be changed by nobody before that is put right.
        let whole = |one: &str| id == one || id.starts_with(&format!("{one}/"));
        let connection = id.split('/').next();
        let locked_out = locked_out(&context, connection).await;
        if let Some((_, problem)) = locked_out.into_iter().find(|(one, _)| whole(one)) {
            return Err(problem);
        }
        if self.take {
            let mut rules = (*context.rules).clone();
            (rules.claim_ttl, rules.claim_ttl_timed) = (Span::ZERO, Span::ZERO);
            context.rules = rules.into();
        }
        let begun = everything_begun(&context).await?;
        let (wishes, from) = match declared(&context, self.state.as_deref(), "recover").await {
            Ok(found) => found,
            // Custody knows what is open, whatever became of the books.
            Err(problem) if problem.code == "E-DRIFT-NOTHING" => {
                (Wishes::default(), self.state.clone().unwrap_or_else(|| context.ledger.place()))
            }
            Err(problem) => return Err(problem),
        };
        let named =
            |one: &Begun| one.slot.to_string() == *id || one.slot.integration.to_string() == *id;
        let mut all = Vec::new();
        for open in begun.iter().filter(|one| named(one)) {
            if let Some(one) = self.plan(&context, &wishes, &from, open).await? {
                all.push(one);
            }
        }
        if all.is_empty() {
            return Err(nothing_open(id, &begun));
        }
        let deed = Deed {
            asking: &self.asking,
            form: FORM,
            parts: "slots",
            doing: "finishing",
            question: "Do this?".to_owned(),
            stands: Exit::Clean,
        };
        deed.run(&context, &all, output).await
    }

    fn list(&self, begun: &[Begun], lost: &[(String, Problem)], output: &Output) -> Exit {
        let waits = begun.iter().any(|one| !one.at_work && one.off_until.is_none());
        let waits = waits || !lost.is_empty();
        let exit = if waits { Exit::Unfinished } else { Exit::Clean };
        if self.asking.format == Format::Json {
            let all: Vec<Value> = begun.iter().map(open_json).collect();
            let lost: Vec<Value> = lost.iter().map(|(id, one)| lost_json(id, one)).collect();
            let all = json!({
                "format": FORM, "open": all, "locked_out": lost, "outcome": exit.sole_outcome(),
            });
            output.line(&all.to_string());
            return exit;
        }
        for (id, problem) in lost {
            output.line(&styled(BOLD, id));
            say(output, "open", &problem.detail);
            say(output, "next", problem.next.as_deref().unwrap_or_default());
        }
        if begun.is_empty() && lost.is_empty() {
            output.line("Nothing is open: what was begun is finished.");
        }
        for one in begun {
            tell_open(one, output);
            say(output, "next", &remedy(one));
        }
        exit
    }

    async fn plan(
        &self,
        context: &Context,
        wishes: &Wishes,
        from: &str,
        open: &Begun,
    ) -> Result<Option<Planned>, Problem> {
        let what = open.slot.to_string();
        if open.at_work {
            return Err(Problem::new("E-BUSY", "Somebody else is at work on this credential")
                .detail(format!("{what}: {} is at work and not silent.", open.owner))
                .next(remedy(open)));
        }
        let wish = wishes.integrations.get(&open.slot.integration.to_string());
        // Another incarnation is another integration.
        let wish = wish.filter(|wish| {
            wish.vendor_id.as_ref().is_none_or(|vendor_id| *vendor_id == open.vendor_id)
                && wish.slots.iter().any(|slot| slot.name == open.slot.name)
        });
        let spec = match wish {
            Some(wish) if self.end || open.ends_all => {
                slot_to_end(context, wish, &open.slot.name).await?
            }
            Some(wish) => declared_slot(context, wish, &open.slot.name).await?,
            None if self.end || open.ends_all => {
                undeclared_slot(context, &open.slot, &open.vendor_id)?
            }
            None => {
                return Err(Problem::new("E-UNDECLARED", "No such credential is declared")
                    .detail(format!(
                        "Nothing in {from} declares {what}, so it is not known where its secret goes."
                    ))
                    .next(format!(
                        "name the state that declares it with --state; or, to end all that it has: \
                         nhi recover {what} --end{}",
                        if self.take { " --take" } else { "" }
                    )));
            }
        };
        let goal = if self.end {
            Some(Goal::Revoke)
        } else if self.reenable {
            switched_off(open)?;
            Some(Goal::Reenable)
        } else if open.hold.as_deref() == Some("still-used") {
            goal_of_going_on(context, &spec).await?
        } else if open.off_until.is_some() {
            return Err(only_off(open));
        } else {
            goal_of_finish(context, &spec).await?
        };
        let Some(goal) = goal else { return Ok(None) };
        let changed = open.hold.as_deref() == Some("sink-changed-by-others");
        let there = match changed && goal != Goal::Revoke {
            true => written_over(context, &spec).await?,
            false => String::new(),
        };
        if changed && self.keep.is_none() && goal != Goal::Revoke {
            return Err(Problem::new("E-SINK-CHANGED", "Somebody wrote over the document")
                .detail(format!(
                    "{what}: both credentials still work, and nothing was overwritten. Whose \
                     document stays is for you to say.{there}"
                ))
                .next(format!(
                    "nhi recover {what} --keep ours writes the new credential over it; --keep sink makes what \
                     stands there the current one, if it is one that works; to leave it, give deliver_to \
                     another path and apply"
                )));
        }
        let keeps_sink = self.keep == Some(Keep::Sink) && goal != Goal::Revoke;
        if keeps_sink && !changed {
            return Err(Problem::new("E-NOTHING-OPEN", "Nobody's document is in the way there")
                .detail(format!(
                    "{what}: {}. It does not wait for whose document stays.",
                    says(open)
                ))
                .next(remedy(open)));
        }
        Ok(Some(Planned { open: open.clone(), spec, goal, keeps_sink, there }))
    }
}

/// Integrations whose management was lost in a call that nobody heard of, at the platforms that answer.
async fn locked_out(context: &Context, only: Option<&str>) -> Vec<(String, Problem)> {
    let mut all = Vec::new();
    let names = context.connections.names();
    for name in names.into_iter().filter(|name| only.is_none_or(|only| only == name)) {
        let Ok(opened) = context.connections.get(&name).await else { continue };
        let Some(connector) = &opened.connector else { continue };
        for (id, error) in connector.locked_out().await.unwrap_or_default() {
            let id = format!("{name}/{id}");
            let problem = Problem::unreadable(&id, &error);
            all.push((id, problem));
        }
    }
    all
}

fn lost_json(id: &str, problem: &Problem) -> Value {
    json!({
        "id": id, "hold": "locked-out-of-management", "says": problem.detail, "next": problem.next,
    })
}

/// That an earlier credential is switched off, or a run was about to.
fn switched_off(open: &Begun) -> Result<(), Problem> {
    let about = matches!(open.phase.as_str(), "cutting" | "enabling" | "retiring");
    if open.off_until.is_some()
        || open.hold.as_deref() == Some("still-used")
        || about && !open.ends_all
    {
        return Ok(());
    }
    Err(Problem::new("E-NOTHING-OFF", "Nothing is switched off there")
        .detail(format!(
            "{}: no earlier credential is, before its end. Nothing was changed.",
            open.slot
        ))
        .next(remedy(open)))
}

/// Nobody has missed what is switched off: there is nothing to go on with.
fn only_off(open: &Begun) -> Problem {
    Problem::new("E-OLD-IN-USE", "The earlier credential is only switched off")
        .detail(format!("{}: {}. Nothing was changed.", open.slot, says(open)))
        .next(remedy(open))
}

/// What somebody wrote, in names of fields alone.
async fn written_over(context: &Context, spec: &SlotSpec) -> Result<String, Problem> {
    let all = other_fields(context, spec).await?;
    Ok(all.iter().map(|(place, lacks, more)| fields_words(place, lacks, more)).collect())
}

fn fields_words(place: &str, lacks: &[String], more: &[String]) -> String {
    let mut parts = Vec::new();
    for (word, names) in [("lacks", lacks), ("has besides", more)] {
        if !names.is_empty() {
            parts.push(format!("{word} {}", names.join(", ")));
        }
    }
    format!("\n  {place} {}", parts.join(" and "))
}

/// What is open is in custody alone.
fn has_custody(context: &Context) -> Result<(), Problem> {
    if context.custody.is_some() && context.realm.is_some() {
        return Ok(());
    }
    Err(Problem::new("E-NO-CUSTODY", "There is no custody")
        .detail("What was begun is written down there, and nhi.hcl names none, or no installation.")
        .next("run it with the nhi.hcl of the runs that began it"))
}

fn nothing_open(id: &str, begun: &[Begun]) -> Problem {
    let open: Vec<String> = begun.iter().map(|one| one.slot.to_string()).collect();
    let (open, next) = match open.is_empty() {
        true => (
            "nothing in this installation's custody".to_owned(),
            format!(
                "there is nothing to recover: nhi drift says how it stands; another generation: nhi \
                 rotate {id}"
            ),
        ),
        false => (
            open.join("\n  "),
            "name one of these; nhi recover says what helps each of them".to_owned(),
        ),
    };
    Problem::new("E-NOTHING-OPEN", "Nothing is open there")
        .detail(format!(
            "{id:?}: nothing of that name was begun and is unfinished. Open is:\n  {open}"
        ))
        .next(next)
}

/// How far something came, in words.
fn says(open: &Begun) -> String {
    let what = match (open.phase.as_str(), open.ends_all) {
        ("intent" | "calling", _) => "a new credential was asked for",
        ("stored", _) => "a new credential is there, and is not delivered everywhere",
        ("giving_up", _) => "a new credential that does not serve is being ended",
        ("cutting", _) => "an earlier credential is being switched off",
        ("enabling", _) => "an earlier credential is being switched on again",
        ("parked", _) if open.hold.is_some() => {
            return format!("it waits for a person: {}", why_held(open));
        }
        ("parked", _) => {
            let until = open.off_until.map_or_else(|| "its end".to_owned(), short);
            return format!(
                "generation {}: the earlier credential is only switched off until {until}",
                open.generation
            );
        }
        ("proving", _) if open.hold.is_some() => {
            return format!("it waits for a person: {}", why_held(open));
        }
        ("retiring" | "proving", true) => "all that it has is being ended",
        ("retiring" | "proving", false) => "earlier credentials are being ended",
        ("held", _) => return format!("it waits for a person: {}", why_held(open)),
        (other, _) => other,
    };
    format!("generation {}: {what}", open.generation)
}

fn why_held(open: &Begun) -> &str {
    match open.hold.as_deref() {
        Some("sink-changed-by-others") => "somebody wrote over a delivered document",
        Some("sink-occupied") => "something else is where its secret goes",
        Some("sink-refuses") => "a sink takes nothing; the old credential still works",
        Some("another-slot") => "another credential delivers to the same place",
        Some("foreign-realm") => "another installation delivers to the same place",
        Some("verify-failed") => "new credentials are refused, and were ended",
        Some("new-refused") => "the new credential is refused, and another would end the old one",
        Some("new-switched-off") => {
            "somebody switched the new credential off before all places had it"
        }
        Some("unexplained-credential") => "it is not known whose a credential is",
        Some("still-used") => {
            "somebody missed the earlier credential when it was switched off, or used it until its longest \
             overlap was over"
        }
        Some("locked-out-of-management") => {
            "what makes its own successor is dead, and the successor is in nobody's hand"
        }
        Some("scopes-wider") => "the new credential may do more than the one that it follows",
        Some("probe-locked") => "the current credential is refused since an earlier one was tried",
        Some(other) => other,
        None => "nobody wrote why",
    }
}

/// What helps, as a line to paste where there is one.
fn remedy(open: &Begun) -> String {
    let slot = open.slot.to_string();
    if open.at_work {
        return format!(
            "wait until {} has ended; if it is dead: nhi recover {slot} --take",
            open.owner
        );
    }
    match open.hold.as_deref() {
        Some("sink-changed-by-others") => format!(
            "see who wrote it; nhi recover {slot} --keep ours writes over it, --keep sink makes what stands \
             there the current one; to leave it, give deliver_to another path and apply"
        ),
        Some("sink-occupied" | "another-slot" | "foreign-realm") => {
            "give deliver_to another path and apply, or free that place; then it goes on".to_owned()
        }
        Some("locked-out-of-management") => format!(
            "nhi revoke {slot}, then apply: what made the first makes another; or reset it at its platform. \
             Where the delivered one works after all: nhi recover {slot}"
        ),
        Some("sink-refuses") => format!(
            "nhi doctor: see what keeps {} from being written; when that is mended: nhi recover {slot}",
            open.undelivered.as_ref().map_or("it", |(place, _)| place)
        ),
        Some("verify-failed" | "new-refused") => format!(
            "nhi doctor {}: is it switched off, or bound to other addresses? Then: nhi recover {slot}",
            open.slot.integration.connection
        ),
        Some("new-switched-off") => format!(
            "find out why, and switch it on again at the platform; then: nhi recover {slot} goes on from \
             there"
        ),
        Some("unexplained-credential") => format!(
            "find out whose it is, and end what nobody needs: nhi revoke {} KEY; then: nhi recover \
             {slot}",
            open.slot.integration
        ),
        Some("still-used") => format!(
            "let who uses it read what is delivered; then: nhi recover {slot} switches it off once more, and \
             it is ended when nobody misses it"
        ),
        Some("scopes-wider") => format!(
            "see at the platform what lets it do more, and take that away; then: nhi recover {slot}"
        ),
        Some("probe-locked") => format!(
            "nhi doctor {}: it tells whom the platform keeps out and the command that lets them in, where \
             the platform tells; then: nhi recover {slot}, which goes on without a sign-in",
            open.slot.integration.connection
        ),
        Some(_) => format!("nhi ledger show {slot}; then: nhi recover {slot}"),
        None if open.off_until.is_some() => format!(
            "nothing where nobody misses it: an apply after that ends it. Where somebody does: nhi recover \
             {slot} --reenable"
        ),
        None if open.phase == "cutting" => format!(
            "nhi recover {slot}, or an apply, goes on from there; --reenable switches it on again"
        ),
        None => format!("nhi recover {slot}, or an apply, goes on from there"),
    }
}

fn tell_open(open: &Begun, output: &Output) {
    output.line(&styled(BOLD, &open.slot.to_string()));
    say(output, "open", &says(open));
    let since = open.since.map_or_else(String::new, |at| format!(", last at {}", short(at)));
    say(output, "by", &format!("{}{since}", open.owner));
    if let Some(key) = &open.key_id {
        say(output, if open.off_until.is_some() { "off" } else { "may work" }, key);
    }
    if let Some((place, since)) = &open.undelivered {
        say(output, "takes nothing", &format!("{place}, since {}", short(*since)));
    }
    say(output, "custody", &open.place);
}

fn open_json(open: &Begun) -> Value {
    json!({
        "id": open.slot.to_string(),
        "vendor_id": open.vendor_id,
        "generation": open.generation,
        "phase": open.phase,
        "hold": open.hold,
        "off_until": open.off_until.map(|at| at.to_string()),
        "says": says(open),
        "owner": open.owner,
        "since": open.since.map(|at| at.to_string()),
        "at_work": open.at_work,
        "key_id": open.key_id,
        "undelivered": open.undelivered.as_ref().map(|(place, since)| {
            json!({ "place": place, "since": since.to_string() })
        }),
        "custody": open.place,
        "next": remedy(open),
    })
}

impl Planned {
    /// What is done, in words.
    fn will(&self) -> String {
        match (self.goal, self.open.phase.as_str(), &self.open.hold) {
            (Goal::Revoke, ..) => "end all that it has".to_owned(),
            (Goal::Reenable, ..) => {
                "switch the earlier one on again, and keep it until you say otherwise".to_owned()
            }
            (Goal::Cut { .. }, ..) => {
                "switch the earlier one off once more; an apply ends it when nobody misses it"
                    .to_owned()
            }
            (_, "cutting", _) => {
                "switch the earlier one off, and leave it so for its time".to_owned()
            }
            (_, "enabling", _) => "switch the earlier one on again".to_owned(),
            (_, "retiring" | "proving", _) => "end the earlier ones, and show it".to_owned(),
            (_, "held", Some(why)) if why == "verify-failed" => {
                format!(
                    "issue others for generation {}, and deliver the first that works",
                    self.open.generation
                )
            }
            (_, "held", Some(_)) if self.keeps_sink => format!(
                "take what stands there for generation {}, once it was seen to work, and deliver it everywhere; \
                 the one that was to go there is kept for an overlap, and ended",
                self.open.generation
            ),
            (_, "held", Some(why)) if why == "sink-changed-by-others" => format!(
                "write generation {} over what somebody wrote, and deliver it everywhere",
                self.open.generation
            ),
            _ => format!("go on to generation {}, and deliver it everywhere", self.open.generation),
        }
    }
}

impl Part for Planned {
    type Done = Done;

    fn subject(&self) -> String {
        self.spec.id.to_string()
    }

    fn tell(&self, output: &Output) {
        tell_open(&self.open, output);
        for line in self.there.lines().filter(|line| !line.is_empty()) {
            say(output, "there", line.trim());
        }
        say(output, "do", &self.will());
        for one in &self.spec.deliveries {
            say(output, "at", &format!("{}: {}", one.name, one.place()));
        }
    }

    async fn carry_out(&self, context: &Context) -> Done {
        let reason = if self.goal == Goal::Revoke { "revoked" } else { "recovered" };
        let kept = match self.keeps_sink {
            true => keep_sink(context, &self.spec).await,
            false => Ok(()),
        };
        let done = match kept {
            Ok(()) => carry_out(context, &self.spec, self.goal, reason).await,
            Err(problem) => Err(problem),
        };
        match done {
            Ok(outcome) => Done::Finished(Box::new(outcome)),
            Err(problem) => {
                let still = goal_of_finish(context, &self.spec).await;
                Done::Not { problem, open: still.map_or(true, |goal| goal.is_some()) }
            }
        }
    }

    fn json(&self, done: Option<&Done>) -> Value {
        json!({
            "id": self.spec.id.to_string(),
            "open": open_json(&self.open),
            "will": self.will(),
            "did": done.map(Done::json),
        })
    }
}

impl deed::Done<Planned> for Done {
    fn exit(&self) -> Exit {
        match self {
            Done::Finished(_) => Exit::Clean,
            Done::Not { open: true, .. } => Exit::Unfinished,
            Done::Not { open: false, .. } => Exit::Failed,
        }
    }

    fn tell(&self, planned: &Planned, output: &Output) {
        let outcome = match self {
            Done::Finished(outcome) => outcome,
            Done::Not { problem, .. } => {
                output.problem(problem);
                return;
            }
        };
        let now = match &outcome.key_id {
            Some(key) => format!("is at generation {}, {key}", outcome.generation),
            None => "has no credential any more".to_owned(),
        };
        output.line(&format!("{} {} {now}", styled(GREEN, "Finished:"), planned.spec.id));
        for (name, one) in &outcome.deliveries {
            say(output, one.status, name);
        }
        for one in &outcome.previous {
            let until = one.retire_after.map_or_else(|| "the next apply".to_owned(), short);
            say(output, "kept", &format!("{} until {until}", one.key_id));
        }
        say_ended(output, &outcome.revoked);
    }
}

impl Done {
    fn json(&self) -> Value {
        match self {
            Done::Not { problem, open } => {
                json!({ "done": false, "open": open, "problem": problem_json(problem) })
            }
            Done::Finished(outcome) => json!({
                "done": true,
                "generation": outcome.generation,
                "key_id": outcome.key_id,
                "revoked": ended_json(&outcome.revoked),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(phase: &str, hold: Option<&str>) -> Begun {
        Begun {
            slot: "bao/openbao_approle/x/credential/default".parse().unwrap(),
            vendor_id: "r1".into(),
            phase: phase.into(),
            key_id: Some("k2".into()),
            place: "bao:secret/nhi/abc123/xyz".into(),
            generation: 2,
            owner: "apply:1-2".into(),
            since: None,
            at_work: false,
            hold: hold.map(str::to_owned),
            ends_all: false,
            off_until: None,
            undelivered: None,
        }
    }

    #[test]
    fn what_is_only_switched_off_is_told_with_the_way_back_and_waits_for_nobody() {
        let off = Begun { off_until: "2026-12-01T00:00:00Z".parse().ok(), ..open("parked", None) };
        assert!(says(&off).contains("only switched off until 2026-12-01"), "{}", says(&off));
        assert!(remedy(&off).ends_with("--reenable"), "{}", remedy(&off));
        assert!(switched_off(&off).is_ok());
        let next = only_off(&off).next.unwrap();
        assert!(next.contains("--reenable"), "{next}");
        for phase in ["cutting", "retiring"] {
            assert!(switched_off(&open(phase, None)).is_ok(), "{phase}");
        }
        for phase in ["stored", "proving"] {
            let problem = switched_off(&open(phase, None)).unwrap_err();
            assert_eq!(problem.code, "E-NOTHING-OFF", "{phase}");
        }
    }

    #[test]
    fn every_hold_is_told_in_words_and_with_what_helps() {
        for (hold, helps) in [
            ("sink-changed-by-others", "--keep ours"),
            ("sink-occupied", "deliver_to"),
            ("sink-refuses", "nhi recover bao/openbao_approle/x/credential/default"),
            ("another-slot", "deliver_to"),
            ("foreign-realm", "deliver_to"),
            ("verify-failed", "nhi doctor bao"),
            ("new-refused", "nhi doctor bao"),
            ("new-switched-off", "switch it on again"),
            ("unexplained-credential", "nhi revoke bao/openbao_approle/x KEY"),
            ("still-used", "nhi recover bao/openbao_approle/x/credential/default switches it off"),
            ("scopes-wider", "take that away"),
            ("held", "nhi ledger show"),
        ] {
            let one = open("held", Some(hold));
            assert!(remedy(&one).contains(helps), "{hold}: {}", remedy(&one));
            let said = says(&one);
            assert!(said.contains("waits for a person") && !said.contains("sink-"), "{said}");
        }
        // What ends goes on being that: nobody takes it up as another one.
        let locked = open("proving", Some("probe-locked"));
        assert!(remedy(&locked).starts_with("nhi doctor bao"), "{}", remedy(&locked));
        assert!(says(&locked).contains("waits for a person"), "{}", says(&locked));
    }

    #[test]
    fn an_id_of_which_nothing_is_open_is_told_with_what_is_and_what_to_do() {
        let id = "bao/openbao_approle/y";
        let problem = nothing_open(id, &[open("stored", None)]);
        assert!(problem.detail.contains("openbao_approle/x/credential/default"), "{problem}");
        assert!(problem.next.as_deref().unwrap().starts_with("name one of these"), "{problem}");
        let problem = nothing_open(id, &[]);
        let next = problem.next.as_deref().unwrap();
        assert!(next.contains("nhi drift") && next.contains("nhi rotate"), "{problem}");
    }

    #[test]
    fn a_document_that_somebody_wrote_is_told_by_the_names_of_its_fields() {
        let names = |all: &[&str]| all.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>();
        let said = fields_words("bao:a/b", &names(&["_nhi", "role_id"]), &names(&["password"]));
        assert_eq!(said, "\n  bao:a/b lacks _nhi, role_id and has besides password");
        assert_eq!(fields_words("bao:a/b", &names(&["_nhi"]), &[]), "\n  bao:a/b lacks _nhi");
    }

    #[test]
    fn what_was_begun_is_told_by_how_far_it_came_and_who_may_go_on() {
        for phase in [
            "intent",
            "calling",
            "stored",
            "giving_up",
            "cutting",
            "enabling",
            "retiring",
            "proving",
        ] {
            let one = open(phase, None);
            assert!(says(&one).starts_with("generation 2: ") && !says(&one).contains(phase));
            assert!(remedy(&one).starts_with("nhi recover bao/"), "{}", remedy(&one));
            let busy = Begun { at_work: true, ..one };
            assert!(remedy(&busy).contains("apply:1-2") && remedy(&busy).ends_with("--take"));
        }
        let all = Begun { ends_all: true, ..open("retiring", None) };
        assert!(says(&all).contains("all that it has"));
    }
}
