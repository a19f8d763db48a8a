//! What every deed gets: connections, realm, custody, rules, memory, time.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use connector::{Clock, Connection, Connector, Directory, Platform, Turns};
use domain::{Now, Realm, RealmKey, Span};
use jiff::{SignedDuration, Timestamp};
use ledger::{Fence, Filter, Ledger, NewEntry, Work, entry::BROKEN, port::damaged_end};
use policy::Rules;
use secrets::Sink;

use crate::{ClaimNames, Gate, HeardSignals, Problem};

/// The configured connections, opened when they are needed.
#[async_trait]
pub trait Connections: fmt::Debug + Send + Sync {
    /// Their names.
    fn names(&self) -> Vec<String>;

    /// A connection's platform, offline.
    ///
    /// # Errors
    ///
    /// `E-CONNECTION-UNKNOWN`.
    fn platform(&self, name: &str) -> Result<&'static dyn Platform, Problem>;

    /// Opens a connection, once.
    ///
    /// # Errors
    ///
    /// There is none of that name, its credential is missing, or a part of it is not known yet.
    async fn get(&self, name: &str) -> Result<Connection, Problem>;

    /// The tenant that a connection is pinned to.
    fn pinned_tenant(&self, name: &str) -> Option<String>;

    /// Where its platform is, as its configuration has it.
    fn address(&self, name: &str) -> Option<String> {
        let _ = name;
        None
    }
}

/// Where documents about slots are kept.
#[derive(Debug, Clone)]
pub struct Custody {
    /// The connection that is the sink.
    pub connection: String,
    /// The folder in it.
    pub path: String,
    /// A person says that what delivered documents name is gone, and that no run uses it any more.
    pub other_is_lost: bool,
}

impl Custody {
    /// A folder in the sink of a connection.
    pub fn new(connection: &str, path: &str) -> Custody {
        let (connection, path) = (connection.to_owned(), path.to_owned());
        Custody { connection, path, other_is_lost: false }
    }
}

/// Who acts, and on whose behalf.
#[derive(Debug, Clone, Default)]
pub struct Run {
    /// The program and its version.
    pub program: String,
    /// This run's id: the owner of claims.
    pub id: String,
    /// What started it: `apply`, `command`.
    pub trigger: String,
    /// A ticket.
    pub ticket: Option<String>,
    /// Where the run can be seen.
    pub url: Option<String>,
    /// Who asked.
    pub requester: Option<String>,
}

/// What a run has to tell about itself: not about one object, and no reason to stop.
#[derive(Debug, Clone, Default)]
pub struct Notices(Arc<Mutex<Told>>);

/// All that there was to tell, and how much of it was told.
#[derive(Debug, Default)]
struct Told {
    all: Vec<Problem>,
    taken: usize,
}

impl Notices {
    /// Adds one, unless it was said already.
    pub(crate) fn add(&self, notice: Problem) {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !told.all.contains(&notice) {
            told.all.push(notice);
        }
    }

    /// The same, unless one of its code was said: its words may change from one moment to the next.
    pub(crate) fn add_once(&self, notice: Problem) {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if told.all.iter().all(|one| one.code != notice.code) {
            told.all.push(notice);
        }
    }

    /// Takes what nobody has told yet.
    pub fn take(&self) -> Vec<Problem> {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = told.all[told.taken..].to_vec();
        told.taken = told.all.len();
        fresh
    }
}

/// Whether whoever began a run has asked it to stop.
#[derive(Clone, Default)]
pub struct StopSign(Option<Arc<dyn Fn() -> bool + Send + Sync>>);

impl StopSign {
    /// One that is set when this says so.
    pub fn of(asked: impl Fn() -> bool + Send + Sync + 'static) -> StopSign {
        StopSign(Some(Arc::new(asked)))
    }

    /// It was asked to.
    pub fn is_set(&self) -> bool {
        self.0.as_ref().is_some_and(|asked| asked())
    }
}

impl std::fmt::Debug for StopSign {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StopSign")
    }
}

/// Everything a deed needs.
#[derive(Debug, Clone)]
pub struct Context {
    /// The connections.
    pub connections: Arc<dyn Connections>,
    /// The realm, if configured.
    pub realm: Option<Arc<Realm>>,
    /// Custody, if configured.
    pub custody: Option<Custody>,
    /// The rules.
    pub rules: Arc<Rules>,
    /// The ledger.
    pub ledger: Arc<dyn Ledger>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Who acts.
    pub run: Run,
    /// Decides what may be done.
    pub gate: Arc<dyn Gate>,
    /// Nothing may be changed.
    pub read_only: bool,
    /// What is to be told.
    pub notices: Notices,
    /// Deeds on slots of one integration take turns: a claim knows runs, and all that a process does
    /// is one run's; and where a platform counts refused sign-ins it counts those of all slots. So do
    /// those that write one integration's record. Whoever comes second finds what the first one left.
    pub turns: Turns,
    /// Whose claim each document in custody is, as far as this run has seen.
    pub claims: ClaimNames,
    /// What was heard from outside and is open, as far as this run has read it.
    pub signals: HeardSignals,
    /// Asks the run to stop at the next moment at which nothing is half done.
    pub stop: StopSign,
    /// The lease that it works under, where several share the work: that it begins something is written down
    /// only while that is held.
    pub under: Option<Fence>,
}

