//! What fine-grained tokens of people may do in the organisation: listed, and revoked. Only a GitHub App
//! may ask for them.

use connector::{Ended, Freshness, ObjectRef, Result, Want};
use domain::{
    GrantedScope, LastUsed, ObservedCredential, ObservedIntegration, Settings, settings::Setting,
};
use jiff::Timestamp;

use crate::{
    api::{Grant, Listing, Pages, json},
    organization::{Notes, Organization, Seen, hidden, is_gone},
    scope,
    tables::{GRANT, SELECTION, TOKEN},
};

/// The token behind a grant.
fn token(one: &Grant, now: Timestamp) -> ObservedCredential {
    ObservedCredential {
        key_id: one.token_id.to_string(),
        credential_type: TOKEN.to_owned(),
        marker: None,
        // When its owner made it is told to nobody; it was no later than this.
        issued_at: Some(one.access_granted_at),
        expires_at: one.token_expires_at,
        last_used: one.token_last_used_at.map_or(LastUsed::Unknown, LastUsed::At),
        live: !one.token_expired && one.token_expires_at.is_none_or(|end| end > now),
        disabled: false,
        settings: Settings::default(),
    }
}

fn observed(one: &Grant, notes: &Notes, want: Want, now: Timestamp) -> ObservedIntegration {
    let (key, vendor_id) = (one.id.to_string(), one.id.to_string());
    let note = notes.of(GRANT, &key, &vendor_id);
    let groups = one.permissions.iter().flat_map(|(group, all)| {
        all.iter().map(move |(permission, level)| scope::of(group, permission, level))
    });
    let name = format!("{}/{}", one.owner.login, one.token_name);
    let scopes = groups.map(GrantedScope::standing).collect::<std::collections::BTreeSet<_>>();
    ObservedIntegration {
        kind: GRANT.to_owned(),
        key,
        vendor_id,
        name: note.as_ref().and_then(|note| note.name.clone()).unwrap_or(name),
        settings: Settings::default()
            .with(SELECTION, Setting::Text(one.repository_selection.clone())),
        record: note.and_then(|note| note.record()),
        contacts: None,
        parked: scopes.is_empty(),
        scopes,
        enabled: true,
        builtin: false,
        credentials: want.credentials.then(|| vec![token(one, now)]),
        gaps: Vec::new(),
    }
}

impl Organization {
    async fn grants(&self, freshness: Freshness) -> Result<Pages<Grant>> {
        let path = format!("orgs/{}/personal-access-tokens", self.name);
        let listing = Listing::new(path, "orgs/{org}/personal-access-tokens");
        self.api.list::<Vec<Grant>, Grant>(&listing, freshness == Freshness::Shared).await
    }

    pub(crate) async fn grants_seen(&self, notes: &Notes, want: Want) -> Result<Seen> {
        let (now, all) = (self.clock.now(), self.grants(want.freshness).await?);
        let integrations = all.iter().map(|one| observed(one, notes, want, now)).collect();
        Ok(Seen { integrations, gaps: Vec::new() })
    }

    pub(crate) async fn grant_seen(
        &self,
        notes: &Notes,
        object: &ObjectRef,
        want: Want,
    ) -> Result<Option<ObservedIntegration>> {
        let (now, all) = (self.clock.now(), self.grants(want.freshness).await?);
        let found = all.iter().find(|one| one.id.to_string() == object.key);
        Ok(found.map(|one| observed(one, notes, want, now)))
    }

    /// Takes everything away that a token may do in the organisation. The token itself is its owner's.
    pub(crate) async fn revoke_grant(&self, object: &ObjectRef) -> Result<Ended> {
        let path = format!("orgs/{}/personal-access-tokens/{}", self.name, object.key);
        let template = "orgs/{org}/personal-access-tokens/{pat_id}";
        let body = serde_json::json!({ "action": "revoke" });
        match self.api.change("POST", path, template, Some(json(&body)?)).await {
            Ok(_) => Ok(Ended::Now),
            Err(error) if is_gone(&error) => {
                let all = self.grants(Freshness::Fresh).await?;
                match all.iter().any(|one| one.id.to_string() == object.key) {
                    false => Ok(Ended::AlreadyGone),
                    true => Err(hidden("POST orgs/{org}/personal-access-tokens/{pat_id}")),
                }
            }
            Err(error) => Err(error),
        }
    }
}
