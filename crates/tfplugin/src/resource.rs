//! Managed resources: one struct, one trait, and further traits to opt into.

use std::future::Future;
use std::sync::Arc;

use serde_json::Value as Json;

use crate::erased::{AnyResource, BoxFuture, Call, Deferred};
use crate::{Diagnostic, Diagnostics, Model, Object, Path, Schema, Value, json, model};

/// A managed resource. Write its methods as `async fn`.
pub trait Resource: Send + Sync + Sized + 'static {
    /// Its attributes.
    type Model: Model;
    /// The full type name, such as `nhi_owner`.
    const TYPE_NAME: &'static str;
    /// Counts up when stored state must be upgraded ([`UpgradeState`]).
    const VERSION: i64 = 0;
    /// What to use instead, when deprecated.
    const DEPRECATED: Option<&'static str> = None;

    /// Judges a configuration beyond its attributes' own rules. Called often, with unknown values
    /// early: never complain of what is unknown.
    fn validate(
        &self,
        config: &Self::Model,
        call: &Call,
    ) -> impl Future<Output = Diagnostics> + Send {
        let _ = (config, call);
        async { Diagnostics::new() }
    }

    /// Changes the plan that the engine made: defaults are applied, what the provider computes is
    /// unknown on create and as before on update. Runs twice, days apart: no clock, no chance, no
    /// network. Also called to destroy, with nothing planned.
    fn plan(&self, plan: &mut Plan<Self::Model>) -> impl Future<Output = ()> + Send {
        let _ = plan;
        async {}
    }

    /// Makes the object.
    fn create(
        &self,
        request: Create<Self::Model>,
    ) -> impl Future<Output = Result<Done<Self::Model>, Failure<Self::Model>>> + Send;

    /// Observes the object; none when it is proven gone.
    fn read(
        &self,
        request: Read<Self::Model>,
    ) -> impl Future<Output = Result<Option<Done<Self::Model>>, Diagnostics>> + Send;

    /// Changes the object in place.
    fn update(
        &self,
        request: Update<Self::Model>,
    ) -> impl Future<Output = Result<Done<Self::Model>, Failure<Self::Model>>> + Send;

    /// Ends the object; gone already is success. The answer holds warnings.
    fn delete(
        &self,
        request: Delete<Self::Model>,
    ) -> impl Future<Output = Result<Diagnostics, Failure<Self::Model>>> + Send;
}

/// What a plan is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// There is no object (also: the second half of a replacement).
    Create,
    /// There is one, and there will be.
    Update,
    /// There will be none.
    Destroy,
}

/// A plan in the making.
#[derive(Clone)]
pub struct Plan<M> {
    /// The configuration; none to destroy.
    pub config: Option<M>,
    /// The object in state; none to create.
    pub prior: Option<M>,
    /// What will be; none to destroy. Change it here.
    pub planned: Option<M>,
    /// The private bytes in state. In the second half of a replacement: those that the first half
    /// planned; in its repetition at apply they are empty, so no planned value may hang on them.
    pub prior_private: Vec<u8>,
    /// The private bytes that apply gets; at first those in state. Change them here. The delete of
    /// a replacement gets what the create half put here.
    pub planned_private: Vec<u8>,
    /// The private bytes of the first plan, where the core stores them.
    pub first_private: Option<Vec<u8>>,
    /// The identity in state.
    pub prior_identity: Option<Value>,
    /// The `provider_meta` block, null when there is none.
    pub provider_meta: Value,
    /// What every call carries.
    pub call: Call,
    /// What the user should know. Of the second half of a replacement cores show errors alone: what is
    /// to be warned of belongs into the first, which knows what it asks to replace and not what
    /// `-replace` asks for.
    pub diagnostics: Diagnostics,
    /// Defers the change; only where `call.capabilities.deferral_allowed`.
    pub deferred: Option<Deferred>,
    /// Attributes whose change needs a new object, beside those declared `replace`.
    pub replace: Vec<Path>,
}

