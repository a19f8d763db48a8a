//! A platform, a custody, a consumer's sink and a clock, with a fuse in every call that changes
//! something.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    future::Future,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use connector::{
    Change, Children, Clock, Connection, Connector, CredentialListing, Ended, IssueRequest, Issued,
    Kind, NewIntegration, ObjectRef, Ourselves, Platform, Probe, Profile, Promise, VerifyCost,
    Want,
    fake::{self, APP, Fake},
};
use domain::{
    CredentialId, IntegrationId, Observation, ObservedCredential, ObservedIntegration, Realm,
    RealmKey, Record, Secret, Settings, Span,
};
use jiff::{SignedDuration, Timestamp};
use ledger::{Entry, Filter, Ledger, MemoryLedger};
use operations::{
    Connections, Context, Custody, Delivery, Outcome, Problem, RulesGate, Run, SlotSpec, Wish,
    WishedSlot, carry_out,
};
use policy::{Rules, Schedule, rotation::Goal};
use secrets::{
    Document, Expect, Look, MemorySink, Mirror, Sink, SinkCapabilities, Stored, Version,
};
use tokio::sync::Notify;

/// Time that passes when the paused runtime sleeps, and when a test says so.
#[derive(Debug)]
pub(crate) struct TestClock {
    begun: tokio::time::Instant,
    more: AtomicI64,
}

impl TestClock {
    fn new() -> TestClock {
        TestClock { begun: tokio::time::Instant::now(), more: AtomicI64::new(0) }
    }

    pub(crate) fn advance(&self, span: Span) {
        self.more.fetch_add(span.as_signed_secs(), Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        let start = Timestamp::from_second(1_795_500_000).unwrap();
        let slept = i64::try_from(self.begun.elapsed().as_millis()).unwrap();
        start
            + SignedDuration::from_millis(slept)
            + SignedDuration::from_secs(self.more.load(Ordering::SeqCst))
    }
}

/// When a fuse blows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// Nothing was done.
    Before,
    /// It was done, and nobody heard of it.
    After,
}

/// Kills a run at one of its calls: from then on none of its calls returns.
#[derive(Debug, Default)]
pub(crate) struct Fuse {
    at: Option<(u32, Moment)>,
    calls: AtomicU32,
    dead: AtomicBool,
    pub(crate) blown: Notify,
    /// Yields so often before each call, by a little generator, for races.
    dice: AtomicU64,
    uneven: bool,
    /// Stands still before this call until somebody wakes it for that one call.
    freeze: Option<(u32, Arc<Notify>)>,
    /// Wakes somebody before this call, and lets them go first.
    wakes: Option<(u32, Arc<Notify>)>,
    log: Mutex<Vec<&'static str>>,
}

impl Fuse {
    pub(crate) fn none() -> Arc<Fuse> {
        Arc::new(Fuse::default())
    }

    pub(crate) fn at(call: u32, moment: Moment) -> Arc<Fuse> {
        Arc::new(Fuse { at: Some((call, moment)), ..Fuse::default() })
    }

    pub(crate) fn uneven(seed: u64) -> Arc<Fuse> {
        let dice = AtomicU64::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        Arc::new(Fuse { dice, uneven: true, ..Fuse::default() })
    }

    pub(crate) fn frozen_at(call: u32, until: &Arc<Notify>) -> Arc<Fuse> {
        let at = Some((call, Moment::After));
        Arc::new(Fuse { at, freeze: Some((call, until.clone())), ..Fuse::default() })
    }

    /// The same, and goes on then.
    pub(crate) fn held_up_at(call: u32, until: &Arc<Notify>) -> Arc<Fuse> {
        Arc::new(Fuse { freeze: Some((call, until.clone())), ..Fuse::default() })
    }

    pub(crate) fn waking_at(call: u32, whom: &Arc<Notify>) -> Arc<Fuse> {
        Arc::new(Fuse { wakes: Some((call, whom.clone())), ..Fuse::default() })
    }

    /// When it has blown.
    pub(crate) async fn died(&self) {
        self.blown.notified().await;
    }

