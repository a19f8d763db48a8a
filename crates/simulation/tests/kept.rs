//! Stories that broke a promise once, each a file in `tests/regressions`.
//!
//! A file holds choices, and choices mean nothing in another world: so it says too what is unusual in its
//! story, and whoever changes the world is told which story is another one now. Such a one is searched for
//! anew, with what was wrong put back; `UPDATE=1` writes down what a story tells now. Where what was wrong is
//! a rule that can be left out, that is done every time, and must break it: `NHI_TEST_KEEP` has the search for
//! such rules write anew what it finds.

use std::{fs, path::Path};

use simulation::story::{Kept, Teller};

#[test]
fn what_broke_a_promise_once_breaks_none_any_more() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/regressions");
    let mut all: Vec<_> = fs::read_dir(&folder).expect("it is there").flatten().collect();
    all.sort_by_key(|one| one.file_name());
    assert!(!all.is_empty(), "no file in {}", folder.display());
    let mut teller = Teller::new();
    for one in all {
        let file = one.path();
        let kept = Kept::read(&fs::read_to_string(&file).expect("it is text"));
        let kept = kept.unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let again = kept.again(&mut teller);
        let again = again.unwrap_or_else(|broken| panic!("{}: {broken}", file.display()));
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&file, again.text()).expect("it can be written");
        } else {
            assert!(kept.is_as(&again), "{}: another story now: {again:#?}", file.display());
        }
    }
}
