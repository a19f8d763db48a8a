//! Stories of people who change by hand what is ours on the platform, and of what is lost in custody or
//! in a sink, or comes back as it was on an earlier day.
//!
//! What a person ended, switched off or changed is theirs to answer for; what is lost cannot be read by
//! anybody. Everything else stays promised, and a rotation puts all of it right.

use super::*;
use secrets::Saved;

/// So much people do in one story.
const MOST: usize = 2;

/// What people did, and what was lost.
#[derive(Default)]
pub(super) struct Hands {
    did: usize,
    /// Secrets that somebody spoiled, or that nobody is to read any more.
    spoiled: BTreeSet<String>,
    /// Keys whose mark was taken away, or that no book names since it was lost.
    unmarked: BTreeSet<String>,
    /// What is switched off by hand.
    off: Vec<String>,
    /// Custody and the first place, as they were when the story began.
    copy: Option<(Saved, Saved)>,
    /// A document or a claim was lost.
    lost: bool,
}

impl Hands {
    pub(super) fn spoiled(&self, secret: &Secret) -> bool {
        self.spoiled.contains(secret.expose())
    }

    pub(super) fn unmarked(&self, key_id: &str) -> bool {
        self.unmarked.contains(key_id)
    }

    pub(super) fn touched(&self) -> bool {
        self.lost || self.did > 0
    }
}

