//! The connector against a real Strapi. Its tests belong to the second ring: `cargo xtask test second`.

mod conformance;
mod life;
mod world;
