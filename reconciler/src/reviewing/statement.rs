//! Saying something of changes: that they may be made, that they must not, or that what one said before
//! counts no more. Nobody signs what they were not shown.

use std::{collections::BTreeMap, io::IsTerminal, path::PathBuf, sync::Arc};

use approval::{
    Envelope, Statement, record,
    statement::{Policy, Said, shown},
    verify,
};
use clap::Args;
use domain::Span;
use jiff::{SignedDuration, Timestamp};
use operations::{Context, Problem, review::ReviewBoard};
use policy::change::{
    Change, Digest,
    impact::Level,
    quorum::{Decision, OWNER, Quorum},
};
use serde_json::{Value, json};
use wiring::Loaded;

use super::{card, json::FORMAT, nobody_is_asked, plan, words};
use crate::{
    exit::Exit,
    output::{BOLD, Format, Output, styled},
    report::spelled,
    serve::{
        logs::{Log, LogForm},
        notify::{Notice, Notices},
    },
    signing::{self, Pen},
};

/// How long an approval holds where nobody says.
const USUAL: u64 = 24 * 3600;

/// The role of whoever goes ahead alone.
const ALONE: &str = "break-glass";

/// The fewest characters by which a digest is named.
const SHORTEST: usize = 6;

/// What is said of which changes, and with which key.
#[derive(Debug, Args)]
pub(crate) struct Saying {
    /// The changes, each by the first characters of its digest.
    #[arg(value_name = "DIGEST", required_unless_present = "all_of")]
    pub(crate) digests: Vec<String>,

    /// All changes of this review (`nhi review --format json`); of an approval, all that need one.
    #[arg(long, value_name = "REVIEW", conflicts_with_all = ["digests", "of"])]
    pub(crate) all_of: Option<String>,

    /// Where the changes are written down: a review, a plan, or a record. Else those that
    /// `nhi review --keep` has kept beside the approvals.
    #[arg(long, value_name = "FILE")]
    pub(crate) of: Option<String>,

    /// Why; asked for on a terminal, unless set.
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,

    /// The ticket.
    #[arg(long, value_name = "TEXT")]
    pub(crate) ticket: Option<String>,

    /// A key's file, or the public half (`.pub`) of one that your agent has. Else the one key that your
    /// agent has.
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,

    /// For scripts: the whole hash of what was shown elsewhere, instead of a question: `shown` of a change
    /// of the review, or, for all of it, `shown` of the review itself.
    #[arg(long, value_name = "HASH")]
    pub(crate) shown: Option<String>,

    /// Text or JSON.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
}

/// What is said beside the decision.
#[derive(Debug, Clone, Default)]
pub(crate) struct Terms {
    pub(crate) role: Option<String>,
    pub(crate) not_before: Option<Timestamp>,
    pub(crate) not_after: Option<Timestamp>,
    pub(crate) holds_for: Option<Span>,
}

/// A change that something is said of.
#[derive(Debug, Clone)]
struct Subject {
    digest: Digest,
    change: Option<Change>,
    /// As its review had it.
    level: Option<Level>,
    needs_somebody: bool,
}

