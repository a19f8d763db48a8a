//! The text of inline policies: read into scopes, and written from them.

use std::collections::{BTreeMap, BTreeSet};

use data_encoding::HEXLOWER;
use domain::Scope;
use ring::digest::{SHA256, digest};
use serde_json::{Map, Value, json};

use crate::scope::{self, Form, form};

/// The version of the policy language, the only one that knows variables.
const VERSION: &str = "2012-10-17";

/// A statement, as scopes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Said {
    /// Actions on resources, allowed without further conditions.
    Allows(BTreeSet<Scope>),
    /// Anything else, kept as it is under a scope of its own.
    Other(Scope, Value),
}

/// The statements of one inline policy. A text that is no policy is one statement that nobody can read.
pub(crate) fn read(policy: &str, text: &str) -> Vec<Said> {
    let whole = || {
        let value = Value::String(text.to_owned());
        vec![Said::Other(opaque(policy, &value), value)]
    };
    let Ok(Value::Object(mut document)) = serde_json::from_str(text) else { return whole() };
    let current = document.get("Version").and_then(Value::as_str) == Some(VERSION);
    let statements = match document.remove("Statement") {
        Some(Value::Array(all)) => all,
        Some(one @ Value::Object(_)) => vec![one],
        _ => return whole(),
    };
    let read = |statement: Value| match allows(&statement, current) {
        Some(scopes) => Said::Allows(scopes),
        None => Said::Other(opaque(policy, &statement), statement),
    };
    statements.into_iter().map(read).collect()
}

fn opaque(policy: &str, statement: &Value) -> Scope {
    let mut statement = statement.clone();
    if let Value::Object(members) = &mut statement {
        // A name for people, which changes nothing.
        members.remove("Sid");
    }
    let hash = digest(&SHA256, statement.to_string().as_bytes());
    scope::rule(policy, &HEXLOWER.encode(&hash.as_ref()[..4]))
}

fn allows(statement: &Value, current: bool) -> Option<BTreeSet<Scope>> {
    let members = statement.as_object()?;
    let known = |name: &String| ["Sid", "Effect", "Action", "Resource"].contains(&name.as_str());
    if !members.keys().all(known) || members.get("Effect")?.as_str()? != "Allow" {
        return None;
    }
    let mut scopes = BTreeSet::new();
    for action in texts(members.get("Action")?)? {
        for resource in texts(members.get("Resource")?)? {
            if resource.contains("${") && !current {
                return None;
            }
            scopes.insert(scope::allow(action, resource)?);
        }
    }
    (!scopes.is_empty()).then_some(scopes)
}

fn texts(value: &Value) -> Option<Vec<&str>> {
    match value {
        Value::String(text) => Some(vec![text]),
        Value::Array(all) => all.iter().map(Value::as_str).collect(),
        _ => None,
    }
}

/// A policy that says exactly these scopes and these statements; `None` where nothing is said.
pub(crate) fn write<'a>(
    scopes: impl IntoIterator<Item = &'a Scope>,
    others: &[Value],
) -> Option<String> {
    // What is allowed on the same resources stands together: AWS counts letters.
    let mut by_resource: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for scope in scopes {
        if let Some(Form::Allow { action, resource }) = form(scope.as_str()) {
            by_resource.entry(resource).or_default().insert(action);
        }
    }
    let mut by_actions: BTreeMap<BTreeSet<&str>, Vec<&str>> = BTreeMap::new();
    for (resource, actions) in by_resource {
        by_actions.entry(actions).or_default().push(resource);
    }
    let one_or_all = |all: Vec<&str>| match all[..] {
        [one] => Value::from(one),
        _ => Value::from(all),
    };
    let mut statements: Vec<Value> = by_actions
        .into_iter()
        .map(|(actions, resources)| {
            let mut statement = Map::new();
            statement.insert("Effect".into(), "Allow".into());
            statement.insert("Action".into(), one_or_all(actions.into_iter().collect()));
            statement.insert("Resource".into(), one_or_all(resources));
            Value::Object(statement)
        })
        .collect();
    statements.extend(others.iter().cloned());
    (!statements.is_empty())
        .then(|| json!({ "Version": VERSION, "Statement": statements }).to_string())
}

/// The policy that switches a user off, with the keys that are to be on again afterwards. A statement
/// may have a name of letters and digits, and a key id is one.
pub(crate) fn off(keys: &BTreeSet<String>) -> String {
    let deny = |sid: &str| json!({ "Sid": sid, "Effect": "Deny", "Action": "*", "Resource": "*" });
    let mut statements = vec![deny("off")];
    statements.extend(keys.iter().map(|key| deny(key)));
    json!({ "Version": VERSION, "Statement": statements }).to_string()
}

