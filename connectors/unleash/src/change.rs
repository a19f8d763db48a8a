//! What is changed of an integration: made with its record, given another, ended with all its tokens.
//!
//! A record stands in the name of a token that ended before it began. A name is never changed, so that
//! another record is another such token, and the earlier one goes once the new one is there.

use connector::{
    Change, Ended, Error, Freshness, NewIntegration, ObjectRef, Outcome, Refusal, Result,
};
use data_encoding::HEXLOWER;
use domain::{ObservedIntegration, Record};
use ring::rand::{SecureRandom, SystemRandom};
use serde_json::json;

use crate::{
    api::{Held, Token, Tokens},
    name::{self, Beside},
    server::{Server, unexpected},
    tables::{CLIENT, DEVELOPMENT},
};

/// When a token that keeps a record ended: before it began.
const ENDED: &str = "1970-01-01T00:00:00Z";

fn conflict(what: &str) -> Error {
    Error::Refused {
        what: what.to_owned(),
        refusal: Refusal::Conflict,
        message: "it exists already, and no unfinished create of ours made it".into(),
    }
}

/// A making of an integration, unlike any other.
fn incarnation() -> Result<String> {
    let mut bytes = [0u8; 8];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| Error::Configuration("this machine gives no random numbers".into()))?;
    Ok(HEXLOWER.encode(&bytes))
}

/// Whether a token keeps a record of an integration.
fn keeps_record<S>(token: &Token<S>, of: &str) -> bool {
    let name = name::read(&token.token_name);
    name.of == of && matches!(name.beside, Beside::Record { .. })
}

/// Whether there is a token of just this name.
fn has(all: &Tokens, text: &str) -> bool {
    all.tokens.iter().any(|one| one.token_name == text)
}

impl Server {
    /// Makes an integration: its record, and no token that lets anybody in.
    pub(crate) async fn make(&self, new: &NewIntegration) -> Result<ObservedIntegration> {
        let _turn = self.turns.take(&new.name).await;
        let what = format!("{CLIENT} {:?}", new.name);
        let all = self.all(Freshness::Fresh).await?;
        let there = Server::find(&all, &new.name);
        let resumes = there.as_ref().is_some_and(|found| {
            found.record.as_ref().is_some_and(|record| {
                record.unfinished && record.realm.is_some() && record.realm == new.record.realm
            })
        });
        if there.is_some() && !resumes {
            return Err(conflict(&what));
        }
        let made = match there {
            Some(found) => found.vendor_id,
            None => incarnation()?,
        };
        // A run that dies on the way leaves what the next create goes on from.
        let begun = Record { unfinished: true, ..new.record.clone() };
        self.write_record(&all, &new.name, &made, &begun).await?;
        if !new.record.unfinished {
            let written = self.write_record(&all, &new.name, &made, &new.record).await;
            written.map_err(|error| error.after_change(&what))?;
        }
        let back = self.back(&new.name).await;
        let back = back.map_err(|error| error.after_change(&what))?;
        if back.vendor_id == made {
            return Ok(back);
        }
        // Somebody was faster by a moment. What we wrote goes again.
        self.forget_records(&new.name, |name| {
            name.starts_with(&name::recorded(&new.name, &made, ""))
        })
        .await
        .map_err(|error| error.after_change(&what))?;
        Err(conflict(&what))
    }

    async fn back(&self, key: &str) -> Result<ObservedIntegration> {
        let all = self.all(Freshness::Fresh).await?;
        let found = Server::find(&all, key)
            .ok_or_else(|| unexpected("GET admin/api-tokens", "it is not there any more"))?;
        Ok(self.observe(key, &found, false))
    }

