//! What somebody wrote over a delivered document is taken for the current secret, by a person's word.

use connector::Probe;
use domain::{Action, Direction, Marker, Secret};
use ledger::Work;
use policy::{
    change::{self, Value, impact::Facts},
    rotation::{Claim, Phase, Previous},
};
use secrets::{Document, Expect, Sink, SinkError};

use crate::{
    Context, Deed, Delivery, Problem, SlotSpec,
    beside::write_mirror,
    claim::{ClaimDocument, ClaimStore},
    credential::object,
    document::{Meta, compose, secret_in},
    ourselves::not_our_key,
    places::custody_place,
    review::{Asked, BY_RULES, pass_by_hand, surroundings},
    rotate::mark_of,
    slot::Sinks,
};

/// The hold that this is about.
const CHANGED: &str = "sink-changed-by-others";

/// A document that no rotation of ours wrote, where one of ours is to go.
struct Theirs {
    index: usize,
    document: Document,
    version: u64,
}

/// Takes what stands in a sink for the slot's new secret, in the place of the one that was to be written
/// there, which is kept for an overlap: somebody may have read it elsewhere. The rotation that was held
/// then goes on with it, and nothing that a person made is ended.
///
/// # Errors
///
/// It is not held for that, or what stands there is no credential of this integration that works, or not
/// one that a slot may take. Nothing was changed then.
pub async fn keep_sink(context: &Context, spec: &SlotSpec) -> Result<(), Problem> {
    context.ready(Work::Begins).await?;
    let _turn = context.turns.take(&spec.id.integration.to_string()).await;
    let what = spec.id.to_string();
    let store = ClaimStore::of(context, spec).await?;
    let held = store.read().await?.filter(|document| {
        document.claim.phase == Phase::Held && document.claim.hold.as_deref() == Some(CHANGED)
    });
    let Some(held) = held else {
        return Err(Problem::new("E-NOTHING-OPEN", "Nobody's document is in the way there")
            .detail(format!("{what}: it does not wait for whose document stays."))
            .next(format!("nhi recover says what is open; without --keep: nhi recover {what}")));
    };
    let sinks = Sinks::open(context, spec).await?;
    let theirs = only_theirs(context, spec, &sinks, &held.claim).await?;
    let (delivery, sink) = &sinks.0[theirs.index];
    let (key_id, secret) = taken(context, spec, &store, &held, delivery, &theirs.document).await?;
    let deed = Deed {
        object: what.clone(),
        tenant: context.tenant(&spec.id.integration.connection).await?,
        action: "adopt",
        before: held.claim.new.clone().unwrap_or_default(),
        after: key_id.clone(),
        direction: Direction::Unknown,
    };
    // Somebody's own key takes the place of the one that a board let be issued.
    let asked = adopting(context, spec, &held.claim, &deed).await?;
    let leave = pass_by_hand(context, &asked, BY_RULES).await?;
    let found = Found { held, theirs, key_id, secret };
    let done = kept(context, spec, &store, (delivery, &**sink), found, &deed).await;
    if let Some(leave) = leave {
        leave.ended(context, done.as_ref().err().map(|problem| problem.code), false).await;
    }
    done
}

/// What was found where it is to be kept.
struct Found {
    held: ClaimDocument,
    theirs: Theirs,
    key_id: String,
    secret: Secret,
}

/// The change that it is, as a board reads it.
async fn adopting(
    context: &Context,
    spec: &SlotSpec,
    claim: &Claim,
    deed: &Deed,
) -> Result<Asked, Problem> {
    let around = surroundings(context, &spec.id.integration).await?;
    let key = |id: &str| Value::map([("key_id", Value::text(id))]);
    Ok(Asked {
        object: deed.object.clone(),
        change: change::Change {
            tenant: deed.tenant.clone(),
            kind: "nhi_credential".to_owned(),
            object: format!("{}/{}/{}", spec.id.integration.kind, spec.vendor_id, spec.id.name),
            action: change::Action::Adopt,
            generation: i64::try_from(claim.generation).unwrap_or(i64::MAX),
            before: key(&deed.before),
            after: key(&deed.after),
        },
        facts: Facts {
            direction: deed.direction,
            // What it may do is its integration's.
            action_before: Some(Action::None),
            action_after: Some(Action::None),
            environment: around.environment,
            execution_mode: around.execution_mode,
            takes_last_credential: false,
            removes_owner: false,
        },
        why: vec![format!("the key {} that somebody else delivered is taken over", deed.after)],
        owners: around.owners,
    })
}

async fn kept(
    context: &Context,
    spec: &SlotSpec,
    store: &ClaimStore,
    (delivery, sink): (&Delivery, &dyn Sink),
    Found { held, theirs, key_id, secret }: Found,
    deed: &Deed,
) -> Result<(), Problem> {
    let what = spec.id.to_string();
    let (realm, key) = context.realm_key()?;
    let auth = context.gate.authorize(deed)?.auth().to_owned();
    let claim = Claim { auth, ..with_theirs(held.claim, &key_id, context) };
    let entry = context.entry("rotation.sink_kept", &what);
    context.journal(entry.detail("key", key_id.clone()).detail("sink", delivery.place())).await?;
    let raced = || not_kept(&what, "somebody was at work on it meanwhile");
    match store.write(&claim, Some(&secret), Some(held.version)).await {
        Ok(_) => {}
        Err(SinkError::Conflict { .. }) => return Err(raced()),
        Err(error) => return Err(error.into()),
    }
    // From here on it counts as delivered: whoever goes on brings it to the other places, and gives
    // nothing up that a person made.
    let meta = Meta {
        realm: realm.to_owned(),
        slot: what.clone(),
        vendor_id: spec.vendor_id.clone(),
        generation: claim.generation,
        epoch: claim.epoch,
        key_id,
        fingerprint: key.fingerprint(&secret).to_string(),
        promoted_at: Some(context.now()),
        previous: claim.previous.clone(),
        revoked: false,
        withdrawn: false,
        custody: custody_place(context).await,
    };
    let keep = delivery.merge.then_some(theirs.document);
    let document =
        compose(spec.credential_type, &delivery.fields, &spec.vendor_id, &secret, &meta, keep);
    match sink.write(&delivery.path, &document, Expect::Version(theirs.version)).await {
        Ok(version) => {
            let mirror = meta.mirror(version.number);
            write_mirror(sink, &delivery.path, &mirror, version.number)
                .await
                .map_err(|error| delivery.problem(error))
        }
        Err(SinkError::Conflict { .. }) => Err(raced()),
        Err(error) => Err(delivery.problem(error)),
    }
}

