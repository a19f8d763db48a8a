//! What one run sees of the earth: the ports of the deeds, with what goes wrong in their calls, and a watch
//! over what they ask for.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    sync::Arc,
};

use async_trait::async_trait;
use connector::{
    Change, Children, Connection, Connector, CredentialListing, Directory, Ended, Field,
    IssueRequest, Issued, Kind, Member, NewIntegration, ObjectRef, Outcome, Platform, Probe,
    Promise, ScopeError, Setup, Want,
    fake::{self, Fake},
};
use domain::{
    Action, Gap, GapExtent, Marker, Observation, ObservedCredential, ObservedIntegration, Scope,
    Secret, Settings, Span,
};
use jiff::Timestamp;
use operations::{Connections, Problem};
use secrets::{
    Document, Expect, Look, MemorySink, Mirror, Sink, SinkCapabilities, SinkError, Stored, Version,
};

use super::{
    Lapse, PLATFORMS,
    earth::{APPS, Earth, PEOPLE, Role, Runner, VAULT},
};
use crate::ports::Fate;

/// What sinks and directories are: they hold no integrations.
#[derive(Debug)]
struct Places;

impl Platform for Places {
    fn name(&self) -> &'static str {
        "places"
    }
    fn doc(&self) -> &'static str {
        "Secrets, or people."
    }
    fn connection_fields(&self) -> &'static [Field] {
        &[]
    }
    fn kinds(&self) -> &'static [Kind] {
        &[]
    }
    fn parse_scope(&self, kind: &str, text: &str) -> Result<Vec<Scope>, ScopeError> {
        fake::PLATFORM.parse_scope(kind, text)
    }
    fn implies(&self, _: &str, a: &Scope, b: &Scope) -> bool {
        a == b
    }
    fn action(&self, _: &str, _: &Scope) -> Action {
        Action::Unknown
    }
    fn connect(&'static self, setup: Setup) -> connector::Result<Connection> {
        fake::PLATFORM.connect(setup)
    }
}

/// What a connection leads to.
fn platform_of(name: &str) -> &'static dyn Platform {
    match name {
        APPS | PEOPLE | VAULT => &Places,
        _ => &fake::PLATFORM,
    }
}

/// What one run sees.
#[derive(Debug, Clone)]
pub(super) struct Eyes {
    pub(super) earth: Arc<Earth>,
    pub(super) run: Arc<Runner>,
}

fn lost(what: &str) -> impl Fn(Outcome) -> connector::Error + Send + use<> {
    let what = what.to_owned();
    move |outcome| connector::Error::Unreachable {
        what: what.clone(),
        message: "nobody answered".into(),
        outcome,
    }
}

fn sink_lost(path: &str) -> impl Fn(Outcome) -> SinkError + Send + use<> {
    let place = path.to_owned();
    move |outcome| {
        let (place, reason) = (place.clone(), "nobody answered".to_owned());
        match outcome {
            Outcome::Ambiguous => SinkError::Ambiguous { place, reason },
            _ => SinkError::Unreachable { place, reason },
        }
    }
}

impl Eyes {
    /// A call that changes nothing; whether a part of what it shows is missing.
    async fn look<T, E>(
        &self,
        place: &'static str,
        lost: impl Fn(Outcome) -> E,
        seen: impl Future<Output = Result<T, E>>,
    ) -> Result<(T, bool), E> {
        match self.run.turn(&self.earth, place).await {
            Fate::NotSent | Fate::RequestLost | Fate::AnswerLost => Err(lost(Outcome::NotSent)),
            Fate::DiesAfter => self.run.die().await,
            fate => Ok((seen.await?, fate == Fate::NotKept)),
        }
    }

    /// A call that changes something.
    async fn change<T, E>(
        &self,
        place: &'static str,
        lost: impl Fn(Outcome) -> E,
        done: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        match self.run.turn(&self.earth, place).await {
            Fate::NotSent => Err(lost(Outcome::NotSent)),
            Fate::RequestLost => Err(lost(Outcome::Ambiguous)),
            Fate::AnswerLost => {
                done.await?;
                Err(lost(Outcome::Ambiguous))
            }
            Fate::DiesAfter => {
                let _ = done.await;
                self.run.die().await
            }
            _ => done.await,
        }
    }
}

/// A platform, as one run sees it.
#[derive(Debug, Clone)]
struct Seen {
    eyes: Eyes,
    place: &'static str,
    fake: Fake,
}

impl Seen {
    fn id(&self, object: &ObjectRef) -> String {
        format!("{}/{}/{}", self.place, object.kind, object.key)
    }

    fn has(&self, lapse: Lapse) -> bool {
        self.eyes.earth.has(lapse)
    }

