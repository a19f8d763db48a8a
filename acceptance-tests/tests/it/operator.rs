//! `nhi` as people run it: a first configuration, what is there, a shell, a terminal, a pipe.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use acceptance_tests::{Ran, Result, World, core::ran};
use serde_json::{Value, json};

use crate::{BASE, applied, flat, holds, in_world};

/// `nhi` with nothing around it but the token of the platform.
fn nhi(world: &World, folder: &str, words: &[&str]) -> Command {
    let mut command = Command::new(&world.programs.nhi);
    command.current_dir(world.root().join(folder)).args(words).stdin(Stdio::null());
    for name in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "NHI_CONFIG", "NHI_REALM_KEY"] {
        command.env_remove(name);
    }
    command.env("BAO_TOKEN", &world.bao.token);
    command
}

/// A command in a terminal, with what is typed into it.
pub(crate) fn in_terminal(command: &Command, typed: &str) -> Result<Ran> {
    const RUN: &str =
        "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))";
    let mut terminal = Command::new(acceptance_tests::tools::need("python3")?);
    terminal.args(["-c", RUN]).arg(command.get_program()).args(command.get_args());
    terminal.env("TERM", "xterm");
    if let Some(folder) = command.get_current_dir() {
        terminal.current_dir(folder);
    }
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => terminal.env(name, value),
            None => terminal.env_remove(name),
        };
    }
    let mut child = terminal
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| error.to_string())?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(typed.as_bytes()).map_err(|error| error.to_string())?;
    }
    let done = child.wait_with_output().map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    Ok(Ran { code: done.status.code().unwrap_or(-1), said })
}

#[test]
fn what_init_writes_is_planned_and_applied_and_never_written_over() {
    in_world(BASE, |world| {
        let folder = world.root().join("fresh");
        std::fs::create_dir(&folder).map_err(|error| error.to_string())?;
        let address = world.bao.address();
        let words = [
            "init",
            "--platform",
            "openbao",
            "--name",
            "bao",
            "--address",
            &address,
            "--credential-env",
            "BAO_TOKEN",
            "--custody",
            "secret/nhi",
        ];
        // Nobody is there to answer what is not given.
        let said = ran(&mut nhi(world, "fresh", &words[..5]))?.expect(1)?;
        holds(said.contains("--address") && said.contains("Next:"), "the flag is named", &said)?;
        holds(std::fs::read_dir(&folder).is_ok_and(|all| all.count() == 0), "nothing is left", "")?;
        // A place for custody that is not there is told while somebody sits there, and stops nothing.
        let mut missing = [&words[..], &["--dir", "elsewhere"]].concat();
        missing[words.len() - 1] = "no-such-mount/nhi";
        let told = ran(&mut nhi(world, "fresh", &missing))?.expect(0)?;
        let warned = told.contains("Warning:") && told.contains("no-such-mount/nhi");
        holds(warned && told.contains("Next: make that place"), "custody is tried", &told)?;
        let told = ran(&mut nhi(world, "fresh/elsewhere", &["doctor"]))?.expect(1)?;
        let makes = "bao secrets enable -path=no-such-mount kv-v2";
        holds(told.contains(makes), "the doctor says so too", &told)?;
        // A whole mount is taken, and what follows is told.
        let mut whole = [&words[..], &["--dir", "whole"]].concat();
        whole[words.len() - 1] = "secret";
        let told = flat(&ran(&mut nhi(world, "fresh", &whole))?.expect(0)?);
        let advice = "name a folder in it (secret/nhi)";
        holds(told.contains("Warning:") && told.contains(advice), "a mount is no folder", &told)?;
        let told = flat(&ran(&mut nhi(world, "fresh/whole", &["doctor"]))?.expect(0)?);
        holds(told.contains(advice), "the doctor says that too", &told)?;
        let slip = format!("{address}/v1");
        let mut v1 = words;
        v1[6] = &slip;
        let told = flat(&ran(&mut nhi(world, "fresh", &v1))?.expect(1)?);
        let right = format!("write {address:?}");
        holds(told.contains(&right) && told.contains("nhi init again"), "/v1 is a slip", &told)?;
        let told = ran(&mut nhi(world, "fresh", &words))?.expect(0)?;
        holds(!told.contains("Warning:"), "of one that is there nothing is said", &told)?;
        holds(told.contains("nhi-realm.key"), "where the key is", &told)?;
        let read = |name: &str| {
            std::fs::read_to_string(folder.join(name)).map_err(|error| format!("{name}: {error}"))
        };
        let (hcl, key) = (read("nhi.hcl")?, read("nhi-realm.key")?);
        holds(
            !told.contains(key.trim()) && !hcl.contains(key.trim()),
            "the key is told nowhere",
            &told,
        )?;
        holds(!hcl.contains(&world.bao.token) && hcl.contains("tenant"), "nor the token", &hcl)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let data = std::fs::metadata(folder.join("nhi-realm.key"))
                .map_err(|error| error.to_string())?;
            holds(data.permissions().mode() & 0o777 == 0o600, "nobody else reads it", "")?;
        }
        let said = ran(&mut nhi(world, "fresh", &words))?.expect(1)?;
        holds(said.contains("never overwrites"), "a second one is refused", &said)?;
        holds(read("nhi.hcl")? == hcl && read("nhi-realm.key")? == key, "and changes nothing", "")?;
        ran(&mut nhi(world, "fresh", &["doctor"]))?.expect(0)?;
        std::fs::write(folder.join("main.tf"), BASE).map_err(|error| error.to_string())?;
        let core = |words: &[&str], code: i32| {
            let mut command = world.core_command();
            command.current_dir(&folder).args(words).arg("-no-color").env_remove("NHI_REALM_KEY");
            ran(&mut command)?.expect(code)
        };
        core(&["plan", "-detailed-exitcode"], 2)?;
        core(&["apply", "-auto-approve"], 0)?;
        core(&["plan", "-detailed-exitcode"], 0)?;
        holds(world.bao.signs_in(&world.bao.document("apps/invoice-sync")?)?, "it signs in", "")
    });
}

