//! Traces, sent to a collector where `OTEL_EXPORTER_OTLP_ENDPOINT` says that there is one: OTLP, protobuf
//! over HTTP. Without it nothing is traced and nothing is spent.
//!
//! What is sent are the spans of the crate `telemetry`, and no others: what libraries trace, and what is
//! said in logs, stays here.

use std::{
    fmt,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use connector::transport::{Body, HttpOptions, HttpTransport, Request, Transport};
use domain::Secret;
use opentelemetry::{KeyValue, trace::TracerProvider};
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::{
    Resource,
    trace::{BatchConfigBuilder, BatchSpanProcessor, SdkTracerProvider},
};
use operations::Problem;
use tokio::runtime::Handle;
use tracing_subscriber::{filter::Targets, prelude::*};
use wiring::Environment;

/// How many spans wait to be sent at most: one look at a thousand integrations makes some thousands.
const MOST: usize = 16_384;
/// How many go in one request.
const AT_ONCE: usize = 512;
/// How long one request may take.
const LONGEST: Duration = Duration::from_secs(10);
/// How long what is left is waited for at the end.
const LAST: Duration = Duration::from_secs(5);

/// Where traces go; nowhere, unless the environment says so.
#[derive(Debug, Default)]
pub(crate) struct Traces(Option<SdkTracerProvider>);

impl Traces {
    /// Begins to send what is traced from now on. `told` hears when nobody takes it.
    ///
    /// # Errors
    ///
    /// `E-TRACES`: what the environment says of it cannot be done.
    pub(crate) fn begin(
        environment: &Environment,
        told: impl Fn(&str) + Send + Sync + 'static,
    ) -> Result<Traces, Problem> {
        let Some(asked) = Asked::read(environment)? else { return Ok(Traces::default()) };
        let wrong = |error: &dyn fmt::Display| problem(&format!("{}: {error}", asked.variable));
        let to = HttpOptions { address: asked.endpoint.clone(), ca_file: asked.ca_file.clone() };
        let client = Client(Arc::new(Sending {
            to: HttpTransport::new(to).map_err(|error| wrong(&error))?,
            address: asked.endpoint.clone(),
            headers: asked.headers,
            runtime: Handle::current(),
            silent: AtomicBool::new(false),
            told: Box::new(told),
        }));
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(client)
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(asked.endpoint)
            .with_timeout(LONGEST)
            .build()
            .map_err(|error| wrong(&error))?;
        let batches = BatchConfigBuilder::default()
            .with_max_queue_size(MOST)
            .with_max_export_batch_size(AT_ONCE)
            .build();
        let batches = BatchSpanProcessor::builder(exporter).with_batch_config(batches).build();
        let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
        let resource = Resource::builder().with_attribute(version);
        let resource = match asked.service {
            Some(name) => resource.with_service_name(name),
            None => resource.with_service_name("nhi"),
        };
        let provider = SdkTracerProvider::builder()
            .with_span_processor(batches)
            .with_resource(resource.build())
            .build();
        let layer = tracing_opentelemetry::layer()
            .with_tracer(provider.tracer("nhi"))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_filter(Targets::new().with_target(telemetry::TARGET, tracing::Level::INFO));
        tracing_subscriber::registry().with(layer).try_init().map_err(|error| wrong(&error))?;
        Ok(Traces(Some(provider)))
    }

    /// Sends what is left.
    pub(crate) async fn end(self) {
        let Some(provider) = self.0 else { return };
        // It waits in a thread of its own: what is sent is sent by this one.
        let ended = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(LAST));
        let _ = tokio::time::timeout(LAST + Duration::from_secs(1), ended).await;
    }
}

fn problem(why: &str) -> Problem {
    Problem::new("E-TRACES", "Traces cannot be sent there").detail(format!("{why}.")).next(
        "name a collector that takes OTLP as protobuf over HTTP, such as \
         OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318, or leave the variable away",
    )
}

/// What the environment says, in the standard's own names.
struct Asked {
    /// The variable that names the collector.
    variable: &'static str,
    endpoint: String,
    headers: Vec<(&'static str, Secret)>,
    ca_file: Option<PathBuf>,
    service: Option<String>,
}

impl Asked {
    fn read(environment: &Environment) -> Result<Option<Asked>, Problem> {
        const ALL: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
        const OF_TRACES: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
        let of = |name: &str| environment.get(name).filter(|text| !text.trim().is_empty());
        let either = |what: &str| {
            let of_traces = of(&format!("OTEL_EXPORTER_OTLP_TRACES_{what}"));
            of_traces.or_else(|| of(&format!("OTEL_EXPORTER_OTLP_{what}")))
        };
        let is_off = of("OTEL_SDK_DISABLED").is_some_and(|text| text.eq_ignore_ascii_case("true"))
            || of("OTEL_TRACES_EXPORTER").is_some_and(|text| text == "none");
        // That of traces is taken as it is, the other is where all kinds of signals begin.
        let (variable, endpoint) = match (of(OF_TRACES), of(ALL)) {
            _ if is_off => return Ok(None),
            (Some(whole), _) => (OF_TRACES, whole),
            (None, Some(all)) => (ALL, format!("{}/v1/traces", all.trim_end_matches('/'))),
            (None, None) => return Ok(None),
        };
        if let Some(protocol) = either("PROTOCOL").filter(|one| one != "http/protobuf") {
            return Err(problem(&format!(
                "the protocol is {protocol:?}, and http/protobuf is spoken"
            )));
        }
        let headers = match either("HEADERS") {
            Some(text) => headers(&text)?,
            None => Vec::new(),
        };
        let here = ["http://127.0.0.1", "http://localhost", "http://[::1]"];
        if !headers.is_empty()
            && !endpoint.starts_with("https://")
            && !here.iter().any(|one| {
                let rest = endpoint.strip_prefix(one);
                rest.is_some_and(|rest| rest.starts_with([':', '/']))
            })
        {
            let why = "its headers may hold a secret, and would go over a network in the clear";
            return Err(problem(&format!("{variable}: {why}")));
        }
        let ca_file = either("CERTIFICATE").map(PathBuf::from);
        let service = of("OTEL_SERVICE_NAME");
        Ok(Some(Asked { variable, endpoint, headers, ca_file, service }))
    }
}

/// Headers as the standard writes them: `name=value`, with commas between, each value percent-encoded.
fn headers(text: &str) -> Result<Vec<(&'static str, Secret)>, Problem> {
    let wrong = || problem("a header is not of the form name=value");
    let pairs = text.split(',').map(str::trim).filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').ok_or_else(wrong)?;
            let name = name.trim().to_ascii_lowercase();
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
            if name.is_empty() || !name.bytes().all(plain) {
                return Err(wrong());
            }
            let value = unescaped(value.trim()).ok_or_else(wrong)?;
            // They live as long as the program, and are read once.
            let name: &'static str = Box::leak(name.into_boxed_str());
            Ok((name, Secret::new(value)))
        })
        .collect()
}

