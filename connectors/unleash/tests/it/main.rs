//! The connector against a real Unleash. Its tests belong to the second ring: `cargo xtask test second`.

mod conformance;
mod life;
mod world;
