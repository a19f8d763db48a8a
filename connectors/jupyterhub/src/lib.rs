//! JupyterHub: users that no person is behind, their API tokens, and what they hold.
//!
//! `api` holds their words; the other files hold ours, one concern each: `tables` what is known
//! offline, `scope` the grammar, `hub` what is read and looked up, `change` what is changed, `token`
//! credentials.

#![warn(clippy::disallowed_methods)]

mod api;
mod change;
mod hub;
mod scope;
mod tables;
mod token;

use std::sync::Arc;

use connector::{Connection, Field, Kind, OnlyShown, Platform, Result, ScopeError, Setup, Usual};
use domain::{Action, Scope};

/// The platform: a JupyterHub.
#[derive(Debug)]
pub struct JupyterHub;

/// The platform, for `wiring`.
pub static PLATFORM: JupyterHub = JupyterHub;

impl Platform for JupyterHub {
    fn name(&self) -> &'static str {
        "jupyterhub"
    }

    fn doc(&self) -> &'static str {
        "A JupyterHub: users that no person is behind as integrations, API tokens as credentials."
    }

    fn connection_fields(&self) -> &'static [Field] {
        &tables::CONNECTION
    }

    fn kinds(&self) -> &'static [Kind] {
        &tables::KINDS
    }

    fn usual(&self) -> Usual {
        Usual {
            name: "hub",
            place: Some("http://127.0.0.1:8000"),
            variable: Some("JUPYTERHUB_API_TOKEN"),
            custody: "secret/nhi",
        }
    }

    fn parse_scope(&self, _: &str, text: &str) -> std::result::Result<Vec<Scope>, ScopeError> {
        scope::parse(text)
    }

    fn only_shown(&self, _: &str, scope: &Scope) -> Option<OnlyShown> {
        scope::only_shown(scope)
    }

    fn action(&self, _: &str, scope: &Scope) -> Action {
        scope::action(scope)
    }

    fn connect(&'static self, setup: Setup) -> Result<Connection> {
        let hub = hub::Hub::new(self, setup)?;
        Ok(Connection {
            platform: self,
            connector: Some(Arc::new(hub)),
            sink: None,
            directory: None,
        })
    }
}
