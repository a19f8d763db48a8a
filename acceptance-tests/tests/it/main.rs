//! Whole stories with the real core on real servers.

mod adopting;
mod advice;
mod aws;
mod aws_secrets;
mod between;
mod clocks;
mod commands;
mod deeds;
mod demo;
mod directory;
mod disturbed;
mod drift;
mod ephemeral;
mod examples;
mod faults;
mod findings;
mod fleet;
mod functions;
mod github;
mod hostile;
mod import;
mod incidents;
mod interrupted;
mod jupyterhub;
mod kill;
mod leaks;
mod life;
mod login;
mod lost;
mod mirror;
mod oauth;
mod oauth_secret;
mod operator;
mod owed;
mod people;
mod places;
mod points;
mod postgresql;
mod reports;
mod restored;
mod reviewed;
mod reviewing;
mod rounds;
mod rows;
mod serving;
mod signals;
mod strapi;
mod ties;
mod together;
mod undelivered;
mod unleash;
mod usage;
mod walk;

use acceptance_tests::{
    Core, World,
    world::{LEDGER, LOG, STATE},
};
use connector::fault_proxy::FaultProxy;

/// One integration with scopes, schedule and credential, in the usual form.
const BASE: &str = r#"
terraform {
  required_providers {
    nhi = { source = "open-nhi/nhi" }
  }
}

provider "nhi" {}

resource "nhi_owner" "finance" {
  name  = "finance-operations"
  email = "finance-ops@acme.example"
}

resource "nhi_owner" "payments" {
  name  = "payments-platform"
  email = "payments@acme.example"
}

resource "nhi_integration" "it" {
  connection_name = "bao"
  name            = "invoice-sync"
  purpose         = "Copies paid invoices from billing to the general ledger every night"
  environment     = "production"
  business_owner  = nhi_owner.finance
  technical_owner = nhi_owner.payments
  openbao_approle = { token_ttl = "1h" }
}

resource "nhi_scope" "it" {
  integration   = nhi_integration.it
  scopes        = ["secret/data/invoices/*:read"]
  justification = "Reads tonight's invoices and nothing else"
}

resource "nhi_rotation_schedule" "monthly" {
  name    = "monthly"
  every   = "30d"
  overlap = "24h"
}

resource "nhi_credential" "it" {
  integration = nhi_integration.it
  schedule    = nhi_rotation_schedule.monthly
  deliver_to  = { app = { connection = "bao", path = "secret/apps/invoice-sync" } }
}
"#;

/// Runs a story on every core, each in a world of its own that was applied once.
fn applied(story: impl Fn(&World) -> acceptance_tests::Result<()>) {
    in_world(BASE, |world| {
        world.apply()?;
        world.plan_is_empty()?;
        world.no_secret_leaked(&[STATE, LOG, LEDGER])?;
        story(world)
    });
}

/// Runs a story on every core, each in a new world.
fn in_world(main: &str, story: impl Fn(&World) -> acceptance_tests::Result<()>) {
    for core in Core::all().unwrap() {
        let path = core.path.display().to_string();
        let world = World::new(core, main).unwrap();
        // Whatever happened in it: no secret is anywhere.
        let searched = |()| {
            // No core ran where it left no log.
            let logs = world.folder.join(LOG).exists().then_some(LOG);
            world.no_secret_leaked(logs.as_slice())
        };
        if let Err(error) = story(&world).and_then(searched) {
            panic!("{path}: {error}");
        }
    }
}

/// Runs a story on every core, each in a new world whose programs reach the server through a proxy
/// that can make things go wrong.
fn through_a_proxy(main: &str, story: impl Fn(&World, &Between) -> acceptance_tests::Result<()>) {
    in_world(main, |world| {
        let runtime = tokio::runtime::Runtime::new().map_err(|error| error.to_string())?;
        let address = world.bao.address();
        let proxy =
            runtime.block_on(FaultProxy::start(&address)).map_err(|error| error.to_string())?;
        let hcl = world.read("nhi.hcl")?.replace(&address, proxy.address());
        world.write("nhi.hcl", &hcl)?;
        story(world, &Between { runtime, proxy })
    });
}

/// A proxy and the threads that it runs on.
struct Between {
    runtime: tokio::runtime::Runtime,
    proxy: FaultProxy,
}

/// There is one credential besides `overlapping` earlier ones, the application signs in with what
/// its sink holds, and nothing is left to do: what there is, by curl's account.
fn one_credential_works(world: &World, overlapping: usize) -> acceptance_tests::Result<()> {
    let keys = places::listed(&world.bao, "invoice-sync")?;
    holds(keys.len() == 1 + overlapping, "no credential too many", &format!("{keys:?}"))?;
    let document = world.bao.document("apps/invoice-sync")?;
    holds(places::lets_in(&world.bao, &document)?, "it signs in", "")?;
    world.plan_is_empty()
}

/// As long as the claim of a run that died holds in a world that says demo, and a little.
const SILENCE: std::time::Duration = std::time::Duration::from_secs(11);

/// Applies until it is done: what is due to settle takes its time, and every error on the way says what
/// to do.
fn applied_in_the_end(world: &World) -> acceptance_tests::Result<()> {
    let mut said = String::new();
    for _ in 0..5 {
        let ran = world.terraform(&["apply", "-auto-approve"])?;
        if ran.code == 0 {
            return Ok(());
        }
        says_what_to_do(&ran.said)?;
        said = format!("{said}\nand then: {}", ran.said);
        std::thread::sleep(std::time::Duration::from_secs(4));
    }
    Err(said)
}

/// What an error that somebody is left with has in it.
fn says_what_to_do(said: &str) -> acceptance_tests::Result<()> {
    holds(flat(&said.replace('│', " ")).contains("Next:"), "what to do", said)
}

/// Nothing is left to do: neither to a plan nor to whoever compares what is there with what is declared.
fn nothing_is_left_to_do(world: &World) -> acceptance_tests::Result<()> {
    world.plan_is_empty()?;
    world.nhi(&["drift"])?.expect(0).map(drop)
}

/// [`BASE`] with a value in the credential's triggers.
fn triggered(value: &str) -> String {
    let line = "  schedule    = nhi_rotation_schedule.monthly\n";
    BASE.replace(line, &format!("{line}  triggers    = {{ now = \"{value}\" }}\n"))
}

/// The claim, with what was said where it does not hold.
fn holds(claim: bool, what: &str, said: &str) -> acceptance_tests::Result<()> {
    if claim { Ok(()) } else { Err(format!("this does not hold: {what}\n{said}")) }
}

/// A text with every run of blanks as one, so that columns do not matter.
fn flat(said: &str) -> String {
    said.split_whitespace().collect::<Vec<_>>().join(" ")
}
