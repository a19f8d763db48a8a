//! What plan shows when time passes, and for what the other stories leave out.

use std::{thread::sleep, time::Duration};

use acceptance_tests::{Result, World};
use jiff::{SignedDuration, Timestamp, civil::Weekday};
use serde_json::json;

use crate::{BASE, applied, flat, holds, in_world, triggered};

const SCHEDULE: &str = "  every   = \"30d\"\n  overlap = \"24h\"\n";
const POLICY: &str = "/v1/sys/policies/acl/nhi/invoice-sync";

fn with(old: &str, new: &str) -> String {
    assert!(BASE.contains(old), "{old}");
    BASE.replace(old, new)
}

/// More attributes of the integration.
fn integration(more: &str) -> String {
    with(
        "  openbao_approle = { token_ttl = \"1h\" }\n",
        &format!("  openbao_approle = {{ token_ttl = \"1h\" }}\n{more}\n"),
    )
}

fn seconds(seconds: u64) {
    sleep(Duration::from_secs(seconds));
}

/// A day of the week that is neither today nor tomorrow nor yesterday.
fn another_day() -> &'static str {
    let now = Timestamp::now().to_zoned_datetime(jiff::tz::TimeZone::UTC);
    match now.weekday().wrapping_add(3) {
        Weekday::Monday => "mon",
        Weekday::Tuesday => "tue",
        Weekday::Wednesday => "wed",
        Weekday::Thursday => "thu",
        Weekday::Friday => "fri",
        Weekday::Saturday => "sat",
        Weekday::Sunday => "sun",
    }
}

fn policy(world: &World, text: &str) -> Result<()> {
    let hcl = world.read("nhi.hcl")?;
    world.write("nhi.hcl", &format!("{hcl}\npolicy = {{ file = \"policy.hcl\" }}\n"))?;
    world.write("policy.hcl", text)
}

fn rules(world: &World) -> Result<String> {
    let have = world.bao.get(POLICY)?;
    Ok(have["data"]["policy"].as_str().unwrap_or_default().to_owned())
}

fn set_rules(world: &World, text: &str) -> Result<()> {
    world.bao.post(POLICY, json!({ "policy": text })).map(|_| ())
}

fn signs_in(world: &World) -> Result<bool> {
    world.bao.signs_in(&world.bao.document("apps/invoice-sync")?)
}

#[test]
fn a_due_credential_waits_while_its_window_is_shut_and_no_longer_when_it_is_overdue() {
    let shut = |overdue: &str| {
        with(
            SCHEDULE,
            &format!(
                "  every = \"6s\"\n  min_age = \"1s\"\n  overlap = \"1s\"\n  overdue_after = \"{overdue}\"\n  windows = [{{ days = [\"{}\"], start = \"02:00\", length = \"1h\" }}]\n",
                another_day()
            ),
        )
    };
    in_world(&shut("1h"), |world| {
        world.apply()?;
        let before = world.bao.document("apps/invoice-sync")?;
        seconds(8);
        let said = world.plan()?.expect(0)?;
        holds(
            said.contains("Warning") && said.contains("02:00"),
            "the next opening is told",
            &said,
        )?;
        world.apply()?;
        holds(world.bao.document("apps/invoice-sync")? == before, "and nothing is rotated", "")?;
        // A changed schedule is judged one plan later.
        world.write("main.tf", &shut("1s"))?;
        let said = world.apply()?;
        holds(said.contains("judged one plan later"), "that is said", &said)?;
        let said = world.plan()?.expect(2)?;
        holds(said.contains("\"overdue\" -> \"current\""), "no window holds it back", &said)?;
        world.apply()?;
        holds(world.bao.document("apps/invoice-sync")? != before, "it was rotated", "")?;
        holds(signs_in(world)?, "and signs in", "")
    });
}

