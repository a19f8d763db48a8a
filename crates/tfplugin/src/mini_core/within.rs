//! A provider in this very process, for tests that hold what it acts on in their own hands.

use std::sync::{Arc, Mutex, PoisonError};

use hyper_util::rt::TokioIo;
use tfplugin_proto::tfplugin6::provider_server::ProviderServer;
use tonic::transport::{Endpoint, Server};

use super::{MiniCore, Refusal};
use crate::{erased::AnyProvider, rpc::Service};

/// How many bytes may be on their way.
const PIPE: usize = 1 << 16;

impl MiniCore {
    /// Drives a provider without a program of its own: the same calls over the same wire, through a
    /// pipe in memory. What the provider was made with (a clock, a platform in memory) stays in the
    /// test's hands. There is no handshake and no TLS: [`MiniCore::launch`] is for those.
    ///
    /// # Errors
    /// The schemas are such that cores refuse them.
    pub async fn within(provider: impl AnyProvider + 'static) -> Result<Self, Refusal> {
        let (ours, theirs) = tokio::io::duplex(PIPE);
        let service = ProviderServer::new(Service::new(Arc::new(provider)))
            .max_decoding_message_size(usize::MAX)
            .max_encoding_message_size(usize::MAX);
        let incoming = tokio_stream::once(Ok::<_, std::io::Error>(theirs));
        tokio::spawn(Server::builder().add_service(service).serve_with_incoming(incoming));
        // A pipe is dialed once; a core makes one connection.
        let end = Arc::new(Mutex::new(Some(ours)));
        let connector = tower::service_fn(move |_: tonic::codegen::http::Uri| {
            let end = end.lock().unwrap_or_else(PoisonError::into_inner).take();
            async move {
                end.map(TokioIo::new).ok_or_else(|| std::io::Error::other("the pipe is closed"))
            }
        });
        let channel = Endpoint::from_static("http://localhost")
            .connect_with_connector(connector)
            .await
            .map_err(|error| Refusal::wire(format!("the connection fails: {error}")))?;
        Self::over(channel, None).await
    }
}
