//! AppRole roles as integrations: role, policy, entity and secret ids, read and changed.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard},
};

use async_trait::async_trait;
use connector::{
    Access, AccessRequest, Capabilities, Change, Children, Clock, Connector, CredentialListing,
    Ended, Error, Freshness, IssueRequest, Issued, Kind, NewIntegration, ObjectRef, Ourselves,
    Platform, Probe, ProbeBudget, Promise, Refusal, Result, Turns, Want, transport::Request,
};
use data_encoding::BASE32_NOPAD;
use domain::{
    Gap, GapExtent, GrantedScope, LastUsed, Observation, ObservedCredential, ObservedIntegration,
    Record, Secret, Settings, Span, settings::Setting,
};
use futures::{
    FutureExt, StreamExt, TryStreamExt,
    future::{self, BoxFuture},
    stream,
};
use jiff::{SignedDuration, Timestamp};
use ring::rand::{SecureRandom, SystemRandom};
use serde::Serialize;
use serde_json::json;
use tokio::sync::OnceCell;
use zeroize::Zeroizing;

use crate::{
    api::{
        AclPolicy, Api, Detailed, Entity, Group, Mount, Role, RoleId, Said, SecretIdInfo,
        SecretIdIssued, TokenInfo, Tune, ask, data, encode, kept, post, refused, told,
    },
    policy::{Policy, RECORD},
    probe::{self, Lockout, SignedIn},
    scope::{self, Form, OURS, ROLE_SETTINGS},
    tables::{ADD_MARKED, ADD_OURS, APPROLE, MOUNT, PROFILES, SECRET_ID},
};

/// Where the marker stands in a secret id's metadata, and in its tokens'.
pub(crate) const MARKER: &str = "nhi";
/// Where the number of uses stands that a secret id was issued with: the server counts its own down.
const USES: &str = "nhi_num_uses";
/// Where a record says which installation it is of.
const WHOSE: &str = "realm";
/// And the one with the id of the key that it was written with, which another installation has not.
const WHOSE_KEY: &str = "realm_key";
/// Where the mount stands in a record.
const RECORD_MOUNT: &str = "mount";
/// How many token accessors one sweep looks up.
const SWEEP_BUDGET: usize = 1_000;
/// How many integrations are read at once in a listing.
const AT_ONCE: usize = 8;

/// AppRole through one connection.
#[derive(Debug)]
pub(crate) struct AppRole {
    platform: &'static dyn Platform,
    connection: String,
    pinned: Option<String>,
    api: Arc<Api>,
    clock: Arc<dyn Clock>,
    tenant: OnceCell<String>,
    /// The role that our own sign-in is one of.
    ourselves: OnceCell<Option<Ourselves>>,
    /// Whether policies can be listed with their texts; unknown until asked.
    detailed: Mutex<Option<bool>>,
    /// Whether policies have versions, once that was seen.
    counted: Mutex<bool>,
    /// Where roles are, by key: a role never moves.
    places: Mutex<HashMap<String, Place>>,
    /// Accessors of auth mounts, by path.
    mount_accessors: Mutex<HashMap<String, String>>,
    /// What is fixed of secret ids, by mount, role and accessor.
    facts: Mutex<HashMap<(String, String, String), SecretIdInfo>>,
    /// Where tokens come from, by accessor; `None` for those of other sign-ins.
    tokens: Mutex<HashMap<String, Option<Child>>>,
    /// When each mount locks a role, as it was last asked.
    lockouts: Mutex<HashMap<String, Lockout>>,
    /// One at a time for each role.
    turns: Turns,
}

pub(crate) type Policies = Arc<BTreeMap<String, AclPolicy>>;

/// A token minted by a role.
#[derive(Debug, Clone)]
struct Child {
    mount: String,
    role: String,
    marker: Option<String>,
}

/// Which role a key means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    key: String,
    pub(crate) mount: String,
    pub(crate) role: String,
}

impl Place {
    /// `<role>`, with the mount from the record, or `<mount>:<role>`.
    fn of(key: &str, policy: Option<&Policy>) -> Place {
        if let Some((mount, role)) = key.rsplit_once(':') {
            return Place { key: key.into(), mount: mount.into(), role: role.into() };
        }
        let recorded =
            policy.and_then(record_of).and_then(|mut record| record.platform.remove(RECORD_MOUNT));
        Place {
            key: key.into(),
            mount: recorded.unwrap_or_else(|| MOUNT.to_owned()),
            role: key.into(),
        }
    }

    /// The name of its policy and of its entity.
    fn ours(&self) -> String {
        format!("{OURS}{}", self.key)
    }

    pub(crate) fn path(&self, below: &str) -> String {
        format!("v1/auth/{}/role/{}{below}", encode(&self.mount), encode(&self.role))
    }
}

fn record_of(policy: &Policy) -> Option<Record> {
    Record::from_json(policy.record.as_deref()?).ok()
}

/// A record as it is written: the mount is ours to remember.
fn write_record(record: &Record, place: &Place) -> String {
    let mut record = record.clone();
    if place.mount == MOUNT || place.key.contains(':') {
        record.platform.remove(RECORD_MOUNT);
    } else {
        record.platform.insert(RECORD_MOUNT.into(), place.mount.clone());
    }
    record.to_json()
}

/// Everything that was read of one role.
struct Found {
    place: Place,
    role: Role,
    role_id: String,
    policy: Option<(AclPolicy, Policy)>,
    /// The entity that its sign-ins belong to.
    entity: Option<Entity>,
    /// Policies that groups give.
    through_groups: BTreeMap<String, String>,
    accessors: Option<Vec<String>>,
    gaps: Vec<Gap>,
}

impl Found {
    fn scopes(&self, now: Timestamp) -> BTreeSet<GrantedScope> {
        let ours = self.place.ours();
        let mut scopes = BTreeSet::new();
        for name in &self.role.token_policies {
            if *name != ours {
                scopes.insert(GrantedScope::standing(scope::attached(name)));
            } else if let Some((_, policy)) = &self.policy {
                // Rules of a policy that is not attached give nothing.
                scopes.extend(policy.scopes(now));
            }
        }
        let direct = self.entity.iter().flat_map(|entity| &entity.policies);
        for name in direct.chain(self.through_groups.keys()) {
            scopes.insert(GrantedScope::standing(scope::identity(name)));
        }
        let settings = [!self.role.bind_secret_id, self.role.token_period > 0];
        for (setting, on) in ROLE_SETTINGS.into_iter().zip(settings) {
            if on {
                scopes.insert(GrantedScope::standing(scope::role(setting)));
            }
        }
        scopes
    }

    /// An error if others sign in as the entity of this role too: what is done to it reaches them. One
    /// that bears our name is ours, whatever somebody added to it.
    fn check_entity_is_its_own(&self) -> Result<()> {
        let Some(entity) = &self.entity else { return Ok(()) };
        let aliases = || entity.aliases.iter().flatten();
        if entity.name == self.place.ours() || aliases().all(|alias| alias.name == self.role_id) {
            return Ok(());
        }
        let own = aliases().find(|alias| alias.name == self.role_id);
        let alias = own.map_or("<alias id>", |alias| &alias.id);
        Err(invalid(
            "modify",
            format!(
                "others sign in as the identity entity {:?} of this role too (it bears {} aliases), and a \
                 change of it would reach them: give the role an entity of its own with `bao delete \
                 identity/entity-alias/id/{alias}`, and try again",
                entity.name,
                aliases().count()
            ),
        ))
    }

    /// An error if a policy that is not wanted comes through a group: who is in it is not ours to say.
    fn check_groups(&self, scopes: &BTreeSet<GrantedScope>) -> Result<()> {
        let wanted = identity_policies(scopes);
        let extra = self.through_groups.iter().filter(|(policy, _)| !wanted.contains(*policy));
        let extra: Vec<String> = extra
            .map(|(policy, group)| {
                format!("policy {policy:?} comes through the identity group {group:?}")
            })
            .collect();
        if extra.is_empty() {
            return Ok(());
        }
        let entity = self.entity.as_ref().map_or_else(|| self.place.ours(), |one| one.name.clone());
        Err(invalid(
            "modify",
            format!(
                "{}: take the entity {entity:?} out of there by hand, or the policy off the group",
                extra.join(", ")
            ),
        ))
    }

