//! What is changed of a role: made with its record, given and taken what it holds, its password, its
//! end. Each is one transaction a database, which begins with a comparison with what was read.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use connector::{
    Change, Children, Ended, Error, Freshness, IssueRequest, Issued, NewIntegration, ObjectRef,
    Outcome, Refusal, Result, Want,
};
use domain::{GrantedScope, ObservedIntegration, Scope, Settings};
use jiff::Timestamp;
use zeroize::Zeroizing;

use crate::{
    api::{END_SESSIONS, Role, Swept},
    cluster::{Cluster, Found, Holding, Login, key_in, lives, unexpected},
    note::{Known, Note},
    password, quote,
    scope::{self, ATTRIBUTES, Form},
    tables::{CONNECTION_LIMIT, ENDS, INHERIT, REPLACE_OURS, ROLE, SLOTS, unfit_in_pair},
};

/// What a deed answers with: fresh, without its password.
const BACK: Want = Want { credentials: false, details: false, freshness: Freshness::Fresh };
/// The longest between looking at the clock of the server and setting a password, in microseconds. A
/// session that began within it may have either.
const WITHIN: i64 = 3_000_000;
/// When a look tells whether a create was done whose answer is lost, in milliseconds after one another.
const PAUSES: [u64; 3] = [0, 300, 1_000];
/// Our key of the server's locks.
const LOCK: i64 = 0x6e68_6900_0000_0000;

type Statement = Zeroizing<String>;

fn sql(text: impl Into<String>) -> Statement {
    Zeroizing::new(text.into())
}

fn refused(name: &str, refusal: Refusal, message: String) -> Error {
    Error::Refused { what: format!("{ROLE} {name:?}"), refusal, message }
}

fn no_such_password(object: &ObjectRef) -> Error {
    refused(&object.key, Refusal::NotFound, "it has no such password".into())
}

/// Goes on only where the role is the one that was read, with that comment: what it counts is one, and
/// nothing else can be divided by. One of ours at a time.
fn compared(role: &Role) -> [Statement; 2] {
    let oid = &role.oid;
    let lock = LOCK | role.oid.parse::<i64>().unwrap_or_default();
    [
        sql(format!("SELECT pg_advisory_xact_lock({lock})")),
        sql(format!(
            "SELECT 1 / count(*) FROM pg_roles WHERE rolname = {} AND oid = {oid} \
             AND coalesce(shobj_description(oid, 'pg_authid'), '') = {}",
            quote::text(&role.name),
            quote::text(role.comment.as_deref().unwrap_or_default()),
        )),
    ]
}

/// Goes on only where the time of whatever password is there is over still: only that is seen of it.
fn still_over(role: &Role) -> Statement {
    sql(format!(
        "SELECT 1 / (rolvaliduntil <= clock_timestamp())::int FROM pg_roles WHERE oid = {}",
        role.oid
    ))
}

fn comment(role: &str, note: &Note) -> Statement {
    sql(format!("COMMENT ON ROLE {} IS {}", quote::name(role), quote::text(&note.text())))
}

/// The words of a role's settings.
fn options(settings: &Settings) -> String {
    let inherit = if settings.flag(INHERIT) == Some(false) { "NOINHERIT" } else { "INHERIT" };
    format!("{inherit} {}", connection_limit(settings))
}

fn connection_limit(settings: &Settings) -> String {
    let limit = settings.count(CONNECTION_LIMIT).filter(|limit| *limit >= 0).unwrap_or(-1);
    format!("CONNECTION LIMIT {limit}")
}

/// What takes one holding away, said by whoever gave it where the server asks for that.
fn take(role: &str, held: &Holding, only_option: bool) -> Vec<Statement> {
    let role = held.of.as_deref().unwrap_or(role);
    if let Form::Attribute(word) = held.what {
        let theirs = ATTRIBUTES.iter().find(|(ours, _)| *ours == word).map_or("", |(_, it)| it);
        return vec![sql(format!("ALTER ROLE {} NO{theirs}", quote::name(role)))];
    }
    let Some(statement) = held.what.take(role, only_option) else { return Vec::new() };
    match (&held.by, &held.what) {
        (Some(by), Form::Role { .. }) => {
            vec![sql(format!("{statement} GRANTED BY {}", quote::name(by)))]
        }
        (Some(by), _) => vec![
            sql(format!("SET LOCAL ROLE {}", quote::name(by))),
            sql(statement),
            sql("RESET ROLE"),
        ],
        (None, _) => vec![sql(statement)],
    }
}

