//! The act in which a board reads a change, signs it, and nothing else is applied.

use std::{fs, process::Command};

use serde_json::Value;

use super::{Listener, MAIN, SAVED, apply, check, saved_plan};
use crate::{Result, World, core::ran, tools};

/// Who may sign what. In a demonstration nobody shows who asks, so that one more is needed than it says.
const POLICY: &str = r#"# Who must sign what before it is applied.
review = {
  version = 1
  domain  = "acme.example"
  signers = "allowed_signers"
  roles   = { security = ["sam@acme.example"] }
  owners  = { payments-platform = ["ann@acme.example"] }
  quorum  = {
    low  = { people = 0 }
    high = { people = 1, roles = ["owner", "security"] }
  }
}
"#;

const FEW: &str = "[\"secret/data/invoices/*:read\"]";
const MORE: &str = "[\"secret/data/invoices/*:read\", \"secret/data/payroll/*:read\"]";
/// The page for the board, and the evidence for whoever asks later.
const PAGE: &str = "review.html";
const EVIDENCE: &str = "evidence.json";

/// Tells the act. Where nobody can make a key it is left out, and said to be.
pub(super) fn tell(world: &World, listener: &mut dyn Listener) -> Result<()> {
    listener.step("A board reads a change, signs it, and nothing else is applied");
    if tools::need("ssh-keygen").is_err() {
        listener.holds(
            "left out: ssh-keygen is not on the PATH, so that nobody has a key to sign with",
        );
        return Ok(());
    }
    begin(world)?;
    world.write("main.tf", &MAIN.replace(FEW, MORE))?;
    saved_plan(world)?.expect(2)?;
    let said = world.terraform(&["apply", SAVED])?.expect(1)?;
    listener.said("terraform apply saved", refusal(&said));
    check(
        said.contains("E-APPROVAL-MISSING"),
        "a wider scope that nobody signed is refused",
        listener,
    )?;

    saved_plan(world)?.expect(2)?;
    let failed = |error: std::io::Error| error.to_string();
    let shown = world.core_command().args(["show", "-json", SAVED]).output().map_err(failed)?;
    fs::write(world.folder.join("plan.json"), &shown.stdout).map_err(failed)?;
    let read = [
        "review",
        "plan.json",
        "--keep",
        "--report",
        "html=review.html",
        "--report",
        "json=review.json",
    ];
    let said = world.nhi(&read)?.expect(0)?;
    listener.said("nhi review plan.json --keep --report html=review.html", said.trim_end());
    listener.holds(&format!("the page for the board: {}", world.folder.join(PAGE).display()));
    let review: Value =
        serde_json::from_str(&world.read("review.json")?).map_err(|error| error.to_string())?;
    let all = review["changes"].as_array().cloned().unwrap_or_default();
    let one = all.iter().find(|one| one["approved"] == false).ok_or("nobody is asked")?;
    let text = |name: &str| one[name].as_str().unwrap_or_default().to_owned();
    let (digest, hash) = (text("digest"), text("shown"));
    for (who, role) in [("ann", "owner"), ("sam", "security")] {
        let key = world.root().join(who).display().to_string();
        let words = ["approve", &digest, "--role", role, "--key", &key, "--shown", &hash];
        let words = [&words[..], &["--reason", "payroll closes with the ledger"]].concat();
        let said = world.nhi(&words)?.expect(0)?;
        listener.said(&format!("nhi approve … --role {role} --key {who}"), said.trim_end());
    }
    let said = world.nhi(&["gate", "plan.json"])?.expect(0)?;
    listener.said("nhi gate plan.json", said.trim_end());
    apply(world, listener)?;
    let policy = world.bao.get("/v1/sys/policies/acl/nhi/invoice-sync")?.to_string();
    check(policy.contains("payroll"), "what two people signed is applied", listener)?;

    let key = ["ledger", "checkpoint", "--new-key", "checkpoint.key"];
    world.nhi(&key)?.expect(0)?;
    let words = ["evidence", "--change", &digest, "--key", "checkpoint.key"];
    let words = [&words[..], &["--format", "json", "--out", EVIDENCE]].concat();
    world.nhi(&words)?.expect(0)?;
    let said = verified(world)?;
    listener
        .said("nhi evidence verify evidence.json   (in an empty folder, with nothing else)", &said);
    listener.holds("who approved what is shown to somebody who has the file and the keys alone");
    world.no_secret_leaked(&[PAGE, EVIDENCE])
}

/// The policy, and two people with keys.
fn begin(world: &World) -> Result<()> {
    let mut signers = String::new();
    for who in ["ann", "sam"] {
        let (file, name) = (world.root().join(who), format!("{who}@acme.example"));
        let mut command = Command::new("ssh-keygen");
        command.args(["-q", "-t", "ed25519", "-N", "", "-C", &name, "-f"]).arg(&file);
        ran(&mut command)?.expect(0)?;
        let public = fs::read_to_string(file.with_extension("pub"));
        signers += &format!("{name} {}", public.map_err(|error| error.to_string())?);
    }
    world.write("allowed_signers", &signers)?;
    world.write("policy.hcl", POLICY)?;
    fs::create_dir_all(world.folder.join("approvals")).map_err(|error| error.to_string())?;
    let hcl = world.read("nhi.hcl")?;
    world.write("nhi.hcl", &format!("{hcl}policy  = {{ file = \"policy.hcl\" }}\n"))
}

/// The part of what a core said that tells why.
fn refusal(said: &str) -> &str {
    said.find("Error: Change not approved").map_or(said, |at| said[at..].trim_end())
}

/// Checks the evidence in a folder that has nothing but it and whom one trusts, without any variable.
fn verified(world: &World) -> Result<String> {
    let folder = world.root().join("auditor");
    let failed = |error: std::io::Error| error.to_string();
    fs::create_dir_all(&folder).map_err(failed)?;
    for name in [EVIDENCE, "allowed_signers", "checkpoint.key.pub"] {
        fs::copy(world.folder.join(name), folder.join(name)).map_err(failed)?;
    }
    let mut command = Command::new(&world.programs.nhi);
    command.current_dir(&folder).env_clear().args(["evidence", "verify", EVIDENCE]);
    command.args(["--checkpoint-key", "checkpoint.key.pub", "--signers", "allowed_signers"]);
    command.args(["--domain", "acme.example"]);
    Ok(ran(&mut command)?.expect(0)?.trim_end().to_owned())
}
