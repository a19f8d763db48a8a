//! Access keys: listed, issued, ended, and tried.

use std::{collections::BTreeSet, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use connector::{Children, Ended, Error, IssueRequest, Issued, ObjectRef, Probe, Refusal, Result};
use data_encoding::BASE32_NOPAD;
use domain::{LastUsed, Marker, ObservedCredential, Secret, Settings};
use futures::future;
use jiff::SignedDuration;
use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

use crate::{
    api::{Call, unexpected},
    document,
    grants::{self, OFF},
    shapes::{self, Identity, InlinePolicy, KeyAnswer, KeyInfo, LastUsedAnswer, User},
    sign::AccessKey,
    tables::{ACCESS_KEY, ADD_UNMARKED},
    user::Users,
};

/// The longest that a session lives which somebody had for a user's key.
const SESSION: SignedDuration = SignedDuration::from_hours(36);

impl Users {
    /// The user that holds keys, in the right incarnation, with its tags.
    pub(crate) async fn holder(&self, object: &ObjectRef) -> Result<User> {
        self.there(object, || self.bare(&object.key)).await
    }

    /// A user's keys.
    pub(crate) async fn keys(&self, user: &str, shared: bool) -> Result<Vec<KeyInfo>> {
        let mut keys = Vec::new();
        let call = || Call::look("iam:ListAccessKeys").with("UserName", user).shared(shared);
        self.api.pages(call, |page| keys.extend(page.access_key_metadata)).await?;
        keys.sort_by(|a, b| a.access_key_id.cmp(&b.access_key_id));
        Ok(keys)
    }

    /// A user's keys as we say them. When they were last used costs a request each, and is asked for
    /// where `used` says so.
    pub(crate) async fn observed_keys(
        &self,
        user: &User,
        shared: bool,
        used: impl Fn(&str) -> bool,
    ) -> Result<Vec<ObservedCredential>> {
        let keys = self.keys(&user.name, shared).await?;
        // One that sleeps with its user is no less alive than the user.
        let sleeping = match keys.iter().all(KeyInfo::is_active) {
            true => BTreeSet::new(),
            false => self.off(user).await?.unwrap_or_default(),
        };
        let seen = keys.into_iter().map(|key| {
            let live = key.is_active() || sleeping.contains(&key.access_key_id);
            let asks = used(&key.access_key_id);
            async move {
                let last_used = match asks {
                    true => self.last_used(&key.access_key_id).await?,
                    false => LastUsed::Unknown,
                };
                Ok(ObservedCredential {
                    credential_type: ACCESS_KEY.to_owned(),
                    marker: user.tags.get(&key.access_key_id).cloned(),
                    issued_at: key.create_date,
                    expires_at: None,
                    last_used,
                    live,
                    disabled: !live,
                    settings: Settings::default(),
                    key_id: key.access_key_id,
                })
            }
        });
        future::try_join_all(seen).await
    }

    /// The keys that are to be active again with their user; `None` where that is not switched off.
    async fn off(&self, user: &User) -> Result<Option<BTreeSet<String>>> {
        if let Some(keys) = grants::off(user) {
            return Ok(Some(keys));
        }
        let call = Call::look("iam:GetUserPolicy").with("UserName", &user.name);
        let call = call.with("PolicyName", OFF);
        let what = call.what();
        match self.api.maybe::<InlinePolicy>(call).await? {
            Some(policy) => Ok(document::keys_when_off(&policy.text(&what)?)),
            None => Ok(None),
        }
    }

    /// When AWS says that a key was last used; one that never was has no time, and neither has one whose
    /// use is not recorded yet.
    pub(crate) async fn last_used(&self, key_id: &str) -> Result<LastUsed> {
        let call = Call::look("iam:GetAccessKeyLastUsed").with("AccessKeyId", key_id);
        let used: LastUsedAnswer = self.api.need(call).await?;
        Ok(used.at().map_or(LastUsed::Unknown, LastUsed::At))
    }

    pub(crate) async fn issue_key(
        &self,
        object: &ObjectRef,
        request: IssueRequest<'_>,
    ) -> Result<Issued> {
        if request.profile != ADD_UNMARKED || request.credential_type != ACCESS_KEY {
            return connector::port::unsupported("aws_iam", "issue in this way");
        }
        if request.secret.is_some() {
            return Err(Error::Configuration("add-unmarked takes no secret of ours".into()));
        }
        if request.expires_at.is_some() {
            return connector::port::unsupported("aws_iam", "let an access key end by itself");
        }
        self.check_tenant().await?;
        let user = self.holder(object).await?;
        let call = Call::change("iam:CreateAccessKey").with("UserName", &user.name);
        let made: KeyAnswer = self.api.make(call).await?;
        let key = made.access_key;
        self.made(&key.access_key_id);
        Ok(Issued {
            secret: Some(AccessKey::pair(&key.access_key_id, &key.secret_access_key)),
            key_id: key.access_key_id,
            issued_at: key.create_date,
            expires_at: None,
            already_there: false,
        })
    }

    /// Writes whose a key is, where the console keeps a key's description: in a tag of the user.
    pub(crate) async fn mark_key(
        &self,
        object: &ObjectRef,
        key_id: &str,
        marker: &str,
    ) -> Result<()> {
        self.check_tenant().await?;
        let user = self.holder(object).await?;
        if user.tags.get(key_id).is_some_and(|there| there == marker) {
            return Ok(());
        }
        let call = Call::change("iam:TagUser").with("UserName", &user.name);
        let call = call.with("Tags.member.1.Key", key_id).with("Tags.member.1.Value", marker);
        self.api.change(call).await?;
        // The mark is there; what cannot be cleared away now is with the next one.
        let _ = self.clear_marks(&user, key_id).await;
        Ok(())
    }

    /// Takes the marks away of keys that somebody ended past us: a user has room for 50 tags.
    async fn clear_marks(&self, user: &User, but: &str) -> Result<()> {
        let marks =
            user.tags.iter().filter(|(name, value)| *name != but && Marker::parse(value).is_some());
        let mut names: Vec<&str> = marks.map(|(name, _)| name.as_str()).collect();
        if names.is_empty() {
            return Ok(());
        }
        let keys = self.keys(&user.name, false).await?;
        names.retain(|name| keys.iter().all(|key| key.access_key_id != *name));
        let mut gone = Vec::new();
        for name in names {
            // A listing may lag behind a key that was just made; whoever is asked for that very key
            // knows it.
            if self.owner_of(name).await?.is_none() {
                gone.push(name);
            }
        }
        if gone.is_empty() {
            return Ok(());
        }
        let call = Call::change("iam:UntagUser").with("UserName", &user.name);
        self.api.change(call.members("TagKeys", gone)).await
    }

    /// Makes one key inactive, or active again. Of a user that is switched off all are inactive: there
    /// the policy that says which are to be active again is what changes.
    pub(crate) async fn switch_key(
        &self,
        object: &ObjectRef,
        key_id: &str,
        on: bool,
    ) -> Result<()> {
        self.check_tenant().await?;
        let user = self.holder(object).await?;
        if let Some(mut again) = self.off(&user).await? {
            let changes = match on {
                true => again.insert(key_id.to_owned()),
                false => again.remove(key_id),
            };
            if changes {
                let call = Call::change("iam:PutUserPolicy").with("UserName", &user.name);
                let call = call.with("PolicyName", OFF);
                self.api.change(call.with("PolicyDocument", &document::off(&again))).await?;
            }
            return Ok(());
        }
        if !on {
            // What is refused from here on is not refused for being new.
            self.unmade(key_id);
        }
        let status = if on { "Active" } else { "Inactive" };
        let call = Call::change("iam:UpdateAccessKey").with("UserName", &user.name);
        self.api.change(call.with("AccessKeyId", key_id).with("Status", status)).await
    }

    pub(crate) async fn end_key(&self, object: &ObjectRef, key_id: &str) -> Result<Ended> {
        self.check_tenant().await?;
        let of = |template| Call::change(template).with("UserName", &object.key);
        // Of a key that is gone nobody reads the mark: it only takes room.
        let untag = || of("iam:UntagUser").members("TagKeys", [key_id]);
        let ended = self.api.change(of("iam:DeleteAccessKey").with("AccessKeyId", key_id)).await;
        match ended {
            Ok(()) => {}
            Err(error) if error.refusal() == Some(Refusal::NotFound) => {
                return match self.owner_of(key_id).await? {
                    Some(owner) if owner != object.key => Err(Error::Refused {
                        what: "POST iam:DeleteAccessKey".into(),
                        refusal: Refusal::Conflict,
                        message: format!(
                            "the key belongs to the user {owner:?} now: somebody renamed {:?}",
                            object.key
                        ),
                    }),
                    _ => {
                        let _ = self.api.change(untag()).await;
                        Ok(Ended::AlreadyGone)
                    }
                };
            }
            Err(error) => return Err(error),
        }
        self.unmade(key_id);
        let _ = self.api.change(untag()).await;
        Ok(Ended::Now)
    }

    /// The user that a key belongs to. AWS tells it of a key without its user, and forbids to ask about
    /// one that is not there.
    async fn owner_of(&self, key_id: &str) -> Result<Option<String>> {
        let call = Call::look("iam:GetAccessKeyLastUsed").with("AccessKeyId", key_id);
        match self.api.maybe::<LastUsedAnswer>(call).await {
            Ok(found) => Ok(found.and_then(|found| found.user_name)),
            Err(error)
                if matches!(error.refusal(), Some(Refusal::Forbidden | Refusal::Invalid)) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Sessions that somebody had for a key live on, and cannot be listed.
    pub(crate) fn sessions(&self) -> Result<Children> {
        Ok(Children::Residual(self.clock.now().checked_add(SESSION).ok()))
    }

    /// Asks STS whose a key is, with the key: every key may, whatever its user may do.
    pub(crate) async fn sign_in(&self, object: &ObjectRef, secret: &Secret) -> Result<Probe> {
        let key = AccessKey::parse(secret).ok_or_else(|| {
            Error::Configuration("this is no access key: expected <key id>:<secret>".into())
        })?;
        loop {
            let probe = self.sign_in_once(object, &key).await?;
            match probe {
                Probe::Refused { .. } if self.is_young(&key.id) => {
                    tokio::time::sleep(Duration::from_secs(2)).await
                }
                probe => return Ok(probe),
            }
        }
    }

    async fn sign_in_once(&self, object: &ObjectRef, key: &AccessKey) -> Result<Probe> {
        let account = &self.identity().await?.account;
        let call = Call::sign_in("sts:GetCallerIdentity");
        let answer = self.api.send_as(key, &call).await?;
        if answer.status == 200 {
            let identity: Identity = shapes::result(&call.what(), &answer.body)?;
            let is_its = object.vendor_id.as_ref().is_none_or(|id| *id == identity.user_id);
            if identity.account != *account || !is_its {
                return Err(unexpected(&call.what(), "the key is another user's"));
            }
            return Ok(Probe::Accepted { residual: None, scopes: None });
        }
        match shapes::code(&answer.body) {
            Some(
                code @ ("InvalidClientTokenId"
                | "InvalidAccessKeyId"
                | "SignatureDoesNotMatch"
                | "ExpiredToken"),
            ) => Ok(Probe::Refused { class: format!("{} {code}", answer.status) }),
            _ => Err(crate::api::refused(&call.what(), &answer, false)),
        }
    }
}

/// Another key of the same form, which AWS has never made: it is refused for being unknown, as one is
/// that was deleted.
pub(crate) fn random_like(secret: &Secret) -> Result<Secret> {
    let wrong = || Error::Configuration("this is no access key: expected <key id>:<secret>".into());
    let (id, text) = secret.expose().split_once(':').ok_or_else(wrong)?;
    let mut bytes = Zeroizing::new(vec![0u8; id.len() + text.len()]);
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| Error::Configuration("this machine gives no random numbers".into()))?;
    let (for_id, for_text) = bytes.split_at(id.len());
    let head: String = id.chars().take(4).collect();
    let letters = BASE32_NOPAD.encode(for_id);
    let rest: String = letters.chars().take(id.chars().count().saturating_sub(4)).collect();
    let text: String = STANDARD.encode(for_text).chars().take(text.chars().count()).collect();
    Ok(AccessKey::pair(&format!("{head}{rest}"), &Secret::new(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_random_key_has_the_form_of_a_real_one() {
        let real = Secret::new("AKIAIOSFODNN7EXAMPLE:wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
        let random = random_like(&real).unwrap();
        let (id, secret) = random.expose().split_once(':').unwrap();
        assert!(id.len() == 20 && id.starts_with("AKIA") && secret.len() == 40, "{id}");
        assert_ne!(random, real);
        assert!(random_like(&Secret::new("none")).is_err());
    }
}
