//! What a run is there to do: it brings a slot to a goal, or it does what a command does.

use std::{fmt, slice};

use operations::{
    Checklist, carry_out, decommission, drill, goal_of_resume, keep_sink, meet, observe_slot,
};

use super::*;

/// What a run is there to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doing {
    /// To bring a slot to a goal.
    Carry(Goal),
    /// To do what is due, and start no rotation.
    Meet,
    /// To finish what an apply was asked for whose state is at this generation.
    Resume {
        /// The generation.
        at: u64,
    },
    /// To show that an end works: another one is made, and the earlier one ends at once.
    Drill {
        /// The generation that it makes.
        to: u64,
    },
    /// To take the integration out of service.
    Decommission,
    /// To take what a person wrote over a delivered document for the current one.
    KeepSink,
}

impl From<Goal> for Doing {
    fn from(goal: Goal) -> Doing {
        Doing::Carry(goal)
    }
}

impl fmt::Display for Doing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Doing::Carry(goal) => write!(f, "{goal:?}"),
            other => write!(f, "{other:?}"),
        }
    }
}

/// Nothing is told of the slot.
fn nothing() -> Outcome {
    Outcome {
        key_id: None,
        generation: 0,
        fingerprint: None,
        issued_at: None,
        expires_at: None,
        previous: Vec::new(),
        deliveries: BTreeMap::new(),
        revoked: Vec::new(),
        done_by: None,
    }
}

impl Doing {
    /// Nobody is promised anything of the slot any more.
    pub(super) fn ends_all(self) -> bool {
        matches!(self, Doing::Carry(Goal::Revoke) | Doing::Decommission)
    }

    /// Nobody is waited for who holds an earlier one.
    pub(super) fn is_at_once(self) -> bool {
        matches!(self, Doing::Carry(Goal::Rotate { at_once: true, .. }) | Doing::Drill { .. })
    }

    /// The deed itself.
    pub(super) fn carried_out(self, context: Context, spec: SlotSpec, port: Port) -> Deed {
        match self {
            Doing::Carry(goal) => {
                Box::pin(async move { carry_out(&context, &spec, goal, "story").await })
            }
            Doing::Meet => Box::pin(async move {
                let met = meet(&context, &spec, true).await?;
                Ok(met.map_or_else(nothing, |met| met.outcome))
            }),
            Doing::Resume { at } => Box::pin(async move {
                // What a look finds that the state never heard of is what was asked for.
                let seen = observe_slot(&context, &spec).await?;
                let seen = seen.map_or(at, |seen| seen.generation);
                let (goal, _) = goal_of_resume(&context, &spec, seen, seen <= at).await?;
                carry_out(&context, &spec, goal, "story").await
            }),
            Doing::Drill { to } => Box::pin(async move {
                let drilled = drill(&context, &spec, to, None).await?;
                // Whoever tells of an end has seen it.
                port.has_ended(&drilled.ended.key_id).await;
                Ok(drilled.outcome)
            }),
            Doing::Decommission => Box::pin(async move {
                let (id, slots) = (&spec.id.integration, slice::from_ref(&spec));
                let mut list = Checklist::default();
                decommission(&context, id, &spec.vendor_id, "sync", slots, &mut list).await?;
                Ok(nothing())
            }),
            Doing::KeepSink => Box::pin(async move {
                keep_sink(&context, &spec).await?;
                Ok(nothing())
            }),
        }
    }
}

