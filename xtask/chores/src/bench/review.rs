//! How long it takes to read many changes, and to ask of one whether it is approved where many approvals lie.

use std::{fs, path::Path, process::Command};

use clap::Args;
use serde_json::{Value, json};

use super::{median, process::measure};
use xtask::shell::{Result, released_nhi};

/// A plan that is read, and a gate that is asked.
#[derive(Debug, Args)]
pub(crate) struct Review {
    /// How many changes the plan has.
    #[arg(long, default_value_t = 10_000)]
    changes: usize,

    /// How many changes the folder has approvals of.
    #[arg(long, default_value_t = 10_000)]
    approvals: usize,
}

const RUNS: usize = 3;

impl Review {
    pub(crate) fn run(self) -> Result<()> {
        let nhi = released_nhi()?;
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        prepare(folder.path(), self.approvals)?;
        let write = |name: &str, count| {
            fs::write(folder.path().join(name), plan(count).to_string()).map_err(|e| e.to_string())
        };
        write("many.json", self.changes)?;
        write("one.json", 1)?;
        let run = |words: &[&str]| {
            let mut command = Command::new(&nhi);
            command.current_dir(folder.path()).env("BAO_TOKEN", "none").args(words);
            measure(&mut command, &nhi)
        };
        let (mut walls, mut last) = (Vec::new(), None);
        for _ in 0..RUNS {
            let one = run(&["review", "many.json", "--format", "json"])?;
            walls.push(one.wall);
            last = Some(one);
        }
        let peak = last.map_or(0, |one| one.command.peak_kib);
        let busy = last.map_or(0.0, |one| one.command.busy.as_secs_f64());
        println!("{} changes of scopes in one plan, as JSON, median of {RUNS}:", self.changes);
        println!("  wall      {:7.2} s     goal: at most 1 s", median(walls).as_secs_f64());
        println!("  processor {busy:7.2} s");
        println!("  peak      {:7.1} MiB   goal: at most 200 MB", peak as f64 / 1024.0);
        let mut walls = Vec::new();
        for _ in 0..RUNS {
            walls.push(run(&["review", "one.json", "--format", "json"])?.wall);
        }
        println!(
            "one change beside approvals of {} others, the whole program, median of {RUNS}: {:.1} ms   \
             goal: at most 1 ms for the question alone",
            self.approvals,
            median(walls).as_secs_f64() * 1000.0
        );
        Ok(())
    }
}

/// A configuration that is pinned to its tenant, so that nothing outside is asked, and a folder full of what
/// others signed.
fn prepare(folder: &Path, approvals: usize) -> Result<()> {
    let failed = |error: std::io::Error| error.to_string();
    let write = |name: &str, text: &str| fs::write(folder.join(name), text).map_err(failed);
    write(
        "nhi.hcl",
        "connections = {\n  bao = { openbao = { address = \"http://127.0.0.1:1\", tenant = \"cluster-1\", \
         credential = { env = \"BAO_TOKEN\" } } }\n}\npolicy = { file = \"policy.hcl\" }\n\
         ledger = { none = true }\n",
    )?;
    write("allowed_signers", "")?;
    write(
        "policy.hcl",
        "review = {\n  version = 1\n  domain = \"acme.example\"\n  signers = \"allowed_signers\"\n}\n",
    )?;
    for at in 0..approvals {
        let of = folder.join("approvals").join(format!("{at:064x}"));
        fs::create_dir_all(&of).map_err(failed)?;
        fs::write(of.join("ann@acme.example-1.dsse.json"), "{}").map_err(failed)?;
    }
    Ok(())
}

/// A plan in which each integration stays as it is, and may read more.
fn plan(count: usize) -> Value {
    let object = |address: String, kind: &str, actions: &str, before: Value, after: Value| {
        json!({ "address": address, "mode": "managed", "type": kind, "name": "x",
            "provider_name": "registry.terraform.io/open-nhi/nhi", "change": {
            "actions": [actions], "before": before, "after": after, "after_unknown": {},
            "before_sensitive": {}, "after_sensitive": {} } })
    };
    let changes: Vec<Value> = (0..count)
        .flat_map(|at| {
            let name = format!("app-{at:05}");
            let id = format!("bao/openbao_approle/{name}");
            let integration = json!({ "id": id, "kind": "openbao_approle", "connection_name": "bao",
                "name": name, "vendor_id": format!("v-{name}"), "environment": "production",
                "purpose": "Copies paid invoices from billing to the general ledger every night",
                "execution_mode": "batch", "business_owner": { "id": "owner/finance" },
                "technical_owner": { "id": "owner/payments" },
                "openbao_approle": { "token_ttl": "1h" } });
            let scope = |scopes: &[&str]| {
                json!({ "id": format!("{id}/scope"), "scopes": scopes, "enforcement": "exact",
                    "integration": { "id": id, "vendor_id": format!("v-{name}") },
                    "highest_action": "secret",
                    "justification": "Reads tonight's invoices and nothing else" })
            };
            let read = "secret/data/invoices/*:read";
            let (few, more) = (scope(&[read]), scope(&[read, "secret/data/payroll/*:read"]));
            let (one, other) =
                (format!("nhi_integration.app[{at}]"), format!("nhi_scope.app[{at}]"));
            [
                object(one, "nhi_integration", "no-op", integration.clone(), integration),
                object(other, "nhi_scope", "update", few, more),
            ]
        })
        .collect();
    json!({ "format_version": "1.2", "terraform_version": "1.11.4", "planned_values": {},
        "resource_changes": changes })
}
