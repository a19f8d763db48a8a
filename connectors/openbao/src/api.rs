//! Their words: requests to OpenBao's API and the shapes of its answers.
//!
//! Every answer becomes a typed value here, and what may be a live secret becomes a
//! [`Secret`] while it is parsed. Nothing of a body reaches an error: refusals are told apart by
//! [`Said`] and worded by us.

use std::{any::Any, borrow::Cow, collections::BTreeMap, sync::Arc};

pub(crate) use connector::transport::json::{read as parse, write as json};
use connector::{
    Error, Outcome, Refusal, Result,
    transport::{Answer, Request, Transport},
};
use domain::Secret;
use jiff::Timestamp;
use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};
use secrets::Document;
use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned};
use serde_json::Value;
use tokio::sync::OnceCell;

use crate::{scope::policy_name, tables::setting, token::Token};

/// What is escaped in a path. Slashes stay: names and mounts may have several segments.
const PATH: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'`')
    .add(b'{')
    .add(b'}')
    .add(b'\\')
    .add(b'^')
    .add(b'|')
    .add(b'+')
    .add(b'[')
    .add(b']');

/// A path as it goes into a URL.
pub(crate) fn encode(path: &str) -> String {
    utf8_percent_encode(path, PATH).to_string()
}

/// A text as it goes into a query.
pub(crate) fn encode_all(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// A request as people know it: method and path. No path of this API holds a secret.
pub(crate) fn told(request: &Request) -> String {
    let path = request.path.split('?').next().unwrap_or_default();
    format!("{} {}", request.method, path.strip_prefix("v1/").unwrap_or(path))
}

/// One server in one namespace, signed in as ourselves.
#[derive(Debug)]
pub(crate) struct Api {
    transport: Arc<dyn Transport>,
    namespace: Option<String>,
    token: Token,
    cluster: OnceCell<String>,
}

/// What a refusal said, as far as anything hangs on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Said {
    /// An empty list of errors, which is how the server says that nothing is there.
    Nothing,
    /// `permission denied`.
    PermissionDenied,
    /// Role id or secret id are not accepted.
    InvalidLogin,
    /// This secret id is there already.
    AlreadyRegistered,
    /// No such accessor.
    NoAccessor,
    /// Compare-and-set failed.
    Stale,
    /// No such role, said with a status that means something else.
    NoRole,
    /// No such mount, or the mount does not know the path.
    NoRoute,
    /// The connection's namespace is not there.
    NoNamespace,
    /// The server speaks TLS, and was spoken to without.
    WantsTls,
    /// A policy that the server's parser refuses.
    BadPolicy,
    /// More than the role's own limits leave to a secret id.
    BeyondRole,
    /// One of our settings is above another.
    Above(&'static str, &'static str),
    /// One of our settings is what the server does not take, beside the others.
    Unfit(&'static str),
    /// A role that anybody could sign in with.
    Unbound,
    /// Anything else.
    Other,
}

/// What is said of a setting by its name: `'a' cannot be greater than 'b'`, `invalid 'a' value …`. The
/// names are ours and so are the words: nothing of what was sent is passed on.
fn of_setting(text: &str) -> Option<Said> {
    let quoted = |text: &'_ str| -> Option<(&'static str, String)> {
        let (name, rest) = text.strip_prefix('\'')?.split_once('\'')?;
        Some((setting(name)?, rest.to_owned()))
    };
    let (name, rest) = quoted(text.strip_prefix("invalid ").unwrap_or(text))?;
    if let Some((other, _)) = rest.strip_prefix(" cannot be greater than ").and_then(quoted) {
        return Some(Said::Above(name, other));
    }
    let unfit = rest.starts_with(" cannot be ") || rest.starts_with(" value");
    unfit.then_some(Said::Unfit(name))
}

