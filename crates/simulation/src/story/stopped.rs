//! Stories of runs that are asked to stop: each does so where nothing is half done, says so in its claim,
//! and whoever comes next goes on at once.

use operations::StopSign;

use super::*;

/// What was said of a run that stopped as it was asked to.
const STOPPED: &str = "E-STOPPED";

/// Who was asked to stop, and did.
#[derive(Default)]
pub(super) struct Stopped {
    /// Runs of which a call came to another end than it usually does.
    disturbed: BTreeSet<usize>,
    /// Who stopped a moment ago.
    just: Option<usize>,
    /// The last one that came to an end stopped as it was asked to.
    last: bool,
}

impl Stopped {
    /// A call came to that end.
    pub(super) fn met(&mut self, run: usize, fate: Fate) {
        if fate != Fate::Done {
            self.disturbed.insert(run);
        }
    }

    /// A run came to its end, with that.
    pub(super) fn heard(&mut self, run: usize, code: &str) {
        self.last = code == STOPPED;
        self.just = self.last.then_some(run);
    }
}

impl Story<'_> {
    /// What a run looks at to see whether it is asked to stop.
    pub(super) fn stop_sign(&self, run: usize) -> StopSign {
        match self.bounds.scene {
            Scene::Stopped => {
                let shared = self.shared.clone();
                StopSign::of(move || shared.told().stops[run].is_some())
            }
            _ => StopSign::default(),
        }
    }

    /// One of those that are at work is asked to stop.
    pub(super) fn somebody_asks_to_stop(&mut self, first: usize) {
        let at_work = (first..self.acting.len()).filter(|run| self.acting[*run].deed.is_some());
        let at_work: Vec<usize> = at_work.collect();
        let which = self.choices.any(at_work.len());
        let Some(run) = at_work.get(which).copied() else { return };
        say!(self, "{run} is asked to stop");
        let number = self.acting[run].port.run;
        self.shared.told().stops[number].get_or_insert(0);
    }

    /// Who stopped as it was asked to, and whose every call went well, leaves nothing as if it were at work.
    pub(super) async fn check_stopped(&mut self) -> Result<(), String> {
        let Some(run) = self.stopped.just.take() else { return Ok(()) };
        // Who took it over and could not go on gave it back in that very moment, to who had seen it taken.
        let beside = self.most > 1 && !self.stopped.disturbed.is_empty();
        if self.stopped.disturbed.contains(&run) || beside {
            return Ok(());
        }
        let Some(claim) = self.acting[run].port.claim().await else { return Ok(()) };
        let owner = claim["owner"].as_str().unwrap_or_default();
        let open = !matches!(claim["phase"].as_str(), Some("free" | "parked"));
        if open && owner == self.acting[run].name {
            return Err(format!("P7: {owner} stopped, and its claim says that it is at work"));
        }
        Ok(())
    }

    /// Where nothing went wrong but that the last one was asked to stop, the next one waits for nobody; then
    /// everything is as it is after any other story.
    pub(super) async fn put_stopped_right(&mut self) -> Result<(), String> {
        let at_once = self.stopped.last
            && self.stopped.disturbed.is_empty()
            && self.at_rest
            && !self.revoking[0];
        if at_once {
            let begun = self.clock.now();
            let to = self.before[0] + 1;
            let done = self.calmly("at once", 0, Goal::Rotate { to, at_once: false }).await?;
            let code = done.as_ref().err().map(|problem| problem.code);
            if code == Some("E-BUSY") {
                return Err("P7: who comes after one that was stopped waits for it".to_owned());
            }
            // A call of before may still arrive.
            let most = if self.timed() { 200 } else { 0 };
            let took = self.clock.now().duration_since(begun).as_secs();
            if code.is_none() && took > most {
                return Err(format!("P7: who comes after one that was stopped waits for {took} s"));
            }
        }
        self.put_right().await
    }
}
