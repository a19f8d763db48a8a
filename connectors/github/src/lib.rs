//! GitHub: what is no person in an organisation, by GitHub's published contract.
//!
//! `api` holds their words, `app` how a GitHub App signs in; the other files hold ours, one concern each: `tables` what is known
//! offline, `scope` the grammar of permissions, `note` what we write down beside what GitHub keeps,
//! `key` deploy keys as SSH has them, `signed` what a delivery is signed with, `organization` what all
//! kinds share, and a file a kind: `installation`, `grant`, `ssh_client`, `webhook`.

#![warn(clippy::disallowed_methods)]

mod api;
mod app;
mod grant;
mod installation;
mod key;
mod note;
mod organization;
mod scope;
mod signed;
mod ssh_client;
mod tables;
mod webhook;

use std::sync::Arc;

use connector::{
    Connection, Error, Field, Kind, OnlyShown, Platform, Result, ScopeError, Setup, Usual,
};
use domain::{Action, Scope};

/// The platform: an organisation.
#[derive(Debug)]
pub struct GitHub;

/// The platform, for `wiring`.
pub static PLATFORM: GitHub = GitHub;

impl Platform for GitHub {
    fn name(&self) -> &'static str {
        "github"
    }

    fn doc(&self) -> &'static str {
        "An organisation on GitHub: installed Apps, fine-grained tokens, deploy keys and webhooks."
    }

    fn connection_fields(&self) -> &'static [Field] {
        &tables::CONNECTION
    }

    fn kinds(&self) -> &'static [Kind] {
        &tables::KINDS
    }

    fn usual(&self) -> Usual {
        Usual {
            name: "github",
            place: Some(tables::SERVICE),
            variable: Some("GITHUB_TOKEN"),
            custody: "secret/nhi",
        }
    }

    /// GitHub counts a change as five looks, and stands fifteen looks a second.
    fn usual_budget(&self) -> u32 {
        5
    }

    fn parse_scope(&self, _: &str, text: &str) -> std::result::Result<Vec<Scope>, ScopeError> {
        scope::parse(text)
    }

    fn only_shown(&self, _: &str, scope: &Scope) -> Option<OnlyShown> {
        Some(scope::only_shown(scope))
    }

    fn implies(&self, _: &str, a: &Scope, b: &Scope) -> bool {
        scope::implies(a, b)
    }

    fn action(&self, _: &str, scope: &Scope) -> Action {
        scope::action(scope)
    }

    fn connect(&'static self, setup: Setup) -> Result<Connection> {
        let name = setup.name.clone();
        let unusable =
            |why: String| Error::Configuration(format!("connections.{name}.github: {why}"));
        let organization = organization::Organization::new(self, setup).map_err(unusable)?;
        Ok(Connection {
            platform: self,
            connector: Some(Arc::new(organization)),
            sink: None,
            directory: None,
        })
    }
}
