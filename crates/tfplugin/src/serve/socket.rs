//! Where the core connects: a Unix socket, or a TCP port on loopback where there are none.

use std::path::PathBuf;

use super::connection::Io;
use super::environment::Environment;

/// A bound socket. Dropping it removes the socket's file.
pub(super) struct Listener {
    kind: Kind,
    address: String,
}

enum Kind {
    #[cfg(unix)]
    Unix(tokio::net::UnixListener, PathBuf),
    #[cfg_attr(unix, allow(dead_code))]
    Tcp(tokio::net::TcpListener),
}

impl Listener {
    #[cfg(unix)]
    pub(super) fn bind(environment: &Environment) -> Result<Listener, String> {
        let folder = environment.socket_folder.clone().unwrap_or_else(std::env::temp_dir);
        let mut last = String::new();
        // A path may be 108 bytes long (104 on macOS), so the name is short.
        for attempt in 0..16u32 {
            let clock = std::time::SystemTime::now()
                .duration_since(std::time::UNIX_EPOCH)
                .map_or(0, |since| since.subsec_nanos());
            let name = format!("plugin{}{:x}", std::process::id(), clock.wrapping_add(attempt));
            let path = folder.join(name);
            match tokio::net::UnixListener::bind(&path) {
                Ok(listener) => {
                    let address = path.display().to_string();
                    let made = Listener { kind: Kind::Unix(listener, path.clone()), address };
                    if let Some(group) = &environment.socket_group {
                        give_to(group, &path)?;
                    }
                    return Ok(made);
                }
                Err(error) => last = format!("{}: {error}", path.display()),
            }
        }
        Err(format!("no socket could be made: {last}"))
    }

    #[cfg(not(unix))]
    pub(super) fn bind(environment: &Environment) -> Result<Listener, String> {
        let (low, high) = environment.ports.unwrap_or((0, 0));
        let mut last = String::new();
        for port in low..=high {
            match std::net::TcpListener::bind(("127.0.0.1", port)) {
                Ok(listener) => {
                    let made = listener
                        .set_nonblocking(true)
                        .and_then(|()| listener.local_addr())
                        .and_then(|at| Ok((tokio::net::TcpListener::from_std(listener)?, at)));
                    let (listener, at) = made.map_err(|error| error.to_string())?;
                    return Ok(Listener { kind: Kind::Tcp(listener), address: at.to_string() });
                }
                Err(error) => last = format!("127.0.0.1:{port}: {error}"),
            }
        }
        Err(format!("no port could be bound: {last}"))
    }

    pub(super) fn network(&self) -> &'static str {
        match &self.kind {
            #[cfg(unix)]
            Kind::Unix(..) => "unix",
            Kind::Tcp(_) => "tcp",
        }
    }

    pub(super) fn address(&self) -> &str {
        &self.address
    }

    pub(super) async fn accept(&self) -> std::io::Result<Box<dyn Io>> {
        Ok(match &self.kind {
            #[cfg(unix)]
            Kind::Unix(listener, _) => Box::new(listener.accept().await?.0),
            Kind::Tcp(listener) => Box::new(listener.accept().await?.0),
        })
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        #[cfg(unix)]
        if let Kind::Unix(_, path) = &self.kind {
            // A leftover socket file harms nobody.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Lets a group use the socket.
#[cfg(unix)]
fn give_to(group: &str, path: &std::path::Path) -> Result<(), String> {
    use std::os::unix::fs::PermissionsExt;
    let number = match group.parse::<u32>() {
        Ok(number) => number,
        Err(_) => std::fs::read_to_string("/etc/group")
            .unwrap_or_default()
            .lines()
            .find_map(|line| {
                let mut fields = line.split(':');
                (fields.next() == Some(group)).then(|| fields.nth(1)?.parse().ok())?
            })
            .ok_or_else(|| format!("there is no group {group:?} to give the socket to"))?,
    };
    std::os::unix::fs::chown(path, None, Some(number))
        .and_then(|()| std::fs::set_permissions(path, PermissionsExt::from_mode(0o660)))
        .map_err(|error| format!("the socket cannot be given to group {group:?}: {error}"))
}
