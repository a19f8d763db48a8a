//! A proxy that makes things go wrong between a program and a real server, for tests that start
//! whole processes: it answers in the server's place, loses requests or answers, cuts, delays, and
//! holds a request at a known point while the test kills somebody.
//!
//! Plain HTTP/1.1 on both sides, one request a connection, loopback only. What speaks something else
//! goes over a line of the acceptance tests (`line.rs`), which is held, or breaks, before the server
//! hears or before it answers. Twenty things go wrong
//! between a client and a server that somebody else runs; each is an effect of a [`Rule`] here, or
//! stands where it can be made:
//!
//! | | what goes wrong | here | elsewhere |
//! |---|---|---|---|
//! | 1 | nobody listens, or the connection is reset | [`Effect::Reset`] | a port that nobody has |
//! | 2 | a certificate of another host, past its end, or of a stranger | | `reach.rs` among the tests of OpenBao and of PostgreSQL |
//! | 3 | done, and the answer lost | [`Effect::LoseAnswer`], [`Effect::LoseHeldAnswer`] | |
//! | 4 | never done, and nobody says so | [`Effect::LoseRequest`], [`Effect::Swallow`], [`Effect::LoseHeldRequest`] | |
//! | 5 | done after the client gave up | [`Effect::Late`] | |
//! | 6 | done twice | [`Effect::Twice`] | |
//! | 7 | too many requests, with any `Retry-After` | [`Effect::Answer`] | |
//! | 8 | an error of the server, before it is done and after | [`Effect::Answer`], [`Effect::Instead`] | |
//! | 9 | a conflict, or an "already exists" that is no conflict | [`Effect::Answer`], [`Effect::Instead`] | |
//! | 10 | a `Date` that is days off, an expiry in another unit | [`Effect::header`], [`Effect::Rewrite`] | `clocks.rs` among the tests of `operations` |
//! | 11 | half an answer | [`Effect::CutAnswer`] | |
//! | 12 | a page for people, or another shape | [`Effect::Answer`], [`Effect::Instead`] | the fuzzing of answers |
//! | 13 | an answer that trickles past the deadline | [`Effect::Trickle`] | |
//! | 14 | an answer without an end, or nested without one | [`Effect::Huge`], [`Effect::Answer`] | the fuzzing of answers |
//! | 15 | pages that are missing, empty, repeated, or do not add up | [`Effect::Rewrite`] | each connector's tests of its pages |
//! | 16 | a listing of a while ago | [`Effect::Stale`] | `Fake::list_late` |
//! | 17 | an ended credential that is accepted for a while, or at every second connection | [`Effect::Still`] | Unleash, which does so itself; `Fake::end_late` |
//! | 18 | refused once, for one object, or by "not found" | [`Effect::Answer`] and the count of its rule | |
//! | 19 | a redirect, of a look or of a change | [`Effect::Answer`] | |
//! | 20 | an `ETag` that never changes, "not modified" without a body | [`Effect::Answer`], [`Effect::header`] | |

use std::{
    collections::HashMap,
    fmt, io,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Notify,
    task::JoinHandle,
};

/// What happens to a request.
#[derive(Debug, Clone)]
pub enum Effect {
    /// It is answered in the server's place.
    Answer {
        /// The status.
        status: u16,
        /// Further headers.
        headers: Vec<(String, String)>,
        /// The body.
        body: String,
    },
    /// The connection ends before the server hears of it.
    LoseRequest,
    /// It is reset without a byte of an answer, and the server never hears of it.
    Reset,
    /// The server never hears of it, and nothing ever comes back.
    Swallow,
    /// The server hears of it when the client has given up waiting.
    Late,
    /// The server hears of it twice, and the second answer comes back.
    Twice,
    /// The server does it, and this is answered instead of what it says.
    Instead {
        /// The status.
        status: u16,
        /// Further headers.
        headers: Vec<(String, String)>,
        /// The body.
        body: String,
    },
    /// The server does it, and its answer is changed on the way.
    Rewrite(Rewrite),
    /// The server does it, and the body of its answer comes a byte at a time, with this between two.
    Trickle(Duration),
    /// It is answered in the server's place, with JSON that has so many bytes in one text.
    Huge(usize),
    /// The first answer is kept, and given again to all who ask within this time.
    Stale(Stale),
    /// Whom the server has let in before is let in for a while after it refuses them.
    Still(Still),
    /// The server does it, and the answer is lost.
    LoseAnswer,
    /// The server does it, and half of the answer's body arrives.
    CutAnswer,
    /// It waits before it is forwarded.
    Delay(Duration),
    /// It is held before the server hears of it.
    HoldRequest(Hold),
    /// It is held before the server hears of it, and lost then.
    LoseHeldRequest(Hold),
    /// The server does it, and the answer is held.
    HoldAnswer(Hold),
    /// The server does it, the answer is held, and lost then: as of a server that dies before it answers.
    LoseHeldAnswer(Hold),
}

