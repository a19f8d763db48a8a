//! What an operator does between two applies, and what the core then sees.

use std::{
    process::Stdio,
    thread::sleep,
    time::{Duration, Instant},
};

use acceptance_tests::{Result, World, world::STATE};
use connector::fault_proxy::{Effect, Hold, Rule};

use crate::{
    BASE, Between, applied, faults::CALLS, holds, in_world, one_credential_works,
    operator::in_terminal, through_a_proxy, triggered,
};

/// The slot of the usual form.
pub(crate) const SLOT: &str = "bao/openbao_approle/invoice-sync/credential/default";

#[test]
fn a_rotation_from_the_command_line_is_the_one_that_was_planned_and_leaves_nothing_to_plan() {
    let overlap = Duration::from_secs(15);
    let with = |value: &str| triggered(value).replace("\"24h\"", "\"15s\"");
    in_world(&with("monday"), |world| {
        world.apply()?;
        let before = world.bao.document("apps/invoice-sync")?;
        // A plan that was reviewed, and is applied after somebody was faster.
        world.write("main.tf", &with("thursday"))?;
        world.terraform(&["plan", "-out=saved"])?.expect(0)?;

        let said = world.nhi(&["rotate", "bao/openbao_approle/invoice-sync"])?.expect(1)?;
        holds(said.contains("E-CONFIRM") && said.contains("generation 2"), "it asks", &said)?;
        let said = world.nhi(&["rotate", SLOT, "--dry-run", "--format", "json"])?.expect(0)?;
        let told: serde_json::Value =
            serde_json::from_str(&said).map_err(|error| format!("{error}: {said}"))?;
        holds(told["outcome"]["code"] == 0, "how it ended", &said)?;
        let one = &told["credentials"][0];
        holds(one["id"] == SLOT && one["will"]["generation"] == 2, "it is shown", &said)?;
        holds(one["did"].is_null(), "nothing is done", &said)?;
        holds(world.bao.document("apps/invoice-sync")? == before, "nor delivered", "")?;

        let mut command = world.nhi_command();
        let command = command.args(["rotate", SLOT]);
        let said = in_terminal(command, "y\n")?.expect(1)?;
        holds(said.contains("Nothing was changed"), "only yes is taken for yes", &said)?;
        holds(world.bao.document("apps/invoice-sync")? == before, "nothing is done", "")?;
        let said = in_terminal(command, "yes\n")?.expect(0)?;
        let began = Instant::now();
        holds(said.contains("Rotated:") && said.contains("generation 2"), "it is told", &said)?;
        let after = world.bao.document("apps/invoice-sync")?;
        holds(before["secret_id"] != after["secret_id"], "there is a new one", "")?;
        let form = |document: &serde_json::Value| {
            document.as_object().map(|all| all.keys().cloned().collect::<Vec<_>>())
        };
        holds(form(&before) == form(&after), "in the same form", "")?;
        holds(world.bao.signs_in(&after)?, "the application signs in with it", "")?;
        holds(world.bao.signs_in(&before)?, "and whoever has the old one, with that", "")?;
        world.nhi(&["drift"])?.expect(0)?;
        let said = world.nhi(&["rotate", SLOT, "--dry-run"])?.expect(1)?;
        holds(said.contains("E-OLD-IN-USE"), "no third one is promised", &said)?;

        let said = world.terraform(&["apply", "saved"])?.expect(0)?;
        let same = world.bao.document("apps/invoice-sync")? == after;
        holds(same && !said.contains("2 -> 3"), "what was planned was reached", &said)?;
        holds(world.state("nhi_credential.it")?["generation"] == 2, "and no further", &said)?;
        holds(began.elapsed() < overlap, "the overlap is not over yet", "")?;
        world.plan_is_empty()?;

        sleep(overlap.saturating_sub(began.elapsed()));
        world.plan()?.expect(2)?;
        world.apply()?;
        holds(world.bao.signs_in(&after)?, "the new one works", "")?;
        holds(!world.bao.signs_in(&before)?, "the old one is refused", "")?;
        world.plan_is_empty()?;
        // Another one, of what a state says alone.
        let state = world.core_command().args(["show", "-json"]).output();
        let state = state.map_err(|error| error.to_string())?.stdout;
        world.write("shown.json", &String::from_utf8_lossy(&state))?;
        let words = ["rotate", SLOT, "--state", "shown.json", "--exposed", "--yes"];
        let said = world.nhi(&words)?.expect(0)?;
        holds(said.contains("shown to grade A"), "what was exposed is ended at once", &said)?;
        holds(!world.bao.signs_in(&after)?, "and refused", "")?;
        world.plan_is_empty()
    });
}

