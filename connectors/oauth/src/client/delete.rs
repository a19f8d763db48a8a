//! Deleting a client: closed first, and its token forgotten.

use connector::{Ended, Error, ObjectRef, Result, transport::Request};
use domain::Secret;

use super::{Clients, bearer, found::Found};
use crate::{api::refused, keyring::Phase};

impl Clients {
    pub(super) async fn unregister(&self, object: &ObjectRef) -> Result<Ended> {
        let _turn = self.turns.take(&object.key).await;
        let Some(mut found) = self.found(object).await? else { return Ok(Ended::AlreadyGone) };
        // Closed first: whatever becomes of the answer to the next call, no token is got from here on.
        if !found.there.grants().is_empty() {
            found.entry.wanted.enabled = false;
            let members = found.there.members.clone();
            match self.put(&mut found, members).await {
                // It cannot be closed; it can still be deleted.
                Err(Error::Refused { .. } | Error::UnexpectedAnswer { .. }) => {}
                other => other?,
            }
        }
        self.remove(&mut found).await?;
        Ok(Ended::Now)
    }

    /// Deletes the client and forgets its token.
    pub(super) async fn remove(&self, found: &mut Found) -> Result<()> {
        let tenant = self.metadata().await?.issuer.clone();
        let keyring = self.keyring()?.clone();
        found.entry.phase = Phase::Changing;
        keyring.write(&tenant, &mut found.entry).await?;
        let request = Request::change("DELETE", found.entry.uri.clone(), "client registration")
            .header("Authorization", bearer(&found.entry.token));
        let what = request.what();
        let answer = self.send(request).await?;
        // Anything but the server's own yes is no proof: a token that is refused tells nothing.
        if !(200..300).contains(&answer.status) {
            return Err(refused(&what, &answer, true));
        }
        found.entry.phase = Phase::Deleted;
        found.entry.token = Secret::new("");
        found.entry.secret = None;
        keyring.keep(&tenant, &mut found.entry).await
    }
}
