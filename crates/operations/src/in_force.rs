//! Whether the policy that is here may be used: whether it follows the one that was used last.
//!
//! What was used last is in the ledger. It is looked up once a run, before anything is done; until then,
//! and where it may not be used, what takes power away is open and nothing else.

use std::{
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use approval::chain::{self, Accepted, Asked, Refusal, Version};
use domain::Now;
use ledger::{Filter, port::Subject};
use policy::change::{Change, Digest};

use crate::{
    Context, Problem,
    gate::{Authorization, Deed, EndingGate, Gate},
    review::ReviewBoard,
};

/// The kind of the entry that says which version was used.
const LOADED: &str = "policy.loaded";

/// The code of what does not follow.
const ROLLBACK: &str = "E-POLICY-ROLLBACK";

/// What such entries are about.
const SUBJECT: &str = "policy";

/// What earlier versions say.
pub trait Predecessor: fmt::Debug + Send + Sync {
    /// Whom a version asks of a change, and what they have said.
    ///
    /// # Errors
    ///
    /// It is not at hand.
    fn asked(&self, known: Version, change: &Change, now: Now) -> Result<Asked, String>;
}

/// The policy that is here, and what is known of whether it may be used.
#[derive(Debug)]
pub struct InForce {
    here: Option<Version>,
    earlier: Option<Box<dyn Predecessor>>,
    verdict: OnceLock<Result<Accepted, Problem>>,
    told: AtomicBool,
}

impl InForce {
    /// Of what is here; no version where the policy asks nobody.
    pub fn new(here: Option<Version>, earlier: Option<Box<dyn Predecessor>>) -> InForce {
        InForce { here, earlier, verdict: OnceLock::new(), told: AtomicBool::new(false) }
    }

    /// Looks up what was used last, once.
    pub(crate) async fn settle(&self, context: &Context) {
        if self.verdict.get().is_none() {
            let verdict = match self.judged(context).await {
                // Where nobody is asked a ledger that cannot be read is the ledger's own matter.
                Err(NotInForce::Unknown(problem))
                    if self.here.is_none() && problem.code != ROLLBACK =>
                {
                    Ok(Accepted::First)
                }
                other => other.map_err(|why| why.problem()),
            };
            // Whoever is second says the same.
            let _ = self.verdict.set(verdict);
        }
    }

    /// Whether it may be used, and why.
    ///
    /// # Errors
    ///
    /// The ledger cannot be read, or it may not be used.
    pub async fn judged(&self, context: &Context) -> Result<Accepted, NotInForce> {
        let known = known(context).await.map_err(NotInForce::Unknown)?;
        let now = context.time();
        let installation = installation(context);
        chain::accept(known, self.here, &installation, now, |change| match (&self.earlier, known) {
            (Some(earlier), Some(known)) => earlier.asked(known, change, now),
            _ => Err("nothing is kept of it".to_owned()),
        })
        .map_err(NotInForce::Refused)
    }

    /// Why it may not be used; before it was looked up nobody can say that it may.
    pub(crate) fn closed(&self) -> Option<&Problem> {
        self.verdict.get().and_then(|verdict| verdict.as_ref().err())
    }

    /// Writes down that it is used, where it was not before.
    ///
    /// # Errors
    ///
    /// It cannot be written down.
    pub(crate) async fn used(&self, context: &Context) -> Result<(), Problem> {
        let Some(here) = self.here else { return Ok(()) };
        let is_new = matches!(self.verdict.get(), Some(Ok(Accepted::First | Accepted::Signed(_))));
        if !is_new || !context.ledger.keeps() || self.told.load(Ordering::Relaxed) {
            return Ok(());
        }
        let entry = context
            .entry(LOADED, SUBJECT)
            .detail("version", here.number)
            .detail("digest", here.digest.to_string());
        let entry = match self.verdict.get() {
            Some(Ok(Accepted::Signed(tally))) => {
                let roles: Vec<&String> = tally.have.values().collect();
                entry.detail("approved_as", serde_json::json!(roles))
            }
            _ => entry,
        };
        context.journal(entry).await?;
        // Said twice by two at once it is the same; not said at all it would be unknown later.
        self.told.store(true, Ordering::Relaxed);
        Ok(())
    }
}

/// Why a policy may not be used.
#[derive(Debug, Clone)]
pub enum NotInForce {
    /// Nobody knows what was used last.
    Unknown(Problem),
    /// It does not follow what was used last.
    Refused(Refusal),
}

impl NotInForce {
    /// As people are told.
    pub fn problem(&self) -> Problem {
        match self {
            NotInForce::Unknown(problem) => problem.clone(),
            NotInForce::Refused(refusal) => Problem::new(refusal.code(), refusal.title())
                .detail(refusal.detail())
                .next(refusal.next()),
        }
    }
}

/// The installation that a version of the policy is of: what approvals are bound to.
pub fn installation(context: &Context) -> String {
    context.realm.as_ref().map(|realm| realm.id.clone()).unwrap_or_default()
}

/// The version that was used last; none where the ledger has none.
///
/// # Errors
///
/// The ledger cannot be read, or says something that no version wrote.
pub async fn known(context: &Context) -> Result<Option<Version>, Problem> {
    if !context.ledger.keeps() {
        return Ok(None);
    }
    let filter = Filter {
        subject: Some(Subject::Is(SUBJECT.to_owned())),
        kinds: vec![LOADED.to_owned()],
        newest_first: true,
        limit: 1,
        ..Filter::all()
    };
    let page = context.ledger.entries(&filter).await?;
    let Some(entry) = page.entries.first() else { return Ok(None) };
    let number = entry.detail.get("version").and_then(serde_json::Value::as_u64);
    let digest = entry.detail.get("digest").and_then(serde_json::Value::as_str);
    match (number, digest.and_then(Digest::parse)) {
        (Some(number), Some(digest)) => Ok(Some(Version { number, digest })),
        _ => Err(Problem::new(ROLLBACK, "Which policy was used last is not known")
            .detail(format!(
                "The ledger's entry {} does not say a version and its digest.",
                entry.seq
            ))
            .next("nhi ledger verify")),
    }
}

/// Decides as another gate does, where the policy may be used.
#[derive(Debug)]
pub struct ChainGate {
    inner: Arc<dyn Gate>,
    chain: Arc<InForce>,
}

impl ChainGate {
    /// Over what decides by a policy.
    pub fn new(inner: Arc<dyn Gate>, chain: InForce) -> ChainGate {
        ChainGate { inner, chain: Arc::new(chain) }
    }
}

impl Gate for ChainGate {
    fn authorize(&self, deed: &Deed) -> Result<Authorization, Problem> {
        match self.chain.verdict.get() {
            Some(Ok(_)) => self.inner.authorize(deed),
            Some(Err(problem)) => EndingGate(problem.clone()).authorize(deed),
            None => EndingGate(
                Problem::new("E-POLICY-UNSIGNED", "Nobody has looked which policy was used last")
                    .detail("This is a fault of nhi: a deed was begun before that.")
                    .next("report it"),
            )
            .authorize(deed),
        }
    }

    fn closed(&self) -> Option<&Problem> {
        self.inner.closed().or_else(|| self.chain.closed())
    }

    fn board(&self) -> Option<&Arc<ReviewBoard>> {
        self.inner.board()
    }

    fn chain(&self) -> Option<&Arc<InForce>> {
        Some(&self.chain)
    }
}
