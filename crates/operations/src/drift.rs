//! The world against what a ledger or a state says is declared, by the very looks and judgments
//! that a plan takes. Changes nothing.

use std::collections::{BTreeMap, BTreeSet};

use connector::Kind;
use domain::{
    Action, CredentialId, Gap, GapExtent, IntegrationId, LastUsed, ObservedIntegration, OwnerId,
    Setting, Settings, Ties,
    field::{Default::Vendor as VendorChooses, Field},
};
use jiff::{Timestamp, civil::Date};
use ledger::{Ledger, Selection, inventory::Origin};
use policy::{
    Schedule,
    duty::{Duty, Task},
    elevation::{Approval, OnRequest},
    findings::{
        self, Declared, Finding, Governed, Observed, SlotFacts, Stands, Tied, Times, compare,
    },
    rotation::Phase,
    schedule::{Written, later},
    scopes::{
        Declared as Standing, Enforcement, Lattice as _, above_ceiling, echo, highest_action, limit,
    },
    settings::spelled_as,
    standing::{ThirdParty, standing},
    usage::Usage,
};
use serde_json::{Map, Value, json};

use crate::{
    Consumers, Context, Delivery, KindLattice, Problem, SeenIntegration, SeenSlot, SlotSpec,
    around::time_to_stop,
    claim::{ClaimMirror, ClaimStore},
    decommission::Decommissioned,
    elsewhere::governed_elsewhere,
    form,
    integration::{REVOKES, TIES},
    look_around, look_up_owner,
    observe::gap_words,
    observe_integration, observe_slot,
    owner::noted_owner,
    third_party::noted_third_party,
    unheard::unheard_parts,
    usage,
};

/// Scopes as they are declared.
#[derive(Debug, Clone, PartialEq)]
pub struct WishedScopes {
    /// Standing ones.
    pub standing: BTreeSet<String>,
    /// Temporary ones, with their end where it is known.
    pub temporary: BTreeMap<String, Option<Timestamp>>,
    /// What may be had for a while by asking.
    pub on_request: BTreeMap<String, OnRequest>,
    /// Which differences are drift.
    pub enforcement: Enforcement,
    /// What single scopes really let their holder do, as a person said.
    pub classify: BTreeMap<String, Action>,
}

/// A credential slot as it is declared.
#[derive(Debug, Clone, Default)]
pub struct WishedSlot {
    /// Its name in the integration.
    pub name: String,
    /// The type of credential; the kind's own where nobody said.
    pub credential_type: Option<String>,
    /// When it rotates.
    pub schedule: Option<Schedule>,
    /// Where its secret goes.
    pub deliveries: Vec<Delivery>,
    /// The key that is known as current: id, generation, when issued, when it ends.
    pub known: Option<(String, u64, Option<Timestamp>, Option<Timestamp>)>,
    /// Nobody reads it: it is there so that an end can be tried out.
    pub drill: bool,
    /// Settings by name. Without them, and with places alone in `deliveries`, it is known where the
    /// slot is and not how it is issued.
    pub settings: Option<Value>,
    /// Those who read its secret.
    pub consumers: Consumers,
}

/// One integration as it is declared, as far as anybody said.
#[derive(Debug, Clone, Default)]
pub struct Wish {
    /// Its id.
    pub id: String,
    /// The incarnation that is known.
    pub vendor_id: Option<String>,
    /// Governance fields by dotted name.
    pub record: Option<BTreeMap<String, String>>,
    /// Settings by name.
    pub settings: Option<Value>,
    /// Whether it is to be active.
    pub enabled: Option<bool>,
    /// Whether credentials that nobody declared are to be ended.
    pub revoke_unmanaged: bool,
    /// Its scopes.
    pub scopes: Option<WishedScopes>,
    /// Its slots.
    pub slots: Vec<WishedSlot>,
    /// What it has to do with besides its platform.
    pub ties: Ties,
    /// It was put together from what deeds wrote down. What was declared before that ledger began may
    /// be missing in it, where a state is whole.
    pub pieced_together: bool,
}

impl Wish {
    /// The live credentials whose slots are not among those that it has, each with its slot.
    pub fn undeclared<'a>(
        &'a self,
        seen: &'a SeenIntegration,
    ) -> impl Iterator<Item = (&'a str, CredentialId)> {
        seen.slots
            .iter()
            .filter_map(|(key_id, slot)| {
                Some((key_id.as_str(), slot.parse::<CredentialId>().ok()?))
            })
            .filter(|(_, slot)| self.slots.iter().all(|one| one.name != slot.name))
    }

    /// Its id, read.
    ///
    /// # Errors
    ///
    /// It is none of ours.
    pub fn integration(&self) -> Result<IntegrationId, Problem> {
        self.id.parse().map_err(|error: domain::id::IdError| {
            Problem::new("E-ID", "A declared id is not one of ours")
                .detail(error.to_string())
                .next("apply the configuration that declares it again")
        })
    }
}

/// An owner who is bound to a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WishedOwner {
    /// `owner/<name>`.
    pub id: String,
    /// The connection that is the directory, and the entry in it.
    pub entry: (String, String),
    /// The department that is declared.
    pub department: Option<String>,
    /// Since when they were known to be inactive.
    pub inactive_since: Option<Date>,
}

/// An integration that its vendor runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WishedThirdParty {
    /// Its id.
    pub id: String,
    /// Its owners, `owner/<name>` each.
    pub owners: Vec<String>,
    /// What it is judged by.
    pub dates: ThirdParty,
    /// What it has to do with.
    pub ties: Ties,
}

/// Everything that is declared.
#[derive(Debug, Clone, Default)]
pub struct Wishes {
    /// Integrations by id.
    pub integrations: BTreeMap<String, Wish>,
    /// Owners with a directory, by id.
    pub owners: BTreeMap<String, WishedOwner>,
    /// Where owners are reached, by id, as far as a state says so.
    pub addresses: BTreeMap<String, String>,
    /// What vendors run.
    pub third_parties: Vec<WishedThirdParty>,
    /// Ids of integrations that are known, declared or not; all of this installation's, where the
    /// ledger was there from the beginning.
    pub heard_of: BTreeSet<String>,
    /// The ledger saw all that it knows of declared, and saw all of it end.
    pub all_ended: bool,
}

