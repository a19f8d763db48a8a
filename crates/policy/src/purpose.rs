//! Whether a purpose tells a reviewer anything.

/// Words that stand where a purpose should.
const FILLERS: [&str; 9] =
    ["todo", "tbd", "fixme", "xxx", "lorem ipsum", "placeholder", "asdf", "no purpose", "n/a"];

/// Whether a purpose is boilerplate: a filler, hardly more than the integration's own name, or the
/// same few words again and again.
pub fn says_nothing(purpose: &str, name: &str) -> bool {
    let text = purpose.to_lowercase();
    if FILLERS.iter().any(|filler| contains_word(&text, filler)) {
        return true;
    }
    let name = name.to_lowercase();
    let general = ["integration", "service", "account", "client", "role", "for", "the", "a", "of"];
    let mut telling = words(&text)
        .filter(|word| !general.contains(word) && !words(&name).any(|of_it| of_it == *word));
    let Some(first) = telling.next() else { return true };
    telling.all(|word| word == first)
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty())
}

fn contains_word(text: &str, filler: &str) -> bool {
    text.match_indices(filler).any(|(at, _)| {
        let letter = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        !letter(text[..at].chars().next_back()) && !letter(text[at + filler.len()..].chars().next())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fillers_and_the_name_alone_say_nothing() {
        for purpose in [
            "TODO: describe this integration",
            "invoice-sync integration service account",
            "test test test test test test",
            "tbd, ask the payments team later",
        ] {
            assert!(says_nothing(purpose, "invoice-sync"), "{purpose}");
        }
    }

    #[test]
    fn a_sentence_that_says_what_and_for_whom_is_taken() {
        for purpose in [
            "Copies paid invoices from billing to the general ledger every night",
            "Measures how long a plan of many takes",
            "Sends mastodon toots about releases",
        ] {
            assert!(!says_nothing(purpose, "invoice-sync"), "{purpose}");
        }
    }
}
