//! Clients as integrations: registered, read, changed as whole objects, their tokens kept.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use connector::{
    Change, Children, Clock, Connector, CredentialListing, Ended, Error, IssueRequest, Issued,
    NewIntegration, ObjectRef, Platform, Probe, Promise, Refusal, Result, Want,
    port::unsupported,
    transport::{Answer, Effect, Request, Transport},
};
use domain::{
    Gap, GapExtent, GrantedScope, LastUsed, Observation, ObservedCredential, ObservedIntegration,
    Record, Scope, Secret, Settings, settings::Setting,
};
use ring::rand::{SecureRandom, SystemRandom};
use serde_json::{Map, Value, json};
use tokio::sync::OnceCell;

use crate::{
    api::{Metadata, Registration, code, form, parse, refused, standard},
    key,
    keyring::{Entry, Keyring, Phase, Wanted},
    scope,
    tables::{
        ADD_OURS, CLIENT, CLIENT_SECRET, FIRST_ONLY, KEY_PROFILES, PRIVATE_KEY, SECRET_PROFILES,
    },
};

/// The key id of the one client secret.
const THE_SECRET: &str = "client_secret";

/// Clients of one server.
#[derive(Debug)]
pub(crate) struct Clients {
    platform: &'static dyn Platform,
    connection: String,
    address: String,
    initial: Option<Secret>,
    keyring: Option<Keyring>,
    transport: Arc<dyn Transport>,
    clock: Arc<dyn Clock>,
    metadata: OnceCell<Metadata>,
    /// One at a time for each client: a change replaces the whole object and the token.
    locks: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

/// Members whose presence gives something, so that they must go when they are taken away.
const GIVES: [&str; 2] = ["scope", "jwks"];

/// A client as it was read, with its document.
struct Found {
    entry: Entry,
    /// What the document wanted when it was read.
    stood: Wanted,
    there: Registration,
}

fn unexpected(what: &str, message: impl Into<String>) -> Error {
    Error::UnexpectedAnswer { what: what.to_owned(), message: message.into() }
}

fn refuse(what: &str, refusal: Refusal, message: impl Into<String>) -> Error {
    Error::Refused { what: what.to_owned(), refusal, message: message.into(), retry_after: None }
}

fn texts(all: impl IntoIterator<Item = String>) -> Value {
    Value::Array(all.into_iter().map(Value::String).collect())
}

fn setting(settings: &Settings, name: &str) -> BTreeSet<String> {
    settings.texts(name).cloned().unwrap_or_default()
}

/// Scheme, host and port of a URL.
fn origin(url: &str) -> &str {
    let after = url.find("://").map_or(0, |at| at + 3);
    let end = url[after..].find('/').map_or(url.len(), |at| after + at);
    &url[..end]
}

/// Where the metadata of an issuer may be. The well-known part stands between host and path
/// (RFC 8414 §3.1); OpenID's own discovery has it at the end.
fn places(issuer: &str) -> Vec<(String, &'static str)> {
    const OAUTH: &str = ".well-known/oauth-authorization-server";
    const OPENID: &str = ".well-known/openid-configuration";
    let issuer = issuer.trim_end_matches('/');
    let origin = origin(issuer);
    let path = &issuer[origin.len()..];
    let mut places = vec![(format!("{origin}/{OAUTH}{path}"), OAUTH)];
    if !path.is_empty() {
        places.push((format!("{issuer}/{OPENID}"), OPENID));
    }
    places.push((format!("{origin}/{OPENID}{path}"), OPENID));
    places
}

fn lost(what: &str, entry: &Entry) -> Error {
    refuse(
        what,
        Refusal::Unauthorized,
        format!(
            "status 401: the registration token of client {:?} is not accepted: the client was deleted, or \
             its management is lost. Ask the server's administrator for a new token, or register a successor",
            entry.client_id
        ),
    )
}

impl Found {
    fn new(entry: Entry, there: Registration) -> Found {
        Found { stood: entry.wanted.clone(), entry, there }
    }

    /// The client secret as far as it is known.
    fn secret(&self) -> Option<Secret> {
        let known = self.there.secret.as_ref().or(self.entry.secret.as_ref());
        known.map(Secret::duplicate)
    }

    /// Neither a way to sign in nor one to get a token.
    fn is_bare(&self) -> bool {
        self.there.method() == "none" && self.there.grants().is_empty()
    }

    fn has_credential(&self) -> bool {
        match self.there.method() {
            "none" => false,
            "private_key_jwt" => {
                !self.there.keys().is_empty() || self.there.text("jwks_uri").is_some()
            }
            _ => true,
        }
    }

    fn is_closed(&self) -> bool {
        self.there.texts("grant_types").is_empty()
    }

    fn scopes(&self) -> BTreeSet<GrantedScope> {
        match self.there.text("scope") {
            Some(text) => text
                .split(' ')
                .filter(|one| !one.is_empty())
                .map(|one| GrantedScope::standing(Scope::canonical(one)))
                .collect(),
            // No scope named and a way to get a token: the server sets no limit.
            None if !self.there.grants().is_empty() => {
                BTreeSet::from([GrantedScope::standing(Scope::canonical(scope::UNLIMITED))])
            }
            None => BTreeSet::new(),
        }
    }

    fn credentials(&self) -> Vec<ObservedCredential> {
        let one =
            |key_id: String, credential_type: &str, marker: Option<String>| ObservedCredential {
                key_id,
                credential_type: credential_type.to_owned(),
                marker,
                issued_at: None,
                expires_at: None,
                last_used: LastUsed::Unknown,
                live: true,
                settings: Settings::default(),
            };
        let mut all: Vec<_> = self
            .there
            .keys()
            .iter()
            .map(|jwk| {
                let id = key::id_of(jwk);
                let marker = id.starts_with("nhi1-").then(|| id.clone());
                one(id, PRIVATE_KEY, marker)
            })
            .collect();
        if self.there.method().starts_with("client_secret") {
            all.push(one(THE_SECRET.to_owned(), CLIENT_SECRET, None));
        }
        all.sort_by(|a, b| a.key_id.cmp(&b.key_id));
        all
    }

