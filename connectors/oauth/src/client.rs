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
    Scope, Secret, Settings, settings::Setting,
};
use ring::rand::{SecureRandom, SystemRandom};
use serde_json::{Map, Value, json};
use tokio::sync::OnceCell;

use crate::{
    api::{Metadata, Registration, code, form, parse, refused},
    key,
    keyring::{Entry, Keyring, Phase},
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

/// A client as it was read, with its document.
struct Found {
    entry: Entry,
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

impl Found {
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
            None if !self.there.texts("grant_types").is_empty() => {
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
        let live: BTreeSet<String> = self.there.texts("grant_types").into_iter().collect();
        let scopes = self.scopes();
        let should_be_open = self.has_credential() && !scopes.is_empty();
        // Closed for want of scopes or a credential, the wanted grant types are in the keyring.
        let grants = if live.is_empty() { self.entry.grants.clone() } else { live.clone() };
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
            record: Some(self.entry.record.clone()),
            enabled: if should_be_open { !live.is_empty() } else { self.entry.enabled },
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
            address: address.trim_end_matches('/').to_owned(),
            initial,
            keyring,
            transport,
            clock,
            metadata: OnceCell::new(),
            locks: Mutex::default(),
        }
    }

    fn lock(&self, name: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut locks = self.locks.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        locks.entry(name.to_owned()).or_default().clone()
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
                for (path, template) in [
                    (
                        ".well-known/oauth-authorization-server",
                        ".well-known/oauth-authorization-server",
                    ),
                    (".well-known/openid-configuration", ".well-known/openid-configuration"),
                ] {
                    let request = Request { shared: true, ..Request::get(path, template) };
                    let what = request.what();
                    let answer = self.send(request).await?;
                    if answer.status != 200 {
                        last = Some(refused(&what, &answer, false));
                        continue;
                    }
                    let found: Metadata = parse(&what, &answer.body)?;
                    let issuer = found.issuer.trim_end_matches('/');
                    // RFC 8414 §3.3: another issuer's metadata is not to be used.
                    if issuer != self.address {
                        return Err(Error::Tenant {
                            connection: self.connection.clone(),
                            expected: self.address.clone(),
                            found: issuer.to_owned(),
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

    async fn get(&self, entry: &Entry) -> Result<Registration> {
        let request = Request::get(entry.uri.clone(), "{registration_client_uri}")
            .header("Authorization", bearer(&entry.token));
        let what = request.what();
        let answer = self.send(request).await?;
        if answer.status != 200 {
            return Err(match answer.status {
                401 | 403 => refuse(
                    &what,
                    Refusal::Unauthorized,
                    format!(
                        "status {}: the registration token of client {:?} is not accepted: the client was \
                         deleted, or its management is lost. Ask the server's administrator for a new \
                         token, or register a successor",
                        answer.status, entry.client_id
                    ),
                ),
                _ => refused(&what, &answer, false),
            });
        }
        let found = Registration::read(&what, &answer.body)?;
        match found.text("client_id") == Some(entry.client_id.as_str()) {
            true => Ok(found),
            false => Err(unexpected(&what, "another client answers under this registration")),
        }
    }

    async fn find(&self, object: &ObjectRef) -> Result<Option<Found>> {
        let Some(mut entry) = self.entry(object).await? else {
            return Err(Error::Configuration(format!(
                "the keyring of connection {:?} has no document for client {:?}: without its \
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
        let there = match self.get(&entry).await {
            // Somebody else changed it between our two looks: the document has the new token.
            Err(error) if error.refusal() == Some(Refusal::Unauthorized) => {
                match self.entry(object).await? {
                    Some(newer) if newer.token != entry.token => {
                        entry = newer;
                        self.get(&entry).await?
                    }
                    _ => return Err(error),
                }
            }
            other => other?,
        };
        // A server may hand out another token with a look (RFC 7592 §3): then it is the truth.
        if let Some(token) = there.token.as_ref().filter(|token| **token != entry.token) {
            entry.token = token.duplicate();
            let tenant = &self.metadata().await?.issuer;
            self.keyring()?.keep(tenant, &mut entry).await?;
        }
        Ok(Some(Found { entry, there }))
    }

    async fn existing(&self, object: &ObjectRef) -> Result<Found> {
        let found = self.find(object).await?;
        found.ok_or_else(|| refuse("client", Refusal::NotFound, "we deleted this client"))
    }

    /// Replaces the whole object: what is wanted is durable before, the new token right after.
    async fn put(&self, found: &mut Found, mut members: Map<String, Value>) -> Result<()> {
        let tenant = self.metadata().await?.issuer.clone();
        let keyring = self.keyring()?.clone();
        close_or_open(&found.entry, &mut members);
        if members == found.there.members {
            found.entry.phase = Phase::Settled;
            return keyring.write(&tenant, &mut found.entry).await;
        }
        found.entry.phase = Phase::Changing;
        keyring.write(&tenant, &mut found.entry).await?;
        let mut request =
            Request::change("PUT", found.entry.uri.clone(), "{registration_client_uri}")
                .header("Authorization", bearer(&found.entry.token));
        request.body = Some(found.there.body(&members)?);
        let what = request.what();
        let answer = self.send(request).await?;
        if !(200..300).contains(&answer.status) {
            return Err(refused(&what, &answer, true));
        }
        let now = Registration::read(&what, &answer.body)?;
        if let Some(token) = &now.token {
            found.entry.token = token.duplicate();
        }
        if let Some(uri) = &now.uri {
            found.entry.uri = uri.clone();
        }
        found.entry.phase = Phase::Settled;
        keyring.keep(&tenant, &mut found.entry).await?;
        // What is in force is asked anew: some servers answer what was sent.
        let secret = now.secret;
        found.there = self.get(&found.entry).await?;
        if found.there.secret.is_none() {
            found.there.secret = secret;
        }
        Ok(())
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
        let request = self.authenticate(request, &fields, found, credential_type, secret, kid)?;
        Ok((what, self.send(request).await?))
    }

    /// Adds a client's own authentication to a form.
    fn authenticate(
        &self,
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
        // The issuer names the server whichever endpoint is asked.
        let signed = key::assertion(secret, kid, &object.key, &self.address, self.clock.now())?;
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
    let open = credential && scoped && entry.enabled;
    let grants = if open { entry.grants.clone() } else { BTreeSet::new() };
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
    if let Some(settings) = &change.settings {
        found.entry.grants = setting(settings, "grant_types");
        for name in ["redirect_uris", "post_logout_redirect_uris"] {
            members.insert(name.to_owned(), texts(setting(settings, name)));
        }
    }
    if let Some(record) = &change.record {
        found.entry.record = record.clone();
    }
    if let Some(enabled) = change.enabled {
        found.entry.enabled = enabled;
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
            cause: "OAuth has no listing of clients: only those in the keyring are known".into(),
        }];
        gaps.extend(
            broken
                .into_iter()
                .map(|cause| Gap { extent: GapExtent::Page("keyring".into()), cause }),
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
            match self.find(&object).await {
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
        Ok(self.find(object).await?.map(|found| found.observed()))
    }

    async fn create(&self, new: &NewIntegration) -> Result<ObservedIntegration> {
        let metadata = self.metadata().await?.clone();
        let endpoint = metadata.registration_endpoint.clone().ok_or(Error::Unsupported {
            platform: "oauth",
            what: "register clients: the server's metadata names no registration endpoint",
        })?;
        let lock = self.lock(&new.name);
        let _held = lock.lock().await;
        let keyring = self.keyring()?.clone();
        let tenant = metadata.issuer.clone();
        let what = format!("{CLIENT} {:?}", new.name);
        let grants = setting(&new.settings, "grant_types");
        let mut entry = Entry::new(&new.name, grants, new.record.clone());
        if let Some(there) = keyring.read(&tenant, &new.name).await? {
            let ours = there.record.realm.is_some() && there.record.realm == new.record.realm;
            match there.phase {
                Phase::Deleted | Phase::Creating => entry = entry.over(&there),
                _ if ours && there.record.unfinished => {
                    let object = ObjectRef {
                        kind: CLIENT.to_owned(),
                        key: there.client_id.clone(),
                        vendor_id: None,
                        name: new.name.clone(),
                    };
                    let mut found = self.existing(&object).await?;
                    let change = Change {
                        settings: Some(new.settings.clone()),
                        record: Some(new.record.clone()),
                        ..Change::default()
                    };
                    let members = apply(&mut found, &change)?;
                    self.put(&mut found, members).await?;
                    return Ok(found.observed());
                }
                _ => {
                    return Err(refuse(
                        &what,
                        Refusal::Conflict,
                        "the keyring has a client of this name already",
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
        let (Some(token), Some(uri)) = (&there.token, &there.uri) else {
            return Err(unexpected(
                &call,
                "a registration that nobody can manage: the server does not speak RFC 7592",
            ));
        };
        entry.client_id = there.text("client_id").unwrap_or_default().to_owned();
        entry.uri = uri.clone();
        entry.token = token.duplicate();
        entry.phase = Phase::Settled;
        keyring.keep(&tenant, &mut entry).await?;
        let parked = there.method() == "none" && there.texts("grant_types").is_empty();
        let there = self.get(&entry).await?;
        if !parked || there.secret.is_some() {
            return Err(unexpected(
                &what,
                "the server did not take it parked: it has a way to sign in or to get a token",
            ));
        }
        Ok(Found { entry, there }.observed())
    }

    async fn modify(&self, object: &ObjectRef, change: &Change) -> Result<ObservedIntegration> {
        let lock = self.lock(&object.name);
        let _held = lock.lock().await;
        let mut found = self.existing(object).await?;
        let members = apply(&mut found, change)?;
        self.put(&mut found, members).await?;
        let now = found.observed();
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
        let lock = self.lock(&object.name);
        let _held = lock.lock().await;
        let Some(mut found) = self.find(object).await? else { return Ok(Ended::AlreadyGone) };
        let tenant = self.tenant().await?;
        let keyring = self.keyring()?;
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
        keyring.keep(&tenant, &mut found.entry).await?;
        Ok(Ended::Now)
    }

    async fn credentials(&self, object: &ObjectRef) -> Result<CredentialListing> {
        let requested_at = self.clock.now();
        let found = self.existing(object).await?;
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
        let lock = self.lock(&object.name);
        let _held = lock.lock().await;
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
        let found = self.existing(object).await?;
        let id = match credential_type {
            PRIVATE_KEY => {
                let jwk = key::public(secret, "")?;
                found.there.keys().iter().find(|one| key::same(one, &jwk)).map(key::id_of)
            }
            _ => (found.there.secret.as_ref() == Some(secret)).then(|| THE_SECRET.to_owned()),
        };
        let all = found.credentials();
        Ok(id.and_then(|id| all.into_iter().find(|one| one.key_id == id)))
    }

    async fn end(&self, object: &ObjectRef, key_id: &str) -> Result<Ended> {
        let lock = self.lock(&object.name);
        let _held = lock.lock().await;
        let Some(mut found) = self.find(object).await? else { return Ok(Ended::AlreadyGone) };
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

    async fn sweep(&self, _: &ObjectRef, _: Option<&str>) -> Result<Children> {
        // Tokens that others minted cannot be enumerated, and how long they live is not told.
        Ok(Children::Unknown)
    }

    async fn probe(
        &self,
        object: &ObjectRef,
        credential_type: &str,
        secret: &Secret,
    ) -> Result<Probe> {
        let found = self.existing(object).await?;
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
                if said != "invalid_client" && found.entry.enabled && found.is_closed() =>
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
        let life = jiff::SignedDuration::from_secs(token.expires_in.unwrap_or(3600));
        let mut residual = self.clock.now().checked_add(life).ok();
        if let Some(endpoint) = &self.metadata().await?.revocation_endpoint {
            let mut request = Request::change("POST", endpoint.clone(), "{revocation_endpoint}");
            request.effect = Effect::SignIn;
            let fields = vec![("token", minted.expose()), ("token_type_hint", "access_token")];
            let request =
                self.authenticate(request, &fields, object, credential_type, secret, &kid)?;
            if self.send(request).await.is_ok_and(|answer| (200..300).contains(&answer.status)) {
                residual = None;
            }
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
        notes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        entry.enabled = false;
        assert!(!open(&entry, Some("a"), "client_secret_basic"));
    }
}
