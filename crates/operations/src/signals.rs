//! What is heard from outside: kept in the ledger, open until a person closes it, or, of an exposure,
//! until what it named has ended.
//!
//! An exposure names credentials and not a time. So the one that is issued next is not exposed by it,
//! whatever any clock says, and nothing rotates without end.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use domain::{CredentialId, IntegrationId, realm::short};
use jiff::Timestamp;
use ledger::{Change, Durability, NewEntry, Obligation, Selection};
use policy::{
    findings::{Heard, heard},
    signal::{self, Kind},
};
use serde_json::{Value, json};

use crate::{Context, Judged, Problem, journal::moment};

/// How long a text of who reports something may be.
const TEXT_MOST: usize = 500;
/// How long an id of theirs may be.
const ID_MOST: usize = 128;
/// How many ids are named where one is not known.
const NAMED: usize = 12;
/// The word of a row that is open.
const OPEN: &str = "open";

/// Something that was heard, of one subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signal {
    /// Its id; all rows of one exposure have it.
    pub id: String,
    /// What it is.
    pub kind: Kind,
    /// What it is about: a connection, an integration, or a credential.
    pub subject: String,
    /// When it happened.
    pub at: Timestamp,
    /// Who said so.
    pub source: String,
    /// The SHA-256 of what shows it, in hexadecimal.
    pub evidence: Option<String>,
    /// From when on it counts no more.
    pub ends_at: Option<Timestamp>,
    /// What was said besides.
    pub note: Option<String>,
    /// The credentials that are exposed; none but of an exposure.
    pub keys: BTreeSet<String>,
    /// `open`, `closed` by a person, or `met`: what it named has ended.
    pub state: String,
}

/// Something that is reported.
#[derive(Debug, Clone)]
pub struct NewSignal {
    /// The id that its reporter gave it; the same twice is one. Without one it has the digest of the rest.
    pub id: Option<String>,
    /// What it is.
    pub kind: Kind,
    /// What it is about: a connection, an integration, a credential, or the platform's id of one.
    pub subject: String,
    /// Only this credential of it, by the platform's id.
    pub key: Option<String>,
    /// When it happened; now, where nobody says.
    pub at: Option<Timestamp>,
    /// Who says so.
    pub source: String,
    /// The SHA-256 of what shows it, in hexadecimal, with or without `sha256:` before it.
    pub evidence: Option<String>,
    /// From when on it counts no more.
    pub ends_at: Option<Timestamp>,
    /// What is said besides.
    pub note: Option<String>,
}

/// What became of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// What is kept, a row for each credential that is exposed.
    pub signals: Vec<Signal>,
    /// It was there before.
    pub known: bool,
}

/// What was heard and is open, as far as this run has read it: one reading of the ledger for all slots.
#[derive(Clone, Default)]
pub struct HeardSignals(Arc<Mutex<Option<Arc<Vec<Signal>>>>>);

impl fmt::Debug for HeardSignals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HeardSignals")
    }
}

impl HeardSignals {
    fn put(&self, all: Option<Arc<Vec<Signal>>>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = all;
    }

