//! What consumers read cannot be written, or was written by somebody else: with the real core.

use std::{thread::sleep, time::Duration};

use acceptance_tests::{Result, World};
use connector::fault_proxy::{Effect, Hold, Rule};
use serde_json::json;

use crate::{
    BASE, Between, deeds::SLOT, flat, holds, one_credential_works, places, says_what_to_do,
    through_a_proxy, triggered,
};

/// As long as a world that says demo tries again until a person is asked, and a moment.
const TRIES: Duration = Duration::from_secs(21);

/// What consumers read is refused to whoever writes it.
fn refuses(between: &Between) {
    let effect = Effect::Answer {
        status: 403,
        headers: Vec::new(),
        body: r#"{"errors":["permission denied"]}"#.to_owned(),
    };
    for method in ["POST", "PUT"] {
        between.proxy.add(Rule {
            method: Some(method.to_owned()),
            ..Rule::always("/secret/data/apps/", effect.clone())
        });
    }
}

#[test]
fn a_sink_that_refuses_is_tried_again_until_a_person_is_asked_who_then_goes_on() {
    through_a_proxy(&triggered("1"), |world, between| {
        world.apply()?;
        let before = world.bao.document("apps/invoice-sync")?;
        world.write("main.tf", &triggered("2"))?;
        refuses(between);
        let said = world.terraform(&["apply", "-auto-approve"])?.expect(1)?;
        let told = flat(&said.replace('│', " "));
        for part in ["nothing was rolled back", "The old one still works"] {
            holds(told.contains(part), part, &said)?;
        }
        let made = places::listed(&world.bao, "invoice-sync")?;
        holds(made.len() == 2, "the new one waits", &format!("{made:?}"))?;
        // It is the same new one that each run tries, for as long as policy says.
        let said = world.nhi(&["rotate", SLOT, "--yes"])?;
        holds(said.code != 0 && said.said.contains("Next:"), "it is tried again", &said.said)?;
        sleep(TRIES);
        let said = world.terraform(&["apply", "-auto-approve"])?.expect(1)?;
        let told = flat(&said.replace('│', " "));
        holds(told.contains("E-SINK-REFUSES"), "a person is asked", &said)?;
        says_what_to_do(&said)?;
        let said = world.nhi(&["recover"])?.expect(5)?;
        holds(said.contains("a sink takes nothing"), "who looks is told", &said)?;
        let said = world.nhi(&["drift"])?.expect(5)?;
        holds(said.contains("sink-refuses"), "and drift counts it", &said)?;
        // Whoever says that it is mended before it is changes nothing.
        let said = world.nhi(&["recover", SLOT, "--yes"])?;
        holds(said.code != 0 && said.said.contains("Next:"), "it is not mended", &said.said)?;
        let now = places::listed(&world.bao, "invoice-sync")?;
        holds(now == made, "by none of that was anything made or ended", &format!("{now:?}"))?;
        holds(world.bao.document("apps/invoice-sync")? == before, "nothing was delivered", "")?;
        holds(places::lets_in(&world.bao, &before)?, "the old one works all the time", "")?;

        between.proxy.clear();
        // Whoever has just tried may be at work still: this person knows that nobody is.
        let said = world.nhi(&["recover", SLOT, "--take", "--yes"])?.expect(0)?;
        holds(said.contains("is at generation 2"), "it goes on from there", &said)?;
        let now = places::listed(&world.bao, "invoice-sync")?;
        holds(now == made, "with the same new one", &format!("{now:?}"))?;
        holds(places::lets_in(&world.bao, &before)?, "whose overlap begins now", "")?;
        let said = world.apply()?;
        holds(said.contains("E-DONE"), "which is the one that was asked for", &said)?;
        one_credential_works(world, 1)?;
        world.nhi(&["recover"])?.expect(0)?;
        world.nhi(&["drift"])?.expect(0).map(drop)
    });
}

