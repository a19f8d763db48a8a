//! What comes back from a backup is older than the world, and a state is gone as a whole.

use std::fs;

use acceptance_tests::{
    Result, World,
    world::{LEDGER, STATE},
};
use serde_json::{Value, json};

use crate::{
    BASE, SILENCE, applied, flat, holds, in_world, nothing_is_left_to_do, one_credential_works,
    triggered,
};

/// What a backup of the KV store has of one document: its path, what it holds, what is written
/// beside it.
struct Document(String, Value, Value);

/// A backup of what the store holds now, of all documents below a prefix.
fn backup(world: &World, prefix: &str) -> Result<Vec<Document>> {
    let paths = world.bao.documents()?;
    let ours = paths.into_iter().filter(|path| path.starts_with(prefix));
    ours.map(|path| {
        let held = world.bao.get(&format!("/v1/secret/data/{path}"))?["data"]["data"].clone();
        let about = world.bao.get(&format!("/v1/secret/metadata/{path}"))?["data"].clone();
        let about = json!({
            "cas_required": about["cas_required"],
            "custom_metadata": about["custom_metadata"],
            "max_versions": about["max_versions"],
        });
        Ok(Document(path, held, about))
    })
    .collect()
}

/// Puts a backup where it came from, as an import of an export does: versions begin anew.
fn restore(world: &World, documents: &[Document]) -> Result<()> {
    for Document(path, held, about) in documents {
        world.bao.ask("DELETE", &format!("/v1/secret/metadata/{path}"), None)?;
        let whole = json!({ "data": held, "options": { "cas": 0 } });
        world.bao.post(&format!("/v1/secret/data/{path}"), whole)?;
        world.bao.post(&format!("/v1/secret/metadata/{path}"), about.clone())?;
    }
    Ok(())
}

/// The ledger's files, as bytes.
fn ledger(world: &World) -> Vec<(String, Option<Vec<u8>>)> {
    let files = ["", "-wal", "-shm"].map(|end| format!("{LEDGER}{end}"));
    files.map(|name| (name.clone(), fs::read(world.folder.join(name)).ok())).to_vec()
}

