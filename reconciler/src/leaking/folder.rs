//! The files of a folder, several at once. A symbolic link is not followed, and so nothing outside of the
//! folder is read.

use std::{
    fs::{self, File},
    io::Read as _,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError, mpsc},
    thread,
};

use super::{Looked, Looking, Place, Wanted};

/// Larger files are left out, and told.
pub(crate) const LARGEST: u64 = 32 * 1024 * 1024;
/// As much of a file says whether it is text.
const HEAD: usize = 8 * 1024;
/// How many files wait to be read.
const IN_LINE: usize = 256;
/// Folders within folders beyond this are none that people make.
const DEEPEST: usize = 128;

const BINARY: &str = "binary files";
const LARGE: &str = "files of more than 32 MiB";
const LINKS: &str = "symbolic links";
const SPECIAL: &str = "files that are no files";
const GIT: &str = "folders that Git keeps its history in (look at it with --history)";
const OURS: &str = "places of this installation that secrets are delivered to";
const DEEP: &str = "folders that lie too deep";

/// Looks at all files below a folder, or at one file. `ours`: folders in which secrets are as they should
/// be.
pub(crate) fn look(root: &Path, wanted: &Wanted<'_>, ours: &[PathBuf]) -> Looked {
    let workers = thread::available_parallelism().map_or(2, |count| count.get().clamp(1, 8));
    let (send, receive) = mpsc::sync_channel::<PathBuf>(IN_LINE);
    let receive = Mutex::new(receive);
    let mut all = Looked::default();
    thread::scope(|scope| {
        let readers: Vec<_> = (0..workers)
            .map(|_| {
                scope.spawn(|| {
                    let (mut looked, mut looking) = (Looked::default(), Looking::new(wanted));
                    loop {
                        let next = receive.lock().unwrap_or_else(PoisonError::into_inner).recv();
                        let Ok(path) = next else { break };
                        file(root, &path, &mut looking, &mut looked);
                    }
                    looked.pieces = looking.pieces;
                    looked
                })
            })
            .collect();
        walk(root, ours, &mut all, &|path| drop(send.send(path)));
        drop(send);
        for reader in readers {
            match reader.join() {
                Ok(looked) => all.take(looked),
                Err(_) => {
                    all.unread.push((root.display().to_string(), "a reader broke off".into()))
                }
            }
        }
    });
    all.settle()
}

/// A path as it is told: below what was named.
fn shown(root: &Path, path: &Path) -> String {
    match path.strip_prefix(root) {
        Ok(below) if !below.as_os_str().is_empty() => below.display().to_string(),
        _ => path.display().to_string(),
    }
}

fn walk(root: &Path, ours: &[PathBuf], all: &mut Looked, give: &impl Fn(PathBuf)) {
    let mut folders = vec![(root.to_owned(), 0)];
    while let Some((path, depth)) = folders.pop() {
        let about = match fs::symlink_metadata(&path) {
            Ok(about) => about,
            Err(error) => {
                all.unread.push((shown(root, &path), error.to_string()));
                continue;
            }
        };
        let kind = about.file_type();
        // What a person names is meant, wherever it leads.
        if kind.is_symlink() && depth > 0 {
            all.skip(LINKS, &shown(root, &path));
        } else if kind.is_dir() || (kind.is_symlink() && path.is_dir()) {
            if path.file_name().is_some_and(|name| name == ".git") && depth > 0 {
                all.skip(GIT, &shown(root, &path));
                continue;
            }
            let canonical = path.canonicalize();
            if canonical.is_ok_and(|path| ours.contains(&path)) {
                all.skip(OURS, &shown(root, &path));
                continue;
            }
            if depth >= DEEPEST {
                all.skip(DEEP, &shown(root, &path));
                continue;
            }
            match fs::read_dir(&path) {
                Ok(within) => {
                    for entry in within {
                        match entry {
                            Ok(entry) => folders.push((entry.path(), depth + 1)),
                            Err(error) => all.unread.push((shown(root, &path), error.to_string())),
                        }
                    }
                }
                Err(error) => all.unread.push((shown(root, &path), error.to_string())),
            }
        } else if !(kind.is_file() || kind.is_symlink() && path.is_file()) {
            all.skip(SPECIAL, &shown(root, &path));
        } else if fs::metadata(&path).map_or(about.len(), |file| file.len()) > LARGEST {
            all.skip(LARGE, &shown(root, &path));
        } else {
            give(path);
        }
    }
}

