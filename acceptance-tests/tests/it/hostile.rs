//! Bad input gets a clear error that names the place and the remedy.

use acceptance_tests::world::STATE;
use serde_json::{Value, json};

use crate::{BASE, holds, in_world, one_credential_works, through_a_proxy};

#[test]
fn a_configuration_that_is_wrong_is_told_where_and_what_to_do() {
    in_world(BASE, |world| {
        let good = world.read("nhi.hcl")?;
        for (text, expected) in [
            ("connections = {".to_owned(), "line"),
            (good.replace("openbao", "openboa"), "set exactly one platform"),
            (
                good.replace("{ env = \"BAO_TOKEN\" }", "\"s.secret-in-clear\""),
                "never the secret itself",
            ),
            (good.replace("127.0.0.1", "bao.acme.example"), "on this machine"),
            (good.replace("connection = \"bao\"", "connection = \"boa\""), "no connection named"),
            (format!("{good}\nsurprise = true\n"), "Known: "),
            ("[".repeat(5000), "nested deeper"),
        ] {
            world.write("nhi.hcl", &text)?;
            let said = world.plan()?.expect(1)?;
            let flat =
                said.split_whitespace().filter(|word| *word != "│").collect::<Vec<_>>().join(" ");
            holds(flat.contains(expected), expected, &said)?;
            holds(!said.contains("secret-in-clear"), "no secret is repeated", &said)?;
            holds(!said.contains("panic"), "nothing panics", &said)?;
        }
        Ok(())
    });
}

#[test]
fn a_misspelled_connection_is_told_with_what_was_meant() {
    in_world(&BASE.replace("connection_name = \"bao\"", "connection_name = \"boa\""), |world| {
        let said = world.plan()?.expect(1)?;
        let flat = said.split_whitespace().collect::<Vec<_>>().join(" ");
        holds(flat.contains("Did you mean \"bao\"?"), "the name that was meant", &said)
    });
}

#[test]
fn without_a_configuration_an_integration_is_refused_at_plan() {
    in_world(BASE, |world| {
        std::fs::remove_file(world.folder.join("nhi.hcl")).map_err(|error| error.to_string())?;
        let said = world.plan()?.expect(1)?;
        holds(said.contains("E-CONFIG-MISSING") && said.contains("nhi init"), "the code", &said)
    });
}

#[test]
fn a_server_without_its_mount_is_told_with_the_command_that_makes_it() {
    in_world(BASE, |world| {
        world.bao.ask("DELETE", "/v1/sys/auth/approle", None)?;
        let remedy = "bao auth enable -path=approle approle";
        for said in [
            world.nhi(&["doctor"])?.expect(0)?,
            world.terraform(&["apply", "-auto-approve"])?.expect(1)?,
        ] {
            let flat = said.replace('│', " ").split_whitespace().collect::<Vec<_>>().join(" ");
            holds(flat.contains(remedy), "the remedy", &said)?;
        }
        world.bao.post("/v1/sys/auth/approle", json!({ "type": "approle" }))?;
        world.apply()?;
        Ok(())
    });
}

#[test]
fn a_misspelled_scope_is_told_at_validate() {
    in_world(&BASE.replace("*:read", "*:raed"), |world| {
        let said = world.plan()?.expect(1)?;
        holds(said.contains("E-SCOPE-GRAMMAR"), "the code", &said)
    });
}

#[test]
fn a_missing_realm_is_asked_for_by_the_first_credential_with_the_command_that_makes_one() {
    in_world(BASE, |world| {
        let good = world.read("nhi.hcl")?;
        let without: String =
            good.lines().filter(|line| !line.starts_with("realm")).collect::<Vec<_>>().join("\n");
        world.write("nhi.hcl", &without)?;
        let said = world.terraform(&["apply", "-auto-approve"])?.expect(1)?;
        holds(said.contains("nhi init"), "the remedy", &said)
    });
}

#[test]
fn a_read_only_configuration_plans_and_changes_nothing() {
    in_world(BASE, |world| {
        let good = world.read("nhi.hcl")?;
        world.write("nhi.hcl", &format!("read_only = true\n{good}"))?;
        world.plan()?.expect(2)?;
        let said = world.terraform(&["apply", "-auto-approve"])?.expect(1)?;
        holds(said.contains("E-READ-ONLY"), "the code", &said)?;
        holds(world.bao.roles()?.is_empty(), "nothing was made", &said)
    });
}

#[test]
fn an_inline_body_works_like_the_file_and_not_beside_it() {
    let inline = |address: &str| {
        BASE.replace(
            "provider \"nhi\" {}",
            &format!(
                "provider \"nhi\" {{\n  connections = {{ bao = {{ openbao = {{ address = \"{address}\", credential = {{ env = \"BAO_TOKEN\" }} }} }} }}\n  \
                 custody     = {{ connection = \"bao\", path = \"secret/nhi\" }}\n  \
                 realm       = {{ id = \"k3x9q2\", key = {{ env = \"NHI_REALM_KEY\" }} }}\n}}"
            ),
        )
    };
    in_world(BASE, |world| {
        world.write("main.tf", &inline(&world.bao.address()))?;
        let said = world.terraform(&["apply", "-auto-approve"])?.expect(1)?;
        holds(said.contains("(E-CONFIG-TWICE)"), "not beside the file", &said)?;
        std::fs::remove_file(world.folder.join("nhi.hcl")).map_err(|error| error.to_string())?;
        world.apply()?;
        world.plan_is_empty()
    });
}