impl Story<'_> {
    /// What a run is there to do in a story of what is due, of an integration that goes out of service, or of
    /// what a person put in the place of ours.
    pub(super) fn something_else(&mut self) -> Doing {
        let to = self.before[0] + 1;
        let rotate = Goal::Rotate { to, at_once: false };
        match (self.bounds.scene, self.choices.any(5)) {
            (_, 0 | 1) => rotate.into(),
            (Scene::Theirs, 2) => Doing::KeepSink,
            (Scene::Theirs, _) => rotate.into(),
            (Scene::Out, 2) => Goal::Rotate { to, at_once: true }.into(),
            (Scene::Out, _) => Doing::Decommission,
            (_, 2) if to > 1 => Goal::Retire { at: to - 1 }.into(),
            _ => Doing::Meet,
        }
    }

    /// A run is done: where it took the integration out of service, and nobody is at work, it stays so.
    pub(super) fn may_be_out(&mut self, run: usize) {
        let alone = self.acting.iter().all(|one| one.deed.is_none());
        let told = self.shared.told();
        if self.acting[run].doing == Doing::Decommission && alone && told.late.is_empty() {
            self.out = Some(told.issued);
        }
    }

    /// Nothing is called for, for what is out of service.
    pub(super) fn stays_out(&self) -> Result<(), String> {
        match self.out {
            Some(issued) if self.shared.told().issued > issued => {
                Err("P7: what is out of service is given a key".to_owned())
            }
            _ => Ok(()),
        }
    }

    /// The keys that the claim names, now that nobody is at work.
    async fn claimed(&self) -> BTreeSet<String> {
        let claim = self.acting[0].port.claim().await.unwrap_or_default();
        let previous = claim["previous"].as_str().unwrap_or_default();
        let earlier = previous.split(';').filter_map(|one| one.split(',').next());
        let earlier = earlier.filter(|key_id| !key_id.is_empty());
        earlier.chain(claim["current"].as_str()).map(str::to_owned).collect()
    }

    /// Whoever does only what is due finishes what was begun and begins nothing: what consumers hold works,
    /// and when the overlap is over the earlier one ends.
    pub(super) async fn put_met_right(&mut self) -> Result<(), String> {
        say!(self, "-- at rest");
        let stops = |problem: Problem| format!("P7: nobody does what is due: {}", problem.code);
        let waits = ["later", "when the overlap is over", "when that is shown"];
        let soon = Duration::from_secs(1_000);
        let over = self.until_over();
        for (name, after) in waits.into_iter().zip([soon, over, over]) {
            tokio::time::advance(after).await;
            let claim = self.acting[0].port.claim().await.unwrap_or_default();
            let at_rest = matches!(claim["phase"].as_str(), None | Some("free" | "parked"));
            let issued = self.shared.told().issued;
            let done = self.calmly(name, 0, Doing::Meet).await?;
            if at_rest && self.shared.told().issued > issued {
                return Err("P7: who does only what is due begins a rotation".to_owned());
            }
            // What waits for a person is theirs.
            let claim = self.acting[0].port.claim().await.unwrap_or_default();
            if claim["phase"].as_str() == Some("held") {
                return self.put_right().await;
            }
            done.map_err(stops)?;
            let claimed = self.claimed().await;
            if !claimed.is_empty() {
                self.works(0)?;
            }
            self.nothing_else(&claimed).await?;
        }
        match self.claimed().await.len() {
            0 | 1 => Ok(()),
            _ => Err("P7: what is due is left undone".to_owned()),
        }
    }

    /// Whoever applies once more for what was asked, where nothing earlier is kept, needs no third apply.
    pub(super) async fn put_resumed_right(&mut self) -> Result<(), String> {
        say!(self, "-- at rest");
        tokio::time::advance(Duration::from_secs(1_000)).await;
        let done = self.calmly("later", 0, Doing::Resume { at: self.before[0] }).await?;
        let done =
            done.map_err(|problem| format!("P7: the apply after it stops: {}", problem.code))?;
        self.works(0)?;
        if done.generation != self.before[0] + 1 {
            return Err(format!("P7: what was asked for is generation {}", done.generation));
        }
        self.nothing_else(&done.key_id.into_iter().collect()).await
    }

    /// A drill that was cut short is finished by the next one, and the one after it ends what it made.
    pub(super) async fn put_drilled_right(&mut self) -> Result<(), String> {
        say!(self, "-- at rest");
        tokio::time::advance(Duration::from_secs(1_000)).await;
        let to = self.before[0] + 1;
        match self.calmly("later", 0, Doing::Drill { to }).await? {
            // Another run has ended it.
            Err(problem) if problem.code != "E-DRILL" => {
                return Err(format!("P7: the drill after it stops: {}", problem.code));
            }
            _ => self.works(0)?,
        }
        let done = self.calmly("once more", 0, Doing::Drill { to: to + 1 }).await?;
        let done = done.map_err(|problem| format!("P7: no drill is done: {}", problem.code))?;
        self.works(0)?;
        self.nothing_else(&done.key_id.into_iter().collect()).await
    }

    /// Once more without faults: nothing of it works, nothing gives it back, and nothing is asked for.
    pub(super) async fn put_out_right(&mut self) -> Result<(), String> {
        say!(self, "-- at rest");
        tokio::time::advance(Duration::from_secs(1_000)).await;
        let done = self.calmly("later", 0, Doing::Decommission).await?;
        done.map_err(|problem| format!("P7: it stays in service: {}", problem.code))?;
        self.nothing_else(&BTreeSet::new()).await?;
        let issued = self.shared.told().issued;
        let to = self.before[0] + 2;
        let again = self.calmly("an apply", 0, Goal::Rotate { to, at_once: false }).await?;
        if again.as_ref().err().map(|problem| problem.code) != Some("E-DECOMMISSIONED") {
            return Err("P7: what is out of service gets a key".to_owned());
        }
        // There is nothing that could be due.
        self.calmly("what is due", 0, Doing::Meet)
            .await?
            .map_err(|problem| format!("P7: something is due of it: {}", problem.code))?;
        if self.shared.told().issued > issued {
            return Err("P7: what is out of service is given a key".to_owned());
        }
        self.nothing_else(&BTreeSet::new()).await
    }
}
