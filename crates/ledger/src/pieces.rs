//! Checking entries in pieces, whoever reads them: a store hands over rows, and in the end what the
//! pieces make together.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{
    archive::Archive,
    canonical,
    chain::{self, Hash},
    error::Error,
    port::{BadEntry, Checkpoint, Verification},
    tree::{Frontier, leaf},
};

/// A piece is a complete subtree, so that roots of pieces make the root of all.
const PIECE_HEIGHT: u32 = 13;
/// How many numbers a piece has.
pub const PIECE: u64 = 1 << PIECE_HEIGHT;

/// An entry as a store keeps it.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// Its number.
    pub seq: u64,
    /// Its hash.
    pub hash: Hash,
    /// The bytes that were hashed.
    pub body: &'a [u8],
    /// The columns that say again what the body says.
    pub columns: Columns<'a>,
}

/// The columns beside a body.
#[derive(Debug, Clone, Copy)]
pub struct Columns<'a> {
    /// When.
    pub at: i64,
    /// What happened.
    pub kind: &'a [u8],
    /// To which object.
    pub subject: &'a [u8],
    /// In which rotation.
    pub rotation: Option<&'a [u8]>,
}

impl Columns<'_> {
    /// The first column that says something else than the body of this number, if any.
    pub fn astray(&self, seq: u64, body: &[u8]) -> Option<String> {
        let mut seen = [false; 4];
        let mut rotation = None;
        for (name, value) in canonical::members(body) {
            match name {
                b"at" => seen[0] = same_number(value, self.at),
                b"seq" => seen[1] = same_number(value, i64::try_from(seq).unwrap_or(-1)),
                b"kind" => seen[2] = same_text(value, self.kind),
                b"subject" => seen[3] = same_text(value, self.subject),
                b"rotation" => rotation = Some(value),
                _ => (),
            }
        }
        let name = ["at", "seq", "kind", "subject"];
        if let Some(astray) = seen.iter().position(|same| !same) {
            return Some(format!("its body and its column {} differ", name[astray]));
        }
        let same = match (rotation, self.rotation) {
            (None, None) => true,
            (Some(value), Some(column)) => same_text(value, column),
            (Some(_), None) | (None, Some(_)) => false,
        };
        (!same).then(|| "its body and its column rotation differ".to_owned())
    }
}

fn same_number(raw: &[u8], number: i64) -> bool {
    std::str::from_utf8(raw).ok().and_then(|raw| raw.parse().ok()) == Some(number)
}

fn same_text(raw: &[u8], text: &[u8]) -> bool {
    match raw {
        [b'"', inner @ .., b'"'] if !inner.contains(&b'\\') => inner == text,
        _ => serde_json::from_slice::<String>(raw).is_ok_and(|decoded| decoded.as_bytes() == text),
    }
}

/// What pieces are held against.
#[derive(Debug, Clone, Copy)]
pub struct Told<'a> {
    /// The checkpoints, oldest first.
    pub checkpoints: &'a [Checkpoint],
    /// What salvages say is lost, in order.
    pub lost: &'a [(u64, u64)],
}

/// What reading one piece gave.
#[derive(Debug, Default)]
pub struct Piece {
    /// Its place among all pieces.
    pub index: u64,
    /// How many entries it has.
    pub entries: u64,
    /// How many of them are steps of a rotation.
    pub steps: u64,
    /// What ended the reading before its time.
    pub fault: Option<Error>,
    bad: Option<BadEntry>,
    frontier: Frontier,
    /// At each checkpoint in the piece: the frontier of the piece so far and the entry's hash.
    at_checkpoint: BTreeMap<u64, (Frontier, Hash)>,
}

impl Piece {
    /// The piece at this place among all.
    pub fn at(index: u64) -> Self {
        Piece { index, ..Piece::default() }
    }

    /// Begins to read it right behind what was taken out, whose leaves in this piece come first.
    pub fn begin_behind<'a>(&'a mut self, archive: &Archive, told: Told<'a>) -> Reading<'a> {
        self.frontier = archive.frontier.split(PIECE_HEIGHT).1;
        self.begin(archive.last + 1, Some(archive.head), told)
    }

