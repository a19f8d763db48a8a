//! Which step of a rotation comes next: pure, so that it can be searched and replayed.
//!
//! The order is the point. A secret of ours is durable before the platform hears of it; nothing is
//! promoted unverified; nothing is ended before every sink has the new one; and a key is ended only
//! where the claim names it, or where its genuine marker has an epoch that is not newer than ours.
//! Steps are data, so whoever comes next goes on wherever somebody stopped.

use std::collections::{BTreeMap, BTreeSet};

use domain::{
    Now, Span,
    itself::{Unanswered, unanswered},
};
use jiff::{SignedDuration, Timestamp};

use crate::{
    overlap::{Confirmed, Usage, Verdict},
    proof::Proofs,
    schedule::later,
};

/// How far a claim has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Nobody is at work.
    Free,
    /// A key is about to be issued by the platform; its secret is not known yet.
    Intent,
    /// What cannot be told from somebody else's by a mark is being called for.
    Calling,
    /// The secret is in the claim.
    Stored,
    /// The new key is being given up.
    GivingUp,
    /// All sinks have the new one; earlier ones still work. Nobody owns this phase.
    Parked,
    /// Named keys are being switched off, and not yet ended.
    Cutting,
    /// Keys that were switched off are being switched on again: somebody still needs one.
    Enabling,
    /// Named keys are being ended.
    Retiring,
    /// They are ended; it is being shown.
    Proving,
    /// A person must decide.
    Held,
}

impl Phase {
    /// The word in claims.
    pub fn as_str(self) -> &'static str {
        match self {
            Phase::Free => "free",
            Phase::Intent => "intent",
            Phase::Calling => "calling",
            Phase::Stored => "stored",
            Phase::GivingUp => "giving_up",
            Phase::Parked => "parked",
            Phase::Cutting => "cutting",
            Phase::Enabling => "enabling",
            Phase::Retiring => "retiring",
            Phase::Proving => "proving",
            Phase::Held => "held",
        }
    }

    /// Reads the word.
    pub fn from_word(word: &str) -> Option<Phase> {
        [
            Phase::Free,
            Phase::Intent,
            Phase::Calling,
            Phase::Stored,
            Phase::GivingUp,
            Phase::Parked,
            Phase::Cutting,
            Phase::Enabling,
            Phase::Retiring,
            Phase::Proving,
            Phase::Held,
        ]
        .into_iter()
        .find(|phase| phase.as_str() == word)
    }

    /// Whether it is about earlier keys alone: the current one is none of them.
    pub fn is_about_earlier(self) -> bool {
        matches!(self, Phase::Cutting | Phase::Enabling | Phase::Retiring | Phase::Proving)
    }

    /// Whether a deed was begun and is not finished.
    pub fn is_open(self) -> bool {
        !matches!(self, Phase::Free | Phase::Parked)
    }
}

/// What became of an earlier key before it is ended: the soft cut, which can be undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cut {
    /// We switched it off, and watch whether somebody misses it.
    Off {
        /// Since when.
        since: Timestamp,
        /// Until when it is only off.
        until: Timestamp,
    },
    /// Somebody missed it: it is on again, and ends by a person's word.
    Needed {
        /// Since when.
        since: Timestamp,
    },
}

/// When a key ends by itself as it was issued, before its platform was told of an earlier end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum OwnEnd {
    /// Nobody noted it.
    #[default]
    Unknown,
    /// It does not.
    Never,
    /// Then.
    At(Timestamp),
}

impl OwnEnd {
    /// What its platform shows of a key that nobody has told it of.
    pub fn of(ends: Option<Timestamp>) -> OwnEnd {
        ends.map_or(OwnEnd::Never, OwnEnd::At)
    }
}

/// So far a platform's account of an end may differ from what it was told.
const ROUNDED: SignedDuration = SignedDuration::from_secs(1);

fn is_same(one: Timestamp, other: Timestamp) -> bool {
    one.duration_since(other).abs() <= ROUNDED
}

/// The ends that a platform was told of, whatever the terms were then: it shows one of them, or somebody
/// else set another.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Told {
    /// The last one, or the next, of which nobody may have told it yet.
    pub last: Option<Timestamp>,
    /// What it shows where that was never told.
    pub before: Option<Timestamp>,
}

impl Told {
    /// What a platform shows is what it was told.
    pub fn is_shown(self, ends: Option<Timestamp>) -> bool {
        let shows = |told: Option<Timestamp>| told.zip(ends).is_some_and(|(a, b)| is_same(a, b));
        shows(self.last) || shows(self.before)
    }

    /// With the one that is told next, of a key that is shown to end then; `None` where that is noted.
    pub fn and(self, next: Timestamp, ends: Option<Timestamp>) -> Option<Told> {
        if self.last.is_some_and(|last| is_same(last, next)) {
            return None;
        }
        let shown = self.before.filter(|before| ends.is_some_and(|ends| is_same(*before, ends)));
        Some(Told { last: Some(next), before: shown.or(self.last) })
    }

    /// One of them has come.
    pub fn has_come(self, now: Now) -> bool {
        [self.last, self.before].into_iter().flatten().any(|at| now.is_past(at))
    }
}

/// A key that is to end, or to be kept for a while.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Previous {
    /// The vendor's id.
    pub key_id: String,
    /// Its generation; 0 where it carried no marker of ours.
    pub generation: u64,
    /// The epoch in its marker, where one was seen: by it, what was minted from the key is found
    /// when the key itself is listed no more.
    pub epoch: Option<u64>,
    /// Not to be ended before this.
    pub retire_not_before: Option<Timestamp>,
    /// Which version of the anchor's document still holds its secret.
    pub held_version: Option<u64>,
    /// Whether it was switched off before its end.
    pub cut: Option<Cut>,
    /// When it ends by itself as it was issued, noted where its platform can be told otherwise.
    pub own_end: OwnEnd,
    /// Of which ends its platform was told, noted before it is.
    pub told: Told,
}

impl Previous {
    /// One of which nothing more is known: it may be ended at once.
    pub fn new(key_id: impl Into<String>, generation: u64) -> Previous {
        Previous {
            key_id: key_id.into(),
            generation,
            epoch: None,
            retire_not_before: None,
            held_version: None,
            cut: None,
            own_end: OwnEnd::Unknown,
            told: Told::default(),
        }
    }

    /// When it is to end by itself, at the latest. `after`: how long after its overlap; without it, or where
    /// somebody needs it, as it was issued to.
    pub fn wanted_end(&self, after: Option<Span>) -> OwnEnd {
        let limit = after.filter(|_| !self.is_needed()).zip(self.retire_not_before);
        let Some(end) = limit.map(|(after, not_before)| later(not_before, after)) else {
            return self.own_end;
        };
        // What is only switched off is there for its time.
        let end = self.kept_until().map_or(end, |until| until.max(end));
        match self.own_end {
            // A platform that is told something else could not be told that again.
            OwnEnd::Unknown => OwnEnd::Unknown,
            OwnEnd::Never => OwnEnd::At(end),
            OwnEnd::At(own) => OwnEnd::At(end.min(own)),
        }
    }

    /// The same with the end of which its platform is told first, where it can be and was told of none.
    #[must_use]
    pub fn expecting(self, after: Option<Span>) -> Previous {
        let end = match self.wanted_end(after) {
            OwnEnd::At(end) if self.told == Told::default() => Some(end),
            _ => None,
        };
        let told = end.map_or(self.told, |end| Told { last: Some(end), before: None });
        Previous { told, ..self }
    }

    /// Not to be ended before this: its time, and that for which it is only switched off.
    pub fn kept_until(&self) -> Option<Timestamp> {
        match self.cut {
            Some(Cut::Off { until, .. }) => {
                Some(self.retire_not_before.map_or(until, |at| at.max(until)))
            }
            _ => self.retire_not_before,
        }
    }

    /// Somebody missed it when it was switched off.
    pub fn is_needed(&self) -> bool {
        matches!(self.cut, Some(Cut::Needed { .. }))
    }

    /// We switched it off.
    pub fn is_cut(&self) -> bool {
        matches!(self.cut, Some(Cut::Off { .. }))
    }
}

/// A place that does not take the new key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Undelivered {
    /// `<connection>:<path>`.
    pub place: String,
    /// Since when.
    pub since: Timestamp,
}

/// Until when each run tries again before a person is asked: for so long, and while a tenth of what the
/// earlier key had left then is left.
pub fn deliver_until(
    since: Timestamp,
    deliver_by: Span,
    earlier_ends: Option<Timestamp>,
) -> Timestamp {
    let until = later(since, deliver_by);
    let left = earlier_ends.map(|end| end.duration_since(since).as_secs().max(0) / 10 * 9);
    left.and_then(|secs| since.checked_add(SignedDuration::from_secs(secs)).ok())
        .map_or(until, |soon| until.min(soon))
}

/// The non-secret part of a claim.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Claim {
    /// The generation that the slot is at, or is going to.
    pub generation: u64,
    /// Grows with each owner: the fencing token.
    pub epoch: u64,
    /// How far it has come.
    pub phase: Phase,
    /// Who is at work.
    pub owner: String,
    /// How many keys were given up in this deed.
    pub attempt: u32,
    /// Key ids that were there when it was claimed.
    pub known: BTreeSet<String>,
    /// The current key, once there is one.
    pub current: Option<String>,
    /// The epoch in its marker, where one was seen.
    pub current_epoch: Option<u64>,
    /// The new key, once the platform has named it.
    pub new: Option<String>,
    /// The version of each sink's document that a promote replaces; 0 where there is none.
    pub mains: BTreeMap<String, u64>,
    /// When each of those was written, by its sink. Whoever removes a document with its history lets its
    /// versions begin anew: the same number is then another document.
    pub mains_at: BTreeMap<String, Timestamp>,
    /// Keys to keep for a while, or to end.
    pub previous: Vec<Previous>,
    /// Why: `schedule`, `exposed`, ….
    pub reason: String,
    /// What the configuration said that it was begun for, as a digest: whoever is asked for the same
    /// again, by a state that never heard of it, knows it from that.
    pub asked: Option<String>,
    /// What allowed it.
    pub auth: String,
    /// Why it is held.
    pub hold: Option<String>,
    /// Sign-ins that were refused since one worked. A platform that counts them counts those of
    /// earlier runs too.
    pub refused: u32,
    /// When the last of them was refused.
    pub refused_at: Option<Timestamp>,
    /// The slot is being replaced: what would have been ended is kept until its successor works.
    pub parked_for_replace: bool,
    /// Nothing at the platform fences this deed (see [`Way::is_timed`]): only time does.
    pub timed: bool,
    /// When the call began that may be on its way still.
    pub called_at: Option<Timestamp>,
    /// A place that does not take the new key, where one did not when it was last tried.
    pub undelivered: Option<Undelivered>,
    /// What is to be remembered of what was proven before.
    pub proofs: Proofs,
    /// What consumers have said that they hold.
    pub confirmed: Confirmed,
}

/// What the owner of a claim is called that stopped as it was asked to: nobody waits for it.
const STOPPED: &str = "stopped:";

/// The owner's name once it has stopped.
pub fn stopped(owner: &str) -> String {
    match has_stopped(owner) {
        true => owner.to_owned(),
        false => format!("{STOPPED}{owner}"),
    }
}

/// Whether that is the name of one that has stopped.
pub fn has_stopped(owner: &str) -> bool {
    owner.starts_with(STOPPED)
}

impl Claim {
    /// Everything is being ended, and nothing takes its place.
    pub fn ends_all(&self) -> bool {
        matches!(self.phase, Phase::Retiring | Phase::Proving) && self.current.is_none()
    }

    /// What serves is no earlier key. Where a platform has one name for whatever it makes, the
    /// successor of one that went missing bears the name that is noted for it.
    pub fn spare_what_serves(&mut self) {
        let begun = self.phase.is_open() && !self.phase.is_about_earlier();
        // While a successor is made, the current one is what it follows.
        let current = self.current.as_ref().filter(|_| !begun);
        self.previous
            .retain(|one| Some(&one.key_id) != current && Some(&one.key_id) != self.new.as_ref());
    }

    /// Nobody is at work, and the anchor says more than the claim does: that is one of an earlier day. On
    /// which key is current the anchor outranks it.
    pub fn catch_up(&mut self, anchor: &Main) {
        let (Some(generation), Some(key_id)) = (anchor.generation, &anchor.key_id) else { return };
        if self.phase.is_open() || generation <= self.generation {
            return;
        }
        let mut previous = anchor.previous.clone();
        previous.retain(|one| one.key_id != *key_id);
        self.generation = generation;
        self.current = Some(key_id.clone());
        self.current_epoch = Some(anchor.epoch).filter(|_| self.current_epoch.is_some());
        self.phase = if previous.is_empty() { Phase::Free } else { Phase::Parked };
        self.previous = previous;
    }

    /// What a rotation that issued nothing leaves behind: what was there before it, under its epoch.
    ///
    /// Where the current key was gone when it began, earlier ones may be all that works: they stay
    /// named, each with its time, and what is gone is still to be shown.
    pub fn released(&self) -> Claim {
        let current = self.current.as_ref();
        let previous: Vec<Previous> =
            self.previous.iter().filter(|one| Some(&one.key_id) != current).cloned().collect();
        Claim {
            phase: if previous.is_empty() { Phase::Free } else { Phase::Parked },
            generation: self.generation.saturating_sub(1),
            new: None,
            previous,
            known: BTreeSet::new(),
            asked: None,
            called_at: None,
            undelivered: None,
            ..self.clone()
        }
    }
}

/// A sink's document, as seen.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Main {
    /// `<connection>:<path>`.
    pub place: String,
    /// Its version; 0 where there is none.
    pub version: u64,
    /// When its sink wrote that, where it tells.
    pub written_at: Option<Timestamp>,
    /// The generation that it holds; `None` where it holds nothing of ours.
    pub generation: Option<u64>,
    /// The epoch under which that was written; 0 where it holds nothing of ours.
    pub epoch: u64,
    /// The key that it says is current; `None` where it says that nothing is.
    pub key_id: Option<String>,
    /// The earlier keys that it says are kept for a while.
    pub previous: Vec<Previous>,
    /// Something of somebody else is there: `sink-occupied`, `another-slot`, or `foreign-realm` where another
    /// realm's mark stands in it; or `sink-refuses` where it took nothing in this run, or cannot be read
    /// while a new key is to go there.
    pub occupied: Option<&'static str>,
}

/// A key on the platform, as seen.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key {
    /// The vendor's id.
    pub key_id: String,
    /// Generation and epoch of a genuine marker of this very slot.
    pub ours: Option<(u64, u64)>,
    /// It authenticates as far as the listing tells.
    pub live: bool,
    /// It is switched off, and has not ended.
    pub disabled: bool,
    /// When it was made, where the platform tells.
    pub issued_at: Option<Timestamp>,
    /// The platform says that somebody used it.
    pub used: bool,
    /// When it ends by itself, where the platform tells.
    pub ends: Option<Timestamp>,
}

/// What the claims of the integration's other slots say, read after the keys were listed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Siblings {
    /// The keys that they name.
    pub keys: BTreeSet<String>,
    /// Somebody is at work on one of them, and may have a key that it does not name yet.
    pub at_work: bool,
    /// One of them was left like that, or waits for a person.
    pub left: bool,
}

impl Siblings {
    /// Whether a deed that has come so far may have a key that its claim does not name.
    pub fn may_hold_more(phase: Phase) -> bool {
        matches!(phase, Phase::Calling | Phase::Stored | Phase::GivingUp | Phase::Held)
    }
}

