//! Plans made by hand, read without a look at anything outside.

#[cfg(test)]
use std::path::Path;

use operations::Context;
use policy::change::Action;
use serde_json::{Value, json};
use wiring::{Environment, Loaded};

use super::{Form, card, card::Reading, markdown, plan as plans, render, words};
use crate::exit::Exit;

const HCL: &str = r#"
connections = {
  bao = { openbao = { address = "http://127.0.0.1:1", tenant = "cluster-1", credential = { env = "T" } } }
}
policy = { file = "policy.hcl" }
ledger = { none = true }
"#;

const POLICY: &str = r#"
review = {
  version = 3
  domain  = "acme.example"
  signers = "allowed_signers"
  roles   = { security = ["sam@acme.example"] }
  owners  = { payments = ["ann@acme.example"] }
}
"#;

struct Office {
    folder: tempfile::TempDir,
    loaded: Loaded,
    context: Context,
}

impl Office {
    fn new(policy: &str) -> Office {
        Office::at(tempfile::tempdir().unwrap(), policy, HCL)
    }

    fn at(folder: tempfile::TempDir, policy: &str, hcl: &str) -> Office {
        std::fs::write(folder.path().join("policy.hcl"), policy).unwrap();
        std::fs::write(folder.path().join("allowed_signers"), "").unwrap();
        std::fs::create_dir_all(folder.path().join("approvals")).unwrap();
        let environment = Environment::of(&[("T", "t"), ("KEY", &"k".repeat(52))]);
        let loaded = Loaded::from_text(hcl, folder.path(), None, environment).unwrap();
        let context = loaded.read_only().context("nhi", "command").unwrap();
        Office { folder, loaded, context }
    }

    fn read(&self, plan: &Value) -> Reading {
        let bytes = plan.to_string();
        let plan = plans::of(bytes.as_bytes(), "plan.json", &Default::default()).unwrap();
        let believed = Default::default();
        let reading = card::read(plan, "plan.json", &believed, &self.loaded, &self.context);
        run(reading).unwrap()
    }
}

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

fn object(address: &str, kind: &str, actions: &[&str], before: Value, after: Value) -> Value {
    json!({ "address": address, "mode": "managed", "type": kind, "name": "x",
        "provider_name": "registry.terraform.io/open-nhi/nhi", "change": { "actions": actions,
        "before": before, "after": after, "after_unknown": {}, "before_sensitive": {},
        "after_sensitive": {} } })
}

fn integration(name: &str) -> Value {
    json!({ "id": format!("bao/openbao_approle/{name}"), "kind": "openbao_approle",
        "connection_name": "bao", "name": name, "vendor_id": format!("v-{name}"),
        "purpose": "Copies paid invoices every night", "environment": "production",
        "execution_mode": "batch", "business_owner": { "id": "owner/finance" },
        "technical_owner": { "id": "owner/payments" }, "stop_within": "5m",
        "openbao_approle": { "token_ttl": "1h" },
        "reaches": { "books": { "category": "erp", "direction": "writes", "data": "financial" } } })
}

fn scope(name: &str, scopes: &[&str]) -> Value {
    json!({ "id": format!("bao/openbao_approle/{name}/scope"),
        "integration": { "id": format!("bao/openbao_approle/{name}"), "vendor_id": format!("v-{name}") },
        "scopes": scopes, "enforcement": "exact", "justification": "It reads invoices",
        "highest_action": "secret" })
}

const READ: &str = "secret/data/invoices/*:read";
const MORE: &str = "secret/data/payroll/*:read";

fn widening(name: &str) -> Vec<Value> {
    let one = integration(name);
    vec![
        object(&format!("nhi_integration.{name}"), "nhi_integration", &["no-op"], one.clone(), one),
        object(
            &format!("nhi_scope.{name}"),
            "nhi_scope",
            &["update"],
            scope(name, &[READ]),
            scope(name, &[READ, MORE]),
        ),
    ]
}

fn narrowing(name: &str) -> Vec<Value> {
    let mut both = widening(name);
    both[1]["change"]["before"] = scope(name, &[READ, MORE]);
    both[1]["change"]["after"] = scope(name, &[READ]);
    both
}

fn plan(changes: Vec<Value>) -> Value {
    json!({ "format_version": "1.2", "terraform_version": "1.11.4", "planned_values": {},
        "resource_changes": changes })
}

