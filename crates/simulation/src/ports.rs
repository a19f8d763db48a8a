//! What the deeds see of the simulated world. Every call waits for its turn, and is told how it ends.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    future::{Future, pending, poll_fn},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Poll,
};

use async_trait::async_trait;
use connector::{
    Change, Children, Clock, Connection, Connector, CredentialListing, Ended, IssueRequest, Issued,
    NewIntegration, ObjectRef, Outcome, Platform, Probe, ProbeBudget, Promise, Want,
    fake::{self, Fake},
};
use domain::{
    CredentialId, LastUsed, Marker, Observation, ObservedCredential, ObservedIntegration, RealmKey,
    Secret, Settings,
};
use jiff::{SignedDuration, Timestamp};
use ledger::{
    Durability, Filter, Ledger, NewEntry, Receipt,
    chain::Hash,
    inventory::{
        Credential, Integration, Obligation, Observed, Person, Scan, Selection, Slot, Tenant,
    },
    port::{Checkpoint, Head, Page, Range, Rebuilt, Verification, Work},
};
use operations::{Connections, Problem};
use policy::rotation::Phase;
use secrets::{
    Document, Expect, Look, MemorySink, Mirror, Sink, SinkCapabilities, SinkError, Stored, Version,
};

/// Time that passes when the story says so.
#[derive(Debug)]
pub struct StoryClock(tokio::time::Instant);

impl StoryClock {
    /// It begins now.
    pub fn new() -> StoryClock {
        StoryClock(tokio::time::Instant::now())
    }
}

impl Default for StoryClock {
    fn default() -> Self {
        StoryClock::new()
    }
}

impl Clock for StoryClock {
    fn now(&self) -> Timestamp {
        let passed = i64::try_from(self.0.elapsed().as_millis()).unwrap_or(i64::MAX);
        Timestamp::constant(1_795_500_000, 0) + SignedDuration::from_millis(passed)
    }
}

/// A rule that somebody forgot: the world behaves as if the engine did not keep to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)] // Their names say what is wrong.
pub enum Bug {
    EveryEpochLooksOld,
    TakingOverKeepsTheEpoch,
    APromoteReplacesWhateverIsThere,
    WhatIsNotCurrentEnds,
    TheListingIsOlderThanTheClaim,
    NobodyLooksForLateOrphans,
    NothingIsWaitedFor,
    EndingGoesByName,
    AnEntryThatIsNotKeptIsNoMatter,
    WhatIsIssuedIsTrusted,
    NoOverlapIsKept,
    AFenceStopsNobody,
    RefusalsAreNotCounted,
    WhatAPersonWroteIsWrittenOver,
    NobodyIsWatchedFor,
    MemoryOutlivesTheClaim,
    TheAnchorComesFirst,
    NullIsUnused,
    WhatMadeItsSuccessorLooksAlive,
    OtherSlotsAreHidden,
    WhoStoppedSaysNothing,
    NobodyIsAskedInTheEnd,
    SlowReadersAreForgotten,
    NobodyKnowsThatItIsOut,
}

impl Bug {
    /// All of them.
    pub const ALL: [Bug; 24] = [
        Bug::EveryEpochLooksOld,
        Bug::TakingOverKeepsTheEpoch,
        Bug::APromoteReplacesWhateverIsThere,
        Bug::WhatIsNotCurrentEnds,
        Bug::TheListingIsOlderThanTheClaim,
        Bug::NobodyLooksForLateOrphans,
        Bug::NothingIsWaitedFor,
        Bug::EndingGoesByName,
        Bug::AnEntryThatIsNotKeptIsNoMatter,
        Bug::WhatIsIssuedIsTrusted,
        Bug::NoOverlapIsKept,
        Bug::AFenceStopsNobody,
        Bug::RefusalsAreNotCounted,
        Bug::WhatAPersonWroteIsWrittenOver,
        Bug::NobodyIsWatchedFor,
        Bug::MemoryOutlivesTheClaim,
        Bug::TheAnchorComesFirst,
        Bug::NullIsUnused,
        Bug::WhatMadeItsSuccessorLooksAlive,
        Bug::OtherSlotsAreHidden,
        Bug::WhoStoppedSaysNothing,
        Bug::NobodyIsAskedInTheEnd,
        Bug::SlowReadersAreForgotten,
        Bug::NobodyKnowsThatItIsOut,
    ];
}

/// A call that waits for its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Call {
    /// What it does.
    pub what: &'static str,
    /// Of a claim: which phase is written.
    pub phase: &'static str,
}

/// How a call ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)] // Their names say it.
pub enum Fate {
    Done,
    NotSent,
    RequestLost,
    AnswerLost,
    ArrivesLate,
    DiesBefore,
    DiesAfter,
    FalselyRefused,
    Useless,
    NotKept,
}

type Effect = Pin<Box<dyn Future<Output = ()> + Send>>;

