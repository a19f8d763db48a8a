//! A chore in stages: each is announced, and its minutes are told however it ends.

use std::{
    fs,
    io::Write,
    path::PathBuf,
    time::{Duration, Instant},
};

use xtask::shell::Result;

/// The file that takes the minutes instead of the screen, a line a stage: for a script that runs
/// several chores and tells all their minutes in one line.
const FILE: &str = "NHI_MINUTES";

/// The stages that ran, with how long they took. Dropping it tells them.
#[derive(Debug)]
pub(crate) struct Stages {
    took: Vec<String>,
    file: Option<PathBuf>,
}

impl Stages {
    pub(crate) fn new() -> Stages {
        Stages { took: Vec::new(), file: std::env::var_os(FILE).map(PathBuf::from) }
    }

    /// Runs one.
    pub(crate) fn run<T>(&mut self, name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        println!("== {name}");
        let begun = Instant::now();
        let done = work();
        let how = if done.is_ok() { "" } else { " (failed)" };
        let took = format!("{name} {}{how}", minutes(begun.elapsed()));
        let kept = self.file.as_ref().is_some_and(|path| {
            let file = fs::OpenOptions::new().create(true).append(true).open(path);
            file.and_then(|mut file| writeln!(file, "{took}")).is_ok()
        });
        if !kept {
            self.took.push(took);
        }
        done
    }
}

impl Drop for Stages {
    fn drop(&mut self) {
        if !self.took.is_empty() {
            println!("minutes: {}", self.took.join("; "));
        }
    }
}

fn minutes(took: Duration) -> String {
    format!("{}m{:02}s", took.as_secs() / 60, took.as_secs() % 60)
}
