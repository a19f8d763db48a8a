//! What somebody did alone in an emergency, and owes a review for.
//!
//! The debt is a row of the ledger. It is open until those who would have approved the change sign it
//! afterwards, as they would have before, and until then nothing is in policy.

use std::collections::BTreeSet;

use jiff::Timestamp;
use ledger::{Change, NewEntry, Obligation};
use policy::{
    change::{
        Digest,
        impact::Level,
        quorum::{Question, Tally, tally},
    },
    findings::{Finding, break_glass_unreviewed},
    schedule::later,
};
use serde_json::{Value, json};

use crate::{
    Context, Problem,
    review::{Asked, Judged, ReviewBoard, USED, use_of},
};

/// The deed of its row.
const DEED: &str = "break_glass";

/// One change that somebody made alone.
#[derive(Debug, Clone, PartialEq)]
pub struct Debt {
    /// The object that was changed.
    pub subject: String,
    /// The change.
    pub digest: Digest,
    /// How much it matters.
    pub level: Level,
    /// Who did it.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// When it must be reviewed at the latest.
    pub due: Timestamp,
    /// Whose word counts as the owner's.
    owners: BTreeSet<String>,
    row: Obligation,
}

/// Whether one more may be owed.
///
/// # Errors
///
/// `E-BREAK-GLASS`: as many are open as the policy allows, or no ledger keeps them.
pub(crate) async fn may_owe_more(context: &Context, board: &ReviewBoard) -> Result<(), Problem> {
    let refused = |why: String, next: &str| {
        Err(Problem::new("E-BREAK-GLASS", "The glass cannot be broken").detail(why).next(next))
    };
    if !context.ledger.keeps() {
        let why = "No ledger is kept here, so that nobody would be asked to review it afterwards.";
        return refused(why.to_owned(), "name a ledger in nhi.hcl, or have it approved");
    }
    let most = board.terms.board.break_glass.as_ref().map_or(0, |terms| terms.changes);
    let open = debts(context).await?.len();
    if open >= most {
        let why = format!(
            "{open} changes that were made so wait for a review, and the policy allows {most} at once."
        );
        return refused(why, "have them reviewed: nhi drift names them, with the command for each");
    }
    Ok(())
}

/// The entry that allows it, with what is owed for that.
pub(crate) fn owing(
    context: &Context,
    board: &ReviewBoard,
    entry: NewEntry,
    asked: &Asked,
    judged: &Judged,
    who: &str,
) -> NewEntry {
    let at = context.now();
    let within = board.terms.board.break_glass.as_ref().map(|terms| terms.review_within);
    let due = later(at, within.unwrap_or_default());
    let row = Obligation {
        id: format!("{DEED}/{}/{}", judged.digest.hex(), at.as_second()),
        subject: asked.object.clone(),
        deed: DEED.to_owned(),
        not_before: 0,
        due_by: due.as_millisecond(),
        on_overdue: "finding".to_owned(),
        state: "open".to_owned(),
        attempts: 0,
        next_try_at: None,
        detail: Some(json!({
            "carried_by": "person",
            "digest": judged.digest.hex(),
            "level": judged.impact.level.as_str(),
            "by": who,
            "at": at.to_string(),
            "owners": board.owners_of(asked),
        })),
    };
    entry.detail("broken_by", who).change(Change::Obligation(row))
}

/// Whether a review of this change is owed.
pub(crate) async fn is_owed(context: &Context, digest: Digest) -> Result<bool, Problem> {
    Ok(debts(context).await?.iter().any(|debt| debt.digest == digest))
}

/// Everything that is owed, oldest first. Nothing where no ledger is kept.
///
/// # Errors
///
/// The ledger cannot be read, or a row is none of ours.
pub async fn debts(context: &Context) -> Result<Vec<Debt>, Problem> {
    let rows = context.ledger.obligations_with(DEED).await?;
    let open = rows.into_iter().filter(|row| row.state == "open");
    let mut debts = open.map(read).collect::<Result<Vec<Debt>, Problem>>()?;
    debts.sort_by(|a, b| (a.at, &a.subject).cmp(&(b.at, &b.subject)));
    Ok(debts)
}

