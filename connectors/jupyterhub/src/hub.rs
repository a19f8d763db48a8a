//! What there is: users with their groups, shares and records, read and listed.

use std::{
    collections::{BTreeMap, BTreeSet},
    marker::PhantomData,
    sync::{Arc, Mutex, MutexGuard},
};

use async_trait::async_trait;
use connector::{
    Access, AccessRequest, Capabilities, Change, Children, Clock, Connector, CredentialListing,
    Ended, Error, Freshness, IssueRequest, Issued, Kind, NewIntegration, ObjectRef, Ourselves,
    Platform, Probe, Promise, Refusal, Result, Setup, Turns, Want, transport::Request,
};
use domain::{
    Gap, GapExtent, GrantedScope, Observation, ObservedCredential, ObservedIntegration, Record,
    Scope, Secret, Settings,
};
use futures::{StreamExt, stream};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use tokio::sync::OnceCell;

use crate::{
    api::{Api, Group, Page, Paged, Share, User, Whoami, parse, path},
    scope,
    tables::{PROFILES, TOKEN, USER},
    token::Minting,
};

/// What stands before the name of the group that keeps a user's record.
const OURS: &str = "nhi-";
/// The property of that group that the record is in.
pub(crate) const RECORD: &str = "nhi";
/// The role that every user of a hub has.
const EVERYBODY: &str = "user";
/// How many users' tokens and shares are read at once in a listing.
const AT_ONCE: usize = 8;

/// What our own token needs, for all users and groups, and what for.
const NEEDED: [(&str, &str); 12] = [
    ("list:users", "list users"),
    ("read:users", "read users"),
    ("read:roles:users", "tell which roles users have"),
    ("read:groups", "read records, which are in groups"),
    ("list:groups", "list groups"),
    ("read:tokens", "list tokens"),
    ("read:users:shares", "tell which servers are shared with users"),
    ("admin:users", "make users"),
    ("delete:users", "delete users"),
    ("admin:groups", "write records, and put users into groups"),
    ("tokens", "issue and end tokens"),
    ("shares", "share servers with users"),
];

/// A hub through one connection.
#[derive(Debug)]
pub(crate) struct Hub {
    platform: &'static dyn Platform,
    pub(crate) api: Api,
    pub(crate) clock: Arc<dyn Clock>,
    connection: String,
    tenant: String,
    pinned: Option<String>,
    /// A group whose members are people.
    people: Option<String>,
    me: OnceCell<Whoami>,
    /// The user that our own token is one of.
    ourselves: OnceCell<Option<Ourselves>>,
    /// What tokens of ours could have minted.
    pub(crate) minting: Minting,
    /// One at a time for each user.
    pub(crate) turns: Turns,
}

/// Where a listing is, and what it is called in the log.
struct Listing<T> {
    path: &'static str,
    template: &'static str,
    of: PhantomData<fn() -> T>,
}

const USERS: Listing<User> = Listing { path: "hub/api/users", template: "users", of: PhantomData };
const GROUPS: Listing<Group> =
    Listing { path: "hub/api/groups", template: "groups", of: PhantomData };

/// Something that has a name.
trait Named: Send + Sync + 'static {
    fn name(&self) -> &str;
}

impl Named for User {
    fn name(&self) -> &str {
        &self.name
    }
}

impl Named for Group {
    fn name(&self) -> &str {
        &self.name
    }
}

/// What was read of one user, without its tokens.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) user: User,
    pub(crate) created: Timestamp,
    pub(crate) group: Option<Group>,
    shares: Vec<Share>,
    gaps: Vec<Gap>,
}

impl Found {
    /// This incarnation: the moment at which the hub made the user.
    pub(crate) fn vendor_id(&self) -> String {
        self.created.to_string()
    }

    /// Gaps of everything that a change would have to know.
    pub(crate) fn gap(&self) -> Option<&Gap> {
        self.gaps.first()
    }

