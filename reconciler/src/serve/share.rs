//! Several processes that share a ledger share what there is to be looked after: of each connection one at a
//! time, by a lease. Who dies is followed when that is over, and what one has looked at is not looked at
//! again before its next moment.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use domain::Span;
use jiff::{SignedDuration, Timestamp};
use ledger::Scan;
use operations::{Context, Lease, Looked, Problem, StopSign};
use serde_json::{Value, json};

/// How soon a connection that another looks after is asked about again, at the latest.
const ASK_AGAIN: Duration = Duration::from_secs(30);

/// What a look at everything that is declared at a connection is called in the ledger.
const TICK: &str = "tick";

/// So many gaps are written down one by one.
const GAPS_MOST: usize = 16;

/// The moments that connections have had, and that nobody has looked at them for yet.
#[derive(Debug)]
pub(crate) struct Moments {
    begun: Timestamp,
    came: BTreeMap<String, Timestamp>,
}

impl Moments {
    /// Of who begins now, and looks at everything at once.
    pub(crate) fn from(begun: Timestamp) -> Moments {
        Moments { begun, came: BTreeMap::new() }
    }

    /// One of a connection has come.
    pub(crate) fn came(&mut self, connection: &str, at: Timestamp) {
        self.came.entry(connection.to_owned()).or_insert(at);
    }

    /// Somebody has looked.
    pub(crate) fn over(&mut self, connection: &str) {
        self.came.remove(connection);
    }

    fn of(&self, connection: &str) -> Timestamp {
        self.came.get(connection).copied().unwrap_or(self.begun)
    }
}

/// Whose each connection is for now.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// Those with a lease; where nothing is shared, none is needed.
    held: BTreeMap<String, Lease>,
    theirs: BTreeMap<String, (String, Duration)>,
    /// Those that somebody else has looked at since their moment came.
    done: BTreeSet<String>,
}

impl Shared {
    /// Takes those of these that nobody else has.
    pub(crate) async fn take(
        context: &Context,
        connections: &BTreeSet<String>,
        moments: &Moments,
    ) -> Result<Shared, Problem> {
        let mut shared = Shared::default();
        if context.read_only || !context.ledger.keeps() {
            return Ok(shared);
        }
        match shared.share(context, connections, moments).await {
            Ok(()) => Ok(shared),
            Err(problem) => {
                // Nobody waits for the end of what nothing is done with.
                shared.give_back().await;
                Err(problem)
            }
        }
    }

    async fn share(
        &mut self,
        context: &Context,
        connections: &BTreeSet<String>,
        moments: &Moments,
    ) -> Result<(), Problem> {
        for connection in connections {
            match Lease::take(context, &format!("connection/{connection}")).await? {
                Ok(held) => drop(self.held.insert(connection.clone(), held)),
                Err(theirs) => drop(self.theirs.insert(connection.clone(), theirs)),
            }
        }
        // Behind the leases: whoever had one before has written it down by now.
        let (scans, now) = (context.ledger.scans().await?, context.now());
        for scan in scans.iter().filter(|scan| has_looked(scan, moments, now)) {
            if let Some(held) = self.held.remove(&scan.tenant) {
                held.give_back().await;
                self.done.insert(scan.tenant.clone());
            }
        }
        Ok(())
    }

    /// Lets the run stop where a lease of it is lost.
    pub(crate) fn guard(&self, context: Context) -> Context {
        if self.held.is_empty() {
            return context;
        }
        let lost: Vec<_> = self.held.values().map(Lease::loss).collect();
        let stop = context.stop.clone();
        let stop = StopSign::of(move || stop.is_set() || lost.iter().any(|is_lost| is_lost()));
        Context { stop, ..context }
    }

    /// Those of these that are looked at here.
    pub(crate) fn ours(&self, asked: &BTreeSet<String>) -> BTreeSet<String> {
        let elsewhere = |one: &String| self.theirs.contains_key(one) || self.done.contains(one);
        asked.iter().filter(|one| !elsewhere(one)).cloned().collect()
    }

    /// Those that others look after now, and who.
    pub(crate) fn elsewhere(&self) -> impl Iterator<Item = (&str, &str)> {
        self.theirs.iter().map(|(connection, (holder, _))| (&**connection, &**holder))
    }

    /// Those, and how long that may be at most.
    pub(crate) fn later(&self) -> BTreeMap<String, Duration> {
        self.theirs.iter().map(|(connection, (_, left))| (connection.clone(), *left)).collect()
    }

    pub(crate) async fn give_back(self) {
        for held in self.held.into_values() {
            held.give_back().await;
        }
    }
}

/// Whether somebody has looked since a moment came. What is dated in the future was, by a clock that was wrong,
/// and would keep everybody from looking until then.
fn has_looked(scan: &Scan, moments: &Moments, now: Timestamp) -> bool {
    let since = moments.of(&scan.tenant).as_millisecond();
    scan.what == TICK
        && scan.finished_at.is_some()
        && (since..=now.as_millisecond()).contains(&scan.started_at)
}

/// When somebody else's is asked about again.
pub(crate) fn again(left: Duration, every: Span, now: Timestamp) -> Timestamp {
    let wait = left.min(ASK_AGAIN).min(every.to_std()) + Duration::from_millis(100);
    let wait = SignedDuration::try_from(wait).unwrap_or(SignedDuration::from_secs(1));
    now.checked_add(wait).unwrap_or(now)
}

