//! Finding the key that the import of a slot means, where no book of ours names one.

use domain::{CredentialId, Marker};

use crate::{Context, Problem, SeenIntegration, claim::ClaimStore};

/// The one live key of an integration that bears no mark and is in no book: what a slot is imported
/// for that somebody made by hand. Where the slot had a book that is lost, it is the key that the
/// ledger names. `None` where there is none, or where the slot has a book already.
///
/// # Errors
///
/// `E-SEVERAL-KEYS`: there are several, and nothing says which one is meant; or custody cannot be read.
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
        return Ok(None);
    }
    let store = ClaimStore::open(context, &seen.tenant, &seen.observed.vendor_id, slot).await?;
    if store.mirror(context).await?.is_some() {
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
