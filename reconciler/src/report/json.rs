//! For programs: one object. Its schema is `docs/schemas/drift.json`; members are only ever added.

use serde_json::{Value, json};

use super::{Report, cause, hex};
use crate::exit::Exit;

pub(super) fn render(report: &Report, exit: Exit) -> Value {
    let text = |text: &str| if text.is_empty() { Value::Null } else { json!(text) };
    let acceptance = |one: &super::Acceptance| {
        json!({
            "by": one.by.as_str(), "owner": one.owner, "approver": one.approver,
            "reason": one.reason, "ends_on": one.ends_on.to_string(),
        })
    };
    json!({
        "format": "nhi-drift/1",
        "at": report.at.to_string(),
        "declared": report.from,
        "demo": report.demo,
        "coverage": {
            "expected": report.expected, "read": report.read, "percent": report.percent(),
            "gaps": report.failed.len(), "left_out": report.left_out.len(),
        },
        "findings": report.found.iter().map(|found| {
            let one = &found.finding;
            json!({
                "fingerprint": hex(&found.print),
                "cause": hex(&cause(found)),
                "rule": one.rule,
                "severity": one.severity.as_str(),
                "condition": one.condition.as_str(),
                "counts": report.counts(found),
                "subject": one.subject,
                "facet": one.facet,
                "verdict": one.verdict.as_str(),
                "expected": text(&one.expected),
                "actual": text(&one.actual),
                "action": one.action.map(|action| action.as_str()),
                "why": text(&one.why),
                "accepted": report.acceptance(found).map(acceptance),
            })
        }).collect::<Vec<_>>(),
        "not_read": report.failed.iter().map(|(id, problem)| json!({
            "subject": id, "code": problem.code, "why": problem.detail, "next": problem.next,
        })).collect::<Vec<_>>(),
        "left_out": report.left_out,
        "acceptances": report.acceptances.iter().map(|one| {
            let mut told = acceptance(one);
            told["about"] = one.about.clone().into();
            told["over"] = one.over.into();
            told["findings"] = one.findings.into();
            told
        }).collect::<Vec<_>>(),
        "outcome": exit.outcome(&report.conditions()),
    })
}
