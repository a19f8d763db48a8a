//! Each form of one report that has something of everything, and of one whose values are hostile.

use std::collections::BTreeMap;

use domain::Action;
use operations::{Wish, WishedScopes, WishedSlot};
use policy::findings::{self, Stands};
use serde_json::{Value, json};

use super::{render as rendered, *};

fn render(report: &Report, form: Form) -> String {
    rendered(report, form, None)
}

const ID: &str = "bao/app/invoice-sync";

fn wishes() -> Wishes {
    let wish = |id: &str, whole: bool| {
        let slots = if whole {
            vec![WishedSlot {
                name: "default".into(),
                credential_type: None,
                schedule: None,
                deliveries: Vec::new(),
                known: None,
                drill: false,
                settings: None,
                consumers: Default::default(),
            }]
        } else {
            Vec::new()
        };
        let scopes = whole.then(|| WishedScopes {
            standing: Default::default(),
            temporary: BTreeMap::new(),
            on_request: BTreeMap::new(),
            enforcement: policy::scopes::Enforcement::Exact,
            classify: BTreeMap::new(),
        });
        (id.to_owned(), Wish { id: id.to_owned(), scopes, slots, ..Wish::default() })
    };
    let quiet = "bao/app/quiet";
    let ids = [(ID, true), ("bao/app/gone", false), ("bao/app/dark", true)];
    let all = ids.into_iter().chain([(quiet, false)]).map(|(id, whole)| wish(id, whole));
    Wishes { integrations: all.collect(), ..Wishes::default() }
}

fn everything() -> Vec<Finding> {
    let mut all = findings::scopes(
        ID,
        [(&"secret/data/payroll/*:read".to_owned(), Action::Secret)],
        [(&"secret/data/invoices/*:read".to_owned(), Action::Secret)],
    );
    let declared = findings::Declared {
        id: ID.into(),
        settings: Some(BTreeMap::from([("token_ttl".into(), "1h".into())])),
        record: Some(BTreeMap::from([("purpose".into(), "Copies invoices".into())])),
        enabled: Some(true),
        revoke_unmanaged: true,
    };
    let observed = findings::Observed {
        settings: BTreeMap::from([("token_ttl".into(), "24h".into())]),
        unmanaged: BTreeMap::from([(
            "0e8c".into(),
            "(issued 2026-11-20, last use unknown)".into(),
        )]),
        ..findings::Observed::default()
    };
    let slot = format!("{ID}/credential/default");
    let sinks = |status| vec![("app", "bao:secret/apps/x".to_owned(), status)];
    let facts = findings::SlotFacts {
        id: &slot,
        status: "retire_due",
        key_id: Some("k2"),
        sinks: sinks("changed"),
        outlived: vec!["k1"],
        end_alone: Vec::new(),
        active: true,
        ..Default::default()
    };
    let other = findings::SlotFacts {
        id: "bao/app/other/credential/default",
        status: "held",
        note: Some("sink-changed-by-others"),
        active: true,
        ..Default::default()
    };
    let standing = BTreeMap::from([("expired", policy::rules::Verdict::Disable)]);
    let owns = [ID.to_owned()];
    all.extend(findings::compare(&declared, &observed));
    all.extend(findings::slot(&facts));
    all.extend(findings::slot(&other));
    all.extend(findings::standing(ID, &standing));
    all.extend(findings::owner("owner/ann", "left", Some("2026-11-01"), &owns));
    all.push(findings::missing("bao/app/gone"));
    all.push(findings::not_given(&format!("{ID}/credential/other"), "k7", ID));
    all
}

fn of(found: Vec<Finding>) -> Report {
    let at = "2026-11-30T05:17:00Z".parse().unwrap();
    let gap = Problem::new("E-UNREADABLE", "Cannot read an object")
        .detail("bao/app/dark: 403.")
        .next("nhi doctor bao");
    let mut report = Report::new(&wishes(), "nhi.db".into(), at);
    for one in found {
        report.add(one.fingerprint("cluster", &one.subject), one);
    }
    report.read = 3;
    report.judged = ["invoice-sync", "gone", "quiet"].map(|name| format!("bao/app/{name}")).into();
    report.failed = vec![("bao/app/dark".into(), gap)];
    report
}

