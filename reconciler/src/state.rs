//! What a Terraform or OpenTofu state, or a plan, says is declared. A form that is not known is
//! refused: what is not understood is never taken for nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Read,
    path::Path,
    process::{Command, Stdio},
};

use domain::ties::{MEMBERS, Ties};
use operations::{
    Delivery, Problem, Wish, WishedOwner, WishedScopes, WishedSlot, WishedThirdParty, Wishes,
    consumers, delivery, schedule_written,
};
use policy::{scopes::Enforcement, standing::ThirdParty};
use serde_json::{Map, Value};

/// The command that makes what can be read.
const MAKE: &str = "terraform show -json | nhi drift --state -";

/// The longest state that is read.
const LONGEST: u64 = 256 << 20;

fn refused(place: &str, why: impl Into<String>) -> Problem {
    Problem::new("E-STATE", "The state cannot be read")
        .detail(format!("{place}: {}", why.into()))
        .next(MAKE)
}

/// Reads a state from a file or, for `-`, from standard input.
///
/// # Errors
///
/// It is absent, too long, or no state in a form that is known.
pub(crate) fn read(place: &str) -> Result<Wishes, Problem> {
    let (state, shown) = parsed(place)?;
    wishes(&state).map_err(|why| refused(shown, why))
}

/// Reads a plan, as `terraform show -json FILE` prints one, from a file or standard input: what is
/// declared once it is applied, as far as it is known, and what there is to say of the rest.
///
/// # Errors
///
/// It is absent, too long, or no plan in a form that is known.
pub(crate) fn read_plan(place: &str) -> Result<(Wishes, Option<Problem>), Problem> {
    let (plan, shown) = parsed(place)?;
    let wrong = |why: String| {
        Problem::new("E-PLAN", "The plan cannot be read").detail(format!("{shown}: {why}")).next(
            "terraform plan -out plan.bin && terraform show -json plan.bin | nhi drift --plan -",
        )
    };
    let (resources, unknown) = resources_of_plan(&plan).map_err(wrong)?;
    let partly = plan["complete"] == false
        || plan["deferred_changes"].as_array().is_some_and(|all| !all.is_empty());
    let gap = partly.then(|| {
        Problem::new("E-PLAN-HALF", "The plan is of a part")
            .detail("It says itself that not everything is planned in it.")
            .next("apply it, plan once more, and compare with that")
    });
    let gap = gap.or_else(|| {
        let of: Vec<String> = unknown.into_iter().collect();
        (!of.is_empty()).then(|| {
            Problem::new("E-PLAN-HALF", "The plan does not know all that it declares")
                .detail(format!(
                    "What it says of {} is known only when it is applied; not compared.",
                    of.join(", ")
                ))
                .next("apply it, plan once more, and compare with that")
        })
    });
    Ok((collected(resources).map_err(wrong)?, gap))
}

