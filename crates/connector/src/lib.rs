//! The port to platforms: what a connector promises, what it gets for free, and the suite that
//! checks it.
//!
//! A [`Platform`] is what is known offline: kinds, settings, scope grammar, profiles. A
//! [`Connector`] is one platform seen through one connection. Words are ours; each connector's
//! `api.rs` holds the vendor's.

pub mod clock;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod error;
#[cfg(feature = "fake")]
pub mod fake;
#[cfg(feature = "fault-proxy")]
pub mod fault_proxy;
pub mod marked;
pub mod platform;
pub mod port;
pub mod profile;
pub mod transport;
mod turns;

pub use clock::{Clock, Clocks, Said, SystemClock};
pub use domain::field::{Absent, Default, Field, FieldType, Grows, OnChange};
pub use error::{Error, Outcome, Refusal, Result};
pub use platform::{
    Capabilities, CredentialType, Kind, LogLine, LogUse, MainField, MarkerPlace, Obstacle,
    OnlyShown, OwnCredential, Platform, ScopeError, Setup, Usual,
};
pub use port::{
    Access, AccessRequest, Change, Children, Connection, Connector, CredentialListing, Directory,
    Ended, Freshness, IssueRequest, Issued, Member, Mints, NewIntegration, ObjectRef, Ourselves,
    Probe, Promise, Want,
};
pub use profile::{Effect, Marks, Origin, ProbeBudget, Profile, VerifyCost};
pub use turns::Turns;