    pub(crate) fn scopes(&self) -> BTreeSet<Scope> {
        let user = &self.user;
        let roles = user.roles.iter().flatten();
        let is_admin = user.admin == Some(true) || roles.clone().any(|one| one == scope::ADMIN);
        let mut scopes: BTreeSet<Scope> =
            user.groups.iter().flatten().map(|name| scope::group(name)).collect();
        scopes.extend(is_admin.then(|| Scope::canonical(scope::ADMIN)));
        let roles = roles.filter(|one| !matches!(one.as_str(), EVERYBODY | scope::ADMIN));
        scopes.extend(roles.map(|name| scope::role(name)));
        // What is shared with a group comes with the group.
        let own = self.shares.iter().filter(|one| one.kind == "user");
        scopes.extend(own.flat_map(|one| &one.scopes).map(Scope::canonical));
        scopes
    }

    fn observed(&self, credentials: Option<Vec<ObservedCredential>>) -> ObservedIntegration {
        let scopes: BTreeSet<GrantedScope> =
            self.scopes().into_iter().map(GrantedScope::standing).collect();
        ObservedIntegration {
            kind: USER.to_owned(),
            key: self.user.name.clone(),
            vendor_id: self.vendor_id(),
            name: self.user.name.clone(),
            settings: Settings::default(),
            record: self.group.as_ref().and_then(record_of),
            parked: scopes.is_empty(),
            scopes,
            enabled: true,
            contacts: None,
            builtin: false,
            credentials,
            gaps: self.gaps.clone(),
        }
    }
}

/// The group that keeps a user's record.
pub(crate) fn ours(user: &str) -> String {
    format!("{OURS}{user}")
}

pub(crate) fn record_of(group: &Group) -> Option<Record> {
    Record::from_json(&group.properties.as_ref()?.get(RECORD)?.to_string()).ok()
}

pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

pub(crate) fn unexpected(what: &str, message: impl Into<String>) -> Error {
    Error::UnexpectedAnswer { what: what.to_owned(), message: message.into() }
}

pub(crate) fn no_such(name: &str) -> Error {
    Error::Refused {
        what: format!("{USER} {name:?}"),
        refusal: Refusal::NotFound,
        message: "no such user".into(),
    }
}

impl Hub {
    pub(crate) fn new(platform: &'static dyn Platform, setup: Setup) -> Result<Hub> {
        let address = setup.settings.text("address").unwrap_or_default().trim_end_matches('/');
        if address.ends_with("/hub") || address.ends_with("/hub/api") {
            return Err(Error::Configuration(format!(
                "connection {:?}: the address {address:?} is the one before \"/hub\"",
                setup.name
            )));
        }
        let tenant = setup.settings.text("known_as").unwrap_or(address).to_owned();
        Ok(Hub {
            platform,
            pinned: setup.settings.text("tenant").map(str::to_owned),
            people: setup.settings.text("people").map(str::to_owned),
            api: Api::new(setup.transport, setup.name.clone(), setup.credential),
            connection: setup.name,
            clock: setup.clock,
            tenant,
            me: OnceCell::new(),
            ourselves: OnceCell::new(),
            minting: Minting::default(),
            turns: Turns::default(),
        })
    }

    /// An error where another hub is pinned than the one that the address stands for. Nothing is sent.
    pub(crate) fn check_pinned(&self) -> Result<()> {
        match &self.pinned {
            Some(pinned) if *pinned != self.tenant => Err(Error::Tenant {
                connection: self.connection.clone(),
                expected: pinned.clone(),
                found: self.tenant.clone(),
            }),
            _ => Ok(()),
        }
    }

    /// Whose token ours is, and what it may do. That it is answered shows that a hub is there.
    async fn me(&self) -> Result<&Whoami> {
        self.check_pinned()?;
        self.me
            .get_or_try_init(|| async {
                let request = Request { shared: true, ..Request::get("hub/api/user", "user") };
                self.api.need::<Whoami>(request).await
            })
            .await
    }

    /// Whether our own token may do something to everybody: a filter hides the others.
    async fn may(&self, scope: &str) -> Result<bool> {
        Ok(self.me().await?.scopes.iter().any(|one| one == scope))
    }

    async fn must(&self, scopes: &[&str], to: &str) -> Result<()> {
        for scope in scopes {
            if !self.may(scope).await? {
                return Err(Error::Refused {
                    what: to.to_owned(),
                    refusal: Refusal::Forbidden,
                    message: format!(
                        "the connection's own token needs the scope {scope} without a filter: what a \
                         filter hides looks as if it were not there"
                    ),
                });
            }
        }
        Ok(())
    }

    // -- looking --------------------------------------------------------------------------------------

