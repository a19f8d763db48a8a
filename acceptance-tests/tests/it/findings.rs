//! Each rule that the policy asks for: its condition is made true on a real server, `nhi drift` tells
//! it, what helps is done, and it is told no more.

use std::time::Duration;

use acceptance_tests::{Result, World};
use serde_json::{Value, json};

use crate::{BASE, applied, holds, in_world, jupyterhub};

const POLICY: &str = "/v1/sys/policies/acl/nhi/invoice-sync";

/// What `nhi drift` tells now, for programs.
pub(crate) fn drift(world: &World) -> Result<Value> {
    let ran = world.nhi(&["drift", "--format", "json"])?;
    let line = ran.said.lines().find(|line| line.starts_with('{')).unwrap_or_default();
    serde_json::from_str(line).map_err(|error| format!("{error}: {}", ran.said))
}

/// Which of these rules are open, each once.
fn open<'a>(world: &World, rules: &[&'a str]) -> Result<Vec<&'a str>> {
    let report = drift(world)?;
    let told = report["findings"].as_array().cloned().unwrap_or_default();
    let is_told = |rule: &&&str| told.iter().any(|one| one["rule"] == **rule);
    Ok(rules.iter().filter(is_told).copied().collect())
}

/// That all of these are open, or none.
pub(crate) fn are(world: &World, rules: &[&str], wanted: bool) -> Result<()> {
    let found = open(world, rules)?;
    let right = if wanted { found == rules } else { found.is_empty() };
    holds(
        right,
        if wanted { "all of them are told" } else { "none is told" },
        &format!("{rules:?}: {found:?}"),
    )
}

/// The policy's file says this now.
pub(crate) fn policy(world: &World, text: &str) -> Result<()> {
    let hcl = world.read("nhi.hcl")?;
    if !hcl.contains("policy.hcl") {
        world.write("nhi.hcl", &format!("{hcl}\npolicy = {{ file = \"policy.hcl\" }}\n"))?;
    }
    world.write("policy.hcl", text)
}

/// Opened by what the policy asks, closed by a configuration that meets it.
fn opens_and_closes(world: &World, rules: &[&str], asked: &str, meets: &str) -> Result<()> {
    are(world, rules, false)?;
    policy(world, asked)?;
    are(world, rules, true)?;
    world.write("main.tf", meets)?;
    world.apply()?;
    are(world, rules, false)
}

/// The text of the integration's own policy, with its record.
fn text(world: &World) -> Result<String> {
    let have = world.bao.get(POLICY)?;
    Ok(have["data"]["policy"].as_str().unwrap_or_default().to_owned())
}

#[test]
fn what_a_stricter_policy_asks_for_is_told_until_it_is_declared() {
    let integration = "  openbao_approle = { token_ttl = \"1h\" }\n";
    let bare = BASE.replace("  schedule    = nhi_rotation_schedule.monthly\n", "");
    let same =
        bare.replace("technical_owner = nhi_owner.payments", "technical_owner = nhi_owner.finance");
    in_world(&same, |world| {
        world.apply()?;
        opens_and_closes(world, &["owners-same"], "two_owners_from = \"write\"\n", &bare)?;
        let dated =
            format!("  expires_on = \"2099-12-31\"\n  review_every = \"90d\"\n{integration}");
        let dated = BASE.replace(integration, &dated);
        opens_and_closes(
            world,
            &["end-missing", "review-missing", "schedule-missing"],
            "require_expires_on = true\nrequire_review_every = true\nrequire_schedule = true\n",
            &dated,
        )?;
        let named =
            dated.replace("secret/data/invoices/*:read", "secret/data/invoices/tonight:read");
        opens_and_closes(world, &["scope-wildcard"], "wildcards = \"refuse\"\n", &named)?;
        world.plan_is_empty()
    });
}

