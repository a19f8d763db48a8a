//! One integration by what it has to do with: its workflows, what it runs on, what it reaches, and how
//! it is to end.

use domain::{Span, Ties};

use super::{
    Finding, environment_crossed, invokers_unknown, offboarding_owner_missing, shared_by_workflows,
    stop_too_slow, stop_within_missing, tools_unknown, workflow_changed,
};
use crate::Rules;

/// What is known of one integration.
#[derive(Debug, Clone, Copy)]
pub struct Tied<'a> {
    /// Its id.
    pub id: &'a str,
    /// What it has to do with.
    pub ties: &'a Ties,
    /// The environment that it is of.
    pub environment: Option<&'a str>,
    /// How it runs.
    pub execution_mode: Option<&'a str>,
    /// It was taken over as it was found, and not everything need be said of it yet.
    pub adopted: bool,
    /// How long it took when a credential of it was last ended.
    pub time_to_stop: Option<Span>,
}

/// Judges it by the rules.
pub fn ties(facts: &Tied<'_>, rules: &Rules) -> Vec<Finding> {
    let Tied { id, ties, .. } = *facts;
    let mut all = Vec::new();
    for (name, workflow) in &ties.workflows {
        let reviewed = workflow.reviewed_version.as_deref();
        if let Some(version) = workflow.version.as_deref().filter(|one| Some(*one) != reviewed) {
            all.push(workflow_changed::judge(id, name, version, reviewed));
        }
        if workflow.invokers.is_none() {
            all.push(invokers_unknown::judge(id, name));
        }
    }
    if ties.workflows.len() > 1 && ties.shared_with.is_empty() {
        all.push(shared_by_workflows::judge(id, ties.workflows.keys().map(String::as_str)));
    }
    if facts.execution_mode == Some("agent") && ties.tools.is_none() {
        all.push(tools_unknown::judge(id));
    }
    if rules.require_offboarding_owner && ties.offboarding_owner.is_none() && !facts.adopted {
        all.push(offboarding_owner_missing::judge(id));
    }
    stops(facts, rules, &mut all);
    crosses(facts, &mut all);
    all
}

fn stops(facts: &Tied<'_>, rules: &Rules, all: &mut Vec<Finding>) {
    let within = facts.ties.stop_within.as_deref().and_then(|text| text.parse::<Span>().ok());
    let Some(within) = within else {
        if rules.require_stop_within && !facts.adopted {
            all.push(stop_within_missing::judge(facts.id));
        }
        return;
    };
    if let Some(longest) = rules.stop_within_longest.filter(|longest| within > *longest) {
        all.push(stop_too_slow::allowed(facts.id, within, longest));
    }
    if let Some(took) = facts.time_to_stop.filter(|took| *took > within) {
        all.push(stop_too_slow::measured(facts.id, within, took));
    }
}

fn crosses(facts: &Tied<'_>, all: &mut Vec<Finding>) {
    let Some(ours) = facts.environment else { return };
    let other = |theirs: &Option<String>| theirs.clone().filter(|theirs| theirs != ours);
    if let Some(host) = &facts.ties.runs_on
        && let Some(theirs) = other(&host.environment)
    {
        all.push(environment_crossed::beside(facts.id, "runs_on", &host.id, ours, &theirs));
    }
    for (name, reached) in &facts.ties.reaches {
        if let Some(theirs) = other(&reached.environment) {
            let facet = format!("reaches.{name}");
            all.push(environment_crossed::beside(facts.id, &facet, name, ours, &theirs));
        }
    }
}

#[cfg(test)]
pub(super) use tests::worst;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn strict() -> Rules {
        Rules {
            require_offboarding_owner: true,
            require_stop_within: true,
            stop_within_longest: "10m".parse().ok(),
            ..Rules::default()
        }
    }

    fn told(value: serde_json::Value, rules: &Rules) -> Vec<(&'static str, String)> {
        let ties = Ties::from_json(&value);
        let facts = Tied {
            id: "x",
            ties: &ties,
            environment: Some("test"),
            execution_mode: Some("agent"),
            adopted: false,
            time_to_stop: "3m".parse().ok(),
        };
        super::ties(&facts, rules).into_iter().map(|one| (one.rule, one.facet)).collect()
    }

    /// One thing wrong of each kind.
    pub(in super::super) fn worst() -> Vec<Finding> {
        let ties = Ties::from_json(&json!({ "workflows": { "a": { "version": "2" }, "b": {} } }));
        let facts = |ties| Tied {
            id: "x",
            ties,
            environment: Some("test"),
            execution_mode: Some("agent"),
            adopted: false,
            time_to_stop: "3m".parse().ok(),
        };
        let mut all = super::ties(&facts(&ties), &strict());
        let ties = Ties::from_json(&json!({ "stop_within": "1h" }));
        all.extend(super::ties(&facts(&ties), &strict()));
        all
    }

    #[test]
    fn whoever_says_all_that_is_asked_is_told_nothing() {
        let good = json!({
            "offboarding_owner": { "id": "owner/desk" },
            "workflows": { "nightly": { "version": "2", "reviewed_version": "2", "invokers": [] },
                "weekly": { "invokers": ["owner/ann"] } },
            "shared_with": ["owner/data"],
            "runs_on": { "id": "none/third_party/etl", "environment": "test" },
            "reaches": { "crm": { "environment": "test" }, "erp": {} },
            "tools": [],
            "stop_within": "5m",
        });
        assert_eq!(told(good, &strict()), []);
    }

    #[test]
    fn each_thing_that_is_wrong_is_told_where_it_stands() {
        let of = |value| told(value, &Rules::default());
        let ok = |more: serde_json::Value| {
            let mut all = json!({ "tools": [] });
            all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            all
        };
        let at = |rule, facet: &str| vec![(rule, facet.to_owned())];
        assert_eq!(of(json!({})), at("tools-unknown", "tools"));
        for (version, reviewed) in [("2", Some("1")), ("2", None)] {
            let one = json!({ "version": version, "reviewed_version": reviewed, "invokers": [] });
            let moved = of(ok(json!({ "workflows": { "w": one } })));
            assert_eq!(moved, at("workflow-changed", "workflows.w.version"));
        }
        let bare = of(ok(json!({ "workflows": { "w": {} } })));
        assert_eq!(bare, at("invokers-unknown", "workflows.w.invokers"));
        let both = json!({ "a": { "invokers": [] }, "b": { "invokers": [] } });
        assert_eq!(of(ok(json!({ "workflows": both }))), at("shared-by-workflows", "workflows"));
        let crossed = json!({ "reaches": { "crm": { "environment": "production" } } });
        assert_eq!(of(ok(crossed)), at("environment-crossed", "reaches.crm"));
        let hosted = json!({ "runs_on": { "id": "x/y/z", "environment": "production" } });
        assert_eq!(of(ok(hosted)), at("environment-crossed", "runs_on"));
        let slow = of(ok(json!({ "stop_within": "1m" })));
        assert_eq!(slow, at("stop-too-slow", "time_to_stop"));
        assert_eq!(of(ok(json!({ "stop_within": "3m" }))), []);
    }
}
