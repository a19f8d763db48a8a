//! An authorization server of our own, which can be as odd as the standards let servers be: one
//! switch a behaviour.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard},
};

use async_trait::async_trait;
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use connector::transport::{Answer, Request, Transport, TransportError};
use serde_json::{Map, Value, json};

/// How the server differs from one that does just what RFC 7591 and 7592 have as their first choice.
#[derive(Debug, Clone, Default)]
pub(crate) struct Odd {
    /// A member that is left out of a PUT stays.
    pub(crate) merges: bool,
    /// `null` in a PUT is refused.
    pub(crate) refuses_null: bool,
    /// What is empty in a PUT stays as it was.
    pub(crate) ignores_empty: bool,
    /// Has a member of its own and refuses a PUT with it.
    pub(crate) refuses_unknown: bool,
    /// Gives this grant type besides.
    pub(crate) adds_grant: Option<&'static str>,
    /// Refuses requests with a scope that is not there yet.
    pub(crate) forbids_scope: bool,
    /// Keeps no contacts.
    pub(crate) drops_contacts: bool,
    /// Makes another client secret when the way to sign in changes.
    pub(crate) secret_turns_with_method: bool,
    /// Makes another client secret with every PUT.
    pub(crate) reissues: bool,
    /// A GET shows no client secret.
    pub(crate) hides_secret: bool,
    /// A GET gives another registration token.
    pub(crate) token_turns_with_look: bool,
    /// A GET leaves the client id out.
    pub(crate) tells_no_id: bool,
    /// Secrets that were good stay good.
    pub(crate) forgets_nothing: bool,
    /// Registers with its own grant types and way to sign in, whatever was asked for.
    pub(crate) registers_open: bool,
    /// Refuses to be read once a PUT was taken.
    pub(crate) blind_after_put: bool,
    /// A DELETE is refused.
    pub(crate) keeps_clients: bool,
    /// A PUT is answered without a body, and the registration token stays.
    pub(crate) answers_nothing: bool,
    /// Says in its metadata that it takes these only.
    pub(crate) takes_es256_and_basic_only: bool,
    /// No PUT is taken.
    pub(crate) refuses_changes: bool,
    /// Registers nothing without an initial access token.
    pub(crate) wants_initial: bool,
    /// What is changed is changed, and nobody hears of it.
    pub(crate) loses_answers: bool,
    /// A revoked token goes on.
    pub(crate) revokes_nothing: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct Client {
    pub(crate) members: Map<String, Value>,
    pub(crate) secret: Option<String>,
    token: String,
    good: Vec<String>,
}

#[derive(Debug, Default)]
struct State {
    odd: Odd,
    clients: BTreeMap<String, Client>,
    number: u32,
    sent: Vec<String>,
    put: bool,
    revoked: bool,
}

/// The server, without a network.
#[derive(Debug)]
pub(crate) struct Scripted {
    issuer: &'static str,
    state: Mutex<State>,
}

const HOST: &str = "https://login.acme.example";

impl Scripted {
    pub(crate) fn new(issuer: &'static str) -> Scripted {
        Scripted { issuer, state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// From now on it is so.
    pub(crate) fn be(&self, odd: Odd) {
        let mut state = self.lock();
        state.odd = odd;
        state.put = false;
    }

    pub(crate) fn clients(&self) -> Vec<Client> {
        self.lock().clients.values().cloned().collect()
    }

    /// Somebody changes the one client that is there.
    pub(crate) fn by_hand(&self, change: impl FnOnce(&mut Map<String, Value>)) {
        change(&mut self.lock().clients.values_mut().next().unwrap().members);
    }

    /// What was sent since this was last asked.
    pub(crate) fn sent(&self) -> Vec<String> {
        std::mem::take(&mut self.lock().sent)
    }
}

impl State {
    fn next(&mut self, what: &str) -> String {
        self.number += 1;
        format!("{what}-{}", self.number)
    }

    /// Puts members in force as this server does.
    fn take(&mut self, client: &mut Client, mut asked: Map<String, Value>) {
        let method = |members: &Map<String, Value>| {
            let method = members.get("token_endpoint_auth_method").and_then(Value::as_str);
            method.unwrap_or("client_secret_basic").to_owned()
        };
        let before = method(&client.members);
        asked.remove("client_secret");
        if self.odd.merges {
            let mut merged = client.members.clone();
            for (name, value) in asked {
                let empty = value == json!("") || value == json!({"keys": []});
                match value {
                    Value::Null => drop(merged.remove(&name)),
                    _ if empty && self.odd.ignores_empty => {}
                    _ if empty => drop(merged.remove(&name)),
                    value => drop(merged.insert(name, value)),
                }
            }
            asked = merged;
        }
        asked.retain(|_, value| !value.is_null());
        if self.odd.drops_contacts {
            asked.remove("contacts");
        }
        if let Some(extra) = self.odd.adds_grant
            && let Some(grants) = asked.get_mut("grant_types").and_then(Value::as_array_mut)
        {
            grants.push(json!(extra));
        }
        if self.odd.refuses_unknown {
            asked.insert("x_region".into(), json!("eu"));
        }
        let now = method(&asked);
        let turns = self.odd.reissues || (self.odd.secret_turns_with_method && before != now);
        if now.starts_with("client_secret") && (client.secret.is_none() || turns) {
            let secret = self.next("secret");
            client.good.push(secret.clone());
            client.secret = Some(secret);
        }
        client.members = asked;
    }

    fn shown(&self, id: &str, client: &Client, looks: bool) -> Value {
        let mut shown = client.members.clone();
        if !(looks && self.odd.tells_no_id) {
            shown.insert("client_id".into(), json!(id));
        }
        let uses_secret = client
            .members
            .get("token_endpoint_auth_method")
            .and_then(Value::as_str)
            .is_some_and(|method| method.starts_with("client_secret"));
        if let Some(secret) = client.secret.as_ref().filter(|_| uses_secret)
            && !(looks && self.odd.hides_secret)
        {
            shown.insert("client_secret".into(), json!(secret));
        }
        shown.insert("registration_access_token".into(), json!(client.token));
        shown.insert("registration_client_uri".into(), json!(format!("{HOST}/reg/{id}")));
        Value::Object(shown)
    }

    fn answer(&mut self, issuer: &str, request: &Request) -> (u16, Value) {
        let header = |name: &str| {
            let found = request.headers.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| value.expose().to_owned()).unwrap_or_default()
        };
        let body = request.body.as_ref().map_or(&[][..], |body| &body.bytes[..]);
        let path = request.path.strip_prefix(HOST).unwrap_or(&request.path);
        let path = format!("/{}", path.trim_start_matches('/'));
        let below = issuer.trim_end_matches('/').strip_prefix(HOST).unwrap_or_default();
        let known = format!("/.well-known/oauth-authorization-server{below}");
        match (request.method, path.as_str()) {
            ("GET", at) if at == known && self.odd.takes_es256_and_basic_only => (
                200,
                json!({
                    "issuer": issuer,
                    "token_endpoint": format!("{HOST}/token"),
                    "token_endpoint_auth_methods_supported":
                        ["private_key_jwt", "client_secret_basic"],
                    "token_endpoint_auth_signing_alg_values_supported": ["ES256"],
                }),
            ),
            ("GET", at) if at == known => (
                200,
                json!({
                    "issuer": issuer,
                    "registration_endpoint": format!("{HOST}/reg"),
                    "token_endpoint": format!("{HOST}/token"),
                    "revocation_endpoint": format!("{HOST}/revoke"),
                    "introspection_endpoint": format!("{HOST}/introspect"),
                }),
            ),
            ("POST", "/reg") if self.odd.wants_initial => (401, json!({"error": "invalid_token"})),
            ("POST", "/reg") => {
                let mut asked: Map<String, Value> = serde_json::from_slice(body).unwrap();
                if self.odd.registers_open {
                    asked.insert("grant_types".into(), json!(["client_credentials"]));
                    asked.insert("token_endpoint_auth_method".into(), json!("client_secret_basic"));
                }
                let id = self.next("client");
                let mut client = Client {
                    members: Map::from_iter([("token_endpoint_auth_method".into(), json!("none"))]),
                    secret: None,
                    token: self.next("token"),
                    good: Vec::new(),
                };
                self.take(&mut client, asked);
                let shown = self.shown(&id, &client, false);
                self.clients.insert(id, client);
                (201, shown)
            }
            (method, at) if at.starts_with("/reg/") => {
                let id = at["/reg/".len()..].to_owned();
                let Some(mut client) = self.clients.get(&id).cloned() else {
                    return (401, json!({}));
                };
                if header("Authorization") != format!("Bearer {}", client.token) {
                    return (401, json!({}));
                }
                let answer = self.manage(method, &id, &mut client, body);
                if method == "DELETE" && answer.0 == 204 {
                    self.clients.remove(&id);
                } else {
                    self.clients.insert(id, client);
                }
                answer
            }
            ("POST", "/token") => self.sign_in(issuer, &header("Authorization"), body),
            ("POST", "/revoke") => {
                self.revoked = !self.odd.revokes_nothing;
                (200, json!({}))
            }
            ("POST", "/introspect") => (200, json!({"active": !self.revoked})),
            _ => (404, json!({})),
        }
    }

    fn manage(&mut self, method: &str, id: &str, client: &mut Client, body: &[u8]) -> (u16, Value) {
        match method {
            "GET" if self.odd.blind_after_put && self.put => (403, json!({})),
            "GET" => {
                if self.odd.token_turns_with_look {
                    client.token = self.next("token");
                }
                (200, self.shown(id, client, true))
            }
            "PUT" => {
                let asked: Map<String, Value> = serde_json::from_slice(body).unwrap();
                let refusal = (400, json!({"error": "invalid_client_metadata"}));
                if self.odd.refuses_changes {
                    return refusal;
                }
                if self.odd.refuses_unknown && asked.contains_key("x_region") {
                    return refusal;
                }
                if self.odd.refuses_null && asked.values().any(Value::is_null) {
                    return refusal;
                }
                let scope = |members: &Map<String, Value>| members.get("scope").cloned();
                if self.odd.forbids_scope && scope(&asked) != scope(&client.members) {
                    return (403, json!({"error": "access_denied"}));
                }
                self.put = true;
                if self.odd.answers_nothing {
                    self.take(client, asked);
                    return (204, Value::Null);
                }
                client.token = self.next("token");
                self.take(client, asked);
                (200, self.shown(id, client, false))
            }
            _ if self.odd.keeps_clients => (405, json!({})),
            _ => (204, json!({})),
        }
    }

    fn sign_in(&mut self, issuer: &str, authorization: &str, body: &[u8]) -> (u16, Value) {
        let refused = (401, json!({"error": "invalid_client"}));
        let form: BTreeMap<String, String> = String::from_utf8_lossy(body)
            .split('&')
            .filter_map(|field| field.split_once('='))
            .map(|(name, value)| {
                let value = percent_encoding::percent_decode_str(value).decode_utf8_lossy();
                (name.to_owned(), value.into_owned())
            })
            .collect();
        let signed_in = if let Some(assertion) = form.get("client_assertion") {
            let claims =
                assertion.split('.').nth(1).and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
            let claims: Value =
                serde_json::from_slice(&claims.unwrap_or_default()).unwrap_or_default();
            let known = self.clients.get(form["client_id"].as_str());
            claims["aud"] == json!(issuer)
                && known.is_some_and(|one| one.members.contains_key("jwks"))
        } else {
            let pair =
                authorization.strip_prefix("Basic ").and_then(|text| STANDARD.decode(text).ok());
            let pair = String::from_utf8(pair.unwrap_or_default()).unwrap_or_default();
            let (id, secret) = pair.split_once(':').unwrap_or_default();
            let client = self.clients.get(id);
            client.is_some_and(|one| {
                let uses = one.members["token_endpoint_auth_method"] != json!("none");
                let current = uses && one.secret.as_deref() == Some(secret);
                current || (self.odd.forgets_nothing && one.good.iter().any(|old| old == secret))
            })
        };
        match signed_in {
            true => {
                self.revoked = false;
                (200, json!({"access_token": "minted", "token_type": "Bearer", "expires_in": 1234}))
            }
            false => refused,
        }
    }
}

#[async_trait]
impl Transport for Scripted {
    async fn send(&self, request: Request) -> Result<Answer, TransportError> {
        let mut state = self.lock();
        state.sent.push(request.what());
        let (status, body) = state.answer(self.issuer, &request);
        if state.odd.loses_answers && request.method != "GET" {
            let message = "the answer is lost".to_owned();
            let outcome = connector::Outcome::Ambiguous;
            return Err(TransportError::network(message, outcome));
        }
        Ok(Answer::new(status, Vec::new(), body.to_string().into_bytes()))
    }
}