    fn observed(&self) -> ObservedIntegration {
        let live = self.there.grants();
        let scopes = self.scopes();
        let should_be_open = self.has_credential() && !scopes.is_empty();
        // Closed for want of scopes or a credential, the wanted grant types are in the keyring.
        let grants = if live.is_empty() { self.entry.wanted.grants.clone() } else { live.clone() };
        let mut settings = Settings::default().with("grant_types", Setting::Texts(grants));
        for name in ["redirect_uris", "post_logout_redirect_uris"] {
            let uris = self.there.texts(name);
            if !uris.is_empty() {
                settings = settings.with(name, Setting::Texts(uris.into_iter().collect()));
            }
        }
        ObservedIntegration {
            kind: CLIENT.to_owned(),
            key: self.entry.client_id.clone(),
            vendor_id: self.entry.client_id.clone(),
            name: self.there.text("client_name").unwrap_or(&self.entry.name).to_owned(),
            settings,
            record: Some(self.entry.wanted.record.clone()),
            enabled: if should_be_open { !live.is_empty() } else { self.entry.wanted.enabled },
            parked: !should_be_open,
            scopes,
            builtin: false,
            credentials: Some(self.credentials()),
            gaps: Vec::new(),
        }
    }
}

impl Clients {
    pub(crate) fn new(
        platform: &'static dyn Platform,
        connection: String,
        address: String,
        initial: Option<Secret>,
        keyring: Option<Keyring>,
        transport: Arc<dyn Transport>,
        clock: Arc<dyn Clock>,
    ) -> Clients {
        Clients {
            platform,
            connection,
            address,
            initial,
            keyring,
            transport,
            clock,
            metadata: OnceCell::new(),
            locks: Mutex::default(),
        }
    }

    /// Waits until nobody of this process is at a client, named by its id, or by its name while it
    /// is made.
    async fn hold(&self, key: &str) -> tokio::sync::OwnedMutexGuard<()> {
        let lock = {
            let mut locks = self.locks.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            locks.entry(key.to_owned()).or_default().clone()
        };
        lock.lock_owned().await
    }

    fn keyring(&self) -> Result<&Keyring> {
        self.keyring.as_ref().ok_or_else(|| {
            Error::Configuration(format!(
                "connection {:?} needs `custody`: the token that manages a client changes with every \
                 change and has to be kept. `nhi init` sets it up",
                self.connection
            ))
        })
    }

    async fn send(&self, request: Request) -> Result<Answer> {
        let what = request.what();
        self.transport.send(request).await.map_err(|error| {
            if error.read_only {
                return refuse(&what, Refusal::ReadOnly, error.message);
            }
            Error::Unreachable { what, message: error.message, outcome: error.outcome }
        })
    }

    async fn metadata(&self) -> Result<&Metadata> {
        self.metadata
            .get_or_try_init(|| async {
                let mut last = None;
                for (path, template) in places(&self.address) {
                    let request = Request { shared: true, ..Request::get(path, template) };
                    let what = request.what();
                    let answer = self.send(request).await?;
                    if answer.status != 200 {
                        last = Some(refused(&what, &answer, false));
                        continue;
                    }
                    let found: Metadata = match parse(&what, &answer.body) {
                        Ok(found) => found,
                        // A page for everything that the server does not know, perhaps.
                        Err(error) => {
                            last = Some(error);
                            continue;
                        }
                    };
                    // RFC 8414 §3.3: another issuer's metadata is not to be used.
                    if found.issuer.trim_end_matches('/') != self.address.trim_end_matches('/') {
                        return Err(Error::Tenant {
                            connection: self.connection.clone(),
                            expected: self.address.clone(),
                            found: found.issuer,
                        });
                    }
                    return Ok(found);
                }
                Err(last.unwrap_or_else(|| unexpected("metadata", "there is none")))
            })
            .await
    }

    /// The document of the client that is meant.
    async fn entry(&self, object: &ObjectRef) -> Result<Option<Entry>> {
        let keyring = self.keyring()?;
        let tenant = &self.metadata().await?.issuer;
        let named = keyring.read(tenant, &object.name).await?;
        match named.filter(|entry| entry.client_id == object.key) {
            Some(entry) => Ok(Some(entry)),
            None => keyring.find(&object.key).await,
        }
    }

    /// Takes what an answer says of how the client is managed. Whether it is news.
    fn adopt(entry: &mut Entry, now: &Registration) -> bool {
        let id = now.text("client_id");
        if id.is_some_and(|id| !entry.client_id.is_empty() && id != entry.client_id) {
            return false;
        }
        let mut news = false;
        if let Some(token) = now.token.as_ref().filter(|token| **token != entry.token) {
            entry.token = token.duplicate();
            news = true;
        }
        // Only on the same host: we would send the token nowhere else.
        if let Some(uri) = now.uri.as_ref().filter(|uri| **uri != entry.uri)
            && (entry.uri.is_empty() || origin(uri) == origin(&entry.uri))
        {
            entry.uri.clone_from(uri);
            news = true;
        }
        news
    }

    /// Looks at a client. A token that comes with the answer is kept before anything else is made of
    /// it (RFC 7592 §3): it is the only one from then on. The caller holds the client's lock.
    async fn look(&self, entry: &mut Entry) -> Result<Registration> {
        let request = Request::get(entry.uri.clone(), "{registration_client_uri}")
            .header("Authorization", bearer(&entry.token));
        let what = request.what();
        let answer = self.send(request).await?;
        let read = Registration::read(&what, &answer.body);
        if let Ok(now) = &read
            && Self::adopt(entry, now)
        {
            entry.turns = true;
            let tenant = &self.metadata().await?.issuer;
            self.keyring()?.keep(tenant, entry).await?;
        }
        match answer.status {
            200 => {}
            401 => return Err(lost(&what, entry)),
            403 => {
                return Err(refuse(
                    &what,
                    Refusal::Forbidden,
                    format!(
                        "status 403: the server does not let client {:?} be read",
                        entry.client_id
                    ),
                ));
            }
            _ => return Err(refused(&what, &answer, false)),
        }
        let found = read?;
        match found.text("client_id") {
            None => Err(unexpected(&what, "a registration without a client_id")),
            Some(id) if entry.client_id.is_empty() || id == entry.client_id => Ok(found),
            Some(_) => Err(unexpected(&what, "another client answers under this registration")),
        }
    }

