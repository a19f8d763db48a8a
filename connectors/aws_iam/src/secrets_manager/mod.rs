//! Secrets Manager as a sink: a document is a secret, its current version bears `AWSCURRENT`, and the
//! mirror stands in its tags.
//!
//! A write adds a version that nobody reads, and then moves `AWSCURRENT` from the version that was seen:
//! AWS does that only if it still stands there, and that is the lock. Our own stage stays on what we
//! wrote last, so that AWS keeps it while somebody else's version is current.

mod api;
mod mirror;
mod versions;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard},
};

use async_trait::async_trait;
use connector::Refusal;
use domain::Secret;
use secrets::{
    Document, Expect, Home, Look, Mirror, Result, Sink, SinkCapabilities, SinkError, Stored,
    Version, segments,
};
use serde::Serialize;

use self::api::{
    Action, AddTags, Create, Described, Filter, Get, List, ListVersions, Listed, MoveStage, Of,
    Put, RemoveTags, Reply, Tag, Value, Versions, Written,
};
use crate::{sign::Place, user::Users};

/// What AWS gives to whoever names no version.
const CURRENT: &str = "AWSCURRENT";
/// Where AWS puts what was current before.
const PREVIOUS: &str = "AWSPREVIOUS";
/// Our own stage: what nhi wrote last.
const OURS: &str = "nhi";
/// The longest name.
const NAME: usize = 512;
/// The longest content, in bytes.
const CONTENT: usize = 65_536;
/// How much AWS puts on a page of a listing at most.
const PAGE: u32 = 100;

/// One account's secrets in one region.
#[derive(Debug)]
pub(crate) struct SecretsManager {
    users: Arc<Users>,
    /// The tags that stood beside a document when it was written, until its mirror is.
    beside: Mutex<HashMap<String, BTreeMap<String, String>>>,
}

/// A secret without its content.
struct Current {
    version: Version,
    /// AWS's id of it.
    id: String,
    described: Described,
}

impl Current {
    fn look(self) -> Look {
        Look {
            version: self.version,
            mirror: mirror::unfold(&self.described.tags),
            deleted: self.described.is_deleted(),
        }
    }
}

impl SecretsManager {
    pub(crate) fn new(users: Arc<Users>) -> SecretsManager {
        SecretsManager { users, beside: Mutex::default() }
    }

    fn place(&self, path: &str) -> Result<&Place> {
        self.users.api.secrets().ok_or_else(|| SinkError::Unfit {
            place: path.to_owned(),
            reason: "the connection does not say in which region's Secrets Manager it would be"
                .into(),
            next: "set secrets_region = \"…\" in the connection's aws_iam block".into(),
        })
    }

    async fn call(
        &self,
        name: &str,
        action: Action,
        of: &(impl Serialize + Sync),
        content: usize,
    ) -> Result<Reply> {
        let place = self.place(name)?;
        let sent = api::send(&self.users.api, place, action, of, content).await;
        sent.map_err(|error| error.at_place(name))
    }

    async fn describe(&self, name: &str) -> Result<Option<Described>> {
        let reply = self.call(name, api::DESCRIBE, &Of { secret_id: name }, 0).await?;
        absent(reply.read(), name)
    }

    /// What is current of a secret; nothing where it has no version yet.
    async fn current(&self, described: Described) -> Result<Option<Current>> {
        let current = |(id, stages): (&str, &[String])| {
            stages.iter().any(|stage| stage == CURRENT).then(|| id.to_owned())
        };
        let Some(id) = described.staged().find_map(current) else { return Ok(None) };
        let version = self.version_of(&described, &id).await?;
        Ok(Some(Current { version, id, described }))
    }

    /// The number of a version. Only where somebody else wrote it and ours before it bears no stage any
    /// more is a request needed.
    async fn version_of(&self, described: &Described, id: &str) -> Result<Version> {
        if let Some(version) = versions::ours(id) {
            return Ok(version);
        }
        let staged: Vec<&str> = described.staged().map(|(id, _)| id).collect();
        let number = if versions::has_ours(&staged) {
            versions::of_current(id, &staged)
        } else {
            let all = self.versions(&described.name).await?;
            versions::of_current(id, &all.iter().map(String::as_str).collect::<Vec<_>>())
        };
        Ok(Version { number, created_at: None })
    }

    /// The ids of all versions that AWS still has, those too that bear no stage.
    async fn versions(&self, name: &str) -> Result<Vec<String>> {
        let (mut all, mut next) = (Vec::new(), None::<String>);
        loop {
            let of = ListVersions {
                secret_id: name,
                include_deprecated: true,
                max_results: PAGE,
                next_token: next.as_deref(),
            };
            let reply = self.call(name, api::LIST_VERSIONS, &of, 0).await?;
            let page: Versions = reply.read().map_err(|error| error.at_place(name))?;
            all.extend(page.versions.into_iter().map(|one| one.version_id));
            next = onwards(name, next, page.next_token)?;
            if next.is_none() {
                return Ok(all);
            }
        }
    }

