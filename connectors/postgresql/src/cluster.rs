//! What there is: roles with what they hold, in all databases, read and listed.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use connector::{
    Capabilities, Change, Children, Clock, Connector, CredentialListing, Ended, Error, Freshness,
    IssueRequest, Issued, Kind, Mints, NewIntegration, ObjectRef, Platform, Probe, Promise,
    Refusal, Result, Setup, Turns, Want, transport::json,
};
use domain::{
    Gap, GapExtent, GrantedScope, LastUsed, Observation, ObservedCredential, ObservedIntegration,
    Scope, Secret, Settings, settings::Setting,
};
use futures::{StreamExt, stream};
use jiff::Timestamp;
use tokio::sync::OnceCell;
use zeroize::Zeroizing;

use crate::{
    api::{Api, Grant, HELD, Held, ME, Me, Member, Owned, Role, Roles, roles},
    note::{Known, Note},
    password,
    scope::Form,
    tables::{
        CONNECTION_LIMIT, ENDS, INHERIT, PAIR, PAIR_PROFILES, PASSWORD, PROFILES, ROLE, USER,
    },
};

/// The role that every cluster is made with.
const FIRST: &str = "10";
/// How many databases are looked into at once.
const AT_ONCE: usize = 4;

/// An answer's bytes, shared by everybody who asked.
type Bytes = Arc<Zeroizing<Vec<u8>>>;

/// A cluster of databases through one connection.
#[derive(Debug)]
pub(crate) struct Cluster {
    platform: &'static dyn Platform,
    pub(crate) api: Api,
    pub(crate) clock: Arc<dyn Clock>,
    connection: String,
    pinned: Option<String>,
    me: OnceCell<Me>,
    roles: Mutex<Option<(Bytes, Arc<All>)>>,
    held: Mutex<HashMap<String, (Bytes, Arc<Inside>)>>,
    /// One at a time for each role.
    pub(crate) turns: Turns,
}

/// Roles by name, and by oid what each has that is in no database.
#[derive(Debug, Default)]
struct All {
    now: i64,
    roles: BTreeMap<String, Role>,
    members: HashMap<String, Vec<Member>>,
    inside: Inside,
    places: HashMap<String, BTreeSet<String>>,
}

/// What each role holds and owns in one place, by oid.
#[derive(Debug, Default)]
struct Inside {
    grants: HashMap<String, Vec<Grant>>,
    owned: HashMap<String, Vec<Owned>>,
}

fn by<T>(all: Vec<T>, key: impl Fn(&T) -> &str) -> HashMap<String, Vec<T>> {
    let mut map: HashMap<String, Vec<T>> = HashMap::new();
    for one in all {
        map.entry(key(&one).to_owned()).or_default().push(one);
    }
    map
}

impl Inside {
    fn new(grants: Vec<Grant>, owned: Vec<Owned>) -> Inside {
        Inside { grants: by(grants, |one| &one.to), owned: by(owned, |one| &one.by) }
    }
}

impl From<Roles> for All {
    fn from(read: Roles) -> All {
        let mut places: HashMap<String, BTreeSet<String>> = HashMap::new();
        for place in read.places {
            places.entry(place.of).or_default().insert(place.database);
        }
        All {
            now: read.now,
            roles: read.roles.into_iter().map(|role| (role.name.clone(), role)).collect(),
            members: by(read.members, |one| &one.of),
            inside: Inside::new(read.grants, read.owned),
            places,
        }
    }
}

/// One thing that is held, with who gave it.
#[derive(Debug, Clone)]
pub(crate) struct Holding {
    /// What, without leave to pass it on.
    pub(crate) what: Form,
    pub(crate) passed_on: bool,
    /// Who gave it, where that matters for taking it away.
    pub(crate) by: Option<String>,
    /// The role that holds it, where that is one of those that sign in for it.
    pub(crate) of: Option<String>,
}

/// A role that signs in for another one.
#[derive(Debug, Clone)]
pub(crate) struct Login {
    pub(crate) role: Role,
    pub(crate) note: Note,
}

