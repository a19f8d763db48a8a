//! `nhi policy`: whether it is right, what it asks, and how a new version of it comes into force.

use clap::Subcommand;
use operations::Problem;

use crate::{
    exit::Exit,
    output::{Format, Output},
};

mod check;
mod explain;
mod named;
mod sign;

/// Read the policy: is it right, what does it ask, and who must sign a new version of it?
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  nhi policy check                     is it right, and can everybody do what it asks?
  nhi policy explain                   what does it ask, in sentences
  nhi policy explain --format markdown policy.hcl > POLICY.md
  nhi policy sign                      what is to be signed for this version, and by whom")]
pub(crate) enum Policy {
    Check(check::Check),
    Explain(explain::Explain),
    Sign(sign::Sign),
}

impl Policy {
    pub(crate) fn format(&self) -> Format {
        match self {
            Policy::Check(check) => check.format,
            Policy::Explain(explain) => explain.format(),
            Policy::Sign(sign) => sign.format,
        }
    }

    pub(crate) async fn run(self, config: Option<&str>, output: &Output) -> Result<Exit, Problem> {
        match self {
            Policy::Check(check) => check.run(config, output),
            Policy::Explain(explain) => explain.run(config, output),
            Policy::Sign(sign) => sign.run(config, output).await,
        }
    }
}
