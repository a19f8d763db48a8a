//! Taking what exists into an empty state.

use serde_json::json;

use crate::{BASE, applied, flat, holds, in_world, one_credential_works};

#[test]
fn an_import_into_nothing_replaces_nothing_and_rotates_nothing() {
    applied(|world| {
        for name in
            ["terraform.tfstate", "terraform.tfstate.backup", "nhi.db", "nhi.db-wal", "nhi.db-shm"]
        {
            let _ = std::fs::remove_file(world.folder.join(name));
        }
        let before = world.bao.document("apps/invoice-sync")?;
        let imports = [
            ("nhi_owner.finance", "owner/finance-operations"),
            ("nhi_owner.payments", "owner/payments-platform"),
            ("nhi_integration.it", "bao/openbao_approle/invoice-sync"),
            ("nhi_scope.it", "bao/openbao_approle/invoice-sync/scope"),
            ("nhi_credential.it", "bao/openbao_approle/invoice-sync/credential/default"),
        ];
        for (address, id) in imports {
            world.terraform(&["import", address, id])?.expect(0)?;
        }
        let said = world.plan()?.said;
        holds(said.contains("0 to destroy"), "nothing is destroyed", &said)?;
        holds(!said.contains("must be replaced"), "nothing is replaced", &said)?;
        world.apply()?;
        let after = world.bao.document("apps/invoice-sync")?;
        holds(before["secret_id"] == after["secret_id"], "nothing was rotated", "")?;
        world.plan_is_empty()
    });
}

#[test]
fn scan_prints_import_blocks_that_the_core_takes() {
    applied(|world| {
        let blocks = world.nhi(&["scan", "bao", "--format", "import"])?.expect(0)?;
        holds(blocks.contains("id = \"bao/openbao_approle/invoice-sync\""), "the id", &blocks)?;
        let comment = "# bao/openbao_approle/invoice-sync: this installation governs it already.";
        holds(blocks.contains(comment), "a comment says that it has an owner", &blocks)?;
        let _ = std::fs::remove_file(world.folder.join("terraform.tfstate"));
        let blocks = blocks.replace(".invoice_sync", ".it");
        world.write("main.tf", &format!("{BASE}\n{blocks}"))?;
        let said = world.plan()?.said;
        holds(said.contains("3 to import"), "the credential too", &said)?;
        let told = said.matches("This is governed already").count();
        let (said, told_twice) = (flat(&said), told == 3 || said.contains("more similar warning"));
        holds(told_twice && said.contains("E-GOVERNED-TWICE"), "each says so", &said)
    });
}

#[test]
fn a_key_made_by_hand_is_taken_in_by_the_block_that_scan_prints_and_then_replaced() {
    // Only the owners are there before: the rest somebody made by hand.
    let (owners, rest) = BASE.split_once("resource \"nhi_integration\"").unwrap_or_default();
    let rest = format!("resource \"nhi_integration\"{rest}")
        .replace("\"nhi_scope\" \"it\" {", "\"nhi_scope\" \"it\" {\n  enforcement = \"at_least\"")
        .replace("\"24h\"", "\"4s\"")
        .replace("\"30d\"", "\"1h\"");
    in_world(owners, |world| {
        world.apply()?;
        let role = "/v1/auth/approle/role/invoice-sync";
        world.bao.post(role, json!({ "token_policies": ["default"], "token_ttl": "1h" }))?;
        world.bao.add_secret_id("invoice-sync")?;
        let before = world.bao.accessors("invoice-sync")?;
        let blocks = world.nhi(&["scan", "bao", "--format", "import"])?.expect(0)?;
        let blocks = blocks.replace(".invoice_sync", ".it");
        world.write("main.tf", &format!("{owners}{rest}\n{blocks}"))?;
        let said = world.plan()?.expect(2)?;
        holds(said.contains("3 to import"), "all three are taken in", &said)?;
        holds(said.contains("0 to destroy"), "nothing ends", &said)?;
        world.apply()?;
        holds(world.bao.accessors("invoice-sync")? == before, "nothing was issued or ended", "")?;
        let state = world.state("nhi_credential.it")?;
        holds(state["key_id"] == before[0].as_str(), "it is that one", &state.to_string())?;
        holds(state["generation"] == 0, "before the first of ours", &state.to_string())?;
        let said = flat(&world.plan()?.expect(2)?);
        holds(said.contains("generation = 0 -> 1"), "the plan after it takes over", &said)?;
        world.apply()?;
        let now = world.bao.accessors("invoice-sync")?;
        holds(now.len() == 2 && now.contains(&before[0]), "the old one has its overlap", "")?;
        holds(world.bao.signs_in(&world.bao.document("apps/invoice-sync")?)?, "it signs in", "")?;
        std::thread::sleep(std::time::Duration::from_secs(5));
        world.apply()?;
        let now = world.bao.accessors("invoice-sync")?;
        holds(!now.contains(&before[0]), "and ends after it", &format!("{now:?}"))?;
        one_credential_works(world, 0)?;
        // Of two nothing is guessed.
        world
            .bao
            .post("/v1/auth/approle/role/by-hand", json!({ "token_policies": ["default"] }))?;
        world.bao.add_secret_id("by-hand")?;
        world.bao.add_secret_id("by-hand")?;
        let blocks = world.nhi(&["scan", "bao", "--format", "import"])?.expect(0)?;
        holds(blocks.contains("2 credentials bear no mark"), "both are counted", &blocks)?;
        holds(!blocks.contains("nhi_credential.by_hand"), "and no block is written", &blocks)
    });
}