/// All that calls leave behind for whoever tells the story.
#[derive(Default)]
pub struct Told {
    pub(crate) waits: Vec<Option<Call>>,
    pub(crate) fates: Vec<Option<Fate>>,
    pub(crate) dead: Vec<bool>,
    pub(crate) late: Vec<(Call, Effect)>,
    /// Places that take nothing.
    pub(crate) shut: BTreeSet<String>,
    /// How often each run has called for a key since it was asked to stop; `None`: nobody asked it.
    pub(crate) stops: Vec<Option<u32>>,
    pub(crate) broken: Vec<String>,
    /// The kind of the last entry that each run has kept.
    kept: Vec<Option<String>>,
    /// Secrets that signed in once.
    pub(crate) signed_in: BTreeSet<String>,
    /// A dead credential was called with to make its own successor.
    pub(crate) reused: bool,
    /// How many calls for a key the platform has taken.
    pub(crate) issued: usize,
    /// For which slot each key was called for.
    made: BTreeMap<String, String>,
    /// Those of them that carry a mark since, and so a name in a claim.
    marked: BTreeSet<String>,
    /// Slots that were revoked when nobody was at work: the secret of what they called for is nobody's.
    pub(crate) revoked: BTreeSet<String>,
    /// Refused sign-ins since one worked, and the most that there were.
    pub(crate) refused: u32,
    pub(crate) most_refused: u32,
    /// What each run has made by the call that is on its way does not work.
    useless: Vec<bool>,
    /// What is only there for [`Bug`]s.
    older: Vec<Option<CredentialListing>>,
    serving: Vec<BTreeSet<String>>,
    fences: BTreeSet<(String, u64)>,
    /// What each run has made and not stored: the key, its secret, and the epoch in its mark.
    memory: Vec<Option<(String, Secret, u64)>>,
}

/// What all runs share.
pub struct Shared {
    pub(crate) fake: Fake,
    pub(crate) vault: Arc<MemorySink>,
    pub(crate) apps: Arc<MemorySink>,
    pub(crate) bug: Option<Bug>,
    pub(crate) realm: &'static str,
    pub(crate) key: RealmKey,
    pub(crate) tenant: String,
    pub(crate) vendor_id: String,
    told: Mutex<Told>,
}

impl Shared {
    /// A world, and what is wrong in it.
    #[allow(clippy::too_many_arguments)] // Each is one thing of the world.
    pub(crate) fn new(
        fake: Fake,
        vault: Arc<MemorySink>,
        apps: Arc<MemorySink>,
        bug: Option<Bug>,
        realm: &'static str,
        key: RealmKey,
        vendor_id: String,
    ) -> Shared {
        let tenant = "fake-1".to_owned();
        let told = Mutex::default();
        Shared { fake, vault, apps, bug, realm, key, tenant, vendor_id, told }
    }

    pub(crate) fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A run of its own.
    pub(crate) fn port(self: &Arc<Shared>, slot: CredentialId) -> Port {
        let mut told = self.told();
        let run = told.waits.len();
        told.waits.push(None);
        told.fates.push(None);
        told.dead.push(false);
        told.stops.push(None);
        told.kept.push(None);
        told.useless.push(false);
        told.older.push(None);
        told.memory.push(None);
        told.serving.push(BTreeSet::new());
        drop(told);
        Port { shared: self.clone(), run, slot }
    }

    fn has(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }
}

/// What one run sees.
#[derive(Clone)]
pub struct Port {
    pub(crate) shared: Arc<Shared>,
    pub(crate) run: usize,
    /// Of which slot.
    pub(crate) slot: CredentialId,
}

impl fmt::Debug for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Port {}", self.run)
    }
}

impl Port {
    async fn turn(&self, what: &'static str, phase: &'static str) -> Fate {
        let call = Call { what, phase };
        let fate = poll_fn(|_| {
            let mut told = self.shared.told();
            match told.fates[self.run].take() {
                Some(fate) => {
                    told.waits[self.run] = None;
                    told.useless[self.run] = fate == Fate::Useless;
                    Poll::Ready(fate)
                }
                None => {
                    told.waits[self.run] = Some(call);
                    Poll::Pending
                }
            }
        });
        let fate = fate.await;
        if fate == Fate::DiesBefore {
            self.die().await
        }
        fate
    }

    async fn die(&self) -> ! {
        self.shared.told().dead[self.run] = true;
        pending().await
    }

    /// A call that changes something.
    async fn change<T: Send + 'static, E: Send + 'static>(
        &self,
        what: &'static str,
        phase: &'static str,
        lost: impl Fn(Outcome) -> E + Send,
        effect: impl Future<Output = Result<T, E>> + Send + 'static,
    ) -> Result<T, E> {
        match self.turn(what, phase).await {
            Fate::NotSent => Err(lost(Outcome::NotSent)),
            Fate::RequestLost => Err(lost(Outcome::Ambiguous)),
            Fate::AnswerLost => {
                effect.await?;
                Err(lost(Outcome::Ambiguous))
            }
            Fate::ArrivesLate => {
                let effect = Box::pin(async move { drop(effect.await) });
                self.shared.told().late.push((Call { what, phase }, effect));
                Err(lost(Outcome::Ambiguous))
            }
            Fate::DiesAfter => {
                let _ = effect.await;
                self.die().await
            }
            _ => effect.await,
        }
    }
}

