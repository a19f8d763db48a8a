//! What became of each case, and what the connector committed itself to.

use std::{fmt, fmt::Write, fs, path::Path};

use super::Fixture;

/// What became of a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The connector does as it must.
    Held,
    /// It does not claim this.
    Absent(String),
    /// It does not.
    Broken(String),
}

/// A run of the suite.
#[derive(Debug)]
pub struct Report {
    head: String,
    rows: Vec<(&'static str, Verdict)>,
}

impl Report {
    /// What the connection claims, which may be less than its platform does.
    pub(super) async fn new(fixture: &dyn Fixture) -> Report {
        let platform = fixture.platform();
        let mut head = format!("# {} {}\n\n", platform.name(), fixture.kind());
        if let Some(kind) = platform.kinds().iter().find(|kind| kind.name == fixture.kind()) {
            let connector = fixture.connect(&|transport| transport).await;
            match connector.capabilities(kind).await {
                Ok(can) => {
                    let can = format!("{can:#?}");
                    for line in can.lines().filter(|line| line.starts_with(' ')) {
                        head.push_str(line.trim().trim_end_matches(','));
                        head.push('\n');
                    }
                }
                Err(error) => {
                    let _ = writeln!(head, "BROKEN: {error}");
                }
            }
            for one in kind.credential_types {
                let ways = connector.promises(one.name).await.unwrap_or_default();
                let ways: Vec<&str> = ways.iter().map(|way| way.profile.name).collect();
                let _ = writeln!(head, "{}: {}", one.name, ways.join(" > "));
            }
        }
        Report { head, rows: Vec::new() }
    }

    pub(super) fn add(&mut self, case: &'static str, verdict: Verdict) {
        self.rows.push((case, verdict));
    }

    /// What became of each case.
    pub fn rows(&self) -> &[(&'static str, Verdict)] {
        &self.rows
    }

    /// Leaves the table in `conformance` in the target folder, where `cargo xtask test` gathers all of
    /// them, and compares it with the committed one. With `NHI_ACCEPT` set, a table without broken
    /// cases is written there instead.
    ///
    /// # Panics
    ///
    /// When a case is broken, or the table is another than the committed one.
    pub fn hold(&self, committed: &Path) {
        let table = self.to_string();
        leave(committed, &table);
        let broken: Vec<_> =
            self.rows.iter().filter(|(_, verdict)| matches!(verdict, Verdict::Broken(_))).collect();
        assert!(broken.is_empty(), "{broken:#?}");
        if std::env::var_os("NHI_ACCEPT").is_some() {
            fs::write(committed, &table)
                .unwrap_or_else(|error| panic!("{}: {error}", committed.display()));
        }
        let known = fs::read_to_string(committed).unwrap_or_default();
        assert_eq!(
            known,
            table,
            "{} does not say what was found: see what changed, then run once with NHI_ACCEPT=1",
            committed.display()
        );
    }
}

/// Writes a table where programs of this build find it: `target/<profile>/deps/<test>` is what runs.
fn leave(committed: &Path, table: &str) {
    let exe = std::env::current_exe().unwrap_or_default();
    let Some(target) = exe.ancestors().nth(3) else { return };
    let kind = table.lines().next().and_then(|head| head.rsplit(' ').next()).unwrap_or_default();
    let stem = committed.file_stem().unwrap_or_default().to_string_lossy();
    let variant = stem.strip_prefix("conformance").unwrap_or_default();
    let folder = target.join("conformance");
    let left = fs::create_dir_all(&folder)
        .and_then(|()| fs::write(folder.join(format!("{kind}{variant}.txt")), table));
    left.unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.head)?;
        for (case, verdict) in &self.rows {
            match verdict {
                Verdict::Held => writeln!(f, "held    {case}")?,
                Verdict::Absent(why) => writeln!(f, "absent  {case}: {why}")?,
                Verdict::Broken(how) => writeln!(f, "BROKEN  {case}: {how}")?,
            }
        }
        Ok(())
    }
}
