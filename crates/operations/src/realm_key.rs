//! Whether the realm's key is the one that our marks were made with.
//!
//! Under another key every mark of ours looks forged and every credential of ours nobody's. What was
//! written with a key names it: the integration's record at the platform, each claim in custody, and
//! each document in a consumer's sink. Whatever of that is read anyway is compared before anything is
//! judged or done by it.

use domain::{Fingerprint, Record};

use crate::{Context, Problem, claim::ClaimStore};

/// That a key which is named somewhere is the one that is here. Where none is named, or none is here,
/// nothing is said.
pub(crate) fn is_ours(
    context: &Context,
    named: Option<&str>,
    said_by: impl FnOnce() -> String,
) -> Result<(), Problem> {
    let key = context.realm.as_deref().and_then(|realm| realm.key.as_ref());
    let (Some(key), Some(named)) = (key, named.filter(|named| !named.is_empty())) else {
        return Ok(());
    };
    if key.id() == named {
        return Ok(());
    }
    let place = key.place().unwrap_or("what realm.key in nhi.hcl names");
    Err(Problem::new("E-REALM-KEY", "This is not the realm's key")
        .detail(format!(
            "The key in {place} has the id {}. {} was written with the realm's key {named}. Under \
             another key our own marks look forged, and what is ours looks like nobody's: nothing was \
             judged and nothing was changed.",
            key.id(),
            said_by()
        ))
        .next(format!(
            "put the key with the id {named} back into {place}, from where it was kept when nhi init \
             made it; nhi doctor shows the id of the one that is there. If it is lost for good: nhi \
             init in an empty folder makes another installation; clear the record at the platform, and import \
             there"
        )))
}

/// That an integration's record, if it is this realm's, was written with this key.
pub(crate) fn wrote_record(
    context: &Context,
    what: &str,
    record: Option<&Record>,
) -> Result<(), Problem> {
    let realm = context.realm.as_deref().map(|realm| realm.id.as_str());
    let record = record.filter(|record| record.realm.as_deref() == realm);
    let named = record.and_then(|record| record.realm_key.as_deref());
    is_ours(context, named, || format!("The record of {what}"))
}

/// That a document in a consumer's sink was written with this key.
pub(crate) fn made_print(context: &Context, print: &str, place: &str) -> Result<(), Problem> {
    is_ours(context, Fingerprint::key_id(print), || format!("The document at {place}"))
}

/// The id of the key that is here, for what is written with it.
pub(crate) fn id(context: &Context) -> Option<String> {
    let key = context.realm.as_deref()?.key.as_ref()?;
    Some(key.id().to_owned())
}

/// That all of custody was written with this key: one look at its folder.
///
/// # Errors
///
/// `E-REALM-KEY`, or custody cannot be read.
pub async fn fits_custody(context: &Context) -> Result<(), Problem> {
    ClaimStore::written_with_our_key(context).await
}
