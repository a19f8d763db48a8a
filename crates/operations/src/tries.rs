//! How often something failed, when it is tried again, and since when it cannot be read: rows of the
//! ledger beside those of what is owed.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use ledger::{Change, Durability, NewEntry, Obligation};
use policy::retry::next_try;
use serde_json::{Value, json};

use crate::{Context, Problem, duty::is_duty};

/// The row of what cannot be read.
pub(crate) const LOOK: &str = "look";
/// The row of an owner whom their directory calls away without saying since when.
pub(crate) const ABSENT: &str = "absent";
/// The row of what nobody declares, and for which nobody answers.
pub(crate) const UNOWNED: &str = "unowned";

/// What the ledger knew when a tick began.
#[derive(Debug, Default)]
pub(crate) struct Tries(BTreeMap<String, Vec<Obligation>>);

fn moment(ms: i64) -> Option<Timestamp> {
    Timestamp::from_millisecond(ms).ok().filter(|_| ms != 0)
}

impl Tries {
    /// Reads them. Where nothing is kept, nothing was ever tried.
    pub(crate) async fn read(context: &Context) -> Tries {
        let mut by: BTreeMap<String, Vec<Obligation>> = BTreeMap::new();
        if context.ledger.keeps() {
            match context.ledger.open_obligations().await {
                Ok(open) => {
                    for row in open {
                        by.entry(row.subject.clone()).or_default().push(row);
                    }
                }
                Err(error) => tracing::warn!(%error, "what was tried before is not known"),
            }
        }
        Tries(by)
    }

    fn rows(&self, subject: &str) -> &[Obligation] {
        self.0.get(subject).map_or(&[], Vec::as_slice)
    }

    /// How often it failed, and when it is tried again. `deed`: that one; what is owed where none is
    /// named.
    pub(crate) fn failed(&self, subject: &str, deed: Option<&str>) -> Option<(u64, Timestamp)> {
        let of = |row: &&Obligation| match deed {
            Some(deed) => row.deed == deed,
            None => is_duty(row),
        };
        let rows = self.rows(subject).iter().filter(of).filter(|row| row.attempts > 0);
        rows.filter_map(|row| Some((row.attempts, moment(row.next_try_at?)?))).max()
    }

    /// Since when a row of that name is open.
    pub(crate) fn since(&self, subject: &str, deed: &str) -> Option<Timestamp> {
        let row = self.rows(subject).iter().find(|row| row.deed == deed)?;
        moment(row.not_before)
    }

    /// The ids of the things that have a row of that name.
    pub(crate) fn subjects(&self, deed: &str) -> BTreeSet<String> {
        self.with(deed).map(|row| row.subject.clone()).collect()
    }

    /// The things that have a row of that name.
    fn with(&self, deed: &str) -> impl Iterator<Item = &Obligation> {
        self.0.values().flatten().filter(move |row| row.deed == deed)
    }
}

fn entry(context: &Context, kind: &str, row: Obligation) -> NewEntry {
    let entry = context.entry(kind, &row.subject).detail("deed", row.deed.clone());
    entry.change(Change::Obligation(row))
}

fn fresh(subject: &str, deed: &str, from: Timestamp) -> Obligation {
    Obligation {
        id: format!("{subject}#{deed}"),
        subject: subject.to_owned(),
        deed: deed.to_owned(),
        not_before: from.as_millisecond(),
        due_by: 0,
        on_overdue: "finding".to_owned(),
        state: "open".to_owned(),
        attempts: 0,
        next_try_at: None,
        detail: Some(json!({ "carried_by": "next_run" })),
    }
}

fn closed(row: &Obligation) -> Obligation {
    Obligation { state: "met".to_owned(), next_try_at: None, ..row.clone() }
}

async fn append(context: &Context, entries: Vec<NewEntry>) {
    if context.read_only || entries.is_empty() {
        return;
    }
    if let Err(error) = context.ledger.append(entries, Durability::Durable).await {
        tracing::warn!(%error, "what failed was not written down");
    }
}

/// Writes down that something failed. `deed` is that of a row of its own; what is owed has its rows
/// already.
pub(crate) async fn note_failed(
    context: &Context,
    subject: &str,
    deed: Option<&str>,
    problem: &Problem,
) {
    if context.read_only || !context.ledger.keeps() {
        return;
    }
    let Ok(have) = context.ledger.obligations_of(subject).await else { return };
    let now = context.now();
    let rows: Vec<Obligation> = match deed {
        Some(deed) => {
            let known = have.into_iter().find(|row| row.deed == deed);
            vec![known.unwrap_or_else(|| fresh(subject, deed, now))]
        }
        None => {
            let due = |row: &Obligation| is_duty(row) && row.not_before <= now.as_millisecond();
            have.into_iter().filter(due).collect()
        }
    };
    let entries = rows.into_iter().map(|mut row| {
        row.attempts += 1;
        let again = next_try(subject, row.attempts, context.rules.retry_after, now);
        row.next_try_at = Some(again.as_millisecond());
        let (attempts, key) = (row.attempts, row.detail.as_ref().and_then(|one| one.get("key")));
        let key = key.cloned().unwrap_or(Value::Null);
        entry(context, "obligation.failed", row)
            .detail("attempts", attempts)
            .detail("code", problem.code)
            .detail("key", key)
            .detail("next_try_at", crate::journal::moment(again))
    });
    append(context, entries.collect()).await;
}

/// Closes the rows of what is not to be done any more: `open` has those that are, each with its subject.
pub(crate) async fn settle(
    context: &Context,
    tries: &Tries,
    deeds: &[&str],
    looked_at: &BTreeSet<String>,
    open: &BTreeSet<(String, String)>,
) {
    let stale = deeds.iter().flat_map(|deed| tries.with(deed)).filter(|row| {
        looked_at.contains(&row.subject) && !open.contains(&(row.subject.clone(), row.deed.clone()))
    });
    let entries = stale.map(|row| entry(context, "obligation.met", closed(row))).collect();
    append(context, entries).await;
}

/// Opens rows of that name for what has none, from now on.
pub(crate) async fn open(context: &Context, tries: &Tries, deed: &str, of: &BTreeSet<String>) {
    if !context.ledger.keeps() {
        return;
    }
    let new = of.iter().filter(|subject| tries.since(subject, deed).is_none());
    let entries =
        new.map(|subject| entry(context, "obligation.made", fresh(subject, deed, context.now())));
    append(context, entries.collect()).await;
}

/// Closes the row of one thing, if it has one.
pub(crate) async fn note_done(context: &Context, subject: &str, deed: &str) {
    if context.read_only || !context.ledger.keeps() {
        return;
    }
    let Ok(have) = context.ledger.obligations_of(subject).await else { return };
    let open = have.iter().filter(|row| row.deed == deed);
    append(context, open.map(|row| entry(context, "obligation.met", closed(row))).collect()).await;
}
