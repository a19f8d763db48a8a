//! A plan of many integrations, nothing changed, with the core's own floor beside it.

use std::{path::Path, time::Duration};

use acceptance_tests::{Core, World, world::nhi_hcl};
use clap::Args;
use connector::fault_proxy::FaultProxy;

use super::{
    median,
    process::{Cost, Measured, measure},
};
use xtask::shell::Result;

/// Plans and applies them on OpenBao, and as many `terraform_data` beside them.
#[derive(Debug, Args)]
pub(crate) struct Plan {
    /// How many integrations, each with scope and credential.
    #[arg(long, default_value_t = 500)]
    integrations: usize,
    /// How often each plan is run; the median is told.
    #[arg(long, default_value_t = 3)]
    runs: usize,
}

/// One configuration with this many integrations.
fn many(count: usize) -> String {
    format!(
        r#"
terraform {{
  required_providers {{
    nhi = {{ source = "open-nhi/nhi" }}
  }}
}}
provider "nhi" {{}}
resource "nhi_owner" "one" {{
  name  = "one-team"
  email = "one@acme.example"
}}
resource "nhi_integration" "many" {{
  count           = {count}
  connection_name = "bao"
  name            = "bench-${{count.index}}"
  purpose         = "Measures how long a plan of many takes"
  environment     = "bench"
  business_owner  = nhi_owner.one
  technical_owner = nhi_owner.one
  openbao_approle = {{}}
}}
resource "nhi_scope" "many" {{
  count         = {count}
  integration   = nhi_integration.many[count.index]
  scopes        = ["secret/data/bench/${{count.index}}:read"]
  justification = "Measures how long a plan of many takes"
}}
resource "nhi_credential" "many" {{
  count       = {count}
  integration = nhi_integration.many[count.index]
  deliver_to  = {{ app = {{ connection = "bao", path = "secret/bench/${{count.index}}" }} }}
}}
"#
    )
}

/// The same configuration through the core's own kind: as many objects, that say and refer to the
/// same, so that what remains is ours.
pub(super) fn floor(count: usize) -> String {
    format!(
        r#"
resource "terraform_data" "one" {{
  input = {{ name = "one-team", email = "one@acme.example" }}
}}
resource "terraform_data" "integration" {{
  count = {count}
  input = {{
    connection_name = "bao"
    name            = "bench-${{count.index}}"
    purpose         = "Measures how long a plan of many takes"
    environment     = "bench"
    business_owner  = terraform_data.one.output
    technical_owner = terraform_data.one.output
    openbao_approle = {{}}
  }}
}}
resource "terraform_data" "scope" {{
  count = {count}
  input = {{
    integration   = terraform_data.integration[count.index].output
    scopes        = ["secret/data/bench/${{count.index}}:read"]
    justification = "Measures how long a plan of many takes"
  }}
}}
resource "terraform_data" "credential" {{
  count = {count}
  input = {{
    integration = terraform_data.integration[count.index].output
    deliver_to  = {{ app = {{ connection = "bao", path = "secret/bench/${{count.index}}" }} }}
  }}
}}
"#
    )
}

/// One command of the core, without the trace that tests keep.
pub(super) fn timed(world: &World, provider: &Path, words: &[&str]) -> Result<Measured> {
    let mut command = world.core_command();
    command.env_remove("TF_LOG_PROVIDER").env_remove("TF_LOG_PATH").args(words).arg("-no-color");
    measure(&mut command, provider)
}

/// A plan, and whether it is empty.
pub(super) const PLAN: [&str; 2] = ["plan", "-detailed-exitcode"];

