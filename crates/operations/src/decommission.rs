//! Taking an integration out of service: narrowed to nothing, switched off, all of it ended, and shown.
//!
//! Each step is asked for anew and does no harm twice, so a second run goes on wherever the first
//! stopped. That it was begun stands in the integration's record before anything else is done, and it
//! is quarantined from then on: no apply gives back meanwhile, or afterwards, what was taken.

use std::collections::BTreeSet;

use connector::{Change, Children, Connector, ObjectRef, Want};
use domain::{IntegrationId, ObservedIntegration, Record};
use ledger::Work;
use policy::{proof::Grade, rotation::Goal};
use serde_json::json;

use crate::{
    Context, Deed, Problem, Revoked, SlotSpec, carry_out, elsewhere::governed_here,
    observe::object_of, ourselves::not_ourselves, revoke_everything, scopes::record_turn,
};

/// What the record's own word of it begins with while it is under way.
const BEGUN: &str = "decommission begun";
/// And when it is done.
const ENDED: &str = "decommissioned";
/// Why it is quarantined, where nobody had done that before.
const QUARANTINE: &str = "decommission";

/// How far an integration was taken out of service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decommissioned {
    /// It was begun, and is not finished.
    Partly,
    /// It is.
    Wholly,
}

impl Decommissioned {
    /// What its record says; `None` where nobody takes it out of service.
    pub fn of(record: Option<&Record>) -> Option<Decommissioned> {
        let says = record?.decommission.as_deref()?;
        if says.starts_with(BEGUN) {
            Some(Decommissioned::Partly)
        } else if says.starts_with(ENDED) {
            Some(Decommissioned::Wholly)
        } else {
            None
        }
    }
}

/// What became of one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// This run did it: what.
    Done(String),
    /// It was so already.
    Already(String),
    /// Its platform cannot, and what follows from that.
    Cannot(&'static str),
    /// It was not come to.
    Open,
}

impl Step {
    /// The word in reports.
    pub fn word(&self) -> &'static str {
        match self {
            Step::Done(_) => "done",
            Step::Already(_) => "already",
            Step::Cannot(_) => "cannot",
            Step::Open => "open",
        }
    }

    /// What stands beside it.
    pub fn says(&self) -> &str {
        match self {
            Step::Done(text) | Step::Already(text) => text,
            Step::Cannot(text) => text,
            Step::Open => "",
        }
    }
}

/// The steps, in order.
pub const STEPS: [&str; 6] = ["narrow", "disable", "end", "sweep", "prove", "mark"];

/// What was done, step by step.
#[derive(Debug, Clone)]
pub struct Checklist {
    /// By the step's name, in order.
    pub steps: Vec<(&'static str, Step)>,
    /// What was ended in this run.
    pub revoked: Vec<Revoked>,
}

impl Default for Checklist {
    fn default() -> Checklist {
        let steps = STEPS.iter().map(|name| (*name, Step::Open)).collect();
        Checklist { steps, revoked: Vec::new() }
    }
}

impl Checklist {
    fn tick(&mut self, name: &str, step: Step) {
        if let Some((_, have)) = self.steps.iter_mut().find(|(one, _)| *one == name) {
            *have = step;
        }
    }
}

/// One that is being taken out of service.
struct Retiring<'a> {
    context: &'a Context,
    id: &'a IntegrationId,
    what: String,
    object: ObjectRef,
    connector: std::sync::Arc<dyn Connector>,
    auth: String,
}

/// Takes an integration out of service: `slots` are those that are declared, or that custody knows of.
///
/// # Errors
///
/// Why it stopped. The checklist says how far it came, and a second run goes on from there.
pub async fn decommission(
    context: &Context,
    id: &IntegrationId,
    vendor_id: &str,
    name: &str,
    slots: &[SlotSpec],
    checklist: &mut Checklist,
) -> Result<(), Problem> {
    context.ready(Work::Ends).await?;
    let tenant = context.tenant(&id.connection).await?;
    let connector = context.connector(&id.connection).await?;
    let what = id.to_string();
    not_ourselves(context, id).await?;
    let deed = Deed::ending(&what, &tenant, "decommission", vendor_id.to_owned());
    let auth = context.gate.authorize(&deed)?.auth().to_owned();
    let object = object_of(id, Some(name), Some(vendor_id));
    let work = Retiring { context, id, what, object, connector, auth };
    let kind = work.connector.platform().kinds().iter().find(|kind| kind.name == id.kind);
    let keeps_record = kind.is_some_and(|kind| kind.capabilities.keeps_record);
    let has_switch = kind.is_some_and(|kind| kind.capabilities.disables);
    let sweeps = kind.is_some_and(|kind| kind.capabilities.sweeps_children);

    work.narrow(keeps_record, checklist).await?;
    work.disable(has_switch, checklist).await?;
    for spec in slots {
        let done = carry_out(context, spec, Goal::Revoke, "decommissioned").await?;
        checklist.revoked.extend(done.revoked);
    }
    // What nobody declared, too; and what was minted from all of it.
    let rest = revoke_everything(context, id, vendor_id, name).await?;
    checklist.revoked.extend(rest);
    work.tell_ends(sweeps, checklist);
    work.mark(keeps_record, checklist).await
}

