//! What all kinds share: which organisation it is, what is written down beside what GitHub keeps, and who
//! does what a call asks for.

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use connector::{
    Change, Children, Clock, Connector, CredentialListing, Ended, Error, Freshness, IssueRequest,
    Issued, NewIntegration, ObjectRef, Ourselves, Platform, Probe, Promise, Refusal, Result, Setup,
    Turns, Want,
};
use domain::{
    Gap, GapExtent, GrantedScope, Observation, ObservedCredential, ObservedIntegration, Secret,
    Settings,
};
use tokio::sync::OnceCell;

use crate::{
    api::{Api, Listing, Org, Own, Pages, Repository, Variable, Variables, json},
    app::App,
    key,
    note::{self, Note},
    signed,
    tables::{
        ADDING, APP_ID, DEPLOY_KEY, ENTERPRISE, GRANT, INSTALLATION, KINDS_SETTING, NAMES,
        ORGANIZATION, REPLACING, REPOSITORIES, SSH_CLIENT, WEBHOOK, WEBHOOK_SECRET,
    },
};

/// How many repositories are asked about at a time.
pub(crate) const AT_ONCE: usize = 8;

/// An organisation through one connection.
#[derive(Debug)]
pub(crate) struct Organization {
    platform: &'static dyn Platform,
    pub(crate) api: Api,
    pub(crate) clock: Arc<dyn Clock>,
    connection: String,
    pinned: Option<String>,
    /// Its name.
    pub(crate) name: String,
    pub(crate) enterprise: Option<String>,
    /// The kinds that are looked at, where not all are.
    kinds: Option<BTreeSet<String>>,
    /// The repositories that are looked at, where not all are.
    only: Option<BTreeSet<String>>,
    tenant: OnceCell<String>,
    /// One at a time for each object.
    pub(crate) turns: Turns,
}

/// What was seen of one kind.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) integrations: Vec<ObservedIntegration>,
    pub(crate) gaps: Vec<Gap>,
}

/// What is written down: the variables of the organisation, as they were read.
#[derive(Debug)]
pub(crate) struct Notes(Pages<Variable>);

impl Notes {
    /// What is written down of an integration, whichever making of it.
    pub(crate) fn find(&self, kind: &str, key: &str) -> Option<Note> {
        let name = note::variable(kind, key);
        let found = self.0.iter().find(|one| one.name == name)?;
        Note::read(&found.name, &found.value)
    }

    /// What is written down of this making of it.
    pub(crate) fn of(&self, kind: &str, key: &str, vendor_id: &str) -> Option<Note> {
        self.find(kind, key).filter(|note| note.of == vendor_id)
    }

    /// Everything of a kind.
    pub(crate) fn all_of<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = Note> + 'a {
        let ours = self.0.iter().filter(|one| note::is_ours(&one.name));
        let notes = ours.filter_map(|one| Note::read(&one.name, &one.value));
        notes.filter(move |note| note.kind == kind)
    }

    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|one| one.name == name)
    }
}

pub(crate) fn unexpected(what: &str, message: impl Into<String>) -> Error {
    Error::UnexpectedAnswer { what: what.to_owned(), message: message.into() }
}

pub(crate) fn no_such(object: &ObjectRef) -> Error {
    Error::Refused {
        what: format!("{} {:?}", object.kind, object.key),
        refusal: Refusal::NotFound,
        message: "there is none".into(),
    }
}

pub(crate) fn unsupported<T>(what: &'static str) -> Result<T> {
    connector::port::unsupported("github", what)
}

/// Whether a text can stand in a path as one part of it: what GitHub lets names be.
pub(crate) fn is_name(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    !text.is_empty() && text.len() <= 100 && text.bytes().all(plain) && !matches!(text, "." | "..")
}

/// What became of a call that removes something.
pub(crate) fn is_gone(error: &Error) -> bool {
    error.refusal() == Some(Refusal::NotFound)
}

/// That something is still there after GitHub said that it is not: it hides so what our own token may not
/// change.
pub(crate) fn hidden(what: &str) -> Error {
    Error::Refused {
        what: what.to_owned(),
        refusal: Refusal::Forbidden,
        message:
            "status 404, and it is listed: the connection's own credential may look at it, and not \
                  change it"
                .into(),
    }
}

