//! Each fault, as the HTTP transport of a connection meets it.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use connector::{
    Outcome,
    fault_proxy::{Effect, FaultProxy, Hold, Rewrite, Rule, Stale},
    transport::{HttpOptions, HttpTransport, Request, Transport, TransportError},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

/// Answers everything with its own request line, in chunks.
async fn server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut bytes = vec![0; 4096];
            let length = stream.read(&mut bytes).await.unwrap();
            let line = String::from_utf8_lossy(&bytes[..length]).lines().next().unwrap().to_owned();
            let answer = format!(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{line}\r\n0\r\n\r\n",
                line.len()
            );
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    address
}

/// What a server heard, a request line each.
type Heard = Arc<Mutex<Vec<String>>>;

/// Answers everything with how many it has answered, and remembers what it heard.
async fn counting() -> (String, Heard) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let heard = Heard::default();
    let all = heard.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut bytes = vec![0; 4096];
            let length = stream.read(&mut bytes).await.unwrap();
            let line = String::from_utf8_lossy(&bytes[..length]).lines().next().unwrap().to_owned();
            let count = {
                let mut all = all.lock().unwrap();
                all.push(line);
                all.len().to_string()
            };
            let head = "HTTP/1.1 200 OK\r\nETag: \"a\"\r\nretry-after: 1\r\nContent-Length:";
            let answer = format!("{head} {}\r\n\r\n{count}", count.len());
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    (address, heard)
}

/// A counting server, a proxy before it with one rule for all, and who asks through it.
async fn through(effect: Effect) -> (FaultProxy, HttpTransport, Heard) {
    let (address, heard) = counting().await;
    let proxy = FaultProxy::start(&address).await.unwrap();
    proxy.add(Rule::always("/", effect));
    let http = http(&proxy);
    (proxy, http, heard)
}

/// A change that waits as long as this.
async fn change(http: &HttpTransport, deadline: Duration) -> Result<(u16, String), TransportError> {
    let answer = http.send(Request { deadline, ..Request::change("POST", "a", "a") }).await?;
    Ok((answer.status, String::from_utf8_lossy(&answer.body).into_owned()))
}

const LONG: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(300);

