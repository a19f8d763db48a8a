//! What was last applied, kept in private state: it tells drift from a decision even where the
//! configuration ignores changes.
//!
//! With `ignore_changes` a plan is empty, and the next apply of anything would make the drifted
//! value the state's own. So every Read compares the world with what was applied, and warns.

use std::collections::BTreeMap;

use serde_json::Value;

/// Parts by name, in words.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Applied(pub(crate) BTreeMap<String, String>);

/// The member of private state that holds it.
const MEMBER: &str = "applied";

impl Applied {
    /// As private state has it.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        serde_json::json!({ MEMBER: self.0 }).to_string().into_bytes()
    }

    /// Out of private state; `None` where this is none of ours.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Applied> {
        let value: Value = serde_json::from_slice(bytes).ok()?;
        let parts = value.get(MEMBER)?.as_object()?;
        let text =
            |(name, value): (&String, &Value)| Some((name.clone(), value.as_str()?.to_owned()));
        parts.iter().map(text).collect::<Option<_>>().map(Applied)
    }

    /// Whether private state was written by an apply of ours: in the second half of a replacement
    /// it still is the old object's.
    pub(crate) fn is_in(bytes: &[u8]) -> bool {
        Applied::from_bytes(bytes).is_some()
    }

    /// What is otherwise now, a part each: `token_ttl was 1h and is 24h`.
    pub(crate) fn differs_from(&self, now: &Applied) -> Vec<String> {
        let names = self.0.keys().chain(now.0.keys().filter(|name| !self.0.contains_key(*name)));
        names
            .filter_map(|name| match (self.0.get(name), now.0.get(name)) {
                (before, after) if before == after => None,
                (Some(before), Some(after)) => Some(format!("{name} was {before} and is {after}")),
                (Some(before), None) => Some(format!("{name} was {before} and is gone")),
                (None, Some(after)) => Some(format!("{name} is {after}")),
                (None, None) => None,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(parts: &[(&str, &str)]) -> Applied {
        Applied(parts.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect())
    }

    #[test]
    fn it_reads_as_it_was_written_and_other_bytes_are_none() {
        let one = applied(&[("token_ttl", "1h")]);
        assert_eq!(Applied::from_bytes(&one.to_bytes()), Some(one));
        for other in [&b""[..], b"{}", b"[]", b"{\"applied\":3}", b"\xff"] {
            assert!(!Applied::is_in(other));
        }
    }

    #[test]
    fn each_part_that_moved_is_said_with_both_sides() {
        let before = applied(&[("cidrs", "10.0.0.0/8"), ("token_ttl", "1h"), ("type", "batch")]);
        let now = applied(&[("token_ttl", "24h"), ("type", "batch"), ("uses", "3")]);
        assert_eq!(
            before.differs_from(&now),
            ["cidrs was 10.0.0.0/8 and is gone", "token_ttl was 1h and is 24h", "uses is 3"]
        );
    }
}
