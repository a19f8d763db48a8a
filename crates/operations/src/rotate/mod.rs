//! Observe, decide, journal, act; and after anything but a clean success observe again.
//!
//! `policy::rotation::next_step` decides; nothing here chooses. The claim in custody is the
//! write-ahead record and the lock: it is written before the platform is called, so a run that dies
//! anywhere leaves what the next one needs.

mod claiming;
mod cut;
mod end;
mod expiry;
mod hold;
mod issue;
mod promote;
mod prove;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use connector::{
    Children, Connector, Effect, Marks, ObjectRef, ProbeBudget, Profile, Refusal, Want,
};
use data_encoding::HEXLOWER;
use domain::{LastUsed, Marker, ObservedCredential, RealmKey, Secret, Span, realm::digest_of};
use jiff::Timestamp;
use ledger::NewEntry;
use policy::{
    duty::{Books, Terms, duties},
    overlap::Usage,
    proof::Proofs,
    reason::Reason,
    rotation::{
        Claim, Goal, Key, Main, Phase, Previous, Siblings, Step, View, Way, has_stopped, may_stop,
        next_step, stopped,
    },
    schedule::later,
};
use secrets::{Document, Look};
use tokio::time::Instant;

use crate::{
    Context, Problem, Revoked,
    claim::{ClaimDocument, ClaimStore},
    credential,
    decommission::not_stopped,
    document::{Meta, matches, secret_in},
    duty,
    journal::moment,
    ourselves::not_our_key,
    places::{claim_is_elsewhere, custody_place},
    promise::interrupts,
    realm_key,
    slot::{Delivery, Sinks, SlotSpec, limit, soft_cut, usage_of},
};

pub use self::hold::old_in_use;

pub(crate) use hold::{further, occupied};

use hold::busy_beside;

/// More steps than any deed takes: a circle is a fault, not a way.
const MOST_STEPS: usize = 40;
/// The least that anything is waited for.
const MOMENT: Duration = Duration::from_millis(50);
/// How often one step is tried whose answer is lost, before the error is told.
const MOST_TRIES: u32 = 3;
/// Its step where that is a write of the claim.
const CLAIM: &str = "claim";
/// What its step begins with where the platform took an end and lists the key still: no answer was lost.
const ENDED_AGAIN: &str = "end ";

/// One deed on one slot.
pub(crate) struct Machine<'a> {
    context: &'a Context,
    spec: &'a SlotSpec,
    goal: Goal,
    reason: &'a str,
    what: String,
    tenant: String,
    /// What stands for the slot in marks.
    in_marks: String,
    connector: Arc<dyn Connector>,
    object: ObjectRef,
    profile: &'static Profile,
    way: Way,
    store: ClaimStore,
    /// Where that is, as documents name it.
    custody: Option<String>,
    sinks: Sinks,
    /// This run has read that the integration was not taken out of service.
    pub(crate) in_service: bool,
    // What this run has seen and done.
    claim: Option<ClaimDocument>,
    /// The claim as this run has just written it.
    written: Option<ClaimDocument>,
    listed: BTreeMap<String, Option<String>>,
    keys: Vec<Key>,
    /// What is known of the use of earlier ones.
    used: Usage,
    complete: bool,
    memory: Option<(String, u64, Secret)>,
    mains: Vec<Main>,
    // What was done counts for the very epoch, and key, that it was done for.
    verified: Option<(u64, String, bool)>,
    swept: Option<u64>,
    proven: Option<u64>,
    destroyed: Option<u64>,
    children: BTreeMap<String, Children>,
    /// The marks of ended keys of which nobody could say what was minted from them.
    unswept: BTreeMap<String, String>,
    accepted: BTreeSet<String>,
    /// When this run took the claim, had a key issued, and had one ended: a listing may lag behind.
    took: Option<Timestamp>,
    issued: BTreeMap<String, (Timestamp, Option<(u64, u64)>)>,
    ended: BTreeMap<String, Timestamp>,
    /// What was switched off in this run, and on again.
    off: BTreeSet<String>,
    on: BTreeMap<String, Timestamp>,
    /// Places that took nothing in this run, each with what its sink said.
    refusing: BTreeMap<String, Problem>,
    /// Of whose end the platform was told in this run, or took no word.
    told: BTreeSet<String>,
    /// What is stood here, and whether it was asked for.
    budget: ProbeBudget,
    learned: bool,
    /// Refused sign-ins since one worked, those of earlier runs too, with the last one's time.
    refused: u32,
    refused_at: Option<Timestamp>,
    /// The same of the integration's other slots: where a platform counts, it counts all together.
    elsewhere: (u32, Option<Timestamp>),
    /// A secret that nobody issued was let in, or refused, when it was last judged in this run.
    accepts_anything: Option<bool>,
    /// An ended key was let in after the platform's time, or refused for as long as is waited after that.
    outlived: Option<bool>,
    /// What is remembered of proofs, with those of this run.
    proofs: Proofs,
    /// Another slot of the integration, on which somebody is at work.
    sibling: Option<String>,
    /// Refused sign-ins of this run in all.
    refusals: u32,
    /// What the last sign-in that worked showed that its holder may do.
    shown: Option<BTreeSet<String>>,
    tries: BTreeMap<String, u32>,
    /// The epoch under which this run wrote that it calls, until it does.
    uncalled: Option<u64>,
    /// The epoch under which this run began to call for a key.
    begun: Option<u64>,
    /// The epoch in the mark of a call of this run whose answer was lost.
    called: Option<u64>,
    /// The first call for a key that this run knows of: where one takes the place of another, nobody
    /// could sign in with what they held from then on.
    first_call: Option<Timestamp>,
    revoked: Vec<Revoked>,
    began: bool,
    waited: Duration,
    was_held: Option<bool>,
}