const FORMS: [Form; 4] = [Form::Text, Form::Markdown, Form::Json, Form::Html];

#[test]
fn a_widening_is_a_card_that_says_what_it_does_to_what_and_who_is_missing() {
    let reading = Office::new(POLICY).read(&plan(widening("x")));
    assert_eq!((reading.cards.len(), reading.unchanged, reading.verdict()), (1, 1, Exit::Policy));
    let card = &reading.cards[0];
    assert_eq!((card.level(), card.code()), ("high", Some("E-APPROVAL-MISSING")));
    assert_eq!(card.asked.change.tenant, "cluster-1");
    let blast = card.blast.as_ref().unwrap();
    let names = |all: &[super::blast::Reached]| {
        all.iter().map(|one| (one.name.clone(), one.sources.len())).collect::<Vec<_>>()
    };
    assert_eq!(names(&blast.before.reached), [("bao".into(), 1), ("books".into(), 1)]);
    assert_eq!(names(&blast.after.reached), [("bao".into(), 2), ("books".into(), 1)]);
    for form in FORMS {
        let text = render(&reading, form, Exit::Clean);
        for said in [MORE, "nhi approve", "financial", "5m", &card.digest.to_string()] {
            assert!(
                text.contains(said) || text.replace("&#42;", "*").contains(said),
                "{form:?}: {said}\n{text}"
            );
        }
    }
    // The words that are signed come from the record alone.
    let shown = words::shown(&card.asked.change);
    assert!(
        shown.contains(&format!("+ scopes: {MORE}")) && shown.contains("of cluster-1"),
        "{shown}"
    );
    assert_eq!(approval::statement::shown(&shown), card.shown);
}

#[test]
fn planning_again_moving_and_other_resources_leave_a_digest_and_any_governed_difference_does_not() {
    let office = Office::new(POLICY);
    let digest = |changes: Vec<Value>| {
        let reading = office.read(&plan(changes));
        reading.cards.iter().find(|one| one.asked.change.kind == "nhi_scope").unwrap().digest
    };
    let one = digest(widening("x"));
    let mut moved = widening("x");
    moved[1]["previous_address"] = json!("nhi_scope.old");
    moved[1]["address"] = json!("module.m.nhi_scope.new");
    moved[1]["action_reason"] = json!("replace_because_tainted");
    moved.extend(widening("y"));
    moved[1]["change"]["after"]["labels"] = json!({ "a": "b" });
    moved[1]["change"]["after"]["scopes"] = json!([MORE, READ]);
    assert_eq!(digest(moved), one);
    let mut other = widening("x");
    other[1]["change"]["after"]["justification"] = json!("It reads more");
    assert_ne!(digest(other), one);
}

#[test]
fn a_secret_in_any_place_of_a_plan_is_in_no_form_of_a_review() {
    const CANARY: &str = "canary-4711-s3cr3t";
    let office = Office::new(POLICY);
    let mut changes = widening("x");
    let after = &mut changes[1]["change"];
    after["after"]["labels"] = json!({ "note": CANARY });
    after["after_sensitive"] = json!({ "labels": { "note": true } });
    let mut marked = widening("y");
    marked[1]["change"]["after"]["justification"] = json!(CANARY);
    marked[1]["change"]["after_sensitive"] = json!({ "justification": true });
    let mut reaching = widening("z");
    for at in ["before", "after"] {
        reaching[0]["change"][at]["reaches"][CANARY] = json!({ "direction": "reads" });
        reaching[0]["change"][format!("{at}_sensitive")] = json!({ "reaches": true });
    }
    let mut odd = widening("w");
    odd[1]["change"]["after"]["scopes"] = json!({ "of": { "another": CANARY } });
    odd[1]["change"]["after_sensitive"] = json!({ "scopes": true });
    for more in [marked, reaching, odd] {
        changes.extend(more);
    }
    let mut foreign = object(
        "aws.k",
        "aws_iam_access_key",
        &["create"],
        Value::Null,
        json!({ "secret": CANARY }),
    );
    foreign["change"]["before"] = json!({ "secret": CANARY });
    changes.push(foreign);
    let mut whole = plan(changes);
    let hidden = json!({ "x": { "value": CANARY } });
    for member in [
        "variables",
        "planned_values",
        "prior_state",
        "configuration",
        "output_changes",
        "resource_drift",
        "checks",
        "relevant_attributes",
    ] {
        whole[member] = hidden.clone();
    }
    let reading = office.read(&whole);
    let codes: Vec<&str> = reading.open.iter().map(|one| one.code).collect();
    assert_eq!(codes, ["E-SENSITIVE-GOVERNED"; 2], "{:?}", reading.open);
    assert_eq!(reading.cards.len(), 2);
    for form in FORMS {
        let text = render(&reading, form, Exit::Clean);
        assert!(!text.contains(CANARY), "{form:?}");
    }
    assert!(!super::text::missing(&reading).contains(CANARY));
}

