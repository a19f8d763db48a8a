//! What is particular to GitHub: objects that people make, keys that nobody changes, a secret that is
//! never shown, what is hidden and called absent, and limits that are told with a 403.

use connector::{Change, Ended, Error, Freshness, Outcome, Platform, Probe, Refusal, Want};
use domain::{LastUsed, Settings, settings::Setting};

use crate::{
    fake::{ENTERPRISE, Fake, LOOKING_TOKEN, ORG, PERSONS_TOKEN},
    world::{
        DEPLOY_KEY, GRANT, INSTALLATION, MARKER, SECRET, SSH_CLIENT, WEBHOOK, World, app_key, hook,
        new, object, object_of, of_repository, record, whole,
    },
};

const FRESH: Want = Want { freshness: Freshness::Fresh, ..Want::PLAN };

fn texts(all: &[&str]) -> Setting {
    Setting::Texts(all.iter().map(|one| (*one).to_owned()).collect())
}

#[tokio::test]
async fn an_installed_app_is_shown_with_what_it_may_do_and_is_uninstalled_through_the_enterprise() {
    let fake = Fake::start();
    let world = World::new(&fake);
    let bot = object(INSTALLATION, "ci-bot");
    let seen = world.connector.read(&bot, FRESH).await.unwrap().unwrap();
    let held: Vec<&str> = seen.scopes.iter().map(|one| one.scope.as_str()).collect();
    assert_eq!(held, ["contents:write", "metadata:read"]);
    assert_eq!(seen.settings.text("repository_selection"), Some("selected"));
    assert!(seen.enabled && !seen.parked && seen.record.is_none() && seen.credentials.is_none());

    let bot = object_of(&seen);
    let taken = world.write(&bot, "Runs what was merged").await.unwrap();
    assert_eq!(taken.record, Some(record("Runs what was merged")));
    fake.suspend("ci-bot");
    let now = world.connector.read(&bot, FRESH).await.unwrap().unwrap();
    assert!(!now.enabled && now.record == taken.record);

    // What GitHub gives nobody a way to change is refused before anything is sent.
    world.wire.sent();
    for change in [
        Change { enabled: Some(true), ..Change::default() },
        Change { scopes: Some([].into()), ..Change::default() },
        Change {
            settings: Some(
                Settings::default().with("repository_selection", Setting::Text("all".into())),
            ),
            ..Change::default()
        },
    ] {
        let said = world.connector.modify(&bot, &change).await.unwrap_err();
        assert!(matches!(said, Error::Unsupported { .. }), "{said}");
    }
    let said = world.connector.create(&new(INSTALLATION, "x", Settings::default())).await;
    assert!(matches!(said, Err(Error::Unsupported { .. })), "{said:?}");
    let alone = whole(&fake.address).0.into_iter().filter(|(name, _)| name != "enterprise");
    let alone = World::with(&fake, crate::fake::APP_TOKEN, Settings(alone.collect()));
    let said = alone.connector.delete(&bot).await.unwrap_err();
    assert!(said.to_string().contains("without the connection's enterprise"), "{said}");
    assert!(alone.connector.notes().await.join("\n").contains("Without enterprise"));
    let changes = |sent: Vec<String>| sent.into_iter().any(|one| !one.contains("GET "));
    assert!(!changes(world.wire.sent()) && !changes(alone.wire.sent()));

    assert_eq!(world.connector.delete(&bot).await.unwrap(), Ended::Now);
    assert_eq!(world.connector.delete(&bot).await.unwrap(), Ended::AlreadyGone);
    assert!(world.connector.read(&bot, FRESH).await.unwrap().is_none());
    assert!(fake.variables().is_empty(), "what was written down goes with it");
    // One that is installed again is another one, of which nothing is known.
    fake.install("ci-bot", &[("contents", "read")]);
    let again = world.connector.read(&bot, FRESH).await.unwrap_err();
    assert!(matches!(again, Error::Recreated { .. }), "{again}");
}

