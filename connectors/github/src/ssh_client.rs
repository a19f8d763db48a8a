//! Deploy keys, and whoever holds those of a name: added with a marker in their title, listed, ended.
//!
//! | a key's title | what it is |
//! |---|---|
//! | `checkout nhi1-…` | a credential of `checkout`, with our marker |
//! | anything else | a credential that somebody made by hand, of the integration of just that name |
//!
//! GitHub changes no key, and shows the public half of each: which one a private key belongs to is told
//! by that.

use std::collections::{BTreeMap, BTreeSet};

use connector::{
    Change, Ended, Error, Freshness, IssueRequest, Issued, NewIntegration, ObjectRef, Probe,
    Result, Want, marked,
};
use data_encoding::HEXLOWER;
use domain::{
    GrantedScope, LastUsed, ObservedCredential, ObservedIntegration, Scope, Secret, Settings,
    settings::Setting,
};
use futures::{StreamExt, stream};
use ring::rand::{SecureRandom, SystemRandom};
use serde_json::json;

use crate::{
    api::{DeployKey, Listing, Pages, json as body, parse},
    key,
    note::Note,
    organization::{
        AT_ONCE, Notes, Organization, Seen, gap, hidden, is_gone, is_name, no_such, only_held,
        unexpected, unsupported,
    },
    tables::{ADD_OURS, DEPLOY_KEY, READ_ONLY, REPOSITORY, SSH_CLIENT},
};

/// Where an integration is: its repository, and the name that its keys bear.
fn place(key: &str) -> Option<(&str, &str)> {
    key.split_once('/').filter(|(repository, name)| is_name(repository) && !name.is_empty())
}

/// Whose a key is, and its marker. What bears no name is known by its number.
fn read(one: &DeployKey) -> (String, Option<&str>) {
    match marked::split_mark(&one.title) {
        Some((of, marker)) => (of.to_owned(), Some(marker)),
        None if one.title.trim().is_empty() => (format!("#{}", one.id), None),
        None => (one.title.clone(), None),
    }
}

fn credential(one: &DeployKey) -> ObservedCredential {
    ObservedCredential {
        key_id: one.id.to_string(),
        credential_type: DEPLOY_KEY.to_owned(),
        marker: read(one).1.map(str::to_owned),
        issued_at: Some(one.created_at),
        expires_at: None,
        last_used: one.last_used.map_or(LastUsed::Unknown, LastUsed::At),
        live: one.works(),
        disabled: false,
        settings: Settings::default().with(READ_ONLY, Setting::Flag(one.read_only)),
    }
}

/// What is there of an integration: what is written down, and its keys, the oldest first.
fn observed(
    key: &str,
    note: Option<&Note>,
    mut keys: Vec<&DeployKey>,
    want: Want,
) -> Option<ObservedIntegration> {
    let (repository, name) = place(key)?;
    keys.sort_by_key(|one| one.id);
    let oldest = keys.first().map(|one| format!("key-{}", one.id));
    let vendor_id = note.map(|note| note.of.clone()).or(oldest)?;
    let may = |one: &&&DeployKey| one.works();
    let scopes: BTreeSet<GrantedScope> = keys
        .iter()
        .filter(may)
        .map(|one| if one.read_only { "contents:read" } else { "contents:write" })
        .map(|scope| GrantedScope::standing(Scope::canonical(scope)))
        .collect();
    Some(ObservedIntegration {
        kind: SSH_CLIENT.to_owned(),
        key: key.to_owned(),
        vendor_id,
        name: note.and_then(|note| note.name.clone()).unwrap_or_else(|| name.to_owned()),
        settings: Settings::default().with(REPOSITORY, Setting::Text(repository.to_owned())),
        record: note.and_then(Note::record),
        contacts: None,
        parked: scopes.is_empty(),
        scopes,
        enabled: true,
        builtin: false,
        credentials: want.credentials.then(|| keys.iter().map(|one| credential(one)).collect()),
        gaps: Vec::new(),
    })
}

