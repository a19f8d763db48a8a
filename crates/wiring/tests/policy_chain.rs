//! Versions of the policy over a real ledger and real signatures: what follows what was used last, and
//! what is open where nothing does.

use std::{collections::BTreeSet, fs, path::Path};

use approval::{
    Envelope, Folder, Statement, Store as _,
    chain::{self, Accepted},
    namespace,
    sshsig::sign,
    statement::{Policy, Said, shown},
};
use domain::Direction;
use jiff::{SignedDuration, Timestamp};
use operations::{
    Context, Deed, Problem,
    in_force::known,
    review::{Asked, pass},
};
use policy::change::{Action, Change, Value, impact::Facts, quorum::Decision};
use ssh_key::{PrivateKey, private::Ed25519Keypair};
use wiring::{Environment, Loaded, PolicyFiles};

const CONFIG: &str = "realm  = { id = \"abc123\", key = { env = \"KEY\" } }
ledger = { sqlite = { path = \"nhi.db\" } }
policy = { file = \"policy.hcl\" }
";

const PEOPLE: [(&str, u8); 3] = [("ann", 1), ("sam", 2), ("eve", 3)];

fn key(seed: u8) -> PrivateKey {
    PrivateKey::from(Ed25519Keypair::from_seed(&[seed; 32]))
}

/// A folder with a policy, as it lies in Git.
struct Repository(tempfile::TempDir);

impl Repository {
    fn new() -> Repository {
        let made = Repository(tempfile::tempdir().unwrap());
        fs::create_dir(made.at().join("approvals")).unwrap();
        made.signers(&PEOPLE[..2]);
        made.policy(1, "");
        made
    }

    fn at(&self) -> &Path {
        self.0.path()
    }

    fn policy(&self, version: u64, more: &str) {
        let text = format!(
            "review = {{\n  version = {version}\n  domain = \"acme.example\"\n  signers = \"allowed_signers\"\n  \
             roles = {{ security = [\"ann\", \"sam\"] }}\n  quorum = {{ medium = {{ people = 0 }}, critical = \
             {{ people = 2 }} }}\n{more}}}\n"
        );
        fs::write(self.at().join("policy.hcl"), text).unwrap();
    }

    fn signers(&self, people: &[(&str, u8)]) {
        let line = |(name, seed): &(&str, u8)| {
            format!("{name} {}\n", key(*seed).public_key().to_openssh().unwrap())
        };
        let text: String = people.iter().map(line).collect();
        fs::write(self.at().join("allowed_signers"), text).unwrap();
    }

    fn files(&self) -> PolicyFiles {
        PolicyFiles::read(&self.at().join("policy.hcl")).unwrap()
    }

    /// What `nhi policy sign` keeps.
    fn keep(&self) {
        let review = self.files().review.unwrap();
        review.kept().keep(&review.parts).unwrap();
    }

    /// Another run, which has looked what was used last.
    async fn run(&self) -> Context {
        let environment = Environment::of(&[("KEY", &"k".repeat(52))]);
        let loaded = Loaded::from_text(CONFIG, self.at(), None, environment).unwrap();
        let (context, wrong) = loaded.context_to_end("nhi", "command").unwrap();
        assert_eq!(wrong, None);
        context.settle_policy().await;
        context
    }

    async fn says(&self, who: &str, decision: Decision) {
        let context = self.run().await;
        let here = self.files().review.unwrap().version();
        let known = known(&context).await.unwrap().unwrap();
        let digest = chain::change("abc123", known, here).digest();
        let now = Timestamp::now();
        let statement = Statement {
            subjects: [(digest, "policy".to_owned())].into(),
            said: Said {
                decision,
                role: "security".into(),
                reason: "CHG-1".into(),
                signed_at: now,
                not_before: now,
                not_after: now + SignedDuration::from_hours(20),
                requester: None,
                ticket: None,
                policy: Policy { version: here.number, digest: "00".into() },
                shown: shown("policy"),
                nonce: format!("{who}-{}", decision.as_str()),
            },
        };
        let (_, seed) = PEOPLE.into_iter().find(|(name, _)| *name == who).unwrap();
        let payload = statement.to_bytes();
        let bytes = Envelope::signed_bytes(&payload);
        let signature = sign(&key(seed), &namespace("acme.example"), &bytes).unwrap();
        let envelope = Envelope { payload, signatures: vec![signature] }.to_json("");
        let store = Folder(self.at().join("approvals"));
        store.add(digest, &statement.said.nonce, envelope.as_bytes()).unwrap();
    }
}

fn deed(action: &'static str, direction: Direction) -> Deed {
    Deed {
        object: "bao/openbao_approle/x".into(),
        tenant: "t".into(),
        action,
        before: "a".into(),
        after: "b".into(),
        direction,
    }
}

/// A change that gives power, which the policy of these tests asks nobody for.
fn widening() -> Asked {
    let change = Change {
        tenant: "t".into(),
        kind: "nhi_scope".into(),
        object: "openbao_approle/x".into(),
        action: Action::Update,
        generation: 0,
        before: Value::map([("scopes", Value::set(["a:read"]))]),
        after: Value::map([("scopes", Value::set(["a:read", "b:read"]))]),
    };
    let facts = Facts {
        direction: Direction::Widens,
        action_before: Some(domain::Action::Read),
        action_after: Some(domain::Action::Read),
        environment: Some("test".into()),
        execution_mode: Some("batch".into()),
        takes_last_credential: false,
        removes_owner: false,
    };
    let (object, why) = ("bao/openbao_approle/x".to_owned(), Vec::new());
    Asked { object, change, facts, why, owners: BTreeSet::new() }
}

/// Gives power, as an apply does; what was in the way.
async fn gives_power(context: &Context) -> Result<(), Problem> {
    let leave = pass(context, &widening(), async { Ok(()) }).await?;
    context.gate.authorize(&deed("widen", Direction::Widens))?;
    if let Some(leave) = leave {
        leave.ended(context, None, false).await;
    }
    Ok(())
}

/// The code of what is in the way, having shown that power can be taken away all the same.
async fn refused(repository: &Repository) -> &'static str {
    let context = repository.run().await;
    for action in ["revoke", "disable", "narrow"] {
        let leave = context.gate.authorize(&deed(action, Direction::Narrows));
        assert!(leave.is_ok(), "{action}: {leave:?}");
    }
    assert!(context.gate.authorize(&deed("rotate", Direction::None)).is_err());
    let closed = context.gate.closed().expect("nothing is in the way").code;
    let problem = gives_power(&context).await.unwrap_err();
    assert_eq!(problem.code, closed);
    assert!(problem.next.is_some(), "{problem:?}");
    closed
}

#[tokio::test]
async fn a_new_version_is_used_when_those_have_signed_it_whom_the_one_before_asks() {
    let repository = Repository::new();
    let context = repository.run().await;
    assert_eq!(known(&context).await.unwrap(), None);
    gives_power(&context).await.unwrap();
    gives_power(&context).await.unwrap();
    let first = repository.files().review.unwrap().version();
    assert_eq!(known(&context).await.unwrap(), Some(first), "what is used is written down");
    drop(context);
    repository.keep();

    // Eve makes herself a signer, and a policy that asks for her alone.
    repository.signers(&PEOPLE);
    repository.policy(2, "  owners = { x = [\"eve\"] }\n");
    assert_eq!(refused(&repository).await, "E-POLICY-UNSIGNED");
    repository.says("eve", Decision::Approve).await;
    repository.says("ann", Decision::Approve).await;
    assert_eq!(refused(&repository).await, "E-POLICY-UNSIGNED", "eve is nobody for the old one");
    repository.says("sam", Decision::Approve).await;
    let context = repository.run().await;
    let chain = context.gate.chain().unwrap();
    assert!(matches!(chain.judged(&context).await, Ok(Accepted::Signed(_))));
    gives_power(&context).await.unwrap();
    drop(context);

    // What was used last is what it is held against, and no way leads back.
    repository.signers(&PEOPLE[..2]);
    repository.policy(1, "");
    assert_eq!(refused(&repository).await, "E-POLICY-ROLLBACK");
}

#[tokio::test]
async fn what_is_changed_under_one_version_or_asks_nobody_any_more_is_refused() {
    let repository = Repository::new();
    gives_power(&repository.run().await).await.unwrap();
    // Who may sign is part of it.
    repository.signers(&PEOPLE);
    assert_eq!(refused(&repository).await, "E-POLICY-ROLLBACK");
    repository.signers(&PEOPLE[..2]);
    gives_power(&repository.run().await).await.unwrap();
    fs::write(repository.at().join("policy.hcl"), "claim_ttl = \"5m\"\n").unwrap();
    let context = repository.run().await;
    assert_eq!(context.gate.closed().unwrap().code, "E-POLICY-ROLLBACK");
    assert!(context.gate.authorize(&deed("widen", Direction::Widens)).is_err());
    assert!(context.gate.authorize(&deed("narrow", Direction::Narrows)).is_ok());
}

#[tokio::test]
async fn a_no_keeps_a_version_out_and_so_does_the_loss_of_the_one_before() {
    let repository = Repository::new();
    gives_power(&repository.run().await).await.unwrap();
    repository.policy(2, "");
    for who in ["ann", "sam"] {
        repository.says(who, Decision::Approve).await;
    }
    // Nobody knows whom the first one asks: it was not kept.
    assert_eq!(refused(&repository).await, "E-POLICY-UNSIGNED");
    repository.policy(1, "");
    repository.keep();
    repository.policy(2, "");
    assert!(repository.run().await.gate.closed().is_none());
    // What was kept is what was used, or nothing.
    let kept = repository.at().join("approvals/policies");
    let version = fs::read_dir(&kept).unwrap().next().unwrap().unwrap().path();
    let policy = version.join("policy.hcl");
    let text = fs::read_to_string(&policy).unwrap();
    fs::write(&policy, text.replace("people = 2", "people = 1")).unwrap();
    assert_eq!(refused(&repository).await, "E-POLICY-UNSIGNED");
    fs::write(&policy, text).unwrap();
    repository.says("sam", Decision::Reject).await;
    assert_eq!(refused(&repository).await, "E-POLICY-UNSIGNED");
}

#[test]
fn the_examples_are_right_and_everybody_can_do_what_they_ask() {
    for (name, odd) in [("day-one", 1), ("strict", 2)] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../examples/review")
            .join(name)
            .join("policy.hcl");
        let files = PolicyFiles::read(&path).unwrap();
        let review = files.review.unwrap();
        let keys: Vec<_> = review
            .signers
            .listed(&namespace(&review.terms.domain))
            .map(|one| policy::change::advice::Key {
                place: format!("line {}", one.line),
                principals: one.principals.to_vec(),
                is_hardware: Some(one.is_hardware),
                is_over: review.revoked.has_key(one.key),
            })
            .collect();
        assert!(!keys.is_empty(), "{name}");
        let now = Timestamp::now().into();
        let found =
            policy::change::advice::advice(&review.terms, &keys, &files.rules.environments, now);
        assert!(found.len() <= odd, "{name}: {found:#?}");
        let stuck = policy::change::advice::Weight::Stuck;
        assert!(found.iter().all(|one| one.weight != stuck), "{name}: {found:#?}");
    }
}

#[test]
fn what_is_wrong_in_a_policy_is_told_with_its_line_and_column() {
    let repository = Repository::new();
    let path = repository.at().join("policy.hcl");
    let told = || PolicyFiles::read(&path).unwrap_err().to_string();
    repository.policy(1, "  freeze = [{ reason = \"r\" }]\n");
    assert!(told().contains("policy.hcl:7:13: review.freeze.0.from: must be set"), "{}", told());
    repository.policy(1, "  requesters = {\n    ci = 1\n  }\n");
    assert!(told().contains("policy.hcl:8:5: review.requesters.ci: expected"), "{}", told());
    repository.policy(1, "");
    fs::write(repository.at().join("allowed_signers"), "ann ssh-ed25519 AAAA\n").unwrap();
    assert!(told().contains("allowed_signers") && told().contains("line 1"), "{}", told());
    fs::remove_file(repository.at().join("allowed_signers")).unwrap();
    assert!(told().contains("review.signers"), "{}", told());
}

#[tokio::test]
async fn a_token_of_a_run_says_who_asks_and_what_is_wrong_with_one_is_told() {
    let repository = Repository::new();
    let keys = include_str!("../../../fuzz/keys/jwks.json");
    fs::write(repository.at().join("ci.json"), keys).unwrap();
    repository.policy(
        1,
        "  requesters = { ci = { issuer = \"https://ci.example\", keys = \"ci.json\", audience = \"nhi\",
           require = { repository = \"acme/nhi\" }, claim = \"actor\", principals = { octo = \"bo\" } } }\n",
    );
    // It was good in 2027, for a quarter of an hour.
    let token = include_str!("../../../fuzz/seeds/tokens/rs256");
    let load = |variables: &[(&str, &str)]| {
        let environment = Environment::of(&[&[("KEY", &*"k".repeat(52))], variables].concat());
        let loaded = Loaded::from_text(CONFIG, repository.at(), None, environment).unwrap();
        let context = loaded.context("nhi", "command").unwrap();
        let board = context.gate.board().unwrap();
        (board.requester.clone(), board.unproven.clone())
    };
    assert_eq!(load(&[]), (None, None));
    let (who, why) = load(&[("NHI_REQUEST_TOKEN", token)]);
    let why = why.unwrap();
    assert!(who.is_none() && (why.contains("is over") || why.contains("to come")), "{why}");
    assert!(!why.contains(&token[..40]), "the token is told");
    let (_, why) = load(&[("NHI_REQUEST_TOKEN_FILE", "no-such-file")]);
    assert!(why.unwrap().contains("no-such-file"));
    // Who writes a name into the configuration shows nothing by that.
    let config = format!("{CONFIG}run = {{ requester = \"bo\" }}\n");
    let environment = Environment::of(&[("KEY", &"k".repeat(52))]);
    let loaded = Loaded::from_text(&config, repository.at(), None, environment).unwrap();
    let context = loaded.context("nhi", "command").unwrap();
    assert_eq!(context.gate.board().unwrap().requester, None);
}
