//! Looking at one credential slot, without reading a secret.

use std::{collections::BTreeMap, sync::Arc};

use connector::{Connector, CredentialType, Freshness, Kind, Want};
use domain::{CredentialId, LastUsed, ObservedCredential, Settings, Span};
use jiff::Timestamp;
use policy::{
    Schedule,
    duty::{Books, Duty, Owed, Seen, Task, duties},
    findings::Severity,
    overlap::{self, Confirmed, Evidence, Terms, Usage, Verdict, evidence, with_word},
    proof::Proofs,
    rotation::{Cut, Phase, Previous, has_stopped},
    schedule::{earlier, later},
    status::{self, Facts},
};
use secrets::{Document, Look, Sink, SinkError, Stored};

use crate::{
    Context, Problem,
    ack::kept_unread,
    claim::{ClaimMirror, ClaimStore},
    document::{Meta, matches},
    duty::terms as terms_of_duties,
    late::late_keys,
    observe::{credentials_seen, object_of},
    places::{claim_is_elsewhere, custody_place},
    realm_key, signals,
};

/// A place where a slot's secret is delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The name that people gave it.
    pub name: String,
    /// The connection that is the sink.
    pub connection: String,
    /// The document in it.
    pub path: String,
    /// Document field to `id`, `secret` or a fixed text; empty is the type's own form.
    pub fields: BTreeMap<String, String>,
    /// Other fields that are there already are kept.
    pub merge: bool,
}

impl Delivery {
    /// `<connection>:<path>`.
    pub fn place(&self) -> String {
        format!("{}:{}", self.connection, self.path)
    }

    /// The document there. Something that is no document says nothing of itself: whether it may be
    /// written over is then told by the mirror, as for a document without our facts. What is to be
    /// merged with must be one.
    pub(crate) async fn read(&self, sink: &dyn Sink) -> Result<Option<Stored>, Problem> {
        match sink.read(&self.path).await {
            Err(SinkError::NoDocument { .. }) if !self.merge => {
                let look = sink.look(&self.path).await.map_err(|error| self.problem(error))?;
                Ok(look.map(|look| Stored {
                    document: Some(Document::default()),
                    version: look.version,
                }))
            }
            read => read.map_err(|error| self.problem(error)),
        }
    }

    /// What its sink said, at the delivery that it is about.
    pub(crate) fn problem(&self, error: SinkError) -> Problem {
        Problem::from(error).at(&["deliver_to", &self.name])
    }
}

/// What is said of those who read a slot's secret.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Consumers {
    /// They stand no rotation in which what they hold stops working before they can read the next.
    pub refuse_interruption: bool,
    /// How long they take to read what is delivered; `None` where nobody said.
    pub refresh: Option<Span>,
}

/// A slot as it is declared.
#[derive(Debug, Clone)]
pub struct SlotSpec {
    /// The slot.
    pub id: CredentialId,
    /// The integration's incarnation.
    pub vendor_id: String,
    /// The integration's kind.
    pub kind: &'static Kind,
    /// The type of credential.
    pub credential_type: &'static CredentialType,
    /// Settings fixed at issue.
    pub settings: Settings,
    /// When it rotates.
    pub schedule: Option<Schedule>,
    /// Where the secret goes, sorted by name. The first is the anchor: it is promoted last, and its
    /// document says which key is current.
    pub deliveries: Vec<Delivery>,
    /// Where it went before this change and goes no more: read for a copy, and written by nobody.
    pub former: Vec<Delivery>,
    /// Nobody reads it: it is there so that an end can be tried out.
    pub drill: bool,
    /// When the integration itself ends.
    pub integration_ends: Option<Timestamp>,
    /// The key that the caller knows as current: id, generation, when issued, when it ends.
    pub known: Option<(String, u64, Option<Timestamp>, Option<Timestamp>)>,
    /// What the configuration says that may ask for a rotation, as a digest.
    pub asked: Option<String>,
    /// Those who read its secret.
    pub consumers: Consumers,
}

