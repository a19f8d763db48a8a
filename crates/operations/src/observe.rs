//! Looking at one integration. Changes nothing.

use std::collections::{BTreeMap, BTreeSet};

use connector::{Freshness, ObjectRef, Want};
use domain::{
    CredentialId, Gap, GapExtent, IntegrationId, LastUsed, Marker, ObservedCredential,
    ObservedIntegration, Realm, Span,
};
use jiff::{Timestamp, civil::Date};
use ledger::Selection;
use policy::{
    schedule::later,
    standing::{Around, Facts},
};

use crate::{
    Context, Problem,
    attest::reviewed_on,
    claim::{ClaimMirror, ClaimStore},
    decommission::Decommissioned,
    elsewhere::governed_here,
    late::came_late,
    ourselves::ourselves_as,
    realm_key,
};

/// How much a platform's clock may differ from ours.
const MOMENT: Span = Span::from_secs(300);

/// An integration as it is, with what that means.
#[derive(Debug, Clone)]
pub struct SeenIntegration {
    /// The tenant's own id.
    pub tenant: String,
    /// What is there.
    pub observed: ObservedIntegration,
    /// Ids of live credentials that are in no slot and carry no genuine marker of ours, nor another
    /// installation's.
    pub unmanaged: BTreeSet<String>,
    /// What could be learned of credentials that are in no slot, by id.
    pub known: BTreeMap<String, ObservedCredential>,
    /// Ids of live credentials that carry another installation's mark, with its id. The mark cannot be
    /// checked here, so it makes them nobody's to end, and not anybody's to trust.
    pub foreign: BTreeMap<String, String>,
    /// Ids of those in no slot that are, or may be, the one that nhi itself signs in with: nobody's to
    /// end either.
    pub own: BTreeSet<String>,
    /// The slots of live credentials that custody's books name, or the ledger where a slot has lost
    /// its book: id at the platform to ours.
    pub slots: BTreeMap<String, String>,
    /// Ids of live credentials that a call of ours made which came late, each with its slot: its next deed
    /// ends them.
    pub late: BTreeMap<String, String>,
    /// Ids of live credentials whose mark was copied from elsewhere or forged.
    pub forged: BTreeSet<String>,
    /// Why custody's books were not read, where the marks alone say whose its credentials are.
    pub unread_books: Option<Problem>,
    /// It is another incarnation than the one that is known.
    pub recreated: bool,
    /// The day of its newest signed review.
    pub reviewed_on: Option<Date>,
    /// Why signed reviews could not be read: then nothing follows of their absence.
    pub unread_reviews: Option<Problem>,
}

impl SeenIntegration {
    /// That all of it was read: half an object would be compared as if the rest were not there.
    ///
    /// # Errors
    ///
    /// `E-UNREADABLE`: which part was not, and why.
    pub fn whole(&self, id: &IntegrationId) -> Result<(), Problem> {
        without_gaps(&id.to_string(), &self.observed.gaps)
    }

    /// That it is not another installation's.
    ///
    /// # Errors
    ///
    /// `E-FOREIGN-REALM`: whose it is.
    pub async fn governed_here(
        &self,
        context: &Context,
        id: &IntegrationId,
    ) -> Result<(), Problem> {
        governed_here(context, id, self.observed.record.as_ref(), self.slots.values()).await
    }

    /// What the policy judges it by, with the end and the review interval that are declared.
    pub fn facts(
        &self,
        expires_on: Option<&str>,
        review_every: Option<&str>,
        adopted_until: Option<&str>,
    ) -> Facts {
        let record = self.observed.record.as_ref();
        Facts {
            expires_on: expires_on.and_then(|day| day.parse().ok()),
            // What could not be read is no sign that nobody looked at it.
            review_every: review_every
                .filter(|_| self.unread_reviews.is_none())
                .and_then(|text| text.parse().ok()),
            reviewed_or_created_on: record
                .and_then(|record| record.governed_since.as_deref()?.parse().ok())
                .max(self.reviewed_on),
            adopted_until: adopted_until.and_then(|day| day.parse().ok()),
            recreated: self.recreated,
            marker_forged: !self.forged.is_empty(),
            unmanaged: self.unmanaged.len(),
            quarantine_broken: self.observed.enabled
                && is_quarantined(&self.observed)
                && !self.is_out_of_service(),
            around: Around::default(),
        }
    }

