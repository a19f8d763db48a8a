//! Earlier keys: ended by id, with what was minted from them, until nothing is left.

use std::time::Duration;

use connector::Children;
use ledger::{Change as Row, NewEntry};
use policy::{
    proof::Ended,
    rotation::{Claim, Phase, Previous},
};
use secrets::Sink;

use super::{ENDED_AGAIN, Machine};
use crate::{Problem, credential::row_of, document::Meta, ourselves::not_our_key};

/// Between two ends of one key that is still listed.
const AGAIN: Duration = Duration::from_millis(500);
/// How often the platform may call one key ended that it lists: longer than a listing lags by chance.
const MOST_ENDS: u32 = 20;

impl Machine<'_> {
    /// S10: by id, never by name. A key that never served is given up, and not retired.
    pub(super) async fn end(&mut self, key_id: &str, served: bool) -> Result<(), Problem> {
        not_our_key(self.context, &self.spec.id.integration, key_id).await?;
        // It is listed still: a listing that lags is not asked as fast as it answers.
        if self.accepted.contains(key_id) {
            let ends = self.tries.entry(format!("{ENDED_AGAIN}{key_id}")).or_default();
            *ends += 1;
            if *ends >= MOST_ENDS {
                return Err(self.still_listed(key_id));
            }
            tokio::time::sleep(AGAIN).await;
        }
        // Children carry the key's marker, which is gone with the key.
        let claim = self.claimed()?.claim.clone();
        let marker = self.listed.get(key_id).cloned().flatten();
        let attempt = |at: &str| NewEntry {
            step: Some("end".into()),
            ..self.entry(at, &claim).detail("key", key_id).detail("served", served)
        };
        self.context.journal(attempt("attempt.started")).await?;
        let ended = self.connector.end(&self.object, key_id).await;
        let outcome = match &ended {
            Ok(_) => "done".to_owned(),
            Err(error) => format!("{:?}", error.outcome()).to_lowercase(),
        };
        let entry = NewEntry { outcome: Some(outcome), ..attempt("attempt.ended") };
        self.context.note(entry).await;
        if let Err(error) = ended {
            let problem = Problem::not_done(&self.what, "end a credential", &error);
            if error.outcome() != connector::Outcome::Ambiguous {
                return Err(problem);
            }
            self.lost(key_id, || problem)?;
        } else {
            self.accepted.insert(key_id.to_owned());
            self.ended.insert(key_id.to_owned(), self.context.now());
            if served {
                let entry = self.entry("rotation.retired", &claim).detail("key", key_id);
                self.note_owed(entry, &claim).await;
            }
        }
        if let Some(marker) = marker {
            // What fails is tried again when all have ended.
            let _ = self.sweep_children(key_id, marker).await;
        }
        Ok(())
    }

    fn still_listed(&self, key_id: &str) -> Problem {
        Problem::new("E-STILL-LIVE", "A credential is still alive")
            .detail(format!(
                "{}: {key_id}: the platform takes its end, or calls it gone, and lists it. The current \
                 credential works. The end is not proven, and is tried again by the next run.",
                self.what
            ))
            .next(format!(
                "see whether the connection's own credential may end it (nhi doctor {}), and end it at the \
                 platform where it may not; then apply",
                self.spec.id.integration.connection
            ))
            .at(&["key_id"])
    }

    /// Finds what was minted from one key.
    async fn sweep_children(&mut self, key_id: &str, marker: String) -> connector::Result<()> {
        match self.connector.sweep(&self.object, Some(&marker)).await {
            Ok(children) => {
                self.unswept.remove(key_id);
                self.children.insert(key_id.to_owned(), children);
                Ok(())
            }
            Err(error) => {
                self.unswept.insert(key_id.to_owned(), marker);
                Err(error)
            }
        }
    }

    /// S11: what was minted from ended keys was looked for as each ended, by its marker. Where that
    /// run did not come so far, or somebody else ended the key, the marker is made once more. A look that
    /// failed is tried again before it is given up: the proof says then that nothing is known.
    pub(super) async fn sweep(&mut self) -> Result<(), Problem> {
        let claim = self.claimed()?.claim.clone();
        let mut failed = None;
        for one in &claim.previous {
            if self.children.contains_key(&one.key_id) {
                continue;
            }
            let marker = match (self.unswept.get(&one.key_id), one.epoch) {
                (Some(marker), _) => marker.clone(),
                (None, Some(epoch)) => self.marker(one.generation, epoch)?,
                (None, None) => continue,
            };
            failed = self.sweep_children(&one.key_id, marker).await.err().or(failed);
        }
        if let Some(error) = failed.filter(|error| error.outcome() != connector::Outcome::Refused) {
            let what = self.what.clone();
            let problem = || Problem::not_done(&what, "sweep", &error);
            if self.lost("sweep", problem).is_ok() {
                return Ok(());
            }
        }
        let swept: u32 = self
            .children
            .values()
            .map(|children| if let Children::Swept(count) = children { *count } else { 0 })
            .sum();
        let entry = self.entry("rotation.swept", &claim).detail("children", swept);
        self.context.note(entry).await;
        self.swept = Some(claim.epoch);
        self.change_claim(|claim| claim.phase = Phase::Proving, false).await.map(drop)
    }

    /// The anchor's version that holds an earlier key's secret. The claim's word is checked against
    /// the version itself: the anchor may be another sink than it was when the claim was written.
    pub(super) async fn version_of(&self, one: &Previous) -> Result<Option<u64>, Problem> {
        let (Some(version), Some((delivery, sink))) = (one.held_version, self.sinks.0.last())
        else {
            return Ok(None);
        };
        let document = sink
            .read_version(&delivery.path, version)
            .await
            .map_err(|error| delivery.problem(error))?;
        let (realm, _) = self.context.realm_key()?;
        let holds = document.as_ref().and_then(Meta::of).is_some_and(|meta| {
            meta.ours(realm, &self.what, &self.spec.vendor_id) && meta.key_id == one.key_id
        });
        Ok(holds.then_some(version))
    }

    /// S13: the sink forgets what no longer opens anything. One that cannot keeps it, and the journal
    /// says nothing of it.
    pub(super) async fn destroy_previous(&mut self) -> Result<(), Problem> {
        let claim = self.claimed()?.claim.clone();
        // With what may be shown better another day, that is done.
        let kept = |one: &&Previous| {
            let noted = self.proofs.ended.iter().find(|ended| ended.key_id == one.key_id);
            noted.is_some_and(|ended| ended.held_version.is_some())
        };
        let done: Vec<Previous> = claim.previous.iter().filter(|one| !kept(one)).cloned().collect();
        for one in done {
            if !self.forget_version(&one, &claim).await? {
                return Ok(());
            }
        }
        // Beside nothing that works nothing more is shown of those that ended before.
        let due = self.proofs.ended.iter().filter(|one| claim.ends_all() && one.due.is_some());
        for one in due.cloned().collect::<Vec<_>>() {
            if !self.forget_version(&one.as_earlier(), &claim).await? {
                return Ok(());
            }
            self.proofs.note(Ended { held_version: None, due: None, ..one });
        }
        self.destroyed = Some(claim.epoch);
        Ok(())
    }

    /// Has the sink forget the version that still holds an ended key's secret; `false` where its answer
    /// was lost.
    pub(super) async fn forget_version(
        &mut self,
        one: &Previous,
        claim: &Claim,
    ) -> Result<bool, Problem> {
        let forgets = |sink: &dyn Sink| sink.capabilities().destroys_versions;
        let Some((delivery, sink)) = self.sinks.0.last().filter(|(_, sink)| forgets(&**sink))
        else {
            return Ok(true);
        };
        let Some(version) = self.version_of(one).await? else { return Ok(true) };
        match sink.destroy_version(&delivery.path, version).await {
            Ok(()) => {}
            // Twice does no harm.
            Err(error) if error.maybe_written() => {
                let problem = delivery.problem(error);
                return self.lost("destroy", || problem).map(|()| false);
            }
            Err(error) => return Err(delivery.problem(error)),
        }
        let entry = self.entry("rotation.previous_destroyed", claim).detail("version", version);
        self.context.note(entry).await;
        Ok(true)
    }

    /// S14: nothing is left.
    pub(super) async fn close(&mut self) -> Result<(), Problem> {
        let claim = self.claimed()?.claim.clone();
        if claim.current.is_none() {
            self.repair_mirrors().await?;
        }
        let version = self.claimed()?.version;
        let proofs = self.proofs_now(&claim);
        let closed = Claim {
            phase: Phase::Free,
            hold: None,
            proofs,
            previous: Vec::new(),
            known: Default::default(),
            new: None,
            called_at: None,
            ..claim
        };
        if self.write_claim(&closed, None, Some(version)).await?.is_some() {
            let mut entry = self.entry("rotation.closed", &closed);
            if closed.current.is_some() {
                entry = self.rows(entry, &closed, "current");
            } else if let Ok(Some(row)) = row_of(self.context, &self.spec.id).await {
                // It stays declared: who declares it no longer says so (`end_slot`).
                entry = entry.change(Row::Slot(ledger::Slot {
                    generation: closed.generation,
                    epoch: closed.epoch,
                    current: None,
                    status: "missing".to_owned(),
                    next_due_at: None,
                    ..row
                }));
            }
            self.note_owed(entry, &closed).await;
        }
        Ok(())
    }
}
