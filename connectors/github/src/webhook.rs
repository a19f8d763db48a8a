//! Webhooks: where GitHub sends which events, and what it signs them with.
//!
//! A secret is never shown again. So which one is in force is written down before the call that sets it,
//! as being set, and after it, as in force; and GitHub's own account of a delivery tells whether it was
//! signed with one.

use std::time::Duration;

use connector::{
    Change, Ended, Error, Freshness, IssueRequest, Issued, NewIntegration, ObjectRef, Outcome,
    Probe, Result, Want,
};
use domain::{
    LastUsed, ObservedCredential, ObservedIntegration, Secret, Settings, settings::Setting,
};
use futures::{StreamExt, stream};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;

use crate::{
    api::{Delivery, Hook, Listing, Pages, json as body, parse},
    note::{Held, Note, Signs},
    organization::{
        AT_ONCE, Notes, Organization, Seen, gap, hidden, is_gone, is_name, no_such, only_held,
        unexpected, unsupported,
    },
    signed::{self, Delivered},
    tables::{
        CONTENT_TYPE, EVENTS, INSECURE_SSL, REPLACE_OURS, REPOSITORY, URL, WEBHOOK, WEBHOOK_SECRET,
    },
};

/// The key id of a secret that somebody set.
const THEIRS: &str = "set-by-hand";
/// How often a delivery is looked for, and how long in between.
const LOOKS: u32 = 30;
const PAUSE: Duration = Duration::from_millis(500);

/// Where a webhook is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place<'a> {
    /// A repository; without one it is the organisation's.
    repository: Option<&'a str>,
}

/// Its key: `<id>` of the organisation's, `<repository>/<id>` of a repository's.
fn split(key: &str) -> Option<(Place<'_>, u64)> {
    let (repository, id) = match key.split_once('/') {
        Some((repository, id)) => (Some(repository), id),
        None => (None, key),
    };
    let fits = repository.is_none_or(is_name);
    let id = id.parse().ok().filter(|id: &u64| fits && id.to_string() == key_end(key));
    Some((Place { repository }, id?))
}

fn key_end(key: &str) -> &str {
    key.rsplit('/').next().unwrap_or(key)
}

fn key_of(place: Place<'_>, id: u64) -> String {
    match place.repository {
        Some(repository) => format!("{repository}/{id}"),
        None => id.to_string(),
    }
}

/// What follows the path of all hooks, and the two templates for it.
macro_rules! below {
    ($place:expr, $rest:literal) => {
        match $place.repository {
            Some(_) => concat!("repos/{owner}/{repo}/hooks", $rest),
            None => concat!("orgs/{org}/hooks", $rest),
        }
    };
}

/// What of a webhook's way to deliver is changed.
#[derive(Debug, Default, Serialize)]
struct Config<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    insecure_ssl: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<&'a str>,
}

/// A webhook to make.
#[derive(Debug, Serialize)]
struct NewHook<'a> {
    name: &'static str,
    active: bool,
    events: Vec<&'a str>,
    config: Config<'a>,
}

fn bit(flag: bool) -> &'static str {
    if flag { "1" } else { "0" }
}

fn events(settings: &Settings) -> Vec<&str> {
    let set = settings.texts(EVENTS).into_iter().flatten();
    set.map(String::as_str).collect()
}

/// What it signs with, as far as is known.
fn credentials(hook: &Hook, note: Option<&Note>) -> Vec<ObservedCredential> {
    let one = |key_id: &str, held: Option<&Held>| ObservedCredential {
        key_id: key_id.to_owned(),
        credential_type: WEBHOOK_SECRET.to_owned(),
        marker: held.map(|held| held.marker.clone()),
        issued_at: held.and_then(|held| Timestamp::from_millisecond(held.at).ok()),
        expires_at: None,
        last_used: LastUsed::Unknown,
        live: true,
        disabled: false,
        settings: Settings::default(),
    };
    if !hook.config.signs() {
        return Vec::new();
    }
    match note.and_then(|note| note.secret.as_ref()) {
        None => vec![one(THEIRS, None)],
        Some(Signs::Nobodys | Signs::Between { before: None, .. }) => Vec::new(),
        Some(Signs::With(held) | Signs::Between { before: Some(held), .. }) => {
            vec![one(&held.id, Some(held))]
        }
    }
}

/// An address as a name: what stands before its host and behind its path may be a secret, and a name is
/// shown everywhere.
fn named_by(url: &str) -> String {
    let bare = url.split(['?', '#']).next().unwrap_or_default();
    let (scheme, rest) = match bare.find("://") {
        Some(at) => bare.split_at(at + 3),
        None => ("", bare),
    };
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    format!("{scheme}{host}{path}")
}

