//! Every body, for `NHI_FUZZ_SECONDS` (2 by default): the committed seeds, then mutations of them.
//!
//! Each run begins elsewhere and prints where; `NHI_FUZZ_SEED` repeats it, `NHI_FUZZ_INPUT` runs one
//! file.

use std::{
    collections::hash_map::RandomState,
    fs,
    hash::BuildHasher,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    time::{Duration, Instant},
};

/// A small generator (xorshift64*), so that an input is found again from its seed.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % (end.max(1) as u64)).unwrap_or_default()
    }
}

/// What parsers trip over.
const PIECES: [&[u8]; 20] = [
    b"\0",
    b"\xff",
    b"\"",
    b"\\",
    b"/",
    b"%2F",
    b"%",
    b"{",
    b"}",
    b"[",
    b"${",
    b"\n",
    b"*",
    b"+",
    b"-",
    b"-9223372036854775808",
    b"18446744073709551616",
    b"1e-2147483648",
    b"null",
    "\u{301}".as_bytes(),
];

fn mutated(seeds: &[Vec<u8>], dice: &mut Dice) -> Vec<u8> {
    let mut input = seeds[dice.below(seeds.len())].clone();
    for _ in 0..=dice.below(6) {
        let at = dice.below(input.len() + 1);
        match dice.below(6) {
            0 if at < input.len() => input[at] ^= 1 << dice.below(8),
            1 if at < input.len() => input[at] = dice.next().to_le_bytes()[0],
            2 if at < input.len() => {
                drop(input.drain(at..(at + 1 + dice.below(4)).min(input.len())))
            }
            3 => drop(input.splice(at..at, PIECES[dice.below(PIECES.len())].iter().copied())),
            4 => {
                // The end of another one.
                let other = &seeds[dice.below(seeds.len())];
                input.truncate(at);
                input.extend_from_slice(&other[dice.below(other.len() + 1)..]);
            }
            _ => {
                // A part of it twice.
                let part = input[at..(at + dice.below(16)).min(input.len())].to_vec();
                input.splice(at..at, part);
            }
        }
    }
    input
}

/// A body, its name, and the test that runs it.
#[derive(Clone, Copy)]
struct Target {
    name: &'static str,
    sentence: &'static str,
    body: fn(&[u8]),
}

/// Where a run begins: `NHI_FUZZ_SEED`, else another place each time.
fn start() -> u64 {
    match std::env::var("NHI_FUZZ_SEED") {
        Ok(text) => text.parse().expect("NHI_FUZZ_SEED is a number"),
        Err(_) => RandomState::new().hash_one(0),
    }
}

fn run(target: Target) {
    let Target { name, body, .. } = target;
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    // An input by itself, as libFuzzer or this test left it.
    if let Some(file) = std::env::var_os("NHI_FUZZ_INPUT") {
        let file = repository.join(file);
        return body(&fs::read(&file).unwrap_or_else(|why| panic!("{}: {why}", file.display())));
    }
    let folder = repository.join("fuzz/seeds").join(name);
    let mut seeds: Vec<_> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .collect();
    seeds.sort();
    let seeds: Vec<Vec<u8>> = seeds.iter().map(|path| fs::read(path).unwrap()).collect();
    seeds.iter().for_each(|seed| holds(target, seed, "a committed seed"));
    let seconds = std::env::var("NHI_FUZZ_SECONDS").ok().map(|text| text.parse().unwrap());
    let until = Instant::now() + Duration::from_secs(seconds.unwrap_or(2));
    let start = start();
    println!("{name}: NHI_FUZZ_SEED={start}");
    // Zero is the one place from which the dice never move.
    let mut dice = Dice(start.max(1));
    let told = format!("NHI_FUZZ_SEED={start}");
    while Instant::now() < until {
        holds(target, &mutated(&seeds, &mut dice), &told);
    }
}

