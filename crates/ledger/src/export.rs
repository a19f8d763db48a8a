//! A ledger as lines of JSON, so that another store can take it over: the very bytes that were hashed,
//! in order, with what is kept beside them.
//!
//! What was observed is not in it: it is seen again.

use std::{
    collections::BTreeSet,
    io::{BufRead, Lines, Write},
};

use data_encoding::HEXLOWER;
use serde_json::{Value, json};

use crate::{
    archive::Archive,
    canonical,
    chain::{self, Hash},
    entry::{Entry, SALVAGED},
    error::{Error, Result},
    inventory::{Change, Person},
    pieces::{in_order, lost_by},
    port::{Checkpoint, Filter, Head, Ledger},
    tree::Frontier,
};

/// What the first line says.
const FORMAT: &str = "nhi-ledger-export/1";

/// A piece of another ledger, in the order in which it is taken over.
#[derive(Debug, Clone, PartialEq)]
pub enum Part {
    /// Comes first: whose history it is.
    Begin {
        /// The ledger's id.
        ledger: String,
        /// Its realm; empty if it has none.
        realm: String,
        /// When it was created, in milliseconds UTC.
        created_at: i64,
    },
    /// Entries that are not in it, since they lie in a file.
    Archive(Box<Archive>),
    /// A document, before the first entry that names it.
    Document(Hash, Vec<u8>),
    /// An entry, under its number.
    Entry(Box<Entry>),
    /// A checkpoint, right behind the last entry that it is about.
    Checkpoint(Checkpoint, Frontier),
    /// What is kept of a person.
    Person(Person),
    /// Comes last: where the chain ends.
    End {
        /// The head's number.
        seq: u64,
        /// The head's hash.
        hash: Hash,
    },
}

/// What is handed over to [`Ledger::take_over`].
pub type Parts = Box<dyn Iterator<Item = Result<Part>> + Send>;

/// Writes all of a ledger. Whoever asks for it has verified it.
///
/// # Errors
///
/// It cannot be read, or the lines cannot be written.
pub async fn write(ledger: &dyn Ledger, into: &mut (dyn Write + Send)) -> Result<Head> {
    let head = ledger.head().await?;
    let seq = head.seq;
    write_through(ledger, head, into, seq).await
}

/// Writes what there is up to an entry, in the same form, as one that goes on from what was taken out before.
///
/// # Errors
///
/// It cannot be read, or the lines cannot be written.
pub async fn write_up_to(
    ledger: &dyn Ledger,
    through: u64,
    into: &mut (dyn Write + Send),
) -> Result<Head> {
    let head = ledger.head().await?;
    write_through(ledger, head, into, through).await
}

async fn write_through(
    ledger: &dyn Ledger,
    mut head: Head,
    into: &mut (dyn Write + Send),
    through: u64,
) -> Result<Head> {
    let all = through == head.seq;
    let mut line = |value: Value| {
        writeln!(into, "{value}").map_err(|error| Error::Failed {
            place: ledger.place(),
            step: "be written into the file",
            why: error.to_string(),
        })
    };
    let mut checkpoints = ledger.checkpoints().await?.into_iter().peekable();
    let mut written = BTreeSet::new();
    let mut next = Some(Filter { through: Some(through), ..Filter::all() });
    let mut begun = false;
    let archives = ledger.archives().await?;
    while let Some(filter) = next {
        let page = ledger.entries(&filter).await?;
        next = page.next;
        if let (Some(first), false) = (page.entries.first(), begun) {
            begun = true;
            let realm = page.entries.iter().find_map(|entry| entry.realm.as_deref());
            line(json!({
                "format": FORMAT, "ledger": head.ledger, "realm": realm.unwrap_or_default(),
                "created_at": first.at,
            }))?;
            for one in &archives {
                line(archived(one))?;
            }
        }
        for entry in page.entries {
            for hash in entry.changes.iter().flat_map(Change::names) {
                if !written.insert(hash) {
                    continue;
                }
                let document = ledger.document(&hash).await?.ok_or_else(|| Error::Broken {
                    place: ledger.place(),
                    seq: entry.seq,
                    what: format!("its document {hash} is missing"),
                })?;
                let bytes = canonical::encode(&document)
                    .map_err(|source| Error::Body { kind: entry.kind.clone(), source })?;
                line(json!({ "document": hash.to_string(), "body": text(&bytes) }))?;
            }
            line(json!({
                "entry": entry.seq, "hash": entry.hash.to_string(), "body": text(&entry.body),
            }))?;
            (head.seq, head.hash) = (entry.seq, entry.hash);
            while checkpoints.next_if(|one| one.size < entry.seq).is_some() {}
            if let Some(one) = checkpoints.next_if(|one| one.size == entry.seq) {
                line(json!({
                    "checkpoint": one.size, "at": one.at, "root": one.root.to_string(),
                    "head": one.head.to_string(),
                }))?;
            }
        }
    }
    if !begun {
        return Err(Error::Usage(format!("there is nothing in {} to be exported", ledger.place())));
    }
    // Persons are nobody's history.
    let persons = if all { ledger.persons().await? } else { Vec::new() };
    for person in persons {
        line(json!({
            "person": person.id, "display": person.display, "email": person.email,
            "erased_at": person.erased_at,
        }))?;
    }
    line(json!({ "end": head.seq, "hash": head.hash.to_string() }))?;
    Ok(head)
}

