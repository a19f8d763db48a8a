//! Moving the end of an overlap that is running.

use std::collections::BTreeMap;

use jiff::Timestamp;
use ledger::Work;

use crate::{Context, Problem, SlotSpec, claim::ClaimStore};

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
    let mut moved = claim.previous.iter().zip(&document.claim.previous);
    let longer = moved.any(|(now, was)| now.retire_not_before > was.retire_not_before);
    context.ready(if longer { Work::Begins } else { Work::Ends }).await?;
    store.write(&claim, document.pending.as_ref(), Some(document.version)).await?;
    let entry = context.entry("rotation.overlap_moved", &spec.id.to_string());
    context.note(entry).await;
    Ok(())
}
