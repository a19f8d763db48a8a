//! What an integration has to do with besides its platform: each rule about it is opened and closed on a
//! real server, and what is gone has it switched off.

use acceptance_tests::{Result, World, world::LEDGER};
use serde_json::json;

use crate::{
    BASE,
    findings::{are, drift, policy},
    flat, holds, in_world,
};

const ROLE: &str = "  openbao_approle = { token_ttl = \"1h\" }\n";

/// A vendor that others run on, and an integration that others go through, which may do more.
const BESIDE: &str = r#"
resource "nhi_integration" "etl" {
  name            = "etl-vendor"
  purpose         = "Runs the nightly copies of invoices on the vendor's own machines"
  environment     = "production"
  business_owner  = nhi_owner.finance
  technical_owner = nhi_owner.payments
  stop_within     = "5m"
  offboarding_owner = nhi_owner.finance
  third_party = {
    vendor             = "Copies Ltd"
    contract           = "https://contracts.acme.example/4711"
    contract_ends_on   = "2099-12-31"
    telemetry          = "siem/etl-vendor"
    disable_path       = "https://runbooks.acme.example/etl-vendor"
    admin_review_every = "90d"
  }
}

resource "nhi_integration" "next" {
  connection_name = "bao"
  name            = "ledger-writer"
  purpose         = "Writes what others hand over into the general ledger"
  environment     = "production"
  business_owner  = nhi_owner.finance
  technical_owner = nhi_owner.payments
  stop_within     = "5m"
  offboarding_owner = nhi_owner.finance
  reaches = {
    books   = { category = "erp", direction = "writes", data = "financial", domain = "finance" }
    payroll = { category = "hr", direction = "both", data = "personal", domain = "hr" }
  }
  openbao_approle = { token_ttl = "1h" }
}

resource "nhi_scope" "next" {
  integration   = nhi_integration.next
  scopes        = ["sys/policies/acl/ledger:update"]
  justification = "Writes the policy of the ledger and nothing else"
}
"#;

/// [`BASE`] with more attributes, and what stands beside it.
fn with(more: &str) -> String {
    assert!(BASE.contains(ROLE));
    format!("{}{BESIDE}", BASE.replace(ROLE, &format!("{more}{ROLE}")))
}

fn role(world: &World, name: &str) -> Result<()> {
    let path = format!("/v1/auth/approle/role/{name}");
    world.bao.post(&path, json!({ "token_policies": ["default"] })).map(|_| ())
}

fn remove(world: &World, name: &str) -> Result<()> {
    let path = format!("/v1/auth/approle/role/{name}");
    world.bao.ask("DELETE", &path, None).map(|_| ())
}

const WRONG: &str = r#"
  execution_mode = "agent"
  stop_within    = "2h"
  replaces       = "bao/openbao_approle/old-sync"
  workflows = {
    nightly = { version = "2", reviewed_version = "1" }
    weekly  = { invokers = [] }
  }
  reaches = {
    next = { integration = nhi_integration.next.id }
    crm  = { category = "crm", direction = "both", domain = "sales", environment = "test" }
    desk = { category = "ticketing", direction = "writes", domain = "support" }
  }
  ceiling = { highest_action = "secret" }
"#;

const RIGHT: &str = r#"
  execution_mode    = "agent"
  stop_within       = "5m"
  offboarding_owner = nhi_owner.finance
  tools             = []
  shared_with       = ["owner/finance-operations"]
  workflows = {
    nightly = { version = "2", reviewed_version = "2", invokers = ["owner/payments-platform"] }
    weekly  = { invokers = [] }
  }
  reaches = {
    crm = { category = "crm", direction = "both", domain = "sales", environment = "production" }
  }
  ceiling = { highest_action = "secret" }
"#;

#[test]
fn what_it_has_to_do_with_is_told_by_rule_until_it_is_declared_as_it_should_be() {
    in_world(&with(WRONG), |world| {
        role(world, "old-sync")?;
        world.apply()?;
        policy(
            world,
            "require_offboarding_owner = true\nrequire_stop_within = true\nstop_within_longest = \"1h\"\n\
             findings = { systems_most = 4 }\n",
        )?;
        let rules = [
            "environment-crossed",
            "invokers-unknown",
            "offboarding-owner-missing",
            "predecessor-alive",
            "reach-through-another",
            "reach-wide",
            "shared-by-workflows",
            "stop-too-slow",
            "tools-unknown",
            "workflow-changed",
        ];
        are(world, &rules, true)?;
        let report = drift(world)?;
        let all = report["findings"].as_array().cloned().unwrap_or_default();
        let through = all.iter().find(|one| one["rule"] == "reach-through-another");
        let through = through.ok_or("it is told")?.to_string();
        holds(
            through.contains("bao/openbao_approle/ledger-writer")
                && through.contains("policy")
                && through.contains("finance, hr"),
            "through what, and to what",
            &through,
        )?;
        holds(report["outcome"]["code"] == 4, "it is out of policy", &report.to_string())?;
        // The same from the state alone.
        let shown = world.core_command().args(["show", "-json"]).output();
        let shown = shown.map_err(|error| error.to_string())?;
        world.write("shown.json", &String::from_utf8_lossy(&shown.stdout))?;
        let ran = world.nhi(&["drift", "--state", "shown.json", "--format", "json"])?;
        let missing: Vec<&&str> = rules.iter().filter(|rule| !ran.said.contains(**rule)).collect();
        holds(missing.is_empty(), "a state says as much", &format!("{missing:?}"))?;
        world.write("main.tf", &with(RIGHT))?;
        remove(world, "old-sync")?;
        world.apply()?;
        are(world, &rules, false)?;
        world.plan_is_empty()?;
        let less = RIGHT.replace("  stop_within       = \"5m\"\n", "");
        world.write("main.tf", &with(&less))?;
        policy(world, "")?;
        world.apply()?;
        are(world, &["stop-within-missing"], false)?;
        policy(world, "require_stop_within = true\n")?;
        are(world, &["stop-within-missing"], true)?;
        world.write("main.tf", &with(RIGHT))?;
        world.apply()?;
        are(world, &["stop-within-missing"], false)
    });
}

