//! The document of one client in the keyring: where it is managed, with which token, and what we
//! want of it. The registration token changes with every change and stands nowhere else.
//!
//! A server tells its clients apart by their ids, and lets two have one name. So a client's document is
//! named by its id. What is named by a client's name is where a registration begins, before there is an id,
//! and says afterwards which client that was. Versions before had all of it there; such a document is read
//! where it is, and moves with the first write.
//!
//! Of a client that was registered elsewhere a person writes the server's answer to that beside ours;
//! the first deed makes a document like the others of it.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use connector::{Error, Result};
use domain::{
    Record, Secret,
    itself::{Unanswered, unanswered},
    realm::{digest_of, short},
};
use futures::{FutureExt, StreamExt, future::BoxFuture, stream};
use secrets::{Document, Expect, Mirror, Sink, SinkError};
use serde_json::{Value, json};

use crate::client::origin;

/// How often the new token is written before we give up: it must not be lost.
const TRIES: u32 = 12;

/// How many documents are read at once in a listing.
const AT_ONCE: usize = 8;

/// What the names of documents begin with that people write, and ours.
const BY_HAND: &str = "client-";
const OURS: &str = "oauth-";
/// The word of [`Phase::Kept`], in documents and beside them.
const KEPT: &str = "kept";
/// What stands beside a document of the name that its client was registered with.
const NAMED: &str = "named";

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
    /// It is the document of a name, and the client's own has all the rest.
    Kept,
}

impl Phase {
    fn as_str(self) -> &'static str {
        match self {
            Phase::Creating => "creating",
            Phase::Changing => "changing",
            Phase::Settled => "settled",
            Phase::Deleted => "deleted",
            Phase::Kept => KEPT,
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
    /// It was taken over without a scope and open, and is left so until somebody gives it scopes.
    pub(crate) unlimited: bool,
    pub(crate) secrets: Secrets,
}

/// Which of a client's secrets is in force: the server names none of them.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Secrets {
    /// It counts those that we had made where the server makes another; 0 before the first.
    pub(crate) number: u64,
    /// What that one was made for.
    pub(crate) made_for: String,
    /// Another one was called for, and whether it was made is not known.
    pub(crate) called: Option<Called>,
}

/// A call for another secret.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Called {
    pub(crate) number: u64,
    pub(crate) made_for: String,
    /// What stood before, as a digest; empty where nothing did.
    pub(crate) before: String,
}

impl Wanted {
    /// The same once it is seen which secret is there: what differs from the one that stood before is
    /// what was called for.
    pub(crate) fn secrets_by(&self, there: Option<&Secret>) -> Secrets {
        let made = |called: &&Called| {
            let there = there.map(digest);
            there.is_some_and(|there| there != called.before && !self.ended.contains(&there))
        };
        match self.secrets.called.as_ref().filter(made) {
            Some(Called { number, made_for, .. }) => {
                Secrets { number: *number, made_for: made_for.clone(), called: None }
            }
            None => self.secrets.clone(),
        }
    }
}

impl Secrets {
    fn json(&self) -> Value {
        let called = self.called.as_ref().map(|called| {
            json!({ "number": called.number, "for": called.made_for, "before": called.before })
        });
        json!({ "number": self.number, "for": self.made_for, "called": called })
    }

