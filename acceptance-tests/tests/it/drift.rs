//! What plan shows for each thing that somebody did behind Terraform's back.

use serde_json::json;

use crate::{BASE, applied, flat, holds, in_world, one_credential_works, triggered};

#[test]
fn a_scope_added_by_hand_is_planned_away_with_its_action() {
    applied(|world| {
        world.bao.widen("nhi/invoice-sync", "secret/data/payroll/*")?;
        let said = world.plan()?.expect(2)?;
        holds(said.contains("- \"secret/data/payroll/*:read\""), "the scope is named", &said)?;
        holds(said.contains("(secret)"), "its action is named", &said)?;
        world.apply()?;
        world.plan_is_empty()
    });
}

#[test]
fn a_scope_removed_by_hand_is_planned_back_as_a_change_that_gives_power() {
    applied(|world| {
        let have = world.bao.get("/v1/sys/policies/acl/nhi/invoice-sync")?;
        let text = have["data"]["policy"].as_str().unwrap_or_default();
        let header: String =
            text.lines().filter(|line| line.starts_with('#')).collect::<Vec<_>>().join("\n");
        world
            .bao
            .post("/v1/sys/policies/acl/nhi/invoice-sync", json!({ "policy": header + "\n" }))?;
        let said = world.plan()?.expect(2)?;
        holds(said.contains("+ \"secret/data/invoices/*:read\""), "it is planned back", &said)?;
        holds(said.contains("This change gives power"), "and that is said", &said)?;
        world.apply()?;
        world.plan_is_empty()
    });
}

#[test]
fn an_integration_deleted_by_hand_is_made_anew_with_all_below_it() {
    made_anew(&["auth/approle/role/invoice-sync"]);
}

#[test]
fn an_integration_deleted_by_hand_with_all_that_is_ours_is_made_anew() {
    made_anew(&[
        "auth/approle/role/invoice-sync",
        "sys/policies/acl/nhi/invoice-sync",
        "identity/entity/name/nhi/invoice-sync",
    ]);
}

fn made_anew(deleted: &[&str]) {
    applied(|world| {
        for path in deleted {
            world.bao.ask("DELETE", &format!("/v1/{path}"), None)?;
        }
        let before = world.state("nhi_integration.it")?;
        let said = world.plan()?.expect(2)?;
        holds(said.contains("nhi_integration.it will be created"), "the integration", &said)?;
        holds(said.contains("nhi_credential.it will be created"), "the credential", &said)?;
        world.apply()?;
        let after = world.state("nhi_integration.it")?;
        holds(before["vendor_id"] != after["vendor_id"], "it is another one", &after.to_string())?;
        let credential = world.state("nhi_credential.it")?;
        holds(credential["generation"] == 1, "which begins at one", &credential.to_string())?;
        holds(world.bao.signs_in(&world.bao.document("apps/invoice-sync")?)?, "it signs in", "")?;
        world.plan_is_empty()
    });
}

#[test]
fn a_credential_deleted_by_hand_is_missing_and_issued_again() {
    applied(|world| {
        let key = world.bao.accessors("invoice-sync")?.remove(0);
        world.bao.post(
            "/v1/auth/approle/role/invoice-sync/secret-id-accessor/destroy",
            json!({ "secret_id_accessor": key }),
        )?;
        let said = world.plan()?.expect(2)?;
        holds(said.contains("\"missing\" -> \"current\""), "it is missing", &said)?;
        holds(flat(&said).contains("generation = 1 -> 2"), "a new generation is planned", &said)?;
        world.apply()?;
        holds(world.bao.signs_in(&world.bao.document("apps/invoice-sync")?)?, "it signs in", "")?;
        let last = world.state("nhi_credential.it")?["last_revocation"].clone();
        let shown = last["grade"] == "A" || last["grade"] == "B";
        holds(last["key_id"] == key && shown, "the old one is proven gone", &last.to_string())?;
        let told = world.nhi(&["ledger", "show", "--kind", "rotation.proven"])?.expect(0)?;
        holds(told.contains(&key), "and the ledger has the proof", &told)?;
        world.plan_is_empty()
    });
}

#[test]
fn a_credential_that_nobody_declared_is_only_warned_of_by_default() {
    applied(|world| {
        let stray = world.bao.add_secret_id("invoice-sync")?;
        let said = world.plan()?.expect(0)?;
        holds(said.contains(&stray), "it is named", &said)?;
        let away = format!("- \"{stray}\"");
        holds(!said.contains(&away), "it is not planned away", &said)?;
        // No apply does anything about it: somebody has to, and whoever looks is told the same.
        for words in [&["drift"][..], &["drift", "--state", "terraform.tfstate"]] {
            let said = world.nhi(words)?.expect(4)?;
            holds(
                said.contains(&stray) && said.contains("Holds: policy (exit 4)"),
                "it is policy",
                &said,
            )?;
            world.nhi(&[words, &["--ignore-policy"]].concat())?.expect(0)?;
        }
        world.apply()?;
        holds(world.bao.accessors("invoice-sync")?.contains(&stray), "it still lives", "")
    });
}

