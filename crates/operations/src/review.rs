//! Whether a change was approved, asked at the moment in which it is made.
//!
//! The order is fixed: what is signed, by whom, whether that is enough and still holds, whether it was used
//! already; then that it is allowed is written down, durably; then the platform is called; then how that
//! ended. Whatever fails on the way ends before the call.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use approval::{Revoked, Signers, Store, Trust, Unread, namespace, votes};
use domain::{IntegrationId, Now};
use jiff::Timestamp;
use ledger::{Filter, NewEntry, port::Subject};
use policy::{
    change::{
        Action, Change, Digest, Value, freeze,
        impact::{Facts, Impact, Level, impact},
        quorum::{Decision, Presence, Question, Tally, Vote, tally},
        review::{Review, owners_named},
        standing::{self, Class},
    },
    elevation::Approval,
};

use crate::{Context, Lease, Problem, break_glass, observe_integration};

/// The kinds of the entries that say what became of a change.
const AUTHORIZED: &str = "change.authorized";
/// What was signed is used: under the change's own name, whatever leads to its object.
pub(crate) const USED: &str = "change.used";
/// Nothing came of that use.
const RELEASED: &str = "change.released";
const DONE: &str = "change.done";
const FAILED: &str = "change.failed";

/// What tells an approval in `auth` from what rules allow.
const AUTH: &str = "approval:";

/// The same of what somebody did alone in an emergency.
const BROKEN: &str = "break-glass:";

/// What tells what was approved once and for all in `auth`.
const STANDING: &str = "standing:";

/// As the rules have it.
pub(crate) const BY_RULES: Approval = Approval::AtLeast(Level::Low);

/// Who reviews changes, and what they have said.
pub struct ReviewBoard {
    /// How changes are reviewed.
    pub terms: Review,
    /// SHA-256 of the policy's text, in hexadecimal digits.
    pub policy_digest: String,
    /// Who may sign.
    pub signers: Signers,
    /// Whose keys count no more.
    pub revoked: Revoked,
    /// What was signed.
    pub store: Box<dyn Store + Send + Sync>,
    /// Who asks, where that is proven.
    pub requester: Option<String>,
    /// Why it is not, where somebody tried to show it.
    pub unproven: Option<String>,
    /// What may be done to an object now, by its id.
    leaves: Mutex<BTreeMap<String, Vec<Held>>>,
    namespace: String,
}

/// What allows a change that is being made.
#[derive(Debug, Clone)]
struct Held {
    digest: Digest,
    auth: String,
    /// The change gives power, so that what gives some is part of it.
    gives: bool,
}

impl fmt::Debug for ReviewBoard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReviewBoard").field("version", &self.terms.version).finish_non_exhaustive()
    }
}

/// A change, with what is known beside its record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The object's id, as deeds and people call it.
    pub object: String,
    /// The record.
    pub change: Change,
    /// What its impact is judged by.
    pub facts: Facts,
    /// What makes its direction, in words.
    pub why: Vec<String>,
    /// Who owns it, by their ids, beside those that the record names.
    pub owners: BTreeSet<String>,
}

/// What surrounds an object and stands in no record of its own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// Who owns the integration, by their ids.
    pub owners: BTreeSet<String>,
    /// Where it runs.
    pub environment: Option<String>,
    /// How it runs.
    pub execution_mode: Option<String>,
    /// How many credentials it has that work.
    pub credentials: Option<usize>,
}

/// What stands of an integration on its platform, as far as it concerns changes of its scopes and
/// credentials. Nothing where it is not there yet.
///
/// # Errors
///
/// It cannot be read.
pub async fn surroundings(context: &Context, id: &IntegrationId) -> Result<Surroundings, Problem> {
    let Some(seen) = observe_integration(context, id, None, None).await? else {
        return Ok(Surroundings::default());
    };
    // A platform that lists them apart gives none with the object.
    let live: BTreeSet<&String> = match &seen.observed.credentials {
        Some(all) => all.iter().filter(|one| one.live).map(|one| &one.key_id).collect(),
        None => (seen.unmanaged.iter().chain(seen.foreign.keys()))
            .chain(&seen.own)
            .chain(seen.slots.keys())
            .collect(),
    };
    Ok(of_record(&seen.observed.record.clone().unwrap_or_default(), Some(live.len())))
}