    fn settings(&self) -> Settings {
        let role = &self.role;
        let mut settings = Settings::default()
            .with("mount", Setting::Text(self.place.mount.clone()))
            .with("token_type", Setting::Text(role.token_type.clone()))
            .with("no_default_policy", Setting::Flag(role.token_no_default_policy))
            // Said where there is none too: nothing said means our default.
            .with("token_ttl", length(role.token_ttl));
        for (name, seconds) in [
            ("token_max_ttl", role.token_max_ttl),
            ("token_explicit_max_ttl", role.token_explicit_max_ttl),
            ("secret_id_ttl", role.secret_id_ttl),
        ] {
            if seconds > 0 {
                settings = settings.with(name, length(seconds));
            }
        }
        for (name, blocks) in [
            ("token_bound_cidrs", &role.token_bound_cidrs),
            ("secret_id_bound_cidrs", &role.secret_id_bound_cidrs),
        ] {
            if !blocks.is_empty() {
                settings = settings.with(name, Setting::Texts(blocks.iter().map(block).collect()));
            }
        }
        for (name, uses) in [
            ("token_num_uses", role.token_num_uses),
            ("secret_id_num_uses", role.secret_id_num_uses),
        ] {
            if uses > 0 {
                settings = settings.with(name, Setting::Count(uses));
            }
        }
        if role.token_strictly_bind_ip {
            settings = settings.with("token_strictly_bind_ip", Setting::Flag(true));
        }
        settings
    }

    fn observed(
        &self,
        now: Timestamp,
        credentials: Option<Vec<ObservedCredential>>,
    ) -> ObservedIntegration {
        let scopes = self.scopes(now);
        let record =
            self.policy.as_ref().and_then(|(_, policy)| record_of(policy)).map(|mut record| {
                record.platform.remove(RECORD_MOUNT);
                record
            });
        ObservedIntegration {
            kind: APPROLE.to_owned(),
            key: self.place.key.clone(),
            vendor_id: self.role_id.clone(),
            name: self.place.role.clone(),
            settings: self.settings(),
            record,
            parked: scopes.is_empty(),
            scopes,
            enabled: !self.entity.as_ref().is_some_and(|entity| entity.disabled),
            contacts: None,
            builtin: false,
            credentials,
            gaps: self.gaps.clone(),
        }
    }
}

/// The policies that are to come from entity or group.
fn identity_policies(scopes: &BTreeSet<GrantedScope>) -> BTreeSet<String> {
    let named = scopes.iter().filter_map(|granted| match scope::form(granted.scope.as_str()) {
        Some(Form::IdentityPolicy(name)) => Some(name),
        _ => None,
    });
    named.collect()
}

fn length(seconds: u64) -> Setting {
    Setting::Text(Span::from_secs(seconds).to_string())
}