    /// A part of what it shows is missing.
    fn leaves_out(&self, half: bool) {
        if half {
            self.eyes.run.note(self.place, Fate::NotKept);
        }
    }

    fn breaks(&self, what: String) {
        self.eyes.earth.breaks(format!("{what}, by {}", self.eyes.run.name));
    }

    /// What works between applies gives nothing, and takes nothing from whose owner is there.
    async fn may_modify(&self, object: &ObjectRef, change: &Change) {
        if self.eyes.run.role != Role::Tick {
            return;
        }
        let id = self.id(object);
        if change.enabled == Some(true) {
            self.breaks(format!("POWER: {id} is switched on between applies"));
        }
        if change.enabled == Some(false) {
            let facts = self.eyes.earth.facts();
            let gone = facts.owners.get(&id).and_then(|owner| facts.people.get(owner));
            let now = self.eyes.earth.now();
            let gone = gone.is_some_and(|one| {
                let since = one.changed_at.unwrap_or(now);
                // The day counts from its beginning.
                !one.active && now.duration_since(since) + DAY >= facts.grace
            });
            drop(facts);
            if !gone {
                self.breaks(format!("LOCKOUT: {id} is switched off, and its owner is there"));
            }
        }
        let Some(scopes) = &change.scopes else { return };
        let Ok(Some(there)) = self.fake.read(object, Want::DEED).await else { return };
        let has: BTreeSet<_> = there.scopes.iter().map(|one| &one.scope).collect();
        if let Some(more) = scopes.iter().find(|one| !has.contains(&one.scope)) {
            self.breaks(format!("POWER: {id} is given {} between applies", more.scope));
        }
    }

    /// A key is made once of each generation, and none of what was off when the run began.
    fn may_issue(&self, object: &ObjectRef, marker: &str) {
        let id = self.id(object);
        let mut facts = self.eyes.earth.facts();
        if facts.off.get(&id).is_some_and(|since| *since < self.eyes.run.began) {
            let what = format!("POWER: {id} is off, and gets a key, by {}", self.eyes.run.name);
            facts.broken.push(what);
        }
        let generation = Marker::parse(marker).map_or(0, |marker| marker.generation);
        let made = (self.eyes.run.name.clone(), self.eyes.earth.now());
        facts.issued.entry((id, generation)).or_default().push(made);
    }
}

const DAY: jiff::SignedDuration = jiff::SignedDuration::from_hours(24);