impl Wishes {
    /// How many things there are to look at.
    pub fn count(&self) -> usize {
        self.integrations.len() + self.owners.len() + self.third_parties.len()
    }

    /// The integrations of each owner.
    pub fn owned(&self) -> BTreeMap<String, Vec<String>> {
        let recorded = self.integrations.values().flat_map(|wish| {
            let record = wish.record.as_ref();
            let named = ["business_owner.id", "technical_owner.id"]
                .into_iter()
                .filter_map(move |member| record?.get(member));
            let sees_to_its_end = wish.ties.offboarding_owner.iter();
            named.chain(sees_to_its_end).map(|owner| (owner, &wish.id))
        });
        let run_elsewhere = self.third_parties.iter().flat_map(|wish| {
            let owners = wish.owners.iter().chain(&wish.ties.offboarding_owner);
            owners.map(|owner| (owner, &wish.id))
        });
        let mut owns: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (owner, id) in recorded.chain(run_elsewhere) {
            let names = owns.entry(owner.clone()).or_default();
            if !names.contains(id) {
                names.push(id.clone());
            }
        }
        owns
    }

    /// The slots that are declared. Of an id that is none of ours it is said when it is looked at.
    pub fn slots(&self) -> Vec<CredentialId> {
        let all =
            self.integrations.values().filter_map(|wish| Some((wish.integration().ok()?, wish)));
        all.flat_map(|(integration, wish)| {
            let name = |slot: &WishedSlot| slot.name.clone();
            let id = move |name| CredentialId { integration: integration.clone(), name };
            wish.slots.iter().map(name).map(id).collect::<Vec<_>>()
        })
        .collect()
    }
}

/// What a look at one declared thing came to.
#[derive(Debug, Clone, Default)]
pub struct Judged {
    /// What was found, each with its fingerprint.
    pub findings: Vec<([u8; 16], Finding)>,
    /// Parts that could not be read: what, and why.
    pub gaps: Vec<(String, Problem)>,
    /// The incarnation that was looked at; `None` where there is none.
    pub vendor_id: Option<String>,
    /// What it was seen to hold, for where it gets to.
    pub held: Option<Held>,
}

/// What an integration was seen to hold.
#[derive(Debug, Clone, Default)]
pub struct Held {
    /// The tenant's own id, and what names the object there.
    pub at: (String, String),
    /// Its live scopes, each with what it lets its holder do.
    pub scopes: Vec<(String, Action)>,
    /// The most that its ceiling allows.
    pub ceiling: Option<Action>,
}

impl Judged {
    pub(crate) fn found(
        &mut self,
        tenant: &str,
        stable: &str,
        all: impl IntoIterator<Item = Finding>,
    ) {
        let printed = all.into_iter().map(|one| (one.fingerprint(tenant, stable), one));
        self.findings.extend(printed);
    }

    /// With each finding as much as it matters by the policy.
    pub(crate) fn weighed(mut self, context: &Context) -> Judged {
        let findings = self.findings.into_iter();
        self.findings =
            findings.map(|(print, one)| (print, context.rules.findings.weighed(one))).collect();
        self
    }
}

/// Looks at one integration with its scopes and slots.
///
/// # Errors
///
/// It could not be read. That is never an absence.
pub async fn judge_integration(context: &Context, wish: &Wish) -> Result<Judged, Problem> {
    Ok(compared(context, wish).await?.weighed(context))
}