/// Statements by the database that they have to be said in.
#[derive(Debug, Default)]
struct Plan {
    everywhere: Vec<Statement>,
    inside: BTreeMap<String, Vec<Statement>>,
}

impl Plan {
    fn add(&mut self, what: &Form, statements: Vec<Statement>) {
        match what.database() {
            Some(database) => {
                self.inside.entry(database.to_owned()).or_default().extend(statements);
            }
            None => self.everywhere.extend(statements),
        }
    }
}

/// What brings a role from what it holds to what it is to hold, and what is not for us to take away.
fn plan(found: &Found, wanted: &BTreeSet<GrantedScope>) -> Result<(Plan, Option<Error>)> {
    let name = &found.role.name;
    let invalid = |message: String| refused(name, Refusal::Invalid, message);
    let mut plan = Plan::default();
    // By its plain form: whether it may be passed on.
    let mut to_hold: BTreeMap<Scope, (Form, bool)> = BTreeMap::new();
    let mut to_own = BTreeSet::new();
    for GrantedScope { scope, .. } in wanted {
        let form = scope::form(scope.as_str())
            .ok_or_else(|| invalid(format!("{scope} is nothing that a role holds")))?;
        if let Form::Owner(_) = form {
            to_own.insert(scope.clone());
            continue;
        }
        let plain = form.plain();
        let entry = to_hold.entry(plain.scope()).or_insert((plain, false));
        entry.1 |= form.passed_on();
    }
    for (scope, (form, passed_on)) in &to_hold {
        let held = || found.holdings.iter().filter(|one| one.what == *form && one.of.is_none());
        let has_option = held().any(|one| one.passed_on);
        if held().next().is_none() || (*passed_on && !has_option) {
            let statement = form.with(*passed_on).give(name).ok_or_else(|| {
                invalid(format!("{scope} is never given here: a superuser gives it by hand"))
            })?;
            plan.add(form, vec![sql(statement)]);
        } else if has_option && !passed_on {
            for one in held().filter(|one| one.passed_on) {
                plan.add(form, take(name, one, true));
            }
        }
    }
    for one in &found.holdings {
        // Who signs in for it holds nothing itself.
        if one.of.is_some() || !to_hold.contains_key(&one.what.scope()) {
            plan.add(&one.what, take(name, one, false));
        }
    }
    let owned: BTreeSet<Scope> = found.owned.iter().map(Form::scope).collect();
    if let Some(scope) = to_own.difference(&owned).next() {
        return Err(invalid(format!(
            "{scope}: what is owned is not given here (ALTER … OWNER TO)"
        )));
    }
    // It keeps nothing else from going.
    let not_ours = owned.difference(&to_own).next().map(|scope| {
        invalid(format!(
            "{scope}: what it owns is not taken away here. Next: REASSIGN OWNED BY {} TO … in that \
             database, or declare it",
            quote::name(name)
        ))
    });
    Ok((plan, not_ours))
}