impl Said {
    /// Reads an error's body. Never kept, only compared.
    pub(crate) fn read(body: &[u8]) -> Said {
        #[derive(Deserialize)]
        struct Errors {
            errors: Option<Vec<String>>,
            warnings: Option<Vec<String>>,
            data: Option<Inner>,
        }
        #[derive(Deserialize)]
        struct Inner {
            error: Option<String>,
        }
        let Ok(said) = serde_json::from_slice::<Errors>(body) else {
            let wants_tls = body.starts_with(b"Client sent an HTTP request to an HTTPS server");
            return if wants_tls { Said::WantsTls } else { Said::Other };
        };
        let lists_errors = said.errors.is_some();
        let mut texts = said.errors.unwrap_or_default();
        texts.extend(said.data.and_then(|inner| inner.error));
        if texts.is_empty() {
            // A path that a KV v2 mount does not know is a 404 with a warning and no errors.
            let warned = said.warnings.is_some_and(|warnings| !warnings.is_empty());
            return match (warned, lists_errors) {
                (true, _) => Said::NoRoute,
                (false, true) => Said::Nothing,
                (false, false) => Said::Other,
            };
        }
        let text = texts.join("\n").to_lowercase();
        let any = |needles: &[&str]| needles.iter().any(|needle| text.contains(needle));
        if any(&[
            "invalid role or secret id",
            "invalid secret id",
            "invalid role id",
            "invalid secret_id",
        ]) {
            Said::InvalidLogin
        } else if any(&["already registered"]) {
            Said::AlreadyRegistered
        } else if any(&[
            "failed to find accessor entry",
            "invalid accessor",
            "invalid secret_id_accessor",
        ]) {
            Said::NoAccessor
        } else if any(&["check-and-set"]) {
            Said::Stale
        } else if text.contains("role") && text.contains("does not exist") {
            Said::NoRole
        } else if any(&["no handler for route", "unsupported path", "unsupported operation"]) {
            Said::NoRoute
        } else if any(&[
            "cannot be longer than the role's",
            "cannot be higher than the role's",
            "failed to verify subset relationship",
        ]) {
            Said::BeyondRole
        } else if any(&["namespace not found"]) {
            Said::NoNamespace
        } else if any(&["failed to parse policy"]) {
            Said::BadPolicy
        } else if any(&["permission denied"]) {
            Said::PermissionDenied
        } else if any(&["at least one constraint should be enabled"]) {
            Said::Unbound
        } else {
            text.lines().find_map(of_setting).unwrap_or(Said::Other)
        }
    }

    /// In our own words.
    fn words(self) -> Cow<'static, str> {
        let words = match self {
            Said::Above(name, other) => return format!("{name} is above {other}").into(),
            Said::Unfit(name) => {
                return format!("it does not take this {name} beside the other settings").into();
            }
            Said::Unbound => {
                "a role has to ask for a secret id, or to bind addresses (token_bound_cidrs, \
                 secret_id_bound_cidrs)"
            }
            Said::Nothing => "nothing is there",
            Said::PermissionDenied => "permission denied",
            Said::InvalidLogin => "role id or secret id are not accepted",
            Said::AlreadyRegistered => "this secret id is registered already",
            Said::NoAccessor => "no such accessor",
            Said::Stale => "somebody else changed it in between (check-and-set)",
            Said::NoRole => "no such role",
            Said::NoRoute => "the server has nothing at this path",
            Said::NoNamespace => "there is no such namespace",
            Said::WantsTls => "the server speaks TLS: its address begins with https://",
            Said::BadPolicy => "the server's parser does not take the policy",
            Said::BeyondRole => {
                "the role's own secret_id_ttl, secret_id_num_uses or secret_id_bound_cidrs leave less \
                 to a secret id than is asked for"
            }
            Said::Other => "refused",
        };
        words.into()
    }
}

/// What an answer that is no success means.
pub(crate) fn refused(what: &str, answer: &Answer, changes: bool) -> Error {
    let said = Said::read(&answer.body);
    if said == Said::NoNamespace {
        return Error::Configuration(format!(
            "{what}: the namespace of this connection is not there: correct it in nhi.hcl, or make it \
             with `bao namespace create`"
        ));
    }
    let refusal = match (answer.status, said) {
        (_, Said::Stale | Said::AlreadyRegistered) => Some(Refusal::Conflict),
        (_, Said::NoRole | Said::NoAccessor) => Some(Refusal::NotFound),
        (_, Said::BeyondRole) => Some(Refusal::Invalid),
        (404, Said::Nothing | Said::NoRoute) => Some(Refusal::NotFound),
        // A gateway's, or another program's: it says nothing about what is at the server.
        (404, _) => {
            return Error::UnexpectedAnswer {
                what: what.to_owned(),
                message:
                    "status 404, and not as the server says it: something else is in between, or the \
                          address is wrong"
                        .to_owned(),
            };
        }
        (status, _) => Refusal::of_status(status),
    };
    let Some(refusal) = refusal else {
        if answer.status == 503 {
            return Error::NotReady {
                what: what.to_owned(),
                message: "status 503: the server is sealed or not ready".to_owned(),
                outcome: if changes { Outcome::Ambiguous } else { Outcome::NotSent },
            };
        }
        return Error::no_judgment(what, format!("status {}", answer.status), changes);
    };
    let hint = match refusal {
        Refusal::Forbidden | Refusal::Unauthorized => {
            "; the connection's own token is not valid, or its policy does not allow this path"
        }
        _ => "",
    };
    Error::Refused {
        what: what.to_owned(),
        refusal,
        message: format!("status {}: {}{hint}", answer.status, said.words()),
    }
}

