//! `nhi scan`: what is there, managed or not.

use std::collections::{BTreeMap, BTreeSet};

use clap::{Args, ValueEnum};
use domain::{
    Action, Gap, GapExtent, IntegrationId, Marker, Observation, ObservedIntegration, Realm,
};
use ledger::{Selection, Slot};
use operations::{
    Begun, Context, Inventory, KindLattice, Problem, everything_left_open, governed_elsewhere,
    is_elsewhere, is_managed, judge_listed, take_inventory,
};
use policy::scopes::Lattice;
use serde_json::{Value, json};

use crate::{
    exit::Exit,
    hcl::{comment, quoted, unlike},
    output::{self, BOLD, DIM, Output, RED, YELLOW, styled},
};

/// List every integration that connections can see, managed or not.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  nhi scan
  nhi scan bao --format json | jq '.integrations[] | select((.managed or .foreign) | not)'
  nhi scan bao --format import > imports.tf

Exit codes: 0 everything was read · 1 nothing could be read · 3 something could not")]
pub(crate) struct Scan {
    /// Only these connections; all that hold integrations unless named.
    #[arg(value_name = "CONNECTION")]
    connections: Vec<String>,

    /// Table, JSON, or import blocks.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Table,
    /// For programs.
    Json,
    /// Import blocks for Terraform and OpenTofu.
    Import,
}

impl Scan {
    pub(crate) async fn run(self, config: Option<&str>, output: &Output) -> Result<Exit, Problem> {
        let context = wiring::load(config)?.read_only().context("nhi", "command")?;
        let inventory = list(&context, &self.connections, output).await?;
        let realm = context.realm.as_deref();
        let open = left_open(&context, &inventory).await;
        let exit = match (nothing_read(&inventory), inventory.is_complete()) {
            (true, _) => Exit::Failed,
            (false, true) => Exit::Clean,
            (false, false) => Exit::Partial,
        };
        match self.format {
            Format::Table => {
                table(&inventory, realm, output);
                tell_left_open(&open, output);
            }
            Format::Json => output.line(&report(&inventory, realm, &open, exit).to_string()),
            Format::Import => {
                let slots = context.ledger.slots(&Selection::all()).await.unwrap_or_default();
                let books = books(&context, &inventory).await;
                imports(&inventory, realm, &slots, &books, output);
            }
        }
        for (name, problem) in &inventory.unreadable {
            output.warning(&format!("{name}: {problem}"));
        }
        if exit == Exit::Failed && inventory.unreadable.is_empty() {
            let names: Vec<&str> = inventory.observations.keys().map(String::as_str).collect();
            output.problem(
                &Problem::new("E-UNREADABLE", "Nothing could be read")
                    .detail(format!("Of {} no listing was readable: see above.", names.join(", ")))
                    .next(format!("nhi doctor {}", names.first().copied().unwrap_or_default())),
            );
        }
        Ok(exit)
    }

    /// How its result is printed, and an error.
    pub(crate) fn format(&self) -> output::Format {
        match self.format {
            Format::Json => output::Format::Json,
            Format::Table | Format::Import => output::Format::Text,
        }
    }
}

/// What was begun in custody's books and is not finished, on the connections that were listed.
async fn left_open(context: &Context, inventory: &Inventory) -> Result<Vec<Begun>, Problem> {
    let mut open = everything_left_open(context).await?;
    open.retain(|one| {
        let connection = &one.slot.integration.connection;
        inventory.observations.contains_key(connection)
            || inventory.unreadable.contains_key(connection)
    });
    Ok(open)
}

fn tell_left_open(open: &Result<Vec<Begun>, Problem>, output: &Output) {
    match open {
        Ok(open) => {
            for one in open {
                let key = one.key_id.as_deref().map(|key_id| format!(", {key_id} may work"));
                output.warning(&format!(
                    "{}: begun and not finished ({}{}): in custody at {}",
                    one.slot,
                    one.phase,
                    key.unwrap_or_default(),
                    one.place
                ));
            }
        }
        Err(problem) => output.warning(&format!(
            "not read: custody, so what was begun and is not finished is not known: {problem}"
        )),
    }
}