#[tokio::test]
async fn a_token_of_a_person_is_shown_with_its_owner_and_its_end_and_revoked_for_the_organisation()
{
    let fake = Fake::start();
    let world = World::new(&fake);
    let id = fake.grant("bob", "deploy");
    let seen = world.connector.read(&object(GRANT, &id.to_string()), FRESH).await.unwrap().unwrap();
    assert_eq!((seen.name.as_str(), seen.parked), ("bob/deploy", false));
    let held: Vec<&str> = seen.scopes.iter().map(|one| one.scope.as_str()).collect();
    assert_eq!(held, ["contents:write", "metadata:read", "organization/members:read"]);
    let [token] = &seen.credentials.as_deref().unwrap_or_default() else { panic!("{seen:?}") };
    assert_eq!((token.key_id.as_str(), token.live), (&*(id + 1000).to_string(), true));
    assert_eq!(token.last_used, LastUsed::Unknown, "never used is not told apart from unknown");
    assert_eq!(token.expires_at, Some("2027-11-16T15:47:09Z".parse().unwrap()));

    let grant = object_of(&seen);
    world.write(&grant, "Deploys by hand").await.unwrap();
    assert_eq!(world.connector.end(&grant, "1").await.unwrap(), Ended::AlreadyGone);
    assert_eq!(world.connector.end(&grant, &token.key_id).await.unwrap(), Ended::Now);
    assert!(world.connector.read(&grant, FRESH).await.unwrap().is_none());
    assert_eq!(world.connector.delete(&grant).await.unwrap(), Ended::AlreadyGone);
    assert!(fake.variables().is_empty());
}

#[tokio::test]
async fn what_only_an_app_may_list_is_a_gap_for_a_person_unless_the_connection_leaves_it_out() {
    let fake = Fake::start();
    let person = World::with(&fake, PERSONS_TOKEN, whole(&fake.address));
    let seen = person.connector.list(Want::DEED).await.unwrap();
    assert!(!seen.is_complete() && seen.gaps.len() == 1, "{:?}", seen.gaps);
    assert!(seen.gaps[0].cause.contains("may not do this"), "{:?}", seen.gaps);
    let grant = object(GRANT, "102");
    let said = person.connector.read(&grant, FRESH).await.unwrap_err();
    assert_eq!(said.refusal(), Some(Refusal::Forbidden), "{said}");

    let others = whole(&fake.address).with("kinds", texts(&[INSTALLATION, SSH_CLIENT, WEBHOOK]));
    let person = World::with(&fake, PERSONS_TOKEN, others);
    assert!(person.connector.list(Want::DEED).await.unwrap().is_complete());
    let said = person.connector.read(&grant, FRESH).await.unwrap_err();
    assert!(said.to_string().contains("does not look at"), "never absence: {said}");
}

