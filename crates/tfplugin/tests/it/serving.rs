//! Handshake, strangers, ends, logs: what happens around the procedures.

use std::process::{Command, Stdio};

use serde_json::{Value as Json, json};
use tfplugin::mini_core::{MiniCore, Refusal, Stranger};
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::program::{PATIENCE, World, example, in_hand, is_alive, until};

fn signal(process: u32, name: &str) {
    let sent = Command::new("kill").args([format!("-{name}"), process.to_string()]).status();
    assert!(sent.unwrap().success());
}

#[tokio::test]
async fn strangers_are_refused_and_the_core_is_not_disturbed() {
    let world = World::new();
    let core = world.core().await;
    core.knock(Stranger::Nobody).await.unwrap();
    let bare = core.knock(Stranger::Bare).await.unwrap_err().to_string();
    assert!(bare.to_lowercase().contains("certificaterequired"), "{bare}");
    let disguised = core.knock(Stranger::Disguised).await.unwrap_err().to_string();
    assert!(disguised.to_lowercase().contains("accessdenied"), "{disguised}");
    core.create("sample_note", json!({"name": "one"})).await.unwrap();
}

#[tokio::test]
async fn a_shutdown_ends_the_program() {
    let world = World::new();
    let core = world.core().await;
    let status = core.shutdown().await.unwrap().unwrap();
    assert!(status.success(), "{status}");
}

#[tokio::test]
async fn a_core_that_is_killed_leaves_no_orphan() {
    let status = World::new().core().await.vanish().await.unwrap().unwrap();
    assert!(status.success(), "{status}");
}

#[tokio::test]
async fn a_core_without_tls_that_is_killed_leaves_no_orphan_either() {
    let core = MiniCore::launch_plain(example("sample"), &[]).await.unwrap();
    let status = core.vanish().await.unwrap().unwrap();
    assert!(status.success(), "{status}");
}

#[tokio::test]
async fn a_core_that_goes_before_it_spoke_leaves_no_orphan() {
    let world = World::new();
    // Goes as soon as it was told where to connect.
    let script = format!(
        "{} & echo $! >&2; until grep -q grpc out; do sleep 0.02; done",
        example("sample").display()
    );
    let out = std::fs::File::create(std::path::Path::new(world.folder()).join("out")).unwrap();
    let told = std::path::Path::new(world.folder()).join("told");
    let core = Command::new("sh")
        .args(["-c", &script])
        .current_dir(world.folder())
        .env("TF_PLUGIN_MAGIC_COOKIE", COOKIE)
        .stdout(out)
        .stderr(std::fs::File::create(&told).unwrap())
        .status();
    assert!(core.unwrap().success());
    let process = std::fs::read_to_string(&told).unwrap().trim().parse().unwrap();
    until("the provider ends", || !is_alive(process)).await;
}

#[tokio::test]
async fn work_in_hand_is_stopped_when_the_core_is_killed_and_then_the_program_ends() {
    let world = World::new();
    let core = world.talking_core().await;
    let config = json!({"name": "slow", "seconds": 3600});
    let plan = core.plan_create("sample_note", config).await.unwrap();
    tokio::select! {
        done = core.apply(plan) => panic!("{done:?}"),
        () = until("the note is being written", || in_hand(&core) == 1) => {}
    }
    let status = core.vanish().await.unwrap().unwrap();
    assert!(status.success(), "{status}");
    assert!(world.has("slow"), "the deed came to its end though nobody waited");
}

#[tokio::test]
async fn an_interrupt_is_for_the_core_to_judge_and_a_termination_ends_the_program() {
    let world = World::new();
    let core = world.core_with(&[("TF_LOG_PROVIDER", "debug")]).await;
    let process = core.process_id().unwrap();
    signal(process, "INT");
    let ignored = || core.log().iter().any(|line| line.contains("interrupt ignored"));
    until("the interrupt arrives", ignored).await;
    core.create("sample_note", json!({"name": "one"})).await.unwrap();
    signal(process, "TERM");
    let status = core.ended().await.unwrap().unwrap();
    assert!(status.success(), "{status}");
    assert!(!is_alive(process));
}

