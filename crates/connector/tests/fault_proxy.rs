//! Each fault, as the HTTP transport of a connection meets it.

use std::time::{Duration, Instant};

use connector::{
    Outcome,
    fault_proxy::{Effect, FaultProxy, Hold, Rule},
    transport::{HttpOptions, HttpTransport, Request, Transport},
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