#[tokio::test]
async fn a_deploy_key_is_ours_and_only_its_public_half_is_sent() {
    let fake = Fake::start();
    let world = World::new(&fake);
    let shop = world.make(SSH_CLIENT, "checkout", of_repository("api")).await;
    assert_eq!(shop.key, "api/checkout");
    let (key, issued) = world.issue(&shop, DEPLOY_KEY, &Settings::default()).await.unwrap();
    let writes = Settings::default().with("read_only", Setting::Flag(false));
    let (other, second) = world.issue(&shop, DEPLOY_KEY, &writes).await.unwrap();
    let told = fake.keys("api");
    assert!(told.iter().all(|(title, _)| *title == format!("checkout {MARKER}")), "{told:?}");
    let seen = world.connector.read(&shop, FRESH).await.unwrap().unwrap();
    let held: Vec<&str> = seen.scopes.iter().map(|one| one.scope.as_str()).collect();
    assert_eq!(held, ["contents:read", "contents:write"]);
    let flags: Vec<_> = seen
        .credentials
        .iter()
        .flatten()
        .map(|one| (one.key_id.clone(), one.settings.flag("read_only")))
        .collect();
    let flag = |id: &str, flag| (id.to_owned(), Some(flag));
    assert_eq!(flags, [flag(&issued.key_id, true), flag(&second.key_id, false)]);

    // By its public half it is told which one is there; nobody signs in for that.
    let listed = async |secret| {
        let probed = world.connector.probe(&shop, DEPLOY_KEY, secret).await.unwrap();
        matches!(probed, Probe::Accepted { .. })
    };
    assert!(listed(&key).await && listed(&other).await);
    fake.allow_keys(false);
    assert!(!listed(&key).await, "the organisation forbids deploy keys");
    let off = world.connector.credential(&shop, &issued.key_id).await.unwrap().unwrap();
    assert!(!off.live);
    fake.allow_keys(true);
    world.connector.end(&shop, &issued.key_id).await.unwrap();
    assert!(!listed(&key).await && listed(&other).await);
    let sent = world.wire.sent().join("\n");
    for secret in [&key, &other] {
        let body = secret.expose().lines().nth(2).unwrap().to_owned();
        assert!(!sent.contains(&body) && !format!("{told:?}").contains(&body));
    }
    // Another's public half is refused by GitHub, and told as a conflict.
    let web = world.make(SSH_CLIENT, "checkout", of_repository("web")).await;
    let said = world.issue_this(&web, DEPLOY_KEY, &writes, &other).await.unwrap_err();
    assert_eq!(said.refusal(), Some(Refusal::Conflict), "{said}");
}

#[tokio::test]
async fn keys_that_somebody_made_are_an_integration_of_their_title_and_stay_when_it_is_taken_in() {
    let fake = Fake::start();
    let world = World::new(&fake);
    let id = fake.add_key("api", "old server");
    let seen = world.connector.read(&object(SSH_CLIENT, "api/old server"), FRESH).await.unwrap();
    let seen = seen.unwrap();
    let there = world.connector.create(&new(SSH_CLIENT, "old server", of_repository("api"))).await;
    assert!(
        matches!(&there, Err(Error::Exists { key, .. }) if key == "api/old server"),
        "{there:?}"
    );
    let old = object_of(&seen);
    let taken = world.write(&old, "Fetches at night").await.unwrap();
    assert_eq!((taken.vendor_id, taken.credentials), (seen.vendor_id, seen.credentials));
    assert_eq!(world.keys(&old).await, [id.to_string()]);
    world.connector.end(&old, &id.to_string()).await.unwrap();
    let now = world.connector.read(&old, FRESH).await.unwrap().unwrap();
    assert!(now.parked && now.record.is_some(), "it is there without a key too");
    fake.add_key("api", "");
    let all = world.connector.list(Want::DEED).await.unwrap().integrations;
    assert!(all.iter().any(|one| one.key.starts_with("api/#")), "{all:?}");
    for wrong in ["API", "moon", "../x", ""] {
        let said = world.connector.create(&new(SSH_CLIENT, "x", of_repository(wrong))).await;
        let said = said.unwrap_err().to_string();
        assert!(said.contains("looks at no repository"), "{said}");
        assert!(wrong != "API" || said.contains("GitHub spells it \"api\""), "{said}");
    }
}