impl Effect {
    /// The server does it, and its answer has this header and no other of the name.
    pub fn header(name: &str, value: &str) -> Effect {
        let (name, value) = (name.to_owned(), value.to_owned());
        Effect::Rewrite(Rewrite::new(move |head, _| {
            let is = |line: &&str| {
                !line.split_once(':').is_some_and(|(have, _)| have.eq_ignore_ascii_case(&name))
            };
            let rest: Vec<&str> = head.lines().filter(is).collect();
            *head = format!("{}\r\n{name}: {value}", rest.join("\r\n"));
        }))
    }
}

/// What becomes of an answer on its way: of its status line and headers, a line each, and of its body.
#[derive(Clone)]
pub struct Rewrite(Arc<Change>);

type Change = dyn Fn(&mut String, &mut Vec<u8>) + Send + Sync;

impl Rewrite {
    /// By a function.
    pub fn new(change: impl Fn(&mut String, &mut Vec<u8>) + Send + Sync + 'static) -> Rewrite {
        Rewrite(Arc::new(change))
    }
}

impl fmt::Debug for Rewrite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rewrite")
    }
}

/// An answer that is given again for a while.
#[derive(Debug, Clone)]
pub struct Stale {
    lasts: Duration,
    kept: Arc<Mutex<Option<Kept>>>,
}

/// An answer, and since when it is given.
type Kept = (Instant, Message);

impl Stale {
    /// For so long from the first answer on.
    pub fn lasting(lasts: Duration) -> Stale {
        Stale { lasts, kept: Arc::default() }
    }

    fn again(&self) -> Option<Message> {
        let kept = locked(&self.kept);
        let (since, answer) = kept.as_ref()?;
        (since.elapsed() < self.lasts).then(|| answer.clone())
    }

    fn keep(&self, answer: &Message) {
        locked(&self.kept).get_or_insert_with(|| (Instant::now(), answer.clone()));
    }
}

/// Who is let in although they were ended: the server's own answer to them is kept, and given again.
#[derive(Clone)]
pub struct Still {
    lasts: Duration,
    by_turns: bool,
    known: Arc<Mutex<HashMap<String, LetIn>>>,
}

/// One who was let in: how, since when they are refused, and how often they have come since.
struct LetIn {
    answer: Message,
    since: Option<Instant>,
    came: usize,
}

impl fmt::Debug for Still {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Still")
    }
}

impl Still {
    /// For so long from the first refusal on; by turns at every second connection alone.
    pub fn lasting(lasts: Duration, by_turns: bool) -> Still {
        Still { lasts, by_turns, known: Arc::default() }
    }

    /// How often somebody who was ended was let in.
    pub fn let_in(&self) -> usize {
        let count = |one: &LetIn| if self.by_turns { one.came.div_ceil(2) } else { one.came };
        locked(&self.known).values().map(count).sum()
    }

    fn answer(&self, request: &Message, answer: Message) -> Message {
        let (who, mut known) = (who(request), locked(&self.known));
        if answer.head.split(' ').nth(1).is_some_and(|status| status.starts_with('2')) {
            known.insert(who, LetIn { answer: answer.clone(), since: None, came: 0 });
            return answer;
        }
        let Some(one) = known.get_mut(&who) else { return answer };
        if one.since.get_or_insert_with(Instant::now).elapsed() >= self.lasts {
            return answer;
        }
        one.came += 1;
        let refused = self.by_turns && one.came.is_multiple_of(2);
        if refused { answer } else { one.answer.clone() }
    }
}

