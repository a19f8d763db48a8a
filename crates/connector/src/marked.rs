//! Names with a mark of ours behind them, for platforms that keep nothing else beside a credential.
//!
//! `checkout nhi1-…` is a credential of `checkout`, with our marker.

/// What every marker of ours begins with.
const MARKERS: [&str; 2] = ["nhi1-", "n1"];

/// The name of what bears a mark.
pub fn marked(of: &str, mark: &str) -> String {
    format!("{of} {mark}")
}

/// What stands before a mark, and the mark. What somebody else named may have blanks in it.
pub fn split_mark(text: &str) -> Option<(&str, &str)> {
    text.rsplit_once(' ')
        .filter(|(of, mark)| !of.is_empty() && MARKERS.iter().any(|ours| mark.starts_with(ours)))
}

/// Why a name of ours cannot stand before a mark: it is as narrow as names elsewhere. What somebody else
/// named is taken in as it is.
pub fn refuse_name(name: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let fits = name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(plain)
        && name.len() <= 100;
    (!fits).then(|| {
        format!(
            "{name:?} cannot name tokens of ours: letters, digits, \"-\", \"_\" and \".\", a letter or digit \
             first, at most 100"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_found_behind_whatever_name_and_nothing_else_is_one() {
        let mark = "nhi1-k3x9q2-abcdefgh-g1-e1-m";
        for of in ["checkout", "my shop"] {
            assert_eq!(split_mark(&marked(of, mark)), Some((of, mark)));
        }
        for theirs in ["checkout", " nhi1-x", "", "shop nhi1-x y", "nhi1-x", "shop nhi"] {
            assert_eq!(split_mark(theirs), None, "{theirs}");
        }
    }

    #[test]
    fn names_that_could_be_taken_for_something_else_are_refused() {
        for good in ["checkout", "Checkout-2", "a.b_c", "7"] {
            assert_eq!(refuse_name(good), None, "{good}");
        }
        for bad in ["", "-a", "a/b", "a b", "ä", "a:b", &"x".repeat(101)] {
            assert!(refuse_name(bad).is_some(), "{bad}");
        }
    }
}
