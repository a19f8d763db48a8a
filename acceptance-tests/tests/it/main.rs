//! Whole stories with the real core on real servers.

mod demo;
mod drift;
mod hostile;
mod import;
mod life;