/// Writes down how much of each connection was read, for whoever shares it and whoever asks.
///
/// # Errors
///
/// The ledger cannot be written: another looks again, and nothing else comes of it.
pub(crate) async fn census(
    context: &Context,
    connections: &BTreeSet<String>,
    looked: &Looked,
    begun: Timestamp,
    ended: Timestamp,
) -> Result<(), Problem> {
    if context.read_only || !context.ledger.keeps() || context.stop.is_set() {
        return Ok(());
    }
    for connection in connections {
        context.ledger.record_scan(counted(connection, looked, begun, ended)).await?;
    }
    Ok(())
}

/// Each integration and each slot counts once: read, not read, or not asked for.
fn counted(connection: &str, looked: &Looked, begun: Timestamp, ended: Timestamp) -> Scan {
    let of = |subject: &str| subject.split('/').next() == Some(connection);
    let read: BTreeSet<&str> =
        looked.steps.iter().map(|step| &*step.subject).filter(|id| of(id)).collect();
    let unread: BTreeMap<&str, &'static str> = looked
        .unread
        .iter()
        .filter(|one| of(&one.subject))
        .map(|one| (&*one.subject, one.problem.code))
        .collect();
    let is_skipped = |code: &str| matches!(code, "E-UNHEARD" | "E-STOPPED");
    let skipped = unread.values().filter(|code| is_skipped(code)).count() as u64;
    let gaps: Vec<Value> = unread
        .iter()
        .filter(|(_, code)| !is_skipped(code))
        .take(GAPS_MOST)
        .map(|(subject, code)| json!({ "extent": "object", "id": subject, "code": code }))
        .collect();
    let all: BTreeSet<&str> = read.iter().copied().chain(unread.keys().copied()).collect();
    Scan {
        tenant: connection.to_owned(),
        what: TICK.to_owned(),
        started_at: begun.as_millisecond(),
        finished_at: Some(ended.as_millisecond()),
        expected: Some(all.len() as u64),
        read: all.iter().filter(|id| !unread.contains_key(*id)).count() as u64,
        failed: unread.len() as u64 - skipped,
        skipped,
        gaps: (!gaps.is_empty()).then(|| gaps.into()),
    }
}

#[cfg(test)]
mod tests {
    use operations::Unread;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn what_could_not_be_read_is_counted_apart_from_what_was_not_asked_for() {
        let unread = |subject: &str, code| Unread {
            subject: subject.to_owned(),
            problem: Problem::new(code, "No"),
            since: None,
        };
        let looked = Looked {
            steps: Vec::new(),
            unread: vec![
                unread("bao/x/a", "E-REFUSED"),
                unread("bao/x/b", "E-UNHEARD"),
                unread("bao2/x/c", "E-REFUSED"),
            ],
            known: Default::default(),
        };
        let (begun, ended) = (at("2026-12-01T10:00:00Z"), at("2026-12-01T10:00:02Z"));
        let scan = counted("bao", &looked, begun, ended);
        assert_eq!((scan.expected, scan.read, scan.failed, scan.skipped), (Some(2), 0, 1, 1));
        let gaps = json!([{ "extent": "object", "id": "bao/x/a", "code": "E-REFUSED" }]);
        assert_eq!(scan.gaps, Some(gaps));
        let none = counted("other", &looked, begun, ended);
        assert_eq!((none.expected, none.gaps), (Some(0), None), "a look at nothing is one too");
    }

    #[test]
    fn a_look_counts_from_the_moment_on_and_not_where_it_is_still_to_come() {
        let moments = Moments::from(at("2026-12-01T10:00:00Z"));
        let now = at("2026-12-01T10:05:00Z");
        let looked = |begun: &str| {
            let looked =
                Looked { steps: Vec::new(), unread: Vec::new(), known: Default::default() };
            has_looked(&counted("bao", &looked, at(begun), at(begun)), &moments, now)
        };
        assert!(!looked("2026-12-01T09:59:59Z"));
        assert!(looked("2026-12-01T10:00:00Z") && looked("2026-12-01T10:05:00Z"));
        assert!(!looked("2036-12-01T10:00:00Z"), "a clock was wrong");
    }

    #[test]
    fn a_moment_lasts_until_somebody_has_looked() {
        let mut moments = Moments::from(at("2026-12-01T10:00:00Z"));
        assert_eq!(moments.of("bao"), at("2026-12-01T10:00:00Z"), "who begins looks at all");
        moments.came("bao", at("2026-12-01T10:15:00Z"));
        moments.came("bao", at("2026-12-01T10:15:30Z"));
        assert_eq!(
            moments.of("bao"),
            at("2026-12-01T10:15:00Z"),
            "asked about again, it is the same"
        );
        let left = Duration::from_secs(200);
        let now = at("2026-12-01T10:15:30Z");
        let asked = again(left, Span::from_secs(900), now);
        assert_eq!(asked.duration_since(now), SignedDuration::from_millis(30_100));
        assert_eq!(
            again(Duration::ZERO, Span::from_secs(900), now).duration_since(now),
            SignedDuration::from_millis(100)
        );
    }
}
