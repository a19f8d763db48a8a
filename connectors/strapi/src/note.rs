//! What is written in the description of an integration's own token, behind what people wrote there:
//! which set of pieces is its record, and whether somebody holds the token's secret.
//!
//! A description has 255 characters in most databases, so that the record itself stands in the
//! descriptions of further tokens.

use data_encoding::HEXLOWER;
use domain::Record;
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

/// What stands before ours, on a line of its own.
const OURS: &str = "nhi: ";
/// How many characters a description has room for.
pub(crate) const ROOM: usize = 255;
/// How many of them are a piece's; two stand around it, since Strapi cuts blanks off.
const PIECE: usize = 250;
/// More pieces than this are nobody's record.
const MOST: usize = 64;

/// A description.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Note {
    /// What people wrote.
    pub(crate) theirs: String,
    /// What we wrote; `None` where we never wrote.
    pub(crate) ours: Option<Ours>,
}

/// What we wrote.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ours {
    /// Which pieces are the record: `<set>.<count>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) record: Option<String>,
    /// The making of it has not finished.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) begun: bool,
    /// When the secret in force was made, in milliseconds; without it nobody holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) secret: Option<i64>,
}

impl Note {
    /// Reads a description. What is not ours, or not readable, is theirs.
    pub(crate) fn read(text: &str) -> Note {
        let (theirs, ours) = match text.rfind(&format!("\n{OURS}")) {
            Some(at) => (&text[..at], &text[at + 1..]),
            None => ("", text),
        };
        let ours = ours.strip_prefix(OURS).and_then(|ours| serde_json::from_str(ours).ok());
        let theirs = if ours.is_none() { text } else { theirs };
        Note { theirs: theirs.to_owned(), ours }
    }

    /// The description, to be written.
    pub(crate) fn text(&self) -> String {
        let Some(ours) = &self.ours else { return self.theirs.clone() };
        let ours = serde_json::to_string(ours).unwrap_or_default();
        match self.theirs.is_empty() {
            true => format!("{OURS}{ours}"),
            false => format!("{}\n{OURS}{ours}", self.theirs),
        }
    }
}

/// A record in pieces.
#[derive(Debug)]
pub(crate) struct Pieces {
    /// What tells this record from others.
    pub(crate) set: String,
    /// Descriptions, in order.
    pub(crate) texts: Vec<String>,
}

impl Pieces {
    pub(crate) fn of(record: &Record) -> Pieces {
        let text = record.to_json();
        let all: Vec<char> = text.chars().collect();
        let texts = all.chunks(PIECE).map(|one| format!("|{}|", one.iter().collect::<String>()));
        Pieces { set: set_of(&text), texts: texts.collect() }
    }

    /// What the note says of them.
    pub(crate) fn named(&self) -> String {
        format!("{}.{}", self.set, self.texts.len())
    }
}

/// The record that a note names, of the pieces that are there; `None` where one is missing or another.
pub(crate) fn record<'a>(
    named: &str,
    piece: impl Fn(&str, usize) -> Option<&'a str>,
) -> Option<Record> {
    let (set, count) = named.split_once('.')?;
    let count: usize = count.parse().ok().filter(|count| *count <= MOST)?;
    let mut text = String::new();
    for number in 1..=count {
        text.push_str(piece(set, number)?.strip_prefix('|')?.strip_suffix('|')?);
    }
    (set_of(&text) == set).then(|| Record::from_json(&text).ok()).flatten()
}

fn set_of(text: &str) -> String {
    let digest = digest(&SHA256, text.as_bytes());
    HEXLOWER.encode(digest.as_ref().get(..4).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_wrote_stays_before_ours() {
        for theirs in ["", "Ask Bob", "two\nlines", "nhi: not json", "{\"a\":1}"] {
            let mut note = Note::read(theirs);
            assert_eq!((note.text().as_str(), &note.ours), (theirs, &None));
            let ours = Ours { record: Some("5c1f02aa.2".into()), begun: true, secret: Some(7) };
            note.ours = Some(ours);
            let text = note.text();
            assert!(text.starts_with(theirs) && text.lines().last().unwrap().starts_with(OURS));
            assert_eq!(Note::read(&text), note);
        }
        let longest =
            Ours { record: Some("5c1f02aa.64".into()), begun: true, secret: Some(i64::MAX) };
        let longest = Note { theirs: String::new(), ours: Some(longest) };
        assert!(longest.text().len() < ROOM / 2, "{}", longest.text());
    }

    #[test]
    fn a_record_is_read_from_all_its_pieces_and_from_nothing_else() {
        let long = "Why, and \"so\" on € ".repeat(40);
        for purpose in ["short", long.as_str()] {
            let record_ = Record { purpose: Some(purpose.into()), ..Record::default() };
            let pieces = Pieces::of(&record_);
            assert!(
                pieces.texts.iter().all(|one| one.chars().count() <= ROOM && one.trim() == one)
            );
            let named = pieces.named();
            let there = |set: &str, number: usize| {
                assert_eq!(set, pieces.set);
                pieces.texts.get(number - 1).map(String::as_str)
            };
            assert_eq!(record(&named, there), Some(record_));
            let last = pieces.texts.len();
            assert_eq!(record(&named, |set, n| there(set, n).filter(|_| n != last)), None);
            assert_eq!(record(&named, |_, _| Some("|{\"v\":1}|")), None);
        }
        for bad in ["", "a", "a.b", "a.65", "5c1f02aa.0"] {
            assert_eq!(record(bad, |_, _| Some("|x|")), None, "{bad}");
        }
    }
}
