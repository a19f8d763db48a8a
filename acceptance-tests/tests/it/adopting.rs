//! `nhi adopt`: what people made by hand over the years is taken over as it is.

use std::collections::BTreeMap;

use acceptance_tests::{Result, World, world::SAVED};
use serde_json::{Value, json};

use crate::{BASE, holds, in_world, oauth};

const TERMS: [&str; 4] = ["--steward", "owner/payments-platform", "--complete-by", "2030-12-15"];

/// The owners alone: all else somebody made by hand.
fn owners() -> &'static str {
    BASE.split_once("resource \"nhi_integration\"").unwrap_or_default().0
}

/// Runs `nhi adopt` with these words besides, and gives what it printed.
fn adopt(world: &World, words: &[&str], code: i32) -> Result<String> {
    world.nhi(&[&["adopt"], words, &TERMS[..]].concat())?.expect(code)
}

fn report(world: &World, words: &[&str], code: i32) -> Result<Value> {
    let said = adopt(world, &[words, &["--format", "json", "--quiet"]].concat(), code)?;
    let line = said.lines().find(|line| line.starts_with('{')).unwrap_or_default();
    serde_json::from_str(line).map_err(|error| format!("{error}: {said}"))
}

/// What a plan is to do, by address. It only imports, and writes records: nothing is added, destroyed,
/// replaced or rotated, and no setting and no scope moves.
pub(crate) fn only_takes_over(world: &World, imports: usize) -> Result<()> {
    world.terraform(&["fmt", "-check", "-diff"])?.expect(0)?;
    let said =
        world.terraform(&["plan", "-detailed-exitcode", &format!("-out={SAVED}")])?.expect(2)?;
    let counted = format!("Plan: {imports} to import, 0 to add");
    holds(said.contains(&counted) && said.contains("0 to destroy"), &counted, &said)?;
    let shown = world.core_command().args(["show", "-json", SAVED]).output();
    let shown = shown.map_err(|error| error.to_string())?.stdout;
    let plan: Value = serde_json::from_slice(&shown).map_err(|error| error.to_string())?;
    for one in plan["resource_changes"].as_array().into_iter().flatten() {
        let (address, change) = (&one["address"], &one["change"]);
        let calm = change["actions"] == json!(["update"]) || change["actions"] == json!(["no-op"]);
        holds(calm, "in place", &one.to_string())?;
        let (before, after) = (&change["before"], &change["after"]);
        let object = before["kind"].as_str().unwrap_or("kind");
        for name in [
            "scopes",
            "enforcement",
            "generation",
            "key_id",
            "status",
            "state",
            "vendor_id",
            object,
        ] {
            holds(before[name] == after[name], &format!("{address}: {name}"), &change.to_string())?;
        }
        holds(change["after_unknown"].get("key_id").is_none(), "no other key", &one.to_string())?;
    }
    Ok(())
}

