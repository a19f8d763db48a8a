//! A ledger that can only be read: whoever must not write is given this type.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use serde_json::Value;

use crate::{
    archive::{Archive, Compaction},
    chain::Hash,
    entry::NewEntry,
    error::{Error, Result},
    inventory::{
        Credential, Integration, Obligation, Observed, Person, Scan, Selection, Slot, Tenant,
    },
    lease::{Drawn, Fence, Leased},
    port::{
        Checkpoint, Durability, Filter, Head, Ledger, Page, Range, Rebuilt, Receipt, Verification,
        Work,
    },
};

/// Lets every reading verb through and refuses every other.
#[derive(Debug, Clone)]
pub struct ReadOnly(Arc<dyn Ledger>);

impl ReadOnly {
    /// Wraps a ledger.
    pub fn new(ledger: Arc<dyn Ledger>) -> Self {
        ReadOnly(ledger)
    }

    fn refused<T>(&self) -> Result<T> {
        Err(Error::ReadOnly { place: self.place(), why: "this run is read-only".to_owned() })
    }
}

#[async_trait]
impl Ledger for ReadOnly {
    fn place(&self) -> String {
        self.0.place()
    }

    fn keeps(&self) -> bool {
        self.0.keeps()
    }

    async fn ready(&self, _: Work) -> Result<Option<Error>> {
        self.refused()
    }

    async fn append(&self, _: Vec<NewEntry>, _: Durability) -> Result<Vec<Receipt>> {
        self.refused()
    }

    async fn head(&self) -> Result<Head> {
        self.0.head().await
    }

    async fn entries(&self, filter: &Filter) -> Result<Page> {
        self.0.entries(filter).await
    }

    async fn verify(&self, range: Range) -> Result<Verification> {
        self.0.verify(range).await
    }

    async fn checkpoint(&self, _: i64) -> Result<Option<Checkpoint>> {
        self.refused()
    }

    async fn checkpoints(&self) -> Result<Vec<Checkpoint>> {
        self.0.checkpoints().await
    }

    async fn prove(&self, seq: u64, size: u64) -> Result<Vec<Hash>> {
        self.0.prove(seq, size).await
    }

    async fn document(&self, hash: &Hash) -> Result<Option<Value>> {
        self.0.document(hash).await
    }

    async fn tenants(&self) -> Result<Vec<Tenant>> {
        self.0.tenants().await
    }

    async fn integrations(&self, selection: &Selection) -> Result<Vec<Integration>> {
        self.0.integrations(selection).await
    }

    async fn slots(&self, selection: &Selection) -> Result<Vec<Slot>> {
        self.0.slots(selection).await
    }

    async fn credentials(&self, selection: &Selection) -> Result<Vec<Credential>> {
        self.0.credentials(selection).await
    }

    async fn open_obligations(&self) -> Result<Vec<Obligation>> {
        self.0.open_obligations().await
    }

    async fn obligations_of(&self, subject: &str) -> Result<Vec<Obligation>> {
        self.0.obligations_of(subject).await
    }

    async fn obligations_with(&self, deed: &str) -> Result<Vec<Obligation>> {
        self.0.obligations_with(deed).await
    }

    async fn due(&self, at: i64) -> Result<Vec<Slot>> {
        self.0.due(at).await
    }

    async fn observe(&self, _: Vec<Observed>) -> Result<()> {
        self.refused()
    }

    async fn record_scan(&self, _: Scan) -> Result<()> {
        self.refused()
    }

    async fn scans(&self) -> Result<Vec<Scan>> {
        self.0.scans().await
    }

    async fn lease(&self, _: &str, _: &str, _: Duration) -> Result<Leased> {
        self.refused()
    }

    async fn release(&self, _: &Fence) -> Result<()> {
        self.refused()
    }

    async fn draw(&self, _: &str, _: u32, _: u32) -> Result<Drawn> {
        self.refused()
    }

    async fn freeze(&self, _: &str, _: Duration) -> Result<()> {
        self.refused()
    }

    async fn put_person(&self, _: Person) -> Result<()> {
        self.refused()
    }

    async fn person(&self, id: &str) -> Result<Option<Person>> {
        self.0.person(id).await
    }

    async fn erase_person(&self, _: &str, _: i64) -> Result<()> {
        self.refused()
    }

    async fn rebuild(&self) -> Result<Rebuilt> {
        self.refused()
    }

    async fn persons(&self) -> Result<Vec<Person>> {
        self.0.persons().await
    }

    async fn archives(&self) -> Result<Vec<Archive>> {
        self.0.archives().await
    }

    async fn compact(&self, _: Compaction) -> Result<()> {
        self.refused()
    }

    async fn weaknesses(&self) -> Result<Vec<String>> {
        self.0.weaknesses().await
    }

    async fn close(&self) -> Result<()> {
        self.0.close().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::MemoryLedger;

    #[tokio::test]
    async fn what_is_read_only_reads_and_does_not_write() {
        let inner = Arc::new(MemoryLedger::new());
        let entry = || NewEntry::new(1, "declared", "a/b/c");
        inner.append(vec![entry()], Durability::Durable).await.expect("it may");
        let ledger = ReadOnly::new(inner.clone());
        assert_eq!(ledger.head().await.expect("it may").seq, 1);
        let refused = ledger.append(vec![entry()], Durability::Durable).await;
        assert_eq!(refused.expect_err("it may not").code(), "E-LEDGER-READ-ONLY");
        assert_eq!(
            ledger.ready(Work::Ends).await.expect_err("it may not").code(),
            "E-LEDGER-READ-ONLY"
        );
        assert!(ledger.observe(Vec::new()).await.is_err());
        assert!(ledger.checkpoint(1).await.is_err());
        assert!(ledger.rebuild().await.is_err());
        assert!(ledger.erase_person("person:x", 1).await.is_err());
        assert!(ledger.put_person(Person::default()).await.is_err());
        assert!(ledger.record_scan(Scan::default()).await.is_err());
        assert!(ledger.lease("a/b/c", "run", Duration::from_secs(1)).await.is_err());
        assert_eq!(inner.head().await.expect("it may").seq, 1);
    }
}