fn of_record(record: &domain::Record, credentials: Option<usize>) -> Surroundings {
    let owners = [&record.business_owner, &record.technical_owner];
    Surroundings {
        owners: owners.into_iter().flatten().map(|owner| owner.id.clone()).collect(),
        environment: record.environment.clone(),
        execution_mode: record.execution_mode.clone(),
        credentials,
    }
}

/// What the board says of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// The change's digest.
    pub digest: Digest,
    /// How much it matters.
    pub impact: Impact,
    /// Who has approved it, and who is missing.
    pub tally: Tally,
    /// What is kept of it and does not count.
    pub unread: Vec<Unread>,
    /// When it was done the last time under signatures that count no more since.
    pub used_at: Option<Timestamp>,
    /// When each of those who count signed, and what their key shows.
    pub signed: BTreeMap<String, (Timestamp, Presence)>,
    /// It is approved beforehand, as one of this class.
    pub beforehand: Option<Class>,
}

impl Judged {
    /// Somebody must approve it.
    pub fn needs_somebody(&self) -> bool {
        self.tally.needed > 0
    }

    /// What allows it, for the journal.
    pub fn auth(&self) -> String {
        match (self.beforehand, self.needs_somebody()) {
            (Some(class), _) => format!("standing:{}", class.as_str()),
            (None, true) if !self.tally.is_enough() => format!("{BROKEN}{}", self.digest),
            (None, true) => format!("{AUTH}{}", self.digest),
            (None, false) => format!("policy:{}", self.impact.level),
        }
    }
}

impl ReviewBoard {
    /// A board over what it goes by.
    pub fn new(
        terms: Review,
        policy_digest: String,
        signers: Signers,
        revoked: Revoked,
        store: Box<dyn Store + Send + Sync>,
    ) -> ReviewBoard {
        let leaves = Mutex::default();
        let (requester, unproven) = (None, None);
        let namespace = namespace(&terms.domain);
        ReviewBoard {
            terms,
            policy_digest,
            signers,
            revoked,
            store,
            requester,
            unproven,
            leaves,
            namespace,
        }
    }

    /// With who asks, where that is proven.
    #[must_use]
    pub fn asked_by(mut self, requester: Option<String>) -> ReviewBoard {
        self.requester = requester;
        self
    }

    /// With why nobody knows who asks.
    #[must_use]
    pub fn asked_by_nobody(mut self, why: Option<String>) -> ReviewBoard {
        self.unproven = why;
        self
    }

    /// The class of a change that is approved beforehand, if it is of one: it waits for nobody, whatever
    /// its level needs.
    fn beforehand(&self, asked: &Asked, level: Level) -> Option<Class> {
        let case = standing::Case {
            change: &asked.change,
            direction: asked.facts.direction,
            removes_owner: asked.facts.removes_owner,
            is_scheduled: level == Level::Low,
            // Nobody keeps what an approval gave, so that nothing is given back by it.
            approved: &Value::Null,
            lattice: &|_, _| domain::Direction::Unknown,
        };
        standing::class(case, &self.terms.standing)
    }

    /// Why a change is not made now whoever approves it: the time in which nothing of its level is.
    pub fn frozen(&self, asked: &Asked, level: Level, now: Now) -> Option<Problem> {
        if self.beforehand(asked, level).is_some() {
            return None;
        }
        let (freeze, until) = freeze::frozen(&self.terms.freezes, level, now)?;
        let until = until.strftime("%Y-%m-%dT%H:%M:%SZ");
        Some(
            Problem::new("E-CHANGE-FROZEN", "Nothing is changed now")
                .detail(format!(
                    "{}: frozen until {until}: {}. The change is of level {level}. What takes power away \
                     goes on.",
                    asked.object, freeze.reason
                ))
                .next(format!("apply again after {until}")),
        )
    }

