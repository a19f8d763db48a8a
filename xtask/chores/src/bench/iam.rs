//! Users of an AWS account on the moto server, each with a policy and a key.

use std::path::Path;

use acceptance_tests::{Core, World, servers::Moto, world::aws_hcl};
use clap::Args;
use connector::fault_proxy::FaultProxy;

use super::plan::{PLAN, floor, line, part, timed, wall};
use xtask::shell::Result;

/// The example's connections.
const HCL: &str = include_str!("../../../../examples/scenarios/aws/nhi.hcl");

/// Applies them, and plans them when nothing has changed.
#[derive(Debug, Args)]
pub(crate) struct Iam {
    /// How many users.
    #[arg(long, default_value_t = 200)]
    users: usize,
    /// How often the plan is run; the median is told.
    #[arg(long, default_value_t = 3)]
    runs: usize,
}

/// One configuration with this many users.
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
  connection_name = "aws"
  name            = "bench-${{count.index}}"
  purpose         = "Measures how long a plan of many takes"
  environment     = "bench"
  business_owner  = nhi_owner.one
  technical_owner = nhi_owner.one
  aws_iam_user    = {{}}
}}
resource "nhi_scope" "many" {{
  count         = {count}
  integration   = nhi_integration.many[count.index]
  scopes        = ["s3:GetObject@arn:aws:s3:::bench-${{count.index}}/*"]
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

impl Iam {
    pub(super) fn run(self, program: &Path) -> Result<()> {
        let provider = std::fs::canonicalize(program).map_err(|error| error.to_string())?;
        let moto = Moto::start()?;
        let core = Core::find(None)?;
        let bare = World::new(core.clone(), &floor(self.users))?;
        let world = World::new(core, &many(self.users))?
            .with("AWS_ACCESS_KEY_ID", &moto.id)
            .with("AWS_SECRET_ACCESS_KEY", &moto.secret);
        // The release build, in place of the one that tests use.
        world.use_provider(provider.parent().unwrap_or(Path::new(".")))?;
        let counted = Counted::start(&world, &moto)?;

        let apply = timed(&world, &provider, &["apply", "-auto-approve"])?;
        let applied = counted.requests();
        timed(&world, &provider, &PLAN)?;
        let planned = counted.requests();
        world.write("nhi.hcl", &aws_hcl(HCL, &moto.address(), &world.bao.address()))?;
        timed(&bare, &provider, &["apply", "-auto-approve"])?;
        // Turn by turn, so that a noisy moment falls on both.
        let (mut plans, mut floors) = (Vec::new(), Vec::new());
        for _ in 0..self.runs.max(1) {
            plans.push(timed(&world, &provider, &PLAN)?);
            floors.push(timed(&bare, &provider, &PLAN)?);
        }

        println!("{} IAM users, each with a policy and a key, delivered to OpenBao", self.users);
        println!("on the moto server; medians of {} plans in which nothing changes:", plans.len());
        println!("                       wall   processor  peak memory");
        line("plan, core", Some(wall(&plans).as_secs_f64()), part(&plans, |one| one.command));
        line("plan, provider", None, part(&plans, |one| one.provider));
        line(
            "the core's floor",
            Some(wall(&floors).as_secs_f64()),
            part(&floors, |one| one.command),
        );
        println!("  goal: at most 1.2 s, and at most 25 MB of the provider");
        let least = self.users + 2;
        println!(
            "  requests to AWS: {planned}; as few as there can be are {least}: who we are, a page"
        );
        println!("  of users, and the keys of each, which no listing has");
        line("apply, core", Some(apply.wall.as_secs_f64()), apply.command);
        line("apply, provider", None, apply.provider);
        let each = applied as f64 / self.users.max(1) as f64;
        println!("  requests to AWS: {applied}, {each:.1} a user");
        Ok(())
    }
}

/// The way to AWS, counted.
struct Counted {
    _runtime: tokio::runtime::Runtime,
    proxy: FaultProxy,
}

impl Counted {
    /// Puts a proxy between a world and its account.
    fn start(world: &World, moto: &Moto) -> Result<Counted> {
        let runtime = tokio::runtime::Runtime::new().map_err(|error| error.to_string())?;
        let proxy = runtime
            .block_on(FaultProxy::start(&moto.address()))
            .map_err(|error| error.to_string())?;
        world.write("nhi.hcl", &aws_hcl(HCL, proxy.address(), &world.bao.address()))?;
        Ok(Counted { _runtime: runtime, proxy })
    }

    /// Those since the last count.
    fn requests(&self) -> usize {
        self.proxy.seen().len()
    }
}