impl Cluster {
    /// Makes a role with its record, in one transaction.
    pub(crate) async fn make(&self, new: &NewIntegration) -> Result<ObservedIntegration> {
        let _turn = self.turns.take(&new.name).await;
        let exists = || {
            let message = "it exists already, and no unfinished create of ours made it".to_owned();
            refused(&new.name, Refusal::Conflict, message)
        };
        let (name, options) = (quote::name(&new.name), options(&new.settings));
        let mut statements = Vec::new();
        let note = match self.find(&new.name, Freshness::Fresh).await? {
            Some(found) => {
                let begun = found.note.record.as_ref().is_some_and(|record| {
                    record.unfinished && record.realm.is_some() && record.realm == new.record.realm
                });
                if !begun {
                    return Err(exists());
                }
                statements.extend(compared(&found.role));
                statements.push(sql(format!("ALTER ROLE {name} {options}")));
                found.note
            }
            None => {
                statements.push(sql(format!(
                    "CREATE ROLE {name} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION \
                     NOBYPASSRLS {options}"
                )));
                Note::default()
            }
        };
        let note = Note { record: Some(new.record.clone()), ..note };
        statements.push(comment(&new.name, &note));
        match self.api.change("role {name}", "", &statements).await {
            Err(error) if error.refusal() == Some(Refusal::Conflict) => return Err(exists()),
            // Whose answer is lost may have been done: a finished create is nobody's to go on with.
            Err(error) if error.outcome() == Outcome::Ambiguous => {
                return self.made(new).await.ok_or(error);
            }
            other => other?,
        }
        self.back(&new.name).await.map_err(|error| error.after_change("create"))
    }

    /// The role, if it is there just as a create of ours would have it.
    async fn made(&self, new: &NewIntegration) -> Option<ObservedIntegration> {
        for pause in PAUSES {
            tokio::time::sleep(Duration::from_millis(pause)).await;
            match self.back(&new.name).await {
                Ok(now) if now.record.as_ref() == Some(&new.record) => return Some(now),
                _ => {}
            }
        }
        None
    }

    async fn back(&self, name: &str) -> Result<ObservedIntegration> {
        let found = self.find(name, Freshness::Fresh).await?;
        let found = found.ok_or_else(|| unexpected("SELECT roles", "it is not there any more"))?;
        Ok(found.observed(BACK, &*self.clock))
    }

    /// Changes what is to be changed, and returns what is then in force.
    pub(crate) async fn apply(
        &self,
        object: &ObjectRef,
        change: &Change,
    ) -> Result<ObservedIntegration> {
        if change.scopes.iter().flatten().any(|one| one.until.is_some()) {
            return connector::port::unsupported("postgresql", "end a scope by itself");
        }
        let _turn = self.turns.take(&object.key).await;
        let found = self.existing(object).await?;
        let mut changed = false;
        let done = self.changes(&found, change, &mut changed).await;
        let done = match done {
            Ok(()) => self.back(&object.key).await.and_then(|now| in_force(now, change)),
            Err(error) => Err(error),
        };
        done.map_err(|error| if changed { error.after_change("modify") } else { error })
    }

    async fn changes(&self, found: &Found, change: &Change, changed: &mut bool) -> Result<()> {
        let name = &found.role.name;
        let (mut everywhere, mut not_ours) = (Vec::new(), None);
        if let Some(wanted) = &change.scopes {
            if let Some(gap) = found.gap() {
                let why = format!("not everything that is changed can be read: {}", gap.cause);
                return Err(unexpected("modify", why));
            }
            let (plan, left) = plan(found, wanted)?;
            for (database, statements) in plan.inside {
                self.said(found, &database, statements, changed).await?;
            }
            everywhere = plan.everywhere;
            not_ours = left;
        }
        if let Some(settings) = &change.settings {
            everywhere.push(sql(format!("ALTER ROLE {} {}", quote::name(name), options(settings))));
            let limit = connection_limit(settings);
            everywhere.extend(
                found.pair.iter().map(|login| {
                    sql(format!("ALTER ROLE {} {limit}", quote::name(&login.role.name)))
                }),
            );
        }
        if let Some(enabled) = change.enabled {
            let word = if enabled { "LOGIN" } else { "NOLOGIN" };
            let sees = found.sees_passwords;
            let off = |login: &&Login| login.known(sees).is_some_and(|known| known.off);
            let names = found.pair.iter().filter(|login| !(enabled && off(login)));
            let names = names.map(|login| &*login.role.name);
            for name in [&*found.role.name].into_iter().chain(names) {
                everywhere.push(sql(format!("ALTER ROLE {} {word}", quote::name(name))));
            }
        }
        // The record may say that somebody governs the scopes, so it comes with the last of them.
        if let (Some(record), None) = (&change.record, &not_ours) {
            let note = Note { record: Some(record.clone()), ..found.note.clone() };
            everywhere.push(comment(name, &note));
        }
        if !everywhere.is_empty() {
            self.said(found, "", everywhere, changed).await?;
        }
        if change.enabled == Some(false) && self.me().await?.sessions {
            *changed = true;
            self.ended_of_all(found).await?;
        }
        not_ours.map_or(Ok(()), Err)
    }

