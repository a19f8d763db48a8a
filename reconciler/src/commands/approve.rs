//! `nhi approve`: signs that changes may be made.

use clap::Args;
use domain::Span;
use jiff::Timestamp;
use operations::Problem;
use policy::change::quorum::Decision;

use crate::{
    exit::Exit,
    output::Output,
    reviewing::statement::{Saying, Terms},
};

/// Sign that a change may be made: exactly that one, and once.
///
/// What it does is shown first, and the hash of what was shown is in the statement. The signature is one
/// of OpenSSH, by a key's file, by your agent, or by a hardware key. The statement is kept beside the
/// policy, a file of its own, so that two who sign in two branches never meet in one file.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  nhi approve 9f2c41 --role security              what nhi review --keep has kept
  nhi approve --all-of review.json --role owner   all of a review that need somebody
  nhi approve 9f2c41 --of plan.json --role security --key ~/.ssh/id_ed25519
  nhi approve 9f2c41 --role security --for 2h --ticket CHG-4711 --reason 'as agreed'
  nhi approve 9f2c41 --role security --shown HASH --reason …    for scripts

Exit codes: 0 signed and kept · 1 not signed")]
pub(crate) struct Approve {
    #[command(flatten)]
    pub(crate) saying: Saying,

    /// In which role: one of the policy's, or owner.
    #[arg(long, value_name = "ROLE")]
    role: Option<String>,

    /// From when on it holds, such as 2027-01-10T09:00:00Z; now, unless set.
    #[arg(long, value_name = "TIME")]
    not_before: Option<Timestamp>,

    /// Until when it holds; a day, or less where the policy wants less, unless set.
    #[arg(long, value_name = "TIME", conflicts_with = "holds_for")]
    not_after: Option<Timestamp>,

    /// How long it holds, such as 4h.
    #[arg(long = "for", value_name = "SPAN", id = "holds_for")]
    holds_for: Option<Span>,
}

impl Approve {
    pub(crate) async fn run(self, config: Option<&str>, output: &Output) -> Result<Exit, Problem> {
        let terms = Terms {
            role: self.role,
            not_before: self.not_before,
            not_after: self.not_after,
            holds_for: self.holds_for,
        };
        self.saying.say(Decision::Approve, terms, config, output).await
    }
}
