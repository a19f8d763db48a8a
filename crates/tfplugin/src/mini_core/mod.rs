//! A small core: launches a provider's program as Terraform and OpenTofu do, drives it through
//! whole lives of objects, and holds it to the laws at every step. For tests; a life takes
//! milliseconds.
//!
//! It starts the program with a core's environment and a P-521 certificate of its own, reads the
//! handshake, connects with TLS on both sides, completes and checks configurations, proposes, asks
//! for the plan (twice: it must be the same), for the second half of a replacement, for the plan
//! at apply, applies, and reads state back from JSON as a new run would.
//!
//! ```no_run
//! # async fn life() -> Result<(), tfplugin::mini_core::Refusal> {
//! use serde_json::json;
//! use tfplugin::mini_core::MiniCore;
//!
//! let core = MiniCore::launch("target/debug/terraform-provider-sample", &[]).await?;
//! core.configure(json!({})).await?;
//! let owner = core.create("sample_owner", json!({"name": "ops"})).await?;
//! let owner = core.update(&owner, json!({"name": "ops", "kind": "vendor"})).await?;
//! assert_eq!(owner.json()["kind"], "vendor");
//! core.destroy(owner).await?;
//! core.shutdown().await?;
//! # Ok(())
//! # }
//! ```

mod certificate;
mod config;
mod connect;
mod parts;
mod process;
mod refusal;
mod resource;
mod wire;
mod within;

use std::collections::BTreeMap;
use std::path::Path as File;
use std::process::ExitStatus;
use std::time::Duration;

use serde_json::Value as Json;
use tfplugin_proto::plugin::grpc_controller_client::GrpcControllerClient;
use tfplugin_proto::plugin::grpc_stdio_client::GrpcStdioClient;
use tfplugin_proto::plugin::{self, grpc_broker_client::GrpcBrokerClient};
use tfplugin_proto::tfplugin6::{self as proto, provider_client::ProviderClient};
use tokio::process::Child;
use tokio::task::JoinHandle;
use tonic::transport::Channel;

use crate::erased::ClientCapabilities;
use crate::schema::Place;
use crate::{Diagnostics, Schema};

pub use config::unknown;
pub use parts::{Found, Opened};
pub use refusal::Refusal;
pub use resource::{Action, Plan, State};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long to wait for the end. Cores kill after two seconds; a machine that runs tests may be
/// busy, and that we keep within the two is for [`crate::serve`] to hold.
const END: Duration = Duration::from_secs(20);

/// A core that runs one provider.
pub struct MiniCore {
    client: ProviderClient<Channel>,
    process: Option<Process>,
    /// Streams that a core holds for all its life.
    held: JoinHandle<()>,
    channel: Channel,
    schemas: Schemas,
    /// What this core says it can do: by default what Terraform 1.12 can, and defers nothing.
    pub capabilities: ClientCapabilities,
    /// Whether an update may change an identity; only for resources that say so.
    pub identities_may_change: bool,
}

struct Process {
    child: Child,
    log: process::Log,
    address: process::Address,
    server: Option<Vec<u8>>,
    certificate: certificate::Certificate,
}

/// Everything that the provider says it has.
#[derive(Default)]
struct Schemas {
    provider: Schema,
    resources: BTreeMap<String, Schema>,
    identities: BTreeMap<String, Schema>,
    data_sources: BTreeMap<String, Schema>,
    ephemerals: BTreeMap<String, Schema>,
    lists: BTreeMap<String, Schema>,
    actions: BTreeMap<String, Schema>,
    functions: BTreeMap<String, proto::Function>,
}

/// Who knocks at a provider's socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stranger {
    /// Somebody without a certificate.
    Bare,
    /// Somebody with a certificate of the right kind that is not this core's.
    Disguised,
    /// This core itself, for comparison.
    Nobody,
}

impl MiniCore {
    /// Starts a provider and reads its schemas. Variables that begin with `TF_` or `PLUGIN_` are
    /// not inherited; those given here are set.
    ///
    /// # Errors
    /// The program does not start or shake hands, or its schemas are such that cores refuse them.
    pub async fn launch(
        program: impl AsRef<File>,
        environment: &[(&str, &str)],
    ) -> Result<Self, Refusal> {
        Self::launch_with(program.as_ref(), environment, true).await
    }

