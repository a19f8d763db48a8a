//! The connector against a real authorization server.

mod by_hand;
mod others;
mod reissued;
mod scripted;
mod server;

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use async_trait::async_trait;
use connector::{
    Change, Children, Connector, Error, IssueRequest, NewIntegration, ObjectRef, Outcome, Platform,
    Probe, Refusal, Setup, SystemClock, Want,
    conformance::{self, Fixture, Wrap},
    transport::{
        Answer, Coalesce, HttpOptions, HttpTransport, Request, Retry, Transport, TransportError,
    },
};
use domain::{Record, Scope, Settings, settings::Setting};
use secrets::{Fault, MemorySink};
use server::Server;

const KIND: &str = "oauth_client";

struct Host {
    server: Server,
    keyring: Arc<MemorySink>,
    /// What every connection has beside its address.
    settings: Settings,
}

impl Host {
    fn start() -> Host {
        Host::start_with(&[], Settings::default())
    }

    fn start_with(variables: &[(&'static str, &str)], settings: Settings) -> Host {
        Host { server: Server::start(variables), keyring: Arc::new(MemorySink::new()), settings }
    }

    fn connect_with(&self, wrap: Wrap<'_>, settings: Settings) -> Arc<dyn Connector> {
        let address = self.server.address.clone();
        let options = HttpOptions { address: address.clone(), ca_file: None };
        let http: Arc<dyn Transport> = Arc::new(HttpTransport::new(options).unwrap());
        let setup = Setup {
            name: "login".into(),
            settings: settings.with("address", Setting::Text(address)),
            credential: Some(domain::Secret::new("initial")),
            credential_id: None,
            transport: shared(wrap(http)),
            clock: Arc::new(SystemClock),
            keyring: Some((self.keyring.clone(), "nhi/keyring".into())),
        };
        oauth::PLATFORM.connect(setup).unwrap().connector.unwrap()
    }
}

/// Readers share what they may share, and a look that fails is repeated, as in a real connection.
fn shared(inner: Arc<dyn Transport>) -> Arc<dyn Transport> {
    Arc::new(Coalesce::new(Arc::new(Retry::new(inner, Arc::new(SystemClock)))))
}

fn texts(all: &[&str]) -> Setting {
    Setting::Texts(all.iter().map(|one| (*one).to_owned()).collect())
}

#[async_trait]
impl Fixture for Host {
    fn platform(&self) -> &'static dyn Platform {
        &oauth::PLATFORM
    }

    fn kind(&self) -> &'static str {
        KIND
    }

    async fn connect(&self, wrap: Wrap<'_>) -> Arc<dyn Connector> {
        self.connect_with(wrap, self.settings.clone())
    }

    fn settings(&self) -> Settings {
        Settings::default().with("grant_types", texts(&["client_credentials"]))
    }

    fn other_settings(&self) -> Option<Settings> {
        let uris = texts(&["https://app.acme.example/callback"]);
        let grants = texts(&["client_credentials", "authorization_code"]);
        Some(Settings::default().with("grant_types", grants).with("redirect_uris", uris))
    }

    async fn lets_in(&self, _: &ObjectRef, token: &domain::Secret) -> Option<bool> {
        Some(self.server.knows(token))
    }

    fn scopes(&self) -> Vec<Scope> {
        ["reports:read", "tickets:read", "tickets:write"].map(Scope::canonical).to_vec()
    }
}

#[tokio::test]
async fn it_does_as_every_connector_must() {
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance.txt");
    conformance::run(&Host::start()).await.hold(&committed);
}

/// Loses the nth change of a client: on its way, or its answer.
#[derive(Debug)]
struct Loses {
    inner: Arc<dyn Transport>,
    left: Arc<AtomicU32>,
    request: bool,
}

#[async_trait]
impl Transport for Loses {
    async fn send(&self, request: Request) -> Result<Answer, TransportError> {
        let lost = request.method == "PUT" && self.left.fetch_sub(1, Ordering::SeqCst) == 1;
        if !(lost && self.request) {
            let answer = self.inner.send(request).await?;
            if !lost {
                return Ok(answer);
            }
        }
        let message = "lost".to_owned();
        Err(TransportError::network(message, Outcome::Ambiguous))
    }
}

