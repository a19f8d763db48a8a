//! Every request that a rotation sends, to its platform and to custody, is the last of its process: it is
//! held before the server hears of it, or with the answer under way, and the process is killed. Then the
//! rotation is run again, and what there is by the account of the vendor's own tools is what must be. What
//! changes something comes late besides: the server hears of it when the next run has come to its end.
//!
//! A rotation that nobody disturbs tells which requests there are.

use std::{
    process::{Child, Stdio},
    thread,
    time::{Duration, Instant},
};

use acceptance_tests::Result;
use serde_json::Value;

use crate::{
    flat, holds,
    login::Login,
    places::{
        Account, At, Bao, PATIENCE, Place, Point, School, Shop, Stop, begun, is_at_rest, runs_again,
    },
    walk::{Case, Pace, Start, is_wide, walk},
};

/// How long a rotation may take until it comes to the request that is waited for.
const LONG: Duration = Duration::from_secs(90);

fn rotation(place: &dyn Place) -> Result<Child> {
    let mut command = place.world().nhi_command();
    command.args(["rotate", place.slot(), "--yes"]).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().map_err(|error| error.to_string())
}

/// Rotates, and kills the process at a point, where its request is held still; nothing where the rotation
/// ended without coming there.
fn killed_at(place: &dyn Place, point: &Point, at: At) -> Result<Option<Stop>> {
    let stop = place.row().begin(Some((point, at)));
    let (mut run, begun) = (rotation(place)?, Instant::now());
    let reached = loop {
        if stop.is_reached() {
            break Ok(Some(stop.clone()));
        }
        match run.try_wait().map_err(|error| error.to_string())? {
            Some(ended) if ended.success() => break Ok(None),
            Some(ended) => break Err(format!("the rotation failed by itself: {ended}")),
            None if begun.elapsed() > LONG => break Err("it came to no end".to_owned()),
            None => thread::sleep(Duration::from_millis(1)),
        }
    };
    let killed = run.kill().and_then(|()| run.wait());
    place.row().begin(None);
    killed.map_err(|error| error.to_string())?;
    reached
}

/// One point: killed there, put right, and asserted.
fn one(place: &dyn Place, point: &Point, at: At, told: bool) -> Result<bool> {
    let before = place.delivered()?;
    let Some(stop) = killed_at(place, point, at)? else {
        is_at_rest(place, &before)?;
        return Ok(false);
    };
    if at != At::Late {
        stop.release();
    }
    if place.overlaps() {
        let works = place.lets_in(&place.delivered()?)?;
        holds(works, "what consumers read works all the time", "")?;
    }
    place.mend()?;
    runs_again(place, &before, told)?;
    is_at_rest(place, &before)?;
    if at == At::Late {
        stop.release();
        // Long enough for what nobody waits for any more.
        thread::sleep(Duration::from_millis(300));
        came_late(place, &before).map_err(|error| format!("when it came: {error}"))?;
    }
    Ok(true)
}

/// What came late changed nothing that consumers read. A credential that it made, whose secret nobody has,
/// is told as ours, which its mark says, and ended by whoever does what is due.
fn came_late(place: &dyn Place, before: &Value) -> Result<()> {
    let now = place.delivered()?;
    holds(place.lets_in(&now)?, "what consumers read works", "")?;
    // A claim that nobody wrote since the dead run wanted to is taken late: its deed is finished then.
    let (world, slot) = (place.world(), place.slot());
    if !world.nhi(&["recover"])?.said.contains("Nothing is open") {
        world.nhi(&["recover", slot, "--take", "--yes"])?.expect(0)?;
        return is_at_rest(place, before);
    }
    let mut said = place.world().nhi(&["drift"])?;
    // What stands beside a claim and came late says that somebody is at work, until that is old: then the
    // claim itself is asked.
    if said.code == 5 && said.said.contains("is at work on it") {
        thread::sleep(Duration::from_secs(PATIENCE));
        said = place.world().nhi(&["drift"])?;
    }
    if said.code == 0 {
        return is_at_rest(place, before);
    }
    // Where no mark says whose it is, it is nobody's.
    if said.code == 4 {
        let said = said.expect(4)?;
        holds(said.contains("credential that nobody declared"), "it is told", &said)?;
        place.world().nhi(&["rotate", place.slot(), "--yes"])?.expect(0)?;
        return is_at_rest(place, &now);
    }
    let said = said.expect(5)?;
    holds(flat(&said).contains("came late"), "it is told as ours", &said)?;
    place.world().nhi(&["reconcile", "--due", "--yes"])?.expect(0)?;
    is_at_rest(place, before)
}