    async fn pass<T>(&self, what: &'static str, act: impl Future<Output = T>) -> T {
        if self.uneven {
            let roll = self.dice.load(Ordering::SeqCst);
            let roll = (roll ^ (roll << 13)) ^ ((roll ^ (roll << 13)) >> 7);
            let roll = roll ^ (roll << 17);
            self.dice.store(roll, Ordering::SeqCst);
            for _ in 0..roll % 5 {
                tokio::task::yield_now().await;
            }
        }
        if self.dead.load(Ordering::SeqCst) {
            return std::future::pending().await;
        }
        self.log.lock().unwrap().push(what);
        let call = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        if let Some((at, until)) = &self.freeze
            && *at == call
        {
            until.notified().await;
        }
        if let Some((at, whom)) = &self.wakes
            && *at == call
        {
            whom.notify_one();
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
        }
        let moment = self.at.filter(|(at, _)| *at == call).map(|(_, moment)| moment);
        if moment != Some(Moment::Before) {
            let done = act.await;
            if moment.is_none() {
                return done;
            }
        }
        self.dead.store(true, Ordering::SeqCst);
        self.blown.notify_one();
        std::future::pending().await
    }

    pub(crate) fn log(&self) -> Vec<&'static str> {
        self.log.lock().unwrap().clone()
    }
}

/// The last counts the requests that looks would be at a store that lists a hundred at a time.
#[derive(Debug)]
struct FusedSink(Arc<MemorySink>, Arc<Fuse>, Arc<AtomicU32>);

#[async_trait]
impl Sink for FusedSink {
    fn capabilities(&self) -> SinkCapabilities {
        self.0.capabilities()
    }
    async fn home(&self, path: &str) -> secrets::Result<secrets::Home> {
        self.0.home(path).await
    }
    async fn read(&self, path: &str) -> secrets::Result<Option<Stored>> {
        self.0.read(path).await
    }
    async fn read_version(&self, path: &str, number: u64) -> secrets::Result<Option<Document>> {
        self.0.read_version(path, number).await
    }
    async fn kept_versions(&self, path: &str) -> secrets::Result<Vec<u64>> {
        self.0.kept_versions(path).await
    }
    async fn look(&self, path: &str) -> secrets::Result<Option<Look>> {
        self.2.fetch_add(1, Ordering::SeqCst);
        self.0.look(path).await
    }
    async fn names(&self, folder: &str) -> secrets::Result<BTreeSet<String>> {
        self.2.fetch_add(1, Ordering::SeqCst);
        self.0.names(folder).await
    }
    async fn look_all(&self, folder: &str) -> secrets::Result<BTreeMap<String, Look>> {
        let all = self.0.look_all(folder).await?;
        let pages = u32::try_from(all.len().div_ceil(100)).unwrap();
        self.2.fetch_add(pages.max(1), Ordering::SeqCst);
        Ok(all)
    }
    async fn write(
        &self,
        path: &str,
        document: &Document,
        expect: Expect,
    ) -> secrets::Result<Version> {
        self.1.pass("write", self.0.write(path, document, expect)).await
    }
    async fn write_mirror(&self, path: &str, mirror: &Mirror) -> secrets::Result<()> {
        self.1.pass("write_mirror", self.0.write_mirror(path, mirror)).await
    }
    async fn destroy_version(&self, path: &str, number: u64) -> secrets::Result<()> {
        self.1.pass("destroy_version", self.0.destroy_version(path, number)).await
    }
    async fn prepare_claim(&self, path: &str) -> secrets::Result<()> {
        self.1.pass("prepare_claim", self.0.prepare_claim(path)).await
    }
}

/// Refused sign-ins since one worked, and the most that there ever were.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    now: AtomicU32,
    most: AtomicU32,
    /// So many lock everybody out; 0 where none do.
    pub(crate) lock_at: AtomicU32,
}

/// The flag: a sign-in takes one of the uses that a key has. The keys: ending them is accepted, and
/// not done; and those that are of another type.
#[derive(Debug)]
struct FusedConnector(Fake, Arc<Fuse>, Arc<Refusals>, bool, BTreeSet<String>, BTreeSet<String>);