fn observed(place: Place<'_>, hook: &Hook, notes: &Notes, want: Want) -> ObservedIntegration {
    let (key, vendor_id) = (key_of(place, hook.id), hook.id.to_string());
    let note = notes.of(WEBHOOK, &key, &vendor_id);
    let url = hook.config.url.clone().unwrap_or_default();
    let mut settings = Settings::default()
        .with(URL, Setting::Text(url.clone()))
        .with(EVENTS, Setting::Texts(hook.events.iter().cloned().collect()))
        .with(
            CONTENT_TYPE,
            Setting::Text(hook.config.content_type.clone().unwrap_or_else(|| "form".into())),
        )
        .with(INSECURE_SSL, Setting::Flag(hook.config.is_insecure()));
    if let Some(repository) = place.repository {
        settings = settings.with(REPOSITORY, Setting::Text(repository.to_owned()));
    }
    ObservedIntegration {
        kind: WEBHOOK.to_owned(),
        key,
        vendor_id,
        name: note.as_ref().and_then(|note| note.name.clone()).unwrap_or_else(|| named_by(&url)),
        settings,
        record: note.as_ref().and_then(Note::record),
        contacts: None,
        scopes: std::collections::BTreeSet::new(),
        enabled: hook.active,
        parked: true,
        builtin: false,
        credentials: want.credentials.then(|| credentials(hook, note.as_ref())),
        gaps: Vec::new(),
    }
}

impl Organization {
    fn hooks_path(&self, place: Place<'_>) -> String {
        match place.repository {
            Some(repository) => format!("repos/{}/{repository}/hooks", self.name),
            None => format!("orgs/{}/hooks", self.name),
        }
    }

    async fn hooks(&self, place: Place<'_>, shared: bool) -> Result<Pages<Hook>> {
        let listing = Listing::new(self.hooks_path(place), below!(place, ""));
        self.api.list::<Vec<Hook>, Hook>(&listing, shared).await
    }

    /// The same, with where they are.
    async fn hooks_of(
        &self,
        repository: Option<String>,
        shared: bool,
    ) -> (Option<String>, Result<Pages<Hook>>) {
        let hooks = self.hooks(Place { repository: repository.as_deref() }, shared).await;
        (repository, hooks)
    }

    pub(crate) async fn webhooks_seen(&self, notes: &Notes, want: Want) -> Result<Seen> {
        let shared = want.freshness == Freshness::Shared;
        let repositories = self.repositories(shared).await?;
        let places = repositories.into_iter().map(Some).chain([None]);
        let mut asked =
            stream::iter(places.map(|one| self.hooks_of(one, shared))).buffered(AT_ONCE);
        let mut seen = Seen::default();
        while let Some((repository, hooks)) = asked.next().await {
            let place = Place { repository: repository.as_deref() };
            match hooks {
                Ok(hooks) => {
                    let found = hooks.iter().map(|hook| observed(place, hook, notes, want));
                    seen.integrations.extend(found);
                }
                Err(error) => {
                    let of = place.repository.unwrap_or(&self.name);
                    seen.gaps.push(gap(&format!("{WEBHOOK} of {of}"), &error));
                }
            }
        }
        Ok(seen)
    }

    pub(crate) async fn webhook_seen(
        &self,
        notes: &Notes,
        object: &ObjectRef,
        want: Want,
    ) -> Result<Option<ObservedIntegration>> {
        let Some((place, id)) = split(&object.key) else { return Ok(None) };
        let all = self.hooks(place, want.freshness == Freshness::Shared).await?;
        let found = all.iter().find(|hook| hook.id == id);
        Ok(found.map(|hook| observed(place, hook, notes, want)))
    }

    /// Whether a secret is being set, so that it is not known which one is in force.
    pub(crate) async fn is_between(&self, found: &ObservedIntegration) -> Result<bool> {
        let notes = self.written(false).await?;
        let note = notes.of(WEBHOOK, &found.key, &found.vendor_id);
        Ok(note.is_some_and(|note| matches!(note.secret, Some(Signs::Between { .. }))))
    }

