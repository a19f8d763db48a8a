//! Connector × case: what every connector does, does not claim, and does wrong, in one table.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

use xtask::shell::Result;

/// What became of a case: `held`, `absent` or `BROKEN`, and why.
type Cell = (String, String);
/// The cases of each kind that was tested.
pub(crate) type Tables = BTreeMap<String, Vec<(String, Cell)>>;

/// Where the suites leave their tables: beside whatever was built, `target/conformance`.
pub(crate) fn folder() -> Result<PathBuf> {
    let exe = std::env::current_exe().map_err(|error| format!("this program's place: {error}"))?;
    let target = exe.ancestors().nth(2).ok_or("this program is in no target folder")?;
    Ok(target.join("conformance"))
}

/// Every table there.
pub(crate) fn read(folder: &Path) -> Tables {
    let files = fs::read_dir(folder).into_iter().flatten().filter_map(std::result::Result::ok);
    files
        .filter_map(|file| {
            let path = file.path();
            let name = path.file_stem()?.to_str()?.to_owned();
            Some((name, parse(&fs::read_to_string(path).ok()?)))
        })
        .collect()
}

fn parse(table: &str) -> Vec<(String, Cell)> {
    let line = |line: &str| {
        let (verdict, rest) = line.split_once(' ')?;
        if !matches!(verdict, "held" | "absent" | "BROKEN") {
            return None;
        }
        let (case, why) = rest.trim_start().split_once(": ").unwrap_or((rest.trim(), ""));
        Some((case.to_owned(), (verdict.to_owned(), why.to_owned())))
    };
    table.lines().filter_map(line).collect()
}

/// One line a case, one column a connector's kind, and below why a case is absent or broken.
pub(crate) fn matrix(tables: &Tables) -> String {
    let mut text = String::new();
    let Some(cases) = tables.values().max_by_key(|cases| cases.len()) else { return text };
    let mut order: Vec<&String> = cases.iter().map(|(case, _)| case).collect();
    let known: BTreeSet<&String> = order.iter().copied().collect();
    let others = tables.values().flatten().map(|(case, _)| case);
    order.extend(others.filter(|case| !known.contains(case)).collect::<BTreeSet<_>>());
    let wide = order.iter().map(|case| case.len()).max().unwrap_or_default();
    let _ = write!(text, "\nWhat every connector does:\n\n{:wide$}", "");
    for name in tables.keys() {
        let _ = write!(text, "  {name}");
    }
    text.push('\n');
    let cell = |cases: &[(String, Cell)], case: &String| {
        cases.iter().find(|(name, _)| name == case).map(|(_, cell)| cell.clone())
    };
    for case in &order {
        let _ = write!(text, "{case:wide$}");
        for (name, cases) in tables {
            let verdict = cell(cases, case).map_or("-".to_owned(), |(verdict, _)| verdict);
            let _ = write!(text, "  {verdict:column$}", column = name.len());
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    text.push('\n');
    for case in &order {
        for (name, cases) in tables {
            if let Some((verdict, why)) = cell(cases, case).filter(|(verdict, _)| verdict != "held")
            {
                let _ = writeln!(text, "{name}: {case} is {verdict}: {why}");
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_matrix_has_every_case_of_every_connector_and_says_why_one_is_not_held() {
        let tables = Tables::from([
            (
                "acme_app".to_owned(),
                parse(
                    "# acme acme_app\n\nlists: true\n\nheld    it_lives\nabsent  it_flies: it has no wings: none\n",
                ),
            ),
            (
                "acme_bot".to_owned(),
                parse("held    it_lives\nBROKEN  it_flies: it fell\nheld    it_swims\n"),
            ),
        ]);
        let expected = "
What every connector does:

          acme_app  acme_bot
it_lives  held      held
it_flies  absent    BROKEN
it_swims  -         held

acme_app: it_flies is absent: it has no wings: none
acme_bot: it_flies is BROKEN: it fell
";
        assert_eq!(matrix(&tables), expected);
    }
}
