//! The port to sinks: where a newly issued secret is put so that the integration can pick it up.
//!
//! A sink keeps small documents under paths. What is written there under compare-and-set is the
//! truth; the *mirror* beside it repeats the part that is no secret, so that plan and drift can
//! judge a document without reading a secret.

#[cfg(feature = "conformance")]
pub mod conformance;
pub mod document;
pub mod looks;
pub mod memory;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

use async_trait::async_trait;
use domain::path;
use jiff::Timestamp;

pub use document::{Document, Exposed};
pub use looks::{Looks, LooksPage};
pub use memory::{Fault, MemorySink, Saved};

/// The non-secret companion of a document: short texts under short keys.
pub type Mirror = BTreeMap<String, String>;

/// Which write of a document is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// The sink's version number of the document; grows with each write.
    pub number: u64,
    /// When the sink wrote it, by the sink's clock.
    pub created_at: Option<Timestamp>,
}

/// What may be known of a document without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// The current version.
    pub version: Version,
    /// The mirror as it stands; it may lag behind the document.
    pub mirror: Mirror,
    /// The current version was deleted or destroyed: there is a history and no content.
    pub deleted: bool,
}

/// A document with its version.
#[derive(Debug)]
pub struct Stored {
    /// The content; `None` where the current version is deleted.
    pub document: Option<Document>,
    /// Its version.
    pub version: Version,
}

/// What a write expects to find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// Nothing was ever written there.
    Nothing,
    /// Exactly this version number is current.
    Version(u64),
}

/// What a sink can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SinkCapabilities {
    /// Writes may name the version that they replace.
    pub compare_and_set: bool,
    /// What was written can be read back.
    pub readable: bool,
    /// Earlier versions can be read until they are destroyed.
    pub keeps_versions: bool,
    /// One version can be made unreadable for ever. A sink without this holds no claims: their pending
    /// secrets must be gone once they were delivered.
    pub destroys_versions: bool,
    /// The mirrors of a folder come in one request.
    pub lists_mirrors: bool,
    /// Only processes on this host see it.
    pub this_host_only: bool,
}

/// Why a sink did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SinkError {
    /// Somebody else wrote in between, or the document is there already.
    #[error("{place}: another version is there than expected")]
    Conflict {
        /// The document.
        place: String,
    },
    /// The sink refused: permission, wrong path, wrong kind of store.
    #[error("{place}: {reason}")]
    Refused {
        /// The document or folder.
        place: String,
        /// What was refused and what to do about it.
        reason: String,
    },
    /// Nothing that could hold it stands there, or something that is not used: no permission helps.
    #[error("{place}: {reason}")]
    Unfit {
        /// The document or folder.
        place: String,
        /// What is there, or is not.
        reason: String,
        /// What a person can do about it.
        next: String,
    },
    /// Something is there, and it is no document: it says nothing of itself.
    #[error("{place}: {reason}")]
    NoDocument {
        /// Where it is.
        place: String,
        /// What it is.
        reason: String,
    },
    /// The write may or may not have happened.
    #[error("{place}: the answer was lost: {reason}")]
    Ambiguous {
        /// The document.
        place: String,
        /// What happened to the answer.
        reason: String,
    },
    /// Nothing was sent, or only a read failed: it may be tried again freely.
    #[error("{place}: {reason}")]
    Unreachable {
        /// The document or folder.
        place: String,
        /// What went wrong.
        reason: String,
    },
    /// Its server is there and does not serve: it is sealed, or not ready. The same once more does not
    /// help.
    #[error("{place}: {reason}")]
    NotReady {
        /// The document or folder.
        place: String,
        /// What it said.
        reason: String,
        /// It was a write, which may have happened: something in between may have said so.
        maybe_written: bool,
    },
    /// Who signed its server's certificate is not known here: nothing was sent.
    #[error("{place}: {reason}")]
    Untrusted {
        /// The document or folder.
        place: String,
        /// The same, and where to name them.
        reason: String,
    },
    /// Our own credential is not accepted there.
    #[error("{place}: {reason}")]
    Unauthorized {
        /// The document or folder.
        place: String,
        /// What it said.
        reason: String,
    },
    /// The sink cannot do this at all.
    #[error("{place}: this sink cannot {what}")]
    Unsupported {
        /// The document or folder.
        place: String,
        /// The deed.
        what: &'static str,
    },
}

impl SinkError {
    /// Whether it is of a write that may or may not have happened.
    pub fn maybe_written(&self) -> bool {
        matches!(
            self,
            SinkError::Ambiguous { .. } | SinkError::NotReady { maybe_written: true, .. }
        )
    }
}

