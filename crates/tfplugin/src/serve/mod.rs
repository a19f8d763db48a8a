//! Serving a provider: the handshake with the core, the connection, and the end.
//!
//! A core starts the program, reads one line from its standard output, and connects to the socket
//! that the line names, over TLS on both sides. Standard output carries nothing else, ever, and
//! standard input belongs to the core.

mod arguments;
mod attached;
mod connection;
mod environment;
mod handshake;
mod services;
mod socket;
mod tls;

pub use attached::{Attached, attach};

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tfplugin_proto::{
    health::health_server::HealthServer,
    plugin::{
        grpc_broker_server::GrpcBrokerServer, grpc_controller_server::GrpcControllerServer,
        grpc_stdio_server::GrpcStdioServer,
    },
    tfplugin6::provider_server::ProviderServer,
};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;

use crate::erased::AnyProvider;
use crate::log;
use crate::rpc::Service;
use arguments::Arguments;
use environment::Environment;

/// The largest message in either direction, as Go providers have it.
const LARGEST: usize = 256 << 20;

/// How long open streams and work in hand may hold up the end.
const LAST_WORDS: Duration = Duration::from_millis(1200);

/// How long work in hand may go on after that, when nobody hears of it any more.
const UNHEARD: Duration = Duration::from_millis(400);

/// How many threads wait for what blocks, such as a file: each has memory of its own.
const BLOCKING: usize = 4;

/// How long the runtime may take to let go of what ignores its end.
const LETTING_GO: Duration = Duration::from_millis(100);

// Cores kill after two seconds.
const _: () = assert!(LAST_WORDS.as_millis() + UNHEARD.as_millis() + LETTING_GO.as_millis() < 1800);

/// How long work in hand may hold up the end where the core is gone and nobody kills: what was
/// begun on a platform should come to an end that is written down.
const ORPHANED: Duration = Duration::from_secs(30);

/// What a program says of itself.
#[derive(Clone, Copy, Debug)]
pub struct ServeOptions {
    /// Where cores find the provider: `registry.terraform.io/<namespace>/<name>`.
    pub address: &'static str,
    /// The version, `env!("CARGO_PKG_VERSION")`.
    pub version: &'static str,
}

/// Serves a provider until the core is done with it. Call it from `main` and return its code.
pub fn serve(provider: impl AnyProvider + 'static, options: ServeOptions) -> ExitCode {
    // Before anything else: a core may go at any time.
    #[cfg(unix)]
    let parent = std::os::unix::process::parent_id();
    #[cfg(not(unix))]
    let parent = 0;
    let arguments = match Arguments::read(std::env::args_os().skip(1)) {
        Ok(arguments) => arguments,
        Err(text) => return say(&text, 2),
    };
    if arguments.version {
        return say_out(&format!("{} {}", options.address, options.version));
    }
    let environment = Environment::read();
    if arguments.help || !(arguments.debug || environment.cookie) {
        let text = arguments::friendly(options.address, options.version);
        return if arguments.help { say_out(&text) } else { say(&text, 1) };
    }
    log::start(provider.name());
    log::tell_panics();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .max_blocking_threads(BLOCKING)
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return say(&format!("the runtime did not start: {error}"), 1),
    };
    let provider: Arc<dyn AnyProvider> = Arc::new(provider);
    let done = runtime.block_on(run(provider, options, &environment, arguments.debug, parent));
    // Work that ignores the stop must not keep the process: the core would kill it anyway.
    runtime.shutdown_timeout(LETTING_GO);
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => say(&text, 1),
    }
}

