//! Access for a while: a token of a role, by a sign-in of our own making.

use connector::{
    Access, Connector, Ended, Error, ObjectRef, Refusal, Result,
    transport::{Answer, Request},
};
use domain::{Secret, Span};
use jiff::{SignedDuration, Timestamp};
use serde::de::IgnoredAny;
use serde_json::json;

use crate::{
    api::{Auth, Envelope, Said, SecretIdIssued, ask, data, parse, post, refused, told},
    approle::{AppRole, Place, invalid, not_found, unexpected},
};

/// How long the secret id lives that the sign-in uses up: only a run that dies between the two calls
/// leaves it behind.
const SIGN_IN_WITHIN: u64 = 60;

impl AppRole {
    /// Issues a secret id for one sign-in, signs in, and bounds the life of what that gives. A secret id
    /// is gone with its last use.
    pub(crate) async fn mint_access(&self, object: &ObjectRef, life: Span) -> Result<Access> {
        self.check_tenant().await?;
        let place = self.place(object).await?;
        let Some(role) = self.role(&place, false).await? else { return Err(not_found(object)) };
        let role_id = self.role_id(&place, false).await?.ok_or_else(|| not_found(object))?;
        object.check_incarnation(&role_id)?;
        let what = format!("access as {:?}", object.key);
        if role.token_type == "batch" {
            return Err(invalid(
                &what,
                "its tokens are batch tokens, which nobody can revoke (token_type)",
            ));
        }
        // The server refuses one that would outlive the role's own limit.
        let ttl = match role.secret_id_ttl {
            0 => SIGN_IN_WITHIN,
            limit => limit.min(SIGN_IN_WITHIN),
        };
        let metadata = json!({ "nhi_access": "true" }).to_string();
        let call = post(
            place.path("/secret-id"),
            "auth/{mount}/role/{name}/secret-id",
            &json!({ "ttl": ttl, "num_uses": 1, "metadata": metadata }),
        )?;
        let issuing = told(&call);
        let answer = self.api().change(call).await?;
        let issued: SecretIdIssued = data(&issuing, &answer.body)?;
        let auth = match self.sign_in_once(&place, &role_id, &issued.secret_id).await {
            Ok(auth) => auth,
            Err(error) => {
                // It ends within the minute by itself; the sign-in's error is the one to tell.
                let _ = self.end(object, &issued.secret_id_accessor).await;
                return Err(error);
            }
        };
        let lives = match self.bounded(&auth, life).await {
            Ok(lives) => lives,
            Err(error) => {
                self.discard(&auth).await?;
                return Err(error);
            }
        };
        let lives = SignedDuration::from_secs(i64::try_from(lives).unwrap_or(i64::MAX));
        Ok(Access {
            expires_at: self.clock().now().checked_add(lives).unwrap_or(Timestamp::MAX),
            handle: Secret::new(auth.accessor),
            token: auth.client_token,
        })
    }

    async fn sign_in_once(&self, place: &Place, role_id: &str, secret: &Secret) -> Result<Auth> {
        self.sign_in(place, role_id, secret).await?.map_err(|class| {
            invalid(
                &format!("POST auth/{}/login", place.mount),
                format!(
                    "{class}: the role lets nobody in from here (enabled, secret_id_bound_cidrs, \
                     token_bound_cidrs)"
                ),
            )
        })
    }

    /// How many seconds a token lives, brought down to `life` where it would be more.
    async fn bounded(&self, auth: &Auth, life: Span) -> Result<u64> {
        if auth.token_type == "batch" || auth.accessor.is_empty() {
            return Err(invalid(
                "access",
                "its tokens are batch tokens by the mount's default, which nobody can revoke \
                 (token_type)",
            ));
        }
        let fits = |lives: u64| (1..=life.as_secs()).contains(&lives);
        if fits(auth.lease_duration) {
            return Ok(auth.lease_duration);
        }
        // To renew for less than is left is to shorten.
        let call = post(
            "v1/auth/token/renew-accessor",
            "auth/token/renew-accessor",
            &json!({ "accessor": auth.accessor, "increment": format!("{}s", life.as_secs()) }),
        )?;
        let what = told(&call);
        let answer: Answer = self.api().change(call).await?;
        let renewed: Envelope<IgnoredAny> = parse(&what, &answer.body)?;
        match renewed.auth {
            Some(now) if fits(now.lease_duration) => Ok(now.lease_duration),
            _ => Err(invalid(
                &what,
                format!(
                    "its tokens live {}s and cannot be bound to {}s (token_ttl, and \
                     role/periodic-tokens)",
                    auth.lease_duration,
                    life.as_secs()
                ),
            )),
        }
    }

    /// Ends what is not handed out.
    async fn discard(&self, auth: &Auth) -> Result<()> {
        if auth.accessor.is_empty() {
            return Ok(());
        }
        self.revoke_access(&Secret::new(auth.accessor.as_str())).await.map(drop)
    }

    /// Revokes a token by its accessor and asks whether it is gone.
    pub(crate) async fn revoke_access(&self, accessor: &Secret) -> Result<Ended> {
        self.check_tenant().await?;
        let body = json!({ "accessor": accessor.expose() });
        let call = post("v1/auth/token/revoke-accessor", "auth/token/revoke-accessor", &body)?;
        let ended = match self.api().change(call).await {
            // It says 200, with a warning, where there is none.
            Ok(answer) if answer.status == 204 => Ended::Now,
            Ok(_) => Ended::AlreadyGone,
            Err(error) if error.refusal() == Some(Refusal::NotFound) => Ended::AlreadyGone,
            Err(error) => return Err(error),
        };
        let call: Request =
            ask("v1/auth/token/lookup-accessor", "auth/token/lookup-accessor", &body)?;
        let what = told(&call);
        let answer = self.api().send(call).await?;
        match (answer.status, Said::read(&answer.body)) {
            (404, Said::Nothing) | (_, Said::NoAccessor) => Ok(ended),
            (200, _) => Err(unexpected(&what, "the token was revoked and is still there")),
            _ => match refused(&what, &answer, false) {
                // What we may not look at we cannot see gone; the server took the revocation.
                Error::Refused { refusal: Refusal::Forbidden, .. } => Ok(ended),
                error => Err(error.after_change("auth/token/revoke-accessor")),
            },
        }
    }
}
