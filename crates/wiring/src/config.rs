//! The body of `nhi.hcl` and of the provider block, read into types.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::PathBuf,
};

use connector::{Field, FieldType, OwnCredential, Platform};
use domain::{Setting, Settings, Span};

use crate::{
    platforms,
    tree::{ConfigError, Node, Place, wrong},
};

/// Where a secret of our own comes from. Never the secret itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// An environment variable.
    Env(String),
    /// A file, relative to the configuration's folder.
    File(PathBuf),
    /// A field of a document in a sink: connection, path, field.
    Path {
        /// The connection that is the sink.
        connection: String,
        /// The document.
        path: String,
        /// The field in it.
        field: String,
    },
    /// Parts from several places, with colons between them.
    Joined(Vec<Source>),
}

impl Source {
    /// Itself, or its parts.
    fn parts(&self) -> &[Source] {
        match self {
            Source::Joined(parts) => parts,
            whole => std::slice::from_ref(whole),
        }
    }
}

/// Where it is, in words.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Env(name) => write!(f, "the environment variable {name}"),
            Source::File(path) => write!(f, "the file {}", path.display()),
            Source::Path { connection, path, field } => {
                write!(f, "field {field} of {connection}:{path}")
            }
            Source::Joined(parts) => {
                let parts: Vec<String> = parts.iter().map(Source::to_string).collect();
                f.write_str(&parts.join(" and "))
            }
        }
    }
}

/// How we sign in to a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// The secret's source.
    pub secret: Source,
    /// The other half, where signing in needs two (an AppRole's role id).
    pub id: Option<String>,
}

/// One connection.
#[derive(Debug, Clone)]
pub struct ConnectionConfig {
    /// Its platform.
    pub platform: &'static dyn Platform,
    /// Its settings, in the platform's fields.
    pub settings: Settings,
    /// Our own credential for it.
    pub credential: Option<Credential>,
    /// The tenant's own id that it must show.
    pub tenant: Option<String>,
    /// Requests a second that this connection may send, if limited here.
    pub budget: Option<u32>,
    /// A part of it is not known before apply: which.
    pub unknown: Option<String>,
}

impl ConnectionConfig {
    /// An address to which everything goes unencrypted, over a network.
    pub fn in_the_clear(&self) -> Option<String> {
        let own = self.address().map(str::to_owned);
        let all = own.into_iter().chain(self.platform.other_addresses(&self.settings));
        all.into_iter().find(|address| address.starts_with("http://") && !is_here(address))
    }

    /// Where the platform is: as set, or where it always is.
    pub(crate) fn address(&self) -> Option<&str> {
        let usual = || {
            let fields = self.platform.connection_fields().iter();
            fields.filter(|field| field.name == "address").find_map(|field| match field.default {
                connector::Default::Ours(address) => Some(address),
                _ => None,
            })
        };
        self.settings.text("address").or_else(usual)
    }
}

/// Where documents about single vendor objects are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustodyConfig {
    /// The connection that is the sink.
    pub connection: String,
    /// The folder in it.
    pub path: String,
}

/// The realm: its id and where its key comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RealmConfig {
    /// Six characters of lower-case base32.
    pub id: String,
    /// The key's source.
    pub key: Source,
}

/// Where the ledger is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LedgerConfig {
    /// A SQLite file, relative to the configuration's folder.
    Sqlite(PathBuf),
    /// A PostgreSQL database.
    Postgres(DatabaseConfig),
    /// None is kept.
    None,
}

/// A database that the ledger is kept in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseConfig {
    /// Where it is, and who signs in.
    pub address: DatabaseAddress,
    /// Whose certificates to trust instead of the system's, relative to the configuration's folder.
    pub ca_file: Option<PathBuf>,
}

/// Where a database is, and who signs in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DatabaseAddress {
    /// All of it in one text, which holds the password and is therefore elsewhere.
    Url(Source),
    /// In parts, of which the password is elsewhere.
    Parts {
        /// A name, an IP address, or the folder of a socket.
        host: String,
        /// The port.
        port: u16,
        /// The database.
        database: String,
        /// Who signs in.
        user: String,
        /// Where the password is, if one is asked for.
        password: Option<Source>,
        /// Whether TLS secures it.
        secured: bool,
    },
}

impl DatabaseAddress {
    /// Where its secret is, if it has one.
    fn secret(&self) -> Option<&Source> {
        match self {
            DatabaseAddress::Url(whole) => Some(whole),
            DatabaseAddress::Parts { password, .. } => password.as_ref(),
        }
    }
}

/// Who asked for a run, from the configuration; CI's variables fill what is absent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RunConfig {
    /// A ticket.
    pub ticket: Option<String>,
    /// Where the run can be seen.
    pub url: Option<String>,
    /// Who asked for it.
    pub requester: Option<String>,
}

/// How `nhi serve` looks after what is declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServeConfig {
    /// How often each connection is looked at.
    pub every: Option<Span>,
    /// Where it answers: on this machine, or anywhere with [`tls`](ServeConfig::tls) and somebody who is asked
    /// who they are.
    pub listen: Option<String>,
    /// How it speaks TLS there.
    pub tls: Option<TlsConfig>,
    /// What whoever asks must send, `Authorization: Bearer …`.
    pub token: Option<Source>,
    /// How often all that is declared is compared with what is there; `None` is never.
    pub drift: Option<Span>,
}

impl Default for ServeConfig {
    fn default() -> ServeConfig {
        ServeConfig { every: None, listen: None, tls: None, token: None, drift: Some(DRIFT) }
    }
}

/// TLS of what we answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsConfig {
    /// The certificate, with those between it and its authority (PEM).
    pub certificate: PathBuf,
    /// Its key (PEM).
    pub key: PathBuf,
    /// The authority of those who may ask (PEM): each shows a certificate of it.
    pub clients: Option<PathBuf>,
}