async fn run(
    provider: Arc<dyn AnyProvider>,
    options: ServeOptions,
    environment: &Environment,
    debug: bool,
    #[cfg_attr(not(unix), allow(unused_variables))] parent: u32,
) -> Result<(), String> {
    // Under a debugger there is no handshake that could carry certificates, and no core that owns
    // this process.
    let tls = match (&environment.client_certificate, debug) {
        (Some(pem), false) => Some(tls::Tls::for_client(pem)?),
        _ => None,
    };
    let listener = socket::Listener::bind(environment)?;
    let (end, service) = (CancellationToken::new(), Service::new(provider));
    let line = handshake::line(&listener, tls.as_ref().map(tls::Tls::certificate), environment);
    // Before the core learns of us: its user may interrupt it at once.
    let guard = SignalGuard::install(end.clone(), debug)?;
    if debug {
        handshake::print_reattach(&handshake::reattach(options.address, &listener));
    } else {
        handshake::print(&line)?;
    }
    let orphaned = CancellationToken::new();
    // Whoever started us with the cookie owns us, with TLS or without.
    let owner = (!debug).then(|| services::Owner::new(&orphaned));
    #[cfg(unix)]
    if let Some(owner) = &owner {
        tokio::spawn(leave_with_parent(parent, owner.clone(), end.clone()));
    }
    let incoming = connection::incoming(listener, tls.map(|tls| tls.acceptor()), end.clone());
    let served = answer(service.clone(), incoming, end.clone(), debug, owner);
    let overdue = async {
        end.cancelled().await;
        service.stop();
        tokio::time::sleep(LAST_WORDS).await;
    };
    let done = tokio::select! {
        served = served => served,
        () = overdue => Ok(()),
    };
    service.stop();
    let patience = if orphaned.is_cancelled() { ORPHANED } else { UNHEARD };
    if tokio::time::timeout(patience, service.idle()).await.is_err() {
        tracing::warn!("work in hand did not come to an end, and is left");
    }
    drop(guard);
    done
}

/// Answers calls until the end.
async fn answer(
    service: Service,
    incoming: ReceiverStream<std::io::Result<connection::Connection>>,
    end: CancellationToken,
    debug: bool,
    owner: Option<services::Owner>,
) -> Result<(), String> {
    tonic::transport::Server::builder()
        .add_service(
            ProviderServer::new(service)
                .max_decoding_message_size(LARGEST)
                .max_encoding_message_size(LARGEST),
        )
        .add_service(GrpcControllerServer::new(services::Controller::new(end.clone(), debug)))
        .add_service(GrpcStdioServer::new(services::Stdio::new(end.clone(), owner)))
        .add_service(GrpcBrokerServer::new(services::Broker::new(end.clone())))
        .add_service(HealthServer::new(services::Ready))
        .serve_with_incoming_shutdown(incoming, end.cancelled_owned())
        .await
        .map_err(|error| format!("serving ended: {error}"))
}

/// Ends us where the core goes before it ever spoke to us; later its streams tell.
#[cfg(unix)]
async fn leave_with_parent(parent: u32, owner: services::Owner, end: CancellationToken) {
    while !owner.spoke() && !end.is_cancelled() {
        if std::os::unix::process::parent_id() != parent {
            tracing::debug!("the core is gone before it spoke");
            owner.gone();
            end.cancel();
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// What signals do: an interrupt goes to the whole process group, and it is for the core to decide
/// what comes of it; a termination ends us. Under a debugger both end us.
struct SignalGuard(tokio::task::JoinHandle<()>);

impl SignalGuard {
    fn install(end: CancellationToken, debug: bool) -> Result<SignalGuard, String> {
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            let no = |error: std::io::Error| format!("signals cannot be caught: {error}");
            let mut interrupt = signal(SignalKind::interrupt()).map_err(no)?;
            let mut terminate = signal(SignalKind::terminate()).map_err(no)?;
            Ok(SignalGuard(tokio::spawn(async move {
                loop {
                    tokio::select! {
                        _ = interrupt.recv() => {
                            if debug {
                                break;
                            }
                            tracing::debug!("interrupt ignored: the core decides");
                        }
                        _ = terminate.recv() => break,
                    }
                }
                end.cancel();
            })))
        }
        #[cfg(not(unix))]
        {
            Ok(SignalGuard(tokio::spawn(async move {
                while tokio::signal::ctrl_c().await.is_ok() {
                    if debug {
                        end.cancel();
                        break;
                    }
                }
            })))
        }
    }
}

impl Drop for SignalGuard {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A text for a person, on standard error: standard output is the core's.
fn say(text: &str, code: u8) -> ExitCode {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "{text}");
    ExitCode::from(code)
}

/// What a person asked for goes to standard output; no core is there.
fn say_out(text: &str) -> ExitCode {
    use std::io::Write;
    let _ = writeln!(std::io::stdout(), "{text}");
    ExitCode::SUCCESS
}