    /// It was taken out of service where there is no switch, and nothing of it lives.
    fn is_out_of_service(&self) -> bool {
        let lives = |all: &Vec<ObservedCredential>| all.iter().any(|one| one.live);
        Decommissioned::of(self.observed.record.as_ref()).is_some()
            && self.observed.scopes.is_empty()
            && !self.observed.credentials.as_ref().is_none_or(lives)
    }

    /// `active`, `disabled`, `quarantined`, or `revoked` where it was and nothing of it lives. What
    /// works is called so: a quarantine that somebody broke is said by the standing. Where the
    /// platform has no switch, to be without a credential is all that can be revoked.
    pub fn state(&self, was_revoked: bool, has_switch: bool) -> &'static str {
        let lives = |all: &Vec<ObservedCredential>| all.iter().any(|one| one.live);
        let revoked = was_revoked && !self.observed.credentials.as_ref().is_some_and(lives);
        if self.is_out_of_service() {
            "quarantined"
        } else if self.observed.enabled && (has_switch || !revoked) {
            "active"
        } else if is_quarantined(&self.observed) {
            "quarantined"
        } else if revoked {
            "revoked"
        } else {
            "disabled"
        }
    }

    /// A credential that is in no slot, with its age and last use as far as they are known.
    pub fn tell(&self, key_id: &str) -> String {
        let Some(known) = self.known.get(key_id) else { return key_id.to_owned() };
        let forged =
            if self.forged.contains(key_id) { ", its mark is copied or forged" } else { "" };
        let issued = known.issued_at.map_or_else(
            || "age unknown".to_owned(),
            |at| format!("issued {}", at.strftime("%Y-%m-%d")),
        );
        let used = match known.last_used {
            LastUsed::At(at) => format!("last used {}", at.strftime("%Y-%m-%d")),
            _ => "last use unknown".to_owned(),
        };
        format!("{key_id} ({issued}, {used}{forged})")
    }
}

/// That no credential can be missing in what was read.
pub(crate) fn credentials_seen(what: &str, observed: &ObservedIntegration) -> Result<(), Problem> {
    let elsewhere =
        |gap: &&Gap| matches!(gap.extent, GapExtent::Facet(_, facet) if facet != "credentials");
    without_gaps(what, observed.gaps.iter().filter(|gap| !elsewhere(gap)))
}

fn without_gaps<'a>(what: &str, gaps: impl IntoIterator<Item = &'a Gap>) -> Result<(), Problem> {
    let gaps: Vec<String> = gaps.into_iter().map(gap_words).collect();
    if gaps.is_empty() {
        return Ok(());
    }
    let connection = what.split('/').next().unwrap_or(what);
    Err(Problem::new("E-UNREADABLE", "A part of an object cannot be read")
        .detail(format!(
            "{what}: {}.\nWhat cannot be read is not taken for absent: nothing is planned or done \
             on half a look.",
            gaps.join("; ")
        ))
        .next(format!("nhi doctor {connection}")))
}

/// What could not be read, and why.
pub(crate) fn gap_words(gap: &Gap) -> String {
    let cause = &gap.cause;
    match &gap.extent {
        GapExtent::Facet(_, facet) => format!("{facet}: {cause}"),
        GapExtent::Object(_) => cause.clone(),
        GapExtent::Page(page) => format!("page {page}: {cause}"),
        GapExtent::Unlistable => format!("it cannot be listed: {cause}"),
        GapExtent::Connection => format!("nothing could be asked: {cause}"),
    }
}

fn is_quarantined(observed: &ObservedIntegration) -> bool {
    observed.record.as_ref().is_some_and(|record| record.quarantined.is_some())
}

/// How an integration is named to its connector.
pub fn object_of(id: &IntegrationId, name: Option<&str>, vendor_id: Option<&str>) -> ObjectRef {
    ObjectRef {
        kind: id.kind.clone(),
        key: id.key.clone(),
        vendor_id: vendor_id.map(str::to_owned),
        name: name.unwrap_or(&id.key).to_owned(),
    }
}

/// The place of a connection in the id of an object that came from another provider: nobody has
/// said yet through which connection it is reached.
pub const UNKNOWN_CONNECTION: &str = "?";

