//! What an integration has to do with besides its platform. People declare it, and no platform keeps
//! it: it stands in state and in the ledger, and import knows nothing of it.

use std::collections::{BTreeMap, BTreeSet};

use domain::{
    Direction, Ties,
    ties::{self as domain_ties, Host},
};
use operations::Problem;
use policy::rules::Verdict;
use tfplugin::{Attr, Diagnostics, Path, Set};

use super::{IntegrationModel, third_party_name};
use crate::resources::references::{HostReference, Reached, Workflow};

fn text(attr: &Attr<String>) -> Option<String> {
    attr.as_deref().map(str::to_owned)
}

fn set(attr: &Attr<Set<String>>) -> BTreeSet<String> {
    attr.value().cloned().unwrap_or_default()
}

fn workflow(one: &Workflow) -> domain_ties::Workflow {
    domain_ties::Workflow {
        id: text(&one.id),
        version: text(&one.version),
        reviewed_version: text(&one.reviewed_version),
        invokers: one.invokers.value().cloned(),
    }
}

fn reached(one: &Reached) -> domain_ties::Reached {
    domain_ties::Reached {
        category: text(&one.category),
        direction: text(&one.direction),
        data: text(&one.data),
        domain: text(&one.domain),
        environment: text(&one.environment),
        integration: text(&one.integration),
    }
}

fn host(one: &HostReference) -> Option<Host> {
    Some(Host {
        id: text(&one.id)?,
        environment: text(&one.environment),
        contract_ends_on: one.third_party.value().and_then(|one| text(&one.contract_ends_on)),
    })
}

/// As the judgments know it.
pub(super) fn ties_of(model: &IntegrationModel) -> Ties {
    fn all<T, U>(map: &Attr<BTreeMap<String, T>>, read: impl Fn(&T) -> U) -> BTreeMap<String, U> {
        let members = map.value().into_iter().flatten();
        members.map(|(name, one)| (name.clone(), read(one))).collect()
    }
    Ties {
        offboarding_owner: model.offboarding_owner.value().and_then(|one| text(&one.id)),
        expires_when: set(&model.expires_when),
        workflows: all(&model.workflows, workflow),
        runs_on: model.runs_on.value().and_then(host),
        reaches: all(&model.reaches, reached),
        tools: model.tools.value().cloned(),
        stop_within: text(&model.stop_within),
        replaces: text(&model.replaces),
        shared_with: set(&model.shared_with),
    }
}

/// What a vendor runs is looked at nowhere, and ends by nobody's deed from here.
fn refuse_unjudged(config: &IntegrationModel, found: &mut Diagnostics) {
    let mut refuse = |at: Path, is_for: &str| {
        found.error_at(
            at,
            "Nobody would judge this of what a vendor runs",
            format!(
                "It is for {is_for}, and what its vendor runs cannot be looked at or switched off from \
                 here.\nNext: take it out; the end of a third party is its expires_on, and \
                 third_party.contract_ends_on.\n(E-VALUE)"
            ),
        );
    };
    if !config.expires_when.is_null() {
        refuse(Path::attribute("expires_when"), "what policy switches off when a condition is met");
    }
    if !config.replaces.is_null() {
        refuse(Path::attribute("replaces"), "what takes the place of another on a platform");
    }
    let named = config.workflows.value().into_iter().flatten();
    for (name, _) in named.filter(|(_, one)| !one.id.is_null()) {
        let at = Path::attribute("workflows").key(name.as_str()).then("id");
        refuse(at, "what is to end with its workflow");
    }
}

/// What contradicts itself, as far as it is known.
pub(super) fn check_ties(config: &IntegrationModel, found: &mut Diagnostics) {
    if config.platform.present()[..] == [third_party_name()] {
        refuse_unjudged(config, found);
    }
    let mode = &config.execution_mode;
    if config.tools.is_value() && mode.is_value() && *mode != "agent" {
        found.error_at(
            "tools",
            "Only an agent chooses tools",
            format!(
                "execution_mode is {:?}, and what runs so does what was written for it.\nNext: declare what it \
                 reaches in reaches, or execution_mode = \"agent\".\n(E-VALUE)",
                mode.text()
            ),
        );
    }
    if config.expires_when.value().is_some_and(|words| words.contains("contract_ended"))
        && config.runs_on.is_null()
    {
        found.error_at(
            "expires_when",
            "There is no contract that could end",
            "contract_ended is about the third party that it runs on, and runs_on is not set.\nNext: set runs_on \
             to the nhi_integration of that third party.\n(E-VALUE)",
        );
    }
    let named = config.workflows.value().into_iter().flatten();
    let has_id = named.clone().any(|(_, one)| !one.id.is_null());
    if config.expires_when.value().is_some_and(|words| words.contains("workflow_retired"))
        && !config.workflows.is_unknown()
        && !has_id
    {
        found.error_at(
            "expires_when",
            "Nobody could see that a workflow is gone",
            "workflow_retired is about the identities of its workflows, and none of them has an id.\nNext: give a \
             workflow its id; nhi scan prints them.\n(E-VALUE)",
        );
    }
    for (name, one) in named {
        if one.reviewed_version.is_value() && one.version.is_null() {
            found.error_at(
                Path::attribute("workflows").key(name.as_str()).then("reviewed_version"),
                "A version was reviewed, and none is deployed",
                "reviewed_version is compared with version.\nNext: set version.\n(E-VALUE)",
            );
        }
    }
}