/// Who is told when something changes, by a long-running `nhi`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotifyConfig {
    /// Where a webhook is, and where the key is that signs what it is told.
    pub webhook: Option<(String, Source)>,
    /// Where the address of a channel of Slack is. It is a secret: whoever has it writes there.
    pub slack: Option<Source>,
    /// How often it is told that all is well; `None` is never.
    pub heartbeat: Option<Span>,
    /// How owners are written to.
    pub mail: Option<MailConfig>,
}

/// A server that takes mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailConfig {
    /// `smtps://host[:465]`, or `smtp://host[:587]`, which begins TLS before anything is said.
    pub server: String,
    /// Who writes.
    pub from: String,
    /// As whom it signs in, and where the password is.
    pub user: Option<(String, Source)>,
    /// Certificates (PEM) to trust in place of the system's.
    pub ca_file: Option<PathBuf>,
    /// Who is written to where an owner has no address that is known.
    pub otherwise: Option<String>,
}

/// How reports from outside are taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignalsConfig {
    /// The key that they are signed with.
    pub key: Source,
    /// Where they are taken.
    pub listen: String,
}

/// The whole configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// Connections by name.
    pub connections: BTreeMap<String, ConnectionConfig>,
    /// Custody, if configured.
    pub custody: Option<CustodyConfig>,
    /// The realm, if configured.
    pub realm: Option<RealmConfig>,
    /// The ledger.
    pub ledger: LedgerConfig,
    /// The policy file, if any.
    pub policy: Option<PathBuf>,
    /// The digest that the policy file must have, `sha256:<hex>`.
    pub policy_pin: Option<String>,
    /// Who asked.
    pub run: RunConfig,
    /// How a long-running `nhi` goes about it.
    pub serve: ServeConfig,
    /// Who is told.
    pub notify: Option<NotifyConfig>,
    /// How reports from outside are taken, if they are.
    pub signals: Option<SignalsConfig>,
    /// Nothing may be changed.
    pub read_only: bool,
    /// Floors of durations drop to seconds; every connection must be on loopback.
    pub demo: bool,
    /// The first part of the rest (custody, realm, …) that is not known before apply.
    pub unknown: Option<String>,
}

impl Config {
    /// The environment variables that hold secrets of ours, such as a connection's credential: no
    /// program that is started needs them.
    pub fn secret_variables(&self) -> BTreeSet<&str> {
        let credentials = self.connections.values().filter_map(|one| one.credential.as_ref());
        let key = self.realm.as_ref().map(|realm| &realm.key);
        let ledger = match &self.ledger {
            LedgerConfig::Postgres(database) => database.address.secret(),
            _ => None,
        };
        let told = self
            .notify
            .iter()
            .flat_map(|notify| {
                let mail = notify.mail.iter().filter_map(|mail| mail.user.as_ref());
                let keys = notify.webhook.iter().map(|(_, key)| key).chain(&notify.slack);
                keys.chain(mail.map(|(_, password)| password))
            })
            .chain(&self.serve.token);
        let heard = self.signals.iter().map(|signals| &signals.key);
        let sources = credentials.map(|one| &one.secret).chain(key).chain(ledger).chain(told);
        let sources = sources.chain(heard);
        let parts = sources.flat_map(Source::parts).filter_map(|one| match one {
            Source::Env(name) => Some(name.as_str()),
            _ => None,
        });
        parts.collect()
    }
}

const MEMBERS: [&str; 12] = [
    "config_file",
    "connections",
    "custody",
    "realm",
    "ledger",
    "policy",
    "run",
    "read_only",
    "demo",
    "serve",
    "notify",
    "signals",
];

/// Reads one object's members one by one and refuses what is left over.
struct Reader<'a> {
    map: BTreeMap<&'a str, &'a Node>,
    place: Place,
}

impl<'a> Reader<'a> {
    fn new(node: &'a Node, place: &Place) -> Result<Reader<'a>, ConfigError> {
        match node {
            Node::Map(map) => Ok(Reader {
                map: map.iter().map(|(name, node)| (name.as_str(), node)).collect(),
                place: place.clone(),
            }),
            _ => Err(wrong(place, "expected an object: { … }")),
        }
    }

    fn take(&mut self, name: &str) -> Option<&'a Node> {
        self.map.remove(name).filter(|node| !matches!(node, Node::Null))
    }

    fn text(&mut self, name: &str) -> Result<Option<String>, ConfigError> {
        match self.take(name) {
            None => Ok(None),
            Some(Node::Text(text)) => Ok(Some(text.clone())),
            Some(_) => Err(wrong(&self.place.join(name), "expected a text in quotes")),
        }
    }

    fn required(&mut self, name: &str) -> Result<String, ConfigError> {
        let missing = wrong(&self.place, format!("{name} is missing"));
        self.text(name)?.ok_or(missing)
    }

    fn flag(&mut self, name: &str) -> Result<Option<bool>, ConfigError> {
        match self.take(name) {
            None => Ok(None),
            Some(Node::Flag(flag)) => Ok(Some(*flag)),
            Some(_) => Err(wrong(&self.place.join(name), "expected true or false")),
        }
    }

    fn done(self, known: &[&str]) -> Result<(), ConfigError> {
        match self.map.keys().next() {
            None => Ok(()),
            Some(name) => Err(wrong(
                &self.place.join(name),
                format!("nothing of this name is read here. Known: {}", known.join(", ")),
            )),
        }
    }
}

