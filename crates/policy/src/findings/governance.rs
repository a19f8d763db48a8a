//! One integration by what the policy asks of it besides its dates: who answers for it, what for, and
//! what it may hold.

use std::collections::BTreeMap;

use domain::{Action, Record};

use super::{
    Finding, control_plane, end_missing, environment_crossed, observe_and_act, owner_missing,
    owners_same, purpose_says_nothing, review_missing, scope_above_ceiling, scope_wildcard,
};
use crate::{
    Rules,
    environment::names_another,
    purpose::says_nothing,
    rules::Wildcards,
    scopes::{Above, is_wildcard},
};

/// What is known of one integration.
#[derive(Debug, Clone, Default)]
pub struct Governed<'a> {
    /// Its id.
    pub id: &'a str,
    /// The name people know it by.
    pub name: &'a str,
    /// The record that stands with it; `None` where there is none to be read.
    pub record: Option<&'a Record>,
    /// Members of the record that are declared: what is wrong with these an apply puts right, unless the
    /// declaration itself is wrong.
    pub declared: Option<&'a BTreeMap<String, String>>,
    /// Live scopes, each with what it lets its holder do.
    pub scopes: Vec<(String, Action)>,
    /// Those that its ceiling does not let through.
    pub above: Vec<Above>,
}

impl Governed<'_> {
    fn declares(&self, member: &str) -> Option<&str> {
        self.declared?.get(member).map(String::as_str)
    }
}

/// Judges it by the rules.
pub fn governed(facts: &Governed<'_>, rules: &Rules) -> Vec<Finding> {
    let mut all = Vec::new();
    if let Some(record) = facts.record {
        by_record(facts, record, rules, &mut all);
    }
    for (scope, action) in facts.scopes.iter().filter(|(scope, _)| is_wildcard(scope)) {
        if rules.wildcards != Wildcards::Allow {
            let refused = rules.wildcards == Wildcards::Refuse;
            all.push(scope_wildcard::judge(facts.id, scope, *action, refused));
        }
    }
    for one in &facts.above {
        all.push(scope_above_ceiling::judge(facts.id, &one.scope, one.action, one.why()));
    }
    all.extend(control_plane::judge(facts.id, &facts.scopes));
    all.extend(observe_and_act::judge(facts.id, &facts.scopes));
    all
}

fn by_record(facts: &Governed<'_>, record: &Record, rules: &Rules, all: &mut Vec<Finding>) {
    // What only people know may be missing until the day of an adoption, and is overdue after it.
    if record.adoption.is_none() {
        by_what_people_know(facts, record, rules, all);
    }
    if let Some(ours) = record.environment.as_deref() {
        for (scope, _) in &facts.scopes {
            if let Some(theirs) = names_another(scope, ours, &rules.environment_words) {
                all.push(environment_crossed::judge(facts.id, scope, ours, theirs));
            }
        }
    }
}

fn by_what_people_know(
    facts: &Governed<'_>,
    record: &Record,
    rules: &Rules,
    all: &mut Vec<Finding>,
) {
    let id = facts.id;
    let purpose = record.purpose.as_deref().unwrap_or_default();
    if says_nothing(purpose, facts.name) {
        let better = |declared: &str| !says_nothing(declared, facts.name);
        let put_right = facts.declares("purpose").is_some_and(better);
        all.push(purpose_says_nothing::judge(id, purpose, put_right));
    }
    let owners = [&record.business_owner, &record.technical_owner];
    for (name, owner) in ["business_owner", "technical_owner"].into_iter().zip(owners) {
        if owner.is_none() {
            let declared = facts.declares(&format!("{name}.id")).is_some();
            all.push(owner_missing::judge(id, name, declared));
        }
    }
    if let [Some(business), Some(technical)] = owners {
        // As a plan asks it: what has no ceiling may come to hold anything.
        let ceiling = record.ceiling_action.as_deref().and_then(|text| text.parse().ok());
        let highest = ceiling.unwrap_or(Action::Unknown);
        if business.id == technical.id && rules.two_owners_from.is_some_and(|from| highest >= from)
        {
            all.push(owners_same::judge(id, &business.id));
        }
    }
    let lacks =
        |member: &Option<String>, name: &str| member.is_none() && facts.declares(name).is_none();
    if rules.require_expires_on && lacks(&record.expires_on, "expires_on") {
        all.push(end_missing::judge(id));
    }
    if rules.require_review_every && lacks(&record.review_every, "review_every") {
        all.push(review_missing::judge(id));
    }
}

#[cfg(test)]
pub(super) use tests::worst;

#[cfg(test)]
mod tests {
    use super::*;
    use domain::record::OwnerRef;

