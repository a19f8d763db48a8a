//! A platform in memory, for tests of whatever acts on platforms: complete by the suite's own
//! measure, dated by an injected clock, with faults on request and somebody else's hand.
//!
//! It has two kinds. `fake_app` can do everything; its credentials add to one another. `fake_bot`
//! can do little: it keeps no record and cannot be switched off, and its one secret is replaced in
//! place by a call that shows the new one once.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fmt,
    sync::{Arc, Mutex, MutexGuard},
};

use async_trait::async_trait;
use domain::{
    Action, Gap, GapExtent, GrantedScope, LastUsed, Observation, ObservedCredential,
    ObservedIntegration, Record, Scope, Secret, Settings, Span, settings::Setting,
};
use jiff::{SignedDuration, Timestamp};

use crate::{
    Absent, Access, AccessRequest, Capabilities, Change, Children, Clock, Connection, Connector,
    CredentialListing, CredentialType, Default as FieldDefault, Ended, Error, Field, FieldType,
    Grows, IssueRequest, Issued, Kind, MainField, MarkerPlace, Marks, NewIntegration, ObjectRef,
    OnChange, Origin, Ourselves, Outcome, Platform, Probe, ProbeBudget, Profile, Promise, Refusal,
    Result, ScopeError, Setup, VerifyCost, Want, profile::Effect,
};

/// The kind that can do everything.
pub const APP: &str = "fake_app";
/// The kind that can do little.
pub const BOT: &str = "fake_bot";
/// Keys that add to one another, on [`APP`].
pub const KEY: &str = "fake_key";
/// The one secret, replaced in place, on [`BOT`].
pub const SECRET: &str = "fake_secret";

/// How long a key is kept that another took the place of, where keys are issued so.
pub const GRACE: Span = Span::from_secs(2 * 86_400);

/// The platform offline.
#[derive(Debug)]
pub struct FakePlatform;

/// The platform offline.
pub static PLATFORM: FakePlatform = FakePlatform;

const TTL: Field = Field {
    name: "token_ttl",
    field_type: FieldType::Span,
    required: false,
    default: FieldDefault::Ours("1h"),
    on_change: OnChange::InPlace,
    grows: Grows::More,
    absent: Absent::Widest,
    doc: "How long a token lives.",
};

static FIELDS: [Field; 2] = [
    TTL,
    Field {
        name: "callbacks",
        field_type: FieldType::Uris,
        default: FieldDefault::None,
        absent: Absent::Narrowest,
        doc: "Where answers may be sent.",
        ..TTL
    },
];

const ADD_OURS: Profile = Profile {
    name: "add-ours",
    effect: Effect::Adds { max_live: None },
    origin: Origin::Ours,
    marks: Marks::AtIssue,
    lists: true,
    sets_expiry: true,
    disables: false,
    moves_expiry: false,
    verify: VerifyCost { takes_use: false },
    probe: ProbeBudget { between_successes: 2, in_window: 4, window: Span::from_secs(900) },
    revocation_lag: Span::ZERO,
    list_lag: Span::ZERO,
};

static ADDS: [Profile; 2] =
    [ADD_OURS, Profile { name: "add-marked", origin: Origin::VendorOnce, ..ADD_OURS }];

/// The one secret of an app that has no other: unmarked, and shown again to whoever asks again.
/// Promised only where [`Fake::promise_only`] says so.
static FIRST_ONLY: Profile = Profile {
    name: "first-only",
    effect: Effect::Adds { max_live: Some(1) },
    origin: Origin::VendorReadable,
    marks: Marks::Never,
    sets_expiry: false,
    ..ADD_OURS
};

const REPLACE_ONCE: Profile = Profile {
    name: "replace-once",
    effect: Effect::Replaces,
    origin: Origin::VendorOnce,
    marks: Marks::Never,
    sets_expiry: false,
    ..ADD_OURS
};

static REPLACES: [Profile; 1] = [REPLACE_ONCE];

/// Other ways in which an app's keys can be issued, each promised only where
/// [`Fake::promise_only`] says so.
static OTHER_WAYS: [Profile; 7] = [
    Profile { name: "grace", effect: Effect::Supersedes { keeps: GRACE }, ..REPLACE_ONCE },
    Profile {
        name: "slots",
        effect: Effect::Alternates,
        marks: Marks::Never,
        sets_expiry: false,
        ..ADD_OURS
    },
    Profile {
        name: "add-unmarked",
        effect: Effect::Adds { max_live: Some(2) },
        origin: Origin::VendorOnce,
        marks: Marks::Afterwards,
        sets_expiry: false,
        ..ADD_OURS
    },
    Profile { name: "replace-ours", origin: Origin::Ours, ..REPLACE_ONCE },
    REPLACE_ONCE,
    Profile {
        name: "replace-self",
        origin: Origin::Itself { punishes_reuse: false },
        ..REPLACE_ONCE
    },
    Profile {
        name: "replace-self, once",
        origin: Origin::Itself { punishes_reuse: true },
        ..REPLACE_ONCE
    },
];

static KEY_TYPE: CredentialType = CredentialType {
    name: KEY,
    doc: "A key beside others.",
    fields: &[],
    profiles: &ADDS,
    main: &[("app", MainField::VendorId), ("key", MainField::Secret)],
};

static SECRET_TYPE: CredentialType = CredentialType {
    name: SECRET,
    doc: "The one secret.",
    fields: &[],
    profiles: &REPLACES,
    main: &[("bot", MainField::VendorId), ("secret", MainField::Secret)],
};

const EVERYTHING: Capabilities = Capabilities {
    lists: true,
    creates: true,
    key_is_ours: true,
    keeps_record: true,
    needs_keyring: false,
    changes_scopes: true,
    ends_scopes: true,
    disables: true,
    disable_reaches_tokens: true,
    lists_credentials: true,
    tells_last_use: true,
    marker: MarkerPlace::Credential,
    sweeps_children: true,
    proves_by_use: true,
    mints_access: true,
};