impl Config {
    /// Reads the body.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong, with its place and what to do.
    pub fn read(body: &Node) -> Result<Config, ConfigError> {
        let root = Place::default();
        let mut reader = Reader::new(body, &root)?;
        reader.take("config_file");
        let unknown = body_unknown(body);
        let demo = reader.flag("demo").or_else(unknown_is_absent)?.unwrap_or(false);
        let mut connections = BTreeMap::new();
        match reader.take("connections") {
            None | Some(Node::Unknown) => {}
            Some(Node::Map(map)) => {
                for (name, node) in map {
                    let place = root.join("connections").join(name);
                    connections.insert(name.clone(), connection(name, node, &place)?);
                }
            }
            Some(_) => return Err(wrong(&root.join("connections"), "expected an object: { … }")),
        }
        let custody = known(reader.take("custody"))
            .map(|node| {
                let place = root.join("custody");
                let mut reader = Reader::new(node, &place)?;
                let custody = CustodyConfig {
                    connection: reader.required("connection")?,
                    path: reader.required("path")?,
                };
                reader.done(&["connection", "path"])?;
                match connections.get(&custody.connection) {
                    None => Err(wrong(
                        &place.join("connection"),
                        no_connection(&custody.connection, connections.keys()),
                    )),
                    Some(config) => match config.platform.not_custody() {
                        Some(why) => Err(wrong(
                            &place.join("connection"),
                            format!(
                                "{:?} cannot be custody: {why}. Name a connection of one of: {}",
                                custody.connection,
                                custodians().join(", ")
                            ),
                        )),
                        None => Ok(custody),
                    },
                }
            })
            .transpose()?;
        let realm = known(reader.take("realm"))
            .map(|node| {
                let place = root.join("realm");
                let mut reader = Reader::new(node, &place)?;
                let id = reader.required("id")?;
                if id.len() != 6
                    || !id.bytes().all(|b| b.is_ascii_lowercase() || (b'2'..=b'7').contains(&b))
                        && !id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
                {
                    return Err(wrong(
                        &place.join("id"),
                        "expected six characters of a-z and 0-9, as `nhi init` makes them",
                    ));
                }
                let key = reader
                    .take("key")
                    .ok_or_else(|| wrong(&place, "key is missing: { env = \"NHI_REALM_KEY\" }"))?;
                let key = whole(key, &place.join("key"))?;
                reader.done(&["id", "key"])?;
                Ok(RealmConfig { id, key })
            })
            .transpose()?;
        let ledger = match known(reader.take("ledger")) {
            None => LedgerConfig::Sqlite(PathBuf::from("nhi.db")),
            Some(node) => {
                let place = root.join("ledger");
                let mut reader = Reader::new(node, &place)?;
                let sqlite = reader.take("sqlite");
                let postgres = reader.take("postgres");
                let none = reader.flag("none")?;
                reader.done(&["sqlite", "postgres", "none"])?;
                match (sqlite, postgres, none) {
                    (None, None, Some(true)) => LedgerConfig::None,
                    (None, Some(node), None | Some(false)) => {
                        LedgerConfig::Postgres(database(node, &place.join("postgres"))?)
                    }
                    (Some(node), None, None | Some(false)) => {
                        let place = place.join("sqlite");
                        let mut reader = Reader::new(node, &place)?;
                        let path = reader.text("path")?.unwrap_or_else(|| "nhi.db".into());
                        reader.done(&["path"])?;
                        LedgerConfig::Sqlite(PathBuf::from(path))
                    }
                    _ => {
                        return Err(wrong(
                            &place,
                            "set one: sqlite = { path = \"nhi.db\" }, postgres = { host = …, database = …, user = …, password = { env = \"NAME\" } } or none = true",
                        ));
                    }
                }
            }
        };
        let (policy, policy_pin) = match known(reader.take("policy")) {
            None => (None, None),
            Some(node) => {
                let mut reader = Reader::new(node, &root.join("policy"))?;
                let file = reader.required("file")?;
                let pin = reader.text("pin")?;
                reader.done(&["file", "pin"])?;
                (Some(PathBuf::from(file)), pin)
            }
        };
        let run = match known(reader.take("run")) {
            None => RunConfig::default(),
            Some(node) => {
                let mut reader = Reader::new(node, &root.join("run"))?;
                let run = RunConfig {
                    ticket: reader.text("ticket")?,
                    url: reader.text("url")?,
                    requester: reader.text("requester")?,
                };
                reader.done(&["ticket", "url", "requester"])?;
                run
            }
        };
        let serve = match known(reader.take("serve")) {
            None => ServeConfig::default(),
            Some(node) => serve(node, &root.join("serve"))?,
        };
        let notify = known(reader.take("notify"))
            .map(|node| notify(node, &root.join("notify")))
            .transpose()?;
        let signals = known(reader.take("signals"))
            .map(|node| signals(node, &root.join("signals")))
            .transpose()?;
        let read_only = reader.flag("read_only").or_else(unknown_is_absent)?.unwrap_or(false);
        reader.done(&MEMBERS)?;
        let config = Config {
            connections,
            custody,
            realm,
            ledger,
            policy,
            policy_pin,
            run,
            serve,
            notify,
            signals,
            read_only,
            demo,
            unknown,
        };
        config.check_sources()?;
        config.check_demo()?;
        Ok(config)
    }

    /// A credential that is kept in a sink names a connection that is one, and no circle.
    fn check_sources(&self) -> Result<(), ConfigError> {
        for (name, config) in &self.connections {
            let place = Place::default().join("connections").join(name);
            let place = place.join("credential").join("path");
            self.check_behind(config, &place, &BTreeSet::from([name.as_str()]))?;
        }
        Ok(())
    }

    /// The connections that a credential is kept behind, those that theirs are kept behind, and so on.
    fn check_behind(
        &self,
        config: &ConnectionConfig,
        place: &Place,
        seen: &BTreeSet<&str>,
    ) -> Result<(), ConfigError> {
        let parts = config.credential.iter().flat_map(|one| one.secret.parts());
        for part in parts {
            let Source::Path { connection, .. } = part else { continue };
            let Some(next) = self.connections.get(connection) else {
                return Err(wrong(place, no_connection(connection, self.connections.keys())));
            };
            if !next.platform.is_sink() {
                return Err(wrong(place, format!("{connection:?} is no sink")));
            }
            let mut seen = seen.clone();
            if !seen.insert(connection) {
                return Err(wrong(place, "this connection's credential is kept behind itself"));
            }
            self.check_behind(next, place, &seen)?;
        }
        Ok(())
    }

