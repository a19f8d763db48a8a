//! Somebody interrupts an apply in the middle of a rotation, as with Ctrl-C: the core asks its provider to
//! stop, which finishes the call that is under way, stops where nothing is half done, and says how to go on.

use std::{
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use acceptance_tests::{Result, World, tools, world::STATE};
use connector::fault_proxy::{Effect, Hold, Rule};

use crate::{
    Between, faults::CALLS, flat, holds, one_credential_works, through_a_proxy, triggered,
};

/// Applies, and interrupts the core while a call is held on its way; what it said, and whether it failed.
fn interrupted_at(world: &World, between: &Between, path: &str) -> Result<(String, bool)> {
    let hold = Hold::default();
    between.proxy.add(Rule::once("POST", path, Effect::HoldRequest(hold.clone())));
    let core = world
        .core_command()
        .args(["apply", "-auto-approve", "-no-color"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| error.to_string())?;
    let pid = core.id().to_string();
    let reached = async { tokio::time::timeout(Duration::from_secs(120), hold.reached()).await };
    let reached = between.runtime.block_on(reached).is_ok();
    let asked = tools::run(Command::new("kill").args(["-INT", &pid]));
    // Until the core has passed that on.
    std::thread::sleep(Duration::from_secs(2));
    hold.release();
    let ended = core.wait_with_output().map_err(|error| error.to_string())?;
    between.proxy.clear();
    asked?;
    let said = [ended.stdout, ended.stderr].map(|one| String::from_utf8_lossy(&one).into_owned());
    holds(reached, "the call was made", &said.concat())?;
    Ok((flat(&said.concat().replace('│', " ")), !ended.status.success()))
}

#[test]
fn an_apply_that_is_interrupted_in_a_rotation_stops_where_nothing_is_half_done_and_the_next_goes_on()
 {
    through_a_proxy(&triggered("1"), |world, between| {
        world.apply()?;
        let before = world.bao.document("apps/invoice-sync")?;
        world.write("main.tf", &triggered("2"))?;
        // The platform is being asked for the new one.
        let (said, failed) = interrupted_at(world, between, CALLS[0])?;
        holds(failed && said.contains("(E-STOPPED)"), "it says that it stopped", &said)?;
        holds(said.contains("apply again: it goes on from there"), "and how to go on", &said)?;
        let now = world.bao.document("apps/invoice-sync")?;
        holds(now == before && world.bao.signs_in(&before)?, "consumers have what works", &said)?;
        // At once: nobody waits for who has stopped.
        let begun = Instant::now();
        let said = world.apply()?;
        holds(begun.elapsed() < Duration::from_secs(10), "nobody is waited for", &said)?;
        one_credential_works(world, 1)?;
        holds(world.bao.signs_in(&before)?, "the earlier one has its overlap", &said)?;
        let generation = world.state("nhi_credential.it")?["generation"].clone();
        holds(generation == 2, "it is the one that was begun", &generation.to_string())?;
        world.no_secret_leaked(&[STATE])
    });
}

#[test]
fn an_apply_that_is_interrupted_while_it_delivers_delivers_everywhere_and_says_what_is_then_true() {
    through_a_proxy(&triggered("1"), |world, between| {
        world.apply()?;
        let before = world.bao.document("apps/invoice-sync")?;
        world.write("main.tf", &triggered("2"))?;
        interrupted_at(world, between, "secret/data/apps/invoice-sync")?;
        let now = world.bao.document("apps/invoice-sync")?;
        holds(now != before && world.bao.signs_in(&now)?, "consumers have the new one", "")?;
        holds(world.bao.signs_in(&before)?, "and the earlier one works", "")?;
        // The state has heard of it: nothing is left to do.
        one_credential_works(world, 1)
    });
}
