//! What the procedures of the wire call: a provider and its parts with their types erased to
//! [`Value`].
//!
//! Nobody implements these by hand: [`crate::provider::Server`] builds them from the typed traits.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::mpsc;

use crate::{Attribute, Diagnostics, Path, Schema, Type, Value};

/// A future on the heap that may move between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The signal that the core asks us to stop: work in flight gives up soon and says what is true.
pub type Stop = tokio_util::sync::CancellationToken;

/// What the calling core can do. Never derive features from its version text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClientCapabilities {
    /// The core takes [`Deferred`] answers. (Cores set it wrongly in `ConfigureProvider`; the
    /// procedure there passes `false`.)
    pub deferral_allowed: bool,
    /// The core understands write-only attributes (Terraform 1.11, OpenTofu 1.11 and later).
    pub write_only_attributes_allowed: bool,
    /// The core gives the private bytes of the first plan to the second (Terraform 1.16).
    pub store_planned_private: bool,
}

/// What every call carries.
#[derive(Clone, Debug, Default)]
pub struct Call {
    /// Fires on `StopProvider`.
    pub stop: Stop,
    /// What the core can do.
    pub capabilities: ClientCapabilities,
}

/// Why an answer waits for a later run. Only answer so where the core allows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deferred {
    /// The resource's configuration is not known enough.
    ResourceConfigUnknown,
    /// The provider's configuration is not known enough.
    ProviderConfigUnknown,
    /// Something that must exist first does not exist yet.
    AbsentPrerequisite,
}

impl Deferred {
    /// The wish to wait, where this very call takes it; an error elsewhere, for a core that never
    /// allowed it would take the answer for the truth.
    pub(crate) fn granted(
        wish: Option<Self>,
        allowed: bool,
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        if wish.is_some() && !allowed {
            diagnostics.error(
                "Deferral not allowed",
                "The provider would answer in a later run, and this call does not take that. \
                 Report it to the provider's developers.",
            );
            return None;
        }
        wish
    }
}

/// A provider with all its parts.
pub trait AnyProvider: Send + Sync {
    /// The word that type names begin with, such as `nhi`.
    fn name(&self) -> &str;
    /// The detail of an error as it is told, whoever found it.
    fn word(&self, summary: &str, detail: String) -> String {
        let _ = summary;
        detail
    }
    /// The schema of the provider block.
    fn schema(&self) -> &Schema;
    /// The schema of `provider_meta` blocks, if any.
    fn meta_schema(&self) -> Option<&Schema> {
        None
    }
    /// Managed resources by type name.
    fn resources(&self) -> &BTreeMap<String, Arc<dyn AnyResource>>;
    /// Data sources by type name.
    fn data_sources(&self) -> &BTreeMap<String, Arc<dyn AnyDataSource>>;
    /// Ephemeral resources by type name.
    fn ephemerals(&self) -> &BTreeMap<String, Arc<dyn AnyEphemeral>>;
    /// Functions by name.
    fn functions(&self) -> &BTreeMap<String, Arc<dyn AnyFunction>>;
    /// List resources by the type name of the managed resource that they list.
    fn lists(&self) -> &BTreeMap<String, Arc<dyn AnyList>>;
    /// Actions by type name.
    fn actions(&self) -> &BTreeMap<String, Arc<dyn AnyAction>>;
    /// What is wrong with our own schemas: cores refuse the whole provider for any of it.
    fn faults(&self) -> Diagnostics;
    /// Judges the provider block; values may be unknown.
    fn validate<'a>(&'a self, config: Value, call: Call) -> BoxFuture<'a, Diagnostics>;
    /// Takes the provider block; values may still be unknown during a plan. May be called again.
    fn configure<'a>(&'a self, request: ConfigureRequest) -> BoxFuture<'a, Diagnostics>;
}

/// What `ConfigureProvider` brings.
#[derive(Clone, Debug)]
pub struct ConfigureRequest {
    /// What the core says its version is (OpenTofu pretends to be a Terraform). For logs only.
    pub terraform_version: String,
    /// The provider block.
    pub config: Value,
    /// What every call carries.
    pub call: Call,
}