#[async_trait]
impl Connector for FusedConnector {
    fn platform(&self) -> &'static dyn Platform {
        &fake::PLATFORM
    }
    async fn tenant(&self) -> connector::Result<String> {
        self.0.tenant().await
    }
    async fn ourselves(&self) -> connector::Result<Option<Ourselves>> {
        self.0.ourselves().await
    }
    async fn list(&self, want: Want) -> connector::Result<Observation> {
        self.0.list(want).await
    }
    async fn read(
        &self,
        object: &ObjectRef,
        want: Want,
    ) -> connector::Result<Option<ObservedIntegration>> {
        self.0.read(object, want).await
    }
    async fn create(&self, new: &NewIntegration) -> connector::Result<ObservedIntegration> {
        self.1.pass("create", self.0.create(new)).await
    }
    async fn modify(
        &self,
        object: &ObjectRef,
        change: &Change,
    ) -> connector::Result<ObservedIntegration> {
        self.1.pass("modify", self.0.modify(object, change)).await
    }
    async fn delete(&self, object: &ObjectRef) -> connector::Result<Ended> {
        self.1.pass("delete", self.0.delete(object)).await
    }
    async fn credentials(&self, object: &ObjectRef) -> connector::Result<CredentialListing> {
        let mut listing = self.0.credentials(object).await?;
        for one in listing.credentials.iter_mut().filter(|one| self.5.contains(&one.key_id)) {
            one.credential_type = fake::SECRET.into();
        }
        Ok(listing)
    }
    async fn promises(&self, of: &str) -> connector::Result<Vec<Promise>> {
        let mut promises = self.0.promises(of).await?;
        for promise in promises.iter_mut().filter(|_| self.3) {
            let verify = VerifyCost { takes_use: true };
            promise.profile = Box::leak(Box::new(Profile { verify, ..*promise.profile }));
        }
        Ok(promises)
    }
    fn choose_secret(
        &self,
        of: &str,
        settings: &Settings,
        marker: &str,
    ) -> connector::Result<Secret> {
        self.0.choose_secret(of, settings, marker)
    }
    async fn issue(
        &self,
        object: &ObjectRef,
        request: IssueRequest<'_>,
    ) -> connector::Result<Issued> {
        self.1.pass("issue", self.0.issue(object, request)).await
    }
    async fn mark(&self, object: &ObjectRef, key_id: &str, marker: &str) -> connector::Result<()> {
        self.1.pass("mark", self.0.mark(object, key_id, marker)).await
    }
    async fn find(
        &self,
        object: &ObjectRef,
        of: &str,
        secret: &Secret,
    ) -> connector::Result<Option<ObservedCredential>> {
        self.0.find(object, of, secret).await
    }
    async fn shown(&self, object: &ObjectRef, key_id: &str) -> connector::Result<Option<Secret>> {
        self.0.shown(object, key_id).await
    }
    fn disables(&self, of: &str) -> bool {
        self.0.disables(of)
    }
    fn last_use_lag(&self, of: &str) -> Option<Span> {
        self.0.last_use_lag(of)
    }
    fn moves_expiry(&self, of: &str) -> bool {
        self.0.moves_expiry(of)
    }
    async fn set_expiry(
        &self,
        object: &ObjectRef,
        key_id: &str,
        at: Option<Timestamp>,
    ) -> connector::Result<()> {
        self.1.pass("set_expiry", self.0.set_expiry(object, key_id, at)).await
    }
    async fn disable(&self, object: &ObjectRef, key_id: &str) -> connector::Result<()> {
        self.1.pass("disable", self.0.disable(object, key_id)).await
    }
    async fn enable(&self, object: &ObjectRef, key_id: &str) -> connector::Result<()> {
        self.1.pass("enable", self.0.enable(object, key_id)).await
    }
    async fn end(&self, object: &ObjectRef, key_id: &str) -> connector::Result<Ended> {
        if self.4.contains(key_id) {
            return Ok(Ended::Now);
        }
        self.1.pass("end", self.0.end(object, key_id)).await
    }
    async fn sweep(&self, object: &ObjectRef, marker: Option<&str>) -> connector::Result<Children> {
        self.1.pass("sweep", self.0.sweep(object, marker)).await
    }
    async fn probe(
        &self,
        object: &ObjectRef,
        of: &str,
        secret: &Secret,
    ) -> connector::Result<Probe> {
        let mut probed = self.1.pass("probe", self.0.probe(object, of, secret)).await;
        let lock_at = self.2.lock_at.load(Ordering::SeqCst);
        if lock_at > 0 && self.2.now.load(Ordering::SeqCst) >= lock_at {
            probed = Ok(Probe::Refused { class: "403".into() });
        }
        if matches!(probed, Ok(Probe::Accepted { .. })) {
            self.2.now.store(0, Ordering::SeqCst);
        } else {
            let now = self.2.now.fetch_add(1, Ordering::SeqCst) + 1;
            self.2.most.fetch_max(now, Ordering::SeqCst);
        }
        probed
    }
    fn random_like(&self, of: &str, secret: &Secret) -> connector::Result<Secret> {
        self.0.random_like(of, secret)
    }
}

