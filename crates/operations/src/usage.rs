//! What logs tell of the use of credentials and scopes, kept beside what is known of each integration.
//!
//! It stands in the ledger as a facet of what was applied, with an entry for each import: who imported
//! what. Only declared scopes are kept, and the ids of credentials; no path, no address, no person.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use connector::{LogLine, LogUse};
use domain::{IntegrationId, Marker, Scope};
use jiff::{SignedDuration, Timestamp};
use ledger::{Change, Selection};
use policy::{
    scopes::Lattice as _,
    usage::{Log, ScopeUse, Usage},
};
use serde_json::{Map, Value, json};

use crate::{
    Context, KindLattice, Problem, declared_in_ledger, drift::WishedScopes, journal::moment,
    prints::delivered_before,
};

/// The facet.
const FACET: &str = "usage";
/// Of how many different needs of one integration it is remembered which scopes give them.
const REMEMBERED: usize = 10_000;
/// A clock that is ahead by less is none that lies.
const SLACK: SignedDuration = SignedDuration::from_mins(5);
/// How long the name of a log may be.
const NAME_MOST: usize = 60;

/// A use, as a line in our own form says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UseLine {
    /// When.
    pub at: Timestamp,
    /// The integration.
    pub integration: String,
    /// The platform's id of the credential, where it is known.
    pub key: Option<String>,
    /// The scope that it needed, where it is known.
    pub scope: Option<String>,
}

/// A line of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// In our own form.
    Use(UseLine),
    /// As a platform writes it.
    Platform(LogLine),
}

/// What an import came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImportedUsage {
    /// How many lines there were.
    pub lines: u64,
    /// How many of them tell of a use of something that is known.
    pub uses: u64,
    /// How many tell of a use by whom the ledger does not know.
    pub unknown: u64,
    /// How many bear a mark that was not made here, or is a copy.
    pub foreign: u64,
    /// How many could not be read.
    pub unreadable: u64,
    /// What the log shows: from when until when.
    pub from: Option<Timestamp>,
    /// Until when.
    pub to: Option<Timestamp>,
    /// What is known by now, by integration.
    pub known: BTreeMap<String, Usage>,
}

/// Reads what is kept of an integration.
pub(crate) async fn usage_of(context: &Context, integration: &str) -> Usage {
    read_usage_of(context, integration).await.unwrap_or_else(|error| {
        tracing::warn!(%error, "what logs told is not known");
        Usage::default()
    })
}

/// The same, for whoever ends something by it.
///
/// # Errors
///
/// The ledger cannot be read.
pub(crate) async fn read_usage_of(context: &Context, integration: &str) -> Result<Usage, Problem> {
    if !context.ledger.keeps() {
        return Ok(Usage::default());
    }
    let rows = context.ledger.integrations(&Selection::of(integration)).await?;
    let kept = rows.first().and_then(|row| row.applied.as_ref()?.value.get(FACET));
    Ok(kept.map(read).unwrap_or_default())
}

/// What is known of the use of everything, by integration.
///
/// # Errors
///
/// The ledger cannot be read.
pub async fn all_usage(context: &Context) -> Result<BTreeMap<String, Usage>, Problem> {
    let rows = context.ledger.integrations(&Selection::all()).await?;
    let known = rows.into_iter().filter_map(|row| {
        let usage = read(row.applied.as_ref()?.value.get(FACET)?);
        Some((row.id, usage))
    });
    Ok(known.collect())
}

fn at(value: Option<&Value>) -> Option<Timestamp> {
    Timestamp::from_millisecond(value?.as_i64()?).ok()
}

fn read(facet: &Value) -> Usage {
    let logs = facet.as_object().into_iter().flatten().filter_map(|(name, log)| {
        let members = |name: &str| log.get(name).and_then(Value::as_object).into_iter().flatten();
        let keys = members("keys").filter_map(|(key, last)| Some((key.clone(), at(Some(last))?)));
        let scopes = members("scopes").filter_map(|(scope, of)| {
            let since = at(of.get("since"))?;
            Some((scope.clone(), ScopeUse { since, last: at(of.get("last")) }))
        });
        let (keys, scopes) = (keys.collect(), scopes.collect());
        let (from, to) = (at(log.get("from"))?, at(log.get("to"))?);
        Some((name.clone(), Log { from, to, keys, scopes }))
    });
    Usage { logs: logs.collect() }
}

