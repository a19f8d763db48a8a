//! Registering a client: parked, and whole in the keyring.

use connector::{Change, Error, NewIntegration, ObjectRef, Refusal, Result, transport::Request};
use domain::{ObservedIntegration, Record};
use serde_json::{Map, Value, json};

use super::{
    Clients, bearer,
    change::{apply, close_or_open},
    found::{Found, contacts},
    lifetime, refuse, setting, texts, unexpected,
};
use crate::{
    api::{Registration, refused},
    keyring::{Entry, Phase},
    tables::CLIENT,
};

impl Clients {
    pub(super) async fn register(&self, new: &NewIntegration) -> Result<ObservedIntegration> {
        let metadata = self.metadata().await?.clone();
        let endpoint = metadata.registration_endpoint.clone().ok_or(Error::Unsupported {
            platform: "oauth",
            what: "register clients: the server's metadata names no registration endpoint",
        })?;
        let _turn = self.turns.take(&format!("new {}", new.name)).await;
        let keyring = self.keyring()?.clone();
        let tenant = metadata.issuer.clone();
        let what = format!("{CLIENT} {:?}", new.name);
        let grants = setting(&new.settings, "grant_types");
        // Unfinished until it is known to be parked: a create that fails in between is gone on with.
        let started = Record { unfinished: true, ..new.record.clone() };
        let mut entry = Entry::new(&new.name, grants, started);
        if let Some(named) = keyring.named(&tenant, &new.name).await? {
            entry = entry.over(&named);
            let there = keyring.about(&tenant, named).await?;
            match there {
                None => entry.lost += 1,
                Some(there) if there.phase == Phase::Deleted => {
                    entry.lost = entry.lost.max(there.lost);
                }
                Some(there) if there.is_unfinished(new.record.realm.as_deref()) => {
                    let object = ObjectRef {
                        kind: CLIENT.to_owned(),
                        key: there.client_id.clone(),
                        vendor_id: None,
                        name: new.name.clone(),
                    };
                    let _turn = self.turns.take(&object.key).await;
                    let mut found = self.existing(&object).await?;
                    self.park(&mut found).await?;
                    let settings = Some(new.settings.clone());
                    let members = apply(&mut found, &Change { settings, ..Change::default() })?;
                    self.put(&mut found, members).await?;
                    return self.finish(found, new).await;
                }
                Some(there) => return Err(Error::Exists { what, key: there.client_id }),
            }
        }
        let mut members = Map::new();
        lifetime::wish(&mut members, self.lifetime.as_deref(), &new.settings)?;
        keyring.write(&tenant, &mut entry).await?;
        members.insert("client_name".into(), Value::String(new.name.clone()));
        // Without a way to sign in and to get a token, no secret is born and nothing is given away.
        members.insert("token_endpoint_auth_method".into(), json!("none"));
        for name in ["redirect_uris", "post_logout_redirect_uris"] {
            let uris = setting(&new.settings, name);
            if name == "redirect_uris" || !uris.is_empty() {
                members.insert(name.into(), texts(uris));
            }
        }
        let contacts = contacts(&new.record);
        if !contacts.is_empty() {
            members.insert("contacts".into(), texts(contacts));
        }
        close_or_open(&entry, &mut members);
        let mut request = Request::change("POST", endpoint, "registration endpoint")
            .json(&Value::Object(members));
        if let Some(initial) = &self.initial {
            request = request.header("Authorization", bearer(initial));
        }
        let call = request.what();
        let answer = self.send(request).await?;
        if answer.status == 401 {
            return Err(refuse(
                &call,
                Refusal::Unauthorized,
                match self.initial {
                    Some(_) => format!(
                        "status 401: the server does not take the credential of connection {:?}, its initial \
                         access token",
                        self.connection
                    ),
                    None => format!(
                        "status 401: the server registers nothing without an initial access token, and \
                         connection {:?} has no credential",
                        self.connection
                    ),
                },
            ));
        }
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
        self.finish(Found::new(entry, there, self.lifetime.clone()), new).await
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

    /// Ends a create: parked, and whole in the keyring.
    async fn finish(&self, mut found: Found, new: &NewIntegration) -> Result<ObservedIntegration> {
        self.park(&mut found).await?;
        if found.entry.turns {
            // Every plan looks, and would have to write.
            let gone = self.remove(&mut found).await;
            return Err(unexpected(
                "GET client registration",
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
        lifetime::stands(&new.settings, &found.observed().settings)?;
        if found.entry.wanted.record != new.record {
            found.entry.wanted.record = new.record.clone();
            let tenant = &self.metadata().await?.issuer;
            self.keyring()?.write(tenant, &mut found.entry).await?;
        }
        Ok(found.observed())
    }
}