/// A managed resource.
pub trait AnyResource: Send + Sync {
    /// The full type name, such as `nhi_owner`.
    fn type_name(&self) -> &str;
    /// Its schema.
    fn schema(&self) -> &Schema;
    /// The schema of its identity, if it has one.
    fn identity_schema(&self) -> Option<&Schema>;
    /// Whether objects can be imported.
    fn can_import(&self) -> bool;
    /// Whether objects of other types can be moved here.
    fn can_move(&self) -> bool;
    /// Judges a configuration; values may be unknown.
    fn validate<'a>(&'a self, config: Value, call: Call) -> BoxFuture<'a, Diagnostics>;
    /// Plans a create, update or destroy.
    fn plan<'a>(&'a self, request: PlanRequest) -> BoxFuture<'a, PlanResponse>;
    /// Carries out a planned change.
    fn apply<'a>(&'a self, request: ApplyRequest) -> BoxFuture<'a, ApplyResponse>;
    /// Observes the object as it is now.
    fn read<'a>(&'a self, request: ReadRequest) -> BoxFuture<'a, ReadResponse>;
    /// Finds an object that exists and is in no state yet.
    fn import<'a>(&'a self, request: ImportRequest) -> BoxFuture<'a, ImportResponse>;
    /// Turns stored state (JSON in the schema of `version`) into state of today's schema. Called
    /// for every object that is read from state, also where the versions are equal.
    fn upgrade<'a>(
        &'a self,
        version: i64,
        state: serde_json::Value,
        call: Call,
    ) -> BoxFuture<'a, StateResponse>;
    /// Turns a stored identity into one of today's identity schema.
    fn upgrade_identity<'a>(
        &'a self,
        version: i64,
        identity: serde_json::Value,
        call: Call,
    ) -> BoxFuture<'a, StateResponse>;
    /// Takes over the state of an object of another type. The provider is not configured.
    fn move_state<'a>(&'a self, request: MoveRequest) -> BoxFuture<'a, MoveResponse>;
    /// Writes a configuration for an existing object (`-generate-config-out`).
    fn generate_config(&self, state: Value) -> StateResponse;
}

/// What `PlanResourceChange` brings.
#[derive(Clone)]
pub struct PlanRequest {
    /// The object in state, null when there is none (create, and the second half of a replacement).
    pub prior: Value,
    /// The core's merge of configuration and prior, null to destroy.
    pub proposed: Value,
    /// The configuration, null to destroy.
    pub config: Value,
    /// The private bytes in state.
    pub prior_private: Vec<u8>,
    /// The private bytes of the first plan, where the core stores them.
    pub planned_private: Option<Vec<u8>>,
    /// The identity in state.
    pub prior_identity: Option<Value>,
    /// The `provider_meta` block, null when there is none.
    pub provider_meta: Value,
    /// What every call carries.
    pub call: Call,
}

/// What `PlanResourceChange` answers.
#[derive(Clone, Default)]
pub struct PlanResponse {
    /// The object after the change, null to destroy.
    pub planned: Value,
    /// Attributes whose change needs a new object.
    pub requires_replace: Vec<Path>,
    /// The private bytes that apply gets.
    pub private: Vec<u8>,
    /// The identity after the change.
    pub identity: Option<Value>,
    /// Whether the answer waits for a later run.
    pub deferred: Option<Deferred>,
    /// What the user should know.
    pub diagnostics: Diagnostics,
}

/// What `ApplyResourceChange` brings.
#[derive(Clone)]
pub struct ApplyRequest {
    /// The object in state, null to create.
    pub prior: Value,
    /// The planned object, null to delete.
    pub planned: Value,
    /// The configuration, null to delete.
    pub config: Value,
    /// The private bytes of the plan.
    pub planned_private: Vec<u8>,
    /// The identity of the plan.
    pub planned_identity: Option<Value>,
    /// The `provider_meta` block, null when there is none.
    pub provider_meta: Value,
    /// What every call carries.
    pub call: Call,
}

