//! AWS IAM: users as integrations, access keys as credentials.
//!
//! And Secrets Manager as a sink, in `secrets_manager`.
//!
//! `api` holds their words, `shapes` what their answers look like and `sign` how a request is signed;
//! the other files hold ours: `tables` what is known offline, `scope` the grammar, `actions` what a
//! scope lets its holder do, `document` the text of policies, `tags` what we keep on a user, `user`
//! the users, `grants` a change of what they may do, `key` their access keys, `notes` what is weaker
//! on a connection.

#![warn(clippy::disallowed_methods)]

mod actions;
mod api;
mod document;
mod grants;
mod key;
mod notes;
mod scope;
mod secrets_manager;
mod shapes;
mod sign;
mod tables;
mod tags;
mod user;

use std::{collections::BTreeSet, sync::Arc};

use connector::{
    Connection, Error, Field, Kind, OnlyShown, OwnCredential, Platform, Result, ScopeError, Setup,
    Usual,
};
use domain::{Action, Direction, Scope, Settings};

/// The platform: one AWS account, or a server that speaks as IAM and STS do.
#[derive(Debug)]
pub struct AwsIam;

/// The platform, for `wiring`.
pub static PLATFORM: AwsIam = AwsIam;

impl Platform for AwsIam {
    fn name(&self) -> &'static str {
        "aws_iam"
    }

    fn doc(&self) -> &'static str {
        "An AWS account: IAM users as integrations, with their access keys; Secrets Manager as a sink."
    }

    fn connection_fields(&self) -> &'static [Field] {
        &tables::CONNECTION
    }

    fn other_addresses(&self, settings: &Settings) -> Vec<String> {
        let secrets = tables::secrets_address(settings).map(|(address, _)| address);
        [tables::sts_address(settings)].into_iter().chain(secrets).collect()
    }

    fn kinds(&self) -> &'static [Kind] {
        &tables::KINDS
    }

    fn is_sink(&self) -> bool {
        true
    }

    fn not_custody(&self) -> Option<&'static str> {
        Some(
            "Secrets Manager cannot destroy one version of a secret, so that pending secrets would stay \
             readable there; it can be delivered to",
        )
    }

    fn own_credential(&self) -> OwnCredential {
        OwnCredential::AccessKey
    }

    fn usual(&self) -> Usual {
        Usual {
            name: "aws",
            place: Some(tables::ADDRESS),
            variable: Some("NHI_AWS_ACCESS_KEY"),
            custody: "nhi",
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
        actions::action(scope)
    }

    fn direction(&self, _: &str, before: &BTreeSet<Scope>, after: &BTreeSet<Scope>) -> Direction {
        scope::direction(before, after)
    }

    fn connect(&'static self, setup: Setup) -> Result<Connection> {
        let unusable =
            |why: &str| Error::Configuration(format!("connections.{}.aws_iam: {why}", setup.name));
        let key = match &setup.credential {
            Some(text) => Some(sign::AccessKey::parse(text).ok_or_else(|| {
                unusable(
                    "the credential is no access key: expected <key id>:<secret>, with \
                     :<session token> behind it where it is one for a while",
                )
            })?),
            None => None,
        };
        let region = setup.settings.text("region").unwrap_or(tables::REGION);
        let secrets_region = setup.settings.text("secrets_region");
        for (name, region) in [("region", Some(region)), ("secrets_region", secrets_region)] {
            if let Some(wrong) = region.filter(|region| !tables::is_region(region)) {
                return Err(unusable(&format!("{name} {wrong:?} is none")));
            }
        }
        let places = sign::Places::new(&setup.settings, region);
        let pinned = setup.settings.text("tenant").map(str::to_owned);
        let api = api::Api::new(setup.transport, setup.clock.clone(), places, key, &setup.name);
        let users = Arc::new(user::Users::new(self, setup.name, pinned, api, setup.clock));
        Ok(Connection {
            platform: self,
            sink: Some(Arc::new(secrets_manager::SecretsManager::new(users.clone()))),
            connector: Some(users),
            directory: None,
        })
    }
}
