//! Nothing: see `Cargo.toml`, and the test in `xtask/tests/same_features.rs` that says what is missing there.