struct Wired {
    connector: Arc<dyn Connector>,
    vault: Arc<dyn Sink>,
    apps: Arc<dyn Sink>,
}

impl fmt::Debug for Wired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wired")
    }
}

#[async_trait]
impl Connections for Wired {
    fn names(&self) -> Vec<String> {
        ["apps", "fake", "vault"].map(str::to_owned).to_vec()
    }
    fn platform(&self, _: &str) -> Result<&'static dyn Platform, Problem> {
        Ok(&fake::PLATFORM)
    }
    async fn get(&self, name: &str) -> Result<Connection, Problem> {
        let (connector, sink) = match name {
            "fake" => (Some(self.connector.clone()), None),
            "vault" => (None, Some(self.vault.clone())),
            _ => (None, Some(self.apps.clone())),
        };
        Ok(Connection { platform: &fake::PLATFORM, connector, sink, directory: None })
    }
    fn pinned_tenant(&self, _: &str) -> Option<String> {
        None
    }
}

/// Everything that outlives a run.
pub(crate) struct World {
    pub(crate) way: &'static str,
    pub(crate) realm: &'static str,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) fake: Fake,
    pub(crate) vault: Arc<MemorySink>,
    pub(crate) apps: Arc<MemorySink>,
    pub(crate) ledger: Mutex<Arc<dyn Ledger>>,
    pub(crate) refusals: Arc<Refusals>,
    /// Requests that looks into custody were.
    pub(crate) looked: Arc<AtomicU32>,
    pub(crate) vendor_id: String,
    pub(crate) claim_ttl: Span,
    /// How many refused sign-ins in a row this story may have.
    pub(crate) patience: u32,
    pub(crate) places: Vec<&'static str>,
    /// A sign-in takes one of the uses that a key has.
    pub(crate) takes_use: bool,
    /// Keys of which the platform says that they are ended, and keeps them.
    pub(crate) undying: BTreeSet<String>,
    /// Keys of another type, which the kind has where there are any.
    pub(crate) of_another_type: BTreeSet<String>,
}

/// How a run ended.
#[derive(Debug)]
pub(crate) enum Ending {
    Killed,
    Done(Result<Outcome, Problem>),
}

pub(crate) const OVERLAP: Span = Span::from_secs(86_400);

impl World {
    /// An integration on a platform that issues in one way, and two places to deliver to.
    pub(crate) async fn new(way: &'static str) -> World {
        let clock = Arc::new(TestClock::new());
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
        let made = fake.create(&new).await.unwrap();
        World {
            way,
            realm: "k3x9q2",
            vault: sink(),
            apps: sink(),
            ledger: Mutex::new(Arc::new(MemoryLedger::new())),
            refusals: Arc::default(),
            looked: Arc::default(),
            vendor_id: made.vendor_id,
            claim_ttl: Span::from_secs(120),
            patience: 2,
            places: vec!["apps/a", "apps/b"],
            takes_use: false,
            undying: BTreeSet::new(),
            of_another_type: BTreeSet::new(),
            clock,
            fake,
        }
    }

    /// A sink that destroys no version.
    pub(crate) fn forgets_nothing(&self) -> MemorySink {
        let clock = self.clock.clone();
        let sink = MemorySink::with_clock(move || clock.now());
        let able = sink.capabilities();
        sink.claiming(SinkCapabilities { destroys_versions: false, ..able })
    }

    pub(crate) fn object(&self) -> ObjectRef {
        let vendor_id = Some(self.vendor_id.clone());
        ObjectRef { kind: APP.into(), key: "sync".into(), vendor_id, name: "sync".into() }
    }