fn not_kept(what: &str, why: &str) -> Problem {
    Problem::new("E-KEEP-SINK", "What stands in the sink cannot be the current credential")
        .detail(format!("{what}: {why}. Nothing was overwritten, and both credentials still work."))
        .next(format!(
            "nhi recover {what} --keep ours writes the new credential over it; to leave it, give deliver_to \
             another path and apply"
        ))
        .at(&["deliver_to"])
}

/// The one document that is not as the claim found it, and not ours.
async fn only_theirs(
    context: &Context,
    spec: &SlotSpec,
    sinks: &Sinks,
    claim: &Claim,
) -> Result<Theirs, Problem> {
    let (realm, _) = context.realm_key()?;
    let what = spec.id.to_string();
    let mut all = Vec::new();
    for (index, (delivery, sink)) in sinks.0.iter().enumerate() {
        let stored = delivery.read(&**sink).await?;
        let Some((document, version)) = stored.and_then(|one| Some((one.document?, one.version)))
        else {
            continue;
        };
        let place = delivery.place();
        let then = claim.mains_at.get(&place).zip(version.created_at.as_ref());
        let as_found = claim.mains.get(&place) == Some(&version.number)
            && then.is_none_or(|(then, now)| then == now);
        let ours = Meta::of(&document).is_some_and(|meta| {
            meta.ours(realm, &what, &spec.vendor_id) && meta.generation == claim.generation
        });
        if !as_found && !ours {
            all.push(Theirs { index, document, version: version.number });
        }
    }
    match all.len() {
        1 => Ok(all.remove(0)),
        0 => Err(not_kept(&what, "no document there is anybody else's any more")),
        _ => Err(not_kept(&what, "somebody wrote over more than one of its documents")),
    }
}

/// The key that the document's secret is of: one of this integration's that its platform lists, that works,
/// and that no other slot or installation has.
async fn taken(
    context: &Context,
    spec: &SlotSpec,
    store: &ClaimStore,
    held: &ClaimDocument,
    delivery: &Delivery,
    document: &Document,
) -> Result<(String, Secret), Problem> {
    let what = spec.id.to_string();
    let no = |why: &str| Err(not_kept(&what, &format!("{}: {why}", delivery.place())));
    let Some(secret) = secret_in(spec.credential_type, &delivery.fields, document) else {
        return no("the document holds no secret where one of this type stands");
    };
    let connector = context.connector(&spec.id.integration.connection).await?;
    let unreadable = |error: connector::Error| Problem::unreadable(&what, &error);
    let (object, of) = (object(spec), spec.credential_type.name);
    let found = connector.find(&object, of, &secret).await.map_err(unreadable)?;
    let listing = connector.credentials(&object).await.map_err(unreadable)?;
    let listed = found.and_then(|found| {
        let is_it = |one: &&domain::ObservedCredential| one.key_id == found.key_id && one.live;
        listing.credentials.iter().find(is_it)
    });
    let Some(listed) = listed else {
        return no("its platform lists no live credential of this integration with that secret");
    };
    let claim = &held.claim;
    if Some(&listed.key_id) == claim.new.as_ref() {
        return no("it is the new credential itself: --keep ours delivers that");
    }
    if Some(&listed.key_id) == claim.current.as_ref() {
        return no("it is the credential that this rotation follows");
    }
    not_our_key(context, &spec.id.integration, &listed.key_id).await?;
    let (realm, key) = context.realm_key()?;
    let tenant = context.tenant(&spec.id.integration.connection).await?;
    let marked = listed.marker.as_deref().and_then(Marker::parse).is_some();
    let ours = mark_of(realm, key, &tenant, spec, listed).is_some();
    let elsewhere = store.siblings().await?;
    if marked && !ours || elsewhere.iter().any(|one| one.keys().any(|key| key == listed.key_id)) {
        return no("it is the credential of another slot, or of another installation");
    }
    match connector.probe(&object, of, &secret).await.map_err(unreadable)? {
        Probe::Accepted { .. } => Ok((listed.key_id.clone(), secret)),
        Probe::Refused { .. } => no("it is refused at its platform"),
    }
}

/// The claim of the rotation with their key in the place of ours, which becomes an earlier one: it has its
/// overlap from the last promote on.
fn with_theirs(claim: Claim, key_id: &str, context: &Context) -> Claim {
    let mut previous = claim.previous.clone();
    previous.retain(|one| one.key_id != key_id);
    if let Some(ours) = &claim.new {
        let one = Previous::new(ours, claim.generation);
        previous.push(Previous { epoch: Some(claim.epoch), ..one });
    }
    Claim {
        owner: context.run.id.clone(),
        new: Some(key_id.to_owned()),
        previous,
        undelivered: None,
        ..claim
    }
}
