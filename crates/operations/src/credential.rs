//! Carrying out what a slot needs: a rotation, an ending, a copy.

use connector::{Change, Children, Freshness, Mints, Refusal, Want};
use domain::{CredentialId, Marker, ObservedCredential, RealmKey, Record, Span};
use jiff::Timestamp;
use ledger::Work;
use policy::{
    proof::Grade,
    reason::Reason,
    rotation::{Claim, Goal, Phase, Previous},
};
use secrets::{Document, Expect, Sink};

use crate::{
    Context, Delivery, Problem,
    beside::write_mirror,
    claim::{ClaimDocument, ClaimStore},
    decommission::not_stopped,
    document::{Meta, compose, matches, secret_in},
    drift::schedule_json,
    duty,
    elsewhere::{governed_here, import_of, is_elsewhere, who_has_it},
    form,
    observe::object_of,
    places::custody_place,
    proof::children_words,
    rotate::{Machine, empty, further, mark_of, occupied, occupied_by_others},
    scopes::record_turn,
    signals,
    slot::{PreviousKey, SeenDelivery, Sinks, SlotSpec, look_at_slot},
};

/// A key that was ended, and how far that was shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revoked {
    /// The vendor's id.
    pub key_id: String,
    /// How far it was proven.
    pub grade: Grade,
    /// How far that could have been, as it was known when the ending began.
    pub at_best: Grade,
    /// When it was first seen to be refused, and when last.
    pub refused_at: Option<(Timestamp, Timestamp)>,
    /// What became of what was minted from it.
    pub children: Children,
    /// It had ended before, and was looked at once more.
    pub again: bool,
    /// How it was shown.
    pub how: How,
}

/// How an end was shown: what a grade alone does not say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct How {
    /// What is minted from it: tokens, or sessions.
    pub mints: Mints,
    /// On how many of the places where it lets somebody in it was tried, and how many there are.
    pub surfaces: (u32, u32),
    /// What kind of address it was tried at: `loopback`, `private`, `public`, or `unknown`.
    pub from: &'static str,
    /// Where its secret was when it was tried, as `sink version 3`; `none` where it was not.
    pub holder: String,
    /// How long after its end was asked for it was first refused; `None` where that was not seen.
    pub time_to_stop: Option<Span>,
    /// `fenced` where the platform fences a late call of the rotation, `timed` where only time does.
    pub safety: &'static str,
}

impl Revoked {
    /// Until when something that was minted from it may live.
    pub fn residual_until(&self) -> Option<Timestamp> {
        match self.children {
            Children::Residual(until) => until,
            _ => None,
        }
    }

    /// How far it was proven, in words: `A, residual until …` while something that was minted may live.
    pub fn grade_words(&self) -> String {
        self.grade.words(self.residual_until())
    }

    /// What became of tokens that were minted from it, in words: `none`, `swept 2`, `residual until …`,
    /// `unknown`.
    pub fn children_words(&self) -> String {
        match self.how.mints {
            Mints::Tokens => children_words(&self.children),
            Mints::Sessions => "none".to_owned(),
        }
    }

    /// What became of sessions that began with it: `none`, `terminated 2`, `unknown`.
    pub fn sessions_words(&self) -> String {
        match (self.how.mints, self.children) {
            (Mints::Sessions, Children::None) => "none".to_owned(),
            (Mints::Sessions, Children::Swept(count)) => format!("terminated {count}"),
            _ => "unknown".to_owned(),
        }
    }

    /// What stands beside the grade, by name, wherever it is told.
    pub fn modifiers(&self) -> Vec<(&'static str, String)> {
        let (shown, all) = self.how.surfaces;
        let mut said = vec![
            ("children", self.children_words()),
            ("sessions", self.sessions_words()),
            ("surfaces", format!("{shown} of {all}")),
            ("from", self.how.from.to_owned()),
            ("holder", self.how.holder.clone()),
            ("safety", self.how.safety.to_owned()),
        ];
        said.extend(self.how.time_to_stop.map(|span| ("time_to_stop", span_words(span))));
        said
    }
}

/// A length of time, `0s` too.
fn span_words(span: Span) -> String {
    if span == Span::ZERO { "0s".to_owned() } else { span.to_string() }
}

/// What a slot came to.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The current key; `None` after an ending.
    pub key_id: Option<String>,
    /// Its generation.
    pub generation: u64,
    /// What its secret can be recognised by.
    pub fingerprint: Option<String>,
    /// When the vendor issued it.
    pub issued_at: Option<Timestamp>,
    /// When it ends by itself.
    pub expires_at: Option<Timestamp>,
    /// Earlier keys that still work.
    pub previous: Vec<PreviousKey>,
    /// The sinks, by name.
    pub deliveries: std::collections::BTreeMap<String, SeenDelivery>,
    /// Keys that were ended on the way, newest last.
    pub revoked: Vec<Revoked>,
    /// The goal was reached by somebody else, who is named.
    pub done_by: Option<String>,
}

/// Brings a slot to a goal, and tells what is then true.
///
/// # Errors
///
/// Why it stopped. What was begun is in the claim, and the next run goes on from there.
pub async fn carry_out(
    context: &Context,
    spec: &SlotSpec,
    goal: Goal,
    reason: &str,
) -> Result<Outcome, Problem> {
    let _turn = context.turns.take(&spec.id.integration.to_string()).await;
    bring(context, spec, goal, reason, false).await
}