/// Something of everything: a gap, a waiver that holds, one that is over, and a baseline.
fn report() -> Report {
    let mut report = of(everything());
    let waiver = |rule: &str, ends_on: &str| Waiver {
        rule: rule.into(),
        object: "bao/*".into(),
        facet: "*".into(),
        reason: "INC-7".into(),
        owner: "ann@example.com".into(),
        approver: "eli@example.com".into(),
        ends_on: ends_on.parse().unwrap(),
    };
    let waivers = [waiver("record-edited", "2026-11-30"), waiver("scope-removed", "2026-11-29")];
    report.accept(&[], &waivers);
    report.sort();
    report
}

/// Names that would be markup, commands, mentions or instructions anywhere.
const HOSTILE: &str = "</script><img src=x onerror=alert(1)>\"'`|*_[x](http://a.example)@octocat #1\n::error::x\r%0A\u{202e}\u{1b}[2J\u{1b}[32m\u{0}]]>&amp;{{x}}";

fn hostile() -> Report {
    let id = format!("bao/app/{HOSTILE}");
    let found = |rule: &'static str| Finding {
        rule,
        subject: id.clone(),
        facet: format!("settings.{HOSTILE}"),
        verdict: Verdict::Changed,
        expected: HOSTILE.into(),
        actual: HOSTILE.into(),
        action: None,
        severity: Severity::High,
        condition: Condition::Drift,
        why: HOSTILE.into(),
    };
    let shown = |rule, verdict| Finding { verdict, ..found(rule) };
    let mut report = of(vec![
        found("setting-changed"),
        found("due"),
        shown("scope-added", Verdict::Added),
        shown("scope-removed", Verdict::Removed),
        shown("sink-missing", Verdict::Missing),
        shown("credential-unmanaged", Verdict::Unmanaged),
    ]);
    report.failed.push((id.clone(), Problem::new("E-UNREADABLE", "Cannot read").detail(HOSTILE)));
    report.objects.push(Object { id: id.clone(), of: id, kind: "integration" });
    report.from = HOSTILE.into();
    let waiver = Waiver {
        rule: "due".into(),
        object: "bao/*".into(),
        facet: "*".into(),
        reason: HOSTILE.into(),
        owner: HOSTILE.into(),
        approver: HOSTILE.into(),
        ends_on: "2027-01-01".parse().unwrap(),
    };
    report.accept(&[], &[waiver]);
    report.sort();
    report
}

/// So many findings of one rule, each with its own values.
fn many(count: usize) -> Report {
    let found = (0..count).map(|at| Finding {
        rule: "setting-changed",
        subject: format!("bao/app/app-{at:05}"),
        facet: "settings.token_ttl".into(),
        verdict: Verdict::Changed,
        expected: "1h".into(),
        actual: format!("{at}h"),
        action: None,
        severity: Severity::Medium,
        condition: Condition::Drift,
        why: String::new(),
    });
    let mut report = of(found.collect());
    report.failed.clear();
    report.sort();
    report
}

fn conditions(report: &Report) -> String {
    report.conditions().into_iter().map(Exit::word).collect::<Vec<_>>().join(" ")
}

#[test]
fn the_report_for_people_keeps_its_shape() {
    insta::assert_snapshot!(render(&report(), Form::Text));
}

#[test]
fn the_report_for_programs_keeps_its_shape() {
    let report = report();
    insta::assert_snapshot!(
        serde_json::to_string_pretty(&json::render(&report, report.exit())).unwrap()
    );
}

#[test]
fn the_report_for_a_pull_request_keeps_its_shape() {
    insta::assert_snapshot!(render(&report(), Form::Markdown));
}

#[test]
fn the_report_for_test_reports_keeps_its_shape() {
    insta::assert_snapshot!(render(&report(), Form::Junit));
}

