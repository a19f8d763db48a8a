//! Tasks of people: which there are for what is declared, when each was last done, and that one was.
//!
//! A row of the ledger says when it was last done and by which file, by the file's hash: the file itself
//! is nobody's to keep here.

use std::collections::{BTreeMap, BTreeSet};

use domain::Span;
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use ledger::{Change, Durability, NewEntry, Obligation};
use policy::{
    findings::{Finding, task_overdue},
    schedule::later,
    standing::end_of,
    task::{Standing, Task},
};
use serde_json::{Value, json};

use crate::{Context, Problem, WishedSlot, Wishes};

/// The deed of its row.
const DEED: &str = "task";

/// How a task was last done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskDone {
    /// When.
    pub at: Timestamp,
    /// Who, as an id; nothing where a drill did it.
    pub by: Option<String>,
    /// The SHA-256 of the file that shows it, in hexadecimal; nothing where a drill did it.
    pub evidence: Option<String>,
}

/// One task of people: of the policy for one object, or one that a declaration brings with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenTask {
    /// Its name.
    pub name: String,
    /// What it is to be done for; `None`: once for all.
    pub object: Option<String>,
    /// What is to be done.
    pub what: String,
    /// Who sees to it; nothing where a declaration names nobody for it.
    pub owner: Option<String>,
    /// How it stands.
    pub standing: Standing,
    /// How it was last done.
    pub last: Option<TaskDone>,
    /// What does it.
    pub next: String,
    /// The policy's task; nothing where it comes with a declaration.
    pub of_policy: Option<Task>,
}

impl OpenTask {
    /// The object, or the task itself where it is for all.
    pub fn subject(&self) -> String {
        self.object.clone().unwrap_or_else(|| format!("task/{}", self.name))
    }

    /// The name by which it is told as something that lasts.
    pub fn id(&self) -> String {
        row_id(&self.name, self.object.as_deref())
    }

    /// It was to be done already.
    pub fn is_overdue(&self) -> bool {
        matches!(self.standing, Standing::Overdue(_))
    }

    /// The finding, where it is late and the policy asks for it. What a declaration brings with it has
    /// findings of its own.
    pub fn finding(&self, context: &Context) -> Option<([u8; 16], Finding)> {
        let (task, Standing::Overdue(since)) = (self.of_policy.as_ref()?, self.standing) else {
            return None;
        };
        let subject = self.subject();
        let last = self.last.as_ref().map(|last| last.at);
        let one = task_overdue(task, &subject, since, last, &self.next);
        let one = context.rules.findings.weighed(one);
        Some((one.fingerprint("none", &subject), one))
    }
}

fn row_id(name: &str, object: Option<&str>) -> String {
    match object {
        Some(object) => format!("task/{name}/{object}"),
        None => format!("task/{name}"),
    }
}

/// What the ledger knows of each task that was ever done, by its row.
async fn rows(context: &Context) -> Result<BTreeMap<String, Obligation>, Problem> {
    let rows = context.ledger.obligations_with(DEED).await?;
    Ok(rows.into_iter().map(|row| (row.id.clone(), row)).collect())
}

fn done_of(row: &Obligation) -> Option<TaskDone> {
    let detail = row.detail.as_ref()?;
    let text = |name: &str| detail.get(name).and_then(Value::as_str).map(str::to_owned);
    let at = text("done_at")?.parse().ok()?;
    Some(TaskDone { at, by: text("by"), evidence: text("evidence") })
}

/// The objects of a task, as far as they are declared; `None` alone where it is for all.
fn objects(task: &Task, wishes: &Wishes) -> Vec<Option<String>> {
    if task.each.is_none() {
        return vec![None];
    }
    let drills = |slot: &WishedSlot| slot.drill;
    let slots = wishes.integrations.iter().flat_map(|(id, wish)| {
        wish.slots
            .iter()
            .filter(|slot| drills(slot))
            .map(move |slot| format!("{id}/credential/{}", slot.name))
    });
    let all: BTreeSet<String> = match task.drill {
        true => slots.collect(),
        false => (wishes.integrations.keys().cloned())
            .chain(wishes.third_parties.iter().map(|one| one.id.clone()))
            .chain(wishes.owned().into_keys())
            .chain(wishes.owners.keys().cloned())
            .collect(),
    };
    all.into_iter().filter(|id| task.is_for(id)).map(Some).collect()
}