#[tokio::test]
async fn a_person_who_runs_it_by_hand_is_told_what_it_is() {
    let program = example("sample");
    let run = |words: &[&str]| {
        Command::new(&program).args(words).env_remove("TF_PLUGIN_MAGIC_COOKIE").output().unwrap()
    };
    let bare = run(&[]);
    assert_eq!(bare.status.code(), Some(1));
    assert!(bare.stdout.is_empty());
    assert!(String::from_utf8_lossy(&bare.stderr).contains("source = \"acme/sample\""));
    let version = run(&["--version"]);
    assert!(version.status.success());
    assert!(String::from_utf8_lossy(&version.stdout).contains("acme/sample 0.1.0"));
    assert!(run(&["--help"]).status.success());
    assert_eq!(run(&["--nonsense"]).status.code(), Some(2));
    use std::os::unix::ffi::OsStrExt;
    let bytes = std::ffi::OsStr::from_bytes(b"\xff\xfe");
    let strange =
        Command::new(&program).arg(bytes).env_remove("TF_PLUGIN_MAGIC_COOKIE").output().unwrap();
    assert_eq!(strange.status.code(), Some(2), "{strange:?}");
}

const COOKIE: &str = "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2";

/// Starts the sample as a host would that sets these; what it says first, and it.
fn start(environment: &[(&str, &str)]) -> (String, std::process::Child) {
    use std::io::BufRead;
    let mut child = Command::new(example("sample"))
        .env("TF_PLUGIN_MAGIC_COOKIE", COOKIE)
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    std::io::BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    (line, child)
}

fn end(mut child: std::process::Child) {
    signal(child.id(), "TERM");
    assert!(child.wait().unwrap().success());
}

