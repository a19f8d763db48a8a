//! What the suite does not ask: marks, keys that sleep with their user, hands in the console, and how
//! much is asked.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, Mutex},
};

use acceptance_tests::servers::Moto;
use async_trait::async_trait;
use connector::{
    Change, Connector, Ended, Freshness, IssueRequest, NewIntegration, ObjectRef, Platform, Probe,
    Refusal, Want,
    transport::{Answer, Request, Transport, TransportError},
};
use domain::{
    Direction, GrantedScope, LastUsed, Record, Scope, Secret, Settings, settings::Setting,
};
use serde_json::{Value, json};

use crate::account::{KEY, KIND, connect, connect_to, http, object};

/// Counts what is sent, by template, and answers in the server's place where told to.
struct Counted {
    inner: Arc<dyn Transport>,
    seen: Arc<Mutex<BTreeMap<&'static str, u32>>>,
    instead: fn(&Request) -> Option<String>,
}

impl fmt::Debug for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Counted")
    }
}

#[async_trait]
impl Transport for Counted {
    async fn send(&self, request: Request) -> Result<Answer, TransportError> {
        *self.seen.lock().unwrap().entry(request.template).or_default() += 1;
        match (self.instead)(&request) {
            Some(body) => Ok(Answer::new(200, Vec::new(), body.into_bytes())),
            None => self.inner.send(request).await,
        }
    }
}

type Seen = Arc<Mutex<BTreeMap<&'static str, u32>>>;

fn counted(moto: &Moto, instead: fn(&Request) -> Option<String>) -> (Arc<dyn Connector>, Seen) {
    let (address, seen) = (moto.address(), Seen::default());
    let inner = http(&address);
    let transport = Arc::new(Counted { inner, seen: seen.clone(), instead });
    let key = (moto.id.as_str(), moto.secret.as_str());
    (connect(&address, key, Settings::default(), transport), seen)
}

fn record() -> Record {
    Record { realm: Some("k3x9q2".into()), ..Record::default() }
}

async fn made(connector: &Arc<dyn Connector>, name: &str) -> ObjectRef {
    let new = NewIntegration {
        kind: KIND.into(),
        name: name.into(),
        settings: Settings::default().with("path", Setting::Text("/".into())),
        record: record(),
    };
    let made = connector.create(&new).await.unwrap();
    object(name, Some(&made.vendor_id))
}

async fn issued(connector: &Arc<dyn Connector>, object: &ObjectRef) -> (String, Secret) {
    let settings = Settings::default();
    let request = IssueRequest {
        credential_type: KEY,
        profile: "add-unmarked",
        marker: "nhi1-x",
        secret: None,
        settings: &settings,
        expires_at: None,
    };
    let issued = connector.issue(object, request).await.unwrap();
    (issued.key_id, issued.secret.unwrap())
}

fn scopes(all: &[&str]) -> BTreeSet<GrantedScope> {
    all.iter().map(|one| GrantedScope::standing(Scope::canonical(*one))).collect()
}

async fn give(connector: &Arc<dyn Connector>, object: &ObjectRef, all: &[&str]) {
    let change = Change { scopes: Some(scopes(all)), ..Change::default() };
    connector.modify(object, &change).await.unwrap();
}

async fn switch(connector: &Arc<dyn Connector>, object: &ObjectRef, enabled: bool) {
    let change = Change { enabled: Some(enabled), ..Change::default() };
    assert_eq!(connector.modify(object, &change).await.unwrap().enabled, enabled);
}

/// The codes with which AWS's own client is refused, with a key as it stands in our books.
fn s3(moto: &Moto, key: &Secret) -> Result<Value, String> {
    let key = key.expose().split_once(':').unwrap();
    moto.ask_as(key, "s3", "list_buckets", json!({})).unwrap()
}

