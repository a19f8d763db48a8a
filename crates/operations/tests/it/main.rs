//! Deeds on slots, interrupted wherever that is possible.

mod crash;
mod lost;
mod race;
mod world;
