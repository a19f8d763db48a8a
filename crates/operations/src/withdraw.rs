//! Taking a secret back out of a sink that a slot no longer delivers to: compare and delete.

use std::collections::BTreeMap;

use domain::Secret;
use ledger::Work;
use secrets::{Document, Expect, Sink, SinkError};

use crate::{
    Context, Delivery, Problem, SlotSpec,
    beside::write_mirror,
    document::{META, Meta},
};

/// What could not be taken back.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct NotTakenBack {
    /// Places that were left alone because somebody wrote over them.
    pub written_over: Vec<String>,
    /// Places whose sink destroys no version: the document is without the secret, and earlier versions
    /// of it are not.
    pub in_earlier_versions: Vec<String>,
}

/// Removes what a slot wrote to places that it no longer delivers to, where that still stands
/// there, and tells what is left.
///
/// The document stays with our own facts, marked as withdrawn, and without the secret; fields of
/// others stay where the delivery was merged. Every earlier version of ours is destroyed where the
/// sink can: a copy that was written again, or an overlap, leaves live secrets in more than one.
///
/// # Errors
///
/// A sink refused or did not answer; the next apply goes on from there.
pub async fn withdraw(
    context: &Context,
    spec: &SlotSpec,
    gone: &[Delivery],
) -> Result<NotTakenBack, Problem> {
    context.ready(Work::Ends).await?;
    let what = spec.id.to_string();
    let (realm, _) = context.realm_key()?;
    let mut left = NotTakenBack::default();
    for delivery in gone {
        let sink = context
            .sink(&delivery.connection)
            .await
            .map_err(|problem| problem.at(&["deliver_to"]))?;
        let stored = delivery.read(&*sink).await.map_err(|one| one.at(&["deliver_to"]))?;
        let Some(stored) = stored else { continue };
        let Some(document) = stored.document else { continue };
        let ours = Meta::of(&document).filter(|meta| meta.ours(realm, &what, &spec.vendor_id));
        let Some(meta) = ours else {
            left.written_over.push(delivery.place());
            continue;
        };
        let meta = Meta { withdrawn: true, ..meta };
        let bare = without_secret(spec, delivery, document.duplicate(), &meta);
        let mut number = stored.version.number;
        // A run that was stopped here may have written it already.
        if bare.0 != document.0 {
            match sink.write(&delivery.path, &bare, Expect::Version(number)).await {
                Ok(written) => number = written.number,
                Err(SinkError::Conflict { .. }) => {
                    left.written_over.push(delivery.place());
                    continue;
                }
                Err(error) => return Err(gone_from(error)),
            }
        }
        if sink.capabilities().destroys_versions {
            forget(&*sink, delivery, realm, &what, number).await.map_err(gone_from)?;
        } else {
            left.in_earlier_versions.push(delivery.place());
        }
        write_mirror(&*sink, &delivery.path, &meta.mirror(number), number)
            .await
            .map_err(gone_from)?;
        let entry = context
            .entry("rotation.withdrawn", &what)
            .detail("sink", delivery.place())
            .detail("version", number);
        context.note(entry).await;
    }
    Ok(left)
}

/// Destroys the versions of a slot's document before this one. What is deleted and can be brought
/// back cannot be read: it is the slot's where the whole document is.
async fn forget(
    sink: &dyn Sink,
    delivery: &Delivery,
    realm: &str,
    slot: &str,
    number: u64,
) -> secrets::Result<()> {
    let kept = sink.kept_versions(&delivery.path).await?;
    for earlier in kept.into_iter().filter(|kept| *kept < number) {
        let ours = match sink.read_version(&delivery.path, earlier).await? {
            Some(document) => Meta::of(&document).is_some_and(|meta| meta.of_slot(realm, slot)),
            None => !delivery.merge,
        };
        if ours {
            sink.destroy_version(&delivery.path, earlier).await?;
        }
    }
    Ok(())
}

/// It is declared no longer: there is no line of its own to point at.
fn gone_from(error: SinkError) -> Problem {
    Problem::from(error).at(&["deliver_to"])
}

/// What is left of a document: the fields of others where they were kept, and our facts.
fn without_secret(
    spec: &SlotSpec,
    delivery: &Delivery,
    document: Document,
    meta: &Meta,
) -> Document {
    let mut rest: BTreeMap<String, Secret> =
        if delivery.merge { document.0 } else { BTreeMap::new() };
    if delivery.fields.is_empty() {
        for (name, _) in spec.credential_type.main {
            rest.remove(*name);
        }
    } else {
        rest.retain(|name, _| !delivery.fields.contains_key(name));
    }
    rest.insert(META.to_owned(), Secret::new(meta.to_json()));
    Document(rest)
}
