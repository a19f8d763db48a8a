//! HTTP over reqwest: one attempt, no redirects, a total deadline, a bounded body.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
    time::Duration,
};

use async_trait::async_trait;
use reqwest::{Client, Method, header::HeaderValue, redirect};
use rustls::{
    CertificateError, ClientConfig, InvalidMessage, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use zeroize::Zeroizing;

use super::{Answer, Request, Transport, TransportError};
use crate::Outcome;

/// What is read of an answer's headers. Shared answers stay for a while: what nobody reads would be
/// most of what they weigh.
const HEADERS: [&str; 7] =
    ["age", "date", "etag", "link", "retry-after", "x-ratelimit-remaining", "x-ratelimit-reset"];

/// The largest answer that is read.
const LARGEST: usize = 16 << 20;
/// How many connections that nobody uses are kept: a plan's first burst needs more than all that
/// follows, and each has buffers of its own.
const IDLE: usize = 16;

/// What is set aside for an answer that does not say how long it is.
const USUAL: usize = 64 << 10;

/// How to reach a server.
#[derive(Debug, Clone)]
pub struct HttpOptions {
    /// Scheme, host, port, and perhaps a path that everything is below.
    pub address: String,
    /// Certificates (PEM) to trust beside the system's.
    pub ca_file: Option<PathBuf>,
}

/// A server reached over HTTP. The client is made when the first request needs it, so that a program
/// that sends nothing pays nothing.
pub struct HttpTransport {
    options: HttpOptions,
    also: Vec<String>,
    client: OnceLock<Result<Client, String>>,
}

impl HttpTransport {
    /// Checks the address; sends nothing.
    ///
    /// # Errors
    ///
    /// The address is no `http` or `https` URL.
    pub fn new(options: HttpOptions) -> Result<HttpTransport, String> {
        let url = reqwest::Url::parse(&options.address)
            .map_err(|error| format!("{:?} is no address: {error}", options.address))?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(format!("{:?} is no http or https address", options.address));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("an address must not hold a user or a password".into());
        }
        let address = options.address.trim_end_matches('/').to_owned();
        let options = HttpOptions { address, ..options };
        Ok(HttpTransport { options, also: Vec::new(), client: OnceLock::new() })
    }

    /// The same server's other addresses, which a request may name whole.
    #[must_use]
    pub fn with(mut self, also: Vec<String>) -> HttpTransport {
        self.also = also;
        self
    }

    fn client(&self) -> Result<Client, TransportError> {
        self.client.get_or_init(|| build(&self.options)).clone().map_err(not_sent)
    }

    /// A path below the address, or an absolute URL of the very same origin or of another address that
    /// the connection names: credentials go nowhere else.
    fn url(&self, path: &str) -> Result<String, TransportError> {
        if !path.contains("://") {
            return Ok(format!("{}/{}", self.options.address, path.trim_start_matches('/')));
        }
        let origin = |text: &str| reqwest::Url::parse(text).ok().map(|url| url.origin());
        let named = [&self.options.address].into_iter().chain(&self.also);
        if origin(path).is_some() && named.into_iter().any(|one| origin(one) == origin(path)) {
            Ok(path.to_owned())
        } else {
            Err(not_sent(
                "the platform named an address on another host, which is not followed".into(),
            ))
        }
    }
}

impl fmt::Debug for HttpTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HttpTransport({})", self.options.address)
    }
}

fn build(options: &HttpOptions) -> Result<Client, String> {
    let builder = Client::builder()
        .redirect(redirect::Policy::none())
        .connect_timeout(Duration::from_secs(10))
        .pool_idle_timeout(Duration::from_secs(30))
        .pool_max_idle_per_host(IDLE)
        .user_agent(concat!("nhi/", env!("CARGO_PKG_VERSION")))
        .no_proxy();
    // Plain HTTP needs no certificates, and reading the system's takes milliseconds.
    let builder = if options.address.starts_with("https") {
        builder.tls_backend_preconfigured(tls(options.ca_file.as_deref())?)
    } else {
        builder.tls_backend_preconfigured(bare_tls()?)
    };
    builder.build().map_err(|error| format!("the HTTP client cannot be made: {error}"))
}

