//! What may be wrong, one file a rule: what it means, where it comes from, what helps, and the
//! judgment. What a plan would show is said here without a core.
//!
//! A rule is a file with its [`Rule`] and a line in [`RULES`]; its page in `docs/findings` is
//! generated from it.

use domain::{Action, realm::digest_of};

mod accepts_anything;
mod adoption_overdue;
mod anomaly;
mod break_glass_unreviewed;
mod clock_disagrees;
mod compare;
mod condition_met;
mod connection_unauthorized;
mod contacts_changed;
mod contract_ended;
mod control_plane;
mod credential_long_lived;
mod credential_missing;
mod credential_old;
mod credential_unmanaged;
mod credential_without_end;
mod decommission_unfinished;
mod decommissioned;
mod decommissioned_lives;
mod dormant;
mod drill_overdue;
mod due;
mod end_missing;
mod environment_crossed;
mod expired;
mod exposed;
mod foreign;
mod governance;
mod heard;
mod held;
mod incident;
mod integration_missing;
mod invokers_unknown;
mod keeps_failing;
mod ledger_changed;
mod marker_forged;
mod not_in_given_states;
mod observe_and_act;
mod offboarding_owner_missing;
mod old_still_used;
mod other_realm;
mod overdue;
mod owner;
mod owner_inactive;
mod owner_left;
mod owner_missing;
mod owner_moved;
mod owners_same;
mod page;
mod predecessor_alive;
mod proof_due;
mod purpose_says_nothing;
mod quarantine_broken;
mod reach;
mod reach_through_another;
mod reach_wide;
mod record_edited;
mod recreated;
mod retire_due;
mod review_missing;
mod review_overdue;
mod revoked_credential_returned;
mod rotating;
mod schedule_missing;
mod scope_above_ceiling;
mod scope_added;
mod scope_outlived;
mod scope_removed;
mod scope_unused;
mod scope_wildcard;
mod setting_changed;
mod shared_by_workflows;
mod sink_changed;
mod sink_missing;
mod slot;
mod standards;
mod standing;
mod stands;
mod stop_too_slow;
mod stop_within_missing;
mod switch_changed;
mod task_overdue;
mod ties;
mod times;
mod tools_unknown;
mod unfinished;
mod unheld;
mod waiting;
mod workflow_changed;
mod workflow_gone;

use compare::differences;

pub use break_glass_unreviewed::break_glass_unreviewed;
pub use clock_disagrees::clocks_apart;
pub use compare::{Declared, Observed, compare, scopes};
pub use connection_unauthorized::unauthorized;
pub use contacts_changed::contacts;
pub use decommissioned::decommissioned;
pub use governance::{Governed, governed};
pub use heard::{Heard, heard};
pub use integration_missing::missing;
pub use keeps_failing::{Failing, keeps_failing};
pub use ledger_changed::chain_broken;
pub use not_in_given_states::not_given;
pub use other_realm::governed_elsewhere;
pub use owner::owner;
pub use page::pages;
pub use reach::reach;
pub use scope_outlived::scope_outlived;
pub use scope_unused::scope_unused;
pub use slot::{SlotFacts, slot};
pub use standing::standing;
pub use stands::Stands;
pub use task_overdue::task_overdue;
pub use ties::{Tied, ties};
pub use times::{Times, times};
pub use unfinished::{begun_and_unsaid, left_behind, left_open};

/// A rule: what may be wrong, and everything that people are told of it.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// The word that reports name it by, such as `scope-added`.
    pub alias: &'static str,
    /// The checks of the catalogue that it answers, such as `SCP04`.
    pub checks: &'static [&'static str],
    /// What is wrong, in one line.
    pub title: &'static str,
    /// What that means for whoever answers for it.
    pub means: &'static str,
    /// Where it usually comes from.
    pub cause: &'static str,
    /// What helps.
    pub remedy: &'static str,
    /// How much it matters, where nothing makes it worse or better.
    pub severity: Severity,
    /// What a pipeline concludes from it, where nothing makes it worse or better.
    pub condition: Condition,
    /// The rows of `docs/requirements.md` that it answers.
    pub rows: &'static [u16],
    /// Whether a person may accept it for a while.
    pub waivable: bool,
}