/// Whether not one connection showed anything: what one of them cannot list by its nature it has not
/// refused.
fn nothing_read(inventory: &Inventory) -> bool {
    let refused = |gap: &Gap| gap.extent != GapExtent::Unlistable;
    inventory
        .observations
        .values()
        .all(|seen| seen.integrations.is_empty() && seen.gaps.iter().any(refused))
}

/// Lists one connection after the other, and says which.
async fn list(context: &Context, named: &[String], output: &Output) -> Result<Inventory, Problem> {
    let holds = |name: &String| {
        context.connections.platform(name).is_ok_and(|platform| !platform.kinds().is_empty())
    };
    let names = match named {
        [] => context.connections.names().into_iter().filter(holds).collect(),
        named => named.to_vec(),
    };
    if names.is_empty() {
        return Err(Problem::new("E-KIND", "No connection holds integrations")
            .detail(
                "nhi.hcl has directories and sinks only, or nothing, so there is nothing to list.",
            )
            .next("add a connection of a platform that holds some to nhi.hcl"));
    }
    let progress = output.progress("listing");
    let mut all = Inventory::default();
    for (at, name) in names.iter().enumerate() {
        progress.say(&format!("listing {name} ({} of {})", at + 1, names.len()));
        let one = take_inventory(context, std::slice::from_ref(name)).await?;
        all.observations.extend(one.observations);
        all.ourselves.extend(one.ourselves);
        all.unreadable.extend(one.unreadable);
    }
    Ok(all)
}

/// The highest action of what is held.
fn highest(one: &ObservedIntegration) -> Action {
    let Some((platform, kind)) = wiring::kind(&one.kind) else { return Action::Unknown };
    let lattice = KindLattice { platform, kind: kind.name };
    one.scopes.iter().map(|held| lattice.action(&held.scope)).max().unwrap_or(Action::None)
}

fn owner(one: &ObservedIntegration) -> String {
    let owner = one.record.as_ref().and_then(|record| record.technical_owner.as_ref());
    owner.map_or_else(|| "-".to_owned(), |owner| owner.id.trim_start_matches("owner/").to_owned())
}

fn gaps(observation: &Observation) -> impl Iterator<Item = String> {
    observation
        .gaps
        .iter()
        .chain(observation.integrations.iter().flat_map(|one| &one.gaps))
        .map(|gap| format!("{}: {}", gap.extent, gap.cause))
}

fn table(inventory: &Inventory, realm: Option<&Realm>, output: &Output) {
    let mut rows =
        vec![["ID", "OWNER", "STATE", "SCOPES", "HIGHEST", "CREDENTIALS"].map(str::to_owned)];
    for (name, observation) in &inventory.observations {
        for one in &observation.integrations {
            let managed = if inventory.ourselves_as(name, one).is_some() {
                "nhi itself"
            } else if one.builtin {
                "built in"
            } else if one.record.is_none() {
                "unmanaged"
            } else if !is_managed(realm, one) {
                "managed elsewhere"
            } else if one.enabled {
                "active"
            } else {
                "disabled"
            };
            rows.push([
                IntegrationId::new(name.clone(), one.kind.clone(), one.key.clone()).to_string(),
                owner(one),
                managed.to_owned(),
                one.scopes.len().to_string(),
                highest(one).to_string(),
                one.credentials
                    .as_ref()
                    .map_or_else(|| "?".to_owned(), |all| all.len().to_string()),
            ]);
        }
    }
    let widths: Vec<usize> = (0..6)
        .map(|at| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0))
        .collect();
    // A heading with nothing below it would look like nothing being there.
    let shown = if rows.len() == 1 && !inventory.is_complete() { &[] } else { &rows[..] };
    for (index, row) in shown.iter().enumerate() {
        let line: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        let line = line.join("  ");
        let line = line.trim_end();
        let style = match (index, row[2].as_str(), row[4].as_str()) {
            (0, ..) => BOLD,
            (_, "unmanaged" | "nhi itself", _) => YELLOW,
            (_, _, "admin" | "unknown") => RED,
            (_, "built in", _) => DIM,
            _ => {
                output.line(line);
                continue;
            }
        };
        output.line(&styled(style, line));
    }
    for (name, observation) in &inventory.observations {
        for gap in gaps(observation) {
            output.warning(&format!("{name}: not read: {gap}"));
        }
    }
}

