//! `nhi lift`: ends a quarantine.

use clap::Args;
use operations::{Problem, Switch};

use crate::{
    ask::Asking,
    exit::Exit,
    output::Output,
    switching::{Switching, Which},
};

/// End a quarantine: switch integrations on again, and take the word out of their records.
///
/// This gives power back: a policy that cannot be read refuses it, and so does what is out of service. Where
/// the policy has changes reviewed, it is one.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  nhi lift CONNECTION/KIND/NAME
  nhi lift --owner ana --dry-run
  nhi lift --connection bao --dry-run

Of an owner's or a connection's it touches what bears a quarantine, and nothing else that is switched
off. What is named by its id is switched on, quarantined or not: so a lift of many that died half way on
one is finished. It switches on what was off before the quarantine too; where enabled = false is declared
the next apply switches that off again.

Exit codes: 0 all of them are, or it is shown with --dry-run · 1 none could be · 3 some could not be
looked at · 4 none is approved · 5 some are, and some are not: run it again; of several the first of 1, 4, 5, 3")]
pub(crate) struct Lift {
    #[command(flatten)]
    which: Which,

    /// Declared is what this state says (`terraform show -json`, or a state file); `-` is standard
    /// input. Else the ledger says.
    #[arg(long, value_name = "FILE")]
    state: Option<String>,

    #[command(flatten)]
    pub(crate) asking: Asking,
}

impl Lift {
    pub(crate) async fn run(self, config: Option<&str>, output: &Output) -> Result<Exit, Problem> {
        let context = self.asking.context(&wiring::load(config)?)?;
        let switching = Switching {
            which: &self.which,
            state: self.state.as_deref(),
            asking: &self.asking,
            how: Switch::Lift,
            command: "lift",
            will: "switch it on, and take the word out of its record",
            done: "Lifted:",
        };
        switching.run(context, output).await
    }
}
