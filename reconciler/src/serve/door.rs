//! Who may ask how it goes: anybody on this machine, and elsewhere, over TLS, who shows a token or a
//! certificate.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use domain::Secret;
use operations::Problem;
use ring::digest::{SHA256, digest};
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use tokio_rustls::TlsAcceptor;
use wiring::{Loaded, Source, TlsConfig};

/// How long what was read of files holds: a certificate that is renewed is taken up by itself.
const HOLDS: Duration = Duration::from_secs(60);

/// The way in.
#[derive(Debug, Clone)]
pub(crate) struct Door(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    loaded: Loaded,
    tls: Option<TlsConfig>,
    token: Option<Source>,
    known: Mutex<Option<(Instant, Known)>>,
}

/// What files said.
#[derive(Clone, Default)]
pub(crate) struct Known {
    pub(crate) tls: Option<TlsAcceptor>,
    /// The digest of the token, so that how long a comparison takes tells nothing of it.
    token: Option<Vec<u8>>,
}

impl std::fmt::Debug for Known {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Known(tls: {}, token: {})", self.tls.is_some(), self.token.is_some())
    }
}

impl Known {
    /// Whether who sends this `Authorization` may ask.
    pub(crate) fn lets_in(&self, authorization: Option<&[u8]>) -> bool {
        let Some(known) = &self.token else { return true };
        let bearer = authorization.and_then(|text| {
            let (word, token) = text.split_at_checked(7)?;
            word.eq_ignore_ascii_case(b"bearer ").then_some(token)
        });
        bearer.is_some_and(|token| digest(&SHA256, token).as_ref() == known.as_slice())
    }
}

fn wrong(member: &str, why: impl std::fmt::Display) -> Problem {
    Problem::new("E-LISTEN", "It does not listen there")
        .detail(format!("serve.{member}: {why}."))
        .next("correct it in nhi.hcl, or leave it away and name a port of this machine")
}

impl Door {
    /// As it is configured.
    ///
    /// # Errors
    ///
    /// `E-LISTEN`, `E-SECRET`: a file cannot be used.
    pub(crate) fn of(loaded: &Loaded) -> Result<Door, Problem> {
        let serve = &loaded.config.serve;
        let door = Door(Arc::new(Inner {
            loaded: loaded.clone(),
            tls: serve.tls.clone(),
            token: serve.token.clone(),
            known: Mutex::default(),
        }));
        door.read()?;
        Ok(door)
    }

    /// Whether it speaks TLS.
    pub(crate) fn has_tls(&self) -> bool {
        self.0.tls.is_some()
    }

    /// Where it may listen: on this machine, or anywhere over TLS with somebody who is asked who they are.
    ///
    /// # Errors
    ///
    /// `E-LISTEN`.
    pub(crate) fn place(&self, text: &str) -> Result<SocketAddr, Problem> {
        let refused = |why: &str| {
            Problem::new("E-LISTEN", "It does not listen there")
                .detail(format!("{text:?}: {why}."))
                .next(
                    "name a port of this machine, as in 127.0.0.1:9464; or say in nhi.hcl how it speaks \
                     TLS and who may ask: serve = { tls = { certificate = …, key = …, clients = … }, \
                     token = { file = … } }",
                )
        };
        let at: SocketAddr = text
            .parse()
            .map_err(|_| refused("expected <address>:<port>, with a number for each"))?;
        let asks =
            self.0.token.is_some() || self.0.tls.as_ref().is_some_and(|tls| tls.clients.is_some());
        match (at.ip().is_loopback(), self.has_tls(), asks) {
            (true, ..) | (false, true, true) => Ok(at),
            (false, false, _) => Err(refused(
                "others than this machine reach it there, and it is not said how it speaks TLS",
            )),
            (false, true, false) => Err(refused(
                "others than this machine reach it there, and neither a token nor the authority of \
                 those who may ask is named",
            )),
        }
    }

    /// What files say now. What cannot be read any more leaves what was read before; where nothing ever was,
    /// there is no way in.
    pub(crate) fn known(&self) -> Option<Known> {
        let mut known = self.0.known.lock().unwrap_or_else(PoisonError::into_inner);
        match &*known {
            Some((read, one)) if read.elapsed() < HOLDS => Some(one.clone()),
            before => {
                let before = before.as_ref().map(|(_, one)| one.clone());
                let now = self.read_files().ok().or(before)?;
                *known = Some((Instant::now(), now.clone()));
                Some(now)
            }
        }
    }

    fn read(&self) -> Result<(), Problem> {
        let now = self.read_files()?;
        let mut known = self.0.known.lock().unwrap_or_else(PoisonError::into_inner);
        *known = Some((Instant::now(), now));
        Ok(())
    }

    fn read_files(&self) -> Result<Known, Problem> {
        let Inner { loaded, tls, token, .. } = &*self.0;
        let token = token.as_ref().map(|source| {
            let token: Secret = loaded.near(source, "serve.token")?;
            let short = token.expose().len() < 16;
            if short {
                return Err(wrong("token", "it must have 16 characters at least"));
            }
            Ok(digest(&SHA256, token.expose().as_bytes()).as_ref().to_vec())
        });
        let tls = tls.as_ref().map(|tls| acceptor(&loaded.folder, tls));
        Ok(Known { tls: tls.transpose()?, token: token.transpose()? })
    }
}