#[test]
fn what_nobody_can_review_and_what_is_left_unmanaged_is_told_and_let_through_by_no_gate() {
    let office = Office::new(POLICY);
    let none = office.read(&plan(vec![]));
    assert_eq!(none.verdict(), Exit::Clean);
    let mut unknown = widening("x");
    unknown[1]["change"]["after_unknown"] = json!({ "scopes": true });
    let read = office.read(&plan(unknown));
    assert_eq!((read.open[0].code, read.verdict()), ("E-UNKNOWN-GOVERNED", Exit::Policy));
    let forget =
        object("nhi_integration.x", "nhi_integration", &["forget"], integration("x"), Value::Null);
    let read = office.read(&plan(vec![forget]));
    assert_eq!(read.cards[0].asked.change.action, Action::Forget);
    assert_eq!((read.cards[0].level(), read.open[0].counts), ("high", false));
    assert!(read.cards[0].blast.as_ref().unwrap().after.there, "it lives on");
    assert_eq!(read.verdict(), Exit::Policy);
    let mut half = plan(vec![]);
    half["complete"] = json!(false);
    assert_eq!(office.read(&half).verdict(), Exit::Policy);
    let mut elsewhere = plan(vec![{
        let mut one = widening("x").remove(0);
        one["provider_name"] = json!("mirror.acme.example/open-nhi/nhi");
        one
    }]);
    assert_eq!(office.read(&elsewhere).verdict(), Exit::Policy);
    elsewhere["resource_changes"][0]["provider_name"] = json!("registry.opentofu.org/open-nhi/nhi");
    assert_eq!(office.read(&elsewhere).verdict(), Exit::Clean);
    // Nobody is asked: nothing is let through by whoever asks for a gate.
    let open = Office::new("");
    let read = open.read(&plan(widening("x")));
    assert_eq!((read.policy.is_none(), read.verdict()), (true, Exit::Policy));
}

#[test]
fn a_replacement_has_two_cards_and_a_narrowing_needs_nobody() {
    let office = Office::new(POLICY);
    let both = object(
        "nhi_scope.x",
        "nhi_scope",
        &["delete", "create"],
        scope("x", &[READ]),
        scope("x", &[READ]),
    );
    let read = office.read(&plan([vec![widening("x").remove(0)], vec![both]].concat()));
    let mut deeds: Vec<Action> = read.cards.iter().map(|one| one.asked.change.action).collect();
    deeds.sort();
    assert_eq!(deeds, [Action::Create, Action::Delete]);
    let read = office.read(&plan(narrowing("x")));
    assert!(read.cards[0].may() && !read.cards[0].needs_somebody());
    assert_eq!(read.verdict(), Exit::Clean);
}

#[test]
fn a_freeze_holds_back_what_everybody_has_approved_and_nothing_that_takes_power_away() {
    let with = |from: &str| {
        let frozen = format!(
            "  quorum = {{ high = {{ people = 0 }}, critical = {{ people = 2 }} }}\n  freeze = [{{ from = \
             \"{from}\", until = \"2999-01-01T00:00:00Z\", reason = \"the year ends\" }}]\n  domain"
        );
        Office::new(&POLICY.replace("  domain", &frozen))
    };
    let changes = plan([widening("x"), narrowing("y")].concat());
    let reading = with("2020-01-01T00:00:00Z").read(&changes);
    let [held, other] = &reading.cards[..] else { panic!("{:?}", reading.cards) };
    assert_eq!((held.address.as_str(), held.needs_somebody()), ("nhi_scope.x", false));
    assert_eq!((held.code(), held.may(), other.may()), (Some("E-CHANGE-FROZEN"), false, true));
    assert_eq!(reading.verdict(), Exit::Policy);
    for form in FORMS {
        let text = render(&reading, form, reading.verdict());
        assert!(text.contains("the year ends") && text.contains("2999-01-01"), "{form:?}: {text}");
    }
    assert!(super::text::missing(&reading).contains("apply again after 2999-01-01"));
    assert_eq!(with("2998-01-01T00:00:00Z").read(&changes).verdict(), Exit::Clean);
}