fn written(usage: &Usage) -> Value {
    let ms = |at: Timestamp| at.as_millisecond();
    let log = |log: &Log| {
        let keys: Map<String, Value> =
            log.keys.iter().map(|(key, at)| (key.clone(), ms(*at).into())).collect();
        let scopes: Map<String, Value> = log
            .scopes
            .iter()
            .map(|(scope, of)| {
                (scope.clone(), json!({ "since": ms(of.since), "last": of.last.map(ms) }))
            })
            .collect();
        json!({ "from": ms(log.from), "to": ms(log.to), "keys": keys, "scopes": scopes })
    };
    usage.logs.iter().map(|(name, one)| (name.clone(), log(one))).collect::<Map<_, _>>().into()
}

/// What the ledger knows of an integration that a log may speak of.
struct Known {
    vendor_id: Option<String>,
    lattice: Option<KindLattice>,
    /// Declared scopes, each with what it means.
    scopes: Vec<(String, Vec<Scope>)>,
    /// The platform's ids of its credentials: what else a line names may be anything, a secret among it.
    keys: BTreeSet<String>,
    log: Log,
    uses: u64,
    /// The log tells what was used.
    tells: bool,
    /// There are uses that may be its own: what it did not use is not known.
    unclear: bool,
    /// Which declared scopes give what was needed, as far as it was asked.
    needed: HashMap<String, Vec<String>>,
}

/// Whom a mark in a log names: by a slot's eight characters its integration, and by generation its key.
type Marks = BTreeMap<String, (String, BTreeMap<u64, String>)>;

/// Takes in a log: what is known of the use of each integration from then on. `name`: what the log is
/// called, so that its parts are put together. `connection`: whose own log it is, where it is a platform's.
///
/// A platform's log names a credential by the mark that nhi left on it, which was made here and for that
/// integration; where it bears none, by the integration's name alone, where only one has it.
///
/// # Errors
///
/// It cannot be written down.
pub async fn import_usage(
    context: &Context,
    name: &str,
    connection: Option<&str>,
    lines: impl IntoIterator<Item = Option<Line>>,
) -> Result<ImportedUsage, Problem> {
    let fine = |one: u8| one.is_ascii_alphanumeric() || b"-_.".contains(&one);
    if name.is_empty() || name.len() > NAME_MOST || !name.bytes().all(fine) {
        return Err(Problem::new("E-USAGE", "This log cannot be taken")
            .detail(format!("its name must be 1 to {NAME_MOST} letters, digits or one of - _ ."))
            .next("name it with --source, the same for all parts of it"));
    }
    if !context.ledger.keeps() {
        return Err(Problem::new("E-USAGE", "This log cannot be taken")
            .detail(format!("{}: what it tells is kept in the ledger.", context.ledger.place()))
            .next("take ledger = { none = true } out of nhi.hcl"));
    }
    let now = context.now();
    let mut known = known(context, connection, now).await?;
    let marks = marks(context, &known).await?;
    let tenant = match connection {
        Some(connection) => Some(context.tenant(connection).await?),
        None => None,
    };
    let mut imported = ImportedUsage::default();
    for line in lines {
        imported.lines += 1;
        let Some(line) = line else {
            imported.unreadable += 1;
            continue;
        };
        let at = match &line {
            Line::Use(line) => Some(line.at),
            Line::Platform(LogLine::Use(line)) => Some(line.at),
            Line::Platform(LogLine::Other(at)) => *at,
        };
        // It would say that what is to come is over, and that nothing was used in it.
        if at.is_some_and(|at| at.duration_since(context.now()) > SLACK) {
            imported.unreadable += 1;
            continue;
        }
        imported.from = [imported.from, at].into_iter().flatten().min();
        imported.to = [imported.to, at].into_iter().flatten().max();
        match line {
            Line::Platform(LogLine::Other(_)) => {}
            Line::Use(line) => match known.get_mut(&line.integration) {
                Some(of) => {
                    let key = line.key.as_deref().filter(|key| of.keys.contains(*key));
                    let key = key.map(str::to_owned);
                    of.used(line.at, key.as_deref(), line.scope.as_slice());
                    imported.uses += 1;
                }
                None => imported.unknown += 1,
            },
            Line::Platform(LogLine::Use(line)) => {
                let tenant = tenant.as_deref().unwrap_or_default();
                match attributed(context, &known, &marks, tenant, &line) {
                    Whose::Known(id, key) => {
                        if let Some(of) = known.get_mut(&id) {
                            of.used(line.at, key.as_deref(), &line.scopes);
                            imported.uses += 1;
                        }
                    }
                    Whose::OneOf(all) => {
                        imported.unknown += 1;
                        for id in all {
                            if let Some(of) = known.get_mut(&id) {
                                of.unclear = true;
                            }
                        }
                    }
                    Whose::Foreign => imported.foreign += 1,
                    Whose::Unknown => imported.unknown += 1,
                }
            }
        }
    }
    let (Some(from), Some(to)) = (imported.from, imported.to) else { return Ok(imported) };
    let mut entries = Vec::new();
    for (id, mut of) in known {
        let mut usage = usage_of(context, &id).await;
        let heard = usage.logs.contains_key(name);
        if of.uses == 0 && !heard && connection.is_none() {
            continue;
        }
        let unclear = of.unclear || imported.unreadable > 0;
        (of.log.from, of.log.to) = (from, to);
        if !of.tells && (of.uses > 0 || !heard) {
            of.log.scopes.clear();
        }
        match usage.logs.get_mut(name) {
            Some(log) => {
                // What is declared no more needs no row; nor is anything known where a log tells of uses
                // and not of what.
                log.scopes.retain(|scope, _| of.log.scopes.contains_key(scope));
                log.take(&of.log);
            }
            None => drop(usage.logs.insert(name.to_owned(), of.log)),
        }
        // What could not be read, or attributed, may have been any use: until then nothing was unused.
        if unclear && let Some(log) = usage.logs.get_mut(name) {
            log.scopes.values_mut().for_each(|of| of.since = of.since.max(to));
        }
        let entry = context
            .entry("usage.imported", &id)
            .detail("source", name)
            .detail("uses", of.uses)
            .detail("from", moment(from))
            .detail("to", moment(to))
            .change(Change::Applied {
                integration: id.clone(),
                facet: FACET.to_owned(),
                document: Some(written(&usage)),
            });
        entries.push(entry);
        imported.known.insert(id, usage);
    }
    if !context.read_only && !entries.is_empty() {
        context.journal_all(entries).await?;
    }
    Ok(imported)
}

