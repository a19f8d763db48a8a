//! Incidents that became known, told again: what made them possible is built on real servers, a look finds
//! it before anybody uses it, and what was stolen is stopped.
//!
//! What is told of them elsewhere differs in its details. Here it is the conditions that count: a password
//! that nobody ever changed and that works from anywhere (Snowflake, 2024), an integration between two
//! services that holds more than it needs (Salesloft, 2025), a key with power over other accounts
//! (BeyondTrust, 2024), and one key that leads to everybody's (Sisense, 2024).

use acceptance_tests::{Result, World};
use serde_json::{Value, json};

use crate::{BASE, holds, in_world, nothing_is_left_to_do, oauth, places};

const ID: &str = "bao/openbao_approle/invoice-sync";

fn policy(world: &World, text: &str) -> Result<()> {
    let hcl = world.read("nhi.hcl")?;
    world.write("nhi.hcl", &format!("{hcl}\npolicy = {{ file = \"policy.hcl\" }}\n"))?;
    world.write("policy.hcl", text)
}

/// What a command says to programs.
fn told(world: &World, words: &[&str]) -> Result<Value> {
    let ran = world.nhi(&[words, &["--format", "json"]].concat())?;
    let line = ran.said.lines().find(|line| line.starts_with('{')).unwrap_or_default();
    serde_json::from_str(line).map_err(|error| format!("{error}: {}", ran.said))
}