#[test]
fn a_policy_that_does_not_follow_the_one_used_last_lets_nothing_through_that_gives_power() {
    let hcl = HCL.replace(
        "ledger = { none = true }",
        "realm = { id = \"abc123\", key = { env = \"KEY\" } }\nledger = { sqlite = { path = \"nhi.db\" } }",
    );
    let open = POLICY.replace(
        "  domain",
        "  quorum = { high = { people = 0 }, critical = { people = 2 } }\n  domain",
    );
    let office = Office::at(tempfile::tempdir().unwrap(), &open, &hcl);
    let wider = plan(widening("x"));
    let reading = office.read(&wider);
    assert_eq!((reading.verdict(), reading.open.len()), (Exit::Clean, 0), "{:?}", reading.open);
    // Whoever makes a change uses the policy, and that is written down.
    let asked = office.read(&plan(narrowing("x"))).cards[0].asked.clone();
    run(async {
        let context = office.loaded.context("nhi", "command").unwrap();
        let leave = operations::review::pass(&context, &asked, async { Ok(()) }).await.unwrap();
        leave.unwrap().ended(&context, None, false).await;
    });
    let mut folder = office.folder;
    for (version, code) in [("2", "E-POLICY-ROLLBACK"), ("4", "E-POLICY-UNSIGNED")] {
        let policy = open.replace("version = 3", &format!("version = {version}"));
        let office = Office::at(folder, &policy, &hcl);
        let reading = office.read(&wider);
        assert_eq!(reading.verdict(), Exit::Policy, "version {version}");
        let one = &reading.open[0];
        assert_eq!((one.address.as_str(), one.code, one.counts), ("the policy", code, true));
        assert_eq!((reading.cards[0].code(), reading.cards[0].may()), (Some(code), false));
        for form in FORMS {
            assert!(render(&reading, form, Exit::Policy).contains(code), "{form:?}");
        }
        assert!(super::text::missing(&reading).contains(code));
        // As an apply does: what takes power away goes on, and the policy is told of.
        let reading = office.read(&plan(narrowing("x")));
        assert_eq!((reading.verdict(), reading.open[0].code), (Exit::Clean, code));
        folder = office.folder;
    }
    assert_eq!(Office::at(folder, &open, &hcl).read(&wider).verdict(), Exit::Clean);
}

#[test]
fn the_hash_of_a_review_is_that_of_the_words_of_all_that_need_somebody() {
    let office = Office::new(POLICY);
    let changes = [widening("x"), narrowing("y"), widening("z")].concat();
    let reading = office.read(&plan(changes));
    let value: Value =
        serde_json::from_str(&render(&reading, Form::Json, reading.verdict())).unwrap();
    // As whoever signs all of them finds them in the file.
    let needed = value["changes"].as_array().unwrap().iter();
    let needed = needed.filter(|one| one["approvals"]["needed"] != 0);
    let needed: Vec<_> =
        needed.map(|one| approval::record::from_json(&one["record"]).unwrap()).collect();
    assert_eq!(needed.len(), 2);
    let hash = approval::statement::shown(&words::shown_all(&needed));
    assert_eq!(value["shown"], hash.as_str());
    assert!(render(&reading, Form::Text, Exit::Policy).contains(&hash));
    // Of one alone it is that one's.
    let reading = office.read(&plan(widening("x")));
    assert_eq!(reading.shown().as_ref(), Some(&reading.cards[0].shown));
    assert_eq!(office.read(&plan(narrowing("x"))).shown(), None);
}

#[test]
fn a_tool_that_is_added_shows_what_it_adds_and_that_nobody_knows_what_it_lets_do() {
    let office = Office::new(POLICY);
    let with = |tools: &[&str]| {
        let mut one = integration("x");
        one["tools"] = json!(tools);
        one["execution_mode"] = json!("agent");
        one
    };
    let one = object(
        "nhi_integration.x",
        "nhi_integration",
        &["update"],
        with(&["search"]),
        with(&["search", "shell"]),
    );
    let reading = office.read(&plan(vec![one]));
    let card = &reading.cards[0];
    let differences = card.asked.change.differences();
    assert_eq!(differences.len(), 1);
    assert_eq!(words::line(&differences[0]), "+ tools: shell");
    let blast = card.blast.as_ref().unwrap();
    let unknown = |side: &super::blast::Side| {
        side.unknown.iter().any(|(of, why)| of == "shell" && why.contains("what it lets do"))
    };
    assert!(!unknown(&blast.before) && unknown(&blast.after), "{blast:?}");
    assert!(card.needs_somebody(), "{:?}", card.judged);
    assert!(render(&reading, Form::Text, Exit::Clean).contains("not known of shell"));
}

