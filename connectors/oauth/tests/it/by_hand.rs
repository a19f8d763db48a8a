//! Clients that were registered elsewhere, and those whose document was lost: a person writes down
//! what manages them.

use connector::{Change, Error, ObjectRef, Want, transport::Transport};
use domain::{Record, Secret};
use secrets::{Document, Expect, Sink};
use serde_json::{Value, json};

use crate::{
    KIND,
    others::{World, scopes},
    texts,
};

const FOLDER: &str = "nhi/keyring";

impl World {
    /// Registers a client as a person does it, and gives the server's answer.
    async fn registered(&self, members: Value) -> Value {
        let request = connector::transport::Request::change("POST", "reg".to_owned(), "reg");
        let answer = self.server.send(request.json(&members)).await.unwrap();
        serde_json::from_slice(&answer.body).unwrap()
    }

    /// Writes an answer where the error says.
    async fn write_down(&self, answer: &Value) -> String {
        let place = format!("{FOLDER}/client-{}", answer["client_id"].as_str().unwrap());
        let document = Document::from_json(answer.to_string().as_bytes()).unwrap();
        let version = self.keyring.look(&place).await.unwrap().map(|look| look.version.number);
        let expect = version.map_or(Expect::Nothing, Expect::Version);
        self.keyring.write(&place, &document, expect).await.unwrap();
        place
    }

    /// Those of clients: what only says which client a name was given to is none.
    async fn documents(&self) -> Vec<String> {
        let looks = self.keyring.look_all(FOLDER).await.unwrap();
        let kept = |look: &secrets::Look| look.mirror.get("phase").is_some_and(|of| of == "kept");
        let of_clients = looks.into_iter().filter(|(_, look)| !look.deleted && !kept(look));
        of_clients.map(|(name, _)| name).collect()
    }
}

fn object(answer: &Value) -> ObjectRef {
    let key = answer["client_id"].as_str().unwrap().to_owned();
    ObjectRef { kind: KIND.into(), name: key.clone(), key, vendor_id: None }
}

fn by_hand() -> Value {
    json!({
        "client_name": "made by hand",
        "token_endpoint_auth_method": "client_secret_basic",
        "grant_types": ["client_credentials"],
        "scope": "tickets:read",
    })
}

fn record() -> Change {
    let settings = domain::Settings::default().with("grant_types", texts(&["client_credentials"]));
    Change {
        settings: Some(settings),
        record: Some(Record { realm: Some("k3x9q2".into()), ..Record::default() }),
        enabled: Some(true),
        ..Change::default()
    }
}