/// The envelope of most answers.
#[derive(Debug, Deserialize)]
pub(crate) struct Envelope<T> {
    pub(crate) data: Option<T>,
    #[serde(default)]
    pub(crate) auth: Option<Auth>,
}

/// What a sign-in gives.
#[derive(Debug, Deserialize)]
pub(crate) struct Auth {
    #[serde(deserialize_with = "secret")]
    pub(crate) client_token: Secret,
    #[serde(default)]
    pub(crate) accessor: String,
    #[serde(default, deserialize_with = "texts")]
    pub(crate) metadata: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) lease_duration: u64,
    #[serde(default)]
    pub(crate) token_type: String,
}

/// Reads a text straight into a [`Secret`].
pub(crate) fn secret<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> std::result::Result<Secret, D::Error> {
    String::deserialize(deserializer).map(Secret::new)
}

/// Reads a list that the server writes as `null` when it is empty.
fn list<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Vec<String>, D::Error> {
    Ok(Option::<Vec<String>>::deserialize(deserializer)?.unwrap_or_default())
}

/// Reads a list of policies' names.
fn policies<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> std::result::Result<Vec<String>, D::Error> {
    Ok(list(deserializer)?.iter().map(|name| policy_name(name)).collect())
}

/// Reads a map of texts that the server writes as `null` when it is empty. Other values are left
/// out: nothing of ours has another type.
fn texts<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> std::result::Result<BTreeMap<String, String>, D::Error> {
    let map = Option::<BTreeMap<String, Value>>::deserialize(deserializer)?.unwrap_or_default();
    Ok(map
        .into_iter()
        .filter_map(|(key, value)| match value {
            Value::String(text) => Some((key, text)),
            _ => None,
        })
        .collect())
}

/// The same, where it matters whether the server said anything: its `null` is an empty map.
fn told_texts<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> std::result::Result<Option<BTreeMap<String, String>>, D::Error> {
    texts(deserializer).map(Some)
}

/// Reads a time; the server's "never" (year one) and an empty text are none.
fn time<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> std::result::Result<Option<Timestamp>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?.unwrap_or_default();
    if text.is_empty() || text.starts_with("0001-") {
        return Ok(None);
    }
    text.parse().map(Some).map_err(serde::de::Error::custom)
}

/// `sys/health`.
#[derive(Debug, Deserialize)]
pub(crate) struct Health {
    /// The server says these two in whatever state it is, and no other server says both.
    pub(crate) initialized: bool,
    pub(crate) sealed: bool,
    #[serde(default)]
    pub(crate) cluster_id: String,
}

/// Reads what is said of the server's health.
fn health(what: &str, answer: &Answer) -> Result<Health> {
    let wrong = |message: String| Error::UnexpectedAnswer { what: what.to_owned(), message };
    let health: Health = match (parse(what, &answer.body), answer.status) {
        (Ok(health), _) => health,
        // One that does not answer now, or somebody before it who asks to wait or to go elsewhere.
        (Err(_), 300..=399 | 429 | 500..) => return Err(refused(what, answer, false)),
        (Err(_), status) => {
            return Err(wrong(format!(
                "no OpenBao or Vault answers at this address (status {status})"
            )));
        }
    };
    let sealed = |message: &str| {
        let (what, message) = (what.to_owned(), message.to_owned());
        Err(Error::NotReady { what, message, outcome: Outcome::NotSent })
    };
    if !health.initialized {
        return sealed("the server is not initialized, and so it is sealed");
    }
    if health.sealed {
        return sealed("the server is sealed");
    }
    if health.cluster_id.is_empty() {
        return Err(wrong("the server tells no cluster id".to_owned()));
    }
    Ok(health)
}

