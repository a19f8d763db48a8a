//! What Git keeps of a folder: every line that any commit brought, whatever became of it since.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, Stdio},
};

use operations::Problem;

use super::{Looked, Looking, Place, Wanted, candidates};

/// Longer lines are looked at in parts.
const LONGEST: u64 = 4 * 1024 * 1024;

fn no_history(root: &Path, why: &str) -> Problem {
    Problem::new("E-LEAKS-HISTORY", "The history cannot be looked at")
        .detail(format!("{}: {why}", root.display()))
        .next("name a folder that is a Git repository, with git installed; or leave --history out")
}

/// Git, told to run nothing that the repository names. A clone in part would fetch what it lacks, by
/// whatever command it says itself: it reaches nothing.
fn git(root: &Path) -> Command {
    let mut git = Command::new("git");
    for option in ["core.fsmonitor=false", "core.hooksPath=/dev/null", "log.showSignature=false"] {
        git.args(["-c", option]);
    }
    git.env("GIT_ALLOW_PROTOCOL", "none").env("GIT_NO_LAZY_FETCH", "1");
    git.arg("-C").arg(root).args(["--no-pager", "--no-optional-locks"]);
    git.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    git
}

/// Whether commits are left out of what is there.
fn is_shallow(root: &Path) -> bool {
    let said = git(root).args(["rev-parse", "--is-shallow-repository"]).output();
    said.is_ok_and(|said| said.stdout.trim_ascii() == b"true")
}

/// Looks at all lines that were ever added in any branch.
///
/// # Errors
///
/// There is no git, or no repository there.
pub(crate) fn look(root: &Path, wanted: &Wanted<'_>) -> Result<Looked, Problem> {
    let mut git = git(root);
    git.args([
        "log",
        "--all",
        "--patch",
        "--unified=0",
        "--diff-merges=first-parent",
        "--no-renames",
        "--no-color",
        "--no-ext-diff",
        "--no-textconv",
        "--no-show-signature",
        "--format=nhi-commit %H",
    ]);
    let mut child = git.spawn().map_err(|error| no_history(root, &format!("git: {error}.")))?;
    let mut looked = Looked::default();
    if let Some(lines) = child.stdout.take() {
        read(BufReader::new(lines), wanted, &mut looked)
            .map_err(|error| no_history(root, &format!("git: {error}.")))?;
    }
    let ended = child.wait_with_output().map_err(|error| no_history(root, &error.to_string()))?;
    if !ended.status.success() {
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        let first = said.lines().next().unwrap_or("git did not say why");
        return Err(no_history(root, first));
    }
    if is_shallow(root) {
        let why = "only its latest commits are there: git fetch --unshallow brings the others";
        looked.unread.push((format!("history of {}", root.display()), why.to_owned()));
    }
    Ok(looked.settle())
}

fn read(
    mut lines: impl std::io::BufRead,
    wanted: &Wanted<'_>,
    looked: &mut Looked,
) -> std::io::Result<()> {
    let mut looking = Looking::new(wanted);
    let (mut commit, mut file, mut at, mut within) = (String::new(), String::new(), 0u64, false);
    // Keys of several lines are put together again: those that one commit adds to one place.
    let mut block: (u64, Vec<u8>) = (0, Vec::new());
    let mut line = Vec::new();
    loop {
        line.clear();
        let more = std::io::Read::take(&mut lines, LONGEST).read_until(b'\n', &mut line)?;
        let text = line.strip_suffix(b"\n").unwrap_or(&line);
        let added = within.then(|| text.strip_prefix(b"+")).flatten();
        if added.is_none() && !block.1.is_empty() {
            let (from, text) = std::mem::take(&mut block);
            candidates::of_blocks(&text, |line, piece| {
                if let Some(which) = looking.known(piece) {
                    let line = Some(from + line as u64 - 1);
                    let place = Place { file: file.clone(), line, commit: Some(commit.clone()) };
                    looked.found.entry(which).or_default().push(place);
                }
            });
        }
        if more == 0 {
            break;
        }
        looked.bytes += more as u64;
        if let Some(added) = added {
            candidates::of_line(added, &mut |piece| {
                if let Some(which) = looking.known(piece) {
                    let commit = Some(commit.clone());
                    let place = Place { file: file.clone(), line: Some(at), commit };
                    looked.found.entry(which).or_default().push(place);
                }
            });
            if block.1.is_empty() {
                block.0 = at;
            }
            block.1.extend_from_slice(added);
            block.1.push(b'\n');
            at += 1;
            continue;
        }
        if within && text.starts_with(b"-") {
            continue;
        }
        if let Some(hunk) = text.strip_prefix(b"@@ ") {
            // @@ -a,b +c,d @@
            let hunk = String::from_utf8_lossy(hunk);
            let begun = hunk.split(" +").nth(1).and_then(|rest| rest.split([',', ' ']).next());
            at = begun.and_then(|number| number.parse().ok()).unwrap_or(0);
            within = true;
        } else if let Some(hash) = text.strip_prefix(b"nhi-commit ") {
            (commit, within) = (String::from_utf8_lossy(hash).into_owned(), false);
            looked.files += 1;
        } else if let Some(name) = text.strip_prefix(b"+++ ") {
            let name = String::from_utf8_lossy(name);
            file = name.strip_prefix("b/").unwrap_or(&name).to_owned();
        } else if text.starts_with(b"diff --git ") {
            within = false;
        } else if text.starts_with(b"Binary files ") {
            looked.skip("binary files in the history", &file);
        }
    }
    looked.pieces += looking.pieces;
    Ok(())
}