    /// A demonstration never leaves this machine.
    fn check_demo(&self) -> Result<(), ConfigError> {
        if !self.demo {
            return Ok(());
        }
        if let LedgerConfig::Postgres(DatabaseConfig { address, .. }) = &self.ledger
            && !matches!(address, DatabaseAddress::Parts { host, .. } if ledger_postgres::is_here(host))
        {
            let place = Place::default().join("ledger").join("postgres").join("host");
            let why =
                "with demo = true the ledger must be on this machine, and the file must say so";
            return Err(wrong(&place, why));
        }
        for (name, config) in &self.connections {
            let also = config.platform.other_addresses(&config.settings);
            let all = config.address().into_iter().chain(also.iter().map(String::as_str));
            if !all.into_iter().all(is_here) {
                let place = Place::default().join("connections").join(name);
                return Err(wrong(
                    &place.join(config.platform.name()).join("address"),
                    "with demo = true every connection must be on this machine (127.0.0.1, ::1 or \
                     localhost); for others remove demo = true",
                ));
            }
        }
        Ok(())
    }
}

fn database(node: &Node, place: &Place) -> Result<DatabaseConfig, ConfigError> {
    let mut reader = Reader::new(node, place)?;
    let near = |node: &Node, place: &Place| match whole(node, place)? {
        Source::Path { .. } => Err(wrong(
            place,
            "the ledger is needed before any connection is open, so this cannot be behind one: set env or file",
        )),
        near => Ok(near),
    };
    let url = reader.take("url").map(|node| near(node, &place.join("url"))).transpose()?;
    let password =
        reader.take("password").map(|node| near(node, &place.join("password"))).transpose()?;
    let ca_file = reader.text("ca_file")?.map(PathBuf::from);
    let host = reader.text("host")?;
    let port = match reader.take("port") {
        None => None,
        Some(Node::Count(port)) if (1..=65_535).contains(port) => u16::try_from(*port).ok(),
        Some(_) => return Err(wrong(&place.join("port"), "expected a port, 1 to 65535")),
    };
    let name = reader.text("database")?;
    let user = reader.text("user")?;
    let sslmode = reader.text("sslmode")?;
    reader.done(&["host", "port", "database", "user", "password", "sslmode", "ca_file", "url"])?;
    let address = match (url, host) {
        (Some(url), None) => {
            let beside = port.is_none()
                && name.is_none()
                && user.is_none()
                && password.is_none()
                && sslmode.is_none();
            if !beside {
                return Err(wrong(place, "what url says is not said a second time beside it"));
            }
            DatabaseAddress::Url(url)
        }
        (None, Some(host)) => {
            let missing = |name: &str| wrong(place, format!("{name} is missing"));
            let secured = match sslmode {
                None => !ledger_postgres::is_here(&host),
                Some(mode) => ledger_postgres::Address::mode(&mode)
                    .map_err(|error| wrong(&place.join("sslmode"), error))?,
            };
            DatabaseAddress::Parts {
                host,
                port: port.unwrap_or(ledger_postgres::PORT),
                database: name.ok_or_else(|| missing("database"))?,
                user: user.ok_or_else(|| missing("user"))?,
                password,
                secured,
            }
        }
        _ => return Err(wrong(place, "set host, database and user, or url = { env = \"NAME\" }")),
    };
    Ok(DatabaseConfig { address, ca_file })
}

/// The platforms whose connections can be custody.
fn custodians() -> Vec<&'static str> {
    let can = |one: &&'static dyn Platform| one.not_custody().is_none();
    crate::platforms().into_iter().filter(can).map(Platform::name).collect()
}

/// Whether an address is this very machine's.
fn is_here(address: &str) -> bool {
    let host = address.split("://").nth(1).unwrap_or(address);
    let host = host.split('/').next().unwrap_or(host);
    let host = match host.strip_prefix('[') {
        Some(six) => six.split(']').next().unwrap_or(six),
        None => host.split(':').next().unwrap_or(host),
    };
    host == "localhost"
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Unknown parts outside connections: the first one's name.
fn body_unknown(body: &Node) -> Option<String> {
    let Node::Map(map) = body else { return None };
    map.iter()
        .find(|(name, node)| {
            if name.as_str() == "connections" {
                matches!(node, Node::Unknown)
            } else {
                node.has_unknown()
            }
        })
        .map(|(name, _)| name.clone())
}

/// A part that is unknown is read as absent here; [`Config::unknown`] says so.
fn known(node: Option<&Node>) -> Option<&Node> {
    node.filter(|node| !node.has_unknown())
}

fn unknown_is_absent(error: ConfigError) -> Result<Option<bool>, ConfigError> {
    Err(error)
}

fn no_connection<'a>(name: &str, known: impl Iterator<Item = &'a String>) -> String {
    let known: Vec<&str> = known.map(String::as_str).collect();
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    format!("no connection named {name:?}. Known: {known}")
}

/// What a connection's name is, in words.
pub const CONNECTION_NAME: &str = "no blank, slash or colon, and is not \"none\"";

/// Whether a connection may be called so: ids begin with it up to a slash, and places up to a colon.
pub fn is_connection_name(name: &str) -> bool {
    let ends = |c: char| c == '/' || c == ':' || c.is_whitespace() || c.is_control();
    !name.is_empty() && name != "none" && !name.contains(ends)
}