#[test]
fn an_expired_credential_is_replaced_without_overlap_whatever_the_windows_say() {
    let main = with(
        SCHEDULE,
        &format!(
            "  every = \"5s\"\n  min_age = \"1s\"\n  overlap = \"1s\"\n  lifetime = \"8s\"\n  windows = [{{ days = [\"{}\"], start = \"02:00\", length = \"1h\" }}]\n",
            another_day()
        ),
    );
    in_world(&main, |world| {
        world.apply()?;
        seconds(9);
        holds(!signs_in(world)?, "the platform ended it by itself", "")?;
        let said = world.plan()?.expect(2)?;
        holds(
            said.contains("\"expired\" -> \"current\"")
                || said.contains("\"missing\" -> \"current\""),
            "it has expired",
            &said,
        )?;
        world.apply()?;
        holds(signs_in(world)?, "there is a new one", "")?;
        let state = world.state("nhi_credential.it")?;
        holds(state["previous"] == json!([]), "nothing of the old one is kept", &state.to_string())
    });
}

#[test]
fn an_integration_whose_end_has_passed_is_switched_off_with_its_credentials_told() {
    applied(|world| {
        world.write("main.tf", &integration("  expires_on = \"2020-01-01\""))?;
        world.apply()?;
        let said = world.plan()?.expect(2)?;
        holds(
            flat(&said).contains("state = \"active\" -> \"disabled\""),
            "it is switched off",
            &said,
        )?;
        holds(
            said.contains("nhi_credential.it will be updated in-place"),
            "its credential shows it",
            &said,
        )?;
        holds(!flat(&said).contains("~ generation"), "and is not rotated", &said)?;
        world.apply()?;
        holds(!signs_in(world)?, "nobody signs in", "")?;
        world.plan_is_empty()?;
        // A later end answers it.
        world.write("main.tf", &integration("  expires_on = \"2099-01-01\""))?;
        let said = world.plan()?.expect(2)?;
        holds(flat(&said).contains("state = \"disabled\" -> \"active\""), "it comes back", &said)?;
        holds(said.contains("This change gives power"), "and that is said", &said)?;
        world.apply()?;
        holds(signs_in(world)?, "it signs in again", "")?;
        world.plan_is_empty()
    });
}

#[test]
fn a_review_that_is_overdue_warns_and_later_switches_off() {
    applied(|world| {
        world.write("main.tf", &integration("  review_every = \"1s\""))?;
        world.apply()?;
        let said = world.plan()?.expect(0)?;
        holds(said.contains("Warning") && said.contains("review"), "it is warned of", &said)?;
        policy(world, "review_grace = \"0\"\n")?;
        let said = world.plan()?.expect(2)?;
        holds(flat(&said).contains("state = \"active\" -> \"disabled\""), "then it ends", &said)
    });
}

/// What the platform answers the application about what the temporary scope is for.
fn reads_closing(world: &World) -> Result<u16> {
    let document = world.bao.document("apps/invoice-sync")?;
    world.bao.status_for(&document, "GET", "/v1/secret/data/closing/x")
}

