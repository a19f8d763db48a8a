//! Real servers, fetched by the ordinary package clients and run on loopback. One file a server.

pub mod browser;
pub mod contract;
pub mod jupyterhub;
pub mod linters;
pub mod mail;
pub mod moto;
pub mod oidc;
pub mod openbao;
pub mod pgbouncer;
pub mod postgresql;
pub mod running;
pub mod scim;
pub mod strapi;
pub mod unleash;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

pub use contract::Contract;
pub use jupyterhub::JupyterHub;
pub use mail::Mail;
pub use moto::Moto;
pub use oidc::Oidc;
pub use openbao::OpenBao;
pub use pgbouncer::PgBouncer;
pub use postgresql::PostgreSql;
pub use scim::Scim;
pub use strapi::Strapi;
pub use unleash::Unleash;

use crate::{Result, tools};

/// The folder of this name among the servers, fetched if `proof` is not in it. Fetched beside it and
/// moved in place whole: two tests may come at once, in one process or in two, and one be stopped.
fn fetched(name: &str, proof: &str, fetch: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _held = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let servers = tools::server_folder()?;
    let there = servers.join(name);
    let is_there = || there.join(proof).exists();
    if is_there() {
        return Ok(there);
    }
    let failed = |error: std::io::Error| format!("{}: {error}", servers.display());
    fs::create_dir_all(&servers).map_err(failed)?;
    let part = tempfile::Builder::new().prefix("part-").tempdir_in(&servers).map_err(failed)?;
    let whole = part.path().join(name);
    fs::create_dir(&whole).map_err(failed)?;
    fetch(&whole)?;
    match fs::rename(&whole, &there) {
        // Another process was faster.
        Err(_) if is_there() => Ok(there),
        Err(error) => Err(format!("{}: {error}; remove it", there.display())),
        Ok(()) => Ok(there),
    }
}