/// Puts the ledger's files back as they were.
fn turn_back(world: &World, files: Vec<(String, Option<Vec<u8>>)>) -> Result<()> {
    for (name, bytes) in files {
        let path = world.folder.join(name);
        let put = match bytes {
            Some(bytes) => fs::write(path, bytes),
            None => fs::remove_file(path).or(Ok(())),
        };
        put.map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// Rotates without an overlap, as an incident does.
fn replaced(world: &World) -> Result<String> {
    world.terraform(&["apply", "-auto-approve", "-replace=nhi_credential.it"])?.expect(0)
}

/// What the plan says it will do to the credential, with the exit code that says that it does.
fn planned(world: &World) -> Result<String> {
    world.plan()?.expect(2).map(|said| flat(&said))
}

#[test]
fn a_ledger_from_last_week_does_no_harm() {
    in_world(&triggered("1"), |world| {
        world.apply()?;
        let last_week = ledger(world);
        world.write("main.tf", &triggered("2"))?;
        world.apply()?;
        turn_back(world, last_week)?;
        nothing_is_left_to_do(world)?;
        world.nhi(&["ledger", "verify"])?.expect(0)?;
        let told = world.nhi(&["ledger", "show"])?.expect(0)?;
        holds(!told.contains("generation 2"), "what is not in it is not made up", &told)?;
        replaced(world)?;
        let told = world.nhi(&["ledger", "show"])?.expect(0)?;
        holds(told.contains("generation 3"), "it goes on where the world is", &told)?;
        world.nhi(&["ledger", "verify"])?.expect(0)?;
        one_credential_works(world, 0)
    });
}

/// An apply delivers another one, and keeps the one that the backup knew nothing of.
fn healed(world: &World, lost: &Value) -> Result<()> {
    world.apply()?;
    holds(world.bao.signs_in(lost)?, "whoever has read the lost one is let in", "")?;
    one_credential_works(world, 1)?;
    nothing_is_left_to_do(world)
}

#[test]
fn a_delivered_copy_from_a_backup_is_seen_although_it_says_itself_that_it_is_ours() {
    applied(|world| {
        let yesterday = backup(world, "apps/")?;
        replaced(world)?;
        let lost = world.bao.document("apps/invoice-sync")?;
        restore(world, &yesterday)?;
        let said = planned(world)?;
        holds(said.contains("generation = 2 -> 3"), "another one is issued", &said)?;
        world.nhi(&["drift"])?.expect(2)?;
        healed(world, &lost)
    });
}

/// In an overlap, with custody and all: what was issued since then is known to the state alone.
#[test]
fn a_store_from_a_backup_takes_no_key_from_whoever_holds_one_and_leaves_none_unknown() {
    in_world(&triggered("1"), |world| {
        world.apply()?;
        let yesterday = backup(world, "")?;
        world.write("main.tf", &triggered("2"))?;
        world.apply()?;
        let lost = world.bao.document("apps/invoice-sync")?;
        restore(world, &yesterday)?;
        std::thread::sleep(SILENCE);
        let said = planned(world)?;
        holds(said.contains("generation = 2 -> 3"), "another one is issued", &said)?;
        holds(!said.contains("E-OLD-IN-USE"), "and no overlap is waited for", &said)?;
        let told = flat(&world.nhi(&["drift"])?.expect(2)?);
        holds(told.contains("no sink holds it; apply rotates"), "it is told", &told)?;
        let old = world.bao.document("apps/invoice-sync")?;
        world.apply()?;
        for document in [&old, &lost] {
            holds(world.bao.signs_in(document)?, "whoever holds it is let in", "")?;
        }
        let kept = world.state("nhi_credential.it")?["previous"].clone();
        let kept = kept.as_array().map_or(0, Vec::len);
        holds(kept == 2, "both are named, each with its time", &kept.to_string())?;
        one_credential_works(world, 2)?;
        nothing_is_left_to_do(world)?;
        replaced(world)?;
        one_credential_works(world, 0)
    });
}

#[test]
fn a_store_from_before_a_rotation_that_ended_the_old_key_is_healed() {
    applied(|world| {
        let yesterday = backup(world, "")?;
        replaced(world)?;
        let lost = world.bao.document("apps/invoice-sync")?;
        restore(world, &yesterday)?;
        holds(!world.bao.signs_in(&world.bao.document("apps/invoice-sync")?)?, "it is dead", "")?;
        std::thread::sleep(SILENCE);
        let said = planned(world)?;
        holds(said.contains("generation = 2 -> 3"), "another one is issued", &said)?;
        healed(world, &lost)
    });
}

#[test]
fn a_state_that_is_gone_as_a_whole_comes_back_by_the_blocks_that_scan_prints() {
    applied(|world| {
        let before = world.bao.document("apps/invoice-sync")?;
        fs::remove_file(world.folder.join(STATE)).map_err(|error| error.to_string())?;
        let said = world.terraform(&["apply", "-auto-approve"])?.expect(1)?;
        holds(said.contains("(E-EXISTS)"), "nothing is made twice", &said)?;
        let blocks = world.nhi(&["scan", "bao", "--format", "import"])?.expect(0)?;
        world.write("main.tf", &format!("{BASE}\n{}", blocks.replace(".invoice_sync", ".it")))?;
        let said = world.apply()?;
        holds(said.contains("3 imported"), "all that is at the platform", &said)?;
        holds(world.bao.document("apps/invoice-sync")? == before, "with the same secret", "")?;
        one_credential_works(world, 0)?;
        nothing_is_left_to_do(world)
    });
}

#[test]
fn what_is_tainted_is_replaced_as_if_that_had_been_asked_for() {
    applied(|world| {
        let before = world.bao.document("apps/invoice-sync")?;
        world.terraform(&["taint", "nhi_credential.it"])?.expect(0)?;
        let said = world.apply()?;
        holds(said.contains("Kept alive until its replacement works"), "no gap", &said)?;
        holds(!world.bao.signs_in(&before)?, "the old one is refused", "")?;
        one_credential_works(world, 0)?;
        world.terraform(&["taint", "nhi_integration.it"])?.expect(0)?;
        let said = planned(world)?;
        let told = "The old credential ends before there is another";
        holds(said.contains(told), "that it stops meanwhile is told", &said)?;
        world.apply()?;
        one_credential_works(world, 0)?;
        nothing_is_left_to_do(world)
    });
}
