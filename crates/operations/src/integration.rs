//! Making, changing and ending an integration.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use connector::{
    Change, Children, Connector, Ended, Kind, NewIntegration, ObjectRef, Outcome, Refusal, Want,
};
use domain::{
    Direction, IntegrationId, ObservedCredential, ObservedIntegration, OwnerRef, Record, Settings,
    Span, Ties,
};
use ledger::{Change as Row, Work};
use policy::proof::{Grade, Shown, grade};
use serde_json::json;

use crate::{
    Context, Deed, How, Problem, Revoked,
    decommission::{not_in_service, not_stopped},
    elsewhere::{governed_elsewhere, governed_here, import_of, owner_words},
    observe::{credentials_seen, object_of, unmanaged_now},
    ourselves::{not_our_key, not_ourselves},
    proof::{Listed, children_words, from_words, listed},
    realm_key,
    scopes::record_turn,
};

/// An integration as it is declared.
#[derive(Debug, Clone)]
pub struct DeclaredIntegration {
    /// The connection's name.
    pub connection: String,
    /// The kind.
    pub kind: &'static Kind,
    /// The name people know it by.
    pub name: String,
    /// Settings, complete with defaults.
    pub settings: Settings,
    /// The governance fields.
    pub record: Record,
    /// Whether the platform's own switch is to be on.
    pub enabled: bool,
    /// Whether credentials that nobody declared are to be ended.
    pub revoke_unmanaged: bool,
    /// What it has to do with besides its platform.
    pub ties: Ties,
}

