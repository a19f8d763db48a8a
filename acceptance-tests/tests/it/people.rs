//! What people are to do: it is told when it is late, written down with the hash of what shows it, and
//! told no more.

use std::process::Command;

use acceptance_tests::{Result, World};
use serde_json::Value;

use crate::{applied, holds, in_world};

fn policy(world: &World, text: &str) -> Result<()> {
    let hcl = world.read("nhi.hcl")?;
    world.write("nhi.hcl", &format!("{hcl}\npolicy = {{ file = \"policy.hcl\" }}\n"))?;
    world.write("policy.hcl", text)
}

/// What a command says to programs, and how it ends.
fn json(world: &World, words: &[&str]) -> Result<(i32, Value)> {
    let ran = world.nhi(&[words, &["--format", "json"]].concat())?;
    let line = ran.said.lines().find(|line| line.starts_with('{')).unwrap_or_default();
    let value = serde_json::from_str(line).map_err(|error| format!("{error}: {}", ran.said))?;
    Ok((ran.code, value))
}

fn is_told(world: &World) -> Result<bool> {
    let (_, report) = json(world, &["drift"])?;
    let found = report["findings"].as_array().cloned().unwrap_or_default();
    Ok(found.iter().any(|one| one["rule"] == "task-overdue"))
}

#[test]
fn what_people_were_to_do_is_told_until_somebody_shows_that_it_was_done() {
    applied(|world| {
        policy(
            world,
            r#"tasks = {
  entitlements = {
    what     = "Ask the business owner whether it is needed still"
    owner    = "owner/finance-operations"
    each     = "bao/openbao_approle/*"
    first_by = "2020-01-31"
    every    = "90d"
  }
  terms = {
    what     = "Read the contract"
    owner    = "owner/legal"
    first_by = "2099-01-31"
  }
}
"#,
        )?;
        holds(is_told(world)?, "what is late is told", "")?;
        let (code, report) = json(world, &["task", "list"])?;
        holds(code == 5, "it is overdue", &report.to_string())?;
        let tasks = report["tasks"].as_array().cloned().unwrap_or_default();
        let late = &tasks[0];
        holds(
            late["task"] == "entitlements"
                && late["for"] == "bao/openbao_approle/invoice-sync"
                && late["stands"] == "overdue"
                && tasks[1]["stands"] == "due",
            "soonest first, each with what it is for",
            &report.to_string(),
        )?;
        let said = world.nhi(&["reconcile", "--yes"])?.expect(0)?;
        holds(said.contains("task(s) of people are overdue"), "cron says so", &said)?;
        let owed = world.nhi(&["ledger", "obligations"])?.expect(5)?;
        holds(owed.contains("task") && owed.contains("overdue"), "and so does the ledger", &owed)?;

        world.write("review.txt", "ann looked at it: it is needed")?;
        let done = ["task", "done", "entitlements", "--evidence", "review.txt", "--by"];
        let said = world.nhi(&[&done[..], &["ann@acme.example"]].concat())?.expect(1)?;
        holds(said.contains("E-TASK"), "no address is written down", &said)?;
        let (code, report) = json(world, &[&done[..], &["owner/finance-operations"]].concat())?;
        holds(code == 0, "it is written down", &report.to_string())?;
        let file = world.folder.join("review.txt");
        let sum =
            Command::new("sha256sum").arg(file).output().map_err(|error| error.to_string())?;
        let sum = String::from_utf8_lossy(&sum.stdout).into_owned();
        let hash = report["tasks"][0]["last"]["sha256"].as_str().unwrap_or_default();
        holds(hash.len() == 64 && sum.starts_with(hash), "by the hash of the file", &sum)?;
        holds(!is_told(world)?, "and told no more", "")?;
        world.nhi(&["ledger", "obligations"])?.expect(0)?;
        world.nhi(&["ledger", "verify"])?.expect(0)?;

        let terms = ["task", "done", "terms", "--evidence", "review.txt", "--by", "owner/legal"];
        let said = world.nhi(&terms)?.expect(0)?;
        holds(said.contains("done for good"), "what is done once is done for good", &said)?;
        let (code, report) = json(world, &["task", "list"])?;
        let tasks = report["tasks"].as_array().cloned().unwrap_or_default();
        holds(
            code == 0 && tasks.iter().any(|one| one["task"] == "terms" && one["stands"] == "met"),
            "it stays so",
            &report.to_string(),
        )?;
        let said =
            world.nhi(&["ledger", "show", "--kind", "task", "--format", "json"])?.expect(0)?;
        holds(
            said.contains(hash)
                && said.contains("owner/finance-operations")
                && !said.contains("ann looked"),
            "the journal has who, when and the hash, and nothing of the file",
            &said,
        )
    });
}

#[test]
fn a_drill_does_the_task_that_asks_for_it_and_is_held_against_the_longest_time_to_stop() {
    let canary = crate::BASE.replace(
        "  schedule    = nhi_rotation_schedule.monthly\n",
        "  schedule    = nhi_rotation_schedule.monthly\n  drill       = true\n",
    );
    in_world(&canary, |world| {
        world.apply()?;
        policy(
            world,
            r#"stop_within_longest = "5m"
tasks = {
  stop = {
    what     = "Try out how long an end takes"
    owner    = "owner/payments-platform"
    each     = "bao/*"
    drill    = true
    first_by = "2020-01-31"
    every    = "30d"
  }
}
"#,
        )?;
        holds(is_told(world)?, "that nobody tried is told", "")?;
        world.write("review.txt", "I did try")?;
        let said = ["task", "done", "stop", "--evidence", "review.txt", "--by", "owner/x"];
        let said = world.nhi(&said)?.expect(1)?;
        holds(said.contains("nhi drill bao/"), "nobody can say so", &said)?;
        let slot = "bao/openbao_approle/invoice-sync/credential/default";
        let (code, report) = json(world, &["drill", slot, "--yes"])?;
        let did = &report["credentials"][0]["did"];
        holds(
            code == 0 && did["within"] == true && did["stop_within"] == "5m",
            "it stopped in time",
            &report.to_string(),
        )?;
        holds(!is_told(world)?, "and the task is done", "")
    });
}
