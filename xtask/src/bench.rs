//! `cargo xtask bench`: figures, each from a command that anybody can run again.

use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use acceptance_tests::{Core, World};
use clap::Subcommand;

use crate::shell::{Result, cargo, root, run};

/// Measure, in release builds.
#[derive(Debug, Subcommand)]
pub(crate) enum Bench {
    /// From process start to the handshake line; memory at rest; size.
    Start,
    /// A plan of many integrations on OpenBao, nothing changed; the core's own floor beside it.
    Plan {
        /// How many integrations, each with scope and credential.
        #[arg(long, default_value_t = 500)]
        integrations: usize,
    },
}

impl Bench {
    pub(crate) fn run(self) -> Result<()> {
        run(&mut cargo(&["build", "--release", "-p", "provider"]))?;
        match self {
            Bench::Start => start(),
            Bench::Plan { integrations } => plan(integrations),
        }
    }
}

const COOKIE: &str = "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2";

fn start() -> Result<()> {
    let program = root().join("target/release/terraform-provider-nhi");
    let size = fs::metadata(&program).map_err(|error| error.to_string())?.len();
    let mut times = Vec::new();
    let mut resident = 0;
    for _ in 0..31 {
        let begun = Instant::now();
        let mut child = Command::new(&program)
            .env("TF_PLUGIN_MAGIC_COOKIE", COOKIE)
            .env("PLUGIN_PROTOCOL_VERSIONS", "6")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| error.to_string())?;
        let mut line = String::new();
        if let Some(out) = child.stdout.take() {
            BufReader::new(out).read_line(&mut line).map_err(|error| error.to_string())?;
        }
        times.push(begun.elapsed());
        resident = resident_kib(child.id());
        let _ = child.kill();
        let _ = child.wait();
    }
    times.sort();
    println!(
        "process start to handshake line: {:.1} ms (median of {})",
        ms(times[times.len() / 2]),
        times.len()
    );
    println!("resident at rest: {:.1} MiB", resident as f64 / 1024.0);
    println!("binary: {:.1} MiB", size as f64 / 1_048_576.0);
    Ok(())
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

fn resident_kib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or("");
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).unwrap_or(0)
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

/// As many resources of the core's own kind.
fn floor(count: usize) -> String {
    format!(
        "resource \"terraform_data\" \"many\" {{\n  count = {}\n  input = {{ name = \"bench-${{count.index}}\", \
         purpose = \"Measures how long a plan of many takes\" }}\n}}\n",
        3 * count
    )
}

fn timed(world: &World, words: &[&str]) -> Result<Duration> {
    let begun = Instant::now();
    let mut command = world.core_command();
    command.env_remove("TF_LOG_PROVIDER").env_remove("TF_LOG_PATH").args(words).arg("-no-color");
    let done = acceptance_tests::core::ran(&mut command)?;
    let took = begun.elapsed();
    done.expect(0)?;
    Ok(took)
}

fn plan(count: usize) -> Result<()> {
    let core = Core::find(None)?;
    let world = World::new(core.clone(), &many(count))?;
    // The release build, in place of the one that tests use.
    world.use_provider(&root().join("target/release"))?;
    let apply = timed(&world, &["apply", "-auto-approve", "-parallelism=10"])?;
    let mut plans: Vec<Duration> = Vec::new();
    for _ in 0..3 {
        plans.push(timed(&world, &["plan", "-detailed-exitcode"])?);
    }
    plans.sort();
    let bare = World::new(core, &floor(count))?;
    let bare_apply = timed(&bare, &["apply", "-auto-approve"])?;
    let mut floors: Vec<Duration> = Vec::new();
    for _ in 0..3 {
        floors.push(timed(&bare, &["plan", "-detailed-exitcode"])?);
    }
    floors.sort();
    println!(
        "{count} integrations with scope and credential ({} resources), nothing changed:",
        3 * count + 1
    );
    println!(
        "  plan:  {:.2} s; the core alone ({} terraform_data): {:.2} s",
        plans[1].as_secs_f64(),
        3 * count,
        floors[1].as_secs_f64()
    );
    println!(
        "  apply: {:.1} s; the core alone: {:.1} s",
        apply.as_secs_f64(),
        bare_apply.as_secs_f64()
    );
    Ok(())
}
