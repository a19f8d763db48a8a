//! The claim of one slot: the write-ahead record and the lock in one, in custody.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use connector::Freshness;
use domain::{
    CredentialId, Now, Secret,
    realm::{digest_of, short},
};
use jiff::Timestamp;
use policy::{
    Rules,
    overlap::Confirmed,
    proof::{Ended, Grade, Proofs},
    rotation::{Claim, Cut, OwnEnd, Phase, Previous, Told, Undelivered},
    schedule::later,
};
use secrets::{Document, Expect, Look, Looks, Mirror, Sink, SinkError, Version};
use serde::{Deserialize, Serialize};

use crate::{
    Context, Problem, SlotSpec,
    beside::{shows, write_mirror},
    journal::moment,
    realm_key,
};

/// The fields of a claim's document.
const CLAIM: &str = "claim";
const PENDING: &str = "pending";
/// The id of the realm's key that it was written with, here and in the mirror.
const REALM_KEY: &str = "realm_key";
/// The incarnation of the integration that it is about, in the mirror.
const VENDOR_ID: &str = "vendor_id";
/// When a secret that nobody issued was let in there, in the claim and in the mirror.
const ACCEPTS_ANYTHING: &str = "accepts_anything";
/// And where it says when a key was let in after its end.
const OUTLIVED: &str = "outlived";
/// So many documents a listing shows in one request, where it is one that comes in pages.
const PAGE: usize = 100;

/// A claim as it stands in custody.
#[derive(Debug)]
pub struct ClaimDocument {
    /// What is no secret.
    pub claim: Claim,
    /// The secret between its making and the last promote.
    pub pending: Option<Secret>,
    /// The document's version.
    pub version: u64,
    /// When the sink wrote it.
    pub written_at: Option<Timestamp>,
}

/// Which integration each document in custody is about, by the document's name. That never changes: the
/// name is a digest of the tenant, the integration's incarnation and the slot. So what this run has seen
/// once it knows, and whoever looks at one integration asks for its documents alone.
#[derive(Clone, Default)]
pub struct ClaimNames(Arc<Mutex<HashMap<Box<str>, Box<str>>>>);

impl fmt::Debug for ClaimNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClaimNames({})", self.lock().len())
    }
}

impl ClaimNames {
    fn lock(&self) -> MutexGuard<'_, HashMap<Box<str>, Box<str>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What says nothing is not known: a run may have died before it wrote the mirror, or be about to.
    fn learn(&self, name: &str, look: &Look) {
        if let Some(vendor_id) = look.mirror.get(VENDOR_ID) {
            self.lock().insert(name.into(), vendor_id.as_str().into());
        }
    }

    /// Those of these names that are about an integration, or may be.
    fn may_be_about(&self, vendor_id: &str, names: BTreeSet<String>) -> Vec<String> {
        let known = self.lock();
        let other = |name: &String| known.get(name.as_str()).is_some_and(|of| **of != *vendor_id);
        names.into_iter().filter(|name| !other(name)).collect()
    }
}

/// Where the claim of one slot is.
#[derive(Debug, Clone)]
pub struct ClaimStore {
    sink: Arc<dyn Sink>,
    folder: String,
    name: String,
    slot: String,
    tenant: String,
    vendor_id: String,
    context: Context,
}

/// A claim in which a deed was begun and is not finished.
fn begun(look: &Look) -> Option<ClaimMirror> {
    let claim = ClaimMirror::of(look);
    (claim.is_open() && !look.deleted).then_some(claim)
}

/// Whether a document is of this tenant's integration, and not of another tenant's that has the same id
/// there: what names both is its own name. What does not say of which slot it is may be.
fn is_of(name: &str, slot_name: Option<&str>, tenant: &str, vendor_id: &str) -> bool {
    slot_name.is_none_or(|slot_name| ClaimStore::name_of(tenant, vendor_id, slot_name) == name)
}

/// That a claim was written with the key that is here.
fn with_our_key(context: &Context, named: Option<&str>, place: &str) -> Result<(), Problem> {
    realm_key::is_ours(context, named, || format!("{place} in custody"))
}

impl ClaimStore {
    /// The store of a slot's claim, at the tenant that answers now.
    pub(crate) async fn of(context: &Context, spec: &SlotSpec) -> Result<ClaimStore, Problem> {
        let tenant = context.tenant(&spec.id.integration.connection).await?;
        ClaimStore::open(context, &tenant, &spec.vendor_id, &spec.id).await
    }

    /// The store of a slot's claim.
    pub(crate) async fn open(
        context: &Context,
        tenant: &str,
        vendor_id: &str,
        slot: &CredentialId,
    ) -> Result<ClaimStore, Problem> {
        let (realm, _) = context.realm_key()?;
        let (sink, path) = context.custody().await?;
        let name = ClaimStore::name_of(tenant, vendor_id, &slot.name);
        Ok(ClaimStore {
            sink,
            folder: format!("{path}/{realm}"),
            name,
            slot: slot.to_string(),
            tenant: tenant.to_owned(),
            vendor_id: vendor_id.to_owned(),
            context: context.clone(),
        })
    }