fn sink_lost(path: &str) -> impl Fn(Outcome) -> SinkError + Send + use<> {
    let place = path.to_owned();
    move |outcome| {
        let (place, reason) = (place.clone(), "the story says so".to_owned());
        match outcome {
            Outcome::Ambiguous => SinkError::Ambiguous { place, reason },
            _ => SinkError::Unreachable { place, reason },
        }
    }
}

fn lost(what: &str) -> impl Fn(Outcome) -> connector::Error + Send + use<> {
    let what = what.to_owned();
    move |outcome| connector::Error::Unreachable {
        what: what.clone(),
        message: "the story says so".into(),
        outcome,
    }
}

/// The word alone, for the name of a call: it is written by the machine itself.
fn phase_word(document: &Document) -> Option<&'static str> {
    let (_, rest) = document.get("claim")?.expose().split_once("\"phase\":\"")?;
    Phase::from_word(rest.split_once('"')?.0).map(Phase::as_str)
}

fn phase_of(document: &Document) -> Option<(Phase, serde_json::Value)> {
    let value: serde_json::Value = serde_json::from_str(document.get("claim")?.expose()).ok()?;
    let phase = Phase::from_word(value.get("phase")?.as_str()?)?;
    Some((phase, value))
}

/// Custody, or consumers' places.
#[derive(Debug)]
pub(crate) struct StorySink {
    pub(crate) port: Port,
    pub(crate) custody: bool,
}

impl StorySink {
    fn inner(&self) -> Arc<MemorySink> {
        if self.custody { self.port.shared.vault.clone() } else { self.port.shared.apps.clone() }
    }

    /// What is written where a rule is forgotten.
    async fn forgetting(
        &self,
        path: &str,
        document: &Document,
        expect: Expect,
    ) -> (Document, Expect) {
        let shared = &self.port.shared;
        let mut document = document.duplicate();
        let Ok(Some(there)) = self.inner().read(path).await else { return (document, expect) };
        let number = there.version.number;
        if self.custody && shared.has(Bug::TakingOverKeepsTheEpoch) {
            let before = there.document.as_ref().and_then(phase_of);
            if let (Some((_, before)), Some((_, mut after))) = (before, phase_of(&document))
                && before["gen"] == after["gen"]
            {
                after["epoch"] = before["epoch"].clone();
                document = document.with("claim", Secret::new(after.to_string()));
            }
        }
        if self.custody && shared.has(Bug::WhoStoppedSaysNothing) {
            let text = document.get("claim").map(|claim| claim.expose().replace("stopped:", ""));
            document = match text {
                Some(text) => document.with("claim", Secret::new(text)),
                None => document,
            };
        }
        if self.custody {
            return (document, expect);
        }
        if shared.has(Bug::APromoteReplacesWhateverIsThere)
            || shared.has(Bug::WhatAPersonWroteIsWrittenOver)
        {
            return (document, Expect::Version(number));
        }
        if shared.has(Bug::AFenceStopsNobody)
            && let Expect::Version(mut expected) = expect
        {
            let fences = &mut shared.told().fences;
            let held = there.document.as_ref().and_then(|there| there.get("key"));
            if expected == number && held.is_some() && held == document.get("key") {
                fences.insert((path.to_owned(), number + 1));
            }
            while fences.contains(&(path.to_owned(), expected + 1)) && expected < number {
                expected += 1;
            }
            return (document, Expect::Version(expected));
        }
        (document, expect)
    }
}

impl StorySink {
    /// A consumers' place takes what is written there.
    fn is_open(&self, path: &str) -> secrets::Result<()> {
        if self.custody || !self.port.shared.told().shut.contains(path) {
            return Ok(());
        }
        Err(SinkError::Refused { place: path.to_owned(), reason: "nobody may write there".into() })
    }

    /// Where a promote goes that is to go to another place, which is the anchor and not promoted yet.
    async fn first_place(&self, path: &str, document: &Document) -> Option<String> {
        let (anchor, other) = ("apps/a", "apps/b");
        if self.custody || path != other || !self.port.shared.has(Bug::TheAnchorComesFirst) {
            return None;
        }
        let there = self.inner().read(anchor).await.ok()??;
        let held = there.document.as_ref().and_then(|there| there.get("key"));
        let is_other = held.is_some() && held != document.get("key");
        is_other.then(|| anchor.to_owned())
    }

    /// The claim of whoever takes it back, as if what they made under an earlier epoch were theirs still.
    async fn revived(&self, document: &Document) -> Option<Document> {
        let shared = &self.port.shared;
        if !self.custody || !shared.has(Bug::MemoryOutlivesTheClaim) {
            return None;
        }
        let (phase, mut claim) = phase_of(document)?;
        if phase != Phase::Intent {
            shared.told().memory[self.port.run] = None;
            return None;
        }
        let (key_id, secret, epoch) = shared.told().memory[self.port.run]
            .as_ref()
            .map(|(key_id, secret, epoch)| (key_id.clone(), secret.duplicate(), *epoch))?;
        if claim["epoch"].as_u64() <= Some(epoch) {
            return None;
        }
        claim["phase"] = Phase::Stored.as_str().into();
        claim["new"] = key_id.into();
        let document = document.duplicate().with("claim", Secret::new(claim.to_string()));
        Some(document.with("pending", secret))
    }
}