impl Saying {
    /// Says it.
    ///
    /// # Errors
    ///
    /// It is not known which change is meant, nobody was shown it, or it cannot be signed or kept.
    pub(crate) async fn say(
        self,
        decision: Decision,
        terms: Terms,
        config: Option<&str>,
        output: &Output,
    ) -> Result<Exit, Problem> {
        let loaded = wiring::load(config)?;
        let context = loaded.read_only().context("nhi", "command")?;
        let board = context.gate.board().cloned().ok_or_else(nobody_is_asked)?;
        let subjects = self.subjects(decision, &loaded, &context, &board).await?;
        let changes: Vec<Change> = subjects.iter().filter_map(|one| one.change.clone()).collect();
        let text = match changes.is_empty() {
            false => words::shown_all(&changes),
            true => {
                let digests = subjects.iter().map(|one| format!("change {}", one.digest));
                digests.collect::<Vec<_>>().join("\n")
            }
        };
        let role = role_of(decision, terms.role.clone(), &board)?;
        let (not_before, not_after) = window(decision, &terms, &subjects, &board, context.now())?;
        self.show(decision, &role, &text, &subjects, not_after, output)?;
        let reason = self.reason(output)?;
        let agent = loaded.environment.get("SSH_AUTH_SOCK");
        let pen = Pen::find(self.key.as_deref(), agent, signing::passphrase)?;
        let statement = Statement {
            subjects: subjects.iter().map(|one| (one.digest, one.name())).collect(),
            said: Said {
                decision,
                role,
                reason,
                signed_at: context.now(),
                not_before,
                not_after,
                requester: board.requester.clone(),
                ticket: self.ticket.clone(),
                policy: Policy {
                    version: board.terms.version,
                    digest: board.policy_digest.clone(),
                },
                shown: shown(&text),
                nonce: nonce()?,
            },
        };
        let (bytes, by) = signed(&statement, &pen, &board, context.now())?;
        if gives(decision) {
            would_count(&by, &statement, &subjects, &board)?;
        }
        if decision == Decision::BreakGlass {
            tell_first(&loaded, &subjects, &statement, &by.principal).await?;
        }
        let name = format!("{}-{}", by.principal, statement.said.nonce);
        let mut places = Vec::new();
        for one in &subjects {
            if let Some(change) = &one.change {
                board.store.keep(change).map_err(|error| not_kept(&error))?;
            }
            let place = board.store.add(one.digest, &name, &bytes);
            places.push(place.map_err(|error| not_kept(&error))?);
        }
        self.tell(&statement, &by, &places, output);
        Ok(Exit::Clean)
    }

    /// Shows what is to be signed, and asks, unless somebody has seen it already.
    fn show(
        &self,
        decision: Decision,
        role: &str,
        text: &str,
        subjects: &[Subject],
        not_after: Timestamp,
        output: &Output,
    ) -> Result<(), Problem> {
        let hash = shown(text);
        if let Some(seen) = &self.shown {
            // Some of its digits are not enough to say that these words were read: others may have them too.
            return match *seen == hash {
                true => Ok(()),
                false if hash.starts_with(seen.as_str()) => {
                    Err(Problem::new("E-SHOWN", "Not the whole hash is given")
                        .detail(format!("--shown says {} of the 64 digits of {hash}.", seen.len()))
                        .next(format!("read these changes, and give all of it: --shown {hash}")))
                }
                false => Err(Problem::new("E-SHOWN", "Something else was shown")
                    .detail(format!("--shown says {seen}, and these changes read {hash}."))
                    .next("read them again: nhi review PLAN")),
            };
        }
        if !std::io::stdin().is_terminal() || self.format == Format::Json {
            return Err(Problem::new("E-SHOWN", "Nobody was shown what is to be signed")
                .detail("There is no terminal to show it on, and nothing is signed blindly.")
                .next(format!("read what follows, and give its hash: --shown {hash}\n{text}")));
        }
        output.line(text);
        for one in subjects {
            if let Some(level) = one.level {
                output.hint(&format!("{} was reviewed as {level}", one.digest.short()));
            }
        }
        let what = match decision {
            Decision::Approve => format!(
                "Sign that {} may be made, as {role}, until {}?",
                these(subjects.len()),
                not_after.strftime("%Y-%m-%d %H:%M:%SZ")
            ),
            Decision::BreakGlass => format!(
                "Sign that you answer for {} alone, until {}, and owe a review of it?",
                these(subjects.len()),
                not_after.strftime("%Y-%m-%d %H:%M:%SZ")
            ),
            Decision::Reject => format!("Sign that {} must not be made?", these(subjects.len())),
            Decision::Revoke => {
                format!("Sign that what you said of {} counts no more?", these(subjects.len()))
            }
        };
        output.ask(&format!("{what} Only yes is taken for yes: "));
        match answer() == "yes" {
            true => Ok(()),
            false => Err(Problem::new("E-CONFIRM", "This was not agreed to")
                .detail("Nothing was signed.")
                .next("the same, with yes as the answer")),
        }
    }

    fn reason(&self, output: &Output) -> Result<String, Problem> {
        let given = self.reason.clone().map(|text| text.trim().to_owned());
        let reason = match given.filter(|text| !text.is_empty()) {
            Some(text) => text,
            None if std::io::stdin().is_terminal() => {
                output.ask("Why? ");
                answer()
            }
            None => String::new(),
        };
        match reason.is_empty() {
            false => Ok(reason),
            true => Err(Problem::new("E-REASON", "Nobody says why")
                .detail("A statement says why it was made: whoever reads it later asks that first.")
                .next("the same with --reason \"…\"")),
        }
    }