/// What the core itself shows of the state of a folder, whichever backend keeps it. It is started
/// with this run's environment, which backends need, but for the secrets that are ours alone.
///
/// # Errors
///
/// There is no core, it failed, or what it shows cannot be read.
pub(crate) fn of_folder(folder: &Path, ours: &BTreeSet<&str>) -> Result<Wishes, Problem> {
    let shown = format!("the state of {}", folder.display());
    let wrong = |why: String| {
        Problem::new("E-STATE", "The state cannot be read")
            .detail(format!("{shown}: {why}"))
            .next(format!("run it there: (cd {} && terraform show -json)", folder.display()))
    };
    let mut told = Err("neither terraform nor tofu is on the PATH.".to_owned());
    for core in ["terraform", "tofu"] {
        let mut command = Command::new(core);
        command.args(["show", "-json", "-no-color"]).current_dir(folder).stdin(Stdio::null());
        for name in ours {
            command.env_remove(name);
        }
        match command.output() {
            Ok(done) => {
                told = Ok(done);
                break;
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && folder.is_dir() => {}
            Err(error) => return Err(wrong(format!("{error}."))),
        }
    }
    let done = told.map_err(wrong)?;
    if !done.status.success() {
        let said = String::from_utf8_lossy(&done.stderr);
        let said: String = said.split_whitespace().collect::<Vec<_>>().join(" ");
        let said: String = said.chars().take(400).collect();
        return Err(wrong(format!("the core says: {said}")));
    }
    let state = serde_json::from_slice(&done.stdout)
        .map_err(|error| wrong(format!("it is no JSON: {error}.")))?;
    wishes(&state).map_err(wrong)
}

/// The JSON of a file or of standard input, and how that is named.
fn parsed(place: &str) -> Result<(Value, &str), Problem> {
    let mut text = String::new();
    let read = if place == "-" {
        std::io::stdin().take(LONGEST + 1).read_to_string(&mut text)
    } else {
        std::fs::File::open(place).and_then(|file| file.take(LONGEST + 1).read_to_string(&mut text))
    };
    let shown = if place == "-" { "standard input" } else { place };
    let length = read.map_err(|error| refused(shown, error.to_string()))?;
    if length as u64 > LONGEST {
        return Err(refused(shown, "it is longer than 256 MiB."));
    }
    if text.trim().is_empty() {
        return Err(refused(shown, "it is empty."));
    }
    let state = serde_json::from_str(&text)
        .map_err(|error| refused(shown, format!("it is no JSON: {error}.")))?;
    Ok((state, shown))
}

/// What a state declares, or why it cannot be told.
fn wishes(state: &Value) -> Result<Wishes, String> {
    collected(resources(state)?)
}

/// What resources declare, or why it cannot be told.
fn collected(resources: Vec<Resource>) -> Result<Wishes, String> {
    let mut wishes = Wishes::default();
    for (address, kind, values) in resources {
        let text = |name: &str| values.get(name).and_then(Value::as_str).map(str::to_owned);
        let need = |name: &str| text(name).ok_or_else(|| format!("{address} has no {name}."));
        match kind.as_str() {
            "nhi_owner" => {
                if let Some(email) = text("email") {
                    wishes.addresses.insert(need("id")?, email);
                }
                let Some(entry) = values.get("directory").filter(|entry| !entry.is_null()) else {
                    continue;
                };
                let part = |name: &str| {
                    let text = entry[name].as_str().map(str::to_owned);
                    text.ok_or_else(|| format!("{address}.directory has no {name}."))
                };
                let owner = WishedOwner {
                    id: need("id")?,
                    entry: (part("connection")?, part("id")?),
                    department: text("department"),
                    inactive_since: text("inactive_since").and_then(|day| day.parse().ok()),
                };
                wishes.owners.insert(owner.id.clone(), owner);
            }
            "nhi_integration" => integration(&mut wishes, &need("id")?, &need("kind")?, &values),
            "nhi_scope" => {
                let id = need("id")?;
                let id = id
                    .strip_suffix("/scope")
                    .ok_or_else(|| format!("{address}: {id:?} is no scope's id."))?;
                wish(&mut wishes, id).scopes = Some(scopes(&values));
            }
            "nhi_credential" => {
                let id = need("id")?;
                let (parent, _) = id
                    .split_once("/credential/")
                    .ok_or_else(|| format!("{address}: {id:?} is no credential's id."))?;
                let slot = slot(&values, need("name")?);
                wish(&mut wishes, parent).slots.push(slot);
            }
            _ => {}
        }
    }
    Ok(wishes)
}

fn wish<'a>(wishes: &'a mut Wishes, id: &str) -> &'a mut Wish {
    wishes
        .integrations
        .entry(id.to_owned())
        .or_insert_with(|| Wish { id: id.to_owned(), ..Wish::default() })
}