/// What a plan says of it: who is not there, what would be its own predecessor, what nobody could tell
/// apart.
pub(super) fn judge_ties(
    prior: Option<&IntegrationModel>,
    planned: &IntegrationModel,
    told: &mut Diagnostics,
) {
    let owner =
        |model: &IntegrationModel| model.offboarding_owner.value().map(|one| one.id.clone());
    if planned.offboarding_owner.value().is_some_and(|one| one.status == "left") {
        let newly = prior.and_then(owner) != owner(planned);
        if newly {
            told.error_at(
                "offboarding_owner",
                "This owner is not there any more",
                "When it is no longer needed, nobody would end it.\nNext: name somebody else.\n(E-OWNER-LEFT)",
            );
        } else {
            told.warning_at(
                "offboarding_owner",
                "This owner is not there any more",
                "When it is no longer needed, nobody would end it.\nNext: name somebody else.",
            );
        }
    }
    let same = |id: &Attr<String>| id.is_value() && *id == planned.id;
    if same(&planned.replaces) {
        told.error_at(
            "replaces",
            "It cannot take its own place",
            "replaces names this very integration.\nNext: name the one that was there before.\n(E-VALUE)",
        );
    }
    if planned.runs_on.value().is_some_and(|host| same(&host.id)) {
        told.error_at(
            "runs_on",
            "It cannot run on itself",
            "runs_on names this very integration.\nNext: name what it runs on, or leave it out.\n(E-VALUE)",
        );
    }
    if let Some(all) = planned.workflows.value().filter(|all| all.len() > 1)
        && planned.shared_with.value().is_none_or(Set::is_empty)
        && !planned.shared_with.is_unknown()
    {
        let names: Vec<&str> = all.keys().map(String::as_str).collect();
        told.warning_at(
            "workflows",
            "Several workflows share one integration",
            format!(
                "{}: {}. What one of them does cannot be told from what another does.\nNext: make one integration \
                 for each, or say in shared_with who shares it.",
                planned.id.text(),
                names.join(", ")
            ),
        );
    }
}

/// Takes out of the standing what the configuration answers; the next look says whether that helped.
pub(super) fn forget_answered(
    config: &IntegrationModel,
    prior: &IntegrationModel,
    standing: &mut BTreeMap<String, String>,
) {
    let conditions = config.expires_when != prior.expires_when;
    if config.workflows != prior.workflows || conditions {
        standing.remove("workflow_retired");
    }
    if config.runs_on != prior.runs_on || conditions {
        standing.remove("condition_met");
    }
    if config.replaces != prior.replaces {
        standing.remove("predecessor_alive");
    }
}

/// What could not be looked at stays as it was known: nothing is switched on because a platform does not
/// answer.
pub(super) fn keep_unread(
    model: &IntegrationModel,
    unread: &[(String, Problem)],
    standing: &mut BTreeMap<&'static str, Verdict>,
    told: &mut Diagnostics,
) {
    for (id, problem) in unread {
        // Under its own id it is its use that is not known.
        let (at, name) = if model.id == id.as_str() {
            ("expires_when", "condition_met")
        } else if model.replaces == id.as_str() {
            ("replaces", "predecessor_alive")
        } else {
            ("workflows", "workflow_retired")
        };
        told.warning_at(
            at,
            "It could not be looked at",
            format!(
                "{id}: {} {} What was known of it stays.\nNext: {}.",
                problem.summary,
                problem.detail,
                problem.next.as_deref().unwrap_or("nhi doctor")
            ),
        );
        let known = model.standing.value().and_then(|all| Verdict::from_word(all.get(name)?));
        if let Some(known) = known {
            let now = standing.entry(name).or_insert(known);
            *now = (*now).max(known);
        }
    }
}

