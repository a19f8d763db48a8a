//! What is changed of a user: made with its record, given and taken what it holds, deleted.

use std::collections::BTreeSet;

use connector::{
    Change, Ended, Error, Freshness, NewIntegration, ObjectRef, Outcome, Refusal, Result, Want,
    transport::Request,
};
use domain::{GrantedScope, ObservedIntegration, Record, Scope};
use serde_json::{Map, Value, json};

use crate::{
    api::{Group, json as body, path},
    hub::{Found, Hub, RECORD, ours, record_of, unexpected},
    scope::{self, Form},
    tables::USER,
};

/// What a deed answers with: fresh, without its tokens.
const BACK: Want = Want { credentials: false, details: false, freshness: Freshness::Fresh };

fn conflict(what: &str) -> Error {
    Error::Refused {
        what: what.to_owned(),
        refusal: Refusal::Conflict,
        message: "it exists already, and no unfinished create of ours made it".into(),
    }
}

fn invalid(what: &str, message: String) -> Error {
    Error::Refused { what: what.to_owned(), refusal: Refusal::Invalid, message }
}

/// One thing that is given to a user, or taken from it.
fn step(user: &str, scope: &Scope, give: bool) -> Result<Request> {
    let what = if give { "give a scope" } else { "take a scope away" };
    let (request, value) = match scope::form(scope.as_str()) {
        Some(Form::Group(name)) => {
            let method = if give { "POST" } else { "DELETE" };
            let path = format!("{}/users", path::group(name));
            (Request::change(method, path, "groups/{name}/users"), json!({ "users": [user] }))
        }
        Some(Form::Admin) => {
            let request = Request::change("PATCH", path::user(user), "users/{name}");
            (request, json!({ "admin": give }))
        }
        Some(Form::Share { owner, server }) => {
            let method = if give { "POST" } else { "PATCH" };
            let path = path::share(owner, server);
            let value = json!({ "user": user, "scopes": [scope.as_str()] });
            (Request::change(method, path, "shares/{owner}/{server}"), value)
        }
        Some(Form::Role(name)) => {
            let verb = if give { "given" } else { "taken away" };
            return Err(invalid(
                what,
                format!(
                    "the role {name:?} is {verb} in the hub's own configuration (`load_roles`), and \
                     nowhere else"
                ),
            ));
        }
        None => return Err(invalid(what, format!("{scope} is nothing that a user holds"))),
    };
    Ok(Request { body: Some(body(&value)?), ..request })
}

impl Hub {
    /// Makes a user, and before it the group with its record: the hub makes a group of one name once.
    pub(crate) async fn make(&self, new: &NewIntegration) -> Result<ObservedIntegration> {
        let _turn = self.turns.take(&new.name).await;
        let what = format!("{USER} {:?}", new.name);
        let user = self.user(&new.name, Freshness::Fresh).await?;
        let group = self.group(&new.name, Freshness::Fresh).await?;
        let empty = |group: &Group| group.properties.as_ref().is_some_and(Map::is_empty);
        // An unfinished create goes on. So does what is left where somebody deleted the user, or where
        // a create got no further than the group's name.
        let resumes = group.as_ref().is_some_and(|group| match record_of(group) {
            Some(record) => {
                let ours = record.realm.is_some() && record.realm == new.record.realm;
                ours && (record.unfinished || user.is_none())
            }
            None => user.is_none() && empty(group),
        });
        if !resumes && (group.is_some() || user.is_some()) {
            return Err(conflict(&what));
        }
        if group.is_none() {
            let request = Request::change("POST", path::group(&ours(&new.name)), "groups/{name}");
            match self.api.change(request).await {
                // Somebody was faster by a moment.
                Err(error) if error.refusal() == Some(Refusal::Conflict) => {
                    return Err(conflict(&what));
                }
                other => other.map(drop)?,
            }
        }
        let there = user.is_some();
        let made = self.complete(new, group, there).await;
        // The next create goes on from here: what is refused now is not simply "not done".
        made.map_err(|error| match error.refusal() {
            Some(Refusal::Conflict) => error,
            _ => error.after_change(&what),
        })
    }

    async fn complete(
        &self,
        new: &NewIntegration,
        group: Option<Group>,
        there: bool,
    ) -> Result<ObservedIntegration> {
        let properties = group.and_then(|group| group.properties).unwrap_or_default();
        let begun = Record { unfinished: true, ..new.record.clone() };
        self.write_record(&new.name, properties.clone(), &begun).await?;
        if !there {
            let request = Request::change("POST", path::user(&new.name), "users/{name}");
            match self.api.change(request).await {
                // A person's account came in between. The record must not make it one of ours.
                Err(error) if error.refusal() == Some(Refusal::Conflict) => {
                    self.delete_group(&new.name).await?;
                    return Err(conflict(&format!("{USER} {:?}", new.name)));
                }
                other => other.map(drop)?,
            }
        }
        self.write_record(&new.name, properties, &new.record).await?;
        self.back(&new.name).await
    }

    async fn back(&self, name: &str) -> Result<ObservedIntegration> {
        let found = self.find(name, Freshness::Fresh).await?;
        let found =
            found.ok_or_else(|| unexpected("GET users/{name}", "it is not there any more"))?;
        Ok(self.finish(found, BACK).await)
    }