fn bare_tls() -> Result<ClientConfig, String> {
    config(RootCertStore::empty())
}

fn config(roots: RootCertStore) -> Result<ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map(|builder| builder.with_root_certificates(roots).with_no_client_auth())
        .map_err(|error| format!("TLS cannot be set up: {error}"))
}

/// TLS as every connection has it: the system's authorities, or those of a file alone.
///
/// # Errors
///
/// The file cannot be read, or holds no certificate.
pub fn tls(ca_file: Option<&Path>) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    let Some(path) = ca_file else {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        return config(roots);
    };
    let wrong = |error: &dyn fmt::Display| format!("ca_file {}: {error}", path.display());
    let pem = std::fs::read(path).map_err(|error| wrong(&error))?;
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| wrong(&error))?;
        roots.add(certificate).map_err(|error| wrong(&error))?;
    }
    if roots.is_empty() {
        return Err(wrong(&"it holds no certificate in PEM"));
    }
    config(roots)
}

fn not_sent(message: String) -> TransportError {
    TransportError::network(message, Outcome::NotSent)
}

#[async_trait]
impl Transport for HttpTransport {
    async fn send(&self, request: Request) -> Result<Answer, TransportError> {
        let client = if request.fresh_connection {
            build(&self.options).map_err(not_sent)?
        } else {
            self.client()?
        };
        let url = self.url(&request.path)?;
        let method = Method::from_bytes(request.method.as_bytes())
            .map_err(|_| not_sent(format!("{} is no method", request.method)))?;
        let mut sent = client.request(method, url).timeout(request.deadline);
        for (name, value) in &request.headers {
            let mut value = HeaderValue::from_str(value.expose()).map_err(|_| {
                not_sent(format!(
                    "the value for header {name} has characters that no header may have"
                ))
            })?;
            value.set_sensitive(true);
            sent = sent.header(*name, value);
        }
        if let Some(body) = request.body {
            // The client's own copy is beyond our reach; ours is wiped here.
            sent = sent.header("content-type", body.content_type).body(body.bytes.to_vec());
        }
        let mut answer = sent.send().await.map_err(|error| failed(&error))?;
        let status = answer.status().as_u16();
        let headers = HEADERS
            .into_iter()
            .filter_map(|name| Some((name, answer.headers().get(name)?.to_str().ok()?.to_owned())))
            .collect();
        let expected = answer.content_length().and_then(|length| usize::try_from(length).ok());
        let mut body = Zeroizing::new(Vec::with_capacity(expected.unwrap_or(USUAL).min(LARGEST)));
        loop {
            match answer.chunk().await {
                Ok(Some(chunk)) if body.len() + chunk.len() <= LARGEST => {
                    append(&mut body, &chunk);
                }
                Ok(Some(_)) => {
                    return Err(lost(format!("the answer is longer than {} MiB", LARGEST >> 20)));
                }
                Ok(None) => break,
                Err(error) => return Err(lost(format!("the answer broke off: {}", cause(&error)))),
            }
        }
        Ok(Answer::new(status, headers, std::mem::take(&mut *exact(body))))
    }
}

/// Grows by moving to a larger place and wiping the one before, which a vector by itself would only
/// free.
fn append(body: &mut Zeroizing<Vec<u8>>, chunk: &[u8]) {
    let needed = body.len() + chunk.len();
    if needed > body.capacity() {
        let mut larger = Zeroizing::new(Vec::with_capacity(needed.max(2 * body.capacity())));
        larger.extend_from_slice(body);
        *body = larger;
    }
    body.extend_from_slice(chunk);
}

/// In a place of its own size, if much of the one it has is unused: a plan keeps thousands of answers.
fn exact(body: Zeroizing<Vec<u8>>) -> Zeroizing<Vec<u8>> {
    if body.capacity() <= body.len() + body.len() / 4 {
        body
    } else {
        Zeroizing::new(body.to_vec())
    }
}