fn refuse_name(name: &str) -> Option<String> {
    let fits = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    (!fits).then(|| format!("{name:?} cannot name a fake: letters, digits and \"-\""))
}

static KINDS: [Kind; 2] = [
    Kind {
        name: APP,
        doc: "An app that can do everything.",
        fields: &FIELDS,
        capabilities: EVERYTHING,
        credential_types: &[&KEY_TYPE],
        refuse_name,
    },
    Kind {
        name: BOT,
        doc: "A bot that can do little.",
        fields: &FIELDS,
        capabilities: Capabilities {
            key_is_ours: false,
            keeps_record: false,
            ends_scopes: false,
            disables: false,
            disable_reaches_tokens: false,
            tells_last_use: false,
            marker: MarkerPlace::Keyring,
            sweeps_children: false,
            ..EVERYTHING
        },
        credential_types: &[&SECRET_TYPE],
        refuse_name,
    },
];

impl Platform for FakePlatform {
    fn name(&self) -> &'static str {
        "fake"
    }

    fn doc(&self) -> &'static str {
        "A platform in memory."
    }

    fn connection_fields(&self) -> &'static [Field] {
        &[]
    }

    fn kinds(&self) -> &'static [Kind] {
        &KINDS
    }

    fn parse_scope(&self, _: &str, text: &str) -> std::result::Result<Vec<Scope>, ScopeError> {
        let text = text.trim();
        let word = |part: &str| {
            !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
        };
        match text.split_once(':') {
            Some((thing, verb)) if word(thing) && word(verb) => Ok(vec![Scope::canonical(text)]),
            _ => Err(ScopeError {
                message: format!("{text:?} is no scope: expected <thing>:<verb> in small letters"),
                suggestion: None,
            }),
        }
    }

    fn implies(&self, _: &str, a: &Scope, b: &Scope) -> bool {
        let all = |scope: &Scope| scope.as_str().strip_suffix(":all").map(str::to_owned);
        let thing = |scope: &Scope| scope.as_str().split(':').next().map(str::to_owned);
        a == b || (all(a).is_some() && all(a) == thing(b))
    }

    fn action(&self, _: &str, scope: &Scope) -> Action {
        match scope.as_str().split_once(':') {
            Some((_, "read")) => Action::Read,
            Some((_, "write")) => Action::Write,
            Some((_, "delete")) => Action::Delete,
            Some((_, "all")) => Action::Admin,
            Some((_, "secrets")) => Action::Secret,
            _ => Action::Unknown,
        }
    }

    fn connect(&'static self, setup: Setup) -> Result<Connection> {
        let fake = Fake::new(setup.clock);
        Ok(Connection {
            platform: self,
            connector: Some(Arc::new(fake)),
            sink: None,
            directory: None,
        })
    }
}

/// A method of [`Connector`] that faults can be put on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)] // Their names are the methods'.
pub enum Verb {
    Tenant,
    Ourselves,
    List,
    Read,
    Create,
    Modify,
    Delete,
    Credentials,
    Issue,
    Mark,
    Find,
    Disable,
    Enable,
    SetExpiry,
    End,
    Sweep,
    Probe,
    Mint,
    EndAccess,
}

/// What goes wrong with one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing is sent.
    NotSent,
    /// It is done, and the answer is lost.
    AnswerLost,
    /// It is not done, and nobody knows.
    RequestLost,
    /// The platform says no.
    Refused(Refusal),
    /// It goes through: for putting a fault behind calls that shall work.
    None,
}

/// A connection to a platform in memory. Clones share the platform, as processes share a server.
#[derive(Clone)]
pub struct Fake {
    clock: Arc<dyn Clock>,
    state: Arc<Mutex<State>>,
    /// What it signs in with; without, it is nobody whom the platform lists.
    credential: Option<Arc<Secret>>,
    /// The platform says whose that is, and not which it is.
    anonymous: bool,
}

#[derive(Default)]
struct State {
    tenant: String,
    objects: BTreeMap<(String, String), Object>,
    faults: BTreeMap<Verb, VecDeque<Fault>>,
    calls: Vec<(Verb, String)>,
    gaps: Vec<Gap>,
    counter: u64,
    tokens: BTreeMap<u64, Token>,
    only: Option<&'static str>,
    refuses_new: u32,
    complete: Option<bool>,
    /// How long an ended key is accepted at most, as is promised, and how long it really is.
    ends_late: Option<(Span, Span)>,
    /// How often one came that was ended and is accepted at every second time.
    lingers_by_turns: Option<u32>,
    /// For how long a listing of keys is given again, and the last one of each object.
    lists_again: Option<Span>,
    listings: BTreeMap<String, CredentialListing>,
    /// One key can be switched off.
    disables: bool,
    /// The end of one that is there can be set.
    moves_expiry: bool,
    /// Whatever is shown is let in.
    accepts_anything: bool,
    /// By how much listings of credentials lag behind.
    lists_late: Span,
    /// What was minted is not found, and lives out its hour.
    sweeps_nothing: bool,
    /// What it tells of the last use is evidence, so late.
    last_use_lag: Option<Span>,
    /// What a sign-in shows that its holder may do: with the newest key, and with the others.
    shows: Option<[BTreeSet<String>; 2]>,
}

struct Object {
    vendor_id: String,
    name: String,
    settings: Settings,
    record: Option<Record>,
    scopes: BTreeSet<GrantedScope>,
    enabled: bool,
    keys: Vec<Key>,
    /// What was ended and is still accepted, until then.
    lingering: Vec<(Secret, Timestamp)>,
    /// What was ended, and when: a listing that lags shows it.
    ended: Vec<(ObservedCredential, Timestamp)>,
}