fn integration(wishes: &mut Wishes, id: &str, object: &str, values: &Map<String, Value>) {
    let text = |name: &str| values.get(name).and_then(Value::as_str).map(str::to_owned);
    let day = |text: Option<&str>| text.and_then(|day| day.parse().ok());
    let settings = values.get(object);
    if object == wiring::third_party().name {
        let said = |name: &str| settings.and_then(|one| one[name].as_str());
        let owners = ["business_owner", "technical_owner"]
            .map(|name| values.get(name).and_then(|owner| owner["id"].as_str()).map(str::to_owned));
        wishes.third_parties.push(WishedThirdParty {
            id: id.to_owned(),
            owners: owners.into_iter().flatten().collect(),
            dates: ThirdParty {
                expires_on: day(text("expires_on").as_deref()),
                contract_ends_on: day(said("contract_ends_on")),
                tested_on: day(said("disable_tested_on")),
                test_every: said("admin_review_every").and_then(|every| every.parse().ok()),
            },
            ties: ties(values),
        });
        return;
    }
    let mut record = BTreeMap::new();
    let mut put = |name: &str, value: Option<&str>| {
        if let Some(value) = value {
            record.insert(name.to_owned(), value.to_owned());
        }
    };
    for name in
        ["purpose", "environment", "execution_mode", "category", "expires_on", "review_every"]
    {
        put(name, values.get(name).and_then(Value::as_str));
    }
    for name in ["business_owner", "technical_owner"] {
        for member in ["id", "email"] {
            let value = values.get(name).and_then(|owner| owner[member].as_str());
            put(&format!("{name}.{member}"), value);
        }
    }
    for member in ["complete_by", "steward"] {
        let value = values.get("adoption").and_then(|adoption| adoption[member].as_str());
        put(&format!("adoption.{member}"), value);
    }
    if let Some(ceiling) = values.get("ceiling") {
        put("ceiling_action", ceiling["highest_action"].as_str());
        if let Some(all) = ceiling["scopes"].as_array() {
            let mut all: Vec<&str> = all.iter().filter_map(Value::as_str).collect();
            all.sort_unstable();
            put("ceiling_scopes", Some(&all.join(", ")));
        }
    }
    for (label, value) in values.get("labels").and_then(Value::as_object).into_iter().flatten() {
        put(&format!("labels.{label}"), value.as_str());
    }
    let wish = wish(wishes, id);
    wish.vendor_id = text("vendor_id");
    wish.record = (!values.contains_key(UNKNOWN_RECORD)).then_some(record);
    wish.enabled = text("state").map(|state| state == "active");
    wish.revoke_unmanaged = values.get("revoke_unmanaged").and_then(Value::as_bool) == Some(true);
    wish.settings = settings.cloned();
    wish.ties = ties(values);
}

/// What it has to do with besides its platform, by the same members as the resource has.
fn ties(values: &Map<String, Value>) -> Ties {
    let of = |name: &&str| Some(((*name).to_owned(), values.get(*name)?.clone()));
    Ties::from_json(&Value::Object(MEMBERS.iter().filter_map(of).collect()))
}

fn scopes(values: &Map<String, Value>) -> WishedScopes {
    let texts = values.get("scopes").and_then(Value::as_array).cloned().unwrap_or_default();
    let members = |name: &str| values.get(name).and_then(Value::as_object).cloned();
    let word = values.get("enforcement").and_then(Value::as_str).unwrap_or_default();
    WishedScopes {
        standing: texts.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        temporary: members("temporary")
            .unwrap_or_default()
            .into_iter()
            .map(|(scope, one)| (scope, one["until"].as_str().and_then(|at| at.parse().ok())))
            .collect(),
        on_request: operations::on_request(values.get("on_request")),
        enforcement: Enforcement::from_word(word),
        classify: members("classify")
            .unwrap_or_default()
            .into_iter()
            .filter_map(|(scope, word)| Some((scope, word.as_str()?.parse().ok()?)))
            .collect(),
    }
}

