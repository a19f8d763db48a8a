//! Every error that is worded anywhere has a line in the list of errors, and a page.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            found.push(path);
        }
    }
}

/// The codes in a source: in quotes, or in brackets at the end of a text.
fn codes(source: &str) -> BTreeSet<String> {
    let source = source.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    let begins = source.match_indices("E-").filter(|(at, _)| source[..*at].ends_with(['"', '(']));
    begins
        .filter_map(|(at, _)| {
            let rest = &source[at..];
            let end = rest.find(|c: char| !c.is_ascii_uppercase() && c != '-')?;
            let code = &rest[..end];
            (rest[end..].starts_with(['"', ')']) && code.len() > 3).then(|| code.to_owned())
        })
        .collect()
}

#[test]
fn every_error_that_is_worded_is_in_the_list_and_the_list_has_no_other() {
    let mut folders = vec![root().join("provider/src"), root().join("reconciler/src")];
    for above in ["crates", "connectors"] {
        for entry in fs::read_dir(root().join(above)).unwrap().flatten() {
            // Their worlds word errors of their own.
            if !["simulation", "fuzzing"].iter().any(|one| entry.file_name() == *one) {
                folders.push(entry.path().join("src"));
            }
        }
    }
    let mut used: BTreeMap<String, PathBuf> = BTreeMap::new();
    for folder in folders {
        let mut found = Vec::new();
        sources(&folder, &mut found);
        for path in found.into_iter().filter(|path| !path.ends_with("tests.rs")) {
            for code in codes(&fs::read_to_string(&path).unwrap()) {
                used.insert(code, path.clone());
            }
        }
    }
    let known: BTreeSet<&str> = policy::errors::codes().map(|one| one.code).collect();
    let missing: Vec<_> = used.iter().filter(|(code, _)| !known.contains(code.as_str())).collect();
    assert!(
        missing.is_empty(),
        "write three lines for each in crates/policy/src/errors/codes.txt, then cargo xtask generate: \
         {missing:#?}"
    );
    let stale: Vec<_> = known.iter().filter(|code| !used.contains_key(**code)).collect();
    assert!(stale.is_empty(), "nothing says these any more: {stale:?}");
    assert!(used.len() > 150, "{}", used.len());
}

#[test]
fn the_pages_of_errors_are_what_would_be_generated() {
    let folder = root().join("docs/errors");
    let there: BTreeMap<String, String> = fs::read_dir(&folder)
        .unwrap()
        .flatten()
        .map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            (name, fs::read_to_string(entry.path()).unwrap())
        })
        .collect();
    assert!(there == policy::errors::pages(), "run: cargo xtask generate");
}

#[test]
fn a_code_is_found_where_it_is_worded_and_in_no_test() {
    let source = "new(\"E-ONE\", \"x\"); format!(\"y (E-TWO)\"); let s = \"SOME-THREE\"; \
                  \n#[cfg(test)]\nmod tests { \"E-FOUR\" }";
    assert_eq!(codes(source).into_iter().collect::<Vec<_>>(), ["E-ONE", "E-TWO"]);
}
