//! Servers that make another client secret: it takes the place of the one before, in the call that makes
//! it.

use connector::{Issued, Outcome};
use domain::Secret;

use super::*;

const SECRET: &str = "oauth_client_secret";
const KEEPS_TOKENS: (&str, &str) = ("OIDC_KEEPS_TOKENS", "1");

/// A server that makes another secret for what a mode says, on a connection that says so.
fn reissuing(mode: &'static str) -> Host {
    let settings = Settings::default().with("reissues", Setting::Flag(true));
    Host::start_with(&[("OIDC_REISSUES", mode), KEEPS_TOKENS], settings)
}

/// The mark of a generation, as whoever holds the slot in that epoch writes it.
fn marker(generation: u64, epoch: u64) -> String {
    format!("nhi1-k3x9q2-abcdefgh-g{generation}-e{epoch}-mabcdefghijklm")
}

async fn issue(
    connector: &Arc<dyn Connector>,
    object: &ObjectRef,
    profile: &'static str,
    marker: &str,
) -> connector::Result<Issued> {
    let settings = Settings::default();
    let request = IssueRequest {
        credential_type: SECRET,
        profile,
        marker,
        secret: None,
        settings: &settings,
        expires_at: None,
    };
    connector.issue(object, request).await
}

async fn works(connector: &Arc<dyn Connector>, object: &ObjectRef, secret: &Secret) -> bool {
    let probed = connector.probe(object, SECRET, secret).await.unwrap();
    matches!(probed, Probe::Accepted { .. })
}

async fn listed(connector: &Arc<dyn Connector>, object: &ObjectRef) -> Vec<String> {
    let listing = connector.credentials(object).await.unwrap();
    listing.credentials.into_iter().map(|one| one.key_id).collect()
}

#[tokio::test]
async fn it_does_as_every_connector_must_where_another_secret_replaces_the_one_before() {
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance-reissues.txt");
    let settings = Settings::default().with("reissues", Setting::Flag(true));
    let host = Host::start_with(&[("OIDC_REISSUES", "omitted")], settings);
    conformance::run(&host).await.hold(&committed);
}

#[tokio::test]
async fn another_secret_replaces_the_one_before_in_whichever_way_the_server_makes_it() {
    for mode in ["omitted", "method"] {
        let host = reissuing(mode);
        // The first was made before anybody said that the server makes others.
        let before = host.connect_with(&|one| one, Settings::default());
        let (_, object) = client(&host, "turns").await;
        give_a_scope(&before, &object).await;
        let first = issue(&before, &object, "first-only", "m").await.unwrap();
        let mut old = first.secret.unwrap();
        assert_eq!(first.key_id, "client_secret");
        for generation in [2, 3] {
            let connector = host.connect(&|one| one).await;
            let new = issue(&connector, &object, "replace-once", &marker(generation, 1)).await;
            let new = new.unwrap();
            assert!(!new.already_there, "{mode}");
            assert_eq!(new.key_id, format!("client_secret.{generation}"), "{mode}");
            assert_eq!(listed(&connector, &object).await, [new.key_id.as_str()], "{mode}");
            let secret = new.secret.unwrap();
            assert!(works(&connector, &object, &secret).await, "{mode}: the new one");
            assert!(!works(&connector, &object, &old).await, "{mode}: the one before");
            let found = connector.find(&object, SECRET, &secret).await.unwrap();
            assert_eq!(found.map(|one| one.key_id), Some(new.key_id.clone()), "{mode}");
            assert_eq!(
                connector.shown(&object, &new.key_id).await.unwrap().as_ref(),
                Some(&secret),
                "{mode}"
            );
            assert_eq!(connector.shown(&object, "client_secret").await.unwrap(), None, "{mode}");
            old = secret;
        }
        // What is ended never comes back, and its successor has another name.
        let connector = host.connect(&|one| one).await;
        connector.end(&object, "client_secret.3").await.unwrap();
        assert!(listed(&connector, &object).await.is_empty(), "{mode}");
        assert!(!works(&connector, &object, &old).await, "{mode}");
        let next = issue(&connector, &object, "replace-once", &marker(3, 9)).await.unwrap();
        assert_eq!(next.key_id, "client_secret.4", "{mode}");
        assert!(works(&connector, &object, &next.secret.unwrap()).await, "{mode}");
        assert!(!works(&connector, &object, &old).await, "{mode}");
    }
}

#[tokio::test]
async fn a_secret_whose_answer_was_lost_is_read_and_no_other_one_is_made() {
    for (mode, puts) in [("omitted", 1), ("method", 3)] {
        for (nth, request) in (1..=puts).flat_map(|nth| [(nth, false), (nth, true)]) {
            let how =
                format!("{mode}, change {nth}, {}", if request { "asked" } else { "answered" });
            let host = reissuing(mode);
            let (connector, object) = client(&host, "lost").await;
            give_a_scope(&connector, &object).await;
            let first = issue(&connector, &object, "replace-once", &marker(1, 1)).await.unwrap();
            let first = first.secret.unwrap();
            let lossy = host.loses(nth, request).await;
            let error = issue(&lossy, &object, "replace-once", &marker(2, 2)).await.unwrap_err();
            assert_eq!(error.outcome(), Outcome::Ambiguous, "{how}: {error}");
            // Whoever comes next holds the slot in another epoch.
            let connector = host.connect(&|one| one).await;
            let made = listed(&connector, &object).await == ["client_secret.2"];
            let shown = connector.shown(&object, "client_secret.2").await.unwrap();
            let second = issue(&connector, &object, "replace-once", &marker(2, 3)).await.unwrap();
            assert_eq!(second.key_id, "client_secret.2", "{how}");
            assert_eq!(second.already_there, made, "{how}");
            assert_eq!(made, nth == puts && !request, "{how}");
            let secret = second.secret.unwrap();
            assert!(!made || shown.as_ref() == Some(&secret), "{how}: the one that was made");
            assert!(works(&connector, &object, &secret).await, "{how}");
            assert!(!works(&connector, &object, &first).await, "{how}");
            let again = issue(&connector, &object, "replace-once", &marker(2, 4)).await.unwrap();
            assert!(again.already_there && again.secret.as_ref() == Some(&secret), "{how}");
        }
    }
}

#[tokio::test]
async fn a_server_that_makes_no_other_secret_whatever_the_connection_says_is_told_and_harms_nothing()
 {
    let host = Host::start_with(&[], Settings::default().with("reissues", Setting::Flag(true)));
    let (connector, object) = client(&host, "keeps").await;
    give_a_scope(&connector, &object).await;
    let first = issue(&connector, &object, "replace-once", &marker(1, 1)).await.unwrap();
    let secret = first.secret.unwrap();
    let refused = issue(&connector, &object, "replace-once", &marker(2, 2)).await.unwrap_err();
    assert_eq!(refused.outcome(), Outcome::Refused, "{refused}");
    let said = refused.to_string();
    for part in ["connections.login.oauth.reissues", "works on", "oauth_private_key"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let connector = host.connect(&|one| one).await;
    assert_eq!(listed(&connector, &object).await, [first.key_id.as_str()]);
    assert!(works(&connector, &object, &secret).await);
    // What was ended there is not given out again.
    connector.end(&object, &first.key_id).await.unwrap();
    let error = issue(&connector, &object, "replace-once", &marker(2, 3)).await.unwrap_err();
    assert!(matches!(error, Error::GivenAgain { .. }), "{error}");
    assert!(!works(&connector, &object, &secret).await);
}
