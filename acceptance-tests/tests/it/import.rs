//! Taking what exists into an empty state.

use crate::{BASE, applied, holds};

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
        let _ = std::fs::remove_file(world.folder.join("terraform.tfstate"));
        let blocks = blocks.replace(".invoice_sync", ".it");
        world.write("main.tf", &format!("{BASE}\n{blocks}"))?;
        let said = world.plan()?.said;
        holds(said.contains("3 to import"), "the credential too", &said)
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