    /// The namespace in which statements are signed here.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Whom to believe here.
    pub fn trust(&self) -> Trust<'_> {
        Trust { namespace: &self.namespace, signers: &self.signers, revoked: &self.revoked }
    }

    /// Everything that somebody who is known has said of a change, and what is kept of it and does not
    /// count.
    ///
    /// # Errors
    ///
    /// `E-APPROVAL-STORE`: what was signed cannot be read.
    pub(crate) fn votes(
        &self,
        digest: Digest,
        now: Now,
    ) -> Result<(Vec<Vote>, Vec<Unread>), Problem> {
        votes(&*self.store, digest, self.trust(), now).map_err(|error| {
            Problem::new("E-APPROVAL-STORE", "What was signed cannot be read")
                .detail(format!("{error}. That is not the same as that nobody signed."))
                .next("bring the folder of approvals back, as policy.hcl names it (an empty one is fine)")
        })
    }

    /// Who speaks for the owners of what a change is about.
    pub(crate) fn owners_of(&self, asked: &Asked) -> BTreeSet<String> {
        let mut owners = owners_named(&asked.change);
        owners.extend(asked.owners.iter().cloned());
        self.terms.speaking_for(owners.iter().map(String::as_str))
    }

    /// What it says of a change. What was signed before `used_at` counts no more.
    ///
    /// # Errors
    ///
    /// `E-APPROVAL-STORE`: what was signed cannot be read.
    pub fn judge(
        &self,
        asked: &Asked,
        used_at: Option<Timestamp>,
        now: Now,
    ) -> Result<Judged, Problem> {
        self.judge_as(asked, BY_RULES, used_at, now)
    }

    /// The same, where what was declared says whose approval it takes.
    fn judge_as(
        &self,
        asked: &Asked,
        least: Approval,
        used_at: Option<Timestamp>,
        now: Now,
    ) -> Result<Judged, Problem> {
        let digest = asked.change.digest();
        let mut impact = impact(&asked.change, &asked.facts, &self.terms.rules);
        // What is not approved beforehand needs somebody.
        let rotates = asked.change.action == Action::Rotate;
        if rotates
            && !self.terms.standing.contains(&Class::Rotation)
            && impact.level < Level::Medium
        {
            let reasons = vec!["rotations are not approved beforehand".to_owned()];
            impact = Impact { level: Level::Medium, reasons };
        }
        if let Approval::AtLeast(level) = least
            && level > impact.level
        {
            let why = format!("its declaration asks for the approval of a {level} change");
            impact = Impact { level, reasons: vec![why] };
        }
        let question = Question {
            level: impact.level,
            requester: self.requester.as_deref(),
            owners: self.owners_of(asked),
            policy_version: self.terms.version,
            now,
        };
        let count = |votes: &[_]| tally(&self.terms.board, &question, votes);
        let mut none = count(&[]);
        let beforehand = self.beforehand(asked, impact.level);
        if beforehand.is_some() {
            none.needed = 0;
            none.roles_missing.clear();
        }
        // What needs nobody and gives nothing goes on whatever state the store is in.
        if none.needed == 0 && !asked.facts.direction.may_widen() {
            let (unread, signed) = (Vec::new(), BTreeMap::new());
            return Ok(Judged { digest, impact, tally: none, unread, used_at, signed, beforehand });
        }
        let (mut votes, unread) = self.votes(digest, now)?;
        // A use ends what was signed before it. A no is never used up.
        if let Some(used) = used_at {
            let gives = [Decision::Approve, Decision::BreakGlass];
            votes.retain(|vote| vote.signed_at > used || !gives.contains(&vote.decision));
        }
        let tally = count(&votes);
        let counts = votes.iter().filter(|vote| tally.have.contains_key(&vote.principal));
        let signed =
            counts.map(|vote| (vote.principal.clone(), (vote.signed_at, vote.presence))).collect();
        Ok(Judged { digest, impact, tally, unread, used_at, signed, beforehand })
    }

    /// What allows a deed on an object now. A change that gives no power covers none that does: what is
    /// there may have been less than it began from.
    pub(crate) fn leave_for(&self, object: &str, widens: bool) -> Option<String> {
        let leaves = self.leaves();
        let mut held = leaves.get(object)?.iter().rev();
        held.find(|one| one.gives || !widens).map(|one| one.auth.clone())
    }

    fn leaves(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Vec<Held>>> {
        self.leaves.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why a change is refused, one paste away from being solved.
    pub fn refusal(&self, asked: &Asked, judged: &Judged) -> Problem {
        let problem = self.missing(asked, judged);
        let told = "Nothing was changed here. Other resources of this run are not affected.";
        Problem { detail: format!("{}\n{told}", problem.detail), ..problem }
    }

    /// What a change lacks, before anybody makes it.
    pub fn missing(&self, asked: &Asked, judged: &Judged) -> Problem {
        let Tally { needed, have, roles_missing, discounted, rejected_by, .. } = &judged.tally;
        let code = match (judged.tally.code(), judged.used_at) {
            (Some("E-APPROVAL-MISSING"), Some(_)) => "E-APPROVAL-USED",
            (code, _) => code.unwrap_or("E-APPROVAL-MISSING"),
        };
        let mut lines = vec![
            format!(
                "{} {} {}: {}.",
                asked.change.kind,
                asked.object,
                asked.facts.direction,
                listed(&asked.why, &asked.change)
            ),
            format!(
                "change {}   impact {}: {}   policy v{}",
                judged.digest,
                judged.impact.level,
                judged.impact.reasons.join("; "),
                self.terms.version
            ),
            self.needs(judged),
        ];
        for (principal, role) in have {
            let signed = judged.signed.get(principal);
            let signed = signed.map_or(String::new(), |(at, presence)| {
                let with = match presence {
                    Presence::Key => "a key",
                    Presence::Touched => "a hardware key",
                    Presence::Verified => "a hardware key that asked who uses it",
                };
                format!(", {with}, {}", at.strftime("%Y-%m-%dT%H:%MZ"))
            });
            lines.push(format!("have   {principal} ({role}{signed})"));
        }
        for one in discounted {
            lines.push(format!("does not count: {} {} ({})", one.principal, one.why, one.code));
        }
        for one in &judged.unread {
            lines.push(format!("does not count: {}: {} ({})", one.place, one.why, one.code));
        }
        if let Some(used) = judged.used_at {
            let at = used.strftime("%Y-%m-%dT%H:%M:%SZ");
            lines.push(format!("It was used at {at}: what was signed before that counts no more."));
        }
        if !rejected_by.is_empty() {
            let who: Vec<&str> = rejected_by.iter().map(String::as_str).collect();
            lines.push(format!("rejected by {}", who.join(", ")));
        }
        let problem = Problem::new(code, "Change not approved").detail(lines.join("\n"));
        if !rejected_by.is_empty() {
            return problem.next(
                "talk to whoever rejected it; a changed configuration is another change, with its own \
                 digest",
            );
        }
        let missing = needed.saturating_sub(have.len());
        let quorum = self.terms.board.quorum.range(judged.impact.level..).next();
        let usual = quorum.and_then(|(_, quorum)| quorum.roles.first());
        let role = roles_missing.first().or(usual).map_or("owner", String::as_str);
        let approve = format!("nhi approve {} --role {role}", judged.digest.short());
        problem.next(match missing {
            0 | 1 => approve,
            more => format!("{approve}\n      and {} more of those who may sign it", more - 1),
        })
    }

    /// What a change needs, in a line.
    pub fn needs(&self, judged: &Judged) -> String {
        let quorum = self.terms.board.quorum.range(judged.impact.level..).next();
        let quorum = quorum.or_else(|| self.terms.board.quorum.last_key_value());
        let Some((_, quorum)) = quorum else {
            return "needs a quorum that the policy does not name: nobody is enough".to_owned();
        };
        let roles = quorum.roles.union(&quorum.each);
        let roles: Vec<&str> = roles.map(String::as_str).collect();
        let of =
            if roles.is_empty() { String::new() } else { format!(" of {{{}}}", roles.join(", ")) };
        let each: Vec<&str> = quorum.each.iter().map(String::as_str).collect();
        let each = match each.is_empty() {
            true => String::new(),
            false => format!(", with {} among them", each.join(" and ")),
        };
        let who = match &self.requester {
            Some(who) => format!(", not the requester {who}"),
            None => {
                let why = self.unproven.as_ref().map_or(String::new(), |why| format!(" ({why})"));
                format!(", one more than usual since nobody has shown who asks{why}")
            }
        };
        let who = if judged.tally.needed == 0 { String::new() } else { who };
        format!("needs {} {}{of}{each}{who}", judged.tally.needed, people(judged.tally.needed))
    }
}

fn people(count: usize) -> &'static str {
    if count == 1 { "person" } else { "people" }
}

