//! What a ledger refuses, each with its code and the way out.

use crate::{canonical, lease::Fence};

/// Shorthand for what the port's verbs return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a ledger did not do what was asked.
///
/// The text says what happened; [`Error::remedy`] says what to do; [`Error::code`] is stable and
/// what documentation and tests name.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The ledger was opened for reading, or its file or folder does not allow more.
    #[error("the ledger {place} cannot be written: {why}")]
    ReadOnly {
        /// Where the ledger is.
        place: String,
        /// Who forbids it: the run, the file's mode, the folder.
        why: String,
    },
    /// The operating system refuses even reading.
    #[error("the ledger {place} cannot be opened: {why}")]
    Unreadable {
        /// Where the ledger is.
        place: String,
        /// What the operating system or the database said.
        why: String,
    },
    /// The server that keeps it does not answer, or takes nobody now.
    #[error("the ledger {place} cannot be reached: {why}")]
    Unreachable {
        /// Where the ledger is.
        place: String,
        /// What the operating system or the server said.
        why: String,
    },
    /// No room left; what was acknowledged before is safe, this append is not in the ledger.
    #[error("the disk below the ledger {place} is full; nothing more was kept")]
    Full {
        /// Where the ledger is.
        place: String,
    },
    /// So little room left that nothing new is begun: it might not be journalled to its end.
    #[error("the disk below the ledger {place} has only {free} MiB left; nothing new is begun")]
    Short {
        /// Where the ledger is.
        place: String,
        /// What is left, in MiB.
        free: u64,
    },
    /// Another process held the write lock for longer than we wait.
    #[error("another process kept the ledger {place} locked for more than {seconds} s")]
    Busy {
        /// Where the ledger is.
        place: String,
        /// How long we waited.
        seconds: u64,
    },
    /// What was to be begun was begun under a lease that somebody else may have by now.
    #[error(
        "{subject} is no longer this run's to work on: its lease in the ledger {place} is over"
    )]
    Fenced {
        /// Where the ledger is.
        place: String,
        /// What the lease was about.
        subject: String,
    },
    /// An entry, a row or the head does not agree with the chain.
    #[error("the chain of the ledger {place} is broken at entry {seq}: {what}")]
    Broken {
        /// Where the ledger is.
        place: String,
        /// The first entry that does not agree.
        seq: u64,
        /// What is wrong with it.
        what: String,
    },
    /// The file is damaged below the level of entries.
    #[error("the ledger {place} is damaged: {what}")]
    Damaged {
        /// Where the ledger is.
        place: String,
        /// What the database said.
        what: String,
    },
    /// The file is damaged so far that nothing of it can be taken over.
    #[error("nothing of the ledger {place} can be saved: {what}")]
    Lost {
        /// Where the ledger is.
        place: String,
        /// What the database said.
        what: String,
    },
    /// The file is something else.
    #[error("{place} is not a ledger: {what}")]
    NotALedger {
        /// The file.
        place: String,
        /// What it is instead, as far as we can tell.
        what: String,
    },
    /// A later program has changed the tables.
    #[error("the ledger {place} has tables of version {found}; this program knows up to {known}")]
    Newer {
        /// Where the ledger is.
        place: String,
        /// Version found.
        found: u32,
        /// Highest version known.
        known: u32,
    },
    /// An older program made the tables, and they may not be changed now.
    #[error(
        "the ledger {place} has tables of version {found}, which must first be brought to {known}, and this run may not do that"
    )]
    Older {
        /// Where the ledger is.
        place: String,
        /// Version found.
        found: u32,
        /// Version needed.
        known: u32,
    },
    /// The ledger belongs to another realm.
    #[error(
        "the ledger {place} belongs to the realm {found:?}, the configuration says {expected:?}"
    )]
    OtherRealm {
        /// Where the ledger is.
        place: String,
        /// The realm in the ledger.
        found: String,
        /// The realm in the configuration.
        expected: String,
    },
    /// The database's locks do not hold on this file system.
    #[error("the ledger {place} is on a network file system ({system}), where locks do not hold")]
    NetworkFileSystem {
        /// Where the ledger is.
        place: String,
        /// Its name, such as NFS.
        system: &'static str,
    },
    /// What another ledger was exported into is not whole, or does not agree with itself.
    #[error("the export {place} is not whole, line {line}: {what}")]
    Export {
        /// Where the export is.
        place: String,
        /// The line, from 1.
        line: u64,
        /// What is wrong there.
        what: String,
    },
    /// There is a history where another one was to be taken over.
    #[error("the ledger {place} has begun already, and two histories are not mixed")]
    NotEmpty {
        /// Where the ledger is.
        place: String,
    },
    /// An entry or a document cannot be written in canonical form.
    #[error("an entry of kind {kind:?} cannot be kept: {source}")]
    Body {
        /// The entry's kind.
        kind: String,
        /// What is wrong with its body, with the path.
        source: canonical::Error,
    },
    /// The caller asked for something that cannot be.
    #[error("{0}")]
    Usage(String),
    /// The store stopped: its thread ended or the runtime is shutting down.
    #[error("the ledger {place} was closed before it could answer")]
    Closed {
        /// Where the ledger is.
        place: String,
    },
    /// Anything else the database said.
    #[error("the ledger {place} failed to {step}: {why}")]
    Failed {
        /// Where the ledger is.
        place: String,
        /// What was being done, as a verb phrase.
        step: &'static str,
        /// What the database said.
        why: String,
    },
}