#[test]
fn a_temporary_scope_ends_by_itself_and_is_taken_away() {
    applied(|world| {
        let until = Timestamp::now() + SignedDuration::from_secs(15);
        let until_text = until.strftime("%Y-%m-%dT%H:%M:%SZ");
        let one = format!(
            "{{\n      until         = \"{until_text}\"\n      justification = \"Re-run of last year's closing\"\n    }}"
        );
        // The server ends the first of the two, and the second has no place for an end.
        let dated = format!(
            "  temporary = {{\n    \"secret/data/closing/*:read\" = {one}\n    \"policy/ledger\" = {one}\n  }}\n"
        );
        let ledger =
            json!({ "policy": "path \"secret/data/ledger/*\" { capabilities = [\"read\"] }" });
        world.bao.post("/v1/sys/policies/acl/ledger", ledger)?;
        let reads_ledger = || {
            let document = world.bao.document("apps/invoice-sync")?;
            world.bao.status_for(&document, "GET", "/v1/secret/data/ledger/x")
        };
        world.bao.post("/v1/secret/data/ledger/x", json!({ "data": { "of": "2025" } }))?;
        let why = "  justification = \"Reads tonight's invoices and nothing else\"\n";
        world.write("main.tf", &with(why, &format!("{why}{dated}")))?;
        world.apply()?;
        world.bao.post("/v1/secret/data/closing/x", json!({ "data": { "of": "2025" } }))?;
        holds(reads_closing(world)? == 200, "it may read until then", "")?;
        holds(reads_ledger()? == 200, "by a policy of another hand too", "")?;
        let state = world.state("nhi_scope.it")?;
        holds(
            state["elevated"] == json!(["policy/ledger", "secret/data/closing/*:read"]),
            "it is live and told apart",
            &state.to_string(),
        )?;
        world.plan_is_empty()?;
        let left = until.duration_since(Timestamp::now()).as_secs();
        seconds(u64::try_from(left).unwrap_or(0) + 2);
        let said = world.plan()?.expect(2)?;
        holds(said.contains("\"ending\" -> \"ended\""), "the policy is still there", &said)?;
        world.apply()?;
        holds(reads_ledger()? == 403, "and is taken away", "")?;
        let said = world.plan()?.expect(0)?;
        holds(said.contains("closing") && said.contains("Warning"), "the lines are to go", &said)?;
        let state = world.state("nhi_scope.it")?;
        holds(state["elevated"] == json!([]), "nothing is elevated", &state.to_string())?;
        holds(reads_closing(world)? == 403, "and it may not read any more", "")?;
        world.write("main.tf", BASE)?;
        world.apply()?;
        holds(!rules(world)?.contains("secret/data/closing"), "the policy is as before", "")?;
        world.plan_is_empty()
    });
}

/// A person stops the integration: what they write into its record, and its switch.
fn quarantine(world: &World, why: &str) -> Result<()> {
    let text = rules(world)?;
    let (before, rest) = text.split_once("# nhi: ").ok_or("the policy has no record")?;
    let (line, after) = rest.split_once('\n').ok_or("the record is all there is")?;
    let mut record: serde_json::Value =
        serde_json::from_str(line).map_err(|error| error.to_string())?;
    record["quarantined"] = json!(why);
    set_rules(world, &format!("{before}# nhi: {record}\n{after}"))?;
    let off = json!({ "disabled": true });
    world.bao.post("/v1/identity/entity/name/nhi/invoice-sync", off).map(drop)
}

#[test]
fn what_was_quarantined_stays_so_and_the_plan_says_why() {
    applied(|world| {
        quarantine(world, "INC-4711 by the night shift")?;
        // The reference in the credential follows; the integration itself is left alone.
        let said = world.plan()?.expect(2)?;
        holds(said.contains("INC-4711 by the night shift"), "it says who and why", &said)?;
        holds(!said.contains("# nhi_integration.it will be"), "and leaves it alone", &said)?;
        holds(!flat(&said).contains("~ generation"), "and rotates nothing", &said)?;
        world.apply()?;
        holds(!signs_in(world)?, "no apply ends a quarantine", "")?;
        world.plan_is_empty()
    });
}

