//! A secret that stands where it should not be, with real files, a real Git and a real server: it is told
//! by its place alone, and what works is rotated by the next apply.

use std::{fs, path::Path, process::Command};

use acceptance_tests::{Result, World};
use serde_json::{Value, json};

use crate::{applied, holds, nothing_is_left_to_do, one_credential_works};

const SLOT: &str = "bao/openbao_approle/invoice-sync/credential/default";

fn git(folder: &Path, words: &[&str]) -> Result<()> {
    let mut command = Command::new("git");
    command.arg("-C").arg(folder).args(["-c", "user.name=x", "-c", "user.email=x@acme.example"]);
    let ran = command.args(words).output().map_err(|error| format!("git: {error}"))?;
    match ran.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&ran.stderr).into_owned()),
    }
}

fn leaks(world: &World, words: &[&str], code: i32) -> Result<Value> {
    let ran = world.nhi(&[&["leaks", "--format", "json"][..], words].concat())?.expect(code)?;
    let line = ran.lines().find(|line| line.starts_with('{')).unwrap_or_default();
    serde_json::from_str(line).map_err(|error| format!("{error}: {ran}"))
}

fn secret(world: &World) -> Result<String> {
    let document = world.bao.document("apps/invoice-sync")?;
    document["secret_id"].as_str().map(str::to_owned).ok_or("no secret id is delivered".to_owned())
}

#[test]
fn a_delivered_secret_that_somebody_commits_is_exposed_in_the_next_plan() {
    applied(|world| {
        let old = world.bao.document("apps/invoice-sync")?;
        let text = secret(world)?;
        // What this world writes is searched for its secrets, and this is not of its making.
        let outside = tempfile::tempdir().map_err(|error| error.to_string())?;
        let folder = outside.path();
        let path = folder.display().to_string();
        let write = |name: &str, text: &str| {
            let file = folder.join(name);
            fs::create_dir_all(file.parent().unwrap_or(folder))
                .map_err(|error| error.to_string())?;
            fs::write(file, text).map_err(|error| error.to_string())
        };
        git(folder, &["init", "-q"])?;
        write("README.md", "# deploys invoice-sync\n")?;
        write("deploy/prod.env", &format!("ROLE=invoice-sync\nSECRET_ID=\"{text}\"\n"))?;
        git(folder, &["add", "."])?;
        git(folder, &["commit", "-q", "-m", "deploy"])?;

        let shown = leaks(world, &[&path, "--dry-run"], 4)?;
        let found = &shown["found"][0];
        let place = json!({ "file": "deploy/prod.env", "line": 2, "commit": null });
        holds(found["id"] == SLOT && found["works"] == true, "which it is", &shown.to_string())?;
        holds(found["places"] == json!([place]), "where it stands", &shown.to_string())?;
        world.plan_is_empty()?;
        world.nhi(&["leaks", &path, "--format", "json"])?.expect(1)?;

        let kept = leaks(world, &[&path, "--yes"], 4)?;
        holds(kept["found"][0]["signal"]["known"] == false, "it is kept", &kept.to_string())?;
        let plan = world.terraform(&["plan", "-detailed-exitcode"])?.expect(2)?;
        holds(plan.contains("exposed"), "the plan says why", &plan)?;
        let again = leaks(world, &[&path, "--yes"], 4)?;
        holds(again["found"][0]["signal"]["known"] == true, "once", &again.to_string())?;
        world.apply()?;
        holds(!world.bao.signs_in(&old)?, "what was committed is refused", "")?;
        one_credential_works(world, 0)?;
        nothing_is_left_to_do(world)?;

        // It stands there still, and is of no use to anybody.
        let ended = leaks(world, &[&path, "--yes"], 0)?;
        holds(ended["found"][0]["works"] == false, "it has ended", &ended.to_string())?;
        nothing_is_left_to_do(world)?;
        // Git remembers what was taken out.
        let current = secret(world)?;
        write("deploy/prod.env", &format!("SECRET_ID=\"{current}\"\n"))?;
        git(folder, &["commit", "-q", "-a", "-m", "the new one"])?;
        write("deploy/prod.env", "SECRET_ID=\"read from the store\"\n")?;
        git(folder, &["commit", "-q", "-a", "-m", "out with it"])?;
        let files = leaks(world, &[&path, "--dry-run"], 0)?;
        holds(files["found"] == json!([]), "no file has it", &files.to_string())?;
        let history = leaks(world, &[&path, "--history", "--dry-run"], 4)?;
        let works: Vec<&Value> = history["found"].as_array().into_iter().flatten().collect();
        let live = works.iter().find(|one| one["works"] == true).ok_or("the live one is found")?;
        let place = &live["places"][0];
        holds(
            place["file"] == "deploy/prod.env" && place["commit"].is_string(),
            "with its commit",
            &history.to_string(),
        )
    });
}

