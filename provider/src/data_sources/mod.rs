//! One file a data source.

pub(crate) mod findings;
pub(crate) mod integrations;