/// What `ApplyResourceChange` answers: what exists now, whatever went wrong.
#[derive(Clone, Default)]
pub struct ApplyResponse {
    /// The object as it is now, null when there is none.
    pub state: Value,
    /// The private bytes to store.
    pub private: Vec<u8>,
    /// The identity to store.
    pub identity: Option<Value>,
    /// What the user should know.
    pub diagnostics: Diagnostics,
}

/// What `ReadResource` brings.
#[derive(Clone)]
pub struct ReadRequest {
    /// The object in state.
    pub state: Value,
    /// The private bytes in state.
    pub private: Vec<u8>,
    /// The identity in state.
    pub identity: Option<Value>,
    /// The `provider_meta` block, null when there is none.
    pub provider_meta: Value,
    /// What every call carries.
    pub call: Call,
}

/// What `ReadResource` answers.
#[derive(Clone, Default)]
pub struct ReadResponse {
    /// The object as it is now, null when it is proven gone.
    pub state: Value,
    /// The private bytes to store.
    pub private: Vec<u8>,
    /// The identity to store.
    pub identity: Option<Value>,
    /// Whether the answer waits for a later run.
    pub deferred: Option<Deferred>,
    /// What the user should know.
    pub diagnostics: Diagnostics,
}

/// What `ImportResourceState` brings: an id or an identity.
#[derive(Clone, Debug)]
pub struct ImportRequest {
    /// The id, empty when an identity is given.
    pub id: String,
    /// The identity, when given.
    pub identity: Option<Value>,
    /// What every call carries.
    pub call: Call,
}

/// What `ImportResourceState` answers. Exactly one object, of the type that was asked for.
#[derive(Clone, Default)]
pub struct ImportResponse {
    /// The object; a read follows at once, so what only a read finds may be null.
    pub state: Value,
    /// The private bytes to store.
    pub private: Vec<u8>,
    /// The identity to store.
    pub identity: Option<Value>,
    /// Whether the answer waits for a later run; nothing is imported then.
    pub deferred: Option<Deferred>,
    /// What the user should know.
    pub diagnostics: Diagnostics,
}

/// What the upgrades and the generated configuration answer.
#[derive(Clone, Debug, Default)]
pub struct StateResponse {
    /// The value in today's schema.
    pub value: Value,
    /// What the user should know.
    pub diagnostics: Diagnostics,
}

/// What `MoveResourceState` brings.
#[derive(Clone)]
pub struct MoveRequest {
    /// Where the source's provider comes from, such as `registry.terraform.io/hashicorp/null`.
    pub source_provider_address: String,
    /// The source's type name.
    pub source_type_name: String,
    /// The version of the source's schema.
    pub source_schema_version: i64,
    /// The source's state as JSON.
    pub source_state: serde_json::Value,
    /// The source's private bytes.
    pub source_private: Vec<u8>,
    /// The source's identity as JSON, where the core sends it.
    pub source_identity: Option<serde_json::Value>,
    /// What every call carries.
    pub call: Call,
}

/// What `MoveResourceState` answers.
#[derive(Clone, Default)]
pub struct MoveResponse {
    /// The object in our schema.
    pub state: Value,
    /// The private bytes to store.
    pub private: Vec<u8>,
    /// The identity to store.
    pub identity: Option<Value>,
    /// What the user should know.
    pub diagnostics: Diagnostics,
}

/// A data source.
pub trait AnyDataSource: Send + Sync {
    /// The full type name.
    fn type_name(&self) -> &str;
    /// Its schema.
    fn schema(&self) -> &Schema;
    /// Judges a configuration; values may be unknown.
    fn validate<'a>(&'a self, config: Value, call: Call) -> BoxFuture<'a, Diagnostics>;
    /// Reads; the configuration is wholly known.
    fn read<'a>(&'a self, request: DataRequest) -> BoxFuture<'a, DataResponse>;
}

