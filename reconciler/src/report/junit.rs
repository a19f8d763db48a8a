//! For the test reports of a pipeline: a case for each thing that is declared, so that what is in sync
//! is seen too. What was not read is skipped, never passed.

use std::fmt::Write as _;

use super::{Condition, Found, Report, accepted_words, line, rules, spelled};

pub(super) fn render(report: &Report) -> String {
    let mut cases = Vec::new();
    for object in &report.objects {
        cases.push(case(report, &object.id, object.kind));
    }
    // What nothing declares, such as the ledger, has a case where something is found or missing.
    let declared = |id: &str| report.objects.iter().any(|one| one.id == id);
    let found = report.found.iter().map(|one| one.finding.subject.as_str());
    let mut besides: Vec<&str> =
        found.chain(report.failed.iter().map(|(id, _)| id.as_str())).collect();
    besides.retain(|id| !declared(id));
    besides.sort_unstable();
    besides.dedup();
    cases.extend(besides.iter().map(|id| case(report, id, "undeclared")));
    let failed = cases.iter().filter(|one| one.outcome == Outcome::Failed).count();
    let skipped = cases.iter().filter(|one| one.outcome == Outcome::Skipped).count();
    let sums = format!(
        "tests=\"{}\" failures=\"{failed}\" errors=\"0\" skipped=\"{skipped}\" time=\"0\"",
        cases.len()
    );
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(out, "<testsuites name=\"nhi drift\" {sums}>");
    let at = report.at.strftime("%Y-%m-%dT%H:%M:%S");
    let _ = writeln!(out, "  <testsuite name=\"nhi drift\" {sums} timestamp=\"{at}\">");
    for case in cases {
        out.push_str(&case.text);
    }
    out.push_str("  </testsuite>\n</testsuites>");
    out
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Passed,
    Failed,
    Skipped,
}

struct Case {
    outcome: Outcome,
    text: String,
}

fn case(report: &Report, id: &str, kind: &str) -> Case {
    let mine: Vec<&Found> = report.found.iter().filter(|one| one.finding.subject == id).collect();
    let (failing, told): (Vec<&Found>, Vec<&Found>) =
        mine.into_iter().partition(|one| report.counts(one));
    let mut inner = String::new();
    for found in &failing {
        let one = &found.finding;
        let why = if one.why.is_empty() { rules::about(one.rule).help } else { &one.why };
        let _ = writeln!(
            inner,
            "      <failure type=\"{}\" message=\"{}\">{}</failure>",
            escaped(one.rule),
            escaped(&line(one)),
            escaped(&format!("{} ({}): {}", one.severity.as_str(), one.condition.as_str(), why)),
        );
    }
    let gap = report.gap_of(id);
    let accepted = told.iter().filter_map(|one| report.acceptance(one)).map(accepted_words).next();
    let skipped = match (&gap, accepted) {
        (Some(gap), _) => Some(format!("not read: {gap}")),
        (None, accepted) => accepted,
    };
    // A case has one outcome: what is certain wins.
    let outcome = match (failing.is_empty(), &skipped) {
        (false, _) => Outcome::Failed,
        (true, Some(why)) => {
            let _ = writeln!(inner, "      <skipped message=\"{}\"/>", escaped(why));
            Outcome::Skipped
        }
        (true, None) => Outcome::Passed,
    };
    let mut notes: Vec<String> = told
        .iter()
        .map(|one| {
            let accepted = report.acceptance(one).map(accepted_words);
            let word = if one.finding.condition == Condition::Note { "noted" } else { "listed" };
            format!("{}: {}", accepted.unwrap_or_else(|| word.to_owned()), line(&one.finding))
        })
        .collect();
    if let (Outcome::Failed, Some(gap)) = (outcome, &gap) {
        notes.push(format!("not read: {gap}"));
    }
    if !notes.is_empty() {
        let notes: Vec<String> = notes.iter().map(|one| escaped(one)).collect();
        let _ = writeln!(inner, "      <system-out>{}</system-out>", notes.join("\n"));
    }
    let head = format!(
        "    <testcase classname=\"nhi.{}\" name=\"{}\" time=\"0\"",
        escaped(kind),
        escaped(id)
    );
    let text = match inner.is_empty() {
        true => format!("{head}/>\n"),
        false => format!("{head}>\n{inner}    </testcase>\n"),
    };
    Case { outcome, text }
}

/// Text in XML. What is no character of XML 1.0 is spelled out.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for one in spelled(text).chars() {
        match one {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\u{fffe}' | '\u{ffff}' => {
                let _ = write!(out, "\\u{:04x}", u32::from(one));
            }
            one => out.push(one),
        }
    }
    out
}