/// A start that fails, and what it says to whoever reads the core's log.
fn fails(environment: &[(&str, &str)]) -> String {
    let (line, child) = start(environment);
    let output = child.wait_with_output().unwrap();
    assert_eq!((line.as_str(), output.status.code()), ("", Some(1)));
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn the_handshake_has_a_seventh_field_only_where_the_host_asks_for_it() {
    for (asked, fields, last) in [(None, 6, ""), (Some("true"), 7, "false"), (Some(""), 6, "")] {
        let environment = asked.map(|asked| ("PLUGIN_MULTIPLEX_GRPC", asked));
        let (line, child) = start(environment.as_slice());
        let line: Vec<&str> = line.trim_end_matches('\n').split('|').collect();
        assert_eq!((line.len(), *line.last().unwrap()), (fields, last), "{line:?}");
        assert_eq!(&line[..3], ["1", "6", "unix"]);
        end(child);
    }
}

#[test]
fn the_socket_stands_where_the_host_says_and_belongs_to_the_group_it_names() {
    use std::os::unix::fs::MetadataExt;
    let folder = tempfile::tempdir().unwrap();
    let folder_name = folder.path().to_str().unwrap();
    let own = |what: &str| {
        let told = Command::new("id").arg(what).output().unwrap();
        String::from_utf8(told.stdout).unwrap().trim().to_owned()
    };
    for group in [own("-g"), own("-gn")] {
        let (line, child) =
            start(&[("PLUGIN_UNIX_SOCKET_DIR", folder_name), ("PLUGIN_UNIX_SOCKET_GROUP", &group)]);
        let socket = line.split('|').nth(3).unwrap();
        assert!(socket.starts_with(folder_name), "{line}");
        let about = std::fs::metadata(socket).unwrap();
        assert_eq!((about.mode() & 0o777, about.gid().to_string()), (0o660, own("-g")));
        end(child);
    }
    let told = fails(&[
        ("PLUGIN_UNIX_SOCKET_DIR", folder_name),
        ("PLUGIN_UNIX_SOCKET_GROUP", "no-such-group"),
    ]);
    assert!(told.contains("there is no group \"no-such-group\""), "{told}");
    // And each takes its socket away, also where it failed.
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
    let told = fails(&[("PLUGIN_UNIX_SOCKET_DIR", "/nowhere/at/all")]);
    assert!(told.contains("no socket could be made: /nowhere/at/all"), "{told}");
}

#[test]
fn a_client_certificate_that_is_none_is_told() {
    for wrong in ["nonsense", "-----BEGIN CERTIFICATE-----\n%%%\n-----END CERTIFICATE-----\n"] {
        let told = fails(&[("PLUGIN_CLIENT_CERT", wrong)]);
        assert!(told.contains("PLUGIN_CLIENT_CERT is no certificate"), "{told}");
    }
}

#[tokio::test]
async fn under_a_debugger_it_serves_one_core_after_another_until_it_is_interrupted() {
    let world = World::new();
    let mut child = tokio::process::Command::new(example("sample"))
        .arg("-debug")
        .stdout(Stdio::piped())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let reattach = loop {
        let line = lines.next_line().await.unwrap().expect("a line to give to the core");
        if let Some(found) = line.trim().strip_prefix("TF_REATTACH_PROVIDERS='") {
            break found.trim_end_matches('\'').to_owned();
        }
    };
    let reattach: Json = serde_json::from_str(&reattach).unwrap();
    let ours = &reattach["registry.terraform.io/acme/sample"];
    assert_eq!(ours["ProtocolVersion"], 6);
    assert_eq!(ours["Test"], true);
    let socket = ours["Addr"]["String"].as_str().unwrap();
    for name in ["one", "two"] {
        let core = MiniCore::attach(socket).await.unwrap();
        core.configure(json!({"folder": world.folder()})).await.unwrap();
        core.create("sample_note", json!({"name": name})).await.unwrap();
    }
    signal(child.id().unwrap(), "INT");
    let ended = tokio::time::timeout(PATIENCE, child.wait()).await;
    assert!(ended.unwrap().unwrap().success());
    assert!(!std::path::Path::new(socket).exists(), "the socket is taken away");
}

#[tokio::test]
async fn each_line_of_the_log_is_what_cores_read() {
    let world = World::new();
    let core = world.core_with(&[("TF_LOG", "error"), ("TF_LOG_PROVIDER_SAMPLE", "debug")]).await;
    core.create("sample_note", json!({"name": "one"})).await.unwrap();
    core.list("sample_note", json!({}), 9, false).await.unwrap();
    core.invoke("sample_write", json!({"note": "one", "text": "hi"})).await.unwrap();
    let told = |procedure: &str| {
        core.log().iter().any(|line| line.contains(procedure) && line.contains("\"answered\""))
    };
    until("the streams are told", || told("ListResource") && told("InvokeAction")).await;
    let log = core.log();
    let written = log.iter().find(|line| line.contains("somebody writes")).unwrap();
    assert!(written.contains("\"tf_rpc\":\"InvokeAction\""), "{written}");
    let mut procedures = std::collections::BTreeSet::new();
    for line in log {
        let line: Json =
            serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        for field in ["@level", "@message", "@module", "@timestamp"] {
            assert!(line[field].is_string(), "{line}");
        }
        assert_eq!(line["@timestamp"].as_str().unwrap().len(), "2006-01-02T15:04:05.000000Z".len());
        if let Some(procedure) = line["tf_rpc"].as_str() {
            procedures.insert(procedure.to_owned());
        }
        if line["@message"] == "answered" {
            assert!(line["tf_req_duration_ms"].is_number(), "{line}");
        }
    }
    assert!(procedures.contains("ApplyResourceChange"), "{procedures:?}");
}

#[tokio::test]
async fn without_a_wish_nothing_is_logged() {
    let world = World::new();
    let core = world.core().await;
    core.create("sample_note", json!({"name": "one"})).await.unwrap();
    assert_eq!(core.log(), Vec::<String>::new());
}

#[tokio::test]
async fn a_fault_of_the_provider_is_an_error_and_what_it_carries_is_not_shown() {
    let world = World::new();
    let core = world.core().await;
    let plan = core
        .plan_create("sample_note", json!({"name": "a", "text": "panic", "secret": "hunter2"}))
        .await
        .unwrap();
    let refused = core.apply(plan).await.unwrap_err();
    assert!(refused.to_string().contains("Provider failed"), "{refused}");
    until("the fault is told", || !core.log().is_empty()).await;
    let log = core.log();
    assert!(log[0].starts_with("panic: ") && log[0].contains("sample.rs"), "{log:?}");
    assert!(!log.join("\n").contains("hunter2"), "{log:?}");
    // The others go on.
    core.create("sample_note", json!({"name": "b"})).await.unwrap();
}

#[tokio::test]
async fn several_calls_run_at_once() {
    let world = World::new();
    let core = std::sync::Arc::new(world.talking_core().await);
    let mut all = tokio::task::JoinSet::new();
    for index in 0..10 {
        let core = core.clone();
        all.spawn(async move {
            let config = json!({"name": format!("n{index}"), "seconds": 3600});
            let plan = core.plan_create("sample_note", config).await?;
            core.apply(plan).await
        });
    }
    until("all are in hand at once", || in_hand(&core) == 10).await;
    core.stop().await.unwrap();
    while let Some(done) = all.join_next().await {
        assert!(matches!(done.unwrap(), Err(Refusal::Failed { .. })));
    }
}