#[test]
fn what_a_younger_ledger_never_heard_of_is_revoked_with_its_integration() {
    const ID: &str = "bao/openbao_approle/invoice-sync";
    applied(|world| {
        for name in ["nhi.db", "nhi.db-wal", "nhi.db-shm"] {
            let _ = std::fs::remove_file(world.folder.join(name));
        }
        // A ledger begins anew with the scopes alone.
        world.bao.widen("nhi/invoice-sync", "secret/data/payroll/*")?;
        world.apply()?;
        let key = world.bao.accessors("invoice-sync")?.remove(0);
        let said = world.nhi(&["revoke", ID, &key, "--yes"])?.expect(1)?;
        holds(said.contains("E-DRIFT-HALF"), "whose it is is known, and not how", &said)?;
        let said = world.nhi(&["revoke", ID, "--yes"])?.expect(0)?;
        holds(said.contains(&key), "it is among them", &said)?;
        holds(world.bao.accessors("invoice-sync")?.is_empty(), "nothing lives", "")
    });
}

#[test]
fn a_rotation_is_refused_to_whoever_has_an_older_declaration() {
    applied(|world| {
        let before = world.read(STATE)?;
        let main = world.read("main.tf")?.replace("secret/apps/invoice-sync", "secret/apps/moved");
        world.write("main.tf", &main)?;
        world.apply()?;
        world.write("old.tfstate", &before)?;
        let words = ["rotate", SLOT, "--yes", "--state", "old.tfstate"];
        let said = world.nhi(&words)?.expect(1)?;
        holds(said.contains("E-STALE") && said.contains("apps/invoice-sync"), "why", &said)?;
        world.nhi(&["rotate", SLOT, "--yes"])?.expect(0)?;
        holds(world.bao.signs_in(&world.bao.document("apps/moved")?)?, "it goes there", "")?;
        world.plan_is_empty()
    });
}