impl Known {
    fn used(&mut self, at: Timestamp, key: Option<&str>, scopes: &[String]) {
        self.uses += 1;
        self.tells |= !scopes.is_empty();
        if let Some(key) = key {
            let last = self.log.keys.entry(key.to_owned()).or_insert(at);
            *last = (*last).max(at);
        }
        for text in scopes {
            if !self.needed.contains_key(text) {
                if self.needed.len() >= REMEMBERED {
                    self.needed.clear();
                }
                self.needed.insert(text.clone(), self.given_by(text));
            }
            for declared in &self.needed[text] {
                if let Some(of) = self.log.scopes.get_mut(declared) {
                    of.last = of.last.max(Some(at));
                }
            }
        }
    }

    /// The declared scopes any of which gives this one.
    fn given_by(&self, text: &str) -> Vec<String> {
        let used = self.lattice.as_ref().and_then(|lattice| lattice.parse(text));
        let gives = |lattice: &KindLattice, means: &[Scope], used: &Scope| {
            let beside = BTreeSet::from([used.clone()]);
            means.iter().any(|one| {
                let alone = BTreeSet::from([one.clone()]);
                lattice.implies(one, used) || lattice.covers(&alone, used, &beside)
            })
        };
        let all = self.scopes.iter().filter(|(declared, means)| {
            declared == text
                || used.as_ref().zip(self.lattice.as_ref()).is_some_and(|(used, lattice)| {
                    used.iter().any(|used| gives(lattice, means, used))
                })
        });
        all.map(|(declared, _)| declared.clone()).collect()
    }
}