/// A making of an integration, unlike any other.
fn incarnation() -> Result<String> {
    let mut bytes = [0u8; 8];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| Error::Configuration("this machine gives no random numbers".into()))?;
    Ok(HEXLOWER.encode(&bytes))
}

impl Organization {
    async fn keys(&self, repository: &str, shared: bool) -> Result<Pages<DeployKey>> {
        let path = format!("repos/{}/{repository}/keys", self.name);
        let listing = Listing::new(path, "repos/{owner}/{repo}/keys");
        self.api.list::<Vec<DeployKey>, DeployKey>(&listing, shared).await
    }

    /// The same, with where they are.
    async fn keys_of(
        &self,
        repository: String,
        shared: bool,
    ) -> (String, Result<Pages<DeployKey>>) {
        let keys = self.keys(&repository, shared).await;
        (repository, keys)
    }

    /// The repository of an integration, and the keys that bear its name.
    async fn its_keys(&self, object: &ObjectRef) -> Result<(String, Vec<DeployKey>)> {
        let (repository, name) = place(&object.key).ok_or_else(|| no_such(object))?;
        let all = self.keys(repository, false).await?;
        let its = all.iter().filter(|one| read(one).0 == name).cloned().collect();
        Ok((repository.to_owned(), its))
    }

    pub(crate) async fn ssh_clients_seen(&self, notes: &Notes, want: Want) -> Result<Seen> {
        let shared = want.freshness == Freshness::Shared;
        let repositories = self.repositories(shared).await?;
        let asked = repositories.into_iter().map(|one| self.keys_of(one, shared));
        let mut asked = stream::iter(asked).buffered(AT_ONCE);
        let mut seen = Seen::default();
        while let Some((repository, keys)) = asked.next().await {
            let keys = match keys {
                Ok(keys) => keys,
                Err(error) => {
                    seen.gaps.push(gap(&format!("{SSH_CLIENT} of {repository}"), &error));
                    continue;
                }
            };
            let mut of: BTreeMap<String, (Option<Note>, Vec<&DeployKey>)> = BTreeMap::new();
            for one in keys.iter() {
                of.entry(format!("{repository}/{}", read(one).0)).or_default().1.push(one);
            }
            let here = |note: &Note| place(&note.key).is_some_and(|(of, _)| of == repository);
            for note in notes.all_of(SSH_CLIENT).filter(here) {
                let key = note.key.clone();
                of.entry(key).or_default().0 = Some(note);
            }
            let found = of
                .into_iter()
                .filter_map(|(key, (note, keys))| observed(&key, note.as_ref(), keys, want));
            seen.integrations.extend(found);
        }
        Ok(seen)
    }

    pub(crate) async fn ssh_client_seen(
        &self,
        notes: &Notes,
        object: &ObjectRef,
        want: Want,
    ) -> Result<Option<ObservedIntegration>> {
        let Some((repository, name)) = place(&object.key) else { return Ok(None) };
        let all = self.keys(repository, want.freshness == Freshness::Shared).await?;
        let its = all.iter().filter(|one| read(one).0 == name).collect();
        let note = notes.find(SSH_CLIENT, &object.key);
        Ok(observed(&object.key, note.as_ref(), its, want))
    }