fn slot(values: &Map<String, Value>, name: String) -> WishedSlot {
    let text = |name: &str| values.get(name).and_then(Value::as_str);
    let moment = |name: &str| text(name).and_then(|at| at.parse().ok());
    let deliveries: Vec<Delivery> = values
        .get("deliver_to")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .filter_map(|(name, one)| {
            let fields = one["fields"].as_object().into_iter().flatten();
            let fields =
                fields.filter_map(|(field, from)| Some((field.clone(), from.as_str()?.to_owned())));
            Some(Delivery {
                fields: fields.collect(),
                merge: one["merge"].as_bool().unwrap_or(false),
                ..delivery(name, one["connection"].as_str()?, one["path"].as_str()?)
            })
        })
        .collect();
    let set = wiring::platforms()
        .into_iter()
        .flat_map(|platform| platform.kinds())
        .flat_map(|kind| kind.credential_types)
        .find(|one| values.get(one.name).is_some_and(|value| !value.is_null()));
    let generation = values.get("generation").and_then(Value::as_u64).unwrap_or(0);
    let schedule = values.get("schedule").filter(|one| !one.is_null());
    WishedSlot {
        name,
        credential_type: set.map(|one| one.name.to_owned()),
        schedule: schedule.and_then(|one| schedule_written(one).read()),
        deliveries,
        known: text("key_id")
            .map(|key| (key.to_owned(), generation, moment("issued_at"), moment("expires_at"))),
        drill: values.get("drill").and_then(Value::as_bool).unwrap_or(false),
        settings: Some(
            set.map_or_else(|| Value::Object(Map::new()), |one| values[one.name].clone()),
        ),
        consumers: consumers(text("interruption"), text("consumer_refresh")),
    }
}

/// Address, type and attributes of one resource.
type Resource = (String, String, Map<String, Value>);

/// Attributes of our managed resources, with address and type, out of `show -json` or a state file.
/// All others are dropped unread.
fn resources(state: &Value) -> Result<Vec<Resource>, String> {
    if state.get("encrypted_data").is_some() {
        return Err("it is encrypted.".into());
    }
    if state.get("planned_values").is_some() || state.get("resource_changes").is_some() {
        return Err("it is a plan, and no state: give it with --plan.".into());
    }
    let mut all = Vec::new();
    if let Some(version) = state.get("format_version") {
        known_format(version)?;
        // A state of nothing has no values at all.
        let mut modules: Vec<&Value> = Vec::new();
        modules.extend(state.get("values").map(|values| &values["root_module"]));
        while let Some(module) = modules.pop() {
            modules.extend(module["child_modules"].as_array().into_iter().flatten());
            for one in module["resources"].as_array().into_iter().flatten() {
                push(&mut all, one, one["address"].as_str(), &one["values"])?;
            }
        }
    } else if let (Some(version), true) = (state.get("version"), state.get("serial").is_some()) {
        if version.as_u64() != Some(4) {
            return Err(format!("it is a state file of version {version}, and 4 is known here."));
        }
        for one in state["resources"].as_array().into_iter().flatten() {
            let name = one["name"].as_str().unwrap_or("?");
            let module = one["module"].as_str().map(|module| format!("{module}."));
            let address = format!(
                "{}{}.{name}",
                module.unwrap_or_default(),
                one["type"].as_str().unwrap_or("?")
            );
            for instance in one["instances"].as_array().into_iter().flatten() {
                // What a create_before_destroy has yet to destroy is declared no more.
                if instance.get("deposed").is_none() {
                    push(&mut all, one, Some(&address), &instance["attributes"])?;
                }
            }
        }
    } else {
        return Err("it is neither what show -json prints nor a state file.".into());
    }
    Ok(all)
}

fn known_format(version: &Value) -> Result<(), String> {
    match version.as_str().is_some_and(|text| text.starts_with("1.") || text == "0.2") {
        true => Ok(()),
        false => Err(format!("its format_version is {version}, and 1.x is known here.")),
    }
}