/// The command that does it, or what does.
fn next_of(task: &Task, object: Option<&str>) -> String {
    match (task.drill, object) {
        (true, Some(object)) => format!("nhi drill {object}"),
        (_, Some(object)) => format!("nhi task done {} --for {object} --evidence FILE", task.name),
        (_, None) => format!("nhi task done {} --evidence FILE", task.name),
    }
}

/// All tasks of people that there are for what is declared: those of the policy, and those that a
/// declaration brings with it.
///
/// # Errors
///
/// The ledger cannot be read.
pub async fn tasks(context: &Context, wishes: &Wishes) -> Result<Vec<OpenTask>, Problem> {
    let now = context.time();
    let rows = match context.rules.tasks.is_empty() {
        true => BTreeMap::new(),
        false => rows(context).await?,
    };
    let mut all = Vec::new();
    for task in &context.rules.tasks {
        for object in objects(task, wishes) {
            let last = rows.get(&row_id(&task.name, object.as_deref())).and_then(done_of);
            all.push(OpenTask {
                name: task.name.clone(),
                what: task.what.clone(),
                owner: Some(task.owner.clone()),
                standing: Standing::of(task.due(last.as_ref().map(|last| last.at)), now),
                last,
                next: next_of(task, object.as_deref()),
                object,
                of_policy: Some(task.clone()),
            });
        }
    }
    all.extend(declared(wishes, context));
    let by = |one: &OpenTask| (one.standing.by().unwrap_or(Timestamp::MAX), one.id());
    all.sort_by_key(by);
    Ok(all)
}

/// What a declaration brings with it, as far as its own words say when: who declares the day has it done.
fn declared(wishes: &Wishes, context: &Context) -> Vec<OpenTask> {
    let now = context.time();
    let start = |day: Date| day.to_zoned_datetime(TimeZone::UTC).ok().map(|at| at.timestamp());
    let one =
        |name: &str, id: &str, what: &str, due: Timestamp, last: Option<Timestamp>, next: &str| {
            OpenTask {
                name: name.to_owned(),
                object: Some(id.to_owned()),
                what: what.to_owned(),
                owner: None,
                standing: Standing::of(Some(due), now),
                last: last.map(|at| TaskDone { at, by: None, evidence: None }),
                next: next.to_owned(),
                of_policy: None,
            }
        };
    let mut all = Vec::new();
    for (id, wish) in &wishes.integrations {
        let said = |name: &str| wish.record.as_ref()?.get(name).map(String::as_str);
        let day = |name: &str| said(name).and_then(|text| text.parse::<Date>().ok());
        if let Some(last) = day("adoption.complete_by") {
            let what = "Say what only a person knows of what was adopted";
            let next = "complete it and take adoption out of its nhi_integration";
            let task = one("complete-adoption", id, what, end_of(last), None, next);
            all.push(OpenTask { owner: said("adoption.steward").map(str::to_owned), ..task });
        }
        let every = said("review_every").and_then(|every| every.parse::<Span>().ok());
        if let (Some(every), Some(last)) = (every, day("reviewed_on").and_then(start)) {
            let (what, next) = ("Review it", "review it, and declare the day in its reviewed_on");
            let task = one("review", id, what, later(last, every), Some(last), next);
            all.push(OpenTask { owner: said("business_owner.id").map(str::to_owned), ..task });
        }
    }
    for vendor in &wishes.third_parties {
        let owner = vendor.owners.first().cloned();
        let dates = &vendor.dates;
        if let (Some(every), Some(last)) = (dates.test_every, dates.tested_on.and_then(start)) {
            let what = "Go through the vendor's administrators, and try the way to stop it";
            let next = "do it, and declare the day in third_party.disable_tested_on";
            let task = one("vendor-review", &vendor.id, what, later(last, every), Some(last), next);
            all.push(OpenTask { owner: owner.clone(), ..task });
        }
        if let Some(last) = dates.contract_ends_on {
            let what = "Renew the contract, or end what rests on it";
            let next = "declare the new day in third_party.contract.ends_on, or destroy it";
            let task = one("contract", &vendor.id, what, end_of(last), None, next);
            all.push(OpenTask { owner, ..task });
        }
    }
    all
}

