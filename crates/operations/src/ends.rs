//! Moving the end of an overlap that is running.

use std::collections::BTreeMap;

use jiff::Timestamp;
use ledger::Work;
use policy::{
    rotation::{OwnEnd, Previous},
    schedule::later,
};

use crate::{
    Context, Problem, SlotSpec, claim::ClaimStore, duty, journal::moment, observe::object_of,
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
    put_off(context, spec, &longer).await?;
    store.write(&claim, document.pending.as_ref(), Some(document.version)).await?;
    let entry = context.entry("rotation.overlap_moved", &spec.id.to_string());
    let mut entries = vec![entry];
    entries.extend(duty::owing_for(context, spec).await);
    context.note_all(entries).await;
    Ok(())
}

/// A platform that was told when they end is told anew before anybody counts on it. What would end sooner
/// is left to whoever comes next.
async fn put_off(context: &Context, spec: &SlotSpec, longer: &[Previous]) -> Result<(), Problem> {
    let what = spec.id.to_string();
    let connector = context.connector(&spec.id.integration.connection).await?;
    let Some(after) = limit(context, &*connector, spec).filter(|_| !longer.is_empty()) else {
        return Ok(());
    };
    let object = object_of(&spec.id.integration, None, Some(&spec.vendor_id));
    let listing = connector.credentials(&object).await;
    let listing = listing.map_err(|error| Problem::unreadable(&what, &error))?;
    for one in longer {
        let seen = listing.credentials.iter().find(|seen| seen.key_id == one.key_id);
        let (Some(ends), Some(not_before)) =
            (seen.and_then(|seen| seen.expires_at), one.retire_not_before)
        else {
            continue;
        };
        let end = match one.own_end {
            OwnEnd::At(own) => later(not_before, after).min(own),
            OwnEnd::Never => later(not_before, after),
            // Whoever set it is not known.
            OwnEnd::Unknown => continue,
        };
        if ends >= end {
            continue;
        }
        let entry = |kind: &str| {
            let entry = context.entry(kind, &what).detail("key", one.key_id.clone());
            entry.detail("ends", moment(end))
        };
        context.journal(entry("attempt.started")).await?;
        let done = connector.set_expiry(&object, &one.key_id, Some(end)).await;
        context.note(entry("attempt.ended")).await;
        done.map_err(|error| {
            Problem::not_done(&what, "put off when an earlier credential ends", &error)
        })?;
        context.note(entry("rotation.expiry_set")).await;
    }
    Ok(())
}
