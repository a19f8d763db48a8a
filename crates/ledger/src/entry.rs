//! One line of the journal: who did what to which object, why, and with which outcome.

use std::{collections::BTreeMap, ops::Deref};

use data_encoding::BASE64;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    canonical::{self, BODY_MAX, DOCUMENT_MAX, Object},
    chain::Hash,
    error::{Error, Result},
    inventory::{self, Change},
    lease::Fence,
};

/// The kind of an entry that opens a new segment behind a chain that somebody broke.
pub const BROKEN: &str = "ledger.broken";

/// The kind of an entry that says what a salvage could not save.
pub const SALVAGED: &str = "ledger.salvaged";

/// The kind of an entry that says which entries were taken out, and where they lie.
pub const COMPACTED: &str = "ledger.compacted";

/// The kind of an entry that says again what the rows owe to entries that were taken out.
pub const RESTATED: &str = "ledger.restated";

/// Every kind of entry that this version writes. Whoever writes another adds it: deeds check it in
/// debug builds, and whoever asks for one that is not here is told so.
pub const KINDS: &[&str] = &[
    "attempt.ended",
    "attempt.started",
    "break_glass.reviewed",
    "change.authorized",
    "change.done",
    "change.failed",
    "change.released",
    "change.used",
    "claim.taken_over",
    "consumer.acknowledged",
    "credential.adjusted",
    "credential.returned",
    "credential.revoked",
    "credential.spared",
    "credential.swept",
    "declared",
    "decommission.begun",
    "decommission.ended",
    "drill.ended",
    "integration.disabled",
    "integration.ended",
    "integration.forgotten",
    "integration.lifted",
    "integration.quarantined",
    BROKEN,
    COMPACTED,
    "ledger.created",
    RESTATED,
    SALVAGED,
    "obligation.failed",
    "obligation.made",
    "obligation.met",
    "obligation.overdue",
    "owner.told",
    "policy.loaded",
    "probe.accepts_anything",
    "probe.round",
    "review.concluded",
    "rotation.begun_again",
    "rotation.claimed",
    "rotation.closed",
    "rotation.copied",
    "rotation.cutting",
    "rotation.disabled",
    "rotation.enabled",
    "rotation.enabling",
    "rotation.expiry_set",
    "rotation.gave_up",
    "rotation.held",
    "rotation.interruption_accepted",
    "rotation.overlap_moved",
    "rotation.overlapping",
    "rotation.parked_for_replacement",
    "rotation.previous_destroyed",
    "rotation.promoted",
    "rotation.proven",
    "rotation.retired",
    "rotation.retiring",
    "rotation.sink_kept",
    "rotation.still_used",
    "rotation.stored",
    "rotation.swept",
    "rotation.taken_over",
    "rotation.verified",
    "rotation.watching",
    "rotation.withdrawn",
    "scopes.elevated",
    "scopes.elevating",
    "scopes.narrowed",
    "scopes.removed",
    "scopes.set",
    "signal.closed",
    "signal.met",
    "signal.received",
    "slot.declared",
    "slot.ended",
    "task.done",
    "usage.imported",
];

/// The version of the body's shape that this program writes.
pub const VERSION: u64 = 1;

/// A document longer than this many bytes is kept beside the entry, which then names its hash.
const INLINE_MAX: usize = 768;

/// Who acted. Ids only: names and addresses belong into [`crate::Person`], which can be erased.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// The program and its version, such as `terraform-provider-nhi/0.1.0`.
    pub program: String,
    /// The run: one apply, one tick, one command.
    pub run: String,
    /// The person or machine behind it: `person:…`, a key's fingerprint, a CI job's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub principal: Option<String>,
}

/// What made the actor act.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trigger {
    /// `apply`, `tick`, `command`, `schedule`, `exposure`, ….
    pub what: String,
    /// The ticket of the change, if the configuration names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<String>,
    /// Where the run can be looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Who asked, as an id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requester: Option<String>,
}

impl From<&str> for Trigger {
    fn from(what: &str) -> Self {
        Trigger { what: what.to_owned(), ..Trigger::default() }
    }
}

/// Which clock said when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clock {
    /// `system`, or whose time it is when it is not ours.
    pub source: String,
    /// How far that clock was seen to be off, in milliseconds; positive is ahead.
    pub skew_ms: i64,
}

impl Default for Clock {
    fn default() -> Self {
        Clock { source: "system".to_owned(), skew_ms: 0 }
    }
}

