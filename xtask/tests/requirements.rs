//! The table of requirements is true: each row leads to something that exists, and the totals are its
//! own.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
};

/// What is not built yet and will answer rows.
const LATER: [&str; 6] = [
    "a reconciler that runs by itself",
    "change review",
    "evidence",
    "further platforms",
    "reach",
    "signals from outside",
];

fn read(path: &str) -> String {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every row: its number, and its answers.
fn rows(page: &str) -> Vec<(u16, Vec<(&str, &str)>)> {
    let rows = xtask::requirements::rows(page);
    for (number, asked, _) in &rows {
        assert!(asked.len() > 10 && asked.ends_with('.'), "R{number:03}: {asked}");
    }
    rows.into_iter().map(|(number, _, answers)| (number, answers)).collect()
}

/// Whether the page of a resource or data source has this member, by its dotted path.
fn has_member(path: &str) -> bool {
    let (page, members) = path.split_once('.').unwrap();
    let page = page.strip_prefix("nhi_").unwrap();
    let folder = if page.ends_with('s') { "data-sources" } else { "resources" };
    let text = read(&format!("docs/{folder}/{page}.md"));
    let (above, member) = members.rsplit_once('.').unwrap_or(("", members));
    let section = match above {
        "" => text.split("### Nested Schema").next(),
        above => text
            .split(&format!("### Nested Schema for `{above}`\n"))
            .nth(1)
            .and_then(|rest| rest.split("\n<a id").next()),
    };
    section.is_some_and(|section| section.contains(&format!("\n- `{member}` (")))
}

#[test]
fn every_requirement_is_answered_by_something_that_exists() {
    let page = read("docs/requirements.md");
    let rows = rows(&page);
    let numbers: BTreeSet<u16> = rows.iter().map(|(number, _)| *number).collect();
    assert_eq!((rows.len(), numbers.len()), (204, 204), "each row once");
    assert!(rows.is_sorted_by_key(|(number, _)| *number));
    let mut wrong = Vec::new();
    let mut sources: BTreeMap<&str, String> = BTreeMap::new();
    for (number, answers) in &rows {
        assert!(!answers.is_empty(), "R{number:03}");
        for (kind, named) in answers {
            let is = match *kind {
                "finding" => policy::findings::RULES.iter().any(|rule| rule.alias == *named),
                "schema" => has_member(named),
                "test" => {
                    let (file, test) = named.split_once("::").unwrap();
                    let source = sources.entry(file).or_insert_with(|| read(file));
                    let at = source.find(&format!("fn {test}("));
                    at.is_some_and(|at| {
                        let before = source[..at].lines().rev().take(4).collect::<String>();
                        ["test]", "test("].iter().any(|mark| before.contains(mark))
                    })
                }
                "later" => LATER.contains(named),
                _ => named.len() > 20,
            };
            if !is {
                wrong.push(format!("R{number:03}: {kind} {named}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_rule_and_the_table_name_the_same_rows() {
    let page = read("docs/requirements.md");
    let rows = rows(&page);
    for rule in policy::findings::RULES {
        let by_table: Vec<u16> = rows
            .iter()
            .filter(|(_, answers)| answers.contains(&("finding", rule.alias)))
            .map(|(number, _)| *number)
            .collect();
        assert_eq!(by_table, rule.rows, "{}", rule.alias);
    }
}

#[test]
fn the_totals_are_those_of_the_table() {
    let page = read("docs/requirements.md");
    let (mut today, mut part, mut later, mut evidence) = (0, 0, 0, 0);
    for (_, answers) in rows(&page) {
        let has = |kinds: &[&str]| answers.iter().any(|(kind, _)| kinds.contains(kind));
        match has(&["finding", "schema", "test"]) {
            true => {
                today += 1;
                part += usize::from(has(&["later", "evidence slot"]));
            }
            false if has(&["later"]) => later += 1,
            false => evidence += 1,
        }
    }
    let all = today + later + evidence;
    let said = format!(
        "Of {all} rows {today} are answered today, {part} of them in part; {later} come later; {evidence} \
         take evidence alone."
    );
    println!("{said}");
    assert!(page.contains(&said), "{said}");
}