    /// The client that is meant, as it is now. The caller holds its lock.
    async fn found(&self, object: &ObjectRef) -> Result<Option<Found>> {
        let Some(mut entry) = self.entry(object).await? else {
            return Err(Error::Configuration(format!(
                "custody of connection {:?} has no document for client {:?}: without its \
                 registration token nothing can be told of it",
                self.connection, object.key
            )));
        };
        if entry.phase == Phase::Deleted {
            return Ok(None);
        }
        if let Some(expected) = &object.vendor_id
            && *expected != entry.client_id
        {
            return Err(Error::Recreated {
                what: format!("{CLIENT} {:?}", object.name),
                expected: expected.clone(),
                found: entry.client_id,
            });
        }
        let there = match self.look(&mut entry).await {
            // Another process changed it between our two looks: the document has the new token.
            Err(error) if error.refusal() == Some(Refusal::Unauthorized) => {
                match self.entry(object).await? {
                    Some(newer) if newer.token != entry.token => {
                        entry = newer;
                        self.look(&mut entry).await?
                    }
                    _ => return Err(error),
                }
            }
            other => other?,
        };
        Ok(Some(Found::new(entry, there)))
    }

    async fn existing(&self, object: &ObjectRef) -> Result<Found> {
        let found = self.found(object).await?;
        found.ok_or_else(|| refuse("client", Refusal::NotFound, "we deleted this client"))
    }

    /// The client that is meant, while nobody else of this process is at it.
    async fn seen(&self, object: &ObjectRef) -> Result<Found> {
        let _held = self.hold(&object.key).await;
        self.existing(object).await
    }

    /// Brings the whole object to what is wanted and reads back what is in force. What was wanted and
    /// refused is wanted no more.
    async fn put(&self, found: &mut Found, mut members: Map<String, Value>) -> Result<()> {
        let tenant = self.metadata().await?.issuer.clone();
        let keyring = self.keyring()?.clone();
        close_or_open(&found.entry, &mut members);
        if members == found.there.members {
            found.entry.phase = Phase::Settled;
            return keyring.write(&tenant, &mut found.entry).await;
        }
        let before = found.secret();
        let done = self.bring(found, members).await;
        if done.as_ref().is_err_and(|error| error.refusal().is_some()) {
            found.entry.wanted = found.stood.clone();
            found.entry.phase = Phase::Settled;
            // If this is lost, the next change finds and repairs it.
            let _ = keyring.write(&tenant, &mut found.entry).await;
        }
        done?;
        found.stood = found.entry.wanted.clone();
        let after = found.there.secret.as_ref().map(Secret::duplicate);
        if !found.there.method().starts_with("client_secret") {
            if found.entry.secret.take().is_some() {
                keyring.write(&tenant, &mut found.entry).await?;
            }
            return Ok(());
        }
        match (before, after) {
            (Some(before), Some(after)) if before != after => {
                found.entry.secret = Some(after);
                keyring.keep(&tenant, &mut found.entry).await?;
                Err(unexpected(
                    "PUT {registration_client_uri}",
                    format!(
                        "the server took the change of client {:?} and made another client secret: the one \
                         that was delivered does not work any more. The new one is kept in custody, beside \
                         the token that manages the client. Replace the credential, best by a private key",
                        found.entry.client_id
                    ),
                ))
            }
            _ => Ok(()),
        }
    }

    /// Says what is wanted in the ways that servers differ in, until it is in force.
    async fn bring(&self, found: &mut Found, mut members: Map<String, Value>) -> Result<()> {
        const WHAT: &str = "PUT {registration_client_uri}";
        let gone: Vec<&str> = GIVES
            .into_iter()
            .filter(|name| found.there.has(name) && !members.contains_key(*name))
            .collect();
        let known = standard(&members);
        match self.replace(found, &members).await {
            // It may be a server that refuses every member that it does not know.
            Err(error) if error.refusal() == Some(Refusal::Invalid) && known != members => {
                self.replace(found, &known).await?;
                members = known;
            }
            other => other?,
        }
        // What is left out is deleted (RFC 7592 §2.2); a server that merges wants to be told.
        for word in ["null", "empty"] {
            let left: Vec<&str> =
                gone.iter().copied().filter(|name| found.there.has(name)).collect();
            if left.is_empty() {
                break;
            }
            let mut told = members.clone();
            for name in left {
                let empty = if name == "jwks" { json!({ "keys": [] }) } else { json!("") };
                told.insert(name.into(), if word == "null" { Value::Null } else { empty });
            }
            match self.replace(found, &told).await {
                Err(error) if error.refusal() == Some(Refusal::Invalid) => {}
                other => other.map_err(|error| error.after_change(WHAT))?,
            }
        }
        if let Some(left) = gone.iter().find(|name| found.there.has(name)) {
            return Err(unexpected(
                WHAT,
                format!("the server took the change and keeps `{left}`, which was taken away"),
            ));
        }
        let wanted: BTreeSet<String> = members
            .get("grant_types")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect();
        let extra: Vec<String> = found.there.grants().difference(&wanted).cloned().collect();
        if !extra.is_empty() {
            return Err(unexpected(
                WHAT,
                format!(
                    "the server took the change and gives grant types that nobody asked for: {extra:?}"
                ),
            ));
        }
        Ok(())
    }

    /// Replaces the whole object once: the intent is durable before, the new token right after, and
    /// then what is in force is asked anew, since some servers answer what was sent.
    async fn replace(&self, found: &mut Found, members: &Map<String, Value>) -> Result<()> {
        let tenant = self.metadata().await?.issuer.clone();
        let keyring = self.keyring()?.clone();
        found.entry.phase = Phase::Changing;
        keyring.write(&tenant, &mut found.entry).await?;
        let mut request =
            Request::change("PUT", found.entry.uri.clone(), "{registration_client_uri}")
                .header("Authorization", bearer(&found.entry.token));
        request.body = Some(found.there.body(members)?);
        let what = request.what();
        let answer = self.send(request).await?;
        let read = Registration::read(&what, &answer.body);
        let news = read.as_ref().is_ok_and(|now| Self::adopt(&mut found.entry, now));
        let accepted = (200..300).contains(&answer.status);
        if news || accepted {
            found.entry.phase = Phase::Settled;
            keyring.keep(&tenant, &mut found.entry).await?;
        }
        if !accepted {
            let names_scope = members.get("scope") != found.there.members.get("scope");
            return Err(match answer.status {
                401 => lost(&what, &found.entry),
                403 if names_scope => refuse(
                    &what,
                    Refusal::Forbidden,
                    "status 403: the server does not let a registration name these scopes. Its \
                     administrator gives them, or lets registrations do so; the client can still be managed",
                ),
                _ => refused(&what, &answer, true),
            });
        }
        let secret = read?.secret;
        let there = self.look(&mut found.entry).await.map_err(|error| error.after_change(&what))?;
        found.there = there;
        if found.there.secret.is_none() {
            found.there.secret = secret;
        }
        Ok(())
    }

