//! Several at once: two configurations on one platform, two platforms, two tenants, and what the core
//! itself does at once or too early.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use acceptance_tests::{
    Ran, Result, World,
    core::ran,
    servers::OpenBao,
    world::{STATE, nhi_hcl},
};

use serde_json::json;

use crate::{BASE, flat, holds, in_world, one_credential_works, triggered};

/// A second configuration, with a state and a ledger of its own.
pub(crate) fn second(world: &World, main: &str) -> Result<PathBuf> {
    let folder = world.folder.join("second");
    fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    for (name, text) in [("main.tf", main), ("nhi.hcl", &nhi_hcl(&world.bao.address()))] {
        fs::write(folder.join(name), text).map_err(|error| error.to_string())?;
    }
    Ok(folder)
}

/// With the patience of real life, where a claim of somebody slow is not taken over within seconds.
fn patient(world: &World, other: &Path) -> Result<()> {
    let hcl = world.read("nhi.hcl")?.replace("demo = true\n", "");
    world.write("nhi.hcl", &hcl)?;
    fs::write(other.join("nhi.hcl"), hcl).map_err(|error| error.to_string())
}

pub(crate) fn core_in(world: &World, folder: &Path, words: &[&str]) -> Command {
    let mut command = world.core_command();
    command.current_dir(folder).args(words).arg("-no-color");
    command.env("TF_LOG_PATH", folder.join("trace.log"));
    command
}

