//! Where a board reviews changes: what gives power is refused until those have signed whom the policy asks for,
//! and what they signed is that change, once, from where it was.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use approval::{
    Envelope, Folder, Revoked, Signers, Statement, Store as _, namespace,
    sshsig::sign,
    statement::{Policy, Said, shown},
};
use operations::review::ReviewBoard;
use policy::change::{
    Digest,
    freeze::{Freeze, When},
    impact::Level,
    quorum::Decision,
    review::Review,
    standing::Class,
};
use serde_json::{Value, json};
use ssh_key::{PrivateKey, private::Ed25519Keypair};
use tfplugin::mini_core::{MiniCore, Plan, State};

use crate::world::{World, credential, integration, monthly, scope};

const DOMAIN: &str = "acme.example";

fn key(seed: u8) -> PrivateKey {
    PrivateKey::from(Ed25519Keypair::from_seed(&[seed; 32]))
}

/// A world in which ann answers for payments, sam, sue and bo are security, and bo asks.
pub(crate) struct Office {
    pub(crate) world: World,
    folder: tempfile::TempDir,
    nonce: AtomicU32,
}

pub(crate) const PEOPLE: [(&str, u8); 4] = [("ann", 1), ("sam", 2), ("sue", 3), ("bo", 4)];

impl Office {
    pub(crate) fn new() -> Office {
        let folder = tempfile::tempdir().unwrap();
        let mut office = Office { world: World::new(), folder, nonce: AtomicU32::new(0) };
        std::fs::create_dir(office.approvals()).unwrap();
        office.world.board = Some(office.board(Some("bo")));
        office
    }

    fn approvals(&self) -> PathBuf {
        self.folder.path().join("approvals")
    }

    fn board(&self, requester: Option<&str>) -> Arc<ReviewBoard> {
        let signers = PEOPLE
            .map(|(name, seed)| format!("{name} {}", key(seed).public_key().to_openssh().unwrap()));
        let set = |all: &[&str]| all.iter().map(|one| (*one).to_owned()).collect::<BTreeSet<_>>();
        let mut quorum = Review::usual_quorum();
        for one in quorum.values_mut() {
            one.roles = set(&["owner", "security"]);
        }
        let terms = Review {
            version: 3,
            domain: DOMAIN.into(),
            signers: "allowed_signers".into(),
            revoked: None,
            approvals: "approvals".into(),
            board: policy::change::quorum::Board {
                quorum,
                roles: [("security".to_owned(), set(&["sam", "sue", "bo"]))].into(),
                break_glass: Some(policy::change::quorum::BreakGlass {
                    people: set(&["sue"]),
                    presence: policy::change::quorum::Presence::Key,
                    longest: domain::Span::from_secs(3600),
                    changes: 1,
                    review_within: domain::Span::from_secs(86_400),
                }),
            },
            owners: [("payments".to_owned(), set(&["ann"]))].into(),
            rules: Review::usual_rules(),
            usual_impact: true,
            freezes: Vec::new(),
            standing: Class::usual(),
            requesters: Default::default(),
        };
        let signers = Signers::parse(&signers.join("\n")).unwrap();
        let store = Box::new(Folder(self.approvals()));
        let board = ReviewBoard::new(terms, "00".into(), signers, Revoked::default(), store);
        Arc::new(board.asked_by(requester.map(str::to_owned)))
    }

    /// Somebody says something of a change, now.
    pub(crate) fn says(&self, who: &str, role: &str, decision: Decision, digest: Digest) {
        let now = self.world.now();
        let (_, seed) = PEOPLE.into_iter().find(|(name, _)| *name == who).unwrap();
        let nonce = self.nonce.fetch_add(1, Ordering::SeqCst);
        let statement = Statement {
            subjects: [(digest, "a change".to_owned())].into(),
            said: Said {
                decision,
                role: role.into(),
                reason: "CHG-1".into(),
                signed_at: now,
                not_before: now,
                not_after: now
                    .checked_add(jiff::SignedDuration::from_hours(match decision {
                        Decision::BreakGlass => 1,
                        _ => 20,
                    }))
                    .unwrap(),
                requester: Some("bo".into()),
                ticket: None,
                policy: Policy { version: 3, digest: "00".into() },
                shown: shown("a change"),
                nonce: format!("n{nonce}"),
            },
        };
        let payload = statement.to_bytes();
        let bytes = Envelope::signed_bytes(&payload);
        let signature = sign(&key(seed), &namespace(DOMAIN), &bytes).unwrap();
        let envelope = Envelope { payload, signatures: vec![signature] }.to_json("");
        let store = Folder(self.approvals());
        store.add(digest, &format!("{who}-{nonce}"), envelope.as_bytes()).unwrap();
    }

