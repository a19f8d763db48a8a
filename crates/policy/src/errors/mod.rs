//! Errors by their code: what each means and what helps, in one list, from which their pages come.
//!
//! What an error says of the case at hand stands in the error. Here is what holds of all that bear its
//! code, for whoever meets it in a log a week later.

use std::{collections::BTreeMap, fmt::Write as _};

/// One code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code {
    /// The code, such as `E-TENANT`.
    pub code: &'static str,
    /// What is wrong, in one line.
    pub title: &'static str,
    /// What it means.
    pub means: &'static str,
    /// What helps.
    pub remedy: &'static str,
}

/// The list: three lines a code, with an empty one between two.
const LIST: &str = include_str!("codes.txt");

/// Every code, in order.
pub fn codes() -> impl Iterator<Item = Code> {
    LIST.split("\n\n").filter_map(|block| {
        let mut lines = block.trim().lines();
        let (code, title) = lines.next()?.split_once(' ')?;
        Some(Code { code, title, means: lines.next()?, remedy: lines.next()? })
    })
}

/// The code of this name, in any spelling of its letters, with or without its `E-`.
pub fn code(word: &str) -> Option<Code> {
    let word = word.to_ascii_uppercase();
    codes().find(|one| one.code == word || one.code.strip_prefix("E-") == Some(&word))
}

/// The pages of `docs/errors`, by their names in the folder.
pub fn pages() -> BTreeMap<String, String> {
    let mut index =
        "# Errors\n\nEvery error ends with a code. `nhi explain CODE` prints the same as its \
                     page.\n\n| code | what is wrong |\n|---|---|\n"
            .to_owned();
    let mut pages = BTreeMap::new();
    for Code { code, title, means, remedy } in codes() {
        let _ = writeln!(index, "| [`{code}`]({code}.md) | {title} |");
        let page = format!(
            "# `{code}`\n\n{title}.\n\n## What it means\n\n{means}\n\n## What helps\n\n{remedy}\n"
        );
        pages.insert(format!("{code}.md"), page);
    }
    pages.insert("index.md".to_owned(), index);
    pages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_three_lines_and_they_are_in_order() {
        let blocks = LIST.trim().split("\n\n").count();
        let all: Vec<Code> = codes().collect();
        assert_eq!(all.len(), blocks);
        assert!(LIST.trim().split("\n\n").all(|block| block.lines().count() == 3));
        assert!(all.is_sorted_by(|a, b| a.code < b.code));
        for one in all {
            let letters = |c: char| c.is_ascii_uppercase() || c == '-';
            assert!(one.code.starts_with("E-") && one.code.chars().all(letters), "{}", one.code);
            assert!(!one.title.ends_with('.') && one.title.len() > 6, "{}", one.code);
            assert!(
                one.means.ends_with(['.', '`']) && one.remedy.ends_with(['.', '`']),
                "{}",
                one.code
            );
        }
    }

    #[test]
    fn a_code_is_found_however_it_is_spelled() {
        for word in ["E-TENANT", "e-tenant", "tenant"] {
            assert_eq!(code(word).map(|one| one.code), Some("E-TENANT"), "{word}");
        }
        assert_eq!(code("E-NOTHING-AT-ALL"), None);
    }
}