#[test]
fn power_that_somebody_added_is_told_by_what_it_reaches_until_it_is_taken_away() {
    let integration = "  openbao_approle = { token_ttl = \"1h\" }\n";
    let ceiling = format!("{integration}  ceiling = {{ highest_action = \"secret\" }}\n");
    in_world(&BASE.replace(integration, &ceiling), |world| {
        world.apply()?;
        policy(world, "environment_words = { staging = [\"staging\"] }\n")?;
        let rules =
            ["environment-crossed", "scope-above-ceiling", "control-plane", "observe-and-act"];
        are(world, &rules, false)?;
        let more = [
            ("secret/data/staging/x", "read"),
            ("secret/metadata/x", "list"),
            ("sys/policies/acl/other", "update"),
            ("sys/audit/file", "update"),
        ];
        let rows =
            more.map(|(path, word)| format!("path \"{path}\" {{ capabilities = [\"{word}\"] }}\n"));
        let wide = format!("{}\n{}", text(world)?, rows.concat());
        world.bao.post(POLICY, json!({ "policy": wide }))?;
        are(world, &rules, true)?;
        let report = drift(world)?;
        holds(report["outcome"]["code"] == 4, "it is out of policy", &report.to_string())?;
        world.apply()?;
        are(world, &rules, false)?;
        world.plan_is_empty()
    });
}

#[test]
fn a_record_that_somebody_emptied_is_told_by_what_it_lacks_until_it_is_written_again() {
    applied(|world| {
        let rules = ["owner-missing", "purpose-says-nothing"];
        are(world, &rules, false)?;
        let record = text(world)?;
        let purpose = "Copies paid invoices from billing to the general ledger every night";
        holds(record.contains(purpose) && record.contains("business_owner"), "it is", &record)?;
        let edited = record.replace(purpose, "TODO").replace("\"business_owner\"", "\"no_owner\"");
        world.bao.post(POLICY, json!({ "policy": edited }))?;
        are(world, &rules, true)?;
        world.apply()?;
        are(world, &rules, false)?;
        world.plan_is_empty()
    });
}

#[test]
fn a_credential_is_told_by_its_age_and_its_end_until_another_takes_its_place() {
    let schedule = "  every   = \"30d\"\n";
    let endless = BASE.replace(schedule, &format!("{schedule}  lifetime = \"none\"\n"));
    let another = ["apply", "-auto-approve", "-replace=nhi_credential.it"];
    in_world(&endless, |world| {
        world.apply()?;
        policy(world, "findings = { credential_ends = true, credential_longest = \"10d\" }\n")?;
        are(world, &["credential-without-end"], true)?;
        are(world, &["credential-long-lived"], false)?;
        // Its schedule gives it an end, and a far one: the next one has that.
        world.write("main.tf", BASE)?;
        world.apply()?;
        world.terraform(&another)?.expect(0)?;
        are(world, &["credential-without-end"], false)?;
        are(world, &["credential-long-lived"], true)?;
        world.write("main.tf", &BASE.replace("\"30d\"", "\"3d\""))?;
        world.apply()?;
        policy(world, "findings = { credential_longest = \"10d\" }\n")?;
        world.terraform(&another)?.expect(0)?;
        are(world, &["credential-long-lived"], false)?;
        policy(world, "findings = { credential_oldest = \"2m\" }\n")?;
        are(world, &["credential-old"], false)?;
        policy(world, "findings = { credential_oldest = \"1s\" }\n")?;
        std::thread::sleep(Duration::from_secs(2));
        are(world, &["credential-old"], true)?;
        let severe = "findings = { credential_oldest = \"1s\", severity = { \"credential-old\" = \"info\" } }\n";
        policy(world, severe)?;
        let report = drift(world)?;
        let found = report["findings"].as_array().into_iter().flatten();
        let mut weights = found.filter(|one| one["rule"] == "credential-old");
        let one = weights.next().ok_or("it is told")?;
        holds(
            one["severity"] == "info" && one["counts"] == false,
            "it weighs less",
            &one.to_string(),
        )
    });
}

#[test]
fn what_nobody_has_used_for_as_long_as_the_policy_says_is_dormant_until_another_is_used() {
    jupyterhub::with_a_user(|world| {
        world.apply()?;
        policy(world, "findings = { dormant_after = \"1h\" }\n")?;
        are(world, &["dormant"], false)?;
        // Its last use was the look that showed it to work.
        policy(world, "findings = { dormant_after = \"90s\" }\n")?;
        std::thread::sleep(Duration::from_secs(91));
        are(world, &["dormant"], true)?;
        world.nhi(&["rotate", "hub/jupyterhub_user/grade-sync", "--yes"])?.expect(0)?;
        are(world, &["dormant"], false)
    });
}