/// Roles as they are found after some years, and how many live credentials they have.
fn made_by_hand(world: &World) -> Result<usize> {
    let bao = &world.bao;
    let policy = |name: &str, text: &str| {
        bao.post(&format!("/v1/sys/policies/acl/{name}"), json!({ "policy": text })).map(drop)
    };
    policy(
        "shared-read",
        "path \"secret/data/shared/*\" {\n  capabilities = [\"read\", \"list\"]\n}",
    )?;
    policy(
        "everything",
        "path \"secret/*\" {\n  capabilities = [\"create\", \"read\", \"update\", \"delete\", \"list\"]\n}\npath \"sys/health\" {\n  capabilities = [\"read\"]\n}",
    )?;
    policy(
        "dirty",
        "path \"secret/data/we\\\"ird/${odd}/%{x}\" {\n  capabilities = [\"read\"]\n}\n\
         path \"secret/data/denied\" {\n  capabilities = [\"deny\"]\n}\n\
         path \"secret/data/limited\" {\n  capabilities = [\"update\"]\n  required_parameters = [\"reason\"]\n}\n\
         path \"secret/data/{{identity.entity.id}}/*\" {\n  capabilities = [\"read\"]\n}",
    )?;
    let role = |name: &str, with: Value| {
        bao.post(&format!("/v1/auth/approle/role/{name}"), with).map(drop)
    };
    let mut keys = 0;
    let mut key = |name: &str, with: Value| -> Result<()> {
        let data = bao.post(&format!("/v1/auth/approle/role/{name}/secret-id"), with)?;
        keys += usize::from(data["data"]["secret_id_accessor"].is_string());
        Ok(())
    };
    for number in 1..=16 {
        let name = format!("svc-{number:02}");
        role(&name, json!({ "token_policies": ["shared-read"], "token_ttl": "20m" }))?;
        key(&name, json!({}))?;
    }
    // Names that make one identifier, and names that make none.
    for name in ["billing-sync", "billing_sync", "Billing.Sync", "0day", "import", "x.y-z_1"] {
        role(name, json!({ "token_policies": ["default", "shared-read"] }))?;
        key(name, json!({}))?;
    }
    role(&"long-name".repeat(9), json!({ "token_policies": ["everything"] }))?;
    role("wild", json!({ "token_policies": ["everything", "no-such-policy", "default"] }))?;
    key("wild", json!({}))?;
    role("dirty", json!({ "token_policies": ["dirty"], "token_no_default_policy": true }))?;
    key("dirty", json!({}))?;
    // Several keys, of different kinds.
    role("many-keys", json!({ "token_policies": ["shared-read"], "token_ttl": "1h" }))?;
    key("many-keys", json!({ "metadata": "{\"made_by\": \"alice \\\"a\\\" ${x}\"}" }))?;
    key("many-keys", json!({ "cidr_list": "127.0.0.0/8", "token_bound_cidrs": "127.0.0.0/8" }))?;
    key("many-keys", json!({ "num_uses": 40, "ttl": "30d" }))?;
    // Some that have none, or none any more.
    role("no-key", json!({ "token_policies": ["shared-read"] }))?;
    role("expired-key", json!({ "token_policies": ["shared-read"], "secret_id_ttl": "1s" }))?;
    bao.post("/v1/auth/approle/role/expired-key/secret-id", json!({}))?;
    role("no-policies", json!({}))?;
    key("no-policies", json!({}))?;
    // Settings of all sorts.
    role(
        "limited",
        json!({
            "token_policies": ["default"], "token_bound_cidrs": ["127.0.0.1/32", "10.0.0.0/8"],
            "token_explicit_max_ttl": "12h", "token_max_ttl": "6h", "token_num_uses": 7,
            "secret_id_ttl": "40d", "secret_id_num_uses": 50, "secret_id_bound_cidrs": ["127.0.0.0/8"],
        }),
    )?;
    key("limited", json!({}))?;
    role("batch", json!({ "token_policies": ["shared-read"], "token_type": "batch" }))?;
    key("batch", json!({}))?;
    role("periodic", json!({ "token_policies": ["shared-read"], "token_period": "24h" }))?;
    key("periodic", json!({}))?;
    role(
        "no-secret-needed",
        json!({ "token_policies": ["default"], "bind_secret_id": false, "token_bound_cidrs": ["127.0.0.1/32"] }),
    )?;
    Ok(keys)
}

/// Every role as the server has it, but for the policy that bears the record.
fn roles(world: &World) -> Result<BTreeMap<String, (Value, Vec<String>)>> {
    let mut all = BTreeMap::new();
    for name in world.bao.roles()? {
        let mut role = world.bao.get(&format!("/v1/auth/approle/role/{name}"))?["data"].clone();
        if let Some(policies) = role["token_policies"].as_array_mut() {
            policies.retain(|policy| policy.as_str().is_some_and(|name| !name.starts_with("nhi")));
            policies.sort_by_key(ToString::to_string);
        }
        // What is over is forgotten by the server when somebody looks.
        let stay = name != "expired-key";
        let mut keys =
            if stay { world.bao.accessors(&name).unwrap_or_default() } else { Vec::new() };
        keys.sort();
        all.insert(name, (role, keys));
    }
    Ok(all)
}

#[test]
fn roles_that_people_made_over_years_are_taken_over_as_they_are_and_a_second_run_adds_what_is_new()
{
    in_world(owners(), |world| {
        world.apply()?;
        let keys = made_by_hand(world)?;
        std::thread::sleep(std::time::Duration::from_secs(2));
        // Such a name OpenBao itself refuses.
        let refused =
            world.bao.ask("POST", "/v1/auth/approle/role/a%22%24%7Bb%7D", Some(json!({})))?;
        let odd = usize::from(refused.status < 300);
        let before = roles(world)?;
        let count = before.len();
        holds((25..=50).contains(&count), "so many roles", &count.to_string())?;

        let said = adopt(world, &["bao", "--dry-run"], 0)?;
        holds(said.contains("to = nhi_integration.billing_sync"), "it is printed", &said)?;
        holds(world.read("adopted_bao.tf").is_err(), "and not written", "")?;
        let told = report(world, &["bao"], 0)?;
        let written = told["written"].as_array().map_or(0, Vec::len);
        holds(written == 2 * count + keys, "each with its scopes and its keys", &told.to_string())?;
        let text = world.read("adopted_bao.tf")?;
        for one in [
            "\"nhi_integration\" \"billing_sync\"",
            "\"nhi_integration\" \"_0day\"",
            "last use",
            "issued 20",
        ] {
            holds(text.contains(one), one, &text)?;
        }
        only_takes_over(world, written)?;
        world.terraform(&["apply", SAVED])?.expect(0)?;
        let after = roles(world)?;
        for (name, was) in &before {
            let is = &after[name];
            holds(was == is, "as it was", &format!("{name}\n{was:?}\n{is:?}"))?;
        }
        world.plan_is_empty()?;
        world.nhi(&["drift"])?.expect(0)?;

        // Nothing new: no file.
        let again = report(world, &["bao"], 0)?;
        let nothing = again["written"] == json!([]) && again["files"] == json!([]);
        holds(nothing && again["known"] == count, "nothing is new", &again.to_string())?;
        holds(world.read("adopted_bao.tf")? == text, "and what was written is as it was", "")?;
        // A role, and a key of one that is being adopted.
        world
            .bao
            .post("/v1/auth/approle/role/late-comer", json!({ "token_policies": ["default"] }))?;
        world.bao.add_secret_id("svc-01")?;
        let more = report(world, &["bao"], 0)?;
        holds(
            more["written"].as_array().map(Vec::len) == Some(3),
            "three more",
            &more.to_string(),
        )?;
        holds(world.read("adopted_bao.tf")? == text, "in another file", "")?;
        world.read("adopted_bao_2.tf")?;
        only_takes_over(world, 3)?;
        world.terraform(&["apply", SAVED])?.expect(0)?;
        world.plan_is_empty()?;

        // And after that there is nothing new again.
        let none = report(world, &["bao", "--dry-run"], 0)?;
        holds(none["written"] == json!([]), "it is all known", &none.to_string())?;
        holds(odd == 0, "no name has quotes", "")
    });
}

