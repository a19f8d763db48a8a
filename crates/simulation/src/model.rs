//! Every order of events in a small world: one slot, one sink, a few runs, a few faults.
//!
//! What comes next is decided by the product's own `next_step`; what a step does to claim, sink and
//! platform is said here once more, as short as it goes. Each run reads the claim, then the sink, then
//! the listing, and only then acts, so that whatever it knows may be old. After every event the
//! promises are checked; wherever everything has come to rest, one more run without faults must bring
//! the slot to its goal.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet, VecDeque},
    fmt::Write as _,
    hash::{DefaultHasher, Hash, Hasher},
};

use domain::Span;
use jiff::{SignedDuration, Timestamp};
use policy::rotation::{
    Claim, Cut, Goal, Key, Main, OwnEnd, Phase, Previous, Siblings, Step, Told, View, Way,
    next_step,
};

/// The one sink.
const PLACE: &str = "sink:app";
/// How long an earlier key is kept.
const OVERLAP: SignedDuration = SignedDuration::from_hours(24);
/// How long one is only switched off before it ends.
const WATCHED: SignedDuration = SignedDuration::from_hours(1);
/// How long after its overlap an earlier key ends by itself, where the platform can be told.
const LIMIT: Span = Span::from_secs(2 * 3600);
/// When everything begins.
const BEGIN: Timestamp = Timestamp::constant(1_795_500_000, 0);
/// The run that comes when everything is at rest.
const LATER: usize = usize::MAX;
/// More steps than any run takes.
const MOST_STEPS: usize = 60;
/// The name of the only key of [`Way::FirstOnly`].
const ONLY: &str = "only";
/// What a person is asked where what replaces itself is dead.
const LOCKED_OUT: &str = "locked-out-of-management";
/// The two places of [`Way::Slots`]: what the names of keys in them begin with.
const PLACES: [&str; 2] = ["k", "b"];

/// How often each thing may go wrong, or happen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Events {
    /// A run dies, before or after a call.
    pub crashes: u8,
    /// A call is done or not, and nobody hears.
    pub lost: u8,
    /// A call to the platform arrives after the run has given it up.
    pub late: u8,
    /// A key that works is refused once.
    pub false_refusals: u8,
    /// Somebody is taken for dead who is not.
    pub takeovers: u8,
    /// A person issues a key by hand.
    pub humans: u8,
    /// A person ends, by hand, what is current while nobody is at work.
    pub ends: u8,
    /// The platform refuses to issue.
    pub refusals: u8,
    /// How many of the first four kinds may come together.
    pub together: u8,
}

impl Events {
    /// One fault of the four kinds, if it may come yet.
    fn fault(&self, of: impl Fn(&mut Events) -> &mut u8) -> Option<Events> {
        let mut left = *self;
        left.together = left.together.checked_sub(1)?;
        let kind = of(&mut left);
        *kind = kind.checked_sub(1)?;
        Some(left)
    }
}

/// What is searched.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// How the platform issues.
    pub way: Way,
    /// There is a first generation already.
    pub has_first: bool,
    /// There is a second one as well, the overlap of the first is over, and the platform can switch one
    /// key off.
    pub soft_cut: bool,
    /// The platform can be told when a key ends that is there.
    pub limits: bool,
    /// What each run wants, one after the other.
    pub runs: Vec<Vec<Goal>>,
    /// What may happen.
    pub events: Events,
    /// The sink and the listing are read one after the other, and not at one moment.
    pub fine: bool,
    /// More states than the search should ever need.
    pub most: usize,
}

/// What a search found.
#[derive(Debug, Default)]
pub struct Found {
    /// How many different states there are.
    pub states: usize,
    /// How many of them are at rest.
    pub rests: usize,
    /// In how many of those nobody could make another, and a person was asked.
    pub locked_out: usize,
    /// Steps that were decided on, each as often as it was.
    pub steps: BTreeMap<String, u64>,
}