    /// The same without TLS, as cores do under `TF_DISABLE_PLUGIN_TLS`.
    ///
    /// # Errors
    /// As [`MiniCore::launch`].
    pub async fn launch_plain(
        program: impl AsRef<File>,
        environment: &[(&str, &str)],
    ) -> Result<Self, Refusal> {
        Self::launch_with(program.as_ref(), environment, false).await
    }

    async fn launch_with(
        program: &File,
        environment: &[(&str, &str)],
        tls: bool,
    ) -> Result<Self, Refusal> {
        let certificate = certificate::Certificate::generate().map_err(Refusal::Wire)?;
        let pem = certificate.pem();
        let started = process::start(program, environment, tls.then_some(pem.as_str())).await?;
        if tls != started.certificate.is_some() {
            return Err(Refusal::wire("TLS is not as the core asked for it"));
        }
        let channel = connect::channel(
            started.address.clone(),
            started.certificate.clone(),
            connect::Show::Certificate(certificate.clone()),
        )
        .await
        .map_err(|error| {
            let causes: Vec<String> = causes(&error);
            Refusal::wire(format!("the connection fails: {}", causes.join(": ")))
        })?;
        let process = Process {
            child: started.child,
            log: started.log,
            address: started.address,
            server: started.certificate,
            certificate,
        };
        Self::over(channel, Some(process)).await
    }

    /// Attaches to a provider that was started to be debugged, at the socket that it printed.
    ///
    /// # Errors
    /// Nobody listens there, or the schemas are such that cores refuse them.
    pub async fn attach(socket: &str) -> Result<Self, Refusal> {
        let address = process::Address::Unix(socket.to_owned());
        let channel = connect::channel(address, None, connect::Show::Nothing)
            .await
            .map_err(|error| Refusal::wire(format!("the connection fails: {error}")))?;
        Self::over(channel, None).await
    }

    async fn over(channel: Channel, process: Option<Process>) -> Result<Self, Refusal> {
        let client = ProviderClient::new(channel.clone())
            .max_decoding_message_size(usize::MAX)
            .max_encoding_message_size(usize::MAX);
        let held = hold(channel.clone());
        let mut core = Self {
            client,
            process,
            held,
            channel,
            schemas: Schemas::default(),
            capabilities: ClientCapabilities {
                write_only_attributes_allowed: true,
                ..ClientCapabilities::default()
            },
            identities_may_change: false,
        };
        core.schemas = core.read_schemas().await?;
        Ok(core)
    }

