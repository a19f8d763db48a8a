//! One file a command.

pub(crate) mod ack;
pub(crate) mod adopt;
pub(crate) mod completion;
pub(crate) mod decommission;
pub(crate) mod disable;
pub(crate) mod doctor;
pub(crate) mod drift;
pub(crate) mod drill;
pub(crate) mod evidence;
pub(crate) mod explain;
pub(crate) mod init;
pub(crate) mod leaks;
pub(crate) mod ledger;
pub(crate) mod lift;
pub(crate) mod posture;
pub(crate) mod quarantine;
pub(crate) mod reach;
pub(crate) mod reconcile;
pub(crate) mod recover;
pub(crate) mod revoke;
pub(crate) mod rotate;
pub(crate) mod scan;
pub(crate) mod serve;
pub(crate) mod signal;
pub(crate) mod task;
pub(crate) mod usage;