fn acceptor(folder: &Path, config: &TlsConfig) -> Result<TlsAcceptor, Problem> {
    let read = |member: &str, file: &PathBuf| {
        let path = folder.join(file);
        std::fs::read(&path).map_err(|error| wrong(member, format!("{}: {error}", path.display())))
    };
    let certificates = |member: &str, file: &PathBuf| {
        let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(member, file)?).collect();
        match all {
            Ok(all) if !all.is_empty() => Ok(all),
            _ => Err(wrong(member, format!("{}: it holds no certificate in PEM", file.display()))),
        }
    };
    let chain = certificates("tls.certificate", &config.certificate)?;
    let key = zeroize_after(read("tls.key", &config.key)?);
    let key = PrivateKeyDer::from_pem_slice(&key).map_err(|_| {
        wrong("tls.key", format!("{}: it holds no key in PEM", config.key.display()))
    })?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong("tls", error))?;
    let builder = match &config.clients {
        None => builder.with_no_client_auth(),
        Some(file) => {
            let mut roots = RootCertStore::empty();
            for one in certificates("tls.clients", file)? {
                roots.add(one).map_err(|error| wrong("tls.clients", error))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            let verifier = verifier.build().map_err(|error| wrong("tls.clients", error))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let config = builder
        .with_single_cert(chain, key)
        .map_err(|error| wrong("tls", format!("certificate and key: {error}")))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// The bytes of a key, wiped when they are dropped.
fn zeroize_after(bytes: Vec<u8>) -> zeroize::Zeroizing<Vec<u8>> {
    zeroize::Zeroizing::new(bytes)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A door as it is configured, in a folder.
    pub(crate) fn door(folder: &Path, serve: &str) -> Result<Door, Problem> {
        let text = format!("serve = {{ {serve} }}\n");
        let environment =
            wiring::Environment::of(&[("DOOR", "a token of 16 chars"), ("SHORT", "hunter2")]);
        Door::of(&Loaded::from_text(&text, folder, None, environment)?)
    }

    #[test]
    fn it_listens_on_this_machine_alone_unless_it_speaks_tls_and_asks_who_comes() {
        let folder = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(folder.path().join("c.pem"), made.cert.pem()).unwrap();
        std::fs::write(folder.path().join("k.pem"), made.signing_key.serialize_pem()).unwrap();
        let door = |serve: &str| door(folder.path(), serve);
        let tls = "tls = { certificate = \"c.pem\", key = \"k.pem\" }";
        let (token, asks) = ("token = { env = \"DOOR\" }", "clients = \"c.pem\" }");
        let bare = door("every = \"15m\"").unwrap();
        for fine in ["127.0.0.1:0", "127.8.8.8:9464", "[::1]:9464"] {
            assert!(bare.place(fine).is_ok(), "{fine}");
        }
        for wide in ["0.0.0.0:9464", "[::]:9464", "192.168.1.4:9464", "[::ffff:127.0.0.1]:1"] {
            let problem = bare.place(wide).unwrap_err();
            assert!(problem.detail.contains("TLS"), "{problem}");
            assert!(door(token).unwrap().place(wide).unwrap_err().detail.contains("TLS"));
            let problem = door(tls).unwrap().place(wide).unwrap_err();
            assert!(problem.detail.contains("token"), "{problem}");
            assert!(door(&format!("{tls}\n{token}")).unwrap().place(wide).is_ok(), "{wide}");
            let mutual = tls.replace(" }", &format!(", {asks}"));
            assert!(door(&mutual).unwrap().place(wide).is_ok(), "{wide}");
        }
        assert!(bare.place("localhost").unwrap_err().detail.contains("expected"));
    }

    #[test]
    fn a_file_that_cannot_be_used_is_told_with_its_member_before_anything_is_heard() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("c.pem"), "nothing").unwrap();
        for (serve, member) in [
            ("tls = { certificate = \"no.pem\", key = \"k.pem\" }", "serve.tls.certificate"),
            ("tls = { certificate = \"c.pem\", key = \"k.pem\" }", "serve.tls.certificate"),
            ("token = { env = \"SHORT\" }", "serve.token"),
            ("token = { env = \"NOBODY\" }", "serve.token"),
        ] {
            let problem = door(folder.path(), serve).err().unwrap();
            assert!(problem.detail.contains(member), "{problem}");
            assert!(!problem.to_string().contains("hunter2"), "{problem}");
        }
    }

    #[test]
    fn only_who_has_the_whole_token_is_let_in() {
        let folder = tempfile::tempdir().unwrap();
        let known = door(folder.path(), "token = { env = \"DOOR\" }").unwrap().known().unwrap();
        assert!(known.lets_in(Some(b"Bearer a token of 16 chars")));
        assert!(known.lets_in(Some(b"bearer a token of 16 chars")));
        for other in
            [&b"Bearer "[..], b"Bearer a token of 16 char", b"Basic a token of 16 chars", b""]
        {
            assert!(!known.lets_in(Some(other)), "{other:?}");
        }
        assert!(!known.lets_in(None));
        assert!(Known::default().lets_in(None), "without a token nobody is asked");
        assert!(!format!("{known:?}").contains("token of"));
    }
}