    /// What a create has to end in: no way to sign in and none to get a token. A server that gave one
    /// is told again; if that does not help, the client is deleted again.
    async fn park(&self, found: &mut Found) -> Result<()> {
        if found.is_bare() {
            return Ok(());
        }
        let mut members = found.there.members.clone();
        members.insert("token_endpoint_auth_method".into(), json!("none"));
        members.remove("scope");
        members.remove("jwks");
        let told = self.put(found, members).await;
        if told.is_ok() && found.is_bare() {
            return Ok(());
        }
        let why =
            "the server did not take the client parked: it has a way to sign in or to get a token";
        let what = format!("{CLIENT} {:?}", found.entry.name);
        match self.remove(found).await {
            Ok(()) => Err(refuse(&what, Refusal::Invalid, format!("{why}. It was deleted again"))),
            Err(error) => Err(unexpected(
                &what,
                format!(
                    "{why}, and cannot be deleted ({error}). The next create goes on with client {:?}",
                    found.entry.client_id
                ),
            )),
        }
    }

    /// Deletes the client and forgets its token.
    async fn remove(&self, found: &mut Found) -> Result<()> {
        let tenant = self.metadata().await?.issuer.clone();
        let keyring = self.keyring()?.clone();
        found.entry.phase = Phase::Changing;
        keyring.write(&tenant, &mut found.entry).await?;
        let request =
            Request::change("DELETE", found.entry.uri.clone(), "{registration_client_uri}")
                .header("Authorization", bearer(&found.entry.token));
        let what = request.what();
        let answer = self.send(request).await?;
        // Anything but the server's own yes is no proof: a token that is refused tells nothing.
        if !(200..300).contains(&answer.status) {
            return Err(refused(&what, &answer, true));
        }
        found.entry.phase = Phase::Deleted;
        found.entry.token = Secret::new("");
        found.entry.secret = None;
        keyring.keep(&tenant, &mut found.entry).await
    }

    /// Ends a create: parked, and whole in the keyring.
    async fn finish(&self, mut found: Found, new: &NewIntegration) -> Result<ObservedIntegration> {
        self.park(&mut found).await?;
        if found.entry.turns {
            // Every plan looks, and would have to write.
            let gone = self.remove(&mut found).await;
            return Err(unexpected(
                "GET {registration_client_uri}",
                match gone {
                    Ok(()) => "the server changes a client's registration token with every look at it, so that \
                               a plan could change nothing and lose everything: such a server is not \
                               supported. The client was deleted again"
                        .to_owned(),
                    Err(error) => format!(
                        "the server changes a client's registration token with every look at it: such a \
                         server is not supported, and client {:?} cannot be deleted: {error}",
                        found.entry.client_id
                    ),
                },
            ));
        }
        if found.entry.wanted.record != new.record {
            found.entry.wanted.record = new.record.clone();
            let tenant = &self.metadata().await?.issuer;
            self.keyring()?.write(tenant, &mut found.entry).await?;
        }
        Ok(found.observed())
    }

    async fn token_request(
        &self,
        found: &ObjectRef,
        credential_type: &str,
        secret: &Secret,
        scopes: Option<&str>,
        kid: &str,
    ) -> Result<(String, Answer)> {
        let metadata = self.metadata().await?;
        let mut request =
            Request::change("POST", metadata.token_endpoint.clone(), "{token_endpoint}");
        request.effect = Effect::SignIn;
        request.fresh_connection = true;
        let what = request.what();
        let mut fields = vec![("grant_type", "client_credentials")];
        fields.extend(scopes.map(|scopes| ("scope", scopes)));
        let request =
            self.authenticate(metadata, request, &fields, found, credential_type, secret, kid)?;
        Ok((what, self.send(request).await?))
    }

    /// Ends a token that a sign-in minted. Whether it is over: a server that is asked afterwards and
    /// still calls it active has only said so.
    async fn revoke(
        &self,
        object: &ObjectRef,
        credential_type: &str,
        secret: &Secret,
        kid: &str,
        minted: &Secret,
    ) -> Result<bool> {
        let metadata = self.metadata().await?;
        let Some(endpoint) = &metadata.revocation_endpoint else { return Ok(false) };
        let ask = |endpoint: &String, template| {
            let request = Request {
                effect: Effect::SignIn,
                ..Request::change("POST", endpoint.clone(), template)
            };
            let fields = [("token", minted.expose()), ("token_type_hint", "access_token")];
            self.authenticate(metadata, request, &fields, object, credential_type, secret, kid)
        };
        let revoked = self.send(ask(endpoint, "{revocation_endpoint}")?).await?;
        if !(200..300).contains(&revoked.status) {
            return Ok(false);
        }
        let Some(endpoint) = &metadata.introspection_endpoint else { return Ok(true) };
        #[derive(serde::Deserialize)]
        struct Known {
            active: bool,
        }
        // A client that may not ask (RFC 7662 leaves it to the server) learns nothing against it.
        let asked = self.send(ask(endpoint, "{introspection_endpoint}")?).await;
        let known = asked.ok().filter(|answer| answer.status == 200);
        let known = known.and_then(|answer| parse::<Known>("introspection", &answer.body).ok());
        Ok(!known.is_some_and(|known| known.active))
    }

    /// Remembers how long tokens of a client live, for what remains of those of others.
    async fn remember_life(&self, object: &ObjectRef, life: i64) -> Result<()> {
        let _held = self.hold(&object.key).await;
        match self.entry(object).await? {
            Some(mut entry) if entry.token_life != Some(life) && entry.phase != Phase::Deleted => {
                entry.token_life = Some(life);
                let tenant = &self.metadata().await?.issuer;
                self.keyring()?.write(tenant, &mut entry).await
            }
            _ => Ok(()),
        }
    }

