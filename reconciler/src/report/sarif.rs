//! For code scanning: SARIF 2.1.0, as GitHub reads it.
//!
//! Whoever reads it takes a result that is not there any more for fixed. So results of what was not
//! read this time are carried forward from the file before, and without one a partial file is refused.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use operations::Problem;
use serde_json::{Map, Value, json};

use super::{
    Condition, Found, Report, Severity, accepted_words, cause, hex, line, one_line, rules, spelled,
};

const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// So many results GitHub takes of a run.
const MOST: usize = 25_000;

/// The results of the file before.
#[derive(Debug, Clone, Default)]
pub(crate) struct Previous {
    results: Vec<(Value, Value)>,
}

/// Why a file of what was read alone must not be written, if so.
pub(crate) fn refusal(report: &Report) -> Option<Problem> {
    let partial = report.is_partial() || report.narrowed || !report.left_out.is_empty();
    let problem = Problem::new("E-REPORT-PARTIAL", "A SARIF report of a part would close findings")
        .detail(
            "Not everything was read or asked for, and code scanning takes a result that is not \
             there any more for fixed.",
        )
        .next(
            "give the file before, whose results of what was not read are carried forward: \
             --previous FILE; or say that it may be so: --allow-partial",
        );
    (partial && !report.allow_partial).then_some(problem)
}

/// Reads the file before.
///
/// # Errors
///
/// It is no SARIF file of ours.
pub(crate) fn previous(place: &Path) -> Result<Previous, Problem> {
    let shown = place.display();
    let wrong = |why: String| {
        Problem::new("E-REPORT-PREVIOUS", "The SARIF file before cannot be read")
            .detail(format!("{shown}: {why}."))
            .next("give the file that the last run wrote, or say --allow-partial and none")
    };
    let text = std::fs::read_to_string(place).map_err(|error| wrong(error.to_string()))?;
    let all: Value = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    read_previous(&all).ok_or_else(|| wrong("it is no SARIF 2.1.0 file of nhi".into()))
}

fn read_previous(all: &Value) -> Option<Previous> {
    let run = all["runs"].as_array()?.first()?;
    if all["version"] != "2.1.0" || run["tool"]["driver"]["name"] != "nhi" {
        return None;
    }
    let rules = run["tool"]["driver"]["rules"].as_array()?;
    let mut results = Vec::new();
    for result in run["results"].as_array()? {
        let rule = rules.iter().find(|rule| rule["id"] == result["ruleId"])?;
        result["properties"]["subject"].as_str()?;
        result["partialFingerprints"]["primaryLocationLineHash"].as_str()?;
        results.push((result.clone(), rule.clone()));
    }
    Some(Previous { results })
}

/// The file. What is only noted is no result: it comes and goes with every run.
pub(crate) fn render(report: &Report, previous: Option<&Previous>) -> Value {
    let mut told: Vec<&Found> =
        report.found.iter().filter(|one| one.finding.condition > Condition::Note).collect();
    told.sort_by_key(|one| std::cmp::Reverse(one.finding.severity));
    let mut rules: BTreeMap<String, Value> = BTreeMap::new();
    let mut results = Vec::new();
    for found in &told {
        // The highest comes first, and it is the rule's.
        let rule = found.finding.rule;
        rules.entry(rule.to_owned()).or_insert_with(|| rule_of(rule, found.finding.severity));
        results.push(result(report, found));
    }
    let prints: BTreeSet<String> = told.iter().map(|one| hex(&one.print)).collect();
    for (carried, rule) in previous.into_iter().flat_map(|one| &one.results) {
        let print = carried["partialFingerprints"]["primaryLocationLineHash"].as_str();
        let subject = carried["properties"]["subject"].as_str();
        let (Some(print), Some(subject), Some(id)) = (print, subject, rule["id"].as_str()) else {
            continue;
        };
        if prints.contains(print) || !report.is_unread(subject) {
            continue;
        }
        let mut carried = carried.clone();
        carried["locations"] = locations(report, subject);
        carried["properties"]["carried"] = true.into();
        rules.entry(id.to_owned()).or_insert_with(|| rule.clone());
        results.push(carried);
    }
    let cut = results.len().saturating_sub(MOST);
    results.truncate(MOST);
    let ids: Vec<&String> = rules.keys().collect();
    for one in &mut results {
        let at = ids.iter().position(|id| one["ruleId"] == id.as_str());
        one["ruleIndex"] = json!(at);
    }
    let mut notes: Vec<Value> = report
        .failed
        .iter()
        .map(|(id, problem)| {
            note(problem.code, &format!("{id} was not read: {}", one_line(problem)))
        })
        .collect();
    if !report.left_out.is_empty() {
        let text = format!("{} declared things were not asked for.", report.left_out.len());
        notes.push(note("left-out", &text));
    }
    if cut > 0 {
        notes.push(note("cut", &format!("{cut} results of the least severity did not fit.")));
    }
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "nhi",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "informationUri": env!("CARGO_PKG_REPOSITORY"),
                "rules": rules.into_values().collect::<Vec<_>>(),
            } },
            // One category for each configuration: a later run of the same one takes its place.
            "automationDetails": { "id": format!("nhi-drift/{}/", report.location) },
            "columnKind": "utf16CodeUnits",
            "invocations": [{
                "executionSuccessful": !report.is_partial() && report.left_out.is_empty() && cut == 0,
                "exitCode": report.exit().code(),
                "endTimeUtc": report.at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
                "toolExecutionNotifications": notes,
            }],
            "properties": {
                "declared": report.from, "expected": report.expected, "read": report.read,
                "gaps": report.failed.len(),
            },
            "results": results,
        }],
    })
}