/// An address block as people write it: of one that names a single address the server leaves the mask
/// out.
fn block(text: &String) -> String {
    match text {
        _ if text.contains('/') => text.clone(),
        _ if text.contains(':') => format!("{text}/128"),
        _ => format!("{text}/32"),
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

pub(crate) fn unexpected(what: &str, message: impl Into<String>) -> Error {
    Error::UnexpectedAnswer { what: what.to_owned(), message: message.into() }
}

fn conflict(what: &str, message: impl Into<String>) -> Error {
    Error::Refused { what: what.to_owned(), refusal: Refusal::Conflict, message: message.into() }
}

pub(crate) fn invalid(what: &str, message: impl Into<String>) -> Error {
    Error::Refused { what: what.to_owned(), refusal: Refusal::Invalid, message: message.into() }
}

impl AppRole {
    pub(crate) fn new(
        platform: &'static dyn Platform,
        connection: String,
        pinned: Option<String>,
        api: Arc<Api>,
        clock: Arc<dyn Clock>,
    ) -> AppRole {
        AppRole {
            platform,
            connection,
            pinned,
            api,
            clock,
            tenant: OnceCell::new(),
            ourselves: OnceCell::new(),
            detailed: Mutex::new(None),
            counted: Mutex::new(false),
            places: Mutex::new(HashMap::new()),
            mount_accessors: Mutex::new(HashMap::new()),
            facts: Mutex::new(HashMap::new()),
            tokens: Mutex::new(HashMap::new()),
            lockouts: Mutex::new(HashMap::new()),
            turns: Turns::default(),
        }
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    pub(crate) fn api(&self) -> &Api {
        &self.api
    }

    pub(crate) async fn tenant_id(&self) -> Result<&str> {
        let id = self
            .tenant
            .get_or_try_init(|| async {
                let cluster = self.api.cluster().await?;
                Ok::<_, Error>(match self.api.namespace() {
                    Some(namespace) => format!("{cluster}/{namespace}"),
                    None => cluster.to_owned(),
                })
            })
            .await?;
        match &self.pinned {
            Some(pinned) if pinned != id => Err(Error::Tenant {
                connection: self.connection.clone(),
                expected: pinned.clone(),
                found: id.clone(),
            }),
            _ => Ok(id),
        }
    }

    /// Checked before anything is sent that matters, where a tenant is pinned.
    pub(crate) async fn check_tenant(&self) -> Result<()> {
        match self.pinned {
            Some(_) => self.tenant_id().await.map(drop),
            None => Ok(()),
        }
    }

    // -- policies ---------------------------------------------------------------------------------

    /// Every policy with its text in one request; `None` where the server has no such listing.
    pub(crate) async fn all_policies(&self) -> Result<Option<Policies>> {
        let known = *locked(&self.detailed);
        if known == Some(false) {
            return Ok(None);
        }
        let request = Request {
            method: "LIST",
            shared: true,
            ..Request::get("v1/sys/policies/detailed/acl", "sys/policies/detailed/acl")
        };
        let what = told(&request);
        let answer = self.api.send(request).await?;
        let has = |value| *locked(&self.detailed) = Some(value);
        match answer.status {
            200 => {}
            // Vault has no such path, or reads it as a policy's name.
            404 | 405 | 400 | 403 => {
                has(false);
                return Ok(None);
            }
            _ => return Err(refused(&what, &answer, false)),
        }
        has(true);
        let read = |body: &[u8]| Ok(data::<Detailed<AclPolicy>>(&what, body)?.key_info);
        answer.read_once(read).map(Some)
    }

    async fn find_at(&self, place: &Place, secret: &Secret) -> Result<Option<ObservedCredential>> {
        #[derive(Serialize)]
        struct Body<'a> {
            secret_id: &'a str,
        }
        let request = ask(
            place.path("/secret-id/lookup"),
            "auth/{mount}/role/{name}/secret-id/lookup",
            &Body { secret_id: secret.expose() },
        )?;
        let what = told(&request);
        let answer = self.api.send(request).await?;
        match (answer.status, Said::read(&answer.body)) {
            (200, _) => {
                let info: SecretIdInfo = data(&what, &answer.body)?;
                self.learn(place, &info);
                Ok(Some(self.observed(&info)))
            }
            (204, _) | (404, Said::Nothing) => Ok(None),
            _ => Err(refused(&what, &answer, false)),
        }
    }

    /// A secret id by its secret, where its role is known without a look.
    pub(crate) async fn find_in(
        &self,
        (mount, role): (&str, &str),
        secret: &Secret,
    ) -> Result<Option<ObservedCredential>> {
        let place = Place { key: role.to_owned(), mount: mount.to_owned(), role: role.to_owned() };
        self.find_at(&place, secret).await
    }

    /// On which mount a role is that goes by this name alone.
    pub(crate) async fn recorded_mount(&self, role: &str, freshness: Freshness) -> Result<String> {
        let policy = self.policy(&format!("{OURS}{role}"), freshness).await?;
        Ok(Place::of(role, policy.as_ref().map(|(_, policy)| policy)).mount)
    }

    async fn policy(
        &self,
        name: &str,
        freshness: Freshness,
    ) -> Result<Option<(AclPolicy, Policy)>> {
        let shared = freshness == Freshness::Shared;
        if shared && let Some(all) = self.all_policies().await? {
            return Ok(all.get(name).map(|found| (found.clone(), Policy::parse(&found.policy))));
        }
        let request = Request {
            shared,
            ..Request::get(
                format!("v1/sys/policies/acl/{}", encode(name)),
                "sys/policies/acl/{name}",
            )
        };
        let found: Option<AclPolicy> = self.api.maybe(request).await?;
        Ok(found.map(|found| (found.clone(), Policy::parse(&found.policy))))
    }

    /// Writes a policy's text if nothing has changed since it was read.
    async fn write_policy(&self, name: &str, before: Option<&AclPolicy>, text: &str) -> Result<()> {
        #[derive(Serialize)]
        struct Body<'a> {
            policy: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            cas: Option<i64>,
        }
        if before.is_some_and(|before| before.policy == text) {
            return Ok(());
        }
        let path = || format!("v1/sys/policies/acl/{}", encode(name));
        let what = format!("POST sys/policies/acl/{name}");
        let what = what.as_str();
        let counts = match before {
            Some(before) => before.version.is_some(),
            None => self.counts_policies().await?,
        };
        let cas = counts.then(|| before.and_then(|before| before.version).unwrap_or(-1));
        if !counts {
            // Without compare-and-set: look again, write, look at what stands there.
            let now = self.policy(name, Freshness::Fresh).await?.map(|(found, _)| found.policy);
            if now.as_deref() != before.map(|before| before.policy.as_str()) {
                return Err(conflict(
                    what,
                    format!("policy {name:?} was changed by somebody else in between"),
                ));
            }
        }
        let request = post(path(), "sys/policies/acl/{name}", &Body { policy: text, cas })?;
        self.api.change(request).await?;
        if !counts {
            let stands = self.policy(name, Freshness::Fresh).await;
            let stands = stands.map_err(|error| error.after_change(what))?;
            let stands = stands.map(|(found, _)| found.policy);
            if stands.as_deref().map(str::trim) != Some(text.trim()) {
                return Err(conflict(
                    what,
                    format!("policy {name:?} was overwritten by somebody else"),
                ));
            }
        }
        Ok(())
    }

    /// Whether the server counts versions of policies, and so has compare-and-set.
    pub(crate) async fn counts_policies(&self) -> Result<bool> {
        if *locked(&self.counted) {
            return Ok(true);
        }
        let request = Request {
            shared: true,
            ..Request::get("v1/sys/policies/acl/default", "sys/policies/acl/{name}")
        };
        let found = self.api.maybe::<AclPolicy>(request).await?;
        let counted = found.is_some_and(|found| found.version.is_some());
        *locked(&self.counted) = counted;
        Ok(counted)
    }

    // -- reading one role -------------------------------------------------------------------------

    pub(crate) async fn role(&self, place: &Place, shared: bool) -> Result<Option<Role>> {
        let request =
            Request { shared, ..Request::get(place.path(""), "auth/{mount}/role/{name}") };
        self.api.maybe(request).await
    }

    pub(crate) async fn role_id(&self, place: &Place, shared: bool) -> Result<Option<String>> {
        let request = Request {
            shared,
            ..Request::get(place.path("/role-id"), "auth/{mount}/role/{name}/role-id")
        };
        Ok(self.api.maybe::<RoleId>(request).await?.map(|found| found.role_id))
    }

    async fn entity_named(&self, name: &str, shared: bool) -> Result<Option<Entity>> {
        let request = Request {
            shared,
            ..Request::get(
                format!("v1/identity/entity/name/{}", encode(name)),
                "identity/entity/name/{name}",
            )
        };
        self.api.maybe(request).await
    }

    /// Whichever entity has the alias of a role's sign-ins.
    async fn entity_by_alias(
        &self,
        place: &Place,
        role_id: &str,
        shared: bool,
    ) -> Result<Option<Entity>> {
        let accessor = self.accessor_of(&place.mount).await?;
        let body = json!({ "alias_name": role_id, "alias_mount_accessor": accessor });
        let mut request = ask("v1/identity/lookup/entity", "identity/lookup/entity", &body)?;
        request.shared = shared;
        let what = told(&request);
        let answer = self.api.send(request).await?;
        match answer.status {
            200 => kept(&what, &answer).map(Some),
            204 => Ok(None),
            _ => Err(refused(&what, &answer, false)),
        }
    }

    /// The auth mounts with their accessors, and whether these are all of them: without permission
    /// to list them only those show that our token may use.
    async fn mounts(&self) -> Result<(BTreeMap<String, Mount>, bool)> {
        #[derive(serde::Deserialize)]
        struct Visible {
            auth: BTreeMap<String, Mount>,
        }
        let request = Request { shared: true, ..Request::get("v1/sys/auth", "sys/auth") };
        let what = told(&request);
        let answer = self.api.send(request).await?;
        let all = answer.status == 200;
        let mounts: BTreeMap<String, Mount> = match answer.status {
            200 => data(&what, &answer.body)?,
            403 => {
                let request = Request {
                    shared: true,
                    ..Request::get("v1/sys/internal/ui/mounts", "sys/internal/ui/mounts")
                };
                self.api.need::<Visible>(request).await?.auth
            }
            _ => return Err(refused(&what, &answer, false)),
        };
        let bare = |(path, mount): (String, Mount)| (path.trim_matches('/').to_owned(), mount);
        Ok((mounts.into_iter().map(bare).collect(), all))
    }

    /// The mounts where roles are, and whether these are all of them.
    pub(crate) async fn role_mounts(&self) -> Result<(BTreeSet<String>, bool)> {
        let (mounts, all) = self.mounts().await?;
        let roles = mounts.into_iter().filter(|(_, mount)| mount.mount_type == "approle");
        Ok((roles.map(|(path, _)| path).collect(), all))
    }

    async fn accessor_of(&self, mount: &str) -> Result<String> {
        if let Some(known) = locked(&self.mount_accessors).get(mount) {
            return Ok(known.clone());
        }
        let (mounts, _) = self.mounts().await?;
        let found = mounts.get(mount).map(|found| found.accessor.clone());
        let accessor = found.filter(|accessor| !accessor.is_empty()).ok_or_else(|| {
            Error::Configuration(format!(
                "connection {:?}: there is no auth mount {mount:?} that our token can see; enable it \
                 with `bao auth enable {}-path={mount} approle`, or let our policy read sys/auth",
                self.connection,
                self.api.namespace_flag()
            ))
        })?;
        locked(&self.mount_accessors).insert(mount.to_owned(), accessor.clone());
        Ok(accessor)
    }

    async fn accessors(&self, place: &Place, shared: bool) -> Result<Vec<String>> {
        self.api.keys(&place.path("/secret-id"), "auth/{mount}/role/{name}/secret-id", shared).await
    }

    async fn find_role(&self, key: &str, want: Want) -> Result<Option<Found>> {
        let shared = want.freshness == Freshness::Shared;
        let policy = self.policy(&format!("{OURS}{key}"), want.freshness).await?;
        let mut place = Place::of(key, policy.as_ref().map(|(_, policy)| policy));
        let recorded = policy.as_ref().is_some_and(|(_, policy)| record_of(policy).is_some());
        let mut gaps = Vec::new();
        let named = place.ours();
        // Alone and first: the server may write when a role is read for the first time, and fails one
        // of two reads that do so at once.
        let mut role = self.role(&place, shared).await?;
        if role.is_none()
            && !recorded
            && let Some(elsewhere) = self.place_by_entity(&place, shared).await?
        {
            role = self.role(&elsewhere, shared).await?;
            place = elsewhere;
        }
        self.remember(&place, recorded);
        let Some(role) = role else { return Ok(None) };
        let (role_id, entity, accessors) =
            future::join3(self.role_id(&place, shared), self.entity_named(&named, shared), async {
                if want.credentials {
                    self.accessors(&place, shared).await.map(Some)
                } else {
                    Ok(None)
                }
            })
            .await;
        let Some(role_id) = role_id? else { return Ok(None) };
        let mut gap = |facet: &'static str, error: &Error| {
            gaps.push(Gap {
                extent: GapExtent::Facet(key.to_owned(), facet),
                cause: error.to_string(),
            });
        };
        let accessors = accessors.unwrap_or_else(|error| {
            gap("credentials", &error);
            None
        });
        let bears =
            |entity: &Entity| entity.aliases.iter().flatten().any(|alias| alias.name == role_id);
        let entity = match entity {
            Ok(Some(entity)) if bears(&entity) => Ok(Some(entity)),
            Ok(_) => self.entity_by_alias(&place, &role_id, shared).await,
            Err(error) => Err(error),
        };
        let entity = entity.unwrap_or_else(|error| {
            gap("enabled", &error);
            None
        });
        let mut through_groups = BTreeMap::new();
        for id in entity.iter().flat_map(|entity| &entity.group_ids) {
            let request = Request {
                shared,
                ..Request::get(
                    format!("v1/identity/group/id/{}", encode(id)),
                    "identity/group/id/{id}",
                )
            };
            match self.api.need::<Group>(request).await {
                Ok(group) => {
                    let named =
                        group.policies.into_iter().map(|policy| (policy, group.name.clone()));
                    through_groups.extend(named);
                }
                Err(error) => gap("scopes", &error),
            }
        }
        Ok(Some(Found { place, role, role_id, policy, entity, through_groups, accessors, gaps }))
    }

    /// The role that is meant, or an error that it is not there.
    async fn existing(&self, object: &ObjectRef, want: Want) -> Result<Found> {
        let found = self.find_role(&object.key, want).await?.ok_or_else(|| not_found(object))?;
        object.check_incarnation(&found.role_id)?;
        Ok(found)
    }

    /// Where a role is by its entity, when the record that would say it was wiped: absence on the
    /// usual mount alone proves nothing.
    async fn place_by_entity(&self, place: &Place, shared: bool) -> Result<Option<Place>> {
        if place.key.contains(':') {
            return Ok(None);
        }
        let entity = self.entity_named(&place.ours(), shared).await?;
        let aliases = entity.into_iter().flat_map(|entity| entity.aliases).flatten();
        let mut mounts = aliases.filter_map(|alias| {
            let mount = alias.mount_path.trim_matches('/').strip_prefix("auth/")?.to_owned();
            (mount != place.mount).then_some(mount)
        });
        Ok(mounts.next().map(|mount| Place { mount, ..place.clone() }))
    }

    /// Mount and role of an object, without reading the role.
    pub(crate) async fn place(&self, object: &ObjectRef) -> Result<Place> {
        if object.key.contains(':') {
            return Ok(Place::of(&object.key, None));
        }
        if let Some(known) = locked(&self.places).get(&object.key) {
            return Ok(known.clone());
        }
        let policy = self.policy(&format!("{OURS}{}", object.key), Freshness::Fresh).await?;
        let place = Place::of(&object.key, policy.as_ref().map(|(_, policy)| policy));
        let recorded = policy.as_ref().is_some_and(|(_, policy)| record_of(policy).is_some());
        self.remember(&place, recorded);
        if !recorded && let Some(elsewhere) = self.place_by_entity(&place, false).await? {
            return Ok(elsewhere);
        }
        Ok(place)
    }

    /// A role with a record of ours stays where that says; one without may get such a record.
    fn remember(&self, place: &Place, recorded: bool) {
        if recorded {
            locked(&self.places).insert(place.key.clone(), place.clone());
        }
    }

    // -- credentials ------------------------------------------------------------------------------

    fn known(&self, place: &Place, accessor: &str) -> Option<SecretIdInfo> {
        let key = (place.mount.clone(), place.role.clone(), accessor.to_owned());
        locked(&self.facts).get(&key).cloned()
    }

    fn learn(&self, place: &Place, info: &SecretIdInfo) {
        let key = (place.mount.clone(), place.role.clone(), info.secret_id_accessor.clone());
        locked(&self.facts).insert(key, info.clone());
    }

    fn forget(&self, place: &Place, accessor: &str) {
        let key = (place.mount.clone(), place.role.clone(), accessor.to_owned());
        locked(&self.facts).remove(&key);
    }

    async fn look_up(&self, place: &Place, accessor: &str) -> Result<Option<SecretIdInfo>> {
        let request = ask(
            place.path("/secret-id-accessor/lookup"),
            "auth/{mount}/role/{name}/secret-id-accessor/lookup",
            &json!({ "secret_id_accessor": accessor }),
        )?;
        let what = told(&request);
        let answer = self.api.send(request).await?;
        match (answer.status, Said::read(&answer.body)) {
            (200, _) => {
                let info = data(&what, &answer.body)?;
                self.learn(place, &info);
                Ok(Some(info))
            }
            (204, _) | (_, Said::NoAccessor) | (404, Said::Nothing) => {
                self.forget(place, accessor);
                Ok(None)
            }
            _ => Err(refused(&what, &answer, false)),
        }
    }

    fn observed(&self, info: &SecretIdInfo) -> ObservedCredential {
        let mut settings = Settings::default();
        if !info.cidr_list.is_empty() {
            let cidrs = info.cidr_list.iter().cloned().collect();
            settings = settings.with("bound_cidrs", Setting::Texts(cidrs));
        }
        let issued_with = info.metadata.get(USES).and_then(|text| text.parse().ok());
        let uses = issued_with.unwrap_or(info.secret_id_num_uses);
        if uses > 0 {
            settings = settings.with("num_uses", Setting::Count(uses));
        }
        ObservedCredential {
            key_id: info.secret_id_accessor.clone(),
            credential_type: SECRET_ID.to_owned(),
            marker: info.metadata.get(MARKER).cloned(),
            issued_at: info.creation_time,
            expires_at: info.expiration_time,
            last_used: LastUsed::Unknown,
            live: info.expiration_time.is_none_or(|end| end > self.clock.now()),
            disabled: false,
            settings,
        }
    }

    async fn details(
        &self,
        place: &Place,
        accessors: &[String],
        details: bool,
    ) -> Result<Vec<ObservedCredential>> {
        let each = |accessor: &String| self.detail(place, accessor.clone(), details).boxed();
        let looked: Vec<BoxFuture<'_, _>> = accessors.iter().map(each).collect();
        let looked: Vec<Option<ObservedCredential>> =
            stream::iter(looked).buffered(4).try_collect().await?;
        let mut found: Vec<_> = looked.into_iter().flatten().collect();
        found.sort_by(|a, b| a.key_id.cmp(&b.key_id));
        Ok(found)
    }

    async fn detail(
        &self,
        place: &Place,
        accessor: String,
        details: bool,
    ) -> Result<Option<ObservedCredential>> {
        if let Some(info) = self.known(place, &accessor) {
            return Ok(Some(self.observed(&info)));
        }
        if details {
            let info = self.look_up(place, &accessor).await?;
            return Ok(info.map(|info| self.observed(&info)));
        }
        Ok(Some(ObservedCredential {
            key_id: accessor,
            credential_type: SECRET_ID.to_owned(),
            marker: None,
            issued_at: None,
            expires_at: None,
            last_used: LastUsed::Unknown,
            live: true,
            disabled: false,
            settings: Settings::default(),
        }))
    }

    async fn observe(
        &self,
        key: String,
        want: Want,
    ) -> (String, Result<Option<ObservedIntegration>>) {
        let read = match self.find_role(&key, want).await {
            Ok(Some(found)) => Ok(Some(self.finish(found, want).await)),
            Ok(None) => Ok(None),
            Err(error) => Err(error),
        };
        (key, read)
    }

    async fn finish(&self, mut found: Found, want: Want) -> ObservedIntegration {
        let credentials = match &found.accessors {
            None => None,
            Some(accessors) => match self.details(&found.place, accessors, want.details).await {
                Ok(credentials) => Some(credentials),
                Err(error) => {
                    let extent = GapExtent::Facet(found.place.key.clone(), "credentials");
                    found.gaps.push(Gap { extent, cause: error.to_string() });
                    None
                }
            },
        };
        found.observed(self.clock.now(), credentials)
    }

    // -- changing ---------------------------------------------------------------------------------

    async fn write_role(
        &self,
        place: &Place,
        body: &serde_json::Map<String, serde_json::Value>,
    ) -> Result<()> {
        if body.is_empty() {
            return Ok(());
        }
        let call = post(place.path(""), "auth/{mount}/role/{name}", body)?;
        let changed = self.api.change(call).await.map(drop);
        changed.map_err(|error| asking(error, body))
    }

    /// Makes sure that the entity is there and that the role's sign-ins belong to it.
    async fn ensure_entity(&self, place: &Place, role_id: &str) -> Result<Entity> {
        let name = place.ours();
        let entity = match self.entity_named(&name, false).await? {
            Some(entity) => entity,
            None => {
                let body = json!({ "name": name, "metadata": { "made_by": "nhi" } });
                let request = post("v1/identity/entity", "identity/entity", &body)?;
                let what = told(&request);
                let answer = self.api.change(request).await?;
                data(&what, &answer.body)?
            }
        };
        let mount_path = format!("auth/{}", place.mount);
        let bears =
            entity.aliases.iter().flatten().any(|alias| {
                alias.name == role_id && alias.mount_path.trim_matches('/') == mount_path
            });
        if bears {
            return Ok(entity);
        }
        // One alias for each mount: that of an earlier role of this name has to go.
        for alias in entity.aliases.iter().flatten() {
            if alias.mount_path.trim_matches('/') == mount_path {
                self.delete_at(
                    &format!("v1/identity/entity-alias/id/{}", encode(&alias.id)),
                    "identity/entity-alias/id/{id}",
                )
                .await?;
            }
        }
        let body = json!({
            "name": role_id,
            "canonical_id": entity.id,
            "mount_accessor": self.accessor_of(&place.mount).await?,
        });
        self.api.change(post("v1/identity/entity-alias", "identity/entity-alias", &body)?).await?;
        Ok(entity)
    }

    async fn delete_at(&self, path: &str, template: &'static str) -> Result<()> {
        match self.api.change(Request::change("DELETE", path, template)).await {
            Err(error) if error.refusal() == Some(Refusal::NotFound) => Ok(()),
            other => other.map(drop),
        }
    }

    async fn apply(&self, found: &Found, change: &Change) -> Result<()> {
        let place = &found.place;
        let ours = place.ours();
        let mut role = serde_json::Map::new();
        if let Some(settings) = &change.settings {
            let stands = role_settings(&found.settings(), None)?;
            let moves = |(name, value): &(String, serde_json::Value)| {
                stands.get(name).map(bare_cidrs) != Some(bare_cidrs(value))
            };
            role.extend(role_settings(settings, Some(place))?.into_iter().filter(moves));
        }
        let before = found.policy.as_ref();
        let mut policy = before.map(|(_, policy)| policy.clone()).unwrap_or_default();
        if let Some(record) = &change.record {
            policy = policy.with_record(&write_record(record, place));
        }
        if let Some(scopes) = &change.scopes {
            let live = found.scopes(self.clock.now());
            policy = policy.with_scopes(scopes).map_err(|scope| {
                invalid("modify", format!("{scope} stands for a rule that is not there any more: it cannot be written again"))
            })?;
            let mut attached = vec![ours.clone()];
            for granted in scopes {
                let form = scope::form(granted.scope.as_str());
                // A rule that we do not model was found in the text above, attached or not.
                if !matches!(form, Some(Form::OpaqueRule { .. }))
                    && !live.contains(granted)
                    && let Some(only) = scope::only_shown(&granted.scope)
                {
                    let why = format!("{} is never granted: {}", granted.scope, only.why);
                    return Err(invalid("modify", why));
                }
                if let Some(Form::Policy(name)) = form {
                    attached.push(name);
                }
                if granted.until.is_some() && !scope::ends(&granted.scope) {
                    return Err(invalid("modify", format!("{} cannot have an end", granted.scope)));
                }
            }
            attached.sort();
            let mut held = found.role.token_policies.clone();
            held.sort();
            if attached != held {
                role.insert("token_policies".into(), json!(attached));
            }
            let keeps = |setting: &str| scopes.iter().any(|one| one.scope == scope::role(setting));
            if !found.role.bind_secret_id && !keeps(ROLE_SETTINGS[0]) {
                role.insert("bind_secret_id".into(), json!(true));
            }
            if found.role.token_period > 0 && !keeps(ROLE_SETTINGS[1]) {
                role.insert("token_period".into(), json!(0));
            }
        }
        // The server takes no role that neither asks for a secret nor binds addresses: where the last
        // bounds go, the secret is asked for again, which only narrows. Whoever keeps the scope in this
        // very change is told the server's own refusal.
        let bounds = [
            ("token_bound_cidrs", &found.role.token_bound_cidrs),
            ("secret_id_bound_cidrs", &found.role.secret_id_bound_cidrs),
        ];
        let bound = |(name, stands): (&str, &Vec<String>)| match role.get(name) {
            Some(wanted) => wanted.as_array().is_some_and(|blocks| !blocks.is_empty()),
            None => !stands.is_empty(),
        };
        if change.scopes.is_none()
            && !role.is_empty()
            && !found.role.bind_secret_id
            && !bounds.into_iter().any(bound)
        {
            role.insert("bind_secret_id".into(), json!(true));
        }
        // Several calls: what is refused after one was accepted leaves a part done.
        let mut begun = false;
        let partly = |begun: bool, error: Error| match begun {
            true => error.after_change("modify"),
            false => error,
        };
        if change.record.is_some() || change.scopes.is_some() {
            let text = policy.text();
            self.write_policy(&ours, before.map(|(policy, _)| policy), &text).await?;
            begun = before.is_none_or(|(policy, _)| policy.policy != text);
        }
        self.write_role(place, &role).await.map_err(|error| partly(begun, error))?;
        begun |= !role.is_empty();
        if let Some(scopes) = &change.scopes {
            let identity = self.apply_identity(found, scopes).await;
            begun |= identity.map_err(|error| partly(begun, error))?;
        }
        if let Some(enabled) = change.enabled {
            begun |= self.switch(found, enabled).await.map_err(|error| partly(begun, error))?;
        }
        // Last: what is not ours to take away keeps nothing else from being done.
        match &change.scopes {
            Some(scopes) => found.check_groups(scopes).map_err(|error| partly(begun, error)),
            None => Ok(()),
        }
    }

    /// Policies that the entity gives; whether they had to be changed. Those of groups are not ours.
    async fn apply_identity(&self, found: &Found, scopes: &BTreeSet<GrantedScope>) -> Result<bool> {
        let wanted = identity_policies(scopes);
        let direct: BTreeSet<String> =
            wanted.into_iter().filter(|name| !found.through_groups.contains_key(name)).collect();
        let held: BTreeSet<String> =
            found.entity.iter().flat_map(|entity| entity.policies.iter().cloned()).collect();
        if direct == held {
            return Ok(false);
        }
        found.check_entity_is_its_own()?;
        let entity = match &found.entity {
            Some(entity) => entity.id.clone(),
            None => self.ensure_entity(&found.place, &found.role_id).await?.id,
        };
        let path = format!("v1/identity/entity/id/{}", encode(&entity));
        let body = json!({ "policies": direct });
        self.api.change(post(path, "identity/entity/id/{id}", &body)?).await?;
        Ok(true)
    }

    /// Switches it on or off; whether that changed anything.
    async fn switch(&self, found: &Found, enabled: bool) -> Result<bool> {
        let entity = match &found.entity {
            Some(entity) => entity.clone(),
            None => self.ensure_entity(&found.place, &found.role_id).await?,
        };
        if entity.disabled != enabled {
            return Ok(false);
        }
        found.check_entity_is_its_own()?;
        self.set_disabled(&entity, !enabled).await.map(|()| true)
    }

    async fn set_disabled(&self, entity: &Entity, disabled: bool) -> Result<()> {
        let path = format!("v1/identity/entity/id/{}", encode(&entity.id));
        let body = json!({ "disabled": disabled });
        self.api.change(post(path, "identity/entity/id/{id}", &body)?).await.map(drop)
    }

    /// Reads back, and refuses to call done what is not in force.
    async fn read_back(
        &self,
        object: &ObjectRef,
        change: &Change,
        want: Want,
    ) -> Result<ObservedIntegration> {
        let what = "modify";
        let found = self.existing(object, want).await;
        let found = found.map_err(|error| error.after_change(what))?;
        let observed = self.finish(found, want).await;
        if let Some(settings) = &change.settings {
            let stands = role_settings(&observed.settings, None)?;
            for (name, wanted) in role_settings(settings, None)? {
                if bare_cidrs(&wanted) != bare_cidrs(&stands[&name]) {
                    return Err(unexpected(
                        what,
                        format!(
                            "the server took the change and {APPROLE}.{name} is {}",
                            stands[&name]
                        ),
                    ));
                }
            }
        }
        if let Some(record) = &change.record {
            let mut wanted = record.clone();
            wanted.platform.remove(RECORD_MOUNT);
            if observed.record.as_ref() != Some(&wanted) {
                return Err(unexpected(what, "the server took the change and has another record"));
            }
        }
        if let Some(scopes) = &change.scopes {
            let now = self.clock.now();
            let wanted: BTreeSet<_> = scopes
                .iter()
                .filter(|one| one.until.is_none_or(|until| until > now))
                .cloned()
                .collect();
            if wanted != observed.scopes {
                let missing = wanted.difference(&observed.scopes).map(|one| one.scope.to_string());
                let extra = observed.scopes.difference(&wanted).map(|one| one.scope.to_string());
                return Err(unexpected(
                    what,
                    format!(
                        "the server took the change and other scopes are in force: missing {:?}, too many {:?}",
                        missing.collect::<Vec<_>>(),
                        extra.collect::<Vec<_>>()
                    ),
                ));
            }
        }
        if change.enabled.is_some_and(|enabled| enabled != observed.enabled) {
            return Err(unexpected(what, "the server took the switch and it does not stand so"));
        }
        Ok(observed)
    }

    /// The rest of a create, after its record says that it was begun.
    async fn complete(&self, new: &NewIntegration, place: &Place) -> Result<ObservedIntegration> {
        let what = format!("{APPROLE} {:?}", new.name);
        let ours = place.ours();
        let mut body = role_settings(&new.settings, Some(place))?;
        body.insert("token_policies".into(), json!([ours]));
        body.insert("bind_secret_id".into(), json!(true));
        self.write_role(place, &body).await?;
        let role_id = self.role_id(place, false).await?.ok_or_else(|| {
            unexpected(
                &format!("GET auth/{}/role/{}/role-id", place.mount, place.role),
                "the role that was just made is not there",
            )
        })?;
        let entity = self.ensure_entity(place, &role_id).await?;
        if entity.disabled {
            // Left over from an integration of this name that was switched off.
            self.set_disabled(&entity, false).await?;
        }
        let object = ObjectRef {
            kind: APPROLE.to_owned(),
            key: place.key.clone(),
            vendor_id: Some(role_id),
            name: new.name.clone(),
        };
        if !new.record.unfinished {
            let Some((stands, policy)) = self.policy(&ours, Freshness::Fresh).await? else {
                return Err(conflict(&what, "its policy was deleted while it was made"));
            };
            let text = policy.with_record(&write_record(&new.record, place)).text();
            self.write_policy(&ours, Some(&stands), &text).await?;
        }
        let observed = self.read_back(&object, &Change::default(), Want::DEED).await?;
        if !observed.scopes.is_empty() {
            return Err(unexpected(&what, "it was made without scopes and has some"));
        }
        Ok(observed)
    }

    async fn tune(&self, mount: &str) -> Result<Tune> {
        let path = format!("v1/sys/mounts/auth/{}/tune", encode(mount));
        let request =
            Request { shared: true, ..Request::get(path, "sys/mounts/auth/{mount}/tune") };
        self.api.need(request).await
    }

    /// When a mount locks a role; where that cannot be read, what the server has by itself.
    pub(crate) async fn lockout(&self, mount: &str) -> Lockout {
        let lockout = self.tune(mount).await.map_or(Lockout::BUILT_IN, |tune| Lockout::of(&tune));
        locked(&self.lockouts).insert(mount.to_owned(), lockout);
        lockout
    }

    /// Signs in once, within what the mount stands.
    pub(crate) async fn sign_in(
        &self,
        place: &Place,
        role_id: &str,
        secret: &Secret,
    ) -> Result<SignedIn> {
        let counted = format!("{} {} {}", self.tenant_id().await?, place.mount, place.role);
        let known = locked(&self.lockouts).get(&place.mount).copied();
        let lockout = match known {
            Some(lockout) => lockout,
            None => self.lockout(&place.mount).await,
        };
        let (api, clock) = (&self.api, &*self.clock);
        probe::sign_in(api, clock, &counted, lockout, &place.mount, role_id, secret).await
    }

    /// How long a token of a role may live with renewals, from now.
    async fn residual(&self, place: &Place, role: &Role) -> Option<Timestamp> {
        let own = [role.token_max_ttl, role.token_explicit_max_ttl]
            .into_iter()
            .filter(|one| *one > 0)
            .min();
        let limit = match (role.token_period, own) {
            (1.., None) => return None,
            (_, Some(own)) => own,
            (0, None) => self.tune(&place.mount).await.ok()?.max_lease_ttl,
        };
        let limit =
            SignedDuration::from_secs(i64::try_from(limit).ok().filter(|limit| *limit > 0)?);
        self.clock.now().checked_add(limit).ok()
    }

    async fn child(&self, accessor: &str) -> Result<Option<Child>> {
        let request = ask(
            "v1/auth/token/lookup-accessor",
            "auth/token/lookup-accessor",
            &json!({ "accessor": accessor }),
        )?;
        let what = told(&request);
        let answer = self.api.send(request).await?;
        let child = match (answer.status, Said::read(&answer.body)) {
            (200, _) => {
                let token: TokenInfo = data(&what, &answer.body)?;
                let mount =
                    token.path.strip_prefix("auth/").and_then(|rest| rest.strip_suffix("/login"));
                mount.zip(token.meta.get("role_name")).map(|(mount, role)| Child {
                    mount: mount.to_owned(),
                    role: role.clone(),
                    marker: token.meta.get(MARKER).cloned(),
                })
            }
            // Gone in the meantime.
            (404, Said::Nothing) | (_, Said::NoAccessor) => return Ok(None),
            _ => return Err(refused(&what, &answer, false)),
        };
        let mut tokens = locked(&self.tokens);
        tokens.insert(accessor.to_owned(), child.clone());
        Ok(child)
    }

    async fn sweep_role(
        &self,
        place: &Place,
        role: &Role,
        marker: Option<&str>,
    ) -> Result<Children> {
        if role.token_type == "batch" {
            // Batch tokens have no accessor: nobody can find or revoke them.
            return Ok(Children::Residual(self.residual(place, role).await));
        }
        let listed = self.api.keys("v1/auth/token/accessors", "auth/token/accessors", false).await;
        let accessors = match listed {
            Ok(accessors) => accessors,
            Err(error) if error.refusal() == Some(Refusal::Forbidden) => {
                return Ok(Children::Residual(self.residual(place, role).await));
            }
            Err(error) => return Err(error),
        };
        let (known, unknown): (Vec<_>, Vec<_>) = {
            let mut tokens = locked(&self.tokens);
            let alive: BTreeSet<&String> = accessors.iter().collect();
            tokens.retain(|accessor, _| alive.contains(accessor));
            accessors.into_iter().partition(|accessor| tokens.contains_key(accessor))
        };
        let exhausted = unknown.len() > SWEEP_BUDGET;
        let is_meant = |child: &Child| {
            child.mount == place.mount
                && child.role == place.role
                && marker.is_none_or(|marker| child.marker.as_deref() == Some(marker))
        };
        let mut meant: Vec<String> = Vec::new();
        {
            let tokens = locked(&self.tokens);
            meant.extend(known.into_iter().filter(|accessor| {
                tokens.get(accessor).and_then(Option::as_ref).is_some_and(is_meant)
            }));
        }
        let unknown: Vec<BoxFuture<'_, _>> = unknown
            .into_iter()
            .take(SWEEP_BUDGET)
            .map(|accessor| async move { (self.child(&accessor).await, accessor) }.boxed())
            .collect();
        let looked: Vec<(Result<Option<Child>>, String)> =
            stream::iter(unknown).buffer_unordered(AT_ONCE).collect().await;
        let mut unread = exhausted;
        for (child, accessor) in looked {
            match child {
                Ok(child) if child.as_ref().is_some_and(is_meant) => meant.push(accessor),
                Ok(_) => {}
                Err(error) if error.refusal() == Some(Refusal::Forbidden) => unread = true,
                Err(error) => return Err(error),
            }
        }
        let mut swept = 0;
        for accessor in meant {
            let request = post(
                "v1/auth/token/revoke-accessor",
                "auth/token/revoke-accessor",
                &json!({ "accessor": accessor }),
            )?;
            match self.api.change(request).await {
                Ok(_) => swept += 1,
                // It ended by itself in between.
                Err(error) if error.refusal() == Some(Refusal::NotFound) => {}
                Err(error) if error.refusal() == Some(Refusal::Forbidden) => unread = true,
                Err(error) => return Err(error),
            }
        }
        if unread {
            return Ok(Children::Residual(self.residual(place, role).await));
        }
        Ok(if swept == 0 { Children::None } else { Children::Swept(swept) })
    }
}