impl SlotSpec {
    /// The key that the caller knows as current, where it is of a later generation than what is written
    /// in custody and sinks: those were restored from a backup, and whoever was told of it may hold it.
    pub(crate) fn known_beyond(&self, written: Option<u64>) -> Option<(&String, u64)> {
        let (key_id, generation, ..) = self.known.as_ref()?;
        written.is_some_and(|written| *generation > written).then_some((key_id, *generation))
    }

    /// Nothing earlier is kept: it ends with the rotation, in the same run, whoever finishes that.
    pub fn keeps_none(&self) -> bool {
        self.schedule.as_ref().is_some_and(|schedule| schedule.overlap == Span::ZERO)
    }

    /// How long an earlier key is kept.
    pub(crate) fn overlap(&self) -> Span {
        self.schedule.as_ref().map_or(Span::from_secs(86_400), |schedule| schedule.overlap)
    }
}

/// An earlier key that still works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreviousKey {
    /// The vendor's id.
    pub key_id: String,
    /// Its generation.
    pub generation: u64,
    /// When its overlap is over, or the time for which it is only switched off.
    pub retire_after: Option<Timestamp>,
    /// Whether it was switched off before its end.
    pub cut: Option<Cut>,
    /// When it ends by itself, where its platform tells.
    pub ends: Option<Timestamp>,
}

/// For how long whom is waited for who uses an earlier key of a slot.
pub(crate) fn terms(context: &Context, spec: &SlotSpec) -> Terms {
    let rules = &context.rules;
    Terms::of(spec.overlap(), rules.quiet_for, rules.overlap_max, rules.asks_when_used)
        .read_within(spec.consumers.refresh)
}

/// What a platform tells of the use of earlier keys. Where its listing says nothing and its word counts, it
/// is asked about each whose overlap is over: nothing hangs on it before. `said`: what consumers have said
/// that they hold, and the generation that is delivered to them.
pub(crate) async fn usage_of(
    context: &Context,
    connector: &dyn Connector,
    spec: &SlotSpec,
    previous: &[Previous],
    said: Option<(&Confirmed, u64)>,
    listed: &[ObservedCredential],
) -> Result<Usage, Problem> {
    let terms = terms(context, spec);
    let lag = connector.last_use_lag(spec.credential_type.name);
    let (now, mut of) = (context.time(), BTreeMap::new());
    let all_said = said.is_some_and(|(said, generation)| {
        let mut places = spec.deliveries.iter();
        !spec.deliveries.is_empty() && places.all(|one| said.holds(&one.place(), generation))
    });
    let heard = match previous {
        [] => Default::default(),
        _ => crate::usage::usage_of(context, &spec.id.integration.to_string()).await,
    };
    for one in previous {
        let Some(seen) = listed.iter().find(|seen| seen.key_id == one.key_id) else { continue };
        let Some(not_before) = one.retire_not_before else { continue };
        let mut last_used = seen.last_used;
        let asks = lag.is_some() && seen.live && now.has_come(not_before);
        if asks && last_used == LastUsed::Unknown {
            let object = object_of(&spec.id.integration, None, None);
            let found = connector
                .credential(&object, &one.key_id)
                .await
                .map_err(|error| Problem::unreadable(&spec.id.to_string(), &error))?;
            last_used = found.map_or(LastUsed::Unknown, |found| found.last_used);
        }
        let promoted_at = earlier(not_before, terms.overlap);
        let known = evidence(last_used, promoted_at, lag, terms.quiet_for, now.lo);
        // A log shows a use, whatever the platform tells; that it shows none says nothing.
        let seen = heard.last_seen(&one.key_id).filter(|at| *at > promoted_at);
        let seen = seen.filter(|at| now.lo < later(*at, terms.quiet_for));
        let known = seen.map_or(known, Evidence::Used);
        of.insert(one.key_id.clone(), with_word(known, all_said));
    }
    Ok(Usage { of, terms })
}

/// How long an earlier key of a slot is only switched off before it ends; `None` where it is not: its
/// platform cannot, policy wants none, or nothing is kept anyway.
pub(crate) fn soft_cut(
    context: &Context,
    connector: &dyn Connector,
    spec: &SlotSpec,
) -> Option<Span> {
    let span = context.rules.soft_cut_for.min(spec.overlap());
    (span > Span::ZERO && connector.disables(spec.credential_type.name)).then_some(span)
}