/// What `ReadDataSource` brings.
#[derive(Clone, Debug)]
pub struct DataRequest {
    /// The configuration.
    pub config: Value,
    /// The `provider_meta` block, null when there is none.
    pub provider_meta: Value,
    /// What every call carries.
    pub call: Call,
}

/// What `ReadDataSource` answers.
#[derive(Clone, Debug, Default)]
pub struct DataResponse {
    /// The object: the configuration with its computed attributes filled.
    pub state: Value,
    /// Whether the answer waits for a later run.
    pub deferred: Option<Deferred>,
    /// What the user should know.
    pub diagnostics: Diagnostics,
}

/// An ephemeral resource: it lives for one phase of one run and is in no state.
pub trait AnyEphemeral: Send + Sync {
    /// The full type name.
    fn type_name(&self) -> &str;
    /// Its schema.
    fn schema(&self) -> &Schema;
    /// Judges a configuration; values may be unknown.
    fn validate<'a>(&'a self, config: Value, call: Call) -> BoxFuture<'a, Diagnostics>;
    /// Opens; called at plan **and** at apply.
    fn open<'a>(&'a self, config: Value, call: Call) -> BoxFuture<'a, OpenResponse>;
    /// Renews, with the private bytes of the last open or renew.
    fn renew<'a>(&'a self, private: Vec<u8>, call: Call) -> BoxFuture<'a, RenewResponse>;
    /// Closes, with the private bytes of **open** (cores never pass those of a renew).
    fn close<'a>(&'a self, private: Vec<u8>, call: Call) -> BoxFuture<'a, Diagnostics>;
}

/// What `OpenEphemeralResource` answers.
#[derive(Clone, Default)]
pub struct OpenResponse {
    /// The object.
    pub result: Value,
    /// When the core calls renew; give it well before the real end.
    pub renew_at: Option<SystemTime>,
    /// Bytes for renew and close.
    pub private: Vec<u8>,
    /// Whether the answer waits for a later run.
    pub deferred: Option<Deferred>,
    /// What the user should know.
    pub diagnostics: Diagnostics,
}

/// What `RenewEphemeralResource` answers.
#[derive(Clone, Default)]
pub struct RenewResponse {
    /// When the core calls renew again.
    pub renew_at: Option<SystemTime>,
    /// Bytes for the next renew.
    pub private: Vec<u8>,
    /// What the user should know.
    pub diagnostics: Diagnostics,
}

/// A parameter of a function.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// Its type.
    pub ty: Type,
    /// Whether null may be given.
    pub allow_null: bool,
    /// Whether unknown values are passed to the function (else the core answers unknown itself).
    pub allow_unknown: bool,
    /// Markdown for the documentation.
    pub description: String,
}

/// What a function takes and gives.
#[derive(Clone, Debug)]
pub struct Signature {
    /// Its parameters in order.
    pub parameters: Vec<Parameter>,
    /// The parameter that takes all further arguments.
    pub variadic: Option<Parameter>,
    /// The type of its result.
    pub returns: Type,
    /// One line.
    pub summary: String,
    /// Markdown for the documentation.
    pub description: String,
    /// What to use instead, when deprecated.
    pub deprecation: Option<String>,
}

/// A function: pure and deterministic.
pub trait AnyFunction: Send + Sync {
    /// Its name, without the provider's.
    fn name(&self) -> &str;
    /// What it takes and gives.
    fn signature(&self) -> &Signature;
    /// What is wrong with it: cores refuse or crash on it, or it could never be called.
    fn faults(&self) -> Vec<String> {
        crate::function::faults(self.name(), self.signature())
    }
    /// Calls it; variadic arguments are appended as single arguments.
    fn call<'a>(
        &'a self,
        arguments: Vec<Value>,
        call: Call,
    ) -> BoxFuture<'a, Result<Value, FunctionError>>;
}

/// Why a function could not answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionError {
    /// What is wrong and what to do.
    pub text: String,
    /// The argument at fault, counted from 0.
    pub argument: Option<i64>,
}

