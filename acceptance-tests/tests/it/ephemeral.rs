//! Secrets that are handed on.

use std::{fs, process::Command};

use acceptance_tests::{
    servers::openbao,
    world::{LEDGER, LOG, STATE},
};
use serde_json::json;

use crate::{BASE, applied, holds};

/// What the consumer below makes of a secret.
const DIGEST: &str = "printf %s \"$SECRET\" | sha256sum | cut -d' ' -f1";

fn digest(secret: &str) -> acceptance_tests::Result<String> {
    let made = Command::new("sh").args(["-c", DIGEST]).env("SECRET", secret).output();
    let made = made.map_err(|error| error.to_string())?;
    Ok(String::from_utf8_lossy(&made.stdout).trim().to_owned())
}

#[test]
fn a_delivered_secret_is_handed_on_after_its_rotation_and_stored_nowhere() {
    // A provisioner may have what is ephemeral; it leaves only a digest behind.
    let hands_on = &r#"
ephemeral "nhi_credential_secret" "it" {
  credential = nhi_credential.it
}

resource "terraform_data" "consumer" {
  triggers_replace = nhi_credential.it.generation
  provisioner "local-exec" {
    command     = "<DIGEST> > digest"
    environment = { SECRET = ephemeral.nhi_credential_secret.it.fields["secret_id"] }
  }
}
"#
    .replace("<DIGEST>", &DIGEST.replace('"', "\\\""));
    applied(|world| {
        let handed_on = || -> acceptance_tests::Result<bool> {
            let secret = world.bao.document("apps/invoice-sync")?;
            let secret = secret["secret_id"].as_str().unwrap_or_default().to_owned();
            let read = world.read("digest")?;
            Ok(read.trim() == digest(&secret)?)
        };
        world.write("main.tf", &format!("{BASE}{hands_on}"))?;
        world.apply()?;
        holds(handed_on()?, "the consumer got the secret", "")?;
        world.plan_is_empty()?;
        // The first setting of triggers does nothing, the second rotates.
        let with = |value: &str| {
            let slot = "resource \"nhi_credential\" \"it\" {\n";
            let asks = format!("{slot}  triggers = {{ why = \"{value}\" }}\n");
            format!("{}{hands_on}", BASE.replace(slot, &asks))
        };
        world.write("main.tf", &with("one"))?;
        world.apply()?;
        world.write("main.tf", &with("two"))?;
        world.apply()?;
        holds(handed_on()?, "and the next one in the apply that rotates it", "")?;
        holds(world.state("nhi_credential.it")?["generation"] == 2, "it was rotated", "")?;
        world.no_secret_leaked(&[LOG, STATE])?;

        let elsewhere = hands_on.replace("  credential", "  sink = \"nosuch\"\n  credential");
        world.write("main.tf", &format!("{BASE}{elsewhere}"))?;
        let said = world.terraform(&["apply", "-auto-approve"])?.expect(1)?;
        holds(said.contains("E-SINK-NAME") && said.contains("app"), "which there are", &said)
    });
}

#[test]
fn an_access_token_lets_in_during_the_apply_and_is_refused_after_it() {
    // The vendor's own program uses it, and keeps it where the search for secrets does not go.
    let uses = r#"
ephemeral "nhi_access_token" "it" {
  integration = nhi_integration.it
  expires_in  = "10m"
}

resource "terraform_data" "consumer" {
  triggers_replace = "<WHICH>"
  provisioner "local-exec" {
    command     = "printf %s \"$BAO_TOKEN\" > '<KEPT>' && '<BAO>' read secret/data/invoices/march > /dev/null && echo let-in-<WHICH> > said"
    environment = {
      BAO_ADDR  = "<ADDRESS>"
      BAO_TOKEN = ephemeral.nhi_access_token.it.token
    }
  }
  depends_on = [nhi_scope.it]
}
"#;
    let bao = openbao::program().unwrap().display().to_string();
    applied(|world| {
        let march = "/v1/secret/data/invoices/march";
        let document = json!({ "data": { "sum": "a-sum-of-march-5512" } });
        world.bao.post(march, document)?;
        let kept = tempfile::tempdir().map_err(|error| error.to_string())?;
        let kept = kept.path().join("token");
        let main = |which: &str| {
            let uses = uses.replace("<WHICH>", which).replace("<BAO>", &bao);
            let uses = uses.replace("<KEPT>", &kept.display().to_string());
            format!("{BASE}{}", uses.replace("<ADDRESS>", &world.bao.address()))
        };
        let mut before = String::new();
        for which in ["one", "two"] {
            world.write("main.tf", &main(which))?;
            let said = world.apply()?;
            holds(!said.contains("E-ACCESS-OPEN"), "it could be ended", &said)?;
            let used = world.read("said")?;
            holds(used.trim() == format!("let-in-{which}"), "it let in", &used)?;
            let token = fs::read_to_string(&kept).map_err(|error| error.to_string())?;
            holds(!token.is_empty() && token != before, "each apply has its own", "")?;
            let status = world.bao.status_with(&token, "GET", march)?;
            holds(status == 403, "it is refused after the run", &status.to_string())?;
            world.note([token.clone()])?;
            before = token;
        }
        let keys = world.bao.accessors("invoice-sync")?;
        holds(keys.len() == 1, "no credential was left for it", &format!("{keys:?}"))?;
        world.plan_is_empty()?;
        let ledger = world.nhi(&["ledger", "show", "--kind", "attempt.ended"])?.expect(0)?;
        holds(ledger.contains("invoice-sync/access"), "the ledger has it", &ledger)?;
        world.no_secret_leaked(&[LOG, STATE, LEDGER])
    });
}