#[test]
fn the_report_for_prometheus_keeps_its_shape() {
    insta::assert_snapshot!(render(&report(), Form::Openmetrics));
}

#[test]
fn the_report_for_github_s_annotations_keeps_its_shape() {
    insta::assert_snapshot!(render(&report(), Form::Github));
}

#[test]
fn of_several_conditions_the_worst_is_the_exit_code_and_all_are_said() {
    let mut report = of(everything());
    assert_eq!(conditions(&report), "policy unfinished drift partial");
    assert_eq!(report.exit(), Exit::Policy);
    report.ignore_policy = true;
    assert_eq!(conditions(&report), "unfinished drift partial");
    report.ignore_policy = false;
    report.found.retain(|one| one.finding.condition != Condition::Policy);
    assert_eq!(report.exit(), Exit::Unfinished);
    report.found.retain(|one| one.finding.condition != Condition::Unfinished);
    assert_eq!(report.exit(), Exit::Drift);
    report.fail_on = Severity::Critical;
    assert_eq!(report.exit(), Exit::Partial);
    report.allow_partial = true;
    assert_eq!(report.exit(), Exit::Clean);
    // Nothing read is never clean, whatever is allowed; a contract is judged without a look.
    (report.read, report.offline) = (2, 2);
    assert_eq!(report.exit(), Exit::Failed);
    (report.read, report.offline, report.expected) = (2, 2, 2);
    assert_eq!(report.exit(), Exit::Clean, "nothing else is declared");
}

#[test]
fn for_a_pipeline_that_knows_terraform_there_are_three_codes() {
    let mut report = of(everything());
    report.as_terraform = true;
    assert_eq!(report.exit(), Exit::Drift, "out of policy is something");
    report.found.clear();
    assert_eq!(report.exit(), Exit::Failed, "partly unread is not nothing");
    report.allow_partial = true;
    assert_eq!(report.exit(), Exit::Clean);
}

#[test]
fn what_was_begun_for_a_slot_that_nothing_declares_is_unfinished() {
    let left =
        findings::left_open(&format!("{ID}/credential/ci"), Some("k1"), "stored", Stands::Silent);
    let mut report = of(vec![left]);
    (report.failed, report.read) = (Vec::new(), 4);
    assert_eq!(report.exit(), Exit::Unfinished);
    let said = render(&report, Form::Text);
    assert!(said.contains("k1 may work") && said.contains("(stored)"), "{said}");
}

#[test]
fn what_somebody_answers_for_is_listed_everywhere_and_does_not_count() {
    let mut report = of(vec![findings::missing("bao/app/gone")]);
    (report.failed, report.read) = (Vec::new(), 4);
    assert_eq!(report.exit(), Exit::Drift);
    let answer = baseline::Answer {
        owner: "ann".into(),
        reason: "INC-7".into(),
        ends_on: "2026-11-30".parse().unwrap(),
    };
    let entries = baseline::made(&report, &[], &answer);
    report.accept(&entries, &[]);
    assert_eq!(report.exit(), Exit::Clean, "to its last day");
    for form in Form::value_variants() {
        let said = render(&report, *form);
        let counted = matches!(form, Form::Openmetrics | Form::Github);
        let about = if counted { "accepted" } else { "INC-7" };
        assert!(said.contains(about), "{form:?}: {said}");
    }
    // The next day it counts again, and that it is over is told.
    let mut report = of(vec![findings::missing("bao/app/gone")]);
    (report.failed, report.read) = (Vec::new(), 4);
    report.at = "2026-12-01T00:00:00Z".parse().unwrap();
    report.accept(&entries, &[]);
    assert_eq!(conditions(&report), "policy drift");
    let rules: Vec<_> = report.found.iter().map(|one| one.finding.rule).collect();
    assert_eq!(rules, ["integration-missing", "waiver-expired"]);
    let said = render(&report, Form::Text);
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        said.contains("The baseline for integration-missing on bao/app/gone, object is over."),
        "{said}"
    );
}

