//! What is owed is done without an apply, as from cron.

use std::{
    process::Stdio,
    thread::sleep,
    time::{Duration, Instant},
};

use acceptance_tests::{Result, World};
use connector::fault_proxy::{Effect, Hold, Rule};
use serde_json::Value;

use crate::{
    BASE, Between, SILENCE, flat, holds, in_world, kill::killed_at, nothing_is_left_to_do,
    one_credential_works, places, through_a_proxy, triggered,
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

/// Runs `nhi`, and kills it while the answer of a call is held.
fn killed_at_answer(world: &World, between: &Between, words: &[&str], path: &str) -> Result<()> {
    let hold = Hold::default();
    between.proxy.add(Rule::once("POST", path, Effect::HoldAnswer(hold.clone())));
    let mut command = world.nhi_command();
    let mut child = command
        .args(words)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| error.to_string())?;
    let reached = async { tokio::time::timeout(Duration::from_secs(60), hold.reached()).await };
    let reached = between.runtime.block_on(reached).is_ok();
    let killed = child.kill().and_then(|()| child.wait()).map_err(|error| error.to_string());
    hold.release();
    between.proxy.clear();
    holds(reached, "the call was made", path)?;
    killed.map(drop)
}

#[test]
fn one_that_is_taken_out_of_service_and_killed_half_way_is_told_and_finished_by_a_second_run() {
    through_a_proxy(BASE, |world, between| {
        world.apply()?;
        let document = world.bao.document("apps/invoice-sync")?;
        let id = "bao/openbao_approle/invoice-sync";
        let said = world.nhi(&["decommission", id, "--dry-run"])?.expect(0)?;
        holds(said.contains("secret/data/invoices/*:read"), "what goes is shown", &said)?;
        holds(places::lets_in(&world.bao, &document)?, "and nothing went", &said)?;
        killed_at_answer(
            world,
            between,
            &["decommission", id, "--yes"],
            "secret-id-accessor/destroy",
        )?;
        let said = world.nhi(&["drift"])?.expect(5)?;
        holds(said.contains("taken out of service in part"), "drift names it", &said)?;
        // Who applies meanwhile is refused, and gives nothing back.
        let said =
            flat(&world.terraform(&["apply", "-auto-approve"])?.expect(1)?.replace('│', " "));
        holds(said.contains("E-DECOMMISSIONED"), "no apply gives it back", &said)?;
        sleep(SILENCE);
        let said = world.nhi(&["decommission", id, "--yes"])?.expect(0)?;
        holds(said.contains("Out of service:"), "a second run goes on", &said)?;
        holds(!places::lets_in(&world.bao, &document)?, "what it had is refused", &said)?;
        holds(world.bao.accessors("invoice-sync")?.is_empty(), "nothing is left", &said)?;
        let said = flat(&world.plan()?.said.replace('│', " "));
        holds(said.contains("is out of service"), "a plan says so", &said)?;
        holds(
            said.contains("nhi_scope and its nhi_credential, from the configuration"),
            "and what to remove",
            &said,
        )?;
        let said =
            flat(&world.terraform(&["apply", "-auto-approve"])?.expect(1)?.replace('│', " "));
        holds(said.contains("E-DECOMMISSIONED"), "nor does one afterwards", &said)?;
        holds(world.bao.accessors("invoice-sync")?.is_empty(), "still nothing", &said)?;
        let said = world.nhi(&["drift"])?.expect(2)?;
        holds(said.contains("out of service"), "drift says what is left to do", &said)?;
        let said = world.nhi(&["ledger", "show", "--kind", "decommission"])?.expect(0)?;
        holds(said.contains("decommission.ended"), "the ledger has it", &said)?;
        // What was declared is removed, and that is the end of it.
        let rest = BASE.split("resource \"nhi_integration\"").next().unwrap_or_default();
        world.write("main.tf", rest)?;
        world.apply()?;
        world.plan_is_empty()?;
        world.nhi(&["ledger", "verify"])?.expect(0).map(drop)
    });
}

