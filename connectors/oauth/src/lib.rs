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

use connector::{Connection, Field, Kind, Obstacle, Platform, Result, ScopeError, Setup};
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

    fn in_the_way(
        &self,
        _: &str,
        wanted: &str,
        there: &str,
        key_id: Option<&str>,
    ) -> Option<Obstacle> {
        let obstacle = |why: String, next: &str| Some(Obstacle { why, next: next.to_owned() });
        if wanted != there {
            return obstacle(
                format!(
                    "a client has one way to sign in, with a client secret or with keys: {wanted} cannot live \
                     beside {there}"
                ),
                "keep one of the two types; where the other is there already, remove its nhi_credential \
                 and apply that first",
            );
        }
        // Keys of its own have names; what is told as an address is one.
        let address =
            key_id.filter(|key_id| wanted == tables::PRIVATE_KEY && key_id.contains("://"))?;
        obstacle(
            format!(
                "somebody wrote jwks_uri = {address:?} into the registration, and a client has keys there or \
                 keys of its own (RFC 7591 §2)"
            ),
            "find out whose they are. It is listed as a credential: revoke_unmanaged = true on the \
             nhi_integration ends it; or register the client without it",
        )
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
