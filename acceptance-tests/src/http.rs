//! Plain requests to servers on this machine: the tests' own hands, which share no code with ours.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use serde_json::Value;

use crate::Result;

/// An answer: status and JSON, null where there is none.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The body.
    pub json: Value,
}

/// Sends one request to `127.0.0.1`, with a token in `X-Vault-Token`.
///
/// # Errors
///
/// No whole answer came.
pub fn send(
    port: u16,
    method: &str,
    path: &str,
    token: &str,
    body: Option<&Value>,
) -> Result<Answer> {
    send_as(port, method, path, ("X-Vault-Token", token), body)
}

/// Sends one request to `127.0.0.1`, with one header of the caller's.
///
/// # Errors
///
/// No whole answer came.
pub fn send_as(
    port: u16,
    method: &str,
    path: &str,
    header: (&str, &str),
    body: Option<&Value>,
) -> Result<Answer> {
    let body = body.map(Value::to_string).unwrap_or_default();
    send_text(port, method, path, header, ("application/json", &body))
}

/// Sends a form to `127.0.0.1`.
///
/// # Errors
///
/// No whole answer came.
pub fn send_form(port: u16, path: &str, form: &str) -> Result<Answer> {
    let kind = "application/x-www-form-urlencoded";
    send_text(port, "POST", path, ("Accept", "application/json"), (kind, form))
}

fn send_text(
    port: u16,
    method: &str,
    path: &str,
    (name, value): (&str, &str),
    (kind, body): (&str, &str),
) -> Result<Answer> {
    let fail = |error: std::io::Error| format!("{method} {path}: {error}");
    let mut stream = TcpStream::connect(("127.0.0.1", port)).map_err(fail)?;
    stream.set_read_timeout(Some(Duration::from_secs(20))).map_err(fail)?;
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{name}: {value}\r\n\
         Connection: close\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).map_err(fail)?;
    let mut all = Vec::new();
    stream.read_to_end(&mut all).map_err(fail)?;
    let text = String::from_utf8_lossy(&all).into_owned();
    let (head, body) =
        text.split_once("\r\n\r\n").ok_or_else(|| format!("{method} {path}: no answer"))?;
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .ok_or_else(|| format!("{method} {path}: no status"))?;
    let body = if head.to_lowercase().contains("transfer-encoding: chunked") {
        unchunk(body)
    } else {
        body.to_owned()
    };
    Ok(Answer { status, json: serde_json::from_str(&body).unwrap_or(Value::Null) })
}

fn unchunk(mut body: &str) -> String {
    let mut out = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let Ok(size) = usize::from_str_radix(size.trim(), 16) else { break };
        let Some(chunk) = rest.get(..size) else { break };
        out.push_str(chunk);
        if size == 0 {
            break;
        }
        body = rest.get(size + 2..).unwrap_or("");
    }
    out
}