#[test]
fn init_asks_whoever_sits_at_a_terminal() {
    in_world(BASE, |world| {
        let folder = world.root().join("fresh");
        std::fs::create_dir(&folder).map_err(|error| error.to_string())?;
        let typed = format!("\n\n{}\n\n\n", world.bao.address());
        let ran = in_terminal(&nhi(world, "fresh", &["init"]), &typed)?;
        let hcl = std::fs::read_to_string(folder.join("nhi.hcl"))
            .map_err(|error| format!("{error}\n{}", ran.said))?;
        holds(
            hcl.contains(&world.bao.address()) && hcl.contains("BAO_TOKEN"),
            "the answers",
            &hcl,
        )?;
        holds(ran.code == 0 && ran.said.contains("Next: nhi doctor"), "and what is next", &ran.said)
    });
}

#[test]
fn scan_lists_what_nobody_declared_for_people_programs_and_imports() {
    applied(|world| {
        world.bao.post("/v1/auth/approle/role/legacy", json!({ "token_policies": ["default"] }))?;
        let table = world.nhi(&["scan"])?.expect(0)?;
        holds(table.contains("legacy") && table.contains("invoice-sync"), "both rows", &table)?;
        let said = world.nhi(&["scan", "--format", "json", "--quiet"])?.expect(0)?;
        let report: Value =
            serde_json::from_str(&said).map_err(|error| format!("{error}: {said}"))?;
        let managed = |id: &str| {
            let all = report["integrations"].as_array().into_iter().flatten();
            all.into_iter().find(|one| one["id"] == id).map(|one| one["managed"].clone())
        };
        holds(
            managed("bao/openbao_approle/legacy") == Some(json!(false))
                && managed("bao/openbao_approle/invoice-sync") == Some(json!(true)),
            "who is managed",
            &said,
        )?;
        // As the guide on adoption has it: blocks into a file, and the core writes a first form.
        let blocks = world.nhi(&["scan", "bao", "--format", "import", "--quiet"])?.expect(0)?;
        let legacy = blocks
            .split("import {")
            .find(|block| block.contains("\"bao/openbao_approle/legacy\""))
            .ok_or("no block for what is unmanaged")?;
        world.write("imports.tf", &format!("import {{{legacy}"))?;
        let said = world.terraform(&["plan", "-generate-config-out=adopted.tf"])?.said;
        let form = world.read("adopted.tf").map_err(|error| format!("{error}\n{said}"))?;
        holds(form.contains("resource \"nhi_integration\" \"legacy\""), "a first form", &form)?;
        holds(form.contains("openbao_approle"), "with its settings", &form)?;
        let said = world.terraform(&["plan"])?.expect(1)?;
        for word in ["purpose", "environment", "business_owner", "technical_owner"] {
            holds(said.contains(word), "what nobody but a person knows is asked for", &said)?;
        }
        Ok(())
    });
}

