//! A SCIM 2.0 directory: are the owners still there?
//!
//! Read only. `api` holds their words: resources and errors of RFC 7643 and 7644.

#![warn(clippy::disallowed_methods)]

mod api;

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use connector::{
    Absent, Connection, Default, Directory, Error, Field, FieldType, Grows, Kind, Member, OnChange,
    Platform, Result, Setup,
    transport::{Answer, Request, Transport},
};
use domain::Secret;

use crate::api::{Found, encode, is_scim_error, member, refused, total};

/// The platform: a directory of people and teams.
#[derive(Debug)]
pub struct Scim;

/// The platform, for `wiring`.
pub static PLATFORM: Scim = Scim;

const TEXT: Field = Field {
    name: "address",
    field_type: FieldType::Text,
    required: true,
    default: Default::None,
    on_change: OnChange::InPlace,
    grows: Grows::Never,
    absent: Absent::Neutral,
    doc: "Where `Users` and `Groups` are, such as `https://id.acme.example/scim/v2`.",
};

static CONNECTION: [Field; 2] = [
    TEXT,
    Field {
        name: "ca_file",
        required: false,
        doc: "A file of PEM certificates that sign the server's; the machine's own unless set.",
        ..TEXT
    },
];

impl Platform for Scim {
    fn name(&self) -> &'static str {
        "scim"
    }

    fn doc(&self) -> &'static str {
        "A SCIM 2.0 directory of people and teams: tells whether an owner is still there."
    }

    fn connection_fields(&self) -> &'static [Field] {
        &CONNECTION
    }

    fn kinds(&self) -> &'static [Kind] {
        &[]
    }

    fn is_directory(&self) -> bool {
        true
    }

    fn connect(&'static self, setup: Setup) -> Result<Connection> {
        let people =
            People { connection: setup.name, token: setup.credential, transport: setup.transport };
        Ok(Connection {
            platform: self,
            connector: None,
            sink: None,
            directory: Some(Arc::new(people)),
        })
    }
}

/// A directory through one connection.
struct People {
    connection: String,
    token: Option<Secret>,
    transport: Arc<dyn Transport>,
}

impl fmt::Debug for People {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "People({})", self.connection)
    }
}

impl People {
    async fn get(&self, path: String, template: &'static str) -> Result<(String, Answer)> {
        let token = self.token.as_ref().ok_or_else(|| {
            Error::Configuration(format!(
                "connection {:?} has no credential: set the environment variable or the file that its \
                 `credential` names",
                self.connection
            ))
        })?;
        let request = Request { shared: true, ..Request::get(path, template) }
            .header("Accept", Secret::new("application/scim+json, application/json"))
            .header("Authorization", Secret::new(format!("Bearer {}", token.expose().trim())));
        let what = request.what();
        match self.transport.send(request).await {
            Ok(answer) => Ok((what, answer)),
            Err(error) => Err(error.of(what)),
        }
    }

    /// One resource of a type; `None` where the server says by its own error that there is none.
    async fn resource(
        &self,
        path: String,
        template: &'static str,
        kind: &'static str,
    ) -> Result<Found> {
        let (what, answer) = self.get(path, template).await?;
        match answer.status {
            200 => member(&what, kind, &answer.body).map(|found| Found::There(Box::new(found))),
            404 if is_scim_error(&answer.body) => Ok(Found::Absent),
            // A server without groups need not know the path.
            404 | 405 | 501 if kind == "team" => Ok(Found::Absent),
            _ => Err(refused(&what, &answer)),
        }
    }
}

#[async_trait]
impl Directory for People {
    async fn member(&self, id: &str) -> Result<Option<Member>> {
        if id.is_empty() || id.chars().any(char::is_control) {
            return Err(Error::Configuration(format!(
                "{id:?} cannot be the id of a person or team"
            )));
        }
        let id = encode(id);
        if let Found::There(found) =
            self.resource(format!("Users/{id}"), "Users/{id}", "person").await?
        {
            return Ok(Some(*found));
        }
        if let Found::There(found) =
            self.resource(format!("Groups/{id}"), "Groups/{id}", "team").await?
        {
            return Ok(Some(*found));
        }
        // Gone, or hidden? A directory that shows nobody at all proves nothing.
        if self.check().await? == 0 {
            return Err(Error::UnexpectedAnswer {
                what: "GET Users".to_owned(),
                message: "the directory shows nobody at all: the credential may not be allowed to read it"
                    .to_owned(),
            });
        }
        Ok(None)
    }

    async fn check(&self) -> Result<u64> {
        let (what, answer) = self.get("Users?startIndex=1&count=1".to_owned(), "Users").await?;
        match answer.status {
            200 => total(&what, &answer.body),
            _ => Err(refused(&what, &answer)),
        }
    }
}
