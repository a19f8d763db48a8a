//! The life of an integration, from parked to gone.

use std::collections::BTreeSet;

use connector::{
    Change, Children, Ended, IssueRequest, NewIntegration, ObjectRef, Platform, Probe, Refusal,
    Want,
};
use domain::{GrantedScope, OwnerRef, Record, Settings, settings::Setting};
use serde_json::json;

use crate::world::World;

const KIND: &str = "openbao_approle";
const TYPE: &str = "openbao_secret_id";
const MARKER: &str = "nhi1-k3x9q2-abcdefgh-g1-e1-mabcdefghijklm";

fn record() -> Record {
    Record {
        realm: Some("k3x9q2".into()),
        purpose: Some("Copies paid invoices to the ledger".into()),
        technical_owner: Some(OwnerRef { id: "owner/payments".into(), email: None }),
        ..Record::default()
    }
}

fn new(name: &str) -> NewIntegration {
    let settings = Settings::default().with("token_ttl", Setting::Text("1h".into()));
    NewIntegration { kind: KIND.into(), name: name.into(), settings, record: record() }
}

fn object(name: &str, vendor_id: Option<&str>) -> ObjectRef {
    ObjectRef {
        kind: KIND.into(),
        key: name.into(),
        vendor_id: vendor_id.map(str::to_owned),
        name: name.into(),
    }
}

fn scopes(texts: &[&str]) -> BTreeSet<GrantedScope> {
    let parse = |text: &&str| openbao::PLATFORM.parse_scope(KIND, text).unwrap();
    texts.iter().flat_map(parse).map(GrantedScope::standing).collect()
}

#[tokio::test]
async fn an_integration_lives_from_parked_to_gone() {
    let world = World::new().await;
    let bao = world.connector();
    let made = bao.create(&new("life")).await.unwrap();
    assert!(made.parked && made.enabled && made.scopes.is_empty(), "{made:?}");
    assert_eq!(made.record, Some(record()));
    let id = object("life", Some(&made.vendor_id));

    let again = bao.create(&new("life")).await.unwrap_err();
    assert_eq!(again.refusal(), Some(Refusal::Conflict), "{again}");

    let wanted = scopes(&["secret/data/invoices/*:read+list", "secret/metadata/invoices/*:list"]);
    let change = Change { scopes: Some(wanted.clone()), ..Change::default() };
    assert_eq!(bao.modify(&id, &change).await.unwrap().scopes, wanted);

    let secret = bao.choose_secret(TYPE, &Settings::default(), MARKER).unwrap();
    let settings = Settings::default();
    let request = || IssueRequest {
        credential_type: TYPE,
        profile: "add-ours",
        marker: MARKER,
        secret: Some(&secret),
        settings: &settings,
        expires_at: None,
    };
    let issued = bao.issue(&id, request()).await.unwrap();
    assert!(!issued.already_there && issued.secret.is_none());
    let repeated = bao.issue(&id, request()).await.unwrap();
    assert!(repeated.already_there && repeated.key_id == issued.key_id);
    let found = bao.find(&id, TYPE, &secret).await.unwrap().unwrap();
    assert_eq!(
        (found.key_id.as_str(), found.marker.as_deref()),
        (issued.key_id.as_str(), Some(MARKER))
    );

    let accepted = Probe::Accepted { residual: None, scopes: None };
    assert_eq!(bao.probe(&id, TYPE, &secret).await.unwrap(), accepted);

    // A token that the app keeps.
    let login = json!({"role_id": made.vendor_id, "secret_id": secret.expose()});
    let (status, body) = world.call("POST", "auth/approle/login", Some(login)).await;
    assert_eq!(status, 200);
    assert_eq!(body["auth"]["policies"], json!(["nhi/life"]));
    assert_eq!(bao.sweep(&id, Some("other")).await.unwrap(), Children::None);
    assert_eq!(bao.sweep(&id, Some(MARKER)).await.unwrap(), Children::Swept(1));

    let off = bao.modify(&id, &Change { enabled: Some(false), ..Change::default() }).await.unwrap();
    assert!(!off.enabled);
    assert!(matches!(bao.probe(&id, TYPE, &secret).await.unwrap(), Probe::Refused { .. }));
    bao.modify(&id, &Change { enabled: Some(true), ..Change::default() }).await.unwrap();
    assert_eq!(bao.probe(&id, TYPE, &secret).await.unwrap(), accepted);

    assert_eq!(bao.end(&id, &issued.key_id).await.unwrap(), Ended::Now);
    assert_eq!(bao.end(&id, &issued.key_id).await.unwrap(), Ended::AlreadyGone);
    let random = bao.random_like(TYPE, &secret).unwrap();
    let refused = bao.probe(&id, TYPE, &secret).await.unwrap();
    assert!(matches!(refused, Probe::Refused { .. }), "{refused:?}");
    assert_eq!(
        bao.probe(&id, TYPE, &random).await.unwrap(),
        refused,
        "a random one is refused alike"
    );

    assert_eq!(bao.delete(&id).await.unwrap(), Ended::Now);
    assert_eq!(bao.delete(&id).await.unwrap(), Ended::AlreadyGone);
    assert_eq!(bao.read(&id, Want::DEED).await.unwrap(), None);
    for path in ["sys/policies/acl/nhi/life", "identity/entity/name/nhi/life"] {
        assert_eq!(world.call("GET", path, None).await.0, 404, "{path}");
    }
}
