//! Deeds on slots, interrupted wherever that is possible.

mod begun;
mod books;
mod clocks;
mod crash;
mod custody;
mod decided;
mod decommission;
mod drift;
mod drill;
mod duty;
mod expiry;
mod gaps;
mod hands;
mod holds;
mod keep;
mod list_lag;
mod lost;
mod old_in_use;
mod race;
mod reprove;
mod soft_cut;
mod stopped;
mod tick;
mod undelivered;
mod unfenced;
mod world;
