//! How the demonstration ends when somebody ends it. Everything that it would start is a stand-in.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

fn script(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// The demonstration with a server that never answers, in a world where nothing needs to be built.
fn demo(stage: &Path, words: &[&str]) -> Command {
    let server = script(
        stage,
        "bao",
        &format!(
            "echo $$ > {0}/pid.part; mv {0}/pid.part {0}/pid; exec sleep 600",
            stage.display()
        ),
    );
    let core = script(stage, "core", "exit 1");
    let cargo = script(stage, "cargo", "exit 0");
    let temporary = stage.join("tmp");
    fs::create_dir_all(&temporary).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command
        .args(["demo", "--core"])
        .arg(core)
        .args(words)
        .env("TMPDIR", temporary)
        .env("CARGO", cargo)
        .env("NHI_TEST_OPENBAO", server)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
}

fn until(what: &str, holds: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < end, "{what}");
        thread::sleep(Duration::from_millis(50));
    }
}

fn pid(raw: &str) -> Pid {
    Pid::from_raw(raw.trim().parse().unwrap()).unwrap()
}

fn end_with(signal: Signal, child: &mut Child, stage: &Path) -> Option<i32> {
    until("the server is started", || stage.join("pid").exists());
    let server = pid(&fs::read_to_string(stage.join("pid")).unwrap());
    kill_process(pid(&child.id().to_string()), signal).unwrap();
    let code = child.wait().unwrap().code();
    until("the server is gone", || test_kill_process(server).is_err());
    code
}

#[test]
fn whoever_ends_it_finds_no_process_and_no_folder_left() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let stage = tempfile::tempdir().unwrap();
        let mut child = demo(stage.path(), &[]).spawn().unwrap();
        assert_eq!(end_with(signal, &mut child, stage.path()), Some(code));
        let left: Vec<_> = fs::read_dir(stage.path().join("tmp")).unwrap().collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

#[test]
fn a_folder_with_something_in_it_is_left_alone() {
    let stage = tempfile::tempdir().unwrap();
    let mine = stage.path().join("mine");
    fs::create_dir(&mine).unwrap();
    fs::write(mine.join("main.tf"), "mine").unwrap();
    let done = demo(stage.path(), &["--dir", mine.to_str().unwrap()]).output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(!done.status.success() && said.contains("not empty"), "{said}");
    assert_eq!(fs::read(mine.join("main.tf")).unwrap(), b"mine");
}

#[test]
fn a_tool_that_is_missing_is_named_in_one_line_before_anything_is_built() {
    let stage = tempfile::tempdir().unwrap();
    let empty = stage.path().join("empty");
    fs::create_dir(&empty).unwrap();
    let built = stage.path().join("built");
    script(stage.path(), "cargo", &format!("touch {}", built.display()));
    let mut said = Vec::new();
    for tools in [&[][..], &["cc"]] {
        for tool in tools {
            script(&empty, tool, "exit 0");
        }
        let done = demo(stage.path(), &[]).env("PATH", &empty).output().unwrap();
        let text = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(!done.status.success() && text.lines().count() == 1, "{text}");
        said.push(text);
    }
    let none = stage.path().join("none").display().to_string();
    let done =
        Command::new(env!("CARGO_BIN_EXE_xtask")).args(["demo", "--core", &none]).output().unwrap();
    said.push(String::from_utf8_lossy(&done.stderr).into_owned());
    assert!(said[0].contains("C compiler") && said[1].contains("Python 3"), "{said:?}");
    assert!(said[2].contains("is no core"), "{said:?}");
    assert!(!built.exists());
}