/// An entry before the ledger has given it a number and a hash.
///
/// `realm` may be left `None`: a ledger that belongs to a realm fills it in.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct NewEntry {
    /// When, in milliseconds UTC. Clocks go back; order is the number's business.
    pub at: i64,
    /// By which clock.
    pub clock: Clock,
    /// What happened, dotted: `declared`, `rotation.promoted`, `attempt.ended`.
    pub kind: String,
    /// The id of the object it happened to.
    pub subject: String,
    /// Who acted.
    pub actor: Actor,
    /// What made them act.
    pub trigger: Trigger,
    /// The realm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub realm: Option<String>,
    /// The rotation that it is a step of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation: Option<String>,
    /// The slot's generation.
    #[serde(default, rename = "gen", skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    /// The claim's epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u64>,
    /// The step of the deed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// How it ended: `done`, `refused`, `ambiguous`, ….
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// The platform's own id of the request, for its support and audit log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// Digest of the object before, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest_before: Option<String>,
    /// Digest of the object after, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest_after: Option<String>,
    /// Who or what allowed it: `sha256:…` of an approval, `policy:schedule`, `policy:narrowing`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<String>,
    /// What else is worth keeping. Never a secret, never a person's name or address.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub detail: Map<String, Value>,
    /// What the entry does to the inventory, in the same transaction.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "inventory::known_changes"
    )]
    pub changes: Vec<Change>,
    /// The lease that it is begun under: kept only while that is held. No part of what is kept.
    #[serde(skip)]
    pub under: Option<Fence>,
}

impl NewEntry {
    /// An entry of this kind about this object, at this moment (milliseconds UTC).
    pub fn new(at: i64, kind: impl Into<String>, subject: impl Into<String>) -> Self {
        NewEntry { at, kind: kind.into(), subject: subject.into(), ..NewEntry::default() }
    }

    /// An entry that says what is wrong with the chain before it, and opens a new segment.
    pub fn broken(at: i64, subject: impl Into<String>, wrong: &Error) -> Self {
        let entry = NewEntry::new(at, BROKEN, subject).detail("what", wrong.to_string());
        match wrong {
            Error::Broken { seq, .. } => entry.detail("seq", *seq),
            _ => entry,
        }
    }

    /// By this actor, for this reason.
    #[must_use]
    pub fn by(mut self, actor: Actor, trigger: Trigger) -> Self {
        self.actor = actor;
        self.trigger = trigger;
        self
    }

    /// With one more member of the free part; a null is left out.
    #[must_use]
    pub fn detail(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        let value = canonical::without_nulls(value.into());
        if !value.is_null() {
            self.detail.insert(name.into(), value);
        }
        self
    }

    /// With bytes that it rests on, kept beside it under their hash if they are long: a record, a signed
    /// statement.
    #[must_use]
    pub fn keep(self, name: impl Into<String>, bytes: &[u8]) -> Self {
        let document = BASE64.encode(bytes).into();
        self.change(Change::Kept { name: name.into(), document })
    }

    /// With one more change of the inventory.
    #[must_use]
    pub fn change(mut self, change: Change) -> Self {
        self.changes.push(change);
        self
    }

    /// Checks what can be checked before there is a number, and moves long documents aside.
    ///
    /// Stores call this first, outside any lock, then [`Prepared::body`] under it.
    ///
    /// # Errors
    ///
    /// [`Error::Body`] if the body has no canonical form or is longer than 4 KiB.
    pub fn prepare(mut self, realm: Option<&str>) -> Result<Prepared> {
        let kind = self.kind.clone();
        let refuse = |source| Error::Body { kind: kind.clone(), source };
        if self.realm.is_none() {
            self.realm = realm.filter(|realm| !realm.is_empty()).map(str::to_owned);
        }
        let mut documents = BTreeMap::new();
        for document in self.changes.iter_mut().flat_map(Change::documents_mut) {
            *document = canonical::without_nulls(std::mem::take(document));
            let bytes = canonical::encode_within(document, DOCUMENT_MAX).map_err(refuse)?;
            if bytes.len() > INLINE_MAX || name_of(document).is_some() {
                let hash = Hash::of(&bytes);
                *document = named(&hash);
                documents.insert(hash, bytes);
            }
        }
        let not_json =
            |error: serde_json::Error| refuse(canonical::Error::NotJson(error.to_string()));
        let body = self.body().map_err(refuse)?;
        // What was encoded counts, not what was given: text is in form NFC now. What is ASCII was so
        // before.
        let mut entry: NewEntry = match body.before.is_ascii() && body.after.is_ascii() {
            true => self,
            false => NewEntry {
                under: self.under,
                ..serde_json::from_slice(&body.under(1)).map_err(not_json)?
            },
        };
        for change in &mut entry.changes {
            change.restore(|hash| serde_json::from_slice(documents.get(hash)?).ok());
        }
        Ok(Prepared { entry, body, documents: documents.into_iter().collect() })
    }

