//! What is kept for ourselves is lost, or the key with which it was written.

use acceptance_tests::{Result, World, core::ran};
use serde_json::json;

use crate::{BASE, applied, holds, in_world, triggered};

/// Somebody deletes custody with its history, and perhaps the ledger.
fn lose_books(world: &World, ledger: bool) -> Result<()> {
    for path in world.bao.documents()?.iter().filter(|path| path.starts_with("nhi/")) {
        world.bao.ask("DELETE", &format!("/v1/secret/metadata/{path}"), None)?;
    }
    for name in ["nhi.db", "nhi.db-wal", "nhi.db-shm"].iter().filter(|_| ledger) {
        let _ = std::fs::remove_file(world.folder.join(name));
    }
    Ok(())
}

#[test]
fn a_key_made_by_hand_and_taken_in_outlives_the_loss_of_custody_and_ledger() {
    let (owners, rest) = BASE.split_once("resource \"nhi_integration\"").unwrap_or_default();
    let (rest, _) = rest.split_once("resource \"nhi_rotation_schedule\"").unwrap_or_default();
    let rest = format!("resource \"nhi_integration\"{rest}")
        .replace("\"nhi_scope\" \"it\" {", "\"nhi_scope\" \"it\" {\n  enforcement = \"at_least\"")
        .replace("  openbao_approle = {", "  revoke_unmanaged = true\n  openbao_approle = {");
    let rest = format!(
        "{rest}\nresource \"nhi_credential\" \"it\" {{\n  integration = nhi_integration.it\n  \
         secret_source = \"the runbook of the night shift\"\n}}\n"
    );
    in_world(owners, |world| {
        world.apply()?;
        let role = "/v1/auth/approle/role/invoice-sync";
        world.bao.post(role, json!({ "token_policies": ["default"], "token_ttl": "1h" }))?;
        let adopted = world.bao.add_secret_id("invoice-sync")?;
        let blocks = world.nhi(&["scan", "bao", "--format", "import"])?.expect(0)?;
        let blocks = blocks.replace(".invoice_sync", ".it");
        world.write("main.tf", &format!("{owners}{rest}\n{blocks}"))?;
        world.apply()?;
        world.plan_is_empty()?;
        lose_books(world, true)?;
        world.plan_is_empty()?;
        let stray = world.bao.add_secret_id("invoice-sync")?;
        let said = world.plan()?.expect(2)?;
        holds(said.contains(&stray), "a stranger's is planned away", &said)?;
        holds(!said.contains(&adopted), "and this one is not", &said)?;
        world.apply()?;
        let left = world.bao.accessors("invoice-sync")?;
        holds(left == [adopted.clone()], "it lives on, alone", &format!("{left:?}"))?;
        world.plan_is_empty()
    });
}

#[test]
fn in_an_overlap_whose_claim_is_lost_no_third_generation_is_issued() {
    in_world(&triggered("1"), |world| {
        world.apply()?;
        world.write("main.tf", &triggered("2"))?;
        world.apply()?;
        let both = world.bao.accessors("invoice-sync")?;
        lose_books(world, false)?;
        world.write("main.tf", &triggered("3"))?;
        let said = world.terraform(&["apply", "-auto-approve"])?.expect(1)?;
        holds(said.contains("E-OLD-IN-USE"), "the earlier one is waited for", &said)?;
        holds(world.bao.accessors("invoice-sync")? == both, "nothing was issued or ended", "")
    });
}

#[test]
fn under_another_realm_key_nothing_is_planned_or_done_and_the_right_one_is_named() {
    applied(|world| {
        let before = world.bao.accessors("invoice-sync")?;
        let wrong = "another-installation-s-key-0123456789-abc";
        for words in [&["plan"][..], &["apply", "-auto-approve"], &["destroy", "-auto-approve"]] {
            let mut command = world.core_command();
            command.args(words).arg("-no-color").env("NHI_REALM_KEY", wrong);
            let said = ran(&mut command)?.expect(1)?;
            let named = said.contains("E-REALM-KEY") && said.contains("the variable NHI_REALM_KEY");
            holds(named, "it is refused, and which key it is", &said)?;
            holds(!said.contains("forged mark"), "and nobody is called a forger", &said)?;
        }
        holds(world.bao.accessors("invoice-sync")? == before, "nothing was done", "")?;
        let said = world.nhi(&["doctor"])?.expect(0)?;
        holds(said.contains("with its key k"), "the right one is named", &said)?;
        world.plan_is_empty()
    });
}
