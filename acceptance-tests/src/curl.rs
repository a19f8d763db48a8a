//! Requests by `curl`, which shares no code with anything of ours.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::{Result, http::Answer, tools};

/// Sends one request to `127.0.0.1`, with one header of the caller's. Nothing of it stands on a command
/// line.
///
/// # Errors
///
/// No answer came.
pub fn ask(
    port: u16,
    method: &str,
    path: &str,
    (name, value): (&str, &str),
    body: Option<&Value>,
) -> Result<Answer> {
    let fail = |why: &dyn std::fmt::Display| format!("curl {method} {path}: {why}");
    let mut wanted = vec![
        ("url", format!("http://127.0.0.1:{port}{path}")),
        ("request", method.to_owned()),
        ("header", format!("{name}: {value}")),
        ("max-time", "20".to_owned()),
        ("write-out", "\n%{http_code}".to_owned()),
    ];
    if let Some(body) = body {
        wanted.push(("header", "Content-Type: application/json".to_owned()));
        wanted.push(("data-binary", body.to_string()));
    }
    let line = |(name, value): (&str, String)| {
        let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        format!("{name} = \"{value}\"\n")
    };
    let mut curl = Command::new(tools::need("curl")?)
        .args(["--silent", "--show-error", "--disable", "--noproxy", "*", "--config", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| fail(&error))?;
    if let Some(mut input) = curl.stdin.take() {
        let all: String = wanted.into_iter().map(line).collect();
        input.write_all(all.as_bytes()).map_err(|error| fail(&error))?;
    }
    let done = curl.wait_with_output().map_err(|error| fail(&error))?;
    if !done.status.success() {
        return Err(fail(&String::from_utf8_lossy(&done.stderr).trim()));
    }
    let said = String::from_utf8_lossy(&done.stdout);
    let (body, status) = said.rsplit_once('\n').ok_or_else(|| fail(&"no status"))?;
    let status = status.parse().map_err(|_| fail(&"no status"))?;
    Ok(Answer { status, json: serde_json::from_str(body).unwrap_or(Value::Null) })
}
