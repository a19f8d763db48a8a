//! The demonstration is a test as well.

use std::{rc::Rc, time::Duration};

use acceptance_tests::{Core, story};

struct Silent;

impl story::Listener for Silent {
    fn step(&mut self, _title: &str) {}
    fn said(&mut self, _command: &str, _output: &str) {}
    fn holds(&mut self, _fact: &str) {}
    fn waiting(&mut self, _what: &str, _left: Duration) {}
}

#[test]
fn the_story_holds_from_hcl_to_proof() {
    for core in Core::all().unwrap() {
        let world = story::world(core.clone(), None).unwrap();
        if let Err(error) = story::tell(Rc::new(world), &mut Silent) {
            panic!("{}: {error}", core.path.display());
        }
    }
}