    fn path(&self) -> String {
        format!("{}/{}", self.folder, self.name)
    }

    /// Where the claims of the realm are. To read them takes no key: only marks and fingerprints do.
    async fn folder(context: &Context) -> Result<(Arc<dyn Sink>, String), Problem> {
        let realm = match context.realm.as_deref() {
            Some(realm) => realm.id.as_str(),
            None => context.realm_key()?.0,
        };
        let (sink, path) = context.custody().await?;
        Ok((sink, format!("{path}/{realm}")))
    }

    /// What claims of the realm look like, by name: one request where the sink lists them, and one
    /// map for all who read at once, unless a deed decides on it.
    async fn looks(context: &Context, freshness: Freshness) -> Result<Arc<Looks>, Problem> {
        let (sink, folder) = ClaimStore::folder(context).await?;
        Ok(match freshness {
            Freshness::Shared => sink.look_all_shared(&folder).await?,
            Freshness::Fresh => Arc::new(sink.look_all(&folder).await?.into()),
        })
    }

    /// The mirror of this slot's claim; of one that is deleted it says what was, and not what is.
    ///
    /// Who reads many shares one listing; who has just done one deed asks for the one document, however
    /// many there are.
    pub(crate) async fn mirror(
        &self,
        context: &Context,
        freshness: Freshness,
    ) -> Result<Option<ClaimMirror>, Problem> {
        let look = match freshness {
            Freshness::Shared => ClaimStore::looks(context, freshness).await?.get(&self.name),
            Freshness::Fresh => self.sink.look(&self.path()).await?,
        };
        let look = look.filter(|look| !look.deleted);
        // Who died before anything stood beside its claim says what it began there alone.
        if let Some(look) = look.as_ref().filter(|look| look.mirror.is_empty())
            && freshness == Freshness::Fresh
        {
            return ClaimStore::said_now(context, &self.name, look).await;
        }
        // One whose mirror was lost says nothing: what sinks and state say counts then.
        let look = look.filter(|look| !look.mirror.is_empty());
        let named = look.as_ref().and_then(|look| look.mirror.get(REALM_KEY)).map(String::as_str);
        with_our_key(context, named, &self.path())?;
        Ok(look.map(|look| ClaimMirror::of(&look)))
    }

    /// The mirrors of all claims of one integration, deleted ones too: whose a key was is known from
    /// them, and what is known is not called nobody's.
    pub(crate) async fn mirrors_of(
        context: &Context,
        tenant: &str,
        vendor_id: &str,
        freshness: Freshness,
    ) -> Result<Vec<ClaimMirror>, Problem> {
        let found: Vec<(String, Look)> = match freshness {
            Freshness::Shared => {
                let looks = ClaimStore::looks(context, freshness).await?;
                let found = looks.bearing(VENDOR_ID, vendor_id).into_iter();
                found.map(|(name, look)| (name.to_owned(), look)).collect()
            }
            Freshness::Fresh => {
                let mut found = ClaimStore::looks_now(context, vendor_id).await?;
                found.retain(|(_, look)| look.mirror.contains_key(VENDOR_ID));
                found
            }
        };
        let mut of_it = Vec::new();
        for (name, look) in found {
            let claim = ClaimMirror::of(&look);
            if is_of(&name, claim.slot_name(), tenant, vendor_id) {
                with_our_key(context, look.mirror.get(REALM_KEY).map(String::as_str), &name)?;
                of_it.push(claim);
            }
        }
        Ok(of_it)
    }

    /// The documents beside which nothing stands, by name, each with when it was written: claims of
    /// which nobody has said yet what they are, and those that lost what said so.
    pub(crate) async fn all_bare(
        context: &Context,
    ) -> Result<Vec<(String, Option<Timestamp>)>, Problem> {
        let looks = ClaimStore::looks(context, Freshness::Shared).await?;
        let bare = looks.iter().filter(|(_, look)| !look.deleted && look.mirror.is_empty());
        Ok(bare.map(|(name, look)| (name.to_owned(), look.version.created_at)).collect())
    }

    /// The name of the document of a slot's claim.
    pub(crate) fn name_of(tenant: &str, vendor_id: &str, slot_name: &str) -> String {
        short(&digest_of("nhi-claim/1", &[tenant, vendor_id, slot_name]), 26)
    }

    /// The mirrors of all claims that are not deleted.
    pub(crate) async fn all(context: &Context) -> Result<Vec<ClaimMirror>, Problem> {
        let looks = ClaimStore::looks(context, Freshness::Shared).await?;
        let there = looks.iter().filter(|(_, look)| !look.deleted);
        Ok(there.map(|(_, look)| ClaimMirror::of(&look)).collect())
    }