impl Context {
    /// The present by our own clock: for what is written down, and for no decision.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The present by every clock that was seen. Where they disagree, that is told once.
    pub fn time(&self) -> Now {
        let time = self.clock.time();
        if !time.agrees() {
            self.notices.add_once(self.clocks_apart());
        }
        time
    }

    /// The present by the clock of the sink that custody is in: what it wrote is as old as it says.
    pub(crate) fn time_in_custody(&self) -> Now {
        match &self.custody {
            Some(custody) => self.clock.time_of(&custody.connection),
            None => self.now().into(),
        }
    }

    /// How far which clocks are apart, in words, where so far that nothing ends by time: those of this
    /// machine, of what answered this run, and of the ledger.
    pub async fn clocks_that_disagree(&self) -> Option<String> {
        self.look_at_newest_entry().await;
        (!self.clock.time().agrees()).then(|| self.apart())
    }

    fn apart(&self) -> String {
        let minutes = |ahead: &SignedDuration| ahead.unsigned_abs().as_secs() >= 60;
        let apart = self.clock.apart().into_iter().filter(|(_, ahead)| minutes(ahead));
        let apart = apart.map(|(whose, ahead)| {
            let span = Span::from_secs(ahead.unsigned_abs().as_secs() / 60 * 60);
            let way = if ahead.is_negative() { "behind" } else { "ahead of" };
            format!("{whose} is {span} {way} the clock here")
        });
        apart.collect::<Vec<_>>().join("; ")
    }

    /// Which clocks disagree, and what waits for that.
    pub(crate) fn clocks_apart(&self) -> Problem {
        Problem::new("E-CLOCK", "Clocks disagree")
            .detail(format!(
                "{}. What ends when its time is over waits until they agree, so that nobody is cut \
                 off too early; what a person ends, and what is exposed or an emergency, goes on.",
                self.apart()
            ))
            .next(
                "find out which of them is wrong (date -u on this machine) and set it; what a wrong \
                 clock wrote into the ledger passes by itself",
            )
    }

    /// The time of the ledger's newest entry: it is not earlier now.
    async fn look_at_newest_entry(&self) {
        let newest = Filter { newest_first: true, limit: 1, ..Filter::all() };
        // What cannot be read says nothing of the time, and is told elsewhere.
        let Ok(page) = self.ledger.entries(&newest).await else { return };
        let at = page.entries.first().and_then(|one| Timestamp::from_millisecond(one.at).ok());
        if let Some(at) = at {
            self.clock.saw_written(at);
        }
    }

    /// A connection that holds integrations.
    pub(crate) async fn connector(&self, name: &str) -> Result<Arc<dyn Connector>, Problem> {
        self.connections.get(name).await?.connector.ok_or_else(|| {
            Problem::new("E-KIND", "This connection holds no integrations")
                .detail(format!("{name:?} is a sink or a directory only."))
                .next("name the connection of the platform that the integration is at")
                .at(&["connection_name"])
        })
    }

    /// A connection that is a sink.
    pub(crate) async fn sink(&self, name: &str) -> Result<Arc<dyn Sink>, Problem> {
        self.connections.get(name).await?.sink.ok_or_else(|| {
            Problem::new("E-SINK-KIND", "This connection is no sink")
                .detail(format!("{name:?} cannot hold secrets."))
                .next("name a connection that can, such as an openbao or a file one")
                .at(&["deliver_to"])
        })
    }

    /// A connection that is a directory.
    pub(crate) async fn directory(&self, name: &str) -> Result<Arc<dyn Directory>, Problem> {
        self.connections.get(name).await?.directory.ok_or_else(|| {
            Problem::new("E-DIRECTORY", "This connection is no directory")
                .detail(format!("{name:?} knows no people."))
                .next("name a connection to a directory, such as a scim one")
                .at(&["directory", "connection"])
        })
    }

    /// The realm with its key.
    pub(crate) fn realm_key(&self) -> Result<(&str, &RealmKey), Problem> {
        match self.realm.as_deref() {
            Some(Realm { id, key: Some(key) }) => Ok((id, key)),
            Some(Realm { id, key: None }) => Err(Problem::new(
                "E-REALM",
                "The realm's key is missing",
            )
            .detail(format!(
                "Realm {id} is configured and its key is not readable here, so no mark of ours \
                     could be made or checked."
            ))
            .next("give this run the key that realm.key in nhi.hcl names")),
            None => Err(Problem::new("E-REALM", "A realm is needed")
                .detail(
                    "A credential carries a mark that says whose it is, and no realm is configured \
                     to make it with.",
                )
                .next(
                    "nhi init --dir <NEW FOLDER> makes one with its key: copy it, and custody, from the \
                     nhi.hcl that it writes to where your connections are, nhi.hcl or the provider's \
                     block",
                )),
        }
    }

