//! Every body, for `NHI_FUZZ_SECONDS` (2 by default): the committed seeds, then mutations of them.
//! Two runs of the same length of inputs try the same ones.

use std::{
    fs,
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

fn run(name: &str, body: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds").join(name);
    let mut seeds: Vec<_> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .collect();
    seeds.sort();
    let seeds: Vec<Vec<u8>> = seeds.iter().map(|path| fs::read(path).unwrap()).collect();
    let holds = |input: &[u8]| {
        if catch_unwind(AssertUnwindSafe(|| body(input))).is_err() {
            panic!("{name} does not hold for b\"{}\"", input.escape_ascii());
        }
    };
    seeds.iter().for_each(|seed| holds(seed));
    let seconds = std::env::var("NHI_FUZZ_SECONDS").ok().map(|text| text.parse().unwrap());
    let until = Instant::now() + Duration::from_secs(seconds.unwrap_or(2));
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    while Instant::now() < until {
        holds(&mutated(&seeds, &mut dice));
    }
}

macro_rules! bodies {
    ($($name:ident => $sentence:ident),* $(,)?) => {
        $(#[test] fn $sentence() { run(stringify!($name), fuzzing::$name); })*

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
    records => a_record_is_read_as_it_is_written_or_refused,
    nhi_hcl => any_configuration_is_read_or_refused_with_a_place,
    policy_hcl => any_policy_is_read_or_refused_with_a_place,
}
