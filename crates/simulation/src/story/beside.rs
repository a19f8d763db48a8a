//! Stories of two slots of one integration: where there is room for two and no mark, what one of them
//! calls for is in the way of the other's, and is told from it by its claim alone.

use super::*;

/// What whoever finds no place, or cannot tell whose a key is, says of it.
const SAYS_WHY: [&str; 3] = ["E-ROTATE", "E-UNEXPLAINED", "E-NOT-DONE"];

impl Story<'_> {
    /// One more of each without faults; then once more when all overlaps are over.
    pub(super) async fn put_both_right(&mut self) -> Result<(), String> {
        say!(self, "-- at rest");
        tokio::time::advance(Duration::from_secs(1_000)).await;
        let mut all = true;
        let mut named = BTreeSet::new();
        let mut at = [None, None];
        for (slot, at) in at.iter_mut().enumerate().take(self.slots) {
            let to = self.before[slot] + 1;
            let goal = match self.revoking[slot] {
                true => Goal::Revoke,
                false => Goal::Rotate { to, at_once: false },
            };
            let mut done = self.calmly("later", slot, goal).await?;
            if done.as_ref().is_err_and(|problem| problem.code == "E-OLD-IN-USE") {
                tokio::time::advance(Duration::from_secs(90_000)).await;
                done = self.calmly("when the overlap is over", slot, goal).await?;
            }
            match done {
                Ok(outcome) => {
                    if self.revoking[slot] {
                        let name = self.spec(slot).id.name;
                        self.shared.told().revoked.insert(name);
                    } else {
                        self.works(slot)?;
                        *at = Some(outcome.generation);
                    }
                    named.extend(outcome.previous.into_iter().map(|one| one.key_id));
                    named.extend(outcome.key_id);
                }
                Err(problem) if self.is_narrow() && SAYS_WHY.contains(&problem.code) => all = false,
                Err(problem) => {
                    let (code, detail) = (problem.code, problem.detail);
                    return Err(format!("P7: the run after it stops: {code}: {detail}"));
                }
            }
        }
        // What waits for a person, or for a place, names what there is in its claim.
        if !all {
            return Ok(());
        }
        self.nothing_else(&named).await?;
        tokio::time::advance(Duration::from_secs(90_000)).await;
        let mut left = BTreeSet::new();
        for (slot, at) in at.into_iter().enumerate() {
            let Some(at) = at else { continue };
            let done = self.calmly("retires", slot, Goal::Retire { at }).await?;
            let done = done.map_err(|problem| format!("P7: nothing retires: {}", problem.code))?;
            self.works(slot)?;
            left.extend(done.key_id);
        }
        self.nothing_else(&left).await
    }
}
