//! Evidence: entries of the ledger about something, with what an auditor needs to check them without us.
//!
//! A bundle is one JSON document in one spelling. What it tells in words is computed from its entries, and
//! computed again by whoever checks it; what cannot be is under `claimed`. A seal covers all of it.

use std::{collections::BTreeMap, fmt::Write as _};

use data_encoding::BASE64;
use jiff::Timestamp;
use ledger::{Entry, Hash};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub(crate) mod collect;
pub(crate) mod controls;
pub(crate) mod form;
mod html;
#[cfg(test)]
mod tests;
pub(crate) mod told;
pub(crate) mod verify;

/// What a bundle says that it is.
pub(crate) const FORMAT: &str = "nhi-evidence/1";

/// The most that is read of one.
pub(crate) const LARGEST: u64 = 512 << 20;

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Asked {
    /// Of one integration and what hangs below it.
    Integration(String),
    /// Of one change, by its digest in hexadecimal digits.
    Change(String),
    /// Of all between two moments.
    Period {
        /// From then on.
        since: Timestamp,
        /// Until before then.
        until: Timestamp,
    },
}

/// Entries and what is needed to check them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Bundle {
    pub(crate) format: String,
    pub(crate) asked: Asked,
    pub(crate) made: Made,
    pub(crate) tree: Stated,
    /// A signed note that states the tree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) checkpoint: Option<String>,
    pub(crate) told: Value,
    pub(crate) claimed: Claimed,
    pub(crate) entries: Vec<Piece>,
    /// Documents that entries name, by their hash.
    pub(crate) documents: BTreeMap<String, String>,
    /// Signed statements that were kept beside the configuration, in base64.
    pub(crate) statements: Vec<Kept>,
    pub(crate) seal: Seal,
}

/// When and by what it was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Made {
    pub(crate) at: Timestamp,
    pub(crate) program: String,
}

/// The ledger's tree as it was then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Stated {
    pub(crate) origin: String,
    pub(crate) size: u64,
    pub(crate) root: String,
    /// Entries up to here lie in files, and none of them is in here.
    pub(crate) archived: u64,
}

/// What nothing in here shows: whoever made it says so.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Claimed {
    /// Findings that were open, of a report of `nhi drift`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) findings: Option<Value>,
    /// When that report was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) findings_at: Option<String>,
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Piece {
    pub(crate) seq: u64,
    /// The hash of the entry before it.
    pub(crate) prev: String,
    pub(crate) hash: String,
    /// The very bytes that were hashed.
    pub(crate) body: String,
    /// That it is in the tree, nearest sibling first.
    pub(crate) proof: Vec<String>,
}

/// A statement that somebody signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Kept {
    pub(crate) place: String,
    pub(crate) envelope: String,
}

/// What covers all the rest.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Seal {
    pub(crate) sha256: String,
    /// A signed note that says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) note: Option<String>,
}

impl Bundle {
    /// Its one spelling.
    pub(crate) fn to_text(&self) -> String {
        let text = serde_json::to_string_pretty(self).unwrap_or_default();
        let mut plain = String::with_capacity(text.len() + 1);
        // Only what every terminal and editor leaves as it is; what is not stands in strings alone.
        for one in text.chars() {
            match one {
                ' '..='~' | '\n' => plain.push(one),
                one => one.encode_utf16(&mut [0; 2]).iter().for_each(|unit| {
                    let _ = write!(plain, "\\u{unit:04x}");
                }),
            }
        }
        plain.push('\n');
        plain
    }

    /// Reads one. Any other spelling of it is refused, so that no byte of it can be changed unseen.
    ///
    /// # Errors
    ///
    /// Why it is none.
    pub(crate) fn from_text(text: &str) -> Result<Bundle, String> {
        let bundle: Bundle =
            serde_json::from_str(text).map_err(|error| format!("it is no evidence: {error}"))?;
        if bundle.format != FORMAT {
            return Err(format!("it says {:?}, and this reads {FORMAT}", bundle.format));
        }
        match bundle.to_text() == text {
            true => Ok(bundle),
            false => {
                Err("somebody edited it: it is not in the spelling in which it is written".into())
            }
        }
    }

    /// The digest of all but the seal.
    pub(crate) fn digest(&self) -> String {
        let open = Bundle { seal: Seal::default(), ..self.clone() };
        Hash::of(format!("{FORMAT}\n{}", open.to_text()).as_bytes()).to_string()
    }

    /// What the note of the seal says.
    pub(crate) fn sealed_text(&self) -> String {
        format!("{FORMAT}\n{}\n{}\n", self.tree.origin, self.seal.sha256)
    }

    /// The entries as they were written; nothing of one that cannot be read.
    pub(crate) fn read(&self) -> Vec<Entry> {
        let one = |piece: &Piece| {
            let hash = Hash::from_hex(&piece.hash)?;
            Entry::read(piece.seq, hash, piece.body.clone().into_bytes()).ok()
        };
        self.entries.iter().filter_map(one).collect()
    }

    /// A document by its hash.
    pub(crate) fn document(&self, hash: &Hash) -> Option<Value> {
        serde_json::from_str(self.documents.get(&hash.to_string())?).ok()
    }

    /// Every statement that it has of an entry, the ledger's own first.
    pub(crate) fn envelopes(&self, entry: &Entry) -> Vec<(String, Vec<u8>)> {
        let kept = entry.kept(|hash| self.document(hash)).into_iter();
        let kept = kept.filter(|(name, _)| name == "approval" || name == "review");
        let own: Vec<_> = kept.map(|(_, bytes)| ("the ledger".to_owned(), bytes)).collect();
        if !own.is_empty() {
            return own;
        }
        let beside = self.statements.iter().filter_map(|one| {
            Some((one.place.clone(), BASE64.decode(one.envelope.as_bytes()).ok()?))
        });
        beside.collect()
    }
}
