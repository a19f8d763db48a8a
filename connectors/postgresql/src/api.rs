//! Their words: queries over the catalogues, and what a refusal means. Queries answer one text of JSON,
//! made by the server. Nothing of what the server says beside its code reaches an error.

use std::sync::Arc;

use connector::{
    Error, Refusal, Result,
    transport::{Answer, Effect, Request, Transport, json},
};
use domain::Secret;
use serde::{Deserialize, de::DeserializeOwned};
use zeroize::Zeroizing;

use crate::wire::{Said, Saying};

/// Whose sessions ours are, and what it may do.
pub(crate) const ME: &str = include_str!("sql/ourselves.sql");

/// Everything of roles that is the same in all databases; of one where `$1` names it. `{key}` is the
/// key id of a password, where it can be read, and `{roles}` what it is read from; `{more}` further
/// objects that are in no database.
const ROLES: &str = include_str!("sql/roles.sql");

/// A digest of the salt. Of what is no such verifier nothing is told but that it is there: a digest of
/// the weaker kind would let others guess.
const KEY: &str = "case when r.rolpassword like 'SCRAM-SHA-256$%' \
   then left(encode(sha256(convert_to(split_part(split_part(r.rolpassword, '$', 2), ':', 2), 'UTF8')), 'hex'), 16) \
   when r.rolpassword is not null then 'md5' end";

/// The server's settings, which roles may hold since PostgreSQL 15.
const PARAMETERS: &str = "union all select 'parameter', array[p.parname], 10, a.*
    from pg_parameter_acl p, aclexplode(p.paracl) a";

/// Everything that roles hold and own in one database; one of them where `$1` names it.
pub(crate) const HELD: &str = include_str!("sql/held.sql");

/// Ends sessions of a role, `$1` its oid, that began at or after `$2` and before `$3`, and waits until
/// they are gone. A session whose beginning our role may not see is told apart.
pub(crate) const END_SESSIONS: &str = include_str!("sql/sessions.sql");

/// Whose sessions ours are.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Me {
    pub(crate) system: String,
    pub(crate) name: String,
    pub(crate) oid: String,
    #[serde(rename = "super")]
    pub(crate) is_super: bool,
    pub(crate) createrole: bool,
    /// It may look at what is kept of passwords.
    pub(crate) passwords: bool,
    /// It may see when others' sessions began, and end them.
    pub(crate) sessions: bool,
    pub(crate) version: u32,
}

/// A role.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Role {
    pub(crate) oid: String,
    pub(crate) name: String,
    pub(crate) login: bool,
    pub(crate) inherit: bool,
    pub(crate) limit: i64,
    /// When its password ends, in microseconds; 0 where it has ended for good.
    pub(crate) until: Option<i64>,
    pub(crate) attributes: Vec<String>,
    /// The key id of its password, where it has one and we may look.
    pub(crate) key: Option<String>,
    pub(crate) comment: Option<String>,
}

/// A membership.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Member {
    pub(crate) of: String,
    pub(crate) group: String,
    pub(crate) admin: bool,
    /// Who gave it, where that role is still there.
    pub(crate) by: Option<String>,
}

/// A privilege.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Grant {
    pub(crate) to: String,
    pub(crate) class: String,
    pub(crate) path: Vec<String>,
    pub(crate) privilege: String,
    pub(crate) passed_on: bool,
    /// Who gave it.
    pub(crate) by: String,
    pub(crate) by_owner: bool,
}

/// Something that is owned.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Owned {
    pub(crate) by: String,
    pub(crate) path: Vec<String>,
}

/// What is the same in all databases.
#[derive(Debug, Deserialize)]
pub(crate) struct Roles {
    /// The server's time, in microseconds.
    pub(crate) now: i64,
    pub(crate) roles: Vec<Role>,
    pub(crate) members: Vec<Member>,
    pub(crate) grants: Vec<Grant>,
    pub(crate) owned: Vec<Owned>,
    /// Where these roles hold or own more.
    pub(crate) places: Vec<Place>,
}

/// A database in which a role holds or owns something.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Place {
    pub(crate) of: String,
    pub(crate) database: String,
}

/// What is in one database.
#[derive(Debug, Deserialize)]
pub(crate) struct Held {
    pub(crate) grants: Vec<Grant>,
    pub(crate) owned: Vec<Owned>,
}

/// Sessions that were ended, and those that were not.
#[derive(Debug, Deserialize)]
pub(crate) struct Swept {
    pub(crate) gone: u32,
    pub(crate) left: u32,
}

/// The query for roles that this server and our role allow.
pub(crate) fn roles(me: &Me) -> String {
    let (key, from) = match me.passwords {
        true => (KEY, "pg_authid"),
        false => ("null::text", "pg_roles"),
    };
    let more = if me.version >= 150_000 { PARAMETERS } else { "" };
    // `pg_roles` has its oid behind, `pg_authid` before: both by name.
    ROLES.replace("{key}", key).replace("{roles}", from).replace("{more}", more)
}

/// A server through our own role.
#[derive(Debug)]
pub(crate) struct Api {
    transport: Arc<dyn Transport>,
    connection: String,
    user: String,
    password: Option<Secret>,
}

impl Api {
    pub(crate) fn new(
        transport: Arc<dyn Transport>,
        connection: String,
        user: String,
        password: Option<Secret>,
    ) -> Api {
        Api { transport, connection, user, password }
    }

