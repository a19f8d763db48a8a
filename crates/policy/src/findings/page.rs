//! The pages of `docs/findings`, one a rule, with an index.

use std::{collections::BTreeMap, fmt::Write as _};

use super::{Condition, RULES, Rule};

impl Condition {
    /// The exit code of `nhi drift` where this holds and nothing worse does.
    pub fn exit_code(self) -> u8 {
        match self {
            Condition::Note => 0,
            Condition::Drift => 2,
            Condition::Unfinished => 5,
            Condition::Policy => 4,
        }
    }
}

/// Every page by its name in the folder.
pub fn pages() -> BTreeMap<String, String> {
    let mut pages: BTreeMap<String, String> =
        RULES.iter().map(|rule| (format!("{}.md", rule.alias), page(rule))).collect();
    pages.insert("index.md".to_owned(), index());
    pages
}

/// The page of one rule.
fn page(rule: &Rule) -> String {
    let mut text = format!("# `{}`\n\n{}.\n", rule.alias, rule.title);
    for (head, body) in [
        ("What it means", rule.means),
        ("Where it comes from", rule.cause),
        ("What helps", rule.remedy),
    ] {
        let _ = write!(text, "\n## {head}\n\n{body}\n");
    }
    let _ = write!(
        text,
        "\n## In a report\n\n| | |\n|---|---|\n| severity | {}, where nothing makes it worse or better \
         |\n| condition | `{}`: `nhi drift` ends with {} |\n| may be accepted for a while | {} |\n",
        rule.severity.as_str(),
        rule.condition.as_str(),
        rule.condition.exit_code(),
        if rule.waivable { "yes" } else { "no" },
    );
    if !rule.checks.is_empty() {
        let _ = writeln!(text, "| checks | {} |", rule.checks.join(", "));
    }
    if !rule.rows.is_empty() {
        let rows: Vec<String> = rule.rows.iter().map(|row| format!("R{row:03}")).collect();
        let _ = writeln!(text, "| requirements | {} |", rows.join(", "));
    }
    let standards = rule.standards();
    if !standards.is_empty() {
        let _ = writeln!(text, "| gives evidence of | {} |", standards.join(", "));
    }
    text
}

/// The index: every rule in a line.
fn index() -> String {
    let mut text = "# Findings\n\nWhat `nhi drift` may tell, one page a rule. `nhi explain RULE` prints \
                    the same.\n\n| rule | what is wrong | severity | condition |\n|---|---|---|---|\n"
        .to_owned();
    for rule in RULES {
        let _ = writeln!(
            text,
            "| [`{0}`]({0}.md) | {1} | {2} | `{3}` |",
            rule.alias,
            rule.title,
            rule.severity.as_str(),
            rule.condition.as_str()
        );
    }
    text
}
