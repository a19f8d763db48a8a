//! Chores that need the product itself: generate, bench, torture.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod bench;
mod generate;
mod torture;

/// Chores that need the product itself.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Debug, Subcommand)]
enum Chore {
    Generate(generate::Generate),
    #[command(subcommand)]
    Bench(bench::Bench),
    Torture(torture::Torture),
}

fn main() -> ExitCode {
    xtask::ended(match Cli::parse().chore {
        Chore::Generate(chore) => chore.run(),
        Chore::Bench(chore) => chore.run(),
        Chore::Torture(chore) => chore.run(),
    })
}
