//! A client's document is named by its id, and what earlier versions named by its name is read and moves.

use secrets::{Fault, MemorySink};

use super::*;

const TENANT: &str = "https://id.acme.example";
const FOLDER: &str = "nhi/keyring";

fn keyring() -> (Arc<MemorySink>, Keyring) {
    let sink = Arc::new(MemorySink::new());
    (sink.clone(), Keyring::new(sink, FOLDER))
}

fn settled(name: &str, client_id: &str, token: &str) -> Entry {
    Entry {
        phase: Phase::Settled,
        client_id: client_id.to_owned(),
        token: Secret::new(token),
        ..Entry::new(name, BTreeSet::new(), Record::default())
    }
}

/// Writes a document as the versions before did: at the place of its name, with what they wrote beside it.
async fn as_before(sink: &MemorySink, keyring: &Keyring, entry: &Entry) -> String {
    let path = keyring.path(TENANT, &entry.name);
    sink.write(&path, &entry.document(), Expect::Nothing).await.unwrap();
    let mirror = Mirror::from([
        ("client".to_owned(), entry.client_id.clone()),
        ("phase".to_owned(), entry.phase.as_str().to_owned()),
    ]);
    sink.write_mirror(&path, &mirror).await.unwrap();
    path
}

async fn token_at(sink: &MemorySink, path: &str) -> Option<String> {
    let document = sink.read(path).await.unwrap()?.document?;
    Some(document.get("registration_token")?.expose().to_owned())
}

#[tokio::test]
async fn what_an_earlier_version_wrote_is_read_where_it_is_and_moves_with_the_first_write() {
    let (sink, keyring) = keyring();
    let old = as_before(&sink, &keyring, &settled("x", "c1", "first")).await;
    // Whatever the caller calls it.
    for name in ["x", "c1", "another name"] {
        let found = keyring.read(TENANT, "c1", name).await.unwrap().unwrap();
        assert_eq!(
            (found.token.expose(), found.place.as_deref()),
            ("first", Some(&*old)),
            "{name}"
        );
    }
    let mut entry = keyring.read(TENANT, "c1", "x").await.unwrap().unwrap();
    entry.token = Secret::new("second");
    keyring.write(TENANT, &mut entry).await.unwrap();
    let own = keyring.path_of(TENANT, "c1");
    assert_eq!(token_at(&sink, &own).await.as_deref(), Some("second"));
    assert_eq!(token_at(&sink, &old).await.as_deref(), Some(""), "no copy of it stays");
    for name in ["x", "c1", "another name"] {
        let found = keyring.read(TENANT, "c1", name).await.unwrap().unwrap();
        assert_eq!(found.token.expose(), "second", "{name}");
    }
    let (all, broken) = keyring.all(TENANT).await.unwrap();
    assert_eq!((all.len(), broken.len()), (1, 0), "it is one client");
    // The next write goes where it is by now.
    keyring.write(TENANT, &mut entry).await.unwrap();
    assert_eq!(entry.version, 2);
    let named = keyring.named(TENANT, "x").await.unwrap().unwrap();
    assert_eq!((named.phase, &*named.client_id), (Phase::Kept, "c1"));
    let about = keyring.about(TENANT, named).await.unwrap().unwrap();
    assert_eq!(about.token.expose(), "second");
}

#[tokio::test]
async fn a_run_that_dies_while_a_document_moves_leaves_one_client_with_its_newest_token() {
    // The folder, the document, and its mirror; then the name's document, and its mirror.
    for lost in 0..5 {
        let (sink, keyring) = keyring();
        as_before(&sink, &keyring, &settled("x", "c1", "first")).await;
        let mut entry = keyring.read(TENANT, "c1", "x").await.unwrap().unwrap();
        entry.token = Secret::new("second");
        sink.fail((0..lost).map(|_| Fault::None).chain([Fault::RequestLost]));
        let _ = keyring.write(TENANT, &mut entry).await;
        let found = keyring.read(TENANT, "c1", "x").await.unwrap().unwrap();
        let expected = if lost < 2 { "first" } else { "second" };
        assert_eq!(found.token.expose(), expected, "after {lost} writes");
        let (all, _) = keyring.all(TENANT).await.unwrap();
        let tokens: Vec<&str> = all.iter().map(|one| one.token.expose()).collect();
        assert_eq!(tokens, [expected], "after {lost} writes");
        // And whoever comes next goes on from there.
        let mut next = found;
        keyring.write(TENANT, &mut next).await.unwrap();
        let named = keyring.named(TENANT, "x").await.unwrap().unwrap();
        let about = keyring.about(TENANT, named).await.unwrap().unwrap();
        assert_eq!(about.token.expose(), expected, "after {lost} writes, and one more");
    }
}