/// A promise that is broken, with the shortest way to it.
#[derive(Debug)]
pub struct Broken {
    /// Which one.
    pub promise: String,
    /// Event by event.
    pub trace: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Custody {
    claim: Claim,
    pending: Option<u8>,
    version: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Document {
    main: Main,
    secret: Option<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Issued {
    key: Key,
    secret: u8,
    human: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Life {
    Up,
    Ended,
    Dead,
}

/// What a run has read so far, and what it will do.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum At {
    Claim,
    Sink(Option<Custody>),
    Listing(Option<Custody>, Document),
    Does(Box<Does>),
}

/// What a run is about to do. Of what it has seen only that is kept which still matters.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Does {
    step: Step,
    call: Call,
    epoch: u64,
    /// The claim under which a key is issued.
    custody: Option<Custody>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Run {
    goals: Vec<Goal>,
    life: Life,
    at: At,
    memory: Option<(String, u64, u8)>,
    verified: Option<(u64, String, bool)>,
    uncalled: Option<u64>,
    swept: Option<u64>,
    proven: Option<u64>,
    destroyed: Option<u64>,
    accepted: BTreeSet<String>,
    off: BTreeSet<String>,
    on: BTreeSet<String>,
    told: BTreeSet<String>,
    was_held: Option<bool>,
}

impl Run {
    fn new(goals: Vec<Goal>) -> Run {
        Run {
            goals,
            life: Life::Up,
            at: At::Claim,
            memory: None,
            verified: None,
            uncalled: None,
            swept: None,
            proven: None,
            destroyed: None,
            accepted: BTreeSet::new(),
            off: BTreeSet::new(),
            on: BTreeSet::new(),
            told: BTreeSet::new(),
            was_held: None,
        }
    }

    /// Nothing of it is left but how it ended.
    fn over(life: Life) -> Run {
        Run { life, ..Run::new(Vec::new()) }
    }
}

/// A call that changes something.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Call {
    Cas(Option<u64>, Box<Claim>, Option<u8>),
    Issue { generation: u64, epoch: u64, secret: Option<u8>, place: &'static str, with: Option<u8> },
    End(String),
    Switch(String, bool),
    Expire(String, Option<Timestamp>),
    Write(u64, Box<Document>),
    SignIn(String, Option<u8>),
    None,
}

enum Answer {
    Done,
    Issued(String, u8),
    Conflict,
    Refused,
    Lost,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    Reads(usize),
    /// The same, and it takes the owner of the claim for dead.
    TakesForDead(usize),
    Does(usize, Fate),
    Arrives(usize),
    Human,
    /// Somebody ends the current key by hand.
    Ends,
    Refresh,
    OverlapEnds,
    /// The time is over for which an earlier key is only switched off.
    CutEnds,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Done,
    DoneAndLost,
    NotDone,
    Late,
    DiesBefore,
    DiesAfter,
    FalselyRefused,
    Refused,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct State {
    now: Timestamp,
    custody: Option<Custody>,
    sink: Document,
    keys: Vec<Issued>,
    next: u8,
    runs: Vec<Run>,
    late: Vec<Call>,
    left: Events,
    /// What the consumer read last.
    held: Option<u8>,
    promoted: BTreeSet<(u64, String)>,
    /// How often the platform took a call where the next one ends what works: [`Way::Grace`].
    called: u8,
    /// Somebody called with a credential that was dead: [`Way::ReplaceSelf`].
    reused: bool,
    /// Somebody wanted everything ended, or nothing kept.
    revoking: bool,
    at_once: bool,
    /// Somebody ended by hand what was current, and nothing was promoted since.
    cut_off: bool,
    /// It is written down that somebody needs the first key, and no person said otherwise since.
    needed: bool,
}

fn nothing() -> Document {
    let main = Main {
        place: PLACE.to_owned(),
        version: 0,
        written_at: None,
        generation: None,
        epoch: 0,
        key_id: None,
        previous: Vec::new(),
        occupied: None,
    };
    Document { main, secret: None }
}

impl State {
    fn first(bounds: &Bounds) -> State {
        let wants = |goal: fn(&Goal) -> bool| bounds.runs.iter().flatten().any(goal);
        let mut state = State {
            now: BEGIN,
            custody: None,
            sink: nothing(),
            keys: Vec::new(),
            next: 2,
            runs: bounds.runs.iter().map(|goals| Run::new(goals.clone())).collect(),
            late: Vec::new(),
            left: bounds.events,
            held: None,
            promoted: BTreeSet::new(),
            called: 0,
            reused: false,
            revoking: wants(|goal| *goal == Goal::Revoke),
            at_once: wants(|goal| matches!(goal, Goal::Rotate { at_once: true, .. })),
            cut_off: false,
            needed: false,
        };
        if bounds.has_first {
            state.add_key(bounds.way, "k1", 1, 1, 1);
            state.sink.main.version = 1;
            state.sink.main.generation = Some(1);
            state.sink.main.epoch = 1;
            state.sink.main.key_id = Some("k1".to_owned());
            state.sink.secret = Some(1);
            state.held = Some(1);
            let claim = Claim {
                generation: 1,
                epoch: 1,
                phase: Phase::Free,
                owner: "before".to_owned(),
                attempt: 0,
                known: BTreeSet::new(),
                current: Some("k1".to_owned()),
                current_epoch: state.keys[0].key.ours.map(|(_, epoch)| epoch),
                new: None,
                mains: BTreeMap::from([(PLACE.to_owned(), 0)]),
                mains_at: BTreeMap::new(),
                previous: Vec::new(),
                reason: String::new(),
                auth: String::new(),
                hold: None,
                refused: 0,
                refused_at: None,
                parked_for_replace: false,
                timed: bounds.way.is_timed(),
                asked: None,
                called_at: None,
                undelivered: None,
                proofs: Default::default(),
                confirmed: Default::default(),
            };
            state.custody = Some(Custody { claim, pending: None, version: 1 });
        }
        if bounds.soft_cut {
            state.second(bounds.way);
        }
        state
    }

    /// Somebody rotated, everybody but one consumer reads the new one, and the overlap is over.
    fn second(&mut self, way: Way) {
        let id = if way == Way::Slots { "b2" } else { "k2" };
        self.add_key(way, id, 2, 2, 2);
        self.next = 3;
        self.now = BEGIN + OVERLAP;
        let earlier = Previous {
            key_id: "k1".to_owned(),
            generation: 1,
            epoch: self.keys[0].key.ours.map(|(_, epoch)| epoch),
            retire_not_before: Some(self.now),
            held_version: Some(1),
            cut: None,
            own_end: OwnEnd::Never,
            told: Told::default(),
        };
        let main = &mut self.sink.main;
        (main.version, main.generation, main.epoch) = (2, Some(2), 2);
        (main.key_id, main.previous) = (Some(id.to_owned()), vec![earlier.clone()]);
        (self.sink.secret, self.held) = (Some(2), Some(2));
        if let Some(custody) = &mut self.custody {
            let claim = &mut custody.claim;
            (claim.generation, claim.epoch, claim.phase) = (2, 2, Phase::Parked);
            claim.current = Some(id.to_owned());
            claim.current_epoch = self.keys[1].key.ours.map(|(_, epoch)| epoch);
            claim.previous = vec![earlier];
        }
    }

    fn add_key(&mut self, way: Way, id: &str, generation: u64, epoch: u64, secret: u8) {
        let marked = matches!(way, Way::AddOurs | Way::AddMarked);
        let key = Key {
            key_id: id.to_owned(),
            ours: marked.then_some((generation, epoch)),
            live: true,
            disabled: false,
            issued_at: Some(self.now),
            used: false,
            ends: None,
        };
        self.keys.push(Issued { key, secret, human: false });
    }

    /// All but the one that was made last.
    fn end_superseded(&mut self) {
        let last = self.keys.len().saturating_sub(1);
        self.keys.drain(..last);
    }

    /// The overlap is over, and so is the time that a platform gives by itself.
    fn passed(mut self, way: Way, now: Timestamp) -> State {
        if way == Way::Grace {
            self.end_superseded();
        }
        self.keys.retain(|one| one.key.ends.is_none_or(|ends| ends > now));
        State { now, ..self }
    }

    fn works(&self, secret: u8) -> bool {
        self.keys.iter().any(|one| one.secret == secret && one.key.live)
    }

    /// What a call does. `None` where the platform takes no such call.
    fn takes(&mut self, way: Way, call: &Call) -> Answer {
        match call {
            Call::None | Call::SignIn(..) => Answer::Done,
            Call::Cas(expected, claim, pending) => {
                if self.custody.as_ref().map(|one| one.version) != *expected {
                    return Answer::Conflict;
                }
                let version = expected.unwrap_or(0) + 1;
                let (claim, pending) = ((**claim).clone(), *pending);
                self.needed |= claim.previous.iter().any(Previous::is_needed);
                self.custody = Some(Custody { claim, pending, version });
                Answer::Done
            }
            Call::Write(expected, document) => {
                if self.sink.main.version != *expected {
                    return Answer::Conflict;
                }
                self.sink = (**document).clone();
                self.sink.main.version = expected + 1;
                if let (Some(generation), Some(key_id)) =
                    (self.sink.main.generation, &self.sink.main.key_id)
                {
                    self.promoted.insert((generation, key_id.clone()));
                    self.cut_off &= !self.sink.secret.is_some_and(|secret| self.works(secret));
                }
                Answer::Done
            }
            Call::End(key_id) => {
                self.keys.retain(|one| one.key.key_id != *key_id);
                Answer::Done
            }
            Call::Switch(key_id, on) => {
                for one in self.keys.iter_mut().filter(|one| one.key.key_id == *key_id) {
                    (one.key.live, one.key.disabled) = (*on, !*on);
                }
                Answer::Done
            }
            Call::Expire(key_id, ends) => {
                for one in self.keys.iter_mut().filter(|one| one.key.key_id == *key_id) {
                    one.key.ends = *ends;
                }
                Answer::Done
            }
            Call::Issue { generation, epoch, secret, place, with } => {
                if with.is_some_and(|with| !self.works(with)) {
                    self.reused = true;
                    if way == (Way::ReplaceSelf { punishes_reuse: true }) {
                        self.keys.clear();
                    }
                    return Answer::Refused;
                }
                if let Some(there) = self.keys.iter().find(|one| {
                    Some(one.secret) == *secret || (way == Way::FirstOnly && !one.human)
                }) {
                    return Answer::Issued(there.key.key_id.clone(), there.secret);
                }
                if way == Way::AddUnmarked && self.keys.len() >= 2 {
                    return Answer::Refused;
                }
                if way.replaces() {
                    self.keys.clear();
                }
                // Whatever is in it by then, as on a platform that is not asked to compare.
                if way == Way::Slots {
                    self.keys.retain(|one| !one.key.key_id.starts_with(place));
                }
                if way == Way::Grace {
                    self.end_superseded();
                    self.called += 1;
                }
                let made = self.next;
                self.next += 1;
                let id = match way {
                    Way::FirstOnly => ONLY.to_owned(),
                    _ => format!("{place}{made}"),
                };
                let secret = secret.unwrap_or(made);
                self.add_key(way, &id, *generation, *epoch, secret);
                Answer::Issued(id, secret)
            }
        }
    }
}

fn name(run: usize) -> String {
    if run == LATER { "later".to_owned() } else { format!("r{run}") }
}

fn epoch_of(view: &View, key_id: &str) -> Option<u64> {
    let key = view.keys.iter().find(|key| key.key_id == key_id)?;
    key.ours.map(|(_, epoch)| epoch)
}

fn lives(view: &View, key_id: &str) -> bool {
    view.keys.iter().any(|key| key.live && key.key_id == key_id)
}

fn stands(view: &View, key_id: &str) -> bool {
    view.keys.iter().any(|key| (key.live || key.disabled) && key.key_id == key_id)
}

fn next_epoch(view: &View) -> u64 {
    let marked = view.keys.iter().filter_map(|key| key.ours).map(|(_, epoch)| epoch);
    let written = view.mains.iter().map(|main| main.epoch);
    let claimed = view.claim.as_ref().map_or(0, |claim| claim.epoch);
    marked.chain(written).fold(claimed, u64::max) + 1
}

fn versions(view: &View) -> BTreeMap<String, u64> {
    view.mains.iter().map(|main| (main.place.clone(), main.version)).collect()
}

fn known(view: &View) -> BTreeSet<String> {
    view.keys.iter().map(|key| key.key_id.clone()).collect()
}

fn previous(view: &View, key_id: &str, otherwise: u64, version: Option<u64>) -> Previous {
    let key = view.keys.iter().find(|key| key.key_id == key_id);
    let ours = key.and_then(|key| key.ours);
    Previous {
        key_id: key_id.to_owned(),
        generation: ours.map_or(otherwise, |(generation, _)| generation),
        epoch: ours.map(|(_, epoch)| epoch),
        retire_not_before: None,
        held_version: version,
        cut: None,
        own_end: key.map_or(OwnEnd::Unknown, |key| OwnEnd::of(key.ends)),
        told: Told::default(),
    }
}

/// The claim of a rotation that begins.
fn begun(view: &View, way: Way, to: u64, owner: String) -> Claim {
    let before = view.claim.as_ref();
    let anchor = view.mains.last();
    let books = before
        .and_then(|claim| claim.current.clone())
        .or_else(|| anchor.and_then(|main| main.key_id.clone()));
    let held = |key_id: &str| {
        anchor.filter(|main| main.key_id.as_deref() == Some(key_id)).map(|main| main.version)
    };
    let current = books.clone().filter(|key_id| lives(view, key_id));
    let gone = books.filter(|key_id| !lives(view, key_id));
    let mut kept: Vec<Previous> =
        gone.iter().map(|key_id| previous(view, key_id, to - 1, held(key_id))).collect();
    for key in view.keys.iter().filter(|key| key.live) {
        let older = key.ours.is_some_and(|(generation, _)| generation < to);
        if older || Some(&key.key_id) == current.as_ref() {
            kept.push(previous(view, &key.key_id, to - 1, held(&key.key_id)));
        }
    }
    for one in before.map_or(&[][..], |claim| &claim.previous) {
        if stands(view, &one.key_id) {
            kept.retain(|have| have.key_id != one.key_id);
            kept.push(one.clone());
        }
    }
    Claim {
        generation: to,
        epoch: next_epoch(view),
        phase: if way.is_ours() { Phase::Stored } else { Phase::Intent },
        owner,
        attempt: 0,
        known: known(view),
        current_epoch: current.as_deref().and_then(|key_id| epoch_of(view, key_id)),
        current,
        new: None,
        mains: versions(view),
        mains_at: BTreeMap::new(),
        previous: kept,
        reason: String::new(),
        auth: String::new(),
        hold: None,
        refused: 0,
        refused_at: None,
        parked_for_replace: false,
        timed: way.is_timed(),
        asked: None,
        called_at: way.is_timed().then_some(view.now.hi),
        undelivered: None,
        proofs: Default::default(),
        confirmed: Default::default(),
    }
}

/// The claim of a deed that is about earlier keys alone.
fn about_earlier(view: &View, phase: Phase, keys: Vec<Previous>, owner: String) -> Claim {
    let called_at = match (phase, &view.claim) {
        (Phase::Cutting, _) => Some(view.now.hi),
        (Phase::Enabling, Some(claim)) if claim.phase == Phase::Parked => claim.called_at,
        (Phase::Enabling, _) => Some(view.now.hi),
        _ => None,
    };
    Claim { phase, called_at, ..ending(view, keys, false, owner) }
}

/// The claim of a deed that ends keys.
fn ending(view: &View, keys: Vec<Previous>, revoking: bool, owner: String) -> Claim {
    let before = view.claim.as_ref();
    let at_work = before.is_some_and(|claim| claim.phase.is_open());
    let (generation, current) = match (before, view.mains.last()) {
        (Some(claim), _) => (claim.generation, claim.current.clone()),
        (None, Some(main)) if !revoking => (main.generation.unwrap_or(0), main.key_id.clone()),
        _ => (keys.iter().map(|one| one.generation).max().unwrap_or(0), None),
    };
    let current = current.filter(|_| !revoking);
    Claim {
        generation,
        epoch: next_epoch(view),
        phase: Phase::Retiring,
        owner,
        attempt: 0,
        known: BTreeSet::new(),
        current_epoch: current.as_deref().and_then(|key_id| epoch_of(view, key_id)),
        current,
        new: None,
        mains: if at_work { versions(view) } else { BTreeMap::new() },
        mains_at: BTreeMap::new(),
        previous: keys,
        reason: String::new(),
        auth: String::new(),
        hold: None,
        refused: 0,
        refused_at: None,
        parked_for_replace: false,
        timed: false,
        asked: None,
        called_at: None,
        undelivered: None,
        proofs: Default::default(),
        confirmed: Default::default(),
    }
}

/// Earlier keys with the end of their overlap.
fn kept(view: &View, claim: &Claim, at_once: bool) -> Vec<Previous> {
    let until = if at_once { view.now.hi } else { view.now.hi + OVERLAP };
    let until_of = |one: &Previous| match one.retire_not_before {
        Some(at) => at.min(until),
        None if view.complete && !stands(view, &one.key_id) => view.now.hi,
        None => until,
    };
    let kept = claim.previous.iter();
    let kept = kept.map(|one| Previous { retire_not_before: Some(until_of(one)), ..one.clone() });
    match view.moves_expiry {
        true => kept.map(|one| one.expecting(view.limit)).collect(),
        false => kept.collect(),
    }
}

struct Search<'a> {
    bounds: &'a Bounds,
    steps: BTreeMap<String, u64>,
    /// How often nothing worked any more, and the parent was asked.
    rescued: usize,
}

impl Search<'_> {
    fn adds(&self) -> bool {
        !self.bounds.way.replaces()
    }

    /// Where there is one at a time, what came since the deed began is what it called for.
    fn known_now(&self, view: &View) -> BTreeSet<String> {
        match &view.claim {
            Some(claim) if self.bounds.way.is_alone() => claim.known.clone(),
            _ => known(view),
        }
    }

    /// What is wanted in the end.
    fn last_goal(&self) -> Goal {
        let all = || self.bounds.runs.iter().flatten();
        if all().any(|goal| *goal == Goal::Revoke) {
            return Goal::Revoke;
        }
        let at_once = all().any(|goal| matches!(goal, Goal::Rotate { at_once: true, .. }));
        let to = all().filter_map(|goal| match goal {
            Goal::Rotate { to, .. } => Some(*to),
            _ => None,
        });
        let there = if self.bounds.soft_cut { 2 } else { 1 };
        Goal::Rotate { to: to.max().unwrap_or(there), at_once }
    }

    /// Nothing that this run waits for can arrive any more: who has time waits for it.
    fn settled(&self, state: &State, me: usize, phase: Option<Phase>) -> bool {
        // Who switches on again waits for what was to switch off, or to end; whoever calls for a key
        // for what makes one.
        let enabling = phase == Some(Phase::Enabling);
        let on_its_way = |call: &Call| match call {
            Call::Issue { .. } => !enabling,
            Call::Switch(_, false) | Call::End(_) => enabling,
            _ => false,
        };
        // Who has read that it is to call still can, by what it knows.
        let about = |(index, one): (usize, &Run)| match &one.at {
            At::Does(does) => on_its_way(&does.call),
            At::Sink(Some(read)) | At::Listing(Some(read), _) => {
                let claim = &read.claim;
                let calls = match claim.phase {
                    Phase::Calling => !enabling && one.uncalled == Some(claim.epoch),
                    Phase::Stored => !enabling,
                    Phase::Cutting | Phase::Retiring => enabling,
                    _ => false,
                };
                calls && claim.owner == name(index)
            }
            _ => false,
        };
        let others = state.runs.iter().enumerate().filter(|(index, _)| *index != me);
        !state.late.iter().any(on_its_way) && !others.into_iter().any(about)
    }

    fn view(
        &self,
        state: &State,
        me: usize,
        run: &Run,
        custody: Option<&Custody>,
        sink: &Document,
        stale: bool,
    ) -> View {
        let claim = custody.map(|one| {
            let mut claim = one.claim.clone();
            claim.spare_what_serves();
            claim
        });
        let epoch = claim.as_ref().map(|claim| claim.epoch);
        let new = claim.as_ref().and_then(|claim| claim.new.as_ref());
        let verified = run
            .verified
            .as_ref()
            .filter(|(at, key_id, _)| Some(*at) == epoch && Some(key_id) == new);
        let done = |at: Option<u64>| at.is_some() && at == epoch;
        View {
            now: state.now.into(),
            mine: claim.as_ref().is_some_and(|claim| claim.owner == name(me)),
            stale,
            mains: vec![sink.main.clone()],
            keys: state.keys.iter().map(|one| one.key.clone()).collect(),
            siblings: Siblings::default(),
            known: None,
            was_held: run.was_held.unwrap_or(false),
            complete: true,
            room: !matches!(self.bounds.way, Way::AddUnmarked | Way::Slots) || state.keys.len() < 2,
            uncalled: done(run.uncalled),
            settled: self.settled(state, me, claim.as_ref().map(|claim| claim.phase)),
            memory: run.memory.as_ref().map(|(key_id, epoch, _)| (key_id.clone(), *epoch)),
            verified: verified.map(|(.., works)| *works),
            patience: true,
            exhausted: false,
            ended: run.accepted.clone(),
            off: run.off.clone(),
            on: run.on.clone(),
            soft_cut: self.bounds.soft_cut,
            moves_expiry: self.bounds.limits,
            limit: self.bounds.limits.then_some(LIMIT),
            told: run.told.clone(),
            deliver_by: LIMIT,
            usage: Default::default(),
            swept: done(run.swept),
            proven: done(run.proven),
            destroyed: done(run.destroyed),
            claim,
        }
    }

    /// The call that a step is, and what of the run changes whatever it comes to.
    fn call(
        &self,
        run: &Run,
        me: usize,
        custody: Option<&Custody>,
        sink: &Document,
        view: &View,
        step: &Step,
    ) -> Call {
        let way = self.bounds.way;
        let version = custody.map(|one| one.version);
        let pending = custody.and_then(|one| one.pending);
        let seen = sink;
        let claim = || view.claim.clone().expect("a step on a claim that there is");
        let cas = |claim: Claim, pending: Option<u8>| Call::Cas(version, Box::new(claim), pending);
        let goal = run.goals.first().copied().unwrap_or(Goal::Revoke);
        // A secret of ours is numbered by the epoch that chose it, far from the platform's numbers.
        let chosen = |claim: &Claim| {
            let own = 100
                + u8::try_from(claim.epoch * 4).unwrap_or(0)
                + u8::try_from(me % 3).unwrap_or(0);
            way.is_ours().then_some(own)
        };
        match step {
            Step::Begin => {
                let Goal::Rotate { to, .. } = goal else { return Call::None };
                let claim = begun(view, way, to, name(me));
                let secret = chosen(&claim);
                cas(claim, secret)
            }
            Step::TakeOver => {
                let mut claim = Claim { epoch: next_epoch(view), owner: name(me), ..claim() };
                if claim.phase == Phase::Held {
                    claim.phase = Phase::Stored;
                    claim.hold = None;
                    claim.mains = versions(view);
                }
                cas(claim, pending)
            }
            Step::BeginAgain => {
                let held = claim().phase == Phase::Held;
                let claim = Claim {
                    epoch: next_epoch(view),
                    phase: if way.is_ours() { Phase::Stored } else { Phase::Intent },
                    owner: name(me),
                    attempt: if held { 0 } else { claim().attempt + 1 },
                    known: self.known_now(view),
                    new: None,
                    mains: versions(view),
                    hold: None,
                    timed: way.is_timed(),
                    asked: None,
                    called_at: way.is_timed().then_some(view.now.hi),
                    ..claim()
                };
                let secret = chosen(&claim);
                cas(claim, secret)
            }
            Step::BeginEnding(keys) => {
                cas(ending(view, keys.clone(), goal == Goal::Revoke, name(me)), None)
            }
            Step::BeginCut(keys) => {
                let cut = Some(Cut::Off { since: view.now.hi, until: view.now.hi + WATCHED });
                let keys = keys.iter().map(|one| Previous { cut, ..one.clone() }).collect();
                cas(about_earlier(view, Phase::Cutting, keys, name(me)), None)
            }
            Step::Disable(key_id) => Call::Switch(key_id.clone(), false),
            Step::Enable(key_id) => Call::Switch(key_id.clone(), true),
            Step::SetExpiry(key_id, ends) => Call::Expire(key_id.clone(), *ends),
            Step::NoteExpiry(key_id, told) => {
                let mut claim = claim();
                for one in claim.previous.iter_mut().filter(|one| one.key_id == *key_id) {
                    one.told = *told;
                }
                cas(claim, None)
            }
            Step::Watch => {
                let mut claim =
                    Claim { phase: Phase::Parked, called_at: Some(view.now.hi), ..claim() };
                for one in &mut claim.previous {
                    if let Some(Cut::Off { since, .. }) = one.cut {
                        one.cut = Some(Cut::Off { since, until: view.now.hi + WATCHED });
                    }
                }
                cas(claim, None)
            }
            Step::BeginEnabling => {
                cas(about_earlier(view, Phase::Enabling, claim().previous, name(me)), None)
            }
            Step::Keep => {
                let before = claim();
                let mut keys = before.previous.clone();
                let missed = |one: &&mut Previous| one.cut.is_some() && stands(view, &one.key_id);
                for one in keys.iter_mut().filter(missed) {
                    one.cut = Some(Cut::Needed { since: view.now.hi });
                }
                let mine = before.phase == Phase::Enabling;
                let mut claim = about_earlier(view, Phase::Parked, keys, name(me));
                claim.epoch = if mine { before.epoch } else { claim.epoch };
                cas(claim, None)
            }
            Step::MarkCalling => {
                let called_at = Some(view.now.hi);
                let phase = Phase::Calling;
                cas(Claim { phase, known: self.known_now(view), called_at, ..claim() }, None)
            }
            Step::Store(key_id) => {
                let held = run.memory.as_ref().filter(|(id, ..)| id == key_id);
                let secret = held.map(|(.., secret)| *secret).or(pending);
                cas(Claim { phase: Phase::Stored, new: Some(key_id.clone()), ..claim() }, secret)
            }
            Step::Issue => {
                let (generation, epoch) = (claim().generation, claim().epoch);
                // The place is chosen as it is called for, by what is seen then.
                let taken = view.keys.iter().any(|one| one.key_id.starts_with(PLACES[0]));
                let place = PLACES[usize::from(way == Way::Slots && taken)];
                let secret = pending.filter(|_| way.is_ours());
                // What nobody has replaced, by what consumers read; else its parent calls.
                let current = claim().current.filter(|_| way.is_by_itself());
                let with = current.filter(|key_id| seen.main.key_id.as_ref() == Some(key_id));
                let with = with.and(seen.secret);
                Call::Issue { generation, epoch, secret, place, with }
            }
            Step::EndOrphan(key_id) | Step::EndNew(key_id) | Step::End(key_id) => {
                Call::End(key_id.clone())
            }
            Step::Promote(_) => {
                let claim = claim();
                let (Some(secret), Some(key_id)) = (pending, &claim.new) else { return Call::None };
                let at_once = matches!(goal, Goal::Rotate { at_once: true, .. }) || way.replaces();
                let main = Main {
                    generation: Some(claim.generation),
                    epoch: claim.epoch,
                    key_id: Some(key_id.clone()),
                    previous: kept(view, &claim, at_once),
                    ..nothing().main
                };
                let expected = claim.mains.get(PLACE).copied().unwrap_or(0);
                Call::Write(expected, Box::new(Document { main, secret: Some(secret) }))
            }
            Step::Park => {
                let at_once = matches!(goal, Goal::Rotate { at_once: true, .. }) || way.replaces();
                let mut claim = claim();
                claim.previous = kept(view, &claim, at_once);
                claim.current = claim.new.take();
                claim.current_epoch =
                    claim.current.as_deref().and_then(|key_id| epoch_of(view, key_id));
                claim.phase = if claim.previous.is_empty() { Phase::Free } else { Phase::Parked };
                claim.known.clear();
                claim.called_at = None;
                cas(claim, None)
            }
            Step::GiveUp => cas(Claim { phase: Phase::GivingUp, ..claim() }, pending),
            Step::Sweep => cas(Claim { phase: Phase::Proving, ..claim() }, None),
            Step::Close => cas(
                Claim {
                    phase: Phase::Free,
                    previous: Vec::new(),
                    known: BTreeSet::new(),
                    new: None,
                    called_at: None,
                    ..claim()
                },
                None,
            ),
            Step::Hold(why)
                if view.mine
                    && view
                        .claim
                        .as_ref()
                        .is_some_and(|one| one.phase.is_open() && one.phase != Phase::Held) =>
            {
                cas(Claim { phase: Phase::Held, hold: Some((*why).to_owned()), ..claim() }, pending)
            }
            // The same document once more at the version that was seen; where nothing is current any
            // more, it says so.
            Step::Fence(_) => {
                let mut document = seen.clone();
                if claim().phase == Phase::Retiring || seen.main.version == 0 {
                    document.main = Main { epoch: seen.main.epoch, ..nothing().main };
                }
                Call::Write(seen.main.version, Box::new(document))
            }
            Step::Verify => Call::SignIn(claim().new.unwrap_or_default(), pending),
            // Sinks take what is written here.
            Step::NoteUndelivered(_)
            | Step::Prove
            | Step::DestroyPrevious
            | Step::Reprove
            | Step::Settle
            | Step::Wait
            | Step::Hold(_)
            | Step::Refuse(_)
            | Step::Done => Call::None,
        }
    }

    /// What a run does with an answer.
    fn absorb(&self, run: &mut Run, does: &Does, answer: Answer) {
        run.at = At::Claim;
        let epoch = does.epoch;
        match (&does.step, answer) {
            (
                Step::Begin | Step::TakeOver | Step::BeginAgain | Step::BeginEnding(_),
                Answer::Done,
            ) => {
                // Of what makes its own successor nobody has another copy.
                if does.step != Step::TakeOver || !self.bounds.way.is_by_itself() {
                    run.memory = None;
                }
                // Whose secret is ours calls with what the claim holds.
                if let Call::Cas(_, claim, Some(_)) = &does.call {
                    run.uncalled = Some(claim.epoch);
                }
            }
            (Step::MarkCalling, Answer::Done) => run.uncalled = Some(epoch),
            (Step::Issue, answer) => {
                run.uncalled = None;
                match answer {
                    // The secret is in the claim already; now its key's name.
                    Answer::Issued(key_id, _) if self.bounds.way.is_ours() => {
                        let Some(at) = &does.custody else { return };
                        let new = Some(key_id.clone());
                        let claim = Claim { phase: Phase::Stored, new, ..at.claim.clone() };
                        let call = Call::Cas(Some(at.version), Box::new(claim), at.pending);
                        let step = Step::Store(key_id);
                        run.at = At::Does(Box::new(Does { step, call, epoch, custody: None }));
                    }
                    Answer::Issued(key_id, secret) => run.memory = Some((key_id, epoch, secret)),
                    _ => {}
                }
            }
            (Step::Store(_), Answer::Done) => run.memory = None,
            (Step::EndOrphan(key_id) | Step::EndNew(key_id) | Step::End(key_id), Answer::Done) => {
                run.accepted.insert(key_id.clone());
            }
            (Step::Disable(key_id), Answer::Done) => {
                run.on.remove(key_id);
                run.off.insert(key_id.clone());
            }
            (Step::Enable(key_id), Answer::Done) => {
                run.off.remove(key_id);
                run.on.insert(key_id.clone());
            }
            (Step::SetExpiry(key_id, _), Answer::Done) => {
                run.told.insert(key_id.clone());
            }
            (Step::Sweep, answer) => {
                run.swept = Some(epoch);
                // Nothing of it is seen by anybody else.
                if matches!(answer, Answer::Done) {
                    run.proven = Some(epoch);
                    run.destroyed = Some(epoch);
                }
            }
            (Step::Prove, _) => run.proven = Some(epoch),
            (Step::DestroyPrevious, _) => run.destroyed = Some(epoch),
            _ => {}
        }
    }

    /// The next reading of a run, or its decision. `stale`: whoever owns the claim counts as dead.
    fn read(&mut self, state: &mut State, me: usize, run: &mut Run, stale: bool) {
        run.at = match std::mem::replace(&mut run.at, At::Claim) {
            At::Claim => {
                let held = state.custody.as_ref().is_some_and(|one| one.claim.phase == Phase::Held);
                run.was_held.get_or_insert(held);
                At::Sink(state.custody.clone())
            }
            At::Sink(custody) => At::Listing(custody, state.sink.clone()),
            At::Listing(custody, sink) => {
                let view = self.view(state, me, run, custody.as_ref(), &sink, stale);
                let goal = run.goals[0];
                let step = next_step(&view, goal, self.bounds.way);
                let word = format!("{step:?}");
                let word = word.split(['(', '{']).next().unwrap_or_default().trim().to_owned();
                *self.steps.entry(word).or_default() += 1;
                match step {
                    Step::Done => {
                        run.goals.remove(0);
                        run.was_held = None;
                        if run.goals.is_empty() {
                            *run = Run::over(Life::Ended);
                        }
                        At::Claim
                    }
                    // There is no room for another one: it is not begun.
                    Step::Begin if !view.room => {
                        *run = Run::over(Life::Ended);
                        At::Claim
                    }
                    Step::Refuse(_) => {
                        *run = Run::over(Life::Ended);
                        At::Claim
                    }
                    Step::Settle => {
                        run.on.clear();
                        At::Claim
                    }
                    Step::Wait => At::Claim,
                    step => {
                        let call = self.call(run, me, custody.as_ref(), &sink, &view, &step);
                        let epoch = view.claim.as_ref().map_or(0, |claim| claim.epoch);
                        let custody = custody.filter(|_| step == Step::Issue);
                        let does = Does { step, call, epoch, custody };
                        if matches!(does.step, Step::Prove | Step::DestroyPrevious) {
                            self.absorb(run, &does, Answer::Done);
                            At::Claim
                        } else {
                            At::Does(Box::new(does))
                        }
                    }
                }
            }
            does @ At::Does(_) => does,
        };
    }

    /// Whether the owner of the claim that a run has read counts as dead: it is, or nothing that it
    /// does could be fatal and it is only taken for dead.
    fn stale(&self, state: &State, custody: Option<&Custody>) -> (bool, bool) {
        let Some(one) = custody else { return (false, false) };
        let up = state
            .runs
            .iter()
            .enumerate()
            .any(|(index, run)| run.life == Life::Up && one.claim.owner == name(index));
        (!up, !self.bounds.way.is_timed() && state.left.takeovers > 0)
    }

    fn follow(&mut self, state: &State) -> Vec<(Event, State)> {
        let mut all = Vec::new();
        for me in 0..state.runs.len() {
            if state.runs[me].life != Life::Up {
                continue;
            }
            if !matches!(state.runs[me].at, At::Does(_)) {
                self.reads(state, me, &mut all);
            } else {
                self.does(state, me, &mut all);
            }
        }
        for index in 0..state.late.len() {
            let mut next = state.clone();
            let call = next.late.remove(index);
            next.takes(self.bounds.way, &call);
            all.push((Event::Arrives(index), next));
        }
        let full = self.bounds.way == Way::AddUnmarked && state.keys.len() >= 2;
        if state.left.humans > 0 && !self.bounds.way.is_alone() && !full {
            let mut next = state.clone();
            next.left.humans -= 1;
            let id = format!("h{}", next.next);
            let secret = next.next;
            next.next += 1;
            // Made by hand at another time than ours, or the search could not tell it either.
            let issued_at = Some(next.now - SignedDuration::from_hours(1));
            let key = Key {
                key_id: id,
                ours: None,
                live: true,
                disabled: false,
                issued_at,
                used: true,
                ends: None,
            };
            next.keys.push(Issued { key, secret, human: true });
            all.push((Event::Human, next));
        }
        if state.left.ends > 0
            && let Some(claim) = state.custody.as_ref().map(|one| &one.claim)
            && !claim.phase.is_open()
            && let Some(current) = &claim.current
            && state.keys.iter().any(|one| one.key.key_id == *current)
        {
            let mut next = state.clone();
            next.left.ends -= 1;
            next.keys.retain(|one| one.key.key_id != *current);
            // Nobody is promised what a person ends.
            next.held = next.held.filter(|secret| next.works(*secret));
            next.cut_off = true;
            all.push((Event::Ends, next));
        }
        // Nobody is promised an overlap where none is kept.
        let there = state.sink.secret.filter(|secret| !state.cut_off || state.works(*secret));
        let fresh = state.held == there || state.at_once || state.revoking;
        if !fresh && state.sink.main.key_id.is_some() {
            all.push((Event::Refresh, State { held: there, ..state.clone() }));
        }
        // Whoever reads a sink does so at least once in an overlap.
        let parked = state.custody.as_ref().is_some_and(|one| one.claim.phase == Phase::Parked);
        if fresh && parked && state.now == BEGIN {
            let passed = state.clone().passed(self.bounds.way, BEGIN + OVERLAP);
            all.push((Event::OverlapEnds, passed));
        }
        let off = |one: &Custody| one.claim.previous.iter().any(Previous::is_cut);
        let watched = parked && state.custody.as_ref().is_some_and(off);
        if self.bounds.soft_cut && watched && state.now == BEGIN + OVERLAP {
            let passed = state.clone().passed(self.bounds.way, BEGIN + OVERLAP + WATCHED);
            all.push((Event::CutEnds, passed));
        }
        all
    }

    fn reads(&mut self, state: &State, me: usize, all: &mut Vec<(Event, State)>) {
        let alone = state.late.is_empty()
            && state.left.humans == 0
            && state
                .runs
                .iter()
                .enumerate()
                .all(|(index, run)| index == me || run.life != Life::Up);
        let mut next = state.clone();
        let mut run = next.runs[me].clone();
        loop {
            let read = match &run.at {
                At::Listing(custody, _) => custody.clone(),
                _ => None,
            };
            let (dead, may) = self.stale(&next, read.as_ref());
            if matches!(run.at, At::Listing(..)) && !dead && may {
                let mut taken = next.clone();
                let mut other = run.clone();
                self.read(&mut taken, me, &mut other, true);
                if matches!(&other.at, At::Does(does) if does.step == Step::TakeOver) {
                    taken.left.takeovers -= 1;
                    taken.runs[me] = other;
                    all.push((Event::TakesForDead(me), taken));
                }
            }
            let goes_on = match run.at {
                At::Claim => alone,
                // What nobody else can see the middle of is one event.
                At::Sink(_) => alone || !self.bounds.fine,
                At::Listing(..) | At::Does(_) => false,
            };
            self.read(&mut next, me, &mut run, dead);
            if !goes_on {
                break;
            }
        }
        next.runs[me] = run;
        all.push((Event::Reads(me), next));
    }

    fn does(&mut self, state: &State, me: usize, all: &mut Vec<(Event, State)>) {
        let At::Does(does) = &state.runs[me].at else { return };
        let Does { step, call, epoch, custody } = &**does;
        let way = self.bounds.way;
        if let Call::SignIn(new, secret) = call {
            let works = secret.is_some_and(|secret| state.works(secret));
            let mut tried = |works: bool, left: Events, fate: Fate| {
                let mut next = State { left, ..state.clone() };
                next.runs[me].verified = Some((*epoch, new.clone(), works));
                next.runs[me].at = At::Claim;
                all.push((Event::Does(me, fate), next));
            };
            tried(works, state.left, Fate::Done);
            if works && let Some(left) = state.left.fault(|left| &mut left.false_refusals) {
                tried(false, left, Fate::FalselyRefused);
            }
            return;
        }
        let ends = matches!(step, Step::Hold(_));
        let mut come = |fate: Fate, left: Events| {
            let mut next = State { left, ..state.clone() };
            let done = !matches!(fate, Fate::NotDone | Fate::DiesBefore | Fate::Late);
            let answer = match fate {
                Fate::Refused => Answer::Refused,
                _ if done => next.takes(way, call),
                _ => Answer::Lost,
            };
            if fate == Fate::Late {
                next.late.push(call.clone());
            }
            let heard = matches!(fate, Fate::Done | Fate::Refused);
            let answer = if heard { answer } else { Answer::Lost };
            let refused = matches!(answer, Answer::Refused);
            next.runs[me] = match fate {
                Fate::DiesBefore | Fate::DiesAfter => Run::over(Life::Dead),
                _ if ends => Run::over(Life::Ended),
                _ => {
                    let mut run = next.runs[me].clone();
                    self.absorb(&mut run, does, answer);
                    run
                }
            };
            if refused && let Some(at) = custody {
                // What was not issued is given back, unless an earlier call may have made what no mark
                // tells.
                let alone =
                    matches!(way, Way::FirstOnly | Way::Slots | Way::Grace) || way.is_by_itself();
                if !alone || state.runs[me].uncalled == Some(at.claim.epoch) {
                    let released = at.claim.released();
                    next.takes(way, &Call::Cas(Some(at.version), Box::new(released), None));
                }
                next.runs[me] = Run::over(Life::Ended);
            }
            all.push((Event::Does(me, fate), next));
        };
        come(Fate::Done, state.left);
        if *call == Call::None {
            return;
        }
        if let Some(left) = state.left.fault(|left| &mut left.lost) {
            come(Fate::DoneAndLost, left);
            come(Fate::NotDone, left);
        }
        // Where there is one name for whatever is made, a late ending could reach the next of that name;
        // such a platform is asked for one key only.
        let may_be_late = match call {
            Call::Issue { .. } => true,
            Call::End(_) => way != Way::FirstOnly,
            Call::Switch(..) | Call::Expire(..) => true,
            _ => false,
        };
        if may_be_late && let Some(left) = state.left.fault(|left| &mut left.late) {
            come(Fate::Late, left);
        }
        if matches!(call, Call::Issue { .. })
            && let Some(refusals) = state.left.refusals.checked_sub(1)
        {
            come(Fate::Refused, Events { refusals, ..state.left });
        }
        if let Some(left) = state.left.fault(|left| &mut left.crashes) {
            come(Fate::DiesBefore, left);
            come(Fate::DiesAfter, left);
        }
    }

    /// What must be true after every event.
    fn promises(&self, state: &State, humans: usize) -> Result<(), String> {
        let alive = state.keys.iter().filter(|one| one.human).count();
        if alive < humans {
            return Err("a key that a person made was ended".to_owned());
        }
        if state.reused {
            return Err("what may be dead was called with".to_owned());
        }
        // What a platform replaced reaches consumers before it is tried, and may turn out to be useless.
        if !self.adds() {
            return Ok(());
        }
        let mut generations = BTreeMap::new();
        for (generation, key_id) in &state.promoted {
            if generations.insert(generation, key_id).is_some() {
                return Err(format!("two keys of generation {generation} were promoted"));
            }
        }
        // An answer that was lost takes a second call, and that ends what consumers hold.
        if state.revoking || state.called > 1 {
            return Ok(());
        }
        // Somebody may still use what is earlier, and has not been heard of.
        let first = state.keys.iter().find(|one| one.key.key_id == "k1");
        if self.bounds.soft_cut && !state.at_once {
            if first.is_none() && state.now < BEGIN + OVERLAP + WATCHED {
                return Err("an earlier key is ended before its soft cut is over".to_owned());
            }
            if state.needed && first.is_none() {
                return Err("what somebody needs is ended without a word".to_owned());
            }
            let at_rest =
                state.custody.as_ref().is_some_and(|one| one.claim.phase == Phase::Parked);
            if state.needed && at_rest && !state.works(1) {
                return Err("what somebody needs is switched off without a word".to_owned());
            }
        }
        // While nobody is at work, no key that consumers may hold is taken for anybody's: what bears no
        // mark is named.
        if let Some(claim) = state.custody.as_ref().map(|one| &one.claim)
            && !claim.phase.is_open()
        {
            let named = |key_id: &String| {
                claim.current.as_ref() == Some(key_id)
                    || claim.previous.iter().any(|one| one.key_id == *key_id)
            };
            let held = state.keys.iter().find(|one| Some(one.secret) == state.held);
            if let Some(one) = held.filter(|one| one.key.ours.is_none() && !named(&one.key.key_id))
            {
                return Err(format!("{} works, and nobody names it", one.key.key_id));
            }
        }
        if !state.cut_off
            && let Some(secret) = state.sink.secret.filter(|_| state.sink.main.key_id.is_some())
            && !state.works(secret)
        {
            return Err("the sink holds a secret that does not work".to_owned());
        }
        if let Some(secret) = state.held.filter(|_| !state.at_once)
            && !state.works(secret)
        {
            return Err("a consumer is locked out within the overlap".to_owned());
        }
        Ok(())
    }

    /// One more run, without faults, to its end.
    fn recover(&mut self, state: &State) -> Result<(), String> {
        let humans = state.keys.iter().filter(|one| one.human).count();
        let goal = match (self.last_goal(), state.custody.as_ref()) {
            // What somebody ended is followed by another one, whoever was to follow it before.
            (Goal::Rotate { to, at_once }, Some(one)) if state.cut_off => {
                Goal::Rotate { to: to.max(one.claim.generation + 1), at_once }
            }
            (goal, _) => goal,
        };
        let mut state = State { left: Events::default(), ..state.clone() };
        let rounds = if self.bounds.soft_cut { 5 } else { 3 };
        for again in 0..rounds {
            let at = state.custody.as_ref().map_or(0, |one| one.claim.generation);
            let goals = match goal {
                // A person says that nobody needs it.
                Goal::Rotate { .. } if again % 2 == 1 && self.bounds.soft_cut => {
                    state.needed = false;
                    vec![Goal::Cut { at, again: true }]
                }
                Goal::Rotate { .. } if again > 0 && self.bounds.soft_cut => {
                    vec![Goal::Retire { at }]
                }
                Goal::Rotate { to, .. } if again > 0 => vec![Goal::Retire { at: to }],
                goal => vec![goal],
            };
            if again > 0 {
                state.held = state.sink.secret;
                state = state.passed(self.bounds.way, BEGIN + OVERLAP * (1 + again));
            }
            let mut why = self.finish(&mut state, goals)?;
            if self.bounds.way.is_by_itself() && why == Some(LOCKED_OUT) {
                why = self.let_in(&mut state, goal)?;
            }
            if let Some(why) = why {
                // Named, and everything that worked still does.
                let named = ["unexplained-credential", "full"];
                return if named.contains(&why) && humans > 0 {
                    Ok(())
                } else {
                    Err(format!("the run after it holds: {why}"))
                };
            }
        }
        let ours: Vec<&Issued> = state.keys.iter().filter(|one| !one.human).collect();
        if goal == Goal::Revoke {
            return match ours.first() {
                None => Ok(()),
                Some(one) => Err(format!("{} outlives the end of everything", one.key.key_id)),
            };
        }
        if !state.sink.secret.is_some_and(|secret| state.works(secret)) {
            return Err("at rest the sink holds a secret that does not work".to_owned());
        }
        let current = state.custody.as_ref().and_then(|one| one.claim.current.clone());
        let extra = ours.iter().find(|one| Some(&one.key.key_id) != current.as_ref());
        if let Some(one) = extra {
            return Err(format!("at rest {} is alive, and nobody names it", one.key.key_id));
        }
        if state.custody.as_ref().is_some_and(|one| one.pending.is_some()) {
            return Err("at rest a secret waits in custody".to_owned());
        }
        Ok(())
    }

    /// Whoever is locked out is told, and asks again; then the parent makes a first one.
    fn let_in(&mut self, state: &mut State, goal: Goal) -> Result<Option<&'static str>, String> {
        let why = self.finish(state, vec![goal])?;
        if why != Some(LOCKED_OUT) {
            return Ok(why);
        }
        let pending = state.custody.as_ref().and_then(|one| one.pending);
        let known = state.sink.secret.into_iter().chain(pending);
        if let Some(secret) = known.into_iter().find(|secret| state.works(*secret)) {
            return Err(format!("secret {secret} is at hand and works, and a person is asked"));
        }
        self.rescued += 1;
        let to = state.custody.as_ref().map_or(1, |one| one.claim.generation + 1);
        self.finish(state, vec![Goal::Revoke, Goal::Rotate { to, at_once: false }])
    }

    /// Until it is done, or says why not.
    fn finish(
        &mut self,
        state: &mut State,
        goals: Vec<Goal>,
    ) -> Result<Option<&'static str>, String> {
        let mut run = Run::new(goals);
        for _ in 0..4 * MOST_STEPS {
            match run.at.clone() {
                At::Does(does) => {
                    if let Step::Hold(why) = does.step {
                        state.takes(self.bounds.way, &does.call);
                        return Ok(Some(why));
                    }
                    if let Call::SignIn(new, secret) = &does.call {
                        let works = secret.is_some_and(|secret| state.works(secret));
                        run.verified = Some((does.epoch, new.clone(), works));
                        run.at = At::Claim;
                        continue;
                    }
                    let answer = state.takes(self.bounds.way, &does.call);
                    if matches!(answer, Answer::Refused) {
                        return Ok(Some("full"));
                    }
                    self.absorb(&mut run, &does, answer);
                    let humans = state.keys.iter().filter(|one| one.human).count();
                    self.promises(state, humans)
                        .map_err(|why| format!("while it is put right: {why}"))?;
                }
                _ => self.read(state, LATER, &mut run, true),
            }
            match run.life {
                Life::Up => {}
                _ => return Ok(None),
            }
        }
        Err(format!("the run after it comes to no end at {:?}", run.at))
    }
}

