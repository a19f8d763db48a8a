//! Integrations by where they get to: what each reaches itself, and through others.

use std::collections::BTreeMap;

use domain::Action;

use super::{Finding, reach_through_another, reach_wide};
use crate::{
    Rules,
    reach::{Blast, Graph, Node},
};

/// Judges one integration by the graph of all; `ceiling`: the most that its scopes may do.
pub fn reach(id: &str, graph: &Graph, ceiling: Option<Action>, rules: &Rules) -> Vec<Finding> {
    let here = Node::Integration(id.to_owned());
    let (blast, own) = (graph.blast(&here), graph.own(&here));
    let mut all = Vec::new();
    let wide = |what: &str, names: Vec<&str>, most: Option<u64>| {
        let most = most.filter(|most| names.len() as u64 > *most)?;
        Some(reach_wide::judge(id, what, &names, most))
    };
    let domains = blast.domains.iter().map(String::as_str).collect();
    all.extend(wide("domains", domains, rules.findings.domains_most));
    let systems = blast.reached.keys().filter(|node| matches!(node, Node::System(_)));
    let systems = systems.map(Node::name).collect();
    all.extend(wide("systems", systems, rules.findings.systems_most));
    all.extend(through(id, &blast, &own, ceiling));
    all
}

/// What others add to what it has itself.
fn through(id: &str, blast: &Blast, own: &Blast, ceiling: Option<Action>) -> Option<Finding> {
    let others = blast.reached.iter().filter(|(node, _)| matches!(node, Node::Integration(_)));
    // Each by the name of the first on the way: that is where less can be given.
    let first: BTreeMap<&str, ()> =
        others.filter_map(|(_, way)| Some((way.first()?.to.name(), ()))).collect();
    let names: Vec<&str> = first.into_keys().collect();
    if names.is_empty() {
        return None;
    }
    let more = blast.highest.filter(|highest| Some(*highest) > own.highest);
    let mut gains = Vec::new();
    gains.extend(more.map(|action| format!("{action}")));
    let further: Vec<&str> = blast.domains.difference(&own.domains).map(String::as_str).collect();
    if !further.is_empty() {
        gains.push(format!("the business of {}", further.join(", ")));
    }
    let dark: Vec<&str> = blast
        .unknown
        .keys()
        .filter(|node| !own.unknown.contains_key(*node))
        .map(Node::name)
        .collect();
    if !dark.is_empty() {
        gains.push(format!("what nobody knows of {}", dark.join(", ")));
    }
    let above = ceiling.filter(|most| more.is_some_and(|action| action > *most));
    (!gains.is_empty()).then(|| reach_through_another::judge(id, &names, &gains, more, above))
}

#[cfg(test)]
pub(super) use tests::worst;

#[cfg(test)]
mod tests {
    use domain::Ties;
    use serde_json::json;

    use super::*;
    use crate::reach::Holder;

    /// Four domains, and two integrations one behind the other.
    fn told(ceiling: Option<Action>, rules: &Rules) -> Vec<Finding> {
        let first = Ties::from_json(&json!({ "reaches": {
            "next": { "integration": "b/k/2" },
            "payroll": { "direction": "reads", "domain": "hr" } } }));
        let second = Ties::from_json(&json!({ "reaches": {
            "books": { "direction": "writes", "domain": "finance" },
            "desk": { "direction": "both", "domain": "support" },
            "pages": { "direction": "reads", "domain": "marketing" } } }));
        let scopes = [("a:read".to_owned(), Action::Read)];
        let graph = Graph::of(&[
            Holder { id: "a/k/1", ties: Some(&first), scopes: Some(&scopes), slots: vec![] },
            Holder { id: "b/k/2", ties: Some(&second), scopes: Some(&[]), slots: vec![] },
        ]);
        reach("a/k/1", &graph, ceiling, rules)
    }

    /// One thing wrong of each kind.
    pub(in super::super) fn worst() -> Vec<Finding> {
        told(Some(Action::Read), &Rules::default())
    }

    #[test]
    fn what_others_add_is_told_and_above_its_ceiling_it_is_out_of_policy() {
        let words = |ceiling| {
            let all = told(ceiling, &Rules::default()).into_iter();
            all.map(|one| (one.rule, one.condition.as_str())).collect::<Vec<_>>()
        };
        let (wide, further) = (("reach-wide", "policy"), "reach-through-another");
        assert_eq!(words(None), [wide, (further, "note")]);
        assert_eq!(words(Some(Action::Write)), [wide, (further, "note")]);
        assert_eq!(words(Some(Action::Read)), [wide, (further, "policy")]);
        let one = &told(Some(Action::Read), &Rules::default())[1];
        assert!(one.actual.starts_with("through b/k/2: write; the business of finance"), "{one:?}");
    }

    #[test]
    fn how_much_is_too_much_is_the_policy_s_to_say() {
        let mut rules = Rules::default();
        rules.findings.domains_most = None;
        let facets =
            |rules: &Rules| told(None, rules).into_iter().map(|one| one.facet).collect::<Vec<_>>();
        assert_eq!(facets(&rules), ["reach.through"]);
        rules.findings.systems_most = Some(4);
        assert_eq!(facets(&rules), ["reach.systems", "reach.through"]);
        rules.findings.systems_most = Some(5);
        assert_eq!(facets(&rules), ["reach.through"]);
    }

    #[test]
    fn what_reaches_alone_and_little_is_told_nothing() {
        let graph = Graph::of(&[Holder { id: "a/k/1", scopes: Some(&[]), ..Holder::default() }]);
        assert_eq!(reach("a/k/1", &graph, None, &Rules::default()), []);
    }
}
