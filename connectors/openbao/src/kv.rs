//! KV v2 as a sink: documents under compare-and-set, the mirror in `custom_metadata`.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard},
};

use async_trait::async_trait;
use connector::{
    Clock, Error, Refusal, Turns,
    transport::{Answer, Request},
};
use domain::path;
use futures::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use secrets::{
    Document, Expect, Exposed, Home, Look, Looks, LooksPage, Mirror, Result, Sink,
    SinkCapabilities, SinkError, Stored, Version, segments,
};
use serde::{Deserialize, Serialize};

use crate::api::{
    Api, Detailed, KvData, KvMetadata, KvVersion, KvVersionInfo, Mount, Said, data, encode,
    encode_all, post, refused, told,
};
use crate::notes;

/// What stands before our keys in `custom_metadata`, so that other people's stay theirs.
const OURS: &str = "nhi_";
/// The longest value that `custom_metadata` takes, in bytes.
const VALUE: usize = 512;
/// How many keys it takes.
const KEYS: usize = 64;
/// How many documents a page of a listing has: long enough that a thousand need few, and short enough
/// that no plan holds much of a long folder's text at once.
const PAGE: usize = 100;
/// Between a key and the number of a further piece of its value.
const PIECE: char = '~';

/// One connection's KV v2 mounts.
#[derive(Debug)]
pub(crate) struct Kv {
    api: Arc<Api>,
    clock: Arc<dyn Clock>,
    /// Mount paths without a slash at the end, and whether the server shows them to our token as KV v2:
    /// where it shows nothing, they are the first segments of paths.
    mounts: Mutex<BTreeMap<String, bool>>,
    /// What stood beside a document when it was written, until its mirror is.
    beside: Mutex<HashMap<String, BTreeMap<String, String>>>,
    turns: Turns,
}

/// A path, taken apart at its mount.
struct Place {
    mount: String,
    /// The server shows it to our token.
    shown: bool,
    rest: String,
    whole: String,
}

#[derive(Serialize)]
struct Write<'a> {
    options: Cas,
    data: Exposed<'a>,
}

#[derive(Serialize)]
struct Cas {
    cas: u64,
}

impl Kv {
    pub(crate) fn new(api: Arc<Api>, clock: Arc<dyn Clock>) -> Kv {
        Kv {
            api,
            clock,
            mounts: Mutex::default(),
            beside: Mutex::default(),
            turns: Turns::default(),
        }
    }

    /// Finds the mount that a path lies in, asking the server once per mount.
    async fn place(&self, path: &str) -> Result<Place> {
        let whole = path.trim_matches('/').to_owned();
        segments(path)?;
        let known = || {
            let mounts = lock(&self.mounts);
            let above = mounts.iter().filter(|(mount, _)| path::is_within(&whole, mount));
            above.max_by_key(|(mount, _)| mount.len()).map(|(mount, shown)| (mount.clone(), *shown))
        };
        let (mount, shown) = match known() {
            Some(found) => found,
            None => {
                // Whoever comes second under one name has the answer of the first.
                let _turn = self.turns.take(whole.split('/').next().unwrap_or_default()).await;
                match known() {
                    Some(found) => found,
                    None => {
                        let (mount, shown) = self.find_mount(&whole).await?;
                        lock(&self.mounts).insert(mount.clone(), shown);
                        (mount, shown)
                    }
                }
            }
        };
        let rest = whole[mount.len()..].trim_start_matches('/').to_owned();
        Ok(Place { mount, shown, rest, whole })
    }

    /// An error at a place. Where the server did not say that there is a mount, and then knows nothing
    /// under its name, there is none.
    fn fail(&self, place: &Place, error: Error) -> SinkError {
        if place.shown || error.refusal() != Some(Refusal::NotFound) {
            return error.at_place(&place.whole);
        }
        SinkError::Unfit {
            place: place.whole.clone(),
            reason: "no mount of the server holds this path".to_owned(),
            next: format!(
                "bao secrets enable {}-path={} kv-v2\n      or name a path below a KV version 2 mount \
                 that is there",
                self.api.namespace_flag(),
                place.mount
            ),
        }
    }

