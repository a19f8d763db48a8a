//! The real program, as a shell and a pipeline see it.

use std::{
    fs::File,
    io::Read,
    os::unix::fs::DirBuilderExt,
    path::Path,
    process::{Command, Stdio},
};

fn nhi(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nhi"));
    command.args(words).env_remove("NHI_CONFIG").env("NO_COLOR", "1").stdin(Stdio::null());
    command
}

fn code(words: &[&str]) -> Option<i32> {
    nhi(words).output().unwrap().status.code()
}

#[test]
fn a_slip_on_the_command_line_is_never_taken_for_drift() {
    for words in [
        &[][..],
        &["drift", "--no-such-flag"],
        &["drfit"],
        &["drift", "--fail-on", "huge"],
        &["ledger"],
        &["completion"],
    ] {
        let done = nhi(words).output().unwrap();
        assert_eq!(done.status.code(), Some(1), "{words:?}");
        assert!(!done.stderr.is_empty(), "{words:?} says why");
    }
}

#[test]
fn the_newest_none_of_the_entries_are_not_all_of_them() {
    let done = nhi(&["ledger", "show", "--last", "0"]).output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.code() == Some(1) && said.contains("--last"), "{said}");
    assert!(said.contains("from 1") && !said.contains("non-zero type"), "{said}");
}

#[test]
fn a_time_that_is_none_is_told_what_is_one() {
    let done = nhi(&["ledger", "show", "--since", "yesterday"]).output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.code() == Some(1) && said.contains("--since"), "{said}");
    assert!(said.contains("such as 24h") && said.contains("2026-11-22"), "{said}");
}

#[test]
fn slips_are_told_to_programs_too() {
    let folder = tempfile::tempdir().unwrap();
    let text = "resource \"nhi_scope\" \"x\" {\n  integration = nhi_integration.x.id\n}\n";
    std::fs::write(folder.path().join("main.tf"), text).unwrap();
    let place = folder.path().display().to_string();
    let done = nhi(&["doctor", "--hcl", &place, "--format", "json"]).output().unwrap();
    assert_eq!(done.status.code(), Some(1));
    let said: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(said["slips"][0]["line"], 2, "{said}");
    assert_eq!(said["slips"][0]["corrected"], "integration = nhi_integration.x", "{said}");
}

#[test]
fn init_writes_no_name_that_the_configuration_would_refuse() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a b", "a/b", "a:b", "none", ""] {
        let words = ["init", "--offline", "--platform", "openbao", "--name", name];
        let more =
            ["--address", "https://bao.example", "--credential-env", "T", "--custody", "s/n"];
        let mut command = nhi(&[&words[..], &more].concat());
        let done = command.current_dir(folder.path()).output().unwrap();
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(done.status.code() == Some(1) && said.contains("E-INIT-NAME"), "{name:?}: {said}");
        assert!(!folder.path().join("nhi.hcl").exists());
    }
}