/// How long after its overlap an earlier key of a slot ends by itself at the latest; `None` where its
/// platform cannot be told, or a person is asked first.
pub(crate) fn limit(context: &Context, connector: &dyn Connector, spec: &SlotSpec) -> Option<Span> {
    limit_of(context, connector, spec.credential_type.name, spec.overlap(), spec.consumers.refresh)
}

/// The same of any slot with that overlap.
pub(crate) fn limit_of(
    context: &Context,
    connector: &dyn Connector,
    of: &str,
    overlap: Span,
    refresh: Option<Span>,
) -> Option<Span> {
    let rules = &context.rules;
    let terms = Terms::of(overlap, rules.quiet_for, rules.overlap_max, rules.asks_when_used);
    let terms = terms.read_within(refresh);
    let watched = connector.disables(of).then(|| rules.soft_cut_for.min(overlap));
    let heard = connector.last_use_lag(of).is_some();
    overlap::limit(&terms, watched, heard).filter(|_| connector.moves_expiry(of))
}

/// How a sink's document stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenDelivery {
    /// The sink's version.
    pub version: Option<u64>,
    /// `delivered`, `changed`, `missing` or `unchecked`.
    pub status: &'static str,
}

/// A slot as it is.
#[derive(Debug, Clone)]
pub struct SeenSlot {
    /// The status word.
    pub status: &'static str,
    /// The current key, if any is known.
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
    /// What is owed on it, each with how it stands.
    pub owed: Owed,
    /// What is known of the use of earlier keys.
    pub used: Usage,
    /// The sinks, by name.
    pub deliveries: BTreeMap<String, SeenDelivery>,
    /// Places where our own sign says that the secret was taken back from there.
    pub withdrawn: Vec<String>,
    /// A sink of ours holds the current secret.
    pub secret_held: bool,
    /// Who is at work on it, or why it is held.
    pub note: Option<String>,
    /// Somebody missed an earlier key when it was switched off: it waits for a person's word.
    pub still_used: bool,
    /// When a secret that nobody issued was let in, where the last proof showed that.
    pub accepts_anything: Option<Timestamp>,
    /// Earlier keys whose overlap is over and that somebody uses still: which, when last, and how much
    /// that matters.
    pub in_use: Vec<(String, Timestamp, Severity)>,
    /// Keys that were ended some time ago and that the platform shows again.
    pub returned: Vec<String>,
    /// Who says that one that works is exposed.
    pub exposed_by: Vec<String>,
    /// Keys that a call of ours made which came late: nobody has their secret, and the next deed ends them.
    pub late: Vec<String>,
    /// Earlier keys whose overlap is over and that are kept for consumers who may not have read the next one:
    /// which, and until when.
    pub unread: Vec<(String, Timestamp)>,
    /// When a waiting credential may rotate.
    pub next_opening: Option<Timestamp>,
    /// The integration is another incarnation than the one that is declared.
    pub recreated: bool,
    /// What its platform shows of the settings of the current key.
    pub settings: Settings,
    /// What the generation was begun for, as its claim has it.
    pub asked: Option<String>,
    /// Where the key was found listed and by whom it is marked is known: it is ours.
    pub listed: bool,
    /// What finishing comes to, where something was begun and is not finished.
    pub left: Option<Left>,
}

/// What is left of a deed that was begun, as far as it is known beforehand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    /// The generation that the slot is at, or is going to.
    pub generation: u64,
    /// That generation's key is in every place: it is not another one any more.
    pub made: bool,
    /// Earlier keys are being ended.
    pub ending: bool,
}

