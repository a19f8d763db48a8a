//! What an import takes in: whether a resource of ours governs it already, and the key that the import
//! of a slot means, where no book of ours names one.

use connector::Freshness;
use domain::{CredentialId, IntegrationId, Marker};
use ledger::Selection;

use crate::{
    Context, Problem, SeenIntegration, claim::ClaimStore, elsewhere::owner_words, is_managed,
    ourselves::not_our_key,
};

/// What of an integration a resource is about.
#[derive(Debug, Clone, Copy)]
pub enum Part<'a> {
    /// The integration itself.
    Integration,
    /// Its scopes.
    Scopes,
    /// One slot of it.
    Slot(&'a CredentialId),
}

/// Why an import may make a second owner of what a resource of this installation governs already:
/// which one that is, is in a state that nobody here is shown. `None` where nothing says so.
pub async fn governed_already(
    context: &Context,
    id: &IntegrationId,
    seen: &SeenIntegration,
    part: Part<'_>,
) -> Option<Problem> {
    let record = seen.observed.record.as_ref();
    let (what, ends) = match part {
        Part::Integration => (id.to_string(), "removing either one ends it for both"),
        Part::Scopes => (format!("{id}/scope"), "removing either one takes all scopes away"),
        Part::Slot(slot) => (slot.to_string(), "removing either one ends the credential of both"),
    };
    let by = match part {
        Part::Integration if is_managed(context.realm.as_deref(), &seen.observed) => "its record",
        Part::Scopes if record.is_some_and(|record| record.scopes_governed) => "the record on it",
        Part::Slot(_) if seen.slots.values().any(|of| *of == what) => "the books in custody",
        // A platform may have no room for a record, and a loss may have taken the others.
        _ if in_ledger(context, id, part).await => "the ledger",
        _ => return None,
    };
    let since = record.and_then(|record| record.governed_since.as_deref());
    let since = since.map(|day| format!(" since {day}")).unwrap_or_default();
    Some(
        Problem::new("E-GOVERNED-TWICE", "This is governed already")
            .detail(format!(
                "{what}: {by} says that a resource of this installation has it{since}{}. Where another \
                 address or another state has it still, both would govern it: what one changes the \
                 other undoes, and {ends}.",
                owner_words(record)
            ))
            .next(
                "where this state has it under another address, take this import back and write moved \
                 { from = <OLD ADDRESS>, to = <ADDRESS> }. Where another state has it, run terraform \
                 state rm <OLD ADDRESS> there first. Where that state is lost, apply",
            ),
    )
}

/// Whether the ledger has it as declared. One that cannot be read says nothing, and stops no import.
async fn in_ledger(context: &Context, id: &IntegrationId, part: Part<'_>) -> bool {
    let of_it = Selection { declared: true, ..Selection::of(id.to_string()) };
    if let Part::Slot(slot) = part {
        let rows = context.ledger.slots(&of_it).await.unwrap_or_default();
        return rows.iter().any(|row| row.name == slot.name);
    }
    let rows = context.ledger.integrations(&of_it).await.unwrap_or_default();
    rows.iter().filter_map(|row| row.declared.as_ref()).any(|declared| {
        let has = |facet: &str| declared.value.get(facet).is_some();
        match part {
            Part::Scopes => has("scopes"),
            _ => has("settings") || has("record"),
        }
    })
}

/// The one live key of an integration that bears no mark and is in no book: what a slot is imported
/// for that somebody made by hand. Where the slot had a book that is lost, it is the key that the
/// ledger names. `None` where there is none, or where the slot has a book already.
///
/// # Errors
///
/// `E-SEVERAL-KEYS`: there are several, and nothing says which one is meant; `E-OURSELVES`; or custody
/// cannot be read.
pub async fn unmarked_key(
    context: &Context,
    slot: &CredentialId,
    seen: &SeenIntegration,
) -> Result<Option<String>, Problem> {
    // A mark of another realm, or one that was copied, says that it is somebody's.
    let unmarked = |key_id: &&String| {
        let known = seen.known.get(*key_id);
        known.is_some_and(|one| one.marker.as_deref().and_then(Marker::parse).is_none())
    };
    let of_slot = |(key_id, of): (_, &String)| (*of == slot.to_string()).then_some(key_id);
    let named: Vec<&String> = seen.slots.iter().filter_map(of_slot).filter(unmarked).collect();
    let nobodys = || seen.unmanaged.iter().filter(unmarked).collect();
    let keys: Vec<&String> = if named.is_empty() { nobodys() } else { named };
    if keys.is_empty() {
        // What we sign in with is not taken in: the slot's next rotation would end it.
        if let Some(own) = seen.own.first() {
            not_our_key(context, &slot.integration, own).await?;
        }
        return Ok(None);
    }
    let store = ClaimStore::open(context, &seen.tenant, &seen.observed.vendor_id, slot).await?;
    if store.mirror(context, Freshness::Shared).await?.is_some() {
        return Ok(None);
    }
    match &keys[..] {
        [one] => Ok(Some((*one).clone())),
        several => {
            let told: Vec<String> = several.iter().map(|key_id| seen.tell(key_id)).collect();
            Err(Problem::new("E-SEVERAL-KEYS", "It is not known which credential is meant")
                .detail(format!(
                    "{slot}: {} live credentials bear no mark of anybody: {}. An import takes in the \
                     only one; of several it would be a guess which one a slot has.",
                    several.len(),
                    told.join(", ")
                ))
                .next(
                    "declare a new nhi_credential and no import of it, move what uses the old ones \
                     to it, then set revoke_unmanaged = true on the nhi_integration; or revoke all \
                     but one at the platform, and import that",
                )
                .at(&["name"]))
        }
    }
}