#[test]
fn a_plan_that_was_saved_before_a_quarantine_switches_nothing_on_and_issues_nothing() {
    applied(|world| {
        let before = world.bao.document("apps/invoice-sync")?;
        // It changes the integration and rotates its credential, and was reviewed.
        let more = triggered("2").replace("every night\"", "every morning\"");
        holds(more.contains("every morning"), "it changes the integration too", &more)?;
        world.write("main.tf", &more)?;
        world.terraform(&["plan", "-out=saved"])?.expect(0)?;
        quarantine(world, "INC-4711 by the night shift")?;
        let said = world.terraform(&["apply", "saved"])?.expect(1)?;
        let said = flat(&said.replace('│', " "));
        holds(said.contains("(E-QUARANTINED)"), "it is refused", &said)?;
        holds(said.contains("INC-4711 by the night shift"), "with what stands against it", &said)?;
        holds(said.contains("Next: plan again"), "and what to do", &said)?;
        holds(!signs_in(world)?, "it stays off", &said)?;
        holds(world.bao.document("apps/invoice-sync")? == before, "nothing was delivered", "")?;
        holds(world.bao.accessors("invoice-sync")?.len() == 1, "and nothing was issued", &said)?;
        // One that is made since changes what gives nothing back, and leaves it off.
        let said = flat(&world.apply()?);
        holds(!signs_in(world)?, "nor does a plan of now", &said)?;
        holds(world.bao.accessors("invoice-sync")?.len() == 1, "nor issue", &said)?;
        world.plan_is_empty()
    });
}

#[test]
fn a_delivered_copy_that_was_deleted_is_issued_anew() {
    applied(|world| {
        world.bao.ask("DELETE", "/v1/secret/metadata/apps/invoice-sync", None)?;
        let said = world.plan()?.expect(2)?;
        holds(said.contains("\"undelivered\" -> \"current\""), "no copy is left", &said)?;
        holds(flat(&said).contains("generation = 1 -> 2"), "so a new one is issued", &said)?;
        world.apply()?;
        holds(signs_in(world)?, "it signs in", "")?;
        world.plan_is_empty()
    });
}

#[test]
fn addresses_that_were_opened_by_hand_are_closed_again() {
    let main = with(
        "openbao_approle = { token_ttl = \"1h\" }",
        "openbao_approle = { token_ttl = \"1h\", token_bound_cidrs = [\"127.0.0.0/8\"] }",
    );
    in_world(&main, |world| {
        world.apply()?;
        let role = "/v1/auth/approle/role/invoice-sync";
        world.bao.post(role, json!({ "token_bound_cidrs": [] }))?;
        let said = world.plan()?.expect(2)?;
        holds(said.contains("+ \"127.0.0.0/8\""), "the bound comes back", &said)?;
        world.apply()?;
        let have = world.bao.get(role)?;
        holds(
            have["data"]["token_bound_cidrs"] == json!(["127.0.0.0/8"]),
            "it is",
            &have.to_string(),
        )?;
        world.plan_is_empty()
    });
}

#[test]
fn a_rotation_by_somebody_else_changes_only_consumers() {
    let consumer = "\nresource \"terraform_data\" \"restart\" {\n  triggers_replace = nhi_credential.it.generation\n}\n";
    in_world(&format!("{BASE}{consumer}"), |world| {
        world.apply()?;
        let state = world.read("terraform.tfstate")?;
        // A plan knows the generation, so the consumer's restart is reviewed with it.
        world.write("main.tf", &(integration("  incident = \"INC-4711\"") + consumer))?;
        let said = world.plan()?.expect(2)?;
        holds(said.contains("terraform_data.restart must be replaced"), "the consumer", &said)?;
        holds(flat(&said).contains("triggers_replace = 1 -> 2"), "known at plan", &said)?;
        world.write("main.tf", &format!("{BASE}{consumer}"))?;
        // Another copy of the state rotates.
        world.terraform(&["apply", "-auto-approve", "-replace=nhi_credential.it"])?.expect(0)?;
        world.write("terraform.tfstate", &state)?;
        let said = world.plan()?.expect(2)?;
        holds(said.contains("terraform_data.restart must be replaced"), "the consumer", &said)?;
        holds(flat(&said).contains("triggers_replace = 1 -> 2"), "from one to the other", &said)?;
        holds(!said.contains("# nhi_credential.it will be"), "and nothing of ours", &said)?;
        world.apply()?;
        holds(signs_in(world)?, "it signs in", "")?;
        world.plan_is_empty()
    });
}

