//! Secrets Manager as a sink, on moto.

use std::{collections::BTreeMap, sync::Arc};

use acceptance_tests::servers::{Moto, moto::SECRETS_REGION};
use connector::{
    Platform, Setup, SystemClock,
    fault_proxy::{Effect, FaultProxy, Hold, Rule},
};
use domain::{Secret, Settings, settings::Setting};
use secrets::{Document, Expect, Mirror, Sink, SinkError, conformance};
use serde_json::{Value, json};

use crate::account::http;

/// The sink of a connection, as another process would have it.
fn sink_at(moto: &Moto, address: &str, region: Option<&str>) -> Arc<dyn Sink> {
    let settings = Settings::default().with("address", Setting::Text(address.to_owned()));
    let settings = match region {
        Some(region) => settings.with("secrets_region", Setting::Text(region.to_owned())),
        None => settings,
    };
    let setup = Setup {
        name: "aws".into(),
        settings,
        credential: Some(Secret::new(format!("{}:{}", moto.id, moto.secret))),
        credential_id: None,
        transport: http(address),
        clock: Arc::new(SystemClock),
        keyring: None,
    };
    aws_iam::PLATFORM.connect(setup).unwrap().sink.unwrap()
}

fn sink(moto: &Moto) -> Arc<dyn Sink> {
    sink_at(moto, &moto.address(), Some(SECRETS_REGION))
}

fn document(text: &str) -> Document {
    Document::default().with("secret", Secret::new(text))
}

/// What AWS's own client reads at a stage, or the code with which it is refused.
fn staged(moto: &Moto, name: &str, stage: &str) -> Result<Value, String> {
    let with = json!({ "SecretId": name, "VersionStage": stage });
    let key = (moto.id.as_str(), moto.secret.as_str());
    let answer = moto.ask_as(key, "secretsmanager", "get_secret_value", with).unwrap()?;
    Ok(serde_json::from_str(answer["SecretString"].as_str().unwrap()).unwrap())
}

/// Stages by what bears them.
fn stages(moto: &Moto, name: &str) -> BTreeMap<String, String> {
    let described = moto.secrets("describe_secret", json!({ "SecretId": name })).unwrap();
    let all = described["VersionIdsToStages"].as_object().cloned().unwrap_or_default();
    let pairs = all.into_iter().flat_map(|(id, stages)| {
        let stages = stages.as_array().cloned().unwrap_or_default();
        stages.into_iter().map(move |stage| (stage.as_str().unwrap().to_owned(), id.clone()))
    });
    pairs.collect()
}