/// Finds through which connection an object is reached: the only one that has it, in the very
/// incarnation that is known.
///
/// # Errors
///
/// `E-MOVED`: none has it, or several do.
pub async fn find_connection(
    context: &Context,
    id: &IntegrationId,
    known_vendor_id: Option<&str>,
) -> Result<IntegrationId, Problem> {
    let mut found = Vec::new();
    let mut unreadable = Vec::new();
    for name in context.connections.names() {
        let has_kind = |one: &connector::Kind| one.name == id.kind;
        if !context.connections.platform(&name)?.kinds().iter().any(has_kind) {
            continue;
        }
        let here = IntegrationId::new(name.clone(), id.kind.clone(), id.key.clone());
        let seen = async {
            context.tenant(&name).await?;
            let connector = context.connector(&name).await?;
            let want = Want { credentials: false, ..Want::LEAN };
            let read = connector.read(&object_of(&here, None, None), want).await;
            read.map_err(|error| Problem::unreadable(&here.to_string(), &error))
        };
        match seen.await {
            Ok(Some(one)) if known_vendor_id.is_none_or(|known| known == one.vendor_id) => {
                found.push(here);
            }
            Ok(_) => {}
            Err(problem) => unreadable.push(format!("{name}: {}", problem.summary)),
        }
    }
    let problem = |detail: String| {
        Problem::new("E-MOVED", "It is not known where this object is")
            .detail(detail)
            .next("remove the moved block and import it by its id; nhi scan prints them")
    };
    match (&found[..], unreadable.is_empty()) {
        ([one], _) => Ok(one.clone()),
        ([], true) => {
            Err(problem(format!("{}: no connection has a {} of that name.", id.key, id.kind)))
        }
        ([], false) => Err(problem(format!(
            "{}: no connection that could be read has it ({}).",
            id.key,
            unreadable.join("; ")
        ))),
        _ => {
            let names: Vec<&str> = found.iter().map(|one| one.connection.as_str()).collect();
            Err(problem(format!("{}: several connections have it: {}.", id.key, names.join(", "))))
        }
    }
}

/// Looks at one integration; `None` where its absence is proven.
///
/// # Errors
///
/// It could not be read: a refusal or a gap is never taken for an absence.
pub async fn observe_integration(
    context: &Context,
    id: &IntegrationId,
    name: Option<&str>,
    known_vendor_id: Option<&str>,
) -> Result<Option<SeenIntegration>, Problem> {
    let what = id.to_string();
    let tenant = context.tenant(&id.connection).await?;
    let connector = context.connector(&id.connection).await?;
    // Without the vendor id: another incarnation is to be seen, not refused.
    let object = object_of(id, name, None);
    let observed = connector
        .read(&object, Want::LEAN)
        .await
        .map_err(|error| Problem::unreadable(&what, &error))?;
    let Some(observed) = observed else { return Ok(None) };
    let recreated = known_vendor_id.is_some_and(|known| known != observed.vendor_id);
    let mut seen = SeenIntegration { recreated, ..unsorted(tenant, observed) };
    look_for_review(context, id, &mut seen);
    judge_credentials(context, id, Some(&object), Freshness::Shared, &mut seen).await?;
    Ok(Some(seen))
}

/// Which credentials of an integration are nobody's at this moment, for a deed that ends them.
///
/// # Errors
///
/// It cannot be told of all of them, or it is another incarnation.
pub(crate) async fn unmanaged_now(
    context: &Context,
    id: &IntegrationId,
    object: &ObjectRef,
) -> Result<BTreeSet<String>, Problem> {
    let what = id.to_string();
    let tenant = context.tenant(&id.connection).await?;
    let connector = context.connector(&id.connection).await?;
    let observed = connector.read(object, Want::DEED).await.map_err(|error| match error {
        connector::Error::Recreated { .. } => Problem::not_done(&what, "revoke", &error),
        other => Problem::unreadable(&what, &other),
    })?;
    let Some(observed) = observed else { return Ok(BTreeSet::new()) };
    governed_here(context, id, observed.record.as_ref(), []).await?;
    credentials_seen(&what, &observed)?;
    let mut seen = unsorted(tenant, observed);
    judge_credentials(context, id, Some(object), Freshness::Fresh, &mut seen).await?;
    Ok(seen.unmanaged)
}

/// The same of one integration out of an inventory, which has the details of credentials already.
///
/// # Errors
///
/// Custody cannot be read, or the ledger where it has to be asked.
pub async fn judge_listed(
    context: &Context,
    id: &IntegrationId,
    tenant: &str,
    observed: &ObservedIntegration,
) -> Result<SeenIntegration, Problem> {
    let mut seen = unsorted(tenant.to_owned(), observed.clone());
    look_for_review(context, id, &mut seen);
    judge_credentials(context, id, None, Freshness::Shared, &mut seen).await?;
    Ok(seen)
}