#[test]
fn init_writes_where_every_other_command_will_look_and_overwrites_nothing_there() {
    let init = ["init", "--offline", "--platform", "openbao", "--name", "bao"];
    let more = ["--address", "https://bao.example", "--credential-env", "T", "--custody", "s/n"];
    let run = |folder: &Path, words: &[&str], variable: Option<&str>| {
        let mut command = nhi(&[&init[..], &more, words].concat());
        command.current_dir(folder).envs(variable.map(|place| ("NHI_CONFIG", place)));
        let done = command.output().unwrap();
        (done.status.code(), String::from_utf8(done.stderr).unwrap())
    };
    for (words, variable, file) in [
        (&["--config", "prod/my.hcl"][..], None, "prod/my.hcl"),
        (&["--config", "prod/my.hcl"], Some("other/nhi.hcl"), "prod/my.hcl"),
        (&["--config", "my.hcl"], None, "my.hcl"),
        (&[], Some("prod/my.hcl"), "prod/my.hcl"),
        (&["--dir", "prod"], Some("other/nhi.hcl"), "prod/nhi.hcl"),
        (&[], None, "nhi.hcl"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let (code, said) = run(folder.path(), words, variable);
        assert_eq!(code, Some(0), "{words:?} {variable:?}: {said}");
        let named = format!("nhi doctor --config {file}");
        assert_eq!(said.contains(&named), !words.is_empty(), "{words:?}: {said}");
        let file = folder.path().join(file);
        for name in ["nhi-realm.key", ".gitignore"] {
            assert!(file.parent().unwrap().join(name).is_file(), "{words:?}: {name} beside it");
        }
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.contains("https://bao.example"), "{text}");
        let inner = folder.path().join("prod");
        let all = [folder.path(), inner.as_path()].map(|one| one.read_dir().ok());
        let all = all.into_iter().flatten().flatten().map(|one| one.unwrap().path());
        let hcl = all.filter(|path| path.extension().is_some_and(|one| one == "hcl"));
        assert!(hcl.eq([file.as_path()]), "and nowhere else: {words:?}");
        let (code, said) = run(folder.path(), words, variable);
        assert!(code == Some(1) && said.contains("E-INIT-EXISTS"), "{words:?}: {said}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
    }
    let folder = tempfile::tempdir().unwrap();
    let (code, said) = run(folder.path(), &["--config", "a.hcl", "--dir", "b"], None);
    assert!(code == Some(1) && said.contains("E-INIT-PLACE"), "{code:?}: {said}");
}

#[test]
fn a_file_that_is_named_to_init_is_the_one_that_its_configuration_names() {
    let init = ["init", "--platform", "openbao", "--name", "bao", "--credential-env", "PATH"];
    let more = ["--address", "https://127.0.0.1:9", "--custody", "s/n"];
    let named = |folder: &Path, words: &[&str], offline: bool| {
        let offline: &[&str] = if offline { &["--offline"] } else { &[] };
        let mut command = nhi(&[&init[..], &more, words, offline].concat());
        command.current_dir(folder).output().unwrap()
    };
    for (words, config, file, written) in [
        (&["--ca-file", "ca.pem"][..], "nhi.hcl", "ca.pem", "ca.pem"),
        (&["--config", "new/nhi.hcl", "--ca-file", "ca.pem"], "new/nhi.hcl", "ca.pem", "../ca.pem"),
        (
            &["--dir", "./a/b", "--ca-file", "pki/ca.pem"],
            "a/b/nhi.hcl",
            "pki/ca.pem",
            "../../pki/ca.pem",
        ),
        (&["--dir", "a/b", "--ca-file", "a/ca.pem"], "a/b/nhi.hcl", "a/ca.pem", "../ca.pem"),
        (&["--dir", "prod", "--ca-file", "prod/ca.pem"], "prod/nhi.hcl", "prod/ca.pem", "ca.pem"),
        // From nhi.hcl, and from there alone.
        (&["--dir", "prod", "--ca-file", "ca.pem"], "prod/nhi.hcl", "prod/ca.pem", "ca.pem"),
        (&["--dir", "link/new", "--ca-file", "ca.pem"], "link/new/nhi.hcl", "ca.pem", "/"),
        (&["--dir", "new", "--ca-file", "../ca.pem"], "new/nhi.hcl", "../ca.pem", "/"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("inner");
        std::fs::create_dir_all(inner.join("far/away")).unwrap();
        std::os::unix::fs::symlink("far/away", inner.join("link")).unwrap();
        let file = inner.join(file);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, "none").unwrap();
        let asked = named(&inner, words, false);
        let said = String::from_utf8(asked.stderr).unwrap();
        assert!(said.contains("it holds no certificate"), "it was found: {words:?}: {said}");
        let done = named(&inner, words, true);
        assert_eq!(done.status.code(), Some(0), "{words:?}: {done:?}");
        let config = inner.join(config);
        let text = std::fs::read_to_string(&config).unwrap();
        let says = text.lines().find_map(|line| line.trim().strip_prefix("ca_file"));
        let says = says.unwrap().trim_start_matches([' ', '=']).trim_matches('"').to_owned();
        assert!(says == written || written == "/" && says.starts_with('/'), "{words:?}: {says}");
        let leads = config.parent().unwrap().join(&says).canonicalize();
        assert_eq!(leads.unwrap(), file.canonicalize().unwrap(), "{words:?}: {says}");
    }
}

#[test]
fn init_refuses_an_address_that_cannot_be_right_offline_too() {
    let init = ["init", "--offline", "--platform", "openbao", "--name", "bao"];
    let more = ["--credential-env", "T", "--custody", "s/n", "--address", "https://bao.example/v1"];
    let folder = tempfile::tempdir().unwrap();
    let (code, said) = in_folder(folder.path(), &[&init[..], &more].concat());
    assert!(code == Some(1) && said.contains("E-CONNECTION"), "{code:?}: {said}");
    assert!(said.contains("write \"https://bao.example\""), "{said}");
    assert!(!said.contains("--offline"), "it is offline: {said}");
    assert!(!folder.path().join("nhi.hcl").exists());
}

/// What a command says with a configuration, with its exit code.
fn with(config: &str, words: &[&str]) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("nhi.hcl"), config).unwrap();
    let done = nhi(words).current_dir(folder.path()).output().unwrap();
    let said = [done.stdout, done.stderr].concat();
    (done.status.code(), String::from_utf8(said).unwrap())
}