impl Login {
    pub(crate) fn of(role: &Role) -> Login {
        Login { role: role.clone(), note: Note::read(role.comment.as_deref()) }
    }

    /// What we know of the password in force, if it is ours.
    pub(crate) fn known(&self, sees_passwords: bool) -> Option<&Known> {
        known(&self.role, &self.note, sees_passwords)
    }

    /// The digest of the password in force.
    pub(crate) fn key(&self, sees_passwords: bool) -> Option<&str> {
        key(&self.role, &self.note, sees_passwords)
    }

    /// No password works here, whichever somebody may have set: the time of any is over for good. Who
    /// may see nothing of passwords sees that.
    pub(crate) fn is_shut(&self) -> bool {
        self.role.until == Some(0)
    }

    /// A password that is set here takes the place of none that works.
    pub(crate) fn is_free(&self, sees_passwords: bool, clock: &dyn Clock) -> bool {
        !lives(&self.role, clock) || (sees_passwords && self.role.key.is_none())
    }
}

fn known<'a>(role: &Role, note: &'a Note, sees_passwords: bool) -> Option<&'a Known> {
    let known = note.password.as_ref()?;
    let in_force = !sees_passwords || role.key.as_ref() == Some(&known.key);
    in_force.then_some(known)
}

fn key<'a>(role: &'a Role, note: &'a Note, sees_passwords: bool) -> Option<&'a str> {
    match sees_passwords {
        true => role.key.as_deref(),
        false => known(role, note, false).map(|known| known.key.as_str()),
    }
}

/// What was read of one role.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) role: Role,
    pub(crate) note: Note,
    /// Those that sign in for it, as far as they are made.
    pub(crate) pair: Vec<Login>,
    /// Roles of their names that were not made for it.
    pub(crate) taken: Vec<String>,
    /// The server's time, in microseconds.
    pub(crate) now: i64,
    pub(crate) holdings: Vec<Holding>,
    pub(crate) owned: Vec<Form>,
    gaps: Vec<Gap>,
    /// Whether what is kept of passwords could be looked at.
    pub(crate) sees_passwords: bool,
}

impl Found {
    /// Gaps of everything that a change would have to know.
    pub(crate) fn gap(&self) -> Option<&Gap> {
        self.gaps.first()
    }

    /// What we know of the password in force, if it is ours.
    pub(crate) fn known(&self) -> Option<&Known> {
        known(&self.role, &self.note, self.sees_passwords)
    }

    /// The key id of the password in force.
    pub(crate) fn key(&self) -> Option<&str> {
        key(&self.role, &self.note, self.sees_passwords)
    }

    /// The one of a pair that a key id is of, as long as that password is in force there.
    pub(crate) fn place(&self, key_id: &str) -> Option<&Login> {
        let (digest, name) = key_id.split_once('@')?;
        let has = |login: &&Login| {
            login.role.name == name && login.key(self.sees_passwords) == Some(digest)
        };
        self.pair.iter().find(has)
    }

    /// What works of the roles that sign in for it is known, although nothing of passwords may be seen:
    /// each is not made yet, or shut, or has the one that we wrote there last.
    fn knows_places(&self) -> bool {
        let known = |login: &Login| login.is_shut() || login.known(self.sees_passwords).is_some();
        self.pair.iter().all(known)
    }