impl Organization {
    pub(crate) fn new(
        platform: &'static dyn Platform,
        setup: Setup,
    ) -> std::result::Result<Organization, String> {
        let settings = &setup.settings;
        let named = |field: &str| match settings.text(field) {
            Some(text) if !is_name(text) => Err(format!("{field} {text:?} is no name on GitHub")),
            text => Ok(text.map(str::to_owned)),
        };
        let texts = |field: &str| settings.texts(field).filter(|all| !all.is_empty()).cloned();
        let name = named(ORGANIZATION)?.ok_or_else(|| format!("{ORGANIZATION} is not set"))?;
        let (kinds, only) = (texts(KINDS_SETTING), texts(REPOSITORIES));
        if let Some(wrong) = kinds.iter().flatten().find(|kind| !NAMES.contains(&kind.as_str())) {
            return Err(format!("kinds has {wrong:?}: known are {}", NAMES.join(", ")));
        }
        if let Some(wrong) = only.iter().flatten().find(|one| !is_name(one)) {
            return Err(format!("repositories has {wrong:?}: a name without the organisation's"));
        }
        let own = match (settings.text(APP_ID), setup.credential) {
            (_, None) => Own::Nothing,
            (None, Some(token)) => Own::Token(token),
            (Some(id), Some(key)) => Own::App(Box::new(App::new(id, &key)?)),
        };
        let (transport, clock) = (setup.transport, setup.clock);
        let api = Api::new(transport, setup.name.clone(), clock.clone(), name.clone(), own);
        Ok(Organization {
            platform,
            pinned: settings.text("tenant").map(str::to_owned),
            name,
            enterprise: named(ENTERPRISE)?,
            kinds,
            only,
            api,
            connection: setup.name,
            clock,
            tenant: OnceCell::new(),
            turns: Turns::default(),
        })
    }

    /// The organisation's number; an error where it is another than the pinned one.
    pub(crate) async fn check(&self) -> Result<&String> {
        let ask = || async {
            let org: Org = self.api.get(format!("orgs/{}", self.name), "orgs/{org}").await?;
            Ok::<_, Error>(org.id.to_string())
        };
        let found = self.tenant.get_or_try_init(ask).await?;
        match &self.pinned {
            Some(pinned) if pinned != found => Err(Error::Tenant {
                connection: self.connection.clone(),
                expected: pinned.clone(),
                found: found.clone(),
            }),
            _ => Ok(found),
        }
    }

    /// Whether a kind is looked at.
    fn looks_at(&self, kind: &str) -> bool {
        self.kinds.as_ref().is_none_or(|kinds| kinds.contains(kind))
    }

    /// Refuses a kind that is not looked at: that it is not there would be no answer.
    async fn begin(&self, kind: &str) -> Result<()> {
        if !self.looks_at(kind) {
            return Err(Error::Configuration(format!(
                "connection {:?} does not look at {kind}: its kinds leave it out",
                self.connection
            )));
        }
        self.check().await.map(drop)
    }

    /// The repositories that are looked at.
    pub(crate) async fn repositories(&self, shared: bool) -> Result<Vec<String>> {
        if let Some(only) = &self.only {
            return Ok(only.iter().cloned().collect());
        }
        let listing = Listing::new(format!("orgs/{}/repos", self.name), "orgs/{org}/repos");
        let all = self.api.list::<Vec<Repository>, Repository>(&listing, shared).await?;
        Ok(all.iter().map(|one| one.name.clone()).collect())
    }

    /// Refuses a repository that is not looked at, or is spelled otherwise.
    pub(crate) async fn check_repository(&self, name: &str) -> Result<()> {
        let all = self.repositories(true).await?;
        if all.iter().any(|one| one == name) {
            return Ok(());
        }
        let same = all.iter().find(|one| one.eq_ignore_ascii_case(name));
        let meant = same.map(|one| format!(": GitHub spells it {one:?}")).unwrap_or_default();
        Err(Error::Configuration(format!(
            "connection {:?} looks at no repository {name:?}{meant}",
            self.connection
        )))
    }

    /// What is written down.
    pub(crate) async fn written(&self, shared: bool) -> Result<Notes> {
        let path = format!("orgs/{}/actions/variables", self.name);
        // GitHub gives no more of them at once.
        let listing =
            Listing { per_page: 30, ..Listing::new(path, "orgs/{org}/actions/variables") };
        self.api.list::<Variables, Variable>(&listing, shared).await.map(Notes)
    }

    /// Writes something down, where it is not what stands there.
    pub(crate) async fn write(&self, notes: &Notes, note: &Note) -> Result<()> {
        let name = note::variable(&note.kind, &note.key);
        if notes.find(&note.kind, &note.key).as_ref() == Some(note) {
            return Ok(());
        }
        let value = note.text();
        let all = format!("orgs/{}/actions/variables", self.name);
        if notes.has(&name) {
            let body = serde_json::json!({ "value": value });
            let template = "orgs/{org}/actions/variables/{name}";
            let path = format!("{all}/{name}");
            return self.api.change("PATCH", path, template, Some(json(&body)?)).await.map(drop);
        }
        let body = serde_json::json!({
            "name": name, "value": value, "visibility": "selected", "selected_repository_ids": [],
        });
        let template = "orgs/{org}/actions/variables";
        self.api.change("POST", all, template, Some(json(&body)?)).await.map(drop)
    }