#[async_trait]
impl Sink for StorySink {
    fn capabilities(&self) -> SinkCapabilities {
        self.inner().capabilities()
    }
    async fn home(&self, path: &str) -> secrets::Result<secrets::Home> {
        self.inner().home(path).await
    }
    async fn read(&self, path: &str) -> secrets::Result<Option<Stored>> {
        let shared = &self.port.shared;
        let what = if self.custody { "read claim" } else { "read sink" };
        if self.port.turn(what, "").await == Fate::NotSent {
            return Err(sink_lost(path)(Outcome::NotSent));
        }
        let mut found = self.inner().read(path).await?;
        if !self.custody
            && shared.has(Bug::WhatAPersonWroteIsWrittenOver)
            && let Some(found) = &mut found
            && let Some(expected) = self.port.recorded(path).await
        {
            found.version.number = expected;
        }
        if !self.custody
            && let Some(secret) =
                found.as_ref().and_then(|one| one.document.as_ref()).and_then(|one| one.get("key"))
        {
            shared.told().serving[self.port.run].insert(secret.expose().to_owned());
        }
        Ok(found)
    }
    async fn read_version(&self, path: &str, number: u64) -> secrets::Result<Option<Document>> {
        self.inner().read_version(path, number).await
    }
    async fn kept_versions(&self, path: &str) -> secrets::Result<Vec<u64>> {
        self.inner().kept_versions(path).await
    }
    async fn look(&self, path: &str) -> secrets::Result<Option<Look>> {
        self.inner().look(path).await
    }
    async fn look_all(&self, folder: &str) -> secrets::Result<BTreeMap<String, Look>> {
        let mut all = self.inner().look_all(folder).await?;
        if self.custody && self.port.shared.has(Bug::OtherSlotsAreHidden) {
            let own = self.port.slot.to_string();
            all.retain(|_, look| look.mirror.get("slot").is_none_or(|slot| *slot == own));
        }
        Ok(all)
    }
    async fn write(
        &self,
        path: &str,
        document: &Document,
        expect: Expect,
    ) -> secrets::Result<Version> {
        let phase = phase_word(document).unwrap_or_default();
        let what = if self.custody { "write claim" } else { "write sink" };
        let (sink, place, document) = (self.inner(), path.to_owned(), document.duplicate());
        let here = StorySink { port: self.port.clone(), custody: self.custody };
        let effect = async move {
            here.is_open(&place)?;
            if here.port.shared.bug.is_none() {
                return sink.write(&place, &document, expect).await;
            }
            let (document, expect) = here.forgetting(&place, &document, expect).await;
            if let Some(other) = here.first_place(&place, &document).await {
                let there =
                    Expect::Version(sink.read(&other).await?.map_or(0, |at| at.version.number));
                sink.write(&other, &document, there).await?;
                return Err(sink_lost(&place)(Outcome::Ambiguous));
            }
            let revived = here.revived(&document).await;
            let written = sink.write(&place, revived.as_ref().unwrap_or(&document), expect).await?;
            match revived {
                // It is read again.
                Some(_) => Err(sink_lost(&place)(Outcome::Ambiguous)),
                None => Ok(written),
            }
        };
        self.port.change(what, phase, sink_lost(path), effect).await
    }
    async fn write_mirror(&self, path: &str, mirror: &Mirror) -> secrets::Result<()> {
        let (sink, place, mirror) = (self.inner(), path.to_owned(), mirror.clone());
        let here = StorySink { port: self.port.clone(), custody: self.custody };
        let effect = async move {
            here.is_open(&place)?;
            sink.write_mirror(&place, &mirror).await
        };
        self.port.change("write mirror", "", sink_lost(path), effect).await
    }
    async fn destroy_version(&self, path: &str, number: u64) -> secrets::Result<()> {
        let (sink, place) = (self.inner(), path.to_owned());
        let effect = async move { sink.destroy_version(&place, number).await };
        self.port.change("destroy version", "", sink_lost(path), effect).await
    }
    async fn prepare_claim(&self, path: &str) -> secrets::Result<()> {
        let (sink, place) = (self.inner(), path.to_owned());
        let effect = async move { sink.prepare_claim(&place).await };
        self.port.change("prepare claim", "", sink_lost(path), effect).await
    }
}

impl Port {
    /// A vendor's call lies between two entries, where entries are kept.
    fn is_journalled(&self, what: &str) {
        let mut told = self.shared.told();
        if let Some(kind) = told.kept[self.run].clone()
            && kind != "attempt.started"
        {
            told.broken.push(format!("P8: {what} after an entry {kind}"));
        }
    }

    /// Whoever is asked to stop finishes what it called for, and calls for nothing more. Where what
    /// consumers hold died in the call, they wait for another.
    fn is_asked_to_stop(&self, profile: &str) {
        let mut told = self.shared.told();
        let Some(calls) = &mut told.stops[self.run] else { return };
        *calls += 1;
        if *calls > 1 && !profile.starts_with("replace-") {
            told.broken.push("P7: who is asked to stop calls for one key after the other".into());
        }
    }

