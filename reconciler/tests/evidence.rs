//! Evidence and checkpoints as an operator and an auditor see them: the real program, a real file.

use std::{
    fs,
    path::Path,
    process::{Command, Output, Stdio},
};

use ledger::{Change, Durability, Ledger as _, MemoryLedger, NewEntry, export};

const ID: &str = "bao/openbao_approle/invoice-sync";

/// A folder with a configuration and a ledger of so many entries, in a file.
fn place(entries: i64) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("nhi.hcl"), "ledger = { sqlite = { path = \"nhi.db\" } }\n")
        .unwrap();
    fs::write(folder.path().join("history.jsonl"), history(entries, "")).unwrap();
    says(&nhi(folder.path(), &["ledger", "import", "history.jsonl"]), 0);
    folder
}

/// A history as nhi ledger export writes it; another word makes it another one from the third entry on.
fn history(entries: i64, word: &str) -> Vec<u8> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let ledger = MemoryLedger::new();
        let entry = |at| {
            let mut entry = NewEntry::new(1_764_000_000_000 + at, "attempt.ended", ID);
            entry.request_id = Some(format!("req-{at}{}", if at > 2 { word } else { "" }));
            entry.outcome = Some("done".to_owned());
            entry
        };
        let declared = NewEntry::new(1_764_000_000_000, "declared", ID).change(Change::Declared {
            integration: ID.to_owned(),
            facet: "record".to_owned(),
            document: Some(serde_json::json!({ "purpose": "Sends invoices" })),
        });
        let all = std::iter::once(declared).chain((1..entries).map(entry)).collect();
        ledger.append(all, Durability::Durable).await.unwrap();
        let mut lines = Vec::new();
        export::write(&ledger, &mut lines).await.unwrap();
        lines
    })
}

fn nhi(folder: &Path, words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nhi"));
    command.args(words).current_dir(folder).env_clear().stdin(Stdio::null());
    command.output().unwrap()
}

/// What it printed, both streams; it must end so.
fn says(done: &Output, code: i32) -> String {
    let said = [&done.stdout[..], &done.stderr[..]].concat();
    let said = String::from_utf8(said).unwrap();
    assert_eq!(done.status.code(), Some(code), "{said}");
    said
}

fn put_in_place(folder: &Path, entries: i64, word: &str) {
    for name in ["nhi.db", "nhi.db-wal", "nhi.db-shm"] {
        let _ = fs::remove_file(folder.join(name));
    }
    fs::write(folder.join("history.jsonl"), history(entries, word)).unwrap();
    says(&nhi(folder, &["ledger", "import", "history.jsonl"]), 0);
}

#[test]
fn a_ledger_that_was_cut_or_rewritten_is_found_against_a_checkpoint_and_not_signed_over_it() {
    let folder = place(9);
    let at = folder.path();
    let new = ["ledger", "checkpoint", "--new-key", "c.key", "--out", "c.note"];
    assert!(says(&nhi(at, &new), 0).contains("9 entries"));
    let key = fs::read_to_string(at.join("c.key")).unwrap();
    assert!(key.starts_with("PRIVATE+KEY+"));
    let verify = ["ledger", "verify", "--checkpoint", "c.note", "--key", "c.key.pub"];
    assert!(says(&nhi(at, &verify), 0).contains("the first 9 entries are those"));
    let json = says(&nhi(at, &[&verify[..], &["--format", "json"]].concat()), 0);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["checkpoints"][0]["holds"], true, "{json}");
    let again = ["ledger", "checkpoint", "--key", "c.key", "--out", "c.note"];
    says(&nhi(at, &again), 0);
    let kept = fs::read(at.join("c.note")).unwrap();

    for (entries, word, what) in
        [(7, "", "there are 7: the end was cut off"), (9, "x", "rewritten"), (12, "x", "a fork")]
    {
        put_in_place(at, entries, word);
        says(&nhi(at, &["ledger", "verify"]), 0);
        let told = says(&nhi(at, &verify), 4);
        assert!(told.contains(what), "{told}");
        let told = says(&nhi(at, &again), 1);
        assert!(told.contains("E-CHECKPOINT-BROKEN"), "{told}");
        assert_eq!(fs::read(at.join("c.note")).unwrap(), kept, "it is left as it is");
    }
    put_in_place(at, 12, "");
    says(&nhi(at, &verify), 0);

    // Another's key, or a word of it changed, and it is none.
    says(&nhi(at, &["ledger", "checkpoint", "--new-key", "d.key", "--out", "d.note"]), 0);
    let other = ["ledger", "verify", "--checkpoint", "c.note", "--key", "d.key.pub"];
    assert!(says(&nhi(at, &other), 1).contains("E-CHECKPOINT"));
    let forged = String::from_utf8(kept).unwrap().replace("\n9\n", "\n8\n");
    fs::write(at.join("c.note"), forged).unwrap();
    assert!(says(&nhi(at, &verify), 1).contains("not of this text"));
    let secret = ["ledger", "verify", "--checkpoint", "d.note", "--key", "d.key"];
    let told = says(&nhi(at, &secret), 1);
    assert!(told.contains("nobody else") && !told.contains(key.trim()), "{told}");
}

