//! Connections, opened once each and only when something needs them.

use std::{
    collections::BTreeMap,
    fmt,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use connector::{
    Clock, Connection, OwnCredential, Platform, Setup,
    transport::{self, SharedBudget},
};
use domain::{Secret, Span};
use operations::{Connections, Problem};
use zeroize::Zeroizing;

use crate::{
    config::{Config, ConnectionConfig, Source},
    context::Environment,
    shared::SHARE,
};

/// The connections of one configuration.
pub(crate) struct Configured {
    config: Arc<Config>,
    folder: PathBuf,
    environment: Environment,
    clock: Arc<dyn Clock>,
    place: String,
    call_deadline: Span,
    /// Where those who serve share what a tenant may be asked.
    shared: Option<Arc<dyn SharedBudget>>,
    open: Mutex<BTreeMap<String, Connection>>,
}

impl Configured {
    pub(crate) fn new(
        config: Arc<Config>,
        folder: PathBuf,
        environment: Environment,
        clock: Arc<dyn Clock>,
        place: String,
        call_deadline: Span,
    ) -> Configured {
        let open = Mutex::default();
        let shared = None;
        Configured { config, folder, environment, clock, place, call_deadline, shared, open }
    }

    /// With what several processes may ask together.
    pub(crate) fn shared(self, with: Option<Arc<dyn SharedBudget>>) -> Configured {
        Configured { shared: with, ..self }
    }

    fn find(&self, name: &str) -> Result<&ConnectionConfig, Problem> {
        self.config.connections.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.config.connections.keys().map(String::as_str).collect();
            let close = known
                .iter()
                .filter(|known| distance(known, name) <= 2)
                .min_by_key(|known| distance(known, name));
            let meant = close.map(|close| format!(" Did you mean {close:?}?")).unwrap_or_default();
            let listed = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            Problem::new("E-CONNECTION-UNKNOWN", "There is no connection of that name")
                .detail(format!(
                    "{name:?} is not configured. Known: {listed} ({}).{meant}",
                    self.place
                ))
                .next(format!(
                    "correct the name, or add {name:?} under connections in {}",
                    self.place
                ))
                .at(&["connection_name"])
        })
    }

    /// Reads our own credential from where the configuration says; its form is for whoever has to
    /// set it.
    fn secret<'a>(
        &'a self,
        name: &'a str,
        source: &'a Source,
        form: &'static str,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<Secret, Problem>> + Send + 'a>> {
        Box::pin(async move {
            let missing = |detail: String, next: String| {
                Problem::new("E-CREDENTIAL", "Our own credential is missing")
                    .detail(format!("Connection {name:?}: {detail}"))
                    .next(next)
            };
            match source {
                Source::Env(variable) => match self.environment.get(variable) {
                    Some(text) if !text.is_empty() => Ok(Secret::new(text)),
                    _ => Err(missing(
                        format!("the environment variable {variable} is not set, or empty."),
                        format!("export {variable}={form}"),
                    )),
                },
                Source::File(path) => {
                    let path = self.folder.join(path);
                    let shown = path.display().to_string();
                    read_secret_file(&path)
                        .map_err(|(why, next)| missing(format!("{shown}: {why}."), next))
                }
                Source::Joined(parts) => {
                    let mut joined = Zeroizing::new(String::with_capacity(4096));
                    for part in parts {
                        let part = self.secret(name, part, "…").await?;
                        if !joined.is_empty() {
                            joined.push(':');
                        }
                        joined.push_str(part.expose());
                    }
                    Ok(Secret::new(joined.as_str()))
                }
                Source::Path { connection, path, field } => {
                    let sink = self.get(connection).await?.sink.ok_or_else(|| {
                        missing(format!("{connection:?} is no sink."), "name a sink".into())
                    })?;
                    let lacks = |why: String| {
                        missing(
                            format!("{connection}:{path} {why}."),
                            format!("put the credential there, as its field {field:?}"),
                        )
                    };
                    let stored = sink.read(path).await?;
                    let stored = stored.ok_or_else(|| lacks("is not there".into()))?;
                    let document =
                        stored.document.ok_or_else(|| lacks("has been deleted".into()))?;
                    let secret = document.get(field).map(Secret::duplicate);
                    secret.ok_or_else(|| lacks(format!("has no field {field:?}")))
                }
            }
        })
    }

    fn unusable(&self, name: &str, why: String) -> Problem {
        Problem::new("E-CONNECTION", "A connection cannot be used")
            .detail(format!("{name:?}: {why}."))
            .next(format!("correct it in {}", self.place))
    }

    fn route(&self, name: &str, read_only: bool) -> Result<transport::Route, Problem> {
        let config = self.find(name)?;
        let budget = config.budget.unwrap_or_else(|| config.platform.usual_budget());
        let share = if self.shared.is_some() { SHARE } else { 1 };
        Ok(transport::Route {
            connection: name.to_owned(),
            address: config.address().unwrap_or("http://127.0.0.1:9").to_owned(),
            also: config.platform.other_addresses(&config.settings),
            ca_file: config.settings.text("ca_file").map(|path| self.folder.join(path)),
            budget: (budget / share).max(1),
            read_only,
            call_deadline: self.call_deadline.to_std(),
            clock: self.clock.clone(),
            shared: self.shared.clone(),
        })
    }

    /// What can be told of a connection's address without asking anybody, nor reading a file.
    pub(crate) fn check_address(&self, name: &str) -> Result<(), Problem> {
        let route = transport::Route { ca_file: None, ..self.route(name, true)? };
        let wire = self.find(name)?.platform.wire(&route);
        wire.map(drop).map_err(|why| self.unusable(name, why))
    }

    async fn connect(&self, name: &str, read_only: bool) -> Result<Connection, Problem> {
        let config = self.find(name)?;
        if let Some(part) = &config.unknown {
            return Err(Problem::new("E-NOT-YET-KNOWN", "A connection is not known yet")
                .detail(format!(
                    "{part} becomes known during apply, so nothing can be read through {name:?} now."
                ))
                .next("apply what it depends on first, with -target"));
        }
        let (credential, credential_id) = match &config.credential {
            Some(credential) => {
                let form = match config.platform.own_credential() {
                    OwnCredential::AccessKey => "ID:SECRET",
                    _ => "…",
                };
                (Some(self.secret(name, &credential.secret, form).await?), credential.id.clone())
            }
            None => (None, None),
        };
        let unusable = |why| self.unusable(name, why);
        let route = self.route(name, read_only)?;
        let wire = config.platform.wire(&route).map_err(unusable)?;
        let transport = transport::connect(route, wire);
        let mut settings = config.settings.clone();
        if let Some(tenant) = &config.tenant {
            settings.0.insert("tenant".into(), domain::Setting::Text(tenant.clone()));
        }
        // Relative folders are relative to the configuration.
        let folder = settings.text("folder").filter(|folder| !folder.is_empty());
        if let Some(folder) = folder.map(|folder| self.folder.join(folder)) {
            let folder = domain::Setting::Text(folder.display().to_string());
            settings.0.insert("folder".into(), folder);
        }
        let keyring = self.keyring(name).await?;
        config
            .platform
            .connect(Setup {
                name: name.to_owned(),
                settings,
                credential,
                credential_id,
                transport,
                clock: self.clock.clone(),
                keyring,
            })
            .map_err(|error| unusable(error.to_string()))
    }

    /// Custody's folder for documents about single objects, where a platform needs one. It takes
    /// writes of a read-only run too: a token that comes with a look is the only one from then on, and
    /// a run that could not keep it would lose the object.
    async fn keyring(
        &self,
        name: &str,
    ) -> Result<Option<(Arc<dyn secrets::Sink>, String)>, Problem> {
        let config = self.find(name)?;
        let needs = config.platform.kinds().iter().any(|kind| kind.capabilities.needs_keyring);
        let (Some(custody), Some(realm), true) = (&self.config.custody, &self.config.realm, needs)
        else {
            return Ok(None);
        };
        let sink = match self.config.read_only {
            true => Box::pin(self.connect(&custody.connection, false)).await?.sink,
            false => self.get(&custody.connection).await?.sink,
        };
        Ok(sink.map(|sink| (sink, format!("{}/{}-keyring", custody.path, realm.id))))
    }
}

