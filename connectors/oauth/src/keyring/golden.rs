//! The documents of every landed version: whatever they say is still said after this version has
//! read and written them. A token that is not read again is lost for good.

use std::{collections::BTreeMap, fs, path::Path};

use domain::Secret;
use secrets::Document;
use serde_json::Value;

use super::Entry;

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn the_custody_documents_of_every_landed_version_are_read_whole() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut versions = 0;
    for version in fs::read_dir(golden).unwrap() {
        let text = fs::read_to_string(version.unwrap().path().join("keyring.json")).unwrap();
        let old: BTreeMap<String, String> = serde_json::from_str(&text).unwrap();
        let document = old.iter().fold(Document::default(), |document, (name, value)| {
            document.with(name, Secret::new(value.clone()))
        });
        let new = Entry::read(&document, 1).expect("it is read").document();
        for (name, old) in &old {
            let new = new.get(name).expect("the field is kept").expose();
            if name == "registration_token" {
                assert!(new == old, "the token is another one");
                continue;
            }
            for (member, value) in json(old).as_object().unwrap() {
                assert_eq!(json(new).get(member), Some(value), "{name}.{member}");
            }
        }
        versions += 1;
    }
    assert!(versions > 0, "there is at least one");
}
