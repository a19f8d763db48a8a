//! Keys of a call that came late: they bear a slot's own mark, under an epoch that is over, and its books
//! name them nowhere. Nobody has their secret, so whoever does the next deed on the slot ends them.

use connector::{Connector, Freshness, Marks};
use domain::ObservedCredential;

use crate::{
    Context, Problem, SlotSpec,
    claim::{ClaimMirror, ClaimStore},
    observe::object_of,
    rotate::mark_of,
};

/// Whether a key that bears a genuine mark of a slot came too late for it: it was called for under an epoch
/// that was over when the current one of the same generation was. A mark under which a key of ours was
/// delivered may have been copied, and makes nothing ours. While somebody is at work it may be theirs; what
/// was ended and is shown again is another matter; and where all that there was is ended, no deed is to come
/// that would end it.
pub(crate) fn came_late(book: &ClaimMirror, key_id: &str, mark: (u64, u64)) -> bool {
    let (generation, epoch) = mark;
    let at_rest = !book.is_open() && book.current.is_some();
    let before = book.current_epoch.is_some_and(|current| epoch < current);
    at_rest && before && generation == book.generation && !known(book, key_id)
}

/// A book names it, or remembers that it ended.
fn known(book: &ClaimMirror, key_id: &str) -> bool {
    book.keys().any(|one| one == key_id) || book.proofs.ended.iter().any(|one| one.key_id == key_id)
}

/// Those of a slot, among what its platform lists. Where every key that is listed is named by the slot's own
/// claim, or bears a mark, nothing is asked.
pub(crate) async fn late_keys(
    context: &Context,
    connector: &dyn Connector,
    spec: &SlotSpec,
    tenant: &str,
    (book, freshness): (&ClaimMirror, Freshness),
    listed: &[ObservedCredential],
) -> Result<Vec<String>, Problem> {
    let marks = |one: &connector::Profile| one.marks != Marks::Never;
    if book.is_open() || !spec.credential_type.profiles.iter().any(marks) {
        return Ok(Vec::new());
    }
    let (realm, key) = context.realm_key()?;
    let late = |one: &ObservedCredential| {
        let mark = mark_of(realm, key, tenant, spec, one);
        mark.is_some_and(|mark| came_late(book, &one.key_id, mark))
    };
    let unknown = listed.iter().filter(|one| one.stands() && !known(book, &one.key_id));
    let (marked, mut bare): (Vec<_>, Vec<_>) = unknown.partition(|one| one.marker.is_some());
    let mut found: Vec<String> =
        marked.into_iter().filter(|one| late(one)).map(|one| one.key_id.clone()).collect();
    if bare.is_empty() {
        return Ok(found);
    }
    let books = ClaimStore::mirrors_of(context, tenant, &spec.vendor_id, freshness).await?;
    bare.retain(|one| !books.iter().any(|book| known(book, &one.key_id)));
    let object = object_of(&spec.id.integration, None, None);
    for one in bare {
        // What cannot be told now the look at the integration tells, as a gap or as nobody's.
        let asked = connector.credential(&object, &one.key_id).await.ok().flatten();
        found.extend(asked.filter(late).map(|one| one.key_id));
    }
    Ok(found)
}