/// A file that shows that something was done: its hash, and how long it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// SHA-256, in hexadecimal.
    pub sha256: String,
    /// Its bytes.
    pub bytes: u64,
}

/// Whether a person may say that a task was done, on that day: by which rule, and when that is. Asked of each of
/// several before the first is written down.
///
/// # Errors
///
/// It is no person's to say so, the day is none, or nothing may be changed here.
pub fn may_be_done<'a>(
    context: &Context,
    task: &'a OpenTask,
    on: Option<Date>,
) -> Result<(&'a Task, Timestamp), Problem> {
    context.may_change()?;
    let id = task.id();
    let Some(of_policy) = &task.of_policy else {
        return Err(Problem::new("E-TASK", "This task comes with a declaration")
            .detail(format!(
                "{id}: it is done when the configuration says so. Nothing was written down."
            ))
            .next(task.next.clone()));
    };
    if of_policy.drill {
        return Err(Problem::new("E-TASK", "A drill is made, not said")
            .detail(format!(
                "{id}: what counts is the end that was tried out. Nothing was written down."
            ))
            .next(task.next.clone()));
    }
    let now = context.now();
    let at = match on {
        None => now,
        Some(day) => {
            let begins = day.to_zoned_datetime(TimeZone::UTC).map_or(now, |at| at.timestamp());
            if begins > now {
                return Err(Problem::new("E-TASK", "That day is still to come")
                    .detail(format!(
                        "{id}: nothing can have been done on {day}. Nothing was written down."
                    ))
                    .next(
                        "give the day on which it was done with --on, or leave it out for today",
                    ));
            }
            end_of(day).min(now)
        }
    };
    if let Some(last) = task.last.as_ref().filter(|last| last.at > at) {
        return Err(Problem::new("E-TASK", "It was done later than that already")
            .detail(format!("{id}: last on {}. Nothing was written down.", last.at))
            .next("give a later day with --on, or leave it out for today"));
    }
    Ok((of_policy, at))
}

/// Writes down that a task was done: by whom, when, and by the hash of which file.
///
/// # Errors
///
/// There is no such task, it is no person's to say so, the day is none, or it cannot be written down.
pub async fn task_done(
    context: &Context,
    task: &OpenTask,
    (by, evidence): (&str, &Evidence),
    on: Option<Date>,
) -> Result<OpenTask, Problem> {
    let (of_policy, at) = may_be_done(context, task, on)?;
    // Whole seconds say enough.
    let at = Timestamp::from_second(at.as_second()).unwrap_or(at);
    let done = TaskDone { at, by: Some(by.to_owned()), evidence: Some(evidence.sha256.clone()) };
    let row = row(of_policy, task.object.as_deref(), Some(&done));
    let mut entry = context
        .entry("task.done", &task.subject())
        .detail("task", of_policy.name.clone())
        .detail("done_at", at.to_string())
        .detail("evidence", json!({ "sha256": evidence.sha256, "bytes": evidence.bytes }))
        .detail("due_by", task.standing.by().map(|at| at.to_string()))
        .detail("late", task.is_overdue())
        .change(Change::Obligation(row));
    entry.actor.principal = Some(by.to_owned());
    context.journal(entry).await?;
    let standing = Standing::of(of_policy.due(Some(at)), context.time());
    Ok(OpenTask { standing, last: Some(done), ..task.clone() })
}

/// The row of a task for one object, as it is when it was last done so.
fn row(task: &Task, object: Option<&str>, last: Option<&TaskDone>) -> Obligation {
    let due = task.due(last.map(|last| last.at));
    let mut detail = json!({ "carried_by": "person", "task": task.name });
    if let Some(last) = last {
        detail["done_at"] = json!(last.at.to_string());
        for (name, value) in [("by", &last.by), ("evidence", &last.evidence)] {
            if let Some(value) = value {
                detail[name] = json!(value);
            }
        }
    }
    Obligation {
        id: row_id(&task.name, object),
        subject: object.map_or_else(|| row_id(&task.name, None), str::to_owned),
        deed: DEED.to_owned(),
        not_before: 0,
        due_by: due.map_or(0, Timestamp::as_millisecond),
        on_overdue: "finding".to_owned(),
        state: if due.is_some() { "open" } else { "met" }.to_owned(),
        attempts: 0,
        next_try_at: None,
        detail: Some(detail),
    }
}