/// The keys of a listing.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Keys {
    #[serde(default, deserialize_with = "list")]
    pub(crate) keys: Vec<String>,
}

/// A listing that tells about each key.
#[derive(Debug, Deserialize)]
pub(crate) struct Detailed<T> {
    #[serde(default = "BTreeMap::new")]
    pub(crate) key_info: BTreeMap<String, T>,
}

/// An ACL policy.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct AclPolicy {
    #[serde(default)]
    pub(crate) policy: String,
    /// Its version, where the server counts; without, it has no compare-and-set.
    #[serde(default)]
    pub(crate) version: Option<i64>,
}

/// An AppRole role.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Role {
    #[serde(default = "yes")]
    pub(crate) bind_secret_id: bool,
    #[serde(default, deserialize_with = "policies")]
    pub(crate) token_policies: Vec<String>,
    #[serde(default)]
    pub(crate) token_no_default_policy: bool,
    #[serde(default)]
    pub(crate) token_ttl: u64,
    #[serde(default)]
    pub(crate) token_max_ttl: u64,
    #[serde(default)]
    pub(crate) token_explicit_max_ttl: u64,
    #[serde(default)]
    pub(crate) token_period: u64,
    #[serde(default)]
    pub(crate) token_num_uses: i64,
    #[serde(default)]
    pub(crate) token_type: String,
    #[serde(default, deserialize_with = "list")]
    pub(crate) token_bound_cidrs: Vec<String>,
    #[serde(default)]
    pub(crate) token_strictly_bind_ip: bool,
    #[serde(default)]
    pub(crate) secret_id_ttl: u64,
    #[serde(default)]
    pub(crate) secret_id_num_uses: i64,
    #[serde(default, deserialize_with = "list")]
    pub(crate) secret_id_bound_cidrs: Vec<String>,
}

fn yes() -> bool {
    true
}

/// A role's own id.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct RoleId {
    pub(crate) role_id: String,
}

/// A secret id as its lookup shows it: everything but the secret.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct SecretIdInfo {
    pub(crate) secret_id_accessor: String,
    #[serde(default, deserialize_with = "time")]
    pub(crate) creation_time: Option<Timestamp>,
    #[serde(default, deserialize_with = "time")]
    pub(crate) expiration_time: Option<Timestamp>,
    #[serde(default, deserialize_with = "texts")]
    pub(crate) metadata: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "list")]
    pub(crate) cidr_list: Vec<String>,
    #[serde(default)]
    pub(crate) secret_id_num_uses: i64,
}

/// A secret id that was just issued.
#[derive(Debug, Deserialize)]
pub(crate) struct SecretIdIssued {
    #[serde(deserialize_with = "secret")]
    pub(crate) secret_id: Secret,
    pub(crate) secret_id_accessor: String,
}

/// An identity entity.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Entity {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) disabled: bool,
    #[serde(default, deserialize_with = "policies")]
    pub(crate) policies: Vec<String>,
    #[serde(default, deserialize_with = "list")]
    pub(crate) group_ids: Vec<String>,
    #[serde(default)]
    pub(crate) aliases: Option<Vec<Alias>>,
}

/// An alias of an entity: who signs in where.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Alias {
    pub(crate) id: String,
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) mount_path: String,
}

/// An identity group: its policies reach its members.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Group {
    #[serde(default)]
    pub(crate) name: String,
    #[serde(default, deserialize_with = "policies")]
    pub(crate) policies: Vec<String>,
}

/// A mount of an auth method or a secrets engine.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Mount {
    #[serde(default)]
    pub(crate) accessor: String,
    #[serde(default, rename = "type")]
    pub(crate) mount_type: String,
    #[serde(default)]
    pub(crate) path: String,
    #[serde(default, deserialize_with = "texts")]
    pub(crate) options: BTreeMap<String, String>,
}

/// A mount's limits.
#[derive(Debug, Deserialize)]
pub(crate) struct Tune {
    #[serde(default)]
    pub(crate) max_lease_ttl: u64,
    /// Refused sign-ins that lock; absent where the mount has the server's own limits.
    #[serde(default)]
    pub(crate) user_lockout_threshold: u64,
    /// Seconds after which they are forgotten.
    #[serde(default)]
    pub(crate) user_lockout_counter_reset_duration: u64,
    #[serde(default)]
    pub(crate) user_lockout_disable: bool,
}