    /// Writes the record; other properties of the group stay.
    async fn write_record(
        &self,
        user: &str,
        mut properties: Map<String, Value>,
        record: &Record,
    ) -> Result<()> {
        let record = serde_json::from_str(&record.to_json())
            .map_err(|error| Error::Configuration(format!("the record: {error}")))?;
        properties.insert(RECORD.to_owned(), record);
        let path = format!("{}/properties", path::group(&ours(user)));
        let request = Request::change("PUT", path, "groups/{name}/properties");
        let request = Request { body: Some(body(&properties)?), ..request };
        self.api.change(request).await.map(drop)
    }

    /// Changes what is to be changed, and returns what is then in force.
    pub(crate) async fn apply(
        &self,
        object: &ObjectRef,
        change: &Change,
    ) -> Result<ObservedIntegration> {
        // On is what every user is.
        if change.enabled == Some(false) {
            return connector::port::unsupported("jupyterhub", "switch a user off");
        }
        if change.scopes.iter().flatten().any(|one| one.until.is_some()) {
            return connector::port::unsupported("jupyterhub", "end a scope by itself");
        }
        let _turn = self.turns.take(&object.key).await;
        let found = self.existing(object).await?;
        if let Some(gap) = found.gap() {
            return Err(unexpected(
                "modify",
                format!("not everything that is changed can be read: {}", gap.cause),
            ));
        }
        let mut changed = false;
        let done = self.changes(&found, change, &mut changed).await;
        let done = match done {
            Ok(()) => self.back(&object.key).await,
            Err(error) => Err(error),
        };
        done.map_err(|error| if changed { error.after_change("modify") } else { error })
    }

    async fn changes(&self, found: &Found, change: &Change, changed: &mut bool) -> Result<()> {
        let name = &found.user.name;
        // The record comes last: it may say that somebody governs the scopes.
        if let Some(wanted) = &change.scopes {
            self.change_scopes(found, wanted, changed).await?;
        }
        if let Some(record) = &change.record {
            if found.group.is_none() {
                // Taken over: nobody of ours made it.
                let request = Request::change("POST", path::group(&ours(name)), "groups/{name}");
                self.counted(request, changed).await?;
            }
            let properties = found.group.as_ref().and_then(|group| group.properties.clone());
            let written = self.write_record(name, properties.unwrap_or_default(), record).await;
            *changed |= written.is_ok();
            written?;
        }
        Ok(())
    }

    async fn change_scopes(
        &self,
        found: &Found,
        wanted: &BTreeSet<GrantedScope>,
        changed: &mut bool,
    ) -> Result<()> {
        let wanted: BTreeSet<Scope> = wanted.iter().map(|one| one.scope.clone()).collect();
        let have = found.scopes();
        let given = wanted.difference(&have).map(|one| (one, true));
        let taken = have.difference(&wanted).map(|one| (one, false));
        // What is not for us to change is said at the end, so that it keeps nothing else from going.
        let mut not_ours = None;
        for (scope, give) in given.chain(taken) {
            match step(&found.user.name, scope, give) {
                Ok(request) => self.counted(request, changed).await?,
                Err(error) if give => return Err(error),
                Err(error) => not_ours = Some(error),
            }
        }
        not_ours.map_or(Ok(()), Err)
    }

    /// Sends a change, and notes that one may have been done.
    async fn counted(&self, request: Request, changed: &mut bool) -> Result<()> {
        let sent = self.api.change(request).await;
        *changed |= sent.as_ref().map_or_else(|e| e.outcome() == Outcome::Ambiguous, |_| true);
        sent.map(drop)
    }

    async fn delete_group(&self, user: &str) -> Result<()> {
        let request = Request::change("DELETE", path::group(&ours(user)), "groups/{name}");
        gone(self.api.change(request).await.map(drop)).map(drop)
    }

    /// Deletes a user, and before it its tokens and the group with its record: a run that dies on the
    /// way leaves the user, by which the next one finds what there is to do.
    pub(crate) async fn unmake(&self, object: &ObjectRef) -> Result<Ended> {
        let _turn = self.turns.take(&object.key).await;
        let user = self.find(&object.key, Freshness::Fresh).await?;
        if let Some(found) = &user {
            object.check_incarnation(&found.vendor_id())?;
        }
        let mut changed = false;
        let done = self.remove(&object.key, user.is_some(), &mut changed).await;
        done.map_err(|error| if changed { error.after_change("delete") } else { error })
    }

    async fn remove(&self, name: &str, there: bool, changed: &mut bool) -> Result<Ended> {
        if there {
            // The user's going may have to wait for a server to stop. Its tokens go now.
            for token in self.tokens(name, false).await?.unwrap_or_default() {
                self.delete_token(name, &token.key_id).await?;
                *changed = true;
            }
        }
        let group = self.group(name, Freshness::Fresh).await?;
        if group.is_some_and(|group| record_of(&group).is_some()) {
            self.delete_group(name).await?;
            *changed = true;
        }
        if !there {
            return Ok(Ended::AlreadyGone);
        }
        let request = Request::change("DELETE", path::user(name), "users/{name}");
        gone(self.api.change(request).await.map(drop))
    }
}

/// Success, and what was gone already.
pub(crate) fn gone(done: Result<()>) -> Result<Ended> {
    match done {
        Ok(()) => Ok(Ended::Now),
        Err(error) if error.refusal() == Some(Refusal::NotFound) => Ok(Ended::AlreadyGone),
        Err(error) => Err(error),
    }
}
