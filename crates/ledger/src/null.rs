//! No ledger: appends are accepted and dropped, and it says so.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;

use crate::{
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

/// The ledger of a run that has none. Everything works; nothing is remembered.
///
/// Entries are still checked as every ledger checks them, so that a run without one finds the same
/// mistakes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NullLedger;

#[async_trait]
impl Ledger for NullLedger {
    fn place(&self) -> String {
        "(no ledger: nothing is kept)".to_owned()
    }

    fn keeps(&self) -> bool {
        false
    }

    async fn ready(&self, _: Work) -> Result<Option<Error>> {
        Ok(None)
    }

    async fn append(&self, entries: Vec<NewEntry>, _: Durability) -> Result<Vec<Receipt>> {
        entries
            .into_iter()
            .map(|entry| entry.prepare(None).map(|_| Receipt { seq: 0, hash: Hash::ZERO }))
            .collect()
    }

    async fn head(&self) -> Result<Head> {
        Ok(Head { ledger: String::new(), seq: 0, hash: Hash::ZERO })
    }

    async fn entries(&self, _: &Filter) -> Result<Page> {
        Ok(Page { entries: Vec::new(), next: None })
    }

    async fn verify(&self, _: Range) -> Result<Verification> {
        Ok(Verification::nothing())
    }

    async fn checkpoint(&self, _: i64) -> Result<Option<Checkpoint>> {
        Ok(None)
    }

    async fn checkpoints(&self) -> Result<Vec<Checkpoint>> {
        Ok(Vec::new())
    }

    async fn document(&self, _: &Hash) -> Result<Option<Value>> {
        Ok(None)
    }

    async fn tenants(&self) -> Result<Vec<Tenant>> {
        Ok(Vec::new())
    }

    async fn integrations(&self, _: &Selection) -> Result<Vec<Integration>> {
        Ok(Vec::new())
    }

    async fn slots(&self, _: &Selection) -> Result<Vec<Slot>> {
        Ok(Vec::new())
    }

    async fn credentials(&self, _: &Selection) -> Result<Vec<Credential>> {
        Ok(Vec::new())
    }

    async fn open_obligations(&self) -> Result<Vec<Obligation>> {
        Ok(Vec::new())
    }

    async fn obligations_with(&self, _: &str) -> Result<Vec<Obligation>> {
        Ok(Vec::new())
    }

    async fn due(&self, _: i64) -> Result<Vec<Slot>> {
        Ok(Vec::new())
    }

    async fn observe(&self, _: Vec<Observed>) -> Result<()> {
        Ok(())
    }

    async fn record_scan(&self, _: Scan) -> Result<()> {
        Ok(())
    }

    async fn scans(&self) -> Result<Vec<Scan>> {
        Ok(Vec::new())
    }

    /// Nobody else is at work in what nobody shares.
    async fn lease(&self, subject: &str, _: &str, _: Duration) -> Result<Leased> {
        Ok(Leased::Ours(Fence { subject: subject.to_owned(), number: 0 }))
    }

    async fn release(&self, _: &Fence) -> Result<()> {
        Ok(())
    }

    /// What one process may ask it keeps count of itself.
    async fn draw(&self, _: &str, most: u32, _: u32) -> Result<Drawn> {
        Ok(Drawn::Requests(most.max(1)))
    }

    async fn freeze(&self, _: &str, _: Duration) -> Result<()> {
        Ok(())
    }

    async fn put_person(&self, _: Person) -> Result<()> {
        Ok(())
    }

    async fn person(&self, _: &str) -> Result<Option<Person>> {
        Ok(None)
    }

    async fn erase_person(&self, _: &str, _: i64) -> Result<()> {
        Ok(())
    }

    async fn rebuild(&self) -> Result<Rebuilt> {
        Ok(Rebuilt { entries: 0, changes: 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn no_ledger_accepts_everything_keeps_nothing_and_says_so() {
        let ledger = NullLedger;
        let entry = NewEntry::new(1, "declared", "a/b/c");
        let receipts = ledger.append(vec![entry], Durability::Durable).await.expect("accepted");
        assert_eq!(receipts[0].seq, 0);
        assert_eq!(ledger.head().await.expect("there is one").seq, 0);
        assert!(!ledger.keeps());
        assert!(ledger.place().contains("nothing is kept"));
    }

    #[tokio::test]
    async fn no_ledger_still_refuses_what_every_ledger_refuses() {
        let entry = NewEntry::new(1, "declared", "a/b/c").detail("rate", 0.5);
        let error = NullLedger.append(vec![entry], Durability::Durable).await;
        assert_eq!(error.expect_err("a fraction").code(), "E-LEDGER-BODY");
    }
}