    /// Makes an integration: what is written down of it, and no key that lets anybody in.
    pub(crate) async fn make_ssh_client(
        &self,
        new: &NewIntegration,
    ) -> Result<ObservedIntegration> {
        let repository = new.settings.text(REPOSITORY).unwrap_or_default();
        self.check_repository(repository).await?;
        let key = format!("{repository}/{}", new.name);
        let object = ObjectRef {
            kind: SSH_CLIENT.to_owned(),
            key: key.clone(),
            vendor_id: None,
            name: new.name.clone(),
        };
        let _turn = self.turns.take(&key).await;
        let notes = self.written(false).await?;
        let there = self.ssh_client_seen(&notes, &object, Want::DEED).await?;
        let ours = there.as_ref().and_then(|found| found.record.as_ref()).is_some_and(|record| {
            record.unfinished && record.realm.is_some() && record.realm == new.record.realm
        });
        if there.is_some() && !ours {
            return Err(Error::Exists { what: format!("{SSH_CLIENT} {key:?}"), key });
        }
        let made = match there {
            Some(found) => found.vendor_id,
            None => incarnation()?,
        };
        // Of two that come at once GitHub takes one: a variable of this name is there already.
        let note = Note::of(SSH_CLIENT, &key, &made).with_record(&new.record);
        let note = Note { name: Some(new.name.clone()), ..note };
        self.write(&notes, &note).await?;
        let back = self.back(&object).await?;
        if back.vendor_id == made {
            return Ok(back);
        }
        Err(unexpected("create", "somebody else wrote it at the same time").after_change("create"))
    }

    /// Whether a change can be had at all: what its keys may do is theirs.
    pub(crate) fn change_ssh_client(
        &self,
        found: &ObservedIntegration,
        change: &Change,
    ) -> Result<()> {
        let moves = |wanted: &Settings| wanted.text(REPOSITORY) != found.settings.text(REPOSITORY);
        if change.settings.as_ref().is_some_and(moves) {
            return unsupported("move keys to another repository");
        }
        if change.enabled == Some(false) {
            return unsupported("switch deploy keys off: they are ended");
        }
        only_held(&found.scopes, change)
    }

    /// Adds a key of ours.
    pub(crate) async fn add_key(
        &self,
        object: &ObjectRef,
        request: &IssueRequest<'_>,
        secret: &Secret,
    ) -> Result<Issued> {
        if request.profile != ADD_OURS {
            return unsupported("issue in this way");
        }
        self.existing(object).await?;
        let (repository, its) = self.its_keys(object).await?;
        let line = key::public(secret)?;
        let issued = |one: &DeployKey, already_there| Issued {
            key_id: one.id.to_string(),
            secret: None,
            issued_at: Some(one.created_at),
            expires_at: None,
            already_there,
        };
        if let Some(there) = its.iter().find(|one| key::same(&one.key, &line)) {
            return Ok(issued(there, true));
        }
        let read_only = request.settings.flag(READ_ONLY).unwrap_or(true);
        let (_, name) = place(&object.key).ok_or_else(|| no_such(object))?;
        let wanted = json!({
            "title": marked::marked(name, request.marker), "key": line, "read_only": read_only,
        });
        let path = format!("repos/{}/{repository}/keys", self.name);
        let template = "repos/{owner}/{repo}/keys";
        let answer = self.api.change("POST", path, template, Some(body(&wanted)?)).await?;
        let what = "POST repos/{owner}/{repo}/keys";
        let made: DeployKey = parse(what, &answer.body)?;
        if made.read_only != read_only || !key::same(&made.key, &line) {
            return Err(
                unexpected(what, "the key is another than was asked for").after_change("issue")
            );
        }
        Ok(issued(&made, false))
    }

    pub(crate) async fn find_key(
        &self,
        object: &ObjectRef,
        secret: &Secret,
    ) -> Result<Option<ObservedCredential>> {
        let line = key::public(secret)?;
        let (_, its) = self.its_keys(object).await?;
        Ok(its.iter().find(|one| key::same(&one.key, &line)).map(credential))
    }

    /// Whether GitHub has the public half among the keys that work. Nobody signs in for it.
    pub(crate) async fn is_listed(&self, object: &ObjectRef, secret: &Secret) -> Result<Probe> {
        let found = self.find_key(object, secret).await?;
        Ok(match found {
            Some(one) if one.live => Probe::Accepted { residual: None, scopes: None },
            Some(_) => Probe::Refused { class: "forbidden by the organisation".into() },
            None => Probe::Refused { class: "not listed".into() },
        })
    }