    /// A page of a listing.
    async fn page<T: DeserializeOwned + Named>(
        &self,
        Listing { path, template, .. }: &Listing<T>,
        offset: usize,
        shared: bool,
    ) -> Result<Arc<Page<T>>> {
        let what = format!("GET {template}");
        self.api.page(path, template, offset, shared).await?.read_once(|body| {
            let found: Paged<T> = parse(&what, body)?;
            let next = found._pagination.next.map(|next| next.offset);
            if next.is_some_and(|next| next <= offset) {
                return Err(unexpected(&what, "a next page that is not further on"));
            }
            let items = found.items.into_iter().map(|one| (one.name().to_owned(), one)).collect();
            Ok(Page { items, next, total: found._pagination.total })
        })
    }

    /// One item of a listing that is shared with other readers.
    async fn listed<T: DeserializeOwned + Named + Clone>(
        &self,
        listing: &Listing<T>,
        name: &str,
    ) -> Result<Option<T>> {
        let mut offset = Some(0);
        while let Some(at) = offset {
            let page = self.page(listing, at, true).await?;
            if let Some(one) = page.items.get(name) {
                return Ok(Some(one.clone()));
            }
            offset = page.next;
        }
        Ok(None)
    }

    /// A user; `None` where it is proven to be none.
    pub(crate) async fn user(&self, name: &str, freshness: Freshness) -> Result<Option<User>> {
        self.must(&["read:users", "read:roles:users"], "GET users/{name}").await?;
        if freshness == Freshness::Shared
            && self.may("list:users").await?
            && let Some(user) = self.listed(&USERS, name).await?
        {
            return Ok(Some(user));
        }
        // A page may have moved on while it was read: what is not in the listing is asked for.
        let found = self.api.look(Request::get(path::user(name), "users/{name}")).await?;
        Ok(found.ok())
    }

    /// The group with a user's record.
    pub(crate) async fn group(&self, user: &str, freshness: Freshness) -> Result<Option<Group>> {
        self.must(&["read:groups"], "GET groups/{name}").await?;
        let name = ours(user);
        if freshness == Freshness::Shared && self.may("list:groups").await? {
            // A user that nobody made here has no such group, and is asked about with every plan: the
            // listing is word enough for a record.
            return self.listed(&GROUPS, &name).await;
        }
        let found = self.api.look(Request::get(path::group(&name), "groups/{name}")).await?;
        Ok(found.ok())
    }

    /// What is shared with a user. Hubs before version 5 share nothing, and do not know the question.
    async fn shares(&self, user: &str, shared: bool) -> Result<Vec<Share>> {
        let mut shares = Vec::new();
        let mut offset = Some(0);
        while let Some(at) = offset {
            let path = match at {
                0 => path::shared(user),
                at => format!("{}?offset={at}", path::shared(user)),
            };
            let request = Request { shared, ..Request::get(path, "users/{name}/shared") };
            let Ok(page) = self.api.look::<Paged<Share>>(request).await? else { break };
            offset = page._pagination.next.map(|next| next.offset).filter(|next| *next > at);
            shares.extend(page.items);
        }
        Ok(shares)
    }

    /// Everything of a user but its tokens.
    pub(crate) async fn find(&self, name: &str, freshness: Freshness) -> Result<Option<Found>> {
        let Some(user) = self.user(name, freshness).await? else { return Ok(None) };
        let group = self.group(name, freshness).await?;
        self.found(user, group, freshness).await.map(Some)
    }

    async fn found(&self, user: User, group: Option<Group>, freshness: Freshness) -> Result<Found> {
        let missing = |what: &str| unexpected("GET users/{name}", format!("a user without {what}"));
        let created = user.created.ok_or_else(|| missing("the moment it was made"))?;
        if user.groups.is_none() || user.roles.is_none() || user.admin.is_none() {
            return Err(missing("its groups and roles"));
        }
        let (shares, gaps) = match self.shares(&user.name, freshness == Freshness::Shared).await {
            Ok(shares) => (shares, Vec::new()),
            Err(error) => {
                let extent = GapExtent::Facet(user.name.clone(), "scopes");
                (Vec::new(), vec![Gap { extent, cause: error.to_string() }])
            }
        };
        Ok(Found { user, created, group, shares, gaps })
    }