impl Rule {
    /// What it answers of published standards, in their own numbering.
    pub fn standards(&self) -> Vec<&'static str> {
        standards::of(self.checks)
    }
}

/// Every rule, by its word.
pub static RULES: &[&Rule] = &[
    &accepts_anything::RULE,
    &adoption_overdue::RULE,
    &anomaly::RULE,
    &break_glass_unreviewed::RULE,
    &clock_disagrees::RULE,
    &condition_met::RULE,
    &connection_unauthorized::RULE,
    &contacts_changed::RULE,
    &contract_ended::RULE,
    &control_plane::RULE,
    &credential_long_lived::RULE,
    &credential_missing::RULE,
    &credential_old::RULE,
    &credential_unmanaged::RULE,
    &credential_without_end::RULE,
    &decommission_unfinished::RULE,
    &decommissioned::RULE,
    &decommissioned_lives::RULE,
    &dormant::RULE,
    &drill_overdue::RULE,
    &due::RULE,
    &end_missing::RULE,
    &environment_crossed::RULE,
    &expired::RULE,
    &exposed::RULE,
    &foreign::RULE,
    &held::RULE,
    &incident::RULE,
    &integration_missing::RULE,
    &invokers_unknown::RULE,
    &keeps_failing::RULE,
    &ledger_changed::RULE,
    &marker_forged::RULE,
    &not_in_given_states::RULE,
    &observe_and_act::RULE,
    &offboarding_owner_missing::RULE,
    &old_still_used::RULE,
    &other_realm::RULE,
    &overdue::RULE,
    &owner_inactive::RULE,
    &owner_left::RULE,
    &owner_missing::RULE,
    &owner_moved::RULE,
    &owners_same::RULE,
    &predecessor_alive::RULE,
    &proof_due::RULE,
    &purpose_says_nothing::RULE,
    &quarantine_broken::RULE,
    &reach_through_another::RULE,
    &reach_wide::RULE,
    &record_edited::RULE,
    &recreated::RULE,
    &retire_due::RULE,
    &review_missing::RULE,
    &review_overdue::RULE,
    &revoked_credential_returned::RULE,
    &rotating::RULE,
    &schedule_missing::RULE,
    &scope_above_ceiling::RULE,
    &scope_added::RULE,
    &scope_outlived::RULE,
    &scope_removed::RULE,
    &scope_unused::RULE,
    &scope_wildcard::RULE,
    &setting_changed::RULE,
    &shared_by_workflows::RULE,
    &sink_changed::RULE,
    &sink_missing::RULE,
    &stop_too_slow::RULE,
    &stop_within_missing::RULE,
    &switch_changed::RULE,
    &task_overdue::RULE,
    &tools_unknown::RULE,
    &unfinished::RULE,
    &unheld::RULE,
    &waiting::RULE,
    &workflow_changed::RULE,
    &workflow_gone::RULE,
];

/// The rules that a word names: one by its own word, or all that answer a check.
pub fn named(word: &str) -> Vec<&'static Rule> {
    let is = |rule: &&&Rule| {
        rule.alias == word || rule.checks.iter().any(|check| check.eq_ignore_ascii_case(word))
    };
    RULES.iter().filter(is).copied().collect()
}

