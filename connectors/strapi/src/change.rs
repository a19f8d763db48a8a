//! What is changed of an integration: made with its record, given power, ended with all its tokens.
//!
//! A record stands in the descriptions of tokens without power, and the own token's description names
//! the set that counts: one call changes from a whole record to another.

use std::collections::BTreeSet;

use connector::{Change, Ended, Error, Freshness, NewIntegration, ObjectRef, Refusal, Result};
use domain::{ObservedIntegration, Record};
use serde_json::json;

use crate::{
    api::Token,
    name::{self, Beside},
    note::{Note, Ours, Pieces, ROOM},
    project::{Found, Project, is_piece, no_such, unexpected},
    scope::{CUSTOM, FULL_ACCESS, READ_ONLY},
    tables::CLIENT,
};

/// How long a token that holds a piece of a record lets anybody sign in, to do nothing: the shortest that
/// there is, in milliseconds. The piece stays.
const WEEK: u64 = 7 * 24 * 60 * 60 * 1000;
/// How many pieces a record may have.
const PIECES: usize = 64;

fn conflict(what: &str) -> Error {
    Error::Refused {
        what: what.to_owned(),
        refusal: Refusal::Conflict,
        message: "it exists already, and no unfinished create of ours made it".into(),
    }
}

impl Project {
    /// Makes an integration: its own token, which may do nothing and whose secret nobody keeps.
    pub(crate) async fn make(&self, new: &NewIntegration) -> Result<ObservedIntegration> {
        let _turn = self.turns.take(&new.name).await;
        let what = format!("{CLIENT} {:?}", new.name);
        let all = self.all(Freshness::Fresh).await?;
        let there = Project::find(&all, &new.name);
        let resumes = there.as_ref().is_some_and(|found| {
            found.record.as_ref().is_some_and(|record| {
                record.unfinished && record.realm.is_some() && record.realm == new.record.realm
            })
        });
        if there.is_some() && !resumes {
            return Err(conflict(&what));
        }
        // A run that dies on the way leaves what the next create goes on from.
        let named = self.write_pieces(&all, &new.name, &new.record).await?;
        let begun = Ours { record: Some(named), begun: true, secret: None };
        let own = match there.and_then(|found| found.own) {
            Some(own) => own.id,
            None => {
                let note = Note { theirs: String::new(), ours: Some(begun.clone()) };
                let token = json!({
                    "name": new.name,
                    "description": note.text(),
                    "type": CUSTOM,
                    "permissions": [],
                    "lifespan": null,
                });
                let made = self.api.make(&token).await?.token.id;
                // Between its look and its making the server holds nobody off.
                let all = self.all(Freshness::Fresh).await;
                let all = all.map_err(|error| error.after_change(&what))?;
                let first = all.iter().filter(|one| one.name == new.name).map(|one| one.id).min();
                if first != Some(made) {
                    let gone = self.api.delete(made).await;
                    gone.map_err(|error| error.after_change(&what))?;
                    return Err(conflict(&what));
                }
                made
            }
        };
        let finished = Note { theirs: String::new(), ours: Some(Ours { begun: false, ..begun }) };
        let change = json!({ "description": finished.text(), "type": CUSTOM, "permissions": [] });
        let written = self.api.put(own, &change).await;
        let back = self.back(&new.name).await;
        let back = back.map_err(|error| error.after_change(&what))?;
        // Where the answer was lost, a look tells whether it was done.
        match written {
            Err(error) if back.record.as_ref() != Some(&new.record) => {
                Err(error.after_change(&what))
            }
            _ => Ok(back),
        }
    }

    async fn back(&self, key: &str) -> Result<ObservedIntegration> {
        let all = self.all(Freshness::Fresh).await?;
        let found = Project::find(&all, key)
            .ok_or_else(|| unexpected("GET admin/api-tokens", "it is not there any more"))?;
        self.forget_pieces(&found).await;
        Ok(self.observe(key, &found, false))
    }

    /// Writes the pieces of a record; what names them.
    async fn write_pieces(&self, all: &[Token], key: &str, record: &Record) -> Result<String> {
        let pieces = Pieces::of(record);
        if pieces.texts.len() > PIECES {
            return Err(Error::Configuration(format!(
                "{CLIENT} {key:?}: what is written down of it is longer than {PIECES} descriptions of \
                 tokens: shorten its purpose, labels or justification"
            )));
        }
        // Pieces without an integration are left of a create that got no further.
        let left: Vec<&Token> = all.iter().filter(|one| name::read(&one.name).of == key).collect();
        for (at, text) in pieces.texts.iter().enumerate() {
            let name = name::piece(key, &pieces.set, at + 1);
            let there = left.iter().find(|one| one.name == name);
            if there.is_some_and(|one| is_piece(one) && one.description.as_ref() == Some(text)) {
                continue;
            }
            let mut token = json!({ "description": text, "type": CUSTOM, "permissions": [] });
            if let Some(there) = there {
                // Somebody gave it power, or wrote into it.
                self.api.put(there.id, &token).await?;
                continue;
            }
            token["name"] = name.into();
            token["lifespan"] = WEEK.into();
            drop(self.api.make(&token).await?);
        }
        Ok(pieces.named())
    }

