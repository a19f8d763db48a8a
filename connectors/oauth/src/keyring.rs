//! The document of one client in the keyring: where it is managed, with which token, and what we
//! want of it. The registration token changes with every change and stands nowhere else.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use connector::{Error, Result};
use domain::{
    Record, Secret,
    realm::{digest_of, short},
};
use futures::{FutureExt, StreamExt, future::BoxFuture, stream};
use secrets::{Document, Expect, Mirror, Sink, SinkError};
use serde_json::{Value, json};

/// How often the new token is written before we give up: it must not be lost.
const TRIES: u32 = 12;

/// How many documents are read at once in a listing.
const AT_ONCE: usize = 8;

/// How far a deed has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// A registration was begun; whether the server has one is not known.
    Creating,
    /// A change was begun; the token may be an old one.
    Changing,
    /// Nothing is open.
    Settled,
    /// We deleted it, and the server said so.
    Deleted,
}

impl Phase {
    fn as_str(self) -> &'static str {
        match self {
            Phase::Creating => "creating",
            Phase::Changing => "changing",
            Phase::Settled => "settled",
            Phase::Deleted => "deleted",
        }
    }
}

/// What we want of a client that stands nowhere at the server.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Wanted {
    /// The grant types that it has when it is open.
    pub(crate) grants: BTreeSet<String>,
    pub(crate) enabled: bool,
    pub(crate) record: Record,
    /// What its ended secrets were, as digests: none of them is to work again.
    pub(crate) ended: BTreeSet<String>,
}

/// What a secret that is ended is known by.
pub(crate) fn digest(secret: &Secret) -> String {
    short(&digest_of("nhi-ended/1", &[secret.expose()]), 40)
}

/// One client's document.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) phase: Phase,
    pub(crate) name: String,
    pub(crate) client_id: String,
    pub(crate) uri: String,
    pub(crate) token: Secret,
    /// A client secret that came with an answer, until the server shows it to whoever asks.
    pub(crate) secret: Option<Secret>,
    pub(crate) wanted: Wanted,
    /// How many seconds its tokens live, once one was seen.
    pub(crate) token_life: Option<i64>,
    /// The server gave another token when it was only looked at.
    pub(crate) turns: bool,
    /// How many registrations were begun under this name whose answers are lost.
    pub(crate) lost: u64,
    /// The version that was read or written; 0 before the first.
    version: u64,
}

impl Entry {
    pub(crate) fn new(name: &str, grants: BTreeSet<String>, record: Record) -> Entry {
        Entry {
            phase: Phase::Creating,
            name: name.to_owned(),
            client_id: String::new(),
            uri: String::new(),
            token: Secret::new(""),
            secret: None,
            wanted: Wanted { grants, enabled: true, record, ended: BTreeSet::new() },
            token_life: None,
            turns: false,
            lost: 0,
            version: 0,
        }
    }

    /// Takes the place of an earlier client's document, which is deleted or never was.
    pub(crate) fn over(self, earlier: &Entry) -> Entry {
        Entry { version: earlier.version, lost: earlier.lost, ..self }
    }

    fn document(&self) -> Document {
        let state = json!({
            "v": 1,
            "phase": self.phase.as_str(),
            "name": self.name,
            "client_id": self.client_id,
            "uri": self.uri,
            "grants": self.wanted.grants,
            "enabled": self.wanted.enabled,
            "ended": self.wanted.ended,
            "token_life": self.token_life,
            "turns": self.turns,
            "lost": self.lost,
        });
        let document = Document::default()
            .with("state", Secret::new(state.to_string()))
            .with("record", Secret::new(self.wanted.record.to_json()))
            .with("registration_token", self.token.duplicate());
        match &self.secret {
            Some(secret) => document.with("client_secret", secret.duplicate()),
            None => document,
        }
    }

