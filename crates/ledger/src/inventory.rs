//! What should exist and what was last seen: rows that folding the entries gives again, and beside
//! them what was observed, which may be lost.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use serde_json::{Map, Value};

use crate::{
    canonical,
    chain::Hash,
    entry::{Entry, name_of},
};

/// A JSON document with the digest of its canonical form.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// The content.
    pub value: Value,
    /// The first 16 bytes of the SHA-256 of its canonical form: equal digests, equal documents.
    pub digest: [u8; 16],
}

impl Document {
    /// Wraps a value; nulls are left out.
    ///
    /// # Errors
    ///
    /// If the rest has no canonical form or is too long.
    pub fn new(value: Value) -> Result<Self, canonical::Error> {
        let value = canonical::without_nulls(value);
        let bytes = canonical::encode_within(&value, canonical::DOCUMENT_MAX)?;
        Ok(Document { value, digest: Hash::of(&bytes).short() })
    }
}

/// A tenant that a connection was pinned to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tenant {
    /// `<platform>:<the tenant's own id>`.
    pub key: String,
    /// The connection that saw it first.
    pub connection: String,
    /// When, in milliseconds UTC.
    pub pinned_at: i64,
}

/// How an integration came to be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// Somebody wrote it down first.
    Declared,
    /// It existed, and somebody took it over.
    Adopted,
    /// It was seen on the platform.
    #[default]
    Discovered,
}

impl Origin {
    /// The word that stores keep.
    pub fn word(self) -> &'static str {
        match self {
            Origin::Declared => "declared",
            Origin::Adopted => "adopted",
            Origin::Discovered => "discovered",
        }
    }

    /// From the word that stores keep.
    pub fn from_word(word: &str) -> Option<Self> {
        [Origin::Declared, Origin::Adopted, Origin::Discovered]
            .into_iter()
            .find(|origin| origin.word() == word)
    }
}

/// One integration's row.
///
/// `declared` and `applied` are objects with one member per facet (`settings`, `scopes`, `owners`,
/// …), set one at a time by [`Change::Declared`] and [`Change::Applied`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Integration {
    /// `<connection>/<kind>/<vendor key>`.
    pub id: String,
    /// The tenant's key; empty while unknown.
    pub tenant: String,
    /// What the configuration says, by facet.
    pub declared: Option<Document>,
    /// What the last apply made, by facet.
    pub applied: Option<Document>,
    /// What was last seen. Working data: not folded from entries.
    pub observed: Option<Document>,
    /// How it came to be known.
    pub origin: Origin,
    /// When it was first seen on the platform, in milliseconds UTC. Working data.
    pub first_seen_at: Option<i64>,
    /// When it was last seen. Working data.
    pub last_seen_at: Option<i64>,
    /// Since when it has been absent; `None` while present. Working data.
    pub absent_since: Option<i64>,
}

impl Integration {
    /// The connection's name: the first part of the id.
    pub fn connection(&self) -> &str {
        connection_of(&self.id)
    }

    /// The same row without what was observed: what folding the entries must give.
    #[must_use]
    pub fn projected(&self) -> Integration {
        Integration {
            observed: None,
            first_seen_at: None,
            last_seen_at: None,
            absent_since: None,
            ..self.clone()
        }
    }
}

/// One credential slot's row.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Slot {
    /// The integration's id.
    pub integration: String,
    /// The slot's name.
    pub name: String,
    /// The generation, from 1.
    #[serde(rename = "gen")]
    pub generation: u64,
    /// The claim's epoch.
    pub epoch: u64,
    /// The vendor's id of the current credential.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<String>,
    /// When the current one was promoted, in milliseconds UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promoted_at: Option<i64>,
    /// The schedule, as declared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Value>,
    /// The sinks, as declared: places only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sinks: Option<Value>,
    /// The status word.
    pub status: String,
    /// When the next rotation is due, in milliseconds UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_due_at: Option<i64>,
}

