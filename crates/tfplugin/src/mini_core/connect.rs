//! The connection to a provider: mutual TLS over its socket, then gRPC.

use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint};

use super::certificate::Certificate;
use super::process::Address;

/// Bytes both ways.
pub(super) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// How a client shows itself.
#[derive(Clone)]
pub(super) enum Show {
    Nothing,
    Certificate(Certificate),
}

async fn dial(address: &Address) -> std::io::Result<Box<dyn Io>> {
    Ok(match address {
        #[cfg(unix)]
        Address::Unix(path) => Box::new(tokio::net::UnixStream::connect(path).await?),
        #[cfg(not(unix))]
        Address::Unix(_) => return Err(std::io::Error::other("no Unix sockets here")),
        Address::Tcp(at) => Box::new(tokio::net::TcpStream::connect(at).await?),
    })
}

/// TLS as Go cores do it: the server's certificate is the one root, its name is `localhost`.
async fn secure(
    stream: Box<dyn Io>,
    server: &[u8],
    show: &Show,
) -> std::io::Result<tokio_rustls::client::TlsStream<Box<dyn Io>>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(server.to_vec())).map_err(std::io::Error::other)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(std::io::Error::other)?
        .with_root_certificates(roots);
    let mut config = match show {
        Show::Nothing => builder.with_no_client_auth(),
        Show::Certificate(certificate) => builder.with_client_cert_resolver(certificate.resolver()),
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    let name = ServerName::try_from("localhost").map_err(std::io::Error::other)?;
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    // grpc-go refuses a server that does not choose it.
    if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
        return Err(std::io::Error::other("the provider did not choose h2"));
    }
    Ok(stream)
}

/// A channel for calls.
pub(super) async fn channel(
    address: Address,
    server: Option<Vec<u8>>,
    show: Show,
) -> Result<Channel, tonic::transport::Error> {
    let connector = tower::service_fn(move |_: tonic::codegen::http::Uri| {
        let (address, server, show) = (address.clone(), server.clone(), show.clone());
        async move {
            let stream = dial(&address).await?;
            let stream: Box<dyn Io> = match &server {
                None => stream,
                Some(server) => Box::new(secure(stream, server, &show).await?),
            };
            Ok::<_, std::io::Error>(TokioIo::new(stream))
        }
    });
    Endpoint::from_static("http://localhost").connect_with_connector(connector).await
}

/// Whether the provider talks to somebody who shows this.
pub(super) async fn knock(
    address: &Address,
    server: &[u8],
    show: &Show,
) -> Result<(), std::io::Error> {
    let mut stream = secure(dial(address).await?, server, show).await?;
    // In TLS 1.3 a refused client learns of it when it reads; an accepted one reads SETTINGS.
    let mut first = [0; 1];
    match tokio::time::timeout(Duration::from_secs(5), stream.read_exact(&mut first)).await {
        Ok(read) => read.map(|_| ()),
        Err(_) => Err(std::io::Error::other("the provider stays silent")),
    }
}