fn connection(name: &str, node: &Node, place: &Place) -> Result<ConnectionConfig, ConfigError> {
    if !is_connection_name(name) {
        return Err(wrong(place, format!("a connection's name has {CONNECTION_NAME}")));
    }
    let known: Vec<&str> = platforms::platforms().iter().map(|platform| platform.name()).collect();
    let mut reader = Reader::new(node, place)?;
    let present: Vec<&str> = known
        .iter()
        .copied()
        .filter(|name| reader.map.get(name).is_some_and(|n| **n != Node::Null))
        .collect();
    let [platform_name] = present[..] else {
        let others: Vec<&str> = reader.map.keys().copied().collect();
        return Err(wrong(
            place,
            format!(
                "set exactly one platform: {}{}",
                known.join(", "),
                if others.is_empty() {
                    String::new()
                } else {
                    format!(" (found: {})", others.join(", "))
                }
            ),
        ));
    };
    let Some(platform) = platforms::platform(platform_name) else {
        return Err(wrong(place, "unknown platform"));
    };
    let body = reader.take(platform_name).unwrap_or(&Node::Null);
    for name in &known {
        reader.take(name);
    }
    reader.done(&known)?;
    let place = place.join(platform_name);
    let unknown = first_unknown(body, &place);
    if *body == Node::Unknown {
        return Ok(ConnectionConfig {
            platform,
            settings: Settings::default(),
            credential: None,
            tenant: None,
            budget: None,
            unknown,
        });
    }
    let mut reader = Reader::new(body, &place)?;
    let credential = match reader.take("credential") {
        None => None,
        Some(node) if node.has_unknown() => None,
        Some(node) => Some(own_credential(platform, node, &place.join("credential"))?),
    };
    let tenant = match reader.take("tenant") {
        Some(Node::Unknown) | None => None,
        Some(Node::Text(text)) => Some(text.clone()),
        Some(_) => return Err(wrong(&place.join("tenant"), "expected a text in quotes")),
    };
    let budget = match reader.take("budget") {
        Some(Node::Unknown) | None => None,
        Some(Node::Count(count)) if (1..=100_000).contains(count) => u32::try_from(*count).ok(),
        Some(_) => {
            return Err(wrong(&place.join("budget"), "expected requests a second, 1 or more"));
        }
    };
    let mut settings = Settings::default();
    let mut names = vec!["credential", "tenant", "budget"];
    for field in platform.connection_fields().iter().filter(|field| field.name != "tenant") {
        names.push(field.name);
        match reader.take(field.name) {
            Some(Node::Unknown) => {}
            Some(node) => {
                let value = setting(field, node, &place.join(field.name))?;
                settings.0.insert(field.name.to_owned(), value);
            }
            None if field.required => {
                return Err(wrong(&place, format!("{} is missing: {}", field.name, field.doc)));
            }
            None => {}
        }
    }
    reader.done(&names)?;
    Ok(ConnectionConfig { platform, settings, credential, tenant, budget, unknown })
}

fn first_unknown(node: &Node, place: &Place) -> Option<String> {
    match node {
        Node::Unknown => Some(place.to_string()),
        Node::Map(map) => {
            map.iter().find_map(|(name, node)| first_unknown(node, &place.join(name)))
        }
        Node::List(items) => {
            items.iter().enumerate().find_map(|(i, node)| first_unknown(node, &place.join(i)))
        }
        _ => None,
    }
}

/// Reads one value by a field's declared type.
///
/// # Errors
///
/// The value has another type or is outside the type's form.
pub fn setting(field: &Field, node: &Node, place: &Place) -> Result<Setting, ConfigError> {
    let texts = |node: &Node| match node {
        Node::List(items) => items
            .iter()
            .map(|item| match item {
                Node::Text(text) => Ok(text.clone()),
                _ => Err(wrong(place, "expected a list of texts")),
            })
            .collect::<Result<BTreeSet<String>, _>>(),
        _ => Err(wrong(place, "expected a list of texts")),
    };
    match (field.field_type, node) {
        (FieldType::Text | FieldType::Date, Node::Text(text)) => Ok(Setting::Text(text.clone())),
        (FieldType::Word(words), Node::Text(text)) => match words.contains(&text.as_str()) {
            true => Ok(Setting::Text(text.clone())),
            false => Err(wrong(place, format!("expected one of {}", words.join(", ")))),
        },
        (FieldType::Span, Node::Text(text)) => match text.parse::<Span>() {
            Ok(_) => Ok(Setting::Text(text.clone())),
            Err(error) => Err(wrong(place, error.to_string())),
        },
        (FieldType::Flag, Node::Flag(flag)) => Ok(Setting::Flag(*flag)),
        (FieldType::Count, Node::Count(count)) => Ok(Setting::Count(*count)),
        (FieldType::Texts | FieldType::Cidrs | FieldType::Uris, node) => {
            texts(node).map(Setting::Texts)
        }
        (FieldType::Flag, _) => Err(wrong(place, "expected true or false")),
        (FieldType::Count, _) => Err(wrong(place, "expected a whole number")),
        _ => Err(wrong(place, "expected a text in quotes")),
    }
}

/// Where our own credential for a connection is, in a form that its platform knows.
fn own_credential(
    platform: &'static dyn Platform,
    node: &Node,
    place: &Place,
) -> Result<Credential, ConfigError> {
    let found = source(node, place)?;
    match (platform.own_credential(), &found.id) {
        (OwnCredential::Nothing, _) => Err(wrong(
            place,
            format!("{} is reached without a credential: leave it out", platform.name()),
        )),
        (OwnCredential::Secret | OwnCredential::AccessKey, Some(_)) => Err(wrong(
            &place.join("approle"),
            format!("{} has no AppRoles: set env, file or path instead", platform.name()),
        )),
        (OwnCredential::Secret | OwnCredential::SecretOrAppRole, None)
            if matches!(found.secret, Source::Joined(_)) =>
        {
            Err(wrong(
                &place.join("access_key"),
                format!("{} has no access keys: set env, file or path instead", platform.name()),
            ))
        }
        _ => Ok(found),
    }
}

/// What the name of an environment variable looks like.
pub const VARIABLE_NAME: &str = "the form of a variable's name (letters, digits and _, and no digit first). If it is the secret \
     itself, end that secret: it was written down";

/// Whether a variable can be called so.
pub fn is_variable_name(name: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    !name.is_empty() && name.bytes().all(fits) && !name.as_bytes()[0].is_ascii_digit()
}