    pub(crate) fn spec(&self) -> SlotSpec {
        let of = |name| fake::PLATFORM.kinds().iter().find(|kind| kind.name == name).unwrap();
        let mut kind = of(APP);
        if !self.of_another_type.is_empty() {
            let both = [kind.credential_types, of(fake::BOT).credential_types].concat();
            let Kind { name, doc, fields, capabilities, refuse_name, .. } = *kind;
            let credential_types = both.leak();
            kind = Box::leak(Box::new(Kind {
                name,
                doc,
                fields,
                capabilities,
                credential_types,
                refuse_name,
            }));
        }
        let deliver = |path: &&str| Delivery {
            name: path.rsplit('/').next().unwrap().to_owned(),
            connection: "apps".into(),
            path: (*path).to_owned(),
            fields: BTreeMap::new(),
            merge: false,
        };
        SlotSpec {
            id: CredentialId {
                integration: IntegrationId::new("fake", APP, "sync"),
                name: "default".into(),
            },
            vendor_id: self.vendor_id.clone(),
            kind,
            credential_type: kind.credential_types[0],
            settings: Settings::default(),
            schedule: Some(Schedule {
                overlap: OVERLAP,
                ..Schedule::every("monthly", Span::from_secs(30 * 86_400))
            }),
            deliveries: self.places.iter().map(deliver).collect(),
            former: Vec::new(),
            drill: false,
            integration_ends: None,
            known: None,
            asked: None,
            consumers: Default::default(),
        }
    }

    /// The integration and its slot, as drift has them declared.
    pub(crate) fn wish(&self) -> Wish {
        let spec = self.spec();
        Wish {
            id: spec.id.integration.to_string(),
            vendor_id: Some(self.vendor_id.clone()),
            slots: vec![WishedSlot {
                name: spec.id.name,
                schedule: spec.schedule,
                deliveries: spec.deliveries,
                ..WishedSlot::default()
            }],
            ..Wish::default()
        }
    }

    /// What a run of its own has.
    pub(crate) fn context(&self, run: &str, fuse: &Arc<Fuse>) -> Context {
        let connector = FusedConnector(
            self.fake.clone(),
            fuse.clone(),
            self.refusals.clone(),
            self.takes_use,
            self.undying.clone(),
            self.of_another_type.clone(),
        );
        let wired = Wired {
            connector: Arc::new(connector),
            vault: Arc::new(FusedSink(self.vault.clone(), fuse.clone(), self.looked.clone())),
            apps: Arc::new(FusedSink(self.apps.clone(), fuse.clone(), Arc::default())),
        };
        let key = RealmKey::new(&Secret::new("k".repeat(40)));
        Context {
            connections: Arc::new(wired),
            realm: Some(Arc::new(Realm { id: self.realm.into(), key })),
            custody: Some(Custody::new("vault", "nhi")),
            rules: Arc::new(Rules { claim_ttl: self.claim_ttl, ..Rules::default() }),
            ledger: self.ledger.lock().unwrap().clone(),
            clock: self.clock.clone(),
            run: Run {
                program: "test".into(),
                id: run.into(),
                trigger: "apply".into(),
                ..Run::default()
            },
            gate: Arc::new(RulesGate),
            read_only: false,
            notices: Default::default(),
            turns: Default::default(),
            claims: Default::default(),
            signals: Default::default(),
            stop: Default::default(),
            under: Default::default(),
        }
    }

    /// A run that may be killed.
    pub(crate) async fn run(&self, run: &str, fuse: &Arc<Fuse>, goal: Goal) -> Ending {
        let spec = SlotSpec { asked: Some(format!("{goal:?}")), ..self.spec() };
        let context = self.context(run, fuse);
        tokio::select! {
            biased;
            done = carry_out(&context, &spec, goal, "test") => Ending::Done(done),
            () = fuse.blown.notified() => Ending::Killed,
        }
    }

    /// A run that nobody kills.
    pub(crate) async fn whole(&self, run: &str, goal: Goal) -> Outcome {
        match self.run(run, &Fuse::none(), goal).await {
            Ending::Done(Ok(outcome)) => outcome,
            other => panic!("{run} {goal:?}: {other:?}"),
        }
    }

    /// Somebody who comes later, when the claim of the dead is old.
    pub(crate) async fn recover(&self, goal: Goal) -> Outcome {
        let ttl = Rules::default().claim_ttl_of(!self.fences());
        self.clock.advance(self.claim_ttl.max(ttl) + Span::from_secs(1));
        self.whole("later", goal).await
    }

    /// The platform's marks, or the secret itself, tell a late call of ours.
    pub(crate) fn fences(&self) -> bool {
        ["add-ours", "add-marked", "first-only"].contains(&self.way)
    }

    /// The earlier one dies when the new one is made.
    pub(crate) fn replaces(&self) -> bool {
        self.way.starts_with("replace-")
    }

