//! What an integration is given for a while by asking, and how that ends.
//!
//! That it ends is written before it is given: into the ledger, and into the record on the platform, where
//! it outlives any ledger. A run that is killed in between leaves a word of something that is not there,
//! which says nothing, and never something of which nobody knows that it ends. The word in the record is
//! made with the realm's key: whoever gives a scope by hand cannot call it one of these.

use std::collections::{BTreeMap, BTreeSet};

use connector::{Change, Connector, ObjectRef, Want};
use data_encoding::HEXLOWER;
use domain::{
    Action, Direction, GrantedScope, IntegrationId, ObservedIntegration, Record, Scope, Span,
};
use jiff::Timestamp;
use ledger::Work;
use policy::{
    change::{self, Action as Does, Value, impact::Facts},
    elevation::{self, Refused, Wanted},
    schedule::later,
    scopes::{Declared, Lattice, above_ceiling, highest_action, limit},
};

use crate::{
    Context, Deed, KindLattice, Problem, WishedScopes,
    decommission::not_in_service,
    elsewhere::governed_here,
    integration::finish_record,
    journal::moment,
    not_shown,
    observe::object_of,
    review::{Asked, pass_by_hand},
    scopes::{above, kind_of, record_turn},
};

/// What somebody asks for.
#[derive(Debug, Clone, Copy)]
pub struct ElevateRequest<'a> {
    /// The scope, in its platform's grammar.
    pub scope: &'a str,
    /// For how long.
    pub span: Span,
    /// Why.
    pub reason: &'a str,
    /// The ticket that it is for.
    pub ticket: Option<&'a str>,
}

/// What was given for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Elevated {
    /// What it holds now and did not before.
    pub scopes: BTreeSet<Scope>,
    /// Until when.
    pub until: Timestamp,
    /// The platform ends it by itself.
    pub ends_itself: bool,
    /// What allowed it.
    pub auth: String,
}

/// The word of a scope's end, which nobody makes who does not have the realm's key.
fn word(
    context: &Context,
    vendor_id: &str,
    scope: &Scope,
    until: Timestamp,
) -> Result<String, Problem> {
    let (realm, key) = context.realm_key()?;
    let until = moment(until);
    let mac = key.mac("nhi-elevated/1", &[realm, vendor_id, scope.as_str(), &until]);
    Ok(format!("{until} {}", HEXLOWER.encode(&mac[..16])))
}

/// What was given to an integration for a while by asking, as far as its record proves it.
pub fn elevations(context: &Context, seen: &ObservedIntegration) -> BTreeMap<Scope, Timestamp> {
    let all = seen.record.iter().flat_map(|record| &record.elevated);
    all.filter_map(|(scope, said)| {
        let scope = Scope::canonical(scope);
        let until: Timestamp = said.split_once(' ')?.0.parse().ok()?;
        let ours = word(context, &seen.vendor_id, &scope, until).ok()?;
        (ours == *said).then_some((scope, until))
    })
    .collect()
}

/// Of those the ones that run: they are in force, an entry covers them, and their end is to come.
pub fn running(
    context: &Context,
    seen: &ObservedIntegration,
    lattice: KindLattice,
    declared: &Declared,
) -> BTreeMap<Scope, Timestamp> {
    let given = elevations(context, seen);
    let mut all = elevation::running(&lattice, declared, &given, context.time());
    all.retain(|scope, _| seen.scopes.iter().any(|held| held.scope == *scope));
    all
}

/// The same, and those whose time is over and that are in force.
pub(crate) fn running_or_over(
    context: &Context,
    seen: &ObservedIntegration,
    lattice: KindLattice,
    declared: &Declared,
) -> BTreeMap<Scope, Timestamp> {
    let given = elevations(context, seen);
    let mut all = elevation::over(&lattice, declared, &given, context.time());
    all.extend(elevation::running(&lattice, declared, &given, context.time()));
    all.retain(|scope, _| seen.scopes.iter().any(|held| held.scope == *scope));
    all
}