fn next_of(error: &Error) -> String {
    match error {
        Error::Lost { next, .. } => next.clone(),
        Error::Keyring(secrets::SinkError::Unfit { next, .. }) => next.clone(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_client_that_was_registered_by_hand_is_taken_over_from_what_a_person_wrote_down() {
    let world = World::new();
    let answer = world.registered(by_hand()).await;
    let object = object(&answer);
    let error = world.connect().read(&object, Want::LEAN).await.unwrap_err();
    let place = format!("{FOLDER}/client-{}", object.key);
    let next = next_of(&error);
    for part in [&*place, "registration_access_token", "registration_client_uri", "ledger forget"] {
        assert!(next.contains(part), "{part}: {next}");
    }
    world.write_down(&answer).await;
    // A plan sees it whole and writes nothing.
    let found = world.connect().read(&object, Want::LEAN).await.unwrap().unwrap();
    assert_eq!((&*found.name, found.record, found.enabled), ("made by hand", None, true));
    assert_eq!(found.credentials.unwrap().len(), 1);
    let listed = world.connect().list(Want::PLAN).await.unwrap();
    assert_eq!(listed.integrations.len(), 1, "a scan shows it too");
    assert_eq!(world.documents().await, [format!("client-{}", object.key)]);
    // The first deed makes a document of ours of it, and no copy of the token stays.
    world.connect().modify(&object, &record()).await.unwrap();
    let [ours] = &world.documents().await[..] else { panic!("{:?}", world.documents().await) };
    assert!(ours.starts_with("oauth-"), "{ours}");
    assert!(world.keyring.kept_versions(&place).await.unwrap().is_empty());
    let client = &world.server.clients()[0];
    assert_eq!(client.members["grant_types"], json!(["client_credentials"]), "it works on");
    let found = world.connect().read(&object, Want::LEAN).await.unwrap().unwrap();
    assert_eq!(found.record.unwrap().realm.as_deref(), Some("k3x9q2"));
    world.connect().modify(&object, &scopes(&["tickets:write"])).await.unwrap();
    assert!(world.connect().read(&object, Want::DEED).await.unwrap().is_some());
}

#[tokio::test]
async fn a_client_without_a_limit_is_not_closed_by_being_taken_over() {
    let world = World::new();
    let mut members = by_hand();
    members.as_object_mut().unwrap().remove("scope");
    let answer = world.registered(members).await;
    let object = object(&answer);
    world.write_down(&answer).await;
    let open = || world.server.clients()[0].members["grant_types"] != json!([]);
    for _ in 0..2 {
        world.connect().modify(&object, &record()).await.unwrap();
        assert!(open(), "nobody asked for that");
    }
    world.connect().modify(&object, &scopes(&["tickets:read"])).await.unwrap();
    assert!(open());
    world.connect().modify(&object, &scopes(&[])).await.unwrap();
    assert!(!open(), "from the first scope on it is a client like the others");
}

#[tokio::test]
async fn what_is_written_down_wrong_is_named_and_nothing_is_lost() {
    let world = World::new();
    let answer = world.registered(by_hand()).await;
    let object = object(&answer);
    for (member, value, said) in [
        ("registration_access_token", json!("token-0"), "not accepted"),
        ("registration_access_token", Value::Null, "registration_access_token"),
        ("registration_client_uri", json!(""), "it has no registration_client_uri"),
        ("registration_client_uri", json!("https://elsewhere.example/reg/1"), "goes nowhere else"),
    ] {
        let mut wrong = answer.clone();
        wrong[member] = value.clone();
        if value.is_null() {
            wrong.as_object_mut().unwrap().remove(member);
        }
        let place = world.write_down(&wrong).await;
        world.server.sent();
        for error in [
            world.connect().read(&object, Want::LEAN).await.unwrap_err(),
            world.connect().modify(&object, &record()).await.unwrap_err(),
        ] {
            let told = format!("{error} {}", next_of(&error));
            assert!(told.contains(said) && told.contains(&place), "{member} = {value}: {told}");
            assert!(!told.contains("token-"), "{told}");
        }
        let sent = world.server.sent();
        assert!(!sent.iter().any(|one| one.starts_with("PUT")), "{sent:?}");
        assert_eq!(world.documents().await.len(), 1, "what was written stands");
    }
    // Of another client.
    let other = world.registered(by_hand()).await;
    let document = Document::from_json(other.to_string().as_bytes()).unwrap();
    let place = format!("{FOLDER}/client-{}", object.key);
    let number = world.keyring.look(&place).await.unwrap().unwrap().version.number;
    world.keyring.write(&place, &document, Expect::Version(number)).await.unwrap();
    let error = world.connect().read(&object, Want::LEAN).await.unwrap_err();
    assert!(error.to_string().contains("it is about client"), "{error}");
    world.write_down(&answer).await;
    assert!(world.connect().read(&object, Want::LEAN).await.unwrap().is_some(), "the way back");
}

#[tokio::test]
async fn a_client_whose_document_is_lost_is_managed_again_from_what_a_person_wrote_down() {
    let world = World::new();
    for wipe in [true, false] {
        let object = world.client().await;
        world.connect().modify(&object, &record()).await.unwrap();
        let ours = world.documents().await.remove(0);
        let place = format!("{FOLDER}/{ours}");
        let kept = world.keyring.read(&place).await.unwrap().unwrap().document.unwrap();
        match wipe {
            true => world.keyring.wipe(&place),
            false => world.keyring.delete(&place),
        }
        let error = world.connect().read(&object, Want::LEAN).await.unwrap_err();
        let next = next_of(&error);
        assert!(next.contains("backup") && !next.is_empty(), "{error}: {next}");
        let state: Value = serde_json::from_str(kept.get("state").unwrap().expose()).unwrap();
        let answer = json!({
            "client_id": object.key,
            "registration_client_uri": state["uri"],
            "registration_access_token": kept.get("registration_token").unwrap().expose(),
        });
        world.write_down(&answer).await;
        assert!(world.connect().read(&object, Want::LEAN).await.unwrap().is_some());
        world.connect().modify(&object, &record()).await.unwrap();
        assert_eq!(world.documents().await, [ours], "in its old place");
        world.connect().delete(&object).await.unwrap();
        world.keyring.wipe(&place);
    }
}

#[tokio::test]
async fn two_clients_of_one_name_are_both_taken_over() {
    let world = World::new();
    let mut objects = Vec::new();
    for _ in 0..2 {
        let answer = world.registered(by_hand()).await;
        world.write_down(&answer).await;
        objects.push(object(&answer));
    }
    for object in &objects {
        world.connect().modify(object, &record()).await.unwrap();
    }
    assert_eq!(world.documents().await.len(), 2);
    for object in &objects {
        let found = world.connect().read(object, Want::LEAN).await.unwrap().unwrap();
        assert_eq!((&found.key, found.record.is_some()), (&object.key, true));
    }
    let document = Document::default().with("client_id", Secret::new("x"));
    world.keyring.write("nhi/keyring/client-x", &document, Expect::Nothing).await.unwrap();
    let listed = world.connect().list(Want::PLAN).await.unwrap();
    assert_eq!(listed.integrations.len(), 2);
    assert!(listed.gaps.iter().any(|gap| gap.cause.contains("client-x")), "{:?}", listed.gaps);
}
