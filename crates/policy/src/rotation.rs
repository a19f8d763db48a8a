//! Which step of a rotation comes next: pure, so that it can be searched and replayed.
//!
//! The order is the point. A secret of ours is durable before the platform hears of it; nothing is
//! promoted unverified; nothing is ended before every sink has the new one; and a key is ended only
//! where the claim names it, or where its genuine marker has an epoch that is not newer than ours.
//! Steps are data, so whoever comes next goes on wherever somebody stopped.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

/// How far a claim has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Nobody is at work.
    Free,
    /// A key is about to be issued by the platform; its secret is not known yet.
    Intent,
    /// The secret is in the claim.
    Stored,
    /// The new key is being given up.
    GivingUp,
    /// All sinks have the new one; earlier ones still work. Nobody owns this phase.
    Parked,
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
            Phase::Stored => "stored",
            Phase::GivingUp => "giving_up",
            Phase::Parked => "parked",
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
            Phase::Stored,
            Phase::GivingUp,
            Phase::Parked,
            Phase::Retiring,
            Phase::Proving,
            Phase::Held,
        ]
        .into_iter()
        .find(|phase| phase.as_str() == word)
    }

    /// Whether a deed was begun and is not finished.
    pub fn is_open(self) -> bool {
        !matches!(self, Phase::Free | Phase::Parked)
    }
}

/// A key that is to end, or to be kept for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Previous {
    /// The vendor's id.
    pub key_id: String,
    /// Its generation; 0 where it carried no marker of ours.
    pub generation: u64,
    /// Not to be ended before this.
    pub retire_not_before: Option<Timestamp>,
    /// Which version of the anchor's document still holds its secret.
    pub held_version: Option<u64>,
}

/// The non-secret part of a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// The new key, once the platform has named it.
    pub new: Option<String>,
    /// The version of each sink's document that a promote replaces; 0 where there is none.
    pub mains: BTreeMap<String, u64>,
    /// Keys to keep for a while, or to end.
    pub previous: Vec<Previous>,
    /// Why: `schedule`, `exposed`, ….
    pub reason: String,
    /// What allowed it.
    pub auth: String,
    /// Why it is held.
    pub hold: Option<String>,
    /// The slot is being replaced: what would have been ended is kept until its successor works.
    pub parked_for_replace: bool,
}

/// A sink's document, as seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Main {
    /// `<connection>:<path>`.
    pub place: String,
    /// Its version; 0 where there is none.
    pub version: u64,
    /// The generation that it holds; `None` where it holds nothing of ours.
    pub generation: Option<u64>,
    /// The key that it says is current.
    pub key_id: Option<String>,
    /// Something of somebody else is there: `sink-occupied`, or `foreign-realm` where another
    /// realm's mark stands in it.
    pub occupied: Option<&'static str>,
}

/// A key on the platform, as seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// The vendor's id.
    pub key_id: String,
    /// Generation and epoch of a genuine marker of this very slot.
    pub ours: Option<(u64, u64)>,
    /// It authenticates as far as the listing tells.
    pub live: bool,
}

/// Everything that a decision rests on. Joined anew after anything but a clean success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// The present.
    pub now: Timestamp,
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
    /// The key that the caller's own books name as current, with its generation.
    pub known: Option<(String, u64)>,
    /// The slot was held already when this run began: whoever wants a rotation has seen that.
    pub was_held: bool,
    /// The listing of keys is complete.
    pub complete: bool,
    /// A secret in this process' memory: its key and the epoch under which it was issued.
    pub memory: Option<(String, u64)>,
    /// The new key was verified by this process under this epoch.
    pub verified: Option<bool>,
    /// Children of ended keys were swept in this run.
    pub swept: bool,
    /// The ending was proven, as far as it can be, in this run.
    pub proven: bool,
    /// Earlier versions were destroyed in this run.
    pub destroyed: bool,
}

/// What is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    /// All keys of the slot are ended.
    Revoke,
}

/// Who makes the secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// We do: it is stored first.
    Ours,
    /// The platform does, with our marker in the same call.
    VendorMarked,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Take the claim for a new generation: the first write of a rotation.
    Begin,
    /// Take over an open claim under a new epoch.
    TakeOver,
    /// Take the claim to end these keys.
    BeginEnding(Vec<Previous>),
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
    /// End a named key.
    End(String),
    /// Find what was minted from ended keys.
    Sweep,
    /// Show that they are ended.
    Prove,
    /// Destroy the versions that still hold their secrets.
    DestroyPrevious,
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

