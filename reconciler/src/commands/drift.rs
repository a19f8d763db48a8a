//! `nhi drift`: does the world still look as declared?

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Read,
};

use clap::{Args, ValueEnum};
use domain::{
    IntegrationId, Setting, Settings,
    field::{Default::Vendor as VendorChooses, Field},
};
use ledger::Selection;
use operations::{Context, KindLattice, Problem, observe_integration};
use policy::{
    drift::{Declared, Drift as Found, Observed, Verdict, compare, missing},
    scopes::{Declared as DeclaredScopes, Enforcement, echo, highest_action},
    settings::spelled_as,
};
use serde_json::{Map, Value, json};

use crate::{
    exit::Exit,
    output::{BOLD, GREEN, Output, RED, YELLOW, styled},
};

/// Compare the world with what is declared, without Terraform and without changing anything.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  nhi drift                                  declared: what the ledger says was applied
  terraform show -json | nhi drift --state -
  nhi drift --state terraform.tfstate --format json

Exit codes: 0 in sync · 1 could not do it · 2 drift · 3 something could not be read")]
pub(crate) struct Drift {
    /// Declared is what this state says (`terraform show -json`, or a state file); `-` is standard
    /// input. Else the ledger says.
    #[arg(long, value_name = "FILE")]
    state: Option<String>,