#[test]
fn a_record_that_was_wiped_is_written_again() {
    applied(|world| {
        let text = rules(world)?;
        let bare: Vec<&str> = text.lines().filter(|line| !line.starts_with("# nhi:")).collect();
        set_rules(world, &(bare.join("\n") + "\n"))?;
        let said = world.plan()?.expect(2)?;
        holds(said.contains("nhi_integration.it will be updated in-place"), "it is told", &said)?;
        holds(said.contains("general ledger every night"), "with what is written", &said)?;
        world.apply()?;
        holds(rules(world)?.contains("general ledger every night"), "it is back", "")?;
        world.plan_is_empty()
    });
}

#[test]
fn a_credential_that_nobody_declared_is_revoked_where_that_was_asked_for() {
    applied(|world| {
        world.write("main.tf", &integration("  revoke_unmanaged = true"))?;
        world.apply()?;
        let stray = world.bao.add_secret_id("invoice-sync")?;
        let said = world.plan()?.expect(2)?;
        holds(said.contains(&format!("- \"{stray}\"")), "it is planned away", &said)?;
        for words in [&["drift"][..], &["drift", "--state", "terraform.tfstate"]] {
            let told = world.nhi(words)?.expect(2)?;
            holds(told.contains("apply ends it"), "and drift says so", &told)?;
        }
        world.apply()?;
        holds(!world.bao.accessors("invoice-sync")?.contains(&stray), "it is gone", "")?;
        holds(signs_in(world)?, "and ours is not", "")?;
        world.plan_is_empty()
    });
}

#[test]
fn an_overlap_that_was_shortened_ends_the_earlier_credential() {
    let rotated = |value: &str, overlap: &str| {
        with(
            "  schedule    = nhi_rotation_schedule.monthly\n",
            &format!("  schedule    = nhi_rotation_schedule.monthly\n  triggers    = {{ now = \"{value}\" }}\n"),
        )
        .replace("\"24h\"", &format!("\"{overlap}\""))
    };
    in_world(&rotated("1", "24h"), |world| {
        world.apply()?;
        let old = world.bao.document("apps/invoice-sync")?;
        world.write("main.tf", &rotated("2", "24h"))?;
        world.apply()?;
        holds(world.bao.signs_in(&old)?, "both work", "")?;
        world.write("main.tf", &rotated("2", "1s"))?;
        world.apply()?;
        std::thread::sleep(std::time::Duration::from_secs(2));
        let said = world.plan()?.expect(2)?;
        holds(said.contains("\"retire_due\" -> \"current\""), "its overlap is over", &said)?;
        world.apply()?;
        holds(!world.bao.signs_in(&old)?, "it is refused", "")?;
        let state = world.state("nhi_credential.it")?;
        holds(state["last_revocation"]["grade"] == "A", "to grade A", &state.to_string())?;
        world.plan_is_empty()
    });
}

/// The base with the scopes held in that way.
fn enforced(way: &str) -> String {
    let why = "  justification = \"Reads tonight's invoices and nothing else\"\n";
    with(why, &format!("{why}  enforcement   = \"{way}\"\n"))
}

/// Leaves the policy its record and takes every rule out of it.
fn take_all_away(world: &World) -> Result<()> {
    let text = rules(world)?;
    let record: Vec<&str> = text.lines().filter(|line| line.starts_with('#')).collect();
    set_rules(world, &(record.join("\n") + "\n"))
}

