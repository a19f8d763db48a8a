//! PostgreSQL: roles that sign in, their passwords, and what they are granted.
//!
//! `api` holds their words and `wire` and `tls` what carries them; the other files hold ours, one concern each:
//! `tables` what is known offline, `scope` the grammar, `cluster` what is read, `change` what is changed,
//! `password` what is made of a password, `note` what we write beside a role, `quote` names and texts in
//! statements.

#![warn(clippy::disallowed_methods)]

mod api;
mod change;
mod cluster;
mod note;
mod password;
mod quote;
mod scope;
mod tables;
mod wire;

use std::sync::Arc;

use connector::{
    Connection, Field, Kind, Platform, Result, ScopeError, Setup, Usual,
    transport::{Route, Transport},
};
use domain::{Action, Scope};

/// The platform: a cluster of PostgreSQL databases.
#[derive(Debug)]
pub struct PostgreSql;

/// The platform, for `wiring`.
pub static PLATFORM: PostgreSql = PostgreSql;

impl Platform for PostgreSql {
    fn name(&self) -> &'static str {
        "postgresql"
    }

    fn doc(&self) -> &'static str {
        "A cluster of PostgreSQL databases: roles that sign in as integrations, their passwords as \
         credentials."
    }

    fn connection_fields(&self) -> &'static [Field] {
        &tables::CONNECTION
    }

    fn wire(&self, route: &Route) -> std::result::Result<Arc<dyn Transport>, String> {
        Ok(Arc::new(wire::Wire::new(route)?))
    }

    fn kinds(&self) -> &'static [Kind] {
        &tables::KINDS
    }

    fn usual(&self) -> Usual {
        Usual {
            name: "db",
            place: Some("postgresql://127.0.0.1:5432/postgres"),
            variable: Some("NHI_PGPASSWORD"),
            custody: "secret/nhi",
        }
    }

    fn parse_scope(&self, _: &str, text: &str) -> std::result::Result<Vec<Scope>, ScopeError> {
        scope::parse(text)
    }

    fn implies(&self, _: &str, a: &Scope, b: &Scope) -> bool {
        scope::implies(a, b)
    }

    fn action(&self, _: &str, scope: &Scope) -> Action {
        scope::action(scope)
    }

    fn connect(&'static self, setup: Setup) -> Result<Connection> {
        let cluster = cluster::Cluster::new(self, setup)?;
        Ok(Connection {
            platform: self,
            connector: Some(Arc::new(cluster)),
            sink: None,
            directory: None,
        })
    }
}
