//! Checkpoints that are signed, to be kept where whoever writes the ledger cannot rewrite them.
//!
//! Source: C2SP signed-note and tlog-checkpoint (c2sp.org/signed-note, c2sp.org/tlog-checkpoint), with
//! Ed25519 keys as Go's sumdb writes them: other tools check what is made here.

use std::fmt;

use data_encoding::BASE64;
use ring::{
    rand::{SecureRandom, SystemRandom},
    signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey},
};
use zeroize::Zeroizing;

use crate::{
    chain::Hash,
    error::{Error, Result},
    export::Part,
    port::{Filter, Ledger, refuse_archived},
    tree::Frontier,
};

/// What a key's kind is written as: Ed25519 over the text.
const ED25519_NOTE: u8 = 1;

/// What the line of a signature begins with.
const DASH: &str = "\u{2014} ";

/// The most that is read of a note.
pub const NOTE_MAX: usize = 64 * 1024;

/// The most signatures that are read of a note.
const SIGNATURES_MAX: usize = 100;

/// Why a text is no note, no key, or none of somebody's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoNote(String);

fn no<T>(why: impl Into<String>) -> std::result::Result<T, NoNote> {
    Err(NoNote(why.into()))
}

/// What checks signatures of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verifier {
    name: String,
    key: [u8; 32],
}

impl Verifier {
    /// Reads `name+hash+key`.
    ///
    /// # Errors
    ///
    /// Why it is none.
    pub fn parse(text: &str) -> std::result::Result<Verifier, NoNote> {
        let text = text.trim();
        if text.starts_with(PRIVATE) {
            return no("it is the key that signs, which nobody else is to have");
        }
        let (name, hash, key) = parts(text)?;
        let one = Verifier { name: name.to_owned(), key };
        match hex(&one.id()) == hash {
            true => Ok(one),
            false => no("its hash is not that of its name and key"),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What a signature names it by: the first bytes of the hash of name and key.
    fn id(&self) -> [u8; 4] {
        let bytes = [self.name.as_bytes(), b"\n", &[ED25519_NOTE], &self.key].concat();
        let Hash([a, b, c, d, ..]) = Hash::of(&bytes);
        [a, b, c, d]
    }
}

impl fmt::Display for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}+{}+{}", self.name, hex(&self.id()), encoded(&self.key))
    }
}

const PRIVATE: &str = "PRIVATE+KEY+";

/// What signs. Neither it nor its text is ever printed.
pub struct NoteKey {
    verifier: Verifier,
    pair: Ed25519KeyPair,
}

impl fmt::Debug for NoteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NoteKey").field("name", &self.verifier.name).finish_non_exhaustive()
    }
}

impl NoteKey {
    /// Reads `PRIVATE+KEY+name+hash+key`.
    ///
    /// # Errors
    ///
    /// Why it is none; nothing of it is repeated.
    pub fn parse(text: &str) -> std::result::Result<NoteKey, NoNote> {
        let Some(rest) = text.trim().strip_prefix(PRIVATE) else {
            return no(format!("it does not begin with {PRIVATE}"));
        };
        let (name, hash, seed) = parts(rest)?;
        let one = NoteKey::of(name, &Zeroizing::new(seed))?;
        match hex(&one.verifier.id()) == hash {
            true => Ok(one),
            false => no("its hash is not that of its name and key"),
        }
    }

    /// Another key of this name, and the text to be kept of it; nothing if the operating system gives no
    /// random bytes.
    ///
    /// # Errors
    ///
    /// The name is none.
    pub fn make(name: &str) -> std::result::Result<Option<(NoteKey, Zeroizing<String>)>, NoNote> {
        let mut seed = Zeroizing::new([0; 32]);
        if SystemRandom::new().fill(&mut *seed).is_err() {
            return Ok(None);
        }
        let key = NoteKey::of(name, &seed)?;
        let id = hex(&key.verifier.id());
        let text = Zeroizing::new(format!("{PRIVATE}{name}+{id}+{}", encoded(&seed)));
        Ok(Some((key, text)))
    }

    fn of(name: &str, seed: &[u8; 32]) -> std::result::Result<NoteKey, NoNote> {
        if !is_name(name) {
            return no("a key's name has no blank and no +");
        }
        let pair = Ed25519KeyPair::from_seed_unchecked(seed)
            .map_err(|_| NoNote("it is no Ed25519 key".to_owned()))?;
        let key = pair.public_key().as_ref().try_into();
        let key = key.map_err(|_| NoNote("it is no Ed25519 key".to_owned()))?;
        Ok(NoteKey { verifier: Verifier { name: name.to_owned(), key }, pair })
    }