    /// Makes a webhook, which signs with a secret that nobody keeps.
    pub(crate) async fn make_webhook(&self, new: &NewIntegration) -> Result<ObservedIntegration> {
        let settings = &new.settings;
        let place = Place { repository: settings.text(REPOSITORY) };
        if let Some(repository) = place.repository {
            self.check_repository(repository).await?;
        }
        let url = settings.text(URL).unwrap_or_default();
        let _turn = self.turns.take(url).await;
        let notes = self.written(false).await?;
        let all = self.hooks(place, false).await?;
        for hook in all.iter() {
            let found = observed(place, hook, &notes, Want::DEED);
            // What nobody has written down may be ours, of a create that was not heard of.
            let written = notes.of(WEBHOOK, &found.key, &found.vendor_id).is_some();
            let same_url = hook.config.url.as_deref() == Some(url);
            if (written && found.name == new.name) || (!written && same_url) {
                return self.resume_webhook(new, &found).await;
            }
        }
        let nobodys = signed::choose()?;
        let wanted = NewHook {
            name: "web",
            active: true,
            events: events(settings),
            config: Config {
                url: Some(url),
                content_type: Some(settings.text(CONTENT_TYPE).unwrap_or("json")),
                insecure_ssl: Some(bit(settings.flag(INSECURE_SSL).unwrap_or(false))),
                secret: Some(nobodys.expose()),
            },
        };
        let (path, template) = (self.hooks_path(place), below!(place, ""));
        let answer = self.api.change("POST", path, template, Some(body(&wanted)?)).await?;
        let made: Hook = parse("POST hooks", &answer.body)?;
        let after = |error: Error| error.after_change("create");
        let (key, vendor_id) = (key_of(place, made.id), made.id.to_string());
        let note = Note::of(WEBHOOK, &key, &vendor_id).with_record(&new.record);
        let note = Note { name: Some(new.name.clone()), secret: Some(Signs::Nobodys), ..note };
        self.write(&notes, &note).await.map_err(after)?;
        let (kind, name) = (WEBHOOK.to_owned(), new.name.clone());
        self.back(&ObjectRef { kind, key, vendor_id: Some(vendor_id), name }).await
    }

    /// Goes on with a create of ours that did not finish.
    async fn resume_webhook(
        &self,
        new: &NewIntegration,
        found: &ObservedIntegration,
    ) -> Result<ObservedIntegration> {
        let ours = found.record.as_ref().is_some_and(|record| {
            record.unfinished && record.realm.is_some() && record.realm == new.record.realm
        });
        let key = found.key.clone();
        if !ours {
            return Err(Error::Exists { what: format!("{WEBHOOK} {:?}", new.name), key });
        }
        let (kind, vendor_id) = (WEBHOOK.to_owned(), Some(found.vendor_id.clone()));
        let object = ObjectRef { kind, key, vendor_id, name: new.name.clone() };
        let change = Change {
            name: Some(new.name.clone()),
            settings: Some(new.settings.clone()),
            record: Some(new.record.clone()),
            ..Change::default()
        };
        let changed = self.change_webhook(&object, found, &change).await?;
        let after = |error: Error| if changed { error.after_change("create") } else { error };
        self.annotate(&object, found, &change).await.map_err(after)?;
        self.back(&object).await
    }

    /// Changes what is to be changed, and leaves the secret as it is: only a call that names no way to
    /// deliver, or the one that is about that alone, does so. Whether anything was.
    pub(crate) async fn change_webhook(
        &self,
        object: &ObjectRef,
        found: &ObservedIntegration,
        change: &Change,
    ) -> Result<bool> {
        only_held(&found.scopes, change)?;
        let (place, id) = split(&object.key).ok_or_else(|| no_such(object))?;
        let (now, path) = (&found.settings, format!("{}/{id}", self.hooks_path(place)));
        let wanted = change.settings.as_ref().unwrap_or(now);
        if wanted.text(REPOSITORY) != now.text(REPOSITORY) {
            return unsupported("move a webhook to another repository");
        }
        let text = |name| wanted.text(name).filter(|text| now.text(name) != Some(*text));
        let flag = wanted.flag(INSECURE_SSL).filter(|flag| now.flag(INSECURE_SSL) != Some(*flag));
        let config = Config {
            url: text(URL),
            content_type: text(CONTENT_TYPE),
            insecure_ssl: flag.map(bit),
            secret: None,
        };
        let mut changed = false;
        if config.url.is_some() || config.content_type.is_some() || config.insecure_ssl.is_some() {
            let (path, template) = (format!("{path}/config"), below!(place, "/{hook_id}/config"));
            self.api.change("PATCH", path, template, Some(body(&config)?)).await?;
            changed = true;
        }
        let enabled = change.enabled.unwrap_or(found.enabled);
        if wanted.texts(EVENTS) != now.texts(EVENTS) || enabled != found.enabled {
            let wanted = json!({ "events": events(wanted), "active": enabled });
            let template = below!(place, "/{hook_id}");
            let put = self.api.change("PATCH", path, template, Some(body(&wanted)?)).await;
            put.map_err(|error| if changed { error.after_change("modify") } else { error })?;
            changed = true;
        }
        Ok(changed)
    }

