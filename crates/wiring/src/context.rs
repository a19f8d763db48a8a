//! From a configuration to what deeds need.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
    sync::Arc,
};

use connector::{Clock, Clocks, SystemClock, transport::SharedBudget};
use domain::{Realm, RealmKey, Secret};
use ledger::{Actor, Ledger, NewEntry, NullLedger};
use ledger_postgres::PostgresLedger;
use ledger_sqlite::{Salvaged, SqliteLedger};
use operations::{
    Connections, Context, Custody, EndingGate, Gate, Problem, Run, custody_is_all_of_a_store,
};
use policy::Rules;

use crate::{
    board,
    config::{Config, LedgerConfig, Source},
    connections::{Configured, read_secret_file},
    database, discover,
    policy_file::read_rules,
    policy_files::{ReviewFiles, not_right},
    shared::InLedger,
    tree::{ConfigError, Node},
};

/// What starts those who look after everything for ever, of whom there may be several.
const TICK: &str = "tick";

/// The environment as it was when the program began.
#[derive(Clone, Default)]
pub struct Environment(Arc<BTreeMap<String, String>>);

impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Values may be credentials.
        write!(f, "Environment({} variables)", self.0.len())
    }
}

impl Environment {
    /// This process' own.
    pub fn of_process() -> Environment {
        Environment::of_os(std::env::vars_os())
    }

    /// What is not UTF-8 is nothing that a configuration could name, and nothing to die of.
    fn of_os(all: impl Iterator<Item = (OsString, OsString)>) -> Environment {
        let text = all.filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        Environment(Arc::new(text.collect()))
    }

    /// These and no others: for tests.
    pub fn of(variables: &[(&str, &str)]) -> Environment {
        let owned = variables.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned()));
        Environment(Arc::new(owned.collect()))
    }

    /// One variable.
    pub fn get(&self, name: &str) -> Option<String> {
        self.0.get(name).cloned()
    }
}

/// A configuration with the folder that its paths are relative to.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The configuration.
    pub config: Arc<Config>,
    /// The folder.
    pub folder: PathBuf,
    /// The file that it was read from; `None` for a provider block.
    pub file: Option<PathBuf>,
    /// The environment.
    pub environment: Environment,
}

fn config_problem(place: &str, error: &ConfigError) -> Problem {
    Problem::new("E-CONFIG", "The configuration is not right")
        .detail(format!("{place}: {error}"))
        .next("correct it there")
}

impl Loaded {
    /// Reads the text of a configuration.
    ///
    /// # Errors
    ///
    /// What is wrong in it, and where.
    pub fn from_text(
        text: &str,
        folder: &Path,
        file: Option<PathBuf>,
        environment: Environment,
    ) -> Result<Loaded, Problem> {
        let place = file.as_ref().map_or("nhi.hcl".to_owned(), |file| file.display().to_string());
        let config = Node::parse_hcl(text)
            .and_then(|node| Config::read(&node))
            .map_err(|error| config_problem(&place, &error))?;
        Ok(Loaded { config: Arc::new(config), folder: folder.to_owned(), file, environment })
    }

    /// Takes the body of a provider block.
    ///
    /// # Errors
    ///
    /// What is wrong in it, and where.
    pub fn from_block(
        body: &Node,
        folder: &Path,
        environment: Environment,
    ) -> Result<Loaded, ConfigError> {
        let config = Arc::new(Config::read(body)?);
        Ok(Loaded { config, folder: folder.to_owned(), file: None, environment })
    }

    /// The same, unable to change anything.
    #[must_use]
    pub fn read_only(&self) -> Loaded {
        let config = Arc::new(Config { read_only: true, ..(*self.config).clone() });
        Loaded { config, ..self.clone() }
    }

    fn place(&self) -> String {
        self.file
            .as_ref()
            .map_or("the provider block".to_owned(), |file| file.display().to_string())
    }