#[test]
fn a_baseline_accepts_the_state_that_it_saw_and_no_other() {
    let saw = |live: &str| {
        let declared = findings::Declared {
            id: ID.into(),
            settings: Some(BTreeMap::from([("ttl".to_owned(), "1h".to_owned())])),
            enabled: Some(false),
            ..findings::Declared::default()
        };
        let observed = findings::Observed {
            settings: BTreeMap::from([("ttl".to_owned(), live.to_owned())]),
            ..findings::Observed::default()
        };
        let mut report = of(findings::compare(&declared, &observed));
        (report.failed, report.read) = (Vec::new(), 4);
        report
    };
    let answer = baseline::Answer {
        owner: "ann".into(),
        reason: "INC-7".into(),
        ends_on: "2027-01-01".parse().unwrap(),
    };
    let entries = baseline::made(&saw("2h"), &[], &answer);
    let written = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(written.path(), baseline::text(&entries)).unwrap();
    assert_eq!(baseline::read(written.path()).unwrap(), entries);
    let exit = |live: &str| {
        let mut report = saw(live);
        report.accept(&entries, &[]);
        report.exit()
    };
    assert_eq!((exit("2h"), exit("24h")), (Exit::Clean, Exit::Drift));
    // Written again, what holds keeps who answered for it, and only the rest has new words.
    let later = baseline::Answer { owner: "eli".into(), ..answer };
    let anew = baseline::made(&saw("2h"), &entries, &later);
    assert_eq!(anew, entries);
    assert_eq!(baseline::made(&saw("24h"), &entries, &later)[0].owner, "eli");
    // What was not looked at may be there still, as long as somebody answers for it.
    let mut left_out = of(Vec::new());
    assert_eq!(baseline::made(&left_out, &entries, &later), []);
    left_out.left_out.insert(ID.into());
    assert_eq!(baseline::made(&left_out, &entries, &later), entries);
    left_out.at = "2027-01-02T00:00:00Z".parse().unwrap();
    assert_eq!(baseline::made(&left_out, &entries, &later), []);
}

#[test]
fn who_may_leave_things_unread_is_told_that_some_were() {
    let mut report = of(Vec::new());
    report.allow_partial = true;
    assert_eq!(report.exit(), Exit::Clean);
    let verdict = "In sync in what was read; not everything was";
    assert_eq!(report.verdict(Exit::Clean), verdict);
    let page = render(&report, Form::Html);
    assert!(page.contains(&format!("<span class=\"verdict half\">{verdict}</span>")), "{page}");
}

#[test]
fn what_a_listing_lacks_says_nothing_of_what_was_looked_at() {
    let mut report = of(Vec::new());
    let gap = Problem::new("E-DRIFT-HALF", "A part of what is there could not be listed");
    report.failed = vec![("bao".into(), gap)];
    assert!(!report.is_unread(ID) && report.gap_of(&format!("{ID}/scope")).is_none());
    assert!(report.is_unread("bao/app/other") && report.is_unread("bao/app/dark"));
    assert!(!report.is_unread("login/app/other"));
    report.failed[0].0 = "plan".into();
    assert!(!report.is_unread(ID) && report.is_unread("login/app/other"));
}