    fn get(&self) -> Option<Arc<Vec<Signal>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn of_row(row: &Obligation) -> Option<Signal> {
    let kind = Kind::from_word(&row.deed)?;
    let detail = row.detail.as_ref()?;
    let text = |name: &str| detail.get(name)?.as_str().map(str::to_owned);
    let keys = detail.get("keys").and_then(Value::as_array).into_iter().flatten();
    Some(Signal {
        id: text("signal")?,
        kind,
        subject: row.subject.clone(),
        at: Timestamp::from_millisecond(row.not_before).ok()?,
        source: text("source").unwrap_or_default(),
        evidence: text("evidence"),
        ends_at: text("ends_at").and_then(|text| text.parse().ok()),
        note: text("note"),
        keys: keys.filter_map(Value::as_str).map(str::to_owned).collect(),
        state: row.state.clone(),
    })
}

fn row_of(one: &Signal) -> Obligation {
    Obligation {
        id: format!("{}#{}", one.subject, one.id),
        subject: one.subject.clone(),
        deed: one.kind.as_str().to_owned(),
        not_before: one.at.as_millisecond(),
        due_by: 0,
        on_overdue: "finding".to_owned(),
        state: one.state.clone(),
        attempts: 0,
        next_try_at: None,
        detail: Some(json!({
            "signal": one.id, "source": one.source, "evidence": one.evidence,
            "ends_at": one.ends_at.map(moment), "note": one.note, "keys": one.keys,
            "carried_by": "person",
        })),
    }
}

fn entry(context: &Context, kind: &str, one: &Signal) -> NewEntry {
    let entry = context.entry(kind, &one.subject).detail("signal", one.id.clone());
    entry.detail("kind", one.kind.as_str()).change(Change::Obligation(row_of(one)))
}

/// What was heard and is open.
///
/// # Errors
///
/// The ledger cannot be read, which is told as well.
async fn all_open(context: &Context) -> Result<Arc<Vec<Signal>>, Problem> {
    if let Some(read) = context.signals.get() {
        return Ok(read);
    }
    if !context.ledger.keeps() {
        return Ok(Arc::default());
    }
    match context.ledger.open_obligations().await {
        Ok(rows) => {
            let all: Arc<Vec<Signal>> = Arc::new(rows.iter().filter_map(of_row).collect());
            context.signals.put(Some(all.clone()));
            Ok(all)
        }
        Err(error) => {
            tracing::warn!(%error, "what was heard from outside is not known");
            let problem = Problem {
                summary: "What was heard from outside is not known",
                ..Problem::from(error)
            };
            context.notices.add_once(problem.clone());
            Err(problem)
        }
    }
}

/// Who says of a slot that one of these is exposed: id and source of each.
pub(crate) async fn exposed_by<'a>(
    context: &Context,
    slot: &str,
    works: impl Iterator<Item = &'a String> + Clone,
) -> Vec<String> {
    let open = all_open(context).await.unwrap_or_default();
    let of = open.iter().filter(|one| one.kind == Kind::Exposure && one.subject == slot);
    let still = of.filter(|one| signal::is_exposed(&one.keys, works.clone()));
    still.map(|one| format!("{} said so ({})", one.source, one.id)).collect()
}

/// Closes the exposures of a slot of which nothing works any more. `works`: what does.
pub(crate) async fn settle(context: &Context, slot: &str, works: &[String]) {
    if context.read_only || !context.ledger.keeps() {
        return;
    }
    let open = all_open(context).await.unwrap_or_default();
    let over = open.iter().filter(|one| {
        one.kind == Kind::Exposure
            && one.subject == slot
            && !signal::is_exposed(&one.keys, works.iter())
    });
    let met = over.map(|one| Signal { state: "met".to_owned(), ..one.clone() });
    let entries: Vec<NewEntry> = met.map(|one| entry(context, "signal.met", &one)).collect();
    if entries.is_empty() {
        return;
    }
    context.signals.put(None);
    if let Err(error) = context.ledger.append(entries, Durability::Durable).await {
        tracing::warn!(%error, "that an exposure is over was not written down");
    }
}

/// What was heard of what `asked` takes, and is open. What is exposed is told by its own status. A ledger
/// that cannot be read is a gap: nobody knows then that nothing was heard.
pub async fn judge_heard(context: &Context, asked: impl Fn(&str) -> bool) -> Judged {
    let mut judged = Judged::default();
    let now = context.time();
    let open = match all_open(context).await {
        Ok(open) => open,
        Err(problem) => {
            judged.gaps.push(("signals".to_owned(), problem));
            return judged;
        }
    };
    for one in open.iter() {
        if !signal::counts(one.ends_at, now) || !asked(&one.subject) {
            continue;
        }
        let told = heard(&Heard {
            id: &one.id,
            kind: one.kind,
            subject: &one.subject,
            source: &one.source,
            at: one.at,
            note: one.note.as_deref(),
        });
        judged.found("", &one.subject, told);
    }
    judged.weighed(context)
}

/// Everything that was heard: what is open, and with `all` what was closed as well, the newest last.
///
/// # Errors
///
/// The ledger cannot be read.
pub async fn all_heard(context: &Context, all: bool) -> Result<Vec<Signal>, Problem> {
    let mut heard: Vec<Signal> = if all {
        rows(context).await?
    } else {
        context.ledger.open_obligations().await?.iter().filter_map(of_row).collect()
    };
    heard.sort_by(|a, b| (a.at, &a.id, &a.subject).cmp(&(b.at, &b.id, &b.subject)));
    Ok(heard)
}

