//! One tick: everything that is declared is looked at, one next deed is judged for each thing, and what
//! may be done without a person is done. What changed is never passed in: a timer, a person and a run
//! after a crash are the same tick.
//!
//! What rotates is what a plan would rotate, for the same reason: the look, the word of its status and
//! what follows of it are those of a plan.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
};

use domain::{CredentialId, IntegrationId, Scope};
use futures::future::join_all;
use jiff::{Timestamp, civil::Date};
use policy::{
    findings::Severity,
    owner::ownerless,
    retry::{Breaker, UNHEARD_MOST},
    rotation::Goal,
    rules::Verdict,
    schedule::later,
    standing::{end_of, standing},
    status::{Consequence, consequence_for, reason_of},
};
use tokio::{
    sync::{Semaphore, mpsc},
    task::JoinSet,
};
use tracing::{Instrument, Span};

use crate::{
    Another, Context, DueNow, KindLattice, Lease, LookedUp, Met, Outcome, Problem, Revoked,
    SeenAround, SeenIntegration, SeenSlot, SlotSpec, Wish, WishedOwner, WishedScopes, Wishes,
    another, carry_out, catch_up, declared_slot,
    decommission::Decommissioned,
    due_now, look_around, look_up_owner, may_have_more, meet, observe_integration, observe_slot,
    revoke_everything, scopes,
    slot::look_at_slot,
    switch::{Switch, turn},
    tries::{self, ABSENT, LOOK, Tries, UNOWNED},
    unowned::{Nobodys, nobodys},
    whoami::{UNAUTHORIZED, whoami},
};
use connector::Freshness;

/// How many things are looked at at once, and how many of one connection.
const LOOKS: (usize, usize) = (16, 4);
/// How many deeds are done at once, and how many at one connection. Of one integration it is one.
const DEEDS: (usize, usize) = (8, 2);

const ROTATE: &str = "rotate";
const COPY: &str = "copy";
const SWITCH_OFF: &str = "switch_off";
const REVOKE: &str = "revoke";
const REMOVE_TEMPORARY: &str = "remove_temporary";

/// What a tick is asked to look at.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// Only what is owed: no rotation begins, and nothing of an integration is judged.
    pub owed_only: bool,
    /// What failed is tried again at once, however long it was put off.
    pub at_once: bool,
    /// Only these slots, each by its integration and its name. Else all.
    pub slots: Option<BTreeSet<(String, String)>>,
    /// Only these integrations themselves. Else all.
    pub integrations: Option<BTreeSet<String>>,
    /// All that is declared, whatever of it is looked at, and the connections at which what nobody declares is
    /// looked for. Without it nobody looks.
    pub beside: Option<(BTreeSet<String>, BTreeSet<String>)>,
    /// Connections that whoever ran before asked no more.
    pub breakers: BTreeMap<String, Breaker>,
}

/// What is done next.
#[derive(Debug, Clone, PartialEq)]
pub enum Work {
    /// What is owed.
    Owed(Goal),
    /// Another generation is issued.
    Rotate(Box<Another>),
    /// A copy of the present one is delivered again.
    Copy,
    /// The integration is switched off: why.
    SwitchOff(String),
    /// It is switched off, and all that it has ends: why.
    Revoke(String),
    /// Temporary scopes that are over are taken away.
    RemoveTemporary(BTreeSet<Scope>),
}

impl Work {
    /// The word in ledgers and reports.
    pub fn word(&self) -> &'static str {
        match self {
            Work::Owed(_) => "owed",
            Work::Rotate(_) => ROTATE,
            Work::Copy => COPY,
            Work::SwitchOff(_) => SWITCH_OFF,
            Work::Revoke(_) => REVOKE,
            Work::RemoveTemporary(_) => REMOVE_TEMPORARY,
        }
    }

    /// The row that counts how often it failed; what is owed has rows of its own.
    fn row(&self) -> Option<&'static str> {
        Some(self.word()).filter(|_| !matches!(self, Work::Owed(_)))
    }

    /// The deed, as it is traced.
    fn traced(&self) -> telemetry::Deed {
        match self {
            Work::Owed(_) => telemetry::Deed::Meet,
            Work::Rotate(_) => telemetry::Deed::Rotate,
            Work::Copy => telemetry::Deed::Deliver,
            Work::SwitchOff(_) => telemetry::Deed::SwitchOff,
            Work::Revoke(_) => telemetry::Deed::Revoke,
            Work::RemoveTemporary(_) => telemetry::Deed::Narrow,
        }
    }

    /// What takes power away comes first.
    fn rank(&self) -> u8 {
        match self {
            Work::Revoke(_) | Work::SwitchOff(_) => 0,
            Work::Owed(_) => 1,
            Work::RemoveTemporary(_) => 2,
            Work::Copy | Work::Rotate(_) => 3,
        }
    }
}

/// What whoever runs now does about one thing.
#[derive(Debug, Clone, PartialEq)]
pub enum Next {
    /// Nothing.
    Nothing,
    /// It is another's: somebody is at work on it.
    Busy(String),
    /// A person must say something first.
    Held(String),
    /// Something is to be done, and not now, or not by this run.
    PutOff {
        /// Why.
        why: String,
        /// What helps.
        next: Option<String>,
        /// It is late, or nothing that was declared works.
        late: bool,
    },
    /// This, for this reason.
    Do(Work, &'static str),
}

impl Next {
    fn put_off(why: impl Into<String>, late: bool) -> Next {
        Next::PutOff { why: why.into(), next: None, late }
    }

