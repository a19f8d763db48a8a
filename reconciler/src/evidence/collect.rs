//! Takes evidence out of a ledger: what was asked for, and the proof that it is in it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use ledger::{Change, Entry, Filter, Hash, Ledger, canonical, note, tree::Tree};
use operations::Problem;

use super::{Asked, Bundle, Claimed, FORMAT, Kept, Made, Piece, Seal, Stated, told};

/// Everything about what was asked for, unsigned and unsealed.
///
/// # Errors
///
/// The ledger cannot be read, or is not whole.
pub(crate) async fn collect(
    ledger: &dyn Ledger,
    asked: Asked,
    at: Timestamp,
    claimed: Claimed,
    statements: Vec<Kept>,
) -> Result<Bundle, Problem> {
    let head = ledger.head().await?;
    let before = ledger.archives().await?.pop();
    let archived = before.as_ref().map_or(0, |one| one.last);
    let mut previous = before.as_ref().map_or(Hash::ZERO, |one| one.head);
    let before = before.map(|one| one.frontier).unwrap_or_default();
    let (mut leaves, mut taken, mut rotations) = (Vec::new(), Vec::new(), BTreeSet::new());
    let mut next = Some(Filter { through: Some(head.seq), ..Filter::all() });
    while let Some(filter) = next {
        let page = ledger.entries(&filter).await?;
        for entry in page.entries {
            // What a salvage could not save keeps its place.
            let last = archived + leaves.len() as u64;
            let missing = usize::try_from(entry.seq.saturating_sub(last + 1)).unwrap_or(0);
            if missing > HOLE_MAX {
                return Err(broken(ledger, entry.seq));
            }
            leaves.extend(std::iter::repeat_n(Hash::ZERO, missing));
            leaves.push(ledger::tree::leaf(&entry.body));
            let hash = entry.hash;
            if takes(&asked, &entry, &rotations) {
                rotations.extend(entry.rotation.clone());
                taken.push((previous, entry));
            }
            previous = hash;
        }
        next = page.next;
    }
    let tree = Tree::new(&before, leaves);
    let root = tree.root().ok_or_else(|| broken(ledger, head.seq))?;
    let mut documents = BTreeMap::new();
    let mut entries = Vec::new();
    for (prev, entry) in &taken {
        for hash in entry.changes.iter().flat_map(Change::names) {
            let Some(document) = ledger.document(&hash).await? else { continue };
            let bytes = canonical::encode(&document).map_err(|_| broken(ledger, entry.seq))?;
            documents.insert(hash.to_string(), String::from_utf8_lossy(&bytes).into_owned());
        }
        let proof = tree.prove(entry.seq - 1).ok_or_else(|| broken(ledger, entry.seq))?;
        entries.push(Piece {
            seq: entry.seq,
            prev: prev.to_string(),
            hash: entry.hash.to_string(),
            body: String::from_utf8_lossy(&entry.body).into_owned(),
            proof: proof.iter().map(Hash::to_string).collect(),
        });
    }
    let tree = Stated {
        origin: note::origin(&head.ledger),
        size: head.seq,
        root: root.to_string(),
        archived,
    };
    let made = Made { at, program: concat!("nhi/", env!("CARGO_PKG_VERSION")).to_owned() };
    let mut bundle = Bundle {
        format: FORMAT.to_owned(),
        asked,
        made,
        tree,
        checkpoint: None,
        told: serde_json::Value::Null,
        claimed,
        entries,
        documents,
        statements,
        seal: Seal::default(),
    };
    bundle.told = told::told(&bundle);
    Ok(bundle)
}

/// More missing entries in a row than these are not stated over.
const HOLE_MAX: usize = 1 << 20;

fn broken(ledger: &dyn Ledger, seq: u64) -> Problem {
    Problem::new("E-LEDGER-BROKEN", "The ledger is not sound")
        .detail(format!("{}: entry {seq} cannot be proven.", ledger.place()))
        .next("nhi ledger verify says what is wrong, and what helps")
}

fn takes(asked: &Asked, entry: &Entry, rotations: &BTreeSet<String>) -> bool {
    match asked {
        Asked::Integration(id) => {
            let below = |other: &str| {
                other
                    .strip_prefix(id.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            };
            below(&entry.subject)
                || entry.changes.iter().any(|change| of(change).is_some_and(below))
        }
        Asked::Change(digest) => {
            told::digest_of(entry) == Some(digest)
                || entry.rotation.as_ref().is_some_and(|one| rotations.contains(one))
        }
        Asked::Period { since, until } => {
            (since.as_millisecond()..until.as_millisecond()).contains(&entry.at)
        }
    }
}

/// The integration that a change of rows is about.
fn of(change: &Change) -> Option<&str> {
    Some(match change {
        Change::Integration { integration, .. }
        | Change::Declared { integration, .. }
        | Change::Applied { integration, .. }
        | Change::Ended { integration }
        | Change::SlotEnded { integration, .. } => integration,
        Change::Slot(row) => &row.integration,
        Change::Credential(row) => &row.integration,
        Change::Obligation(row) => &row.subject,
        _ => return None,
    })
}
