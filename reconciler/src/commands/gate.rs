//! `nhi gate`: whether a plan may be applied as it stands.

use clap::Args;
use operations::Problem;

use crate::{
    exit::Exit,
    output::{Format, Output},
    reviewing::{Form, ReadPlan, nobody_is_asked, render, text},
};

/// Say whether a plan may be applied: whether each change in it is approved, or needs nobody, and whether
/// it leaves nothing ungoverned. The provider asks the same when it applies; this says it earlier.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  nhi gate plan.bin                             0: it may be applied; 4: what is missing, and what to do
  terraform show -json plan.bin | nhi gate -
  nhi gate plan.json --format json              for programs, and as input of other policies

Exit codes: 0 it may be applied · 1 could not read it · 4 not approved, or not reviewable")]
pub(crate) struct Gate {
    #[command(flatten)]
    plan: ReadPlan,

    /// Text or JSON.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
}

impl Gate {
    pub(crate) async fn run(self, config: Option<&str>, output: &Output) -> Result<Exit, Problem> {
        let (reading, board) = self.plan.read(config, output).await?;
        let exit = reading.verdict();
        match self.format {
            Format::Json => output.line(&render(&reading, Form::Json, exit)),
            Format::Text => output.line(&text::missing(&reading)),
        }
        if board.is_none() {
            // Whoever asks for a gate and has none is not let through: somebody may have removed it.
            output.problem(&nobody_is_asked());
        }
        Ok(exit)
    }
}