impl Error {
    /// That this lease is over.
    pub fn fenced(place: String, fence: &Fence) -> Error {
        Error::Fenced { place, subject: fence.subject.clone() }
    }

    /// The stable code: `E-LEDGER-…`.
    pub fn code(&self) -> &'static str {
        match self {
            Error::ReadOnly { .. } => "E-LEDGER-READ-ONLY",
            Error::Unreadable { .. } => "E-LEDGER-UNREADABLE",
            Error::Unreachable { .. } => "E-LEDGER-UNREACHABLE",
            Error::Full { .. } | Error::Short { .. } => "E-LEDGER-FULL",
            Error::Busy { .. } => "E-LEDGER-BUSY",
            Error::Fenced { .. } => "E-LEDGER-FENCED",
            Error::Broken { .. } => "E-LEDGER-BROKEN",
            Error::Damaged { .. } => "E-LEDGER-DAMAGED",
            Error::Lost { .. } => "E-LEDGER-LOST",
            Error::NotALedger { .. } => "E-LEDGER-NOT-ONE",
            Error::Newer { .. } => "E-LEDGER-NEWER",
            Error::Older { .. } => "E-LEDGER-OLDER",
            Error::OtherRealm { .. } => "E-LEDGER-REALM",
            Error::NetworkFileSystem { .. } => "E-LEDGER-NETWORK",
            Error::Export { .. } => "E-LEDGER-EXPORT",
            Error::NotEmpty { .. } => "E-LEDGER-NOT-EMPTY",
            Error::Body { .. } => "E-LEDGER-BODY",
            Error::Usage(_) => "E-LEDGER-USAGE",
            Error::Closed { .. } => "E-LEDGER-CLOSED",
            Error::Failed { .. } => "E-LEDGER",
        }
    }

    /// What to do about it, in a sentence or two.
    pub fn remedy(&self) -> String {
        match self {
            Error::Broken { .. } | Error::Damaged { .. } => {
                format!("{} `nhi ledger verify` lists all of the damage.", self.way_out())
            }
            other => other.way_out(),
        }
    }

    /// The same for who has looked at all of it.
    pub fn way_out(&self) -> String {
        if let Some(way) = self.way_out_of_database() {
            return way;
        }
        match self {
            Error::Unreachable { place, .. } => format!(
                "Make sure that {place} is there and can be reached, then run the same command again."
            ),
            Error::ReadOnly { place, .. } => format!(
                "Reading goes on; to change something, apply as a user who may write {place} and its folder, with no read_only = true in nhi.hcl."
            ),
            Error::Unreadable { place, .. } => format!(
                "Check that the folder of {place} is there, that this user may read the file and enter the folder, and that its -wal and -shm files, if there are any, lie beside it."
            ),
            Error::Full { place } | Error::Short { place, .. } => format!(
                "Free some space (64 MiB is plenty) on the disk of {place}, then run the same command again."
            ),
            Error::Busy { place, .. } => format!(
                "Wait for the other run to finish, or find out who holds {place} open; then run the same command again."
            ),
            Error::Fenced { .. } => "Nothing was begun here. Another process goes on with it, or the next tick does; where it happens often, let the machine, or the database, have less to do.".to_owned(),
            Error::Broken { place, seq, .. } => {
                set_aside(place, &format!(" The entries before {seq} can still be trusted."))
            }
            Error::Damaged { place, .. } => set_aside(place, ""),
            Error::Lost { place, .. } => format!(
                "Restore {place} from a backup. Without one, {}", begin_anew(place)
            ),
            Error::NotALedger { place, .. } => format!(
                "If it was one, run `nhi ledger salvage`, which saves what entries it finds, or restore it from a backup; if it never was, name another path in `ledger` of nhi.hcl. With none of these, {}", begin_anew(place)
            ),
            Error::Newer { .. } => "Upgrade nhi and the provider; nothing was changed.".to_owned(),
            Error::Older { place, .. } => format!(
                "Run `nhi ledger upgrade`, or apply once: what writes first brings {place} up to date."
            ),
            Error::OtherRealm { .. } => "Point `ledger` in nhi.hcl at this realm's own file, or correct `realm`; histories of two realms are not mixed.".to_owned(),
            Error::NetworkFileSystem { .. } => "Put the ledger on a local disk: set `ledger = { sqlite = { path = … } }` in nhi.hcl. Plan and apply also work with no ledger at all.".to_owned(),
            Error::Export { .. } => "Nothing was taken over. Write it again, with `nhi ledger export` where the ledger is that it comes from.".to_owned(),
            Error::NotEmpty { .. } => "Nothing was taken over. Let `ledger` in nhi.hcl lead to a place where no ledger is yet.".to_owned(),
            Error::Body { .. } => "This is a mistake in nhi: please report it with the kind and the path above.".to_owned(),
            Error::Usage(_) => "Correct the request and run the command again.".to_owned(),
            Error::Closed { .. } => "Run the same command again.".to_owned(),
            Error::Failed { place, .. } => format!(
                "Run `nhi ledger verify` to see whether {place} is sound, then run the same command again."
            ),
        }
    }
}