/// The server does not always say what it refuses: it is one of these. A role's settings hold no secret;
/// what sets no limit is left out.
fn asking(error: Error, body: &serde_json::Map<String, serde_json::Value>) -> Error {
    let Error::Refused { what, refusal: Refusal::Invalid, message } = error else { return error };
    let limits = body.iter().filter(|(_, value)| **value != json!(0) && **value != json!([]));
    let asked: Vec<String> = limits.map(|(name, value)| format!("{name} = {value}")).collect();
    let message = format!("{message}; it was asked for {}", asked.join(", "));
    Error::Refused { what, refusal: Refusal::Invalid, message }
}

pub(crate) fn not_found(object: &ObjectRef) -> Error {
    Error::Refused {
        what: format!("{APPROLE} {:?}", object.key),
        refusal: Refusal::NotFound,
        message: "there is no such role".to_owned(),
    }
}

/// A role's settings as the server takes them.
fn role_settings(
    settings: &Settings,
    place: Option<&Place>,
) -> Result<serde_json::Map<String, serde_json::Value>> {
    let seconds = |name: &str| -> Result<u64> {
        settings.text(name).map_or(Ok(0), |text| {
            text.parse::<Span>()
                .map(Span::as_secs)
                .map_err(|error| Error::Configuration(format!("{APPROLE}.{name}: {error}")))
        })
    };
    if let (Some(mount), Some(place)) = (settings.text("mount"), place)
        && mount.trim_matches('/') != place.mount
    {
        return Err(Error::Configuration(format!(
            "{APPROLE}.mount: a role cannot move from {:?} to {mount:?}",
            place.mount
        )));
    }
    let mut body = serde_json::Map::new();
    for name in ["token_ttl", "token_max_ttl", "token_explicit_max_ttl", "secret_id_ttl"] {
        body.insert(name.into(), json!(seconds(name)?));
    }
    for name in ["token_num_uses", "secret_id_num_uses"] {
        body.insert(name.into(), json!(settings.count(name).unwrap_or(0)));
    }
    for name in ["token_bound_cidrs", "secret_id_bound_cidrs"] {
        body.insert(name.into(), json!(settings.texts(name).cloned().unwrap_or_default()));
    }
    let strictly = settings.flag("token_strictly_bind_ip").unwrap_or(false);
    body.insert("token_strictly_bind_ip".into(), json!(strictly));
    let no_default = settings.flag("no_default_policy").unwrap_or(true);
    body.insert("token_no_default_policy".into(), json!(no_default));
    if let Some(token_type) = settings.text("token_type") {
        body.insert("token_type".into(), json!(token_type));
    }
    Ok(body)
}