#[tokio::test]
async fn what_a_webhook_signs_with_is_told_by_its_deliveries_and_by_nothing_else() {
    let fake = Fake::start();
    let world = World::new(&fake);
    for repository in [None, Some("web")] {
        let wanted = hook("https://ci.acme.example/hook", &["push"], repository);
        let ci = world.make(WEBHOOK, "ci", wanted).await;
        let id = ci.vendor_id.clone().unwrap();
        let real = || fake.secret_of(repository.unwrap_or_default(), &id).unwrap();
        assert!(world.keys(&ci).await.is_empty() && real().len() == 43, "born signed, by nobody's");
        let (first, one) = world.issue(&ci, SECRET, &Settings::default()).await.unwrap();
        assert_eq!(real(), first.expose());
        let signs = async |secret| {
            let probed = world.connector.probe(&ci, SECRET, secret).await.unwrap();
            matches!(probed, Probe::Accepted { .. })
        };
        fake.deliver_late(2);
        assert!(signs(&first).await, "a delivery that is told late is waited for");
        let (second, two) = world.issue(&ci, SECRET, &Settings::default()).await.unwrap();
        assert!(!signs(&first).await && signs(&second).await);
        assert_eq!(world.keys(&ci).await, [two.key_id.as_str()]);
        assert_eq!(world.connector.end(&ci, &one.key_id).await.unwrap(), Ended::AlreadyGone);
        assert!(signs(&second).await, "what is gone is not what is there");

        // Other settings leave the secret as it is.
        let other = hook("https://ci.acme.example/moved", &["issues", "push"], repository);
        let change = Change { settings: Some(other), ..Change::default() };
        world.connector.modify(&ci, &change).await.unwrap();
        assert_eq!(real(), second.expose());
        let form = hook("https://ci.acme.example/moved", &["issues", "push"], repository)
            .with("content_type", Setting::Text("form".into()));
        let change = Change { settings: Some(form), ..Change::default() };
        world.connector.modify(&ci, &change).await.unwrap();
        assert!(signs(&second).await, "a form is signed too");

        fake.keep_quiet(true);
        let said = world.connector.probe(&ci, SECRET, &second).await.unwrap_err();
        assert!(said.to_string().contains("does not say what was sent"), "{said}");
        fake.keep_quiet(false);
        assert_eq!(world.connector.end(&ci, &two.key_id).await.unwrap(), Ended::Now);
        assert!(!signs(&second).await && world.keys(&ci).await.is_empty());
        assert!(real() != second.expose() && real().len() == 43, "it is never unsigned");
        let notes: String = fake.variables().into_values().collect();
        for secret in [first.expose(), second.expose(), &real()] {
            assert!(!notes.contains(secret), "{notes}");
        }
        assert_eq!(world.connector.delete(&ci).await.unwrap(), Ended::Now);
        assert!(fake.variables().is_empty());
    }
}

#[tokio::test]
async fn a_secret_whose_setting_was_not_heard_of_is_set_again_and_never_taken_for_set() {
    let fake = Fake::start();
    let world = World::new(&fake);
    let wanted = hook("https://ci.acme.example/hook", &["push"], None);
    let ci = world.make(WEBHOOK, "ci", wanted).await;
    let (_, first) = world.issue(&ci, SECRET, &Settings::default()).await.unwrap();
    let none = Settings::default();
    // Whichever call is the last that is heard of.
    for lost in ["variables/{name}", "hooks/{hook_id}/config", "PATCH orgs/{org}/actions"] {
        let secret = world.connector.choose_secret(SECRET, &none, MARKER).unwrap();
        world.wire.lose(lost);
        let said = world.issue_this(&ci, SECRET, &none, &secret).await.unwrap_err();
        assert_eq!(said.outcome(), Outcome::Ambiguous, "{lost}: {said}");
        let listing = world.connector.credentials(&ci).await.unwrap();
        assert!(!listing.complete, "{lost}: which one is in force is not known");
        assert!(world.connector.find(&ci, SECRET, &secret).await.unwrap().is_none(), "{lost}");
        let again = world.issue_this(&ci, SECRET, &none, &secret).await.unwrap();
        assert!(!again.already_there, "{lost}");
        let once_more = world.issue_this(&ci, SECRET, &none, &secret).await.unwrap();
        assert!(once_more.already_there && once_more.key_id == again.key_id, "{lost}");
        assert_eq!(world.keys(&ci).await, [again.key_id.as_str()]);
    }
    // What was refused was not done, and what stood there stands there.
    let before = world.keys(&ci).await;
    let looks = World::with(&fake, LOOKING_TOKEN, whole(&fake.address));
    let said = looks.issue(&ci, SECRET, &none).await.unwrap_err();
    assert_eq!(said.outcome(), Outcome::Refused, "{said}");
    assert!(world.keys(&ci).await == before && before != [first.key_id]);
}