    /// What the claims of one integration look like now, by name, at the fewest requests; those that do
    /// not say what they are about are among them.
    ///
    /// A deed decides on it, so none may be left out: refused sign-ins that nobody counts lock out what
    /// works. The names are asked for now, so a slot that another run has just begun is among them; each
    /// that is about the integration is looked at now; and so is each that this run has not seen, or that
    /// did not say what it is about. All that is remembered is what is about another integration, and
    /// that stays so (see [`ClaimNames`]).
    async fn looks_now(context: &Context, vendor_id: &str) -> Result<Vec<(String, Look)>, Problem> {
        let (sink, folder) = ClaimStore::folder(context).await?;
        // A short folder is one request, whoever is in it; and what is in a long one is to be learned.
        let mut asked = None;
        if context.claims.lock().len() > PAGE {
            let names = sink.names(&folder).await?;
            let pages = names.len().div_ceil(PAGE);
            let about = context.claims.may_be_about(vendor_id, names);
            asked = Some(about).filter(|about| about.len() <= pages);
        }
        let found: Vec<(String, Look)> = match asked {
            None => sink.look_all(&folder).await?.into_iter().collect(),
            Some(names) => {
                let mut found = Vec::new();
                for name in names {
                    let look = sink.look(&format!("{folder}/{name}")).await?;
                    found.extend(look.map(|look| (name, look)));
                }
                found
            }
        };
        found.iter().for_each(|(name, look)| context.claims.learn(name, look));
        let other = |look: &Look| look.mirror.get(VENDOR_ID).is_some_and(|of| of != vendor_id);
        Ok(found.into_iter().filter(|(_, look)| !other(look)).collect())
    }

    /// That every claim was written with the key that is here.
    pub(crate) async fn written_with_our_key(context: &Context) -> Result<(), Problem> {
        let looks = ClaimStore::looks(context, Freshness::Shared).await?;
        looks.iter().try_for_each(|(name, look)| {
            with_our_key(context, look.mirror.get(REALM_KEY).map(String::as_str), name)
        })
    }

    /// The mirrors of one integration's claims in which a deed was begun, whoever is at work on it.
    pub(crate) async fn open_of(
        context: &Context,
        tenant: &str,
        vendor_id: &str,
    ) -> Result<Vec<ClaimMirror>, Problem> {
        let looks = ClaimStore::looks(context, Freshness::Shared).await?;
        let there = looks.bearing(VENDOR_ID, vendor_id).into_iter();
        let there = there.filter_map(|(name, look)| Some((name, begun(&look)?)));
        let of_it = there.filter(|(name, one)| is_of(name, one.slot_name(), tenant, vendor_id));
        Ok(of_it.map(|(_, one)| one).collect())
    }

    /// The claims of all integrations in which a deed was begun, whoever is at work on it, each with
    /// its document's name in custody.
    pub(crate) async fn all_open(context: &Context) -> Result<Vec<(String, ClaimMirror)>, Problem> {
        let looks = ClaimStore::looks(context, Freshness::Shared).await?;
        let open = |(name, look): (&str, Look)| Some((name.to_owned(), begun(&look)?));
        Ok(looks.iter().filter_map(open).collect())
    }

    /// The same as the claims themselves say, with those in which an earlier key is only switched off, or
    /// on again, where what stands beside them lags behind: a run may have died between the two writes. Only
    /// a deed may read them.
    pub(crate) async fn all_begun(
        context: &Context,
    ) -> Result<Vec<(String, ClaimMirror)>, Problem> {
        let looks = ClaimStore::looks(context, Freshness::Fresh).await?;
        let mut all = Vec::new();
        let counts = |claim: &ClaimMirror| claim.is_open() || claim.is_cut();
        for (name, look) in looks.iter().filter(|(_, look)| !look.deleted) {
            let read = ClaimStore::said_now(context, name, &look).await?;
            all.extend(read.filter(counts).map(|read| (name.to_owned(), read)));
        }
        Ok(all)
    }

    /// What a claim says, which is read where what stands beside it lags behind.
    async fn said_now(
        context: &Context,
        name: &str,
        look: &Look,
    ) -> Result<Option<ClaimMirror>, Problem> {
        let version = look.version.number;
        if look.mirror.get("version") == Some(&version.to_string()) {
            return Ok(Some(ClaimMirror::of(look)));
        }
        let (sink, folder) = ClaimStore::folder(context).await?;
        let stored = sink.read(&format!("{folder}/{name}")).await?;
        let text = stored.as_ref().and_then(|stored| stored.document.as_ref()?.get(CLAIM));
        let Some(mut said) = text.and_then(|text| said(text.expose())) else { return Ok(None) };
        let (slot, vendor_id) = (said.slot.take(), said.vendor_id.take());
        let (Some(claim), Some(slot), Some(vendor_id)) = (said.claim(), slot, vendor_id) else {
            return Ok(None);
        };
        let mirror = mirror(&claim, &slot, &vendor_id, version);
        Ok(Some(ClaimMirror::read(&mirror, look.version.created_at)))
    }

    /// What the claims of the integration's other slots say now, none left out: a deed asks before it
    /// ends what may be theirs.
    pub(crate) async fn siblings(&self) -> Result<Vec<ClaimMirror>, Problem> {
        let mut all = Vec::new();
        for (name, look) in ClaimStore::looks_now(&self.context, &self.vendor_id).await? {
            let named = look.mirror.get(REALM_KEY).map(String::as_str);
            with_our_key(&self.context, named, &name)?;
            if name == self.name || look.deleted {
                continue;
            }
            // What cannot be read now may be about to call.
            let said = ClaimStore::said_now(&self.context, &name, &look).await?;
            let said = said.unwrap_or_else(|| ClaimMirror::of(&look));
            let of_it = said.vendor_id == self.vendor_id
                && is_of(&name, said.slot_name(), &self.tenant, &self.vendor_id);
            all.extend(Some(said).filter(|_| of_it));
        }
        Ok(all)
    }

