//! Servers differ: the connector goes by the standards, not by one of them.

use std::sync::Arc;

use connector::{
    Change, Children, Connector, Error, IssueRequest, Issued, NewIntegration, ObjectRef, Outcome,
    Platform, Probe, Setup, SystemClock, Want,
    transport::{ReadOnly, Transport},
};
use domain::{GrantedScope, OwnerRef, Record, Scope, Secret, Settings, settings::Setting};
use jiff::{SignedDuration, Timestamp};
use secrets::{Fault, MemorySink};
use serde_json::json;

use crate::{
    KIND,
    scripted::{Odd, Scripted},
    shared, texts,
};

const SECRET: &str = "oauth_client_secret";
const KEY: &str = "oauth_private_key";

pub(crate) struct World {
    pub(crate) server: Arc<Scripted>,
    pub(crate) keyring: Arc<MemorySink>,
    address: String,
}

impl World {
    pub(crate) fn new() -> World {
        World::at("https://login.acme.example", "https://login.acme.example")
    }

    fn at(issuer: &'static str, address: &str) -> World {
        World {
            server: Arc::new(Scripted::new(issuer)),
            keyring: Arc::new(MemorySink::new()),
            address: address.to_owned(),
        }
    }

    /// As another process would have it.
    pub(crate) fn connect(&self) -> Arc<dyn Connector> {
        self.connect_through(shared(self.server.clone()))
    }

    fn connect_through(&self, transport: Arc<dyn Transport>) -> Arc<dyn Connector> {
        let setup = Setup {
            name: "login".into(),
            settings: Settings::default().with("address", Setting::Text(self.address.clone())),
            credential: None,
            credential_id: None,
            transport,
            clock: Arc::new(SystemClock),
            keyring: Some((self.keyring.clone(), "nhi/keyring".into())),
        };
        oauth::PLATFORM.connect(setup).unwrap().connector.unwrap()
    }

    pub(crate) async fn client(&self) -> ObjectRef {
        let made = self.connect().create(&new()).await.unwrap();
        ObjectRef {
            kind: KIND.into(),
            key: made.key,
            vendor_id: Some(made.vendor_id),
            name: "x".into(),
        }
    }

    async fn issue(&self, object: &ObjectRef) -> connector::Result<Issued> {
        let settings = Settings::default();
        let request = IssueRequest {
            credential_type: SECRET,
            profile: "first-only",
            marker: "m",
            secret: None,
            settings: &settings,
            expires_at: None,
        };
        self.connect().issue(object, request).await
    }

    async fn probe(&self, object: &ObjectRef, secret: &Secret) -> Probe {
        self.connect().probe(object, SECRET, secret).await.unwrap()
    }
}

fn new() -> NewIntegration {
    let owner = |name: &str| {
        Some(OwnerRef { id: format!("owner/{name}"), email: Some(format!("{name}@acme.example")) })
    };
    NewIntegration {
        kind: KIND.into(),
        name: "x".into(),
        settings: Settings::default().with("grant_types", texts(&["client_credentials"])),
        record: Record {
            realm: Some("k3x9q2".into()),
            technical_owner: owner("payments"),
            ..Record::default()
        },
    }
}

pub(crate) fn scopes(texts: &[&str]) -> Change {
    let standing = |text: &&str| GrantedScope::standing(Scope::canonical(*text));
    Change { scopes: Some(texts.iter().map(standing).collect()), ..Change::default() }
}

#[tokio::test]
async fn a_server_that_merges_is_told_what_goes() {
    for odd in [
        Odd { merges: true, ..Odd::default() },
        Odd { merges: true, refuses_null: true, ..Odd::default() },
    ] {
        let world = World::new();
        let object = world.client().await;
        world.issue(&object).await.unwrap();
        world.connect().modify(&object, &scopes(&["tickets:read"])).await.unwrap();
        world.server.be(odd);
        let closed = world.connect().modify(&object, &scopes(&[])).await.unwrap();
        assert!(closed.scopes.is_empty() && closed.parked);
        let members = &world.server.clients()[0].members;
        assert!(
            !members.contains_key("scope") && members["grant_types"] == json!([]),
            "{members:?}"
        );
    }
}