struct Key {
    id: String,
    secret: Secret,
    marker: Option<String>,
    issued_at: Timestamp,
    expires_at: Option<Timestamp>,
    used_at: Option<Timestamp>,
    /// It is switched off.
    disabled: bool,
    /// It is bound to other addresses.
    refused_here: bool,
}

struct Token {
    kind: String,
    key: String,
    marker: Option<String>,
    until: Option<Timestamp>,
}

impl fmt::Debug for Fake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fake")
    }
}

fn refused(what: &str, refusal: Refusal) -> Error {
    let message = format!("{refusal:?}, on request or by the rules of the fake");
    Error::Refused { what: what.to_owned(), refusal, message }
}

impl Fake {
    /// An empty platform.
    pub fn new(clock: Arc<dyn Clock>) -> Fake {
        let state = State { tenant: "fake-1".into(), ..State::default() };
        Fake { clock, state: Arc::new(Mutex::new(state)), credential: None, anonymous: false }
    }

    /// The same platform through a connection that signs in with a credential of one of its objects.
    #[must_use]
    pub fn signed_in_with(&self, secret: &Secret) -> Fake {
        Fake { credential: Some(Arc::new(secret.duplicate())), ..self.clone() }
    }

    /// The same connection where the platform says whose its credential is, and not which it is.
    #[must_use]
    pub fn anonymous(&self) -> Fake {
        Fake { anonymous: true, ..self.clone() }
    }

    /// The next calls of a method end so, in this order; later ones go through.
    pub fn fail(&self, verb: Verb, faults: impl IntoIterator<Item = Fault>) {
        self.lock().faults.entry(verb).or_default().extend(faults);
    }

    /// Forgets faults that nothing has met yet.
    pub fn heal(&self) {
        self.lock().faults.clear();
    }

    /// Every call since this was last asked, with the key it was about.
    pub fn calls(&self) -> Vec<(Verb, String)> {
        std::mem::take(&mut self.lock().calls)
    }

    /// From now on credentials are promised in this way only.
    pub fn promise_only(&self, profile: &'static str) {
        self.lock().only = Some(profile);
    }

    /// The next so many that are issued are refused from here, as if they were bound to other
    /// addresses.
    pub fn refuse_new(&self, next: u32) {
        self.lock().refuses_new = next;
    }

    /// From now on an ended key is accepted for a while, and that this takes at most so long is promised.
    pub fn end_late(&self, promised: Span, really: Span) {
        self.lock().ends_late = Some((promised, really));
    }

    /// From now on an ended key that is accepted for a while is so at every second sign-in with it.
    pub fn linger_by_turns(&self) {
        self.lock().lingers_by_turns = Some(0);
    }

    /// From now on a sign-in shows that its holder may do this, with the newest key and with the others.
    pub fn show_scopes(&self, newest: &[&str], others: &[&str]) {
        let set = |all: &[&str]| all.iter().map(|one| (*one).to_owned()).collect();
        self.lock().shows = Some([set(newest), set(others)]);
    }

    /// From now on what is told of the last use is evidence, at most so late.
    pub fn tell_last_use(&self, lag: Span) {
        self.lock().last_use_lag = Some(lag);
    }

    /// From now on what was minted lives out its time, or is found and ended again.
    pub fn sweep_nothing(&self, lives: bool) {
        self.lock().sweeps_nothing = lives;
    }

    /// From now on listings of credentials show what was there so long ago, and that is promised.
    pub fn list_late(&self, lag: Span) {
        self.lock().lists_late = lag;
    }

    /// From now on a listing of credentials is given again for so long, which nobody promised.
    pub fn list_again(&self, lasts: Span) {
        let mut state = self.lock();
        state.lists_again = Some(lasts);
        state.listings.clear();
    }

    /// From now on whoever shows anything is let in, or only who should be again.
    pub fn accept_anything(&self, accepts: bool) {
        self.lock().accepts_anything = accepts;
    }

    /// From now on one key can be switched off and on again, by its id.
    pub fn disable_keys(&self) {
        self.lock().disables = true;
    }

    /// From now on the end of one key can be set, by its id.
    pub fn move_expiries(&self) {
        self.lock().moves_expiry = true;
    }

    /// From now on listings of credentials hide the newest one and say that they are incomplete, or
    /// are whole again.
    pub fn hide_newest(&self, hides: bool) {
        self.lock().complete = Some(!hides);
    }

    /// From now on it is another tenant.
    pub fn set_tenant(&self, tenant: &str) {
        self.lock().tenant = tenant.to_owned();
    }

    /// From now on listings have these gaps, and a look at one object those of its own facets.
    pub fn set_gaps(&self, gaps: Vec<Gap>) {
        self.lock().gaps = gaps;
    }