    async fn read_schemas(&self) -> Result<Schemas, Refusal> {
        let mut client = self.client.clone();
        let answer = self
            .patiently(client.get_provider_schema(proto::get_provider_schema::Request {}))
            .await?;
        wire::check(answer.diagnostics)?;
        let all = |schemas: std::collections::HashMap<String, proto::Schema>, place: Place| {
            schemas
                .into_iter()
                .map(|(name, schema)| {
                    let schema = sound(&name, wire::schema(schema)?, place)?;
                    Ok((name, schema))
                })
                .collect::<Result<BTreeMap<_, _>, Refusal>>()
        };
        let provider =
            answer.provider.ok_or_else(|| Refusal::wire("the provider's own schema is missing"))?;
        let mut schemas = Schemas {
            provider: sound("provider", wire::schema(provider)?, Place::Provider)?,
            resources: all(answer.resource_schemas, Place::Resource)?,
            data_sources: all(answer.data_source_schemas, Place::Data)?,
            ephemerals: all(answer.ephemeral_resource_schemas, Place::Data)?,
            lists: all(answer.list_resource_schemas, Place::List)?,
            functions: answer.functions.into_iter().collect(),
            ..Schemas::default()
        };
        for (name, action) in answer.action_schemas {
            let schema = wire::schema(action.schema.unwrap_or_default())?;
            let schema = sound(&name, schema, Place::Action)?;
            schemas.actions.insert(name, schema);
        }
        if let Some((name, _)) =
            schemas.functions.iter().find(|(_, function)| function.r#return.is_none())
        {
            return Err(Refusal::wire(format!("function {name} gives nothing: cores crash on it")));
        }
        let answer = self
            .patiently(
                client.get_resource_identity_schemas(
                    proto::get_resource_identity_schemas::Request {},
                ),
            )
            .await?;
        wire::check(answer.diagnostics)?;
        for (name, schema) in answer.identity_schemas {
            let schema = sound(&name, wire::identity_schema(schema)?, Place::Identity)?;
            schemas.identities.insert(name, schema);
        }
        if let Some(name) =
            schemas.lists.keys().find(|name| !schemas.identities.contains_key(*name))
        {
            return Err(Refusal::wire(format!("{name} is listed and has no identity")));
        }
        Ok(schemas)
    }

    /// Waits for an answer, but not for ever.
    async fn patiently<T>(
        &self,
        answer: impl Future<Output = Result<tonic::Response<T>, tonic::Status>>,
    ) -> Result<T, Refusal> {
        match tokio::time::timeout(PATIENCE, answer).await {
            Ok(answer) => Ok(answer?.into_inner()),
            Err(_) => Err(Refusal::wire("the provider does not answer")),
        }
    }

    /// A deferred answer ends what was asked, and is a fault where this core allows none.
    fn deferral(&self, deferred: Option<proto::Deferred>) -> Result<(), Refusal> {
        match deferred {
            None => Ok(()),
            Some(why) if self.capabilities.deferral_allowed => {
                Err(Refusal::Deferred(wire::deferred(&why)?))
            }
            Some(_) => Err(Refusal::wire("the provider deferred its answer and may not")),
        }
    }

    fn wire_capabilities(&self) -> Option<proto::ClientCapabilities> {
        Some(proto::ClientCapabilities {
            deferral_allowed: self.capabilities.deferral_allowed,
            write_only_attributes_allowed: self.capabilities.write_only_attributes_allowed,
            store_planned_private: self.capabilities.store_planned_private,
            ..proto::ClientCapabilities::default()
        })
    }

    /// Judges and gives the provider block; what is left out is null. The answer holds warnings.
    ///
    /// # Errors
    /// The block is not of the schema, or the provider refuses it.
    pub async fn configure(&self, block: Json) -> Result<Diagnostics, Refusal> {
        let schema = &self.schemas.provider;
        let config = config::read(schema, &block)?;
        let mut client = self.client.clone();
        let encoded = wire::encode(&config, schema.ty())?;
        let request = proto::validate_provider_config::Request { config: encoded.clone() };
        let answer = self.patiently(client.validate_provider_config(request)).await?;
        let mut told = wire::check(answer.diagnostics)?;
        let request = proto::configure_provider::Request {
            terraform_version: "1.12.0".to_owned(),
            config: encoded,
            client_capabilities: self.wire_capabilities(),
        };
        let answer = self.patiently(client.configure_provider(request)).await?;
        told.extend(wire::check(answer.diagnostics)?);
        Ok(told)
    }

    /// The schema of a managed resource, as the provider sent it.
    pub fn schema(&self, type_name: &str) -> Option<&Schema> {
        self.schemas.resources.get(type_name)
    }

    /// The bare procedures, for tests of what this core would never ask.
    pub fn procedures(&self) -> ProviderClient<Channel> {
        self.client.clone()
    }

    /// The connection, for tests of the services beside the provider's.
    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// The type names of all managed resources.
    pub fn resources(&self) -> impl Iterator<Item = &str> {
        self.schemas.resources.keys().map(String::as_str)
    }

    /// What the provider wrote to standard error so far, line by line.
    pub fn log(&self) -> Vec<String> {
        self.process.as_ref().map(|process| process.log.lines()).unwrap_or_default()
    }

    /// The provider's process id; none where it was attached to, or has ended.
    pub fn process_id(&self) -> Option<u32> {
        self.process.as_ref().and_then(|process| process.child.id())
    }

    /// Whether the provider talks to this stranger.
    ///
    /// # Errors
    /// It does not, and why. (Or there is no TLS: nothing to show.)
    pub async fn knock(&self, stranger: Stranger) -> Result<(), Refusal> {
        let Some(Process { address, server: Some(server), certificate, .. }) = &self.process else {
            return Err(Refusal::wire("there is no TLS here"));
        };
        let show = match stranger {
            Stranger::Bare => connect::Show::Nothing,
            Stranger::Disguised => connect::Show::Certificate(
                certificate::Certificate::generate().map_err(Refusal::Wire)?,
            ),
            Stranger::Nobody => connect::Show::Certificate(certificate.clone()),
        };
        connect::knock(address, server, &show)
            .await
            .map_err(|error| Refusal::wire(error.to_string()))
    }

    /// Asks the provider to bring its work to an end, as cores do on the first interrupt.
    ///
    /// # Errors
    /// The provider says that it cannot.
    pub async fn stop(&self) -> Result<(), Refusal> {
        let request = proto::stop_provider::Request {};
        let answer = self.patiently(self.client.clone().stop_provider(request)).await?;
        if answer.error.is_empty() { Ok(()) } else { Err(Refusal::Wire(answer.error)) }
    }

    /// Ends the provider as a core does at the end of a phase, and waits for it.
    ///
    /// # Errors
    /// It does not end (it is killed then, as cores do, who wait less long).
    pub async fn shutdown(mut self) -> Result<Option<ExitStatus>, Refusal> {
        let mut controller = GrpcControllerClient::new(self.channel.clone());
        // It may be gone before it answers.
        let _ = tokio::time::timeout(END, controller.shutdown(plugin::Empty {})).await;
        let process = self.process.take();
        drop(self);
        wait(process).await
    }

    /// Waits for the provider to end by itself, and says nothing to it.
    ///
    /// # Errors
    /// It does not end (it is killed then).
    pub async fn ended(mut self) -> Result<Option<ExitStatus>, Refusal> {
        wait(self.process.take()).await
    }

    /// Vanishes like a core that was killed: connections break, nothing is said. Waits for the
    /// provider to notice.
    ///
    /// # Errors
    /// It does not notice and would live on as an orphan (it is killed then).
    pub async fn vanish(mut self) -> Result<Option<ExitStatus>, Refusal> {
        let process = self.process.take();
        drop(self);
        wait(process).await
    }
}

/// A schema that cores neither refuse nor crash on.
fn sound(name: &str, schema: Schema, place: Place) -> Result<Schema, Refusal> {
    let faults = schema.faults(place);
    if faults.is_empty() { Ok(schema) } else { Err(Refusal::wire(format!("{name}: {faults}"))) }
}

impl Drop for MiniCore {
    fn drop(&mut self) {
        self.held.abort();
    }
}

async fn wait(process: Option<Process>) -> Result<Option<ExitStatus>, Refusal> {
    let Some(mut process) = process else { return Ok(None) };
    match tokio::time::timeout(END, process.child.wait()).await {
        Ok(Ok(status)) => Ok(Some(status)),
        Ok(Err(error)) => Err(Refusal::wire(error.to_string())),
        Err(_) => Err(Refusal::wire(format!(
            "the provider did not end; its log:\n{}",
            process.log.lines().join("\n")
        ))),
    }
}

/// Opens the streams that a core opens at once, and holds them.
fn hold(channel: Channel) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut stdio = GrpcStdioClient::new(channel.clone());
        let mut broker = GrpcBrokerClient::new(channel);
        let out = async {
            if let Ok(stream) = stdio.stream_stdio(()).await {
                let mut stream = stream.into_inner();
                while let Ok(Some(_)) = stream.message().await {}
            }
        };
        let offers = async {
            let nothing = tokio_stream::pending::<plugin::ConnInfo>();
            if let Ok(stream) = broker.start_stream(nothing).await {
                let mut stream = stream.into_inner();
                while let Ok(Some(_)) = stream.message().await {}
            }
        };
        tokio::join!(out, offers);
    })
}

fn causes(error: &dyn std::error::Error) -> Vec<String> {
    let mut all = vec![error.to_string()];
    let mut next = error.source();
    while let Some(error) = next {
        all.push(error.to_string());
        next = error.source();
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Attribute, Type};

    #[test]
    fn a_schema_that_cores_crash_on_is_refused_as_it_comes_from_the_wire() {
        let attribute = Attribute::new("a", Type::list(Type::Dynamic)).optional();
        let schema = Schema::new(vec![attribute]);
        let refused = sound("sample_thing", schema, Place::Resource).unwrap_err().to_string();
        assert!(refused.starts_with("sample_thing: ") && refused.contains("crash"), "{refused}");
    }
}
