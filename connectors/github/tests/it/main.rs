//! The connector against a GitHub of our own, which keeps what it is told; and the same through a proxy
//! that holds both sides to GitHub's published contract (second ring: `cargo xtask test second`).

mod conformance;
mod contract;
mod fake;
mod http;
mod life;
mod world;