    async fn find_mount(&self, whole: &str) -> Result<(String, bool)> {
        let request = Request {
            shared: true,
            ..Request::get(
                format!("v1/sys/internal/ui/mounts/{}", encode(whole)),
                "sys/internal/ui/mounts/{path}",
            )
        };
        let what = told(&request);
        let answer = self.api.send(request).await.map_err(|error| error.at_place(whole))?;
        let first = whole.split('/').next().unwrap_or(whole).to_owned();
        match answer.status {
            200 => {
                let mount: Mount =
                    data(&what, &answer.body).map_err(|error| error.at_place(whole))?;
                let refuse = |reason: String, next: String| {
                    Err(SinkError::Unfit { place: whole.to_owned(), reason, next })
                };
                if !matches!(mount.mount_type.as_str(), "kv" | "generic") {
                    return refuse(
                        format!(
                            "the mount {:?} is of type {:?}, and a sink needs a KV version 2 mount",
                            mount.path, mount.mount_type
                        ),
                        "name a path below a KV version 2 mount".to_owned(),
                    );
                }
                let bare = mount.path.trim_matches('/').to_owned();
                if mount.options.get("version").map(String::as_str) != Some("2") {
                    return refuse(
                        format!(
                            "the mount {:?} is KV version 1, which has no compare-and-set",
                            mount.path
                        ),
                        format!(
                            "bao kv enable-versioning {}{bare}\n      or name a path below a KV version 2 \
                             mount",
                            self.api.namespace_flag()
                        ),
                    );
                }
                Ok((bare, true))
            }
            // Neither the mount nor a reason is told to a token that holds nothing below it yet: the
            // next call says what is refused.
            403 | 404 => Ok((first, false)),
            _ => Err(refused(&what, &answer, false).at_place(whole)),
        }
    }

    async fn metadata(&self, place: &Place) -> Result<Option<KvMetadata>> {
        let request = Request::get(
            format!("v1/{}/metadata/{}", encode(&place.mount), encode(&place.rest)),
            "{mount}/metadata/{path}",
        );
        self.api.maybe(request).await.map_err(|error| self.fail(place, error))
    }

    async fn get(&self, place: &Place, version: Option<u64>) -> Result<Option<KvData>> {
        let query = version.map(|number| format!("?version={number}")).unwrap_or_default();
        let request = Request::get(
            format!("v1/{}/data/{}{query}", encode(&place.mount), encode(&place.rest)),
            "{mount}/data/{path}",
        );
        let what = told(&request);
        let fail = |error| self.fail(place, error);
        let answer = self.api.send(request).await.map_err(fail)?;
        match answer.status {
            200 => data(&what, &answer.body).map(Some).map_err(fail),
            // A deleted version is a 404 that still tells about the version.
            404 => match data::<KvData>(&what, &answer.body) {
                Ok(found) => Ok(Some(found)),
                Err(_) if Said::read(&answer.body) == Said::Nothing => Ok(None),
                Err(_) => Err(fail(refused(&what, &answer, false))),
            },
            _ => Err(fail(refused(&what, &answer, false))),
        }
    }

    /// The looks of a folder. Readers that share one listing share what was made of it.
    async fn looks(&self, place: &Place, shared: bool) -> Result<Arc<Looks>> {
        let mut pages: Vec<Arc<Listed>> = Vec::new();
        loop {
            let after = pages.last().map(|page| page.last.as_str());
            match self.page(place, after, shared).await? {
                // A server that gives no pages (Vault) gave everything the first time.
                Some(page) if after.is_some_and(|after| page.first.as_str() <= after) => break,
                Some(page) => pages.push(page),
                None if pages.is_empty() => return self.looks_one_by_one(place, shared).await,
                None => break,
            }
            if pages.last().is_none_or(|page| page.names != PAGE) {
                break;
            }
        }
        Ok(Arc::new(pages.iter().map(|page| page.looks.clone()).collect()))
    }

    /// A page of a folder's listing with the looks of its documents; nothing where the server has no
    /// such listings (Vault), or none for our token.
    async fn page(
        &self,
        place: &Place,
        after: Option<&str>,
        shared: bool,
    ) -> Result<Option<Arc<Listed>>> {
        let fail = |error| self.fail(place, error);
        let (mount, rest) = (encode(&place.mount), encode(&place.rest));
        // A server that gives no pages leaves out what it does not know.
        let after = after.map(|after| format!("&after={}", encode_all(after))).unwrap_or_default();
        let request = Request {
            method: "LIST",
            shared,
            ..Request::get(
                format!("v1/{mount}/detailed-metadata/{rest}?limit={PAGE}{after}"),
                "{mount}/detailed-metadata/{folder}",
            )
        };
        let what = told(&request);
        let answer = self.api.send(request).await.map_err(fail)?;
        // Only what is no success is read for what it says: a listing may be long.
        let said = if answer.status == 200 { Said::Other } else { Said::read(&answer.body) };
        match (answer.status, said) {
            (200, _) => {
                let now = self.clock.now();
                let read = |body: &[u8]| data(&what, body).map(|found| Listed::of(found, now));
                answer.read_once(read).map(Some).map_err(fail)
            }
            (404, Said::Nothing) => Ok(Some(Arc::default())),
            (404 | 405, _) | (403, _) => Ok(None),
            _ => Err(fail(refused(&what, &answer, false))),
        }
    }