fn report(
    inventory: &Inventory,
    realm: Option<&Realm>,
    open: &Result<Vec<Begun>, Problem>,
    exit: Exit,
) -> Value {
    let mut integrations = Vec::new();
    let mut all_gaps = Vec::new();
    for (name, observation) in &inventory.observations {
        all_gaps.extend(gaps(observation).map(|gap| json!({ "connection": name, "what": gap })));
        for one in &observation.integrations {
            let record = one.record.clone().unwrap_or_default();
            let ourselves = inventory.ourselves_as(name, one);
            integrations.push(json!({
                "id": IntegrationId::new(name.clone(), one.kind.clone(), one.key.clone()).to_string(),
                "vendor_id": one.vendor_id,
                "kind": one.kind,
                "name": one.name,
                "managed": is_managed(realm, one),
                "foreign": governed_elsewhere(realm, one.record.as_ref()).is_some(),
                "installation": record.realm,
                "ourselves": ourselves.is_some(),
                "builtin": one.builtin,
                "enabled": one.enabled,
                "environment": record.environment,
                "purpose": record.purpose,
                "business_owner": record.business_owner.map(|owner| owner.id),
                "technical_owner": record.technical_owner.map(|owner| owner.id),
                "expires_on": record.expires_on,
                "scopes": one.scopes.iter().map(|held| held.scope.as_str()).collect::<Vec<_>>(),
                "highest_action": highest(one).as_str(),
                "credentials": one.credentials.as_ref().map(|all| {
                    all.iter().map(|key| json!({
                        "key_id": key.key_id,
                        "type": key.credential_type,
                        "marker": key.marker,
                        "ourselves": ourselves.is_some_and(|found| found.may_be(&key.key_id)),
                        "issued_at": key.issued_at.map(|at| at.to_string()),
                        "expires_at": key.expires_at.map(|at| at.to_string()),
                    })).collect::<Vec<_>>()
                }),
            }));
        }
    }
    for (name, problem) in &inventory.unreadable {
        all_gaps.push(json!({ "connection": name, "what": "everything", "why": problem.detail }));
    }
    // Null where custody could not be read: then nothing is known of it.
    let open = open.as_ref().ok().map(|open| {
        let one = |one: &Begun| {
            json!({
                "slot": one.slot.to_string(), "vendor_id": one.vendor_id, "phase": one.phase,
                "key_id": one.key_id, "custody": one.place,
            })
        };
        open.iter().map(one).collect::<Vec<_>>()
    });
    json!({
        "format": "nhi-scan/1", "complete": inventory.is_complete(), "integrations": integrations,
        "left_open": open, "gaps": all_gaps, "outcome": exit.sole_outcome(),
    })
}

/// The names of the slots that custody's books have, by integration and by the key that each has. Who
/// may not read them has the marks to go by.
type Books = BTreeMap<String, BTreeMap<String, String>>;

async fn books(context: &Context, inventory: &Inventory) -> Books {
    let mut books = Books::new();
    for (connection, observation) in &inventory.observations {
        for one in observation.integrations.iter().filter(|one| !one.builtin) {
            let id = IntegrationId::new(connection.clone(), one.kind.clone(), one.key.clone());
            let Ok(seen) = judge_listed(context, &id, &observation.tenant, one).await else {
                continue;
            };
            let named = seen.slots.into_iter().filter_map(|(key_id, slot)| {
                let (_, name) = slot.rsplit_once("/credential/")?;
                Some((key_id, name.to_owned()))
            });
            books.insert(id.to_string(), named.collect());
        }
    }
    books
}

