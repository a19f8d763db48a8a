//! What a command and the providers under it cost: wall time, processor time, peak memory.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use xtask::shell::Result;

/// The kernel's clock ticks a second, as `/proc` counts them on Linux.
const TICKS: u64 = 100;

/// One process, as it was when it was last looked at.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Cost {
    /// Processor time, user and system.
    pub(crate) busy: Duration,
    /// The most memory that was resident, in KiB.
    pub(crate) peak_kib: u64,
}

/// A command that ran to its end.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Measured {
    pub(crate) wall: Duration,
    pub(crate) command: Cost,
    /// The provider that took the most: a core starts one for its schema and one to work.
    pub(crate) provider: Cost,
}

/// Runs a command, which must exit with 0, and looks at it and at the processes of `provider`
/// under it.
pub(crate) fn measure(command: &mut Command, provider: &Path) -> Result<Measured> {
    let (out, err) = (tempfile()?, tempfile()?);
    let begun = Instant::now();
    let mut child = command
        .stdout(Stdio::from(out.try_clone().map_err(text)?))
        .stderr(Stdio::from(err.try_clone().map_err(text)?))
        .spawn()
        .map_err(text)?;
    let mut measured = Measured::default();
    let status = loop {
        if let Some(status) = child.try_wait().map_err(text)? {
            break status;
        }
        if let Some(cost) = cost(child.id()) {
            measured.command = cost;
        }
        for cost in children(child.id(), provider).into_iter().filter_map(cost) {
            if cost.busy >= measured.provider.busy {
                measured.provider = cost;
            }
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    measured.wall = begun.elapsed();
    if status.success() {
        Ok(measured)
    } else {
        Err(format!("{command:?} ended with {status}: {}{}", said(out), said(err)))
    }
}

fn text(error: std::io::Error) -> String {
    error.to_string()
}

fn tempfile() -> Result<fs::File> {
    tempfile::tempfile().map_err(text)
}

fn said(mut file: fs::File) -> String {
    use std::io::{Read, Seek};
    let mut said = String::new();
    let _ = file.rewind().and_then(|()| file.read_to_string(&mut said));
    said
}

/// What one process has cost so far; `None` once it is gone.
pub(crate) fn cost(pid: u32) -> Option<Cost> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in brackets may hold anything: fields are counted after it.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    Some(Cost {
        busy: Duration::from_millis(ticks * 1000 / TICKS),
        peak_kib: status_kib(pid, "VmHWM:")?,
    })
}

/// One of the sizes of `/proc/<pid>/status`, in KiB.
pub(crate) fn status_kib(pid: u32, field: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with(field))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

fn children(parent: u32, program: &Path) -> Vec<u32> {
    let Ok(all) = fs::read_dir("/proc") else { return Vec::new() };
    all.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .filter(|pid| {
            fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe == program)
                && fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
                    stat.rsplit_once(')')
                        .and_then(|(_, rest)| rest.split_whitespace().nth(1))
                        .is_some_and(|field| field == parent.to_string())
                })
        })
        .collect()
}