impl<M> Plan<M> {
    /// What the plan is for.
    pub fn purpose(&self) -> Purpose {
        match (&self.prior, &self.planned) {
            (_, None) => Purpose::Destroy,
            (None, Some(_)) => Purpose::Create,
            (Some(_), Some(_)) => Purpose::Update,
        }
    }

    /// Configuration and planned object of a create; none for anything else.
    pub fn creating(&mut self) -> Option<(&M, &mut M)> {
        match (&self.config, &self.prior, &mut self.planned) {
            (Some(config), None, Some(planned)) => Some((config, planned)),
            _ => None,
        }
    }

    /// Configuration, prior and planned object of an update; none for anything else.
    pub fn updating(&mut self) -> Option<(&M, &M, &mut M)> {
        match (&self.config, &self.prior, &mut self.planned) {
            (Some(config), Some(prior), Some(planned)) => Some((config, prior, planned)),
            _ => None,
        }
    }

    /// Configuration, prior if any, and planned object of a create or update; none to destroy.
    pub fn changing(&mut self) -> Option<(&M, Option<&M>, &mut M)> {
        match (&self.config, &self.prior, &mut self.planned) {
            (Some(config), prior, Some(planned)) => Some((config, prior.as_ref(), planned)),
            _ => None,
        }
    }

    /// Asks for a new object because of this attribute. Cores drop it where planned equals prior.
    pub fn require_replace(&mut self, path: impl Into<Path>) {
        self.replace.push(path.into());
    }
}

/// A create to carry out.
#[derive(Clone)]
pub struct Create<M> {
    /// What was planned: what is known in it must be in the result.
    pub planned: M,
    /// The configuration, with write-only values.
    pub config: M,
    /// The private bytes of the plan.
    pub planned_private: Vec<u8>,
    /// The identity of the plan.
    pub planned_identity: Option<Value>,
    /// The `provider_meta` block, null when there is none.
    pub provider_meta: Value,
    /// What every call carries.
    pub call: Call,
}

/// An update to carry out.
#[derive(Clone)]
pub struct Update<M> {
    /// The object in state.
    pub prior: M,
    /// What was planned: what is known in it must be in the result.
    pub planned: M,
    /// The configuration, with write-only values.
    pub config: M,
    /// The private bytes of the plan: those in state, unless the plan hook changed them.
    pub planned_private: Vec<u8>,
    /// The identity of the plan.
    pub planned_identity: Option<Value>,
    /// The `provider_meta` block, null when there is none.
    pub provider_meta: Value,
    /// What every call carries.
    pub call: Call,
}

/// A delete to carry out.
#[derive(Clone)]
pub struct Delete<M> {
    /// The object in state.
    pub prior: M,
    /// The private bytes of the destroy plan (those in state, unless the hook changed them), or,
    /// in a replacement, those of its create half. The protocol brings no others.
    pub planned_private: Vec<u8>,
    /// The identity of the plan.
    pub planned_identity: Option<Value>,
    /// The `provider_meta` block, null when there is none.
    pub provider_meta: Value,
    /// What every call carries.
    pub call: Call,
}

/// An object to observe.
#[derive(Clone)]
pub struct Read<M> {
    /// The object in state; after an import mostly null.
    pub state: M,
    /// The private bytes in state.
    pub private: Vec<u8>,
    /// The identity in state.
    pub identity: Option<Value>,
    /// The `provider_meta` block, null when there is none.
    pub provider_meta: Value,
    /// What every call carries.
    pub call: Call,
}

/// An object as it is now.
#[derive(Clone)]
pub struct Done<M> {
    /// Its attributes, all known.
    pub state: M,
    /// Private bytes to store; none keeps those that the request brought.
    pub private: Option<Vec<u8>>,
    /// Warnings.
    pub diagnostics: Diagnostics,
    /// The object waits for a later run: only for `read` and `import`, and only where
    /// `call.capabilities.deferral_allowed`. The core then plans nothing for it.
    pub deferred: Option<Deferred>,
}

