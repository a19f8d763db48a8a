//! What an error says to do next helps, followed word by word in a shell.

use std::{
    fs,
    process::{Command, Stdio},
};

use acceptance_tests::{
    Result, World,
    core::ran,
    servers::openbao,
    world::{REALM_KEY, nhi_hcl},
};
use serde_json::json;

use crate::{BASE, applied, flat, holds, in_world, one_credential_works};

const POLICY: &str = "/v1/sys/policies/acl/nhi/invoice-sync";
/// Where a server in development mode leaves the certificate of its authority.
const CA: &str = "vault-ca.pem";
const ROLE: &str = "auth/approle/role/invoice-sync";

/// A command line as somebody copies it into a shell beside the server.
fn follow(world: &World, command: &str) -> Result<String> {
    at(world, &world.bao.address(), command)
}

/// The same beside another server with the same token, whose authority is in the world's folder.
fn at(world: &World, address: &str, command: &str) -> Result<String> {
    let folder = openbao::program()?.parent().map(|one| one.display().to_string());
    let path = [folder.unwrap_or_default(), std::env::var("PATH").unwrap_or_default()].join(":");
    let mut shell = Command::new("sh");
    shell.args(["-euc", command]).env("PATH", path).stdin(Stdio::null());
    shell.env("BAO_ADDR", address).env("BAO_TOKEN", &world.bao.token);
    shell.env_remove("BAO_NAMESPACE");
    if address.starts_with("https") {
        shell.env("BAO_CACERT", world.folder.join(CA));
    }
    ran(&mut shell)?.expect(0)
}

/// The line of what was said that holds a command of the vendor's.
fn command(said: &str, begins: &str) -> Result<String> {
    let at = said.find(begins).ok_or_else(|| format!("no {begins:?} in it:\n{said}"))?;
    Ok(said[at..].lines().next().unwrap_or_default().trim_end().to_owned())
}

/// Writes over the record's policy, as somebody's hand does.
fn edit(world: &World, from: &str, to: &str) -> Result<()> {
    let policy = world.bao.get(POLICY)?["data"]["policy"].clone();
    let text = policy.as_str().unwrap_or_default();
    holds(text.contains(from), "it is there to be changed", text)?;
    world.bao.post(POLICY, json!({ "policy": text.replace(from, to) })).map(|_| ())
}

#[test]
fn an_integration_whose_record_somebody_wrote_over_comes_back() {
    applied(|world| {
        edit(world, "\"realm\":\"k3x9q2\"", "\"realm\": \"zzzzzz\"")?;
        world.bao.widen("nhi/invoice-sync", "secret/data/payroll/*")?;
        let said = world.plan()?.expect(1)?;
        holds(said.contains("(E-FOREIGN-REALM)"), "it is refused", &said)?;
        let told = flat(&said);
        holds(told.contains("somebody wrote over its record"), "and what it may be", &said)?;
        let drift = world.nhi(&["drift"])?.expect(2)?;
        holds(drift.contains("wrote over its record"), "drift says it", &drift)?;
        holds(drift.contains("payroll"), "and what was done under its cover", &drift)?;
        follow(world, &command(&said, "bao policy read")?)?;
        let said = world.plan()?.expect(2)?;
        holds(said.contains("payroll"), "only what was widened is left", &said)?;
        world.apply()?;
        one_credential_works(world, 0)?;
        world.nhi(&["drift"])?.expect(0)?;
        // Without any installation it is nobody else's.
        edit(world, "\"realm\":\"k3x9q2\",", "")?;
        let widened = BASE.replace("every night", "every evening");
        world.write("main.tf", &widened)?;
        world.apply()?;
        world.plan_is_empty()?;
        let policy = world.bao.get(POLICY)?["data"]["policy"].to_string();
        holds(policy.contains("k3x9q2"), "it is this one's again", &policy)
    });
}