/// Applies both at the same time.
fn both_apply(world: &World, other: &Path) -> Result<[Ran; 2]> {
    let start = |folder: &Path| {
        core_in(world, folder, &["apply", "-auto-approve"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| error.to_string())
    };
    let running = [start(&world.folder)?, start(other)?];
    let ended = running.map(|child| {
        let done = child.wait_with_output().map_err(|error| error.to_string())?;
        let said = String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned();
        Ok::<_, String>(Ran { code: done.status.code().unwrap_or(-1), said })
    });
    let [one, two] = ended;
    Ok([one?, two?])
}

#[test]
fn two_configurations_with_nothing_in_common_are_applied_at_the_same_time() {
    in_world(BASE, |world| {
        let other = second(world, &BASE.replace("invoice-sync", "ticket-sync"))?;
        for ran in both_apply(world, &other)? {
            ran.expect(0)?;
        }
        one_credential_works(world, 0)?;
        ran(&mut core_in(world, &other, &["plan", "-detailed-exitcode"]))?.expect(0)?;
        holds(world.bao.accessors("ticket-sync")?.len() == 1, "one credential there too", "")?;
        holds(world.bao.signs_in(&world.bao.document("apps/ticket-sync")?)?, "it signs in", "")
    });
}

#[test]
fn one_slot_in_two_configurations_is_filled_once() {
    let (without, _) = BASE.split_once("resource \"nhi_credential\"").unwrap();
    in_world(without, |world| {
        world.apply()?;
        let other = second(world, BASE)?;
        patient(world, &other)?;
        fs::copy(world.folder.join(STATE), other.join(STATE)).map_err(|error| error.to_string())?;
        world.write("main.tf", BASE)?;
        let mut both = both_apply(world, &other)?;
        both.sort_by_key(|ran| ran.code);
        let [won, lost] = both;
        won.expect(0)?;
        let said = lost.expect(1)?;
        let named = ["E-SLOT-EXISTS", "E-BUSY", "E-CLAIM"].iter().any(|code| said.contains(code));
        holds(named && said.contains("Next:"), "the other is told why and what to do", &said)?;
        let keys = world.bao.accessors("invoice-sync")?;
        holds(keys.len() == 1, "there is one credential", &format!("{keys:?}\n{said}"))?;
        holds(world.bao.signs_in(&world.bao.document("apps/invoice-sync")?)?, "it signs in", "")
    });
}

/// A second configuration of another installation.
fn second_realm(world: &World, main: &str) -> Result<PathBuf> {
    let folder = second(world, main)?;
    let hcl = nhi_hcl(&world.bao.address()).replace("k3x9q2", "zzzzzz");
    fs::write(folder.join("nhi.hcl"), hcl).map_err(|error| error.to_string())?;
    Ok(folder)
}

#[test]
fn two_installations_on_one_platform_leave_each_others_integrations_and_keys_alone() {
    in_world(BASE, |world| {
        world.apply()?;
        let other = second_realm(world, BASE)?;
        let there = |words: &[&str], code: i32| {
            ran(&mut core_in(world, &other, words))?
                .expect(code)
                .map(|said| flat(&said.replace(['│', '╷', '╵'], " ")))
        };
        // A name that is taken is told with whoever has it.
        let said = there(&["apply", "-auto-approve"], 1)?;
        holds(said.contains("E-EXISTS") && said.contains("\"k3x9q2\""), "who has it", &said)?;
        holds(
            said.contains("owner/payments-platform, payments@acme.example"),
            "whom to ask",
            &said,
        )?;
        // An import of it is refused, and no block is printed for it.
        let id = "bao/openbao_approle/invoice-sync";
        let blocks = format!("{BASE}\nimport {{\n  to = nhi_integration.it\n  id = \"{id}\"\n}}\n");
        fs::write(other.join("main.tf"), blocks).map_err(|error| error.to_string())?;
        for words in [&["plan"][..], &["apply", "-auto-approve"]] {
            let said = there(words, 1)?;
            holds(said.contains("(E-FOREIGN-REALM)"), "the code", &said)?;
            holds(said.contains("\"k3x9q2\"") && said.contains("Next:"), "and what to do", &said)?;
        }
        let scan = ["--config", "second/nhi.hcl", "scan", "--format", "import", "--quiet"];
        let said = world.nhi(&scan)?.expect(0)?;
        holds(!said.contains("import {"), "no block", &said)?;
        holds(said.contains("installation \"k3x9q2\" governs it"), "and why", &said)?;
        one_credential_works(world, 0)?;
        // What is theirs is made beside it, and a key with their mark stands on ours.
        let ticket = BASE.replace("invoice-sync", "ticket-sync");
        fs::write(other.join("main.tf"), ticket).map_err(|error| error.to_string())?;
        there(&["apply", "-auto-approve"], 0)?;
        let mark = "nhi1-zzzzzz-abcdefgh-g1-e1-mabcdefghijklm";
        let marked = json!({ "metadata": json!({ "nhi": mark }).to_string() });
        let made = world.bao.post("/v1/auth/approle/role/invoice-sync/secret-id", marked)?;
        let theirs = made["data"]["secret_id_accessor"].as_str().unwrap_or_default().to_owned();
        let stray = world.bao.add_secret_id("invoice-sync")?;
        let revoking = BASE
            .replace("  openbao_approle = {", "  revoke_unmanaged = true\n  openbao_approle = {");
        world.write("main.tf", &revoking)?;
        let said = world.apply()?;
        holds(said.contains("Credentials of another installation"), "it is told", &said)?;
        let keys = world.bao.accessors("invoice-sync")?;
        holds(keys.contains(&theirs) && !keys.contains(&stray), "theirs lives", &said)?;
        let state = world.state("nhi_integration.it")?;
        holds(state["foreign_credentials"] == json!([theirs]), "state has it", &state.to_string())?;
        one_credential_works(world, 1)?;
        let said = world.nhi(&["drift"])?.expect(4)?;
        holds(said.contains(&theirs) && said.contains("zzzzzz"), "drift tells it", &said)?;
        let said = world.nhi(&["scan", "--format", "import", "--quiet"])?.expect(0)?;
        holds(said.contains("1 credential(s) carry the mark of installation"), "scan too", &said)?;
        // A rotation touches ours alone, and so does the end of our slot.
        world.write("main.tf", &triggered("1"))?;
        world.apply()?;
        world.terraform(&["destroy", "-auto-approve", "-target=nhi_credential.it"])?.expect(0)?;
        let keys = world.bao.accessors("invoice-sync")?;
        holds(keys == [theirs], "all of ours ended, and theirs not", &format!("{keys:?}"))?;
        there(&["plan", "-detailed-exitcode"], 0).map(|_| ())
    });
}

#[test]
fn create_before_destroy_rotates_in_place_and_refuses_to_replace() {
    let line = "  deliver_to ";
    let with = |value: &str| {
        let lifecycle = "  lifecycle {\n    create_before_destroy = true\n  }\n";
        triggered(value).replace(line, &format!("{lifecycle}{line}"))
    };
    in_world(&with("1"), |world| {
        world.apply()?;
        let first = world.bao.document("apps/invoice-sync")?;
        world.write("main.tf", &with("2"))?;
        world.apply()?;
        let state = world.state("nhi_credential.it")?;
        holds(state["generation"] == 2, "rotation is untouched by it", &state.to_string())?;
        let second = world.bao.document("apps/invoice-sync")?;
        holds(first["secret_id"] != second["secret_id"], "there is a new one", "")?;
        let replace = ["apply", "-auto-approve", "-replace=nhi_credential.it"];
        let said = world.terraform(&replace)?.expect(1)?;
        holds(said.contains("E-SLOT-EXISTS"), "a replacement is refused", &said)?;
        holds(world.bao.document("apps/invoice-sync")? == second, "nothing was delivered", &said)?;
        one_credential_works(world, 1)
    });
}

/// `nhi.hcl` for another server, whose token is in a file.
fn hcl_of(world: &World, bao: &OpenBao, name: &str) -> Result<String> {
    let token = world.root().join(format!("token-{name}"));
    fs::write(&token, &bao.token).map_err(|error| error.to_string())?;
    fs::set_permissions(&token, fs::Permissions::from_mode(0o600))
        .map_err(|error| error.to_string())?;
    let file = format!("{{ file = \"{}\" }}", token.display());
    Ok(nhi_hcl(&bao.address()).replace("{ env = \"BAO_TOKEN\" }", &file))
}

#[test]
fn two_aliases_with_one_name_on_two_platforms_stay_apart() {
    in_world(BASE, |world| {
        let there = OpenBao::start()?;
        let folder = world.folder.join("there");
        fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
        world.write("there/nhi.hcl", &hcl_of(world, &there, "there")?)?;
        let (head, body) = BASE.split_once("provider \"nhi\" {}").ok_or("no provider block")?;
        let alias =
            "provider \"nhi\" {\n  alias       = \"there\"\n  config_file = \"there/nhi.hcl\"\n}\n";
        let again = body
            .replace("\" {\n", "_there\" {\n  provider = nhi.there\n")
            .replace(".finance", ".finance_there")
            .replace(".payments", ".payments_there")
            .replace("nhi_integration.it", "nhi_integration.it_there")
            .replace(".monthly", ".monthly_there");
        world.write("main.tf", &format!("{head}provider \"nhi\" {{}}\n{alias}{body}\n{again}"))?;
        world.apply()?;
        one_credential_works(world, 0)?;
        let documents = [&world.bao, &there].map(|bao| bao.document("apps/invoice-sync"));
        let [here, over] = documents;
        let (here, over) = (here?, over?);
        holds(here["secret_id"] != over["secret_id"], "each has its own", "")?;
        holds(there.signs_in(&over)? && !there.signs_in(&here)?, "and works there alone", "")?;
        there.widen("nhi/invoice-sync", "secret/data/payroll/*")?;
        let said = world.plan()?.expect(2)?;
        holds(said.contains("nhi_scope.it_there will be"), "that one has drifted", &said)?;
        holds(!said.contains("nhi_scope.it will be"), "and this one has not", &said)?;
        world.apply()?;
        world
            .terraform(&["destroy", "-auto-approve", "-target=nhi_integration.it_there"])?
            .expect(0)?;
        holds(there.roles()?.is_empty(), "it is gone there", "")?;
        holds(world.bao.signs_in(&here)?, "and works here", "")
    });
}

#[test]
fn two_tenants_whose_addresses_were_swapped_are_never_compared() {
    in_world(BASE, |world| {
        let there = OpenBao::start()?;
        let tenant = |bao: &OpenBao| {
            bao.get("/v1/sys/health")
                .map(|said| said["cluster_id"].as_str().unwrap_or("").to_owned())
        };
        let hcl = world.read("nhi.hcl")?;
        let address = world.bao.address();
        let line = format!("address    = \"{address}\"");
        let pinned = |address: &str, tenant: &str| {
            hcl.replace(&line, &format!("address = \"{address}\"\n      tenant  = \"{tenant}\""))
        };
        let (ours, theirs) = (tenant(&world.bao)?, tenant(&there)?);
        holds(ours != theirs && !ours.is_empty(), "they are two", &ours)?;
        world.write("nhi.hcl", &pinned(&address, &ours))?;
        world.apply()?;
        one_credential_works(world, 0)?;
        let token = world.root().join("token-there");
        let swapped = hcl_of(world, &there, "there")?
            .replace("address    =", &format!("tenant     = \"{ours}\"\n      address    ="));
        world.write("nhi.hcl", &swapped)?;
        for words in [&["plan"][..], &["apply", "-auto-approve"]] {
            let said = world.terraform(words)?.expect(1)?;
            holds(said.contains("E-TENANT"), "the other tenant is told", &said)?;
            holds(said.contains(&ours) && said.contains(&theirs), "both are named", &said)?;
            holds(!said.contains("will be created"), "and nothing is called gone", &said)?;
        }
        let said = world.nhi(&["drift"])?;
        holds(said.code == 1 && said.said.contains(&theirs), "drift says the same", &said.said)?;
        holds(there.roles()?.is_empty(), "nothing was made there", "")?;
        fs::remove_file(token).map_err(|error| error.to_string())?;
        world.write("nhi.hcl", &pinned(&address, &ours))?;
        one_credential_works(world, 0)
    });
}

#[test]
fn a_provider_configuration_that_becomes_known_at_apply_works_the_first_time_and_is_told_later() {
    let main = |address: &str| {
        let body = "provider \"nhi\" {\n  connections = { bao = { openbao = { address = terraform_data.bao.output, credential = { env = \"BAO_TOKEN\" } } } }\n  \
                    custody     = { connection = \"bao\", path = \"secret/nhi\" }\n  \
                    realm       = { id = \"k3x9q2\", key = { env = \"NHI_REALM_KEY\" } }\n  \
                    ledger      = { sqlite = { path = \"nhi.db\" } }\n}\n";
        let source =
            format!("\nresource \"terraform_data\" \"bao\" {{\n  input = \"{address}\"\n}}\n");
        BASE.replace("provider \"nhi\" {}\n", body) + &source
    };
    in_world(BASE, |world| {
        let address = world.bao.address();
        world.write("main.tf", &main(&address))?;
        fs::remove_file(world.folder.join("nhi.hcl")).map_err(|error| error.to_string())?;
        world.plan()?.expect(2)?;
        world.apply()?;
        one_credential_works(world, 0)?;
        world.write("main.tf", &main(&format!("{address}/")))?;
        let said = world.plan()?.expect(1)?;
        let told = flat(&said.replace('│', " "));
        holds(told.contains("E-NOT-YET-KNOWN"), "the code", &said)?;
        holds(told.contains("address") && told.contains("-target"), "what, and what to do", &said)?;
        holds(!said.contains("will be created"), "nothing is called gone", &said)?;
        world.terraform(&["apply", "-auto-approve", "-target=terraform_data.bao"])?.expect(0)?;
        one_credential_works(world, 0)
    });
}

#[test]
fn two_rotations_of_one_slot_at_the_same_time_are_one() {
    in_world(&triggered("1"), |world| {
        world.apply()?;
        let other = second(world, &triggered("2"))?;
        patient(world, &other)?;
        fs::copy(world.folder.join(STATE), other.join(STATE)).map_err(|error| error.to_string())?;
        world.write("main.tf", &triggered("2"))?;
        for ran in both_apply(world, &other)? {
            holds(ran.code == 0 || ran.said.contains("Next:"), "it is said what to do", &ran.said)?;
        }
        world.apply()?;
        let state = world.state("nhi_credential.it")?;
        holds(state["generation"] == 2, "one generation further", &state.to_string())?;
        one_credential_works(world, 1)
    });
}