#[test]
fn the_review_for_programs_is_what_its_schema_says() {
    let schema: Value =
        serde_json::from_str(include_str!("../../../docs/schemas/review.json")).unwrap();
    let schema = jsonschema::options().should_validate_formats(true).build(&schema).unwrap();
    let office = Office::new(POLICY);
    let mut unknown = widening("y");
    unknown[1]["change"]["after_unknown"] = json!({ "scopes": true });
    for reading in [
        office.read(&plan(widening("x"))),
        office.read(&plan([widening("x"), unknown].concat())),
        office.read(&plan(vec![])),
        Office::new("").read(&plan(widening("x"))),
    ] {
        let value: Value =
            serde_json::from_str(&render(&reading, Form::Json, reading.verdict())).unwrap();
        let wrong: Vec<String> = schema
            .iter_errors(&value)
            .map(|one| format!("{}: {one}", one.instance_path()))
            .collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
        for member in value.as_object().unwrap().keys() {
            let mut less = value.clone();
            less.as_object_mut().unwrap().remove(member);
            assert!(!schema.is_valid(&less), "{member} must be there");
        }
        // What is in it is enough to have the same change signed elsewhere.
        for one in value["changes"].as_array().unwrap() {
            let change = approval::record::from_json(&one["record"]).unwrap();
            assert_eq!(one["digest"], change.digest().to_string());
        }
    }
}

#[test]
fn a_comment_is_found_again_and_never_too_long_and_says_what_did_not_fit() {
    let changes = (0..600).flat_map(|at| widening(&format!("app-{at}"))).collect();
    let reading = Office::new(POLICY).read(&plan(changes));
    assert_eq!(reading.cards.len(), 600);
    let text = render(&reading, Form::Markdown, Exit::Clean);
    assert!(text.starts_with(markdown::MARK));
    assert!(text.len() <= 65_536, "{}", text.len());
    assert!(text.contains("did not fit here") && text.contains("not be applied yet"));
    assert_eq!(text.matches("<details").count(), text.matches("</details>").count());
}

#[test]
fn names_of_others_are_no_markup_and_no_link_in_a_page_or_a_comment() {
    let hostile = "<img src=x onerror=alert(1)>@all [x](https://evil.example) `\"'";
    let mut changes = widening("x");
    for at in ["before", "after"] {
        changes[0]["change"][at]["purpose"] = json!(hostile);
    }
    changes[1]["address"] = json!(format!("nhi_scope.x[{hostile:?}]"));
    changes[1]["change"]["after"]["justification"] = json!(hostile);
    let reading = Office::new(POLICY).read(&plan(changes));
    for form in [Form::Html, Form::Markdown] {
        let text = render(&reading, form, Exit::Clean);
        assert!(!text.contains("<img"), "{form:?}");
        let links = text.contains("](https") || text.contains("@all");
        assert!(form == Form::Html || !links, "{text}");
    }
    let page = render(&reading, Form::Html, Exit::Clean);
    assert!(page.contains("default-src 'none'") && page.contains("<svg class=\"blast\""));
    assert!(!page.contains("src=\"") && !page.contains("http-equiv=\"refresh\""));
}

#[test]
fn a_record_that_is_kept_is_found_by_whoever_signs() {
    let office = Office::new(POLICY);
    let reading = office.read(&plan(widening("x")));
    let board = office.context.gate.board().unwrap();
    board.store.keep(&reading.cards[0].asked.change).unwrap();
    let digest = reading.cards[0].digest;
    assert!(Path::new(office.folder.path()).join("approvals").join(digest.hex()).is_dir());
    assert_eq!(board.store.beginning(&digest.short()).unwrap(), [digest]);
    assert_eq!(board.store.record(digest).unwrap().as_ref(), Some(&reading.cards[0].asked.change));
}
