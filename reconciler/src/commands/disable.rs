//! `nhi disable`: switches integrations off.

use clap::Args;
use operations::{Problem, Switch};

use crate::{
    ask::Asking,
    exit::Exit,
    output::Output,
    switching::{Switching, Which},
};

/// Switch integrations off, as with enabled = false.
///
/// What is declared stays declared: where nothing says enabled = false, and policy has nothing follow, the
/// next apply switches it on again. What must stay off: nhi quarantine.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  nhi disable CONNECTION/KIND/NAME
  nhi disable --owner ana --dry-run
  nhi disable --connection bao --yes
  nhi disable --finding owner-left --dry-run

Exit codes: 0 all of them are off, or it is shown with --dry-run · 1 none could be · 3 some could not be
looked at · 5 some are, and some are not: run it again; of several the first of 1, 5, 3")]
pub(crate) struct Disable {
    #[command(flatten)]
    which: Which,

    /// Declared is what this state says (`terraform show -json`, or a state file); `-` is standard
    /// input. Else the ledger says.
    #[arg(long, value_name = "FILE")]
    state: Option<String>,

    #[command(flatten)]
    pub(crate) asking: Asking,
}

impl Disable {
    pub(crate) async fn run(self, config: Option<&str>, output: &Output) -> Result<Exit, Problem> {
        let context = self.asking.context_to_end(&wiring::load(config)?, output)?;
        let switching = Switching {
            which: &self.which,
            state: self.state.as_deref(),
            asking: &self.asking,
            how: Switch::Off,
            command: "disable",
            will: "switch it off; an apply switches it on again where enabled = false is declared nowhere",
            done: "Switched off:",
        };
        switching.run(context, output).await
    }
}
