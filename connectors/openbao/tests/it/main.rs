//! The connector against a real OpenBao.

mod life;
mod server;
mod wire;
mod world;