impl<'a> Machine<'a> {
    pub(crate) async fn open(
        context: &'a Context,
        spec: &'a SlotSpec,
        goal: Goal,
        reason: &'a str,
    ) -> Result<Machine<'a>, Problem> {
        let what = spec.id.to_string();
        let tenant = context.tenant(&spec.id.integration.connection).await?;
        let connector = context.connector(&spec.id.integration.connection).await?;
        let promises = connector
            .promises(spec.credential_type.name)
            .await
            .map_err(|error| Problem::unreadable(&what, &error))?;
        let profile = promises.first().map(|promise| promise.profile).ok_or_else(|| {
            Problem::new("E-ISSUE", "This connection cannot issue such a credential")
                .detail(format!("{what}: {}", spec.credential_type.name))
                .next("choose another type of credential")
                .at(&["integration"])
        })?;
        let way = way_of(profile);
        let store = ClaimStore::open(context, &tenant, &spec.vendor_id, &spec.id).await?;
        // The anchor is the first by name, and the last to be written.
        let mut sinks = Sinks::open(context, spec).await?;
        sinks.0.reverse();
        Ok(Machine {
            context,
            spec,
            goal,
            reason,
            what,
            tenant,
            in_marks: Marker::slot_of(&spec.vendor_id, &spec.id.name),
            connector,
            object: credential::object(spec),
            profile,
            way,
            store,
            custody: custody_place(context).await,
            sinks,
            in_service: false,
            claim: None,
            written: None,
            listed: BTreeMap::new(),
            keys: Vec::new(),
            used: Usage::default(),
            complete: false,
            memory: None,
            mains: Vec::new(),
            verified: None,
            swept: None,
            proven: None,
            destroyed: None,
            children: BTreeMap::new(),
            unswept: BTreeMap::new(),
            accepted: BTreeSet::new(),
            took: None,
            issued: BTreeMap::new(),
            ended: BTreeMap::new(),
            off: BTreeSet::new(),
            on: BTreeMap::new(),
            told: BTreeSet::new(),
            refusing: BTreeMap::new(),
            budget: profile.probe,
            learned: false,
            refused: 0,
            refused_at: None,
            elsewhere: (0, None),
            accepts_anything: None,
            outlived: None,
            proofs: Proofs::default(),
            sibling: None,
            refusals: 0,
            shown: None,
            tries: BTreeMap::new(),
            uncalled: None,
            begun: None,
            called: None,
            first_call: None,
            revoked: Vec::new(),
            began: false,
            waited: Duration::ZERO,
            was_held: None,
        })
    }

    /// Steps until the goal is reached, and leaves written down what is owed then.
    pub(crate) async fn run(&mut self) -> Result<(), Problem> {
        let done = self.steps().await;
        if done.is_err() {
            self.leave_to_the_next().await;
        }
        self.owe_at_the_end().await;
        done
    }

    /// Whoever comes next does not wait for one that failed: nothing of it is on its way, since every call
    /// was answered. Where an answer was lost they wait as for somebody at work.
    async fn leave_to_the_next(&mut self) {
        let answered = self.tries.keys().all(|step| step.starts_with(ENDED_AGAIN));
        if !answered || self.context.read_only {
            return;
        }
        let (ours, held) = (self.context.run.id.clone(), Phase::Held);
        let open =
            |claim: &Claim| claim.owner == ours && claim.phase.is_open() && claim.phase != held;
        let read = self.written.as_ref().or(self.claim.as_ref());
        if !read.is_some_and(|document| open(&document.claim)) {
            return;
        }
        let document = match self.written.take() {
            Some(written) => Ok(Some(written)),
            None => self.store.read().await,
        };
        match document {
            Ok(Some(document)) if open(&document.claim) => self.claim = Some(document),
            Ok(_) => return,
            Err(problem) => {
                tracing::warn!(%problem, "whoever comes next waits as for somebody at work");
                return;
            }
        }
        let left = |claim: &mut Claim| claim.owner = stopped(&claim.owner);
        if let Err(problem) = self.change_claim(left, true).await {
            tracing::warn!(%problem, "whoever comes next waits as for somebody at work");
        }
    }

    async fn steps(&mut self) -> Result<(), Problem> {
        // Each sink has its own steps; waiting for somebody is none.
        let most = MOST_STEPS + 4 * self.sinks.0.len();
        self.count_elsewhere().await?;
        let mut steps = 0;
        while steps < most {
            let view = self.observe().await?;
            let step = next_step(&view, self.goal(), self.way);
            tracing::debug!(slot = self.what, ?step, "next step");
            if self.context.stop.is_set() && may_stop(&view, &step, self.way) {
                return Err(self.stop(&view).await);
            }
            match step {
                Step::Done => return self.settle(&view).await,
                Step::Hold(why) => return Err(self.hold(&view, why).await),
                Step::Refuse(why) => return Err(self.refuse(&view, why)),
                Step::Wait => self.wait().await?,
                Step::Settle => self.settle_calls(&view).await,
                step => {
                    steps += 1;
                    self.execute(&view, step).await?;
                }
            }
        }
        Err(Problem::new("E-NO-END", "A rotation came to no end")
            .detail(format!("{}: more than {most} steps; nothing is lost.", self.what))
            .next("nhi ledger show, and tell us what it says"))
    }

    /// What is wanted, as urgently as what is under way: whoever comes with a lower reason than it was
    /// begun for keeps nothing that was not to be kept.
    fn goal(&self) -> Goal {
        match (self.goal, self.claim.as_ref().map(|document| &document.claim)) {
            (Goal::Rotate { to, .. }, Some(claim))
                if claim.generation == to
                    && claim.phase != Phase::Free
                    && Reason::of(&claim.reason).keeps_none() =>
            {
                Goal::Rotate { to, at_once: true }
            }
            (goal, _) => goal,
        }
    }

    /// An answer was lost: the next look tells whether it was done. Looking is not repeating; but
    /// what is lost again and again is told.
    fn lost(&mut self, step: &str, problem: impl FnOnce() -> Problem) -> Result<(), Problem> {
        let tries = self.tries.entry(step.to_owned()).or_default();
        *tries += 1;
        if *tries >= MOST_TRIES { Err(problem()) } else { Ok(()) }
    }

    /// What was ended, and who reached the goal if it was not this run.
    pub(crate) fn done(self) -> (Vec<Revoked>, Option<String>) {
        let owner = self.claim.map(|document| document.claim.owner);
        let ours = &self.context.run.id;
        (self.revoked, owner.filter(|owner| !self.began && owner != ours))
    }

    /// The key that is current, and its generation, where nothing is under way.
    pub(crate) fn at_rest(&self) -> Option<(String, u64)> {
        let claim = self.claim.as_ref().map(|document| &document.claim);
        let claim = claim.filter(|claim| !claim.phase.is_open())?;
        Some((claim.current.clone()?, claim.generation))
    }

    /// Its claim came to rest and names nothing: no place is to get anything.
    pub(crate) fn rests_on_nothing(&self) -> bool {
        let claim = self.claim.as_ref().map(|document| &document.claim);
        claim.is_some_and(|claim| !claim.phase.is_open() && claim.current.is_none())
    }

    /// Claim first, then documents, then the listing: a decision rests on a listing that was asked
    /// for after the claim was read. What this run wrote a moment ago, at the very version that it
    /// expected, is what whoever reads it at that moment finds: it is not asked for again. Documents
    /// and the listing are.
    async fn observe(&mut self) -> Result<View, Problem> {
        let (realm, key) = self.context.realm_key()?;
        self.claim = match self.written.take() {
            Some(written) => Some(written),
            None => self.store.read().await?,
        };
        if let Some(document) = &mut self.claim {
            document.claim.spare_what_serves();
        }
        let called = self.claim.as_ref().and_then(|document| document.claim.called_at);
        self.first_call = self.first_call.into_iter().chain(called).min();
        self.recall_refusals();
        if self.refused_in_all() > 0 {
            self.learn_budget().await;
        }
        let mut mains = Vec::new();
        for (delivery, sink) in &self.sinks.0 {
            let stored = match delivery.read(&**sink).await {
                // A new key is to go there: what else is to be done does not wait for it.
                Err(problem) if self.delivers() => {
                    self.refusing.insert(delivery.place(), problem);
                    None
                }
                read => read?,
            };
            let document = stored.as_ref().and_then(|stored| stored.document.as_ref());
            let version = stored.as_ref().map_or(0, |stored| stored.version.number);
            let written_at = stored.as_ref().and_then(|stored| stored.version.created_at);
            let says = document.and_then(Meta::of);
            let occupied = match document {
                Some(_) => {
                    // What a document says of itself needs no second witness.
                    let look = match says {
                        None => sink.look(&delivery.path).await,
                        Some(_) => Ok(None),
                    };
                    let look = look.map_err(|error| delivery.problem(error))?;
                    occupied_by_others(realm, &self.what, delivery, says.as_ref(), look.as_ref())
                }
                None => None,
            };
            let refuses = self.delivers() && self.refusing.contains_key(&delivery.place());
            let occupied = if refuses { Some("sink-refuses") } else { occupied };
            // What another incarnation of the integration left is ours to write over, and no more.
            let now = says.filter(|meta| meta.ours(realm, &self.what, &self.spec.vendor_id));
            if let Some(meta) = &now {
                realm_key::made_print(self.context, &meta.fingerprint, &delivery.place())?;
            }
            let epoch = now.as_ref().map_or(0, |meta| meta.epoch);
            // To end is open to whoever can, wherever they keep claims.
            let claimed = self.claim.as_ref().map_or(0, |document| document.claim.epoch);
            if self.goal != Goal::Revoke
                && let Some(meta) = &now
                && let Some(problem) = claim_is_elsewhere(
                    self.context,
                    &self.what,
                    self.custody.as_deref(),
                    meta,
                    claimed,
                )
            {
                return Err(problem);
            }
            // What is revoked or taken out says that nothing is current.
            let now = now.as_ref().filter(|meta| meta.is_in_force());
            mains.push(Main {
                place: delivery.place(),
                version,
                written_at,
                generation: now
                    .filter(|meta| intact(key, self.spec, delivery, document, meta))
                    .map(|meta| meta.generation),
                epoch,
                key_id: now.map(|meta| meta.key_id.clone()),
                previous: now.map(|meta| meta.previous.clone()).unwrap_or_default(),
                occupied,
            });
        }
        if let (Some(document), Some(anchor)) = (&mut self.claim, mains.last()) {
            document.claim.catch_up(anchor);
        }
        self.mains.clone_from(&mains);
        self.let_lag(self.lags_since()).await;
        let mut listing = self.connector.credentials(&self.object).await.or_else(|error| {
            match (&error, self.goal) {
                // Ended together with its integration, or recreated: none of ours is left there.
                (connector::Error::Recreated { .. }, Goal::Revoke) => Ok(empty(self.context.now())),
                (error, Goal::Revoke) if error.refusal() == Some(Refusal::NotFound) => {
                    Ok(empty(self.context.now()))
                }
                _ => Err(Problem::unreadable(&self.what, &error)),
            }
        })?;
        // What is of another type of the kind is another slot's, or nobody's: it takes no place here.
        let mut others: Vec<&str> =
            self.spec.kind.credential_types.iter().map(|one| one.name).collect();
        others.retain(|name| *name != self.spec.credential_type.name);
        listing.credentials.retain(|one| !others.contains(&one.credential_type.as_str()));
        self.listed = listing
            .credentials
            .iter()
            .map(|one| (one.key_id.clone(), one.marker.clone()))
            .collect();
        let ours = |one: &ObservedCredential| {
            mark_in(realm, key, &self.tenant, &self.spec.vendor_id, &self.in_marks, one)
        };
        self.keys = listing
            .credentials
            .iter()
            .map(|one| Key {
                key_id: one.key_id.clone(),
                ours: ours(one),
                live: one.live,
                disabled: one.disabled,
                issued_at: one.issued_at,
                used: matches!(one.last_used, LastUsed::At(_)),
                ends: one.expires_at,
            })
            .collect();
        let previous = self.claim.as_ref().map(|document| &document.claim.previous);
        let previous = previous.or_else(|| mains.last().map(|main| &main.previous));
        let previous = previous.map_or(&[][..], Vec::as_slice);
        let claim = self.claim.as_ref().map(|document| &document.claim);
        let claim = claim.filter(|claim| !claim.phase.is_open() || claim.phase.is_about_earlier());
        let said = claim.map(|claim| (&claim.confirmed, claim.generation));
        self.used = usage_of(
            self.context,
            &*self.connector,
            self.spec,
            previous,
            said,
            &listing.credentials,
        )
        .await?;
        self.correct_by_answers(listing.requested_at);
        self.complete =
            listing.complete || listing.shows_all_of.contains(&self.spec.credential_type.name);
        let claim = self.claim.as_ref().map(|document| document.claim.clone());
        let mine = claim.as_ref().is_some_and(|claim| claim.owner == self.context.run.id);
        let now = self.context.time();
        // What the sink wrote is as old as it is by the sink's own clock.
        let there = self.context.time_in_custody();
        let ttl = self.ttl_of(claim.as_ref());
        let stale = self
            .claim
            .as_ref()
            .and_then(|document| document.written_at)
            .is_some_and(|at| there.is_past(later(at, ttl)));
        // Who stopped as they were asked to are waited for by nobody.
        let stale = stale || claim.as_ref().is_some_and(|claim| has_stopped(&claim.owner));
        let epoch = claim.as_ref().map(|claim| claim.epoch);
        let new = claim.as_ref().and_then(|claim| claim.new.as_ref());
        let verified = self
            .verified
            .as_ref()
            .filter(|(at, key_id, _)| Some(*at) == epoch && Some(key_id) == new)
            .map(|(.., works)| *works);
        let done = |at: Option<u64>| at.is_some() && at == epoch;
        let (swept, proven, destroyed) =
            (done(self.swept), done(self.proven), done(self.destroyed));
        let held = claim.as_ref().is_some_and(|claim| {
            let at_rest = !claim.phase.is_open();
            claim.phase == Phase::Held || at_rest && claim.previous.iter().any(Previous::is_needed)
        });
        let was_held = *self.was_held.get_or_insert(held);
        let known = self.spec.known.as_ref();
        let mut view = View {
            now,
            room: self.has_room(),
            uncalled: self.uncalled.is_some() && self.uncalled == epoch,
            settled: claim.as_ref().is_none_or(|claim| there.is_past(self.settled_at(claim))),
            claim,
            mine,
            stale,
            mains,
            keys: self.keys.clone(),
            siblings: Siblings::default(),
            known: known.map(|(key_id, generation, ..)| (key_id.clone(), *generation)),
            was_held,
            complete: self.complete,
            memory: self.memory.as_ref().map(|(key_id, epoch, _)| (key_id.clone(), *epoch)),
            verified,
            patience: self.patience(),
            exhausted: self.exhausted(),
            ended: self.accepted.clone(),
            off: self.off.clone(),
            on: self.just_on(self.context.now()),
            soft_cut: soft_cut(self.context, &*self.connector, self.spec).is_some(),
            moves_expiry: self.connector.moves_expiry(self.spec.credential_type.name),
            limit: limit(self.context, &*self.connector, self.spec),
            told: self.told.clone(),
            deliver_by: self.context.rules.deliver_by,
            usage: self.used.clone(),
            swept,
            proven,
            destroyed,
        };
        self.sibling = None;
        if view.asks_siblings(self.way) {
            view.siblings = self.siblings().await?;
        }
        Ok(view)
    }

    /// How long somebody else's claim holds while its owner is silent. What is to end waits no longer than
    /// for one call: to end the same once more does no harm.
    fn ttl_of(&self, claim: Option<&Claim>) -> Span {
        let rules = &self.context.rules;
        match claim {
            Some(claim) if self.goal == Goal::Revoke && claim.ends_all() => {
                rules.call_deadline.min(rules.claim_ttl)
            }
            claim => rules.claim_ttl_of(claim.is_some_and(|one| one.timed)),
        }
    }

    /// The moment that a listing must show, where what it decides is not known from an answer: when
    /// somebody else wrote the claim last, or when this run took it to call for a key.
    fn lags_since(&self) -> Option<Timestamp> {
        let document = self.claim.as_ref()?;
        if !self.began {
            // By the clock of custody; as long ago by ours.
            let age =
                document.written_at.map(|at| self.context.time_in_custody().lo.duration_since(at));
            return age.and_then(|age| self.context.now().checked_sub(age).ok());
        }
        let claim = &document.claim;
        self.took.filter(|_| {
            claim.owner == self.context.run.id
                && claim.new.is_none()
                && self.memory.is_none()
                && match claim.phase {
                    Phase::Intent | Phase::Calling => true,
                    // A secret of ours is found by itself, but where places hold one each.
                    Phase::Stored => self.way == Way::Slots,
                    _ => false,
                }
        })
    }

    /// Waits until a listing that is asked for now shows what was there at that moment.
    async fn let_lag(&self, since: Option<Timestamp>) {
        let lag = self.profile.list_lag;
        let Some(since) = since.filter(|_| lag > Span::ZERO) else { return };
        let left = later(since, lag).duration_since(self.context.now());
        // Whoever wrote it may go by another clock: no longer than a listing can lag.
        let left = Duration::try_from(left).unwrap_or_default().min(lag.to_std());
        tokio::time::sleep(left).await;
    }

    /// What was answered a moment ago is so, whatever a listing that lags says. Who took its word for what
    /// was just made, where nobody promised that it lags, would make one after the other; whether it works
    /// its verification tells.
    fn correct_by_answers(&mut self, requested_at: Timestamp) {
        let lag = self.profile.list_lag;
        let young = |at: Timestamp, lag: Span| requested_at < later(at, lag);
        let ended = &self.ended;
        self.keys.retain(|key| !ended.get(&key.key_id).is_some_and(|at| young(*at, lag)));
        let made_lag = match self.profile.effect {
            Effect::Adds { .. } => lag.max(self.context.rules.settle),
            _ => lag,
        };
        for (key_id, (at, ours)) in self.issued.iter().filter(|(_, (at, _))| young(*at, made_lag)) {
            let known = self.keys.iter().any(|key| key.key_id == *key_id);
            if known || self.ended.contains_key(key_id) {
                continue;
            }
            self.keys.push(Key {
                key_id: key_id.clone(),
                ours: *ours,
                live: true,
                disabled: false,
                issued_at: Some(*at),
                used: false,
                ends: None,
            });
        }
    }

    async fn wait(&mut self) -> Result<(), Problem> {
        if self.waited >= self.context.rules.lock_timeout.to_std() {
            if let Some(sibling) = &self.sibling {
                return Err(busy_beside(&self.what, sibling));
            }
            let owner = self.claim.as_ref().map(|one| one.claim.owner.clone()).unwrap_or_default();
            return Err(Problem::new("E-BUSY", "Somebody else is at work on this credential")
                .detail(format!("{}: {owner} is at work and not silent.", self.what))
                .next(format!(
                    "apply again when that run has ended; if it is dead: nhi recover {} --take",
                    self.what
                ))
                .at(&["status"]));
        }
        let pause = Duration::from_secs(1);
        tokio::time::sleep(pause).await;
        self.waited += pause;
        Ok(())
    }

    /// When nothing that a claim called for can arrive any more.
    fn settled_at(&self, claim: &Claim) -> Timestamp {
        claim.called_at.map_or(Timestamp::MIN, |at| later(at, self.context.rules.settle))
    }

    /// Waits until a call has arrived, or never will.
    async fn settle_calls(&self, view: &View) {
        let now = self.context.time_in_custody().lo;
        let until = view.claim.as_ref().map_or(now, |claim| self.settled_at(claim));
        tracing::info!(slot = self.what, until = moment(until), "an earlier call may still arrive");
        let pause = Duration::try_from(until.duration_since(now)).unwrap_or_default().max(MOMENT);
        let over = Instant::now() + pause;
        // Whoever asks it to stop meanwhile does not wait for that.
        while !self.context.stop.is_set() && Instant::now() < over {
            tokio::time::sleep_until(over.min(Instant::now() + Duration::from_secs(1))).await;
        }
    }

    /// The platform lets one more live beside those that do.
    fn has_room(&self) -> bool {
        // What is switched off takes its place.
        let live = self.keys.iter().filter(|key| key.live || key.disabled).count();
        match self.profile.effect {
            Effect::Replaces => true,
            effect => effect.most().is_none_or(|most| live < usize::from(most)),
        }
    }

    async fn execute(&mut self, view: &View, step: Step) -> Result<(), Problem> {
        match step {
            Step::Begin => {
                self.is_in_service().await?;
                // Its successor would end it: better not begun than held half done.
                let claimed = self.claim.as_ref().and_then(|one| one.claim.current.as_deref());
                let known = self.spec.known.as_ref().map(|(key_id, ..)| key_id.as_str());
                if let Some(key_id) = claimed.or(known) {
                    not_our_key(self.context, &self.spec.id.integration, key_id).await?;
                    let serves = view.keys.iter().any(|key| key.key_id == key_id && key.live);
                    let refuses = self.spec.consumers.refuse_interruption && self.way.replaces();
                    if refuses && serves && !Reason::of(self.reason).keeps_none() {
                        return Err(interrupts(&self.what, self.spec.credential_type.name));
                    }
                }
                self.begin(view).await
            }
            Step::TakeOver => self.take_over(view).await,
            Step::BeginEnding(keys) => {
                for one in &keys {
                    not_our_key(self.context, &self.spec.id.integration, &one.key_id).await?;
                }
                self.begin_ending(view, keys).await
            }
            Step::BeginCut(keys) => {
                for one in &keys {
                    not_our_key(self.context, &self.spec.id.integration, &one.key_id).await?;
                }
                self.begin_cut(view, keys).await
            }
            Step::Disable(key_id) => self.disable(&key_id).await,
            Step::Watch => self.watch().await,
            Step::BeginEnabling => self.begin_enabling(view).await,
            Step::Enable(key_id) => self.enable(&key_id).await,
            Step::Keep => self.keep(view).await,
            Step::SetExpiry(key_id, at) => self.set_expiry(view, &key_id, at).await,
            Step::NoteExpiry(key_id, told) => self.note_expiry(&key_id, told).await,
            Step::MarkCalling => {
                self.is_in_service().await?;
                self.mark_calling().await
            }
            Step::Issue => {
                self.is_in_service().await?;
                self.issue(view).await
            }
            Step::Store(key_id) => self.store_key(key_id).await,
            Step::EndOrphan(key_id) | Step::EndNew(key_id) => self.end(&key_id, false).await,
            Step::Verify => self.verify(view).await,
            Step::Promote(place) => self.promote(&place).await,
            Step::NoteUndelivered(place) => self.note_undelivered(&place).await,
            Step::Park => self.park().await,
            Step::GiveUp => {
                self.change_claim(|claim| claim.phase = Phase::GivingUp, true).await.map(drop)
            }
            Step::Fence(place) => self.fence(&place).await,
            Step::BeginAgain => self.begin_again(view).await,
            Step::End(key_id) => self.end(&key_id, true).await,
            Step::Sweep => self.sweep().await,
            Step::Prove => self.prove().await,
            Step::DestroyPrevious => self.destroy_previous().await,
            Step::Reprove => self.reprove().await,
            Step::Close => self.close().await,
            Step::Wait | Step::Settle | Step::Hold(_) | Step::Refuse(_) | Step::Done => Ok(()),
        }
    }

    /// What was taken out of service, or quarantined, since the plan was made or since a run that died began
    /// gets no other key. It is read once a run.
    async fn is_in_service(&mut self) -> Result<(), Problem> {
        let kinds = self.connector.platform().kinds();
        let kind = kinds.iter().find(|kind| kind.name == self.object.kind);
        if self.in_service || !kind.is_some_and(|kind| kind.capabilities.keeps_record) {
            return Ok(());
        }
        let want = Want { credentials: false, ..Want::DEED };
        let found = match self.connector.read(&self.object, want).await {
            Ok(found) => found,
            // What takes its key's place is another one: the call for a key says so.
            Err(connector::Error::Recreated { .. }) => None,
            Err(error) => return Err(Problem::unreadable(&self.what, &error)),
        };
        let record = found.and_then(|found| found.record);
        not_stopped(&self.what, record.as_ref())?;
        self.in_service = true;
        Ok(())
    }

    /// A new key is stored, and goes from sink to sink.
    fn delivers(&self) -> bool {
        let stored = |document: &ClaimDocument| document.claim.phase == Phase::Stored;
        self.goal != Goal::Revoke && self.claim.as_ref().is_some_and(stored)
    }

    fn claimed(&self) -> Result<&ClaimDocument, Problem> {
        self.claim.as_ref().ok_or_else(|| {
            Problem::new("E-CLAIM", "The document in custody is gone")
                .detail(format!(
                    "{}: somebody removed what says how far this credential is.",
                    self.what
                ))
                .next("apply again")
        })
    }

    fn terms(&self, claim: &Claim) -> Terms {
        duty::terms(self.context, &*self.connector, self.spec, claim.timed)
    }

    /// An entry with what it made, or met, of what is owed under this claim.
    async fn with_owed(&self, entry: NewEntry, claim: &Claim) -> Vec<NewEntry> {
        let owed = duty::while_at_work(claim, &self.used, &self.accepted, &self.terms(claim));
        let mut all = vec![entry];
        all.extend(self.context.owing(&self.what, &owed).await);
        all
    }

    /// Notes it, with that.
    async fn note_owed(&self, entry: NewEntry, claim: &Claim) {
        self.context.note_all(self.with_owed(entry, claim).await).await;
    }

    /// What this run leaves to be done; what somebody else is at work on is theirs to say.
    async fn owe_at_the_end(&self) {
        if !self.context.ledger.keeps() || self.context.read_only {
            return;
        }
        // After an error what this run wrote last is the best that it knows; the next look catches up.
        let document = self.written.as_ref().or(self.claim.as_ref());
        let Some(document) = document else { return };
        let claim = &document.claim;
        let ours = &self.context.run.id;
        let is_ours = claim.owner == *ours || claim.owner == stopped(ours);
        if !claim.phase.is_open() || is_ours {
            let books = Books::of(claim, document.written_at).with_use(&self.used);
            let owed = duties(books, &self.terms(claim));
            self.context.owe(&self.what, &owed).await;
        }
    }

    fn rotation_id(&self, generation: u64) -> String {
        let parts = [self.what.as_str(), &self.spec.vendor_id, &generation.to_string()];
        HEXLOWER.encode(&digest_of("nhi-rotation/1", &parts)[..8])
    }

    fn entry(&self, kind: &str, claim: &Claim) -> NewEntry {
        NewEntry {
            rotation: Some(self.rotation_id(claim.generation)),
            generation: Some(claim.generation),
            epoch: Some(claim.epoch),
            auth: Some(claim.auth.clone()),
            ..self.context.entry(kind, &self.what)
        }
    }

    /// The goal is reached.
    async fn settle(&mut self, view: &View) -> Result<(), Problem> {
        // Whose answer to a claim was lost has written nothing beside it.
        let behind = !self.began || self.tries.contains_key(CLAIM);
        if let Some(document) = self.claim.as_ref().filter(|_| behind) {
            self.store.repair_mirror(document).await?;
        }
        let planned = match self.goal {
            Goal::Rotate { to, .. } => to,
            Goal::Retire { at } | Goal::Cut { at, .. } => at,
            Goal::Reenable | Goal::Revoke => return Ok(()),
        };
        let delivered = view.mains.last().and_then(|main| main.generation);
        let settled = view.claim.as_ref().filter(|claim| !claim.phase.is_open());
        let at = delivered.max(settled.map(|claim| claim.generation)).unwrap_or(planned);
        if at > planned {
            return Err(further(&self.what, planned, at));
        }
        Ok(())
    }
}