    /// The rules: the policy file's, or the defaults.
    ///
    /// # Errors
    ///
    /// The file cannot be read, is not right, or has another digest than the pinned one.
    pub fn rules(&self) -> Result<Rules, Problem> {
        self.written_rules().map(|rules| self.for_demo(rules))
    }

    fn for_demo(&self, rules: Rules) -> Rules {
        if self.config.demo { rules.for_demo() } else { rules }
    }

    fn written_rules(&self) -> Result<Rules, Problem> {
        let Some(file) = &self.config.policy else { return Ok(Rules::default()) };
        let shown = self.folder.join(file).display().to_string();
        let (text, digest) = self.policy_text(file)?;
        if let Some(pin) = &self.config.policy_pin {
            let found = format!("sha256:{digest}");
            if found != *pin {
                return Err(Problem::new("E-POLICY-PIN", "The policy is another one")
                    .detail(format!("{shown} has digest {found}, pinned is {pin}."))
                    .next("restore the file, or change the pin where the change is meant"));
            }
        }
        Node::parse_hcl(&text)
            .and_then(|node| read_rules(&node))
            .map_err(|error| not_right(&shown, &text, &error))
    }

    /// The policy's text, with its digest in hexadecimal digits.
    fn policy_text(&self, file: &Path) -> Result<(String, String), Problem> {
        let text = discover::read(&self.folder.join(file)).map_err(|error| {
            Problem::new("E-POLICY", "The policy cannot be read")
                .detail(format!("{error}."))
                .next(error.remedy())
        })?;
        let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
        Ok((text, data_encoding::HEXLOWER.encode(digest.as_ref())))
    }

    /// What decides by these rules.
    fn gate(&self, rules: &Rules) -> Result<Arc<dyn Gate>, Problem> {
        let (Some(terms), Some(file)) = (&rules.review, &self.config.policy) else {
            return Ok(board::nobody());
        };
        let (text, digest) = self.policy_text(file)?;
        let files = ReviewFiles::read(&self.folder.join(file), &text, terms.clone())?;
        board::gate(files, digest, &self.folder, &self.environment)
    }

    /// The realm. A key that is not there is noticed by the first thing that needs it.
    fn realm(&self) -> Result<Option<Arc<Realm>>, Problem> {
        let Some(realm) = &self.config.realm else { return Ok(None) };
        let (text, place) = match &realm.key {
            Source::Env(variable) => (
                self.environment.get(variable).map(Secret::new),
                format!("the variable {variable}"),
            ),
            Source::File(path) => {
                let path = self.folder.join(path);
                let place = format!("the file {}", path.display());
                if path.exists() {
                    let key = read_secret_file(&path).map_err(|(why, next)| {
                        Problem::new("E-REALM", "The realm's key cannot be read")
                            .detail(format!("{}: {why}.", path.display()))
                            .next(next)
                    })?;
                    (Some(key), place)
                } else {
                    (None, place)
                }
            }
            Source::Path { .. } | Source::Joined(_) => {
                return Err(Problem::new("E-REALM", "The realm's key must be near")
                    .detail(
                        "It is needed before any connection is open, so it cannot be behind one.",
                    )
                    .next("name an environment variable or a file"));
            }
        };
        let key = match text {
            None => None,
            Some(text) => {
                Some(RealmKey::new(&text).map(|key| key.kept_in(place)).ok_or_else(|| {
                    Problem::new("E-REALM", "The realm's key is too short")
                    .detail("A key of fewer than 32 characters could be guessed.")
                    .next(
                        "give this run the whole key that nhi init made here; a new one would know \
                         none of the marks that stand on credentials",
                    )
                })?)
            }
        };
        Ok(Some(Arc::new(Realm { id: realm.id.clone(), key })))
    }

