//! Months of what works between applies: its ticks, unmodified, over platforms in memory, while platforms and
//! sinks are away, calls fail, processes die and are several at once, somebody sets a clock wrong, people
//! change things by hand, leave and come back, and somebody applies now and then.
//!
//! What is promised is asked of the world itself, and of no look of ours: that nobody who reads their place
//! in time is locked out, that what is due is rotated and what is over has ended by their deadlines where
//! platforms answer, that nothing is done twice or gives power that nobody gave, and that no look says clean
//! where something is wrong or was not read.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    sync::Arc,
    time::Duration,
};

use connector::{
    Connector, Member, NewIntegration, ObjectRef, Want,
    fake::{self, APP, Fake},
};
use domain::{OwnerRef, Realm, RealmKey, Record, Scope, Secret, Settings, Span};
use jiff::{SignedDuration, Timestamp};
use ledger::{Ledger, MemoryLedger, NullLedger};
use operations::{
    Asked, Context, Custody, Delivery, Next, Problem, RulesGate, Run, Taken, Tick, Wish,
    WishedOwner, WishedScopes, WishedSlot, Wishes, another, carry_out, declared_slot, judge_all,
    meet, observe_slot,
};
use policy::{
    Rules, Schedule,
    findings::Condition,
    rotation::Goal,
    rules::Unattended,
    scopes::Enforcement,
    status::{Consequence, consequence, reason_of},
};
use secrets::{Document, Expect, Sink};
use tokio::{task::JoinSet, time::timeout};

use crate::{
    choices::Choices,
    ports::{Fate, StoryClock},
};

const REALM: &str = "k3x9q2";
const HOUR: SignedDuration = SignedDuration::from_hours(1);
const EVERY: Span = Span::from_secs(14 * 86_400);
const OVERLAP: Span = Span::from_secs(2 * 86_400);
const OWNER_GRACE: Span = Span::from_secs(7 * 86_400);
/// Nobody's run takes longer.
const LONGEST_RUN: Duration = Duration::from_secs(20 * 3_600);

/// The platforms: by which connection, and how they issue.
pub(crate) const PLATFORMS: [(&str, &str); 4] = [
    ("marked", "add-marked"),
    ("narrow", "add-unmarked"),
    ("once", "replace-once"),
    ("ours", "add-ours"),
];

/// The integrations: at which platform, and their names.
const UNITS: [(&str, &str); 5] = [
    ("marked", "orders"),
    ("marked", "sync"),
    ("narrow", "stock"),
    ("once", "shop"),
    ("ours", "bills"),
];

/// What may happen in a life.
#[derive(Debug, Clone, Copy)]
pub struct Life {
    /// So many days.
    pub days: u32,
    /// Calls fail, processes die, platforms are away, clocks are wrong.
    pub faults: bool,
    /// People change things by hand, leave and come back.
    pub hands: bool,
    /// What somebody forgot.
    pub lapse: Option<Lapse>,
}

impl Life {
    /// A whole one.
    pub const fn of(days: u32) -> Life {
        Life { days, faults: true, hands: true, lapse: None }
    }

    /// The one that a seed has: long ones and short ones, and some in which only machines do wrong, or
    /// people, or nobody.
    pub const fn of_seed(seed: u64) -> Life {
        let days = match seed % 4 {
            1 => 60,
            3 => 200,
            _ => 100,
        };
        Life { faults: seed % 7 != 3, hands: seed % 5 != 4, ..Life::of(days) }
    }
}

/// What a life came to.
#[derive(Debug, Default)]
pub struct Lived {
    /// The promise that was broken.
    pub broken: Option<String>,
    /// What happened, in words, where it was told aloud.
    pub words: String,
    /// How often what happened.
    pub met: BTreeMap<&'static str, u64>,
}

/// Words cost more than many an event.
macro_rules! say {
    ($life:expr, $($words:tt)*) => {
        if $life.aloud {
            let day = $life.day();
            let _ = writeln!($life.words, "{day} {}", format_args!($($words)*));
        }
    };
}

mod earth;
mod eyes;
mod hands;
mod lapse;
mod promises;

use earth::{APPS, Earth, PEOPLE, Role, Runner, VAULT};
use eyes::Eyes;
pub use lapse::{LAPSES, Lapse};

/// One who reads a place now and then, and holds what stood there.
struct Consumer {
    /// What they hold, once they have read it.
    holds: Option<Secret>,
    /// When they read next.
    reads_at: Timestamp,
}