    fn rules() -> Rules {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect();
        Rules {
            require_expires_on: true,
            require_review_every: true,
            two_owners_from: Some(Action::Write),
            wildcards: Wildcards::Refuse,
            environment_words: [("production".to_owned(), words("prod live"))].into(),
            ..Rules::default()
        }
    }

    fn told(facts: &Governed<'_>, rules: &Rules) -> Vec<(&'static str, &'static str)> {
        let all = governed(facts, rules).into_iter();
        all.map(|one| (one.rule, one.condition.as_str())).collect()
    }

    /// One thing wrong of each kind.
    pub(in super::super) fn worst() -> Vec<Finding> {
        let ann = Some(OwnerRef { id: "owner/ann".into(), email: None });
        let bare = Record { environment: Some("test".into()), ..Record::default() };
        let same = Record {
            business_owner: ann.clone(),
            technical_owner: ann,
            purpose: Some("Copies invoices into the ledger every night".into()),
            ..Record::default()
        };
        let scopes = vec![
            ("sys/prod/*:update".to_owned(), Action::Policy),
            ("alarms:read".to_owned(), Action::Read),
            ("alarms:mute".to_owned(), Action::Suppress),
        ];
        let above = vec![Above {
            scope: "alarms:mute".into(),
            action: Action::Suppress,
            most: Some(Action::Read),
            uncovered: false,
        }];
        let facts = Governed { id: "x", name: "sync", scopes, above, ..Governed::default() };
        let mut all = governed(&Governed { record: Some(&bare), ..facts.clone() }, &rules());
        all.extend(governed(&Governed { record: Some(&same), ..facts }, &rules()));
        all
    }

    #[test]
    fn what_cannot_be_read_and_what_the_policy_does_not_ask_for_is_no_finding() {
        let scopes = vec![("secret/data/*:read".to_owned(), Action::Secret)];
        let facts = Governed { id: "x", scopes, ..Governed::default() };
        assert!(told(&facts, &Rules::default()).is_empty());
        assert_eq!(told(&facts, &rules()), [("scope-wildcard", "policy")]);
        let warned = Rules { wildcards: Wildcards::Warn, ..Rules::default() };
        assert_eq!(told(&facts, &warned), [("scope-wildcard", "note")]);
    }

    #[test]
    fn what_an_apply_writes_again_is_drift_and_what_is_declared_so_is_out_of_policy() {
        let wiped = Record::default();
        let declared = [
            ("purpose", "Copies paid invoices into the general ledger"),
            ("business_owner.id", "owner/ann"),
            ("technical_owner.id", "owner/bob"),
        ]
        .map(|(name, text)| (name.to_owned(), text.to_owned()))
        .into();
        let facts = Governed {
            id: "x",
            name: "sync",
            record: Some(&wiped),
            declared: Some(&declared),
            ..Governed::default()
        };
        assert_eq!(
            told(&facts, &Rules::default()),
            [
                ("purpose-says-nothing", "drift"),
                ("owner-missing", "drift"),
                ("owner-missing", "drift")
            ]
        );
        let undeclared = Governed { declared: None, ..facts };
        assert!(told(&undeclared, &Rules::default()).iter().all(|(_, word)| *word == "policy"));
    }

    #[test]
    fn what_is_being_adopted_lacks_what_it_may_until_its_day() {
        let bare = Record::default();
        let adoption = domain::record::Adoption {
            complete_by: "2026-12-15".into(),
            steward: "owner/desk".into(),
        };
        let adopted = Record {
            environment: Some("test".into()),
            adoption: Some(adoption),
            ..Record::default()
        };
        let scopes = vec![("sys/prod/x:read".to_owned(), Action::Read)];
        let facts = Governed { id: "x", name: "sync", scopes, ..Governed::default() };
        let of = |record| told(&Governed { record: Some(record), ..facts.clone() }, &rules());
        assert_eq!(of(&bare).len(), 5);
        assert_eq!(of(&adopted), [("environment-crossed", "policy")]);
    }

    #[test]
    fn one_person_may_be_both_owners_below_the_power_that_the_policy_names() {
        let ann = Some(OwnerRef { id: "owner/ann".into(), email: None });
        let record = Record {
            purpose: Some("Copies paid invoices into the general ledger".into()),
            business_owner: ann.clone(),
            technical_owner: ann,
            ceiling_action: Some("read".into()),
            ..Record::default()
        };
        let facts = Governed { id: "x", record: Some(&record), ..Governed::default() };
        let rules = Rules { two_owners_from: Some(Action::Write), ..Rules::default() };
        assert!(told(&facts, &rules).is_empty());
        let record = Record { ceiling_action: None, ..record.clone() };
        let facts = Governed { record: Some(&record), ..facts };
        assert_eq!(told(&facts, &rules), [("owners-same", "policy")]);
    }
}
