//! What somebody answers for until a day: findings that are listed and do not count.
//!
//! A waiver never changes what an apply does. What nobody may answer for is named here.

use domain::realm::digest_of;
use jiff::civil::Date;

use crate::findings::{Condition, Finding, Severity, Verdict};

/// Rules that nobody can waive: a credential that was ended and works again, a ledger that somebody
/// changed, a mark that we did not set. Who could waive them could hide a theft.
pub const NEVER_WAIVED: [&str; 3] =
    ["revoked-credential-returned", "ledger-changed", "marker-forged"];

/// Whether somebody may answer for what a rule finds.
pub fn can_be_waived(rule: &str) -> bool {
    !NEVER_WAIVED.contains(&rule)
}

/// One waiver: one rule, on some objects, in some facets, until a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiver {
    /// The rule.
    pub rule: String,
    /// Which objects: an id in which `*` stands for any text and `?` for one character.
    pub object: String,
    /// Which facets, in the same form.
    pub facet: String,
    /// Why.
    pub reason: String,
    /// Who answers for it.
    pub owner: String,
    /// Who agreed.
    pub approver: String,
    /// The last day.
    pub ends_on: Date,
}

impl Waiver {
    /// Whether this is one of the things that it is about, whatever the day.
    pub fn covers(&self, finding: &Finding) -> bool {
        finding.rule == self.rule
            && can_be_waived(finding.rule)
            && matches(&self.object, &finding.subject)
            && matches(&self.facet, &finding.facet)
    }
}

/// What tells one state of a facet from another: who accepted a setting of `2h` has not accepted `24h`.
pub fn state_of(finding: &Finding) -> [u8; 16] {
    let parts = [finding.verdict.as_str(), &finding.expected, &finding.actual];
    let mut out = [0u8; 16];
    out.copy_from_slice(&digest_of("nhi-facet/1", &parts)[..16]);
    out
}

/// Told beside a finding that was accepted until a day that is over.
pub fn over(finding: &Finding, ends_on: Date, owner: &str, reason: &str) -> Finding {
    Finding {
        rule: "waiver-expired",
        subject: finding.subject.clone(),
        facet: finding.facet.clone(),
        verdict: Verdict::Changed,
        expected: format!("accepted until {ends_on}"),
        actual: "not accepted any more".into(),
        action: None,
        severity: Severity::Medium,
        condition: Condition::Policy,
        why: format!("{owner} answered for it ({reason}): put it right, or have it accepted anew"),
    }
}

/// Whether a text is of a form in which `*` stands for any text, empty too, and `?` for one character.
pub fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut star) = ((0, 0), None);
    while at.1 < text.len() {
        match pattern.get(at.0) {
            Some('*') => {
                star = Some(at);
                at.0 += 1;
            }
            Some(one) if *one == '?' || *one == text[at.1] => at = (at.0 + 1, at.1 + 1),
            // The last `*` takes one more.
            _ => match star {
                Some((begin, end)) => {
                    star = Some((begin, end + 1));
                    at = (begin + 1, end + 1);
                }
                None => return false,
            },
        }
    }
    pattern[at.0..].iter().all(|one| *one == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(rule: &'static str, actual: &str) -> Finding {
        Finding {
            rule,
            subject: "bao/openbao_approle/invoice-sync".into(),
            facet: "settings.token_ttl".into(),
            verdict: Verdict::Changed,
            expected: "1h".into(),
            actual: actual.into(),
            action: None,
            severity: Severity::Medium,
            condition: Condition::Drift,
            why: String::new(),
        }
    }

    fn waiver() -> Waiver {
        Waiver {
            rule: "setting-changed".into(),
            object: "bao/*/invoice-????".into(),
            facet: "settings.*".into(),
            reason: "INC-7".into(),
            owner: "ann".into(),
            approver: "eli".into(),
            ends_on: "2026-12-31".parse().unwrap(),
        }
    }

    #[test]
    fn a_form_says_which_texts_it_means() {
        for (pattern, text, is) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("*", "", true),
            ("a*c", "abbc", true),
            ("a*c", "abbd", false),
            ("*/x/*", "a/x/x/b", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("**a", "ba", true),
            ("", "a", false),
        ] {
            assert_eq!(matches(pattern, text), is, "{pattern} {text}");
        }
    }

    #[test]
    fn a_waiver_is_of_one_rule_on_the_objects_and_facets_that_it_names() {
        assert!(waiver().covers(&found("setting-changed", "2h")));
        assert!(!waiver().covers(&found("scope-added", "2h")));
        assert!(
            !Waiver { facet: "enabled".into(), ..waiver() }.covers(&found("setting-changed", ""))
        );
        assert!(
            !Waiver { object: "aws/*".into(), ..waiver() }.covers(&found("setting-changed", ""))
        );
    }

    #[test]
    fn nobody_waives_what_would_hide_a_theft() {
        for rule in NEVER_WAIVED {
            let waiver =
                Waiver { rule: rule.into(), facet: "*".into(), object: "*".into(), ..waiver() };
            assert!(!waiver.covers(&found(rule, "k1")), "{rule}");
        }
    }

    #[test]
    fn another_value_is_another_state() {
        assert_eq!(state_of(&found("a", "2h")), state_of(&found("b", "2h")));
        assert_ne!(state_of(&found("a", "2h")), state_of(&found("a", "24h")));
    }
}
