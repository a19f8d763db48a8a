//! Any OAuth 2.0 authorization server with dynamic client registration.
//!
//! `api` holds their words; `tables` what is known offline, `scope` the grammar, `key` keys of ours,
//! `keyring` the documents that the registration tokens are kept in, `client` the clients, a file a deed.

#![warn(clippy::disallowed_methods)]

mod api;
mod client;
mod key;
mod keyring;
mod scope;
mod tables;

use std::sync::Arc;

use connector::{Connection, Field, Kind, Platform, Result, ScopeError, Setup};
use domain::{Action, Scope};

/// The platform: an authorization server.
#[derive(Debug)]
pub struct OAuth;

/// The platform, for `wiring`.
pub static PLATFORM: OAuth = OAuth;

impl Platform for OAuth {
    fn name(&self) -> &'static str {
        "oauth"
    }

    fn doc(&self) -> &'static str {
        "An OAuth 2.0 authorization server with dynamic client registration (RFC 7591, 7592)."
    }

    fn connection_fields(&self) -> &'static [Field] {
        &tables::CONNECTION
    }

    fn kinds(&self) -> &'static [Kind] {
        &tables::KINDS
    }

    fn parse_scope(&self, _: &str, text: &str) -> std::result::Result<Vec<Scope>, ScopeError> {
        scope::parse(text)
    }

    fn implies(&self, _: &str, a: &Scope, b: &Scope) -> bool {
        a == b || a.as_str() == scope::UNLIMITED
    }

    fn action(&self, _: &str, scope: &Scope) -> Action {
        scope::action(scope)
    }

    fn connect(&'static self, setup: Setup) -> Result<Connection> {
        let clients = client::Clients::new(self, setup)?;
        Ok(Connection {
            platform: self,
            connector: Some(Arc::new(clients)),
            sink: None,
            directory: None,
        })
    }
}