    /// What checks its signatures.
    pub fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// A note of this text, which ends with a line's end, signed.
    pub fn sign(&self, text: &str) -> String {
        let signature = self.pair.sign(text.as_bytes());
        let bytes = [&self.verifier.id(), signature.as_ref()].concat();
        format!("{text}\n{DASH}{} {}\n", self.verifier.name, BASE64.encode(&bytes))
    }
}

/// A text and who signed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The text that is signed, with its last line's end.
    pub text: String,
    signatures: Vec<Signature>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Signature {
    name: String,
    id: [u8; 4],
    bytes: Vec<u8>,
}

impl Note {
    /// Reads a note. Nothing is checked yet.
    ///
    /// # Errors
    ///
    /// Why it is none.
    pub fn parse(text: &str) -> std::result::Result<Note, NoNote> {
        if text.len() > NOTE_MAX {
            return no(format!("it is longer than {NOTE_MAX} bytes"));
        }
        if text.chars().any(|one| one.is_control() && one != '\n') {
            return no("it has characters that no note has");
        }
        let Some((body, signed)) = text.rsplit_once("\n\n") else {
            return no("it is no signed note: no empty line is before its signatures");
        };
        let Some(signed) = signed.strip_suffix('\n') else {
            return no("its last line has no end");
        };
        let mut signatures = Vec::new();
        for line in signed.split('\n') {
            let parts = line.strip_prefix(DASH).and_then(|rest| rest.split_once(' '));
            let read = parts.and_then(|(name, bytes)| {
                let bytes = BASE64.decode(bytes.as_bytes()).ok().filter(|_| is_name(name))?;
                let (id, bytes) = bytes.split_first_chunk::<4>()?;
                Some(Signature { name: name.to_owned(), id: *id, bytes: bytes.to_vec() })
            });
            match read {
                Some(one) => signatures.push(one),
                None => return no("a line of its signatures is none"),
            }
        }
        if signatures.len() > SIGNATURES_MAX {
            return no(format!("it has more than {SIGNATURES_MAX} signatures"));
        }
        Ok(Note { text: format!("{body}\n"), signatures })
    }

    /// Whether this key signed it. A signature of it that is wrong makes all of it wrong.
    ///
    /// # Errors
    ///
    /// It did not.
    pub fn signed_by(&self, verifier: &Verifier) -> std::result::Result<(), NoNote> {
        let key = UnparsedPublicKey::new(&ED25519, verifier.key);
        let mut mine = self
            .signatures
            .iter()
            .filter(|one| one.name == verifier.name && one.id == verifier.id());
        let Some(first) = mine.next() else {
            return no(format!("it is not signed by {}", verifier.name));
        };
        for one in std::iter::once(first).chain(mine) {
            if key.verify(self.text.as_bytes(), &one.bytes).is_err() {
                return no(format!("the signature of {} is not of this text", verifier.name));
            }
        }
        Ok(())
    }

    /// Who is said to have signed it.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.signatures.iter().map(|one| one.name.as_str())
    }
}

/// How large a ledger is, and the root of its tree: what a checkpoint states.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stated {
    /// Which ledger: [`origin`] of its id.
    pub origin: String,
    /// How many entries.
    pub size: u64,
    /// The root of RFC 6962 over their bodies.
    pub root: Hash,
}

/// What a ledger is called in its checkpoints.
pub fn origin(ledger: &str) -> String {
    format!("nhi-ledger/{ledger}")
}

impl Stated {
    /// The text that is signed.
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, BASE64.encode(&self.root.0))
    }

    /// Reads the text of a checkpoint. Lines that others add behind it are left alone.
    ///
    /// # Errors
    ///
    /// Why it is none.
    pub fn parse(text: &str) -> std::result::Result<Stated, NoNote> {
        let mut lines = text.lines();
        let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next())
        else {
            return no("it is no checkpoint: it has fewer than three lines");
        };
        if origin.is_empty() || lines.any(str::is_empty) {
            return no("it is no checkpoint: a line of it is empty");
        }
        // In its one spelling: neither +1 nor 01 is a size.
        let size = size.parse::<u64>().ok().filter(|number| number.to_string() == size);
        let Some(size) = size else {
            return no("its second line is no number of entries");
        };
        let root = BASE64.decode(root.as_bytes()).ok().and_then(|bytes| Hash::from_slice(&bytes));
        match root {
            Some(root) => Ok(Stated { origin: origin.to_owned(), size, root }),
            None => no("its third line is no root"),
        }
    }
}

/// How a ledger stands to a checkpoint that was kept elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holds {
    /// It begins with what was stated.
    Yes,
    /// It is of another ledger.
    Another,
    /// It ends earlier, at this entry: something was cut off, or an old copy was put in its place.
    Shorter(u64),
    /// It has other entries: they were rewritten, or this is a fork.
    Other,
    /// The entries up to this one lie in files, which have to be asked.
    InFiles(u64),
}