/// A token as its accessor's lookup shows it.
#[derive(Debug, Deserialize)]
pub(crate) struct TokenInfo {
    #[serde(default)]
    pub(crate) path: String,
    #[serde(default, deserialize_with = "texts")]
    pub(crate) meta: BTreeMap<String, String>,
}

/// A KV version's own metadata.
#[derive(Debug, Deserialize)]
pub(crate) struct KvVersion {
    #[serde(default)]
    pub(crate) version: u64,
    #[serde(default, deserialize_with = "time")]
    pub(crate) created_time: Option<Timestamp>,
    #[serde(default)]
    pub(crate) destroyed: bool,
    /// What stands beside the document; `None` where the server does not say it here.
    #[serde(default, deserialize_with = "told_texts")]
    pub(crate) custom_metadata: Option<BTreeMap<String, String>>,
}

/// A KV document with its version's metadata.
#[derive(Debug, Deserialize)]
pub(crate) struct KvData {
    #[serde(default)]
    pub(crate) data: Option<KvFields>,
    pub(crate) metadata: KvVersion,
}

/// The fields of a KV document, secrets from the first moment.
#[derive(Debug)]
pub(crate) struct KvFields(pub(crate) Document);

impl<'de> Deserialize<'de> for KvFields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        BTreeMap::<String, Value>::deserialize(deserializer)
            .map(|map| KvFields(Document::from_values(map)))
    }
}

/// A KV key's metadata.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct KvMetadata {
    #[serde(default)]
    pub(crate) current_version: u64,
    #[serde(default, deserialize_with = "texts")]
    pub(crate) custom_metadata: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) versions: BTreeMap<String, KvVersionInfo>,
}

/// One version in a KV key's metadata.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct KvVersionInfo {
    #[serde(default, deserialize_with = "time")]
    pub(crate) created_time: Option<Timestamp>,
    #[serde(default, deserialize_with = "time")]
    pub(crate) deletion_time: Option<Timestamp>,
    #[serde(default)]
    pub(crate) destroyed: bool,
}

/// Reads the `data` of an envelope.
pub(crate) fn data<T: DeserializeOwned>(what: &str, body: &[u8]) -> Result<T> {
    parse::<Envelope<T>>(what, body)?.data.ok_or_else(|| Error::UnexpectedAnswer {
        what: what.to_owned(),
        message: "the answer has no data".to_owned(),
    })
}

impl Api {
    pub(crate) fn new(
        transport: Arc<dyn Transport>,
        namespace: Option<String>,
        token: Token,
    ) -> Api {
        Api { transport, namespace, token, cluster: OnceCell::new() }
    }

    /// The id of the cluster that answers, asked for once.
    pub(crate) async fn cluster(&self) -> Result<&str> {
        let cluster = self.cluster.get_or_try_init(|| async {
            // Standby and sealed nodes answer with statuses of their own and the same body.
            let request =
                Request::get("v1/sys/health?standbyok=true&perfstandbyok=true", "sys/health");
            let what = told(&request);
            let answer = self.send_plain(request).await?;
            Ok(health(&what, &answer)?.cluster_id)
        });
        cluster.await.map(String::as_str)
    }

    /// How the vendor's own command line is told the namespace, with a space behind it.
    pub(crate) fn namespace_flag(&self) -> String {
        self.namespace().map(|one| format!("-namespace={one} ")).unwrap_or_default()
    }

    /// The namespace, without slashes around it.
    pub(crate) fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    fn address(&self, mut request: Request) -> Request {
        if let Some(namespace) = &self.namespace {
            request = request.header("X-Vault-Namespace", Secret::new(namespace.clone()));
        }
        // Asks proxies in between to leave the header's owner alone, as the vendor's own clients do.
        request.header("X-Vault-Request", Secret::new("true"))
    }

    /// Where our own token comes from.
    pub(crate) fn token(&self) -> &Token {
        &self.token
    }

    /// Sends without our own token, in our namespace: sign-ins.
    pub(crate) async fn send_anonymous(&self, request: Request) -> Result<Answer> {
        self.transmit(self.address(request)).await
    }

    /// Sends with another token than ours.
    pub(crate) async fn send_as(&self, token: &Secret, request: Request) -> Result<Answer> {
        self.send_anonymous(request.header("X-Vault-Token", token.duplicate())).await
    }

