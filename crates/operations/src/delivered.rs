//! Reading a secret where it was delivered, for whoever hands it on and stores it nowhere.

use std::collections::BTreeSet;

use domain::CredentialId;
use secrets::Document;

use crate::{
    Context, Delivery, Problem, Sinks, SlotSpec,
    document::{META, Meta},
};

/// A delivered document, and which version of it.
#[derive(Debug)]
pub struct Delivered {
    /// The consumer's fields, without what nhi says of them.
    pub document: Document,
    /// The sink's version.
    pub version: u64,
    /// The vendor's id of the credential.
    pub key_id: String,
}

/// Reads the document of one generation of a slot. Another slot's, another generation's or a
/// withdrawn one is never handed out in its place.
///
/// # Errors
///
/// It is not there, not this one, or cannot be read.
pub async fn read_delivered(
    context: &Context,
    slot: &CredentialId,
    generation: u64,
    delivery: &Delivery,
) -> Result<Delivered, Problem> {
    let place = delivery.place();
    let not_this = |why: String| {
        Problem::new("E-NOT-DELIVERED", "This secret is not where it was delivered")
            .detail(format!("{place}: {why}"))
            .next("run terraform plan: it says what is to be done for this credential, and apply delivers it again")
            .at(&["credential"])
    };
    let sink = context.sink(&delivery.connection).await?;
    let stored = sink.read(&delivery.path).await.map_err(|error| delivery.problem(error))?;
    let Some((mut document, version)) =
        stored.and_then(|stored| Some((stored.document?, stored.version.number)))
    else {
        return Err(not_this("nothing is there.".into()));
    };
    let realm = context.realm.as_deref().map(|realm| realm.id.as_str()).unwrap_or_default();
    let key_id = match Meta::of(&document).filter(|meta| meta.of_slot(realm, &slot.to_string())) {
        None => return Err(not_this(format!("what is there was not delivered for {slot}."))),
        Some(meta) if meta.revoked => return Err(not_this("its secret was revoked.".into())),
        Some(meta) if meta.withdrawn => {
            return Err(not_this(
                "its secret was taken out: it is delivered there no more.".into(),
            ));
        }
        Some(meta) if meta.generation != generation => {
            return Err(not_this(format!(
                "generation {} is there, and not {generation}: it was rotated since.",
                meta.generation
            )));
        }
        Some(meta) => meta.key_id,
    };
    document.0.remove(META);
    Ok(Delivered { document, version, key_id })
}

/// Where a delivered document is not the one that a rotation writes, in names of fields alone: its
/// place, what it lacks of ours, and what it has besides. Where fields of others are kept, these are
/// no difference.
///
/// # Errors
///
/// A sink cannot be read.
pub async fn other_fields(
    context: &Context,
    spec: &SlotSpec,
) -> Result<Vec<(String, Vec<String>, Vec<String>)>, Problem> {
    let mut different = Vec::new();
    for (delivery, sink) in &Sinks::open(context, spec).await?.0 {
        let stored = delivery.read(&**sink).await?.and_then(|stored| stored.document);
        let there: BTreeSet<String> =
            stored.map(|document| document.0.into_keys().collect()).unwrap_or_default();
        let mut ours: BTreeSet<String> = match delivery.fields.is_empty() {
            true => spec.credential_type.main.iter().map(|(name, _)| (*name).to_owned()).collect(),
            false => delivery.fields.keys().cloned().collect(),
        };
        ours.insert(META.to_owned());
        let lacks: Vec<String> = ours.difference(&there).cloned().collect();
        let more = there.difference(&ours).filter(|_| !delivery.merge).cloned();
        let more: Vec<String> = more.collect();
        if !lacks.is_empty() || !more.is_empty() {
            different.push((delivery.place(), lacks, more));
        }
    }
    Ok(different)
}