    /// Says statements about a role that is still as it was read.
    async fn said(
        &self,
        found: &Found,
        database: &str,
        statements: Vec<Statement>,
        changed: &mut bool,
    ) -> Result<()> {
        let all: Vec<Statement> = compared(&found.role).into_iter().chain(statements).collect();
        let template = if database.is_empty() { "role {name}" } else { "grants of {database}" };
        let done = self.api.change(template, database, &all).await;
        *changed |= done.is_ok();
        done
    }

    // -- the password -------------------------------------------------------------------------------------

    /// Sets a password of ours: its verifier, its end and what is known of it, in one transaction.
    pub(crate) async fn set_password(
        &self,
        object: &ObjectRef,
        request: IssueRequest<'_>,
    ) -> Result<Issued> {
        let (REPLACE_OURS, Some(secret)) = (request.profile, request.secret) else {
            return connector::port::unsupported("postgresql", "issue in this way");
        };
        if request.expires_at.is_some_and(|end| end <= self.clock.now()) {
            return Err(Error::Configuration("a password cannot end in the past".into()));
        }
        let (key, verifier) = (password::key_id(secret)?, password::verifier(secret)?);
        let _turn = self.turns.take(&object.key).await;
        let found = self.existing(object).await?;
        let at = |micros: i64| Timestamp::from_microsecond(micros).ok();
        if found.key() == Some(&key) {
            return Ok(Issued {
                key_id: key,
                secret: None,
                issued_at: found.known().and_then(|known| at(known.at)),
                expires_at: found.role.until.and_then(at),
                already_there: true,
            });
        }
        let until = request.expires_at.map_or("infinity".to_owned(), |end| end.to_string());
        let known = Known {
            key: key.clone(),
            marker: request.marker.to_owned(),
            at: found.now,
            off: false,
        };
        let note = Note { password: Some(known), ..found.note.clone() };
        let name = &found.role.name;
        let statements = vec![
            sql(format!(
                "ALTER ROLE {} PASSWORD {} VALID UNTIL {}",
                quote::name(name),
                quote::text(verifier.expose()),
                quote::text(&until)
            )),
            comment(name, &note),
            sql(format!(
                "SELECT 1 / (clock_timestamp() < to_timestamp({} / 1000000.0))::int",
                found.now + WITHIN
            )),
        ];
        self.said(&found, "", statements, &mut false).await?;
        Ok(Issued {
            key_id: key,
            secret: None,
            issued_at: at(found.now),
            expires_at: request.expires_at,
            already_there: false,
        })
    }

