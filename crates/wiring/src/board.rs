//! Who reviews changes: the files beside the policy that it names.

use std::{fs, io, path::Path};

use approval::{Folder, Revoked, Signers};
use operations::{Problem, review::ReviewBoard};
use policy::change::review::Review;

use crate::discover;

/// The longest list of keys that were taken back, in bytes.
const LONGEST: u64 = 16 << 20;

/// Reads what the policy names.
///
/// # Errors
///
/// A file cannot be read, or is not right.
pub(crate) fn read(policy: &Path, terms: Review, digest: String) -> Result<ReviewBoard, Problem> {
    let folder = policy.parent().unwrap_or(Path::new("."));
    let wrong = |what: String| {
        Problem::new("E-POLICY", "The policy cannot be used").detail(what).next(
            "correct it, or bring it back as it was: nobody can tell otherwise whose word counts",
        )
    };
    let signers = folder.join(&terms.signers);
    let text =
        discover::read(&signers).map_err(|error| wrong(format!("review.signers: {error}.")))?;
    let signers =
        Signers::parse(&text).map_err(|error| wrong(format!("{}: {error}.", signers.display())))?;
    let revoked = match &terms.revoked {
        None => Revoked::default(),
        Some(file) => {
            let path = folder.join(file);
            let error = |why: &dyn std::fmt::Display| wrong(format!("{}: {why}.", path.display()));
            let bytes = bytes(&path).map_err(|why| error(&why))?;
            Revoked::parse(&bytes).map_err(|why| error(&why))?
        }
    };
    let store = Folder(folder.join(&terms.approvals));
    Ok(ReviewBoard::new(terms, digest, signers, revoked, Box::new(store)))
}

fn bytes(path: &Path) -> io::Result<Vec<u8>> {
    if fs::metadata(path)?.len() > LONGEST {
        return Err(io::Error::other(format!("it is longer than {LONGEST} bytes")));
    }
    fs::read(path)
}
