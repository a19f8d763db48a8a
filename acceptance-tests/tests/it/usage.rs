//! What a real server's own audit log tells of who uses what, with the real core: a scope that nobody
//! uses is told until it is taken away, and a use that the platform does not tell of is known.

use std::{fs, thread, time::Duration};

use acceptance_tests::{Core, Result, World, servers::openbao::OpenBao, world::nhi_hcl};
use serde_json::{Value, json};

use crate::{BASE, applied, holds};

const ID: &str = "bao/openbao_approle/invoice-sync";
const USED: &str = "secret/data/invoices/*:read";
const UNUSED: &str = "secret/metadata/invoices/*:list";

fn said(world: &World, words: &[&str], code: i32) -> Result<Value> {
    let ran = world.nhi(&[words, &["--format", "json"]].concat())?.expect(code)?;
    let line = ran.lines().find(|line| line.starts_with('{')).unwrap_or_default();
    serde_json::from_str(line).map_err(|error| format!("{error}: {ran}"))
}

/// The scopes that `nhi drift` tells to be unused.
fn unused(world: &World) -> Result<Vec<String>> {
    let ran = world.nhi(&["drift", "--format", "json"])?;
    let line = ran.said.lines().find(|line| line.starts_with('{')).unwrap_or_default();
    let report: Value = serde_json::from_str(line).map_err(|error| format!("{error}: {line}"))?;
    let found = report["findings"].as_array().cloned().unwrap_or_default();
    let found = found.iter().filter(|one| one["rule"] == "scope-unused");
    Ok(found.filter_map(|one| one["actual"].as_str().map(str::to_owned)).collect())
}

/// A world whose server writes an audit log.
fn audited(main: &str, story: impl Fn(&World, &str) -> Result<()>) {
    for core in Core::all().unwrap() {
        let path = core.path.display().to_string();
        let outside = tempfile::tempdir().unwrap();
        let log = outside.path().join("audit.log").display().to_string();
        let hcl =
            format!("audit \"file\" \"log\" {{\n  options = {{ file_path = \"{log}\" }}\n}}\n");
        let config = outside.path().join("audit.hcl");
        fs::write(&config, hcl).unwrap();
        let mut world = World::new(core, main).unwrap();
        world.bao =
            OpenBao::start_with(&["-dev".to_owned(), format!("-config={}", config.display())])
                .unwrap();
        world.write("nhi.hcl", &nhi_hcl(&world.bao.address())).unwrap();
        if let Err(error) = story(&world, &log).and_then(|()| world.no_secret_leaked(&[])) {
            panic!("{path}: {error}");
        }
    }
}

#[test]
fn a_scope_that_a_server_s_own_log_does_not_show_in_use_is_told_until_it_is_taken_away() {
    let both = BASE.replace(&format!("[\"{USED}\"]"), &format!("[\"{USED}\", \"{UNUSED}\"]"));
    audited(&both, |world, log| {
        world.apply()?;
        world.bao.post(
            "/v1/secret/data/invoices/tonight",
            json!({ "data": { "text": "an invoice of tonight" } }),
        )?;
        let hcl = world.read("nhi.hcl")?;
        world.write("nhi.hcl", &format!("{hcl}\npolicy = {{ file = \"policy.hcl\" }}\n"))?;
        world.write("policy.hcl", "findings = { dormant_after = \"8s\" }\n")?;
        let import = ["usage", "import", log, "--connection", "bao"];
        let first = said(world, &import, 0)?;
        holds(first["uses"].as_u64() > Some(0), "our own sign-in is in it", &first.to_string())?;
        holds(first["foreign"] == 0 && first["unreadable"] == 0, "all of it", &first.to_string())?;
        holds(unused(world)?.is_empty(), "too early to tell", "")?;
        // The application works on, by what it was delivered.
        thread::sleep(Duration::from_secs(9));
        let document = world.bao.document("apps/invoice-sync")?;
        let status = world.bao.status_for(&document, "GET", "/v1/secret/data/invoices/tonight")?;
        holds(status == 200, "it reads", &status.to_string())?;
        holds(unused(world)?.is_empty(), "what no log tells is not known", "")?;
        let second = said(world, &import, 0)?;
        let rows = &second["integrations"][0]["logs"][0];
        let key =
            world.state("nhi_credential.it")?["key_id"].as_str().unwrap_or_default().to_owned();
        holds(rows["keys"][&key].is_string(), "by its mark", &second.to_string())?;
        let told = unused(world)?;
        holds(told == [UNUSED], "the one that nobody uses", &format!("{told:?} {second}"))?;
        world.write("main.tf", BASE)?;
        world.apply()?;
        let told = unused(world)?;
        holds(told.is_empty(), "it is taken away", &format!("{told:?}"))
    });
}

#[test]
fn lines_of_our_own_form_are_taken_in_and_what_is_wrong_with_them_is_counted() {
    applied(|world| {
        let at = |second: u32| format!("2026-11-22T08:30:{second:02}Z");
        let key = world.state("nhi_credential.it")?["key_id"].clone();
        let lines = [
            json!({ "at": at(1), "integration": ID, "key": key, "scope": "secret/data/invoices/x:read" }),
            json!({ "at": at(2), "integration": "bao/openbao_approle/other" }),
            json!({ "at": "yesterday", "integration": ID }),
        ];
        let text: Vec<String> = lines.iter().map(Value::to_string).collect();
        world.write("uses.jsonl", &format!("{}\nno line\n", text.join("\n")))?;
        let import = ["usage", "import", "uses.jsonl", "--source", "gateway"];
        let shown = said(world, &[&import[..], &["--dry-run"]].concat(), 3)?;
        holds(shown["uses"] == 1 && shown["unknown"] == 1, "what is known", &shown.to_string())?;
        holds(shown["unreadable"] == 2, "what is not", &shown.to_string())?;
        holds(
            said(world, &["usage", "list"], 0)?["integrations"] == json!([]),
            "nothing is kept",
            "",
        )?;
        said(world, &import, 3)?;
        let known = said(world, &["usage", "list"], 0)?;
        let log = &known["integrations"][0]["logs"][0];
        let scope = json!(at(1));
        holds(log["scopes"][0]["last_used"] == scope, "by what covers it", &known.to_string())?;
        let none = world.nhi(&["usage", "import", "none.jsonl", "--source", "gateway"])?;
        holds(none.code == 1 && none.said.contains("none.jsonl"), "it is named", &none.said)?;
        world.nhi(&["ledger", "verify"])?.expect(0).map(drop)
    });
}
