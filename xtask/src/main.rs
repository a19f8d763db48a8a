//! Chores in Rust: demo, test, check, generate, install, bench.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod bench;
mod check;
mod demo;
mod generate;
mod install;
mod shell;
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
    Generate(generate::Generate),
    Install(install::Install),
    #[command(subcommand)]
    Bench(bench::Bench),
}

fn main() -> ExitCode {
    let done = match Cli::parse().chore {
        Chore::Demo(chore) => chore.run(),
        Chore::Test(chore) => chore.run(),
        Chore::Check(chore) => chore.run(),
        Chore::Generate(chore) => chore.run(),
        Chore::Install(chore) => chore.run(),
        Chore::Bench(chore) => chore.run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