    /// A user that must be there, in the incarnation that is meant.
    pub(crate) async fn existing(&self, object: &ObjectRef) -> Result<Found> {
        let found = self.find(&object.key, Freshness::Fresh).await?;
        let found = found.ok_or_else(|| no_such(&object.key))?;
        object.check_incarnation(&found.vendor_id())?;
        Ok(found)
    }

    pub(crate) async fn finish(&self, mut found: Found, want: Want) -> ObservedIntegration {
        if !want.credentials {
            return found.observed(None);
        }
        let shared = want.freshness == Freshness::Shared;
        match self.tokens(&found.user.name, shared).await {
            Ok(Some(credentials)) => found.observed(Some(credentials)),
            other => {
                let cause = match other {
                    Err(error) => error.to_string(),
                    _ => "the user went while it was read".to_owned(),
                };
                let extent = GapExtent::Facet(found.user.name.clone(), "credentials");
                found.gaps.push(Gap { extent, cause });
                found.observed(None)
            }
        }
    }

    /// Every item of a listing, and where it could not be read. A listing that changes while it is read
    /// may leave somebody out: it is read again once, and said.
    async fn all<T: DeserializeOwned + Named + Clone>(
        &self,
        listing: &Listing<T>,
        shared: bool,
    ) -> (BTreeMap<String, T>, Vec<Gap>) {
        let gap = |from: usize, cause: String| Gap {
            extent: GapExtent::Page(format!("{} {from}", listing.template)),
            cause,
        };
        let mut all = BTreeMap::new();
        for again in [false, true] {
            let (mut offset, mut totals) = (Some(0), BTreeSet::new());
            while let Some(at) = offset {
                match self.page(listing, at, shared).await {
                    Ok(page) => {
                        all.extend(
                            page.items.iter().map(|(name, one)| (name.clone(), one.clone())),
                        );
                        totals.insert(page.total);
                        offset = page.next;
                    }
                    Err(error) => return (all, vec![gap(at, error.to_string())]),
                }
            }
            let whole =
                totals.len() == 1 && totals.first().is_some_and(|total| all.len() >= *total);
            if whole {
                break;
            }
            if again {
                let cause = "it changed while it was read".to_owned();
                return (all, vec![gap(0, cause)]);
            }
        }
        (all, Vec::new())
    }

    async fn listing(&self, want: Want) -> Result<Observation> {
        let requested_at = self.clock.now();
        self.must(&["list:users", "read:users", "read:roles:users"], "GET users").await?;
        self.must(&["list:groups", "read:groups"], "GET groups").await?;
        let shared = want.freshness == Freshness::Shared;
        let (users, mut gaps) = self.all(&USERS, shared).await;
        let (mut groups, more) = self.all(&GROUPS, shared).await;
        gaps.extend(more);
        let is_person = |user: &User| match &self.people {
            Some(people) => user.groups.iter().flatten().any(|group| group == people),
            None => false,
        };
        let integrations = users.into_values().filter_map(|user| {
            let group = groups.remove(&ours(&user.name));
            // One of ours stays visible, whatever group somebody put it into.
            (group.is_some() || !is_person(&user)).then_some((user, group))
        });
        let integrations: Vec<_> = integrations.collect();
        let read = |(user, group): (User, Option<Group>)| async move {
            let name = user.name.clone();
            match self.found(user, group, want.freshness).await {
                Ok(found) => Ok(self.finish(found, want).await),
                Err(error) => {
                    Err(Gap { extent: GapExtent::Object(name), cause: error.to_string() })
                }
            }
        };
        let read: Vec<_> = stream::iter(integrations).map(read).buffered(AT_ONCE).collect().await;
        let mut integrations = Vec::with_capacity(read.len());
        for one in read {
            match one {
                Ok(one) => integrations.push(one),
                Err(gap) => gaps.push(gap),
            }
        }
        integrations.sort_by(|a, b| (&a.kind, &a.key).cmp(&(&b.kind, &b.key)));
        Ok(Observation { tenant: self.tenant.clone(), requested_at, integrations, gaps })
    }
}

