//! What a newcomer relies on: a connector is a folder and two lines, and generated pages are fresh.

use std::{fs, path::PathBuf};

fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

#[test]
fn each_connector_is_a_folder_and_two_lines() {
    let wiring = fs::read_to_string(root().join("crates/wiring/Cargo.toml")).unwrap();
    let platforms = fs::read_to_string(root().join("crates/wiring/src/platforms.rs")).unwrap();
    for entry in fs::read_dir(root().join("connectors")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let lib = fs::read_to_string(root().join(format!("connectors/{name}/src/lib.rs"))).unwrap();
        if !lib.contains("PLATFORM") {
            continue; // Not begun: nothing to register.
        }
        assert!(
            wiring.contains(&format!("{name}.workspace = true")),
            "{name} is not in wiring's Cargo.toml"
        );
        assert!(platforms.contains(&format!("{name}::PLATFORM")), "{name} is not in platforms.rs");
    }
    // And nobody else names one.
    for folder in ["provider/src", "reconciler/src", "crates/operations/src", "crates/policy/src"] {
        let mut folders = vec![root().join(folder)];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let text = fs::read_to_string(&path).unwrap();
                assert!(!text.contains("openbao::"), "{} names a connector", path.display());
            }
        }
    }
}

#[test]
fn the_registry_s_pages_are_what_would_be_generated() {
    let files = |folder: &str| tfplugin::docs::read_files(&root().join(folder)).unwrap();
    let pages = tfplugin::docs::generate(&provider::provider(), &files("examples"));
    let stale = tfplugin::docs::stale(&files("docs"), &pages);
    assert!(
        stale.is_empty(),
        "in docs/, {stale:?} are stale, or pages of nothing that exists. Next: cargo xtask generate"
    );
}

#[test]
fn a_fault_in_one_call_of_the_released_program_does_not_end_the_others() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let aborts = manifest
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default())
        .any(|line| line.replace(' ', "").contains("panic=\"abort\""));
    assert!(!aborts, "a profile aborts on a panic: the SDK tells a fault of one call and goes on");
}

#[test]
fn diagnostics_and_guides_keep_to_the_words_that_people_know() {
    // Words of the inside, which only the operator's page on rotation explains.
    const INSIDE: [&str; 5] = ["epoch", "anchor sink", "keyring", "fencing", "write-ahead"];
    for entry in fs::read_dir(root().join("docs/guides")).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap().to_lowercase();
        for word in INSIDE {
            let allowed = path.ends_with("security-model.md");
            assert!(allowed || !text.contains(word), "{} says {word:?}", path.display());
        }
    }
}
