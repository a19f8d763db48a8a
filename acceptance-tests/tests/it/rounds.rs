//! Two applies and an `nhi rotate` on one credential, round after round: whoever is first, what
//! consumers read works at every moment, and nothing is left behind.
//!
//! `NHI_TEST_WIDE` makes it fifty rounds.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use acceptance_tests::{Ran, Result, World, core::ran, servers::OpenBao, world::STATE};
use serde_json::{Value, json};

use crate::{
    holds, in_world,
    together::{core_in, second},
    triggered,
};

/// The slot of the usual form, its role, and where its consumers read.
const SLOT: &str = "bao/openbao_approle/invoice-sync/credential/default";
const ROLE: &str = "/v1/auth/approle/role/invoice-sync";
const READ: &str = "apps/invoice-sync";
/// Short, so that a round need not wait long until the earlier one is to go.
const OVERLAP: Duration = Duration::from_secs(3);
/// A rotation for each who asks.
const MOST: u64 = 3;

/// What is asked for in a round.
fn main_of(round: u64) -> String {
    triggered(&round.to_string()).replace("\"24h\"", &format!("\"{}s\"", OVERLAP.as_secs()))
}

/// The accessor of the secret id that a document holds, as the server tells it.
fn accessor_of(bao: &OpenBao, document: &Value) -> Result<Option<String>> {
    let body = json!({ "secret_id": document["secret_id"] });
    let found = bao.ask("POST", &format!("{ROLE}/secret-id/lookup"), Some(body))?;
    Ok(found.json["data"]["secret_id_accessor"].as_str().map(str::to_owned))
}

/// The accessors of all that consumers may still hold: what stands in any version of what they read.
fn delivered(bao: &OpenBao) -> Result<Vec<String>> {
    let about = bao.get(&format!("/v1/secret/metadata/{READ}"))?;
    let versions = about["data"]["versions"].as_object().cloned().unwrap_or_default();
    let mut accessors = Vec::new();
    for number in versions.keys() {
        let at = format!("/v1/secret/data/{READ}?version={number}");
        let document = bao.ask("GET", &at, None)?.json["data"]["data"].clone();
        if !document.is_null() {
            accessors.extend(accessor_of(bao, &document)?);
        }
    }
    Ok(accessors)
}

/// The generation that a document says it is of.
fn generation(document: &Value) -> u64 {
    let says: Value = document["_nhi"]
        .as_str()
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default();
    says["gen"].as_u64().unwrap_or(0)
}