#[test]
fn a_ledger_that_is_not_there_is_neither_sound_nor_an_empty_history() {
    for command in [&["verify"][..], &["salvage"], &["show"], &["show", "--format", "json"]] {
        let words = [&["ledger"], command].concat();
        for (config, why) in
            [("ledger = { none = true }", "E-LEDGER-NONE"), ("", "E-LEDGER-MISSING")]
        {
            let (code, said) = with(config, &words);
            assert!(code == Some(1) && said.contains(why), "{words:?} {code:?}: {said}");
        }
    }
}

#[tokio::test]
async fn of_an_empty_file_and_of_a_lone_log_the_truth_is_told() {
    let folder = with_ledger(1).await;
    let place = folder.path().join("nhi.db");
    let look = |why: &str| {
        for command in ["show", "verify", "salvage"] {
            let (code, said) = in_folder(folder.path(), &["ledger", command]);
            assert!(code == Some(1) && said.contains("E-LEDGER-MISSING"), "{code:?}: {said}");
            assert!(said.contains(why) && said.contains("the next apply"), "{said}");
        }
    };
    std::fs::write(&place, "").unwrap();
    look("is an empty file");
    std::fs::remove_file(&place).unwrap();
    look("is not there");
    std::fs::write(folder.path().join("nhi.db-wal"), "x").unwrap();
    look("nhi.db-wal belongs to a file that was there");
}

#[test]
fn a_state_that_declares_nothing_of_ours_is_not_in_sync() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("other.tfstate");
    std::fs::write(&state, r#"{"format_version": "1.0"}"#).unwrap();
    let words = ["--quiet", "drift", "--state", state.to_str().unwrap()];
    let (code, said) = with("ledger = { none = true }", &words);
    assert!(code == Some(1) && said.contains("E-DRIFT-NOTHING"), "{code:?}: {said}");
}

#[tokio::test]
async fn a_ledger_that_declares_nothing_is_not_in_sync() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("nhi.hcl");
    std::fs::write(&config, "").unwrap();
    let loaded = wiring::load(config.to_str()).unwrap();
    let ledger = loaded.context("nhi", "command").unwrap().ledger;
    let entry = ledger::NewEntry::new(1, "attempt.ended", "bao/openbao_approle/invoice-sync");
    ledger.append(vec![entry], ledger::Durability::Durable).await.unwrap();
    drop(ledger);
    for format in ["text", "json"] {
        let words = ["--config", config.to_str().unwrap(), "drift", "--format", format];
        let done = nhi(&words).output().unwrap();
        let said = String::from_utf8([done.stdout, done.stderr].concat()).unwrap();
        let told = said.contains("E-DRIFT-NOTHING") && said.contains("nhi drift --state -");
        assert!(done.status.code() == Some(1) && told, "{:?}: {said}", done.status.code());
    }
}

#[tokio::test]
async fn a_ledger_that_saw_all_end_is_in_sync_and_one_that_began_anew_is_not() {
    use ledger::{Change, inventory::Origin};
    const ID: &str = "bao/openbao_approle/invoice-sync";
    let (integration, tenant) = (ID.to_owned(), "cluster".to_owned());
    let made =
        Change::Integration { integration: integration.clone(), tenant, origin: Origin::Declared };
    let document = Some(serde_json::json!({ "ttl": "1h" }));
    let facet = "settings".to_owned();
    let declared = Change::Declared { integration: integration.clone(), facet, document };
    let ended = Change::Ended { integration };
    for (saw_it_declared, expected) in [(true, Some(0)), (false, Some(1))] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("nhi.hcl"), "").unwrap();
        let config = folder.path().join("nhi.hcl");
        let ledger =
            wiring::load(config.to_str()).unwrap().context("nhi", "command").unwrap().ledger;
        let entry = |kind: &str, changes: &[&Change]| {
            let entry = ledger::NewEntry::new(1, kind, ID);
            changes.iter().fold(entry, |entry, change| entry.change((*change).clone()))
        };
        let first = saw_it_declared.then(|| entry("integration.created", &[&made, &declared]));
        let entries = first.into_iter().chain([entry("integration.destroyed", &[&ended])]);
        ledger.append(entries.collect(), ledger::Durability::Durable).await.unwrap();
        ledger.close().await.unwrap();
        let (code, said) = in_folder(folder.path(), &["drift"]);
        assert_eq!(code, expected, "{saw_it_declared}: {said}");
        assert_eq!(said.contains("saw all that was declared end"), saw_it_declared, "{said}");
        assert_eq!(said.contains("E-DRIFT-NOTHING"), !saw_it_declared, "{said}");
    }
}

