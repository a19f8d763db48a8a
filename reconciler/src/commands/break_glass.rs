//! `nhi break-glass`: somebody answers alone for a change, in an emergency.

use clap::Args;
use domain::Span;
use operations::Problem;
use policy::change::quorum::Decision;

use crate::{
    exit::Exit,
    output::Output,
    reviewing::statement::{Saying, Terms},
};

/// Sign that you answer alone for a change that nobody has approved, in an emergency.
///
/// For those whom the policy names under break_glass, with the key that it asks for, for an hour at most and
/// for few changes at once. Whoever is told by nhi serve is told before it is kept; where nobody can be
/// told, it is not. The change is out of policy (nhi drift ends with 4) until those who would have had to
/// approve it have signed it afterwards, with nhi approve.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  nhi break-glass 9f2c41 --reason 'INC-4711: production is down'
  nhi break-glass 9f2c41 --for 15m --reason 'INC-4711' --key ~/.ssh/id_ed25519_sk

Exit codes: 0 signed, told and kept · 1 not signed")]
pub(crate) struct BreakGlass {
    #[command(flatten)]
    pub(crate) saying: Saying,

    /// How long it holds, such as 15m; as long as the policy lets it, unless set.
    #[arg(long = "for", value_name = "SPAN")]
    holds_for: Option<Span>,
}

impl BreakGlass {
    pub(crate) async fn run(self, config: Option<&str>, output: &Output) -> Result<Exit, Problem> {
        let terms = Terms { holds_for: self.holds_for, ..Terms::default() };
        self.saying.say(Decision::BreakGlass, terms, config, output).await
    }
}
