//! Several who work between applies share what there is to be done: whoever has the lease of something
//! works on it, and has it for longer while it goes on. Who lost it stops before the next call, never in the
//! middle of one.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use ledger::{Fence, Leased, Ledger};
use policy::Rules;
use tokio::{task::AbortHandle, time::Instant};

use crate::{Context, Problem, StopSign};

/// So many times is a lease renewed in the time that it is taken for.
const RENEWALS: u32 = 6;

/// How long a lease is taken for: whoever died is followed after that at the latest.
pub fn lease_time(rules: &Rules) -> Duration {
    2 * margin(rules)
}

/// What must be left of a lease for one more call to begin: as long as that may take to arrive.
fn margin(rules: &Rules) -> Duration {
    let both = rules.call_deadline.as_secs().saturating_add(rules.settle.as_secs());
    Duration::from_secs(both.clamp(1, 3600))
}

/// A lease that is held, and renewed for as long as this lives.
#[derive(Debug)]
pub struct Lease {
    fence: Fence,
    ledger: Arc<dyn Ledger>,
    term: Arc<Term>,
    keeper: AbortHandle,
}

/// How long it lasts.
#[derive(Debug)]
struct Term {
    until: Mutex<Instant>,
    margin: Duration,
    lost: AtomicBool,
}

impl Term {
    fn is_over(&self) -> bool {
        let until = *self.until.lock().unwrap_or_else(PoisonError::into_inner);
        self.lost.load(Ordering::SeqCst) || Instant::now() + self.margin > until
    }
}

impl Lease {
    /// Takes the lease of something; else who has it, and for how long at most.
    ///
    /// # Errors
    ///
    /// The ledger cannot be written.
    pub async fn take(
        context: &Context,
        subject: &str,
    ) -> Result<Result<Lease, (String, Duration)>, Problem> {
        let (ledger, holder) = (context.ledger.clone(), context.run.id.clone());
        let time = lease_time(&context.rules);
        let asked = Instant::now();
        let fence = match ledger.lease(subject, &holder, time).await? {
            Leased::Ours(fence) => fence,
            Leased::Theirs { holder, left } => return Ok(Err((holder, left))),
        };
        let until = Mutex::new(asked + time);
        let margin = margin(&context.rules);
        let term = Arc::new(Term { until, margin, lost: AtomicBool::new(false) });
        let keeping = keep(ledger.clone(), fence.clone(), holder, time, term.clone());
        let keeper = tokio::spawn(keeping).abort_handle();
        Ok(Ok(Lease { fence, ledger, term, keeper }))
    }

    /// Whether it is somebody else's by now, or may be before another call has arrived.
    pub fn is_lost(&self) -> bool {
        self.term.is_over()
    }

    /// Asks it whenever it is wanted, also when this is given back.
    pub fn loss(&self) -> impl Fn() -> bool + Send + Sync + 'static {
        let term = self.term.clone();
        move || term.is_over()
    }

    /// Lets a run stop where this is lost, and write nothing down that it begins.
    pub fn guard(&self, context: &Context) -> Context {
        let (stop, is_lost) = (context.stop.clone(), self.loss());
        let stop = StopSign::of(move || stop.is_set() || is_lost());
        Context { stop, under: Some(self.fence.clone()), ..context.clone() }
    }

    /// Gives it back, so that nobody waits for its end. What cannot be given back ends by itself.
    pub async fn give_back(self) {
        self.keeper.abort();
        if let Err(error) = self.ledger.release(&self.fence).await {
            tracing::warn!(%error, subject = self.fence.subject, "a lease was not given back");
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

/// Renews it in time. Where it cannot be asked for, it is asked for again: it lasts until it is over.
async fn keep(
    ledger: Arc<dyn Ledger>,
    fence: Fence,
    holder: String,
    time: Duration,
    term: Arc<Term>,
) {
    loop {
        tokio::time::sleep(time / RENEWALS).await;
        let asked = Instant::now();
        match ledger.lease(&fence.subject, &holder, time).await {
            Ok(Leased::Ours(again)) if again == fence => {
                *term.until.lock().unwrap_or_else(PoisonError::into_inner) = asked + time;
            }
            Ok(_) => {
                term.lost.store(true, Ordering::SeqCst);
                return;
            }
            Err(error) => {
                tracing::warn!(%error, subject = fence.subject, "a lease was not renewed");
            }
        }
    }
}
