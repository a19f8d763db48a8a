//! `nhi withdraw`: signs that what one said of changes counts no more.

use clap::Args;
use operations::Problem;
use policy::change::quorum::Decision;

use crate::{
    exit::Exit,
    output::Output,
    reviewing::statement::{Saying, Terms},
};

/// Take back what you said of a change: an approval, or a no.
///
/// It is a statement of its own, signed by you: nobody can take back what another said.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  nhi withdraw 9f2c41 --reason 'approved the wrong one'

Exit codes: 0 signed and kept · 1 not signed")]
pub(crate) struct Withdraw {
    #[command(flatten)]
    pub(crate) saying: Saying,
}

impl Withdraw {
    pub(crate) async fn run(self, config: Option<&str>, output: &Output) -> Result<Exit, Problem> {
        self.saying.say(Decision::Revoke, Terms::default(), config, output).await
    }
}