    /// Its name, and those of the roles that sign in for it.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        let pair = self.pair.iter().map(|login| &*login.role.name);
        [&*self.role.name].into_iter().chain(pair)
    }

    /// What it holds, the strongest of each.
    pub(crate) fn scopes(&self) -> BTreeSet<Scope> {
        let mut held: BTreeMap<Scope, (Form, bool)> = BTreeMap::new();
        for one in &self.holdings {
            let entry = held.entry(one.what.scope()).or_insert((one.what.clone(), false));
            entry.1 |= one.passed_on;
        }
        let forms = held.into_values().map(|(form, passed_on)| form.with(passed_on));
        forms.chain(self.owned.iter().cloned()).map(|form| form.scope()).collect()
    }

    pub(crate) fn credentials(&self, clock: &dyn Clock) -> Vec<ObservedCredential> {
        let at = |micros: i64| Timestamp::from_microsecond(micros).ok();
        let one = |role: &Role, note: &Note, credential_type: &str| {
            let known = known(role, note, self.sees_passwords);
            let key = key(role, note, self.sees_passwords)?;
            let off = known.is_some_and(|known| known.off) || self.role.login && !role.login;
            let disabled = credential_type == PAIR && off && lives(role, clock);
            Some(ObservedCredential {
                key_id: match credential_type {
                    PAIR => key_in(key, &role.name),
                    _ => key.to_owned(),
                },
                credential_type: credential_type.to_owned(),
                marker: known.map(|known| known.marker.clone()),
                issued_at: known.and_then(|known| at(known.at)),
                expires_at: role.until.and_then(at),
                last_used: LastUsed::Unknown,
                live: lives(role, clock) && !disabled,
                disabled,
                settings: Settings::default(),
            })
        };
        let own = one(&self.role, &self.note, PASSWORD);
        let pair = self.pair.iter().filter_map(|login| one(&login.role, &login.note, PAIR));
        own.into_iter().chain(pair).collect()
    }

    pub(crate) fn observed(&self, want: Want, clock: &dyn Clock) -> ObservedIntegration {
        let role = &self.role;
        let mut settings = Settings::default().with(INHERIT, Setting::Flag(role.inherit));
        if role.limit >= 0 {
            settings = settings.with(CONNECTION_LIMIT, Setting::Count(role.limit));
        }
        let scopes: BTreeSet<GrantedScope> =
            self.scopes().into_iter().map(GrantedScope::standing).collect();
        ObservedIntegration {
            kind: ROLE.to_owned(),
            key: role.name.clone(),
            vendor_id: role.oid.clone(),
            name: role.name.clone(),
            settings,
            record: self.note.record.clone(),
            parked: scopes.is_empty(),
            scopes,
            enabled: role.login,
            contacts: None,
            builtin: false,
            credentials: want.credentials.then(|| self.credentials(clock)),
            gaps: self.gaps.clone(),
        }
    }
}

/// The key id of a password that one of a pair has: what signs in with it stands behind the `@`.
pub(crate) fn key_in(key: &str, role: &str) -> String {
    format!("{key}@{role}")
}

/// Whom it signed in for is gone.
fn is_left(role: &Role, all: &All) -> bool {
    let of = Note::read(role.comment.as_deref()).signs_in_for;
    of.is_some_and(|of| !all.roles.values().any(|one| one.oid == of))
}

/// Its password has not ended.
pub(crate) fn lives(role: &Role, clock: &dyn Clock) -> bool {
    role.until.is_none_or(|end| end > clock.now().as_microsecond())
}

pub(crate) fn unexpected(what: &str, message: impl Into<String>) -> Error {
    Error::UnexpectedAnswer { what: what.to_owned(), message: message.into() }
}