fn refused<T: std::fmt::Debug>(result: secrets::Result<T>) -> String {
    match result {
        Err(SinkError::Refused { place, reason } | SinkError::NoDocument { place, reason }) => {
            format!("{place}: {reason}")
        }
        Err(SinkError::Unfit { place, reason, next }) => {
            format!("{place}: {reason}\nNext: {next}")
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn secrets_manager_conforms() {
    let moto = Moto::start().unwrap();
    conformance::assert_conforms(&*sink(&moto), "run").await;
}

#[tokio::test]
async fn awss_own_client_finds_what_was_written_last_and_what_before_it() {
    let moto = Moto::start().unwrap();
    let sink = sink(&moto);
    sink.write("apps/x", &document("one"), Expect::Nothing).await.unwrap();
    assert_eq!(staged(&moto, "apps/x", "AWSCURRENT"), Ok(json!({ "secret": "one" })));
    for (text, number) in [("two", 1), ("three", 2)] {
        sink.write("apps/x", &document(text), Expect::Version(number)).await.unwrap();
    }
    assert_eq!(staged(&moto, "apps/x", "AWSCURRENT"), Ok(json!({ "secret": "three" })));
    assert_eq!(staged(&moto, "apps/x", "AWSPREVIOUS"), Ok(json!({ "secret": "two" })));
    assert!(staged(&moto, "apps/x", "AWSPENDING").is_err(), "AWS's own rotation has that stage");
    let by_stage = stages(&moto, "apps/x");
    assert_eq!(by_stage["nhi"], by_stage["AWSCURRENT"]);
    assert_eq!(by_stage.len(), 3, "{by_stage:?}");
}

#[tokio::test]
async fn what_was_replaced_can_still_be_read_and_no_destruction_is_claimed() {
    let moto = Moto::start().unwrap();
    let sink = sink(&moto);
    assert!(!sink.capabilities().destroys_versions);
    sink.write("apps/x", &document("one"), Expect::Nothing).await.unwrap();
    sink.write("apps/x", &document("two"), Expect::Version(1)).await.unwrap();
    let said = sink.destroy_version("apps/x", 1).await.unwrap_err();
    assert!(matches!(said, SinkError::Unsupported { .. }), "{said}");
    let said = sink.prepare_claim("apps/x").await.unwrap_err();
    assert!(matches!(said, SinkError::Unsupported { .. }), "{said}");
    assert_eq!(sink.read_version("apps/x", 1).await.unwrap(), Some(document("one")));
}

#[tokio::test]
async fn what_somebody_else_wrote_is_another_version_each_time_and_is_not_written_over_unseen() {
    let moto = Moto::start().unwrap();
    let sink = sink(&moto);
    let mirror = Mirror::from([("version".into(), "1".into())]);
    sink.write("apps/x", &document("ours"), Expect::Nothing).await.unwrap();
    sink.write_mirror("apps/x", &mirror).await.unwrap();
    let mut seen = vec![1];
    for turn in 0..3 {
        let with =
            json!({ "SecretId": "apps/x", "SecretString": format!("{{\"secret\":\"{turn}\"}}") });
        moto.secrets("put_secret_value", with).unwrap();
        let look = sink.look("apps/x").await.unwrap().unwrap();
        assert_eq!(look.mirror, mirror);
        let stored = sink.read("apps/x").await.unwrap().unwrap();
        assert_eq!(stored.version, look.version);
        assert_eq!(stored.document.unwrap(), document(&turn.to_string()));
        let number = look.version.number;
        assert!(number > 1 && !seen.contains(&number), "{number} of {seen:?}");
        for stale in &seen {
            let late = sink.write("apps/x", &document("late"), Expect::Version(*stale)).await;
            assert!(matches!(late, Err(SinkError::Conflict { .. })), "{late:?}");
        }
        assert_eq!(sink.read_version("apps/x", 1).await.unwrap(), Some(document("ours")));
        assert_eq!(sink.look("apps/x").await.unwrap().unwrap(), look, "nothing moved");
        seen.push(number);
    }
    let last = *seen.last().unwrap();
    assert_eq!(sink.kept_versions("apps/x").await.unwrap(), [1, last]);
    let written = sink.write("apps/x", &document("again"), Expect::Version(last)).await.unwrap();
    assert_eq!(written.number, last + 1);
    let without_a_stage =
        moto.secrets("get_secret_value", json!({ "SecretId": "apps/x" })).unwrap();
    assert!(without_a_stage["SecretString"].as_str().unwrap().contains("again"));
    assert_eq!(sink.read_version("apps/x", last).await.unwrap(), Some(document("2")));
}

#[tokio::test]
async fn whoever_moves_the_current_stage_between_look_and_write_is_not_written_over() {
    let moto = Moto::start().unwrap();
    let one = sink(&moto);
    one.write("apps/x", &document("one"), Expect::Nothing).await.unwrap();
    // Somebody else writes after we looked and before we move the stage.
    let hold = Hold::default();
    let proxy = FaultProxy::start(&moto.address()).await.unwrap();
    let two = sink_at(&moto, proxy.address(), Some(SECRETS_REGION));
    proxy.add(Rule::once("POST", "?Action=PutSecretValue", Effect::HoldRequest(hold.clone())));
    let ours = document("ours");
    let (late, ()) = tokio::join!(two.write("apps/x", &ours, Expect::Version(1)), async {
        hold.reached().await;
        one.write("apps/x", &document("faster"), Expect::Version(1)).await.unwrap();
        hold.release();
    });
    assert!(matches!(late, Err(SinkError::Conflict { .. })), "{late:?}");
    assert_eq!(staged(&moto, "apps/x", "AWSCURRENT"), Ok(json!({ "secret": "faster" })));
    assert_eq!(staged(&moto, "apps/x", "AWSPREVIOUS"), Ok(json!({ "secret": "one" })));
    assert!(!stages(&moto, "apps/x").contains_key("nhi"), "what lost bears no stage");
    assert_eq!(one.look("apps/x").await.unwrap().unwrap().version.number, 2);
    assert_eq!(one.read_version("apps/x", 2).await.unwrap(), Some(document("faster")));
    let next = one.write("apps/x", &document("next"), Expect::Version(2)).await.unwrap();
    assert_eq!(next.number, 3);
}

#[tokio::test]
async fn whichever_call_of_a_write_is_lost_the_current_version_says_what_became_of_it() {
    let moto = Moto::start().unwrap();
    let direct = sink(&moto);
    let cases = [
        ("CreateSecret", Effect::LoseRequest, false),
        ("CreateSecret", Effect::LoseAnswer, true),
        ("PutSecretValue", Effect::LoseRequest, false),
        ("PutSecretValue", Effect::LoseAnswer, false),
        ("UpdateSecretVersionStage", Effect::LoseRequest, false),
        ("UpdateSecretVersionStage", Effect::LoseAnswer, true),
    ];
    for (at, (action, effect, done)) in cases.into_iter().enumerate() {
        let how = format!("{action}, {effect:?}");
        let path = format!("lost/{at}");
        let expect = if action == "CreateSecret" {
            Expect::Nothing
        } else {
            direct.write(&path, &document("before"), Expect::Nothing).await.unwrap();
            Expect::Version(1)
        };
        let proxy = FaultProxy::start(&moto.address()).await.unwrap();
        let between = sink_at(&moto, proxy.address(), Some(SECRETS_REGION));
        proxy.add(Rule::once("POST", &format!("?Action={action}"), effect));
        let lost = between.write(&path, &document("after"), expect).await;
        assert!(matches!(lost, Err(SinkError::Ambiguous { .. })), "{how}: {lost:?}");
        let look = direct.look(&path).await.unwrap();
        let before = u64::from(action != "CreateSecret");
        let number = look.map_or(0, |look| look.version.number);
        assert_eq!(number, before + u64::from(done), "{how}");
        // Whoever goes on from what is there comes to its end, and what was lost is in nobody's way.
        let expect = if number == 0 { Expect::Nothing } else { Expect::Version(number) };
        let next = between.write(&path, &document("next"), expect).await.unwrap();
        assert_eq!(next.number, number + 1, "{how}");
        assert_eq!(staged(&moto, &path, "AWSCURRENT"), Ok(json!({ "secret": "next" })), "{how}");
        assert_eq!(direct.read_version(&path, number + 1).await.unwrap(), Some(document("next")));
    }
}

#[tokio::test]
async fn whichever_call_of_a_mirror_is_lost_it_is_written_whole_the_next_time() {
    let moto = Moto::start().unwrap();
    let direct = sink(&moto);
    let long = Mirror::from([("a".into(), "ä".repeat(900)), ("gone".into(), "x".into())]);
    let short = Mirror::from([("a".into(), "ä".into()), ("new".into(), "1".into())]);
    for (at, (action, effect)) in [
        ("TagResource", Effect::LoseRequest),
        ("TagResource", Effect::LoseAnswer),
        ("UntagResource", Effect::LoseRequest),
        ("UntagResource", Effect::LoseAnswer),
    ]
    .into_iter()
    .enumerate()
    {
        let how = format!("{action}, {effect:?}");
        let path = format!("mirror/{at}");
        direct.write(&path, &document("one"), Expect::Nothing).await.unwrap();
        direct.write_mirror(&path, &long).await.unwrap();
        let proxy = FaultProxy::start(&moto.address()).await.unwrap();
        let between = sink_at(&moto, proxy.address(), Some(SECRETS_REGION));
        proxy.add(Rule::once("POST", &format!("?Action={action}"), effect));
        let lost = between.write_mirror(&path, &short).await;
        assert!(matches!(lost, Err(SinkError::Ambiguous { .. })), "{how}: {lost:?}");
        between.write_mirror(&path, &short).await.unwrap();
        let look = direct.look(&path).await.unwrap().unwrap();
        assert_eq!((look.version.number, look.mirror), (1, short.clone()), "{how}");
    }
}

#[tokio::test]
async fn an_empty_secret_that_somebody_made_with_a_key_of_theirs_is_filled_by_one_alone() {
    let moto = Moto::start().unwrap();
    let tags = json!([{ "Key": "team", "Value": "finance" }]);
    let with = json!({ "Name": "apps/x", "Tags": tags });
    moto.secrets("create_secret", with).unwrap();
    let sink = sink(&moto);
    assert_eq!(sink.look("apps/x").await.unwrap(), None, "nothing was ever written there");
    let (one, two) = (document("one"), document("two"));
    let (first, second) = tokio::join!(
        sink.write("apps/x", &one, Expect::Nothing),
        sink.write("apps/x", &two, Expect::Nothing),
    );
    let won = if first.is_ok() { "one" } else { "two" };
    let lost = if first.is_ok() { second } else { first };
    assert!(matches!(lost, Err(SinkError::Conflict { .. })), "{lost:?}");
    assert_eq!(staged(&moto, "apps/x", "AWSCURRENT"), Ok(json!({ "secret": won })));
    sink.write_mirror("apps/x", &Mirror::from([("gen".into(), "1".into())])).await.unwrap();
    let described = moto.secrets("describe_secret", json!({ "SecretId": "apps/x" })).unwrap();
    let there = described["Tags"].as_array().unwrap();
    assert_eq!(there.len(), 2, "theirs stays: {there:?}");
    assert!(there.contains(&tags[0]));
}

#[tokio::test]
async fn a_secret_that_somebody_had_deleted_is_missing_and_is_not_brought_back_by_a_write() {
    let moto = Moto::start().unwrap();
    let sink = sink(&moto);
    let written = sink.write("apps/x", &document("one"), Expect::Nothing).await.unwrap();
    moto.secrets("delete_secret", json!({ "SecretId": "apps/x" })).unwrap();
    let look = sink.look("apps/x").await.unwrap().unwrap();
    assert!(look.deleted && look.version == written, "{look:?}");
    assert_eq!(sink.look_all("apps").await.unwrap()["x"], look);
    let stored = sink.read("apps/x").await.unwrap().unwrap();
    assert!(stored.document.is_none() && stored.version == written, "{stored:?}");
    assert_eq!(sink.read_version("apps/x", 1).await.unwrap(), None);
    for expect in [Expect::Version(1), Expect::Nothing] {
        let said = refused(sink.write("apps/x", &document("two"), expect).await);
        assert!(said.contains("restore-secret --secret-id apps/x"), "{said}");
    }
    moto.secrets("restore_secret", json!({ "SecretId": "apps/x" })).unwrap();
    assert_eq!(sink.write("apps/x", &document("two"), Expect::Version(1)).await.unwrap().number, 2);
}

#[tokio::test]
async fn a_secret_that_is_no_document_is_named_and_not_quoted() {
    let moto = Moto::start().unwrap();
    let sink = sink(&moto);
    moto.secrets("create_secret", json!({ "Name": "apps/x", "SecretString": "topsecret" }))
        .unwrap();
    let said = refused(sink.read("apps/x").await);
    assert!(said.starts_with("apps/x") && !said.contains("topsecret"), "{said}");
    let look = sink.look("apps/x").await.unwrap().unwrap();
    assert!(look.version.number > 0 && look.version.created_at.is_none());
}

#[tokio::test]
async fn other_peoples_fields_stay_as_they_are() {
    let moto = Moto::start().unwrap();
    let sink = sink(&moto);
    let theirs = json!({ "port": 5432, "hosts": ["a", "b"], "password": "p" });
    let with = json!({ "Name": "apps/x", "SecretString": theirs.to_string() });
    moto.secrets("create_secret", with).unwrap();
    let stored = sink.read("apps/x").await.unwrap().unwrap();
    let more = stored.document.unwrap().with("secret", Secret::new("s"));
    sink.write("apps/x", &more, Expect::Version(stored.version.number)).await.unwrap();
    let whole = json!({ "port": 5432, "hosts": ["a", "b"], "password": "p", "secret": "s" });
    assert_eq!(staged(&moto, "apps/x", "AWSCURRENT"), Ok(whole));
}

#[tokio::test]
async fn a_secret_without_room_for_our_tags_is_refused_before_anything_is_changed() {
    let moto = Moto::start().unwrap();
    let sink = sink(&moto);
    let tags: Vec<Value> =
        (0..48).map(|at| json!({ "Key": format!("t{at}"), "Value": "x" })).collect();
    let with = json!({ "Name": "apps/x", "SecretString": "{}", "Tags": tags });
    moto.secrets("create_secret", with).unwrap();
    let mirror: Mirror = ["a", "b", "c"].map(|key| (key.to_owned(), "1".to_owned())).into();
    let said = refused(sink.write_mirror("apps/x", &mirror).await);
    assert!(said.contains("51 tags"), "{said}");
    assert!(sink.look("apps/x").await.unwrap().unwrap().mirror.is_empty());
}

#[tokio::test]
async fn a_folder_of_more_than_one_page_is_seen_as_a_whole() {
    let moto = Moto::start().unwrap();
    let sink = sink(&moto);
    let names: Vec<String> = (0..120).map(|at| format!("{at:03}")).collect();
    for name in &names {
        let path = format!("long/{name}");
        sink.write(&path, &document("one"), Expect::Nothing).await.unwrap();
    }
    sink.write("longer/x", &document("one"), Expect::Nothing).await.unwrap();
    let all = sink.look_all("long").await.unwrap();
    assert_eq!(all.keys().collect::<Vec<_>>(), names.iter().collect::<Vec<_>>());
}

#[tokio::test]
async fn a_key_that_may_only_look_plans_and_is_refused_the_content_and_every_change() {
    let mut moto = Moto::start().unwrap();
    sink(&moto).write("apps/x", &document("one"), Expect::Nothing).await.unwrap();
    moto.iam("create_user", json!({ "UserName": "reader" })).unwrap();
    let policy = json!({ "Version": "2012-10-17", "Statement": {
        "Effect": "Allow", "Action": "secretsmanager:DescribeSecret", "Resource": "*" } });
    let with =
        json!({ "UserName": "reader", "PolicyName": "look", "PolicyDocument": policy.to_string() });
    moto.iam("put_user_policy", with).unwrap();
    let made = moto.iam("create_access_key", json!({ "UserName": "reader" })).unwrap();
    let key = &made["AccessKey"];
    let word = |name: &str| key[name].as_str().unwrap().to_owned();
    (moto.id, moto.secret) = (word("AccessKeyId"), word("SecretAccessKey"));
    let sink = sink(&moto);
    assert_eq!(sink.look("apps/x").await.unwrap().unwrap().version.number, 1);
    assert_eq!(sink.look("apps/y").await.unwrap(), None);
    let said = refused(sink.read("apps/x").await);
    assert!(said.contains("policies of our own"), "{said}");
    for expect in [Expect::Nothing, Expect::Version(1)] {
        refused(sink.write("apps/x", &document("two"), expect).await);
    }
}

#[tokio::test]
async fn a_wrong_key_is_told_from_a_secret_that_is_not_there() {
    let mut moto = Moto::start().unwrap();
    moto.secret = "wrong".into();
    let said = refused(sink(&moto).look("apps/x").await);
    assert!(said.contains("our own"), "{said}");
    moto.id = "AKIAXXXXXXXXXXXXXXXX".into();
    let said = refused(sink(&moto).look("apps/x").await);
    assert!(said.contains("access key"), "{said}");
}

#[tokio::test]
async fn a_connection_without_a_region_for_secrets_says_what_to_set() {
    let moto = Moto::start().unwrap();
    let sink = sink_at(&moto, &moto.address(), None);
    for said in [
        refused(sink.check("apps/x").await),
        refused(sink.look("apps/x").await),
        refused(sink.write("apps/x", &document("one"), Expect::Nothing).await),
    ] {
        assert!(said.contains("Next: set secrets_region"), "{said}");
    }
}

#[tokio::test]
async fn one_secret_is_one_whatever_connection_leads_to_it_and_another_in_another_region() {
    let moto = Moto::start().unwrap();
    let folder = sink(&moto).home("/apps/").await.unwrap();
    assert!(sink(&moto).home("apps/x").await.unwrap().is_within(&folder));
    let elsewhere = sink_at(&moto, &moto.address(), Some("us-east-1"));
    assert!(!elsewhere.home("apps/x").await.unwrap().is_within(&folder));
}
