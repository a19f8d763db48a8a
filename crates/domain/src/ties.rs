//! What an integration has to do with besides its platform: who starts it, what it runs on, where it
//! reaches, how fast it must stop, and who sees to its end. People declare it; no platform keeps it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

/// A workflow that uses an integration.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Workflow {
    /// The identity under which it runs at its platform: `<connection>/<kind>/<vendor key>`.
    pub id: Option<String>,
    /// What is deployed now.
    pub version: Option<String>,
    /// What somebody looked at when the scopes were last reviewed.
    pub reviewed_version: Option<String>,
    /// Who may start it; `None`: nobody has said.
    pub invokers: Option<BTreeSet<String>>,
}

/// What an integration runs on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Host {
    /// Its id.
    pub id: String,
    /// The environment that it is of.
    pub environment: Option<String>,
    /// The last day of the contract with its vendor.
    pub contract_ends_on: Option<String>,
}

/// A system that an integration reaches besides its own platform.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reached {
    /// What sort of system it is.
    pub category: Option<String>,
    /// `reads`, `writes` or `both`.
    pub direction: Option<String>,
    /// The most sensitive data that goes there or comes from there.
    pub data: Option<String>,
    /// Whose business it is.
    pub domain: Option<String>,
    /// The environment that it is of.
    pub environment: Option<String>,
    /// The integration that is used to get there: what that one reaches is reached too.
    pub integration: Option<String>,
}

/// What an integration has to do with.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ties {
    /// Who sees to its end: `owner/<name>`.
    pub offboarding_owner: Option<String>,
    /// Conditions any of which ends it.
    pub expires_when: BTreeSet<String>,
    /// Workflows that use it, by a name of their own.
    pub workflows: BTreeMap<String, Workflow>,
    /// What it runs on.
    pub runs_on: Option<Host>,
    /// Systems that it reaches, by a name of their own.
    pub reaches: BTreeMap<String, Reached>,
    /// What an agent may choose to use; `None`: nobody has said.
    pub tools: Option<BTreeSet<String>>,
    /// How fast it must be possible to stop it.
    pub stop_within: Option<String>,
    /// The id of the one that it took the place of.
    pub replaces: Option<String>,
    /// Who else uses it.
    pub shared_with: BTreeSet<String>,
}

/// The members by which these stand in a configuration, in a state and in the ledger.
pub const MEMBERS: [&str; 9] = [
    "offboarding_owner",
    "expires_when",
    "workflows",
    "runs_on",
    "reaches",
    "tools",
    "stop_within",
    "replaces",
    "shared_with",
];

fn text(value: &Value, name: &str) -> Option<String> {
    value.get(name).and_then(Value::as_str).map(str::to_owned)
}

fn texts(value: Option<&Value>) -> Option<BTreeSet<String>> {
    let all = value?.as_array()?;
    Some(all.iter().filter_map(Value::as_str).map(str::to_owned).collect())
}

fn members<T>(value: Option<&Value>, read: impl Fn(&Value) -> T) -> BTreeMap<String, T> {
    let all = value.and_then(Value::as_object).into_iter().flatten();
    all.map(|(name, one)| (name.clone(), read(one))).collect()
}

/// An object of those members that are there.
fn object<const N: usize>(members: [(&str, Option<Value>); N]) -> Value {
    let there = members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(there.collect::<Map<_, _>>())
}

fn said(text: &Option<String>) -> Option<Value> {
    text.clone().map(Value::String)
}

fn listed(texts: &BTreeSet<String>) -> Value {
    texts.iter().cloned().map(Value::String).collect()
}

impl Ties {
    /// Whether nothing of it is said.
    pub fn is_empty(&self) -> bool {
        *self == Ties::default()
    }

    /// Reads the attributes of an integration in a state, or what [`Ties::to_json`] wrote. What is of
    /// another form says nothing.
    pub fn from_json(values: &Value) -> Ties {
        let workflow = |one: &Value| Workflow {
            id: text(one, "id"),
            version: text(one, "version"),
            reviewed_version: text(one, "reviewed_version"),
            invokers: texts(one.get("invokers")),
        };
        let reached = |one: &Value| Reached {
            category: text(one, "category"),
            direction: text(one, "direction"),
            data: text(one, "data"),
            domain: text(one, "domain"),
            environment: text(one, "environment"),
            integration: text(one, "integration"),
        };
        let host = |one: &Value| {
            let third = one.get("third_party");
            Some(Host {
                id: text(one, "id")?,
                environment: text(one, "environment"),
                contract_ends_on: third.and_then(|one| text(one, "contract_ends_on")),
            })
        };
        Ties {
            offboarding_owner: values.get("offboarding_owner").and_then(|one| text(one, "id")),
            expires_when: texts(values.get("expires_when")).unwrap_or_default(),
            workflows: members(values.get("workflows"), workflow),
            runs_on: values.get("runs_on").and_then(host),
            reaches: members(values.get("reaches"), reached),
            tools: texts(values.get("tools")),
            stop_within: text(values, "stop_within"),
            replaces: text(values, "replaces"),
            shared_with: texts(values.get("shared_with")).unwrap_or_default(),
        }
    }

