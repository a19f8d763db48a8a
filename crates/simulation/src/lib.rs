//! Rotation, searched.
//!
//! [`model`] walks every order of events in a world that is small enough, and asks the product's own
//! `next_step` what to do in each.

pub mod model;