    /// Begins to read it, from this number on; `previous` is the hash before it, where there is one.
    pub fn begin<'a>(
        &'a mut self,
        first: u64,
        previous: Option<Hash>,
        told: Told<'a>,
    ) -> Reading<'a> {
        let from = told.checkpoints.partition_point(|one| one.size < first);
        // Before the first entry is the hash of nothing. If any other is missing, the piece before
        // says so.
        let previous = if first == 1 { Some(Hash::ZERO) } else { previous };
        let checkpoints = &told.checkpoints[from..];
        Reading { piece: self, expected: first, previous, checkpoints, lost: told.lost }
    }
}

/// A piece that is being read, row by row.
#[derive(Debug)]
pub struct Reading<'a> {
    piece: &'a mut Piece,
    expected: u64,
    previous: Option<Hash>,
    checkpoints: &'a [Checkpoint],
    lost: &'a [(u64, u64)],
}

impl Reading<'_> {
    fn bad(&mut self, seq: u64, what: impl Into<String>) {
        self.piece.bad.get_or_insert_with(|| BadEntry { seq, what: what.into() });
    }

    /// Takes the next row.
    pub fn row(&mut self, row: Row<'_>) {
        let Row { seq, hash, body, columns } = row;
        if seq != self.expected {
            self.missing(seq - 1);
            self.previous = None;
        }
        self.expected = seq + 1;
        match self.previous {
            Some(previous) if chain::link(&previous, body) != hash => {
                self.bad(seq, "its hash does not cover its body and the hash before it");
            }
            _ => {
                if let Some(what) = columns.astray(seq, body) {
                    self.bad(seq, what);
                }
            }
        }
        let piece = &mut *self.piece;
        piece.entries += 1;
        piece.steps += u64::from(columns.rotation.is_some());
        piece.frontier.push_leaf(leaf(body));
        self.previous = Some(hash);
        while let Some((next, rest)) = self.checkpoints.split_first()
            && next.size <= seq
        {
            if next.size == seq {
                piece.at_checkpoint.insert(seq, (piece.frontier.clone(), hash));
            }
            self.checkpoints = rest;
        }
    }

    /// Ends it at this number.
    pub fn end(mut self, last: u64) {
        if self.expected <= last {
            self.missing(last);
        }
    }

    fn missing(&mut self, through: u64) {
        if let Some(missing) = untold(self.lost, self.expected, through) {
            self.bad(missing, "it is missing");
        }
        (self.expected..=through).for_each(|_| self.piece.frontier.push_leaf(Hash::ZERO));
    }
}

/// The first number from `first` to `last` that no salvage spoke of; `lost` is in order.
fn untold(lost: &[(u64, u64)], first: u64, last: u64) -> Option<u64> {
    let mut next = first;
    for (from, to) in lost {
        if (*from..=*to).contains(&next) {
            next = to + 1;
        }
    }
    (next <= last).then_some(next)
}

/// What one entry of a salvage, by its number and body, says is lost.
pub fn lost_by(seq: u64, body: &[u8]) -> Vec<(u64, u64)> {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let runs: Vec<(u64, u64)> =
        serde_json::from_value(body["detail"]["lost"].clone()).unwrap_or_default();
    runs.into_iter().filter(|(from, to)| from <= to && *to < seq).collect()
}

/// What several salvages say is lost, put in order: a second one says again what the first one said.
pub fn in_order(mut lost: Vec<(u64, u64)>) -> Vec<(u64, u64)> {
    lost.sort_unstable();
    lost.dedup_by(|later, one| {
        let follows = later.0 <= one.1 + 1;
        if follows {
            one.1 = one.1.max(later.1);
        }
        follows
    });
    lost
}