async fn compared(context: &Context, wish: &Wish) -> Result<Judged, Problem> {
    let id = wish.integration()?;
    let platform = context.connections.platform(&id.connection)?;
    let Some(kind) = platform.kinds().iter().find(|kind| kind.name == id.kind) else {
        return Err(Problem::new("E-KIND", "This connection cannot hold it")
            .detail(format!(
                "{id}: connection {:?} is {}, which has no {}.",
                id.connection,
                platform.name(),
                id.kind
            ))
            .next("give that connection its platform back, or declare the integration elsewhere"));
    };
    let lattice = KindLattice { platform, kind: kind.name };
    let mut judged = Judged::default();
    let seen = observe_integration(context, &id, None, wish.vendor_id.as_deref()).await?;
    let Some(seen) = seen else {
        let tenant = context.tenant(&id.connection).await?;
        let stable = wish.vendor_id.clone().unwrap_or_else(|| id.key.clone());
        judged.found(&tenant, &stable, [findings::missing(&wish.id)]);
        return Ok(judged);
    };
    let (tenant, live) = (&seen.tenant, &seen.observed);
    judged.vendor_id = Some(live.vendor_id.clone());
    let stable = wish.vendor_id.as_deref().unwrap_or(&live.vendor_id);
    if let Some(of) = governed_elsewhere(context.realm.as_deref(), live.record.as_ref()) {
        let here = context.realm.as_ref().map_or("", |realm| realm.id.as_str());
        // What lives on it says that it was ours: then the rest is told as well.
        let was_ours = !seen.slots.is_empty();
        judged.found(tenant, stable, [findings::governed_elsewhere(&wish.id, here, of, was_ours)]);
        if !was_ours {
            return Ok(judged);
        }
    }
    for gap in &live.gaps {
        let problem = Problem::new("E-UNREADABLE", "A part of an object cannot be read")
            .detail(gap_words(gap))
            .next(format!("nhi doctor {}", id.connection));
        judged.gaps.push((wish.id.clone(), problem));
    }
    if let Some(how) = Decommissioned::of(live.record.as_ref()) {
        let credentials = live.credentials.iter().flatten().filter(|one| one.live);
        let mut lives: Vec<String> = credentials.map(|one| one.key_id.clone()).collect();
        lives.extend(live.scopes.iter().map(|one| one.scope.to_string()));
        if live.enabled && kind.capabilities.disables {
            lives.push("its switch is on".to_owned());
        }
        let partly = how == Decommissioned::Partly;
        judged.found(tenant, stable, findings::decommissioned(&wish.id, partly, &lives));
        return Ok(judged);
    }

    let mut declared = Declared {
        id: wish.id.clone(),
        enabled: wish.enabled,
        revoke_unmanaged: wish.revoke_unmanaged,
        ..Declared::default()
    };
    let known = |key: &String| seen.tell(key).trim_start_matches(key.as_str()).trim().to_owned();
    // What came late for a slot that is not declared here no deed from here ends.
    let ours =
        |slot: &String| wish.slots.iter().any(|one| slot.ends_with(&format!("/{}", one.name)));
    let late = seen.late.iter().filter(|(_, slot)| !ours(slot)).map(|(key, _)| key);
    let unmanaged = seen.unmanaged.iter().chain(late);
    let unmanaged = unmanaged.map(|key| (key.clone(), known(key))).collect();
    let foreign =
        seen.foreign.iter().map(|(key, of)| (key.clone(), (of.clone(), known(key)))).collect();
    let mut observed =
        Observed { enabled: live.enabled, unmanaged, foreign, ..Observed::default() };
    if let Some(raw) = &wish.settings {
        let known = settings_from(kind.fields, raw);
        let mut now = spelled_as(kind.fields, &live.settings, &known);
        // What the platform chose where nobody said anything is no difference.
        for field in kind.fields.iter().filter(|field| field.default == VendorChooses) {
            if !known.0.contains_key(field.name) {
                now.0.remove(field.name);
            }
        }
        declared.settings = Some(in_words(&known));
        observed.settings = in_words(&now);
    }
    if let Some(record) = &wish.record {
        let now = live.record.clone().unwrap_or_default();
        let now = record_words(&serde_json::from_str(&now.to_json()).unwrap_or_default());
        let compared = |name: &String| is_governance(name) || record.contains_key(name);
        observed.record = now.into_iter().filter(|(name, _)| compared(name)).collect();
        declared.record = Some(record.clone());
    }
    judged.found(tenant, stable, compare(&declared, &observed));
    if live.contacts.is_some() {
        judged.found(tenant, stable, [findings::contacts(&wish.id)]);
    }

    let said = |name: &str| wish.record.as_ref()?.get(name).map(String::as_str);
    let facts = seen.facts(said("expires_on"), said("review_every"), said("adoption.complete_by"));
    let around = look_around(context, &wish.id, &wish.ties).await;
    let unseen_around = around.gaps_of(&wish.id);
    let facts = around.into_facts(facts, &wish.ties, live, &context.rules, context.time());
    let verdicts = standing(&facts, &context.rules, context.time());
    let mut findings = findings::standing(&wish.id, &verdicts);
    for finding in &mut findings {
        let named = match finding.rule {
            "workflow-gone" => facts.around.gone.join(", "),
            "condition-met" => facts.around.met.join(", "),
            "predecessor-alive" => wish.ties.replaces.clone().unwrap_or_default(),
            _ => continue,
        };
        finding.actual = named;
    }
    for finding in findings.iter_mut().filter(|one| one.rule == "marker-forged") {
        let keys: Vec<&str> = seen.forged.iter().map(String::as_str).collect();
        finding.why = format!("the mark of {} was not made here for it", keys.join(", "));
    }
    judged.found(tenant, stable, findings);
    let facts = governance(wish, live, lattice);
    judged.found(tenant, stable, findings::governed(&facts, &context.rules));
    // Scopes of which some may be missing say nothing of where it gets to.
    let elsewhere =
        |gap: &Gap| matches!(gap.extent, GapExtent::Facet(_, facet) if facet != "scopes");
    judged.held = live.gaps.iter().all(elsewhere).then(|| Held {
        at: (tenant.clone(), stable.to_owned()),
        scopes: facts.scopes.clone(),
        ceiling: said("ceiling_action").and_then(|word| word.parse().ok()),
    });
    let time_to_stop = match wish.ties.stop_within {
        Some(_) => time_to_stop(&*context.ledger, &wish.id).await?,
        None => None,
    };
    let tied = Tied {
        id: &wish.id,
        ties: &wish.ties,
        environment: said("environment"),
        execution_mode: said("execution_mode"),
        adopted: said("adoption.complete_by").is_some(),
        time_to_stop,
    };
    judged.found(tenant, stable, findings::ties(&tied, &context.rules));

    if let Some(scopes) = &wish.scopes {
        let scopes = scopes.with_elevations(context, live, lattice);
        let live = live.scopes.iter().map(|held| held.scope.clone()).collect();
        judged.found(
            tenant,
            stable,
            judge_scopes(&wish.id, &scopes, &live, lattice, context.time().lo),
        );
    }
    let usage = usage::usage_of(context, &wish.id).await;
    judged.found(tenant, stable, unused(context, &wish.id, &usage, live, lattice));
    // As a plan has it: what a hand switched off is switched on again, and its slots are brought up
    // to date by the same apply. A quarantine is lifted by nobody's declaration.
    let quarantined = live.record.as_ref().is_some_and(|record| record.quarantined.is_some());
    let active = wish.enabled.unwrap_or(live.enabled) && !quarantined;
    let ends = said("expires_on").and_then(form::end_of_day);
    for slot in &wish.slots {
        let slot_id = CredentialId { integration: id.clone(), name: slot.name.clone() };
        let spec = spec_of(&slot_id, slot, kind, (stable, ends));
        let stable = format!("{stable}/{}", slot.name);
        match judge_slot(context, spec, live, active, &usage).await {
            Ok(found) => judged.found(tenant, &stable, found),
            Err(problem) => judged.gaps.push((slot_id.to_string(), problem)),
        }
    }
    match left_open(context, &id, (tenant, &live.vendor_id), &wish.slots).await {
        Ok(left) => {
            for (name, finding) in left {
                judged.found(tenant, &format!("{}/{name}", live.vendor_id), [finding]);
            }
        }
        // Of the declared ones it was said already.
        Err(problem) if judged.gaps.is_empty() => judged.gaps.push((wish.id.clone(), problem)),
        Err(_) => {}
    }
    // By their marks all of its credentials are ours, and by no book.
    if judged.gaps.is_empty() {
        judged.gaps.extend(seen.unread_books.clone().map(|problem| (wish.id.clone(), problem)));
    }
    // Not before: of its own books they say nothing.
    judged.gaps.extend(unseen_around);
    if wish.pieced_together {
        let unheard = unheard_parts(context, wish, tenant, live).await;
        judged.gaps.extend(unheard.map(|problem| (wish.id.clone(), problem)));
    } else {
        // Another state may have it; where none does, it lives on and nothing rotates it.
        for (key_id, slot) in wish.undeclared(&seen) {
            let finding = findings::not_given(&slot.to_string(), key_id, &wish.id);
            judged.found(tenant, &format!("{}/{}", live.vendor_id, slot.name), [finding]);
        }
    }
    Ok(judged)
}

