//! One story: the deeds run, unmodified, and everything else is chosen.
//!
//! Up to three runs at once on one slot, each in the middle of a call for as long as it pleases the
//! choices. Calls are lost, done and not heard of, arrive late; runs die, keys are refused, entries
//! are not kept, a page is missing, a person makes a key. After every event the promises are checked;
//! at the end, when nobody is at work, one more run without faults must bring the slot to its goal.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context as Waking, Poll, Waker},
    time::Duration,
};

use connector::{
    Clock, Connector, NewIntegration, Platform,
    fake::{self, APP, Fake},
};
use domain::{CredentialId, IntegrationId, Realm, RealmKey, Record, Secret, Settings, Span};
use jiff::Timestamp;
use ledger::{Ledger, MemoryLedger, NullLedger};
use operations::{
    Context, Custody, Delivery, Outcome, Problem, RulesGate, Run, SlotSpec, carry_out,
};
use policy::{Rules, Schedule, rotation::Goal};
use secrets::{Document, Expect, MemorySink, Sink};

use crate::{
    choices::{Choices, shrink},
    ports::{Bug, Call, Fate, Port, Shared, StoryClock, StoryLedger},
};

mod table;

pub use table::{Books, Row, ends};

/// The ways in which the platform of a story may issue.
pub const WAYS: [&str; 8] = [
    "add-ours",
    "add-marked",
    "slots",
    "add-unmarked",
    "first-only",
    "grace",
    "replace-ours",
    "replace-once",
];

const OVERLAP: Span = Span::from_secs(86_400);
const REALM: &str = "k3x9q2";
const PLACES: [&str; 2] = ["apps/a", "apps/b"];
/// So many faults make a rough world.
pub const ROUGH: usize = 12;
/// What a person writes over a delivered secret.
const BY_HAND: &str = "what a person wrote";
/// More events than a story has by itself.
const MOST_EVENTS: usize = 900;

/// What may happen in a story.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// The only way, or any.
    pub way: Option<&'static str>,
    /// So many runs at once at most.
    pub runs: usize,
    /// So many faults at most.
    pub faults: usize,
    /// Two runs rotate one key at once, and each takes the other for dead.
    pub duel: bool,
    /// There are two generations, the overlap of the first is over, and the platform can switch one key
    /// off.
    pub cuts: bool,
    /// What is wrong with the world.
    pub bug: Option<Bug>,
}

/// How often each call came to each end, by way of issuing and the number of runs.
pub type Coverage = BTreeMap<(&'static str, Call, Fate, usize), u64>;

/// What a story came to.
#[derive(Debug)]
pub struct Told {
    /// The promise that was broken.
    pub broken: Option<String>,
    /// Every choice that was made.
    pub choices: Vec<u16>,
    /// What happened, in words, where it was told aloud.
    pub words: String,
    /// How many deeds were carried out, well or not.
    pub deeds: u64,
}

/// Words cost more than many an event: only a story that is to be told again has them.
macro_rules! say {
    ($story:expr, $($words:tt)*) => {
        if $story.aloud {
            let _ = writeln!($story.words, $($words)*);
        }
    };
}

mod soft_cut;

type Deed = Pin<Box<dyn Future<Output = Result<Outcome, Problem>>>>;

struct Acting {
    port: Port,
    goal: Goal,
    /// `None`: over.
    deed: Option<Deed>,
}

/// A sink's place, as it was when it was last looked at.
#[derive(Default)]
struct Place {
    version: u64,
    secret: Option<Secret>,
    /// What stood there before, and until when it is promised to work.
    earlier: Vec<(Secret, Timestamp)>,
}

struct Story<'a> {
    choices: Choices,
    bounds: &'a Bounds,
    way: &'static str,
    clock: Arc<StoryClock>,
    shared: Arc<Shared>,
    ledgers: usize,
    common: Arc<dyn Ledger>,
    claim_ttl: Span,
    before: u64,
    acting: Vec<Acting>,
    places: [Place; 2],
    promoted: BTreeMap<u64, String>,
    theirs: Vec<Secret>,
    straggler: soft_cut::Straggler,
    /// What a person wrote over: which place, at which version.
    by_hand: Option<(usize, u64)>,
    faults: usize,
    /// Nobody is promised anything of that any more.
    revoking: bool,
    at_once: bool,
    told_of_end: bool,
    most: usize,
    deeds: u64,
    /// What happens is written down.
    aloud: bool,
    words: String,
}

