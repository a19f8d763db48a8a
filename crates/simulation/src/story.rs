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
    Consumers, Context, Custody, Delivery, Outcome, Problem, RulesGate, Run, SlotSpec,
};
use policy::{Rules, Schedule, rotation::Goal};
use secrets::{Document, Expect, MemorySink, Sink};

use crate::{
    choices::{Choices, shrink},
    ports::{Bug, Call, Fate, Port, Shared, StoryClock, StoryLedger},
};

mod bounds;
mod coverage;
mod kept;
mod planted;

pub use bounds::{Bounds, ROUGH, Scene, WAYS};
use coverage::fates;
pub use coverage::{Cell, Coverage, reachable, seldom, unforeseen, unreachable};
pub use kept::Kept;
pub use planted::{PLANTED, Planted};
pub use table::{Books, Does, Filled, Row, Second, ends};

const OVERLAP: Span = Span::from_secs(86_400);
/// Longer than that consumers take who are slow to read.
const REFRESH: Span = Span::from_secs(2 * 86_400);
const REALM: &str = "k3x9q2";
/// Where the slots deliver: two places of the first, and one of the second. The first one of a slot is its
/// anchor.
const PLACES: [&str; 3] = ["apps/a", "apps/b", "apps/c"];
/// The slots of the integration.
const SLOTS: [&str; 2] = ["default", "second"];
/// What is said where what replaces itself is dead.
const LOCKED_OUT: &str = "E-MANAGEMENT-LOST";
/// What a person writes over a delivered secret.
const BY_HAND: &str = "what a person wrote";
/// More events than a story has by itself.
const MOST_EVENTS: usize = 900;

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
    /// With what runs stopped, and how many.
    pub codes: BTreeMap<&'static str, u64>,
}

/// Words cost more than many an event: only a story that is to be told again has them.
macro_rules! say {
    ($story:expr, $($words:tt)*) => {
        if $story.aloud {
            let _ = writeln!($story.words, $($words)*);
        }
    };
}

mod beside;
mod doing;
mod hands;
mod shut;
mod soft_cut;
mod stopped;
mod table;
mod theirs;

use doing::Doing;

type Deed = Pin<Box<dyn Future<Output = Result<Outcome, Problem>>>>;

struct Acting {
    /// What it is called in claims.
    name: String,
    port: Port,
    doing: Doing,
    /// `None`: over.
    deed: Option<Deed>,
}

/// A sink's place, as it was when it was last looked at.
#[derive(Default)]
struct Place {
    version: u64,
    /// What it says that it holds.
    generation: u64,
    secret: Option<Secret>,
    /// What stood there before, and until when it is promised to work.
    earlier: Vec<(Secret, Timestamp)>,
}

struct Story<'a> {
    choices: Choices,
    bounds: &'a Bounds,
    way: &'static str,
    /// How many slots there are.
    slots: usize,
    clock: Arc<StoryClock>,
    shared: Arc<Shared>,
    ledgers: usize,
    common: Arc<dyn Ledger>,
    claim_ttl: Span,
    /// The generation that each slot is at when the story begins.
    before: [u64; 2],
    acting: Vec<Acting>,
    places: [Place; 3],
    /// The key of each slot's generation that was promoted first.
    promoted: BTreeMap<(usize, u64), String>,
    theirs: Vec<Secret>,
    straggler: soft_cut::Straggler,
    /// What a person wrote over: which place, at which version.
    by_hand: Option<(usize, u64)>,
    faults: usize,
    /// What a person wrote was taken for the current one by their word.
    taken: bool,
    /// How long consumers take to read what is delivered, where somebody said.
    refresh: Option<Span>,
    /// So many were called for when it was out of service, and nobody was at work.
    out: Option<usize>,
    /// Nobody is promised anything of a slot any more.
    revoking: [bool; 2],
    at_once: [bool; 2],
    /// Nothing earlier is kept: the overlap is declared as none.
    keeps_none: bool,
    hands: hands::Hands,
    stopped: stopped::Stopped,
    told_of_end: bool,
    /// Whoever was at work came to an end by themselves.
    at_rest: bool,
    most: usize,
    deeds: u64,
    codes: BTreeMap<&'static str, u64>,
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
        codes: std::mem::take(&mut story.codes),
    }
}