    /// Somebody's hand: changes an object; `false` where it is not there.
    pub fn by_hand(&self, kind: &str, key: &str, act: impl FnOnce(&mut Hand<'_>)) -> bool {
        let mut state = self.lock();
        let State { objects, counter, .. } = &mut *state;
        let Some(object) = objects.get_mut(&(kind.to_owned(), key.to_owned())) else {
            return false;
        };
        act(&mut Hand { object, counter, now: self.clock.now() });
        true
    }

    /// Somebody's hand: makes an object with full power over one thing.
    pub fn create_by_hand(&self, kind: &str, key: &str) {
        let mut state = self.lock();
        state.counter += 1;
        let scopes = BTreeSet::from([GrantedScope::standing(Scope::canonical("stray:all"))]);
        let object = Object {
            vendor_id: format!("v{}", state.counter),
            name: key.to_owned(),
            settings: Settings::default(),
            record: None,
            scopes,
            enabled: true,
            keys: Vec::new(),
            lingering: Vec::new(),
            ended: Vec::new(),
        };
        state.objects.insert((kind.to_owned(), key.to_owned()), object);
    }

    /// Somebody's hand: deletes an object; `false` where it is not there.
    pub fn delete_by_hand(&self, kind: &str, key: &str) -> bool {
        self.lock().objects.remove(&(kind.to_owned(), key.to_owned())).is_some()
    }

    /// Signs in as an app would and keeps the token; `None` where the secret is refused.
    pub fn sign_in(&self, kind: &str, key: &str, secret: &Secret) -> Option<u64> {
        let now = self.clock.now();
        let mut state = self.lock();
        let object = state.objects.get_mut(&(kind.to_owned(), key.to_owned()))?;
        if !object.enabled {
            return None;
        }
        let found = object.keys.iter_mut().find(|one| one.secret == *secret && one.works(now))?;
        found.used_at = Some(now);
        let token =
            Token { kind: kind.into(), key: key.into(), marker: found.marker.clone(), until: None };
        state.counter += 1;
        let id = state.counter;
        state.tokens.insert(id, token);
        Some(id)
    }

    /// Whether a secret would be let in; looking leaves no trace.
    pub fn admits(&self, kind: &str, key: &str, secret: &Secret) -> bool {
        let now = self.clock.now();
        let state = self.lock();
        // There are few, and simulations ask after every event.
        let objects = state.objects.iter();
        let mut named = objects.filter(|((of, name), _)| of == kind && name == key);
        named.next().filter(|(_, object)| object.enabled).is_some_and(|(_, object)| {
            let fits = |one: &Key| one.secret == *secret && one.works(now) && !one.refused_here;
            object.keys.iter().any(fits)
        })
    }

    /// Whether a key with this secret lives, whether it is let in or not.
    pub fn holds(&self, kind: &str, key: &str, secret: &Secret) -> bool {
        let now = self.clock.now();
        let state = self.lock();
        let found = state.objects.get(&(kind.to_owned(), key.to_owned()));
        found.is_some_and(|one| one.keys.iter().any(|key| key.secret == *secret && key.lives(now)))
    }

    /// Whether a token still works.
    pub fn works(&self, token: u64) -> bool {
        let now = self.clock.now();
        let state = self.lock();
        state.tokens.get(&token).is_some_and(|token| {
            if token.until.is_some_and(|until| until <= now) {
                return false;
            }
            let object = state.objects.get(&(token.kind.clone(), token.key.clone()));
            object.is_some_and(|object| object.enabled)
        })
    }

    /// The ways in which a type is issued now.
    fn ways(&self, credential_type: &str) -> Vec<Promise> {
        let types = KINDS.iter().flat_map(|kind| kind.credential_types);
        let only = self.lock().only;
        if only == Some(FIRST_ONLY.name) && credential_type == KEY {
            return vec![Promise { profile: &FIRST_ONLY, because: None }];
        }
        if credential_type == KEY
            && let Some(profile) = OTHER_WAYS.iter().find(|one| only == Some(one.name))
        {
            return vec![Promise { profile, because: None }];
        }
        let found = types
            .filter(|one| one.name == credential_type)
            .flat_map(|one| one.profiles)
            .filter(|profile| only.is_none_or(|only| only == profile.name));
        found.map(|profile| Promise { profile, because: None }).collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Notes a call and lets it come to what was asked for it.
    fn call<T>(
        &self,
        verb: Verb,
        key: &str,
        act: impl FnOnce(&mut State) -> Result<T>,
    ) -> Result<T> {
        let mut state = self.lock();
        state.calls.push((verb, key.to_owned()));
        let fault = state.faults.get_mut(&verb).and_then(VecDeque::pop_front);
        // Simulations call it a million times, and most calls go through.
        let what = || format!("{verb:?} {key:?}");
        let lost = |outcome| Error::Unreachable {
            what: what(),
            message: "a fault on request".into(),
            outcome,
        };
        match fault {
            None | Some(Fault::None) => act(&mut state),
            Some(Fault::NotSent) => Err(lost(Outcome::NotSent)),
            Some(Fault::RequestLost) => Err(lost(Outcome::Ambiguous)),
            Some(Fault::Refused(refusal)) => Err(refused(&what(), refusal)),
            Some(Fault::AnswerLost) => {
                act(&mut state)?;
                Err(lost(Outcome::Ambiguous))
            }
        }
    }
}

/// Somebody's hand on one object.
pub struct Hand<'a> {
    object: &'a mut Object,
    counter: &'a mut u64,
    now: Timestamp,
}

impl Hand<'_> {
    /// Gives a scope.
    pub fn grant(&mut self, scope: &str) {
        self.object.scopes.insert(GrantedScope::standing(Scope::canonical(scope)));
    }

    /// Takes a scope.
    pub fn withdraw(&mut self, scope: &str) {
        self.object.scopes.retain(|one| one.scope.as_str() != scope);
    }

    /// Changes a setting.
    pub fn set(&mut self, name: &str, value: Setting) {
        self.object.settings.0.insert(name.to_owned(), value);
    }

    /// Flips the switch.
    pub fn enable(&mut self, enabled: bool) {
        self.object.enabled = enabled;
    }

    /// Writes or wipes the record.
    pub fn write_record(&mut self, record: Option<Record>) {
        self.object.record = record;
    }

    /// Brings back a credential under an id that it had before.
    pub fn bring_back(&mut self, id: &str, secret: &Secret) {
        let made = self.issue(secret.expose(), None);
        for key in self.object.keys.iter_mut().filter(|key| key.id == made) {
            id.clone_into(&mut key.id);
        }
    }

    /// Issues a credential without a marker of ours, or with a copied one.
    pub fn issue(&mut self, secret: &str, marker: Option<&str>) -> String {
        *self.counter += 1;
        let id = format!("k{}", self.counter);
        self.object.keys.push(Key {
            id: id.clone(),
            secret: Secret::new(secret),
            marker: marker.map(str::to_owned),
            issued_at: self.now,
            expires_at: None,
            used_at: None,
            disabled: false,
            refused_here: false,
        });
        id
    }

