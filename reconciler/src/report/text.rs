//! For people, at 80 columns: what shares a cause stands together.

use super::{Condition, Found, Group, Report, Verdict, accepted_words, line, one_line, spelled};
use crate::{
    exit::Exit,
    output::{BOLD, DIM, GREEN, RED, YELLOW, styled},
};

/// How wide a line may be. What cannot be broken, such as an id, stands as it is.
pub(crate) const WIDTH: usize = 80;

/// From so many objects on, what they have in common is said once.
const ONE_CAUSE: usize = 3;

/// So many of them are named.
const NAMED: usize = 20;

/// What goes to standard output, no wider than this where it is. What was not read goes to standard
/// error, as warnings.
pub(crate) fn lines(report: &Report, exit: Exit, width: Option<usize>) -> Vec<String> {
    let mut all = Vec::new();
    let mut groups = report.groups();
    let (shared, single): (Vec<_>, Vec<_>) =
        groups.drain(..).partition(|group| group.all.len() >= ONE_CAUSE);
    for group in &shared {
        all.extend(of_group(report, group, width));
    }
    let mut rest: Vec<&Found> = single.iter().flat_map(|group| group.all.clone()).collect();
    let place = |one: &Found| report.found.iter().position(|other| std::ptr::eq(one, other));
    rest.sort_by_cached_key(|one| place(one));
    let mut last = "";
    for found in rest {
        let subject = found.finding.subject.as_str();
        if subject != last {
            all.push(styled(BOLD, &spelled(subject)));
            last = subject;
        }
        all.extend(difference(report, found, &found.finding.why, width));
    }
    let style = match exit {
        Exit::Clean if !report.is_partial() => GREEN,
        Exit::Clean | Exit::Failed | Exit::Partial => YELLOW,
        _ => RED,
    };
    let sum = format!("{}{}", report.verdict(exit), spelled(&report.coverage()));
    let verdict = report.verdict(exit);
    for (at, line) in wrapped(&sum, 0, width).into_iter().enumerate() {
        all.push(match line.strip_prefix(&verdict) {
            Some(rest) if at == 0 => format!("{}{rest}", styled(style, &verdict)),
            _ => line,
        });
    }
    for one in report.acceptances.iter().filter(|one| one.over || one.findings == 0) {
        let words = match (one.over, one.findings) {
            (true, 0) => "is over, and there is nothing of it any more: remove it",
            (true, _) => "is over",
            (false, _) => "is about nothing that is found today",
        };
        let by = one.by.as_str();
        let about = spelled(&one.about);
        all.extend(wrapped(&format!("The {by} for {about} {words}."), 0, width));
    }
    all.push(format!("Holds: {} (exit {}).", report.holds(), exit.code()));
    all
}

/// All of it without color, for a file.
pub(super) fn whole(report: &Report, exit: Exit) -> String {
    let mut all = lines(report, exit, Some(WIDTH));
    let at = all.len() - 1;
    let gaps = report.failed.iter().map(|(id, problem)| {
        let text = spelled(&format!("Not read: {id}: {}", one_line(problem)));
        wrapped(&text, 0, Some(WIDTH)).join("\n")
    });
    all.splice(at..at, gaps);
    anstream::adapter::strip_str(&all.join("\n")).to_string()
}

/// What several objects have in common, and which they are.
fn of_group(report: &Report, group: &Group<'_>, width: Option<usize>) -> Vec<String> {
    let count = group.all.len();
    let mut all = vec![styled(BOLD, &format!("{count} {}:", plural(group)))];
    all.extend(difference(report, group.first, &group.why, width));
    let mut names: Vec<&str> =
        group.all.iter().take(NAMED).map(|one| one.finding.subject.as_str()).collect();
    let more = format!("and {} more, which --format json names", count.saturating_sub(NAMED));
    if count > NAMED {
        names.push(&more);
    }
    all.extend(names.iter().map(|name| format!("      {}", spelled(name))));
    all
}

fn plural(group: &Group<'_>) -> &'static str {
    let all = |is: fn(&str) -> bool| group.all.iter().all(|one| is(&one.finding.subject));
    if all(|id| id.contains("/credential/")) {
        "credentials"
    } else if all(|id| id.ends_with("/scope")) {
        "integrations' scopes"
    } else if all(|id| id.starts_with("owner/")) {
        "owners"
    } else if all(|id| id.matches('/').count() == 2) {
        "integrations"
    } else {
        "objects"
    }
}

/// One difference, what it means, and who answers for it.
fn difference(report: &Report, found: &Found, why: &str, width: Option<usize>) -> Vec<String> {
    let one = &found.finding;
    let style = match (one.condition, one.verdict) {
        _ if found.accepted.is_some() => DIM,
        (Condition::Note, _) => DIM,
        (_, Verdict::Added | Verdict::Unmanaged) => GREEN,
        (_, Verdict::Removed | Verdict::Missing) => RED,
        (_, Verdict::Changed) => YELLOW,
    };
    let text =
        wrapped(&spelled(&line(one)), 2, width).into_iter().map(|line| in_style(style, &line));
    let mut all: Vec<String> = text.collect();
    let accepted = report.acceptance(found).map(accepted_words);
    for text in [Some(why), accepted.as_deref()].into_iter().flatten() {
        if !text.is_empty() {
            let about = wrapped(&format!("# {}", spelled(text)), 6, width);
            all.extend(about.into_iter().map(|line| in_style(DIM, &line)));
        }
    }
    all
}

/// The text of a line in a style, what it is set in by without.
fn in_style(style: anstyle::Style, line: &str) -> String {
    let text = line.trim_start();
    format!("{}{}", &line[..line.len() - text.len()], styled(style, text))
}

/// Words in lines, set in by so many columns; what follows the first line by two more.
fn wrapped(text: &str, indent: usize, most: Option<usize>) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = " ".repeat(indent);
    let mut width = indent;
    let mut begun = false;
    for word in text.split(' ') {
        let length = word.chars().count();
        if begun && most.is_some_and(|most| width + 1 + length > most) {
            lines.push(std::mem::replace(&mut line, " ".repeat(indent + 2)));
            (width, begun) = (indent + 2, false);
        }
        if begun {
            line.push(' ');
            width += 1;
        }
        line.push_str(word);
        (width, begun) = (width + length, true);
    }
    lines.push(line);
    lines
}
