//! Credentials: tokens of a user, issued with a marker in their note, listed, used, ended.
//!
//! The hub numbers its tokens and gives the highest number away again once its token is gone. So a
//! key id has the moment of the token's making in it, and what bears another moment is another token.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Mutex,
};

use connector::{
    Access, AccessRequest, Children, Ended, Error, IssueRequest, Issued, ObjectRef, Probe, Refusal,
    Result,
    transport::{Effect, Request},
};
use domain::{LastUsed, ObservedCredential, Secret, Settings, settings::Setting};
use jiff::SignedDuration;
use ring::rand::{SecureRandom, SystemRandom};
use serde_json::json;

use crate::{
    api::{NewToken, Said, Token, Tokens, Whoami, json as body, parse, path, refused},
    change::gone,
    hub::{Hub, locked, no_such, unexpected},
    scope::{reduce, refuse_of_token},
    tables::{ADD_MARKED, SCOPES, TOKEN},
};

/// What every marker of ours begins with.
const MARKERS: [&str; 2] = ["nhi1-", "n1"];
/// How long a note may be in the hub's database.
const NOTE: usize = 1023;
/// How much the hub's clock may differ from ours.
const SKEW: SignedDuration = SignedDuration::from_mins(5);
/// The most that a set of scopes can be: all of the user's.
const INHERIT: &str = "inherit";

/// What tokens could have done to leave others behind, by user and marker: told by what they might do
/// when they were last seen.
#[derive(Debug, Default)]
pub(crate) struct Minting(Mutex<HashMap<(String, String), bool>>);

impl Minting {
    fn learn(&self, user: &str, token: &Token) {
        let (Some(marker), could) = (marker(token), mints_elsewhere(user, &token.scopes)) else {
            return;
        };
        match locked(&self.0).entry((user.to_owned(), marker.to_owned())) {
            // Once it could, it may have.
            Entry::Occupied(mut known) => *known.get_mut() |= could,
            Entry::Vacant(new) => drop(new.insert(could)),
        }
    }

    /// Whether a token, or any of the user's, could have; `None` where none of them was seen.
    fn known(&self, user: &str, marker: Option<&str>) -> Option<bool> {
        let known = locked(&self.0);
        let of = |(of, which): &(String, String)| {
            of == user && marker.is_none_or(|marker| marker == which)
        };
        let mut seen = known.iter().filter(|(key, _)| of(key)).map(|(_, could)| *could).peekable();
        seen.peek()?;
        Some(seen.any(|could| could))
    }
}

/// Whether these scopes make tokens for anybody but the user itself, whose tokens are listed.
fn mints_elsewhere(user: &str, scopes: &[String]) -> bool {
    let own = format!("!user={user}");
    scopes.iter().any(|one| {
        let base = one.split('!').next().unwrap_or_default();
        // A service comes with a token of its maker's choice.
        base == "admin:services" || (base == "tokens" && one.strip_prefix("tokens") != Some(&own))
    })
}

/// The marker in a note, if it is one of ours.
fn marker(token: &Token) -> Option<&str> {
    let first = token.note.as_deref()?.split(' ').next()?;
    MARKERS.iter().any(|ours| first.starts_with(ours)).then_some(first)
}

/// The key id of a token.
fn key_id(token: &Token) -> String {
    format!("{}.{}", token.id, token.created.as_microsecond())
}

/// The hub's number in a key id.
fn number(key_id: &str) -> Option<&str> {
    let (number, made) = key_id.rsplit_once('.')?;
    let fits = number.strip_prefix('a')?.parse::<u64>().is_ok() && made.parse::<i64>().is_ok();
    fits.then_some(number)
}

/// What a token was asked for with: behind the marker in the note of one of ours, else the least that
/// gives what the hub shows. That every token may say who it is is not worth a word.
fn scopes(user: &str, token: &Token) -> Vec<String> {
    if let (Some(_), Some(note)) = (marker(token), &token.note) {
        return note.split(' ').skip(1).map(str::to_owned).collect();
    }
    let says_who = ["name", "groups"].map(|part| format!("read:users:{part}!user={user}"));
    let mut scopes = reduce(&token.scopes);
    scopes.retain(|one| !says_who.contains(one));
    scopes
}

