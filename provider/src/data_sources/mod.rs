//! One file a data source.

pub(crate) mod integrations;
