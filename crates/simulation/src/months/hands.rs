//! What happens besides: places are away, people change things by hand, leave and come back.

use super::*;

/// Where something can be away.
const PLACES: [&str; 7] = ["marked", "narrow", "once", "ours", APPS, PEOPLE, VAULT];

impl Story {
    /// What happens between two ticks, by lot.
    pub(super) async fn something_happens(&mut self) {
        self.some_come_back();
        if self.life.faults && self.choices.rarely(40, 2) == 1 {
            let place = PLACES[self.choices.any(PLACES.len())];
            let hours = 1 + i64::try_from(self.choices.any(48)).unwrap_or_default();
            say!(self, "{place} is away for {hours} h");
            self.count("places that are away");
            self.earth.facts().down.insert(place);
            self.back.insert(place, self.now() + SignedDuration::from_hours(hours));
        }
        if !self.life.hands {
            return;
        }
        if self.choices.rarely(25, 2) == 1 {
            let at = self.choices.any(self.units.len());
            self.somebody_does(at).await;
        }
        if self.choices.rarely(60, 2) == 1 {
            self.somebody_leaves_or_returns();
        }
        if self.choices.rarely(30, 2) == 1 {
            let at = self.choices.any(self.units.len());
            self.somebody_gives_for_a_while(at);
        }
        // An apply puts right what people change by hand, and it is applied now and then.
        if self.choices.rarely(20, 2) == 1 {
            self.somebody_puts_right();
        }
    }

    fn some_come_back(&mut self) {
        let now = self.now();
        let back: Vec<&str> =
            self.back.iter().filter(|(_, at)| **at <= now).map(|(place, _)| *place).collect();
        for place in back {
            self.back.remove(place);
            self.earth.facts().down.remove(place);
            say!(self, "{place} is there again");
        }
    }

    /// In the end nothing is away and what people did is put right.
    pub(super) fn all_comes_back(&mut self) {
        let places: Vec<&str> = self.back.keys().copied().collect();
        places.into_iter().for_each(|place| {
            self.back.remove(place);
            self.earth.facts().down.remove(place);
        });
        let gone: Vec<String> = self.gone();
        for owner in gone {
            self.is_there(&owner, true);
        }
        self.somebody_puts_right();
    }

    fn gone(&self) -> Vec<String> {
        let facts = self.earth.facts();
        let gone = facts.people.iter().filter(|(_, one)| !one.active);
        gone.map(|(id, _)| id.clone()).collect()
    }

    fn is_there(&mut self, owner: &str, there: bool) {
        let now = self.now();
        if let Some(member) = self.earth.facts().people.get_mut(owner) {
            (member.active, member.changed_at) = (there, Some(now));
        }
        say!(self, "{owner} {}", if there { "is back" } else { "leaves" });
        let name = owner.trim_start_matches("owner/").to_owned();
        self.units.iter_mut().filter(|unit| unit.owner == name).for_each(|unit| {
            unit.hindered = now;
        });
    }

    fn somebody_leaves_or_returns(&mut self) {
        match self.gone().first().cloned() {
            Some(owner) => self.is_there(&owner, true),
            None => {
                let owner = ["owner/alice", "owner/ben", "owner/cleo"][self.choices.any(3)];
                self.count("owners who leave");
                self.is_there(owner, false);
            }
        }
    }

    /// A temporary scope, given by an apply.
    fn somebody_gives_for_a_while(&mut self, at: usize) {
        let days = 1 + i64::try_from(self.choices.any(5)).unwrap_or_default();
        let until = self.now() + SignedDuration::from_hours(24 * days);
        let unit = &mut self.units[at];
        if unit.temporary.is_some() {
            return;
        }
        let scope = "refunds:write".to_owned();
        let fake = &self.earth.platforms[unit.place];
        fake.by_hand(APP, unit.key, |hand| hand.grant(&scope));
        unit.temporary = Some((scope, until));
        let id = unit.id();
        say!(self, "{id} may write refunds for {days} days");
        self.count("temporary scopes");
    }