impl WishedScopes {
    /// As the judgments have it.
    pub(crate) fn declared(&self) -> Declared {
        let dated = self.temporary.iter().map(|(scope, until)| {
            let until = until.unwrap_or(Timestamp::MAX);
            (scope.clone(), policy::scopes::Temporary { from: None, until })
        });
        Declared {
            scopes: self.standing.clone(),
            temporary: dated.collect(),
            on_request: self.on_request.clone(),
        }
    }

    /// With what runs by asking, or is over, among what is for a time.
    pub(crate) fn with_elevations(
        &self,
        context: &Context,
        seen: &ObservedIntegration,
        lattice: KindLattice,
    ) -> WishedScopes {
        let mut wish = self.clone();
        for (scope, until) in running_or_over(context, seen, lattice, &self.declared()) {
            wish.temporary.entry(scope.as_str().to_owned()).or_insert(Some(until));
        }
        wish
    }
}

/// What a person wants of an integration whose scopes may be asked for, and what it comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Foreseen {
    /// What is had then.
    pub wanted: Wanted,
    /// The change, as a board reads it.
    pub asked: Asked,
    /// It ends by itself.
    pub ends_itself: bool,
}

/// What would be given, and nothing is.
///
/// # Errors
///
/// It may not be asked for, or what is there cannot be read.
pub async fn foresee_elevation(
    context: &Context,
    id: &IntegrationId,
    vendor_id: Option<&str>,
    lattice: KindLattice,
    wish: &WishedScopes,
    request: ElevateRequest<'_>,
) -> Result<Foreseen, Problem> {
    let connector = context.connector(&id.connection).await?;
    let seen = look(context, &*connector, id, &object_of(id, None, vendor_id)).await?;
    judge(context, &*connector, id, &seen, lattice, wish, request).await
}

/// Gives an integration for a while what it may be given by asking.
///
/// # Errors
///
/// No entry covers it, it is not approved, or what the platform said.
pub async fn elevate(
    context: &Context,
    id: &IntegrationId,
    vendor_id: Option<&str>,
    lattice: KindLattice,
    wish: &WishedScopes,
    request: ElevateRequest<'_>,
) -> Result<Elevated, Problem> {
    context.ready(Work::Begins).await?;
    let connector = context.connector(&id.connection).await?;
    let object = object_of(id, None, vendor_id);
    let _turn = context.turns.take(&record_turn(id)).await;
    let seen = look(context, &*connector, id, &object).await?;
    let foreseen = judge(context, &*connector, id, &seen, lattice, wish, request).await?;
    let leave = pass_by_hand(context, &foreseen.asked, foreseen.wanted.approval).await?;
    let place = Place { connector: &*connector, object: &object, id };
    let done = give(context, place, &seen, lattice, &foreseen, request).await;
    if let Some(leave) = leave {
        leave.ended(context, done.as_ref().err().map(|problem| problem.code), false).await;
    }
    done
}

/// Where it is done.
#[derive(Clone, Copy)]
struct Place<'a> {
    connector: &'a dyn Connector,
    object: &'a ObjectRef,
    id: &'a IntegrationId,
}

async fn look(
    context: &Context,
    connector: &dyn Connector,
    id: &IntegrationId,
    object: &ObjectRef,
) -> Result<ObservedIntegration, Problem> {
    let what = format!("{id}/scope");
    let found = connector
        .read(object, Want { credentials: false, ..Want::DEED })
        .await
        .map_err(|error| Problem::unreadable(&what, &error))?
        .ok_or_else(|| not_shown(id))?;
    governed_here(context, id, found.record.as_ref(), []).await?;
    Ok(found)
}

