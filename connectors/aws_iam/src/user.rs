//! Users: listed by the page, read one by one, made, changed, deleted.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use connector::{
    Change, Children, Clock, Connector, CredentialListing, Ended, Error, Freshness, IssueRequest,
    Issued, NewIntegration, ObjectRef, Ourselves, Outcome, Platform, Probe, Promise, Refusal,
    Result, Turns, Want, port::unsupported,
};
use domain::{
    Gap, GapExtent, GrantedScope, Observation, ObservedCredential, ObservedIntegration, Record,
    Scope, Secret, Settings, settings::Setting,
};
use futures::{StreamExt, future, stream};
use tokio::sync::{OnceCell, OwnedMutexGuard};

use crate::{
    api::{Api, Call, unexpected},
    document,
    grants::{self, OFF},
    shapes::{Details, Identity, InlinePolicy, Listing, User, UserAnswer, other, result},
    tables::{ACCESS_KEY, PATH, PROFILES, USER},
    tags::{self, Tags},
};

/// How many users are looked at at once in a listing.
const AT_ONCE: usize = 8;
/// The most users that AWS puts on a page.
const PER_PAGE: &str = "1000";
/// How long AWS may take until every place knows what is new.
const YOUNG: Duration = Duration::from_secs(20);
/// How long a change is waited for that was accepted and does not show yet. IAM is eventually
/// consistent.
const PAUSES: [u64; 6] = [0, 200, 500, 1000, 2000, 4000];

/// Users through one connection.
#[derive(Debug)]
pub(crate) struct Users {
    platform: &'static dyn Platform,
    connection: String,
    pinned: Option<String>,
    pub(crate) api: Api,
    pub(crate) clock: Arc<dyn Clock>,
    identity: OnceCell<Identity>,
    /// When this process made a user or a key that AWS may not know everywhere yet, by its id.
    young: Mutex<HashMap<String, Instant>>,
    /// One at a time for each user.
    turns: Turns,
}

/// Inline policies by name, ARNs of attached ones, names of groups.
type Power = (BTreeMap<String, String>, BTreeSet<String>, BTreeSet<String>);

#[derive(Debug)]
struct Page {
    users: HashMap<String, User>,
    next: Option<String>,
}

/// Changes of one user, one after another. What fails after one was accepted is ambiguous.
struct Deeds<'a> {
    api: &'a Api,
    what: String,
    any: bool,
}