#[tokio::test]
async fn a_server_that_keeps_what_was_taken_away_is_named_and_can_still_be_managed() {
    let world = World::new();
    let object = world.client().await;
    world.issue(&object).await.unwrap();
    world.connect().modify(&object, &scopes(&["tickets:read"])).await.unwrap();
    let odd = Odd { merges: true, refuses_null: true, ignores_empty: true, ..Odd::default() };
    world.server.be(odd);
    let error = world.connect().modify(&object, &scopes(&[])).await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Ambiguous);
    assert!(error.to_string().contains("`scope`"), "{error}");
    world.server.be(Odd::default());
    world.connect().modify(&object, &scopes(&[])).await.unwrap();
}

#[tokio::test]
async fn a_server_that_refuses_members_it_does_not_know_gets_those_of_the_standard() {
    let world = World::new();
    world.server.be(Odd { refuses_unknown: true, ..Odd::default() });
    let object = world.client().await;
    let now = world.connect().modify(&object, &scopes(&["tickets:read"])).await.unwrap();
    assert_eq!(Some(now.scopes), scopes(&["tickets:read"]).scopes);
    let change = Change {
        settings: Some(
            Settings::default().with("post_logout_redirect_uris", texts(&["https://a.example"])),
        ),
        ..Change::default()
    };
    let error = world.connect().modify(&object, &change).await.unwrap_err();
    assert!(error.to_string().contains("post_logout_redirect_uris"), "{error}");
}

#[tokio::test]
async fn grant_types_that_nobody_asked_for_are_found_out() {
    let world = World::new();
    let object = world.client().await;
    world.issue(&object).await.unwrap();
    world.server.be(Odd { adds_grant: Some("refresh_token"), ..Odd::default() });
    let error = world.connect().modify(&object, &scopes(&["tickets:read"])).await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Ambiguous);
    assert!(error.to_string().contains("refresh_token"), "{error}");
}

#[tokio::test]
async fn a_scope_that_is_forbidden_is_said_so_and_nothing_else_changes() {
    let world = World::new();
    let object = world.client().await;
    world.server.be(Odd { forbids_scope: true, ..Odd::default() });
    let record = Record { purpose: Some("another".into()), ..new().record };
    let both = Change { record: Some(record.clone()), ..scopes(&["tickets:read"]) };
    let error = world.connect().modify(&object, &both).await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Refused);
    assert!(error.to_string().contains("scopes") && !error.to_string().contains("lost"), "{error}");
    let stands = world.connect().read(&object, Want::DEED).await.unwrap().unwrap();
    assert_eq!(stands.record, Some(new().record), "what was refused is not recorded as done");
    let change = Change { record: Some(record.clone()), ..Change::default() };
    assert_eq!(world.connect().modify(&object, &change).await.unwrap().record, Some(record));
}

#[tokio::test]
async fn what_a_server_refuses_is_named_with_what_was_asked_for() {
    let world = World::new();
    let object = world.client().await;
    world.server.be(Odd { refuses_changes: true, ..Odd::default() });
    let error = world.connect().modify(&object, &scopes(&["tickets:raed"])).await.unwrap_err();
    let said = error.to_string();
    assert!(said.contains("invalid_client_metadata"), "{said}");
    assert!(said.contains("scope = \"tickets:raed\"") && !said.contains("client_name"), "{said}");
    assert!(!said.contains('{'), "no word of a program: {said}");
}

#[tokio::test]
async fn a_refused_initial_access_token_is_said_to_be_the_connections() {
    let world = World::new();
    world.server.be(Odd { wants_initial: true, ..Odd::default() });
    let error = world.connect().create(&new()).await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Refused);
    let said = error.to_string();
    assert!(said.contains("initial access token") && said.contains("\"login\""), "{said}");
    world.server.be(Odd::default());
    world.client().await;
}