/// Attributes of our managed resources as they are when the plan is applied. What is known only then
/// is left out: whole attributes, since half of one would look like the rest being declared away. With
/// them the addresses of what is there already and is left out in part, or wholly.
fn resources_of_plan(plan: &Value) -> Result<(Vec<Resource>, BTreeSet<String>), String> {
    let changes = plan["resource_changes"].as_array();
    let (Some(version), true) = (plan.get("format_version"), plan.get("planned_values").is_some())
    else {
        return Err("it is not what show -json prints of a plan.".into());
    };
    known_format(version)?;
    if plan["errored"] == true {
        return Err("it is of a plan that failed.".into());
    }
    let mut all = Vec::new();
    let mut half = BTreeSet::new();
    for one in changes.into_iter().flatten() {
        let change = &one["change"];
        // What is destroyed or forgotten is declared no more; what is deposed was declared before.
        if !change["after"].is_object() || one.get("deposed").is_some() {
            continue;
        }
        let mut found = Vec::new();
        push(&mut found, one, one["address"].as_str(), &change["after"])?;
        for (address, kind, mut values) in found {
            let unknown = change["after_unknown"].as_object().into_iter().flatten();
            let unknown: BTreeSet<&str> = unknown
                .filter(|(_, value)| has_unknown(value))
                .map(|(name, _)| name.as_str())
                .collect();
            if change["before"].is_object() && unknown.iter().any(|name| is_declared(name)) {
                half.insert(address.clone());
            }
            // It is not there yet, or is made anew, and nothing can be compared.
            if unknown.contains("id") {
                continue;
            }
            values.retain(|name, _| !unknown.contains(name.as_str()));
            match kind.as_str() {
                // Of a set of scopes a part is none.
                "nhi_scope" if unknown.contains("scopes") || unknown.contains("temporary") => {}
                "nhi_integration" => {
                    let record = RECORD.iter().any(|name| unknown.contains(name));
                    if record {
                        values.insert(UNKNOWN_RECORD.into(), true.into());
                    }
                    all.push((address, kind, values));
                }
                _ => all.push((address, kind, values)),
            }
        }
    }
    Ok((all, half))
}

/// Whether an attribute is one that people declare, and not one that each apply may make anew, such as
/// the id of a key. The id itself is not known where an object takes the place of another.
fn is_declared(name: &str) -> bool {
    let of_kind = || {
        wiring::platforms().into_iter().flat_map(|platform| platform.kinds()).any(|kind| {
            kind.name == name || kind.credential_types.iter().any(|one| one.name == name)
        })
    };
    let parts = ["id", "scopes", "temporary", "directory", "deliver_to", "schedule"];
    RECORD.contains(&name) || parts.contains(&name) || of_kind()
}

/// Attributes that make up what is written about an integration.
const RECORD: [&str; 11] = [
    "purpose",
    "environment",
    "execution_mode",
    "category",
    "expires_on",
    "review_every",
    "business_owner",
    "technical_owner",
    "ceiling",
    "labels",
    "adoption",
];

/// Stands among an integration's attributes where one of these is not known yet. No attribute has
/// such a name.
const UNKNOWN_RECORD: &str = "-record";

/// Whether a value is unknown, or has something in it that is.
fn has_unknown(value: &Value) -> bool {
    match value {
        Value::Bool(unknown) => *unknown,
        Value::Array(items) => items.iter().any(has_unknown),
        Value::Object(members) => members.values().any(has_unknown),
        _ => false,
    }
}

