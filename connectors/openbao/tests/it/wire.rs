//! A way to the server for tests: counts requests, and sends them over plain HTTP.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use connector::{
    Outcome,
    transport::{Answer, Request, Transport, TransportError},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use zeroize::Zeroizing;

/// Plain HTTP/1.1, one connection a request.
#[derive(Debug)]
pub(crate) struct Plain {
    authority: String,
    pub(crate) sent: Arc<Mutex<Vec<String>>>,
}

impl Plain {
    pub(crate) fn to(address: &str) -> Plain {
        let authority = address.strip_prefix("http://").unwrap().to_owned();
        Plain { authority, sent: Arc::default() }
    }
}

#[async_trait]
impl Transport for Plain {
    async fn send(&self, request: Request) -> Result<Answer, TransportError> {
        self.sent.lock().unwrap().push(request.what());
        let fail = |error: std::io::Error| TransportError {
            message: error.to_string(),
            outcome: Outcome::Ambiguous,
            read_only: false,
        };
        let mut head = format!(
            "{} /{} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n",
            request.method, request.path, self.authority
        );
        for (name, value) in &request.headers {
            head += &format!("{name}: {}\r\n", value.expose());
        }
        let body = request.body.map(|body| body.bytes).unwrap_or_default();
        head += &format!("Content-Length: {}\r\n\r\n", body.len());
        let mut stream = TcpStream::connect(&self.authority).await.map_err(fail)?;
        stream.write_all(head.as_bytes()).await.map_err(fail)?;
        stream.write_all(&body).await.map_err(fail)?;
        let mut all = Vec::new();
        stream.read_to_end(&mut all).await.map_err(fail)?;
        let end = all.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
        let head = String::from_utf8_lossy(&all[..end]).into_owned();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let headers: Vec<(String, String)> = head
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect();
        let mut body = all[end + 4..].to_vec();
        if headers.iter().any(|(name, value)| name == "transfer-encoding" && value == "chunked") {
            let (mut rest, mut whole) = (&body[..], Vec::new());
            loop {
                let line = rest.windows(2).position(|two| two == b"\r\n").unwrap();
                let size =
                    usize::from_str_radix(std::str::from_utf8(&rest[..line]).unwrap(), 16).unwrap();
                if size == 0 {
                    break;
                }
                whole.extend_from_slice(&rest[line + 2..line + 2 + size]);
                rest = &rest[line + 4 + size..];
            }
            body = whole;
        }
        Ok(Answer { status, headers, body: Zeroizing::new(body) })
    }
}