#[tokio::test]
async fn a_change_of_ours_that_was_cut_off_is_not_called_somebodys_deletion() {
    let world = World::new();
    let object = world.client().await;
    world.server.be(Odd { loses_answers: true, ..Odd::default() });
    let error = world.connect().modify(&object, &scopes(&["tickets:read"])).await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Ambiguous, "{error}");
    world.server.be(Odd::default());
    let said = world.connect().read(&object, Want::DEED).await.unwrap_err().to_string();
    assert!(said.contains("a change of ours was cut off"), "{said}");
    assert!(!said.contains("somebody deleted"), "{said}");
}

#[tokio::test]
async fn a_registration_whose_answer_was_lost_is_told_although_another_took_its_place() {
    let world = World::new();
    world.server.be(Odd { loses_answers: true, ..Odd::default() });
    assert!(world.connect().create(&new()).await.is_err());
    world.server.be(Odd::default());
    world.client().await;
    assert_eq!(world.server.clients().len(), 2, "one of them is nobody's");
    let seen = world.connect().list(Want::PLAN).await.unwrap();
    let told = seen.gaps.iter().find(|gap| gap.cause.contains("lost"));
    assert!(told.is_some_and(|gap| gap.cause.contains("\"x\"")), "{:?}", seen.gaps);
    let notes = world.connect().notes().await.join("\n");
    assert!(notes.contains("\"x\"") && notes.contains("grade D"), "{notes}");
}

#[tokio::test]
async fn contacts_that_a_server_drops_are_no_change_to_be_made_for_ever() {
    let world = World::new();
    world.server.be(Odd { drops_contacts: true, ..Odd::default() });
    let object = world.client().await;
    world.connect().modify(&object, &scopes(&["tickets:read"])).await.unwrap();
    world.server.sent();
    world.connect().modify(&object, &scopes(&["tickets:read"])).await.unwrap();
    assert!(!world.server.sent().iter().any(|one| one.starts_with("PUT")));
}

#[tokio::test]
async fn contacts_that_are_not_the_owners_are_told_and_written_again_with_the_record() {
    let world = World::new();
    let object = world.client().await;
    let shown = async || {
        let seen = world.connect().read(&object, Want::DEED).await.unwrap().unwrap();
        (seen.contacts.clone(), seen.record.unwrap())
    };
    let (told, record) = shown().await;
    assert_eq!(told, None);
    let written = |contacts: &[&str]| {
        assert_eq!(world.server.clients()[0].members["contacts"], json!(contacts));
    };
    world
        .server
        .by_hand(|members| drop(members.insert("contacts".into(), json!(["x@evil.example"]))));
    assert_eq!(shown().await.0, Some(["x@evil.example".to_owned()].into()));
    let with = |record: &Record| Change { record: Some(record.clone()), ..Change::default() };
    world.connect().modify(&object, &with(&record)).await.unwrap();
    written(&["payments@acme.example"]);
    assert_eq!(shown().await.0, None);
    // Another owner is another contact.
    let owner = OwnerRef { id: "owner/desk".into(), email: Some("desk@acme.example".into()) };
    let other = Record { technical_owner: Some(owner), ..record.clone() };
    world.connect().modify(&object, &with(&other)).await.unwrap();
    written(&["desk@acme.example"]);
    // A server that keeps none is told of another one once.
    world.server.be(Odd { drops_contacts: true, ..Odd::default() });
    world.connect().modify(&object, &with(&record)).await.unwrap();
    assert_eq!(shown().await.0, None);
    world.server.sent();
    world.connect().modify(&object, &with(&record)).await.unwrap();
    assert!(!world.server.sent().iter().any(|one| one.starts_with("PUT")));
}