#[test]
fn what_is_revoked_from_the_command_line_is_refused_and_nothing_else_is() {
    const ID: &str = "bao/openbao_approle/invoice-sync";
    applied(|world| {
        let first = world.bao.document("apps/invoice-sync")?;
        let key = world.bao.accessors("invoice-sync")?.remove(0);
        let strange = world.bao.add_secret_id("invoice-sync")?;

        // One that nobody declared, by its id.
        let said = world.nhi(&["revoke", ID, &strange])?.expect(1)?;
        holds(said.contains("E-CONFIRM") && said.contains("nobody declared"), "it asks", &said)?;
        world.nhi(&["revoke", ID, "no-such-key", "--yes"])?.expect(1)?;
        let said = world.nhi(&["revoke", ID, &key, "--yes"])?.expect(1)?;
        holds(said.contains("E-REVOKE-CURRENT"), "the current one goes with its slot", &said)?;
        holds(world.bao.accessors("invoice-sync")?.len() == 2, "nothing was ended", "")?;
        world.nhi(&["revoke", ID, &strange, "--yes"])?.expect(0)?;
        holds(world.bao.accessors("invoice-sync")? == [key.clone()], "it is gone", "")?;
        world.plan_is_empty()?;

        // An earlier one, before its time.
        world.nhi(&["rotate", SLOT, "--yes"])?.expect(0)?;
        let second = world.bao.document("apps/invoice-sync")?;
        let said = world.nhi(&["revoke", ID, &key, "--yes"])?.expect(0)?;
        holds(said.contains("shown to grade A"), "it is shown to be refused", &said)?;
        holds(!world.bao.signs_in(&first)?, "the earlier one is refused", "")?;
        holds(world.bao.signs_in(&second)?, "the current one works", "")?;
        world.nhi(&["drift"])?.expect(0)?;
        world.plan_is_empty()?;

        // All that the slot has.
        let said = world.nhi(&["revoke", SLOT, "--yes", "--format", "json"])?.expect(0)?;
        let told: serde_json::Value =
            serde_json::from_str(&said).map_err(|error| format!("{error}: {said}"))?;
        let ended = told["parts"][0]["did"]["revoked"].as_array().map(Vec::len);
        holds(ended == Some(1), "one was left", &said)?;
        holds(!world.bao.signs_in(&second)?, "it is refused", "")?;
        holds(world.bao.accessors("invoice-sync")?.is_empty(), "nothing lives", "")?;
        let said = world.nhi(&["revoke", ID, "--yes", "--state", STATE])?.expect(0)?;
        holds(said.contains("nothing to end"), "a second time there is nothing", &said)?;
        // It is still declared, whoever says so.
        for words in [&["drift"][..], &["drift", "--state", STATE]] {
            let said = world.nhi(words)?.expect(2)?;
            holds(said.contains("is not there any more"), "it is missed", &said)?;
            holds(!said.contains("written over"), "and nobody is blamed", &said)?;
        }
        let said = world.plan()?.expect(2)?;
        holds(said.contains("nhi_credential.it will be updated"), "another is planned", &said)?;
        world.apply()?;
        one_credential_works(world, 0)
    });
}