/// One thing that is not as declared, or that somebody must look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Which rule found it, such as `scope-added`.
    pub rule: &'static str,
    /// The object's id.
    pub subject: String,
    /// `scopes`, `settings.token_ttl`, `record.purpose`, `enabled`, `credentials`, `sinks.app`,
    /// `status`, `standing`, `object`.
    pub facet: String,
    /// What happened to it.
    pub verdict: Verdict,
    /// What is declared, in words; empty where nothing is.
    pub expected: String,
    /// What is there, in words; empty where nothing is.
    pub actual: String,
    /// What a scope lets its holder do.
    pub action: Option<Action>,
    /// How much it matters.
    pub severity: Severity,
    /// What a pipeline concludes from it.
    pub condition: Condition,
    /// What it means, or what to do; may be empty.
    pub why: String,
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

/// How much a finding matters, least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Somebody may want to know.
    Info,
    /// Nothing is lost by waiting.
    Low,
    /// It should be looked at.
    Medium,
    /// It gives power, or takes something away that is in use.
    High,
    /// It gives everything, or nobody knows what.
    Critical,
}

impl Severity {
    /// All, least first.
    pub const ALL: [Severity; 5] =
        [Severity::Info, Severity::Low, Severity::Medium, Severity::High, Severity::Critical];

    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Low => "low",
            Severity::Medium => "medium",
            Severity::High => "high",
            Severity::Critical => "critical",
        }
    }
}

/// What a pipeline concludes from a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Condition {
    /// Nothing: it is only said.
    Note,
    /// The world differs from what is declared.
    Drift,
    /// Work was begun, or is overdue.
    Unfinished,
    /// Out of policy.
    Policy,
}

impl Condition {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Condition::Note => "note",
            Condition::Drift => "drift",
            Condition::Unfinished => "unfinished",
            Condition::Policy => "policy",
        }
    }
}

impl Finding {
    /// What stays the same while the same thing is wrong with the same object: not its values, not
    /// the connection's name, not the time. `stable` names the object at its tenant.
    pub fn fingerprint(&self, tenant: &str, stable: &str) -> [u8; 16] {
        // Two scopes that were added are two findings, and so are two stray keys.
        let told = matches!(self.facet.as_str(), "scopes" | "credentials" | "previous");
        let discriminator =
            if told { format!("{}{}", self.expected, self.actual) } else { String::new() };
        let parts = [tenant, self.rule, stable, &self.facet, &discriminator];
        let mut out = [0u8; 16];
        out.copy_from_slice(&digest_of("nhi-finding/1", &parts)[..16]);
        out
    }
}

