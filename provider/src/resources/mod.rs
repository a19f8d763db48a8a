//! One file or folder a resource, and what several share.

pub(crate) mod applied;
pub(crate) mod credential;
pub(crate) mod identity;
pub(crate) mod integration;
pub(crate) mod moved;
pub(crate) mod owner;
pub(crate) mod platform_objects;
pub(crate) mod references;
mod replacement;
pub(crate) mod rotation_schedule;
pub(crate) mod scope;