fn look_for_review(context: &Context, id: &IntegrationId, seen: &mut SeenIntegration) {
    match reviewed_on(context, &seen.tenant, id) {
        Ok(day) => seen.reviewed_on = day,
        Err(problem) => {
            context.notices.add_once(problem.clone());
            seen.unread_reviews = Some(problem);
        }
    }
}

fn unsorted(tenant: String, observed: ObservedIntegration) -> SeenIntegration {
    SeenIntegration {
        tenant,
        unmanaged: BTreeSet::new(),
        known: BTreeMap::new(),
        foreign: BTreeMap::new(),
        own: BTreeSet::new(),
        slots: BTreeMap::new(),
        late: BTreeMap::new(),
        forged: BTreeSet::new(),
        unread_books: None,
        recreated: false,
        reviewed_on: None,
        unread_reviews: None,
        observed,
    }
}

/// Sorts live credentials into ours, another installation's and nobody's. What claims name is not
/// looked up again; what a lean listing leaves out is asked for at `object`.
async fn judge_credentials(
    context: &Context,
    id: &IntegrationId,
    object: Option<&ObjectRef>,
    freshness: Freshness,
    seen: &mut SeenIntegration,
) -> Result<(), Problem> {
    sort_credentials(context, id, object, freshness, seen).await?;
    if !seen.unmanaged.is_empty()
        && let Some(ourselves) = ourselves_as(context, id).await?
    {
        let ours = |key_id: &String| ourselves.may_be(key_id);
        (seen.own, seen.unmanaged) =
            std::mem::take(&mut seen.unmanaged).into_iter().partition(ours);
    }
    Ok(())
}