/// What every sink call answers.
pub type Result<T> = std::result::Result<T, SinkError>;

/// A path's segments, after slashes at its ends.
///
/// # Errors
///
/// [`SinkError::Refused`] where it is empty, has an empty segment, `.` or `..`, or a control
/// character: nothing that a sink is asked for climbs out of it.
pub fn segments(path: &str) -> Result<Vec<&str>> {
    path::segments(path).ok_or_else(|| SinkError::Refused {
        place: format!("{path:?}"),
        reason: "a path is names with single slashes between, without \".\" and \"..\"".into(),
    })
}

/// Where a document or a folder is in truth. Two connections to one store say the same of one
/// document, whatever they are called and however they reach it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    /// The store itself.
    pub store: String,
    /// Its own path in it.
    pub path: String,
}

impl Home {
    /// Whether it is that folder or lies in it.
    pub fn is_within(&self, folder: &Home) -> bool {
        self.store == folder.store && path::is_within(&self.path, &folder.path)
    }
}

/// One sink, as seen through one connection. Paths are relative to the connection.
#[async_trait]
pub trait Sink: fmt::Debug + Send + Sync {
    /// What it can do.
    fn capabilities(&self) -> SinkCapabilities;

    /// Where a document or a folder is in truth. At most one request a connection.
    ///
    /// # Errors
    ///
    /// The path is none, or the store does not say which one it is.
    async fn home(&self, path: &str) -> Result<Home>;

    /// Whether a document could be written at a path, as far as that can be told without writing:
    /// `None` where nothing speaks against it, else why it could not as things are now. At most one
    /// request for each mount or the like, whatever the number of documents.
    ///
    /// # Errors
    ///
    /// [`SinkError::Refused`]: none ever will, by the path or by the kind of store that is there.
    async fn check(&self, path: &str) -> Result<Option<String>> {
        segments(path).map(|_| None)
    }

    /// A document with its version; `None` where nothing was ever written.
    async fn read(&self, path: &str) -> Result<Option<Stored>>;

    /// An earlier version's content; `None` where it is destroyed or was never kept.
    async fn read_version(&self, path: &str, number: u64) -> Result<Option<Document>>;

    /// The versions that are not destroyed, oldest first: somebody may read them, or bring them back.
    async fn kept_versions(&self, path: &str) -> Result<Vec<u64>>;

    /// Version and mirror without the content. Sends nothing that a metadata reader may not.
    async fn look(&self, path: &str) -> Result<Option<Look>>;

    /// The looks of all documents directly in a folder, by name; empty where there is no folder.
    /// Needs [`SinkCapabilities::lists_mirrors`] to be one request; works without.
    async fn look_all(&self, folder: &str) -> Result<BTreeMap<String, Look>>;

    /// The names of all documents directly in a folder, as they are now and deleted ones too; a name of
    /// which nothing was ever written may be among them. Where the sink can, one request whatever their
    /// number.
    async fn names(&self, folder: &str) -> Result<BTreeSet<String>> {
        Ok(self.look_all(folder).await?.into_keys().collect())
    }

    /// The looks of all documents in a folder, to be shared by many readers of one folder: what this process has just read will
    /// do, and is not copied for each.
    async fn look_all_shared(&self, folder: &str) -> Result<Arc<Looks>> {
        Ok(Arc::new(self.look_all(folder).await?.into()))
    }

    /// Writes a new version.
    ///
    /// # Errors
    ///
    /// [`SinkError::Conflict`] if another version is current than expected; nothing was written.
    async fn write(&self, path: &str, document: &Document, expect: Expect) -> Result<Version>;

    /// Replaces the mirror. The content and its version stay as they are.
    async fn write_mirror(&self, path: &str, mirror: &Mirror) -> Result<()>;

    /// Makes one version unreadable for ever. Destroying it twice succeeds.
    ///
    /// # Errors
    ///
    /// [`SinkError::Unsupported`] where it does not claim [`SinkCapabilities::destroys_versions`].
    async fn destroy_version(&self, path: &str, number: u64) -> Result<()>;

    /// Prepares a path for claims: one version kept, compare-and-set required where the sink has
    /// such switches.
    async fn prepare_claim(&self, path: &str) -> Result<()>;

    /// How a person writes a document there, for whom the JSON object is in a file: a line for a shell.
    async fn line_to_write(&self, path: &str, file: &str) -> Result<String> {
        Ok(format!("cp {file} {path}"))
    }

    /// What our own credential lacks for documents directly in a folder, in whole sentences. Empty
    /// where nothing is lacking, and where nothing tells.
    async fn lacks(&self, folder: &str) -> Result<Vec<String>> {
        let _ = folder;
        Ok(Vec::new())
    }
}