#[tokio::test]
async fn a_webhook_that_somebody_made_has_a_secret_of_theirs_or_none() {
    let fake = Fake::start();
    let world = World::new(&fake);
    let id = fake.add_hook("https://theirs.example", Some("their secret"));
    let bare = fake.add_hook("https://bare.example", None);
    let seen = world.connector.read(&object(WEBHOOK, &id.to_string()), FRESH).await.unwrap();
    let theirs = object_of(&seen.unwrap());
    assert_eq!(theirs.name, "https://theirs.example");
    assert_eq!(world.keys(&theirs).await, ["set-by-hand"]);
    let said = world
        .connector
        .create(&new(WEBHOOK, "ci", hook("https://theirs.example", &["push"], None)))
        .await;
    assert!(matches!(&said, Err(Error::Exists { key, .. }) if *key == id.to_string()), "{said:?}");
    world.write(&theirs, "Taken in").await.unwrap();
    assert_eq!(world.keys(&theirs).await, ["set-by-hand"], "a record says nothing of a secret");
    assert_eq!(fake.secret_of("", &id.to_string()).as_deref(), Some("their secret"));
    world.connector.end(&theirs, "set-by-hand").await.unwrap();
    assert!(world.keys(&theirs).await.is_empty());
    assert_ne!(fake.secret_of("", &id.to_string()).as_deref(), Some("their secret"));

    let bare = object(WEBHOOK, &bare.to_string());
    assert!(world.keys(&bare).await.is_empty());
    let (secret, _) = world.issue(&bare, SECRET, &Settings::default()).await.unwrap();
    let probed = world.connector.probe(&bare, SECRET, &secret).await.unwrap();
    assert!(matches!(probed, Probe::Accepted { .. }), "{probed:?}");
}

#[tokio::test]
async fn a_404_for_what_is_listed_is_a_lack_of_permission_and_no_absence() {
    let fake = Fake::start();
    let world = World::new(&fake);
    let shop = world.make(SSH_CLIENT, "checkout", of_repository("api")).await;
    let (_, issued) = world.issue(&shop, DEPLOY_KEY, &Settings::default()).await.unwrap();
    let ci = world.make(WEBHOOK, "ci", hook("https://ci.acme.example", &["push"], None)).await;
    let all = world.connector.list(Want::DEED).await.unwrap().integrations;
    let looks = World::with(&fake, LOOKING_TOKEN, whole(&fake.address));
    for said in [
        looks.connector.end(&shop, &issued.key_id).await,
        looks.connector.delete(&shop).await,
        looks.connector.delete(&ci).await,
        looks.connector.delete(&object(INSTALLATION, "ci-bot")).await,
        looks.connector.delete(&object(GRANT, "102")).await,
    ] {
        let said = said.unwrap_err();
        assert_eq!(said.refusal(), Some(Refusal::Forbidden), "{said}");
        assert!(said.to_string().contains("and not change it"), "{said}");
    }
    assert_eq!(world.connector.list(Want::DEED).await.unwrap().integrations, all);
}

#[tokio::test]
async fn a_long_listing_is_read_to_its_end_and_what_is_the_same_is_not_sent_again() {
    let fake = Fake::start();
    let world = World::new(&fake);
    fake.page_by(2);
    for number in 0..5 {
        fake.install(&format!("app-{number}"), &[("metadata", "read")]);
        fake.add_key("api", &format!("key {number}"));
        fake.add_repository(&format!("repository-{number}"));
        world.make(SSH_CLIENT, &format!("client-{number}"), of_repository("web")).await;
    }
    let seen = world.connector.list(Want::DEED).await.unwrap();
    assert!(seen.is_complete(), "{:?}", seen.gaps);
    let count = |kind| seen.integrations.iter().filter(|one| one.kind == kind).count();
    assert_eq!((count(INSTALLATION), count(SSH_CLIENT)), (6, 10));
    fake.asked();
    assert_eq!(world.connector.list(Want::DEED).await.unwrap().integrations, seen.integrations);
    let asked = fake.asked();
    assert!(asked.iter().all(|(method, _, status)| method == "GET" && *status == 304), "{asked:?}");

    // A page that cannot be read hides what comes after it.
    fake.answer_once(500, &[], "x");
    fake.answer_once(500, &[], "x");
    fake.answer_once(500, &[], "x");
    let said = world.connector.list(Want::DEED).await;
    assert!(said.is_err() || !said.unwrap().is_complete());
}

