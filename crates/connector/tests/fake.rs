//! The fake passes the suite that it is used to stand in for, and the suite finds connectors that
//! only look right.

use std::{path::Path, sync::Arc};

use async_trait::async_trait;
use connector::{
    Access, AccessRequest, Change, Connector, Ended, Error, NewIntegration, ObjectRef, Outcome,
    Platform, Probe, Refusal, SystemClock, Want,
    conformance::{self, Fixture, Token, Verdict, Wrap},
    fake::{self, Fake, Fault, Verb},
};
use domain::{ObservedIntegration, Record, Scope, Secret, Settings, settings::Setting};

struct Faked(Fake, &'static str);

struct Held(Fake, u64);

#[async_trait]
impl Token for Held {
    async fn works(&self) -> bool {
        self.0.works(self.1)
    }
}

#[async_trait]
impl Fixture for Faked {
    fn platform(&self) -> &'static dyn Platform {
        &fake::PLATFORM
    }
    fn kind(&self) -> &'static str {
        self.1
    }
    async fn connect(&self, _: Wrap<'_>) -> Arc<dyn Connector> {
        Arc::new(self.0.clone())
    }
    fn sends(&self) -> bool {
        false
    }
    fn settings(&self) -> Settings {
        Settings::default().with("token_ttl", Setting::Text("1h".into()))
    }
    fn other_settings(&self) -> Option<Settings> {
        Some(Settings::default().with("token_ttl", Setting::Text("2h".into())))
    }
    fn scopes(&self) -> Vec<Scope> {
        ["a:read", "b:write", "c:delete"].map(Scope::canonical).to_vec()
    }
    async fn grant_by_hand(&self, object: &ObjectRef, scope: &Scope) -> bool {
        self.0.by_hand(&object.kind, &object.key, |hand| hand.grant(scope.as_str()))
    }
    async fn issue_by_hand(&self, object: &ObjectRef) -> Option<String> {
        let mut id = None;
        self.0.by_hand(&object.kind, &object.key, |hand| id = Some(hand.issue("by hand", None)));
        id
    }
    async fn create_by_hand(&self, name: &str) -> Option<String> {
        self.0.create_by_hand(self.1, name);
        Some(name.to_owned())
    }
    async fn connect_with(&self, _: &ObjectRef, secret: &Secret) -> Option<Arc<dyn Connector>> {
        Some(Arc::new(self.0.signed_in_with(secret)))
    }
    async fn lets_in(&self, _: &ObjectRef, token: &Secret) -> Option<bool> {
        let id = token.expose().strip_prefix("fake-access-")?.parse().ok()?;
        Some(self.0.works(id))
    }
    async fn sign_in(&self, object: &ObjectRef, secret: &Secret) -> Option<Arc<dyn Token>> {
        let token = self.0.sign_in(&object.kind, &object.key, secret)?;
        Some(Arc::new(Held(self.0.clone(), token)))
    }
}

#[tokio::test]
async fn the_fake_conforms_in_both_kinds() {
    for kind in [fake::APP, fake::BOT] {
        let fixture = Faked(Fake::new(Arc::new(SystemClock)), kind);
        fixture.0.disable_keys();
        fixture.0.move_expiries();
        let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/{kind}.txt"));
        conformance::run(&fixture).await.hold(&committed);
    }
}