/// What was begun in slots that are not declared, by the slot's name: a declared one tells it itself.
async fn left_open(
    context: &Context,
    id: &IntegrationId,
    (tenant, vendor_id): (&str, &str),
    declared: &[WishedSlot],
) -> Result<Vec<(String, Finding)>, Problem> {
    if context.custody.is_none() || context.realm.is_none() {
        return Ok(Vec::new());
    }
    let claims = ClaimStore::open_of(context, tenant, vendor_id).await?;
    let named = claims.into_iter().filter_map(|claim| {
        let name = claim.slot_name()?;
        let slot = CredentialId { integration: id.clone(), name: name.to_owned() };
        let key_id = claim.new.as_deref().or(claim.current.as_deref());
        let at_work = claim.is_at_work(&context.rules, context.time_in_custody());
        let stands = stands(at_work, &claim.owner, claim.hold.as_deref());
        let finding = findings::left_open(&slot.to_string(), key_id, &claim.phase, stands);
        Some((slot.name, finding))
    });
    Ok(named.filter(|(name, _)| declared.iter().all(|slot| slot.name != *name)).collect())
}

/// How what was begun stands: a person is told at once that it waits for them, and whom to ask where
/// it may go on by itself.
fn stands<'a>(at_work: bool, owner: &'a str, hold: Option<&'a str>) -> Stands<'a> {
    match (at_work, hold) {
        (true, _) => Stands::AtWork(owner),
        (false, Some(why)) => Stands::Waits(why),
        (false, None) => Stands::Silent,
    }
}

/// What was begun in a slot, and is not finished.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begun {
    /// The slot's id.
    pub slot: CredentialId,
    /// The incarnation of its integration.
    pub vendor_id: String,
    /// How far it came.
    pub phase: String,
    /// The credential that may work.
    pub key_id: Option<String>,
    /// Where custody has it: `<connection>:<path>`.
    pub place: String,
    /// The generation that it is about.
    pub generation: u64,
    /// Who began it.
    pub owner: String,
    /// When it was last written down.
    pub since: Option<Timestamp>,
    /// Its owner may be at work on it: it is not held, and was written down not long ago.
    pub at_work: bool,
    /// Why it waits for a person.
    pub hold: Option<String>,
    /// The place that does not take the new credential, and since when.
    pub undelivered: Option<(String, Timestamp)>,
    /// All that the slot has is being ended.
    pub ends_all: bool,
    /// Nothing is open: an earlier credential is only switched off, and is ended after this.
    pub off_until: Option<Timestamp>,
}

/// Everything that is open in this installation's custody, whoever is at work on it, for a person who
/// is about to finish it.
///
/// # Errors
///
/// Custody cannot be read.
pub async fn everything_begun(context: &Context) -> Result<Vec<Begun>, Problem> {
    match context.custody.is_some() && context.realm.is_some() {
        true => Ok(as_begun(context, ClaimStore::all_begun(context).await?)),
        false => Ok(Vec::new()),
    }
}

/// Everything that was left open in this installation's custody, whoever declares it, and whatever is
/// still at the platform: nobody is at work on it any more.
///
/// # Errors
///
/// Custody cannot be read.
pub async fn everything_left_open(context: &Context) -> Result<Vec<Begun>, Problem> {
    let mut begun = everything_open(context).await?;
    begun.retain(|one| !one.at_work);
    Ok(begun)
}

/// The slots of a connection at which a secret that nobody issued was let in when an end was last
/// proven there, each with when.
///
/// # Errors
///
/// Custody cannot be read.
pub async fn accepting_anything(
    context: &Context,
    connection: &str,
) -> Result<Vec<(CredentialId, Timestamp)>, Problem> {
    if context.custody.is_none() || context.realm.is_none() {
        return Ok(Vec::new());
    }
    let accepting = |claim: ClaimMirror| {
        let slot = claim.slot.parse::<CredentialId>().ok()?;
        let at = claim.proofs.accepts_anything?;
        (slot.integration.connection == connection).then_some((slot, at))
    };
    Ok(ClaimStore::all(context).await?.into_iter().filter_map(accepting).collect())
}

/// The same, whoever is at work on it.
async fn everything_open(context: &Context) -> Result<Vec<Begun>, Problem> {
    match context.custody.is_some() && context.realm.is_some() {
        true => Ok(as_begun(context, ClaimStore::all_open(context).await?)),
        false => Ok(Vec::new()),
    }
}

fn as_begun(context: &Context, claims: Vec<(String, ClaimMirror)>) -> Vec<Begun> {
    let (Some(custody), Some(realm)) = (&context.custody, context.realm.as_deref()) else {
        return Vec::new();
    };
    let now = context.time_in_custody();
    let read = claims.into_iter().filter_map(|(name, claim)| {
        let phase = Phase::from_word(&claim.phase)?;
        let ending = matches!(phase, Phase::Retiring | Phase::Proving);
        Some(Begun {
            slot: claim.slot.parse().ok()?,
            place: format!("{}:{}/{}/{name}", custody.connection, custody.path, realm.id),
            at_work: claim.is_open() && claim.is_at_work(&context.rules, now),
            off_until: claim.off_until(),
            ends_all: ending && claim.current.is_none(),
            key_id: match claim.is_cut() {
                true => claim
                    .previous
                    .iter()
                    .find(|one| one.cut.is_some())
                    .map(|one| one.key_id.clone()),
                false => claim.new.clone().or_else(|| claim.current.clone()),
            },
            hold: match claim.is_needed() {
                true => Some("still-used".to_owned()),
                false => claim.hold,
            },
            generation: claim.generation,
            owner: claim.owner,
            since: claim.written_at,
            vendor_id: claim.vendor_id,
            phase: claim.phase,
            undelivered: claim.undelivered.map(|one| (one.place, one.since)),
        })
    });
    let mut begun: Vec<Begun> = read.collect();
    begun.sort_by_key(|one| one.slot.to_string());
    begun
}

