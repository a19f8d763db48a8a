//! What others wrote is built once for all that `.ci/run` builds and checks: cargo builds a crate anew for
//! each set of its features, and whatever depends on it.

use std::{collections::BTreeSet, process::Command};

/// The crates of others with their features, as cargo takes them for a selection of packages.
fn taken(words: &[&str]) -> BTreeSet<String> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["tree", "--locked", "--prefix", "none", "--format", "{p} [{f}]"]).args(words);
    let done = cargo.output().expect("cargo runs");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let said = String::from_utf8(done.stdout).expect("it is text");
    let lines = said.lines().map(|line| line.trim_end_matches(" (*)"));
    // Ours tell their folder.
    let all: BTreeSet<String> = lines.filter(|line| !line.contains('/')).map(Into::into).collect();
    assert!(all.iter().any(|one| one.starts_with("tokio v")), "{words:?}: {all:?}");
    all
}

#[test]
fn nothing_that_others_wrote_is_built_with_other_features_for_programs_or_pages_than_for_tests() {
    let tests = taken(&["--workspace", "--edges", "normal,build,dev"]);
    let programs =
        ["-p", "provider", "-p", "nhi", "-p", "same-features", "--edges", "normal,build"];
    for (what, words) in
        [("programs", &programs[..]), ("pages", &["--workspace", "--edges", "normal,build"])]
    {
        let other: Vec<_> = taken(words).difference(&tests).cloned().collect();
        assert!(
            other.is_empty(),
            "{what}: name what is missing in crates/same-features/Cargo.toml: {other:#?}"
        );
    }
}
