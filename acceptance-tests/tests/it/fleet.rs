//! One history for several machines: a ledger that moves into a database, and two runs that share it.

use std::{fs, os::unix::fs::PermissionsExt, process::Stdio};

use acceptance_tests::{Result, World, servers::PostgreSql};

use crate::{BASE, applied, applied_in_the_end, flat, holds, one_credential_works, places};

const PASSWORD: &str = "pg-hunter2-for-the-ledger";

/// Lets the ledger of a world be in this server: as a role that may write, once another has made the
/// tables.
fn leads_to(world: &World, server: &PostgreSql, user: &str, database: &str) -> Result<()> {
    // Beside what is searched: this is where it may stand.
    let file = world.root().join("pg-password");
    fs::write(&file, PASSWORD).map_err(|error| error.to_string())?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600))
        .map_err(|error| error.to_string())?;
    let port = server.port;
    let ledger = format!(
        "ledger = {{\n  postgres = {{\n    host = \"127.0.0.1\"\n    port = {port}\n    \
         database = \"{database}\"\n    user = \"{user}\"\n    \
         password = {{ file = \"../pg-password\" }}\n  }}\n}}\n"
    );
    let hcl = world.read("nhi.hcl")?;
    let others = hcl.split("ledger ").next().unwrap_or_default();
    world.write("nhi.hcl", &format!("{others}{ledger}"))
}

fn server() -> Result<PostgreSql> {
    let server = PostgreSql::start()?;
    let owner = format!("CREATE ROLE nhi_owner LOGIN PASSWORD '{PASSWORD}'");
    let writer = format!("CREATE ROLE nhi LOGIN PASSWORD '{PASSWORD}' IN ROLE nhi_writer");
    for sql in ["CREATE ROLE nhi_writer", "CREATE ROLE nhi_reader", &owner, &writer] {
        server.by_hand(sql)?;
    }
    server.by_hand("CREATE DATABASE nhi OWNER nhi_owner")?;
    Ok(server)
}

#[test]
fn a_history_moves_into_a_database_and_two_runs_at_once_go_on_with_it() {
    applied(|world| {
        world.note([PASSWORD.to_owned()])?;
        let before = world.nhi(&["ledger", "show", "--format", "json"])?.expect(0)?;
        let told = world.nhi(&["ledger", "export", "history.jsonl"])?.expect(0)?;
        holds(told.contains("Exported:"), "all of it is written", &told)?;
        let again = flat(&world.nhi(&["ledger", "export", "history.jsonl"])?.expect(1)?);
        holds(again.contains("not there yet"), "and over nothing", &again)?;

        let server = server()?;
        leads_to(world, &server, "nhi_owner", "nhi")?;
        let none = world.nhi(&["ledger", "verify"])?.expect(1)?;
        holds(none.contains("E-LEDGER-MISSING"), "there is none yet", &none)?;
        let whole = world.read("history.jsonl")?;
        world.write("half.jsonl", &whole[..whole.len() / 2])?;
        let half = world.nhi(&["ledger", "import", "half.jsonl"])?.expect(1)?;
        holds(half.contains("E-LEDGER-EXPORT"), "half a history is none", &half)?;
        let told = world.nhi(&["ledger", "import", "history.jsonl"])?.expect(0)?;
        holds(told.contains("Sound:"), "it is verified", &told)?;
        let twice = world.nhi(&["ledger", "import", "history.jsonl"])?.expect(1)?;
        holds(twice.contains("E-LEDGER-NOT-EMPTY"), "two are not mixed", &twice)?;

        leads_to(world, &server, "nhi", "nhi")?;
        let after = world.nhi(&["ledger", "show", "--format", "json"])?.expect(0)?;
        holds(before == after, "every number and hash is what it was", &after)?;
        world.plan_is_empty()?;
        world.nhi(&["drift"])?.expect(0)?;
        let told = world.nhi(&["doctor"])?.expect(0)?;
        holds(told.contains("fsync = off"), "what the server cannot keep is told", &told)?;
        holds(!told.contains("superuser"), "and nothing that is not so", &told)?;

        // A core and a command at once, each a process of its own.
        let more = r#"["secret/data/invoices/*:read", "secret/data/payroll/*:read"]"#;
        let wider = |main: &str| main.replace(r#"["secret/data/invoices/*:read"]"#, more);
        world.write("main.tf", &wider(BASE))?;
        let slot = "bao/openbao_approle/invoice-sync/credential/default";
        let mut rotating = world.nhi_command();
        rotating.args(["rotate", slot, "--yes"]);
        let rotating = rotating
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| error.to_string())?;
        let other = world.terraform(&["apply", "-auto-approve"])?;
        let rotated = rotating.wait_with_output().map_err(|error| error.to_string())?;
        let rotated =
            String::from_utf8_lossy(&[rotated.stdout, rotated.stderr].concat()).into_owned();
        applied_in_the_end(world)?;
        let told = world.nhi(&["ledger", "verify"])?.expect(0)?;
        holds(told.contains("Sound:"), "one chain", &told)?;
        let told = world.nhi(&["ledger", "show", "--format", "json"])?.expect(0)?;
        let by = |program: &str| {
            told.lines().skip(before.lines().count()).any(|one| one.contains(program))
        };
        let both = by("\"program\":\"nhi\"") && by("\"program\":\"terraform-provider-nhi/");
        holds(both, "both wrote into it", &format!("{told}\n{}\n{rotated}", other.said))?;
        let kept = places::listed(&world.bao, "invoice-sync")?.len();
        one_credential_works(world, kept - 1)?;

        // Without the server, a plan goes on, and nothing is begun.
        drop(server);
        let said = flat(&world.plan()?.expect(0)?);
        holds(said.contains("E-LEDGER-UNREACHABLE"), "a plan says so", &said)?;
        let most = more
            .replace("\"secret/data/payroll", "\"secret/data/all/*:read\", \"secret/data/payroll");
        world.write("main.tf", &wider(BASE).replace(more, &most))?;
        let said = flat(&world.terraform(&["apply", "-auto-approve"])?.expect(1)?);
        holds(said.contains("E-LEDGER-UNREACHABLE"), "nothing is begun", &said)?;
        holds(said.contains("Next:"), "and what helps is named", &said)
    });
}