    /// Adds a client's own authentication to a form.
    #[expect(clippy::too_many_arguments, reason = "whom, how, with what, and for what")]
    fn authenticate(
        &self,
        metadata: &Metadata,
        mut request: Request,
        fields: &[(&str, &str)],
        object: &ObjectRef,
        credential_type: &str,
        secret: &Secret,
        kid: &str,
    ) -> Result<Request> {
        if credential_type == CLIENT_SECRET {
            request.body = Some(form(fields));
            return Ok(request.header("Authorization", basic(&object.key, secret)));
        }
        // The issuer names the server whichever endpoint is asked, written as the server writes it.
        let signed = key::assertion(secret, kid, &object.key, &metadata.issuer, self.clock.now())?;
        let mut fields = fields.to_vec();
        fields.push(("client_id", &object.key));
        fields.push((
            "client_assertion_type",
            "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        ));
        fields.push(("client_assertion", signed.expose()));
        request.body = Some(form(&fields));
        Ok(request)
    }
}

/// Grant types follow from what is there: some only with a scope, a credential and the switch on.
fn close_or_open(entry: &Entry, members: &mut Map<String, Value>) {
    let method =
        members.get("token_endpoint_auth_method").and_then(Value::as_str).unwrap_or_default();
    let keys = members.get("jwks").and_then(|jwks| jwks.get("keys")).and_then(Value::as_array);
    let credential = match method {
        "none" => false,
        "private_key_jwt" => {
            keys.is_some_and(|keys| !keys.is_empty()) || members.contains_key("jwks_uri")
        }
        _ => true,
    };
    let scoped =
        members.get("scope").and_then(Value::as_str).is_some_and(|text| !text.trim().is_empty());
    let open = credential && scoped && entry.wanted.enabled;
    let grants = if open { entry.wanted.grants.clone() } else { BTreeSet::new() };
    let code = grants.contains("authorization_code");
    members.insert("response_types".into(), texts(code.then(|| "code".to_owned())));
    members.insert("grant_types".into(), texts(grants));
}

fn bearer(token: &Secret) -> Secret {
    Secret::new(format!("Bearer {}", token.expose().trim()))
}

/// RFC 6749 §2.3.1: both parts form-encoded before they are joined.
fn basic(client_id: &str, secret: &Secret) -> Secret {
    use base64::{Engine, engine::general_purpose::STANDARD};
    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
    const KEPT: &percent_encoding::AsciiSet =
        &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
    let encode = |text: &str| utf8_percent_encode(text, KEPT).to_string();
    let pair =
        zeroize::Zeroizing::new(format!("{}:{}", encode(client_id), encode(secret.expose())));
    Secret::new(format!("Basic {}", STANDARD.encode(pair.as_bytes())))
}

fn apply(found: &mut Found, change: &Change) -> Result<Map<String, Value>> {
    let mut members = found.there.members.clone();
    if let Some(name) = &change.name {
        members.insert("client_name".to_owned(), Value::String(name.clone()));
    }
    if let Some(settings) = &change.settings {
        found.entry.wanted.grants = setting(settings, "grant_types");
        for name in ["redirect_uris", "post_logout_redirect_uris"] {
            members.insert(name.to_owned(), texts(setting(settings, name)));
        }
    }
    if let Some(record) = &change.record {
        found.entry.wanted.record = record.clone();
    }
    if let Some(enabled) = change.enabled {
        found.entry.wanted.enabled = enabled;
    }
    if let Some(scopes) = &change.scopes {
        if scopes.iter().any(|one| one.until.is_some()) {
            return unsupported("oauth", "end a scope by itself");
        }
        if scopes.iter().any(|one| one.scope.as_str() == scope::UNLIMITED) {
            return Err(refuse(
                "modify",
                Refusal::Invalid,
                "\"*\" is never granted, only taken away",
            ));
        }
        let text: Vec<&str> = scopes.iter().map(|one| one.scope.as_str()).collect();
        match text.is_empty() {
            // Servers refuse an empty text; without grant types its absence gives nothing.
            true => members.remove("scope"),
            false => members.insert("scope".into(), Value::String(text.join(" "))),
        };
    }
    Ok(members)
}

#[async_trait]
impl Connector for Clients {
    fn platform(&self) -> &'static dyn Platform {
        self.platform
    }

    async fn tenant(&self) -> Result<String> {
        Ok(self.metadata().await?.issuer.clone())
    }

    async fn list(&self, _: Want) -> Result<Observation> {
        let requested_at = self.clock.now();
        let tenant = self.tenant().await?;
        let (entries, broken) = self.keyring()?.all().await?;
        let mut gaps = vec![Gap {
            extent: GapExtent::Unlistable,
            cause: "OAuth has no listing of clients: only those in custody are known".into(),
        }];
        gaps.extend(
            broken
                .into_iter()
                .map(|cause| Gap { extent: GapExtent::Page("custody".into()), cause }),
        );
        let mut integrations = Vec::new();
        for entry in entries {
            if entry.client_id.is_empty() {
                if entry.phase == Phase::Creating {
                    gaps.push(Gap {
                        extent: GapExtent::Object(entry.name),
                        cause: "a registration was begun and its answer is lost: if the server made a client, \
                                it is parked, and nobody can find it"
                            .into(),
                    });
                }
                continue;
            }
            let object = ObjectRef {
                kind: CLIENT.to_owned(),
                key: entry.client_id.clone(),
                vendor_id: None,
                name: entry.name.clone(),
            };
            let _held = self.hold(&object.key).await;
            match self.found(&object).await {
                Ok(Some(found)) => integrations.push(found.observed()),
                Ok(None) => {}
                Err(error) => gaps.push(Gap {
                    extent: GapExtent::Object(entry.client_id),
                    cause: error.to_string(),
                }),
            }
        }
        integrations.sort_by(|a, b| (&a.kind, &a.key).cmp(&(&b.kind, &b.key)));
        Ok(Observation { tenant, requested_at, integrations, gaps })
    }

    async fn read(&self, object: &ObjectRef, _: Want) -> Result<Option<ObservedIntegration>> {
        let _held = self.hold(&object.key).await;
        Ok(self.found(object).await?.map(|found| found.observed()))
    }

    async fn create(&self, new: &NewIntegration) -> Result<ObservedIntegration> {
        let metadata = self.metadata().await?.clone();
        let endpoint = metadata.registration_endpoint.clone().ok_or(Error::Unsupported {
            platform: "oauth",
            what: "register clients: the server's metadata names no registration endpoint",
        })?;
        let _held = self.hold(&format!("new {}", new.name)).await;
        let keyring = self.keyring()?.clone();
        let tenant = metadata.issuer.clone();
        let what = format!("{CLIENT} {:?}", new.name);
        let grants = setting(&new.settings, "grant_types");
        // Unfinished until it is known to be parked: a create that fails in between is gone on with.
        let started = Record { unfinished: true, ..new.record.clone() };
        let mut entry = Entry::new(&new.name, grants, started);
        if let Some(there) = keyring.read(&tenant, &new.name).await? {
            let record = &there.wanted.record;
            let ours = record.realm.is_some() && record.realm == new.record.realm;
            match there.phase {
                Phase::Deleted | Phase::Creating => entry = entry.over(&there),
                _ if ours && record.unfinished => {
                    let object = ObjectRef {
                        kind: CLIENT.to_owned(),
                        key: there.client_id.clone(),
                        vendor_id: None,
                        name: new.name.clone(),
                    };
                    let _held = self.hold(&object.key).await;
                    let mut found = self.existing(&object).await?;
                    self.park(&mut found).await?;
                    let settings = Some(new.settings.clone());
                    let members = apply(&mut found, &Change { settings, ..Change::default() })?;
                    self.put(&mut found, members).await?;
                    return self.finish(found, new).await;
                }
                _ => {
                    return Err(refuse(
                        &what,
                        Refusal::Conflict,
                        "custody has a client of this name already",
                    ));
                }
            }
        }
        keyring.write(&tenant, &mut entry).await?;
        let mut members = Map::new();
        members.insert("client_name".into(), Value::String(new.name.clone()));
        // Without a way to sign in and to get a token, no secret is born and nothing is given away.
        members.insert("token_endpoint_auth_method".into(), json!("none"));
        for name in ["redirect_uris", "post_logout_redirect_uris"] {
            let uris = setting(&new.settings, name);
            if name == "redirect_uris" || !uris.is_empty() {
                members.insert(name.into(), texts(uris));
            }
        }
        let owners = [&new.record.business_owner, &new.record.technical_owner];
        let contacts: Vec<String> =
            owners.into_iter().flatten().filter_map(|owner| owner.email.clone()).collect();
        if !contacts.is_empty() {
            members.insert("contacts".into(), texts(contacts));
        }
        close_or_open(&entry, &mut members);
        let mut request = Request::change("POST", endpoint, "{registration_endpoint}")
            .json(&Value::Object(members));
        if let Some(initial) = &self.initial {
            request = request.header("Authorization", bearer(initial));
        }
        let call = request.what();
        let answer = self.send(request).await?;
        if !(200..300).contains(&answer.status) {
            return Err(refused(&call, &answer, true));
        }
        let there = Registration::read(&call, &answer.body)?;
        let client_id = there.text("client_id").unwrap_or_default().to_owned();
        if there.token.is_none() || there.uri.is_none() {
            return Err(unexpected(
                &call,
                format!(
                    "registration {client_id:?} can be managed by nobody: the server does not speak RFC 7592. \
                     Its administrator can delete it"
                ),
            ));
        }
        Self::adopt(&mut entry, &there);
        entry.client_id = client_id;
        entry.phase = Phase::Settled;
        keyring.keep(&tenant, &mut entry).await?;
        let there = self.look(&mut entry).await.map_err(|error| error.after_change(&call))?;
        if entry.client_id.is_empty() {
            entry.client_id = there.text("client_id").unwrap_or_default().to_owned();
            keyring.keep(&tenant, &mut entry).await?;
        }
        self.finish(Found::new(entry, there), new).await
    }

    async fn modify(&self, object: &ObjectRef, change: &Change) -> Result<ObservedIntegration> {
        let _held = self.hold(&object.key).await;
        let mut found = self.existing(object).await?;
        let members = apply(&mut found, change)?;
        self.put(&mut found, members).await?;
        let now = found.observed();
        for (name, value) in change.settings.iter().flat_map(|settings| &settings.0) {
            let none = matches!(value, Setting::Texts(all) if all.is_empty());
            let stands = now.settings.0.get(name);
            if stands != Some(value) && !(none && stands.is_none()) {
                return Err(unexpected(
                    "modify",
                    format!("the server took the change and {CLIENT}.{name} is {stands:?}"),
                ));
            }
        }
        if let Some(record) = &change.record {
            let tenant = &self.metadata().await?.issuer;
            let stands = self.keyring()?.read(tenant, &found.entry.name).await?;
            if stands.as_ref().map(|entry| &entry.wanted.record) != Some(record) {
                return Err(unexpected(
                    "modify",
                    "somebody else wrote the record at the same time",
                ));
            }
        }
        if let Some(scopes) = &change.scopes
            && *scopes != now.scopes
        {
            return Err(unexpected(
                "modify",
                format!(
                    "the server took the change and other scopes are in force: {:?}",
                    now.scopes.iter().map(|one| one.scope.as_str()).collect::<Vec<_>>()
                ),
            ));
        }
        if change.enabled.is_some_and(|enabled| enabled != now.enabled) {
            return Err(unexpected(
                "modify",
                "the server took the switch and it does not stand so",
            ));
        }
        Ok(now)
    }

    async fn delete(&self, object: &ObjectRef) -> Result<Ended> {
        let _held = self.hold(&object.key).await;
        let Some(mut found) = self.found(object).await? else { return Ok(Ended::AlreadyGone) };
        // Closed first: whatever becomes of the answer to the next call, no token is got from here on.
        if !found.there.grants().is_empty() {
            found.entry.wanted.enabled = false;
            let members = found.there.members.clone();
            match self.put(&mut found, members).await {
                // It cannot be closed; it can still be deleted.
                Err(Error::Refused { .. } | Error::UnexpectedAnswer { .. }) => {}
                other => other?,
            }
        }
        self.remove(&mut found).await?;
        Ok(Ended::Now)
    }

    async fn credentials(&self, object: &ObjectRef) -> Result<CredentialListing> {
        let requested_at = self.clock.now();
        let found = self.seen(object).await?;
        // Keys behind an address of somebody else's are not in the registration.
        let complete = found.there.text("jwks_uri").is_none();
        Ok(CredentialListing { credentials: found.credentials(), complete, requested_at })
    }

    async fn promises(&self, credential_type: &str) -> Result<Vec<Promise>> {
        let metadata = self.metadata().await?;
        let has = |all: &Option<Vec<String>>, wanted: &str| {
            all.as_ref().is_none_or(|all| all.iter().any(|one| one == wanted))
        };
        let profiles: &'static [connector::Profile] = match credential_type {
            PRIVATE_KEY
                if has(&metadata.token_endpoint_auth_methods_supported, "private_key_jwt")
                    && has(&metadata.token_endpoint_auth_signing_alg_values_supported, "ES256") =>
            {
                &KEY_PROFILES
            }
            CLIENT_SECRET
                if has(&metadata.token_endpoint_auth_methods_supported, "client_secret_basic") =>
            {
                &SECRET_PROFILES
            }
            _ => &[],
        };
        Ok(profiles.iter().map(|profile| Promise { profile, because: None }).collect())
    }

