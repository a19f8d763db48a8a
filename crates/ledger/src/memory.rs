//! A ledger in memory, for tests and for the time of one command.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use serde_json::Value;

use crate::{
    canonical,
    chain::{self, Hash},
    entry::{Entry, NewEntry},
    error::{Error, Result},
    export::{self, Part, Parts},
    inventory::{
        Credential, Integration, Inventory, Obligation, Observed, Person, Scan, Selection, Slot,
        Tenant,
    },
    lease::{Drawn, Fence, Leased, Leases},
    port::{
        BadEntry, Checkpoint, Durability, Filter, Head, Ledger, Page, Range, Rebuilt, Receipt,
        Verification, Work, damaged_end,
    },
    tree::Frontier,
};

/// A ledger that lives as long as the process.
#[derive(Debug, Default)]
pub struct MemoryLedger {
    realm: Option<String>,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    entries: Vec<Entry>,
    documents: BTreeMap<Hash, Vec<u8>>,
    checkpoints: Vec<Checkpoint>,
    inventory: Inventory,
    scans: BTreeMap<(String, String), Scan>,
    persons: BTreeMap<String, Person>,
    leases: Leases,
    /// Somebody changed what is kept: nothing but a test can.
    tampered: bool,
}

impl Kept {
    fn head(&self) -> (u64, Hash) {
        self.entries.last().map_or((0, Hash::ZERO), |entry| (entry.seq, entry.hash))
    }

    fn document(&self, hash: &Hash) -> Option<Value> {
        serde_json::from_slice(self.documents.get(hash)?).ok()
    }
}

impl MemoryLedger {
    /// An empty ledger of no realm.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty ledger of this realm.
    pub fn of_realm(realm: impl Into<String>) -> Self {
        MemoryLedger { realm: Some(realm.into()), ..Self::default() }
    }

    /// An empty ledger of no realm, whose leases end by this clock.
    pub fn by_clock(now: fn() -> Instant) -> Self {
        let ledger = Self::default();
        ledger.kept().leases = Leases::by_clock(now);
        ledger
    }