/// The keys that such a policy names; `None` where it is another.
pub(crate) fn keys_when_off(text: &str) -> Option<BTreeSet<String>> {
    let document: Value = serde_json::from_str(text).ok()?;
    let mut keys = BTreeSet::new();
    for statement in document.get("Statement")?.as_array()? {
        let member = |name: &str| statement.get(name).and_then(Value::as_str);
        let denies = (member("Effect"), member("Action"), member("Resource"));
        if denies != (Some("Deny"), Some("*"), Some("*")) || statement.as_object()?.len() > 4 {
            return None;
        }
        if let Some(sid) = member("Sid").filter(|sid| *sid != "off") {
            keys.insert(sid.to_owned());
        }
    }
    Some(keys)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn scopes(text: &str) -> BTreeSet<String> {
        let of = |said: Said| match said {
            Said::Allows(scopes) => scopes.iter().map(Scope::to_string).collect(),
            Said::Other(scope, _) => vec![scope.to_string()],
        };
        read("p", text).into_iter().flat_map(of).collect()
    }

    #[test]
    fn statements_become_scopes_and_what_cannot_is_one_of_its_own() {
        let text = r#"{"Version":"2012-10-17","Statement":[
            {"Sid":"a","Effect":"Allow","Action":["s3:GetObject","s3:PutObject"],"Resource":["arn:aws:s3:::a","arn:aws:s3:::b"]},
            {"Effect":"Allow","Action":"*","Resource":"*"}]}"#;
        let expected = [
            "*@*",
            "s3:GetObject@arn:aws:s3:::a",
            "s3:GetObject@arn:aws:s3:::b",
            "s3:PutObject@arn:aws:s3:::a",
            "s3:PutObject@arn:aws:s3:::b",
        ];
        assert_eq!(scopes(text), expected.map(str::to_owned).into());
        for odd in [
            r#"{"Effect":"Deny","Action":"*","Resource":"*"}"#,
            r#"{"Effect":"Allow","NotAction":"iam:*","Resource":"*"}"#,
            r#"{"Effect":"Allow","Action":"*","NotResource":"arn:aws:s3:::a"}"#,
            r#"{"Effect":"Allow","Action":"*","Resource":"*","Condition":{}}"#,
            r#"{"Effect":"Allow","Action":[],"Resource":"*"}"#,
            r#"{"Effect":"Allow","Action":"s?:x","Resource":"*"}"#,
            r#""statement""#,
        ] {
            let found = scopes(&format!(r#"{{"Version":"2012-10-17","Statement":[{odd}]}}"#));
            assert!(
                found.len() == 1 && found.iter().all(|one| one.starts_with("rule/p#")),
                "{odd}"
            );
        }
        let old = r#"{"Statement":{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::${aws:username}"}}"#;
        assert!(
            scopes(old).iter().all(|one| one.starts_with("rule/")),
            "variables are letters there"
        );
        for none in ["", "[]", "{}", "null", "{\"Statement\":3}"] {
            assert!(scopes(none).iter().all(|one| one.starts_with("rule/")), "{none}");
        }
    }

    #[test]
    fn a_statement_is_known_by_what_it_does_and_not_by_its_name() {
        let of = |sid: &str| {
            scopes(&format!(
                r#"{{"Version":"2012-10-17","Statement":[{{"Sid":"{sid}","Effect":"Deny","Action":"s3:*","Resource":"*"}}]}}"#
            ))
        };
        assert_eq!(of("a"), of("b"));
    }

    #[test]
    fn the_policy_that_switches_off_says_what_was_on() {
        let keys = BTreeSet::from(["AKIA1".to_owned(), "AKIA2".to_owned()]);
        assert_eq!(keys_when_off(&off(&keys)), Some(keys));
        assert_eq!(keys_when_off(&off(&BTreeSet::new())), Some(BTreeSet::new()));
        assert_eq!(
            keys_when_off(r#"{"Statement":[{"Effect":"Deny","Action":"s3:*","Resource":"*"}]}"#),
            None
        );
        assert_eq!(keys_when_off("no policy"), None);
    }

    proptest! {
        #[test]
        fn what_is_written_reads_as_it_was(parts in prop::collection::btree_set("(s3:(Get|Put)[A-C]|\\*)@(\\*|arn:aws:s3:::[a-c]/\\*)", 1..9)) {
            let wanted: BTreeSet<Scope> = parts.iter().map(Scope::canonical).collect();
            let text = write(&wanted, &[]).unwrap();
            let expected: BTreeSet<String> = wanted.iter().map(Scope::to_string).collect();
            prop_assert_eq!(scopes(&text), expected);
        }
    }
}
