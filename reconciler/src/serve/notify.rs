//! Who is told when something changes: a webhook, signed, and a channel of Slack. A state that lasts is
//! told once, when it begins, and once when it is over.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use connector::{
    Clock,
    transport::{HttpOptions, HttpTransport, Request, Transport},
};
use data_encoding::HEXLOWER;
use domain::Secret;
use jiff::Timestamp;
use operations::Problem;
use ring::{digest, hmac};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::logs::{Log, name};

/// How many wait to be told at most; what comes then is only in the log.
const MOST: usize = 256;
/// How often one is tried.
const TRIES: u32 = 6;
/// How long after the first failure it is tried again; each time after that twice as long.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// How long one try may take.
const LONGEST: Duration = Duration::from_secs(15);
/// The header that signs the body: `t=<seconds>,v1=<hex>`, the HMAC-SHA256 of `<seconds>.<body>`.
const SIGNATURE: &str = "nhi-signature";

/// Something to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Notice {
    /// `opened`, `closed`, `failed`, `rotated`, `done` or `heartbeat`.
    pub(crate) event: &'static str,
    /// What it is about.
    pub(crate) subject: String,
    /// What is, or was done.
    pub(crate) why: String,
}

impl Notice {
    fn body(&self, at: Timestamp) -> Value {
        let told = format!("{}\0{}\0{}\0{at}", self.event, self.subject, self.why);
        let id = HEXLOWER.encode(&digest::digest(&digest::SHA256, told.as_bytes()).as_ref()[..16]);
        json!({
            "format": "nhi-notice/1", "id": id, "at": at.to_string(),
            "event": self.event, "subject": self.subject, "why": self.why,
        })
    }

    fn words(&self) -> String {
        format!("{}: {} ({})", self.event, self.subject, self.why)
    }
}

/// What lasts: what is wrong with each subject since it was told.
#[derive(Debug, Default)]
pub(crate) struct Lasting(BTreeMap<String, String>);

impl Lasting {
    /// What changed: `now` is what is wrong at these connections, with the event that it begins with.
    pub(crate) fn change(
        &mut self,
        connections: &BTreeSet<String>,
        now: BTreeMap<String, (&'static str, String)>,
    ) -> Vec<Notice> {
        let of = |subject: &str| subject.split('/').next().unwrap_or_default().to_owned();
        let over: Vec<String> = self
            .0
            .keys()
            .filter(|subject| connections.contains(&of(subject)) && !now.contains_key(*subject))
            .cloned()
            .collect();
        let mut told = Vec::new();
        for subject in over {
            let why = self.0.remove(&subject).unwrap_or_default();
            told.push(Notice { event: "closed", subject, why });
        }
        for (subject, (event, why)) in now {
            if self.0.insert(subject.clone(), why.clone()).is_none() {
                told.push(Notice { event, subject, why });
            }
        }
        told
    }

    /// Nothing is wrong.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// One who is told.
enum Target {
    Webhook { to: HttpTransport, key: Secret },
    Slack { to: HttpTransport },
}

impl Target {
    fn name(&self) -> &'static str {
        match self {
            Target::Webhook { .. } => "webhook",
            Target::Slack { .. } => "slack",
        }
    }

    async fn tell(&self, notice: &Notice, at: Timestamp, now: Timestamp) -> Result<(), String> {
        let (to, request) = match self {
            Target::Webhook { to, key } => {
                let body = notice.body(at);
                let signed = signature(key, now, &body.to_string());
                let request = Request::change("POST", "", "the webhook").json(&body);
                (to, request.header(SIGNATURE, Secret::new(signed)))
            }
            Target::Slack { to } => {
                let body = json!({ "text": notice.words() });
                (to, Request::change("POST", "", "the channel").json(&body))
            }
        };
        let request = Request { deadline: LONGEST, ..request };
        match tokio::time::timeout(LONGEST, to.send(request)).await {
            Err(_) => Err("nobody answered in time".to_owned()),
            Ok(Err(error)) => Err(error.to_string()),
            Ok(Ok(answer)) if (200..300).contains(&answer.status) => Ok(()),
            Ok(Ok(answer)) => Err(format!("the answer was {}", answer.status)),
        }
    }
}

fn signature(key: &Secret, at: Timestamp, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.expose().as_bytes());
    let signed = hmac::sign(&key, format!("{}.{body}", at.as_second()).as_bytes());
    format!("t={},v1={}", at.as_second(), HEXLOWER.encode(signed.as_ref()))
}

