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
        let another = mirror::holds_another(&folder, &provider.path, &provider.version);
        let folder = mirror::fill(&folder, &provider.path, &provider.version)?;
        let nhi = bin.join("nhi");
        mirror::put(&programs.get("nhi")?.path, &nhi)?;
        println!("Installed {}: {}", provider.version, nhi.display());
        let path = std::env::var_os("PATH").unwrap_or_default();
        if !std::env::split_paths(&path).any(|one| one == bin) {
            println!(
                "{0} is not on the PATH; put this into your shell's profile:\n\n  export PATH={0:?}:\"$PATH\"\n",
                bin.display()
            );
        }
        if another {
            println!(
                "Another build of {} was there. Where it was used, init refuses this one until that \
                 folder's .terraform.lock.hcl is removed.",
                provider.version
            );
        }
        println!(
            "Put this into ~/.terraformrc (for OpenTofu ~/.tofurc), then run init in a folder with your \
             configuration:\n\n{}",
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