impl Host {
    async fn loses(&self, nth: u32, request: bool) -> Arc<dyn Connector> {
        let left = Arc::new(AtomicU32::new(nth));
        self.connect(&|inner| Arc::new(Loses { inner, left: left.clone(), request })).await
    }
}

async fn client(host: &Host, name: &str) -> (Arc<dyn Connector>, ObjectRef) {
    let connector = host.connect(&|transport| transport).await;
    let new = NewIntegration {
        kind: KIND.into(),
        name: name.into(),
        settings: host.settings(),
        record: Record::default(),
    };
    let made = connector.create(&new).await.unwrap();
    let vendor_id = Some(made.vendor_id);
    (connector, ObjectRef { kind: KIND.into(), key: made.key, vendor_id, name: name.into() })
}

/// Lets a client do something, so that it can sign in.
async fn give_a_scope(connector: &Arc<dyn Connector>, object: &ObjectRef) {
    open(connector, object).await.unwrap();
}

async fn open(
    connector: &Arc<dyn Connector>,
    object: &ObjectRef,
) -> connector::Result<domain::ObservedIntegration> {
    let scopes = [domain::GrantedScope::standing(Scope::canonical("tickets:read"))].into();
    let change = Change { scopes: Some(scopes), ..Change::default() };
    connector.modify(object, &change).await
}

#[tokio::test]
async fn the_registration_token_survives_a_keyring_that_fails_for_a_while() {
    let host = Host::start();
    let (connector, object) = client(&host, "token").await;
    // The intent goes through; the write of the new token, right after the server changed it, fails
    // in every way that there is before it succeeds.
    host.keyring.fail([
        Fault::None,
        Fault::None,
        Fault::Unreachable,
        Fault::RequestLost,
        Fault::AnswerLost,
        Fault::Refused,
    ]);
    give_a_scope(&connector, &object).await;
    let again = host.connect(&|transport| transport).await;
    assert!(
        again.read(&object, Want::DEED).await.unwrap().is_some(),
        "and it still can be managed"
    );
}

#[tokio::test]
async fn a_registration_token_that_a_lost_request_left_good_is_used_once_more() {
    let host = Host::start();
    let (connector, object) = client(&host, "asked").await;
    let before = host.connect(&|one| one).await.read(&object, Want::DEED).await.unwrap();
    let error = open(&host.loses(1, true).await, &object).await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Ambiguous, "{error}");
    assert_eq!(connector.read(&object, Want::DEED).await.unwrap(), before, "nothing was changed");
    open(&connector, &object).await.unwrap();
}

#[tokio::test]
async fn a_registration_token_that_went_with_a_lost_answer_is_told_of_and_the_client_works_on() {
    let host = Host::start();
    let (connector, object) = client(&host, "answered").await;
    open(&connector, &object).await.unwrap();
    let settings = Settings::default();
    let of = "oauth_private_key";
    let key = connector.choose_secret(of, &settings, "nhi1-x").unwrap();
    let request = IssueRequest {
        credential_type: of,
        profile: "add-ours",
        marker: "nhi1-x",
        secret: Some(&key),
        settings: &settings,
        expires_at: None,
    };
    // The server has the key, and nobody has the token that manages the client.
    let error = host.loses(1, false).await.issue(&object, request).await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Ambiguous, "{error}");
    let sent = Arc::new(AtomicU32::new(0));
    let counting =
        host.connect(&|inner| Arc::new(Loses { inner, left: sent.clone(), request: false })).await;
    for _ in 0..2 {
        let lost = open(&counting, &object).await.unwrap_err();
        let Error::LockedOut { message, next, .. } = lost else { panic!("{lost}") };
        assert!(message.contains("works on and its management is lost"), "{message}");
        assert!(next.contains("write a new registration token"), "{next}");
    }
    assert_eq!(sent.load(Ordering::SeqCst), 0, "no change is sent with a token that is refused");
    let all = connector.locked_out().await.unwrap();
    let all: Vec<_> = all.iter().map(|(id, error)| (id.as_str(), error.refusal())).collect();
    let id = format!("oauth_client/{}", object.key);
    assert_eq!(all, [(id.as_str(), Some(Refusal::Unauthorized))], "and who asks is told which");
    let status = host.server.token_with(&object.key, &key);
    assert_eq!(status, 200, "what the server took works on");
}