    fn tell(
        &self,
        statement: &Statement,
        by: &approval::Signer,
        places: &[String],
        output: &Output,
    ) {
        let said = &statement.said;
        let moment = |at: Timestamp| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        match self.format {
            Format::Json => output.line(
                &json!({
                    "format": "nhi-statement/1",
                    "decision": said.decision.as_str(),
                    "principal": by.principal,
                    "key": by.key,
                    "presence": by.presence.as_str(),
                    "role": said.role,
                    "changes": statement.subjects.keys().map(Digest::to_string).collect::<Vec<_>>(),
                    "not_before": moment(said.not_before),
                    "not_after": moment(said.not_after),
                    "shown": said.shown,
                    "places": places,
                    "outcome": Exit::Clean.sole_outcome(),
                })
                .to_string(),
            ),
            Format::Text => {
                let what = match said.decision {
                    Decision::Approve => {
                        format!("approves, as {}, until {}", said.role, moment(said.not_after))
                    }
                    Decision::BreakGlass => {
                        format!("goes ahead alone, until {}", moment(said.not_after))
                    }
                    Decision::Reject => "rejects".to_owned(),
                    Decision::Revoke => "takes back what they said of".to_owned(),
                };
                let who = styled(BOLD, &spelled(&by.principal));
                let all: Vec<String> =
                    statement.subjects.keys().map(|digest| digest.short()).collect();
                output.line(&format!("{who} {}: {}", spelled(&what), all.join(", ")));
                for place in places {
                    output.line(&format!("  {}", spelled(place)));
                }
                output.hint("Where approvals are kept in Git: add, commit and push that file.");
            }
        }
    }

    /// The changes that are meant, with their records where they are written down.
    async fn subjects(
        &self,
        decision: Decision,
        loaded: &Loaded,
        context: &Context,
        board: &Arc<ReviewBoard>,
    ) -> Result<Vec<Subject>, Problem> {
        let place = self.all_of.as_deref().or(self.of.as_deref());
        let known = match place {
            Some(place) => written(place, loaded, context).await?,
            None => BTreeMap::new(),
        };
        if self.all_of.is_some() {
            let wanted = |one: &&Subject| !gives(decision) || one.needs_somebody;
            let all: Vec<Subject> = known.values().filter(wanted).cloned().collect();
            return match all.is_empty() {
                false => Ok(all),
                true => Err(Problem::new("E-NOTHING-OPEN", "Nothing is open")
                    .detail("No change of that review needs anybody.")),
            };
        }
        let mut found: Vec<Subject> = Vec::new();
        for prefix in &self.digests {
            let one = self.subject(prefix, decision, &known, board)?;
            if found.iter().all(|two| two.digest != one.digest) {
                found.push(one);
            }
        }
        Ok(found)
    }

    fn subject(
        &self,
        prefix: &str,
        decision: Decision,
        known: &BTreeMap<Digest, Subject>,
        board: &Arc<ReviewBoard>,
    ) -> Result<Subject, Problem> {
        let bare = prefix.strip_prefix("sha256:").unwrap_or(prefix).to_ascii_lowercase();
        let is_hex = bare.bytes().all(|byte| byte.is_ascii_hexdigit());
        if bare.len() < SHORTEST || !is_hex {
            return Err(Problem::new("E-CHANGE", "That names no change")
                .detail(format!(
                    "{prefix:?}: expected at least {SHORTEST} hexadecimal digits of a digest."
                ))
                .next("nhi review PLAN shows the digest of each change"));
        }
        let mut fits: Vec<Subject> =
            known.values().filter(|one| one.digest.hex().starts_with(&bare)).cloned().collect();
        if known.is_empty() {
            let kept = board.store.beginning(&bare).map_err(|error| not_kept(&error))?;
            for digest in kept {
                let change = board.store.record(digest).map_err(|error| not_kept(&error))?;
                fits.push(Subject { digest, change, level: None, needs_somebody: true });
            }
        }
        match fits.as_slice() {
            [one] if one.change.is_some() || !gives(decision) => Ok(one.clone()),
            [one] => Err(unwritten(&one.digest.to_string())),
            // What is named whole may be rejected before anybody has kept its record.
            [] if !gives(decision) && Digest::parse(&bare).is_some() => {
                let digest = Digest::parse(&bare);
                let one =
                    |digest| Subject { digest, change: None, level: None, needs_somebody: true };
                digest.map(one).ok_or_else(|| unwritten(prefix))
            }
            [] => Err(unwritten(prefix)),
            several => {
                let all: Vec<String> = several.iter().map(|one| one.digest.to_string()).collect();
                Err(Problem::new("E-CHANGE", "That names several changes")
                    .detail(format!("{prefix}: {}.", all.join(", ")))
                    .next("give more of the digest"))
            }
        }
    }
}