    /// One version's content, the current one's where no id is given; nothing where AWS has none to give.
    async fn value(&self, name: &str, id: Option<&str>) -> Result<Option<Value>> {
        let version_stage = id.is_none().then_some(CURRENT);
        let of = Get { secret_id: name, version_id: id, version_stage };
        let reply = self.call(name, api::GET, &of, 0).await?;
        // A secret that somebody had deleted: it has no content now.
        if reply.code == Some("InvalidRequestException") {
            return Ok(None);
        }
        absent(reply.read(), name)
    }

    /// The first version of a secret, which is made with it unless somebody made an empty one: with a
    /// key, a policy or a replica of their choice.
    async fn create(&self, name: &str, text: &str) -> Result<Version> {
        let (id, version) = self.new_id(name, 1)?;
        let of = Create { name, client_request_token: &id, secret_string: text };
        let reply = self.call(name, api::CREATE, &of, text.len()).await?;
        if !matches!(reply.code, Some("ResourceExistsException" | "InvalidRequestException")) {
            reply.done().map_err(|error| error.at_place(name))?;
            lock(&self.beside).insert(name.to_owned(), BTreeMap::new());
            return Ok(version);
        }
        let conflict = || SinkError::Conflict { place: name.to_owned() };
        let Some(described) = self.describe(name).await? else {
            reply.done().map_err(|error| error.at_place(name))?;
            return Err(conflict());
        };
        not_deleted(&described)?;
        if described.staged().next().is_some() {
            return Err(conflict());
        }
        // AWS makes the first version current, and no other.
        let first = self.put(name, &id, text).await?;
        if first.version_stages.iter().any(|stage| stage == CURRENT) {
            lock(&self.beside).insert(name.to_owned(), described.tags);
            return Ok(version);
        }
        self.give_up(name, &id).await;
        Err(conflict())
    }

    /// A further version, current if the one with this number still is.
    async fn replace(&self, name: &str, text: &str, number: u64) -> Result<Version> {
        let conflict = || SinkError::Conflict { place: name.to_owned() };
        let described = self.describe(name).await?.ok_or_else(conflict)?;
        not_deleted(&described)?;
        let seen = self.current(described).await?.ok_or_else(conflict)?;
        if seen.version.number != number {
            return Err(conflict());
        }
        let (id, version) = self.new_id(name, number + 1)?;
        self.put(name, &id, text).await?;
        let of = MoveStage {
            secret_id: name,
            version_stage: CURRENT,
            remove_from_version_id: &seen.id,
            move_to_version_id: Some(&id),
        };
        let reply = self.call(name, api::MOVE_STAGE, &of, 0).await?;
        // It does not stand where it was seen.
        if reply.code == Some("InvalidParameterException") {
            self.give_up(name, &id).await;
            return Err(conflict());
        }
        reply.done().map_err(|error| error.at_place(name))?;
        lock(&self.beside).insert(name.to_owned(), seen.described.tags);
        Ok(version)
    }

    /// A version that is not current, unless it is the first.
    async fn put(&self, name: &str, id: &str, text: &str) -> Result<Written> {
        let of = Put {
            secret_id: name,
            client_request_token: id,
            secret_string: text,
            version_stages: [OURS],
        };
        let reply = self.call(name, api::PUT, &of, text.len()).await?;
        reply.read().map_err(|error| error.at_place(name))
    }

    /// Takes our stage from a version that did not become current, so that AWS may drop it. Where that
    /// fails the next write moves the stage.
    async fn give_up(&self, name: &str, id: &str) {
        let of = MoveStage {
            secret_id: name,
            version_stage: OURS,
            remove_from_version_id: id,
            move_to_version_id: None,
        };
        let _ = self.call(name, api::MOVE_STAGE, &of, 0).await;
    }

    fn new_id(&self, name: &str, number: u64) -> Result<(String, Version)> {
        let made = versions::new(number, self.users.clock.now());
        let known = made.and_then(|id| Some((versions::ours(&id)?, id)));
        known.map(|(version, id)| (id, version)).ok_or_else(|| SinkError::Refused {
            place: name.to_owned(),
            reason: "this machine gives no random bits for a version's id".into(),
        })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// A path as a secret's name.
fn name(path: &str) -> Result<String> {
    let name = segments(path)?.join("/");
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"/_+=.@-".contains(&b);
    if name.len() <= NAME && name.bytes().all(fits) {
        return Ok(name);
    }
    Err(SinkError::Refused {
        place: path.to_owned(),
        reason: format!(
            "a secret's name has letters, digits and \"/_+=.@-\", at most {NAME} of them"
        ),
    })
}

/// What may not be there.
fn absent<T>(found: connector::Result<T>, name: &str) -> Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.refusal() == Some(Refusal::NotFound) => Ok(None),
        Err(error) => Err(error.at_place(name)),
    }
}