    /// A secret that is needed before any connection is open. `member` is where the configuration names it.
    ///
    /// # Errors
    ///
    /// It is not there, or not near.
    pub fn near(&self, source: &Source, member: &str) -> Result<Secret, Problem> {
        let missing = |why: String| {
            Problem::new("E-SECRET", "A secret of our own is not there")
                .detail(format!("{member}: {why}."))
                .next("give this run the variable, or the file, that it names")
        };
        match source {
            Source::File(path) => read_secret_file(&self.folder.join(path))
                .map_err(|(why, next)| missing(why.to_string()).next(next)),
            Source::Env(variable) => {
                let text = self.environment.get(variable).filter(|text| !text.is_empty());
                text.map(Secret::new)
                    .ok_or_else(|| missing(format!("the variable {variable} is not set")))
            }
            Source::Path { .. } | Source::Joined(_) => {
                Err(missing("it is behind a connection, and needed before any".into()))
            }
        }
    }

    /// The ledger; nothing is opened before it is used.
    ///
    /// # Errors
    ///
    /// None today; a place may become unusable by its form.
    pub fn ledger(&self, read_only: bool) -> Result<Arc<dyn Ledger>, Problem> {
        let realm = self.config.realm.as_ref().map(|realm| realm.id.as_str());
        Ok(match (&self.config.ledger, read_only) {
            (LedgerConfig::None, _) => Arc::new(NullLedger),
            (LedgerConfig::Sqlite(path), true) => {
                Arc::new(SqliteLedger::open_read_only(self.folder.join(path), realm))
            }
            (LedgerConfig::Sqlite(path), false) => {
                Arc::new(SqliteLedger::open(self.folder.join(path), realm))
            }
            (LedgerConfig::Postgres(database), read_only) => {
                let way = database::way(database, &self.folder, &self.environment);
                match read_only {
                    true => Arc::new(PostgresLedger::open_read_only(way, realm)),
                    false => Arc::new(PostgresLedger::open(way, realm)),
                }
            }
        })
    }

    /// Where the ledger's file should be, if there is none or nothing in it.
    pub fn missing_ledger(&self) -> Option<PathBuf> {
        self.ledger_file().filter(|path| match path.metadata() {
            Ok(about) => about.is_file() && about.len() == 0,
            Err(error) => error.kind() == std::io::ErrorKind::NotFound,
        })
    }

    /// Where the ledger's file is, or will be; `None` if the ledger is kept in no file.
    fn ledger_file(&self) -> Option<PathBuf> {
        match &self.config.ledger {
            LedgerConfig::None | LedgerConfig::Postgres(_) => None,
            LedgerConfig::Sqlite(path) => Some(self.folder.join(path)),
        }
    }

    /// Puts what is sound of a damaged ledger into a new file in its place; `None` if the ledger is
    /// kept in no file.
    ///
    /// # Errors
    ///
    /// Nothing could be saved, or the file may not be changed. Then it is as it was.
    pub fn salvage(&self, program: &str) -> Result<Option<Salvaged>, Problem> {
        let Some(path) = self.ledger_file() else { return Ok(None) };
        if self.config.read_only {
            let why = "this configuration is read-only".to_owned();
            let place = path.display().to_string();
            return Err(ledger::Error::ReadOnly { place, why }.into());
        }
        let realm = self.config.realm.as_ref().map(|realm| realm.id.as_str());
        let run = self.run(program, "command");
        let actor = Actor { program: run.program, run: run.id, principal: None };
        let by = NewEntry::new(SystemClock.now().as_millisecond(), "", "")
            .by(actor, run.trigger.as_str().into());
        Ok(Some(ledger_sqlite::salvage(&path, realm, &by)?))
    }

    /// Everything that deeds need.
    ///
    /// # Errors
    ///
    /// The realm or the policy is not usable.
    pub fn context(&self, program: &str, trigger: &str) -> Result<Context, Problem> {
        let rules = self.rules()?;
        let gate = self.gate(&rules)?;
        self.context_by(rules, gate, program, trigger)
    }