/// One credential's row: a key that lives, or lived, on the platform.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Credential {
    /// The integration's id.
    pub integration: String,
    /// The slot's name, if it belongs to one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<String>,
    /// The vendor's id of it.
    pub vendor_id: String,
    /// `secret_id`, `client_secret`, `public_key`, ….
    pub kind: String,
    /// Our marker on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub marker: Option<String>,
    /// The keyed fingerprint of its secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// When the platform says it was made, in milliseconds UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<i64>,
    /// When it ends by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<i64>,
    /// `current`, `previous`, `ended`, `unmanaged`, ….
    pub state: String,
    /// When it was last used, as the platform tells. Working data.
    #[serde(skip)]
    pub last_used_at: Option<i64>,
    /// When it was last seen. Working data.
    #[serde(skip)]
    pub last_seen_at: Option<i64>,
    /// Since when it has been absent. Working data.
    #[serde(skip)]
    pub absent_since: Option<i64>,
}

impl Credential {
    /// The same row without what was observed.
    #[must_use]
    pub fn projected(&self) -> Credential {
        Credential { last_used_at: None, last_seen_at: None, absent_since: None, ..self.clone() }
    }
}

/// Something that must happen between two moments.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Obligation {
    /// Its id.
    pub id: String,
    /// The object it is about.
    pub subject: String,
    /// `retire`, `prove`, `review`, ….
    pub deed: String,
    /// Not before, in milliseconds UTC.
    pub not_before: i64,
    /// At the latest, in milliseconds UTC.
    pub due_by: i64,
    /// What happens when it is late, as a word.
    pub on_overdue: String,
    /// `open`, `met`, `overdue`, `dropped`.
    pub state: String,
    /// How often it was tried.
    #[serde(default)]
    pub attempts: u64,
    /// When to try next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_try_at: Option<i64>,
    /// What else is needed to carry it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<Value>,
}

/// One look at one listing of one tenant, and how complete it was.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Scan {
    /// The tenant's key.
    pub tenant: String,
    /// What was listed.
    pub what: String,
    /// When it began, in milliseconds UTC.
    pub started_at: i64,
    /// When it ended; `None` if it never did.
    pub finished_at: Option<i64>,
    /// How many objects were to be read, if that was known.
    pub expected: Option<u64>,
    /// How many were read.
    pub read: u64,
    /// How many could not be.
    pub failed: u64,
    /// How many were not asked for: their time was up, or their tenant did not answer.
    pub skipped: u64,
    /// The gaps.
    pub gaps: Option<Value>,
}

/// A person behind an id in the entries; the only place for a name or an address.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Person {
    /// The id that entries use: `person:…`.
    pub id: String,
    /// The name to show.
    pub display: Option<String>,
    /// The address.
    pub email: Option<String>,
    /// When name and address were erased, in milliseconds UTC.
    pub erased_at: Option<i64>,
}

/// What an entry does to the inventory.
///
/// In a body it is an object of one member, named by the variant: an internal tag would make serde
/// buffer the content, which loses numbers when another crate turns on `arbitrary_precision`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Change {
    /// A connection was pinned to a tenant.
    Tenant(Tenant),
    /// An integration is known by this tenant and origin. Its other columns stay.
    Integration {
        /// The integration's id.
        integration: String,
        /// The tenant's key.
        tenant: String,
        /// How it came to be known.
        origin: Origin,
    },
    /// One facet of what the configuration says; no document: it says nothing any more.
    Declared {
        /// The integration's id.
        integration: String,
        /// The facet.
        facet: String,
        /// Its content.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        document: Option<Value>,
    },
    /// One facet of what apply made; no document: nothing any more.
    Applied {
        /// The integration's id.
        integration: String,
        /// The facet.
        facet: String,
        /// Its content.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        document: Option<Value>,
    },
    /// The integration is no longer declared or applied: destroyed, or given up. Its slots go; its
    /// credentials stay, as history.
    Ended {
        /// The integration's id.
        integration: String,
    },
    /// A slot's row as it is now, whole.
    Slot(Slot),
    /// A slot is no more.
    SlotEnded {
        /// The integration's id.
        integration: String,
        /// The slot's name.
        name: String,
    },
    /// A credential's row as it is now, whole but for what is observed.
    Credential(Credential),
    /// An obligation's row as it is now, whole.
    Obligation(Obligation),
    /// What the entry rests on and is too long for its body: kept beside it under its hash. No row's.
    Kept {
        /// What it is: `record`, `approval`, ….
        name: String,
        /// Its content.
        document: Value,
    },
}