/// Until the server has heard so many, for a while.
async fn hears(heard: &Heard, count: usize) {
    for _ in 0..200 {
        if heard.lock().unwrap().len() >= count {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(heard.lock().unwrap().len(), count);
}

fn http(proxy: &FaultProxy) -> HttpTransport {
    HttpTransport::new(HttpOptions { address: proxy.address().into(), ca_file: None }).unwrap()
}

#[tokio::test]
async fn without_rules_everything_goes_through() {
    let proxy = FaultProxy::start(&server().await).await.unwrap();
    let answer = http(&proxy).send(Request::get("v1/a?b=c", "a")).await.unwrap();
    assert_eq!(&answer.body[..], b"GET /v1/a?b=c HTTP/1.1");
    let seen = proxy.seen();
    assert_eq!((seen[0].path.as_str(), seen[0].status), ("/v1/a?b=c", Some(200)));
}

#[tokio::test]
async fn lost_and_cut_answers_are_ambiguous_and_only_what_was_asked_for() {
    let proxy = FaultProxy::start(&server().await).await.unwrap();
    let http = http(&proxy);
    for effect in [Effect::LoseRequest, Effect::LoseAnswer, Effect::CutAnswer] {
        proxy.clear();
        proxy.add(Rule { nth: 2, ..Rule::once("PUT", "/x", effect) });
        let put = |path: &str| http.send(Request::change("PUT", path, "x"));
        put("x").await.unwrap();
        put("y").await.unwrap();
        let lost = put("x").await.unwrap_err();
        assert_eq!(lost.outcome, Outcome::Ambiguous, "{lost}");
        put("x").await.unwrap();
    }
}

#[tokio::test]
async fn it_answers_in_the_servers_place() {
    let proxy = FaultProxy::start("http://127.0.0.1:1").await.unwrap();
    let headers = vec![("Retry-After".to_owned(), "7".to_owned())];
    proxy.add(Rule::always("/", Effect::Answer { status: 429, headers, body: "{}".into() }));
    let answer = http(&proxy).send(Request::get("a", "a")).await.unwrap();
    assert_eq!((answer.status, answer.header("retry-after")), (429, Some("7")));
}

#[tokio::test]
async fn a_held_answer_comes_when_it_is_released() {
    let proxy = FaultProxy::start(&server().await).await.unwrap();
    let hold = Hold::default();
    proxy.add(Rule::once("GET", "/a", Effect::HoldAnswer(hold.clone())));
    let http = http(&proxy);
    let asked = tokio::spawn(async move { http.send(Request::get("a", "a")).await });
    hold.reached().await;
    assert!(!asked.is_finished());
    hold.release();
    assert_eq!(asked.await.unwrap().unwrap().status, 200);
}

#[tokio::test]
async fn an_answer_that_is_held_may_be_lost_then() {
    let proxy = FaultProxy::start(&server().await).await.unwrap();
    let hold = Hold::default();
    proxy.add(Rule::once("PUT", "/a", Effect::LoseHeldAnswer(hold.clone())));
    let http = http(&proxy);
    let asked = tokio::spawn(async move { http.send(Request::change("PUT", "a", "a")).await });
    hold.reached().await;
    assert!(!asked.is_finished());
    hold.release();
    assert_eq!(asked.await.unwrap().unwrap_err().outcome, Outcome::Ambiguous);
}

#[tokio::test]
async fn a_slow_answer_ends_with_the_deadline() {
    let proxy = FaultProxy::start(&server().await).await.unwrap();
    proxy.add(Rule::always("/", Effect::Delay(Duration::from_secs(20))));
    let begun = Instant::now();
    let request = Request { deadline: Duration::from_millis(200), ..Request::get("a", "a") };
    let lost = http(&proxy).send(request).await.unwrap_err();
    assert_eq!(lost.outcome, Outcome::Ambiguous);
    assert!(begun.elapsed() < Duration::from_secs(15));
}

#[tokio::test]
async fn what_is_reset_or_swallowed_never_reaches_the_server_and_what_is_swallowed_takes_its_time()
{
    let (_proxy, http, heard) = through(Effect::Reset).await;
    assert_eq!(change(&http, LONG).await.unwrap_err().outcome, Outcome::Ambiguous);
    assert!(heard.lock().unwrap().is_empty());
    let (_proxy, http, heard) = through(Effect::Swallow).await;
    let begun = Instant::now();
    assert_eq!(change(&http, SHORT).await.unwrap_err().outcome, Outcome::Ambiguous);
    assert!(begun.elapsed() >= SHORT && heard.lock().unwrap().is_empty());
}

#[tokio::test]
async fn what_is_late_reaches_the_server_when_nobody_waits_for_it_any_more() {
    let (_proxy, http, heard) = through(Effect::Late).await;
    let asked = tokio::spawn(async move { change(&http, SHORT).await });
    tokio::time::sleep(SHORT / 2).await;
    assert!(heard.lock().unwrap().is_empty(), "not while somebody waits");
    assert_eq!(asked.await.unwrap().unwrap_err().outcome, Outcome::Ambiguous);
    hears(&heard, 1).await;
}

#[tokio::test]
async fn what_is_delivered_twice_is_done_twice_and_answered_once() {
    let (_proxy, http, heard) = through(Effect::Twice).await;
    assert_eq!(change(&http, LONG).await.unwrap(), (200, "2".into()));
    assert_eq!(heard.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn an_error_may_be_told_of_what_was_done() {
    let instead = Effect::Instead { status: 500, headers: Vec::new(), body: "<html>".into() };
    let (_proxy, http, heard) = through(instead).await;
    assert_eq!(change(&http, LONG).await.unwrap(), (500, "<html>".into()));
    assert_eq!(heard.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn an_answer_is_changed_on_its_way_in_its_body_and_in_one_header() {
    let more = Rewrite::new(|_, body| body.extend_from_slice(b" and more"));
    let (_proxy, http, _heard) = through(Effect::Rewrite(more)).await;
    assert_eq!(change(&http, LONG).await.unwrap(), (200, "1 and more".into()));
    let (_proxy, http, _heard) = through(Effect::header("Retry-After", "7")).await;
    let answer = http.send(Request::get("a", "a")).await.unwrap();
    assert_eq!((answer.header("retry-after"), &answer.body[..]), (Some("7"), &b"1"[..]));
}

#[tokio::test]
async fn an_answer_that_trickles_ends_with_the_deadline_although_it_never_stops() {
    let (_proxy, http, heard) = through(Effect::Trickle(LONG)).await;
    let begun = Instant::now();
    assert_eq!(change(&http, SHORT).await.unwrap_err().outcome, Outcome::Ambiguous);
    assert!(begun.elapsed() < LONG && heard.lock().unwrap().len() == 1);
    let (_proxy, http, _heard) = through(Effect::Trickle(SHORT)).await;
    assert_eq!(change(&http, LONG).await.unwrap(), (200, "1".into()));
}

#[tokio::test]
async fn an_answer_without_measure_is_not_read_to_its_end() {
    let (_proxy, http, heard) = through(Effect::Huge(64 << 20)).await;
    let told = change(&http, LONG).await.unwrap_err();
    assert!(told.message.contains("longer than"), "{told}");
    assert!(heard.lock().unwrap().is_empty());
    let (_proxy, http, _heard) = through(Effect::Huge(3)).await;
    assert_eq!(change(&http, LONG).await.unwrap().1, "{\"data\":\"xxx\"}");
}

#[tokio::test]
async fn a_listing_of_a_while_ago_is_given_again_until_it_is_over() {
    let (_proxy, http, heard) = through(Effect::Stale(Stale::lasting(SHORT))).await;
    for _ in 0..3 {
        assert_eq!(change(&http, LONG).await.unwrap().1, "1");
    }
    assert_eq!(heard.lock().unwrap().len(), 1);
    tokio::time::sleep(SHORT).await;
    assert_eq!(change(&http, LONG).await.unwrap().1, "2");
}

#[tokio::test]
async fn what_is_held_before_the_server_hears_of_it_may_be_lost_then() {
    let hold = Hold::default();
    let (_proxy, http, heard) = through(Effect::LoseHeldRequest(hold.clone())).await;
    assert!(!hold.is_reached());
    let asked = tokio::spawn(async move { change(&http, LONG).await });
    hold.reached().await;
    assert!(hold.is_reached() && !asked.is_finished());
    hold.release();
    assert_eq!(asked.await.unwrap().unwrap_err().outcome, Outcome::Ambiguous);
    assert!(heard.lock().unwrap().is_empty());
}

#[tokio::test]
async fn whoever_looks_at_each_request_decides_before_the_rules_and_after_they_are_forgotten() {
    let (proxy, http, heard) = through(Effect::LoseRequest).await;
    let mut count = 0;
    proxy.watch(move |method, path| {
        count += 1;
        let lost = count == 3;
        assert_eq!((method, path), ("POST", "/a"));
        lost.then_some(Effect::LoseAnswer)
    });
    assert!(change(&http, LONG).await.is_err() && heard.lock().unwrap().is_empty(), "by the rule");
    proxy.clear();
    assert!(change(&http, LONG).await.is_ok());
    assert!(change(&http, LONG).await.is_err() && heard.lock().unwrap().len() == 2, "by the watch");
    assert!(change(&http, LONG).await.is_ok());
}