/// Everything that a decision rests on. Joined anew after anything but a clean success.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct View {
    /// The present, as far as clocks tell it.
    pub now: Now,
    /// The claim, if there ever was one.
    pub claim: Option<Claim>,
    /// The claim is this runner's.
    pub mine: bool,
    /// Its owner has been silent for too long.
    pub stale: bool,
    /// The sinks' documents, the anchor last.
    pub mains: Vec<Main>,
    /// The keys of the whole integration.
    pub keys: Vec<Key>,
    /// What the integration's other slots say, where [`View::asks_siblings`].
    pub siblings: Siblings,
    /// The key that the caller's own books name as current, with its generation.
    pub known: Option<(String, u64)>,
    /// The slot was held already when this run began: whoever wants a rotation has seen that.
    pub was_held: bool,
    /// The listing of keys is complete.
    pub complete: bool,
    /// One more may live beside those that do.
    pub room: bool,
    /// This process wrote that it calls, and has not called yet.
    pub uncalled: bool,
    /// Whatever was called for has arrived by now, or never will.
    pub settled: bool,
    /// A secret in this process' memory: its key and the epoch under which it was issued.
    pub memory: Option<(String, u64)>,
    /// This very new key was verified by this process under this very epoch.
    pub verified: Option<bool>,
    /// The platform stands one more refused sign-in before one must work.
    pub patience: bool,
    /// It stands none at all now: what works would be locked out with the rest.
    pub exhausted: bool,
    /// Keys whose end the platform accepted in this run.
    pub ended: BTreeSet<String>,
    /// Keys that it switched off in this run, whatever a listing that lags says.
    pub off: BTreeSet<String>,
    /// Keys that it switched on again so short a time ago that a listing may not show it.
    pub on: BTreeSet<String>,
    /// An earlier key is switched off for a while before it ends: the platform can, and it is wanted.
    pub soft_cut: bool,
    /// The platform can be told when a key ends that is there.
    pub moves_expiry: bool,
    /// How long after its overlap an earlier key ends by itself then, at the latest; `None` where it ends as
    /// it was issued to.
    pub limit: Option<Span>,
    /// Keys of whose end the platform was told in this run, and those of which it took no word.
    pub told: BTreeSet<String>,
    /// How long each run tries again to deliver to a place that takes nothing, before a person is asked.
    pub deliver_by: Span,
    /// What is known of the use of earlier keys.
    pub usage: Usage,
    /// Children of ended keys were swept under this epoch by this process.
    pub swept: bool,
    /// The ending was proven, as far as it can be, under this epoch by this process.
    pub proven: bool,
    /// Earlier versions were destroyed under this epoch by this process.
    pub destroyed: bool,
}

impl View {
    /// Something came since a key was called for that no mark explains: a sibling's claim may name it.
    /// Nobody else is asked about, so what goes well costs nothing more.
    pub fn asks_siblings(&self, way: Way) -> bool {
        let Some(claim) = self.claim.as_ref().filter(|_| self.mine && self.settled) else {
            return false;
        };
        let ours = self.memory.as_ref().map(|(key_id, _)| key_id).or(claim.new.as_ref());
        CALLED.contains(&(way, claim.phase))
            && newcomers(self, claim).any(|key| Some(&key.key_id) != ours)
    }
}

/// What is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Goal {
    /// The slot is at this generation.
    Rotate {
        /// The generation.
        to: u64,
        /// Nothing earlier is kept.
        at_once: bool,
    },
    /// Earlier keys whose time is over are ended, at the generation that this was planned at.
    Retire {
        /// The generation.
        at: u64,
    },
    /// Earlier keys whose time is over are switched off, and ended by a later run.
    Cut {
        /// The generation that this was planned at.
        at: u64,
        /// A person says that nobody needs them any more, although somebody did.
        again: bool,
    },
    /// Earlier keys that were switched off work again: somebody still needs one.
    Reenable,
    /// All keys of the slot are ended.
    Revoke,
}

/// How a platform issues, as far as the order of steps depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Way {
    /// The secret is ours and stored first; earlier ones live on.
    AddOurs,
    /// The platform makes it, with our marker in the same call; earlier ones live on.
    AddMarked,
    /// The platform makes it, and nothing tells it from somebody else's; earlier ones live on.
    AddUnmarked,
    /// The secret is ours and stored first, and written into that of two places which is free; the
    /// other one's lives on. Nothing tells whose a secret in a place is.
    Slots,
    /// The platform makes it, one only and unmarked, and shows it to whoever asks again.
    FirstOnly,
    /// The platform makes it; the earlier one works on for a time that the platform sets, and a further
    /// call ends it at once.
    Grace,
    /// The secret is ours and stored first; the earlier one dies in the call.
    ReplaceOurs,
    /// The platform makes it and shows it once; the earlier one dies in the call.
    ReplaceOnce,
    /// The platform makes it and shows it once, called with the very one that dies in the call. Nobody
    /// but its parent can make another when that one is dead and the new one is lost.
    ReplaceSelf {
        /// Whoever calls with a dead one ends all that came of it: none is tried that may be dead.
        punishes_reuse: bool,
    },
}

impl Way {
    /// The secret is ours: it is in custody before the platform hears of it.
    pub fn is_ours(self) -> bool {
        matches!(self, Way::AddOurs | Way::Slots | Way::ReplaceOurs)
    }

    /// The earlier one dies when the new one is made.
    pub fn replaces(self) -> bool {
        matches!(self, Way::ReplaceOurs | Way::ReplaceOnce) || self.is_by_itself()
    }

    /// The call is made with the current one, and with no other credential of ours.
    pub fn is_by_itself(self) -> bool {
        matches!(self, Way::ReplaceSelf { .. })
    }

    /// Nobody makes one beside ours: whatever comes while we are at work is what we called for.
    pub fn is_alone(self) -> bool {
        self.replaces() || self == Way::Grace
    }