#[tokio::test]
async fn a_secret_that_comes_with_the_way_to_sign_in_is_the_one_that_is_issued() {
    let world = World::new();
    let object = world.client().await;
    world.server.be(Odd { secret_turns_with_method: true, ..Odd::default() });
    world.connect().modify(&object, &scopes(&["tickets:read"])).await.unwrap();
    let first = world.issue(&object).await.unwrap().secret.unwrap();
    world.connect().end(&object, "client_secret").await.unwrap();
    let second = world.issue(&object).await.unwrap().secret.unwrap();
    assert!(first != second);
    assert!(matches!(world.probe(&object, &second).await, Probe::Accepted { .. }));
    assert!(matches!(world.probe(&object, &first).await, Probe::Refused { .. }));
}

#[tokio::test]
async fn a_secret_that_was_ended_is_not_issued_again_and_opens_nothing_while_that_is_found_out() {
    let world = World::new();
    let object = world.client().await;
    world.connect().modify(&object, &scopes(&["tickets:read"])).await.unwrap();
    let exposed = world.issue(&object).await.unwrap().secret.unwrap();
    world.connect().end(&object, "client_secret").await.unwrap();
    for round in 0..2 {
        let error = world.issue(&object).await.unwrap_err();
        assert!(matches!(error, Error::GivenAgain { .. }), "{round}: {error}");
        assert_eq!(error.outcome(), Outcome::Refused);
        assert!(!format!("{error} {error:?}").contains(exposed.expose()));
        assert!(matches!(world.probe(&object, &exposed).await, Probe::Refused { .. }), "{round}");
        let listed = world.connect().credentials(&object).await.unwrap();
        assert!(listed.credentials.is_empty(), "{round}: {:?}", listed.credentials);
    }
    // A run that ended in between left it switched on, with no grant type.
    world.server.by_hand(|members| {
        members.insert("token_endpoint_auth_method".into(), json!("client_secret_basic"));
    });
    let error = world.issue(&object).await.unwrap_err();
    assert!(matches!(error, Error::GivenAgain { .. }), "{error}");
    // A server that makes another is no worse for it.
    world.server.be(Odd { secret_turns_with_method: true, ..Odd::default() });
    let fresh = world.issue(&object).await.unwrap().secret.unwrap();
    assert!(fresh != exposed);
    assert!(matches!(world.probe(&object, &fresh).await, Probe::Accepted { .. }));
    let now = world.connect().read(&object, Want::DEED).await.unwrap().unwrap();
    assert!(now.enabled && !now.parked, "and the client is open for it");
}

impl World {
    /// Gives the client a key of ours.
    async fn key(&self, object: &ObjectRef, marker: &str) -> connector::Result<(Secret, String)> {
        let (connector, settings) = (self.connect(), Settings::default());
        let secret = connector.choose_secret(KEY, &settings, marker).unwrap();
        let request = IssueRequest {
            credential_type: KEY,
            profile: "add-ours",
            marker,
            secret: Some(&secret),
            settings: &settings,
            expires_at: None,
        };
        let issued = connector.issue(object, request).await?;
        Ok((secret, issued.key_id))
    }
}

#[tokio::test]
async fn another_key_under_the_key_id_of_ours_is_not_ours() {
    const MARKER: &str = "nhi1-k3x9q2-abcdefgh-g1-e1-mabcdefghijklm";
    let (world, theirs) = (World::new(), World::new());
    let object = world.client().await;
    let (secret, ours) = world.key(&object, MARKER).await.unwrap();
    theirs.key(&theirs.client().await, MARKER).await.unwrap();
    let keys = |world: &World| {
        world.server.clients()[0].members["jwks"]["keys"].as_array().unwrap().clone()
    };
    let (mine, mut stranger) = (keys(&world)[0].clone(), keys(&theirs)[0].clone());
    let listed = || async { world.connect().credentials(&object).await.unwrap().credentials };
    for kid in [mine["kid"].clone(), json!(MARKER)] {
        stranger["kid"] = kid;
        let both = json!({"keys": [stranger.clone(), mine.clone()]});
        world.server.by_hand(|members| drop(members.insert("jwks".into(), both)));
        let now = listed().await;
        assert_eq!(now.len(), 2, "{now:?}");
        let marked: Vec<_> = now.iter().filter(|one| one.marker.is_some()).collect();
        assert_eq!(marked.len(), 1, "{now:?}");
        assert_eq!((&marked[0].key_id, marked[0].marker.as_deref()), (&ours, Some(MARKER)));
        let found = world.connect().find(&object, KEY, &secret).await.unwrap().unwrap();
        assert_eq!(found.key_id, ours);
        // It alone is ended.
        let strange = now.iter().find(|one| one.marker.is_none()).unwrap();
        world.connect().end(&object, &strange.key_id).await.unwrap();
        assert_eq!(keys(&world), std::slice::from_ref(&mine));
        // In the place of ours it is seen too.
        let alone = json!({"keys": [stranger.clone()]});
        world.server.by_hand(|members| drop(members.insert("jwks".into(), alone)));
        let now = listed().await;
        assert!(now.len() == 1 && now[0].marker.is_none() && now[0].key_id != ours, "{now:?}");
    }
}

