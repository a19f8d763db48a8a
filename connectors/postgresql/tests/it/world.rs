//! A server, and connections with it.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::{Arc, Mutex, OnceLock},
};

use acceptance_tests::servers::PostgreSql;
use async_trait::async_trait;
use connector::{
    Change, Connector, IssueRequest, Issued, NewIntegration, ObjectRef, Platform, Result, Setup,
    SystemClock, Want,
    conformance::{Wrap, route},
    transport::{Answer, Coalesce, Effect, Request, Route, Transport, TransportError},
};
use domain::{GrantedScope, ObservedIntegration, Record, Secret, Settings, settings::Setting};
use jiff::Timestamp;
use postgresql::PLATFORM;

pub(crate) const KIND: &str = "postgresql_role";
pub(crate) const TYPE: &str = "postgresql_password";
pub(crate) const PAIR: &str = "postgresql_pair";
pub(crate) const MARKER: &str = "nhi1-k3x9q2-abcdefgh-g1-e1-mabcdefghijklm";

/// What the databases of every test have in them.
const THINGS: &str = "
    create table bill (id bigserial primary key, amount int, note text);
    create table \"odd /:%*+\"\" name\" (id int);
    create schema sales; create table sales.item (id int);
    create function total(int, text) returns int language sql return 1;
    create procedure \"do (it)\"(int) language sql as 'select 1';
    create type mood as enum ('good');
    create foreign data wrapper far; create server near foreign data wrapper far;
    select lo_create(4711);
";

/// One server for all tests of this program, with a database `shop`.
pub(crate) fn server() -> &'static PostgreSql {
    static SERVER: OnceLock<PostgreSql> = OnceLock::new();
    SERVER.get_or_init(|| prepared(PostgreSql::start().unwrap()))
}

/// A server with a database `shop`, groups, and something in it to be given.
pub(crate) fn prepared(server: PostgreSql) -> PostgreSql {
    for sql in ["create role readers", "create role writers", "create database shop"] {
        server.by_hand(sql).unwrap();
    }
    server.by_hand_in("shop", THINGS).unwrap();
    server
}

/// Sends, notes what, and can be told to do something before a change goes out.
pub(crate) struct Noted {
    inner: Arc<dyn Transport>,
    sent: Mutex<Vec<(String, String)>>,
    before_a_change: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl std::fmt::Debug for Noted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Noted")
    }
}

impl Noted {
    /// What was sent since this was last asked, with what it said.
    pub(crate) fn sent(&self) -> Vec<(String, String)> {
        std::mem::take(&mut self.sent.lock().unwrap())
    }

    /// Does something just before the next change is sent.
    pub(crate) fn before_a_change(&self, deed: impl FnOnce() + Send + 'static) {
        *self.before_a_change.lock().unwrap() = Some(Box::new(deed));
    }
}

#[async_trait]
impl Transport for Noted {
    async fn send(&self, request: Request) -> std::result::Result<Answer, TransportError> {
        let body = request.body.as_ref().map(|body| String::from_utf8_lossy(&body.bytes).into());
        self.sent.lock().unwrap().push((request.what(), body.unwrap_or_default()));
        if request.effect == Effect::Change
            && let Some(deed) = self.before_a_change.lock().unwrap().take()
        {
            deed();
        }
        self.inner.send(request).await
    }
}

/// A connection, and the way it sends.
pub(crate) struct World {
    pub(crate) connector: Arc<dyn Connector>,
    pub(crate) wire: Arc<Noted>,
}

impl World {
    /// As the superuser.
    pub(crate) fn new() -> World {
        World::of(server(), "postgres", &server().password)
    }

    /// As anybody.
    pub(crate) fn of(server: &PostgreSql, user: &str, password: &str) -> World {
        let noted: Mutex<Option<Arc<Noted>>> = Mutex::default();
        let connector = connect(server, user, password, &|inner| {
            let wire = Arc::new(Noted {
                inner,
                sent: Mutex::default(),
                before_a_change: Mutex::default(),
            });
            *noted.lock().unwrap() = Some(wire.clone());
            Arc::new(Coalesce::new(wire))
        });
        let wire = noted.lock().unwrap().take().unwrap();
        World { connector, wire }
    }

