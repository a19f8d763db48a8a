//! For Prometheus: OpenMetrics 1.0, for a file that the node exporter picks up. No label names an
//! object: they would be too many, and tell too much.

use std::{collections::BTreeMap, fmt::Write as _};

use super::Report;
use crate::exit::Exit;

/// The names, with what each counts.
mod names {
    pub(super) const INFO: (&str, &str) = ("nhi_build", "Which nhi made this.");
    pub(super) const FINDINGS: (&str, &str) =
        ("nhi_drift_findings", "What is found, by rule; accepted is what somebody answers for.");
    pub(super) const DECLARED: (&str, &str) = ("nhi_drift_declared", "Things that are declared.");
    pub(super) const READ: (&str, &str) = ("nhi_drift_read", "Declared things that were read.");
    pub(super) const GAPS: (&str, &str) = ("nhi_drift_gaps", "Parts that could not be read.");
    pub(super) const LEFT_OUT: (&str, &str) =
        ("nhi_drift_left_out", "Declared things that were not asked for.");
    pub(super) const COVERAGE: (&str, &str) =
        ("nhi_drift_coverage_ratio", "How much of what is declared was read, from 0 to 1.");
    pub(super) const HOLDS: (&str, &str) =
        ("nhi_drift_condition", "Whether a condition of the exit code holds.");
    pub(super) const EXIT: (&str, &str) = ("nhi_drift_exit_code", "The exit code.");
    pub(super) const AT: (&str, &str) =
        ("nhi_drift_run_timestamp_seconds", "When the comparison was made.");
}

pub(super) fn render(report: &Report, exit: Exit) -> String {
    let mut out = String::new();
    let (name, help) = names::INFO;
    let version = escaped(env!("CARGO_PKG_VERSION"));
    let _ = writeln!(out, "# TYPE {name} info\n# HELP {name} {help}");
    let _ = writeln!(out, "{name}_info{{version=\"{version}\"}} 1");
    head(&mut out, names::FINDINGS);
    let mut sums: BTreeMap<(&str, &str, &str, bool, bool), usize> = BTreeMap::new();
    for found in &report.found {
        let one = &found.finding;
        let (accepted, counts) = (found.accepted.is_some(), report.counts(found));
        let key = (one.rule, one.severity.as_str(), one.condition.as_str(), accepted, counts);
        *sums.entry(key).or_default() += 1;
    }
    for ((rule, severity, condition, accepted, counts), sum) in sums {
        let rule = escaped(rule);
        let _ = writeln!(
            out,
            "{}{{rule=\"{rule}\",severity=\"{severity}\",condition=\"{condition}\",\
             accepted=\"{accepted}\",counts=\"{counts}\"}} {sum}",
            names::FINDINGS.0
        );
    }
    let ratio = match report.expected {
        0 => 1.0,
        expected => report.read as f64 / expected as f64,
    };
    for (which, value) in [
        (names::DECLARED, report.expected.to_string()),
        (names::READ, report.read.to_string()),
        (names::GAPS, report.failed.len().to_string()),
        (names::LEFT_OUT, report.left_out.len().to_string()),
        (names::COVERAGE, ratio.to_string()),
        (names::EXIT, exit.code().to_string()),
    ] {
        head(&mut out, which);
        let _ = writeln!(out, "{} {value}", which.0);
    }
    head(&mut out, names::HOLDS);
    let holds = report.conditions();
    for one in [Exit::Failed, Exit::Policy, Exit::Unfinished, Exit::Drift, Exit::Partial] {
        let value = u8::from(holds.contains(&one));
        let _ = writeln!(out, "{}{{condition=\"{}\"}} {value}", names::HOLDS.0, one.word());
    }
    let (name, help) = names::AT;
    let _ = writeln!(out, "# TYPE {name} gauge\n# UNIT {name} seconds\n# HELP {name} {help}");
    let _ = writeln!(out, "{name} {}", report.at.as_second());
    out.push_str("# EOF");
    out
}

fn head(out: &mut String, (name, help): (&str, &str)) {
    let unit =
        if name.ends_with("_ratio") { format!("# UNIT {name} ratio\n") } else { String::new() };
    let _ = write!(out, "# TYPE {name} gauge\n{unit}# HELP {name} {help}\n");
}

/// The value of a label.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