/// An address that secrets may go to.
fn reach(address: &str, what: &'static str) -> Result<HttpTransport, Problem> {
    let wrong = |why: String| {
        Problem::new("E-NOTIFY", "Nobody can be told there")
            .detail(format!("notify.{what}.url: {why}."))
            .next("name an https address, or an http one of this very machine")
    };
    let clear = ["http://127.0.0.1", "http://localhost", "http://[::1]"];
    let here = |prefix: &&str| {
        let rest = address.strip_prefix(*prefix);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '/']))
    };
    if address.starts_with("http://") && !clear.iter().any(here) {
        return Err(wrong("it goes over a network in the clear".to_owned()));
    }
    let options = HttpOptions { address: address.to_owned(), ca_file: None };
    // What is wrong with an address may have a part of it in its words, and that of Slack is a secret.
    HttpTransport::new(options).map_err(|_| wrong("it is no http or https address".to_owned()))
}

/// Where notices are put.
#[derive(Debug, Clone, Default)]
pub(crate) struct Notices(Option<mpsc::Sender<(Notice, Timestamp)>>);

impl Notices {
    /// Begins to tell whoever is configured.
    ///
    /// # Errors
    ///
    /// `E-NOTIFY`: an address, or a key, cannot be used.
    pub(crate) fn begin(
        loaded: &wiring::Loaded,
        clock: Arc<dyn Clock>,
        log: Log,
    ) -> Result<(Notices, Option<tokio::task::JoinHandle<()>>), Problem> {
        let Some(notify) = &loaded.config.notify else { return Ok((Notices::default(), None)) };
        let mut targets = Vec::new();
        if let Some((url, key)) = &notify.webhook {
            let key = loaded.near(key, "notify.webhook.key")?;
            targets.push(Target::Webhook { to: reach(url, "webhook")?, key });
        }
        if let Some(url) = &notify.slack {
            let url = loaded.near(url, "notify.slack.url")?;
            targets.push(Target::Slack { to: reach(url.expose(), "slack")? });
        }
        let (put, taken) = mpsc::channel(MOST);
        let telling = tokio::spawn(tell(targets, taken, clock, log, FIRST_WAIT));
        Ok((Notices(Some(put)), Some(telling)))
    }

    /// Puts one in line; whether it could be.
    pub(crate) fn put(&self, notice: Notice, at: Timestamp) -> bool {
        self.0.as_ref().is_none_or(|put| put.try_send((notice, at)).is_ok())
    }
}

