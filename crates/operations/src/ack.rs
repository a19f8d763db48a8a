//! A consumer says that it has what was delivered: whoever is not seen to use an earlier credential, and has
//! said that it holds the next one, is waited for no longer.

use connector::Freshness;
use policy::{overlap::unread_until, rotation::Claim};
use secrets::SinkError;

use crate::{
    Context, Delivery, Problem, SeenSlot, Sinks, SlotSpec,
    claim::{ClaimDocument, ClaimStore},
    document::Meta,
    duty::catch_up,
    slot::look_at_slot,
};

/// What a word of a consumer came to.
#[derive(Debug, Clone)]
pub struct Acknowledged {
    /// The places of which it was said, by name; those of which it was said before too.
    pub said: Vec<String>,
    /// The places whose consumers have said nothing of this generation yet, by name.
    pub open: Vec<String>,
    /// The slot as it is now.
    pub seen: SeenSlot,
}

/// Writes down that who reads a slot's places, or one of them by its name, holds a generation. Nothing is
/// ended here: whoever runs next ends what nobody is waited for any more.
///
/// # Errors
///
/// That is not what is delivered there, or somebody is at work on the slot. Nothing was written.
pub async fn acknowledge(
    context: &Context,
    spec: &SlotSpec,
    place: Option<&str>,
    generation: u64,
) -> Result<Acknowledged, Problem> {
    context.may_change()?;
    let _turn = context.turns.take(&spec.id.integration.to_string()).await;
    let named = deliveries(spec, place)?;
    let store = ClaimStore::of(context, spec).await?;
    let document = store.read().await?.ok_or_else(|| nothing_delivered(spec))?;
    at_rest(spec, &document.claim, generation)?;
    let (realm, _) = context.realm_key()?;
    for (delivery, sink) in &Sinks::open(context, spec).await?.0 {
        if !named.iter().any(|one| one.name == delivery.name) {
            continue;
        }
        let look = sink.look(&delivery.path).await.map_err(|error| delivery.problem(error))?;
        let meta = look.as_ref().filter(|look| !look.deleted).and_then(|look| {
            let (meta, of) = Meta::from_mirror(&look.mirror)?;
            (of == look.version.number).then_some(meta)
        });
        let holds = meta.is_some_and(|meta| {
            meta.ours(realm, &spec.id.to_string(), &spec.vendor_id)
                && meta.is_in_force()
                && meta.generation == generation
        });
        if !holds {
            return Err(not_there(spec, delivery, generation));
        }
    }
    let ClaimDocument { claim: before, pending, version, .. } = document;
    let mut claim = before.clone();
    for one in &named {
        claim.confirmed.say(&one.place(), generation);
    }
    if claim != before {
        match store.write(&claim, pending.as_ref(), Some(version)).await {
            Ok(_) => {}
            Err(SinkError::Conflict { .. }) => return Err(busy(spec)),
            Err(error) => return Err(error.into()),
        }
        let places: Vec<String> = named.iter().map(|one| one.place()).collect();
        let entry = context
            .entry("consumer.acknowledged", &spec.id.to_string())
            .detail("generation", generation)
            .detail("places", serde_json::json!(places));
        context.note(entry).await;
    }
    let seen = look_at_slot(context, spec, Freshness::Fresh).await?;
    let seen = seen.ok_or_else(|| crate::not_shown(&spec.id.integration))?;
    catch_up(context, spec, &seen).await;
    let open =
        spec.deliveries.iter().filter(|one| !claim.confirmed.holds(&one.place(), generation));
    Ok(Acknowledged {
        said: named.iter().map(|one| one.name.clone()).collect(),
        open: open.map(|one| one.name.clone()).collect(),
        seen,
    })
}

/// The places that are meant: all of the slot's, or the one of that name.
fn deliveries<'a>(spec: &'a SlotSpec, place: Option<&str>) -> Result<Vec<&'a Delivery>, Problem> {
    let all = spec.deliveries.iter();
    let named: Vec<&Delivery> =
        all.filter(|one| place.is_none_or(|place| place == one.name)).collect();
    if !named.is_empty() {
        return Ok(named);
    }
    let names: Vec<&str> = spec.deliveries.iter().map(|one| one.name.as_str()).collect();
    Err(Problem::new("E-UNDECLARED", "Nothing is delivered there")
        .detail(format!(
            "{}: {}; its places in deliver_to are: {}. Nothing was written down.",
            spec.id,
            place.map_or_else(|| "it has no place".to_owned(), |place| format!("no {place:?}")),
            names.join(", ")
        ))
        .next("name one of them with --place, or none for all of them"))
}

fn at_rest(spec: &SlotSpec, claim: &Claim, generation: u64) -> Result<(), Problem> {
    if claim.phase.is_open() && !claim.phase.is_about_earlier() {
        return Err(busy(spec));
    }
    if claim.current.is_none() {
        return Err(nothing_delivered(spec));
    }
    if claim.generation == generation {
        return Ok(());
    }
    let (what, next) = match claim.generation > generation {
        true => ("was followed by", "let the consumer read what is delivered now, and say that"),
        false => ("is not there; what is delivered is", "say which one the consumer has read"),
    };
    Err(Problem::new("E-STALE", "That is not the credential that is delivered")
        .detail(format!(
            "{}: generation {generation} {what} {}. Nothing was written down.",
            spec.id, claim.generation
        ))
        .next(next))
}

fn nothing_delivered(spec: &SlotSpec) -> Problem {
    Problem::new("E-NOT-DELIVERED", "Nothing is delivered of this credential")
        .detail(format!("{}: custody names none that is in force.", spec.id))
        .next("terraform plan")
}

fn not_there(spec: &SlotSpec, delivery: &Delivery, generation: u64) -> Problem {
    Problem::new("E-NOT-DELIVERED", "This secret is not where it was delivered")
        .detail(format!(
            "{}: generation {generation} is not in {}, so nobody has read it there. Nothing was written \
             down.",
            spec.id,
            delivery.place()
        ))
        .next("terraform plan says what is to be done for it; then let the consumer read it")
        .at(&["deliver_to", &delivery.name])
}

fn busy(spec: &SlotSpec) -> Problem {
    Problem::new("E-BUSY", "Somebody else is at work on this credential")
        .detail(format!("{}: another one is being made. Nothing was written down.", spec.id))
        .next("say it again when that run has ended")
}

/// Until when an earlier key is kept for consumers that nobody sees, where its overlap is over: each with
/// that time.
pub(crate) fn kept_unread(
    previous: &[policy::rotation::Previous],
    usage: &policy::overlap::Usage,
    now: domain::Now,
    is_live: impl Fn(&str) -> bool,
) -> Vec<(String, jiff::Timestamp)> {
    let kept = previous.iter().filter(|one| one.cut.is_none() && is_live(&one.key_id));
    kept.filter_map(|one| {
        let not_before = one.retire_not_before.filter(|at| now.is_past(*at))?;
        let until = unread_until(Some(not_before), usage.known(&one.key_id), &usage.terms)?;
        (!now.is_past(until)).then(|| (one.key_id.clone(), until))
    })
    .collect()
}