#[tokio::test]
async fn an_address_of_keys_that_somebody_wrote_is_a_credential_that_can_be_ended() {
    const ADDRESS: &str = "https://evil.example/jwks";
    for odd in [Odd::default(), Odd { merges: true, ..Odd::default() }] {
        let world = World::new();
        let object = world.client().await;
        world.key(&object, "nhi1-x").await.unwrap();
        world.server.by_hand(|members| {
            members.remove("jwks");
            members.insert("jwks_uri".into(), json!(ADDRESS));
        });
        world.server.be(odd);
        let listing = world.connect().credentials(&object).await.unwrap();
        let ids: Vec<_> = listing.credentials.iter().map(|one| one.key_id.as_str()).collect();
        assert!(listing.complete && ids == [ADDRESS], "{listing:?}");
        let error = world.key(&object, "nhi1-y").await.unwrap_err();
        assert_eq!(error.outcome(), Outcome::Refused);
        let said = error.to_string();
        assert!(said.contains(ADDRESS) && said.contains("revoke_unmanaged"), "{said}");
        world.connect().end(&object, ADDRESS).await.unwrap();
        assert!(!world.server.clients()[0].members.contains_key("jwks_uri"));
        world.key(&object, "nhi1-y").await.unwrap();
    }
}

#[tokio::test]
async fn a_secret_whose_end_was_refused_is_not_taken_for_ended() {
    let world = World::new();
    let object = world.client().await;
    world.connect().modify(&object, &scopes(&["tickets:read"])).await.unwrap();
    world.issue(&object).await.unwrap();
    world.server.be(Odd { refuses_changes: true, ..Odd::default() });
    let error = world.connect().end(&object, "client_secret").await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Refused, "{error}");
    world.server.be(Odd::default());
    assert!(world.issue(&object).await.unwrap().already_there);
}

#[tokio::test]
async fn a_secret_that_a_server_makes_unasked_is_told_and_not_lost() {
    for hides_secret in [false, true] {
        let world = World::new();
        let object = world.client().await;
        let first = world.issue(&object).await.unwrap().secret.unwrap();
        world.server.be(Odd { reissues: true, ..Odd::default() });
        let error = world.connect().modify(&object, &scopes(&["tickets:read"])).await.unwrap_err();
        assert_eq!(error.outcome(), Outcome::Ambiguous);
        assert!(error.to_string().contains("another client secret"), "{error}");
        world.server.be(Odd { hides_secret, ..Odd::default() });
        let now = Secret::new(world.server.clients()[0].secret.clone().unwrap());
        let found = |secret: Secret| {
            let (connector, object) = (world.connect(), object.clone());
            async move { connector.find(&object, SECRET, &secret).await.unwrap().is_some() }
        };
        assert!(found(now).await, "the new one is known, whether the server shows it or not");
        assert!(!found(first).await);
    }
}