    /// What serialization and [`canonical::encode`] make of it, with the version and room for the number.
    fn body(&self) -> Result<Body, canonical::Error> {
        // None is forgotten: each is named.
        let NewEntry {
            at,
            clock: Clock { source, skew_ms },
            kind,
            subject,
            actor: Actor { program, run, principal },
            trigger: Trigger { what, ticket, url, requester },
            realm,
            rotation,
            generation,
            epoch,
            step,
            outcome,
            request_id,
            digest_before,
            digest_after,
            auth,
            detail,
            changes,
            under: _,
        } = self;
        let mut actor = Object::new();
        actor.text_if("principal", principal.as_deref());
        actor.text("program", program);
        actor.text("run", run);
        let mut clock = Object::new();
        clock.number("skew_ms", (*skew_ms).into())?;
        clock.text("source", source);
        let mut trigger = Object::new();
        trigger.text_if("requester", requester.as_deref());
        trigger.text_if("ticket", ticket.as_deref());
        trigger.text_if("url", url.as_deref());
        trigger.text("what", what);

        let mut all = Object::new();
        all.object("actor", actor);
        all.number("at", (*at).into())?;
        all.text_if("auth", auth.as_deref());
        if !changes.is_empty() {
            let changes = serde_json::to_value(changes)
                .map_err(|error| canonical::Error::NotJson(error.to_string()))?;
            all.value("changes", &changes)?;
        }
        all.object("clock", clock);
        if !detail.is_empty() {
            all.members("detail", detail)?;
        }
        all.text_if("digest_after", digest_after.as_deref());
        all.text_if("digest_before", digest_before.as_deref());
        if let Some(epoch) = epoch {
            all.number("epoch", (*epoch).into())?;
        }
        if let Some(generation) = generation {
            all.number("gen", (*generation).into())?;
        }
        all.text("kind", kind);
        all.text_if("outcome", outcome.as_deref());
        all.text_if("realm", realm.as_deref());
        all.text_if("request_id", request_id.as_deref());
        all.text_if("rotation", rotation.as_deref());
        all.name("seq");
        let room = all.len();
        all.text_if("step", step.as_deref());
        all.text("subject", subject);
        all.object("trigger", trigger);
        all.number("v", VERSION.into())?;
        let mut before = all.end().into_bytes();
        let after = before.split_off(room);
        let bytes = before.len() + canonical::INTEGER_MAX.to_string().len() + after.len();
        if bytes > BODY_MAX {
            return Err(canonical::Error::Long { bytes, limit: BODY_MAX });
        }
        Ok(Body { before, after })
    }
}

/// An entry that can be kept as soon as it has a number.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// The entry, with its realm and with its documents whole.
    pub entry: NewEntry,
    /// Documents that are kept beside the entry, by hash.
    pub documents: Vec<(Hash, Vec<u8>)>,
    body: Body,
}

/// A body without its number: what stands before it, and what after.
#[derive(Debug, Clone)]
struct Body {
    before: Vec<u8>,
    after: Vec<u8>,
}

impl Body {
    fn under(&self, seq: u64) -> Vec<u8> {
        [&self.before[..], seq.to_string().as_bytes(), &self.after[..]].concat()
    }
}

impl Prepared {
    /// The body under this number.
    ///
    /// # Errors
    ///
    /// [`Error::Body`] if the number is beyond 2⁵³.
    pub fn body(&self, seq: u64) -> Result<Vec<u8>> {
        if i64::try_from(seq).is_ok_and(|seq| seq <= canonical::INTEGER_MAX) {
            return Ok(self.body.under(seq));
        }
        let source = canonical::Error::Number { path: "seq".into(), number: seq.to_string() };
        Err(Error::Body { kind: self.entry.kind.clone(), source })
    }
}

/// What stands in an entry for a document that is kept beside it.
fn named(hash: &Hash) -> Value {
    let mut members = Map::new();
    members.insert(NAMED.to_owned(), hash.to_string().into());
    Value::Object(members)
}

const NAMED: &str = "$sha256";