    /// Writes a password of ours into the place that is free: a role that signs in for this one, made
    /// here if it is not there yet. It acts as this one from its first statement on, so that what it makes
    /// belongs to this one.
    pub(crate) async fn fill_place(
        &self,
        object: &ObjectRef,
        request: IssueRequest<'_>,
    ) -> Result<Issued> {
        let (SLOTS, Some(secret)) = (request.profile, request.secret) else {
            return connector::port::unsupported("postgresql", "issue in this way");
        };
        if request.expires_at.is_some_and(|end| end <= self.clock.now()) {
            return Err(Error::Configuration("a password cannot end in the past".into()));
        }
        let (key, verifier) = (password::key_id(secret)?, password::verifier(secret)?);
        let _turn = self.turns.take(&object.key).await;
        let found = self.existing(object).await?;
        let (base, sees) = (&found.role.name, found.sees_passwords);
        let at = |micros: i64| Timestamp::from_microsecond(micros).ok();
        if let Some(there) = found.pair.iter().find(|login| login.key(sees) == Some(&key)) {
            return Ok(Issued {
                key_id: key_in(&key, &there.role.name),
                secret: None,
                issued_at: there.known(sees).and_then(|known| at(known.at)),
                expires_at: there.role.until.and_then(at),
                already_there: true,
            });
        }
        let (name, mut statements) = self.free_place(&found)?;
        let until = request.expires_at.map_or("infinity".to_owned(), |end| end.to_string());
        let note = Note {
            password: Some(Known {
                key: key.clone(),
                marker: request.marker.into(),
                at: found.now,
                off: false,
            }),
            signs_in_for: Some(found.role.oid.clone()),
            ..found
                .pair
                .iter()
                .find(|login| login.role.name == name)
                .map_or_else(Note::default, |login| login.note.clone())
        };
        let login = if found.role.login { "LOGIN" } else { "NOLOGIN" };
        statements.extend([
            sql(format!(
                "ALTER ROLE {} {login} CONNECTION LIMIT {} PASSWORD {} VALID UNTIL {}",
                quote::name(&name),
                found.role.limit,
                quote::text(verifier.expose()),
                quote::text(&until)
            )),
            sql(format!("GRANT {} TO {}", quote::name(base), quote::name(&name))),
            sql(format!("ALTER ROLE {} SET role TO {}", quote::name(&name), quote::text(base))),
            comment(&name, &note),
        ]);
        self.said(&found, "", statements, &mut false).await?;
        Ok(Issued {
            key_id: key_in(&key, &name),
            secret: None,
            issued_at: at(found.now),
            expires_at: request.expires_at,
            already_there: false,
        })
    }

    /// The name of a role without a password that works, and what has to be said before it gets one.
    fn free_place(&self, found: &Found) -> Result<(String, Vec<Statement>)> {
        let base = &found.role.name;
        let conflict = |message: String| refused(base, Refusal::Conflict, message);
        if let Some(name) = found.taken.first() {
            return Err(conflict(format!(
                "a role {name:?} is there that was not made to sign in for it. Next: give that one another \
                 name, or this integration"
            )));
        }
        for end in ENDS {
            let name = format!("{base}{end}");
            let there = found.pair.iter().find(|login| login.role.name == name);
            match there {
                None => {
                    if let Some(why) = unfit_in_pair(&name) {
                        return Err(refused(base, Refusal::Invalid, format!("{name:?}: {why}")));
                    }
                    let make = format!(
                        "CREATE ROLE {} NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS INHERIT",
                        quote::name(&name)
                    );
                    return Ok((name, vec![sql(make)]));
                }
                Some(login) if login.is_free(found.sees_passwords, &*self.clock) => {
                    let mut all = compared(&login.role).to_vec();
                    all.extend((!found.sees_passwords).then(|| still_over(&login.role)));
                    return Ok((name, all));
                }
                Some(_) => {}
            }
        }
        let unseen = match found.sees_passwords {
            true => "",
            false => {
                ", or one that nothing is known of: who may not read pg_authid sees none that somebody set"
            }
        };
        Err(conflict(format!("both roles that sign in for it have a password that works{unseen}")))
    }

    /// Ends the sessions of a role and of those that sign in for it.
    async fn ended_of_all(&self, found: &Found) -> Result<()> {
        self.ended(&found.role.oid, None, None).await?;
        for login in &found.pair {
            self.ended(&login.role.oid, None, None).await?;
        }
        Ok(())
    }

    /// Takes a password away, and not another one that came after it.
    pub(crate) async fn end_password(&self, object: &ObjectRef, key: &str) -> Result<Ended> {
        let _turn = self.turns.take(&object.key).await;
        let Some(found) = self.find(&object.key, Freshness::Fresh).await? else {
            return Ok(Ended::AlreadyGone);
        };
        object.check_incarnation(&found.role.oid)?;
        let own = Login { role: found.role.clone(), note: found.note.clone() };
        let has = |login: &&Login| match (login.key(found.sees_passwords), key.split_once('@')) {
            (Some(has), Some((digest, name))) => has == digest && login.role.name == name,
            (has, _) => has == Some(key) && login.role.oid == own.role.oid,
        };
        let Some(Login { role, note }) = [&own].into_iter().chain(&found.pair).find(has) else {
            return Ok(Ended::AlreadyGone);
        };
        // One of two is shut until it is filled again: so it is known to be free by who may see nothing of
        // passwords, and what somebody sets there lets nobody in.
        let until = if role.oid == own.role.oid { "infinity" } else { "-infinity" };
        let note = Note { password: None, ..note.clone() };
        let mut statements = compared(role).to_vec();
        statements.extend([
            sql(format!(
                "ALTER ROLE {} PASSWORD NULL VALID UNTIL '{until}'",
                quote::name(&role.name)
            )),
            comment(&role.name, &note),
        ]);
        self.said(&found, "", statements, &mut false).await?;
        Ok(Ended::Now)
    }