/// The same, of whoever's turn it is; whoever has read that it is `in_service` does not ask again.
async fn bring(
    context: &Context,
    spec: &SlotSpec,
    goal: Goal,
    reason: &str,
    in_service: bool,
) -> Result<Outcome, Problem> {
    able(context, spec, goal).await?;
    let mut machine = Machine::open(context, spec, goal, reason).await?;
    machine.in_service = in_service;
    machine.run().await?;
    let at_rest = machine.at_rest();
    let nothing = machine.rests_on_nothing() && matches!(goal, Goal::Retire { .. });
    let (revoked, done_by) = machine.done();
    if goal == Goal::Revoke {
        signals::settle(context, &spec.id.to_string(), &[]).await;
        return Ok(Outcome {
            key_id: None,
            generation: 0,
            fingerprint: None,
            issued_at: None,
            expires_at: None,
            previous: Vec::new(),
            deliveries: Default::default(),
            revoked,
            done_by,
        });
    }
    if !nothing {
        repair_copies(context, spec, at_rest.as_ref()).await?;
    }
    // What was refused is not what is declared. The next deed writes it if the ledger cannot be read now.
    let _ = declare_slot(context, spec).await;
    let seen = look_at_slot(context, spec, Freshness::Fresh).await?.ok_or_else(|| {
        Problem::new("E-GONE", "The integration is not there")
            .detail(format!("{}: somebody deleted the integration meanwhile.", spec.id))
            .next("plan again")
            .at(&["integration"])
    })?;
    let earlier = seen.previous.iter().map(|one| one.key_id.clone());
    let works: Vec<String> = seen.key_id.iter().cloned().chain(earlier).collect();
    signals::settle(context, &spec.id.to_string(), &works).await;
    Ok(Outcome {
        key_id: seen.key_id,
        generation: seen.generation,
        fingerprint: seen.fingerprint,
        issued_at: seen.issued_at,
        expires_at: seen.expires_at,
        previous: seen.previous,
        deliveries: seen.deliveries,
        revoked,
        done_by,
    })
}

/// Ends everything that a slot has, and takes it out of what is declared.
///
/// # Errors
///
/// Why it stopped; it stays declared, and the next run goes on from there.
pub async fn end_slot(
    context: &Context,
    spec: &SlotSpec,
    reason: &str,
) -> Result<Outcome, Problem> {
    let outcome = carry_out(context, spec, Goal::Revoke, reason).await?;
    match row_of(context, &spec.id).await {
        Ok(Some(_)) => {
            let ended = ledger::Change::SlotEnded {
                integration: spec.id.integration.to_string(),
                name: spec.id.name.clone(),
            };
            let entry = context.entry("slot.ended", &spec.id.to_string());
            let entry = context.owes_nothing_more(&spec.id.to_string(), entry).await;
            context.note(entry.change(ended).change(form::change(&spec.id, None))).await;
        }
        Ok(None) => {}
        Err(problem) => tracing::warn!(%problem, "whether the ledger has the slot is not known"),
    }
    Ok(outcome)
}

/// The ledger's row of a slot.
pub(crate) async fn row_of(
    context: &Context,
    id: &CredentialId,
) -> Result<Option<ledger::Slot>, Problem> {
    if !context.ledger.keeps() {
        return Ok(None);
    }
    let of_it = ledger::Selection::of(id.integration.to_string());
    let rows = context.ledger.slots(&of_it).await?;
    Ok(rows.into_iter().find(|row| row.name == id.name))
}

/// Whether the slot may be brought there now: what was begun is finished, and what ends is ended, in
/// a ledger in which nothing new may begin.
async fn able(context: &Context, spec: &SlotSpec, goal: Goal) -> Result<(), Problem> {
    if matches!(goal, Goal::Revoke | Goal::Retire { .. } | Goal::Cut { .. }) {
        return context.ready(Work::Ends).await;
    }
    let Err(problem) = context.ready(Work::Begins).await else { return Ok(()) };
    let begun = ClaimStore::of(context, spec).await?.read().await?;
    if begun.is_some_and(|document| document.claim.phase.is_open()) {
        return context.ready(Work::Ends).await;
    }
    Err(problem)
}

/// Brings those settings of the current key to what is declared that need no other key.
///
/// # Errors
///
/// Why it was not done, or what stands instead.
pub async fn adjust(context: &Context, spec: &SlotSpec) -> Result<(), Problem> {
    let Some((key_id, ..)) = &spec.known else { return Ok(()) };
    context.ready(Work::Begins).await?;
    let what = spec.id.to_string();
    let connector = context.connector(&spec.id.integration.connection).await?;
    connector
        .adjust(&object(spec), key_id, &spec.settings)
        .await
        .map_err(|error| Problem::not_done(&what, "change its settings", &error))?;
    context.note(context.entry("credential.adjusted", &what).detail("key", key_id.clone())).await;
    Ok(())
}

