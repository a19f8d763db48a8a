//! The arrows between our crates: what may depend on what, and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, MetadataCommand};

/// Each crate, and those of ours that it may depend on. Connectors follow from their folders.
const ARROWS: &[(&str, &[&str])] = &[
    ("tfplugin-proto", &[]),
    ("tfplugin-derive", &[]),
    ("tfplugin", &["tfplugin-proto", "tfplugin-derive"]),
    ("domain", &[]),
    ("policy", &["domain"]),
    ("approval", &["domain", "policy"]),
    ("plan", &[]),
    ("secrets", &["domain"]),
    ("telemetry", &[]),
    ("ledger", &[]),
    ("ledger-sqlite", &["ledger"]),
    ("postgres-tls", &[]),
    ("ledger-postgres", &["ledger", "postgres-tls"]),
    ("connector", &["domain", "secrets", "telemetry"]),
    (
        "operations",
        &["approval", "domain", "policy", "connector", "secrets", "ledger", "telemetry"],
    ),
    (
        "wiring",
        &[
            "approval",
            "domain",
            "policy",
            "connector",
            "secrets",
            "ledger",
            "ledger-sqlite",
            "ledger-postgres",
            "operations",
        ],
    ),
    ("provider", &["tfplugin", "domain", "policy", "connector", "operations", "wiring"]),
    (
        "nhi",
        &[
            "approval",
            "domain",
            "plan",
            "policy",
            "provider",
            "connector",
            "ledger",
            "operations",
            "telemetry",
            "wiring",
        ],
    ),
    ("simulation", &["domain", "policy", "connector", "secrets", "ledger", "operations"]),
    ("fuzzing", &["approval", "tfplugin", "domain", "plan", "policy", "ledger", "wiring"]),
    ("same-features", &[]),
    ("acceptance-tests", &[]),
    ("xtask", &["acceptance-tests"]),
    ("chores", &["acceptance-tests", "connector", "policy", "provider", "tfplugin", "xtask"]),
];

/// What a connector may depend on: the words and the ports.
const CONNECTOR: &[&str] = &["domain", "connector", "secrets"];
/// The one that also shares its way to a server with an adapter.
const ALSO: (&str, &str) = ("postgresql", "postgres-tls");
/// The one crate that depends on connectors.
const WIRING: &str = "wiring";

#[test]
fn no_crate_depends_on_what_it_should_not_know() {
    let metadata = MetadataCommand::new().no_deps().exec().expect("cargo metadata");
    let folder = metadata.workspace_root.join("connectors");
    let connectors: Vec<String> = metadata
        .packages
        .iter()
        // A folder is named as its crate.
        .filter(|one| one.manifest_path == folder.join(one.name.as_str()).join("Cargo.toml"))
        .map(|one| one.name.to_string())
        .collect();
    assert!(!connectors.is_empty(), "no folder in connectors/ is a crate");
    let mut allowed: BTreeMap<&str, BTreeSet<&str>> =
        ARROWS.iter().map(|(name, all)| (*name, all.iter().copied().collect())).collect();
    for name in &connectors {
        let also = Some(ALSO.1).filter(|_| name == ALSO.0);
        allowed.insert(name, CONNECTOR.iter().copied().chain(also).collect());
        allowed.entry(WIRING).or_default().insert(name);
    }
    let ours: BTreeSet<String> =
        metadata.packages.iter().map(|package| package.name.to_string()).collect();
    let mut wrong = Vec::new();
    for package in &metadata.packages {
        let name = package.name.to_string();
        let Some(may) = allowed.get(name.as_str()) else {
            wrong.push(format!("{name} is not in the table"));
            continue;
        };
        for dependency in &package.dependencies {
            // What only tests use may point anywhere.
            if dependency.kind == DependencyKind::Normal
                && ours.contains(&dependency.name)
                && !may.contains(dependency.name.as_str())
            {
                wrong.push(format!("{name} -> {}", dependency.name));
            }
        }
    }
    assert!(wrong.is_empty(), "arrows that are not in the architecture: {wrong:#?}");
}

#[test]
fn the_wire_is_the_sdk_s_business() {
    let metadata = MetadataCommand::new().no_deps().exec().expect("cargo metadata");
    for package in &metadata.packages {
        let name = package.name.as_str();
        let knows = package.dependencies.iter().any(|dependency| {
            dependency.kind == DependencyKind::Normal
                && ["tonic", "tonic-prost", "prost"].contains(&dependency.name.as_str())
        });
        // The last one has no code that could use it.
        let may = ["tfplugin", "tfplugin-proto", "same-features"];
        assert!(!knows || may.contains(&name), "{name} knows the wire");
    }
}

/// Who makes spans: the crate of their names, and the SDK, which stands alone and traces its own calls for
/// the log.
const TRACES: [&str; 2] = ["crates/telemetry", "crates/tfplugin"];
/// Who sends them.
const SENDS: &str = "reconciler/src/traces.rs";

#[test]
fn nothing_is_traced_but_by_the_names_of_one_crate() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let (mut wrong, mut seen, mut folders) = (Vec::new(), 0, Vec::new());
    folders.extend(["crates", "connectors", "provider", "reconciler"].map(|one| root.join(one)));
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
                folders.push(path);
                continue;
            }
            let shown = path.strip_prefix(&root).expect("within").to_string_lossy().into_owned();
            if !shown.ends_with(".rs") || TRACES.iter().any(|one| shown.starts_with(one)) {
                continue;
            }
            seen += 1;
            let text = std::fs::read_to_string(&path).expect("a file");
            let made = ["span!(", "#[instrument", "#[tracing::instrument"];
            if made.iter().any(|one| text.contains(one)) {
                wrong.push(format!("{shown} makes a span"));
            }
            if text.contains("opentelemetry::") && shown != SENDS {
                wrong.push(format!("{shown} knows who sends traces"));
            }
        }
    }
    assert!(seen > 200, "{seen}");
    assert!(wrong.is_empty(), "{wrong:#?}");
}