/// The way out for a stream of events. There is one only, and the stream ends where it goes: a copy
/// that outlived the deed would keep the core waiting for ever.
#[derive(Debug)]
pub struct Outlet<T>(mpsc::Sender<T>);

impl<T> Outlet<T> {
    /// A way out and the end that the procedure reads.
    pub fn new(buffer: usize) -> (Self, mpsc::Receiver<T>) {
        let (sender, receiver) = mpsc::channel(buffer.max(1));
        (Self(sender), receiver)
    }

    /// Sends one event. False: nobody listens any more, stop listing.
    pub async fn send(&self, event: T) -> bool {
        self.0.send(event).await.is_ok()
    }
}

/// A list resource: finds objects of a managed resource.
pub trait AnyList: Send + Sync {
    /// The type name of the managed resource, which must have an identity.
    fn type_name(&self) -> &str;
    /// The schema of the inner `config` block.
    fn schema(&self) -> &Schema;
    /// Judges a configuration; values may be unknown.
    fn validate<'a>(&'a self, config: Value, call: Call) -> BoxFuture<'a, Diagnostics>;
    /// Lists; ends when all is sent, the limit is reached or nobody listens.
    fn list<'a>(&'a self, request: ListRequest, out: Outlet<ListEvent>) -> BoxFuture<'a, ()>;
}

/// What `ListResource` brings.
#[derive(Clone, Debug)]
pub struct ListRequest {
    /// The configuration.
    pub config: Value,
    /// Whether events carry the whole object.
    pub include_object: bool,
    /// How many events at most.
    pub limit: i64,
    /// What every call carries.
    pub call: Call,
}

/// One object found, or a diagnostic without one.
#[derive(Clone, Debug, Default)]
pub struct ListEvent {
    /// The identity: cores skip an event that has none.
    pub identity: Option<Value>,
    /// What people call it.
    pub display_name: String,
    /// The whole object in the managed resource's schema, when asked for.
    pub object: Option<Value>,
    /// What the user should know.
    pub diagnostics: Diagnostics,
}

/// An action.
pub trait AnyAction: Send + Sync {
    /// The full type name.
    fn type_name(&self) -> &str;
    /// Its schema.
    fn schema(&self) -> &Schema;
    /// Judges a configuration; values may be unknown.
    fn validate<'a>(&'a self, config: Value, call: Call) -> BoxFuture<'a, Diagnostics>;
    /// Says at plan what is wrong; values may be unknown.
    fn plan<'a>(&'a self, config: Value, call: Call) -> BoxFuture<'a, ActionPlan>;
    /// Acts, telling progress. The procedure sends the closing event with the answer.
    fn invoke<'a>(
        &'a self,
        config: Value,
        progress: Outlet<String>,
        call: Call,
    ) -> BoxFuture<'a, Diagnostics>;
}

/// What `PlanAction` answers.
#[derive(Clone, Debug, Default)]
pub struct ActionPlan {
    /// Whether the action waits for a later run.
    pub deferred: Option<Deferred>,
    /// What the user should know.
    pub diagnostics: Diagnostics,
}

/// The attribute of that name, where a schema has it.
pub fn find<'a>(attributes: &'a [Attribute], name: &str) -> Option<&'a Attribute> {
    attributes.iter().find(|a| a.name == name)
}

// Private bytes may hold anything, and what other providers stored is theirs.
crate::secret::shows! {
    PlanRequest { prior, proposed, config, prior_identity, provider_meta, call }
    PlanResponse { planned, requires_replace, identity, deferred, diagnostics }
    ApplyRequest { prior, planned, config, planned_identity, provider_meta, call }
    ApplyResponse { state, identity, diagnostics }
    ReadRequest { state, identity, provider_meta, call }
    ReadResponse { state, identity, deferred, diagnostics }
    ImportResponse { state, identity, deferred, diagnostics }
    MoveRequest { source_provider_address, source_type_name, source_schema_version, call }
    MoveResponse { state, identity, diagnostics }
    OpenResponse { result, renew_at, deferred, diagnostics }
    RenewResponse { renew_at, diagnostics }
}
