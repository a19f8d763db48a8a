//! What is owed on a slot, as claims and documents have it; kept as rows where there is a ledger.

use connector::{Connector, Freshness};
use jiff::Timestamp;
use ledger::{Change, Durability, NewEntry, Obligation};
use policy::{
    duty::{Books, Duty, Owed, Standing, Task, Terms, duties},
    overlap::Usage,
    rotation::{Claim, Goal, Phase},
};
use serde_json::{Value, json};

use crate::{
    Context, Outcome, Problem, SeenSlot, SlotSpec,
    claim::{ClaimDocument, ClaimStore},
    credential::{carry_out, goal_of_finish},
    signals,
    slot::{self, look_at_slot, soft_cut},
};

/// What a slot's declaration, its platform and policy say of its duties.
pub(crate) fn terms(
    context: &Context,
    connector: &dyn Connector,
    spec: &SlotSpec,
    timed: bool,
) -> Terms {
    Terms {
        window: spec.overlap(),
        whom: slot::terms(context, spec),
        soft_cut: soft_cut(context, connector, spec),
        proof_deadline: context.rules.proof_deadline,
        silent_after: context.rules.claim_ttl_of(timed),
    }
}

/// What is owed on a slot, as its claim has it: what a ledger has rows of. `used`: what a look told of the
/// use of earlier keys.
///
/// # Errors
///
/// Custody cannot be read.
pub async fn duties_of(
    context: &Context,
    spec: &SlotSpec,
    used: Option<&Usage>,
) -> Result<Vec<Duty>, Problem> {
    let connector = context.connector(&spec.id.integration.connection).await?;
    let Some(ClaimDocument { claim, written_at, .. }) =
        ClaimStore::of(context, spec).await?.read().await?
    else {
        return Ok(Vec::new());
    };
    let books = Books { used, ..Books::of(&claim, written_at) };
    Ok(duties(books, &terms(context, &*connector, spec, claim.timed)))
}