#[test]
fn scopes_held_as_at_least_are_given_back_and_a_scope_added_by_hand_is_only_shown() {
    in_world(&enforced("at_least"), |world| {
        world.apply()?;
        world.plan_is_empty()?;
        world.bao.widen("nhi/invoice-sync", "secret/data/payroll/*")?;
        let said = world.plan()?.expect(0)?;
        holds(
            said.contains("Warning") && said.contains("secret/data/payroll/*:read"),
            "it is warned of and not planned away",
            &said,
        )?;
        world.apply()?;
        holds(rules(world)?.contains("secret/data/payroll/*"), "no apply takes it", "")?;
        let state = world.state("nhi_scope.it")?;
        let extra = json!(["secret/data/payroll/*:read"]);
        holds(state["undeclared"] == extra, "it is told apart", &state.to_string())?;
        let declared = json!(["secret/data/invoices/*:read"]);
        holds(state["scopes"] == declared, "and is not among ours", &state.to_string())?;
        take_all_away(world)?;
        let said = world.plan()?.expect(2)?;
        holds(said.contains("+ \"secret/data/invoices/*:read\""), "ours is planned back", &said)?;
        world.apply()?;
        holds(rules(world)?.contains("secret/data/invoices/*"), "and is there", "")?;
        world.plan_is_empty()
    });
}

#[test]
fn scopes_held_as_at_most_are_narrowed_by_hand_in_peace_and_a_scope_added_is_taken_away() {
    in_world(&enforced("at_most"), |world| {
        world.apply()?;
        world.plan_is_empty()?;
        world.bao.widen("nhi/invoice-sync", "secret/data/payroll/*")?;
        let said = world.plan()?.expect(2)?;
        holds(said.contains("- \"secret/data/payroll/*:read\""), "it is planned away", &said)?;
        world.apply()?;
        let text = rules(world)?;
        holds(!text.contains("secret/data/payroll/*"), "it is gone", &text)?;
        holds(text.contains("secret/data/invoices/*"), "and ours is not", &text)?;
        world.plan_is_empty()?;
        take_all_away(world)?;
        world.plan()?.expect(0)?;
        world.apply()?;
        let text = rules(world)?;
        holds(!text.contains("secret/data/invoices/*"), "no apply gives it back", &text)?;
        world.plan()?.expect(0).map(|_| ())
    });
}

#[test]
fn scopes_that_are_ignored_are_warned_of_all_the_same() {
    let main = with(
        "  justification = \"Reads tonight's invoices and nothing else\"\n",
        "  justification = \"Reads tonight's invoices and nothing else\"\n  lifecycle {\n    ignore_changes = [scopes]\n  }\n",
    );
    in_world(&main, |world| {
        world.apply()?;
        world.bao.widen("nhi/invoice-sync", "secret/data/payroll/*")?;
        let said = world.plan()?.expect(0)?;
        holds(
            said.contains("Warning") && said.contains("secret/data/payroll/*:read"),
            "the plan is empty and not silent",
            &said,
        )
    });
}

#[test]
fn an_import_by_identity_gives_what_an_import_by_id_gives() {
    applied(|world| {
        // Cores know identities in import blocks from 1.12 on.
        let mut command = world.core_command();
        let told =
            command.args(["version", "-json"]).output().map_err(|error| error.to_string())?;
        let told: serde_json::Value =
            serde_json::from_slice(&told.stdout).map_err(|error| error.to_string())?;
        let version = told["terraform_version"].as_str().unwrap_or_default().to_owned();
        let mut parts = version.split('.').filter_map(|part| part.parse::<u32>().ok());
        let knows = (parts.next(), parts.next()) >= (Some(1), Some(12));
        let identity = "\nimport {\n  to = nhi_integration.it\n  identity = {\n    connection = \"bao\"\n    kind = \"openbao_approle\"\n    key = \"invoice-sync\"\n  }\n}\n";
        world
            .terraform(&["state", "rm", "nhi_credential.it", "nhi_scope.it", "nhi_integration.it"])?
            .expect(0)?;
        world.write("main.tf", &format!("{BASE}{identity}"))?;
        let ran = world.plan()?;
        if knows {
            holds(ran.said.contains("1 to import"), "it is imported", &ran.said)
        } else {
            holds(ran.code == 1, "an older core refuses the block itself", &ran.said)
        }
    });
}
