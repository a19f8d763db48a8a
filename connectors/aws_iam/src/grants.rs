//! A change of what a user may do: which calls bring it from what it holds to what is wanted. Pure.

use std::collections::BTreeSet;

use domain::Scope;
use serde_json::Value;

use crate::{
    api::Call,
    document::{self, Said},
    scope::{self, Form, form},
    shapes::User,
};

/// The inline policy that is ours.
pub(crate) const OURS: &str = "nhi";
/// The inline policy that switches a user off.
pub(crate) const OFF: &str = "nhi-off";

/// What a user is to lose and to get.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Inline policies to write before anything is taken away.
    put: Vec<(String, String)>,
    attach: Vec<String>,
    join: Vec<String>,
    detach: Vec<String>,
    leave: Vec<String>,
    /// Inline policies of others of which only a part stays.
    cut: Vec<(String, String)>,
    /// Inline policies to delete.
    drop: Vec<String>,
}

/// The keys that a user has back when it is switched on again; `None` while it is on.
pub(crate) fn off(user: &User) -> Option<BTreeSet<String>> {
    user.inline.get(OFF).and_then(|text| document::keys_when_off(text))
}

/// What each inline policy says, but for the switch.
fn inline(user: &User) -> impl Iterator<Item = (&String, Vec<Said>)> {
    let switch = off(user).map(|_| OFF);
    let others = user.inline.iter().filter(move |(name, _)| Some(name.as_str()) != switch);
    others.map(|(name, text)| (name, document::read(name, text)))
}

fn scopes_of(said: &[Said]) -> BTreeSet<Scope> {
    let of = |said: &Said| match said {
        Said::Allows(scopes) => scopes.clone(),
        Said::Other(scope, _) => BTreeSet::from([scope.clone()]),
    };
    said.iter().flat_map(of).collect()
}

/// Everything that a user holds.
pub(crate) fn held(user: &User) -> BTreeSet<Scope> {
    let mut scopes: BTreeSet<Scope> = inline(user).flat_map(|(_, said)| scopes_of(&said)).collect();
    scopes.extend(user.attached.iter().map(|arn| scope::policy(arn)));
    scopes.extend(user.groups.iter().map(|name| scope::group(name)));
    scopes
}

/// How a user comes to hold exactly what is wanted; else a rule that nobody wrote down anywhere.
pub(crate) fn plan(user: &User, wanted: &BTreeSet<Scope>) -> Result<Plan, Scope> {
    let mut plan = Plan::default();
    let (mut elsewhere, mut ours): (BTreeSet<Scope>, Vec<Value>) = Default::default();
    let mut there = Vec::new();
    for (name, said) in inline(user) {
        let stays = |said: &Said| match said {
            Said::Other(scope, statement) if wanted.contains(scope) => {
                Some((scope.clone(), statement.clone()))
            }
            _ => None,
        };
        let all = scopes_of(&said);
        let (kept, statements): (Vec<Scope>, Vec<Value>) = said.iter().filter_map(stays).unzip();
        if name == OURS {
            (ours, there) = (statements, said);
            elsewhere.extend(kept);
        } else if !all.is_empty() && all.is_subset(wanted) {
            elsewhere.extend(all);
        } else if let Some(text) = document::write([], &statements) {
            plan.cut.push((name.clone(), text));
            elsewhere.extend(kept);
        } else {
            plan.drop.push(name.clone());
        }
    }
    let rest: Vec<&Scope> = wanted.difference(&elsewhere).collect();
    for one in &rest {
        match form(one.as_str()) {
            Some(Form::Allow { .. }) => {}
            Some(Form::Policy(arn)) if user.attached.contains(arn) => {}
            Some(Form::Policy(arn)) => plan.attach.push(arn.to_owned()),
            Some(Form::Group(name)) if user.groups.contains(name) => {}
            Some(Form::Group(name)) => plan.join.push(name.to_owned()),
            Some(Form::Rule { .. }) | None => return Err((*one).clone()),
        }
    }
    match document::write(rest, &ours) {
        Some(text)
            if user.inline.contains_key(OURS)
                && scopes_of(&document::read(OURS, &text)) == scopes_of(&there) => {}
        Some(text) => plan.put.push((OURS.to_owned(), text)),
        None if user.inline.contains_key(OURS) => plan.drop.push(OURS.to_owned()),
        None => {}
    }
    let lost = |all: &BTreeSet<String>, of: fn(&str) -> Scope| -> Vec<String> {
        all.iter().filter(|one| !wanted.contains(&of(one))).cloned().collect()
    };
    plan.detach = lost(&user.attached, scope::policy);
    plan.leave = lost(&user.groups, scope::group);
    Ok(plan)
}

