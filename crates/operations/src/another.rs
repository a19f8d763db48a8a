//! Another generation of a slot, judged before anything is done: the same for a person who asks for it
//! and for who works between applies.

use connector::{Effect, Promise, Want};
use domain::Span;
use policy::{reason::Reason, rotation::Goal};

use crate::{
    Context, Problem, SeenSlot, SlotSpec, best_grade, ends_by_itself_after, goal_of_resume,
    interrupts, judge_listed, keeps_earlier, limits, never_another, no_place, not_shown,
    observe::object_of, old_in_use, way_words, ways,
};

/// What another generation comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Another {
    /// The goal of the rotation, or of finishing the one that is under way.
    pub goal: Goal,
    /// How it is issued.
    pub way: &'static str,
    /// What that cannot do.
    pub limits: Vec<String>,
    /// How far the end of the old one can be shown at best.
    pub grade: &'static str,
    /// How long the old one is kept; `None` where it is not.
    pub kept_for: Option<Span>,
    /// How long after that its platform ends it by itself.
    pub alone: Option<Span>,
    /// The old one dies in the call that makes the new one.
    pub replaces: bool,
}

/// What another generation of a slot that was looked at comes to. `reason`: why, in the word that claims
/// and entries have.
///
/// # Errors
///
/// It cannot be issued now, or a person must say something first. Nothing was changed.
pub async fn another(
    context: &Context,
    spec: &SlotSpec,
    seen: &SeenSlot,
    reason: &str,
) -> Result<Another, Problem> {
    let keeps_none = Reason::of(reason).keeps_none();
    // An incident waits for nobody who still uses the earlier one.
    if seen.status == "held" && !(seen.still_used && keeps_none) {
        let why = if seen.still_used { "still-used" } else { "nobody wrote why" };
        return Err(Problem::new("E-HELD", "This slot waits for a person")
            .detail(format!(
                "{}: {}. Nothing was changed.",
                spec.id,
                seen.note.as_deref().unwrap_or(why)
            ))
            .next(format!("nhi recover shows what helps; then: nhi recover {}", spec.id)));
    }
    // Where it was taken back, an apply of whoever declares it delivers to another place now.
    if let Some(place) = seen.withdrawn.first().filter(|_| seen.listed) {
        return Err(Problem::new("E-STALE", "It is declared otherwise by now")
            .detail(format!(
                "{}: an apply took the secret back from {place}, so what says where it goes is \
                 older than that. Nothing was changed.",
                spec.id
            ))
            .next(format!("terraform show -json | nhi rotate {} --state -", spec.id)));
    }
    if let Some(schedule) = &spec.schedule
        && !keeps_none
        && let Some(held) = schedule.blackout_at(context.now())
    {
        return Err(Problem::new("E-BLACKOUT", "Nothing rotates during a blackout")
            .detail(format!("{}: {} until {}.", spec.id, held.reason, held.until))
            .next("run it after that; or pass --exposed if the credential is exposed"));
    }
    let (goal, _) = goal_of_resume(context, spec, seen.generation, true).await?;
    let overlap = spec.schedule.as_ref().map(|one| one.overlap);
    // What works no longer is not kept.
    let lost = seen.status == "missing" && seen.previous.is_empty();
    let at_once =
        keeps_none || spec.keeps_none() || lost || matches!(seen.status, "expired" | "exposed");
    let goal = match goal {
        Goal::Rotate { to, .. } => Goal::Rotate { to, at_once },
        other => other,
    };
    let ends = seen.previous.iter().filter_map(|one| one.retire_after).max();
    if let Goal::Rotate { to, at_once: false } = goal
        && to > seen.generation
        && seen.note.is_none()
        && seen.status != "missing"
        && ends.is_some_and(|end| end > context.now())
    {
        return Err(old_in_use(&spec.id.to_string(), ends).next(format!(
            "run it after that; or pass --exposed if {} is exposed: all of them end then",
            spec.id
        )));
    }
    let found = ways(context, &spec.id.integration.connection, spec.credential_type).await;
    if seen.key_id.is_some() {
        can_be_issued(spec, found.as_deref().unwrap_or_default())?;
    }
    let profile = found.as_ref().and_then(|all| all.first()).map(|one| one.profile);
    let replaces = profile.is_some_and(|one| one.effect == Effect::Replaces);
    let lives = seen.listed && !matches!(seen.status, "missing" | "expired" | "exposed");
    if replaces && lives && spec.consumers.refuse_interruption && !keeps_none {
        return Err(interrupts(&spec.id.to_string(), spec.credential_type.name));
    }
    let kept = |span| profile.map_or(span, |one| one.effect.kept(span));
    let kept_for = overlap.or(Some(Span::from_secs(86_400))).map(kept);
    let kept_for = kept_for.filter(|_| !at_once && !replaces);
    let anchor = spec.deliveries.iter().min_by(|a, b| a.name.cmp(&b.name));
    let at_hand = match anchor.filter(|_| seen.status != "unheld") {
        Some(anchor) => keeps_earlier(context, &anchor.connection).await,
        None => false,
    };
    let alone = match kept_for {
        Some(overlap) => {
            let (connection, of) = (&spec.id.integration.connection, spec.credential_type.name);
            ends_by_itself_after(context, connection, of, overlap, spec.consumers.refresh).await
        }
        None => None,
    };
    Ok(Another {
        goal,
        alone,
        way: profile.map_or("its platform does not say how", way_words),
        limits: profile.map(limits).unwrap_or_default(),
        grade: profile.map_or("unknown", |one| best_grade(one, at_hand).as_str()),
        kept_for: kept_for.filter(|_| seen.key_id.is_some()),
        replaces,
    })
}

/// What an apply could not do either: a new one has nowhere to go, or there is never another.
fn can_be_issued(spec: &SlotSpec, found: &[Promise]) -> Result<(), Problem> {
    if spec.deliveries.is_empty() {
        return Err(no_place(Some(&spec.id)));
    }
    if !found.is_empty() && found.iter().all(|one| one.profile.keeps_what_ended()) {
        let because = found.first().and_then(|one| one.because);
        return Err(never_another(spec.credential_type.name, because));
    }
    Ok(())
}

/// Another credential is issued for what works at this moment, and is ours.
///
/// # Errors
///
/// `E-NOT-ACTIVE`, or it is another installation's, or not all of it can be read.
pub async fn may_have_more(context: &Context, spec: &SlotSpec) -> Result<(), Problem> {
    let id = &spec.id.integration;
    let tenant = context.tenant(&id.connection).await?;
    let connector = context.connector(&id.connection).await?;
    // A shared answer may be older than the hand that switched it off. Without the vendor id: who asks
    // judges another incarnation.
    let want = Want { credentials: false, ..Want::DEED };
    let found = connector
        .read(&object_of(id, None, None), want)
        .await
        .map_err(|error| Problem::unreadable(&id.to_string(), &error))?
        .ok_or_else(|| not_shown(id))?;
    let seen = judge_listed(context, id, &tenant, &found).await?;
    seen.governed_here(context, id).await?;
    // The word that stops it may be in what was not read.
    seen.whole(id)?;
    let live = &seen.observed;
    let quarantined = live.record.as_ref().is_some_and(|record| record.quarantined.is_some());
    if !live.enabled || quarantined {
        return Err(Problem::new("E-NOT-ACTIVE", "The integration is switched off")
            .detail(format!("{id}: what may not act gets no new credential. Nothing was changed."))
            .next("set enabled = true and apply, if it is to work"));
    }
    Ok(())
}
