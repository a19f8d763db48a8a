//! `nhi`: the reconciler and the operator's commands.
//!
//! One file a command under `commands/`. A command reads the configuration through `wiring`, lets
//! `operations` look or act, and prints; it judges nothing itself.

#![warn(clippy::disallowed_methods)]

use std::process::ExitCode;

use clap::{Parser, Subcommand, error::ErrorKind};

mod adopting;
mod ask;
mod checkpoint;
mod commands;
mod compact;
mod deed;
mod evidence;
mod exit;
mod group;
mod hcl;
mod history;
mod leaking;
mod output;
mod report;
mod reviewing;
mod serve;
mod signing;
mod slips;
mod state;
mod switching;
mod told;
mod traces;

use exit::Exit;
use output::{Format, Output};

/// Governs SaaS integrations between Terraform runs: who owns them, what they may do, which
/// credentials they hold and when those change.
#[derive(Debug, Parser)]
#[command(name = "nhi", version, propagate_version = true, arg_required_else_help = true)]
#[command(after_help = format!("Examples:
  nhi init                      write a first nhi.hcl and make the realm's key
  nhi doctor                    is everything reachable, and what can each connection do?
  nhi scan bao                  what integrations are there, managed or not?
  nhi adopt bao                 the configuration that takes over what is there, as it is
  nhi drift --state FILE        does the world still look as declared? exit 2 if not
  nhi reach ID                  what does whoever has it get to? --to: who gets there?
  nhi review PLAN               what does a plan change, and who is to sign it?
  nhi gate PLAN                 may it be applied? exit 4 if somebody is missing
  nhi approve DIGEST            sign that one change; nhi reject, nhi withdraw
  nhi posture                   how many of how many: visibility, excess, rotation, ends
  nhi explain RULE              what does a finding mean, and what helps?
  nhi rotate ID                 another generation of a credential, now
  nhi revoke ID                 end what an integration or a slot has, now
  nhi recover                   what was begun and not finished, and what helps
  nhi reconcile                 do what is to be done now: rotate, end, prove, finish; for cron
  nhi serve                     the same again and again, for as long as it runs
  nhi quarantine INTEGRATION    switch it off and keep it off, until nhi lift
  nhi decommission INTEGRATION  take it out of service: no scope, no credential, switched off
  nhi ack ID --generation N     a consumer has read the credential that is delivered
  nhi elevate ID SCOPE --for 1h a scope for a while, that may be asked for
  nhi drill ID                  end one that nobody reads: how long does that take?
  nhi signal exposure ID        a secret is in wrong hands: rotate it without an overlap
  nhi leaks FOLDER              does a secret of ours stand in there?
  nhi usage import FILE         what a log tells of who uses what
  nhi task list                 what people are to do, and what is late
  nhi policy check              is the policy right, and can everybody do what it asks?
  nhi ledger show --last 20     what happened, in order
  nhi evidence INTEGRATION      what an auditor asks of it, to be checked elsewhere
  nhi attest INTEGRATION        sign that you have looked at it, and what is to become of it

{}", exit::CODES))]
struct Cli {
    /// The configuration file; else NHI_CONFIG, else the nearest nhi.hcl upwards.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<String>,

    /// Print only what was asked for: no progress, no hints.
    #[arg(long, short, global = true)]
    quiet: bool,

    /// When to use color; NO_COLOR is obeyed.
    #[arg(long, global = true, value_enum, default_value_t = clap::ColorChoice::Auto)]
    color: clap::ColorChoice,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Init(commands::init::Init),
    Scan(commands::scan::Scan),
    Adopt(commands::adopt::Adopt),
    Drift(commands::drift::Drift),
    Review(commands::review::Review),
    Gate(commands::gate::Gate),
    Approve(commands::approve::Approve),
    BreakGlass(commands::break_glass::BreakGlass),
    Reject(commands::reject::Reject),
    Withdraw(commands::withdraw::Withdraw),
    Posture(commands::posture::Posture),
    Explain(commands::explain::Explain),
    Evidence(commands::evidence::Evidence),
    Attest(commands::attest::Attest),
    Reach(commands::reach::Reach),
    Rotate(commands::rotate::Rotate),
    Revoke(commands::revoke::Revoke),
    Recover(commands::recover::Recover),
    Reconcile(commands::reconcile::Reconcile),
    Serve(commands::serve::Serve),
    Decommission(commands::decommission::Decommission),
    Quarantine(commands::quarantine::Quarantine),
    Lift(commands::lift::Lift),
    Disable(commands::disable::Disable),
    Elevate(commands::elevate::Elevate),
    Drill(commands::drill::Drill),
    Ack(commands::ack::Ack),
    #[command(subcommand)]
    Signal(commands::signal::Signal),
    Leaks(commands::leaks::Leaks),
    #[command(subcommand)]
    Usage(commands::usage::Usage),
    #[command(subcommand)]
    Task(commands::task::Tasks),
    #[command(subcommand)]
    Policy(commands::policy::Policy),
    #[command(subcommand)]
    Ledger(commands::ledger::Ledger),
    Doctor(commands::doctor::Doctor),
    Completion(commands::completion::Completion),
}