impl Plan {
    /// The calls, those that give before those that take.
    pub(crate) fn calls(&self, user: &str) -> Vec<Call> {
        let of = |template| Call::change(template).with("UserName", user);
        let put = |(name, text): &(String, String)| {
            of("iam:PutUserPolicy").with("PolicyName", name).with("PolicyDocument", text)
        };
        let mut calls: Vec<Call> = self.put.iter().map(put).collect();
        calls.extend(
            self.attach.iter().map(|arn| of("iam:AttachUserPolicy").with("PolicyArn", arn)),
        );
        calls.extend(self.join.iter().map(|name| of("iam:AddUserToGroup").with("GroupName", name)));
        let leave = |name: &String| of("iam:RemoveUserFromGroup").with("GroupName", name);
        calls.extend(self.leave.iter().map(leave));
        calls.extend(
            self.detach.iter().map(|arn| of("iam:DetachUserPolicy").with("PolicyArn", arn)),
        );
        calls.extend(self.cut.iter().map(put));
        calls.extend(
            self.drop.iter().map(|name| of("iam:DeleteUserPolicy").with("PolicyName", name)),
        );
        calls
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DENY: &str = r#"{"Effect":"Deny","Action":"s3:*","Resource":"*"}"#;

    fn user(inline: &[(&str, &[&str])]) -> User {
        let text = |statements: &[&str]| {
            format!(r#"{{"Version":"2012-10-17","Statement":[{}]}}"#, statements.join(","))
        };
        User {
            name: "sync".into(),
            id: "AIDA1".into(),
            path: "/".into(),
            boundary: None,
            tags: Default::default(),
            inline: inline.iter().map(|(name, all)| ((*name).into(), text(all))).collect(),
            attached: ["arn:aws:iam::aws:policy/ReadOnlyAccess".to_owned()].into(),
            groups: ["devs".to_owned()].into(),
        }
    }

    fn allow(action: &str) -> String {
        format!(r#"{{"Effect":"Allow","Action":"{action}","Resource":"*"}}"#)
    }

    fn set(scopes: &[&str]) -> BTreeSet<Scope> {
        scopes.iter().map(|one| Scope::canonical(*one)).collect()
    }

    #[test]
    fn what_is_held_is_told_wherever_it_comes_from() {
        let user = user(&[("theirs", &[&allow("s3:Get*")]), (OFF, &[])]);
        let held: Vec<String> = held(&user).iter().map(Scope::to_string).collect();
        let expected = ["group/devs", "policy/arn:aws:iam::aws:policy/ReadOnlyAccess", "s3:Get*@*"];
        assert_eq!(held, expected);
    }

    #[test]
    fn what_is_wanted_already_costs_nothing() {
        let user = user(&[("theirs", &[&allow("s3:Get*"), DENY]), (OURS, &[&allow("sqs:*")])]);
        assert_eq!(plan(&user, &held(&user)), Ok(Plan::default()));
    }

    #[test]
    fn a_policy_of_others_goes_with_what_nobody_wants_and_what_is_wanted_of_it_is_ours_then() {
        let user = user(&[("theirs", &[&allow("s3:Get*"), &allow("iam:*")])]);
        let mut wanted = set(&["s3:Get*@*"]);
        let found = plan(&user, &wanted).unwrap();
        assert_eq!((found.drop, found.put.len()), (vec!["theirs".to_owned()], 1));
        assert_eq!(found.detach.len() + found.leave.len(), 2);
        wanted.insert(Scope::canonical("group/ops"));
        assert_eq!(plan(&user, &wanted).unwrap().join, ["ops"]);
    }

    #[test]
    fn of_a_policy_that_is_cut_the_wanted_rule_stays_and_one_that_is_nowhere_is_refused() {
        let user = user(&[("theirs", &[&allow("iam:*"), DENY])]);
        let deny = held(&user).into_iter().find(|one| one.as_str().starts_with("rule/")).unwrap();
        let found = plan(&user, &BTreeSet::from([deny.clone()])).unwrap();
        assert_eq!(found.cut.len(), 1);
        assert!(found.cut[0].1.contains("Deny") && !found.cut[0].1.contains("iam:"));
        let nowhere = set(&["rule/theirs#00112233"]);
        assert_eq!(plan(&user, &nowhere), Err(Scope::canonical("rule/theirs#00112233")));
    }

    #[test]
    fn a_user_that_is_off_holds_what_it_did_and_its_switch_is_no_scope() {
        let mut user = user(&[("theirs", &[&allow("s3:Get*")])]);
        let before = held(&user);
        user.inline.insert(OFF.into(), document::off(&["AKIA1".to_owned()].into()));
        assert_eq!((held(&user), off(&user)), (before.clone(), Some(["AKIA1".to_owned()].into())));
        assert_eq!(plan(&user, &before), Ok(Plan::default()));
    }
}