/// Everything that is decided before anything is done.
async fn judge(
    context: &Context,
    connector: &dyn Connector,
    id: &IntegrationId,
    seen: &ObservedIntegration,
    lattice: KindLattice,
    wish: &WishedScopes,
    request: ElevateRequest<'_>,
) -> Result<Foreseen, Problem> {
    let what = format!("{id}/scope");
    let kind = kind_of(lattice);
    if !kind.is_some_and(|kind| kind.capabilities.keeps_record) {
        return Err(Problem::new("E-NO-RECORD", "Its platform keeps no word beside it")
            .detail(format!(
                "{what}: when this ends would be written nowhere but in the ledger, and without that \
                 nobody would know that it ends. Nothing was changed."
            ))
            .next("write it in temporary of its nhi_scope"));
    }
    let record = seen.record.clone().unwrap_or_default();
    if !record.scopes_governed {
        return Err(refused("Nobody declares what it may be given")
            .detail(format!("{what}: no nhi_scope governs its scopes. Nothing was changed."))
            .next("declare its scopes, with on_request, and apply that first"));
    }
    not_in_service(&what, Some(&record))?;
    if record.quarantined.is_some() || !seen.enabled {
        return Err(refused("It is switched off")
            .detail(format!("{what}: what is stopped is given nothing. Nothing was changed."))
            .next(format!("nhi lift {id}, if it may act again")));
    }
    let declared = wish.declared();
    let wanted = elevation::may_have(&lattice, &declared, request.scope, request.span)
        .map_err(|why| not_listed(&what, request, &declared, lattice, why))?;
    let live: BTreeSet<Scope> = seen.scopes.iter().map(|held| held.scope.clone()).collect();
    let runs = running(context, seen, lattice, &declared);
    let by_hand: Vec<&str> = wanted.scopes.intersection(&live).map(Scope::as_str).collect();
    let by_hand: Vec<&str> = by_hand
        .into_iter()
        .filter(|scope| !runs.keys().any(|running| running.as_str() == *scope))
        .collect();
    if !by_hand.is_empty() {
        return Err(refused("It has that already, and nobody here gave it")
            .detail(format!(
                "{what}: {} is in force, is not declared, and was not given by asking. To call it that \
                 would hide who gave it. Nothing was changed.",
                by_hand.join(", ")
            ))
            .next(format!("nhi drift --only {id}; terraform apply takes it away")));
    }
    // The ceiling in the record has a review of its own, and may be lower than when this was declared.
    let most = limit(record.ceiling_action.as_deref()).map_err(|word| {
        Problem::new("E-CEILING", "This ceiling cannot be read")
            .detail(format!(
                "{what}: the record on {id} says {word:?}, which is no action. What cannot be read \
                 limits nothing, so nothing is given under it."
            ))
            .next("apply the nhi_integration first; that writes its record anew")
    })?;
    let texts: BTreeSet<String> =
        wanted.scopes.iter().map(|scope| scope.as_str().to_owned()).collect();
    let covering = record.ceiling_scopes.as_ref();
    let over = above_ceiling(&lattice, &texts, &wish.standing, &wish.classify, most, covering);
    if let Some(one) = over.first() {
        return Err(above(&what, one));
    }
    let after: BTreeSet<Scope> = live.union(&wanted.scopes).cloned().collect();
    // That its time is longer gives something too.
    let direction = lattice.direction(&live, &after).and(Direction::Widens);
    let action = |set: &BTreeSet<Scope>| -> Action {
        let texts: Vec<String> = set.iter().map(|scope| scope.as_str().to_owned()).collect();
        highest_action(&lattice, &texts, &wish.classify)
    };
    let named = highest_action(&lattice, &texts, &wish.classify);
    let owners = [&record.business_owner, &record.technical_owner];
    let ends_itself = match kind {
        Some(kind) => {
            let able = connector.capabilities(kind).await;
            let able = able.map_err(|error| Problem::unreadable(&what, &error))?.ends_scopes;
            able && wanted.scopes.iter().all(|one| lattice.platform.ends_scope(lattice.kind, one))
        }
        None => false,
    };
    let asked = Asked {
        object: what,
        change: change::Change {
            tenant: context.tenant(&id.connection).await?,
            kind: "nhi_scope".to_owned(),
            object: format!("{}/{}", id.kind, seen.vendor_id),
            action: Does::Update,
            generation: 0,
            before: projected(&live, &runs, None),
            after: projected(&live, &runs, Some((&wanted.scopes, request))),
        },
        facts: Facts {
            direction,
            action_before: Some(action(&live)),
            action_after: Some(action(&after)),
            environment: record.environment.clone(),
            execution_mode: record.execution_mode.clone(),
            takes_last_credential: false,
            removes_owner: false,
        },
        why: texts.iter().map(|one| format!("+ {one} ({named}) for {}", request.span)).collect(),
        owners: owners.into_iter().flatten().map(|owner| owner.id.clone()).collect(),
    };
    Ok(Foreseen { wanted, asked, ends_itself })
}

