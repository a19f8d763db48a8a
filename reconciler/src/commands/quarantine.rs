//! `nhi quarantine`: switches integrations off, and keeps them off until somebody lifts it.

use clap::Args;
use operations::{Problem, Switch};

use crate::{
    ask::Asking,
    exit::Exit,
    output::Output,
    switching::{Switching, Which},
};

/// Switch integrations off in an incident, and keep them off: no apply and no schedule switches them on
/// or issues anything to them, until nhi lift.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  nhi quarantine CONNECTION/KIND/NAME --reason INC-9
  nhi quarantine --owner ana --reason 'laptop stolen, INC-9'
  nhi quarantine --connection bao --reason INC-9 --dry-run
  nhi quarantine --finding credential-unmanaged --reason INC-9 --dry-run

It shows what it will do, and asks. Several are done at once, and each is read back. What dies half way
is run again, and goes on: what is so already is left as it is. Nothing is ended: nhi revoke does that.
What is named by its id needs no ledger that can be read.

Exit codes: 0 all of them are, or it is shown with --dry-run · 1 none could be · 3 some could not be
looked at · 5 some are, and some are not: run it again; of several the first of 1, 5, 3")]
pub(crate) struct Quarantine {
    #[command(flatten)]
    which: Which,

    /// Why, in the integration's record and in the ledger: a ticket, for example.
    #[arg(long, value_name = "TEXT")]
    reason: String,

    /// Declared is what this state says (`terraform show -json`, or a state file); `-` is standard
    /// input. Else the ledger says.
    #[arg(long, value_name = "FILE")]
    state: Option<String>,

    #[command(flatten)]
    pub(crate) asking: Asking,
}

impl Quarantine {
    pub(crate) async fn run(self, config: Option<&str>, output: &Output) -> Result<Exit, Problem> {
        let context = self.asking.context_to_end(&wiring::load(config)?, output)?;
        let will = format!(
            "switch it off, and write into its record that it is quarantined: {}",
            self.reason
        );
        let switching = Switching {
            which: &self.which,
            state: self.state.as_deref(),
            asking: &self.asking,
            how: Switch::Quarantine(self.reason.clone()),
            command: "quarantine",
            will: &will,
            done: "Quarantined:",
        };
        switching.run(context, output).await
    }
}
