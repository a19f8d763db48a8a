//! What is written in a token's name, which no two tokens share.
//!
//! | the token's name | what it is |
//! |---|---|
//! | `checkout` | the integration `checkout`, whoever made it |
//! | `checkout nhi1-…` | a credential of `checkout`, with our marker |
//! | `checkout nhi-record <set>.<number>` | a piece of the record of `checkout`, in a token without power |

pub(crate) use connector::marked::marked;
use connector::marked::split_mark;

/// What tells a piece of a record.
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
    /// A piece of a record: of which set, and the how manieth.
    Piece(&'a str, usize),
}

/// Reads a token's name. What somebody else named may have spaces in it.
pub(crate) fn read(text: &str) -> Name<'_> {
    let theirs = Name { of: text, beside: Beside::Nothing };
    if let Some((of, piece)) = text.rsplit_once(RECORD).filter(|(of, _)| !of.is_empty()) {
        let piece = piece.split_once('.').filter(|(set, _)| !set.is_empty());
        let piece = piece.and_then(|(set, number)| Some((set, number.parse().ok()?)));
        return piece
            .map_or(theirs, |(set, number)| Name { of, beside: Beside::Piece(set, number) });
    }
    split_mark(text).map_or(theirs, |(of, rest)| Name { of, beside: Beside::Marker(rest) })
}

/// The name that keeps a piece of a record.
pub(crate) fn piece(of: &str, set: &str, number: usize) -> String {
    format!("{of}{RECORD}{set}.{number}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_says_whose_a_token_is_and_what_it_is_for() {
        for of in ["checkout", "my shop"] {
            let text = marked(of, "nhi1-k3x9q2-abcdefgh-g1-e1-m");
            let marker = Beside::Marker("nhi1-k3x9q2-abcdefgh-g1-e1-m");
            assert_eq!(read(&text), Name { of, beside: marker });
            let text = piece(of, "5c1f02aa", 12);
            assert_eq!(read(&text), Name { of, beside: Beside::Piece("5c1f02aa", 12) });
        }
    }

    #[test]
    fn what_somebody_else_made_is_an_integration_of_just_that_name() {
        for theirs in [
            "checkout",
            "Read Only",
            " nhi1-x",
            "",
            "shop nhi1-x y",
            "shop nhi-record ",
            "shop nhi-record .1",
            "shop nhi-record a.b",
            "shop nhi-record a",
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