impl fmt::Debug for Configured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.config.connections.keys()).finish()
    }
}

#[async_trait]
impl Connections for Configured {
    fn names(&self) -> Vec<String> {
        self.config.connections.keys().cloned().collect()
    }

    fn platform(&self, name: &str) -> Result<&'static dyn Platform, Problem> {
        Ok(self.find(name)?.platform)
    }

    async fn get(&self, name: &str) -> Result<Connection, Problem> {
        if let Some(open) = self.open.lock().unwrap_or_else(PoisonError::into_inner).get(name) {
            return Ok(open.clone());
        }
        let made = self.connect(name, self.config.read_only).await?;
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        // Two that connect at once share the first: one budget and one listing a connection.
        Ok(open.entry(name.to_owned()).or_insert(made).clone())
    }

    fn pinned_tenant(&self, name: &str) -> Option<String> {
        self.config.connections.get(name)?.tenant.clone()
    }

    fn address(&self, name: &str) -> Option<String> {
        self.config.connections.get(name)?.address().map(str::to_owned)
    }
}

/// A secret in a file that only its owner may read.
pub(crate) fn read_secret_file(path: &std::path::Path) -> Result<Secret, (String, String)> {
    let shown = path.display();
    let write = format!("write the secret into {shown}, in one line, and chmod 600 it");
    let about = match std::fs::metadata(path) {
        Ok(about) => about,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(("it is not there".into(), write));
        }
        Err(error) => return Err((error.to_string(), format!("let this user read {shown}"))),
    };
    if about.is_dir() {
        return Err(("it is a folder".into(), "name the file in it".into()));
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = about.permissions().mode();
        if mode & 0o077 != 0 {
            let why = format!("others may read it (mode {:o})", mode & 0o777);
            return Err((why, format!("chmod 600 {shown}")));
        }
    }
    let text = std::fs::read_to_string(path).map(Zeroizing::new);
    let text = text.map_err(|error| (error.to_string(), format!("let this user read {shown}")))?;
    match text.trim() {
        "" => Err(("it is empty".into(), write)),
        lines if lines.contains('\n') => Err(("it has more than one line".into(), write)),
        secret => Ok(Secret::new(secret)),
    }
}

