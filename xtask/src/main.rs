//! Chores in Rust: demo, test, check, generate, install, bench, torture.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod check;
mod conformance;
mod demo;
mod install;
mod pass_on;
mod stages;
mod test;

/// Chores of this repository.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Debug, Subcommand)]
enum Chore {
    Demo(demo::Demo),
    Test(test::Test),
    Check(check::Check),
    /// Write the Registry's pages under docs/ from the schemas and examples/.
    #[command(disable_help_flag = true)]
    Generate(pass_on::PassOn),
    Install(install::Install),
    /// Measure, in release builds.
    #[command(disable_help_flag = true)]
    Bench(pass_on::PassOn),
    /// Search for as long as wanted: kills, the table, the model, fuzzing, and stories from fresh seeds.
    #[command(disable_help_flag = true)]
    Torture(pass_on::PassOn),
}

fn main() -> ExitCode {
    xtask::ended(match Cli::parse().chore {
        Chore::Demo(chore) => chore.run(),
        Chore::Test(chore) => chore.run(),
        Chore::Check(chore) => chore.run(),
        Chore::Generate(chore) => chore.run("generate"),
        Chore::Install(chore) => chore.run(),
        Chore::Bench(chore) => chore.run("bench"),
        Chore::Torture(chore) => chore.run("torture"),
    })
}
