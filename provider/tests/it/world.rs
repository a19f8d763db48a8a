//! A platform, sinks, a directory and a clock in memory, under the whole provider: what a test
//! moves by hand, plans and applies then meet.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
};

use async_trait::async_trait;
use connector::{
    Access, AccessRequest, Change, Children, Clock, Connection, Connector, CredentialListing,
    Directory, Ended, IssueRequest, Issued, Member, NewIntegration, ObjectRef, Ourselves, Platform,
    Probe, Promise, Want,
    fake::{APP, Fake, Hand, KEY},
};
use domain::{
    Observation, ObservedCredential, ObservedIntegration, Realm, RealmKey, Record, Secret,
};
use jiff::{Span, Timestamp};
use ledger::{Ledger, MemoryLedger};
use operations::{
    ApprovalGate, Connections, Context, Custody, EndingGate, Problem, RulesGate, Run,
    review::ReviewBoard,
};
use policy::Rules;
use secrets::{MemorySink, Sink};
use serde_json::{Value, json};
use tfplugin::{
    erased::AnyProvider,
    mini_core::{MiniCore, State},
};

/// Time that passes only when a test says so.
#[derive(Debug)]
pub(crate) struct HandClock(Mutex<Timestamp>);

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

/// The platform in memory under the names of a real one, so that the provider is the very one that
/// is released.
struct Dressed(Fake);

const KIND: &str = "openbao_approle";

fn platform() -> &'static dyn Platform {
    wiring::platform("openbao").unwrap()
}

fn bare(object: &ObjectRef) -> ObjectRef {
    assert_eq!(object.kind, KIND);
    ObjectRef { kind: APP.to_owned(), ..object.clone() }
}

fn dressed(one: ObservedIntegration) -> ObservedIntegration {
    // A key on another mount is `<mount>:<role>`, and people know it by the role.
    let name = one.name.rsplit(':').next().unwrap_or_default().to_owned();
    ObservedIntegration { kind: KIND.to_owned(), name, ..one }
}

impl fmt::Debug for Dressed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Dressed")
    }
}

#[async_trait]
impl Connector for Dressed {
    fn platform(&self) -> &'static dyn Platform {
        platform()
    }
    async fn tenant(&self) -> connector::Result<String> {
        self.0.tenant().await
    }
    async fn ourselves(&self) -> connector::Result<Option<Ourselves>> {
        let found = self.0.ourselves().await?;
        Ok(found.map(|found| Ourselves { kind: KIND.to_owned(), ..found }))
    }
    async fn list(&self, want: Want) -> connector::Result<Observation> {
        let seen = self.0.list(want).await?;
        let integrations = seen.integrations.into_iter().map(dressed).collect();
        Ok(Observation { integrations, ..seen })
    }
    async fn read(
        &self,
        object: &ObjectRef,
        want: Want,
    ) -> connector::Result<Option<ObservedIntegration>> {
        Ok(self.0.read(&bare(object), want).await?.map(dressed))
    }
    async fn create(&self, new: &NewIntegration) -> connector::Result<ObservedIntegration> {
        let new = NewIntegration { kind: APP.to_owned(), ..new.clone() };
        self.0.create(&new).await.map(dressed)
    }
    async fn modify(
        &self,
        object: &ObjectRef,
        change: &Change,
    ) -> connector::Result<ObservedIntegration> {
        self.0.modify(&bare(object), change).await.map(dressed)
    }
    async fn delete(&self, object: &ObjectRef) -> connector::Result<Ended> {
        self.0.delete(&bare(object)).await
    }
    async fn credentials(&self, object: &ObjectRef) -> connector::Result<CredentialListing> {
        self.0.credentials(&bare(object)).await
    }
    async fn promises(&self, _: &str) -> connector::Result<Vec<Promise>> {
        self.0.promises(KEY).await
    }
    fn choose_secret(
        &self,
        _: &str,
        settings: &domain::Settings,
        marker: &str,
    ) -> connector::Result<Secret> {
        self.0.choose_secret(KEY, settings, marker)
    }
    async fn issue(
        &self,
        object: &ObjectRef,
        request: IssueRequest<'_>,
    ) -> connector::Result<Issued> {
        self.0.issue(&bare(object), request).await
    }
    async fn find(
        &self,
        object: &ObjectRef,
        _: &str,
        secret: &Secret,
    ) -> connector::Result<Option<ObservedCredential>> {
        self.0.find(&bare(object), KEY, secret).await
    }
    fn disables(&self, _: &str) -> bool {
        self.0.disables(KEY)
    }
    async fn disable(&self, object: &ObjectRef, key_id: &str) -> connector::Result<()> {
        self.0.disable(&bare(object), key_id).await
    }
    async fn enable(&self, object: &ObjectRef, key_id: &str) -> connector::Result<()> {
        self.0.enable(&bare(object), key_id).await
    }
    async fn end(&self, object: &ObjectRef, key_id: &str) -> connector::Result<Ended> {
        self.0.end(&bare(object), key_id).await
    }
    async fn sweep(&self, object: &ObjectRef, marker: Option<&str>) -> connector::Result<Children> {
        self.0.sweep(&bare(object), marker).await
    }
    async fn probe(
        &self,
        object: &ObjectRef,
        _: &str,
        secret: &Secret,
    ) -> connector::Result<Probe> {
        self.0.probe(&bare(object), KEY, secret).await
    }
    async fn mint(
        &self,
        object: &ObjectRef,
        request: AccessRequest<'_>,
    ) -> connector::Result<Access> {
        self.0.mint(&bare(object), request).await
    }
    async fn end_access(&self, object: &ObjectRef, handle: &Secret) -> connector::Result<Ended> {
        self.0.end_access(&bare(object), handle).await
    }
    fn random_like(&self, _: &str, secret: &Secret) -> connector::Result<Secret> {
        self.0.random_like(KEY, secret)
    }
}

