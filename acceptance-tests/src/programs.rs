//! Our two programs, built if they are not fresh.

use std::{path::PathBuf, sync::OnceLock};

use crate::{Result, tools};

/// Where the two programs are.
#[derive(Debug, Clone)]
pub struct Programs {
    /// `terraform-provider-nhi`.
    pub provider: PathBuf,
    /// `nhi`.
    pub nhi: PathBuf,
}

/// Builds both, once a process.
///
/// # Errors
///
/// They do not build.
pub fn built() -> Result<Programs> {
    static BUILT: OnceLock<Result<Programs>> = OnceLock::new();
    BUILT
        .get_or_init(|| {
            let folder = tools::build_folder()?;
            let release = folder.file_name().is_some_and(|name| name == "release");
            let mut cargo = tools::cargo();
            cargo
                .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
                .args(["build", "--quiet", "-p", "provider", "-p", "nhi"]);
            // As `cargo xtask test` does, so that nothing is built again.
            match release {
                true => cargo.arg("--release"),
                false => cargo.args(["-p", "same-features"]),
            };
            if let Some(target) = folder.parent() {
                cargo.arg("--target-dir").arg(target);
            }
            tools::run(&mut cargo)?;
            Ok(Programs {
                provider: folder.join("terraform-provider-nhi"),
                nhi: folder.join("nhi"),
            })
        })
        .clone()
}
