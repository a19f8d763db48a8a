//! What we write beside a role, in its comment: the record, and what is known of its password. The
//! comment that people wrote stays before it.

use domain::Record;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What stands before ours, on a line of its own.
const OURS: &str = "nhi: ";

/// A role's comment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Note {
    /// What people wrote.
    pub(crate) theirs: String,
    /// The record, where it is readable.
    pub(crate) record: Option<Record>,
    /// What we know of the password.
    pub(crate) password: Option<Known>,
    /// It is one of two that sign in for the role of this oid.
    pub(crate) signs_in_for: Option<String>,
}

/// What is known of a password that we made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Known {
    /// Its key id. Another one that is in force was made by somebody else.
    pub(crate) key: String,
    /// Our marker.
    pub(crate) marker: String,
    /// When, by the server's clock, in microseconds: sessions from before have another password.
    pub(crate) at: i64,
    /// It is switched off by itself, and not with its role: switching that on leaves it off.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) off: bool,
}

#[derive(Serialize, Deserialize)]
struct Written {
    #[serde(skip_serializing_if = "Option::is_none")]
    record: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<Known>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signs_in_for: Option<String>,
}

impl Note {
    /// Reads a comment. What is not ours, or not readable, is theirs.
    pub(crate) fn read(comment: Option<&str>) -> Note {
        let comment = comment.unwrap_or_default();
        let (theirs, ours) = match comment.rfind(&format!("\n{OURS}")) {
            Some(at) => (&comment[..at], &comment[at + 1..]),
            None => ("", comment),
        };
        let written =
            ours.strip_prefix(OURS).and_then(|ours| serde_json::from_str::<Written>(ours).ok());
        match written {
            None => Note { theirs: comment.to_owned(), ..Note::default() },
            Some(written) => Note {
                theirs: theirs.to_owned(),
                record: written.record.and_then(|one| Record::from_json(&one.to_string()).ok()),
                password: written.password,
                signs_in_for: written.signs_in_for,
            },
        }
    }

    /// The comment, to be written.
    pub(crate) fn text(&self) -> String {
        if self.record.is_none() && self.password.is_none() && self.signs_in_for.is_none() {
            return self.theirs.clone();
        }
        let record = self.record.as_ref().map(Record::to_json);
        let record = record.and_then(|one| serde_json::from_str(&one).ok());
        let written = Written {
            record,
            password: self.password.clone(),
            signs_in_for: self.signs_in_for.clone(),
        };
        let ours = serde_json::to_string(&written).unwrap_or_default();
        match self.theirs.is_empty() {
            true => format!("{OURS}{ours}"),
            false => format!("{}\n{OURS}{ours}", self.theirs),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_wrote_stays_before_ours() {
        let known = Known { key: "k".into(), marker: "nhi1-x".into(), at: 7, off: false };
        let record = Record { purpose: Some("it's\nso".into()), ..Record::default() };
        for theirs in ["", "Ask Bob", "two\nlines", "nhi: not json", "{\"a\":1}\n"] {
            let mut note = Note::read(Some(theirs));
            assert_eq!((note.text().as_str(), &note.record), (theirs, &None));
            note.record = Some(record.clone());
            note.password = Some(known.clone());
            note.signs_in_for = Some("16384".into());
            let text = note.text();
            assert!(text.starts_with(theirs) && text.lines().last().unwrap().starts_with(OURS));
            assert_eq!(Note::read(Some(&text)), note);
        }
        assert_eq!(Note::read(None), Note::default());
    }
}