    /// Lets nobody sign in with a password of one of a pair, or lets them again. Its sessions end with the
    /// first, or whoever holds one would miss nothing.
    pub(crate) async fn switch_place(&self, object: &ObjectRef, key: &str, on: bool) -> Result<()> {
        let _turn = self.turns.take(&object.key).await;
        let found = self.existing(object).await?;
        let Some(Login { role, note }) = found.place(key) else {
            return Err(no_such_password(object));
        };
        let password = note.password.clone().map(|known| Known { off: !on, ..known });
        let note = Note { password, ..note.clone() };
        // Of a role that is switched off nobody signs in before that is on again.
        let login = if on && found.role.login { "LOGIN" } else { "NOLOGIN" };
        let mut statements = compared(role).to_vec();
        statements.extend([
            sql(format!("ALTER ROLE {} {login}", quote::name(&role.name))),
            comment(&role.name, &note),
        ]);
        self.said(&found, "", statements, &mut false).await?;
        if !on && self.me().await?.sessions {
            self.ended(&role.oid, None, None).await?;
        }
        Ok(())
    }

    /// Sets when a password of one of a pair is over, and no other one that came after it.
    pub(crate) async fn limit_place(
        &self,
        object: &ObjectRef,
        key: &str,
        at: Option<Timestamp>,
    ) -> Result<()> {
        let _turn = self.turns.take(&object.key).await;
        let found = self.existing(object).await?;
        let place = found.place(key).filter(|login| lives(&login.role, &*self.clock));
        let Some(Login { role, .. }) = place else {
            return Err(no_such_password(object));
        };
        let until = at.map_or("infinity".to_owned(), |end| end.to_string());
        let mut statements = compared(role).to_vec();
        statements.push(sql(format!(
            "ALTER ROLE {} VALID UNTIL {}",
            quote::name(&role.name),
            quote::text(&until)
        )));
        self.said(&found, "", statements, &mut false).await
    }

    /// Ends sessions that began at or after one time and before another, in microseconds.
    async fn ended(&self, oid: &str, from: Option<i64>, before: Option<i64>) -> Result<Swept> {
        let text = |at: Option<i64>| at.map(|at| at.to_string());
        let args = vec![Some(oid.to_owned()), text(from), text(before)];
        self.api.order("sessions of role {name}", END_SESSIONS, args).await
    }

    /// Ends sessions that signed in with a password: they began while it was in force. Also of a role
    /// that is gone.
    pub(crate) async fn end_sessions(
        &self,
        object: &ObjectRef,
        marker: Option<&str>,
    ) -> Result<Children> {
        let found = self.find(&object.key, Freshness::Fresh).await?;
        let found = found.filter(|found| object.check_incarnation(&found.role.oid).is_ok());
        let known = found.as_ref().and_then(Found::known);
        let oid = match (&object.vendor_id, &found) {
            (Some(oid), _) => oid.clone(),
            (None, Some(found)) => found.role.oid.clone(),
            (None, None) => return Ok(Children::Unknown),
        };
        let (from, before) = match (marker, known) {
            (None, _) | (_, None) => (None, None),
            (Some(marker), Some(known)) if known.marker == marker => (Some(known.at), None),
            (Some(_), Some(known)) => (None, Some(known.at + WITHIN)),
        };
        let mut swept = self.ended(&oid, from, before).await?;
        let (sees, pair) = found.map_or((false, Vec::new()), |one| (one.sees_passwords, one.pair));
        for login in pair {
            // A place is empty before it is filled again: what began before is of an earlier password.
            let (from, before) = match (marker, login.known(sees)) {
                (None, _) | (_, None) => (None, None),
                (Some(marker), Some(known)) if known.marker == marker => (Some(known.at), None),
                (Some(_), Some(known)) => (None, Some(known.at)),
            };
            let more = self.ended(&login.role.oid, from, before).await?;
            swept = Swept { gone: swept.gone + more.gone, left: swept.left + more.left };
        }
        Ok(match (swept.gone, swept.left) {
            (0, 0) => Children::None,
            (gone, 0) => Children::Swept(gone),
            _ => Children::Unknown,
        })
    }