/// Every row of a signal, whatever its state. Rows outlast entries, which may lie in a file.
async fn rows(context: &Context) -> Result<Vec<Signal>, Problem> {
    let mut all = Vec::new();
    for kind in Kind::ALL {
        let rows = context.ledger.obligations_with(kind.as_str()).await?;
        all.extend(rows.iter().filter_map(of_row));
    }
    Ok(all)
}

/// Whether a subject is that object, or hangs below it.
fn is_below(subject: &str, object: &str) -> bool {
    let rest = subject.strip_prefix(object);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn wrong(detail: impl Into<String>, next: &str) -> Problem {
    Problem::new("E-SIGNAL", "This report cannot be taken").detail(detail).next(next)
}

fn no_ledger(context: &Context) -> Problem {
    Problem::new("E-SIGNAL-LEDGER", "Nothing can keep what is reported")
        .detail(format!(
            "{}: what is heard from outside is kept in the ledger, and acted upon from there.",
            context.ledger.place()
        ))
        .next("take ledger = { none = true } out of nhi.hcl; until then: nhi rotate ID --exposed")
}

/// A text of who reports, as it may be kept.
fn text(what: &str, text: &str) -> Result<String, Problem> {
    let text = text.trim();
    let fine = !text.is_empty() && text.len() <= TEXT_MOST && !text.chars().any(char::is_control);
    if fine {
        return Ok(text.to_owned());
    }
    let detail =
        format!("{what} must be one line of 1 to {TEXT_MOST} bytes, without control signs.");
    Err(wrong(detail, "say it shorter; what shows it is named by its hash, as evidence"))
}

fn hash(text: &str) -> Result<String, Problem> {
    let hex = text.strip_prefix("sha256:").unwrap_or(text).to_ascii_lowercase();
    if hex.len() == 64 && hex.bytes().all(|one| one.is_ascii_hexdigit()) {
        return Ok(hex);
    }
    Err(wrong(
        "evidence must be a SHA-256: 64 hexadecimal digits, with or without sha256: before them.",
        "sha256sum FILE prints it",
    ))
}

fn checked_id(id: &str) -> Result<String, Problem> {
    let fine = |one: u8| one.is_ascii_alphanumeric() || b"-_.:".contains(&one);
    if (1..=ID_MOST).contains(&id.len()) && id.bytes().all(fine) {
        return Ok(id.to_owned());
    }
    Err(wrong(
        format!("id must be 1 to {ID_MOST} letters, digits or one of - _ . : of ASCII."),
        "leave it out, and it is made of what is reported",
    ))
}

/// What a subject is, with the slots below it and the credentials of each.
struct Meant {
    subject: String,
    /// The connection or integration that all of it hangs below.
    root: String,
    /// The one credential that is meant, where one is.
    key: Option<String>,
    slots: BTreeMap<String, BTreeSet<String>>,
}

impl Meant {
    /// Whether it says more than what was said under its id before. What a slot has by now does not count:
    /// a report that comes twice is one, though its slot was rotated in between.
    fn is_beyond(&self, kind: Kind, before: &[Signal]) -> bool {
        let was = |subject: &String| before.iter().any(|one| one.subject == *subject);
        match (kind, &self.key) {
            (Kind::Exposure, Some(key)) => !before.iter().any(|one| one.keys.contains(key)),
            (Kind::Exposure, None) => !self.slots.keys().all(was),
            // What is about one credential is about its slot, and about all when it has ended.
            (Kind::Anomaly | Kind::Incident, Some(_)) => !self.slots.keys().all(was),
            (Kind::Anomaly | Kind::Incident, None) => !was(&self.subject),
        }
    }
}

/// Finds what a report is about among what the ledger knows.
async fn find(context: &Context, new: &NewSignal) -> Result<Meant, Problem> {
    let ledger = &context.ledger;
    let rows = ledger.integrations(&Selection::all()).await?;
    let (of, slot) = match new.subject.parse::<CredentialId>() {
        Ok(id) => (id.integration.to_string(), Some(id.name)),
        Err(_) => (new.subject.clone(), None),
    };
    let (selection, root, key) = if rows.iter().any(|row| row.id == of) {
        (Selection::of(of.clone()), of.clone(), new.key.clone())
    } else if rows.iter().any(|row| row.connection() == of && of.parse::<IntegrationId>().is_err())
    {
        let connection = Some(of.clone());
        (Selection { connection, ..Selection::all() }, of.clone(), new.key.clone())
    } else {
        // A platform's own id of a credential, where only one has it.
        let keys = ledger.credentials(&Selection::all()).await?;
        let mut found = keys.iter().filter(|key| key.vendor_id == new.subject);
        match (found.next(), found.next()) {
            (Some(one), None) => {
                let id = one.integration.clone();
                (Selection::of(id.clone()), id, Some(new.subject.clone()))
            }
            (Some(_), Some(_)) => {
                return Err(wrong(
                    format!("{:?} is a credential of more than one integration.", new.subject),
                    "name the integration, and the credential with key (--key)",
                ));
            }
            (None, _) => return Err(unknown(new, rows.iter().map(|row| row.id.clone()).collect())),
        }
    };
    let mut slots: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let full = |integration: &str, name: &str| format!("{integration}/credential/{name}");
    for row in ledger.slots(&selection).await? {
        let id = full(&row.integration, &row.name);
        slots.entry(id).or_default().extend(row.current);
    }
    for row in ledger.credentials(&selection).await? {
        let works = matches!(row.state.as_str(), "current" | "previous");
        if let Some(name) = row.slot.as_deref().filter(|_| works) {
            slots.entry(full(&row.integration, name)).or_default().insert(row.vendor_id);
        }
    }
    if let Some(name) = &slot {
        let wanted = full(&of, name);
        let known: Vec<String> = slots.keys().cloned().collect();
        slots.retain(|id, _| *id == wanted);
        if slots.is_empty() {
            return Err(unknown(new, known));
        }
    }
    let mut subject = if slot.is_some() { new.subject.clone() } else { root.clone() };
    if let Some(key) = &key {
        slots.values_mut().for_each(|keys| keys.retain(|one| one == key));
        slots.retain(|_, keys| !keys.is_empty());
        // What is about one credential is about its slot.
        if let Some(slot) = slots.keys().next() {
            subject = slot.clone();
        }
    }
    slots.retain(|_, keys| !keys.is_empty());
    Ok(Meant { subject, root, key, slots })
}

fn unknown(new: &NewSignal, mut known: Vec<String>) -> Problem {
    known.retain(|id| !id.starts_with("owner/"));
    let more = known.len().saturating_sub(NAMED);
    known.truncate(NAMED);
    let more = if more == 0 { String::new() } else { format!("\n  and {more} more") };
    let known = if known.is_empty() { "none".to_owned() } else { known.join("\n  ") };
    Problem::new("E-SIGNAL-UNKNOWN", "The ledger knows nothing of that name")
        .detail(format!(
            "{:?} is no connection, integration or credential in the ledger. It knows:\n  {known}{more}",
            new.subject
        ))
        .next(
            "name one as nhi drift prints it, or the platform's id of a credential; what no ledger knows \
             is ended at its platform, or by nhi revoke",
        )
}

impl NewSignal {
    /// What it is called where its reporter did not say: the same report twice is one.
    fn digest(&self, keys: &BTreeMap<String, BTreeSet<String>>) -> String {
        let at = self.at.map(moment).unwrap_or_default();
        let keys: Vec<String> = keys
            .iter()
            .flat_map(|(slot, keys)| keys.iter().map(move |key| format!("{slot}#{key}")))
            .collect();
        let keys = keys.join(" ");
        let parts = [
            self.kind.as_str(),
            &self.subject,
            self.key.as_deref().unwrap_or_default(),
            &self.source,
            self.evidence.as_deref().unwrap_or_default(),
            self.note.as_deref().unwrap_or_default(),
            &at,
            &keys,
        ];
        format!("s-{}", short(&domain::realm::digest_of("nhi-signal/1", &parts), 12))
    }

    fn checked(&self, now: Timestamp) -> Result<NewSignal, Problem> {
        let new = NewSignal {
            id: self.id.as_deref().map(checked_id).transpose()?,
            source: text("source", &self.source)?,
            note: self.note.as_deref().map(|note| text("note", note)).transpose()?,
            evidence: self.evidence.as_deref().map(hash).transpose()?,
            key: self.key.as_deref().map(|key| text("key", key)).transpose()?,
            subject: text("subject", &self.subject)?,
            ..self.clone()
        };
        let slack = jiff::SignedDuration::from_mins(5);
        if new.at.is_some_and(|at| at.duration_since(now) > slack) {
            return Err(wrong("It is said to happen later than now.", "say when it happened"));
        }
        match (new.kind, new.ends_at) {
            (Kind::Exposure, Some(_)) => Err(wrong(
                "An exposure has no end of its own: it is over when what is exposed has ended.",
                "leave its end out",
            )),
            (_, Some(end)) if end <= now => {
                Err(wrong("Its end is past.", "leave its end out, or name one that is to come"))
            }
            _ => Ok(new),
        }
    }
}

/// Keeps what is reported; the same once more is known, and changes nothing.
///
/// An exposure is kept of each credential that it names, and such a slot is exposed until those have
/// ended. What is reported of what the ledger does not know is refused.
///
/// # Errors
///
/// It cannot be kept, is not right, or is about nothing that is known.
pub async fn receive(context: &Context, new: &NewSignal) -> Result<Received, Problem> {
    context.may_change()?;
    if !context.ledger.keeps() {
        return Err(no_ledger(context));
    }
    let now = context.now();
    let new = new.checked(now)?;
    let meant = find(context, &new).await?;
    let id = new.id.clone().unwrap_or_else(|| new.digest(&meant.slots));
    let base = Signal {
        id: id.clone(),
        kind: new.kind,
        subject: meant.subject.clone(),
        at: new.at.unwrap_or(now),
        source: new.source.clone(),
        evidence: new.evidence.clone(),
        ends_at: new.ends_at,
        note: new.note.clone(),
        keys: BTreeSet::new(),
        state: OPEN.to_owned(),
    };
    let mut before = rows(context).await?;
    before.retain(|one| one.id == id && is_below(&one.subject, &meant.root));
    if let Some(first) = before.first() {
        if first.kind != new.kind || first.source != new.source {
            return Err(wrong(
                format!(
                    "{id} was reported before, as {} by {}.",
                    first.kind.as_str(),
                    first.source
                ),
                "give what is new an id of its own",
            ));
        }
        if meant.is_beyond(new.kind, &before) {
            return Err(wrong(
                format!("{id} was reported before, of something else."),
                "give what is new an id of its own",
            ));
        }
        before.sort_by(|a, b| a.subject.cmp(&b.subject));
        return Ok(Received { signals: before, known: true });
    }
    let signals: Vec<Signal> = match new.kind {
        Kind::Exposure => {
            let of = |(slot, keys): (&String, &BTreeSet<String>)| Signal {
                subject: slot.clone(),
                keys: keys.clone(),
                ..base.clone()
            };
            meant.slots.iter().map(of).collect()
        }
        Kind::Anomaly | Kind::Incident => vec![base],
    };
    if signals.is_empty() {
        return Err(Problem::new("E-SIGNAL-NOTHING", "No credential of it is known")
            .detail(format!(
                "{}: the ledger knows no credential of it that works, so none can be exposed.",
                meant.subject
            ))
            .next(
                "where one works that nobody declared: nhi drift names it, and nhi revoke ends it; where \
                 all had ended before, nothing is left to do",
            ));
    }
    let entries = signals.iter().map(|one| {
        let entry = entry(context, "signal.received", one);
        entry.detail("source", one.source.clone()).detail("evidence", json!(one.evidence))
    });
    context.journal_all(entries.collect()).await?;
    context.signals.put(None);
    Ok(Received { signals, known: false })
}

/// A person's word that something that was heard needs nothing more.
///
/// # Errors
///
/// Nothing of that id is open, or it cannot be written down.
pub async fn close(context: &Context, id: &str, reason: &str) -> Result<Vec<Signal>, Problem> {
    context.may_change()?;
    if !context.ledger.keeps() {
        return Err(no_ledger(context));
    }
    let reason = text("reason", reason)?;
    let open = all_heard(context, false).await?;
    let closed: Vec<Signal> = open
        .iter()
        .filter(|one| one.id == id)
        .map(|one| Signal { state: "closed".to_owned(), ..one.clone() })
        .collect();
    if closed.is_empty() {
        let ids: BTreeSet<&str> = open.iter().map(|one| one.id.as_str()).collect();
        let ids: Vec<&str> = ids.into_iter().take(NAMED).collect();
        let ids = if ids.is_empty() { "none".to_owned() } else { ids.join(", ") };
        return Err(Problem::new("E-SIGNAL-UNKNOWN", "Nothing of that id is open")
            .detail(format!("{id:?} is none of those that are open: {ids}."))
            .next("nhi signal list --all shows what was closed, too"));
    }
    let entries = closed
        .iter()
        .map(|one| entry(context, "signal.closed", one).detail("reason", reason.clone()));
    context.journal_all(entries.collect()).await?;
    context.signals.put(None);
    Ok(closed)
}