/// How a profile issues, as far as the order of steps depends on it.
fn way_of(profile: &Profile) -> Way {
    use connector::Origin;
    let ours = matches!(profile.origin, Origin::Ours | Origin::OursPublicKey);
    match (profile.effect, profile.origin, profile.marks) {
        (Effect::Alternates, ..) => Way::Slots,
        (Effect::Supersedes { .. }, ..) => Way::Grace,
        (Effect::Replaces, ..) if ours => Way::ReplaceOurs,
        (Effect::Replaces, Origin::Itself { punishes_reuse }, _) => {
            Way::ReplaceSelf { punishes_reuse }
        }
        (Effect::Replaces, ..) => Way::ReplaceOnce,
        (Effect::Adds { .. }, ..) if ours => Way::AddOurs,
        (_, Origin::VendorReadable, Marks::Never) => Way::FirstOnly,
        (_, _, Marks::AtIssue) => Way::AddMarked,
        _ => Way::AddUnmarked,
    }
}

/// Generation and epoch in a genuine mark of this very slot.
pub(crate) fn mark_of(
    realm: &str,
    key: &RealmKey,
    tenant: &str,
    spec: &SlotSpec,
    credential: &ObservedCredential,
) -> Option<(u64, u64)> {
    let slot = Marker::slot_of(&spec.vendor_id, &spec.id.name);
    mark_in(realm, key, tenant, &spec.vendor_id, &slot, credential)
}