/// A folder with a configuration and a ledger of so many entries.
async fn with_ledger(entries: i64) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("nhi.hcl");
    std::fs::write(&config, "").unwrap();
    let loaded = wiring::load(config.to_str()).unwrap();
    let ledger = loaded.context("nhi", "command").unwrap().ledger;
    for at in 1..=entries {
        let entry = ledger::NewEntry::new(at, "declared", "bao/openbao_approle/invoice-sync");
        let entry = entry.detail("note", at);
        ledger.append(vec![entry], ledger::Durability::Durable).await.unwrap();
    }
    ledger.close().await.unwrap();
    folder
}

#[tokio::test]
async fn of_a_file_that_is_malformed_verify_lists_what_is_wrong_and_does_not_send_to_itself() {
    let folder = with_ledger(200).await;
    let file = folder.path().join("nhi.db");
    let mut bytes = std::fs::read(&file).unwrap();
    // Where the tables begin; what is on the pages behind is whole.
    bytes[4096..6 * 4096].fill(0xA5);
    std::fs::write(&file, bytes).unwrap();
    let (code, said) = in_folder(folder.path(), &["ledger", "verify"]);
    assert!(code == Some(4) && said.contains("malformed"), "{code:?}: {said}");
    assert!(said.contains("nhi ledger salvage") && !said.contains("nhi ledger verify"), "{said}");
    let (code, said) = in_folder(folder.path(), &["ledger", "verify", "--format", "json"]);
    let told: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert!(code == Some(4) && told["head"].is_null() && told["sound"] == false, "{said}");
    let (code, said) = in_folder(folder.path(), &["ledger", "salvage"]);
    assert!(code == Some(0) && said.contains("201 entries kept, none lost"), "{code:?}: {said}");
    assert_eq!(in_folder(folder.path(), &["ledger", "verify"]).0, Some(0));
}

fn in_folder(folder: &Path, words: &[&str]) -> (Option<i32>, String) {
    let done = nhi(words).current_dir(folder).output().unwrap();
    (done.status.code(), String::from_utf8([done.stdout, done.stderr].concat()).unwrap())
}

#[tokio::test]
async fn whoever_looks_into_a_ledger_that_was_changed_is_told() {
    let folder = with_ledger(5).await;
    let (code, said) = in_folder(folder.path(), &["ledger", "show"]);
    assert!(code == Some(0) && !said.contains("Warning"), "{code:?}: {said}");
    let path = folder.path().join("nhi.db");
    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes.windows(7).position(|window| window == b"note\":3").unwrap();
    bytes[at + 6] = b'8';
    std::fs::write(&path, bytes).unwrap();
    for words in [&["ledger", "show"][..], &["ledger", "show", "--last", "1", "--format", "json"]] {
        let (code, said) = in_folder(folder.path(), words);
        assert!(code == Some(4) && said.contains("broken at entry 4"), "{code:?}: {said}");
        assert!(said.contains("Next: ") && said.contains("nhi ledger salvage"), "{said}");
    }
    assert_eq!(in_folder(folder.path(), &["ledger", "salvage"]).0, Some(0));
    assert_eq!(in_folder(folder.path(), &["ledger", "show"]).0, Some(0));
}

#[test]
fn a_folder_that_was_not_read_whole_has_no_clean_bill() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let look = |more: &[&str]| with("", &[&["doctor", "--hcl", path], more].concat());
    let (code, said) = look(&[]);
    assert!(code == Some(1) && said.contains("E-HCL"), "nothing is there {code:?}: {said}");
    std::fs::write(folder.path().join("good.tf"), "").unwrap();
    let (code, said) = look(&[]);
    assert!(code == Some(0) && said.contains("No slip"), "{code:?}: {said}");
    for more in [&["bao"][..], &["--format", "json", "bao"]] {
        let (code, said) = look(more);
        assert!(code == Some(1) && said.contains("cannot be used with"), "{code:?}: {said}");
    }
    std::fs::write(folder.path().join("broken.tf"), "resource {").unwrap();
    let (code, said) = look(&[]);
    assert!(code == Some(1) && !said.contains("No slip"), "{code:?}: {said}");
}

#[test]
fn of_what_does_not_answer_or_open_the_doctor_says_no_good() {
    let place = tempfile::NamedTempFile::new().unwrap();
    let config = r#"
        ledger = { none = true }
        connections = {
          bao  = { openbao = { address = "http://127.0.0.1:9", credential = { file = "PLACE" } } }
          disk = { file = { folder = "PLACE" } }
        }
    "#;
    let config = config.replace("PLACE", place.path().to_str().unwrap());
    std::fs::write(place.path(), "token").unwrap();
    for name in ["bao", "disk"] {
        let (code, said) = with(&config, &["doctor", name]);
        assert!(code == Some(1) && said.contains('✗') && !said.contains('✓'), "{said}");
    }
}

