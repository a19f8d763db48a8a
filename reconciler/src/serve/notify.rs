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
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
};
use tracing::Instrument;

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
pub(crate) const SIGNATURE: &str = "nhi-signature";

/// Something to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Notice {
    /// `opened`, `closed`, `failed`, `rotated`, `done`, `ends` or `heartbeat`.
    pub(crate) event: &'static str,
    /// What it is about.
    pub(crate) subject: String,
    /// What is, or was done.
    pub(crate) why: String,
    /// Who answers for it, where it is told to them.
    pub(crate) owner: Option<String>,
}

impl Notice {
    fn body(&self, at: Timestamp) -> Value {
        let owner = self.owner.as_deref().unwrap_or_default();
        let told = format!("{}\0{}\0{}\0{at}{owner}", self.event, self.subject, self.why);
        let id = HEXLOWER.encode(&digest::digest(&digest::SHA256, told.as_bytes()).as_ref()[..16]);
        let mut body = json!({
            "format": "nhi-notice/1", "id": id, "at": at.to_string(),
            "event": self.event, "subject": self.subject, "why": self.why,
        });
        if let Some(owner) = &self.owner {
            body["owner"] = json!(owner);
        }
        body
    }

    fn words(&self) -> String {
        format!("{}: {} ({})", self.event, self.subject, self.why)
    }

    /// As Slack is told it: what it would take for a link, or for a word to everybody, is text.
    fn plain_words(&self) -> String {
        self.words().replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
    }
}

/// The tick itself, as a subject: it could not be.
pub(crate) const TICK: &str = "nhi/tick";
/// The policy, as a subject: it cannot be read.
pub(crate) const POLICY: &str = "nhi/policy";

/// What a tick can say something about.
#[derive(Debug, Default)]
pub(crate) struct Extent {
    /// The connections that it was over.
    pub(crate) ticked: BTreeSet<String>,
    /// All connections at which something is declared.
    pub(crate) known: BTreeSet<String>,
    /// What it could not read; nor what is below that.
    pub(crate) gaps: BTreeSet<String>,
    /// What it left to others, or undone.
    pub(crate) left: BTreeSet<String>,
}

impl Extent {
    /// Whether what it does not say of a subject is that nothing is wrong with it. What is of no connection
    /// any more is over; owners are looked at by every tick.
    fn has(&self, subject: &str) -> bool {
        if [TICK, POLICY].contains(&subject) {
            return true;
        }
        let of = subject.split('/').next().unwrap_or_default();
        let elsewhere = self.known.contains(of) && !self.ticked.contains(of);
        let covered = self.gaps.iter().any(|gap| {
            let below = subject.strip_prefix(gap.as_str());
            below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        });
        !elsewhere && !covered && !self.left.contains(subject)
    }
}

/// What lasts: what is wrong with each subject since it was told.
#[derive(Debug, Default)]
pub(crate) struct Lasting(BTreeMap<String, String>);

impl Lasting {
    /// What changed: `now` is what is wrong as far as this tick can say, with the event that it begins with.
    pub(crate) fn change(
        &mut self,
        extent: &Extent,
        now: BTreeMap<String, (&'static str, String)>,
    ) -> Vec<Notice> {
        let gone = |subject: &&String| !now.contains_key(*subject) && extent.has(subject);
        let over: Vec<String> = self.0.keys().filter(gone).cloned().collect();
        let mut told = Vec::new();
        for subject in over {
            let why = self.0.remove(&subject).unwrap_or_default();
            told.push(Notice { event: "closed", subject, why, owner: None });
        }
        for (subject, (event, why)) in now {
            if self.0.insert(subject.clone(), why.clone()).is_none() {
                told.push(Notice { event, subject, why, owner: None });
            }
        }
        told
    }

    /// One that opens by itself: what is told, where it is new.
    pub(crate) fn begin(&mut self, subject: &str, why: String) -> Option<Notice> {
        let new = self.0.insert(subject.to_owned(), why.clone()).is_none();
        new.then(|| Notice { event: "opened", subject: subject.to_owned(), why, owner: None })
    }

    /// Nothing is wrong.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Where one is told. The address is asked as it was written, to its last slash: a server may know no
/// other. That of a channel is a secret.
struct Place {
    to: HttpTransport,
    address: Secret,
}

/// One who is told.
enum Target {
    Webhook { at: Place, key: Secret },
    Slack { at: Place },
}

impl Target {
    fn name(&self) -> &'static str {
        match self {
            Target::Webhook { .. } => "webhook",
            Target::Slack { .. } => "slack",
        }
    }

    async fn tell(&self, notice: &Notice, at: Timestamp, now: Timestamp) -> Result<(), String> {
        let (place, request) = match self {
            Target::Webhook { at: place, key } => {
                let body = notice.body(at);
                let signed = signature(key, now, &body.to_string());
                let address = place.address.expose();
                let request = Request::change("POST", address, "the webhook").json(&body);
                (place, request.header(SIGNATURE, Secret::new(signed)))
            }
            Target::Slack { at: place } => {
                let body = json!({ "text": notice.plain_words() });
                let address = place.address.expose();
                (place, Request::change("POST", address, "the channel").json(&body))
            }
        };
        let request = Request { deadline: LONGEST, ..request };
        match tokio::time::timeout(LONGEST, place.to.send(request)).await {
            Err(_) => Err("nobody answered in time".to_owned()),
            Ok(Err(error)) => Err(error.to_string()),
            Ok(Ok(answer)) if (200..300).contains(&answer.status) => Ok(()),
            Ok(Ok(answer)) => Err(format!("the answer was {}", answer.status)),
        }
    }
}

pub(super) fn signature(key: &Secret, at: Timestamp, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.expose().as_bytes());
    let signed = hmac::sign(&key, format!("{}.{body}", at.as_second()).as_bytes());
    format!("t={},v1={}", at.as_second(), HEXLOWER.encode(signed.as_ref()))
}