/// What is open in slots of integrations that no look of this run was at: nothing declares them,
/// or they are gone. `looked_at` has the incarnation of each that was looked at, and nothing where one
/// could not be read; `slots` are those that are declared. `all_declared`: what was compared is all that
/// this installation declares.
///
/// # Errors
///
/// `E-DRIFT-HALF`: custody cannot be read, and nothing is known of it.
pub async fn judge_left_behind(
    context: &Context,
    looked_at: &BTreeMap<String, Option<String>>,
    slots: &[CredentialId],
    all_declared: bool,
) -> Result<Judged, Problem> {
    let unknown = |problem: Problem| {
        Problem::new("E-DRIFT-HALF", "What was left open is not known")
            .detail(format!(
                "Custody tells what was begun and not finished, also for what nothing declares any \
                 more, and it cannot be read: {} {}",
                problem.summary, problem.detail
            ))
            .next(problem.next.unwrap_or_else(|| "nhi doctor".to_owned()))
    };
    let open = everything_open(context).await.map_err(unknown)?;
    let mut judged = Judged::default();
    for (place, name, at_work) in bare(context, looked_at, slots).await.map_err(unknown)? {
        let stands = if at_work { Stands::AtWork("somebody") } else { Stands::Silent };
        judged.found("", &name, [findings::begun_and_unsaid(&place, stands, all_declared)]);
    }
    for one in open {
        let was_looked_at = match looked_at.get(&one.slot.integration.to_string()) {
            Some(Some(seen)) => *seen == one.vendor_id,
            // It is a gap already.
            Some(None) => true,
            None => false,
        };
        if !was_looked_at {
            let slot = one.slot.to_string();
            let key_id = one.key_id.as_deref();
            let stands = stands(one.at_work, &one.owner, one.hold.as_deref());
            let found =
                findings::left_behind(&slot, key_id, &one.phase, stands, &one.place, all_declared);
            judged.found("", &format!("{}/{}", one.vendor_id, one.slot.name), [found]);
        }
    }
    Ok(judged.weighed(context))
}

/// Documents in custody of which nobody has said what they are, of no slot that is declared: place,
/// name, and whether somebody may be at work on it. That of a declared one has lost what said so, and
/// its next deed writes it again.
async fn bare(
    context: &Context,
    looked_at: &BTreeMap<String, Option<String>>,
    slots: &[CredentialId],
) -> Result<Vec<(String, String, bool)>, Problem> {
    let (Some(custody), Some(realm)) = (&context.custody, context.realm.as_deref()) else {
        return Ok(Vec::new());
    };
    let mut bare = ClaimStore::all_bare(context).await?;
    // Whose they are cannot be told where a part is unread, and that is said already.
    if bare.is_empty() || looked_at.values().any(Option::is_none) {
        return Ok(Vec::new());
    }
    for slot in slots {
        let seen = looked_at.get(&slot.integration.to_string()).and_then(Option::as_deref);
        let Some(vendor_id) = seen else { continue };
        let tenant = context.tenant(&slot.integration.connection).await?;
        let name = ClaimStore::name_of(&tenant, vendor_id, &slot.name);
        bare.retain(|(one, _)| *one != name);
    }
    let ttl = context.rules.claim_ttl_of(true);
    let now = context.time_in_custody();
    let fresh = |at: Option<Timestamp>| at.is_some_and(|at| !now.is_past(later(at, ttl)));
    let place = |name: &str| format!("{}:{}/{}/{name}", custody.connection, custody.path, realm.id);
    Ok(bare.into_iter().map(|(name, at)| (place(&name), name, fresh(at))).collect())
}

/// What is asked of an integration besides its dates. A record that nobody here wrote, or not whole,
/// asks nothing.
fn governance<'a>(
    wish: &'a Wish,
    live: &'a ObservedIntegration,
    lattice: KindLattice,
) -> Governed<'a> {
    let nothing = BTreeMap::new();
    let classify = wish.scopes.as_ref().map_or(&nothing, |scopes| &scopes.classify);
    let texts: BTreeSet<String> = live.scopes.iter().map(|held| held.scope.to_string()).collect();
    let record = live.record.as_ref().filter(|one| one.realm.is_some() && !one.unfinished);
    let ceiling = record.and_then(|one| limit(one.ceiling_action.as_deref()).ok().flatten());
    let covering = record.and_then(|one| one.ceiling_scopes.as_ref());
    let mut above = above_ceiling(&lattice, &texts, &texts, classify, ceiling, covering);
    // A ledger does not know what a person said that an unknown one lets its holder do.
    above.retain(|one| !wish.pieced_together || one.uncovered || one.action != Action::Unknown);
    Governed {
        id: &wish.id,
        name: &live.name,
        record,
        declared: wish.record.as_ref(),
        above,
        scopes: texts
            .iter()
            .map(|scope| (scope.clone(), highest_action(&lattice, [scope], classify)))
            .collect(),
    }
}

fn judge_scopes(
    id: &str,
    wish: &WishedScopes,
    live: &BTreeSet<domain::Scope>,
    lattice: KindLattice,
    now: Timestamp,
) -> Vec<Finding> {
    let mut scopes = wish.standing.clone();
    // A temporary scope that is live is declared too.
    scopes.extend(wish.temporary.keys().cloned());
    let compared =
        echo(&lattice, &Standing { scopes, ..Standing::default() }, live, wish.enforcement);
    let action = |text: &String| highest_action(&lattice, [text], &wish.classify);
    let with_action = |text| (text, action(text));
    let added = compared.extra.iter().filter(|_| wish.enforcement != Enforcement::AtLeast);
    let gone = compared.gone.iter().filter(|text| {
        wish.enforcement != Enforcement::AtMost && !wish.temporary.contains_key(*text)
    });
    let mut found = findings::scopes(id, added.map(with_action), gone.map(with_action));
    for (scope, until) in &wish.temporary {
        if let Some(until) = until.filter(|until| now >= *until)
            && !compared.gone.contains(scope)
        {
            found.push(findings::scope_outlived(id, scope, until, action(scope)));
        }
    }
    found
}

