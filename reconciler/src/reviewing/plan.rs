//! A plan from a file, from standard input, or out of a saved plan file by way of the core.

use std::{
    collections::BTreeSet,
    io::Read,
    path::Path,
    process::{Command, Stdio},
};

use operations::Problem;
use plan::{LONGEST, Plan};

fn wrong(shown: &str, why: impl std::fmt::Display) -> Problem {
    Problem::new("E-PLAN", "The plan cannot be read")
        .detail(format!("{shown}: {why}."))
        .next("terraform plan -out plan.bin && terraform show -json plan.bin | nhi review -")
}

/// How a place is named.
pub(crate) fn shown(place: &str) -> &str {
    if place == "-" { "standard input" } else { place }
}

/// Reads a plan. `ours` are the variables that hold secrets of ours: a core that is started gets none.
///
/// # Errors
///
/// It cannot be read, or is no plan.
pub(crate) fn read(place: &str, ours: &BTreeSet<&str>) -> Result<Plan, Problem> {
    let bytes = bytes(place).map_err(|error| wrong(shown(place), error))?;
    of(&bytes, place, ours)
}

/// The plan of bytes that were read from a place.
///
/// # Errors
///
/// They are no plan.
pub(crate) fn of(bytes: &[u8], place: &str, ours: &BTreeSet<&str>) -> Result<Plan, Problem> {
    let shown = shown(place);
    // A saved plan is an archive that only its own core can read.
    let saved = match bytes.starts_with(b"PK\x03\x04") {
        true if place == "-" => {
            let why = "it is a saved plan, which the core has to read from its file";
            return Err(wrong(shown, why).next("nhi review plan.bin"));
        }
        true => Some(of_core(Path::new(place), ours)?),
        false => None,
    };
    plan::read(saved.as_deref().unwrap_or(bytes)).map_err(|error| wrong(shown, error))
}

/// The bytes of a file or of standard input, one more than may be there at most.
pub(crate) fn bytes(place: &str) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    match place {
        "-" => std::io::stdin().take(LONGEST + 1).read_to_end(&mut bytes)?,
        _ => std::fs::File::open(place)?.take(LONGEST + 1).read_to_end(&mut bytes)?,
    };
    Ok(bytes)
}

fn of_core(place: &Path, ours: &BTreeSet<&str>) -> Result<Vec<u8>, Problem> {
    let shown = place.display().to_string();
    let next = format!("terraform show -json {shown} | nhi review -");
    let wrong = |why: String| wrong(&shown, why).next(next.as_str());
    let mut last = "neither terraform nor tofu is on the PATH".to_owned();
    for core in ["terraform", "tofu"] {
        let mut command = Command::new(core);
        command.args(["show", "-json", "-no-color"]).arg(place).stdin(Stdio::null());
        for name in ours {
            command.env_remove(name);
        }
        let done = match command.output() {
            Ok(done) => done,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(wrong(error.to_string())),
        };
        if done.status.success() {
            return Ok(done.stdout);
        }
        // A plan of the other core is refused by this one, so that both are asked.
        let said = String::from_utf8_lossy(&done.stderr);
        let said: String = said.split_whitespace().collect::<Vec<_>>().join(" ");
        last = format!("{core} says: {}", said.chars().take(400).collect::<String>());
    }
    Err(wrong(last))
}