const BOUND: &str = r#"
  runs_on      = nhi_integration.etl
  expires_when = ["contract_ended"]
  workflows    = { nightly = { id = "bao/openbao_approle/nightly-job", invokers = [] } }
"#;

/// What state has the integration in.
fn state_of(world: &World) -> Result<String> {
    let state = world.state("nhi_integration.it")?;
    Ok(state["state"].as_str().unwrap_or_default().to_owned())
}

#[test]
fn what_has_lost_its_workflow_or_its_contract_is_told_and_planned_off_until_it_has_one_again() {
    in_world(&with(BOUND), |world| {
        role(world, "nightly-job")?;
        world.apply()?;
        world.plan_is_empty()?;
        let rules = ["workflow-gone", "condition-met"];
        are(world, &rules, false)?;
        remove(world, "nightly-job")?;
        are(world, &["workflow-gone"], true)?;
        let plan = flat(&world.plan()?.expect(2)?);
        holds(
            plan.contains("A workflow of this integration is gone")
                && plan.contains("\"active\" -> \"disabled\""),
            "it is planned off, and why",
            &plan,
        )?;
        world.apply()?;
        holds(state_of(world)? == "disabled", "it is off", "")?;
        world.plan_is_empty()?;
        role(world, "nightly-job")?;
        are(world, &["workflow-gone"], false)?;
        world.apply()?;
        holds(state_of(world)? == "active", "it is on again", "")?;
        let ended = with(BOUND).replace("2099-12-31", "2020-01-01");
        world.write("main.tf", &ended)?;
        world.apply()?;
        are(world, &["condition-met"], true)?;
        let plan = flat(&world.plan()?.expect(2)?);
        holds(
            plan.contains("A condition that ends this integration is met"),
            "and it is planned off",
            &plan,
        )?;
        world.write("main.tf", &with(BOUND))?;
        world.apply()?;
        are(world, &rules, false)?;
        world.plan_is_empty()?;
        world.no_secret_leaked(&[LEDGER])
    });
}

#[test]
fn who_gets_where_is_drawn_from_what_is_granted_and_declared() {
    let more = format!("{WRONG}  runs_on = nhi_integration.etl\n");
    in_world(&with(&more), |world| {
        role(world, "old-sync")?;
        world.apply()?;
        let ways = |words: &[&str]| -> Result<serde_json::Value> {
            let said = world.nhi(&[words, &["--format", "json"]].concat())?.expect(0)?;
            let line = said.lines().find(|line| line.starts_with('{')).unwrap_or_default();
            serde_json::from_str(line).map_err(|error| format!("{error}: {said}"))
        };
        // Where a credential leads: by a scope that the server shows, and through another integration.
        let report = ways(&["reach", "bao/openbao_approle/invoice-sync/credential/default"])?;
        let one = &report["ways"][0];
        let said = report.to_string();
        holds(one["highest_action"] == "policy", "the most of all of it", &said)?;
        holds(one["domains"] == json!(["finance", "hr", "sales", "support"]), "domains", &said)?;
        let way = |name: &str| -> Vec<String> {
            let all = one["reached"].as_array().into_iter().flatten();
            let to = all.filter(|to| to["name"] == name).flat_map(|to| to["way"].as_array());
            to.flatten().filter_map(|edge| edge["source"].as_str().map(str::to_owned)).collect()
        };
        holds(
            way("books") == ["signs in", "reaches.next", "reaches.books"],
            "step by step",
            &said,
        )?;
        holds(said.contains("data exfiltration"), "what it could be used for", &said)?;
        // What the server lets that credential do is what the first step says.
        holds(said.contains("scope secret/data/invoices/*:read"), "by a scope", &said)?;
        let document = world.bao.document("apps/invoice-sync")?;
        let seen = world.bao.status_for(&document, "GET", "/v1/secret/data/invoices/tonight")?;
        holds(seen != 403, "and it gets there", &seen.to_string())?;
        // Who gets to the end of it.
        let said = ways(&["reach", "--to", "books"])?.to_string();
        for name in
            ["none/third_party/etl-vendor", "invoice-sync/credential/default", "ledger-writer"]
        {
            holds(said.contains(name), name, &said)?;
        }
        let said = world.nhi(&["reach", "--to", "payrol"])?.expect(1)?;
        holds(said.contains("E-REACH") && said.contains("payroll"), "what was meant", &said)?;
        let said = world.nhi(&["reach", "*/invoice-sync"])?.expect(0)?;
        holds(said.contains("at most") && said.contains("by reaches.crm"), "for people", &said)
    });
}