    /// What an apply would put right of an integration itself.
    fn somebody_puts_right(&mut self) {
        let now = self.now();
        let gone = self.gone();
        for at in 0..self.units.len() {
            let unit = &mut self.units[at];
            let id = unit.id();
            let mut wanted = unit.declared.clone();
            wanted.extend(unit.temporary.iter().map(|(scope, _)| scope.clone()));
            let (owner, key) = (format!("owner/{}", unit.owner), unit.key);
            let is_off = self.earth.facts().off.contains_key(&id);
            let lifts = is_off && !gone.contains(&owner);
            let theirs = &self.earth.facts().theirs.clone();
            self.earth.platforms[unit.place].by_hand(APP, key, |hand| {
                for scope in ["orders:write", "orders:read"] {
                    hand.grant(scope);
                }
                hand.withdraw("stray:all");
                if lifts {
                    hand.enable(true);
                }
                for named in theirs.iter().filter_map(|one| one.split_once('/')) {
                    if named.0 == unit.place {
                        hand.end(named.1);
                    }
                }
            });
            if lifts {
                // What ended by itself while it was off is nobody's loss.
                let held = unit.consumers.iter().filter_map(|one| one.holds.as_ref());
                unit.spoiled.extend(held.map(|one| one.expose().to_owned()).collect::<Vec<_>>());
                self.earth.facts().off.remove(&id);
                (unit.hindered, unit.touched) = (now, true);
            }
        }
        self.earth.facts().theirs.clear();
    }

    /// Something that a person does to an integration, which it does not expect.
    async fn somebody_does(&mut self, at: usize) {
        let unit = &self.units[at];
        let fake = self.earth.platforms[unit.place].clone();
        let (id, key, place) = (unit.id(), unit.key, unit.place);
        let adds = matches!(unit.way, "add-marked" | "add-ours");
        let what = self.choices.any(6);
        let now = self.now();
        match what {
            0 => {
                say!(self, "a person gives {id} everything");
                fake.by_hand(APP, key, |hand| hand.grant("stray:all"));
            }
            1 => {
                say!(self, "a person takes a scope from {id}");
                fake.by_hand(APP, key, |hand| hand.withdraw("orders:write"));
            }
            2 => {
                say!(self, "a person switches {id} off");
                fake.by_hand(APP, key, |hand| hand.enable(false));
                self.earth.facts().off.entry(id).or_insert(now);
                self.units[at].hindered = now;
            }
            3 if adds => {
                let mut made = String::new();
                fake.by_hand(APP, key, |hand| made = hand.issue("what a person made", None));
                say!(self, "a person makes {made} of {id}");
                self.earth.facts().theirs.insert(format!("{place}/{made}"));
            }
            4 if adds => {
                // What consumers hold, or hold still.
                let listed = fake.credentials(&self.units[at].object()).await;
                let keys = listed.map(|all| all.credentials).unwrap_or_default();
                let ours: Vec<_> = keys.into_iter().filter(|one| one.marker.is_some()).collect();
                if ours.is_empty() {
                    return;
                }
                let ended = ours[self.choices.any(ours.len())].key_id.clone();
                say!(self, "a person ends {ended} of {id}");
                self.spoil(at).await;
                fake.by_hand(APP, key, |hand| hand.end(&ended));
            }
            5 if adds => {
                let path = self.units[at].paths()[self.choices.any(2)].clone();
                let version = self.earth.apps.version(&path);
                let Ok(Some(stored)) = self.earth.apps.read(&path).await else { return };
                let Some(document) = stored.document else { return };
                say!(self, "a person writes into {path}");
                let document: Document = document.with("key", Secret::new("what a person wrote"));
                let expect = Expect::Version(version);
                if self.earth.apps.write(&path, &document, expect).await.is_ok() {
                    self.units[at].spoiled.insert("what a person wrote".into());
                    (self.units[at].hindered, self.units[at].touched) = (now, true);
                }
            }
            _ => return,
        }
        self.count("changes by hand");
    }

    /// Whatever of a unit works now may not, and that is a person's doing.
    async fn spoil(&mut self, at: usize) {
        let now = self.now();
        let mut held: Vec<String> = Vec::new();
        for consumer in &self.units[at].consumers {
            held.extend(consumer.holds.as_ref().map(|one| one.expose().to_owned()));
        }
        for path in self.units[at].paths() {
            held.extend(self.held_at(&path).await.map(|one| one.expose().to_owned()));
        }
        let unit = &mut self.units[at];
        unit.spoiled.extend(held);
        (unit.hindered, unit.touched) = (now, true);
    }
}
