//! Taking a secret back out of a sink that a slot no longer delivers to: compare and delete.

use std::collections::BTreeMap;

use domain::Secret;
use ledger::Work;
use secrets::{Document, Expect, SinkError};

use crate::{
    Context, Delivery, Problem, SlotSpec,
    document::{META, Meta},
};

/// Removes what a slot wrote to places that it no longer delivers to, where that still stands
/// there, and tells which places were left alone because somebody wrote over them.
///
/// The document stays with our own facts, marked as revoked, and without the secret; fields of
/// others stay where the delivery was merged. The version that held the secret is destroyed.
///
/// # Errors
///
/// A sink refused or did not answer; the next apply tries again.
pub async fn withdraw(
    context: &Context,
    spec: &SlotSpec,
    gone: &[Delivery],
) -> Result<Vec<String>, Problem> {
    context.ready(Work::Ends).await?;
    let what = spec.id.to_string();
    let (realm, _) = context.realm_key()?;
    let mut left = Vec::new();
    for delivery in gone {
        let sink = context
            .sink(&delivery.connection)
            .await
            .map_err(|problem| problem.at(&["deliver_to"]))?;
        let Some(stored) = sink.read(&delivery.path).await.map_err(gone_from)? else { continue };
        let Some(document) = stored.document else { continue };
        let ours = Meta::of(&document).filter(|meta| meta.ours(realm, &what, &spec.vendor_id));
        let Some(meta) = ours else {
            left.push(delivery.place());
            continue;
        };
        let meta = Meta { revoked: true, ..meta };
        let bare = without_secret(spec, delivery, document, &meta);
        let number = stored.version.number;
        match sink.write(&delivery.path, &bare, Expect::Version(number)).await {
            Ok(written) => {
                sink.write_mirror(&delivery.path, &meta.mirror(written.number))
                    .await
                    .map_err(gone_from)?;
                if sink.capabilities().keeps_versions {
                    sink.destroy_version(&delivery.path, number).await.map_err(gone_from)?;
                }
                let entry = context
                    .entry("rotation.withdrawn", &what)
                    .detail("sink", delivery.place())
                    .detail("version", written.number);
                context.note(entry).await;
            }
            Err(SinkError::Conflict { .. }) => left.push(delivery.place()),
            Err(error) => return Err(gone_from(error)),
        }
    }
    Ok(left)
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