impl Left {
    /// `None` where nothing is open, where all that there was is being ended, and where the claim
    /// itself is newer than what is known of it.
    fn of(claim: &ClaimMirror, metas: &[Option<&Meta>]) -> Option<Left> {
        let generation = claim.generation;
        if claim.lags {
            return None;
        }
        match Phase::from_word(&claim.phase)? {
            Phase::Free | Phase::Parked | Phase::Held => None,
            Phase::Cutting | Phase::Enabling => {
                Some(Left { generation, made: true, ending: false })
            }
            Phase::Retiring | Phase::Proving => {
                claim.current.as_ref().map(|_| Left { generation, made: true, ending: true })
            }
            _ => {
                let is_it = |meta: &Option<&Meta>| {
                    let of = |new: &String| meta.is_some_and(|meta| meta.is_of(new, generation));
                    claim.new.as_ref().is_some_and(of)
                };
                let made = !metas.is_empty() && metas.iter().all(is_it);
                Some(Left { generation, made, ending: false })
            }
        }
    }
}

/// The opened sinks of a slot.
pub struct Sinks(pub(crate) Vec<(Delivery, Arc<dyn Sink>)>);

impl std::fmt::Debug for Sinks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(delivery, _)| delivery.place())).finish()
    }
}

impl Sinks {
    /// Opens all of them.
    pub(crate) async fn open(context: &Context, spec: &SlotSpec) -> Result<Sinks, Problem> {
        let mut sinks = Vec::with_capacity(spec.deliveries.len());
        for delivery in &spec.deliveries {
            let sink = context
                .sink(&delivery.connection)
                .await
                .map_err(|problem| problem.at(&["deliver_to", &delivery.name, "connection"]))?;
            sinks.push((delivery.clone(), sink));
        }
        Ok(Sinks(sinks))
    }
}

/// A look at one document through its folder, so that a folder costs one request.
async fn look(
    sink: &dyn Sink,
    path: &str,
    freshness: Freshness,
) -> Result<Option<Look>, SinkError> {
    if !sink.capabilities().lists_mirrors || freshness == Freshness::Fresh {
        return sink.look(path).await;
    }
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    match sink.look_all_shared(folder).await?.get(name) {
        // Where asking costs nothing, what stands in the way is told before anything is planned.
        None if sink.capabilities().this_host_only => sink.look(path).await,
        found => Ok(found),
    }
}

/// Looks at a slot; `None` where the integration itself is proven gone.
///
/// # Errors
///
/// Something could not be read.
pub async fn observe_slot(context: &Context, spec: &SlotSpec) -> Result<Option<SeenSlot>, Problem> {
    look_at_slot(context, spec, Freshness::Shared).await
}

