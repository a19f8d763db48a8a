//! How changes are reviewed here: the `review` member of `policy.hcl`.

use std::collections::{BTreeMap, BTreeSet};

use domain::Span;

use super::{
    Change, Value,
    freeze::Freeze,
    impact::{Level, Rule, usual},
    quorum::{Board, Presence, Quorum},
    requester::Voucher,
    standing::Class,
};

/// Who reviews what, and whose word counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Review {
    /// Counts up with each change of the policy.
    pub version: u64,
    /// The organization's domain: statements are signed in its namespace.
    pub domain: String,
    /// The file of those who may sign, as OpenSSH has it, beside the policy.
    pub signers: String,
    /// The list of keys that were taken back, if there is one.
    pub revoked: Option<String>,
    /// The folder of statements, beside the policy.
    pub approvals: String,
    /// What each level needs, and who may sign in which role.
    pub board: Board,
    /// Who speaks for an owner, by the owner's name. What a configuration says of an owner's address
    /// counts for nothing here: whoever asks for a change writes the configuration.
    pub owners: BTreeMap<String, BTreeSet<String>>,
    /// How much changes matter: what the policy says itself, then what is usual.
    pub rules: Vec<Rule>,
    /// What is usual is among them, at their end.
    pub usual_impact: bool,
    /// When nothing is changed.
    pub freezes: Vec<Freeze>,
    /// What is approved beforehand.
    pub standing: BTreeSet<Class>,
    /// Who vouches for whoever asks, by name.
    pub requesters: BTreeMap<String, Voucher>,
}

/// The owner's name in an id of an owner.
const OWNER: &str = "owner/";

/// The members of a record that name an owner whose word counts.
const OWNERS: [&str; 2] = ["business_owner", "technical_owner"];

impl Review {
    /// What a small team can live with on the first day, where the policy says nothing else.
    pub fn usual_quorum() -> BTreeMap<Level, Quorum> {
        let of = |people, days: u64| Quorum {
            people,
            roles: BTreeSet::new(),
            each: BTreeSet::new(),
            presence: Presence::Key,
            longest: Span::from_secs(days * 86_400),
        };
        [
            (Level::Low, of(0, 7)),
            (Level::Medium, of(1, 7)),
            (Level::High, of(2, 7)),
            (Level::Critical, of(2, 1)),
        ]
        .into()
    }

    /// The rules that hold where the policy has none.
    pub fn usual_rules() -> Vec<Rule> {
        usual()
    }

    /// The rules that the policy says itself.
    pub fn own_rules(&self) -> &[Rule] {
        let usual = if self.usual_impact { usual().len() } else { 0 };
        &self.rules[..self.rules.len().saturating_sub(usual)]
    }

    /// Who speaks for these owners, by their ids.
    pub fn speaking_for<'a>(&self, owners: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
        let names = owners.into_iter().map(|id| id.strip_prefix(OWNER).unwrap_or(id));
        names.filter_map(|name| self.owners.get(name)).flatten().cloned().collect()
    }
}

/// The owners that a change itself names, by their ids: those that are there before it, and of what is made
/// those that it is to have. Nobody becomes an owner by the change that they approve.
pub fn owners_named(change: &Change) -> BTreeSet<String> {
    let of = match &change.before {
        Value::Null => &change.after,
        before => before,
    };
    if change.kind == "nhi_owner" {
        return BTreeSet::from([format!("{OWNER}{}", change.object)]);
    }
    let ids = OWNERS.iter().filter_map(|who| of.member(who).member("id").as_text());
    ids.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::Action;

    #[test]
    fn nobody_becomes_an_owner_by_the_change_that_they_approve() {
        let owned =
            |who: &str| Value::map([("technical_owner", Value::map([("id", Value::text(who))]))]);
        let change = |before, after| Change {
            tenant: "t".into(),
            kind: "nhi_integration".into(),
            object: "openbao_approle/x".into(),
            action: Action::Update,
            generation: 0,
            before,
            after,
        };
        let named = |before, after| owners_named(&change(before, after));
        let is = |who: &str| BTreeSet::from([who.to_owned()]);
        assert_eq!(named(owned("owner/a"), owned("owner/b")), is("owner/a"));
        assert_eq!(named(Value::Null, owned("owner/b")), is("owner/b"));
        assert_eq!(named(owned("owner/a"), Value::Null), is("owner/a"));
    }
}