    /// Sends outside of any namespace, without a token: `sys/health`.
    pub(crate) async fn send_plain(&self, request: Request) -> Result<Answer> {
        self.transmit(request).await
    }

    /// Sends as ourselves. Any status is an answer.
    pub(crate) async fn send(&self, request: Request) -> Result<Answer> {
        let token = self.token.get(self).await?;
        self.send_as(&token, request).await
    }

    async fn transmit(&self, request: Request) -> Result<Answer> {
        let what = told(&request);
        self.transport.send(request).await.map_err(|error| error.of(what))
    }

    /// Reads something that must be there.
    pub(crate) async fn need<T: DeserializeOwned>(&self, request: Request) -> Result<T> {
        let what = told(&request);
        let answer = self.send(request).await?;
        if answer.status != 200 {
            return Err(refused(&what, &answer, false));
        }
        data(&what, &answer.body)
    }

    /// Reads something that may be absent: 404 with nothing said.
    pub(crate) async fn maybe<T: Kept>(&self, request: Request) -> Result<Option<T>> {
        let what = told(&request);
        let answer = self.send(request).await?;
        match answer.status {
            200 => kept(&what, &answer).map(Some),
            404 if Said::read(&answer.body) == Said::Nothing => Ok(None),
            _ => Err(refused(&what, &answer, false)),
        }
    }

    /// Lists; an empty listing is 404 with nothing said.
    pub(crate) async fn keys(
        &self,
        path: &str,
        template: &'static str,
        shared: bool,
    ) -> Result<Vec<String>> {
        let request = Request { method: "LIST", shared, ..Request::get(path, template) };
        Ok(self.maybe::<Keys>(request).await?.map(|keys| keys.keys).unwrap_or_default())
    }

    /// Changes something; any success will do.
    pub(crate) async fn change(&self, request: Request) -> Result<Answer> {
        let what = told(&request);
        let answer = self.send(request).await?;
        match answer.status {
            200..=299 => Ok(answer),
            _ => Err(refused(&what, &answer, true)),
        }
    }
}

/// What readers of one answer share.
pub(crate) trait Kept: DeserializeOwned + Clone + Any + Send + Sync {}

impl<T: DeserializeOwned + Clone + Any + Send + Sync> Kept for T {}

/// What an answer holds: what was made of it is kept in the place of its text, which is longer.
pub(crate) fn kept<T: Kept>(what: &str, answer: &Answer) -> Result<T> {
    answer.read_once(|body| data(what, body)).map(Arc::unwrap_or_clone)
}

/// A change with a JSON body.
pub(crate) fn post(
    path: impl Into<String>,
    template: &'static str,
    body: &impl Serialize,
) -> Result<Request> {
    let mut request = Request::change("POST", path, template);
    request.body = Some(json(body)?);
    Ok(request)
}

/// A look that the server wants as a POST.
pub(crate) fn ask(
    path: impl Into<String>,
    template: &'static str,
    body: &impl Serialize,
) -> Result<Request> {
    let mut request = Request { method: "POST", ..Request::get(path, template) };
    request.body = Some(json(body)?);
    Ok(request)
}

#[cfg(test)]
mod tests {
    use connector::{Outcome, conformance::answer, recorded};

    use super::*;

    fn read<T: DeserializeOwned>(answer: Answer) -> T {
        assert_eq!(answer.status, 200);
        data("test", &answer.body).unwrap()
    }

