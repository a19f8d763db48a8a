//! What all processes share: platforms, sinks, people, time, and what is true of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    future::pending,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
};

use connector::{Clock, Clocks, Member, clock::Said, fake::Fake};
use jiff::{SignedDuration, Timestamp};
use secrets::MemorySink;
use tokio::sync::Notify;

use super::Lapse;
use crate::ports::{Fate, StoryClock};

/// Custody, consumers' places, and the directory, beside the platforms.
pub(super) const VAULT: &str = "vault";
pub(super) const APPS: &str = "apps";
pub(super) const PEOPLE: &str = "people";

/// Everything that outlives a run.
pub(super) struct Earth {
    pub(super) clock: Arc<StoryClock>,
    /// Each platform by the connection that leads there.
    pub(super) platforms: BTreeMap<&'static str, Fake>,
    pub(super) vault: Arc<MemorySink>,
    pub(super) apps: Arc<MemorySink>,
    /// What somebody forgot.
    pub(super) lapse: Option<Lapse>,
    facts: Mutex<Facts>,
}

/// What is true, and what nobody asks a platform for.
#[derive(Default)]
pub(super) struct Facts {
    /// Connections that do not answer now.
    pub(super) down: BTreeSet<&'static str>,
    pub(super) people: BTreeMap<String, Member>,
    /// Since when what is switched off is so.
    pub(super) off: BTreeMap<String, Timestamp>,
    /// Keys that a person made.
    pub(super) theirs: BTreeSet<String>,
    /// Who called for a key of which generation of which slot, that was made: who it was, and when.
    pub(super) issued: BTreeMap<(String, u64), Vec<(String, Timestamp)>>,
    /// Who answers for each integration.
    pub(super) owners: BTreeMap<String, String>,
    /// How long an owner may be gone.
    pub(super) grace: SignedDuration,
    /// Promises that were broken in a call.
    pub(super) broken: Vec<String>,
}

impl fmt::Debug for Earth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Earth")
    }
}

impl Earth {
    pub(super) fn new(
        clock: Arc<StoryClock>,
        platforms: BTreeMap<&'static str, Fake>,
        lapse: Option<Lapse>,
    ) -> Earth {
        let sink = || {
            let clock = clock.clone();
            Arc::new(MemorySink::with_clock(move || clock.now()))
        };
        let (vault, apps, facts) = (sink(), sink(), Mutex::default());
        Earth { vault, apps, clock, platforms, lapse, facts }
    }

    pub(super) fn facts(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn has(&self, lapse: Lapse) -> bool {
        self.lapse == Some(lapse)
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A promise is broken.
    pub(super) fn breaks(&self, what: String) {
        self.facts().broken.push(what);
    }
}

/// A machine's clock that somebody has set wrong.
#[derive(Debug)]
struct Wrong {
    right: Arc<StoryClock>,
    by: SignedDuration,
}

impl Clock for Wrong {
    fn now(&self) -> Timestamp {
        self.right.now() + self.by
    }
}

/// What a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// It works between applies.
    Tick,
    /// Somebody applies.
    Apply,
    /// It only looks.
    Look,
}

/// One run of one process, and what goes wrong with its calls.
pub(super) struct Runner {
    pub(super) name: String,
    pub(super) role: Role,
    pub(super) began: Timestamp,
    pub(super) clock: Arc<Clocks>,
    /// Its clock is wrong by so much.
    pub(super) skew: SignedDuration,
    plan: Mutex<BTreeMap<u32, Fate>>,
    calls: AtomicU32,
    dead: AtomicBool,
    died: Notify,
    dice: AtomicU64,
    /// Where calls went wrong, and how.
    met: Mutex<Vec<(&'static str, Fate)>>,
}

impl fmt::Debug for Runner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Runner {}", self.name)
    }
}

impl Runner {
    pub(super) fn new(
        earth: &Earth,
        name: String,
        role: Role,
        skew: SignedDuration,
        plan: BTreeMap<u32, Fate>,
        dice: u64,
    ) -> Arc<Runner> {
        let ours = Wrong { right: earth.clock.clone(), by: skew };
        Arc::new(Runner {
            name,
            role,
            began: earth.now(),
            clock: Arc::new(Clocks::new(Arc::new(ours))),
            skew,
            plan: Mutex::new(plan),
            calls: AtomicU32::new(0),
            dead: AtomicBool::new(false),
            died: Notify::new(),
            dice: AtomicU64::new(dice | 1),
            met: Mutex::default(),
        })
    }

    /// When it is dead.
    pub(super) async fn died(&self) {
        self.died.notified().await;
    }

    pub(super) fn is_dead(&self) -> bool {
        self.dead.load(Ordering::SeqCst)
    }

    /// Where calls went wrong, and how.
    pub(super) fn met(&self) -> Vec<(&'static str, Fate)> {
        self.met.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn note(&self, place: &'static str, fate: Fate) {
        self.met.lock().unwrap_or_else(PoisonError::into_inner).push((place, fate));
    }

    /// Before each call others may go first, by lot.
    async fn lets_others(&self) {
        let roll = self.dice.load(Ordering::SeqCst);
        let roll = roll ^ (roll << 13);
        let roll = roll ^ (roll >> 7);
        let roll = roll ^ (roll << 17);
        self.dice.store(roll, Ordering::SeqCst);
        for _ in 0..roll % 4 {
            tokio::task::yield_now().await;
        }
    }

    /// How the next call, to that connection, ends.
    pub(super) async fn turn(&self, earth: &Earth, place: &'static str) -> Fate {
        self.lets_others().await;
        if self.is_dead() {
            return pending().await;
        }
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        if earth.facts().down.contains(place) {
            self.note(place, Fate::NotSent);
            return Fate::NotSent;
        }
        let fate = self.plan.lock().unwrap_or_else(PoisonError::into_inner).remove(&call);
        let fate = fate.unwrap_or(Fate::Done);
        // Whoever has a part to leave out says so.
        if !matches!(fate, Fate::Done | Fate::NotKept) {
            self.note(place, fate);
        }
        if fate == Fate::DiesBefore {
            self.die().await
        }
        let heard = !matches!(fate, Fate::NotSent | Fate::RequestLost | Fate::AnswerLost);
        if heard && !earth.has(Lapse::NobodyHearsOtherClocks) {
            let (asked, from) = (self.clock.now(), earth.now());
            let until = from + SignedDuration::from_secs(1);
            self.clock.saw(place, Said { asked, answered: asked, from, until });
        }
        fate
    }

    pub(super) async fn die(&self) -> ! {
        self.dead.store(true, Ordering::SeqCst);
        self.died.notify_one();
        pending().await
    }
}