/// What is in force for good, what by asking, and what somebody asks for: for how long and why, and never
/// until when, so that it is one change whenever it is signed.
fn projected(
    live: &BTreeSet<Scope>,
    runs: &BTreeMap<Scope, Timestamp>,
    asked: Option<(&BTreeSet<Scope>, ElevateRequest<'_>)>,
) -> Value {
    let lasting = live.iter().filter(|scope| !runs.contains_key(*scope));
    let mut elevated: BTreeSet<&str> = runs.keys().map(Scope::as_str).collect();
    let mut members =
        BTreeMap::from([("scopes".to_owned(), Value::set(lasting.map(Scope::as_str)))]);
    if let Some((scopes, request)) = asked {
        elevated.extend(scopes.iter().map(Scope::as_str));
        let mut words = BTreeMap::from([
            ("scopes".to_owned(), Value::set(scopes.iter().map(Scope::as_str))),
            ("for".to_owned(), Value::text(request.span.to_string())),
            ("justification".to_owned(), Value::text(request.reason)),
        ]);
        if let Some(ticket) = request.ticket {
            words.insert("ticket".to_owned(), Value::text(ticket));
        }
        members.insert("elevation".to_owned(), Value::Map(words));
    }
    members.insert("elevated".to_owned(), Value::set(elevated));
    Value::Map(members)
}

async fn give(
    context: &Context,
    place: Place<'_>,
    seen: &ObservedIntegration,
    lattice: KindLattice,
    foreseen: &Foreseen,
    request: ElevateRequest<'_>,
) -> Result<Elevated, Problem> {
    let Place { connector, object, id } = place;
    let what = format!("{id}/scope");
    let scopes = &foreseen.wanted.scopes;
    let live: BTreeSet<Scope> = seen.scopes.iter().map(|held| held.scope.clone()).collect();
    let join = |set: &BTreeSet<Scope>| set.iter().map(Scope::as_str).collect::<Vec<_>>().join("\n");
    let deed = Deed {
        object: what.clone(),
        tenant: foreseen.asked.change.tenant.clone(),
        action: "elevate",
        before: join(&live),
        after: join(&live.union(scopes).cloned().collect()),
        direction: foreseen.asked.facts.direction,
    };
    let auth = context.gate.authorize(&deed)?.auth().to_owned();
    let until = later(context.now(), request.span);
    let mut entry = context.entry("scopes.elevating", &what);
    entry.auth = Some(auth.clone());
    entry.digest_after = Some(foreseen.asked.change.digest().hex());
    let texts: Vec<&str> = scopes.iter().map(Scope::as_str).collect();
    let mut entry = entry
        .detail("scopes", serde_json::json!(texts))
        .detail("until", moment(until))
        .detail("why", request.reason)
        .detail("entry", foreseen.wanted.entry.clone());
    if let Some(ticket) = request.ticket {
        entry = entry.detail("ticket", ticket);
    }
    context.journal(entry).await?;
    // First the word that it ends.
    let mut record = in_force(context, seen);
    for scope in scopes {
        let word = word(context, &seen.vendor_id, scope, until)?;
        record.elevated.insert(scope.as_str().to_owned(), word);
    }
    let words = Change { record: Some(record.clone()), ..Change::default() };
    let noted = context
        .attempt(&what, "elevate", &auth, async {
            connector
                .modify(object, &words)
                .await
                .map_err(|error| Problem::not_done(&what, "write down when it ends", &error))
        })
        .await?;
    if noted.record.map(|record| record.elevated) != Some(record.elevated) {
        return Err(Problem::new("E-NOT-DONE", "The platform was not changed as planned")
            .detail(format!("{what}: when this ends was accepted, and reads otherwise."))
            .next(format!("nhi scan {}, and look what the platform says", id.connection)));
    }
    let ends = kind_of(lattice).is_some() && foreseen.ends_itself;
    let kept = seen.scopes.iter().filter(|held| !scopes.contains(&held.scope)).cloned();
    let granted = scopes
        .iter()
        .map(|scope| GrantedScope { scope: scope.clone(), until: ends.then_some(until) });
    let change = Change { scopes: Some(kept.chain(granted).collect()), ..Change::default() };
    let read_back = context
        .attempt(&what, "elevate", &auth, async {
            connector
                .modify(object, &change)
                .await
                .map_err(|error| Problem::not_done(&what, "elevate", &error))
        })
        .await?;
    let in_force: BTreeSet<&Scope> = read_back.scopes.iter().map(|held| &held.scope).collect();
    if let Some(missing) = scopes.iter().find(|scope| !in_force.contains(scope)) {
        return Err(Problem::new("E-SCOPES-NOT-ENFORCED", "The platform did not give it")
            .detail(format!("{what}: {missing} was accepted, and is not in force."))
            .next("nhi scan, and compare what the platform says"));
    }
    let mut entry = context.entry("scopes.elevated", &what);
    entry.auth = Some(auth.clone());
    entry.digest_after = Some(foreseen.asked.change.digest().hex());
    let entry = entry.detail("scopes", serde_json::json!(texts)).detail("until", moment(until));
    context.note(entry).await;
    Ok(Elevated { scopes: scopes.clone(), until, ends_itself: ends, auth })
}

/// The record without words of what is over, or that nobody of ours wrote.
fn in_force(context: &Context, seen: &ObservedIntegration) -> Record {
    let mut record = seen.record.clone().unwrap_or_default();
    let given = elevations(context, seen);
    let now = context.time().lo;
    record
        .elevated
        .retain(|scope, _| given.get(&Scope::canonical(scope)).is_some_and(|until| *until > now));
    record
}

/// Ends what was given by asking, before its time. Which scopes went; none where it is over already.
///
/// # Errors
///
/// What the platform said.
pub async fn end_elevation(
    context: &Context,
    id: &IntegrationId,
    vendor_id: Option<&str>,
    lattice: KindLattice,
    scope: &str,
) -> Result<BTreeSet<Scope>, Problem> {
    context.ready(Work::Ends).await?;
    let connector = context.connector(&id.connection).await?;
    let object = object_of(id, None, vendor_id);
    let what = format!("{id}/scope");
    let _turn = context.turns.take(&record_turn(id)).await;
    let seen = look(context, &*connector, id, &object).await?;
    let given = elevations(context, &seen);
    let asked: BTreeSet<Scope> =
        lattice.parse(scope).into_iter().flatten().filter(|one| given.contains_key(one)).collect();
    if asked.is_empty() {
        let now: Vec<&str> = given.keys().map(Scope::as_str).collect();
        let now = if now.is_empty() { "nothing".to_owned() } else { now.join(", ") };
        return Err(refused("It was not given by asking")
            .detail(format!("{what}: {scope:?}. By asking it has {now}. Nothing was changed."))
            .next("name one of those; what is declared otherwise is taken out of its nhi_scope"));
    }
    let place = Place { connector: &*connector, object: &object, id };
    take(context, place, &seen, &asked).await
}

/// Takes scopes away, and then the words of when they would have ended.
async fn take(
    context: &Context,
    place: Place<'_>,
    seen: &ObservedIntegration,
    gone: &BTreeSet<Scope>,
) -> Result<BTreeSet<Scope>, Problem> {
    let Place { connector, object, id } = place;
    let what = format!("{id}/scope");
    let tenant = context.tenant(&id.connection).await?;
    let live: BTreeSet<Scope> = seen.scopes.iter().map(|held| held.scope.clone()).collect();
    let live: BTreeSet<Scope> = gone.intersection(&live).cloned().collect();
    let join = |set: &BTreeSet<Scope>| set.iter().map(Scope::as_str).collect::<Vec<_>>().join("\n");
    let deed = Deed::ending(&what, &tenant, "narrow", join(gone));
    let auth = context.gate.authorize(&deed)?.auth().to_owned();
    if !live.is_empty() {
        let granted: BTreeSet<GrantedScope> =
            seen.scopes.iter().filter(|held| !gone.contains(&held.scope)).cloned().collect();
        let change = Change { scopes: Some(granted), ..Change::default() };
        let read_back = context
            .attempt(&what, "narrow", &auth, async {
                connector
                    .modify(object, &change)
                    .await
                    .map_err(|error| Problem::not_done(&what, "narrow", &error))
            })
            .await?;
        if let Some(left) = read_back.scopes.iter().find(|held| gone.contains(&held.scope)) {
            return Err(Problem::new("E-SCOPES-NOT-ENFORCED", "The platform kept a scope")
                .detail(format!("{what}: {} was taken away, and is still in force.", left.scope))
                .next("nhi scan, and compare what the platform says"));
        }
    }
    let mut entry = context.entry("scopes.narrowed", &what);
    entry.digest_after = Some(deed.digest());
    entry.auth = Some(auth.clone());
    let taken: Vec<&str> = live.iter().map(Scope::as_str).collect();
    context.note(entry.detail("taken", taken.join(" "))).await;
    forget(context, place, seen, gone, &auth).await?;
    Ok(live)
}

/// Takes the words of what is gone out of the record. Nothing depends on that: they say of a time that is
/// over, or of what is not there.
async fn forget(
    context: &Context,
    place: Place<'_>,
    seen: &ObservedIntegration,
    gone: &BTreeSet<Scope>,
    auth: &str,
) -> Result<(), Problem> {
    let mut record = in_force(context, seen);
    record.elevated.retain(|scope, _| !gone.contains(&Scope::canonical(scope)));
    if seen.record.as_ref().map(|before| &before.elevated) == Some(&record.elevated) {
        return Ok(());
    }
    let what = format!("{}/scope", place.id);
    finish_record(context, place.connector, place.object, &what, auth, record).await.map(drop)
}

/// After scopes were taken away whose time was over: the words of it go too.
pub(crate) async fn forget_over(
    context: &Context,
    connector: &dyn Connector,
    object: &ObjectRef,
    id: &IntegrationId,
    seen: &ObservedIntegration,
    auth: &str,
) -> Result<(), Problem> {
    forget(context, Place { connector, object, id }, seen, &BTreeSet::new(), auth).await
}

fn refused(summary: &'static str) -> Problem {
    Problem::new("E-ELEVATE", summary)
}

fn not_listed(
    what: &str,
    request: ElevateRequest<'_>,
    declared: &Declared,
    lattice: KindLattice,
    why: Refused,
) -> Problem {
    let ElevateRequest { scope, span, .. } = request;
    match why {
        Refused::Grammar => {
            let why = lattice.platform.parse_scope(lattice.kind, scope).err();
            let why = why.map_or("it is empty".to_owned(), |error| error.message);
            Problem::new("E-SCOPE-GRAMMAR", "This is no scope of this platform")
                .detail(format!("{scope:?}: {}.", why.trim_end_matches('.')))
                .next("correct it")
        }
        Refused::Declared => refused("It has that already")
            .detail(format!(
                "{what}: {scope:?}, or a part of it, is declared in scopes or temporary. Nothing was \
                 changed."
            ))
            .next("name what it lacks; apply gives what is declared"),
        Refused::NotListed => {
            let all: Vec<&str> = declared.on_request.keys().map(String::as_str).collect();
            let all = if all.is_empty() { "nothing".to_owned() } else { all.join(", ") };
            refused("Nobody declared that this may be asked for")
                .detail(format!(
                    "{what}: {scope:?} for {span}. By asking it may have: {all}. Nothing was changed."
                ))
                .next(format!(
                    "add it to on_request of its nhi_scope, and have that change applied: {scope:?} = {{ \
                     max = \"{span}\" }}"
                ))
        }
        Refused::TooLong(longest) => Problem::new("E-TOO-LONG", "This is longer than its declaration")
            .detail(format!(
                "{what}: {scope:?} for {span}, and on_request says {longest} at most. Nothing was changed."
            ))
            .next(format!("--for {longest}")),
    }
}
