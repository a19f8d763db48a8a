//! What we keep on a user: the record, in pieces, and a mark for each access key.
//!
//! A tag's value has 256 characters of few kinds, and a user has 50 tags, some of them others'.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::Record;

/// The first piece; the others have a number behind it.
const RECORD: &str = "nhi:record";
/// How long a value may be.
const LONGEST: usize = 256;
/// What is left to others, and to marks.
const PIECES: usize = 36;

/// Tags by key.
pub(crate) type Tags = BTreeMap<String, String>;

fn key(piece: usize) -> String {
    if piece == 0 { RECORD.to_owned() } else { format!("{RECORD}.{piece}") }
}

/// Whether a tag is a piece of a record.
fn is_piece(name: &str) -> bool {
    name == RECORD
        || name
            .strip_prefix(RECORD)
            .and_then(|rest| rest.strip_prefix('.'))
            .is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
}

/// The tags of a record; `None` where it is longer than a user has room for. The first piece says how
/// many there are, so that what is left of a longer one before is none of it.
pub(crate) fn write(record: &Record) -> Option<Tags> {
    let text = URL_SAFE_NO_PAD.encode(record.to_json());
    let head = |count: usize| format!("{count}:");
    // The number itself takes room.
    let room = LONGEST - head(PIECES).len();
    let count = 1 + text.len().saturating_sub(room).div_ceil(LONGEST);
    if count > PIECES {
        return None;
    }
    let (first, rest) = text.split_at(text.len().min(room));
    let mut tags = Tags::from([(key(0), head(count) + first)]);
    for (at, piece) in rest.as_bytes().chunks(LONGEST).enumerate() {
        tags.insert(key(at + 1), String::from_utf8_lossy(piece).into_owned());
    }
    Some(tags)
}

/// The record in a user's tags; `None` where there is none, an error in words where it cannot be read.
pub(crate) fn read(tags: &Tags) -> Option<Result<Record, String>> {
    let first = tags.get(RECORD)?;
    let whole = || {
        let (count, first) = first.split_once(':')?;
        let count: usize = count.parse().ok().filter(|count| (1..=PIECES).contains(count))?;
        let mut text = first.to_owned();
        for piece in 1..count {
            text.push_str(tags.get(&key(piece))?);
        }
        String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()
    };
    Some(match whole() {
        Some(text) => Record::from_json(&text).map_err(|error| error.to_string()),
        None => Err(format!("the tags {RECORD}… are not whole")),
    })
}

/// Pieces that a record of these tags has no use for.
pub(crate) fn superfluous(there: &Tags, wanted: &Tags) -> Vec<String> {
    there.keys().filter(|name| is_piece(name) && !wanted.contains_key(*name)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(length: usize) -> Record {
        Record { purpose: Some("ä/€ \"\\ ".repeat(length)), ..Record::default() }
    }

    #[test]
    fn a_record_of_any_length_reads_as_it_was_written_and_fits_tags() {
        for length in [0, 1, 10, 20, 30, 40, 100, 300] {
            let written = write(&record(length)).unwrap();
            assert_eq!(read(&written), Some(Ok(record(length))), "{length}");
            for (name, value) in &written {
                assert!(is_piece(name) && !value.is_empty() && value.len() <= LONGEST, "{name}");
                let allowed = |b: u8| b.is_ascii_alphanumeric() || b"_.:/=+-@ ".contains(&b);
                assert!(value.bytes().all(allowed), "{value}");
            }
        }
        assert_eq!(write(&record(3000)), None);
    }

    #[test]
    fn what_is_left_of_a_longer_record_is_none_of_a_shorter_one() {
        let (long, short) = (write(&record(100)).unwrap(), write(&record(1)).unwrap());
        let mut both = long.clone();
        both.extend(short.clone());
        both.insert("nhi:record.of-others".into(), "x".into());
        assert_eq!(read(&both), Some(Ok(record(1))));
        assert_eq!(superfluous(&both, &short).len(), long.len() - short.len());
    }

    #[test]
    fn a_record_that_is_not_whole_is_said_to_be_so() {
        let mut tags = write(&record(100)).unwrap();
        tags.remove("nhi:record.1");
        assert!(matches!(read(&tags), Some(Err(_))));
        assert!(matches!(read(&Tags::from([(RECORD.into(), "x".into())])), Some(Err(_))));
        assert_eq!(read(&Tags::new()), None);
    }
}