#[async_trait]
impl Connector for Seen {
    fn platform(&self) -> &'static dyn Platform {
        &fake::PLATFORM
    }
    async fn tenant(&self) -> connector::Result<String> {
        let seen = self.eyes.look(self.place, lost("tenant"), self.fake.tenant()).await;
        Ok(seen?.0)
    }
    async fn list(&self, want: Want) -> connector::Result<Observation> {
        let seen = self.eyes.look(self.place, lost("list"), self.fake.list(want)).await;
        let (mut all, half) = seen?;
        self.leaves_out(half);
        if half && all.integrations.pop().is_some() && !self.has(Lapse::GapsAreSilent) {
            let cause = "a page is missing".to_owned();
            all.gaps.push(Gap { extent: GapExtent::Page("2".into()), cause });
        }
        Ok(all)
    }
    async fn read(
        &self,
        object: &ObjectRef,
        want: Want,
    ) -> connector::Result<Option<ObservedIntegration>> {
        let read = self.fake.read(object, want);
        let (mut found, half) = self.eyes.look(self.place, lost("read"), read).await?;
        self.leaves_out(half && found.is_some());
        if let Some(found) = &mut found {
            if half && self.has(Lapse::GapsAreSilent) {
                // What cannot be read looks like what is to be there.
                let ours = |one: &ObservedCredential| one.marker.is_some();
                found.credentials.iter_mut().for_each(|all| all.retain(ours));
            } else if half {
                found.credentials = None;
                let extent = GapExtent::Facet(object.key.clone(), "credentials");
                found.gaps.push(Gap { extent, cause: "403".into() });
            }
            if self.has(Lapse::TheSwitchIsNotSeen) {
                found.enabled = true;
            }
        }
        Ok(found)
    }
    async fn create(&self, new: &NewIntegration) -> connector::Result<ObservedIntegration> {
        self.fake.create(new).await
    }
    async fn modify(
        &self,
        object: &ObjectRef,
        change: &Change,
    ) -> connector::Result<ObservedIntegration> {
        let mut change = change.clone();
        if self.has(Lapse::TakingAwayGivesAnother)
            && let Some(scopes) = &mut change.scopes
        {
            scopes
                .insert(domain::GrantedScope::standing(domain::Scope::canonical("orders:delete")));
        }
        self.may_modify(object, &change).await;
        let done = async {
            let now = self.fake.modify(object, &change).await?;
            let (id, at) = (self.id(object), self.eyes.earth.now());
            let mut facts = self.eyes.earth.facts();
            match now.enabled {
                true => drop(facts.off.remove(&id)),
                false => drop(facts.off.entry(id).or_insert(at)),
            }
            drop(facts);
            Ok(now)
        };
        self.eyes.change(self.place, lost("modify"), done).await
    }
    async fn delete(&self, object: &ObjectRef) -> connector::Result<Ended> {
        self.fake.delete(object).await
    }
    async fn credentials(&self, object: &ObjectRef) -> connector::Result<CredentialListing> {
        let listed = self.fake.credentials(object);
        let (mut listing, half) = self.eyes.look(self.place, lost("list keys"), listed).await?;
        self.leaves_out(half);
        if half {
            listing.credentials.pop();
            listing.complete = self.has(Lapse::GapsAreSilent);
        }
        Ok(listing)
    }
    async fn promises(&self, of: &str) -> connector::Result<Vec<Promise>> {
        self.fake.promises(of).await
    }
    fn choose_secret(
        &self,
        of: &str,
        settings: &Settings,
        marker: &str,
    ) -> connector::Result<Secret> {
        self.fake.choose_secret(of, settings, marker)
    }
    async fn issue(
        &self,
        object: &ObjectRef,
        request: IssueRequest<'_>,
    ) -> connector::Result<Issued> {
        let marker = request.marker.to_owned();
        let done = async {
            let made = self.fake.issue(object, request).await?;
            if !made.already_there {
                self.may_issue(object, &marker);
            }
            Ok(made)
        };
        self.eyes.change(self.place, lost("issue"), done).await
    }
    async fn mark(&self, object: &ObjectRef, key_id: &str, marker: &str) -> connector::Result<()> {
        let done = self.fake.mark(object, key_id, marker);
        self.eyes.change(self.place, lost("mark"), done).await
    }
    async fn find(
        &self,
        object: &ObjectRef,
        of: &str,
        secret: &Secret,
    ) -> connector::Result<Option<ObservedCredential>> {
        let found = self.fake.find(object, of, secret);
        Ok(self.eyes.look(self.place, lost("find"), found).await?.0)
    }
    fn disables(&self, of: &str) -> bool {
        self.fake.disables(of)
    }
    fn last_use_lag(&self, of: &str) -> Option<Span> {
        self.fake.last_use_lag(of)
    }
    async fn disable(&self, object: &ObjectRef, key_id: &str) -> connector::Result<()> {
        let done = self.fake.disable(object, key_id);
        self.eyes.change(self.place, lost("disable"), done).await
    }
    async fn enable(&self, object: &ObjectRef, key_id: &str) -> connector::Result<()> {
        let done = self.fake.enable(object, key_id);
        self.eyes.change(self.place, lost("enable"), done).await
    }
    fn moves_expiry(&self, of: &str) -> bool {
        self.fake.moves_expiry(of)
    }
    async fn set_expiry(
        &self,
        object: &ObjectRef,
        key_id: &str,
        at: Option<Timestamp>,
    ) -> connector::Result<()> {
        let done = self.fake.set_expiry(object, key_id, at);
        self.eyes.change(self.place, lost("set an end"), done).await
    }
    async fn end(&self, object: &ObjectRef, key_id: &str) -> connector::Result<Ended> {
        let named = format!("{}/{key_id}", self.place);
        if self.eyes.earth.facts().theirs.contains(&named) {
            self.breaks(format!("LOCKOUT: {named}, which a person made, is ended"));
        }
        let done = self.fake.end(object, key_id);
        self.eyes.change(self.place, lost("end"), done).await
    }
    async fn sweep(&self, object: &ObjectRef, marker: Option<&str>) -> connector::Result<Children> {
        let done = self.fake.sweep(object, marker);
        self.eyes.change(self.place, lost("sweep"), done).await
    }
    async fn probe(
        &self,
        object: &ObjectRef,
        of: &str,
        secret: &Secret,
    ) -> connector::Result<Probe> {
        let probed = self.fake.probe(object, of, secret);
        Ok(self.eyes.look(self.place, lost("sign in"), probed).await?.0)
    }
    fn random_like(&self, of: &str, secret: &Secret) -> connector::Result<Secret> {
        self.fake.random_like(of, secret)
    }
}

/// The directory, as one run sees it.
#[derive(Debug)]
struct People(Eyes);