#[tokio::test]
async fn a_client_secret_whose_answer_was_lost_is_read_and_never_made_twice() {
    let host = Host::start();
    let (connector, object) = client(&host, "second").await;
    let settings = Settings::default();
    let request = || IssueRequest {
        credential_type: "oauth_client_secret",
        profile: "first-only",
        marker: "m",
        secret: None,
        settings: &settings,
        expires_at: None,
    };
    // The server did it, and keeping the new registration token was the last thing that happened.
    let first = connector.issue(&object, request()).await.unwrap();
    assert!(!first.already_there);
    let again = host.connect(&|transport| transport).await;
    let second = again.issue(&object, request()).await.unwrap();
    assert!(second.already_there && second.key_id == first.key_id);
    assert!(second.secret.is_some() && second.secret == first.secret, "the same, and not another");
}

#[tokio::test]
async fn a_client_secret_that_was_ended_does_not_come_back_to_life() {
    let host = Host::start();
    let (connector, object) = client(&host, "exposed").await;
    give_a_scope(&connector, &object).await;
    let settings = Settings::default();
    let of = "oauth_client_secret";
    let request = || IssueRequest {
        credential_type: of,
        profile: "first-only",
        marker: "m",
        secret: None,
        settings: &settings,
        expires_at: None,
    };
    let exposed = connector.issue(&object, request()).await.unwrap().secret.unwrap();
    connector.end(&object, "client_secret").await.unwrap();
    // This server keeps it, and would give it again.
    let error = host.connect(&|one| one).await.issue(&object, request()).await.unwrap_err();
    assert!(matches!(error, Error::GivenAgain { .. }), "{error}");
    let probed = connector.probe(&object, of, &exposed).await.unwrap();
    assert!(matches!(probed, Probe::Refused { .. }), "{probed:?}");
    // A key of ours is the way on.
    let key = connector.choose_secret("oauth_private_key", &settings, "nhi1-x").unwrap();
    let keyed = IssueRequest {
        credential_type: "oauth_private_key",
        profile: "add-ours",
        marker: "nhi1-x",
        secret: Some(&key),
        settings: &settings,
        expires_at: None,
    };
    connector.issue(&object, keyed).await.unwrap();
    let probed = connector.probe(&object, "oauth_private_key", &key).await.unwrap();
    assert!(matches!(probed, Probe::Accepted { .. }), "{probed:?}");
}

#[tokio::test]
async fn a_client_that_signs_in_with_a_key_gets_no_secret_and_is_told_the_way_out() {
    let host = Host::start();
    let (connector, object) = client(&host, "keyed").await;
    let settings = Settings::default();
    let key = connector.choose_secret("oauth_private_key", &settings, "nhi1-x").unwrap();
    let request = |of, profile, secret| IssueRequest {
        credential_type: of,
        profile,
        marker: "nhi1-x",
        secret,
        settings: &settings,
        expires_at: None,
    };
    let keyed = request("oauth_private_key", "add-ours", Some(&key));
    connector.issue(&object, keyed).await.unwrap();
    let secret = request("oauth_client_secret", "first-only", None);
    let refused = connector.issue(&object, secret).await.unwrap_err();
    assert!(
        refused.refusal() == Some(Refusal::Conflict)
            && refused.to_string().contains("beside oauth_private_key"),
        "{refused}"
    );
}

