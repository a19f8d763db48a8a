//! What is weaker at this server than the tables say, for people.

use super::Clients;

impl Clients {
    pub(super) async fn weaknesses(&self) -> Vec<String> {
        let mut notes = vec![
            "Clients cannot be listed: one that somebody else registered is not found, and a registration \
             whose answer is lost leaves a parked client that nobody can find."
                .to_owned(),
            "Tokens that a client has got live until their own end, also after it is switched off or deleted."
                .to_owned(),
        ];
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
            && let Ok((entries, _)) = keyring.all().await
        {
            for entry in entries.into_iter().filter(|entry| entry.turns) {
                notes.push(format!(
                    "The server changed the registration token of client {:?} when it was only looked at: every \
                     plan has to write the new one to custody, or its management is lost. Such a server is not \
                     supported.",
                    entry.client_id
                ));
            }
        }
        notes
    }
}
