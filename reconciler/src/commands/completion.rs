//! `nhi completion`: the shell's completion script.

use clap::{Args, CommandFactory};
use clap_complete::Shell;
use operations::Problem;

use crate::{exit::Exit, output::Output};

/// Print the completion script of a shell.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  nhi completion bash > ~/.local/share/bash-completion/completions/nhi
  nhi completion zsh > \"${fpath[1]}/_nhi\"
  nhi completion fish > ~/.config/fish/completions/nhi.fish")]
pub(crate) struct Completion {
    /// The shell.
    shell: Shell,
}

impl Completion {
    pub(crate) fn run<C: CommandFactory>(self, output: &Output) -> Result<Exit, Problem> {
        // Into memory first: the generator panics where it cannot write.
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut C::command(), "nhi", &mut script);
        output.line(String::from_utf8_lossy(&script).trim_end());
        Ok(Exit::Clean)
    }
}
