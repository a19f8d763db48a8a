//! Small worlds, drawn by hand.

use domain::Ties;
use serde_json::json;

use super::*;

fn ties(value: serde_json::Value) -> Ties {
    Ties::from_json(&value)
}

fn at(id: &str) -> Node {
    Node::Integration(id.to_owned())
}

fn read(scope: &str) -> (String, Action) {
    (scope.to_owned(), Action::Read)
}

#[test]
fn who_has_a_credential_has_what_its_integration_reaches_however_far() {
    let starts = ties(json!({ "reaches": {
        "payroll": { "category": "hr", "direction": "both", "data": "personal", "domain": "hr" },
        "next": { "integration": "b/k/2" } } }));
    let goes_on = ties(json!({ "reaches": {
        "books": { "category": "erp", "direction": "writes", "domain": "finance" } } }));
    let (few, more) = ([read("a:read")], [("x:policy".to_owned(), Action::Policy)]);
    let graph = Graph::of(&[
        Holder {
            id: "a/k/1",
            ties: Some(&starts),
            scopes: Some(&few),
            slots: vec!["a/k/1/credential/default".into()],
        },
        Holder { id: "b/k/2", ties: Some(&goes_on), scopes: Some(&more), slots: vec![] },
    ]);
    let blast = graph.blast(&Node::Credential("a/k/1/credential/default".into()));
    assert_eq!(blast.domains, ["finance", "hr"].map(str::to_owned).into());
    assert_eq!(blast.highest, Some(Action::Policy));
    assert!(blast.unknown.is_empty(), "{:?}", blast.unknown);
    let way = &blast.reached[&Node::System("books".into())];
    let words: Vec<String> = way.iter().map(|edge| edge.source.words()).collect();
    assert_eq!(words, ["signs in", "reaches.next", "reaches.books"]);
    assert_eq!(way[1].uses(), ["lateral movement"]);
    assert_eq!(blast.systems(), 4, "both connections, payroll and books");
    let own = graph.own(&at("a/k/1"));
    assert_eq!((own.highest, own.domains), (Some(Action::Write), ["hr".to_owned()].into()));
    let who = graph.who_reaches(&Node::System("books".into()));
    assert_eq!(who.len(), 3, "{who:?}");
}

#[test]
fn whoever_has_what_it_runs_on_or_may_start_it_has_it() {
    let hosted = ties(json!({ "runs_on": { "id": "none/third_party/etl" },
        "workflows": { "nightly": { "invokers": ["owner/finance"] } } }));
    let scopes = [("a:write".to_owned(), Action::Write)];
    let graph = Graph::of(&[Holder {
        id: "a/k/1",
        ties: Some(&hosted),
        scopes: Some(&scopes),
        ..Holder::default()
    }]);
    for from in [at("none/third_party/etl"), Node::Invoker("owner/finance".into())] {
        let blast = graph.blast(&from);
        assert!(blast.reached.contains_key(&Node::System("a".into())), "{from:?}: {blast:?}");
        assert_eq!(blast.highest, Some(Action::Write));
    }
    let vendor = graph.blast(&at("none/third_party/etl"));
    assert_eq!(vendor.unknown[&at("none/third_party/etl")], "nothing here declares it");
}

#[test]
fn what_may_choose_is_judged_by_the_most_that_it_may_choose() {
    let agent = ties(json!({ "tools": ["mail"], "reaches": {
        "files": { "direction": "reads" }, "queue": { "direction": "writes", "category": "queue" } } }));
    let scopes = [read("a:read"), ("b:identity".to_owned(), Action::Identity)];
    let holder = Holder { id: "a/k/1", ties: Some(&agent), scopes: Some(&scopes), slots: vec![] };
    let blast = Graph::of(&[holder]).blast(&at("a/k/1"));
    assert_eq!(blast.highest, Some(Action::Identity));
    assert!(blast.unknown.contains_key(&Node::Tool("mail".into())), "unknown is not nothing");
}

#[test]
fn what_was_not_read_is_unknown_and_a_circle_ends() {
    let one = ties(json!({ "reaches": { "next": { "integration": "a/k/2" } } }));
    let two = ties(json!({ "reaches": { "back": { "integration": "a/k/1" }, "vague": {} } }));
    let graph = Graph::of(&[
        Holder { id: "a/k/1", ties: Some(&one), scopes: None, slots: vec![] },
        Holder { id: "a/k/2", ties: Some(&two), scopes: Some(&[]), slots: vec![] },
    ]);
    let blast = graph.blast(&at("a/k/1"));
    assert_eq!(blast.unknown[&at("a/k/1")], "its scopes were not read");
    assert!(blast.unknown.contains_key(&Node::System("vague".into())));
    assert_eq!(blast.highest, None, "nothing is known that it could do");
    assert!(!blast.reached.contains_key(&at("a/k/1")));
}

#[test]
fn an_edge_says_what_it_could_be_used_for() {
    let edge = |action, data: Option<&str>| Edge {
        from: at("x"),
        to: Node::System("y".into()),
        source: Source::Reaches("y".into()),
        action,
        about: About { data: data.map(str::to_owned), ..About::default() },
    };
    for (action, data, uses) in [
        (Some(Action::Read), None, &["data exfiltration"][..]),
        (Some(Action::Secret), None, &["data exfiltration", "lateral movement"]),
        (Some(Action::Identity), None, &["privilege escalation"]),
        (Some(Action::Write), Some("personal"), &["data exfiltration", "tampering"]),
        (Some(Action::Write), Some("none"), &["tampering"]),
        (Some(Action::Unknown), None, &["unknown"]),
        (None, None, &["lateral movement"]),
    ] {
        assert_eq!(edge(action, data).uses(), uses, "{action:?} {data:?}");
    }
}

#[test]
fn who_writes_into_a_queue_may_start_whoever_reads_from_it() {
    let writes = ties(json!({ "reaches": {
        "orders": { "category": "queue", "direction": "writes" },
        "archive": { "category": "files", "direction": "writes" } } }));
    let holder = Holder { id: "a/k/1", ties: Some(&writes), scopes: Some(&[]), slots: vec![] };
    let blast = Graph::of(&[holder]).blast(&at("a/k/1"));
    let last = |name: &str| blast.reached[&Node::System(name.into())].last().unwrap();
    assert_eq!(last("orders").action, Some(Action::Execute));
    assert_eq!(last("orders").uses(), ["lateral movement"]);
    assert_eq!(last("archive").uses(), ["tampering"]);
}