    /// The names of a folder's documents: one answer has them all.
    async fn names_at(&self, place: &Place, shared: bool) -> connector::Result<Vec<String>> {
        let (mount, rest) = (encode(&place.mount), encode(&place.rest));
        let path = format!("v1/{mount}/metadata/{rest}");
        let mut names = self.api.keys(&path, "{mount}/metadata/{folder}", shared).await?;
        names.retain(|name| !name.ends_with('/'));
        Ok(names)
    }

    /// The looks of a folder, a request for each.
    async fn looks_one_by_one(&self, place: &Place, shared: bool) -> Result<Arc<Looks>> {
        let names = self.names_at(place, shared).await.map_err(|error| self.fail(place, error))?;
        let found: Vec<_> = stream::iter(names)
            .map(|name| {
                let below = match place.rest.as_str() {
                    "" => name.clone(),
                    rest => format!("{rest}/{name}"),
                };
                let place = Place {
                    mount: place.mount.clone(),
                    shown: place.shown,
                    whole: format!("{}/{below}", place.mount),
                    rest: below,
                };
                async move {
                    Ok::<_, SinkError>((name, self.metadata(&place).await?.map(Current::from)))
                }
            })
            .buffer_unordered(8)
            .try_collect()
            .await?;
        Ok(Arc::new(looks(found, self.clock.now()).collect()))
    }