    /// What of that which a first credential needs is not configured at all: a plan says it before an
    /// apply has made what the credential is for.
    pub fn lacks_for_credentials(&self) -> Vec<Problem> {
        let realm = self.realm.is_none().then(|| self.realm_key().err()).flatten();
        let custody = self.custody.is_none().then(|| self.no_custody());
        realm.into_iter().chain(custody).collect()
    }

    fn no_custody(&self) -> Problem {
        Problem::new("E-CUSTODY", "Custody is needed")
            .detail(
                "A rotation that is interrupted must find its secret again, and the configuration \
                 names no place to keep it (custody).",
            )
            .next(
                "add custody = { connection = \"…\", path = \"…\" } to where your connections are, \
                 nhi.hcl or the provider's block: a sink, and a folder in it that no application reads",
            )
    }

    /// Custody's sink and folder.
    pub(crate) async fn custody(&self) -> Result<(Arc<dyn Sink>, String), Problem> {
        let Some(custody) = &self.custody else {
            return Err(self.no_custody());
        };
        // What nhi.hcl names has no line in the configuration that is applied.
        let sink = self.sink(&custody.connection).await.map_err(|problem| problem.at(&[]))?;
        let able = sink.capabilities();
        if !(able.compare_and_set && able.readable) {
            return Err(Problem::new("E-CUSTODY", "Custody needs compare-and-set")
                .detail(format!(
                    "{:?} cannot say which version a write replaces.",
                    custody.connection
                ))
                .next("name a sink that can, such as OpenBao KV v2"));
        }
        if !able.destroys_versions {
            return Err(Problem::new("E-CUSTODY", "Custody must forget")
                .detail(format!(
                    "{:?} cannot destroy one version of a document, so pending secrets would stay \
                     readable there.",
                    custody.connection
                ))
                .next("name a sink that can, such as OpenBao KV v2, and deliver to this one"));
        }
        Ok((sink, custody.path.clone()))
    }

    /// Before anything that an apply does, in the books only or further.
    pub(crate) fn may_change(&self) -> Result<(), Problem> {
        if self.read_only {
            return Err(Problem::new("E-READ-ONLY", "This configuration is read-only")
                .detail("read_only = true: plan works, apply changes nothing.")
                .next("apply with a configuration that may change things"));
        }
        Ok(())
    }

    /// Before a deed: it may change something, and it can be journalled.
    ///
    /// A ledger that somebody changed stops what begins. What ends something goes on: it is told,
    /// and the journal says that it was known.
    pub(crate) async fn ready(&self, work: Work) -> Result<(), Problem> {
        self.may_change()?;
        self.settle_policy().await;
        if !self.ledger.keeps() {
            return Ok(());
        }
        self.look_at_newest_entry().await;
        let Some(wrong) = self.ledger.ready(work).await? else { return Ok(()) };
        if matches!(wrong, ledger::Error::Broken { .. }) {
            let by = self.entry(BROKEN, "ledger");
            let broken = NewEntry::broken(by.at, by.subject, &wrong);
            self.journal(broken.by(by.actor, by.trigger)).await?;
        }
        self.tell_of_ledger(wrong);
        Ok(())
    }

    /// Looks where the ledger ends, before anything is asked of it: who plans is told today what an
    /// apply will be refused for tomorrow. The whole of it is `nhi ledger verify`'s business.
    pub async fn look_at_ledger(&self) {
        self.settle_policy().await;
        if !self.ledger.keeps() {
            return;
        }
        self.look_at_newest_entry().await;
        match damaged_end(&*self.ledger).await {
            Ok(None) => (),
            Ok(Some(wrong)) | Err(wrong) => self.tell_of_ledger(wrong),
        }
    }

    /// Looks up, once a run, whether the policy follows the one that was used last: until then no power
    /// is given.
    pub async fn settle_policy(&self) {
        if let Some(chain) = self.gate.chain() {
            chain.settle(self).await;
        }
    }

    fn tell_of_ledger(&self, wrong: ledger::Error) {
        let problem = Problem::from(wrong);
        let detail = format!(
            "{} Until then nothing is begun and no power is given; what takes power away goes on.",
            problem.detail
        );
        self.notices.add(Problem { summary: "The ledger needs a look", detail, ..problem });
    }

    /// The tenant's own id, checked against the pin. Asked once a connection and process by the
    /// connector itself.
    ///
    /// # Errors
    ///
    /// Nobody can be asked, or another tenant answers.
    pub async fn tenant(&self, name: &str) -> Result<String, Problem> {
        let connector = self.connector(name).await?;
        let found = connector.tenant().await.map_err(|error| Problem::unreadable(name, &error))?;
        match self.connections.pinned_tenant(name) {
            Some(expected) if expected != found => Err(Problem::unreadable(
                name,
                &connector::Error::Tenant { connection: name.to_owned(), expected, found },
            )),
            _ => Ok(found),
        }
    }
}
