//! Moving the end of an overlap that is running.

use std::collections::BTreeMap;

use connector::{Connector, ObjectRef};
use domain::Direction;
use jiff::Timestamp;
use ledger::{NewEntry, Work};
use policy::rotation::{Claim, OwnEnd, Previous};

use crate::{
    Context, Deed, Problem, SlotSpec,
    claim::{ClaimDocument, ClaimStore},
    duty,
    journal::moment,
    observe::object_of,
    slot::limit,
};

/// Sets when earlier keys of a slot are to end, by key id. Nothing is ended here: the next look finds
/// what is over. Where nobody keeps earlier keys, or somebody is at work, nothing is changed.
///
/// # Errors
///
/// Custody cannot be read or written.
pub async fn set_ends(
    context: &Context,
    spec: &SlotSpec,
    ends: &BTreeMap<String, Timestamp>,
) -> Result<(), Problem> {
    if ends.is_empty() || context.custody.is_none() || context.realm.is_none() {
        return Ok(());
    }
    context.may_change()?;
    let store = ClaimStore::of(context, spec).await?;
    let Some(document) = store.read().await? else { return Ok(()) };
    if document.claim.phase.is_open() {
        return Ok(());
    }
    let mut claim = document.claim.clone();
    for one in &mut claim.previous {
        // What is switched off ends when nobody has missed it for its time.
        if let Some(end) = ends.get(&one.key_id).filter(|_| one.cut.is_none()) {
            one.retire_not_before = Some(*end);
        }
    }
    if claim == document.claim {
        return Ok(());
    }
    // One that comes to its end sooner gives nobody anything.
    let moved = claim.previous.iter().zip(&document.claim.previous);
    let longer = moved.filter(|(now, was)| now.retire_not_before > was.retire_not_before);
    let longer: Vec<Previous> = longer.map(|(now, _)| now.clone()).collect();
    context.ready(if longer.is_empty() { Work::Ends } else { Work::Begins }).await?;
    let mut version = document.version;
    if let Some((noted, now)) = put_off(context, spec, &store, &document, &longer).await? {
        version = now;
        for (one, noted) in claim.previous.iter_mut().zip(noted.previous) {
            one.told = noted.told;
        }
    }
    store.write(&claim, document.pending.as_ref(), Some(version)).await?;
    let entry = context.entry("rotation.overlap_moved", &spec.id.to_string());
    let mut entries = vec![entry];
    entries.extend(duty::owing_for(context, spec, None).await);
    context.note_all(entries).await;
    Ok(())
}

/// A platform that was told when they end is told anew before anybody counts on it. What would end sooner
/// is left to whoever comes next, and what somebody else told it stays.
async fn put_off(
    context: &Context,
    spec: &SlotSpec,
    store: &ClaimStore,
    document: &ClaimDocument,
    longer: &[Previous],
) -> Result<Option<(Claim, u64)>, Problem> {
    let what = spec.id.to_string();
    let connector = context.connector(&spec.id.integration.connection).await?;
    if longer.is_empty() || !connector.moves_expiry(spec.credential_type.name) {
        return Ok(None);
    }
    let after = limit(context, &*connector, spec);
    let object = object_of(&spec.id.integration, None, Some(&spec.vendor_id));
    let listing = connector.credentials(&object).await;
    let listing = listing.map_err(|error| Problem::unreadable(&what, &error))?;
    let mut claim = document.claim.clone();
    let mut to_tell = Vec::new();
    for one in longer {
        let seen = listing.credentials.iter().find(|seen| seen.key_id == one.key_id);
        let ends = seen.and_then(|seen| seen.expires_at);
        let end = match one.wanted_end(after) {
            OwnEnd::At(end) => Some(end),
            OwnEnd::Never => None,
            OwnEnd::Unknown => continue,
        };
        let is_longer = ends.is_some_and(|ends| end.is_none_or(|end| end > ends));
        if !is_longer || !one.told.is_shown(ends) {
            continue;
        }
        if let Some(told) = end.and_then(|end| one.told.and(end, ends)) {
            let all = claim.previous.iter_mut();
            all.filter(|have| have.key_id == one.key_id).for_each(|have| have.told = told);
        }
        to_tell.push((one.key_id.clone(), end));
    }
    if to_tell.is_empty() {
        return Ok(None);
    }
    let named: Vec<&str> = to_tell.iter().map(|(key_id, _)| key_id.as_str()).collect();
    let deed = Deed {
        object: what.clone(),
        tenant: context.tenant(&spec.id.integration.connection).await?,
        action: "extend",
        before: String::new(),
        after: named.join("\n"),
        direction: Direction::Widens,
    };
    let auth = context.gate.authorize(&deed)?.auth().to_owned();
    // A run that dies between knows it for ours.
    let version = document.version;
    let written = store.write(&claim, document.pending.as_ref(), Some(version)).await?;
    for (key_id, end) in &to_tell {
        let entry = |kind: &str| NewEntry {
            auth: Some(auth.clone()),
            generation: Some(claim.generation),
            epoch: Some(claim.epoch),
            ..context.entry(kind, &what)
        };
        tell(context, &*connector, &object, (key_id, *end), entry).await?.map_err(|error| {
            Problem::not_done(&what, "put off when an earlier credential ends", &error)
        })?;
    }
    Ok(Some((claim, written.number)))
}

/// Tells a platform when one key ends by itself; without a time, that it does not. Between two entries, as
/// every call that changes something, each made from that of the deed which it is part of.
///
/// # Errors
///
/// It cannot be journalled: then nothing was sent. What the platform said is the answer.
pub(crate) async fn tell(
    context: &Context,
    connector: &dyn Connector,
    object: &ObjectRef,
    (key_id, at): (&str, Option<Timestamp>),
    entry: impl Fn(&str) -> NewEntry,
) -> Result<connector::Result<()>, Problem> {
    let ends = at.map_or_else(|| "never".to_owned(), moment);
    let about = |kind: &str| entry(kind).detail("key", key_id).detail("ends", ends.clone());
    let attempt = |kind: &str| NewEntry { step: Some("set_expiry".to_owned()), ..about(kind) };
    context.journal(attempt("attempt.started")).await?;
    let done = connector.set_expiry(object, key_id, at).await;
    let outcome = match &done {
        Ok(()) => "done".to_owned(),
        Err(error) => format!("{:?}", error.outcome()).to_lowercase(),
    };
    context.note(NewEntry { outcome: Some(outcome), ..attempt("attempt.ended") }).await;
    if done.is_ok() {
        context.note(about("rotation.expiry_set")).await;
    }
    Ok(done)
}