async fn sort_credentials(
    context: &Context,
    id: &IntegrationId,
    object: Option<&ObjectRef>,
    freshness: Freshness,
    seen: &mut SeenIntegration,
) -> Result<(), Problem> {
    let Some(credentials) = &seen.observed.credentials else { return Ok(()) };
    let live = credentials.iter().filter(|one| one.live);
    let Some(Realm { id: realm, key }) = context.realm.as_deref() else {
        seen.unmanaged = live.map(|one| one.key_id.clone()).collect();
        return Ok(());
    };
    realm_key::wrote_record(context, &id.to_string(), seen.observed.record.as_ref())?;
    let vendor_id = seen.observed.vendor_id.clone();
    // Without the key nothing is known of a mark with our id: it is neither trusted nor called forged.
    let genuine =
        |marker: &Marker| key.as_ref().map(|key| marker.is_genuine(key, &seen.tenant, &vendor_id));
    let live: Vec<&ObservedCredential> = live.collect();
    let marked = |one: &&ObservedCredential| {
        let marker = one.marker.as_deref().and_then(Marker::parse);
        marker.is_some_and(|marker| marker.realm == *realm && genuine(&marker) == Some(true))
    };
    if live.is_empty() {
        return Ok(());
    }
    let claims = match claims_of(context, &seen.tenant, &vendor_id, freshness).await {
        Ok(claims) => claims,
        // Who may not read custody's books has the marks to go by, and a mark that nobody's books name
        // may be what a killed run left.
        Err(problem) if live.iter().all(marked) => {
            seen.unread_books = Some(problem);
            return Ok(());
        }
        Err(problem) => return Err(problem),
    };
    let known: BTreeMap<&str, &str> = claims
        .iter()
        .flat_map(|claim| claim.keys().map(|key_id| (key_id, claim.slot.as_str())))
        .collect();
    seen.slots = live
        .iter()
        .filter_map(|one| Some((one.key_id.clone(), (*known.get(one.key_id.as_str())?).to_owned())))
        .collect();
    // A mark says whose it is, and no more: it can be copied, and an answer that was lost leaves one
    // behind. What nobody is at work on, and the books of its slot do not name, is nobody's.
    let is_of = |claim: &ClaimMirror, marker: &Marker| {
        Marker::slot_of(&vendor_id, claim.slot_name().unwrap_or_default()) == marker.slot
    };
    let stray = |marker: &Marker| {
        let over = |claim: &ClaimMirror| !claim.is_open() && marker.epoch <= claim.epoch;
        claims.iter().any(|claim| is_of(claim, marker) && over(claim))
    };
    let connector = context.connector(&id.connection).await?;
    for credential in live.into_iter().filter(|one| !known.contains_key(one.key_id.as_str())) {
        let whole = match (&credential.marker, object) {
            (Some(_), _) | (None, None) => Some(credential.clone()),
            (None, Some(object)) => connector
                .credential(object, &credential.key_id)
                .await
                .map_err(|error| Problem::unreadable(&id.to_string(), &error))?,
        };
        // A platform may list for a while what has run out, and tells that only when it is asked.
        if whole.as_ref().is_none_or(|one| !one.live) {
            continue;
        }
        let marker = whole.as_ref().and_then(|one| one.marker.as_deref()).and_then(Marker::parse);
        if let Some(whole) = whole {
            seen.known.insert(credential.key_id.clone(), whole);
        }
        match marker {
            Some(marker) if marker.realm != *realm => {
                seen.foreign.insert(credential.key_id.clone(), marker.realm);
            }
            Some(marker) => {
                let forged = genuine(&marker) == Some(false);
                if forged {
                    seen.forged.insert(credential.key_id.clone());
                }
                // A copy of the mark of access lets nothing live on as ours.
                let ends = seen.known.get(&credential.key_id).and_then(|one| one.expires_at);
                let over = |until: Timestamp| ends.is_none_or(|ends| ends > later(until, MOMENT));
                let copied = marker.access_until(&vendor_id).is_some_and(over);
                let mut books = claims.iter().filter(|claim| is_of(claim, &marker));
                let late = |claim: &&ClaimMirror| {
                    came_late(claim, &credential.key_id, (marker.generation, marker.epoch))
                        && genuine(&marker) == Some(true)
                };
                if let Some(claim) = books.find(late) {
                    seen.late.insert(credential.key_id.clone(), claim.slot.clone());
                } else if forged || copied || stray(&marker) {
                    seen.unmanaged.insert(credential.key_id.clone());
                }
            }
            None => {
                seen.unmanaged.insert(credential.key_id.clone());
            }
        }
    }
    let adopted = seen.observed.record.as_ref().map(|record| &record.adopted);
    if let (Some(adopted), Some(key)) = (adopted, key)
        && !seen.unmanaged.is_empty()
    {
        for (key_id, mark) in adopted {
            let (tenant, vendor_id) = (&seen.tenant, &vendor_id);
            let name = Marker::slot_beside(key, realm, tenant, vendor_id, key_id, mark);
            let Some(name) = name else { continue };
            let slot = CredentialId { integration: id.clone(), name: name.to_owned() }.to_string();
            // All that the slot had was ended: what lives on of it is in no slot any more.
            let ended = |one: &ClaimMirror| one.slot == slot && one.is_ended();
            if !claims.iter().any(ended) && seen.unmanaged.remove(key_id) {
                seen.slots.insert(key_id.clone(), slot);
            }
        }
    }
    if !seen.unmanaged.is_empty() {
        for (key_id, slot) in without_book(context, id, &claims).await? {
            if seen.unmanaged.remove(&key_id) {
                seen.slots.insert(key_id, slot);
            }
        }
    }
    Ok(())
}

/// The keys that the ledger names for slots of which custody has no book, each with its slot. A key
/// that was made by hand and imported bears no mark: after the loss of its book only the ledger says
/// that it is not nobody's. Where there is a book, that decides: the ledger may lag.
async fn without_book(
    context: &Context,
    id: &IntegrationId,
    claims: &[ClaimMirror],
) -> Result<Vec<(String, String)>, Problem> {
    if !context.ledger.keeps() {
        return Ok(Vec::new());
    }
    let rows = context.ledger.slots(&Selection::of(id.to_string())).await?;
    let named = rows.into_iter().filter_map(|row| {
        let slot = CredentialId { integration: id.clone(), name: row.name }.to_string();
        Some((row.current?, slot))
    });
    Ok(named.filter(|(_, slot)| claims.iter().all(|claim| claim.slot != *slot)).collect())
}

/// What custody's books say of an integration's slots.
async fn claims_of(
    context: &Context,
    tenant: &str,
    vendor_id: &str,
    freshness: Freshness,
) -> Result<Vec<ClaimMirror>, Problem> {
    if context.custody.is_none() {
        return Ok(Vec::new());
    }
    ClaimStore::mirrors_of(context, tenant, vendor_id, freshness).await
}
