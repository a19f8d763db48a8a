//! Entries straight from a file's pages, for where the way to them is damaged.
//!
//! A page that leads to others, or says where a table is, takes every row below it along when it is
//! lost, though the rows are as readable as before. Here each page is looked at for itself. That is
//! no weaker than a look through the database: a row counts for its body, and that is judged by the
//! chain. The layout is SQLite's file format, in its documentation section 1.6 and 2.

use std::{collections::BTreeMap, fs::File, os::unix::fs::FileExt, path::Path};

use ledger::{Hash, canonical};

use crate::place;

/// What our own files have; a page of its own size is only believed if it is one that can be.
const PAGE: usize = 4096;
/// A page of rows of a table.
const LEAF: u8 = 0x0D;
/// What is before the rows on the first page.
const FILE_HEADER: usize = 100;
const LOG_HEADER: u64 = 32;
const FRAME_HEADER: usize = 24;
/// The columns of an entry, and which of them are read.
const COLUMNS: usize = 7;
const BODY: usize = 5;
const HASH: usize = 6;
/// No row of an entry is longer: what says so is not one.
const ROW_MAX: usize = 64 * 1024;

/// Where a row begins: the page and the place on it.
type At = (u32, usize);

/// The pages of a damaged ledger and of its log, and the entries on them.
pub(crate) struct Pages {
    file: File,
    log: Option<File>,
    size: usize,
    /// Without what is kept for extensions at each page's end.
    usable: usize,
    count: u32,
    /// Where the log has a newer copy of a page.
    newer: BTreeMap<u32, u64>,
    entries: BTreeMap<u64, At>,
}

impl Pages {
    /// Looks at every page; nothing where there is no file to read.
    pub(crate) fn read(path: &Path) -> Option<Pages> {
        let file = File::open(path).ok()?;
        let mut header = [0; FILE_HEADER];
        let _ = file.read_at(&mut header, 0);
        let said = match u16::from_be_bytes([header[16], header[17]]) {
            1 => 65_536,
            size => usize::from(size),
        };
        let known = header.starts_with(b"SQLite format 3\0");
        let size = if known && said.is_power_of_two() && said >= 512 { said } else { PAGE };
        let kept = if known { usize::from(header[20]) } else { 0 };
        let length = usize::try_from(file.metadata().ok()?.len()).ok()?;
        let mut pages = Pages {
            file,
            log: None,
            size,
            usable: size - kept,
            count: u32::try_from(length.div_ceil(size)).ok()?,
            newer: BTreeMap::new(),
            entries: BTreeMap::new(),
        };
        pages.read_log(path);
        for number in 1..=pages.count {
            let Some(page) = pages.page(number) else { continue };
            for at in pages.rows(number, &page) {
                if let Some((seq, ..)) = pages.entry(at) {
                    pages.entries.entry(seq).or_insert(at);
                }
            }
        }
        Some(pages)
    }

    /// Finds the pages that the log has: those of its present round, which have its header's salt.
    fn read_log(&mut self, path: &Path) {
        let Ok(log) = File::open(place::beside(path, "-wal")) else { return };
        let mut header = [0; LOG_HEADER as usize];
        if log.read_exact_at(&mut header, 0).is_err() {
            return;
        }
        let mut at = LOG_HEADER;
        let mut frame = [0; FRAME_HEADER];
        while log.read_exact_at(&mut frame, at).is_ok() && frame[8..16] == header[16..24] {
            let number = u32::from_be_bytes([frame[0], frame[1], frame[2], frame[3]]);
            self.newer.insert(number, at + FRAME_HEADER as u64);
            at += (FRAME_HEADER + self.size) as u64;
        }
        let last = self.newer.keys().next_back().copied().unwrap_or_default();
        self.count = self.count.max(last.min(self.count.saturating_add(1 << 20)));
        self.log = Some(log);
    }

    fn page(&self, number: u32) -> Option<Vec<u8>> {
        let mut page = vec![0; self.size];
        let newer = self.newer.get(&number).zip(self.log.as_ref());
        let read = match newer {
            Some((at, log)) => log.read_at(&mut page, *at),
            None => {
                let at = u64::from(number.checked_sub(1)?) * self.size as u64;
                self.file.read_at(&mut page, at)
            }
        };
        // The last page of a file that was cut off is still worth a look.
        read.is_ok_and(|read| read > 0).then_some(page)
    }