/// The hash that stands for a document kept beside the entry, if `document` is such a name.
pub fn name_of(document: &Value) -> Option<Hash> {
    let members = document.as_object().filter(|members| members.len() == 1)?;
    Hash::from_hex(members.get(NAMED)?.as_str()?)
}

/// A kept entry.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Its number: 1 is the first.
    pub seq: u64,
    /// Its hash.
    pub hash: Hash,
    /// The bytes that were hashed: canonical JSON.
    pub body: Vec<u8>,
    said: NewEntry,
}

impl Entry {
    /// Reads a kept body. Members that a later version added are ignored.
    ///
    /// # Errors
    ///
    /// A sentence part that says why the bytes are no entry.
    pub fn read(seq: u64, hash: Hash, body: Vec<u8>) -> Result<Self, String> {
        let said = serde_json::from_slice(&body)
            .map_err(|error| format!("its body cannot be read: {error}"))?;
        Ok(Entry { seq, hash, body, said })
    }

    /// What was prepared, with its body under this number and the hash of that: it is not read back,
    /// unless a document stands beside it, which an entry only names.
    pub(crate) fn of(seq: u64, hash: Hash, body: Vec<u8>, from: &Prepared) -> Result<Self, String> {
        if !from.documents.is_empty() {
            return Entry::read(seq, hash, body);
        }
        let said = NewEntry { under: None, ..from.entry.clone() };
        Ok(Entry { seq, hash, body, said })
    }

    /// What it rests on, by name: bytes that [`NewEntry::keep`] was given. `find` gives documents that
    /// are kept beside it.
    pub fn kept(&self, mut find: impl FnMut(&Hash) -> Option<Value>) -> Vec<(String, Vec<u8>)> {
        let bytes = |document: &Value| BASE64.decode(document.as_str()?.as_bytes()).ok();
        let kept = self.changes.iter().filter_map(|change| {
            let Change::Kept { name, document } = change else { return None };
            let bytes = match name_of(document) {
                Some(hash) => bytes(&find(&hash)?),
                None => bytes(document),
            };
            Some((name.clone(), bytes?))
        });
        kept.collect()
    }

    /// The content without number and hash.
    pub fn said(&self) -> &NewEntry {
        &self.said
    }
}

impl Deref for Entry {
    type Target = NewEntry;

