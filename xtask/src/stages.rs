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
        let (begun, before) = (Instant::now(), worked());
        let done = work();
        let how = if done.is_ok() { "" } else { " (failed)" };
        let had = worked().zip(before).map(|(now, before)| now.saturating_sub(before));
        let had = had.map_or_else(String::new, |had| format!(" ({} of processors)", minutes(had)));
        let took = format!("{name} {}{had}{how}", minutes(begun.elapsed()));
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

/// What the programs that ended under this one have had of processors: on a machine that others use too,
/// this tells more than the clock. Only where the system says it in a file.
fn worked() -> Option<Duration> {
    let said = fs::read_to_string("/proc/self/stat").ok()?;
    // Behind the program's name, which may hold anything: the fourteenth and fifteenth of what follows are
    // the hundredths of a second of its children, their own and the system's for them.
    let (_, rest) = said.rsplit_once(')')?;
    let mut of_children = rest.split_whitespace().skip(13).take(2).map(str::parse::<u64>);
    let (own, for_them) = (of_children.next()?.ok()?, of_children.next()?.ok()?);
    Some(Duration::from_millis((own + for_them) * 10))
}

fn minutes(took: Duration) -> String {
    format!("{}m{:02}s", took.as_secs() / 60, took.as_secs() % 60)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn what_programs_have_had_of_processors_is_known_when_they_have_ended() {
        let before = worked().unwrap();
        let busy = "i=0; while [ $i -lt 100000 ]; do i=$((i + 1)); done";
        for _ in 0..100 {
            assert!(Command::new("sh").args(["-c", busy]).status().unwrap().success());
            if worked().unwrap() > before {
                return;
            }
        }
        panic!("nothing is told of what a hundred programs had");
    }
}
