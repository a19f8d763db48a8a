//! What time it is at the other end: every answer says so, and no request is sent for it.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};

use super::{Answer, Request, Transport, TransportError};
use crate::{Clock, clock::Said};

/// Tells our clock what the server of one connection says of the time.
pub struct Dated {
    inner: Arc<dyn Transport>,
    connection: String,
    clock: Arc<dyn Clock>,
}

impl Dated {
    /// Wraps what sends.
    pub fn new(inner: Arc<dyn Transport>, connection: String, clock: Arc<dyn Clock>) -> Dated {
        Dated { inner, connection, clock }
    }
}

impl fmt::Debug for Dated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dated({}, {:?})", self.connection, self.inner)
    }
}

/// The second that an answer was made in. One that something in between had kept tells an old one.
fn date_of(answer: &Answer) -> Option<Timestamp> {
    let kept = answer.header("age").is_some_and(|age| age.trim() != "0");
    let text = answer.header("date").filter(|_| !kept)?;
    Some(jiff::fmt::rfc2822::parse(text.trim()).ok()?.timestamp())
}

#[async_trait]
impl Transport for Dated {
    async fn send(&self, request: Request) -> Result<Answer, TransportError> {
        let asked = self.clock.now();
        let mut answer = self.inner.send(request).await?;
        if let Some(from) = date_of(&answer) {
            let until = from.checked_add(SignedDuration::from_secs(1)).unwrap_or(from);
            let said = Said { asked, answered: self.clock.now(), from, until };
            self.clock.saw(&self.connection, said);
        }
        // Answers are kept for a while, and nobody else reads these.
        answer.headers.retain(|(name, _)| !matches!(*name, "age" | "date"));
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Clocks, SystemClock, clock::Clock as _};

    #[derive(Debug)]
    struct Says(Vec<(&'static str, String)>);

    #[async_trait]
    impl Transport for Says {
        async fn send(&self, _: Request) -> Result<Answer, TransportError> {
            Ok(Answer::new(200, self.0.clone(), Vec::new()))
        }
    }

    async fn told(headers: &[(&'static str, &str)]) -> (Clocks, Answer) {
        let clocks = Arc::new(Clocks::new(Arc::new(SystemClock)));
        let headers = headers.iter().map(|(name, text)| (*name, (*text).to_owned())).collect();
        let dated = Dated::new(Arc::new(Says(headers)), "bao".into(), clocks.clone());
        let answer = dated.send(Request::get("x", "x")).await.unwrap();
        drop(dated);
        (Arc::try_unwrap(clocks).unwrap(), answer)
    }

    fn http(at: Timestamp) -> String {
        at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
    }

    #[tokio::test]
    async fn every_answer_tells_what_time_it_is_there_and_is_no_longer_for_that() {
        let now = SystemClock.now();
        let day = SignedDuration::from_hours(24);
        let (clocks, answer) = told(&[("date", &http(now + day)), ("retry-after", "3")]).await;
        let ahead = clocks.time_of("bao").hi.duration_since(now);
        assert!(ahead > day && ahead < day + SignedDuration::from_secs(3), "{ahead:?}");
        assert_eq!(answer.headers, [("retry-after", "3".to_owned())]);
        let (clocks, _) = told(&[("date", &http(now))]).await;
        assert_eq!(clocks.apart(), [], "the same second is no difference");
    }

    #[tokio::test]
    async fn what_something_in_between_had_kept_or_is_no_date_says_nothing() {
        let old = http(SystemClock.now() - SignedDuration::from_hours(24));
        for headers in [&[("date", &*old), ("age", "86400")][..], &[("date", "soon")], &[]] {
            assert_eq!(told(headers).await.0.apart(), [], "{headers:?}");
        }
        assert_eq!(told(&[("date", &old), ("age", "0")]).await.0.apart().len(), 1);
    }
}