    fn choose_secret(&self, credential_type: &str, _: &Settings, _: &str) -> Result<Secret> {
        match credential_type {
            PRIVATE_KEY => key::generate(),
            _ => unsupported("oauth", "take a client secret of ours"),
        }
    }

    async fn issue(&self, object: &ObjectRef, request: IssueRequest<'_>) -> Result<Issued> {
        if request.expires_at.is_some_and(|end| end <= self.clock.now()) {
            return Err(refuse("issue", Refusal::Invalid, "a credential cannot end in the past"));
        }
        let _held = self.hold(&object.key).await;
        let mut found = self.existing(object).await?;
        let mut members = found.there.members.clone();
        let issued = |key_id: &str, secret: Option<Secret>, already_there| Issued {
            key_id: key_id.to_owned(),
            secret,
            issued_at: None,
            expires_at: None,
            already_there,
        };
        match (request.profile, request.secret) {
            (ADD_OURS, Some(secret)) => {
                let jwk = key::public(secret, request.marker)?;
                let mut keys = found.there.keys();
                if let Some(there) = keys.iter().find(|one| key::same(one, &jwk)) {
                    return Ok(issued(&key::id_of(there), None, true));
                }
                if found.there.method().starts_with("client_secret") {
                    return Err(refuse(
                        "issue",
                        Refusal::Conflict,
                        "the client signs in with a client secret; end that before it gets keys",
                    ));
                }
                keys.push(jwk);
                let keys: Vec<Value> = keys.into_iter().map(Value::Object).collect();
                members.insert("jwks".into(), json!({ "keys": keys }));
                members.insert("token_endpoint_auth_method".into(), json!("private_key_jwt"));
                members.insert("token_endpoint_auth_signing_alg".into(), json!("ES256"));
                self.put(&mut found, members).await?;
                let there = found.there.keys().iter().any(|one| key::id_of(one) == request.marker);
                match there {
                    true => Ok(issued(request.marker, None, false)),
                    false => {
                        Err(unexpected("issue", "the server took the key and does not show it"))
                    }
                }
            }
            (FIRST_ONLY, None) => {
                // An answer was lost: the registration still shows what was made.
                if found.there.method().starts_with("client_secret")
                    && let Some(secret) = found.there.secret.take()
                {
                    return Ok(issued(THE_SECRET, Some(secret), true));
                }
                if found.there.method() != "none" {
                    return Err(Error::Unsupported {
                        platform: "oauth",
                        what: "issue a second client secret: the server keeps the first for ever. Replace \
                               the integration, or use a private key",
                    });
                }
                members.insert("token_endpoint_auth_method".into(), json!("client_secret_basic"));
                self.put(&mut found, members).await?;
                let secret = found.there.secret.take();
                match secret {
                    Some(secret) => Ok(issued(THE_SECRET, Some(secret), false)),
                    None => Err(unexpected("issue", "the server made no client secret")),
                }
            }
            _ => unsupported("oauth", "issue in this way"),
        }
    }