/// What whoever runs now does about a slot, starting no rotation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DueNow {
    /// Nothing is owed.
    Nothing,
    /// It is another's: somebody is at work on it.
    Busy(String),
    /// A person must say something first.
    Held(String),
    /// Something is owed, and is put off for this reason.
    PutOff(&'static str),
    /// This, for this reason.
    Do(Goal, &'static str),
}

/// What whoever runs now does about a slot that they have looked at, starting no rotation. `active`: its
/// integration may act. Nothing is issued for one that may not.
///
/// # Errors
///
/// Custody cannot be read.
pub async fn due_now(
    context: &Context,
    spec: &SlotSpec,
    seen: &SeenSlot,
    active: bool,
) -> Result<DueNow, Problem> {
    let note = || seen.note.clone().unwrap_or_else(|| "nobody wrote why".to_owned());
    if seen.status == "rotating" {
        return Ok(DueNow::Busy(note()));
    }
    if seen.status == "held" {
        let why = if seen.still_used { "still-used".to_owned() } else { note() };
        return Ok(DueNow::Held(why));
    }
    let owed = &seen.owed;
    if owed.is_due(Task::Finish) {
        let claim = ClaimStore::of(context, spec).await?.read().await?;
        let Some(claim) = claim.map(|document| document.claim) else { return Ok(DueNow::Nothing) };
        return Ok(match goal_of_finish(context, spec).await? {
            // It came to rest, and died before it said so beside its claim: whoever looks puts that right.
            None if claim.current.is_some() => {
                DueNow::Do(Goal::Rotate { to: claim.generation, at_once: false }, "schedule")
            }
            // Nothing was ever delivered: there is nothing that a rotation to it could bring to places.
            None => DueNow::Do(Goal::Retire { at: claim.generation }, "schedule"),
            Some(Goal::Rotate { .. }) if !active && !claim.phase.is_about_earlier() => {
                DueNow::PutOff(
                    "its integration is switched off, and to finish it is to issue another: nhi \
                     recover --end, or switch the integration on",
                )
            }
            // What rules would say is not known, and how long to wait for a late call is one of them.
            Some(Goal::Rotate { .. })
                if context.gate.closed().is_some() && !claim.phase.is_about_earlier() =>
            {
                DueNow::PutOff("the policy cannot be read, and to finish it is to issue another")
            }
            Some(goal) => DueNow::Do(goal, "schedule"),
        });
    }
    let at = seen.generation;
    let proves = [Task::Prove, Task::Reprove, Task::DestroyPrevious];
    let proves = proves.into_iter().any(|task| owed.is_due(task));
    let ends = owed.is_due(Task::Retire) || owed.is_due(Task::Disable);
    // Whoever still holds the earlier one may have nothing else that works.
    let serves = seen.listed && !matches!(seen.status, "missing" | "undelivered" | "expired");
    Ok(match (ends, serves) {
        (true, false) => DueNow::PutOff(
            "the current one is not there or not delivered: an apply puts that right first",
        ),
        (true, true) if owed.is_due(Task::Disable) => {
            DueNow::Do(Goal::Cut { at, again: false }, "schedule")
        }
        (true, true) => DueNow::Do(Goal::Retire { at }, "schedule"),
        (false, _) if proves => DueNow::Do(Goal::Retire { at }, "schedule"),
        _ => put_off(owed).map_or(DueNow::Nothing, DueNow::PutOff),
    })
}

/// What became of a slot on which something was owed.
#[derive(Debug, Clone)]
pub struct Met {
    /// What was done, in order.
    pub did: Vec<Goal>,
    /// What the slot came to.
    pub outcome: Outcome,
}

/// How often one run looks again whether anything is owed still: to finish one thing makes another due.
const ROUNDS: usize = 4;

/// Does what is owed on a slot now, and starts no rotation; `None` where nothing is to be done.
///
/// # Errors
///
/// Why it stopped. What was begun is in the claim, and the next run goes on from there.
pub async fn meet(
    context: &Context,
    spec: &SlotSpec,
    active: bool,
) -> Result<Option<Met>, Problem> {
    let mut met: Option<Met> = None;
    for _ in 0..ROUNDS {
        let Some(seen) = look_at_slot(context, spec, Freshness::Fresh).await? else { break };
        catch_up(context, spec, &seen).await;
        let DueNow::Do(goal, reason) = due_now(context, spec, &seen, active).await? else { break };
        // What could not be brought to its end is another run's.
        if met.as_ref().is_some_and(|met| met.did.last() == Some(&goal)) {
            break;
        }
        note_overdue(context, spec, &seen.owed).await;
        let outcome = carry_out(context, spec, goal, reason).await?;
        let (mut did, mut revoked) = (Vec::new(), Vec::new());
        if let Some(before) = met.take() {
            (did, revoked) = (before.did, before.outcome.revoked);
        }
        did.push(goal);
        revoked.extend(outcome.revoked.iter().cloned());
        met = Some(Met { did, outcome: Outcome { revoked, ..outcome } });
    }
    Ok(met)
}

fn put_off(owed: &Owed) -> Option<&'static str> {
    owed.0.iter().find_map(|(_, standing)| match standing {
        Standing::Doubtful => Some("clocks disagree, and nothing ends by time"),
        Standing::InUse => Some("somebody still uses the earlier one"),
        _ => None,
    })
}

/// The row of a duty, open.
fn row(subject: &str, duty: &Duty) -> Obligation {
    // A claim tells whole seconds: a row says the same before and after it was read back.
    let moment = |at: Option<Timestamp>| at.map_or(0, |at| at.as_second() * 1000);
    let about = duty.key_id.clone().unwrap_or_else(|| duty.generation.to_string());
    let mut detail = json!({
        "carried_by": duty.carrier.as_str(), "generation": duty.generation,
    });
    if let Some(key_id) = &duty.key_id {
        detail["key"] = json!(key_id);
    }
    Obligation {
        id: format!("{subject}#{}:{about}", duty.task.as_str()),
        subject: subject.to_owned(),
        deed: duty.task.as_str().to_owned(),
        not_before: moment(duty.not_before),
        due_by: moment(duty.due_by),
        on_overdue: "finding".to_owned(),
        state: "open".to_owned(),
        attempts: 0,
        next_try_at: duty.not_before.map(|at| moment(Some(at))),
        detail: Some(detail),
    }
}

/// That it was told to be overdue.
const TOLD: &str = "overdue";

