//! The provider dies with an answer under way: the platform or the sink has done what was asked, and
//! nobody has heard of it.

use std::{
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use acceptance_tests::{Result, World, tools, world::STATE};
use connector::fault_proxy::{Effect, Hold, Rule};

use crate::{
    BASE, Between, faults::CALLS, flat, holds, one_credential_works, through_a_proxy, triggered,
};

/// The provider's process below a core.
fn provider_of(core: u32) -> Result<String> {
    let listed = Command::new("ps")
        .args(["-eo", "pid=,ppid=,args="])
        .output()
        .map_err(|error| error.to_string())?;
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let found = listed.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        let (pid, parent) = (words.next()?, words.next()?);
        let ours = words.next()?.ends_with("terraform-provider-nhi");
        (ours && parent == core.to_string()).then(|| pid.to_owned())
    });
    found.ok_or_else(|| format!("no provider runs below {core}"))
}

/// Applies, and kills the provider while the answer of a call is held: the nth of its path.
fn killed_during(world: &World, between: &Between, path: &str, nth: u32) -> Result<()> {
    let held = |hold| Rule { nth, ..Rule::once("POST", path, Effect::HoldAnswer(hold)) };
    killed_at(world, between, held)
}

/// Applies, and kills the provider while a call is held, on its way or on the way back.
pub(crate) fn killed_at(
    world: &World,
    between: &Between,
    rule: impl FnOnce(Hold) -> Rule,
) -> Result<()> {
    let hold = Hold::default();
    between.proxy.add(rule(hold.clone()));
    let reached = || {
        let reached =
            async { tokio::time::timeout(Duration::from_secs(120), hold.reached()).await };
        between.runtime.block_on(reached).is_ok()
    };
    let killed = killed_when(world, reached, || hold.release());
    between.proxy.clear();
    killed
}

