//! What is owed is done without an apply, as from cron.

use std::{thread::sleep, time::Duration};

use acceptance_tests::{Result, World};
use serde_json::Value;

use crate::{
    flat, holds, in_world, nothing_is_left_to_do, one_credential_works, places, triggered,
};

/// A slot whose overlap is short.
fn short(now: &str) -> String {
    triggered(now).replace("\"24h\"", "\"5s\"")
}

fn json(said: &str) -> Result<Value> {
    serde_json::from_str(said.trim()).map_err(|error| format!("{error}: {said}"))
}

/// Two generations, of which the application has read the first; that one's document.
fn in_an_overlap(world: &World) -> Result<Value> {
    world.write("main.tf", &short("1"))?;
    world.apply()?;
    let old = world.bao.document("apps/invoice-sync")?;
    world.write("main.tf", &short("2"))?;
    let said = flat(&world.plan()?.expect(2)?.replace('│', " "));
    holds(said.contains("nhi reconcile --due"), "a plan names who ends it", &said)?;
    world.apply()?;
    holds(places::lets_in(&world.bao, &old)?, "the old one works in its overlap", "")?;
    Ok(old)
}

#[test]
fn what_is_owed_is_done_from_cron_and_leaves_nothing_to_apply() {
    in_world(&short("1"), |world| {
        let old = in_an_overlap(world)?;
        let said = world.nhi(&["ledger", "obligations"])?.expect(0)?;
        holds(said.contains("retire"), "the ledger has it", &said)?;
        sleep(Duration::from_secs(6));
        let said = world.nhi(&["reconcile", "--due", "--dry-run"])?.expect(0)?;
        holds(said.contains("owed") && said.contains("retire"), "it is shown", &said)?;
        holds(places::lets_in(&world.bao, &old)?, "and nothing was done", &said)?;
        world.nhi(&["drift"])?.expect(5)?;
        let said = world.nhi(&["reconcile", "--due", "--yes"])?.expect(0)?;
        holds(said.contains("Done:") && said.contains("grade A"), "it is done", &said)?;
        holds(!places::lets_in(&world.bao, &old)?, "the old one is refused", &said)?;
        one_credential_works(world, 0)?;
        nothing_is_left_to_do(world)?;
        let said = world.nhi(&["reconcile", "--due", "--yes"])?.expect(0)?;
        holds(said.contains("Nothing is to be done now"), "and nothing is left", &said)?;
        let said = world.nhi(&["ledger", "show", "--kind", "obligation"])?.expect(0)?;
        holds(said.contains("obligation.met"), "the ledger says that it is met", &said)?;
        let said = world.nhi(&["ledger", "obligations", "--format", "json"])?.expect(0)?;
        holds(json(&said)?["obligations"] == serde_json::json!([]), "none is open", &said)?;
        world.nhi(&["ledger", "verify"])?.expect(0).map(drop)
    });
}

#[test]
fn what_is_owed_is_done_by_a_state_alone_where_no_ledger_is_kept() {
    in_world(&short("1"), |world| {
        let hcl = world.read("nhi.hcl")?;
        let lines = hcl.lines().filter(|line| !line.trim_start().starts_with("ledger"));
        let hcl = lines.collect::<Vec<_>>().join("\n");
        world.write("nhi.hcl", &format!("{hcl}\nledger = {{ none = true }}\n"))?;
        let old = in_an_overlap(world)?;
        sleep(Duration::from_secs(6));
        let said = world.nhi(&["reconcile", "--due", "--yes"])?.expect(1)?;
        holds(said.contains("--state -"), "nothing says what is declared", &said)?;
        let words = ["reconcile", "--due", "--yes", "--format", "json", "--state"];
        let said = world.nhi(&[&words[..], &["terraform.tfstate"]].concat())?.expect(0)?;
        let told = json(&said)?;
        holds(told["slots"][0]["did"]["done"] == true, "it is done", &said)?;
        holds(told["slots"][0]["did"]["revoked"][0]["grade"] == "A", "and shown", &said)?;
        holds(!places::lets_in(&world.bao, &old)?, "the old one is refused", &said)?;
        world.plan_is_empty()
    });
}