/// A row of what is owed on a slot. Others are of who works between applies, and theirs to close.
pub(crate) fn is_duty(row: &Obligation) -> bool {
    Task::from_word(&row.deed).is_some()
}

/// The same duty, at the same times and with the same carrier, however often it was tried.
fn is_same(have: &Obligation, wanted: &Obligation) -> bool {
    // None is forgotten: each is named.
    let Obligation {
        id,
        subject,
        deed,
        not_before,
        due_by,
        on_overdue,
        state,
        attempts: _,
        next_try_at: _,
        detail,
    } = have;
    (not_before, due_by) == (&wanted.not_before, &wanted.due_by)
        && [id, subject, deed, on_overdue, state]
            == [&wanted.id, &wanted.subject, &wanted.deed, &wanted.on_overdue, &wanted.state]
        && said(detail) == said(&wanted.detail)
}

/// The members of a row's detail but [`TOLD`]; what has none as it is.
fn said(detail: &Option<Value>) -> Result<Vec<(&String, &Value)>, &Option<Value>> {
    match detail {
        Some(Value::Object(members)) => {
            Ok(members.iter().filter(|(name, _)| *name != TOLD).collect())
        }
        other => Err(other),
    }
}

/// The entries that bring the rows of one slot to what is owed on it.
fn told(context: &Context, subject: &str, have: &[Obligation], owed: &[Duty]) -> Vec<NewEntry> {
    if owed.is_empty() && have.is_empty() {
        return Vec::new();
    }
    let wanted: Vec<Obligation> = owed.iter().map(|one| row(subject, one)).collect();
    let entry = |kind: &str, row: &Obligation| {
        let key = row.detail.as_ref().and_then(|detail| detail.get("key")).cloned();
        context
            .entry(kind, subject)
            .detail("deed", row.deed.clone())
            .detail("key", key.unwrap_or(Value::Null))
    };
    let at = |ms: i64| {
        let at = Timestamp::from_millisecond(ms).ok().filter(|_| ms != 0);
        at.map_or(Value::Null, |at| json!(crate::journal::moment(at)))
    };
    let have: Vec<&Obligation> = have.iter().filter(|row| is_duty(row)).collect();
    let met = have.iter().filter(|have| wanted.iter().all(|one| one.id != have.id)).map(|have| {
        let row = Obligation { state: "met".to_owned(), next_try_at: None, ..(*have).clone() };
        entry("obligation.met", have).change(Change::Obligation(row))
    });
    let made = wanted.iter().filter(|one| !have.iter().any(|have| is_same(have, one)));
    let made = made.map(|one| {
        entry("obligation.made", one)
            .detail("not_before", at(one.not_before))
            .detail("due_by", at(one.due_by))
            .detail(
                "carried_by",
                one.detail
                    .as_ref()
                    .and_then(|detail| detail.get("carried_by"))
                    .cloned()
                    .unwrap_or(Value::Null),
            )
            .change(Change::Obligation(one.clone()))
    });
    met.chain(made).collect()
}

impl Context {
    /// What brings the rows of a slot to what is owed on it; nothing where they cannot be read: the next
    /// deed writes them.
    pub(crate) async fn owing(&self, subject: &str, owed: &[Duty]) -> Vec<NewEntry> {
        if self.read_only || !self.ledger.keeps() {
            return Vec::new();
        }
        match self.ledger.obligations_of(subject).await {
            Ok(have) => told(self, subject, &have, owed),
            Err(error) => {
                tracing::warn!(%error, "what is owed was not written down");
                Vec::new()
            }
        }
    }

    /// Brings the rows of a slot to what is owed on it, where they are not.
    pub(crate) async fn owe(&self, subject: &str, owed: &[Duty]) {
        let told = self.owing(subject, owed).await;
        if told.is_empty() {
            return;
        }
        if let Err(error) = self.ledger.append(told, Durability::Durable).await {
            tracing::warn!(%error, "what is owed was not written down");
        }
    }

    /// A slot is declared no more: nobody carries what is owed on it.
    pub(crate) async fn owes_nothing_more(&self, subject: &str, entry: NewEntry) -> NewEntry {
        let have = match self.ledger.keeps() {
            true => self.ledger.obligations_of(subject).await.unwrap_or_default(),
            false => Vec::new(),
        };
        have.into_iter().fold(entry, |entry, row| {
            let row = Obligation { state: "dropped".to_owned(), next_try_at: None, ..row };
            entry.change(Change::Obligation(row))
        })
    }
}