    /// Members as in a configuration, absent ones left out.
    pub fn to_json(&self) -> Value {
        let workflow = |one: &Workflow| {
            object([
                ("id", said(&one.id)),
                ("version", said(&one.version)),
                ("reviewed_version", said(&one.reviewed_version)),
                ("invokers", one.invokers.as_ref().map(listed)),
            ])
        };
        let reached = |one: &Reached| {
            object([
                ("category", said(&one.category)),
                ("direction", said(&one.direction)),
                ("data", said(&one.data)),
                ("domain", said(&one.domain)),
                ("environment", said(&one.environment)),
                ("integration", said(&one.integration)),
            ])
        };
        let host = |one: &Host| {
            let contract = one.contract_ends_on.is_some();
            let third = || object([("contract_ends_on", said(&one.contract_ends_on))]);
            object([
                ("id", Some(Value::String(one.id.clone()))),
                ("environment", said(&one.environment)),
                ("third_party", contract.then(third)),
            ])
        };
        let some = |all: &BTreeSet<String>| (!all.is_empty()).then(|| listed(all));
        fn map<T>(all: &BTreeMap<String, T>, write: impl Fn(&T) -> Value) -> Option<Value> {
            let written = all.iter().map(|(name, one)| (name.clone(), write(one)));
            (!all.is_empty()).then(|| Value::Object(written.collect()))
        }
        let owner = |id: &String| object([("id", Some(Value::String(id.clone())))]);
        object([
            ("offboarding_owner", self.offboarding_owner.as_ref().map(owner)),
            ("expires_when", some(&self.expires_when)),
            ("workflows", map(&self.workflows, workflow)),
            ("runs_on", self.runs_on.as_ref().map(host)),
            ("reaches", map(&self.reaches, reached)),
            ("tools", self.tools.as_ref().map(listed)),
            ("stop_within", said(&self.stop_within)),
            ("replaces", said(&self.replaces)),
            ("shared_with", some(&self.shared_with)),
        ])
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// With everything said.
    fn whole() -> Value {
        json!({
            "offboarding_owner": { "id": "owner/desk" },
            "expires_when": ["contract_ended", "workflow_retired"],
            "workflows": { "nightly": {
                "id": "hub/user/nightly", "version": "14", "reviewed_version": "13",
                "invokers": ["owner/finance"] } },
            "runs_on": { "id": "none/third_party/etl", "environment": "production",
                "third_party": { "contract_ends_on": "2027-01-31" } },
            "reaches": { "ledger": { "category": "erp", "direction": "writes", "data": "financial",
                "domain": "finance", "environment": "production", "integration": "bao/role/x" } },
            "tools": ["mail"],
            "stop_within": "5m",
            "replaces": "bao/role/old",
            "shared_with": ["owner/data"],
        })
    }

    #[test]
    fn what_was_written_is_read_and_has_every_member() {
        let read = Ties::from_json(&whole());
        assert_eq!(read.to_json(), whole());
        let named: BTreeSet<String> = whole().as_object().unwrap().keys().cloned().collect();
        assert_eq!(named, MEMBERS.map(str::to_owned).into());
        assert_eq!(read.workflows["nightly"].version.as_deref(), Some("14"));
        assert_eq!(read.runs_on.unwrap().contract_ends_on.as_deref(), Some("2027-01-31"));
    }

    #[test]
    fn a_state_without_them_says_nothing_and_none_is_another_thing_than_nobody_knows() {
        let bare = json!({ "purpose": "p", "workflows": null, "tools": null, "runs_on": null });
        assert!(Ties::from_json(&bare).is_empty());
        assert_eq!(Ties::default().to_json(), json!({}));
        let none =
            Ties::from_json(&json!({ "tools": [], "workflows": { "w": { "invokers": [] } } }));
        assert_eq!(none.tools, Some(BTreeSet::new()));
        assert_eq!(none.workflows["w"].invokers, Some(BTreeSet::new()));
        assert_eq!(Ties::from_json(&none.to_json()), none);
    }
}
