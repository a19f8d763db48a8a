//! What is promised, asked of the world itself.

use super::*;

/// Beside the graces of the story: one earlier key waits for who was seen to use it, and an end is shown.
const SLACK: SignedDuration = SignedDuration::from_hours(48);

fn span(of: Span) -> SignedDuration {
    SignedDuration::from_secs(of.as_signed_secs())
}

impl Story {
    /// What stands in a consumers' place.
    pub(super) async fn held_at(&self, path: &str) -> Option<Secret> {
        let stored = self.earth.apps.read(path).await.ok()??;
        stored.document?.get("key").map(Secret::duplicate)
    }

    fn is_off(&self, unit: &Unit) -> bool {
        self.earth.facts().off.contains_key(&unit.id())
    }

    /// Nothing has been in the way for long enough.
    fn is_quiet(&self, unit: &Unit) -> bool {
        self.now().duration_since(unit.hindered) > self.grace()
    }

    /// Whoever reads now reads, and whatever they hold works: that is what an overlap is for.
    pub(super) async fn consumers_read(&mut self) -> Result<(), String> {
        let now = self.now();
        for at in 0..self.units.len() {
            let unit = &self.units[at];
            let reads = unit.consumers.iter().any(|one| one.reads_at <= now);
            if !reads {
                continue;
            }
            let (off, paths) = (self.is_off(unit), unit.paths());
            let fake = self.earth.platforms[unit.place].clone();
            for (nth, path) in [0, 1, 0, 1].map(|nth| &paths[nth]).into_iter().enumerate() {
                let consumer = &self.units[at].consumers[nth];
                if consumer.reads_at > now {
                    continue;
                }
                if let Some(holds) = &consumer.holds
                    && !off
                    && !self.units[at].replaces()
                    && !self.units[at].spoiled.contains(holds.expose())
                    && !fake.admits(APP, self.units[at].key, holds)
                {
                    let id = self.units[at].id();
                    return Err(format!(
                        "LOCKOUT: who reads {path} of {id} in time is let in no more"
                    ));
                }
                let holds = self.held_at(path).await;
                let hours = 1 + i64::try_from(self.choices.any(20)).unwrap_or_default();
                let consumer = &mut self.units[at].consumers[nth];
                consumer.holds = holds;
                consumer.reads_at = now + SignedDuration::from_hours(hours);
            }
        }
        Ok(())
    }

    /// What is wrong in the world, each with what it is about: what a look that says clean may not leave out.
    pub(super) async fn what_is_wrong(&self) -> BTreeSet<String> {
        let mut wrong = BTreeSet::new();
        for unit in &self.units {
            let fake = &self.earth.platforms[unit.place];
            let Ok(Some(seen)) = fake.read(&unit.object(), Want::DEED).await else { continue };
            let id = unit.id();
            let mut wanted = unit.declared.clone();
            wanted.extend(unit.temporary.iter().map(|(scope, _)| scope.clone()));
            let has: BTreeSet<String> =
                seen.scopes.iter().map(|one| one.scope.to_string()).collect();
            let over = unit.temporary.as_ref().filter(|(_, until)| *until <= self.now());
            let extra = has.iter().any(|scope| !wanted.contains(scope));
            let lacks = unit.declared.iter().any(|scope| !has.contains(scope));
            let outlived = over.is_some_and(|(scope, _)| has.contains(scope));
            if extra || lacks || outlived {
                wrong.insert(format!("scopes of {id}"));
            }
            if !seen.enabled {
                wrong.insert(format!("the switch of {id}"));
            }
            let theirs = self.earth.facts().theirs.clone();
            let keys = seen.credentials.iter().flatten().filter(|one| one.live);
            for key in keys {
                let named = format!("{}/{}", unit.place, key.key_id);
                if theirs.contains(&named) {
                    wrong.insert(format!("{named}, which nobody declared"));
                }
            }
            for path in unit.paths() {
                let held = self.held_at(&path).await;
                let works = held.is_some_and(|held| fake.holds(APP, unit.key, &held));
                if !works {
                    wrong.insert(format!("{path}, which holds nothing that works"));
                }
            }
        }
        let gone = self.earth.facts().people.clone();
        wrong.extend(gone.into_iter().filter(|(_, one)| !one.active).map(|(id, _)| id));
        wrong
    }

