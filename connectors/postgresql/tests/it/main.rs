//! The connector against a real server.

mod conformance;
mod life;
mod reach;
mod world;