    /// Changes the secret of a credential.
    pub fn turn(&mut self, key_id: &str, secret: &str) {
        for one in self.object.keys.iter_mut().filter(|one| one.id == key_id) {
            one.secret = Secret::new(secret);
        }
    }

    /// Switches a credential off, or on again.
    pub fn switch(&mut self, key_id: &str, on: bool) {
        for one in self.object.keys.iter_mut().filter(|one| one.id == key_id) {
            one.disabled = !on;
        }
    }

    /// Writes a mark, or takes it away.
    pub fn mark(&mut self, key_id: &str, marker: Option<&str>) {
        for one in self.object.keys.iter_mut().filter(|one| one.id == key_id) {
            one.marker = marker.map(str::to_owned);
        }
    }

    /// Writes a mark on the credential that came last.
    pub fn mark_last(&mut self, marker: &str) {
        if let Some(last) = self.object.keys.last_mut() {
            last.marker = Some(marker.to_owned());
        }
    }

    /// Ends a credential.
    pub fn end(&mut self, key_id: &str) {
        self.object.keys.retain(|one| one.id != key_id);
    }

    /// Deletes and recreates the object: another vendor id, and no credential.
    pub fn recreate(&mut self) {
        *self.counter += 1;
        self.object.vendor_id = format!("v{}", self.counter);
        self.object.keys.clear();
    }
}

impl Key {
    fn lives(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|end| end > now)
    }

    /// It has not ended, and is not switched off.
    fn works(&self, now: Timestamp) -> bool {
        self.lives(now) && !self.disabled
    }

    fn observed(&self, kind: &str, now: Timestamp) -> ObservedCredential {
        let last_used = match self.used_at {
            Some(at) if kind == APP => LastUsed::At(at),
            _ => LastUsed::Unknown,
        };
        ObservedCredential {
            key_id: self.id.clone(),
            credential_type: type_of(kind).to_owned(),
            marker: self.marker.clone(),
            issued_at: Some(self.issued_at),
            expires_at: self.expires_at,
            last_used,
            live: self.works(now),
            disabled: self.disabled && self.lives(now),
            settings: Settings::default(),
        }
    }
}

fn type_of(kind: &str) -> &'static str {
    if kind == BOT { SECRET } else { KEY }
}

impl Object {
    /// Where there is room for two.
    fn is_full(&self, now: Timestamp) -> bool {
        self.keys.iter().filter(|one| one.lives(now)).count() >= 2
    }

    fn observed(
        &self,
        kind: &str,
        key: &str,
        credentials: bool,
        now: Timestamp,
    ) -> ObservedIntegration {
        let lives = |one: &&GrantedScope| one.until.is_none_or(|until| until > now);
        let scopes: BTreeSet<GrantedScope> = self.scopes.iter().filter(lives).cloned().collect();
        ObservedIntegration {
            kind: kind.to_owned(),
            key: key.to_owned(),
            vendor_id: self.vendor_id.clone(),
            name: self.name.clone(),
            settings: self.settings.clone(),
            record: self.record.clone().filter(|_| kind == APP),
            parked: scopes.is_empty(),
            scopes,
            enabled: self.enabled,
            contacts: None,
            builtin: false,
            credentials: credentials
                .then(|| self.keys.iter().map(|one| one.observed(kind, now)).collect()),
            gaps: Vec::new(),
        }
    }
}

impl State {
    /// The object that is meant.
    fn object(&mut self, object: &ObjectRef) -> Result<&mut Object> {
        let what = format!("{} {:?}", object.kind, object.key);
        let found = self.objects.get_mut(&(object.kind.clone(), object.key.clone()));
        let found = found.ok_or_else(|| refused(&what, Refusal::NotFound))?;
        object.check_incarnation(&found.vendor_id)?;
        Ok(found)
    }
}

fn unsupported<T>(what: &'static str) -> Result<T> {
    crate::port::unsupported("fake", what)
}

fn capabilities(kind: &str) -> Result<&'static Capabilities> {
    let found = KINDS.iter().find(|one| one.name == kind);
    found
        .map(|kind| &kind.capabilities)
        .ok_or_else(|| Error::Configuration(format!("no kind {kind:?}")))
}