    /// Changes the kept body of an entry behind the chain's back, so that tests can see it found.
    pub fn tamper(&self, seq: u64, change: impl FnOnce(&mut Vec<u8>)) {
        let mut kept = self.kept();
        kept.tampered = true;
        if let Some(entry) = kept.entries.iter_mut().find(|entry| entry.seq == seq) {
            change(&mut entry.body);
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // Nothing in here panics half-way through a change, so a poisoned lock guards sound data.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Ledger for MemoryLedger {
    fn place(&self) -> String {
        "memory".to_owned()
    }

    async fn ready(&self, work: Work) -> Result<Option<Error>> {
        if !self.kept().tampered {
            return Ok(None);
        }
        match (damaged_end(self).await?, work) {
            (Some(wrong), Work::Begins) => Err(wrong),
            (wrong, _) => Ok(wrong),
        }
    }

    async fn append(&self, entries: Vec<NewEntry>, _: Durability) -> Result<Vec<Receipt>> {
        let prepared: Result<Vec<_>> =
            entries.into_iter().map(|entry| entry.prepare(self.realm.as_deref())).collect();
        let mut kept = self.kept();
        let prepared = prepared?;
        let fences = prepared.iter().filter_map(|one| one.entry.under.as_ref());
        if let Some(lost) = fences.into_iter().find(|fence| !kept.leases.holds(fence)) {
            return Err(Error::fenced(self.place(), lost));
        }
        let (mut seq, mut hash) = kept.head();
        let mut new = Vec::new();
        for prepared in prepared {
            seq += 1;
            let body = prepared.body(seq)?;
            hash = chain::link(&hash, &body);
            let entry = Entry::of(seq, hash, body, &prepared).map_err(|what| Error::Broken {
                place: self.place(),
                seq,
                what,
            })?;
            new.push((entry, prepared));
        }
        let mut receipts = Vec::new();
        for (entry, prepared) in new {
            receipts.push(Receipt { seq: entry.seq, hash: entry.hash });
            kept.entries.push(entry);
            kept.documents.extend(prepared.documents);
            prepared.entry.changes.into_iter().for_each(|change| kept.inventory.apply(change));
        }
        Ok(receipts)
    }

    async fn head(&self) -> Result<Head> {
        let (seq, hash) = self.kept().head();
        Ok(Head { ledger: "memory".to_owned(), seq, hash })
    }

    async fn entries(&self, filter: &Filter) -> Result<Page> {
        let kept = self.kept();
        let taken = kept.entries.iter().filter(|entry| filter.takes(entry));
        let limit = filter.page();
        let mut entries: Vec<Entry> = if filter.newest_first {
            taken.rev().take(limit + 1).cloned().collect()
        } else {
            taken.take(limit + 1).cloned().collect()
        };
        let more = entries.len() > limit;
        entries.truncate(limit);
        let next = entries.last().filter(|_| more).map(|last| filter.next(last.seq));
        Ok(Page { entries, next })
    }

    async fn verify(&self, range: Range) -> Result<Verification> {
        let kept = self.kept();
        let first = range.first.max(1);
        let last = range.last.unwrap_or(u64::MAX);
        let mut previous = Hash::ZERO;
        let mut frontier = Frontier::new();
        let mut found = Verification::nothing();
        let mut checkpoints = kept.checkpoints.iter().peekable();
        for entry in kept.entries.iter().take_while(|entry| entry.seq <= last) {
            // Nothing else asks for the tree.
            if !kept.checkpoints.is_empty() {
                frontier.push(&entry.body);
            }
            if entry.seq >= first {
                found.entries += 1;
                if chain::link(&previous, &entry.body) != entry.hash && found.first_bad.is_none() {
                    let what = "its hash does not cover its body".to_owned();
                    found.first_bad = Some(BadEntry { seq: entry.seq, what });
                }
            }
            previous = entry.hash;
            if let Some(checkpoint) = checkpoints.next_if(|next| next.size == entry.seq) {
                if checkpoint.root != frontier.root() || checkpoint.head != entry.hash {
                    let size = checkpoint.size;
                    found.problems.push(format!("the checkpoint of size {size} does not agree"));
                } else if found.first_bad.is_none() {
                    found.last_good_checkpoint = Some(checkpoint.clone());
                }
            }
        }
        if let Some(bad) = &found.first_bad {
            let error = Error::Broken { place: self.place(), seq: bad.seq, what: bad.what.clone() };
            found.remedy = Some(error.way_out());
        }
        Ok(found)
    }

    async fn checkpoint(&self, at: i64) -> Result<Option<Checkpoint>> {
        let mut kept = self.kept();
        let (size, head) = kept.head();
        if size == 0 {
            return Ok(None);
        }
        if let Some(last) = kept.checkpoints.last().filter(|last| last.size == size) {
            return Ok(Some(last.clone()));
        }
        let mut frontier = Frontier::new();
        kept.entries.iter().for_each(|entry| frontier.push(&entry.body));
        let checkpoint = Checkpoint { size, at, root: frontier.root(), head };
        kept.checkpoints.push(checkpoint.clone());
        Ok(Some(checkpoint))
    }

    async fn checkpoints(&self) -> Result<Vec<Checkpoint>> {
        Ok(self.kept().checkpoints.clone())
    }

    async fn document(&self, hash: &Hash) -> Result<Option<Value>> {
        Ok(self.kept().document(hash))
    }

    async fn tenants(&self) -> Result<Vec<Tenant>> {
        Ok(self.kept().inventory.tenants.values().cloned().collect())
    }

    async fn integrations(&self, selection: &Selection) -> Result<Vec<Integration>> {
        Ok(self.kept().inventory.integrations(selection))
    }

    async fn slots(&self, selection: &Selection) -> Result<Vec<Slot>> {
        Ok(self.kept().inventory.slots(selection))
    }

    async fn credentials(&self, selection: &Selection) -> Result<Vec<Credential>> {
        Ok(self.kept().inventory.credentials(selection))
    }

    async fn obligations_of(&self, subject: &str) -> Result<Vec<Obligation>> {
        let kept = self.kept();
        let rows = kept.inventory.obligations.values();
        let open = rows.filter(|row| row.state == "open" && row.subject == subject);
        Ok(open.cloned().collect())
    }

    async fn open_obligations(&self) -> Result<Vec<Obligation>> {
        let kept = self.kept();
        let rows = kept.inventory.obligations.values();
        let mut open: Vec<Obligation> = rows.filter(|row| row.state == "open").cloned().collect();
        open.sort_by(|one, other| (one.next_try_at, &one.id).cmp(&(other.next_try_at, &other.id)));
        Ok(open)
    }

    async fn obligations_with(&self, deed: &str) -> Result<Vec<Obligation>> {
        let kept = self.kept();
        let rows = kept.inventory.obligations.values();
        Ok(rows.filter(|row| row.deed == deed).cloned().collect())
    }

    async fn due(&self, at: i64) -> Result<Vec<Slot>> {
        let kept = self.kept();
        let due = |slot: &&Slot| slot.next_due_at.is_some_and(|due| due <= at);
        let mut slots: Vec<Slot> = kept.inventory.slots.values().filter(due).cloned().collect();
        slots.sort_by_key(|slot| slot.next_due_at);
        Ok(slots)
    }

    async fn observe(&self, seen: Vec<Observed>) -> Result<()> {
        let mut kept = self.kept();
        let mut inventory = kept.inventory.clone();
        for seen in seen {
            inventory.observe(seen).map_err(observation)?;
        }
        kept.inventory = inventory;
        Ok(())
    }

    async fn record_scan(&self, scan: Scan) -> Result<()> {
        let mut kept = self.kept();
        let key = (scan.tenant.clone(), scan.what.clone());
        if kept.scans.get(&key).is_none_or(|newest| newest.started_at <= scan.started_at) {
            kept.scans.insert(key, scan);
        }
        Ok(())
    }

    async fn scans(&self) -> Result<Vec<Scan>> {
        Ok(self.kept().scans.values().cloned().collect())
    }

    async fn lease(&self, subject: &str, holder: &str, time: Duration) -> Result<Leased> {
        Ok(self.kept().leases.take(subject, holder, time))
    }

    async fn release(&self, fence: &Fence) -> Result<()> {
        self.kept().leases.release(fence);
        Ok(())
    }

    async fn draw(&self, tenant: &str, most: u32, per_second: u32) -> Result<Drawn> {
        Ok(self.kept().leases.draw(tenant, most, per_second))
    }

    async fn freeze(&self, tenant: &str, time: Duration) -> Result<()> {
        self.kept().leases.freeze(tenant, time);
        Ok(())
    }

    async fn put_person(&self, person: Person) -> Result<()> {
        self.kept().persons.insert(person.id.clone(), person);
        Ok(())
    }

    async fn person(&self, id: &str) -> Result<Option<Person>> {
        Ok(self.kept().persons.get(id).cloned())
    }

    async fn persons(&self) -> Result<Vec<Person>> {
        Ok(self.kept().persons.values().cloned().collect())
    }

    async fn take_over(&self, parts: Parts) -> Result<Head> {
        let mut taken = Kept::default();
        for part in parts {
            match part? {
                Part::Begin { realm, .. } => {
                    export::realm_of(&self.place(), self.realm.as_deref(), realm)?;
                }
                Part::Archive(_) => {
                    let what = "a ledger in memory begins with the first entry".to_owned();
                    return Err(Error::Usage(what));
                }
                Part::Document(hash, body) => drop(taken.documents.insert(hash, body)),
                Part::Entry(entry) => taken.entries.push(*entry),
                Part::Checkpoint(checkpoint, _) => taken.checkpoints.push(checkpoint),
                Part::Person(person) => drop(taken.persons.insert(person.id.clone(), person)),
                Part::End { .. } => (),
            }
        }
        taken.inventory = Inventory::fold(&taken.entries, |hash| taken.document(hash));
        {
            let mut kept = self.kept();
            if !kept.entries.is_empty() {
                return Err(Error::NotEmpty { place: self.place() });
            }
            *kept = taken;
        }
        self.head().await
    }

    async fn erase_person(&self, id: &str, at: i64) -> Result<()> {
        if let Some(person) = self.kept().persons.get_mut(id) {
            *person = Person { id: id.to_owned(), erased_at: Some(at), ..Person::default() };
        }
        Ok(())
    }

    async fn rebuild(&self) -> Result<Rebuilt> {
        let mut kept = self.kept();
        let mut folded = Inventory::fold(&kept.entries, |hash| kept.document(hash));
        let changes = kept.entries.iter().map(|entry| entry.changes.len() as u64).sum();
        let entries = kept.entries.len() as u64;
        keep_observed(&mut folded, &kept.inventory);
        kept.inventory = folded;
        Ok(Rebuilt { entries, changes })
    }
}

/// The error of an observation that has no canonical form.
pub(crate) fn observation(source: canonical::Error) -> Error {
    Error::Body { kind: "observation".to_owned(), source }
}

/// Carries what was observed over into a freshly folded inventory.
fn keep_observed(folded: &mut Inventory, before: &Inventory) {
    for (id, row) in &before.integrations {
        let seen = row.observed.is_some() || row.absent_since.is_some();
        if !seen && !folded.integrations.contains_key(id) {
            continue;
        }
        let into = folded.integrations.entry(id.clone()).or_insert_with(|| Integration {
            id: id.clone(),
            tenant: row.tenant.clone(),
            ..Integration::default()
        });
        if into.tenant.is_empty() {
            into.tenant.clone_from(&row.tenant);
        }
        into.observed.clone_from(&row.observed);
        into.first_seen_at = row.first_seen_at;
        into.last_seen_at = row.last_seen_at;
        into.absent_since = row.absent_since;
    }
    for (key, row) in &before.credentials {
        match folded.credentials.get_mut(key) {
            Some(into) => {
                into.last_used_at = row.last_used_at;
                into.last_seen_at = row.last_seen_at;
                into.absent_since = row.absent_since;
            }
            None if row.last_seen_at.is_some() => {
                folded.credentials.insert(key.clone(), row.clone());
            }
            None => (),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::{self, Tampering};

    #[derive(Default)]
    struct Memory;

    #[async_trait]
    impl conformance::Store for Memory {
        type Ledger = MemoryLedger;

        async fn fresh(&self) -> MemoryLedger {
            MemoryLedger::of_realm(conformance::REALM)
        }

        async fn tamper(&self, ledger: &MemoryLedger, seq: u64, how: Tampering) -> bool {
            match how {
                Tampering::Body => {
                    ledger.tamper(seq, |body| body[10] ^= 1);
                    true
                }
                // There are no columns, and a vector has no holes.
                Tampering::Column | Tampering::Missing | Tampering::Tail => false,
            }
        }
    }

    #[tokio::test]
    async fn memory_passes_the_suite() {
        conformance::run(&Memory).await;
    }
}