impl Subject {
    fn name(&self) -> String {
        match &self.change {
            Some(change) => format!("{} {}", change.kind, change.object),
            None => "change".to_owned(),
        }
    }
}

/// Whether it lets a change be made.
fn gives(decision: Decision) -> bool {
    matches!(decision, Decision::Approve | Decision::BreakGlass)
}

fn these(count: usize) -> String {
    if count == 1 { "this change".to_owned() } else { format!("these {count} changes") }
}

fn answer() -> String {
    let mut answer = String::new();
    let read = std::io::BufRead::read_line(&mut std::io::stdin().lock(), &mut answer);
    if read.is_ok() { answer.trim().to_owned() } else { String::new() }
}

fn unwritten(named: &str) -> Problem {
    Problem::new("E-CHANGE", "That change is not written down here")
        .detail(format!(
            "{named}: what it does cannot be shown, and nothing is signed that was not shown."
        ))
        .next("nhi review PLAN --keep, or name where it is: --of REVIEW")
}

fn not_kept(error: &approval::store::StoreError) -> Problem {
    Problem::new("E-APPROVAL-STORE", "What was signed cannot be read")
        .detail(format!("{error}."))
        .next("see to it that the folder of approvals is there and may be written to")
}

/// What is written down in a review, a plan or a record.
async fn written(
    place: &str,
    loaded: &Loaded,
    context: &Context,
) -> Result<BTreeMap<Digest, Subject>, Problem> {
    let shown = plan::shown(place);
    let wrong = |why: String| {
        Problem::new("E-CHANGE", "No change can be read there")
            .detail(format!("{shown}: {why}."))
            .next("name a review: nhi review PLAN --report json=review.json")
    };
    let bytes = plan::bytes(place).map_err(|error| wrong(error.to_string()))?;
    let whole: Option<Value> = serde_json::from_slice(&bytes).ok();
    let subject = |change: Change, level, needs_somebody| Subject {
        digest: change.digest(),
        change: Some(change),
        level,
        needs_somebody,
    };
    let mut found = BTreeMap::new();
    match &whole {
        Some(review) if review["format"] == FORMAT => {
            for one in review["changes"].as_array().into_iter().flatten() {
                let change = record::from_json(&one["record"])
                    .map_err(|error| wrong(format!("a record in it: {error}")))?;
                // Whoever made the file is not believed: what is signed is what the record says.
                let named = one["digest"].as_str().and_then(Digest::parse);
                if named != Some(change.digest()) {
                    return Err(wrong(format!(
                        "it calls the change {} by another digest",
                        change.digest()
                    )));
                }
                let level = one["level"].as_str().and_then(Level::from_word);
                let needed = one["approvals"]["needed"].as_u64().unwrap_or(1);
                let one = subject(change, level, needed > 0);
                found.insert(one.digest, one);
            }
        }
        Some(value) if value["schema"].is_string() => {
            let change = record::read(&bytes).map_err(|error| wrong(error.to_string()))?;
            let one = subject(change, None, true);
            found.insert(one.digest, one);
        }
        _ => {
            let ours = loaded.config.secret_variables();
            let plan = plan::of(&bytes, place, &ours)?;
            let asked = card::read(plan, shown, &Default::default(), loaded, context).await?;
            for card in asked.cards {
                let level = card.judged.as_ref().map(|one| one.impact.level);
                let needs = card.needs_somebody();
                let one = subject(card.asked.change, level, needs);
                found.insert(one.digest, one);
            }
        }
    }
    match found.is_empty() {
        true => Err(wrong("nothing in it changes what is governed".to_owned())),
        false => Ok(found),
    }
}