/// Which way the changes of these go: more that it reaches, more who may start it, less that ends it.
pub(super) fn ways(
    prior: &IntegrationModel,
    planned: &IntegrationModel,
) -> Vec<(Direction, &'static str)> {
    let (before, after) = (ties_of(prior), ties_of(planned));
    let dark = |unknown: bool, way: Direction| if unknown { Direction::Unknown } else { way };
    vec![
        (
            dark(
                planned.expires_when.is_unknown(),
                grown(&after.expires_when, &before.expires_when),
            ),
            "expires_when",
        ),
        (dark(planned.tools.is_unknown(), tools(&before, &after)), "tools"),
        (
            dark(planned.shared_with.is_unknown(), grown(&before.shared_with, &after.shared_with)),
            "shared_with",
        ),
        (dark(planned.reaches.is_unknown(), entries(&before.reaches, &after.reaches)), "reaches"),
        (dark(planned.workflows.is_unknown(), workflows(&before, &after)), "workflows"),
    ]
}

/// What is added widens, what goes narrows.
fn grown(before: &BTreeSet<String>, after: &BTreeSet<String>) -> Direction {
    match (after.is_subset(before), before.is_subset(after)) {
        (true, true) => Direction::None,
        (true, false) => Direction::Narrows,
        (false, true) => Direction::Widens,
        (false, false) => Direction::Mixed,
    }
}

/// Unset is not none: nobody says any more what there is.
fn tools(before: &Ties, after: &Ties) -> Direction {
    let named = |all: &Ties| all.tools.clone().unwrap_or_default();
    match (&before.tools, &after.tools) {
        (Some(_), None) => Direction::Unknown,
        _ => grown(&named(before), &named(after)),
    }
}

/// The same of entries; one that changed may be more or less.
fn entries<T: PartialEq>(before: &BTreeMap<String, T>, after: &BTreeMap<String, T>) -> Direction {
    let names = |all: &BTreeMap<String, T>| all.keys().cloned().collect::<BTreeSet<_>>();
    let changed = after.iter().any(|(name, one)| before.get(name).is_some_and(|was| was != one));
    let way = grown(&names(before), &names(after));
    if changed { way.and(Direction::Mixed) } else { way }
}

/// Another version gives nobody anything: it asks for a review. One more who may start it does.
fn workflows(before: &Ties, after: &Ties) -> Direction {
    // Of one that is left unset nobody says any more who may start it.
    let unsaid = after.workflows.iter().any(|(name, one)| {
        let was = before.workflows.get(name).and_then(|was| was.invokers.as_ref());
        one.invokers.is_none() && was.is_some()
    });
    if unsaid {
        return Direction::Unknown;
    }
    let invokers = |all: &Ties| -> BTreeSet<String> {
        let of = |(name, one): (&String, &domain_ties::Workflow)| {
            let by = one.invokers.clone().unwrap_or_default();
            std::iter::once(name.clone())
                .chain(by.into_iter().map(|who| format!("{name}/{who}")))
                .collect::<Vec<_>>()
        };
        all.workflows.iter().flat_map(of).collect()
    };
    grown(&invokers(before), &invokers(after))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn one_more_who_may_start_it_widens_and_another_version_does_not() {
        let of = |value| Ties::from_json(&json!({ "workflows": value }));
        let way = |before, after| workflows(&of(before), &of(after));
        let one = json!({ "w": { "version": "1", "invokers": ["a"] } });
        let two = json!({ "w": { "version": "1", "invokers": ["a", "b"] } });
        let newer = json!({ "w": { "version": "2", "invokers": ["a"] } });
        assert_eq!(way(one.clone(), two.clone()), Direction::Widens);
        assert_eq!(way(two, one.clone()), Direction::Narrows);
        assert_eq!(way(one.clone(), newer), Direction::None);
        assert_eq!(way(one.clone(), json!({ "v": {} })), Direction::Mixed);
        assert_eq!(way(one, json!({ "w": { "version": "1" } })), Direction::Unknown);
    }

    #[test]
    fn tools_that_are_unset_are_not_fewer() {
        let way = |before, after| tools(&Ties::from_json(&before), &Ties::from_json(&after));
        let (one, unset) = (json!({ "tools": ["a"] }), json!({}));
        assert_eq!(way(one.clone(), json!({ "tools": [] })), Direction::Narrows);
        assert_eq!(way(one.clone(), unset.clone()), Direction::Unknown);
        assert_eq!(way(unset, one), Direction::Widens);
    }

    #[test]
    fn a_system_that_is_added_widens_and_one_that_is_said_to_be_another_is_mixed() {
        let of = |value| Ties::from_json(&json!({ "reaches": value })).reaches;
        let way = |before, after| entries(&of(before), &of(after));
        let (crm, both) = (json!({ "crm": {} }), json!({ "crm": {}, "erp": {} }));
        assert_eq!(way(crm.clone(), both.clone()), Direction::Widens);
        assert_eq!(way(both, crm.clone()), Direction::Narrows);
        assert_eq!(way(crm, json!({ "crm": { "direction": "both" } })), Direction::Mixed);
    }
}