/// Ends everything that a slot has before another generation is issued: an exposed credential whose
/// every further use is worse than an outage. What still holds it stops working until the next one
/// is delivered, and the journal says that this was accepted.
///
/// # Errors
///
/// Why it stopped; what was not ended still works, and the next run goes on from there.
pub async fn revoke_first(
    context: &Context,
    spec: &SlotSpec,
    reason: &str,
) -> Result<Vec<Revoked>, Problem> {
    context.ready(Work::Ends).await?;
    let what = spec.id.to_string();
    let _turn = context.turns.take(&spec.id.integration.to_string()).await;
    let planned = spec.known.as_ref().map_or(0, |(_, generation, ..)| *generation);
    let store = ClaimStore::of(context, spec).await?;
    if let Some(claim) = store.read().await?.map(|document| document.claim)
        && !claim.phase.is_open()
        && claim.generation > planned
    {
        return Err(further(&what, planned, claim.generation));
    }
    let entry = context.entry("rotation.interruption_accepted", &what).detail("reason", reason);
    context.journal(entry).await?;
    let mut machine = Machine::open(context, spec, Goal::Revoke, reason).await?;
    machine.run().await?;
    Ok(machine.done().0)
}

/// A document's secret, where it is the very one that the document says it is.
fn named_secret(
    spec: &SlotSpec,
    key: &RealmKey,
    delivery: &Delivery,
    document: &Document,
    meta: &Meta,
) -> Option<domain::Secret> {
    let secret = secret_in(spec.credential_type, &delivery.fields, document)?;
    (matches(&key.fingerprint(&secret), &meta.fingerprint) == Some(true)).then_some(secret)
}

/// The current secret out of a place that a change takes it away from. One that cannot be read holds
/// nothing that could be copied.
async fn former_copy(context: &Context, spec: &SlotSpec) -> Option<(domain::Secret, Meta)> {
    let (realm, key) = context.realm_key().ok()?;
    let (current, ..) = spec.known.as_ref()?;
    for delivery in &spec.former {
        let Ok(sink) = context.sink(&delivery.connection).await else { continue };
        let Ok(Some(stored)) = delivery.read(&*sink).await else { continue };
        let Some(document) = stored.document else { continue };
        let ours = |meta: &Meta| {
            meta.ours(realm, &spec.id.to_string(), &spec.vendor_id)
                && meta.is_in_force()
                && meta.key_id == *current
        };
        let Some(meta) = Meta::of(&document).filter(ours) else { continue };
        if let Some(secret) = named_secret(spec, key, delivery, &document, &meta) {
            return Some((secret, meta));
        }
    }
    None
}

/// Writes copies that are missing, changed or new again, from what the platform shows, or else from
/// one that still holds this generation: the key and the generation that the claim has `at_rest`.
async fn repair_copies(
    context: &Context,
    spec: &SlotSpec,
    at_rest: Option<&(String, u64)>,
) -> Result<(), Problem> {
    let sinks = Sinks::open(context, spec).await?;
    let (realm, key) = context.realm_key()?;
    let what = spec.id.to_string();
    let mut copies = Vec::new();
    for (delivery, sink) in &sinks.0 {
        let look = sink.look(&delivery.path).await.map_err(|error| delivery.problem(error))?;
        let mirror = look.as_ref().and_then(|look| Meta::from_mirror(&look.mirror));
        let of_now = |meta: &Meta| at_rest.is_none_or(|(key_id, of)| meta.is_of(key_id, *of));
        // A write of it that came late says what was there before.
        let of = mirror.as_ref().map(|(_, of)| *of);
        let lags = |look: &secrets::Look| !look.deleted && of != Some(look.version.number);
        let lags = look.as_ref().is_some_and(lags);
        let ours = mirror.filter(|(meta, _)| {
            meta.ours(realm, &what, &spec.vendor_id) && meta.is_in_force() && of_now(meta)
        });
        let ours = match ours {
            None if lags => mirror_again(context, spec, delivery, &**sink, at_rest).await?,
            ours => ours,
        };
        copies.push((delivery, sink, look, ours));
    }
    let newest = copies.iter().filter_map(|(_, _, _, ours)| ours.as_ref());
    let newest = newest.map(|(meta, _)| meta).max_by_key(|meta| meta.generation).cloned();
    let newest = match newest {
        None => claimed(context, spec).await?,
        newest => newest,
    };
    let shown = match &newest {
        Some(meta) => shown(context, spec, meta).await?,
        None => None,
    };
    // Which document is good, and which must be written?
    let mut good: Option<(domain::Secret, Meta)> = None;
    let mut bad = Vec::new();
    for (delivery, sink, look, ours) in copies {
        let current = look.as_ref().filter(|look| !look.deleted).map(|look| look.version.number);
        let as_shown = |meta: &Meta| {
            shown.as_ref().is_none_or(|(_, shown)| shown.fingerprint == meta.fingerprint)
        };
        let is_good = ours
            .as_ref()
            .is_some_and(|(meta, version)| Some(*version) == current && as_shown(meta));
        if !is_good {
            bad.push((delivery, sink, look.as_ref().map(|look| look.version.number), current));
        }
        if let Some((meta, version)) = ours
            && shown.is_none()
            && good.as_ref().is_none_or(|(_, have)| have.generation < meta.generation)
            && let Some(document) = sink
                .read_version(&delivery.path, version)
                .await
                .map_err(|error| delivery.problem(error))?
            && let Some(secret) = named_secret(spec, key, delivery, &document, &meta)
        {
            good = Some((secret, meta));
        }
    }
    if bad.is_empty() {
        return Ok(());
    }
    if let Some((secret, meta)) = &shown
        && newest.is_none_or(|newest| newest.fingerprint != meta.fingerprint)
    {
        works(context, spec, secret).await?;
    }
    let found = match shown.or(good) {
        None => former_copy(context, spec).await,
        found => found,
    };
    // Somebody began meanwhile: what seems to lag is being promoted, and is theirs to write.
    let claim = ClaimStore::of(context, spec).await?.read().await?.map(|document| document.claim);
    let moved = claim.as_ref().is_some_and(|claim| {
        // A claim of an earlier day is behind what the documents say, and nobody's work.
        let as_seen = |(key_id, generation): &(String, u64)| {
            claim.generation < *generation
                || claim.generation == *generation && claim.current.as_ref() == Some(key_id)
        };
        claim.phase.is_open() || at_rest.is_some_and(|at_rest| !as_seen(at_rest))
    });
    if moved {
        return Ok(());
    }
    let Some((secret, meta)) = found else {
        return Err(Problem::new("E-SINK-COPY", "No readable copy is left")
            .detail(format!(
                "{what}: a sink is to get the current secret, and no sink that can be read still \
                 holds it."
            ))
            .next("change a value in triggers as well: a new credential is then delivered to all")
            .at(&["deliver_to"]));
    };
    for (delivery, sink, version, current) in bad {
        let expect = version.map_or(Expect::Nothing, Expect::Version);
        let keep = match current {
            Some(_) => delivery.read(&**sink).await?.and_then(|stored| stored.document),
            None => None,
        };
        if let Some(document) = &keep {
            let look = sink.look(&delivery.path).await.map_err(|error| delivery.problem(error))?;
            let says = Meta::of(document);
            let theirs = occupied_by_others(realm, &what, delivery, says.as_ref(), look.as_ref());
            if let Some(why) = theirs {
                return Err(occupied(why, delivery));
            }
        }
        let keep = keep.filter(|_| delivery.merge);
        let document =
            compose(spec.credential_type, &delivery.fields, &spec.vendor_id, &secret, &meta, keep);
        let written = sink
            .write(&delivery.path, &document, expect)
            .await
            .map_err(|error| delivery.problem(error))?;
        write_mirror(&**sink, &delivery.path, &meta.mirror(written.number), written.number)
            .await
            .map_err(|error| delivery.problem(error))?;
        let entry = context
            .entry("rotation.copied", &what)
            .detail("sink", delivery.place())
            .detail("version", written.number);
        context.note(entry).await;
    }
    Ok(())
}