impl Plan {
    pub(super) fn run(self, program: &Path) -> Result<()> {
        let provider = std::fs::canonicalize(program).map_err(|error| error.to_string())?;
        let core = Core::find(None)?;
        let world = World::new(core.clone(), &many(self.integrations))?;
        // The release build, in place of the one that tests use.
        world.use_provider(provider.parent().unwrap_or(Path::new(".")))?;
        let bare = World::new(core, &floor(self.integrations))?;

        let apply = timed(&world, &provider, &["apply", "-auto-approve"])?;
        let bare_apply = timed(&bare, &provider, &["apply", "-auto-approve"])?;
        // Turn by turn, so that a noisy moment falls on both.
        let (mut plans, mut floors) = (Vec::new(), Vec::new());
        for _ in 0..self.runs.max(1) {
            plans.push(timed(&world, &provider, &PLAN)?);
            floors.push(timed(&bare, &provider, &PLAN)?);
        }
        let requests = counted(&world, &provider)?;

        let resources = 3 * self.integrations + 1;
        println!(
            "{} integrations with scope and credential ({resources} resources)",
            self.integrations
        );
        println!("on OpenBao, nothing changed; medians of {} plans:", plans.len());
        println!("                       wall   processor  peak memory");
        let (ours, alone) = (wall(&plans), wall(&floors));
        line("plan, core", Some(ours.as_secs_f64()), part(&plans, |one| one.command));
        line("plan, provider", None, part(&plans, |one| one.provider));
        line("the core's floor", Some(alone.as_secs_f64()), part(&floors, |one| one.command));
        println!(
            "  above the floor:  {:+8.2} s   goal: at most 1.5 s at 500 integrations",
            ours.as_secs_f64() - alone.as_secs_f64()
        );
        println!("  the provider's peak: goal at most 25 MB");
        println!(
            "  requests: {:.2} an integration (goal: at most 4), and {} for the connection and pages",
            requests.of_integrations as f64 / self.integrations.max(1) as f64,
            requests.of_connection
        );
        line("apply, core", Some(apply.wall.as_secs_f64()), apply.command);
        line("apply, provider", None, apply.provider);
        line("the core's floor", Some(bare_apply.wall.as_secs_f64()), bare_apply.command);
        println!(
            "  above the floor:  {:+8.2} s   goal: at most 15 s at 500 integrations",
            apply.wall.as_secs_f64() - bare_apply.wall.as_secs_f64()
        );
        Ok(())
    }
}

/// The middle wall time of several runs.
pub(super) fn wall(all: &[Measured]) -> Duration {
    median(all.iter().map(|one| one.wall).collect())
}

/// What a part of several runs cost: the middle of its processor time, and its highest memory.
pub(super) fn part(all: &[Measured], of: fn(&Measured) -> Cost) -> Cost {
    Cost {
        busy: median(all.iter().map(|one| of(one).busy).collect()),
        peak_kib: all.iter().map(|one| of(one).peak_kib).max().unwrap_or_default(),
    }
}

/// One line of a table of costs.
pub(super) fn line(name: &str, wall: Option<f64>, cost: Cost) {
    let wall = wall.map_or_else(|| " ".repeat(10), |wall| format!("{wall:8.2} s"));
    println!(
        "  {name:<17} {wall} {:8.2} s {:8.1} MiB",
        cost.busy.as_secs_f64(),
        cost.peak_kib as f64 / 1024.0
    );
}

/// What one plan asks the platform.
struct Requests {
    /// About one integration, its scopes, credential or delivery.
    of_integrations: usize,
    /// For the connection, or for a page of a listing.
    of_connection: usize,
}

/// How many requests one plan makes, counted by a proxy in between.
fn counted(world: &World, provider: &Path) -> Result<Requests> {
    let runtime = tokio::runtime::Runtime::new().map_err(|error| error.to_string())?;
    let proxy = runtime
        .block_on(FaultProxy::start(&world.bao.address()))
        .map_err(|error| error.to_string())?;
    world.write("nhi.hcl", &nhi_hcl(proxy.address()))?;
    timed(world, provider, &PLAN)?;
    world.write("nhi.hcl", &nhi_hcl(&world.bao.address()))?;
    let seen = proxy.seen();
    // The name stands in the path of role, policy, secret-ids and delivery alike. A page of the folder
    // that all deliver to is about a hundred of them.
    let named = |path: &str| path.contains("bench-") || path.contains("bench/");
    let of_integrations = seen.iter().filter(|one| named(&one.path)).count();
    Ok(Requests { of_integrations, of_connection: seen.len() - of_integrations })
}