fn print(state: &State) -> u64 {
    let mut hasher = DefaultHasher::new();
    state.hash(&mut hasher);
    hasher.finish()
}

/// Searches everything within the bounds.
///
/// # Errors
///
/// A promise that is broken, with the shortest way there.
pub fn search(bounds: &Bounds) -> Result<Found, Box<Broken>> {
    let mut search = Search { bounds, steps: BTreeMap::new(), rescued: 0 };
    let first = State::first(bounds);
    let mut seen = HashSet::from([print(&first)]);
    let mut came: Vec<(usize, Event)> = vec![(0, Event::Human)];
    let mut open = VecDeque::from([(first, 0)]);
    let mut rests = 0;
    while let Some((state, index)) = open.pop_front() {
        let humans = usize::from(bounds.events.humans - state.left.humans);
        let quiet = state.runs.iter().all(|run| run.life != Life::Up) && state.late.is_empty();
        let mut checked = search.promises(&state, humans);
        if checked.is_ok() && quiet {
            rests += 1;
            checked = search.recover(&state);
        }
        if let Err(promise) = checked {
            let trace = tell(bounds, &came, index);
            return Err(Box::new(Broken { promise, trace }));
        }
        for (event, next) in search.follow(&state) {
            if seen.insert(print(&next)) {
                came.push((index, event));
                open.push_back((next, came.len() - 1));
            }
        }
        assert!(seen.len() < bounds.most, "more than {} states: {bounds:?}", bounds.most);
    }
    Ok(Found { states: seen.len(), rests, locked_out: search.rescued, steps: search.steps })
}