impl Command {
    /// How its result is printed.
    fn format(&self) -> Format {
        match self {
            Command::Scan(command) => command.format(),
            Command::Adopt(command) => command.format,
            Command::Drift(command) => command.format(),
            Command::Review(command) => command.format(),
            Command::Gate(command) => command.format,
            Command::Approve(command) => command.saying.format,
            Command::BreakGlass(command) => command.saying.format,
            Command::Reject(command) => command.saying.format,
            Command::Withdraw(command) => command.saying.format,
            Command::Posture(command) => command.format(),
            Command::Explain(command) => command.format,
            Command::Evidence(command) => command.format(),
            Command::Attest(command) => command.format,
            Command::Reach(command) => command.format,
            Command::Rotate(command) => command.asking.format,
            Command::Revoke(command) => command.asking.format,
            Command::Recover(command) => command.asking.format,
            Command::Reconcile(command) => command.asking.format,
            Command::Decommission(command) => command.asking.format,
            Command::Quarantine(command) => command.asking.format,
            Command::Lift(command) => command.asking.format,
            Command::Disable(command) => command.asking.format,
            Command::Elevate(command) => command.asking.format,
            Command::Drill(command) => command.asking.format,
            Command::Ack(command) => command.format,
            Command::Signal(command) => command.format(),
            Command::Leaks(command) => command.asking.format,
            Command::Usage(command) => command.format(),
            Command::Task(command) => command.format(),
            Command::Policy(command) => command.format(),
            Command::Ledger(command) => command.format(),
            Command::Doctor(command) => command.format,
            Command::Init(_) | Command::Completion(_) | Command::Serve(_) => Format::Text,
        }
    }
}

fn main() -> ExitCode {
    wiring::hide_memory(&wiring::Environment::of_process());
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        eprintln!("{}", told_of(&place, panic.payload()));
    }));
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(told) => return answer(&told).into(),
    };
    let output = Output::new(cli.color, cli.quiet);
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            output.error(&format!("the asynchronous runtime did not start: {error}"));
            return Exit::Failed.into();
        }
    };
    let config = cli.config.as_deref();
    let format = cli.command.format();
    let done = runtime.block_on(async {
        match cli.command {
            Command::Init(command) => command.run(config, &output).await,
            Command::Scan(command) => command.run(config, &output).await,
            Command::Adopt(command) => command.run(config, &output).await,
            Command::Drift(command) => command.run(config, &output).await,
            Command::Review(command) => command.run(config, &output).await,
            Command::Gate(command) => command.run(config, &output).await,
            Command::Approve(command) => command.run(config, &output).await,
            Command::BreakGlass(command) => command.run(config, &output).await,
            Command::Reject(command) => command.run(config, &output).await,
            Command::Withdraw(command) => command.run(config, &output).await,
            Command::Posture(command) => command.run(config, &output).await,
            Command::Explain(command) => command.run(&output),
            Command::Evidence(command) => command.run(config, &output).await,
            Command::Attest(command) => command.run(config, &output).await,
            Command::Reach(command) => command.run(config, &output).await,
            Command::Rotate(command) => command.run(config, &output).await,
            Command::Revoke(command) => command.run(config, &output).await,
            Command::Recover(command) => command.run(config, &output).await,
            Command::Reconcile(command) => command.run(config, &output).await,
            Command::Serve(command) => command.run(config, &output).await,
            Command::Decommission(command) => command.run(config, &output).await,
            Command::Quarantine(command) => command.run(config, &output).await,
            Command::Lift(command) => command.run(config, &output).await,
            Command::Disable(command) => command.run(config, &output).await,
            Command::Elevate(command) => command.run(config, &output).await,
            Command::Drill(command) => command.run(config, &output).await,
            Command::Ack(command) => command.run(config, &output).await,
            Command::Signal(command) => command.run(config, &output).await,
            Command::Leaks(command) => command.run(config, &output).await,
            Command::Usage(command) => command.run(config, &output).await,
            Command::Task(command) => command.run(config, &output).await,
            Command::Policy(command) => command.run(config, &output).await,
            Command::Ledger(command) => command.run(config, &output).await,
            Command::Doctor(command) => command.run(config, &output).await,
            Command::Completion(command) => command.run::<Cli>(&output),
        }
    });
    match done {
        Ok(exit) => output.ended(exit).into(),
        Err(problem) => {
            if format == Format::Json {
                output.line(&told::failed_json(&problem).to_string());
            }
            output.problem(&problem);
            Exit::Failed.into()
        }
    }
}

/// What may be said of a panic: where it was, and a text that was in the program. One that was made
/// while it ran may hold a secret.
fn told_of(place: &str, payload: &(dyn std::any::Any + Send)) -> String {
    let what = payload.downcast_ref::<&'static str>().copied();
    let what = what.unwrap_or("the rest is not shown, since it may hold a secret");
    format!("nhi: this is a bug, please report it: {place}: {what}")
}

/// Help, the version, or what is wrong with the command line. The parser's own code for a slip is 2,
/// which would read as drift.
fn answer(told: &clap::Error) -> Exit {
    let asked = matches!(told.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    match told.print() {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Exit::Failed,
        _ if asked => Exit::Clean,
        _ => Exit::Failed,
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_panic_tells_its_place_and_nothing_that_was_made_at_run_time() {
        let told = told_of("a.rs:1:2", &"no such row");
        assert!(told.ends_with("a.rs:1:2: no such row"), "{told}");
        let told = told_of("a.rs:1:2", &format!("{} is wrong", "s.4711"));
        assert!(told.contains("a.rs:1:2") && !told.contains("4711"), "{told}");
    }
}