#[test]
fn scan_and_doctor_say_what_is_there_and_what_can_be_done() {
    applied(|world| {
        let said = world.nhi(&["scan"])?.expect(0)?;
        holds(
            said.contains("bao/openbao_approle/invoice-sync") && said.contains("payments-platform"),
            "the row",
            &said,
        )?;
        let said = world.nhi(&["doctor"])?.expect(0)?;
        holds(
            said.contains("proves revocation by use") && said.contains("custody"),
            "capabilities",
            &said,
        )?;
        world.write(
            "slip.tf",
            "resource \"nhi_scope\" \"s\" {\n  integration = nhi_integration.it.id\n}\n",
        )?;
        let said = world.nhi(&["doctor", "--hcl", "."])?.expect(1)?;
        holds(said.contains("+ integration = nhi_integration.it"), "the corrected line", &said)
    });
}

#[test]
fn what_is_taken_in_with_the_configuration_that_the_core_wrote_stays_as_it_is() {
    let (owners, _) = BASE.split_once("resource \"nhi_integration\"").unwrap_or_default();
    in_world(owners, |world| {
        world.apply()?;
        let roles = [
            ("bare", json!({ "token_policies": ["default"] })),
            (
                "limited",
                json!({
                    "token_policies": ["default"], "token_bound_cidrs": ["127.0.0.1/32"],
                    "token_explicit_max_ttl": "12h", "secret_id_ttl": "40d",
                    "secret_id_num_uses": 50, "secret_id_bound_cidrs": ["127.0.0.0/8"],
                }),
            ),
        ];
        let mut before = Vec::new();
        for (name, role) in &roles {
            let path = format!("/v1/auth/approle/role/{name}");
            world.bao.post(&path, role.clone())?;
            before.push(world.bao.get(&path)?["data"].clone());
        }
        let blocks = world.nhi(&["scan", "bao", "--format", "import", "--quiet"])?.expect(0)?;
        world.write("imports.tf", &blocks)?;
        world.terraform(&["plan", "-generate-config-out=adopted.tf"])?;
        // What only a person can say.
        let written = world.read("adopted.tf")?;
        let people = [
            ("purpose", "\"Reads what a person wrote down long ago, each night\""),
            ("environment", "\"production\""),
            ("business_owner", "nhi_owner.finance"),
            ("technical_owner", "nhi_owner.payments"),
            ("justification", "\"It was there before anybody governed it\""),
        ];
        let form: Vec<String> = written
            .lines()
            .map(|line| {
                let name = line.split_whitespace().next();
                let said = people.iter().find(|(asked, _)| name == Some(asked));
                match said.filter(|_| line.ends_with("null")) {
                    Some((name, value)) => format!("  {name} = {value}"),
                    None => line.to_owned(),
                }
            })
            .collect();
        world.write("adopted.tf", &form.join("\n"))?;
        let plan = world.plan()?.expect(2)?;
        for name in ["token_ttl", "no_default_policy", "cidrs", "secret_id"] {
            let moved = |line: &&str| line.contains(name) && line.contains("->");
            holds(!plan.lines().any(|line| moved(&line)), "no setting moves", &plan)?;
        }
        world.apply()?;
        for ((name, _), before) in roles.iter().zip(before) {
            let mut after =
                world.bao.get(&format!("/v1/auth/approle/role/{name}"))?["data"].clone();
            // Its own policy, empty but for the record, is attached when its scopes are.
            after["token_policies"] = before["token_policies"].clone();
            holds(after == before, "the role is as it was", &format!("{before}\n{after}"))?;
        }
        world.plan_is_empty()?;
        // What nobody wrote down is watched all the same.
        let path = "/v1/auth/approle/role/limited";
        for (name, weaker) in [
            ("secret_id_bound_cidrs", json!([])),
            ("token_explicit_max_ttl", json!(0)),
            ("secret_id_num_uses", json!(0)),
            ("secret_id_ttl", json!(0)),
        ] {
            world.bao.post(path, json!({ name: weaker }))?;
            let said = world.plan()?.expect(2)?;
            holds(said.contains(name), "plan tells it", &said)?;
            let said = world.nhi(&["drift"])?.expect(2)?;
            holds(said.contains(name), "drift tells it", &said)?;
            world.apply()?;
            world.plan_is_empty()?;
        }
        Ok(())
    });
}