impl<'a> Story<'a> {
    async fn new(mut choices: Choices, bounds: &'a Bounds) -> Story<'a> {
        let way = bounds.way;
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
        let key = || RealmKey::new(&Secret::new("k".repeat(40))).expect("it is long enough");
        let shared = Shared::new(fake, sink(), sink(), bounds.bug, REALM, key(), made.vendor_id);
        let common: Arc<dyn Ledger> = Arc::new(MemoryLedger::new());
        let first = if way == "first-only" { 0 } else { [1, 0, 2][choices.any(3)] };
        let mut before = [first, 0];
        let mut claim_ttl = [Span::from_secs(120), Span::ZERO][choices.any(2)];
        let mut most = 1 + choices.any(bounds.runs);
        match bounds.scene {
            Scene::Usual | Scene::Hands | Scene::Stopped | Scene::Shut => {}
            Scene::Due | Scene::Out | Scene::Theirs => {}
            Scene::Duel => (before, claim_ttl, most) = ([1, 0], Span::ZERO, 2),
            Scene::Cut => {
                before = [2, 0];
                shared.fake.disable_keys();
            }
            // Where there is room for two, each has one, or the first has none yet either.
            Scene::Beside if ["slots", "add-unmarked"].contains(&way) => before = [first % 2, 0],
            Scene::Beside => before[1] = choices.any(2) as u64,
        }
        if way == "first-only" {
            // There is one name for whatever is made: who is taken for dead and is not ends the successor.
            (claim_ttl, most) = (Span::from_secs(120), 1);
        }
        let ledgers = choices.any(3);
        // Where its platform ends it by itself nobody is promised more.
        let slow = bounds.scene == Scene::Due && way != "grace" && choices.any(2) == 1;
        Story {
            ledgers,
            refresh: slow.then_some(REFRESH),
            out: None,
            taken: false,
            choices,
            bounds,
            way,
            slots: if bounds.scene == Scene::Beside { 2 } else { 1 },
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
            revoking: [false; 2],
            at_once: [false; 2],
            keeps_none: false,
            hands: hands::Hands::default(),
            stopped: stopped::Stopped::default(),
            told_of_end: false,
            at_rest: false,
            most,
            deeds: 0,
            codes: BTreeMap::new(),
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
        let calls = usize::try_from(self.before[0]).unwrap_or_default() + 1;
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

    fn spec(&self, slot: usize) -> SlotSpec {
        let kind = fake::PLATFORM.kinds().iter().find(|kind| kind.name == APP);
        let kind = kind.expect("the fake has apps");
        let deliver = |path: &str| Delivery {
            name: path.rsplit('/').next().unwrap_or(path).to_owned(),
            connection: "apps".into(),
            path: path.to_owned(),
            fields: BTreeMap::new(),
            merge: false,
        };
        let slow = self.bounds.bug != Some(Bug::SlowReadersAreForgotten);
        let refresh = self.refresh.filter(|_| slow);
        let none = self.keeps_none || self.bounds.bug == Some(Bug::NoOverlapIsKept);
        let overlap = if none { Span::ZERO } else { OVERLAP };
        SlotSpec {
            id: slot_id(slot),
            vendor_id: self.shared.vendor_id.clone(),
            kind,
            credential_type: kind.credential_types[0],
            settings: Settings::default(),
            schedule: Some(Schedule {
                overlap,
                ..Schedule::every("monthly", Span::from_secs(30 * 86_400))
            }),
            deliveries: places_of(slot).map(|index| deliver(PLACES[index])).collect(),
            former: Vec::new(),
            drill: true,
            integration_ends: None,
            asked: None,
            known: None,
            consumers: Consumers { refresh, ..Consumers::default() },
        }
    }

    /// Somebody begins a deed.
    fn begin(&mut self, name: &str, slot: usize, doing: impl Into<Doing>) {
        let doing = doing.into();
        self.taken |= doing == Doing::KeepSink;
        let port = self.shared.port(slot_id(slot));
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
        let is_asked = self.bounds.bug != Some(Bug::NobodyIsAskedInTheEnd);
        if self.bounds.scene == Scene::Shut && is_asked {
            rules.deliver_by = shut::DELIVER_BY;
        }
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
            signals: Default::default(),
            stop: self.stop_sign(port.run),
            under: None,
        };
        let spec = self.spec(slot);
        self.revoking[slot] |= doing.ends_all();
        self.at_once[slot] |= doing.is_at_once();
        say!(self, "{name} begins {doing} of {}", SLOTS[slot]);
        let deed = doing.carried_out(context, spec, port.clone());
        self.acting.push(Acting { name: name.to_owned(), port, doing, deed: Some(deed) });
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
                        self.stopped.heard(run, "");
                    }
                    Err(problem) => {
                        say!(self, "{run} stops: {}", problem.code);
                        *self.codes.entry(problem.code).or_default() += 1;
                        self.stopped.heard(run, problem.code);
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
        self.stopped.met(run, fate);
        self.shared.told().fates[self.acting[run].port.run] = Some(fate);
        self.go_on(run)
    }

    /// Runs a deed to its end, without faults.
    async fn calmly(
        &mut self,
        name: &str,
        slot: usize,
        doing: impl Into<Doing>,
    ) -> Result<Result<Outcome, Problem>, String> {
        self.begin(name, slot, doing);
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
        for slot in 0..self.slots {
            for generation in 1..=self.before[slot] {
                let goal = Goal::Rotate { to: generation, at_once: false };
                if let Err(problem) = self.calmly("before", slot, goal).await? {
                    return Err(format!("{} without any fault", problem.code));
                }
            }
        }
        say!(
            self,
            "-- {}, generation {:?}, {} at once, claims hold {:?}, ledger {}",
            self.way,
            &self.before[..self.slots],
            self.most,
            self.claim_ttl,
            ["shared", "own", "none"][self.ledgers]
        );
        if self.bounds.scene == Scene::Cut {
            self.is_over().await;
        }
        if self.bounds.scene == Scene::Hands {
            self.keep_a_copy();
        }
        if self.bounds.scene == Scene::Shut {
            self.somebody_shuts_a_place();
        }
        self.stormily(coverage).await?;
        match self.bounds.scene {
            Scene::Cut => self.put_cut_right().await,
            Scene::Beside => self.put_both_right().await,
            Scene::Hands => self.put_hands_right().await,
            Scene::Stopped => self.put_stopped_right().await,
            Scene::Shut => self.put_shut_right().await,
            Scene::Due => self.put_met_right().await,
            Scene::Out => self.put_out_right().await,
            Scene::Theirs => self.put_theirs_right().await,
            Scene::Usual | Scene::Duel => self.put_right().await,
        }
    }

    /// Everything that may go wrong.
    async fn stormily(&mut self, coverage: &mut Coverage) -> Result<(), String> {
        let first = self.acting.len();
        // Off, on again, and ended takes several.
        let more = match self.bounds.scene {
            Scene::Cut => 3,
            Scene::Beside | Scene::Stopped => 1,
            Scene::Usual | Scene::Duel | Scene::Hands | Scene::Shut | Scene::Theirs => 0,
            Scene::Due | Scene::Out => 2,
        };
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
                self.at_rest = true;
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
                    && !matches!(self.bounds.scene, Scene::Due | Scene::Out | Scene::Theirs)
                    && self.takes_another()
                    && self.slots == 1
                    && self.choices.rarely(2, 2) == 1 =>
                {
                    self.somebody_makes_a_key();
                }
                8 if self.bounds.scene == Scene::Hands => self.somebody_acts().await,
                8 if self.bounds.scene == Scene::Shut => self.somebody_shuts_a_place(),
                8 if self.bounds.scene == Scene::Theirs => self.somebody_puts_theirs_there().await,
                8 if self.bounds.scene == Scene::Stopped => self.somebody_asks_to_stop(first),
                8 if self.is_rough()
                    && self.bounds.scene == Scene::Usual
                    && self.by_hand.is_none() =>
                {
                    self.somebody_writes().await;
                }
                5 if self.time_may_pass() => {
                    let most = match self.bounds.scene {
                        Scene::Cut => 3_700,
                        // What the platform ends by itself dies where nobody runs again in time.
                        Scene::Due if self.way != "grace" => 90_000,
                        _ => 601,
                    };
                    let seconds = [1, 20, 125, most][self.choices.any(4)];
                    self.time_passes(first, seconds).await;
                }
                _ if (happens >= 6 || alive == 0) && left > 0 && alive < self.most => {
                    left -= 1;
                    let slot = if self.slots > 1 { self.choices.any(2) } else { 0 };
                    let doing = match self.bounds.scene {
                        Scene::Cut => self.some_goal_of_a_cut().into(),
                        Scene::Due | Scene::Out | Scene::Theirs => self.something_else(),
                        _ => self.some_goal(slot).into(),
                    };
                    let name = format!("run {}", self.acting.len());
                    self.begin(&name, slot, doing);
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
                    if matches!(done, Some(Ok(_)))
                        && self.acting[now].doing == Doing::Carry(Goal::Reenable)
                    {
                        self.word_was_heard().await;
                    }
                    if matches!(done, Some(Ok(_))) {
                        self.may_be_out(now);
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

    fn some_goal(&mut self, slot: usize) -> Goal {
        let to = self.before[slot] + 1;
        match self.choices.any(6) {
            _ if self.bounds.scene == Scene::Duel => Goal::Rotate { to, at_once: false },
            0..=2 => Goal::Rotate { to, at_once: false },
            3 => Goal::Rotate { to, at_once: true },
            4 if to > 1 => Goal::Retire { at: to - 1 },
            // Where there is one name for whatever is made, and no mark, a call that comes after the end
            // of everything is not told from the one that was ended.
            5 if self.way != "first-only" => Goal::Revoke,
            _ => Goal::Rotate { to, at_once: false },
        }
    }

    fn some_fate(&mut self, call: Call) -> Fate {
        // An ending that nothing waits for goes by what is seen: an unmarked key on a page that is missing
        // is not.
        let blind = call.what == "list keys" && self.timed() && self.revoking.contains(&true);
        let all = fates(self.way, call.what);
        let all = if blind { &all[..3] } else { all };
        if self.faults == 0 {
            return Fate::Done;
        }
        let useless = self.is_rough() && self.bounds.scene == Scene::Usual && call.what == "issue";
        let all = if useless { &[Fate::Done, Fate::Useless] } else { all };
        let once_in = match call.what {
            _ if useless => 1,
            "sign in" if self.is_rough() => 2,
            "sign in" => 4,
            _ => 10,
        };
        let wanted = self.bounds.wanted.filter(|(wanted, _)| *wanted == call);
        let wanted = wanted.and_then(|(_, fate)| all.iter().position(|one| *one == fate));
        let fate = all[self.choices.leaning(once_in, all.len(), wanted)];
        self.faults -= usize::from(fate != Fate::Done);
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
        let index = self.choices.any(places_of(0).len());
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
        let slow = |call: &Call| ["issue", "journal", "disable"].contains(&call.what);
        let told = self.shared.told();
        let waits = self.acting.iter().filter(|one| one.deed.is_some());
        let waits = waits.filter_map(|one| told.waits[one.port.run]);
        // A call that switches one off does not take longer either.
        !(self.timed() || self.bounds.scene == Scene::Cut)
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
        if self.shared.told().reused && !self.hands.touched() {
            return Err("P4: what is dead was called with to make its own successor".to_owned());
        }
        let fake = self.shared.fake.clone();
        let admits = |secret: &Secret| fake.admits(APP, "sync", secret);
        if !self.theirs.iter().all(admits) {
            return Err("P3: a key that a person made was ended".to_owned());
        }
        self.check_straggler().await?;
        self.check_stopped().await?;
        self.stays_out()?;
        let adds = !self.replaces();
        let now = self.clock.now();
        let places = if self.slots > 1 { PLACES.len() } else { places_of(0).len() };
        for (index, path) in PLACES.iter().enumerate().take(places) {
            let version = self.shared.apps.version(path);
            if version != self.places[index].version {
                self.changed(index, path, version, now).await?;
            }
        }
        self.anchor_is_last()?;
        for (index, path) in PLACES.iter().enumerate().take(places) {
            let place = &self.places[index];
            let slot = slot_of(index);
            if !adds || self.revoking[slot] || self.is_cut_short() {
                continue;
            }
            // What a person spoiled is theirs to answer for.
            let works = |secret: &Secret| admits(secret) || self.hands.spoiled(secret);
            if place.secret.as_ref().is_some_and(|secret| !works(secret)) {
                return Err(format!("P1: what {path} holds does not work"));
            }
            let kept = |(secret, until): &(Secret, Timestamp)| now >= *until || works(secret);
            // Where there is no room beside it, what works again takes the place of what was kept.
            let cramped = self.hands.touched() && (self.is_narrow() || self.way == "grace");
            if !self.at_once[slot] && !cramped && !place.earlier.iter().all(kept) {
                return Err(format!("P1: what {path} held is ended within the overlap"));
            }
        }
        // As many as the platform stands from one, where nobody else signs in.
        let alone = self.most == 1 && !self.hands.touched();
        if alone && self.shared.told().most_refused > 2 {
            return Err("P10: more refused sign-ins than the platform stands".to_owned());
        }
        Ok(())
    }

    /// What the anchor says is current is everywhere: whoever comes next goes by the anchor.
    fn anchor_is_last(&self) -> Result<(), String> {
        let [anchor, other, _] = &self.places;
        let behind = anchor.generation > other.generation;
        let theirs = self.bounds.scene == Scene::Theirs && !self.theirs.is_empty();
        let wrote = self.by_hand.is_some() || theirs;
        if behind && !wrote && !self.hands.touched() && !self.revoking[0] {
            return Err("P5: the anchor is promoted before the others".to_owned());
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
        place.generation = says["gen"].as_u64().filter(|_| secret.is_some()).unwrap_or_default();
        if place.secret == secret {
            return Ok(());
        }
        let before = std::mem::replace(&mut place.secret, secret);
        let kept = self.refresh.map_or(OVERLAP, |refresh| refresh.max(OVERLAP));
        let until = now + jiff::SignedDuration::from_secs(kept.as_signed_secs());
        place.earlier.extend(before.map(|before| (before, until)));
        let Some(secret) = &self.places[index].secret else { return Ok(()) };
        if self.way.starts_with("replace-") {
            return Ok(());
        }
        // The next one of that name is not told from one that somebody ended.
        let renamed = self.way == "first-only" && self.hands.touched();
        if !renamed && !self.shared.told().signed_in.contains(secret.expose()) {
            return Err(format!("P5: what {path} holds was never tried"));
        }
        let (generation, key) = (says["gen"].as_u64(), says["key"].as_str());
        if let (Some(generation), Some(key)) = (generation, key) {
            let first =
                self.promoted.entry((slot_of(index), generation)).or_insert_with(|| key.to_owned());
            if first != key && !self.hands.touched() && !self.taken {
                return Err(format!("P6: two keys of generation {generation} are promoted"));
            }
        }
        Ok(())
    }

    /// When nobody is waited for any more who holds an earlier one.
    fn until_over(&self) -> Duration {
        Duration::from_secs(self.refresh.map_or(90_000, |refresh| refresh.as_secs() + 1_000))
    }

    /// When nobody is at work: one more, without faults, and then once more when all overlaps are over.
    async fn put_right(&mut self) -> Result<(), String> {
        say!(self, "-- at rest");
        tokio::time::advance(Duration::from_secs(1_000)).await;
        let to = self.before[0] + 1;
        let goal = match self.revoking[0] {
            true => Goal::Revoke,
            false => Goal::Rotate { to, at_once: false },
        };
        let mut done = self.calmly("later", 0, goal).await?;
        if done.as_ref().is_err_and(|problem| problem.code == "E-OLD-IN-USE") {
            tokio::time::advance(self.until_over()).await;
            done = self.calmly("when the overlap is over", 0, goal).await?;
        }
        // Another one is made when the platform has ended the old one.
        if self.way == "grace" && done.as_ref().is_err_and(|problem| problem.code == "E-VERIFY") {
            self.told_of_end = true;
            tokio::time::advance(Duration::from_secs(200_000)).await;
            done = self.calmly("when the old one has ended", 0, goal).await?;
        }
        let theirs = self.bounds.scene == Scene::Theirs;
        if (self.is_rough() || theirs)
            && done.as_ref().is_err_and(|problem| problem.code == "E-SINK-CHANGED")
        {
            done = self.calmly("who has seen that", 0, goal).await?;
        }
        if done.as_ref().is_err_and(|problem| problem.code == LOCKED_OUT) {
            done = self.let_in(to).await?;
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
            Err(problem)
                if (self.by_hand.is_some() || theirs && human)
                    && problem.code == "E-SINK-OCCUPIED" =>
            {
                return Ok(());
            }
            Err(problem) => {
                return Err(format!(
                    "P7: the run after it stops: {}: {}",
                    problem.code, problem.detail
                ));
            }
        };
        if self.revoking[0] {
            return self.nothing_else(&BTreeSet::new()).await;
        }
        self.works(0)?;
        let mut named: BTreeSet<String> =
            outcome.previous.iter().map(|one| one.key_id.clone()).collect();
        named.extend(outcome.key_id.clone());
        self.nothing_else(&named).await?;
        tokio::time::advance(self.until_over()).await;
        let retire = Goal::Retire { at: outcome.generation };
        let done = self.calmly("retires", 0, retire).await?;
        let outcome =
            done.map_err(|problem| format!("P7: nothing is retired: {}", problem.code))?;
        self.works(0)?;
        self.nothing_else(&outcome.key_id.into_iter().collect()).await
    }

    /// What replaces itself is dead, and a person was asked: once more, now that they have seen it, and
    /// then the parent makes a first one, if it is true that nothing works that anybody has.
    async fn let_in(&mut self, to: u64) -> Result<Result<Outcome, Problem>, String> {
        let again = self.calmly("who was asked", 0, Goal::Rotate { to, at_once: false }).await?;
        if again.as_ref().err().is_none_or(|problem| problem.code != LOCKED_OUT) {
            return Ok(again);
        }
        let works = |secret: &Secret| self.shared.fake.admits(APP, "sync", secret);
        if self.places[0].secret.as_ref().is_some_and(works) {
            return Err("P7: what is delivered works, and a person is asked".to_owned());
        }
        say!(self, "a person has it made anew");
        self.revoking[0] = true;
        self.calmly("a person ends it", 0, Goal::Revoke)
            .await?
            .map_err(|problem| format!("P7: it cannot be ended: {}", problem.code))?;
        self.revoking[0] = false;
        // The next generation may have been called for already.
        let goal = Goal::Rotate { to: to + 1, at_once: false };
        self.calmly("by its parent", 0, goal).await
    }

    fn works(&self, slot: usize) -> Result<(), String> {
        for index in places_of(slot) {
            let (place, path) = (&self.places[index], PLACES[index]);
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
        let object = object();
        for secret in &self.theirs {
            let found = port.shared.fake.find(&object, "", secret).await.ok().flatten();
            theirs.extend(found.map(|one| one.key_id));
        }
        let listing =
            self.shared.fake.credentials(&object).await.map_err(|error| error.to_string())?;
        for one in listing.credentials.iter().filter(|one| one.stands()) {
            // With a person's key beside it, or another slot that was left, what an unanswered call made is
            // nobody's: it is left to them.
            let beside = !theirs.is_empty() || self.slots > 1;
            if self.revoking.contains(&true) && self.is_narrow() && beside {
                continue;
            }
            let known = [named, &theirs].iter().any(|all| all.contains(&one.key_id));
            if !known && !self.hands.unmarked(&one.key_id) {
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

fn slot_id(slot: usize) -> CredentialId {
    let integration = IntegrationId::new("fake", APP, "sync");
    CredentialId { integration, name: SLOTS[slot].to_owned() }
}

fn places_of(slot: usize) -> std::ops::Range<usize> {
    if slot == 0 { 0..2 } else { 2..3 }
}

fn slot_of(place: usize) -> usize {
    usize::from(place > 1)
}

/// The integration of every story.
pub(crate) fn object() -> connector::ObjectRef {
    connector::ObjectRef {
        kind: APP.into(),
        key: "sync".into(),
        vendor_id: None,
        name: "sync".into(),
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
    /// With what runs stopped, and how many.
    pub codes: BTreeMap<&'static str, u64>,
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
        Teller { runtime, coverage: Coverage::new(), deeds: 0, codes: BTreeMap::new() }
    }

    /// One story.
    pub fn tell(&mut self, choices: Choices, bounds: &Bounds) -> Told {
        self.told(choices, bounds, false)
    }

    /// The same in words.
    pub fn aloud(&mut self, choices: Choices, bounds: &Bounds) -> Told {
        self.told(choices, bounds, true)
    }

    fn told(&mut self, choices: Choices, bounds: &Bounds, aloud: bool) -> Told {
        let told = self.runtime.block_on(tell(choices, bounds, &mut self.coverage, aloud));
        self.deeds += told.deeds;
        for (code, times) in &told.codes {
            *self.codes.entry(code).or_default() += times;
        }
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
        Err(Box::new(self.aloud(Choices::of(small), bounds)))
    }
}