#[tokio::test]
async fn a_user_that_is_off_does_nothing_and_has_exactly_its_keys_back_when_it_is_on() {
    let moto = Moto::start().unwrap();
    let connector = connect_to(&moto);
    let object = made(&connector, "switched").await;
    give(&connector, &object, &["s3:ListAllMyBuckets@*"]).await;
    let (on_id, on) = issued(&connector, &object).await;
    let (off_id, off) = issued(&connector, &object).await;
    assert!(s3(&moto, &on).is_ok());
    // Somebody made one of the two inactive before; that is none of our switch's business.
    let with = json!({ "UserName": "switched", "AccessKeyId": off_id, "Status": "Inactive" });
    moto.iam("update_access_key", with).unwrap();
    switch(&connector, &object, false).await;
    assert!(s3(&moto, &on).is_err() && s3(&moto, &off).is_err());
    let live = async |connector: &Arc<dyn Connector>| -> BTreeMap<String, bool> {
        let keys = connector.credentials(&object).await.unwrap().credentials;
        keys.into_iter().map(|one| (one.key_id, one.live)).collect()
    };
    let expected = BTreeMap::from([(on_id, true), (off_id, false)]);
    assert_eq!(live(&connect_to(&moto)).await, expected, "it sleeps with its user");
    // A key that somebody makes while it is off does nothing either, and sleeps from the next time on.
    switch(&connector, &object, true).await;
    assert_eq!(live(&connect_to(&moto)).await, expected);
    assert!(s3(&moto, &on).is_ok() && s3(&moto, &off).is_err());
    let policies = moto.iam("list_user_policies", json!({ "UserName": "switched" })).unwrap();
    assert_eq!(policies["PolicyNames"], json!(["nhi"]));
}

#[tokio::test]
async fn what_people_write_in_the_console_is_told_and_goes_without_what_is_wanted() {
    let moto = Moto::start().unwrap();
    let connector = connect_to(&moto);
    let object = made(&connector, "console").await;
    give(&connector, &object, &["s3:ListAllMyBuckets@*"]).await;
    let policy = json!({ "Version": "2012-10-17", "Statement": [
        { "Sid": "a", "Effect": "Allow", "Action": ["sqs:*"], "Resource": "*" },
        { "Effect": "Deny", "Action": "s3:*", "Resource": "*",
          "Condition": { "Bool": { "aws:SecureTransport": "false" } } },
    ] });
    let with = json!({ "UserName": "console", "PolicyName": "by.hand",
        "PolicyDocument": policy.to_string() });
    moto.iam("put_user_policy", with).unwrap();
    moto.iam("create_group", json!({ "GroupName": "ops" })).unwrap();
    moto.iam("add_user_to_group", json!({ "GroupName": "ops", "UserName": "console" })).unwrap();
    let held = connect_to(&moto).read(&object, Want::DEED).await.unwrap().unwrap().scopes;
    let texts: Vec<&str> = held.iter().map(|one| one.scope.as_str()).collect();
    let [group, rule, s3, sqs] = texts[..] else { panic!("{texts:?}") };
    assert_eq!((group, s3, sqs), ("group/ops", "s3:ListAllMyBuckets@*", "sqs:*@*"));
    assert!(rule.starts_with("rule/by.hand#"), "{rule}");
    // The denial stays because it is declared; the rest of that policy and the group go.
    give(&connector, &object, &[s3, rule]).await;
    let left =
        moto.iam("get_user_policy", json!({ "UserName": "console", "PolicyName": "by.hand" }));
    let left = left.unwrap()["PolicyDocument"]["Statement"].clone();
    assert_eq!(left, json!([policy["Statement"][1]]));
    let of = |all: &[&str]| all.iter().map(|one| Scope::canonical(*one)).collect::<BTreeSet<_>>();
    let way = aws_iam::PLATFORM.direction(KIND, &of(&[s3, rule]), &of(&[s3]));
    assert_eq!(way, Direction::Unknown, "whoever takes a denial away may give");
    give(&connector, &object, &[]).await;
    let with = json!({ "UserName": "console" });
    assert_eq!(moto.iam("list_user_policies", with.clone()).unwrap()["PolicyNames"], json!([]));
    assert_eq!(moto.iam("list_groups_for_user", with).unwrap()["Groups"], json!([]));
}