#[tokio::test]
async fn a_secret_that_only_the_answer_to_a_change_shows_survives_a_look_that_fails() {
    let world = World::new();
    let object = world.client().await;
    world.connect().modify(&object, &scopes(&["tickets:read"])).await.unwrap();
    let hides = Odd { hides_secret: true, ..Odd::default() };
    world.server.be(Odd { blind_after_put: true, ..hides.clone() });
    assert_eq!(world.issue(&object).await.unwrap_err().outcome(), Outcome::Ambiguous);
    world.server.be(hides);
    let issued = world.issue(&object).await.unwrap();
    assert!(issued.already_there, "it was made once");
    let secret = issued.secret.unwrap();
    assert!(matches!(world.probe(&object, &secret).await, Probe::Accepted { .. }));
}

#[tokio::test]
async fn what_a_server_does_not_take_is_refused_with_what_it_takes() {
    let world = World::new();
    let object = world.client().await;
    world.server.be(Odd { takes_es256_and_basic_only: true, ..Odd::default() });
    let connector = world.connect();
    let settings = Settings::default()
        .with("algorithm", Setting::Text("EdDSA".into()))
        .with("method", Setting::Text("client_secret_post".into()));
    let key = connector.choose_secret(KEY, &settings, "nhi1-x").unwrap();
    for (of, profile, secret, setting, takes) in [
        (KEY, "add-ours", Some(&key), "oauth_private_key.algorithm", "ES256"),
        (SECRET, "first-only", None, "oauth_client_secret.method", "client_secret_basic"),
    ] {
        let request = IssueRequest {
            credential_type: of,
            profile,
            marker: "nhi1-x",
            secret,
            settings: &settings,
            expires_at: None,
        };
        let error = connector.issue(&object, request).await.unwrap_err();
        assert_eq!(error.outcome(), Outcome::Refused);
        let said = error.to_string();
        assert!(said.contains(setting) && said.contains(takes), "{said}");
    }
}

#[tokio::test]
async fn a_change_that_is_answered_with_nothing_is_read_back() {
    let world = World::new();
    let object = world.client().await;
    world.server.be(Odd { answers_nothing: true, ..Odd::default() });
    let now = world.connect().modify(&object, &scopes(&["tickets:read"])).await.unwrap();
    assert_eq!(Some(now.scopes), scopes(&["tickets:read"]).scopes);
}

#[tokio::test]
async fn a_server_that_forgets_nothing_is_found_out_by_use_and_a_control() {
    let world = World::new();
    let object = world.client().await;
    world.connect().modify(&object, &scopes(&["tickets:read"])).await.unwrap();
    let secret = world.issue(&object).await.unwrap().secret.unwrap();
    world.server.be(Odd { forgets_nothing: true, ..Odd::default() });
    world.connect().end(&object, "client_secret").await.unwrap();
    let listed = world.connect().credentials(&object).await.unwrap();
    assert!(listed.credentials.is_empty(), "by its word it is gone");
    assert!(matches!(world.probe(&object, &secret).await, Probe::Accepted { .. }));
    let control = world.connect().random_like(SECRET, &secret).unwrap();
    assert!(matches!(world.probe(&object, &control).await, Probe::Refused { .. }));
}