/// How many keys are tried before a person is asked.
const ATTEMPTS: u32 = 3;

/// Decides the next step.
pub fn next_step(view: &View, goal: Goal, origin: Origin) -> Step {
    match &view.claim {
        Some(claim) if claim.phase == Phase::Held => held(view, claim, goal),
        Some(claim) if claim.phase.is_open() && !view.mine => match goal {
            Goal::Revoke => Step::TakeOver,
            _ if view.stale => Step::TakeOver,
            _ => Step::Wait,
        },
        Some(claim) if claim.phase.is_open() => go_on(view, claim, goal, origin),
        Some(claim) => at_rest(view, claim, goal),
        None => match goal {
            Goal::Rotate { to, .. }
                if anchor(view).is_some_and(|main| main.generation >= Some(to))
                    || view.known.as_ref().is_some_and(|(_, generation)| *generation >= to) =>
            {
                Step::Done
            }
            Goal::Rotate { .. } => begin(view),
            Goal::Retire { .. } => Step::Done,
            Goal::Revoke => match marked(view) {
                keys if keys.is_empty() => Step::Done,
                keys => Step::BeginEnding(keys),
            },
        },
    }
}

fn anchor(view: &View) -> Option<&Main> {
    view.mains.last()
}

fn is_live(view: &View, key_id: &str) -> bool {
    view.keys.iter().any(|key| key.key_id == key_id && key.live)
}

/// Live keys that carry a genuine marker of this slot.
fn marked(view: &View) -> Vec<Previous> {
    view.keys
        .iter()
        .filter(|key| key.live)
        .filter_map(|key| Some((key, key.ours?.0)))
        .map(|(key, generation)| Previous {
            key_id: key.key_id.clone(),
            generation,
            retire_not_before: None,
            held_version: None,
        })
        .collect()
}

/// All live keys of the slot: those that the claim names and those that carry its marker.
fn all_keys(view: &View, claim: &Claim) -> Vec<Previous> {
    let mut keys: Vec<Previous> =
        claim.previous.iter().filter(|one| is_live(view, &one.key_id)).cloned().collect();
    let named =
        claim.current.iter().chain(&claim.new).filter(|id| is_live(view, id)).map(|id| Previous {
            key_id: id.clone(),
            generation: claim.generation,
            retire_not_before: None,
            held_version: None,
        });
    for one in named.chain(marked(view)) {
        if !keys.iter().any(|have| have.key_id == one.key_id) {
            keys.push(one);
        }
    }
    keys
}

fn begin_ending(view: &View, keys: Vec<Previous>) -> Step {
    if keys.is_empty() && view.complete { Step::Close } else { Step::BeginEnding(keys) }
}

/// A key that somebody issued who had lost the claim by then: it carries a genuine marker of this
/// slot, its epoch is not newer than the claim's, and the claim does not name it. While nobody is at
/// work its secret is in nobody's hand, or in one that may not store it any more.
fn late_orphan<'a>(view: &'a View, claim: &Claim) -> Option<&'a Key> {
    let named = |key_id: &str| {
        claim.current.iter().chain(&claim.new).any(|one| one == key_id)
            || claim.previous.iter().any(|one| one.key_id == key_id)
    };
    let late = |key: &&Key| {
        key.live && key.ours.is_some_and(|(_, epoch)| epoch <= claim.epoch) && !named(&key.key_id)
    };
    view.keys.iter().find(late)
}

/// Nothing is issued that has nowhere to go.
fn begin(view: &View) -> Step {
    let occupied = view.mains.iter().find_map(|main| main.occupied);
    occupied.map_or(Step::Begin, Step::Refuse)
}

/// A person had to decide. Whoever asks for a rotation now, and knew, has decided: what works is
/// taken up where it was left, and what does not is begun again.
fn held(view: &View, claim: &Claim, goal: Goal) -> Step {
    match goal {
        // Ending is always open.
        Goal::Revoke => begin_ending(view, all_keys(view, claim)),
        Goal::Rotate { to, .. } if view.was_held && to >= claim.generation => match &claim.new {
            Some(key_id) if is_live(view, key_id) => Step::TakeOver,
            _ if view.complete => Step::BeginAgain,
            _ => Step::Refuse("listing-incomplete"),
        },
        _ => Step::Hold("held"),
    }
}

