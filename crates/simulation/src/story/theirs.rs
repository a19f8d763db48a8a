//! Stories of a person who makes a key and writes it over what was delivered: nothing that they made is
//! ended, and by their word it is the current one, in every place.

use super::*;

impl Story<'_> {
    /// A person makes a key, tries it, and writes it into a place.
    pub(super) async fn somebody_puts_theirs_there(&mut self) {
        let index = self.choices.any(places_of(0).len());
        let version = self.shared.apps.version(PLACES[index]);
        if version == 0 || !self.theirs.is_empty() {
            return;
        }
        self.somebody_makes_a_key();
        let Some(secret) = self.theirs.last() else { return };
        self.shared.told().signed_in.insert(secret.expose().to_owned());
        say!(self, "and writes it into {}", PLACES[index]);
        let document = Document::default().with("key", secret.duplicate());
        let written = self.shared.apps.write(PLACES[index], &document, Expect::Version(version));
        // Nobody writes in between: it is one event.
        let _ = written.await;
    }

    /// Somebody says that what the person wrote stays, or nobody does.
    pub(super) async fn put_theirs_right(&mut self) -> Result<(), String> {
        let stays = self.choices.any(2) == 1;
        if stays && !self.theirs.is_empty() {
            tokio::time::advance(Duration::from_secs(1_000)).await;
            let goal = Goal::Rotate { to: self.before[0] + 1, at_once: false };
            let claim = self.acting[0].port.claim().await.unwrap_or_default();
            // Whoever comes when that is held has decided that ours stays.
            let held = claim["hold"].as_str() == Some("sink-changed-by-others");
            let sees = |done: Result<Outcome, Problem>| {
                done.is_err_and(|problem| problem.code == "E-SINK-CHANGED")
            };
            if held || sees(self.calmly("meanwhile", 0, goal).await?) {
                self.it_stays(goal).await?;
            }
        }
        self.put_right().await
    }

    async fn it_stays(&mut self, goal: Goal) -> Result<(), String> {
        let said_before = self.taken;
        match self.calmly("a person's word", 0, Doing::KeepSink).await? {
            Ok(_) => {}
            // It is the new one already.
            Err(problem) if said_before && problem.code == "E-KEEP-SINK" => return Ok(()),
            Err(problem) => return Err(format!("P7: what is there is not kept: {}", problem.code)),
        }
        let done = self.calmly("who was told", 0, goal).await?;
        done.map_err(|problem| format!("P7: what is kept is not delivered: {}", problem.code))?;
        for index in places_of(0) {
            if self.places[index].secret.as_ref() != self.theirs.last() {
                let path = PLACES[index];
                return Err(format!("P7: {path} holds another one than the person said"));
            }
        }
        Ok(())
    }
}