#[tokio::test]
async fn a_token_that_comes_with_a_look_is_kept_and_such_a_server_is_not_used() {
    let world = World::new();
    let object = world.client().await;
    let turns = Odd { token_turns_with_look: true, ..Odd::default() };
    world.server.be(Odd { tells_no_id: true, ..turns.clone() });
    let connector = world.connect();
    let error = connector.read(&object, Want::PLAN).await.unwrap_err();
    assert!(error.to_string().contains("client_id"), "the answer is no registration: {error}");
    // From then on plans do not look, and deeds do: the token of that answer was kept all the same.
    world.server.be(turns.clone());
    world.server.sent();
    for connector in [connector, world.connect()] {
        let error = connector.read(&object, Want::PLAN).await.unwrap_err().to_string();
        assert!(error.contains("nothing is lost") && error.contains("nhi doctor login"), "{error}");
        let seen = connector.list(Want::PLAN).await.unwrap();
        assert!(seen.integrations.is_empty());
        assert!(seen.gaps.iter().any(|gap| gap.cause.contains("nothing is lost")));
    }
    assert!(!world.server.sent().iter().any(|one| one.contains("client registration")));
    let connector = world.connect();
    let looks = (0..5).map(|_| connector.read(&object, Want::DEED));
    for read in futures::future::join_all(looks).await {
        assert!(read.unwrap().is_some());
    }
    world.connect().modify(&object, &scopes(&["tickets:read"])).await.unwrap();
    let notes = world.connect().notes().await;
    assert!(notes.iter().any(|note| note.contains("only looked at")), "{notes:#?}");
    // Where custody takes no write, nobody looks either.
    world.keyring.fail([Fault::Refused]);
    world.server.sent();
    assert!(world.connect().read(&object, Want::DEED).await.is_err());
    assert!(!world.server.sent().iter().any(|one| one.contains("client registration")));
    world.server.be(Odd::default());
    let notes = world.connect().notes().await;
    assert!(!notes.iter().any(|note| note.contains("only looked at")), "{notes:#?}");
    assert!(world.connect().read(&object, Want::PLAN).await.unwrap().is_some(), "the way back");
    world.server.be(turns);
    let another = NewIntegration { name: "y".into(), ..new() };
    let error = world.connect().create(&another).await.unwrap_err();
    assert!(error.to_string().contains("not supported"), "{error}");
    assert_eq!(world.server.clients().len(), 1, "what was registered for it is gone again");
}

#[tokio::test]
async fn a_read_only_run_finds_out_that_a_server_turns_its_tokens_no_more() {
    let world = World::new();
    let object = world.client().await;
    world.server.be(Odd { token_turns_with_look: true, ..Odd::default() });
    let doctor = || world.connect_through(Arc::new(ReadOnly::new(world.server.clone())));
    assert!(doctor().read(&object, Want::PLAN).await.is_err());
    let notes = doctor().notes().await;
    assert!(notes.iter().any(|note| note.contains("only looked at")), "{notes:#?}");
    assert!(!notes.iter().any(|note| note.contains("read-only")), "{notes:#?}");
    world.server.be(Odd::default());
    doctor().notes().await;
    assert!(doctor().read(&object, Want::PLAN).await.unwrap().is_some(), "the way back");
}

#[tokio::test]
async fn a_client_that_is_born_open_is_closed_or_deleted_or_gone_on_with() {
    let world = World::new();
    world.server.be(Odd { registers_open: true, ..Odd::default() });
    let object = world.client().await;
    let stands = world.connect().read(&object, Want::DEED).await.unwrap().unwrap();
    assert!(stands.parked && stands.credentials.unwrap().is_empty(), "closed by a second word");
    assert_eq!(stands.record, Some(new().record));

    let never = Odd { adds_grant: Some("client_credentials"), ..Odd::default() };
    let world = World::new();
    world.server.be(never.clone());
    let error = world.connect().create(&new()).await.unwrap_err();
    assert!(error.to_string().contains("deleted again"), "{error}");
    assert!(world.server.clients().is_empty());
    world.server.be(Odd { keeps_clients: true, ..never });
    let error = world.connect().create(&new()).await.unwrap_err();
    assert!(error.to_string().contains("next create goes on"), "{error}");
    let foreign = Record { realm: Some("zzzzzz".into()), ..Record::default() };
    let foreign = NewIntegration { record: foreign, ..new() };
    assert!(world.connect().create(&foreign).await.is_err(), "by its own realm only");
    world.server.be(Odd::default());
    let object = world.client().await;
    assert_eq!(world.server.clients().len(), 1, "the same client");
    assert!(world.connect().read(&object, Want::DEED).await.unwrap().unwrap().parked);
}

#[tokio::test]
async fn a_look_that_fails_after_a_change_leaves_it_ambiguous() {
    let world = World::new();
    let object = world.client().await;
    world.server.be(Odd { blind_after_put: true, ..Odd::default() });
    let error = world.connect().modify(&object, &scopes(&["tickets:read"])).await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Ambiguous, "{error}");
    world.server.be(Odd::default());
    let stands = world.connect().read(&object, Want::DEED).await.unwrap().unwrap();
    assert_eq!(Some(stands.scopes), scopes(&["tickets:read"]).scopes);
}

