//! What one connection saw at one time, with its gaps.

use std::{collections::BTreeSet, fmt};

use jiff::Timestamp;

use crate::{GrantedScope, Record, Settings};

/// When a credential was last used, and what that is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LastUsed {
    /// The platform does not say. Unknown is never "unused".
    Unknown,
    /// At this time, by the platform's own account.
    At(Timestamp),
}

/// One credential as its platform lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedCredential {
    /// The vendor's id of it: an accessor, a key id.
    pub key_id: String,
    /// The credential type's name, such as `openbao_secret_id`.
    pub credential_type: String,
    /// The text at the place where a marker of ours would stand; not yet checked.
    pub marker: Option<String>,
    /// When the vendor issued it.
    pub issued_at: Option<Timestamp>,
    /// When it ends by itself.
    pub expires_at: Option<Timestamp>,
    /// When it was last used.
    pub last_used: LastUsed,
    /// Whether it authenticates, as far as a listing tells: not disabled, not expired.
    pub live: bool,
    /// It is switched off, and whoever may switch it on again: it does not authenticate, and has not
    /// ended.
    pub disabled: bool,
    /// Settings fixed at issue.
    pub settings: Settings,
}

impl ObservedCredential {
    /// It has not ended: it authenticates, or is switched off and may be switched on again.
    pub fn stands(&self) -> bool {
        self.live || self.disabled
    }
}

/// One integration as its platform shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedIntegration {
    /// The platform object's name, such as `openbao_approle`.
    pub kind: String,
    /// The vendor's key: what the id ends in.
    pub key: String,
    /// This incarnation: changes when somebody deletes and recreates the object.
    pub vendor_id: String,
    /// The name people know it by.
    pub name: String,
    /// Settings in the kind's own fields, canonical.
    pub settings: Settings,
    /// Our governance fields, where the platform keeps them and they are readable.
    pub record: Option<Record>,
    /// The addresses that the platform shows as its contacts, where those are not its owners' by the
    /// record.
    pub contacts: Option<BTreeSet<String>>,
    /// What it may do now, canonical.
    pub scopes: BTreeSet<GrantedScope>,
    /// Whether the platform's own switch is on.
    pub enabled: bool,
    /// Parked: it exists and has no way to get a token or no power.
    pub parked: bool,
    /// Made by the vendor, not by anybody here.
    pub builtin: bool,
    /// Its credentials; `None` where they were not asked for or cannot be listed.
    pub credentials: Option<Vec<ObservedCredential>>,
    /// Parts of this object that could not be read.
    pub gaps: Vec<Gap>,
}

/// How far a gap reaches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GapExtent {
    /// A page, or the listing from there on.
    Page(String),
    /// One object that is listed and could not be read.
    Object(String),
    /// One facet (`scopes`, `credentials`, …) of one object.
    Facet(String, &'static str),
    /// The platform has no listing at all.
    Unlistable,
    /// Nothing could be asked.
    Connection,
}

impl fmt::Display for GapExtent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GapExtent::Page(from) => write!(f, "the listing from {from} on"),
            GapExtent::Object(object) => f.write_str(object),
            GapExtent::Facet(object, facet) => write!(f, "{facet} of {object}"),
            GapExtent::Unlistable => f.write_str("what there is (the platform has no listing)"),
            GapExtent::Connection => f.write_str("anything"),
        }
    }
}

/// Something that a platform would not show. Absence within a gap proves nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// How far it reaches.
    pub extent: GapExtent,
    /// Why, in one line, without secrets.
    pub cause: String,
}

/// Everything that one connection saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// The tenant's own id: cluster, organisation, issuer.
    pub tenant: String,
    /// When the first request was sent.
    pub requested_at: Timestamp,
    /// What was seen, sorted by kind and key.
    pub integrations: Vec<ObservedIntegration>,
    /// What was not.
    pub gaps: Vec<Gap>,
}

impl Observation {
    /// Whether everything that exists was seen, so that absence means something.
    pub fn is_complete(&self) -> bool {
        self.gaps.is_empty() && self.integrations.iter().all(|one| one.gaps.is_empty())
    }
}
