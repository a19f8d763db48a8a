//! From what a connection shows to a configuration that takes it over as it is.

pub(crate) mod form;
pub(crate) mod known;
pub(crate) mod place;