/// Where a listing goes on.
fn onwards(place: &str, before: Option<String>, next: Option<String>) -> Result<Option<String>> {
    let next = next.filter(|next| !next.is_empty());
    if next.is_some() && next == before {
        return Err(SinkError::Refused {
            place: place.to_owned(),
            reason: "the listing goes on where it was before".into(),
        });
    }
    Ok(next)
}

/// What somebody had deleted takes no version until somebody brings it back.
fn not_deleted(described: &Described) -> Result<()> {
    if !described.is_deleted() {
        return Ok(());
    }
    let name = &described.name;
    Err(SinkError::Unfit {
        place: name.clone(),
        reason: "somebody had this secret deleted, and its time to be brought back is not over"
            .into(),
        next: format!(
            "aws secretsmanager restore-secret --secret-id {name}\n      or wait until it is gone"
        ),
    })
}

fn content(name: &str, document: &Document) -> Result<Secret> {
    let refused = |reason| SinkError::Refused { place: name.to_owned(), reason };
    let bytes = document.to_json().map_err(refused)?;
    if bytes.len() > CONTENT {
        let reason =
            format!("the document has {} bytes, and a secret takes {CONTENT}", bytes.len());
        return Err(refused(reason));
    }
    let text = std::str::from_utf8(&bytes).map_err(|error| refused(error.to_string()))?;
    Ok(Secret::new(text.trim_end()))
}

fn document(name: &str, value: &Value) -> Result<Document> {
    let no_document = |reason| SinkError::NoDocument { place: name.to_owned(), reason };
    let text = value.secret_string.as_ref();
    let text = text.ok_or_else(|| no_document("its content is binary".to_owned()))?;
    Document::from_json(text.expose().as_bytes()).map_err(no_document)
}

#[async_trait]
impl Sink for SecretsManager {
    /// A listing may lag behind by minutes, so that documents are looked at one by one.
    fn capabilities(&self) -> SinkCapabilities {
        SinkCapabilities {
            compare_and_set: true,
            readable: true,
            keeps_versions: true,
            destroys_versions: false,
            lists_mirrors: false,
            this_host_only: false,
        }
    }

    async fn home(&self, path: &str) -> Result<Home> {
        let path = name(path)?;
        let region = &self.place(&path)?.region;
        let us = self.users.identity().await.map_err(|error| error.at_place(&path))?;
        Ok(Home { store: format!("secretsmanager {} {region}", us.account), path })
    }

    async fn check(&self, path: &str) -> Result<Option<String>> {
        let name = name(path)?;
        self.place(&name).map(|_| None)
    }

    async fn line_to_write(&self, path: &str, file: &str) -> Result<String> {
        let name = name(path)?;
        let region = &self.place(&name)?.region;
        Ok(format!(
            "aws secretsmanager create-secret --region {region} --name {name} --secret-string file://{file}"
        ))
    }

    async fn read(&self, path: &str) -> Result<Option<Stored>> {
        let name = name(path)?;
        if let Some(value) = self.value(&name, None).await? {
            let version = match versions::ours(&value.version_id) {
                Some(version) => version,
                None => match self.describe(&name).await? {
                    Some(described) => self.version_of(&described, &value.version_id).await?,
                    None => return Ok(None),
                },
            };
            return Ok(Some(Stored { document: Some(document(&name, &value)?), version }));
        }
        let Some(described) = self.describe(&name).await? else { return Ok(None) };
        let current = self.current(described).await?;
        Ok(current.map(|current| Stored { document: None, version: current.version }))
    }

    async fn read_version(&self, path: &str, number: u64) -> Result<Option<Document>> {
        let name = name(path)?;
        let Some(described) = self.describe(&name).await? else { return Ok(None) };
        // What is or was current goes before what never was.
        let served = |stages: &[String]| stages.iter().any(|one| one == CURRENT || one == PREVIOUS);
        let staged: Vec<&str> =
            described.staged().filter(|(_, stages)| served(stages)).map(|(id, _)| id).collect();
        let found = match versions::find(&staged, number) {
            Some(id) => Some(id.to_owned()),
            None => {
                let all = self.versions(&name).await?;
                let all: Vec<&str> = all.iter().map(String::as_str).collect();
                versions::find(&all, number).map(str::to_owned)
            }
        };
        let Some(id) = found else { return Ok(None) };
        let value = self.value(&name, Some(&id)).await?;
        value.map(|value| document(&name, &value)).transpose()
    }

