//! `cargo xtask torture`: everything that searches, for as long as wanted, from seeds that nobody has
//! tried.

use std::{
    collections::hash_map::RandomState,
    hash::BuildHasher,
    time::{Duration, Instant},
};

use clap::Args;

use xtask::shell::{Result, cargo, run};

/// Search for as long as wanted: kills, the table, the model, fuzzing, and stories from fresh seeds.
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

impl Torture {
    pub(crate) fn run(self) -> Result<()> {
        let seed = self.seed.unwrap_or_else(|| RandomState::new().hash_one("torture") >> 16);
        println!("seed {seed}; the same again: cargo xtask torture --seed {seed}");
        let whole = Duration::from_secs(60 * self.minutes.max(1));
        let fuzzing = (whole.as_secs() / 5 / TARGETS).max(1).to_string();
        let seeds = (20 * self.minutes).clamp(40, 2_000).to_string();
        let turn = seed.to_string();
        type Stage<'a> = (&'a str, &'a [&'a str], &'a [(&'a str, &'a str)]);
        let wide = [("NHI_TEST_WIDE", "1")];
        let many = [("NHI_TEST_SEEDS", &*seeds)];
        let long = [("NHI_FUZZ_SECONDS", &*fuzzing), ("NHI_FUZZ_SEED", &*turn)];
        let mut stages: Vec<Stage<'_>> = vec![
            ("every call killed, and races", &["operations", "it"], &many),
            ("the whole table", &["simulation", "table"], &wide),
            ("every order of events, wide", &["simulation", "model"], &wide),
            ("fuzzing", &["fuzzing", "seconds"], &long),
        ];
        if self.servers {
            stages.push((
                "killed at each request, disturbed, and raced, on real servers",
                &["acceptance-tests", "it"],
                &wide,
            ));
        }
        let begun = Instant::now();
        let mut failed = Vec::new();
        for (name, of, variables) in stages {
            println!("--- {name}");
            let mut command = cargo(&["test", "--quiet", "-p", of[0], "--test", of[1]]);
            command.envs(variables.iter().copied());
            match of[1] {
                "it" if of[0] == "operations" => command.args(["--", "crash", "race", "begun"]),
                // What was walked, and in which time, is worth reading where all went well too.
                "it" => {
                    command.args(["--", "--nocapture", "kill", "rounds", "points", "disturbed"])
                }
                _ => command.args(["--", "--nocapture"]),
            };
            failed.extend(run(&mut command).err().map(|_| name));
        }
        println!("--- stories");
        let left = whole.saturating_sub(begun.elapsed()).max(whole / 2).as_secs().to_string();
        let words = [
            "run",
            "--quiet",
            "--profile",
            "search",
            "-p",
            "simulation",
            "--example",
            "torture",
            "--",
        ];
        failed.extend(run(cargo(&words).args([&left, &turn])).err().map(|_| "stories"));
        match failed.is_empty() {
            true => Ok(()),
            false => Err(format!("seed {seed}: {} broke", failed.join(", "))),
        }
    }
}
