//! Reading a plan: one pass, and what is not ours is dropped as it goes by.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, SeqAccess, Visitor},
};
use serde_json::Value;

use crate::{Does, Loose, Marks, PROVIDER, Plan, Planned, What};

/// The longest plan that is read.
pub const LONGEST: u64 = 512 << 20;

/// Why bytes are no plan. It never repeats what is in them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoPlan(String);

#[derive(Deserialize)]
struct Wire {
    format_version: Option<Value>,
    terraform_version: Option<String>,
    #[serde(default)]
    planned_values: Option<IgnoredAny>,
    #[serde(default)]
    resource_changes: Changes,
    #[serde(default)]
    deferred_changes: Deferred,
    #[serde(default)]
    action_invocations: Option<Vec<Invocation>>,
    #[serde(default)]
    complete: Option<bool>,
    #[serde(default)]
    errored: Option<bool>,
    // Of a state, and of a file of a state.
    #[serde(default)]
    values: Option<IgnoredAny>,
    #[serde(default)]
    serial: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Resource {
    address: Option<String>,
    previous_address: Option<String>,
    #[serde(default)]
    mode: String,
    #[serde(rename = "type", default)]
    kind: String,
    provider_name: Option<String>,
    deposed: Option<String>,
    action_reason: Option<String>,
    change: Option<Change>,
}

#[derive(Deserialize)]
struct Change {
    #[serde(default)]
    actions: Vec<String>,
    #[serde(default)]
    before: Value,
    #[serde(default)]
    after: Value,
    #[serde(default)]
    after_unknown: Value,
    #[serde(default)]
    before_sensitive: Value,
    #[serde(default)]
    after_sensitive: Value,
    #[serde(default)]
    importing: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Later {
    #[serde(default)]
    reason: String,
    resource_change: Option<Resource>,
}

#[derive(Deserialize)]
struct Invocation {
    address: Option<String>,
    #[serde(rename = "type", default)]
    kind: String,
}

/// What is ours of a list of changes.
#[derive(Default)]
struct Changes {
    objects: Vec<Planned>,
    loose: Vec<Loose>,
    others: usize,
}

#[derive(Default)]
struct Deferred(Vec<Loose>);

fn is_ours(kind: &str) -> bool {
    kind.starts_with("nhi_")
}

impl Changes {
    fn take(&mut self, resource: Resource) {
        if !is_ours(&resource.kind) || resource.mode == "data" {
            let acts = |word: &String| word != "no-op" && word != "read";
            let acts = resource.change.is_some_and(|one| one.actions.iter().any(acts));
            self.others += usize::from(acts);
            return;
        }
        let address = resource.address.unwrap_or_else(|| resource.kind.clone());
        let mut loose = |what| self.loose.push(Loose { address: address.clone(), what });
        let Some(change) = resource.change else {
            loose(What::Unknown("no change is given".to_owned()));
            return;
        };
        let Some(does) = Does::of(&change.actions) else {
            loose(What::Unknown(format!("actions {}", change.actions.join(", "))));
            return;
        };
        // What a deed lacks could be anything: it is not taken for nothing.
        let (needs_before, needs_after) = does.sides();
        for (side, is_missing) in [
            ("before", needs_before && change.before.is_null()),
            ("after", needs_after && change.after.is_null()),
        ] {
            if is_missing {
                let actions = change.actions.join(", ");
                loose(What::Unknown(format!("actions {actions} without what is there {side}")));
                return;
            }
        }
        if let Some(from) = resource.provider_name.filter(|one| !PROVIDER.contains(&one.as_str())) {
            loose(What::Provider(from));
        }
        if matches!(does, Does::Forget | Does::ForgetAndCreate) {
            loose(What::Forgotten);
        }
        self.objects.push(Planned {
            kind: resource.kind,
            previous_address: resource.previous_address.filter(|one| *one != address),
            address,
            deposed: resource.deposed,
            does,
            reason: resource.action_reason,
            imports: change.importing.is_some(),
            // Of what stays as it is one side says all.
            after: if does == Does::Nothing { Value::Null } else { change.after },
            before: change.before,
            unknown: change.after_unknown,
            hidden_before: Marks::read(&change.before_sensitive),
            hidden_after: Marks::read(&change.after_sensitive),
        });
    }
}

struct Each<T>(T);

impl<'de> Visitor<'de> for Each<Changes> {
    type Value = Changes;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of changes")
    }

    fn visit_unit<E>(self) -> Result<Changes, E> {
        Ok(self.0)
    }

