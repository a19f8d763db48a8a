//! One file a function.

pub(crate) mod next_rotation;
pub(crate) mod scope_diff;
