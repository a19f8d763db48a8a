//! What people type between two runs of the core: `nhi`, the real program, on a real server.

use serde_json::{Value, json};

use crate::{BASE, applied, holds, in_world};

fn parsed(text: &str) -> acceptance_tests::Result<Value> {
    serde_json::from_str(text).map_err(|error| format!("{error}: {text}"))
}

fn told(report: &Value, rule: &str) -> bool {
    report["findings"].as_array().into_iter().flatten().any(|one| one["rule"] == rule)
}

#[test]
fn drift_names_credentials_sinks_settings_and_records_from_the_ledger_and_from_a_state() {
    applied(|world| {
        for words in [&["drift"][..], &["drift", "--state", "terraform.tfstate"]] {
            world.nhi(words)?.expect(0)?;
        }
        let key = world.bao.accessors("invoice-sync")?.remove(0);
        let stray = world.bao.add_secret_id("invoice-sync")?;
        world.bao.post(
            "/v1/auth/approle/role/invoice-sync/secret-id-accessor/destroy",
            json!({ "secret_id_accessor": key }),
        )?;
        world.bao.post(
            "/v1/secret/data/apps/invoice-sync",
            json!({ "data": { "secret_id": "wrong" } }),
        )?;
        world.bao.post("/v1/auth/approle/role/invoice-sync", json!({ "token_ttl": "24h" }))?;
        for words in [
            &["drift", "--format", "json"][..],
            &["drift", "--format", "json", "--state", "terraform.tfstate"],
        ] {
            // The stray key is nothing that an apply ends, so it is not drift alone.
            let said = world.nhi(words)?.expect(4)?;
            let report = parsed(&said)?;
            let both = serde_json::json!(["policy", "drift"]);
            holds(report["outcome"]["conditions"] == both, "both are said", &said)?;
            for rule in
                ["credential-missing", "credential-unmanaged", "sink-changed", "setting-changed"]
            {
                holds(told(&report, rule), rule, &said)?;
            }
            holds(said.contains(&stray) && said.contains(&key), "both keys are named", &said)?;
        }
        // What somebody may still be using is high; nothing here is critical.
        world.nhi(&["drift", "--fail-on", "critical"])?.expect(0)?;
        world.apply()?;
        world
            .bao
            .ask("DELETE", "/v1/secret/metadata/apps/invoice-sync", None)
            .map_err(|error| error.to_string())?;
        let said = world.nhi(&["drift"])?.expect(4)?;
        holds(said.contains("- sinks.app: bao:secret/apps/invoice-sync"), "the sink", &said)
    });
}

#[test]
fn drift_says_that_an_integration_is_gone_or_another_one() {
    applied(|world| {
        world.bao.ask("DELETE", "/v1/auth/approle/role/invoice-sync", None)?;
        let said = world.nhi(&["drift"])?.expect(2)?;
        holds(said.contains("it is not there any more"), "it is gone", &said)?;
        world.bao.post(
            "/v1/auth/approle/role/invoice-sync",
            json!({ "token_policies": ["nhi/invoice-sync"] }),
        )?;
        let said = world.nhi(&["drift"])?.expect(2)?;
        holds(said.contains("standing.recreated"), "it is another one", &said)
    });
}

#[test]
fn what_is_gone_for_good_is_forgotten_and_what_is_there_is_not() {
    applied(|world| {
        let id = "bao/openbao_approle/invoice-sync";
        for address in ["nhi_credential.it", "nhi_scope.it", "nhi_integration.it"] {
            world.terraform(&["state", "rm", address])?.expect(0)?;
        }
        let forget = ["ledger", "forget", id, "--reason", "see INC-9"];
        let said = world.nhi(&forget)?.expect(1)?;
        holds(said.contains("E-FORGET-THERE"), "it is still there", &said)?;
        world.bao.ask("DELETE", "/v1/auth/approle/role/invoice-sync", None)?;
        world.nhi(&["drift"])?.expect(2)?;
        world.nhi(&forget)?.expect(0)?;
        let said = world.nhi(&["drift"])?;
        holds(!said.said.contains(id), "nothing is said of it any more", &said.said)?;
        let told = world.nhi(&["ledger", "show", id, "--last", "1"])?.expect(0)?;
        holds(told.contains("forgotten") && told.contains("INC-9"), "and why", &told)
    });
}

#[test]
fn an_end_that_passed_is_out_of_policy_and_outranks_drift() {
    // Nothing is issued to what has ended, so it has no credential.
    let (main, _) = BASE.split_once("resource \"nhi_rotation_schedule\"").unwrap();
    let ended = main.replace(
        "  environment     = \"production\"\n",
        "  environment     = \"production\"\n  expires_on      = \"2020-01-01\"\n",
    );
    in_world(main, |world| {
        world.apply()?;
        world.write("main.tf", &ended)?;
        world.apply()?;
        world.bao.widen("nhi/invoice-sync", "secret/data/payroll/*")?;
        let said = world.nhi(&["drift"])?.expect(4)?;
        holds(said.contains("standing.expired"), "the end is named", &said)?;
        holds(said.contains("Holds: policy, drift"), "and the rest is not hidden", &said)
    });
}