/// The role in which it is said. A no and a word taken back need none.
/// Tells whoever is told by those who serve, before what was signed can be used: where nobody hears of it,
/// nobody goes ahead alone.
async fn tell_first(
    loaded: &Loaded,
    subjects: &[Subject],
    statement: &Statement,
    who: &str,
) -> Result<(), Problem> {
    let nobody = |why: &str| {
        Problem::new("E-BREAK-GLASS", "The glass cannot be broken")
            .detail(format!("{why} Nothing was kept."))
            .next("say in nhi.hcl who is told: notify = { webhook = { url = \"…\", key = { env = \"…\" } } }")
    };
    let clock = Arc::new(connector::SystemClock);
    let (notices, _telling) = Notices::begin(loaded, clock, Log(LogForm::Text))?;
    for one in subjects {
        let notice = Notice {
            event: "opened",
            subject: one.name(),
            why: format!(
                "{who} breaks the glass for change {} until {}: {}",
                one.digest, statement.said.not_after, statement.said.reason
            ),
            owner: None,
        };
        if !notices.tell(&notice, statement.said.signed_at).await {
            return Err(nobody("Nobody could be told of it, and it is told before it is done."));
        }
    }
    Ok(())
}

fn role_of(
    decision: Decision,
    given: Option<String>,
    board: &ReviewBoard,
) -> Result<String, Problem> {
    let roles = &board.terms.board.roles;
    let known = || {
        let all = roles.keys().map(String::as_str).chain([OWNER]);
        all.collect::<Vec<_>>().join(", ")
    };
    match (given, decision) {
        (Some(role), Decision::Approve) if role != OWNER && !roles.contains_key(&role) => {
            Err(Problem::new("E-APPROVAL-ROLE", "The policy knows no such role")
                .detail(format!("--role {role}; there are {}.", known()))
                .next("name a role that you have"))
        }
        (_, Decision::BreakGlass) => Ok(ALONE.to_owned()),
        (Some(role), _) => Ok(role),
        (None, Decision::Approve) => Err(Problem::new("E-APPROVAL-ROLE", "In which role?")
            .detail(format!("An approval counts in one role; there are {}.", known()))
            .next("the same with --role ROLE")),
        (None, _) => Ok("any".to_owned()),
    }
}

fn quorum_of(level: Level, board: &ReviewBoard) -> Option<&Quorum> {
    let all = &board.terms.board.quorum;
    let named = all.range(level..).next();
    named.or_else(|| all.last_key_value()).map(|(_, one)| one)
}

/// From when until when it holds: at most as long as the policy lets it, and a day where nobody says.
fn window(
    decision: Decision,
    terms: &Terms,
    subjects: &[Subject],
    board: &ReviewBoard,
    now: Timestamp,
) -> Result<(Timestamp, Timestamp), Problem> {
    let from = terms.not_before.unwrap_or(now);
    let of = |one: &Subject| match one.level {
        Some(level) => quorum_of(level, board).map(|one| one.longest.as_secs()),
        // Which level it is of is not known: the shortest holds for any.
        None => board.terms.board.quorum.values().map(|one| one.longest.as_secs()).min(),
    };
    let alone = board.terms.board.break_glass.as_ref().map(|one| one.longest.as_secs());
    let longest = match decision {
        Decision::BreakGlass => alone,
        _ => subjects.iter().filter_map(of).min(),
    };
    let usual = longest.map_or(USUAL, |most| most.min(USUAL));
    let wrong = |why: String| {
        Problem::new("E-APPROVAL-WINDOW", "An approval is given for too long")
            .detail(why)
            .next("a later --not-before, an earlier --not-after, or --for with a shorter time")
    };
    let seconds = terms.holds_for.map_or(usual, |span| span.as_secs());
    let until = match terms.not_after {
        Some(until) => until,
        None => {
            let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
            let until = from.checked_add(SignedDuration::from_secs(seconds));
            until.map_err(|_| wrong(format!("It cannot hold for {seconds} seconds.")))?
        }
    };
    if until <= from || until <= now {
        return Err(wrong(format!("It would hold from {from} until {until}, which is never.")));
    }
    let asked = until.duration_since(from).as_secs().unsigned_abs();
    let known = decision == Decision::BreakGlass || subjects.iter().all(|one| one.level.is_some());
    match longest.filter(|most| known && asked > *most) {
        Some(most) => Err(wrong(format!(
            "It would hold for {}, and the policy lets it hold for {} at most.",
            Span::from_secs(asked),
            Span::from_secs(most)
        ))),
        None => Ok((from, until)),
    }
}