    async fn find(
        &self,
        object: &ObjectRef,
        credential_type: &str,
        secret: &Secret,
    ) -> Result<Option<ObservedCredential>> {
        let found = self.seen(object).await?;
        let id = match credential_type {
            PRIVATE_KEY => {
                let jwk = key::public(secret, "")?;
                found.there.keys().iter().find(|one| key::same(one, &jwk)).map(key::id_of)
            }
            _ => (found.secret().as_ref() == Some(secret)).then(|| THE_SECRET.to_owned()),
        };
        let all = found.credentials();
        Ok(id.and_then(|id| all.into_iter().find(|one| one.key_id == id)))
    }

    async fn end(&self, object: &ObjectRef, key_id: &str) -> Result<Ended> {
        let _held = self.hold(&object.key).await;
        let Some(mut found) = self.found(object).await? else { return Ok(Ended::AlreadyGone) };
        if !found.credentials().iter().any(|one| one.key_id == key_id) {
            return Ok(Ended::AlreadyGone);
        }
        let mut members = found.there.members.clone();
        let keys: Vec<Value> = found
            .there
            .keys()
            .into_iter()
            .filter(|one| key::id_of(one) != key_id)
            .map(Value::Object)
            .collect();
        if key_id == THE_SECRET || keys.is_empty() {
            members.insert("token_endpoint_auth_method".into(), json!("none"));
            members.remove("token_endpoint_auth_signing_alg");
            members.remove("jwks");
        }
        if key_id != THE_SECRET && !keys.is_empty() {
            members.insert("jwks".into(), json!({ "keys": keys }));
        }
        self.put(&mut found, members).await?;
        match found.credentials().iter().any(|one| one.key_id == key_id) {
            false => Ok(Ended::Now),
            true => Err(unexpected("end", "the server took the change and still shows it")),
        }
    }

    async fn sweep(&self, object: &ObjectRef, _: Option<&str>) -> Result<Children> {
        // Tokens that others minted cannot be enumerated. How long one of ours was to live is known.
        let life = self.entry(object).await?.and_then(|entry| entry.token_life);
        let end = life.map(jiff::SignedDuration::from_secs);
        let end = end.and_then(|life| self.clock.now().checked_add(life).ok());
        Ok(end.map_or(Children::Unknown, |end| Children::Residual(Some(end))))
    }