    /// Another slot of the integration is at rest, and its claim does not name a key.
    async fn names_not(&self, of: &str, key_id: &str) -> bool {
        let slot = CredentialId { name: of.to_owned(), ..self.slot.clone() };
        let claim = Port { slot, ..self.clone() }.claim().await.unwrap_or_default();
        let at_rest = matches!(claim["phase"].as_str(), Some("free" | "parked"));
        let (said, named) = (claim.to_string(), [("\"", "\""), ("\"", ","), (";", ",")]);
        at_rest && named.iter().all(|(from, to)| !said.contains(&format!("{from}{key_id}{to}")))
    }

    /// What another slot's rotation called for is that slot's to end.
    async fn is_own(&self, what: &str, key_id: &str) {
        let made = self.shared.told().made.get(key_id).cloned();
        let Some(of) = made.filter(|of| *of != self.slot.name) else { return };
        // What its own slot could not tell for its own, and gave up, whoever can tell so clears away: nobody
        // has its secret.
        let gave_up = self.names_not(&of, key_id).await;
        let mut told = self.shared.told();
        if !((gave_up || told.revoked.contains(&of)) && !told.marked.contains(key_id)) {
            let broken = format!("P3: {what} of {key_id}, which is {of}'s, for {}", self.slot.name);
            told.broken.push(broken);
        }
    }

    /// The listing, where a rule is forgotten.
    async fn misread(&self, listing: CredentialListing) -> CredentialListing {
        let shared = &self.shared;
        let mut listing = listing;
        if shared.has(Bug::TheListingIsOlderThanTheClaim) {
            let older = shared.told().older[self.run].replace(listing.clone());
            listing = older.unwrap_or(listing);
        }
        if shared.has(Bug::EveryEpochLooksOld) {
            for one in &mut listing.credentials {
                if let Some(marker) = one.marker.as_deref().and_then(Marker::parse) {
                    let (tenant, vendor_id) = (&shared.tenant, &shared.vendor_id);
                    let (key, slot) = (&shared.key, &self.slot);
                    let old = Marker::new(
                        key,
                        shared.realm,
                        tenant,
                        vendor_id,
                        slot,
                        marker.generation,
                        1,
                    );
                    one.marker = Some(old.to_string());
                }
            }
        }
        if shared.has(Bug::WhatMadeItsSuccessorLooksAlive) {
            let older = shared.told().older[self.run].replace(listing.clone());
            let lived = older.map(|older| older.credentials).unwrap_or_default();
            listing.credentials.extend(lived);
        }
        if shared.has(Bug::NullIsUnused) {
            listing.credentials.iter_mut().for_each(|one| one.last_used = LastUsed::Unknown);
        }
        if shared.has(Bug::NobodyLooksForLateOrphans)
            && let Some(claim) = self.claim().await
            && matches!(claim["phase"].as_str(), Some("free" | "parked" | "retiring" | "proving"))
        {
            let text = claim.to_string();
            let named = |id: &str| {
                let previous = claim["previous"].as_str().unwrap_or_default();
                text.contains(&format!("\"{id}\"")) || previous.contains(&format!("{id},"))
            };
            listing.credentials.retain(|one| one.marker.is_none() || named(&one.key_id));
        }
        listing
    }

    /// Of what is said to have ended nothing is left.
    pub(crate) async fn has_ended(&self, key_id: &str) {
        let listing = self.shared.fake.credentials(&crate::story::object()).await;
        let all = listing.map(|listing| listing.credentials).unwrap_or_default();
        if all.iter().any(|one| one.key_id == key_id && one.stands()) {
            let broken = format!("P5: {key_id} is said to have ended, and lives");
            self.shared.told().broken.push(broken);
        }
    }

    /// The version of a document that a promote replaces, where somebody is at work.
    pub(crate) async fn recorded(&self, path: &str) -> Option<u64> {
        let claim = self.claim().await?;
        let phase = Phase::from_word(claim["phase"].as_str()?)?;
        let begun = matches!(phase, Phase::Intent | Phase::Calling | Phase::Stored);
        claim["mains"][format!("apps:{path}")].as_u64().filter(|_| begun)
    }

    /// What stands in custody.
    pub(crate) async fn claim(&self) -> Option<serde_json::Value> {
        let folder = format!("nhi/{}", self.shared.realm);
        let slot = self.slot.to_string();
        for name in self.shared.vault.look_all(&folder).await.ok()?.into_keys() {
            let stored = self.shared.vault.read(&format!("{folder}/{name}")).await.ok().flatten();
            let value = stored?.document.as_ref().and_then(phase_of).map(|(_, value)| value);
            if value.as_ref().is_some_and(|value| value["slot"] == *slot) {
                return value;
            }
        }
        None
    }
}