/// People by their id.
#[derive(Debug, Default)]
pub(crate) struct People(Mutex<BTreeMap<String, Member>>);

#[async_trait]
impl Directory for People {
    async fn member(&self, id: &str) -> connector::Result<Option<Member>> {
        Ok(self.0.lock().unwrap().get(id).cloned())
    }
    async fn check(&self) -> connector::Result<u64> {
        Ok(self.0.lock().unwrap().len() as u64)
    }
}

struct Wired {
    connector: Arc<dyn Connector>,
    vault: Arc<dyn Sink>,
    apps: Arc<dyn Sink>,
    people: Arc<People>,
    pinned: Option<String>,
    unknown: bool,
    sealed: bool,
}

impl fmt::Debug for Wired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wired")
    }
}

#[async_trait]
impl Connections for Wired {
    fn names(&self) -> Vec<String> {
        ["apps", "bao", "people", "safe", "vault"].map(str::to_owned).to_vec()
    }
    fn platform(&self, name: &str) -> Result<&'static dyn Platform, Problem> {
        if !self.names().iter().any(|one| one == name) {
            return Err(Problem::new(
                "E-CONNECTION-UNKNOWN",
                "There is no connection of that name",
            )
            .detail(format!("{name:?}."))
            .at(&["connection_name"]));
        }
        Ok(match name {
            "people" => wiring::platform("scim").unwrap(),
            "bao" => platform(),
            _ => wiring::platform("file").unwrap(),
        })
    }
    async fn get(&self, name: &str) -> Result<Connection, Problem> {
        let platform = self.platform(name)?;
        if self.unknown && name == "bao" {
            return Err(Problem::new("E-NOT-YET-KNOWN", "A connection is not known yet")
                .detail("its address becomes known during apply"));
        }
        if self.sealed && name == "vault" {
            return Err(Problem::new("E-SINK", "A sink does not answer").detail("it is sealed"));
        }
        let none = Connection { platform, connector: None, sink: None, directory: None };
        Ok(match name {
            "bao" => Connection { connector: Some(self.connector.clone()), ..none },
            // Two names of one sink.
            "vault" | "safe" => Connection { sink: Some(self.vault.clone()), ..none },
            "people" => Connection { directory: Some(self.people.clone()), ..none },
            _ => Connection { sink: Some(self.apps.clone()), ..none },
        })
    }
    fn pinned_tenant(&self, name: &str) -> Option<String> {
        self.pinned.clone().filter(|_| name == "bao")
    }
}

