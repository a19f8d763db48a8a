//! OpenBao and Vault: AppRole integrations, and KV v2 as a sink.
//!
//! `api` holds their words; the other files hold ours, one concern each: `tables` what is known
//! offline, `scope` the grammar, `effective` which way a change goes, `policy` the policy's text,
//! `approle` the integrations, `probe` sign-ins under test, `kv` the sink, `notes` what
//! is weaker on a connection, `token` our own sign-in, `ourselves` the role that it is one of,
//! `access` access for a while, `audit` the lines of
//! an audit device.

#![warn(clippy::disallowed_methods)]

mod access;
mod api;
mod approle;
mod audit;
mod effective;
mod kv;
mod notes;
mod ourselves;
mod policy;
mod probe;
mod scope;
mod tables;
mod token;

use std::{collections::BTreeSet, sync::Arc};

use connector::{
    Connection, Error, Field, Kind, Obstacle, OnlyShown, OwnCredential, Platform, Result,
    ScopeError, Setup, Usual,
    transport::{self, Route, Transport},
};
use domain::{Action, Direction, Scope, Settings};

/// The platform: OpenBao, and HashiCorp Vault where its API is the same.
#[derive(Debug)]
pub struct OpenBao;

/// The platform, for `wiring`.
pub static PLATFORM: OpenBao = OpenBao;

impl Platform for OpenBao {
    fn name(&self) -> &'static str {
        "openbao"
    }

    fn doc(&self) -> &'static str {
        "OpenBao or HashiCorp Vault: AppRole roles as integrations, KV version 2 as a sink."
    }

    fn connection_fields(&self) -> &'static [Field] {
        &tables::CONNECTION
    }

    fn log_line(&self, line: &serde_json::Value) -> Option<connector::LogLine> {
        Some(audit::line(line))
    }

    fn is_shown_in_logs(&self, _: &str, scope: &Scope) -> bool {
        audit::shows(scope)
    }

    /// HTTP. Every path begins with `v1/` already, and whoever copied it into the address would ask a
    /// server for what it does not have.
    fn wire(&self, route: &Route) -> std::result::Result<Arc<dyn Transport>, String> {
        let wire = transport::http(route)?;
        match route.address.trim_end_matches('/').strip_suffix("/v1") {
            // A host may be called so.
            Some(right) if !right.ends_with('/') => {
                Err(format!("address ends in /v1, which is added to it: write {right:?}"))
            }
            _ => Ok(wire),
        }
    }

    fn kinds(&self) -> &'static [Kind] {
        &tables::KINDS
    }

    fn is_sink(&self) -> bool {
        true
    }

    fn own_credential(&self) -> OwnCredential {
        OwnCredential::SecretOrAppRole
    }

    fn usual(&self) -> Usual {
        Usual {
            name: "bao",
            place: Some("http://127.0.0.1:8200"),
            variable: Some("BAO_TOKEN"),
            custody: "secret/nhi",
        }
    }

    /// A server of one's own; one that has quotas says 429, which is obeyed.
    fn usual_budget(&self) -> u32 {
        5_000
    }

    fn parse_scope(&self, _: &str, text: &str) -> std::result::Result<Vec<Scope>, ScopeError> {
        scope::parse(text)
    }

    fn ends_scope(&self, _: &str, scope: &Scope) -> bool {
        scope::ends(scope)
    }

    fn only_shown(&self, _: &str, scope: &Scope) -> Option<OnlyShown> {
        scope::only_shown(scope)
    }

    fn contradiction(&self, _: &str, settings: &Settings) -> Option<(&'static str, Obstacle)> {
        tables::contradiction(settings)
    }

    fn covers(
        &self,
        _: &str,
        ceiling: &BTreeSet<Scope>,
        scope: &Scope,
        beside: &BTreeSet<Scope>,
    ) -> bool {
        effective::covers(ceiling, scope, beside)
    }

    fn action(&self, _: &str, scope: &Scope) -> Action {
        scope::action(scope)
    }

    fn direction(&self, _: &str, before: &BTreeSet<Scope>, after: &BTreeSet<Scope>) -> Direction {
        effective::direction(before, after)
    }

    fn connect(&'static self, setup: Setup) -> Result<Connection> {
        let namespace = setup.settings.text("namespace").map(|text| text.trim_matches('/'));
        let namespace = namespace.filter(|text| !text.is_empty() && *text != "root");
        if let Some(namespace) = namespace
            && !namespace.bytes().all(|b| b.is_ascii_graphic())
        {
            return Err(Error::Configuration(format!(
                "connection {:?}: namespace {namespace:?} is no path of printable characters",
                setup.name
            )));
        }
        let mount = setup.settings.text("sign_in_mount").unwrap_or(tables::MOUNT).trim_matches('/');
        let token = token::Token::new(
            &setup.name,
            setup.credential,
            setup.credential_id,
            mount,
            setup.clock.clone(),
        );
        let api = Arc::new(api::Api::new(setup.transport, namespace.map(str::to_owned), token));
        let pinned = setup.settings.text("tenant").map(str::to_owned);
        let sink = kv::Kv::new(api.clone(), setup.clock.clone());
        let connector = approle::AppRole::new(self, setup.name, pinned, api, setup.clock);
        Ok(Connection {
            platform: self,
            connector: Some(Arc::new(connector)),
            sink: Some(Arc::new(sink)),
            directory: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use connector::{Platform, conformance::route};

    #[test]
    fn an_address_that_ends_in_v1_is_refused_with_the_one_that_was_meant() {
        let wire = |address: &str| super::PLATFORM.wire(&route(address));
        for (slip, right) in [
            ("http://127.0.0.1:8200/v1", "\"http://127.0.0.1:8200\""),
            ("https://acme.example/bao/v1/", "\"https://acme.example/bao\""),
        ] {
            let said = wire(slip).unwrap_err();
            assert!(said.contains("/v1") && said.contains(right), "{said}");
        }
        for right in ["http://127.0.0.1:8200/", "https://acme.example/v10", "https://v1"] {
            wire(right).unwrap();
        }
    }
}