    fn read(state: &Value) -> Secrets {
        let number = |of: &Value| of.get("number").and_then(Value::as_u64).unwrap_or(0);
        let text = |of: &Value, name: &str| {
            of.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let called = state.get("called").filter(|called| called.is_object());
        Secrets {
            number: number(state),
            made_for: text(state, "for"),
            called: called.map(|called| Called {
                number: number(called),
                made_for: text(called, "for"),
                before: text(called, "before"),
            }),
        }
    }
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
    /// Where a person wrote down how this client is managed, until a deed of ours takes that over.
    pub(crate) by_hand: Option<String>,
    /// The version that was read or written; 0 before the first.
    version: u64,
    /// Where that is, once it was read or written.
    place: Option<String>,
    /// Where it was before, with the version there, until that says where it is now.
    earlier: Option<(String, u64)>,
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
            wanted: Wanted {
                grants,
                enabled: true,
                record,
                ended: BTreeSet::new(),
                unlimited: false,
                secrets: Secrets::default(),
            },
            token_life: None,
            turns: false,
            lost: 0,
            by_hand: None,
            version: 0,
            place: None,
            earlier: None,
        }
    }

    /// What the document of a name says once the client has its own.
    fn kept(name: &str, client_id: &str, lost: u64) -> Entry {
        let entry = Entry::new(name, BTreeSet::new(), Record::default());
        Entry { phase: Phase::Kept, client_id: client_id.to_owned(), lost, ..entry }
    }

    /// A client that was registered elsewhere, from the server's answer to that as a person wrote it
    /// down. What is wanted of it is what is there.
    fn of_answer(place: &str, answer: &Document) -> std::result::Result<Entry, String> {
        let of = |name: &str| {
            let text = answer.get(name).map(|one| one.expose().trim().to_owned());
            text.filter(|text| !text.is_empty()).ok_or_else(|| format!("it has no {name}"))
        };
        let client_id = of("client_id")?;
        Ok(Entry {
            phase: Phase::Settled,
            uri: of("registration_client_uri")?,
            token: Secret::new(of("registration_access_token")?),
            secret: of("client_secret").ok().map(Secret::new),
            by_hand: Some(place.to_owned()),
            client_id: client_id.clone(),
            ..Entry::new(&client_id, BTreeSet::new(), Record::default())
        })
    }

    /// What is there is what is wanted of a client that nobody of ours has changed yet.
    pub(crate) fn learn(&mut self, name: Option<&str>, grants: BTreeSet<String>, scoped: bool) {
        if self.by_hand.is_none() {
            return;
        }
        if let Some(name) = name.filter(|name| !name.is_empty()) {
            self.name = name.to_owned();
        }
        self.wanted.unlimited = !scoped && !grants.is_empty();
        self.wanted.grants = grants;
    }

    /// A create of that installation made it, and did not finish it.
    pub(crate) fn is_unfinished(&self, realm: Option<&str>) -> bool {
        let record = &self.wanted.record;
        realm.is_some() && record.realm.as_deref() == realm && record.unfinished
    }

    /// What is left of a change that was begun and not heard of, once the token was tried: it replaces
    /// itself with every change, and whoever looks does no harm with it. A change that comes late finds
    /// another token than its own, where the server changes them.
    pub(crate) fn unanswered(&self, token_works: bool) -> Option<Unanswered> {
        (self.phase == Phase::Changing).then(|| unanswered(token_works, false))
    }

    /// Takes the place of what the document of its name said, of a client that is deleted or never was.
    pub(crate) fn over(self, earlier: &Entry) -> Entry {
        let place = earlier.place.clone();
        Entry { version: earlier.version, lost: earlier.lost, place, ..self }
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
            "unlimited": self.wanted.unlimited,
            "secret": self.wanted.secrets.json(),
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
            KEPT => Phase::Kept,
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
                unlimited: state.get("unlimited").and_then(Value::as_bool).unwrap_or(false),
                secrets: state.get("secret").map(Secrets::read).unwrap_or_default(),
            },
            token_life: state.get("token_life").and_then(Value::as_i64),
            turns: state.get("turns").and_then(Value::as_bool).unwrap_or(false),
            lost: state.get("lost").and_then(Value::as_u64).unwrap_or(0),
            by_hand: None,
            version,
            place: None,
            earlier: None,
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

    pub(crate) fn folder(&self) -> &str {
        &self.folder
    }

    /// The document of a name: it is known before the client is.
    fn path(&self, tenant: &str, name: &str) -> String {
        let name = short(&digest_of("nhi-keyring/1", &[tenant, name]), 20);
        format!("{}/{OURS}{name}", self.folder)
    }

    /// The document of a client.
    fn path_of(&self, tenant: &str, client_id: &str) -> String {
        let name = short(&digest_of("nhi-keyring/2", &[tenant, client_id]), 20);
        format!("{}/{OURS}{name}", self.folder)
    }

    /// Where the next write of a document goes.
    fn place(&self, tenant: &str, entry: &Entry) -> String {
        match entry.client_id.is_empty() {
            true => self.path(tenant, &entry.name),
            false => self.path_of(tenant, &entry.client_id),
        }
    }

    /// Where what is known of a client stands, for people.
    pub(crate) fn place_of(&self, tenant: &str, entry: &Entry) -> String {
        entry.place.clone().unwrap_or_else(|| self.place(tenant, entry))
    }

    /// What the document of a name says; `None` where there never was one.
    pub(crate) async fn named(&self, tenant: &str, name: &str) -> Result<Option<Entry>> {
        self.read_at(&self.path(tenant, name)).await
    }

    /// The client that the document of a name is about, as its own document says it; `None` where a
    /// registration was begun and made none that is known.
    ///
    /// A run that died between the two documents has left a client that only its own one knows.
    pub(crate) async fn about(&self, tenant: &str, named: Entry) -> Result<Option<Entry>> {
        if named.phase == Phase::Creating {
            return self.made_under(tenant, &named.name).await;
        }
        // A server may have left out which one it made.
        if named.client_id.is_empty() {
            return Ok(Some(named));
        }
        let path = self.path_of(tenant, &named.client_id);
        match self.read_at(&path).await? {
            Some(entry) => Ok(Some(entry)),
            // A person removed it for good.
            None if named.phase == Phase::Kept => {
                Ok(Some(Entry { phase: Phase::Deleted, ..named }))
            }
            None => Ok(Some(named)),
        }
    }

    /// A client that a create of this name made and did not finish.
    async fn made_under(&self, tenant: &str, name: &str) -> Result<Option<Entry>> {
        let looks = self.sink.look_all(&self.folder).await?;
        let digest = named(name);
        let may_be = |look: &secrets::Look| {
            let beside = |of: &str| look.mirror.get(of).map(String::as_str);
            !look.deleted
                && beside("phase") != Some(KEPT)
                && beside(NAMED).is_none_or(|beside| beside == digest)
        };
        let ours = looks.iter().filter(|(name, look)| name.starts_with(OURS) && may_be(look));
        for (document, _) in ours {
            // One that cannot be read is not known to be this one's.
            if let Ok(Some(entry)) = self.listed(tenant, document).await
                && entry.name == name
                && entry.phase != Phase::Deleted
                && !entry.client_id.is_empty()
                && entry.wanted.record.unfinished
            {
                return Ok(Some(entry));
            }
        }
        Ok(None)
    }

    /// A client's document, whatever its name is and wherever an earlier version has put it; `None` where
    /// there never was one.
    pub(crate) async fn read(
        &self,
        tenant: &str,
        client_id: &str,
        name: &str,
    ) -> Result<Option<Entry>> {
        if let Some(entry) = self.read_at(&self.path_of(tenant, client_id)).await? {
            return Ok(Some(entry));
        }
        let named = self.named(tenant, name).await?;
        match named.filter(|entry| entry.client_id == client_id && entry.phase != Phase::Kept) {
            Some(entry) => Ok(Some(entry)),
            None => self.find(tenant, client_id).await,
        }
    }

    async fn read_at(&self, path: &str) -> Result<Option<Entry>> {
        let Some(stored) = self.sink.read(path).await? else { return Ok(None) };
        let entry =
            stored.document.as_ref().and_then(|one| Entry::read(one, stored.version.number));
        let entry = entry.ok_or_else(|| self.lost(path))?;
        Ok(Some(Entry { place: Some(path.to_owned()), ..entry }))
    }

    fn lost(&self, path: &str) -> Error {
        Error::Keyring(SinkError::Unfit {
            place: path.to_owned(),
            reason: "it is deleted or damaged, and held the only token that manages this client"
                .into(),
            next: format!("restore {path:?} in custody from its backup or an earlier version"),
        })
    }

    /// Where a person writes down how a client is managed that we did not register.
    pub(crate) fn by_hand_path(&self, client_id: &str) -> String {
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        let name = match client_id.len() <= 100 && client_id.chars().all(plain) {
            true => client_id.to_owned(),
            false => short(&digest_of("nhi-by-hand/1", &[client_id]), 20),
        };
        format!("{}/{BY_HAND}{name}", self.folder)
    }

    /// How it is written there: a line for a shell, where the answer is in a file.
    pub(crate) async fn by_hand_line(&self, client_id: &str) -> String {
        let path = self.by_hand_path(client_id);
        // Where custody does not answer, that is told elsewhere.
        self.sink.line_to_write(&path, "answer.json").await.unwrap_or(path)
    }

    /// What a person wrote down of a client, if anything: of this server only, since its token is
    /// sent where the document says.
    pub(crate) async fn by_hand(&self, tenant: &str, client_id: &str) -> Result<Option<Entry>> {
        self.by_hand_at(tenant, &self.by_hand_path(client_id), Some(client_id)).await
    }

    async fn by_hand_at(
        &self,
        tenant: &str,
        path: &str,
        client_id: Option<&str>,
    ) -> Result<Option<Entry>> {
        let Some(document) = self.sink.read(path).await?.and_then(|stored| stored.document) else {
            return Ok(None);
        };
        let unfit = |reason: String| {
            Error::Keyring(SinkError::Unfit {
                place: path.to_owned(),
                reason,
                next: format!(
                    "write the server's answer to the client's registration into {path:?} in custody, with its \
                     client_id, registration_client_uri and registration_access_token"
                ),
            })
        };
        let entry = Entry::of_answer(path, &document).map_err(unfit)?;
        if client_id.is_some_and(|wanted| wanted != entry.client_id) {
            return Err(unfit(format!("it is about client {:?}", entry.client_id)));
        }
        if origin(&entry.uri) != origin(tenant) {
            return match client_id {
                // Several servers may have theirs in one folder.
                None => Ok(None),
                Some(_) => Err(unfit(format!(
                    "its registration_client_uri is not at {}, and a token goes nowhere else",
                    origin(tenant)
                ))),
            };
        }
        Ok(Some(entry))
    }

    /// A document that was found in a listing, if it is a client's, or one that is being made, of that
    /// tenant: several connections keep theirs in one folder.
    async fn listed(&self, tenant: &str, name: &str) -> Result<Option<Entry>> {
        let path = format!("{}/{name}", self.folder);
        let entry = self.read_at(&path).await?;
        Ok(entry.filter(|entry| {
            let here = [self.place(tenant, entry), self.path(tenant, &entry.name)];
            entry.phase != Phase::Kept && here.contains(&path)
        }))
    }

    /// The document of a client whose name is not known. A document whose mirror lags is opened: what
    /// it lacks proves nothing.
    async fn find(&self, tenant: &str, client_id: &str) -> Result<Option<Entry>> {
        let looks = self.sink.look_all_shared(&self.folder).await?;
        let of = |client_id: &str| {
            let all = looks.bearing("client", client_id).into_iter();
            let kept = |look: &secrets::Look| look.mirror.get("phase").is_some_and(|of| of == KEPT);
            let all = all.filter(|(name, look)| name.starts_with(OURS) && !kept(look));
            all.map(|(name, _)| name).collect::<Vec<_>>()
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
        let kept = |look: &secrets::Look| look.mirror.get("phase").is_some_and(|of| of == KEPT);
        let reads: Vec<BoxFuture<'_, _>> = looks
            .iter()
            .filter(|(name, look)| name.starts_with(OURS) && !kept(look))
            .map(|(name, _)| name)
            .map(|name| async move { self.listed(tenant, name).await }.boxed())
            .collect();
        let (mut entries, mut broken): (Vec<Entry>, Vec<String>) = Default::default();
        let mut reads = stream::iter(reads).buffered(AT_ONCE);
        while let Some(read) = reads.next().await {
            match read {
                Ok(Some(entry)) => entries.push(entry),
                Ok(None) => {}
                Err(error) => broken.push(error.to_string()),
            }
        }
        // What moved may stand where it was as well, where a run died between the two writes.
        let own = |entry: &Entry| entry.place.as_ref() == Some(&self.place(tenant, entry));
        let moved: BTreeSet<String> =
            entries.iter().filter(|one| own(one)).map(|one| one.client_id.clone()).collect();
        entries.retain(|one| own(one) || !moved.contains(&one.client_id));
        for (name, _) in
            looks.iter().filter(|(name, look)| name.starts_with(BY_HAND) && !look.deleted)
        {
            let path = format!("{}/{name}", self.folder);
            match self.by_hand_at(tenant, &path, None).await {
                Ok(Some(entry)) if entries.iter().all(|one| one.client_id != entry.client_id) => {
                    entries.push(entry);
                }
                Ok(_) => {}
                Err(error) => broken.push(error.to_string()),
            }
        }
        Ok((entries, broken))
    }

    /// Writes over exactly what was read: two who act on one client meet here.
    pub(crate) async fn write(&self, tenant: &str, entry: &mut Entry) -> Result<()> {
        let path = self.place(tenant, entry);
        if let Some(from) = entry.place.take_if(|from| *from != path) {
            entry.earlier = Some((from, std::mem::take(&mut entry.version)));
        }
        if entry.version == 0 {
            // Old tokens are of no use to anybody, and blanked by the server at once.
            self.sink.prepare_claim(&path).await?;
        }
        let expect = match entry.version {
            0 => Expect::Nothing,
            number => Expect::Version(number),
        };
        let written = match self.sink.write(&path, &entry.document(), expect).await {
            Err(conflict @ SinkError::Conflict { .. }) if entry.version == 0 => {
                let Some(number) = self.gives_way(&path, entry).await? else {
                    return Err(conflict.into());
                };
                let expect = Expect::Version(number);
                self.sink.write(&path, &entry.document(), expect).await?
            }
            written => written?,
        };
        (entry.version, entry.place) = (written.number, Some(path.clone()));
        let mirror = Mirror::from([
            ("client".to_owned(), entry.client_id.clone()),
            ("phase".to_owned(), entry.phase.as_str().to_owned()),
            (NAMED.to_owned(), named(&entry.name)),
        ]);
        // The mirror may lag; the document is what counts.
        let _ = self.sink.write_mirror(&path, &mirror).await;
        if let Some(written) = entry.by_hand.take() {
            // One that stays is no harm: the document of ours counts before it.
            let _ = self.taken_over(&written).await;
            let _ = self.take_name(tenant, entry).await;
        }
        if let Some(earlier) = entry.earlier.take() {
            // Nor is this one.
            let _ = self.say_kept(&earlier, entry).await;
        }
        Ok(())
    }

    /// The version to write over, where a document stands that this one's client was not known to have:
    /// what is lost, of a client that is deleted, or what a person has just written down anew gives way.
    async fn gives_way(&self, path: &str, entry: &mut Entry) -> Result<Option<u64>> {
        let Some(stored) = self.sink.read(path).await? else { return Ok(None) };
        let number = stored.version.number;
        let there = stored.document.as_ref().and_then(|one| Entry::read(one, number));
        let lives = there.as_ref().is_some_and(|there| there.phase != Phase::Deleted);
        if lives && entry.by_hand.is_none() {
            return Ok(None);
        }
        entry.lost = entry.lost.max(there.map_or(0, |there| there.lost));
        Ok(Some(number))
    }

    /// The document of its name is about a client that was taken over, where it is about no other one: what
    /// is lost or of a client that is deleted gives way.
    async fn take_name(&self, tenant: &str, entry: &Entry) -> Result<()> {
        let path = self.path(tenant, &entry.name);
        let stored = self.sink.read(&path).await?;
        let number = stored.as_ref().map_or(0, |stored| stored.version.number);
        let there = stored.and_then(|stored| Entry::read(stored.document.as_ref()?, number));
        let is_free = there.is_none_or(|there| {
            there.phase == Phase::Deleted || there.client_id == entry.client_id
        });
        match is_free {
            true => self.say_kept(&(path, number), entry).await,
            false => Ok(()),
        }
    }

    /// The document of a name says which client it was about, and holds nothing of it any more.
    async fn say_kept(&self, (path, version): &(String, u64), entry: &Entry) -> Result<()> {
        let kept = Entry::kept(&entry.name, &entry.client_id, 0);
        if *version == 0 {
            self.sink.prepare_claim(path).await?;
        }
        let expect = match version {
            0 => Expect::Nothing,
            number => Expect::Version(*number),
        };
        self.sink.write(path, &kept.document(), expect).await?;
        let mirror = Mirror::from([
            ("client".to_owned(), entry.client_id.clone()),
            ("phase".to_owned(), KEPT.to_owned()),
        ]);
        self.sink.write_mirror(path, &mirror).await?;
        Ok(())
    }

    /// The token is in a document of ours, and no other copy of it is to stay.
    async fn taken_over(&self, path: &str) -> Result<()> {
        for version in self.sink.kept_versions(path).await? {
            self.sink.destroy_version(path, version).await?;
        }
        Ok(())
    }

    /// Writes what must not be lost, for as long as there is any hope.
    pub(crate) async fn keep(&self, tenant: &str, entry: &mut Entry) -> Result<()> {
        let mut wait = Duration::from_millis(50);
        for _ in 1..TRIES {
            match self.write(tenant, entry).await {
                Ok(()) => return Ok(()),
                Err(Error::Keyring(error))
                    if matches!(error, SinkError::Conflict { .. }) || error.maybe_written() =>
                {
                    // Our own lost write, or somebody's hand: ours is the newer token in any case.
                    if let Ok(Some(there)) = self.read_at(&self.place(tenant, entry)).await {
                        let same = there.document() == entry.document();
                        (entry.version, entry.place) = (there.version, there.place);
                        if same && entry.earlier.is_none() {
                            return Ok(());
                        }
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

/// A client's name as it stands beside documents: not everything can be written there.
fn named(name: &str) -> String {
    short(&digest_of("nhi-keyring-name/1", &[name]), 20)
}

#[cfg(test)]
mod golden;
#[cfg(test)]
mod moved;

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
        let there = keyring.named("tenant", "x").await.unwrap().unwrap();
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