/// Settings as the ledger keeps them.
pub(crate) fn settings_json(settings: &Settings) -> serde_json::Value {
    use domain::Setting::{Count, Flag, Text, Texts};
    settings
        .0
        .iter()
        .map(|(name, value)| {
            let value = match value {
                Text(text) => json!(text),
                Flag(flag) => json!(flag),
                Count(count) => json!(count),
                Texts(texts) => json!(texts),
            };
            (name.clone(), value)
        })
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// Members of a record that governance compares. Addresses stay out: entries are kept for ever, and
/// a person may ask to be erased.
pub(crate) fn record_json(record: &Record) -> serde_json::Value {
    let by_id = |owner: &Option<OwnerRef>| {
        owner.as_ref().map(|owner| OwnerRef { id: owner.id.clone(), email: None })
    };
    let plain = Record {
        business_owner: by_id(&record.business_owner),
        technical_owner: by_id(&record.technical_owner),
        realm: None,
        realm_key: None,
        governed_since: None,
        unfinished: false,
        finished_by: None,
        adopted: Default::default(),
        elevated: Default::default(),
        platform: Default::default(),
        ..record.clone()
    };
    serde_json::from_str(&plain.to_json()).unwrap_or_default()
}

/// The member of the `enabled` facet that says that what nobody declared is to be ended.
pub(crate) const REVOKES: &str = "revoke_unmanaged";

/// The facet of what an integration has to do with besides its platform.
pub(crate) const TIES: &str = "ties";

/// What leave to change an integration is bound to.
fn canonical(settings: &Settings, record: &Record, enabled: bool) -> String {
    let (settings, record) = (settings_json(settings), record_json(record));
    json!({ "settings": settings, "record": record, "enabled": enabled }).to_string()
}

fn declared_rows(
    id: &str,
    tenant: &str,
    vendor_id: &str,
    declared: &DeclaredIntegration,
) -> Vec<Row> {
    let facet = |facet: &str, document: serde_json::Value| {
        [
            Row::Declared {
                integration: id.to_owned(),
                facet: facet.to_owned(),
                document: Some(document.clone()),
            },
            Row::Applied {
                integration: id.to_owned(),
                facet: facet.to_owned(),
                document: Some(document),
            },
        ]
    };
    let mut rows = vec![Row::Integration {
        integration: id.to_owned(),
        tenant: tenant.to_owned(),
        origin: ledger::inventory::Origin::Declared,
    }];
    rows.push(Row::Applied {
        integration: id.to_owned(),
        facet: "object".to_owned(),
        document: Some(json!({ "vendor_id": vendor_id })),
    });
    rows.extend(facet("settings", settings_json(&declared.settings)));
    rows.extend(facet("record", record_json(&declared.record)));
    let mut enabled = json!({ "enabled": declared.enabled });
    if declared.revoke_unmanaged {
        enabled[REVOKES] = json!(true);
    }
    rows.extend(facet("enabled", enabled));
    // No platform has them: there is nothing that they could be applied to.
    rows.push(Row::Declared {
        integration: id.to_owned(),
        facet: TIES.to_owned(),
        document: (!declared.ties.is_empty()).then(|| declared.ties.to_json()),
    });
    rows
}

/// Makes an integration, parked: no scope, and no way to get a token.
///
/// # Errors
///
/// `E-EXISTS` if one of that name is there and was not left unfinished by a create of ours. After
/// any error nothing is in state, and the next create goes on from what is there.
pub async fn create_integration(
    context: &Context,
    declared: &DeclaredIntegration,
) -> Result<ObservedIntegration, Problem> {
    let DeclaredIntegration { connection, kind, name, settings, record, .. } = declared;
    context.ready(Work::Begins).await?;
    let tenant = context.tenant(connection).await?;
    let connector = context.connector(connection).await?;
    let id = IntegrationId::new(connection.clone(), kind.name, name.clone());
    let what = id.to_string();
    let deed = Deed {
        object: what.clone(),
        tenant: tenant.clone(),
        action: "create",
        before: String::new(),
        after: settings_json(settings).to_string(),
        direction: Direction::Widens,
    };
    let leave = context.gate.authorize(&deed)?;
    let realm = context.realm.as_ref().map(|realm| realm.id.clone());
    // Switched off by a call of its own: until that is done as well, the next create goes on.
    let unfinished = !declared.enabled;
    let record = Record {
        realm,
        realm_key: realm_key::id(context),
        governed_since: Some(today(context)),
        unfinished,
        finished_by: (!unfinished).then(|| context.run.id.clone()),
        ..record.clone()
    };
    let new = NewIntegration {
        kind: kind.name.to_owned(),
        name: name.clone(),
        settings: settings.clone(),
        record,
    };
    let made = context
        .attempt(&what, "create", leave.auth(), async {
            let error = match connector.create(&new).await {
                Ok(made) => return Ok(made),
                Err(error) if error.refusal() == Some(Refusal::Conflict) => error,
                Err(error) => return Err(Problem::not_done(&what, "create", &error)),
            };
            let key = match error {
                // Known by another key than the name that it was to be made under.
                connector::Error::Exists { key, .. } => key,
                _ => name.clone(),
            };
            let id = IntegrationId::new(connection.clone(), kind.name, key);
            let want = Want { credentials: false, ..Want::DEED };
            let there = connector
                .read(&object_of(&id, Some(name), None), want)
                .await
                .map_err(|error| Problem::unreadable(&id.to_string(), &error))?;
            let taken = match &there {
                Some(there) => {
                    take_up(context, &*connector, &what, &id, there, declared, &new.record).await?
                }
                None => None,
            };
            let record = there.as_ref().and_then(|there| there.record.as_ref());
            taken.ok_or_else(|| exists(context, &id, record))
        })
        .await?;
    let id = IntegrationId::new(connection.clone(), kind.name, made.key.clone()).to_string();
    // One that was taken up is finished already.
    let finished = made.record.as_ref().is_some_and(|record| !record.unfinished);
    let made = if declared.enabled || finished {
        made
    } else {
        let object = object_of(
            &IntegrationId::new(connection.clone(), kind.name, made.key.clone()),
            Some(name),
            Some(&made.vendor_id),
        );
        let change = Change { enabled: Some(false), ..Change::default() };
        let made = context
            .attempt(&id, "disable", leave.auth(), async {
                connector
                    .modify(&object, &change)
                    .await
                    .map_err(|error| Problem::not_done(&id, "disable", &error))
            })
            .await?;
        match made.record.clone() {
            Some(record) => {
                let finished_by = Some(context.run.id.clone());
                let record = Record { unfinished: false, finished_by, ..record };
                finish_record(context, &*connector, &object, &id, leave.auth(), record).await?
            }
            None => made,
        }
    };
    let mut entry = context.entry("declared", &id);
    entry.digest_after = Some(deed.digest());
    entry.auth = Some(leave.auth().to_owned());
    for row in declared_rows(&id, &tenant, &made.vendor_id, declared) {
        entry = entry.change(row);
    }
    context.note(entry).await;
    Ok(made)
}

/// The integration that a create of ours finished in a run that died before anybody heard of it, if
/// it is just what is declared: it is in no state, and nobody else has it.
async fn take_up(
    context: &Context,
    connector: &dyn Connector,
    asked: &str,
    id: &IntegrationId,
    found: &ObservedIntegration,
    declared: &DeclaredIntegration,
    wanted: &Record,
) -> Result<Option<ObservedIntegration>, Problem> {
    let what = id.to_string();
    let Some(have) = found.record.clone().filter(|have| have.realm.is_some()) else {
        return Ok(None);
    };
    let same = have.realm == wanted.realm
        && record_json(&have) == record_json(wanted)
        && declared
            .settings
            .0
            .iter()
            .all(|(name, value)| found.settings.0.get(name) == Some(value))
        && found.enabled == declared.enabled
        && found.scopes.is_empty()
        && !have.scopes_governed;
    if !same {
        return Ok(None);
    }
    let died = context.died_finishing(&[asked, &what], have.finished_by.as_deref()).await;
    if !died.takes_up(&what, "name")? {
        return Ok(None);
    }
    // From here on it is this run's, and no third one takes it up.
    let object = object_of(id, Some(&declared.name), Some(&found.vendor_id));
    let record = Record { finished_by: Some(context.run.id.clone()), ..have };
    let change = Change { record: Some(record), ..Change::default() };
    let taken = connector.modify(&object, &change).await;
    taken.map(Some).map_err(|error| Problem::not_done(&what, "take it up", &error))
}

/// The last write of a create, in a call of its own: a platform may write the record before the rest
/// of a change. Its answer can be lost; then a look tells whether it was done.
pub(crate) async fn finish_record(
    context: &Context,
    connector: &dyn Connector,
    object: &ObjectRef,
    what: &str,
    auth: &str,
    record: Record,
) -> Result<ObservedIntegration, Problem> {
    let says = |record: &Record| (record.unfinished, record.scopes_governed);
    let wanted = says(&record);
    let change = Change { record: Some(record), ..Change::default() };
    let want = Want { credentials: false, ..Want::DEED };
    context
        .attempt(what, "finish", auth, async {
            let error = match connector.modify(object, &change).await {
                Ok(now) => return Ok(now),
                Err(error) => error,
            };
            if error.outcome() == Outcome::Ambiguous
                && let Ok(Some(now)) = connector.read(object, want).await
                && now.record.as_ref().map(says) == Some(wanted)
            {
                return Ok(now);
            }
            Err(Problem::not_done(what, "write that it is done", &error))
        })
        .await
}

/// What a change of this direction is to the ledger.
pub(crate) fn work(direction: Direction) -> Work {
    if direction.may_widen() { Work::Begins } else { Work::Ends }
}

fn today(context: &Context) -> String {
    context.now().strftime("%Y-%m-%d").to_string()
}

/// Whose the one is that stands in the way, as far as its record tells.
fn exists(context: &Context, id: &IntegrationId, record: Option<&Record>) -> Problem {
    let owner = owner_words(record);
    let elsewhere = governed_elsewhere(context.realm.as_deref(), record);
    let whose = match (elsewhere, record) {
        (Some(of), _) => {
            format!("Installation {of:?} governs it{owner}, so it is not for this one")
        }
        (None, Some(Record { realm: Some(_), .. })) => {
            format!(
                "This installation governs it already{owner}: by another resource of this \
                 configuration, in another state, or in a lost one"
            )
        }
        (None, Some(_)) => format!("Its record says who answers for it{owner}"),
        (None, None) => "It has no record that says whose it is".to_owned(),
    };
    Problem::new("E-EXISTS", "There is one of that name already")
        .detail(format!(
            "{id} exists on connection {:?} and no create of ours left it unfinished. {whose}.",
            id.connection
        ))
        .next(match elsewhere {
            Some(of) => format!(
                "choose another name, or change it in the configuration whose nhi.hcl says realm = \
                 {{ id = {of:?} }}"
            ),
            None => format!(
                "{}\n      Where a resource of this configuration has it: give one of the two another \
                 name, or remove it.",
                import_of("nhi_integration", &id.to_string())
            ),
        })
        .at(&["name"])
}

/// Which way a declaration goes from what is there, as far as both say something: what somebody took away by
/// hand would be given back.
fn from_live(declared: &DeclaredIntegration, found: &ObservedIntegration) -> Direction {
    let fields: Vec<connector::Field> = declared
        .kind
        .fields
        .iter()
        .filter(|field| {
            declared.settings.0.contains_key(field.name)
                && found.settings.0.contains_key(field.name)
        })
        .copied()
        .collect();
    let way = policy::settings::direction(&fields, &found.settings, &declared.settings);
    match declared.enabled && !found.enabled {
        true => way.and(Direction::Widens),
        false => way,
    }
}

/// Brings settings, record and switch of an integration to what is declared.
///
/// # Errors
///
/// What the platform said, and what is then true is for the next Read to see.
pub async fn update_integration(
    context: &Context,
    id: &IntegrationId,
    vendor_id: &str,
    declared: &DeclaredIntegration,
    direction: Direction,
) -> Result<ObservedIntegration, Problem> {
    context.ready(work(direction)).await?;
    let tenant = context.tenant(&id.connection).await?;
    let connector = context.connector(&id.connection).await?;
    let what = id.to_string();
    let object = object_of(id, Some(&declared.name), Some(vendor_id));
    let _turn = context.turns.take(&record_turn(id)).await;
    let found = connector
        .read(&object, Want { credentials: false, ..Want::DEED })
        .await
        .map_err(|error| Problem::unreadable(&what, &error))?;
    let record = found.as_ref().and_then(|found| found.record.as_ref());
    governed_here(context, id, record, []).await?;
    if !declared.enabled && found.as_ref().is_some_and(|found| found.enabled) {
        not_ourselves(context, id).await?;
    }
    // The plan may have been made while it was in service.
    let is_off = found.as_ref().is_some_and(|found| !found.enabled);
    if declared.enabled && is_off {
        not_stopped(&what, record)?;
    } else if direction.may_widen() {
        not_in_service(&what, record)?;
    }
    let live = found.as_ref().map(|found| {
        canonical(&found.settings, &found.record.clone().unwrap_or_default(), found.enabled)
    });
    // From what is there now, which may be less than the plan began from.
    let direction =
        found.as_ref().map_or(direction, |found| direction.and(from_live(declared, found)));
    let deed = Deed {
        object: what.clone(),
        tenant: tenant.clone(),
        action: if direction.may_widen() { "widen" } else { "narrow" },
        before: live.unwrap_or_default(),
        after: canonical(&declared.settings, &declared.record, declared.enabled),
        direction,
    };
    let leave = context.gate.authorize(&deed)?;
    // Members that another resource or the connector keeps in the record are theirs.
    let record = match found.and_then(|found| found.record) {
        Some(have) => Record {
            realm: context.realm.as_ref().map(|realm| realm.id.clone()).or(have.realm),
            realm_key: realm_key::id(context).or(have.realm_key),
            governed_since: have.governed_since.or_else(|| Some(today(context))),
            justification: have.justification,
            scopes_governed: have.scopes_governed,
            quarantined: have.quarantined,
            decommission: have.decommission,
            unfinished: false,
            finished_by: have.finished_by,
            adopted: have.adopted,
            elevated: have.elevated,
            platform: have.platform,
            other: have.other,
            ..declared.record.clone()
        },
        None => Record {
            realm: context.realm.as_ref().map(|realm| realm.id.clone()),
            realm_key: realm_key::id(context),
            governed_since: Some(today(context)),
            ..declared.record.clone()
        },
    };
    let change = Change {
        name: (!declared.kind.capabilities.key_is_ours).then(|| declared.name.clone()),
        settings: Some(declared.settings.clone()),
        record: Some(record),
        scopes: None,
        enabled: Some(declared.enabled),
    };
    let now = context
        .attempt(&what, "update", leave.auth(), async {
            connector
                .modify(&object, &change)
                .await
                .map_err(|error| Problem::not_done(&what, "update", &error))
        })
        .await?;
    let mut entry = context.entry("declared", &what);
    entry.digest_after = Some(deed.digest());
    entry.auth = Some(leave.auth().to_owned());
    for row in declared_rows(&what, &tenant, &now.vendor_id, declared) {
        entry = entry.change(row);
    }
    context.note(entry).await;
    Ok(now)
}

/// Ends credentials that nobody declared, each by its id, and shows that they are gone. What has come
/// into a slot since the plan was made has an owner by now, and is left alone.
///
/// # Errors
///
/// It cannot be told whose they are, or one of them is still alive: which.
pub async fn revoke_unmanaged(
    context: &Context,
    id: &IntegrationId,
    vendor_id: &str,
    name: &str,
    keys: &BTreeSet<String>,
) -> Result<Vec<Revoked>, Problem> {
    context.ready(Work::Ends).await?;
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let object = object_of(id, Some(name), Some(vendor_id));
    let still = unmanaged_now(context, id, &object).await?;
    for key_id in keys.difference(&still) {
        let entry = context.entry("credential.spared", &id.to_string());
        context.note(entry.detail("key", key_id.clone())).await;
    }
    let keys = keys.intersection(&still).cloned().collect();
    let (graded, problems) = end_each(context, id, vendor_id, name, &keys, true).await?;
    as_one(problems)?;
    Ok(graded)
}

/// Ends credentials, each by its id, and shows that they are gone. One that cannot be ended keeps no
/// other alive: what was not done is told beside what was.
async fn end_each(
    context: &Context,
    id: &IntegrationId,
    vendor_id: &str,
    name: &str,
    keys: &BTreeSet<String>,
    sweeps: bool,
) -> Result<(Vec<Revoked>, Vec<Problem>), Problem> {
    let (mut graded, mut problems) = (Vec::new(), Vec::new());
    if keys.is_empty() {
        return Ok((graded, problems));
    }
    let tenant = context.tenant(&id.connection).await?;
    let connector = context.connector(&id.connection).await?;
    let object = object_of(id, Some(name), Some(vendor_id));
    let what = id.to_string();
    let named = keys.iter().map(String::as_str).collect::<Vec<_>>().join("\n");
    let leave = context.gate.authorize(&Deed::ending(&what, &tenant, "revoke", named))?;
    let kept = kept_when_ended(&*connector, &object).await;
    // Children carry the key's mark, which is gone with the key.
    let marks = if sweeps { marks_of(&*connector, &object).await } else { BTreeMap::new() };
    let lag = list_lag(&*connector, id).await;
    let mut all_ended = Vec::new();
    for key_id in keys {
        if let Err(problem) = not_our_key(context, id, key_id).await {
            problems.push(problem);
            continue;
        }
        let ended = context
            .attempt(&what, "revoke", leave.auth(), async {
                connector
                    .end(&object, key_id)
                    .await
                    .map_err(|error| Problem::not_done(&what, &format!("revoke {key_id}"), &error))
            })
            .await;
        let accepted = match ended {
            Ok(ended) => ended == Ended::Now,
            Err(problem) => {
                problems.push(problem);
                continue;
            }
        };
        all_ended.push((key_id, accepted));
    }
    // A listing that lags shows what was there before.
    tokio::time::sleep(if all_ended.is_empty() { Duration::ZERO } else { lag }).await;
    for (key_id, accepted) in all_ended {
        let look = listed(&*connector, &object, key_id).await;
        let still = match look {
            Listed::Alive => Some("was ended and is still listed"),
            Listed::Unknown if !accepted => {
                Some("is called gone by its platform, which would not list what is there")
            }
            Listed::Unknown | Listed::Gone => None,
        };
        if let Some(still) = still {
            problems.push(
                Problem::new("E-STILL-LIVE", "A credential is still alive")
                    .detail(format!("{what}: {key_id} {still}."))
                    .next("apply again"),
            );
            continue;
        }
        let gone = look == Listed::Gone && !kept.contains(key_id);
        let grade = grade(Shown { refused: false, gone, accepted });
        let children = match marks.get(key_id) {
            Some(mark) => swept(&*connector, &object, mark).await,
            None => Children::Unknown,
        };
        // Nobody here has the secret of what nobody declared.
        let at_best = if kept.contains(key_id) { Grade::C } else { Grade::B };
        let one = Revoked {
            key_id: key_id.clone(),
            grade,
            at_best,
            refused_at: None,
            children,
            again: false,
            how: How {
                mints: connector.mints(),
                surfaces: (0, 1),
                from: from_words(context.connections.address(&id.connection).as_deref()),
                holder: "none".to_owned(),
                time_to_stop: None,
                safety: "fenced",
            },
        };
        let mut entry = context
            .entry("credential.revoked", &what)
            .detail("key", key_id.clone())
            .detail("grade", one.grade_words())
            .detail("managed", false);
        // Of all together it is told once, when all have ended.
        let told = |name: &str| sweeps || !matches!(name, "children" | "sessions");
        for (name, words) in one.modifiers().into_iter().filter(|(name, _)| told(name)) {
            entry = entry.detail(name, words);
        }
        context.note(entry).await;
        graded.push(one);
    }
    Ok((graded, problems))
}

/// The longest that a listing of an integration's credentials lags behind.
async fn list_lag(connector: &dyn Connector, id: &IntegrationId) -> Duration {
    let mut lag = Span::ZERO;
    let kinds = connector.platform().kinds().iter().filter(|kind| kind.name == id.kind);
    for one in kinds.flat_map(|kind| kind.credential_types) {
        let ways = connector.promises(one.name).await.unwrap_or_default();
        lag = ways.iter().map(|way| way.profile.list_lag).fold(lag, Span::max);
    }
    lag.to_std()
}

/// The marks that credentials carry; none where they cannot be listed.
async fn marks_of(connector: &dyn Connector, object: &ObjectRef) -> BTreeMap<String, String> {
    let listing = connector.credentials(object).await.map(|listing| listing.credentials);
    let marked = listing.into_iter().flatten();
    marked.filter_map(|one| Some((one.key_id, one.marker?))).collect()
}

/// How often what was minted from a credential is looked for.
const MOST_SWEEPS: u32 = 3;

/// What became of what was minted from one credential; a look that failed is tried again.
async fn swept(connector: &dyn Connector, object: &ObjectRef, mark: &str) -> Children {
    for _ in 0..MOST_SWEEPS {
        match connector.sweep(object, Some(mark)).await {
            Ok(children) => return children,
            Err(error) if error.outcome() == Outcome::Refused => break,
            Err(_) => {}
        }
    }
    Children::Unknown
}

/// What an end only switches off: that it is listed no more shows less than it does of others.
async fn kept_when_ended(connector: &dyn Connector, object: &ObjectRef) -> BTreeSet<String> {
    let kinds = connector.platform().kinds().iter().filter(|kind| kind.name == object.kind);
    let mut kept: Vec<&str> = Vec::new();
    for one in kinds.flat_map(|kind| kind.credential_types) {
        let ways = connector.promises(one.name).await.unwrap_or_default();
        if ways.iter().any(|way| way.profile.keeps_what_ended()) {
            kept.push(one.name);
        }
    }
    if kept.is_empty() {
        return BTreeSet::new();
    }
    let listing = connector.credentials(object).await.map(|listing| listing.credentials);
    let of_kept = |one: &ObservedCredential| kept.contains(&one.credential_type.as_str());
    listing.into_iter().flatten().filter(of_kept).map(|one| one.key_id).collect()
}

/// All that was not done, as one: what the first says, with the details of the others.
fn as_one(problems: Vec<Problem>) -> Result<(), Problem> {
    let details: Vec<&str> = problems.iter().map(|one| one.detail.as_str()).collect();
    let detail = details.join("\n");
    match problems.into_iter().next() {
        Some(first) => Err(Problem { detail, ..first }),
        None => Ok(()),
    }
}

/// Ends every live credential of an integration, those that nobody declared too, and what was minted
/// from them. Gone already is success.
///
/// # Errors
///
/// What is still alive.
pub async fn revoke_everything(
    context: &Context,
    id: &IntegrationId,
    vendor_id: &str,
    name: &str,
) -> Result<Vec<Revoked>, Problem> {
    context.ready(Work::Ends).await?;
    context.tenant(&id.connection).await?;
    let connector = context.connector(&id.connection).await?;
    let object = object_of(id, Some(name), Some(vendor_id));
    let what = id.to_string();
    let found = connector.read(&object, Want::DEED).await.or_else(|error| match error {
        // Another incarnation is not ours to end.
        connector::Error::Recreated { .. } => Ok(None),
        other => Err(Problem::unreadable(&what, &other)),
    })?;
    let Some(found) = found else { return Ok(Vec::new()) };
    governed_here(context, id, found.record.as_ref(), []).await?;
    not_ourselves(context, id).await?;
    credentials_seen(&what, &found)?;
    let live: BTreeSet<String> = found
        .credentials
        .unwrap_or_default()
        .into_iter()
        .filter(|one| one.live)
        .map(|one| one.key_id)
        .collect();
    // What was minted from all of them is looked for at once.
    let (mut graded, mut problems) = end_each(context, id, vendor_id, name, &live, false).await?;
    match connector.sweep(&object, None).await {
        Ok(children) => {
            graded.iter_mut().for_each(|one| one.children = children);
            let swept = context
                .entry("credential.swept", &what)
                .detail("children", children_words(&children));
            context.note(swept).await;
        }
        Err(error) => problems.push(Problem::not_done(&what, "sweep", &error)),
    }
    as_one(problems)?;
    Ok(graded)
}

/// Ends an integration: every live credential, unmanaged ones too, what was minted from them, then
/// the object itself (or, with `keep`, only its switch).
///
/// # Errors
///
/// What is still alive.
pub async fn delete_integration(
    context: &Context,
    id: &IntegrationId,
    vendor_id: &str,
    name: &str,
    keep: bool,
) -> Result<(), Problem> {
    context.ready(Work::Ends).await?;
    let tenant = context.tenant(&id.connection).await?;
    let connector = context.connector(&id.connection).await?;
    let object = object_of(id, Some(name), Some(vendor_id));
    let what = id.to_string();
    let there = connector.read(&object, Want::LEAN).await.or_else(|error| match error {
        // Another incarnation is not ours to end.
        connector::Error::Recreated { .. } => Ok(None),
        other => Err(Problem::unreadable(&what, &other)),
    })?;
    if let Some(there) = there {
        governed_here(context, id, there.record.as_ref(), []).await?;
        not_ourselves(context, id).await?;
        let action = if keep { "disable" } else { "delete" };
        let deed = Deed::ending(&what, &tenant, action, vendor_id.to_owned());
        let leave = context.gate.authorize(&deed)?;
        revoke_everything(context, id, vendor_id, name).await?;
        context
            .attempt(&what, action, leave.auth(), async {
                let done = if keep {
                    let change = Change {
                        scopes: Some(BTreeSet::new()),
                        enabled: Some(false),
                        ..Change::default()
                    };
                    connector.modify(&object, &change).await.map(|_| ())
                } else {
                    connector.delete(&object).await.map(|_| ())
                };
                done.map_err(|error| Problem::not_done(&what, "delete", &error))
            })
            .await?;
    }
    let mut entry = context.entry("integration.ended", &what);
    entry = entry.change(Row::Ended { integration: what.clone() });
    context.note(entry).await;
    Ok(())
}