/// Who signs in with a request: its line, what it says of a credential, and its body. A signature is
/// another one each time, and what comes before it names the key.
fn who(request: &Message) -> String {
    let mut lines = request.head.lines();
    let mut who = lines.next().unwrap_or_default().to_owned();
    let names = |line: &&str| {
        let name = line.split(':').next().unwrap_or_default().to_ascii_lowercase();
        matches!(&*name, "authorization" | "x-vault-token")
    };
    for line in lines.filter(names) {
        let signed = line.contains("Signature=");
        who.push_str(if signed { line.split('/').next().unwrap_or_default() } else { line });
    }
    who + &String::from_utf8_lossy(&request.body)
}

/// Which requests something happens to.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Only this method.
    pub method: Option<String>,
    /// Only paths (with query) that contain this. A form that names an action has it in its query.
    pub path: String,
    /// The first match that is meant, from 1.
    pub nth: u32,
    /// How many matches are meant from there on.
    pub times: u32,
    /// What happens.
    pub effect: Effect,
}

impl Rule {
    /// Something that happens once, to the first request whose path contains a text.
    pub fn once(method: &str, path: &str, effect: Effect) -> Rule {
        let method = Some(method.to_owned());
        Rule { method, path: path.to_owned(), nth: 1, times: 1, effect }
    }

    /// Something that happens to every request whose path contains a text.
    pub fn always(path: &str, effect: Effect) -> Rule {
        Rule { method: None, path: path.to_owned(), nth: 1, times: u32::MAX, effect }
    }
}

/// A point that a request is held at.
#[derive(Clone, Default)]
pub struct Hold(Arc<Point>);

#[derive(Default)]
struct Point {
    came: Notify,
    goes: Notify,
    is_there: AtomicBool,
}

impl fmt::Debug for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hold")
    }
}

impl Hold {
    /// Waits until a request has come there.
    pub async fn reached(&self) {
        self.0.came.notified().await;
    }

    /// Whether one has come there.
    pub fn is_reached(&self) -> bool {
        self.0.is_there.load(Ordering::Acquire)
    }

    /// Lets the request go on.
    pub fn release(&self) {
        self.0.goes.notify_one();
    }

    async fn hold(&self) {
        self.0.is_there.store(true, Ordering::Release);
        self.0.came.notify_one();
        self.0.goes.notified().await;
    }
}

/// One request that came through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// What the program got to see; `None` where nothing whole came back.
    pub status: Option<u16>,
}

/// A running proxy; it ends with this value.
#[derive(Debug)]
pub struct FaultProxy {
    address: String,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Shared {
    upstream: String,
    watch: Mutex<Option<Watch>>,
    rules: Mutex<Vec<(Rule, u32)>>,
    seen: Mutex<Vec<Seen>>,
}

/// What looks at each request, and may say what happens to it.
struct Watch(Box<Look>);

type Look = dyn FnMut(&str, &str) -> Option<Effect> + Send;

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watch")
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

impl FaultProxy {
    /// Starts one before a server, such as `http://127.0.0.1:8200`. Needs a running tokio runtime.
    ///
    /// # Errors
    ///
    /// No port is free, or the server's address is not plain HTTP.
    pub async fn start(upstream: &str) -> io::Result<FaultProxy> {
        let upstream = upstream.strip_prefix("http://").ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidInput, format!("{upstream:?} is not http://…"))
        })?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = format!("http://{}", listener.local_addr()?);
        let upstream = upstream.trim_end_matches('/').to_owned();
        let shared = Arc::new(Shared { upstream, ..Shared::default() });
        let serving = shared.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = serving.clone();
                tokio::spawn(async move {
                    // A broken connection is what the proxy is for.
                    let _ = shared.serve(stream).await;
                });
            }
        });
        Ok(FaultProxy { address, shared, task })
    }

    /// Where to send requests.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Adds a rule. The first that matches decides.
    pub fn add(&self, rule: Rule) {
        locked(&self.shared.rules).push((rule, 0));
    }

    /// Lets somebody look at the method and path of each request, and say what happens to it. It comes
    /// before all rules, and stays when they are forgotten.
    pub fn watch(&self, look: impl FnMut(&str, &str) -> Option<Effect> + Send + 'static) {
        *locked(&self.shared.watch) = Some(Watch(Box::new(look)));
    }

    /// Forgets all rules: everything goes through.
    pub fn clear(&self) {
        locked(&self.shared.rules).clear();
    }

    /// What came through since this was last asked.
    pub fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut *locked(&self.shared.seen))
    }
}

