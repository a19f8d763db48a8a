//! `cargo xtask bench`: figures, each from a command that anybody can run again.

mod iam;
mod plan;
mod process;
mod review;
mod rotate;
mod start;

use std::time::Duration;

use clap::Subcommand;

use xtask::shell::{Result, cargo, released_provider, run};

/// Measure, in release builds.
#[derive(Debug, Subcommand)]
pub(crate) enum Bench {
    /// From process start to the handshake line; memory at rest; size.
    Start,
    /// A plan of many integrations on OpenBao, nothing changed; the core's own floor beside it.
    Plan(plan::Plan),
    /// A plan and an apply of IAM users on the moto server, each with a policy and a key.
    Iam(iam::Iam),
    /// Rotations on OpenBao, many in one apply, and what each asks of it; simulated ones.
    Rotate(rotate::Rotate),
    /// A plan of many changes read for a board, and one change asked for beside many approvals.
    Review(review::Review),
    /// Credentials judged a second, and 100,000 integrations compared, from memory.
    Reconcile,
    /// MessagePack and JSON, both ways: one credential, and a state of 3,000 resources.
    Codec,
    /// One call over the wire and one in process: the schema, and plans in which nothing changes.
    Rpc,
    /// Entries that the ledger keeps and verifies in a second, and what is due among a million.
    Ledger,
}

impl Bench {
    pub(crate) fn run(self) -> Result<()> {
        match self {
            Bench::Start => start::start(&released_provider()?),
            Bench::Plan(plan) => plan.run(&released_provider()?),
            Bench::Iam(iam) => iam.run(&released_provider()?),
            Bench::Rotate(rotate) => rotate.run(),
            Bench::Review(review) => review.run(),
            Bench::Reconcile => built_for("search", "simulation", "judge", &[]),
            Bench::Codec => example("provider", "measure", &["codec"]),
            Bench::Rpc => {
                let program = released_provider()?;
                example("provider", "measure", &["rpc", &program.display().to_string()])
            }
            Bench::Ledger => {
                println!("SQLite");
                example("ledger-sqlite", "bench", &[])?;
                println!("PostgreSQL");
                example("ledger-postgres", "bench_postgres", &[])
            }
        }
    }
}

/// Runs what a package measures of itself: a release build of its own.
fn example(package: &str, name: &str, words: &[&str]) -> Result<()> {
    built_for("release", package, name, words)
}

fn built_for(profile: &str, package: &str, name: &str, words: &[&str]) -> Result<()> {
    let of = ["run", "--profile", profile, "-p", package, "--example", name, "--"];
    run(cargo(&of).args(words))
}

/// The middle one of some durations.
fn median(mut durations: Vec<Duration>) -> Duration {
    durations.sort();
    durations.get(durations.len() / 2).copied().unwrap_or_default()
}
