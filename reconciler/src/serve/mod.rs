//! What a long-running `nhi` is made of, beside its ticks.

pub(crate) mod door;
pub(crate) mod health;
pub(crate) mod hook;
pub(crate) mod letters;
pub(crate) mod logs;
pub(crate) mod mail;
pub(crate) mod notify;
pub(crate) mod share;
