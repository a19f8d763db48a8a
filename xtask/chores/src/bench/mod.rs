//! `cargo xtask bench`: figures, each from a command that anybody can run again.

mod plan;
mod process;
mod start;

use std::time::Duration;

use clap::Subcommand;

use xtask::shell::{Result, cargo, run};

/// Measure, in release builds.
#[derive(Debug, Subcommand)]
pub(crate) enum Bench {
    /// From process start to the handshake line; the schema; memory at rest; size.
    Start,
    /// A plan of many integrations on OpenBao, nothing changed; the core's own floor beside it.
    Plan(plan::Plan),
}

impl Bench {
    pub(crate) fn run(self) -> Result<()> {
        run(&mut cargo(&["build", "--release", "-p", "provider"]))?;
        match self {
            Bench::Start => start::start(),
            Bench::Plan(plan) => plan.run(),
        }
    }
}

/// The middle one of some durations.
fn median(mut durations: Vec<Duration>) -> Duration {
    durations.sort();
    durations.get(durations.len() / 2).copied().unwrap_or_default()
}