    /// Ends a key that is listed.
    pub(crate) async fn end_key(&self, object: &ObjectRef, key_id: &str) -> Result<Ended> {
        let (repository, name) = place(&object.key).ok_or_else(|| no_such(object))?;
        let path = format!("repos/{}/{repository}/keys/{key_id}", self.name);
        let template = "repos/{owner}/{repo}/keys/{key_id}";
        match self.api.change("DELETE", path, template, None).await {
            Ok(_) => Ok(Ended::Now),
            Err(error) if is_gone(&error) => {
                let all = self.keys(repository, false).await?;
                let is = |one: &DeployKey| one.id.to_string() == key_id && read(one).0 == name;
                match all.iter().any(is) {
                    false => Ok(Ended::AlreadyGone),
                    true => Err(hidden("DELETE repos/{owner}/{repo}/keys/{key_id}")),
                }
            }
            Err(error) => Err(error),
        }
    }

    /// Ends every key that bears the name.
    pub(crate) async fn end_keys(&self, found: &ObservedIntegration) -> Result<Ended> {
        let object = ObjectRef {
            kind: found.kind.clone(),
            key: found.key.clone(),
            vendor_id: None,
            name: found.name.clone(),
        };
        let mut ended = Ended::AlreadyGone;
        for one in found.credentials.iter().flatten() {
            let gone = self.end_key(&object, &one.key_id).await;
            let changed = ended == Ended::Now;
            gone.map_err(|error| if changed { error.after_change("delete") } else { error })?;
            ended = Ended::Now;
        }
        Ok(ended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: u64, title: &str, read_only: bool) -> DeployKey {
        let text = format!(
            r#"{{"id":{id},"key":"ssh-ed25519 AAAA","title":{title:?},"created_at":"2026-11-30T10:00:00Z",
                "read_only":{read_only}}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn a_title_says_whose_a_key_is_and_what_bears_none_is_known_by_its_number() {
        let marker = "nhi1-k3x9q2-abcdefgh-g1-e1-m";
        let marked = key(1, &marked::marked("checkout", marker), true);
        assert_eq!(read(&marked), ("checkout".to_owned(), Some(marker)));
        assert_eq!(read(&key(2, "my laptop", true)), ("my laptop".to_owned(), None));
        assert_eq!(read(&key(3, " ", true)), ("#3".to_owned(), None));
        for (text, found) in [("api/a b/c", Some(("api", "a b/c"))), ("api", None), ("../x", None)]
        {
            assert_eq!(place(text), found, "{text}");
        }
        assert_eq!((place("/x"), place("a/"), place("a b/x")), (None, None, None));
    }

    #[test]
    fn an_integration_may_what_those_of_its_keys_may_that_work() {
        let [reads, writes] = [key(7, "a", true), key(5, "a", false)];
        let off = DeployKey { enabled: Some(false), ..writes.clone() };
        let of = |keys: Vec<&DeployKey>| {
            let found = observed("api/a", None, keys, Want::DEED).unwrap();
            let scopes: Vec<String> =
                found.scopes.iter().map(|one| one.scope.as_str().to_owned()).collect();
            (found.vendor_id, scopes.join(" "))
        };
        assert_eq!(
            of(vec![&reads, &writes]),
            ("key-5".into(), "contents:read contents:write".into())
        );
        assert_eq!(of(vec![&reads, &off]), ("key-5".into(), "contents:read".into()));
        assert!(observed("api/a", None, Vec::new(), Want::DEED).is_none());
        let note = Note::of(SSH_CLIENT, "api/a", "made");
        let parked = observed("api/a", Some(&note), Vec::new(), Want::DEED).unwrap();
        assert!(parked.parked && parked.vendor_id == "made");
    }
}
