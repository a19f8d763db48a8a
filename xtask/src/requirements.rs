//! The table of requirements, and which of what it names was shown by the tests that ran.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, fs,
    path::{Path, PathBuf},
};

/// A row: its number, what it asks, and its answers, each with its kind.
pub type Row<'a> = (u16, &'a str, Vec<(&'a str, &'a str)>);

/// The test that looks at every rule, and its file.
const RULES: &str = "crates/policy/src/findings/mod.rs";
const JUDGED: &str = "every_rule_is_told_by_a_judgment_and_no_judgment_tells_another";

/// One answer: its kind, and what it names.
///
/// # Panics
///
/// It is none: the table has a slip.
pub fn answer(text: &str) -> (&str, &str) {
    let kinds = ["finding ", "schema ", "test ", "later: ", "evidence slot: "];
    let kind = kinds.iter().find(|kind| text.starts_with(**kind));
    let kind = kind.unwrap_or_else(|| panic!("no answer: {text:?}"));
    (kind.trim_end_matches([' ', ':']), text[kind.len()..].trim_matches('`'))
}

/// Every row: its number, what it asks, and its answers.
///
/// # Panics
///
/// A row has a slip.
pub fn rows(page: &str) -> Vec<Row<'_>> {
    let lines = page.lines().filter_map(|line| line.strip_prefix("| R"));
    lines
        .map(|line| {
            let cells: Vec<&str> = line.trim_end_matches(" |").split(" | ").collect();
            let [number, asked, answers] = cells[..] else { panic!("three cells: {line}") };
            (number.parse().unwrap(), asked, answers.split("; ").map(answer).collect())
        })
        .collect()
}

/// The tests that passed in a run: each by its package's folder in the repository and its own name.
#[derive(Debug, Default)]
pub struct Passed(BTreeSet<(PathBuf, String)>);

impl Passed {
    /// Takes a line of a test program, if it tells that one passed. `folder`: the package's, in the
    /// repository.
    pub fn take(&mut self, folder: &Path, line: &str) {
        let passed = line.strip_prefix("test ").and_then(|line| line.strip_suffix(" ... ok"));
        if let Some(name) = passed {
            let name = name.split(" - ").next().unwrap_or(name);
            let own = name.rsplit("::").next().unwrap_or(name);
            self.0.insert((folder.to_owned(), own.to_owned()));
        }
    }

    /// Adds what another run of programs told.
    pub fn add(&mut self, other: Passed) {
        self.0.extend(other.0);
    }

    /// Whether a test of this name passed in the package that has the file.
    fn has(&self, file: &str, test: &str) -> bool {
        let above = Path::new(file).ancestors();
        above.into_iter().any(|folder| self.0.contains(&(folder.to_owned(), test.to_owned())))
    }
}

/// What of the table was shown in a run.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Shown {
    rows: usize,
    /// Rows of which something was shown by a test that ran.
    by_tests: usize,
    tests: usize,
    rules: usize,
    /// Rules that no story which passed names.
    untold: Vec<String>,
    evidence: usize,
    later: usize,
    /// Tests that the table names and that are of the second ring.
    second: Vec<String>,
    /// What did not run, or did not pass.
    pub missing: Vec<String>,
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "requirements: {} rows; of {} something was shown by tests that passed in this run: {} tests \
             that the table names, and {} rules of findings, {} of them named by stories on real servers; {} \
             take evidence alone, {} come later",
            self.rows,
            self.by_tests,
            self.tests,
            self.rules,
            self.rules - self.untold.len(),
            self.evidence,
            self.later
        )?;
        if !self.untold.is_empty() {
            write!(f, "; judged by tests, and named by no story: {}", self.untold.join(", "))?;
        }
        if !self.second.is_empty() {
            write!(f, "; of the second ring, and not run: {}", self.second.join(", "))?;
        }
        Ok(())
    }
}

/// The tests in a source: the name, whether it is of the second ring, and its text.
fn tests_in(source: &str) -> Vec<(&str, bool, &str)> {
    let mut all = Vec::new();
    let mut starts: Vec<usize> = source
        .match_indices("test]\n")
        .chain(source.match_indices("test(")) // `#[tokio::test(flavor = …)]`
        .filter(|(at, _)| {
            source[..*at]
                .rsplit('\n')
                .next()
                .is_some_and(|line| line.trim_start().starts_with("#["))
        })
        .map(|(at, _)| at)
        .collect();
    starts.sort_unstable();
    for (nth, at) in starts.iter().enumerate() {
        let end = starts.get(nth + 1).copied().unwrap_or(source.len());
        let text = &source[*at..end];
        let Some((head, rest)) = text.split_once("fn ") else { continue };
        let name = rest.split(['(', '<']).next().unwrap_or_default();
        all.push((name, head.contains("#[ignore"), text));
    }
    all
}

/// Files of tests below a folder, by their paths in the repository.
fn sources(root: &Path, folder: &str, found: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(root.join(folder)).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let path = format!("{folder}/{}", name.to_string_lossy());
        if entry.path().is_dir() {
            sources(root, &path, found);
        } else if path.ends_with(".rs")
            && let Ok(text) = fs::read_to_string(entry.path())
        {
            found.insert(path, text);
        }
    }
}