    fn approves(&self, who: &str, role: &str, digest: Digest) {
        self.says(who, role, Decision::Approve, digest);
    }

    /// All that are needed approve what this plan shows.
    fn all_approve(&self, plan: &Plan) {
        let digest = digest(plan);
        self.approves("ann", "owner", digest);
        self.approves("sam", "security", digest);
    }

    /// Plans a change, has it approved and makes it.
    async fn change(&self, core: &MiniCore, prior: &State, config: Value) -> State {
        let plan = core.plan(prior, config).await.unwrap();
        if !told(&plan).is_empty() {
            self.all_approve(&plan);
        }
        core.apply(plan).await.unwrap().unwrap()
    }

    pub(crate) async fn make(&self, core: &MiniCore, kind: &str, config: Value) -> State {
        let plan = core.plan_create(kind, config).await.unwrap();
        self.all_approve(&plan);
        core.apply(plan).await.unwrap().unwrap()
    }
}

/// What a plan says of approvals.
pub(crate) fn told(plan: &Plan) -> String {
    let all = plan.diagnostics.iter().filter(|one| one.summary.contains("needs an approval"));
    all.map(|one| format!("{}\n{}", one.summary, one.detail)).collect()
}

/// The digest of the change that a plan asks an approval for.
pub(crate) fn digest(plan: &Plan) -> Digest {
    let told = told(plan);
    let at = told.find("sha256:").unwrap_or_else(|| panic!("no digest in {told:?}"));
    Digest::parse(&told[at..at + 71]).unwrap()
}

const NEW: &[&str] = &["secret/data/new/*:read"];
const MORE: &[&str] = &["secret/data/new/*:read", "secret/data/payroll/*:read"];

pub(crate) fn scopes(made: &State, scopes: &[&str]) -> Value {
    scope(made, json!(scopes), Value::Null)
}

pub(crate) async fn refused(core: &MiniCore, plan: Plan) -> String {
    match core.apply(plan).await {
        Ok(_) => panic!("it was done"),
        Err(refusal) => refusal.to_string(),
    }
}

#[tokio::test(start_paused = true)]
async fn what_gives_power_is_refused_until_those_have_signed_whom_the_policy_asks_for() {
    let office = Office::new();
    let core = office.world.run().await;
    let plan = core.plan_create("nhi_integration", integration()).await.unwrap();
    let first = digest(&plan);
    let said = refused(&core, plan).await;
    assert!(said.contains("E-APPROVAL-MISSING") && said.contains("needs 1 person"), "{said}");
    assert!(said.contains(&format!("nhi approve {}", first.short())), "{said}");
    assert!(!office.world.exists().await, "it was made all the same");
    // A plan of another day has the same digest.
    let core = office.world.run().await;
    let plan = core.plan_create("nhi_integration", integration()).await.unwrap();
    assert_eq!(digest(&plan), first);
    office.approves("ann", "owner", first);
    let made = core.apply(plan).await.unwrap().unwrap();
    // What can read secrets needs two, and the owner's word twice is one person's.
    let config = scopes(&made, NEW);
    let plan = core.plan_create("nhi_scope", config.clone()).await.unwrap();
    let second = digest(&plan);
    office.approves("ann", "owner", second);
    office.approves("ann", "owner", second);
    let said = refused(&core, plan).await;
    assert!(said.contains("E-APPROVAL-QUORUM") && said.contains("needs 2 people"), "{said}");
    assert!(said.contains("have   ann (owner, a key, 2026-11-24T10:00Z)"), "{said}");
    assert!(office.world.scopes().await.is_empty());
    office.approves("sam", "security", second);
    let plan = core.plan_create("nhi_scope", config).await.unwrap();
    assert_eq!(told(&plan), "", "all have signed");
    core.apply(plan).await.unwrap();
    assert_eq!(office.world.scopes().await, NEW);
}