/// Runs a body on an input; one that does not hold is left in a file, and it is said how to run it
/// again.
fn holds(target: Target, input: &[u8], from: &str) {
    let Target { name, sentence, body } = target;
    if catch_unwind(AssertUnwindSafe(|| body(input))).is_ok() {
        return;
    }
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-broken"));
    let left = match fs::write(&file, input) {
        Ok(()) => format!(
            "NHI_FUZZ_INPUT={} cargo test -p fuzzing --test seconds {sentence}",
            file.display()
        ),
        Err(error) => format!("(it could not be left in {}: {error})", file.display()),
    };
    panic!(
        "{name} does not hold for b\"{}\" ({from}).\nAgain: {left}\nThen it belongs into fuzz/seeds/{name}.",
        input.escape_ascii()
    );
}

macro_rules! bodies {
    ($($name:ident => $sentence:ident),* $(,)?) => {
        $(#[test] fn $sentence() {
            let (name, sentence) = (stringify!($name), stringify!($sentence));
            run(Target { name, sentence, body: fuzzing::$name });
        })*

        #[test]
        fn every_target_of_the_fuzzer_is_run_here() {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/fuzz_targets");
            let targets = fs::read_dir(folder).unwrap().map(|entry| {
                entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned()
            });
            let mut targets: Vec<String> = targets.collect();
            let mut here = vec![$(stringify!($name).to_owned()),*];
            targets.sort();
            here.sort();
            assert_eq!(targets, here);
        }
    };
}

bodies! {
    msgpack => messagepack_is_decoded_to_what_it_encodes_or_refused,
    json => json_is_decoded_to_what_it_encodes_or_refused,
    types => a_type_is_read_as_it_is_written_or_refused,
    numbers => a_number_is_read_as_it_is_written_or_refused,
    ids => an_id_is_read_as_it_is_written_or_refused,
    spans => a_length_of_time_is_read_as_it_is_written_or_refused,
    schedules => a_schedule_is_read_as_it_is_written_and_has_an_answer_for_any_moment,
    scopes => a_scope_of_any_platform_is_its_own_canonical_form,
    markers => a_marker_has_one_spelling,
    entries => an_entry_of_a_ledger_is_canonical_or_refused,
    records => a_record_is_read_as_it_is_written_or_refused,
    plans => any_plan_is_read_or_refused_and_what_is_marked_is_gone_when_it_is_masked,
    nhi_hcl => any_configuration_is_read_or_refused_with_a_place,
    policy_hcl => any_policy_is_read_or_refused_with_a_place,
    statements => a_statement_is_read_as_it_is_written_or_refused,
    envelopes => an_envelope_is_read_as_it_is_written_or_refused,
    signatures => nothing_is_a_signature_but_what_a_key_has_made,
    signers => any_file_of_signers_is_read_or_refused_with_a_line,
    revocations => any_list_of_keys_that_were_taken_back_is_read_or_refused,
    tokens => nobody_asks_by_a_token_but_whom_its_issuer_named,
}

#[test]
fn the_same_seed_tries_the_same_inputs_and_another_tries_others() {
    let seeds = [b"one/app/x".to_vec(), b"two/app/y/credential/z".to_vec()];
    let tried = |seed| {
        let mut dice = Dice(seed);
        (0..50).map(|_| mutated(&seeds, &mut dice)).collect::<Vec<_>>()
    };
    assert_eq!(tried(7), tried(7));
    assert_ne!(tried(7), tried(8));
    let given = std::env::var_os("NHI_FUZZ_SEED").is_some();
    assert!(given || start() != start(), "unless it is given, each run begins elsewhere");
}

#[test]
fn an_input_that_breaks_something_is_left_in_a_file_that_runs_it_again() {
    let body = |input: &[u8]| assert!(!input.contains(&0xff), "it broke");
    let target = Target { name: "sample", sentence: "a_sample_holds", body };
    let broken = b"a\xff\n".as_slice();
    let told = catch_unwind(|| holds(target, broken, "NHI_FUZZ_SEED=5")).unwrap_err();
    let told = told.downcast::<String>().unwrap();
    assert!(told.contains("NHI_FUZZ_SEED=5") && told.contains(r#"b"a\xff\n""#), "{told}");
    let file = told.split("NHI_FUZZ_INPUT=").nth(1).unwrap().split(' ').next().unwrap();
    assert!(told.contains(&format!("{file} cargo test -p fuzzing --test seconds a_sample_holds")));
    assert_eq!(fs::read(file).unwrap(), broken);
}