#[test]
fn an_integration_is_taken_over_from_another_installation_as_the_guide_says() {
    applied(|world| {
        let here = world.folder.join("second");
        fs::create_dir_all(&here).map_err(|error| error.to_string())?;
        let hcl = nhi_hcl(&world.bao.address()).replace("k3x9q2", "zzzzzz");
        fs::write(here.join("nhi.hcl"), hcl).map_err(|error| error.to_string())?;
        let terraform = |main: &str, words: &[&str], code: i32| {
            fs::write(here.join("main.tf"), main).map_err(|error| error.to_string())?;
            let mut core = world.core_command();
            core.current_dir(&here).args(words).arg("-no-color");
            core.env("NHI_REALM_KEY", format!("{REALM_KEY}-of-another"));
            ran(core.env("TF_LOG_PATH", here.join("trace.log")))?.expect(code)
        };
        let there = ["nhi_credential.it", "nhi_scope.it", "nhi_integration.it"];
        world.terraform(&[&["state", "rm"][..], &there].concat())?.expect(0)?;
        let before = world.bao.document("apps/invoice-sync")?;

        let (without, _) =
            BASE.split_once("resource \"nhi_rotation_schedule\"").unwrap_or_default();
        let id = "bao/openbao_approle/invoice-sync";
        let imports = format!(
            "{without}\nimport {{\n  to = nhi_integration.it\n  id = \"{id}\"\n}}\n\
             import {{\n  to = nhi_scope.it\n  id = \"{id}/scope\"\n}}\n"
        );
        let said = terraform(&imports, &["plan"], 1)?;
        follow(world, &command(&said, "bao policy read")?)?;
        let said = terraform(&imports, &["apply", "-auto-approve"], 0)?;
        holds(said.contains("2 imported, "), "both are taken in", &said)?;
        holds(said.contains("Credentials of another installation"), "its key is told", &said)?;
        terraform(without, &["plan", "-detailed-exitcode"], 0)?;

        // The same place would cut off who reads there, until it is given free.
        let said = terraform(BASE, &["apply", "-auto-approve"], 1)?;
        holds(said.contains("(E-FOREIGN-REALM)"), "it is the other's place", &said)?;
        holds(world.bao.document("apps/invoice-sync")? == before, "which stays", &said)?;
        follow(world, "echo '{\"_nhi\":null}' | bao kv patch -mount=secret apps/invoice-sync -")?;
        let path = "path = \"secret/apps/invoice-sync\"";
        let merging = BASE.replace(path, &format!("{path}, merge = true"));
        terraform(&merging, &["apply", "-auto-approve"], 0)?;
        let now = world.bao.document("apps/invoice-sync")?;
        holds(now["secret_id"] != before["secret_id"], "there is a new secret", "")?;
        for document in [&before, &now] {
            holds(world.bao.signs_in(document)?, "the old one works for who still has it", "")?;
        }

        let mut core = world.core_command();
        let shown = core.current_dir(&here).args(["show", "-json"]).output();
        let shown = shown.map_err(|error| error.to_string())?.stdout;
        let shown: serde_json::Value =
            serde_json::from_slice(&shown).map_err(|error| error.to_string())?;
        let all = shown["values"]["root_module"]["resources"].as_array().cloned();
        let foreign: Vec<String> = all
            .into_iter()
            .flatten()
            .filter_map(|one| one["values"]["foreign_credentials"].as_array().cloned())
            .flatten()
            .filter_map(|one| one.as_str().map(str::to_owned))
            .collect();
        holds(foreign.len() == 1, "the old one is named", &format!("{foreign:?}"))?;
        let end = format!("bao write {ROLE}/secret-id-accessor/destroy secret_id_accessor=");
        follow(world, &format!("{end}{}", foreign[0]))?;
        holds(!world.bao.signs_in(&before)?, "it is refused", "")?;
        holds(world.bao.signs_in(&now)?, "and the new one is not", "")?;
        let said = terraform(&merging, &["apply", "-auto-approve"], 0)?;
        holds(!said.contains("another installation's mark"), "nothing is left of it", &said)?;
        terraform(&merging, &["plan", "-detailed-exitcode"], 0).map(|_| ())
    });
}

#[test]
fn what_is_freed_in_one_installation_is_free_for_another() {
    applied(|world| {
        world.terraform(&["destroy", "-auto-approve"])?.expect(0)?;
        let hcl = world.read("nhi.hcl")?.replace("k3x9q2", "zzzzzz");
        world.write("nhi.hcl", &hcl)?;
        for name in ["nhi.db", "nhi.db-wal", "nhi.db-shm"] {
            let _ = fs::remove_file(world.folder.join(name));
        }
        world.apply()?;
        one_credential_works(world, 0)
    });
}