#[tokio::test(start_paused = true)]
async fn who_asks_cannot_approve_and_a_no_stops_all_who_say_yes() {
    let office = Office::new();
    let core = office.world.run().await;
    let plan = core.plan_create("nhi_integration", integration()).await.unwrap();
    let first = digest(&plan);
    office.approves("bo", "security", first);
    let said = refused(&core, plan).await;
    // It is the role that is asked for: what is in the way is who signs.
    assert!(said.contains("E-APPROVAL-SELF") && said.contains("bo asked for the change"), "{said}");
    let plan = core.plan_create("nhi_integration", integration()).await.unwrap();
    office.approves("ann", "security", first);
    let said = refused(&core, plan).await;
    assert!(said.contains("E-APPROVAL-ROLE"), "{said}");
    office.approves("ann", "owner", first);
    office.says("sue", "security", Decision::Reject, first);
    let plan = core.plan_create("nhi_integration", integration()).await.unwrap();
    let said = refused(&core, plan).await;
    assert!(said.contains("E-APPROVAL-REJECTED") && said.contains("rejected by sue"), "{said}");
    assert!(!office.world.exists().await);
}

#[tokio::test(start_paused = true)]
async fn an_approval_dies_where_what_is_there_is_no_longer_what_was_reviewed() {
    let office = Office::new();
    let core = office.world.run().await;
    let made = office.make(&core, "nhi_integration", integration()).await;
    let scoped = office.make(&core, "nhi_scope", scopes(&made, NEW)).await;
    let plan = core.plan(&scoped, scopes(&made, MORE)).await.unwrap();
    office.all_approve(&plan);
    office.world.by_hand(|hand| hand.grant("secret/data/hr/*:read"));
    let said = refused(&core, plan).await;
    assert!(said.contains("E-STALE-LIVE") && said.contains("secret/data/hr"), "{said}");
    assert!(!office.world.scopes().await.contains(&MORE[1].to_owned()), "it was given");
}

#[tokio::test(start_paused = true)]
async fn what_was_approved_once_is_done_once_and_a_signature_of_later_allows_it_again() {
    let office = Office::new();
    let core = office.world.run().await;
    let made = office.make(&core, "nhi_integration", integration()).await;
    let few = office.make(&core, "nhi_scope", scopes(&made, NEW)).await;
    let plan = core.plan(&few, scopes(&made, MORE)).await.unwrap();
    let widening = digest(&plan);
    office.all_approve(&plan);
    let many = core.apply(plan).await.unwrap().unwrap();
    // Taking power away asks nobody.
    let plan = core.plan(&many, scopes(&made, NEW)).await.unwrap();
    assert_eq!(told(&plan), "");
    let few = core.apply(plan).await.unwrap().unwrap();
    assert_eq!(office.world.scopes().await, NEW);
    let plan = core.plan(&few, scopes(&made, MORE)).await.unwrap();
    assert_eq!(digest(&plan), widening, "the same change is the same digest");
    let said = refused(&core, plan).await;
    assert!(said.contains("E-APPROVAL-USED"), "{said}");
    office.world.pass_hours(1);
    office.approves("ann", "owner", widening);
    office.approves("sue", "security", widening);
    let plan = core.plan(&few, scopes(&made, MORE)).await.unwrap();
    core.apply(plan).await.unwrap();
    assert_eq!(office.world.scopes().await, MORE);
}

#[tokio::test(start_paused = true)]
async fn an_approval_is_over_when_its_time_is() {
    let office = Office::new();
    let core = office.world.run().await;
    let plan = core.plan_create("nhi_integration", integration()).await.unwrap();
    office.all_approve(&plan);
    office.world.pass_hours(21);
    let said = refused(&core, plan).await;
    assert!(said.contains("E-APPROVAL-EXPIRED"), "{said}");
}