#[test]
fn a_baseline_that_cannot_be_read_accepts_nothing() {
    let written = tempfile::NamedTempFile::new().unwrap();
    let entry = r#"{"fingerprint":"00000000000000000000000000000000","digest":"00000000000000000000000000000000","rule":"due","subject":"x","facet":"status","owner":"ann","reason":"y","ends_on":"2027-01-01"}"#;
    let whole = format!(r#"{{"format":"nhi-baseline/1","entries":[{entry}]}}"#);
    let read = |text: &str| {
        std::fs::write(written.path(), text).unwrap();
        baseline::read(written.path()).map_err(|problem| problem.detail)
    };
    assert_eq!(read(&whole).unwrap().len(), 1);
    for (from, to, why) in [
        ("nhi-baseline/1", "nhi-baseline/2", "nhi-baseline/1"),
        ("\"owner\":\"ann\"", "\"owner\":\" \"", "has no owner"),
        ("2027-01-01", "next year", "is no day"),
        ("\"digest\":\"0", "\"digest\":\"x", "32 hexadecimal digits"),
        ("entries", "entry", "no list of entries"),
    ] {
        let said = read(&whole.replace(from, to)).unwrap_err();
        assert!(said.contains(why), "{why}: {said}");
    }
}

#[test]
fn nobody_can_accept_what_would_hide_a_theft() {
    let broken = findings::chain_broken("entry 3");
    let mut report = of(vec![broken]);
    let answer = baseline::Answer {
        owner: "ann".into(),
        reason: "INC-7".into(),
        ends_on: "2027-01-01".parse().unwrap(),
    };
    assert!(baseline::made(&report, &[], &answer).is_empty());
    let one = &report.found[0];
    let by_hand = baseline::Entry {
        print: one.print,
        state: waiver::state_of(&one.finding),
        rule: one.finding.rule.into(),
        subject: one.finding.subject.clone(),
        facet: one.finding.facet.clone(),
        owner: answer.owner,
        reason: answer.reason,
        ends_on: answer.ends_on,
    };
    report.accept(&[by_hand], &[]);
    assert_eq!(report.exit(), Exit::Policy);
}

#[test]
fn what_many_objects_have_in_common_is_said_once() {
    let found = (0..37).map(|at| Finding {
        why: format!("see nhi explain bao/app/app-{at}"),
        ..findings::missing(&format!("bao/app/app-{at}"))
    });
    let report = of(found.collect());
    let said = render(&report, Form::Text);
    assert!(said.contains("37 integrations:\n  - it is not there any more\n"), "{said}");
    assert_eq!(said.matches("it is not there").count(), 1, "{said}");
    assert!(said.contains("# see nhi explain ID\n"), "{said}");
    assert!(said.contains("and 17 more"), "{said}");
    // Two are two; and another value is another cause.
    assert!(!render(&many(2), Form::Text).contains("2 integrations"));
    assert!(!render(&many(9), Form::Text).contains("9 integrations"));
}

#[test]
fn no_line_for_people_is_wider_than_80_columns_but_for_what_cannot_be_broken() {
    for line in render(&report(), Form::Text).lines() {
        let unbroken = line.trim_start().split(' ').count() == 1;
        assert!(line.chars().count() <= 80 || unbroken, "{line}");
    }
}

fn schema(text: &str) -> jsonschema::Validator {
    let schema: Value = serde_json::from_str(text).unwrap();
    jsonschema::options().should_validate_formats(true).build(&schema).unwrap()
}

#[track_caller]
fn valid(schema: &jsonschema::Validator, value: &Value) {
    let errors: Vec<String> =
        schema.iter_errors(value).map(|one| format!("{}: {one}", one.instance_path())).collect();
    assert!(errors.is_empty(), "{errors:#?}");
}

#[test]
fn the_report_for_programs_is_what_its_schema_says() {
    let schema = schema(include_str!("../../../docs/schemas/drift.json"));
    for report in [report(), hostile(), many(3), of(Vec::new())] {
        let value = json::render(&report, report.exit());
        valid(&schema, &value);
        let mut wrong = value.clone();
        wrong["outcome"]["code"] = json!(7);
        assert!(!schema.is_valid(&wrong));
        for member in value.as_object().unwrap().keys() {
            let mut wrong = value.clone();
            wrong.as_object_mut().unwrap().remove(member);
            assert!(!schema.is_valid(&wrong), "{member} must be there");
        }
    }
}

/// The standard's own schema, as a package brings it.
fn sarif_schema() -> jsonschema::Validator {
    let rustc = std::process::Command::new("rustc").arg("-vV").output().unwrap();
    let rustc = String::from_utf8(rustc.stdout).unwrap();
    let host = rustc.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    let metadata = cargo_metadata::MetadataCommand::new()
        .manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .other_options(["--offline", "--filter-platform", host].map(str::to_owned))
        .exec()
        .unwrap();
    let package = metadata.packages.iter().find(|one| *one.name == "serde-sarif").unwrap();
    let path = package.manifest_path.with_file_name("src").join("schema.json");
    let text = std::fs::read_to_string(path).unwrap();
    // A bracket too many: as it stands it is no expression of JSON Schema's kind.
    let (wrong, right) = ("[a-zA-Z]{2}]?$", "[a-zA-Z]{2}\\\\]?$");
    assert!(text.contains(wrong));
    let schema: Value = serde_json::from_str(&text.replace(wrong, right)).unwrap();
    jsonschema::options().build(&schema).unwrap()
}

/// What GitHub asks of a file beyond the standard, as its documentation says.
fn as_github_takes_it(all: &Value) {
    assert_eq!(all["version"], "2.1.0");
    assert!(all["$schema"].is_string());
    let runs = all["runs"].as_array().unwrap();
    assert!(!runs.is_empty() && runs.len() <= 20);
    for run in runs {
        let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
        assert!(run["automationDetails"]["id"].as_str().unwrap().ends_with('/'));
        for rule in rules {
            for text in ["shortDescription", "fullDescription", "help"] {
                let text = rule[text]["text"].as_str().unwrap();
                assert!(!text.is_empty() && text.len() <= 1024, "{rule}");
            }
            let tags = rule["properties"]["tags"].as_array().unwrap();
            assert!(tags.contains(&json!("security")) && tags.len() <= 10, "{rule}");
            let score: f64 =
                rule["properties"]["security-severity"].as_str().unwrap().parse().unwrap();
            assert!(score > 0.0 && score <= 10.0, "{rule}");
        }
        let results = run["results"].as_array().unwrap();
        assert!(results.len() <= 25_000);
        for result in results {
            let at = result["ruleIndex"].as_u64().unwrap();
            assert_eq!(rules[usize::try_from(at).unwrap()]["id"], result["ruleId"]);
            assert!(["note", "warning", "error"].contains(&result["level"].as_str().unwrap()));
            assert!(!result["message"]["text"].as_str().unwrap().is_empty());
            let print = result["partialFingerprints"]["primaryLocationLineHash"].as_str();
            assert_eq!(print.unwrap().len(), 32);
            let place = &result["locations"][0]["physicalLocation"];
            let uri = place["artifactLocation"]["uri"].as_str().unwrap();
            assert!(!uri.is_empty() && !uri.starts_with('/') && !uri.contains("://"), "{uri}");
            for member in ["startLine", "startColumn", "endLine", "endColumn"] {
                assert!(place["region"][member].as_u64().unwrap() > 0);
            }
        }
    }
    // No text that must be there is empty, anywhere.
    let mut all = vec![all];
    while let Some(value) = all.pop() {
        match value {
            Value::String(text) => assert!(!text.is_empty()),
            Value::Array(items) => all.extend(items),
            Value::Object(members) => all.extend(members.values()),
            _ => (),
        }
    }
}

#[test]
fn the_report_for_code_scanning_is_what_the_standard_and_github_take() {
    let schema = sarif_schema();
    assert!(!schema.is_valid(&json!({ "version": "2.1.0" })), "it does refuse something");
    for report in [report(), hostile(), many(3), of(Vec::new())] {
        let value = sarif::render(&report, None);
        valid(&schema, &value);
        as_github_takes_it(&value);
        let _: serde_sarif::sarif::Sarif = serde_json::from_value(value).unwrap();
    }
    assert_eq!(
        sarif::render(&many(26_000), None)["runs"][0]["results"].as_array().unwrap().len(),
        25_000
    );
}

#[test]
fn what_is_not_read_this_time_is_not_fixed_for_code_scanning() {
    let before = {
        let mut report = of(vec![
            findings::missing("bao/app/dark"),
            findings::missing("bao/app/quiet"),
            findings::missing("bao/app/gone"),
        ]);
        (report.failed, report.read) = (Vec::new(), 4);
        report.judged.insert("bao/app/dark".into());
        report
    };
    assert!(sarif::refusal(&before).is_none());
    let written = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(written.path(), render(&before, Form::Sarif)).unwrap();
    let previous = sarif::previous(written.path()).unwrap();
    // `dark` is a gap now, and `quiet` was put right.
    let now = of(vec![findings::missing("bao/app/gone")]);
    assert_eq!(sarif::refusal(&now).unwrap().code, "E-REPORT-PARTIAL");
    let told = |report: &Report, previous: Option<&sarif::Previous>| {
        let all = sarif::render(report, previous);
        valid(&sarif_schema(), &all);
        as_github_takes_it(&all);
        let run = &all["runs"][0];
        assert_eq!(run["invocations"][0]["executionSuccessful"], false);
        let results = run["results"].as_array().unwrap().iter();
        let subjects = results.map(|one| one["properties"]["subject"].as_str().unwrap().to_owned());
        let mut subjects: Vec<String> = subjects.collect();
        subjects.sort();
        subjects.join(" ").replace("bao/app/", "")
    };
    assert_eq!(told(&now, Some(&previous)), "dark gone");
    assert_eq!(told(&now, None), "gone");
    // And carried forward once more.
    std::fs::write(written.path(), sarif::render(&now, Some(&previous)).to_string()).unwrap();
    let once_more = sarif::previous(written.path()).unwrap();
    assert_eq!(told(&now, Some(&once_more)), "dark gone");
    // What was not asked for is unread too.
    let mut asked = of(Vec::new());
    asked.failed.clear();
    (asked.expected, asked.narrowed) = (3, true);
    asked.left_out = ["bao/app/dark".to_owned()].into();
    assert!(sarif::refusal(&asked).is_some());
    assert_eq!(told(&asked, Some(&previous)), "dark");
    asked.allow_partial = true;
    assert!(sarif::refusal(&asked).is_none());
    std::fs::write(written.path(), "{}").unwrap();
    assert_eq!(sarif::previous(written.path()).unwrap_err().code, "E-REPORT-PREVIOUS");
}

#[test]
fn what_platforms_call_things_is_no_markup_in_any_form() {
    let report = hostile();
    for form in Form::value_variants() {
        let said = render(&report, *form);
        for bad in ['\u{202e}', '\u{1b}', '\u{0}', '\r'] {
            assert!(!said.contains(bad), "{form:?} has {bad:?}: {said}");
        }
        assert!(!said.contains("\n::error::x"), "{form:?}: {said}");
        if *form == Form::Github {
            let commands = said.lines().filter(|line| line.starts_with("::"));
            assert!(commands.count() <= 8, "{said}");
        }
    }
    for line in text::lines(&report, report.exit(), None) {
        assert!(!line.contains(['\n', '\r']), "{line:?}");
        assert!(!line.contains("[2J\u{1b}[32m"), "{line:?}");
    }
    let page = render(&report, Form::Html);
    assert_eq!(page.matches("<script").count(), 1);
    assert_eq!(page.matches("</script").count(), 1);
    assert!(!page.contains("<img") && page.contains("&lt;img"));
    let comment = render(&report, Form::Markdown);
    let bare = comment.replace(markdown::MARK, "");
    for bad in ["<img", "<script", "](", "@octocat", "`", "&amp;amp;"] {
        assert!(!bare.contains(bad), "{bad}: {comment}");
    }
    for row in bare.lines().filter(|line| line.starts_with('|')) {
        assert_eq!(row.matches('|').count(), 5, "{row}");
    }
    // Nor does a name become a link by itself, which <code> does not keep from.
    for bad in ["://", "&#64;o"] {
        assert!(!bare.contains(bad), "{bad}: {comment}");
    }
    let xml = render(&report, Form::Junit);
    let tree = roxmltree::Document::parse(&xml).unwrap();
    let cases = tree.descendants().filter(|one| one.has_tag_name("testcase"));
    assert!(cases.filter(|one| one.attribute("name").unwrap().contains("<img")).count() == 1);
}

#[test]
fn a_comment_is_never_longer_than_github_takes() {
    for count in [0, 1, 26, 400, 5_000] {
        let said = render(&many(count), Form::Markdown);
        assert!(said.len() <= 65_536, "{count}: {}", said.len());
        assert_eq!(said.matches("<details>").count(), said.matches("</details>").count());
        assert_eq!(said.contains("did not fit"), count >= 400, "{count}");
        assert!(said.starts_with("<!-- nhi:drift -->\n"));
    }
    let mut report = hostile();
    let one = report.failed.pop().unwrap();
    report.failed = vec![one; 5_000];
    assert!(render(&report, Form::Markdown).len() <= 65_536);
}

#[test]
fn each_declared_object_is_a_test_case_and_the_sums_are_right() {
    for report in [report(), hostile(), of(Vec::new()), many(5)] {
        let xml = render(&report, Form::Junit);
        let tree = roxmltree::Document::parse(&xml).unwrap();
        let suite = tree.descendants().find(|one| one.has_tag_name("testsuite")).unwrap();
        let cases: Vec<_> = suite.children().filter(|one| one.has_tag_name("testcase")).collect();
        let with = |name: &str| {
            let has =
                |case: &&roxmltree::Node<'_, '_>| case.children().any(|one| one.has_tag_name(name));
            cases.iter().filter(has).count().to_string()
        };
        assert_eq!(suite.attribute("tests"), Some(cases.len().to_string().as_str()));
        assert_eq!(suite.attribute("failures"), Some(with("failure").as_str()));
        assert_eq!(suite.attribute("skipped"), Some(with("skipped").as_str()));
        let names: Vec<_> = cases.iter().map(|one| one.attribute("name").unwrap()).collect();
        for object in &report.objects {
            let shown = spelled(&object.id);
            assert_eq!(names.iter().filter(|one| **one == shown).count(), 1, "{shown}");
        }
        let failures = suite.descendants().filter(|one| one.has_tag_name("failure")).count();
        let counted = report.found.iter().filter(|one| report.counts(one)).count();
        assert_eq!(failures, counted);
    }
}

/// What OpenMetrics 1.0 asks of a text, as far as one of this kind can break it.
#[test]
fn the_report_for_prometheus_is_well_formed() {
    for report in [report(), hostile(), of(Vec::new())] {
        let said = render(&report, Form::Openmetrics);
        let mut lines: Vec<&str> = said.lines().collect();
        assert_eq!(lines.pop(), Some("# EOF"));
        assert!(!lines.contains(&"") && !lines.contains(&"# EOF"));
        let (mut family, mut seen) = ("", std::collections::BTreeSet::new());
        for line in lines {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                family = rest.split(' ').next().unwrap();
                assert!(seen.insert(family.to_owned()), "{family} is told in one piece");
            } else if let Some(rest) = line.strip_prefix("# UNIT ") {
                let unit = rest.split(' ').nth(1).unwrap();
                assert!(family.ends_with(&format!("_{unit}")), "{line}");
            } else if !line.starts_with("# HELP ") {
                let (name, value) = line.rsplit_once(' ').unwrap();
                let name = name.split('{').next().unwrap();
                assert!(name == family || name == format!("{family}_info"), "{line}");
                value.parse::<f64>().unwrap();
                assert!(seen.insert(line.rsplit_once(' ').unwrap().0.to_owned() + " "), "{line}");
            }
        }
    }
}

#[test]
fn the_page_allows_its_own_script_and_style_and_nothing_else() {
    let page = render(&report(), Form::Html);
    let between = |begin: &str, end: &str| {
        page.split_once(begin).unwrap().1.split_once(end).unwrap().0.to_owned()
    };
    let rules = between("Content-Security-Policy\" content=\"", "\"");
    for (begin, end) in [("<style>", "</style>"), ("<script>", "</script>")] {
        let text = between(begin, end);
        let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
        let digest = data_encoding::BASE64.encode(digest.as_ref());
        assert!(rules.contains(&format!("'sha256-{digest}'")), "{begin}");
    }
    assert!(rules.starts_with("default-src 'none';") && !rules.contains("unsafe"));
    for bad in ["http://", "https://", " style=", " onclick=", "src="] {
        assert!(!page.contains(bad), "{bad}");
    }
}