/// The way to a state, in words.
fn tell(bounds: &Bounds, came: &[(usize, Event)], mut index: usize) -> String {
    let mut events = Vec::new();
    while index > 0 {
        events.push(index);
        index = came[index].0;
    }
    let mut search = Search { bounds, steps: BTreeMap::new(), rescued: 0 };
    let mut state = State::first(bounds);
    let mut text = String::new();
    for at in events.into_iter().rev() {
        let wanted = came[at].1;
        let followers = search.follow(&state);
        let Some((_, next)) = followers.into_iter().find(|(event, _)| *event == wanted) else {
            break;
        };
        let doing = match came[at].1 {
            Event::Does(me, _) => match &state.runs[me].at {
                At::Does(does) => format!(" {:?}", does.step),
                _ => String::new(),
            },
            Event::Arrives(index) => format!(" {:?}", state.late[index]),
            _ => String::new(),
        };
        let keys: Vec<&str> = next.keys.iter().map(|one| one.key.key_id.as_str()).collect();
        let claim = next.custody.as_ref().map(|one| {
            let claim = &one.claim;
            format!(
                "{} g{} e{} {} new {:?}",
                claim.phase.as_str(),
                claim.generation,
                claim.epoch,
                claim.owner,
                claim.new
            )
        });
        let _ = writeln!(
            text,
            "{wanted:?}{doing}\n    claim {}; sink v{} {:?}; keys {keys:?}",
            claim.unwrap_or_default(),
            next.sink.main.version,
            next.sink.main.key_id,
        );
        state = next;
    }
    text
}