#[test]
fn a_plan_that_was_saved_before_a_decommission_gives_nothing_back() {
    in_world(&triggered("1"), |world| {
        world.apply()?;
        let document = world.bao.document("apps/invoice-sync")?;
        // More scopes, another word of what it is for, and a rotation: all of it was reviewed.
        let scope = "\"secret/data/invoices/*:read\"";
        let more = triggered("2")
            .replace(scope, &format!("{scope}, \"secret/data/closing/*:read\""))
            .replace("every night\"", "every morning\"");
        world.write("main.tf", &more)?;
        world.terraform(&["plan", "-out=saved"])?.expect(0)?;
        let id = "bao/openbao_approle/invoice-sync";
        world.nhi(&["decommission", id, "--yes"])?.expect(0)?;
        let stands = || -> Result<String> {
            let entity = world.bao.get("/v1/identity/entity/name/nhi/invoice-sync")?;
            let rules = world.bao.get("/v1/sys/policies/acl/nhi/invoice-sync")?;
            let rules = rules["data"]["policy"].as_str().unwrap_or_default().to_owned();
            let keys = world.bao.accessors("invoice-sync")?;
            holds(entity["data"]["disabled"] == true, "it is off", &entity.to_string())?;
            holds(!rules.contains("secret/data/"), "it may do nothing", &rules)?;
            holds(keys.is_empty(), "it has no credential", &format!("{keys:?}"))?;
            Ok(rules)
        };
        let before = stands()?;
        let said = world.terraform(&["apply", "saved"])?.expect(1)?;
        let said = flat(&said.replace('│', " "));
        let refused = said.matches("(E-DECOMMISSIONED)").count();
        holds(refused >= 1, "it is refused", &said)?;
        holds(stands()? == before, "and wrote nothing", &said)?;
        holds(!places::lets_in(&world.bao, &document)?, "what it had is refused", &said)?;
        // Each part of that plan alone gives nothing back either.
        for target in ["nhi_integration.it", "nhi_scope.it", "nhi_credential.it"] {
            let said = world.terraform(&["apply", "-auto-approve", "-target", target])?.said;
            stands().map_err(|error| format!("{target}: {error}\n{said}"))?;
        }
        Ok(())
    });
}

/// [`BASE`] with a credential beside it that nobody reads.
const CANARY: &str = r#"
resource "nhi_credential" "canary" {
  integration = nhi_integration.it
  name        = "canary"
  drill       = true
  deliver_to  = { drill = { connection = "bao", path = "secret/drills/invoice-sync" } }
}
"#;

#[test]
fn a_drill_ends_what_nobody_reads_and_tells_how_long_that_took() {
    in_world(&format!("{BASE}{CANARY}"), |world| {
        world.apply()?;
        let (read, canary) =
            (world.bao.document("apps/invoice-sync")?, world.bao.document("drills/invoice-sync")?);
        let id = "bao/openbao_approle/invoice-sync/credential/";
        let said = flat(&world.nhi(&["drill", &format!("{id}default"), "--yes"])?.expect(1)?);
        holds(said.contains("drill = true"), "what somebody reads is refused", &said)?;
        let canary_id = format!("{id}canary");
        let said = world.nhi(&["drill", &canary_id, "--dry-run"])?.expect(0)?;
        holds(said.contains("generation 2"), "what it does is shown", &said)?;
        holds(places::lets_in(&world.bao, &canary)?, "and nothing is done", &said)?;
        let said = world.nhi(&["drill", &canary_id, "--yes"])?.expect(0)?;
        holds(
            said.contains("on openbao: time to stop") && said.contains("grade A"),
            "how long",
            &said,
        )?;
        holds(!places::lets_in(&world.bao, &canary)?, "the canary is refused", &said)?;
        let canary = world.bao.document("drills/invoice-sync")?;
        holds(places::lets_in(&world.bao, &canary)?, "and has a successor", &said)?;
        holds(places::lets_in(&world.bao, &read)?, "what is read works", &said)?;
        let said =
            world.nhi(&["ledger", "show", "--kind", "drill", "--format", "json"])?.expect(0)?;
        let entry = json(said.lines().last().unwrap_or_default())?;
        holds(entry["detail"]["platform"] == "openbao", "the ledger has it", &said)?;
        holds(entry["detail"]["grade"] == "A", "with its grade", &said)?;
        holds(entry["detail"]["time_to_stop"].is_string(), "and its time", &said)?;
        let said = world.nhi(&["ledger", "show", "--kind", "drill"])?.expect(0)?;
        holds(said.contains("time_to_stop"), "for people too", &said)?;
        let words = ["drill", &canary_id, "--yes", "--format", "json"];
        let told = json(&world.nhi(&words)?.expect(0)?)?;
        holds(told["credentials"][0]["did"]["time_to_stop"].is_string(), "and programs", &said)?;
        nothing_is_left_to_do(world)
    });
}

#[test]
fn a_rotation_of_which_nothing_is_kept_is_finished_by_one_apply_wherever_it_was_killed() {
    let none_kept = |now: &str| triggered(now).replace("\"24h\"", "\"0\"");
    let held: [fn(Hold) -> Rule; 3] = [
        |hold| Rule::once("POST", "/custom-secret-id", Effect::HoldAnswer(hold)),
        |hold| Rule::once("POST", "/secret/data/apps/", Effect::HoldAnswer(hold)),
        |hold| Rule::once("POST", "/secret-id-accessor/destroy", Effect::HoldRequest(hold)),
    ];
    for (at, rule) in held.into_iter().enumerate() {
        through_a_proxy(&none_kept("1"), |world, between| {
            let told = |error| format!("the place numbered {at}: {error}");
            world.apply()?;
            let old = world.bao.document("apps/invoice-sync")?;
            world.write("main.tf", &none_kept("2"))?;
            killed_at(world, between, rule).map_err(told)?;
            sleep(SILENCE);
            world.apply().map_err(told)?;
            let state = world.state("nhi_credential.it")?;
            let shown = state.to_string();
            holds(state["generation"] == 2, "one generation further", &shown).map_err(told)?;
            holds(!places::lets_in(&world.bao, &old)?, "the old one is refused", &shown)
                .map_err(told)?;
            one_credential_works(world, 0).map_err(told)?;
            nothing_is_left_to_do(world).map_err(told)
        });
    }
}

