//! What those who serve may ask of a tenant together: half of its budget, by the ledger that they share. The
//! other half is left for whoever applies meanwhile.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use connector::transport::SharedBudget;
use ledger::{Drawn, Ledger};

/// The share of a budget that those who serve have, as its divisor.
pub(crate) const SHARE: u32 = 2;

/// A budget in a ledger.
#[derive(Debug)]
pub(crate) struct InLedger(pub(crate) Arc<dyn Ledger>);

#[async_trait]
impl SharedBudget for InLedger {
    async fn draw(
        &self,
        connection: &str,
        most: u32,
        per_second: u32,
    ) -> Option<Result<u32, Duration>> {
        match self.0.draw(connection, most, per_second).await {
            Ok(Drawn::Requests(requests)) => Some(Ok(requests)),
            Ok(Drawn::Wait(wait)) => Some(Err(wait)),
            // Where the ledger cannot be written nothing is begun, and looking goes on.
            Err(_) => None,
        }
    }

    async fn freeze(&self, connection: &str, time: Duration) {
        // Whoever shares it is told so by the platform itself.
        let _ = self.0.freeze(connection, time).await;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use connector::{
        SystemClock,
        transport::{Answer, Budget, Request, Transport, TransportError},
    };
    use ledger::{MemoryLedger, ReadOnly};

    use super::*;

    /// Answers this to everything.
    #[derive(Debug)]
    struct Says(u16);

    #[async_trait]
    impl Transport for Says {
        async fn send(&self, _: Request) -> Result<Answer, TransportError> {
            Ok(Answer::new(self.0, Vec::new(), Vec::new()))
        }
    }

    fn budget(ledger: &Arc<dyn Ledger>, says: u16, per_second: u32) -> Budget {
        let shared: Arc<dyn SharedBudget> = Arc::new(InLedger(ledger.clone()));
        Budget::new(Arc::new(Says(says)), Arc::new(SystemClock), per_second)
            .shared(Some(shared), "bao")
    }

    async fn send(by: &Budget) -> Result<Answer, TransportError> {
        by.send(Request { deadline: Duration::from_millis(900), ..Request::get("a", "a") }).await
    }

    #[tokio::test]
    async fn two_processes_send_no_more_together_than_one_may() {
        let ledger: Arc<dyn Ledger> = Arc::new(MemoryLedger::new());
        let (one, two) = (budget(&ledger, 200, 20), budget(&ledger, 200, 20));
        let begun = Instant::now();
        // Twenty are there at once, and ten more are earned within half a second.
        for _ in 0..15 {
            send(&one).await.unwrap();
            send(&two).await.unwrap();
        }
        assert!(begun.elapsed() >= Duration::from_millis(450), "{:?}", begun.elapsed());
        // Whom one asks for patience, the other leaves alone as well.
        let asked = budget(&ledger, 429, 20);
        send(&asked).await.unwrap();
        let fresh = budget(&ledger, 200, 20);
        let error = send(&fresh).await.unwrap_err();
        assert!(error.message.contains("wait"), "{error}");
    }

    #[tokio::test]
    async fn where_the_ledger_cannot_be_written_each_keeps_count_alone() {
        let ledger: Arc<dyn Ledger> = Arc::new(ReadOnly::new(Arc::new(MemoryLedger::new())));
        let one = budget(&ledger, 200, 10);
        let begun = Instant::now();
        for _ in 0..15 {
            send(&one).await.unwrap();
        }
        assert!(begun.elapsed() >= Duration::from_millis(450), "{:?}", begun.elapsed());
    }
}
