//! `nhi reject`: signs that changes must not be made.

use clap::Args;
use operations::Problem;
use policy::change::quorum::Decision;

use crate::{
    exit::Exit,
    output::Output,
    reviewing::statement::{Saying, Terms},
};

/// Sign that a change must not be made, whoever approves it.
///
/// Anybody whose key is known may say no. It holds until they approve it later, or take it back with
/// nhi withdraw.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  nhi reject 9f2c41 --reason 'payroll is not ours to read'
  nhi reject --all-of review.json --reason 'freeze until Monday'

Exit codes: 0 signed and kept · 1 not signed")]
pub(crate) struct Reject {
    #[command(flatten)]
    pub(crate) saying: Saying,
}

impl Reject {
    pub(crate) async fn run(self, config: Option<&str>, output: &Output) -> Result<Exit, Problem> {
        self.saying.say(Decision::Reject, Terms::default(), config, output).await
    }
}