/// A document whose mirror was lost, or is that of an earlier version, says itself what it is: where it is
/// the current one of this slot and holds the very secret, its mirror is written again.
async fn mirror_again(
    context: &Context,
    spec: &SlotSpec,
    delivery: &Delivery,
    sink: &dyn Sink,
    at_rest: Option<&(String, u64)>,
) -> Result<Option<(Meta, u64)>, Problem> {
    let (realm, key) = context.realm_key()?;
    let Some(stored) = delivery.read(sink).await? else { return Ok(None) };
    let Some(document) = stored.document else { return Ok(None) };
    let known = spec.known.as_ref().map(|(current, ..)| current);
    let current = at_rest.map(|(current, _)| current).or(known);
    let ours = Meta::of(&document).filter(|meta| {
        meta.ours(realm, &spec.id.to_string(), &spec.vendor_id)
            && meta.is_in_force()
            && Some(&meta.key_id) == current
    });
    let Some(meta) = ours else { return Ok(None) };
    if named_secret(spec, key, delivery, &document, &meta).is_none() {
        return Ok(None);
    }
    let number = stored.version.number;
    write_mirror(sink, &delivery.path, &meta.mirror(number), number)
        .await
        .map_err(|error| delivery.problem(error))?;
    Ok(Some((meta, number)))
}

/// What the claim of a slot at rest says of its current key, where no sink says anything.
async fn claimed(context: &Context, spec: &SlotSpec) -> Result<Option<Meta>, Problem> {
    let claim = ClaimStore::of(context, spec).await?.read().await?.map(|document| document.claim);
    let Some(claim) = claim.filter(|claim| !claim.phase.is_open()) else { return Ok(None) };
    let (realm, _) = context.realm_key()?;
    let custody = custody_place(context).await;
    Ok(claim.current.map(|key_id| Meta {
        realm: realm.to_owned(),
        slot: spec.id.to_string(),
        vendor_id: spec.vendor_id.clone(),
        generation: claim.generation,
        epoch: claim.epoch,
        key_id,
        fingerprint: String::new(),
        promoted_at: Some(context.now()),
        previous: claim.previous,
        revoked: false,
        withdrawn: false,
        custody,
    }))
}

/// The secret of a key as its platform shows it, with what a document of it would say.
async fn shown(
    context: &Context,
    spec: &SlotSpec,
    meta: &Meta,
) -> Result<Option<(domain::Secret, Meta)>, Problem> {
    let (_, key) = context.realm_key()?;
    let connector = context.connector(&spec.id.integration.connection).await?;
    let shown = connector
        .shown(&object(spec), &meta.key_id)
        .await
        .map_err(|error| Problem::unreadable(&spec.id.to_string(), &error))?;
    Ok(shown.map(|secret| {
        let print = key.fingerprint(&secret);
        // Under another realm key it cannot be told whether it is the same one.
        let same = matches(&print, &meta.fingerprint) != Some(false);
        let fingerprint = match same && !meta.fingerprint.is_empty() {
            true => meta.fingerprint.clone(),
            false => print.to_string(),
        };
        (secret, Meta { fingerprint, ..meta.clone() })
    }))
}