/// Reads and signs in, as long as it may. What is refused must have been replaced meanwhile.
fn consume(bao: &OpenBao, over: &AtomicBool, times: &AtomicU64) -> Result<()> {
    while !over.load(Ordering::Relaxed) {
        let document = bao.document(READ)?;
        if !bao.signs_in(&document)? {
            let now = bao.document(READ)?;
            let replaced = now["secret_id"] != document["secret_id"];
            holds(replaced, "what consumers read works at every moment", "it is refused")?;
        }
        times.fetch_add(1, Ordering::Relaxed);
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// Runs a command at that moment, to its end.
fn at(moment: Duration, mut command: Command) -> Result<Ran> {
    thread::sleep(moment);
    ran(command.stdin(Stdio::null()))
}

/// Who was done, and what the others said.
#[derive(Debug, Default)]
struct Tally {
    done: u64,
    refused: BTreeMap<String, u64>,
    /// Rounds whose rotation was only possible after it.
    later: u64,
    generations: u64,
    sign_ins: u64,
}

impl Tally {
    fn count(&mut self, ran: &Ran) -> Result<()> {
        if ran.code == 0 {
            self.done += 1;
            return Ok(());
        }
        // Whoever comes second is told why, and what to do.
        let code = ran.said.split_once("(E-").and_then(|(_, rest)| rest.split_once(')'));
        let code = code.map(|(code, _)| format!("E-{code}"));
        let told = code.filter(|_| ran.said.contains("Next:"));
        let told = told.ok_or_else(|| format!("nothing is said of what to do:\n{}", ran.said))?;
        *self.refused.entry(told).or_default() += 1;
        Ok(())
    }
}

/// One round. `part` says how far into an apply the command comes.
fn one(
    world: &World,
    other: &Path,
    round: u64,
    part: f64,
    took: &mut Duration,
    tally: &mut Tally,
) -> Result<()> {
    let bao = &world.bao;
    let before = bao.document(READ)?;
    world.write("main.tf", &main_of(round))?;
    fs::write(other.join("main.tf"), main_of(round)).map_err(|error| error.to_string())?;
    // Every other round plans beforehand, so that both mean the same generation.
    let planned = round.is_multiple_of(2);
    let apply = |folder: &Path| core_in(world, folder, &["apply", "-auto-approve"]);
    let begin = |folder: &Path| match planned {
        true => core_in(world, folder, &["apply", "saved"]),
        false => apply(folder),
    };
    if planned {
        for folder in [&world.folder, other] {
            ran(&mut core_in(world, folder, &["plan", "-out=saved"]))?.expect(0)?;
        }
    }
    let mut rotate = world.nhi_command();
    rotate.args(["rotate", SLOT, "--yes"]).args(round.is_multiple_of(3).then_some("--exposed"));
    let (over, times) = (AtomicBool::new(false), AtomicU64::new(0));
    let begun = Instant::now();
    let (ended, consumed) = thread::scope(|scope| {
        let consumer = scope.spawn(|| consume(bao, &over, &times));
        let commands =
            [begin(&world.folder), begin(other)].map(|one| scope.spawn(|| at(Duration::ZERO, one)));
        let moment = took.mul_f64(part);
        let rotate = scope.spawn(move || at(moment, rotate));
        let [one, two] = commands.map(|one| one.join().map_err(|_| "an apply fell".to_owned()));
        let ended = [one, two, rotate.join().map_err(|_| "the command fell".to_owned())];
        over.store(true, Ordering::Relaxed);
        (ended, consumer.join().map_err(|_| "the consumer fell".to_owned()))
    });
    *took = begun.elapsed();
    consumed??;
    tally.sign_ins += times.load(Ordering::Relaxed);
    let mut said = String::new();
    for ran in ended {
        let ran = ran??;
        said.push_str(&ran.said);
        tally.count(&ran)?;
    }
    let document = bao.document(READ)?;
    holds(bao.signs_in(&document)?, "what consumers read works", &said)?;
    let (known, live) = (delivered(bao)?, bao.accessors("invoice-sync")?);
    let unknown: Vec<_> = live.iter().filter(|key| !known.contains(key)).collect();
    holds(unknown.is_empty(), "no consumer lacks what lives", &format!("{unknown:?}\n{said}"))?;
    // Once the overlap is over, one more apply of each leaves one credential and nothing to do; where
    // that apply was the first that could rotate, once its own overlap is over.
    for _ in 0..2 {
        thread::sleep(OVERLAP);
        for folder in [&world.folder, other] {
            said.push_str(&ran(&mut apply(folder))?.expect(0)?);
        }
        if bao.accessors("invoice-sync")?.len() == 1 {
            break;
        }
        tally.later += 1;
    }
    let document = bao.document(READ)?;
    let current = accessor_of(bao, &document)?;
    let live = bao.accessors("invoice-sync")?;
    let one = live.iter().map(Some).eq([current.as_ref()]);
    holds(one, "one credential lives, and is what consumers read", &format!("{live:?}\n{said}"))?;
    holds(bao.signs_in(&document)?, "it works", &said)?;
    holds(!bao.signs_in(&before)?, "the one before it does not", &said)?;
    let further = generation(&document).saturating_sub(generation(&before));
    holds((1..=MOST).contains(&further), "nobody rotates twice", &format!("{further}\n{said}"))?;
    tally.generations += further;
    world.nhi(&["drift"])?.expect(0)?;
    world.plan_is_empty()?;
    ran(&mut core_in(world, other, &["plan", "-detailed-exitcode"]))?.expect(0).map(drop)
}

#[test]
fn two_applies_and_a_rotation_by_command_at_once_leave_one_credential_that_works() {
    let rounds = if std::env::var_os("NHI_TEST_WIDE").is_some() { 50 } else { 3 };
    in_world(&main_of(0), |world| {
        world.apply()?;
        let other = second(world, &main_of(0))?;
        fs::copy(world.folder.join(STATE), other.join(STATE)).map_err(|error| error.to_string())?;
        let (mut took, mut tally) = (Duration::from_secs(2), Tally::default());
        let begun = Instant::now();
        for round in 1..=rounds {
            // The golden section leaves no part of an apply out for long.
            let part = (round as f64 * 0.618).fract();
            one(world, &other, round, part, &mut took, &mut tally)
                .map_err(|error| format!("round {round}, begun at {part:.2}: {error}"))?;
        }
        println!("{rounds} rounds in {:?}: {tally:?}", begun.elapsed());
        Ok(())
    });
}
