//! The real core over a platform, sinks and a clock in memory: what a saved plan means when time has
//! passed.

use acceptance_tests::{
    Core,
    core::{Ran, ran},
};
use tempfile::TempDir;
use tfplugin::serve::attach;

use crate::world::World;

const CONFIGURATION: &str = r#"
terraform {
  required_providers {
    nhi = { source = "open-nhi/nhi" }
  }
}
provider "nhi" {}
resource "nhi_owner" "payments" {
  name  = "payments"
  email = "payments@acme.example"
}
resource "nhi_integration" "invoice_sync" {
  connection_name = "bao"
  name            = "invoice-sync"
  purpose         = "Copies paid invoices to the general ledger every night"
  environment     = "production"
  business_owner  = nhi_owner.payments
  technical_owner = nhi_owner.payments
  openbao_approle = {}
}
resource "nhi_rotation_schedule" "monthly" {
  name          = "monthly"
  every         = "30d"
  anchor        = "2026-11-01T00:00:00Z"
  min_age       = "1h"
  overlap       = "24h"
  overdue_after = "7d"
}
resource "nhi_credential" "invoice_sync" {
  integration = nhi_integration.invoice_sync
  schedule    = nhi_rotation_schedule.monthly
  deliver_to  = { app = { connection = "apps", path = "apps/invoice-sync" } }
}
"#;

/// One run of a core: a provider of its own, as each is another process.
async fn run(world: &World, core: &Core, folder: &TempDir, words: &[&str]) -> Ran {
    let provider = attach(world.provider(), "registry.terraform.io/open-nhi/nhi").await.unwrap();
    let mut command = core.command(folder.path(), folder.path());
    command.args(words).arg("-no-color").env("TF_REATTACH_PROVIDERS", provider.reattach());
    tokio::task::spawn_blocking(move || ran(&mut command)).await.unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_the_real_core_saved_is_carried_out_a_week_later_and_never_twice() {
    for core in Core::all().unwrap() {
        let (world, folder) = (World::new(), tempfile::tempdir().unwrap());
        std::fs::write(folder.path().join("main.tf"), CONFIGURATION).unwrap();
        std::fs::write(folder.path().join("cli.rc"), "").unwrap();
        let run = async |code: i32, words: &[&str]| {
            run(&world, &core, &folder, words).await.expect(code).unwrap()
        };
        run(0, &["init"]).await;
        run(0, &["apply", "-auto-approve"]).await;
        let first = world.delivered().await;
        assert!(world.works(&first));

        world.at("2026-12-01T08:00:00Z");
        let said = run(2, &["plan", "-out=saved", "-detailed-exitcode"]).await;
        assert!(said.contains(r#""due" -> "current""#), "{said}");
        world.at("2026-12-08T08:00:00Z");
        run(0, &["apply", "saved"]).await;
        let second = world.delivered().await;
        assert!(world.works(&second) && world.works(&first), "both work during the overlap");
        let said = run(1, &["apply", "saved"]).await;
        assert!(said.contains("stale"), "{said}");
        assert_eq!(world.delivered().await.expose(), second.expose(), "nothing was issued again");
        run(0, &["plan", "-detailed-exitcode"]).await;

        // Its overlap over, the old one ends with proof.
        world.at("2026-12-09T08:00:00Z");
        run(0, &["apply", "-auto-approve"]).await;
        assert!(world.works(&second) && !world.works(&first));
        run(0, &["plan", "-detailed-exitcode"]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_replaced_is_told_where_a_core_lets_us_tell_it() {
    for core in Core::all().unwrap() {
        let (world, folder) = (World::new(), tempfile::tempdir().unwrap());
        std::fs::write(folder.path().join("main.tf"), CONFIGURATION).unwrap();
        std::fs::write(folder.path().join("cli.rc"), "").unwrap();
        let run = async |code: i32, words: &[&str]| {
            run(&world, &core, &folder, words).await.expect(code).unwrap()
        };
        run(0, &["init"]).await;
        run(0, &["apply", "-auto-approve"]).await;
        // What is asked for by hand shows as what it is, and no call could warn of it: apply does.
        let said = run(0, &["plan", "-replace=nhi_credential.invoice_sync"]).await;
        assert!(said.contains("replaced, as requested") && !said.contains("Warning"), "{said}");
        let replace = "-replace=nhi_integration.invoice_sync";
        let said = run(0, &["plan", replace]).await;
        assert!(said.contains("The old credential ends before there is another"), "{said}");
        let said = run(0, &["apply", "-auto-approve", replace]).await;
        assert!(said.contains("An integration was replaced"), "{said}");
        assert!(said.contains("The old credential ended before there was another"), "{said}");
        // What we ask for is warned of by the plan.
        let main = folder.path().join("main.tf");
        let other = CONFIGURATION.replace(r#""invoice-sync""#, r#""invoices""#);
        std::fs::write(&main, other).unwrap();
        let said = run(0, &["plan"]).await;
        assert!(said.contains("This replaces an integration"), "{said}");
        assert!(said.contains("The old credential ends before there is another"), "{said}");
        // Nothing is replaced where somebody deleted it.
        std::fs::write(&main, CONFIGURATION).unwrap();
        assert!(world.fake.delete_by_hand(connector::fake::APP, "invoice-sync"));
        let said = run(0, &["plan"]).await;
        assert!(said.contains("2 to add, 0 to change, 0 to destroy"), "{said}");
        assert!(!said.contains("replaces") && !said.contains("ends"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_core_lets_pass_is_refused_with_a_code_before_any_resource_is_asked() {
    let places = r#"deliver_to  = { app = { connection = "apps", path = "apps/invoice-sync" } }"#;
    for core in Core::all().unwrap() {
        let (world, folder) = (World::new(), tempfile::tempdir().unwrap());
        std::fs::write(folder.path().join("cli.rc"), "").unwrap();
        for (was, is, summary) in [
            (r#"name  = "payments""#, "name = null", "Required attribute is null"),
            (r#"path = "apps/invoice-sync""#, "path = null", "Required attribute is null"),
            (places, &*format!("{places}\n  generation = 1"), "Read-only attribute"),
        ] {
            let other = CONFIGURATION.replace(was, is);
            assert_ne!(other, CONFIGURATION);
            std::fs::write(folder.path().join("main.tf"), other).unwrap();
            run(&world, &core, &folder, &["init"]).await.expect(0).unwrap();
            let said = run(&world, &core, &folder, &["validate"]).await.expect(1).unwrap();
            assert!(said.contains(summary) && said.contains("(E-VALUE)"), "{is}: {said}");
            assert_eq!(said.matches("Error: ").count(), said.matches("(E-").count(), "{said}");
        }
    }
}
