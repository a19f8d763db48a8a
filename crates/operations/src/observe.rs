//! Looking at one integration. Changes nothing.

use std::collections::BTreeSet;

use connector::{ObjectRef, Want};
use domain::{IntegrationId, Marker, ObservedIntegration};

use crate::{Context, Problem, claim::ClaimStore};

/// An integration as it is, with what that means.
#[derive(Debug, Clone)]
pub struct SeenIntegration {
    /// The tenant's own id.
    pub tenant: String,
    /// What is there.
    pub observed: ObservedIntegration,
    /// Ids of live credentials that are in no slot and carry no genuine marker of ours.
    pub unmanaged: BTreeSet<String>,
    /// A credential carries a marker that was copied or forged.
    pub marker_forged: bool,
    /// It is another incarnation than the one that is known.
    pub recreated: bool,
}

/// How an integration is named to its connector.
pub fn object_of(id: &IntegrationId, name: Option<&str>, vendor_id: Option<&str>) -> ObjectRef {
    ObjectRef {
        kind: id.kind.clone(),
        key: id.key.clone(),
        vendor_id: vendor_id.map(str::to_owned),
        name: name.unwrap_or(&id.key).to_owned(),
    }
}

/// Looks at one integration; `None` where its absence is proven.
///
/// # Errors
///
/// It could not be read: a refusal or a gap is never taken for an absence.
pub async fn observe_integration(
    context: &Context,
    id: &IntegrationId,
    name: Option<&str>,
    known_vendor_id: Option<&str>,
) -> Result<Option<SeenIntegration>, Problem> {
    let what = id.to_string();
    let tenant = context.tenant(&id.connection).await?;
    let connector = context.connector(&id.connection).await?;
    // Without the vendor id: another incarnation is to be seen, not refused.
    let object = object_of(id, name, None);
    let observed = connector
        .read(&object, Want::LEAN)
        .await
        .map_err(|error| Problem::unreadable(&what, &error))?;
    let Some(observed) = observed else { return Ok(None) };
    let recreated = known_vendor_id.is_some_and(|known| known != observed.vendor_id);
    let mut seen = SeenIntegration {
        tenant,
        unmanaged: BTreeSet::new(),
        marker_forged: false,
        recreated,
        observed,
    };
    judge_credentials(context, id, &object, &mut seen).await?;
    Ok(Some(seen))
}

/// Sorts live credentials into ours and nobody's. What claims name is not looked up again.
async fn judge_credentials(
    context: &Context,
    id: &IntegrationId,
    object: &ObjectRef,
    seen: &mut SeenIntegration,
) -> Result<(), Problem> {
    let Some(credentials) = &seen.observed.credentials else { return Ok(()) };
    let live = credentials.iter().filter(|one| one.live);
    let Ok((realm, key)) = context.realm_key() else {
        seen.unmanaged = live.map(|one| one.key_id.clone()).collect();
        return Ok(());
    };
    let known = known_keys(context, &seen.observed.vendor_id).await?;
    let connector = context.connector(&id.connection).await?;
    for credential in live.filter(|one| !known.contains(&one.key_id)) {
        let marker = match &credential.marker {
            Some(marker) => Some(marker.clone()),
            None => connector
                .credential(object, &credential.key_id)
                .await
                .map_err(|error| Problem::unreadable(&id.to_string(), &error))?
                .and_then(|one| one.marker),
        };
        let marker = marker.as_deref().and_then(Marker::parse);
        let vendor_id = &seen.observed.vendor_id;
        match marker {
            // Another realm's key cannot be checked here; it is somebody's, and not ours.
            Some(marker) if marker.realm == realm => {
                if !marker.is_genuine(key, &seen.tenant, vendor_id) {
                    seen.marker_forged = true;
                    seen.unmanaged.insert(credential.key_id.clone());
                }
            }
            _ => {
                seen.unmanaged.insert(credential.key_id.clone());
            }
        }
    }
    Ok(())
}

/// The keys that claims of an integration name.
pub(crate) async fn known_keys(
    context: &Context,
    vendor_id: &str,
) -> Result<BTreeSet<String>, Problem> {
    if context.custody.is_none() {
        return Ok(BTreeSet::new());
    }
    let mirrors = ClaimStore::mirrors_of(context, vendor_id).await?;
    Ok(mirrors
        .iter()
        .flat_map(|claim| claim.keys().map(str::to_owned).collect::<Vec<_>>())
        .collect())
}