    /// What deeds that take power away need. A policy that cannot be used stops none of them in an
    /// incident: the defaults of its thresholds hold, whatever gives power is refused with what is wrong
    /// with it, and that is returned as well.
    ///
    /// # Errors
    ///
    /// The realm is not usable.
    pub fn context_to_end(
        &self,
        program: &str,
        trigger: &str,
    ) -> Result<(Context, Option<Problem>), Problem> {
        let decided = self.rules().and_then(|rules| Ok((self.gate(&rules)?, rules)));
        let (rules, gate, wrong): (_, Arc<dyn Gate>, _) = match decided {
            Ok((gate, rules)) => (rules, gate, None),
            Err(problem) => {
                let rules = self.for_demo(Rules::default());
                (rules, Arc::new(EndingGate(problem.clone())), Some(problem))
            }
        };
        Ok((self.context_by(rules, gate, program, trigger)?, wrong))
    }

    fn context_by(
        &self,
        rules: Rules,
        gate: Arc<dyn Gate>,
        program: &str,
        trigger: &str,
    ) -> Result<Context, Problem> {
        let clock: Arc<dyn Clock> = Arc::new(Clocks::new(Arc::new(SystemClock)));
        let ledger = self.ledger(self.config.read_only)?;
        // Only those who go on for ever are many at once, and write into the ledger as it is.
        let shares = trigger == TICK && ledger.keeps() && !self.config.read_only;
        let shared = shares.then(|| Arc::new(InLedger(ledger.clone())) as Arc<dyn SharedBudget>);
        let connections = self.configured(clock.clone(), &rules).shared(shared);
        let connections: Arc<dyn Connections> = Arc::new(connections);
        Ok(Context {
            connections,
            realm: self.realm()?,
            custody: self
                .config
                .custody
                .as_ref()
                .map(|custody| Custody::new(&custody.connection, &custody.path)),
            rules: Arc::new(rules),
            ledger,
            clock,
            run: self.run(program, trigger),
            gate,
            read_only: self.config.read_only,
            notices: Default::default(),
            turns: Default::default(),
            claims: Default::default(),
            signals: Default::default(),
            stop: Default::default(),
            under: Default::default(),
        })
    }

    fn configured(&self, clock: Arc<dyn Clock>, rules: &Rules) -> Configured {
        Configured::new(
            self.config.clone(),
            self.folder.clone(),
            self.environment.clone(),
            clock,
            self.place(),
            rules.call_deadline,
        )
    }

    /// Who acts: what the configuration says, else what CI's variables say.
    fn run(&self, program: &str, trigger: &str) -> Run {
        let first = |names: &[&str]| {
            names.iter().find_map(|name| self.environment.get(name).filter(|text| !text.is_empty()))
        };
        let run = &self.config.run;
        let github = first(&["GITHUB_RUN_ID"]).and_then(|id| {
            Some(format!(
                "{}/{}/actions/runs/{id}",
                first(&["GITHUB_SERVER_URL"])?,
                first(&["GITHUB_REPOSITORY"])?
            ))
        });
        // Unique to this process: it is also the owner of claims.
        let id = format!("{trigger}:{}-{}", std::process::id(), SystemClock.now().as_microsecond());
        Run {
            program: program.to_owned(),
            id,
            trigger: trigger.to_owned(),
            ticket: run.ticket.clone(),
            url: run.url.clone().or_else(|| first(&["CI_JOB_URL", "BUILD_URL"])).or(github),
            requester: run
                .requester
                .clone()
                .or_else(|| first(&["GITHUB_ACTOR", "GITLAB_USER_LOGIN", "BUILD_USER_ID"])),
        }
    }
}