/// What was taken out, as a line.
fn archived(one: &Archive) -> Value {
    json!({
        "archive": one.last, "first": one.first, "at": one.at, "root": one.root.to_string(),
        "head": one.head.to_string(), "frontier": HEXLOWER.encode(&one.frontier.to_bytes()),
        "file_sha256": one.file.to_string(), "place": one.place,
    })
}

/// A body is canonical JSON, which is UTF-8.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Reads what [`write()`] wrote, and refuses what does not agree with itself: each part is checked before
/// it is handed out, and the last one says that it is whole.
#[derive(Debug)]
pub struct Reader<R> {
    place: String,
    lines: Lines<R>,
    line: u64,
    begun: bool,
    ended: bool,
    last: (u64, Hash),
    frontier: Frontier,
    documents: BTreeSet<Hash>,
    /// Where what was taken out before ends.
    archived: u64,
    /// Numbers that are missing, and what salvages say of them.
    missing: Vec<(u64, u64)>,
    lost: Vec<(u64, u64)>,
}

impl<R: BufRead> Reader<R> {
    /// Reads these lines; `place` is where they are, for messages.
    pub fn new(place: String, lines: R) -> Self {
        Reader {
            place,
            lines: lines.lines(),
            line: 0,
            begun: false,
            ended: false,
            last: (0, Hash::ZERO),
            frontier: Frontier::new(),
            documents: BTreeSet::new(),
            archived: 0,
            missing: Vec::new(),
            lost: Vec::new(),
        }
    }

    /// Where it ended, and the root up to there; of one that was read to its end.
    pub fn ended(&self) -> Option<(u64, Hash, Hash)> {
        let (seq, hash) = self.last;
        self.ended.then(|| (seq, hash, self.frontier.root()))
    }