    /// Sets what a webhook signs with. What is written down says so before and after.
    async fn sign_with(
        &self,
        object: &ObjectRef,
        vendor_id: &str,
        secret: &Secret,
        held: Option<Held>,
    ) -> Result<()> {
        let (place, id) = split(&object.key).ok_or_else(|| no_such(object))?;
        let notes = self.written(false).await?;
        let known = notes.of(WEBHOOK, &object.key, vendor_id);
        let note = known.unwrap_or_else(|| Note::of(WEBHOOK, &object.key, vendor_id));
        let before = match &note.secret {
            Some(Signs::With(held)) => Some(held.clone()),
            Some(Signs::Between { before, .. }) => before.clone(),
            _ => None,
        };
        let between = Signs::Between { before, now: held.clone() };
        let begun = Note { secret: Some(between), ..note.clone() };
        self.write(&notes, &begun).await?;
        let config = Config { secret: Some(secret.expose()), ..Config::default() };
        let path = format!("{}/{id}/config", self.hooks_path(place));
        let template = below!(place, "/{hook_id}/config");
        let set = self.api.change("PATCH", path, template, Some(body(&config)?)).await;
        if let Err(error) = set {
            // It was not done, and the one before is in force: that is what stands there again.
            if error.outcome() != Outcome::Ambiguous
                && let Ok(notes) = self.written(false).await
            {
                let _ = self.write(&notes, &note).await;
            }
            return Err(error);
        }
        let after = |error: Error| error.after_change("issue");
        let notes = self.written(false).await.map_err(after)?;
        let signs = held.map_or(Signs::Nobodys, Signs::With);
        let done = Note { secret: Some(signs), ..begun };
        self.write(&notes, &done).await.map_err(after)
    }

    pub(crate) async fn set_secret(
        &self,
        object: &ObjectRef,
        request: &IssueRequest<'_>,
        secret: &Secret,
    ) -> Result<Issued> {
        if request.profile != REPLACE_OURS {
            return unsupported("issue in this way");
        }
        let found = self.existing(object).await?;
        let key_id = signed::key_id(secret);
        let there = found.credentials.iter().flatten().find(|one| one.key_id == key_id);
        if let Some(there) = there
            && !self.is_between(&found).await?
        {
            let issued_at = there.issued_at;
            return Ok(Issued {
                key_id,
                secret: None,
                issued_at,
                expires_at: None,
                already_there: true,
            });
        }
        let at = self.clock.now();
        let held =
            Held { id: key_id.clone(), marker: request.marker.to_owned(), at: at.as_millisecond() };
        self.sign_with(object, &found.vendor_id, secret, Some(held)).await?;
        // Thousandths of a second are written down.
        let issued_at = Timestamp::from_millisecond(at.as_millisecond()).ok();
        Ok(Issued { key_id, secret: None, issued_at, expires_at: None, already_there: false })
    }

    /// Ends what a webhook signs with: from now on it signs with what nobody keeps, and is never unsigned.
    pub(crate) async fn end_secret(&self, object: &ObjectRef) -> Result<Ended> {
        let found = self.existing(object).await?;
        let nobodys = signed::choose()?;
        self.sign_with(object, &found.vendor_id, &nobodys, None).await?;
        Ok(Ended::Now)
    }

    pub(crate) async fn delete_webhook(&self, object: &ObjectRef) -> Result<Ended> {
        let (place, id) = split(&object.key).ok_or_else(|| no_such(object))?;
        let path = format!("{}/{id}", self.hooks_path(place));
        match self.api.change("DELETE", path, below!(place, "/{hook_id}"), None).await {
            Ok(_) => Ok(Ended::Now),
            Err(error) if is_gone(&error) => {
                match self.hooks(place, false).await?.iter().any(|hook| hook.id == id) {
                    false => Ok(Ended::AlreadyGone),
                    true => Err(hidden("DELETE hooks/{hook_id}")),
                }
            }
            Err(error) => Err(error),
        }
    }