#[derive(Debug, Clone)]
struct Message {
    head: String,
    body: Vec<u8>,
}

/// Reads one message. The body's length is declared, chunked, or up to the end of the stream.
async fn read(stream: &mut TcpStream, to_end: bool) -> io::Result<Option<Message>> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break at;
        }
        if bytes.len() > 1 << 20 || stream.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut body = bytes.split_off(end + 4);
    let field = |name: &str| {
        let fields = head.lines().skip(1).filter_map(|line| line.split_once(':'));
        fields
            .filter(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim().to_owned())
            .last()
    };
    if field("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
        while !body.ends_with(b"0\r\n\r\n") {
            if stream.read_buf(&mut body).await? == 0 {
                return Ok(None);
            }
        }
        return Ok(Some(Message { head, body: unchunk(&body) }));
    }
    match field("content-length").and_then(|value| value.parse::<usize>().ok()) {
        Some(length) => {
            while body.len() < length {
                if stream.read_buf(&mut body).await? == 0 {
                    return Ok(None);
                }
            }
        }
        None if to_end => while stream.read_buf(&mut body).await? > 0 {},
        None => {}
    }
    Ok(Some(Message { head, body }))
}

fn unchunk(mut rest: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    while let Some(line) = rest.windows(2).position(|two| two == b"\r\n") {
        let size = std::str::from_utf8(&rest[..line])
            .ok()
            .and_then(|hex| usize::from_str_radix(hex, 16).ok());
        let Some(size) = size.filter(|size| *size > 0) else { break };
        let Some(chunk) = rest.get(line + 2..line + 2 + size) else { break };
        whole.extend_from_slice(chunk);
        rest = rest.get(line + 4 + size..).unwrap_or_default();
    }
    whole
}

/// The action that a form or a header names, as AWS's services have it: everything there is a POST to
/// one path.
fn action(request: &Message) -> Option<&str> {
    let target = |line: &'_ str| line.to_ascii_lowercase().starts_with("x-amz-target:");
    if let Some(line) = request.head.lines().find(|line| target(line)) {
        return line.rsplit_once('.').map(|(_, action)| action.trim());
    }
    let rest = std::str::from_utf8(request.body.strip_prefix(b"Action=")?).ok()?;
    rest.split('&').next()
}

/// A head without what speaks of the connection, with a length of ours.
fn head(first: &str, message: &Message, length: usize) -> String {
    let mut text = format!("{first}\r\n");
    for line in message.head.lines().skip(1) {
        let name = line.split(':').next().unwrap_or_default().to_lowercase();
        if !matches!(
            name.as_str(),
            "connection" | "content-length" | "transfer-encoding" | "keep-alive"
        ) {
            text.push_str(line);
            text.push_str("\r\n");
        }
    }
    text + &format!("Content-Length: {length}\r\nConnection: close\r\n\r\n")
}

impl Shared {
    fn effect(&self, method: &str, path: &str) -> Option<Effect> {
        let mut watch = locked(&self.watch);
        if let Some(effect) = watch.as_mut().and_then(|watch| watch.0(method, path)) {
            return Some(effect);
        }
        let mut rules = locked(&self.rules);
        for (rule, matched) in rules.iter_mut() {
            let of_method =
                rule.method.as_deref().is_none_or(|one| one.eq_ignore_ascii_case(method));
            if !of_method || !path.contains(&rule.path) {
                continue;
            }
            *matched += 1;
            let past = matched.saturating_sub(rule.nth);
            if *matched >= rule.nth && past < rule.times {
                return Some(rule.effect.clone());
            }
        }
        None
    }