    /// Makes an integration.
    pub(crate) async fn integration(&self, name: &str) -> ObjectRef {
        let made = self.connector.create(&new(name)).await.unwrap();
        object(name, Some(&made.vendor_id))
    }

    /// Brings it to hold these.
    pub(crate) async fn scope(
        &self,
        object: &ObjectRef,
        texts: &[&str],
    ) -> Result<ObservedIntegration> {
        let change = Change { scopes: Some(scopes(texts)), ..Change::default() };
        self.connector.modify(object, &change).await
    }

    /// What it holds.
    pub(crate) async fn held(&self, object: &ObjectRef) -> Vec<String> {
        let seen = self.connector.read(object, Want::DEED).await.unwrap().unwrap();
        assert!(seen.gaps.is_empty(), "{:?}", seen.gaps);
        seen.scopes.iter().map(|one| one.scope.to_string()).collect()
    }

    /// Sets a password of ours.
    pub(crate) async fn issue(
        &self,
        object: &ObjectRef,
        marker: &str,
        expires_at: Option<Timestamp>,
    ) -> Result<(Secret, Issued)> {
        self.issue_as((TYPE, "replace-ours"), object, marker, expires_at).await
    }

    /// The same, to one of the two that sign in for it.
    pub(crate) async fn fill(&self, object: &ObjectRef, marker: &str) -> Result<(Secret, Issued)> {
        self.issue_as((PAIR, "slots"), object, marker, None).await
    }

    async fn issue_as(
        &self,
        (credential_type, profile): (&'static str, &'static str),
        object: &ObjectRef,
        marker: &str,
        expires_at: Option<Timestamp>,
    ) -> Result<(Secret, Issued)> {
        let settings = Settings::default();
        let secret = self.connector.choose_secret(credential_type, &settings, marker)?;
        let request = IssueRequest {
            credential_type,
            profile,
            marker,
            secret: Some(&secret),
            settings: &settings,
            expires_at,
        };
        let issued = self.connector.issue(object, request).await?;
        Ok((secret, issued))
    }

    pub(crate) async fn switch(&self, object: &ObjectRef, on: bool) {
        let change = Change { enabled: Some(on), ..Change::default() };
        self.connector.modify(object, &change).await.unwrap();
    }
}

pub(crate) fn new(name: &str) -> NewIntegration {
    let record = Record {
        realm: Some("k3x9q2".into()),
        purpose: Some("Sends the bills".into()),
        ..Record::default()
    };
    let settings = Settings::default().with("inherit", Setting::Flag(true));
    NewIntegration { kind: KIND.into(), name: name.into(), settings, record }
}

pub(crate) fn object(key: &str, vendor_id: Option<&str>) -> ObjectRef {
    let vendor_id = vendor_id.map(str::to_owned);
    ObjectRef { kind: KIND.into(), key: key.into(), vendor_id, name: key.into() }
}

pub(crate) fn scopes(texts: &[&str]) -> BTreeSet<GrantedScope> {
    let parse = |text: &&str| PLATFORM.parse_scope(KIND, text).unwrap();
    texts.iter().flat_map(parse).map(GrantedScope::standing).collect()
}

/// A connection as another process would have it.
pub(crate) fn connect(
    server: &PostgreSql,
    user: &str,
    password: &str,
    wrap: Wrap<'_>,
) -> Arc<dyn Connector> {
    connect_to(&server.address(), None, user, password, wrap)
}

/// The same, by any address.
pub(crate) fn connect_to(
    address: &str,
    ca_file: Option<PathBuf>,
    user: &str,
    password: &str,
    wrap: Wrap<'_>,
) -> Arc<dyn Connector> {
    let route = Route { ca_file, ..route(address) };
    let setup = Setup {
        name: "db".into(),
        settings: Settings::default()
            .with("address", Setting::Text(address.into()))
            .with("user", Setting::Text(user.into())),
        credential: Some(Secret::new(password)),
        credential_id: None,
        transport: wrap(PLATFORM.wire(&route).unwrap()),
        clock: Arc::new(SystemClock),
        keyring: None,
    };
    PLATFORM.connect(setup).unwrap().connector.unwrap()
}
