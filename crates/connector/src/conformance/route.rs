//! What a connector makes of answers that are none.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use async_trait::async_trait;

use crate::{
    Change, Children, Error, ObjectRef, Outcome, Profile, Refusal, Want,
    transport::{Answer, Effect, ReadOnly, Request, Transport, TransportError},
};

use super::{
    Fixture, Held, Stop, can, claims, ensure,
    fixture::{connect, issue, made, new, open, standing},
    kind,
};

/// What happens to a request.
#[derive(Clone, Copy)]
enum Fate {
    /// Nothing special.
    Through,
    /// It is answered in the server's place.
    Instead(u16, &'static str),
    /// It goes through, and its answer is lost.
    AnswerLost,
}

struct Fateful {
    inner: Arc<dyn Transport>,
    fate: Arc<dyn Fn(&Request) -> Fate + Send + Sync>,
}

impl fmt::Debug for Fateful {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fateful")
    }
}

#[async_trait]
impl Transport for Fateful {
    async fn send(&self, request: Request) -> Result<Answer, TransportError> {
        match (self.fate)(&request) {
            Fate::Through => self.inner.send(request).await,
            Fate::Instead(status, body) => {
                Ok(Answer::new(status, Vec::new(), body.as_bytes().to_vec()))
            }
            Fate::AnswerLost => {
                let _ = self.inner.send(request).await;
                let message = "the connection was reset".into();
                Err(TransportError::network(message, Outcome::Ambiguous))
            }
        }
    }
}

async fn fated(
    fixture: &dyn Fixture,
    fate: impl Fn(&Request) -> Fate + Send + Sync + 'static,
) -> Arc<dyn crate::Connector> {
    let fate: Arc<dyn Fn(&Request) -> Fate + Send + Sync> = Arc::new(fate);
    fixture
        .connect(&move |inner| {
            let fate = fate.clone();
            Arc::new(Fateful { inner, fate })
        })
        .await
}

fn sends(fixture: &dyn Fixture) -> Held {
    claims(fixture.sends(), "it sends nothing")
}

pub(super) async fn what_cannot_be_read_is_an_error_and_never_absence(
    fixture: &dyn Fixture,
) -> Held {
    sends(fixture)?;
    let object = made(fixture, &*connect(fixture).await, "unread").await?;
    const PAGE: &str = "<html>Not found</html>";
    for (status, body) in [
        (401, "{}"),
        (403, "{}"),
        (404, PAGE),
        (429, "{}"),
        (500, "{}"),
        (503, PAGE),
        (200, ""),
        (200, PAGE),
        (200, "{\"data\":"),
        (200, "[]"),
        (302, ""),
    ] {
        let connector = fated(fixture, move |request| match request.effect {
            Effect::Read => Fate::Instead(status, body),
            _ => Fate::Through,
        })
        .await;
        let read = connector.read(&object, Want::DEED).await;
        let honest = match &read {
            Ok(Some(found)) => !found.gaps.is_empty(),
            Ok(None) => false,
            Err(_) => true,
        };
        ensure(honest, || format!("{status} {body:?}: {read:?}"))?;
        let listed = connector.list(Want::DEED).await;
        ensure(!listed.as_ref().is_ok_and(|all| all.is_complete()), || {
            format!("{status} {body:?}: {listed:?}")
        })?;
    }
    Ok(())
}

pub(super) async fn a_404_that_is_not_the_platforms_own_ends_nothing(
    fixture: &dyn Fixture,
) -> Held {
    sends(fixture)?;
    let straight = connect(fixture).await;
    let object = made(fixture, &*straight, "foreign404").await?;
    open(fixture, &*straight, &object).await?;
    let Some((credential_type, way)) = first_way(fixture, &*straight).await? else {
        return Err(Stop::Absent("no credential can be issued".into()));
    };
    let one = issue(&*straight, &object, credential_type, way, 1, None).await?;
    let token = match can(fixture)?.sweeps_children {
        true => fixture.sign_in(&object, &one.secret).await,
        false => None,
    };
    for everything in [false, true] {
        for page in ["<html>Not found</html>", "", "{}"] {
            let connector = fated(fixture, move |request| match request.effect {
                Effect::Change => Fate::Instead(404, page),
                _ if everything => Fate::Instead(404, page),
                _ => Fate::Through,
            })
            .await;
            let ended = connector.end(&object, &one.issued.key_id).await;
            ensure(ended.is_err(), || format!("end, {page:?}: {ended:?}"))?;
            let swept = connector.sweep(&object, None).await;
            let honest = match &swept {
                Ok(children) => matches!(children, Children::Unknown | Children::Residual(_)),
                Err(_) => true,
            };
            ensure(honest || token.is_none(), || format!("sweep, {page:?}: {swept:?}"))?;
            let deleted = connector.delete(&object).await;
            ensure(deleted.is_err(), || format!("delete, {page:?}: {deleted:?}"))?;
        }
    }
    if let Some(token) = token {
        ensure(token.works().await, || "the token is gone".into())?;
    }
    let still = connect(fixture).await.credentials(&object).await?.credentials;
    ensure(still.iter().any(|known| known.key_id == one.issued.key_id), || "it is gone".into())
}