/// Holds a ledger against a checkpoint.
///
/// # Errors
///
/// Those of reading.
pub async fn held<L: Ledger + ?Sized>(ledger: &L, stated: &Stated) -> Result<Holds> {
    let head = ledger.head().await?;
    if stated.origin != origin(&head.ledger) {
        return Ok(Holds::Another);
    }
    if head.seq < stated.size {
        return Ok(Holds::Shorter(head.seq));
    }
    let archives = ledger.archives().await?;
    if let Some(last) = archives.last().map(|one| one.last).filter(|last| stated.size < *last) {
        let at = archives.iter().find(|one| one.last == stated.size);
        return Ok(match at {
            Some(one) if one.root == stated.root => Holds::Yes,
            Some(_) => Holds::Other,
            None => Holds::InFiles(last),
        });
    }
    Ok(match root_at(ledger, stated.size).await? {
        Some(root) if root == stated.root => Holds::Yes,
        Some(_) => Holds::Other,
        None => Holds::Shorter(head.seq),
    })
}

/// The root over the first entries, computed from their bodies; nothing if there are fewer.
///
/// # Errors
///
/// Those of reading; [`Error::Usage`] where they lie in files.
pub async fn root_at<L: Ledger + ?Sized>(ledger: &L, size: u64) -> Result<Option<Hash>> {
    let mut frontier = Frontier::new();
    if let Some(last) = ledger.archives().await?.pop() {
        if size < last.last {
            refuse_archived(ledger, size).await?;
        }
        frontier = last.frontier;
    }
    let from = Filter { after: frontier.size(), through: Some(size), ..Filter::all() };
    let mut next = Some(from);
    while let Some(filter) = next {
        let page = ledger.entries(&filter).await?;
        for entry in &page.entries {
            if !frontier.fill(entry.seq) {
                let what = "too many entries are missing before it".to_owned();
                return Err(Error::Broken { place: ledger.place(), seq: entry.seq, what });
            }
            frontier.push(&entry.body);
        }
        next = page.next;
    }
    Ok((frontier.size() == size).then(|| frontier.root()))
}

/// The same of what lies in a file; nothing if it does not reach there, or begins later.
///
/// # Errors
///
/// A part is not what it should be.
pub fn root_in(parts: impl Iterator<Item = Result<Part>>, size: u64) -> Result<Option<Hash>> {
    let mut frontier = Frontier::new();
    for part in parts {
        match part? {
            Part::Archive(one) if one.last <= size => frontier = one.frontier,
            Part::Archive(_) => return Ok(None),
            Part::Entry(entry) if entry.seq <= size && frontier.fill(entry.seq) => {
                frontier.push(&entry.body);
            }
            _ => {}
        }
    }
    Ok((frontier.size() == size).then(|| frontier.root()))
}

