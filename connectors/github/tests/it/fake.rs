//! A GitHub of our own: one organisation that keeps what it is told, and answers as the published
//! contract says that GitHub does. What is proven with it is proven of that, and not of GitHub itself.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use data_encoding::HEXLOWER;
use jiff::{SignedDuration, Timestamp};
use ring::{
    digest, hmac,
    signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey},
};
use serde_json::{Map, Value, json};

use super::http::{Asked, Told, serve};

/// The organisation, and the enterprise that owns it.
pub(crate) const ORG: &str = "acme";
pub(crate) const ENTERPRISE: &str = "acme-inc";
/// A token of an App's installation, which may do everything here.
pub(crate) const APP_TOKEN: &str = "ghs_of-an-app";
/// A token of a person, which may not look at other tokens.
pub(crate) const PERSONS_TOKEN: &str = "github_pat_of-a-person";
/// A token that may look at everything and change nothing: GitHub hides what it may not change.
pub(crate) const LOOKING_TOKEN: &str = "ghs_that-looks";
/// What a form leaves as it is.
const FORM: &percent_encoding::AsciiSet = &percent_encoding::NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b'*');
const WHEN: &str = "2026-11-30T10:00:00Z";

#[derive(Debug, Clone)]
struct Key {
    id: u64,
    title: String,
    line: String,
    read_only: bool,
    enabled: bool,
    made: String,
}

#[derive(Debug, Clone)]
struct Hook {
    id: u64,
    active: bool,
    events: Vec<Value>,
    config: Map<String, Value>,
    deliveries: Vec<Value>,
}