/// Finds and reads `nhi.hcl` for a program.
///
/// # Errors
///
/// There is none (with the places that were looked at), or it is not right.
pub fn load(named: Option<&str>) -> Result<Loaded, Problem> {
    let environment = Environment::of_process();
    let here = std::env::current_dir().map_err(|error| {
        Problem::new("E-CONFIG", "The working directory is gone").detail(error.to_string())
    })?;
    let found = discover::discover(named, environment.get("NHI_CONFIG").as_deref(), &here);
    let Some(file) = found.file else {
        let looked: Vec<String> =
            found.looked.iter().map(|path| path.display().to_string()).collect();
        return Err(Problem::new("E-CONFIG-MISSING", "There is no nhi.hcl")
            .detail(format!("Looked for: {}.", looked.join(", ")))
            .next("nhi init"));
    };
    let text = discover::read(&file).map_err(|error| {
        Problem::new("E-CONFIG", "The configuration cannot be read")
            .detail(format!("{error}."))
            .next(error.remedy())
    })?;
    let folder = file.parent().map_or_else(|| here.clone(), Path::to_owned);
    Loaded::from_text(&text, &folder, Some(file), environment)
}

/// What helps where there is no file yet that could be corrected.
const WITHOUT_A_FILE: &str =
    "correct it and run nhi init again; to write without asking: nhi init --offline";

/// Judges the address of one connection of a configuration that is not written yet, as far as nobody
/// has to be asked.
///
/// # Errors
///
/// It cannot be right.
pub fn try_address(text: &str, folder: &Path, connection: &str) -> Result<(), Problem> {
    let loaded = Loaded::from_text(text, folder, None, Environment::of_process())?;
    let judged =
        loaded.configured(Arc::new(SystemClock), &Rules::default()).check_address(connection);
    judged.map_err(|problem| problem.next("correct it and run nhi init again"))
}

/// Asks one connection of a configuration that is not written yet who it is, and whether it takes our
/// credential. A folder is nobody's: `None`.
///
/// # Errors
///
/// It cannot be reached, our credential is missing, or it is refused.
pub async fn tenant_of(
    text: &str,
    folder: &Path,
    connection: &str,
) -> Result<Option<String>, Problem> {
    let loaded = Loaded::from_text(text, folder, None, Environment::of_process())?;
    let context = loaded.context("nhi", "command")?;
    let opened = context.connections.get(connection).await;
    let opened = opened.map_err(|problem| match problem.code {
        "E-CONNECTION" => problem.next(WITHOUT_A_FILE),
        _ => problem,
    })?;
    if let Some(connector) = opened.connector {
        let asked = async {
            let tenant = connector.tenant().await?;
            connector.check_credential().await.map(|()| Some(tenant))
        };
        // There is no file yet that the doctor could look into.
        return asked.await.map_err(|error| {
            let next = match error {
                connector::Error::Untrusted { .. } => {
                    "run nhi init again, with --ca-file, or --custody-ca-file for the second \
                     connection; to write without asking: nhi init --offline"
                }
                connector::Error::NotReady { .. } => {
                    "make the server ready, a sealed one by unsealing it, and run nhi init again; to \
                     write without asking: nhi init --offline"
                }
                _ => WITHOUT_A_FILE,
            };
            Problem::unreadable(connection, &error).next(next)
        });
    }
    if let Some(sink) = opened.sink {
        // There is no such document: what counts is that it could be looked for.
        sink.look("nhi-doctor").await?;
    }
    Ok(None)
}