#[tokio::test]
async fn two_clients_of_one_name_have_a_document_each() {
    let (sink, keyring) = keyring();
    // Two processes register under one name at once: both begin at its document, and each keeps its own.
    let mut first = Entry::new("x", BTreeSet::new(), Record::default());
    keyring.write(TENANT, &mut first).await.unwrap();
    let named = keyring.named(TENANT, "x").await.unwrap().unwrap();
    assert!(
        keyring
            .about(TENANT, keyring.named(TENANT, "x").await.unwrap().unwrap())
            .await
            .unwrap()
            .is_none()
    );
    let mut second = Entry::new("x", BTreeSet::new(), Record::default()).over(&named);
    keyring.write(TENANT, &mut second).await.unwrap();
    for (entry, id) in [(&mut first, "c1"), (&mut second, "c2")] {
        entry.client_id = id.to_owned();
        entry.token = Secret::new(format!("token of {id}"));
        entry.phase = Phase::Settled;
        keyring.keep(TENANT, entry).await.unwrap();
    }
    for id in ["c1", "c2"] {
        let found = keyring.read(TENANT, id, "x").await.unwrap().unwrap();
        assert_eq!(found.token.expose(), format!("token of {id}"));
    }
    assert_eq!(keyring.all(TENANT).await.unwrap().0.len(), 2);
    let named = keyring.named(TENANT, "x").await.unwrap().unwrap();
    assert_eq!(named.phase, Phase::Kept);
    // One that a person writes down beside them is a third, and takes nothing from either.
    let answer = Document::default()
        .with("client_id", Secret::new("c3"))
        .with("registration_client_uri", Secret::new(format!("{TENANT}/reg/c3")))
        .with("registration_access_token", Secret::new("token of c3"));
    sink.write(&keyring.by_hand_path("c3"), &answer, Expect::Nothing).await.unwrap();
    let mut third = keyring.by_hand(TENANT, "c3").await.unwrap().unwrap();
    third.learn(Some("x"), BTreeSet::new(), true);
    keyring.write(TENANT, &mut third).await.unwrap();
    for id in ["c1", "c2", "c3"] {
        let found = keyring.read(TENANT, id, "x").await.unwrap().unwrap();
        assert_eq!((found.token.expose(), &*found.name), (&*format!("token of {id}"), "x"));
    }
}

#[tokio::test]
async fn a_client_that_only_its_own_document_knows_is_found_by_its_name() {
    let (sink, keyring) = keyring();
    let begun = Record { unfinished: true, realm: Some("r".into()), ..Record::default() };
    let mut entry = Entry::new("x", BTreeSet::new(), begun);
    keyring.write(TENANT, &mut entry).await.unwrap();
    entry.client_id = "c1".into();
    entry.phase = Phase::Settled;
    // Its own document is written, and the run dies before the name's is.
    sink.fail([Fault::None, Fault::None, Fault::None, Fault::RequestLost]);
    let _ = keyring.write(TENANT, &mut entry).await;
    let named = keyring.named(TENANT, "x").await.unwrap().unwrap();
    assert_eq!(named.phase, Phase::Creating);
    let about = keyring.about(TENANT, named).await.unwrap().unwrap();
    assert_eq!(&*about.client_id, "c1");
    assert!(about.is_unfinished(Some("r")) && !about.is_unfinished(Some("s")));
}