/// The names of the changes that this version knows.
const KNOWN: [&str; 10] = [
    "tenant",
    "integration",
    "declared",
    "applied",
    "ended",
    "slot",
    "slot_ended",
    "credential",
    "obligation",
    "kept",
];

/// Reads the changes of an entry; what a later version added is none of our rows' business.
pub(crate) fn known_changes<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Change>, D::Error> {
    let known = |change: &Value| {
        let later = change.as_object().and_then(|members| members.keys().next());
        later.is_none_or(|name| KNOWN.contains(&name.as_str()))
    };
    Vec::<Value>::deserialize(from)?
        .into_iter()
        .filter(known)
        .map(|change| serde_json::from_value(change).map_err(D::Error::custom))
        .collect()
}

impl Change {
    pub(crate) fn documents_mut(&mut self) -> Vec<&mut Value> {
        match self {
            Change::Declared { document, .. } | Change::Applied { document, .. } => {
                document.iter_mut().collect()
            }
            Change::Slot(slot) => slot.schedule.iter_mut().chain(slot.sinks.iter_mut()).collect(),
            Change::Obligation(obligation) => obligation.detail.iter_mut().collect(),
            Change::Kept { document, .. } => vec![document],
            Change::Tenant(_)
            | Change::Integration { .. }
            | Change::Ended { .. }
            | Change::SlotEnded { .. }
            | Change::Credential(_) => Vec::new(),
        }
    }

    /// The hashes of documents that are kept beside the entry that this change was read from.
    pub fn names(&self) -> Vec<Hash> {
        self.clone().documents_mut().into_iter().filter_map(|document| name_of(document)).collect()
    }

    /// Puts documents that were kept beside the entry back in.
    pub fn restore(&mut self, mut find: impl FnMut(&Hash) -> Option<Value>) {
        for document in self.documents_mut() {
            if let Some(whole) = name_of(document).and_then(|hash| find(&hash)) {
                *document = whole;
            }
        }
    }
}

/// What a scan saw of one integration.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Observed {
    /// The integration's id.
    pub integration: String,
    /// The tenant's key.
    pub tenant: String,
    /// When, in milliseconds UTC.
    pub at: i64,
    /// What was seen; `None` if it is witnessed to be absent.
    pub document: Option<Value>,
    /// Its credentials: those that are not known yet become rows, of the known only what is
    /// observed changes.
    pub credentials: Vec<Credential>,
}

/// Which rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Only of this connection.
    pub connection: Option<String>,
    /// Only of this tenant.
    pub tenant: Option<String>,
    /// Only this integration.
    pub integration: Option<String>,
    /// Only what is declared now.
    pub declared: bool,
}

impl Selection {
    /// All rows.
    pub fn all() -> Self {
        Self::default()
    }

    /// All that belongs to one integration.
    pub fn of(integration: impl Into<String>) -> Self {
        Selection { integration: Some(integration.into()), ..Self::default() }
    }

    /// All that is declared now.
    pub fn declared() -> Self {
        Selection { declared: true, ..Self::default() }
    }

    fn takes(&self, integration: &Integration) -> bool {
        self.takes_id(&integration.id)
            && self.tenant.as_ref().is_none_or(|tenant| *tenant == integration.tenant)
            && (!self.declared || integration.declared.is_some())
    }

    fn takes_id(&self, id: &str) -> bool {
        self.connection.as_deref().is_none_or(|connection| connection == connection_of(id))
            && self.integration.as_deref().is_none_or(|integration| integration == id)
    }
}

/// The connection in an integration's id.
pub fn connection_of(id: &str) -> &str {
    id.split('/').next().unwrap_or_default()
}

/// The rows in memory: what [`crate::MemoryLedger`] keeps, and the definition of folding that the
/// suite holds every other store to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Inventory {
    /// By key.
    pub tenants: BTreeMap<String, Tenant>,
    /// By id.
    pub integrations: BTreeMap<String, Integration>,
    /// By integration and name.
    pub slots: BTreeMap<(String, String), Slot>,
    /// By integration and vendor id.
    pub credentials: BTreeMap<(String, String), Credential>,
    /// By id.
    pub obligations: BTreeMap<String, Obligation>,
}