fn spec_of(
    id: &CredentialId,
    slot: &WishedSlot,
    kind: &'static Kind,
    (vendor_id, integration_ends): (&str, Option<Timestamp>),
) -> Option<SlotSpec> {
    let credential_type = kind
        .credential_types
        .iter()
        .find(|one| slot.credential_type.as_deref() == Some(one.name))
        .or(kind.credential_types.first())?;
    Some(SlotSpec {
        id: id.clone(),
        vendor_id: vendor_id.to_owned(),
        kind,
        credential_type,
        settings: Settings::default(),
        schedule: slot.schedule.clone(),
        deliveries: slot.deliveries.clone(),
        former: Vec::new(),
        drill: slot.drill,
        integration_ends,
        known: slot.known.clone(),
        asked: None,
        consumers: slot.consumers,
    })
}

/// Scopes that it holds and that no log shows in use, where logs show all of that time.
fn unused(
    context: &Context,
    id: &str,
    usage: &Usage,
    live: &ObservedIntegration,
    lattice: KindLattice,
) -> Vec<Finding> {
    let Some(after) = context.rules.findings.dormant_after else { return Vec::new() };
    let now = context.time().hi;
    let texts: BTreeSet<&String> = usage.logs.values().flat_map(|log| log.scopes.keys()).collect();
    let is_held = |text: &str| {
        let means = lattice.parse(text).unwrap_or_default();
        live.scopes.iter().any(|held| means.contains(&held.scope))
    };
    let unused = texts
        .into_iter()
        .filter(|text| usage.unused_for(text, after, now) == Some(true) && is_held(text));
    unused.map(|text| findings::scope_unused(id, text, after)).collect()
}

async fn judge_slot(
    context: &Context,
    spec: Option<SlotSpec>,
    live: &ObservedIntegration,
    active: bool,
    usage: &Usage,
) -> Result<Vec<Finding>, Problem> {
    let Some(spec) = spec else {
        return Err(Problem::new("E-KIND", "This kind has no credentials")
            .detail("A slot is declared on an integration that cannot have one.")
            .next("remove that nhi_credential"));
    };
    let Some(seen) = observe_slot(context, &spec).await? else { return Ok(Vec::new()) };
    let id = spec.id.to_string();
    let ends = |one: &&Duty| matches!(one.task, Task::Retire | Task::Disable);
    let outlived = seen.owed.due().filter(ends).filter_map(|one| one.key_id.as_deref());
    // One that is to be switched off first is named once.
    let outlived: BTreeSet<&str> = outlived.collect();
    let sinks = spec.deliveries.iter().filter_map(|delivery| {
        let seen = seen.deliveries.get(&delivery.name)?;
        Some((delivery.name.as_str(), delivery.place(), seen.status))
    });
    // Whoever ended all that it had left it declared.
    let empty = seen.key_id.is_none() && seen.note.is_none();
    let mut found = findings::slot(&SlotFacts {
        id: &id,
        status: if empty { "missing" } else { seen.status },
        key_id: seen.key_id.as_deref(),
        note: seen
            .note
            .as_deref()
            .or(seen.still_used.then_some("still-used"))
            .or(seen.exposed_by.first().map(String::as_str)),
        sinks: sinks.collect(),
        outlived: outlived.into_iter().collect(),
        end_alone: seen
            .previous
            .iter()
            .filter_map(|one| Some((one.key_id.as_str(), one.ends?)))
            .collect(),
        accepts_anything: seen.accepts_anything,
        in_use: seen.in_use.iter().map(|(key, at, how)| (key.as_str(), *at, *how)).collect(),
        returned: seen.returned.iter().map(String::as_str).collect(),
        late: seen.late.iter().map(String::as_str).collect(),
        unread: seen.unread.iter().map(|(key, until)| (key.as_str(), *until)).collect(),
        active,
    });
    let mut times = times_of(&spec, &seen, live, &id).filter(|_| active);
    // What was heard elsewhere of its use tells where its platform does not.
    if let (Some(times), Some(key_id), Some(after)) =
        (&mut times, &seen.key_id, context.rules.findings.dormant_after)
    {
        times.last_used = usage.last_used(key_id, times.last_used, after);
    }
    found.extend(times.iter().flat_map(|one| findings::times(one, &context.rules, context.time())));
    Ok(found)
}

/// The times of a slot's current key. What does not live has no age; where a platform lists none, or not
/// this one's kind, it is as old as custody says, and when it was used or ends is not known.
fn times_of<'a>(
    spec: &SlotSpec,
    seen: &SeenSlot,
    live: &ObservedIntegration,
    id: &'a str,
) -> Option<Times<'a>> {
    let key_id = seen.key_id.as_ref()?;
    let scheduled = spec.schedule.is_some();
    let can_end = spec.credential_type.profiles.iter().all(|one| one.sets_expiry);
    let lists = spec.kind.capabilities.lists_credentials
        && spec.credential_type.profiles.iter().any(|one| one.lists);
    let Some(listed) = live.credentials.as_ref().filter(|_| lists) else {
        // Of one that is not there its status says so.
        return (!matches!(seen.status, "missing" | "expired")).then_some(Times {
            slot: id,
            issued_at: seen.issued_at,
            expires_at: seen.expires_at,
            can_end: false,
            last_used: LastUsed::Unknown,
            scheduled,
        });
    };
    let key = listed.iter().filter(|one| one.live).find(|one| one.key_id == *key_id)?;
    Some(Times {
        slot: id,
        issued_at: key.issued_at.or(seen.issued_at),
        expires_at: key.expires_at.or(seen.expires_at),
        can_end,
        last_used: key.last_used,
        scheduled,
    })
}