impl Retiring<'_> {
    async fn read(&self) -> Result<ObservedIntegration, Problem> {
        let want = Want { credentials: false, ..Want::DEED };
        let found = self
            .connector
            .read(&self.object, want)
            .await
            .map_err(|error| Problem::unreadable(&self.what, &error))?;
        let found = found.ok_or_else(|| crate::not_shown(self.id))?;
        governed_here(self.context, self.id, found.record.as_ref(), []).await?;
        Ok(found)
    }

    async fn modify(&self, step: &str, change: Change) -> Result<ObservedIntegration, Problem> {
        self.context
            .attempt(&self.what, step, &self.auth, async {
                let done = self.connector.modify(&self.object, &change).await;
                done.map_err(|error| Problem::not_done(&self.what, step, &error))
            })
            .await
    }

    fn says(&self, what: &str) -> String {
        format!("{what} {} by {}", self.context.now().strftime("%Y-%m-%d"), self.context.run.id)
    }

    /// That it is begun is written in the same call as what takes its scopes away: whatever dies after
    /// that, no apply gives them back.
    async fn narrow(&self, keeps: bool, checklist: &mut Checklist) -> Result<(), Problem> {
        let _turn = self.context.turns.take(&record_turn(self.id)).await;
        let found = self.read().await?;
        let marked = Decommissioned::of(found.record.as_ref()).is_some() || !keeps;
        let scopes = found.scopes.len();
        if marked && scopes == 0 {
            checklist.tick("narrow", Step::Already("it has no scope".to_owned()));
            if keeps {
                return Ok(());
            }
        }
        let entry = self.context.entry("decommission.begun", &self.what).detail("scopes", scopes);
        self.context.journal(entry).await?;
        let record = keeps.then(|| {
            let have = found.record.clone().unwrap_or_default();
            let realm = self.context.realm.as_ref().map(|realm| realm.id.clone());
            let says = match Decommissioned::of(Some(&have)) {
                Some(_) => have.decommission.clone(),
                None => Some(self.says(BEGUN)),
            };
            // Who stopped it before, and why, stays.
            let why = have.quarantined.clone().or_else(|| Some(QUARANTINE.to_owned()));
            let realm = have.realm.clone().or(realm);
            Record { realm, quarantined: why, decommission: says, ..have }
        });
        if record.is_none() && scopes == 0 {
            return Ok(());
        }
        let taken = (scopes > 0).then(BTreeSet::new);
        let done =
            self.modify("narrow", Change { scopes: taken, record, ..Change::default() }).await?;
        if let Some(left) = done.scopes.iter().next() {
            return Err(Problem::new("E-SCOPES-NOT-ENFORCED", "The platform kept a scope")
                .detail(format!(
                    "{}: {} and {} more.",
                    self.what,
                    left.scope,
                    done.scopes.len() - 1
                ))
                .next(format!("nhi scan, and compare; then: nhi decommission {}", self.what)));
        }
        let said = if scopes > 0 {
            format!("{scopes} scope(s) taken away")
        } else {
            "it had no scope".to_owned()
        };
        checklist.tick("narrow", Step::Done(said));
        Ok(())
    }

    async fn disable(&self, has_switch: bool, checklist: &mut Checklist) -> Result<(), Problem> {
        if !has_switch {
            checklist.tick(
                "disable",
                Step::Cannot("its platform has no switch: without a credential nobody signs in"),
            );
            return Ok(());
        }
        let _turn = self.context.turns.take(&record_turn(self.id)).await;
        if !self.read().await?.enabled {
            checklist.tick("disable", Step::Already("it is off".to_owned()));
            return Ok(());
        }
        self.modify("disable", Change { enabled: Some(false), ..Change::default() }).await?;
        checklist.tick("disable", Step::Done("switched off".to_owned()));
        Ok(())
    }

    /// What was ended, what was minted from it, and how far both were shown.
    fn tell_ends(&self, sweeps: bool, checklist: &mut Checklist) {
        let ended = checklist.revoked.len();
        let worst = checklist.revoked.iter().map(|one| one.grade).min();
        let unsure = checklist
            .revoked
            .iter()
            .any(|one| matches!(one.children, Children::Unknown | Children::Residual(_)));
        let swept: u32 = checklist
            .revoked
            .iter()
            .map(|one| if let Children::Swept(count) = one.children { count } else { 0 })
            .sum();
        checklist.tick(
            "end",
            match ended {
                0 => Step::Already("no credential lives".to_owned()),
                _ => Step::Done(format!("{ended} credential(s) ended")),
            },
        );
        checklist.tick(
            "sweep",
            match (sweeps, unsure) {
                (false, _) => {
                    Step::Cannot("its platform does not say what was minted from a credential")
                }
                (true, true) => Step::Cannot(
                    "of something that was minted it is not known, or it lives for a while",
                ),
                (true, false) if swept == 0 => {
                    Step::Already("nothing that was minted lives".to_owned())
                }
                (true, false) => Step::Done(format!("{swept} ended")),
            },
        );
        checklist.tick(
            "prove",
            match worst {
                None => Step::Already("nothing was ended by this run".to_owned()),
                Some(Grade::D) => Step::Cannot("nothing shows that they are ended"),
                Some(grade) => Step::Done(format!("grade {} at least", grade.as_str())),
            },
        );
    }

    /// The tombstone.
    async fn mark(&self, keeps: bool, checklist: &mut Checklist) -> Result<(), Problem> {
        let _turn = self.context.turns.take(&record_turn(self.id)).await;
        let found = self.read().await?;
        let wholly = Decommissioned::of(found.record.as_ref()) == Some(Decommissioned::Wholly);
        let step = match (keeps, wholly) {
            (false, _) => Step::Cannot(
                "its platform keeps no record, so nothing there says it: remove its resources before the \
                 next apply",
            ),
            (true, true) => Step::Already("its record says so".to_owned()),
            (true, false) => {
                let have = found.record.unwrap_or_default();
                let record = Record { decommission: Some(self.says(ENDED)), ..have };
                self.modify("mark", Change { record: Some(record), ..Change::default() }).await?;
                Step::Done("its record says so".to_owned())
            }
        };
        let again = matches!(step, Step::Already(_)) && checklist.revoked.is_empty();
        checklist.tick("mark", step);
        if !again {
            let steps: Vec<_> = checklist
                .steps
                .iter()
                .map(|(name, step)| json!({ "step": name, "is": step.word() }))
                .collect();
            let entry = self.context.entry("decommission.ended", &self.what);
            let ended = checklist.revoked.len();
            let entry = entry.detail("steps", json!(steps)).detail("ended", ended);
            let worst = checklist.revoked.iter().map(|one| one.grade).min();
            let worst = worst.map_or(json!(null), |grade| json!(grade.as_str()));
            self.context.note(entry.detail("grade", worst)).await;
        }
        Ok(())
    }
}