#[async_trait]
impl Connector for Port {
    fn platform(&self) -> &'static dyn Platform {
        &fake::PLATFORM
    }
    async fn tenant(&self) -> connector::Result<String> {
        self.shared.fake.tenant().await
    }
    async fn list(&self, want: Want) -> connector::Result<Observation> {
        self.shared.fake.list(want).await
    }
    async fn read(
        &self,
        object: &ObjectRef,
        want: Want,
    ) -> connector::Result<Option<ObservedIntegration>> {
        let mut found = self.shared.fake.read(object, want).await?;
        if self.shared.has(Bug::NobodyKnowsThatItIsOut)
            && let Some(record) = found.as_mut().and_then(|found| found.record.as_mut())
        {
            record.decommission = None;
        }
        Ok(found)
    }
    async fn create(&self, new: &NewIntegration) -> connector::Result<ObservedIntegration> {
        self.shared.fake.create(new).await
    }
    async fn modify(
        &self,
        object: &ObjectRef,
        change: &Change,
    ) -> connector::Result<ObservedIntegration> {
        self.is_journalled("modify");
        let (fake, object, change) = (self.shared.fake.clone(), object.clone(), change.clone());
        let effect = async move { fake.modify(&object, &change).await };
        self.change("modify", "", lost("modify"), effect).await
    }
    async fn delete(&self, object: &ObjectRef) -> connector::Result<Ended> {
        self.shared.fake.delete(object).await
    }
    async fn credentials(&self, object: &ObjectRef) -> connector::Result<CredentialListing> {
        match self.turn("list keys", "").await {
            Fate::NotSent => Err(lost("list")(Outcome::NotSent)),
            // A page is missing, and it is known that it is.
            Fate::NotKept => {
                let listing = self.shared.fake.credentials(object).await?;
                let mut credentials = self.misread(listing).await;
                credentials.credentials.pop();
                Ok(CredentialListing { complete: false, ..credentials })
            }
            _ => {
                let listing = self.shared.fake.credentials(object).await?;
                Ok(self.misread(listing).await)
            }
        }
    }
    async fn promises(&self, of: &str) -> connector::Result<Vec<Promise>> {
        self.shared.fake.promises(of).await
    }
    fn choose_secret(
        &self,
        of: &str,
        settings: &Settings,
        marker: &str,
    ) -> connector::Result<Secret> {
        self.shared.fake.choose_secret(of, settings, marker)
    }
    async fn issue(
        &self,
        object: &ObjectRef,
        request: IssueRequest<'_>,
    ) -> connector::Result<Issued> {
        self.is_journalled("issue");
        self.is_asked_to_stop(request.profile);
        let (fake, object) = (self.shared.fake.clone(), object.clone());
        let (credential_type, profile) = (request.credential_type, request.profile);
        let (marker, settings) = (request.marker.to_owned(), request.settings.clone());
        let (secret, expires_at) = (request.secret.map(Secret::duplicate), request.expires_at);
        let shared = self.shared.clone();
        let make = move |useless: u32| async move {
            if let Some(with) = secret.as_ref().filter(|_| profile == "replace-self") {
                shared.told().reused |= !fake.holds(&object.kind, &object.key, with);
            }
            fake.refuse_new(useless);
            let made = fake
                .issue(
                    &object,
                    IssueRequest {
                        credential_type,
                        profile,
                        marker: &marker,
                        secret: secret.as_ref(),
                        settings: &settings,
                        expires_at,
                    },
                )
                .await;
            fake.refuse_new(0);
            made
        };
        let port = self.clone();
        let effect = async move {
            let useless = port.shared.told().useless[port.run];
            let made = make(u32::from(useless)).await;
            if let Ok(Issued { key_id, .. }) = &made {
                let mut told = port.shared.told();
                told.issued += 1;
                told.made.entry(key_id.clone()).or_insert_with(|| port.slot.name.clone());
            }
            made
        };
        let made = self.change("issue", "", lost("issue"), effect).await;
        if self.shared.has(Bug::MemoryOutlivesTheClaim)
            && let Ok(Issued { key_id, secret: Some(secret), .. }) = &made
        {
            let epoch = Marker::parse(request.marker).map_or(0, |marker| marker.epoch);
            let memory = (key_id.clone(), secret.duplicate(), epoch);
            self.shared.told().memory[self.run] = Some(memory);
        }
        made
    }
    async fn mark(&self, object: &ObjectRef, key_id: &str, marker: &str) -> connector::Result<()> {
        let (fake, object) = (self.shared.fake.clone(), object.clone());
        let (key_id, marker) = (key_id.to_owned(), marker.to_owned());
        let shared = self.shared.clone();
        let effect = async move {
            shared.told().marked.insert(key_id.clone());
            fake.mark(&object, &key_id, &marker).await
        };
        self.change("mark", "", lost("mark"), effect).await
    }
    async fn find(
        &self,
        object: &ObjectRef,
        of: &str,
        secret: &Secret,
    ) -> connector::Result<Option<ObservedCredential>> {
        self.shared.fake.find(object, of, secret).await
    }
    async fn shown(&self, object: &ObjectRef, key_id: &str) -> connector::Result<Option<Secret>> {
        self.shared.fake.shown(object, key_id).await
    }
    fn disables(&self, of: &str) -> bool {
        self.shared.fake.disables(of)
    }
    async fn disable(&self, object: &ObjectRef, key_id: &str) -> connector::Result<()> {
        self.is_journalled("disable");
        self.is_own("disable", key_id).await;
        let (fake, object, key_id) = (self.shared.fake.clone(), object.clone(), key_id.to_owned());
        let effect = async move { fake.disable(&object, &key_id).await };
        self.change("disable", "", lost("disable"), effect).await
    }
    fn moves_expiry(&self, of: &str) -> bool {
        self.shared.fake.moves_expiry(of)
    }
    async fn set_expiry(
        &self,
        object: &ObjectRef,
        key_id: &str,
        at: Option<Timestamp>,
    ) -> connector::Result<()> {
        self.is_journalled("set_expiry");
        let (fake, object, key_id) = (self.shared.fake.clone(), object.clone(), key_id.to_owned());
        let effect = async move { fake.set_expiry(&object, &key_id, at).await };
        self.change("set_expiry", "", lost("set_expiry"), effect).await
    }
    async fn enable(&self, object: &ObjectRef, key_id: &str) -> connector::Result<()> {
        self.is_journalled("enable");
        let (fake, object, key_id) = (self.shared.fake.clone(), object.clone(), key_id.to_owned());
        let effect = async move { fake.enable(&object, &key_id).await };
        self.change("enable", "", lost("enable"), effect).await
    }
    async fn end(&self, object: &ObjectRef, key_id: &str) -> connector::Result<Ended> {
        self.is_journalled("end");
        self.is_own("end", key_id).await;
        let (shared, object) = (self.shared.clone(), object.clone());
        let (run, mut key_id) = (self.run, key_id.to_owned());
        let effect = async move {
            if shared.has(Bug::EndingGoesByName) {
                let listing = shared.fake.credentials(&object).await?;
                key_id = listing.credentials.last().map_or(key_id, |one| one.key_id.clone());
            }
            if shared.has(Bug::WhatIsNotCurrentEnds) {
                for one in shared.fake.credentials(&object).await?.credentials {
                    let serving = shared.told().serving[run].clone();
                    let mut serves = false;
                    for secret in serving {
                        let found = shared.fake.find(&object, "", &Secret::new(secret)).await?;
                        serves |= found.is_some_and(|found| found.key_id == one.key_id);
                    }
                    if !serves {
                        shared.fake.end(&object, &one.key_id).await?;
                    }
                }
            }
            shared.fake.end(&object, &key_id).await
        };
        self.change("end", "", lost("end"), effect).await
    }
    async fn sweep(&self, object: &ObjectRef, marker: Option<&str>) -> connector::Result<Children> {
        self.shared.fake.sweep(object, marker).await
    }
    async fn probe(
        &self,
        object: &ObjectRef,
        of: &str,
        secret: &Secret,
    ) -> connector::Result<Probe> {
        let fate = self.turn("sign in", "").await;
        if fate == Fate::NotSent {
            return Err(lost("sign in")(Outcome::NotSent));
        }
        let mut probed = self.shared.fake.probe(object, of, secret).await?;
        if fate == Fate::FalselyRefused {
            probed = Probe::Refused { class: "400 invalid-credential".into() };
        }
        let mut told = self.shared.told();
        if matches!(probed, Probe::Accepted { .. }) {
            told.refused = 0;
            told.signed_in.insert(secret.expose().to_owned());
        } else if fate != Fate::FalselyRefused {
            told.refused += 1;
            told.most_refused = told.most_refused.max(told.refused);
        }
        drop(told);
        if self.shared.has(Bug::WhatIsIssuedIsTrusted) {
            probed = Probe::Accepted { residual: None, scopes: None };
        }
        Ok(probed)
    }
    async fn probe_budget(&self, _: &ObjectRef, usual: ProbeBudget) -> ProbeBudget {
        match self.shared.has(Bug::RefusalsAreNotCounted) {
            true => ProbeBudget { between_successes: 200, in_window: 200, ..usual },
            false => usual,
        }
    }
    fn random_like(&self, of: &str, secret: &Secret) -> connector::Result<Secret> {
        self.shared.fake.random_like(of, secret)
    }
}

