//! A connection that is known to lead to a ledger of ours.
//!
//! Nothing is set on it that a later transaction relies on, and no statement on it has a name: behind a
//! pooler, the next transaction may be on another one.

use std::time::Duration;

use ledger::Error;
use postgres_tls::Tls;
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
    /// What was found is not older than what this program makes, nor newer.
    pub(crate) writable: bool,
}

/// Opens one. On the runtime that is to carry it.
pub(crate) async fn open(way: &Way) -> Result<Session, Error> {
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
    let (client, connection) = config.connect(Tls(way.trust.clone())).await.map_err(|error| {
        match error.as_db_error() {
            Some(_) => fault(&way.shown, "open it", &error),
            None => {
                let why = crate::fault::cause(&error);
                Error::Unreachable { place: place(), why }
            }
        }
    })?;
    // It ends with the client, and what ended it is told by whatever was asked over it.
    tokio::spawn(connection);
    Ok(Session { client, present: false, writable: false })
}

impl Session {
    /// One statement that answers rows, without a name.
    pub(crate) async fn rows(
        &self,
        sql: &str,
        params: &[Param<'_>],
    ) -> Result<Vec<Row>, tokio_postgres::Error> {
        self.client.query_typed(sql, params).await
    }

    /// Begins a transaction, for one that is durable or may be lost with a power cut.
    pub(crate) async fn begin(&self, durable: bool) -> Result<(), tokio_postgres::Error> {
        let synchronous = if durable { "on" } else { "off" };
        let begin = format!(
            "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;
             SET LOCAL synchronous_commit = {synchronous};
             SET LOCAL lock_timeout = '{PATIENCE_S}s';
             SET LOCAL idle_in_transaction_session_timeout = '60s'"
        );
        self.client.batch_execute(&begin).await
    }

    /// Keeps what was done since [`Session::begin`].
    pub(crate) async fn commit(&self) -> Result<(), tokio_postgres::Error> {
        self.client.batch_execute("COMMIT").await
    }

    /// Gives it up. A connection that is gone has done so already.
    pub(crate) async fn roll_back(&self) {
        let _ = self.client.batch_execute("ROLLBACK").await;
    }

    /// Looks whether there is a ledger that may be read, and whose.
    pub(crate) async fn look(&mut self, place: &str, realm: Option<&str>) -> Result<(), Error> {
        let failed = |error| denied(fault(place, "open it", &error));
        (self.present, self.writable) = (false, false);
        match self.tables(place).await? {
            0 => return Ok(()),
            found if found < TABLES => {
                return Err(Error::Older { place: place.to_owned(), found, known: TABLES });
            }
            // Later versions only add, so a newer ledger still reads.
            found => self.writable = found == TABLES,
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
        match self.look(place, realm).await {
            Ok(()) if self.present && self.writable => return Ok(()),
            Ok(()) if self.present => {
                let found = self.tables(place).await?;
                return Err(Error::Newer { place: place.to_owned(), found, known: TABLES });
            }
            Ok(()) | Err(Error::Older { .. }) => (),
            Err(error) => return Err(error),
        }
        let step = "bring its tables up to date";
        let migrated = self.migrate(place).await;
        if migrated.is_err() {
            self.roll_back().await;
        }
        migrated.map_err(|error| match error {
            Migration::Refused(error) => error,
            Migration::Database(error) => fault(place, step, &error),
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
                self.client.batch_execute(migration).await?;
            }
            self.client
                .execute_typed(
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