/// With the rows of the tasks that a drill on this slot does, done now.
pub(crate) fn with_drill(context: &Context, entry: NewEntry, slot: &str) -> NewEntry {
    let done = TaskDone { at: context.now(), by: None, evidence: None };
    let drills = context.rules.tasks.iter().filter(|task| task.drill && task.is_for(slot));
    drills.fold(entry, |entry, task| {
        entry.change(Change::Obligation(row(task, Some(slot), Some(&done))))
    })
}

/// Brings the rows to the tasks that there are: what was never done has one that is open, what turned
/// overdue is noted once, and what nobody asks for any more is dropped.
pub async fn note_tasks(context: &Context, wishes: &Wishes, all: &[OpenTask]) {
    if context.read_only || !context.ledger.keeps() {
        return;
    }
    let Ok(mut have) = rows(context).await else { return };
    let mut entries = Vec::new();
    for one in all {
        let Some(task) = &one.of_policy else { continue };
        let known = have.remove(&one.id());
        let mut wanted = row(task, one.object.as_deref(), one.last.as_ref());
        let told = |row: &Obligation| {
            row.detail.as_ref().is_some_and(|detail| detail.get("overdue").is_some())
        };
        let was_told = known.as_ref().is_some_and(|row| told(row) && row.due_by == wanted.due_by);
        if let Some(detail) = wanted.detail.as_mut().filter(|_| one.is_overdue()) {
            detail["overdue"] = json!(true);
        }
        if known.as_ref() == Some(&wanted) {
            continue;
        }
        // One that is known and not the same has another cadence now.
        let kind = match one.is_overdue() && !was_told {
            true => "obligation.overdue",
            false => "obligation.made",
        };
        entries.push(told_of(context, kind, wanted));
    }
    let asked = |row: &Obligation| is_asked(&context.rules.tasks, &wishes.heard_of, row);
    for row in have.into_values().filter(|row| row.state == "open" && !asked(row)) {
        let row = Obligation { state: "dropped".to_owned(), ..row };
        entries.push(told_of(context, "obligation.met", row));
    }
    if entries.is_empty() {
        return;
    }
    if let Err(error) = context.ledger.append(entries, Durability::Durable).await {
        tracing::warn!(%error, "what people are to do was not written down");
    }
}

/// Whether somebody may still ask for a task that nothing that is declared here does. What one state does not
/// declare another may; what the policy dropped goes, and what the ledger (`heard_of`) saw end.
fn is_asked(tasks: &[Task], heard_of: &BTreeSet<String>, row: &Obligation) -> bool {
    let name = row.detail.as_ref().and_then(|detail| detail.get("task")).and_then(Value::as_str);
    let of = tasks.iter().filter(|task| Some(&*task.name) == name);
    let ended = heard_of.iter().any(|id| {
        row.subject.strip_prefix(&**id).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    });
    of.into_iter().any(|task| task.each.is_none() || task.is_for(&row.subject)) && !ended
}

fn told_of(context: &Context, kind: &str, row: Obligation) -> NewEntry {
    let task = row.detail.as_ref().and_then(|detail| detail.get("task")).cloned();
    let entry = context
        .entry(kind, &row.subject)
        .detail("deed", DEED)
        .detail("task", task.unwrap_or(Value::Null));
    entry.change(Change::Obligation(row))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_state_does_not_declare_is_still_asked_for_and_what_policy_dropped_is_not() {
        let task = |name: &str, each: Option<&str>| Task {
            name: name.to_owned(),
            what: "w".to_owned(),
            owner: "owner/finance".to_owned(),
            first_by: Date::constant(2026, 1, 1),
            every: None,
            each: each.map(str::to_owned),
            drill: false,
        };
        let tasks = [task("terms", None), task("admins", Some("bao/*/a*"))];
        let heard_of = BTreeSet::from(["bao/x/a-old".to_owned()]);
        let asked = |name: &str, object: Option<&str>| {
            let row = row(&task(name, object), object, None);
            is_asked(&tasks, &heard_of, &row)
        };
        assert!(asked("terms", None) && asked("admins", Some("bao/x/a-other")));
        assert!(!asked("former", None), "the policy dropped it");
        assert!(!asked("admins", Some("bao/x/b")), "and it is for other things now");
        assert!(!asked("admins", Some("bao/x/a-old")), "the ledger saw it end");
    }
}