#[async_trait]
impl Connector for Hub {
    fn platform(&self) -> &'static dyn Platform {
        self.platform
    }

    async fn tenant(&self) -> Result<String> {
        self.me().await?;
        Ok(self.tenant.clone())
    }

    async fn list(&self, want: Want) -> Result<Observation> {
        self.listing(want).await
    }

    async fn read(&self, object: &ObjectRef, want: Want) -> Result<Option<ObservedIntegration>> {
        let Some(found) = self.find(&object.key, want.freshness).await? else { return Ok(None) };
        object.check_incarnation(&found.vendor_id())?;
        Ok(Some(self.finish(found, want).await))
    }

    async fn create(&self, new: &NewIntegration) -> Result<ObservedIntegration> {
        self.make(new).await
    }

    async fn modify(&self, object: &ObjectRef, change: &Change) -> Result<ObservedIntegration> {
        self.apply(object, change).await
    }

    async fn delete(&self, object: &ObjectRef) -> Result<Ended> {
        self.unmake(object).await
    }

    async fn credentials(&self, object: &ObjectRef) -> Result<CredentialListing> {
        let requested_at = self.clock.now();
        let credentials = self.tokens(&object.key, false).await?;
        let credentials = credentials.ok_or_else(|| no_such(&object.key))?;
        Ok(CredentialListing { credentials, complete: true, shows_all_of: &[], requested_at })
    }

    async fn ourselves(&self) -> Result<Option<Ourselves>> {
        let ask = async || {
            let me = self.me().await?;
            if me.kind != "user" {
                return Ok(None);
            }
            let key_id = match &me.token_id {
                Some(number) => self.listed_as(&me.name, number).await?,
                None => None,
            };
            Ok(Some(Ourselves { kind: USER.to_owned(), key: me.name.clone(), key_id }))
        };
        self.ourselves.get_or_try_init(ask).await.cloned()
    }

    async fn notes(&self) -> Vec<String> {
        let me = match self.me().await {
            Ok(me) => me,
            Err(error) => return vec![format!("What the token may do cannot be asked: {error}.")],
        };
        let lacks = NEEDED.iter().filter(|(scope, _)| !me.scopes.iter().any(|one| one == scope));
        let mut notes: Vec<String> = lacks
            .map(|(scope, to)| format!("The token cannot {to}: it lacks the scope {scope}."))
            .collect();
        if !me.admin {
            notes.push(format!(
                "The hub's admin flag can be neither given nor taken away: {} {:?} is no admin.",
                me.kind, me.name
            ));
        }
        notes
    }

    async fn capabilities(&self, kind: &Kind) -> Result<Capabilities> {
        Ok(kind.capabilities)
    }

    /// A hub writes it down at most every half minute.
    fn last_use_lag(&self, _: &str) -> Option<domain::Span> {
        Some(domain::Span::from_secs(60))
    }

    async fn promises(&self, credential_type: &str) -> Result<Vec<Promise>> {
        if credential_type != TOKEN {
            return Ok(Vec::new());
        }
        Ok(PROFILES.iter().map(|profile| Promise { profile, because: None }).collect())
    }

    fn choose_secret(&self, _: &str, _: &Settings, _: &str) -> Result<Secret> {
        connector::port::unsupported("jupyterhub", "take a token that we chose")
    }

    async fn issue(&self, object: &ObjectRef, request: IssueRequest<'_>) -> Result<Issued> {
        self.issue_token(object, request).await
    }

    async fn find(
        &self,
        object: &ObjectRef,
        _: &str,
        secret: &Secret,
    ) -> Result<Option<ObservedCredential>> {
        self.find_token(object, secret).await
    }

    async fn end(&self, object: &ObjectRef, key_id: &str) -> Result<Ended> {
        self.end_token(object, key_id).await
    }

    async fn sweep(&self, object: &ObjectRef, marker: Option<&str>) -> Result<Children> {
        self.children(object, marker).await
    }

    async fn probe(&self, object: &ObjectRef, _: &str, secret: &Secret) -> Result<Probe> {
        self.use_token(object, secret).await
    }

    async fn mint(&self, object: &ObjectRef, request: AccessRequest<'_>) -> Result<Access> {
        self.mint_access(object, request).await
    }

    async fn end_access(&self, object: &ObjectRef, handle: &Secret) -> Result<Ended> {
        self.end_minted(object, handle).await
    }

    fn random_like(&self, _: &str, secret: &Secret) -> Result<Secret> {
        crate::token::random_like(secret)
    }
}