    /// Takes away what is written down of an integration.
    pub(crate) async fn erase(&self, notes: &Notes, kind: &str, key: &str) -> Result<bool> {
        let name = note::variable(kind, key);
        if !notes.has(&name) {
            return Ok(false);
        }
        let path = format!("orgs/{}/actions/variables/{name}", self.name);
        let template = "orgs/{org}/actions/variables/{name}";
        match self.api.change("DELETE", path, template, None).await {
            Ok(_) => Ok(true),
            Err(error) if is_gone(&error) => match self.written(false).await?.has(&name) {
                false => Ok(false),
                true => Err(hidden("DELETE orgs/{org}/actions/variables/{name}")),
            },
            Err(error) => Err(error),
        }
    }

    /// Everything of one kind.
    async fn seen(&self, kind: &str, notes: &Notes, want: Want) -> Seen {
        let seen = match kind {
            INSTALLATION => self.installations_seen(notes, want).await,
            GRANT => self.grants_seen(notes, want).await,
            SSH_CLIENT => self.ssh_clients_seen(notes, want).await,
            _ => self.webhooks_seen(notes, want).await,
        };
        seen.unwrap_or_else(|error| Seen { gaps: vec![gap(kind, &error)], ..Seen::default() })
    }

    /// One of them, as it is there now.
    async fn look(&self, object: &ObjectRef, want: Want) -> Result<Option<ObservedIntegration>> {
        let notes = self.written(want.freshness == Freshness::Shared).await?;
        match object.kind.as_str() {
            INSTALLATION => self.installation_seen(&notes, object, want).await,
            GRANT => self.grant_seen(&notes, object, want).await,
            SSH_CLIENT => self.ssh_client_seen(&notes, object, want).await,
            WEBHOOK => self.webhook_seen(&notes, object, want).await,
            _ => unsupported("hold objects of this kind"),
        }
    }

    /// The same where it must be there, in the incarnation that is meant.
    pub(crate) async fn existing(&self, object: &ObjectRef) -> Result<ObservedIntegration> {
        let found = self.look(object, Want::DEED).await?.ok_or_else(|| no_such(object))?;
        object.check_incarnation(&found.vendor_id)?;
        Ok(found)
    }

    /// The same after a change.
    pub(crate) async fn back(&self, object: &ObjectRef) -> Result<ObservedIntegration> {
        let found = self.look(object, Want::DEED).await;
        let found = found.map_err(|error| error.after_change("modify"))?;
        found.ok_or_else(|| unexpected("modify", "it is not there any more"))
    }

    /// Changes what is written down of an integration: its record, and the name people know it by.
    pub(crate) async fn annotate(
        &self,
        object: &ObjectRef,
        found: &ObservedIntegration,
        change: &Change,
    ) -> Result<()> {
        let notes = self.written(false).await?;
        let known = notes.of(&found.kind, &found.key, &found.vendor_id);
        let mut note =
            known.unwrap_or_else(|| Note::of(&found.kind, &object.key, &found.vendor_id));
        if let Some(name) = change.name.as_ref().filter(|name| **name != found.name) {
            note.name = Some(name.clone());
        }
        if let Some(record) = &change.record {
            note = note.with_record(record);
        }
        let nothing = change.record.is_none() && note.name.is_none();
        if nothing { Ok(()) } else { self.write(&notes, &note).await }
    }
}

/// That a part could not be read. What is not in it proves nothing.
pub(crate) fn gap(what: &str, error: &Error) -> Gap {
    Gap { extent: GapExtent::Page(what.to_owned()), cause: error.to_string() }
}

/// The parts that GitHub itself gives no way to change.
pub(crate) fn only_its_record(found: &ObservedIntegration, change: &Change) -> Result<()> {
    let other = |wanted: &Settings| {
        wanted.0.iter().any(|(name, value)| found.settings.0.get(name) != Some(value))
    };
    if change.settings.as_ref().is_some_and(other) {
        return unsupported("change which repositories it reaches: a person does that in GitHub");
    }
    if change.enabled.is_some_and(|enabled| enabled != found.enabled) {
        return unsupported("switch it off or on: only the App itself, or a person, can");
    }
    only_held(&found.scopes, change)
}

