//! The mirror, in a secret's tags.
//!
//! A tag's value has 256 characters of few kinds, and a secret has 50 tags, some of them others'.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use secrets::Mirror;

/// What stands before our keys, so that other people's stay theirs.
const OURS: &str = "nhi:";
/// The longest value of a tag.
const LONGEST: usize = 256;
/// How many tags a secret has.
pub(super) const TAGS: usize = 50;
/// What a value begins with that is not as it stands: `=<how many pieces>=<base64>`.
const ENCODED: char = '=';

/// Whether a tag is one of ours.
pub(super) fn is_ours(key: &str) -> bool {
    key.starts_with(OURS)
}

/// Whether AWS takes a text as a tag's value, and it is not taken for an encoded one.
fn is_plain(text: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"_.:/=+-@ ".contains(&b);
    let trimmed = text.trim() == text;
    trimmed && text.len() <= LONGEST && !text.starts_with(ENCODED) && text.bytes().all(fits)
}

fn key(name: &str, piece: usize) -> String {
    if piece == 0 { format!("{OURS}{name}") } else { format!("{OURS}{name}.{piece}") }
}

/// The tags of a mirror: values as they are where a tag takes them, else encoded, in pieces where they
/// are long. The first piece says how many there are, so that what is left of a longer one is none of it.
/// Empty values are left out.
pub(super) fn fold(mirror: &Mirror) -> BTreeMap<String, String> {
    let mut tags = BTreeMap::new();
    for (name, value) in mirror.iter().filter(|(_, value)| !value.is_empty()) {
        if is_plain(value) {
            tags.insert(key(name, 0), value.clone());
            continue;
        }
        let text = URL_SAFE_NO_PAD.encode(value);
        let head = |count: usize| format!("{ENCODED}{count}{ENCODED}");
        // The number itself takes room.
        let room = LONGEST - head(TAGS).len();
        let count = 1 + text.len().saturating_sub(room).div_ceil(LONGEST);
        let (first, rest) = text.split_at(text.len().min(room));
        tags.insert(key(name, 0), head(count) + first);
        for (at, piece) in rest.as_bytes().chunks(LONGEST).enumerate() {
            tags.insert(key(name, at + 1), String::from_utf8_lossy(piece).into_owned());
        }
    }
    tags
}

/// The mirror in a secret's tags. What is not whole is left out: it then differs from what it should be,
/// and is written again.
pub(super) fn unfold(tags: &BTreeMap<String, String>) -> Mirror {
    let ours = tags.iter().filter_map(|(key, value)| Some((key.strip_prefix(OURS)?, value)));
    let mut mirror = Mirror::new();
    for (name, value) in ours.filter(|(name, _)| !name.contains('.')) {
        let whole = match value.strip_prefix(ENCODED) {
            None => Some(value.clone()),
            Some(rest) => joined(tags, name, rest),
        };
        mirror.extend(whole.map(|whole| (name.to_owned(), whole)));
    }
    mirror
}

fn joined(tags: &BTreeMap<String, String>, name: &str, first: &str) -> Option<String> {
    let (count, first) = first.split_once(ENCODED)?;
    let count: usize = count.parse().ok().filter(|count| (1..=TAGS).contains(count))?;
    let mut text = first.to_owned();
    for piece in 1..count {
        text.push_str(tags.get(&key(name, piece))?);
    }
    String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_mirror_survives_its_place_and_its_limits(
            mirror in prop::collection::btree_map("[a-z_]{1,12}", "[a-zA-Z0-9=,;:ä€ \\n]{1,900}", 0..6),
        ) {
            let tags = fold(&mirror);
            for (key, value) in &tags {
                let allowed = |b: u8| b.is_ascii_alphanumeric() || b"_.:/=+-@ ".contains(&b);
                prop_assert!(value.len() <= LONGEST && value.bytes().all(allowed), "{key}: {value}");
                prop_assert!(is_ours(key) && key.bytes().all(allowed), "{key}");
            }
            prop_assert_eq!(unfold(&tags), mirror);
        }
    }

    #[test]
    fn tags_of_others_are_not_in_the_mirror_and_what_is_plain_can_be_read_in_a_console() {
        let mirror = Mirror::from([
            ("gen".to_owned(), "7".to_owned()),
            ("key".to_owned(), "AKIA1".to_owned()),
            ("none".to_owned(), String::new()),
        ]);
        let mut tags = fold(&mirror);
        assert_eq!(tags["nhi:gen"], "7");
        assert_eq!(tags.len(), 2);
        tags.insert("team".into(), "x".into());
        assert_eq!(unfold(&tags).len(), 2);
    }

    #[test]
    fn what_is_left_of_a_longer_value_is_none_of_a_shorter_one_and_half_a_value_is_none() {
        let long = fold(&Mirror::from([("previous".into(), "ä;".repeat(400))]));
        let short = Mirror::from([("previous".into(), "ä;".into())]);
        let mut both = long.clone();
        both.extend(fold(&short));
        assert_eq!(unfold(&both), short);
        let mut half = long;
        half.remove("nhi:previous.1");
        assert_eq!(unfold(&half), Mirror::new());
    }
}
