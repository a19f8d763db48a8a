//! A baseline: what is there now and somebody answers for, one entry for each finding, in a file that
//! people review.

use std::path::Path;

use jiff::civil::Date;
use operations::Problem;
use policy::waiver::{can_be_waived, state_of};
use serde_json::{Value, json};

use super::{Condition, Report, hex};

/// What the file calls its own form.
const FORM: &str = "nhi-baseline/1";

/// One finding, in one state, that somebody answers for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) print: [u8; 16],
    /// What tells this state of it from any other.
    pub(crate) state: [u8; 16],
    /// These three are for people: the fingerprint says which it is.
    pub(crate) rule: String,
    pub(crate) subject: String,
    pub(crate) facet: String,
    pub(crate) owner: String,
    pub(crate) reason: String,
    /// The last day.
    pub(crate) ends_on: Date,
}

/// Who answers for what a new baseline takes in.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) owner: String,
    pub(crate) reason: String,
    pub(crate) ends_on: Date,
}

/// Reads a baseline.
///
/// # Errors
///
/// It is not there, or no baseline: what cannot be read accepts nothing.
pub(crate) fn read(place: &Path) -> Result<Vec<Entry>, Problem> {
    let text = std::fs::read_to_string(place).map_err(|error| wrong(place, error.to_string()))?;
    let all: Value =
        serde_json::from_str(&text).map_err(|error| wrong(place, error.to_string()))?;
    entries(&all).map_err(|why| wrong(place, why))
}

fn wrong(place: &Path, why: String) -> Problem {
    Problem::new("E-BASELINE", "The baseline cannot be read")
        .detail(format!("{}: {why}.", place.display()))
        .next("correct it, or write it anew: nhi drift --write-baseline FILE")
}

fn entries(all: &Value) -> Result<Vec<Entry>, String> {
    if all["format"] != FORM {
        return Err(format!("it does not say \"format\": \"{FORM}\""));
    }
    let list = all["entries"].as_array().ok_or("it has no list of entries")?;
    list.iter()
        .enumerate()
        .map(|(at, one)| {
            let text = |name: &str| match one[name].as_str().map(str::trim) {
                Some(text) if !text.is_empty() => Ok(text.to_owned()),
                _ => Err(format!("entry {} has no {name}", at + 1)),
            };
            let bytes = |name: &str| {
                let bytes = data_encoding::HEXLOWER.decode(text(name)?.as_bytes()).ok();
                let bytes = bytes.and_then(|bytes| <[u8; 16]>::try_from(bytes).ok());
                bytes
                    .ok_or_else(|| format!("entry {}: {name} is not 32 hexadecimal digits", at + 1))
            };
            let day = text("ends_on")?;
            Ok(Entry {
                print: bytes("fingerprint")?,
                state: bytes("digest")?,
                rule: text("rule")?,
                subject: text("subject")?,
                facet: text("facet")?,
                owner: text("owner")?,
                reason: text("reason")?,
                ends_on: day.parse().map_err(|_| {
                    format!("entry {}: {day:?} is no day such as 2027-01-31", at + 1)
                })?,
            })
        })
        .collect()
}

/// A new baseline: entries of the former one that still hold as they are, those of what was not looked
/// at among them, and everything else that is found, in the words of whoever answers for it.
pub(crate) fn made(report: &Report, former: &[Entry], answer: &Answer) -> Vec<Entry> {
    let told = report.found.iter().filter(|one| {
        one.finding.condition > Condition::Note
            && can_be_waived(one.finding.rule)
            && one.finding.rule != "waiver-expired"
    });
    let today = report.at.to_zoned_datetime(jiff::tz::TimeZone::UTC).date();
    let entry = |one: &super::Found| {
        let state = state_of(&one.finding);
        let holds = |entry: &&Entry| {
            entry.print == one.print && entry.state == state && entry.ends_on >= today
        };
        former.iter().find(holds).cloned().unwrap_or_else(|| Entry {
            print: one.print,
            state,
            rule: one.finding.rule.to_owned(),
            subject: one.finding.subject.clone(),
            facet: one.finding.facet.clone(),
            owner: answer.owner.clone(),
            reason: answer.reason.clone(),
            ends_on: answer.ends_on,
        })
    };
    // Nobody knows that what was not read is gone.
    let unread = former.iter().filter(|entry| {
        entry.ends_on >= today
            && report.is_unread(&entry.subject)
            && report.found.iter().all(|one| one.print != entry.print)
    });
    told.map(entry).chain(unread.cloned()).collect()
}

/// The file, an entry in a paragraph, so that a review sees what came and went.
pub(crate) fn text(entries: &[Entry]) -> String {
    let entries = entries.iter().map(|one| {
        json!({
            "fingerprint": hex(&one.print), "digest": hex(&one.state), "rule": one.rule,
            "subject": one.subject, "facet": one.facet, "owner": one.owner, "reason": one.reason,
            "ends_on": one.ends_on.to_string(),
        })
    });
    let all = json!({ "format": FORM, "entries": entries.collect::<Vec<_>>() });
    serde_json::to_string_pretty(&all).unwrap_or_default()
}