impl Error {
    /// The way out where the ledger is in a database of a server: other than where it is in a file.
    fn way_out_of_database(&self) -> Option<String> {
        let ours = |place: &&String| place.starts_with("postgresql://");
        Some(match self {
            Error::ReadOnly { place, .. } => format!(
                "Reading goes on; to change something, sign in to {} as a role that may write: grant nhi_writer to it, or let ledger in nhi.hcl lead to the primary.",
                ours(&place).then_some(place)?
            ),
            Error::Unreadable { place, .. } => format!(
                "Check in ledger of nhi.hcl the database, the user and where its password is, and that the server {} lets this user in.",
                ours(&place).then_some(place)?
            ),
            Error::Full { place } | Error::Short { place, .. } => format!(
                "Free some space on the disk of the server {}, then run the same command again.",
                ours(&place).then_some(place)?
            ),
            Error::Broken { place, seq, .. } => format!(
                "Restore {} from a backup: the entries before {seq} can still be trusted. Until then power can be taken away, and nothing new is begun.",
                ours(&place).then_some(place)?
            ),
            Error::Older { place, .. } => format!(
                "Let the role that owns the tables of {} do it once: name it in ledger of nhi.hcl and run `nhi ledger upgrade`.",
                ours(&place).then_some(place)?
            ),
            Error::Damaged { place, .. } | Error::Lost { place, .. } => format!(
                "Restore {} from a backup. Without one, drop its schema nhi: the next apply that changes something begins a new ledger. What is lost is history: plan and apply are as right as before.",
                ours(&place).then_some(place)?
            ),
            Error::NotALedger { place, .. } => format!(
                "Let ledger in nhi.hcl lead to a database of its own, in UTF8, instead of {}.",
                ours(&place).then_some(place)?
            ),
            Error::OtherRealm { place, .. } => {
                ours(&place).then_some(())?;
                "Let `ledger` in nhi.hcl lead to this installation's own database, or correct `realm`; two histories are not mixed.".to_owned()
            }
            _ => return None,
        })
    }
}

/// What is lost without a ledger, and how there is one again.
fn begin_anew(place: &str) -> String {
    format!(
        "move {place} away, and {place}-wal with it if that is there: the next apply that changes something begins a new ledger. What is lost is history: plan and apply are as right as before."
    )
}

fn set_aside(place: &str, trusted: &str) -> String {
    format!(
        "Restore {place} from a backup, or run `nhi ledger salvage`: it takes over what is sound into a new file, says there what is lost, and sets the damaged one aside.{trusted}"
    )
}