impl Inventory {
    /// Folds entries, oldest first; `find` gives documents that are kept beside them.
    pub fn fold<'a>(
        entries: impl IntoIterator<Item = &'a Entry>,
        mut find: impl FnMut(&Hash) -> Option<Value>,
    ) -> Self {
        let mut inventory = Inventory::default();
        for entry in entries {
            for change in &entry.changes {
                let mut change = change.clone();
                change.restore(&mut find);
                inventory.apply(change);
            }
        }
        inventory
    }

    /// Does what one change says. An integration that is named for the first time becomes a row.
    pub fn apply(&mut self, change: Change) {
        match change {
            Change::Tenant(tenant) => {
                self.tenants.insert(tenant.key.clone(), tenant);
            }
            Change::Integration { integration, tenant, origin } => {
                let row = self.row(&integration);
                row.tenant = tenant;
                row.origin = origin;
            }
            Change::Declared { integration, facet, document } => {
                let row = self.row(&integration);
                if document.is_some() && row.origin == Origin::Discovered {
                    row.origin = Origin::Declared;
                }
                row.declared = with_facet(row.declared.take(), facet, document);
            }
            Change::Applied { integration, facet, document } => {
                let row = self.row(&integration);
                row.applied = with_facet(row.applied.take(), facet, document);
            }
            Change::Ended { integration } => {
                let row = self.row(&integration);
                row.declared = None;
                row.applied = None;
                self.slots.retain(|(of, _), _| *of != integration);
            }
            Change::Slot(slot) => {
                self.row(&slot.integration);
                self.slots.insert((slot.integration.clone(), slot.name.clone()), slot);
            }
            Change::SlotEnded { integration, name } => {
                self.slots.remove(&(integration, name));
            }
            Change::Credential(credential) => {
                self.row(&credential.integration);
                let key = (credential.integration.clone(), credential.vendor_id.clone());
                let before = self.credentials.remove(&key).unwrap_or_default();
                let row = Credential {
                    last_used_at: before.last_used_at,
                    last_seen_at: before.last_seen_at,
                    absent_since: before.absent_since,
                    ..credential
                };
                self.credentials.insert(key, row);
            }
            Change::Obligation(obligation) => {
                self.obligations.insert(obligation.id.clone(), obligation);
            }
            Change::Kept { .. } => {}
        }
    }

    /// Takes in what a scan saw.
    ///
    /// # Errors
    ///
    /// If a document has no canonical form.
    pub fn observe(&mut self, seen: Observed) -> Result<(), canonical::Error> {
        let document = seen.document.map(Document::new).transpose()?;
        let row = self.row(&seen.integration);
        if !seen.tenant.is_empty() {
            row.tenant = seen.tenant;
        }
        match document {
            Some(document) => {
                row.observed = Some(document);
                row.first_seen_at.get_or_insert(seen.at);
                row.last_seen_at = Some(seen.at);
                row.absent_since = None;
            }
            None => {
                row.absent_since.get_or_insert(seen.at);
            }
        }
        for credential in seen.credentials {
            let key = (seen.integration.clone(), credential.vendor_id.clone());
            let row = self.credentials.entry(key).or_insert_with(|| Credential {
                integration: seen.integration.clone(),
                ..credential.projected()
            });
            row.last_used_at = credential.last_used_at.or(row.last_used_at);
            row.last_seen_at = Some(seen.at);
            row.absent_since = credential.absent_since;
        }
        Ok(())
    }

    /// The integrations that `selection` takes, by id.
    pub fn integrations(&self, selection: &Selection) -> Vec<Integration> {
        self.integrations.values().filter(|row| selection.takes(row)).cloned().collect()
    }

    /// The slots of what `selection` takes, by integration and name.
    pub fn slots(&self, selection: &Selection) -> Vec<Slot> {
        let taken = |slot: &&Slot| self.takes(selection, &slot.integration);
        self.slots.values().filter(taken).cloned().collect()
    }

    /// The credentials of what `selection` takes, by integration and vendor id.
    pub fn credentials(&self, selection: &Selection) -> Vec<Credential> {
        let taken = |row: &&Credential| self.takes(selection, &row.integration);
        self.credentials.values().filter(taken).cloned().collect()
    }

    fn takes(&self, selection: &Selection, integration: &str) -> bool {
        self.integrations.get(integration).is_some_and(|row| selection.takes(row))
    }

    fn row(&mut self, id: &str) -> &mut Integration {
        self.integrations
            .entry(id.to_owned())
            .or_insert_with(|| Integration { id: id.to_owned(), ..Integration::default() })
    }
}

