//! Taking old entries out of a ledger: they lie in a file then, and the ledger keeps what the chain, the tree
//! and the rows go on from.
//!
//! What is taken out ends at a checkpoint, so that its root is stated. What the rows owe to it is said again
//! by entries at the end of the chain: whoever folds what is left comes to the same rows, and to every
//! obligation that is open.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;

use crate::{
    canonical::BODY_MAX,
    chain::Hash,
    entry::{COMPACTED, NewEntry, RESTATED},
    error::{Error, Result},
    inventory::{Change, Document, Integration, Inventory},
    port::{Filter, Head, Ledger},
    tree::Frontier,
};

/// Entries that lie in a file now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archive {
    /// The first of them.
    pub first: u64,
    /// The last.
    pub last: u64,
    /// When they were taken out, in milliseconds UTC.
    pub at: i64,
    /// The root of the tree up to the last of them, those of earlier archives among them.
    pub root: Hash,
    /// The hash of the last of them.
    pub head: Hash,
    /// What the tree goes on from.
    pub frontier: Frontier,
    /// The SHA-256 of the file.
    pub file: Hash,
    /// Where the file was put.
    pub place: String,
}

/// What [`Ledger::compact`] does, all or nothing.
#[derive(Debug, Clone)]
pub struct Compaction {
    /// What is taken out.
    pub archive: Archive,
    /// Where the chain ended when it was looked at. Where it ends elsewhere by now, nothing is done.
    pub head: Head,
    /// What is appended: that they were taken out, and what the rows owe to them.
    pub entries: Vec<NewEntry>,
    /// The documents that are named by what is left.
    pub documents: BTreeSet<Hash>,
}

/// The last entry that can be taken out with all before it, of those older than this moment
/// (milliseconds UTC): where a checkpoint was made. `None` where that is no entry that is still there.
///
/// # Errors
///
/// Those of reading.
pub async fn through<L: Ledger + ?Sized>(ledger: &L, before: i64) -> Result<Option<u64>> {
    let young = Filter { since: Some(before), limit: 1, ..Filter::all() };
    let young = ledger.entries(&young).await?.entries.first().map(|entry| entry.seq);
    let head = ledger.head().await?.seq;
    // Where even the last one is old, it stays: the chain has to end somewhere.
    let old = young.unwrap_or(head).saturating_sub(1);
    let first = ledger.archives().await?.last().map_or(1, |archive| archive.last + 1);
    let stated = ledger.checkpoints().await?.into_iter().map(|one| one.size);
    Ok(stated.filter(|size| (first..=old).contains(size)).max())
}

/// What a compaction through this entry would do; `file` and `place` are of the file that holds what is taken
/// out. `by` has the moment and the actor.
///
/// # Errors
///
/// Those of reading; [`Error::Broken`] where a document is missing.
pub async fn compaction<L: Ledger + ?Sized>(
    ledger: &L,
    through: u64,
    (file, place): (Hash, String),
    by: &NewEntry,
) -> Result<Compaction> {
    let head = ledger.head().await?;
    let earlier = ledger.archives().await?.last().cloned();
    let mut frontier = earlier.as_ref().map(|one| one.frontier.clone()).unwrap_or_default();
    let first = earlier.as_ref().map_or(1, |one| one.last + 1);
    let mut last = earlier.map_or(Hash::ZERO, |one| one.head);
    let (mut whole, mut left) = (Inventory::default(), Inventory::default());
    let mut documents = BTreeSet::new();
    let mut next = Some(Filter { through: Some(head.seq), ..Filter::all() });
    while let Some(filter) = next {
        let page = ledger.entries(&filter).await?;
        next = page.next;
        for entry in page.entries {
            if entry.seq <= through {
                if !frontier.fill(entry.seq) {
                    return Err(Error::Usage("too many entries are missing".to_owned()));
                }
                frontier.push(&entry.body);
                last = entry.hash;
            }
            for change in &entry.changes {
                let mut found = HashMap::new();
                for hash in change.names() {
                    if entry.seq > through {
                        documents.insert(hash);
                    }
                    if let Some(document) = ledger.document(&hash).await? {
                        found.insert(hash, document);
                    }
                }
                let mut change = change.clone();
                change.restore(|hash| found.get(hash).cloned());
                if let Some(hash) = change.names().first() {
                    return Err(Error::Broken {
                        place: ledger.place(),
                        seq: entry.seq,
                        what: format!("its document {hash} is missing"),
                    });
                }
                if entry.seq > through {
                    left.apply(change.clone());
                }
                whole.apply(change);
            }
        }
    }
    if frontier.size() != through {
        return Err(Error::Usage(format!("the entry {through} is not there")));
    }
    let archive = Archive {
        first,
        last: through,
        at: by.at,
        root: frontier.root(),
        head: last,
        frontier,
        file,
        place,
    };
    let subject = format!("ledger/{}", head.ledger);
    let new =
        |kind: &str| NewEntry::new(by.at, kind, &subject).by(by.actor.clone(), by.trigger.clone());
    let told = new(COMPACTED)
        .detail("first", archive.first)
        .detail("last", archive.last)
        .detail("root", archive.root.to_string())
        .detail("head", archive.head.to_string())
        .detail("file_sha256", archive.file.to_string());
    let mut entries = vec![told];
    let (mut changes, mut length) = (Vec::new(), 0);
    for change in restated(whole, left) {
        let long = length_of(&change);
        if length + long > BODY_MAX / 2 && !changes.is_empty() {
            let of = std::mem::take(&mut changes);
            entries.push(NewEntry { changes: of, ..new(RESTATED) });
            length = 0;
        }
        length += long;
        changes.push(change);
    }
    if !changes.is_empty() {
        entries.push(NewEntry { changes, ..new(RESTATED) });
    }
    Ok(Compaction { archive, head, entries, documents })
}

