//! As much of HTTP as a server for tests needs.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::Arc,
};

use serde_json::Value;

/// A request.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) method: String,
    /// Without the query.
    pub(crate) path: String,
    query: String,
    headers: Vec<(String, String)>,
    pub(crate) body: Value,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(have, _)| have.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    pub(crate) fn number(&self, name: &str, otherwise: usize) -> usize {
        let mut pairs = self.query.split('&').filter_map(|pair| pair.split_once('='));
        let found = pairs.find(|(have, _)| *have == name);
        found.and_then(|(_, value)| value.parse().ok()).unwrap_or(otherwise)
    }
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    /// `None`: none at all.
    pub(crate) body: Option<Value>,
}

impl Told {
    pub(crate) fn new(status: u16, body: Value) -> Told {
        Told { status, headers: Vec::new(), body: Some(body) }
    }

    pub(crate) fn nothing(status: u16) -> Told {
        Told { status, headers: Vec::new(), body: None }
    }
}

/// Answers whoever asks, until the process ends; its address.
pub(crate) fn serve(answer: Arc<dyn Fn(&Asked) -> Told + Send + Sync>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = answer.clone();
            std::thread::spawn(move || while one(&stream, &*answer).is_some() {});
        }
    });
    address
}

/// One request and its answer; `None` where the other side is gone.
fn one(stream: &TcpStream, answer: &(dyn Fn(&Asked) -> Told + Send + Sync)) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut line = || {
        let mut line = String::new();
        let length = reader.read_line(&mut line).ok()?;
        (length > 0).then(|| line.trim_end().to_owned())
    };
    let begun = line()?;
    let mut words = begun.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = Vec::new();
    loop {
        let line = line()?;
        match line.split_once(':') {
            Some((name, value)) => headers.push((name.to_owned(), value.trim().to_owned())),
            None => break,
        }
    }
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let mut asked = Asked {
        method,
        path: path.trim_start_matches('/').to_owned(),
        query: query.to_owned(),
        headers,
        body: Value::Null,
    };
    let length = asked.header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    asked.body = serde_json::from_slice(&body).unwrap_or_default();

    let told = answer(&asked);
    let body = told.body.map(|body| body.to_string()).unwrap_or_default();
    let mut text = format!("HTTP/1.1 {} x\r\n", told.status);
    for (name, value) in told.headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() {
        text.push_str("content-type: application/json; charset=utf-8\r\n");
    }
    if !matches!(told.status, 204 | 304) {
        text.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    text.push_str("\r\n");
    text.push_str(&body);
    let mut out = stream;
    out.write_all(text.as_bytes()).ok()
}