/// What is wrong where the entries end, given that each follows from the one before: the head and the
/// last entry that there is, by number and hash.
pub fn bad_end(head: Option<(u64, Hash)>, end: (u64, Hash)) -> Option<BadEntry> {
    let bad = |seq, what: &str| Some(BadEntry { seq, what: what.to_owned() });
    match head {
        None if end.0 == 0 => None,
        None => bad(1, "there are entries but no head"),
        Some((seq, _)) if end.0 > seq => bad(seq + 1, "it lies beyond the head"),
        Some((seq, _)) if end.0 < seq => {
            bad(end.0 + 1, "it is missing: the head says that there are more entries")
        }
        Some((_, hash)) if end.1 != hash => bad(end.0, "its hash is not the head's"),
        Some(_) => None,
    }
}

impl Verification {
    /// Nothing read, and nothing wrong with it.
    pub fn nothing() -> Self {
        Verification {
            entries: 0,
            archived: 0,
            lost: Vec::new(),
            first_bad: None,
            last_good_checkpoint: None,
            problems: Vec::new(),
            remedy: None,
        }
    }

    /// Takes in what pieces gave, in their order, with the checkpoints that they were held against;
    /// `first` is where the first piece began, and `archive` what was taken out before it. Returns how many entries are steps of a rotation.
    pub fn take(
        &mut self,
        pieces: Vec<Piece>,
        checkpoints: &[Checkpoint],
        first: u64,
        archive: Option<&Archive>,
    ) -> u64 {
        self.archived = archive.map_or(0, |archive| archive.last);
        let behind = archive.filter(|archive| first == archive.last + 1);
        let mut whole = behind.map(|one| one.frontier.split(PIECE_HEIGHT).0).unwrap_or_default();
        let mut steps = 0;
        let mut rooted = first == 1 || behind.is_some();
        let stated = checkpoints.iter().find(|one| Some(one.size) == archive.map(|one| one.last));
        if let (Some(archive), Some(stated)) = (archive, stated) {
            if (stated.root, stated.head) == (archive.root, archive.head) {
                self.last_good_checkpoint = Some(stated.clone());
            } else {
                let (last, what) = (archive.last, "ends was changed");
                self.problems.push(format!("what says where the archive up to {last} {what}"));
            }
        }
        for (place, piece) in pieces.into_iter().enumerate() {
            // Behind pieces that were passed over, no root can be told.
            rooted &= piece.index == place as u64;
            if let Some(error) = piece.fault {
                // Damage below the level of rows: it is found, and it is where this piece stopped.
                self.problems.push(error.to_string());
            }
            self.entries += piece.entries;
            steps += piece.steps;
            if self.first_bad.is_none() {
                self.first_bad = piece.bad;
            }
            for checkpoint in checkpoints {
                let Some((part, hash)) = piece.at_checkpoint.get(&checkpoint.size) else {
                    continue;
                };
                let mut so_far = whole.clone();
                so_far.join(part);
                let agrees =
                    checkpoint.head == *hash && (!rooted || so_far.root() == checkpoint.root);
                if !agrees {
                    let size = checkpoint.size;
                    self.problems.push(format!("the checkpoint of size {size} does not agree"));
                } else if self.first_bad.as_ref().is_none_or(|bad| bad.seq > checkpoint.size) {
                    self.last_good_checkpoint = Some(checkpoint.clone());
                }
            }
            whole.join(&piece.frontier);
        }
        steps
    }

    /// Says that a checkpoint is of more entries than there are, if one is.
    pub fn take_end(&mut self, checkpoints: &[Checkpoint], last: u64) {
        if let Some(beyond) = checkpoints.iter().find(|checkpoint| checkpoint.size > last) {
            let (size, what) = (beyond.size, "entries were taken away");
            self.problems.push(format!("there is a checkpoint of size {size}, but {what}"));
        }
    }

    /// Says what to do of it, for a ledger at this place.
    #[must_use]
    pub fn advised(mut self, place: String) -> Self {
        self.remedy = match (&self.first_bad, self.problems.first()) {
            (Some(BadEntry { seq, what }), _) => {
                Some(Error::Broken { place, seq: *seq, what: what.clone() }.way_out())
            }
            (None, Some(what)) => Some(Error::Damaged { place, what: what.clone() }.way_out()),
            (None, None) => None,
        };
        self
    }
}
