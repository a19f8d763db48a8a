//! Observe, decide, journal, act; and after anything but a clean success observe again.
//!
//! `policy::rotation::next_step` decides; nothing here chooses. The claim in custody is the
//! write-ahead record and the lock: it is written before the platform is called, so a run that dies
//! anywhere leaves what the next one needs.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use connector::{Children, Connector, Effect, IssueRequest, ObjectRef, Probe, Profile, Refusal};
use data_encoding::HEXLOWER;
use domain::{Direction, Marker, RealmKey, Secret, realm::digest_of};
use jiff::Timestamp;
use ledger::{Change as Row, NewEntry};
use policy::{
    proof::{Shown, grade},
    rotation::{Claim, Goal, Key, Main, Origin, Phase, Previous, Step, View, next_step},
    schedule::later,
};
use secrets::{Document, Expect, Look, SinkError};
use serde_json::json;

use crate::{
    Context, Deed, Problem, Revoked,
    claim::{ClaimDocument, ClaimStore},
    credential,
    document::{META, Meta, compose, matches, secret_in},
    drift::schedule_json,
    journal::moment,
    proof::{gone_from_listing, rounds},
    slot::{Delivery, Sinks, SlotSpec},
};

/// More steps than any deed takes: a circle is a fault, not a way.
const MOST_STEPS: usize = 40;
/// How often one step is tried whose answer is lost, before the error is told.
const MOST_TRIES: u32 = 3;

