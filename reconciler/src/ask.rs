//! Leave for a deed: a person at a terminal says yes, or a script said it before.

use std::io::{BufRead, IsTerminal};

use clap::Args;
use operations::{Context, Problem};
use wiring::Loaded;

use crate::output::{Format, Output};

/// How a deed is asked for and told.
#[derive(Debug, Args)]
pub(crate) struct Asking {
    /// Do it without asking: for scripts.
    #[arg(long)]
    yes: bool,

    /// Show what it would do, and do nothing.
    #[arg(long, conflicts_with = "yes")]
    pub(crate) dry_run: bool,

    /// Text or JSON.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
}

impl Asking {
    /// What it is done with: where it is only shown, nothing that can change anything.
    pub(crate) fn context(&self, loaded: &Loaded) -> Result<Context, Problem> {
        match self.dry_run {
            true => loaded.read_only().context("nhi", "command"),
            false => loaded.context("nhi", "command"),
        }
    }

    /// The same for what takes power away: a policy that cannot be used is told, and stops nothing.
    pub(crate) fn context_to_end(
        &self,
        loaded: &Loaded,
        output: &Output,
    ) -> Result<Context, Problem> {
        let (context, wrong) = match self.dry_run {
            true => loaded.read_only().context_to_end("nhi", "command")?,
            false => loaded.context_to_end("nhi", "command")?,
        };
        if let Some(wrong) = wrong {
            output.warning(&format!(
                "the policy cannot be used, and the defaults of its thresholds hold for this: {} \
                 ({})",
                wrong.detail, wrong.code
            ));
            output.advice(
                "nothing that gives power is done before that is put right: see nhi doctor",
            );
        }
        Ok(context)
    }

    /// Whether it may be done.
    ///
    /// # Errors
    ///
    /// Nobody said so, and nobody can be asked.
    pub(crate) fn agreed(&self, question: &str, output: &Output) -> Result<bool, Problem> {
        if self.yes {
            return Ok(true);
        }
        if !std::io::stdin().is_terminal() || self.format == Format::Json {
            return Err(Problem::new("E-CONFIRM", "This was not agreed to")
                .detail("Nothing was changed: it takes a yes, and nobody can be asked here.")
                .next("the same with --yes; with --dry-run it only shows what it would do"));
        }
        output.ask(&format!("{question} Only yes is taken for yes: "));
        let mut answer = String::new();
        let read = std::io::stdin().lock().read_line(&mut answer);
        Ok(read.is_ok() && answer.trim() == "yes")
    }
}