/// A refusal: status, headers, message.
type Instead = (u16, Vec<(&'static str, String)>, &'static str);

#[derive(Debug, Default)]
struct State {
    number: u64,
    repositories: BTreeSet<String>,
    installations: Vec<Value>,
    grants: Vec<Value>,
    keys: BTreeMap<String, Vec<Key>>,
    /// By repository; the organisation's under nothing.
    hooks: BTreeMap<String, Vec<Hook>>,
    variables: BTreeMap<String, String>,
    /// What was asked: method, path, status.
    asked: Vec<(String, String, u16)>,
    /// What is answered instead, a few times.
    instead: Vec<Instead>,
    /// No more than this on a page.
    page: Option<usize>,
    /// What a ping delivers is told later, after so many looks.
    late: usize,
    /// Deliveries are told without what was sent.
    secretive: bool,
    /// Keys are told without their address.
    breaks_contract: bool,
    /// The App that may sign in: its number, and the public half of its key.
    app: Option<(String, Vec<u8>)>,
    /// Tokens that it got.
    minted: Vec<String>,
    /// How many seconds such a token lives.
    life: i64,
}

/// The server. Clones share it.
#[derive(Clone)]
pub(crate) struct Fake {
    state: Arc<Mutex<State>>,
    pub(crate) address: String,
}

/// Now, as GitHub writes it.
fn now() -> String {
    Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn refusal(status: u16, message: &str) -> Told {
    Told::new(
        status,
        json!({
            "message": message, "documentation_url": "https://docs.github.com/rest", "status": status.to_string(),
        }),
    )
}

fn has_id(one: &Value, id: &str) -> bool {
    one["id"].as_u64() == id.parse().ok()
}

fn not_found() -> Told {
    refusal(404, "Not Found")
}

fn invalid(message: &str) -> Told {
    Told::new(
        422,
        json!({
            "message": "Validation Failed", "documentation_url": "https://docs.github.com/rest",
            "errors": [{ "resource": "x", "field": "x", "code": "custom", "message": message }],
        }),
    )
}

/// An object with a URL under each of these names.
fn with_urls(mut object: Value, names: &[&str]) -> Value {
    for name in names {
        object[*name] = json!("https://api.github.com/x");
    }
    object
}

fn user(login: &str) -> Value {
    let urls = [
        "avatar_url",
        "events_url",
        "followers_url",
        "following_url",
        "gists_url",
        "html_url",
        "organizations_url",
        "received_events_url",
        "repos_url",
        "starred_url",
        "subscriptions_url",
        "url",
    ];
    let user = json!({
        "login": login, "id": 7, "node_id": "x", "gravatar_id": "", "type": "User", "site_admin": false,
    });
    with_urls(user, &urls)
}

fn repository(name: &str) -> Value {
    let urls = [
        "archive_url",
        "assignees_url",
        "blobs_url",
        "branches_url",
        "collaborators_url",
        "comments_url",
        "commits_url",
        "compare_url",
        "contents_url",
        "contributors_url",
        "deployments_url",
        "downloads_url",
        "events_url",
        "forks_url",
        "git_commits_url",
        "git_refs_url",
        "git_tags_url",
        "hooks_url",
        "html_url",
        "issue_comment_url",
        "issue_events_url",
        "issues_url",
        "keys_url",
        "labels_url",
        "languages_url",
        "merges_url",
        "milestones_url",
        "notifications_url",
        "pulls_url",
        "releases_url",
        "stargazers_url",
        "statuses_url",
        "subscribers_url",
        "subscription_url",
        "tags_url",
        "teams_url",
        "trees_url",
        "url",
    ];
    let repository = json!({
        "id": 11, "node_id": "x", "name": name, "full_name": format!("{ORG}/{name}"), "owner": user(ORG),
        "private": true, "description": null, "fork": false,
    });
    with_urls(repository, &urls)
}

fn organization() -> Value {
    let urls = [
        "url",
        "repos_url",
        "events_url",
        "hooks_url",
        "issues_url",
        "members_url",
        "public_members_url",
        "avatar_url",
        "html_url",
    ];
    let organization = json!({
        "login": ORG, "id": 4711, "node_id": "x", "description": null, "has_organization_projects": true,
        "has_repository_projects": true, "public_repos": 0, "public_gists": 0, "followers": 0, "following": 0,
        "type": "Organization", "created_at": WHEN, "updated_at": WHEN, "archived_at": null,
    });
    with_urls(organization, &urls)
}

impl Key {
    fn told(&self) -> Value {
        json!({
            "id": self.id, "key": self.line, "url": "https://api.github.com/x", "title": self.title,
            "verified": true, "created_at": self.made, "read_only": self.read_only, "added_by": "octocat",
            "last_used": null, "enabled": self.enabled,
        })
    }
}

impl Hook {
    fn told(&self, of_repository: bool) -> Value {
        let mut told = with_urls(
            json!({
                "id": self.id, "name": "web", "active": self.active, "events": self.events,
                "config": self.config_told(), "created_at": WHEN, "updated_at": WHEN,
                "type": if of_repository { "Repository" } else { "Organization" },
            }),
            &["url", "ping_url", "deliveries_url"],
        );
        if of_repository {
            told["test_url"] = json!("https://api.github.com/x");
            told["last_response"] = json!({ "code": null, "status": "unused", "message": null });
        }
        told
    }

    /// Of a secret only that there is one.
    fn config_told(&self) -> Value {
        let mut config = self.config.clone();
        if let Some(secret) = config.get_mut("secret") {
            *secret = json!("********");
        }
        Value::Object(config)
    }

    /// Sends what a ping sends, and keeps an account of it.
    fn ping(&mut self, id: u64) {
        let payload = json!({
            "zen": "Practicality beats \"purity\", {even} in [brackets] é.", "hook_id": self.id, "n": [1, 2.50],
        });
        let sent = match self.config.get("content_type").and_then(Value::as_str) {
            Some("json") => payload.to_string(),
            _ => {
                let bytes = payload.to_string();
                let text = percent_encoding::utf8_percent_encode(&bytes, FORM).to_string();
                format!("payload={}", text.replace("%20", "+"))
            }
        };
        let mut headers = json!({ "X-GitHub-Event": "ping", "Accept": "*/*" });
        if let Some(secret) = self.config.get("secret").and_then(Value::as_str) {
            let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
            let signature = HEXLOWER.encode(hmac::sign(&key, sent.as_bytes()).as_ref());
            headers["X-Hub-Signature-256"] = format!("sha256={signature}").into();
        }
        self.deliveries.insert(
            0,
            json!({
                "id": id, "guid": "x", "delivered_at": WHEN, "redelivery": false, "duration": 0.1,
                "status": "failed to connect", "status_code": 502, "event": "ping", "action": null,
                "installation_id": null, "repository_id": null,
                "request": { "headers": headers, "payload": payload },
                "response": { "headers": {}, "payload": "" },
            }),
        );
    }
}

impl State {
    fn next(&mut self) -> u64 {
        self.number += 1;
        self.number
    }

    /// A page of a listing, and where the next one is.
    fn page(&self, asked: &Asked, all: Vec<Value>, most: usize, of: Option<&str>) -> Told {
        let per_page = asked.number("per_page", 30).min(most).min(self.page.unwrap_or(most)).max(1);
        let page = asked.number("page", 1).max(1);
        let total = all.len();
        let items: Vec<Value> =
            all.into_iter().skip((page - 1) * per_page).take(per_page).collect();
        let body = match of {
            Some(name) => json!({ "total_count": total, name: items }),
            None => Value::Array(items),
        };
        let mut told = Told::new(200, body);
        if page * per_page < total {
            // As GitHub does: by its own name for the same listing.
            let link = format!(
                "<https://api.github.com/organizations/4711/x?per_page={per_page}&page={}>; rel=\"next\", \
                 <https://api.github.com/organizations/4711/x?per_page={per_page}&page=9>; rel=\"last\"",
                page + 1
            );
            told.headers.push(("link", link));
        }
        told
    }

    fn answer(&mut self, asked: &Asked) -> Told {
        let token = asked.header("authorization").and_then(|text| text.strip_prefix("Bearer "));
        let token = token.unwrap_or_default().to_owned();
        let [app, person, looks] =
            [APP_TOKEN, PERSONS_TOKEN, LOOKING_TOKEN].map(|known| token == known);
        let app = app || self.minted.contains(&token);
        let agent = asked.header("user-agent").is_some_and(|agent| !agent.is_empty());
        let version = asked.header("x-github-api-version") == Some("2022-11-28");
        let accepts = asked.header("accept") == Some("application/vnd.github+json");
        if !agent || !version || !accepts {
            return refusal(403, "Request forbidden by administrative rules");
        }
        let path = asked.path.clone();
        let parts: Vec<&str> = path.split('/').collect();
        match (asked.method.as_str(), &parts[..]) {
            ("GET", ["orgs", ORG, "installation"]) if self.is_statement(&token) => {
                let found = self.installations.iter().find(|one| one["app_slug"] == "ci-bot");
                return found.map_or_else(not_found, |one| Told::new(200, one.clone()));
            }
            ("POST", ["app", "installations", _, "access_tokens"]) if self.is_statement(&token) => {
                let token = format!("ghs_minted-{}", self.next());
                self.minted.push(token.clone());
                let end = Timestamp::now() + SignedDuration::from_secs(self.life);
                let end = end.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
                return Told::new(201, json!({ "token": token, "expires_at": end }));
            }
            _ => {}
        }
        if !(app || person || looks) {
            return refusal(401, "Bad credentials");
        }
        if looks && asked.method != "GET" {
            return not_found();
        }
        match (asked.method.as_str(), &parts[..]) {
            ("GET", ["orgs", ORG]) => Told::new(200, organization()),
            ("GET", ["orgs", ORG, "repos"]) => {
                let all = self.repositories.iter().map(|name| repository(name)).collect();
                self.page(asked, all, 100, None)
            }
            ("GET", ["orgs", ORG, "installations"]) => {
                self.page(asked, self.installations.clone(), 100, Some("installations"))
            }
            (
                "DELETE",
                ["enterprises", ENTERPRISE, "apps", "organizations", ORG, "installations", id],
            ) => {
                let before = self.installations.len();
                self.installations.retain(|one| !has_id(one, id));
                if self.installations.len() < before { Told::nothing(204) } else { not_found() }
            }
            (_, ["orgs", ORG, "personal-access-tokens", ..]) if person => {
                refusal(403, "Resource not accessible by personal access token")
            }
            ("GET", ["orgs", ORG, "personal-access-tokens"]) => {
                self.page(asked, self.grants.clone(), 100, None)
            }
            ("POST", ["orgs", ORG, "personal-access-tokens", id]) => {
                let before = self.grants.len();
                if asked.body["action"] != "revoke" {
                    return invalid("action is not included in the list");
                }
                self.grants.retain(|one| !has_id(one, id));
                if self.grants.len() < before { Told::nothing(204) } else { not_found() }
            }
            (_, ["orgs", ORG, "actions", "variables", rest @ ..]) => self.variable(asked, rest),
            (_, ["orgs", ORG, "hooks", rest @ ..]) => self.hook(asked, "", rest),
            (_, ["repos", ORG, name, kind, rest @ ..]) if self.repositories.contains(*name) => {
                match *kind {
                    "keys" => self.key(asked, name, rest),
                    "hooks" => self.hook(asked, name, rest),
                    _ => not_found(),
                }
            }
            _ => not_found(),
        }
    }

    /// Whether it is what the App says of itself, signed by it, and of now.
    fn is_statement(&self, token: &str) -> bool {
        let Some((id, public)) = &self.app else { return false };
        let Some((signed, signature)) = token.rsplit_once('.') else { return false };
        let read = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap_or_default();
        let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public);
        if key.verify(signed.as_bytes(), &read(signature)).is_err() {
            return false;
        }
        let claims = read(signed.split('.').nth(1).unwrap_or_default());
        let claims: Value = serde_json::from_slice(&claims).unwrap_or_default();
        let [from, until] = ["iat", "exp"].map(|name| claims[name].as_i64().unwrap_or(0));
        let now = Timestamp::now().as_second();
        claims["iss"] == *id && from <= now && until > now && until - now <= 600
    }

    fn variable(&mut self, asked: &Asked, rest: &[&str]) -> Told {
        match (asked.method.as_str(), rest) {
            ("GET", []) => {
                let all = self.variables.iter().map(|(name, value)| {
                    json!({
                        "name": name, "value": value, "created_at": WHEN, "updated_at": WHEN,
                        "visibility": "selected", "selected_repositories_url": "https://api.github.com/x",
                    })
                });
                self.page(asked, all.collect(), 30, Some("variables"))
            }
            ("POST", []) => {
                let [name, value] =
                    ["name", "value"].map(|name| asked.body[name].as_str().unwrap_or_default());
                let hidden = asked.body["visibility"] == "selected"
                    && asked.body["selected_repository_ids"] == json!([]);
                assert!(hidden, "a variable that repositories get to see: {}", asked.body);
                if self.variables.contains_key(name) {
                    return refusal(409, "Already exists - Variable already exists");
                }
                self.variables.insert(name.to_uppercase(), value.to_owned());
                Told::new(201, json!({}))
            }
            ("PATCH", [name]) => match self.variables.get_mut(*name) {
                Some(known) => {
                    asked.body["value"].as_str().unwrap_or_default().clone_into(known);
                    Told::nothing(204)
                }
                None => not_found(),
            },
            ("DELETE", [name]) => match self.variables.remove(*name) {
                Some(_) => Told::nothing(204),
                None => not_found(),
            },
            _ => not_found(),
        }
    }

    fn key(&mut self, asked: &Asked, repository: &str, rest: &[&str]) -> Told {
        let id = self.number + 1;
        let taken = |line: &str, keys: &BTreeMap<String, Vec<Key>>| {
            keys.values().flatten().any(|one| one.line == line)
        };
        let all = self.keys.entry(repository.to_owned()).or_default();
        match (asked.method.as_str(), rest) {
            ("GET", []) => {
                let mut all: Vec<Value> = all.iter().map(Key::told).collect();
                for one in all.iter_mut().filter(|_| self.breaks_contract) {
                    one.as_object_mut().unwrap().remove("url");
                }
                self.page(asked, all, 100, None)
            }
            ("POST", []) => {
                let text = |name: &str| asked.body[name].as_str().unwrap_or_default().to_owned();
                // What stands behind the key itself is not kept.
                let line: Vec<String> =
                    text("key").split_whitespace().take(2).map(str::to_owned).collect();
                let line = line.join(" ");
                if !line.starts_with("ssh-ed25519 AAAA") {
                    return invalid(
                        "key is invalid. You must supply a key in OpenSSH public key format",
                    );
                }
                if taken(&line, &self.keys) {
                    return invalid("key is already in use");
                }
                let read_only = asked.body["read_only"].as_bool().unwrap_or(false);
                let one =
                    Key { id, title: text("title"), line, read_only, enabled: true, made: now() };
                let told = one.told();
                self.keys.entry(repository.to_owned()).or_default().push(one);
                self.number = id;
                Told::new(201, told)
            }
            ("DELETE", [id]) => {
                let before = all.len();
                all.retain(|one| one.id.to_string() != *id);
                if all.len() < before { Told::nothing(204) } else { not_found() }
            }
            _ => not_found(),
        }
    }

    fn hook(&mut self, asked: &Asked, repository: &str, rest: &[&str]) -> Told {
        let (id, of_repository) = (self.number + 1, !repository.is_empty());
        let (late, secretive) = (self.late, self.secretive);
        let all = self.hooks.entry(repository.to_owned()).or_default();
        let config = |asked: &Value| asked.as_object().cloned().unwrap_or_default();
        match (asked.method.as_str(), rest) {
            ("GET", []) => {
                let all = all.iter().map(|hook| hook.told(of_repository)).collect();
                return self.page(asked, all, 100, None);
            }
            ("POST", []) => {
                let config = config(&asked.body["config"]);
                let hook = Hook {
                    id,
                    active: asked.body["active"].as_bool().unwrap_or(true),
                    events: asked.body["events"].as_array().cloned().unwrap_or_default(),
                    config,
                    deliveries: Vec::new(),
                };
                let told = hook.told(of_repository);
                all.push(hook);
                self.number = id;
                return Told::new(201, told);
            }
            ("DELETE", [id]) => {
                let before = all.len();
                all.retain(|hook| hook.id.to_string() != *id);
                return if all.len() < before { Told::nothing(204) } else { not_found() };
            }
            _ => {}
        }
        let Some(hook) =
            rest.first().and_then(|id| all.iter_mut().find(|hook| hook.id.to_string() == *id))
        else {
            return not_found();
        };
        match (asked.method.as_str(), &rest[1..]) {
            ("PATCH", []) => {
                if let Some(events) = asked.body["events"].as_array() {
                    hook.events = events.clone();
                }
                hook.active = asked.body["active"].as_bool().unwrap_or(hook.active);
                // Who names a way to deliver and no secret has none from then on.
                if asked.body["config"].is_object() {
                    hook.config = config(&asked.body["config"]);
                }
                Told::new(200, hook.told(of_repository))
            }
            ("PATCH", ["config"]) => {
                hook.config.extend(config(&asked.body));
                Told::new(200, hook.config_told())
            }
            ("POST", ["pings"]) => {
                hook.ping(id);
                self.number = id;
                Told::nothing(204)
            }
            ("GET", ["deliveries"]) => {
                let shown = if late > 0 { 1 } else { 0 };
                self.late = late.saturating_sub(1);
                let all = hook.deliveries.iter().skip(shown).cloned().map(|mut one| {
                    for hidden in ["request", "response"] {
                        one.as_object_mut().unwrap().remove(hidden);
                    }
                    one
                });
                Told::new(200, all.collect())
            }
            ("GET", ["deliveries", id]) => {
                let found = hook.deliveries.iter().find(|one| has_id(one, id)).cloned();
                match found {
                    Some(mut one) if secretive => {
                        one["request"] = json!({ "headers": null, "payload": null });
                        Told::new(200, one)
                    }
                    Some(one) => Told::new(200, one),
                    None => not_found(),
                }
            }
            _ => not_found(),
        }
    }
}

impl Fake {
    /// An organisation with two repositories, an App, and a person's token.
    pub(crate) fn start() -> Fake {
        let state = State {
            number: 100,
            life: 3600,
            repositories: ["api", "web"].map(str::to_owned).into(),
            ..State::default()
        };
        let state = Arc::new(Mutex::new(state));
        let shared = state.clone();
        let address = serve(Arc::new(move |asked: &Asked| {
            let mut state = shared.lock().unwrap();
            let mut told = match state.instead.pop() {
                Some((status, headers, message)) => {
                    let mut told = refusal(status, message);
                    told.headers = headers;
                    told
                }
                None => state.answer(asked),
            };
            if asked.method == "GET" && told.status == 200 {
                let body = told.body.as_ref().map(Value::to_string).unwrap_or_default();
                let link = told.headers.first().map(|(_, link)| link.clone()).unwrap_or_default();
                let digest = digest::digest(&digest::SHA256, format!("{body}{link}").as_bytes());
                let etag = format!("W/\"{}\"", HEXLOWER.encode(&digest.as_ref()[..16]));
                if asked.header("if-none-match") == Some(etag.as_str()) {
                    told = Told::nothing(304);
                }
                told.headers.push(("etag", etag));
            }
            told.headers.push(("x-ratelimit-limit", "5000".into()));
            if !told.headers.iter().any(|(name, _)| *name == "x-ratelimit-remaining") {
                told.headers.push(("x-ratelimit-remaining", "4999".into()));
                told.headers.push(("x-ratelimit-reset", "1900000000".into()));
            }
            state.asked.push((asked.method.clone(), asked.path.clone(), told.status));
            told
        }));
        let fake = Fake { state, address };
        fake.install("ci-bot", &[("contents", "write"), ("metadata", "read")]);
        fake.grant("alice", "laptop");
        fake
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// What was asked since this was last asked: method, path, status.
    pub(crate) fn asked(&self) -> Vec<(String, String, u16)> {
        std::mem::take(&mut self.lock().asked)
    }

    /// The next request is answered so.
    pub(crate) fn answer_once(
        &self,
        status: u16,
        headers: &[(&'static str, &str)],
        message: &'static str,
    ) {
        let headers = headers.iter().map(|(name, text)| (*name, (*text).to_owned())).collect();
        self.lock().instead.push((status, headers, message));
    }

    /// From now on there are no more than so many on a page.
    pub(crate) fn page_by(&self, most: usize) {
        self.lock().page = Some(most);
    }

    /// The next ping's delivery is told after so many looks.
    pub(crate) fn deliver_late(&self, looks: usize) {
        self.lock().late = looks;
    }

    /// Deliveries are told without what was sent, or with it again.
    pub(crate) fn keep_quiet(&self, quiet: bool) {
        self.lock().secretive = quiet;
    }

    /// From now on keys are told otherwise than the contract says.
    pub(crate) fn break_contract(&self) {
        self.lock().breaks_contract = true;
    }

    /// From now on the App of this number may sign in, with a key whose public half this is; its tokens
    /// live so many seconds.
    pub(crate) fn let_app_in(&self, id: &str, public: Vec<u8>, life: i64) {
        let mut state = self.lock();
        (state.app, state.life) = (Some((id.to_owned(), public)), life);
    }

    /// Somebody installs an App.
    pub(crate) fn install(&self, slug: &str, permissions: &[(&str, &str)]) -> u64 {
        let mut state = self.lock();
        let id = state.next();
        let permissions: Map<String, Value> =
            permissions.iter().map(|(name, level)| ((*name).to_owned(), json!(level))).collect();
        let one = json!({
            "id": id, "account": user(ORG), "repository_selection": "selected", "app_id": 3, "app_slug": slug,
            "target_id": 4711, "target_type": "Organization", "permissions": permissions, "events": [],
            "created_at": WHEN, "updated_at": WHEN, "single_file_name": null, "suspended_by": null,
            "suspended_at": null,
        });
        let one = with_urls(one, &["access_tokens_url", "repositories_url", "html_url"]);
        state.installations.push(one);
        id
    }

    /// Somebody suspends an App.
    pub(crate) fn suspend(&self, slug: &str) {
        for one in self.lock().installations.iter_mut().filter(|one| one["app_slug"] == slug) {
            one["suspended_at"] = WHEN.into();
            one["suspended_by"] = user("admin");
        }
    }

    /// Somebody's token gets access; the grant's number.
    pub(crate) fn grant(&self, login: &str, name: &str) -> u64 {
        let mut state = self.lock();
        let id = state.next();
        let one = json!({
            "id": id, "owner": user(login), "repository_selection": "subset",
            "repositories_url": "https://api.github.com/x",
            "permissions": {
                "organization": { "members": "read" }, "repository": { "contents": "write", "metadata": "read" },
            },
            "access_granted_at": "2026-11-01T08:47:09.000-07:00", "token_id": id + 1000, "token_name": name,
            "token_expired": false, "token_expires_at": "2027-11-16T08:47:09.000-07:00",
            "token_last_used_at": null,
        });
        state.grants.push(one);
        id
    }

    /// Somebody makes a repository.
    pub(crate) fn add_repository(&self, name: &str) {
        self.lock().repositories.insert(name.to_owned());
    }

    /// Somebody adds a deploy key; its number.
    pub(crate) fn add_key(&self, repository: &str, title: &str) -> u64 {
        let mut state = self.lock();
        let id = state.next();
        let line = format!("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{id:043}");
        let one =
            Key { id, title: title.to_owned(), line, read_only: true, enabled: true, made: now() };
        state.keys.entry(repository.to_owned()).or_default().push(one);
        id
    }

    /// The organisation forbids deploy keys, or allows them again.
    pub(crate) fn allow_keys(&self, allow: bool) {
        for one in self.lock().keys.values_mut().flatten() {
            one.enabled = allow;
        }
    }

    /// The deploy keys of a repository: title and line.
    pub(crate) fn keys(&self, repository: &str) -> Vec<(String, String)> {
        let state = self.lock();
        let keys = state.keys.get(repository).into_iter().flatten();
        keys.map(|one| (one.title.clone(), one.line.clone())).collect()
    }

    /// Somebody makes a webhook of the organisation; its number.
    pub(crate) fn add_hook(&self, url: &str, secret: Option<&str>) -> u64 {
        let mut state = self.lock();
        let id = state.next();
        let mut config = json!({ "url": url, "content_type": "form", "insecure_ssl": "0" });
        if let Some(secret) = secret {
            config["secret"] = secret.into();
        }
        let config = config.as_object().cloned().unwrap_or_default();
        let events = vec![json!("push")];
        let hook = Hook { id, active: true, events, config, deliveries: Vec::new() };
        state.hooks.entry(String::new()).or_default().push(hook);
        id
    }

    /// What a webhook signs with, as GitHub alone knows.
    pub(crate) fn secret_of(&self, repository: &str, id: &str) -> Option<String> {
        let state = self.lock();
        let mut hooks = state.hooks.get(repository).into_iter().flatten();
        let hook = hooks.find(|hook| hook.id.to_string() == id)?;
        hook.config.get("secret").and_then(Value::as_str).map(str::to_owned)
    }

    /// The variables: name and value.
    pub(crate) fn variables(&self) -> BTreeMap<String, String> {
        self.lock().variables.clone()
    }

    /// Somebody writes a variable, or takes it away.
    pub(crate) fn write_variable(&self, name: &str, value: Option<&str>) {
        match value {
            Some(value) => self.lock().variables.insert(name.to_owned(), value.to_owned()),
            None => self.lock().variables.remove(name),
        };
    }
}
