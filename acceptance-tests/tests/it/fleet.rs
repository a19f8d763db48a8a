//! One history for several machines: a ledger that moves into a database, and two runs that share it.

use std::{
    collections::BTreeMap, fs, os::unix::fs::PermissionsExt, process::Stdio, time::Duration,
};

use acceptance_tests::{Result, World, servers::PostgreSql};
use connector::fault_proxy::{Effect, Hold, Rule};

use crate::{
    BASE, applied, applied_in_the_end,
    between::{Serving, events, every_minute, until},
    flat, holds, one_credential_works, places, through_a_proxy,
};

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

/// The applications that three processes look after.
const APPS: [&str; 4] = ["app-1", "app-2", "app-3", "app-4"];

/// The same of each, due every minute.
fn of_each() -> String {
    let all = APPS.map(|app| format!("\"{app}\"")).join(", ");
    let main = every_minute();
    let main = main.replace(
        "resource \"nhi_integration\" \"it\" {",
        &format!("resource \"nhi_integration\" \"it\" {{\n  for_each = toset([{all}])"),
    );
    let main = main.replace("\"invoice-sync\"", "each.key");
    let main = main.replace(
        "  integration   = nhi_integration.it\n",
        "  for_each      = nhi_integration.it\n  integration   = each.value\n",
    );
    let main = main.replace(
        "  integration = nhi_integration.it\n",
        "  for_each    = nhi_integration.it\n  integration = each.value\n",
    );
    main.replace("secret/apps/invoice-sync", "secret/apps/${each.key}")
}

/// How often each generation of each application was claimed for the schedule, and how often promoted.
fn rotations(world: &World) -> Result<BTreeMap<(String, u64), (usize, usize)>> {
    let told = world.nhi(&["ledger", "show", "--kind", "rotation", "--format", "json"])?;
    let mut all: BTreeMap<(String, u64), (usize, usize)> = BTreeMap::new();
    for line in told.expect(0)?.lines() {
        let entry: serde_json::Value =
            serde_json::from_str(line).map_err(|error| error.to_string())?;
        let (Some(subject), Some(generation)) = (entry["subject"].as_str(), entry["gen"].as_u64())
        else {
            continue;
        };
        let counts = all.entry((subject.to_owned(), generation)).or_default();
        match entry["kind"].as_str() {
            Some("rotation.claimed") => counts.0 += 1,
            Some("rotation.promoted") => counts.1 += 1,
            _ => {}
        }
    }
    Ok(all)
}

#[test]
fn three_that_serve_share_the_work_and_who_is_killed_is_followed_and_nothing_is_done_twice() {
    through_a_proxy(&of_each(), |world, between| {
        world.note([PASSWORD.to_owned()])?;
        let server = server()?;
        leads_to(world, &server, "nhi_owner", "nhi")?;
        world.apply()?;
        leads_to(world, &server, "nhi", "nhi")?;
        let logs = ["serve-a.log", "serve-b.log", "serve-c.log"];
        let mut serving: BTreeMap<&str, Serving> = BTreeMap::new();
        for log in logs {
            serving.insert(log, Serving::begin(world, log)?);
        }
        let at = |generation: u64| -> Result<bool> {
            let done = rotations(world)?;
            let has = |app: &&str| {
                done.iter().any(|((subject, number), (_, promoted))| {
                    subject.contains(*app) && *number >= generation && *promoted > 0
                })
            };
            Ok(APPS.iter().all(has))
        };
        until("all rotate", Duration::from_secs(150), || at(2))?;
        let beside = logs.iter().map(|log| Ok(events(world, log, "tick.elsewhere")?.len()));
        let beside: Result<Vec<usize>> = beside.collect();
        let beside = beside?;
        holds(beside.iter().any(|count| *count > 0), "some waited", &format!("{beside:?}"))?;

        // Whoever is in the middle of the next one is killed there, and answers nothing more.
        let hold = Hold::default();
        let effect = Effect::LoseHeldAnswer(hold.clone());
        between.proxy.add(Rule::once("POST", "role/app-2/custom-secret-id", effect));
        let reached =
            async { tokio::time::timeout(Duration::from_secs(150), hold.reached()).await };
        let reached = between.runtime.block_on(reached).is_ok();
        let asked = "SELECT holder FROM nhi.lease WHERE until > now() AND subject LIKE '%/app-2'";
        let holders = server.by_hand_in("nhi", asked)?;
        let killed = serving.iter().find_map(|(log, one)| {
            let id = format!(":{}-", one.id());
            holders.iter().any(|holder| holder.contains(&id)).then_some(*log)
        });
        let killed =
            killed.ok_or_else(|| format!("reached: {reached}; nobody has it: {holders:?}"))?;
        drop(serving.remove(killed));
        hold.release();
        between.proxy.clear();
        let next = rotations(world)?
            .iter()
            .filter(|((subject, _), _)| subject.contains("app-2"))
            .map(|((_, generation), _)| *generation)
            .max()
            .unwrap_or_default();
        until("the others go on", Duration::from_secs(150), || at(next))?;
        let told = world.read(killed)?;
        let others: Vec<&str> = serving.keys().copied().collect();
        let mut by_others = 0;
        for log in &others {
            let done = events(world, log, "done")?;
            let of_it = |one: &&serde_json::Value| {
                one["subject"].as_str().is_some_and(|subject| subject.contains("app-2"))
            };
            by_others += done.iter().filter(of_it).count();
        }
        holds(by_others > 0, "somebody else did it", &told)?;
        for (log, one) in serving {
            let said = world.read(log)?;
            holds(one.stop()? == Some(0), "it ends as it is asked to", &said)?;
        }

        // Each generation was claimed and promoted once, whoever did; and of each application there is the
        // present credential and at most the one before.
        let done = rotations(world)?;
        let mut issued: BTreeMap<&str, usize> = BTreeMap::new();
        for seen in between.proxy.seen() {
            let of = |app: &&&str| seen.path.contains(&format!("role/{app}/custom-secret-id"));
            // What was done and never answered counts; whoever goes on asks for the same once more, and is told
            // that it is there.
            let issued_it = seen.status.is_none_or(|status| status < 300);
            if let Some(app) = APPS.iter().find(of).filter(|_| seen.method == "POST" && issued_it) {
                *issued.entry(app).or_default() += 1;
            }
        }
        for ((subject, generation), (claimed, promoted)) in &done {
            let what = format!("{subject} {generation}: {done:?}");
            holds(*promoted <= 1, "nothing is promoted twice", &what)?;
            holds(*claimed <= 1, "nothing is begun twice", &what)?;
        }
        for app in APPS {
            let numbers = done.keys().filter(|(subject, _)| subject.contains(app));
            let most = numbers.map(|(_, generation)| *generation).max().unwrap_or_default();
            let issued = issued.get(app).copied().unwrap_or_default();
            let what = format!("{app}: {most} generations, {issued} issued");
            holds(issued as u64 == most, "each credential is issued once", &what)?;
            let keys = world.bao.accessors(app)?;
            holds(keys.len() <= 2, "none is left over", &format!("{app}: {keys:?}"))?;
            let document = world.bao.document(&format!("apps/{app}"))?;
            holds(places::lets_in(&world.bao, &document)?, "what is delivered signs in", app)?;
        }
        let told = world.nhi(&["ledger", "verify"])?.expect(0)?;
        holds(told.contains("Sound:"), "one chain", &told)?;
        world.no_secret_leaked(&logs)
    });
}