fn read(row: Obligation) -> Result<Debt, Problem> {
    let detail = row.detail.clone().unwrap_or_default();
    let text = |name: &str| detail.get(name).and_then(Value::as_str);
    let read = || {
        let owners = detail.get("owners").and_then(Value::as_array)?;
        let owners = owners.iter().map(|one| one.as_str().map(str::to_owned));
        Some(Debt {
            subject: row.subject.clone(),
            digest: Digest::parse(text("digest")?)?,
            level: Level::from_word(text("level")?)?,
            by: text("by")?.to_owned(),
            at: text("at")?.parse().ok()?,
            due: Timestamp::from_millisecond(row.due_by).ok()?,
            owners: owners.collect::<Option<_>>()?,
            row: row.clone(),
        })
    };
    read().ok_or_else(|| {
        Problem::new("E-LEDGER", "A row of the ledger cannot be read")
            .detail(format!("{}: it is none of ours.", row.id))
            .next("nhi ledger verify")
    })
}

impl Debt {
    /// Who has reviewed it by now. Whoever did it counts as who asks, and is none of them.
    ///
    /// # Errors
    ///
    /// What was signed cannot be read.
    pub fn reviewed(&self, context: &Context, board: &ReviewBoard) -> Result<Tally, Problem> {
        let now = context.time();
        let (votes, _) = board.votes(self.digest, now)?;
        let question = Question {
            level: self.level,
            requester: Some(&self.by),
            owners: self.owners.clone(),
            policy_version: board.terms.version,
            now,
        };
        // What was said before it was done was about whether to do it.
        let votes: Vec<_> = votes.into_iter().filter(|vote| vote.signed_at > self.at).collect();
        Ok(tally(&board.terms.board, &question, &votes))
    }
}

/// What is told of what is owed, with its fingerprint. Where nobody reviews any more, it is told all the
/// same.
///
/// # Errors
///
/// The ledger or what was signed cannot be read.
pub async fn unreviewed(context: &Context) -> Result<Vec<([u8; 16], Finding)>, Problem> {
    let board = context.gate.board();
    let mut found = Vec::new();
    for debt in debts(context).await? {
        let tally = board.map(|board| debt.reviewed(context, board)).transpose()?;
        if tally.as_ref().is_some_and(Tally::is_enough) {
            continue;
        }
        let have = tally.map_or(0, |tally| tally.have.len());
        let next = format!("nhi approve {} --role ROLE", debt.digest.short());
        let one = break_glass_unreviewed(&debt.subject, &debt.by, debt.at, debt.due, have, &next);
        let one = context.rules.findings.weighed(one);
        found.push((one.fingerprint(&debt.digest.hex(), &debt.subject), one));
    }
    Ok(found)
}

/// Closes what was reviewed by now, and gives what that was.
///
/// # Errors
///
/// The ledger cannot be read or written.
pub async fn close_reviewed(context: &Context) -> Result<Vec<Debt>, Problem> {
    let Some(board) = context.gate.board() else { return Ok(Vec::new()) };
    let mut closed = Vec::new();
    for debt in debts(context).await? {
        let tally = debt.reviewed(context, board)?;
        if !tally.is_enough() {
            continue;
        }
        let row = Obligation { state: "met".to_owned(), ..debt.row.clone() };
        let mut entry = context
            .entry("break_glass.reviewed", &debt.subject)
            .detail("approved_as", json!(tally.have.values().collect::<Vec<_>>()))
            .change(Change::Obligation(row));
        entry.digest_after = Some(debt.digest.hex());
        // What was signed was the review, and allows nothing more.
        let mut using = context.entry(USED, &use_of(debt.digest));
        using.auth = Some(format!("review:{}", debt.digest));
        context.journal_all(vec![entry, using]).await?;
        closed.push(debt);
    }
    Ok(closed)
}