    /// Those of ours, and the current one.
    async fn kept_versions(&self, path: &str) -> Result<Vec<u64>> {
        let name = name(path)?;
        let Some(described) = self.describe(&name).await? else { return Ok(Vec::new()) };
        let all = self.versions(&name).await?;
        let ours = all.iter().filter_map(|id| versions::ours(id)).map(|version| version.number);
        let current = self.current(described).await?.map(|current| current.version.number);
        let mut kept: Vec<u64> = ours.chain(current).collect();
        kept.sort_unstable();
        kept.dedup();
        Ok(kept)
    }

    async fn look(&self, path: &str) -> Result<Option<Look>> {
        let Some(described) = self.describe(&name(path)?).await? else { return Ok(None) };
        Ok(self.current(described).await?.map(Current::look))
    }

    async fn look_all(&self, folder: &str) -> Result<BTreeMap<String, Look>> {
        let prefix = format!("{}/", name(folder)?);
        let (mut all, mut next) = (BTreeMap::new(), None::<String>);
        loop {
            let of = List {
                filters: vec![Filter { key: "name", values: [&prefix] }],
                include_planned_deletion: true,
                max_results: PAGE,
                next_token: next.as_deref(),
            };
            let reply = self.call(folder, api::LIST, &of, 0).await?;
            let page: Listed = reply.read().map_err(|error| error.at_place(folder))?;
            for described in page.secret_list {
                let below = described.name.strip_prefix(&prefix);
                let Some(below) = below.filter(|below| !below.contains('/')) else { continue };
                let below = below.to_owned();
                let current = self.current(described).await?;
                all.extend(current.map(|current| (below, current.look())));
            }
            next = onwards(folder, next, page.next_token)?;
            if next.is_none() {
                return Ok(all);
            }
        }
    }

    async fn write(&self, path: &str, document: &Document, expect: Expect) -> Result<Version> {
        let name = name(path)?;
        let text = content(&name, document)?;
        match expect {
            Expect::Nothing => self.create(&name, text.expose()).await,
            Expect::Version(number) => self.replace(&name, text.expose(), number).await,
        }
    }

    async fn write_mirror(&self, path: &str, mirror: &Mirror) -> Result<()> {
        let name = name(path)?;
        // The write that this follows saw what stands there.
        let beside = lock(&self.beside).remove(&name);
        let before = match beside {
            Some(tags) => tags,
            None => self.describe(&name).await?.map(|one| one.tags).unwrap_or_default(),
        };
        let wanted = mirror::fold(mirror);
        let others = before.keys().filter(|key| !mirror::is_ours(key)).count();
        if others + wanted.len() > mirror::TAGS {
            return Err(SinkError::Refused {
                place: name,
                reason: format!(
                    "it would have {} tags, and a secret takes {}: remove tags that others put there",
                    others + wanted.len(),
                    mirror::TAGS
                ),
            });
        }
        let gone = before.keys().filter(|key| mirror::is_ours(key) && !wanted.contains_key(*key));
        let gone: Vec<String> = gone.cloned().collect();
        if !gone.is_empty() {
            let tag_keys = gone.iter().map(String::as_str).collect();
            let of = RemoveTags { secret_id: &name, tag_keys };
            self.call(&name, api::UNTAG, &of, 0)
                .await?
                .done()
                .map_err(|one| one.at_place(&name))?;
        }
        let other = wanted.into_iter().filter(|(key, value)| before.get(key) != Some(value));
        let tags: Vec<Tag> = other.map(|(key, value)| Tag { key, value }).collect();
        if !tags.is_empty() {
            let of = AddTags { secret_id: &name, tags };
            self.call(&name, api::TAG, &of, 0).await?.done().map_err(|one| one.at_place(&name))?;
        }
        Ok(())
    }

    async fn destroy_version(&self, path: &str, _: u64) -> Result<()> {
        Err(SinkError::Unsupported { place: name(path)?, what: "destroy one version of a secret" })
    }

    async fn prepare_claim(&self, path: &str) -> Result<()> {
        Err(SinkError::Unsupported { place: name(path)?, what: "be custody" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_secrets_manager_would_refuse_are_refused() {
        for good in ["apps/invoice-sync", "/apps/x/", "a+b=c.d@e_f"] {
            assert_eq!(name(good).unwrap(), good.trim_matches('/'));
        }
        for bad in ["", "apps/a b", "arn:aws:x", "apps/ä", "apps//x", "../x", &"x".repeat(513)] {
            assert!(matches!(name(bad), Err(SinkError::Refused { .. })), "{bad}");
        }
    }

    #[test]
    fn a_document_that_a_secret_has_no_room_for_is_refused_with_its_size() {
        let long = Document::default().with("a", Secret::new("x".repeat(CONTENT)));
        let said = content("apps/x", &long).unwrap_err().to_string();
        assert!(said.contains("65536") && said.starts_with("apps/x"), "{said}");
    }
}
