//! Chores that need the product itself are a package of their own, built when they are asked for.

use std::ffi::OsString;

use clap::Args;
use xtask::shell::{Result, cargo, run};

/// Everything that was said behind the chore's name.
#[derive(Debug, Args)]
pub(crate) struct PassOn {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    words: Vec<OsString>,
}

impl PassOn {
    pub(crate) fn run(self, chore: &str) -> Result<()> {
        run(cargo(&["run", "--package", "chores", "--", chore]).args(self.words))
    }
}
