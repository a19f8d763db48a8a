//! Bad input gets a clear error that names the place and the remedy.

use crate::{BASE, holds, in_world};

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
fn an_inline_body_works_like_the_file() {
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