/// The time of all earlier keys is over. They were kept together, from one promote on.
fn overlap_is_over(view: &View, claim: &Claim) -> bool {
    claim.previous.iter().all(|one| one.retire_not_before.is_none_or(|at| at <= view.now))
}

/// What consumers are to read is there, and works as far as the listing tells.
fn current_serves(view: &View, claim: &Claim) -> bool {
    anchor(view).is_some_and(|main| main.generation == Some(claim.generation))
        && claim.current.as_ref().is_some_and(|key_id| is_live(view, key_id))
}

/// Free or parked: nobody is at work.
fn at_rest(view: &View, claim: &Claim, goal: Goal) -> Step {
    let parked = claim.phase == Phase::Parked;
    if goal != Goal::Revoke
        && let Some(key) = late_orphan(view, claim)
    {
        return Step::EndOrphan(key.key_id.clone());
    }
    match goal {
        Goal::Revoke => match all_keys(view, claim) {
            keys if keys.is_empty() && !parked => Step::Done,
            keys => begin_ending(view, keys),
        },
        // Planned at another generation: what was earlier then is not what is earlier now.
        Goal::Retire { at } if claim.generation > at => Step::Done,
        Goal::Retire { .. } if parked && overlap_is_over(view, claim) => {
            Step::BeginEnding(claim.previous.clone())
        }
        Goal::Retire { .. } => Step::Done,
        // A generation is never issued twice: what is missing in a sink is copied there.
        Goal::Rotate { to, at_once } if claim.generation >= to => {
            if parked && at_once {
                Step::BeginEnding(claim.previous.clone())
            } else {
                Step::Done
            }
        }
        // Never three generations: the older one goes first, when its time is over.
        Goal::Rotate { at_once, .. } if parked => {
            let theirs = claim.previous.iter().any(|one| is_live(view, &one.key_id));
            if theirs && !at_once && !overlap_is_over(view, claim) && current_serves(view, claim) {
                Step::Refuse("old-in-use")
            } else {
                Step::BeginEnding(claim.previous.clone())
            }
        }
        Goal::Rotate { .. } => begin(view),
    }
}

fn go_on(view: &View, claim: &Claim, goal: Goal, origin: Origin) -> Step {
    let ending = matches!(claim.phase, Phase::Retiring | Phase::Proving);
    if goal == Goal::Revoke && !ending {
        return begin_ending(view, all_keys(view, claim));
    }
    match claim.phase {
        Phase::Intent => intent(view, claim, origin),
        Phase::Stored => stored(view, claim, origin),
        Phase::GivingUp => giving_up(view, claim),
        Phase::Retiring | Phase::Proving => retiring(view, claim),
        Phase::Free | Phase::Parked | Phase::Held => Step::Done,
    }
}