/// How long a change is in an entry at most: what is longer is kept beside it.
fn length_of(change: &Change) -> usize {
    serde_json::to_vec(change).map_or(BODY_MAX, |bytes| bytes.len()).min(BODY_MAX / 2)
}

/// The deeds whose rows are looked up after they are met: when a task was last done, and whether something was
/// reported before.
const KEPT: [&str; 4] = ["task", "exposure", "anomaly", "incident"];

/// What has to be said again so that who folds what is left comes to the same rows.
fn restated(whole: Inventory, left: Inventory) -> Vec<Change> {
    // None is forgotten: each is named.
    let Inventory { tenants, integrations, slots, credentials, obligations } = whole;
    let mut changes = Vec::new();
    for (key, row) in tenants {
        if left.tenants.get(&key) != Some(&row) {
            changes.push(Change::Tenant(row));
        }
    }
    for (id, row) in integrations {
        let before = left.integrations.get(&id);
        if before != Some(&row) {
            changes.extend(integration(&row, before));
        }
    }
    for (key, row) in slots {
        if left.slots.get(&key) != Some(&row) {
            changes.push(Change::Slot(row));
        }
    }
    for (key, row) in credentials {
        if left.credentials.get(&key) != Some(&row) {
            changes.push(Change::Credential(row));
        }
    }
    for (id, row) in obligations {
        // What is met is history, but of what is looked up in its row.
        if (row.state == "open" || KEPT.contains(&&*row.deed))
            && left.obligations.get(&id) != Some(&row)
        {
            changes.push(Change::Obligation(row));
        }
    }
    changes
}

/// What makes a row of one that is there already, or of none.
fn integration(row: &Integration, before: Option<&Integration>) -> Vec<Change> {
    let id = || row.id.clone();
    let mut changes = Vec::new();
    let facets = |document: &Option<Document>| -> BTreeMap<String, Value> {
        let members = document.as_ref().and_then(|one| one.value.as_object());
        members.into_iter().flatten().map(|(name, value)| (name.clone(), value.clone())).collect()
    };
    let of = |document: fn(&Integration) -> &Option<Document>| {
        let now = facets(document(row));
        let then = before.map(|before| facets(document(before))).unwrap_or_default();
        let gone =
            then.keys().filter(|name| !now.contains_key(*name)).map(|name| (name.clone(), None));
        let gone: Vec<(String, Option<Value>)> = gone.collect();
        let said = now.into_iter().filter(|(name, value)| then.get(name) != Some(value));
        let said: Vec<_> = said.map(|(name, value)| (name, Some(value))).collect();
        gone.into_iter().chain(said).collect::<Vec<_>>()
    };
    for (facet, document) in of(|row| &row.declared) {
        changes.push(Change::Declared { integration: id(), facet, document });
    }
    for (facet, document) in of(|row| &row.applied) {
        changes.push(Change::Applied { integration: id(), facet, document });
    }
    // Last, since what is declared changes the origin.
    let (tenant, origin) = (row.tenant.clone(), row.origin);
    changes.push(Change::Integration { integration: id(), tenant, origin });
    changes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::{Obligation, Origin, Slot};

    #[test]
    fn what_is_said_again_makes_the_same_rows_of_whatever_is_left() {
        let declared = |facet: &str, value: Option<&str>| Change::Declared {
            integration: "bao/x/a".into(),
            facet: facet.into(),
            document: value.map(Value::from),
        };
        let slot = |generation| {
            let (integration, name) = ("bao/x/a".to_owned(), "main".to_owned());
            Change::Slot(Slot { integration, name, generation, ..Slot::default() })
        };
        let owed = |id: &str, state: &str| {
            let (id, state) = (id.to_owned(), state.to_owned());
            let deed = if id == "task" { "task" } else { "rotate" }.to_owned();
            Change::Obligation(Obligation { id, state, deed, ..Obligation::default() })
        };
        let all = [
            declared("scopes", Some("one")),
            declared("owners", Some("finance")),
            Change::Integration {
                integration: "bao/x/a".into(),
                tenant: "openbao:c1".into(),
                origin: Origin::Adopted,
            },
            slot(1),
            owed("met", "open"),
            owed("open", "open"),
            owed("met", "met"),
            owed("task", "met"),
            declared("scopes", Some("two")),
            declared("owners", None),
            slot(2),
            Change::Ended { integration: "bao/x/b".into() },
        ];
        let fold = |changes: &[Change]| {
            let mut inventory = Inventory::default();
            changes.iter().cloned().for_each(|change| inventory.apply(change));
            inventory
        };
        let whole = fold(&all);
        for taken in 0..=all.len() {
            let left = &all[taken..];
            let mut again = left.to_vec();
            again.extend(restated(whole.clone(), fold(left)));
            let mut made = fold(&again);
            let is_needed = |row: &Obligation| row.state == "open" || row.deed == "task";
            made.obligations.retain(|_, row| is_needed(row));
            let mut expected = whole.clone();
            expected.obligations.retain(|_, row| is_needed(row));
            assert_eq!(made, expected, "{taken} of them were taken out");
        }
        assert_eq!(restated(whole.clone(), whole).len(), 0, "nothing is said twice");
    }
}
