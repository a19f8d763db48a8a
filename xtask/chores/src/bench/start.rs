//! How quickly the provider is there, and how little it takes.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use tfplugin::mini_core::MiniCore;

use super::{median, process::status_kib};
use xtask::shell::Result;

const COOKIE: &str = "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2";
const RUNS: usize = 31;

pub(super) fn start(program: &Path) -> Result<()> {
    let size = fs::metadata(program).map_err(|error| error.to_string())?.len();
    let (mut times, mut resident) = (Vec::new(), 0);
    for _ in 0..RUNS {
        let begun = Instant::now();
        let mut child = Command::new(program)
            .env("TF_PLUGIN_MAGIC_COOKIE", COOKIE)
            .env("PLUGIN_PROTOCOL_VERSIONS", "6")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| error.to_string())?;
        let mut line = String::new();
        if let Some(out) = child.stdout.take() {
            BufReader::new(out).read_line(&mut line).map_err(|error| error.to_string())?;
        }
        times.push(begun.elapsed());
        resident = status_kib(child.id(), "VmRSS:").unwrap_or_default();
        let _ = child.kill();
        let _ = child.wait();
    }
    // From nothing to a schema in hand: start, handshake, certificates, the call itself.
    let runtime = tokio::runtime::Runtime::new().map_err(|error| error.to_string())?;
    let mut schemas = Vec::new();
    for _ in 0..RUNS {
        let begun = Instant::now();
        let core = runtime
            .block_on(MiniCore::launch(program, &[]))
            .map_err(|error| format!("the mini core: {error}"))?;
        schemas.push(begun.elapsed());
        runtime.block_on(core.shutdown()).map_err(|error| format!("the mini core: {error}"))?;
    }
    println!("medians of {RUNS} starts:");
    println!(
        "  process start to handshake line:   {:6.1} ms    goal: at most 5 ms",
        ms(median(times))
    );
    println!("  process start to schema in hand:   {:6.1} ms", ms(median(schemas)));
    println!(
        "  resident after the handshake line: {:6.1} MiB   goal: at most 12 MB",
        resident as f64 / 1024.0
    );
    println!(
        "  binary:                            {:6.1} MiB   goal: at most 15 MB",
        size as f64 / 1_048_576.0
    );
    Ok(())
}

fn ms(duration: std::time::Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