fn intent(view: &View, claim: &Claim, origin: Origin) -> Step {
    if origin == Origin::Ours {
        // The secret was to be stored with the claim; a claim without it begins again.
        return Step::BeginAgain;
    }
    if let Some((key_id, epoch)) = &view.memory
        && *epoch == claim.epoch
        && is_live(view, key_id)
    {
        return Step::Store(key_id.clone());
    }
    // Marked for this generation under an epoch that is not newer than ours, and its secret is in
    // nobody's hand: an answer was lost.
    let orphan = view.keys.iter().find(|key| {
        key.live
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

fn stored(view: &View, claim: &Claim, origin: Origin) -> Step {
    match &claim.new {
        None if origin == Origin::Ours => return Step::Issue,
        None => return Step::BeginAgain,
        Some(key_id) if view.complete && !is_live(view, key_id) => {
            return match origin {
                Origin::Ours => Step::Issue,
                Origin::VendorMarked => Step::BeginAgain,
            };
        }
        Some(_) => {}
    }
    match view.verified {
        Some(false) => return Step::GiveUp,
        // A document that has this generation was promoted by somebody who had verified it.
        None if !view.mains.iter().any(|main| main.generation == Some(claim.generation)) => {
            return Step::Verify;
        }
        None | Some(true) => {}
    }
    for main in &view.mains {
        if main.generation == Some(claim.generation) && main.key_id == claim.new {
            continue;
        }
        if let Some(why) = main.occupied {
            return Step::Hold(why);
        }
        if claim.mains.get(&main.place).copied().unwrap_or(0) != main.version {
            return Step::Hold("sink-changed-by-others");
        }
        return Step::Promote(main.place.clone());
    }
    Step::Park
}

fn giving_up(view: &View, claim: &Claim) -> Step {
    for main in &view.mains {
        let expected = claim.mains.get(&main.place).copied().unwrap_or(0);
        // Only a document that is still where the claim found it can take a late promote.
        if main.version == expected && main.version > 0 {
            return Step::Fence(main.place.clone());
        }
    }
    match &claim.new {
        Some(key_id) if is_live(view, key_id) => Step::EndNew(key_id.clone()),
        _ if claim.attempt + 1 >= ATTEMPTS => Step::Hold("verify-failed"),
        _ => Step::BeginAgain,
    }
}

fn retiring(view: &View, claim: &Claim) -> Step {
    if let Some(one) = claim.previous.iter().find(|one| is_live(view, &one.key_id)) {
        return Step::End(one.key_id.clone());
    }
    if !view.swept {
        Step::Sweep
    } else if !view.proven {
        Step::Prove
    } else if !view.destroyed {
        Step::DestroyPrevious
    } else {
        Step::Close
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: &str, ours: Option<(u64, u64)>) -> Key {
        Key { key_id: id.into(), ours, live: true }
    }

    fn view(claim: Option<Claim>, keys: Vec<Key>) -> View {
        View {
            now: NOW,
            claim,
            mine: true,
            stale: false,
            mains: vec![Main {
                place: "bao:a".into(),
                version: 1,
                generation: Some(1),
                key_id: Some("k1".into()),
                occupied: None,
            }],
            keys,
            known: None,
            was_held: false,
            complete: true,
            memory: None,
            verified: None,
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
            new: None,
            mains: BTreeMap::from([("bao:a".into(), 1)]),
            previous: Vec::new(),
            reason: "schedule".into(),
            auth: "policy:schedule".into(),
            hold: None,
            parked_for_replace: false,
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
            next_step(&view, TO_TWO, Origin::VendorMarked)
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
            next_step(&view, TO_TWO, Origin::VendorMarked)
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
        assert_eq!(next_step(&view, TO_TWO, Origin::VendorMarked), Step::EndOrphan("k2".into()));
        view.memory = Some(("k2".into(), 5));
        assert_eq!(next_step(&view, TO_TWO, Origin::VendorMarked), Step::Store("k2".into()));
    }

    #[test]
    fn nothing_is_promoted_unverified_nor_over_somebody_s_change() {
        let new = Claim { new: Some("k2".into()), ..claim(Phase::Stored) };
        let keys = vec![key("k1", Some((1, 1))), key("k2", Some((2, 5)))];
        let mut seen = view(Some(new), keys);
        assert_eq!(next_step(&seen, TO_TWO, Origin::Ours), Step::Verify);
        seen.verified = Some(true);
        assert_eq!(next_step(&seen, TO_TWO, Origin::Ours), Step::Promote("bao:a".into()));
        seen.mains[0].version = 2;
        assert_eq!(next_step(&seen, TO_TWO, Origin::Ours), Step::Hold("sink-changed-by-others"));
        seen.verified = Some(false);
        assert_eq!(next_step(&seen, TO_TWO, Origin::Ours), Step::GiveUp);
    }

    #[test]
    fn giving_up_fences_every_sink_before_the_key_ends() {
        let new = Claim { new: Some("k2".into()), ..claim(Phase::GivingUp) };
        let mut seen = view(Some(new), vec![key("k1", Some((1, 1))), key("k2", Some((2, 5)))]);
        assert_eq!(next_step(&seen, TO_TWO, Origin::Ours), Step::Fence("bao:a".into()));
        seen.mains[0].version = 2;
        assert_eq!(next_step(&seen, TO_TWO, Origin::Ours), Step::EndNew("k2".into()));
        seen.keys.pop();
        assert_eq!(next_step(&seen, TO_TWO, Origin::Ours), Step::BeginAgain);
    }

    #[test]
    fn somebody_else_s_work_is_waited_for_and_taken_over_only_when_silent() {
        let mut seen = view(Some(claim(Phase::Stored)), vec![]);
        seen.mine = false;
        assert_eq!(next_step(&seen, TO_TWO, Origin::Ours), Step::Wait);
        assert_eq!(next_step(&seen, Goal::Revoke, Origin::Ours), Step::TakeOver);
        seen.stale = true;
        assert_eq!(next_step(&seen, TO_TWO, Origin::Ours), Step::TakeOver);
    }

    #[test]
    fn a_rotation_that_somebody_did_is_done() {
        let mut seen = view(Some(Claim { phase: Phase::Parked, ..claim(Phase::Parked) }), vec![]);
        seen.mains[0].generation = Some(2);
        assert_eq!(next_step(&seen, TO_TWO, Origin::Ours), Step::Done);
    }

    #[test]
    fn revoking_ends_all_keys_of_the_slot_and_no_other() {
        let keys = vec![key("k1", Some((1, 1))), key("human", None), key("k2", Some((2, 5)))];
        let seen = view(Some(Claim { phase: Phase::Free, ..claim(Phase::Free) }), keys);
        let Step::BeginEnding(named) = next_step(&seen, Goal::Revoke, Origin::Ours) else {
            panic!()
        };
        let ids: Vec<&str> = named.iter().map(|one| one.key_id.as_str()).collect();
        assert_eq!(ids, ["k1", "k2"]);
    }

    fn old(retire_not_before: Option<Timestamp>) -> Previous {
        Previous { key_id: "k0".into(), generation: 1, retire_not_before, held_version: None }
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
        assert_eq!(next_step(&in_overlap(LATER), retire, Origin::Ours), Step::Done);
        let over = next_step(&in_overlap(NOW), retire, Origin::Ours);
        assert_eq!(over, Step::BeginEnding(vec![old(Some(NOW))]));
        let planned_before = Goal::Retire { at: 1 };
        assert_eq!(next_step(&in_overlap(NOW), planned_before, Origin::Ours), Step::Done);
    }

    #[test]
    fn a_third_generation_waits_for_the_oldest_to_go() {
        let to_three = |at_once| Goal::Rotate { to: 3, at_once };
        let ends = Step::BeginEnding(vec![old(Some(LATER))]);
        let step = |seen: &View, at_once| next_step(seen, to_three(at_once), Origin::Ours);
        let mut seen = in_overlap(LATER);
        assert_eq!(step(&seen, false), Step::Refuse("old-in-use"));
        assert_eq!(step(&seen, true), ends);
        assert_eq!(step(&in_overlap(NOW), false), Step::BeginEnding(vec![old(Some(NOW))]));
        seen.keys.retain(|one| one.key_id != "k1");
        assert_eq!(step(&seen, false), ends, "the current one is gone");
    }

    #[test]
    fn a_generation_is_never_issued_twice() {
        let settled = Claim { current: Some("k1".into()), ..claim(Phase::Free) };
        let mut seen = view(Some(settled), vec![key("k1", Some((2, 5)))]);
        seen.mains[0].generation = None;
        assert_eq!(next_step(&seen, TO_TWO, Origin::Ours), Step::Done);
        seen.claim = None;
        seen.known = Some(("k1".into(), 2));
        assert_eq!(next_step(&seen, TO_TWO, Origin::Ours), Step::Done);
    }

    #[test]
    fn a_hold_ends_by_who_wants_the_rotation_and_knew_of_it() {
        let new = Claim { new: Some("k2".into()), ..claim(Phase::Held) };
        let mut seen = view(Some(new), vec![key("k1", Some((1, 1))), key("k2", Some((2, 5)))]);
        seen.mine = false;
        assert_eq!(next_step(&seen, TO_TWO, Origin::Ours), Step::Hold("held"));
        seen.was_held = true;
        assert_eq!(next_step(&seen, TO_TWO, Origin::Ours), Step::TakeOver);
        let copy = Goal::Rotate { to: 1, at_once: false };
        assert_eq!(next_step(&seen, copy, Origin::Ours), Step::Hold("held"));
        seen.keys.pop();
        assert_eq!(next_step(&seen, TO_TWO, Origin::Ours), Step::BeginAgain);
        assert!(matches!(next_step(&seen, Goal::Revoke, Origin::Ours), Step::BeginEnding(_)));
    }
}