/// The same, for whoever knows what stands for the slot in marks.
fn mark_in(
    realm: &str,
    key: &RealmKey,
    tenant: &str,
    vendor_id: &str,
    slot: &str,
    credential: &ObservedCredential,
) -> Option<(u64, u64)> {
    let marker = Marker::parse(credential.marker.as_deref()?)?;
    let ours =
        marker.realm == realm && marker.slot == slot && marker.is_genuine(key, tenant, vendor_id);
    ours.then_some((marker.generation, marker.epoch))
}

/// Whether a document still holds the secret that it says it does.
fn intact(
    key: &RealmKey,
    spec: &SlotSpec,
    delivery: &Delivery,
    document: Option<&Document>,
    meta: &Meta,
) -> bool {
    let secret =
        document.and_then(|document| secret_in(spec.credential_type, &delivery.fields, document));
    secret
        .is_some_and(|secret| matches(&key.fingerprint(&secret), &meta.fingerprint) != Some(false))
}

/// The listing of what is gone.
pub(crate) fn empty(now: Timestamp) -> connector::CredentialListing {
    connector::CredentialListing {
        credentials: Vec::new(),
        complete: true,
        shows_all_of: &[],
        requested_at: now,
    }
}

/// Whether something of somebody else is where ours should go: `sink-occupied`, `another-slot` or
/// `foreign-realm`.
/// A document tells by what it `says` of itself. One that says nothing was ours if its mirror says so:
/// somebody wrote over it.
/// A place that a slot has given up is free, whosever it was.
pub(crate) fn occupied_by_others(
    realm: &str,
    slot: &str,
    delivery: &Delivery,
    says: Option<&Meta>,
    look: Option<&Look>,
) -> Option<&'static str> {
    let mirrored = || {
        let look = look?;
        let (meta, of) = Meta::from_mirror(&look.mirror)?;
        Some((meta, of == look.version.number))
    };
    match says {
        Some(meta) if !meta.is_in_force() => None,
        Some(meta) if meta.realm != realm => Some("foreign-realm"),
        Some(meta) => (meta.slot != slot).then_some("another-slot"),
        None if delivery.merge => None,
        None => match mirrored() {
            Some((meta, _)) if meta.of_slot(realm, slot) => None,
            // As it was left, and written over by nobody.
            Some((meta, true)) if !meta.is_in_force() => None,
            Some((meta, _)) if meta.realm != realm => Some("foreign-realm"),
            _ => Some("sink-occupied"),
        },
    }
}
