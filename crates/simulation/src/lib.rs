//! Rotation, searched.
//!
//! [`model`] walks every order of events in a world that is small enough, and asks the product's own
//! `next_step` what to do in each. [`story`] lets the product's own deeds run, unmodified, in a world
//! whose every event is chosen by a sequence of numbers; [`ports`] is what they see of it. [`months`] lets
//! whole ticks run for months.

pub mod choices;
pub mod model;
pub mod months;
pub mod ports;
pub mod story;
