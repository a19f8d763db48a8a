//! What is written in a token's name, the only place of a token for words of ours.
//!
//! | the token's name | what it is |
//! |---|---|
//! | `checkout nhi1-…` | a credential of `checkout`, with our marker |
//! | `checkout nhi-record <incarnation> {…}` | the record of `checkout`, in a token that ended before it began |
//! | anything else | a credential that somebody made by hand, of the integration of just that name |

pub(crate) use connector::marked::marked;
use connector::marked::split_mark;

/// What tells a record.
const RECORD: &str = " nhi-record ";

/// A token's name, read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Name<'a> {
    /// The integration that it belongs to.
    pub(crate) of: &'a str,
    /// What is said beside.
    pub(crate) beside: Beside<'a>,
}

/// What stands beside the integration's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beside<'a> {
    /// Nothing of ours.
    Nothing,
    /// A marker.
    Marker(&'a str),
    /// A record.
    Record {
        /// Which making of the integration it is about.
        incarnation: &'a str,
        /// The record's own text.
        text: &'a str,
    },
}

/// Reads a token's name. What somebody else named may have spaces in it, so that a marker is looked for
/// at the end, and a record, which is all words itself, from its beginning on.
pub(crate) fn read(text: &str) -> Name<'_> {
    let theirs = Name { of: text, beside: Beside::Nothing };
    if let Some((of, record)) = text.split_once(RECORD).filter(|(of, _)| !of.is_empty()) {
        return match record.split_once(' ') {
            Some((incarnation, text)) if !incarnation.is_empty() => {
                Name { of, beside: Beside::Record { incarnation, text } }
            }
            _ => theirs,
        };
    }
    split_mark(text).map_or(theirs, |(of, rest)| Name { of, beside: Beside::Marker(rest) })
}

/// The name that keeps a record.
pub(crate) fn recorded(of: &str, incarnation: &str, record: &str) -> String {
    format!("{of}{RECORD}{incarnation} {record}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_says_whose_a_token_is_and_what_it_is_for() {
        let text = marked("checkout", "nhi1-k3x9q2-abcdefgh-g1-e1-m");
        let marker = Beside::Marker("nhi1-k3x9q2-abcdefgh-g1-e1-m");
        assert_eq!(read(&text), Name { of: "checkout", beside: marker });
        for of in ["checkout", "my shop"] {
            let text = recorded(of, "a1", "{\"purpose\":\"a nhi1-b\"}");
            let record = Beside::Record { incarnation: "a1", text: "{\"purpose\":\"a nhi1-b\"}" };
            assert_eq!(read(&text), Name { of, beside: record });
        }
        assert_eq!(read(&marked("my shop", "nhi1-x")).of, "my shop");
    }

    #[test]
    fn what_somebody_else_made_is_an_integration_of_just_that_name() {
        for theirs in [
            "checkout",
            "my shop",
            " nhi1-x",
            "",
            "shop nhi-record",
            "shop nhi1-x y",
            "a nhi-record  {}",
        ] {
            assert_eq!(read(theirs), Name { of: theirs, beside: Beside::Nothing });
        }
    }

    proptest! {
        #[test]
        fn no_name_makes_it_panic(text in "\\PC*") {
            prop_assert!(text.starts_with(read(&text).of));
        }
    }
}