    fn read(document: &Document, version: u64) -> Option<Entry> {
        let state: Value = serde_json::from_str(document.get("state")?.expose()).ok()?;
        let text = |name: &str| state.get(name).and_then(Value::as_str).map(str::to_owned);
        let phase = match text("phase")?.as_str() {
            "creating" => Phase::Creating,
            "changing" => Phase::Changing,
            "settled" => Phase::Settled,
            "deleted" => Phase::Deleted,
            _ => return None,
        };
        let grants = state.get("grants")?.as_array()?.iter();
        let ended = state.get("ended").and_then(Value::as_array).into_iter().flatten();
        Some(Entry {
            phase,
            name: text("name")?,
            client_id: text("client_id")?,
            uri: text("uri")?,
            token: document.get("registration_token")?.duplicate(),
            secret: document.get("client_secret").map(Secret::duplicate),
            wanted: Wanted {
                grants: grants.filter_map(Value::as_str).map(str::to_owned).collect(),
                enabled: state.get("enabled")?.as_bool()?,
                record: Record::from_json(document.get("record")?.expose()).ok()?,
                ended: ended.filter_map(Value::as_str).map(str::to_owned).collect(),
            },
            token_life: state.get("token_life").and_then(Value::as_i64),
            turns: state.get("turns").and_then(Value::as_bool).unwrap_or(false),
            lost: state.get("lost").and_then(Value::as_u64).unwrap_or(0),
            version,
        })
    }
}

/// The keyring of one connection.
#[derive(Debug, Clone)]
pub(crate) struct Keyring {
    sink: Arc<dyn Sink>,
    folder: String,
}

impl Keyring {
    pub(crate) fn new(sink: Arc<dyn Sink>, folder: &str) -> Keyring {
        Keyring { sink, folder: folder.trim_end_matches('/').to_owned() }
    }

    /// Named by tenant and name, since both are known before the client is.
    pub(crate) fn path(&self, tenant: &str, name: &str) -> String {
        format!("{}/oauth-{}", self.folder, short(&digest_of("nhi-keyring/1", &[tenant, name]), 20))
    }

    /// A client's document; `None` where there never was one.
    pub(crate) async fn read(&self, tenant: &str, name: &str) -> Result<Option<Entry>> {
        self.read_at(&self.path(tenant, name)).await
    }

    async fn read_at(&self, path: &str) -> Result<Option<Entry>> {
        let Some(stored) = self.sink.read(path).await? else { return Ok(None) };
        let entry =
            stored.document.as_ref().and_then(|one| Entry::read(one, stored.version.number));
        entry.map(Some).ok_or_else(|| {
            Error::Keyring(SinkError::Refused {
                place: path.to_owned(),
                reason: "it is deleted or damaged, and held the only token that manages this client: ask the \
                         server's administrator for a new registration token, or register a successor"
                    .into(),
            })
        })
    }

    /// A document that was found in a listing, if it is of that tenant: several connections keep
    /// theirs in one folder.
    async fn listed(&self, tenant: &str, name: &str) -> Result<Option<Entry>> {
        let path = format!("{}/{name}", self.folder);
        let entry = self.read_at(&path).await?;
        Ok(entry.filter(|entry| self.path(tenant, &entry.name) == path))
    }

    /// The document of a client whose name is not known. A document whose mirror lags is opened: what
    /// it lacks proves nothing.
    pub(crate) async fn find(&self, tenant: &str, client_id: &str) -> Result<Option<Entry>> {
        let looks = self.sink.look_all_shared(&self.folder).await?;
        let of = |client_id: &str| {
            let names = looks.bearing("client", client_id).into_iter().map(|(name, _)| name);
            names.filter(|name| name.starts_with("oauth-")).collect::<Vec<_>>()
        };
        for name in of(client_id) {
            if let Some(entry) = self.listed(tenant, name).await? {
                return Ok(Some(entry));
            }
        }
        for name in of("") {
            // One that cannot be read is not known to be this one's.
            let read = self.listed(tenant, name).await;
            if let Ok(Some(entry)) = read
                && entry.client_id == client_id
            {
                return Ok(Some(entry));
            }
        }
        Ok(None)
    }

