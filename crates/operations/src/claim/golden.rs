//! The documents of every landed version, in custody and in consumers' sinks: whatever they say is
//! still said after this version has read and written them.

use std::{fs, path::Path};

use domain::Secret;
use secrets::{Document, Mirror};
use serde_json::Value;

use super::{ClaimMirror, Said, encode, mirror, said};
use crate::document::{META, Meta};

fn text(version: &Path, name: &str) -> String {
    fs::read_to_string(version.join(name)).unwrap()
}

/// Every member of the old one is in the new one and says the same.
fn survives(old: &str, new: &str) {
    let read = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    let (old, new) = (read(old), read(new));
    for (name, value) in old.as_object().unwrap() {
        assert_eq!(new.get(name), Some(value), "{name}");
    }
}

fn json(mirror: &Mirror) -> String {
    serde_json::to_string(mirror).unwrap()
}

#[test]
fn claims_and_main_documents_of_every_landed_version_are_read_whole() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut versions = 0;
    for version in fs::read_dir(golden).unwrap() {
        let version = version.unwrap().path();

        let old = text(&version, "claim.json");
        let claim = said(&old).and_then(Said::claim).expect("the claim is read");
        let member = |name: &str| {
            let old: Value = serde_json::from_str(&old).unwrap();
            old[name].as_str().unwrap().to_owned()
        };
        let (slot, vendor_id) = (member("slot"), member("vendor_id"));
        survives(&old, &encode(&claim, &slot, &vendor_id, None));

        let old = text(&version, "claim-mirror.json");
        let seen = ClaimMirror::read(&serde_json::from_str(&old).unwrap(), None);
        survives(&old, &json(&mirror(&claim, &slot, &vendor_id, 3)));
        assert_eq!(seen, ClaimMirror::read(&mirror(&claim, &slot, &vendor_id, 3), None));

        let old = text(&version, "main.json");
        let main = Document::default().with(META, Secret::new(old.clone()));
        let main = Meta::of(&main).expect("the main document is read");
        survives(&old, &main.to_json());

        let old = text(&version, "main-mirror.json");
        let (seen, number) =
            Meta::from_mirror(&serde_json::from_str(&old).unwrap()).expect("its mirror is read");
        assert_eq!((&seen, number), (&main, 3));
        survives(&old, &json(&main.mirror(3)));
        versions += 1;
    }
    assert!(versions > 0, "there is at least one");
}
