//! The report of a scanner that found secrets by their looks: gitleaks, or ggshield. Which of them are
//! ours, and live, it cannot know.

use std::{fs::File, io::Read as _, path::Path};

use operations::Problem;
use serde_json::Value;

use super::{Looked, Looking, Place, Wanted, candidates};

/// Larger reports are refused.
const LARGEST: u64 = 256 * 1024 * 1024;
/// The members in which scanners put what they found.
const SECRETS: [&str; 3] = ["Secret", "Match", "match"];

fn unfit(path: &Path, why: &str) -> Problem {
    Problem::new("E-LEAKS-REPORT", "This report cannot be read")
        .detail(format!("{}: {why}", path.display()))
        .next(
            "name what gitleaks detect --report-format json, or ggshield secret scan --json \
             --show-secrets, wrote",
        )
}

/// Looks at what a report names. Texts of it are compared and dropped.
///
/// # Errors
///
/// It is no such report.
pub(crate) fn look(path: &Path, wanted: &Wanted<'_>) -> Result<Looked, Problem> {
    let mut text = Vec::new();
    let read = File::open(path).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut text));
    read.map_err(|error| unfit(path, &format!("{error}.")))?;
    if text.len() as u64 > LARGEST {
        return Err(unfit(path, "it is larger than 256 MiB."));
    }
    let report: Value = serde_json::from_slice(&text)
        .map_err(|error| unfit(path, &format!("line {}: it is no JSON.", error.line())))?;
    let mut looked = Looked { bytes: text.len() as u64, ..Looked::default() };
    let mut looking = Looking::new(wanted);
    match &report {
        // gitleaks: a list, empty where it found nothing.
        Value::Array(_) => {}
        // ggshield.
        Value::Object(members)
            if members.contains_key("scans")
                || members.contains_key("entities_with_incidents")
                || members.contains_key("total_incidents") => {}
        _ => return Err(unfit(path, "it is neither a list of leaks nor a scan with incidents.")),
    }
    walk(
        &report,
        &Place { file: String::new(), line: None, commit: None },
        &mut looking,
        &mut looked,
    );
    // A list of something else is not clean.
    if looked.files == 0 && report.as_array().is_some_and(|all| !all.is_empty()) {
        return Err(unfit(path, "nothing in its list is a secret that a scanner found."));
    }
    looked.pieces = looking.pieces;
    Ok(looked.settle())
}

/// Whether only the beginning of a secret is there, as gitleaks writes it with --redact=50.
fn is_cut(text: &str) -> bool {
    text.ends_with("...") || text.ends_with('…')
}

fn walk(value: &Value, above: &Place, looking: &mut Looking<'_>, looked: &mut Looked) {
    match value {
        Value::Array(all) => all.iter().for_each(|one| walk(one, above, looking, looked)),
        Value::Object(members) => {
            let text = |names: &[&str]| {
                let found = names.iter().find_map(|name| members.get(*name)?.as_str());
                found.filter(|text| !text.is_empty()).map(str::to_owned)
            };
            let line = ["StartLine", "line_start", "start_line"];
            let line = line.iter().find_map(|name| members.get(*name)?.as_u64());
            let place = Place {
                file: text(&["File", "filename"]).unwrap_or_else(|| above.file.clone()),
                line: line.or(above.line),
                commit: text(&["Commit", "sha"]).or_else(|| above.commit.clone()),
            };
            let mut compared = false;
            let texts = || SECRETS.iter().filter_map(|name| members.get(*name)?.as_str());
            // What is cut short stands so in what is around it, too.
            let cut = texts().find(|text| is_cut(text));
            for secret in texts() {
                compared = true;
                if secret.contains("REDACTED")
                    || secret.contains("***")
                    || cut.is_some_and(|cut| secret.contains(cut))
                {
                    looked.skip("findings whose secret the scanner left out", &place.to_string());
                    continue;
                }
                let mut found = Vec::new();
                found.extend(looking.known(secret.as_bytes()));
                found.extend(looking.known(secret.trim().as_bytes()));
                found
                    .extend(looking.in_text(secret.as_bytes()).into_iter().map(|(_, which)| which));
                candidates::of_line(secret.as_bytes(), &mut |piece| {
                    found.extend(looking.known(piece));
                });
                for which in found {
                    looked.found.entry(which).or_default().push(place.clone());
                }
            }
            looked.files += u64::from(compared);
            members.values().for_each(|one| walk(one, &place, looking, looked));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use domain::{RealmKey, Secret};
    use serde_json::json;

    use super::*;

    const SECRET: &str = "0f6d0c5c-6a8e-4a0f-9f2e-3f0e7a3f2b11";

    fn looked(report: &Value) -> Result<Looked, Problem> {
        let key = RealmKey::new(&Secret::new("k".repeat(40))).unwrap();
        let print = key.fingerprint(&Secret::new(SECRET)).0;
        let wanted = Wanted::new(&key, [print.as_str()]);
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), report.to_string()).unwrap();
        look(file.path(), &wanted)
    }

    #[test]
    fn what_a_scanner_found_is_told_with_its_place_where_it_is_ours() {
        let gitleaks = json!([
            { "RuleID": "generic-api-key", "StartLine": 4, "File": "a.env", "Commit": "0123456789abcdef",
              "Match": format!("SECRET_ID={SECRET}"), "Secret": SECRET },
            { "RuleID": "x", "StartLine": 1, "File": "b", "Commit": "", "Match": "y", "Secret": "another-one" },
        ]);
        let found = looked(&gitleaks).unwrap();
        assert_eq!(found.found[&0].len(), 1);
        assert_eq!(found.found[&0][0].to_string(), "a.env:4 (commit 0123456789ab)");
        assert_eq!((found.files, found.skipped.len()), (2, 0));
        let ggshield = json!({
            "id": "x", "type": "path_scan", "total_incidents": 1,
            "entities_with_incidents": [{ "filename": "c/d.py", "incidents": [{
                "policy": "Secrets detection", "occurrences": [
                    { "match": SECRET, "type": "apikey", "line_start": 7, "line_end": 7 }
                ]
            }] }]
        });
        assert_eq!(looked(&ggshield).unwrap().found[&0][0].to_string(), "c/d.py:7");
    }

    #[test]
    fn what_a_scanner_left_out_is_told_and_what_is_no_report_is_refused() {
        let redacted =
            json!([{ "File": "a", "StartLine": 1, "Match": "X=REDACTED", "Secret": "REDACTED" }]);
        let found = looked(&redacted).unwrap();
        assert!(found.found.is_empty());
        assert_eq!(found.skipped.values().next().unwrap().0, 2);
        assert!(looked(&json!([])).unwrap().found.is_empty());
        let cut =
            json!([{ "File": "a", "Match": "X=0f6d0c5c-6a... ", "Secret": "0f6d0c5c-6a..." }]);
        assert_eq!(looked(&cut).unwrap().skipped.values().next().unwrap().0, 2);
        let other = json!([{ "SourceMetadata": {}, "Raw": SECRET }]);
        for wrong in [json!({}), json!("x"), json!({ "runs": [] }), other] {
            assert_eq!(looked(&wrong).unwrap_err().code, "E-LEAKS-REPORT");
        }
    }
}