#[tokio::test]
async fn a_client_that_may_only_send_people_to_sign_in_still_has_its_credential_proven() {
    let host = Host::start();
    let connector = host.connect(&|transport| transport).await;
    let new = NewIntegration {
        kind: KIND.into(),
        name: "portal".into(),
        settings: Settings::default()
            .with("grant_types", texts(&["authorization_code"]))
            .with("redirect_uris", texts(&["https://app.acme.example/callback"])),
        record: Record::default(),
    };
    let made = connector.create(&new).await.unwrap();
    let vendor_id = Some(made.vendor_id);
    let object = ObjectRef { kind: KIND.into(), key: made.key, vendor_id, name: "portal".into() };
    give_a_scope(&connector, &object).await;
    let settings = Settings::default();
    let of = "oauth_private_key";
    let key = connector.choose_secret(of, &settings, "nhi1-x").unwrap();
    let request = IssueRequest {
        credential_type: of,
        profile: "add-ours",
        marker: "nhi1-x",
        secret: Some(&key),
        settings: &settings,
        expires_at: None,
    };
    connector.issue(&object, request).await.unwrap();
    let works = connector.probe(&object, of, &key).await.unwrap();
    assert!(matches!(works, Probe::Accepted { .. }), "{works:?}");
    let random = connector.random_like(of, &key).unwrap();
    let refused = connector.probe(&object, of, &random).await.unwrap();
    assert!(matches!(refused, Probe::Refused { .. }), "{refused:?}");
}

#[tokio::test]
async fn keys_of_every_algorithm_sign_in_beside_each_other() {
    let host = Host::start();
    let (connector, object) = client(&host, "algorithms").await;
    give_a_scope(&connector, &object).await;
    let of = "oauth_private_key";
    let mut before: Option<(domain::Secret, String)> = None;
    for algorithm in ["ES256", "ES384", "EdDSA"] {
        let settings = Settings::default().with("algorithm", Setting::Text(algorithm.into()));
        let marker = format!("nhi1-{algorithm}");
        let key = connector.choose_secret(of, &settings, &marker).unwrap();
        let request = IssueRequest {
            credential_type: of,
            profile: "add-ours",
            marker: &marker,
            secret: Some(&key),
            settings: &settings,
            expires_at: None,
        };
        let issued = connector.issue(&object, request).await.unwrap();
        let there = connector.credential(&object, &issued.key_id).await.unwrap().unwrap();
        assert_eq!(there.settings, settings, "the server shows what it signs with");
        let good = |probe: Probe| matches!(probe, Probe::Accepted { .. });
        assert!(good(connector.probe(&object, of, &key).await.unwrap()), "{algorithm}");
        let control = connector.random_like(of, &key).unwrap();
        assert!(!good(connector.probe(&object, of, &control).await.unwrap()), "{algorithm}");
        if let Some((old, old_id)) = before.replace((key, issued.key_id)) {
            assert!(good(connector.probe(&object, of, &old).await.unwrap()), "before {algorithm}");
            connector.end(&object, &old_id).await.unwrap();
            assert!(!good(connector.probe(&object, of, &old).await.unwrap()), "{algorithm}");
            let (new, _) = before.as_ref().unwrap();
            assert!(good(connector.probe(&object, of, new).await.unwrap()), "{algorithm} alone");
        }
    }
}

#[tokio::test]
async fn the_way_in_which_a_secret_is_sent_changes_and_the_secret_stays() {
    let host = Host::start();
    let (connector, object) = client(&host, "ways").await;
    give_a_scope(&connector, &object).await;
    let of = "oauth_client_secret";
    let method = |text: &str| Settings::default().with("method", Setting::Text(text.into()));
    let settings = method("client_secret_post");
    let request = IssueRequest {
        credential_type: of,
        profile: "first-only",
        marker: "m",
        secret: None,
        settings: &settings,
        expires_at: None,
    };
    let secret = connector.issue(&object, request).await.unwrap().secret.unwrap();
    for now in ["client_secret_post", "client_secret_basic", "client_secret_post"] {
        connector.adjust(&object, "client_secret", &method(now)).await.unwrap();
        let there = connector.credential(&object, "client_secret").await.unwrap().unwrap();
        assert_eq!(there.settings, method(now));
        let works = connector.probe(&object, of, &secret).await.unwrap();
        assert!(matches!(works, Probe::Accepted { .. }), "{now}: {works:?}");
    }
}