#[test]
fn what_was_not_read_is_never_in_sync() {
    applied(|world| {
        let hcl = world.read("nhi.hcl")?;
        world.write("nhi.hcl", &hcl.replace("127.0.0.1:", "127.0.0.2:1"))?;
        let said = world.nhi(&["drift"])?.expect(1)?;
        holds(said.contains("0 read (0 %)"), "nothing was read", &said)?;
        let said = world.nhi(&["drift", "--allow-partial"])?.expect(1)?;
        holds(said.contains("not read"), "and allowing it changes nothing", &said)?;
        // The realm's key is not here: what is ours cannot be told.
        world.write("nhi.hcl", &hcl.replace("NHI_REALM_KEY", "NHI_NO_SUCH_KEY"))?;
        let said = world.nhi(&["drift", "--state", "terraform.tfstate"])?;
        holds(said.code != 0 && said.said.contains("E-REALM"), "the slot is a gap", &said.said)
    });
}

#[test]
fn a_state_that_is_not_understood_is_refused() {
    applied(|world| {
        for (text, why) in [
            ("", "it is empty"),
            ("{", "no JSON"),
            ("{\"encrypted_data\":\"x\",\"serial\":1}", "encrypted"),
            ("{\"format_version\":\"1.2\",\"planned_values\":{}}", "a plan"),
        ] {
            world.write("odd.json", text)?;
            let said = world.nhi(&["drift", "--state", "odd.json"])?.expect(1)?;
            holds(said.contains(why) && said.contains("Next:"), why, &said)?;
        }
        Ok(())
    });
}

#[test]
fn a_deleted_ledger_takes_history_and_nothing_else() {
    applied(|world| {
        for name in ["nhi.db", "nhi.db-wal", "nhi.db-shm"] {
            let _ = std::fs::remove_file(world.folder.join(name));
        }
        world.plan_is_empty()?;
        let said = world.nhi(&["drift"])?.expect(1)?;
        holds(said.contains("nhi drift --state -"), "what to do instead is said", &said)?;
        world.nhi(&["drift", "--state", "terraform.tfstate"])?.expect(0)?;
        let said = world.nhi(&["ledger", "verify"])?.expect(1)?;
        holds(said.contains("There is no ledger"), "what is not there is not sound", &said)?;
        // The next deed begins a new one, which knows what that was about, and says what it does not.
        let slower = BASE.replace("\"30d\"", "\"60d\"");
        world.write("main.tf", &slower)?;
        world.apply()?;
        world.plan_is_empty()?;
        world.bao.widen("nhi/invoice-sync", "secret/data/payroll/*")?;
        let said = world.nhi(&["drift"])?.expect(3)?;
        holds(said.contains("its settings and record, nor about its scopes"), "a gap", &said)?;
        world.apply()?;
        let changed = slower.replace("every night", "every single night");
        world.write("main.tf", &changed)?;
        world.apply()?;
        let said = world.nhi(&["drift", "--format", "json"])?.expect(0)?;
        holds(parsed(&said)?["coverage"]["read"] == 1, "it is compared again", &said)?;
        world.nhi(&["ledger", "verify"])?.expect(0)?;
        Ok(())
    });
}

#[test]
fn scan_prints_blocks_for_credentials_too_and_never_looks_complete_when_it_is_not() {
    applied(|world| {
        world
            .bao
            .post("/v1/auth/approle/role/by-hand", json!({ "token_policies": ["default"] }))?;
        world.bao.add_secret_id("by-hand")?;
        let words = ["scan", "--quiet", "--format", "import"];
        let said = world.nhi(&words)?.expect(0)?;
        for name in ["invoice-sync", "by-hand"] {
            let id = format!("id = \"bao/openbao_approle/{name}/credential/default\"");
            holds(said.contains(&id), &id, &said)?;
        }
        holds(said.contains("to = nhi_credential.by_hand"), "by its name", &said)?;
        let hcl = world.read("nhi.hcl")?;
        let dark = "connections = {\n  dark = { openbao = { address = \"http://127.0.0.1:9\", \
                    credential = { env = \"BAO_TOKEN\" } } }\n";
        world.write("nhi.hcl", &hcl.replace("connections = {", dark))?;
        let said = world.nhi(&words)?.expect(3)?;
        holds(said.contains("# not read: dark"), "what was not read is said", &said)
    });
}
