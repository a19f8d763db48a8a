//! The connector against a real OpenBao.

mod access;
mod conformance;
mod direction;
mod drift;
mod life;
mod reach;
mod server;
mod sink;
mod wire;
mod world;
