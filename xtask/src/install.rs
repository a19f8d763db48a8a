//! `cargo xtask install`: our two programs where cores and people find them.

use std::path::PathBuf;

use clap::Args;
use xtask::{
    mirror,
    shell::{Result, programs},
};

/// Build both programs; put the provider into a filesystem mirror and nhi into a folder of programs.
#[derive(Debug, Args)]
pub(crate) struct Install {
    /// The mirror's folder; else the user's own plugin folder.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,

    /// Where nhi goes; else ~/.local/bin.
    #[arg(long, value_name = "DIR")]
    bin: Option<PathBuf>,
}

impl Install {
    pub(crate) fn run(self) -> Result<()> {
        let folder = at_home(self.dir, "--dir", ".local/share/terraform/plugins")?;
        let bin = at_home(self.bin, "--bin", ".local/bin")?;
        println!("Building both programs for release (minutes the first time) …");
        let programs = programs(true)?;
        let provider = programs.get("terraform-provider-nhi")?;
        let folder = mirror::fill(&folder, &provider.path, &provider.version)?;
        let nhi = bin.join("nhi");
        mirror::put(&programs.get("nhi")?.path, &nhi)?;
        println!("Installed {}: {}", provider.version, nhi.display());
        let path = std::env::var_os("PATH").unwrap_or_default();
        if !std::env::split_paths(&path).any(|one| one == bin) {
            println!("{} is not on the PATH: add it.", bin.display());
        }
        println!(
            "Put this into ~/.terraformrc (or ~/.tofurc), then run init:\n\n{}",
            mirror::cli_configuration(&folder)
        );
        Ok(())
    }
}

fn at_home(given: Option<PathBuf>, flag: &str, usual: &str) -> Result<PathBuf> {
    match (given, std::env::home_dir()) {
        (Some(given), _) => Ok(given),
        (None, Some(home)) => Ok(home.join(usual)),
        (None, None) => Err(format!("there is no home folder here: pass {flag}")),
    }
}
