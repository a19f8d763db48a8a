//! Looking for secrets of ours where they should not be. Nothing that is looked at is ever shown: a piece
//! is known by its fingerprint under the installation's key, and told by its place.

use std::{
    collections::{BTreeMap, HashMap},
    hash::{DefaultHasher, Hash, Hasher},
};

use domain::RealmKey;

pub(crate) mod candidates;
pub(crate) mod folder;
pub(crate) mod history;
pub(crate) mod report;

/// How many pieces are remembered not to be ours, so that a word is not looked at a thousand times.
const REMEMBERED: usize = 1 << 18;

/// What is looked for: fingerprints, each with its number.
#[derive(Debug)]
pub(crate) struct Wanted<'a> {
    key: &'a RealmKey,
    prints: HashMap<[u8; 16], usize>,
}

impl<'a> Wanted<'a> {
    /// `prints`: as they stand in places and in the ledger. Those of another key are none.
    pub(crate) fn new<'b>(
        key: &'a RealmKey,
        prints: impl IntoIterator<Item = &'b str>,
    ) -> Wanted<'a> {
        let read = |(at, print): (usize, &str)| {
            let (of, hex) = print.split_once(':')?;
            let bytes = data_encoding::HEXLOWER.decode(hex.as_bytes()).ok()?;
            Some((bytes.try_into().ok()?, at)).filter(|_| of == key.id())
        };
        Wanted { key, prints: prints.into_iter().enumerate().filter_map(read).collect() }
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.prints.len()
    }
}

/// A look at pieces, one after the other.
pub(crate) struct Looking<'a> {
    wanted: &'a Wanted<'a>,
    seen: HashMap<u64, Option<usize>>,
    /// How many pieces were looked at.
    pub(crate) pieces: u64,
}

impl<'a> Looking<'a> {
    pub(crate) fn new(wanted: &'a Wanted<'a>) -> Looking<'a> {
        Looking { wanted, seen: HashMap::new(), pieces: 0 }
    }

    /// The number of the secret that a piece is.
    pub(crate) fn known(&mut self, piece: &[u8]) -> Option<usize> {
        self.pieces += 1;
        let mut hasher = DefaultHasher::new();
        piece.hash(&mut hasher);
        let hash = hasher.finish();
        if let Some(None) = self.seen.get(&hash) {
            return None;
        }
        let found = self.wanted.prints.get(&self.wanted.key.print_of(piece)).copied();
        if self.seen.len() >= REMEMBERED {
            self.seen.clear();
        }
        if found.is_none() {
            self.seen.insert(hash, found);
        }
        found
    }

    /// The secrets that stand in a text, each with the line that it is in, once a line.
    pub(crate) fn in_text(&mut self, text: &[u8]) -> Vec<(usize, usize)> {
        let mut found: Vec<(usize, usize)> = Vec::new();
        for (at, line) in text.split(|byte| *byte == b'\n').enumerate() {
            candidates::of_line(line, &mut |piece| {
                found.extend(self.known(piece).map(|which| (at + 1, which)));
            });
        }
        candidates::of_blocks(text, |line, piece| {
            found.extend(self.known(piece).map(|which| (line, which)));
        });
        found.sort_unstable();
        found.dedup();
        found
    }
}

/// Where one was found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// The file, as it is below what was named.
    pub(crate) file: String,
    /// Its line, from 1.
    pub(crate) line: Option<u64>,
    /// The commit that brought it.
    pub(crate) commit: Option<String>,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        match &self.commit {
            Some(commit) => write!(f, " (commit {})", commit.chars().take(12).collect::<String>()),
            None => Ok(()),
        }
    }
}

/// What a look came to.
#[derive(Debug, Default)]
pub(crate) struct Looked {
    /// Places by the number of the secret that stands there.
    pub(crate) found: BTreeMap<usize, Vec<Place>>,
    /// How many files, lines of history or entries of a report were looked at.
    pub(crate) files: u64,
    /// How many bytes that were.
    pub(crate) bytes: u64,
    /// How many pieces were compared.
    pub(crate) pieces: u64,
    /// What was left out on purpose, by why, with how many and the first of them.
    pub(crate) skipped: BTreeMap<&'static str, (u64, String)>,
    /// What could not be looked at: which, and why.
    pub(crate) unread: Vec<(String, String)>,
}

impl Looked {
    pub(crate) fn skip(&mut self, why: &'static str, what: &str) {
        let of = self.skipped.entry(why).or_insert_with(|| (0, what.to_owned()));
        of.0 += 1;
        if *what < *of.1 {
            of.1 = what.to_owned();
        }
    }

    pub(crate) fn take(&mut self, other: Looked) {
        for (which, places) in other.found {
            self.found.entry(which).or_default().extend(places);
        }
        self.files += other.files;
        self.bytes += other.bytes;
        self.pieces += other.pieces;
        for (why, (count, first)) in other.skipped {
            let of = self.skipped.entry(why).or_insert_with(|| (0, first.clone()));
            of.0 += count;
            of.1 = first.min(std::mem::take(&mut of.1));
        }
        self.unread.extend(other.unread);
    }

    /// In order, and each place once.
    pub(crate) fn settle(mut self) -> Looked {
        for places in self.found.values_mut() {
            places.sort();
            places.dedup();
        }
        self.unread.sort();
        self
    }
}

#[cfg(test)]
mod tests {
    use domain::Secret;

    use super::*;

    #[test]
    fn what_is_ours_is_found_by_its_fingerprint_and_by_that_of_no_other_key() {
        let key = |c: char| RealmKey::new(&Secret::new(c.to_string().repeat(40))).unwrap();
        let (ours, others) = (key('a'), key('b'));
        let secret = Secret::new("0f6d0c5c-6a8e-4a0f-9f2e-3f0e7a3f2b11");
        let text = format!("a: {}\nid = other\n", secret.expose());
        let prints = [ours.fingerprint(&secret).0, others.fingerprint(&secret).0];
        let of_another = Wanted::new(&ours, [prints[1].as_str()]);
        assert_eq!(of_another.count(), 0);
        let wanted = Wanted::new(&ours, ["no print", prints[0].as_str()]);
        let mut looking = Looking::new(&wanted);
        assert_eq!(looking.in_text(text.as_bytes()), [(1, 1)]);
        // It is found wherever it stands again.
        assert_eq!(looking.in_text(text.as_bytes()), [(1, 1)]);
        assert!(looking.in_text(b"nothing = here\n").is_empty());
    }
}