    /// What a run came to, against what was so.
    pub(super) fn hears(
        &mut self,
        run: &Runner,
        came: Came,
        wrong: &BTreeSet<String>,
    ) -> Result<(), String> {
        let now = self.now();
        if let Some(broken) = self.earth.facts().broken.first().cloned() {
            return Err(broken);
        }
        self.count("runs");
        let met = run.met();
        for (place, fate) in &met {
            say!(self, "{}: a call to {place}: {fate:?}", run.name);
        }
        // What was in the way of one is in the way of what it is about; custody and a death of all.
        let dead = run.is_dead();
        for unit in &mut self.units {
            let of_it = |(place, _): &(&str, Fate)| *place == unit.place || !is_platform(place);
            let skew = (!run.skew.is_zero()).then(|| now + run.skew.abs() + HOUR);
            if dead || met.iter().any(of_it) {
                unit.hindered = unit.hindered.max(now);
            }
            // What a wrong clock wrote passes when its time has come.
            if let Some(until) = skew {
                unit.hindered = unit.hindered.max(until);
            }
        }
        match came {
            Came::Endless => {
                return Err(format!("P7: {} comes to no end", run.name));
            }
            Came::Died => {
                say!(self, "{} dies", run.name);
                self.count("deaths");
            }
            Came::Applied(all) => {
                self.count("applies");
                for (id, problem) in all {
                    if let Some(problem) = problem {
                        say!(self, "{}: {id}: {}: {}", run.name, problem.code, problem.detail);
                    }
                }
            }
            Came::Looked(found, gaps) => {
                self.count("looks");
                let clean = found.is_empty() && gaps.is_empty();
                say!(self, "{}: found {found:?}, not read {gaps:?}", run.name);
                if clean {
                    self.count("looks that say clean");
                }
                if clean && !met.is_empty() {
                    return Err(format!("CLEAN: {} says so, and {met:?}", run.name));
                }
                if clean && !wrong.is_empty() {
                    return Err(format!("CLEAN: {} says so, and {wrong:?}", run.name));
                }
            }
            Came::Ticked { steps, unread, taken } => {
                self.count("ticks");
                self.ticked(run, &steps, &unread, taken)?;
            }
        }
        Ok(())
    }

    fn ticked(
        &mut self,
        run: &Runner,
        steps: &[(String, Next)],
        unread: &[String],
        taken: Vec<(String, Taken)>,
    ) -> Result<(), String> {
        for unit in &mut self.units {
            let (id, slot) = (unit.id(), unit.slot());
            let told = |of: &str| {
                steps.iter().any(|(subject, _)| subject == of)
                    || unread.iter().any(|subject| *subject == of || id == **subject)
            };
            for of in [&id, &slot] {
                if !told(of) {
                    return Err(format!("CLEAN: {} says nothing of {of}", run.name));
                }
            }
            let next = steps.iter().find(|(subject, _)| *subject == slot).map(|(_, next)| next);
            match next {
                Some(Next::Held(why)) => unit.asks = Some(why.clone()),
                // What keeps failing, or is not approved, is not what a person is asked about here.
                Some(Next::PutOff { why, .. })
                    if !why.starts_with("it failed") && !why.contains("standing.") =>
                {
                    unit.asks = Some(why.clone());
                }
                Some(_) => unit.asks = None,
                None => {}
            }
        }
        for (subject, next) in steps {
            match next {
                Next::Nothing => {}
                other => say!(self, "{}: {subject}: {other:?}", run.name),
            }
        }
        for subject in unread {
            say!(self, "{}: {subject} is not read", run.name);
        }
        for (subject, came) in taken {
            let word = match &came {
                Taken::Rotated(_) => "rotations",
                Taken::Met(Some(_)) => "what is owed",
                Taken::SwitchedOff => "switches turned off",
                Taken::Narrowed(_) => "temporary scopes taken away",
                Taken::Busy => "others at work",
                Taken::Not { .. } => "what failed",
                _ => "nothing to be done any more",
            };
            self.count(word);
            if let Taken::Not { problem, .. } = &came {
                say!(self, "{}: {subject}: {}: {}", run.name, problem.code, problem.detail);
            } else {
                say!(self, "{}: {subject}: {word}", run.name);
            }
            if matches!(came, Taken::Narrowed(_)) {
                let of = self.units.iter_mut().find(|unit| unit.id() == subject);
                of.into_iter().for_each(|unit| unit.temporary = None);
            }
        }
        Ok(())
    }

    /// What must be so after each moment.
    pub(super) async fn promises_hold(&mut self) -> Result<(), String> {
        if let Some(broken) = self.earth.facts().broken.first().cloned() {
            return Err(broken);
        }
        let now = self.now();
        for at in 0..self.units.len() {
            self.nothing_twice(at)?;
            let unit = &self.units[at];
            if self
                .earth
                .facts()
                .down
                .iter()
                .any(|place| *place == unit.place || !is_platform(place))
            {
                self.units[at].hindered = self.units[at].hindered.max(now);
            }
            let unit = &self.units[at];
            if !self.is_quiet(unit) {
                continue;
            }
            let (id, fake) = (unit.id(), self.earth.platforms[unit.place].clone());
            self.owners_answer(unit)?;
            let Ok(Some(seen)) = fake.read(&unit.object(), Want::DEED).await else {
                return Err(format!("{id} is gone"));
            };
            let over = unit.temporary.as_ref().filter(|(_, until)| *until + self.grace() < now);
            if let Some((scope, _)) = over
                && seen.scopes.iter().any(|one| one.scope == Scope::canonical(scope))
            {
                return Err(format!("DEADLINE: {scope} of {id} is over, and still there"));
            }
            if self.is_off(unit) {
                continue;
            }
            if let Some(why) = unit.asks.clone() {
                say!(self, "{id} waits for a person: {why}");
                self.count("waits for a person");
                continue;
            }
            self.keys_are_right(&self.units[at], &seen).await?;
        }
        Ok(())
    }