#[test]
fn a_mount_that_is_missing_is_made_by_the_command_that_is_told() {
    let elsewhere = BASE.replace("\"secret/apps/invoice-sync\"", "\"apps/invoice-sync\"");
    in_world(&elsewhere, |world| {
        let hcl = world.read("nhi.hcl")?;
        world.write("nhi.hcl", &hcl.replace("secret/nhi", "custody/nhi"))?;
        let said = world.nhi(&["doctor"])?.expect(1)?;
        holds(said.contains("(E-SINK-UNFIT)"), "custody has no place", &said)?;
        follow(world, &command(&said, "bao secrets enable")?)?;
        world.nhi(&["doctor"])?.expect(0)?;
        let said = world.terraform(&["apply", "-auto-approve"])?.expect(1)?;
        holds(said.contains("(E-SINK-UNFIT)"), "the sink has none", &said)?;
        follow(world, &command(&said, "bao secrets enable")?)?;
        world.apply()?;
        world.plan_is_empty()?;
        let document = world.bao.get("/v1/apps/data/invoice-sync")?["data"]["data"].clone();
        holds(world.bao.signs_in(&document)?, "it signs in", "")
    });
}

#[test]
fn a_whole_life_in_a_namespace_behind_a_private_authority() {
    let line = "  schedule    = nhi_rotation_schedule.monthly\n";
    let main = |now: &str| {
        BASE.replace(line, &format!("{line}  triggers    = {{ now = \"{now}\" }}\n"))
            .replace("  openbao_approle = {", "  revoke_unmanaged = true\n  openbao_approle = {")
    };
    in_world(&main("1"), |world| {
        let mode = format!("-dev-tls-cert-dir={}", world.folder.display());
        let server = openbao::run(&world.bao.token, &["-dev-tls".to_owned(), mode])?;
        let address = format!("https://127.0.0.1:{}", server.port);
        let bao = |command: &str| at(world, &address, command);
        let hcl = world.read("nhi.hcl")?.replace(&world.bao.address(), &address);
        let lines = |more: &str| {
            let line = format!("      address    = \"{address}\"\n");
            world.write("nhi.hcl", &hcl.replace(&line, &format!("{line}{more}")))
        };

        // Each thing that is lacking is told with what helps.
        lines("")?;
        let said = flat(&world.nhi(&["doctor"])?.expect(1)?);
        let asked = "Next: name the file of the authority that signed its certificate in ca_file";
        holds(said.contains(asked), "the authority is asked for", &said)?;
        let ca = format!("      ca_file = \"{CA}\"\n      namespace = \"team/a\"\n");
        lines(&ca)?;
        let said = flat(&world.nhi(&["doctor"])?.expect(1)?);
        holds(said.contains("the namespace of this connection is not there"), "and it", &said)?;
        bao("bao namespace create team && bao namespace create -namespace=team a")?;
        let said = world.nhi(&["doctor"])?.expect(1)?;
        bao(&command(&said, "bao auth enable")?)?;
        bao(&command(&said, "bao secrets enable")?)?;
        world.nhi(&["doctor"])?.expect(0)?;

        let signs_in = |document: &str| {
            let [role_id, secret_id] = ["role_id", "secret_id"].map(|field| {
                let read = "bao kv get -namespace=team/a -mount=secret";
                bao(&format!("{read} -version={document} -field={field} apps/invoice-sync"))
            });
            let (role_id, secret_id) = (role_id?, secret_id?);
            world.note([secret_id.clone()])?;
            let login = "bao write -namespace=team/a auth/approle/login";
            bao(&format!("{login} role_id={role_id} secret_id={secret_id}")).map(|_| ())
        };
        world.apply()?;
        world.plan_is_empty()?;
        signs_in("1")?;
        bao(&format!("bao write -namespace=team/a -force {ROLE}/secret-id"))?;
        let policy = "-namespace=team/a nhi/invoice-sync";
        let rule = "path \\\"secret/data/payroll/*\\\" { capabilities = [\\\"read\\\"] }";
        bao(&format!("(bao policy read {policy}; echo \"{rule}\") | bao policy write {policy} -"))?;
        world.plan()?.expect(2)?;
        let said = world.nhi(&["drift"])?.expect(2)?;
        holds(said.contains("payroll") && said.contains("nobody declared"), "drift", &said)?;
        world.apply()?;
        world.plan_is_empty()?;
        world.write("main.tf", &main("2"))?;
        world.apply()?;
        world.plan_is_empty()?;
        signs_in("2")?;
        let gone = "sed 's/k3x9q2/zzzzzz/'";
        bao(&format!("bao policy read {policy} | {gone} | bao policy write {policy} -"))?;
        let said = world.plan()?.expect(1)?;
        bao(&command(&said, "bao policy read")?)?;
        world.plan_is_empty()?;
        world.terraform(&["destroy", "-auto-approve"])?.expect(0)?;
        let left = bao("bao policy list -namespace=team/a")?;
        holds(!left.contains("nhi/"), "nothing is left", &left)?;
        let left = bao("bao list -namespace=team/a identity/entity/name || echo none")?;
        holds(left.contains("none"), "no entity either", &left)
    });
}
