//! The SDK from outside: its examples as programs, driven by the small core and by a real one.
//!
//! `cargo test -p tfplugin` builds the examples too; where only this test is asked for, they are
//! built by the first test that needs them.

mod laws;
mod life;
mod parts;
mod procedures;
mod program;
mod real;
mod serving;