/// Forwards to the fake, with one deed done wrong.
#[derive(Debug)]
struct Wrong(Fake, &'static str);

struct Wrongly(Faked, &'static str);

#[async_trait]
impl Connector for Wrong {
    fn platform(&self) -> &'static dyn Platform {
        &fake::PLATFORM
    }
    async fn create(&self, new: &NewIntegration) -> connector::Result<ObservedIntegration> {
        if self.1 == "second create succeeds" {
            let object = ObjectRef {
                kind: new.kind.clone(),
                key: new.name.clone(),
                vendor_id: None,
                name: new.name.clone(),
            };
            if let Some(there) = self.0.read(&object, Want::DEED).await? {
                return Ok(there);
            }
        }
        let made = self.0.create(new).await?;
        if self.1 == "born with power" {
            self.0.by_hand(&made.kind, &made.key, |hand| hand.grant("x:all"));
        }
        Ok(made)
    }
    async fn modify(
        &self,
        object: &ObjectRef,
        change: &Change,
    ) -> connector::Result<ObservedIntegration> {
        let mut change = change.clone();
        if self.1 == "scopes only grow"
            && let (Some(scopes), Some(there)) =
                (&mut change.scopes, self.0.read(object, Want::DEED).await?)
        {
            scopes.extend(there.scopes);
        }
        if self.1 == "switching wipes scopes" && change.enabled.is_some() {
            change.scopes = Some(Default::default());
        }
        self.0.modify(object, &change).await
    }
    fn moves_expiry(&self, of: &str) -> bool {
        self.0.moves_expiry(of)
    }
    async fn set_expiry(
        &self,
        object: &ObjectRef,
        key_id: &str,
        at: Option<jiff::Timestamp>,
    ) -> connector::Result<()> {
        match (self.1, at) {
            ("setting an end does nothing", _) => Ok(()),
            ("setting an end sets all", _) => {
                for one in self.0.credentials(object).await?.credentials {
                    self.0.set_expiry(object, &one.key_id, at).await?;
                }
                Ok(())
            }
            ("no end stays one", None) => Ok(()),
            _ => self.0.set_expiry(object, key_id, at).await,
        }
    }
    fn disables(&self, of: &str) -> bool {
        self.0.disables(of)
    }
    async fn disable(&self, object: &ObjectRef, key_id: &str) -> connector::Result<()> {
        match self.1 {
            "switching off ends" => self.0.end(object, key_id).await.map(drop),
            "switching off does nothing" => Ok(()),
            _ => self.0.disable(object, key_id).await,
        }
    }
    async fn enable(&self, object: &ObjectRef, key_id: &str) -> connector::Result<()> {
        self.0.enable(object, key_id).await
    }
    async fn end(&self, object: &ObjectRef, key_id: &str) -> connector::Result<connector::Ended> {
        match self.1 {
            "ending does nothing" => Ok(connector::Ended::Now),
            "ending ends all" => {
                for one in self.0.credentials(object).await?.credentials {
                    self.0.end(object, &one.key_id).await?;
                }
                Ok(connector::Ended::Now)
            }
            _ => self.0.end(object, key_id).await,
        }
    }
    async fn probe(
        &self,
        object: &ObjectRef,
        of: &str,
        secret: &Secret,
    ) -> connector::Result<Probe> {
        match (self.1, self.0.probe(object, of, secret).await?) {
            ("accepts anything", _) => Ok(Probe::Accepted { residual: None, scopes: None }),
            (_, probed) => Ok(probed),
        }
    }
    async fn issue(
        &self,
        object: &ObjectRef,
        request: connector::IssueRequest<'_>,
    ) -> connector::Result<connector::Issued> {
        let marker = if self.1 == "no marker" { "" } else { request.marker };
        self.0.issue(object, connector::IssueRequest { marker, ..request }).await
    }
    fn choose_secret(
        &self,
        of: &str,
        settings: &Settings,
        marker: &str,
    ) -> connector::Result<Secret> {
        match self.1 {
            "one secret for all" => Ok(Secret::new("the-very-same-secret-for-everybody-always")),
            _ => self.0.choose_secret(of, settings, marker),
        }
    }
    fn random_like(&self, of: &str, secret: &Secret) -> connector::Result<Secret> {
        self.0.random_like(of, secret)
    }
    async fn tenant(&self) -> connector::Result<String> {
        self.0.tenant().await
    }
    async fn list(&self, want: Want) -> connector::Result<domain::Observation> {
        self.0.list(want).await
    }
    async fn read(
        &self,
        object: &ObjectRef,
        want: Want,
    ) -> connector::Result<Option<ObservedIntegration>> {
        self.0.read(object, want).await
    }
    async fn delete(&self, object: &ObjectRef) -> connector::Result<connector::Ended> {
        self.0.delete(object).await
    }
    async fn credentials(
        &self,
        object: &ObjectRef,
    ) -> connector::Result<connector::CredentialListing> {
        self.0.credentials(object).await
    }
    async fn promises(&self, of: &str) -> connector::Result<Vec<connector::Promise>> {
        self.0.promises(of).await
    }
    async fn find(
        &self,
        object: &ObjectRef,
        of: &str,
        secret: &Secret,
    ) -> connector::Result<Option<domain::ObservedCredential>> {
        self.0.find(object, of, secret).await
    }
    async fn sweep(
        &self,
        object: &ObjectRef,
        marker: Option<&str>,
    ) -> connector::Result<connector::Children> {
        self.0.sweep(object, marker).await
    }
    async fn mint(
        &self,
        object: &ObjectRef,
        request: AccessRequest<'_>,
    ) -> connector::Result<Access> {
        self.0.mint(object, request).await
    }
    async fn end_access(&self, object: &ObjectRef, handle: &Secret) -> connector::Result<Ended> {
        match self.1 {
            "access goes on" => Ok(Ended::Now),
            _ => self.0.end_access(object, handle).await,
        }
    }
}

#[async_trait]
impl Fixture for Wrongly {
    fn platform(&self) -> &'static dyn Platform {
        self.0.platform()
    }
    fn kind(&self) -> &'static str {
        self.0.kind()
    }
    async fn connect(&self, _: Wrap<'_>) -> Arc<dyn Connector> {
        Arc::new(Wrong(self.0.0.clone(), self.1))
    }
    fn sends(&self) -> bool {
        false
    }
    fn settings(&self) -> Settings {
        self.0.settings()
    }
    fn scopes(&self) -> Vec<Scope> {
        self.0.scopes()
    }
    async fn lets_in(&self, object: &ObjectRef, token: &Secret) -> Option<bool> {
        self.0.lets_in(object, token).await
    }
}