#[async_trait]
impl Directory for People {
    async fn member(&self, id: &str) -> connector::Result<Option<Member>> {
        let earth = self.0.earth.clone();
        let found = async { Ok(earth.facts().people.get(id).cloned()) };
        let (member, _) = self.0.look(PEOPLE, lost("member"), found).await?;
        Ok(match member {
            Some(member) if self.0.earth.has(Lapse::NobodyEverLeaves) => {
                Some(Member { active: true, ..member })
            }
            member => member,
        })
    }
    async fn check(&self) -> connector::Result<u64> {
        Ok(self.0.earth.facts().people.len() as u64)
    }
}

/// Custody, or consumers' places, as one run sees them.
#[derive(Debug)]
struct Store {
    eyes: Eyes,
    place: &'static str,
    inner: Arc<MemorySink>,
}

#[async_trait]
impl Sink for Store {
    fn capabilities(&self) -> SinkCapabilities {
        self.inner.capabilities()
    }
    async fn home(&self, path: &str) -> secrets::Result<secrets::Home> {
        self.inner.home(path).await
    }
    async fn read(&self, path: &str) -> secrets::Result<Option<Stored>> {
        Ok(self.eyes.look(self.place, sink_lost(path), self.inner.read(path)).await?.0)
    }
    async fn read_version(&self, path: &str, number: u64) -> secrets::Result<Option<Document>> {
        let read = self.inner.read_version(path, number);
        Ok(self.eyes.look(self.place, sink_lost(path), read).await?.0)
    }
    async fn kept_versions(&self, path: &str) -> secrets::Result<Vec<u64>> {
        self.inner.kept_versions(path).await
    }
    async fn look(&self, path: &str) -> secrets::Result<Option<Look>> {
        Ok(self.eyes.look(self.place, sink_lost(path), self.inner.look(path)).await?.0)
    }
    async fn look_all(&self, folder: &str) -> secrets::Result<BTreeMap<String, Look>> {
        let all = self.inner.look_all(folder);
        Ok(self.eyes.look(self.place, sink_lost(folder), all).await?.0)
    }
    async fn write(
        &self,
        path: &str,
        document: &Document,
        expect: Expect,
    ) -> secrets::Result<Version> {
        let done = async {
            let blind = self.place == VAULT && self.eyes.earth.has(Lapse::ClaimsExcludeNobody);
            if blind && matches!(expect, Expect::Version(_)) {
                let number = self.inner.version(path);
                return self.inner.write(path, document, Expect::Version(number)).await;
            }
            self.inner.write(path, document, expect).await
        };
        self.eyes.change(self.place, sink_lost(path), done).await
    }
    async fn write_mirror(&self, path: &str, mirror: &Mirror) -> secrets::Result<()> {
        let done = self.inner.write_mirror(path, mirror);
        self.eyes.change(self.place, sink_lost(path), done).await
    }
    async fn destroy_version(&self, path: &str, number: u64) -> secrets::Result<()> {
        let done = self.inner.destroy_version(path, number);
        self.eyes.change(self.place, sink_lost(path), done).await
    }
    async fn prepare_claim(&self, path: &str) -> secrets::Result<()> {
        let done = self.inner.prepare_claim(path);
        self.eyes.change(self.place, sink_lost(path), done).await
    }
}

#[async_trait]
impl Connections for Eyes {
    fn names(&self) -> Vec<String> {
        let platforms = PLATFORMS.iter().map(|(name, _)| *name);
        platforms.chain([APPS, PEOPLE, VAULT]).map(str::to_owned).collect()
    }
    fn platform(&self, name: &str) -> Result<&'static dyn Platform, Problem> {
        Ok(platform_of(name))
    }
    async fn get(&self, name: &str) -> Result<Connection, Problem> {
        let found = self.earth.platforms.get_key_value(name);
        let connector = found.map(|(place, fake)| -> Arc<dyn Connector> {
            Arc::new(Seen { eyes: self.clone(), place, fake: fake.clone() })
        });
        let store = |place, inner: &Arc<MemorySink>| -> Arc<dyn Sink> {
            Arc::new(Store { eyes: self.clone(), place, inner: inner.clone() })
        };
        let sink = match name {
            VAULT => Some(store(VAULT, &self.earth.vault)),
            APPS => Some(store(APPS, &self.earth.apps)),
            _ => None,
        };
        let people: Option<Arc<dyn Directory>> =
            (name == PEOPLE).then(|| Arc::new(People(self.clone())) as _);
        Ok(Connection { platform: platform_of(name), connector, sink, directory: people })
    }
    fn pinned_tenant(&self, _: &str) -> Option<String> {
        None
    }
}