    /// The claim, if there is one.
    pub(crate) async fn read(&self) -> Result<Option<ClaimDocument>, Problem> {
        let Some(stored) = self.sink.read(&self.path()).await? else { return Ok(None) };
        let Some(mut document) = stored.document else { return Ok(None) };
        let unreadable = |why: &str| {
            Problem::new("E-CLAIM", "A document in custody cannot be read")
                .detail(format!("{}: {why}. Somebody wrote over it.", self.path()))
                .next("restore that document from an earlier version, or remove it for good")
        };
        let text =
            document.get(CLAIM).ok_or_else(|| unreadable("it does not say what was attempted"))?;
        let said = said(text.expose());
        let named = said.as_ref().and_then(|said| said.realm_key.as_deref());
        with_our_key(&self.context, named, &self.path())?;
        let claim = said.and_then(Said::claim);
        let claim = claim.ok_or_else(|| unreadable("it has another form"))?;
        let pending = document.0.remove(PENDING).filter(|secret| !secret.expose().is_empty());
        Ok(Some(ClaimDocument {
            claim,
            pending,
            version: stored.version.number,
            written_at: stored.version.created_at,
        }))
    }

    /// Replaces the claim, if it is still at the version that was read. The mirror follows.
    ///
    /// # Errors
    ///
    /// [`SinkError::Conflict`]: somebody else was faster, and nothing was written.
    pub(crate) async fn write(
        &self,
        claim: &Claim,
        pending: Option<&Secret>,
        version: Option<u64>,
    ) -> Result<Version, SinkError> {
        let expect = match version {
            Some(version) => Expect::Version(version),
            None => {
                self.sink.prepare_claim(&self.path()).await?;
                // Whoever deleted what was there left its history, which counts on from there.
                match self.sink.look(&self.path()).await? {
                    Some(look) if look.deleted => Expect::Version(look.version.number),
                    _ => Expect::Nothing,
                }
            }
        };
        let pending = pending.map_or_else(|| Secret::new(""), Secret::duplicate);
        let key = realm_key::id(&self.context);
        let document = Document::default()
            .with(CLAIM, Secret::new(encode(claim, &self.slot, &self.vendor_id, key.as_deref())))
            .with(PENDING, pending);
        let written = self.sink.write(&self.path(), &document, expect).await?;
        let mirror = self.mirror_of(claim, written.number);
        // A mirror that lags is repaired by the next deed; plan takes it for unfinished meanwhile.
        let beside = write_mirror(&*self.sink, &self.path(), &mirror, written.number).await;
        if let Err(error) = beside {
            tracing::warn!(%error, "the metadata of a document in custody was not written");
        }
        Ok(written)
    }

    fn mirror_of(&self, claim: &Claim, version: u64) -> Mirror {
        let mut mirror = mirror(claim, &self.slot, &self.vendor_id, version);
        mirror.extend(realm_key::id(&self.context).map(|id| (REALM_KEY.to_owned(), id)));
        mirror
    }

    /// Writes the mirror of a claim again where it lags behind: plans read nothing else.
    ///
    /// # Errors
    ///
    /// Custody cannot be read or written.
    pub(crate) async fn repair_mirror(&self, document: &ClaimDocument) -> Result<(), Problem> {
        let mirror = self.mirror_of(&document.claim, document.version);
        let look = self.sink.look(&self.path()).await?;
        if look.is_some_and(|look| !shows(&look, &mirror)) {
            write_mirror(&*self.sink, &self.path(), &mirror, document.version).await?;
        }
        Ok(())
    }
}

/// What plan sees of a claim.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ClaimMirror {
    pub(crate) slot: String,
    pub(crate) vendor_id: String,
    pub(crate) phase: String,
    pub(crate) owner: String,
    pub(crate) generation: u64,
    pub(crate) epoch: u64,
    pub(crate) current: Option<String>,
    /// The epoch in its marker, where one was seen.
    pub(crate) current_epoch: Option<u64>,
    pub(crate) new: Option<String>,
    pub(crate) previous: Vec<Previous>,
    pub(crate) written_at: Option<Timestamp>,
    pub(crate) hold: Option<String>,
    pub(crate) timed: bool,
    /// What it was begun for, as a digest.
    pub(crate) asked: Option<String>,
    /// Sign-ins with keys of this slot that were refused since one worked, and when the last was.
    pub(crate) refused: u32,
    pub(crate) refused_at: Option<Timestamp>,
    pub(crate) proofs: Proofs,
    /// What consumers have said that they hold.
    pub(crate) confirmed: Confirmed,
    /// A place that does not take the new key.
    pub(crate) undelivered: Option<Undelivered>,
    /// The claim itself is newer, and what it says is not known.
    pub(crate) lags: bool,
}

