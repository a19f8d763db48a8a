//! The provider's process, as the operating system sees it.
#![cfg(target_os = "linux")]

use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

const COOKIE: &str = "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2";

#[test]
fn no_core_file_is_ever_written() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_terraform-provider-nhi"))
        .env("TF_PLUGIN_MAGIC_COOKIE", COOKIE)
        .env("PLUGIN_PROTOCOL_VERSIONS", "6")
        .env_remove("NHI_ALLOW_DUMP")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // The handshake's line comes when it is up.
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let limits = fs::read_to_string(format!("/proc/{}/limits", child.id())).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let limit = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    let limit: Vec<&str> = limit.split_whitespace().skip(4).take(2).collect();
    assert_eq!(limit, ["0", "0"]);
}
