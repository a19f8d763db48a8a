//! Their words: actions of IAM and STS as signed forms, and what a refusal means. Nothing of a body
//! reaches an error: refusals are told apart by their code and worded by us.

use std::{sync::Arc, time::Duration};

use connector::{
    Clock, Error, Refusal, Result,
    transport::{Answer, Body, Effect, Request, Transport},
};
use domain::Secret;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use crate::{
    shapes::{self, Listing},
    sign::{self, AccessKey, FORM, Place, Places},
};

/// How often a look is sent that AWS throttled: it says so with status 400, which the layers take for
/// a no.
pub(crate) const ATTEMPTS: u32 = 4;

/// What is escaped in a form: all but what needs it nowhere. Blanks are a plus.
const ESCAPED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b' ');

/// One action with its parameters.
pub(crate) struct Call {
    /// `iam:ListUsers`.
    template: &'static str,
    fields: Vec<(String, String)>,
    effect: Effect,
    shared: bool,
}

impl Call {
    /// A look.
    pub(crate) fn look(template: &'static str) -> Call {
        Call { template, fields: Vec::new(), effect: Effect::Read, shared: false }
    }

    /// A change.
    pub(crate) fn change(template: &'static str) -> Call {
        Call { effect: Effect::Change, ..Call::look(template) }
    }

    /// A sign-in under test.
    pub(crate) fn sign_in(template: &'static str) -> Call {
        Call { effect: Effect::SignIn, ..Call::look(template) }
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Call {
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn members<'a>(
        mut self,
        name: &str,
        all: impl IntoIterator<Item = &'a str>,
    ) -> Call {
        for (at, value) in all.into_iter().enumerate() {
            self.fields.push((format!("{name}.member.{}", at + 1), value.to_owned()));
        }
        self
    }

    pub(crate) fn shared(mut self, shared: bool) -> Call {
        self.shared = shared;
        self
    }

    /// What it is called in messages.
    pub(crate) fn what(&self) -> String {
        format!("POST {}", self.template)
    }

    fn body(&self) -> Zeroizing<Vec<u8>> {
        let (service, action) = self.template.split_once(':').unwrap_or(("iam", self.template));
        let version = if service == "sts" { "2011-06-15" } else { "2010-05-08" };
        let mut body = Zeroizing::new(Vec::with_capacity(4096));
        let mut add = |name: &str, value: &str| {
            if !body.is_empty() {
                body.push(b'&');
            }
            let blank = |b: u8| if b == b' ' { b'+' } else { b };
            body.extend(utf8_percent_encode(name, ESCAPED).flat_map(str::bytes).map(blank));
            body.push(b'=');
            body.extend(utf8_percent_encode(value, ESCAPED).flat_map(str::bytes).map(blank));
        };
        add("Action", action);
        add("Version", version);
        for (name, value) in &self.fields {
            add(name, value);
        }
        body
    }
}

/// One account, signed for as ourselves.
#[derive(Debug)]
pub(crate) struct Api {
    transport: Arc<dyn Transport>,
    clock: Arc<dyn Clock>,
    places: Places,
    key: Option<AccessKey>,
    connection: String,
}

impl Api {
    pub(crate) fn new(
        transport: Arc<dyn Transport>,
        clock: Arc<dyn Clock>,
        places: Places,
        key: Option<AccessKey>,
        connection: &str,
    ) -> Api {
        Api { transport, clock, places, key, connection: connection.to_owned() }
    }

    /// The id of our own key, where AWS lists it.
    pub(crate) fn own_key(&self) -> Option<&str> {
        self.key.as_ref()?.listed_as()
    }

    fn place(&self, call: &Call) -> &Place {
        if call.template.starts_with("sts:") { &self.places.sts } else { &self.places.iam }
    }

    /// Sends, signed with a key. Any status is an answer.
    pub(crate) async fn send_as(&self, key: &AccessKey, call: &Call) -> Result<Answer> {
        let place = self.place(call);
        let bytes = call.body();
        let of = [("content-type", FORM)];
        let headers = sign::headers(place, key, &of, &bytes, self.clock.now())?;
        let request = Request {
            method: "POST",
            headers,
            body: Some(Body { content_type: FORM, bytes }),
            effect: call.effect,
            shared: call.shared,
            fresh_connection: call.effect == Effect::SignIn,
            ..Request::get(place.url.as_str(), call.template)
        };
        let what = call.what();
        self.transport.send(request).await.map_err(|error| error.of(what))
    }

    fn our_key(&self) -> Result<&AccessKey> {
        self.key.as_ref().ok_or_else(|| {
            let why = "it has no credential, and AWS answers nobody whom it does not know";
            Error::Configuration(format!("connections.{}.aws_iam: {why}", self.connection))
        })
    }

    /// The headers of a request to another service, signed for as ourselves.
    pub(crate) fn signed(
        &self,
        place: &Place,
        of: &[(&'static str, &'static str)],
        body: &[u8],
    ) -> Result<Vec<(&'static str, Secret)>> {
        sign::headers(place, self.our_key()?, of, body, self.clock.now())
    }

    /// Sends what is signed already. Any status is an answer.
    pub(crate) async fn pass(&self, request: Request) -> Result<Answer> {
        let what = request.what();
        self.transport.send(request).await.map_err(|error| error.of(what))
    }

    /// Secrets Manager's place, where the connection names one.
    pub(crate) fn secrets(&self) -> Option<&Place> {
        self.places.secrets.as_ref()
    }