/// Tells all of them, one after the other, until nobody puts any more.
async fn tell(
    targets: Vec<Target>,
    mut notices: mpsc::Receiver<(Notice, Timestamp)>,
    clock: Arc<dyn Clock>,
    log: Log,
    first_wait: Duration,
) {
    while let Some((notice, at)) = notices.recv().await {
        for target in &targets {
            let mut wait = first_wait;
            for tried in 1..=TRIES {
                let Err(why) = target.tell(&notice, at, clock.now()).await else { break };
                if tried == TRIES {
                    let with = [
                        ("subject", notice.subject.clone().into()),
                        ("to", target.name().into()),
                        ("why", format!("it was not told: {why}").into()),
                    ];
                    log.line(clock.now(), name::NOTICE, &with);
                    break;
                }
                tokio::time::sleep(wait).await;
                wait *= 2;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use connector::SystemClock;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;
    use crate::serve::logs::LogForm;

    /// A server that refuses the first two requests; all that it was sent.
    async fn server(listener: TcpListener, heard: Arc<Mutex<Vec<String>>>) {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let (mut text, mut part) = (String::new(), [0u8; 4096]);
            loop {
                let count = stream.read(&mut part).await.unwrap();
                text.push_str(&String::from_utf8_lossy(&part[..count]));
                let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
                let length = head.lines().find_map(|line| {
                    let line = line.to_lowercase();
                    line.strip_prefix("content-length: ")?.trim().parse::<usize>().ok()
                });
                if count == 0 || length.is_none_or(|length| body.len() >= length) {
                    break;
                }
            }
            let status = if heard.lock().unwrap().len() < 2 { 503 } else { 200 };
            heard.lock().unwrap().push(text);
            let answer =
                format!("HTTP/1.1 {status} x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_notice_is_signed_tried_again_until_it_is_taken_and_the_same_each_time() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}/hook", listener.local_addr().unwrap());
        let heard = Arc::new(Mutex::new(Vec::new()));
        let served = tokio::spawn(server(listener, heard.clone()));
        let key = || Secret::new("a key of the webhook");
        let target = Target::Webhook { to: reach(&address, "webhook").unwrap(), key: key() };
        let (put, taken) = mpsc::channel(MOST);
        let notices = Notices(Some(put));
        let notice = Notice { event: "rotated", subject: "bao/a".into(), why: "schedule".into() };
        let at = Timestamp::from_second(1_795_500_000).unwrap();
        assert!(notices.put(notice.clone(), at));
        drop(notices);
        let (clock, log) = (Arc::new(SystemClock), Log(LogForm::Json));
        tell(vec![target], taken, clock, log, Duration::from_millis(10)).await;
        served.abort();
        let heard = heard.lock().unwrap().clone();
        assert_eq!(heard.len(), 3, "two were refused");
        let mut ids = BTreeSet::new();
        for text in heard {
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            let signed = head.lines().find_map(|line| line.strip_prefix("nhi-signature: "));
            let signed = signed.unwrap();
            let seconds = signed.strip_prefix("t=").unwrap().split(',').next().unwrap();
            let at = Timestamp::from_second(seconds.parse().unwrap()).unwrap();
            assert_eq!(signed, signature(&key(), at, body), "of the body and the time");
            assert_ne!(signed, signature(&Secret::new("another"), at, body));
            let body: Value = serde_json::from_str(body).unwrap();
            assert_eq!((&body["event"], &body["subject"]), (&"rotated".into(), &"bao/a".into()));
            ids.insert(body["id"].as_str().unwrap().to_owned());
        }
        assert_eq!(ids.len(), 1, "whoever hears it twice knows that it is one");
    }

    #[test]
    fn what_lasts_is_told_when_it_begins_and_when_it_is_over() {
        let all = BTreeSet::from(["bao".to_owned()]);
        let wrong = |subject: &str| {
            BTreeMap::from([(subject.to_owned(), ("opened", "it is held".to_owned()))])
        };
        let mut lasting = Lasting::default();
        let events = |all: Vec<Notice>| all.iter().map(|one| one.event).collect::<Vec<_>>();
        assert_eq!(events(lasting.change(&all, wrong("bao/a"))), ["opened"]);
        assert_eq!(lasting.change(&all, wrong("bao/a")), [], "it lasts");
        // Of what nobody looked at, nobody says that it is over.
        let other = BTreeSet::from(["aws".to_owned()]);
        assert_eq!(lasting.change(&other, BTreeMap::new()), []);
        assert!(!lasting.is_empty());
        assert_eq!(events(lasting.change(&all, wrong("bao/b"))), ["closed", "opened"]);
        assert_eq!(events(lasting.change(&all, BTreeMap::new())), ["closed"]);
        assert!(lasting.is_empty());
    }

    #[test]
    fn nothing_is_told_over_a_network_in_the_clear_and_no_error_has_the_address_of_a_channel() {
        for wrong in ["http://hooks.acme.example/x", "http://localhost.acme.example/x"] {
            assert!(reach(wrong, "slack").unwrap_err().detail.contains("in the clear"), "{wrong}");
        }
        assert!(reach("https://hooks.acme.example/x", "slack").is_ok());
        let problem = reach("ftp://hooks/T000-secret", "slack").unwrap_err();
        assert!(!problem.to_string().contains("T000"), "{problem}");
    }
}
