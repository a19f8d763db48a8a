//! The words: types only, no I/O, no clock.
//!
//! Every other crate speaks in these. A type here is neither stored nor sent as it stands: each edge
//! (Terraform model, ledger row, vendor JSON) has its own shape and converts by hand, so a renamed
//! field breaks nothing that was stored.

#![warn(clippy::disallowed_methods)]

pub mod field;
pub mod id;
pub mod itself;
pub mod marker;
pub mod now;
pub mod observation;
pub mod path;
pub mod realm;
pub mod record;
pub mod scope;
pub mod secret;
pub mod settings;
pub mod span;
pub mod ties;

pub use id::{CredentialId, IntegrationId, OwnerId, ScheduleId, ScopeId};
pub use marker::Marker;
pub use now::Now;
pub use observation::{
    Gap, GapExtent, LastUsed, Observation, ObservedCredential, ObservedIntegration,
};
pub use realm::{Fingerprint, Realm, RealmKey};
pub use record::{Adoption, OwnerRef, Record};
pub use scope::{Action, Direction, GrantedScope, Scope};
pub use secret::Secret;
pub use settings::{Setting, Settings};
pub use span::Span;
pub use ties::Ties;
