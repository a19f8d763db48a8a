//! For a comment on a pull request: what counts first, the rest folded, never too long.
//!
//! Values come from platforms, and platforms from anybody: in them nothing is markup, mentions
//! nobody and links nowhere.

use super::{Found, Report, accepted_words, line, one_line, rules, spelled};
use crate::exit::Exit;

/// What a later run finds its own comment by.
pub(super) const MARK: &str = "<!-- nhi:drift -->";

/// The longest text that GitHub takes, in bytes, which are never fewer than characters.
pub(crate) const LONGEST: usize = 65_536;

/// So much is kept free for what follows the last row.
const ROOM: usize = 1_500;

/// So many rows stand open.
const OPEN: usize = 25;

/// The longest value that is shown whole.
const VALUE: usize = 240;

pub(super) fn render(report: &Report, exit: Exit) -> String {
    let mut text = Text { text: String::new(), left_out: 0, folded: false };
    text.text.push_str(MARK);
    text.text.push_str(&format!(
        "\n### nhi drift: {}\n\n{}\n\nHolds: {} (exit {}).\n",
        report.verdict(exit),
        words(&format!("{}{}", report.verdict(exit), report.coverage())),
        report.holds(),
        exit.code(),
    ));
    let mut counting: Vec<&Found> = report.found.iter().filter(|one| report.counts(one)).collect();
    counting.sort_by_key(|one| std::cmp::Reverse(one.finding.severity));
    let accepted: Vec<&Found> = report.found.iter().filter(|one| one.accepted.is_some()).collect();
    let noted = report.found.iter().filter(|one| !report.counts(one) && one.accepted.is_none());
    let noted: Vec<&Found> = noted.collect();
    let (open, more) = counting.split_at(counting.len().min(OPEN));
    text.table(report, None, open);
    text.table(report, Some(format!("{} more that count", more.len())), more);
    if !report.failed.is_empty() {
        let head = format!("\n<details><summary>{} not read</summary>\n\n", report.failed.len());
        text.folded = text.push(&head);
        for (id, problem) in &report.failed {
            text.push(&format!("- {}: {}\n", code(id), words(&one_line(problem))));
        }
        text.close();
    }
    text.table(report, Some(format!("{} accepted", accepted.len())), &accepted);
    text.table(report, Some(format!("{} that do not count", noted.len())), &noted);
    let mut text_of = text.text;
    if text.left_out > 0 {
        text_of.push_str(&format!(
            "\n{} lines did not fit here: the other reports have them all.\n",
            text.left_out
        ));
    }
    text_of.truncate(text_of.trim_end().len());
    text_of
}

struct Text {
    text: String,
    /// How many lines did not fit.
    left_out: usize,
    /// Something is to be closed.
    folded: bool,
}

impl Text {
    /// Adds what fits; whether it did.
    fn push(&mut self, part: &str) -> bool {
        let fits = self.text.len() + part.len() + ROOM <= LONGEST;
        match fits {
            true => self.text.push_str(part),
            false => self.left_out += 1,
        }
        fits
    }

    fn close(&mut self) {
        if std::mem::take(&mut self.folded) {
            self.text.push_str("\n</details>\n");
        }
    }

    fn table(&mut self, report: &Report, summary: Option<String>, rows: &[&Found]) {
        if rows.is_empty() {
            return;
        }
        if self.text.len() + 2 * ROOM > LONGEST {
            self.left_out += rows.len();
            return;
        }
        if let Some(summary) = summary {
            self.text.push_str(&format!("\n<details><summary>{summary}</summary>\n"));
            self.folded = true;
        }
        self.text
            .push_str("\n| severity | object | difference | what it means |\n|---|---|---|---|\n");
        for found in rows {
            let one = &found.finding;
            let why = if one.why.is_empty() { rules::about(one.rule).help } else { &one.why };
            let accepted = report.acceptance(found).map(accepted_words);
            let accepted = accepted.map(|text| format!("<br>{}", words(&text)));
            self.push(&format!(
                "| {} | {} | {} | {}{} |\n",
                one.severity.as_str(),
                code(&one.subject),
                code(&line(one)),
                words(why),
                accepted.unwrap_or_default(),
            ));
        }
        self.close();
    }
}

/// A value as it is: within this nobody is mentioned and nothing linked.
pub(crate) fn code(value: &str) -> String {
    format!("<code>{}</code>", escaped(&clipped(value), false))
}

/// Words among which a value may stand.
pub(crate) fn words(text: &str) -> String {
    escaped(&clipped(text), true)
}

fn clipped(text: &str) -> String {
    let text = spelled(text);
    match text.char_indices().nth(VALUE) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

/// Every character that could be markup by its number; and where text becomes a mention or a link,
/// something that is not seen and breaks it: among words a character, and in a value that somebody may
/// copy a comment, which leaves it as it is. `<code>` alone keeps no text from becoming a link.
fn escaped(text: &str, in_words: bool) -> String {
    let mut out = String::with_capacity(text.len());
    let mut before = ' ';
    let breaks = if in_words { "&#8203;" } else { "<!-- -->" };
    for one in text.chars() {
        match one {
            '&' | '<' | '>' | '"' | '\'' | '|' | '`' | '*' | '_' | '[' | ']' | '\\' | '~' | '$' => {
                out.push_str(&format!("&#{};", u32::from(one)));
            }
            '@' | '#' => out.push_str(&format!("&#{};{breaks}", u32::from(one))),
            // A link begins with a scheme, or with www.
            '/' if before == ':' => out.push_str(&format!("{breaks}/")),
            '.' if matches!(before, 'w' | 'W') => out.push_str(&format!("{breaks}.")),
            one => out.push(one),
        }
        before = one;
    }
    out
}