    /// Text or JSON.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// One integration as it is declared, with its scopes.
#[derive(Debug, Default)]
struct Wish {
    declared: Declared,
    raw_settings: Option<Value>,
    scopes: Option<(BTreeSet<String>, BTreeSet<String>, Enforcement)>,
}

/// What the comparison came to.
#[derive(Debug, Default)]
struct Report {
    found: Vec<(Found, String)>,
    expected: usize,
    read: usize,
    failed: Vec<(String, Problem)>,
}

impl Drift {
    pub(crate) async fn run(self, config: Option<&str>, output: &Output) -> Result<Exit, Problem> {
        let context = wiring::load(config)?.read_only().context("nhi", "command")?;
        let (wishes, from) = match &self.state {
            Some(place) => (from_state(&read_state(place)?)?, format!("state {place}")),
            None => (from_ledger(&context).await?, context.ledger.place()),
        };
        if wishes.is_empty() {
            output.hint(&format!(
                "Nothing is declared in {from}, so nothing can be compared. What is there: nhi scan"
            ));
        }
        let progress = output.progress("comparing");
        let mut report = Report { expected: wishes.len(), ..Report::default() };
        for (id, wish) in &wishes {
            progress.say(&format!("comparing {id}"));
            match look(&context, id, wish).await {
                Ok(found) => {
                    report.read += 1;
                    report.found.extend(found);
                }
                Err(problem) => report.failed.push((id.clone(), problem)),
            }
        }
        drop(progress);
        let exit = report.exit();
        match self.format {
            Format::Text => report.print(&from, exit, output),
            Format::Json => output.line(&report.json(&from, exit).to_string()),
        }
        Ok(exit)
    }
}

async fn look(context: &Context, id: &str, wish: &Wish) -> Result<Vec<(Found, String)>, Problem> {
    let parsed: IntegrationId = id.parse().map_err(|error: domain::id::IdError| {
        Problem::new("E-ID", "A declared id is not one of ours").detail(error.to_string())
    })?;
    let seen = observe_integration(context, &parsed, None, None).await?;
    let Some(seen) = seen else { return Ok(vec![(missing(id), String::new())]) };
    let Some((platform, kind)) = wiring::kind(&parsed.kind) else {
        return Err(Problem::new("E-KIND", "This version does not know the kind")
            .detail(format!("{id}: {:?}", parsed.kind)));
    };
    let mut declared = wish.declared.clone();
    let mut observed = Observed {
        enabled: seen.observed.enabled,
        unmanaged: seen.unmanaged.clone(),
        ..Observed::default()
    };
    if let Some(raw) = &wish.raw_settings {
        let known = settings_from(kind.fields, raw);
        let mut live = spelled_as(kind.fields, &seen.observed.settings, &known);
        // What the platform chose where nobody said anything is no difference.
        for field in kind.fields.iter().filter(|field| field.default == VendorChooses) {
            if !known.0.contains_key(field.name) {
                live.0.remove(field.name);
            }
        }
        declared.settings = Some(in_words(&known));
        observed.settings = in_words(&live);
    }
    if let Some(record) = &mut declared.record {
        let live = seen.observed.record.clone().unwrap_or_default();
        observed.record = flat(&serde_json::from_str(&live.to_json()).unwrap_or_default());
        observed.record.retain(|name, _| is_governance(name));
        record.retain(|name, _| is_governance(name));
    }
    let mut found: Vec<(Found, String)> =
        compare(&declared, &observed).into_iter().map(|one| (one, String::new())).collect();
    if let Some((scopes, temporary, enforcement)) = &wish.scopes {
        let lattice = KindLattice { platform, kind: kind.name };
        let live = seen.observed.scopes.iter().map(|held| held.scope.clone()).collect();
        let mut standing = scopes.clone();
        // A temporary scope that is live is declared too; whether its time is over is plan's to say.
        standing.extend(temporary.iter().cloned());
        let compared = echo(
            &lattice,
            &DeclaredScopes { scopes: standing, ..DeclaredScopes::default() },
            &live,
            *enforcement,
        );
        let entry = |text: &String, verdict: Verdict| {
            let action = highest_action(&lattice, [text], &BTreeMap::new());
            let (expected, actual) = match verdict {
                Verdict::Removed => (text.clone(), String::new()),
                _ => (String::new(), text.clone()),
            };
            let found = Found {
                subject: format!("{id}/scope"),
                facet: "scopes".into(),
                verdict,
                expected,
                actual,
            };
            (found, action.to_string())
        };
        if *enforcement != Enforcement::AtLeast {
            found.extend(compared.extra.iter().map(|text| entry(text, Verdict::Added)));
        }
        if *enforcement != Enforcement::AtMost {
            let gone = compared.gone.iter().filter(|text| !temporary.contains(*text));
            found.extend(gone.map(|text| entry(text, Verdict::Removed)));
        }
    }
    Ok(found)
}

/// Members of a record that people declare.
fn is_governance(name: &str) -> bool {
    const NAMES: [&str; 9] = [
        "purpose",
        "environment",
        "execution_mode",
        "category",
        "expires_on",
        "review_every",
        "ceiling_action",
        "business_owner.id",
        "technical_owner.id",
    ];
    NAMES.contains(&name) || name.starts_with("labels.")
}

fn settings_from(fields: &[Field], raw: &Value) -> Settings {
    let mut settings = Settings::default();
    for field in fields {
        let setting = match raw.get(field.name) {
            Some(Value::String(text)) => Setting::Text(text.clone()),
            Some(Value::Bool(flag)) => Setting::Flag(*flag),
            Some(Value::Number(number)) => match number.as_i64() {
                Some(count) => Setting::Count(count),
                None => continue,
            },
            Some(Value::Array(items)) => {
                Setting::Texts(items.iter().filter_map(Value::as_str).map(str::to_owned).collect())
            }
            _ => continue,
        };
        settings.0.insert(field.name.to_owned(), setting);
    }
    settings
}

fn in_words(settings: &Settings) -> BTreeMap<String, String> {
    let word = |setting: &Setting| match setting {
        Setting::Text(text) => text.clone(),
        Setting::Flag(flag) => flag.to_string(),
        Setting::Count(count) => count.to_string(),
        Setting::Texts(texts) => texts.iter().cloned().collect::<Vec<_>>().join(", "),
    };
    settings.0.iter().map(|(name, setting)| (name.clone(), word(setting))).collect()
}

/// A record's members by dotted name.
fn flat(value: &Value) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    let Value::Object(map) = value else { return out };
    for (name, value) in map {
        match value {
            Value::String(text) => {
                out.insert(name.clone(), text.clone());
            }
            Value::Object(inner) => {
                for (member, value) in inner {
                    if let Value::String(text) = value {
                        out.insert(format!("{name}.{member}"), text.clone());
                    }
                }
            }
            _ => {}
        }
    }
    out
}

/// What the ledger says was declared last.
async fn from_ledger(context: &Context) -> Result<BTreeMap<String, Wish>, Problem> {
    let mut wishes = BTreeMap::new();
    for row in context.ledger.integrations(&Selection::declared()).await? {
        let Some(document) = row.declared else { continue };
        let facet = |name: &str| document.value.get(name).cloned();
        let record = facet("record").map(|record| flat(&record));
        let scopes = facet("scopes").map(|facet| {
            let texts = |name: &str| {
                let all = facet.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
                all.iter().filter_map(Value::as_str).map(str::to_owned).collect()
            };
            let word = facet.get("enforcement").and_then(Value::as_str).unwrap_or("exact");
            (texts("scopes"), texts("temporary"), Enforcement::from_word(word))
        });
        let enabled = facet("enabled").and_then(|facet| facet.get("enabled")?.as_bool());
        let declared = Declared { id: row.id.clone(), record, enabled, ..Declared::default() };
        wishes.insert(row.id, Wish { declared, raw_settings: facet("settings"), scopes });
    }
    Ok(wishes)
}