    #[test]
    fn only_a_server_of_theirs_is_called_sealed() {
        let said = |status: u16, body: &str| {
            let answer = answer(status, body);
            health("GET sys/health", &answer).unwrap_err().to_string()
        };
        let sealed = r#"{"initialized":true,"sealed":true,"standby":true,"version":"2.4.0"}"#;
        assert!(said(503, sealed).contains("the server is sealed"), "{}", said(503, sealed));
        let new = r#"{"initialized":false,"sealed":true,"standby":true,"version":"2.4.0"}"#;
        assert!(said(501, new).contains("not initialized"), "{}", said(501, new));
        // Another server's, a slip in the address, and no JSON at all.
        for (status, body) in [
            (200, "{}"),
            (200, r#"{"status":"ok","sealed":"no"}"#),
            (403, r#"{"errors":["permission denied"]}"#),
            (404, r#"{"errors":[]}"#),
            (200, "<html>"),
        ] {
            let said = said(status, body);
            assert!(said.contains("no OpenBao or Vault answers"), "{status} {body}: {said}");
            assert!(!said.contains("sealed") && !said.contains("token"), "{said}");
        }
        // Who is in between says nothing of what is behind.
        assert!(said(502, "<html>").contains("status 502"), "{}", said(502, "<html>"));
    }

    #[test]
    fn recorded_answers_are_read() {
        let health: Health = parse("test", &recorded!("health").body).unwrap();
        assert_eq!(health.cluster_id.len(), 36);
        let policies: Detailed<AclPolicy> = read(recorded!("policies"));
        assert!(policies.key_info["nhi/ci"].policy.starts_with("# nhi: "));
        assert_eq!(read::<AclPolicy>(recorded!("policy")).version, Some(1));
        let role: Role = read(recorded!("role"));
        assert_eq!((role.token_ttl, role.token_policies), (3600, vec!["nhi/ci".to_owned()]));
        assert!(role.bind_secret_id && role.token_no_default_policy);
        assert_eq!(role.token_bound_cidrs.len(), 2);
        assert_eq!(read::<RoleId>(recorded!("role-id")).role_id.len(), 36);
        assert_eq!(read::<Keys>(recorded!("secret-ids")).keys.len(), 2);
        let issued: SecretIdIssued = read(recorded!("secret-id-issued"));
        let info: SecretIdInfo = read(recorded!("secret-id-info"));
        assert_eq!(info.secret_id_accessor, issued.secret_id_accessor);
        assert_eq!(info.metadata["nhi"], "marker");
        assert_eq!(info.secret_id_num_uses, 5);
        let life = info.expiration_time.unwrap().duration_since(info.creation_time.unwrap());
        assert_eq!(life.as_hours(), 2);
        let login: Envelope<serde::de::IgnoredAny> =
            parse("test", &recorded!("login").body).unwrap();
        let login = login.auth.unwrap();
        assert_eq!((login.client_token.expose(), login.lease_duration), ("s.recorded", 3600));
        let entity: Entity = read(recorded!("entity"));
        assert_eq!(entity.aliases.unwrap()[0].mount_path, "auth/approle/");
        let mounts: BTreeMap<String, Mount> = read(recorded!("auth-mounts"));
        assert_eq!(mounts["approle/"].mount_type, "approle");
        let kv: KvData = read(recorded!("kv-data"));
        assert_eq!(kv.data.unwrap().0.get("password").unwrap().expose(), "p");
        let metadata: KvMetadata = read(recorded!("kv-metadata"));
        assert_eq!(
            (metadata.current_version, metadata.custom_metadata["nhi_gen"].as_str()),
            (1, "1")
        );
        let listing: Detailed<Option<KvMetadata>> = read(recorded!("kv-listing"));
        assert_eq!(listing.key_info["a"].as_ref().unwrap().current_version, 1);
        let gone: KvData = data("test", &recorded!("kv-destroyed").body).unwrap();
        assert!(gone.metadata.destroyed && gone.data.is_none());
    }

    #[test]
    fn every_recorded_refusal_means_one_thing() {
        let cases = [
            (recorded!("role-absent"), Said::Nothing, Some(Refusal::NotFound)),
            (recorded!("secret-ids-of-absent-role"), Said::NoRole, Some(Refusal::NotFound)),
            (recorded!("no-secret-ids"), Said::Nothing, Some(Refusal::NotFound)),
            (recorded!("policy-exists"), Said::Stale, Some(Refusal::Conflict)),
            (recorded!("policy-stale"), Said::Stale, Some(Refusal::Conflict)),
            (recorded!("policy-bad"), Said::BadPolicy, Some(Refusal::Invalid)),
            (
                recorded!("secret-id-registered-already"),
                Said::AlreadyRegistered,
                Some(Refusal::Conflict),
            ),
            (recorded!("accessor-absent"), Said::NoAccessor, Some(Refusal::NotFound)),
            (recorded!("accessor-absent-destroy"), Said::NoAccessor, Some(Refusal::NotFound)),
            (recorded!("token-accessor-absent"), Said::NoAccessor, Some(Refusal::NotFound)),
            (recorded!("login-refused"), Said::InvalidLogin, Some(Refusal::Invalid)),
            (recorded!("kv-stale"), Said::Stale, Some(Refusal::Conflict)),
            (recorded!("kv-absent"), Said::Nothing, Some(Refusal::NotFound)),
            (recorded!("kv-unknown-path"), Said::NoRoute, Some(Refusal::NotFound)),
            (recorded!("mount-absent"), Said::NoRoute, Some(Refusal::NotFound)),
            (recorded!("denied"), Said::PermissionDenied, Some(Refusal::Forbidden)),
        ];
        for (answer, said, refusal) in cases {
            assert_eq!(Said::read(&answer.body), said);
            assert_eq!(refused("test", &answer, true).refusal(), refusal, "{said:?}");
        }
    }

    #[test]
    fn a_404_that_is_not_the_servers_own_is_no_absence() {
        for body in ["<html>Not found</html>", "", "{}", "{\"error\":\"not found\"}"] {
            let answer = Answer::new(404, Vec::new(), body.as_bytes().to_vec());
            let error = refused("test", &answer, true);
            assert_eq!((error.refusal(), error.outcome()), (None, Outcome::Ambiguous), "{error}");
            assert!(
                !error.to_string().ends_with(['?', '.']),
                "who shows it ends the sentence: {error}"
            );
        }
    }

    #[test]
    fn what_is_no_judgment_is_ambiguous_for_a_change_and_free_for_a_look() {
        let answer = |status| Answer::new(status, Vec::new(), Vec::new());
        for status in [500, 502, 503, 504, 599, 100] {
            assert_eq!(refused("test", &answer(status), true).outcome(), Outcome::Ambiguous);
            assert_eq!(refused("test", &answer(status), false).outcome(), Outcome::NotSent);
        }
        let forbidden = refused("test", &answer(403), false).to_string();
        assert!(!forbidden.ends_with(['?', '.']), "who shows it ends the sentence: {forbidden}");
        assert_eq!(refused("test", &answer(302), true).refusal(), Some(Refusal::Redirect));
        assert_eq!(refused("test", &answer(429), true).refusal(), Some(Refusal::RateLimited));
    }

    #[test]
    fn no_error_quotes_a_body() {
        let secret = "s.verysecret";
        let body = format!(
            "{{\"errors\": [\"{secret}\"], \"data\": {{\"role_id\": {{\"x\": \"{secret}\"}}}}}}"
        );
        let answer = Answer::new(400, Vec::new(), body.clone().into_bytes());
        for text in [
            refused("test", &answer, true).to_string(),
            data::<RoleId>("test", body.as_bytes()).unwrap_err().to_string(),
            parse::<Envelope<RoleId>>("test", secret.as_bytes()).unwrap_err().to_string(),
            format!("{answer:?}"),
        ] {
            assert!(!text.contains("verysecret"), "{text}");
        }
    }

    #[test]
    fn what_the_server_says_of_a_setting_by_its_name_is_passed_on_in_our_words() {
        let said = |text: &str| {
            let body = serde_json::json!({ "errors": [text] }).to_string();
            refused("test", &Answer::new(400, Vec::new(), body.into_bytes()), true).to_string()
        };
        for (text, words) in [
            (
                "'token_ttl' cannot be greater than 'token_max_ttl'",
                "token_ttl is above token_max_ttl",
            ),
            ("'token_num_uses' cannot be negative", "not take this token_num_uses"),
            ("invalid 'token_type' value \"verysecret\"", "not take this token_type"),
            ("at least one constraint should be enabled on the role", "has to ask for a secret id"),
            ("'verysecret' cannot be negative", "status 400: refused"),
            ("'token_ttl' cannot be greater than 'verysecret'", "not take this token_ttl"),
            ("'token_ttl' is verysecret", "status 400: refused"),
        ] {
            let said = said(text);
            assert!(said.contains(words) && !said.contains("verysecret"), "{text}: {said}");
        }
    }

    #[test]
    fn a_request_is_told_as_people_know_it() {
        let request = Request::get(
            format!("v1/auth/{}/role/{}?x=1", encode("team/a b"), encode("ci")),
            "auth/{mount}/role/{name}",
        );
        assert_eq!(told(&request), "GET auth/team/a%20b/role/ci");
    }

    #[test]
    fn a_path_is_escaped_segment_by_segment() {
        assert_eq!(encode("a/b c?#%ä"), "a/b%20c%3F%23%25%C3%A4");
    }
}