/// Holds the table against what passed.
///
/// # Errors
///
/// The table cannot be read.
pub fn shown(root: &Path, passed: &Passed) -> Result<Shown, String> {
    let place = root.join("docs/requirements.md");
    let page =
        fs::read_to_string(&place).map_err(|error| format!("{}: {error}", place.display()))?;
    let (mut stories, mut others) = (BTreeMap::new(), BTreeMap::new());
    sources(root, "acceptance-tests/tests/it", &mut stories);
    for folder in
        ["provider/tests", "crates/operations/tests", "crates/policy/src", "reconciler/src"]
    {
        sources(root, folder, &mut others);
    }
    Ok(held(&rows(&page), passed, &stories, &others))
}

fn held(
    rows: &[Row<'_>],
    passed: &Passed,
    stories: &BTreeMap<String, String>,
    others: &BTreeMap<String, String>,
) -> Shown {
    let mut shown = Shown { rows: rows.len(), ..Shown::default() };
    // Where a rule is spelled as reports do, or as a plan's verdicts: in a test that passed, or in what the
    // tests of a file share where one of them did.
    let tells = |rule: &str| {
        let words = [rule.to_owned(), format!("\"{}\"", rule.replace('-', "_"))];
        let spells = |text: &str| words.iter().any(|word| text.contains(word));
        stories.iter().filter(|(_, text)| spells(text)).any(|(file, text)| {
            let tests = tests_in(text);
            let within = tests.iter().any(|(_, _, body)| spells(body));
            let mut passed = tests.iter().filter(|(test, ..)| passed.has(file, test));
            passed.any(|(_, _, body)| !within || spells(body))
        })
    };
    let mut rules: BTreeMap<&str, bool> = BTreeMap::new();
    // Every rule is told by a judgment: one test looks at all of them.
    let judged = passed.has(RULES, JUDGED);
    if !judged {
        shown.missing.push(format!("{RULES}::{JUDGED} did not pass in this run"));
    }
    let (mut tests, mut second) = (BTreeSet::new(), BTreeSet::new());
    for (number, _, answers) in rows {
        let mut by_tests = false;
        for (kind, named) in answers {
            match *kind {
                "test" => {
                    let (file, test) = named.split_once("::").unwrap_or((named, ""));
                    let is_second = || {
                        let source = stories.get(file).or(others.get(file));
                        source.is_some_and(|text| {
                            tests_in(text).iter().any(|(name, late, _)| *name == test && *late)
                        })
                    };
                    if passed.has(file, test) {
                        by_tests = true;
                        tests.insert(*named);
                    } else if is_second() {
                        second.insert((*named).to_owned());
                    } else {
                        shown
                            .missing
                            .push(format!("R{number:03}: {named} did not pass in this run"));
                    }
                }
                "finding" => {
                    rules.entry(named).or_insert_with(|| tells(named));
                    by_tests |= judged;
                }
                _ => {}
            }
        }
        let is = |word: &str| answers.iter().all(|(kind, _)| *kind == word);
        shown.by_tests += usize::from(by_tests);
        shown.evidence += usize::from(is("evidence slot"));
        shown.later += usize::from(is("later"));
    }
    shown.tests = tests.len();
    shown.rules = rules.len();
    shown.untold =
        rules.iter().filter(|(_, told)| !**told).map(|(rule, _)| (*rule).to_owned()).collect();
    shown.second = second.into_iter().collect();
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "\
| R001 | It holds whatever comes. | test `a/tests/x.rs::it_holds` |
| R002 | It is told when it is late. | finding `overdue` |
| R003 | It comes later than that. | later: evidence |
| R004 | It is large and slow to show. | test `a/tests/x.rs::it_is_slow` |
";

    fn story() -> BTreeMap<String, String> {
        let text = "#[test]\nfn it_holds() { drift(\"overdue\") }\n\n#[test]\n\
                    #[ignore = \"second ring\"]\nfn it_is_slow() {}\n\n#[tokio::test(flavor = \"x\")]\nasync fn else_() {}\n";
        BTreeMap::from([("a/tests/x.rs".to_owned(), text.to_owned())])
    }

    #[test]
    fn what_passed_shows_its_rows_and_the_second_ring_is_named() {
        let mut passed = Passed::default();
        passed.take(Path::new("a"), "test x::it_holds ... ok");
        passed.take(Path::new("crates/policy"), &format!("test findings::tests::{JUDGED} ... ok"));
        let shown = held(&rows(PAGE), &passed, &story(), &BTreeMap::new());
        assert_eq!(shown.missing, [""; 0]);
        assert_eq!(
            (shown.rows, shown.by_tests, shown.tests, shown.rules, shown.later),
            (4, 2, 1, 1, 1)
        );
        assert_eq!(shown.second, ["a/tests/x.rs::it_is_slow"]);
        assert!(shown.to_string().contains("4 rows"), "{shown}");
    }

    #[test]
    fn what_did_not_run_shows_nothing() {
        let mut passed = Passed::default();
        for line in
            ["test x::it_holds ... FAILED", "test x::it_holds ... ignored", "running 1 test"]
        {
            passed.take(Path::new("a"), line);
        }
        // Another package's test of that name is another one.
        passed.take(Path::new("b"), "test x::it_holds ... ok");
        let shown = held(&rows(PAGE), &passed, &story(), &BTreeMap::new());
        assert_eq!(shown.missing.len(), 2, "{shown:?}");
        assert_eq!((shown.by_tests, shown.untold.len()), (0, 1), "{shown:?}");
    }

    #[test]
    fn tests_of_a_source_are_told_apart() {
        let story = story();
        let names: Vec<_> =
            tests_in(&story["a/tests/x.rs"]).iter().map(|one| (one.0, one.1)).collect();
        assert_eq!(names, [("it_holds", false), ("it_is_slow", true), ("else_", false)]);
    }
}