#[tokio::test]
async fn clients_of_another_server_in_the_same_custody_are_not_this_ones() {
    let one = World::at("https://login.acme.example/a", "https://login.acme.example/a");
    let other = World {
        keyring: one.keyring.clone(),
        ..World::at("https://login.acme.example/b", "https://login.acme.example/b")
    };
    let object = one.client().await;
    assert_eq!(one.connect().list(Want::PLAN).await.unwrap().integrations.len(), 1);
    other.server.sent();
    let seen = other.connect().list(Want::PLAN).await.unwrap();
    assert!(seen.integrations.is_empty(), "{:?}", seen.integrations);
    assert_eq!(seen.gaps.len(), 1, "only that nothing can be listed: {:?}", seen.gaps);
    assert!(other.connect().read(&object, Want::DEED).await.is_err());
    let asked = other.server.sent().iter().any(|one| one.contains("client registration"));
    assert!(!asked, "its token goes to no other server");
}

#[tokio::test]
async fn a_client_is_closed_before_it_is_deleted() {
    let world = World::new();
    let object = world.client().await;
    world.issue(&object).await.unwrap();
    world.connect().modify(&object, &scopes(&["tickets:read"])).await.unwrap();
    world.server.be(Odd { keeps_clients: true, ..Odd::default() });
    assert!(world.connect().delete(&object).await.is_err());
    assert_eq!(world.server.clients()[0].members["grant_types"], json!([]));
    world.server.be(Odd::default());
    world.connect().delete(&object).await.unwrap();
    assert!(world.server.clients().is_empty());
}

#[tokio::test]
async fn what_remains_of_tokens_is_what_the_server_says_and_does() {
    let world = World::new();
    let object = world.client().await;
    world.connect().modify(&object, &scopes(&["tickets:read"])).await.unwrap();
    assert_eq!(world.connect().sweep(&object, None).await.unwrap(), Children::Unknown);
    let secret = world.issue(&object).await.unwrap().secret.unwrap();
    let revoked = world.probe(&object, &secret).await;
    assert!(matches!(revoked, Probe::Accepted { residual: None, .. }), "{revoked:?}");
    let swept = world.connect().sweep(&object, None).await.unwrap();
    let Children::Residual(Some(end)) = swept else { panic!("{swept:?}") };
    let off = end.duration_since(Timestamp::now()) - SignedDuration::from_secs(1234);
    assert!(off.abs() < SignedDuration::from_secs(60), "{off:#}");
    // It says yes to a revocation, and asked afterwards still calls the token active.
    world.server.be(Odd { revokes_nothing: true, ..Odd::default() });
    let kept = world.probe(&object, &secret).await;
    assert!(matches!(kept, Probe::Accepted { residual: Some(_), .. }), "{kept:?}");
}

#[tokio::test]
async fn an_issuer_with_a_path_is_found_and_named_as_it_names_itself() {
    let world =
        World::at("https://login.acme.example/realms/a/", "https://login.acme.example/realms/a");
    let object = world.client().await;
    let connector = world.connect();
    assert_eq!(connector.tenant().await.unwrap(), "https://login.acme.example/realms/a/");
    connector.modify(&object, &scopes(&["tickets:read"])).await.unwrap();
    let settings = Settings::default();
    let secret = connector.choose_secret(KEY, &settings, "m").unwrap();
    let request = IssueRequest {
        credential_type: KEY,
        profile: "add-ours",
        marker: "m",
        secret: Some(&secret),
        settings: &settings,
        expires_at: None,
    };
    connector.issue(&object, request).await.unwrap();
    // The server takes only assertions for just this issuer.
    let probed = connector.probe(&object, KEY, &secret).await.unwrap();
    assert!(matches!(probed, Probe::Accepted { .. }), "{probed:?}");
}