#[async_trait]
impl Connector for Fake {
    fn platform(&self) -> &'static dyn Platform {
        &PLATFORM
    }

    async fn tenant(&self) -> Result<String> {
        self.call(Verb::Tenant, "", |state| Ok(state.tenant.clone()))
    }

    async fn ourselves(&self) -> Result<Option<Ourselves>> {
        let Some(secret) = self.credential.as_deref() else { return Ok(None) };
        let anonymous = self.anonymous;
        self.call(Verb::Ourselves, "", |state| {
            Ok(state.objects.iter().find_map(|((kind, key), object)| {
                let used = object.keys.iter().find(|one| one.secret == *secret)?;
                let key_id = (!anonymous).then(|| used.id.clone());
                Some(Ourselves { kind: kind.clone(), key: key.clone(), key_id })
            }))
        })
    }

    async fn list(&self, want: Want) -> Result<Observation> {
        let now = self.clock.now();
        self.call(Verb::List, "", |state| {
            let objects = state.objects.iter();
            Ok(Observation {
                tenant: state.tenant.clone(),
                requested_at: now,
                integrations: objects
                    .filter(|((_, key), _)| {
                        let hides = |gap: &Gap| matches!(&gap.extent, GapExtent::Object(hidden) if hidden == key);
                        !state.gaps.iter().any(hides)
                    })
                    .map(|((kind, key), object)| object.observed(kind, key, want.credentials, now))
                    .collect(),
                gaps: state.gaps.clone(),
            })
        })
    }

    async fn read(&self, object: &ObjectRef, want: Want) -> Result<Option<ObservedIntegration>> {
        let now = self.clock.now();
        self.call(Verb::Read, &object.key, |state| {
            let of_it =
                |gap: &&Gap| matches!(&gap.extent, GapExtent::Facet(key, _) if *key == object.key);
            let gaps: Vec<Gap> = state.gaps.iter().filter(of_it).cloned().collect();
            let hidden = |gap: &Gap| matches!(gap.extent, GapExtent::Facet(_, "credentials"));
            let credentials = want.credentials && !gaps.iter().any(hidden);
            match state.object(object) {
                Ok(found) => {
                    let seen = found.observed(&object.kind, &object.key, credentials, now);
                    Ok(Some(ObservedIntegration { gaps, ..seen }))
                }
                Err(error) if error.refusal() == Some(Refusal::NotFound) => Ok(None),
                Err(error) => Err(error),
            }
        })
    }

    async fn create(&self, new: &NewIntegration) -> Result<ObservedIntegration> {
        let now = self.clock.now();
        let can = capabilities(&new.kind)?;
        self.call(Verb::Create, &new.name, |state| {
            state.counter += 1;
            let key =
                if can.key_is_ours { new.name.clone() } else { format!("b{}", state.counter) };
            let place = (new.kind.clone(), key.clone());
            if let Some(there) = state.objects.get_mut(&place) {
                let ours = there.record.as_ref().is_some_and(|record| {
                    record.unfinished && record.realm.is_some() && record.realm == new.record.realm
                });
                if !ours {
                    return Err(refused("create", Refusal::Conflict));
                }
                there.settings = new.settings.clone();
                there.record = Some(new.record.clone());
                return Ok(there.observed(&new.kind, &key, true, now));
            }
            let object = Object {
                vendor_id: format!("v{}", state.counter),
                name: new.name.clone(),
                settings: new.settings.clone(),
                record: can.keeps_record.then(|| new.record.clone()),
                scopes: BTreeSet::new(),
                enabled: true,
                keys: Vec::new(),
                lingering: Vec::new(),
                ended: Vec::new(),
            };
            let observed = object.observed(&new.kind, &key, true, now);
            state.objects.insert(place, object);
            Ok(observed)
        })
    }

    async fn modify(&self, object: &ObjectRef, change: &Change) -> Result<ObservedIntegration> {
        let now = self.clock.now();
        let can = capabilities(&object.kind)?;
        if change.enabled.is_some() && !can.disables {
            return unsupported("be switched off");
        }
        let dated = change.scopes.iter().flatten().any(|one| one.until.is_some());
        if dated && !can.ends_scopes {
            return unsupported("end a scope by itself");
        }
        self.call(Verb::Modify, &object.key, |state| {
            let found = state.object(object)?;
            let change = change.clone();
            found.name = change.name.unwrap_or_else(|| found.name.clone());
            found.settings = change.settings.unwrap_or_else(|| found.settings.clone());
            found.scopes = change.scopes.unwrap_or_else(|| found.scopes.clone());
            found.enabled = change.enabled.unwrap_or(found.enabled);
            if can.keeps_record && change.record.is_some() {
                found.record = change.record;
            }
            Ok(found.observed(&object.kind, &object.key, true, now))
        })
    }

    async fn delete(&self, object: &ObjectRef) -> Result<Ended> {
        self.call(Verb::Delete, &object.key, |state| match state.object(object) {
            Ok(_) => {
                state.objects.remove(&(object.kind.clone(), object.key.clone()));
                Ok(Ended::Now)
            }
            Err(error) if error.refusal() == Some(Refusal::NotFound) => Ok(Ended::AlreadyGone),
            Err(error) => Err(error),
        })
    }

    async fn credentials(&self, object: &ObjectRef) -> Result<CredentialListing> {
        let now = self.clock.now();
        self.call(Verb::Credentials, &object.key, |state| {
            let complete = state.complete.unwrap_or(true);
            let lag = state.lists_late;
            let then = now - SignedDuration::from_secs(lag.as_signed_secs());
            let found = state.object(object)?;
            let shown = found.keys.len() - usize::from(!complete && !found.keys.is_empty());
            let shown = found
                .keys
                .iter()
                .take(shown)
                .filter(|one| lag == Span::ZERO || one.issued_at <= then);
            let mut credentials: Vec<_> =
                shown.map(|one| one.observed(&object.kind, now)).collect();
            let late = found.ended.iter().filter(|(_, at)| *at > then);
            credentials.extend(late.map(|(one, _)| one.clone()));
            let listing =
                CredentialListing { credentials, complete, shows_all_of: &[], requested_at: now };
            let Some(lasts) = state.lists_again else { return Ok(listing) };
            let of = state.listings.entry(object.key.clone()).or_insert_with(|| listing.clone());
            if now.duration_since(of.requested_at).unsigned_abs() >= lasts.to_std() {
                *of = listing;
            }
            Ok(CredentialListing { requested_at: now, ..of.clone() })
        })
    }

    async fn promises(&self, credential_type: &str) -> Result<Vec<Promise>> {
        let mut ways = self.ways(credential_type);
        let list_lag = self.lock().lists_late;
        if list_lag > Span::ZERO {
            for one in &mut ways {
                one.profile = Box::leak(Box::new(Profile { list_lag, ..*one.profile }));
            }
        }
        if let Some((revocation_lag, _)) = self.lock().ends_late {
            for one in &mut ways {
                one.profile = Box::leak(Box::new(Profile { revocation_lag, ..*one.profile }));
            }
        }
        Ok(ways)
    }

    fn choose_secret(&self, credential_type: &str, _: &Settings, _: &str) -> Result<Secret> {
        if credential_type != KEY {
            return unsupported("take a secret of ours");
        }
        Ok(self.secret())
    }

    async fn issue(&self, object: &ObjectRef, request: IssueRequest<'_>) -> Result<Issued> {
        let now = self.clock.now();
        let made = self.secret();
        self.call(Verb::Issue, &object.key, |state| {
            state.counter += 1;
            // What there is one of has one name, whichever it is.
            let id = match request.profile {
                "first-only" => "only".to_owned(),
                _ => format!("k{}", state.counter),
            };
            let refused_here = state.refuses_new > 0;
            let ours = ["add-ours", "slots", "replace-ours"].contains(&request.profile);
            let found = state.object(object)?;
            if request.expires_at.is_some_and(|end| end <= now) {
                return Err(refused("issue", Refusal::Invalid));
            }
            let secret = match (request.profile, request.secret) {
                ("add-ours" | "slots" | "replace-ours", Some(ours)) => {
                    if let Some(there) = found.keys.iter().find(|one| one.secret == *ours) {
                        return Ok(Issued {
                            key_id: there.id.clone(),
                            secret: None,
                            issued_at: Some(there.issued_at),
                            expires_at: there.expires_at,
                            already_there: true,
                        });
                    }
                    match request.profile {
                        "slots" if found.is_full(now) => {
                            return Err(refused("issue", Refusal::Conflict));
                        }
                        "replace-ours" => found.keys.clear(),
                        _ => {}
                    }
                    ours.duplicate()
                }
                ("grace", None) => {
                    let end = now + SignedDuration::from_secs(GRACE.as_signed_secs());
                    let earlier = found.keys.pop().filter(|one| one.lives(now));
                    found.keys.clear();
                    found.keys.extend(earlier.map(|one| Key { expires_at: Some(end), ..one }));
                    made
                }
                ("add-marked", None) => made,
                ("add-unmarked", None) if found.is_full(now) => {
                    return Err(refused("issue", Refusal::Conflict));
                }
                ("add-unmarked", None) => made,
                ("first-only", None) => match found.keys.first() {
                    Some(there) => {
                        return Ok(Issued {
                            key_id: there.id.clone(),
                            secret: Some(there.secret.duplicate()),
                            issued_at: Some(there.issued_at),
                            expires_at: None,
                            already_there: true,
                        });
                    }
                    None => made,
                },
                // Of what replaces itself the parent makes the first.
                ("replace-once" | "replace-self" | "replace-self, once", None) => {
                    found.keys.clear();
                    made
                }
                ("replace-self" | "replace-self, once", Some(with)) => {
                    let lives = found.keys.iter().any(|one| one.secret == *with && one.lives(now));
                    if !lives {
                        if request.profile != "replace-self" {
                            found.keys.clear();
                        }
                        return Err(refused("issue", Refusal::Unauthorized));
                    }
                    found.keys.clear();
                    made
                }
                _ => return unsupported("issue in this way"),
            };
            let key = Key {
                id: id.clone(),
                secret: secret.duplicate(),
                marker: ["add-ours", "add-marked"]
                    .contains(&request.profile)
                    .then(|| request.marker.to_owned()),
                issued_at: now,
                expires_at: request.expires_at,
                used_at: None,
                disabled: false,
                refused_here,
            };
            found.keys.push(key);
            state.refuses_new = state.refuses_new.saturating_sub(1);
            Ok(Issued {
                key_id: id,
                secret: (!ours).then_some(secret),
                issued_at: Some(now),
                expires_at: request.expires_at,
                already_there: false,
            })
        })
    }

    async fn mark(&self, object: &ObjectRef, key_id: &str, marker: &str) -> Result<()> {
        self.call(Verb::Mark, &object.key, |state| {
            let found = state.object(object)?.keys.iter_mut().find(|one| one.id == key_id);
            let key = found.ok_or_else(|| refused("mark", Refusal::NotFound))?;
            key.marker = Some(marker.to_owned());
            Ok(())
        })
    }

    async fn find(
        &self,
        object: &ObjectRef,
        _: &str,
        secret: &Secret,
    ) -> Result<Option<ObservedCredential>> {
        let now = self.clock.now();
        self.call(Verb::Find, &object.key, |state| {
            let found = state.object(object)?.keys.iter().find(|one| one.secret == *secret);
            Ok(found.map(|one| one.observed(&object.kind, now)))
        })
    }

    async fn shown(&self, object: &ObjectRef, key_id: &str) -> Result<Option<Secret>> {
        let readable = |one: &Promise| one.profile.origin == Origin::VendorReadable;
        if !self.promises(KEY).await?.iter().any(readable) {
            return Ok(None);
        }
        self.call(Verb::Find, &object.key, |state| {
            let found = state.object(object)?.keys.iter().find(|one| one.id == key_id);
            Ok(found.map(|one| one.secret.duplicate()))
        })
    }

    fn disables(&self, _: &str) -> bool {
        self.lock().disables
    }

    fn last_use_lag(&self, _: &str) -> Option<Span> {
        self.lock().last_use_lag
    }

    fn moves_expiry(&self, _: &str) -> bool {
        self.lock().moves_expiry
    }

    async fn set_expiry(
        &self,
        object: &ObjectRef,
        key_id: &str,
        at: Option<Timestamp>,
    ) -> Result<()> {
        if !self.lock().moves_expiry {
            return unsupported("set the end of a credential that is there");
        }
        let now = self.clock.now();
        self.call(Verb::SetExpiry, &object.key, |state| {
            let found = state.object(object)?.keys.iter_mut();
            let key = found.filter(|one| one.lives(now)).find(|one| one.id == key_id);
            let key = key.ok_or_else(|| refused("set an end", Refusal::NotFound))?;
            key.expires_at = at;
            Ok(())
        })
    }

    async fn disable(&self, object: &ObjectRef, key_id: &str) -> Result<()> {
        self.switch(Verb::Disable, object, key_id, false)
    }

    async fn enable(&self, object: &ObjectRef, key_id: &str) -> Result<()> {
        self.switch(Verb::Enable, object, key_id, true)
    }

    async fn end(&self, object: &ObjectRef, key_id: &str) -> Result<Ended> {
        let now = self.clock.now();
        self.call(Verb::End, &object.key, |state| {
            let late = state.ends_late.map(|(_, really)| really);
            let lists_late = state.lists_late > Span::ZERO;
            let found = state.object(object)?;
            let before = found.keys.len();
            if lists_late {
                let ended = found.keys.iter().filter(|one| one.id == key_id);
                let ended = ended.map(|one| (one.observed(&object.kind, now), now));
                found.ended.extend(ended.collect::<Vec<_>>());
            }
            if let Some(late) = late {
                let until = now + SignedDuration::from_secs(late.as_signed_secs());
                let ended = found.keys.iter().filter(|one| one.id == key_id);
                found.lingering.extend(ended.map(|one| (one.secret.duplicate(), until)));
            }
            found.keys.retain(|one| one.id != key_id);
            Ok(if found.keys.len() < before { Ended::Now } else { Ended::AlreadyGone })
        })
    }

    async fn sweep(&self, object: &ObjectRef, marker: Option<&str>) -> Result<Children> {
        let now = self.clock.now();
        let can = capabilities(&object.kind)?;
        self.call(Verb::Sweep, &object.key, |state| {
            if !can.sweeps_children || state.sweeps_nothing {
                return Ok(Children::Residual(now.checked_add(SignedDuration::from_hours(1)).ok()));
            }
            let before = state.tokens.len();
            state.tokens.retain(|_, token| {
                let of_it = token.kind == object.kind && token.key == object.key;
                !(of_it && marker.is_none_or(|marker| token.marker.as_deref() == Some(marker)))
            });
            let swept = u32::try_from(before - state.tokens.len()).unwrap_or(u32::MAX);
            Ok(if swept == 0 { Children::None } else { Children::Swept(swept) })
        })
    }

    async fn probe(&self, object: &ObjectRef, _: &str, secret: &Secret) -> Result<Probe> {
        let now = self.clock.now();
        self.call(Verb::Probe, &object.key, |state| {
            let anything = state.accepts_anything;
            let shows = state.shows.clone();
            let turns = state.lingers_by_turns;
            let found = state.object(object)?;
            let newest = found.keys.last().map(|one| one.secret.duplicate());
            let enabled = found.enabled;
            let lingers = |(one, until): &(Secret, Timestamp)| one == secret && *until > now;
            if enabled && found.lingering.iter().any(lingers) {
                let turns = turns.map(|came| came + 1);
                state.lingers_by_turns = turns;
                return Ok(match turns {
                    Some(came) if came % 2 == 0 => {
                        Probe::Refused { class: "400 invalid-credential".into() }
                    }
                    _ => Probe::Accepted { residual: None, scopes: None },
                });
            }
            let key = found.keys.iter_mut().find(|one| one.secret == *secret && one.lives(now));
            Ok(match key {
                Some(key) if !enabled || key.disabled || key.refused_here => {
                    Probe::Refused { class: "403 denied".into() }
                }
                Some(key) => {
                    key.used_at = Some(now);
                    let scopes = shows.map(|[of_newest, of_others]| {
                        if newest.as_ref() == Some(secret) { of_newest } else { of_others }
                    });
                    Probe::Accepted { residual: None, scopes }
                }
                None if anything => Probe::Accepted { residual: None, scopes: None },
                None => Probe::Refused { class: "400 invalid-credential".into() },
            })
        })
    }

    async fn mint(&self, object: &ObjectRef, request: AccessRequest<'_>) -> Result<Access> {
        if !capabilities(&object.kind)?.mints_access {
            return unsupported("mint access for a while");
        }
        let life = SignedDuration::from_secs(request.life.as_signed_secs());
        let until = self.clock.now().checked_add(life).unwrap_or(Timestamp::MAX);
        self.call(Verb::Mint, &object.key, |state| {
            if !state.object(object)?.enabled {
                return Err(refused("mint", Refusal::Forbidden));
            }
            state.counter += 1;
            let (id, kind, key) = (state.counter, object.kind.clone(), object.key.clone());
            state.tokens.insert(id, Token { kind, key, marker: None, until: Some(until) });
            let token = Secret::new(format!("fake-access-{id}"));
            Ok(Access { token, handle: Secret::new(id.to_string()), expires_at: until })
        })
    }

    async fn end_access(&self, object: &ObjectRef, handle: &Secret) -> Result<Ended> {
        self.call(Verb::EndAccess, &object.key, |state| {
            let id = handle.expose().parse().unwrap_or_default();
            let gone = state.tokens.remove(&id).is_none();
            Ok(if gone { Ended::AlreadyGone } else { Ended::Now })
        })
    }

    fn random_like(&self, _: &str, _: &Secret) -> Result<Secret> {
        Ok(self.secret())
    }
}

impl Fake {
    fn switch(&self, verb: Verb, object: &ObjectRef, key_id: &str, on: bool) -> Result<()> {
        if !self.lock().disables {
            return unsupported("switch a credential off or on");
        }
        self.call(verb, &object.key, |state| {
            let found = state.object(object)?.keys.iter_mut().find(|one| one.id == key_id);
            let key = found.ok_or_else(|| refused("switch", Refusal::NotFound))?;
            key.disabled = !on;
            Ok(())
        })
    }

    /// No secret of anything real: another one every time, always of one length.
    fn secret(&self) -> Secret {
        let mut state = self.lock();
        state.counter += 1;
        Secret::new(format!("fake-secret-of-nothing-{:016}", state.counter))
    }
}