/// What makes the direction; else what differs.
fn listed(why: &[String], change: &Change) -> String {
    match why {
        [] => {
            let paths: BTreeSet<String> =
                change.differences().into_iter().map(|one| one.path).collect();
            let paths: Vec<String> = paths.into_iter().filter(|path| !path.is_empty()).collect();
            if paths.is_empty() { change.action.to_string() } else { paths.join(", ") }
        }
        why => why.join(", "),
    }
}

/// Leave to make one change. While it lives, deeds on the object go through; how that ended is told with
/// [`Leave::ended`].
#[derive(Debug)]
pub struct Leave {
    board: Arc<ReviewBoard>,
    object: String,
    auth: String,
    digest: Digest,
    /// Nobody else makes the same change meanwhile.
    lease: Option<Lease>,
}

impl Drop for Leave {
    fn drop(&mut self) {
        let mut leaves = self.board.leaves();
        let Some(held) = leaves.get_mut(&self.object) else { return };
        if let Some(at) = held.iter().rposition(|one| one.digest == self.digest) {
            held.remove(at);
        }
        if held.is_empty() {
            leaves.remove(&self.object);
        }
    }
}

impl Leave {
    /// What allowed it.
    pub fn auth(&self) -> &str {
        &self.auth
    }

    /// Writes down how it ended: the code of what was in the way, or nothing where all was done. Where it
    /// failed and `unchanged` says that nothing came of it, what was signed is not used up.
    pub async fn ended(mut self, context: &Context, failed: Option<&str>, unchanged: bool) {
        if failed.is_some() && unchanged && self.lease.is_some() {
            let mut entry = context.entry(RELEASED, &use_of(self.digest));
            entry.auth = Some(self.auth.clone());
            context.note(entry).await;
        }
        let kind = if failed.is_some() { FAILED } else { DONE };
        let mut entry = context.entry(kind, &self.object);
        entry.auth = Some(self.auth.clone());
        entry.digest_after = Some(self.digest.hex());
        entry.outcome = Some(failed.unwrap_or("done").to_owned());
        context.note(entry).await;
        if let Some(lease) = self.lease.take() {
            lease.give_back().await;
        }
    }
}