const LIMITS: &str = "the_end_of_one_is_brought_forward_and_put_off_and_the_others_keep_theirs";

#[tokio::test]
async fn the_suite_finds_what_is_wrong() {
    for (wrong, case) in [
        ("second create succeeds", "a_second_create_is_refused"),
        ("born with power", "an_integration_is_born_parked_with_its_record"),
        ("scopes only grow", "scopes_are_replaced_and_emptied"),
        ("switching wipes scopes", "switching_off_and_on_changes_nothing_else"),
        ("ending does nothing", "ending_one_leaves_the_others"),
        ("ending ends all", "ending_one_leaves_the_others"),
        ("accepts anything", "revocation_is_proven_by_use"),
        (
            "switching off ends",
            "one_that_is_switched_off_is_not_ended_and_works_when_it_is_switched_on",
        ),
        (
            "switching off does nothing",
            "one_that_is_switched_off_is_not_ended_and_works_when_it_is_switched_on",
        ),
        ("setting an end does nothing", LIMITS),
        ("setting an end sets all", LIMITS),
        ("no end stays one", LIMITS),
        ("no marker", "a_credential_is_issued_marked_and_listed"),
        ("one secret for all", "a_secret_of_ours_is_another_every_time"),
        (
            "access goes on",
            "access_lets_in_for_no_longer_than_asked_and_is_refused_once_it_is_ended",
        ),
    ] {
        let fixture = Wrongly(Faked(Fake::new(Arc::new(SystemClock)), fake::APP), wrong);
        fixture.0.0.disable_keys();
        fixture.0.0.move_expiries();
        let report = conformance::run(&fixture).await;
        let found = report.rows().iter().find(|(name, _)| *name == case).unwrap();
        assert!(matches!(found.1, Verdict::Broken(_)), "{wrong}: {found:?}");
    }
}

fn new() -> NewIntegration {
    let record = Record { realm: Some("k3x9q2".into()), ..Record::default() };
    NewIntegration {
        kind: fake::APP.into(),
        name: "x".into(),
        settings: Settings::default(),
        record,
    }
}

#[tokio::test]
async fn faults_come_in_the_order_asked_for() {
    let fake = Fake::new(Arc::new(SystemClock));
    fake.fail(
        Verb::Create,
        [Fault::NotSent, Fault::RequestLost, Fault::Refused(Refusal::Forbidden), Fault::AnswerLost],
    );
    let mut outcomes = Vec::new();
    for _ in 0..4 {
        outcomes.push(fake.create(&new()).await.map(drop).map_err(|error: Error| error.outcome()));
    }
    let expected =
        [Outcome::NotSent, Outcome::Ambiguous, Outcome::Refused, Outcome::Ambiguous].map(Err);
    assert_eq!(outcomes, expected);
    assert_eq!(
        fake.create(&new()).await.unwrap_err().refusal(),
        Some(Refusal::Conflict),
        "it was done"
    );
    assert_eq!(fake.calls().len(), 5);
}