    /// Writes a record, and takes away those of the same making that were there.
    async fn write_record(
        &self,
        all: &Tokens,
        key: &str,
        made: &str,
        record: &Record,
    ) -> Result<()> {
        let text = name::recorded(key, made, &record.to_json());
        if has(all, &text) {
            return Ok(());
        }
        // An environment that is there: the server wants one, also of what ended.
        let known = all.tokens.iter().map(|one| one.environment.as_str()).find(|one| *one != "*");
        let token = json!({
            "tokenName": text,
            "type": "frontend",
            "environment": known.unwrap_or(DEVELOPMENT),
            "expiresAt": ENDED,
        });
        if let Err(error) = self.api.make(&token).await {
            // Where the answer is lost, a look tells whether it was done: nobody else writes this name.
            let done = error.outcome() == Outcome::Ambiguous
                && self.all(Freshness::Fresh).await.is_ok_and(|all| has(&all, &text));
            if !done {
                return Err(error);
            }
        }
        // It is written. What is left of earlier ones counts for nothing, and goes with the next.
        let before = name::recorded(key, made, "");
        let _ = self.forget_records(key, |name| name.starts_with(&before) && name != text).await;
        Ok(())
    }

    /// Takes records of an integration away.
    async fn forget_records(&self, key: &str, which: impl Fn(&str) -> bool) -> Result<()> {
        let all = self.api.secrets().await?;
        for one in all.iter().filter(|one| keeps_record(one, key) && which(&one.token_name)) {
            self.api.end(&one.secret.0).await?;
        }
        Ok(())
    }

    /// Changes what is to be changed, and returns what is then in force.
    pub(crate) async fn apply(
        &self,
        object: &ObjectRef,
        change: &Change,
    ) -> Result<ObservedIntegration> {
        // On is what every integration is.
        if change.enabled == Some(false) {
            return connector::port::unsupported("unleash", "switch an integration off");
        }
        let _turn = self.turns.take(&object.key).await;
        let all = self.all(Freshness::Fresh).await?;
        let found = Server::existing(&all, object)?;
        let now = self.observe(&object.key, &found, false);
        if change.scopes.as_ref().is_some_and(|wanted| *wanted != now.scopes) {
            return connector::port::unsupported(
                "unleash",
                "change what a token reaches: that is fixed when it is issued, by the settings of its \
                 credential",
            );
        }
        let Some(record) = &change.record else { return Ok(now) };
        self.write_record(&all, &object.key, &found.vendor_id, record).await?;
        let back = self.back(&object.key).await.map_err(|error| error.after_change("modify"))?;
        if back.record.as_ref() == Some(record) {
            return Ok(back);
        }
        Err(unexpected("modify", "somebody else wrote another record at the same time")
            .after_change("modify"))
    }

    /// Ends everything that bears the name: its record last, so that a run that dies on the way leaves
    /// by what the next one finds the rest.
    pub(crate) async fn unmake(&self, object: &ObjectRef) -> Result<Ended> {
        let _turn = self.turns.take(&object.key).await;
        let all = self.all(Freshness::Fresh).await?;
        let Some(found) = Server::find(&all, &object.key) else { return Ok(Ended::AlreadyGone) };
        object.check_incarnation(&found.vendor_id)?;
        let its = |one: &&Token<Held>| name::read(&one.token_name).of == object.key;
        let secrets = self.api.secrets().await?;
        let (records, tokens): (Vec<_>, Vec<_>) =
            secrets.iter().filter(its).partition(|one| keeps_record(one, &object.key));
        let mut changed = false;
        for one in tokens.into_iter().chain(records) {
            let ended = self.api.end(&one.secret.0).await;
            ended.map_err(|error| if changed { error.after_change("delete") } else { error })?;
            changed = true;
        }
        // The server says yes also where it did nothing.
        let left =
            self.all(Freshness::Fresh).await.map_err(|error| error.after_change("delete"))?;
        match Server::find(&left, &object.key) {
            None => Ok(Ended::Now),
            Some(_) => {
                Err(unexpected("delete", "the server said yes, and tokens of this name are left")
                    .after_change("delete"))
            }
        }
    }
}