#[tokio::test]
async fn a_plan_asks_for_the_pages_of_the_account_and_once_for_the_keys_of_each_user() {
    let moto = Moto::with_pages_of(4).unwrap();
    let connector = connect_to(&moto);
    let mut objects = Vec::new();
    for at in 0..9 {
        let object = made(&connector, &format!("u{at}")).await;
        give(&connector, &object, &["s3:ListAllMyBuckets@*", "sqs:SendMessage@*"]).await;
        issued(&connector, &object).await;
        objects.push(object);
    }
    let (connector, seen) = counted(&moto, |_| None);
    let reads = objects.iter().map(|object| connector.read(object, Want::LEAN));
    for read in futures::future::join_all(reads).await {
        let read = read.unwrap().unwrap();
        assert_eq!((read.scopes.len(), read.credentials.unwrap().len()), (2, 1));
    }
    let seen = seen.lock().unwrap().clone();
    // Nine users and the administrator, four on a page.
    let expected =
        BTreeMap::from([("iam:GetAccountAuthorizationDetails", 3), ("iam:ListAccessKeys", 9)]);
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn a_key_that_left_with_a_renamed_user_is_not_taken_for_gone() {
    let moto = Moto::start().unwrap();
    let connector = connect_to(&moto);
    let object = made(&connector, "before").await;
    let (key_id, _) = issued(&connector, &object).await;
    // As moto has it, a renamed user is found under neither name; AWS tells whose the key is.
    let (renamed, _) = counted(&moto, |request| {
        (request.template == "iam:GetAccessKeyLastUsed").then(|| {
            "<GetAccessKeyLastUsedResponse><GetAccessKeyLastUsedResult><UserName>after</UserName>\
             <AccessKeyLastUsed><Region>N/A</Region></AccessKeyLastUsed></GetAccessKeyLastUsedResult>\
             </GetAccessKeyLastUsedResponse>"
                .to_owned()
        })
    });
    moto.iam("delete_access_key", json!({ "UserName": "before", "AccessKeyId": key_id })).unwrap();
    let error = renamed.end(&object, &key_id).await.unwrap_err();
    assert_eq!(error.refusal(), Some(Refusal::Conflict));
    assert!(error.to_string().contains("after"), "{error}");
    assert_eq!(connector.end(&object, &key_id).await.unwrap(), Ended::AlreadyGone);
}

#[tokio::test]
async fn a_third_key_is_refused_and_the_two_are_as_they_were() {
    let moto = Moto::start().unwrap();
    let connector = connect_to(&moto);
    let object = made(&connector, "full").await;
    let (one, secret) = issued(&connector, &object).await;
    let (two, _) = issued(&connector, &object).await;
    let settings = Settings::default();
    let request = IssueRequest {
        credential_type: KEY,
        profile: "add-unmarked",
        marker: "nhi1-x",
        secret: None,
        settings: &settings,
        expires_at: None,
    };
    let error = connector.issue(&object, request).await.unwrap_err();
    assert_eq!(error.refusal(), Some(Refusal::Conflict));
    assert!(error.to_string().contains("limit"), "{error}");
    let there = connector.credentials(&object).await.unwrap().credentials;
    let ids: BTreeSet<String> = there.iter().map(|key| key.key_id.clone()).collect();
    assert_eq!(ids, BTreeSet::from([one.clone(), two]));
    assert!(there.iter().all(|key| key.last_used == LastUsed::Unknown), "never is not a time");
    // A use is told of the key that was used, and of no other.
    assert!(matches!(connector.probe(&object, KEY, &secret).await, Ok(Probe::Accepted { .. })));
    let used = connector.credentials(&object).await.unwrap().credentials;
    let used = used.iter().filter(|key| key.last_used != LastUsed::Unknown);
    assert_eq!(used.map(|key| key.key_id.clone()).collect::<Vec<_>>(), [one]);
}

#[tokio::test]
async fn a_mark_is_a_tag_of_the_user_and_goes_with_its_key() {
    let moto = Moto::start().unwrap();
    let connector = connect_to(&moto);
    let object = made(&connector, "marked").await;
    let (key_id, _) = issued(&connector, &object).await;
    let marker = "nhi1-k3x9q2-abcdefgh-g7-e1-mabcdefghijklm";
    for _ in 0..2 {
        connector.mark(&object, &key_id, marker).await.unwrap();
    }
    let tags = || {
        let tags = moto.iam("list_user_tags", json!({ "UserName": "marked" })).unwrap();
        let all = tags["Tags"].as_array().unwrap().clone();
        all.iter().map(|tag| (tag["Key"].clone(), tag["Value"].clone())).collect::<Vec<_>>()
    };
    assert!(tags().contains(&(json!(key_id), json!(marker))), "where the console shows it");
    let keys = connect_to(&moto).credentials(&object).await.unwrap().credentials;
    assert_eq!(keys[0].marker.as_deref(), Some(marker));
    assert_eq!(connector.end(&object, &key_id).await.unwrap(), Ended::Now);
    assert!(tags().iter().all(|(name, _)| *name != json!(key_id)));
    let left = connect_to(&moto).read(&object, Want::DEED).await.unwrap().unwrap();
    assert_eq!(left.record, Some(record()), "and the record stays");
}

#[tokio::test]
async fn the_mark_of_a_key_that_somebody_ended_goes_with_the_next_mark_or_the_end_of_its_key() {
    let moto = Moto::start().unwrap();
    let connector = connect_to(&moto);
    let object = made(&connector, "cleared").await;
    let marker = |epoch: u32| format!("nhi1-k3x9q2-abcdefgh-g7-e{epoch}-mabcdefghijklm");
    let tag = |name: &str, value: &str| {
        let tag = json!({ "UserName": "cleared", "Tags": [{ "Key": name, "Value": value }] });
        moto.iam("tag_user", tag).unwrap();
    };
    let tags = || {
        let tags = moto.iam("list_user_tags", json!({ "UserName": "cleared" })).unwrap();
        let all = tags["Tags"].as_array().unwrap().clone();
        let names = all.iter().map(|tag| tag["Key"].as_str().unwrap().to_owned());
        names.filter(|name| !name.starts_with("nhi:")).collect::<BTreeSet<_>>()
    };
    let by_hand = |key_id: &str| {
        let key = json!({ "UserName": "cleared", "AccessKeyId": key_id });
        moto.iam("delete_access_key", key).unwrap();
    };
    tag("team", "payments");
    tag("AKIAIOSFODNN7EXAMPLE", "the key of the old batch job");
    let (one, _) = issued(&connector, &object).await;
    connector.mark(&object, &one, &marker(1)).await.unwrap();
    let (two, _) = issued(&connector, &object).await;
    connector.mark(&object, &two, &marker(2)).await.unwrap();
    let others = ["team", "AKIAIOSFODNN7EXAMPLE"];
    let with = |keys: &[&String]| {
        let keys = keys.iter().map(|key| (*key).clone());
        others.iter().map(|one| (*one).to_owned()).chain(keys).collect::<BTreeSet<_>>()
    };
    assert_eq!(tags(), with(&[&one, &two]), "of what lives no mark goes");
    by_hand(&one);
    let (three, _) = issued(&connector, &object).await;
    connector.mark(&object, &three, &marker(3)).await.unwrap();
    assert_eq!(tags(), with(&[&two, &three]), "and nobody else's tag does");
    by_hand(&two);
    assert_eq!(connector.end(&object, &two).await.unwrap(), Ended::AlreadyGone);
    assert_eq!(tags(), with(&[&three]));
}

/// The statements of the README's permissions.
fn permissions() -> Vec<Value> {
    let text = include_str!("../../README.md");
    let (_, rest) = text.split_once("```json\n").unwrap();
    let policy: Value = serde_json::from_str(rest.split_once("```").unwrap().0).unwrap();
    policy["Statement"].as_array().unwrap().clone()
}

/// A connection as somebody who may do no more than these statements say.
fn connect_with(moto: &Moto, name: &str, statements: &[Value]) -> Arc<dyn Connector> {
    let policy = json!({ "Version": "2012-10-17", "Statement": statements }).to_string();
    moto.iam("create_user", json!({ "UserName": name })).unwrap();
    let with = json!({ "UserName": name, "PolicyName": "hands", "PolicyDocument": policy });
    moto.iam("put_user_policy", with).unwrap();
    let made = moto.iam("create_access_key", json!({ "UserName": name })).unwrap();
    let word = |name: &str| made["AccessKey"][name].as_str().unwrap().to_owned();
    let (id, secret) = (word("AccessKeyId"), word("SecretAccessKey"));
    let address = moto.address();
    connect(&address, (&id, &secret), Settings::default(), http(&address))
}

#[tokio::test]
async fn the_permissions_that_the_readme_lists_are_enough_for_every_deed_and_the_first_for_a_plan()
{
    let moto = Moto::start().unwrap();
    let statements = permissions();
    let hands = connect_with(&moto, "hands", &statements);
    let eyes = connect_with(&moto, "eyes", &statements[..1]);
    moto.iam("create_group", json!({ "GroupName": "ops" })).unwrap();
    let object = made(&hands, "all-deeds").await;
    let path = Settings::default().with("path", Setting::Text("/moved/".into()));
    let longer = Record { purpose: Some("x".repeat(900)), ..record() };
    for record in [longer, record()] {
        let change =
            Change { settings: Some(path.clone()), record: Some(record), ..Change::default() };
        hands.modify(&object, &change).await.unwrap();
    }
    let all = ["s3:*@*", "policy/arn:aws:iam::aws:policy/ReadOnlyAccess", "group/ops"];
    give(&hands, &object, &all).await;
    let (key_id, secret) = issued(&hands, &object).await;
    hands.mark(&object, &key_id, "nhi1-x").await.unwrap();
    let seen = eyes.read(&object, Want::PLAN).await.unwrap().unwrap();
    assert_eq!((seen.scopes, seen.gaps), (scopes(&all), Vec::new()));
    assert!(eyes.list(Want::DEED).await.unwrap().is_complete());
    assert!(eyes.read(&object, Want::DEED).await.unwrap().unwrap().gaps.is_empty());
    let error = eyes.end(&object, &key_id).await.unwrap_err();
    assert_eq!(error.refusal(), Some(Refusal::Forbidden));
    switch(&hands, &object, false).await;
    switch(&hands, &object, true).await;
    assert!(matches!(hands.probe(&object, KEY, &secret).await, Ok(Probe::Accepted { .. })));
    assert_eq!(hands.end(&object, &key_id).await.unwrap(), Ended::Now);
    issued(&hands, &object).await;
    assert_eq!(hands.delete(&object).await.unwrap(), Ended::Now);
}

/// Deletes the inline policy just before somebody else does.
struct Raced {
    inner: Arc<dyn Transport>,
    moto: Moto,
}

impl fmt::Debug for Raced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Raced")
    }
}