fn rule_of(id: &str, severity: Severity) -> Value {
    let about = rules::about(id);
    json!({
        "id": id,
        "name": name_of(id),
        "shortDescription": { "text": about.title },
        "fullDescription": { "text": format!("{}.", about.title) },
        "help": { "text": about.help, "markdown": about.help },
        "helpUri": format!("{}/blob/main/docs/guides/reports.md", env!("CARGO_PKG_REPOSITORY")),
        "defaultConfiguration": { "level": level(severity) },
        "properties": {
            "tags": ["security", "non-human-identity"],
            "precision": "high",
            "security-severity": score(severity),
        },
    })
}

/// `scope-added` as `ScopeAdded`: names have no hyphens there.
fn name_of(id: &str) -> String {
    let part = |part: &str| {
        let mut letters = part.chars();
        let first = letters.next().map(|one| one.to_ascii_uppercase());
        first.into_iter().chain(letters).collect::<String>()
    };
    id.split('-').map(part).collect()
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Info | Severity::Low => "note",
        Severity::Medium => "warning",
        Severity::High | Severity::Critical => "error",
    }
}

/// On the scale by which code scanning says critical, high, medium and low.
fn score(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "0.1",
        Severity::Low => "2.5",
        Severity::Medium => "5.5",
        Severity::High => "8.0",
        Severity::Critical => "9.5",
    }
}

fn result(report: &Report, found: &Found) -> Value {
    let one = &found.finding;
    let why = if one.why.is_empty() { rules::about(one.rule).help } else { &one.why };
    let mut properties = Map::new();
    for (name, value) in [
        ("subject", one.subject.as_str()),
        ("facet", &one.facet),
        ("verdict", one.verdict.as_str()),
        ("expected", &one.expected),
        ("actual", &one.actual),
        ("severity", one.severity.as_str()),
        ("condition", one.condition.as_str()),
    ] {
        if !value.is_empty() {
            properties.insert(name.into(), value.into());
        }
    }
    properties.insert("counts".into(), report.counts(found).into());
    properties.insert("cause".into(), hex(&cause(found)).into());
    let mut told = json!({
        "ruleId": one.rule,
        "level": level(one.severity),
        "message": { "text": spelled(&format!("{}: {}. {why}", one.subject, line(one))) },
        "locations": locations(report, &one.subject),
        "partialFingerprints": { "primaryLocationLineHash": hex(&found.print) },
        "properties": properties,
    });
    if let Some(accepted) = report.acceptance(found) {
        told["suppressions"] = json!([{
            "kind": "external", "status": "accepted", "justification": accepted_words(accepted),
        }]);
    }
    told
}

/// What is found has no line: it is shown at the file that says which connections there are.
fn locations(report: &Report, subject: &str) -> Value {
    json!([{
        "physicalLocation": {
            "artifactLocation": { "uri": report.location },
            "region": { "startLine": 1, "startColumn": 1, "endLine": 1, "endColumn": 2 },
        },
        "logicalLocations": [{ "fullyQualifiedName": subject, "kind": "resource" }],
    }])
}

fn note(id: &str, text: &str) -> Value {
    json!({ "descriptor": { "id": id }, "level": "error", "message": { "text": spelled(text) } })
}