/// Import blocks. What vendors named is data: it is escaped, and never a name in HCL as it stands.
fn imports(
    inventory: &Inventory,
    realm: Option<&Realm>,
    slots: &[Slot],
    books: &Books,
    output: &Output,
) {
    let no_book = BTreeMap::new();
    let mut taken = BTreeSet::new();
    for (connection, observation) in &inventory.observations {
        for one in observation.integrations.iter().filter(|one| !one.builtin) {
            let id = IntegrationId::new(connection.clone(), one.kind.clone(), one.key.clone());
            if let Some(of) = governed_elsewhere(realm, one.record.as_ref()) {
                output.line(&comment(&format!(
                    "{id}: installation {of:?} governs it, and an import here would be refused"
                )));
                continue;
            }
            if inventory.ourselves_as(connection, one).is_some() {
                output.line(&comment(&import_of_ourselves(&id)));
                continue;
            }
            if is_managed(realm, one) {
                output.line(&comment(&format!(
                    "{id}: this installation governs it already. Import it only where its state is lost: two \
                     resources would undo each other's work, and to remove either deletes it"
                )));
            }
            let name = unlike(&one.name, &one.kind, &one.vendor_id, &mut taken);
            output.line(&block("nhi_integration", &name, &id.to_string()));
            output.line(&block("nhi_scope", &name, &format!("{id}/scope")));
            let book = books.get(&id.to_string()).unwrap_or(&no_book);
            let Credentials { mut names, nameless, unmarked, foreign } =
                credentials(one, &id.to_string(), realm, slots, book);
            if unmarked.len() == 1 {
                names.insert(unused(&names, &id.to_string(), slots));
            }
            for slot in names {
                let name = if slot == "default" {
                    name.clone()
                } else {
                    unlike(&format!("{name}_{slot}"), &one.kind, &one.vendor_id, &mut taken)
                };
                output.line(&block("nhi_credential", &name, &format!("{id}/credential/{slot}")));
            }
            if unmarked.len() > 1 {
                output.line(&comment(&format!(
                    "{id}: {} credentials bear no mark, and an import takes in the only one: {}. Declare a new \
                     nhi_credential, move what uses these to it, then set revoke_unmanaged = true",
                    unmarked.len(),
                    unmarked.join(", ")
                )));
            }
            for (of, count) in foreign {
                output.line(&comment(&format!(
                    "{id}: {count} credential(s) carry the mark of installation {of:?}, which rotates and ends them"
                )));
            }
            if nameless > 0 {
                output.line(&comment(&format!(
                    "{id}: {nameless} more credential(s), whose names are in the states that declare them"
                )));
            }
        }
        for gap in gaps(observation) {
            output.line(&comment(&format!("not read: {connection}: {gap}")));
        }
    }
    for (name, problem) in &inventory.unreadable {
        output.line(&comment(&format!("not read: {name}: {}", problem.detail)));
    }
}

/// Why the integration that nhi signs in as gets no import blocks.
fn import_of_ourselves(id: &IntegrationId) -> String {
    format!(
        "{id}: nhi itself signs in as this integration. No apply ends it or its credential in use; \
         manage it elsewhere, or give connections.{} a credential of another one first",
        id.connection
    )
}

/// The credentials of an integration, as import blocks have them.
#[derive(Debug, Default, PartialEq)]
struct Credentials {
    names: BTreeSet<String>,
    /// How many more there are whose name nobody here knows: a mark tells a name only to who asks for
    /// it.
    nameless: usize,
    /// Those that bear no mark and are in no book.
    unmarked: Vec<String>,
    /// How many bear another installation's mark, by its id.
    foreign: BTreeMap<String, usize>,
}

fn credentials(
    one: &ObservedIntegration,
    id: &str,
    realm: Option<&Realm>,
    slots: &[Slot],
    book: &BTreeMap<String, String>,
) -> Credentials {
    let known = slots.iter().filter(|slot| slot.integration == id).map(|slot| slot.name.as_str());
    let known: Vec<&str> = known.chain(["default"]).collect();
    let (mut found, mut nameless) = (Credentials::default(), BTreeSet::new());
    for key in one.credentials.iter().flatten().filter(|key| key.live) {
        if let Some(name) = book.get(&key.key_id) {
            found.names.insert(name.clone());
            continue;
        }
        match key.marker.as_deref().and_then(Marker::parse) {
            None => found.unmarked.push(key.key_id.clone()),
            Some(marker) if is_elsewhere(realm, &marker.realm) => {
                *found.foreign.entry(marker.realm).or_default() += 1;
            }
            Some(marker) => {
                let is = |name: &&&str| Marker::slot_of(&one.vendor_id, name) == marker.slot;
                match known.iter().find(is) {
                    Some(name) => drop(found.names.insert((*name).to_owned())),
                    None => drop(nameless.insert(marker.slot)),
                }
            }
        }
    }
    Credentials { nameless: nameless.len(), ..found }
}