fn file(root: &Path, path: &Path, looking: &mut Looking<'_>, looked: &mut Looked) {
    let mut text = Vec::new();
    let read = File::open(path).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut text));
    if let Err(error) = read {
        looked.unread.push((shown(root, path), error.to_string()));
        return;
    }
    // It has grown since it was measured.
    if text.len() as u64 > LARGEST {
        looked.skip(LARGE, &shown(root, path));
        return;
    }
    if text[..text.len().min(HEAD)].contains(&0) {
        looked.skip(BINARY, &shown(root, path));
        return;
    }
    looked.files += 1;
    looked.bytes += text.len() as u64;
    for (line, which) in looking.in_text(&text) {
        let place = Place { file: shown(root, path), line: Some(line as u64), commit: None };
        looked.found.entry(which).or_default().push(place);
    }
}

#[cfg(test)]
mod tests {
    use domain::{RealmKey, Secret};

    use super::*;

    const SECRET: &str = "0f6d0c5c-6a8e-4a0f-9f2e-3f0e7a3f2b11";

    #[test]
    fn every_file_of_text_below_is_looked_at_and_what_is_not_is_told() {
        let key = RealmKey::new(&Secret::new("k".repeat(40))).unwrap();
        let print = key.fingerprint(&Secret::new(SECRET)).0;
        let wanted = Wanted::new(&key, [print.as_str()]);
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("secret"), SECRET).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for below in ["a/b", ".git", "sink", "c"] {
            fs::create_dir_all(root.join(below)).unwrap();
        }
        fs::write(root.join("a/b/prod.env"), format!("X=1\nSECRET_ID={SECRET}\n")).unwrap();
        fs::write(root.join("c/app.json"), format!("{{\"id\":\"{SECRET}\"}}")).unwrap();
        fs::write(root.join("c/clean"), "nothing\n").unwrap();
        fs::write(root.join(".git/packed"), SECRET).unwrap();
        fs::write(root.join("sink/app"), SECRET).unwrap();
        fs::write(root.join("image"), format!("\0\0{SECRET}")).unwrap();
        fs::File::create(root.join("huge")).unwrap().set_len(LARGEST + 1).unwrap();
        std::os::unix::fs::symlink(outside.path(), root.join("out")).unwrap();
        std::os::unix::fs::symlink(outside.path().join("secret"), root.join("c/out")).unwrap();
        let ours = [root.join("sink").canonicalize().unwrap()];
        let looked = look(root, &wanted, &ours);
        let places: Vec<String> = looked.found[&0].iter().map(ToString::to_string).collect();
        assert_eq!(places, ["a/b/prod.env:2", "c/app.json:1"]);
        assert_eq!(looked.files, 3);
        let skipped: Vec<(&str, u64)> =
            looked.skipped.iter().map(|(why, (count, _))| (*why, *count)).collect();
        assert_eq!(skipped, [(BINARY, 1), (LARGE, 1), (GIT, 1), (OURS, 1), (LINKS, 2)]);
        assert!(looked.unread.is_empty());
        // One file is looked at as well, and one that is not there is told.
        assert_eq!(look(&root.join("c/app.json"), &wanted, &[]).found.len(), 1);
        assert_eq!(look(&root.join("none"), &wanted, &[]).unread.len(), 1);
        // A link that is named is as large as what it leads to.
        std::os::unix::fs::symlink(root.join("huge"), root.join("link")).unwrap();
        let link = look(&root.join("link"), &wanted, &[]);
        assert_eq!((link.files, link.skipped[LARGE].0), (0, 1));
    }
}
