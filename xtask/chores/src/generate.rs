//! `cargo xtask generate`: the Registry's pages, from schemas and examples, and those of findings and
//! errors.

use std::{collections::BTreeMap, fs};

use clap::Args;
use tfplugin::docs;

use xtask::shell::{Result, root};

/// Write the Registry's pages under docs/ from the schemas and examples/, and a page for each rule
/// and each error.
#[derive(Debug, Args)]
pub(crate) struct Generate {}

impl Generate {
    pub(crate) fn run(self) -> Result<()> {
        let examples =
            docs::read_files(&root().join("examples")).map_err(|error| error.to_string())?;
        let pages = docs::generate(&provider::provider(), &examples);
        for (path, text) in &pages {
            let file = root().join("docs").join(path);
            if let Some(folder) = file.parent() {
                fs::create_dir_all(folder).map_err(|error| error.to_string())?;
            }
            fs::write(&file, text).map_err(|error| format!("{}: {error}", file.display()))?;
        }
        // What is left over is of parts that no longer exist.
        let there = docs::read_files(&root().join("docs")).map_err(|error| error.to_string())?;
        for path in docs::stale(&there, &pages) {
            let file = root().join("docs").join(path);
            fs::remove_file(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        }
        let (rules, errors) = (policy::findings::pages(), policy::errors::pages());
        written("docs/findings", &rules)?;
        written("docs/errors", &errors)?;
        println!("{} pages written.", pages.len() + rules.len() + errors.len());
        Ok(())
    }
}

/// Writes the pages of a folder, and takes out what is left over there.
fn written(folder: &str, pages: &BTreeMap<String, String>) -> Result<()> {
    let folder = root().join(folder);
    fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    for left in fs::read_dir(&folder).map_err(|error| error.to_string())?.flatten() {
        if !pages.contains_key(left.file_name().to_string_lossy().as_ref()) {
            fs::remove_file(left.path()).map_err(|error| error.to_string())?;
        }
    }
    for (name, text) in pages {
        fs::write(folder.join(name), text).map_err(|error| format!("{name}: {error}"))?;
    }
    Ok(())
}