#[test]
fn of_a_configuration_without_a_connection_the_doctor_says_what_is_missing_and_how_it_is_added() {
    for config in ["", "connections = {}", "ledger = { none = true }"] {
        let (code, said) = with(config, &["doctor"]);
        assert!(code == Some(1) && said.contains("✗ connections: "), "{config:?} {code:?}: {said}");
        let helps = said.contains("connections = { bao = ") && said.contains("jupyterhub");
        assert!(helps && said.contains("nhi init"), "{said}");
    }
    // What it says can be pasted.
    let (_, said) = with("", &["doctor"]);
    let line = said.split("such as ").nth(1).unwrap().split(", or copy").next().unwrap();
    let config = wiring::Config::read(&wiring::Node::parse_hcl(line).unwrap()).unwrap();
    assert!(config.connections.contains_key("bao"), "{line}");
}

#[test]
fn a_scan_of_what_holds_no_integrations_is_not_an_empty_world() {
    let disk = "ledger = { none = true }\nconnections = { disk = { file = { folder = \".\" } } }";
    for words in [&["scan"][..], &["scan", "disk"], &["scan", "--format", "json"]] {
        let (code, said) = with(disk, words);
        assert!(code == Some(1) && said.contains("E-KIND"), "{words:?} {code:?}: {said}");
    }
    let dead = r#"connections = { bao = { openbao = { address = "http://127.0.0.1:9", credential = { env = "NONE" } } } }"#;
    let (code, said) = with(dead, &["scan"]);
    assert!(code == Some(1) && !said.contains("OWNER"), "no heading above nothing: {said}");
}