impl<M> Done<M> {
    /// The object; private bytes as they were, no warnings.
    pub fn new(state: M) -> Self {
        Self { state, private: None, diagnostics: Diagnostics::new(), deferred: None }
    }

    /// With private bytes to store.
    #[must_use]
    pub fn private(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.private = Some(bytes.into());
        self
    }

    /// Could not be observed yet: a read leaves it as it is in state, an import takes nothing in.
    /// See [`Done::deferred`].
    #[must_use]
    pub fn defer(mut self, why: Deferred) -> Self {
        self.deferred = Some(why);
        self
    }

    /// With something the user should know.
    #[must_use]
    pub fn tell(mut self, diagnostics: impl IntoIterator<Item = Diagnostic>) -> Self {
        self.diagnostics.extend(diagnostics);
        self
    }
}

impl<M> From<M> for Done<M> {
    fn from(state: M) -> Self {
        Self::new(state)
    }
}

/// What exists after a change that failed.
#[derive(Clone, Debug)]
pub enum Kept<M> {
    /// What was there before: nothing for a create, the prior object otherwise.
    AsBefore,
    /// Nothing.
    Nothing,
    /// This. After a failed create the core marks it tainted and replaces it.
    Object(Box<M>),
}

/// A change that failed, and what is true now. Plain diagnostics become one that changed nothing.
#[derive(Clone)]
pub struct Failure<M> {
    /// What exists now.
    pub kept: Kept<M>,
    /// Private bytes to store; none keeps those that the request brought.
    pub private: Option<Vec<u8>>,
    /// At least one error.
    pub diagnostics: Diagnostics,
}

impl<M> Failure<M> {
    /// Failed, and this is what exists now.
    pub fn keeping(state: M, diagnostics: impl Into<Diagnostics>) -> Self {
        Self { kept: Kept::Object(Box::new(state)), private: None, diagnostics: diagnostics.into() }
    }

    /// With private bytes to store.
    #[must_use]
    pub fn private(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.private = Some(bytes.into());
        self
    }
}

impl<M> From<Diagnostics> for Failure<M> {
    fn from(diagnostics: Diagnostics) -> Self {
        Self { kept: Kept::AsBefore, private: None, diagnostics }
    }
}

impl<M> From<Diagnostic> for Failure<M> {
    fn from(diagnostic: Diagnostic) -> Self {
        Diagnostics::from(diagnostic).into()
    }
}

// Private bytes may hold anything, and what other providers stored is theirs.
crate::secret::shows! {
    Plan<M> { config, prior, planned, prior_identity, call, diagnostics, deferred, replace }
    Create<M> { planned, config, planned_identity, call }
    Update<M> { prior, planned, config, planned_identity, call }
    Delete<M> { prior, planned_identity, call }
    Read<M> { state, identity, call }
    Done<M> { state, diagnostics, deferred }
    Failure<M> { kept, diagnostics }
    Source { provider_address, type_name, schema_version, call }
}

/// A resource whose objects have an identity: what names the object on its platform for all time.
pub trait Identity: Resource {
    /// Strings, numbers, bools and lists of them; each `required` or `optional` for import.
    type Identity: Model;
    /// Counts up when stored identities must be upgraded.
    const IDENTITY_VERSION: i64 = 0;
    /// Whether an update may change it.
    const MUTABLE: bool = false;

    /// The identity of an object. Of a planned one it may be unknown in part.
    fn identity(&self, state: &Self::Model) -> Self::Identity;

    /// Turns an identity stored by an older version into one of today.
    ///
    /// # Errors
    /// The version is not one that this provider wrote.
    fn upgrade_identity(
        &self,
        version: i64,
        identity: Json,
    ) -> Result<Self::Identity, Diagnostics> {
        let _ = identity;
        Err(Diagnostic::error(
            "Identity version not supported",
            format!("This provider cannot upgrade identities of version {version}."),
        )
        .into())
    }
}