#[test]
fn an_integration_disabled_by_hand_is_planned_active_again() {
    applied(|world| {
        world.bao.post("/v1/identity/entity/name/nhi/invoice-sync", json!({ "disabled": true }))?;
        let said = world.plan()?.expect(2)?;
        holds(said.contains("\"disabled\" -> \"active\""), "the state is named", &said)?;
        holds(said.contains("This change gives power"), "and that it gives power", &said)?;
        world.apply()?;
        world.plan_is_empty()
    });
}

#[test]
fn a_setting_loosened_by_hand_is_restored() {
    applied(|world| {
        world.bao.post("/v1/auth/approle/role/invoice-sync", json!({ "token_ttl": "24h" }))?;
        let said = world.plan()?.expect(2)?;
        holds(said.contains("-> \"1h\""), "the setting goes back", &said)?;
        world.apply()?;
        world.plan_is_empty()
    });
}

#[test]
fn a_sink_s_copy_written_over_by_hand_is_seen_without_reading_a_secret_and_repaired() {
    applied(|world| {
        let asked = |value: &str| {
            BASE.replace(
                "  schedule    = nhi_rotation_schedule.monthly\n",
                &format!("  schedule    = nhi_rotation_schedule.monthly\n  triggers    = {{ now = \"{value}\" }}\n"),
            )
        };
        // Once alone, and once while an earlier one is in its overlap.
        for generation in [1, 2] {
            if generation == 2 {
                for value in ["1", "2"] {
                    world.write("main.tf", &asked(value))?;
                    world.apply()?;
                }
            }
            let before = world.state("nhi_credential.it")?;
            holds(before["generation"] == generation, "a generation", &before.to_string())?;
            let keys = world.bao.accessors("invoice-sync")?;
            world.bao.post(
                "/v1/secret/data/apps/invoice-sync",
                json!({ "data": { "secret_id": "wrong" } }),
            )?;
            let said = world.plan()?.expect(2)?;
            holds(said.contains("\"changed\" -> \"delivered\""), "the copy is named", &said)?;
            holds(!flat(&said).contains("~ generation"), "and nothing is rotated", &said)?;
            world.apply()?;
            let document = world.bao.document("apps/invoice-sync")?;
            holds(world.bao.signs_in(&document)?, "it signs in", "")?;
            let after = world.state("nhi_credential.it")?;
            for what in ["generation", "key_id", "previous"] {
                holds(after[what] == before[what], what, &after.to_string())?;
            }
            let same = world.bao.accessors("invoice-sync")? == keys;
            holds(same, "nothing was issued and nothing ended", "")?;
            world.plan_is_empty()?;
        }
        Ok(())
    });
}

#[test]
fn a_role_recreated_by_hand_is_another_incarnation() {
    applied(|world| {
        world.bao.ask("DELETE", "/v1/auth/approle/role/invoice-sync", None)?;
        world.bao.post(
            "/v1/auth/approle/role/invoice-sync",
            json!({ "token_policies": ["nhi/invoice-sync"] }),
        )?;
        let said = world.plan()?.expect(2)?;
        holds(said.contains("recreated"), "that is said", &said)?;
        holds(
            said.contains("nhi_credential.it must be replaced"),
            "the credential is made anew",
            &said,
        )?;
        holds(said.contains("nhi_scope.it must be replaced"), "and so is the scope", &said)?;
        let before = world.state("nhi_integration.it")?;
        world.apply()?;
        let after = world.state("nhi_integration.it")?;
        holds(
            before["vendor_id"] != after["vendor_id"],
            "the new one is known",
            &after.to_string(),
        )?;
        let policy = world.bao.get("/v1/sys/policies/acl/nhi/invoice-sync")?.to_string();
        holds(policy.contains("secret/data/invoices/*"), "it may do what it should", &policy)?;
        one_credential_works(world, 0)
    });
}

#[test]
fn a_record_edited_by_hand_is_rewritten() {
    applied(|world| {
        let have = world.bao.get("/v1/sys/policies/acl/nhi/invoice-sync")?;
        let text =
            have["data"]["policy"].as_str().unwrap_or_default().replace("general ledger", "moon");
        world.bao.post("/v1/sys/policies/acl/nhi/invoice-sync", json!({ "policy": text }))?;
        let said = world.plan()?.expect(2)?;
        holds(said.contains("the moon every night"), "the live purpose is shown", &said)?;
        world.apply()?;
        world.plan_is_empty()
    });
}

#[test]
fn another_owner_rotates_the_credential_in_the_same_plan() {
    applied(|world| {
        let other = BASE
            .replace("technical_owner = nhi_owner.payments", "technical_owner = nhi_owner.finance");
        world.write("main.tf", &other)?;
        let said = world.plan()?.expect(2)?;
        holds(flat(&said).contains("generation = 1 -> 2"), "a new generation is planned", &said)?;
        world.apply()?;
        world.plan_is_empty()
    });
}