/// One integration, as the story knows it.
struct Unit {
    place: &'static str,
    key: &'static str,
    way: &'static str,
    vendor_id: String,
    owner: &'static str,
    declared: BTreeSet<String>,
    temporary: Option<(String, Timestamp)>,
    consumers: Vec<Consumer>,
    /// The last moment at which something was in the way.
    hindered: Timestamp,
    /// What a person spoiled is theirs to answer for.
    spoiled: BTreeSet<String>,
    /// A person is asked, in these words.
    asks: Option<String>,
    /// When a key was last made, of which generation, and what a person did since.
    last_made: Option<(Timestamp, u64)>,
    touched: bool,
}

impl Unit {
    fn id(&self) -> String {
        format!("{}/{APP}/{}", self.place, self.key)
    }

    fn slot(&self) -> String {
        format!("{}/credential/default", self.id())
    }

    fn object(&self) -> ObjectRef {
        let (key, name) = (self.key.to_owned(), self.key.to_owned());
        ObjectRef { kind: APP.into(), key, vendor_id: Some(self.vendor_id.clone()), name }
    }

    fn paths(&self) -> [String; 2] {
        ["a", "b"].map(|one| format!("apps/{}/{}/{one}", self.place, self.key))
    }

    fn replaces(&self) -> bool {
        self.way.starts_with("replace-")
    }
}

