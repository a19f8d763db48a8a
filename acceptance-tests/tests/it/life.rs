//! Names, replacement, what is left alone, and what was lost.

use acceptance_tests::world::{LEDGER, LOG, SAVED, STATE};

use crate::{BASE, applied, holds, in_world, one_credential_works};

#[test]
fn a_rename_by_moved_calls_nobody() {
    applied(|world| {
        let main = BASE.replace(
            "resource \"nhi_credential\" \"it\"",
            "resource \"nhi_credential\" \"renamed\"",
        ) + "\nmoved {\n  from = nhi_credential.it\n  to   = nhi_credential.renamed\n}\n";
        world.write("main.tf", &main)?;
        let said = world.apply()?;
        holds(said.contains("0 added, 0 changed, 0 destroyed"), "nothing is done", &said)?;
        world.plan_is_empty()
    });
}

#[test]
fn replacing_a_credential_is_a_rotation_without_overlap() {
    applied(|world| {
        let before = world.bao.document("apps/invoice-sync")?;
        let said = world
            .terraform(&["apply", "-auto-approve", "-replace=nhi_credential.it"])?
            .expect(0)?;
        holds(said.contains("Kept alive until its replacement works"), "it is said", &said)?;
        let after = world.bao.document("apps/invoice-sync")?;
        holds(before["secret_id"] != after["secret_id"], "there is a new one", "")?;
        holds(world.bao.signs_in(&after)?, "the new one works", "")?;
        holds(!world.bao.signs_in(&before)?, "the old one is refused", "")?;
        world.plan_is_empty()
    });
}

#[test]
fn a_place_that_a_slot_gave_up_is_free_for_another_one() {
    applied(|world| {
        let before = world.bao.document("apps/invoice-sync")?;
        let slot = "resource \"nhi_credential\" \"it\" {\n";
        world.write(
            "main.tf",
            &BASE.replace(slot, &format!("{slot}  name        = \"nightly\"\n")),
        )?;
        world.apply()?;
        let after = world.bao.document("apps/invoice-sync")?;
        holds(world.bao.signs_in(&after)?, "the new slot's one works", "")?;
        holds(!world.bao.signs_in(&before)?, "the old slot's one is refused", "")?;
        world.plan_is_empty()
    });
}

#[test]
fn a_removed_block_ends_nothing() {
    applied(|world| {
        let begin = BASE.find("resource \"nhi_credential\"").unwrap_or(BASE.len());
        let main = BASE[..begin].to_owned()
            + "\nremoved {\n  from = nhi_credential.it\n  lifecycle {\n    destroy = false\n  }\n}\n";
        world.write("main.tf", &main)?;
        world.apply()?;
        one_credential_works(world, 0)?;
        let said = world.nhi(&["scan", "--format", "json"])?.expect(0)?;
        let key = world.bao.accessors("invoice-sync")?.remove(0);
        holds(said.contains(&key), "and the inventory still shows it", &said)
    });
}

#[test]
fn a_slot_whose_state_was_lost_is_not_filled_twice() {
    applied(|world| {
        world.terraform(&["state", "rm", "nhi_credential.it"])?.expect(0)?;
        let said = world.terraform(&["apply", "-auto-approve"])?.expect(1)?;
        holds(
            said.contains("E-SLOT-EXISTS") && said.contains("terraform import"),
            "it is refused",
            &said,
        )?;
        let id = "bao/openbao_approle/invoice-sync/credential/default";
        world.terraform(&["import", "nhi_credential.it", id])?.expect(0)?;
        let said = world.apply()?;
        holds(!said.contains("1 -> 2"), "an import never rotates", &said)?;
        world.plan_is_empty()
    });
}

#[test]
fn a_second_configuration_cannot_take_what_exists() {
    applied(|world| {
        let other = crate::BASE.replace("\"payments-platform\"", "\"somebody-else\"");
        let folder = world.root().join("work/other");
        std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
        std::fs::write(folder.join("main.tf"), other).map_err(|error| error.to_string())?;
        let mut command = world.core_command();
        command.current_dir(&folder).args(["apply", "-auto-approve", "-no-color"]);
        let said = acceptance_tests::core::ran(&mut command)?.expect(1)?;
        holds(said.contains("E-EXISTS"), "it is refused", &said)
    });
}

#[test]
fn a_plan_that_was_saved_is_applied_as_it_was_reviewed() {
    in_world(BASE, |world| {
        world.terraform(&["plan", "-out=saved"])?.expect(0)?;
        let said = world.terraform(&["apply", "saved"])?.expect(0)?;
        holds(said.contains("6 added"), "all of it", &said)?;
        world.no_secret_leaked(&[STATE, SAVED, LOG, LEDGER])?;
        world.plan_is_empty()
    });
}

#[test]
fn deleting_the_ledger_loses_history_and_nothing_else() {
    applied(|world| {
        for name in ["nhi.db", "nhi.db-wal", "nhi.db-shm"] {
            let _ = std::fs::remove_file(world.folder.join(name));
        }
        world.plan_is_empty()?;
        let said = world.nhi(&["ledger", "verify"])?.expect(1)?;
        holds(said.contains("E-LEDGER-MISSING"), "that it is gone is told", &said)
    });
}