/// The name of a new slot: the usual one where it is free.
fn unused(names: &BTreeSet<String>, id: &str, slots: &[Slot]) -> String {
    let taken = |name: &str| {
        names.contains(name) || slots.iter().any(|slot| slot.integration == id && slot.name == name)
    };
    let numbered = (2..).map(|number| format!("adopted-{number}"));
    let names = ["default".to_owned(), "adopted".to_owned()].into_iter().chain(numbered);
    names.into_iter().find(|name| !taken(name)).unwrap_or_default()
}

fn block(resource: &str, name: &str, id: &str) -> String {
    format!("import {{\n  to = {resource}.{name}\n  id = {}\n}}\n", quoted(id))
}

#[cfg(test)]
mod tests {
    use connector::Ourselves;
    use domain::{LastUsed, ObservedCredential, Record, Settings};

    use super::*;

    fn key() -> ObservedCredential {
        ObservedCredential {
            key_id: "a".into(),
            credential_type: "openbao_secret_id".into(),
            marker: None,
            issued_at: None,
            expires_at: None,
            last_used: LastUsed::Unknown,
            live: true,
            disabled: false,
            settings: Settings::default(),
        }
    }

    fn integration() -> ObservedIntegration {
        ObservedIntegration {
            kind: "openbao_approle".into(),
            key: "x".into(),
            vendor_id: "v".into(),
            name: "x".into(),
            settings: Settings::default(),
            record: None,
            parked: false,
            scopes: BTreeSet::new(),
            enabled: true,
            contacts: None,
            builtin: false,
            credentials: None,
            gaps: Vec::new(),
        }
    }

    #[test]
    fn what_nhi_itself_signs_in_with_is_marked_wherever_it_is_listed() {
        let key = |id: &str| ObservedCredential { key_id: id.into(), ..key() };
        let ops =
            ObservedIntegration { credentials: Some(vec![key("a"), key("b")]), ..integration() };
        let other = ObservedIntegration { key: "other".into(), ..ops.clone() };
        let seen = Observation {
            tenant: "t".into(),
            requested_at: jiff::Timestamp::UNIX_EPOCH,
            integrations: vec![ops, other],
            gaps: Vec::new(),
        };
        let ourselves =
            Ourselves { kind: "openbao_approle".into(), key: "x".into(), key_id: Some("b".into()) };
        let inventory = Inventory {
            observations: [("bao".to_owned(), seen)].into(),
            ourselves: [("bao".to_owned(), ourselves)].into(),
            ..Inventory::default()
        };
        let said = report(&inventory, None, &Ok(Vec::new()), Exit::Clean);
        let of = |at: usize| {
            let one = &said["integrations"][at];
            let keys = one["credentials"].as_array().unwrap().iter();
            let keys: Vec<&Value> = keys.map(|key| &key["ourselves"]).collect();
            (one["ourselves"] == true, keys == [&json!(false), &json!(true)], keys.len())
        };
        assert_eq!(of(0), (true, true, 2), "{said}");
        assert_eq!(of(1), (false, false, 2), "{said}");
        let id: IntegrationId = "bao/openbao_approle/x".parse().unwrap();
        let told = comment(&import_of_ourselves(&id));
        assert!(told.starts_with("# bao/openbao_approle/x: nhi itself"), "{told}");
    }

    #[test]
    fn what_another_installation_governs_is_told_from_what_nobody_does() {
        let of = |realm: &str| Some(Record { realm: Some(realm.into()), ..Record::default() });
        let records = [None, of("k3x9q2"), of("zzzzzz")];
        let seen = Observation {
            tenant: "t".into(),
            requested_at: jiff::Timestamp::UNIX_EPOCH,
            integrations: records
                .map(|record| ObservedIntegration { record, ..integration() })
                .into(),
            gaps: Vec::new(),
        };
        let observations = [("bao".to_owned(), seen)].into();
        let inventory = Inventory { observations, ..Inventory::default() };
        let here = Realm { id: "k3x9q2".into(), key: None };
        let said = report(&inventory, Some(&here), &Ok(Vec::new()), Exit::Clean);
        let sides = |at: usize| {
            let one = &said["integrations"][at];
            (one["managed"].clone(), one["foreign"].clone(), one["installation"].clone())
        };
        assert_eq!(sides(0), (json!(false), json!(false), Value::Null));
        assert_eq!(sides(1), (json!(true), json!(false), json!("k3x9q2")));
        assert_eq!(sides(2), (json!(false), json!(true), json!("zzzzzz")));
    }