    fn refused(problem: Problem, late: bool) -> Next {
        Next::PutOff {
            why: format!("{}: {} ({})", problem.summary, problem.detail, problem.code),
            next: problem.next,
            late,
        }
    }
}

/// What a step is about.
#[derive(Debug, Clone)]
pub enum About {
    /// A slot.
    Slot {
        /// As it is declared.
        spec: Box<SlotSpec>,
        /// As it is.
        seen: Box<SeenSlot>,
        /// Its integration may act, as far as what was begun may be finished.
        active: bool,
        /// It may act as it is, and another rotation may begin.
        acts: bool,
    },
    /// An integration.
    Integration {
        /// As it is declared.
        wish: Box<Wish>,
        /// The incarnation that was looked at.
        vendor_id: String,
        /// Its name.
        name: String,
    },
}

/// One thing, and what is next.
#[derive(Debug, Clone)]
pub struct Step {
    /// Its id.
    pub subject: String,
    /// The integration.
    pub integration: IntegrationId,
    /// What it is about.
    pub about: About,
    /// What is next.
    pub next: Next,
}

/// What could not be read.
#[derive(Debug, Clone)]
pub struct Unread {
    /// What.
    pub subject: String,
    /// Why.
    pub problem: Problem,
    /// Since when it is so, as far as the ledger knows.
    pub since: Option<Timestamp>,
}

/// What a look at everything came to.
#[derive(Debug, Default)]
pub struct Looked {
    /// What was read, with what is next.
    pub steps: Vec<Arc<Step>>,
    /// What was not.
    pub unread: Vec<Unread>,
    /// What was read beside that, and owners are told by.
    pub known: LookedUp,
}

/// Owners who are not there any more.
#[derive(Debug, Default)]
struct Absent {
    /// Those who have left, each with the moment since when they count as that.
    left: BTreeMap<String, Timestamp>,
    /// All whom their directory calls away, without any grace.
    away: BTreeSet<String>,
}

/// What a look at one integration came to: what was read, and what was not.
type OfOne = (Vec<Step>, Vec<(String, Problem)>);

/// What policy has follow, why, and whether it may be done unasked.
type Wanted = (Verdict, String, bool);

/// What became of one.
#[derive(Debug, Clone)]
pub enum Taken {
    /// What was owed is done; nothing where somebody else had done it.
    Met(Option<Box<Met>>),
    /// Another generation is delivered, or the present one is everywhere again.
    Rotated(Box<Outcome>),
    /// It is switched off.
    SwitchedOff,
    /// It is switched off, and these were ended.
    Revoked(Vec<Revoked>),
    /// These were taken away.
    Narrowed(BTreeSet<Scope>),
    /// Somebody else is at work on it.
    Busy,
    /// There is nothing to be done any more, or nothing was to be.
    Left,
    /// This run was asked to stop before it.
    Stopped,
    /// Its tenant does not answer, and was not asked any more.
    Unasked(Problem),
    /// It was not done.
    Not {
        /// Why.
        problem: Problem,
        /// It was begun, and is unfinished.
        begun: bool,
    },
}

impl Taken {
    /// How it ended, for whoever traces it.
    fn trace(&self, span: &Span) {
        match self {
            Taken::Met(_)
            | Taken::Rotated(_)
            | Taken::SwitchedOff
            | Taken::Revoked(_)
            | Taken::Narrowed(_) => telemetry::ended(span, "done"),
            Taken::Busy | Taken::Left => telemetry::ended(span, "left"),
            Taken::Stopped => telemetry::ended(span, "stopped"),
            Taken::Unasked(problem) => telemetry::failed(span, "unasked", Some(problem.code)),
            Taken::Not { problem, .. } => telemetry::failed(span, "failed", Some(problem.code)),
        }
    }
}

/// A tick under way.
#[derive(Debug)]
pub struct Tick {
    context: Context,
    asked: Asked,
    tries: Tries,
    breakers: Mutex<BTreeMap<String, Breaker>>,
    /// Connections that let us in no more, and why.
    shut: Mutex<BTreeMap<String, Problem>>,
    known: Mutex<LookedUp>,
}

/// What stands in line at a connection.
struct Lines {
    all: Arc<Semaphore>,
    each: usize,
    by: BTreeMap<String, Arc<Semaphore>>,
}

/// The connection of what has this id.
fn connection_of(id: &str) -> &str {
    id.split('/').next().unwrap_or_default()
}

/// What nobody answers for any more, because whoever was at it broke off.
fn broke_off(what: &str) -> Problem {
    Problem::new("E-INTERNAL", "This broke off")
        .detail(format!("{what}: this is a fault of nhi, and stands in its log."))
        .next("report it; the next run looks again, and goes on from there")
}

impl Lines {
    fn new((all, each): (usize, usize)) -> Lines {
        Lines { all: Arc::new(Semaphore::new(all)), each, by: BTreeMap::new() }
    }

    fn of(&mut self, connection: &str) -> (Arc<Semaphore>, Arc<Semaphore>) {
        let each = self.each;
        let line = self.by.entry(connection.to_owned());
        (self.all.clone(), line.or_insert_with(|| Arc::new(Semaphore::new(each))).clone())
    }
}

impl Tick {
    /// One that is about to look.
    pub async fn begin(context: &Context, asked: Asked) -> Arc<Tick> {
        let tries = Tries::read(context).await;
        Arc::new(Tick {
            context: context.clone(),
            breakers: Mutex::new(asked.breakers.clone()),
            asked,
            tries,
            shut: Mutex::default(),
            known: Mutex::default(),
        })
    }

    fn note(&self, connection: &str, unheard: bool) {
        let mut breakers = self.breakers.lock().unwrap_or_else(PoisonError::into_inner);
        breakers.entry(connection.to_owned()).or_default().note(!unheard);
    }

    /// Connections that are asked no more.
    pub fn open_breakers(&self) -> Vec<String> {
        let breakers = self.breakers.lock().unwrap_or_else(PoisonError::into_inner);
        breakers.iter().filter(|(_, one)| one.is_open()).map(|(name, _)| name.clone()).collect()
    }

