//! A board over what ann and sam sign: what deeds need of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
};

use approval::{
    Envelope, Revoked, Signers, Statement, Store, namespace,
    sshsig::sign,
    statement::{Policy, Said, shown},
    store::{Kept, StoreError},
};
use jiff::Timestamp;
use operations::{ApprovalGate, Context, review::ReviewBoard};
use policy::change::{
    Change, Digest,
    quorum::{Board, Decision},
    review::Review,
    standing::Class,
};
use ssh_key::{PrivateKey, private::Ed25519Keypair};

const DOMAIN: &str = "acme.example";
const PEOPLE: [(&str, u8); 2] = [("ann", 1), ("sam", 2)];

/// By change, and by name.
type Statements = BTreeMap<(Digest, String), Vec<u8>>;

/// Statements in memory.
#[derive(Clone, Default)]
struct Shelf(Arc<Mutex<Statements>>, Arc<Mutex<BTreeMap<Digest, Change>>>);

impl Store for Shelf {
    fn of(&self, digest: Digest) -> Result<Vec<Kept>, StoreError> {
        let all = self.0.lock().unwrap();
        let of_it = all.iter().filter(|((of, _), _)| *of == digest);
        let kept =
            of_it.map(|((_, name), bytes)| Kept { place: name.clone(), bytes: Ok(bytes.clone()) });
        Ok(kept.collect())
    }

    fn add(&self, digest: Digest, name: &str, bytes: &[u8]) -> Result<String, StoreError> {
        self.0.lock().unwrap().insert((digest, name.to_owned()), bytes.to_owned());
        Ok(name.to_owned())
    }

    fn keep(&self, change: &Change) -> Result<(), StoreError> {
        self.1.lock().unwrap().insert(change.digest(), change.clone());
        Ok(())
    }

    fn record(&self, digest: Digest) -> Result<Option<Change>, StoreError> {
        Ok(self.1.lock().unwrap().get(&digest).cloned())
    }

    fn beginning(&self, _: &str) -> Result<Vec<Digest>, StoreError> {
        Ok(Vec::new())
    }
}

/// Two people, of whom both must sign what gives power; bo asks.
pub(crate) struct Office {
    shelf: Shelf,
    board: Arc<ReviewBoard>,
    nonce: AtomicU32,
}

fn key(seed: u8) -> PrivateKey {
    PrivateKey::from(Ed25519Keypair::from_seed(&[seed; 32]))
}

impl Office {
    pub(crate) fn new() -> Office {
        let signers = PEOPLE
            .map(|(name, seed)| format!("{name} {}", key(seed).public_key().to_openssh().unwrap()));
        let security: BTreeSet<String> = PEOPLE.map(|(name, _)| name.to_owned()).into();
        let mut quorum = Review::usual_quorum();
        for one in quorum.values_mut() {
            one.roles = ["security".to_owned()].into();
        }
        let roles = [("security".to_owned(), security)].into();
        let terms = Review {
            version: 3,
            domain: DOMAIN.into(),
            signers: "allowed_signers".into(),
            revoked: None,
            approvals: "approvals".into(),
            board: Board { quorum, roles, break_glass: None },
            owners: BTreeMap::new(),
            rules: Review::usual_rules(),
            usual_impact: true,
            freezes: Vec::new(),
            standing: Class::usual(),
            requesters: BTreeMap::new(),
        };
        let shelf = Shelf::default();
        let signers = Signers::parse(&signers.join("\n")).unwrap();
        let store = Box::new(shelf.clone());
        let board = ReviewBoard::new(terms, "00".into(), signers, Revoked::default(), store);
        let board = Arc::new(board.asked_by(Some("bo".to_owned())));
        Office { shelf, board, nonce: AtomicU32::new(0) }
    }

    /// The same run, where they review what it does.
    pub(crate) fn over(&self, context: Context) -> Context {
        Context { gate: Arc::new(ApprovalGate(self.board.clone())), ..context }
    }

    pub(crate) fn says(&self, who: &str, decision: Decision, digest: Digest, now: Timestamp) {
        let (_, seed) = PEOPLE.into_iter().find(|(name, _)| *name == who).unwrap();
        let nonce = self.nonce.fetch_add(1, Ordering::SeqCst);
        let statement = Statement {
            subjects: [(digest, "a change".to_owned())].into(),
            said: Said {
                decision,
                role: "security".into(),
                reason: "CHG-1".into(),
                signed_at: now,
                not_before: now,
                not_after: now.checked_add(jiff::SignedDuration::from_hours(3)).unwrap(),
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
        self.shelf.add(digest, &format!("{who}-{nonce}"), envelope.as_bytes()).unwrap();
    }

    /// Both approve the change that this refusal names.
    pub(crate) fn approve(&self, refused: &operations::Problem, now: Timestamp) {
        let word = refused.detail.split_whitespace().find_map(Digest::parse).unwrap();
        assert!(self.shelf.record(word).unwrap().is_some(), "they can read what they sign");
        for (who, _) in PEOPLE {
            self.says(who, Decision::Approve, word, now);
        }
    }
}
