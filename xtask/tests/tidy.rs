//! What a newcomer relies on: a connector is a folder and two lines, generated pages are fresh, and
//! what is written about the code is true of it.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Every connector, by its folder.
fn connectors() -> Vec<String> {
    let folders = fs::read_dir(root().join("connectors")).unwrap();
    let names = folders.map(|folder| folder.unwrap().file_name().into_string().unwrap());
    names.filter(|name| root().join(format!("connectors/{name}/Cargo.toml")).exists()).collect()
}

/// The two places outside of its folder that name a connector, with the line that does.
fn lines(name: &str) -> [(&'static str, String); 2] {
    [
        ("crates/wiring/Cargo.toml", format!("{name} = {{ path = \"../../connectors/{name}\" }}")),
        ("crates/wiring/src/platforms.rs", format!("&{name}::PLATFORM")),
    ]
}

/// What else may name one, outside of tests: sample ids, and resources of other providers that can
/// move here.
const ALLOWED: [&str; 11] = [
    "crates/ledger/src/conformance.rs",
    "crates/ledger-sqlite/src/bench.rs",
    "provider/src/resources/moved.rs",
    "reconciler/src/commands/adopt.rs",
    "reconciler/src/commands/decommission.rs",
    "reconciler/src/commands/drill.rs",
    "reconciler/src/commands/ledger.rs",
    "reconciler/src/commands/reconcile.rs",
    "reconciler/src/commands/recover.rs",
    "reconciler/src/commands/revoke.rs",
    "reconciler/src/commands/rotate.rs",
];

/// Names that are everyday words: only a path into the crate names these.
const EVERYDAY: [&str; 1] = ["file"];

/// Whether a line of Rust names a connector: its crate, its name as a text, or a kind of its.
fn names(line: &str, name: &str) -> bool {
    let line = line.trim_start();
    if line.starts_with("//") {
        return false;
    }
    let within = |c: char| c.is_alphanumeric() || c == '_';
    let mut found = line.match_indices(name).map(|(at, _)| at);
    found.any(|at| {
        let (before, after) = (&line[..at], &line[at + name.len()..]);
        if before.ends_with(within) {
            return false;
        }
        let path = after.starts_with("::");
        let kind = after.starts_with('_') && after[1..].starts_with(|c: char| c.is_alphabetic());
        let text = before.ends_with('"') && after.starts_with('"');
        path || (!EVERYDAY.contains(&name) && (kind || text))
    })
}

#[test]
fn each_connector_is_a_folder_and_two_lines() {
    for name in connectors() {
        for (file, line) in lines(&name) {
            let text = fs::read_to_string(root().join(file)).unwrap();
            assert!(text.contains(&line), "{file} lacks: {line}");
        }
    }
}

#[test]
fn nobody_else_names_a_connector() {
    let connectors = connectors();
    let mut wrong = Vec::new();
    let mut used = Vec::new();
    let folders = ["crates", "provider", "reconciler", "proto"];
    for path in folders.iter().flat_map(|folder| files(folder, "rs")) {
        let shown = path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
        let tests = shown.ends_with("/tests.rs");
        if !shown.contains("/src/") || tests || shown == lines("")[1].0 {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap_or_default();
        // Tests of a file stand at its end.
        let text = text.split("#[cfg(test)]").next().unwrap_or_default();
        for (number, line) in text.lines().enumerate() {
            if let Some(name) = connectors.iter().find(|name| names(line, name)) {
                match ALLOWED.iter().find(|allowed| **allowed == shown) {
                    Some(allowed) => used.push(*allowed),
                    None => wrong.push(format!("{shown}:{} names {name}", number + 1)),
                }
            }
        }
    }
    for manifest in ["", "provider", "reconciler", "acceptance-tests", "xtask"] {
        let path = root().join(manifest).join("Cargo.toml");
        let text = fs::read_to_string(&path).unwrap();
        for name in &connectors {
            if text.contains(&format!("connectors/{name}")) {
                wrong.push(format!("{} names {name}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "a connector is known outside of its folder: {wrong:#?}");
    let idle: Vec<_> = ALLOWED.iter().filter(|one| !used.contains(one)).collect();
    assert!(idle.is_empty(), "these need no leave any more: {idle:?}");
}

#[test]
fn a_line_that_names_a_connector_is_known_from_one_that_does_not() {
    for line in [
        "let x = acme::PLATFORM;",
        "match name { \"acme\" => 1 }",
        "id(\"acme_app\")",
        "acme_app = {}",
    ] {
        assert!(names(line, "acme"), "{line}");
    }
    for line in ["// such as `acme_app`", "let acme = 1;", "macme::x", "\"acmex\"", "the_acme_app"]
    {
        assert!(!names(line, "acme"), "{line}");
    }
    assert!(names("file::PLATFORM", "file") && !names("text(\"file\")", "file"));
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
fn the_pages_of_findings_are_what_would_be_generated() {
    let folder = root().join("docs/findings");
    let there: std::collections::BTreeMap<String, String> = files("docs/findings", "md")
        .iter()
        .map(|path| {
            let name = path.strip_prefix(&folder).unwrap().to_string_lossy().into_owned();
            (name, fs::read_to_string(path).unwrap())
        })
        .collect();
    let pages = policy::findings::pages();
    let stale: Vec<&String> = pages
        .keys()
        .chain(there.keys())
        .filter(|name| pages.get(*name) != there.get(*name))
        .collect();
    assert!(stale.is_empty(), "in docs/findings: {stale:?}. Next: cargo xtask generate");
}

#[test]
fn each_package_that_could_be_published_carries_the_licence() {
    let licence = fs::read_to_string(root().join("LICENSE")).unwrap();
    for package in ["proto", "crates/tfplugin-derive", "crates/tfplugin"] {
        let own = fs::read_to_string(root().join(package).join("LICENSE")).unwrap_or_default();
        assert!(own == licence, "{package}/LICENSE is not the LICENSE of the workspace");
    }
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

/// Words of the inside. Who writes or reviews a configuration needs none of them.
const INSIDE: [&str; 7] = ["realm", "claim", "epoch", "anchor", "marker", "mirror", "keyring"];

/// Guides for other readers: the operator's page explains these words, and who writes a connector
/// meets them in the code.
const FOR_OTHERS: [&str; 3] = ["rotation.md", "ways-of-issuing.md", "write-a-connector.md"];

#[test]
fn diagnostics_guides_and_generated_pages_keep_to_the_words_that_people_know() {
    let allowed = fs::read_to_string(root().join("xtask/tests/words.allow")).unwrap();
    let allowed: Vec<&str> =
        allowed.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    let (mut used, mut wrong) = (BTreeSet::new(), Vec::new());
    let mut look = |path: &Path, text: &str| {
        let mut text = plain(text).to_lowercase();
        for phrase in &allowed {
            if text.contains(phrase) {
                used.insert(*phrase);
                text = text.replace(phrase, "");
            }
        }
        for word in text.split(|c: char| !c.is_alphanumeric() && c != '_') {
            let stem = word.strip_suffix('s').unwrap_or(word);
            if INSIDE.contains(&stem) {
                wrong.push(format!("{}: {word:?} in {text:?}", path.display()));
            }
        }
    };
    for path in files("docs", "md") {
        let name = path.file_name().unwrap().to_str().unwrap();
        let ours = path.parent().unwrap().ends_with("docs") && name != "index.md";
        if ours || FOR_OTHERS.contains(&name) {
            continue;
        }
        for paragraph in fs::read_to_string(&path).unwrap().split("\n\n") {
            look(&path, paragraph);
        }
    }
    let mut sources = vec![root().join("crates/ledger/src/error.rs")];
    for folder in ["provider/src", "reconciler/src", "crates/operations/src", "crates/policy/src"] {
        sources.extend(files(folder, "rs"));
    }
    sources.extend(files("crates/wiring/src", "rs"));
    sources.extend(
        files("connectors", "rs")
            .into_iter()
            .filter(|path| !path.components().any(|part| part.as_os_str() == "tests")),
    );
    // The files that landed versions left behind, and their test.
    sources.retain(|path| path.file_name().is_none_or(|name| name != "golden.rs"));
    for path in sources {
        for literal in literals(&fs::read_to_string(&path).unwrap()) {
            // One word alone is a name: of a setting, a member, a column.
            if literal.trim().contains(' ') {
                look(&path, &literal);
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let stale: Vec<&&str> = allowed.iter().filter(|phrase| !used.contains(**phrase)).collect();
    assert!(stale.is_empty(), "nothing says these any more: {stale:?}");
}

#[test]
fn every_error_that_the_provider_words_ends_with_a_code() {
    let ends = |text: &String| {
        let last = text.rsplit_once(" (").and_then(|(_, last)| last.strip_suffix(')'));
        last.is_some_and(|code| {
            code.chars().all(|c| c.is_ascii_uppercase() || "-0123456789".contains(c))
        })
    };
    let (mut seen, mut bare) = (0, Vec::new());
    for path in files("provider/src", "rs") {
        let source = fs::read_to_string(&path).unwrap();
        let source = source.split("#[cfg(test)]\nmod tests").next().unwrap();
        for begin in ["Diagnostic::error(", ".error_at(", "told.error(", "found.error("] {
            for call in source.split(begin).skip(1) {
                // To the end of the statement: a text may hold brackets.
                let call = call.split("\n\n").next().unwrap();
                let texts = literals(call);
                let Some(first) = texts.iter().position(|text| text.contains(' ')) else {
                    continue;
                };
                seen += 1;
                if !texts[first..].iter().take(2).any(ends) {
                    bare.push(format!("{}: {:?}", path.display(), texts[first]));
                }
            }
        }
    }
    assert!(seen > 40, "{seen}");
    assert!(bare.is_empty(), "{bare:#?}");
}

/// A text without what is code in it: `…`, and HTML's own anchors.
fn plain(text: &str) -> String {
    let text: String = text.split('`').step_by(2).collect::<Vec<_>>().join(" ");
    let text: String = text
        .split('<')
        .map(|part| part.split_once('>').map_or(part, |(_, rest)| rest))
        .collect::<Vec<_>>()
        .join(" ");
    // The setting's path, and the way it is written.
    let text = text.replace("realm.key", "").replace("realm = ", "");
    text.split_whitespace().filter(|word| !word.contains("](")).collect::<Vec<_>>().join(" ")
}

/// The string literals of a Rust file, its unit tests left out.
fn literals(source: &str) -> Vec<String> {
    let source = source.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    let (mut found, mut at) = (Vec::new(), source.chars().peekable());
    let mut before = ' ';
    while let Some(c) = at.next() {
        match c {
            '/' if at.peek() == Some(&'/') => {
                while at.peek().is_some_and(|c| *c != '\n') {
                    at.next();
                }
            }
            // A character, not the beginning of a text: '"' and '\"'.
            '\'' if at.peek() == Some(&'"') => {
                at.next();
            }
            '"' if before != '\\' => {
                let mut text = String::new();
                while let Some(c) = at.next() {
                    match c {
                        '"' => break,
                        '\\' => match at.next() {
                            Some('\n') => {
                                while at.peek().is_some_and(|c| c.is_whitespace()) {
                                    at.next();
                                }
                            }
                            Some(_) => text.push(' '),
                            None => break,
                        },
                        c => text.push(c),
                    }
                }
                found.push(text);
            }
            _ => (),
        }
        before = c;
    }
    found
}

#[test]
fn literals_are_found_as_the_compiler_finds_them() {
    let source = "let a = \"one \\\"two\\\" \\\n   three\"; // \"not this\"\nlet b = '\"'; f(\"four\");\n#[cfg(test)]\nmod tests { \"five\" }";
    let found: Vec<String> = literals(source)
        .iter()
        .map(|one| one.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(found, ["one two three", "four"]);
}

/// All files of a kind below a folder of the repository.
fn files(folder: &str, ext: &str) -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![root().join(folder)]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() {
                if name != "target" && !name.starts_with('.') {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|one| one == ext) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Every text between two backticks.
fn code(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

fn architecture() -> String {
    fs::read_to_string(root().join("docs/architecture.md")).unwrap()
}

#[test]
fn each_invariant_of_the_architecture_names_tests_that_exist() {
    let page = architecture();
    let (_, rest) = page.split_once("## Invariants").unwrap();
    let table = rest.split("\n## ").next().unwrap();
    let all: String =
        files(".", "rs").iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    let mut rows = 0;
    for row in table.lines().filter(|line| line.starts_with("| ")).skip(1) {
        rows += 1;
        let held = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        let tests: Vec<&str> =
            code(held).into_iter().filter(|one| one.contains('_') && !one.contains('.')).collect();
        assert!(!tests.is_empty(), "no test is named: {row}");
        for test in tests {
            let is =
                [format!("fn {test}("), format!("fn {test}<")].iter().any(|one| all.contains(one));
            assert!(is, "there is no {test}: {row}");
        }
    }
    assert!(rows >= 11, "{rows}");
}

#[test]
fn the_walks_of_the_architecture_lead_through_files_that_exist() {
    let page = architecture();
    let (_, rest) = page.split_once("## Walk 1").unwrap();
    let mut steps = 0;
    for word in rest.split_whitespace() {
        let path = word.trim_matches(['`', '.', ',', '(', ')']);
        if path.contains('/') && !path.contains(['<', '[', '*']) && !path.starts_with("http") {
            steps += 1;
            assert!(root().join(path).exists(), "{path}");
        }
    }
    assert!(steps >= 10, "{steps}");
}

/// What stands between this and the next quotation mark, each time, in what is no test.
fn after<'a>(source: &'a str, begin: &str) -> BTreeSet<&'a str> {
    let source = source.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    source.split(begin).skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

#[test]
fn the_guide_on_rotation_tells_every_hold_that_there_is() {
    let read = |path: &str| fs::read_to_string(root().join(path)).unwrap();
    let guide = read("docs/guides/rotation.md");
    let (_, rest) = guide.split_once("| held for |").unwrap();
    let rows = rest.split("\n\n").next().unwrap().lines().filter(|row| row.starts_with("| `"));
    let told: BTreeSet<&str> = rows.clone().map(|row| code(row)[0]).collect();
    let judging = read("crates/policy/src/rotation.rs");
    let mut held = after(&judging, "Step::Hold(\"");
    // What was held already, whatever for.
    assert!(held.remove("held"));
    let deeds = read("crates/operations/src/rotate/mod.rs");
    let occupied = deeds.split("fn occupied_by_others").nth(1).unwrap();
    held.extend(after(occupied, "Some(\""));
    held.extend(after(occupied, "then_some(\""));
    // What a deed alone can see.
    let issuing = read("crates/operations/src/rotate/issue.rs");
    held.extend(after(&issuing, "self.hold(view, \""));
    let proving = read("crates/operations/src/rotate/prove.rs");
    held.extend(after(&proving, "is_open().then(|| \""));
    assert_eq!(told, held, "the guide's holds and the code's");
    let command = read("reconciler/src/commands/recover.rs");
    let (_, words) = command.split_once("fn why_held").unwrap();
    let words = words.split("\n}\n").next().unwrap();
    assert_eq!(after(words, "Some(\""), held, "those that nhi recover has words for");
    let errors = read("crates/operations/src/rotate/hold.rs") + &proving;
    for row in rows {
        let error = code(row)[1];
        assert!(errors.contains(&format!("\"{error}\"")), "{error}: {row}");
    }
}

#[test]
fn links_between_pages_lead_somewhere() {
    let mut wrong = Vec::new();
    for path in files(".", "md") {
        let text = fs::read_to_string(&path).unwrap();
        // What is in a block of code is no link.
        let text: String = text.split("```").step_by(2).collect();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap();
            let elsewhere = target.is_empty() || target.contains("://") || target.contains(' ');
            if !elsewhere && !path.parent().unwrap().join(target).exists() {
                wrong.push(format!("{}: {link}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_readme_names_every_resource_connector_and_command_that_there_is() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let (_, rest) = readme.split_once("## What works today").unwrap();
    let table = rest.split("\n## ").next().unwrap();
    let (today, not_yet) = table.split_once("| not yet |").unwrap();
    let examples = tfplugin::docs::read_files(&root().join("examples")).unwrap();
    for (page, _) in tfplugin::docs::generate(&provider::provider(), &examples) {
        if let Some((kind, name)) = page.split_once('/').filter(|(kind, _)| *kind != "guides") {
            // A function's name has the provider's before it only where it is called.
            let prefix = if kind == "functions" { "" } else { "nhi_" };
            let name = format!("`{prefix}{}`", name.trim_end_matches(".md"));
            assert!(today.contains(&name), "{name}");
        }
    }
    for entry in fs::read_dir(root().join("connectors")).unwrap() {
        let link = format!("](connectors/{})", entry.unwrap().file_name().to_str().unwrap());
        assert!(today.contains(&link), "{link}");
    }
    let row = today.lines().find(|line| line.starts_with("| commands |")).unwrap();
    let mut told: Vec<&str> = code(row).iter().filter_map(|one| one.split(' ').nth(1)).collect();
    told.dedup();
    // A command is a file, or a folder where it has commands of its own.
    let mut are: Vec<String> = fs::read_dir(root().join("reconciler/src/commands"))
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .map(|name| name.replace('_', "-"))
        .filter(|name| name != "mod")
        .collect();
    are.sort();
    told.sort_unstable();
    assert_eq!(told, are, "the commands of the README and of the program");
    assert!(!not_yet.contains("`nhi scan`"));
}

#[test]
fn judging_knows_the_words_and_arithmetic_with_time_and_nothing_that_waits_or_writes() {
    let metadata = cargo_metadata::MetadataCommand::new().no_deps().exec().unwrap();
    let policy = metadata.packages.iter().find(|one| one.name.as_str() == "policy").unwrap();
    let mut known: Vec<&str> = policy
        .dependencies
        .iter()
        .filter(|one| one.kind == cargo_metadata::DependencyKind::Normal)
        .map(|one| one.name.as_str())
        .collect();
    known.sort_unstable();
    assert_eq!(known, ["domain", "jiff", "thiserror"]);
    let banned = ["std::fs", "std::net", "std::process", "std::thread", "std::io", "async fn"];
    for path in files("crates/policy/src", "rs") {
        let text = fs::read_to_string(&path).unwrap();
        for word in banned {
            assert!(!text.contains(word), "{}: {word}", path.display());
        }
    }
}

#[test]
fn no_clock_environment_or_http_client_is_taken_where_it_should_be_handed_in() {
    // Clippy holds the rest: see clippy.toml.
    let mut guarded: Vec<PathBuf> =
        ["crates/domain", "crates/policy", "crates/operations", "crates/ledger", "provider"]
            .iter()
            .map(|folder| root().join(folder).join("src/lib.rs"))
            .collect();
    guarded.push(root().join("reconciler/src/main.rs"));
    for entry in fs::read_dir(root().join("connectors")).unwrap() {
        guarded.push(entry.unwrap().path().join("src/lib.rs"));
    }
    for path in guarded {
        let text = fs::read_to_string(&path).unwrap();
        let says = text.contains("\n#![warn(clippy::disallowed_methods)]\n");
        assert!(says, "{} does not begin with it", path.display());
    }
}