#[test]
fn old_entries_lie_in_a_file_and_the_ledger_goes_on_from_there() {
    applied(|world| {
        // Of the file and of the database alike.
        for in_database in [false, true] {
            let server = if in_database { Some(server()?) } else { None };
            if let Some(server) = &server {
                world.note([PASSWORD.to_owned()])?;
                world.nhi(&["ledger", "export", "moves.jsonl"])?.expect(0)?;
                leads_to(world, server, "nhi_owner", "nhi")?;
                world.nhi(&["ledger", "import", "moves.jsonl"])?.expect(0)?;
            }
            let file = if in_database { "second.jsonl" } else { "first.jsonl" };
            // A checkpoint is made when a command ends; what comes after it stays.
            world.nhi(&["rotate", SLOT, "--exposed", "--yes"])?.expect(0)?;
            std::thread::sleep(Duration::from_millis(1100));
            let now =
                std::process::Command::new("date").args(["-u", "+%Y-%m-%dT%H:%M:%SZ"]).output();
            let now = now.map_err(|error| error.to_string())?;
            let now = String::from_utf8_lossy(&now.stdout).trim().to_owned();
            world.nhi(&["rotate", SLOT, "--yes"])?.expect(0)?;
            let owed = world.nhi(&["ledger", "obligations", "--format", "json"])?.said;
            let before = lines(world)?;

            let shown = world.nhi(&["ledger", "compact", file, "--before", &now, "--dry-run"])?;
            let shown = shown.expect(0)?;
            holds(shown.contains("would lie in"), "it is shown", &shown)?;
            holds(lines(world)? == before, "and nothing is done", &shown)?;
            let told = world.nhi(&["ledger", "compact", file, "--before", &now])?.expect(0)?;
            holds(told.contains("Compacted:"), "it is done", &told)?;
            let left = lines(world)?;
            holds(left.len() < before.len(), "what was taken out is out", &told)?;
            holds(!left.iter().any(|line| line == &before[0]), "the first of all too", &told)?;
            let whole = world.read(file)?;
            holds(whole.contains("rotation.claimed"), "and in the file", file)?;

            let told = world.nhi(&["ledger", "verify"])?.expect(0)?;
            holds(told.contains("lie in files"), "what is left is sound", &told)?;
            let told = world.nhi(&["ledger", "verify", "--archive", file])?.expect(0)?;
            holds(told.contains("are those that were taken out"), "and so is the file", &told)?;
            let forged = whole.replacen("rotation.claimed", "rotation.clained", 1);
            world.write("forged.jsonl", &forged)?;
            let told = world.nhi(&["ledger", "verify", "--archive", "forged.jsonl"])?.expect(4)?;
            holds(told.contains("Not sound:"), "another one is told", &told)?;
            let again =
                world.nhi(&["ledger", "compact", "more.jsonl", "--before", &now])?.expect(0)?;
            holds(again.contains("Nothing is taken out"), "once is enough", &again)?;

            let still = world.nhi(&["ledger", "obligations", "--format", "json"])?.said;
            holds(still == owed, "all that is owed is", &format!("{owed}\n{still}"))?;
            world.plan_is_empty()?;
            world.nhi(&["drift"])?;
            // Its guard is where it was, and it goes on.
            world.nhi(&["rotate", SLOT, "--exposed", "--yes"])?.expect(0)?;
            let told = world.nhi(&["ledger", "verify"])?.expect(0)?;
            holds(told.contains("Sound:"), "it goes on", &told)?;
            world.no_secret_leaked(&[file])?;
        }
        Ok(())
    });
}

const SLOT: &str = "bao/openbao_approle/invoice-sync/credential/default";

fn lines(world: &World) -> Result<Vec<String>> {
    let told = world.nhi(&["ledger", "show", "--format", "json"])?.expect(0)?;
    Ok(told.lines().map(str::to_owned).collect())
}
