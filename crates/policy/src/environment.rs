//! Whether a scope reaches into another environment than its holder's.

use std::collections::{BTreeMap, BTreeSet};

/// The environment that a text names by one of the organization's words, where that is another one
/// than `ours`. A word counts where it stands alone between signs: `prod` is in `secret/data/prod/x`
/// and not in `secret/data/products`.
pub fn names_another<'a>(
    text: &str,
    ours: &str,
    words: &'a BTreeMap<String, BTreeSet<String>>,
) -> Option<&'a str> {
    let lower = text.to_lowercase();
    let parts: BTreeSet<&str> = lower.split(|c: char| !c.is_alphanumeric()).collect();
    let names = |all: &BTreeSet<String>| all.iter().any(|word| parts.contains(word.as_str()));
    // A word that is ours as well says nothing.
    if words.get(ours).is_some_and(names) {
        return None;
    }
    words.iter().find(|(name, all)| *name != ours && names(all)).map(|(name, _)| name.as_str())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn words() -> BTreeMap<String, BTreeSet<String>> {
        [("production", "prod live"), ("staging", "staging stage")]
            .map(|(name, all)| (name.to_owned(), all.split(' ').map(str::to_owned).collect()))
            .into()
    }

    #[test]
    fn a_word_of_another_environment_is_noticed_and_a_part_of_a_word_is_not() {
        let words = words();
        let another = |text, ours| names_another(text, ours, &words);
        assert_eq!(another("secret/data/prod/invoices:read", "staging"), Some("production"));
        assert_eq!(another("secret/data/LIVE-db:read", "staging"), Some("production"));
        assert_eq!(another("secret/data/prod/invoices:read", "production"), None);
        assert_eq!(another("secret/data/products:read", "staging"), None);
        assert_eq!(
            another("secret/data/stage/prod:read", "staging"),
            None,
            "ours is there as well"
        );
    }

    proptest! {
        #[test]
        fn nothing_is_noticed_where_nothing_was_said(text in ".*", ours in "[a-z]{1,9}") {
            let nothing = BTreeMap::new();
            prop_assert_eq!(names_another(&text, &ours, &nothing), None);
        }
    }
}