fn verdict(world: &World, code: i32) -> Result<String> {
    world.nhi(&["ledger", "verify"])?.expect(code)
}

/// Writes another text into the ledger's entries, as whoever may write the file can.
fn tamper(world: &World, before: &str, after: &str) -> Result<()> {
    const TAMPER: &str = "
import sqlite3, sys
ledger = sqlite3.connect(sys.argv[1])
ledger.execute('DROP TRIGGER IF EXISTS entry_fixed')
change = 'UPDATE entry SET body = CAST(replace(CAST(body AS TEXT), ?, ?) AS BLOB)'
ledger.execute(change, sys.argv[2:4])
ledger.commit()
";
    let mut python = Command::new(acceptance_tests::tools::need("python3")?);
    python.args(["-c", TAMPER]).arg(world.folder.join("nhi.db")).args([before, after]);
    ran(&mut python)?.expect(0).map(|_| ())
}

#[test]
fn with_a_ledger_that_somebody_changed_power_is_taken_away_and_none_is_given() {
    applied(|world| {
        tamper(world, "declared", "imagined")?;
        // Who plans is told, although a plan needs no ledger.
        let said = world.terraform(&["plan", "-detailed-exitcode"])?.expect(0)?;
        holds(said.contains("The ledger needs a look"), "a plan says so", &said)?;
        holds(said.contains("E-LEDGER-BROKEN") && !said.contains("(E-LEDGER)"), "one code", &said)?;
        let said = world.nhi(&["drift"])?.expect(4)?;
        holds(said.contains("chain"), "and so does drift", &said)?;
        let said = world.nhi(&["ledger", "show"])?.expect(4)?;
        holds(said.contains("broken at entry"), "and what shows it", &said)?;
        let scopes = |scopes: &str| {
            world.write("main.tf", &BASE.replace(r#"["secret/data/invoices/*:read"]"#, scopes))
        };
        scopes(r#"["secret/data/invoices/*:read", "secret/data/payroll/*:read"]"#)?;
        let said = flat(&world.terraform(&["apply", "-auto-approve"])?.expect(1)?);
        holds(said.contains("E-LEDGER-BROKEN"), "nothing is given", &said)?;
        holds(said.contains("nhi ledger salvage"), "and the way out is named", &said)?;
        world.bao.add_secret_id("invoice-sync")?;
        let revoking = BASE
            .replace(r#"["secret/data/invoices/*:read"]"#, "[]")
            .replace("  openbao_approle = {", "  revoke_unmanaged = true\n  openbao_approle = {");
        world.write("main.tf", &revoking)?;
        let said = world.apply()?;
        holds(said.contains("The ledger needs a look"), "it is taken, and told", &said)?;
        holds(said.contains("A credential was revoked"), "a stranger's key too", &said)?;
        let said = world.terraform(&["destroy", "-auto-approve"])?.expect(0)?;
        holds(said.contains("The ledger needs a look"), "all of it", &said)?;
        let said = world.nhi(&["ledger", "salvage"])?.expect(0)?;
        holds(said.contains("Salvaged"), "and then the ledger is mended", &said)?;
        let said = world.nhi(&["ledger", "show", "--kind", "ledger.broken"])?.expect(0)?;
        holds(said.contains("broken at entry"), "it was known", &said)?;
        verdict(world, 0).map(|_| ())
    });
}

#[test]
fn a_ledger_that_somebody_changed_is_found_out_and_salvaged() {
    applied(|world| {
        verdict(world, 0)?;
        // One that cannot be read at all hides no other.
        let show =
            |more: &[&str], code| world.nhi(&[&["ledger", "show"], more].concat())?.expect(code);
        show(&[], 0)?;
        tamper(world, r#""kind":"scopes.set""#, r#""kind" "scopes.set""#)?;
        for more in [&[][..], &["--last", "100"]] {
            let said = show(more, 4)?;
            let others = said.contains("ledger.created") && said.contains("rotation");
            holds(others && !said.contains("scopes.set"), "the others are shown", &said)?;
            holds(said.contains("broken at entry"), "and the one is named", &said)?;
        }
        // What says something else now, and what cannot be read at all any more.
        for (before, after) in [("invoice-sync", "payroll-sync"), ("declared", "imagined")] {
            tamper(world, before, after)?;
            let said = verdict(world, 4)?;
            holds(said.contains("Not sound") && said.contains("Next:"), "it is told", &said)?;
        }
        // History is in doubt; what is declared and what is there are not.
        world.plan_is_empty()?;
        // And what the command names puts an end to the doubt.
        let said = verdict(world, 4)?;
        holds(said.contains("nhi ledger salvage"), "a way out is named", &said)?;
        let said = world.nhi(&["ledger", "salvage"])?.expect(0)?;
        holds(said.contains("lost") && said.contains("nhi.db-damaged-"), "it says what", &said)?;
        let said = verdict(world, 0)?;
        holds(said.contains("Sound") && said.contains("lost"), "and goes on saying so", &said)?;
        let said = world.nhi(&["ledger", "salvage"])?.expect(0)?;
        holds(said.contains("nothing to salvage"), "once is enough", &said)?;
        world.plan_is_empty()
    });
}

#[test]
fn color_is_for_terminals_and_quiet_leaves_only_what_was_asked_for() {
    applied(|world| {
        world.bao.widen("nhi/invoice-sync", "secret/data/payroll/*")?;
        let key = |mut command: Command| {
            command.env("NHI_REALM_KEY", acceptance_tests::world::REALM_KEY);
            command
        };
        let colored = |said: &str| said.contains('\u{1b}');
        let drift = |more: &[&str]| key(nhi(world, "work", &[&["drift"], more].concat()));
        holds(!colored(&ran(&mut drift(&[]))?.expect(2)?), "a pipe gets none", "")?;
        let said = ran(&mut drift(&["--color", "always"]))?.expect(2)?;
        holds(colored(&said), "unless it was asked for", &said)?;
        let said = in_terminal(&drift(&[]), "")?.expect(2)?;
        holds(colored(&said), "a terminal has color", &said)?;
        let mut plain = drift(&[]);
        let said = in_terminal(plain.env("NO_COLOR", "1"), "")?.expect(2)?;
        let styled = said.contains("\u{1b}[1m") || said.contains("\u{1b}[3");
        holds(!styled, "but for those who want none", &said)?;
        let said = in_terminal(&drift(&["--color", "never"]), "")?.expect(2)?;
        holds(!said.contains("\u{1b}[3"), "said either way", &said)?;
        let said = in_terminal(&drift(&["--quiet", "--color", "never"]), "")?.expect(2)?;
        holds(!said.contains("comparing") && !colored(&said), "quiet shows no progress", &said)
    });
}

#[test]
fn a_token_that_is_refused_is_missing_to_the_doctor_and_a_scan_with_it_reads_nothing() {
    in_world(BASE, |world| {
        let refused = |words: &[&str]| {
            let mut command = nhi(world, "work", words);
            command.env("BAO_TOKEN", "s.nobody");
            command.env("NHI_REALM_KEY", acceptance_tests::world::REALM_KEY);
            ran(&mut command)?.expect(1)
        };
        let said = refused(&["doctor", "bao"])?;
        holds(said.contains("✗") && !said.contains("✓"), "the connection is bad", &said)?;
        holds(said.contains("Next: give it a credential that may read"), "what helps", &said)?;
        for words in [&["scan"][..], &["scan", "--format", "json"], &["scan", "--format", "import"]]
        {
            let said = refused(words)?;
            holds(!said.contains("OWNER"), "no heading above nothing", &said)?;
            holds(said.contains("Next: nhi doctor bao"), "what to do", &said)?;
        }
        Ok(())
    });
}

#[test]
fn doctor_names_what_is_missing_and_corrects_references_by_id() {
    in_world(BASE, |world| {
        let fine = |words: &[&str]| world.nhi(&[&["doctor"], words].concat());
        fine(&[])?.expect(0)?;
        fine(&["--hcl", "."])?.expect(0)?;
        let mut without = nhi(world, "work", &["doctor"]);
        without.env_remove("BAO_TOKEN").env("NHI_REALM_KEY", acceptance_tests::world::REALM_KEY);
        let said = ran(&mut without)?.expect(1)?;
        holds(said.contains("BAO_TOKEN"), "the variable that is not set", &said)?;
        let good = world.read("nhi.hcl")?;
        world.write("nhi.hcl", &good.replace(&world.bao.address(), "http://127.0.0.1:1"))?;
        let said = fine(&[])?.expect(1)?;
        holds(said.contains("http://127.0.0.1:1: "), "where nothing answers", &said)?;
        holds(!said.contains("nhi doctor") && !said.contains("apply again"), "what helps", &said)?;
        world.write("nhi.hcl", &good)?;
        let slips = BASE
            .replace("= nhi_integration.it\n", "= nhi_integration.it.id\n")
            .replace("= nhi_owner.payments\n", "= nhi_owner.payments.id\n")
            .replace("= nhi_rotation_schedule.monthly\n", "= nhi_rotation_schedule.monthly.id\n");
        world.write("main.tf", &slips)?;
        let refused = world.plan()?.expect(1)?;
        holds(refused.contains("object required"), "the core's own words", &refused)?;
        let said = fine(&["--hcl", "."])?.expect(1)?;
        for line in [
            "technical_owner = nhi_owner.payments",
            "integration   = nhi_integration.it",
            "schedule    = nhi_rotation_schedule.monthly",
        ] {
            let whole = format!("+ {line}\n");
            holds(said.replace("+   ", "+ ").contains(&whole), &whole, &said)?;
        }
        Ok(())
    });
}

#[test]
fn shells_complete_what_there_is() {
    let programs = acceptance_tests::programs::built().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        let done = Command::new(&programs.nhi).args(["completion", shell]).output().unwrap();
        let script = String::from_utf8_lossy(&done.stdout);
        assert!(done.status.success(), "{shell}");
        for word in ["init", "scan", "drift", "ledger", "doctor", "completion"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
        // Where the shell is here, it says itself whether it takes the script.
        let Some(program) = acceptance_tests::tools::find(shell) else { continue };
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("completion");
        std::fs::write(&file, script.as_bytes()).unwrap();
        let checked = Command::new(&program).arg("-n").arg(&file).status().unwrap();
        assert!(checked.success(), "{shell}");
        if shell == "bash" {
            let ask = "source \"$1\"; COMP_WORDS=(nhi sc); COMP_CWORD=1; _nhi nhi sc nhi; echo \"${COMPREPLY[*]}\"";
            let asked = Command::new(&program).args(["-c", ask, "-"]).arg(&file).output().unwrap();
            assert_eq!(String::from_utf8_lossy(&asked.stdout).trim(), "scan");
        }
    }
}