#[test]
fn an_adoption_that_somebody_completes_goes_on_as_any_other_integration() {
    in_world(owners(), |world| {
        world.apply()?;
        world.bao.post("/v1/auth/approle/role/late", json!({ "token_policies": ["default"] }))?;
        world.bao.add_secret_id("late")?;
        let before = world.bao.accessors("late")?;
        adopt(world, &["--object", "bao/openbao_approle/late"], 0)?;
        only_takes_over(world, 3)?;
        world.terraform(&["apply", SAVED])?.expect(0)?;
        let said = world.plan()?.expect(0)?;
        holds(said.contains("Not everything is said of what was adopted"), "it is told", &said)?;
        // A person finds out the rest.
        let text = world.read("adopted_bao.tf")?;
        let (head, _) = text.split_once("  adoption = {").ok_or("no adoption")?;
        let slot = before[0].get(..8).unwrap_or_default();
        let whole = format!(
            "{head}  purpose = \"Reads what a person wrote down long ago, each night\"\n  environment = \"production\"\n  \
             business_owner = nhi_owner.finance\n  technical_owner = nhi_owner.payments\n}}\n\
             resource \"nhi_scope\" \"late\" {{\n  integration = nhi_integration.late\n  scopes = [\"policy/default\"]\n  \
             justification = \"It was there before anybody governed it\"\n}}\n\
             resource \"nhi_credential\" \"late\" {{\n  integration = nhi_integration.late\n  name = \"{slot}\"\n  \
             triggers = {{ custody = \"1\" }}\n  deliver_to = {{ app = {{ connection = \"bao\", path = \"secret/apps/late\" }} }}\n}}\n"
        );
        world.write("adopted_bao.tf", &whole)?;
        let said = world.plan()?.expect(2)?;
        holds(said.contains("0 to add") && said.contains("0 to destroy"), "in place", &said)?;
        world.apply()?;
        let now = world.bao.accessors("late")?;
        holds(now.len() == 2 && now.contains(&before[0]), "a new one beside the old", "")?;
        holds(world.bao.signs_in(&world.bao.document("apps/late")?)?, "the new one signs in", "")?;
        world.plan_is_empty()
    });
}

#[test]
fn a_client_that_somebody_registered_by_hand_is_taken_over_as_it_is() {
    oauth::with_clients_made_by_hand(
        &["ticket-sync", "report-sync", "ticket-sync"],
        |world, ids| {
            let told = report(world, &["login"], 3)?;
            let gaps = told["gaps"].to_string();
            holds(
                gaps.contains("no listing"),
                "that others may be there is told",
                &told.to_string(),
            )?;
            let written = told["written"].as_array().map_or(0, Vec::len);
            holds(written == 9, "three, with scopes and key", &told.to_string())?;
            let text = world.read("adopted_login.tf")?;
            let named = text.matches("= \"ticket-sync\"").count();
            holds(named == 2, "two of one name", &text)?;
            only_takes_over(world, written)?;
            world.terraform(&["apply", SAVED])?.expect(0)?;
            world.plan_is_empty()?;
            // By id nothing is missing.
            for id in ids {
                let id = format!("login/oauth_client/{id}");
                let one = report(world, &["--object", &id], 0)?;
                let is_known = one["written"] == json!([]) && one["known"] == 1;
                holds(is_known, "it is known", &one.to_string())?;
            }
            Ok(())
        },
    );
}
