//! The world against what is declared, facet by facet.

use std::collections::{BTreeMap, BTreeSet};

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Drift {
    /// The object's id.
    pub subject: String,
    /// `scopes`, `settings.token_ttl`, `record.purpose`, `enabled`, `credentials`, `object`.
    pub facet: String,
    /// What happened to it.
    pub verdict: Verdict,
    /// What is declared, in words; empty where nothing is.
    pub expected: String,
    /// What is there, in words; empty where nothing is.
    pub actual: String,
}

/// What a difference means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// There, and not declared.
    Added,
    /// Declared, and not there.
    Removed,
    /// There in another form.
    Changed,
    /// A credential that nobody declared.
    Unmanaged,
    /// Declared, and proven absent.
    Missing,
}

impl Verdict {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Added => "added",
            Verdict::Removed => "removed",
            Verdict::Changed => "changed",
            Verdict::Unmanaged => "unmanaged",
            Verdict::Missing => "missing",
        }
    }

    /// The sign in front of a line.
    pub fn sign(self) -> char {
        match self {
            Verdict::Added | Verdict::Unmanaged => '+',
            Verdict::Removed | Verdict::Missing => '-',
            Verdict::Changed => '~',
        }
    }
}

/// What is declared of one integration, as far as anybody said.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Declared {
    /// Its id.
    pub id: String,
    /// Settings by name, in words; `None` where nobody said.
    pub settings: Option<BTreeMap<String, String>>,
    /// Governance fields by name, in words.
    pub record: Option<BTreeMap<String, String>>,
    /// Whether it is to be active.
    pub enabled: Option<bool>,
    /// Slots and the key that is known as current in each.
    pub slots: BTreeMap<String, Option<String>>,
}

/// What is there of one integration.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Observed {
    /// Settings by name, in words.
    pub settings: BTreeMap<String, String>,
    /// Governance fields by name, in words.
    pub record: BTreeMap<String, String>,
    /// Whether it is active.
    pub enabled: bool,
    /// Live credentials that nobody declared.
    pub unmanaged: BTreeSet<String>,
}

/// Compares everything but scopes, whose comparison needs their platform (see
/// [`crate::scopes::echo`]).
pub fn compare(declared: &Declared, observed: &Observed) -> Vec<Drift> {
    let mut found = Vec::new();
    let mut facet =
        |name: &str, wish: &BTreeMap<String, String>, have: &BTreeMap<String, String>| {
            let names: BTreeSet<&String> = wish.keys().chain(have.keys()).collect();
            for key in names {
                let (expected, actual) = (wish.get(key), have.get(key));
                if expected != actual {
                    found.push(Drift {
                        subject: declared.id.clone(),
                        facet: format!("{name}.{key}"),
                        verdict: match (expected, actual) {
                            (None, _) => Verdict::Added,
                            (_, None) => Verdict::Removed,
                            _ => Verdict::Changed,
                        },
                        expected: expected.cloned().unwrap_or_default(),
                        actual: actual.cloned().unwrap_or_default(),
                    });
                }
            }
        };
    if let Some(settings) = &declared.settings {
        facet("settings", settings, &observed.settings);
    }
    if let Some(record) = &declared.record {
        facet("record", record, &observed.record);
    }
    if let Some(enabled) = declared.enabled.filter(|enabled| *enabled != observed.enabled) {
        let word = |on: bool| if on { "active" } else { "disabled" }.to_owned();
        found.push(Drift {
            subject: declared.id.clone(),
            facet: "enabled".into(),
            verdict: Verdict::Changed,
            expected: word(enabled),
            actual: word(observed.enabled),
        });
    }
    for key in &observed.unmanaged {
        found.push(Drift {
            subject: declared.id.clone(),
            facet: "credentials".into(),
            verdict: Verdict::Unmanaged,
            expected: String::new(),
            actual: key.clone(),
        });
    }
    found
}

/// A declared integration that is proven absent.
pub fn missing(id: &str) -> Drift {
    Drift {
        subject: id.to_owned(),
        facet: "object".into(),
        verdict: Verdict::Missing,
        expected: "it exists".into(),
        actual: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
    }

    #[test]
    fn what_nobody_said_is_no_drift() {
        let observed = Observed {
            settings: map(&[("token_ttl", "1h")]),
            enabled: true,
            ..Observed::default()
        };
        assert!(compare(&Declared::default(), &observed).is_empty());
    }

    #[test]
    fn each_difference_is_named_with_both_sides() {
        let declared = Declared {
            id: "bao/openbao_approle/x".into(),
            settings: Some(map(&[("token_ttl", "1h"), ("cidrs", "127.0.0.1/32")])),
            enabled: Some(true),
            ..Declared::default()
        };
        let observed = Observed {
            settings: map(&[("token_ttl", "24h")]),
            unmanaged: BTreeSet::from(["k9".into()]),
            ..Observed::default()
        };
        let told: Vec<String> = compare(&declared, &observed)
            .iter()
            .map(|one| {
                format!("{}{} {}->{}", one.verdict.sign(), one.facet, one.expected, one.actual)
            })
            .collect();
        assert_eq!(
            told,
            [
                "-settings.cidrs 127.0.0.1/32->",
                "~settings.token_ttl 1h->24h",
                "~enabled active->disabled",
                "+credentials ->k9"
            ]
        );
    }
}