fn lost(message: String) -> TransportError {
    TransportError::network(message, Outcome::Ambiguous)
}

fn failed(error: &reqwest::Error) -> TransportError {
    if signed_by_a_stranger(error) {
        return TransportError::untrusted();
    }
    let mut message = cause(error);
    if answers_plainly(error) {
        message =
            "it answers without TLS, and its address begins with https://: write the port that \
                   speaks TLS, or http:// where it has none"
                .into();
    }
    if error.is_connect() || error.is_builder() {
        not_sent(message)
    } else if error.is_timeout() {
        lost("no answer within the deadline".into())
    } else {
        lost(message)
    }
}

/// Whether what came back to the first word of TLS is none of TLS: most often plain HTTP.
fn answers_plainly(error: &reqwest::Error) -> bool {
    let plain = rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType);
    tls_error(error).is_some_and(|one| *one == plain)
}

/// Whether a connection ended since nobody who is known here signed the server's certificate.
pub fn signed_by_a_stranger(error: &(dyn std::error::Error + 'static)) -> bool {
    let stranger = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
    tls_error(error).is_some_and(|one| *one == stranger)
}

/// What TLS had to say, where an error comes from it.
fn tls_error<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a rustls::Error> {
    let mut next = Some(error);
    while let Some(one) = next {
        if let Some(found) = one.downcast_ref() {
            return Some(found);
        }
        // What an error of input and output carries is not among its sources.
        let carried = one.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        next = carried.map(|carried| carried as _).or_else(|| one.source());
    }
    None
}

/// The innermost cause without URLs: a path may hold a secret.
fn cause(error: &reqwest::Error) -> String {
    let mut inner: &dyn std::error::Error = error;
    while let Some(next) = inner.source() {
        inner = next;
    }
    if std::ptr::addr_eq(inner, error) { "the request failed".into() } else { inner.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_goes_to_the_addresses_of_its_connection_and_nowhere_else() {
        let options = HttpOptions { address: "https://iam.acme.example".into(), ca_file: None };
        let bare = HttpTransport::new(options.clone()).unwrap();
        let both = HttpTransport::new(options).unwrap();
        let both = both.with(vec!["https://sts.acme.example/".into()]);
        assert_eq!(bare.url("x").unwrap(), "https://iam.acme.example/x");
        assert!(bare.url("https://iam.acme.example/x").is_ok());
        assert!(bare.url("https://sts.acme.example/x").is_err());
        assert!(both.url("https://sts.acme.example/x").is_ok());
        for wrong in
            ["http://sts.acme.example", "https://sts.acme.example:444", "https://x.example", "://"]
        {
            assert!(both.url(wrong).is_err(), "{wrong}");
        }
    }

    #[tokio::test]
    async fn a_server_without_tls_is_told_as_that_where_tls_was_asked_for() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("https://{}", listener.local_addr().unwrap());
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut hello = [0; 1024];
            assert!(stream.read(&mut hello).await.unwrap() > 0);
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        });
        let transport = HttpTransport::new(HttpOptions { address, ca_file: None }).unwrap();
        let told = transport.send(Request::get("v1/sys/health", "")).await.unwrap_err();
        server.await.unwrap();
        assert!(told.message.contains("answers without TLS"), "{}", told.message);
        assert!(told.message.contains("http://"), "{}", told.message);
        assert_eq!(told.outcome, Outcome::NotSent);
    }

    #[test]
    fn an_answer_in_pieces_is_whole_and_moves_seldom() {
        let mut body = Zeroizing::new(Vec::with_capacity(4));
        let mut places = 1;
        for at in 0..1000_u32 {
            let before = body.capacity();
            append(&mut body, &at.to_be_bytes());
            places += u32::from(body.capacity() != before);
        }
        let whole: Vec<u8> = (0..1000_u32).flat_map(u32::to_be_bytes).collect();
        assert_eq!(*body, whole);
        assert!(places <= 12, "{places}");
    }
}