/// Scopes are shown, and given or taken away by nobody here.
pub(crate) fn only_held(held: &BTreeSet<GrantedScope>, change: &Change) -> Result<()> {
    match &change.scopes {
        Some(wanted) if wanted != held => unsupported("change what it may do: that is only shown"),
        _ => Ok(()),
    }
}

#[async_trait]
impl Connector for Organization {
    fn platform(&self) -> &'static dyn Platform {
        self.platform
    }

    async fn tenant(&self) -> Result<String> {
        self.check().await.cloned()
    }

    async fn check_credential(&self) -> Result<()> {
        self.check().await?;
        self.written(true).await.map(drop)
    }

    async fn list(&self, want: Want) -> Result<Observation> {
        let requested_at = self.clock.now();
        let tenant = self.check().await?.clone();
        let notes = self.written(want.freshness == Freshness::Shared).await?;
        let (mut integrations, mut gaps) = (Vec::new(), Vec::new());
        for kind in NAMES.into_iter().filter(|kind| self.looks_at(kind)) {
            let mut seen = self.seen(kind, &notes, want).await;
            seen.integrations.sort_by(|a, b| a.key.cmp(&b.key));
            integrations.append(&mut seen.integrations);
            gaps.append(&mut seen.gaps);
        }
        Ok(Observation { tenant, requested_at, integrations, gaps })
    }

    async fn read(&self, object: &ObjectRef, want: Want) -> Result<Option<ObservedIntegration>> {
        self.begin(&object.kind).await?;
        let Some(found) = self.look(object, want).await? else { return Ok(None) };
        object.check_incarnation(&found.vendor_id)?;
        Ok(Some(found))
    }

    async fn create(&self, new: &NewIntegration) -> Result<ObservedIntegration> {
        self.begin(&new.kind).await?;
        match new.kind.as_str() {
            SSH_CLIENT => self.make_ssh_client(new).await,
            WEBHOOK => self.make_webhook(new).await,
            INSTALLATION => {
                unsupported("install an App: a person does that in GitHub, and it is imported here")
            }
            _ => {
                unsupported("make a token: its owner does that in GitHub, and it is imported here")
            }
        }
    }

    async fn modify(&self, object: &ObjectRef, change: &Change) -> Result<ObservedIntegration> {
        self.begin(&object.kind).await?;
        let _turn = self.turns.take(&object.key).await;
        let found = self.existing(object).await?;
        let changed = match object.kind.as_str() {
            WEBHOOK => self.change_webhook(object, &found, change).await?,
            SSH_CLIENT => self.change_ssh_client(&found, change).map(|()| false)?,
            _ => only_its_record(&found, change).map(|()| false)?,
        };
        let after = |error: Error| if changed { error.after_change("modify") } else { error };
        self.annotate(object, &found, change).await.map_err(after)?;
        let back = self.back(object).await?;
        let kept = change.record.is_none() || back.record == change.record;
        let named = change.name.as_ref().is_none_or(|name| *name == back.name);
        if kept && named {
            return Ok(back);
        }
        Err(unexpected("modify", "somebody else changed it at the same time")
            .after_change("modify"))
    }

    async fn delete(&self, object: &ObjectRef) -> Result<Ended> {
        self.begin(&object.kind).await?;
        let _turn = self.turns.take(&object.key).await;
        let notes = self.written(false).await?;
        let found = self.look(object, Want::DEED).await?;
        let ended = match &found {
            None => Ended::AlreadyGone,
            Some(found) => {
                object.check_incarnation(&found.vendor_id)?;
                match object.kind.as_str() {
                    INSTALLATION => self.uninstall(object, found).await?,
                    GRANT => self.revoke_grant(object).await?,
                    SSH_CLIENT => self.end_keys(found).await?,
                    _ => self.delete_webhook(object).await?,
                }
            }
        };
        let erased = self.erase(&notes, &object.kind, &object.key).await;
        match (ended, &found) {
            // An SSH client without keys is what is written down of it, and nothing else.
            (Ended::AlreadyGone, Some(_)) => {
                erased.map(|gone| if gone { Ended::Now } else { Ended::AlreadyGone })
            }
            (Ended::AlreadyGone, None) => erased.map(|_| Ended::AlreadyGone),
            (Ended::Now, _) => {
                erased.map(|_| Ended::Now).map_err(|error| error.after_change("delete"))
            }
        }
    }

    async fn credentials(&self, object: &ObjectRef) -> Result<CredentialListing> {
        self.begin(&object.kind).await?;
        let requested_at = self.clock.now();
        let found = self.existing(object).await?;
        let complete = object.kind != WEBHOOK || !self.is_between(&found).await?;
        let credentials = found.credentials.unwrap_or_default();
        Ok(CredentialListing { credentials, complete, shows_all_of: &[], requested_at })
    }

    /// The App that we sign in as. Whose a token is GitHub does not tell.
    async fn ourselves(&self) -> Result<Option<Ourselves>> {
        let ours = self.api.our_installation().await?;
        Ok(ours.map(|one| Ourselves {
            kind: INSTALLATION.to_owned(),
            key: one.app_slug,
            key_id: None,
        }))
    }

    async fn notes(&self) -> Vec<String> {
        let mut notes = vec![
            "What GitHub has no room for (records, and which secret of a webhook is in force) stands in variables \
             of the organisation that no repository gets: whoever may read those reads purposes and owners, and \
             no secret."
                .to_owned(),
            "Classic personal access tokens, and what SSH keys a revoked token left behind, are told to nobody by \
             GitHub's API."
                .to_owned(),
        ];
        if self.enterprise.is_none() && self.looks_at(INSTALLATION) {
            notes.push(
                "Without enterprise an App cannot be uninstalled from here: a person does that in GitHub."
                    .to_owned(),
            );
        }
        notes
    }

    async fn promises(&self, credential_type: &str) -> Result<Vec<Promise>> {
        let profiles: &'static [connector::Profile] = match credential_type {
            DEPLOY_KEY => &ADDING,
            WEBHOOK_SECRET => &REPLACING,
            _ => &[],
        };
        Ok(profiles.iter().map(|profile| Promise { profile, because: None }).collect())
    }

    fn choose_secret(&self, credential_type: &str, _: &Settings, _: &str) -> Result<Secret> {
        match credential_type {
            DEPLOY_KEY => key::generate(),
            WEBHOOK_SECRET => signed::choose(),
            _ => unsupported("take a secret of ours for this type"),
        }
    }

    async fn issue(&self, object: &ObjectRef, request: IssueRequest<'_>) -> Result<Issued> {
        self.begin(&object.kind).await?;
        let _turn = self.turns.take(&object.key).await;
        let secret = match request.secret {
            Some(secret) if request.expires_at.is_none() => secret,
            _ => return unsupported("issue in this way"),
        };
        match (request.credential_type, object.kind.as_str()) {
            (DEPLOY_KEY, SSH_CLIENT) => self.add_key(object, &request, secret).await,
            (WEBHOOK_SECRET, WEBHOOK) => self.set_secret(object, &request, secret).await,
            _ => unsupported("issue in this way"),
        }
    }

    async fn find(
        &self,
        object: &ObjectRef,
        credential_type: &str,
        secret: &Secret,
    ) -> Result<Option<ObservedCredential>> {
        self.begin(&object.kind).await?;
        match credential_type {
            DEPLOY_KEY => self.find_key(object, secret).await,
            WEBHOOK_SECRET => {
                let id = signed::key_id(secret);
                let listing = self.credentials(object).await?;
                // While one is being set it is not known which is in force.
                let all = listing.credentials.into_iter().filter(|_| listing.complete);
                Ok(all.into_iter().find(|one| one.key_id == id))
            }
            _ => Ok(None),
        }
    }

    async fn end(&self, object: &ObjectRef, key_id: &str) -> Result<Ended> {
        self.begin(&object.kind).await?;
        let _turn = self.turns.take(&object.key).await;
        let found = self.existing(object).await?;
        if !found.credentials.iter().flatten().any(|one| one.key_id == key_id) {
            return Ok(Ended::AlreadyGone);
        }
        match object.kind.as_str() {
            SSH_CLIENT => self.end_key(object, key_id).await,
            WEBHOOK => self.end_secret(object).await,
            GRANT => self.revoke_grant(object).await,
            _ => unsupported("end a credential of this kind"),
        }
    }

    async fn sweep(&self, _: &ObjectRef, _: Option<&str>) -> Result<Children> {
        // Neither a deploy key nor a webhook's secret mints anything.
        Ok(Children::None)
    }

    async fn probe(
        &self,
        object: &ObjectRef,
        credential_type: &str,
        secret: &Secret,
    ) -> Result<Probe> {
        self.begin(&object.kind).await?;
        match credential_type {
            DEPLOY_KEY => self.is_listed(object, secret).await,
            WEBHOOK_SECRET => self.signs_with(object, secret).await,
            _ => unsupported("try a credential of this type"),
        }
    }

    fn random_like(&self, credential_type: &str, secret: &Secret) -> Result<Secret> {
        match credential_type {
            DEPLOY_KEY => key::generate(),
            _ => signed::random_like(secret),
        }
    }
}