fn unescaped(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
        out.push(match byte {
            b'%' => u8::try_from(digit(bytes.next())? * 16 + digit(bytes.next())?).ok()?,
            plain => plain,
        });
    }
    String::from_utf8(out).ok()
}

/// Sends over our own transport. Whoever exports waits in a thread without a runtime, so that the request is
/// sent by that of the program.
#[derive(Clone)]
struct Client(Arc<Sending>);

struct Sending {
    to: HttpTransport,
    address: String,
    headers: Vec<(&'static str, Secret)>,
    runtime: Handle,
    /// It was told that nobody takes them.
    silent: AtomicBool,
    told: Box<dyn Fn(&str) + Send + Sync>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client")
    }
}

impl Sending {
    async fn send(&self, bytes: Bytes) -> Result<u16, String> {
        let mut request = Request::change("POST", self.address.clone(), "traces");
        request.body =
            Some(Body { content_type: "application/x-protobuf", bytes: bytes.to_vec().into() });
        request.deadline = LONGEST;
        for (name, value) in &self.headers {
            request = request.header(name, value.duplicate());
        }
        let answer = self.to.send(request).await.map_err(|error| error.to_string())?;
        let taken = (200..300).contains(&answer.status);
        if taken { Ok(answer.status) } else { Err(format!("the answer was {}", answer.status)) }
    }

    /// Says once that nobody takes them, until somebody does.
    fn note(&self, sent: &Result<u16, String>) {
        match sent {
            Ok(_) => self.silent.store(false, Ordering::Relaxed),
            Err(why) if !self.silent.swap(true, Ordering::Relaxed) => {
                (self.told)(&format!("traces are lost: {why}"));
            }
            Err(_) => {}
        }
    }
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(
        &self,
        request: http::Request<Bytes>,
    ) -> Result<http::Response<Bytes>, HttpError> {
        let sending = self.0.clone();
        let sent = self.0.runtime.spawn(async move {
            let sent = sending.send(request.into_body()).await;
            sending.note(&sent);
            sent
        });
        let status = sent.await??;
        Ok(http::Response::builder().status(status).body(Bytes::new())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(all: &[(&str, &str)]) -> Result<Option<Asked>, Problem> {
        Asked::read(&Environment::of(all))
    }

    #[test]
    fn nothing_is_sent_unless_the_environment_says_where() {
        assert!(read(&[]).unwrap().is_none());
        assert!(read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", " ")]).unwrap().is_none());
        let all = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318/");
        let asked = read(&[all]).unwrap().unwrap();
        assert_eq!(asked.endpoint, "http://127.0.0.1:4318/v1/traces");
        let whole = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://x.acme.example/t");
        assert_eq!(read(&[all, whole]).unwrap().unwrap().endpoint, whole.1);
        for off in [("OTEL_SDK_DISABLED", "TRUE"), ("OTEL_TRACES_EXPORTER", "none")] {
            assert!(read(&[all, off]).unwrap().is_none(), "{off:?}");
        }
    }

    #[test]
    fn headers_are_secrets_and_go_over_no_network_in_the_clear() {
        let key = ("OTEL_EXPORTER_OTLP_HEADERS", "Api-Key=s%33cret, x=y");
        let at = |address| read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", address), key]);
        let asked = at("https://otlp.acme.example").unwrap().unwrap();
        let told: Vec<_> =
            asked.headers.iter().map(|(name, text)| (*name, text.expose())).collect();
        assert_eq!(told, [("api-key", "s3cret"), ("x", "y")]);
        assert!(at("http://localhost:4318").is_ok());
        for clear in ["http://otlp.acme.example", "http://localhost.acme.example"] {
            let problem = at(clear).err().unwrap();
            assert!(problem.detail.contains("in the clear"), "{problem}");
            assert!(!problem.to_string().contains("33cret"), "{problem}");
        }
        let slip = ("OTEL_EXPORTER_OTLP_HEADERS", "s3cret");
        let problem = read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "https://x"), slip]).err().unwrap();
        assert!(!problem.to_string().contains("s3cret"), "{problem}");
    }

    #[test]
    fn another_protocol_is_refused_with_the_one_that_is_spoken() {
        let grpc = ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
        let problem = read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4317"), grpc]);
        assert!(problem.err().unwrap().detail.contains("http/protobuf"));
    }
}