/// Asks the board for a change that is about to be made, and writes down that it may be. No board: nothing
/// is asked, and there is no leave. Where somebody must approve it, `as_reviewed` looks first whether what
/// is there is what they read.
///
/// # Errors
///
/// It is not approved, was used already, is being made by somebody else, or that it is allowed cannot be
/// written down. Nothing was done.
pub async fn pass(
    context: &Context,
    asked: &Asked,
    as_reviewed: impl Future<Output = Result<(), Problem>>,
) -> Result<Option<Leave>, Problem> {
    pass_as(context, asked, BY_RULES, as_reviewed).await
}

/// The same of what a person does by a command: no plan shows it, so what is refused is kept for those who
/// are to sign it.
///
/// # Errors
///
/// As [`pass`].
pub(crate) async fn pass_by_hand(
    context: &Context,
    asked: &Asked,
    least: Approval,
) -> Result<Option<Leave>, Problem> {
    // What it begins from was read a moment ago, under its turn.
    let passed = pass_as(context, asked, least, std::future::ready(Ok(()))).await;
    let unsigned = passed.as_ref().is_err_and(|problem| problem.code.contains("APPROVAL-"));
    if let (true, false, Some(board)) = (unsigned, context.read_only, context.gate.board())
        && let Err(error) = board.store.keep(&asked.change)
    {
        context.notices.add(
            Problem::new("E-APPROVAL-STORE", "What is to be signed could not be kept")
                .detail(format!("{}: {error}. nhi approve does not find it there.", asked.object))
                .next("let the folder of approvals be written to, and run this again"),
        );
    }
    passed
}