impl Hub {
    fn observed_token(&self, user: &str, token: &Token) -> ObservedCredential {
        self.minting.learn(user, token);
        let scopes = scopes(user, token);
        let settings = match scopes.is_empty() {
            true => Settings::default(),
            false => Settings::default().with(SCOPES, Setting::Texts(scopes.into_iter().collect())),
        };
        ObservedCredential {
            key_id: key_id(token),
            credential_type: TOKEN.to_owned(),
            marker: marker(token).map(str::to_owned),
            issued_at: Some(token.created),
            expires_at: token.expires_at,
            last_used: token.last_activity.map_or(LastUsed::Unknown, LastUsed::At),
            live: token.expires_at.is_none_or(|end| end > self.clock.now()),
            disabled: false,
            settings,
        }
    }

    /// The tokens of a user; `None` where there is no such user.
    pub(crate) async fn tokens(
        &self,
        user: &str,
        shared: bool,
    ) -> Result<Option<Vec<ObservedCredential>>> {
        self.check_pinned()?;
        let request = Request { shared, ..Request::get(path::tokens(user), "users/{name}/tokens") };
        let what = request.what();
        match self.api.look::<Tokens>(request).await? {
            Ok(all) => {
                let each = all.api_tokens.iter().map(|one| self.observed_token(user, one));
                Ok(Some(each.collect()))
            }
            Err(Said::NoUser) => Ok(None),
            Err(_) => Err(unexpected(&what, "the hub has no tokens at this path")),
        }
    }

    /// One token by the hub's number.
    async fn token(&self, user: &str, number: &str) -> Result<Option<Token>> {
        self.check_pinned()?;
        let request = Request::get(path::token(user, number), "users/{name}/tokens/{id}");
        let what = request.what();
        match self.api.look(request).await? {
            Ok(token) => Ok(Some(token)),
            // A user that is gone took its tokens with it.
            Err(Said::NoToken | Said::NoUser) => Ok(None),
            Err(_) => Err(unexpected(&what, "the hub has no tokens at this path")),
        }
    }