/// What an import goes by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum By {
    /// The id that the user gave.
    Id(String),
    /// The identity that the user gave.
    Identity(Object),
}

impl By {
    /// The identity as a struct; none when an id was given.
    ///
    /// # Errors
    /// A value does not fit its field.
    pub fn identity<I: Model>(&self) -> Result<Option<I>, Diagnostic> {
        match self {
            Self::Id(_) => Ok(None),
            Self::Identity(object) => Ok(Some(I::read(object)?)),
        }
    }
}

/// An import to carry out.
#[derive(Clone, Debug)]
pub struct Import {
    /// What it goes by.
    pub by: By,
    /// What every call carries.
    pub call: Call,
}

/// A resource whose existing objects can be taken into state.
pub trait ImportState: Resource {
    /// The object, at least what a read needs to find it: the read follows at once.
    fn import(
        &self,
        request: Import,
    ) -> impl Future<Output = Result<Done<Self::Model>, Diagnostics>> + Send;
}

/// A resource whose stored state may be of an older version.
pub trait UpgradeState: Resource {
    /// Turns state of an older version into an object of today. Pure: the provider may not be
    /// configured.
    fn upgrade(
        &self,
        version: i64,
        state: Json,
    ) -> impl Future<Output = Result<Self::Model, Diagnostics>> + Send;
}

/// What a `moved` block brings from another type.
#[derive(Clone)]
pub struct Source {
    /// Such as `registry.terraform.io/hashicorp/vault`.
    pub provider_address: String,
    /// The type name there.
    pub type_name: String,
    /// The version of the schema there.
    pub schema_version: i64,
    /// The state there.
    pub state: Json,
    /// The private bytes there.
    pub private: Vec<u8>,
    /// The identity there, where the core sends it.
    pub identity: Option<Json>,
    /// What every call carries.
    pub call: Call,
}

impl Source {
    /// Whether the source is this type of this provider, by namespace and name
    /// (`hashicorp/vault`): each registry has the same provider under a host name of its own.
    pub fn is(&self, provider: &str, type_name: &str) -> bool {
        let named = self.provider_address.strip_suffix(provider);
        self.type_name == type_name
            && named.is_some_and(|host| host.is_empty() || host.ends_with('/'))
    }

    /// What of the state a struct names, as typed attributes; the rest is left out, what is not
    /// there is null.
    ///
    /// # Errors
    /// An attribute is of another type there.
    pub fn typed<M: Model>(&self) -> Result<M, Diagnostics> {
        let schema = Schema { attributes: M::attributes(), ..Schema::default() };
        let value = json::decode_state(&self.state, &schema).map_err(|wrong| {
            let found = Diagnostic::from(wrong);
            Diagnostic::error(
                "Source state cannot be read",
                format!("The state of the {} to move: {}", self.type_name, found.detail),
            )
        })?;
        Ok(model::from_value(&value)?)
    }
}

/// A resource that takes over objects of other types.
pub trait MoveState: Resource {
    /// The object in our schema; none when the source is no type that we know. Pure: the provider
    /// is not configured.
    fn move_state(
        &self,
        source: Source,
    ) -> impl Future<Output = Result<Option<Done<Self::Model>>, Diagnostics>> + Send;
}

type Imports<R> =
    for<'a> fn(&'a R, Import) -> BoxFuture<'a, Result<Done<<R as Resource>::Model>, Diagnostics>>;
type Upgrades<R> =
    for<'a> fn(&'a R, i64, Json) -> BoxFuture<'a, Result<<R as Resource>::Model, Diagnostics>>;
type Moves<R> =
    for<'a> fn(
        &'a R,
        Source,
    ) -> BoxFuture<'a, Result<Option<Done<<R as Resource>::Model>>, Diagnostics>>;