/// An address that secrets may go to.
fn reach(address: &str, what: &'static str) -> Result<Place, Problem> {
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
    // What is not one of these as it is written is refused, rather than looked for what it must not be: a
    // parser of addresses takes HTTP://, a blank before it and http:/ for the same.
    if !address.starts_with("https://") && !clear.iter().any(here) {
        return Err(wrong(match address.starts_with("http://") {
            true => "it goes over a network in the clear".to_owned(),
            false => "it does not begin with https://".to_owned(),
        }));
    }
    let options = HttpOptions { address: address.to_owned(), ca_file: None };
    // What is wrong with an address may have a part of it in its words, and that of Slack is a secret.
    let to = HttpTransport::new(options);
    let to = to.map_err(|_| wrong("it is no http or https address".to_owned()))?;
    Ok(Place { to, address: Secret::new(address) })
}

/// What stands in a line: a notice, since when, and who wants to hear whether it was taken.
type Put = (Notice, Timestamp, Option<oneshot::Sender<()>>);

/// Where notices are put: a line for each who is told, so that one who does not answer keeps nobody else
/// waiting.
#[derive(Debug, Clone, Default)]
pub(crate) struct Notices(Vec<mpsc::Sender<Put>>);

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
            targets.push(Target::Webhook { at: reach(url, "webhook")?, key });
        }
        if let Some(url) = &notify.slack {
            let url = loaded.near(url, "notify.slack.url")?;
            targets.push(Target::Slack { at: reach(url.expose(), "slack")? });
        }
        let (mut lines, mut all) = (Vec::new(), JoinSet::new());
        for target in targets {
            let (put, taken) = mpsc::channel(MOST);
            lines.push(put);
            all.spawn(tell(target, taken, clock.clone(), log, FIRST_WAIT));
        }
        let telling = tokio::spawn(async move { while all.join_next().await.is_some() {} });
        Ok((Notices(lines), Some(telling)))
    }

    /// Puts one in every line; whether it could be put in all.
    pub(crate) fn put(&self, notice: &Notice, at: Timestamp) -> bool {
        let full = self.0.iter().filter(|line| line.try_send((notice.clone(), at, None)).is_err());
        full.count() == 0
    }

    /// Puts one in every line, and waits until it is taken, or is not: whether anybody took it.
    pub(crate) async fn tell(&self, notice: &Notice, at: Timestamp) -> bool {
        let mut taken = false;
        for line in &self.0 {
            let (told, hears) = oneshot::channel();
            if line.send((notice.clone(), at, Some(told))).await.is_ok() {
                taken |= hears.await.is_ok();
            }
        }
        taken
    }
}