#[tokio::test]
async fn a_limit_that_is_told_with_a_403_is_waited_for_and_told_as_one() {
    let fake = Fake::start();
    let world = World::new(&fake);
    let bot = object(INSTALLATION, "ci-bot");
    world.connector.tenant().await.unwrap();
    fake.answer_once(403, &[("retry-after", "1")], "You have exceeded a secondary rate limit");
    let begun = std::time::Instant::now();
    assert!(world.connector.read(&bot, FRESH).await.unwrap().is_some());
    assert!(begun.elapsed().as_millis() >= 990, "{:?}", begun.elapsed());
    let used_up = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1900000000")];
    fake.answer_once(403, &used_up, "API rate limit exceeded");
    let said = world.connector.read(&bot, FRESH).await.unwrap_err();
    assert_eq!(said.refusal(), Some(Refusal::RateLimited), "{said}");
    assert!(!said.to_string().contains("exceeded"), "our own words: {said}");
}

#[tokio::test]
async fn a_plan_costs_a_listing_of_each_and_none_twice() {
    let fake = Fake::start();
    let world = World::new(&fake);
    let mut all = Vec::new();
    for name in ["a", "b", "c"] {
        let one = world.make(SSH_CLIENT, name, of_repository("api")).await;
        world.issue(&one, DEPLOY_KEY, &Settings::default()).await.unwrap();
        all.push(one);
    }
    let url = |name: &str| format!("https://{name}.acme.example");
    for name in ["d", "e"] {
        all.push(world.make(WEBHOOK, name, hook(&url(name), &["push"], None)).await);
    }
    world.wire.sent();
    for one in &all {
        world.connector.read(one, Want::LEAN).await.unwrap().unwrap();
    }
    let asks = |what: &str| format!("Request(GET {what})");
    assert_eq!(
        world.wire.sent(),
        [
            asks("orgs/{org}/actions/variables"),
            asks("repos/{owner}/{repo}/keys"),
            asks("orgs/{org}/hooks"),
        ]
    );
}

#[tokio::test]
async fn another_organisation_or_a_token_that_nobody_has_is_refused_before_anything_is_concluded() {
    let fake = Fake::start();
    let pinned = whole(&fake.address).with("tenant", Setting::Text("4712".into()));
    let world = World::with(&fake, crate::fake::APP_TOKEN, pinned);
    let shop = object(SSH_CLIENT, "api/elsewhere");
    for said in [
        world.connector.tenant().await.map(drop),
        world.connector.list(Want::DEED).await.map(drop),
        world.connector.create(&new(SSH_CLIENT, "x", of_repository("api"))).await.map(drop),
        world.connector.end(&shop, "1").await.map(drop),
        world.connector.delete(&shop).await.map(drop),
    ] {
        assert!(matches!(said, Err(Error::Tenant { .. })), "{said:?}");
    }
    let nobody = World::with(&fake, "ghp_of-nobody", whole(&fake.address));
    let said = nobody.connector.list(Want::DEED).await.unwrap_err();
    assert_eq!(said.refusal(), Some(Refusal::Unauthorized), "{said}");
    assert!(!said.to_string().contains("ghp_"), "{said}");
}