    async fn send(&self, call: &Call) -> Result<Answer> {
        let key = self.our_key()?;
        let mut attempt = 1;
        loop {
            let answer = self.send_as(key, call).await?;
            let throttled = refused(&call.what(), &answer, false).refusal()
                == Some(Refusal::RateLimited)
                && answer.status != 200;
            if !throttled || call.effect != Effect::Read || attempt >= ATTEMPTS {
                return Ok(answer);
            }
            tokio::time::sleep(Duration::from_millis(300 << attempt)).await;
            attempt += 1;
        }
    }

    /// Looks for what must be there.
    pub(crate) async fn need<T: DeserializeOwned>(&self, call: Call) -> Result<T> {
        let answer = self.send(&call).await?;
        match answer.status {
            200 => shapes::result(&call.what(), &answer.body),
            _ => Err(refused(&call.what(), &answer, false)),
        }
    }

    /// Looks for what may be absent: `NoSuchEntity`.
    pub(crate) async fn maybe<T: DeserializeOwned>(&self, call: Call) -> Result<Option<T>> {
        match self.need(call).await {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.refusal() == Some(Refusal::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// One page of something, with the bytes that it was read from.
    pub(crate) async fn page(&self, call: &Call) -> Result<Answer> {
        let answer = self.send(call).await?;
        match answer.status {
            200 => Ok(answer),
            _ => Err(refused(&call.what(), &answer, false)),
        }
    }

    /// All pages of a listing.
    pub(crate) async fn pages(
        &self,
        call: impl Fn() -> Call,
        mut each: impl FnMut(Listing),
    ) -> Result<()> {
        let mut marker: Option<String> = None;
        loop {
            let call = match &marker {
                Some(marker) => call().with("Marker", marker),
                None => call(),
            };
            let what = call.what();
            let page: Listing = self.need(call).await?;
            let next = page.more().marker(&what)?;
            each(page);
            if next.is_none() {
                return Ok(());
            }
            if next == marker {
                return Err(unexpected(&what, "the listing goes on where it was before"));
            }
            marker = next;
        }
    }

    /// Changes something; the answer has nothing in it.
    pub(crate) async fn change(&self, call: Call) -> Result<()> {
        let answer = self.send(&call).await?;
        match answer.status {
            200 => shapes::done(&call.what(), &answer.body),
            _ => Err(refused(&call.what(), &answer, true)),
        }
    }

    /// Changes something, and reads what the answer holds.
    pub(crate) async fn make<T: DeserializeOwned>(&self, call: Call) -> Result<T> {
        let answer = self.send(&call).await?;
        match answer.status {
            200 => shapes::result(&call.what(), &answer.body),
            _ => Err(refused(&call.what(), &answer, true)),
        }
    }
}

pub(crate) fn unexpected(what: &str, message: &str) -> Error {
    Error::UnexpectedAnswer { what: what.to_owned(), message: message.to_owned() }
}

/// What an answer that is no success means.
pub(crate) fn refused(what: &str, answer: &Answer, changes: bool) -> Error {
    let code = shapes::code(&answer.body);
    let refusal = match (answer.status, code) {
        (_, Some("Throttling" | "ThrottlingException" | "RequestLimitExceeded")) => {
            Some(Refusal::RateLimited)
        }
        // What a server says that failed on the way, whatever it says, judges no change: it may be done.
        (500.., _) => None,
        (_, Some("NoSuchEntity")) => Some(Refusal::NotFound),
        (
            _,
            Some(
                "EntityAlreadyExists"
                | "DeleteConflict"
                | "LimitExceeded"
                | "ConcurrentModification"
                | "EntityTemporarilyUnmodifiable",
            ),
        ) => Some(Refusal::Conflict),
        (
            _,
            Some(
                "InvalidClientTokenId"
                | "InvalidAccessKeyId"
                | "SignatureDoesNotMatch"
                | "ExpiredToken"
                | "ExpiredTokenException"
                | "MissingAuthenticationToken"
                | "IncompleteSignature"
                | "RequestExpired",
            ),
        ) => Some(Refusal::Unauthorized),
        // A gateway's, or another program's: it says nothing about what is there.
        (404, _) => {
            let why = "status 404, and not as AWS says it: is something else in between, and is the \
                       address right?";
            return unexpected(what, why);
        }
        (status, _) => Refusal::of_status(status),
    };
    let Some(refusal) = refusal else {
        return Error::no_judgment(what, format!("status {}", answer.status), changes);
    };
    let said = code.map(|code| format!(", {code}")).unwrap_or_default();
    let hint = match (refusal, code) {
        (_, Some("SignatureDoesNotMatch" | "RequestExpired")) => {
            "; is our own secret right, the region the one of this address, and this machine's clock?"
        }
        (Refusal::Unauthorized, _) => "; is the connection's own access key there and active?",
        (Refusal::Forbidden, _) => "; do the policies of our own access key allow this?",
        (_, Some("LimitExceeded")) => "; AWS's limit for this is reached",
        _ => "",
    };
    Error::Refused {
        what: what.to_owned(),
        refusal,
        message: format!("status {}{said}{hint}", answer.status),
    }
}

#[cfg(test)]
mod tests {
    use connector::{Outcome, conformance::answer};

    use super::*;

    #[test]
    fn an_error_of_the_server_is_no_refusal_of_a_change_whatever_its_words() {
        let said = |status: u16, code: &str| {
            let body = format!(
                "<ErrorResponse><Error><Code>{code}</Code><Message>no</Message></Error></ErrorResponse>"
            );
            refused("test", &answer(status, &body), true)
        };
        for code in ["EntityAlreadyExists", "NoSuchEntity", "LimitExceeded"] {
            assert_eq!(said(500, code).outcome(), Outcome::Ambiguous, "{code}");
            assert_eq!(said(409, code).outcome(), Outcome::Refused, "{code}");
        }
        assert_eq!(said(503, "Throttling").refusal(), Some(Refusal::RateLimited));
    }
}