    fn part(&mut self, line: &str) -> Result<Part, String> {
        let line: Value = serde_json::from_str(line).map_err(|_| "it is not JSON".to_owned())?;
        let number = |name: &str| line[name].as_u64();
        let words = |name: &str| line[name].as_str().ok_or_else(|| format!("it has no {name}"));
        let moment = |name: &str| line[name].as_i64().ok_or_else(|| format!("it has no {name}"));
        let hash = |name: &str| {
            Hash::from_hex(words(name)?).ok_or_else(|| format!("its {name} is no hash"))
        };
        if !self.begun {
            if line["format"] != FORMAT {
                return Err(format!("it does not begin with the format {FORMAT}"));
            }
            self.begun = true;
            let (ledger, realm) = (words("ledger")?.to_owned(), words("realm")?.to_owned());
            return Ok(Part::Begin { ledger, realm, created_at: moment("created_at")? });
        }
        if self.ended {
            return Err("there is something behind the end".to_owned());
        }
        if line.get("document").is_some() {
            let (hash, body) = (hash("document")?, words("body")?.as_bytes().to_vec());
            if Hash::of(&body) != hash {
                return Err(format!("the document {hash} is not what its hash says"));
            }
            self.documents.insert(hash);
            return Ok(Part::Document(hash, body));
        }
        if let Some(last) = number("archive") {
            let first = number("first").ok_or("it has no first")?;
            let peaks = HEXLOWER.decode(words("frontier")?.as_bytes());
            let frontier = peaks.ok().and_then(|peaks| Frontier::from_bytes(last, &peaks));
            let frontier = frontier.ok_or("its frontier is none")?;
            let one = Archive {
                first,
                last,
                at: moment("at")?,
                root: hash("root")?,
                head: hash("head")?,
                frontier,
                file: hash("file_sha256")?,
                place: words("place")?.to_owned(),
            };
            if self.last.0 != self.archived || first != self.archived + 1 || last < first {
                return Err(format!("the archive up to {last} does not follow"));
            }
            if one.frontier.root() != one.root {
                return Err(format!("the archive up to {last} does not agree"));
            }
            self.archived = last;
            (self.last, self.frontier) = ((last, one.head), one.frontier.clone());
            return Ok(Part::Archive(Box::new(one)));
        }
        if let Some(seq) = number("entry") {
            return self.entry(seq, hash("hash")?, words("body")?).map(Box::new).map(Part::Entry);
        }
        if let Some(size) = number("checkpoint") {
            let one =
                Checkpoint { size, at: moment("at")?, root: hash("root")?, head: hash("head")? };
            if (size, one.head) != self.last || one.root != self.frontier.root() {
                return Err(format!("the checkpoint of size {size} does not agree"));
            }
            return Ok(Part::Checkpoint(one, self.frontier.clone()));
        }
        if let Some(id) = line["person"].as_str() {
            let some = |name: &str| line[name].as_str().map(str::to_owned);
            return Ok(Part::Person(Person {
                id: id.to_owned(),
                display: some("display"),
                email: some("email"),
                erased_at: line["erased_at"].as_i64(),
            }));
        }
        let end = (number("end").ok_or("nothing of this kind is known")?, hash("hash")?);
        // Behind a salvage the head is the last entry as well: it is that which says what is lost.
        if end != self.last {
            return Err("the last entry is not where the chain ends".to_owned());
        }
        let lost = in_order(std::mem::take(&mut self.lost));
        let told = |(from, to): &(u64, u64)| lost.iter().any(|one| one.0 <= *from && *to <= one.1);
        if let Some((from, _)) = self.missing.iter().find(|run| !told(run)) {
            return Err(format!("the entry {from} is missing"));
        }
        self.ended = true;
        Ok(Part::End { seq: end.0, hash: end.1 })
    }

    fn entry(&mut self, seq: u64, hash: Hash, body: &str) -> Result<Entry, String> {
        let (last, previous) = self.last;
        if seq <= last {
            return Err(format!("the entry {seq} comes after {last}"));
        }
        if seq > last + 1 {
            self.missing.push((last + 1, seq - 1));
        } else if chain::link(&previous, body.as_bytes()) != hash {
            return Err(format!("the hash of the entry {seq} does not cover its body"));
        }
        let body = body.as_bytes().to_vec();
        let said = canonical::members(&body).find(|(name, _)| *name == b"seq");
        if said.is_none_or(|(_, value)| value != seq.to_string().as_bytes()) {
            return Err(format!("the body of the entry {seq} has another number"));
        }
        if !self.frontier.fill(seq) {
            return Err(format!("too many entries are missing before {seq}"));
        }
        self.frontier.push(&body);
        let entry =
            Entry::read(seq, hash, body).map_err(|what| format!("the entry {seq}: {what}"))?;
        if let Some(hash) =
            entry.changes.iter().flat_map(Change::names).find(|hash| !self.documents.contains(hash))
        {
            return Err(format!("the document {hash} of the entry {seq} is missing"));
        }
        if entry.kind == SALVAGED {
            self.lost.extend(lost_by(seq, &entry.body));
        }
        self.last = (seq, hash);
        Ok(entry)
    }
}

impl<R: BufRead> Iterator for Reader<R> {
    type Item = Result<Part>;

    fn next(&mut self) -> Option<Result<Part>> {
        self.line += 1;
        let part = match self.lines.next() {
            None if self.ended => return None,
            None => Err("it ends before its end".to_owned()),
            Some(Err(error)) => Err(error.to_string()),
            Some(Ok(line)) => self.part(&line),
        };
        Some(part.map_err(|what| Error::Export {
            place: self.place.clone(),
            line: self.line,
            what,
        }))
    }
}

/// A realm's name that is taken over, unless ours is another one.
///
/// # Errors
///
/// It is.
pub fn realm_of(place: &str, ours: Option<&str>, theirs: String) -> Result<String> {
    match ours {
        Some(ours) if !theirs.is_empty() && ours != theirs => Err(Error::OtherRealm {
            place: place.to_owned(),
            found: theirs,
            expected: ours.to_owned(),
        }),
        Some(ours) => Ok(ours.to_owned()),
        None => Ok(theirs),
    }
}