/// Applies, and kills the provider when something is reached that is held until it is released.
pub(crate) fn killed_when(
    world: &World,
    reached: impl FnOnce() -> bool,
    release: impl FnOnce(),
) -> Result<()> {
    let mut core = world
        .core_command()
        .args(["apply", "-auto-approve", "-no-color"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| error.to_string())?;
    let reached = if reached() { Ok(()) } else { Err("the call was never made".to_owned()) };
    let killed = reached.and_then(|()| {
        let provider = provider_of(core.id())?;
        tools::run(Command::new("kill").args(["-9", &provider]))
    });
    if killed.is_err() {
        // Nobody is left to wait for the answer.
        let _ = core.kill();
    }
    release();
    let ended = core.wait().map_err(|error| error.to_string())?;
    killed?;
    holds(!ended.success(), "the core says that its provider died", "")
}

/// Plans until the dead run has been silent for long enough.
fn plan_shows(world: &World, what: &str) -> Result<()> {
    let until = Instant::now() + Duration::from_secs(90);
    loop {
        let said = world.plan()?.said;
        if flat(&said).contains(what) {
            return Ok(());
        }
        holds(Instant::now() < until, what, &said)?;
        std::thread::sleep(Duration::from_secs(2));
    }
}

#[test]
fn a_provider_killed_at_things_are_made_leaves_what_the_next_apply_finishes() {
    // One after the other: what is done at the very moment, with the core not told, is imported.
    let schedule = "  schedule    = nhi_rotation_schedule.monthly\n";
    let in_turn = format!("{schedule}  depends_on  = [nhi_scope.it]\n");
    let main = BASE.replace(schedule, &in_turn);
    for path in CALLS {
        through_a_proxy(&main, |world, between| {
            let told = |error| format!("{path}: {error}");
            killed_during(world, between, path, 1).map_err(told)?;
            plan_shows(world, "nhi_credential.it will be created").map_err(told)?;
            // The claim of the run that died holds until it has been silent for long enough.
            std::thread::sleep(Duration::from_secs(11));
            world.apply().map_err(told)?;
            one_credential_works(world, 0).map_err(told)
        });
    }
}

#[test]
fn what_was_finished_when_the_provider_was_killed_is_taken_up_and_needs_no_import() {
    let main = BASE.split("resource \"nhi_rotation_schedule\"").next().unwrap_or_default();
    // The policy's last write by the integration, and the one by its scopes.
    for (nth, what) in [(2, "nhi_integration.it"), (4, "nhi_scope.it")] {
        through_a_proxy(main, |world, between| {
            let told = |error| format!("{what}: {error}");
            killed_during(world, between, CALLS[2], nth).map_err(told)?;
            plan_shows(world, &format!("{what} will be created")).map_err(told)?;
            let said = world.terraform(&["apply", "-auto-approve"])?.expect(1).map_err(told)?;
            holds(said.contains("E-BUSY"), "it may be at work yet", &said).map_err(told)?;
            std::thread::sleep(Duration::from_secs(11));
            world.apply().map_err(told)?;
            world.plan_is_empty().map_err(told)?;
            // It has an owner now.
            world.terraform(&["state", "rm", what])?.expect(0)?;
            let said = world.terraform(&["apply", "-auto-approve"])?.expect(1).map_err(told)?;
            holds(said.contains("terraform import"), "and is not taken twice", &said)
        });
    }
}

#[test]
fn a_provider_killed_in_a_rotation_is_seen_as_unfinished_and_the_next_apply_finishes() {
    for path in &CALLS[..2] {
        through_a_proxy(&triggered("1"), |world, between| {
            let told = |error| format!("{path}: {error}");
            world.apply()?;
            let before = world.bao.document("apps/invoice-sync")?;
            world.write("main.tf", &triggered("2"))?;
            killed_during(world, between, path, 1).map_err(told)?;
            holds(world.bao.signs_in(&before)?, "the old one works all the time", path)?;
            plan_shows(world, "~ status = \"unfinished\" -> \"current\"").map_err(told)?;
            // Whatever restarts by it is in this plan, too.
            plan_shows(world, "~ generation = 1 -> 2").map_err(told)?;
            let open =
                "bao/openbao_approle/invoice-sync/credential/default: begun and not finished";
            let said = world.nhi(&["scan"])?.expect(0)?;
            holds(said.contains(open), "custody tells it whoever declares it", &said)?;
            world.apply().map_err(told)?;
            let said = world.nhi(&["scan"])?.expect(0)?;
            holds(!said.contains(open), "and no longer once it is done", &said)?;
            holds(world.bao.signs_in(&before)?, "and in its overlap", path)?;
            let state = world.state("nhi_credential.it")?;
            holds(state["generation"] == 2, "one generation further", &state.to_string())?;
            one_credential_works(world, 1).map_err(told)
        });
    }
}

#[test]
fn a_rotation_that_the_state_never_heard_of_is_not_done_once_more_for_the_same_reason() {
    let exposed = |incident: &str| {
        let line = format!("  incident    = \"{incident}\"\n  deliver_to");
        triggered("1").replacen("  deliver_to", &line, 1)
    };
    for (asks, asks_again) in
        [(triggered("2"), triggered("3")), (exposed("INC-1"), exposed("INC-2"))]
    {
        through_a_proxy(&triggered("1"), |world, _| {
            world.apply()?;
            // The run ends with all done but its answer: the state is what it was.
            let before = world.read(STATE)?;
            world.write("main.tf", &asks)?;
            world.apply()?;
            let delivered = world.bao.document("apps/invoice-sync")?;
            world.write(STATE, &before)?;
            let said = world.plan()?.expect(2)?;
            let told = flat(&said);
            holds(told.contains("This was done already"), "it is told", &said)?;
            holds(told.contains("0 to add, 1 to change, 0 to destroy"), "one change", &said)?;
            world.apply()?;
            holds(world.bao.document("apps/invoice-sync")? == delivered, "nothing is issued", "")?;
            let state = world.state("nhi_credential.it")?;
            holds(state["generation"] == 2, "it is that one", &state.to_string())?;
            world.plan_is_empty()?;
            // Another reason is another rotation, and so is an incident that comes back.
            world.write("main.tf", &asks_again)?;
            let said = flat(&world.plan()?.expect(2)?);
            holds(!said.contains("done already"), "it is another", &said)?;
            if !asks.contains("INC-1") {
                return Ok(());
            }
            world.write("main.tf", &triggered("1"))?;
            world.apply()?;
            world.write("main.tf", &asks)?;
            let said = flat(&world.plan()?.expect(2)?);
            holds(!said.contains("done already"), "it is asked for again", &said)
        });
    }
}
