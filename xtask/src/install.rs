//! `cargo xtask install`: a filesystem mirror, so that `terraform init` finds what was built here.

use std::{fs, path::PathBuf};

use clap::Args;

use crate::shell::{Result, cargo, root, run};

/// Build the provider and put it into a filesystem mirror, for both registries' host names.
#[derive(Debug, Args)]
pub(crate) struct Install {
    /// The mirror's folder; else the user's own plugin folder.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// The host names under which cores look for it.
const HOSTS: [&str; 2] = ["registry.terraform.io", "registry.opentofu.org"];
const VERSION: &str = provider::VERSION;

impl Install {
    pub(crate) fn run(self) -> Result<()> {
        let folder = match self.dir {
            Some(folder) => folder,
            None => PathBuf::from(std::env::var_os("HOME").ok_or("HOME is not set: pass --dir")?)
                .join(".local/share/terraform/plugins"),
        };
        println!("Building the provider for release (about 4 minutes the first time) …");
        run(&mut cargo(&["build", "--release", "-p", "provider"]))?;
        let built = root().join("target/release/terraform-provider-nhi");
        let system = format!("{}_{}", os(), arch());
        for host in HOSTS {
            let place = folder.join(host).join("open-nhi/nhi").join(VERSION).join(&system);
            fs::create_dir_all(&place).map_err(|error| format!("{}: {error}", place.display()))?;
            let file = place.join(format!("terraform-provider-nhi_v{VERSION}"));
            fs::copy(&built, &file).map_err(|error| format!("{}: {error}", file.display()))?;
        }
        let folder = fs::canonicalize(&folder).map_err(|error| error.to_string())?;
        println!(
            "Installed {VERSION}. Put this into ~/.terraformrc (or ~/.tofurc), then run init:\n\n\
             provider_installation {{\n  filesystem_mirror {{\n    path    = \"{}\"\n    include = \
             [\"registry.terraform.io/open-nhi/nhi\", \"registry.opentofu.org/open-nhi/nhi\"]\n  }}\n  \
             direct {{\n    exclude = [\"registry.terraform.io/open-nhi/nhi\", \
             \"registry.opentofu.org/open-nhi/nhi\"]\n  }}\n}}",
            folder.display()
        );
        Ok(())
    }
}

fn os() -> &'static str {
    match std::env::consts::OS {
        "macos" => "darwin",
        other => other,
    }
}

fn arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
