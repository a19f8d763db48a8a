//! A real server for tests: started on a port of its own, ended with whoever uses it.

use std::{
    collections::VecDeque,
    io::{BufRead, BufReader, Read},
    net::TcpListener,
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, RecvTimeoutError, Sender},
    },
    time::Duration,
};

use crate::{Result, tools};

/// How long a server may take until it says that it is ready.
const START: Duration = Duration::from_secs(60);
/// How many ports are tried: between finding a free one and using it, somebody else may take it.
const PORTS: u32 = 5;
/// How many of a server's last lines are shown when it does not start.
const LAST_WORDS: usize = 20;

/// A running server. It ends with this value, or with the process, however that comes about.
#[derive(Debug)]
pub struct Server {
    child: Child,
    /// Its port on 127.0.0.1.
    pub port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

impl Server {
    /// Starts what `command` makes for a free port, and waits until it says `ready`.
    ///
    /// # Errors
    ///
    /// It does not get ready: with its last words.
    pub fn start(ready: &'static str, command: impl Fn(u16) -> Command) -> Result<Server> {
        let mut said = String::new();
        for _ in 0..PORTS {
            let port = TcpListener::bind("127.0.0.1:0")
                .and_then(|listener| listener.local_addr())
                .map_err(|error| format!("no free port on 127.0.0.1: {error}"))?
                .port();
            match start(port, ready, &command(port)) {
                Ok(server) => return Ok(server),
                Err(Failed::Ended(words)) => said = words,
                Err(Failed::Otherwise(why)) => return Err(why),
            }
        }
        Err(format!("it ended {PORTS} times instead of starting, at last with {said}"))
    }
}

impl Server {
    /// Kills it where it stands, as a machine that loses its power does. What it had open is cut off.
    ///
    /// # Errors
    ///
    /// It is gone already.
    pub(super) fn kill(self) -> Result<()> {
        // Beside it, the shell that guards it has another shell that waits.
        let listed = Command::new("ps").args(["-eo", "pid=,ppid=,comm="]).output();
        let listed = listed.map_err(|error| format!("ps: {error}"))?.stdout;
        let listed = String::from_utf8_lossy(&listed);
        let guard = self.child.id().to_string();
        let found = listed.lines().find_map(|line| {
            let mut words = line.split_whitespace();
            let (pid, parent, name) = (words.next()?, words.next()?, words.next()?);
            (parent == guard && name != "sh").then(|| pid.to_owned())
        });
        let pid = found.ok_or("the server is gone already")?;
        tools::run(Command::new("kill").args(["-9", &pid]))
    }
}

#[derive(Debug)]
pub(super) enum Failed {
    /// It ended: the port was taken, or it cannot work at all. With its last words.
    Ended(String),
    /// It does not get ready, or cannot be run.
    Otherwise(String),
}

/// Starts it on this very port.
pub(super) fn start(
    port: u16,
    ready: &'static str,
    command: &Command,
) -> std::result::Result<Server, Failed> {
    // A static is never dropped: the shell ends the server when this process, and with it the pipe,
    // is gone; and it ends itself when the server does.
    const GUARD: &str = "exec 3<&0; \"$@\" </dev/null 3<&- & server=$!
        { read -r _ <&3; kill $server; } & pipe=$!
        wait $server; code=$?; kill $pipe; exit $code";
    let mut guard = Command::new("sh");
    guard.args(["-c", GUARD, "sh"]).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => guard.env(name, value),
            None => guard.env_remove(name),
        };
    }
    let mut child = guard
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| Failed::Otherwise(format!("sh: {error}")))?;
    let words = Words::default();
    let (says, heard) = mpsc::channel();
    words.hear(child.stdout.take(), ready, says.clone());
    words.hear(child.stderr.take(), ready, says);
    let waited = heard.recv_timeout(START);
    let mut server = Server { child, port };
    // Ready, and still there: another's answer on this port would be none of ours.
    match (waited, server.child.try_wait()) {
        (Ok(()), Ok(None)) => Ok(server),
        (Err(RecvTimeoutError::Timeout), Ok(None)) => {
            Err(Failed::Otherwise(format!("not ready after {START:?}:\n{}", words.text())))
        }
        _ => {
            let status = server.child.wait().unwrap_or_default();
            Err(Failed::Ended(format!("{status}\n{}", words.text())))
        }
    }
}

/// The last lines that a server said.
#[derive(Clone, Default)]
struct Words(Arc<Mutex<VecDeque<String>>>);

impl Words {
    fn hear(
        &self,
        output: Option<impl Read + Send + 'static>,
        ready: &'static str,
        says: Sender<()>,
    ) {
        let (words, Some(output)) = (self.clone(), output) else { return };
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(std::result::Result::ok) {
                let is_ready = line.contains(ready);
                let mut words = words.0.lock().unwrap_or_else(PoisonError::into_inner);
                if words.len() == LAST_WORDS {
                    words.pop_front();
                }
                words.push_back(line);
                drop(words);
                if is_ready {
                    let _ = says.send(());
                }
            }
        });
    }

    fn text(&self) -> String {
        let words = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        words.iter().map(String::as_str).collect::<Vec<_>>().join("\n")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    fn sh(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_server_that_ends_is_tried_on_other_ports_and_its_last_words_are_told() {
        let tried = AtomicU32::new(0);
        let failed = Server::start("ready", |_| {
            tried.fetch_add(1, Ordering::Relaxed);
            sh("echo address in use >&2; exit 3")
        });
        let said = failed.unwrap_err();
        assert!(said.contains("address in use") && said.contains('3'), "{said}");
        assert_eq!(tried.load(Ordering::Relaxed), PORTS);
    }

    #[test]
    fn a_server_that_starts_on_the_second_port_is_taken() {
        let tried = AtomicU32::new(0);
        let server = Server::start("ready", |_| match tried.fetch_add(1, Ordering::Relaxed) {
            0 => sh("exit 1"),
            _ => sh("echo ready; exec sleep 60"),
        })
        .unwrap();
        assert_ne!(server.port, 0);
        assert_eq!(tried.load(Ordering::Relaxed), 2);
    }
}