/// One deed on one slot.
pub(crate) struct Machine<'a> {
    context: &'a Context,
    spec: &'a SlotSpec,
    goal: Goal,
    reason: &'a str,
    what: String,
    tenant: String,
    connector: Arc<dyn Connector>,
    object: ObjectRef,
    profile: &'static Profile,
    origin: Origin,
    store: ClaimStore,
    sinks: Sinks,
    // What this run has seen and done.
    claim: Option<ClaimDocument>,
    listed: BTreeMap<String, Option<String>>,
    keys: Vec<Key>,
    complete: bool,
    memory: Option<(String, u64, Secret)>,
    mains: Vec<Main>,
    // What was done counts for the very epoch, and key, that it was done for.
    verified: Option<(u64, String, bool)>,
    swept: Option<u64>,
    proven: Option<u64>,
    destroyed: Option<u64>,
    children: BTreeMap<String, Children>,
    accepted: BTreeSet<String>,
    /// Refused sign-ins since one worked, and in all.
    refused: u32,
    refusals: u32,
    tries: BTreeMap<String, u32>,
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
        })?;
        let origin = match profile.origin {
            connector::Origin::Ours | connector::Origin::OursPublicKey => Origin::Ours,
            connector::Origin::VendorReadable if !profile.marks => Origin::VendorReadable,
            connector::Origin::VendorOnce | connector::Origin::VendorReadable => {
                Origin::VendorMarked
            }
        };
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
            connector,
            object: credential::object(spec),
            profile,
            origin,
            store,
            sinks,
            claim: None,
            listed: BTreeMap::new(),
            keys: Vec::new(),
            complete: false,
            memory: None,
            mains: Vec::new(),
            verified: None,
            swept: None,
            proven: None,
            destroyed: None,
            children: BTreeMap::new(),
            accepted: BTreeSet::new(),
            refused: 0,
            refusals: 0,
            tries: BTreeMap::new(),
            revoked: Vec::new(),
            began: false,
            waited: Duration::ZERO,
            was_held: None,
        })
    }

    /// Steps until the goal is reached.
    pub(crate) async fn run(&mut self) -> Result<(), Problem> {
        // Each sink has its own steps; waiting for somebody is none.
        let most = MOST_STEPS + 4 * self.sinks.0.len();
        let mut steps = 0;
        while steps < most {
            let view = self.observe().await?;
            let step = next_step(&view, self.goal, self.origin);
            tracing::debug!(slot = self.what, ?step, "next step");
            match step {
                Step::Done => return self.settle(&view).await,
                Step::Hold(why) => return Err(self.hold(&view, why).await),
                Step::Refuse(why) => return Err(self.refuse(&view, why)),
                Step::Wait => self.wait().await?,
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

    // ---- looking -------------------------------------------------------------------------------

    /// Claim first, then documents, then the listing: a decision rests on a listing that was asked
    /// for after the claim was read.
    async fn observe(&mut self) -> Result<View, Problem> {
        let (realm, key) = self.context.realm_key()?;
        self.claim = self.store.read().await?;
        let mut mains = Vec::new();
        for (delivery, sink) in &self.sinks.0 {
            let stored = sink.read(&delivery.path).await?;
            let document = stored.as_ref().and_then(|stored| stored.document.as_ref());
            let version = stored.as_ref().map_or(0, |stored| stored.version.number);
            let occupied = match document {
                Some(document) => {
                    let look = sink.look(&delivery.path).await?;
                    occupied_by_others(realm, &self.what, delivery, document, look.as_ref())
                }
                None => None,
            };
            // What another incarnation of the integration left is ours to write over, and no more.
            let now = document
                .and_then(Meta::of)
                .filter(|meta| meta.ours(realm, &self.what, &self.spec.vendor_id));
            let epoch = now.as_ref().map_or(0, |meta| meta.epoch);
            // What is revoked says that nothing is current.
            let now = now.as_ref().filter(|meta| !meta.revoked);
            mains.push(Main {
                place: delivery.place(),
                version,
                generation: now
                    .filter(|meta| intact(key, self.spec, delivery, document, meta))
                    .map(|meta| meta.generation),
                epoch,
                key_id: now.map(|meta| meta.key_id.clone()),
                occupied,
            });
        }
        self.mains.clone_from(&mains);
        let listing = self.connector.credentials(&self.object).await.or_else(|error| {
            match (&error, self.goal) {
                // Ended together with its integration, or recreated: none of ours is left there.
                (connector::Error::Recreated { .. }, Goal::Revoke) => Ok(empty(self.context.now())),
                (error, Goal::Revoke) if error.refusal() == Some(Refusal::NotFound) => {
                    Ok(empty(self.context.now()))
                }
                _ => Err(Problem::unreadable(&self.what, &error)),
            }
        })?;
        let slot = Marker::slot_of(&self.spec.vendor_id, &self.spec.id.name);
        self.listed = listing
            .credentials
            .iter()
            .map(|one| (one.key_id.clone(), one.marker.clone()))
            .collect();
        self.keys = listing
            .credentials
            .into_iter()
            .map(|one| {
                let marker = one.marker.as_deref().and_then(Marker::parse);
                let ours = marker
                    .filter(|marker| {
                        marker.realm == realm
                            && marker.slot == slot
                            && marker.is_genuine(key, &self.tenant, &self.spec.vendor_id)
                    })
                    .map(|marker| (marker.generation, marker.epoch));
                Key { key_id: one.key_id, ours, live: one.live }
            })
            .collect();
        self.complete = listing.complete;
        let claim = self.claim.as_ref().map(|document| document.claim.clone());
        let mine = claim.as_ref().is_some_and(|claim| claim.owner == self.context.run.id);
        let stale = self
            .claim
            .as_ref()
            .and_then(|document| document.written_at)
            .is_some_and(|at| self.context.now() >= later(at, self.context.rules.claim_ttl));
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
        let held = claim.as_ref().is_some_and(|claim| claim.phase == Phase::Held);
        let was_held = *self.was_held.get_or_insert(held);
        let known = self.spec.known.as_ref();
        Ok(View {
            now: self.context.now(),
            claim,
            mine,
            stale,
            mains,
            keys: self.keys.clone(),
            known: known.map(|(key_id, generation, ..)| (key_id.clone(), *generation)),
            was_held,
            complete: self.complete,
            memory: self.memory.as_ref().map(|(key_id, epoch, _)| (key_id.clone(), *epoch)),
            verified,
            patience: self.patience(),
            ended: self.accepted.clone(),
            swept,
            proven,
            destroyed,
        })
    }

    async fn wait(&mut self) -> Result<(), Problem> {
        if self.waited >= self.context.rules.lock_timeout.to_std() {
            let owner = self.claim.as_ref().map(|one| one.claim.owner.clone()).unwrap_or_default();
            return Err(Problem::new("E-BUSY", "Somebody else is at work on this credential")
                .detail(format!("{}: {owner} is at work and not silent.", self.what))
                .next("apply again when that run has ended"));
        }
        let pause = Duration::from_secs(1);
        tokio::time::sleep(pause).await;
        self.waited += pause;
        Ok(())
    }

    // ---- acting --------------------------------------------------------------------------------

    async fn execute(&mut self, view: &View, step: Step) -> Result<(), Problem> {
        match step {
            Step::Begin => self.begin(view).await,
            Step::TakeOver => self.take_over(view).await,
            Step::BeginEnding(keys) => self.begin_ending(view, keys).await,
            Step::Issue => self.issue().await,
            Step::Store(key_id) => self.store_key(key_id).await,
            Step::EndOrphan(key_id) | Step::EndNew(key_id) => self.end(&key_id, "orphan").await,
            Step::Verify => self.verify().await,
            Step::Promote(place) => self.promote(&place).await,
            Step::Park => self.park().await,
            Step::GiveUp => self.change_claim(|claim| claim.phase = Phase::GivingUp, true).await,
            Step::Fence(place) => self.fence(&place).await,
            Step::BeginAgain => self.begin_again(view).await,
            Step::End(key_id) => self.end(&key_id, "retired").await,
            Step::Sweep => self.sweep().await,
            Step::Prove => self.prove().await,
            Step::DestroyPrevious => self.destroy_previous().await,
            Step::Close => self.close(view).await,
            Step::Wait | Step::Hold(_) | Step::Refuse(_) | Step::Done => Ok(()),
        }
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

    /// Writes a claim; losing the race is no error: the next look sees who won.
    async fn write_claim(
        &mut self,
        claim: &Claim,
        pending: Option<&Secret>,
        version: Option<u64>,
    ) -> Result<Option<u64>, Problem> {
        match self.store.write(claim, pending, version).await {
            Ok(version) => Ok(Some(version)),
            Err(SinkError::Conflict { .. }) => Ok(None),
            Err(error @ SinkError::Ambiguous { .. }) => {
                self.lost("claim", || error.into()).map(|()| None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Takes the claim and journals it. What cannot be journalled is not begun: the claim goes back
    /// to what it was, under the new epoch.
    async fn take_claim(
        &mut self,
        claim: &Claim,
        pending: Option<&Secret>,
        entry: NewEntry,
    ) -> Result<bool, Problem> {
        let version = self.claim.as_ref().map(|document| document.version);
        let Some(version) = self.write_claim(claim, pending, version).await? else {
            return Ok(false);
        };
        self.began = true;
        self.memory = None;
        if let Err(problem) = self.context.journal(entry).await {
            let (back, pending) = match self.claim.take() {
                Some(before) => (Claim { epoch: claim.epoch, ..before.claim }, before.pending),
                None => (released(claim), None),
            };
            if let Err(problem) = self.write_claim(&back, pending.as_ref(), Some(version)).await {
                tracing::warn!(%problem, "the credential was not given back in custody; that ends by itself");
            }
            return Err(problem);
        }
        Ok(true)
    }

    async fn change_claim(
        &mut self,
        change: impl FnOnce(&mut Claim),
        keep_pending: bool,
    ) -> Result<(), Problem> {
        let document = self.claimed()?;
        let mut claim = document.claim.clone();
        change(&mut claim);
        let version = document.version;
        let pending = document.pending.as_ref().filter(|_| keep_pending).map(Secret::duplicate);
        self.write_claim(&claim, pending.as_ref(), Some(version)).await?;
        Ok(())
    }

    fn marker(&self, generation: u64, epoch: u64) -> Result<String, Problem> {
        let (realm, key) = self.context.realm_key()?;
        let id = &self.spec.id;
        let vendor_id = &self.spec.vendor_id;
        Ok(Marker::new(key, realm, &self.tenant, vendor_id, id, generation, epoch).to_string())
    }

    fn choose(&self, generation: u64, epoch: u64) -> Result<Option<Secret>, Problem> {
        if self.origin != Origin::Ours {
            return Ok(None);
        }
        let marker = self.marker(generation, epoch)?;
        self.connector
            .choose_secret(self.spec.credential_type.name, &self.spec.settings, &marker)
            .map(Some)
            .map_err(|error| Problem::not_done(&self.what, "choose a secret", &error))
    }

    fn highest_epoch(&self) -> u64 {
        let claimed = self.claim.as_ref().map_or(0, |document| document.claim.epoch);
        let marked = self.keys.iter().filter_map(|key| key.ours).map(|(_, epoch)| epoch);
        let written = self.mains.iter().map(|main| main.epoch);
        marked.chain(written).fold(claimed, u64::max)
    }

    /// S1: the first write. Everything that a later run needs is in it.
    async fn begin(&mut self, view: &View) -> Result<(), Problem> {
        let Goal::Rotate { to, .. } = self.goal else { return Ok(()) };
        if self.spec.deliveries.is_empty() {
            return Err(Problem::new("E-NO-SINK", "There is no place for the secret")
                .detail(format!("{}: a new credential has nowhere to go.", self.what))
                .next("name one in deliver_to")
                .at(&["deliver_to"]));
        }
        if let Effect::Adds { max_live: Some(most) } = self.profile.effect
            && view.keys.iter().filter(|key| key.live).count() >= usize::from(most)
        {
            return Err(Problem::new("E-ROTATE", "This platform makes no further credential")
                .detail(format!(
                    "{}: {most} may live at a time, and that is there. Nothing was changed.",
                    self.what
                ))
                .next("choose another type of credential, or replace the integration"));
        }
        let deed = Deed {
            object: self.what.clone(),
            tenant: self.tenant.clone(),
            action: "rotate",
            before: (to - 1).to_string(),
            after: to.to_string(),
            direction: Direction::None,
        };
        let leave = self.context.gate.authorize(&deed)?;
        let before = self.claim.as_ref();
        let current = before
            .and_then(|document| document.claim.current.clone())
            .or_else(|| view.mains.last().and_then(|main| main.key_id.clone()))
            .or_else(|| self.spec.known.as_ref().map(|(key_id, ..)| key_id.clone()))
            .filter(|key_id| view.keys.iter().any(|key| key.live && key.key_id == *key_id));
        let anchor = view.mains.last();
        let mut previous: Vec<Previous> = Vec::new();
        for key in view.keys.iter().filter(|key| key.live) {
            let is_current = Some(&key.key_id) == current.as_ref();
            let older = key.ours.is_some_and(|(generation, _)| generation < to);
            if is_current || older {
                let held = anchor.filter(|main| main.key_id.as_ref() == Some(&key.key_id));
                previous.push(Previous {
                    key_id: key.key_id.clone(),
                    generation: key.ours.map_or(to - 1, |(generation, _)| generation),
                    retire_not_before: None,
                    held_version: held.map(|main| main.version),
                });
            }
        }
        let epoch = self.highest_epoch() + 1;
        let pending = self.choose(to, epoch)?;
        let claim = Claim {
            generation: to,
            epoch,
            phase: if pending.is_some() { Phase::Stored } else { Phase::Intent },
            owner: self.context.run.id.clone(),
            attempt: 0,
            known: view.keys.iter().map(|key| key.key_id.clone()).collect(),
            current,
            new: None,
            mains: versions(view),
            previous,
            reason: self.reason.to_owned(),
            auth: leave.auth().to_owned(),
            hold: None,
            // Until its successor is promoted: what fails before that can be tried again.
            parked_for_replace: before.is_some_and(|document| document.claim.parked_for_replace),
        };
        let entry = self
            .entry("rotation.claimed", &claim)
            .detail("reason", self.reason)
            .detail("profile", self.profile.name);
        self.take_claim(&claim, pending.as_ref(), entry).await.map(drop)
    }

    async fn take_over(&mut self, view: &View) -> Result<(), Problem> {
        let document = self.claimed()?;
        let mut claim = document.claim.clone();
        let from = std::mem::replace(&mut claim.owner, self.context.run.id.clone());
        claim.epoch = self.highest_epoch() + 1;
        if claim.phase == Phase::Held {
            // Who decided has seen what stands in the sinks now.
            claim.phase = Phase::Stored;
            claim.hold = None;
            claim.mains = versions(view);
        }
        let pending = document.pending.as_ref().map(Secret::duplicate);
        let entry = self.entry("claim.taken_over", &claim).detail("from", from);
        self.take_claim(&claim, pending.as_ref(), entry).await.map(drop)
    }

    /// S3: the issuing call. Sent once.
    async fn issue(&mut self) -> Result<(), Problem> {
        let document = self.claimed()?;
        let claim = document.claim.clone();
        let marker = self.marker(claim.generation, claim.epoch)?;
        let now = self.context.now();
        let expires_at = if self.profile.sets_expiry {
            match &self.spec.schedule {
                Some(schedule) => schedule.expiry(now, self.spec.integration_ends),
                None => self.spec.integration_ends,
            }
        } else {
            None
        };
        let request = IssueRequest {
            credential_type: self.spec.credential_type.name,
            profile: self.profile.name,
            marker: &marker,
            secret: document.pending.as_ref(),
            settings: &self.spec.settings,
            expires_at,
        };
        self.context
            .journal(NewEntry {
                step: Some("issue".into()),
                ..self.entry("attempt.started", &claim)
            })
            .await?;
        let issued = self.connector.issue(&self.object, request).await;
        let mut ended = self.entry("attempt.ended", &claim);
        ended.step = Some("issue".into());
        match issued {
            Ok(issued) => {
                ended.outcome = Some("done".into());
                self.context.note(ended.detail("key", issued.key_id.clone())).await;
                match (issued.secret, self.origin) {
                    (Some(secret), Origin::VendorMarked | Origin::VendorReadable) => {
                        self.memory = Some((issued.key_id, claim.epoch, secret));
                        Ok(())
                    }
                    _ => self.store_key(issued.key_id).await,
                }
            }
            Err(error) => {
                ended.outcome = Some(format!("{:?}", error.outcome()).to_lowercase());
                self.context.note(ended).await;
                let problem = Problem::not_done(&self.what, "issue a credential", &error);
                if error.outcome() == connector::Outcome::Ambiguous {
                    return self.lost("issue", || problem);
                }
                self.release(&claim).await;
                Err(problem)
            }
        }
    }

    /// Nothing was issued: the claim goes back to what was there before.
    async fn release(&mut self, claim: &Claim) {
        let Some(version) = self.claim.as_ref().map(|document| document.version) else { return };
        if let Err(problem) = self.write_claim(&released(claim), None, Some(version)).await {
            tracing::warn!(%problem, "the credential was not given back in custody; that ends by itself");
        }
    }

    /// S4: the new key's id, and its secret where the platform made it, before anything else.
    async fn store_key(&mut self, key_id: String) -> Result<(), Problem> {
        let document = self.claimed()?;
        let claim =
            Claim { phase: Phase::Stored, new: Some(key_id.clone()), ..document.claim.clone() };
        let version = document.version;
        let held =
            self.memory.as_ref().filter(|(held, ..)| *held == key_id).map(|(_, _, secret)| secret);
        let pending = held.or(document.pending.as_ref()).map(Secret::duplicate);
        if self.write_claim(&claim, pending.as_ref(), Some(version)).await?.is_some() {
            self.memory = None;
            let entry = self.entry("rotation.stored", &claim).detail("key", key_id);
            self.context.journal(entry).await?;
        }
        Ok(())
    }

    /// S5: signs in with what custody gives back, so that a cut or wrongly encoded secret is found
    /// before anybody uses it.
    async fn verify(&mut self) -> Result<(), Problem> {
        let document = self.claimed()?;
        let claim = document.claim.clone();
        let Some(key_id) = claim.new.clone() else { return Ok(()) };
        let Some(pending) = document.pending.as_ref().map(Secret::duplicate) else {
            self.verified = Some((claim.epoch, key_id, false));
            return Ok(());
        };
        let takes_use =
            self.profile.verify.takes_use && self.spec.settings.count("num_uses").is_some();
        let (works, surface) = if takes_use {
            // A sign-in would use up what is not ours to use.
            let kind = self.spec.credential_type.name;
            let found = self.connector.find(&self.object, kind, &pending).await;
            (found.is_ok_and(|found| found.is_some()), "looked-up")
        } else {
            let works = self.sign_in(&pending).await.map_err(|error| {
                Problem::not_done(&self.what, "sign in with the new credential", &error)
            })?;
            // A platform counts refusals until one sign-in works. The current one is at hand.
            if !works && let Some(current) = self.current_secret(&claim).await? {
                let _ = self.sign_in(&current).await;
            }
            (works, "sign-in")
        };
        self.verified = Some((claim.epoch, key_id, works));
        if works {
            let entry = self.entry("rotation.verified", &claim).detail("surface", surface);
            self.context.journal(entry).await?;
        }
        Ok(())
    }

    /// One sign-in, counted.
    async fn sign_in(&mut self, secret: &Secret) -> connector::Result<bool> {
        let kind = self.spec.credential_type.name;
        match self.connector.probe(&self.object, kind, secret).await? {
            Probe::Accepted { .. } => {
                self.refused = 0;
                Ok(true)
            }
            Probe::Refused { class } => {
                tracing::warn!(slot = self.what, class, "a sign-in is refused");
                self.refused += 1;
                self.refusals += 1;
                Ok(false)
            }
        }
    }

    /// One more refusal locks nobody out.
    fn patience(&self) -> bool {
        self.refused < u32::from(self.profile.probe.between_successes).max(1)
    }

    /// S6: the document that consumers read, at the very version that the claim found.
    async fn promote(&mut self, place: &str) -> Result<(), Problem> {
        let document = self.claimed()?;
        let claim = document.claim.clone();
        let (Some(pending), Some(key_id)) = (&document.pending, &claim.new) else { return Ok(()) };
        let Some((delivery, sink)) = self.sinks.0.iter().find(|(one, _)| one.place() == place)
        else {
            return Ok(());
        };
        let (realm, key) = self.context.realm_key()?;
        let now = self.context.now();
        let meta = Meta {
            realm: realm.to_owned(),
            slot: self.what.clone(),
            vendor_id: self.spec.vendor_id.clone(),
            generation: claim.generation,
            epoch: claim.epoch,
            key_id: key_id.clone(),
            fingerprint: key.fingerprint(pending).to_string(),
            promoted_at: Some(now),
            previous: self.kept(&claim.previous, now),
            revoked: false,
        };
        let expected = claim.mains.get(place).copied().unwrap_or(0);
        let keep = match (delivery.merge, expected) {
            (true, 1..) => sink.read(&delivery.path).await?.and_then(|stored| stored.document),
            _ => None,
        };
        let composed = compose(
            self.spec.credential_type,
            &delivery.fields,
            &self.spec.vendor_id,
            pending,
            &meta,
            keep,
        );
        let expect = if expected == 0 { Expect::Nothing } else { Expect::Version(expected) };
        match sink.write(&delivery.path, &composed, expect).await {
            Ok(version) => {
                sink.write_mirror(&delivery.path, &meta.mirror(version.number)).await?;
                let entry = self
                    .entry("rotation.promoted", &claim)
                    .detail("sink", place)
                    .detail("version", version.number);
                self.context.journal(entry).await
            }
            // Who was faster is seen at the next look, and so is what stands there now.
            Err(SinkError::Conflict { .. }) => Ok(()),
            Err(error @ SinkError::Ambiguous { .. }) => self.lost(place, || error.into()),
            Err(error) => Err(error.into()),
        }
    }

    fn at_once(&self) -> bool {
        matches!(self.goal, Goal::Rotate { at_once: true, .. })
    }

    /// Earlier keys with the end of their overlap.
    fn kept(&self, previous: &[Previous], now: Timestamp) -> Vec<Previous> {
        let overlap = match &self.spec.schedule {
            _ if self.at_once() => domain::Span::ZERO,
            Some(schedule) => schedule.overlap,
            None => domain::Span::from_secs(86_400),
        };
        previous
            .iter()
            .map(|one| Previous { retire_not_before: Some(later(now, overlap)), ..one.clone() })
            .collect()
    }

    /// S7: the pending secret leaves custody; earlier keys are kept for their time.
    async fn park(&mut self) -> Result<(), Problem> {
        let document = self.claimed()?;
        let version = document.version;
        let mut claim = document.claim.clone();
        self.repair_mirrors().await?;
        claim.previous = self.kept(&claim.previous, self.context.now());
        claim.current = claim.new.take();
        claim.phase = if claim.previous.is_empty() { Phase::Free } else { Phase::Parked };
        claim.known.clear();
        claim.parked_for_replace = false;
        if self.write_claim(&claim, None, Some(version)).await?.is_some() {
            let kind =
                if claim.phase == Phase::Free { "rotation.closed" } else { "rotation.overlapping" };
            let mut entry = self.entry(kind, &claim);
            if let Some(until) = claim.previous.iter().filter_map(|one| one.retire_not_before).max()
            {
                entry = entry.detail("retire_not_before", moment(until));
            }
            let entry = self.rows(entry, &claim, "current");
            self.context.note(entry).await;
        }
        Ok(())
    }

    /// A mirror that a crash left behind is repaired before plan reads it.
    async fn repair_mirrors(&self) -> Result<(), Problem> {
        let (realm, _) = self.context.realm_key()?;
        for (delivery, sink) in &self.sinks.0 {
            if let Some(stored) = sink.read(&delivery.path).await?
                && let Some(meta) = stored.document.as_ref().and_then(Meta::of)
                && meta.of_slot(realm, &self.what)
            {
                let mirror = meta.mirror(stored.version.number);
                let look = sink.look(&delivery.path).await?;
                if look.is_none_or(|look| look.mirror != mirror) {
                    sink.write_mirror(&delivery.path, &mirror).await?;
                }
            }
        }
        Ok(())
    }

    /// The slot's rows in the inventory.
    fn rows(&self, entry: NewEntry, claim: &Claim, status: &str) -> NewEntry {
        let integration = self.spec.id.integration.to_string();
        let now = self.context.now();
        let sinks: BTreeMap<&str, String> =
            self.spec.deliveries.iter().map(|one| (one.name.as_str(), one.place())).collect();
        let mut entry = entry.change(Row::Slot(ledger::Slot {
            integration: integration.clone(),
            name: self.spec.id.name.clone(),
            generation: claim.generation,
            epoch: claim.epoch,
            current: claim.current.clone(),
            promoted_at: Some(now.as_millisecond()),
            schedule: self.spec.schedule.as_ref().map(schedule_json),
            sinks: Some(json!(sinks)),
            status: status.to_owned(),
            next_due_at: self
                .spec
                .schedule
                .as_ref()
                .map(|one| one.first_due(&self.what, now).as_millisecond()),
        }));
        let row = |key_id: &str, state: &str| {
            Row::Credential(ledger::Credential {
                integration: integration.clone(),
                slot: Some(self.spec.id.name.clone()),
                vendor_id: key_id.to_owned(),
                kind: self.spec.credential_type.name.to_owned(),
                state: state.to_owned(),
                ..ledger::Credential::default()
            })
        };
        if let Some(current) = &claim.current {
            entry = entry.change(row(current, "current"));
        }
        for one in &claim.previous {
            entry = entry.change(row(&one.key_id, "previous"));
        }
        entry
    }

    /// R4: the same content once more, so that a promote that is still on its way finds another
    /// version; where nothing is current any more, it says so. Where there is nothing yet, a document
    /// without a secret takes the place.
    async fn fence(&mut self, place: &str) -> Result<(), Problem> {
        let claim = self.claimed()?.claim.clone();
        let revoking = claim.phase == Phase::Retiring;
        let Some((delivery, sink)) = self.sinks.0.iter().find(|(one, _)| one.place() == place)
        else {
            return Ok(());
        };
        let (realm, _) = self.context.realm_key()?;
        let stored = sink.read(&delivery.path).await?;
        let expect =
            stored.as_ref().map_or(Expect::Nothing, |one| Expect::Version(one.version.number));
        let document = stored.and_then(|stored| stored.document);
        let (again, meta) = match document {
            Some(document) => {
                match Meta::of(&document).filter(|meta| meta.of_slot(realm, &self.what)) {
                    Some(meta) => {
                        let meta = Meta { revoked: meta.revoked || revoking, ..meta };
                        (document.with(META, Secret::new(meta.to_json())), Some(meta))
                    }
                    None => (document, None),
                }
            }
            None => {
                let meta = Meta {
                    realm: realm.to_owned(),
                    slot: self.what.clone(),
                    vendor_id: self.spec.vendor_id.clone(),
                    generation: claim.generation,
                    epoch: claim.epoch,
                    key_id: String::new(),
                    fingerprint: String::new(),
                    promoted_at: None,
                    previous: Vec::new(),
                    revoked: true,
                };
                (Document::default().with(META, Secret::new(meta.to_json())), Some(meta))
            }
        };
        match sink.write(&delivery.path, &again, expect).await {
            Ok(version) => {
                if let Some(meta) = meta {
                    sink.write_mirror(&delivery.path, &meta.mirror(version.number)).await?;
                }
                Ok(())
            }
            Err(SinkError::Conflict { .. }) => Ok(()),
            Err(error @ SinkError::Ambiguous { .. }) => self.lost(place, || error.into()),
            Err(error) => Err(error.into()),
        }
    }

    async fn begin_again(&mut self, view: &View) -> Result<(), Problem> {
        let document = self.claimed()?;
        let held = document.claim.phase == Phase::Held;
        let epoch = self.highest_epoch() + 1;
        let pending = self.choose(document.claim.generation, epoch)?;
        let claim = Claim {
            epoch,
            phase: if pending.is_some() { Phase::Stored } else { Phase::Intent },
            owner: self.context.run.id.clone(),
            attempt: if held { 0 } else { document.claim.attempt + 1 },
            known: view.keys.iter().map(|key| key.key_id.clone()).collect(),
            new: None,
            mains: versions(view),
            hold: None,
            ..document.claim.clone()
        };
        let entry = self.entry("rotation.begun_again", &claim);
        self.take_claim(&claim, pending.as_ref(), entry).await.map(drop)
    }

    /// The keys to end are named in the claim before one of them is touched.
    async fn begin_ending(&mut self, view: &View, keys: Vec<Previous>) -> Result<(), Problem> {
        let before = self.claim.as_ref().map(|document| document.claim.clone());
        let (generation, current) = match &before {
            Some(claim) => (claim.generation, claim.current.clone()),
            None => (keys.iter().map(|one| one.generation).max().unwrap_or(0), None),
        };
        let revoking = self.goal == Goal::Revoke;
        // A promote may be on its way only where somebody was at work.
        let at_work = before.as_ref().is_some_and(|claim| claim.phase.is_open());
        let claim = Claim {
            generation,
            epoch: self.highest_epoch() + 1,
            phase: Phase::Retiring,
            owner: self.context.run.id.clone(),
            attempt: 0,
            known: Default::default(),
            current: current.filter(|_| !revoking),
            new: None,
            mains: if at_work { versions(view) } else { BTreeMap::new() },
            previous: keys,
            reason: self.reason.to_owned(),
            auth: "policy:narrowing".to_owned(),
            hold: None,
            parked_for_replace: !revoking && before.is_some_and(|claim| claim.parked_for_replace),
        };
        let named: Vec<&str> = claim.previous.iter().map(|one| one.key_id.as_str()).collect();
        let entry = self
            .entry("rotation.retiring", &claim)
            .detail("reason", self.reason)
            .detail("keys", json!(named));
        self.take_claim(&claim, None, entry).await.map(drop)
    }

    /// S10: by id, never by name.
    async fn end(&mut self, key_id: &str, why: &'static str) -> Result<(), Problem> {
        // Children carry the key's marker, which is gone with the key.
        let claim = self.claimed()?.claim.clone();
        let marker = self.listed.get(key_id).cloned().flatten();
        self.context
            .journal(NewEntry {
                step: Some("end".into()),
                ..self.entry("attempt.started", &claim).detail("key", key_id)
            })
            .await?;
        let ended = self.connector.end(&self.object, key_id).await;
        let mut entry =
            self.entry("rotation.retired", &claim).detail("key", key_id).detail("why", why);
        match ended {
            Ok(_) => {
                entry.outcome = Some("done".into());
                self.accepted.insert(key_id.to_owned());
            }
            Err(error) if error.outcome() == connector::Outcome::Ambiguous => {
                entry.outcome = Some("ambiguous".into());
                let problem = Problem::not_done(&self.what, "end a credential", &error);
                self.lost(key_id, || problem)?;
            }
            Err(error) => {
                return Err(Problem::not_done(&self.what, "end a credential", &error));
            }
        }
        self.context.note(entry).await;
        if let Some(marker) = marker {
            let children = self.connector.sweep(&self.object, Some(&marker)).await;
            let children = children.unwrap_or(Children::Unknown);
            self.children.insert(key_id.to_owned(), children);
        }
        Ok(())
    }

    /// S11: what was minted from ended keys was looked for as each ended, by its marker.
    async fn sweep(&mut self) -> Result<(), Problem> {
        let claim = self.claimed()?.claim.clone();
        let swept: u32 = self
            .children
            .values()
            .map(|children| if let Children::Swept(count) = children { *count } else { 0 })
            .sum();
        let entry = self.entry("rotation.swept", &claim).detail("children", swept);
        self.context.note(entry).await;
        self.swept = Some(claim.epoch);
        self.change_claim(|claim| claim.phase = Phase::Proving, false).await
    }

    /// S12: shows it, within what the platform stands.
    async fn prove(&mut self) -> Result<(), Problem> {
        let claim = self.claimed()?.claim.clone();
        let new = self.current_secret(&claim).await?;
        for one in &claim.previous {
            let old = self.old_secret(one).await?;
            let mut refused = false;
            if let (Some(new), Some(old)) = (&new, &old) {
                let kind = self.spec.credential_type.name;
                let spent = self.refusals;
                let shown =
                    rounds(&*self.connector, &self.object, kind, self.profile, spent, new, old)
                        .await;
                refused = shown.refused;
                self.refusals += 2 * shown.sent;
                let entry = self
                    .entry("probe.round", &claim)
                    .detail("key", one.key_id.clone())
                    .detail("rounds", shown.sent)
                    .detail("says", shown.says);
                self.context.note(entry).await;
            }
            let gone = gone_from_listing(&*self.connector, &self.object, &one.key_id).await;
            let accepted = self.accepted.contains(&one.key_id);
            let grade = grade(Shown { refused, gone, accepted });
            let residual_until = match self.children.get(&one.key_id) {
                Some(Children::Residual(until)) => *until,
                _ => None,
            };
            let children = match self.children.get(&one.key_id) {
                Some(Children::None) => "none".to_owned(),
                Some(Children::Swept(count)) => format!("swept {count}"),
                Some(Children::Residual(Some(until))) => {
                    format!("residual until {}", moment(*until))
                }
                _ => "unknown".to_owned(),
            };
            let entry = self
                .entry("rotation.proven", &claim)
                .detail("key", one.key_id.clone())
                .detail("grade", grade.as_str())
                .detail("children", children);
            let entry = entry.change(Row::Credential(ledger::Credential {
                integration: self.spec.id.integration.to_string(),
                slot: Some(self.spec.id.name.clone()),
                vendor_id: one.key_id.clone(),
                kind: self.spec.credential_type.name.to_owned(),
                state: "ended".to_owned(),
                ..ledger::Credential::default()
            }));
            self.context.note(entry).await;
            self.revoked.push(Revoked { key_id: one.key_id.clone(), grade, residual_until });
        }
        self.proven = Some(claim.epoch);
        Ok(())
    }

    async fn current_secret(&self, claim: &Claim) -> Result<Option<Secret>, Problem> {
        if claim.current.is_none() {
            return Ok(None);
        }
        let Some((delivery, sink)) = self.sinks.0.last() else { return Ok(None) };
        let stored = sink.read(&delivery.path).await?.and_then(|stored| stored.document);
        let (realm, _) = self.context.realm_key()?;
        Ok(stored
            .filter(|document| {
                Meta::of(document).is_some_and(|meta| {
                    !meta.revoked
                        && meta.ours(realm, &self.what, &self.spec.vendor_id)
                        && Some(&meta.key_id) == claim.current.as_ref()
                })
            })
            .and_then(|document| secret_in(self.spec.credential_type, &delivery.fields, &document)))
    }

    async fn old_secret(&self, one: &Previous) -> Result<Option<Secret>, Problem> {
        let Some((delivery, sink)) = self.sinks.0.last() else { return Ok(None) };
        let Some(version) = self.version_of(one).await? else { return Ok(None) };
        let document = sink.read_version(&delivery.path, version).await?;
        Ok(document
            .and_then(|document| secret_in(self.spec.credential_type, &delivery.fields, &document)))
    }

    /// The anchor's version that holds an earlier key's secret. The claim's word is checked against
    /// the version itself: the anchor may be another sink than it was when the claim was written.
    async fn version_of(&self, one: &Previous) -> Result<Option<u64>, Problem> {
        let (Some(version), Some((delivery, sink))) = (one.held_version, self.sinks.0.last())
        else {
            return Ok(None);
        };
        let document = sink.read_version(&delivery.path, version).await?;
        let (realm, _) = self.context.realm_key()?;
        let holds = document.as_ref().and_then(Meta::of).is_some_and(|meta| {
            meta.ours(realm, &self.what, &self.spec.vendor_id) && meta.key_id == one.key_id
        });
        Ok(holds.then_some(version))
    }

    /// S13: the sink forgets what no longer opens anything.
    async fn destroy_previous(&mut self) -> Result<(), Problem> {
        let claim = self.claimed()?.claim.clone();
        if let Some((delivery, sink)) = self.sinks.0.last() {
            for one in &claim.previous {
                let Some(version) = self.version_of(one).await? else { continue };
                sink.destroy_version(&delivery.path, version).await?;
                let entry =
                    self.entry("rotation.previous_destroyed", &claim).detail("version", version);
                self.context.note(entry).await;
            }
        }
        self.destroyed = Some(claim.epoch);
        Ok(())
    }

    /// S14: nothing is left. A late duplicate of an earlier call is looked for once more.
    async fn close(&mut self, view: &View) -> Result<(), Problem> {
        let claim = self.claimed()?.claim.clone();
        let late: Vec<String> = view
            .keys
            .iter()
            .filter(|key| key.live && Some(&key.key_id) != claim.current.as_ref())
            .filter(|key| {
                key.ours.is_some_and(|(generation, epoch)| {
                    generation < claim.generation && epoch <= claim.epoch
                })
            })
            .map(|key| key.key_id.clone())
            .collect();
        for key_id in late {
            self.end(&key_id, "late").await?;
        }
        if claim.current.is_none() {
            self.repair_mirrors().await?;
        }
        let version = self.claimed()?.version;
        let closed = Claim {
            phase: Phase::Free,
            previous: Vec::new(),
            known: Default::default(),
            new: None,
            ..claim
        };
        if self.write_claim(&closed, None, Some(version)).await?.is_some() {
            let mut entry = self.entry("rotation.closed", &closed);
            entry = if self.goal == Goal::Revoke {
                entry.change(Row::SlotEnded {
                    integration: self.spec.id.integration.to_string(),
                    name: self.spec.id.name.clone(),
                })
            } else {
                self.rows(entry, &closed, "current")
            };
            self.context.note(entry).await;
        }
        Ok(())
    }

    /// The goal is reached.
    async fn settle(&mut self, view: &View) -> Result<(), Problem> {
        let planned = match self.goal {
            Goal::Rotate { to, .. } => to,
            Goal::Retire { at } => at,
            Goal::Revoke => return Ok(()),
        };
        let delivered = view.mains.last().and_then(|main| main.generation);
        let settled = view.claim.as_ref().filter(|claim| !claim.phase.is_open());
        let at = delivered.max(settled.map(|claim| claim.generation)).unwrap_or(planned);
        if at > planned {
            return Err(further(&self.what, planned, at));
        }
        Ok(())
    }

    /// It is not done, and everything stays as it is.
    fn refuse(&self, view: &View, why: &'static str) -> Problem {
        match why {
            "old-in-use" => {
                let previous = self.claim.iter().flat_map(|document| &document.claim.previous);
                let until = previous.filter_map(|one| one.retire_not_before).max();
                let until = until.map_or_else(|| "its overlap is over".to_owned(), moment);
                Problem::new("E-OLD-IN-USE", "The earlier credential is still in its overlap")
                    .detail(format!(
                        "{}: a third one would cut off whoever still holds the first, which is kept \
                         until {until}. Nothing was changed.",
                        self.what
                    ))
                    .next(format!(
                        "apply again after {until}; or set incident: an exposed credential is rotated \
                         at once and keeps none"
                    ))
            }
            "listing-incomplete" => Problem::new(
                "E-UNREADABLE",
                "Not all credentials could be listed",
            )
            .detail(format!(
                "{}: a part of the listing is missing, and what cannot be seen is not taken \
                         for absent. What was begun waits.",
                self.what
            ))
            .next("apply again"),
            other => held_problem(&self.what, other, occupied_place(view), &self.sinks),
        }
    }

    async fn hold(&mut self, view: &View, why: &'static str) -> Problem {
        let mine =
            self.claim.as_ref().filter(|document| document.claim.owner == self.context.run.id);
        if let Some(document) = mine
            && document.claim.phase.is_open()
            && document.claim.phase != Phase::Held
        {
            let held =
                Claim { phase: Phase::Held, hold: Some(why.into()), ..document.claim.clone() };
            let (pending, version) =
                (document.pending.as_ref().map(Secret::duplicate), document.version);
            if let Err(problem) = self.write_claim(&held, pending.as_ref(), Some(version)).await {
                tracing::warn!(%problem, "the hold was not written");
            }
            let entry = self.entry("rotation.held", &held).detail("why", why);
            self.context.note(entry).await;
        }
        let why = match &self.claim {
            Some(document) if why == "held" => {
                document.claim.hold.clone().unwrap_or_else(|| why.to_owned())
            }
            _ => why.to_owned(),
        };
        held_problem(&self.what, &why, occupied_place(view), &self.sinks)
    }
}

/// Somebody rotated the slot after the plan was made.
pub(crate) fn further(what: &str, planned: u64, at: u64) -> Problem {
    Problem::new("E-FURTHER", "It was rotated further meanwhile")
        .detail(format!(
            "{what}: generation {planned} was planned and {at} is current. Nothing was changed."
        ))
        .next("plan again")
}

fn occupied_place(view: &View) -> Option<&str> {
    view.mains.iter().find(|main| main.occupied.is_some()).map(|main| main.place.as_str())
}

/// Nothing was issued: what a claim goes back to.
fn released(claim: &Claim) -> Claim {
    Claim {
        phase: Phase::Free,
        generation: claim.generation.saturating_sub(1),
        new: None,
        previous: Vec::new(),
        known: BTreeSet::new(),
        ..claim.clone()
    }
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

fn versions(view: &View) -> BTreeMap<String, u64> {
    view.mains.iter().map(|main| (main.place.clone(), main.version)).collect()
}

fn empty(now: Timestamp) -> connector::CredentialListing {
    connector::CredentialListing { credentials: Vec::new(), complete: true, requested_at: now }
}

fn held_problem(what: &str, why: &str, place: Option<&str>, sinks: &Sinks) -> Problem {
    match why {
        "sink-occupied" | "foreign-realm" => {
            let place = place.and_then(|place| sinks.0.iter().find(|(one, _)| one.place() == place));
            match place.or(sinks.0.first()) {
                Some((delivery, _)) if why == "foreign-realm" => foreign_realm(delivery),
                Some((delivery, _)) => occupied(delivery),
                None => Problem::new("E-SINK-OCCUPIED", "Something else is there already"),
            }
        }
        "sink-changed-by-others" => Problem::new("E-SINK-CHANGED", "Somebody wrote over the document")
            .detail(format!(
                "{what}: the sink's document is at another version than when this rotation began. \
                 Both credentials still work; nothing was overwritten."
            ))
            .next(
                "see who wrote it; then change a value in triggers: the new credential is written over it",
            ),
        "verify-failed" => Problem::new("E-VERIFY", "New credentials are refused")
            .detail(format!(
                "{what}: none that was issued could sign in, and all of them were ended. What was \
                 there before was kept."
            ))
            .next(
                "nhi doctor: is the integration disabled, or bound to other addresses? Then change a \
                 value in triggers, or apply again if it is new: others are issued",
            ),
        other => Problem::new("E-HELD", "This slot waits for a person")
            .detail(format!("{what}: {other}."))
            .next("nhi ledger show; then change a value in triggers: it goes on from there"),
    }
}

/// A document that is not ours is where ours should go.
pub(crate) fn occupied(delivery: &Delivery) -> Problem {
    Problem::new("E-SINK-OCCUPIED", "Something else is there already")
        .detail(format!(
            "{} holds a document that no rotation of ours wrote. It was left as it is.",
            delivery.place()
        ))
        .next("name another path, or set merge = true to keep its other fields")
        .at(&["deliver_to", &delivery.name, "path"])
}

/// Another installation governs the same slot, or delivers to the same place.
pub(crate) fn foreign_realm(delivery: &Delivery) -> Problem {
    Problem::new("E-FOREIGN-REALM", "Another realm delivers there")
        .detail(format!(
            "{} holds a document that another realm's rotation wrote. Two that write there would cut \
             each other's consumers off, so neither does. It was left as it is.",
            delivery.place()
        ))
        .next("name another path, or give the slot up in the configuration of the other realm")
        .at(&["deliver_to", &delivery.name, "path"])
}

/// Whether something of somebody else is where ours should go: `sink-occupied` or `foreign-realm`.
/// A document that says nothing of itself was ours if its mirror says so: somebody wrote over it.
pub(crate) fn occupied_by_others(
    realm: &str,
    slot: &str,
    delivery: &Delivery,
    document: &Document,
    look: Option<&Look>,
) -> Option<&'static str> {
    let says = Meta::of(document);
    let mirrored = || Some(Meta::from_mirror(&look?.mirror)?.0);
    match says {
        Some(meta) if meta.realm != realm => Some("foreign-realm"),
        Some(meta) => (meta.slot != slot).then_some("sink-occupied"),
        None if delivery.merge => None,
        None => match mirrored() {
            Some(meta) if meta.of_slot(realm, slot) => None,
            Some(meta) if meta.realm != realm => Some("foreign-realm"),
            _ => Some("sink-occupied"),
        },
    }
}