#[test]
fn what_a_scanner_reports_is_told_where_it_is_ours_and_the_rest_is_not() {
    applied(|world| {
        let text = secret(world)?;
        let outside = tempfile::tempdir().map_err(|error| error.to_string())?;
        let file = outside.path().join("gitleaks.json");
        let path = file.display().to_string();
        // As gitleaks 8 writes it.
        let leak = |secret: &str, file: &str| {
            json!({
                "RuleID": "generic-api-key", "Description": "Detected a Generic API Key", "StartLine": 7,
                "EndLine": 7, "StartColumn": 2, "EndColumn": 48, "Match": format!("SECRET_ID={secret}"),
                "Secret": secret, "File": file, "SymlinkFile": "", "Commit": "", "Entropy": 3.9,
                "Author": "", "Email": "", "Date": "", "Message": "", "Tags": [],
                "Fingerprint": format!("{file}:generic-api-key:7")
            })
        };
        let report =
            json!([leak(&text, "a.env"), leak("ghp_0000000000000000000000000000000000000", "b")]);
        fs::write(&file, report.to_string()).map_err(|error| error.to_string())?;
        let told = leaks(world, &["--report", &path, "--dry-run"], 4)?;
        holds(told["found"].as_array().map(Vec::len) == Some(1), "ours alone", &told.to_string())?;
        holds(told["found"][0]["places"][0]["file"] == "a.env", "its place", &told.to_string())?;
        let redacted = json!([leak("REDACTED", "a.env")]);
        fs::write(&file, redacted.to_string()).map_err(|error| error.to_string())?;
        let told = leaks(world, &["--report", &path, "--dry-run"], 3)?;
        holds(told["left_out"][0]["count"] == 2, "what was left out", &told.to_string())?;
        fs::write(&file, "{}").map_err(|error| error.to_string())?;
        let refused = world.nhi(&["leaks", "--report", &path, "--dry-run"])?.expect(1)?;
        holds(refused.contains("E-LEAKS-REPORT"), "it is no report", &refused)
    });
}

#[test]
fn a_copy_of_a_secret_in_another_document_is_told_until_it_is_gone() {
    applied(|world| {
        let text = secret(world)?;
        let copied = json!({ "data": { "TOKEN": text, "HOST": "build-7.ci.acme.example" } });
        world.bao.post("/v1/secret/data/ci/variables", copied)?;
        let places = ["--sink", "bao:secret/ci", "--sink", "bao:secret/apps"];
        let told = leaks(world, &[&places[..], &["--dry-run"]].concat(), 4)?;
        holds(told["found"].as_array().map(Vec::len) == Some(1), "one", &told.to_string())?;
        let place =
            json!([{ "file": "bao:secret/ci/variables#TOKEN", "line": null, "commit": null }]);
        holds(told["found"][0]["places"] == place, "where it is not delivered", &told.to_string())?;
        world.bao.ask("DELETE", "/v1/secret/metadata/ci/variables", None)?;
        let told = leaks(world, &[&places[..], &["--dry-run"]].concat(), 0)?;
        holds(told["found"] == json!([]), "it is gone", &told.to_string())?;
        for wrong in ["bao", "bao:secret/nhi", "login:x"] {
            world.nhi(&["leaks", "--sink", wrong, "--dry-run"])?.expect(1)?;
        }
        Ok(())
    });
}