/// What brings the rows of a slot to what is owed after a write of its claim that no rotation made.
pub(crate) async fn owing_for(
    context: &Context,
    spec: &SlotSpec,
    used: Option<&Usage>,
) -> Vec<NewEntry> {
    if context.read_only || !context.ledger.keeps() {
        return Vec::new();
    }
    match duties_of(context, spec, used).await {
        Ok(owed) => context.owing(&spec.id.to_string(), &owed).await,
        Err(problem) => {
            tracing::warn!(%problem, "what is owed is not known");
            Vec::new()
        }
    }
}

/// Brings the rows of a slot that was looked at to what is owed on it, where a run died before it wrote
/// them. Custody is asked only where they differ.
pub async fn catch_up(context: &Context, spec: &SlotSpec, seen: &SeenSlot) {
    if context.read_only || !context.ledger.keeps() || seen.status == "rotating" {
        return;
    }
    let subject = spec.id.to_string();
    // Where it is not known what is there, nothing is over.
    if seen.listed {
        let earlier = seen.previous.iter().map(|one| one.key_id.clone());
        let works: Vec<String> = seen.key_id.iter().cloned().chain(earlier).collect();
        signals::settle(context, &subject, &works).await;
    }
    let Ok(mut have) = context.ledger.obligations_of(&subject).await else { return };
    have.retain(is_duty);
    let known = |duty: &Duty| have.iter().any(|have| is_same(have, &row(&subject, duty)));
    if have.len() == seen.owed.0.len() && seen.owed.0.iter().all(|(duty, _)| known(duty)) {
        return;
    }
    let told = owing_for(context, spec, Some(&seen.used)).await;
    if !told.is_empty()
        && let Err(error) = context.ledger.append(told, Durability::Durable).await
    {
        tracing::warn!(%error, "what is owed was not written down");
    }
}

/// Notes in the ledger which duties of a slot are overdue, each once.
pub(crate) async fn note_overdue(context: &Context, spec: &SlotSpec, owed: &Owed) {
    if context.read_only || !context.ledger.keeps() {
        return;
    }
    let subject = spec.id.to_string();
    let Ok(have) = context.ledger.obligations_of(&subject).await else { return };
    let late = owed.0.iter().filter(|(_, standing)| *standing == Standing::Overdue);
    let mut told = Vec::new();
    for (duty, _) in late {
        let id = row(&subject, duty).id;
        let known = |row: &&Obligation| {
            row.id == id && row.detail.as_ref().is_some_and(|detail| detail.get(TOLD).is_none())
        };
        let Some(mut row) = have.iter().find(known).cloned() else { continue };
        if let Some(Value::Object(detail)) = &mut row.detail {
            detail.insert(TOLD.to_owned(), json!(true));
        }
        let key = duty.key_id.clone();
        let due_by = duty.due_by.map(crate::journal::moment);
        let entry = context
            .entry("obligation.overdue", &subject)
            .detail("deed", row.deed.clone())
            .detail("key", json!(key))
            .detail("due_by", json!(due_by));
        told.push(entry.change(Change::Obligation(row)));
    }
    if !told.is_empty()
        && let Err(error) = context.ledger.append(told, Durability::Durable).await
    {
        tracing::warn!(%error, "what is overdue was not written down");
    }
}

/// What a run that is at work on a slot owes on it: what it began it finishes itself, and what it has
/// ended is to be shown.
pub(crate) fn while_at_work(
    claim: &Claim,
    used: &Usage,
    ended: &std::collections::BTreeSet<String>,
    terms: &Terms,
) -> Vec<Duty> {
    let mut owed = duties(Books::of(claim, None).with_use(used), terms);
    owed.retain(|one| one.task != Task::Finish);
    for one in &mut owed {
        let ended = one.key_id.as_ref().is_some_and(|key_id| ended.contains(key_id));
        if claim.phase == Phase::Retiring && one.task == Task::Retire && ended {
            (one.task, one.not_before, one.due_by) = (Task::Prove, None, None);
        }
    }
    owed
}
