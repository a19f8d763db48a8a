//! A search that finds nothing where a rule is left out is no search: each is found, from the first seed
//! on, within a minute. `NHI_TEST_RULE` names one of them by how it begins; with `NHI_TEST_KEEP` what shows it
//! is kept in `target/torture`, made small.

use std::{fs, path::Path, thread, time::Duration};

use rustix::time::{ClockId, clock_gettime};
use simulation::story::{PLANTED, Planted, Teller};

/// What this thread has had of a processor: a busy machine makes no search weaker.
fn worked() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// Writes down the story of a seed.
fn keep(planted: Planted, teller: &mut Teller, seed: u64) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/torture");
    fs::create_dir_all(&folder).expect("it can be made");
    let kept = planted.kept(teller, seed).expect("it was found a moment ago");
    let kept = kept.unwrap_or_else(|broken| panic!("{}: {broken}", planted.rule));
    fs::write(folder.join(format!("{:?}.json", planted.bug)), kept.text()).expect("it is written");
}

#[test]
fn a_rule_that_is_forgotten_is_found_within_a_minute() {
    let keeps = std::env::var_os("NHI_TEST_KEEP").is_some();
    let one = move |planted: Planted| {
        let mut teller = Teller::new();
        let begun = worked();
        let time = || worked() - begun < Duration::from_secs(60);
        let found = planted.found(&mut teller, time);
        println!("{} ({:?}): {found:?} after {:?}", planted.rule, planted.bug, worked() - begun);
        if let Some((seed, _)) = found.as_ref().filter(|_| keeps) {
            keep(planted, &mut teller, *seed);
        }
        found.is_none().then_some(planted.rule)
    };
    let chosen = std::env::var("NHI_TEST_RULE").unwrap_or_default();
    let all = PLANTED.into_iter().filter(|planted| planted.rule.starts_with(&chosen));
    let searches: Vec<_> = all.map(|planted| thread::spawn(move || one(planted))).collect();
    assert!(!searches.is_empty(), "there is no rule {chosen:?}");
    let unseen: Vec<_> =
        searches.into_iter().filter_map(|one| one.join().expect("it ends")).collect();
    assert!(unseen.is_empty(), "nobody found {unseen:?}");
}
