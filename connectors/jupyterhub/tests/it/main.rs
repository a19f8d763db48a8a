//! The connector against a real JupyterHub.

mod conformance;
mod life;
mod world;