/// A rotation whose document somebody else writes between the look at it and the write.
fn written_over(world: &World, between: &Between, data: &serde_json::Value) -> Result<()> {
    let hold = Hold::default();
    let held = Effect::HoldRequest(hold.clone());
    between.proxy.add(Rule::once("POST", "/secret/data/apps/", held));
    let mut run = world.nhi_command();
    let run = run.args(["rotate", SLOT, "--yes"]);
    let mut run = run
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .map_err(|error| error.to_string())?;
    let reached = async { tokio::time::timeout(Duration::from_secs(60), hold.reached()).await };
    let reached = between.runtime.block_on(reached);
    world.bao.post("/v1/secret/data/apps/invoice-sync", json!({ "data": data }))?;
    hold.release();
    let ended = run.wait().map_err(|error| error.to_string())?;
    between.proxy.clear();
    holds(reached.is_ok() && ended.code() == Some(5), "it waits for a person", &ended.to_string())
}

/// A secret-id that a person makes: the document with it, and its accessor.
fn by_hand(world: &World, role: &str) -> Result<(serde_json::Value, String)> {
    let mut data = world.bao.document("apps/invoice-sync")?;
    let path = format!("/v1/auth/approle/role/{role}/secret-id");
    let made = places::bao_as_root(&world.bao, "POST", &path, Some(&json!({})))?;
    data["secret_id"] = made["data"]["secret_id"].clone();
    Ok((data, places::text(&made["data"], "secret_id_accessor")))
}

#[test]
fn what_somebody_wrote_over_a_document_becomes_the_current_one_by_a_person_s_word() {
    through_a_proxy(&BASE.replace("\"24h\"", "\"5s\""), |world, between| {
        world.apply()?;
        let first = world.bao.document("apps/invoice-sync")?;
        let keep = ["recover", SLOT, "--keep", "sink", "--yes"];
        let said = world.nhi(&keep)?.expect(1)?;
        says_what_to_do(&said)?;

        // What is no credential that works is not taken.
        let dead = json!({ "role_id": first["role_id"], "secret_id": "by hand" });
        written_over(world, between, &dead)?;
        let said = world.nhi(&keep)?.expect(5)?;
        holds(said.contains("E-KEEP-SINK"), "it is told why not", &said)?;
        says_what_to_do(&said)?;
        holds(world.bao.document("apps/invoice-sync")? == dead, "nothing is written over", "")?;
        world.nhi(&["recover", SLOT, "--keep", "ours", "--yes"])?.expect(0)?;
        let second = world.bao.document("apps/invoice-sync")?;
        holds(places::lets_in(&world.bao, &second)?, "ours works", "")?;
        sleep(Duration::from_secs(6));
        world.apply()?;
        one_credential_works(world, 0)?;

        // What works is.
        let (theirs, accessor) = by_hand(world, "invoice-sync")?;
        written_over(world, between, &theirs)?;
        let said = world.nhi(&["recover"])?.expect(5)?;
        holds(said.contains("--keep sink"), "who looks is told of it", &said)?;
        let said = world.nhi(&keep)?.expect(0)?;
        holds(said.contains("is at generation 3"), "it goes on with theirs", &said)?;
        let third = world.bao.document("apps/invoice-sync")?;
        holds(third["secret_id"] == theirs["secret_id"], "what they wrote stays", "")?;
        holds(places::generation(&third)? == 3, "as ours", "")?;
        holds(places::lets_in(&world.bao, &third)?, "and works", "")?;
        holds(places::lets_in(&world.bao, &second)?, "the one before in its overlap", "")?;
        world.nhi(&["recover"])?.expect(0)?;
        sleep(Duration::from_secs(6));
        world.apply()?;
        let keys = places::listed(&world.bao, "invoice-sync")?;
        holds(keys == [accessor], "theirs is all that there is", &format!("{keys:?}"))?;
        holds(!places::lets_in(&world.bao, &second)?, "the one before is refused", "")?;
        one_credential_works(world, 0)?;
        world.nhi(&["drift"])?.expect(0)?;
        // And the next rotation is as any other.
        world.nhi(&["rotate", SLOT, "--yes"])?.expect(0)?;
        sleep(Duration::from_secs(6));
        world.apply()?;
        holds(!places::lets_in(&world.bao, &third)?, "theirs ends as ours do", "")?;
        one_credential_works(world, 0)
    });
}