    /// Whether deliveries are signed with a secret: GitHub sends a ping to where the webhook delivers, and
    /// tells under which signature. The secret is compared here.
    pub(crate) async fn signs_with(&self, object: &ObjectRef, secret: &Secret) -> Result<Probe> {
        let (place, id) = split(&object.key).ok_or_else(|| no_such(object))?;
        let refused = |class: &str| Ok(Probe::Refused { class: class.to_owned() });
        let all = self.hooks(place, false).await?;
        let hook = all.iter().find(|hook| hook.id == id).ok_or_else(|| no_such(object))?;
        if !hook.active {
            return refused("switched off");
        }
        if !hook.config.signs() {
            return refused("unsigned");
        }
        let base = format!("{}/{id}", self.hooks_path(place));
        let deliveries = async || {
            let path = format!("{base}/deliveries?per_page=100");
            let template = below!(place, "/{hook_id}/deliveries");
            self.api.get::<Vec<Delivery>>(path, template).await
        };
        let before: Vec<u64> = deliveries().await?.iter().map(|one| one.id).collect();
        self.api.ping(format!("{base}/pings"), below!(place, "/{hook_id}/pings")).await?;
        let mut found = None;
        for look in 0..LOOKS {
            if look > 0 {
                tokio::time::sleep(PAUSE).await;
            }
            let all = deliveries().await?;
            found = all.into_iter().find(|one| one.event == "ping" && !before.contains(&one.id));
            if found.is_some() {
                break;
            }
        }
        let what = "GET hooks/{hook_id}/deliveries/{delivery_id}";
        let Some(found) = found else {
            let message = "GitHub tells of no delivery of the ping yet".to_owned();
            return Err(Error::no_judgment(what, message, false));
        };
        let path = format!("{base}/deliveries/{}", found.id);
        let template = below!(place, "/{hook_id}/deliveries/{delivery_id}");
        let answer = self.api.body(path, template).await?;
        let delivered = Delivered::read(&answer.body)
            .ok_or_else(|| unexpected(what, "it does not say what was sent"))?;
        match delivered.is_signed_with(secret) {
            true => Ok(Probe::Accepted { residual: None, scopes: None }),
            false if delivered.is_signed() => refused("signed with another"),
            false => refused("unsigned"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_says_where_a_webhook_is() {
        for (key, repository, id) in [("7", None, 7), ("api/12", Some("api"), 12)] {
            assert_eq!(split(key), Some((Place { repository }, id)));
            assert_eq!(key_of(Place { repository }, id), key);
        }
        for none in ["", "x", "api/", "a b/7", "../7", "api/7/8", "07", "+7", "api/07"] {
            assert_eq!(split(none), None, "{none}");
        }
    }

    #[test]
    fn a_name_is_an_address_without_what_may_be_secret() {
        for (url, name) in [
            ("https://ci.example/hook", "https://ci.example/hook"),
            ("https://u:p%40@ci.example:8/a@b/?token=s#f", "https://ci.example:8/a@b/"),
            ("https://u:p@ci.example?token=s", "https://ci.example"),
            ("", ""),
        ] {
            assert_eq!(named_by(url), name);
        }
    }

    #[test]
    fn what_is_known_of_a_secret_is_what_is_written_down_where_github_says_that_there_is_one() {
        let hook = |secret: &str| -> Hook {
            let text = format!(
                r#"{{"id":7,"active":true,"events":[],"config":{{"url":"https://x","insecure_ssl":"0"{secret}}}}}"#
            );
            serde_json::from_str(&text).unwrap()
        };
        let held = |id: &str| Held { id: id.into(), marker: "m".into(), at: 7 };
        let signed = hook(r#","secret":"********""#);
        let note = |secret| Note { secret, ..Note::of(WEBHOOK, "7", "7") };
        let told = |hook: &Hook, note: Option<&Note>| -> Vec<String> {
            credentials(hook, note).into_iter().map(|one| one.key_id).collect()
        };
        assert_eq!(told(&signed, None), [THEIRS]);
        assert_eq!(told(&signed, Some(&note(None))), [THEIRS]);
        assert!(told(&signed, Some(&note(Some(Signs::Nobodys)))).is_empty());
        let ours = note(Some(Signs::With(held("a"))));
        assert_eq!(told(&signed, Some(&ours)), ["a"]);
        let between = Signs::Between { before: Some(held("a")), now: Some(held("b")) };
        assert_eq!(told(&signed, Some(&note(Some(between)))), ["a"]);
        // Somebody took it away.
        assert!(told(&hook(""), Some(&ours)).is_empty() && told(&hook(""), None).is_empty());
    }
}