#[test]
fn a_slip_in_the_policy_stops_what_gives_power_and_no_revocation() {
    applied(|world| {
        let works = world.bao.document("apps/invoice-sync")?;
        let hcl = world.read("nhi.hcl")?;
        world.write("nhi.hcl", &format!("{hcl}\npolicy = {{ file = \"policy.hcl\" }}\n"))?;
        world.write("policy.hcl", "expird = \"revoke\"\n")?;
        // What gives power is refused, and the slip is named; so it is where anything is judged.
        for words in [&["rotate", SLOT, "--yes"][..], &["recover", SLOT, "--yes"], &["drift"]] {
            let said = world.nhi(words)?.expect(1)?;
            holds(said.contains("expird") && said.contains("E-CONFIG"), "it is named", &said)?;
        }
        let said = world.terraform(&["plan"])?.expect(0)?;
        holds(said.contains("The policy needs a look"), "a plan of nothing warns", &said)?;
        holds(
            crate::flat(&said.replace('│', " ")).contains(". Until then"),
            "in whole sentences",
            &said,
        )?;
        let hcl = world.read("main.tf")?;
        let wider = r#"["secret/data/invoices/*:read", "secret/data/payroll/*:read"]"#;
        world.write("main.tf", &hcl.replace(r#"["secret/data/invoices/*:read"]"#, wider))?;
        let said = world.terraform(&["plan"])?.expect(1)?;
        holds(said.contains("expird"), "by a plan that gives power too", &said)?;
        world.write("main.tf", &hcl)?;
        holds(world.bao.signs_in(&works)?, "nothing was done", "")?;
        let said = world.nhi(&["doctor"])?.expect(1)?;
        let whole = said.contains("✗ policy: ") && said.contains("✓ custody: ");
        holds(whole && said.contains("expird"), "the doctor sees the rest all the same", &said)?;
        // In an incident nobody has time for that.
        let said = world.nhi(&["revoke", SLOT, "--dry-run"])?.expect(0)?;
        holds(said.contains("Warning:") && said.contains("expird"), "it is a warning", &said)?;
        let said = world.nhi(&["revoke", SLOT, "--yes"])?.expect(0)?;
        holds(said.contains("Warning:") && said.contains("Revoked:"), "it goes on", &said)?;
        holds(!world.bao.signs_in(&works)?, "it is refused", "")?;
        holds(world.bao.accessors("invoice-sync")?.is_empty(), "nothing lives", "")?;
        world.write("policy.hcl", "expired = \"revoke\"\n")?;
        let said = world.nhi(&["revoke", SLOT, "--dry-run"])?.expect(0)?;
        holds(!said.contains("Warning:"), "of a policy that is right nothing is said", &said)?;
        world.apply()?;
        one_credential_works(world, 0)?;
        world.write("policy.hcl", "expird = \"revoke\"\n")?;
        let said = world.terraform(&["destroy", "-auto-approve"])?.expect(0)?;
        holds(said.contains("The policy needs a look"), "a whole destroy goes on", &said)?;
        let gone = world.bao.ask("GET", "/v1/auth/approle/role/invoice-sync", None)?;
        holds(gone.status == 404, "nothing is left", "")?;
        world.write("policy.hcl", "expired = \"revoke\"\n")?;
        let said = world.nhi(&["drift"])?.expect(0)?;
        holds(said.contains("saw all that was declared end"), "all was meant", &said)
    });
}

/// A rotation from the command line that is killed when the platform has made the credential and
/// nobody has heard of it.
fn killed_in_a_rotation(world: &World, between: &Between) -> Result<()> {
    let hold = Hold::default();
    between.proxy.add(Rule::once("POST", CALLS[0], Effect::HoldAnswer(hold.clone())));
    let mut run = world
        .nhi_command()
        .args(["rotate", SLOT, "--yes"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| error.to_string())?;
    let reached = async { tokio::time::timeout(Duration::from_secs(60), hold.reached()).await };
    let reached = between.runtime.block_on(reached);
    let killed = run.kill().and_then(|()| run.wait());
    hold.release();
    between.proxy.clear();
    holds(reached.is_ok() && killed.is_ok(), "it dies in the call", "")
}

#[test]
fn what_a_killed_rotation_left_is_listed_with_what_helps_and_that_helps() {
    through_a_proxy(BASE, |world, between| {
        world.apply()?;
        world.nhi(&["recover"])?.expect(0)?;
        let first = world.bao.document("apps/invoice-sync")?;
        killed_in_a_rotation(world, between)?;

        // It may be at work; who knows that it is not says so.
        let said = world.nhi(&["recover"])?.expect(0)?;
        holds(said.contains(&format!("nhi recover {SLOT} --take")), "it is listed", &said)?;
        let said = world.nhi(&["drift"])?.expect(0)?;
        holds(said.contains("see nhi recover"), "and drift names it", &said)?;
        let said = world.nhi(&["recover", SLOT, "--yes"])?.expect(1)?;
        holds(said.contains("E-BUSY"), "nobody is pushed aside unasked", &said)?;
        let said = world.nhi(&["recover", SLOT, "--take", "--dry-run"])?.expect(0)?;
        holds(said.contains("go on to generation 2"), "it is shown", &said)?;
        let said = world.nhi(&["recover", SLOT, "--take", "--yes"])?.expect(0)?;
        holds(said.contains("is at generation 2"), "it is finished", &said)?;
        holds(world.bao.signs_in(&first)?, "the old one works in its overlap", "")?;
        one_credential_works(world, 1)?;
        world.nhi(&["recover", SLOT, "--yes"])?.expect(1)?;

        // Somebody writes over the document while another one is under way.
        world.nhi(&["rotate", SLOT, "--exposed", "--yes"])?.expect(0)?;
        killed_in_a_rotation(world, between)?;
        let hand = serde_json::json!({ "data": { "secret_id": "by hand" } });
        world.bao.post("/v1/secret/data/apps/invoice-sync", hand)?;
        let said = world.nhi(&["recover", SLOT, "--take", "--yes"])?.expect(5)?;
        holds(said.contains("E-SINK-CHANGED"), "it waits for a person", &said)?;
        let said = world.nhi(&["recover"])?.expect(5)?;
        holds(said.contains("--keep ours"), "who is told what helps", &said)?;
        let said = world.nhi(&["drift"])?.expect(5)?;
        holds(said.contains("sink-changed-by-others"), "and drift counts it at once", &said)?;
        let said = world.nhi(&["recover", SLOT, "--yes"])?.expect(1)?;
        holds(said.contains("E-SINK-CHANGED"), "nothing is written over unasked", &said)?;
        let lacks = "bao:secret/apps/invoice-sync lacks _nhi, role_id";
        holds(said.contains(lacks), "what stands there is told", &said)?;
        world.nhi(&["recover", SLOT, "--keep", "ours", "--yes"])?.expect(0)?;
        world.nhi(&["recover"])?.expect(0)?;
        let third = world.bao.document("apps/invoice-sync")?;
        holds(world.bao.signs_in(&third)?, "what was delivered works", "")?;
        one_credential_works(world, 1)?;

        // What nobody declares any more is ended, once somebody says so.
        world.nhi(&["rotate", SLOT, "--exposed", "--yes"])?.expect(0)?;
        killed_in_a_rotation(world, between)?;
        for name in ["nhi.db", "nhi.db-wal", "nhi.db-shm"] {
            let _ = std::fs::remove_file(world.folder.join(name));
        }
        let said = world.nhi(&["recover", SLOT, "--take", "--yes"])?.expect(1)?;
        holds(said.contains("E-UNDECLARED"), "it is not guessed where it goes", &said)?;
        holds(!world.bao.accessors("invoice-sync")?.is_empty(), "nor ended", "")?;
        world.nhi(&["recover", SLOT, "--take", "--end", "--yes"])?.expect(0)?;
        holds(world.bao.accessors("invoice-sync")?.is_empty(), "nothing lives", "")?;
        world.apply()?;
        one_credential_works(world, 0)
    });
}

#[test]
fn a_rotation_that_keeps_nothing_of_the_earlier_one_keeps_nothing_whoever_finishes_it() {
    through_a_proxy(&BASE.replace("\"24h\"", "\"0\""), |world, between| {
        world.apply()?;
        let first = world.bao.document("apps/invoice-sync")?;
        killed_in_a_rotation(world, between)?;
        world.nhi(&["recover", SLOT, "--take", "--yes"])?.expect(0)?;
        holds(!world.bao.signs_in(&first)?, "it has ended", "")?;
        one_credential_works(world, 0)?;
        world.nhi(&["drift"])?.expect(0).map(drop)
    });
}

#[test]
fn a_rotation_whose_credentials_are_refused_waits_for_a_person_and_then_goes_on() {
    through_a_proxy(BASE, |world, between| {
        world.apply()?;
        let before = world.bao.document("apps/invoice-sync")?;
        let refused = Effect::Answer {
            status: 400,
            headers: Vec::new(),
            body: r#"{"errors":["invalid role or secret ID"]}"#.to_owned(),
        };
        between.proxy.add(Rule::always("auth/approle/login", refused));
        let said = world.nhi(&["rotate", SLOT, "--yes"])?.expect(5)?;
        holds(said.contains("E-VERIFY"), "it was begun and is not finished", &said)?;
        holds(world.bao.accessors("invoice-sync")?.len() == 1, "what is refused was ended", "")?;
        holds(world.bao.document("apps/invoice-sync")? == before, "nothing was delivered", "")?;
        let said = world.nhi(&["recover"])?.expect(5)?;
        holds(said.contains("nhi doctor bao"), "who looks is told what helps", &said)?;
        let said = world.nhi(&["rotate", SLOT, "--yes"])?.expect(1)?;
        holds(said.contains("E-HELD"), "no rotation goes over it", &said)?;

        between.proxy.clear();
        holds(world.bao.signs_in(&before)?, "the old one works all the time", "")?;
        let said = world.nhi(&["recover", SLOT, "--yes"])?.expect(0)?;
        holds(said.contains("is at generation 2"), "it goes on from there", &said)?;
        one_credential_works(world, 1)
    });
}