#[async_trait]
impl Transport for Raced {
    async fn send(&self, request: Request) -> Result<Answer, TransportError> {
        if request.template == "iam:DeleteUserPolicy" {
            let with = json!({ "UserName": "raced", "PolicyName": "nhi" });
            self.moto.iam("delete_user_policy", with).unwrap();
        }
        self.inner.send(request).await
    }
}

#[tokio::test]
async fn what_somebody_else_took_away_meanwhile_does_not_stop_a_deletion() {
    let moto = Moto::start().unwrap();
    let connector = connect_to(&moto);
    let object = made(&connector, "raced").await;
    give(&connector, &object, &["s3:*@*", "policy/arn:aws:iam::aws:policy/ReadOnlyAccess"]).await;
    issued(&connector, &object).await;
    // A key was ended by then, so that a refusal would be told as an open outcome.
    let address = moto.address();
    let racing = Arc::new(Raced { inner: http(&address), moto });
    let key = (racing.moto.id.as_str(), racing.moto.secret.as_str());
    let raced = connect(&address, key, Settings::default(), racing.clone());
    assert_eq!(raced.delete(&object).await.unwrap(), Ended::Now);
    let users = racing.moto.iam("list_users", json!({})).unwrap();
    assert_eq!(users["Users"].as_array().unwrap().len(), 1, "the administrator");
}