#[tokio::test]
async fn whatever_is_told_to_programs_says_in_one_form_how_it_ended() {
    let folder = with_ledger(1).await;
    let config = r#"
        connections = {
          bao  = { openbao = { address = "http://127.0.0.1:9", credential = { env = "T" } } }
          disk = { file = { folder = "safe" } }
        }
        custody = { connection = "disk", path = "nhi" }
        realm   = { id = "k3x9q2", key = { env = "KEY" } }
        ledger  = { sqlite = { path = "nhi.db" } }
    "#;
    let safe = folder.path().join("safe");
    std::fs::DirBuilder::new().mode(0o700).create(&safe).unwrap();
    for (name, text) in [
        ("nhi.hcl", config),
        ("main.tf", "resource \"nhi_scope\" \"x\" {\n  integration = nhi_integration.x.id\n}\n"),
    ] {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let id = "bao/openbao_approle/x";
    for (words, form, code, word) in [
        (&["scan"][..], "nhi-scan/1", 1, "failed"),
        (&["doctor", "disk"], "nhi-doctor/1", 0, "in_sync"),
        (&["doctor", "bao"], "nhi-doctor/1", 1, "failed"),
        (&["doctor", "--hcl", "."], "nhi-slips/1", 1, "failed"),
        (&["recover"], "nhi-recover/1", 0, "in_sync"),
        (&["ledger", "verify"], "nhi-ledger/1", 0, "in_sync"),
        // What ends in an error has one form too, whatever was asked.
        (&["scan", "disk"], "nhi-problem/1", 1, "failed"),
        (&["drift"], "nhi-problem/1", 1, "failed"),
        (&["rotate", id, "--yes"], "nhi-problem/1", 1, "failed"),
        (&["revoke", id, "--yes"], "nhi-problem/1", 1, "failed"),
        (&["recover", id, "--yes"], "nhi-problem/1", 1, "failed"),
        (&["ledger", "show", "--kind", "x"], "nhi-problem/1", 1, "failed"),
        (&["--config", "none.hcl", "doctor"], "nhi-problem/1", 1, "failed"),
    ] {
        let words = [words, &["--format", "json"]].concat();
        let mut command = nhi(&words);
        command.env("T", "t").env("KEY", "0123456789abcdef0123456789abcdef");
        let done = command.current_dir(folder.path()).output().unwrap();
        let said = String::from_utf8(done.stdout).unwrap();
        let told: serde_json::Value = serde_json::from_str(&said)
            .unwrap_or_else(|error| panic!("{words:?} is one object ({error}): {said:?}"));
        assert_eq!(told["format"], form, "{words:?}: {said}");
        let conditions = if code == 0 { vec![] } else { vec![word] };
        let outcome = serde_json::json!({ "code": code, "word": word, "conditions": conditions });
        assert_eq!(told["outcome"], outcome, "{words:?}: {said}");
        assert_eq!(done.status.code(), Some(code), "{words:?}: {said}");
        if form == "nhi-problem/1" {
            let code = told["problem"]["code"].as_str().unwrap();
            let text = String::from_utf8(done.stderr).unwrap();
            assert!(code.starts_with("E-") && text.contains(code), "people are told too: {text}");
            assert!(told["problem"]["next"].is_string(), "and what helps: {said}");
        }
    }
}

#[test]
fn help_and_the_version_are_no_failure() {
    for words in [&["--help"][..], &["drift", "--help"], &["--version"], &["help", "scan"]] {
        assert_eq!(code(words), Some(0), "{words:?}");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let mut child =
        nhi(&["completion", "bash"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!((child.wait().unwrap().code(), said.as_str()), (Some(0), ""));
}

#[cfg(target_os = "linux")]
#[test]
fn a_result_that_could_not_be_written_is_a_failure() {
    for words in [&["completion", "bash"][..], &["--help"]] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let status = nhi(words).stdout(full).stderr(Stdio::null()).status().unwrap();
        assert_eq!(status.code(), Some(1), "{words:?}");
    }
}

/// The soft and the hard limit of a process' core file.
#[cfg(target_os = "linux")]
fn core_limit(pid: &str) -> Vec<String> {
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    line.split_whitespace().skip(4).take(2).map(str::to_owned).collect()
}

#[cfg(target_os = "linux")]
#[test]
fn no_core_file_is_ever_written_unless_somebody_must_look() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("nhi.hcl");
    std::fs::write(&config, "ledger = { none = true }\n").unwrap();
    for (allow, expected) in [("0", vec!["0".to_owned(); 2]), ("1", core_limit("self"))] {
        // It waits for a state that does not come.
        let mut child = nhi(&["drift", "--state", "-"])
            .env("NHI_CONFIG", &config)
            .env("NHI_ALLOW_DUMP", allow)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let pid = child.id().to_string();
        let mut left = 100;
        while core_limit(&pid) != expected && left > 0 {
            left -= 1;
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        let found = core_limit(&pid);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(found, expected, "NHI_ALLOW_DUMP={allow}");
    }
}

/// A folder with what a pipeline has: a configuration, and a state with one integration whose end has
/// passed and one whose has not. Nothing outside is asked about either.
fn with_state(policy: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let third_party = |name: &str, ends: &str| {
        serde_json::json!({
            "address": format!("nhi_integration.{name}"), "type": "nhi_integration",
            "mode": "managed", "values": {
                "id": format!("none/third_party/{name}"), "kind": "third_party",
                "purpose": "Syncs invoices", "expires_on": ends, "third_party": {},
            },
        })
    };
    let all = [third_party("over", "2020-01-01"), third_party("lives", "2999-12-31")];
    let state = serde_json::json!({
        "format_version": "1.0", "values": { "root_module": { "resources": all } }
    });
    let config = "ledger = { none = true }\npolicy = { file = \"policy.hcl\" }\n";
    std::fs::write(folder.path().join("nhi.hcl"), config).unwrap();
    std::fs::write(folder.path().join("policy.hcl"), policy).unwrap();
    std::fs::write(folder.path().join("state.json"), state.to_string()).unwrap();
    folder
}

const COMPARE: [&str; 3] = ["drift", "--state", "state.json"];

#[test]
fn every_form_of_the_report_is_written_beside_the_result() {
    let folder = with_state("");
    let forms = ["text", "json", "markdown", "sarif", "junit", "html", "openmetrics", "github"];
    let reports: Vec<String> = forms
        .iter()
        .flat_map(|form| ["--report".to_owned(), format!("{form}=out.{form}")])
        .collect();
    let words: Vec<&str> = COMPARE.into_iter().chain(reports.iter().map(String::as_str)).collect();
    let (code, said) = in_folder(folder.path(), &words);
    assert!(code == Some(4) && said.contains("Holds: policy (exit 4)."), "{code:?}: {said}");
    for form in forms {
        let text = std::fs::read_to_string(folder.path().join(format!("out.{form}"))).unwrap();
        let told = if form == "openmetrics" { "rule=\"expired\"" } else { "party/over" };
        assert!(text.contains(told) && text.ends_with('\n'), "{form}: {text}");
        // The same goes to standard output where that is asked for.
        let (code, said) = in_folder(folder.path(), &[&COMPARE[..], &["--format", form]].concat());
        let same = said.contains(told) || form == "text";
        assert!(code == Some(4) && same, "{form} {code:?}: {said}");
    }
    let schema = include_str!("../../docs/schemas/drift.json");
    let schema = jsonschema::validator_for(&serde_json::from_str(schema).unwrap()).unwrap();
    let read = |name: &str| -> serde_json::Value {
        serde_json::from_str(&std::fs::read_to_string(folder.path().join(name)).unwrap()).unwrap()
    };
    assert!(schema.is_valid(&read("out.json")), "{}", read("out.json"));
    // Where a result is shown is a file that is there.
    let place = &read("out.sarif")["runs"][0]["results"][0]["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "nhi.hcl");
    let left = folder.path().read_dir().unwrap().count();
    assert_eq!(left, 3 + forms.len(), "nothing else is left there");
}

#[test]
fn a_report_that_cannot_be_written_is_a_failure_and_hides_no_other() {
    let folder = with_state("");
    let words = ["--report", "html=gone/a.html", "--report", "markdown=b.md"];
    let (code, said) = in_folder(folder.path(), &[&COMPARE[..], &words].concat());
    assert!(code == Some(1) && said.contains("E-REPORT"), "{code:?}: {said}");
    assert!(said.contains("Holds: policy"), "the result is told all the same: {said}");
    assert!(folder.path().join("b.md").is_file());
    for words in [
        &["--format", "json", "--report", "html=-"][..],
        &["--report", "json=-", "--report", "html=-"],
    ] {
        let (code, said) = in_folder(folder.path(), &[&COMPARE[..], words].concat());
        assert!(code == Some(1) && said.contains("standard output"), "{code:?}: {said}");
    }
    let (code, said) = in_folder(folder.path(), &[&COMPARE[..], &["--report", "json=-"]].concat());
    assert!(code == Some(4) && said.starts_with("{\"acceptances\""), "{code:?}: {said}");
}

#[test]
fn what_is_not_asked_for_is_counted_and_never_taken_for_fixed() {
    let folder = with_state("");
    let lives = [&COMPARE[..], &["--only", "none/*/lives"]].concat();
    let (code, said) = in_folder(folder.path(), &lives);
    assert!(code == Some(0) && said.contains("1 not asked for"), "{code:?}: {said}");
    let other = [&COMPARE[..], &["--exclude", "*/lives"]].concat();
    assert_eq!(in_folder(folder.path(), &other).0, Some(4));
    let none = [&COMPARE[..], &["--only", "bao/*"]].concat();
    let (code, said) = in_folder(folder.path(), &none);
    assert!(code == Some(1) && said.contains("E-DRIFT-NONE"), "{code:?}: {said}");
    // Code scanning would close what is not in the file.
    let sarif = ["--report", "sarif=now.sarif"];
    let (code, said) = in_folder(folder.path(), &[&lives[..], &sarif].concat());
    assert!(code == Some(1) && said.contains("E-REPORT-PARTIAL"), "{code:?}: {said}");
    assert!(!folder.path().join("now.sarif").exists());
    let (code, _) =
        in_folder(folder.path(), &[&COMPARE[..], &["--report", "sarif=then.sarif"]].concat());
    assert_eq!(code, Some(4));
    let previous = ["--previous", "then.sarif"];
    let (code, said) = in_folder(folder.path(), &[&lives[..], &sarif, &previous].concat());
    assert_eq!(code, Some(0), "{said}");
    let text = std::fs::read_to_string(folder.path().join("now.sarif")).unwrap();
    assert!(text.contains("third_party/over") && text.contains("\"carried\":true"), "{text}");
}

#[test]
fn what_is_there_now_can_be_accepted_until_a_day() {
    let folder = with_state("");
    let write = ["--write-baseline", "base.json", "--owner", "ann", "--reason", "INC-7"];
    let words = |day| [&COMPARE[..], &write, &["--ends-on", day]].concat();
    let (code, said) = in_folder(folder.path(), &words("2999-12-31"));
    assert!(code == Some(0) && said.contains("INC-7"), "{code:?}: {said}");
    let compare = [&COMPARE[..], &["--baseline", "base.json"]].concat();
    let (code, said) = in_folder(folder.path(), &compare);
    assert!(code == Some(0) && said.contains("1 accepted"), "{code:?}: {said}");
    assert_eq!(in_folder(folder.path(), &COMPARE).0, Some(4), "without it all is as it was");
    assert_eq!(in_folder(folder.path(), &words("2020-01-01")).0, Some(4));
    let (code, said) = in_folder(folder.path(), &compare);
    assert!(code == Some(4) && said.contains("accepted until 2020-01-01"), "{code:?}: {said}");
    let (code, said) = in_folder(folder.path(), &[&COMPARE[..], &["--baseline", "none"]].concat());
    assert!(code == Some(1) && said.contains("E-BASELINE"), "{code:?}: {said}");
    // Nobody accepts anything without a name, a reason and an end.
    let nameless = [&COMPARE[..], &["--write-baseline", "base.json"]].concat();
    assert_eq!(in_folder(folder.path(), &nameless).0, Some(1));
}

#[test]
fn a_waiver_of_the_policy_counts_until_its_day_and_is_always_shown() {
    let policy = |day: &str| {
        format!(
            "waivers = [{{ rule = \"expired\", object = \"none/third_party/over\", facet = \"*\", \
             reason = \"INC-7\", owner = \"ann\", approver = \"eli\", ends_on = \"{day}\" }}]"
        )
    };
    let (code, said) = in_folder(with_state(&policy("2999-12-31")).path(), &COMPARE);
    assert!(code == Some(0) && said.contains("ann, eli agreed"), "{code:?}: {said}");
    let folder = with_state(&policy("2020-01-01"));
    let (code, said) = in_folder(folder.path(), &[&COMPARE[..], &["--format", "json"]].concat());
    assert_eq!(code, Some(4));
    let told: serde_json::Value = serde_json::from_str(&said).unwrap();
    let rules: Vec<_> =
        told["findings"].as_array().unwrap().iter().map(|one| &one["rule"]).collect();
    assert!(rules.iter().any(|rule| **rule == "waiver-expired"), "{said}");
    assert!(rules.iter().any(|rule| **rule == "expired"), "{said}");
}

#[test]
fn a_job_of_github_s_has_the_report_on_its_page() {
    let folder = with_state("");
    let summary = folder.path().join("summary.md");
    let run = |actions: &str| {
        let mut command = nhi(&[&COMPARE[..], &["--format", "github"]].concat());
        command.current_dir(folder.path()).env("GITHUB_ACTIONS", actions);
        let done = command.env("GITHUB_STEP_SUMMARY", &summary).output().unwrap();
        String::from_utf8(done.stdout).unwrap()
    };
    assert!(run("false").starts_with("::error file=nhi.hcl,line=1,title="));
    assert!(!summary.exists());
    std::fs::write(&summary, "what a step before wrote\n").unwrap();
    run("true");
    let text = std::fs::read_to_string(&summary).unwrap();
    assert!(text.starts_with("what a step before wrote\n<!-- nhi:drift -->"), "{text}");
}

#[test]
fn a_core_shows_the_state_of_a_folder_and_is_told_no_secret_of_ours() {
    use std::os::unix::fs::PermissionsExt;
    let folder = with_state("");
    let config =
        "ledger = { none = true }\nrealm = { id = \"k3x9q2\", key = { env = \"OUR_KEY\" } }\n";
    std::fs::write(folder.path().join("nhi.hcl"), config).unwrap();
    let bin = folder.path().join("bin");
    let root = folder.path().join("root");
    for folder in [&bin, &root] {
        std::fs::create_dir(folder).unwrap();
    }
    std::fs::rename(folder.path().join("state.json"), root.join("state.json")).unwrap();
    // A stand-in that says what it was started with.
    let core = bin.join("terraform");
    std::fs::write(
        &core,
        "#!/bin/sh\necho \"$*\" > said; /usr/bin/env > env; /bin/cat state.json\n",
    )
    .unwrap();
    std::fs::set_permissions(&core, PermissionsExt::from_mode(0o755)).unwrap();
    let run = |path: &Path, place: &str| {
        let mut command = nhi(&["drift", "--workdir", place]);
        command.current_dir(folder.path()).env("PATH", path).env("OUR_KEY", "k".repeat(32));
        let done = command.env("BACKEND_TOKEN", "b").output().unwrap();
        (done.status.code(), String::from_utf8([done.stdout, done.stderr].concat()).unwrap())
    };
    let (code, said) = run(&bin, "root");
    assert!(code == Some(4) && said.contains("third_party/over"), "{code:?}: {said}");
    assert_eq!(std::fs::read_to_string(root.join("said")).unwrap().trim(), "show -json -no-color");
    let env = std::fs::read_to_string(root.join("env")).unwrap();
    assert!(env.contains("BACKEND_TOKEN=b") && !env.contains("OUR_KEY"), "{env}");
    let (code, said) = run(&root, "root");
    assert!(code == Some(1) && said.contains("on the PATH"), "{code:?}: {said}");
    let (code, said) = run(&bin, "gone");
    assert!(code == Some(1) && said.contains("E-STATE"), "{code:?}: {said}");
    std::fs::write(&core, "#!/bin/sh\necho no backend >&2; exit 1\n").unwrap();
    let (code, said) = run(&bin, "root");
    assert!(code == Some(1) && said.contains("no backend"), "{code:?}: {said}");
}
