//! Looking for secrets where none may be.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::Result;

/// Every file below a folder that holds one of the secrets, in clear or in base64.
///
/// # Errors
///
/// A file cannot be read.
pub fn found_in(folder: &Path, secrets: &[String]) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    let needles: Vec<Vec<u8>> =
        secrets.iter().filter(|one| one.len() >= 12).flat_map(|one| needles(one)).collect();
    while let Some(folder) = folders.pop() {
        let entries =
            fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        for entry in entries.flatten() {
            let path = entry.path();
            if path.is_dir() && !path.is_symlink() {
                folders.push(path);
            } else if path.is_file() && fs::metadata(&path).is_ok_and(|data| data.len() < 64 << 20)
            {
                let bytes =
                    fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
                if needles.iter().any(|needle| holds(&bytes, needle)) {
                    found.push(path);
                }
            }
        }
    }
    Ok(found)
}

/// Whether a text holds one of the secrets.
pub fn told(text: &str, secrets: &[String]) -> bool {
    secrets
        .iter()
        .filter(|one| one.len() >= 12)
        .flat_map(|one| needles(one))
        .any(|needle| holds(text.as_bytes(), &needle))
}

fn holds(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|window| window == needle)
}

/// The secret itself, and its base64 at each of the three positions that it may stand in.
fn needles(secret: &str) -> Vec<Vec<u8>> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut all = vec![secret.as_bytes().to_vec()];
    for shift in 0..3 {
        let bytes = &secret.as_bytes()[shift..];
        let whole = bytes.chunks_exact(3).flat_map(|three| {
            let bits = u32::from(three[0]) << 16 | u32::from(three[1]) << 8 | u32::from(three[2]);
            [18, 12, 6, 0].map(|by| ALPHABET[(bits >> by & 63) as usize])
        });
        all.push(whole.collect());
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_found_in_clear_and_in_base64() {
        let secret = vec!["zwopob6kwytihhswt6nz".to_owned()];
        assert!(told("x zwopob6kwytihhswt6nz y", &secret));
        // base64 of "azwopob6kwytihhswt6nz"
        assert!(told("YXp3b3BvYjZrd3l0aWhoc3d0Nm56", &secret));
        assert!(!told("nothing here", &secret));
    }
}