#[tokio::test(start_paused = true)]
async fn a_lost_folder_of_approvals_stops_what_gives_power_and_nothing_that_takes_it_away() {
    let office = Office::new();
    let core = office.world.run().await;
    let made = office.make(&core, "nhi_integration", integration()).await;
    let many = office.make(&core, "nhi_scope", scopes(&made, MORE)).await;
    std::fs::remove_dir_all(office.approvals()).unwrap();
    let few = office.change(&core, &many, scopes(&made, NEW)).await;
    assert_eq!(office.world.scopes().await, NEW);
    let plan = core.plan(&few, scopes(&made, MORE)).await.unwrap();
    let said = refused(&core, plan).await;
    assert!(said.contains("E-APPROVAL-STORE"), "{said}");
    core.destroy(few).await.unwrap();
    assert!(office.world.scopes().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_rotation_by_its_schedule_asks_nobody_and_another_place_of_the_secret_does() {
    let office = Office::new();
    let core = office.world.run().await;
    let made = office.make(&core, "nhi_integration", integration()).await;
    let config = credential(&made, monthly());
    let slot = office.make(&core, "nhi_credential", config.clone()).await;
    office.world.at("2026-12-02T00:00:00Z");
    let core = office.world.run().await;
    let slot = core.refresh(&slot).await.unwrap().unwrap();
    let plan = core.plan(&slot, config.clone()).await.unwrap();
    assert_eq!(told(&plan), "");
    let slot = core.apply(plan).await.unwrap().unwrap();
    assert_eq!(slot.json()["generation"], 2);
    let mut elsewhere = config;
    elsewhere["deliver_to"]["copy"] = json!({ "connection": "apps", "path": "apps/copy" });
    let plan = core.plan(&slot, elsewhere).await.unwrap();
    assert!(told(&plan).contains("deliver_to.copy"), "{}", told(&plan));
    let said = refused(&core, plan).await;
    assert!(said.contains("E-APPROVAL-MISSING"), "{said}");
    assert!(office.world.stored("apps/copy").await.is_none());
}

#[tokio::test(start_paused = true)]
async fn where_nobody_has_shown_who_asks_one_more_is_needed() {
    let mut office = Office::new();
    office.world.board = Some(office.board(None));
    let core = office.world.run().await;
    let plan = core.plan_create("nhi_integration", integration()).await.unwrap();
    let first = digest(&plan);
    office.approves("sue", "security", first);
    let said = refused(&core, plan).await;
    assert!(said.contains("needs 2 people") && said.contains("shown who asks"), "{said}");
    office.approves("sam", "security", first);
    let plan = core.plan_create("nhi_integration", integration()).await.unwrap();
    core.apply(plan).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn in_a_freeze_nothing_is_changed_but_what_takes_power_away_and_what_is_due() {
    let mut office = Office::new();
    let core = office.world.run().await;
    let made = office.make(&core, "nhi_integration", integration()).await;
    let many = office.make(&core, "nhi_scope", scopes(&made, MORE)).await;
    let config = credential(&made, monthly());
    let slot = office.make(&core, "nhi_credential", config.clone()).await;
    let at = |text: &str| text.parse().unwrap();
    let when = When::Once { from: at("2026-11-01T00:00:00Z"), until: at("2026-12-24T00:00:00Z") };
    let freeze = Freeze { when, reason: "the year ends".into(), but: BTreeSet::new() };
    let mut board = Arc::into_inner(office.board(Some("bo"))).unwrap();
    board.terms.freezes = vec![freeze];
    // What is approved beforehand waits for nobody, whatever its level needs.
    board.terms.board.quorum.get_mut(&Level::Low).unwrap().people = 1;
    office.world.board = Some(Arc::new(board));
    let core = office.world.run().await;
    let few = office.change(&core, &many, scopes(&made, NEW)).await;
    assert_eq!(office.world.scopes().await, NEW);
    office.world.at("2026-12-02T00:00:00Z");
    let core = office.world.run().await;
    let slot = core.refresh(&slot).await.unwrap().unwrap();
    let plan = core.plan(&slot, config).await.unwrap();
    assert_eq!(core.apply(plan).await.unwrap().unwrap().json()["generation"], 2);
    let plan = core.plan(&few, scopes(&made, MORE)).await.unwrap();
    let frozen = plan.diagnostics.iter().any(|one| one.detail.contains("E-CHANGE-FROZEN"));
    assert!(frozen, "{:?}", plan.diagnostics);
    office.all_approve(&plan);
    let said = refused(&core, plan).await;
    assert!(said.contains("E-CHANGE-FROZEN") && said.contains("the year ends"), "{said}");
    assert_eq!(office.world.scopes().await, NEW);
    office.world.at("2026-12-24T00:00:00Z");
    let core = office.world.run().await;
    let plan = core.plan(&few, scopes(&made, MORE)).await.unwrap();
    office.all_approve(&plan);
    core.apply(plan).await.unwrap();
    assert_eq!(office.world.scopes().await, MORE);
}

#[tokio::test(start_paused = true)]
async fn a_rotation_that_is_not_approved_beforehand_needs_somebody() {
    let mut office = Office::new();
    let core = office.world.run().await;
    let made = office.make(&core, "nhi_integration", integration()).await;
    let config = credential(&made, monthly());
    let slot = office.make(&core, "nhi_credential", config.clone()).await;
    let mut board = Arc::into_inner(office.board(Some("bo"))).unwrap();
    board.terms.standing = [Class::Narrowing].into();
    office.world.board = Some(Arc::new(board));
    office.world.at("2026-12-02T00:00:00Z");
    let core = office.world.run().await;
    let slot = core.refresh(&slot).await.unwrap().unwrap();
    let plan = core.plan(&slot, config.clone()).await.unwrap();
    assert!(told(&plan).contains("rotations are not approved beforehand"), "{}", told(&plan));
    office.all_approve(&plan);
    assert_eq!(core.apply(plan).await.unwrap().unwrap().json()["generation"], 2);
}

#[tokio::test(start_paused = true)]
async fn what_was_allowed_and_how_it_ended_stands_in_the_ledger() {
    let office = Office::new();
    let core = office.world.run().await;
    let plan = core.plan_create("nhi_integration", integration()).await.unwrap();
    let first = digest(&plan);
    office.all_approve(&plan);
    core.apply(plan).await.unwrap();
    let all = office.world.ledger.entries(&ledger::Filter::all()).await.unwrap().entries;
    let auth = format!("approval:{first}");
    let of: Vec<&str> = all
        .iter()
        .filter(|one| one.auth.as_deref() == Some(&auth))
        .map(|one| one.kind.as_str())
        .collect();
    assert_eq!(of.first(), Some(&"change.authorized"), "{of:?}");
    assert!(of.contains(&"attempt.started"), "{of:?}");
    assert_eq!(of.last(), Some(&"change.done"), "{of:?}");
    // With what it rests on, so that it can be checked when the folder and the keys are gone.
    let allowed = all.iter().find(|one| one.kind == "change.authorized").unwrap();
    assert!(allowed.body.len() < 4096);
    let mut documents = std::collections::HashMap::new();
    for hash in allowed.changes.iter().flat_map(ledger::Change::names) {
        documents.insert(hash, office.world.ledger.document(&hash).await.unwrap().unwrap());
    }
    let kept = allowed.kept(|hash| documents.get(hash).cloned());
    let of = |what: &str| -> Vec<&Vec<u8>> {
        kept.iter().filter(|(name, _)| name == what).map(|(_, bytes)| bytes).collect()
    };
    let record = [b"nhi-change/v1\n", &of("record")[0][..]].concat();
    assert_eq!(domain::realm::sha256(&record), first.0, "the record is that of the change");
    let people = allowed.detail["people"].as_array().unwrap();
    assert_eq!((of("approval").len(), people.len()), (2, 2), "{people:?}");
    assert!(people.iter().all(|one| one["key"].as_str().unwrap().starts_with("SHA256:")));
    for bytes in of("approval") {
        assert!(approval::Envelope::from_json(bytes).is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn who_breaks_the_glass_goes_ahead_alone_once_and_owes_a_review_until_those_have_signed() {
    let office = Office::new();
    let core = office.world.run().await;
    let made = office.make(&core, "nhi_integration", integration()).await;
    let plan = core.plan_create("nhi_scope", scopes(&made, NEW)).await.unwrap();
    let widening = digest(&plan);
    office.says("ann", "owner", Decision::BreakGlass, widening);
    let said = refused(&core, plan).await;
    assert!(said.contains("none of those whom the policy lets"), "{said}");
    office.says("sue", "break-glass", Decision::BreakGlass, widening);
    let plan = core.plan_create("nhi_scope", scopes(&made, NEW)).await.unwrap();
    core.apply(plan).await.unwrap();
    assert_eq!(office.world.scopes().await, NEW);
    let rows = office.world.ledger.obligations_with("break_glass").await.unwrap();
    assert_eq!((rows.len(), rows[0].state.as_str()), (1, "open"));
    // Not twice before the first is reviewed.
    let plan = core.plan_create("nhi_credential", credential(&made, monthly())).await.unwrap();
    office.says("sue", "break-glass", Decision::BreakGlass, digest(&plan));
    let said = refused(&core, plan).await;
    assert!(said.contains("E-BREAK-GLASS") && said.contains("wait for a review"), "{said}");
    let context = office.world.context();
    let owed = || operations::break_glass::unreviewed(&context);
    assert_eq!(owed().await.unwrap()[0].1.rule, "break-glass-unreviewed");
    // Those who would have had to sign it, later: whoever did it is none of them.
    office.world.pass_hours(2);
    office.approves("sue", "security", widening);
    office.approves("ann", "owner", widening);
    assert_eq!(owed().await.unwrap().len(), 1);
    office.approves("sam", "security", widening);
    assert_eq!(owed().await.unwrap(), []);
    let closed = operations::break_glass::close_reviewed(&context).await.unwrap();
    assert_eq!(closed[0].digest, widening);
    let rows = office.world.ledger.obligations_with("break_glass").await.unwrap();
    assert_eq!(rows[0].state, "met");
}

#[tokio::test(start_paused = true)]
async fn a_review_that_somebody_who_may_has_signed_clears_what_is_overdue_at_the_next_read() {
    use approval::review::{Conclusion, Review as Reviewed};
    let mut office = Office::new();
    // It was made before anybody reviewed changes.
    let board = office.world.board.take();
    let core = office.world.run().await;
    let config = crate::world::with(integration(), json!({ "review_every": "90d" }));
    let made = core.create("nhi_integration", config).await.unwrap();
    office.world.board = board;
    office.world.pass_hours(91 * 24);
    let core = office.world.run().await;
    let (late, _) = core.observe(&made).await.unwrap();
    let late = late.unwrap().json();
    assert_eq!(late["standing"]["review_overdue"], "warn");
    assert_eq!(late["reviewed_on"], Value::Null);

    let store = Folder(office.approvals());
    let id = late["id"].as_str().unwrap().to_owned();
    // As nhi attest takes it: from what the ledger knows of the integration.
    let rows = office.world.ledger.integrations(&ledger::Selection::of(&id)).await.unwrap();
    let tenant = rows[0].tenant.clone();
    let sign_as = |seed: u8, id: &str, tenant: &str, nonce: &str| {
        let said = (Conclusion::Keep, "still needed");
        let shown = ("00".to_owned(), nonce.to_owned());
        let review = Reviewed::new((tenant, id), said, office.world.now(), shown);
        let payload = review.to_bytes();
        let bytes = Envelope::signed_bytes(&payload);
        let signatures = vec![sign(&key(seed), &namespace(DOMAIN), &bytes).unwrap()];
        // It is put where the right one would be, whatever it says.
        let place = approval::review::key(tenant, late["id"].as_str().unwrap());
        let envelope = Envelope { payload, signatures }.to_json("");
        store.add(place, nonce, envelope.as_bytes()).unwrap();
    };
    // Nobody here has that key, and it is of another integration.
    sign_as(9, &id, &tenant, "n1");
    sign_as(1, "bao/openbao_approle/other", &tenant, "n2");
    let core = office.world.run().await;
    let still = core.observe(&made).await.unwrap().0.unwrap().json();
    assert_eq!(still["standing"]["review_overdue"], "warn", "none of these is a review of it");

    sign_as(1, &id, &tenant, "n3");
    let core = office.world.run().await;
    let clear = core.observe(&made).await.unwrap().0.unwrap();
    assert_eq!(clear.json()["standing"].get("review_overdue"), None);
    let today = office.world.now().to_string()[..10].to_owned();
    assert_eq!(clear.json()["reviewed_on"], today.as_str());
    office.world.pass_hours(91 * 24);
    let core = office.world.run().await;
    let again = core.observe(&clear).await.unwrap().0.unwrap().json();
    assert_eq!(again["standing"]["review_overdue"], "warn", "it is due again after that long");
    // What cannot be read is no sign that nobody looked.
    std::fs::rename(office.approvals(), office.folder.path().join("elsewhere")).unwrap();
    let core = office.world.run().await;
    let unread = core.observe(&clear).await.unwrap().0.unwrap().json();
    assert_eq!(unread["standing"].get("review_overdue"), None);
}

#[tokio::test(start_paused = true)]
async fn a_change_that_takes_power_away_gives_none_back_that_somebody_took_meanwhile() {
    let office = Office::new();
    let core = office.world.run().await;
    let made = office.make(&core, "nhi_integration", integration()).await;
    let many = office.make(&core, "nhi_scope", scopes(&made, MORE)).await;
    let plan = core.plan(&many, scopes(&made, NEW)).await.unwrap();
    assert_eq!(told(&plan), "", "it takes away, and asks nobody");
    // In an incident, between the plan and its apply.
    office.world.by_hand(|hand| MORE.iter().for_each(|scope| hand.withdraw(scope)));
    let said = refused(&core, plan).await;
    assert!(said.contains("E-APPROVAL-MISSING"), "{said}");
    assert!(office.world.scopes().await.is_empty(), "it was given back");
    // So is an integration that a hand has switched off: what no change of it is about switches nothing on.
    office.world.by_hand(|hand| hand.enable(false));
    let mut config = integration();
    config["labels"] = json!({ "team": "payments" });
    let plan = core.plan(&made, config).await.unwrap();
    let said = refused(&core, plan).await;
    assert!(said.contains("E-APPROVAL-MISSING"), "{said}");
    assert!(!office.world.shown().await.enabled, "it was switched on");
}

#[tokio::test(start_paused = true)]
async fn who_is_to_own_it_next_is_approved_by_who_owns_it_now() {
    let office = Office::new();
    let core = office.world.run().await;
    let made = office.make(&core, "nhi_integration", integration()).await;
    let mut config = integration();
    config["technical_owner"] = json!({ "id": "owner/mine", "status": "unchecked" });
    let plan = core.plan(&made, config.clone()).await.unwrap();
    assert!(told(&plan).contains("technical_owner"), "{}", told(&plan));
    let said = refused(&core, plan).await;
    assert!(said.contains("E-APPROVAL-MISSING"), "{said}");
    let plan = core.plan(&made, config).await.unwrap();
    office.approves("ann", "owner", digest(&plan));
    core.apply(plan).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn no_change_makes_itself_smaller_by_what_it_says_beside_it() {
    let office = Office::new();
    let core = office.world.run().await;
    let made = office.make(&core, "nhi_integration", integration()).await;
    let mut config = scopes(&made, NEW);
    // Another environment than the one that is there, and a lower action than the platform's table has.
    config["integration"]["environment"] = json!("test");
    config["classify"] = json!({ "secret/data/new/*:read": "read" });
    let plan = core.plan_create("nhi_scope", config).await.unwrap();
    assert!(told(&plan).contains("impact high"), "{}", told(&plan));
}

#[tokio::test(start_paused = true)]
async fn a_change_that_failed_and_left_nothing_keeps_its_signatures_and_one_that_was_cut_off_does_not()
 {
    let office = Office::new();
    let core = office.world.run().await;
    let made = office.make(&core, "nhi_integration", integration()).await;
    let few = office.make(&core, "nhi_scope", scopes(&made, NEW)).await;
    let plan = core.plan(&few, scopes(&made, MORE)).await.unwrap();
    office.all_approve(&plan);
    office.world.fake.fail(
        connector::fake::Verb::Modify,
        [connector::fake::Fault::Refused(connector::Refusal::Forbidden)],
    );
    let said = refused(&core, plan).await;
    assert!(!said.contains("E-APPROVAL"), "{said}");
    office.world.fake.heal();
    let plan = core.plan(&few, scopes(&made, MORE)).await.unwrap();
    assert_eq!(told(&plan), "", "what was signed counts still");
    let context = office.world.context();
    let one =
        provider::review::reviewed("nhi_scope", &plan.prior.as_ref().unwrap().value, &plan.planned)
            .unwrap()
            .unwrap();
    let asked = one.ask(&context).await.unwrap();
    // A run that is cut off once it may begin.
    let leave = operations::review::pass(&context, &asked, async { Ok(()) }).await.unwrap();
    // While it may be at work still, nobody else makes the same change.
    let mut run = office.world.run().await;
    let plan = run.plan(&few, scopes(&made, MORE)).await.unwrap();
    let said = refused(&run, plan).await;
    assert!(said.contains("E-APPROVAL-BUSY"), "{said}");
    drop(leave);
    // Its time is over.
    let subject = format!("change/{}", asked.change.digest().hex());
    let (ledger, second) = (&context.ledger, std::time::Duration::from_secs(1));
    let fence = ledger.lease(&subject, &context.run.id, second).await.unwrap().ours().unwrap();
    ledger.release(&fence).await.unwrap();
    office.world.pass_hours(1);
    run = office.world.run().await;
    let plan = run.plan(&few, scopes(&made, MORE)).await.unwrap();
    let said = refused(&run, plan).await;
    assert!(said.contains("E-APPROVAL-USED"), "{said}");
}