    /// Every document of a tenant that is readable, and why others are not.
    pub(crate) async fn all(&self, tenant: &str) -> Result<(Vec<Entry>, Vec<String>)> {
        let looks = self.sink.look_all_shared(&self.folder).await?;
        let names = looks.iter().map(|(name, _)| name);
        let reads: Vec<BoxFuture<'_, _>> = names
            .filter(|name| name.starts_with("oauth-"))
            .map(|name| async move { self.listed(tenant, name).await }.boxed())
            .collect();
        let (mut entries, mut broken) = (Vec::new(), Vec::new());
        let mut reads = stream::iter(reads).buffered(AT_ONCE);
        while let Some(read) = reads.next().await {
            match read {
                Ok(Some(entry)) => entries.push(entry),
                Ok(None) => {}
                Err(error) => broken.push(error.to_string()),
            }
        }
        Ok((entries, broken))
    }

    /// Writes over exactly what was read: two who act on one client meet here.
    pub(crate) async fn write(&self, tenant: &str, entry: &mut Entry) -> Result<()> {
        let path = self.path(tenant, &entry.name);
        if entry.version == 0 {
            // Old tokens are of no use to anybody, and blanked by the server at once.
            self.sink.prepare_claim(&path).await?;
        }
        let expect = match entry.version {
            0 => Expect::Nothing,
            number => Expect::Version(number),
        };
        entry.version = self.sink.write(&path, &entry.document(), expect).await?.number;
        let mirror = Mirror::from([
            ("client".to_owned(), entry.client_id.clone()),
            ("phase".to_owned(), entry.phase.as_str().to_owned()),
        ]);
        // The mirror may lag; the document is what counts.
        let _ = self.sink.write_mirror(&path, &mirror).await;
        Ok(())
    }

    /// Writes what must not be lost, for as long as there is any hope.
    pub(crate) async fn keep(&self, tenant: &str, entry: &mut Entry) -> Result<()> {
        let mut wait = Duration::from_millis(50);
        for _ in 1..TRIES {
            match self.write(tenant, entry).await {
                Ok(()) => return Ok(()),
                Err(Error::Keyring(SinkError::Conflict { .. } | SinkError::Ambiguous { .. })) => {
                    // Our own lost write, or somebody's hand: ours is the newer token in any case.
                    if let Ok(Some(there)) = self.read(tenant, &entry.name).await {
                        if there.document() == entry.document() {
                            entry.version = there.version;
                            return Ok(());
                        }
                        entry.version = there.version;
                    }
                }
                Err(_) => {}
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(Duration::from_secs(5));
        }
        self.write(tenant, entry).await
    }
}

#[cfg(test)]
mod golden;

#[cfg(test)]
mod tests {
    use secrets::{Fault, MemorySink};

    use super::*;

    #[tokio::test]
    async fn what_must_not_be_lost_is_there_although_the_first_write_of_it_was() {
        let sink = Arc::new(MemorySink::new());
        let keyring = Keyring::new(sink.clone(), "nhi/keyring");
        let mut entry = Entry::new("x", BTreeSet::new(), Record::default());
        entry.token = Secret::new("token");
        entry.phase = Phase::Settled;
        keyring.write("tenant", &mut entry).await.unwrap();
        // The same token in the same phase, and a secret that nobody has yet.
        entry.secret = Some(Secret::new("made unasked"));
        sink.fail([Fault::RequestLost]);
        keyring.keep("tenant", &mut entry).await.unwrap();
        let there = keyring.read("tenant", "x").await.unwrap().unwrap();
        assert_eq!(there.secret, entry.secret);
    }

    #[tokio::test]
    async fn a_client_is_found_although_its_mirror_was_never_written() {
        let sink = Arc::new(MemorySink::new());
        let keyring = Keyring::new(sink.clone(), "nhi/keyring");
        for (name, id) in [("x", "c1"), ("y", "c2")] {
            let mut entry = Entry::new(name, BTreeSet::new(), Record::default());
            entry.client_id = id.to_owned();
            if name == "x" {
                // The folder, the document, and then the mirror.
                sink.fail([Fault::None, Fault::None, Fault::Refused]);
            }
            keyring.write("tenant", &mut entry).await.unwrap();
        }
        let found = |id: &'static str| async {
            keyring.find("tenant", id).await.unwrap().map(|one| one.name)
        };
        assert_eq!(found("c1").await.as_deref(), Some("x"));
        assert_eq!(found("c2").await.as_deref(), Some("y"));
        assert_eq!(found("c3").await, None);
    }
}