    fn deref(&self) -> &NewEntry {
        &self.said
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entry() -> NewEntry {
        NewEntry::new(1_764_000_000_000, "rotation.promoted", "bao/openbao_approle/invoice-sync")
    }

    #[test]
    fn a_body_is_canonical_and_reads_back() {
        let mut entry = entry().detail("sink", "bao:secret/apps/x").detail("nothing", Value::Null);
        entry.generation = Some(7);
        let prepared = entry.prepare(Some("k3x9q2")).expect("it is small");
        let body = prepared.body(3).expect("it is small");
        assert!(canonical::decode(&body).is_ok());
        let read = Entry::read(3, Hash::ZERO, body).expect("it is an entry");
        assert_eq!(read.said(), &prepared.entry);
        assert_eq!(read.realm.as_deref(), Some("k3x9q2"));
        assert_eq!(read.generation, Some(7));
        assert!(!read.detail.contains_key("nothing"));
    }

    #[test]
    fn an_entry_of_a_later_version_reads_without_what_this_one_does_not_know() {
        let body = |changes: Value| {
            let mut members = serde_json::to_value(entry()).expect("it is JSON");
            members["changes"] = changes;
            members["later"] = json!({"of": ["anything"]});
            canonical::encode(&members).expect("it is canonical")
        };
        let ended = json!({"slot_ended": {"integration": "a/b/c", "name": "main"}});
        let both = json!([{"finding": {"rule": "R7", "seen": 3}}, ended.clone()]);
        let read = Entry::read(1, Hash::ZERO, body(both)).expect("it reads");
        assert_eq!(read.changes.len(), 1);
        let alone = Entry::read(1, Hash::ZERO, body(json!([ended]))).expect("it reads");
        assert_eq!(read.changes, alone.changes);
        // What it does know is either whole or refused.
        let lame = json!([{"slot_ended": {"integration": "a/b/c"}}]);
        assert!(Entry::read(1, Hash::ZERO, body(lame)).is_err());
    }

    #[test]
    fn what_is_written_member_by_member_is_what_serialization_makes_of_it() {
        let text = |what: &str| Some(format!("{what} \"\\ \u{1}\u{e9}e\u{301}"));
        let full = NewEntry {
            at: -5,
            clock: Clock { source: "sntp".to_owned(), skew_ms: -12 },
            actor: Actor { program: "nhi".into(), run: "r".into(), principal: text("who") },
            trigger: Trigger {
                what: "apply".into(),
                ticket: text("ticket"),
                url: text("url"),
                requester: text("requester"),
            },
            realm: text("realm"),
            rotation: text("rotation"),
            generation: Some(7),
            epoch: Some(8),
            step: text("step"),
            outcome: text("outcome"),
            request_id: text("request"),
            digest_before: text("before"),
            digest_after: text("after"),
            auth: text("auth"),
            changes: vec![Change::SlotEnded { integration: "a/b/c".into(), name: "main".into() }],
            ..entry()
                .detail("seq", canonical::INTEGER_MAX)
                .detail("e\u{301}", json!({"b": [1], "a": true}))
        };
        let short = entry().detail("plain", "ASCII");
        for entry in [full, short, NewEntry::default()] {
            let prepared = entry.clone().prepare(None).expect("it is small");
            for seq in [1, 40, 1 << 53] {
                let mut members = serde_json::to_value(&entry).expect("it is JSON");
                members["v"] = VERSION.into();
                members["seq"] = seq.into();
                let body = prepared.body(seq).expect("it is a number");
                assert_eq!(body, canonical::encode(&members).expect("it is canonical"));
                let read = Entry::read(seq, Hash::ZERO, body.clone()).expect("it is an entry");
                assert_eq!(read.said(), &prepared.entry);
                assert_eq!(Entry::of(seq, Hash::ZERO, body, &prepared), Ok(read));
            }
            assert!(prepared.body((1 << 53) + 1).is_err());
        }
        for large in [i64::MAX, i64::MIN] {
            let entry = NewEntry { at: large, ..entry() };
            assert!(entry.prepare(None).is_err(), "no reader keeps it");
        }
    }

    #[test]
    fn a_body_over_four_kibibytes_is_refused() {
        let error = entry().detail("text", "x".repeat(4096)).prepare(None).expect_err("it is long");
        assert_eq!(error.code(), "E-LEDGER-BODY");
        assert!(error.to_string().contains("rotation.promoted"), "{error}");
    }

    #[test]
    fn a_fraction_is_refused_with_its_path() {
        let error = entry().detail("rate", json!([0.5])).prepare(None).expect_err("a fraction");
        assert!(error.to_string().contains("detail.rate[0]"), "{error}");
    }

    #[test]
    fn what_an_entry_rests_on_is_kept_beside_it_however_long_and_is_no_row_s() {
        let statement = vec![b'x'; 20_000];
        let entry = entry().keep("record", b"{}").keep("approval", &statement);
        let prepared = entry.prepare(None).expect("the body is small");
        let (hash, bytes) = prepared.documents.first().cloned().expect("the long one is aside");
        assert_eq!(prepared.documents.len(), 1);
        let read = Entry::read(1, Hash::ZERO, prepared.body(1).expect("small")).expect("an entry");
        let find = |name: &Hash| serde_json::from_slice(&bytes).ok().filter(|_| *name == hash);
        let kept = read.kept(find);
        assert_eq!(
            kept,
            [("record".to_owned(), b"{}".to_vec()), ("approval".to_owned(), statement)]
        );
        assert_eq!(read.kept(|_| None).len(), 1, "what is lost is not there");
        let folded = inventory::Inventory::fold([&read], |_| None);
        assert_eq!(folded, inventory::Inventory::default());
    }

    #[test]
    fn a_long_document_is_kept_beside_the_entry() {
        let document =
            json!({"scopes": (0..500).map(|n| format!("scope-{n}")).collect::<Vec<_>>()});
        let entry = entry().change(Change::Declared {
            integration: "bao/openbao_approle/x".to_owned(),
            facet: "scopes".to_owned(),
            document: Some(document.clone()),
        });
        let prepared = entry.prepare(None).expect("the body is small");
        let (hash, bytes) = prepared.documents.first().cloned().expect("the document is aside");
        assert_eq!(hash, Hash::of(&bytes));
        let read = Entry::read(1, Hash::ZERO, prepared.body(1).expect("small")).expect("an entry");
        let Change::Declared { document: Some(kept), .. } = &read.changes[0] else {
            panic!("another change")
        };
        assert_eq!(name_of(kept), Some(hash));
        assert_eq!(name_of(&document), None);
    }
}
