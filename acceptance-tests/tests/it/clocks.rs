//! A clock is days off. A release reads no clock but the machine's: here it is the server that says
//! another day with each of its answers.

use acceptance_tests::{Result, World};
use connector::fault_proxy::{Effect, Rewrite, Rule};
use jiff::{SignedDuration, Timestamp, fmt::rfc2822};

use crate::{
    Between, flat, holds, nothing_is_left_to_do, one_credential_works, through_a_proxy, triggered,
};

/// Every answer was sent so many hours from now.
fn off_by(between: &Between, hours: i64) {
    between.proxy.add(Rule::always(
        "",
        Effect::Rewrite(Rewrite::new(move |head, _| {
            let is = |line: &&str| !line.to_ascii_lowercase().starts_with("date:");
            let rest: Vec<&str> = head.lines().filter(is).collect();
            let day = Timestamp::now() + SignedDuration::from_hours(hours);
            let day = rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&day);
            *head = format!("{}\r\nDate: {}", rest.join("\r\n"), day.unwrap_or_default());
        })),
    ));
}

/// A slot with an overlap of a moment, in which it is.
fn in_an_overlap(world: &World) -> Result<()> {
    let short = |now: &str| triggered(now).replace("\"24h\"", "\"5s\"");
    world.write("main.tf", &short("1"))?;
    world.apply()?;
    world.write("main.tf", &short("2"))?;
    world.apply()?;
    std::thread::sleep(std::time::Duration::from_secs(6));
    Ok(())
}

#[test]
fn a_server_whose_clock_is_days_behind_or_ahead_ends_nothing_before_people_have_looked() {
    for hours in [-72, 72] {
        through_a_proxy(&triggered("1"), |world, between| {
            in_an_overlap(world)?;
            let before = world.bao.accessors("invoice-sync")?;
            holds(before.len() == 2, "both are there", &format!("{before:?}"))?;
            off_by(between, hours);
            let said = flat(&world.plan()?.said.replace('│', " "));
            holds(said.contains("Clocks disagree"), "a plan says so", &said)?;
            let said = flat(&world.nhi(&["drift"])?.said);
            holds(said.contains("bao is 3d"), "drift says so", &said)?;
            let said = flat(&world.nhi(&["doctor"])?.said);
            holds(said.contains("clock: bao is 3d"), "the doctor says so", &said)?;
            let said = world.terraform(&["apply", "-auto-approve"])?.said;
            let left = world.bao.accessors("invoice-sync")?;
            holds(left == before, "nothing ended", &said)?;
            between.proxy.clear();
            world.apply()?;
            one_credential_works(world, 0)?;
            nothing_is_left_to_do(world)
        });
    }
}
