//! Unleash: API tokens, which applications ask with whether a feature is on.
//!
//! `api` holds their words; the other files hold ours, one concern each: `tables` what is known
//! offline, `reach` the grammar of what a token may ask for, `name` what is written in a token's name,
//! `server` what is read, `change` what is changed of an integration, `token` credentials.

#![warn(clippy::disallowed_methods)]

mod api;
mod change;
mod name;
mod reach;
mod server;
mod tables;
mod token;

use std::sync::Arc;

use connector::{Connection, Field, Kind, OnlyShown, Platform, Result, ScopeError, Setup, Usual};
use domain::{Action, Scope};

/// The platform: an Unleash server.
#[derive(Debug)]
pub struct Unleash;

/// The platform, for `wiring`.
pub static PLATFORM: Unleash = Unleash;

impl Platform for Unleash {
    fn name(&self) -> &'static str {
        "unleash"
    }

    fn doc(&self) -> &'static str {
        "An Unleash server: its API tokens as credentials, and the name that they share as an integration."
    }

    fn connection_fields(&self) -> &'static [Field] {
        &tables::CONNECTION
    }

    fn kinds(&self) -> &'static [Kind] {
        &tables::KINDS
    }

    fn usual(&self) -> Usual {
        Usual {
            name: "flags",
            place: Some("http://127.0.0.1:4242"),
            variable: Some("UNLEASH_ADMIN_TOKEN"),
            custody: "secret/nhi",
        }
    }

    fn parse_scope(&self, _: &str, text: &str) -> std::result::Result<Vec<Scope>, ScopeError> {
        reach::parse(text)
    }

    fn only_shown(&self, _: &str, scope: &Scope) -> Option<OnlyShown> {
        Some(reach::only_shown(scope))
    }

    fn implies(&self, _: &str, a: &Scope, b: &Scope) -> bool {
        reach::implies(a, b)
    }

    fn action(&self, _: &str, scope: &Scope) -> Action {
        reach::action(scope)
    }

    fn connect(&'static self, setup: Setup) -> Result<Connection> {
        Ok(Connection {
            platform: self,
            connector: Some(Arc::new(server::Server::new(self, setup))),
            sink: None,
            directory: None,
        })
    }
}