    /// How each connection stands, for whoever runs next.
    pub fn breakers(&self) -> BTreeMap<String, Breaker> {
        self.breakers.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks each connection once, by the cheapest calls: one that was left alone, whether it answers again,
    /// and each, whether it lets us in. What does not let us in is asked nothing else.
    async fn ask_each(&self, connections: BTreeSet<String>) {
        let asked = connections.into_iter().map(|connection| async move {
            let before = self.breakers().get(&connection).copied().unwrap_or_default();
            let now = self.context.now();
            if before.is_open() && !before.may_ask(now) || self.context.stop.is_set() {
                return;
            }
            let answer = whoami(&self.context, &connection).await;
            let mut breakers = self.breakers.lock().unwrap_or_else(PoisonError::into_inner);
            let breaker = breakers.entry(connection.clone()).or_default();
            match &answer {
                Err(problem) if problem.code == UNAUTHORIZED => {
                    breaker.asked_once(&connection, false, now);
                    let mut shut = self.shut.lock().unwrap_or_else(PoisonError::into_inner);
                    shut.insert(connection, problem.clone());
                }
                Err(problem) if before.is_open() => {
                    breaker.asked_once(&connection, !problem.unheard, now);
                }
                Err(problem) => breaker.note(!problem.unheard),
                Ok(()) => breaker.asked_once(&connection, true, now),
            }
        });
        join_all(asked).await;
    }

    fn left_alone(&self, connection: &str) -> Option<Problem> {
        let shut = self.shut.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(problem) = shut.get(connection) {
            return Some(problem.clone());
        }
        drop(shut);
        self.open_breakers().iter().any(|one| one == connection).then(|| {
            let problem = Problem::new("E-UNHEARD", "A connection does not answer")
                .detail(format!(
                    "Connection {connection:?}: nobody answered {UNHEARD_MOST} times in a row, or it let \
                     nobody in when it was asked last, and it was not asked any more."
                ))
                .next(format!("nhi doctor {connection}"));
            Problem { unheard: true, ..problem }
        })
    }

    /// Looks at everything that is declared and asked for, several at once. `said` hears how many of how
    /// many.
    pub async fn look(self: &Arc<Tick>, wishes: Wishes, said: impl Fn(usize, usize)) -> Looked {
        let (absent, mut unread) = match self.asked.owed_only {
            true => (Absent::default(), Vec::new()),
            false => self.owners(&wishes).await,
        };
        let absent = Arc::new(absent);
        let of = |id: &String| connection_of(id).to_owned();
        self.ask_each(wishes.integrations.keys().map(of).collect()).await;
        let mut lines = Lines::new(LOOKS);
        let mut running: JoinSet<OfOne> = JoinSet::new();
        let mut subjects = BTreeMap::new();
        for (id, wish) in wishes.integrations {
            let names = self.names(&id, &wish);
            let itself = !self.asked.owed_only
                && self.asked.integrations.as_ref().is_none_or(|only| only.contains(&id));
            if names.is_empty() && !itself {
                continue;
            }
            let connection = connection_of(&id).to_owned();
            let (all, line) = lines.of(&connection);
            let (tick, absent, subject) = (self.clone(), absent.clone(), id.clone());
            let task = running.spawn(
                async move {
                    let _turns = (line.acquire().await, all.acquire().await);
                    if let Some(problem) = tick.left_alone(&connection) {
                        return (Vec::new(), vec![(id, problem)]);
                    }
                    // A look that has begun comes to its end: it may be what a platform gives a new token in.
                    if tick.context.stop.is_set() {
                        let problem = Problem::new("E-STOPPED", "It was asked to stop")
                            .detail("This was not looked at.")
                            .next("run it again");
                        return (Vec::new(), vec![(id, problem)]);
                    }
                    let span = telemetry::look(&id, &connection);
                    let looking = tick.look_at(&wish, &names, itself, &absent);
                    let (steps, failed) = looking.instrument(span.clone()).await;
                    match failed.first() {
                        Some((_, problem)) => telemetry::failed(&span, "gap", Some(problem.code)),
                        None => telemetry::ended(&span, "read"),
                    }
                    for (_, problem) in &failed {
                        tick.note(&connection, problem.unheard);
                    }
                    if failed.is_empty() {
                        tick.note(&connection, false);
                    }
                    (steps, failed)
                }
                .instrument(Span::current()),
            );
            subjects.insert(task.id(), subject);
        }
        let (mut steps, of) = (Vec::new(), running.len());
        let mut done = 0;
        while let Some(ended) = running.join_next().await {
            done += 1;
            said(done, of);
            match ended {
                Ok((seen, failed)) => {
                    steps.extend(seen);
                    unread.extend(failed);
                }
                Err(error) => {
                    let subject = subjects.remove(&error.id());
                    unread.extend(subject.map(|what| (what.clone(), broke_off(&what))));
                }
            }
        }
        let (found, failed) = self.unowned().await;
        steps.extend(found);
        unread.extend(failed);
        let rank = |step: &Step| match &step.next {
            Next::Do(work, _) => work.rank(),
            _ => u8::MAX,
        };
        steps.sort_by(|a, b| (rank(a), &a.subject).cmp(&(rank(b), &b.subject)));
        unread.sort_by(|(a, _), (b, _)| a.cmp(b));
        let unread: Vec<Unread> = unread
            .into_iter()
            .map(|(subject, problem)| Unread {
                since: self.tries.since(&subject, LOOK),
                subject,
                problem,
            })
            .collect();
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let looked = Looked { steps: steps.into_iter().map(Arc::new).collect(), unread, known };
        self.remember(&looked).await;
        looked
    }

    /// Which slots of an integration are meant.
    fn names(&self, id: &str, wish: &Wish) -> Vec<String> {
        let meant = |name: &&str| {
            let pair = || (id.to_owned(), (*name).to_owned());
            self.asked.slots.as_ref().is_none_or(|only| only.contains(&pair()))
        };
        wish.slots.iter().map(|slot| slot.name.as_str()).filter(meant).map(str::to_owned).collect()
    }

    /// What the ledger knows better now: what is read again, what is not, and what is not to be done any
    /// more.
    async fn remember(&self, looked: &Looked) {
        if self.context.read_only || !self.context.ledger.keeps() {
            return;
        }
        let read: BTreeSet<String> = looked.steps.iter().map(|one| one.subject.clone()).collect();
        let wanted = looked.steps.iter().flat_map(|step| {
            let deeds = match &step.next {
                // It goes before what keeps failing, whose count stays.
                Next::Do(Work::RemoveTemporary(_), _) => vec![REMOVE_TEMPORARY, SWITCH_OFF, REVOKE],
                Next::Do(work, _) => work.row().into_iter().collect(),
                _ => Vec::new(),
            };
            deeds.into_iter().map(|deed| (step.subject.clone(), deed.to_owned()))
        });
        let put_off = looked.steps.iter().filter(|step| matches!(step.next, Next::PutOff { .. }));
        let rows = [ROTATE, COPY, SWITCH_OFF, REVOKE, REMOVE_TEMPORARY];
        let put_off =
            put_off.flat_map(|step| rows.map(|deed| (step.subject.clone(), deed.to_owned())));
        let wanted: BTreeSet<(String, String)> = wanted.chain(put_off).collect();
        if !self.asked.owed_only {
            tries::settle(&self.context, &self.tries, &rows, &read, &wanted).await;
        }
        // What was not asked for because it was to stop is no gap that lasts.
        let unread = looked.unread.iter().filter(|one| one.problem.code != "E-STOPPED");
        let unread: BTreeSet<String> = unread.map(|one| one.subject.clone()).collect();
        // Of one a part may be read, and another not.
        let still = unread.iter().map(|subject| (subject.clone(), LOOK.to_owned())).collect();
        tries::settle(&self.context, &self.tries, &[LOOK], &read, &still).await;
        tries::open(&self.context, &self.tries, LOOK, &unread).await;
    }

    /// The owners who have left, by the directory that knows them.
    async fn owners(&self, wishes: &Wishes) -> (Absent, Vec<(String, Problem)>) {
        let (mut gone, mut unread) = (Absent::default(), Vec::new());
        let (mut absent, mut read) = (BTreeSet::new(), BTreeSet::new());
        for (id, wish) in &wishes.owners {
            match self.owner(wish).await {
                Ok((status, since, dated)) => {
                    read.insert(id.clone());
                    if status == "left" {
                        let rules = &self.context.rules;
                        let at = since.and_then(|day| policy::owner::left_at(day, rules));
                        gone.left.insert(id.clone(), at.unwrap_or_else(|| self.context.now()));
                    }
                    if matches!(status, "left" | "inactive") {
                        gone.away.insert(id.clone());
                    }
                    if matches!(status, "left" | "inactive") && !dated {
                        absent.insert(id.clone());
                    }
                }
                Err(problem) => unread.push((id.clone(), problem)),
            }
        }
        if !self.context.read_only {
            let still = absent.iter().map(|id| (id.clone(), ABSENT.to_owned())).collect();
            tries::settle(&self.context, &self.tries, &[ABSENT, LOOK], &read, &still).await;
            tries::open(&self.context, &self.tries, ABSENT, &absent).await;
        }
        (gone, unread)
    }

    /// The status of an owner, and whether the directory, or a state, says since when. Where neither does,
    /// the grace counts from when it was first seen.
    async fn owner(
        &self,
        wish: &WishedOwner,
    ) -> Result<(&'static str, Option<Date>, bool), Problem> {
        let (connection, entry) = &wish.entry;
        let (seen, member) = look_up_owner(&self.context, connection, entry).await?;
        let dated = wish.inactive_since.is_some()
            || member.is_some_and(|member| member.changed_at.is_some());
        let first = self.tries.since(&wish.id, ABSENT);
        let first = first.map(|at| at.to_zoned_datetime(jiff::tz::TimeZone::UTC).date());
        let (status, since) = policy::owner::status(
            &seen,
            wish.department.as_deref(),
            wish.inactive_since.or(first),
            &self.context.rules,
            self.context.time(),
        );
        Ok((status, since, dated))
    }

    async fn look_at(&self, wish: &Wish, names: &[String], itself: bool, gone: &Absent) -> OfOne {
        let (mut steps, mut unread) = (Vec::new(), Vec::new());
        let (id, seen) = match self.integration(wish).await {
            Ok(Some(found)) => found,
            // What is gone owes nothing here; nhi drift says so.
            Ok(None) => return (steps, unread),
            Err(problem) => {
                unread.push((wish.id.clone(), problem));
                return (steps, unread);
            }
        };
        self.learn(wish, &seen);
        let whole = seen.whole(&id);
        let around = look_around(&self.context, &wish.id, &wish.ties).await;
        // It is another connection that did not answer. Under its own id it is the ledger.
        let of_others = |(what, problem): &&(String, Problem)| *what != wish.id && problem.unheard;
        for (what, _) in around.unread.iter().filter(of_others) {
            self.note(connection_of(what), true);
        }
        unread.extend(around.gaps_of(&wish.id));
        let wanted = self.wanted(wish, &seen, around, gone);
        if itself && whole.is_ok() {
            let next = self.judge_integration(&id, wish, &seen, wanted.clone());
            steps.push(Step {
                subject: wish.id.clone(),
                integration: id.clone(),
                about: About::Integration {
                    wish: Box::new(wish.clone()),
                    vendor_id: seen.observed.vendor_id.clone(),
                    name: seen.observed.name.clone(),
                },
                next,
            });
        }
        let has_switch = self.has_switch(&id);
        // A plan issues nothing for what policy has off, whoever switches it off and when.
        let stopped = wanted.iter().any(|(verdict, ..)| match verdict {
            Verdict::Warn => false,
            Verdict::Disable => has_switch,
            Verdict::Revoke => true,
        });
        let (active, acts) = may_act(wish, &seen, has_switch);
        let may = !stopped && whole.is_ok();
        let (active, acts) = (active && may, acts && may);
        // What was not read is not taken for absent. What is owed on its credentials is met all the same.
        unread.extend(whole.err().map(|problem| (wish.id.clone(), problem)));
        for name in names {
            match self.look_at_slot(wish, name, active, acts, &id).await {
                Ok(found) => steps.extend(found),
                Err(problem) => {
                    unread.push((format!("{}/credential/{name}", wish.id), problem));
                }
            }
        }
        (steps, unread)
    }

    /// What owners are told by: where they are reached, by the record, and when a review is due.
    fn learn(&self, wish: &Wish, seen: &SeenIntegration) {
        let Some(record) = &seen.observed.record else { return };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        for owner in [&record.business_owner, &record.technical_owner].into_iter().flatten() {
            if let Some(email) = &owner.email {
                known.contacts.insert(owner.id.clone(), email.clone());
            }
        }
        let said = |name: &str| wish.record.as_ref()?.get(name).map(String::as_str);
        let facts = seen.facts(None, said("review_every"), None);
        known.reviews.extend(facts.review_due().map(|at| (wish.id.clone(), at)));
    }

    async fn integration(
        &self,
        wish: &Wish,
    ) -> Result<Option<(IntegrationId, SeenIntegration)>, Problem> {
        let id = wish.integration()?;
        let seen = observe_integration(&self.context, &id, None, wish.vendor_id.as_deref()).await?;
        let Some(seen) = seen else { return Ok(None) };
        seen.governed_here(&self.context, &id).await?;
        Ok(Some((id, seen)))
    }

    async fn look_at_slot(
        &self,
        wish: &Wish,
        name: &str,
        active: bool,
        acts: bool,
        integration: &IntegrationId,
    ) -> Result<Option<Step>, Problem> {
        let spec = declared_slot(&self.context, wish, name).await?;
        let Some(seen) = observe_slot(&self.context, &spec).await? else { return Ok(None) };
        // What is only shown is written nowhere, as the context knows.
        catch_up(&self.context, &spec, &seen).await;
        let subject = spec.id.to_string();
        let next = self.judge_slot(&spec, &seen, active, acts).await?;
        let next = self.not_yet(&subject, next);
        let (spec, seen) = (Box::new(spec), Box::new(seen));
        let about = About::Slot { spec, seen, active, acts };
        Ok(Some(Step { subject, integration: integration.clone(), about, next }))
    }

    /// What keeps failing is put off.
    fn not_yet(&self, subject: &str, next: Next) -> Next {
        let Next::Do(work, _) = &next else { return next };
        let failed = self.tries.failed(subject, work.row());
        match failed.filter(|(_, again)| !self.asked.at_once && *again > self.context.now()) {
            None => next,
            Some((times, again)) => Next::PutOff {
                why: format!(
                    "it failed {times} time(s), and is tried again after {}",
                    again.strftime("%Y-%m-%dT%H:%M:%SZ")
                ),
                next: Some(format!("nhi ledger show {subject} --kind obligation.failed")),
                late: true,
            },
        }
    }

    /// What is next of a slot: what is owed on it, else what a plan would do about its status.
    async fn judge_slot(
        &self,
        spec: &SlotSpec,
        seen: &SeenSlot,
        active: bool,
        acts: bool,
    ) -> Result<Next, Problem> {
        let standing = &self.context.rules.standing;
        let owed = match due_now(&self.context, spec, seen, active).await? {
            DueNow::Busy(who) => return Ok(Next::Busy(who)),
            DueNow::Held(why) => return Ok(Next::Held(why)),
            DueNow::Do(goal, reason) if self.asked.owed_only || standing.retire => {
                return Ok(Next::Do(Work::Owed(goal), reason));
            }
            DueNow::Do(..) => Next::PutOff {
                why: "something is owed on it, and standing.retire is false".to_owned(),
                next: Some(format!("nhi reconcile --due {}", spec.id)),
                late: true,
            },
            DueNow::PutOff(why) => {
                // Who still uses the earlier one is waited for, and for a while that is as it should be.
                let long = seen.in_use.iter().any(|(.., how)| *how >= Severity::High);
                Next::put_off(why, seen.in_use.is_empty() || long)
            }
            DueNow::Nothing => Next::Nothing,
        };
        if self.asked.owed_only {
            return Ok(owed);
        }
        let rotation = self.judge_rotation(spec, seen, acts).await?;
        Ok(if rotation == Next::Nothing { owed } else { rotation })
    }

    /// The rotation that a plan would show of a slot on which nothing is owed.
    async fn judge_rotation(
        &self,
        spec: &SlotSpec,
        seen: &SeenSlot,
        acts: bool,
    ) -> Result<Next, Problem> {
        let consequence = consequence_for(seen.status, acts);
        let reason = reason_of(seen.status, consequence);
        let late = seen.status != "due";
        match consequence {
            Consequence::Rotate | Consequence::RotateAtOnce | Consequence::Copy => {}
            // Nothing is issued to what may not act, and to end all of it is a person's, or an apply's.
            Consequence::End => {
                return Ok(Next::PutOff {
                    why: "it is exposed, and its integration may not act".to_owned(),
                    next: Some(format!("nhi revoke {}", spec.id)),
                    late,
                });
            }
            // What is owed was judged before.
            _ => return Ok(Next::Nothing),
        }
        // What rules would say is not known.
        if let Some(closed) = self.context.gate.closed() {
            return Ok(Next::refused(closed.clone(), late));
        }
        if seen.recreated {
            let why = "its integration is another incarnation than the one that is declared";
            return Ok(Next::PutOff { why: why.into(), next: Some("terraform plan".into()), late });
        }
        if seen.key_id.is_none() {
            let why = "it has no credential: the first, and one after a person ended all that it had, \
                       is an apply's";
            return Ok(Next::PutOff {
                why: why.into(),
                next: Some("terraform apply".into()),
                late,
            });
        }
        if seen.status == "foreign" {
            let why = "its platform shows a secret that is not ours: a person looks first";
            return Ok(Next::PutOff { why: why.into(), next: Some("terraform plan".into()), late });
        }
        if !self.context.rules.standing.rotate {
            return Ok(Next::PutOff {
                why: format!("it is {}, and standing.rotate is false", seen.status),
                next: Some(format!("nhi rotate {}", spec.id)),
                late,
            });
        }
        if consequence == Consequence::Copy {
            return Ok(Next::Do(Work::Copy, reason));
        }
        Ok(match another(&self.context, spec, seen, reason).await {
            Ok(to) => Next::Do(Work::Rotate(Box::new(to)), reason),
            Err(problem) if problem.unheard => return Err(problem),
            Err(problem) => Next::refused(problem, late),
        })
    }

    /// What policy has follow for an integration, each with why, and whether that was approved to be done
    /// unasked.
    fn wanted(
        &self,
        wish: &Wish,
        seen: &SeenIntegration,
        around: SeenAround,
        gone: &Absent,
    ) -> Vec<Wanted> {
        let rules = &self.context.rules;
        // What rules would say is not known.
        if self.context.gate.closed().is_some() {
            return Vec::new();
        }
        let said = |name: &str| wish.record.as_ref().and_then(|record| record.get(name));
        let facts = seen.facts(
            said("expires_on").map(String::as_str),
            said("review_every").map(String::as_str),
            said("adoption.complete_by").map(String::as_str),
        );
        let now = self.context.time();
        let facts = around.into_facts(facts, &wish.ties, &seen.observed, rules, now);
        let verdicts = standing(&facts, rules, now);
        let mut wanted: Vec<Wanted> = Vec::new();
        if let Some(verdict) = verdicts.get("expired") {
            let day = said("expires_on").map_or("", String::as_str);
            let why = format!("{day} was its last day");
            wanted.push((*verdict, why, rules.standing.disable_expired));
        }
        if let Some(verdict) = verdicts.get("condition_met") {
            let why = format!("a condition that ends it is met: {}", facts.around.met.join(", "));
            wanted.push((*verdict, why, rules.standing.disable_expired));
        }
        if let Some(verdict) = verdicts.get("workflow_retired") {
            // Who switches a workflow off for an hour does not mean its integration.
            let why = format!("its workflow {} is gone", facts.around.gone.join(", "));
            wanted.push((*verdict, why, false));
        }
        if let Some(verdict) = verdicts.get("review_overdue") {
            wanted.push((*verdict, "its review is overdue".to_owned(), false));
        }
        if let Some(verdict) = verdicts.get("quarantine_broken") {
            let why = "it is quarantined, and somebody switched it on";
            wanted.push((*verdict, why.to_owned(), false));
        }
        let standing = &rules.standing;
        for member in ["business_owner.id", "technical_owner.id"] {
            // As a plan has it: off at once, whatever else follows of a day that is over.
            let away = said(member).filter(|owner| gone.away.contains(*owner));
            if let Some(owner) = away.filter(|_| wish.ties.expires_when.contains("owner_left")) {
                let why = format!("a condition that ends it is met: owner_left ({owner})");
                let approved = standing.disable_expired && rules.expired > Verdict::Warn;
                wanted.push((Verdict::Disable, why, approved));
            }
            let owner = said(member).and_then(|owner| Some((owner, gone.left.get(owner)?)));
            if let Some((owner, since)) = owner {
                let why = format!("{owner} has left, and answers for it");
                let verdict = ownerless(*since, rules, self.context.time());
                wanted.push((verdict, why, standing.disable_ownerless));
            }
        }
        // What was adopted may have none for a while.
        let named = |member| said(member).is_some();
        let adopted = said("adoption.complete_by").and_then(|day| day.parse().ok());
        if !named("business_owner.id")
            && !named("technical_owner.id")
            && let Some(over) = adopted.map(end_of)
            && self.context.time().is_past(later(over, rules.owner_grace))
        {
            let since = later(over, rules.owner_grace);
            let verdict = ownerless(since, rules, self.context.time());
            wanted.push((verdict, "nobody answers for it".to_owned(), standing.disable_ownerless));
        }
        wanted
    }

    /// What is next of an integration itself.
    fn judge_integration(
        &self,
        id: &IntegrationId,
        wish: &Wish,
        seen: &SeenIntegration,
        wanted: Vec<Wanted>,
    ) -> Next {
        let record = seen.observed.record.as_ref();
        // What rules would say is not known; what a person stopped, or began, is theirs.
        let theirs = Decommissioned::of(record).is_some()
            || seen.recreated
            || record.is_some_and(|record| record.unfinished);
        if self.context.gate.closed().is_some() || theirs {
            return Next::Nothing;
        }
        let next = self.judge_wanted(id, wish, seen, wanted);
        let over = self.over(id, wish, seen);
        if over.is_empty() || matches!(next, Next::Do(..)) {
            return next;
        }
        let approved = self.context.rules.standing.remove_temporary;
        let removal = match approved {
            true => self.not_yet(&wish.id, Next::Do(Work::RemoveTemporary(over), "policy")),
            false => Next::PutOff {
                why: "a temporary scope is over, and standing.remove_temporary is false".to_owned(),
                next: Some("terraform apply takes it away".to_owned()),
                late: true,
            },
        };
        // What waits for somebody keeps nothing else waiting; it is told by the next run.
        match (&next, &removal) {
            (Next::Nothing, _) | (_, Next::Do(..)) => removal,
            _ => next,
        }
    }

    /// What is next of what policy has follow.
    fn judge_wanted(
        &self,
        id: &IntegrationId,
        wish: &Wish,
        seen: &SeenIntegration,
        mut wanted: Vec<Wanted>,
    ) -> Next {
        let live = &seen.observed;
        let lives = live.credentials.iter().flatten().any(|one| one.live);
        let enabled = live.enabled;
        let is_so = |verdict: Verdict| match verdict {
            Verdict::Warn => true,
            Verdict::Disable => !enabled,
            Verdict::Revoke => !enabled && !lives,
        };
        wanted.retain(|(verdict, ..)| !is_so(*verdict));
        let worst = |may: bool| {
            let of = wanted.iter().filter(|(.., approved)| *approved == may);
            of.max_by_key(|(verdict, ..)| *verdict)
        };
        let has_switch = self.has_switch(id);
        let late = true;
        if let Some((verdict, why, _)) = worst(true) {
            let work = match verdict {
                Verdict::Revoke if has_switch || lives => Work::Revoke(why.clone()),
                _ if has_switch => Work::SwitchOff(why.clone()),
                Verdict::Revoke => return Next::Nothing,
                _ => {
                    let why = format!("{why}, and its platform has no switch");
                    let next = Some(format!("nhi decommission {id}, or remove its resources"));
                    return Next::PutOff { why, next, late };
                }
            };
            return self.not_yet(&wish.id, Next::Do(work, "policy"));
        }
        let can_be = |verdict: Verdict| has_switch || (verdict == Verdict::Revoke && lives);
        if let Some((_, why, _)) = worst(false).filter(|(verdict, ..)| can_be(*verdict)) {
            let why =
                format!("{why}: policy has it off, and nobody approved that to be done unasked");
            let command = if has_switch && enabled { "disable" } else { "revoke" };
            let declared = self.asked.beside.as_ref().is_none_or(|(all, _)| all.contains(&wish.id));
            let next = Some(match declared {
                true => format!("nhi {command} {id}, or terraform apply"),
                false => {
                    format!("nhi {command} {id}; or, if it is needed, nhi adopt {}", id.connection)
                }
            });
            return Next::PutOff { why, next, late };
        }
        Next::Nothing
    }

    /// What nobody declares, and for which nobody answers, where policy has something follow.
    async fn unowned(&self) -> OfOne {
        let (mut steps, mut unread) = (Vec::new(), Vec::new());
        let rules = &self.context.rules;
        let closed = self.context.gate.closed().is_some() || self.context.stop.is_set();
        let (Some((declared, connections)), Some(_), false) =
            (&self.asked.beside, rules.unowned_grace, closed || self.asked.owed_only)
        else {
            return (steps, unread);
        };
        let open: BTreeSet<String> = self.open_breakers().into_iter().collect();
        let names: Vec<String> = connections.difference(&open).cloned().collect();
        let (mut seen, mut whole) = (BTreeSet::new(), BTreeSet::new());
        for name in &names {
            match nobodys(&self.context, name, declared).await {
                Ok((found, complete)) => {
                    whole.extend(complete.then(|| name.clone()));
                    for one in found {
                        seen.insert(one.id.to_string());
                        let subject = one.id.to_string();
                        match self.judge_unowned(one).await {
                            Ok(step) => steps.extend(step),
                            Err(problem) => unread.push((subject, problem)),
                        }
                    }
                }
                Err(problem) => unread.push((name.clone(), problem)),
            }
        }
        if !self.context.read_only && self.context.ledger.keeps() {
            tries::open(&self.context, &self.tries, UNOWNED, &seen).await;
            let gone = self.tries.subjects(UNOWNED).into_iter().filter(|subject| {
                let of = subject.split('/').next().unwrap_or_default();
                whole.contains(of) && !seen.contains(subject)
            });
            tries::settle(
                &self.context,
                &self.tries,
                &[UNOWNED],
                &gone.collect(),
                &BTreeSet::new(),
            )
            .await;
        }
        (steps, unread)
    }

    /// What is next of one: of what is past its grace it is read whether it is on, and has something that
    /// lives.
    async fn judge_unowned(&self, one: Nobodys) -> Result<Option<Step>, Problem> {
        let (rules, subject) = (&self.context.rules, one.id.to_string());
        // Seen for the first time today, it has all of its grace.
        let Some(since) = self.tries.since(&subject, UNOWNED) else { return Ok(None) };
        let verdict = policy::owner::unowned(since, rules, self.context.time());
        let Some(verdict) = verdict.filter(|verdict| *verdict > Verdict::Warn) else {
            return Ok(None);
        };
        let vendor_id = Some(one.vendor_id.as_str());
        let Some(seen) = observe_integration(&self.context, &one.id, None, vendor_id).await? else {
            return Ok(None);
        };
        seen.whole(&one.id)?;
        let day = since.strftime("%Y-%m-%d");
        let why = format!("nobody declares it and nobody answers for it, since {day} at least");
        let wish = Wish { id: subject.clone(), ..Wish::default() };
        let wanted = vec![(verdict, why, rules.standing.disable_ownerless)];
        let next = self.judge_wanted(&one.id, &wish, &seen, wanted);
        Ok((next != Next::Nothing).then(|| Step {
            subject,
            integration: one.id,
            about: About::Integration {
                wish: Box::new(wish),
                vendor_id: one.vendor_id,
                name: one.name,
            },
            next,
        }))
    }

    fn has_switch(&self, id: &IntegrationId) -> bool {
        self.context.connections.platform(&id.connection).is_ok_and(|platform| {
            let mut kinds = platform.kinds().iter();
            kinds.any(|kind| kind.name == id.kind && kind.capabilities.disables)
        })
    }

    fn over(&self, id: &IntegrationId, wish: &Wish, seen: &SeenIntegration) -> BTreeSet<Scope> {
        let Some((lattice, wished)) = self.lattice(id).zip(wish.scopes.as_ref()) else {
            return BTreeSet::new();
        };
        let live = seen.observed.scopes.iter().map(|held| held.scope.clone()).collect();
        let wished = wished.with_elevations(&self.context, &seen.observed, lattice);
        scopes::over(lattice, &wished, &live, self.context.time().lo)
    }

    fn lattice(&self, id: &IntegrationId) -> Option<KindLattice> {
        let platform = self.context.connections.platform(&id.connection).ok()?;
        let kind = platform.kinds().iter().find(|kind| kind.name == id.kind)?;
        Some(KindLattice { platform, kind: kind.name })
    }

    /// Does what is next of these, several at once and one at a time of each integration. `told` hears
    /// what became of each, by its place in `steps`.
    pub async fn take_all(
        self: &Arc<Tick>,
        steps: &[Arc<Step>],
        mut told: impl FnMut(usize, &Step, Taken),
    ) {
        let mut lines = Lines::new(DEEDS);
        let mut by: BTreeMap<String, Vec<(usize, Arc<Step>)>> = BTreeMap::new();
        let mut order = Vec::new();
        for (at, step) in steps.iter().enumerate() {
            if !matches!(step.next, Next::Do(..)) {
                told(at, step, Taken::Left);
                continue;
            }
            let id = step.integration.to_string();
            if !by.contains_key(&id) {
                order.push(id.clone());
            }
            by.entry(id).or_default().push((at, step.clone()));
        }
        // What ends all of an integration and what issues for it do not meet: one task has all of it, in
        // order, and those whose first deed takes power away stand in line first.
        let (done, mut ended) = mpsc::unbounded_channel();
        let mut running = JoinSet::new();
        for of_one in order.iter().filter_map(|id| by.remove(id)) {
            let connection = of_one.first().map(|(_, step)| step.integration.connection.clone());
            let (all, line) = lines.of(&connection.unwrap_or_default());
            let (tick, done) = (self.clone(), done.clone());
            running.spawn(
                async move {
                    for (at, step) in of_one {
                        let _turns = (line.acquire().await, all.acquire().await);
                        // Nobody hears it only where whoever asked is gone, and this with them.
                        let _ = done.send((at, tick.take_alone(&step).await));
                    }
                }
                .instrument(Span::current()),
            );
        }
        drop(done);
        while let Some((at, taken)) = ended.recv().await {
            if let Some(step) = steps.get(at) {
                told(at, step, taken);
            }
        }
    }

    /// Does it in a task of its own: a fault in it is told as that, and stops nothing else.
    async fn take_alone(self: &Arc<Tick>, step: &Arc<Step>) -> Taken {
        let mut alone = JoinSet::new();
        let (tick, of) = (self.clone(), step.clone());
        let span = match &step.next {
            Next::Do(work, _) => {
                telemetry::deed(work.traced(), &step.subject, &step.integration.connection)
            }
            _ => Span::none(),
        };
        alone.spawn(async move { tick.take(&of).await }.instrument(span.clone()));
        if let Some(Ok(taken)) = alone.join_next().await {
            taken.trace(&span);
            return taken;
        }
        telemetry::failed(&span, "broke_off", None);
        let problem = broke_off(&step.subject);
        if let Next::Do(work, _) = &step.next {
            tries::note_failed(&self.context, &step.subject, work.row(), &problem).await;
        }
        // How far it came is not known.
        Taken::Not { problem, begun: true }
    }

    /// Does what is next of one, if it still is.
    pub async fn take(&self, step: &Step) -> Taken {
        let connection = &step.integration.connection;
        let Next::Do(work, reason) = &step.next else { return Taken::Left };
        if self.context.stop.is_set() {
            return Taken::Stopped;
        }
        if let Some(problem) = self.left_alone(connection) {
            return Taken::Unasked(problem);
        }
        // Whoever else works on it does this as well, or finds it done.
        let held = match Lease::take(&self.context, &step.integration.to_string()).await {
            Ok(Ok(held)) => Some(held),
            Ok(Err(_)) => return Taken::Busy,
            Err(problem) => match work {
                Work::Rotate(_) | Work::Copy => return Taken::Not { problem, begun: false },
                // A ledger that cannot be written keeps no power alive: the claim says who is at work.
                _ => None,
            },
        };
        let context = match &held {
            Some(held) => held.guard(&self.context),
            None => self.context.clone(),
        };
        let done = match &step.about {
            About::Slot { spec, active, acts, .. } => {
                self.take_slot(&context, spec, *active, *acts, work, reason).await
            }
            About::Integration { wish, vendor_id, name } => {
                let of = (vendor_id.as_str(), name.as_str());
                self.take_integration(&context, &step.integration, wish, of, work).await
            }
        };
        let lost = held.as_ref().is_some_and(Lease::is_lost);
        if let Some(held) = held {
            held.give_back().await;
        }
        match done {
            Ok(taken) => {
                self.note(connection, false);
                if let Some(deed) = work.row() {
                    tries::note_done(&self.context, &step.subject, deed).await;
                }
                taken
            }
            Err(problem) if problem.code == "E-BUSY" => Taken::Busy,
            // Whoever has it now goes on with it.
            Err(problem) if lost || problem.code == "E-LEDGER-FENCED" => {
                tracing::warn!(subject = step.subject, %problem, "its lease was lost");
                Taken::Busy
            }
            // Somebody rotated it meanwhile, and did this with it.
            Err(problem) if problem.code == "E-FURTHER" => Taken::Met(None),
            Err(problem) => {
                self.note(connection, problem.unheard);
                if self.context.stop.is_set() {
                    return Taken::Stopped;
                }
                tries::note_failed(&self.context, &step.subject, work.row(), &problem).await;
                let begun = self.is_begun(step).await;
                Taken::Not { problem, begun }
            }
        }
    }

    async fn is_begun(&self, step: &Step) -> bool {
        let About::Slot { spec, seen: before, .. } = &step.about else { return false };
        let seen = observe_slot(&self.context, spec).await.ok().flatten();
        seen.is_none_or(|seen| {
            seen.note.is_some()
                || seen.still_used
                || seen.generation > before.generation
                || seen.owed.due().next().is_some()
        })
    }

    async fn take_slot(
        &self,
        context: &Context,
        spec: &SlotSpec,
        active: bool,
        acts: bool,
        work: &Work,
        reason: &'static str,
    ) -> Result<Taken, Problem> {
        let may = match (work, active) {
            // Nothing is issued for it, whatever it is now.
            (Work::Owed(_), false) => Ok(()),
            _ => may_have_more(context, spec).await,
        };
        if matches!(work, Work::Owed(_)) {
            // What was switched off since may still have its earlier ones ended.
            let active = match may {
                Err(problem) if problem.unheard => return Err(problem),
                may => active && may.is_ok(),
            };
            return Ok(Taken::Met(meet(context, spec, active).await?.map(Box::new)));
        }
        may?;
        // Somebody may have been here since, and what was shown is done once.
        let Some(seen) = look_at_slot(context, spec, Freshness::Fresh).await? else {
            return Ok(Taken::Left);
        };
        let goal = match self.judge_rotation(spec, &seen, acts).await? {
            Next::Do(Work::Copy, _) => Goal::Rotate { to: seen.generation, at_once: false },
            Next::Do(Work::Rotate(to), _) => to.goal,
            _ => return Ok(Taken::Left),
        };
        let outcome = carry_out(context, spec, goal, reason).await?;
        Ok(Taken::Rotated(Box::new(outcome)))
    }

    async fn take_integration(
        &self,
        context: &Context,
        id: &IntegrationId,
        wish: &Wish,
        (vendor_id, name): (&str, &str),
        work: &Work,
    ) -> Result<Taken, Problem> {
        let off = |why: &String| Switch::OffByPolicy(why.clone());
        match work {
            Work::SwitchOff(why) => {
                let turned = turn(context, id, vendor_id, wish.revoke_unmanaged, &off(why)).await?;
                Ok(if turned { Taken::SwitchedOff } else { Taken::Left })
            }
            Work::Revoke(why) => {
                let turned = turn(context, id, vendor_id, wish.revoke_unmanaged, &off(why)).await;
                turned.map(drop).or_else(|problem| match problem.code {
                    "E-NO-SWITCH" => Ok(()),
                    _ => Err(problem),
                })?;
                let (mut revoked, mut problems) = (Vec::new(), Vec::new());
                for slot in &wish.slots {
                    match revoke_slot(context, wish, &slot.name).await {
                        Ok(ended) => revoked.extend(ended),
                        Err(problem) if context.stop.is_set() => return Err(problem),
                        // One that cannot be ended keeps no other alive.
                        Err(problem) => problems.push(problem),
                    }
                }
                match revoke_everything(context, id, vendor_id, name).await {
                    Ok(ended) => revoked.extend(ended),
                    Err(problem) => problems.push(problem),
                }
                // That somebody else is at work on one says nothing of the others.
                problems.sort_by_key(|problem| problem.code == "E-BUSY");
                match problems.into_iter().next() {
                    Some(problem) => Err(problem),
                    None => Ok(Taken::Revoked(revoked)),
                }
            }
            Work::RemoveTemporary(_) => {
                let nothing = WishedScopes {
                    standing: BTreeSet::new(),
                    temporary: BTreeMap::new(),
                    on_request: BTreeMap::new(),
                    enforcement: policy::scopes::Enforcement::Exact,
                    classify: BTreeMap::new(),
                };
                let wished = wish.scopes.as_ref().unwrap_or(&nothing);
                let Some(lattice) = self.lattice(id) else { return Ok(Taken::Left) };
                let over = scopes::remove_over(context, id, vendor_id, lattice, wished).await?;
                Ok(if over.is_empty() { Taken::Left } else { Taken::Narrowed(over) })
            }
            Work::Owed(_) | Work::Rotate(_) | Work::Copy => Ok(Taken::Left),
        }
    }
}

async fn revoke_slot(context: &Context, wish: &Wish, name: &str) -> Result<Vec<Revoked>, Problem> {
    let spec = crate::slot_to_end(context, wish, name).await?;
    Ok(carry_out(context, &spec, Goal::Revoke, "expired").await?.revoked)
}

/// Whether a rotation of an integration may be finished, and whether one may begin. What a hand switched
/// off gets nothing from either: to switch it on again is a plan's.
fn may_act(wish: &Wish, seen: &SeenIntegration, has_switch: bool) -> (bool, bool) {
    let live = &seen.observed;
    let quarantined = live.record.as_ref().is_some_and(|record| record.quarantined.is_some());
    let active = wish.enabled.unwrap_or(live.enabled) && !quarantined;
    let active = active && (live.enabled || !has_switch);
    (active, active && live.enabled)
}

/// The slots of an integration, for whoever shows a step of it.
impl Step {
    /// The slot that it is about.
    pub fn slot(&self) -> Option<&CredentialId> {
        match &self.about {
            About::Slot { spec, .. } => Some(&spec.id),
            About::Integration { .. } => None,
        }
    }
}
