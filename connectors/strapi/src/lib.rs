//! Strapi: API tokens, with which applications read and write a project's content.
//!
//! `api` holds their words; the other files hold ours, one concern each: `tables` what is known
//! offline, `scope` the grammar of what a token may do, `name` and `note` what is written in a token's
//! name and description, `project` what is read, `change` what is changed of an integration, `token`
//! credentials.

#![warn(clippy::disallowed_methods)]

mod api;
mod change;
mod name;
mod note;
mod project;
mod scope;
mod tables;
mod token;

use std::sync::Arc;

use connector::{Connection, Field, Kind, OnlyShown, Platform, Result, ScopeError, Setup, Usual};
use domain::{Action, Scope};

/// The platform: a Strapi project.
#[derive(Debug)]
pub struct Strapi;

/// The platform, for `wiring`.
pub static PLATFORM: Strapi = Strapi;

impl Platform for Strapi {
    fn name(&self) -> &'static str {
        "strapi"
    }

    fn doc(&self) -> &'static str {
        "A Strapi project: its API tokens as integrations, with further tokens as their credentials."
    }

    fn connection_fields(&self) -> &'static [Field] {
        &tables::CONNECTION
    }

    fn kinds(&self) -> &'static [Kind] {
        &tables::KINDS
    }

    fn usual(&self) -> Usual {
        Usual {
            name: "cms",
            place: Some("http://127.0.0.1:1337"),
            variable: Some("STRAPI_ADMIN_TOKEN"),
            custody: "secret/nhi",
        }
    }

    fn parse_scope(&self, _: &str, text: &str) -> std::result::Result<Vec<Scope>, ScopeError> {
        scope::parse(text)
    }

    fn only_shown(&self, _: &str, scope: &Scope) -> Option<OnlyShown> {
        scope::only_shown(scope)
    }

    fn implies(&self, _: &str, a: &Scope, b: &Scope) -> bool {
        scope::implies(a, b)
    }

    fn action(&self, _: &str, scope: &Scope) -> Action {
        scope::action(scope)
    }

    fn connect(&'static self, setup: Setup) -> Result<Connection> {
        Ok(Connection {
            platform: self,
            connector: Some(Arc::new(project::Project::new(self, setup))),
            sink: None,
            directory: None,
        })
    }
}