/// What a claim may say, and need not.
fn texts(claim: &Claim) -> [(&'static str, &Option<String>); 4] {
    [
        ("current", &claim.current),
        ("new", &claim.new),
        ("hold", &claim.hold),
        ("asked", &claim.asked),
    ]
}

fn mirror(claim: &Claim, slot: &str, vendor_id: &str, version: u64) -> Mirror {
    let mut mirror = Mirror::from([
        ("slot".to_owned(), slot.to_owned()),
        (VENDOR_ID.to_owned(), vendor_id.to_owned()),
        ("phase".to_owned(), claim.phase.as_str().to_owned()),
        ("owner".to_owned(), claim.owner.clone()),
        ("gen".to_owned(), claim.generation.to_string()),
        ("epoch".to_owned(), claim.epoch.to_string()),
        ("version".to_owned(), version.to_string()),
        ("previous".to_owned(), previous_text(&claim.previous)),
    ]);
    if claim.timed {
        mirror.insert("timed".to_owned(), "true".to_owned());
    }
    if let Some(at) = claim.refused_at.filter(|_| claim.refused > 0) {
        mirror.insert("refused".to_owned(), claim.refused.to_string());
        mirror.insert("refused_at".to_owned(), moment(at));
    }
    if let Some(at) = claim.proofs.accepts_anything {
        mirror.insert(ACCEPTS_ANYTHING.to_owned(), moment(at));
    }
    if let Some(at) = claim.proofs.outlived {
        mirror.insert(OUTLIVED.to_owned(), moment(at));
    }
    if let Some(one) = &claim.undelivered {
        mirror.insert("undelivered".to_owned(), undelivered_text(one));
    }
    if let Some(epoch) = claim.current_epoch {
        mirror.insert("current_epoch".to_owned(), epoch.to_string());
    }
    if !claim.confirmed.is_empty() {
        mirror.insert("confirmed".to_owned(), claim.confirmed.text());
    }
    if !claim.proofs.ended.is_empty() {
        mirror.insert("ended".to_owned(), ended_text(&claim.proofs.ended));
    }
    for (name, value) in texts(claim) {
        if let Some(value) = value {
            mirror.insert(name.to_owned(), value.clone());
        }
    }
    mirror
}

impl ClaimMirror {
    /// What a look tells of a claim. Where the claim is newer than what stands beside it, a run died
    /// between the two writes, or is between them: it has begun something, since whoever ends a deed
    /// finds it open.
    fn of(look: &Look) -> ClaimMirror {
        let read = ClaimMirror::read(&look.mirror, look.version.created_at);
        let version = look.version.number.to_string();
        let lags = look.mirror.get("version").is_some_and(|told| *told != version);
        if look.deleted || !lags || read.is_open() {
            return read;
        }
        let phase = Phase::Intent.as_str().to_owned();
        ClaimMirror { phase, owner: "somebody".to_owned(), lags, ..read }
    }

    pub(crate) fn read(mirror: &Mirror, written_at: Option<Timestamp>) -> ClaimMirror {
        let text = |name: &str| mirror.get(name).cloned().unwrap_or_default();
        ClaimMirror {
            slot: text("slot"),
            vendor_id: text(VENDOR_ID),
            phase: text("phase"),
            owner: text("owner"),
            generation: text("gen").parse().unwrap_or(0),
            epoch: text("epoch").parse().unwrap_or(0),
            current: mirror.get("current").cloned(),
            current_epoch: text("current_epoch").parse().ok(),
            new: mirror.get("new").cloned(),
            previous: previous_from(&text("previous")),
            written_at,
            hold: mirror.get("hold").cloned(),
            timed: mirror.contains_key("timed"),
            asked: mirror.get("asked").cloned(),
            refused: text("refused").parse().unwrap_or(0),
            refused_at: text("refused_at").parse().ok(),
            proofs: Proofs {
                accepts_anything: text(ACCEPTS_ANYTHING).parse().ok(),
                outlived: text(OUTLIVED).parse().ok(),
                ended: ended_from(&text("ended")),
            },
            confirmed: Confirmed::from_text(&text("confirmed")),
            undelivered: mirror.get("undelivered").and_then(|text| undelivered_from(text)),
            lags: false,
        }
    }

    /// Its owner is at work, as far as its age tells by the clock of the sink that wrote it.
    pub(crate) fn is_fresh(&self, rules: &Rules, in_custody: Now) -> bool {
        let ttl = rules.claim_ttl_of(self.timed);
        !policy::rotation::has_stopped(&self.owner)
            && self.written_at.is_some_and(|at| !in_custody.is_past(later(at, ttl)))
    }

    /// Its owner may be at work on it: it does not wait for a person, and is fresh.
    pub(crate) fn is_at_work(&self, rules: &Rules, in_custody: Now) -> bool {
        Phase::from_word(&self.phase) != Some(Phase::Held) && self.is_fresh(rules, in_custody)
    }

    /// Its slot's name in the integration; nothing where it is no slot's id.
    pub(crate) fn slot_name(&self) -> Option<&str> {
        Some(self.slot.rsplit_once("/credential/")?.1)
    }

    /// Whether a deed was begun and is not finished.
    pub(crate) fn is_open(&self) -> bool {
        Phase::from_word(&self.phase).is_some_and(Phase::is_open)
    }

    /// Whether everything that its slot had was ended.
    pub(crate) fn is_ended(&self) -> bool {
        !self.is_open() && self.current.is_none() && self.previous.is_empty()
    }

    /// An earlier key was switched off before its end, or is on again because somebody missed it.
    pub(crate) fn is_cut(&self) -> bool {
        !self.is_open() && self.previous.iter().any(|one| one.cut.is_some())
    }

    /// Somebody missed one.
    pub(crate) fn is_needed(&self) -> bool {
        !self.is_open() && self.previous.iter().any(Previous::is_needed)
    }

    /// Until when earlier keys are only switched off, where nobody has missed one.
    pub(crate) fn off_until(&self) -> Option<Timestamp> {
        let off = self.previous.iter().filter(|one| one.is_cut());
        off.filter_map(Previous::kept_until).max().filter(|_| self.is_cut() && !self.is_needed())
    }

    /// Every key that the claim names.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        self.current
            .iter()
            .chain(&self.new)
            .map(String::as_str)
            .chain(self.previous.iter().map(|one| one.key_id.as_str()))
    }
}