/// The same; fresh for who has just done a deed on this one slot, and needs no listing of all.
pub(crate) async fn look_at_slot(
    context: &Context,
    spec: &SlotSpec,
    freshness: Freshness,
) -> Result<Option<SeenSlot>, Problem> {
    let what = spec.id.to_string();
    let integration = &spec.id.integration;
    let tenant = context.tenant(&integration.connection).await?;
    let connector = context.connector(&integration.connection).await?;
    let object = object_of(integration, None, None);
    let observed = connector
        .read(&object, Want::LEAN)
        .await
        .map_err(|error| Problem::unreadable(&what, &error))?;
    let Some(observed) = observed else { return Ok(None) };
    credentials_seen(&what, &observed)?;
    let recreated = observed.vendor_id != spec.vendor_id;
    let live: Option<Vec<&str>> = observed
        .credentials
        .as_ref()
        .map(|all| all.iter().filter(|one| one.live).map(|one| one.key_id.as_str()).collect());
    let standing: Option<Vec<&str>> = observed
        .credentials
        .as_ref()
        .map(|all| all.iter().filter(|one| one.stands()).map(|one| one.key_id.as_str()).collect());
    let (realm, key) = context.realm_key()?;
    let store = ClaimStore::open(context, &tenant, &spec.vendor_id, &spec.id).await?;
    let claim = store.mirror(context, freshness).await?;
    let sinks = Sinks::open(context, spec).await?;
    let now = context.time();

    let mut deliveries = BTreeMap::new();
    let mut anchor: Option<Meta> = None;
    let mut metas: BTreeMap<&str, Meta> = BTreeMap::new();
    let mut restorable = false;
    let mut withdrawn_from = Vec::new();
    for (index, (delivery, sink)) in sinks.0.iter().enumerate() {
        let look = look(&**sink, &delivery.path, freshness).await;
        let look = look.map_err(|error| delivery.problem(error))?;
        let meta = look.as_ref().and_then(|look| Meta::from_mirror(&look.mirror));
        let ours = meta.filter(|(meta, _)| meta.ours(realm, &what, &spec.vendor_id));
        // Ours, and it says itself that the secret was taken back: nobody wrote over anything.
        let withdrawn = |look: &Look| {
            let of = |(meta, version): &(Meta, u64)| {
                !meta.is_in_force() && *version == look.version.number
            };
            ours.as_ref().is_some_and(of)
        };
        withdrawn_from
            .extend(look.as_ref().filter(|look| withdrawn(look)).map(|_| delivery.place()));
        let gone = look.as_ref().filter(|look| look.deleted || withdrawn(look));
        let gone = gone.map(|look| look.version.number);
        let ours = ours.filter(|(meta, _)| meta.is_in_force());
        let seen = match (&look, &ours) {
            (None, _) => SeenDelivery { version: None, status: "missing" },
            _ if gone.is_some() => SeenDelivery { version: gone, status: "missing" },
            (Some(look), Some((_, version))) if *version == look.version.number => {
                SeenDelivery { version: Some(*version), status: "delivered" }
            }
            (Some(look), ours) => {
                restorable |= match ours {
                    Some((_, version)) => sink
                        .kept_versions(&delivery.path)
                        .await
                        .map_err(|error| delivery.problem(error))?
                        .contains(version),
                    // Its facts beside it were lost; it may still say itself what it is.
                    None => look.mirror.is_empty() && spec.known.is_some(),
                };
                SeenDelivery { version: Some(look.version.number), status: "changed" }
            }
        };
        if let Some((meta, _)) = &ours {
            realm_key::made_print(context, &meta.fingerprint, &delivery.place())?;
            let claimed = claim.as_ref().map_or(0, |claim| claim.epoch);
            if meta.custody.is_some() {
                let here = custody_place(context).await;
                let elsewhere = claim_is_elsewhere(context, &what, here.as_deref(), meta, claimed);
                elsewhere.into_iter().for_each(|problem| context.notices.add(problem));
            }
            metas.insert(&delivery.name, meta.clone());
        }
        if let Some((meta, _)) = ours
            && (index == 0 || anchor.is_none())
        {
            anchor = Some(meta);
        }
        deliveries.insert(delivery.name.clone(), seen);
    }
    let is_live = |key_id: &str| live.as_ref().is_none_or(|live| live.contains(&key_id));
    let settled = claim.as_ref().filter(|claim| !claim.is_open());
    // Custody was restored from a backup with the rest: whoever knows of a later generation that lives
    // knows better. A claim on which somebody may be at work is waited for.
    let told = claim.as_ref().filter(|claim| {
        !claim.is_open() || claim.lags && !claim.is_fresh(&context.rules, context.time_in_custody())
    });
    let written =
        told.map(|claim| claim.generation).max(anchor.as_ref().map(|meta| meta.generation));
    let seen = |key_id: &str| live.as_ref().is_some_and(|live| live.contains(&key_id));
    let ahead = spec
        .known_beyond(written.filter(|_| (claim.is_none() || told.is_some()) && !recreated))
        .filter(|(key_id, _)| seen(key_id));
    let serves = ahead
        .or_else(|| settled.and_then(|claim| Some((claim.current.as_ref()?, claim.generation))));
    // A sink that was restored from a backup holds what an earlier rotation delivered.
    if let Some((current, generation)) = serves {
        for (name, one) in deliveries.iter_mut().filter(|(_, one)| one.status == "delivered") {
            if metas.get(name.as_str()).is_some_and(|meta| !meta.is_of(current, generation)) {
                one.status = "changed";
            }
        }
    }
    let key_id = serves
        .map(|(key_id, _)| key_id.clone())
        .or_else(|| anchor.as_ref().map(|meta| meta.key_id.clone()))
        .or_else(|| spec.known.as_ref().map(|(key_id, ..)| key_id.clone()));
    let known = spec.known.as_ref().filter(|(known, ..)| Some(known) == key_id.as_ref());
    let generation = serves
        .map(|(_, generation)| generation)
        .or_else(|| settled.map(|claim| claim.generation))
        .or_else(|| anchor.as_ref().map(|meta| meta.generation))
        .or_else(|| known.map(|(_, generation, ..)| *generation))
        .unwrap_or(0);
    let listed = key_id.as_deref().is_some_and(is_live) && !recreated;

    // What the platform shows is the truth, whatever was delivered, and every copy can be made of it.
    let shown = match key_id.as_deref().filter(|_| listed) {
        Some(key_id) => connector
            .shown(&object, key_id)
            .await
            .map_err(|error| Problem::unreadable(&what, &error))?
            .map(|secret| key.fingerprint(&secret)),
        None => None,
    };
    if let Some(shown) = &shown {
        restorable |= anchor.is_some() || settled.is_some_and(|claim| claim.current.is_some());
        for (name, one) in deliveries.iter_mut().filter(|(_, one)| one.status == "delivered") {
            let meta = metas.get(name.as_str());
            if meta.is_some_and(|meta| matches(shown, &meta.fingerprint) == Some(false)) {
                one.status = "changed";
            }
        }
    }
    let delivered = deliveries.values().filter(|one| one.status == "delivered").count();
    let all_delivered = delivered == deliveries.len();

    let (mut issued_at, mut expires_at) =
        known.map_or((None, None), |(_, _, issued, expires)| (*issued, *expires));
    if let Some(key_id) = key_id.as_deref().filter(|_| listed && issued_at.is_none()) {
        let found = connector
            .credential(&object, key_id)
            .await
            .map_err(|error| Problem::unreadable(&what, &error))?;
        if let Some(found) = found {
            (issued_at, expires_at) = (found.issued_at, found.expires_at);
        }
    }
    // What older books call current is an earlier one, and keeps working until its successor does.
    let outdated = ahead.and_then(|_| {
        let (key_id, generation) = match (told, &anchor) {
            (Some(claim), _) => (claim.current.clone()?, claim.generation),
            (None, Some(meta)) => (meta.key_id.clone(), meta.generation),
            (None, None) => return None,
        };
        // Its overlap begins when there is a successor, which is not before now.
        let retire_not_before = Some(later(now.hi, spec.overlap()));
        Some(Previous { retire_not_before, ..Previous::new(key_id, generation) })
    });
    let kept: Vec<Previous> = claim
        .as_ref()
        .map(|claim| claim.previous.clone())
        .or_else(|| anchor.as_ref().map(|meta| meta.previous.clone()))
        .unwrap_or_default();
    let seen_now = observed.credentials.as_deref().unwrap_or_default();
    let said = settled.map(|claim| (&claim.confirmed, claim.generation));
    let mut usage = usage_of(context, &*connector, spec, &kept, said, seen_now).await?;
    let in_use: Vec<(String, Timestamp, Severity)> = kept
        .iter()
        .filter(|one| one.cut.is_none() && is_live(&one.key_id))
        .filter_map(|one| match usage.judge(now.lo, &one.key_id, one.retire_not_before) {
            Verdict::Wait(severity) => match usage.of.get(&one.key_id) {
                Some(Evidence::Used(at)) => Some((one.key_id.clone(), *at, severity)),
                _ => None,
            },
            _ => None,
        })
        .collect();
    let unread = kept_unread(&kept, &usage, now, is_live);
    let stands =
        |one: &Previous| standing.as_ref().is_none_or(|all| all.contains(&one.key_id.as_str()));
    // Their platform ended them by itself, as it was told: that is still to be shown.
    let told = |one: &Previous| !stands(one) && one.told.has_come(now);
    let ended_alone: Vec<Previous> = match settled.is_some() && kept.iter().all(told) {
        true => kept.clone(),
        false => Vec::new(),
    };
    // Ended by another hand, or by the call that made the current one: that is still to be shown.
    let named = kept.iter().filter(|one| Some(&one.key_id) != key_id.as_ref());
    let named: Vec<Previous> = named.cloned().collect();
    let kept: Vec<Previous> = kept
        .into_iter()
        .chain(outdated)
        .filter(|one| stands(one) && Some(&one.key_id) != key_id.as_ref())
        .collect();
    let returned = match (&claim, &standing) {
        (Some(claim), Some(standing)) => returned(spec, claim, standing, now.lo),
        _ => Vec::new(),
    };
    let mut late = match claim.as_ref().filter(|_| !recreated) {
        Some(claim) => {
            let book = (claim, freshness);
            late_keys(context, &*connector, spec, &tenant, book, seen_now).await?
        }
        None => Vec::new(),
    };
    // What consumers are to read is none, although the claim that named it is one of an earlier day.
    let current = key_id.clone();
    let is_read = |key_id: &String| {
        Some(key_id) == current.as_ref()
            || metas.values().any(|meta| {
                meta.key_id == *key_id || meta.previous.iter().any(|one| one.key_id == *key_id)
            })
    };
    late.retain(|one| !is_read(one));
    let needed = |one: &Previous| matches!(one.cut, Some(Cut::Needed { .. }));
    let still_used = kept.iter().any(needed);
    let (claimed_by_other, unfinished, held) = claim_facts(context, claim.as_ref());
    // One that somebody switched off already has nobody to be missed by.
    let off = kept.iter().filter(|one| !is_live(&one.key_id)).chain(&ended_alone);
    let off = off.map(|one| one.key_id.clone());
    let (off, proofs) = (off.collect::<Vec<String>>(), Proofs::default());
    // What its platform has ended nobody reads any more.
    usage.of.extend(ended_alone.iter().map(|one| (one.key_id.clone(), Evidence::Quiet)));
    let to_end: Vec<Previous> = kept.iter().cloned().chain(ended_alone).collect();
    let books = Books {
        phase: claim.as_ref().and_then(|one| Phase::from_word(&one.phase)).unwrap_or(Phase::Parked),
        generation,
        previous: &to_end,
        off: &off,
        proofs: claim.as_ref().map_or(&proofs, |claim| &claim.proofs),
        written_at: claim.as_ref().and_then(|claim| claim.written_at),
        stopped: claim.as_ref().is_some_and(|claim| has_stopped(&claim.owner)),
        used: Some(&usage),
    };
    let timed = claim.as_ref().is_some_and(|claim| claim.timed);
    let terms = terms_of_duties(context, &*connector, spec, timed);
    let open = claim.as_ref().is_some_and(ClaimMirror::is_open);
    let at_work = open && !unfinished && !held;
    let looked = Seen { now, at_work, in_use: !in_use.is_empty() };
    let mut all = duties(books, &terms);
    let parked = claim.as_ref().is_some_and(|one| one.phase == Phase::Parked.as_str());
    if to_end.is_empty() && parked && standing.is_some() && !recreated {
        all.extend(named.iter().map(Duty::to_show));
    }
    all.extend(late.iter().map(|key_id| Duty::to_clear(key_id, generation)));
    let owed = Owed::now(all, &looked);
    let watched = !owed.is_due(Task::Retire) && kept.iter().any(Previous::is_cut);
    let unfinished = unfinished && ahead.is_none();
    let put_off = Schedule::put_off(expires_at, spec.integration_ends);
    let due = spec
        .schedule
        .as_ref()
        .zip(issued_at)
        .map(|(schedule, issued)| schedule.due(&what, issued, put_off, now.hi));
    let next_opening = match due {
        Some(policy::schedule::Due::Waiting(at)) => at,
        _ if watched => kept.iter().filter_map(Previous::kept_until).max(),
        _ => None,
    };
    // A platform drops what has ended by itself; that is not somebody's hand.
    let expired = expires_at.is_some_and(|end| now.is_past(end)) && !recreated;
    // An incident is declared, and plan judges that from the configuration; this was heard.
    let works = key_id.iter().filter(|_| listed).chain(kept.iter().map(|one| &one.key_id));
    let exposed_by = signals::exposed_by(context, &what, works).await;
    let facts = Facts {
        claimed_by_other,
        held,
        exposed: !exposed_by.is_empty(),
        missing: key_id.is_some() && !listed && !expired,
        expired,
        unfinished: unfinished || !late.is_empty(),
        undelivered: !all_delivered && delivered == 0 && !restorable && anchor.is_some(),
        stale_copy: !all_delivered && (delivered > 0 || restorable),
        foreign: false,
        due,
        still_used,
        cut_due: owed.is_due(Task::Disable),
        watched,
        retire_due: owed.is_due(Task::Retire),
        proof_due: settled.is_some()
            && (owed.is_due(Task::Reprove) || owed.is_due(Task::DestroyPrevious)),
        held_secret: delivered > 0,
    };
    // Copies that are gone altogether leave nothing that says what was there; the state does.
    let facts = Facts {
        undelivered: facts.undelivered
            || (spec.known.is_some()
                && !spec.deliveries.is_empty()
                && delivered == 0
                && !restorable
                && settled.is_some_and(|claim| claim.current.is_some())),
        ..facts
    };
    let note = claim.as_ref().filter(|claim| claim.is_open()).map(|claim| {
        claim.hold.clone().unwrap_or_else(|| format!("{} is at work on it", claim.owner))
    });
    let in_places: Vec<Option<&Meta>> =
        sinks.0.iter().map(|(delivery, _)| metas.get(delivery.name.as_str())).collect();
    Ok(Some(SeenSlot {
        left: match late.is_empty() {
            true => claim.as_ref().and_then(|claim| Left::of(claim, &in_places)),
            // Nothing of it is another one.
            false => Some(Left { generation, made: true, ending: false }),
        },
        status: status::status(&facts),
        fingerprint: shown.map(|print| print.to_string()).or_else(|| {
            let current = anchor.as_ref().filter(|meta| Some(&meta.key_id) == key_id.as_ref());
            current.map(|meta| meta.fingerprint.clone())
        }),
        generation,
        issued_at,
        expires_at,
        previous: kept
            .into_iter()
            .map(|one| PreviousKey {
                retire_after: one.kept_until(),
                ends: seen_now
                    .iter()
                    .find(|seen| seen.key_id == one.key_id)
                    .and_then(|seen| seen.expires_at),
                key_id: one.key_id,
                generation: one.generation,
                cut: one.cut,
            })
            .collect(),
        owed,
        used: usage,
        deliveries,
        withdrawn: withdrawn_from,
        secret_held: delivered > 0,
        note,
        still_used,
        in_use,
        returned,
        exposed_by,
        late,
        unread,
        accepts_anything: claim.as_ref().and_then(|claim| claim.proofs.accepts_anything),
        next_opening,
        recreated,
        asked: claim.filter(|claim| claim.generation == generation).and_then(|one| one.asked),
        settings: observed
            .credentials
            .into_iter()
            .flatten()
            .find(|one| listed && Some(&one.key_id) == key_id.as_ref())
            .map_or_else(Settings::default, |one| one.settings),
        listed,
        key_id,
    }))
}

/// Ended keys that are listed as if they were not. What a listing that lags, or that was asked for before
/// the end, may show is none.
fn returned(
    spec: &SlotSpec,
    claim: &ClaimMirror,
    standing: &[&str],
    now: Timestamp,
) -> Vec<String> {
    let lags = spec.credential_type.profiles.iter().map(|profile| profile.list_lag);
    let late = lags.fold(Span::from_secs(300), Span::max);
    let named: Vec<&str> = claim.keys().collect();
    let old = claim.proofs.ended.iter().filter(|one| now >= later(one.at, late));
    let back = old.map(|one| one.key_id.as_str());
    back.filter(|key_id| standing.contains(key_id) && !named.contains(key_id))
        .map(str::to_owned)
        .collect()
}

fn claim_facts(context: &Context, claim: Option<&ClaimMirror>) -> (bool, bool, bool) {
    let Some(claim) = claim.filter(|claim| claim.is_open()) else { return (false, false, false) };
    if Phase::from_word(&claim.phase) == Some(Phase::Held) {
        return (false, false, true);
    }
    let fresh = claim.is_fresh(&context.rules, context.time_in_custody());
    let other = claim.owner != context.run.id;
    (other && fresh, !(other && fresh), false)
}