fn push(
    all: &mut Vec<Resource>,
    resource: &Value,
    address: Option<&str>,
    values: &Value,
) -> Result<(), String> {
    let (Some(kind), Some("managed")) = (resource["type"].as_str(), resource["mode"].as_str())
    else {
        return Ok(());
    };
    if !kind.starts_with("nhi_") || resource.get("deposed_key").is_some() {
        return Ok(());
    }
    let address = address.unwrap_or(kind);
    let values = values
        .as_object()
        .ok_or_else(|| format!("{address} has no attributes that can be read."))?;
    all.push((address.to_owned(), kind.to_owned(), values.clone()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown() -> Value {
        json!({ "format_version": "1.0", "values": { "root_module": {
            "resources": [
                { "address": "a", "type": "aws_iam_access_key", "mode": "managed", "values": { "secret": "s" } },
                { "address": "nhi_scope.x", "type": "nhi_scope", "mode": "managed", "values": {
                    "id": "bao/openbao_approle/x/scope", "scopes": ["a:read"], "enforcement": "exact",
                    "temporary": { "b:read": { "until": "2026-12-05T18:00:00Z" } } } },
                { "address": "nhi_owner.x", "type": "nhi_owner", "mode": "managed", "values": {
                    "id": "owner/x", "directory": { "connection": "people", "id": "28" } } },
            ],
            "child_modules": [{ "resources": [
                { "address": "module.m.nhi_integration.x", "type": "nhi_integration", "mode": "managed", "values": {
                    "id": "bao/openbao_approle/x", "kind": "openbao_approle", "purpose": "p",
                    "vendor_id": "r1", "state": "active", "openbao_approle": { "token_ttl": "1h" },
                    "ceiling": { "highest_action": "read", "scopes": ["b", "a"] } } },
                { "address": "module.m.nhi_credential.x", "type": "nhi_credential", "mode": "managed", "values": {
                    "id": "bao/openbao_approle/x/credential/default", "name": "default", "key_id": "k1",
                    "generation": 3, "schedule": { "name": "m", "every": "30d" },
                    "deliver_to": { "app": { "connection": "bao", "path": "/secret/x/" } } } },
            ] }],
        } } })
    }

    #[test]
    fn only_our_resources_are_taken_from_a_state_and_modules_are_read() {
        let wishes = wishes(&shown()).unwrap();
        let wish = &wishes.integrations["bao/openbao_approle/x"];
        assert_eq!(wishes.count(), 2);
        assert_eq!((wish.enabled, wish.vendor_id.as_deref()), (Some(true), Some("r1")));
        assert_eq!(wish.record.as_ref().unwrap()["ceiling_scopes"], "a, b");
        let scopes = wish.scopes.as_ref().unwrap();
        assert!(scopes.standing.contains("a:read"));
        assert!(scopes.temporary["b:read"].is_some());
        let slot = &wish.slots[0];
        assert_eq!(slot.deliveries[0].place(), "bao:secret/x");
        assert_eq!(slot.known.as_ref().map(|one| one.1), Some(3));
        assert_eq!(slot.schedule.as_ref().unwrap().every.to_string(), "30d");
        assert_eq!(wishes.owners["owner/x"].entry, ("people".to_owned(), "28".to_owned()));
        assert!(!format!("{wishes:?}").contains("\"s\""));
    }

    #[test]
    fn what_is_not_understood_is_refused_and_never_taken_for_nothing() {
        let mut nameless = shown();
        nameless["values"]["root_module"]["resources"][1]["values"] = json!({});
        let cases = [
            (json!({}), "neither"),
            (json!([]), "neither"),
            (json!({ "format_version": "2.0", "values": {} }), "format_version"),
            (json!({ "version": 3, "serial": 1, "resources": [] }), "version 3"),
            (json!({ "encrypted_data": "…", "serial": 1 }), "encrypted"),
            (json!({ "format_version": "1.2", "resource_changes": [] }), "a plan"),
            (nameless, "nhi_scope.x has no id"),
        ];
        for (state, why) in cases {
            let said = wishes(&state).unwrap_err();
            assert!(said.contains(why), "{why}: {said}");
        }
        assert!(read("/nowhere").unwrap_err().to_string().contains(MAKE));
        assert_eq!(wishes(&json!({ "format_version": "1.0" })).unwrap().count(), 0);
    }

    fn planned() -> Value {
        let change = |address: &str, kind: &str, actions: &[&str], after: Value, unknown: Value| {
            json!({ "address": address, "type": kind, "mode": "managed", "change": {
                "actions": actions, "after": after, "after_unknown": unknown } })
        };
        json!({ "format_version": "1.2", "planned_values": {}, "resource_changes": [
            change("nhi_integration.x", "nhi_integration", &["update"],
                json!({ "id": "bao/openbao_approle/x", "kind": "openbao_approle", "purpose": "p",
                    "vendor_id": "r1", "state": "active", "openbao_approle": { "token_ttl": "2h" } }),
                json!({ "standing": true, "openbao_approle": {} })),
            change("nhi_scope.x", "nhi_scope", &["no-op"],
                json!({ "id": "bao/openbao_approle/x/scope", "scopes": ["a:read"], "enforcement": "exact" }),
                json!({})),
            change("nhi_credential.x", "nhi_credential", &["update"],
                json!({ "id": "bao/openbao_approle/x/credential/default", "name": "default", "generation": 2 }),
                json!({ "key_id": true })),
            change("nhi_integration.new", "nhi_integration", &["create"],
                json!({ "kind": "openbao_approle", "purpose": "p" }), json!({ "id": true })),
            change("nhi_integration.old", "nhi_integration", &["delete"], Value::Null, json!({})),
            change("aws_iam_access_key.k", "aws_iam_access_key", &["create"], json!({ "secret": "s" }), json!({})),
        ] })
    }

    fn wishes_of_plan(plan: &Value) -> Result<Wishes, String> {
        collected(resources_of_plan(plan)?.0)
    }

    #[test]
    fn a_plan_declares_what_is_there_when_it_is_applied() {
        let wishes = wishes_of_plan(&planned()).unwrap();
        assert_eq!(
            wishes.count(),
            1,
            "what is new is not there yet, what goes is declared no more"
        );
        let wish = &wishes.integrations["bao/openbao_approle/x"];
        assert_eq!(wish.settings.as_ref().unwrap()["token_ttl"], "2h");
        assert_eq!(wish.record.as_ref().unwrap()["purpose"], "p");
        assert!(wish.scopes.as_ref().unwrap().standing.contains("a:read"));
        assert_eq!(wish.slots[0].known, None, "which key it will have is not known");
    }

    #[test]
    fn what_a_plan_does_not_know_yet_is_not_declared_to_be_nothing() {
        let mut plan = planned();
        let unknown = |plan: &mut Value, at: usize, name: &str, value: Value| {
            plan["resource_changes"][at]["change"]["after_unknown"][name] = value;
        };
        unknown(&mut plan, 0, "openbao_approle", json!({ "token_ttl": true }));
        unknown(&mut plan, 0, "technical_owner", json!({ "email": true }));
        unknown(&mut plan, 1, "scopes", json!(true));
        assert!(resources_of_plan(&plan).unwrap().1.is_empty(), "nothing of it was there before");
        for at in [0, 1, 2, 3] {
            plan["resource_changes"][at]["change"]["before"] = json!({});
        }
        let half = resources_of_plan(&plan).unwrap().1.into_iter().collect::<Vec<_>>();
        assert_eq!(half, ["nhi_integration.new", "nhi_integration.x", "nhi_scope.x"]);
        let wishes = wishes_of_plan(&plan).unwrap();
        let wish = &wishes.integrations["bao/openbao_approle/x"];
        assert!(wish.settings.is_none() && wish.record.is_none() && wish.scopes.is_none());
        assert_eq!(wish.enabled, Some(true), "and the rest is");
    }

    #[test]
    fn a_plan_that_failed_or_is_none_is_refused() {
        let mut failed = planned();
        failed["errored"] = json!(true);
        let mut newer = planned();
        newer["format_version"] = json!("2.0");
        for (plan, why) in [(failed, "failed"), (newer, "format_version"), (shown(), "of a plan")] {
            let said = wishes_of_plan(&plan).unwrap_err();
            assert!(said.contains(why), "{why}: {said}");
        }
    }
}