/// Nothing is delivered that does not work.
async fn works(context: &Context, spec: &SlotSpec, secret: &domain::Secret) -> Result<(), Problem> {
    let connector = context.connector(&spec.id.integration.connection).await?;
    let kind = spec.credential_type.name;
    let probed = connector.probe(&object(spec), kind, secret).await;
    match probed {
        Ok(connector::Probe::Accepted { .. }) => Ok(()),
        Ok(connector::Probe::Refused { .. }) => Err(Problem::new(
            "E-SINK-COPY",
            "The platform refuses the secret that it shows",
        )
        .detail(format!(
            "{}: the platform shows another secret than was delivered, and a sign-in with it \
                     is refused. No copy was touched.",
            spec.id
        ))
        .next("plan again; if it stays, replace the integration")
        .at(&["deliver_to"])),
        Err(error) => Err(Problem::not_done(
            &spec.id.to_string(),
            "sign in with what the platform shows",
            &error,
        )),
    }
}

/// The object that a slot's calls are about.
pub(crate) fn object(spec: &SlotSpec) -> connector::ObjectRef {
    object_of(&spec.id.integration, None, Some(&spec.vendor_id))
}

/// The goal of a create: a first generation, the rest of one that was begun, or the successor of one
/// that was parked for its replacement.
///
/// # Errors
///
/// `E-SLOT-EXISTS`: a finished generation is there, and nobody parked it.
pub async fn goal_of_create(context: &Context, spec: &SlotSpec) -> Result<Goal, Problem> {
    let store = ClaimStore::of(context, spec).await?;
    let Some(document) = store.read().await? else {
        return Ok(Goal::Rotate { to: 1, at_once: false });
    };
    let claim = document.claim;
    let at_once = claim.parked_for_replace || spec.keeps_none();
    let next = Goal::Rotate { to: claim.generation + 1, at_once };
    if claim.phase.is_open() {
        // What was begun is finished first; an ending that was begun is followed by a new one.
        return Ok(if is_ending(&claim) {
            next
        } else {
            Goal::Rotate { to: claim.generation, at_once }
        });
    }
    if claim.parked_for_replace || claim.current.is_none() {
        return Ok(next);
    }
    let key_id = claim.current.unwrap_or_default();
    let listing = context
        .connector(&spec.id.integration.connection)
        .await?
        .credentials(&object(spec))
        .await
        .map_err(|error| Problem::unreadable(&spec.id.to_string(), &error))?;
    if listing.complete && !listing.credentials.iter().any(|one| one.key_id == key_id && one.live) {
        return Ok(next);
    }
    Err(slot_exists(spec, claim.generation, claim.owner == context.run.id))
}

/// Makes the first credential of a slot, or goes on with what a create that failed has begun.
///
/// # Errors
///
/// As [`carry_out`]; and where another run had it under way and finished it: then it is in the state
/// of that run.
pub async fn create_slot(context: &Context, spec: &SlotSpec) -> Result<Outcome, Problem> {
    let record = integration_is_here(context, spec).await?;
    not_stopped(&spec.id.to_string(), record.as_ref())?;
    let _turn = context.turns.take(&spec.id.integration.to_string()).await;
    let goal = goal_of_create(context, spec).await?;
    match bring(context, spec, goal, "custody", true).await {
        Ok(Outcome { done_by: Some(_), generation, .. }) => {
            Err(slot_exists(spec, generation, false))
        }
        Ok(outcome) => Ok(outcome),
        Err(problem) => Err(with_the_way_back(context, spec, problem).await),
    }
}

/// A replacement of which nothing was begun: what it was to replace works on, and left the state when
/// its half of the replacement was done.
async fn with_the_way_back(context: &Context, spec: &SlotSpec, problem: Problem) -> Problem {
    let claim = match ClaimStore::of(context, spec).await {
        Ok(store) => store.read().await.ok().flatten().map(|document| document.claim),
        Err(_) => None,
    };
    let kept = claim.filter(|claim| {
        claim.parked_for_replace && !claim.phase.is_open() && claim.current.is_some()
    });
    match (kept, &problem.next) {
        (Some(claim), Some(next)) => {
            let next = format!(
                "{next}.\n      Until an apply makes the replacement, generation {} works on, and no state \
                 has it. To keep it instead: terraform import <ADDRESS> '{}', with the address of \
                 this nhi_credential",
                claim.generation, spec.id
            );
            problem.next(next)
        }
        _ => problem,
    }
}

/// That no other installation governs what a slot is taken on, and what its record says.
async fn integration_is_here(
    context: &Context,
    spec: &SlotSpec,
) -> Result<Option<Record>, Problem> {
    let id = &spec.id.integration;
    let connector = context.connector(&id.connection).await?;
    let want = Want { credentials: false, ..Want::DEED };
    let there = connector
        .read(&object_of(id, None, None), want)
        .await
        .map_err(|error| Problem::unreadable(&id.to_string(), &error))?;
    let record = there.and_then(|there| there.record);
    governed_here(context, id, record.as_ref(), [])
        .await
        .map_err(|one| one.at(&["integration"]))?;
    Ok(record)
}

