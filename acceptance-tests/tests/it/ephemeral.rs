//! Secrets that are handed on.

use std::process::Command;

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
        let log = [acceptance_tests::world::LOG, acceptance_tests::world::STATE];
        world.no_secret_leaked(&log)?;

        let elsewhere = hands_on.replace("  credential", "  sink = \"nosuch\"\n  credential");
        world.write("main.tf", &format!("{BASE}{elsewhere}"))?;
        let said = world.terraform(&["apply", "-auto-approve"])?.expect(1)?;
        holds(said.contains("E-SINK-NAME") && said.contains("app"), "which there are", &said)
    });
}