/// Tells one story, in words too if it is told aloud. To be awaited on a runtime of one thread whose
/// time stands still.
pub async fn tell(choices: Choices, bounds: &Bounds, coverage: &mut Coverage, aloud: bool) -> Told {
    let mut story = Story::new(choices, bounds).await;
    story.aloud = aloud;
    let told = tokio::task::unconstrained(story.whole(coverage)).await;
    Told {
        broken: told.err(),
        choices: story.choices.taken().to_vec(),
        words: std::mem::take(&mut story.words),
        deeds: story.deeds,
    }
}

impl<'a> Story<'a> {
    async fn new(mut choices: Choices, bounds: &'a Bounds) -> Story<'a> {
        let way = bounds.way.unwrap_or_else(|| WAYS[choices.any(WAYS.len())]);
        let clock = Arc::new(StoryClock::new());
        let fake = Fake::new(clock.clone());
        fake.promise_only(way);
        let sink = || {
            let clock = clock.clone();
            Arc::new(MemorySink::with_clock(move || clock.now()))
        };
        let new = NewIntegration {
            kind: APP.into(),
            name: "sync".into(),
            settings: Settings::default(),
            record: Record::default(),
        };
        let made = fake.create(&new).await.expect("an empty platform makes an integration");
        let slot = CredentialId {
            integration: IntegrationId::new("fake", APP, "sync"),
            name: "default".into(),
        };
        let key = || RealmKey::new(&Secret::new("k".repeat(40))).expect("it is long enough");
        let shared =
            Shared::new(fake, sink(), sink(), bounds.bug, REALM, key(), slot, made.vendor_id);
        let common: Arc<dyn Ledger> = Arc::new(MemoryLedger::new());
        let mut before = if way == "first-only" { 0 } else { [1, 0, 2][choices.any(3)] };
        let mut claim_ttl = [Span::from_secs(120), Span::ZERO][choices.any(2)];
        let mut most = 1 + choices.any(bounds.runs);
        if bounds.duel {
            (before, claim_ttl, most) = (1, Span::ZERO, 2);
        }
        if bounds.cuts {
            before = 2;
            shared.fake.disable_keys();
        }
        if way == "first-only" {
            // There is one name for whatever is made: who is taken for dead and is not ends the successor.
            (claim_ttl, most) = (Span::from_secs(120), 1);
        }
        Story {
            ledgers: choices.any(3),
            choices,
            bounds,
            way,
            clock,
            shared: Arc::new(shared),
            common,
            claim_ttl,
            before,
            acting: Vec::new(),
            places: Default::default(),
            promoted: BTreeMap::new(),
            theirs: Vec::new(),
            straggler: soft_cut::Straggler::default(),
            by_hand: None,
            faults: bounds.faults,
            revoking: false,
            at_once: false,
            told_of_end: false,
            most,
            deeds: 0,
            aloud: true,
            words: String::new(),
        }
    }

    fn replaces(&self) -> bool {
        self.way.starts_with("replace-")
    }

    /// A person can make a key beside ours.
    fn takes_another(&self) -> bool {
        !self.replaces() && !["first-only", "grace"].contains(&self.way)
    }

    /// An answer that was lost took a second call, which ends what consumers hold; or somebody was told
    /// that the platform ends it before there is another one that works.
    fn is_cut_short(&self) -> bool {
        let calls = usize::try_from(self.before).unwrap_or_default() + 1;
        self.way == "grace" && (self.shared.told().issued > calls || self.told_of_end)
    }

    /// There is room for two, and no mark says whose they are.
    fn is_narrow(&self) -> bool {
        ["slots", "add-unmarked"].contains(&self.way)
    }

    /// Half of what the platform makes does not work, and a person writes over what was delivered.
    fn is_rough(&self) -> bool {
        self.bounds.faults >= ROUGH
    }

    fn timed(&self) -> bool {
        self.replaces() || self.is_narrow() || self.way == "grace"
    }

    fn spec(&self) -> SlotSpec {
        let kind = fake::PLATFORM.kinds().iter().find(|kind| kind.name == APP);
        let kind = kind.expect("the fake has apps");
        let deliver = |path: &str| Delivery {
            name: path.rsplit('/').next().unwrap_or(path).to_owned(),
            connection: "apps".into(),
            path: path.to_owned(),
            fields: BTreeMap::new(),
            merge: false,
        };
        let overlap =
            if self.bounds.bug == Some(Bug::NoOverlapIsKept) { Span::ZERO } else { OVERLAP };
        SlotSpec {
            id: self.shared.slot.clone(),
            vendor_id: self.shared.vendor_id.clone(),
            kind,
            credential_type: kind.credential_types[0],
            settings: Settings::default(),
            schedule: Some(Schedule {
                overlap,
                ..Schedule::every("monthly", Span::from_secs(30 * 86_400))
            }),
            deliveries: PLACES.map(deliver).to_vec(),
            former: Vec::new(),
            integration_ends: None,
            asked: None,
            known: None,
        }
    }

    /// Somebody begins a deed.
    fn begin(&mut self, name: &str, goal: Goal) {
        let port = self.shared.port();
        // What a run that died was refused is in its memory only.
        self.shared.told().refused = 0;
        let ledger: Arc<dyn Ledger> = match self.ledgers {
            0 => self.common.clone(),
            1 => Arc::new(MemoryLedger::new()),
            _ => Arc::new(NullLedger),
        };
        let mut rules = Rules {
            claim_ttl: self.claim_ttl,
            lock_timeout: Span::from_secs(3),
            ..Rules::default()
        };
        if self.bounds.bug == Some(Bug::NothingIsWaitedFor) {
            rules.settle = Span::ZERO;
            rules.claim_ttl_timed = Span::ZERO;
            rules.claim_ttl = Span::ZERO;
        }
        if self.bounds.bug == Some(Bug::NobodyIsWatchedFor) {
            rules.soft_cut_for = Span::from_secs(1);
        }
        let context = Context {
            connections: Arc::new(port.clone()),
            realm: Some(Arc::new(Realm {
                id: REALM.into(),
                key: RealmKey::new(&Secret::new("k".repeat(40))),
            })),
            custody: Some(Custody::new("vault", "nhi")),
            rules: Arc::new(rules),
            ledger: Arc::new(StoryLedger { port: port.clone(), inner: ledger }),
            clock: self.clock.clone(),
            run: Run {
                program: "story".into(),
                id: name.into(),
                trigger: "apply".into(),
                ..Run::default()
            },
            gate: Arc::new(RulesGate),
            read_only: false,
            notices: Default::default(),
            turns: Default::default(),
            claims: Default::default(),
        };
        let spec = self.spec();
        self.revoking |= goal == Goal::Revoke;
        self.at_once |= matches!(goal, Goal::Rotate { at_once: true, .. });
        say!(self, "{name} begins {goal:?}");
        let deed: Deed = Box::pin(async move { carry_out(&context, &spec, goal, "story").await });
        self.acting.push(Acting { port, goal, deed: Some(deed) });
        self.deeds += 1;
    }

    /// Lets a run go on as far as it comes without a turn. What it came to, if it is over.
    fn go_on(&mut self, run: usize) -> Option<Result<Outcome, Problem>> {
        let acting = &mut self.acting[run];
        let deed = acting.deed.as_mut()?;
        let polled = deed.as_mut().poll(&mut Waking::from_waker(Waker::noop()));
        if self.shared.told().dead[acting.port.run] {
            acting.deed = None;
            return None;
        }
        match polled {
            Poll::Pending => None,
            Poll::Ready(done) => {
                acting.deed = None;
                match &done {
                    Ok(outcome) => {
                        say!(self, "{run} is done: {:?}", outcome.key_id);
                    }
                    Err(problem) => {
                        say!(self, "{run} stops: {}", problem.code);
                        if problem.code == "E-NO-END" {
                            self.shared.told().broken.push("P7: a run comes to no end".to_owned());
                        }
                    }
                }
                Some(done)
            }
        }
    }

    fn call_of(&self, run: usize) -> Option<Call> {
        let acting = &self.acting[run];
        acting.deed.as_ref()?;
        self.shared.told().waits[acting.port.run]
    }

    /// Ends a call so, and lets its run go on.
    fn end_call(&mut self, run: usize, fate: Fate) -> Option<Result<Outcome, Problem>> {
        let call = self.call_of(run)?;
        say!(self, "{run}: {} {}: {fate:?}", call.what, call.phase);
        self.shared.told().fates[self.acting[run].port.run] = Some(fate);
        self.go_on(run)
    }

    /// Runs a deed to its end, without faults.
    async fn calmly(&mut self, name: &str, goal: Goal) -> Result<Result<Outcome, Problem>, String> {
        self.begin(name, goal);
        let run = self.acting.len() - 1;
        let mut done = self.go_on(run);
        for _ in 0..MOST_EVENTS {
            if let Some(done) = done {
                return Ok(done);
            }
            done = match self.call_of(run) {
                Some(_) => {
                    let done = self.end_call(run, Fate::Done);
                    self.check().await?;
                    done
                }
                None => {
                    tokio::time::advance(Duration::from_secs(61)).await;
                    self.go_on(run)
                }
            };
        }
        Err(format!("P7: {name} comes to no end"))
    }

    async fn whole(&mut self, coverage: &mut Coverage) -> Result<(), String> {
        for generation in 1..=self.before {
            let goal = Goal::Rotate { to: generation, at_once: false };
            if let Err(problem) = self.calmly("before", goal).await? {
                return Err(format!("{} without any fault", problem.code));
            }
        }
        say!(
            self,
            "-- {}, generation {}, {} at once, claims hold {:?}, ledger {}",
            self.way,
            self.before,
            self.most,
            self.claim_ttl,
            ["shared", "own", "none"][self.ledgers]
        );
        if self.bounds.cuts {
            self.is_over().await;
        }
        self.stormily(coverage).await?;
        match self.bounds.cuts {
            true => self.put_cut_right().await,
            false => self.put_right().await,
        }
    }

    /// Everything that may go wrong.
    async fn stormily(&mut self, coverage: &mut Coverage) -> Result<(), String> {
        let first = self.acting.len();
        // Off, on again, and ended takes several.
        let more = if self.bounds.cuts { 3 } else { 0 };
        let mut left = self.most + more + self.choices.any(2);
        let mut now = first;
        // Some stories change the scene at every turn, others leave somebody standing for long.
        let unrest = [4, 20, 60][self.choices.any(3)];
        for _ in 0..MOST_EVENTS {
            let waiting: Vec<usize> =
                (first..self.acting.len()).filter(|run| self.call_of(*run).is_some()).collect();
            let alive =
                (first..self.acting.len()).filter(|run| self.acting[*run].deed.is_some()).count();
            if alive == 0 && left == 0 {
                break;
            }
            // Whoever is to change what others see is held up more often than not by chance alone.
            let weighty = ["write sink", "issue", "end"];
            let next = (now < self.acting.len()).then(|| self.call_of(now)).flatten();
            let weighs = next.is_some_and(|call| weighty.contains(&call.what));
            let happens = self.choices.rarely(if weighs { unrest.min(4) } else { unrest }, 9);
            match happens {
                1 | 2 | 7 if waiting.len() > 1 => {
                    now = waiting[self.choices.any(waiting.len())];
                }
                3 if !self.shared.told().late.is_empty() => {
                    let which = self.choices.any(self.shared.told().late.len());
                    self.arrive(which).await;
                }
                4 if self.theirs.is_empty()
                    && self.takes_another()
                    && self.choices.rarely(2, 2) == 1 =>
                {
                    self.somebody_makes_a_key();
                }
                8 if self.is_rough() && !self.bounds.duel && self.by_hand.is_none() => {
                    self.somebody_writes().await;
                }
                5 if self.time_may_pass() => {
                    let most = if self.bounds.cuts { 3_700 } else { 601 };
                    let seconds = [1, 20, 125, most][self.choices.any(4)];
                    self.time_passes(first, seconds).await;
                }
                _ if (happens >= 6 || alive == 0) && left > 0 && alive < self.most => {
                    left -= 1;
                    let goal = match self.bounds.cuts {
                        true => self.some_goal_of_a_cut(),
                        false => self.some_goal(),
                    };
                    let name = format!("run {}", self.acting.len());
                    self.begin(&name, goal);
                    now = self.acting.len() - 1;
                    self.go_on(now);
                }
                _ if waiting.is_empty() => {
                    while !self.shared.told().late.is_empty() && !self.time_may_pass() {
                        self.arrive(0).await;
                    }
                    self.time_passes(first, 61).await;
                }
                _ => {
                    if !waiting.contains(&now) {
                        now = waiting[0];
                    }
                    let call = self.call_of(now).expect("it waits");
                    let fate = self.some_fate(call);
                    *coverage.entry((self.way, call, fate, self.most)).or_default() += 1;
                    let done = self.end_call(now, fate);
                    if matches!(done, Some(Ok(_))) && self.acting[now].goal == Goal::Reenable {
                        self.word_was_heard().await;
                    }
                }
            }
            self.check().await?;
        }
        // Whoever is at work still dies, and what is on its way arrives.
        for acting in &mut self.acting {
            acting.deed = None;
        }
        while !self.shared.told().late.is_empty() {
            self.arrive(0).await;
            self.check().await?;
        }
        Ok(())
    }

    fn some_goal(&mut self) -> Goal {
        let to = self.before + 1;
        match self.choices.any(6) {
            _ if self.bounds.duel => Goal::Rotate { to, at_once: false },
            0..=2 => Goal::Rotate { to, at_once: false },
            3 => Goal::Rotate { to, at_once: true },
            4 if self.before > 0 => Goal::Retire { at: self.before },
            // Where there is one name for whatever is made, and no mark, a call that comes after the end
            // of everything is not told from the one that was ended.
            5 if self.way != "first-only" => Goal::Revoke,
            _ => Goal::Rotate { to, at_once: false },
        }
    }

    fn some_fate(&mut self, call: Call) -> Fate {
        use Fate::{
            AnswerLost, ArrivesLate, DiesAfter, DiesBefore, Done, FalselyRefused, NotKept, NotSent,
            RequestLost, Useless,
        };
        // Where there is one name for whatever is made, an ending that is late reaches the next one.
        let late = !(call.what == "end" && self.way == "first-only");
        let all: &[Fate] = match call.what {
            "read claim" | "read sink" => &[Done, DiesBefore, NotSent],
            // An ending that nothing waits for goes by what is seen: an unmarked key on a page that is
            // missing is not.
            "list keys" if self.timed() && self.revoking => &[Done, DiesBefore, NotSent],
            "list keys" => &[Done, DiesBefore, NotSent, NotKept],
            "sign in" => &[Done, DiesBefore, NotSent, FalselyRefused, FalselyRefused],
            "journal" => &[Done, DiesBefore, DiesAfter, NotKept],
            "issue" => &[
                Done,
                DiesBefore,
                DiesAfter,
                NotSent,
                RequestLost,
                AnswerLost,
                ArrivesLate,
                ArrivesLate,
                Useless,
            ],
            _ if late => {
                &[Done, DiesBefore, DiesAfter, NotSent, RequestLost, AnswerLost, ArrivesLate]
            }
            _ => &[Done, DiesBefore, DiesAfter, NotSent, RequestLost, AnswerLost],
        };
        if self.faults == 0 {
            return Done;
        }
        let useless = self.is_rough() && !self.bounds.duel && call.what == "issue";
        let all = if useless { &[Done, Useless] } else { all };
        let once_in = match call.what {
            _ if useless => 1,
            "sign in" if self.is_rough() => 2,
            "sign in" => 4,
            _ => 10,
        };
        let fate = all[self.choices.rarely(once_in, all.len())];
        self.faults -= usize::from(fate != Done);
        fate
    }

    async fn arrive(&mut self, which: usize) {
        let (call, effect) = self.shared.told().late.remove(which);
        say!(self, "{} {} arrives late", call.what, call.phase);
        effect.await;
    }

    fn somebody_makes_a_key(&mut self) {
        let secret = "what a person made";
        say!(self, "a person makes a key");
        self.shared.fake.by_hand(APP, "sync", |hand| {
            hand.issue(secret, None);
        });
        // One that was made in the very minute of our call and never used could not be told from ours.
        let _ = self.shared.fake.sign_in(APP, "sync", &Secret::new(secret));
        self.theirs.push(Secret::new(secret));
    }

    async fn somebody_writes(&mut self) {
        let index = self.choices.any(PLACES.len());
        let version = self.shared.apps.version(PLACES[index]);
        if version == 0 {
            return;
        }
        say!(self, "a person writes into {}", PLACES[index]);
        let document = Document::default().with("key", Secret::new(BY_HAND));
        let written = self.shared.apps.write(PLACES[index], &document, Expect::Version(version));
        if let Ok(written) = written.await {
            self.by_hand = Some((index, written.number));
            (self.places[index].version, self.places[index].secret) = (written.number, None);
        }
    }

    /// Where only time fences, a call that began does not take longer than it may.
    fn time_may_pass(&self) -> bool {
        let slow = |call: &Call| call.what == "issue" || call.what == "journal";
        let told = self.shared.told();
        let waits = self.acting.iter().filter(|one| one.deed.is_some());
        let waits = waits.filter_map(|one| told.waits[one.port.run]);
        !self.timed()
            || !(waits.into_iter().any(|call| slow(&call))
                || told.late.iter().any(|(call, _)| slow(call)))
    }

    async fn time_passes(&mut self, first: usize, seconds: u64) {
        say!(self, "{seconds} s pass");
        tokio::time::advance(Duration::from_secs(seconds)).await;
        for run in first..self.acting.len() {
            if self.acting[run].deed.is_some() && self.call_of(run).is_none() {
                self.go_on(run);
            }
        }
    }

    /// What must be true after every event.
    async fn check(&mut self) -> Result<(), String> {
        if let Some(broken) = self.shared.told().broken.first() {
            return Err(broken.clone());
        }
        let fake = self.shared.fake.clone();
        let admits = |secret: &Secret| fake.admits(APP, "sync", secret);
        if !self.theirs.iter().all(admits) {
            return Err("P3: a key that a person made was ended".to_owned());
        }
        self.check_straggler().await?;
        let adds = !self.replaces();
        let now = self.clock.now();
        for (index, path) in PLACES.iter().enumerate() {
            let version = self.shared.apps.version(path);
            if version != self.places[index].version {
                self.changed(index, path, version, now).await?;
            }
            let place = &self.places[index];
            if !adds || self.revoking || self.is_cut_short() {
                continue;
            }
            if place.secret.as_ref().is_some_and(|secret| !admits(secret)) {
                return Err(format!("P1: what {path} holds does not work"));
            }
            let kept = |(secret, until): &(Secret, Timestamp)| now >= *until || admits(secret);
            if !self.at_once && !place.earlier.iter().all(kept) {
                return Err(format!("P1: what {path} held is ended within the overlap"));
            }
        }
        // As many as the platform stands from one, where nobody else signs in.
        if self.most == 1 && self.shared.told().most_refused > 2 {
            return Err("P10: more refused sign-ins than the platform stands".to_owned());
        }
        Ok(())
    }

    /// A document was written.
    async fn changed(
        &mut self,
        index: usize,
        path: &str,
        version: u64,
        now: Timestamp,
    ) -> Result<(), String> {
        let stored = self.shared.apps.read(path).await.ok().flatten();
        let document = stored.and_then(|stored| stored.document).unwrap_or_default();
        let says: serde_json::Value = document
            .get("_nhi")
            .and_then(|text| serde_json::from_str(text.expose()).ok())
            .unwrap_or_default();
        if document.get("key").is_some_and(|key| key.expose() == BY_HAND) {
            // The same once more, for a promote that may be late.
            self.by_hand = Some((index, version));
            self.places[index].version = version;
            return Ok(());
        }
        if let Some((place, theirs)) = self.by_hand
            && place == index
        {
            self.by_hand = None;
            let recorded = self.acting[0].port.recorded(path).await;
            if recorded.is_some_and(|recorded| recorded != theirs) {
                return Err(format!("R11: what a person wrote into {path} is written over"));
            }
        }
        let revoked = says["revoked"].as_bool().unwrap_or(false);
        let secret = document.get("key").filter(|_| !revoked).map(Secret::duplicate);
        let place = &mut self.places[index];
        place.version = version;
        if place.secret == secret {
            return Ok(());
        }
        let before = std::mem::replace(&mut place.secret, secret);
        let until = now + jiff::SignedDuration::from_secs(OVERLAP.as_signed_secs());
        place.earlier.extend(before.map(|before| (before, until)));
        let Some(secret) = &self.places[index].secret else { return Ok(()) };
        if self.way.starts_with("replace-") {
            return Ok(());
        }
        if !self.shared.told().signed_in.contains(secret.expose()) {
            return Err(format!("P5: what {path} holds was never tried"));
        }
        let (generation, key) = (says["gen"].as_u64(), says["key"].as_str());
        if let (Some(generation), Some(key)) = (generation, key) {
            let first = self.promoted.entry(generation).or_insert_with(|| key.to_owned());
            if first != key {
                return Err(format!("P6: two keys of generation {generation} are promoted"));
            }
        }
        Ok(())
    }

    /// When nobody is at work: one more, without faults, and then once more when all overlaps are over.
    async fn put_right(&mut self) -> Result<(), String> {
        say!(self, "-- at rest");
        tokio::time::advance(Duration::from_secs(1_000)).await;
        let to = self.before + 1;
        let goal = if self.revoking { Goal::Revoke } else { Goal::Rotate { to, at_once: false } };
        let mut done = self.calmly("later", goal).await?;
        if done.as_ref().is_err_and(|problem| problem.code == "E-OLD-IN-USE") {
            tokio::time::advance(Duration::from_secs(90_000)).await;
            done = self.calmly("when the overlap is over", goal).await?;
        }
        // Another one is made when the platform has ended the old one.
        if self.way == "grace" && done.as_ref().is_err_and(|problem| problem.code == "E-VERIFY") {
            self.told_of_end = true;
            tokio::time::advance(Duration::from_secs(200_000)).await;
            done = self.calmly("when the old one has ended", goal).await?;
        }
        if self.is_rough() && done.as_ref().is_err_and(|problem| problem.code == "E-SINK-CHANGED") {
            done = self.calmly("who has seen that", goal).await?;
        }
        let human = !self.theirs.is_empty();
        let outcome = match done {
            Ok(outcome) => outcome,
            // The place of the next key is theirs, or it cannot be told whose one is.
            Err(problem)
                if human
                    && self.is_narrow()
                    && ["E-UNEXPLAINED", "E-ROTATE", "E-NOT-DONE"].contains(&problem.code) =>
            {
                return Ok(());
            }
            // Nothing of ours ever stood where they wrote: that is theirs to say.
            Err(problem) if self.by_hand.is_some() && problem.code == "E-SINK-OCCUPIED" => {
                return Ok(());
            }
            Err(problem) => {
                return Err(format!(
                    "P7: the run after it stops: {}: {}",
                    problem.code, problem.detail
                ));
            }
        };
        if self.revoking {
            return self.nothing_else(&BTreeSet::new()).await;
        }
        self.works()?;
        let mut named: BTreeSet<String> =
            outcome.previous.iter().map(|one| one.key_id.clone()).collect();
        named.extend(outcome.key_id.clone());
        self.nothing_else(&named).await?;
        tokio::time::advance(Duration::from_secs(90_000)).await;
        let retire = Goal::Retire { at: outcome.generation };
        let done = self.calmly("retires", retire).await?;
        let outcome =
            done.map_err(|problem| format!("P7: nothing is retired: {}", problem.code))?;
        self.works()?;
        self.nothing_else(&outcome.key_id.into_iter().collect()).await
    }

    fn works(&self) -> Result<(), String> {
        for (place, path) in self.places.iter().zip(PLACES) {
            match &place.secret {
                Some(secret) if self.shared.fake.admits(APP, "sync", secret) => {}
                _ => return Err(format!("P1: at rest what {path} holds does not work")),
            }
        }
        Ok(())
    }

    /// No live key but those, and no secret in custody.
    async fn nothing_else(&self, named: &BTreeSet<String>) -> Result<(), String> {
        let port = &self.acting[0].port;
        let mut theirs = BTreeSet::new();
        let object = connector::ObjectRef {
            kind: APP.into(),
            key: "sync".into(),
            vendor_id: None,
            name: "sync".into(),
        };
        for secret in &self.theirs {
            let found = port.shared.fake.find(&object, "", secret).await.ok().flatten();
            theirs.extend(found.map(|one| one.key_id));
        }
        let listing =
            self.shared.fake.credentials(&object).await.map_err(|error| error.to_string())?;
        for one in listing.credentials.iter().filter(|one| one.stands()) {
            // With a person's key beside it, what an unanswered call made is nobody's: it is left to them.
            if self.revoking && self.is_narrow() && !theirs.is_empty() {
                continue;
            }
            if !named.contains(&one.key_id) && !theirs.contains(&one.key_id) {
                return Err(format!("P2: at rest {} lives, and nobody names it", one.key_id));
            }
        }
        let folder = format!("nhi/{REALM}");
        for name in self.shared.vault.look_all(&folder).await.unwrap_or_default().into_keys() {
            let stored = self.shared.vault.read(&format!("{folder}/{name}")).await.ok().flatten();
            let document = stored.and_then(|stored| stored.document).unwrap_or_default();
            if document.get("pending").is_some_and(|secret| !secret.expose().is_empty()) {
                return Err("P2: at rest a secret waits in custody".to_owned());
            }
        }
        Ok(())
    }
}

/// Tells stories by seed, on a thread of their own time.
#[derive(Debug)]
pub struct Teller {
    runtime: tokio::runtime::Runtime,
    /// Which call came to which end.
    pub coverage: Coverage,
    /// How many deeds were carried out.
    pub deeds: u64,
}

impl Default for Teller {
    fn default() -> Self {
        Teller::new()
    }
}

impl Teller {
    /// One that has told nothing.
    #[allow(clippy::missing_panics_doc)] // A runtime of one thread without I/O can always be made.
    pub fn new() -> Teller {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime without I/O needs nothing of the system");
        Teller { runtime, coverage: Coverage::new(), deeds: 0 }
    }

    /// One story.
    pub fn tell(&mut self, choices: Choices, bounds: &Bounds) -> Told {
        self.told(choices, bounds, false)
    }

    fn told(&mut self, choices: Choices, bounds: &Bounds, aloud: bool) -> Told {
        let told = self.runtime.block_on(tell(choices, bounds, &mut self.coverage, aloud));
        self.deeds += told.deeds;
        told
    }

    /// The story of a seed; where a promise is broken in it, the smallest that breaks the same one, in
    /// words.
    pub fn seed(&mut self, seed: u64, bounds: &Bounds) -> Result<(), Box<Told>> {
        let told = self.tell(Choices::of_seed(seed), bounds);
        let Some(broken) = told.broken else { return Ok(()) };
        let promise = broken.split(':').next().unwrap_or_default().to_owned();
        let small = shrink(told.choices, |choices| {
            let again = self.tell(Choices::of(choices.to_vec()), bounds);
            again.broken.is_some_and(|broken| broken.starts_with(&promise))
        });
        Err(Box::new(self.told(Choices::of(small), bounds, true)))
    }
}