/// A key that bears no mark is known by books only, and whoever loses them would take it for a
/// stranger's. So the integration's record, which stays at the platform, names it first.
async fn name_in_record(
    context: &Context,
    spec: &SlotSpec,
    key_id: &str,
    record: Record,
) -> Result<(), Problem> {
    let (realm, key) = context.realm_key()?;
    let id = &spec.id.integration;
    let what = id.to_string();
    let tenant = context.tenant(&id.connection).await?;
    let mark = Marker::beside(key, realm, &tenant, &spec.vendor_id, &spec.id.name, key_id);
    let mut record = record;
    if record.adopted.insert(key_id.to_owned(), mark.clone()).as_ref() == Some(&mark) {
        return Ok(());
    }
    let connector = context.connector(&id.connection).await?;
    let change = Change { record: Some(record), ..Change::default() };
    context
        .attempt(&what, "record", "policy:custody", async {
            let done = connector.modify(&object(spec), &change).await;
            done.map(drop).map_err(|error| {
                Problem::not_done(&what, "write into its record whose a credential is", &error)
            })
        })
        .await
}

/// `in_this_run`: the very run that asks has made it, so another resource of its configuration has it.
fn slot_exists(spec: &SlotSpec, generation: u64, in_this_run: bool) -> Problem {
    let places: Vec<String> = spec.deliveries.iter().map(crate::Delivery::place).collect();
    let problem = Problem::new("E-SLOT-EXISTS", "This slot already has a live credential")
        .detail(format!(
            "{}, generation {}, delivered to {}. It carries our mark, and {} has it. A second one \
             would leave two owners of one slot.",
            spec.id,
            generation,
            places.join(", "),
            who_has_it(in_this_run),
        ))
        .at(&["name"]);
    let another = "give this nhi_credential another name, and deliver_to another path";
    problem.next(match in_this_run {
        true => format!("{another}; or remove one of the two"),
        false => format!(
            "{}\n      Where a resource of this configuration has it and this is to be a second \
             credential: {another}.",
            import_of("nhi_credential", &spec.id.to_string())
        ),
    })
}

