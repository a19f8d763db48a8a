//! Owners in a real directory: who leaves is drift of everything that they own.

use acceptance_tests::{
    Core, Result, World,
    servers::{Scim, scim::TOKEN},
    world::nhi_hcl,
};

use crate::{BASE, flat, holds};

/// The usual configuration, its technical owner bound to a directory, and a second integration of
/// the same owner.
fn main_of(id: &str) -> String {
    let bound = format!(
        "  email = \"payments@acme.example\"\n  directory = {{ connection = \"people\", id = \"{id}\" }}\n"
    );
    BASE.replace("  email = \"payments@acme.example\"\n", &bound)
        + r#"
resource "nhi_integration" "second" {
  connection_name = "bao"
  name            = "refund-sync"
  purpose         = "Copies approved refunds from billing to the bank's queue"
  environment     = "production"
  business_owner  = nhi_owner.finance
  technical_owner = nhi_owner.payments
  openbao_approle = { token_ttl = "1h" }
}

resource "nhi_integration" "bureau" {
  name            = "payroll-bureau"
  purpose         = "Has the bureau pay salaries from our ledger"
  environment     = "production"
  business_owner  = nhi_owner.finance
  technical_owner = nhi_owner.payments
  third_party = {
    vendor             = "Salaries Ltd"
    contract           = "https://contracts.acme.example/4711"
    contract_ends_on   = "2099-12-31"
    telemetry          = "siem/payroll-bureau"
    disable_path       = "https://runbooks.acme.example/payroll-bureau"
    admin_review_every = "90d"
  }
}
"#
}

/// A world with a directory in which two people are; the first one owns, and all is applied.
fn with_people(story: impl Fn(&World, &Scim, &str, &str) -> Result<()>) {
    for core in Core::all().unwrap() {
        let path = core.path.display().to_string();
        let world = World::new(core, BASE).unwrap().with("PEOPLE_TOKEN", TOKEN);
        let scim = Scim::start().unwrap();
        let connection = format!(
            "connections = {{\n  people = {{\n    scim = {{ address = \"{}\", credential = {{ env = \"PEOPLE_TOKEN\" }} }}\n  }}",
            scim.address()
        );
        let hcl = nhi_hcl(&world.bao.address()).replace("connections = {", &connection);
        world.write("nhi.hcl", &hcl).unwrap();
        let told = (|| {
            let (alice, bob) = (scim.hire("alice", "payments")?, scim.hire("bob", "payments")?);
            world.write("main.tf", &main_of(&alice))?;
            world.apply()?;
            world.plan_is_empty()?;
            story(&world, &scim, &alice, &bob)
        })();
        if let Err(error) = told {
            panic!("{path}: {error}");
        }
    }
}

/// How many integrations a plan changes.
fn changed(said: &str) -> usize {
    said.matches("will be updated in-place").count()
}

#[test]
fn an_owner_who_leaves_is_drift_of_what_they_own_and_switches_it_off_when_the_grace_is_over() {
    with_people(|world, scim, alice, bob| {
        let state = world.state("nhi_owner.payments")?;
        holds(state["status"] == "active", "the owner is there", &state.to_string())?;
        scim.set_active(alice, false)?;
        let said = world.plan()?.expect(2)?;
        holds(
            said.contains("nhi_integration.it will be updated in-place")
                && said.contains("nhi_integration.second will be updated in-place"),
            "both integrations are named",
            &said,
        )?;
        holds(said.contains("\"active\" -> \"inactive\""), "with what happened", &said)?;
        holds(changed(&said) == 3, "and nothing else changes yet", &said)?;
        holds(said.contains("An owner needs attention"), "it is a warning", &said)?;
        // The reconciler names every integration that is left without an owner.
        for words in [
            &["drift"][..],
            &["drift", "--state", "terraform.tfstate"],
            &["drift", "--state", "terraform.tfstate", "--format", "json"],
        ] {
            let told = world.nhi(words)?.expect(2)?;
            holds(
                told.contains("bao/openbao_approle/invoice-sync")
                    && told.contains("bao/openbao_approle/refund-sync")
                    && told.contains("none/third_party/payroll-bureau")
                    && told.contains("owner/payments-platform"),
                "drift names all, and what its vendor runs",
                &told,
            )?;
        }
        // The grace is over: they have left, and what they own is switched off.
        let hcl = world.read("nhi.hcl")?;
        world.write("nhi.hcl", &format!("{hcl}\npolicy = {{ file = \"policy.hcl\" }}\n"))?;
        world.write("policy.hcl", "owner_grace = \"0\"\n")?;
        let said = world.plan()?.expect(2)?;
        holds(said.contains("\"active\" -> \"left\""), "they have left", &said)?;
        holds(said.contains("\"active\" -> \"disabled\""), "it is to be switched off", &said)?;
        holds(
            said.contains("nhi_credential.it will be updated in-place"),
            "the credential shows it in the same plan",
            &said,
        )?;
        holds(!flat(&said).contains("~ generation"), "and is not rotated", &said)?;
        let told = world.nhi(&["drift", "--state", "terraform.tfstate"])?.expect(4)?;
        holds(
            told.contains("bao/openbao_approle/invoice-sync")
                && told.contains("bao/openbao_approle/refund-sync"),
            "drift still names both",
            &told,
        )?;
        let document = world.bao.document("apps/invoice-sync")?;
        world.apply()?;
        holds(!world.bao.signs_in(&document)?, "nobody signs in any more", "")?;
        world.plan_is_empty()?;
        // Another owner answers it: switched on again, and rotated, in one plan.
        world.write("main.tf", &main_of(bob))?;
        let said = world.apply()?;
        holds(said.contains("0 destroyed"), "nothing is destroyed", &said)?;
        world.apply()?;
        holds(
            world.bao.signs_in(&world.bao.document("apps/invoice-sync")?)?,
            "it signs in again",
            &said,
        )?;
        world.plan_is_empty()
    });
}

#[test]
fn whoever_has_left_cannot_be_named() {
    with_people(|world, scim, _, bob| {
        scim.set_active(bob, false)?;
        world.write("main.tf", &main_of(bob))?;
        let said = world.terraform(&["apply", "-auto-approve"])?.expect(1)?;
        holds(said.contains("E-OWNER-LEFT"), "the code", &said)?;
        scim.delete(bob)?;
        let said = world.terraform(&["apply", "-auto-approve"])?.expect(1)?;
        holds(said.contains("E-OWNER-LEFT"), "gone or switched off", &said)?;
        holds(said.contains("The directory has no such owner"), "or it never was an id", &said)
    });
}

#[test]
fn a_directory_that_cannot_be_read_warns_and_changes_nothing() {
    with_people(|world, scim, alice, _| {
        let good = world.read("nhi.hcl")?;
        world.write("nhi.hcl", &good.replace(&scim.address(), "http://127.0.0.1:1/v2"))?;
        let said = world.plan()?.expect(0)?;
        holds(said.contains("Warning") && said.contains("people"), "a warning", &said)?;
        let told = world.nhi(&["drift", "--state", "terraform.tfstate"])?.expect(3)?;
        holds(told.contains("owner/payments-platform"), "for drift it is a gap", &told)?;
        world.write("nhi.hcl", &good)?;
        // Another department is worth a word and no more.
        let moved =
            main_of(alice).replace("  directory = {", "  department = \"sales\"\n  directory = {");
        world.write("main.tf", &moved)?;
        world.apply()?;
        let state = world.state("nhi_owner.payments")?;
        holds(state["status"] == "moved", "another department", &state.to_string())
    });
}