/// A slot whose consumers take so long to read what is delivered, which is longer than its overlap.
fn slow(now: &str, refresh: &str) -> String {
    let line = format!("  consumer_refresh = \"{refresh}\"\n  deliver_to");
    short(now).replacen("  deliver_to", &line, 1)
}

/// Two generations, the overlap of the first of which is over; that one's document.
fn after_an_overlap(world: &World, refresh: &str) -> Result<Value> {
    world.apply()?;
    let old = world.bao.document("apps/invoice-sync")?;
    world.write("main.tf", &slow("2", refresh))?;
    let said = flat(&world.plan()?.expect(2)?.replace('│', " "));
    holds(said.contains("The overlap is shorter than consumers take"), "a plan warns", &said)?;
    world.apply()?;
    sleep(Duration::from_secs(6));
    Ok(old)
}

#[test]
fn an_old_key_is_kept_for_who_may_not_have_read_the_next_and_ends_when_that_time_is_over() {
    in_world(&slow("1", "25s"), |world| {
        let old = after_an_overlap(world, "25s")?;
        let since = Instant::now();
        let said = world.nhi(&["reconcile", "--due", "--yes"])?.expect(0)?;
        holds(said.contains("Nothing is to be done now"), "nobody ends it yet", &said)?;
        holds(places::lets_in(&world.bao, &old)?, "it works on after its overlap", "")?;
        sleep(Duration::from_secs(22).saturating_sub(since.elapsed()));
        let said = world.plan()?.expect(2)?;
        holds(said.contains("\"retire_due\" -> \"current\""), "and then it is to go", &said)?;
        world.apply()?;
        holds(!places::lets_in(&world.bao, &old)?, "it is refused", "")?;
        one_credential_works(world, 0)?;
        nothing_is_left_to_do(world)
    });
}

#[test]
fn a_consumer_that_says_that_it_has_read_the_next_one_is_waited_for_no_longer() {
    in_world(&slow("1", "4h"), |world| {
        let old = after_an_overlap(world, "4h")?;
        let id = "bao/openbao_approle/invoice-sync/credential/default";
        let ack = |generation: &str| {
            world.nhi(&["ack", id, "--generation", generation, "--place", "app"])
        };
        let told = |said: &str| said.contains("may not have read the next");
        let said = flat(&world.plan()?.expect(0)?.replace('│', " "));
        holds(told(&said) && said.contains("nhi ack"), "a plan tells whom it waits for", &said)?;
        let said = flat(&world.nhi(&["drift"])?.expect(0)?);
        holds(told(&said), "and so does drift", &said)?;
        for (generation, why) in [("1", "was followed by 2"), ("3", "what is delivered is 2")] {
            let said = flat(&ack(generation)?.expect(1)?);
            holds(said.contains("E-STALE") && said.contains(why), "not that one", &said)?;
        }
        let said = world.nhi(&["ack", id, "--generation", "2", "--place", "web"])?.expect(1)?;
        holds(said.contains("E-UNDECLARED"), "and no place that is none", &said)?;
        world.nhi(&["drift"])?.expect(0)?;
        let said = ack("2")?.expect(0)?;
        holds(said.contains("Written down:"), "it is taken down", &said)?;
        holds(places::lets_in(&world.bao, &old)?, "and ends nothing by itself", &said)?;
        // Once more is the same.
        ack("2")?.expect(0)?;
        let said = world.nhi(&["ledger", "show", "--kind", "consumer"])?.expect(0)?;
        let times = said.matches("consumer.acknowledged").count();
        holds(times == 1, "the ledger has it once", &said)?;
        let said = world.nhi(&["drift"])?.expect(5)?;
        holds(said.contains("retire-due") || said.contains("is not ended"), "due now", &said)?;
        let said = world.nhi(&["reconcile", "--due", "--yes"])?.expect(0)?;
        holds(said.contains("Done:") && said.contains("grade A"), "it is done", &said)?;
        holds(!places::lets_in(&world.bao, &old)?, "the old one is refused", &said)?;
        one_credential_works(world, 0)?;
        nothing_is_left_to_do(world)?;
        world.nhi(&["ledger", "verify"])?.expect(0).map(drop)
    });
}