/// A row's facets with one of them set or taken away; `None` when none is left.
///
/// A facet that has no canonical form is dropped: [`crate::NewEntry::prepare`] has refused it long
/// before.
pub fn with_facet(
    document: Option<Document>,
    facet: String,
    content: Option<Value>,
) -> Option<Document> {
    let mut facets = match document.map(|document| document.value) {
        Some(Value::Object(facets)) => facets,
        Some(_) | None => Map::new(),
    };
    match content {
        Some(content) => facets.insert(facet, content),
        None => facets.remove(&facet),
    };
    if facets.is_empty() { None } else { Document::new(Value::Object(facets)).ok() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ID: &str = "bao/openbao_approle/invoice-sync";

    fn declared(facet: &str, document: Option<Value>) -> Change {
        Change::Declared { integration: ID.to_owned(), facet: facet.to_owned(), document }
    }

    #[test]
    fn every_change_there_is_is_known() {
        let place = |change: &Change| match change {
            Change::Tenant(_) => 0,
            Change::Integration { .. } => 1,
            Change::Declared { .. } => 2,
            Change::Applied { .. } => 3,
            Change::Ended { .. } => 4,
            Change::Slot(_) => 5,
            Change::SlotEnded { .. } => 6,
            Change::Credential(_) => 7,
            Change::Obligation(_) => 8,
            Change::Kept { .. } => 9,
        };
        let (integration, facet) = (ID.to_owned(), "scopes".to_owned());
        let tenant = Tenant { key: "k".to_owned(), connection: "bao".to_owned(), pinned_at: 1 };
        let all = [
            Change::Tenant(tenant),
            Change::Integration {
                integration: integration.clone(),
                tenant: "k".to_owned(),
                origin: Origin::Adopted,
            },
            declared("scopes", None),
            Change::Applied { integration: integration.clone(), facet, document: None },
            Change::Ended { integration: integration.clone() },
            Change::Slot(Slot::default()),
            Change::SlotEnded { integration, name: "main".to_owned() },
            Change::Credential(Credential::default()),
            Change::Obligation(Obligation::default()),
            Change::Kept { name: "record".to_owned(), document: json!("e30=") },
        ];
        assert_eq!(all.len(), KNOWN.len());
        for change in all {
            let written = serde_json::to_value(&change).expect("it is JSON");
            let name = written.as_object().and_then(|members| members.keys().next());
            assert_eq!(name.map(String::as_str), Some(KNOWN[place(&change)]));
        }
    }

    #[test]
    fn facets_are_set_one_at_a_time() {
        let mut inventory = Inventory::default();
        inventory.apply(declared("settings", Some(json!({"token_ttl": "1h"}))));
        inventory.apply(declared("scopes", Some(json!(["a:read"]))));
        inventory.apply(declared("settings", None));
        let row = &inventory.integrations[ID];
        let document = row.declared.as_ref().expect("a facet is left");
        assert_eq!(document.value, json!({"scopes": ["a:read"]}));
        assert_eq!(row.origin, Origin::Declared);
        inventory.apply(declared("scopes", None));
        assert_eq!(inventory.integrations[ID].declared, None);
    }

    #[test]
    fn the_digest_tells_same_from_other_whatever_the_order() {
        let one = Document::new(json!({"a": 1, "b": null, "c": [2]})).expect("canonical");
        let other = Document::new(json!({"c": [2], "a": 1})).expect("canonical");
        assert_eq!(one.digest, other.digest);
        assert_ne!(one.digest, Document::new(json!({"a": 1})).expect("canonical").digest);
    }

    #[test]
    fn absence_keeps_what_was_last_seen() {
        let mut inventory = Inventory::default();
        let seen = |at, document| Observed {
            integration: ID.to_owned(),
            at,
            document,
            ..Observed::default()
        };
        inventory.observe(seen(1, Some(json!({"scopes": []})))).expect("canonical");
        inventory.observe(seen(2, None)).expect("canonical");
        inventory.observe(seen(3, None)).expect("canonical");
        let row = &inventory.integrations[ID];
        assert_eq!(
            (row.first_seen_at, row.last_seen_at, row.absent_since),
            (Some(1), Some(1), Some(2))
        );
        assert!(row.observed.is_some());
    }
}
