//! What is heard from outside, with the real core on a real server: what is exposed is rotated by the
//! next apply, what somebody saw is told until a person has dealt with it.

use acceptance_tests::{Result, World};
use serde_json::Value;

use crate::{applied, holds, nothing_is_left_to_do, one_credential_works};

const ID: &str = "bao/openbao_approle/invoice-sync";

/// What `nhi` says for programs.
fn json(world: &World, words: &[&str], code: i32) -> Result<Value> {
    let said = world.nhi(words)?.expect(code)?;
    let line = said.lines().find(|line| line.starts_with('{')).unwrap_or_default();
    serde_json::from_str(line).map_err(|error| format!("{error}: {said}"))
}

/// The rules that `nhi drift` tells of, with its exit code.
fn told(world: &World) -> Result<(i64, Vec<String>)> {
    let ran = world.nhi(&["drift", "--format", "json"])?;
    let line = ran.said.lines().find(|line| line.starts_with('{')).unwrap_or_default();
    let report: Value =
        serde_json::from_str(line).map_err(|error| format!("{error}: {}", ran.said))?;
    let found = report["findings"].as_array().cloned().unwrap_or_default();
    let rules = found.iter().filter_map(|one| one["rule"].as_str().map(str::to_owned));
    Ok((report["outcome"]["code"].as_i64().unwrap_or(-1), rules.collect()))
}

#[test]
fn what_is_said_to_be_exposed_is_planned_away_without_an_overlap_and_then_it_is_over() {
    applied(|world| {
        let old = world.bao.document("apps/invoice-sync")?;
        let said = ["signal", "exposure", ID, "--source", "ann", "--id", "t-1", "--format", "json"];
        let kept = json(world, &said, 0)?;
        holds(kept["known"] == false, "it is new", &kept.to_string())?;
        let slot = format!("{ID}/credential/default");
        holds(kept["signals"][0]["subject"] == slot.as_str(), "of the slot", &kept.to_string())?;
        holds(json(world, &said, 0)?["known"] == true, "once more it is known", "")?;
        let (code, rules) = told(world)?;
        holds(code == 4 && rules == ["exposed"], "it is told", &format!("{code} {rules:?}"))?;
        let plan = world.terraform(&["plan", "-detailed-exitcode"])?.expect(2)?;
        holds(plan.contains("exposed"), "the plan says why", &plan)?;
        holds(plan.contains("Rotates without overlap"), "and what follows", &plan)?;
        holds(world.bao.signs_in(&old)?, "a plan changes nothing", "")?;
        world.apply()?;
        holds(!world.bao.signs_in(&old)?, "the exposed one is refused", "")?;
        one_credential_works(world, 0)?;
        nothing_is_left_to_do(world)?;
        let open = json(world, &["signal", "list", "--format", "json"], 0)?;
        holds(open["signals"] == serde_json::json!([]), "it is over", &open.to_string())?;
        let all = json(world, &["signal", "list", "--all", "--format", "json"], 0)?;
        holds(all["signals"][0]["state"] == "met", "and was kept", &all.to_string())?;
        // The same report comes once more, and nothing rotates for it.
        holds(json(world, &said, 0)?["known"] == true, "it is known", "")?;
        nothing_is_left_to_do(world)
    });
}

#[test]
fn what_works_between_applies_rotates_what_is_exposed_and_the_next_plan_is_empty() {
    applied(|world| {
        let old = world.bao.document("apps/invoice-sync")?;
        world.nhi(&["signal", "exposure", "bao", "--source", "vendor-bulletin-7"])?.expect(0)?;
        world.nhi(&["reconcile", "--yes"])?.expect(0)?;
        holds(!world.bao.signs_in(&old)?, "the exposed one is refused", "")?;
        one_credential_works(world, 0)?;
        nothing_is_left_to_do(world)
    });
}

#[test]
fn an_anomaly_and_an_incident_are_told_until_somebody_closes_them() {
    applied(|world| {
        let (code, rules) = told(world)?;
        holds(code == 0 && rules.is_empty(), "nothing is told", &format!("{code} {rules:?}"))?;
        for (word, rule) in [("anomaly", "anomaly"), ("incident", "incident")] {
            let said = ["signal", word, ID, "--source", "siem", "--id", word, "--note", "at night"];
            world.nhi(&said)?.expect(0)?;
            let (code, rules) = told(world)?;
            holds(code == 4 && rules == [rule], "it is told", &format!("{code} {rules:?}"))?;
            // It is no reason to change anything.
            world.plan_is_empty()?;
            world.nhi(&["signal", "close", word, "--reason", "it was the migration"])?.expect(0)?;
            let (code, rules) = told(world)?;
            holds(code == 0 && rules.is_empty(), "none is told", &format!("{code} {rules:?}"))?;
        }
        let unknown =
            world.nhi(&["signal", "anomaly", "bao/openbao_approle/x", "--source", "y"])?;
        holds(
            unknown.code == 1 && unknown.said.contains(ID),
            "it says what there is",
            &unknown.said,
        )
    });
}
