//! The role that we sign in as ourselves, where it is one.

use connector::{Freshness, Ourselves, Refusal, Result, transport::Request};
use domain::Secret;

use crate::{
    api::TokenInfo,
    approle::AppRole,
    tables::{APPROLE, MOUNT},
    token::ROLE,
};

impl AppRole {
    pub(crate) async fn own_role(&self) -> Result<Option<Ourselves>> {
        let (mount, role, secret_id) = match self.api().token().role(self.api()).await? {
            Some((mount, role, secret_id)) => (mount.to_owned(), role, Some(secret_id)),
            None => match self.role_of_token().await? {
                Some((mount, role)) => (mount, role, None),
                None => return Ok(None),
            },
        };
        let key = self.key_of(&mount, &role).await?;
        let key_id = match secret_id {
            Some(secret_id) => self.accessor_by_secret(&mount, &role, secret_id).await?,
            // Which of the role's a token was minted from it does not say.
            None => None,
        };
        Ok(Some(Ourselves { kind: APPROLE.to_owned(), key, key_id }))
    }

    /// The role that a token of ours was minted from, by its own word.
    async fn role_of_token(&self) -> Result<Option<(String, String)>> {
        let request = Request::get("v1/auth/token/lookup-self", "auth/token/lookup-self");
        let token: TokenInfo = match self.api().need(request).await {
            Ok(token) => token,
            // One without the policy "default" may not ask about itself.
            Err(error) if error.refusal() == Some(Refusal::Forbidden) => return Ok(None),
            Err(error) => return Err(error),
        };
        let mount = token.path.strip_prefix("auth/").and_then(|path| path.strip_suffix("/login"));
        Ok(mount.map(str::to_owned).zip(token.meta.get(ROLE).cloned()))
    }

    /// The key of a role, as listings have it.
    async fn key_of(&self, mount: &str, role: &str) -> Result<String> {
        let recorded = match self.recorded_mount(role, Freshness::Shared).await {
            Ok(recorded) => recorded,
            Err(error) if error.refusal() == Some(Refusal::Forbidden) => MOUNT.to_owned(),
            Err(error) => return Err(error),
        };
        Ok(if recorded == mount { role.to_owned() } else { format!("{mount}:{role}") })
    }

    /// The accessor of our own secret id; `None` where our own policy does not let us ask.
    async fn accessor_by_secret(
        &self,
        mount: &str,
        role: &str,
        secret_id: &Secret,
    ) -> Result<Option<String>> {
        match self.find_in((mount, role), &Secret::new(secret_id.expose().trim())).await {
            Ok(found) => Ok(found.map(|found| found.key_id)),
            Err(error) if error.refusal() == Some(Refusal::Forbidden) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
