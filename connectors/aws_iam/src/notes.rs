//! What is weaker on one connection than it should be, for `nhi doctor`.

use crate::user::Users;

impl Users {
    /// Whole sentences; none where there is nothing to say.
    pub(crate) async fn weaknesses(&self) -> Vec<String> {
        let identity = match self.identity().await {
            Ok(identity) => identity,
            Err(error) => return vec![format!("AWS does not say who we are: {error}.")],
        };
        let mut notes = Vec::new();
        if identity.arn.ends_with(":root") {
            notes.push(
                "Our own key is the root user's, which no policy binds: make a user or a role for it \
                 with the permissions that the connector's README lists."
                    .to_owned(),
            );
        }
        notes.push(
            "Sessions that somebody had for a user's key cannot be listed: after a revocation they may \
             live for 36 hours."
                .to_owned(),
        );
        notes
    }
}