    fn visit_none<E>(self) -> Result<Changes, E> {
        Ok(self.0)
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut all: A) -> Result<Changes, A::Error> {
        while let Some(one) = all.next_element::<Resource>()? {
            self.0.take(one);
        }
        Ok(self.0)
    }
}

impl<'de> Deserialize<'de> for Changes {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Changes, D::Error> {
        from.deserialize_any(Each(Changes::default()))
    }
}

impl<'de> Visitor<'de> for Each<Deferred> {
    type Value = Deferred;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of deferred changes")
    }

    fn visit_unit<E>(self) -> Result<Deferred, E> {
        Ok(self.0)
    }

    fn visit_none<E>(self) -> Result<Deferred, E> {
        Ok(self.0)
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut all: A) -> Result<Deferred, A::Error> {
        while let Some(one) = all.next_element::<Later>()? {
            let of = one.resource_change.filter(|one| is_ours(&one.kind));
            self.0.0.extend(of.map(|of| Loose {
                address: of.address.unwrap_or(of.kind),
                what: What::Deferred(one.reason),
            }));
        }
        Ok(self.0)
    }
}

impl<'de> Deserialize<'de> for Deferred {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Deferred, D::Error> {
        from.deserialize_any(Each(Deferred::default()))
    }
}

/// Reads a plan as a core shows it in JSON.
///
/// # Errors
///
/// It is no plan, or one in a form that is not known.
pub fn read(bytes: &[u8]) -> Result<Plan, NoPlan> {
    let no = |why: String| NoPlan(why);
    if bytes.len() as u64 > LONGEST {
        return Err(no(format!("it is longer than {} MiB", LONGEST >> 20)));
    }
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(no("it is empty".to_owned()));
    }
    // What serde says of a value of the wrong type repeats the value.
    let wire: Wire = serde_json::from_slice(bytes).map_err(|error| {
        let what = match error.is_data() {
            true => "it is built otherwise than a plan",
            false => "it is no JSON",
        };
        no(format!("{what} (line {}, column {})", error.line(), error.column()))
    })?;
    let Some(version) = &wire.format_version else {
        return Err(no(match wire.serial.is_some() {
            true => "it is a state, and no plan".to_owned(),
            false => "it is not what show -json prints of a plan".to_owned(),
        }));
    };
    if !version.as_str().is_some_and(|text| text.starts_with("1.")) {
        return Err(no("its format_version is not 1.x, which is what is known here".to_owned()));
    }
    if wire.planned_values.is_none() {
        return Err(no(match wire.values.is_some() {
            true => "it is a state, and no plan".to_owned(),
            false => "it is not what show -json prints of a plan".to_owned(),
        }));
    }
    let mut plan = Plan {
        core: wire.terraform_version,
        objects: wire.resource_changes.objects,
        loose: wire.resource_changes.loose,
        others: wire.resource_changes.others,
    };
    plan.loose.extend(wire.deferred_changes.0);
    for one in wire.action_invocations.into_iter().flatten().filter(|one| is_ours(&one.kind)) {
        let address = one.address.unwrap_or_else(|| one.kind.clone());
        plan.loose.push(Loose { address, what: What::Operation(one.kind) });
    }
    let mut whole = |what| plan.loose.push(Loose { address: "the plan".to_owned(), what });
    if wire.complete == Some(false) {
        whole(What::Incomplete);
    }
    if wire.errored == Some(true) {
        whole(What::Errored);
    }
    // A thing that is neither there nor wanted is not one.
    plan.objects.retain(|one| !one.before.is_null() || !one.after.is_null());
    Ok(plan)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn change(address: &str, actions: &[&str], before: Value, after: Value) -> Value {
        json!({ "address": address, "mode": "managed", "type": "nhi_scope", "name": "x",
            "provider_name": PROVIDER[0], "change": { "actions": actions, "before": before,
            "after": after, "after_unknown": {}, "before_sensitive": {}, "after_sensitive": {} } })
    }

    fn plan(changes: Vec<Value>) -> Value {
        json!({ "format_version": "1.2", "terraform_version": "1.11.4", "planned_values": {},
            "variables": { "v": { "value": "s3cr3t" } }, "resource_changes": changes })
    }

    fn read_of(value: &Value) -> Plan {
        read(value.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn a_replacement_is_two_calls_in_the_core_s_order_and_forgetting_is_listed() {
        let one = || json!({ "scopes": ["a"] });
        let of = |actions: &[&str]| read_of(&plan(vec![change("a", actions, one(), one())]));
        let does = |plan: &Plan| {
            let calls = plan.objects[0].calls();
            calls.iter().map(|call| call.does).collect::<Vec<_>>()
        };
        use Does::{Create, Delete, Forget, Update};
        for (actions, calls) in [
            (&["no-op"][..], &[][..]),
            (&["create"], &[Create]),
            (&["update"], &[Update]),
            (&["delete"], &[Delete]),
            (&["delete", "create"], &[Delete, Create]),
            (&["create", "delete"], &[Create, Delete]),
            (&["forget"], &[Forget]),
            (&["create", "forget"], &[Forget, Create]),
        ] {
            let plan = of(actions);
            assert_eq!(does(&plan), calls, "{actions:?}");
            assert_eq!(plan.loose.is_empty(), !actions.contains(&"forget"), "{actions:?}");
            for call in plan.objects[0].calls() {
                assert_eq!(call.before.is_null(), call.does == Create);
                let ends = matches!(call.does, Delete | Forget);
                assert_eq!(call.after.is_null(), ends);
            }
        }
        let odd = of(&["ponder"]);
        assert!(odd.objects.is_empty());
        assert!(matches!(&odd.loose[0].what, What::Unknown(how) if how.contains("ponder")));
    }

    #[test]
    fn what_is_ours_and_lacks_what_its_action_needs_is_listed_and_never_dropped() {
        let one = || json!({ "scopes": ["a"] });
        let mut bare = change("a", &["create"], Value::Null, one());
        bare.as_object_mut().unwrap().remove("change");
        let mut empty = bare.clone();
        empty["change"] = Value::Null;
        let mut cases = vec![bare, empty];
        for (actions, before, after) in [
            (&["create"][..], Value::Null, Value::Null),
            (&["update"], Value::Null, one()),
            (&["update"], one(), Value::Null),
            (&["delete"], Value::Null, Value::Null),
            (&["delete", "create"], one(), Value::Null),
            (&["create", "delete"], Value::Null, one()),
            (&["forget"], Value::Null, Value::Null),
            (&["create", "forget"], one(), Value::Null),
            (&[], one(), one()),
        ] {
            cases.push(change("a", actions, before, after));
        }
        for case in cases {
            let read = read_of(&plan(vec![case.clone()]));
            assert_eq!((read.objects.len(), read.loose.len()), (0, 1), "{case}");
            assert!(matches!(read.loose[0].what, What::Unknown(_)), "{case}");
            // The same of what is not ours is nobody's business here.
            let mut other = case;
            other["type"] = json!("aws_x");
            assert_eq!(read_of(&plan(vec![other])).loose, []);
        }
        // What was there only in the state is gone before anything is done.
        let gone = change("a", &["no-op"], Value::Null, Value::Null);
        assert_eq!(
            read_of(&plan(vec![gone])),
            Plan { core: Some("1.11.4".into()), ..Plan::default() }
        );
    }

    #[test]
    fn what_is_not_ours_is_dropped_and_counted_and_what_is_left_open_is_listed() {
        let mut other = change("aws.x", &["create"], Value::Null, json!({ "secret": "s3cr3t" }));
        other["type"] = json!("aws_iam_access_key");
        let mut still = other.clone();
        still["change"]["actions"] = json!(["no-op"]);
        let mut foreign = change("b", &["create"], Value::Null, json!({ "scopes": [] }));
        foreign["provider_name"] = json!("registry.terraform.io/evil/nhi");
        let mut whole = plan(vec![other, still, foreign]);
        whole["complete"] = json!(false);
        whole["errored"] = json!(true);
        whole["deferred_changes"] = json!([
            { "reason": "provider_config_unknown",
              "resource_change": change("c", &["create"], Value::Null, json!({})) },
            { "reason": "absent_prereq",
              "resource_change": { "type": "aws_x", "mode": "managed", "address": "d" } } ]);
        whole["action_invocations"] = json!([{ "address": "action.nhi_x.y", "type": "nhi_x" }]);
        let read = read_of(&whole);
        assert_eq!((read.others, read.objects.len()), (1, 1));
        let loose: Vec<(&str, &What)> =
            read.loose.iter().map(|one| (one.address.as_str(), &one.what)).collect();
        assert_eq!(loose.len(), 5, "{loose:?}");
        assert!(matches!(loose[0], ("b", What::Provider(from)) if from.contains("evil")));
        assert!(matches!(loose[1], ("c", What::Deferred(_))));
        assert!(matches!(loose[2], ("action.nhi_x.y", What::Operation(_))));
        assert_eq!(loose[3], ("the plan", &What::Incomplete));
        assert_eq!(loose[4], ("the plan", &What::Errored));
        assert!(!format!("{read:?}").contains("s3cr3t"));
    }

    #[test]
    fn what_is_no_plan_is_refused_and_nothing_of_it_is_repeated() {
        let mut newer = plan(vec![]);
        newer["format_version"] = json!("2.0");
        let torn = &plan(vec![]).to_string()[..40];
        let odd = json!({ "format_version": "1.2", "planned_values": {}, "errored": "s3cr3t" });
        let more = json!({ "format_version": "1.2", "planned_values": {},
            "resource_changes": [{ "type": "nhi_x", "mode": "s3cr3t", "change": "s3cr3t" }] });
        for (text, why) in [
            ("", "empty"),
            (" \n", "empty"),
            (torn, "no JSON"),
            ("[]", "otherwise"),
            ("{}", "not what show"),
            (&newer.to_string(), "format_version"),
            (&odd.to_string(), "otherwise"),
            (&more.to_string(), "otherwise"),
            (r#"{"format_version":"1.0","values":{}}"#, "a state"),
            (r#"{"version":4,"serial":1,"resources":[]}"#, "a state"),
            ("PK\u{3}\u{4}", "no JSON"),
        ] {
            let said = read(text.as_bytes()).unwrap_err().to_string();
            assert!(said.contains(why) && !said.contains("s3cr3t"), "{text}: {said}");
        }
        // OpenTofu has fewer members.
        let least = json!({ "format_version": "1.2", "planned_values": {} });
        assert_eq!(read_of(&least), Plan::default());
    }

    #[test]
    fn what_is_marked_is_named_and_gone_when_it_is_masked() {
        let mut one = change(
            "a",
            &["update"],
            json!({ "scopes": ["a"], "labels": { "x": "s3cr3t" } }),
            json!({ "scopes": ["a", "s3cr3t"], "labels": { "x": "s3cr3t" }, "odd": "s3cr3t" }),
        );
        one["change"]["after_unknown"] = json!({ "id": true });
        one["change"]["after_sensitive"] = json!({ "labels": { "x": true }, "gone": true,
            "scopes": [false, true], "odd": { "x": true } });
        let read = read_of(&plan(vec![one]));
        let one = &read.objects[0];
        assert_eq!(one.unknown, json!({ "id": true }));
        assert_eq!(one.hidden_after.paths(&one.after), ["labels.x", "odd", "scopes.1"]);
        let masked = one.hidden_after.masked(&one.after);
        assert!(!masked.to_string().contains("s3cr3t") && masked["scopes"][0] == "a");
        assert_eq!(one.hidden_before, Marks::None);
    }

    proptest! {
        #[test]
        fn whatever_stands_before_and_after_every_marked_text_is_gone_when_it_is_masked(
            value in values(), picks in prop::collection::vec(any::<bool>(), 64)
        ) {
            let (mut at, mut marked) = (0, Vec::new());
            let tree = mark(&value, &picks, &mut at, &mut marked);
            let left = Marks::read(&tree).masked(&value).to_string();
            for text in marked {
                prop_assert!(!left.contains(&text), "{}", text);
            }
        }
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = (0u32..u32::MAX).prop_map(|at| json!(format!("text-{at:08x}-end")));
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
                prop::collection::btree_map("[a-z]{1,3}", inner, 0..4)
                    .prop_map(|all| Value::Object(all.into_iter().collect())),
            ]
        })
    }

    /// Marks some of a value, and collects the texts in what is marked.
    fn mark(value: &Value, picks: &[bool], at: &mut usize, marked: &mut Vec<String>) -> Value {
        *at += 1;
        if picks[*at % picks.len()] {
            texts(value, marked);
            return json!(true);
        }
        match value {
            Value::Array(all) => all.iter().map(|one| mark(one, picks, at, marked)).collect(),
            Value::Object(all) => Value::Object(
                all.iter()
                    .map(|(name, one)| (name.clone(), mark(one, picks, at, marked)))
                    .collect(),
            ),
            _ => json!(false),
        }
    }

    fn texts(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::String(text) => found.push(text.clone()),
            Value::Array(all) => all.iter().for_each(|one| texts(one, found)),
            Value::Object(all) => all.values().for_each(|one| texts(one, found)),
            _ => {}
        }
    }
}