fn source(node: &Node, place: &Place) -> Result<Credential, ConfigError> {
    const FORMS: &str = "set exactly one: { env = \"NAME\" }, { file = \"…\" }, \
                         { path = \"<connection>:<path>#<field>\" }, { approle = { … } } or \
                         { access_key = { … } }";
    if let Node::Text(_) = node {
        return Err(wrong(
            place,
            format!("this must say where the secret is, never the secret itself: {FORMS}"),
        ));
    }
    let mut reader = Reader::new(node, place)?;
    let env = reader.text("env")?;
    let file = reader.text("file")?;
    let path = reader.text("path")?;
    let approle = reader.take("approle");
    let access_key = reader.take("access_key");
    reader.done(&["env", "file", "path", "approle", "access_key"])?;
    let plain = |secret| Ok(Credential { secret, id: None });
    match (env, file, path, approle, access_key) {
        (Some(name), None, None, None, None) if is_variable_name(&name) => plain(Source::Env(name)),
        // What stands there may be the secret, and is not repeated.
        (Some(_), None, None, None, None) => {
            Err(wrong(&place.join("env"), format!("what stands there has not {VARIABLE_NAME}")))
        }
        (None, Some(file), None, None, None) => plain(Source::File(PathBuf::from(file))),
        (None, None, Some(path), None, None) => plain(sink_path(&path, &place.join("path"))?),
        (None, None, None, None, Some(node)) => plain(access_key_parts(node, place)?),
        (None, None, None, Some(node), None) => {
            let place = place.join("approle");
            let mut reader = Reader::new(node, &place)?;
            let id = reader.required("role_id")?;
            let secret = reader
                .take("secret_id")
                .ok_or_else(|| wrong(&place, "secret_id is missing: { env = \"NAME\" }"))?;
            let secret = whole(secret, &place.join("secret_id"))?;
            reader.done(&["role_id", "secret_id"])?;
            Ok(Credential { secret, id: Some(id) })
        }
        _ => Err(wrong(place, FORMS)),
    }
}

/// A source in one part.
fn whole(node: &Node, place: &Place) -> Result<Source, ConfigError> {
    let found = source(node, place)?;
    match found {
        Credential { secret: Source::Joined(_), .. } | Credential { id: Some(_), .. } => {
            Err(wrong(place, "set env, file or path here"))
        }
        Credential { secret, id: None } => Ok(secret),
    }
}

/// How often all is compared, where nobody says.
const DRIFT: Span = Span::from_secs(3600);

fn serve(node: &Node, place: &Place) -> Result<ServeConfig, ConfigError> {
    let mut reader = Reader::new(node, place)?;
    let span = |text: Option<String>, name: &str| {
        let read = |text: String| text.parse::<Span>();
        let read = text.map(read).transpose();
        read.map_err(|error| wrong(&place.join(name), error.to_string()))
    };
    let every = span(reader.text("every")?, "every")?;
    let drift = match reader.text("drift")? {
        Some(text) if text == "never" => None,
        text => span(text, "drift")?.or(Some(DRIFT)),
    };
    let listen = reader.text("listen")?;
    let token = reader.take("token").map(|node| whole(node, &place.join("token"))).transpose()?;
    let tls = reader.take("tls").map(|node| {
        let place = place.join("tls");
        let mut reader = Reader::new(node, &place)?;
        let tls = TlsConfig {
            certificate: PathBuf::from(reader.required("certificate")?),
            key: PathBuf::from(reader.required("key")?),
            clients: reader.text("clients")?.map(PathBuf::from),
        };
        reader.done(&["certificate", "key", "clients"])?;
        Ok(tls)
    });
    let tls = tls.transpose()?;
    reader.done(&["every", "listen", "tls", "token", "drift"])?;
    Ok(ServeConfig { every, listen, tls, token, drift })
}

fn mail(node: &Node, place: &Place) -> Result<MailConfig, ConfigError> {
    let mut reader = Reader::new(node, place)?;
    let (server, from) = (reader.required("server")?, reader.required("from")?);
    let user = reader.text("user")?;
    let password = reader.take("password");
    let password = password.map(|node| whole(node, &place.join("password"))).transpose()?;
    let user = match (user, password) {
        (Some(user), Some(password)) => Some((user, password)),
        (None, None) => None,
        _ => return Err(wrong(place, "set user and password, or neither")),
    };
    let ca_file = reader.text("ca_file")?.map(PathBuf::from);
    let otherwise = reader.text("otherwise")?;
    reader.done(&["server", "from", "user", "password", "ca_file", "otherwise"])?;
    Ok(MailConfig { server, from, user, ca_file, otherwise })
}

fn notify(node: &Node, place: &Place) -> Result<NotifyConfig, ConfigError> {
    let mut reader = Reader::new(node, place)?;
    let webhook = reader.take("webhook").map(|node| {
        let place = place.join("webhook");
        let mut reader = Reader::new(node, &place)?;
        let url = reader.required("url")?;
        let key = reader
            .take("key")
            .ok_or_else(|| wrong(&place, "key is missing: { env = \"NHI_WEBHOOK_KEY\" }"))?;
        let key = whole(key, &place.join("key"))?;
        reader.done(&["url", "key"])?;
        Ok((url, key))
    });
    let slack = reader.take("slack").map(|node| {
        let place = place.join("slack");
        let mut reader = Reader::new(node, &place)?;
        let url = reader
            .take("url")
            .ok_or_else(|| wrong(&place, "url is missing: { env = \"NHI_SLACK_URL\" }"))?;
        let url = whole(url, &place.join("url"))?;
        reader.done(&["url"])?;
        Ok(url)
    });
    let heartbeat = reader.text("heartbeat")?.map(|text| {
        text.parse::<Span>().map_err(|error| wrong(&place.join("heartbeat"), error.to_string()))
    });
    let mail = reader.take("mail").map(|node| mail(node, &place.join("mail")));
    let (webhook, slack, heartbeat, mail) =
        (webhook.transpose()?, slack.transpose()?, heartbeat.transpose()?, mail.transpose()?);
    reader.done(&["webhook", "slack", "heartbeat", "mail"])?;
    Ok(NotifyConfig { webhook, slack, heartbeat, mail })
}

/// Where reports are taken where nobody says.
const SIGNALS: &str = "127.0.0.1:9465";

fn signals(node: &Node, place: &Place) -> Result<SignalsConfig, ConfigError> {
    let mut reader = Reader::new(node, place)?;
    let key = reader
        .take("key")
        .ok_or_else(|| wrong(place, "key is missing: { env = \"NHI_SIGNALS_KEY\" }"))?;
    let key = whole(key, &place.join("key"))?;
    let listen = reader.text("listen")?.unwrap_or_else(|| SIGNALS.to_owned());
    reader.done(&["key", "listen"])?;
    Ok(SignalsConfig { key, listen })
}

