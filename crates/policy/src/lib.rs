//! The judgments: pure functions of what is declared, what is observed, and the time.
//!
//! Nothing here waits, reads or writes; the time is a parameter. A judgment can be replayed from
//! the ledger.

#![warn(clippy::disallowed_methods)]

pub mod change;
pub mod crosswalk;
pub mod duty;
pub mod elevation;
pub mod environment;
pub mod errors;
pub mod findings;
pub mod overlap;
pub mod owner;
pub mod posture;
pub mod proof;
pub mod purpose;
pub mod reach;
pub mod reason;
pub mod retry;
pub mod rotation;
pub mod rules;
pub mod schedule;
pub mod scopes;
pub mod settings;
pub mod signal;
pub mod standing;
pub mod status;
pub mod task;
pub mod telling;
pub mod usage;
pub mod waiver;

pub use rules::Rules;
pub use schedule::Schedule;