    /// Takes pieces of earlier records away. What is left of them counts for nothing, and goes with the
    /// next.
    async fn forget_pieces(&self, found: &Found<'_>) {
        let named = found.note.ours.as_ref().and_then(|ours| ours.record.as_deref());
        let set = named.and_then(|named| named.split_once('.')).map(|(set, _)| set);
        for one in &found.pieces {
            let Beside::Piece(of, _) = name::read(&one.name).beside else { continue };
            if set.is_some_and(|set| set != of) {
                let _ = self.api.delete(one.id).await;
            }
        }
    }

    /// Writes what stands beside an own token.
    pub(crate) async fn write_note(
        &self,
        found: &Found<'_>,
        own: &Token,
        ours: Option<Ours>,
    ) -> Result<()> {
        let note = Note { ours, ..found.note.clone() };
        let text = note.text();
        if text.chars().count() > ROOM {
            return Err(Error::Configuration(format!(
                "{CLIENT} {:?}: with what people wrote, its description is longer than {ROOM} characters: \
                 shorten that in Strapi",
                own.name
            )));
        }
        let put = self.api.put(own.id, &json!({ "description": text })).await?;
        match put.description.as_deref().map(Note::read) {
            Some(back) if back == note => Ok(()),
            _ => Err(unexpected("PUT admin/api-tokens/{id}", "the description is another one")),
        }
    }

    /// Changes what is to be changed, and returns what is then in force.
    pub(crate) async fn apply(
        &self,
        object: &ObjectRef,
        change: &Change,
    ) -> Result<ObservedIntegration> {
        // On is what every integration is.
        if change.enabled == Some(false) {
            return connector::port::unsupported("strapi", "switch an integration off");
        }
        if change.scopes.iter().flatten().any(|one| one.until.is_some()) {
            return connector::port::unsupported("strapi", "take a scope away by itself");
        }
        let _turn = self.turns.take(&object.key).await;
        let all = self.all(Freshness::Fresh).await?;
        let found = Project::existing(&all, object)?;
        let own = found.own.ok_or_else(|| no_such(&object.key))?;
        if let Some(scopes) = &change.scopes {
            let scopes = scopes.iter().map(|one| one.scope.as_str()).collect();
            self.give(&found, &scopes).await?;
        }
        let before = found.note.ours.clone();
        if let Some(record) = &change.record {
            let known = before.unwrap_or_else(|| {
                // Whoever has the secret that was there keeps it.
                Ours { secret: found.own_secret(), ..Ours::default() }
            });
            let given = change.scopes.is_some();
            let written = async {
                let named = self.write_pieces(&all, &object.key, record).await?;
                let ours = Ours { record: Some(named), begun: false, ..known };
                self.write_note(&found, own, Some(ours)).await
            };
            let after = |error: Error| if given { error.after_change("modify") } else { error };
            written.await.map_err(after)?;
        }
        let back = self.back(&object.key).await.map_err(|error| error.after_change("modify"))?;
        let has = change.record.is_none() || back.record == change.record;
        let holds = change.scopes.as_ref().is_none_or(|wanted| *wanted == back.scopes);
        if has && holds {
            return Ok(back);
        }
        Err(unexpected("modify", "somebody else changed it at the same time")
            .after_change("modify"))
    }

    /// Lets every token of an integration do this, and nothing else.
    async fn give(&self, found: &Found<'_>, wanted: &BTreeSet<&str>) -> Result<()> {
        let whole = [FULL_ACCESS, READ_ONLY].into_iter().find(|one| wanted.contains(one));
        let what = || "PUT admin/api-tokens/{id}".to_owned();
        let kind = match whole {
            None => CUSTOM,
            Some(kind) if wanted.len() == 1 => kind,
            Some(kind) => {
                return Err(Error::Refused {
                    what: what(),
                    refusal: Refusal::Invalid,
                    message: format!("a token that is {kind:?} names no action beside that"),
                });
            }
        };
        let mut changed = false;
        for one in found.all() {
            // A piece of a record keeps no power.
            let piece = matches!(name::read(&one.name).beside, Beside::Piece(..));
            let (kind, whole, wanted) = match piece {
                true => (CUSTOM, None, &BTreeSet::new()),
                false => (kind, whole, wanted),
            };
            let has: BTreeSet<&str> = one.permissions.iter().map(String::as_str).collect();
            let same = one.kind == kind && (whole.is_some() || has == *wanted);
            if same {
                continue;
            }
            let change = match whole {
                None => json!({ "type": kind, "permissions": wanted }),
                Some(kind) => json!({ "type": kind }),
            };
            let put = self.api.put(one.id, &change).await;
            put.map_err(|error| if changed { error.after_change("modify") } else { error })?;
            changed = true;
        }
        Ok(())
    }

    /// Ends everything that bears the name: what holds its record last.
    pub(crate) async fn unmake(&self, object: &ObjectRef) -> Result<Ended> {
        let _turn = self.turns.take(&object.key).await;
        let all = self.all(Freshness::Fresh).await?;
        let Some(found) = Project::find(&all, &object.key) else { return Ok(Ended::AlreadyGone) };
        object.check_incarnation(&found.vendor_id())?;
        let tokens = found.tokens.iter().chain(&found.own).chain(&found.pieces);
        let mut changed = false;
        for one in tokens {
            let gone = self.api.delete(one.id).await;
            gone.map_err(|error| if changed { error.after_change("delete") } else { error })?;
            changed = true;
        }
        Ok(Ended::Now)
    }
}