pub(crate) fn no_such(name: &str) -> Error {
    Error::Refused {
        what: format!("{ROLE} {name:?}"),
        refusal: Refusal::NotFound,
        message: "no such role".into(),
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Cluster {
    pub(crate) fn new(platform: &'static dyn Platform, setup: Setup) -> Result<Cluster> {
        let user = setup.settings.text("user").unwrap_or(USER).to_owned();
        if user.is_empty() {
            return Err(Error::Configuration(format!(
                "connections.{}.postgresql: user is not set, the role that we sign in as",
                setup.name
            )));
        }
        Ok(Cluster {
            platform,
            pinned: setup.settings.text("tenant").map(str::to_owned),
            api: Api::new(setup.transport, setup.name.clone(), user, setup.credential),
            connection: setup.name,
            clock: setup.clock,
            me: OnceCell::new(),
            roles: Mutex::default(),
            held: Mutex::default(),
            turns: Turns::default(),
        })
    }

    /// Whose sessions ours are. Another cluster than the pinned one is refused.
    pub(crate) async fn me(&self) -> Result<&Me> {
        let me = self
            .me
            .get_or_try_init(|| self.api.ask::<Me>("ourselves", ME, Vec::new(), true))
            .await?;
        match &self.pinned {
            Some(pinned) if *pinned != me.system => Err(Error::Tenant {
                connection: self.connection.clone(),
                expected: pinned.clone(),
                found: me.system.clone(),
            }),
            _ => Ok(me),
        }
    }

    // -- looking --------------------------------------------------------------------------------------

    /// All roles, or one fresh. Many readers share one answer: it is parsed once.
    async fn all(&self, only: Option<&str>) -> Result<Arc<All>> {
        let sql = roles(self.me().await?);
        let args = vec![only.map(str::to_owned)];
        let answer = self.api.look("roles", "", &sql, args, only.is_none()).await?;
        if only.is_none()
            && let Some((bytes, all)) = &*locked(&self.roles)
            && Arc::ptr_eq(bytes, &answer.body)
        {
            return Ok(all.clone());
        }
        let read: Roles = json::read("SELECT roles", &answer.body)?;
        let all = Arc::new(All::from(read));
        if only.is_none() {
            *locked(&self.roles) = Some((answer.body, all.clone()));
        }
        Ok(all)
    }

    /// What is held in one database.
    async fn inside(&self, database: &str, only: Option<&str>) -> Result<Arc<Inside>> {
        let args = vec![only.map(str::to_owned)];
        let answer =
            self.api.look("grants of {database}", database, HELD, args, only.is_none()).await?;
        if only.is_none()
            && let Some((bytes, inside)) = locked(&self.held).get(database)
            && Arc::ptr_eq(bytes, &answer.body)
        {
            return Ok(inside.clone());
        }
        let read: Held = json::read("SELECT grants of {database}", &answer.body)?;
        let inside = Arc::new(Inside::new(read.grants, read.owned));
        if only.is_none() {
            locked(&self.held).insert(database.to_owned(), (answer.body, inside.clone()));
        }
        Ok(inside)
    }

    /// What is held in each of some databases.
    async fn insides(
        &self,
        databases: BTreeSet<String>,
        only: Option<&str>,
    ) -> BTreeMap<String, Result<Arc<Inside>>> {
        let read = |database: String| async move {
            let inside = self.inside(&database, only).await;
            (database, inside)
        };
        stream::iter(databases).map(read).buffer_unordered(AT_ONCE).collect().await
    }

    /// The roles that sign in for one.
    fn pair<'a>(role: &Role, all: &'a All) -> impl Iterator<Item = &'a Role> {
        let (name, oid) = (role.name.clone(), role.oid.clone());
        let there = ENDS.into_iter().filter_map(move |end| all.roles.get(&format!("{name}{end}")));
        there.filter(move |one| {
            Note::read(one.comment.as_deref()).signs_in_for.as_ref() == Some(&oid)
        })
    }

    /// The databases in which a role holds something, or one that signs in for it.
    fn places(role: &Role, all: &All) -> BTreeSet<String> {
        let oids = [&role.oid].into_iter().chain(Self::pair(role, all).map(|one| &one.oid));
        oids.filter_map(|oid| all.places.get(oid)).flatten().cloned().collect()
    }

    /// Puts together what was read of a role.
    fn found(
        role: Role,
        me: &Me,
        all: &All,
        insides: &BTreeMap<String, Result<Arc<Inside>>>,
    ) -> Found {
        let (mut holdings, mut owned, mut gaps) = (Vec::new(), Vec::new(), Vec::new());
        let mut gap = |cause: String| {
            let extent = GapExtent::Facet(role.name.clone(), "scopes");
            gaps.push(Gap { extent, cause });
        };
        let mut places = vec![&all.inside];
        for database in Self::places(&role, all) {
            match insides.get(&database) {
                Some(Ok(inside)) => places.push(inside),
                Some(Err(error)) => {
                    gap(format!("what it holds in the database {database:?}: {error}"));
                }
                None => gap(format!("what it holds in the database {database:?} was not read")),
            }
        }
        for holder in [&role].into_iter().chain(Self::pair(&role, all)) {
            let of = (holder.oid != role.oid).then(|| holder.name.clone());
            let mut hold = |what: Form, passed_on: bool, by: Option<String>| {
                holdings.push(Holding { what, passed_on, by, of: of.clone() });
            };
            for one in all.members.get(&holder.oid).into_iter().flatten() {
                // By that it signs in for it.
                if of.is_some() && one.group == role.name && !one.admin {
                    continue;
                }
                let what = Form::Role { name: one.group.clone(), passed_on: false };
                // Before version 16 it does not matter who gave it.
                hold(what, one.admin, one.by.clone().filter(|_| me.version >= 160_000));
            }
            for word in &holder.attributes {
                match Form::attribute(word) {
                    Some(what) => hold(what, false, None),
                    None => gap(format!("an attribute that is not known here, {word:?}")),
                }
            }
            for inside in &places {
                for one in inside.grants.get(&holder.oid).into_iter().flatten() {
                    match Form::of_server(&one.class, one.path.clone(), &one.privilege, false) {
                        Some(what) => {
                            hold(what, one.passed_on, (!one.by_owner).then(|| one.by.clone()));
                        }
                        None => gap(format!(
                            "a privilege that is not known here, {} on {} {}",
                            one.privilege,
                            one.class,
                            one.path.join("/")
                        )),
                    }
                }
                let all = inside.owned.get(&holder.oid).into_iter().flatten();
                owned.extend(all.map(|one| Form::Owner(one.path.clone())));
            }
        }
        let note = Note::read(role.comment.as_deref());
        let pair: Vec<Login> = Self::pair(&role, all).map(Login::of).collect();
        let names = ENDS.map(|end| format!("{}{end}", role.name)).into_iter();
        let ours = |name: &String| pair.iter().any(|login| login.role.name == *name);
        let taken = names.filter(|name| all.roles.contains_key(name) && !ours(name)).collect();
        let (now, sees_passwords) = (all.now, me.passwords);
        Found { role, note, pair, taken, now, holdings, owned, gaps, sees_passwords }
    }

    /// Why a role is not governed here; `None` if it may be.
    fn not_ours(me: &Me, role: &Role) -> Option<&'static str> {
        let is_super = role.attributes.iter().any(|one| one == "superuser");
        if role.oid == me.oid {
            Some("it is the role that this connection itself signs in as")
        } else if role.oid == FIRST || role.name.starts_with("pg_") {
            Some("it is the server's own")
        } else if Note::read(role.comment.as_deref()).signs_in_for.is_some() {
            Some("it signs in for another role, and is governed with that one")
        } else if is_super && Note::read(role.comment.as_deref()).record.is_none() {
            Some("it is a superuser")
        } else {
            None
        }
    }

    /// A role with everything that it holds; `None` where it is proven that there is none.
    pub(crate) async fn find(&self, name: &str, freshness: Freshness) -> Result<Option<Found>> {
        let me = self.me().await?;
        let only = (freshness == Freshness::Fresh).then_some(name);
        let all = self.all(only).await?;
        let Some(role) = all.roles.get(name) else { return Ok(None) };
        if let Some(why) = Self::not_ours(me, role) {
            return Err(Error::Refused {
                what: format!("{ROLE} {name:?}"),
                refusal: Refusal::Forbidden,
                message: format!("{why}, which is never governed here"),
            });
        }
        let insides = self.insides(Self::places(role, &all), only).await;
        Ok(Some(Self::found(role.clone(), me, &all, &insides)))
    }

    /// A role that must be there, in the incarnation that is meant.
    pub(crate) async fn existing(&self, object: &ObjectRef) -> Result<Found> {
        let found = self.find(&object.key, Freshness::Fresh).await?;
        let found = found.ok_or_else(|| no_such(&object.key))?;
        object.check_incarnation(&found.role.oid)?;
        Ok(found)
    }

    async fn listing(&self, want: Want) -> Result<Observation> {
        let requested_at = self.clock.now();
        let me = self.me().await?;
        let all = match want.freshness {
            Freshness::Shared => self.all(None).await?,
            Freshness::Fresh => {
                let sql = roles(me);
                let read: Roles = self.api.ask("roles", &sql, vec![None], false).await?;
                Arc::new(All::from(read))
            }
        };
        let signs_in = |role: &Role| {
            // One that is switched off is known by our record, or by a password that it still has.
            let note = Note::read(role.comment.as_deref());
            role.login || role.key.is_some() || note.record.is_some()
        };
        let kept: Vec<&Role> = all
            .roles
            .values()
            .filter(|role| {
                let alone = is_left(role, &all);
                (alone || Self::not_ours(me, role).is_none()) && signs_in(role)
            })
            .collect();
        let places: BTreeSet<String> =
            kept.iter().flat_map(|role| Self::places(role, &all)).collect();
        let insides = match want.freshness {
            Freshness::Shared => self.insides(places, None).await,
            Freshness::Fresh => {
                let read = |database: String| async move {
                    let answer =
                        self.api.look("grants of {database}", &database, HELD, vec![None], false);
                    let read = match answer.await {
                        Ok(answer) => {
                            json::read::<Held>("SELECT grants of {database}", &answer.body)
                        }
                        Err(error) => Err(error),
                    };
                    (database, read.map(|held| Arc::new(Inside::new(held.grants, held.owned))))
                };
                stream::iter(places).map(read).buffer_unordered(AT_ONCE).collect().await
            }
        };
        let mut integrations: Vec<ObservedIntegration> = kept
            .into_iter()
            .map(|role| Self::found(role.clone(), me, &all, &insides).observed(want, &*self.clock))
            .collect();
        integrations.sort_by(|a, b| (&a.kind, &a.key).cmp(&(&b.kind, &b.key)));
        Ok(Observation { tenant: me.system.clone(), requested_at, integrations, gaps: Vec::new() })
    }
}

