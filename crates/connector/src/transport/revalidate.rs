//! What was read before is not sent once more where the server says that it is still the same.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use domain::Secret;

use super::{Answer, Effect, Request, Transport, TransportError};

/// How many bytes of answers are kept. What does not fit is asked for whole.
const ROOM: usize = 16 << 20;

/// Keeps the answers of [`Request::revalidates`] reads that came with an `ETag`, and asks with it the
/// next time (`If-None-Match`): a 304 is the kept body, under the headers of now. Platforms count such a
/// request less or not at all.
pub struct Revalidate {
    inner: Arc<dyn Transport>,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    answers: HashMap<String, (String, Answer)>,
    bytes: usize,
}

impl Kept {
    fn forget(&mut self, key: &str) {
        if let Some((_, answer)) = self.answers.remove(key) {
            self.bytes -= answer.body.len();
        }
    }

    fn keep(&mut self, key: String, etag: String, answer: Answer) {
        self.forget(&key);
        if self.bytes + answer.body.len() <= ROOM {
            self.bytes += answer.body.len();
            self.answers.insert(key, (etag, answer));
        }
    }
}

impl Revalidate {
    /// Wraps a transport.
    pub fn new(inner: Arc<dyn Transport>) -> Revalidate {
        Revalidate { inner, kept: Mutex::default() }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Revalidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Revalidate({:?})", self.inner)
    }
}

/// An answer with the same bytes, and nothing that anybody made of them: that is for who asked then.
fn copy(answer: &Answer) -> Answer {
    let fresh = Answer::new(answer.status, answer.headers.clone(), Vec::new());
    Answer { body: answer.body.clone(), ..fresh }
}

/// The kept answer under the headers of now. A tag may stand for the body alone, and what a header says,
/// such as which page is next, be another. What the 304 leaves out is as it was (RFC 9111, 3.2).
fn renewed(mut known: Answer, mut headers: Vec<(&'static str, String)>) -> Answer {
    known.headers.retain(|(name, _)| headers.iter().all(|(other, _)| other != name));
    headers.append(&mut known.headers);
    known.headers = headers;
    known
}

#[async_trait]
impl Transport for Revalidate {
    async fn send(&self, request: Request) -> Result<Answer, TransportError> {
        if !(request.revalidates && request.effect == Effect::Read) {
            return self.inner.send(request).await;
        }
        let key = format!("{} {}", request.method, request.path);
        let known =
            self.kept().answers.get(&key).map(|(etag, answer)| (etag.clone(), copy(answer)));
        let request = match &known {
            Some((etag, _)) => request.header("If-None-Match", Secret::new(etag.as_str())),
            None => request,
        };
        let answer = self.inner.send(request).await?;
        match (answer.status, known) {
            (304, Some((_, known))) => return Ok(renewed(known, answer.headers)),
            (200, _) => match answer.header("etag") {
                Some(etag) => self.kept().keep(key, etag.to_owned(), copy(&answer)),
                None => self.kept().forget(&key),
            },
            _ => {}
        }
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Says what it has, and under which tag; what was asked for.
    #[derive(Debug)]
    struct Server {
        has: Mutex<(u16, Option<&'static str>, Vec<u8>)>,
        asked: Mutex<Vec<Option<String>>>,
    }

    #[async_trait]
    impl Transport for Server {
        async fn send(&self, request: Request) -> Result<Answer, TransportError> {
            let tag = request.headers.iter().find(|(name, _)| *name == "If-None-Match");
            let tag = tag.map(|(_, tag)| tag.expose().to_owned());
            self.asked.lock().unwrap().push(tag.clone());
            let (status, etag, body) = self.has.lock().unwrap().clone();
            if tag.is_some() && tag.as_deref() == etag {
                return Ok(Answer::new(304, Vec::new(), Vec::new()));
            }
            let headers = etag.map(|etag| ("etag", etag.to_owned())).into_iter().collect();
            Ok(Answer::new(status, headers, body))
        }
    }

    fn world() -> (Arc<Server>, Revalidate) {
        let has = Mutex::new((200, Some("W/\"1\""), b"one".to_vec()));
        let server = Arc::new(Server { has, asked: Mutex::default() });
        (server.clone(), Revalidate::new(server))
    }

    fn asks() -> Request {
        Request { revalidates: true, ..Request::get("a?page=1", "a") }
    }

    #[tokio::test]
    async fn what_is_still_the_same_is_asked_about_and_not_sent_again() {
        let (server, transport) = world();
        for expected in [None, Some("W/\"1\"".to_owned())] {
            let answer = transport.send(asks()).await.unwrap();
            assert_eq!((answer.status, answer.body.as_slice()), (200, &b"one"[..]));
            assert_eq!(server.asked.lock().unwrap().pop(), Some(expected));
        }
        *server.has.lock().unwrap() = (200, Some("W/\"2\""), b"two".to_vec());
        assert_eq!(transport.send(asks()).await.unwrap().body.as_slice(), b"two");
        transport.send(Request::get("a?page=1", "a")).await.unwrap();
        assert_eq!(server.asked.lock().unwrap().pop(), Some(None), "who did not ask for it");
        transport.send(Request { path: "a?page=2".into(), ..asks() }).await.unwrap();
        assert_eq!(
            server.asked.lock().unwrap().pop(),
            Some(None),
            "another page is another answer"
        );
    }

    #[tokio::test]
    async fn a_refusal_is_told_and_what_was_kept_takes_nobody_s_place() {
        let (server, transport) = world();
        transport.send(asks()).await.unwrap();
        for status in [401, 403, 404, 500] {
            *server.has.lock().unwrap() = (status, None, b"no".to_vec());
            let answer = transport.send(asks()).await.unwrap();
            assert_eq!((answer.status, answer.body.as_slice()), (status, &b"no"[..]));
        }
        *server.has.lock().unwrap() = (200, None, b"untagged".to_vec());
        for _ in 0..2 {
            assert_eq!(transport.send(asks()).await.unwrap().body.as_slice(), b"untagged");
        }
        assert_eq!(server.asked.lock().unwrap().pop(), Some(None), "no tag is left to ask with");
    }

    #[tokio::test]
    async fn what_was_made_of_an_answer_is_not_taken_for_what_another_asked_for() {
        let (_, transport) = world();
        let first = transport.send(asks()).await.unwrap();
        first.read_once(|body| Ok::<_, ()>(body.len())).unwrap();
        let again = transport.send(asks()).await.unwrap();
        let text = again.read_once(|body| String::from_utf8(body.to_vec())).unwrap();
        assert_eq!(*text, "one");
    }

    #[test]
    fn of_a_header_that_both_have_the_one_of_now_counts() {
        let known = vec![("etag", "1".to_owned()), ("link", "old".to_owned())];
        let known = Answer::new(200, known, b"one".to_vec());
        let answer = renewed(known, vec![("link", "new".to_owned())]);
        assert_eq!((answer.status, answer.body.as_slice()), (200, &b"one"[..]));
        assert_eq!((answer.header("link"), answer.header("etag")), (Some("new"), Some("1")));
        assert_eq!(answer.headers.len(), 2);
    }

    #[tokio::test]
    async fn what_does_not_fit_is_asked_for_whole() {
        let (server, transport) = world();
        *server.has.lock().unwrap() = (200, Some("W/\"3\""), vec![b'x'; ROOM + 1]);
        for _ in 0..2 {
            assert_eq!(transport.send(asks()).await.unwrap().body.len(), ROOM + 1);
            assert_eq!(server.asked.lock().unwrap().pop(), Some(None));
        }
        assert_eq!(transport.kept().bytes, 0);
    }
}
