//! What falls due between two applies is done without one.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use acceptance_tests::{Result, World};

use crate::{BASE, holds, in_world, nothing_is_left_to_do, one_credential_works, places};

/// [`BASE`] with a schedule of a minute, which falls on the clock's minutes.
fn every_minute() -> String {
    let (every, overlap) = ("every   = \"30d\"", "overlap = \"24h\"");
    assert!(BASE.contains(every) && BASE.contains(overlap));
    let every_minute = "every    = \"60s\"\n  min_age  = \"20s\"\n  lifetime = \"none\"";
    BASE.replace(every, every_minute).replace(overlap, "overlap  = \"15s\"")
}

/// Waits until this holds.
fn until(what: &str, longest: Duration, mut holds: impl FnMut() -> Result<bool>) -> Result<()> {
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