    /// Where the rows of a page begin, if it is one of rows.
    fn rows(&self, number: u32, page: &[u8]) -> Vec<At> {
        let start = if number == 1 { FILE_HEADER } else { 0 };
        if page.get(start) != Some(&LEAF) {
            return Vec::new();
        }
        let many = two(page, start + 3).unwrap_or_default();
        let places = (0..many).filter_map(|cell| two(page, start + 8 + 2 * cell));
        places.filter(|at| *at > start).map(|at| (number, at)).collect()
    }

    /// The entry that begins there, if it is one: its number, hash and body.
    fn entry(&self, (number, at): At) -> Option<(u64, Hash, Vec<u8>)> {
        let page = self.page(number)?;
        let mut cell = page.get(at..self.usable)?;
        let length =
            usize::try_from(varint(&mut cell)?).ok().filter(|length| *length <= ROW_MAX)?;
        let seq = varint(&mut cell)?;
        let row = self.payload(cell, length)?;

        let mut header = row.as_slice();
        let all = usize::try_from(varint(&mut header)?).ok()?;
        let mut header = row.get(row.len() - header.len()..all)?;
        let mut values = row.get(all..)?;
        let mut columns = Vec::with_capacity(COLUMNS);
        while !header.is_empty() {
            let (value, rest) = values.split_at_checked(width(varint(&mut header)?)?)?;
            columns.push(value);
            values = rest;
        }
        if columns.len() != COLUMNS {
            return None;
        }
        let hash = Hash(columns[HASH].try_into().ok()?);
        let body = columns[BODY].to_vec();
        let mut members = canonical::members(&body);
        let (_, said) = members.find(|(name, _)| *name == b"seq")?;
        (std::str::from_utf8(said).ok()?.parse() == Ok(seq)).then_some((seq, hash, body))
    }

    /// A row, with what of it lies on pages of its own.
    fn payload(&self, cell: &[u8], length: usize) -> Option<Vec<u8>> {
        let usable = self.usable;
        let most = usable.checked_sub(35)?;
        if length <= most {
            return cell.get(..length).map(<[u8]>::to_vec);
        }
        let least = (usable - 12) * 32 / 255 - 23;
        let wanted = least + (length - least) % (usable - 4);
        let here = if wanted <= most { wanted } else { least };
        let mut row = cell.get(..here)?.to_vec();
        let mut next = four(cell, here)?;
        while row.len() < length {
            let page = self.page(next)?;
            next = four(&page, 0)?;
            let rest = (length - row.len()).min(usable - 4);
            row.extend_from_slice(page.get(4..4 + rest)?);
        }
        Some(row)
    }

    /// The first entry with a number below this one, or at all; each is handed out once, in order.
    /// The one with this number is not wanted from here.
    pub(crate) fn next(&mut self, below: Option<u64>) -> Option<(u64, Hash, Vec<u8>)> {
        loop {
            let (seq, _) = self.entries.first_key_value()?;
            if below.is_some_and(|below| *seq > below) {
                return None;
            }
            let (seq, at) = self.entries.pop_first()?;
            if below == Some(seq) {
                return None;
            }
            if let Some(entry) = self.entry(at) {
                return Some(entry);
            }
        }
    }
}

fn two(bytes: &[u8], at: usize) -> Option<usize> {
    let [high, low] = *bytes.get(at..)?.first_chunk()?;
    Some(usize::from(u16::from_be_bytes([high, low])))
}

fn four(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// A number of one to nine bytes, which are taken off.
fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for place in 0..9 {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        if place == 8 {
            return Some(number << 8 | u64::from(*byte));
        }
        number = number << 7 | u64::from(byte & 0x7F);
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

/// How many bytes a value of this type takes.
fn width(kind: u64) -> Option<usize> {
    match kind {
        0 | 8 | 9 => Some(0),
        1..=4 => usize::try_from(kind).ok(),
        5 => Some(6),
        6 | 7 => Some(8),
        10 | 11 => None,
        more => usize::try_from((more - 12) / 2).ok(),
    }
}
