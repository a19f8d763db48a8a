//! What the core says through the environment.

use std::path::PathBuf;

/// Tells a plugin's start by a core from one by a person. It is no secret.
const COOKIE: (&str, &str) =
    ("TF_PLUGIN_MAGIC_COOKIE", "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2");

/// What the core says.
#[derive(Debug, Default, Clone)]
pub(super) struct Environment {
    /// A core started us.
    pub(super) cookie: bool,
    /// The core's certificate for this one start; TLS is asked for where it is there.
    pub(super) client_certificate: Option<String>,
    /// Where the socket goes, if not into the temporary folder.
    pub(super) socket_folder: Option<PathBuf>,
    /// The group that may use the socket: a name or a number.
    pub(super) socket_group: Option<String>,
    /// TCP ports to choose from.
    #[cfg_attr(unix, allow(dead_code))]
    pub(super) ports: Option<(u16, u16)>,
    /// The core offers to run several connections over one; the line must then answer it.
    pub(super) multiplex: bool,
}

impl Environment {
    pub(super) fn read() -> Environment {
        Environment::from(|name| std::env::var(name).ok())
    }

    fn from(get: impl Fn(&str) -> Option<String>) -> Environment {
        let text = |name: &str| get(name).filter(|text| !text.is_empty());
        let port = |name: &str| text(name).and_then(|text| text.parse::<u16>().ok());
        Environment {
            cookie: get(COOKIE.0).as_deref() == Some(COOKIE.1),
            client_certificate: text("PLUGIN_CLIENT_CERT"),
            socket_folder: text("PLUGIN_UNIX_SOCKET_DIR").map(PathBuf::from),
            socket_group: text("PLUGIN_UNIX_SOCKET_GROUP"),
            ports: port("PLUGIN_MIN_PORT").zip(port("PLUGIN_MAX_PORT")),
            multiplex: text("PLUGIN_MULTIPLEX_GRPC").is_some(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_cookie_is_a_core() {
        let with = |value: &str| {
            let value = value.to_owned();
            Environment::from(move |name| (name == COOKIE.0).then(|| value.clone())).cookie
        };
        assert!(with(COOKIE.1));
        assert!(!with("something else"));
        assert!(!Environment::from(|_| None).cookie);
    }
}