#[async_trait]
impl Connections for Port {
    fn names(&self) -> Vec<String> {
        ["apps", "fake", "vault"].map(str::to_owned).to_vec()
    }
    fn platform(&self, _: &str) -> Result<&'static dyn Platform, Problem> {
        Ok(&fake::PLATFORM)
    }
    async fn get(&self, name: &str) -> Result<Connection, Problem> {
        let sink = |custody| -> Option<Arc<dyn Sink>> {
            Some(Arc::new(StorySink { port: self.clone(), custody }))
        };
        let (connector, sink): (Option<Arc<dyn Connector>>, _) = match name {
            "fake" => (Some(Arc::new(self.clone())), None),
            "vault" => (None, sink(true)),
            _ => (None, sink(false)),
        };
        Ok(Connection { platform: &fake::PLATFORM, connector, sink, directory: None })
    }
    fn pinned_tenant(&self, _: &str) -> Option<String> {
        None
    }
}

/// A run's ledger.
#[derive(Debug)]
pub(crate) struct StoryLedger {
    pub(crate) port: Port,
    pub(crate) inner: Arc<dyn Ledger>,
}

#[async_trait]
impl Ledger for StoryLedger {
    fn place(&self) -> String {
        self.inner.place()
    }
    fn keeps(&self) -> bool {
        self.inner.keeps()
    }
    async fn ready(&self, work: Work) -> ledger::Result<Option<ledger::Error>> {
        self.inner.ready(work).await
    }
    async fn append(
        &self,
        entries: Vec<NewEntry>,
        durability: Durability,
    ) -> ledger::Result<Vec<Receipt>> {
        // What is owed stands in the claim: rows alone are nothing that a deed rests on.
        let rows = entries.iter().all(|entry| entry.kind.starts_with("obligation."));
        if !self.inner.keeps() || rows {
            return self.inner.append(entries, durability).await;
        }
        // The deed's own comes first.
        let kind = entries.first().map(|entry| entry.kind.clone());
        let fate = self.port.turn("journal", "").await;
        let shared = &self.port.shared;
        if fate == Fate::NotKept {
            if shared.has(Bug::AnEntryThatIsNotKeptIsNoMatter) {
                return Ok(vec![Receipt { seq: 0, hash: Hash::ZERO }; entries.len()]);
            }
            return Err(ledger::Error::Full { place: self.place() });
        }
        let kept = self.inner.append(entries, durability).await?;
        if fate == Fate::DiesAfter {
            self.port.die().await;
        }
        shared.told().kept[self.port.run] = kind.map(|kind| kind.to_string());
        Ok(kept)
    }
    async fn head(&self) -> ledger::Result<Head> {
        self.inner.head().await
    }
    async fn entries(&self, filter: &Filter) -> ledger::Result<Page> {
        self.inner.entries(filter).await
    }
    async fn verify(&self, range: Range) -> ledger::Result<Verification> {
        self.inner.verify(range).await
    }
    async fn checkpoint(&self, at: i64) -> ledger::Result<Option<Checkpoint>> {
        self.inner.checkpoint(at).await
    }
    async fn checkpoints(&self) -> ledger::Result<Vec<Checkpoint>> {
        self.inner.checkpoints().await
    }
    async fn document(&self, hash: &Hash) -> ledger::Result<Option<serde_json::Value>> {
        self.inner.document(hash).await
    }
    async fn tenants(&self) -> ledger::Result<Vec<Tenant>> {
        self.inner.tenants().await
    }
    async fn integrations(&self, selection: &Selection) -> ledger::Result<Vec<Integration>> {
        self.inner.integrations(selection).await
    }
    async fn slots(&self, selection: &Selection) -> ledger::Result<Vec<Slot>> {
        self.inner.slots(selection).await
    }
    async fn credentials(&self, selection: &Selection) -> ledger::Result<Vec<Credential>> {
        self.inner.credentials(selection).await
    }
    async fn open_obligations(&self) -> ledger::Result<Vec<Obligation>> {
        self.inner.open_obligations().await
    }
    async fn obligations_with(&self, deed: &str) -> ledger::Result<Vec<Obligation>> {
        self.inner.obligations_with(deed).await
    }
    async fn obligations_of(&self, subject: &str) -> ledger::Result<Vec<Obligation>> {
        self.inner.obligations_of(subject).await
    }
    async fn due(&self, at: i64) -> ledger::Result<Vec<Slot>> {
        self.inner.due(at).await
    }
    async fn observe(&self, seen: Vec<Observed>) -> ledger::Result<()> {
        self.inner.observe(seen).await
    }
    async fn record_scan(&self, scan: Scan) -> ledger::Result<()> {
        self.inner.record_scan(scan).await
    }
    async fn scans(&self) -> ledger::Result<Vec<Scan>> {
        self.inner.scans().await
    }
    async fn lease(
        &self,
        subject: &str,
        holder: &str,
        time: std::time::Duration,
    ) -> ledger::Result<ledger::Leased> {
        self.inner.lease(subject, holder, time).await
    }
    async fn draw(
        &self,
        tenant: &str,
        most: u32,
        per_second: u32,
    ) -> ledger::Result<ledger::Drawn> {
        self.inner.draw(tenant, most, per_second).await
    }
    async fn freeze(&self, tenant: &str, time: std::time::Duration) -> ledger::Result<()> {
        self.inner.freeze(tenant, time).await
    }
    async fn release(&self, fence: &ledger::Fence) -> ledger::Result<()> {
        self.inner.release(fence).await
    }
    async fn put_person(&self, person: Person) -> ledger::Result<()> {
        self.inner.put_person(person).await
    }
    async fn person(&self, id: &str) -> ledger::Result<Option<Person>> {
        self.inner.person(id).await
    }
    async fn erase_person(&self, id: &str, at: i64) -> ledger::Result<()> {
        self.inner.erase_person(id, at).await
    }
    async fn rebuild(&self) -> ledger::Result<Rebuilt> {
        self.inner.rebuild().await
    }
}