/// Looks into the custody of a configuration that is not written yet: what there is to say of it that
/// stops nothing.
///
/// # Errors
///
/// It is not there, or cannot be read with our credential.
pub async fn try_custody(text: &str, folder: &Path) -> Result<Option<Problem>, Problem> {
    let loaded = Loaded::from_text(text, folder, None, Environment::of_process())?;
    let context = loaded.context("nhi", "command")?;
    let Some(custody) = &context.custody else { return Ok(None) };
    let Some(sink) = context.connections.get(&custody.connection).await?.sink else {
        return Ok(None);
    };
    sink.look_all(&custody.path).await?;
    Ok(custody_is_all_of_a_store(&*sink, custody).await)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_that_cannot_be_used_stops_everything_but_what_takes_power_away() {
        let folder = tempfile::tempdir().unwrap();
        let load = |text: &str| {
            let environment = Environment::of(&[]);
            Loaded::from_text(text, folder.path(), None, environment).unwrap()
        };
        let named = "policy = { file = \"policy.hcl\" }\nledger = { none = true }\n";
        let pin = format!("file = \"policy.hcl\", pin = \"sha256:{}\"", "0".repeat(64));
        let pinned = named.replace("file = \"policy.hcl\"", &pin);
        for (text, policy, code) in [
            (named, None, "E-POLICY"),
            (named, Some("claim_ttl = \"1s\""), "E-CONFIG"),
            (named, Some("claim_tt1 = \"5m\""), "E-CONFIG"),
            (named, Some("claim_ttl = "), "E-CONFIG"),
            (&pinned, Some("claim_ttl = \"5m\""), "E-POLICY-PIN"),
        ] {
            if let Some(policy) = policy {
                std::fs::write(folder.path().join("policy.hcl"), policy).unwrap();
            }
            let loaded = load(text);
            assert_eq!(loaded.context("nhi", "command").unwrap_err().code, code, "{policy:?}");
            let (context, wrong) = loaded.context_to_end("nhi", "command").unwrap();
            assert_eq!(wrong.map(|wrong| wrong.code), Some(code), "{policy:?}");
            assert_eq!(*context.rules, Rules::default(), "{policy:?}");
        }
        std::fs::write(folder.path().join("policy.hcl"), "claim_ttl = \"5m\"").unwrap();
        let (context, wrong) = load(named).context_to_end("nhi", "command").unwrap();
        assert_eq!((context.rules.claim_ttl.as_secs(), wrong), (300, None));
    }

    #[tokio::test]
    async fn what_a_server_says_of_the_time_with_any_answer_is_heard() {
        use std::io::{Read, Write};
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let tomorrow = SystemClock.now() + jiff::SignedDuration::from_hours(30);
        let date = tomorrow.strftime("%a, %d %b %Y %H:%M:%S GMT");
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let _ = stream.read(&mut [0; 4096]);
                let _ = write!(
                    stream,
                    "HTTP/1.1 403 Forbidden\r\ndate: {date}\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{{}}"
                );
            }
        });
        let text = format!(
            "ledger = {{ none = true }}\nconnections = {{ bao = {{ openbao = {{ address = \"{address}\", \
             credential = {{ env = \"TOKEN\" }} }} }} }}"
        );
        let environment = Environment::of(&[("TOKEN", "t")]);
        let folder = tempfile::tempdir().unwrap();
        let loaded = Loaded::from_text(&text, folder.path(), None, environment).unwrap();
        let context = loaded.context("nhi", "command").unwrap();
        assert_eq!(context.clocks_that_disagree().await, None);
        let sink = context.connections.get("bao").await.unwrap().sink.unwrap();
        assert!(sink.look("secret/x").await.is_err());
        let which = context.clocks_that_disagree().await.unwrap();
        assert!(which.starts_with("bao is 1d6h ahead of the clock here"), "{which}");
        assert!(context.time().lo < tomorrow && context.time().hi >= tomorrow);
    }

    #[cfg(unix)]
    #[test]
    fn a_variable_that_is_no_text_takes_no_other_with_it() {
        use std::os::unix::ffi::OsStringExt;
        let broken = OsString::from_vec(vec![0xff]);
        let all = [
            (OsString::from("BROKEN"), broken.clone()),
            (broken, OsString::from("x")),
            (OsString::from("BAO_TOKEN"), OsString::from("t")),
        ];
        let environment = Environment::of_os(all.into_iter());
        assert_eq!(environment.get("BROKEN"), None);
        assert_eq!(environment.get("BAO_TOKEN").as_deref(), Some("t"));
    }
}