/// Everything that outlives a run.
pub(crate) struct World {
    clock: Arc<HandClock>,
    pub(crate) fake: Fake,
    pub(crate) vault: Arc<MemorySink>,
    pub(crate) apps: Arc<MemorySink>,
    people: Arc<People>,
    pub(crate) ledger: Arc<dyn Ledger>,
    /// Nothing may be changed.
    pub(crate) read_only: bool,
    pub(crate) rules: Rules,
    /// The tenant that the connection must lead to.
    pub(crate) pinned: Option<String>,
    /// A part of the connection becomes known during apply.
    pub(crate) unknown: bool,
    /// The vault answers nobody.
    pub(crate) sealed: bool,
    /// The policy cannot be read.
    pub(crate) lawless: bool,
    /// Who reviews changes.
    pub(crate) board: Option<Arc<ReviewBoard>>,
    runs: AtomicU32,
}

/// The day on which every story begins: a Tuesday.
pub(crate) const BEGIN: &str = "2026-11-24T10:00:00Z";

impl World {
    pub(crate) fn new() -> World {
        let clock = Arc::new(HandClock(Mutex::new(BEGIN.parse().unwrap())));
        let sink = || {
            let clock = clock.clone();
            Arc::new(MemorySink::with_clock(move || clock.now()))
        };
        World {
            fake: Fake::new(clock.clone()),
            vault: sink(),
            apps: sink(),
            people: Arc::default(),
            ledger: Arc::new(MemoryLedger::new()),
            read_only: false,
            rules: Rules::default(),
            pinned: None,
            unknown: false,
            sealed: false,
            lawless: false,
            board: None,
            runs: AtomicU32::new(0),
            clock,
        }
    }

    /// It is now this moment, later or earlier than before.
    pub(crate) fn at(&self, moment: &str) {
        *self.clock.0.lock().unwrap() = moment.parse().unwrap();
    }

    /// So many hours pass; negative ones turn the clock back.
    pub(crate) fn pass_hours(&self, hours: i64) {
        let mut now = self.clock.0.lock().unwrap();
        *now = now.checked_add(Span::new().hours(hours)).unwrap();
    }

    /// A run of its own, as each `terraform` is: another process, with another id.
    pub(crate) async fn run(&self) -> MiniCore {
        let core = MiniCore::within(self.provider()).await.unwrap();
        core.configure(json!({})).await.unwrap();
        core
    }

    /// The provider of one run.
    pub(crate) fn provider(&self) -> impl AnyProvider + use<> {
        provider::provider_over(self.context())
    }

    /// What one run acts on.
    pub(crate) fn context(&self) -> Context {
        let run = self.runs.fetch_add(1, Ordering::SeqCst);
        let wired = Wired {
            connector: Arc::new(Dressed(self.fake.clone())),
            vault: self.vault.clone(),
            apps: self.apps.clone(),
            people: self.people.clone(),
            pinned: self.pinned.clone(),
            unknown: self.unknown,
            sealed: self.sealed,
        };
        let key = RealmKey::new(&Secret::new("k".repeat(40)));
        Context {
            connections: Arc::new(wired),
            realm: Some(Arc::new(Realm { id: "k3x9q2".into(), key })),
            custody: Some(Custody::new("vault", "nhi")),
            rules: Arc::new(self.rules.clone()),
            ledger: self.ledger.clone(),
            clock: self.clock.clone(),
            run: Run {
                program: "test".into(),
                id: format!("apply:{run}"),
                trigger: "apply".into(),
                ..Run::default()
            },
            gate: match (self.lawless, &self.board) {
                (true, _) => Arc::new(EndingGate(
                    Problem::new("E-CONFIG", "The configuration is not right")
                        .detail("policy.hcl: expired: no such verdict.")
                        .next("correct it there"),
                )),
                (false, Some(board)) => Arc::new(ApprovalGate(board.clone())),
                (false, None) => Arc::new(RulesGate),
            },
            read_only: self.read_only,
            notices: Default::default(),
            turns: Default::default(),
            claims: Default::default(),
            signals: Default::default(),
            stop: Default::default(),
            under: Default::default(),
        }
    }