/// Earlier keys in one line:
/// `<key>,<generation>,<not before>,<version>[,<epoch>[,<since>[,<until>[,<own end>[,<told>[,<before>]]]]]];…`.
/// Since when one is switched off, and until when it is only that; without the latter somebody needs it.
/// When it ends by itself as it was issued, or `never`; of which end its platform was told last, and before.
pub(crate) fn previous_text(previous: &[Previous]) -> String {
    let one = |one: &Previous| {
        let at = one.retire_not_before.map(moment).unwrap_or_default();
        let version = one.held_version.map(|v| v.to_string()).unwrap_or_default();
        let (since, until) = match one.cut {
            Some(Cut::Off { since, until }) => (moment(since), moment(until)),
            Some(Cut::Needed { since }) => (moment(since), String::new()),
            None => Default::default(),
        };
        let own_end = match one.own_end {
            OwnEnd::At(end) => moment(end),
            OwnEnd::Never => "never".to_owned(),
            OwnEnd::Unknown => String::new(),
        };
        let epoch = one.epoch.map(|epoch| epoch.to_string()).unwrap_or_default();
        let [told, before] =
            [one.told.last, one.told.before].map(|at| at.map(moment).unwrap_or_default());
        let said = [epoch, since, until, own_end, told, before];
        let last = said.iter().rposition(|one| !one.is_empty()).map_or(0, |last| last + 1);
        let more: String = said[..last].iter().map(|one| format!(",{one}")).collect();
        format!("{},{},{at},{version}{more}", one.key_id, one.generation)
    };
    previous.iter().map(one).collect::<Vec<_>>().join(";")
}

/// Reads [`previous_text`]; what is no such line is left out.
pub(crate) fn previous_from(text: &str) -> Vec<Previous> {
    text.split(';')
        .filter_map(|part| {
            let mut fields = part.split(',');
            Some(Previous {
                key_id: fields.next().filter(|id| !id.is_empty())?.to_owned(),
                generation: fields.next()?.parse().ok()?,
                retire_not_before: fields.next()?.parse().ok(),
                held_version: fields.next()?.parse().ok(),
                epoch: fields.next().and_then(|text| text.parse().ok()),
                cut: match (fields.next().map(str::parse), fields.next().map(str::parse)) {
                    (Some(Ok(since)), Some(Ok(until))) => Some(Cut::Off { since, until }),
                    (Some(Ok(since)), _) => Some(Cut::Needed { since }),
                    _ => None,
                },
                own_end: match fields.next() {
                    Some("never") => OwnEnd::Never,
                    Some(text) => text.parse().map_or(OwnEnd::Unknown, OwnEnd::At),
                    None => OwnEnd::Unknown,
                },
                told: Told {
                    last: fields.next().and_then(|text| text.parse().ok()),
                    before: fields.next().and_then(|text| text.parse().ok()),
                },
            })
        })
        .collect()
}

/// Since when a place takes nothing, and which.
fn undelivered_text(one: &Undelivered) -> String {
    format!("{} {}", moment(one.since), one.place)
}

/// Reads [`undelivered_text`].
fn undelivered_from(text: &str) -> Option<Undelivered> {
    let (since, place) = text.split_once(' ')?;
    Some(Undelivered { place: place.to_owned(), since: since.parse().ok()? })
}

/// Ended keys in one line: `<key>,<generation>,<when>,<grade>,<residual until>,<version>,<due>;…`.
fn ended_text(ended: &[Ended]) -> String {
    let at = |at: Option<Timestamp>| at.map(moment).unwrap_or_default();
    let one = |one: &Ended| {
        let version = one.held_version.map(|version| version.to_string()).unwrap_or_default();
        format!(
            "{},{},{},{},{},{version},{}",
            one.key_id,
            one.generation,
            moment(one.at),
            one.grade.as_str(),
            at(one.residual_until),
            at(one.due)
        )
    };
    ended.iter().map(one).collect::<Vec<_>>().join(";")
}

