//! Mail to owners, over SMTP with TLS.

use std::{
    path::Path,
    time::{Duration, UNIX_EPOCH},
};

use jiff::Timestamp;
use lettre::{
    Address, AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::{
        Mailbox,
        header::{ContentType, Header, HeaderName, HeaderValue},
    },
    transport::smtp::{
        authentication::Credentials,
        client::{Certificate, CertificateStore, Tls, TlsParameters},
    },
};
use operations::Problem;
use wiring::{Loaded, MailConfig};

/// How long one letter may take.
const LONGEST: Duration = Duration::from_secs(30);

/// A server that takes letters, and who writes.
pub(crate) struct Mail {
    server: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    otherwise: Option<Mailbox>,
}

/// A letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Letter {
    /// One line.
    pub(crate) title: String,
    /// The rest.
    pub(crate) text: String,
    /// The same each time this letter is tried, so that a server that had it knows that.
    pub(crate) id: String,
}

/// That no person wrote it, so that nobody's absence is answered to it (RFC 3834).
#[derive(Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(AutoSubmitted)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

fn wrong(member: &str, why: &str) -> Problem {
    Problem::new("E-NOTIFY", "Nobody can be written to there")
        .detail(format!("notify.mail.{member}: {why}."))
        .next(
            "name a server that speaks TLS, as smtps://mail.acme.example or smtp://mail.acme.example:587, \
             and addresses such as nhi@acme.example",
        )
}

fn mailbox(text: &str, member: &str) -> Result<Mailbox, Problem> {
    let address = text.trim().parse::<Address>();
    let address = address.map_err(|error| wrong(member, &format!("{text:?}: {error}")))?;
    Ok(Mailbox::new(None, address))
}

/// Where a server is, as it is written: whether TLS begins at once, host and port.
fn place(text: &str) -> Result<(bool, String, u16), Problem> {
    let (at_once, rest) = match (text.strip_prefix("smtps://"), text.strip_prefix("smtp://")) {
        (Some(rest), _) => (true, rest),
        (_, Some(rest)) => (false, rest),
        _ => return Err(wrong("server", "it begins with neither smtps:// nor smtp://")),
    };
    let rest = rest.trim_end_matches('/');
    let usual = if at_once { 465 } else { 587 };
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => {
            let port = port.parse().map_err(|_| wrong("server", "its port is no number"))?;
            (host, port)
        }
        _ => (rest, usual),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let plain = |c: char| c.is_ascii_alphanumeric() || ".-:".contains(c);
    if host.is_empty() || !host.chars().all(plain) {
        return Err(wrong(
            "server",
            "expected smtps://<host>:<port>, with nothing before or behind",
        ));
    }
    Ok((at_once, host.to_owned(), port))
}

fn tls(host: &str, ca_file: Option<&Path>) -> Result<TlsParameters, Problem> {
    let unfit = |why: String| wrong("ca_file", &why);
    let mut builder = TlsParameters::builder(host.to_owned());
    if let Some(path) = ca_file {
        let shown = path.display();
        let pem = std::fs::read(path).map_err(|error| unfit(format!("{shown}: {error}")))?;
        let all =
            Certificate::from_pem(&pem).map_err(|error| unfit(format!("{shown}: {error}")))?;
        builder = builder.certificate_store(CertificateStore::None).add_root_certificate(all);
    }
    builder.build_rustls().map_err(|error| wrong("server", &error.to_string()))
}