/// How many letters apart two names are.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut before = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let cost = before + usize::from(x != *y);
            before = row[j + 1];
            row[j + 1] = cost.min(row[j] + 1).min(before + 1);
        }
    }
    // Swapped neighbours are one slip, not two.
    let sorted = |text: &[char]| {
        let mut text = text.to_vec();
        text.sort_unstable();
        text
    };
    let a: Vec<char> = a.chars().collect();
    if row[b.len()] == 2 && sorted(&a) == sorted(&b) { 1 } else { row[b.len()] }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, Write};

    use connector::SystemClock;
    use secrets::{Document, Expect};

    use super::*;
    use crate::Loaded;

    /// The connections of a configuration that is read in a folder.
    fn configured(text: &str, folder: &std::path::Path, environment: Environment) -> Configured {
        let loaded = Loaded::from_text(text, folder, None, environment.clone()).unwrap();
        Configured::new(
            loaded.config,
            loaded.folder,
            environment,
            Arc::new(SystemClock),
            "nhi.hcl".into(),
            Span::from_secs(30),
        )
    }

    #[tokio::test]
    async fn a_folder_without_a_name_is_not_the_projects_and_a_missing_key_says_its_form() {
        let text = r#"
            connections = {
              files = { file = { folder = "" } }
              aws   = { aws_iam = { credential = { env = "AWS_KEY" } } }
              bao   = { openbao = { address = "http://127.0.0.1:9", credential = { env = "TOKEN" } } }
            }
        "#;
        let configured = configured(text, std::path::Path::new("."), Environment::of(&[]));
        let problem = configured.get("files").await.err().unwrap();
        assert!(problem.detail.contains("file.folder is not set"), "{problem}");
        for (name, next) in [("aws", "export AWS_KEY=ID:SECRET"), ("bao", "export TOKEN=…")] {
            assert_eq!(configured.get(name).await.err().unwrap().next.as_deref(), Some(next));
        }
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn of_our_credential_in_a_sink_it_is_told_whether_its_document_or_its_field_is_missing() {
        let folder = tempfile::tempdir().unwrap();
        let text = r#"connections = {
          files = { file = { folder = "sink" } }
          bao   = { openbao = { address = "http://127.0.0.1:9", credential = { path = "files:nhi/bao#token" } } }
        }"#;
        let configured = configured(text, folder.path(), Environment::of(&[]));
        let problem = configured.get("bao").await.err().unwrap();
        assert!(problem.detail.contains("files:nhi/bao is not there"), "{problem}");
        assert!(problem.next.as_deref().unwrap().contains("\"token\""), "{problem}");
        let sink = configured.get("files").await.unwrap().sink.unwrap();
        let other = Document::default().with("secret", Secret::new("y"));
        sink.write("nhi/bao", &other, Expect::Nothing).await.unwrap();
        let problem = configured.get("bao").await.err().unwrap();
        assert!(problem.detail.contains("files:nhi/bao has no field \"token\""), "{problem}");
        let right = Document::default().with("token", Secret::new("y"));
        sink.write("nhi/bao", &right, Expect::Version(1)).await.unwrap();
        configured.get("bao").await.unwrap();
    }

    #[tokio::test]
    async fn a_read_only_run_may_keep_a_token_that_came_with_a_look_and_changes_nothing_else() {
        let (address, sent) = server();
        let text = r#"
            realm     = { id = "k3x9q2", key = { env = "KEY" } }
            custody   = { connection = "bao", path = "secret/nhi" }
            ledger    = { none = true }
            read_only = true
            connections = {
              bao   = { openbao = { address = "http://127.0.0.1:9", credential = { env = "TOKEN" } } }
              login = { oauth = { address = "http://127.0.0.1:9", credential = { env = "TOKEN" } } }
            }
        "#;
        let text = text.replace("http://127.0.0.1:9", &address);
        let environment = Environment::of(&[("TOKEN", "t"), ("KEY", &"k".repeat(40))]);
        let configured = configured(&text, std::path::Path::new("."), environment);
        // Whether the write is answered is none of this test's business: it is sent, or it is not.
        let write = async |sink: Arc<dyn secrets::Sink>| {
            let document = Document::default().with("x", Secret::new("y"));
            let _ = sink.write("secret/nhi/x", &document, Expect::Nothing).await;
            let sent = std::mem::take(&mut *sent.lock().unwrap());
            sent.into_iter().filter(|line| !line.starts_with("GET ")).collect::<Vec<_>>()
        };
        let (keyring, _) = configured.keyring("login").await.unwrap().unwrap();
        let written = write(keyring).await;
        assert!(written.iter().any(|line| line.contains("/secret/data/nhi/x ")), "{written:?}");
        let written = write(configured.get("bao").await.unwrap().sink.unwrap()).await;
        assert!(written.is_empty(), "{written:?}");
    }

    /// A server that knows one KV mount and nothing else, and what it was sent.
    fn server() -> (String, Arc<Mutex<Vec<String>>>) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let sent: Arc<Mutex<Vec<String>>> = Arc::default();
        let all = sent.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut line = String::new();
                std::io::BufReader::new(&stream).read_line(&mut line).unwrap();
                all.lock().unwrap().push(line);
                let body = r#"{"data":{"path":"secret/","type":"kv","options":{"version":"2"}}}"#;
                let length = body.len();
                let _ = write!(
                    stream,
                    "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
                );
            }
        });
        (address, sent)
    }

    #[test]
    fn a_slip_is_close_to_what_was_meant() {
        assert_eq!(distance("bao", "boa"), 1);
        assert_eq!(distance("bao", "bao"), 0);
        assert!(distance("bao", "people") > 2);
    }

    #[cfg(unix)]
    #[test]
    fn each_fault_of_a_file_with_a_secret_says_what_helps() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let said = |path: &std::path::Path| read_secret_file(path).unwrap_err();
        assert!(said(&path).1.contains("write the secret"), "{:?}", said(&path));
        assert!(said(folder.path()).1.contains("name the file"), "{:?}", said(folder.path()));
        let write = |text: &str, mode: u32| {
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        write("hunter2", 0o644);
        assert!(said(&path).1.contains("chmod 600"), "{:?}", said(&path));
        for (text, why) in [(" \n", "empty"), ("hunter2\nhunter3\n", "more than one line")] {
            write(text, 0o600);
            let (told, next) = said(&path);
            assert!(told.contains(why) && !format!("{told}{next}").contains("hunter"), "{told}");
        }
        write("hunter2\n", 0o600);
        assert_eq!(read_secret_file(&path).unwrap().expose(), "hunter2");
    }
}