/// What a run came to.
enum Came {
    Ticked {
        steps: Vec<(String, Next)>,
        unread: Vec<String>,
        taken: Vec<(String, Taken)>,
    },
    Applied(Vec<(String, Option<Problem>)>),
    /// Findings that count, each with its rule; what was not read.
    Looked(Vec<(String, &'static str)>, Vec<String>),
    Died,
    Endless,
}

struct Story {
    choices: Choices,
    life: Life,
    earth: Arc<Earth>,
    ledgers: Vec<Arc<dyn Ledger>>,
    processes: usize,
    interval: SignedDuration,
    units: Vec<Unit>,
    /// When each place that is away comes back.
    back: BTreeMap<&'static str, Timestamp>,
    begun: Timestamp,
    runs: u64,
    met: BTreeMap<&'static str, u64>,
    aloud: bool,
    words: String,
}

/// Lives one life. To be awaited on a runtime of one thread whose time stands still.
pub async fn live(seed: u64, life: Life, aloud: bool) -> Lived {
    let mut story = Story::new(Choices::of_seed(seed), life).await;
    story.aloud = aloud;
    let broken = story.whole().await.err();
    Lived { broken, words: std::mem::take(&mut story.words), met: story.met }
}

/// The same on a runtime of its own.
///
/// # Panics
///
/// There is no runtime to be had.
pub fn lived(seed: u64, life: Life, aloud: bool) -> Lived {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_time().start_paused(true).build();
    let runtime = runtime.expect("a runtime of one thread can be had");
    runtime.block_on(live(seed, life, aloud))
}

impl Story {
    async fn new(mut choices: Choices, life: Life) -> Story {
        let clock = Arc::new(StoryClock::new());
        let platforms = PLATFORMS.map(|(name, way)| {
            let fake = Fake::new(clock.clone());
            fake.set_tenant(name);
            fake.promise_only(way);
            (name, fake)
        });
        let earth = Earth::new(clock, platforms.into_iter().collect(), life.lapse);
        let begun = earth.now();
        let owners = ["alice", "ben", "cleo"];
        let mut units = Vec::new();
        for (at, (place, key)) in UNITS.into_iter().enumerate() {
            let owner = owners[at % owners.len()];
            let technical_owner = Some(OwnerRef { id: format!("owner/{owner}"), email: None });
            let new = NewIntegration {
                kind: APP.into(),
                name: key.into(),
                settings: Settings::default(),
                record: Record { technical_owner, ..Record::default() },
            };
            let made = earth.platforms[place].create(&new).await;
            let made = made.expect("an empty platform makes an integration");
            let way = PLATFORMS.iter().find(|(name, _)| *name == place).map_or("", |(_, way)| way);
            let declared = ["orders:read", "orders:write"].map(str::to_owned);
            let fake = &earth.platforms[place];
            fake.by_hand(APP, key, |hand| declared.iter().for_each(|one| hand.grant(one)));
            let unit = Unit {
                place,
                key,
                way,
                vendor_id: made.vendor_id,
                owner,
                declared: declared.into(),
                temporary: None,
                consumers: (0..4).map(|_| Consumer { holds: None, reads_at: begun }).collect(),
                hindered: begun,
                spoiled: BTreeSet::new(),
                asks: None,
                last_made: None,
                touched: false,
            };
            let mut facts = earth.facts();
            facts.owners.insert(unit.id(), format!("owner/{}", unit.owner));
            facts.grace = SignedDuration::from_secs(OWNER_GRACE.as_signed_secs());
            drop(facts);
            units.push(unit);
        }
        for owner in owners {
            let member = Member {
                id: owner.to_owned(),
                kind: None,
                active: true,
                department: None,
                email: None,
                display_name: None,
                changed_at: None,
            };
            earth.facts().people.insert(format!("owner/{owner}"), member);
        }
        let processes = 1 + choices.any(3);
        let shared: Arc<dyn Ledger> = Arc::new(MemoryLedger::by_clock(simulated));
        // Their own ledgers, or none, do as well: they meet in custody.
        let ledgers: Vec<Arc<dyn Ledger>> = match choices.any(3) {
            0 => (0..processes).map(|_| shared.clone()).collect(),
            1 => (0..processes)
                .map(|_| Arc::new(MemoryLedger::by_clock(simulated)) as Arc<dyn Ledger>)
                .collect(),
            _ => (0..processes).map(|_| Arc::new(NullLedger) as Arc<dyn Ledger>).collect(),
        };
        let interval = [6, 3, 12][choices.any(3)];
        Story {
            choices,
            life,
            earth: Arc::new(earth),
            ledgers,
            processes,
            interval: SignedDuration::from_hours(interval),
            units,
            back: BTreeMap::new(),
            begun,
            runs: 0,
            met: BTreeMap::new(),
            aloud: true,
            words: String::new(),
        }
    }

    fn now(&self) -> Timestamp {
        self.earth.now()
    }

    /// When, from the beginning on.
    fn day(&self) -> String {
        let passed = self.now().duration_since(self.begun).as_secs();
        format!("day {:3} {:02}:{:02}", passed / 86_400, passed / 3_600 % 24, passed / 60 % 60)
    }

    fn count(&mut self, what: &'static str) {
        *self.met.entry(what).or_default() += 1;
    }

    /// So long after nothing was in the way any more what is promised is so: three ticks, what was put off
    /// for an hour at most, and whoever died is waited for by nobody.
    fn grace(&self) -> SignedDuration {
        self.interval * 3 + HOUR * 2
    }

    fn schedule(&self) -> Schedule {
        let overlap = if self.earth.has(Lapse::NoOverlapIsKept) { Span::ZERO } else { OVERLAP };
        Schedule { overlap, ..Schedule::every("fortnightly", EVERY) }
    }

    fn wish(&self, unit: &Unit) -> Wish {
        let deliver = |path: &String| Delivery {
            name: path.rsplit('/').next().unwrap_or(path).to_owned(),
            connection: APPS.into(),
            path: path.clone(),
            fields: BTreeMap::new(),
            merge: false,
        };
        let owner = format!("owner/{}", unit.owner);
        let temporary = unit.temporary.iter();
        Wish {
            id: unit.id(),
            vendor_id: Some(unit.vendor_id.clone()),
            record: Some(BTreeMap::from([("technical_owner.id".to_owned(), owner)])),
            settings: None,
            enabled: Some(true),
            revoke_unmanaged: false,
            scopes: Some(WishedScopes {
                standing: unit.declared.clone(),
                temporary: temporary.map(|(scope, at)| (scope.clone(), Some(*at))).collect(),
                on_request: BTreeMap::new(),
                enforcement: Enforcement::Exact,
                classify: BTreeMap::new(),
            }),
            slots: vec![WishedSlot {
                name: "default".into(),
                schedule: Some(self.schedule()),
                deliveries: unit.paths().iter().map(deliver).collect(),
                settings: Some(serde_json::json!({})),
                ..WishedSlot::default()
            }],
            pieced_together: false,
            ties: Default::default(),
        }
    }

    fn wishes(&self) -> Wishes {
        let integrations = self.units.iter().map(|unit| (unit.id(), self.wish(unit))).collect();
        let people: Vec<String> = self.earth.facts().people.keys().cloned().collect();
        let owners = people.into_iter().map(|id| {
            let entry = (PEOPLE.to_owned(), id.clone());
            let (department, inactive_since) = (None, None);
            (id.clone(), WishedOwner { id, entry, department, inactive_since })
        });
        let owners = owners.collect();
        let heard_of = self.units.iter().map(Unit::id).collect();
        Wishes { integrations, owners, heard_of, ..Wishes::default() }
    }

    fn rules(&self) -> Rules {
        let standing = Unattended {
            disable_ownerless: true,
            rotate: !self.earth.has(Lapse::NobodyRotates),
            retire: !self.earth.has(Lapse::NobodyRetires),
            remove_temporary: !self.earth.has(Lapse::WhatIsTemporaryStays),
            ..Unattended::default()
        };
        let rules = Rules { standing, owner_grace: OWNER_GRACE, ..Rules::default() };
        match self.earth.has(Lapse::ClaimsExcludeNobody) {
            true => Rules {
                claim_ttl: Span::ZERO,
                claim_ttl_timed: Span::ZERO,
                settle: Span::ZERO,
                ..rules
            },
            false => rules,
        }
    }

    fn context(&self, process: usize, run: &Arc<Runner>) -> Context {
        let key = RealmKey::new(&Secret::new("k".repeat(40)));
        Context {
            connections: Arc::new(Eyes { earth: self.earth.clone(), run: run.clone() }),
            realm: Some(Arc::new(Realm { id: REALM.into(), key })),
            custody: Some(Custody::new(VAULT, "nhi")),
            rules: Arc::new(self.rules()),
            ledger: self.ledgers[process].clone(),
            clock: run.clock.clone(),
            run: Run {
                program: "months".into(),
                id: run.name.clone(),
                trigger: if run.role == Role::Apply { "apply" } else { "serve" }.into(),
                ..Run::default()
            },
            gate: Arc::new(RulesGate),
            read_only: run.role == Role::Look,
            notices: Default::default(),
            turns: Default::default(),
            claims: Default::default(),
            stop: Default::default(),
            under: Default::default(),
            signals: Default::default(),
        }
    }

    /// A run of a process, with what will go wrong in it.
    fn runner(&mut self, role: Role) -> Arc<Runner> {
        self.runs += 1;
        let word = match role {
            Role::Tick => "tick",
            Role::Apply => "apply",
            Role::Look => "look",
        };
        let name = format!("{word}-{:05}", self.runs);
        let (mut plan, mut skew) = (BTreeMap::new(), SignedDuration::ZERO);
        if self.life.faults {
            let many = [0, 1, 2, 4][self.choices.rarely(5, 4)];
            for _ in 0..many {
                const FATES: [Fate; 6] = [
                    Fate::NotSent,
                    Fate::RequestLost,
                    Fate::AnswerLost,
                    Fate::DiesBefore,
                    Fate::DiesAfter,
                    Fate::NotKept,
                ];
                // What a tick with nothing to do asks for is half of this.
                let at = u32::try_from(self.choices.any(120)).unwrap_or_default();
                plan.insert(at, FATES[self.choices.any(FATES.len())]);
            }
            let hours = [0, 1, 30, 72, -1, -30, -72][self.choices.rarely(40, 7)];
            skew = SignedDuration::from_hours(hours);
        }
        let dice = self.choices.any(60_000) as u64 * 0x9e37_79b9;
        let run = Runner::new(&self.earth, name, role, skew, plan, dice);
        if !skew.is_zero() {
            self.count("clocks that are wrong");
            say!(self, "the clock of {} is wrong by {skew:#}", run.name);
        }
        run
    }

    async fn whole(&mut self) -> Result<(), String> {
        self.first_keys().await?;
        let days = i64::from(self.life.days);
        let end = self.begun + HOUR * 24 * i32::try_from(days).unwrap_or(i32::MAX);
        // In the last days nothing happens: then all of it has to be right.
        let calm = end - self.grace() * 3 - HOUR * 24 * 4;
        while self.now() < end {
            self.time_passes().await?;
            if self.now() < calm {
                self.something_happens().await;
            } else {
                self.all_comes_back();
            }
            self.everybody_runs(self.now() < calm).await?;
            self.promises_hold().await?;
        }
        self.all_is_well().await
    }

    /// Somebody has applied once, before anything else.
    async fn first_keys(&mut self) -> Result<(), String> {
        let run = Runner::new(
            &self.earth,
            "apply-first".into(),
            Role::Apply,
            SignedDuration::ZERO,
            BTreeMap::new(),
            1,
        );
        let context = self.context(0, &run);
        for unit in &self.units {
            let spec = declared_slot(&context, &self.wish(unit), "default").await;
            let goal = Goal::Rotate { to: 1, at_once: false };
            let made = match &spec {
                Ok(spec) => carry_out(&context, spec, goal, "schedule").await.map(drop),
                Err(problem) => Err(problem.clone()),
            };
            made.map_err(|problem| format!("{}: the first key: {problem:?}", unit.id()))?;
        }
        Ok(())
    }

    /// Until the next tick; whoever reads their place does so on time, and uses what they hold.
    async fn time_passes(&mut self) -> Result<(), String> {
        let jitter = i64::try_from(self.choices.any(30)).unwrap_or_default();
        let until = self.now() + self.interval + SignedDuration::from_mins(jitter);
        while self.now() < until {
            let next = self.units.iter().flat_map(|unit| &unit.consumers);
            let next = next.map(|one| one.reads_at).min().unwrap_or(until).min(until);
            let wait = next.duration_since(self.now()).max(SignedDuration::from_secs(1));
            tokio::time::advance(wait.unsigned_abs()).await;
            self.consumers_read().await?;
        }
        Ok(())
    }

    /// All runs of this moment, at once.
    async fn everybody_runs(&mut self, may_fail: bool) -> Result<(), String> {
        let faults = self.life.faults;
        self.life.faults &= may_fail;
        let mut who: Vec<(usize, Arc<Runner>)> =
            (0..self.processes).map(|one| (one, self.runner(Role::Tick))).collect();
        // A process sleeps over it now and then.
        if who.len() > 1 && self.choices.rarely(4, 2) == 1 {
            who.pop();
        }
        if self.choices.rarely(8, 2) == 1 {
            who.push((0, self.runner(Role::Apply)));
        }
        if self.choices.rarely(3, 2) == 1 {
            who.push((0, self.runner(Role::Look)));
        }
        self.life.faults = faults;
        // What one is asked to see is so before the others begin.
        let wrong = self.what_is_wrong().await;
        let alone = who.iter().all(|(_, run)| run.role == Role::Look) || who.len() == 1;
        let mut running = JoinSet::new();
        for (process, run) in who {
            let (context, wishes) = (self.context(process, &run), self.wishes());
            running.spawn(async move {
                let whole = timeout(LONGEST_RUN, one_run(context, wishes, run.clone()));
                let came = tokio::select! {
                    biased;
                    () = run.died() => Came::Died,
                    came = whole => came.unwrap_or(Came::Endless),
                };
                (run, came)
            });
        }
        let mut ended = Vec::new();
        while let Some(one) = running.join_next().await {
            ended.push(one.map_err(|error| format!("P7: a run broke off: {error}"))?);
        }
        // A look at what others are changing sees what was, or what is.
        let wrong = if alone { wrong } else { &wrong & &self.what_is_wrong().await };
        for (run, came) in ended {
            self.hears(&run, came, &wrong)?;
        }
        self.earth.platforms.values().for_each(|fake| drop(fake.calls()));
        Ok(())
    }
}

/// What one run does, whole.
async fn one_run(context: Context, wishes: Wishes, run: Arc<Runner>) -> Came {
    match run.role {
        Role::Tick => {
            let tick = Tick::begin(&context, Asked::default()).await;
            let looked = tick.look(wishes, |_, _| ()).await;
            let mut taken = Vec::new();
            tick.take_all(&looked.steps, |_, step, came| {
                if matches!(step.next, Next::Do(..)) {
                    taken.push((step.subject.clone(), came));
                }
            })
            .await;
            let steps = looked.steps.iter().map(|one| (one.subject.clone(), one.next.clone()));
            let unread = looked.unread.iter().map(|one| one.subject.clone()).collect();
            Came::Ticked { steps: steps.collect(), unread, taken }
        }
        Role::Apply => {
            let mut all = Vec::new();
            for (id, wish) in &wishes.integrations {
                all.push((id.clone(), applied(&context, wish).await.err()));
            }
            Came::Applied(all)
        }
        Role::Look => {
            let all = judge_all(&context, wishes).await;
            let counts = all.findings.iter().filter(|(_, one)| one.condition > Condition::Note);
            let found = counts.map(|(_, one)| (one.subject.clone(), one.rule)).collect();
            Came::Looked(found, all.gaps.into_iter().map(|(subject, _)| subject).collect())
        }
    }
}

/// What an apply does about a slot whose plan was made a moment ago.
async fn applied(context: &Context, wish: &Wish) -> Result<(), Problem> {
    let spec = declared_slot(context, wish, "default").await?;
    let Some(seen) = observe_slot(context, &spec).await? else { return Ok(()) };
    let what = consequence(seen.status);
    match what {
        Consequence::Rotate | Consequence::RotateAtOnce => {
            operations::may_have_more(context, &spec).await?;
            let reason = reason_of(seen.status, what);
            let goal = another(context, &spec, &seen, reason).await?.goal;
            carry_out(context, &spec, goal, reason).await.map(drop)
        }
        Consequence::Copy => {
            let goal = Goal::Rotate { to: seen.generation, at_once: false };
            carry_out(context, &spec, goal, "schedule").await.map(drop)
        }
        _ => meet(context, &spec, true).await.map(drop),
    }
}

/// The clock of leases: it stands still, and jumps when months pass.
fn simulated() -> std::time::Instant {
    tokio::time::Instant::now().into_std()
}