/// Makes each statement another one.
fn nonce() -> Result<String, Problem> {
    let mut bytes = [0; 10];
    ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut bytes).map_err(|_| {
        Problem::new("E-KEY", "There is no key to sign with")
            .detail("The system gave no random numbers, and a statement needs some.")
    })?;
    Ok(data_encoding::HEXLOWER.encode(&bytes))
}

/// The envelope with its signature, held against what a gate will hold it against.
fn signed(
    statement: &Statement,
    pen: &Pen,
    board: &ReviewBoard,
    now: Timestamp,
) -> Result<(Vec<u8>, approval::Signer), Problem> {
    let namespace = board.namespace();
    let payload = statement.to_bytes();
    let bytes = Envelope::signed_bytes(&payload);
    let signature = pen.sign(namespace, &bytes)?;
    let made = signing::checked(&signature, namespace, &bytes)?;
    let print = approval::signers::fingerprint(&made.key);
    let envelope = Envelope { payload, signatures: vec![signature] }.to_json(&print).into_bytes();
    let found = verify(&envelope, board.trust(), &[now]).map_err(|unread| {
        Problem::new(unread.code, "What you sign would not count")
            .detail(format!("{}. Nothing was kept.", unread.why))
            .next("sign with a key that stands in the file of signers of the policy")
    })?;
    let by = found.by.into_iter().next();
    let nobody = || Problem::new("E-APPROVAL-SIGNER", "Nobody is known by this key");
    Ok((envelope, by.ok_or_else(nobody)?))
}

/// Told before it is kept, rather than by the gate.
fn would_count(
    by: &approval::Signer,
    statement: &Statement,
    subjects: &[Subject],
    board: &ReviewBoard,
) -> Result<(), Problem> {
    let said = &statement.said;
    let no = |code, why: String, next: &str| {
        Err(Problem::new(code, "What you sign would not count")
            .detail(format!("{why} Nothing was kept."))
            .next(next))
    };
    let role = &said.role;
    if said.decision == Decision::BreakGlass {
        let terms = board.terms.board.break_glass.as_ref();
        let why = match terms {
            None => "the policy lets nobody go ahead alone".to_owned(),
            Some(terms) if !terms.people.contains(&by.principal) => {
                format!("{} is none of those whom the policy lets go ahead alone", by.principal)
            }
            Some(terms) if by.presence < terms.presence => {
                format!("the policy asks for a key that is {} for this", terms.presence.as_str())
            }
            Some(terms) if subjects.len() > terms.changes => {
                format!("the policy lets it be done for {} changes at most", terms.changes)
            }
            Some(_) => return Ok(()),
        };
        return no("E-BREAK-GLASS", format!("{why}."), "have the change approved: nhi approve");
    }
    let has = match role.as_str() {
        OWNER => board.terms.owners.values().any(|all| all.contains(&by.principal)),
        role => board.terms.board.roles.get(role).is_some_and(|all| all.contains(&by.principal)),
    };
    if !has {
        let why = format!("By the policy {} does not have the role {role:?}.", by.principal);
        return no("E-APPROVAL-ROLE", why, "sign in a role that you have");
    }
    if said.requester.as_ref() == Some(&by.principal) {
        let why = format!("{} asked for it.", by.principal);
        return no("E-APPROVAL-SELF", why, "have it signed by somebody else");
    }
    let least = subjects.iter().filter_map(|one| quorum_of(one.level?, board));
    let least = least.map(|one| one.presence).max();
    match least.filter(|least| by.presence < *least) {
        Some(least) => {
            let why = format!("The policy asks for a key that is {} here.", least.as_str());
            no("E-APPROVAL-KEY", why, "sign with a hardware key")
        }
        None => Ok(()),
    }
}