#[tokio::test]
async fn a_key_of_another_user_proves_nothing() {
    let moto = Moto::start().unwrap();
    let connector = connect_to(&moto);
    let (one, two) = (made(&connector, "one").await, made(&connector, "two").await);
    let (_, secret) = issued(&connector, &one).await;
    assert!(matches!(connector.probe(&one, KEY, &secret).await, Ok(Probe::Accepted { .. })));
    assert!(connector.probe(&two, KEY, &secret).await.is_err());
}

#[tokio::test]
async fn a_pinned_account_is_checked_before_anything_is_changed() {
    let moto = Moto::start().unwrap();
    let address = moto.address();
    let settings = Settings::default().with("tenant", Setting::Text("999999999999".into()));
    let key = (moto.id.as_str(), moto.secret.as_str());
    let elsewhere = connect(&address, key, settings, http(&address));
    let error = elsewhere.delete(&object("administrator", None)).await.unwrap_err();
    assert!(matches!(error, connector::Error::Tenant { .. }), "{error}");
    assert!(moto.iam("get_user", json!({ "UserName": "administrator" })).is_ok());
}

#[tokio::test]
async fn a_boundary_is_read_and_one_that_is_not_wanted_is_taken_off() {
    // moto has none for users: AWS's answer, as its documentation shows it, and what is sent then.
    const USER: &str = "<GetUserResponse><GetUserResult><User><Path>/</Path>\
        <UserName>bound</UserName><UserId>AIDABOUND</UserId><PermissionsBoundary>\
        <PermissionsBoundaryType>Policy</PermissionsBoundaryType><PermissionsBoundaryArn>\
        arn:aws:iam::123456789012:policy/edge</PermissionsBoundaryArn></PermissionsBoundary></User>\
        </GetUserResult></GetUserResponse>";
    let moto = Moto::start().unwrap();
    moto.iam("create_user", json!({ "UserName": "bound" })).unwrap();
    let (connector, seen) = counted(&moto, |request| match request.template {
        "iam:GetUser" => Some(USER.to_owned()),
        "iam:DeleteUserPermissionsBoundary" | "iam:PutUserPermissionsBoundary" => {
            Some("<R><ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></R>".to_owned())
        }
        _ => None,
    });
    let bound = object("bound", Some("AIDABOUND"));
    let want = Want { credentials: false, details: false, freshness: Freshness::Fresh };
    let seen_as = connector.read(&bound, want).await.unwrap().unwrap();
    let arn = "arn:aws:iam::123456789012:policy/edge";
    assert_eq!(seen_as.settings.text("permissions_boundary"), Some(arn));
    let path = Settings::default().with("path", Setting::Text("/".into()));
    let same = path.clone().with("permissions_boundary", Setting::Text(arn.into()));
    let change = |settings| Change { settings: Some(settings), ..Change::default() };
    connector.modify(&bound, &change(same)).await.unwrap();
    let sent = |name: &str| seen.lock().unwrap().get(name).copied().unwrap_or(0);
    assert_eq!(
        sent("iam:PutUserPermissionsBoundary") + sent("iam:DeleteUserPermissionsBoundary"),
        0
    );
    // The scripted answer goes on having it, and that is told as what it is.
    let error = connector.modify(&bound, &change(path)).await.unwrap_err();
    assert!(error.to_string().contains("does not show it: permissions_boundary"), "{error}");
    assert_eq!(sent("iam:DeleteUserPermissionsBoundary"), 1);
}