impl Story<'_> {
    fn claim_path(&self) -> Option<String> {
        let name = self.shared.vault.first(&format!("nhi/{REALM}"))?;
        Some(format!("nhi/{REALM}/{name}"))
    }

    /// A backup is made.
    pub(super) fn keep_a_copy(&mut self) {
        if let Some(claim) = self.claim_path() {
            let (vault, apps) = (&self.shared.vault, &self.shared.apps);
            self.hands.copy = Some((vault.save(&claim), apps.save(PLACES[0])));
        }
    }

    /// Somebody does something to a key on the platform.
    pub(super) async fn somebody_acts(&mut self) {
        let what = self.choices.any(6);
        let index = self.choices.any(places_of(0).len());
        if self.hands.did >= MOST {
            return;
        }
        if what == 0 {
            return self.somebody_marks_a_key();
        }
        let Some(secret) = self.places[index].secret.as_ref().map(Secret::duplicate) else {
            return;
        };
        let found = self.shared.fake.find(&object(), "", &secret).await.ok().flatten();
        let Some(key_id) = found.map(|one| one.key_id) else { return };
        self.hands.did += 1;
        let fake = self.shared.fake.clone();
        match what {
            1 => {
                say!(self, "a person ends {key_id}");
                fake.by_hand(APP, "sync", |hand| hand.end(&key_id));
            }
            2 => {
                say!(self, "a person switches {key_id} off");
                fake.by_hand(APP, "sync", |hand| hand.switch(&key_id, false));
                // What has no mark is nobody's once another one is made in its stead.
                if !["add-ours", "add-marked"].contains(&self.way) {
                    self.hands.unmarked.insert(key_id.clone());
                }
                self.hands.off.push(key_id);
            }
            3 => {
                say!(self, "a person changes the secret of {key_id}");
                fake.by_hand(APP, "sync", |hand| hand.turn(&key_id, "what a person turned it to"));
            }
            _ => {
                say!(self, "a person takes the mark off {key_id}");
                fake.by_hand(APP, "sync", |hand| hand.mark(&key_id, None));
                self.hands.unmarked.insert(key_id);
                return;
            }
        }
        self.hands.spoiled.insert(secret.expose().to_owned());
    }

    /// A key of theirs with a mark that looks like ours, and is not.
    fn somebody_marks_a_key(&mut self) {
        if !self.theirs.is_empty() || !self.takes_another() {
            return;
        }
        self.hands.did += 1;
        self.somebody_makes_a_key();
        let other = RealmKey::new(&Secret::new("x".repeat(40))).expect("it is long enough");
        let (tenant, vendor_id) = (&self.shared.tenant, &self.shared.vendor_id);
        let marker = domain::Marker::new(&other, REALM, tenant, vendor_id, &slot_id(0), 1, 1);
        say!(self, "and marks it as ours");
        let fake = self.shared.fake.clone();
        fake.by_hand(APP, "sync", |hand| hand.mark_last(&marker.to_string()));
    }

    /// Something is lost while nobody is at work, or comes back as it was.
    async fn something_is_lost(&mut self) -> Result<(), String> {
        let what = self.choices.any(6);
        let Some(claim) = self.claim_path() else { return Ok(()) };
        let (vault, apps) = (self.shared.vault.clone(), self.shared.apps.clone());
        let copy = self.hands.copy.take();
        match (what, copy) {
            (1, _) => {
                say!(self, "the claim is lost");
                vault.delete(&claim);
            }
            (2, Some((saved, _))) => {
                say!(self, "the claim is that of an earlier day");
                vault.restore(&claim, saved);
            }
            (3, _) if apps.version(PLACES[0]) > 0 => {
                say!(self, "{} is lost", PLACES[0]);
                apps.delete(PLACES[0]);
                self.nobody_reads(0);
            }
            (4, Some((_, saved))) => {
                say!(self, "{} is that of an earlier day", PLACES[0]);
                self.nobody_reads(0);
                apps.restore(PLACES[0], saved);
            }
            (5, Some((claimed, saved))) => {
                say!(self, "the claim and {} are those of an earlier day", PLACES[0]);
                vault.restore(&claim, claimed);
                self.nobody_reads(0);
                apps.restore(PLACES[0], saved);
            }
            _ => return Ok(()),
        }
        self.hands.lost = true;
        // What no mark tells is named by books alone.
        if !["add-ours", "add-marked"].contains(&self.way) {
            let listing = self.shared.fake.credentials(&object()).await;
            let all = listing.map(|one| one.credentials).unwrap_or_default();
            self.hands.unmarked.extend(all.into_iter().map(|one| one.key_id));
        }
        if matches!(what, 4 | 5) {
            let stored = apps.read(PLACES[0]).await.ok().flatten();
            let document = stored.and_then(|stored| stored.document).unwrap_or_default();
            if let Some(secret) = document.get("key") {
                self.hands.spoiled.insert(secret.expose().to_owned());
            }
        }
        Ok(())
    }

    /// The key that is said to serve is there.
    async fn is_there(&self, key_id: Option<&str>) -> bool {
        let listing = self.shared.fake.credentials(&object()).await;
        listing.is_ok_and(|all| {
            all.credentials.iter().any(|one| one.stands() && key_id == Some(one.key_id.as_str()))
        })
    }

    /// Nobody can read there what stood there.
    fn nobody_reads(&mut self, index: usize) {
        let place = &mut self.places[index];
        let held = place.secret.iter().chain(place.earlier.iter().map(|(secret, _)| secret));
        self.hands.spoiled.extend(held.map(|secret| secret.expose().to_owned()));
        place.earlier.clear();
    }

    /// What is switched off is switched on again; then one more without faults, and where that finds what
    /// serves spoiled, the next generation.
    pub(super) async fn put_hands_right(&mut self) -> Result<(), String> {
        say!(self, "-- at rest");
        tokio::time::advance(Duration::from_secs(1_000)).await;
        self.something_is_lost().await?;
        self.check().await?;
        let off = std::mem::take(&mut self.hands.off);
        for key_id in off {
            say!(self, "a person switches {key_id} on again");
            self.shared.fake.by_hand(APP, "sync", |hand| hand.switch(&key_id, true));
        }
        let mut to = self.before[0] + 1;
        let mut said = "";
        for _ in 0..4 {
            let goal = match self.revoking[0] {
                true => Goal::Revoke,
                false => Goal::Rotate { to, at_once: false },
            };
            let done = match self.calmly("later", 0, goal).await? {
                Err(problem) if problem.code == "E-OLD-IN-USE" => {
                    tokio::time::advance(Duration::from_secs(90_000)).await;
                    self.calmly("when the overlap is over", 0, goal).await?
                }
                // What came back, or was ended in the middle, is somebody's to look at first.
                Err(problem)
                    if ["E-SINK-CHANGED", "E-HELD"].contains(&problem.code)
                        && self.hands.touched() =>
                {
                    self.calmly("who has seen that", 0, goal).await?
                }
                Err(problem) if problem.code == LOCKED_OUT => self.let_in(to).await?,
                // Another one is made when the platform has ended the old one.
                Err(problem) if self.way == "grace" && problem.code == "E-VERIFY" => {
                    self.told_of_end = true;
                    tokio::time::advance(Duration::from_secs(200_000)).await;
                    self.calmly("when the old one has ended", 0, goal).await?
                }
                done => done,
            };
            let outcome = match done {
                Ok(outcome) => outcome,
                // Somebody has to decide, and is told why.
                Err(problem) if self.says_why(problem.code) => return Ok(()),
                Err(problem) if problem.code == "E-FURTHER" => {
                    to += 1;
                    continue;
                }
                // What a person ended or changed, or whose book is lost, may be in no place that can be
                // read, or let in by what took its place: the next generation puts that right.
                Err(problem)
                    if ["E-SINK-COPY", "E-STILL-ACCEPTED"].contains(&problem.code)
                        && self.hands.touched() =>
                {
                    said = problem.code;
                    to += 1;
                    continue;
                }
                Err(problem) => {
                    let (code, detail) = (problem.code, problem.detail);
                    return Err(format!("P7: the run after it stops: {code}: {detail}"));
                }
            };
            if self.revoking[0] {
                return self.nothing_else(&BTreeSet::new()).await;
            }
            // What is named and not there is put right before anything is retired, by a plan as by whoever
            // does what is due: a key that a person ended may have been made again under another id, of
            // which nobody knows once the claim is lost.
            if self.works(0).is_err() || !self.is_there(outcome.key_id.as_deref()).await {
                to = outcome.generation.max(to) + 1;
                continue;
            }
            tokio::time::advance(Duration::from_secs(90_000)).await;
            let retire = Goal::Retire { at: outcome.generation };
            let done = self.calmly("retires", 0, retire).await?;
            let done = done.map_err(|problem| format!("P7: nothing retires: {}", problem.code))?;
            self.works(0)?;
            return self.nothing_else(&done.key_id.into_iter().collect()).await;
        }
        // What was written anew into a place that holds one each has the secret of the one that a person
        // ended there, and no book names it since its claim was lost: it is said each time that it works on.
        let said_so = self.way == "slots" && self.hands.lost && said == "E-STILL-ACCEPTED";
        match said_so && self.works(0).is_ok() {
            true => Ok(()),
            false => Err("P1: no rotation brings what works to its places".to_owned()),
        }
    }

    /// Where a person has a hand in it, or books are lost, a run may stop with what is to be decided.
    fn says_why(&self, code: &str) -> bool {
        let theirs = !self.theirs.is_empty() || self.hands.touched();
        // The place of the only one, whose claim is lost, is nobody's.
        let one = ["first-only", "grace"].contains(&self.way) && self.hands.lost;
        let codes = ["E-UNEXPLAINED", "E-ROTATE", "E-NOT-DONE"];
        // What makes its own successor was changed by a person, and where it went is lost.
        if code == "E-MANAGEMENT-LOST" && self.hands.touched() {
            return true;
        }
        (theirs && self.is_narrow() || one) && codes.contains(&code)
    }
}