impl Mail {
    /// One that is ready to write; sends nothing.
    ///
    /// # Errors
    ///
    /// `E-NOTIFY`: what is wrong with what is configured.
    pub(crate) fn begin(loaded: &Loaded, config: &MailConfig) -> Result<Mail, Problem> {
        let (at_once, host, port) = place(&config.server)?;
        let ca_file = config.ca_file.as_ref().map(|file| loaded.folder.join(file));
        let here = host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
            || host == "localhost";
        let secured = match (at_once, here && ca_file.is_none()) {
            (true, _) => Tls::Wrapper(tls(&host, ca_file.as_deref())?),
            // What goes to this very machine crosses no network.
            (false, true) => Tls::None,
            (false, false) => Tls::Required(tls(&host, ca_file.as_deref())?),
        };
        let server = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host)
            .port(port)
            .tls(secured)
            .timeout(Some(LONGEST));
        let server = match &config.user {
            Some((user, password)) => {
                let password = loaded.near(password, "notify.mail.password")?;
                server.credentials(Credentials::new(user.clone(), password.expose().to_owned()))
            }
            None => server,
        };
        Ok(Mail {
            server: server.build(),
            from: mailbox(&config.from, "from")?,
            otherwise: config
                .otherwise
                .as_deref()
                .map(|address| mailbox(address, "otherwise"))
                .transpose()?,
        })
    }

    /// Whom a letter goes to: this address, or whoever is written to where there is none that can be.
    pub(crate) fn to(&self, address: Option<&str>) -> Option<Mailbox> {
        let known = address.and_then(|text| mailbox(text, "to").ok());
        known.or_else(|| self.otherwise.clone())
    }

    /// Sends one. Why it was not, if so, without the address: that is a person's.
    pub(crate) async fn send(
        &self,
        to: Mailbox,
        letter: &Letter,
        now: Timestamp,
    ) -> Result<(), String> {
        let host = self.from.email.domain();
        let message = Message::builder()
            .from(self.from.clone())
            .to(to.clone())
            .subject(letter.title.clone())
            .date(UNIX_EPOCH + Duration::from_secs(u64::try_from(now.as_second()).unwrap_or(0)))
            .message_id(Some(format!("<{}@{host}>", letter.id)))
            .header(AutoSubmitted)
            .header(ContentType::TEXT_PLAIN)
            .body(letter.text.clone())
            .map_err(|error| error.to_string())?;
        let sent = tokio::time::timeout(LONGEST, self.server.send(message)).await;
        let address = to.email.to_string();
        let private = |error: String| error.replace(&address, "the owner");
        match sent {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(private(in_words(&error))),
            Err(_) => Err("the server did not take it in time".to_owned()),
        }
    }
}

