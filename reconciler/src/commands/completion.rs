//! `nhi completion`: the shell's completion script.

use clap::{Args, CommandFactory};
use clap_complete::Shell;
use operations::Problem;

use crate::exit::Exit;

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
    pub(crate) fn run<C: CommandFactory>(self) -> Result<Exit, Problem> {
        clap_complete::generate(self.shell, &mut C::command(), "nhi", &mut std::io::stdout());
        Ok(Exit::Clean)
    }
}