#[tokio::test]
async fn a_refusal_of_our_own_key_says_what_may_be_wrong_with_it() {
    let moto = Moto::start().unwrap();
    let address = moto.address();
    for (key, said) in [
        (("AKIAUNKNOWNUNKNOWN12", moto.secret.as_str()), "there and active"),
        ((moto.id.as_str(), "wrong"), "clock"),
    ] {
        let connector = connect(&address, key, Settings::default(), http(&address));
        let error = connector.tenant().await.unwrap_err();
        assert_eq!(error.refusal(), Some(Refusal::Unauthorized));
        assert!(error.to_string().contains(said) && !error.to_string().contains(key.1), "{error}");
    }
}

#[tokio::test]
async fn the_key_that_a_connection_signs_in_with_is_known_at_no_request_more() {
    let moto = Moto::start().unwrap();
    moto.iam("create_user", json!({ "UserName": "ops", "Path": "/team/" })).unwrap();
    let made = moto.iam("create_access_key", json!({ "UserName": "ops" })).unwrap();
    let part = |name: &str| made["AccessKey"][name].as_str().unwrap().to_owned();
    let (id, secret) = (part("AccessKeyId"), part("SecretAccessKey"));
    let (address, seen) = (moto.address(), Seen::default());
    let inner = http(&address);
    let transport = Arc::new(Counted { inner, seen: seen.clone(), instead: |_| None });
    let aws = connect(&address, (&id, &secret), Settings::default(), transport);
    aws.tenant().await.unwrap();
    for _ in 0..2 {
        let found = aws.ourselves().await.unwrap().unwrap();
        assert_eq!((found.kind.as_str(), found.key.as_str()), (KIND, "ops"));
        assert_eq!(found.key_id.as_ref(), Some(&id));
    }
    assert_eq!(*seen.lock().unwrap(), BTreeMap::from([("sts:GetCallerIdentity", 1)]));
}