/// The same, where what was declared and approved before says whose approval this takes.
///
/// # Errors
///
/// As [`pass`].
async fn pass_as(
    context: &Context,
    asked: &Asked,
    least: Approval,
    as_reviewed: impl Future<Output = Result<(), Problem>>,
) -> Result<Option<Leave>, Problem> {
    let Some(board) = context.gate.board().cloned() else { return Ok(None) };
    let digest = asked.change.digest();
    let first = board.judge_as(asked, least, None, context.time())?;
    context.settle_policy().await;
    if let Some(closed) = context.gate.closed()
        && (asked.facts.direction.may_widen() || first.needs_somebody())
    {
        return Err(closed.clone());
    }
    let mut frozen = board.frozen(asked, first.impact.level, context.time());
    // In an emergency a freeze is in nobody's way, as little as a quorum is; and it is owed a review.
    if let Some(frozen) = frozen.take_if(|_| !first.tally.may_break()) {
        return Err(frozen);
    }
    let frozen = frozen;
    if frozen.is_none() && least == Approval::Declared && first.tally.rejected_by.is_empty() {
        let auth = format!("{STANDING}on_request");
        return Ok(Some(allowed(context, board, asked, &first, auth, None).await?));
    }
    if frozen.is_none() && !first.needs_somebody() && first.tally.is_enough() {
        let auth = first.auth();
        return Ok(Some(allowed(context, board, asked, &first, auth, None).await?));
    }
    as_reviewed.await?;
    // Whoever comes second waits for nobody: what is approved once is done once.
    let lease = match Lease::take(context, &format!("change/{}", digest.hex())).await? {
        Ok(lease) => lease,
        Err((holder, _)) => {
            return Err(Problem::new("E-APPROVAL-BUSY", "Somebody else makes this change now")
                .detail(format!("{}: {holder} is at work on {digest}.", asked.object))
                .next("let that run end, and plan again"));
        }
    };
    match judged_again(context, &board, asked, least, frozen).await {
        Ok((judged, auth, _turn)) => {
            allowed(context, board, asked, &judged, auth, Some(lease)).await.map(Some)
        }
        Err(problem) => {
            lease.give_back().await;
            Err(problem)
        }
    }
}

/// What the board says while nobody else makes the change, and what allows it then. Whoever breaks the glass
/// does so one after the other, so that none is more than the policy allows.
async fn judged_again(
    context: &Context,
    board: &ReviewBoard,
    asked: &Asked,
    least: Approval,
    frozen: Option<Problem>,
) -> Result<(Judged, String, Option<tokio::sync::OwnedMutexGuard<()>>), Problem> {
    let used_at = used(context, asked.change.digest()).await?;
    let judged = board.judge_as(asked, least, used_at, context.time())?;
    match (frozen, judged.tally.is_enough(), judged.tally.may_break()) {
        (None, true, _) => {
            let auth = judged.auth();
            Ok((judged, auth, None))
        }
        (_, _, true) => {
            let turn = context.turns.take("break-glass").await;
            break_glass::may_owe_more(context, board).await?;
            let auth = format!("{BROKEN}{}", judged.digest);
            Ok((judged, auth, Some(turn)))
        }
        (Some(frozen), ..) => Err(frozen),
        (None, false, false) => Err(board.refusal(asked, &judged)),
    }
}

/// The name under which a change's uses are written down.
pub(crate) fn use_of(digest: Digest) -> String {
    format!("change/{}", digest.hex())
}