    async fn probe(
        &self,
        object: &ObjectRef,
        credential_type: &str,
        secret: &Secret,
    ) -> Result<Probe> {
        let found = self.seen(object).await?;
        let scope = found.there.text("scope").and_then(|text| text.split(' ').next());
        // Under the id that it has or had there: a key that is gone has the one that it is known by.
        let kid = match credential_type {
            PRIVATE_KEY => {
                let jwk = key::public(secret, "")?;
                let keys = found.there.keys();
                let there = keys.iter().find(|one| key::same(one, &jwk));
                there.map_or_else(|| "unknown".to_owned(), key::id_of)
            }
            _ => String::new(),
        };
        let (what, answer) =
            self.token_request(object, credential_type, secret, scope, &kid).await?;
        #[derive(serde::Deserialize)]
        struct Token {
            access_token: String,
            #[serde(default)]
            expires_in: Option<i64>,
        }
        match (answer.status, code(&answer.body)) {
            (200, _) => {}
            // Closed for want of a scope, the client gets no token whoever asks. Where one that nobody
            // issued is refused in another way, this one did sign in (RFC 6749 §5.2).
            (400 | 401, Some(said))
                if said != "invalid_client" && found.entry.wanted.enabled && found.is_closed() =>
            {
                let random = self.random_like(credential_type, secret)?;
                let (_, control) =
                    self.token_request(object, credential_type, &random, scope, &kid).await?;
                return Ok(match code(&control.body) {
                    Some(other) if other != said => {
                        Probe::Accepted { residual: None, scopes: None }
                    }
                    _ => Probe::Refused { class: format!("{} {said}", answer.status) },
                });
            }
            (
                400 | 401,
                Some(
                    said @ ("invalid_client"
                    | "unauthorized_client"
                    | "invalid_grant"
                    | "invalid_request"),
                ),
            ) => {
                return Ok(Probe::Refused { class: format!("{} {said}", answer.status) });
            }
            // It signed in, and asked for what it may not have.
            (400, Some("invalid_scope")) => {
                return Ok(Probe::Accepted { residual: None, scopes: None });
            }
            _ => return Err(refused(&what, &answer, false)),
        }
        let token: Token = parse(&what, &answer.body)?;
        let minted = Secret::new(token.access_token);
        let seconds = token.expires_in.unwrap_or(3600);
        let mut residual =
            self.clock.now().checked_add(jiff::SignedDuration::from_secs(seconds)).ok();
        if self.revoke(object, credential_type, secret, &kid, &minted).await.unwrap_or(false) {
            residual = None;
        }
        if let Some(life) = token.expires_in {
            // What is lost with it is a statement about the time after an end.
            let _ = self.remember_life(object, life).await;
        }
        Ok(Probe::Accepted { residual, scopes: None })
    }

    fn random_like(&self, credential_type: &str, secret: &Secret) -> Result<Secret> {
        if credential_type == PRIVATE_KEY {
            return key::generate();
        }
        const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        let random = SystemRandom::new();
        let mut text = String::with_capacity(secret.expose().len());
        for c in secret.expose().chars() {
            if !c.is_ascii_alphanumeric() {
                text.push(c);
                continue;
            }
            let mut bytes = [0u8; 8];
            random
                .fill(&mut bytes)
                .map_err(|_| Error::Configuration("this machine gives no random numbers".into()))?;
            let at = u64::from_le_bytes(bytes) % LETTERS.len() as u64;
            text.push(char::from(LETTERS[usize::try_from(at).unwrap_or(0)]));
        }
        Ok(Secret::new(text))
    }

    async fn notes(&self) -> Vec<String> {
        let mut notes = vec![
            "Clients cannot be listed: one that somebody else registered is not found, and a registration \
             whose answer is lost leaves a parked client that nobody can find."
                .to_owned(),
            "Tokens that a client has got live until their own end, also after it is switched off or deleted."
                .to_owned(),
        ];
        match self.metadata().await {
            Ok(metadata) => {
                if metadata.registration_endpoint.is_none() {
                    notes.push(
                        "The server offers no registration: clients cannot be made.".to_owned(),
                    );
                }
                if metadata.revocation_endpoint.is_none() {
                    notes.push(
                        "The server offers no revocation: a token from verifying a credential lives until its \
                         end."
                            .to_owned(),
                    );
                }
            }
            Err(error) => notes.push(format!("The server's metadata cannot be read: {error}.")),
        }
        if let Some(keyring) = &self.keyring
            && let Ok((entries, _)) = keyring.all().await
        {
            for entry in entries.into_iter().filter(|entry| entry.turns) {
                notes.push(format!(
                    "The server changed the registration token of client {:?} when it was only looked at: every \
                     plan has to write the new one to custody, or its management is lost. Such a server is not \
                     supported.",
                    entry.client_id
                ));
            }
        }
        notes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_looked_for_between_host_and_path() {
        let at = |issuer: &str| places(issuer).into_iter().map(|(at, _)| at).collect::<Vec<_>>();
        assert_eq!(
            at("https://login.acme.example/"),
            [
                "https://login.acme.example/.well-known/oauth-authorization-server",
                "https://login.acme.example/.well-known/openid-configuration",
            ]
        );
        assert_eq!(
            at("https://login.acme.example/realms/a/"),
            [
                "https://login.acme.example/.well-known/oauth-authorization-server/realms/a",
                "https://login.acme.example/realms/a/.well-known/openid-configuration",
                "https://login.acme.example/.well-known/openid-configuration/realms/a",
            ]
        );
    }

    #[test]
    fn another_name_changes_the_client_that_is_there() {
        let body = br#"{"client_id":"c1","client_name":"old","grant_types":[]}"#;
        let there = Registration::read("a test", body).unwrap();
        let entry = Entry::new("old", BTreeSet::new(), domain::Record::default());
        let mut found = Found::new(entry, there);
        let change = Change { name: Some("new".into()), ..Change::default() };
        let members = apply(&mut found, &change).unwrap();
        assert_eq!((&members["client_name"], &members["client_id"]), (&json!("new"), &json!("c1")));
        // The document stays where it is; a client is found by its id from then on.
        assert_eq!(found.entry.name, "old");
    }

    #[test]
    fn a_client_is_open_only_with_scope_credential_and_switch() {
        let grants: BTreeSet<String> = ["client_credentials".to_owned()].into();
        let mut entry = Entry::new("x", grants, domain::Record::default());
        let open = |entry: &Entry, scope: Option<&str>, method: &str| {
            let mut members = Map::new();
            members.insert("token_endpoint_auth_method".into(), json!(method));
            if let Some(scope) = scope {
                members.insert("scope".into(), json!(scope));
            }
            close_or_open(entry, &mut members);
            members["grant_types"] != json!([])
        };
        assert!(open(&entry, Some("a"), "client_secret_basic"));
        assert!(!open(&entry, None, "client_secret_basic"));
        assert!(!open(&entry, Some("a"), "none"));
        assert!(!open(&entry, Some("a"), "private_key_jwt"), "no key");
        entry.wanted.enabled = false;
        assert!(!open(&entry, Some("a"), "client_secret_basic"));
    }
}
