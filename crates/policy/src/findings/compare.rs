//! Settings, record, switch and stray credentials against what is declared, facet by facet.

use std::collections::{BTreeMap, BTreeSet};

use domain::Action;

use super::{
    Finding, Rule, Verdict, credential_unmanaged, found, other_realm, record_edited, scope_added,
    scope_removed, setting_changed, switch_changed,
};

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
    /// Whether an apply ends credentials that nobody declared.
    pub revoke_unmanaged: bool,
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
    /// Live credentials that nobody declared: id to what is known of each.
    pub unmanaged: BTreeMap<String, String>,
    /// Live credentials with another installation's mark: id to that installation and what is known
    /// of each.
    pub foreign: BTreeMap<String, (String, String)>,
}

/// Compares settings, record, switch and stray credentials. Scopes need their platform (see
/// [`scopes`]), slots their sinks (see [`super::slot`]).
pub fn compare(declared: &Declared, observed: &Observed) -> Vec<Finding> {
    let mut all = Vec::new();
    let id = declared.id.as_str();
    if let Some(settings) = &declared.settings {
        all.extend(setting_changed::judge(id, settings, &observed.settings));
    }
    if let Some(record) = &declared.record {
        all.extend(record_edited::judge(id, record, &observed.record));
    }
    if let Some(enabled) = declared.enabled {
        all.extend(switch_changed::judge(id, enabled, observed.enabled));
    }
    for (key, known) in &observed.unmanaged {
        all.push(credential_unmanaged::judge(id, key, known, declared.revoke_unmanaged));
    }
    for (key, (of, known)) in &observed.foreign {
        all.push(other_realm::credential(id, key, of, known));
    }
    all
}

/// Each member of a facet that is not the same on both sides.
pub(super) fn differences(
    rule: &'static Rule,
    (id, facet): (&str, &str),
    wish: &BTreeMap<String, String>,
    have: &BTreeMap<String, String>,
) -> Vec<Finding> {
    let names: BTreeSet<&String> = wish.keys().chain(have.keys()).collect();
    let differing = names.into_iter().filter(|name| wish.get(*name) != have.get(*name));
    differing
        .map(|name| {
            let (expected, actual) = (wish.get(name), have.get(name));
            let verdict = match (expected, actual) {
                (None, _) => Verdict::Added,
                (_, None) => Verdict::Removed,
                _ => Verdict::Changed,
            };
            Finding {
                expected: expected.cloned().unwrap_or_default(),
                actual: actual.cloned().unwrap_or_default(),
                ..found(rule, id, &format!("{facet}.{name}"), verdict)
            }
        })
        .collect()
}

/// Scopes that were added or are gone; each with what it lets its holder do.
pub fn scopes<'a>(
    id: &str,
    added: impl IntoIterator<Item = (&'a String, Action)>,
    gone: impl IntoIterator<Item = (&'a String, Action)>,
) -> Vec<Finding> {
    let subject = format!("{id}/scope");
    let added =
        added.into_iter().map(|(scope, action)| scope_added::judge(&subject, scope, action));
    let gone =
        gone.into_iter().map(|(scope, action)| scope_removed::judge(&subject, scope, action));
    added.chain(gone).collect()
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
            unmanaged: map(&[("k9", "")]),
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

    #[test]
    fn a_fingerprint_tells_no_two_values_apart() {
        let print = |live: &str| {
            let declared =
                Declared { settings: Some(map(&[("ttl", "1h")])), ..Declared::default() };
            let observed = Observed { settings: map(&[("ttl", live)]), ..Observed::default() };
            compare(&declared, &observed)[0].fingerprint("t", "v")
        };
        assert_eq!(print("2h"), print("3h"));
    }
}
