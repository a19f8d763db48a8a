//! The connector against a real OpenBao.

mod life;
mod server;
mod sink;
mod wire;
mod world;
