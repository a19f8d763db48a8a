//! `cargo xtask torture`: everything that searches, for as long as wanted, from seeds that nobody has
//! tried.

use std::{
    collections::hash_map::RandomState,
    hash::BuildHasher,
    time::{Duration, Instant},
};

use clap::Args;

use xtask::shell::{Result, cargo, run};

/// Search for as long as wanted: kills, the table, the model, fuzzing, months between applies, and stories
/// from fresh seeds.
///
/// What breaks is told with its seed and kept; what the stories met is told at the end.
#[derive(Debug, Args)]
pub(crate) struct Torture {
    /// How long, once everything is built. The stories take what the rest leaves, and at least half.
    #[arg(long, default_value_t = 10)]
    minutes: u64,
    /// The first seed; another one each time unless it is said.
    #[arg(long)]
    seed: Option<u64>,
    /// On real servers too: the real provider killed, a rotation killed and disturbed at each of its
    /// requests, and fifty rounds of a race. About half an hour more.
    #[arg(long)]
    servers: bool,
}

/// The targets of `crates/fuzzing`, each of which takes its seconds.
const TARGETS: u64 = 13;

/// The tests of the ledger that kill, tear, race, verify and rebuild.
const LEDGER: [&str; 5] = ["a_kill", "three_processes", "torn", "verif", "rebuild"];

/// One kind of search.
struct Stage<'a> {
    name: &'static str,
    package: &'static str,
    test: &'static str,
    only: &'a [&'static str],
    variables: &'a [(&'static str, &'a str)],
}

impl Stage<'_> {
    fn run(&self) -> Result<()> {
        let mut command = cargo(&["test", "--quiet", "-p", self.package, "--test", self.test]);
        command.envs(self.variables.iter().copied()).arg("--");
        match self.only {
            [] => command.arg("--nocapture"),
            only => command.args(only),
        };
        run(&mut command)
    }
}

impl Torture {
    pub(crate) fn run(self) -> Result<()> {
        let seed = self.seed.unwrap_or_else(|| RandomState::new().hash_one("torture") >> 16);
        println!("seed {seed}; the same again: cargo xtask torture --seed {seed}");
        let whole = Duration::from_secs(60 * self.minutes.max(1));
        let fuzzing = (whole.as_secs() / 5 / TARGETS).max(1).to_string();
        let seeds = (20 * self.minutes).clamp(40, 2_000).to_string();
        let turn = seed.to_string();
        let wide = [("NHI_TEST_WIDE", "1")];
        let many = [("NHI_TEST_SEEDS", &*seeds)];
        let long = [("NHI_FUZZ_SECONDS", &*fuzzing), ("NHI_FUZZ_SEED", &*turn)];
        let of = |name, package, test| Stage { name, package, test, only: &[], variables: &[] };
        let mut stages = vec![
            Stage {
                only: &["crash", "race", "begun"],
                variables: &many,
                ..of("every call killed, and races", "operations", "it")
            },
            of("what broke once", "simulation", "kept"),
            of("rules that are left out", "simulation", "planted"),
            of("rules that are left out for months", "simulation", "months"),
            Stage { variables: &wide, ..of("the whole table", "simulation", "table") },
            Stage { variables: &wide, ..of("every order of events, wide", "simulation", "model") },
            Stage {
                only: &LEDGER,
                ..of("the ledger killed, torn and rebuilt", "ledger-sqlite", "file")
            },
            Stage { variables: &long, ..of("fuzzing", "fuzzing", "seconds") },
        ];
        if self.servers {
            stages.push(Stage {
                // What was walked, and in which time, is worth reading where all went well too.
                only: &["--nocapture", "kill", "rounds", "points", "disturbed", "undelivered"],
                variables: &wide,
                ..of(
                    "killed at each request, disturbed, and raced, on real servers",
                    "acceptance-tests",
                    "it",
                )
            });
        }
        let begun = Instant::now();
        let (mut failed, mut shares) = (Vec::new(), Vec::new());
        for stage in &stages {
            println!("--- {}", stage.name);
            let from = Instant::now();
            failed.extend(stage.run().err().map(|_| stage.name));
            shares.push((stage.name, from.elapsed()));
        }
        let left = whole.saturating_sub(begun.elapsed()).max(whole / 2).as_secs();
        // A month of a reconciler has many ticks, and a story of one deed few events.
        for (name, example, seconds) in [
            ("months between applies", "months", left / 4),
            ("stories", "torture", left - left / 4),
        ] {
            println!("--- {name}");
            let from = Instant::now();
            let of = ["run", "--quiet", "--profile", "search", "-p", "simulation", "--example"];
            let mut command = cargo(&of);
            command.args([example, "--", &seconds.to_string(), &turn]);
            failed.extend(run(&mut command).err().map(|_| name));
            shares.push((name, from.elapsed()));
        }
        let all = begun.elapsed().as_secs_f64().max(1.0);
        println!("--- where {all:.0} s went, with what was built in them");
        for (name, took) in shares {
            let took = took.as_secs_f64();
            println!("  {took:6.0} s {:3.0} % {name}", 100.0 * took / all);
        }
        match failed.is_empty() {
            true => Ok(()),
            false => Err(format!("seed {seed}: {} broke", failed.join(", "))),
        }
    }
}