#[test]
fn evidence_is_checked_in_an_empty_folder_with_an_empty_environment() {
    let folder = place(9);
    let at = folder.path();
    says(&nhi(at, &["ledger", "checkpoint", "--new-key", "c.key", "--out", "c.note"]), 0);
    let make = ["evidence", ID, "--key", "c.key", "--format", "json", "--out", "e.json"];
    assert!(says(&nhi(at, &make), 0).contains("9 entries about"));
    let text = says(&nhi(at, &["evidence", ID]), 0);
    assert!(text.contains("request=req-4") && text.contains("NIST SP 800-53 AU-3"), "{text}");

    let empty = tempfile::tempdir().unwrap();
    for name in ["e.json", "c.key.pub"] {
        fs::copy(at.join(name), empty.path().join(name)).unwrap();
    }
    let verify = ["evidence", "verify", "e.json", "--checkpoint-key", "c.key.pub"];
    let told = says(&nhi(empty.path(), &verify), 0);
    assert!(told.contains("Proven: 9 entries are in the tree"), "{told}");
    assert!(told.contains("Claimed: that no entry about it was left out"), "{told}");
    let told = says(&nhi(empty.path(), &["evidence", "verify", "e.json"]), 3);
    assert!(told.contains("no key was named"), "{told}");
    let page = says(&nhi(empty.path(), &[&verify[..], &["--format", "html"]].concat()), 0);
    assert!(page.contains("<td>req-4</td>") && page.contains("Content-Security-Policy"));

    let whole = fs::read_to_string(empty.path().join("e.json")).unwrap();
    fs::write(empty.path().join("e.json"), whole.replace("req-4", "req-5")).unwrap();
    let told = says(&nhi(empty.path(), &verify), 4);
    assert!(told.contains("Wrong: entry 5") && told.contains("seal is of another"), "{told}");
    fs::write(empty.path().join("e.json"), whole.replace("\n  ", "\n ")).unwrap();
    assert!(says(&nhi(empty.path(), &verify), 1).contains("E-EVIDENCE-FILE"));
    let none = ["evidence", "bao/openbao_approle/nobody", "--format", "json"];
    assert!(says(&nhi(at, &none), 1).contains("E-EVIDENCE-NONE"));
}

#[test]
fn a_review_is_signed_with_the_key_of_somebody_who_may_and_is_evidence() {
    let folder = place(3);
    let at = folder.path();
    let make = |name: &str| {
        let mut keygen = Command::new("ssh-keygen");
        keygen.args(["-q", "-t", "ed25519", "-N", "", "-f", name]).current_dir(at);
        assert!(keygen.status().unwrap().success());
        fs::read_to_string(at.join(format!("{name}.pub"))).unwrap()
    };
    let (ann, _) = (make("ann"), make("bob"));
    let ann = ann.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
    let line = format!("ann@acme.example namespaces=\"nhi-approval@acme.example\" {ann}\n");
    fs::write(at.join("allowed_signers"), line).unwrap();
    fs::create_dir(at.join("approvals")).unwrap();
    let review = "review = { version = 1, domain = \"acme.example\", signers = \"allowed_signers\", \
                  approvals = \"approvals\", roles = { platform = [\"ann@acme.example\"] } }\n";
    fs::write(at.join("policy.hcl"), review).unwrap();
    let config =
        "ledger = { sqlite = { path = \"nhi.db\" } }\npolicy = { file = \"policy.hcl\" }\n";
    fs::write(at.join("nhi.hcl"), config).unwrap();

    let attest = |key: &str, id: &str, more: &[&str]| {
        let words = ["attest", id, "--decision", "keep", "--reason", "needed still", "--key", key];
        nhi(at, &[&words[..], more].concat())
    };
    let unasked = says(&attest("ann", ID, &[]), 1);
    assert!(unasked.contains("E-CONFIRM") && unasked.contains("Sends invoices"), "{unasked}");
    assert!(says(&attest("bob", ID, &["--yes"]), 1).contains("E-APPROVAL-SIGNER"));
    let nobody = says(&attest("ann", "bao/openbao_approle/nobody", &["--yes"]), 1);
    assert!(nobody.contains("E-ATTEST-UNKNOWN"), "{nobody}");
    assert_eq!(fs::read_dir(at.join("approvals")).unwrap().count(), 0, "nothing was kept");
    let done = says(&attest("ann", ID, &["--yes"]), 0);
    assert!(done.contains("Reviewed:") && done.contains("approvals"), "{done}");
    assert_eq!(fs::read_dir(at.join("approvals")).unwrap().count(), 1);
    // What is signed is shown whoever says yes, and beside what a program reads.
    assert!(done.contains("Sends invoices") && done.contains("reason: needed still"), "{done}");
    let json = attest("ann", ID, &["--yes", "--format", "json"]);
    let beside = String::from_utf8_lossy(&json.stderr).into_owned();
    assert!(json.status.success() && beside.contains("reason: needed still"), "{beside}");
    let told: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(told["decision"], "keep", "{told}");

    says(&nhi(at, &["ledger", "checkpoint", "--new-key", "c.key", "--out", "c.note"]), 0);
    let make = ["evidence", ID, "--key", "c.key", "--format", "json", "--out", "e.json"];
    says(&nhi(at, &make), 0);
    let empty = tempfile::tempdir().unwrap();
    for name in ["e.json", "c.key.pub", "allowed_signers"] {
        fs::copy(at.join(name), empty.path().join(name)).unwrap();
    }
    let verify = ["evidence", "verify", "e.json", "--checkpoint-key", "c.key.pub"];
    let trust = ["--signers", "allowed_signers", "--domain", "acme.example"];
    let told = says(&nhi(empty.path(), &[&verify[..], &trust].concat()), 0);
    assert!(told.contains("ann@acme.example reviewed") && told.contains("said keep"), "{told}");
    assert!(says(&nhi(empty.path(), &verify), 3).contains("who reviewed"));
    let whole = fs::read_to_string(at.join("e.json")).unwrap();
    assert!(!whole.contains("ann@acme"), "an entry has no names");
}