    // -- the end ------------------------------------------------------------------------------------------

    /// Deletes a role with everything that it was given. What it owns is somebody's to move first.
    pub(crate) async fn unmake(&self, object: &ObjectRef) -> Result<Ended> {
        let _turn = self.turns.take(&object.key).await;
        let Some(found) = self.find(&object.key, Freshness::Fresh).await? else {
            return Ok(Ended::AlreadyGone);
        };
        object.check_incarnation(&found.role.oid)?;
        let name = &found.role.name;
        if let Some(owned) = found.owned.first() {
            let message = format!(
                "it owns {} object(s), {} among them, which would go with it. Next: REASSIGN OWNED BY {} TO \
                 … in each database",
                found.owned.len(),
                owned.scope(),
                quote::name(name)
            );
            return Err(refused(name, Refusal::Conflict, message));
        }
        if let Some(gap) = found.gap() {
            let why = format!("not everything that it holds can be read: {}", gap.cause);
            return Err(unexpected("delete", why));
        }
        let mut changed = false;
        let done = self.remove(&found, &mut changed).await;
        done.map_err(|error| if changed { error.after_change("delete") } else { error })
    }

    async fn remove(&self, found: &Found, changed: &mut bool) -> Result<Ended> {
        let name = &found.role.name;
        let off = |name| sql(format!("ALTER ROLE {} NOLOGIN PASSWORD NULL", quote::name(name)));
        self.said(found, "", found.names().map(off).collect(), changed).await?;
        if self.me().await?.sessions {
            self.ended_of_all(found).await?;
        }
        let mut plan = Plan::default();
        for held in &found.holdings {
            plan.add(&held.what, take(name, held, false));
        }
        for (database, statements) in plan.inside {
            self.said(found, &database, statements, changed).await?;
        }
        let mut last = plan.everywhere;
        let pair = found.pair.iter().map(|login| &*login.role.name);
        last.extend(
            pair.chain([&**name]).map(|one| sql(format!("DROP ROLE {}", quote::name(one)))),
        );
        self.said(found, "", last, changed).await?;
        Ok(Ended::Now)
    }
}

/// An error where the server accepted scopes and has others: it says nothing where our role may not give
/// or take.
fn in_force(now: ObservedIntegration, change: &Change) -> Result<ObservedIntegration> {
    let Some(wanted) = &change.scopes else { return Ok(now) };
    let has: BTreeSet<&Scope> = now.scopes.iter().map(|one| &one.scope).collect();
    let asked: BTreeSet<&Scope> = wanted.iter().map(|one| &one.scope).collect();
    let missing = asked.iter().find(|one| {
        // One that may be passed on holds the plain one.
        !has.contains(**one) && !has.iter().any(|held| scope::implies(held, one))
    });
    let extra = has.iter().find(|one| {
        !asked.contains(**one) && !asked.iter().any(|wanted| scope::implies(wanted, one))
    });
    match (missing, extra) {
        (None, None) => Ok(now),
        (Some(scope), _) => Err(refused(
            &now.key,
            Refusal::Forbidden,
            format!("{scope} was accepted and is not in force: our role may not give it"),
        )),
        (None, Some(scope)) => Err(refused(
            &now.key,
            Refusal::Forbidden,
            format!("{scope} is still in force: our role may not take it away"),
        )),
    }
}