    /// The secret that a consumer reads.
    pub(crate) async fn delivered(&self, path: &str) -> Option<Secret> {
        self.apps.read(path).await.unwrap()?.document?.get("key").map(Secret::duplicate)
    }

    /// Whether what consumers read works.
    pub(crate) async fn works(&self) -> bool {
        for path in &self.places {
            match self.delivered(path).await {
                Some(secret) if self.fake.sign_in(APP, "sync", &secret).is_some() => {}
                _ => return false,
            }
        }
        true
    }

    /// What the ledger says, oldest first.
    pub(crate) async fn entries(&self) -> Vec<Entry> {
        let ledger = self.ledger.lock().unwrap().clone();
        ledger.entries(&Filter { limit: 10_000, ..Filter::default() }).await.unwrap().entries
    }

    /// The words of what the ledger says, oldest first.
    pub(crate) async fn kinds(&self) -> Vec<String> {
        self.entries().await.iter().map(|entry| entry.kind.clone()).collect()
    }

    /// How often consumers' sinks were written to.
    pub(crate) async fn apps_versions(&self) -> u64 {
        let looks = self.apps.look_all("apps").await.unwrap();
        looks.values().map(|look| look.version.number).sum()
    }

    /// Live keys on the platform.
    pub(crate) async fn live(&self) -> BTreeSet<String> {
        let listing = self.fake.credentials(&self.object()).await.unwrap();
        listing.credentials.into_iter().filter(|one| one.live).map(|one| one.key_id).collect()
    }

    /// Secrets that wait in custody.
    pub(crate) async fn pending(&self) -> usize {
        let mut pending = 0;
        for path in self.claims().await {
            let stored = self.vault.read(&path).await.unwrap().unwrap();
            let secret = stored.document.as_ref().and_then(|document| document.get("pending"));
            pending += usize::from(secret.is_some_and(|one| !one.expose().is_empty()));
        }
        pending
    }

    /// The paths of all claims.
    pub(crate) async fn claims(&self) -> Vec<String> {
        let folder = format!("nhi/{}", self.realm);
        let names = self.vault.look_all(&folder).await.unwrap().into_keys();
        names.map(|name| format!("{folder}/{name}")).collect()
    }

    /// Somebody deletes what custody holds; the history stays.
    pub(crate) async fn delete_claims(&self) {
        self.claims().await.iter().for_each(|path| self.vault.delete(path));
    }

    /// Somebody removes what custody holds with its history.
    pub(crate) async fn wipe_claims(&self) {
        self.claims().await.iter().for_each(|path| self.vault.wipe(path));
    }

    /// What stands in consumers' sinks says that nothing is current.
    pub(crate) async fn assert_revoked(&self, how: &str) {
        for path in &self.places {
            let Some(stored) = self.apps.read(path).await.unwrap() else { continue };
            let says = stored.document.unwrap();
            let says = says.get("_nhi").unwrap().expose();
            assert!(says.contains("\"revoked\":true"), "{how}: {path}: {says}");
            let look = self.apps.look(path).await.unwrap().unwrap();
            assert_eq!(look.mirror["revoked"], "true", "{how}: {path}");
        }
    }

    /// What got no answer was no refusal.
    pub(crate) fn forget_refusals(&self) {
        self.refusals.now.store(0, Ordering::SeqCst);
        self.refusals.most.store(0, Ordering::SeqCst);
    }

    pub(crate) fn most_refusals(&self) -> u32 {
        self.refusals.most.load(Ordering::SeqCst)
    }

    /// The state that every story must come to: one generation, everywhere, and nothing else.
    pub(crate) async fn assert_at(&self, outcome: &Outcome, generation: u64, how: &str) {
        assert_eq!(outcome.generation, generation, "{how}");
        assert!(self.works().await, "{how}: what consumers read does not work");
        let mut named: BTreeSet<String> =
            outcome.previous.iter().map(|one| one.key_id.clone()).collect();
        named.extend(outcome.key_id.clone());
        assert_eq!(self.live().await, named, "{how}: keys that nobody names");
        for (name, delivery) in &outcome.deliveries {
            assert_eq!(delivery.status, "delivered", "{how}: {name}");
        }
        assert_eq!(self.pending().await, 0, "{how}: a secret waits in custody");
        let most = self.refusals.most.load(Ordering::SeqCst);
        assert!(most <= self.patience, "{how}: {most} refused sign-ins in a row");
    }
}