/// Asks a directory whether an owner is still there; `owns` are integrations that name them.
///
/// # Errors
///
/// The directory could not be read. That is no sign that somebody left.
pub async fn judge_owner(
    context: &Context,
    wish: &WishedOwner,
    owns: &[String],
) -> Result<Judged, Problem> {
    let (connection, entry) = &wish.entry;
    let (seen, _) = look_up_owner(context, connection, entry).await?;
    let (status, since) = policy::owner::status(
        &seen,
        wish.department.as_deref(),
        wish.inactive_since,
        &context.rules,
        context.time(),
    );
    let since = since.map(|day| day.to_string());
    let mut judged = Judged::default();
    judged.found(connection, entry, findings::owner(&wish.id, status, since.as_deref(), owns));
    Ok(judged.weighed(context))
}

/// What the ledger says was declared last.
///
/// # Errors
///
/// It cannot be read.
pub async fn declared_in_ledger(ledger: &dyn Ledger) -> Result<Wishes, Problem> {
    let mut wishes = Wishes::default();
    let mut forms = BTreeMap::new();
    // Of what was declared before the ledger began it has no more than what was seen since.
    let mut saw_all_declared = true;
    for row in ledger.integrations(&Selection::all()).await? {
        wishes.heard_of.insert(row.id.clone());
        saw_all_declared &= row.origin != Origin::Discovered;
        let Some(document) = row.declared else { continue };
        for (facet, form) in document.value.as_object().into_iter().flatten() {
            if let Some(name) = form::slot_of(facet) {
                forms.insert((row.id.clone(), name.to_owned()), form.clone());
            }
        }
        if row.id.parse::<OwnerId>().is_ok() {
            let owner = noted_owner(&row.id, &document.value);
            wishes.owners.extend(owner.map(|owner| (row.id, owner)));
            continue;
        }
        if let Some(noted) = noted_third_party(&row.id, &document.value) {
            wishes.third_parties.push(noted);
            continue;
        }
        let facet = |name: &str| document.value.get(name).cloned();
        let scopes = facet("scopes").map(|facet| wished_scopes(&facet));
        let flag = |name: &str| facet("enabled").and_then(|facet| facet.get(name)?.as_bool());
        let (enabled, revoke_unmanaged) = (flag("enabled"), flag(REVOKES).unwrap_or(false));
        let vendor_id = row
            .applied
            .as_ref()
            .and_then(|applied| applied.value.get("object")?.get("vendor_id")?.as_str())
            .map(str::to_owned);
        wishes.integrations.insert(
            row.id.clone(),
            Wish {
                id: row.id,
                vendor_id,
                record: facet("record").map(|record| {
                    let mut words = record_words(&record);
                    words.retain(|name, _| is_governance(name));
                    words
                }),
                settings: facet("settings"),
                enabled,
                revoke_unmanaged,
                scopes,
                slots: Vec::new(),
                ties: facet(TIES).as_ref().map(Ties::from_json).unwrap_or_default(),
                pieced_together: true,
            },
        );
    }
    let keys = ledger.credentials(&Selection::all()).await?;
    for slot in ledger.slots(&Selection::all()).await? {
        let wish = wishes.integrations.entry(slot.integration.clone()).or_insert_with(|| Wish {
            id: slot.integration.clone(),
            pieced_together: true,
            ..Wish::default()
        });
        let key = keys.iter().find(|key| {
            key.integration == slot.integration && Some(&key.vendor_id) == slot.current.as_ref()
        });
        let sinks = slot.sinks.as_ref().and_then(Value::as_object).into_iter().flatten();
        let mut wished = WishedSlot {
            credential_type: key.map(|key| key.kind.clone()),
            schedule: slot.schedule.as_ref().and_then(|value| schedule_written(value).read()),
            deliveries: sinks
                .filter_map(|(name, place)| {
                    let (connection, path) = place.as_str()?.split_once(':')?;
                    Some(delivery(name, connection, path))
                })
                .collect(),
            known: slot.current.map(|current| (current, slot.generation, None, None)),
            drill: false,
            settings: None,
            consumers: Consumers::default(),
            name: slot.name,
        };
        if let Some(form) = forms.get(&(slot.integration, wished.name.clone())) {
            form::take(&mut wished, form);
        }
        wish.slots.push(wished);
    }
    wishes.all_ended = saw_all_declared && !wishes.heard_of.is_empty() && wishes.count() == 0;
    Ok(wishes)
}

/// A delivery of which only its place is known: all that a look needs.
pub fn delivery(name: &str, connection: &str, path: &str) -> Delivery {
    Delivery {
        name: name.to_owned(),
        connection: connection.to_owned(),
        path: path.trim_matches('/').to_owned(),
        fields: BTreeMap::new(),
        merge: false,
    }
}

/// Scopes as the ledger keeps them.
pub(crate) fn scopes_json(wish: &Standing, enforcement: Enforcement) -> Value {
    let until: Map<String, Value> = wish
        .temporary
        .iter()
        .map(|(scope, one)| (scope.clone(), json!(one.until.to_string())))
        .collect();
    let mut written =
        json!({ "scopes": wish.scopes, "temporary": until, "enforcement": enforcement.as_str() });
    if !wish.on_request.is_empty() {
        let one = |(scope, one): (&String, &OnRequest)| {
            let words =
                json!({ "max": one.longest.to_string(), "approval": one.approval.as_str() });
            (scope.clone(), words)
        };
        written["on_request"] = Value::Object(wish.on_request.iter().map(one).collect());
    }
    written
}

/// What may be asked for, from members as in HCL. What cannot be read may not be asked for.
pub fn on_request(members: Option<&Value>) -> BTreeMap<String, OnRequest> {
    let all = members.and_then(Value::as_object).into_iter().flatten();
    all.filter_map(|(scope, one)| {
        let longest = one.get("max")?.as_str()?.parse().ok()?;
        let word = one.get("approval").and_then(Value::as_str);
        let approval = Approval::from_word(word).ok()?;
        Some((scope.clone(), OnRequest { longest, approval }))
    })
    .collect()
}

