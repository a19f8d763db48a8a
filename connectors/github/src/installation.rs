//! Apps that are installed: listed with what they may do, and uninstalled through the enterprise.

use connector::{Ended, Freshness, ObjectRef, Result, Want};
use domain::{GrantedScope, ObservedIntegration, Scope, Settings, settings::Setting};

use crate::{
    api::{Installation, Installations, Listing, Pages},
    organization::{Notes, Organization, Seen, hidden, is_gone, unsupported},
    tables::{INSTALLATION, SELECTION},
};

fn observed(one: &Installation, notes: &Notes) -> ObservedIntegration {
    let vendor_id = one.id.to_string();
    let note = notes.of(INSTALLATION, &one.app_slug, &vendor_id);
    let scopes = one.permissions.iter().map(|(permission, level)| {
        GrantedScope::standing(Scope::canonical(format!("{permission}:{level}")))
    });
    ObservedIntegration {
        kind: INSTALLATION.to_owned(),
        key: one.app_slug.clone(),
        name: note
            .as_ref()
            .and_then(|note| note.name.clone())
            .unwrap_or_else(|| one.app_slug.clone()),
        settings: Settings::default()
            .with(SELECTION, Setting::Text(one.repository_selection.clone())),
        record: note.and_then(|note| note.record()),
        contacts: None,
        parked: one.permissions.is_empty(),
        scopes: scopes.collect(),
        enabled: one.suspended_at.is_none(),
        builtin: false,
        credentials: None,
        gaps: Vec::new(),
        vendor_id,
    }
}

impl Organization {
    async fn installations(&self, freshness: Freshness) -> Result<Pages<Installation>> {
        let path = format!("orgs/{}/installations", self.name);
        let listing = Listing::new(path, "orgs/{org}/installations");
        let shared = freshness == Freshness::Shared;
        self.api.list::<Installations, Installation>(&listing, shared).await
    }

    pub(crate) async fn installations_seen(&self, notes: &Notes, want: Want) -> Result<Seen> {
        let all = self.installations(want.freshness).await?;
        let integrations = all.iter().map(|one| observed(one, notes)).collect();
        Ok(Seen { integrations, gaps: Vec::new() })
    }

    pub(crate) async fn installation_seen(
        &self,
        notes: &Notes,
        object: &ObjectRef,
        want: Want,
    ) -> Result<Option<ObservedIntegration>> {
        let all = self.installations(want.freshness).await?;
        let found = all.iter().find(|one| one.app_slug == object.key);
        Ok(found.map(|one| observed(one, notes)))
    }

    /// Takes everything away that an App may do in the organisation. GitHub lets the App itself do so, and
    /// the enterprise.
    pub(crate) async fn uninstall(
        &self,
        object: &ObjectRef,
        found: &ObservedIntegration,
    ) -> Result<Ended> {
        let Some(enterprise) = &self.enterprise else {
            return unsupported(
                "uninstall an App without the connection's enterprise: a person does that in GitHub",
            );
        };
        let path = format!(
            "enterprises/{enterprise}/apps/organizations/{}/installations/{}",
            self.name, found.vendor_id
        );
        let template = "enterprises/{enterprise}/apps/organizations/{org}/installations/{id}";
        match self.api.change("DELETE", path, template, None).await {
            Ok(_) => Ok(Ended::Now),
            Err(error) if is_gone(&error) => {
                let all = self.installations(Freshness::Fresh).await?;
                match all.iter().any(|one| one.app_slug == object.key) {
                    false => Ok(Ended::AlreadyGone),
                    true => Err(hidden("DELETE enterprises/{enterprise}/…/installations/{id}")),
                }
            }
            Err(error) => Err(error),
        }
    }
}