/// Reads [`ended_text`]; what is no such line is left out.
fn ended_from(text: &str) -> Vec<Ended> {
    text.split(';')
        .filter_map(|part| {
            let mut fields = part.split(',');
            Some(Ended {
                key_id: fields.next().filter(|id| !id.is_empty())?.to_owned(),
                generation: fields.next()?.parse().ok()?,
                at: fields.next()?.parse().ok()?,
                grade: Grade::from_letter(fields.next()?)?,
                residual_until: fields.next()?.parse().ok(),
                held_version: fields.next()?.parse().ok(),
                due: fields.next()?.parse().ok(),
            })
        })
        .collect()
}

/// A claim as its document says it, with whose it is.
#[derive(Deserialize, Serialize)]
struct Said<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    accepts_anything: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    asked: Option<Cow<'a, str>>,
    attempt: u32,
    auth: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    called_at: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "str::is_empty")]
    confirmed: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    current: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    current_epoch: Option<u64>,
    #[serde(default, skip_serializing_if = "str::is_empty")]
    ended: Cow<'a, str>,
    epoch: u64,
    #[serde(rename = "gen")]
    generation: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    hold: Option<Cow<'a, str>>,
    known: Cow<'a, BTreeSet<String>>,
    mains: Cow<'a, BTreeMap<String, u64>>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    mains_at: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    new: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outlived: Option<Cow<'a, str>>,
    owner: Cow<'a, str>,
    #[serde(default)]
    parked_for_replace: bool,
    #[serde(borrow)]
    phase: Cow<'a, str>,
    #[serde(borrow)]
    previous: Cow<'a, str>,
    /// The id of the realm's key that it was written with.
    #[serde(skip_serializing_if = "Option::is_none")]
    realm_key: Option<Cow<'a, str>>,
    reason: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refused_at: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    slot: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    timed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    undelivered: Option<Cow<'a, str>>,
    v: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    vendor_id: Option<Cow<'a, str>>,
}

fn encode(claim: &Claim, slot: &str, vendor_id: &str, realm_key: Option<&str>) -> String {
    fn text(text: &Option<String>) -> Option<Cow<'_, str>> {
        text.as_deref().map(Cow::Borrowed)
    }
    let said = Said {
        accepts_anything: claim.proofs.accepts_anything.map(|at| moment(at).into()),
        asked: text(&claim.asked),
        attempt: claim.attempt,
        auth: Cow::Borrowed(&claim.auth),
        called_at: claim.called_at.map(|at| moment(at).into()),
        confirmed: claim.confirmed.text().into(),
        current: text(&claim.current),
        current_epoch: claim.current_epoch,
        ended: ended_text(&claim.proofs.ended).into(),
        epoch: claim.epoch,
        generation: claim.generation,
        hold: text(&claim.hold),
        known: Cow::Borrowed(&claim.known),
        mains: Cow::Borrowed(&claim.mains),
        // To the last digit: it tells one document from another.
        mains_at: claim.mains_at.iter().map(|(one, at)| (one.clone(), at.to_string())).collect(),
        new: text(&claim.new),
        outlived: claim.proofs.outlived.map(|at| moment(at).into()),
        owner: Cow::Borrowed(&claim.owner),
        parked_for_replace: claim.parked_for_replace,
        phase: claim.phase.as_str().into(),
        previous: previous_text(&claim.previous).into(),
        realm_key: realm_key.map(Cow::Borrowed),
        reason: Cow::Borrowed(&claim.reason),
        refused: claim.refused_at.map(|_| claim.refused),
        refused_at: claim.refused_at.map(|at| moment(at).into()),
        slot: Some(slot.into()),
        timed: claim.timed,
        undelivered: claim.undelivered.as_ref().map(|one| undelivered_text(one).into()),
        v: 1,
        vendor_id: Some(vendor_id.into()),
    };
    serde_json::to_string(&said).unwrap_or_default()
}

/// Reads what a document says; `None` where it has another form.
fn said(text: &str) -> Option<Said<'_>> {
    serde_json::from_str(text).ok()
}

impl Said<'_> {
    /// The claim alone; `None` where it is of another version.
    fn claim(self) -> Option<Claim> {
        (self.v == 1).then_some(())?;
        let text = |text: Option<Cow<'_, str>>| text.map(Cow::into_owned);
        let at = |text: Option<Cow<'_, str>>| text.and_then(|text| text.parse().ok());
        Some(Claim {
            generation: self.generation,
            epoch: self.epoch,
            phase: Phase::from_word(&self.phase)?,
            owner: self.owner.into_owned(),
            attempt: self.attempt,
            known: self.known.into_owned(),
            current: text(self.current),
            current_epoch: self.current_epoch,
            new: text(self.new),
            mains: self.mains.into_owned(),
            mains_at: self
                .mains_at
                .into_iter()
                .filter_map(|(place, text)| Some((place, text.parse().ok()?)))
                .collect(),
            previous: previous_from(&self.previous),
            reason: self.reason.into_owned(),
            asked: text(self.asked),
            auth: self.auth.into_owned(),
            hold: text(self.hold),
            refused: self.refused.unwrap_or(0),
            refused_at: at(self.refused_at),
            parked_for_replace: self.parked_for_replace,
            timed: self.timed,
            called_at: at(self.called_at),
            undelivered: self.undelivered.as_deref().and_then(undelivered_from),
            proofs: Proofs {
                accepts_anything: at(self.accepts_anything),
                outlived: at(self.outlived),
                ended: ended_from(&self.ended),
            },
            confirmed: Confirmed::from_text(&self.confirmed),
        })
    }
}