#[tokio::test]
async fn tokens_live_as_long_as_declared_where_the_server_takes_it() {
    let host = Host::start();
    let member =
        |name: &str| Settings::default().with("token_lifetime_member", Setting::Text(name.into()));
    let lives = |text: &str| host.settings().with("token_lifetime", Setting::Text(text.into()));
    let new = |settings| NewIntegration {
        kind: KIND.into(),
        name: "short".into(),
        settings,
        record: Record { realm: Some("k3x9q2".into()), ..Record::default() },
    };
    // Nobody said which member: nothing is registered.
    let error = host.connect(&|one| one).await.create(&new(lives("2m"))).await.unwrap_err();
    assert!(error.to_string().contains("token_lifetime_member"), "{error}");
    // The server does not know that one: the create is not done, and goes on with another.
    let wrong = host.connect_with(&|one| one, member("x_nobody"));
    let error = wrong.create(&new(lives("2m"))).await.unwrap_err();
    assert!(error.to_string().contains("not shown"), "{error}");
    let connector = host.connect_with(&|one| one, member("x_token_ttl"));
    let made = connector.create(&new(lives("2m"))).await.unwrap();
    assert_eq!(made.settings.text("token_lifetime"), Some("2m"));
    let vendor_id = Some(made.vendor_id);
    let object = ObjectRef { kind: KIND.into(), key: made.key, vendor_id, name: "short".into() };
    give_a_scope(&connector, &object).await;
    let settings = Settings::default();
    let request = IssueRequest {
        credential_type: "oauth_client_secret",
        profile: "first-only",
        marker: "m",
        secret: None,
        settings: &settings,
        expires_at: None,
    };
    let secret = connector.issue(&object, request).await.unwrap().secret.unwrap();
    for (text, seconds) in [("2m", 120), ("45m", 2700)] {
        let change = Change { settings: Some(lives(text)), ..Change::default() };
        let now = connector.modify(&object, &change).await.unwrap();
        assert_eq!(now.settings.text("token_lifetime"), Some(text));
        connector.probe(&object, "oauth_client_secret", &secret).await.unwrap();
        let swept = connector.sweep(&object, None).await.unwrap();
        let Children::Residual(Some(end)) = swept else { panic!("{swept:?}") };
        let left = end.duration_since(jiff::Timestamp::now()).as_secs();
        assert!((seconds - 30..=seconds).contains(&left), "{text}: {left} s");
    }
}

#[test]
fn a_member_that_means_something_else_is_refused_for_a_lifetime() {
    for name in ["scope", "client_secret", "registration_access_token", " "] {
        let settings = Settings::default()
            .with("address", Setting::Text("https://login.acme.example".into()))
            .with("token_lifetime_member", Setting::Text(name.into()));
        let options = HttpOptions { address: "https://login.acme.example".into(), ca_file: None };
        let setup = Setup {
            name: "login".into(),
            settings,
            credential: None,
            credential_id: None,
            transport: Arc::new(HttpTransport::new(options).unwrap()),
            clock: Arc::new(SystemClock),
            keyring: None,
        };
        let error = oauth::PLATFORM.connect(setup).unwrap_err().to_string();
        assert!(error.contains("connections.login.oauth.token_lifetime_member"), "{error}");
    }
}

#[tokio::test]
async fn without_a_keyring_nothing_is_registered() {
    let host = Host::start();
    let address = host.server.address.clone();
    let options = HttpOptions { address: address.clone(), ca_file: None };
    let setup = Setup {
        name: "login".into(),
        settings: Settings::default().with("address", Setting::Text(address)),
        credential: Some(domain::Secret::new("initial")),
        credential_id: None,
        transport: Arc::new(HttpTransport::new(options).unwrap()),
        clock: Arc::new(SystemClock),
        keyring: None,
    };
    let connector = oauth::PLATFORM.connect(setup).unwrap().connector.unwrap();
    let new = NewIntegration {
        kind: KIND.into(),
        name: "x".into(),
        settings: host.settings(),
        record: Record::default(),
    };
    let error = connector.create(&new).await.unwrap_err();
    assert!(error.to_string().contains("nhi init"), "{error}");
}