/// Some way of issuing, if there is one.
async fn first_way(
    fixture: &dyn Fixture,
    connector: &dyn crate::Connector,
) -> Result<Option<(&'static str, &'static Profile)>, Stop> {
    for one in kind(fixture)?.credential_types {
        if let Some(promise) = connector.promises(one.name).await?.first() {
            return Ok(Some((one.name, promise.profile)));
        }
    }
    Ok(None)
}

pub(super) async fn a_read_only_connection_changes_nothing(fixture: &dyn Fixture) -> Held {
    sends(fixture)?;
    let object = made(fixture, &*connect(fixture).await, "readonly").await?;
    let looks = fixture.connect(&|inner| Arc::new(ReadOnly::new(inner))).await;
    let found = looks.read(&object, Want::DEED).await?;
    ensure(found.is_some_and(|one| one.gaps.is_empty()), || "it cannot be read".into())?;
    let created = looks.create(&new(fixture, "readonly-new")).await;
    let deleted = looks.delete(&object).await;
    let said = [created.err(), deleted.err()];
    for error in said {
        let refused = error.as_ref().and_then(Error::refusal) == Some(Refusal::ReadOnly);
        ensure(refused, || format!("{error:?}"))?;
    }
    let still = connect(fixture).await.read(&object, Want::DEED).await?;
    ensure(still.is_some(), || "it is gone".into())
}

/// The first change, and none after it.
fn first() -> impl Fn(&Request) -> bool + Send + Sync {
    let seen = AtomicU32::new(0);
    move |request| request.effect == Effect::Change && seen.fetch_add(1, Ordering::SeqCst) == 0
}

pub(super) async fn a_change_whose_answer_is_lost_is_ambiguous(fixture: &dyn Fixture) -> Held {
    sends(fixture)?;
    claims(can(fixture)?.changes_scopes, "scopes cannot be changed")?;
    let object = made(fixture, &*connect(fixture).await, "lost").await?;
    let is_first = first();
    let connector =
        fated(
            fixture,
            move |request| {
                if is_first(request) { Fate::AnswerLost } else { Fate::Through }
            },
        )
        .await;
    let scopes = Some(standing(&fixture.scopes()[..1]));
    let change = Change { scopes, ..Change::default() };
    let lost = connector.modify(&object, &change).await;
    let ambiguous = lost.as_ref().is_err_and(|error| error.outcome() == Outcome::Ambiguous);
    ensure(ambiguous, || format!("{lost:?}"))?;
    let alone = "the answer may carry the only token that manages the object";
    claims(!can(fixture)?.needs_keyring, alone)?;
    // Again, by somebody who knows nothing of it.
    let now = connect(fixture).await.modify(&object, &change).await?;
    ensure(Some(&now.scopes) == change.scopes.as_ref(), || format!("{:?}", now.scopes))
}

pub(super) async fn a_failing_server_leaves_a_change_ambiguous_and_a_refusing_one_undone(
    fixture: &dyn Fixture,
) -> Held {
    sends(fixture)?;
    let object = made(fixture, &*connect(fixture).await, "failing").await?;
    for (status, outcome) in [
        (500, Outcome::Ambiguous),
        (502, Outcome::Ambiguous),
        (400, Outcome::Refused),
        (403, Outcome::Refused),
        (429, Outcome::Refused),
        (302, Outcome::Refused),
    ] {
        let connector = fated(fixture, move |request| match request.effect {
            Effect::Change => Fate::Instead(status, "{}"),
            _ => Fate::Through,
        })
        .await;
        let deleted = connector.delete(&object).await;
        let right = deleted.as_ref().is_err_and(|error| error.outcome() == outcome);
        ensure(right, || format!("{status}: {deleted:?}"))?;
    }
    let still = connect(fixture).await.read(&object, Want::DEED).await?;
    ensure(still.is_some(), || "it is gone".into())
}

pub(super) async fn no_error_quotes_an_answer(fixture: &dyn Fixture) -> Held {
    sends(fixture)?;
    const LEAK: &str = "verysecretindeed";
    const BODIES: [&str; 3] = [
        "{\"errors\":[\"verysecretindeed\"],\"error\":\"verysecretindeed\",\"data\":{\"x\":\"verysecretindeed\"}}",
        "{\"client_secret\":\"verysecretindeed\",\"data\":\"verysecretindeed\"}",
        "verysecretindeed",
    ];
    let key = super::fixture::name("leak");
    let object =
        ObjectRef { kind: fixture.kind().into(), key: key.clone(), vendor_id: None, name: key };
    for body in BODIES {
        for status in [200, 400, 403, 500] {
            let connector = fated(fixture, move |_| Fate::Instead(status, body)).await;
            let said = [
                connector.read(&object, Want::DEED).await.map(drop),
                connector.create(&new(fixture, "leak")).await.map(drop),
                connector.delete(&object).await.map(drop),
                connector.list(Want::DEED).await.map(drop),
            ];
            for error in said.into_iter().filter_map(Result::err) {
                let text = format!("{error} {error:?}");
                ensure(!text.contains(LEAK), || format!("{status}: {text}"))?;
            }
        }
    }
    Ok(())
}