#[async_trait]
impl Connector for Cluster {
    fn platform(&self) -> &'static dyn Platform {
        self.platform
    }

    async fn tenant(&self) -> Result<String> {
        Ok(self.me().await?.system.clone())
    }

    async fn list(&self, want: Want) -> Result<Observation> {
        self.listing(want).await
    }

    async fn read(&self, object: &ObjectRef, want: Want) -> Result<Option<ObservedIntegration>> {
        let Some(found) = self.find(&object.key, want.freshness).await? else { return Ok(None) };
        object.check_incarnation(&found.role.oid)?;
        Ok(Some(found.observed(want, &*self.clock)))
    }

    async fn create(&self, new: &NewIntegration) -> Result<ObservedIntegration> {
        self.make(new).await
    }

    async fn modify(&self, object: &ObjectRef, change: &Change) -> Result<ObservedIntegration> {
        self.apply(object, change).await
    }

    async fn delete(&self, object: &ObjectRef) -> Result<Ended> {
        self.unmake(object).await
    }

    async fn credentials(&self, object: &ObjectRef) -> Result<CredentialListing> {
        let requested_at = self.clock.now();
        let found = self.existing(object).await?;
        Ok(CredentialListing {
            credentials: found.credentials(&*self.clock),
            complete: found.sees_passwords,
            shows_all_of: if found.knows_places() { &[PAIR] } else { &[] },
            requested_at,
        })
    }

    async fn check_credential(&self) -> Result<()> {
        self.api.ask::<Me>("ourselves", ME, Vec::new(), false).await.map(drop)
    }

    async fn notes(&self) -> Vec<String> {
        let me = match self.me().await {
            Ok(me) => me,
            Err(error) => return vec![format!("What our role may do cannot be asked: {error}.")],
        };
        let mut notes = Vec::new();
        let mut weaker = |holds: bool, why: &str| {
            if !holds {
                notes.push(format!("{:?} {why}", me.name));
            }
        };
        weaker(
            me.version >= 140_000,
            "is on a server before PostgreSQL 14: sessions cannot be ended and waited for.",
        );
        weaker(
            me.is_super || me.createrole,
            "has no CREATEROLE: it can look, and neither make roles nor set passwords.",
        );
        weaker(
            me.passwords,
            "may not read pg_authid: a password that somebody else sets is not seen, and which one is in \
             force is told by what we wrote beside it.",
        );
        weaker(
            me.sessions,
            "is not in pg_read_all_stats and pg_signal_backend: sessions that are open can neither be seen \
             nor ended when a password is.",
        );
        weaker(
            me.is_super,
            "is no superuser: it gives and takes only what it owns or may pass on itself.",
        );
        notes
    }

    async fn capabilities(&self, kind: &Kind) -> Result<Capabilities> {
        let me = self.me().await?;
        Ok(Capabilities {
            lists_credentials: me.passwords,
            sweeps_children: me.sessions,
            disable_reaches_tokens: me.sessions,
            ..kind.capabilities
        })
    }

    async fn promises(&self, credential_type: &str) -> Result<Vec<Promise>> {
        let [seen, unseen] = match credential_type {
            PASSWORD => &PROFILES,
            PAIR => &PAIR_PROFILES,
            _ => return Ok(Vec::new()),
        };
        Ok(vec![match self.me().await?.passwords {
            true => Promise { profile: seen, because: None },
            false => Promise {
                profile: unseen,
                because: Some("our role may not read what is kept of passwords (pg_authid)"),
            },
        }])
    }

    fn choose_secret(&self, _: &str, _: &Settings, _: &str) -> Result<Secret> {
        password::choose()
    }

    async fn issue(&self, object: &ObjectRef, request: IssueRequest<'_>) -> Result<Issued> {
        match request.credential_type {
            PAIR => self.fill_place(object, request).await,
            _ => self.set_password(object, request).await,
        }
    }

    async fn find(
        &self,
        object: &ObjectRef,
        credential_type: &str,
        secret: &Secret,
    ) -> Result<Option<ObservedCredential>> {
        let key = password::key_id(secret)?;
        let found = self.existing(object).await?.credentials(&*self.clock);
        let digest = |one: &ObservedCredential| one.key_id.split('@').next() == Some(&key);
        let is_it =
            |one: &ObservedCredential| one.credential_type == credential_type && digest(one);
        Ok(found.into_iter().find(is_it))
    }

    async fn disable(&self, object: &ObjectRef, key_id: &str) -> Result<()> {
        self.switch_place(object, key_id, false).await
    }

    async fn enable(&self, object: &ObjectRef, key_id: &str) -> Result<()> {
        self.switch_place(object, key_id, true).await
    }

    async fn set_expiry(
        &self,
        object: &ObjectRef,
        key_id: &str,
        at: Option<Timestamp>,
    ) -> Result<()> {
        self.limit_place(object, key_id, at).await
    }

    async fn end(&self, object: &ObjectRef, key_id: &str) -> Result<Ended> {
        self.end_password(object, key_id).await
    }

    async fn sweep(&self, object: &ObjectRef, marker: Option<&str>) -> Result<Children> {
        self.end_sessions(object, marker).await
    }

    fn mints(&self) -> Mints {
        Mints::Sessions
    }

    async fn probe(
        &self,
        object: &ObjectRef,
        credential_type: &str,
        secret: &Secret,
    ) -> Result<Probe> {
        self.me().await?;
        // Nothing tells which of two a password was for: it is refused where both refuse it.
        let names = match credential_type {
            PAIR => ENDS.map(|end| format!("{}{end}", object.key)).to_vec(),
            _ => vec![object.key.clone()],
        };
        let mut classes = BTreeSet::new();
        for name in names {
            match self.api.sign_in(&name, secret).await?.as_deref() {
                // Let in, and turned away from this database: what it may do is no question of the
                // password.
                None | Some("42501") => {
                    return Ok(Probe::Accepted { residual: None, scopes: None });
                }
                Some(class @ ("28P01" | "28000")) => {
                    classes.insert(class.to_owned());
                }
                Some(other) => {
                    return Err(unexpected("SIGN-IN role {name}", format!("SQLSTATE {other}")));
                }
            }
        }
        // A right password of what is switched off is told from a wrong one.
        Ok(Probe::Refused { class: classes.pop_first().unwrap_or_default() })
    }

    fn random_like(&self, _: &str, secret: &Secret) -> Result<Secret> {
        password::random_like(secret)
    }
}
