//! What is weaker at this server than the tables say, for people.

use super::{Clients, look::orphans};

impl Clients {
    pub(super) async fn weaknesses(&self) -> Vec<String> {
        let mut notes = vec![
            "Clients cannot be listed: one that somebody else registered is not found, and a registration \
             whose answer is lost leaves a parked client that nobody can find."
                .to_owned(),
            "Tokens that a client has got live until their own end, also after it is switched off or deleted."
                .to_owned(),
            "What manages a client is a token that may change with each change of it (replace-self), and is \
             in custody only: where the answer to a change is lost, or custody is, the client works on and \
             the server's administrator has to give a new one."
                .to_owned(),
        ];
        if self.initial.is_some() {
            notes.push(
                "Whether the server takes the connection's credential is not known before a client is made: \
                 no call that changes nothing needs it."
                    .to_owned(),
            );
        }
        if self.reissues {
            notes.push(
                "The connection says that the server makes another client secret (reissues). Nothing can be \
                 asked that shows it: a first rotation does, and where it makes none the old secret works on."
                    .to_owned(),
            );
        }
        match self.metadata().await {
            Ok(metadata) => {
                if metadata.registration_endpoint.is_none() {
                    notes.push(
                        "The server offers no registration: clients cannot be made.".to_owned(),
                    );
                }
                if metadata.revocation_endpoint.is_none() {
                    notes.push(
                        "The server offers no revocation: a token from verifying a credential lives until its \
                         end."
                            .to_owned(),
                    );
                }
            }
            Err(error) => notes.push(format!("The server's metadata cannot be read: {error}.")),
        }
        if let Some(keyring) = &self.keyring
            && let Ok(tenant) = self.metadata().await.map(|metadata| &metadata.issuer)
            && let Ok((entries, _)) = keyring.all(tenant).await
        {
            notes.extend(entries.iter().filter_map(orphans).map(|told| told + "."));
            for mut entry in entries.into_iter().filter(|entry| entry.turns) {
                let _turn = self.turns.take(&entry.client_id).await;
                // This is no plan: a look that changes nothing is the way back.
                let still = match self.look(&mut entry).await {
                    Ok(_) if !entry.turns => continue,
                    Ok(_) => String::new(),
                    Err(error) => format!(" It was looked at again: {error}."),
                };
                notes.push(format!(
                    "The server changed the registration token of client {:?} when it was only looked at: a \
                     plan would have to write the new one to custody, and does not look. Let the server \
                     change it with a change only.{still}",
                    entry.client_id
                ));
            }
        }
        notes
    }
}