fn read_state(place: &str) -> Result<Value, Problem> {
    let unreadable = |why: String| {
        Problem::new("E-STATE", "The state cannot be read")
            .detail(format!("{place}: {why}"))
            .next("terraform show -json | nhi drift --state -")
    };
    const LONGEST: u64 = 256 << 20;
    let mut text = String::new();
    let read = if place == "-" {
        std::io::stdin().take(LONGEST).read_to_string(&mut text)
    } else {
        std::fs::File::open(place).and_then(|file| file.take(LONGEST).read_to_string(&mut text))
    };
    read.map_err(|error| unreadable(error.to_string()))?;
    serde_json::from_str(&text).map_err(|error| unreadable(format!("it is no JSON: {error}")))
}

/// Attributes of our resources, by type, out of `show -json` or a state file. All others are
/// dropped unread.
fn resources(state: &Value) -> Vec<(String, Map<String, Value>)> {
    let mut all = Vec::new();
    let mut modules: Vec<&Value> = vec![&state["values"]["root_module"]];
    while let Some(module) = modules.pop() {
        modules.extend(module["child_modules"].as_array().into_iter().flatten());
        for one in module["resources"].as_array().into_iter().flatten() {
            push(&mut all, &one["type"], one["mode"].as_str(), &one["values"]);
        }
    }
    for one in state["resources"].as_array().into_iter().flatten() {
        for instance in one["instances"].as_array().into_iter().flatten() {
            push(&mut all, &one["type"], one["mode"].as_str(), &instance["attributes"]);
        }
    }
    all
}

fn push(
    all: &mut Vec<(String, Map<String, Value>)>,
    kind: &Value,
    mode: Option<&str>,
    values: &Value,
) {
    if let (Some(kind), Some("managed"), Some(values)) = (kind.as_str(), mode, values.as_object())
        && kind.starts_with("nhi_")
    {
        all.push((kind.to_owned(), values.clone()));
    }
}

/// What a state says.
fn from_state(state: &Value) -> Result<BTreeMap<String, Wish>, Problem> {
    if state.get("values").is_none() && state.get("resources").is_none() {
        return Err(Problem::new("E-STATE", "This is no state")
            .detail("It has neither values (terraform show -json) nor resources (a state file).")
            .next("terraform show -json | nhi drift --state -"));
    }
    let mut wishes: BTreeMap<String, Wish> = BTreeMap::new();
    for (kind, values) in resources(state) {
        let text = |name: &str| values.get(name).and_then(Value::as_str).map(str::to_owned);
        match kind.as_str() {
            "nhi_integration" => {
                let (Some(id), Some(object)) = (text("id"), text("kind")) else { continue };
                if object == wiring::third_party().name {
                    continue;
                }
                let mut record = BTreeMap::new();
                for name in [
                    "purpose",
                    "environment",
                    "execution_mode",
                    "category",
                    "expires_on",
                    "review_every",
                ] {
                    if let Some(value) = text(name) {
                        record.insert(name.to_owned(), value);
                    }
                }
                for name in ["business_owner", "technical_owner"] {
                    if let Some(owner) = values.get(name).and_then(|owner| owner["id"].as_str()) {
                        record.insert(format!("{name}.id"), owner.to_owned());
                    }
                }
                if let Some(action) =
                    values.get("ceiling").and_then(|one| one["highest_action"].as_str())
                {
                    record.insert("ceiling_action".into(), action.to_owned());
                }
                for (label, value) in
                    values.get("labels").and_then(Value::as_object).into_iter().flatten()
                {
                    record.insert(
                        format!("labels.{label}"),
                        value.as_str().unwrap_or_default().to_owned(),
                    );
                }
                let wish = wishes.entry(id.clone()).or_default();
                wish.declared.id = id;
                wish.declared.record = Some(record);
                wish.declared.enabled = text("state").map(|state| state == "active");
                wish.raw_settings = values.get(&object).cloned();
            }
            "nhi_scope" => {
                let Some(id) =
                    text("id").and_then(|id| id.strip_suffix("/scope").map(str::to_owned))
                else {
                    continue;
                };
                let texts =
                    values.get("scopes").and_then(Value::as_array).cloned().unwrap_or_default();
                let scopes = texts.iter().filter_map(Value::as_str).map(str::to_owned).collect();
                let dated =
                    values.get("temporary").and_then(Value::as_object).cloned().unwrap_or_default();
                let temporary = dated.keys().cloned().collect();
                let enforcement = Enforcement::from_word(&text("enforcement").unwrap_or_default());
                let wish = wishes.entry(id.clone()).or_default();
                wish.declared.id = id;
                wish.scopes = Some((scopes, temporary, enforcement));
            }
            _ => {}
        }
    }
    Ok(wishes)
}