/// An error with what was behind it.
fn in_words(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(one) = source {
        let more = one.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        source = one.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use rcgen::{CertifiedKey, generate_simple_self_signed};
    use rustls::{ServerConfig, pki_types::PrivateKeyDer};
    use tokio::{
        io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader},
        net::TcpListener,
    };
    use tokio_rustls::TlsAcceptor;

    use super::*;

    fn loaded(mail: &str) -> Loaded {
        let text = format!("notify = {{ mail = {{ {mail} }} }}\n");
        let environment = wiring::Environment::of(&[("MAIL", "hunter2")]);
        Loaded::from_text(&text, Path::new("/"), None, environment).unwrap()
    }

    fn begin(mail: &str) -> Result<Mail, Problem> {
        let loaded = loaded(mail);
        let config = loaded.config.notify.clone().unwrap().mail.unwrap();
        Mail::begin(&loaded, &config)
    }

    /// Speaks SMTP with one who comes; all that was said to it.
    async fn answer(stream: impl AsyncRead + AsyncWrite + Unpin, heard: Arc<Mutex<String>>) {
        let (read, mut write) = tokio::io::split(stream);
        let mut lines = BufReader::new(read).lines();
        write.write_all(b"220 x\r\n").await.unwrap();
        let mut in_letter = false;
        while let Ok(Some(line)) = lines.next_line().await {
            heard.lock().unwrap().push_str(&format!("{line}\n"));
            let said: &[u8] = match line.split(' ').next().unwrap_or_default() {
                "." if in_letter => {
                    in_letter = false;
                    b"250 taken\r\n"
                }
                _ if in_letter => continue,
                "EHLO" => b"250-x\r\n250 AUTH PLAIN\r\n",
                "AUTH" => b"235 welcome\r\n",
                "DATA" => {
                    in_letter = true;
                    b"354 go on\r\n"
                }
                "QUIT" => break,
                "RCPT" if line.contains("gone@") => b"550 no such person: <gone@acme.example>\r\n",
                _ => b"250 fine\r\n",
            };
            write.write_all(said).await.unwrap();
        }
    }

    fn letter() -> Letter {
        Letter {
            title: "nhi: it ends\r\nBcc: evil@x.example".to_owned(),
            text: "It ends soon.\n.\nReally.".to_owned(),
            id: "a1".to_owned(),
        }
    }

    #[tokio::test]
    async fn a_letter_goes_over_tls_to_a_server_that_is_known_and_to_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let known = folder.path().join("ca.pem");
        std::fs::write(&known, cert.pem()).unwrap();
        let stranger = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let unknown = folder.path().join("other.pem");
        std::fs::write(&unknown, stranger.cert.pem()).unwrap();
        let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let heard = Arc::new(Mutex::new(String::new()));
        let all = heard.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                if let Ok(stream) = acceptor.accept(stream).await {
                    answer(stream, all.clone()).await;
                }
            }
        });
        let mail = |ca: &Path| {
            begin(&format!(
                "server = \"smtps://localhost:{port}\"\nfrom = \"nhi@acme.example\"\n\
                 user = \"nhi\"\npassword = {{ env = \"MAIL\" }}\nca_file = {:?}",
                ca.display().to_string()
            ))
            .unwrap()
        };
        let now = Timestamp::from_second(1_795_500_000).unwrap();
        let known = mail(&known);
        let ana = || known.to(Some("ana@acme.example")).unwrap();
        known.send(ana(), &letter(), now).await.unwrap();
        let said = heard.lock().unwrap().clone();
        assert!(said.contains("AUTH PLAIN"), "{said}");
        assert!(said.contains("RCPT TO:<ana@acme.example>"), "{said}");
        assert!(said.contains("Message-ID: <a1@acme.example>"), "{said}");
        assert!(said.contains("Auto-Submitted: auto-generated"), "{said}");
        assert!(said.contains("\n..\n"), "a point alone ends no letter: {said}");
        assert!(!said.contains("\nBcc:"), "no header is slipped in: {said}");
        let gone = known.to(Some("gone@acme.example")).unwrap();
        let why = known.send(gone, &letter(), now).await.unwrap_err();
        assert!(why.contains("no such person") && !why.contains("gone@"), "{why}");
        let unknown = mail(&unknown);
        heard.lock().unwrap().clear();
        unknown.send(ana(), &letter(), now).await.unwrap_err();
        assert_eq!(*heard.lock().unwrap(), "", "nothing is said to a stranger");
    }

    #[test]
    fn what_cannot_be_written_to_is_told_with_its_member() {
        let from = "from = \"nhi@acme.example\"";
        for (mail, member) in [
            (format!("server = \"mail.acme.example\"\n{from}"), "server"),
            (format!("server = \"smtp://u:hunter2@mail.acme.example\"\n{from}"), "server"),
            (format!("server = \"smtp://mail.acme.example:x\"\n{from}"), "server"),
            ("server = \"smtps://mail.acme.example\"\nfrom = \"nhi\"".to_owned(), "from"),
            (format!("server = \"smtps://x\"\n{from}\notherwise = \"nobody\""), "otherwise"),
            (format!("server = \"smtps://x\"\n{from}\nca_file = \"/nowhere\""), "ca_file"),
        ] {
            let problem = begin(&mail).err().unwrap();
            assert!(problem.detail.contains(&format!("notify.mail.{member}")), "{problem}");
            assert!(!problem.to_string().contains("hunter2"), "{problem}");
        }
        assert_eq!(place("smtps://mail.acme.example/").unwrap().2, 465);
        assert_eq!(place("smtp://[::1]:2525").unwrap(), (false, "::1".to_owned(), 2525));
        assert_eq!(place("smtp://[::1]").unwrap().2, 587);
    }

    #[test]
    fn who_has_no_address_is_written_to_where_somebody_sees_to_it() {
        let mail = begin(
            "server = \"smtp://127.0.0.1:2525\"\nfrom = \"nhi@acme.example\"\notherwise = \"desk@acme.example\"",
        )
        .unwrap();
        let to = |address| mail.to(address).unwrap().email.to_string();
        assert_eq!(to(Some("ana@acme.example")), "ana@acme.example");
        assert_eq!(to(None), "desk@acme.example");
        assert_eq!(to(Some("no address")), "desk@acme.example");
    }
}