fn found(rule: &'static Rule, subject: &str, facet: &str, verdict: Verdict) -> Finding {
    Finding {
        rule: rule.alias,
        subject: subject.to_owned(),
        facet: facet.to_owned(),
        verdict,
        expected: String::new(),
        actual: String::new(),
        action: None,
        severity: rule.severity,
        condition: rule.condition,
        why: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::{rules, status::WORDS};

    /// One of each judgment, in every form.
    fn all_judgments() -> Vec<Finding> {
        let at = jiff::Timestamp::UNIX_EPOCH;
        let texts = |text: &str| BTreeMap::from([("a".to_owned(), text.to_owned())]);
        let declared = Declared {
            settings: Some(texts("1")),
            record: Some(texts("1")),
            enabled: Some(true),
            ..Declared::default()
        };
        let observed = Observed {
            unmanaged: texts(""),
            foreign: BTreeMap::from([("k".into(), ("other".into(), String::new()))]),
            ..Observed::default()
        };
        let mut all = compare(&declared, &observed);
        let scope = "s".to_owned();
        all.extend(scopes("x", [(&scope, Action::Read)], [(&scope, Action::Read)]));
        all.push(scope_outlived("x", "s", at, Action::Read));
        all.push(contacts("x"));
        all.push(scope_unused("x", "s", domain::Span::from_secs(1)));
        for status in WORDS {
            let facts = SlotFacts {
                id: "x",
                status,
                sinks: vec![("a", "p".into(), "changed"), ("b", "p".into(), "missing")],
                outlived: vec!["k1"],
                accepts_anything: Some(at),
                in_use: vec![("k1", at, Severity::High)],
                returned: vec!["k0"],
                active: true,
                ..SlotFacts::default()
            };
            all.extend(slot(&facts));
        }
        for problem in standing::PROBLEMS {
            let of_it = BTreeMap::from([(problem, rules::Verdict::Warn)]);
            all.extend(super::standing("x", &of_it));
        }
        for stands in [Stands::AtWork("ci"), Stands::Waits("why"), Stands::Silent] {
            all.push(left_open("x", None, "stored", stands));
            all.push(left_behind("x", None, "stored", stands, "p", true));
            all.push(begun_and_unsaid("p", stands, true));
        }
        all.extend(
            ["left", "inactive", "moved"].iter().filter_map(|word| owner("x", word, None, &[])),
        );
        all.extend(decommissioned("x", true, &[]));
        all.extend(decommissioned("x", false, &["k1".to_owned()]));
        all.push(governed_elsewhere("x", "here", "other", false));
        let task = crate::task::Task {
            name: "t".into(),
            what: "w".into(),
            owner: "o".into(),
            each: None,
            first_by: "2026-01-01".parse().unwrap(),
            every: None,
            drill: false,
        };
        all.push(break_glass_unreviewed("x", "eve", at, at, 0, "n"));
        all.push(task_overdue(&task, "task/t", at, None, "n"));
        all.extend(governance::worst());
        all.extend(super::times::worst());
        for kind in crate::signal::Kind::ALL {
            let (id, source, note) = ("1", "siem", None);
            all.extend(heard(&Heard { id, kind, subject: "x", source, at, note }));
        }
        all.extend(super::ties::worst());
        all.extend(super::reach::worst());
        let failing = Failing { subject: "x", deed: "rotate", times: 3, since: at };
        all.extend(keeps_failing(&failing, at));
        all.push(unauthorized("x", "401"));
        all.extend([missing("x"), not_given("x", "k", "y"), chain_broken("x"), clocks_apart("x")]);
        all
    }

    #[test]
    fn every_rule_is_told_by_a_judgment_and_no_judgment_tells_another() {
        let told: BTreeSet<&str> = all_judgments().iter().map(|one| one.rule).collect();
        let are: BTreeSet<&str> = RULES.iter().map(|rule| rule.alias).collect();
        assert_eq!(told, are);
    }

    #[test]
    fn the_rules_are_in_order_and_none_is_left_without_words() {
        assert!(RULES.is_sorted_by(|a, b| a.alias < b.alias));
        for rule in RULES {
            for text in [rule.title, rule.means, rule.cause, rule.remedy] {
                assert!(text.len() > 10, "{}", rule.alias);
                assert!(!text.contains("  "), "{}: {text}", rule.alias);
            }
            for check in rule.checks {
                let (letters, digits) = check.split_at(3);
                let is = letters.bytes().all(|one| one.is_ascii_uppercase())
                    && digits.len() == 2
                    && digits.bytes().all(|one| one.is_ascii_digit());
                assert!(is, "{check} of {}", rule.alias);
            }
        }
    }

    #[test]
    fn a_rule_is_found_by_its_word_and_by_its_check() {
        let words = |word| named(word).iter().map(|rule| rule.alias).collect::<Vec<_>>();
        assert_eq!(words("scope-added"), ["scope-added"]);
        assert_eq!(words("own04"), ["owner-inactive", "owner-left", "owner-moved"]);
        assert_eq!(words("nothing"), [""; 0]);
    }

    #[test]
    fn what_breaks_the_ground_that_is_judged_from_is_waived_by_nobody() {
        let never: Vec<&str> =
            RULES.iter().filter(|rule| !rule.waivable).map(|rule| rule.alias).collect();
        assert_eq!(
            never,
            [
                "break-glass-unreviewed",
                "ledger-changed",
                "marker-forged",
                "revoked-credential-returned"
            ]
        );
    }
}