    async fn change(&self, place: &Place, request: connector::Result<Request>) -> Result<Answer> {
        let fail = |error| self.fail(place, error);
        self.api.change(request.map_err(fail)?).await.map_err(fail)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

fn version_of(version: &KvVersion) -> Version {
    Version { number: version.version, created_at: version.created_time }
}

/// A deletion time in the future is `delete_version_after`: still there.
fn is_gone(version: &KvVersionInfo, now: Timestamp) -> bool {
    version.destroyed || version.deletion_time.is_some_and(|at| at <= now)
}

/// What a look needs of a key's metadata. A listing turns each key into this while it is read, and
/// never holds the metadata of all.
#[derive(Debug, Deserialize)]
#[serde(from = "KvMetadata")]
struct Current {
    number: u64,
    version: Option<KvVersionInfo>,
    mirror: Mirror,
}

impl From<KvMetadata> for Current {
    fn from(mut metadata: KvMetadata) -> Self {
        let number = metadata.current_version;
        Current {
            number,
            version: metadata.versions.remove(&number.to_string()),
            mirror: unfold(&metadata.custom_metadata),
        }
    }
}

/// What a page of a folder's listing shows.
#[derive(Debug, Default)]
struct Listed {
    /// How many names are on it, folders too.
    names: usize,
    first: String,
    last: String,
    looks: Arc<LooksPage>,
}

impl Listed {
    fn of(found: Detailed<Option<Current>>, now: Timestamp) -> Listed {
        let all = found.key_info;
        let name =
            |end: Option<(&String, _)>| end.map(|(name, _)| name.clone()).unwrap_or_default();
        Listed {
            names: all.len(),
            first: name(all.first_key_value()),
            last: name(all.last_key_value()),
            looks: Arc::new(looks(all, now).collect()),
        }
    }
}

/// The looks of documents, of what a listing shows: it has folders too.
fn looks(
    found: impl IntoIterator<Item = (String, Option<Current>)>,
    now: Timestamp,
) -> impl Iterator<Item = (String, Look)> {
    let documents = found.into_iter().filter(|(name, _)| !name.ends_with('/'));
    documents.filter_map(move |(name, found)| Some((name, found?.look(now)?)))
}

impl Current {
    fn look(self, now: Timestamp) -> Option<Look> {
        let Current { number, version, mirror } = self;
        let created_at = version.as_ref().and_then(|version| version.created_time);
        (number > 0).then(|| Look {
            version: Version { number, created_at },
            mirror,
            deleted: version.is_none_or(|version| is_gone(&version, now)),
        })
    }
}

/// Our mirror out of `custom_metadata`: our keys, their pieces put together.
fn unfold(custom: &BTreeMap<String, String>) -> Mirror {
    let mut pieces: BTreeMap<(&str, usize), &str> = BTreeMap::new();
    for (key, value) in custom {
        let Some(key) = key.strip_prefix(OURS) else { continue };
        let (name, number) = match key.rsplit_once(PIECE) {
            Some((name, number)) => match number.parse() {
                Ok(number) => (name, number),
                Err(_) => (key, 0),
            },
            None => (key, 0),
        };
        pieces.insert((name, number), value);
    }
    let mut mirror = Mirror::new();
    for ((name, _), piece) in pieces {
        mirror.entry(name.to_owned()).or_default().push_str(piece);
    }
    mirror
}

/// A mirror as `custom_metadata` takes it: keys marked as ours, long values in pieces, empty values
/// left out since the server refuses them.
fn fold(mirror: &Mirror) -> BTreeMap<String, String> {
    let mut custom = BTreeMap::new();
    for (name, value) in mirror {
        let mut rest = value.as_str();
        let mut number = 0;
        while !rest.is_empty() {
            let mut end = rest.len().min(VALUE);
            while !rest.is_char_boundary(end) {
                end -= 1;
            }
            let (piece, after) = rest.split_at(end);
            let key = match number {
                0 => format!("{OURS}{name}"),
                number => format!("{OURS}{name}{PIECE}{number}"),
            };
            custom.insert(key, piece.to_owned());
            (rest, number) = (after, number + 1);
        }
    }
    custom
}

#[async_trait]
impl Sink for Kv {
    fn capabilities(&self) -> SinkCapabilities {
        SinkCapabilities {
            compare_and_set: true,
            readable: true,
            keeps_versions: true,
            destroys_versions: true,
            lists_mirrors: true,
            this_host_only: false,
        }
    }

    /// A namespace is a folder of its cluster: its name may stand before a path as well.
    async fn home(&self, path: &str) -> Result<Home> {
        let path = segments(path)?.join("/");
        let cluster = self.api.cluster().await.map_err(|error| error.at_place(&path))?;
        let path = match self.api.namespace() {
            Some(namespace) => format!("{namespace}/{path}"),
            None => path,
        };
        Ok(Home { store: cluster.to_owned(), path })
    }

    async fn line_to_write(&self, path: &str, file: &str) -> Result<String> {
        let place = self.place(path).await?;
        let (flag, Place { mount, rest, .. }) = (self.api.namespace_flag(), &place);
        Ok(format!("bao kv put {flag}-mount={mount} {rest} @{file}"))
    }

    async fn check(&self, path: &str) -> Result<Option<String>> {
        let place = self.place(path).await?;
        if place.shown && place.rest.is_empty() {
            return Err(SinkError::Refused {
                place: place.whole,
                reason: "it is a mount, and a document has a name in one".to_owned(),
            });
        }
        let hidden = || {
            format!(
                "the server shows our token no mount at {:?}: there is none, or the token may do \
                 nothing in it",
                place.whole
            )
        };
        Ok((!place.shown).then(hidden))
    }

    async fn read(&self, path: &str) -> Result<Option<Stored>> {
        let place = self.place(path).await?;
        let Some(found) = self.get(&place, None).await? else { return Ok(None) };
        let version = version_of(&found.metadata);
        let gone = found.metadata.destroyed || found.data.is_none();
        let document = found.data.filter(|_| !gone).map(|fields| fields.0);
        Ok(Some(Stored { document, version }))
    }

    async fn read_version(&self, path: &str, number: u64) -> Result<Option<Document>> {
        let place = self.place(path).await?;
        let found = self.get(&place, Some(number)).await?;
        Ok(found
            .filter(|found| found.metadata.version == number && !found.metadata.destroyed)
            .and_then(|found| found.data)
            .map(|fields| fields.0))
    }

    async fn kept_versions(&self, path: &str) -> Result<Vec<u64>> {
        let place = self.place(path).await?;
        let versions = self.metadata(&place).await?.map(|found| found.versions).unwrap_or_default();
        let kept = versions.iter().filter(|(_, version)| !version.destroyed);
        let mut kept: Vec<u64> = kept.filter_map(|(number, _)| number.parse().ok()).collect();
        kept.sort_unstable();
        Ok(kept)
    }

    async fn look(&self, path: &str) -> Result<Option<Look>> {
        let place = self.place(path).await?;
        let found = self.metadata(&place).await?.map(Current::from);
        Ok(found.and_then(|found| found.look(self.clock.now())))
    }

    async fn look_all(&self, folder: &str) -> Result<BTreeMap<String, Look>> {
        let looks = self.looks(&self.place(folder).await?, false).await?;
        Ok(looks.iter().map(|(name, look)| (name.to_owned(), look.clone())).collect())
    }

    async fn names(&self, folder: &str) -> Result<BTreeSet<String>> {
        let place = self.place(folder).await?;
        match self.names_at(&place, false).await {
            Ok(names) => Ok(names.into_iter().collect()),
            // Our token may see the names with what stands beside them, and not alone.
            Err(error) if error.refusal() == Some(Refusal::Forbidden) => {
                Ok(self.look_all(folder).await?.into_keys().collect())
            }
            Err(error) => Err(self.fail(&place, error)),
        }
    }

    async fn look_all_shared(&self, folder: &str) -> Result<Arc<Looks>> {
        self.looks(&self.place(folder).await?, true).await
    }

    async fn write(&self, path: &str, document: &Document, expect: Expect) -> Result<Version> {
        let place = self.place(path).await?;
        let cas = match expect {
            Expect::Nothing => 0,
            Expect::Version(number) => number,
        };
        let request = post(
            format!("v1/{}/data/{}", encode(&place.mount), encode(&place.rest)),
            "{mount}/data/{path}",
            &Write { options: Cas { cas }, data: Exposed(document) },
        );
        let answer = self.change(&place, request).await?;
        let written: KvVersion =
            data("POST {mount}/data/{path}", &answer.body).map_err(|error| {
                SinkError::Ambiguous { place: place.whole.clone(), reason: error.to_string() }
            })?;
        let version = version_of(&written);
        if let Some(custom) = written.custom_metadata {
            lock(&self.beside).insert(place.whole, custom);
        }
        Ok(version)
    }

    async fn write_mirror(&self, path: &str, mirror: &Mirror) -> Result<()> {
        #[derive(Serialize)]
        struct Metadata {
            custom_metadata: BTreeMap<String, String>,
        }
        let place = self.place(path).await?;
        // The write that this follows said what stands there.
        let beside = lock(&self.beside).remove(&place.whole);
        let before = match beside {
            Some(custom) => custom,
            None => self.metadata(&place).await?.map(|one| one.custom_metadata).unwrap_or_default(),
        };
        let mut custom_metadata: BTreeMap<_, _> =
            before.into_iter().filter(|(key, _)| !key.starts_with(OURS)).collect();
        custom_metadata.extend(fold(mirror));
        if custom_metadata.len() > KEYS {
            return Err(SinkError::Refused {
                place: place.whole,
                reason: format!(
                    "its custom metadata would have {} keys, and KV takes {KEYS}: remove keys that \
                     others wrote there",
                    custom_metadata.len()
                ),
            });
        }
        let request = post(
            format!("v1/{}/metadata/{}", encode(&place.mount), encode(&place.rest)),
            "{mount}/metadata/{path}",
            &Metadata { custom_metadata },
        );
        self.change(&place, request).await.map(drop)
    }

    async fn destroy_version(&self, path: &str, number: u64) -> Result<()> {
        #[derive(Serialize)]
        struct Destroy {
            versions: [u64; 1],
        }
        let place = self.place(path).await?;
        let request = post(
            format!("v1/{}/destroy/{}", encode(&place.mount), encode(&place.rest)),
            "{mount}/destroy/{path}",
            &Destroy { versions: [number] },
        );
        self.change(&place, request).await.map(drop)
    }

    async fn prepare_claim(&self, path: &str) -> Result<()> {
        #[derive(Serialize)]
        struct Claim {
            max_versions: u32,
            cas_required: bool,
        }
        let place = self.place(path).await?;
        let request = post(
            format!("v1/{}/metadata/{}", encode(&place.mount), encode(&place.rest)),
            "{mount}/metadata/{path}",
            &Claim { max_versions: 1, cas_required: true },
        );
        self.change(&place, request).await.map(drop)
    }

    async fn lacks(&self, folder: &str) -> Result<Vec<String>> {
        let place = self.place(folder).await?;
        notes::lacking_for_documents(&self.api, &place.mount, &place.rest)
            .await
            .map_err(|error| self.fail(&place, error))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_mirror_survives_its_place_and_its_limits(
            mirror in prop::collection::btree_map("[a-z]{1,8}", "[a-zäß€]{1,900}", 0..6),
        ) {
            let custom = fold(&mirror);
            prop_assert!(custom.values().all(|value| value.len() <= VALUE && !value.is_empty()));
            prop_assert_eq!(unfold(&custom), mirror);
        }
    }

    #[test]
    fn keys_of_others_are_not_in_the_mirror() {
        let custom = BTreeMap::from([
            ("team".to_owned(), "x".to_owned()),
            ("nhi_gen".to_owned(), "7".to_owned()),
        ]);
        assert_eq!(unfold(&custom), Mirror::from([("gen".to_owned(), "7".to_owned())]));
    }
}