/// Writes down that a change may be made.
async fn allowed(
    context: &Context,
    board: Arc<ReviewBoard>,
    asked: &Asked,
    judged: &Judged,
    auth: String,
    lease: Option<Lease>,
) -> Result<Leave, Problem> {
    let mut entry = context.entry(AUTHORIZED, &asked.object);
    entry.auth = Some(auth.clone());
    entry.digest_after = Some(judged.digest.hex());
    entry.generation = u64::try_from(asked.change.generation).ok().filter(|one| *one > 0);
    let approved: BTreeMap<&String, &String> = judged.tally.have.iter().collect();
    let entry = entry
        .detail("action", asked.change.action.as_str())
        .detail("direction", asked.facts.direction.to_string())
        .detail("level", judged.impact.level.as_str())
        .detail("policy", board.terms.version)
        .detail("policy_digest", board.policy_digest.clone())
        .detail("approved_as", serde_json::json!(approved.values().collect::<Vec<_>>()))
        .keep("record", asked.change.canonical().as_bytes());
    let entry = with_statements(&board, entry, judged, context.time());
    // The debt is written down with the leave, so that nobody has one without the other.
    let entry = match &judged.tally.broken_by {
        Some(who) if auth.starts_with(BROKEN) => {
            break_glass::owing(context, &board, entry, asked, judged, who)
        }
        _ => entry,
    };
    // So is the use of what was signed, before anything is done with it.
    let mut entries = vec![entry];
    if lease.is_some() {
        let mut using = context.entry(USED, &use_of(judged.digest));
        using.auth = Some(auth.clone());
        entries.push(using.detail("object", asked.object.clone()));
    }
    // Taking power away waits for no ledger.
    match asked.facts.direction.may_widen() || judged.needs_somebody() {
        true => {
            let written = async {
                if let Some(chain) = context.gate.chain() {
                    chain.used(context).await?;
                }
                context.journal_all(entries).await
            };
            if let Err(problem) = written.await {
                if let Some(lease) = lease {
                    lease.give_back().await;
                }
                return Err(problem);
            }
        }
        false => {
            // What cannot be written down stops nothing here.
            if let Some(chain) = context.gate.chain() {
                let _ = chain.used(context).await;
            }
            for entry in entries {
                context.note(entry).await;
            }
        }
    }
    let gives = asked.facts.direction.may_widen();
    let held = Held { digest: judged.digest, auth: auth.clone(), gives };
    board.leaves().entry(asked.object.clone()).or_default().push(held);
    Ok(Leave { board, object: asked.object.clone(), auth, digest: judged.digest, lease })
}

/// With what was signed by those who count, so that whoever reads the entry later can check it: people by
/// their keys, since an entry has neither names nor addresses.
fn with_statements(
    board: &ReviewBoard,
    mut entry: NewEntry,
    judged: &Judged,
    now: Now,
) -> NewEntry {
    if !judged.needs_somebody() {
        return entry;
    }
    let trust = board.trust();
    let gives = [Decision::Approve, Decision::BreakGlass];
    let mut people = BTreeMap::new();
    // It was read a moment ago; what cannot be read any more is missing here and stops nothing.
    for kept in board.store.of(judged.digest).unwrap_or_default() {
        let Ok(bytes) = kept.bytes else { continue };
        let Ok(one) = approval::verify(&bytes, trust, &[now.lo, now.hi]) else { continue };
        let said = &one.statement.said;
        let counts = |by: &approval::Signer| {
            let broke = judged.tally.broken_by.as_ref() == Some(&by.principal);
            judged.tally.have.contains_key(&by.principal) || broke
        };
        let is_over = judged.used_at.is_some_and(|used| said.signed_at <= used);
        let of_this = one.statement.subjects.contains_key(&judged.digest);
        if is_over || !of_this || !gives.contains(&said.decision) || !one.by.iter().any(counts) {
            continue;
        }
        // As long as who may use it: what one person signed many times is kept once.
        let fresh = one.by.iter().any(|by| !people.contains_key(&by.key));
        if fresh {
            people.extend(one.by.iter().map(|by| (by.key.clone(), said.role.clone())));
            entry = entry.keep("approval", &bytes);
        }
    }
    let people =
        people.into_iter().map(|(key, role)| serde_json::json!({ "key": key, "role": role }));
    entry.detail("people", people.collect::<Vec<_>>())
}

/// When what was signed of a change was used the last time. A run that was cut off counts as a use: nobody
/// knows what came of it. As long as it is owed a review, what is signed is the review.
///
/// # Errors
///
/// The ledger cannot be read.
pub async fn used(context: &Context, digest: Digest) -> Result<Option<Timestamp>, Problem> {
    let filter = Filter {
        subject: Some(Subject::Is(use_of(digest))),
        kinds: vec![USED.to_owned(), RELEASED.to_owned()],
        newest_first: true,
        ..Filter::all()
    };
    let page = context.ledger.entries(&filter).await?;
    let mut released = 0;
    for one in &page.entries {
        match (one.kind.as_str(), released) {
            (RELEASED, _) => released += 1,
            (_, 0) => {
                let broken = one.auth.as_deref().is_some_and(|auth| auth.starts_with(BROKEN));
                if broken && break_glass::is_owed(context, digest).await? {
                    return Ok(Some(context.now()));
                }
                return Ok(Timestamp::from_millisecond(one.at).ok());
            }
            _ => released -= 1,
        }
    }
    Ok(None)
}
