//! For GitHub Actions: workflow commands that become annotations. The job's summary is the form for
//! pull requests.

use super::{Condition, Report, Severity, line, one_line, rules, spelled};
use crate::exit::Exit;

/// So many of each kind GitHub shows of a step.
const SHOWN: usize = 10;

pub(super) fn render(report: &Report, exit: Exit) -> String {
    let mut found: Vec<_> = report.found.iter().filter(|one| one.accepted.is_none()).collect();
    found.sort_by_key(|one| std::cmp::Reverse(one.finding.severity));
    let mut all: Vec<(&str, String, String)> = Vec::new();
    for one in found {
        let (counts, one) = (report.counts(one), &one.finding);
        let kind = match one.condition {
            Condition::Note => "notice",
            _ if counts && one.severity >= Severity::Medium => "error",
            _ => "warning",
        };
        let title = format!("{}: {}", one.severity.as_str(), rules::about(one.rule).title);
        let why = if one.why.is_empty() { rules::about(one.rule).help } else { &one.why };
        all.push((kind, title, format!("{}: {}. {why}", one.subject, line(one))));
    }
    for (id, problem) in &report.failed {
        all.push(("warning", "not read".into(), format!("{id}: {}", one_line(problem))));
    }
    let mut out = Vec::new();
    for kind in ["error", "warning", "notice"] {
        let mine: Vec<_> = all.iter().filter(|(one, ..)| *one == kind).collect();
        // The last place is for how many there are besides.
        let shown = if mine.len() > SHOWN { SHOWN - 1 } else { mine.len() };
        for (_, title, text) in &mine[..shown] {
            out.push(command(kind, &report.location, title, text));
        }
        if shown < mine.len() {
            let text = format!("and {} more: the summary has them", mine.len() - shown);
            out.push(command(kind, &report.location, "nhi drift", &text));
        }
    }
    out.push(format!("{}{}", report.verdict(exit), spelled(&report.coverage())));
    out.push(format!("Holds: {} (exit {}).", report.holds(), exit.code()));
    out.join("\n")
}

fn command(kind: &str, file: &str, title: &str, text: &str) -> String {
    let (file, title) = (property(file), property(title));
    format!("::{kind} file={file},line=1,title={title}::{}", data(text))
}

/// What stands behind a command: one line, in which nothing begins another.
fn data(text: &str) -> String {
    spelled(text).replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