fn access_key_parts(node: &Node, place: &Place) -> Result<Source, ConfigError> {
    let place = place.join("access_key");
    let mut reader = Reader::new(node, &place)?;
    let mut parts = Vec::new();
    for (name, required) in [("id", true), ("secret", true), ("session_token", false)] {
        match reader.take(name) {
            Some(node) => parts.push(whole(node, &place.join(name))?),
            None if required => {
                return Err(wrong(&place, format!("{name} is missing: {{ env = \"NAME\" }}")));
            }
            None => {}
        }
    }
    reader.done(&["id", "secret", "session_token"])?;
    Ok(Source::Joined(parts))
}

fn sink_path(text: &str, place: &Place) -> Result<Source, ConfigError> {
    let parts = text
        .split_once(':')
        .and_then(|(connection, rest)| {
            rest.split_once('#').map(|(path, field)| (connection, path, field))
        })
        .filter(|(connection, path, field)| {
            !connection.is_empty() && !path.is_empty() && !field.is_empty()
        });
    match parts {
        Some((connection, path, field)) => Ok(Source::Path {
            connection: connection.to_owned(),
            path: path.to_owned(),
            field: field.to_owned(),
        }),
        None => Err(wrong(place, "expected <connection>:<path>#<field>")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Config, ConfigError> {
        Config::read(&Node::parse_hcl(text)?)
    }

    fn refused(text: &str) -> String {
        match read(text) {
            Ok(_) => panic!("accepted: {text}"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_secret_in_place_of_its_variable_is_refused_and_not_repeated() {
        for pasted in ["s.hunter2", "hunter-2", "2hunter", ""] {
            let text = format!(
                "connections = {{ bao = {{ openbao = {{ address = \"https://b\", credential = {{ env = \"{pasted}\" }} }} }} }}"
            );
            let said = refused(&text);
            assert!(said.contains("credential.env") && !said.contains("hunter"), "{said}");
        }
    }

    #[test]
    fn a_credential_that_a_platform_does_not_know_is_refused_where_it_stands() {
        const APPROLE: &str = r#"{ approle = { role_id = "r", secret_id = { env = "S" } } }"#;
        for platform in ["oauth", "scim"] {
            let text = format!(
                r#"connections = {{ x = {{ {platform} = {{ address = "https://x.acme.example", credential = {APPROLE} }} }} }}"#
            );
            let said = refused(&text);
            let place = format!("connections.x.{platform}.credential.approle");
            assert!(said.contains(&place) && said.contains("env, file or path"), "{said}");
        }
        let said = refused(
            r#"connections = { x = { file = { folder = "/x", credential = { env = "X" } } } }"#,
        );
        assert!(said.contains("connections.x.file.credential"), "{said}");
        let text = format!(
            r#"connections = {{ x = {{ openbao = {{ address = "https://x.acme.example", credential = {APPROLE} }} }} }}"#
        );
        read(&text).unwrap();
    }

    #[test]
    fn an_access_key_is_put_together_from_its_parts_where_a_platform_has_one() {
        let text = |platform: &str, parts: &str| {
            format!(
                r#"connections = {{
                  bao = {{ openbao = {{ address = "http://127.0.0.1:1" }} }}
                  x = {{ {platform} = {{ address = "http://127.0.0.1:1", credential = {{ access_key = {{ {parts} }} }} }} }}
                }}"#
            )
        };
        const ID: &str = r#"id = { env = "ID" }"#;
        const PARTS: &str = r#"id = { env = "ID" }, secret = { path = "bao:secret/aws#key" }, session_token = { file = "t" }"#;
        let config = read(&text("aws_iam", PARTS)).unwrap();
        let credential = config.connections["x"].credential.as_ref().unwrap();
        let [Source::Env(_), Source::Path { .. }, Source::File(_)] = credential.secret.parts()
        else {
            panic!("{credential:?}");
        };
        let said = refused(&text("aws_iam", ID));
        assert!(
            said.contains("credential.access_key") && said.contains("secret is missing"),
            "{said}"
        );
        let said = refused(&text("openbao", PARTS));
        assert!(said.contains("openbao.credential.access_key"), "{said}");
        // A part that is kept behind the connection itself, or behind nothing, is as wrong as a whole.
        let said = refused(&text("aws_iam", r#"id = { env = "ID" }, secret = { path = "x:a#b" }"#));
        assert!(said.contains("behind itself"), "{said}");
        let nested = r#"id = { env = "ID" }, secret = { approle = { role_id = "r", secret_id = { env = "S" } } }"#;
        assert!(refused(&text("aws_iam", nested)).contains("env, file or path"));
    }

    #[test]
    fn a_demonstration_goes_to_no_place_that_a_platform_has_by_itself() {
        let body = |settings: &str| {
            format!("demo = true\nconnections = {{ x = {{ aws_iam = {{ {settings} }} }} }}")
        };
        read(&body(r#"address = "http://127.0.0.1:1""#)).unwrap();
        for elsewhere in
            ["", r#"address = "http://127.0.0.1:1", sts_address = "https://sts.amazonaws.com""#]
        {
            assert!(refused(&body(elsewhere)).contains("on this machine"), "{elsewhere}");
        }
    }

    const WHOLE: &str = r#"
        connections = {
          bao = { openbao = { address = "https://bao.acme.example", credential = { env = "BAO_TOKEN" } } }
          as  = { openbao = { address = "https://as.acme.example", credential = { path = "bao:secret/as#token" } } }
        }
        realm   = { id = "k3x9q2", key = { env = "NHI_REALM_KEY" } }
        custody = { connection = "bao", path = "secret/nhi" }
        ledger  = { sqlite = { path = "nhi.db" } }
        policy  = { file = "policy.hcl" }
    "#;

    #[test]
    fn the_documented_body_is_read_whole() {
        let config = read(WHOLE).unwrap();
        assert_eq!(config.connections.len(), 2);
        assert_eq!(config.connections["bao"].platform.name(), "openbao");
        assert_eq!(config.ledger, LedgerConfig::Sqlite("nhi.db".into()));
        assert_eq!(config.custody.unwrap().path, "secret/nhi");
        assert_eq!(config.unknown, None);
    }

    #[test]
    fn a_ledger_in_a_database_says_where_its_password_is_and_never_the_password() {
        let ledger = |body: &str| format!("ledger = {{ postgres = {{ {body} }} }}");
        const PARTS: &str = r#"host = "db.acme.example", database = "nhi", user = "nhi""#;
        let config = read(&ledger(&format!(r#"{PARTS}, password = {{ env = "PW" }}"#))).unwrap();
        let LedgerConfig::Postgres(DatabaseConfig { address, .. }) = config.ledger else {
            panic!("another ledger")
        };
        let DatabaseAddress::Parts { port, password, secured, .. } = address else {
            panic!("another form")
        };
        assert_eq!((port, password, secured), (5432, Some(Source::Env("PW".into())), true));
        read(&ledger(r#"url = { file = "url" }"#)).unwrap();
        for (body, says) in [
            (format!(r#"{PARTS}, password = "hunter2""#), "never the secret itself"),
            (format!(r#"{PARTS}, password = {{ path = "bao:a#b" }}"#), "set env or file"),
            (format!(r#"{PARTS}, sslmode = "prefer""#), "verify-full"),
            (format!(r#"{PARTS}, url = {{ env = "URL" }}"#), "set host, database and user, or url"),
            (r#"url = { env = "URL" }, user = "x""#.to_owned(), "a second time"),
            (r#"url = "postgresql://a:hunter2@x/y""#.to_owned(), "never the secret itself"),
            (r#"host = "x", user = "y""#.to_owned(), "database is missing"),
        ] {
            let said = refused(&ledger(&body));
            assert!(said.contains(says) && !said.contains("hunter2"), "{body}: {said}");
        }
        assert!(refused(&format!("demo = true\n{}", ledger(PARTS))).contains("on this machine"));
        let here = PARTS.replace("db.acme.example", "127.0.0.1");
        read(&format!("demo = true\n{}", ledger(&here))).unwrap();
    }

    #[test]
    fn a_secret_in_the_file_is_refused_with_the_form() {
        let error = refused(
            r#"connections = { bao = { openbao = { address = "http://x", credential = "s.123" } } }"#,
        );
        assert!(error.starts_with("connections.bao.openbao.credential"), "{error}");
        assert!(error.contains("never the secret itself"), "{error}");
        assert!(!error.contains("s.123"), "the secret is not repeated: {error}");
    }

    #[test]
    fn what_is_not_known_is_refused_by_name_with_what_is() {
        assert!(refused("conections = {}").contains("Known: config_file, connections"));
        let error = refused(r#"connections = { bao = { vualt = {} } }"#);
        assert!(error.contains("set exactly one platform: openbao"), "{error}");
        assert!(error.contains("found: vualt"), "{error}");
        let error = refused(r#"custody = { connection = "boa", path = "x" }"#);
        assert!(error.contains("no connection named \"boa\""), "{error}");
    }

    #[test]
    fn what_cannot_forget_or_holds_no_secrets_is_no_custody_and_what_can_be_is_named() {
        for (connection, why) in [
            (
                r#"x = { aws_iam = { secrets_region = "eu-central-1" } }"#,
                "cannot destroy one version",
            ),
            (r#"x = { scim = { address = "http://x" } }"#, "is no sink"),
        ] {
            let custody = r#"custody = { connection = "x", path = "nhi" }"#;
            let error = refused(&format!("connections = {{ {connection} }}\n{custody}"));
            assert!(error.starts_with("custody.connection") && error.contains(why), "{error}");
            assert!(error.ends_with("Name a connection of one of: openbao, file"), "{error}");
        }
    }

    #[test]
    fn a_credential_kept_behind_itself_is_refused() {
        let error = refused(
            r#"connections = { bao = { openbao = { address = "http://x", credential = { path = "bao:a#b" } } } }"#,
        );
        assert!(error.contains("behind itself"), "{error}");
    }

    #[test]
    fn a_demonstration_stays_on_this_machine() {
        let body = |address: &str| {
            format!(
                "demo = true\nconnections = {{ bao = {{ openbao = {{ address = \"{address}\" }} }} }}"
            )
        };
        for address in ["http://127.0.0.1:8200", "https://localhost", "http://[::1]:8200/x"] {
            read(&body(address)).unwrap();
        }
        for address in ["https://bao.acme.example", "http://10.0.0.1:8200", "http://127.0.0.1.evil"]
        {
            assert!(refused(&body(address)).contains("on this machine"), "{address}");
        }
    }

    #[test]
    fn what_goes_in_the_clear_over_a_network_is_known() {
        let clear = |address: &str| {
            let text =
                format!("connections = {{ bao = {{ openbao = {{ address = \"{address}\" }} }} }}");
            read(&text).unwrap().connections["bao"].in_the_clear()
        };
        assert_eq!(clear("http://192.0.2.2:8200").as_deref(), Some("http://192.0.2.2:8200"));
        for address in ["http://127.0.0.1:8200", "https://192.0.2.2:8200", "http://localhost"] {
            assert_eq!(clear(address), None, "{address}");
        }
    }

    #[test]
    fn an_unknown_part_makes_its_connection_unknown_and_nothing_else() {
        let mut node = Node::parse_hcl(WHOLE).unwrap();
        if let Node::Map(body) = &mut node
            && let Some(Node::Map(connections)) = body.get_mut("connections")
            && let Some(Node::Map(bao)) = connections.get_mut("bao")
            && let Some(Node::Map(openbao)) = bao.get_mut("openbao")
        {
            openbao.insert("address".into(), Node::Unknown);
        }
        let config = Config::read(&node).unwrap();
        let unknown = config.connections["bao"].unknown.as_deref();
        assert_eq!(unknown, Some("connections.bao.openbao.address"));
        assert_eq!(config.connections["as"].unknown, None);
    }
}