    /// What consumers read works, is not older than it may be, and nothing earlier outlives its overlap.
    async fn keys_are_right(
        &self,
        unit: &Unit,
        seen: &domain::ObservedIntegration,
    ) -> Result<(), String> {
        let (now, id) = (self.now(), unit.id());
        let fake = &self.earth.platforms[unit.place];
        let mut current = BTreeSet::new();
        for path in unit.paths() {
            let held = self.held_at(&path).await;
            let key = match &held {
                Some(held) => fake.find(&unit.object(), fake::KEY, held).await.ok().flatten(),
                None => None,
            };
            let Some(key) = key.filter(|one| one.live) else {
                return Err(format!("LOCKOUT: {path} of {id} holds nothing that works"));
            };
            let age = now.duration_since(key.issued_at.unwrap_or(now));
            let schedule = Schedule::every("fortnightly", EVERY);
            let oldest = span(schedule.every) + span(schedule.min_age) + self.grace();
            if age > oldest {
                return Err(format!("DEADLINE: {} of {id} is {age:#} old", key.key_id));
            }
            current.insert((key.key_id, key.issued_at.unwrap_or(now)));
        }
        if current.len() > 1 {
            return Err(format!("DEADLINE: the places of {id} hold {current:?}"));
        }
        let Some((current, since)) = current.pop_first() else { return Ok(()) };
        let theirs = self.earth.facts().theirs.clone();
        let others = seen.credentials.iter().flatten().filter(|one| {
            one.live
                && one.key_id != current
                && !theirs.contains(&format!("{}/{}", unit.place, one.key_id))
        });
        for other in others {
            let quiet = since.max(unit.hindered) + span(OVERLAP) + SLACK + self.grace();
            if quiet < now {
                return Err(format!("DEADLINE: {} of {id} outlives its overlap", other.key_id));
            }
        }
        Ok(())
    }

    /// What nobody answers for is switched off, when their grace is over.
    fn owners_answer(&self, unit: &Unit) -> Result<(), String> {
        let owner = format!("owner/{}", unit.owner);
        let facts = self.earth.facts();
        let Some(since) = facts.people.get(&owner).filter(|one| !one.active) else { return Ok(()) };
        let since = since.changed_at.unwrap_or(self.begun);
        let over = since + facts.grace + HOUR * 24 + self.grace();
        if over < self.now() && !facts.off.contains_key(&unit.id()) {
            return Err(format!("DEADLINE: {} lives on, and {owner} has left", unit.id()));
        }
        Ok(())
    }

    /// No generation is made twice by those who heard everything, and none soon after another without a
    /// reason.
    fn nothing_twice(&mut self, at: usize) -> Result<(), String> {
        let (id, now) = (self.units[at].id(), self.now());
        let newest = {
            let facts = self.earth.facts();
            let of_it = facts.issued.iter().filter(|((of, _), _)| *of == id);
            of_it.map(|((_, generation), by)| (*generation, by.clone())).max()
        };
        let Some((generation, by)) = newest else { return Ok(()) };
        let quiet = self.is_quiet(&self.units[at]);
        let unit = &mut self.units[at];
        // Whoever died with the first one, or heard nothing of it, leaves the next to the next run.
        let heard = by.first().is_some_and(|(_, first)| unit.hindered < *first);
        if by.len() > 1 && heard {
            let by: Vec<_> = by.into_iter().map(|(who, _)| who).collect();
            return Err(format!("TWICE: generation {generation} of {id} is made by {by:?}"));
        }
        match unit.last_made {
            Some((when, before)) if before < generation => {
                let soon = now.duration_since(when) < span(EVERY) / 4 - HOUR;
                if soon && !unit.touched && quiet {
                    return Err(format!(
                        "TWICE: generation {generation} of {id} comes {:#} after {before}",
                        now.duration_since(when)
                    ));
                }
                (unit.last_made, unit.touched) = (Some((now, generation)), false);
            }
            None => unit.last_made = Some((now, generation)),
            _ => {}
        }
        Ok(())
    }

    /// In the end, after days in which nothing happened.
    pub(super) async fn all_is_well(&mut self) -> Result<(), String> {
        for at in 0..self.units.len() {
            let unit = &self.units[at];
            if let Some(why) = &unit.asks {
                let (id, why) = (unit.id(), why.clone());
                say!(self, "in the end {id} waits for a person: {why}");
                self.count("in the end waits for a person");
                continue;
            }
            if !self.is_quiet(unit) {
                return Err(format!("{}: the end is not calm", unit.id()));
            }
            if self.is_off(unit) {
                return Err(format!("LOCKOUT: {} is off in the end", unit.id()));
            }
        }
        Ok(())
    }
}

fn is_platform(place: &str) -> bool {
    PLATFORMS.iter().any(|(name, _)| *name == place)
}