#[test]
fn the_caller_s_own_settings_of_the_core_do_not_matter() {
    // Variables are a process's own, so a story runs in another one.
    let story = "life::a_plan_that_was_saved_is_applied_as_it_was_reviewed";
    let done = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", story])
        .env("TF_CLI_CONFIG_FILE", "/no/such/cli.rc")
        .env("TF_DATA_DIR", "/no/such/folder")
        .env("TF_CLI_ARGS", "-no-such-flag")
        .env("TF_CLI_ARGS_plan", "-destroy")
        .env("TF_WORKSPACE", "another")
        .env("TF_VAR_every", "1s")
        .env("TF_REATTACH_PROVIDERS", "{}")
        .env("NHI_CONFIG", "/no/such/nhi.hcl")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success() && said.contains("1 passed"), "{said}");
}

/// The instance of a resource in a state.
fn instance<'a>(state: &'a mut Value, kind: &str) -> &'a mut Value {
    let all = state["resources"].as_array_mut().unwrap();
    let at = all.iter().position(|one| one["type"] == kind && one["name"] != "payments").unwrap();
    &mut all[at]["instances"][0]
}

#[test]
fn a_state_that_was_tampered_with_never_crashes_the_provider_and_no_plan_changes_the_platform() {
    let credential = "nhi_credential";
    let huge: Value = serde_json::from_str("1e999999").unwrap();
    let long: Value = serde_json::from_str(&"9".repeat(400)).unwrap();
    let cases = [
        (credential, "/attributes/generation", json!(99)),
        (credential, "/attributes/generation", json!(-1)),
        (credential, "/attributes/generation", json!(1.5)),
        (credential, "/attributes/generation", huge),
        (credential, "/attributes/generation", long),
        (credential, "/attributes/generation", json!("seven")),
        (credential, "/attributes/status", json!("no-such-status")),
        (credential, "/attributes/key_id", json!("../../sys/policies")),
        (credential, "/attributes/key_id", Value::Null),
        (credential, "/attributes/issued_at", json!("yesterday")),
        (credential, "/attributes/issued_at", json!("9999-12-31T23:59:59Z")),
        (credential, "/attributes/fingerprint", json!("\u{0}\u{202e}\n")),
        (credential, "/attributes/previous", json!([{ "key_id": 7 }])),
        (
            credential,
            "/attributes/previous",
            json!([{ "key_id": "x", "generation": 99, "retire_after": "" }]),
        ),
        (credential, "/attributes/schedule/every", json!("99999999999999999999d")),
        (credential, "/attributes/schedule/anchor", json!("-262143-01-01T00:00:00Z")),
        (
            credential,
            "/attributes/deliver_to",
            json!({ "app": { "connection": "boa", "path": "" } }),
        ),
        (credential, "/attributes/integration", Value::Null),
        (credential, "/attributes/integration/vendor_id", json!("somebody-else")),
        (credential, "/attributes/id", json!("///")),
        (credential, "/attributes", json!({})),
        (credential, "/attributes", json!([])),
        (credential, "/private", json!("bm8ganNvbg==")),
        (credential, "/private", json!("eyJuaGkiOls5OV19")),
        (credential, "/schema_version", json!(99)),
        ("nhi_integration", "/attributes/vendor_id", json!("somebody-else")),
        ("nhi_integration", "/attributes/standing", json!({ "recreated": 7 })),
        ("nhi_integration", "/attributes/openbao_approle", Value::Null),
        ("nhi_integration", "/attributes/openbao_approle/token_ttl", json!("1e9 years")),
        ("nhi_integration", "/attributes/connection_name", json!("boa")),
        ("nhi_integration", "/private", json!("AAAA")),
        ("nhi_integration", "/schema_version", json!(7)),
        ("nhi_scope", "/attributes/scopes", json!("all")),
        ("nhi_scope", "/attributes/scopes", json!(["\u{7f}:read", "x", "x"])),
        ("nhi_scope", "/attributes/integration/id", json!("bao/openbao_approle/../x")),
        ("nhi_rotation_schedule", "/attributes/every", json!("")),
        ("nhi_owner", "/attributes/name", json!(7)),
        ("nhi_owner", "/attributes/id", json!("owner/")),
    ];
    through_a_proxy(BASE, |world, between| {
        world.apply()?;
        let good = world.read(STATE)?;
        for (kind, place, value) in &cases {
            let mut state: Value =
                serde_json::from_str(&good).map_err(|error| error.to_string())?;
            let (parent, name) = place.rsplit_once('/').unwrap();
            instance(&mut state, kind).pointer_mut(parent).unwrap()[name] = value.clone();
            world.write(STATE, &state.to_string())?;
            between.proxy.seen();
            let what = format!("{kind}{place} = {value}");
            let ran = world.plan()?;
            holds([0, 1, 2].contains(&ran.code), &what, &ran.said)?;
            for never in ["panic", "crashed", "did not respond", "laws", "bug in the provider"] {
                holds(!ran.said.contains(never), &format!("{what}: never {never:?}"), &ran.said)?;
            }
            let changes = between.proxy.seen().into_iter().filter(|one| {
                let looks = one.path.contains("/lookup") || one.path.contains("/capabilities");
                !(looks || one.method == "GET" || one.method == "LIST")
            });
            let changes: Vec<_> = changes.collect();
            holds(
                changes.is_empty(),
                &format!("{what}: nothing is changed"),
                &format!("{changes:?}"),
            )?;
        }
        world.write(STATE, &good)?;
        one_credential_works(world, 0)
    });
}