/// A setting without the masks that name a single address: the server leaves them out.
fn bare_cidrs(value: &serde_json::Value) -> serde_json::Value {
    let bare = |one: &serde_json::Value| match one.as_str() {
        Some(text) => {
            let text = if text.contains(':') {
                text.strip_suffix("/128")
            } else {
                text.strip_suffix("/32")
            }
            .unwrap_or(text);
            json!(text.parse::<std::net::IpAddr>().map_or(text.to_lowercase(), |ip| ip.to_string()))
        }
        None => one.clone(),
    };
    match value.as_array() {
        Some(all) => {
            let mut all: Vec<_> = all.iter().map(bare).collect();
            all.sort_by_key(ToString::to_string);
            json!(all)
        }
        None => value.clone(),
    }
}

#[async_trait]
impl Connector for AppRole {
    fn platform(&self) -> &'static dyn Platform {
        self.platform
    }

    async fn tenant(&self) -> Result<String> {
        self.tenant_id().await.map(str::to_owned)
    }

    async fn ourselves(&self) -> Result<Option<Ourselves>> {
        self.ourselves.get_or_try_init(|| self.own_role()).await.cloned()
    }

    async fn list(&self, want: Want) -> Result<Observation> {
        let requested_at = self.clock.now();
        let tenant = self.tenant_id().await?.to_owned();
        let mut gaps = Vec::new();
        let mut mounts: BTreeSet<String> = BTreeSet::new();
        let page = |cause: String| Gap { extent: GapExtent::Page("auth mounts".into()), cause };
        match self.role_mounts().await {
            Ok((found, all)) => {
                mounts.extend(found);
                if !all {
                    mounts.insert(MOUNT.to_owned());
                    gaps.push(page(
                        "GET sys/auth: status 403: only mounts that our own token may use are seen"
                            .into(),
                    ));
                }
            }
            Err(error) => {
                mounts.insert(MOUNT.to_owned());
                gaps.push(page(error.to_string()));
            }
        }
        let shared = want.freshness == Freshness::Shared;
        // Names that records claim for other mounts are not names of the usual one.
        let all = self.all_policies().await.unwrap_or_default();
        let mut keys = BTreeSet::new();
        for mount in mounts {
            let listed = self
                .api
                .keys(&format!("v1/auth/{}/role", encode(&mount)), "auth/{mount}/role", shared)
                .await;
            let roles = match listed {
                Ok(roles) => roles,
                Err(error) => {
                    gaps.push(Gap {
                        extent: GapExtent::Page(format!("auth/{mount}/role")),
                        cause: error.to_string(),
                    });
                    continue;
                }
            };
            for role in roles {
                let named = format!("{OURS}{role}");
                let recorded = match &all {
                    Some(all) => all.get(&named).map(|found| Policy::parse(&found.policy)),
                    // A policy that cannot be read is a gap of the role's own, below.
                    None => {
                        let found = self.policy(&named, want.freshness).await;
                        found.unwrap_or_default().map(|(_, policy)| policy)
                    }
                };
                let place = Place::of(&role, recorded.as_ref());
                keys.insert(if place.mount == mount { role } else { format!("{mount}:{role}") });
            }
        }
        let read: Vec<BoxFuture<'_, _>> =
            keys.into_iter().map(|key| self.observe(key, want).boxed()).collect();
        let read: Vec<_> = stream::iter(read).buffered(AT_ONCE).collect().await;
        let mut integrations = Vec::with_capacity(read.len());
        for (key, read) in read {
            match read {
                Ok(Some(one)) => integrations.push(one),
                // It was deleted while the listing was read.
                Ok(None) => {}
                Err(error) => {
                    gaps.push(Gap { extent: GapExtent::Object(key), cause: error.to_string() })
                }
            }
        }
        integrations.sort_by(|a, b| (&a.kind, &a.key).cmp(&(&b.kind, &b.key)));
        Ok(Observation { tenant, requested_at, integrations, gaps })
    }

    async fn read(&self, object: &ObjectRef, want: Want) -> Result<Option<ObservedIntegration>> {
        self.check_tenant().await?;
        let Some(found) = self.find_role(&object.key, want).await? else { return Ok(None) };
        object.check_incarnation(&found.role_id)?;
        Ok(Some(self.finish(found, want).await))
    }

    async fn create(&self, new: &NewIntegration) -> Result<ObservedIntegration> {
        self.check_tenant().await?;
        let mount = new.settings.text("mount").unwrap_or(MOUNT).trim_matches('/').to_owned();
        let place = Place { key: new.name.clone(), mount, role: new.name.clone() };
        locked(&self.places).remove(&place.key);
        let _turn = self.turns.take(&place.key).await;
        let what = format!("{APPROLE} {:?}", new.name);
        let exists = |what: &str| {
            conflict(what, "it exists already, and no unfinished create of ours made it")
        };
        let ours = place.ours();
        let policy = self.policy(&ours, Freshness::Fresh).await?;
        let there = match self.role(&place, false).await {
            // The path itself is unknown: the mount is missing, and that is what to mend.
            Err(error) if error.refusal() == Some(Refusal::NotFound) => {
                self.accessor_of(&place.mount).await?;
                return Err(error);
            }
            there => there?.is_some(),
        };
        // An unfinished create goes on. So does what is left of a role of ours that somebody deleted.
        let resumes =
            policy.as_ref().and_then(|(_, policy)| record_of(policy)).is_some_and(|record| {
                let ours = record.realm.is_some() && record.realm == new.record.realm;
                ours && (record.unfinished || !there)
            });
        if !resumes && (policy.is_some() || there) {
            return Err(exists(&what));
        }
        let started = Record { unfinished: true, ..new.record.clone() };
        let text = Policy::default().with_record(&write_record(&started, &place)).text();
        let before = policy.as_ref().map(|(policy, _)| policy);
        match self.write_policy(&ours, before, &text).await {
            // Somebody was faster by a moment.
            Err(error) if error.refusal() == Some(Refusal::Conflict) => return Err(exists(&what)),
            other => other?,
        }
        // The next create goes on from here: what is refused now is not simply "not done".
        let made = self.complete(new, &place).await;
        made.map_err(|error| error.after_change(&what))
    }

    async fn modify(&self, object: &ObjectRef, change: &Change) -> Result<ObservedIntegration> {
        self.check_tenant().await?;
        let _turn = self.turns.take(&object.key).await;
        let found = self.existing(object, Want { credentials: false, ..Want::DEED }).await?;
        let dated = change.scopes.iter().flatten().any(|one| one.until.is_some());
        if dated && !self.counts_policies().await? {
            return connector::port::unsupported("openbao", "end a scope by itself on this server");
        }
        if let Some(gap) = found.gaps.first() {
            return Err(unexpected(
                "modify",
                format!("not everything that is changed can be read: {}", gap.cause),
            ));
        }
        let object = ObjectRef { vendor_id: Some(found.role_id.clone()), ..object.clone() };
        self.apply(&found, change).await?;
        self.read_back(&object, change, Want { credentials: false, ..Want::DEED }).await
    }

    async fn delete(&self, object: &ObjectRef) -> Result<Ended> {
        self.check_tenant().await?;
        let _turn = self.turns.take(&object.key).await;
        let found = self.find_role(&object.key, Want::DEED).await?;
        let place = match &found {
            Some(found) => {
                object.check_incarnation(&found.role_id)?;
                found.place.clone()
            }
            None => self.place(object).await?,
        };
        if let Some(found) = &found {
            // Off first: from here on neither the role nor its tokens do anything. An entity that others
            // share stays on; what is of this role alone is ended below.
            if found.entity.is_some() && found.check_entity_is_its_own().is_ok() {
                self.switch(found, false).await?;
            }
            for accessor in self.accessors(&place, false).await? {
                self.end(object, &accessor).await?;
            }
            self.sweep_role(&place, &found.role, None).await?;
            self.delete_at(&place.path(""), "auth/{mount}/role/{name}").await?;
        }
        let ours = place.ours();
        if let Some(entity) = self.entity_named(&ours, false).await? {
            for alias in entity.aliases.iter().flatten() {
                let path = format!("v1/identity/entity-alias/id/{}", encode(&alias.id));
                self.delete_at(&path, "identity/entity-alias/id/{id}").await?;
            }
            let path = format!("v1/identity/entity/id/{}", encode(&entity.id));
            self.delete_at(&path, "identity/entity/id/{id}").await?;
        }
        if self.policy(&ours, Freshness::Fresh).await?.is_some() {
            let path = format!("v1/sys/policies/acl/{}", encode(&ours));
            self.delete_at(&path, "sys/policies/acl/{name}").await?;
        }
        locked(&self.places).remove(&object.key);
        Ok(if found.is_some() { Ended::Now } else { Ended::AlreadyGone })
    }

    async fn credentials(&self, object: &ObjectRef) -> Result<CredentialListing> {
        self.check_tenant().await?;
        let requested_at = self.clock.now();
        let place = self.place(object).await?;
        let accessors = self.accessors(&place, false).await?;
        if accessors.is_empty() && self.role(&place, false).await?.is_none() {
            return Err(not_found(object));
        }
        let credentials = self.details(&place, &accessors, true).await?;
        Ok(CredentialListing { credentials, complete: true, shows_all_of: &[], requested_at })
    }

    async fn credential(
        &self,
        object: &ObjectRef,
        key_id: &str,
    ) -> Result<Option<ObservedCredential>> {
        let place = self.place(object).await?;
        if let Some(info) = self.known(&place, key_id) {
            return Ok(Some(self.observed(&info)));
        }
        Ok(self.look_up(&place, key_id).await?.map(|info| self.observed(&info)))
    }

    fn hand_over(&self, key: &str, id: &str) -> Option<String> {
        // What stands in a command is what people can check with their eyes.
        let plain = |text: &str| {
            let fits = |b: u8| b.is_ascii_alphanumeric() || b"-_.:/".contains(&b);
            text.bytes().all(fits)
        };
        let namespace = self.api.namespace().unwrap_or_default();
        [key, id, namespace].into_iter().all(plain).then(|| {
            let policy = format!("{}{OURS}{key}", self.api.namespace_flag());
            format!(
                "bao policy read {policy} | sed -e '/^{RECORD}/s/\"{WHOSE}\": *\"[^\"]*\"/\"{WHOSE}\":\"{id}\"/' \
                 -e '/^{RECORD}/s/, *\"{WHOSE_KEY}\": *\"[^\"]*\"//' | bao policy write {policy} -"
            )
        })
    }

    async fn check_credential(&self) -> Result<()> {
        self.accepted().await
    }

    async fn notes(&self) -> Vec<String> {
        self.weaknesses().await
    }

    async fn capabilities(&self, kind: &Kind) -> Result<Capabilities> {
        // Asked for by a feature that came before it: nothing tells without writing a policy.
        let ends_scopes = kind.capabilities.ends_scopes && self.counts_policies().await?;
        Ok(Capabilities { ends_scopes, ..kind.capabilities })
    }

    async fn promises(&self, credential_type: &str) -> Result<Vec<Promise>> {
        if credential_type != SECRET_ID {
            return Ok(Vec::new());
        }
        Ok(PROFILES.iter().map(|profile| Promise { profile, because: None }).collect())
    }

    fn choose_secret(&self, credential_type: &str, _: &Settings, _: &str) -> Result<Secret> {
        if credential_type != SECRET_ID {
            return connector::port::unsupported("openbao", "choose such a secret");
        }
        random_secret()
    }

    async fn issue(&self, object: &ObjectRef, request: IssueRequest<'_>) -> Result<Issued> {
        #[derive(Serialize)]
        struct Body<'a> {
            #[serde(skip_serializing_if = "Option::is_none")]
            secret_id: Option<&'a str>,
            metadata: String,
            #[serde(skip_serializing_if = "Option::is_none")]
            ttl: Option<i64>,
            #[serde(skip_serializing_if = "BTreeSet::is_empty")]
            cidr_list: BTreeSet<String>,
            #[serde(skip_serializing_if = "Option::is_none")]
            num_uses: Option<i64>,
        }
        self.check_tenant().await?;
        let place = self.place(object).await?;
        let role_id = self.role_id(&place, false).await?.ok_or_else(|| not_found(object))?;
        object.check_incarnation(&role_id)?;
        let secret = match (request.profile, request.secret) {
            (ADD_OURS, Some(secret)) => Some(secret),
            (ADD_MARKED, None) => None,
            (ADD_OURS, None) => {
                return Err(Error::Configuration("add-ours needs a secret that we chose".into()));
            }
            (ADD_MARKED, Some(_)) => {
                return Err(Error::Configuration("add-marked takes no secret of ours".into()));
            }
            _ => return connector::port::unsupported("openbao", "issue in this way"),
        };
        let ttl = match request.expires_at {
            None => None,
            Some(end) => {
                let seconds = end.as_second() - self.clock.now().as_second();
                if seconds <= 0 {
                    return Err(Error::Configuration(format!(
                        "a secret id cannot end in the past ({end})"
                    )));
                }
                Some(seconds)
            }
        };
        let num_uses = request.settings.count("num_uses").filter(|uses| *uses > 0);
        let mut metadata = BTreeMap::from([(MARKER, request.marker.to_owned())]);
        if let Some(uses) = num_uses {
            metadata.insert(USES, uses.to_string());
        }
        let body = Body {
            secret_id: secret.map(Secret::expose),
            metadata: json!(metadata).to_string(),
            ttl,
            cidr_list: request.settings.texts("bound_cidrs").cloned().unwrap_or_default(),
            num_uses,
        };
        let call = match secret {
            Some(_) => post(
                place.path("/custom-secret-id"),
                "auth/{mount}/role/{name}/custom-secret-id",
                &body,
            )?,
            None => post(place.path("/secret-id"), "auth/{mount}/role/{name}/secret-id", &body)?,
        };
        let what = told(&call);
        let answer = self.api.send(call).await?;
        // The server says "already registered" with status 500.
        if let Some(secret) = secret
            && Said::read(&answer.body) == Said::AlreadyRegistered
        {
            let found = self.find(object, request.credential_type, secret).await;
            let found = found.map_err(|error| error.after_change(&what))?;
            let found =
                found.ok_or_else(|| unexpected(&what, "registered already and not to be found"))?;
            return Ok(Issued {
                key_id: found.key_id,
                secret: None,
                issued_at: found.issued_at,
                expires_at: found.expires_at,
                already_there: true,
            });
        }
        if !(200..300).contains(&answer.status) {
            return Err(refused(&what, &answer, true));
        }
        let issued: SecretIdIssued = data(&what, &answer.body)?;
        // The answer has no times; not to know them is no reason to lose a credential.
        let info = self.look_up(&place, &issued.secret_id_accessor).await.ok().flatten();
        Ok(Issued {
            key_id: issued.secret_id_accessor,
            secret: secret.is_none().then_some(issued.secret_id),
            issued_at: info.as_ref().and_then(|info| info.creation_time),
            expires_at: info.as_ref().and_then(|info| info.expiration_time),
            already_there: false,
        })
    }

    async fn find(
        &self,
        object: &ObjectRef,
        _: &str,
        secret: &Secret,
    ) -> Result<Option<ObservedCredential>> {
        self.find_at(&self.place(object).await?, secret).await
    }

    async fn end(&self, object: &ObjectRef, key_id: &str) -> Result<Ended> {
        self.check_tenant().await?;
        let place = self.place(object).await?;
        let request = post(
            place.path("/secret-id-accessor/destroy"),
            "auth/{mount}/role/{name}/secret-id-accessor/destroy",
            &json!({ "secret_id_accessor": key_id }),
        )?;
        let ended = match self.api.change(request).await {
            Ok(_) => Ended::Now,
            Err(error) if error.refusal() == Some(Refusal::NotFound) => Ended::AlreadyGone,
            Err(error) => return Err(error),
        };
        self.forget(&place, key_id);
        Ok(ended)
    }

    async fn sweep(&self, object: &ObjectRef, marker: Option<&str>) -> Result<Children> {
        self.check_tenant().await?;
        let place = self.place(object).await?;
        let Some(role) = self.role(&place, false).await? else { return Err(not_found(object)) };
        self.sweep_role(&place, &role, marker).await
    }

    async fn probe(&self, object: &ObjectRef, _: &str, secret: &Secret) -> Result<Probe> {
        let place = self.place(object).await?;
        let role_id = match &object.vendor_id {
            Some(role_id) => role_id.clone(),
            None => self.role_id(&place, false).await?.ok_or_else(|| not_found(object))?,
        };
        let signed_in = self.sign_in(&place, &role_id, secret).await?;
        probe::shown(&self.api, &*self.clock, signed_in).await
    }

    async fn mint(&self, object: &ObjectRef, request: AccessRequest<'_>) -> Result<Access> {
        self.mint_access(object, request.life).await
    }

    async fn end_access(&self, _: &ObjectRef, handle: &Secret) -> Result<Ended> {
        self.revoke_access(handle).await
    }

    async fn probe_budget(&self, object: &ObjectRef, usual: ProbeBudget) -> ProbeBudget {
        match self.place(object).await {
            Ok(place) => self.lockout(&place.mount).await.budget(),
            Err(_) => usual,
        }
    }

    fn random_like(&self, _: &str, secret: &Secret) -> Result<Secret> {
        probe::random_like(secret)
    }
}

/// 256 bits in 52 characters.
fn random_secret() -> Result<Secret> {
    let mut bytes = Zeroizing::new([0u8; 32]);
    SystemRandom::new()
        .fill(&mut *bytes)
        .map_err(|_| Error::Configuration("this machine gives no random numbers".into()))?;
    Ok(Secret::new(BASE32_NOPAD.encode(&*bytes).to_lowercase()))
}
