//! What falls due between two applies is done without one.

use std::{
    process::{Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use acceptance_tests::{Result, World};
use connector::fault_proxy::{Effect, Hold, Rule};

use crate::{
    BASE, Between, SILENCE, holds, in_world, nothing_is_left_to_do, one_credential_works, places,
    through_a_proxy,
};

/// [`BASE`] with a schedule of a minute, which falls on the clock's minutes.
pub(crate) fn every_minute() -> String {
    let (every, overlap) = ("every   = \"30d\"", "overlap = \"24h\"");
    assert!(BASE.contains(every) && BASE.contains(overlap));
    let every_minute = "every    = \"60s\"\n  min_age  = \"20s\"\n  lifetime = \"none\"";
    BASE.replace(every, every_minute).replace(overlap, "overlap  = \"15s\"")
}

/// Waits until this holds.
pub(crate) fn until(
    what: &str,
    longest: Duration,
    mut holds: impl FnMut() -> Result<bool>,
) -> Result<()> {
    let end = Instant::now() + longest;
    while !holds()? {
        if Instant::now() > end {
            return Err(format!("not within {longest:?}: {what}"));
        }
        sleep(Duration::from_millis(700));
    }
    Ok(())
}

/// Waits until its credential is due.
fn due(world: &World) -> Result<()> {
    until("it falls due", Duration::from_secs(110), || {
        Ok(world.nhi(&["reconcile", "--dry-run"])?.expect(0)?.contains("it is due: issue"))
    })
}

#[test]
fn what_is_due_rotates_between_two_applies_and_leaves_nothing_to_plan() {
    in_world(&every_minute(), |world| {
        world.apply()?;
        let old = world.bao.document("apps/invoice-sync")?;
        due(world)?;
        holds(places::lets_in(&world.bao, &old)?, "to show it does nothing", "")?;
        world.plan()?.expect(2)?;
        let said = world.nhi(&["reconcile", "--due", "--yes"])?.expect(0)?;
        holds(said.contains("Nothing is to be done now"), "nothing is owed", &said)?;
        let said = world.nhi(&["reconcile", "--yes", "--format", "json"])?.expect(0)?;
        let told: serde_json::Value =
            serde_json::from_str(said.trim()).map_err(|error| format!("{error}: {said}"))?;
        let slot = &told["slots"][0];
        holds(slot["will"]["deed"] == "rotate", "it rotates", &said)?;
        holds(slot["did"]["generation"] == 2, "to the next generation", &said)?;
        // The old one has its overlap, and no plan is left with anything.
        one_credential_works(world, 1)?;
        holds(places::lets_in(&world.bao, &old)?, "the old one works in its overlap", &said)?;
        sleep(Duration::from_secs(16));
        let said = world.nhi(&["reconcile", "--yes"])?.expect(0)?;
        holds(said.contains("Done:") && said.contains("grade A"), "it is ended", &said)?;
        holds(!places::lets_in(&world.bao, &old)?, "and refused", &said)?;
        one_credential_works(world, 0)?;
        nothing_is_left_to_do(world)?;
        let said = world.nhi(&["ledger", "show", "--kind", "rotation.claimed"])?.expect(0)?;
        holds(said.contains("schedule"), "for the reason of a plan", &said)?;
        world.nhi(&["ledger", "verify"])?.expect(0).map(drop)
    });
}

#[test]
fn what_is_quarantined_by_owner_stays_off_whoever_applies_until_it_is_lifted() {
    in_world(BASE, |world| {
        world.apply()?;
        let document = world.bao.document("apps/invoice-sync")?;
        let words = ["quarantine", "--owner", "payments-platform", "--reason", "INC-9"];
        let said = world.nhi(&[&words[..], &["--dry-run"]].concat())?.expect(0)?;
        holds(said.contains("switch it off"), "it is shown", &said)?;
        holds(places::lets_in(&world.bao, &document)?, "and nothing was done", &said)?;
        let said = world.nhi(&[&words[..], &["--yes"]].concat())?.expect(0)?;
        holds(said.contains("Quarantined: bao/openbao_approle/invoice-sync"), "it is", &said)?;
        holds(!places::lets_in(&world.bao, &document)?, "nobody signs in", &said)?;
        let said = world.nhi(&[&words[..], &["--yes"]].concat())?.expect(0)?;
        holds(said.contains("it is so already"), "once more does no harm", &said)?;
        // Whoever applies, or reconciles, switches nothing on.
        world.plan()?;
        world.apply()?;
        world.nhi(&["reconcile", "--yes"])?.expect(0)?;
        holds(!places::lets_in(&world.bao, &document)?, "it stays off", "")?;
        let id = "bao/openbao_approle/invoice-sync";
        let said = world.nhi(&["lift", id, "--yes", "--format", "json"])?.expect(0)?;
        holds(said.contains("\"changed\":true"), "it is lifted", &said)?;
        holds(places::lets_in(&world.bao, &document)?, "and lets in again", &said)?;
        world.apply()?;
        nothing_is_left_to_do(world)?;
        let said = world.nhi(&["ledger", "show", "--kind", "integration"])?.expect(0)?;
        holds(said.contains("integration.lifted") && said.contains("INC-9"), "it is told", &said)
    });
}

/// `nhi serve` under way; killed when it is dropped.
pub(crate) struct Serving(std::process::Child);

impl Serving {
    pub(crate) fn begin(world: &World, log: &str) -> Result<Serving> {
        Serving::begin_with(world, log, &[])
    }

    pub(crate) fn begin_with(
        world: &World,
        log: &str,
        variables: &[(&str, &str)],
    ) -> Result<Serving> {
        let file = std::fs::File::create(world.folder.join(log)).map_err(|e| e.to_string())?;
        let mut command = world.nhi_command();
        let words = ["serve", "--every", "2s", "--listen", "127.0.0.1:0", "--log", "json"];
        let child = command
            .args(words)
            .envs(variables.iter().copied())
            .stdout(Stdio::null())
            .stderr(file)
            .spawn();
        child.map(Serving).map_err(|error| error.to_string())
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    /// Asks it to stop, as an operating system does: how it ended.
    pub(crate) fn stop(mut self) -> Result<Option<i32>> {
        let pid = self.0.id().to_string();
        let asked = Command::new("kill").args(["-TERM", &pid]).status();
        asked.map_err(|error| error.to_string())?;
        let end = Instant::now() + Duration::from_secs(60);
        while Instant::now() < end {
            if let Some(ended) = self.0.try_wait().map_err(|error| error.to_string())? {
                return Ok(ended.code());
            }
            sleep(Duration::from_millis(100));
        }
        Err("it did not stop within a minute".into())
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The events of a log, by name.
pub(crate) fn events(world: &World, log: &str, name: &str) -> Result<Vec<serde_json::Value>> {
    let text = world.read(log)?;
    let lines =
        text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    Ok(lines.filter(|line| line["event"] == name).collect())
}

/// Calls are slow on their way to the platform, so that a rotation takes a while.
fn until_a_rotation_is_under_way(
    between: &Between,
    act: impl FnOnce() -> Result<()>,
) -> Result<()> {
    let hold = Hold::default();
    let effect = Effect::HoldAnswer(hold.clone());
    between.proxy.add(Rule::once("POST", "role/invoice-sync/custom-secret-id", effect));
    let reached = async { tokio::time::timeout(Duration::from_secs(150), hold.reached()).await };
    let reached = between.runtime.block_on(reached).is_ok();
    let acted = act();
    hold.release();
    between.proxy.clear();
    holds(reached, "a rotation was begun", "")?;
    acted
}

#[test]
fn what_serves_rotates_between_applies_and_whatever_stops_it_the_next_tick_goes_on() {
    through_a_proxy(&every_minute(), |world, between| {
        world.apply()?;
        let serving = Serving::begin(world, "serve-1.log")?;
        until("it rotates", Duration::from_secs(150), || {
            Ok(!events(world, "serve-1.log", "done")?.is_empty())
        })?;
        let address = &events(world, "serve-1.log", "serve.listening")?[0]["address"];
        let address = address.as_str().unwrap_or_default().to_owned();
        let page = |path: &str| {
            let said = Command::new("curl").args(["-sf", &format!("{address}{path}")]).output();
            let said = said.map_err(|error| error.to_string())?;
            Ok::<_, String>(String::from_utf8_lossy(&said.stdout).into_owned())
        };
        until("it is ready", Duration::from_secs(20), || Ok(page("/readyz")?.contains("ready")))?;
        let metrics = page("/metrics")?;
        holds(metrics.contains("nhi_gaps{connection=\"bao\"} 0"), "it counts", &metrics)?;
        holds(metrics.contains("nhi_done_total 1"), "what it did", &metrics)?;
        // Asked to stop in the middle of the next one, it does between two calls.
        let mut serving = Some(serving);
        let mut ended = None;
        until_a_rotation_is_under_way(between, || {
            let pid = serving.as_ref().map(|one| one.0.id().to_string()).unwrap_or_default();
            Command::new("kill").args(["-TERM", &pid]).status().map_err(|e| e.to_string())?;
            Ok(())
        })?;
        if let Some(serving) = serving.take() {
            ended = serving.stop()?;
        }
        let said = world.read("serve-1.log")?;
        holds(ended == Some(0), "it ended as it was asked to", &said)?;
        holds(said.contains("serve.ended"), "and said so", &said)?;
        // Another goes on at once, and is killed in the middle of the one after that.
        let serving = Serving::begin(world, "serve-2.log")?;
        until("it goes on", Duration::from_secs(60), || {
            Ok(!events(world, "serve-2.log", "done")?.is_empty())
        })?;
        until_a_rotation_is_under_way(between, move || {
            drop(serving);
            Ok(())
        })?;
        sleep(SILENCE);
        let serving = Serving::begin(world, "serve-3.log")?;
        until("the next goes on", Duration::from_secs(60), || {
            Ok(!events(world, "serve-3.log", "done")?.is_empty())
        })?;
        holds(serving.stop()? == Some(0), "it stops between ticks", "")?;
        let document = world.bao.document("apps/invoice-sync")?;
        holds(places::lets_in(&world.bao, &document)?, "what is delivered signs in", "")?;
        world.no_secret_leaked(&["serve-1.log", "serve-2.log", "serve-3.log"])?;
        world.nhi(&["ledger", "verify"])?.expect(0).map(drop)
    });
}