/// Tells one of them, one notice after the other, until nobody puts any more.
async fn tell(
    target: Target,
    mut notices: mpsc::Receiver<Put>,
    clock: Arc<dyn Clock>,
    log: Log,
    first_wait: Duration,
) {
    while let Some((notice, at, hears)) = notices.recv().await {
        let mut wait = first_wait;
        for tried in 1..=TRIES {
            let span = telemetry::tell(target.name(), notice.event, &notice.subject);
            let told = target.tell(&notice, at, clock.now()).instrument(span.clone()).await;
            let Err(why) = told else {
                telemetry::ended(&span, "told");
                // Whoever put it may not want to hear it.
                let _ = hears.map(|hears| hears.send(()));
                break;
            };
            telemetry::failed(&span, "not_told", None);
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
        let target = Target::Webhook { at: reach(&address, "webhook").unwrap(), key: key() };
        let (put, taken) = mpsc::channel(MOST);
        let notices = Notices(vec![put]);
        let notice = Notice {
            event: "rotated",
            subject: "bao/a".into(),
            why: "schedule".into(),
            owner: None,
        };
        let at = Timestamp::from_second(1_795_500_000).unwrap();
        assert!(notices.put(&notice, at));
        drop(notices);
        let (clock, log) = (Arc::new(SystemClock), Log(LogForm::Json));
        tell(target, taken, clock, log, Duration::from_millis(10)).await;
        served.abort();
        let heard = heard.lock().unwrap().clone();
        assert_eq!(heard.len(), 3, "two were refused");
        let mut ids = BTreeSet::new();
        for text in heard {
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            assert!(head.starts_with("POST /hook HTTP/1.1\r\n"), "as it was written: {head}");
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
        let set = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let over = |ticked: &[&str], known: &[&str]| Extent {
            ticked: set(ticked),
            known: set(known),
            ..Extent::default()
        };
        let all = over(&["bao"], &["aws", "bao"]);
        let wrong = |subject: &str| {
            BTreeMap::from([(subject.to_owned(), ("opened", "it is held".to_owned()))])
        };
        let mut lasting = Lasting::default();
        let events = |all: Vec<Notice>| all.iter().map(|one| one.event).collect::<Vec<_>>();
        assert_eq!(events(lasting.change(&all, wrong("bao/a"))), ["opened"]);
        assert_eq!(lasting.change(&all, wrong("bao/a")), [], "it lasts");
        // Of what nobody looked at, nobody says that it is over.
        let other = over(&["aws"], &["aws", "bao"]);
        assert_eq!(lasting.change(&other, BTreeMap::new()), []);
        // Nor of what could not be read, of what is below that, and of what others are at work on.
        for gap in ["bao", "bao/a"] {
            let gap = Extent { gaps: set(&[gap]), ..over(&["bao"], &["bao"]) };
            assert_eq!(lasting.change(&gap, BTreeMap::new()), []);
        }
        let busy = Extent { left: set(&["bao/a"]), ..over(&["bao"], &["bao"]) };
        assert_eq!(lasting.change(&busy, BTreeMap::new()), []);
        assert!(!lasting.is_empty());
        assert_eq!(events(lasting.change(&all, wrong("bao/b"))), ["closed", "opened"]);
        // A gap covers what is below it, and nothing that only begins with the same letters.
        let beside = Extent { gaps: set(&["ba", "bao/bc"]), ..over(&["bao"], &["bao"]) };
        assert_eq!(events(lasting.change(&beside, BTreeMap::new())), ["closed"]);
        assert!(lasting.is_empty());
    }

    #[test]
    fn what_is_of_no_connection_and_the_tick_itself_are_over_with_the_next_good_tick() {
        let mut lasting = Lasting::default();
        let set = |name: &str| BTreeSet::from([name.to_owned()]);
        let aws = Extent { ticked: set("aws"), known: set("aws"), ..Extent::default() };
        // Of an owner, and of a connection at which nothing is declared any more.
        for subject in ["owner/ana", "bao/a", TICK, POLICY] {
            assert_eq!(lasting.begin(subject, "it is so".into()).unwrap().event, "opened");
            assert_eq!(lasting.begin(subject, "it lasts".into()), None);
            let told = lasting.change(&aws, BTreeMap::new());
            assert_eq!((told[0].event, told[0].subject.as_str()), ("closed", subject));
            assert!(lasting.is_empty());
        }
    }

    #[test]
    fn a_channel_is_told_text_whatever_is_in_it() {
        let why = "<!channel> & <https://x.example|y>".to_owned();
        let told =
            Notice { event: "opened", subject: "bao/a".into(), why, owner: None }.plain_words();
        let plain = "opened: bao/a (&lt;!channel&gt; &amp; &lt;https://x.example|y&gt;)";
        assert_eq!(told, plain);
    }

    #[test]
    fn nothing_is_told_over_a_network_in_the_clear_and_no_error_has_the_address_of_a_channel() {
        for wrong in ["http://hooks.acme.example/x", "http://localhost.acme.example/x"] {
            let problem = reach(wrong, "slack").err().unwrap();
            assert!(problem.detail.contains("in the clear"), "{wrong}");
        }
        for wrong in [
            "HTTP://hooks.acme.example",
            " http://hooks.acme.example",
            "http:/hooks.acme.example",
            "http:hooks.acme.example",
            "http://127.0.0.1:x@hooks.acme.example/",
            "http://localhost\t.acme.example",
        ] {
            assert!(reach(wrong, "slack").is_err(), "{wrong}");
        }
        for fine in ["https://hooks.acme.example/x", "http://127.0.0.1:9/x", "http://localhost/"] {
            assert!(reach(fine, "slack").is_ok(), "{fine}");
        }
        let problem = reach("ftp://hooks/T000-secret", "slack").err().unwrap();
        assert!(!problem.to_string().contains("T000"), "{problem}");
    }
}