/// What was taken out of service gets nothing back.
pub(crate) fn not_in_service(what: &str, record: Option<&Record>) -> Result<(), Problem> {
    if Decommissioned::of(record).is_none() {
        return Ok(());
    }
    let says = record.and_then(|record| record.decommission.clone()).unwrap_or_default();
    Err(Problem::new("E-DECOMMISSIONED", "This integration is out of service")
        .detail(format!("{what}: its record says: {says}. Nothing of what was taken is given back."))
        .next(
            "remove its nhi_integration, nhi_scope and nhi_credential from the configuration, and apply; if \
             it is to live again, give it a new name",
        )
        .at(&["integration"]))
}

/// What a person stopped gets nothing back by a plan that was made before they did.
pub(crate) fn not_stopped(what: &str, record: Option<&Record>) -> Result<(), Problem> {
    not_in_service(what, record)?;
    let Some(why) = record.and_then(|record| record.quarantined.as_deref()) else { return Ok(()) };
    Err(Problem::new("E-QUARANTINED", "This integration is quarantined")
        .detail(format!(
            "{what}: its record says: {why}. It is not switched on again, and gets no other credential. \
             Nothing was changed."
        ))
        .next(
            "plan again: a plan that was made since leaves it stopped. Only whoever wrote that lifts it, by \
             taking quarantined out of its record",
        )
        .at(&["integration"]))
}
