//! A connection that is known to lead to a ledger of ours.
//!
//! Nothing is set on it that a later transaction relies on, and no statement on it has a name: behind a
//! pooler, the next transaction may be on another one.

use std::time::Duration;

use futures::{TryStreamExt, pin_mut};
use ledger::Error;
use postgres_tls::Tls;
use tokio::task::AbortHandle;
use tokio_postgres::{
    Client, Config, Row,
    config::SslMode,
    types::{ToSql, Type},
};

use crate::{
    address::Way,
    fault::{PATIENCE_S, fault},
    schema::{MIGRATIONS, TABLES},
};

/// How long a server may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(10);
/// A peer that is silent for so long is asked whether it is there.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// Whoever makes the tables holds this lock: "nhi" and "tables", as one number.
const LOCK: i64 = 0x6E68_6900_7461_626C;

/// A parameter with its type: what has none must be asked for first, under a name.
pub(crate) type Param<'a> = (&'a (dyn ToSql + Sync), Type);

/// A connection, and whether there was a ledger when it was last looked for.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) client: Client,
    pub(crate) present: bool,
    /// The version of its tables.
    pub(crate) found: u32,
    /// How long an answer is waited for.
    answer: Duration,
    /// What carries the connection: without it, all that is asked over it has failed.
    carried: AbortHandle,
}

/// Opens one. On the runtime that is to carry it.
pub(crate) async fn open(way: &Way, answer: Duration) -> Result<Session, Error> {
    let place = || way.shown.clone();
    let address = (way.address)().map_err(|why| Error::Unreadable { place: place(), why })?;
    let mut config = Config::new();
    config
        .host(&address.host)
        .port(address.port)
        .dbname(&address.database)
        .user(&address.user)
        .application_name("nhi")
        .connect_timeout(CONNECT)
        .keepalives_idle(KEEPALIVE)
        .tcp_user_timeout(KEEPALIVE)
        .ssl_mode(if address.secured { SslMode::Require } else { SslMode::Disable });
    if let Some(password) = &address.password {
        config.password(password.as_str());
    }
    let connecting = config.connect(Tls(way.trust.clone()));
    // What is in between may take the connection and say nothing more.
    let connected = tokio::time::timeout(2 * answer.min(CONNECT), connecting).await;
    let connected = connected.map_err(|_| Error::Unreachable {
        place: place(),
        why: "it took the connection, and then said nothing".to_owned(),
    })?;
    let (client, connection) = connected.map_err(|error| match error.as_db_error() {
        Some(_) => fault(&way.shown, "open it", &error),
        None => {
            let why = crate::fault::cause(&error);
            Error::Unreachable { place: place(), why }
        }
    })?;
    // It ends with the client, and what ended it is told by whatever was asked over it.
    let carried = tokio::spawn(connection).abort_handle();
    Ok(Session { client, present: false, found: 0, answer, carried })
}