/// Reads [`scopes_json`], and the form of the first version, which had no ends.
fn wished_scopes(facet: &Value) -> WishedScopes {
    let texts = |value: Option<&Value>| -> Vec<String> {
        let all = value.and_then(Value::as_array).cloned().unwrap_or_default();
        all.iter().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let temporary = match facet.get("temporary") {
        Some(Value::Object(dated)) => dated
            .iter()
            .map(|(scope, until)| {
                (scope.clone(), until.as_str().and_then(|until| until.parse().ok()))
            })
            .collect(),
        list => texts(list).into_iter().map(|scope| (scope, None)).collect(),
    };
    let word = facet.get("enforcement").and_then(Value::as_str).unwrap_or("exact");
    WishedScopes {
        standing: texts(facet.get("scopes")).into_iter().collect(),
        temporary,
        on_request: on_request(facet.get("on_request")),
        enforcement: Enforcement::from_word(word),
        classify: BTreeMap::new(),
    }
}

/// A schedule as the ledger keeps it: members as in HCL.
pub(crate) fn schedule_json(schedule: &Schedule) -> Value {
    let Written {
        name,
        every,
        anchor,
        spread,
        min_age,
        overlap,
        overdue_after,
        lifetime,
        windows,
        timezone,
        blackout,
        outside_window,
    } = schedule.written();
    let windows: Vec<Value> = windows
        .into_iter()
        .map(|(days, start, length)| json!({ "days": days, "start": start, "length": length }))
        .collect();
    let blackout: Vec<Value> = blackout
        .into_iter()
        .map(|(from, until, reason)| json!({ "from": from, "until": until, "reason": reason }))
        .collect();
    json!({
        "name": name, "every": every, "anchor": anchor, "spread": spread, "min_age": min_age,
        "overlap": overlap, "overdue_after": overdue_after, "lifetime": lifetime,
        "windows": windows, "timezone": timezone, "blackout": blackout,
        "outside_window": outside_window,
    })
}

/// Reads a schedule out of a state or the ledger: members as in HCL.
pub fn schedule_written(value: &Value) -> Written {
    let text = |value: &Value, name: &str| value[name].as_str().map(str::to_owned);
    let list = |name: &str| value[name].as_array().cloned().unwrap_or_default();
    let must = |value: &Value, name: &str| text(value, name).unwrap_or_default();
    Written {
        name: must(value, "name"),
        every: must(value, "every"),
        anchor: text(value, "anchor"),
        spread: text(value, "spread"),
        min_age: text(value, "min_age"),
        overlap: text(value, "overlap"),
        overdue_after: text(value, "overdue_after"),
        lifetime: text(value, "lifetime"),
        windows: list("windows")
            .iter()
            .map(|one| {
                let days = one["days"].as_array().cloned().unwrap_or_default();
                let days = days.iter().filter_map(Value::as_str).map(str::to_owned).collect();
                (days, must(one, "start"), must(one, "length"))
            })
            .collect(),
        timezone: text(value, "timezone"),
        blackout: list("blackout")
            .iter()
            .map(|one| (must(one, "from"), must(one, "until"), must(one, "reason")))
            .collect(),
        outside_window: text(value, "outside_window"),
    }
}

/// Members of a record that people declare. Addresses are no part of the ledger, so they are
/// compared only where a state names them.
fn is_governance(name: &str) -> bool {
    const NAMES: [&str; 12] = [
        "purpose",
        "environment",
        "execution_mode",
        "category",
        "expires_on",
        "review_every",
        "ceiling_action",
        "ceiling_scopes",
        "adoption.complete_by",
        "adoption.steward",
        "business_owner.id",
        "technical_owner.id",
    ];
    NAMES.contains(&name) || name.starts_with("labels.")
}

pub(crate) fn settings_from(fields: &[Field], raw: &Value) -> Settings {
    let mut settings = Settings::default();
    for field in fields {
        let setting = match raw.get(field.name) {
            Some(Value::String(text)) => Setting::Text(text.clone()),
            Some(Value::Bool(flag)) => Setting::Flag(*flag),
            Some(Value::Number(number)) => match number.as_i64() {
                Some(count) => Setting::Count(count),
                None => continue,
            },
            Some(Value::Array(items)) => {
                Setting::Texts(items.iter().filter_map(Value::as_str).map(str::to_owned).collect())
            }
            _ => continue,
        };
        settings.0.insert(field.name.to_owned(), setting);
    }
    settings
}

fn in_words(settings: &Settings) -> BTreeMap<String, String> {
    let word = |setting: &Setting| match setting {
        Setting::Text(text) => text.clone(),
        Setting::Flag(flag) => flag.to_string(),
        Setting::Count(count) => count.to_string(),
        Setting::Texts(texts) => texts.iter().cloned().collect::<Vec<_>>().join(", "),
    };
    settings.0.iter().map(|(name, setting)| (name.clone(), word(setting))).collect()
}

/// A record's members by dotted name.
fn record_words(record: &Value) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    for (name, value) in record.as_object().into_iter().flatten() {
        match value {
            Value::String(text) => {
                out.insert(name.clone(), text.clone());
            }
            Value::Array(items) => {
                let texts: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
                out.insert(name.clone(), texts.join(", "));
            }
            Value::Object(inner) => {
                for (member, value) in inner {
                    if let Value::String(text) = value {
                        out.insert(format!("{name}.{member}"), text.clone());
                    }
                }
            }
            _ => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_in_the_ledger_reads_back_whole() {
        let written = Written {
            name: "monthly".into(),
            every: "30d".into(),
            spread: Some("3d".into()),
            lifetime: Some("none".into()),
            windows: vec![(vec!["sat".into()], "02:00".into(), "4h".into())],
            timezone: Some("Europe/Zurich".into()),
            blackout: vec![(
                "2026-12-20T00:00:00Z".into(),
                "2027-01-04T00:00:00Z".into(),
                "freeze".into(),
            )],
            ..Written::default()
        };
        let schedule = written.read().unwrap();
        assert_eq!(schedule_written(&schedule_json(&schedule)).read(), Some(schedule));
    }

    #[test]
    fn scopes_of_an_older_ledger_have_no_ends_and_are_read() {
        let old = json!({ "scopes": ["a"], "temporary": ["b"], "enforcement": "at_least" });
        let read = wished_scopes(&old);
        assert_eq!(read.temporary, BTreeMap::from([("b".to_owned(), None)]));
        assert_eq!(read.enforcement, Enforcement::AtLeast);
    }
}