/// Takes a key that was imported, or moved here from another provider, into custody's books: from
/// then on it is a slot's and no longer nobody's. Its secret stays where it is.
///
/// # Errors
///
/// Custody cannot be written.
pub async fn take_over(context: &Context, spec: &SlotSpec) -> Result<(), Problem> {
    let Some((key_id, generation, ..)) = &spec.known else { return Ok(()) };
    if context.custody.is_none() || context.realm.is_none() {
        return Ok(());
    }
    context.may_change()?;
    let store = ClaimStore::of(context, spec).await?;
    if let Some(document) = store.read().await? {
        return keep_after_all(context, spec, &store, document).await;
    }
    // What else changes the record waits.
    let turn = context.turns.take(&record_turn(&spec.id.integration)).await;
    let record = integration_is_here(context, spec).await?;
    let marked = context
        .connector(&spec.id.integration.connection)
        .await?
        .credential(&object(spec), key_id)
        .await
        .map_err(|error| Problem::unreadable(&spec.id.to_string(), &error))?
        .and_then(|one| Marker::parse(one.marker.as_deref()?));
    if let Some(marker) =
        marked.as_ref().filter(|one| is_elsewhere(context.realm.as_deref(), &one.realm))
    {
        return Err(Problem::new("E-FOREIGN-REALM", "Another installation issued this credential")
            .detail(format!(
                "{}: {key_id} carries the mark of installation {:?}, which rotates and ends it. It was \
                 left as it is.",
                spec.id, marker.realm
            ))
            .next("remove this import or moved block: a new nhi_credential makes one of its own")
            .at(&["integration"]));
    }
    // Only here is anything begun: what is in the books needs no ledger.
    context.ready(Work::Begins).await?;
    if let (None, Some(record)) = (&marked, record) {
        name_in_record(context, spec, key_id, record).await?;
    }
    drop(turn);
    let claim = first_claim(context, spec, key_id, *generation).await?;
    match store.write(&claim, None, None).await {
        Ok(_) => {
            let what = spec.id.to_string();
            let entry = context.entry("rotation.taken_over", &what).detail("key", key_id.clone());
            let mut entries = vec![entry];
            entries.extend(duty::owing_for(context, spec, None).await);
            context.note_all(entries).await;
            Ok(())
        }
        // Somebody else was faster: then it is in the books.
        Err(secrets::SinkError::Conflict { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// A key that a replacement was to end, and that a state has again: nothing replaces it any more.
async fn keep_after_all(
    context: &Context,
    spec: &SlotSpec,
    store: &ClaimStore,
    document: ClaimDocument,
) -> Result<(), Problem> {
    let ClaimDocument { claim, pending, version, .. } = document;
    let known = spec.known.as_ref().map(|(key_id, ..)| key_id);
    if !claim.parked_for_replace || claim.phase.is_open() || claim.current.as_ref() != known {
        return Ok(());
    }
    context.ready(Work::Begins).await?;
    let claim = Claim { parked_for_replace: false, ..claim };
    match store.write(&claim, pending.as_ref(), Some(version)).await {
        // Somebody is at work on it.
        Ok(_) | Err(secrets::SinkError::Conflict { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// The claim of a key that is in no book: one that no rotation of ours made, or whose claim was lost.
/// What the anchor and the marks say of earlier keys goes into it; else nobody would end them.
async fn first_claim(
    context: &Context,
    spec: &SlotSpec,
    key_id: &str,
    generation: u64,
) -> Result<Claim, Problem> {
    let what = spec.id.to_string();
    let (realm, key) = context.realm_key()?;
    let tenant = context.tenant(&spec.id.integration.connection).await?;
    let connector = context.connector(&spec.id.integration.connection).await?;
    let listing = connector.credentials(&object(spec)).await.or_else(|error| match &error {
        // What it was issued for is gone, and all earlier keys with it.
        connector::Error::Recreated { .. } => Ok(empty(context.now())),
        other if other.refusal() == Some(Refusal::NotFound) => Ok(empty(context.now())),
        other => Err(Problem::unreadable(&what, other)),
    })?;
    let marked: Vec<(&str, u64, u64)> = listing
        .credentials
        .iter()
        .filter(|one| one.stands())
        .filter_map(|one| {
            let (generation, epoch) = mark_of(realm, key, &tenant, spec, one)?;
            Some((one.key_id.as_str(), generation, epoch))
        })
        .collect();
    let gone = |key_id: &str| {
        let stands = |one: &ObservedCredential| one.key_id == key_id && one.stands();
        listing.complete && !listing.credentials.iter().any(stands)
    };
    let current_epoch = marked.iter().find(|(id, ..)| *id == key_id).map(|(.., epoch)| *epoch);
    let (epoch, mut previous) = match anchor(context, spec).await? {
        Some(meta) if meta.key_id == key_id => {
            let newest = marked.iter().map(|(.., epoch)| *epoch).fold(meta.epoch, u64::max);
            (newest, meta.previous)
        }
        // Another one is current there, and what came later may be what is in use: nothing is ended.
        Some(_) => (current_epoch.unwrap_or(0), Vec::new()),
        // Nobody says until when the earlier ones are kept: as long as if they had just become that.
        None => {
            let until = policy::schedule::later(context.time().hi, spec.overlap());
            let earlier = marked.iter().filter(|(id, of, _)| *id != key_id && *of < generation);
            let kept = earlier.map(|(id, generation, epoch)| Previous {
                epoch: Some(*epoch),
                retire_not_before: Some(until),
                ..Previous::new(*id, *generation)
            });
            (current_epoch.unwrap_or(0), kept.collect())
        }
    };
    previous.retain(|one| one.key_id != key_id && !gone(&one.key_id));
    Ok(Claim {
        generation,
        epoch,
        phase: if previous.is_empty() { Phase::Free } else { Phase::Parked },
        owner: context.run.id.clone(),
        attempt: 0,
        known: Default::default(),
        current: Some(key_id.to_owned()),
        current_epoch,
        new: None,
        mains: Default::default(),
        mains_at: Default::default(),
        previous,
        reason: "custody".to_owned(),
        asked: None,
        auth: "policy:custody".to_owned(),
        hold: None,
        refused: 0,
        refused_at: None,
        parked_for_replace: false,
        timed: false,
        called_at: None,
        undelivered: None,
        proofs: Default::default(),
        confirmed: Default::default(),
    })
}

/// What the anchor says, if it is ours.
async fn anchor(context: &Context, spec: &SlotSpec) -> Result<Option<Meta>, Problem> {
    let (realm, _) = context.realm_key()?;
    let Some(delivery) = spec.deliveries.first() else { return Ok(None) };
    let sink = context
        .sink(&delivery.connection)
        .await
        .map_err(|problem| problem.at(&["deliver_to", &delivery.name, "connection"]))?;
    let stored = delivery.read(&*sink).await?;
    let meta = stored.and_then(|stored| stored.document).as_ref().and_then(Meta::of);
    let ours = |meta: &Meta| meta.ours(realm, &spec.id.to_string(), &spec.vendor_id);
    Ok(meta.filter(|meta| ours(meta) && meta.is_in_force()))
}

/// Keeps the ledger's row of a slot true to its declaration where no rotation wrote it: another
/// schedule, another sink, or a ledger that began anew. Its loss is a gap in the history only. A slot
/// of which custody says that nothing is current was ended, and gets no row.
///
/// # Errors
///
/// The ledger or custody cannot be read.
pub async fn declare_slot(context: &Context, spec: &SlotSpec) -> Result<(), Problem> {
    if context.read_only || !context.ledger.keeps() {
        return Ok(());
    }
    let have = row_of(context, &spec.id).await?;
    if have.is_none() && context.custody.is_some() {
        let claim = ClaimStore::of(context, spec).await?.read().await?;
        let ended = |claim: &Claim| !claim.phase.is_open() && claim.current.is_none();
        if claim.is_some_and(|document| ended(&document.claim)) {
            return Ok(());
        }
    }
    let schedule = spec.schedule.as_ref().map(schedule_json);
    let sinks: std::collections::BTreeMap<&str, String> =
        spec.deliveries.iter().map(|one| (one.name.as_str(), one.place())).collect();
    let known = spec.known.as_ref();
    let base = have.clone().unwrap_or_else(|| ledger::Slot {
        integration: spec.id.integration.to_string(),
        name: spec.id.name.clone(),
        generation: known.map_or(0, |(_, generation, ..)| *generation),
        current: known.map(|(key_id, ..)| key_id.clone()),
        status: "current".to_owned(),
        ..ledger::Slot::default()
    });
    let schedule = schedule.map(ledger::canonical::without_nulls);
    let row = ledger::Slot { schedule, sinks: Some(serde_json::json!(sinks)), ..base };
    let wished = form::of(spec);
    let kept = context
        .ledger
        .integrations(&ledger::Selection::of(spec.id.integration.to_string()))
        .await?
        .into_iter()
        .find_map(|row| form::kept(&spec.id, row.declared?.value));
    if have.as_ref() != Some(&row) || kept.as_ref() != Some(&wished) {
        let entry = context.entry("slot.declared", &spec.id.to_string());
        let entry = entry.change(ledger::Change::Slot(row));
        context.note(entry.change(form::change(&spec.id, Some(wished)))).await;
    }
    Ok(())
}

/// The goal of finishing what was begun, and whether another generation begins besides, since one is
/// `asked` for: a rotation that is under way is the one, and an ending is followed by one.
///
/// # Errors
///
/// Custody cannot be read.
pub async fn goal_of_resume(
    context: &Context,
    spec: &SlotSpec,
    at: u64,
    asked: bool,
) -> Result<(Goal, bool), Problem> {
    let claim = ClaimStore::of(context, spec).await?.read().await?.map(|document| document.claim);
    let (to, begins) = match claim {
        None => ((at + u64::from(asked)).max(1), asked),
        Some(claim) if asked && !claim.phase.is_open() => {
            let to = claim.generation.max(at + 1);
            (to, to > claim.generation)
        }
        Some(claim) => {
            // All that there was is being ended, and the slot is still wanted.
            let gone = claim.current.is_none();
            let followed = is_ending(&claim) && (gone || asked);
            (claim.generation + u64::from(followed), followed && !gone)
        }
    };
    Ok((Goal::Rotate { to, at_once: spec.keeps_none() }, begins))
}

/// The goal of finishing what was begun and no more; `None` where nothing is open.
///
/// # Errors
///
/// Custody cannot be read.
pub async fn goal_of_finish(context: &Context, spec: &SlotSpec) -> Result<Option<Goal>, Problem> {
    let claim = ClaimStore::of(context, spec).await?.read().await?.map(|document| document.claim);
    let Some(claim) = claim.filter(|claim| claim.phase.is_open()) else { return Ok(None) };
    if is_ending(&claim) && claim.current.is_none() {
        return Ok(Some(Goal::Revoke));
    }
    let at_once = Reason::of(&claim.reason).keeps_none() || spec.keeps_none();
    Ok(Some(Goal::Rotate { to: claim.generation, at_once }))
}

/// The goal of a person who says that nobody needs what was switched on again.
///
/// # Errors
///
/// Custody cannot be read.
pub async fn goal_of_going_on(context: &Context, spec: &SlotSpec) -> Result<Option<Goal>, Problem> {
    let claim = ClaimStore::of(context, spec).await?.read().await?.map(|document| document.claim);
    let needed = claim
        .filter(|claim| !claim.phase.is_open() && claim.previous.iter().any(Previous::is_needed));
    Ok(needed.map(|claim| Goal::Cut { at: claim.generation, again: true }))
}

/// What custody says of a slot at rest, without a word from its platform: the current key, its
/// generation, and the earlier ones.
///
/// # Errors
///
/// Custody cannot be read.
pub async fn at_rest(
    context: &Context,
    spec: &SlotSpec,
) -> Result<Option<(String, u64, Vec<PreviousKey>)>, Problem> {
    let claim = ClaimStore::of(context, spec).await?.read().await?.map(|document| document.claim);
    Ok(claim.filter(|claim| !claim.phase.is_open()).and_then(|claim| {
        let previous = claim.previous.into_iter().map(|one| PreviousKey {
            retire_after: one.kept_until(),
            ends: None,
            key_id: one.key_id,
            generation: one.generation,
            cut: one.cut,
        });
        Some((claim.current?, claim.generation, previous.collect()))
    }))
}

fn is_ending(claim: &policy::rotation::Claim) -> bool {
    use policy::rotation::Phase;
    matches!(claim.phase, Phase::Retiring | Phase::Proving)
}

/// Keeps what a replacement would end, until its successor works. A key that is in no book yet is
/// written there: nobody else would tell the successor what it follows.
///
/// # Errors
///
/// Custody cannot be written: then the caller ends it first, and says so.
pub async fn park_for_replacement(context: &Context, spec: &SlotSpec) -> Result<(), Problem> {
    context.ready(Work::Begins).await?;
    let store = ClaimStore::of(context, spec).await?;
    let (claim, pending, version) = match (store.read().await?, &spec.known) {
        (Some(document), _) => (document.claim, document.pending, Some(document.version)),
        (None, Some((key_id, generation, ..))) => {
            (first_claim(context, spec, key_id, *generation).await?, None, None)
        }
        (None, None) => return Ok(()),
    };
    let claim = policy::rotation::Claim { parked_for_replace: true, ..claim };
    store.write(&claim, pending.as_ref(), version).await?;
    let entry = context.entry("rotation.parked_for_replacement", &spec.id.to_string());
    let mut entries = vec![entry];
    entries.extend(duty::owing_for(context, spec, None).await);
    context.note_all(entries).await;
    Ok(())
}
