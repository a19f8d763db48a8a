//! The policy that a command is about, with the files that it names.

use std::path::{Path, PathBuf};

use operations::Problem;
use wiring::PolicyFiles;

/// The policy of a file, else that which nhi.hcl names.
///
/// # Errors
///
/// There is none, or it is not right: with line and column of what is wrong.
pub(super) fn read(file: Option<&Path>, config: Option<&str>) -> Result<PolicyFiles, Problem> {
    PolicyFiles::read(&place(file, config)?)
}

/// Where the policy is.
///
/// # Errors
///
/// Nothing says so.
fn place(file: Option<&Path>, config: Option<&str>) -> Result<PathBuf, Problem> {
    if let Some(file) = file {
        return Ok(file.to_owned());
    }
    let loaded = wiring::load(config)?;
    match &loaded.config.policy {
        Some(policy) => Ok(loaded.folder.join(policy)),
        None => Err(Problem::new("E-POLICY", "There is no policy")
            .detail("nhi.hcl names none, so that every threshold has its default.")
            .next(
                "name one: policy = { file = \"policy.hcl\" }; or give the file to this command",
            )),
    }
}