/// The identity of a resource with its type erased.
pub(crate) struct Identities<R: Resource> {
    pub(crate) schema: Schema,
    pub(crate) of: fn(&R, &R::Model) -> Value,
    pub(crate) upgrade: fn(&R, i64, Json) -> Result<Value, Diagnostics>,
    pub(crate) mutable: bool,
}

/// A resource with the traits that it opts into.
pub struct Registration<R: Resource> {
    pub(crate) resource: R,
    pub(crate) schema: Schema,
    pub(crate) identity: Option<Identities<R>>,
    pub(crate) import: Option<Imports<R>>,
    pub(crate) upgrade: Option<Upgrades<R>>,
    pub(crate) moves: Option<Moves<R>>,
}

impl<R: Resource> Registration<R> {
    /// The resource alone.
    pub fn new(resource: R) -> Self {
        let schema = Schema {
            version: R::VERSION,
            attributes: R::Model::attributes(),
            description: R::Model::description().to_owned(),
            deprecation: R::DEPRECATED.map(str::to_owned),
            ..Schema::default()
        };
        Self { resource, schema, identity: None, import: None, upgrade: None, moves: None }
    }

    /// Existing objects can be taken into state.
    #[must_use]
    pub fn with_import(mut self) -> Self
    where
        R: ImportState,
    {
        self.import = Some(|resource, request| Box::pin(resource.import(request)));
        self
    }

    /// Objects have an identity.
    #[must_use]
    pub fn with_identity(mut self) -> Self
    where
        R: Identity,
    {
        self.identity = Some(Identities {
            schema: Schema {
                version: R::IDENTITY_VERSION,
                attributes: <R::Identity as Model>::attributes(),
                description: <R::Identity as Model>::description().to_owned(),
                ..Schema::default()
            },
            of: |resource, state| model::to_value(&resource.identity(state)),
            upgrade: |resource, version, identity| {
                Ok(model::to_value(&resource.upgrade_identity(version, identity)?))
            },
            mutable: R::MUTABLE,
        });
        self
    }

    /// Stored state may be of an older version.
    #[must_use]
    pub fn with_upgrade(mut self) -> Self
    where
        R: UpgradeState,
    {
        self.upgrade = Some(|resource, version, state| Box::pin(resource.upgrade(version, state)));
        self
    }

    /// Objects of other types can be moved here.
    #[must_use]
    pub fn with_move(mut self) -> Self
    where
        R: MoveState,
    {
        self.moves = Some(|resource, source| Box::pin(resource.move_state(source)));
        self
    }
}

/// `Owner::new(shared).with_import().with_identity()`.
pub trait Register: Resource {
    /// Existing objects can be taken into state.
    fn with_import(self) -> Registration<Self>
    where
        Self: ImportState,
    {
        Registration::new(self).with_import()
    }

    /// Objects have an identity.
    fn with_identity(self) -> Registration<Self>
    where
        Self: Identity,
    {
        Registration::new(self).with_identity()
    }

    /// Stored state may be of an older version.
    fn with_upgrade(self) -> Registration<Self>
    where
        Self: UpgradeState,
    {
        Registration::new(self).with_upgrade()
    }

    /// Objects of other types can be moved here.
    fn with_move(self) -> Registration<Self>
    where
        Self: MoveState,
    {
        Registration::new(self).with_move()
    }
}

impl<R: Resource> Register for R {}

/// What a provider takes as a resource: a resource alone, or a [`Registration`].
pub trait IntoResource {
    /// With its type erased.
    fn into_any(self) -> Arc<dyn AnyResource>;
}

impl<R: Resource> IntoResource for R {
    fn into_any(self) -> Arc<dyn AnyResource> {
        Arc::new(Registration::new(self))
    }
}

impl<R: Resource> IntoResource for Registration<R> {
    fn into_any(self) -> Arc<dyn AnyResource> {
        Arc::new(self)
    }
}