#[test]
fn nhi_drift_says_what_changed_from_the_ledger_and_from_a_state() {
    applied(|world| {
        world.nhi(&["drift"])?.expect(0)?;
        // A plan before the change declares the same, and the core itself shows the folder's state.
        world.terraform(&["plan", "-out=plan.bin"])?.expect(0)?;
        let plan = world.terraform(&["show", "-json", "plan.bin"])?.expect(0)?;
        world.write("plan.json", &plan)?;
        let given = [&["--state", "terraform.tfstate"], &["--plan", "plan.json"]];
        // The core itself shows the folder's state, with the environment that it is given here.
        let by_folder = || {
            let core = world.core_command();
            let mut nhi = world.nhi_command();
            for (name, value) in core.get_envs() {
                nhi.envs(value.map(|value| (name, value)));
            }
            let folder = std::path::Path::new(core.get_program()).parent();
            nhi.envs(folder.map(|folder| ("PATH", folder)));
            acceptance_tests::core::ran(nhi.args(["drift", "--workdir", "."]))
        };
        for words in given {
            world.nhi(&[&["drift"], &words[..]].concat())?.expect(0)?;
        }
        by_folder()?.expect(0)?;
        world.bao.widen("nhi/invoice-sync", "secret/data/payroll/*")?;
        by_folder()?.expect(2)?;
        for words in [&[][..]].into_iter().chain(given.iter().map(|one| &one[..])) {
            let said = world.nhi(&[&["drift"], words].concat())?.expect(2)?;
            holds(
                said.contains("secret/data/payroll/*:read (secret)"),
                "the scope and its action",
                &said,
            )?;
        }
        let json = world.nhi(&["drift", "--format", "json"])?.expect(2)?;
        let report: serde_json::Value =
            serde_json::from_str(&json).map_err(|error| error.to_string())?;
        holds(report["outcome"]["code"] == 2 && report["coverage"]["read"] == 1, "coverage", &json)
    });
}

#[test]
fn what_cannot_be_read_is_an_error_and_never_an_absence() {
    applied(|world| {
        let hcl = world.read("nhi.hcl")?;
        // A token that may do nothing.
        let made = world.bao.post("/v1/auth/token/create", json!({ "policies": ["default"] }))?;
        let token = made["auth"]["client_token"].as_str().unwrap_or_default().to_owned();
        world.write("token", &token)?;
        restrict(&world.folder.join("token"))?;
        world.write("nhi.hcl", &hcl.replace("{ env = \"BAO_TOKEN\" }", "{ file = \"token\" }"))?;
        let said = world.plan()?.expect(1)?;
        holds(said.contains("A refusal is not an absence"), "it is said", &said)?;
        holds(!said.contains("will be created"), "nothing is called gone", &said)?;
        std::fs::remove_file(world.folder.join("token")).map_err(|error| error.to_string())
    });
}

#[cfg(unix)]
fn restrict(path: &std::path::Path) -> acceptance_tests::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
        .map_err(|error| error.to_string())
}

#[test]
fn a_new_value_in_triggers_rotates_and_the_first_one_does_not() {
    applied(|world| {
        world.write("main.tf", &triggered("1"))?;
        let said = world.apply()?;
        holds(!said.contains("1 -> 2"), "the first setting does nothing", &said)?;
        world.write("main.tf", &triggered("2"))?;
        world.apply()?;
        holds(world.state("nhi_credential.it")?["generation"] == 2, "the second rotates", "")?;
        world.plan_is_empty()
    });
}

#[test]
fn an_incident_rotates_without_overlap_and_proves_it() {
    applied(|world| {
        let before = world.bao.document("apps/invoice-sync")?;
        let main = BASE.replace(
            "  schedule    = nhi_rotation_schedule.monthly\n",
            "  schedule    = nhi_rotation_schedule.monthly\n  incident    = \"INC-4711\"\n",
        );
        world.write("main.tf", &main)?;
        world.apply()?;
        holds(!world.bao.signs_in(&before)?, "the exposed one is refused at once", "")?;
        let state = world.state("nhi_credential.it")?;
        holds(state["last_revocation"]["grade"] == "A", "to grade A", &state.to_string())?;
        world.plan_is_empty()
    });
}

#[test]
fn a_scope_above_the_ceiling_is_refused_at_plan() {
    let main = BASE
        .replace(
            "  openbao_approle = { token_ttl = \"1h\" }\n",
            "  openbao_approle = { token_ttl = \"1h\" }\n  ceiling         = { highest_action = \"secret\" }\n",
        )
        .replace("secret/data/invoices/*:read", "sys/policies/acl/*:update");
    in_world(&main, |world| {
        let said = world.plan()?.expect(1)?;
        holds(said.contains("E-CEILING"), "the code is there", &said)
    });
}