#[cfg(test)]
mod tests {
    use domain::{RealmKey, Secret};

    use super::*;

    #[test]
    fn a_history_that_is_there_in_part_is_not_told_to_be_clean() {
        let key = RealmKey::new(&Secret::new("k".repeat(40))).unwrap();
        let wanted = Wanted::new(&key, []);
        let folder = tempfile::tempdir().unwrap();
        let run = |words: &[&str]| {
            let mut git = Command::new("git");
            git.current_dir(folder.path()).args([
                "-c",
                "user.name=x",
                "-c",
                "user.email=x@example.org",
            ]);
            let said = git.args(words).output().unwrap();
            assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
        };
        run(&["init", "-q", "whole"]);
        for message in ["one", "two"] {
            run(&["-C", "whole", "commit", "-q", "--allow-empty", "-m", message]);
        }
        let from = format!("file://{}/whole", folder.path().display());
        run(&["clone", "-q", "--depth", "1", &from, "part"]);
        let looked = |name: &str| look(&folder.path().join(name), &wanted).unwrap();
        let (whole, part) = (looked("whole"), looked("part"));
        assert_eq!((whole.files, whole.unread.len()), (2, 0));
        assert_eq!((part.files, part.unread.len()), (1, 1));
        assert!(part.unread[0].1.contains("--unshallow"));
    }

    #[test]
    fn a_line_that_any_commit_brought_is_told_with_its_commit_and_its_line() {
        const SECRET: &str = "0f6d0c5c-6a8e-4a0f-9f2e-3f0e7a3f2b11";
        const KEY: &str = "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----";
        let key = RealmKey::new(&Secret::new("k".repeat(40))).unwrap();
        let prints = [SECRET, KEY].map(|text| key.fingerprint(&Secret::new(text)).0);
        let wanted = Wanted::new(&key, prints.iter().map(String::as_str));
        let pem = KEY.replace('\n', "\n+");
        let said = format!(
            "nhi-commit aaaa\n\ndiff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -3,1 +2,0 @@\n-{SECRET}\n\
             nhi-commit bbbb\n\ndiff --git a/x b/x\n--- /dev/null\n+++ b/x\n@@ -0,0 +1,6 @@\n+one\n+++ two\n\
             +id: {SECRET}\n+{pem}\ndiff --git a/i b/i\nBinary files a/i and b/i differ\n"
        );
        let mut looked = Looked::default();
        read(said.as_bytes(), &wanted, &mut looked).unwrap();
        let looked = looked.settle();
        let places =
            |which| looked.found[&which].iter().map(ToString::to_string).collect::<Vec<_>>();
        // What a commit takes away was brought by another.
        assert_eq!(places(0), ["x:3 (commit bbbb)"]);
        assert_eq!(places(1), ["x:4 (commit bbbb)"]);
        assert_eq!(looked.files, 2);
        assert_eq!(looked.skipped.len(), 1);
    }
}