#[cfg(test)]
mod golden;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whether_an_earlier_one_is_switched_off_is_read_as_it_was_written() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let (since, until) = (at("2026-01-02T00:00:00Z"), at("2026-01-02T01:00:00Z"));
        let cuts = [None, Some(Cut::Off { since, until }), Some(Cut::Needed { since })];
        let ends = [OwnEnd::Unknown, OwnEnd::Never, OwnEnd::At(until)];
        let all = [None, Some(9)].into_iter().flat_map(|e| cuts.map(|cut| (e, cut)));
        let told = [
            Told::default(),
            Told { last: Some(since), before: None },
            Told { last: Some(since), before: Some(until) },
        ];
        let all = all.flat_map(|(e, cut)| ends.map(|end| (e, cut, end)));
        let all = all.flat_map(|one| told.map(|told| (one, told)));
        for ((epoch, cut, own_end), told) in all {
            let (key_id, held_version) = ("k5".to_owned(), Some(40));
            let one = |key_id: &str| Previous {
                key_id: key_id.to_owned(),
                generation: 5,
                epoch,
                retire_not_before: Some(since),
                held_version,
                cut,
                own_end,
                told,
            };
            let all = vec![one(&key_id), one("k6")];
            assert_eq!(previous_from(&previous_text(&all)), all);
        }
    }

    #[test]
    fn a_claim_reads_as_it_was_written_and_another_text_does_not() {
        let claim = Claim {
            generation: 7,
            epoch: 12,
            phase: Phase::Stored,
            owner: "apply:1".into(),
            attempt: 1,
            known: BTreeSet::from(["k6".into()]),
            current: Some("k6".into()),
            current_epoch: Some(11),
            new: None,
            mains: BTreeMap::from([("bao:secret/apps/x".into(), 41)]),
            mains_at: BTreeMap::from([(
                "bao:secret/apps/x".into(),
                "2026-01-02T00:00:00.123456789Z".parse().unwrap(),
            )]),
            previous: vec![Previous {
                key_id: "k5".into(),
                generation: 5,
                epoch: Some(9),
                retire_not_before: "2026-01-02T00:00:00Z".parse().ok(),
                held_version: Some(40),
                cut: None,
                own_end: OwnEnd::Unknown,
                told: Told::default(),
            }],
            reason: "schedule".into(),
            asked: Some("a digest".into()),
            auth: "policy:rotation".into(),
            hold: None,
            refused: 3,
            refused_at: "2026-01-02T00:00:00Z".parse().ok(),
            parked_for_replace: true,
            timed: true,
            called_at: "2026-01-02T00:00:00Z".parse().ok(),
            undelivered: Some(Undelivered {
                place: "bao:secret/apps/with a space".into(),
                since: "2026-01-02T00:00:00Z".parse().unwrap(),
            }),
            proofs: Proofs {
                accepts_anything: "2026-01-03T00:00:00Z".parse().ok(),
                outlived: "2026-01-05T00:00:00Z".parse().ok(),
                ended: [None, "2026-01-04T00:00:00Z".parse().ok()]
                    .map(|due| Ended {
                        key_id: "k4".into(),
                        generation: 4,
                        at: "2026-01-02T00:00:00Z".parse().unwrap(),
                        grade: Grade::B,
                        residual_until: due,
                        held_version: due.map(|_| 39),
                        due,
                    })
                    .to_vec(),
            },
            confirmed: {
                let mut all = Confirmed::default();
                all.say("bao:secret/apps/x", 7);
                all
            },
        };
        let text = encode(&claim, "slot", "vendor", Some("kabcd"));
        assert_eq!(said(&text).unwrap().realm_key.as_deref(), Some("kabcd"));
        assert_eq!(said(&text).and_then(Said::claim), Some(claim.clone()));
        let mirror = mirror(&claim, "slot", "vendor", 3);
        let read = ClaimMirror::read(&mirror, None);
        assert!(read.is_open());
        assert_eq!(read.asked.as_deref(), Some("a digest"));
        assert_eq!(read.keys().collect::<Vec<_>>(), ["k6", "k5"]);
        assert_eq!(read.proofs, claim.proofs);
        assert_eq!(read.confirmed, claim.confirmed);
        let later = text.replace("\"v\":1", "\"v\":2");
        for text in ["", "{}", "[]", r#"{"v":1}"#, "null", &later] {
            assert_eq!(said(text).and_then(Said::claim), None, "{text}");
        }
    }
}