    async fn forward(&self, request: &Message) -> io::Result<Message> {
        let mut server = TcpStream::connect(&self.upstream).await?;
        let first = request.head.lines().next().unwrap_or_default();
        server.write_all(head(first, request, request.body.len()).as_bytes()).await?;
        server.write_all(&request.body).await?;
        read(&mut server, true).await?.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    async fn serve(&self, mut client: TcpStream) -> io::Result<()> {
        let Some(request) = read(&mut client, false).await? else { return Ok(()) };
        let mut words = request.head.split(' ');
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let named = action(&request).map(|action| format!("{path}?Action={action}"));
        let path = named.as_deref().unwrap_or(path);
        let effect = self.effect(method, path);
        let at = {
            let mut seen = locked(&self.seen);
            seen.push(Seen { method: method.to_owned(), path: path.to_owned(), status: None });
            seen.len() - 1
        };
        let answered = |status: u16| {
            if let Some(one) = locked(&self.seen).get_mut(at) {
                one.status = Some(status);
            }
        };
        match &effect {
            Some(Effect::LoseRequest) => return Ok(()),
            Some(Effect::Reset) => return client.set_zero_linger(),
            Some(Effect::Swallow) => return gives_up(&mut client).await,
            Some(Effect::Late) => {
                gives_up(&mut client).await?;
                return self.forward(&request).await.map(drop);
            }
            Some(Effect::Delay(time)) => tokio::time::sleep(*time).await,
            Some(Effect::HoldRequest(hold)) => hold.hold().await,
            Some(Effect::LoseHeldRequest(hold)) => {
                hold.hold().await;
                return Ok(());
            }
            Some(Effect::Answer { status, headers, body }) => {
                client.write_all(written(*status, headers, body).as_bytes()).await?;
                answered(*status);
                return client.shutdown().await;
            }
            Some(Effect::Huge(size)) => {
                answered(200);
                return huge(&mut client, *size).await;
            }
            Some(Effect::Twice) => drop(self.forward(&request).await?),
            _ => {}
        }
        let mut answer = match &effect {
            Some(Effect::Stale(stale)) => match stale.again() {
                Some(kept) => kept,
                None => {
                    let answer = self.forward(&request).await?;
                    stale.keep(&answer);
                    answer
                }
            },
            Some(Effect::Still(still)) => still.answer(&request, self.forward(&request).await?),
            _ => self.forward(&request).await?,
        };
        if let Some(Effect::Rewrite(Rewrite(change))) = &effect {
            change(&mut answer.head, &mut answer.body);
        }
        let first = answer.head.lines().next().unwrap_or_default();
        let status = first.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        // Said to be whole in any case: a cut answer is one that breaks its word.
        let text = head(first, &answer, answer.body.len());
        match &effect {
            Some(Effect::LoseAnswer) => return Ok(()),
            Some(Effect::HoldAnswer(hold)) => hold.hold().await,
            Some(Effect::LoseHeldAnswer(hold)) => {
                hold.hold().await;
                return Ok(());
            }
            Some(Effect::CutAnswer) => {
                client.write_all(text.as_bytes()).await?;
                client.write_all(&answer.body[..answer.body.len() / 2]).await?;
                return client.shutdown().await;
            }
            Some(Effect::Trickle(between)) => {
                client.write_all(text.as_bytes()).await?;
                for byte in &answer.body {
                    tokio::time::sleep(*between).await;
                    client.write_all(&[*byte]).await?;
                }
                answered(status);
                return client.shutdown().await;
            }
            Some(Effect::Instead { status, headers, body }) => {
                client.write_all(written(*status, headers, body).as_bytes()).await?;
                answered(*status);
                return client.shutdown().await;
            }
            _ => {}
        }
        client.write_all(text.as_bytes()).await?;
        client.write_all(&answer.body).await?;
        answered(status);
        client.shutdown().await
    }
}

/// Waits until the client ends the connection, whatever else it says.
async fn gives_up(client: &mut TcpStream) -> io::Result<()> {
    let mut more = [0; 1024];
    while client.read(&mut more).await.is_ok_and(|length| length > 0) {}
    Ok(())
}

/// An answer of ours.
fn written(status: u16, headers: &[(String, String)], body: &str) -> String {
    let mut text = format!("HTTP/1.1 {status} Fault\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text + &format!("Content-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}

/// One text of so many bytes, until the client has enough of it.
async fn huge(client: &mut TcpStream, size: usize) -> io::Result<()> {
    let (begin, end) = ("{\"data\":\"", "\"}");
    let length = begin.len() + size + end.len();
    let text = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    client.write_all((text + begin).as_bytes()).await?;
    let piece = [b'x'; 64 << 10];
    let mut left = size;
    while left > 0 {
        let now = left.min(piece.len());
        client.write_all(&piece[..now]).await?;
        left -= now;
    }
    client.write_all(end.as_bytes()).await?;
    client.shutdown().await
}