    #[test]
    fn the_only_key_without_a_mark_gets_a_slot_that_is_free_and_of_several_none_is_guessed() {
        let key = |id: &str| ObservedCredential { key_id: id.into(), ..key() };
        let one =
            ObservedIntegration { credentials: Some(vec![key("a"), key("b")]), ..integration() };
        let here = Realm { id: "k3x9q2".into(), key: None };
        let id = "bao/openbao_approle/x";
        let no_book = BTreeMap::new();
        let found = credentials(&one, id, Some(&here), &[], &no_book);
        let unmarked = vec!["a".to_owned(), "b".to_owned()];
        assert_eq!(found, Credentials { unmarked, ..Credentials::default() });
        // One that was taken in before bears no mark either, and is in the books.
        let book = BTreeMap::from([("a".to_owned(), "default".to_owned())]);
        let found = credentials(&one, id, Some(&here), &[], &book);
        let names = BTreeSet::from(["default".to_owned()]);
        assert_eq!(unused(&found.names, id, &[]), "adopted");
        let unmarked = vec!["b".to_owned()];
        assert_eq!(found, Credentials { names, unmarked, ..Credentials::default() });
        assert_eq!(unused(&BTreeSet::new(), id, &[]), "default");
        let marked = |mark: &str| ObservedCredential { marker: Some(mark.into()), ..key("c") };
        let theirs = marked("nhi1-zzzzzz-abcdefgh-g1-e1-mabcdefghijklm");
        let shared = ObservedIntegration { credentials: Some(vec![theirs]), ..one.clone() };
        let found = credentials(&shared, id, Some(&here), &[], &no_book);
        let foreign = BTreeMap::from([("zzzzzz".to_owned(), 1)]);
        assert_eq!(found, Credentials { foreign, ..Credentials::default() });
        let record = |realm: &str| Record { realm: Some(realm.into()), ..Record::default() };
        let of = |realm| ObservedIntegration { record: Some(record(realm)), ..one.clone() };
        assert!(is_managed(Some(&here), &of("k3x9q2")));
        assert!(!is_managed(Some(&here), &of("zzzzzz")), "another realm's is somebody else's");
    }

    #[test]
    fn a_scan_that_was_refused_everywhere_read_nothing() {
        let seen = |extents: &[GapExtent]| Observation {
            tenant: "t".into(),
            requested_at: jiff::Timestamp::UNIX_EPOCH,
            integrations: Vec::new(),
            gaps: extents
                .iter()
                .map(|extent| Gap { extent: extent.clone(), cause: "status 403".into() })
                .collect(),
        };
        let inventory = |all: &[Observation]| Inventory {
            observations: all
                .iter()
                .enumerate()
                .map(|(at, one)| (at.to_string(), one.clone()))
                .collect(),
            ..Inventory::default()
        };
        let dark = seen(&[GapExtent::Page("auth/approle/role".into())]);
        let unlistable = seen(&[GapExtent::Unlistable]);
        assert!(nothing_read(&inventory(&[dark.clone(), dark.clone()])));
        assert!(!nothing_read(&inventory(&[dark, seen(&[])])), "the other one is read and empty");
        assert!(!nothing_read(&inventory(&[unlistable])), "nothing was refused");
        assert!(nothing_read(&inventory(&[])), "of nothing that answered");
    }

    #[test]
    fn a_vendor_s_name_cannot_break_out_of_an_import_block() {
        let text = block("nhi_integration", "x", "a\"\n}\n${b}");
        let body: hcl_edit::structure::Body = text.parse().unwrap();
        assert_eq!(body.iter().count(), 1, "{text}");
        let text = comment("x\n} resource\r\u{2028}");
        assert!(text.starts_with("# ") && text.lines().count() == 1, "{text}");
    }
}
