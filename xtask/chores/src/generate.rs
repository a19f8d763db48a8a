//! `cargo xtask generate`: the Registry's pages, from schemas and examples, and those of findings.

use std::fs;

use clap::Args;
use tfplugin::docs;

use xtask::shell::{Result, root};

/// Write the Registry's pages under docs/ from the schemas and examples/, and a page for each rule.
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
        let rules = policy::findings::pages();
        let folder = root().join("docs/findings");
        fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
        for left in fs::read_dir(&folder).map_err(|error| error.to_string())?.flatten() {
            if !rules.contains_key(left.file_name().to_string_lossy().as_ref()) {
                fs::remove_file(left.path()).map_err(|error| error.to_string())?;
            }
        }
        for (name, text) in &rules {
            fs::write(folder.join(name), text).map_err(|error| format!("{name}: {error}"))?;
        }
        println!("{} pages written.", pages.len() + rules.len());
        Ok(())
    }
}