/// The requests of a rotation that nobody disturbs.
pub(crate) fn undisturbed(place: &dyn Place) -> Result<Vec<Point>> {
    let before = place.delivered()?;
    place.row().begin(None);
    place.world().nhi(&["rotate", place.slot(), "--yes"])?.expect(0)?;
    let seen = place.row().seen();
    is_at_rest(place, &before)?;
    Ok(seen)
}

/// Kills a rotation at each of its requests.
fn kill_at_each(name: &str, pace: Pace, start: &Start<'_>) {
    let first = begun(start).and_then(|place| Ok((undisturbed(&*place)?, place)));
    let (points, first) = first.unwrap_or_else(|error| panic!("{name}, undisturbed: {error}"));
    let at = |point: &Point, at: At| {
        let (says, point) = (format!("{point}, {at:?}"), point.clone());
        Case { says, does: Box::new(move |place, told| one(place, &point, at, told)) }
    };
    // Where nothing marks what it makes, only a person can say whose that is: see `disturbed.rs`.
    let late =
        points.iter().filter(|one| one.comes_late() && !one.says.ends_with("=CreateAccessKey"));
    let late = late.map(|one| at(one, At::Late));
    let all = points.iter().flat_map(|one| [at(one, At::Before), at(one, At::After)]);
    let all: Vec<Case<'_>> = all.chain(late).collect();
    walk(name, pace, start, first, &all);
}

/// Where nothing is waited for.
const FAST: Pace = Pace { share: 6, lanes: 1 };
/// The same, of what has twice as many requests.
const SHORT: Pace = Pace { share: 4, lanes: 1 };

#[test]
fn whichever_request_of_a_rotation_on_openbao_is_the_last_of_its_run_the_next_puts_it_right() {
    kill_at_each("openbao", FAST, &Bao::start);
}

#[test]
fn whichever_request_of_a_rotation_on_aws_is_the_last_of_its_run_the_next_puts_it_right() {
    // A rotation waits there until an ended key is sure to be refused everywhere.
    let lanes = if is_wide() { 6 } else { 4 };
    kill_at_each("aws", Pace { share: 3, lanes }, &Account::start);
}

#[test]
fn whichever_request_of_a_rotation_on_a_hub_is_the_last_of_its_run_the_next_puts_it_right() {
    kill_at_each("hub", FAST, &School::start);
}

#[test]
fn whichever_request_of_a_new_password_is_the_last_of_its_run_the_next_puts_it_right() {
    kill_at_each("password", FAST, &|| Shop::start(false));
}

#[test]
fn whichever_request_of_two_roles_by_turns_is_the_last_of_its_run_the_next_puts_it_right() {
    kill_at_each("pair", FAST, &|| Shop::start(true));
}

#[test]
fn whichever_request_of_a_client_s_new_key_is_the_last_of_its_run_the_next_puts_it_right() {
    kill_at_each("key of a client", SHORT, &|| Login::start(true));
}

#[test]
fn whichever_request_of_a_client_s_new_secret_is_the_last_of_its_run_the_next_puts_it_right() {
    kill_at_each("secret of a client", SHORT, &|| Login::start(false));
}