/// What is declared, as far as the ledger knows: all, or of one connection.
async fn known(
    context: &Context,
    connection: Option<&str>,
    now: Timestamp,
) -> Result<BTreeMap<String, Known>, Problem> {
    let wishes = declared_in_ledger(&*context.ledger).await?;
    let mut keys: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for row in context.ledger.credentials(&Selection::all()).await? {
        keys.entry(row.integration).or_default().insert(row.vendor_id);
    }
    for row in context.ledger.slots(&Selection::all()).await? {
        keys.entry(row.integration).or_default().extend(row.current);
    }
    let mut all = BTreeMap::new();
    for (id, wish) in wishes.integrations {
        let Ok(integration) = id.parse::<IntegrationId>() else { continue };
        if connection.is_some_and(|connection| connection != integration.connection) {
            continue;
        }
        let platform = context.connections.platform(&integration.connection).ok();
        let lattice = platform.and_then(|platform| {
            let kind = platform.kinds().iter().find(|kind| kind.name == integration.kind)?;
            Some(KindLattice { platform, kind: kind.name })
        });
        let scopes = declared_scopes(wish.scopes.as_ref());
        let scopes: Vec<(String, Vec<Scope>)> = scopes
            .into_iter()
            .filter_map(|text| {
                let means = lattice.as_ref()?.parse(&text)?;
                Some((text, means))
            })
            .collect();
        let shown = |means: &[Scope]| {
            let shows = |lattice: &KindLattice, one: &Scope| {
                lattice.platform.is_shown_in_logs(lattice.kind, one)
            };
            lattice.as_ref().is_some_and(|lattice| means.iter().all(|one| shows(lattice, one)))
        };
        let rows = scopes.iter().filter(|(_, means)| shown(means)).map(|(text, _)| {
            // Since when it was given is not known: nothing is concluded for as long from now.
            (text.clone(), ScopeUse { since: now, last: None })
        });
        let log = Log { from: now, to: now, keys: BTreeMap::new(), scopes: rows.collect() };
        let vendor_id = wish.vendor_id;
        // A platform's own log tells of everything that it has.
        let tells = connection.is_some();
        let of = Known {
            vendor_id,
            lattice,
            scopes,
            keys: keys.remove(&id).unwrap_or_default(),
            log,
            uses: 0,
            tells,
            unclear: false,
            needed: HashMap::new(),
        };
        all.insert(id, of);
    }
    Ok(all)
}

fn declared_scopes(scopes: Option<&WishedScopes>) -> BTreeSet<String> {
    let of = |scopes: &WishedScopes| {
        scopes.standing.iter().chain(scopes.temporary.keys()).cloned().collect()
    };
    scopes.map(of).unwrap_or_default()
}

async fn marks(context: &Context, known: &BTreeMap<String, Known>) -> Result<Marks, Problem> {
    let mut marks = Marks::new();
    let mut earlier = delivered_before(context).await?;
    for slot in context.ledger.slots(&Selection::all()).await? {
        let Some(of) = known.get(&slot.integration) else { continue };
        let Some(vendor_id) = &of.vendor_id else { continue };
        let id = format!("{}/credential/{}", slot.integration, slot.name);
        let before = earlier.remove(&id).into_iter().flatten();
        let mut keys: BTreeMap<u64, String> =
            before.map(|(key_id, generation, _)| (generation, key_id)).collect();
        keys.extend(slot.current.map(|key_id| (slot.generation, key_id)));
        marks.insert(Marker::slot_of(vendor_id, &slot.name), (slot.integration, keys));
    }
    Ok(marks)
}

enum Whose {
    Known(String, Option<String>),
    /// All of them bear the name.
    OneOf(Vec<String>),
    Foreign,
    Unknown,
}

fn attributed(
    context: &Context,
    known: &BTreeMap<String, Known>,
    marks: &Marks,
    tenant: &str,
    line: &LogUse,
) -> Whose {
    if let Some(mark) = line.mark.as_deref() {
        let Some(mark) = Marker::parse(mark) else { return Whose::Foreign };
        let Some((id, keys)) = marks.get(&mark.slot) else { return Whose::Unknown };
        let vendor_id = known.get(id).and_then(|of| of.vendor_id.as_deref()).unwrap_or_default();
        let key = context.realm.as_deref().and_then(|realm| realm.key.as_ref());
        if !key.is_some_and(|key| mark.is_genuine(key, tenant, vendor_id)) {
            return Whose::Foreign;
        }
        return Whose::Known(id.clone(), keys.get(&mark.generation).cloned());
    }
    let Some(name) = line.name.as_deref() else { return Whose::Unknown };
    let named = known.keys().filter(|id| {
        let key = id.parse::<IntegrationId>().map(|id| id.key).unwrap_or_default();
        key == name || key.rsplit('/').next() == Some(name)
    });
    let mut named: Vec<String> = named.cloned().collect();
    match (named.pop(), named.is_empty()) {
        (Some(id), true) => Whose::Known(id, None),
        (Some(id), false) => {
            named.push(id);
            Whose::OneOf(named)
        }
        (None, _) => Whose::Unknown,
    }
}