#[tokio::test]
async fn what_stands_in_our_variables_under_another_name_or_in_another_form_is_nobody_s() {
    let fake = Fake::start();
    let world = World::new(&fake);
    let shop = world.make(SSH_CLIENT, "checkout", of_repository("api")).await;
    let (name, value) = fake.variables().pop_first().unwrap();
    fake.write_variable("NHI_0000", Some(&value));
    fake.write_variable("NHI_0001", Some("{"));
    fake.write_variable("REGION", Some("eu"));
    let seen = world.connector.list(Want::DEED).await.unwrap().integrations;
    assert_eq!(seen.iter().filter(|one| one.kind == SSH_CLIENT).count(), 1);
    // Whoever writes over it takes the record with it, and the next apply writes it again.
    world.issue(&shop, DEPLOY_KEY, &Settings::default()).await.unwrap();
    fake.write_variable(&name, Some("{"));
    let now = world.connector.read(&object(SSH_CLIENT, "api/checkout"), FRESH).await.unwrap();
    let now = now.unwrap();
    assert!(now.record.is_none() && now.credentials.as_ref().is_some_and(|all| all.len() == 1));
    world.write(&object_of(&now), "Again").await.unwrap();
    assert_eq!(fake.variables().len(), 4, "the same variable");
}

#[tokio::test]
async fn an_app_signs_in_with_its_own_key_and_is_known_as_what_we_sign_in_with() {
    let fake = Fake::start();
    let (key, public) = app_key();
    let as_app = whole(&fake.address).with("app_id", Setting::Text("4711".into()));
    fake.let_app_in("4711", public.clone(), 3600);
    let world = World::with(&fake, &key, as_app.clone());
    assert!(world.connector.list(Want::DEED).await.unwrap().is_complete());
    let shop = world.make(SSH_CLIENT, "checkout", of_repository("api")).await;
    world.issue(&shop, DEPLOY_KEY, &Settings::default()).await.unwrap();
    let ours = world.connector.ourselves().await.unwrap().unwrap();
    assert!(ours.is(INSTALLATION, "ci-bot"), "{ours:?}");
    let told = fake.asked();
    let signed_in = |all: &[(String, String, u16)]| {
        all.iter().filter(|(_, path, _)| path.ends_with("/access_tokens")).count()
    };
    assert_eq!(signed_in(&told), 1, "one token serves an hour");
    let sent = world.wire.sent().join("\n");
    let secret = key.lines().nth(2).unwrap();
    assert!(!sent.contains(secret) && !format!("{:?}", world.connector).contains(secret));
    assert!(
        World::new(&fake).connector.ourselves().await.unwrap().is_none(),
        "a token tells nothing"
    );

    // What ends soon is used no more.
    fake.let_app_in("4711", public, 240);
    let world = World::with(&fake, &key, as_app.clone());
    world.connector.tenant().await.unwrap();
    world.connector.list(Want::DEED).await.unwrap();
    assert!(signed_in(&fake.asked()) > 2);

    // Another App's key is another's, and a token is no key.
    let (other, _) = app_key();
    let said = World::with(&fake, &other, as_app).connector.tenant().await.unwrap_err();
    assert_eq!(said.refusal(), Some(Refusal::Unauthorized), "{said}");
}

#[test]
fn settings_that_are_no_names_are_refused_before_anything_is_sent() {
    let connect = |settings: Settings| {
        let options = connector::transport::HttpOptions {
            address: "http://127.0.0.1:9".into(),
            ca_file: None,
        };
        let http = connector::transport::HttpTransport::new(options).unwrap();
        let setup = crate::world::setup(std::sync::Arc::new(http), "x", settings);
        github::PLATFORM.connect(setup).err().map(|error| error.to_string())
    };
    let good = || whole("http://127.0.0.1:9");
    let text = |text: &str| Setting::Text(text.to_owned());
    assert_eq!(connect(good()), None);
    for (wrong, named) in [
        (good().with("organization", text("acme/x")), "organization"),
        (good().with("enterprise", text("..")), "enterprise"),
        (good().with("kinds", texts(&["github_app"])), "github_app"),
        (good().with("repositories", texts(&["acme/api"])), "without the organisation's"),
        (Settings::default(), "organization is not set"),
        (good().with("app_id", text("1")), "the credential is the App's private key"),
    ] {
        let said = connect(wrong).unwrap_or_default();
        assert!(said.contains(named), "{said}");
    }
    assert!(!ORG.is_empty() && !ENTERPRISE.is_empty());
}