    fn as_ourselves(&self, request: Request) -> Result<Request> {
        let password = self.password.as_ref().ok_or_else(|| {
            Error::Configuration(format!(
                "connections.{}.postgresql: it has no credential, the password of {:?}",
                self.connection, self.user
            ))
        })?;
        Ok(request
            .header("user", Secret::new(self.user.clone()))
            .header("password", password.duplicate()))
    }

    async fn send(&self, request: Request) -> Result<Answer> {
        let what = request.what();
        let changes = request.effect == Effect::Change;
        let answer = self.transport.send(self.as_ourselves(request)?).await;
        let answer = answer.map_err(|error| error.of(what.clone()))?;
        if answer.status == 200 { Ok(answer) } else { Err(refused(&what, &answer, changes)) }
    }

    /// A query of one text, in a database; the answer's bytes.
    pub(crate) async fn look(
        &self,
        template: &'static str,
        database: &str,
        sql: &str,
        args: Vec<Option<String>>,
        shared: bool,
    ) -> Result<Answer> {
        let request = Request { method: "SELECT", shared, ..Request::get(database, template) };
        self.send(with(request, sql, Some(args))?).await
    }

    /// The same, read.
    pub(crate) async fn ask<T: DeserializeOwned>(
        &self,
        template: &'static str,
        sql: &str,
        args: Vec<Option<String>>,
        shared: bool,
    ) -> Result<T> {
        let answer = self.look(template, "", sql, args, shared).await?;
        json::read(&format!("SELECT {template}"), &answer.body)
    }

    /// Statements that are one transaction.
    pub(crate) async fn change(
        &self,
        template: &'static str,
        database: &str,
        statements: &[Zeroizing<String>],
    ) -> Result<()> {
        let mut sql = Zeroizing::new(String::with_capacity(
            statements.iter().map(|one| one.len() + 8).sum::<usize>() + 64,
        ));
        sql.push_str("BEGIN");
        for one in statements {
            sql.push_str(";\n");
            sql.push_str(one);
        }
        sql.push_str(";\nCOMMIT");
        let request = Request::change("CHANGE", database, template);
        let answer = self.send(with(request, &sql, None)?).await?;
        let said: Said = json::read(&format!("CHANGE {template}"), &answer.body)?;
        debug_assert!(said.sqlstate.is_empty());
        Ok(())
    }

    /// A query that does something.
    pub(crate) async fn order<T: DeserializeOwned>(
        &self,
        template: &'static str,
        sql: &str,
        args: Vec<Option<String>>,
    ) -> Result<T> {
        let request = Request::change("ORDER", "", template);
        let answer = self.send(with(request, sql, Some(args))?).await?;
        json::read(&format!("ORDER {template}"), &answer.body)
    }

    /// Signs in as somebody, over a connection of its own: the code of the server's no, if it said one.
    pub(crate) async fn sign_in(&self, user: &str, password: &Secret) -> Result<Option<String>> {
        let request = Request {
            method: "SIGN-IN",
            effect: Effect::SignIn,
            fresh_connection: true,
            ..Request::get("", "role {name}")
        }
        .header("user", Secret::new(user))
        .header("password", password.duplicate());
        let what = request.what();
        let answer = self.transport.send(request).await.map_err(|error| error.of(what.clone()))?;
        let said: Said = match answer.status {
            500.. => return Err(refused(&what, &answer, false)),
            _ => json::read(&what, &answer.body)?,
        };
        match (answer.status, said.sqlstate.is_empty()) {
            (200, true) => Ok(None),
            (200, false) | (_, true) => Err(refused(&what, &answer, false)),
            _ => Ok(Some(said.sqlstate)),
        }
    }
}

fn with(request: Request, sql: &str, args: Option<Vec<Option<String>>>) -> Result<Request> {
    let body = json::write(&Saying { sql: sql.into(), args })?;
    Ok(Request { body: Some(body), ..request })
}

/// What an answer other than success means. Only the code is told.
fn refused(what: &str, answer: &Answer, changes: bool) -> Error {
    let code = json::read::<Said>(what, &answer.body).map(|said| said.sqlstate).unwrap_or_default();
    let known = code.len() == 5 && code.bytes().all(|b| b.is_ascii_alphanumeric());
    let code = if known { format!(", SQLSTATE {code}") } else { String::new() };
    let Some(refusal) = Refusal::of_status(answer.status) else {
        let message = format!("the server could not do it now ({}{code})", answer.status);
        return Error::no_judgment(what, message, changes);
    };
    let why = match (refusal, code.trim_start_matches(", SQLSTATE ")) {
        (Refusal::Unauthorized, "28000") => {
            "the server lets our role in from nowhere like here (pg_hba.conf, or NOLOGIN)"
        }
        (Refusal::Unauthorized, _) => "our role's password is not accepted",
        (Refusal::Forbidden, _) => "our role may not do this",
        (Refusal::NotFound, "3D000") => "no such database",
        (Refusal::NotFound, _) => "no such object: it has to be made first",
        (Refusal::Conflict, "42710" | "23505") => "it exists already",
        (Refusal::Conflict, "2BP01") => {
            "something depends on it: what the role owns, or has passed on to others, has to go first \
             (REASSIGN OWNED, REVOKE … CASCADE)"
        }
        (Refusal::Conflict, "55P03" | "57014") => {
            "somebody else holds it, and it was not waited for"
        }
        (Refusal::Conflict, _) => "somebody else changed it at the same time",
        (Refusal::RateLimited, _) => "too many requests",
        (Refusal::Redirect, _) => "no server of ours answers so",
        _ => "the server does not take this",
    };
    Error::Refused {
        what: what.to_owned(),
        refusal,
        message: format!("{why} ({}{code})", answer.status),
    }
}
