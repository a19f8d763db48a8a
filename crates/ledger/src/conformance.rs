//! The suite that every store passes.
//!
//! A store's test gives a [`Store`] and calls [`run`]; a failure panics with the sentence that does
//! not hold.