impl Deeds<'_> {
    async fn send(&mut self, call: Call) -> Result<()> {
        let done = self.api.change(call).await;
        self.took(done)
    }

    /// The same, where it is as well if it was so already.
    async fn send_or_gone(&mut self, call: Call) -> Result<()> {
        match self.api.change(call).await {
            Err(error) if error.refusal() == Some(Refusal::NotFound) => Ok(()),
            done => self.took(done),
        }
    }

    fn took(&mut self, done: Result<()>) -> Result<()> {
        match done {
            Err(error) if self.any => Err(error.after_change(&self.what)),
            done => {
                self.any |= done.is_ok();
                done
            }
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn not_found(object: &ObjectRef) -> Error {
    Error::Refused {
        what: format!("{USER} {:?}", object.key),
        refusal: Refusal::NotFound,
        message: "there is no such user".into(),
    }
}

fn of(template: &'static str, user: &str) -> Call {
    Call::look(template).with("UserName", user)
}

fn change(template: &'static str, user: &str) -> Call {
    Call::change(template).with("UserName", user)
}

fn tag_call(user: &str, tags: &Tags) -> Call {
    with_tags(change("iam:TagUser", user), tags)
}

fn with_tags(call: Call, tags: &Tags) -> Call {
    tags.iter().enumerate().fold(call, |call, (at, (name, value))| {
        let member = format!("Tags.member.{}", at + 1);
        call.with(&format!("{member}.Key"), name).with(&format!("{member}.Value"), value)
    })
}

fn written(record: &Record) -> Result<Tags> {
    tags::write(record).ok_or_else(|| {
        Error::Configuration(
            "the record is longer than the tags of a user have room for (6,800 characters): shorten \
             purpose, justification or labels"
                .into(),
        )
    })
}

/// A user as we say it.
fn observed(user: &User) -> ObservedIntegration {
    let scopes: BTreeSet<GrantedScope> =
        grants::held(user).into_iter().map(GrantedScope::standing).collect();
    let mut settings = Settings::default().with("path", Setting::Text(user.path.clone()));
    if let Some(boundary) = &user.boundary {
        settings = settings.with("permissions_boundary", Setting::Text(boundary.clone()));
    }
    let mut gaps = Vec::new();
    let record = match tags::read(&user.tags) {
        None => None,
        Some(Ok(record)) => Some(record),
        Some(Err(cause)) => {
            gaps.push(Gap { extent: GapExtent::Facet(user.name.clone(), "record"), cause });
            None
        }
    };
    ObservedIntegration {
        kind: USER.to_owned(),
        key: user.name.clone(),
        vendor_id: user.id.clone(),
        name: user.name.clone(),
        settings,
        record,
        parked: scopes.is_empty(),
        scopes,
        enabled: grants::off(user).is_none(),
        contacts: None,
        builtin: false,
        credentials: None,
        gaps,
    }
}

impl Users {
    pub(crate) fn new(
        platform: &'static dyn Platform,
        connection: String,
        pinned: Option<String>,
        api: Api,
        clock: Arc<dyn Clock>,
    ) -> Users {
        Users {
            platform,
            connection,
            pinned,
            api,
            clock,
            identity: OnceCell::new(),
            young: Mutex::default(),
            turns: Turns::default(),
        }
    }

    /// Who we are, asked once.
    pub(crate) async fn identity(&self) -> Result<&Identity> {
        let ask = async || {
            let identity: Identity = self.api.need(Call::look("sts:GetCallerIdentity")).await?;
            match &self.pinned {
                Some(pinned) if *pinned != identity.account => Err(Error::Tenant {
                    connection: self.connection.clone(),
                    expected: pinned.clone(),
                    found: identity.account,
                }),
                _ if identity.account.is_empty() => {
                    Err(unexpected("POST sts:GetCallerIdentity", "the account has no id"))
                }
                _ => Ok(identity),
            }
        };
        self.identity.get_or_try_init(ask).await
    }

    /// Checked before anything is sent that matters, where a tenant is pinned.
    pub(crate) async fn check_tenant(&self) -> Result<()> {
        match self.pinned {
            Some(_) => self.identity().await.map(drop),
            None => Ok(()),
        }
    }

    /// Waits for the turn at a user. IAM takes names that differ in case alone for one.
    async fn turn(&self, key: &str) -> OwnedMutexGuard<()> {
        self.turns.take(&key.to_ascii_lowercase()).await
    }

    /// One page of the account's users.
    async fn page(&self, marker: Option<&str>, shared: bool) -> Result<Arc<Page>> {
        let mut call = Call::look("iam:GetAccountAuthorizationDetails")
            .members("Filter", ["User"])
            .with("MaxItems", PER_PAGE)
            .shared(shared);
        if let Some(marker) = marker {
            call = call.with("Marker", marker);
        }
        let what = call.what();
        self.api.page(&call).await?.read_once(|body| {
            let details: Details = result(&what, body)?;
            let next = details.more().marker(&what)?;
            if next.is_some() && next.as_deref() == marker {
                return Err(unexpected(&what, "the listing goes on where it was before"));
            }
            let mut users = HashMap::new();
            for user in details.user_detail_list {
                let user = user.into_user(&what)?;
                users.insert(user.name.clone(), user);
            }
            Ok(Page { users, next })
        })
    }

    /// A user as the shared listing has it.
    async fn listed(&self, name: &str) -> Result<Option<User>> {
        let mut marker = None::<String>;
        loop {
            let page = self.page(marker.as_deref(), true).await?;
            if let Some(user) = page.users.get(name) {
                return Ok(Some(user.clone()));
            }
            match &page.next {
                Some(next) => marker = Some(next.clone()),
                None => return Ok(None),
            }
        }
    }

    /// A user without what it may do, asked for now.
    pub(crate) async fn bare(&self, name: &str) -> Result<Option<User>> {
        let call = of("iam:GetUser", name);
        let what = call.what();
        let Some(answer) = self.api.maybe::<UserAnswer>(call).await? else { return Ok(None) };
        let user = answer.into_user();
        if user.name == name { Ok(Some(user)) } else { Err(other(&what, name, &user.name)) }
    }

    /// What a user may do, asked for now: three requests, and one for each inline policy.
    async fn power(&self, name: &str) -> Result<Power> {
        let inline = async {
            let mut names = Vec::new();
            let each = |page: Listing| names.extend(page.policy_names);
            self.api.pages(|| of("iam:ListUserPolicies", name), each).await?;
            let read = |policy: String| async move {
                let call = of("iam:GetUserPolicy", name).with("PolicyName", &policy);
                let what = call.what();
                let found: InlinePolicy = self.api.need(call).await?;
                Ok::<_, Error>((policy, found.text(&what)?))
            };
            let read = future::try_join_all(names.into_iter().map(read)).await?;
            Ok(read.into_iter().collect())
        };
        let attached = async {
            let mut arns = BTreeSet::new();
            let each = |page: Listing| {
                arns.extend(page.attached_policies.into_iter().map(|one| one.policy_arn));
            };
            self.api.pages(|| of("iam:ListAttachedUserPolicies", name), each).await?;
            Ok(arns)
        };
        let groups = async {
            let mut names = BTreeSet::new();
            let each =
                |page: Listing| names.extend(page.groups.into_iter().map(|one| one.group_name));
            self.api.pages(|| of("iam:ListGroupsForUser", name), each).await?;
            Ok(names)
        };
        future::try_join3(inline, attached, groups).await
    }

    /// A user asked for now, whole, whatever else the account holds.
    async fn asked(&self, name: &str) -> Result<Option<User>> {
        let Some(bare) = self.bare(name).await? else { return Ok(None) };
        match self.power(name).await {
            Ok(power) => Ok(Some(bare.with_power(power))),
            // It went while it was looked at.
            Err(error) if error.refusal() == Some(Refusal::NotFound) => {
                match self.bare(name).await? {
                    None => Ok(None),
                    Some(_) => Err(error),
                }
            }
            Err(error) => Err(error),
        }
    }

    /// A user that must be there. One that this process has just made is waited for.
    async fn existing(&self, object: &ObjectRef) -> Result<User> {
        self.there(object, || self.asked(&object.key)).await
    }

    pub(crate) async fn there<F: Future<Output = Result<Option<User>>>>(
        &self,
        object: &ObjectRef,
        ask: impl Fn() -> F,
    ) -> Result<User> {
        for pause in PAUSES {
            tokio::time::sleep(Duration::from_millis(pause)).await;
            match ask().await? {
                Some(user) => {
                    object.check_incarnation(&user.id)?;
                    return Ok(user);
                }
                None if object.vendor_id.as_ref().is_some_and(|id| self.is_young(id)) => {}
                None => break,
            }
        }
        Err(not_found(object))
    }

    /// Remembers that something has just been made.
    pub(crate) fn made(&self, id: &str) {
        locked(&self.young).insert(id.to_owned(), Instant::now());
    }

    /// What is not there from here on is not missing for being new.
    pub(crate) fn unmade(&self, id: &str) {
        locked(&self.young).remove(id);
    }

    /// Whether AWS may not know it everywhere yet.
    pub(crate) fn is_young(&self, id: &str) -> bool {
        locked(&self.young).get(id).is_some_and(|at| at.elapsed() < YOUNG)
    }

    fn deeds(&self, what: String) -> Deeds<'_> {
        Deeds { api: &self.api, what, any: false }
    }

    /// Everything of a change, the giving before the taking; whether there was anything to do.
    async fn apply(&self, user: &User, change_to: &Change) -> Result<bool> {
        let mut deeds = self.deeds(format!("{USER} {:?}", user.name));
        if let Some(settings) = &change_to.settings {
            let path = settings.text("path").unwrap_or(PATH);
            if path != user.path {
                deeds.send(change("iam:UpdateUser", &user.name).with("NewPath", path)).await?;
            }
            match settings.text("permissions_boundary").filter(|arn| !arn.is_empty()) {
                wanted if wanted == user.boundary.as_deref() => {}
                Some(arn) => {
                    let call = change("iam:PutUserPermissionsBoundary", &user.name);
                    deeds.send(call.with("PermissionsBoundary", arn)).await?;
                }
                None => {
                    deeds.send(change("iam:DeleteUserPermissionsBoundary", &user.name)).await?;
                }
            }
        }
        if let Some(record) = &change_to.record {
            self.write_record(&mut deeds, user, record).await?;
        }
        if let Some(scopes) = &change_to.scopes {
            let wanted: BTreeSet<Scope> = scopes.iter().map(|one| one.scope.clone()).collect();
            let plan = grants::plan(user, &wanted).map_err(|rule| Error::Refused {
                what: deeds.what.clone(),
                refusal: Refusal::Invalid,
                message: format!("{rule} is in none of its policies, and only its hash is known"),
            })?;
            for call in plan.calls(&user.name) {
                deeds.send(call).await?;
            }
        }
        if let Some(enabled) = change_to.enabled {
            self.switch(&mut deeds, user, enabled).await?;
        }
        Ok(deeds.any)
    }

    async fn write_record(
        &self,
        deeds: &mut Deeds<'_>,
        user: &User,
        record: &Record,
    ) -> Result<()> {
        let wanted = written(record)?;
        if wanted.iter().any(|(name, value)| user.tags.get(name) != Some(value)) {
            deeds.send(tag_call(&user.name, &wanted)).await?;
        }
        let superfluous = tags::superfluous(&user.tags, &wanted);
        if !superfluous.is_empty() {
            let names = superfluous.iter().map(String::as_str);
            deeds.send(change("iam:UntagUser", &user.name).members("TagKeys", names)).await?;
        }
        Ok(())
    }

    /// Off is a policy that denies everything, at once and whatever else is allowed, and then every key
    /// inactive; the policy says which are to be active again.
    async fn switch(&self, deeds: &mut Deeds<'_>, user: &User, on: bool) -> Result<()> {
        let off = grants::off(user);
        if on && off.is_none() {
            return Ok(());
        }
        let keys = self.keys(&user.name, false).await?;
        let status = |id: &str, status: &str| {
            change("iam:UpdateAccessKey", &user.name).with("AccessKeyId", id).with("Status", status)
        };
        let active = keys.iter().filter(|key| key.is_active());
        if on {
            let again = off.unwrap_or_default();
            let sleeping = keys.iter().filter(|key| !key.is_active());
            for key in sleeping.filter(|key| again.contains(&key.access_key_id)) {
                deeds.send(status(&key.access_key_id, "Active")).await?;
            }
            let call = change("iam:DeleteUserPolicy", &user.name).with("PolicyName", OFF);
            return deeds.send_or_gone(call).await;
        }
        let mut again: BTreeSet<String> =
            active.clone().map(|key| key.access_key_id.clone()).collect();
        again.extend(off.clone().unwrap_or_default());
        if off.as_ref() != Some(&again) {
            let call = change("iam:PutUserPolicy", &user.name).with("PolicyName", OFF);
            deeds.send(call.with("PolicyDocument", &document::off(&again))).await?;
        }
        for key in active {
            // What is refused from here on is not refused for being new.
            self.unmade(&key.access_key_id);
            deeds.send(status(&key.access_key_id, "Inactive")).await?;
        }
        Ok(())
    }

    /// The last write of a create: from here on it is no unfinished one. Its answer can be lost, and then
    /// a look tells whether it was done.
    async fn finish(&self, user: &User, finished: &Tags) -> Result<()> {
        let mut last = None;
        for pause in PAUSES {
            tokio::time::sleep(Duration::from_millis(pause)).await;
            match self.api.change(tag_call(&user.name, finished)).await {
                Ok(()) => {
                    last = None;
                    break;
                }
                // Not known everywhere yet.
                Err(error) if error.refusal() == Some(Refusal::NotFound) => last = Some(error),
                Err(error) if error.outcome() == Outcome::Ambiguous => {
                    let now = self.bare(&user.name).await;
                    let has = |now: &User| {
                        let there = |(name, value)| now.tags.get(name) == Some(value);
                        now.id == user.id && finished.iter().all(there)
                    };
                    last = (!now.is_ok_and(|now| now.as_ref().is_some_and(has))).then_some(error);
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        if let Some(error) = last {
            return Err(error);
        }
        let superfluous = tags::superfluous(&user.tags, finished);
        if superfluous.is_empty() {
            return Ok(());
        }
        let names = superfluous.iter().map(String::as_str);
        // What is left over is none of the record's: the next change of it takes it away.
        let _ =
            self.api.change(change("iam:UntagUser", &user.name).members("TagKeys", names)).await;
        Ok(())
    }

    /// What is in force after a change: what it touched is asked for again. What does not show yet is
    /// waited for a while.
    async fn read_back(
        &self,
        object: &ObjectRef,
        before: User,
        wanted: &Change,
    ) -> Result<ObservedIntegration> {
        let what = format!("{USER} {:?}", object.key);
        let mut differs = "it is not there";
        let mut user = before;
        for pause in PAUSES {
            tokio::time::sleep(Duration::from_millis(pause)).await;
            let now = async {
                if wanted.settings.is_some() || wanted.record.is_some() {
                    let bare = self.there(object, || self.bare(&object.key)).await?;
                    let power = (user.inline.clone(), user.attached.clone(), user.groups.clone());
                    user = bare.with_power(power);
                }
                if wanted.scopes.is_some() || wanted.enabled.is_some() {
                    let power = self.power(&object.key).await?;
                    user = user.clone().with_power(power);
                }
                Ok::<_, Error>(())
            };
            match now.await {
                Ok(()) => {}
                Err(error) if error.refusal() == Some(Refusal::NotFound) => continue,
                Err(error) => return Err(error.after_change(&what)),
            }
            let seen = observed(&user);
            match difference(&seen, wanted) {
                None => return Ok(seen),
                Some(part) => differs = part,
            }
        }
        Err(unexpected(&what, &format!("AWS took the change and does not show it: {differs}")))
    }

    async fn with_credentials(&self, user: &User, want: Want) -> ObservedIntegration {
        let mut seen = observed(user);
        if want.credentials {
            let shared = want.freshness == Freshness::Shared;
            match self.observed_keys(user, shared, |_| want.details).await {
                Ok(keys) => seen.credentials = Some(keys),
                Err(error) => seen.gaps.push(Gap {
                    extent: GapExtent::Facet(user.name.clone(), "credentials"),
                    cause: error.to_string(),
                }),
            }
        }
        seen
    }
}

/// Which part of what was wanted is not so.
fn difference(seen: &ObservedIntegration, wanted: &Change) -> Option<&'static str> {
    if let Some(settings) = &wanted.settings {
        let text = |settings: &Settings, name: &str| {
            settings.text(name).filter(|text| !text.is_empty()).map(str::to_owned)
        };
        let path = text(settings, "path").unwrap_or_else(|| PATH.to_owned());
        if seen.settings.text("path") != Some(&path) {
            return Some("path");
        }
        let boundary = "permissions_boundary";
        if text(&seen.settings, boundary) != text(settings, boundary) {
            return Some(boundary);
        }
    }
    if wanted.record.is_some() && seen.record != wanted.record {
        return Some("the record");
    }
    if wanted.scopes.as_ref().is_some_and(|scopes| *scopes != seen.scopes) {
        return Some("its scopes");
    }
    if wanted.enabled.is_some_and(|enabled| enabled != seen.enabled) {
        return Some("its switch");
    }
    None
}

#[async_trait]
impl Connector for Users {
    fn platform(&self) -> &'static dyn Platform {
        self.platform
    }

    async fn tenant(&self) -> Result<String> {
        Ok(self.identity().await?.account.clone())
    }

    async fn list(&self, want: Want) -> Result<Observation> {
        let requested_at = self.clock.now();
        let tenant = self.identity().await?.account.clone();
        let shared = want.freshness == Freshness::Shared;
        let (mut pages, mut gaps, mut marker) = (Vec::new(), Vec::new(), None::<String>);
        loop {
            match self.page(marker.as_deref(), shared).await {
                Ok(page) => {
                    marker.clone_from(&page.next);
                    pages.push(page);
                }
                Err(error) if pages.is_empty() => return Err(error),
                Err(error) => {
                    let from = format!("page {}", pages.len() + 1);
                    gaps.push(Gap { extent: GapExtent::Page(from), cause: error.to_string() });
                    break;
                }
            }
            if marker.is_none() {
                break;
            }
        }
        let mut looks = Vec::new();
        for page in &pages {
            looks.extend(page.users.values().map(|user| self.with_credentials(user, want)));
        }
        let mut integrations: Vec<_> =
            stream::iter(looks).buffer_unordered(AT_ONCE).collect().await;
        integrations.sort_by(|a, b| (&a.kind, &a.key).cmp(&(&b.kind, &b.key)));
        Ok(Observation { tenant, requested_at, integrations, gaps })
    }

    async fn read(&self, object: &ObjectRef, want: Want) -> Result<Option<ObservedIntegration>> {
        self.check_tenant().await?;
        let found = match want.freshness {
            Freshness::Shared => self.listed(&object.key).await?,
            Freshness::Fresh => self.asked(&object.key).await?,
        };
        let Some(user) = found else { return Ok(None) };
        object.check_incarnation(&user.id)?;
        Ok(Some(self.with_credentials(&user, want).await))
    }

    async fn create(&self, new: &NewIntegration) -> Result<ObservedIntegration> {
        self.check_tenant().await?;
        let _turn = self.turn(&new.name).await;
        let what = format!("{USER} {:?}", new.name);
        // Two calls, so that one whose answer is lost is known from one that is finished.
        let started = written(&Record { unfinished: true, ..new.record.clone() })?;
        let finished = written(&new.record)?;
        let mut call = change("iam:CreateUser", &new.name)
            .with("Path", new.settings.text("path").unwrap_or(PATH));
        if let Some(arn) = new.settings.text("permissions_boundary").filter(|arn| !arn.is_empty()) {
            call = call.with("PermissionsBoundary", arn);
        }
        let user = match self.api.make::<UserAnswer>(with_tags(call, &started)).await {
            Ok(answer) => {
                let user = answer.into_user();
                self.made(&user.id);
                User { tags: started, ..user }
            }
            Err(error) if error.refusal() == Some(Refusal::Conflict) => {
                let Some(user) = self.asked(&new.name).await? else {
                    // It is something else that is in the way, such as the account's limit.
                    return Err(Error::Refused {
                        what,
                        refusal: Refusal::Invalid,
                        message: error.to_string(),
                    });
                };
                let ours = tags::read(&user.tags).and_then(std::result::Result::ok).is_some_and(
                    |record| {
                        record.unfinished
                            && record.realm.is_some()
                            && record.realm == new.record.realm
                    },
                );
                if !ours {
                    return Err(Error::Refused {
                        what,
                        refusal: Refusal::Conflict,
                        message: "it exists already, and no unfinished create of ours made it"
                            .into(),
                    });
                }
                // Parked and on, as if it had just been made.
                let scopes = Some(BTreeSet::new());
                let (settings, record) = (Some(new.settings.clone()), Some(new.record.clone()));
                let change = Change { settings, record, scopes, enabled: Some(true), name: None };
                self.apply(&user, &change).await?;
                let object = ObjectRef {
                    kind: USER.to_owned(),
                    key: user.name.clone(),
                    vendor_id: Some(user.id.clone()),
                    name: user.name.clone(),
                };
                return self.read_back(&object, user, &change).await;
            }
            Err(error) => return Err(error),
        };
        if user.name != new.name {
            return Err(other(&what, &new.name, &user.name).after_change(&what));
        }
        if finished != user.tags {
            self.finish(&user, &finished).await.map_err(|error| error.after_change(&what))?;
        }
        Ok(observed(&User { tags: finished, ..user }))
    }

    async fn modify(&self, object: &ObjectRef, change: &Change) -> Result<ObservedIntegration> {
        self.check_tenant().await?;
        let _turn = self.turn(&object.key).await;
        if change.scopes.iter().flatten().any(|one| one.until.is_some()) {
            return unsupported("aws_iam", "end a scope by itself");
        }
        let user = self.existing(object).await?;
        let object = ObjectRef { vendor_id: Some(user.id.clone()), ..object.clone() };
        match self.apply(&user, change).await? {
            true => self.read_back(&object, user, change).await,
            false => Ok(observed(&user)),
        }
    }

    async fn delete(&self, object: &ObjectRef) -> Result<Ended> {
        self.check_tenant().await?;
        let _turn = self.turn(&object.key).await;
        let Some(user) = self.asked(&object.key).await? else { return Ok(Ended::AlreadyGone) };
        object.check_incarnation(&user.id)?;
        let mut deeds = self.deeds(format!("{USER} {:?}", user.name));
        // Power goes first.
        for key in self.keys(&user.name, false).await? {
            let call = change("iam:DeleteAccessKey", &user.name);
            deeds.send_or_gone(call.with("AccessKeyId", &key.access_key_id)).await?;
        }
        for name in user.inline.keys() {
            let call = change("iam:DeleteUserPolicy", &user.name).with("PolicyName", name);
            deeds.send_or_gone(call).await?;
        }
        for arn in &user.attached {
            let call = change("iam:DetachUserPolicy", &user.name).with("PolicyArn", arn);
            deeds.send_or_gone(call).await?;
        }
        for name in &user.groups {
            let call = change("iam:RemoveUserFromGroup", &user.name).with("GroupName", name);
            deeds.send_or_gone(call).await?;
        }
        deeds.send_or_gone(change("iam:DeleteUser", &user.name)).await?;
        self.unmade(&user.id);
        Ok(Ended::Now)
    }

    async fn credentials(&self, object: &ObjectRef) -> Result<CredentialListing> {
        self.check_tenant().await?;
        let requested_at = self.clock.now();
        let user = self.holder(object).await?;
        // Of a key that carries a mark it is known whose it is, whether it was used or not.
        let unmarked = |key_id: &str| !user.tags.contains_key(key_id);
        let credentials = self.observed_keys(&user, false, unmarked).await?;
        Ok(CredentialListing { credentials, complete: true, shows_all_of: &[], requested_at })
    }

    async fn credential(
        &self,
        object: &ObjectRef,
        key_id: &str,
    ) -> Result<Option<ObservedCredential>> {
        let user = self.holder(object).await?;
        let keys = self.observed_keys(&user, false, |known| known == key_id).await?;
        Ok(keys.into_iter().find(|one| one.key_id == key_id))
    }

    async fn ourselves(&self) -> Result<Option<Ourselves>> {
        let key_id = self.api.own_key().map(str::to_owned);
        let user = self.identity().await?.user().map(str::to_owned);
        Ok(user.map(|key| Ourselves { kind: USER.to_owned(), key, key_id }))
    }

    async fn notes(&self) -> Vec<String> {
        self.weaknesses().await
    }

    /// AWS tells it up to four hours late.
    fn last_use_lag(&self, _: &str) -> Option<domain::Span> {
        Some(domain::Span::from_secs(4 * 3600))
    }

    async fn promises(&self, credential_type: &str) -> Result<Vec<Promise>> {
        if credential_type != ACCESS_KEY {
            return Ok(Vec::new());
        }
        Ok(PROFILES.iter().map(|profile| Promise { profile, because: None }).collect())
    }

    fn choose_secret(&self, _: &str, _: &Settings, _: &str) -> Result<Secret> {
        unsupported("aws_iam", "take a secret of ours")
    }

    async fn issue(&self, object: &ObjectRef, request: IssueRequest<'_>) -> Result<Issued> {
        self.issue_key(object, request).await
    }

    async fn mark(&self, object: &ObjectRef, key_id: &str, marker: &str) -> Result<()> {
        self.mark_key(object, key_id, marker).await
    }

    async fn find(
        &self,
        object: &ObjectRef,
        _: &str,
        secret: &Secret,
    ) -> Result<Option<ObservedCredential>> {
        match secret.expose().split_once(':') {
            Some((key_id, _)) => self.credential(object, key_id).await,
            None => Ok(None),
        }
    }

    async fn disable(&self, object: &ObjectRef, key_id: &str) -> Result<()> {
        self.switch_key(object, key_id, false).await
    }

    async fn enable(&self, object: &ObjectRef, key_id: &str) -> Result<()> {
        self.switch_key(object, key_id, true).await
    }

    async fn end(&self, object: &ObjectRef, key_id: &str) -> Result<Ended> {
        self.end_key(object, key_id).await
    }

    async fn sweep(&self, _: &ObjectRef, _: Option<&str>) -> Result<Children> {
        self.sessions()
    }

    async fn probe(&self, object: &ObjectRef, _: &str, secret: &Secret) -> Result<Probe> {
        self.sign_in(object, secret).await
    }

    fn random_like(&self, _: &str, secret: &Secret) -> Result<Secret> {
        crate::key::random_like(secret)
    }
}
