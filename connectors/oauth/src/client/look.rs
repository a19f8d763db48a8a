//! Looking at clients, and keeping the token that comes with an answer.

use connector::{
    Connector, Error, ObjectRef, Refusal, Result,
    transport::{Effect, Request},
};
use domain::{Gap, GapExtent, Observation, itself::Unanswered};
use futures::{FutureExt, StreamExt, future::BoxFuture, stream};

use super::{Clients, bearer, found::Found, metadata::origin, refuse, unexpected};
use crate::{
    api::{Registration, refused},
    keyring::{Entry, Phase},
    tables::CLIENT,
};

/// How many clients are looked at at once in a listing.
const AT_ONCE: usize = 8;

impl Clients {
    /// Takes what an answer says of how the client is managed. Whether it is news.
    pub(super) fn adopt(entry: &mut Entry, now: &Registration) -> bool {
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
    ///
    /// Where a look is known to change the token, custody has to take a write before; and one that
    /// changes nothing says that the server does so no more.
    pub(super) async fn look(&self, entry: &mut Entry) -> Result<Registration> {
        let turned = entry.turns;
        if turned {
            let tenant = &self.metadata().await?.issuer;
            self.keyring()?.write(tenant, entry).await?;
        }
        let mut request = Request::get(entry.uri.clone(), "client registration")
            .header("Authorization", bearer(&entry.token));
        if turned {
            // It changes nothing but how we get in: sent once, and by a read-only run too, which has to
            // be able to find out that the server does so no more.
            request.effect = Effect::SignIn;
        }
        let what = request.what();
        let answer = self.send(request).await?;
        let read = Registration::read(&what, &answer.body);
        if let Ok(now) = &read {
            entry.learn(now.text("client_name"), now.grants(), now.has("scope"));
        }
        let news = read.as_ref().is_ok_and(|now| Self::adopt(entry, now));
        if news || (turned && answer.status == 200) {
            entry.turns = news;
            let tenant = &self.metadata().await?.issuer;
            self.keyring()?.keep(tenant, entry).await?;
        }
        match answer.status {
            200 => {}
            401 => return Err(self.lost(&what, entry).await?),
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

    /// The token is refused. A client that is not there answers in the same way as a token that was
    /// replaced (RFC 7592 §2.1), and a sign-in is refused alike for a client that is unknown and for
    /// one with another secret (RFC 6749 §5.2): no answer proves that it is gone, so a person has to
    /// say so.
    pub(super) async fn lost(&self, what: &str, entry: &Entry) -> Result<Error> {
        let id = &entry.client_id;
        if let Some(place) = &entry.by_hand {
            let line = self.keyring()?.by_hand_line(id).await;
            return Ok(Error::Lost {
                what: what.to_owned(),
                message: format!(
                    "status 401: the registration token of client {id:?} that somebody wrote into {place:?} \
                     in custody is not accepted. Either it is not the newest one of this client, or the \
                     client is gone; a server answers both alike. Nothing was changed"
                ),
                next: format!(
                    "have in answer.json its newest registration_access_token, beside its client_id and \
                     registration_client_uri, and run\n      {line}\n      and then the same again. Whoever has \
                     no token that is accepted asks the server's administrator for one"
                ),
            });
        }
        let place = self.keyring()?.place_of(&self.metadata().await?.issuer, entry);
        let locked_out = entry.unanswered(false) == Some(Unanswered::LockedOut);
        let why = match locked_out {
            true => {
                "Most likely a change of ours was cut off after the server had replaced the token and before \
                 the new one was kept: then the client works on and its management is lost. A client that is \
                 deleted answers alike"
            }
            false => {
                "Either somebody deleted the client, or its management is lost and it works on; a server \
                 answers both alike"
            }
        };
        let what = what.to_owned();
        let message =
            format!("status 401: the registration token of client {id:?} is not accepted. {why}");
        let next = format!(
            "ask the server's administrator whether client {id:?} is there. Where it is, write a new \
                 registration token of theirs as registration_token into {place:?} in custody. Where it is \
                 gone: terraform state rm its nhi_integration, nhi_scope and nhi_credential, remove {place:?} \
                 and what was delivered for it for good, all versions (in a folder, what .nhi holds of them too), \
                 and apply: a successor is registered"
        );
        Ok(match locked_out {
            true => Error::LockedOut { what, message, next },
            false => Error::Lost { what, message, next },
        })
    }

    /// The clients whose token was in a change that nobody heard the end of, and is refused since.
    pub(super) async fn all_locked_out(&self) -> Result<Vec<(String, Error)>> {
        let tenant = self.tenant().await?;
        let (entries, _) = self.keyring()?.all(&tenant).await?;
        let mut all = Vec::new();
        for entry in entries.into_iter().filter(|entry| entry.unanswered(true).is_some()) {
            let _turn = self.turns.take(&entry.client_id).await;
            // What somebody is at work on, or has put right meanwhile, is another one by now.
            let keyring = self.keyring()?;
            let read = keyring.read(&tenant, &entry.client_id, &entry.name).await?;
            let Some(mut entry) = read else { continue };
            if let Err(error @ Error::LockedOut { .. }) = self.look(&mut entry).await {
                all.push((format!("{CLIENT}/{}", entry.client_id), error));
            }
        }
        Ok(all)
    }

    /// The client that is meant, as a plan sees it: nothing is written, so a client whose every look
    /// has to be kept is not looked at. The caller holds its lock.
    pub(super) async fn planned(&self, object: &ObjectRef) -> Result<Option<Found>> {
        let entry = self.known(object).await?;
        if entry.turns && entry.phase != Phase::Deleted {
            return Err(turns(&self.connection, &entry));
        }
        match self.found_by(object, entry).await? {
            Some(found) if found.entry.turns => Err(turns(&self.connection, &found.entry)),
            other => Ok(other),
        }
    }

    /// The client that is meant, as it is now. The caller holds its lock.
    pub(super) async fn found(&self, object: &ObjectRef) -> Result<Option<Found>> {
        let entry = self.known(object).await?;
        self.found_by(object, entry).await
    }

    async fn known(&self, object: &ObjectRef) -> Result<Entry> {
        match self.entry(object).await? {
            Some(entry) => Ok(entry),
            None => Err(self.unknown(&object.key, "there is no document for it").await?),
        }
    }

    /// Custody says nothing of a client: it was registered elsewhere, or custody is not what it was.
    pub(super) async fn unknown(&self, id: &str, why: &str) -> Result<Error> {
        let keyring = self.keyring()?;
        let (folder, line) = (keyring.folder(), keyring.by_hand_line(id).await);
        Ok(Error::Lost {
            what: format!("custody of connection {:?}", self.connection),
            message: format!(
                "it does not say in {folder:?} how client {id:?} is managed ({why}), and without its \
                 registration token nothing can be told of it"
            ),
            next: format!(
                "where it was under our management, bring custody back: {folder:?} from its backup, or \
                 the lines custody = … and realm = … of nhi.hcl as they were. Where somebody registered it by \
                 hand, or there \
                 is no backup, have in answer.json the server's answer to the registration, or one \
                 with its client_id, registration_client_uri and registration_access_token, run\n      \
                 {line}\n      and then the same again. Where the client is gone: terraform state rm what \
                 stands for it, and nhi ledger forget {}/{CLIENT}/{id}",
                self.connection
            ),
        })
    }

    async fn found_by(&self, object: &ObjectRef, mut entry: Entry) -> Result<Option<Found>> {
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
        Ok(Some(Found::new(entry, there, self.lifetime.clone())))
    }

    pub(super) async fn existing(&self, object: &ObjectRef) -> Result<Found> {
        let found = self.found(object).await?;
        found.ok_or_else(|| refuse("client", Refusal::NotFound, "we deleted this client"))
    }

    /// The client that is meant, while nobody else of this process is at it.
    pub(super) async fn seen(&self, object: &ObjectRef) -> Result<Found> {
        let _turn = self.turns.take(&object.key).await;
        self.existing(object).await
    }

    pub(super) async fn all_known(&self) -> Result<Observation> {
        let requested_at = self.clock.now();
        let tenant = self.tenant().await?;
        let (entries, broken) = self.keyring()?.all(&tenant).await?;
        let mut gaps = vec![Gap {
            extent: GapExtent::Unlistable,
            cause: "OAuth has no listing of clients: only those in custody are known".into(),
        }];
        gaps.extend(
            broken
                .into_iter()
                .map(|cause| Gap { extent: GapExtent::Page("custody".into()), cause }),
        );
        let mut objects = Vec::new();
        for entry in entries {
            if let Some(cause) = orphans(&entry) {
                gaps.push(Gap { extent: GapExtent::Unlistable, cause });
            }
            if !entry.client_id.is_empty() {
                objects.push(ObjectRef {
                    kind: CLIENT.to_owned(),
                    key: entry.client_id,
                    vendor_id: None,
                    name: entry.name,
                });
            } else if entry.phase == Phase::Creating {
                gaps.push(Gap {
                    extent: GapExtent::Object(entry.name),
                    cause: "a registration was begun and its answer is lost: if the server made a client, it \
                            is parked, and nobody can find it"
                        .into(),
                });
            }
        }
        let each = |object: ObjectRef| {
            async move {
                let _turn = self.turns.take(&object.key).await;
                (self.planned(&object).await, object.key)
            }
            .boxed()
        };
        let looks: Vec<BoxFuture<'_, _>> = objects.into_iter().map(each).collect();
        let looked: Vec<(Result<Option<Found>>, String)> =
            stream::iter(looks).buffered(AT_ONCE).collect().await;
        let mut integrations = Vec::new();
        for (found, key) in looked {
            match found {
                Ok(Some(found)) => integrations.push(found.observed()),
                Ok(None) => {}
                Err(error) => {
                    gaps.push(Gap { extent: GapExtent::Object(key), cause: error.to_string() })
                }
            }
        }
        integrations.sort_by(|a, b| (&a.kind, &a.key).cmp(&(&b.kind, &b.key)));
        Ok(Observation { tenant, requested_at, integrations, gaps })
    }
}

/// Registrations whose answers are lost, though another has taken their place since.
pub(super) fn orphans(entry: &Entry) -> Option<String> {
    (entry.lost > 0).then(|| {
        format!(
            "{} registration(s) of {:?} were begun and their answers are lost: what the server made of them \
             is parked, nobody can find it, and its end cannot be shown (grade D). The server's \
             administrator can delete it",
            entry.lost, entry.name
        )
    })
}

fn turns(connection: &str, entry: &Entry) -> Error {
    refuse(
        "GET client registration",
        Refusal::Invalid,
        format!(
            "the server changed the registration token of client {:?} when it was only looked at. The new \
             one is in custody and nothing is lost; but a plan writes nothing, so it does not look at this \
             client any more. Let the server change the token with a change only, and then run: nhi doctor \
             {connection}. Until then the client can be changed and deleted without a look first \
             (-refresh=false)",
            entry.client_id
        ),
    )
}
