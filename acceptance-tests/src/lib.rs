//! Whole stories: the real terraform, real servers, our two programs.
//!
//! The harness is a library, so that the demonstration tells the very story that the tests run.

pub mod core;
pub mod curl;
pub mod http;
pub mod line;
pub mod mirror;
pub mod programs;
pub mod secrets;
pub mod servers;
pub mod story;
pub mod tools;
pub mod world;

pub use core::{Core, Ran};
pub use world::World;

/// What went wrong, in one or a few lines.
pub type Result<T> = std::result::Result<T, String>;