impl Report {
    fn exit(&self) -> Exit {
        let mut exit = Exit::Clean;
        if !self.failed.is_empty() {
            exit = exit.worst(if self.read == 0 { Exit::Failed } else { Exit::Partial });
        }
        if !self.found.is_empty() {
            exit = exit.worst(Exit::Drift);
        }
        exit
    }

    fn print(&self, from: &str, exit: Exit, output: &Output) {
        let mut last = "";
        for (one, action) in &self.found {
            if one.subject != last {
                output.line(&styled(BOLD, &one.subject));
                last = &one.subject;
            }
            output.line(&line(one, action));
        }
        for (id, problem) in &self.failed {
            output.warning(&format!("{id}: not read: {problem}"));
        }
        let percent = (self.read * 100).checked_div(self.expected).unwrap_or(100);
        let (style, verdict) = match exit {
            Exit::Clean => (GREEN, "In sync".to_owned()),
            Exit::Drift => (RED, format!("{} difference(s)", self.found.len())),
            _ => (YELLOW, "Not everything could be read".to_owned()),
        };
        output.line(&format!(
            "{}: {} integration(s) declared in {from}, {} read ({percent} %), {} not read.",
            styled(style, &verdict),
            self.expected,
            self.read,
            self.failed.len()
        ));
    }

    fn json(&self, from: &str, exit: Exit) -> Value {
        let mut conditions = Vec::new();
        if !self.found.is_empty() {
            conditions.push(Exit::Drift.word());
        }
        if !self.failed.is_empty() {
            conditions.push(Exit::Partial.word());
        }
        json!({
            "declared": from,
            "coverage": { "expected": self.expected, "read": self.read, "failed": self.failed.len() },
            "drift": self.found.iter().map(|(one, action)| json!({
                "subject": one.subject,
                "facet": one.facet,
                "verdict": one.verdict.as_str(),
                "expected": one.expected,
                "actual": one.actual,
                "action": if action.is_empty() { Value::Null } else { json!(action) },
            })).collect::<Vec<_>>(),
            "not_read": self.failed.iter().map(|(id, problem)| json!({
                "subject": id, "code": problem.code, "why": problem.detail,
            })).collect::<Vec<_>>(),
            "outcome": { "code": exit.code(), "word": exit.word(), "conditions": conditions },
        })
    }
}

fn line(one: &Found, action: &str) -> String {
    let action = if action.is_empty() { String::new() } else { format!(" ({action})") };
    let text = match one.verdict {
        Verdict::Added => format!("+ {}: {}{action}", one.facet, one.actual),
        Verdict::Unmanaged => format!("+ credential that nobody declared: {}", one.actual),
        Verdict::Removed => format!("- {}: {}{action}", one.facet, one.expected),
        Verdict::Missing => "- it is not there any more".to_owned(),
        Verdict::Changed => format!("~ {}: {:?} -> {:?}", one.facet, one.expected, one.actual),
    };
    let style = match one.verdict {
        Verdict::Added | Verdict::Unmanaged => GREEN,
        Verdict::Removed | Verdict::Missing => RED,
        Verdict::Changed => YELLOW,
    };
    format!("  {}", styled(style, &text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_resources_are_taken_from_a_state() {
        let state = json!({ "format_version": "1.0", "values": { "root_module": {
            "resources": [
                { "type": "aws_iam_access_key", "mode": "managed", "values": { "secret": "s" } },
                { "type": "nhi_scope", "mode": "managed", "values": {
                    "id": "bao/openbao_approle/x/scope", "scopes": ["a:read"], "enforcement": "exact" } },
            ],
            "child_modules": [{ "resources": [
                { "type": "nhi_integration", "mode": "managed", "values": {
                    "id": "bao/openbao_approle/x", "kind": "openbao_approle", "purpose": "p",
                    "state": "active", "openbao_approle": { "token_ttl": "1h" } } },
            ] }],
        } } });
        let wishes = from_state(&state).unwrap();
        let wish = &wishes["bao/openbao_approle/x"];
        assert_eq!(wishes.len(), 1);
        assert_eq!(wish.declared.enabled, Some(true));
        assert!(wish.scopes.as_ref().unwrap().0.contains("a:read"));
        assert!(!format!("{wishes:?}").contains("\"s\""));
    }

    #[test]
    fn what_is_no_state_is_refused_with_the_command_that_makes_one() {
        assert!(from_state(&json!({})).unwrap_err().to_string().contains("terraform show -json"));
    }
}
