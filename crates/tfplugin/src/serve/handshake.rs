//! The one line on standard output.

use std::io::Write;

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};

use super::environment::Environment;
use super::socket::Listener;

/// `CORE|APP|NETWORK|ADDRESS|PROTOCOL|CERTIFICATE`, with a seventh field only where the host asks
/// for it: old hosts split into six and no more.
pub(super) fn line(
    listener: &Listener,
    certificate: Option<&[u8]>,
    environment: &Environment,
) -> String {
    let certificate = certificate.map(|der| STANDARD_NO_PAD.encode(der)).unwrap_or_default();
    let multiplex = if environment.multiplex { "|false" } else { "" };
    format!("1|6|{}|{}|grpc|{certificate}{multiplex}", listener.network(), listener.address())
}

pub(super) fn print(line: &str) -> Result<(), String> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")
        .and_then(|()| out.flush())
        .map_err(|error| format!("the core cannot be told where to connect: {error}"))
}

/// What `TF_REATTACH_PROVIDERS` holds so that a core uses this process.
pub(super) fn reattach(address: &str, listener: &Listener) -> String {
    let config = serde_json::json!({
        address: {
            "Protocol": "grpc",
            "ProtocolVersion": 6,
            "Pid": std::process::id(),
            "Test": true,
            "Addr": { "Network": listener.network(), "String": listener.address() },
        }
    });
    config.to_string()
}

/// Tells a person what to give to the core.
pub(super) fn print_reattach(config: &str) {
    // Who reads may stop after the line that matters.
    let _ = print(&format!(
        "Provider started. Give this to the core, and end it with Ctrl-C:\n\n\
         \x20   TF_REATTACH_PROVIDERS='{config}'\n"
    ));
}
