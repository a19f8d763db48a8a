//! The documentation of the sample, which has one part of every kind, is as it was reviewed.
//!
//! `UPDATE=1 cargo test -p tfplugin --test pages` writes it anew.

use std::path::Path;

use tfplugin::docs::{self, Files};

#[path = "../examples/sample.rs"]
#[allow(dead_code)]
mod sample;

fn pages() -> Files {
    let examples = [
        ("provider/provider.tf", "provider \"sample\" {\n  folder = \"notes\"\n}\n"),
        (
            "resources/sample_note/resource.tf",
            "resource \"sample_note\" \"list\" {\n  name = \"list\"\n  text = \"milk\"\n}\n",
        ),
        (
            "resources/sample_note/import-by-string-id.tf",
            "import {\n  to = sample_note.list\n  id = \"note/list\"\n}\n",
        ),
        (
            "resources/sample_note/import-by-identity.tf",
            "import {\n  to       = sample_note.list\n  identity = { name = \"list\" }\n}\n",
        ),
        ("resources/sample_note/import.sh", "terraform import sample_note.list note/list\n"),
        (
            "data-sources/sample_notes/data-source.tf",
            "data \"sample_notes\" \"shopping\" {\n  prefix = \"shopping-\"\n}\n",
        ),
        (
            "ephemeral-resources/sample_key/ephemeral-resource.tf",
            "ephemeral \"sample_key\" \"list\" {\n  note = \"list\"\n}\n",
        ),
        (
            "list-resources/sample_note/list-resource.tfquery.hcl",
            "list \"sample_note\" \"all\" {\n  provider = sample\n}\n",
        ),
        (
            "actions/sample_write/action.tf",
            "action \"sample_write\" \"hello\" {\n  config {\n    note = \"list\"\n    text = \
             \"hello\"\n  }\n}\n",
        ),
        (
            "functions/join/function.tf",
            "output \"words\" {\n  value = provider::sample::join(\"-\", \"a\", \"b\")\n}\n",
        ),
    ];
    let examples = examples.map(|(path, text)| (path.to_owned(), text.to_owned()));
    docs::generate(&sample::server(), &Files::from(examples))
}

#[test]
fn the_pages_of_every_kind_of_part_are_as_they_were_reviewed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pages");
    let pages = pages();
    if std::env::var_os("UPDATE").is_some() {
        for (path, text) in &pages {
            let file = folder.join(path);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        }
    }
    let there = docs::read_files(&folder).unwrap();
    let stale = docs::stale(&there, &pages);
    assert!(stale.is_empty(), "{stale:?} differ from tests/pages; see UPDATE=1");
    for kind in [
        "resources",
        "data-sources",
        "ephemeral-resources",
        "list-resources",
        "actions",
        "functions",
    ] {
        assert!(pages.keys().any(|path| path.starts_with(kind)), "{kind}");
    }
}