/// Which of these rules are open.
fn open(world: &World, rules: &[&'static str]) -> Result<Vec<&'static str>> {
    let report = told(world, &["drift"])?;
    let found = report["findings"].as_array().cloned().unwrap_or_default();
    let is = |rule: &&&str| found.iter().any(|one| one["rule"] == **rule);
    Ok(rules.iter().filter(is).copied().collect())
}

fn are_open(world: &World, rules: &[&'static str]) -> Result<()> {
    let found = open(world, rules)?;
    holds(found == rules, "a look finds it", &format!("{rules:?}: {found:?}"))
}

fn none_is_open(world: &World, rules: &[&'static str]) -> Result<()> {
    let found = open(world, rules)?;
    holds(found.is_empty(), "it is told no more", &format!("{found:?}"))
}

/// How many of how many a figure of the posture counts.
fn figure(world: &World, name: &str) -> Result<(u64, u64, u64)> {
    let report = told(world, &["posture"])?;
    let all = report["figures"].as_array().cloned().unwrap_or_default();
    let one = all.iter().find(|one| one["name"] == name).ok_or_else(|| report.to_string())?;
    let count = |member: &str| one[member].as_u64().unwrap_or(u64::MAX);
    Ok((count("yes"), count("no"), count("unknown")))
}

#[test]
fn a_password_that_nobody_changed_and_that_works_from_anywhere_is_found_and_stopped() {
    let careless = BASE.replace("  schedule    = nhi_rotation_schedule.monthly\n", "");
    in_world(&careless, |world| {
        world.apply()?;
        policy(
            world,
            "require_schedule = true\nfindings = { credential_ends = true, credential_oldest = \"180d\" }\n",
        )?;
        // What a thief took from somebody's machine is what the application reads.
        let stolen = world.bao.document("apps/invoice-sync")?;
        holds(places::lets_in(&world.bao, &stolen)?, "it lets the thief in", "")?;
        let rules = ["credential-without-end", "schedule-missing"];
        are_open(world, &rules)?;
        let rotated = figure(world, "rotated_on_time")?;
        holds(rotated == (0, 1, 0), "none of one rotates on time", &format!("{rotated:?}"))?;

        let said = world.nhi(&["rotate", ID, "--exposed", "--yes"])?.expect(0)?;
        holds(said.contains("grade A"), "the end is proven", &said)?;
        holds(!places::lets_in(&world.bao, &stolen)?, "the thief is refused", &said)?;
        let now = world.bao.document("apps/invoice-sync")?;
        holds(places::lets_in(&world.bao, &now)?, "and the application is not", "")?;
        let breach = figure(world, "suspected_breach")?;
        holds(breach == (1, 0, 0), "the year remembers", &format!("{breach:?}"))?;

        // What made it possible goes as well.
        let bound = BASE.replace(
            "openbao_approle = { token_ttl = \"1h\" }",
            "openbao_approle = { token_ttl = \"1h\", secret_id_bound_cidrs = [\"127.0.0.1/32\"] }",
        );
        world.write("main.tf", &bound)?;
        world.apply()?;
        world.terraform(&["apply", "-auto-approve", "-replace=nhi_credential.it"])?.expect(0)?;
        none_is_open(world, &rules)?;
        let rotated = figure(world, "rotated_on_time")?;
        holds(rotated == (1, 0, 0), "one of one", &format!("{rotated:?}"))?;
        let shown = figure(world, "revocation_shown")?;
        holds(shown == (1, 0, 0), "and an end was shown", &format!("{shown:?}"))
    });
}

#[test]
fn an_integration_that_holds_more_than_it_needs_is_found_and_all_of_it_is_stopped_at_once() {
    oauth::in_login(&oauth::whole(), |login| {
        login.world.apply()?;
        let stolen = login.document()?;
        // Somebody opens it further, towards a place of their own.
        login.by_hand(&[
            ("scope", json!("tickets:read reports:read tickets:write")),
            (
                "redirect_uris",
                json!(["https://app.acme.example/callback", "https://evil.example/take"]),
            ),
        ])?;
        holds(login.oidc.signs_in(&stolen, "tickets:write")?, "the thief gets a token for it", "")?;
        let rules = ["scope-added", "setting-changed"];
        are_open(&login.world, &rules)?;
        let excess = figure(&login.world, "excess")?;
        holds(excess.0 == 1, "it is excess", &format!("{excess:?}"))?;

        let words = ["quarantine", "--connection", "login", "--reason", "INC-9", "--yes"];
        let said = login.world.nhi(&words)?.expect(0)?;
        holds(said.contains("Quarantined: login/oauth_client/"), "it is off", &said)?;
        holds(!login.oidc.signs_in(&stolen, "tickets:read")?, "the thief gets no token", "")?;
        login.world.apply()?;
        holds(!login.oidc.signs_in(&stolen, "tickets:read")?, "whoever applies", "")?;
        let (id, _) = login.registration()?;
        let id = format!("login/oauth_client/{id}");
        login.world.nhi(&["lift", &id, "--yes"])?.expect(0)?;
        login.world.nhi(&["rotate", &id, "--exposed", "--yes"])?.expect(0)?;
        login.world.apply()?;
        holds(!login.oidc.signs_in(&stolen, "tickets:read")?, "the stolen key is dead", "")?;
        let now = login.document()?;
        holds(login.oidc.signs_in(&now, "tickets:read")?, "the application goes on", "")?;
        holds(!login.oidc.signs_in(&now, "tickets:write")?, "with what it needs", "")?;
        none_is_open(&login.world, &rules)?;
        login.registration().map(|_| ())
    });
}

#[test]
fn a_key_with_power_over_other_accounts_is_found_and_what_it_let_in_is_stopped_at_once() {
    let narrow = BASE.replace(
        "  openbao_approle = { token_ttl = \"1h\" }\n",
        "  openbao_approle = { token_ttl = \"1h\" }\n  ceiling = { highest_action = \"secret\" }\n",
    );
    in_world(&narrow, |world| {
        world.apply()?;
        let ours = world.bao.accessors("invoice-sync")?;
        // A key that a person made, and power to give out keys of other accounts.
        let reset = "/v1/auth/approle/role/invoice-sync/secret-id";
        let made = world.bao.post(reset, json!({}))?;
        let secret_id = made["data"]["secret_id"].as_str().unwrap_or_default().to_owned();
        world.note([secret_id.clone()])?;
        let place = "/v1/sys/policies/acl/nhi/invoice-sync";
        let have = world.bao.get(place)?;
        let text = have["data"]["policy"].as_str().unwrap_or_default();
        let wide = format!(
            "{text}\npath \"auth/approle/role/+/secret-id\" {{ capabilities = [\"update\"] }}\n"
        );
        world.bao.post(place, json!({ "policy": wide }))?;
        let role_id = world.bao.get("/v1/auth/approle/role/invoice-sync/role-id")?;
        let login = json!({ "role_id": role_id["data"]["role_id"], "secret_id": secret_id });
        let session = world.bao.post("/v1/auth/approle/login", login)?;
        let token = session["auth"]["client_token"].as_str().unwrap_or_default().to_owned();
        world.note([token.clone()])?;
        let can = |token: &str| world.bao.status_with(token, "POST", reset);
        holds(can(&token)? == 200, "it makes keys of others", "")?;

        let rules = ["control-plane", "credential-unmanaged", "scope-above-ceiling", "scope-added"];
        are_open(world, &rules)?;
        let visible = figure(world, "visibility")?;
        holds(visible == (0, 1, 0), "it is not seen whole", &format!("{visible:?}"))?;

        let said = world.nhi(&["quarantine", ID, "--reason", "INC-9", "--yes"])?.expect(0)?;
        holds(can(&token)? == 403, "what it let in is stopped at once", &said)?;
        // Every key that nobody declared is ended by its name, the ones that the thief made too.
        for key in world.bao.accessors("invoice-sync")?.iter().filter(|key| !ours.contains(key)) {
            world.nhi(&["revoke", ID, key, "--yes"])?.expect(0)?;
        }
        let left = world.bao.accessors("invoice-sync")?;
        holds(left == ours, "none is left but ours", &format!("{left:?}"))?;
        world.apply()?;
        world.nhi(&["lift", ID, "--yes"])?.expect(0)?;
        world.apply()?;
        none_is_open(world, &rules)?;
        let works = world.bao.document("apps/invoice-sync")?;
        holds(places::lets_in(&world.bao, &works)?, "the application goes on", "")?;
        nothing_is_left_to_do(world)
    });
}

#[test]
fn a_key_that_leads_to_everybody_s_is_found_and_all_that_it_reached_is_changed() {
    let second = r#"
resource "nhi_integration" "reader" {
  connection_name = "bao"
  name            = "dashboard"
  purpose         = "Draws the figures of all customers from their own stores"
  environment     = "production"
  business_owner  = nhi_owner.finance
  technical_owner = nhi_owner.payments
  openbao_approle = { token_ttl = "1h" }
}

resource "nhi_scope" "reader" {
  integration   = nhi_integration.reader
  scopes        = ["secret/data/apps/*:read"]
  justification = "Signs in as each of them"
}

resource "nhi_credential" "reader" {
  integration = nhi_integration.reader
  schedule    = nhi_rotation_schedule.monthly
  deliver_to  = { app = { connection = "bao", path = "secret/tools/dashboard" } }
}
"#;
    in_world(&format!("{BASE}{second}"), |world| {
        world.apply()?;
        let (reader, customer) =
            (world.bao.document("tools/dashboard")?, world.bao.document("apps/invoice-sync")?);
        let there = "/v1/secret/data/apps/invoice-sync";
        let reads = |document: &Value| world.bao.status_for(document, "GET", there);
        holds(reads(&reader)? == 200, "one key reads everybody's", "")?;
        policy(world, "wildcards = \"refuse\"\n")?;
        are_open(world, &["scope-wildcard"])?;
        let excess = figure(world, "excess")?;
        holds(excess.0 == 2, "each that reaches over more than one thing", &format!("{excess:?}"))?;

        // The one that was found in a repository, and all that it reached.
        for id in ["bao/openbao_approle/dashboard", ID] {
            let said = world.nhi(&["rotate", id, "--exposed", "--yes"])?.expect(0)?;
            holds(said.contains("grade A"), "its end is proven", &said)?;
        }
        for stolen in [&reader, &customer] {
            holds(!places::lets_in(&world.bao, stolen)?, "what was taken is refused", "")?;
        }
        for place in ["tools/dashboard", "apps/invoice-sync"] {
            let now = world.bao.document(place)?;
            holds(places::lets_in(&world.bao, &now)?, "and what took its place is not", place)?;
        }
        let named = format!("{BASE}{second}")
            .replace("secret/data/apps/*:read", "secret/data/figures/today:read")
            .replace("secret/data/invoices/*:read", "secret/data/invoices/tonight:read");
        world.write("main.tf", &named)?;
        world.apply()?;
        let reader = world.bao.document("tools/dashboard")?;
        holds(reads(&reader)? == 403, "nobody reads everybody's any more", "")?;
        none_is_open(world, &["scope-wildcard"])
    });
}