    /// The key id of a token by the hub's number; `None` where our own may not see it.
    pub(crate) async fn listed_as(&self, user: &str, number: &str) -> Result<Option<String>> {
        match self.token(user, number).await {
            Ok(token) => Ok(token.as_ref().map(key_id)),
            Err(error) if error.refusal() == Some(Refusal::Forbidden) => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(crate) async fn issue_token(
        &self,
        object: &ObjectRef,
        request: IssueRequest<'_>,
    ) -> Result<Issued> {
        if request.profile != ADD_MARKED || request.secret.is_some() {
            return connector::port::unsupported("jupyterhub", "issue in this way");
        }
        let wanted: Vec<&str> =
            request.settings.texts(SCOPES).into_iter().flatten().map(String::as_str).collect();
        if let Some(why) = wanted.iter().find_map(|one| refuse_of_token(one)) {
            return Err(Error::Configuration(why));
        }
        if wanted.contains(&INHERIT) && wanted.len() > 1 {
            return Err(Error::Configuration(format!(
                "{INHERIT:?} is everything that the user may do: no other scope stands beside it"
            )));
        }
        let mut note = request.marker.to_owned();
        for scope in &wanted {
            note.push(' ');
            note.push_str(scope);
        }
        if note.len() > NOTE {
            return Err(Error::Configuration(format!(
                "these scopes are too long to be kept with the token: at most {} bytes in all",
                NOTE - request.marker.len()
            )));
        }
        let expires_in = match request.expires_at {
            None => None,
            Some(end) => {
                let seconds = end.as_second() - self.clock.now().as_second();
                if seconds <= 0 {
                    return Err(Error::Configuration(format!(
                        "a token cannot end in the past ({end})"
                    )));
                }
                Some(seconds)
            }
        };
        let issued = self.make_token(object, &note, &wanted, expires_in).await?;
        Ok(Issued {
            key_id: key_id(&issued.about),
            secret: Some(issued.token),
            issued_at: Some(issued.about.created),
            expires_at: issued.about.expires_at,
            already_there: false,
        })
    }

    /// Has the hub make a token of the incarnation that is meant.
    async fn make_token(
        &self,
        object: &ObjectRef,
        note: &str,
        scopes: &[&str],
        expires_in: Option<i64>,
    ) -> Result<NewToken> {
        let user = &object.key;
        let found = self.user(user, connector::Freshness::Fresh).await?;
        let created = found.ok_or_else(|| no_such(user))?.created;
        let created = created.ok_or_else(|| unexpected("issue", "a user without a time"))?;
        object.check_incarnation(&created.to_string())?;
        let call = Request::change("POST", path::tokens(user), "users/{name}/tokens");
        let asked = json!({ "note": note, "scopes": scopes, "expires_in": expires_in });
        let call = Request { body: Some(body(&asked)?), ..call };
        let what = call.what();
        let answer = self.api.change(call).await?;
        let made: NewToken = parse(&what, &answer.body)?;
        self.minting.learn(user, &made.about);
        Ok(made)
    }

    /// A token that may do what the user may, and ends by itself.
    pub(crate) async fn mint_access(
        &self,
        object: &ObjectRef,
        request: AccessRequest<'_>,
    ) -> Result<Access> {
        let life = request.life.as_signed_secs();
        let latest = self.clock.now().checked_add(SignedDuration::from_secs(life) + SKEW);
        let note = format!("{} {INHERIT}", request.marker);
        let made = self.make_token(object, &note, &[INHERIT], Some(life)).await?;
        let handle = key_id(&made.about);
        let ends = made.about.expires_at;
        match ends.filter(|ends| latest.is_ok_and(|latest| *ends <= latest)) {
            Some(expires_at) => {
                Ok(Access { token: made.token, handle: Secret::new(handle), expires_at })
            }
            None => {
                self.delete_token(&object.key, &handle).await?;
                let message = format!("the hub gave it an end of its own: {ends:?}");
                Err(unexpected("POST users/{name}/tokens", message))
            }
        }
    }

    /// Deletes a token that was minted, and looks whether it is gone.
    pub(crate) async fn end_minted(&self, object: &ObjectRef, handle: &Secret) -> Result<Ended> {
        let ended = self.end_token(object, handle.expose()).await?;
        let number = number(handle.expose()).unwrap_or_default();
        match self.token(&object.key, number).await? {
            Some(token) if key_id(&token) == handle.expose() => Err(unexpected(
                "DELETE users/{name}/tokens/{id}",
                "the token was deleted and is still there",
            )),
            _ => Ok(ended),
        }
    }

    /// Whose token a secret is; `None` with what the hub said where it is nobody's.
    async fn whose(&self, secret: &Secret) -> Result<std::result::Result<Whoami, String>> {
        self.check_pinned()?;
        let request = Request {
            effect: Effect::SignIn,
            fresh_connection: true,
            ..Request::get("hub/api/user", "user")
        };
        let what = request.what();
        let answer = self.api.send_as(secret, request).await?;
        match (answer.status, Said::read(&answer)) {
            (200, _) => parse(&what, &answer.body).map(Ok),
            (401 | 403, said) if said != Said::Foreign => {
                Ok(Err(format!("{} no token of the hub", answer.status)))
            }
            _ => Err(refused(&what, &answer, false)),
        }
    }

    pub(crate) async fn use_token(&self, object: &ObjectRef, secret: &Secret) -> Result<Probe> {
        match self.whose(secret).await? {
            Ok(whose) if whose.kind == "user" && whose.name == object.key => Ok(Probe::Accepted {
                residual: None,
                scopes: Some(whose.scopes.into_iter().collect()),
            }),
            Ok(_) => Err(unexpected("GET user", "the token is another's")),
            Err(class) => Ok(Probe::Refused { class }),
        }
    }

    pub(crate) async fn find_token(
        &self,
        object: &ObjectRef,
        secret: &Secret,
    ) -> Result<Option<ObservedCredential>> {
        let whose = match self.whose(secret).await? {
            Ok(whose) if whose.kind == "user" && whose.name == object.key => whose,
            _ => return Ok(None),
        };
        let number = whose.token_id.ok_or_else(|| {
            unexpected("GET user", "this hub does not tell which token it is asked with")
        })?;
        let token = self.token(&object.key, &number).await?;
        Ok(token.map(|token| self.observed_token(&object.key, &token)))
    }

    /// Ends one token, and not another that has its number by now.
    pub(crate) async fn end_token(&self, object: &ObjectRef, key: &str) -> Result<Ended> {
        let Some(number) = number(key) else {
            return Err(Error::Refused {
                what: "DELETE users/{name}/tokens/{id}".into(),
                refusal: Refusal::NotFound,
                message: format!("{key:?} is no key id of a hub's token"),
            });
        };
        match self.token(&object.key, number).await? {
            Some(token) if key_id(&token) == key => {
                self.minting.learn(&object.key, &token);
                self.delete_token(&object.key, key).await
            }
            _ => Ok(Ended::AlreadyGone),
        }
    }

    /// Deletes a token that was just seen.
    pub(crate) async fn delete_token(&self, user: &str, key: &str) -> Result<Ended> {
        let number = number(key).unwrap_or(key);
        let request =
            Request::change("DELETE", path::token(user, number), "users/{name}/tokens/{id}");
        gone(self.api.change(request).await.map(drop))
    }

    /// What tokens minted others: such a one is the user's own, and bears no marker, unless the token
    /// could make some for others.
    pub(crate) async fn children(
        &self,
        object: &ObjectRef,
        marker: Option<&str>,
    ) -> Result<Children> {
        let all = self.tokens(&object.key, false).await?;
        let all = all.ok_or_else(|| no_such(&object.key))?;
        let stray = all.iter().any(|one| one.live && one.marker.is_none());
        let elsewhere = self.minting.known(&object.key, marker) != Some(false);
        Ok(if stray || elsewhere { Children::Unknown } else { Children::None })
    }
}

/// Another text of the same shape: hexadecimal digits for hexadecimal digits, letters for letters.
pub(crate) fn random_like(secret: &Secret) -> Result<Secret> {
    let random = SystemRandom::new();
    let is_hex = secret.expose().bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f' | b'-'));
    let mut text = String::with_capacity(secret.expose().len());
    for c in secret.expose().chars() {
        let choices: &[u8] = match c {
            '-' | '_' | '.' => {
                text.push(c);
                continue;
            }
            _ if is_hex => b"0123456789abcdef",
            _ => b"abcdefghijklmnopqrstuvwxyz0123456789",
        };
        let mut bytes = [0u8; 8];
        random
            .fill(&mut bytes)
            .map_err(|_| Error::Configuration("this machine gives no random numbers".into()))?;
        let at = usize::try_from(u64::from_le_bytes(bytes) % choices.len() as u64).unwrap_or(0);
        text.push(char::from(choices[at]));
    }
    Ok(Secret::new(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(note: &str, scopes: &[&str]) -> Token {
        Token {
            id: "a3".into(),
            scopes: scopes.iter().map(|one| (*one).to_owned()).collect(),
            created: "2026-11-29T06:47:23.518836Z".parse::<jiff::Timestamp>().unwrap(),
            expires_at: None,
            last_activity: None,
            note: Some(note.into()),
        }
    }

    #[test]
    fn a_key_id_is_the_number_with_the_moment_that_makes_it_one() {
        let one = token("", &[]);
        assert_eq!(number(&key_id(&one)), Some("a3"));
        for odd in ["a3", "3.5", "a.5", "a3.x", "nhi-never-was", "a3/../a4.5"] {
            assert_eq!(number(odd), None, "{odd}");
        }
    }

    #[test]
    fn what_was_asked_for_is_read_behind_the_marker_and_what_others_made_is_read_as_it_is() {
        let shown = ["read:users!user=bot", "read:users:name!user=bot"];
        let ours = token("nhi1-x read:users!user", &shown);
        assert_eq!(
            (marker(&ours), scopes("bot", &ours)),
            (Some("nhi1-x"), vec!["read:users!user".into()])
        );
        let bare = token("nhi1-x", &shown);
        assert!(scopes("bot", &bare).is_empty());
        let theirs = token("Requested via api by service nhi", &shown);
        assert_eq!(
            (marker(&theirs), scopes("bot", &theirs)),
            (None, vec!["read:users!user=bot".into()])
        );
    }

    #[test]
    fn only_a_token_that_makes_some_for_others_leaves_what_cannot_be_seen() {
        let could = |scopes: &[&str]| mints_elsewhere("bot", &token("", scopes).scopes);
        assert!(!could(&["tokens!user=bot", "read:tokens", "servers"]));
        assert!(could(&["tokens"]) && could(&["tokens!user=alice"]) && could(&["admin:services"]));
    }

    #[test]
    fn a_random_token_has_the_shape_of_a_real_one() {
        let real = Secret::new("1af0ff69c1f04ed79aac1e57af09c7ad");
        let random = random_like(&real).unwrap();
        assert!(random != real && random.expose().len() == 32);
        assert!(random.expose().bytes().all(|b| b.is_ascii_hexdigit()));
    }
}