    /// A late call of somebody who lost the claim cannot be told from anybody else's, so whoever
    /// comes next waits until none can arrive.
    pub fn is_timed(self) -> bool {
        !matches!(self, Way::AddOurs | Way::AddMarked | Way::FirstOnly)
    }
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Step {
    /// Take the claim for a new generation: the first write of a rotation.
    Begin,
    /// Take over an open claim under a new epoch.
    TakeOver,
    /// Take the claim to end these keys.
    BeginEnding(Vec<Previous>),
    /// Write that a key is called for, with what is there now.
    MarkCalling,
    /// Wait until what was called for has arrived, or never will.
    Settle,
    /// Have a key issued.
    Issue,
    /// Write the new key's id, and its secret where the platform made it, into the claim.
    Store(String),
    /// End a key that was issued for this generation and whose secret is lost.
    EndOrphan(String),
    /// Sign in with what the claim holds, read back.
    Verify,
    /// Write a sink's document.
    Promote(String),
    /// Write into the claim since when a place takes nothing.
    NoteUndelivered(String),
    /// All sinks have it: blank the pending secret, keep the earlier ones for their time.
    Park,
    /// Give the new key up.
    GiveUp,
    /// Write a sink's document once more with the same content, so that a late promote fails.
    Fence(String),
    /// End the new key that is given up.
    EndNew(String),
    /// Begin again under a new epoch.
    BeginAgain,
    /// Take the claim to switch these keys off.
    BeginCut(Vec<Previous>),
    /// Switch a named key off.
    Disable(String),
    /// They are off: leave them so for their time.
    Watch,
    /// Take the claim to switch on again what was switched off.
    BeginEnabling,
    /// Switch a named key on again.
    Enable(String),
    /// What is on again is kept until a person says that nobody needs it.
    Keep,
    /// Tell the platform when a named key ends by itself; without a time, that it does not.
    SetExpiry(String, Option<Timestamp>),
    /// Write down of which end of an earlier key the platform is told next.
    NoteExpiry(String, Told),
    /// End a named key.
    End(String),
    /// Find what was minted from ended keys.
    Sweep,
    /// Show that they are ended.
    Prove,
    /// Destroy the versions that still hold their secrets.
    DestroyPrevious,
    /// Look once more at what was ended, and is not shown as far as it can be.
    Reprove,
    /// Nothing is left to do: free the claim.
    Close,
    /// Somebody else is at work.
    Wait,
    /// A person must decide, and the claim says so.
    Hold(&'static str),
    /// It is not done, and everything stays as it is.
    Refuse(&'static str),
    /// The goal is reached.
    Done,
}

/// Whether a run that is asked to stop may do so before this step: what a platform has given is stored, no
/// call is written down that was not sent, and no consumer waits for what only this run is about to do.
pub fn may_stop(view: &View, step: &Step, way: Way) -> bool {
    if matches!(step, Step::Done | Step::Hold(_) | Step::Refuse(_)) {
        return false;
    }
    let Some(claim) = view.claim.as_ref().filter(|claim| claim.phase.is_open() && view.mine) else {
        return true;
    };
    let holds = view.memory.as_ref().is_some_and(|(_, epoch)| *epoch == claim.epoch);
    // The earlier one is dead once it was called: consumers wait.
    if way.replaces() && !claim.phase.is_about_earlier() {
        let uncalled = match claim.phase {
            Phase::Intent => true,
            Phase::Stored => *step == Step::Issue && view.uncalled,
            _ => false,
        };
        return uncalled && (claim.current.is_none() || current_lives(view));
    }
    let promoted = view.mains.iter().any(|main| is_promoted(main, claim));
    match claim.phase {
        _ if holds => false,
        Phase::Calling => !view.uncalled,
        Phase::Stored => !promoted && !matches!(step, Step::Store(_)),
        // Somebody is cut off who is to be let in again.
        Phase::Enabling => false,
        Phase::Retiring | Phase::Proving => !matches!(step, Step::DestroyPrevious | Step::Close),
        _ => true,
    }
}

/// How many keys are tried before a person is asked.
const ATTEMPTS: u32 = 3;

/// Decides the next step.
pub fn next_step(view: &View, goal: Goal, way: Way) -> Step {
    match &view.claim {
        Some(claim) if claim.phase == Phase::Held => held(view, claim, goal, way),
        Some(claim) if claim.phase.is_open() && !view.mine => match goal {
            _ if view.stale => Step::TakeOver,
            // Two that end everything would take it from each other without end.
            Goal::Revoke if !claim.ends_all() => Step::TakeOver,
            _ => Step::Wait,
        },
        Some(claim) if claim.phase.is_open() => go_on(view, claim, goal, way),
        Some(claim) => at_rest(view, claim, goal, way),
        None => match goal {
            Goal::Rotate { to, at_once }
                if anchor(view).is_some_and(|main| main.generation >= Some(to))
                    || view.known.as_ref().is_some_and(|(_, generation)| *generation >= to) =>
            {
                if at_once {
                    end_earlier(view, true)
                } else {
                    Step::Done
                }
            }
            Goal::Rotate { at_once, .. } => {
                after_overlap(view, &earlier(view), at_once, serves_alone(view), way)
            }
            Goal::Retire { at } if anchor(view).is_some_and(|main| main.generation == Some(at)) => {
                end_earlier(view, false)
            }
            Goal::Cut { at, .. }
                if anchor(view).is_some_and(|main| main.generation == Some(at)) =>
            {
                cut(view, &earlier(view), false)
            }
            Goal::Retire { .. } | Goal::Cut { .. } | Goal::Reenable => Step::Done,
            Goal::Revoke => revoke_at_rest(view, all_keys(view, None, way)),
        },
    }
}

/// The claim is lost, and the anchor still says which earlier keys are kept, and until when.
fn earlier(view: &View) -> Vec<Previous> {
    let serves = anchor(view).and_then(|main| main.key_id.as_ref());
    let mut kept = anchor(view).map(|main| main.previous.clone()).unwrap_or_default();
    kept.retain(|one| Some(&one.key_id) != serves);
    if kept.iter().any(|one| may_live(view, &one.key_id)) { kept } else { Vec::new() }
}

fn end_earlier(view: &View, at_once: bool) -> Step {
    let earlier = earlier(view);
    if !at_once && is_doubtful(view, &earlier) {
        Step::Refuse("clock")
    } else if earlier.is_empty() || !is_over(view, &earlier) {
        Step::Done
    } else if at_once {
        Step::BeginEnding(earlier)
    } else {
        end(view, &earlier, false)
    }
}

/// Never three generations: the older one goes first, when its time is over.
fn after_overlap(view: &View, earlier: &[Previous], at_once: bool, serves: bool, way: Way) -> Step {
    let lives = earlier.iter().any(|one| may_live(view, &one.key_id));
    // Nobody is kept waiting for by whoever ends them: their time is over, or they are gone already,
    // and only that is still to be shown.
    if earlier.is_empty() {
        begin(view, way)
    } else if at_once || !lives {
        Step::BeginEnding(earlier.to_vec())
    } else if earlier.iter().any(|one| is_kept(view, one)) && !view.was_held {
        if !serves && view.room { begin(view, way) } else { Step::Refuse("still-used") }
    } else if is_over(view, earlier) && (view.now.agrees() || view.was_held) {
        end(view, earlier, view.was_held)
    } else if serves {
        Step::Refuse(if is_doubtful(view, earlier) { "clock" } else { "old-in-use" })
    } else if view.room {
        // Whoever still holds the earlier one is all that works: it keeps its time.
        begin(view, way)
    } else if current_lives(view) {
        // Only what should hold it lost it: that is put right without another one.
        Step::Refuse("old-in-use")
    } else {
        Step::BeginEnding(earlier.to_vec())
    }
}

/// Earlier keys whose time is over are switched off first, where they can be: who still uses one is
/// heard of while it can be switched on again. `again`: a person says that nobody needs them.
fn cut(view: &View, earlier: &[Previous], again: bool) -> Step {
    let lives = |one: &&Previous| may_live(view, &one.key_id);
    // What somebody needed is watched once more, although it is off by now: by whose hand, nobody knows.
    let on = |one: &Previous| {
        // What was to end at once is not watched first.
        one.retire_not_before.is_some()
            && !one.is_cut()
            && (is_live(view, &one.key_id) || one.is_needed() && lives(&one))
    };
    if !earlier.iter().any(|one| lives(&one)) {
        return if again { Step::BeginEnding(earlier.to_vec()) } else { Step::Done };
    }
    if !again && let Some(step) = kept(view, earlier) {
        return step;
    }
    if !again && is_doubtful(view, earlier) {
        return Step::Refuse("clock");
    }
    if !is_over(view, earlier) {
        return Step::Done;
    }
    if !again && let Some(step) = in_use(view, earlier) {
        return step;
    }
    if view.soft_cut && (earlier.iter().any(on) || again && is_missed(view, earlier)) {
        Step::BeginCut(earlier.to_vec())
    } else if again {
        Step::BeginEnding(earlier.to_vec())
    } else {
        Step::Done
    }
}

/// Their time is over: what was not switched off first is, where it can be.
fn end(view: &View, earlier: &[Previous], again: bool) -> Step {
    if !again && let Some(step) = in_use(view, earlier) {
        return step;
    }
    match cut(view, earlier, again) {
        step @ (Step::BeginCut(_) | Step::Refuse(_) | Step::Hold(_)) => step,
        _ => Step::BeginEnding(earlier.to_vec()),
    }
}

/// Somebody needs an earlier key, and nobody has said since that they do not.
fn kept(view: &View, earlier: &[Previous]) -> Option<Step> {
    if earlier.iter().any(|one| one.is_needed() && may_live(view, &one.key_id)) {
        Some(Step::Hold("still-used"))
    } else if is_missed(view, earlier) && is_over(view, earlier) {
        Some(Step::Keep)
    } else {
        None
    }
}

/// Somebody is seen to use an earlier key: it is kept for a while, and then a person is asked, where that
/// is wanted and there is a claim in which it can stand. What is switched off nobody uses.
fn in_use(view: &View, earlier: &[Previous]) -> Option<Step> {
    let lives = |one: &&Previous| one.cut.is_none() && is_live(view, &one.key_id);
    let judged = earlier.iter().filter(lives);
    let mut judged =
        judged.map(|one| view.usage.judge(view.now.lo, &one.key_id, one.retire_not_before));
    judged.find_map(|verdict| match verdict {
        Verdict::Ask if view.claim.is_some() => Some(Step::Keep),
        Verdict::Ask | Verdict::Wait(_) => Some(Step::Refuse("still-in-use")),
        Verdict::Keep | Verdict::End => None,
    })
}

fn is_kept(view: &View, one: &Previous) -> bool {
    one.is_needed() && may_live(view, &one.key_id) || is_missed(view, std::slice::from_ref(one))
}

/// A hand past us switched on what we had switched off. What this run switched off a moment ago is off,
/// whatever a listing that lags says.
fn is_missed(view: &View, earlier: &[Previous]) -> bool {
    earlier
        .iter()
        .any(|one| one.is_cut() && is_live(view, &one.key_id) && !view.off.contains(&one.key_id))
}

fn anchor(view: &View) -> Option<&Main> {
    view.mains.last()
}

/// It has not ended, as far as the listing tells: what is only switched off may work again.
fn stands(view: &View, key_id: &str) -> bool {
    view.keys.iter().any(|key| key.key_id == key_id && (key.live || key.disabled))
}

fn is_off(view: &View, key_id: &str) -> bool {
    view.keys.iter().any(|key| key.key_id == key_id && key.disabled && !key.live)
}

fn is_live(view: &View, key_id: &str) -> bool {
    view.keys.iter().any(|key| key.key_id == key_id && key.live)
}

/// All live keys of the slot: those that the claim, the sinks and the caller's books name, those
/// that carry its marker, and where none can be marked the one that came after the claim.
fn all_keys(view: &View, claim: Option<&Claim>, way: Way) -> Vec<Previous> {
    let mut keys: Vec<Previous> = claim.map_or_else(Vec::new, |claim| claim.previous.clone());
    let mut name = |key_id: &str, generation: u64| {
        if !keys.iter().any(|have| have.key_id == key_id) {
            let ours = view.keys.iter().find(|key| key.key_id == key_id).and_then(|key| key.ours);
            let epoch = ours.map(|(_, epoch)| epoch);
            keys.push(Previous { epoch, ..Previous::new(key_id, generation) });
        }
    };
    if let Some(claim) = claim {
        for key_id in claim.current.iter().chain(&claim.new) {
            name(key_id, claim.generation);
        }
    }
    for main in &view.mains {
        if let Some(key_id) = &main.key_id {
            name(key_id, main.generation.unwrap_or(0));
        }
    }
    if let Some((key_id, generation)) = &view.known {
        name(key_id, *generation);
    }
    for key in &view.keys {
        if let Some((generation, _)) = key.ours {
            name(&key.key_id, generation);
        }
    }
    if let Some(claim) = claim.filter(|claim| CALLED.contains(&(way, claim.phase)))
        && let Unmarked::One(key_id) = unmarked_orphan(view, claim, way)
    {
        name(&key_id, claim.generation);
    }
    // Where nobody makes one beside ours, what came while we were at work is what we called for.
    if let Some(claim) = claim.filter(|claim| match (way, claim.phase) {
        (_, phase) if !phase.is_open() || phase.is_about_earlier() => false,
        (Way::FirstOnly, phase) => phase == Phase::Intent,
        (Way::Grace, _) => true,
        // Who is locked out had called for it.
        (_, Phase::Held) => way.is_by_itself(),
        (_, phase) => way.replaces() && matches!(phase, Phase::Calling | Phase::Stored),
    }) {
        for key in view.keys.iter().filter(|key| !claim.known.contains(&key.key_id)) {
            name(&key.key_id, claim.generation);
        }
    }
    keys.retain(|one| may_live(view, &one.key_id));
    keys
}

/// The claim's current key counts although somebody ended it: nobody has shown that yet, nor ended
/// what was minted from it, and the claim goes on naming it.
fn with_gone(claim: &Claim, mut keys: Vec<Previous>) -> Vec<Previous> {
    if let Some(key_id) = &claim.current
        && !keys.iter().any(|one| one.key_id == *key_id)
    {
        let one = Previous::new(key_id, claim.generation);
        keys.push(Previous { epoch: claim.current_epoch, ..one });
    }
    keys
}

/// Nobody is at work. Where nothing lives, the sinks still say so.
fn revoke_at_rest(view: &View, keys: Vec<Previous>) -> Step {
    let said = view.mains.iter().any(|main| main.key_id.is_some());
    if keys.is_empty() && !said { Step::Done } else { Step::BeginEnding(keys) }
}

/// A key that somebody issued who had lost the claim by then: it carries a genuine marker of this
/// slot, its epoch is not newer than the claim's, and the claim does not name it. While nobody is at
/// work its secret is in nobody's hand, or in one that may not store it any more.
fn late_orphan<'a>(view: &'a View, claim: &Claim) -> Option<&'a Key> {
    // What consumers are to read is nobody's orphan, although the claim that named it is lost.
    let delivered = |key_id: &str| {
        view.mains.iter().any(|main| {
            main.key_id.as_deref() == Some(key_id)
                || main.previous.iter().any(|one| one.key_id == key_id)
        })
    };
    let named = |key_id: &str| {
        claim.current.iter().chain(&claim.new).any(|one| one == key_id)
            || claim.previous.iter().any(|one| one.key_id == key_id)
            || claim.current.is_some() && delivered(key_id)
    };
    let late = |key: &&Key| {
        (key.live || key.disabled)
            && key.ours.is_some_and(|(_, epoch)| epoch <= claim.epoch)
            && !named(&key.key_id)
    };
    view.keys.iter().find(late)
}

/// What came since it was called for, where no mark says whose it is.
enum Unmarked {
    /// Nothing.
    Nothing,
    /// One, made while it was called for, that nobody ever used: ours, and its secret is lost.
    One(String),
    /// One or more that may be another slot's, on which somebody is at work.
    Sibling,
    /// Several, or one that may be somebody else's.
    Unexplained,
}

/// Where what was called for carries no mark, and other slots call for the like.
const CALLED: [(Way, Phase); 2] = [(Way::AddUnmarked, Phase::Calling), (Way::Slots, Phase::Stored)];

/// What came since it was called for.
fn newcomers<'a>(view: &'a View, claim: &'a Claim) -> impl Iterator<Item = &'a Key> {
    view.keys.iter().filter(|key| key.live && !claim.known.contains(&key.key_id))
}

/// Whoever issues by hand in the very minute of our call, and has not used it yet, cannot be told
/// from us; a platform's clock may differ from ours by as much as a call may take to arrive. What a
/// sibling's claim names is that slot's; and while one may have a key that it does not name, nothing is
/// ours for certain. Where a call was repeated without another look at what was there before, it may be of
/// the first one, which came after that look.
fn unmarked_orphan(view: &View, claim: &Claim, way: Way) -> Unmarked {
    let named = |key: &&Key| !view.siblings.keys.contains(&key.key_id);
    let news: Vec<&Key> = newcomers(view, claim).filter(named).collect();
    let made_then = |key: &Key| {
        let window = SignedDuration::from_mins(2);
        claim.called_at.zip(key.issued_at).is_some_and(|(called, made)| {
            let since = (way != Way::Slots).then(|| called - window);
            since.is_none_or(|since| made >= since)
                && made <= called + window
                && made <= view.now.hi + window
        })
    };
    match &news[..] {
        [] => Unmarked::Nothing,
        _ if view.siblings.at_work => Unmarked::Sibling,
        _ if view.siblings.left => Unmarked::Unexplained,
        [one] if !one.used && one.ours.is_none() && made_then(one) => {
            Unmarked::One(one.key_id.clone())
        }
        _ => Unmarked::Unexplained,
    }
}

/// Nothing is issued that has nowhere to go, nor where it is not known what is there. Where ours takes
/// the place of whatever is there, that need not be known.
fn begin(view: &View, way: Way) -> Step {
    if !view.complete && way != Way::ReplaceOurs {
        return Step::Refuse("listing-incomplete");
    }
    if view.exhausted {
        return Step::Refuse("sign-ins-exhausted");
    }
    if way.is_by_itself() && is_locked_out(view) {
        return locked_out();
    }
    let occupied = view.mains.iter().find_map(|main| main.occupied);
    occupied.map_or(Step::Begin, Step::Refuse)
}

/// What replaces itself is dead, and what took its place is in nobody's hand.
fn locked_out() -> Step {
    Step::Hold("locked-out-of-management")
}

/// What is to make its successor is dead. Where nothing is current its parent makes the first.
fn is_locked_out(view: &View) -> bool {
    let claim = view.claim.as_ref();
    let current = match claim {
        Some(claim) => claim.current.as_ref(),
        None => anchor(view).and_then(|main| main.key_id.as_ref()),
    };
    current.is_some_and(|key_id| !is_live(view, key_id))
}

/// A call with what dies in it was not answered, and none can arrive any more. It is never repeated
/// with what is dead.
fn by_itself(view: &View, punishes_reuse: bool) -> Step {
    let parents = view.claim.as_ref().is_some_and(|claim| claim.current.is_none());
    match unanswered(parents || !is_locked_out(view), punishes_reuse && !parents) {
        Unanswered::OnceMore => Step::MarkCalling,
        Unanswered::LockedOut => locked_out(),
    }
}

/// A person had to decide. Whoever asks for a rotation now, and knew, has decided: what works is
/// taken up where it was left, and what does not is begun again.
fn held(view: &View, claim: &Claim, goal: Goal, way: Way) -> Step {
    match goal {
        // Ending is always open.
        Goal::Revoke => Step::BeginEnding(all_keys(view, Some(claim), way)),
        // It was held while this process had what is missing.
        Goal::Rotate { to, .. }
            if to >= claim.generation
                && way.is_by_itself()
                && view.memory.as_ref().is_some_and(|(key_id, _)| is_live(view, key_id)) =>
        {
            Step::TakeOver
        }
        Goal::Rotate { .. } if view.exhausted => Step::Refuse("sign-ins-exhausted"),
        Goal::Rotate { to, .. } if view.was_held && to >= claim.generation => match &claim.new {
            Some(key_id) if is_live(view, key_id) || leaves_behind(view, claim, way) => {
                Step::TakeOver
            }
            _ if view.complete && way.is_by_itself() && is_locked_out(view) => locked_out(),
            _ if view.complete || way == Way::ReplaceOurs => Step::BeginAgain,
            _ => Step::Refuse("listing-incomplete"),
        },
        _ => Step::Hold("held"),
    }
}

/// The new key is switched off, and a person who saw that goes on without it: it is ended, or it would
/// take the place of another. What consumers may hold is not, nor what another call would bring again.
fn leaves_behind(view: &View, claim: &Claim, way: Way) -> bool {
    let off = claim.new.as_ref().is_some_and(|key_id| is_off(view, key_id));
    let held = || view.mains.iter().any(|main| is_promoted(main, claim));
    off && view.was_held && !way.is_alone() && way != Way::FirstOnly && !held()
}

/// The time of all earlier keys is over. They were kept together, from one promote on.
fn is_over(view: &View, earlier: &[Previous]) -> bool {
    earlier.iter().all(|one| kept_until(view, one).is_none_or(|at| view.now.is_past(at)))
}

/// Not to be ended before this: consumers that nobody sees may read its successor until then.
fn kept_until(view: &View, one: &Previous) -> Option<Timestamp> {
    let unread = view.usage.unread_until(&one.key_id, one.retire_not_before);
    one.kept_until().map(|at| unread.map_or(at, |unread| unread.max(at)))
}

/// Their time is over by some clock, and clocks disagree: whoever still uses one may have time left.
fn is_doubtful(view: &View, earlier: &[Previous]) -> bool {
    let come = |one: &Previous| kept_until(view, one).is_none_or(|at| view.now.has_come(at));
    !view.now.agrees()
        && earlier.iter().all(come)
        // What ends whatever the time waits for no clock.
        && earlier.iter().any(|one| one.retire_not_before.is_some() && may_live(view, &one.key_id))
}

/// Nobody is kept waiting for by whoever ends the earlier keys: their time is over, or they are gone
/// already, and only that is still to be shown.
fn may_end_earlier(view: &View, claim: &Claim) -> bool {
    let lives = claim.previous.iter().any(|one| may_live(view, &one.key_id));
    !lives || is_over(view, &claim.previous) || is_doubtful(view, &claim.previous)
}

/// What the anchor says is current works as far as the listing tells; no claim says more.
fn serves_alone(view: &View) -> bool {
    anchor(view).is_some_and(|main| {
        main.generation.is_some()
            && main.key_id.as_ref().is_some_and(|key_id| is_live(view, key_id))
    })
}

fn current_lives(view: &View) -> bool {
    let current = view.claim.as_ref().and_then(|claim| claim.current.as_ref());
    current.is_some_and(|key_id| is_live(view, key_id))
}

/// What consumers are to read is there, and works as far as the listing tells.
fn current_serves(view: &View, claim: &Claim) -> bool {
    anchor(view).is_some_and(|main| main.generation == Some(claim.generation))
        && claim.current.as_ref().is_some_and(|key_id| is_live(view, key_id))
}

/// Free or parked: nobody is at work.
fn at_rest(view: &View, claim: &Claim, goal: Goal, way: Way) -> Step {
    match resting(view, claim, goal, way) {
        // Nobody is at work, and what is earlier stays for now: its platform ends it if nobody does.
        step @ (Step::Done | Step::Hold("still-used")) if goal != Goal::Revoke => {
            claim.previous.iter().find_map(|one| set_expiry(view, one)).unwrap_or(step)
        }
        step => step,
    }
}

/// S7x: an earlier key ends by itself when everybody was waited for who is to be waited for, although
/// nobody runs anything again. What somebody needs ends as it was issued to end. It is never made to live
/// longer than that, nor than somebody else told its platform.
fn set_expiry(view: &View, one: &Previous) -> Option<Step> {
    let key = view.keys.iter().find(|key| key.key_id == one.key_id)?;
    let lives = key.live || key.disabled;
    let ends_at_once = one.retire_not_before.is_none();
    if !view.moves_expiry || !lives || ends_at_once || view.told.contains(&one.key_id) {
        return None;
    }
    let end = match one.wanted_end(view.limit) {
        OwnEnd::At(end) => Some(end),
        OwnEnd::Never => None,
        OwnEnd::Unknown => return None,
    };
    let is_so = end.zip(key.ends).is_some_and(|(end, ends)| is_same(end, ends));
    if is_so || end == key.ends {
        return None;
    }
    if key.ends.is_some_and(|ends| end.is_none_or(|end| end > ends)) {
        // Longer than this run, or an earlier one, has told it, and than nobody else.
        let is_ours = one.told.is_shown(key.ends);
        return is_ours.then(|| tell(key, one, end));
    }
    // Where clocks disagree nothing ends by time; and what is over ends by whoever shows it.
    let is_sooner = view.limit.is_some() && !one.is_needed();
    let may = |end: &Timestamp| view.now.agrees() && !view.now.has_come(*end);
    end.filter(|_| is_sooner).filter(may).map(|end| tell(key, one, Some(end)))
}

/// What a platform is told of is written before, so that whoever comes next knows it for ours.
fn tell(key: &Key, one: &Previous, end: Option<Timestamp>) -> Step {
    let key_id = one.key_id.clone();
    match end.and_then(|end| one.told.and(end, key.ends)) {
        Some(told) => Step::NoteExpiry(key_id, told),
        None => Step::SetExpiry(key_id, end),
    }
}

fn resting(view: &View, claim: &Claim, goal: Goal, way: Way) -> Step {
    let parked = claim.phase == Phase::Parked;
    let is_on_again = |one: &Previous| one.is_cut() && may_live(view, &one.key_id);
    if goal != Goal::Revoke
        && let Some(key) = late_orphan(view, claim)
    {
        return Step::EndOrphan(key.key_id.clone());
    }
    // What is urgent waits for no proof of what ended before.
    if !matches!(goal, Goal::Revoke | Goal::Reenable | Goal::Rotate { at_once: true, .. })
        && view.complete
        && claim.proofs.is_due(view.now.lo)
    {
        return Step::Reprove;
    }
    match goal {
        Goal::Revoke => {
            let keys = with_gone(claim, all_keys(view, Some(claim), way));
            if parked { Step::BeginEnding(keys) } else { revoke_at_rest(view, keys) }
        }
        // Planned at another generation: what was earlier then is not what is earlier now.
        Goal::Retire { at } if claim.generation > at => Step::Done,
        Goal::Cut { at, .. } if claim.generation > at => Step::Done,
        Goal::Retire { .. } if parked && may_end_earlier(view, claim) => {
            kept(view, &claim.previous).unwrap_or_else(|| end(view, &claim.previous, false))
        }
        Goal::Retire { .. } => Step::Done,
        Goal::Cut { again, .. } if parked => cut(view, &claim.previous, again),
        Goal::Cut { .. } => Step::Done,
        Goal::Reenable if parked && claim.previous.iter().any(|one| may_be_off(view, one)) => {
            Step::BeginEnabling
        }
        Goal::Reenable if parked && claim.previous.iter().any(is_on_again) => Step::Keep,
        Goal::Reenable => Step::Done,
        // A generation is never issued twice: what is missing in a sink is copied there.
        Goal::Rotate { to, at_once } if claim.generation >= to => {
            let lives = claim.previous.iter().any(|one| may_live(view, &one.key_id));
            let gone = !lives && !claim.previous.is_empty();
            if parked && (at_once || gone) {
                Step::BeginEnding(claim.previous.clone())
            } else {
                Step::Done
            }
        }
        Goal::Rotate { at_once, .. } if parked => {
            after_overlap(view, &claim.previous, at_once, current_serves(view, claim), way)
        }
        Goal::Rotate { .. } => begin(view, way),
    }
}

fn go_on(view: &View, claim: &Claim, goal: Goal, way: Way) -> Step {
    let ending = matches!(claim.phase, Phase::Retiring | Phase::Proving);
    if goal == Goal::Revoke && !ending {
        // What nothing fences is ended when none of it can come any more.
        let calls = matches!(claim.phase, Phase::Calling | Phase::Stored);
        if claim.timed && calls && !view.settled {
            return Step::Settle;
        }
        return Step::BeginEnding(all_keys(view, Some(claim), way));
    }
    if goal == Goal::Reenable && !claim.phase.is_about_earlier() {
        return Step::Done;
    }
    // Whoever wants nothing kept waits for nobody who may miss it.
    let at_once = matches!(goal, Goal::Rotate { at_once: true, .. });
    if at_once && matches!(claim.phase, Phase::Cutting | Phase::Enabling) {
        return Step::BeginEnding(claim.previous.clone());
    }
    match claim.phase {
        Phase::Cutting | Phase::Retiring if goal == Goal::Reenable => reenable(view, claim),
        Phase::Cutting => cutting(view, claim),
        Phase::Enabling => enabling(view, claim),
        Phase::Intent => intent(view, claim, way),
        Phase::Calling => calling(view, claim, way),
        Phase::Stored => stored(view, claim, way),
        Phase::GivingUp => giving_up(view, claim, way),
        Phase::Proving if goal == Goal::Reenable => Step::Done,
        Phase::Retiring | Phase::Proving => retiring(view, claim),
        Phase::Free | Phase::Parked | Phase::Held => Step::Done,
    }
}

/// What this process has just been given. What makes its own successor lives alone, so that whoever has
/// the one that lives has it, whoever was at work meanwhile.
fn in_memory(view: &View, claim: &Claim, way: Way) -> Option<Step> {
    let (key_id, epoch) = view.memory.as_ref()?;
    if *epoch != claim.epoch {
        return (way.is_by_itself() && is_live(view, key_id)).then(|| Step::Store(key_id.clone()));
    }
    // Nobody can make it again: it is stored before anybody asks whether it works.
    match way.is_by_itself() || is_live(view, key_id) {
        true => Some(Step::Store(key_id.clone())),
        false => is_off(view, key_id).then_some(Step::Hold("new-switched-off")),
    }
}

fn intent(view: &View, claim: &Claim, way: Way) -> Step {
    if way.is_ours() {
        // The secret was to be stored with the claim; a claim without it begins again.
        return Step::BeginAgain;
    }
    let calls = matches!(way, Way::AddUnmarked | Way::Grace | Way::ReplaceOnce);
    if calls || way.is_by_itself() {
        return if view.complete { Step::MarkCalling } else { Step::Refuse("listing-incomplete") };
    }
    if let Some(step) = in_memory(view, claim, way) {
        return step;
    }
    // Marked for this generation under an epoch that is not newer than ours, and its secret is in
    // nobody's hand: an answer was lost.
    let orphan = view.keys.iter().find(|key| {
        (key.live || key.disabled)
            && !claim.known.contains(&key.key_id)
            && key.ours.is_some_and(|(generation, epoch)| {
                generation == claim.generation && epoch <= claim.epoch
            })
    });
    match orphan {
        Some(key) => Step::EndOrphan(key.key_id.clone()),
        None if view.complete => Step::Issue,
        None => Step::Refuse("listing-incomplete"),
    }
}

/// It was written that a key is called for. What nothing fences is called for once, and again only
/// when no earlier call can arrive any more.
fn calling(view: &View, claim: &Claim, way: Way) -> Step {
    if let Some(step) = in_memory(view, claim, way) {
        return step;
    }
    if view.uncalled {
        // Held up for long, it writes anew what is there now.
        let unseen = way == Way::AddUnmarked && !view.complete;
        return if unseen { Step::Refuse("listing-incomplete") } else { Step::Issue };
    }
    if !view.settled {
        return Step::Settle;
    }
    match way {
        Way::AddUnmarked | Way::ReplaceSelf { .. } if !view.complete => {
            Step::Refuse("listing-incomplete")
        }
        Way::ReplaceSelf { punishes_reuse } => by_itself(view, punishes_reuse),
        Way::AddUnmarked => match unmarked_orphan(view, claim, way) {
            Unmarked::Nothing => Step::MarkCalling,
            Unmarked::One(key_id) => Step::EndOrphan(key_id),
            Unmarked::Sibling => Step::Wait,
            Unmarked::Unexplained => Step::Hold("unexplained-credential"),
        },
        // Whatever the lost call came to, our own credential makes another one.
        _ => Step::MarkCalling,
    }
}

fn stored(view: &View, claim: &Claim, way: Way) -> Step {
    // Somebody's hand: asking for it once more would not switch it on.
    if claim.new.as_ref().is_some_and(|key_id| is_off(view, key_id)) {
        return match leaves_behind(view, claim, way) {
            true => Step::GiveUp,
            false => Step::Hold("new-switched-off"),
        };
    }
    let is_there = claim.new.as_ref().is_some_and(|key_id| !view.complete || is_live(view, key_id));
    if !is_there {
        // A repeat that is answered at once does not end what is on its way still: into a later
        // generation, or after the end of all, it would take the place of what is there then.
        let on_its_way = claim.timed && !view.uncalled && !view.settled;
        return match way.is_ours() {
            true if on_its_way => Step::Settle,
            true => Step::Issue,
            false if way.is_by_itself() && is_locked_out(view) => {
                in_memory(view, claim, way).unwrap_or_else(locked_out)
            }
            false => Step::BeginAgain,
        };
    }
    if way.replaces() {
        // The earlier one is dead: consumers get the new one at once, and it is tried after.
        return match forward(view, claim, way) {
            Step::Park => match view.verified {
                Some(true) => Step::Park,
                Some(false) => Step::GiveUp,
                None if view.exhausted => Step::Refuse("sign-ins-exhausted"),
                None => Step::Verify,
            },
            step => step,
        };
    }
    match view.verified {
        // Another call would end what consumers hold.
        Some(false)
            if way == Way::Grace && claim.previous.iter().any(|one| is_live(view, &one.key_id)) =>
        {
            return Step::Hold("new-refused");
        }
        Some(false) => return Step::GiveUp,
        // A document that has this very key was promoted by somebody who had verified it.
        None if !view.mains.iter().any(|main| is_promoted(main, claim)) => {
            return if view.exhausted { Step::Refuse("sign-ins-exhausted") } else { Step::Verify };
        }
        None | Some(true) => {}
    }
    match forward(view, claim, way) {
        Step::Park if way == Way::Grace => unheard(view, claim),
        step => step,
    }
}

/// What an unanswered call of ours made lives beside the one whose answer was heard, and nobody has its
/// secret. It goes when consumers have the other one, whose time was short since then.
fn unheard(view: &View, claim: &Claim) -> Step {
    let news = |key: &&Key| key.live && !claim.known.contains(&key.key_id);
    match view.keys.iter().filter(news).find(|key| Some(&key.key_id) != claim.new.as_ref()) {
        Some(key) => Step::EndOrphan(key.key_id.clone()),
        None if view.complete => Step::Park,
        None => Step::Refuse("listing-incomplete"),
    }
}

/// The new key is in this document.
fn is_promoted(main: &Main, claim: &Claim) -> bool {
    claim.new.is_some() && main.generation == Some(claim.generation) && main.key_id == claim.new
}

/// It is the very document that the claim found: the same version, written at the same time.
fn is_as_found(main: &Main, claim: &Claim) -> bool {
    let found = claim.mains_at.get(&main.place).zip(main.written_at.as_ref());
    claim.mains.get(&main.place).copied().unwrap_or(0) == main.version
        && found.is_none_or(|(then, now)| then == now)
}

/// From sink to sink, and then to rest.
fn forward(view: &View, claim: &Claim, way: Way) -> Step {
    let Some(main) = view.mains.iter().find(|main| !is_promoted(main, claim)) else {
        return Step::Park;
    };
    if main.occupied == Some("sink-refuses") {
        return undelivered(view, claim, main, way);
    }
    if let Some(why) = main.occupied {
        return Step::Hold(why);
    }
    if !is_as_found(main, claim) {
        return Step::Hold("sink-changed-by-others");
    }
    Step::Promote(main.place.clone())
}

/// Nothing is rolled back, since both keys work, and the overlap does not begin: each run tries again, and
/// in the end a person is asked. Where the earlier one is dead nobody is helped by waiting for a person.
fn undelivered(view: &View, claim: &Claim, main: &Main, way: Way) -> Step {
    let Some(noted) = claim.undelivered.as_ref().filter(|one| one.place == main.place) else {
        return Step::NoteUndelivered(main.place.clone());
    };
    let current = view.keys.iter().find(|key| Some(&key.key_id) == claim.current.as_ref());
    let ends = current.and_then(|key| key.ends);
    let over = view.now.is_past(deliver_until(noted.since, view.deliver_by, ends));
    if over && !way.replaces() { Step::Hold("sink-refuses") } else { Step::Refuse("sink-refuses") }
}

/// Not seen in a listing counts as ended only where the listing is complete, or the platform said
/// so.
fn may_live(view: &View, key_id: &str) -> bool {
    stands(view, key_id) || (!view.complete && !view.ended.contains(key_id))
}

fn giving_up(view: &View, claim: &Claim, way: Way) -> Step {
    // What is refused makes no other one.
    if way.is_by_itself() {
        return locked_out();
    }
    // Nothing works that could be kept, and there is nothing to go back to.
    if way.replaces() {
        let last = claim.attempt + 1 >= ATTEMPTS || !view.patience;
        return if last { Step::Hold("verify-failed") } else { Step::BeginAgain };
    }
    // Somebody who had verified it was faster: consumers may hold it, so it is only forward.
    if view.mains.iter().any(|main| is_promoted(main, claim)) {
        return forward(view, claim, way);
    }
    for main in view.mains.iter().filter(|main| main.occupied.is_none()) {
        // Only a document that is still where the claim found it can take a late promote.
        if main.version == claim.mains.get(&main.place).copied().unwrap_or(0) {
            return Step::Fence(main.place.clone());
        }
    }
    match &claim.new {
        Some(key_id) if may_live(view, key_id) => Step::EndNew(key_id.clone()),
        _ if claim.attempt + 1 >= ATTEMPTS || !view.patience => Step::Hold("verify-failed"),
        _ => Step::BeginAgain,
    }
}

/// It is on, or nobody can tell.
fn may_be_on(view: &View, one: &Previous) -> bool {
    let unseen = !view.complete && !view.keys.iter().any(|key| key.key_id == one.key_id);
    !view.off.contains(&one.key_id) && (is_live(view, &one.key_id) || unseen)
}

/// We switched it off, and it is off, or nobody can tell.
fn may_be_off(view: &View, one: &Previous) -> bool {
    let seen = view.keys.iter().find(|key| key.key_id == one.key_id);
    let off = seen.map_or(!view.complete, |key| key.disabled);
    one.cut.is_some() && off && !view.on.contains(&one.key_id)
}

fn cutting(view: &View, claim: &Claim) -> Step {
    match claim.previous.iter().find(|one| may_be_on(view, one)) {
        Some(one) => Step::Disable(one.key_id.clone()),
        None => Step::Watch,
    }
}

/// While what was switched off is there still, it can be switched on again.
fn reenable(view: &View, claim: &Claim) -> Step {
    let ends_all = claim.current.is_none();
    let off = claim.previous.iter().any(|one| may_be_off(view, one));
    match claim.phase {
        Phase::Cutting => Step::BeginEnabling,
        _ if off && !ends_all => Step::BeginEnabling,
        _ => Step::Done,
    }
}

/// On at once, for whoever is cut off; and once more when no earlier call that switches off can arrive.
fn enabling(view: &View, claim: &Claim) -> Step {
    let seen_off =
        |one: &Previous| view.keys.iter().any(|key| key.key_id == one.key_id && key.disabled);
    match claim.previous.iter().find(|one| may_be_off(view, one)) {
        Some(one) => Step::Enable(one.key_id.clone()),
        // The listing lags, or an earlier call arrived: the next look tells.
        None if claim.previous.iter().any(seen_off) => Step::Settle,
        None if !view.settled => Step::Settle,
        None => Step::Keep,
    }
}

fn retiring(view: &View, claim: &Claim) -> Step {
    // Nothing is current any more: the sinks say so before the first key ends, and a promote that
    // is still on its way finds another version.
    if claim.current.is_none() {
        let open = |main: &&Main| {
            let expected = claim.mains.get(&main.place);
            main.occupied.is_none() && (main.key_id.is_some() || expected == Some(&main.version))
        };
        if let Some(main) = view.mains.iter().find(open) {
            return Step::Fence(main.place.clone());
        }
    }
    if let Some(one) = claim.previous.iter().find(|one| may_live(view, &one.key_id)) {
        return Step::End(one.key_id.clone());
    }
    if !view.swept {
        Step::Sweep
    } else if !view.proven {
        Step::Prove
    } else if !view.destroyed {
        Step::DestroyPrevious
    } else if let Some(key) = late_orphan(view, claim) {
        // A late duplicate of an earlier call is looked for once more before it closes.
        Step::EndOrphan(key.key_id.clone())
    } else {
        Step::Close
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: &str, ours: Option<(u64, u64)>) -> Key {
        let (issued_at, ends) = (None, None);
        Key { key_id: id.into(), ours, live: true, disabled: false, issued_at, used: false, ends }
    }

    fn view(claim: Option<Claim>, keys: Vec<Key>) -> View {
        View {
            now: NOW.into(),
            claim,
            mine: true,
            stale: false,
            mains: vec![Main {
                place: "bao:a".into(),
                version: 1,
                written_at: Some(NOW),
                generation: Some(1),
                epoch: 1,
                key_id: Some("k1".into()),
                previous: Vec::new(),
                occupied: None,
            }],
            keys,
            siblings: Siblings::default(),
            known: None,
            was_held: false,
            complete: true,
            room: true,
            uncalled: false,
            settled: false,
            memory: None,
            verified: None,
            patience: true,
            exhausted: false,
            ended: BTreeSet::new(),
            off: BTreeSet::new(),
            on: BTreeSet::new(),
            soft_cut: false,
            moves_expiry: false,
            limit: None,
            told: BTreeSet::new(),
            deliver_by: Span::from_secs(3600),
            usage: Usage::default(),
            swept: false,
            proven: false,
            destroyed: false,
        }
    }

    fn claim(phase: Phase) -> Claim {
        Claim {
            generation: 2,
            epoch: 5,
            phase,
            owner: "me".into(),
            attempt: 0,
            known: BTreeSet::from(["k1".into()]),
            current: Some("k1".into()),
            current_epoch: None,
            new: None,
            mains: BTreeMap::from([("bao:a".into(), 1)]),
            mains_at: BTreeMap::from([("bao:a".into(), NOW)]),
            previous: Vec::new(),
            reason: "schedule".into(),
            asked: None,
            auth: "policy:schedule".into(),
            hold: None,
            refused: 0,
            refused_at: None,
            parked_for_replace: false,
            timed: false,
            called_at: None,
            undelivered: None,
            proofs: Proofs::default(),
            confirmed: Confirmed::default(),
        }
    }

    const NOW: Timestamp = Timestamp::constant(1_795_500_000, 0);

    const TO_TWO: Goal = Goal::Rotate { to: 2, at_once: false };

    #[test]
    fn a_key_of_a_newer_epoch_is_nobody_s_orphan() {
        let mine = key("k2", Some((2, 5)));
        let newer = key("k2", Some((2, 6)));
        let human = key("k2", None);
        let step = |one: Key| {
            let view = view(Some(claim(Phase::Intent)), vec![key("k1", Some((1, 1))), one]);
            next_step(&view, TO_TWO, Way::AddMarked)
        };
        assert_eq!(step(mine), Step::EndOrphan("k2".into()));
        assert_eq!(step(newer), Step::Issue);
        assert_eq!(step(human), Step::Issue);
    }

    #[test]
    fn what_arrived_late_is_ended_by_whoever_looks_next() {
        let at_rest = Claim { current: Some("k2".into()), ..claim(Phase::Free) };
        let step = |late: Key| {
            let keys = vec![key("k2", Some((2, 5))), key("human", None), late];
            let mut view = view(Some(at_rest.clone()), keys);
            view.mains[0].generation = Some(2);
            next_step(&view, TO_TWO, Way::AddMarked)
        };
        assert_eq!(step(key("k3", Some((2, 4)))), Step::EndOrphan("k3".into()));
        assert_eq!(step(key("k3", Some((3, 6)))), Step::Done, "somebody has just begun");
        assert_eq!(step(key("k3", None)), Step::Done, "and a human's is a human's");
    }

    #[test]
    fn a_secret_in_memory_counts_only_under_the_epoch_that_issued_it() {
        let keys = vec![key("k1", Some((1, 1))), key("k2", Some((2, 4)))];
        let mut view = view(Some(claim(Phase::Intent)), keys);
        view.memory = Some(("k2".into(), 4));
        assert_eq!(next_step(&view, TO_TWO, Way::AddMarked), Step::EndOrphan("k2".into()));
        view.memory = Some(("k2".into(), 5));
        assert_eq!(next_step(&view, TO_TWO, Way::AddMarked), Step::Store("k2".into()));
    }

    #[test]
    fn nothing_is_promoted_unverified_nor_over_somebody_s_change() {
        let new = Claim { new: Some("k2".into()), ..claim(Phase::Stored) };
        let keys = vec![key("k1", Some((1, 1))), key("k2", Some((2, 5)))];
        let mut seen = view(Some(new), keys);
        assert_eq!(next_step(&seen, TO_TWO, Way::AddOurs), Step::Verify);
        seen.verified = Some(true);
        assert_eq!(next_step(&seen, TO_TWO, Way::AddOurs), Step::Promote("bao:a".into()));
        seen.mains[0].version = 2;
        assert_eq!(next_step(&seen, TO_TWO, Way::AddOurs), Step::Hold("sink-changed-by-others"));
        seen.verified = Some(false);
        assert_eq!(next_step(&seen, TO_TWO, Way::AddOurs), Step::GiveUp);
    }

    #[test]
    fn a_place_that_takes_nothing_is_tried_by_each_run_and_in_the_end_a_person_is_asked() {
        let new = Claim { new: Some("k2".into()), ..claim(Phase::Stored) };
        let mut seen =
            view(Some(new.clone()), vec![key("k1", Some((1, 1))), key("k2", Some((2, 5)))]);
        seen.verified = Some(true);
        seen.mains[0].occupied = Some("sink-refuses");
        let step = |seen: &View, way| next_step(seen, TO_TWO, way);
        assert_eq!(step(&seen, Way::AddOurs), Step::NoteUndelivered("bao:a".into()));
        let noted = |place: &str| {
            let undelivered = Some(Undelivered { place: place.into(), since: NOW });
            Some(Claim { undelivered, ..new.clone() })
        };
        seen.claim = noted("bao:gone");
        assert_eq!(step(&seen, Way::AddOurs), Step::NoteUndelivered("bao:a".into()));
        seen.claim = noted("bao:a");
        assert_eq!(step(&seen, Way::AddOurs), Step::Refuse("sink-refuses"));
        let over = later(NOW, Span::from_secs(3600));
        seen.now = Now { lo: NOW, hi: over };
        assert_eq!(step(&seen, Way::AddOurs), Step::Refuse("sink-refuses"), "by one clock alone");
        seen.now = over.into();
        assert_eq!(step(&seen, Way::AddOurs), Step::Hold("sink-refuses"));
        assert_eq!(step(&seen, Way::ReplaceOurs), Step::Refuse("sink-refuses"), "nothing works");
        // In time before the earlier one ends.
        seen.now = later(NOW, Span::from_secs(900)).into();
        seen.keys[0].ends = Some(later(NOW, Span::from_secs(1000)));
        assert_eq!(step(&seen, Way::AddOurs), Step::Hold("sink-refuses"));
        // It works again: it is delivered.
        seen.mains[0].occupied = None;
        assert_eq!(step(&seen, Way::AddOurs), Step::Promote("bao:a".into()));
    }

    #[test]
    fn how_long_is_tried_is_never_past_what_the_earlier_one_has_left() {
        let day = Span::from_secs(86_400);
        let at = |hours: u64| later(NOW, Span::from_secs(hours * 3600));
        assert_eq!(deliver_until(NOW, day, None), at(24));
        assert_eq!(deliver_until(NOW, day, Some(at(1000))), at(24));
        assert_eq!(deliver_until(NOW, day, Some(at(10))), at(9));
        assert_eq!(deliver_until(NOW, day, Some(NOW)), NOW);
        assert_eq!(deliver_until(at(1), day, Some(NOW)), at(1), "it has ended");
    }

    #[test]
    fn the_same_version_written_at_another_time_is_another_document() {
        let new = Claim { new: Some("k2".into()), ..claim(Phase::Stored) };
        let keys = vec![key("k1", Some((1, 1))), key("k2", Some((2, 5)))];
        let mut seen = view(Some(new.clone()), keys);
        seen.verified = Some(true);
        seen.mains[0].written_at = Some(NOW + SignedDuration::from_secs(1));
        assert_eq!(next_step(&seen, TO_TWO, Way::AddOurs), Step::Hold("sink-changed-by-others"));
        // A late promote knows the number alone, so it is fenced all the same.
        seen.verified = Some(false);
        seen.claim = Some(Claim { phase: Phase::GivingUp, ..new.clone() });
        assert_eq!(next_step(&seen, TO_TWO, Way::AddOurs), Step::Fence("bao:a".into()));
        // A claim of an earlier version did not note it.
        seen.verified = Some(true);
        seen.claim = Some(Claim { mains_at: BTreeMap::new(), ..new });
        assert_eq!(next_step(&seen, TO_TWO, Way::AddOurs), Step::Promote("bao:a".into()));
    }

    #[test]
    fn a_run_that_is_asked_to_stop_leaves_nothing_half_done() {
        let keys = || vec![key("k1", Some((1, 1))), key("k2", Some((2, 5)))];
        let seen = |claim: Claim| view(Some(claim), keys());
        let stored = |uncalled: bool| {
            let new = Claim { new: Some("k2".into()), ..claim(Phase::Stored) };
            View { uncalled, ..seen(new) }
        };
        let may = |view: &View, step: Step, way: Way| may_stop(view, &step, way);
        // Before anything is begun, and before it is called for.
        let rest = Claim { current: Some("k1".into()), ..claim(Phase::Free) };
        assert!(may(&seen(rest), Step::Begin, Way::AddMarked));
        assert!(may(&seen(claim(Phase::Intent)), Step::MarkCalling, Way::AddUnmarked));
        assert!(may(&seen(claim(Phase::Intent)), Step::Issue, Way::AddMarked));
        let called = View { uncalled: true, ..seen(claim(Phase::Calling)) };
        assert!(
            !may(&called, Step::Issue, Way::AddUnmarked),
            "it is written that it is called for"
        );
        assert!(may(&seen(claim(Phase::Calling)), Step::Settle, Way::AddUnmarked));
        // Never with a secret in its hand.
        let memory = Some(("k2".into(), 5));
        let holds = View { memory, ..seen(claim(Phase::Intent)) };
        assert!(!may(&holds, Step::Store("k2".into()), Way::AddMarked));
        // When it is stored, and then not before every place has it.
        assert!(may(&stored(false), Step::Verify, Way::AddOurs));
        assert!(may(&stored(false), Step::Promote("bao:a".into()), Way::AddOurs));
        let mut half = stored(false);
        (half.mains[0].generation, half.mains[0].key_id) = (Some(2), Some("k2".into()));
        assert!(!may(&half, Step::Promote("bao:b".into()), Way::AddOurs));
        assert!(!may(&half, Step::Park, Way::AddOurs));
        assert!(may(&stored(true), Step::Issue, Way::ReplaceOurs), "nobody was cut off yet");
        assert!(!may(&stored(false), Step::Issue, Way::ReplaceOurs));
        assert!(!may(&stored(false), Step::Promote("bao:a".into()), Way::ReplaceOnce));
        // Its answer is lost, or what it made is useless: consumers wait for another.
        assert!(!may(&seen(claim(Phase::Calling)), Step::Settle, Way::ReplaceOnce));
        assert!(!may(&seen(claim(Phase::GivingUp)), Step::BeginAgain, Way::ReplaceOurs));
        let dead = view(Some(claim(Phase::Intent)), vec![]);
        assert!(!may(&dead, Step::MarkCalling, Way::ReplaceOnce));
        assert!(may(&seen(claim(Phase::Intent)), Step::MarkCalling, Way::ReplaceOnce));
        // What ends is ended by whoever comes; what is switched on again is not left off.
        assert!(may(&seen(claim(Phase::Retiring)), Step::End("k1".into()), Way::AddOurs));
        assert!(may(&seen(claim(Phase::Proving)), Step::Prove, Way::AddOurs));
        assert!(!may(&seen(claim(Phase::Proving)), Step::Close, Way::AddOurs));
        assert!(!may(&seen(claim(Phase::Enabling)), Step::Enable("k1".into()), Way::AddOurs));
        assert!(!may(&stored(false), Step::Done, Way::AddOurs), "it is reached");
    }

    #[test]
    fn giving_up_fences_every_sink_before_the_key_ends() {
        let new = Claim { new: Some("k2".into()), ..claim(Phase::GivingUp) };
        let mut seen = view(Some(new), vec![key("k1", Some((1, 1))), key("k2", Some((2, 5)))]);
        assert_eq!(next_step(&seen, TO_TWO, Way::AddOurs), Step::Fence("bao:a".into()));
        seen.mains[0].version = 2;
        assert_eq!(next_step(&seen, TO_TWO, Way::AddOurs), Step::EndNew("k2".into()));
        seen.keys.pop();
        assert_eq!(next_step(&seen, TO_TWO, Way::AddOurs), Step::BeginAgain);
    }

    #[test]
    fn what_ends_by_time_ends_by_the_earliest_clock_and_by_none_where_they_disagree() {
        let minutes = SignedDuration::from_mins;
        let parked = Claim {
            current: Some("k2".into()),
            previous: vec![Previous { retire_not_before: Some(NOW), ..old(None) }],
            ..claim(Phase::Parked)
        };
        let keys = [key("k0", Some((1, 1))), key("k2", Some((2, 5)))];
        let step = |lo: i64, hi: i64, goal| {
            let mut view = view(Some(parked.clone()), keys.to_vec());
            view.now = Now { lo: NOW + minutes(lo), hi: NOW + minutes(hi) };
            view.mains[0].generation = Some(2);
            next_step(&view, goal, Way::AddMarked)
        };
        let end = Step::BeginEnding(parked.previous.clone());
        let retire = Goal::Retire { at: 2 };
        let third = |at_once| Goal::Rotate { to: 3, at_once };
        assert_eq!(step(-1, 4, retire), Step::Done, "not over by every clock");
        assert_eq!(step(0, 5, retire), end);
        assert_eq!(step(-9, -1, retire), Step::Done, "over by none");
        assert_eq!(step(-1, 5, retire), Step::Refuse("clock"));
        assert_eq!(step(1, 7, retire), Step::Refuse("clock"));
        assert_eq!(step(-1, 4, third(false)), Step::Refuse("old-in-use"));
        assert_eq!(step(1, 7, third(false)), Step::Refuse("clock"));
        assert_eq!(step(-99, 99, third(true)), end, "what is exposed waits for no clock");
        assert!(
            matches!(step(-99, 99, Goal::Revoke), Step::BeginEnding(_)),
            "nor what a person ends"
        );
    }

    #[test]
    fn what_was_promoted_meanwhile_is_never_given_up() {
        let new = Claim { new: Some("k2".into()), ..claim(Phase::GivingUp) };
        let mut seen = view(Some(new), vec![key("k1", Some((1, 1))), key("k2", Some((2, 5)))]);
        seen.mains[0] = Main {
            version: 2,
            generation: Some(2),
            key_id: Some("k2".into()),
            ..seen.mains[0].clone()
        };
        assert_eq!(next_step(&seen, TO_TWO, Way::AddOurs), Step::Park);
    }

    #[test]
    fn a_first_generation_is_fenced_as_well() {
        let mut new = Claim { new: Some("k2".into()), ..claim(Phase::GivingUp) };
        new.mains.clear();
        let mut seen = view(Some(new), vec![key("k2", Some((2, 5)))]);
        let nothing = Main { version: 0, generation: None, key_id: None, ..seen.mains[0].clone() };
        seen.mains[0] = nothing;
        assert_eq!(next_step(&seen, TO_TWO, Way::AddOurs), Step::Fence("bao:a".into()));
    }

    #[test]
    fn a_key_that_a_listing_with_a_gap_does_not_show_is_ended_by_its_id_once() {
        let old = old(None);
        let named = Claim { previous: vec![old], ..claim(Phase::Retiring) };
        let mut seen = view(Some(named), vec![]);
        assert_eq!(next_step(&seen, TO_TWO, Way::AddOurs), Step::Sweep);
        seen.complete = false;
        assert_eq!(next_step(&seen, TO_TWO, Way::AddOurs), Step::End("k0".into()));
        seen.ended.insert("k0".into());
        assert_eq!(next_step(&seen, TO_TWO, Way::AddOurs), Step::Sweep);
    }

    #[test]
    fn what_cannot_be_seen_stops_only_what_does_not_take_its_place() {
        let resting = Claim { generation: 1, current: Some("k1".into()), ..claim(Phase::Free) };
        let mut seen = view(Some(resting), vec![key("k1", Some((1, 5)))]);
        seen.mains[0].generation = Some(1);
        seen.complete = false;
        for way in [Way::AddOurs, Way::AddMarked, Way::AddUnmarked, Way::Slots, Way::ReplaceOnce] {
            let refused = Step::Refuse("listing-incomplete");
            assert_eq!(next_step(&seen, TO_TWO, way), refused, "{way:?}");
        }
        assert_eq!(next_step(&seen, TO_TWO, Way::ReplaceOurs), Step::Begin);
    }

    #[test]
    fn no_more_is_issued_than_the_platform_stands_refusals() {
        let new = Claim { new: Some("k2".into()), ..claim(Phase::GivingUp) };
        let mut seen = view(Some(new), vec![]);
        seen.mains[0].version = 2;
        assert_eq!(next_step(&seen, TO_TWO, Way::AddOurs), Step::BeginAgain);
        seen.patience = false;
        assert_eq!(next_step(&seen, TO_TWO, Way::AddOurs), Step::Hold("verify-failed"));
    }

    #[test]
    fn nobody_signs_in_where_one_more_refusal_locks_out_what_works() {
        let exhausted = Step::Refuse("sign-ins-exhausted");
        let new = |phase| Claim { new: Some("k2".into()), ..claim(phase) };
        for (claim, goal) in [
            (None, TO_TWO),
            (Some(new(Phase::Stored)), TO_TWO),
            (Some(claim(Phase::Held)), TO_TWO),
            (Some(claim(Phase::Free)), Goal::Rotate { to: 3, at_once: false }),
        ] {
            let mut seen = view(claim, vec![key("k1", Some((1, 1))), key("k2", Some((2, 5)))]);
            (seen.exhausted, seen.was_held) = (true, true);
            if seen.claim.as_ref().is_some_and(|claim| claim.phase == Phase::Free) {
                seen.keys.pop();
            }
            assert_eq!(next_step(&seen, goal, Way::AddOurs), exhausted, "{:?}", seen.claim);
        }
        let mut seen = view(None, vec![key("k1", Some((1, 1)))]);
        seen.exhausted = true;
        let ends = next_step(&seen, Goal::Revoke, Way::AddOurs);
        assert!(matches!(ends, Step::BeginEnding(_)), "ending is always open");
    }

    #[test]
    fn what_arrives_while_all_is_ended_is_ended_before_it_closes() {
        let named = Claim { current: None, previous: vec![old(None)], ..claim(Phase::Retiring) };
        let mut seen = view(Some(named), vec![key("late", Some((2, 4)))]);
        seen.mains[0] = Main { version: 2, key_id: None, ..seen.mains[0].clone() };
        (seen.swept, seen.proven, seen.destroyed) = (true, true, true);
        let step = |seen: &View| next_step(seen, Goal::Revoke, Way::AddOurs);
        assert_eq!(step(&seen), Step::EndOrphan("late".into()));
        seen.keys.pop();
        assert_eq!(step(&seen), Step::Close);
    }

    #[test]
    fn the_sinks_say_that_nothing_is_current_before_the_first_key_ends() {
        let named = Claim { current: None, previous: vec![old(None)], ..claim(Phase::Retiring) };
        let mut seen = view(Some(named), vec![key("k0", None)]);
        let step = |seen: &View| next_step(seen, Goal::Revoke, Way::AddOurs);
        assert_eq!(step(&seen), Step::Fence("bao:a".into()));
        seen.mains[0].key_id = None;
        assert_eq!(step(&seen), Step::Fence("bao:a".into()), "a late promote would still land");
        seen.mains[0].version = 2;
        assert_eq!(step(&seen), Step::End("k0".into()));
    }

    #[test]
    fn revoking_ends_what_only_the_sinks_or_the_caller_s_books_name() {
        let mut seen = view(None, vec![key("k1", None), key("k7", None), key("human", None)]);
        seen.known = Some(("k7".into(), 0));
        let Step::BeginEnding(named) = next_step(&seen, Goal::Revoke, Way::AddOurs) else {
            panic!()
        };
        let ids: Vec<&str> = named.iter().map(|one| one.key_id.as_str()).collect();
        assert_eq!(ids, ["k1", "k7"]);
    }

    #[test]
    fn a_current_key_that_somebody_ended_is_shown_to_be_gone_before_its_slot_has_ended() {
        let resting = |current: Option<&str>| Claim {
            current: current.map(str::to_owned),
            current_epoch: Some(5),
            ..claim(Phase::Free)
        };
        let mut seen = view(Some(resting(Some("k2"))), vec![key("human", None)]);
        seen.mains.clear();
        let Step::BeginEnding(named) = next_step(&seen, Goal::Revoke, Way::AddOurs) else {
            panic!()
        };
        let named: Vec<_> = named.iter().map(|one| (one.key_id.as_str(), one.epoch)).collect();
        assert_eq!(named, [("k2", Some(5))]);
        seen.claim = Some(resting(None));
        assert_eq!(next_step(&seen, Goal::Revoke, Way::AddOurs), Step::Done);
    }

    #[test]
    fn somebody_else_s_work_is_waited_for_and_taken_over_only_when_silent() {
        let mut seen = view(Some(claim(Phase::Stored)), vec![]);
        seen.mine = false;
        assert_eq!(next_step(&seen, TO_TWO, Way::AddOurs), Step::Wait);
        assert_eq!(next_step(&seen, Goal::Revoke, Way::AddOurs), Step::TakeOver);
        seen.stale = true;
        assert_eq!(next_step(&seen, TO_TWO, Way::AddOurs), Step::TakeOver);
    }

    #[test]
    fn of_two_that_end_everything_one_waits_until_the_other_is_silent() {
        for phase in [Phase::Retiring, Phase::Proving] {
            let mut seen = view(Some(Claim { current: None, ..claim(phase) }), vec![]);
            seen.mine = false;
            assert_eq!(next_step(&seen, Goal::Revoke, Way::AddOurs), Step::Wait);
            seen.stale = true;
            assert_eq!(next_step(&seen, Goal::Revoke, Way::AddOurs), Step::TakeOver);
            // Whoever ends earlier ones alone is not waited for.
            let mut seen = view(Some(claim(phase)), vec![]);
            seen.mine = false;
            assert_eq!(next_step(&seen, Goal::Revoke, Way::AddOurs), Step::TakeOver);
        }
    }

    #[test]
    fn a_rotation_that_somebody_did_is_done() {
        let mut seen = view(Some(Claim { phase: Phase::Parked, ..claim(Phase::Parked) }), vec![]);
        seen.mains[0].generation = Some(2);
        assert_eq!(next_step(&seen, TO_TWO, Way::AddOurs), Step::Done);
    }

    #[test]
    fn revoking_ends_all_keys_of_the_slot_and_no_other() {
        let keys = vec![key("k1", Some((1, 1))), key("human", None), key("k2", Some((2, 5)))];
        let seen = view(Some(Claim { phase: Phase::Free, ..claim(Phase::Free) }), keys);
        let Step::BeginEnding(named) = next_step(&seen, Goal::Revoke, Way::AddOurs) else {
            panic!()
        };
        let ids: Vec<&str> = named.iter().map(|one| one.key_id.as_str()).collect();
        assert_eq!(ids, ["k1", "k2"]);
    }

    fn old(retire_not_before: Option<Timestamp>) -> Previous {
        Previous { retire_not_before, ..Previous::new("k0", 1) }
    }

    /// Generation 2 is current, generation 1 is in its overlap until then.
    fn in_overlap(until: Timestamp) -> View {
        let current = Some("k1".to_owned());
        let parked = Claim { previous: vec![old(Some(until))], current, ..claim(Phase::Parked) };
        let mut seen = view(Some(parked), vec![key("k0", None), key("k1", Some((2, 5)))]);
        seen.mains[0].generation = Some(2);
        seen
    }

    const LATER: Timestamp = Timestamp::constant(1_795_500_001, 0);

    #[test]
    fn an_earlier_key_is_ended_only_when_its_time_is_over() {
        let retire = Goal::Retire { at: 2 };
        assert_eq!(next_step(&in_overlap(LATER), retire, Way::AddOurs), Step::Done);
        let over = next_step(&in_overlap(NOW), retire, Way::AddOurs);
        assert_eq!(over, Step::BeginEnding(vec![old(Some(NOW))]));
        let planned_before = Goal::Retire { at: 1 };
        assert_eq!(next_step(&in_overlap(NOW), planned_before, Way::AddOurs), Step::Done);
    }

    /// The same where its platform ends an earlier one an hour after its overlap, if it is told.
    fn in_overlap_with(one: Previous, ends: Option<Timestamp>) -> View {
        let mut seen = in_overlap(LATER);
        seen.claim.as_mut().unwrap().previous = vec![one];
        seen.keys[0].ends = ends;
        seen.moves_expiry = true;
        seen.limit = Some(Span::from_secs(3600));
        seen
    }

    const LIMIT: Timestamp = Timestamp::constant(1_795_503_601, 0);

    const YEAR: Timestamp = Timestamp::constant(1_827_036_001, 0);

    /// Its platform was told of these.
    fn told_of(last: Timestamp, before: Option<Timestamp>) -> Told {
        Told { last: Some(last), before }
    }

    #[test]
    fn of_which_end_a_platform_is_told_is_written_before() {
        let kept = Previous { own_end: OwnEnd::Never, ..old(Some(LATER)) };
        let step = |one: &Previous, ends| {
            next_step(&in_overlap_with(one.clone(), ends), TO_TWO, Way::AddOurs)
        };
        let noted = |told| Step::NoteExpiry("k0".into(), told);
        assert_eq!(step(&kept, None), noted(told_of(LIMIT, None)));
        // What it shows as ours is not forgotten, however often nobody came to tell it more.
        let hour = SignedDuration::from_hours(1);
        let sooner = LIMIT - hour;
        let again = Previous { told: told_of(sooner, None), ..kept.clone() };
        assert_eq!(step(&again, Some(sooner)), noted(told_of(LIMIT, Some(sooner))));
        let other = told_of(LIMIT + hour, Some(sooner));
        let thrice = Previous { told: other, ..kept.clone() };
        assert_eq!(step(&thrice, Some(sooner)), noted(told_of(LIMIT, Some(sooner))));
        let told = Previous { told: told_of(LIMIT, Some(sooner)), ..kept };
        for ends in [None, Some(sooner)] {
            assert_eq!(step(&told, ends), Step::SetExpiry("k0".into(), Some(LIMIT)));
        }
        let unknown = Previous { own_end: OwnEnd::Unknown, ..told };
        assert_eq!(step(&unknown, None), Step::Done, "it could not be given back");
    }

    #[test]
    fn an_end_of_ours_moves_with_the_terms_and_nobody_else_s_does() {
        let before = LIMIT - SignedDuration::from_mins(30);
        let was_told = |own_end, told| Previous { own_end, told, ..old(Some(LATER)) };
        let told = told_of(LIMIT, Some(before));
        let step = |one: &Previous, limit| {
            let seen = View { limit, ..in_overlap_with(one.clone(), Some(before)) };
            next_step(&seen, TO_TWO, Way::AddOurs)
        };
        let hour = Some(Span::from_secs(3600));
        let set = |end| Step::SetExpiry("k0".into(), end);
        assert_eq!(step(&was_told(OwnEnd::Never, told), hour), set(Some(LIMIT)));
        let elsewhere = was_told(OwnEnd::Never, told_of(LIMIT, None));
        assert_eq!(step(&elsewhere, hour), Step::Done, "somebody else set it");
        // Where a person is asked it ends as it was issued to.
        assert_eq!(step(&was_told(OwnEnd::Never, told), None), set(None));
        let year = told_of(YEAR, Some(before));
        assert_eq!(step(&was_told(OwnEnd::At(YEAR), year), None), set(Some(YEAR)));
        assert_eq!(step(&elsewhere, None), Step::Done);
        assert_eq!(step(&was_told(OwnEnd::Unknown, told), None), Step::Done);
        let short = was_told(OwnEnd::At(before - SignedDuration::from_mins(5)), told);
        assert_eq!(step(&short, None), Step::Done, "it is made no shorter");
        // Whatever the terms are now: what somebody needs gets its own end back.
        let cut = Some(Cut::Needed { since: NOW });
        let needed = Previous { cut, ..was_told(OwnEnd::Never, told) };
        assert_eq!(step(&needed, Some(Span::from_secs(9 * 86_400))), set(None));
    }

    #[test]
    fn its_platform_is_told_when_an_earlier_key_ends_if_nobody_comes_and_only_where_that_is_sooner()
    {
        let told = Step::SetExpiry("k0".into(), Some(LIMIT));
        let step = |seen: &View, goal| next_step(seen, goal, Way::AddOurs);
        let hour = SignedDuration::from_hours(1);
        let own_end = OwnEnd::Never;
        let kept = || Previous { own_end, told: told_of(LIMIT, None), ..old(Some(LATER)) };
        let seen = in_overlap_with(kept(), None);
        for goal in [TO_TWO, Goal::Retire { at: 2 }, Goal::Cut { at: 2, again: false }] {
            assert_eq!(step(&seen, goal), told, "{goal:?}");
        }
        assert_eq!(step(&in_overlap_with(kept(), Some(LIMIT + hour)), TO_TWO), told);
        for ends in [LIMIT, LIMIT - hour, LIMIT + SignedDuration::from_millis(999)] {
            assert_eq!(step(&in_overlap_with(kept(), Some(ends)), TO_TWO), Step::Done, "{ends}");
        }
        // Told once, or refused, in this run; nothing that it could be told; nothing that is kept.
        let mut again = seen.clone();
        again.told.insert("k0".into());
        assert_eq!(step(&again, TO_TWO), Step::Done);
        assert_eq!(step(&View { limit: None, ..seen.clone() }, TO_TWO), Step::Done);
        assert_eq!(step(&View { moves_expiry: false, ..seen.clone() }, TO_TWO), Step::Done);
        assert_eq!(step(&in_overlap_with(old(None), None), TO_TWO), Step::Done);
        let gone = View { keys: seen.keys[1..].to_vec(), ..seen.clone() };
        assert!(!matches!(step(&gone, TO_TWO), Step::SetExpiry(..)));
        // By no clock that another one disagrees with.
        let apart = Now { lo: NOW - SignedDuration::from_mins(6), hi: NOW };
        assert_eq!(step(&View { now: apart, ..seen.clone() }, TO_TWO), Step::Done);
        // Whoever ends it shows it.
        let ends = Step::BeginEnding(vec![kept()]);
        assert_eq!(step(&seen, Goal::Rotate { to: 2, at_once: true }), ends);
        assert!(matches!(step(&seen, Goal::Revoke), Step::BeginEnding(_)));
        let late = View { now: LIMIT.into(), ..seen };
        assert_eq!(step(&late, TO_TWO), Step::Done);
        assert_eq!(step(&late, Goal::Retire { at: 2 }), ends);
    }

    #[test]
    fn what_somebody_needs_ends_by_itself_when_it_was_issued_to_and_nobody_else_s_end_is_moved() {
        let needed = |own_end| {
            let cut = Some(Cut::Needed { since: NOW });
            let told = match own_end {
                OwnEnd::At(own) => told_of(own, Some(LIMIT)),
                _ => told_of(LIMIT, None),
            };
            Previous { cut, own_end, told, ..old(Some(LATER)) }
        };
        let retire = Goal::Retire { at: 2 };
        let step = |one, ends| {
            let over = View { now: LATER.into(), ..in_overlap_with(one, ends) };
            next_step(&over, retire, Way::AddOurs)
        };
        let year = LIMIT + SignedDuration::from_hours(24 * 365);
        let lifted = |end| Step::SetExpiry("k0".into(), end);
        assert_eq!(step(needed(OwnEnd::Never), Some(LIMIT)), lifted(None));
        assert_eq!(step(needed(OwnEnd::At(year)), Some(LIMIT)), lifted(Some(year)));
        for (own_end, ends) in [
            (OwnEnd::Unknown, Some(LIMIT)),
            (OwnEnd::At(LATER), Some(LIMIT)),
            (OwnEnd::Never, Some(LATER)),
            (OwnEnd::Never, None),
        ] {
            assert_eq!(step(needed(own_end), ends), Step::Hold("still-used"), "{own_end:?}");
        }
        // What is only switched off is there until that is over, and no longer than it was issued for.
        let until = LIMIT + SignedDuration::from_mins(10);
        let off = |own_end| {
            let cut = Some(Cut::Off { since: NOW, until });
            let told = match own_end {
                OwnEnd::At(own) => told_of(own, Some(LIMIT)),
                _ => told_of(until, Some(LIMIT)),
            };
            Previous { cut, own_end, told, ..old(Some(LATER)) }
        };
        assert_eq!(step(off(OwnEnd::Never), Some(LIMIT)), lifted(Some(until)));
        let soon = LIMIT + SignedDuration::from_mins(5);
        assert_eq!(step(off(OwnEnd::At(soon)), Some(LIMIT)), lifted(Some(soon)));
        assert_eq!(step(off(OwnEnd::Never), Some(year)), lifted(Some(until)));
        for (own_end, ends) in
            [(OwnEnd::Never, until), (OwnEnd::Never, soon), (OwnEnd::Unknown, LIMIT)]
        {
            assert_eq!(step(off(own_end), Some(ends)), Step::Done, "{own_end:?} {ends}");
        }
    }

    #[test]
    fn an_earlier_key_that_nobody_sees_in_use_waits_for_consumers_to_read_the_next() {
        let retire = Goal::Retire { at: 2 };
        let hour = Span::from_secs(3600);
        let mut seen = in_overlap(NOW);
        seen.usage.terms = seen.usage.terms.read_within(Some(hour));
        assert_eq!(next_step(&seen, retire, Way::AddOurs), Step::Done);
        assert_eq!(
            next_step(&seen, Goal::Rotate { to: 3, at_once: false }, Way::AddOurs),
            Step::Refuse("old-in-use")
        );
        let ends = Step::BeginEnding(vec![old(Some(NOW))]);
        let exposed = Goal::Rotate { to: 3, at_once: true };
        assert_eq!(next_step(&seen, exposed, Way::AddOurs), ends);
        seen.now = later(NOW, hour).into();
        assert_eq!(next_step(&seen, retire, Way::AddOurs), ends);
        seen.now = NOW.into();
        seen.usage.of.insert("k0".into(), crate::overlap::Evidence::Quiet);
        assert_eq!(next_step(&seen, retire, Way::AddOurs), ends, "it is seen that nobody does");
    }

    #[test]
    fn a_third_generation_waits_for_the_oldest_to_go() {
        let to_three = |at_once| Goal::Rotate { to: 3, at_once };
        let ends = Step::BeginEnding(vec![old(Some(LATER))]);
        let step = |seen: &View, at_once| next_step(seen, to_three(at_once), Way::AddOurs);
        let mut seen = in_overlap(LATER);
        assert_eq!(step(&seen, false), Step::Refuse("old-in-use"));
        assert_eq!(step(&seen, true), ends);
        assert_eq!(step(&in_overlap(NOW), false), Step::BeginEnding(vec![old(Some(NOW))]));
        // The current one is gone: the earlier one is all that works, and it keeps its time.
        seen.keys.retain(|one| one.key_id != "k1");
        assert_eq!(step(&seen, false), Step::Begin);
        seen.room = false;
        assert_eq!(step(&seen, false), ends, "there is no room beside it");
    }

    #[test]
    fn the_anchor_keeps_an_overlap_whose_claim_is_lost() {
        let step =
            |seen: &View, at_once| next_step(seen, Goal::Rotate { to: 3, at_once }, Way::AddOurs);
        let lost = |until| {
            let mut seen = View { claim: None, ..in_overlap(until) };
            seen.mains[0].previous = vec![old(Some(until))];
            seen
        };
        let ends = |until| Step::BeginEnding(vec![old(Some(until))]);
        assert_eq!(step(&lost(LATER), false), Step::Refuse("old-in-use"));
        assert_eq!(step(&lost(LATER), true), ends(LATER));
        assert_eq!(step(&lost(NOW), false), ends(NOW));
        let mut gone = lost(LATER);
        gone.keys.retain(|one| one.key_id != "k0");
        assert_eq!(step(&gone, false), Step::Begin, "it was ended by hand");
        gone.keys = vec![key("k0", None)];
        assert_eq!(step(&gone, false), Step::Begin, "it is all that works");
    }

    fn off(until: Timestamp) -> Previous {
        let since = NOW - SignedDuration::from_hours(1);
        Previous { cut: Some(Cut::Off { since, until }), ..old(Some(since)) }
    }

    fn off_key() -> Key {
        Key { live: false, disabled: true, ..key("k0", None) }
    }

    /// The overlap is over, and the platform can switch one key off.
    fn over(earlier: Previous, keys: Vec<Key>) -> View {
        let mut seen = in_overlap(NOW);
        let claim = seen.claim.as_mut().unwrap();
        claim.previous = vec![earlier];
        seen.keys = keys;
        seen.keys.push(key("k1", Some((2, 5))));
        seen.soft_cut = true;
        seen
    }

    const CUT: Goal = Goal::Cut { at: 2, again: false };
    const AGAIN: Goal = Goal::Cut { at: 2, again: true };
    const RETIRE: Goal = Goal::Retire { at: 2 };

    #[test]
    fn what_is_over_is_switched_off_and_ended_only_when_nobody_missed_it_for_its_time() {
        let step = |seen: &View, goal| next_step(seen, goal, Way::AddUnmarked);
        let seen = over(old(Some(NOW)), vec![key("k0", None)]);
        assert_eq!(step(&seen, CUT), Step::BeginCut(vec![old(Some(NOW))]));
        assert_eq!(step(&seen, RETIRE), Step::BeginCut(vec![old(Some(NOW))]), "never unwatched");
        let watched = over(off(LATER), vec![off_key()]);
        assert_eq!(step(&watched, CUT), Step::Done);
        assert_eq!(step(&watched, RETIRE), Step::Done, "it is only off until then");
        assert_eq!(step(&watched, TO_THREE), Step::Refuse("old-in-use"));
        let ended = over(off(NOW), vec![off_key()]);
        assert_eq!(step(&ended, CUT), Step::Done, "it is off already");
        assert_eq!(step(&ended, RETIRE), Step::BeginEnding(vec![off(NOW)]));
        assert_eq!(step(&ended, TO_THREE), Step::BeginEnding(vec![off(NOW)]));
        let exposed = Goal::Rotate { to: 2, at_once: true };
        assert_eq!(step(&watched, exposed), Step::BeginEnding(vec![off(LATER)]));
        assert!(matches!(step(&watched, Goal::Revoke), Step::BeginEnding(_)));
    }

    const TO_THREE: Goal = Goal::Rotate { to: 3, at_once: false };

    #[test]
    fn a_rotation_switches_off_first_what_it_would_end_where_that_can_be_done() {
        let mut seen = over(old(Some(NOW)), vec![key("k0", None)]);
        let step = |seen: &View| next_step(seen, TO_THREE, Way::AddUnmarked);
        assert_eq!(step(&seen), Step::BeginCut(vec![old(Some(NOW))]));
        seen.soft_cut = false;
        assert_eq!(step(&seen), Step::BeginEnding(vec![old(Some(NOW))]));
    }

    #[test]
    fn a_cut_that_was_begun_is_finished_and_an_incident_ends_at_once() {
        let begun = |keys: Vec<Key>| {
            let mut seen = over(off(LATER), keys);
            seen.claim.as_mut().unwrap().phase = Phase::Cutting;
            seen
        };
        let mut seen = begun(vec![key("k0", None)]);
        let step = |seen: &View, goal| next_step(seen, goal, Way::AddUnmarked);
        for goal in [CUT, RETIRE, TO_TWO, TO_THREE] {
            assert_eq!(step(&seen, goal), Step::Disable("k0".into()), "{goal:?}");
        }
        seen.off.insert("k0".into());
        assert_eq!(step(&seen, CUT), Step::Watch, "a listing may lag");
        assert_eq!(step(&begun(vec![off_key()]), TO_TWO), Step::Watch);
        let exposed = Goal::Rotate { to: 2, at_once: true };
        assert_eq!(step(&seen, exposed), Step::BeginEnding(vec![off(LATER)]));
        assert!(matches!(step(&seen, Goal::Revoke), Step::BeginEnding(_)));
        seen.mine = false;
        assert_eq!(step(&seen, Goal::Reenable), Step::Wait);
        (seen.mine, seen.stale) = (false, true);
        assert_eq!(step(&seen, Goal::Reenable), Step::TakeOver);
    }

    #[test]
    fn what_was_switched_off_is_switched_on_again_by_a_word_while_it_is_there() {
        let step = |seen: &View| next_step(seen, Goal::Reenable, Way::AddUnmarked);
        assert_eq!(step(&over(off(LATER), vec![off_key()])), Step::BeginEnabling);
        assert_eq!(step(&over(off(LATER), vec![key("k0", None)])), Step::Keep);
        assert_eq!(step(&over(off(LATER), vec![])), Step::Done, "it was ended by hand");
        assert_eq!(step(&over(old(Some(NOW)), vec![key("k0", None)])), Step::Done);
        let at = |phase: Phase, keys: Vec<Key>| {
            let mut seen = over(off(NOW), keys);
            seen.claim.as_mut().unwrap().phase = phase;
            seen
        };
        for phase in [Phase::Cutting, Phase::Retiring] {
            assert_eq!(step(&at(phase, vec![off_key()])), Step::BeginEnabling, "{phase:?}");
        }
        assert_eq!(step(&at(Phase::Retiring, vec![])), Step::Done, "nothing is ended by it");
        assert_eq!(step(&at(Phase::Proving, vec![])), Step::Done);
        assert_eq!(step(&at(Phase::Stored, vec![off_key()])), Step::Done);
        let mut seen = at(Phase::Enabling, vec![off_key()]);
        assert_eq!(step(&seen), Step::Enable("k0".into()));
        seen.on.insert("k0".into());
        assert_eq!(step(&seen), Step::Settle, "a late call would switch it off again");
        seen.settled = true;
        assert_eq!(step(&seen), Step::Settle, "and it is seen to be on before it is left");
        seen.keys[0] = key("k0", None);
        assert_eq!(step(&seen), Step::Keep);
        for goal in [CUT, RETIRE, TO_TWO, TO_THREE] {
            assert_eq!(next_step(&seen, goal, Way::AddUnmarked), Step::Keep, "{goal:?}");
        }
    }

    #[test]
    fn what_somebody_missed_is_kept_until_a_person_says_that_nobody_needs_it() {
        let needed = Previous { cut: Some(Cut::Needed { since: NOW }), ..old(Some(NOW)) };
        let mut seen = over(needed.clone(), vec![key("k0", None)]);
        let step = |seen: &View, goal| next_step(seen, goal, Way::AddUnmarked);
        for goal in [CUT, RETIRE] {
            assert_eq!(step(&seen, goal), Step::Hold("still-used"), "{goal:?}");
        }
        assert_eq!(step(&seen, TO_TWO), Step::Done);
        assert_eq!(step(&seen, TO_THREE), Step::Refuse("still-used"));
        assert_eq!(step(&seen, AGAIN), Step::BeginCut(vec![needed.clone()]));
        let mut known = seen.clone();
        known.was_held = true;
        assert_eq!(step(&known, TO_THREE), Step::BeginCut(vec![needed.clone()]));
        known.soft_cut = false;
        assert_eq!(step(&known, AGAIN), Step::BeginEnding(vec![needed.clone()]));
        assert_eq!(step(&known, TO_THREE), Step::BeginEnding(vec![needed.clone()]));
        // What consumers are to read is gone: another one is made, and what somebody needs is kept.
        let mut gone = seen.clone();
        gone.keys.retain(|one| one.key_id == "k0");
        assert_eq!(step(&gone, TO_THREE), Step::Begin);
        gone.room = false;
        assert_eq!(step(&gone, TO_THREE), Step::Refuse("still-used"));
        // It was ended by hand: only that is to be shown.
        seen.keys.retain(|one| one.key_id != "k0");
        assert_eq!(step(&seen, RETIRE), Step::BeginEnding(vec![needed]));
    }

    #[test]
    fn what_a_hand_switched_on_past_us_is_needed_and_not_ended() {
        let mut seen = over(off(NOW), vec![key("k0", None)]);
        let step = |seen: &View, goal| next_step(seen, goal, Way::AddUnmarked);
        assert_eq!(step(&seen, RETIRE), Step::Keep);
        assert_eq!(step(&seen, CUT), Step::Keep);
        assert_eq!(step(&seen, TO_THREE), Step::Refuse("still-used"));
        assert_eq!(step(&seen, AGAIN), Step::BeginCut(vec![off(NOW)]));
        seen.off.insert("k0".into());
        assert_eq!(step(&seen, RETIRE), Step::BeginEnding(vec![off(NOW)]), "a listing lags");
    }

    #[test]
    fn what_is_switched_off_is_not_ended_and_a_lost_claim_ends_nothing_unwatched() {
        let seen = over(old(Some(NOW)), vec![off_key()]);
        let step = |seen: &View, goal| next_step(seen, goal, Way::AddUnmarked);
        assert_eq!(step(&seen, RETIRE), Step::BeginEnding(vec![old(Some(NOW))]));
        let mut retiring = seen.clone();
        retiring.claim.as_mut().unwrap().phase = Phase::Retiring;
        assert_eq!(step(&retiring, RETIRE), Step::End("k0".into()), "off is not ended");
        let mut lost = over(old(Some(NOW)), vec![key("k0", None)]);
        lost.mains[0].previous = lost.claim.take().unwrap().previous;
        (lost.mains[0].key_id, lost.mains[0].generation) = (Some("k1".into()), Some(2));
        assert_eq!(step(&lost, CUT), Step::BeginCut(vec![old(Some(NOW))]));
        assert_eq!(step(&lost, TO_THREE), Step::BeginCut(vec![old(Some(NOW))]));
    }

    fn called(at: Timestamp) -> Claim {
        let called_at = Some(at);
        Claim { timed: true, called_at, ..claim(Phase::Calling) }
    }

    #[test]
    fn what_no_mark_tells_is_called_for_once_and_again_only_when_nothing_can_arrive() {
        let k1 = key("k1", Some((1, 1)));
        let intent = view(Some(claim(Phase::Intent)), vec![k1.clone()]);
        assert_eq!(next_step(&intent, TO_TWO, Way::AddUnmarked), Step::MarkCalling);
        let mut seen = view(Some(called(NOW)), vec![k1]);
        for way in [Way::AddUnmarked, Way::ReplaceOnce] {
            seen.uncalled = true;
            assert_eq!(next_step(&seen, TO_TWO, way), Step::Issue);
            seen.uncalled = false;
            assert_eq!(next_step(&seen, TO_TWO, way), Step::Settle);
            assert_eq!(next_step(&seen, Goal::Revoke, way), Step::Settle);
            seen.settled = true;
            assert_eq!(next_step(&seen, TO_TWO, way), Step::MarkCalling);
            seen.settled = false;
        }
    }

    #[test]
    fn nothing_unmarked_is_called_for_where_it_is_not_seen_what_is_there() {
        let seen = View { uncalled: true, complete: false, ..view(Some(called(NOW)), vec![]) };
        let refused = Step::Refuse("listing-incomplete");
        assert_eq!(next_step(&seen, TO_TWO, Way::AddUnmarked), refused);
    }

    #[test]
    fn an_unmarked_key_is_an_orphan_of_ours_only_where_it_can_be_nobody_else_s() {
        let fresh = Key { issued_at: Some(NOW), ..key("k2", None) };
        let old = NOW - SignedDuration::from_hours(1);
        let step = |more: Vec<Key>| {
            let keys = [vec![key("k1", Some((1, 1)))], more].concat();
            let seen = View { settled: true, ..view(Some(called(NOW)), keys) };
            next_step(&seen, TO_TWO, Way::AddUnmarked)
        };
        let unexplained = Step::Hold("unexplained-credential");
        assert_eq!(step(vec![fresh.clone()]), Step::EndOrphan("k2".into()));
        assert_eq!(step(vec![Key { used: true, ..fresh.clone() }]), unexplained);
        assert_eq!(step(vec![Key { issued_at: Some(old), ..fresh.clone() }]), unexplained);
        assert_eq!(step(vec![Key { issued_at: None, ..fresh.clone() }]), unexplained);
        assert_eq!(step(vec![fresh, key("k3", None)]), unexplained);
    }

    #[test]
    fn an_unmarked_key_that_may_be_a_sibling_s_is_never_ended() {
        let fresh = Key { issued_at: Some(NOW), ..key("k2", None) };
        let view = |siblings: Siblings| {
            let keys = vec![key("k1", Some((1, 1))), fresh.clone()];
            View { settled: true, siblings, ..view(Some(called(NOW)), keys) }
        };
        let step = |siblings: Siblings| next_step(&view(siblings), TO_TWO, Way::AddUnmarked);
        let named = Siblings { keys: BTreeSet::from(["k2".into()]), ..Siblings::default() };
        assert_eq!(step(named.clone()), Step::MarkCalling, "what was called for never came");
        assert_eq!(step(Siblings { at_work: true, ..named.clone() }), Step::MarkCalling);
        let at_work = Siblings { at_work: true, ..Siblings::default() };
        assert_eq!(step(at_work.clone()), Step::Wait);
        let left = Siblings { left: true, ..Siblings::default() };
        assert_eq!(step(left.clone()), Step::Hold("unexplained-credential"));
        for (way, phase) in CALLED {
            for siblings in [named.clone(), at_work.clone(), left.clone()] {
                let mut seen = view(siblings);
                seen.claim = seen.claim.map(|claim| Claim { phase, ..claim });
                let Step::BeginEnding(ends) = next_step(&seen, Goal::Revoke, way) else { panic!() };
                assert!(ends.iter().all(|one| one.key_id != "k2"), "{way:?} {ends:?}");
            }
        }
    }

    #[test]
    fn siblings_are_asked_about_only_where_something_unexplained_came() {
        let k1 = key("k1", Some((1, 1)));
        let mut seen = view(Some(called(NOW)), vec![k1.clone()]);
        seen.settled = true;
        assert!(!seen.asks_siblings(Way::AddUnmarked), "nothing came");
        seen.keys.push(key("k2", None));
        assert!(seen.asks_siblings(Way::AddUnmarked));
        assert!(!seen.asks_siblings(Way::AddMarked));
        seen.memory = Some(("k2".into(), 5));
        assert!(!seen.asks_siblings(Way::AddUnmarked), "the answer was heard");
        let stored = Claim { new: Some("k2".into()), ..claim(Phase::Stored) };
        let mut seen = view(Some(stored), vec![k1, key("k2", None)]);
        seen.settled = true;
        assert!(!seen.asks_siblings(Way::Slots), "the claim names it");
    }

    #[test]
    fn a_call_that_would_end_what_consumers_hold_waits_for_a_person() {
        let refused = |keys: Vec<Key>| {
            let new = Some("k2".to_owned());
            let previous = vec![Previous { key_id: "k1".into(), ..old(None) }];
            let open = Claim { new, previous, timed: true, ..claim(Phase::Stored) };
            let seen = View { verified: Some(false), ..view(Some(open), keys) };
            next_step(&seen, TO_TWO, Way::Grace)
        };
        assert_eq!(refused(vec![key("k1", None), key("k2", None)]), Step::Hold("new-refused"));
        assert_eq!(refused(vec![key("k2", None)]), Step::GiveUp);
    }

    #[test]
    fn what_an_unanswered_call_made_ends_when_consumers_have_the_other_one() {
        let new = Claim { new: Some("k3".into()), timed: true, ..claim(Phase::Stored) };
        let mut seen = view(Some(new), vec![key("k2", None), key("k3", None)]);
        let step = |seen: &View| next_step(seen, TO_TWO, Way::Grace);
        seen.verified = Some(true);
        assert_eq!(step(&seen), Step::Promote("bao:a".into()));
        let promoted = Main {
            version: 2,
            generation: Some(2),
            key_id: Some("k3".into()),
            ..seen.mains[0].clone()
        };
        seen.mains[0] = promoted;
        assert_eq!(step(&seen), Step::EndOrphan("k2".into()));
        seen.keys.remove(0);
        assert_eq!(step(&seen), Step::Park);
        seen.complete = false;
        assert_eq!(step(&seen), Step::Refuse("listing-incomplete"));
    }

    #[test]
    fn what_a_platform_replaced_reaches_consumers_before_it_is_tried() {
        let new = Claim { new: Some("k2".into()), timed: true, ..claim(Phase::Stored) };
        let mut seen = view(Some(new), vec![key("k2", None)]);
        let step = |seen: &View| next_step(seen, TO_TWO, Way::ReplaceOurs);
        assert_eq!(step(&seen), Step::Promote("bao:a".into()));
        let promoted = Main {
            version: 2,
            generation: Some(2),
            key_id: Some("k2".into()),
            ..seen.mains[0].clone()
        };
        seen.mains[0] = promoted;
        assert_eq!(step(&seen), Step::Verify);
        seen.verified = Some(true);
        assert_eq!(step(&seen), Step::Park);
        seen.verified = Some(false);
        assert_eq!(step(&seen), Step::GiveUp);
    }

    #[test]
    fn what_replaces_with_a_secret_of_ours_is_sent_again_only_when_nothing_can_arrive() {
        let ways = [Way::ReplaceOurs, Way::Slots];
        for (way, new) in ways.into_iter().flat_map(|way| [(way, None), (way, Some("k2"))]) {
            let new = new.map(str::to_owned);
            let sent = Claim { new, timed: true, ..claim(Phase::Stored) };
            let mut seen = view(Some(sent), vec![key("k1", None)]);
            assert_eq!(next_step(&seen, TO_TWO, way), Step::Settle);
            seen.uncalled = true;
            assert_eq!(next_step(&seen, TO_TWO, way), Step::Issue);
            (seen.uncalled, seen.settled) = (false, true);
            assert_eq!(next_step(&seen, TO_TWO, way), Step::Issue);
        }
    }

    #[test]
    fn what_fills_a_place_while_it_is_called_for_ends_with_everything_if_it_can_be_nobody_else_s() {
        let fresh = Key { issued_at: Some(NOW), ..key("b2", None) };
        let named = |other: Key| {
            let sent = Claim { timed: true, called_at: Some(NOW), ..claim(Phase::Stored) };
            let mut seen = view(Some(sent), vec![key("k1", None), other]);
            seen.settled = true;
            let Step::BeginEnding(named) = next_step(&seen, Goal::Revoke, Way::Slots) else {
                panic!()
            };
            named.into_iter().map(|one| one.key_id).collect::<Vec<_>>()
        };
        assert_eq!(named(fresh.clone()), ["k1", "b2"]);
        assert_eq!(named(Key { used: true, ..fresh }), ["k1"]);
    }

    #[test]
    fn what_somebody_uses_still_is_waited_for_then_asked_about_and_no_incident_waits() {
        use crate::overlap::{Evidence, Terms};
        let day = domain::Span::from_secs(86_400);
        let uses = |asks, days: i64| {
            let since = NOW - SignedDuration::from_hours(24 * days);
            let mut seen = over(old(Some(since)), vec![key("k0", None)]);
            seen.usage.of.insert("k0".into(), Evidence::Used(NOW));
            seen.usage.terms = Terms::of(day, None, None, asks);
            seen
        };
        let step = |seen: &View, goal| next_step(seen, goal, Way::AddUnmarked);
        for goal in [RETIRE, CUT, TO_THREE] {
            assert_eq!(step(&uses(true, 1), goal), Step::Refuse("still-in-use"), "{goal:?}");
            assert_eq!(step(&uses(true, 9), goal), Step::Keep, "{goal:?}: a person is asked");
            let cut = step(&uses(false, 9), goal);
            assert!(matches!(cut, Step::BeginCut(_)), "{goal:?}: {cut:?}");
            let mut lost = uses(true, 9);
            lost.mains[0].previous = lost.claim.take().unwrap().previous;
            (lost.mains[0].key_id, lost.mains[0].generation) = (Some("k1".into()), Some(2));
            assert_eq!(step(&lost, goal), Step::Refuse("still-in-use"), "{goal:?}: no claim");
        }
        assert!(matches!(step(&uses(true, 1), AGAIN), Step::BeginCut(_)), "a person said so");
        let exposed = Goal::Rotate { to: 2, at_once: true };
        assert!(matches!(step(&uses(true, 1), exposed), Step::BeginEnding(_)));
        assert!(matches!(step(&uses(true, 1), Goal::Revoke), Step::BeginEnding(_)));
        let mut quiet = uses(true, 1);
        quiet.usage.of.insert("k0".into(), Evidence::Quiet);
        assert!(matches!(step(&quiet, RETIRE), Step::BeginCut(_)));
        let mut unknown = uses(true, 1);
        unknown.usage.of.clear();
        assert!(matches!(step(&unknown, RETIRE), Step::BeginCut(_)));
    }

    #[test]
    fn what_is_not_shown_yet_is_looked_at_by_whoever_comes_when_it_is_due_and_whole() {
        use crate::proof::{Ended, Grade};
        let due = |due: Timestamp| {
            let ended = Ended {
                key_id: "k0".into(),
                generation: 1,
                at: NOW,
                grade: Grade::A,
                residual_until: Some(due),
                held_version: None,
                due: Some(due),
            };
            let proofs = Proofs { ended: vec![ended], ..Proofs::default() };
            let claim = Claim { current: Some("k1".into()), proofs, ..claim(Phase::Free) };
            view(Some(claim), vec![key("k1", Some((2, 5)))])
        };
        let step = |seen: &View, goal| next_step(seen, goal, Way::AddOurs);
        for goal in [TO_TWO, TO_THREE, RETIRE, CUT] {
            assert_eq!(step(&due(NOW), goal), Step::Reprove, "{goal:?}");
            let early = step(&due(NOW + SignedDuration::from_secs(1)), goal);
            assert_ne!(early, Step::Reprove, "{goal:?}");
            let unseen = View { complete: false, ..due(NOW) };
            assert_ne!(step(&unseen, goal), Step::Reprove, "{goal:?}");
        }
        let exposed = Goal::Rotate { to: 3, at_once: true };
        for goal in [Goal::Revoke, Goal::Reenable, exposed] {
            assert_ne!(step(&due(NOW), goal), Step::Reprove, "{goal:?}");
        }
    }

    #[test]
    fn another_key_of_the_same_generation_that_was_promoted_verifies_nothing() {
        let new = Claim { new: Some("k3".into()), ..claim(Phase::Stored) };
        let mut seen = view(Some(new), vec![key("k2", Some((2, 4))), key("k3", Some((2, 5)))]);
        let step = |seen: &View| next_step(seen, TO_TWO, Way::AddMarked);
        // The claim of whoever promoted that was lost in the middle of it.
        (seen.mains[0].generation, seen.mains[0].key_id) = (Some(2), Some("k2".into()));
        assert_eq!(step(&seen), Step::Verify);
        seen.mains[0].key_id = Some("k3".into());
        assert_eq!(step(&seen), Step::Park);
    }

    #[test]
    fn a_new_key_that_somebody_switched_off_waits_for_a_person() {
        let off = |key_id: &str| Key { live: false, disabled: true, ..key(key_id, None) };
        let hold = Step::Hold("new-switched-off");
        let new = Claim { new: Some("k2".into()), ..claim(Phase::Stored) };
        let seen = view(Some(new), vec![key("k1", Some((1, 1))), off("k2")]);
        for way in [Way::AddOurs, Way::AddMarked, Way::Slots, Way::ReplaceOurs] {
            assert_eq!(next_step(&seen, TO_TWO, way), hold, "{way:?}");
        }
        let mut seen = view(Some(claim(Phase::Intent)), vec![off("only")]);
        seen.memory = Some(("only".into(), 5));
        assert_eq!(next_step(&seen, TO_TWO, Way::FirstOnly), hold);
        let mut seen = view(Some(called(NOW)), vec![off("k2")]);
        seen.memory = Some(("k2".into(), 5));
        assert_eq!(next_step(&seen, TO_TWO, Way::ReplaceOnce), hold);
    }

    #[test]
    fn who_goes_on_without_a_key_that_was_switched_off_ends_it_first() {
        let off = |key_id: &str| Key { live: false, disabled: true, ..key(key_id, None) };
        let held = Claim { new: Some("k2".into()), ..claim(Phase::Held) };
        let mut seen = view(Some(held), vec![key("k1", None), off("k2")]);
        seen.mine = false;
        seen.was_held = true;
        let step = |seen: &View| next_step(seen, TO_TWO, Way::AddUnmarked);
        assert_eq!(step(&seen), Step::TakeOver);
        let stands = |seen: &mut View, phase| {
            seen.mine = true;
            seen.claim.as_mut().unwrap().phase = phase;
        };
        stands(&mut seen, Phase::Stored);
        assert_eq!(step(&seen), Step::GiveUp);
        stands(&mut seen, Phase::GivingUp);
        seen.claim.as_mut().unwrap().mains.insert("bao:a".into(), 0);
        assert_eq!(step(&seen), Step::EndNew("k2".into()));
        seen.keys.pop();
        assert_eq!(step(&seen), Step::BeginAgain);
        // What somebody reads is not ended: another one takes its place.
        let held = Claim { new: Some("k2".into()), ..claim(Phase::Held) };
        let mut seen = view(Some(held), vec![key("k1", None), off("k2")]);
        seen.was_held = true;
        (seen.mains[0].generation, seen.mains[0].key_id) = (Some(2), Some("k2".into()));
        assert_eq!(step(&seen), Step::BeginAgain);
    }

    #[test]
    fn what_sinks_hold_is_no_orphan_although_the_claim_that_named_it_is_lost() {
        let behind = Claim { current: Some("k1".into()), epoch: 9, ..claim(Phase::Parked) };
        let keys = vec![key("k1", Some((1, 1))), key("k2", Some((2, 5)))];
        let mut seen = view(Some(behind), keys);
        assert_eq!(next_step(&seen, RETIRE, Way::AddMarked), Step::EndOrphan("k2".into()));
        (seen.mains[0].generation, seen.mains[0].key_id) = (Some(2), Some("k2".into()));
        assert_ne!(next_step(&seen, RETIRE, Way::AddMarked), Step::EndOrphan("k2".into()));
    }

    #[test]
    fn a_claim_of_an_earlier_day_catches_up_with_the_anchor_while_nobody_is_at_work() {
        let anchor = Main {
            version: 4,
            generation: Some(3),
            epoch: 7,
            key_id: Some("k3".into()),
            previous: vec![old(Some(LATER))],
            ..view(None, Vec::new()).mains[0].clone()
        };
        let of_before = Claim { generation: 2, current: Some("k0".into()), ..claim(Phase::Free) };
        let mut caught = of_before.clone();
        caught.catch_up(&anchor);
        assert_eq!((caught.generation, caught.phase), (3, Phase::Parked));
        assert_eq!((caught.current.as_deref(), &caught.previous), (Some("k3"), &anchor.previous));
        for left in [
            Claim { phase: Phase::Stored, ..of_before.clone() },
            Claim { generation: 3, ..of_before.clone() },
        ] {
            let mut as_it_was = left.clone();
            as_it_was.catch_up(&anchor);
            assert_eq!(as_it_was, left);
        }
        let mut revoked = of_before.clone();
        revoked.catch_up(&Main { generation: None, key_id: None, ..anchor });
        assert_eq!(revoked, of_before);
    }

    #[test]
    fn an_earlier_key_keeps_its_time_where_only_a_document_is_lost_and_there_is_no_room() {
        let mut seen = over(old(Some(LATER)), vec![key("k0", None)]);
        (seen.room, seen.mains[0].generation) = (false, None);
        let step = |seen: &View| next_step(seen, TO_THREE, Way::AddUnmarked);
        assert_eq!(step(&seen), Step::Refuse("old-in-use"));
        seen.keys.retain(|one| one.key_id == "k0");
        assert!(matches!(step(&seen), Step::BeginEnding(_)), "nothing else works any more");
    }

    #[test]
    fn a_generation_is_never_issued_twice() {
        let settled = Claim { current: Some("k1".into()), ..claim(Phase::Free) };
        let mut seen = view(Some(settled), vec![key("k1", Some((2, 5)))]);
        seen.mains[0].generation = None;
        assert_eq!(next_step(&seen, TO_TWO, Way::AddOurs), Step::Done);
        seen.claim = None;
        seen.known = Some(("k1".into(), 2));
        assert_eq!(next_step(&seen, TO_TWO, Way::AddOurs), Step::Done);
    }

    #[test]
    fn a_hold_ends_by_who_wants_the_rotation_and_knew_of_it() {
        let new = Claim { new: Some("k2".into()), ..claim(Phase::Held) };
        let mut seen = view(Some(new), vec![key("k1", Some((1, 1))), key("k2", Some((2, 5)))]);
        seen.mine = false;
        assert_eq!(next_step(&seen, TO_TWO, Way::AddOurs), Step::Hold("held"));
        seen.was_held = true;
        assert_eq!(next_step(&seen, TO_TWO, Way::AddOurs), Step::TakeOver);
        let copy = Goal::Rotate { to: 1, at_once: false };
        assert_eq!(next_step(&seen, copy, Way::AddOurs), Step::Hold("held"));
        seen.keys.pop();
        assert_eq!(next_step(&seen, TO_TWO, Way::AddOurs), Step::BeginAgain);
        assert!(matches!(next_step(&seen, Goal::Revoke, Way::AddOurs), Step::BeginEnding(_)));
    }

    const SELF: Way = Way::ReplaceSelf { punishes_reuse: false };
    const PUNISHED: Way = Way::ReplaceSelf { punishes_reuse: true };

    #[test]
    fn what_makes_its_own_successor_is_written_down_before_it_is_called_with() {
        let mut seen = view(Some(claim(Phase::Intent)), vec![key("k1", None)]);
        for way in [SELF, PUNISHED] {
            assert_eq!(next_step(&seen, TO_TWO, way), Step::MarkCalling);
        }
        seen.claim = Some(claim(Phase::Calling));
        seen.uncalled = true;
        for way in [SELF, PUNISHED] {
            assert_eq!(next_step(&seen, TO_TWO, way), Step::Issue);
        }
    }

    #[test]
    fn what_made_its_successor_is_never_called_with_again_and_a_person_is_told() {
        let hold = Step::Hold("locked-out-of-management");
        let mut seen = view(Some(claim(Phase::Calling)), vec![key("k1", None)]);
        assert_eq!(next_step(&seen, TO_TWO, SELF), Step::Settle, "it may be on its way");
        seen.settled = true;
        assert_eq!(next_step(&seen, TO_TWO, SELF), Step::MarkCalling, "it never arrived");
        assert_eq!(next_step(&seen, TO_TWO, PUNISHED), hold, "and may have all the same");
        // What took its place lives, and nobody has it.
        seen.keys = vec![key("k2", None)];
        for way in [SELF, PUNISHED] {
            assert_eq!(next_step(&seen, TO_TWO, way), hold);
        }
        seen.complete = false;
        assert_eq!(next_step(&seen, TO_TWO, SELF), Step::Refuse("listing-incomplete"));
        // Where there was none, its parent makes it, and can do so again.
        seen.complete = true;
        seen.claim = Some(Claim { current: None, ..claim(Phase::Calling) });
        for way in [SELF, PUNISHED] {
            assert_eq!(next_step(&seen, TO_TWO, way), Step::MarkCalling);
        }
        // Whoever asks again has been told, and nothing has become of it.
        seen.claim = Some(claim(Phase::Held));
        seen.was_held = true;
        assert_eq!(next_step(&seen, TO_TWO, SELF), hold);
        seen.keys = vec![key("k1", None)];
        assert_eq!(next_step(&seen, TO_TWO, PUNISHED), Step::BeginAgain);
        assert!(matches!(next_step(&seen, Goal::Revoke, SELF), Step::BeginEnding(_)));
    }

    #[test]
    fn what_its_platform_made_of_itself_is_stored_before_anybody_asks_whether_it_works() {
        let mut seen = view(Some(claim(Phase::Calling)), Vec::new());
        seen.memory = Some(("k2".into(), 5));
        assert_eq!(next_step(&seen, TO_TWO, SELF), Step::Store("k2".into()));
        seen.complete = false;
        assert_eq!(next_step(&seen, TO_TWO, SELF), Step::Store("k2".into()));
        // It goes out, and is tried then; one that is refused makes no other.
        let stored = Claim { new: Some("k2".into()), ..claim(Phase::Stored) };
        let mut seen = view(Some(stored.clone()), vec![key("k2", None)]);
        assert_eq!(next_step(&seen, TO_TWO, SELF), Step::Promote("bao:a".into()));
        seen.claim = Some(Claim { phase: Phase::GivingUp, ..stored });
        assert_eq!(next_step(&seen, TO_TWO, SELF), Step::Hold("locked-out-of-management"));
    }

    #[test]
    fn nothing_is_begun_with_what_is_dead() {
        let hold = Step::Hold("locked-out-of-management");
        let at_rest = Claim { current: Some("k1".into()), generation: 1, ..claim(Phase::Free) };
        let mut seen = view(Some(at_rest.clone()), Vec::new());
        assert_eq!(next_step(&seen, TO_TWO, SELF), hold);
        assert_eq!(next_step(&seen, TO_TWO, Way::ReplaceOnce), Step::Begin, "ours makes another");
        seen.keys = vec![key("k1", None)];
        assert_eq!(next_step(&seen, TO_TWO, SELF), Step::Begin);
        // The claim is lost, and the anchor says which it is.
        seen.claim = None;
        assert_eq!(next_step(&seen, TO_TWO, SELF), Step::Begin);
        seen.keys.clear();
        assert_eq!(next_step(&seen, TO_TWO, SELF), hold);
        // Everything was ended: its parent makes the first.
        seen.claim = Some(Claim { current: None, ..at_rest });
        assert_eq!(next_step(&seen, TO_TWO, SELF), Step::Begin);
    }
}