    /// Somebody's hand on the integration.
    pub(crate) fn by_hand(&self, act: impl FnOnce(&mut Hand<'_>)) {
        assert!(self.fake.by_hand(APP, "invoice-sync", act));
    }

    /// What the directory says of a person; `None` is that it knows nobody of that id.
    pub(crate) fn person(&self, id: &str, active: Option<bool>) {
        let mut people = self.people.0.lock().unwrap();
        people.remove(id);
        if let Some(active) = active {
            let member = Member {
                id: id.to_owned(),
                kind: None,
                active,
                department: None,
                email: None,
                display_name: None,
                changed_at: Some(self.clock.now()),
            };
            people.insert(id.to_owned(), member);
        }
    }

    /// Somebody active, of whom the directory says what they are.
    pub(crate) fn person_of_kind(&self, id: &str, kind: &str) {
        self.person(id, Some(true));
        let mut people = self.people.0.lock().unwrap();
        people.get_mut(id).unwrap().kind = Some(kind.to_owned());
    }

    /// The secret that the app reads.
    pub(crate) async fn delivered(&self) -> Secret {
        self.stored("apps/invoice-sync").await.unwrap()
    }

    /// The secret at one place.
    pub(crate) async fn stored(&self, path: &str) -> Option<Secret> {
        let stored = self.apps.read(path).await.unwrap()?;
        stored.document?.get("secret_id").map(Secret::duplicate)
    }

    /// Whether a secret signs in.
    pub(crate) fn works(&self, secret: &Secret) -> bool {
        self.fake.sign_in(APP, "invoice-sync", secret).is_some()
    }

    /// The integration as its platform shows it.
    pub(crate) async fn shown(&self) -> ObservedIntegration {
        let object = ObjectRef {
            kind: APP.into(),
            key: "invoice-sync".into(),
            vendor_id: None,
            name: "invoice-sync".into(),
        };
        self.fake.read(&object, Want::PLAN).await.unwrap().unwrap()
    }

    /// The time here.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Whether the integration is there.
    pub(crate) async fn exists(&self) -> bool {
        let object = ObjectRef {
            kind: APP.into(),
            key: "invoice-sync".into(),
            vendor_id: None,
            name: "invoice-sync".into(),
        };
        self.fake.read(&object, Want::PLAN).await.unwrap().is_some()
    }

    /// Scopes that are live, in order.
    pub(crate) async fn scopes(&self) -> Vec<String> {
        let seen = self.shown().await;
        seen.scopes.iter().map(|one| one.scope.as_str().to_owned()).collect()
    }

    /// Somebody's hand on the record.
    pub(crate) async fn edit_record(&self, edit: impl FnOnce(&mut Record)) {
        let mut record = self.shown().await.record.unwrap();
        edit(&mut record);
        self.by_hand(|hand| hand.write_record(Some(record)));
    }
}

/// `config` with these members besides.
pub(crate) fn with(mut config: Value, more: Value) -> Value {
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    config
}

/// The integration of every story.
pub(crate) fn integration() -> Value {
    let owner = json!({ "id": "owner/payments", "email": "p@acme.example", "status": "unchecked" });
    json!({
        "connection_name": "bao",
        "name": "invoice-sync",
        "purpose": "Copies paid invoices to the general ledger every night",
        "environment": "production",
        "business_owner": owner,
        "technical_owner": owner,
        "openbao_approle": {},
    })
}

/// A whole resource handed over: what the core keeps of it.
fn handed(state: &State, names: &[&str]) -> Value {
    let state = state.json();
    names.iter().map(|name| ((*name).to_owned(), state[*name].clone())).collect()
}

/// Its scopes.
pub(crate) fn scope(integration: &State, scopes: Value, temporary: Value) -> Value {
    json!({
        "integration": handed(integration, &["id", "vendor_id", "environment", "ceiling"]),
        "scopes": scopes,
        "justification": "Reads tonight's invoices and nothing else",
        "temporary": temporary,
    })
}

/// Its credential, which changes by this schedule.
pub(crate) fn credential(integration: &State, schedule: Value) -> Value {
    let mut reference =
        handed(integration, &["id", "vendor_id", "environment", "expires_on", "state", "incident"]);
    reference["technical_owner"] = json!({ "id": "owner/payments" });
    json!({
        "integration": reference,
        "schedule": schedule,
        "deliver_to": { "app": { "connection": "apps", "path": "apps/invoice-sync" } },
    })
}

/// Due on the first of December, overdue a week later.
pub(crate) fn monthly() -> Value {
    json!({
        "name": "monthly",
        "every": "30d",
        "anchor": "2026-11-01T00:00:00Z",
        "min_age": "1h",
        "overlap": "24h",
        "overdue_after": "7d",
    })
}
