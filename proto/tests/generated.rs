//! The committed Rust is what the definitions give: regenerated in memory and compared.
//!
//! `UPDATE=1 cargo test -p tfplugin-proto` writes it anew.

use std::{fs, path::Path};

/// Each definition, and the file that the generator names after its package.
const DEFINITIONS: [(&str, &str); 3] = [
    ("tfplugin6.proto", "tfplugin6.rs"),
    ("go-plugin/plugin.proto", "plugin.rs"),
    ("grpc-health/health.proto", "grpc.health.v1.rs"),
];

#[test]
fn the_committed_code_is_what_the_definitions_give() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let committed = root.join("src/gen");
    for (definition, file) in DEFINITIONS {
        let out = tempfile::tempdir().expect("a temporary folder");
        let set = protox::compile([root.join(definition)], [root])
            .unwrap_or_else(|error| panic!("{definition}: {error}"));
        tonic_prost_build::configure()
            .build_transport(false)
            .out_dir(out.path())
            .compile_fds(set)
            .unwrap_or_else(|error| panic!("{definition}: {error}"));
        let generated = fs::read_to_string(out.path().join(file)).expect(file);
        let path = committed.join(file);
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&path, &generated).expect("the committed file can be written");
        }
        let have = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            have == generated,
            "{} is stale. Next: UPDATE=1 cargo test -p tfplugin-proto",
            path.display()
        );
    }
}