fn parts(text: &str) -> std::result::Result<(&str, &str, [u8; 32]), NoNote> {
    let mut parts = text.splitn(3, '+');
    let (Some(name), Some(hash), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
        return no("a key is written as name+hash+key");
    };
    if !is_name(name) {
        return no("a key's name has no blank and no +");
    }
    let bytes = Zeroizing::new(BASE64.decode(key.as_bytes()).unwrap_or_default());
    match bytes.split_first() {
        Some((&ED25519_NOTE, key)) => match key.try_into() {
            Ok(key) => Ok((name, hash, key)),
            Err(_) => no("an Ed25519 key has 32 bytes"),
        },
        Some(_) => no("it is no Ed25519 key of a signed note (kind 1)"),
        None => no("its key is no base64"),
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && !name.chars().any(|one| one.is_whitespace() || one.is_control() || one == '+')
}

fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

fn encoded(key: &[u8; 32]) -> String {
    BASE64.encode(&Zeroizing::new([&[ED25519_NOTE], &key[..]].concat()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Durability, MemoryLedger, NewEntry};

    // golang.org/x/mod/sumdb/note, its own example.
    const THEIR_KEY: &str =
        "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
    const THEIR_VERIFIER: &str =
        "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    const THEIR_TEXT: &str = "If you think cryptography is the answer to your problem,\n\
                              then you don't know what your problem is.\n";
    const THEIR_LINE: &str = "\u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuG\
                              UgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

    #[test]
    fn a_note_is_signed_and_checked_as_go_does_it() {
        let key = NoteKey::parse(THEIR_KEY).unwrap();
        assert_eq!(key.verifier().to_string(), THEIR_VERIFIER);
        let note = key.sign(THEIR_TEXT);
        assert_eq!(note, format!("{THEIR_TEXT}\n{THEIR_LINE}"));
        let read = Note::parse(&note).unwrap();
        assert_eq!(read.signed_by(&Verifier::parse(THEIR_VERIFIER).unwrap()), Ok(()));
        assert!(
            Verifier::parse("sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8")
                .is_ok()
        );
    }

    #[test]
    fn another_text_key_or_name_is_refused_and_a_key_is_never_shown() {
        let (key, text) = NoteKey::make("nhi-ledger/a").unwrap().unwrap();
        assert!(NoteKey::parse(&text).unwrap().verifier() == key.verifier());
        let shown = format!("{key:?}");
        assert!(!shown.contains(&text[text.len() - 20..]), "{shown}");
        let note = Note::parse(&key.sign("a\n1\nb\n")).unwrap();
        assert_eq!(note.signed_by(key.verifier()), Ok(()));
        let (other, _) = NoteKey::make("nhi-ledger/a").unwrap().unwrap();
        assert!(note.signed_by(other.verifier()).unwrap_err().to_string().contains("not signed"));
        let forged = Note { text: "a\n2\nb\n".to_owned(), ..note };
        assert!(forged.signed_by(key.verifier()).unwrap_err().to_string().contains("not of this"));
        let no = |text: &str| Verifier::parse(text).unwrap_err().to_string();
        assert!(no(&text).contains("nobody else"));
        assert!(no(&THEIR_VERIFIER.replace("PeterN", "PaulaN")).contains("hash"));
        assert!(no("a b+c74f20a3+AR").contains("blank"));
        assert!(no("a").contains("name+hash+key"));
        assert!(NoteKey::make("a b").is_err());
    }

    #[test]
    fn a_checkpoint_is_read_in_its_one_spelling() {
        let one = Stated { origin: origin("x"), size: 12, root: Hash([7; 32]) };
        assert_eq!(Stated::parse(&one.text()), Ok(one.clone()));
        assert_eq!(Stated::parse(&format!("{}more\n", one.text())), Ok(one.clone()));
        for wrong in ["12\n", "+12\n", "012\n", "-1\n", "x\n"].map(|size| format!("a\n{size}")) {
            assert!(Stated::parse(&wrong).is_err(), "{wrong}");
        }
        let text = one.text();
        assert!(Stated::parse(&text.replace("\n12\n", "\n012\n")).is_err());
        assert!(Stated::parse(&text.replace("Bw", "Bw=")).is_err());
    }

    async fn ledger(entries: u64) -> MemoryLedger {
        let ledger = MemoryLedger::new();
        let all = (0..entries).map(|at| NewEntry::new(at as i64, "declared", "a/b/c")).collect();
        ledger.append(all, Durability::Durable).await.unwrap();
        ledger
    }

    #[tokio::test]
    async fn a_ledger_that_grew_holds_and_one_that_is_another_or_shorter_does_not() {
        let one = ledger(5).await;
        let head = one.head().await.unwrap();
        let root = root_at(&one, 5).await.unwrap().unwrap();
        let stated = Stated { origin: origin(&head.ledger), size: 5, root };
        assert_eq!(one.checkpoint(0).await.unwrap().unwrap().root, root);
        assert_eq!(held(&one, &stated).await.unwrap(), Holds::Yes);
        let more = NewEntry::new(9, "declared", "a/b/c");
        one.append(vec![more], Durability::Durable).await.unwrap();
        assert_eq!(held(&one, &stated).await.unwrap(), Holds::Yes);
        let another = Stated { origin: origin("another"), ..stated.clone() };
        assert_eq!(held(&one, &another).await.unwrap(), Holds::Another);
        let longer = Stated { size: 7, ..stated.clone() };
        assert_eq!(held(&one, &longer).await.unwrap(), Holds::Shorter(6));
        let rewritten = Stated { root: Hash([1; 32]), ..stated };
        assert_eq!(held(&one, &rewritten).await.unwrap(), Holds::Other);
    }

    proptest! {
        #[test]
        fn no_text_makes_reading_a_note_fall_over(text in "(\u{2014} |[a-z+=\n ]){0,40}") {
            if let Ok(note) = Note::parse(&text) {
                let _ = Stated::parse(&note.text);
            }
            let _ = (Verifier::parse(&text), NoteKey::parse(&text));
        }

        #[test]
        fn whatever_byte_of_a_note_is_changed_it_is_found(at in 0usize..200, to in any::<u8>()) {
            let key = NoteKey::parse(THEIR_KEY).unwrap();
            let mut bytes = key.sign(THEIR_TEXT).into_bytes();
            let at = at % bytes.len();
            prop_assume!(bytes[at] != to);
            bytes[at] = to;
            let holds = String::from_utf8(bytes)
                .ok()
                .and_then(|text| Note::parse(&text).ok())
                .is_some_and(|note| note.signed_by(key.verifier()).is_ok());
            prop_assert!(!holds);
        }
    }
}