impl Session {
    /// One statement that answers rows, without a name.
    pub(crate) async fn rows(
        &self,
        sql: &str,
        params: &[Param<'_>],
    ) -> Result<Vec<Row>, tokio_postgres::Error> {
        let params = params.iter().map(|(value, of)| (*value, of.clone()));
        let answers = self.within(self.client.query_typed_raw(sql, params)).await?;
        pin_mut!(answers);
        let mut rows = Vec::new();
        while let Some(row) = self.within(answers.try_next()).await? {
            rows.push(row);
        }
        Ok(rows)
    }

    /// Whether its tables are those that this program makes.
    pub(crate) fn is_writable(&self) -> bool {
        self.present && self.found == TABLES
    }

    /// Waits for an answer, or for the next part of one, and no longer than a server takes that is there: a
    /// line that is open and silent would be waited for for ever. The connection ends with that, and so
    /// does what was asked over it.
    pub(crate) async fn within<T>(&self, asked: impl Future<Output = T>) -> T {
        pin_mut!(asked);
        match tokio::time::timeout(self.answer, &mut asked).await {
            Ok(answer) => answer,
            Err(_) => {
                self.carried.abort();
                asked.await
            }
        }
    }

    /// Statements that answer nothing, without parameters.
    pub(crate) async fn batch(&self, sql: &str) -> Result<(), tokio_postgres::Error> {
        self.within(self.client.batch_execute(sql)).await
    }

    /// One statement that changes rows: how many.
    pub(crate) async fn execute(
        &self,
        sql: &str,
        params: &[Param<'_>],
    ) -> Result<u64, tokio_postgres::Error> {
        self.within(self.client.execute_typed(sql, params)).await
    }

    /// Begins a transaction, for one that is durable or may be lost with a power cut.
    pub(crate) async fn begin(&self, durable: bool) -> Result<(), tokio_postgres::Error> {
        let synchronous = if durable { "on" } else { "off" };
        let begin = format!(
            "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;
             SET LOCAL synchronous_commit = {synchronous};
             SET LOCAL lock_timeout = '{PATIENCE_S}s';
             SET LOCAL idle_in_transaction_session_timeout = '20s'"
        );
        self.batch(&begin).await
    }

    /// Keeps what was done since [`Session::begin`].
    pub(crate) async fn commit(&self) -> Result<(), tokio_postgres::Error> {
        self.batch("COMMIT").await
    }

    /// Gives it up. A connection that is gone has done so already.
    pub(crate) async fn roll_back(&self) {
        let _ = self.batch("ROLLBACK").await;
    }

    /// Looks whether there is a ledger that may be read, and whose.
    pub(crate) async fn look(&mut self, place: &str, realm: Option<&str>) -> Result<(), Error> {
        let failed = |error| denied(fault(place, "open it", &error));
        (self.present, self.found) = (false, 0);
        // Each version only adds: a newer ledger still reads, and an older one has nothing yet of what was
        // added.
        self.found = self.tables(place).await?;
        if self.found == 0 {
            return Ok(());
        }
        let rows = self.rows("SELECT realm FROM nhi.ledger", &[]).await.map_err(failed)?;
        if let (Some(row), Some(expected)) = (rows.first(), realm) {
            let found: String = row.try_get(0).map_err(failed)?;
            if !found.is_empty() && found != expected {
                let (place, expected) = (place.to_owned(), expected.to_owned());
                return Err(Error::OtherRealm { place, found, expected });
            }
        }
        self.present = true;
        Ok(())
    }

    /// Makes sure that there are tables of ours, of this program's version.
    pub(crate) async fn prepare(&mut self, place: &str, realm: Option<&str>) -> Result<(), Error> {
        self.look(place, realm).await?;
        let before = self.found;
        if self.is_writable() {
            return Ok(());
        }
        if before > TABLES {
            return Err(Error::Newer { place: place.to_owned(), found: before, known: TABLES });
        }
        let step = "bring its tables up to date";
        let migrated = self.migrate(place).await;
        if migrated.is_err() {
            self.roll_back().await;
        }
        migrated.map_err(|error| match error {
            Migration::Refused(error) => error,
            Migration::Database(error) => match fault(place, step, &error) {
                // Only who owns the tables changes them.
                Error::ReadOnly { place, .. } if before > 0 => {
                    Error::Older { place, found: before, known: TABLES }
                }
                error => error,
            },
        })?;
        self.look(place, realm).await
    }

    /// Brings the tables up to date, and the number that says so, all or nothing.
    async fn migrate(&self, place: &str) -> Result<(), Migration> {
        self.begin(true).await?;
        // Held to the end: whoever else came to do the same waits, and then finds it done.
        self.rows("SELECT pg_advisory_xact_lock($1)", &[(&LOCK, Type::INT8)]).await?;
        let found = self.tables(place).await.map_err(Migration::Refused)?;
        if found < TABLES {
            let encoding = self.rows("SELECT pg_catalog.current_setting('server_encoding')", &[]);
            let encoding: String = encoding.await?[0].try_get(0)?;
            if encoding != "UTF8" {
                let what = format!("the database is in {encoding}, and a ledger needs UTF8");
                return Err(Migration::Refused(Error::NotALedger {
                    place: place.to_owned(),
                    what,
                }));
            }
            for migration in &MIGRATIONS[found as usize..] {
                self.batch(migration).await?;
            }
            self.execute(
                "INSERT INTO nhi.version (one, tables) VALUES (1, $1)
                 ON CONFLICT (one) DO UPDATE SET tables = $1",
                &[(&i32::try_from(TABLES).unwrap_or(i32::MAX), Type::INT4)],
            )
            .await?;
        }
        Ok(self.commit().await?)
    }

    /// The version of the tables; 0 where there are none.
    async fn tables(&self, place: &str) -> Result<u32, Error> {
        let failed = |error| denied(fault(place, "open it", &error));
        let found = self
            .rows(
                "SELECT count(*), count(*) FILTER (WHERE relname = 'version')
                 FROM pg_catalog.pg_class
                 WHERE relkind IN ('r', 'p', 'v', 'm')
                   AND relnamespace = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = 'nhi')",
                &[],
            )
            .await
            .map_err(failed)?;
        let counted = |column| found[0].try_get::<_, i64>(column).map_err(failed);
        match (counted(0)?, counted(1)?) {
            (0, _) => return Ok(0),
            (_, 0) => {
                let what = "its schema nhi is another program's".to_owned();
                return Err(Error::NotALedger { place: place.to_owned(), what });
            }
            _ => (),
        }
        let version = self.rows("SELECT tables FROM nhi.version", &[]).await.map_err(failed)?;
        let version = version.first().map(|row| row.try_get::<_, i32>(0)).transpose();
        match version.map_err(failed)?.and_then(|found| u32::try_from(found).ok()) {
            Some(found) if found > 0 => Ok(found),
            _ => Err(Error::Damaged {
                place: place.to_owned(),
                what: "what says which version its tables have is gone".to_owned(),
            }),
        }
    }
}

/// Who may not even look has a ledger that is unreadable, not one that is read-only.
pub(crate) fn denied(error: Error) -> Error {
    match error {
        Error::ReadOnly { place, why } => Error::Unreadable { place, why },
        other => other,
    }
}

enum Migration {
    Database(tokio_postgres::Error),
    Refused(Error),
}

impl From<tokio_postgres::Error> for Migration {
    fn from(error: tokio_postgres::Error) -> Self {
        Migration::Database(error)
    }
}
