//! Their words: paths of the REST API (version 2022-11-28) and the shapes of its answers.
//!
//! Nothing of a body reaches an error: refusals are told apart by [`Said`] and worded by us. A listing is
//! asked for page by page, as the `Link` header says, and with the `ETag` that is known.

use std::{collections::BTreeMap, sync::Arc};

pub(crate) use connector::transport::json::{read as parse, write as json};
use connector::{
    Clock, Error, Refusal, Result,
    transport::{
        Answer, Body, Effect, Request, Transport,
        json::{Held, perhaps, time},
        patience,
    },
};
use domain::Secret;
use jiff::Timestamp;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::app::{App, Token};

/// The version of the API that is asked for.
const VERSION: &str = "2022-11-28";
/// More pages than this are nobody's listing.
const PAGES: usize = 1000;

/// One server, asked as ourselves.
#[derive(Debug)]
pub(crate) struct Api {
    transport: Arc<dyn Transport>,
    connection: String,
    clock: Arc<dyn Clock>,
    organization: String,
    own: Own,
}

/// What we sign in with.
#[derive(Debug)]
pub(crate) enum Own {
    /// Nothing is set.
    Nothing,
    /// A token.
    Token(Secret),
    /// A token that our App gets.
    App(Box<App>),
}

/// What a refusal said, as far as anything hangs on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Said {
    /// The server's own answer, with nothing in it that we know.
    Own,
    /// There is none, or it is hidden from us.
    NotFound,
    /// It is there already: another's key, a hook with this address, a variable of this name.
    Exists,
    /// Our own token may not do this.
    NotAllowed,
    /// Nobody has our own token.
    Unknown,
    /// Not an answer of the server's API.
    Foreign,
}

impl Said {
    /// Reads an error's body. Never kept, only compared.
    pub(crate) fn read(answer: &Answer) -> Said {
        #[derive(Deserialize)]
        struct Whole {
            message: String,
            documentation_url: String,
            #[serde(default)]
            errors: Vec<Value>,
        }
        let Ok(Whole { message, errors, documentation_url }) = serde_json::from_slice(&answer.body)
        else {
            return Said::Foreign;
        };
        if !documentation_url.contains("://") {
            return Said::Foreign;
        }
        let errors =
            errors.iter().filter_map(|one| one.as_str().or_else(|| one["message"].as_str()));
        let told = |words: &str| errors.clone().any(|one| one.to_lowercase().contains(words));
        match answer.status {
            404 if message == "Not Found" => Said::NotFound,
            409 => Said::Exists,
            422 if told("already") => Said::Exists,
            401 => Said::Unknown,
            403 => Said::NotAllowed,
            _ => Said::Own,
        }
    }

    /// In our own words.
    fn words(self) -> &'static str {
        match self {
            Said::NotFound => "there is none, or the connection's own credential may not see it",
            Said::Exists => "it is there already",
            Said::NotAllowed => {
                "the connection's own credential may not do this: its README says which permissions are needed"
            }
            Said::Unknown => "GitHub does not know the connection's own credential",
            Said::Own | Said::Foreign => "refused",
        }
    }
}

/// What an answer that is no success means. A limit that is reached is told with a 403 too.
pub(crate) fn refused(what: &str, answer: &Answer, changes: bool) -> Error {
    let said = Said::read(answer);
    if answer.status == 404 && said != Said::NotFound {
        return Error::UnexpectedAnswer {
            what: what.to_owned(),
            message: "status 404: is something else in between, and is the address right?"
                .to_owned(),
        };
    }
    let limited = answer.status == 403 && patience(answer, Timestamp::UNIX_EPOCH).is_some();
    let refusal = match said {
        _ if limited => Some(Refusal::RateLimited),
        Said::Exists => Some(Refusal::Conflict),
        _ => Refusal::of_status(answer.status),
    };
    let Some(refusal) = refusal else {
        return Error::no_judgment(what, format!("status {}", answer.status), changes);
    };
    let words = match refusal {
        Refusal::RateLimited => "too many requests: GitHub asks to wait",
        _ => said.words(),
    };
    Error::Refused {
        what: what.to_owned(),
        refusal,
        message: format!("status {}: {words}", answer.status),
    }
}

/// The organisation, as far as anybody may see it.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Org {
    pub(crate) id: u64,
}

/// A repository.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Repository {
    pub(crate) name: String,
}

/// An App's installation.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Installation {
    pub(crate) id: u64,
    pub(crate) app_slug: String,
    pub(crate) repository_selection: String,
    #[serde(default)]
    pub(crate) permissions: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "perhaps")]
    pub(crate) suspended_at: Option<Timestamp>,
}

/// A page of them.
#[derive(Debug, Deserialize)]
pub(crate) struct Installations {
    installations: Vec<Installation>,
}

impl From<Installations> for Vec<Installation> {
    fn from(page: Installations) -> Self {
        page.installations
    }
}

/// Who made a token.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct User {
    pub(crate) login: String,
}

/// What a fine-grained token may do.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Grant {
    pub(crate) id: u64,
    pub(crate) owner: User,
    pub(crate) repository_selection: String,
    /// By group, and permission.
    #[serde(default)]
    pub(crate) permissions: BTreeMap<String, BTreeMap<String, String>>,
    #[serde(deserialize_with = "time")]
    pub(crate) access_granted_at: Timestamp,
    pub(crate) token_id: u64,
    pub(crate) token_name: String,
    pub(crate) token_expired: bool,
    #[serde(default, deserialize_with = "perhaps")]
    pub(crate) token_expires_at: Option<Timestamp>,
    #[serde(default, deserialize_with = "perhaps")]
    pub(crate) token_last_used_at: Option<Timestamp>,
}

/// A deploy key: its public half.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct DeployKey {
    pub(crate) id: u64,
    pub(crate) key: String,
    pub(crate) title: String,
    #[serde(deserialize_with = "time")]
    pub(crate) created_at: Timestamp,
    pub(crate) read_only: bool,
    #[serde(default, deserialize_with = "perhaps")]
    pub(crate) last_used: Option<Timestamp>,
    /// An organisation may forbid deploy keys, those that are there too.
    #[serde(default)]
    pub(crate) enabled: Option<bool>,
}

impl DeployKey {
    /// Whether it lets anybody in.
    pub(crate) fn works(&self) -> bool {
        self.enabled != Some(false)
    }
}

/// A webhook.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Hook {
    pub(crate) id: u64,
    pub(crate) active: bool,
    pub(crate) events: Vec<String>,
    pub(crate) config: HookConfig,
}

/// Where and how it delivers. Of its secret GitHub shows that there is one.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct HookConfig {
    #[serde(default)]
    pub(crate) url: Option<String>,
    #[serde(default)]
    pub(crate) content_type: Option<String>,
    #[serde(default)]
    insecure_ssl: Value,
    #[serde(default)]
    secret: Option<String>,
}

impl HookConfig {
    /// Whether deliveries are signed.
    pub(crate) fn signs(&self) -> bool {
        self.secret.as_ref().is_some_and(|mask| !mask.is_empty())
    }

    /// Whether certificates are not looked at. It is told as a text or as a number.
    pub(crate) fn is_insecure(&self) -> bool {
        let text = self.insecure_ssl.as_str().map(str::to_owned);
        text.unwrap_or_else(|| self.insecure_ssl.to_string()) == "1"
    }
}

/// A delivery in a listing.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Delivery {
    pub(crate) id: u64,
    pub(crate) event: String,
}

/// A variable of the organisation, for its workflows.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Variable {
    pub(crate) name: String,
    pub(crate) value: String,
}

/// A page of them.
#[derive(Debug, Deserialize)]
pub(crate) struct Variables {
    variables: Vec<Variable>,
}

impl From<Variables> for Vec<Variable> {
    fn from(page: Variables) -> Self {
        page.variables
    }
}

/// A whole listing, as its pages were read.
#[derive(Debug)]
pub(crate) struct Pages<T>(Vec<Arc<Vec<T>>>);

impl<T> Pages<T> {
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().flat_map(|page| page.iter())
    }
}

/// A listing that is asked for.
#[derive(Debug, Clone)]
pub(crate) struct Listing {
    pub(crate) path: String,
    pub(crate) template: &'static str,
    /// How many GitHub gives at once, at most.
    pub(crate) per_page: u8,
}

impl Listing {
    pub(crate) fn new(path: String, template: &'static str) -> Listing {
        Listing { path, template, per_page: 100 }
    }
}

/// The query of the next page, where a `Link` header names one (RFC 8288). The address before it is
/// GitHub's own way to the same listing, and not ours where something is in between.
///
/// # Errors
///
/// It names one that cannot be read: it is there, and the listing does not end here.
fn next_query(answer: &Answer) -> std::result::Result<Option<String>, String> {
    let Some(links) = answer.header("link") else { return Ok(None) };
    let is_next = |parameter: &str| {
        let (name, value) = parameter.split_once('=').unwrap_or_default();
        let mut words = value.trim().trim_matches('"').split(' ');
        name.trim().eq_ignore_ascii_case("rel")
            && words.any(|word| word.eq_ignore_ascii_case("next"))
    };
    let next = links.split(',').map(str::trim).find(|link| link.split(';').skip(1).any(is_next));
    let Some(next) = next else { return Ok(None) };
    let address = next.strip_prefix('<').and_then(|rest| rest.split_once('>'));
    match address.and_then(|(address, _)| address.split_once('?')) {
        Some((_, query)) => Ok(Some(query.to_owned())),
        None => Err("the address of its next page cannot be read".to_owned()),
    }
}

impl Api {
    pub(crate) fn new(
        transport: Arc<dyn Transport>,
        connection: String,
        clock: Arc<dyn Clock>,
        organization: String,
        own: Own,
    ) -> Api {
        Api { transport, connection, clock, organization, own }
    }

    /// Sends with a token. Any status is an answer.
    async fn send_as(&self, token: &Secret, request: Request) -> Result<Answer> {
        let what = request.what();
        let header = Zeroizing::new(format!("Bearer {}", token.expose().trim()));
        let request = request
            .header("Authorization", Secret::new(header.as_str()))
            .header("Accept", Secret::new("application/vnd.github+json"))
            .header("X-GitHub-Api-Version", Secret::new(VERSION));
        self.transport.send(request).await.map_err(|error| error.of(what))
    }

    /// Sends as ourselves. Any status is an answer.
    async fn send(&self, request: Request) -> Result<Answer> {
        match &self.own {
            Own::Token(token) => self.send_as(token, request).await,
            Own::App(app) => {
                let token = app.token(self.clock.now(), async || self.sign_in(app).await).await?;
                self.send_as(&token, request).await
            }
            Own::Nothing => Err(Error::Configuration(format!(
                "connection {:?} has no credential: a token of a GitHub App's installation, a personal access \
                 token, or with app_id an App's private key, is needed",
                self.connection
            ))),
        }
    }

    /// The installation that our App has in the organisation; `None` where we are no App.
    pub(crate) async fn our_installation(&self) -> Result<Option<Installation>> {
        match &self.own {
            Own::App(app) => self.installation_of(app).await.map(Some),
            _ => Ok(None),
        }
    }

    async fn installation_of(&self, app: &App) -> Result<Installation> {
        let path = format!("orgs/{}/installation", self.organization);
        let request = Request::get(path, "orgs/{org}/installation");
        let what = request.what();
        let answer = self.send_as(&app.statement(self.clock.now())?, request).await?;
        match answer.status {
            200 => parse(&what, &answer.body),
            _ => Err(refused(&what, &answer, false)),
        }
    }

    /// Gets a token of our App's installation.
    async fn sign_in(&self, app: &App) -> Result<Token> {
        #[derive(Deserialize)]
        struct Given {
            token: Held,
            #[serde(deserialize_with = "time")]
            expires_at: Timestamp,
        }
        let id = self.installation_of(app).await?.id;
        let path = format!("app/installations/{id}/access_tokens");
        let request = Request::change("POST", path, "app/installations/{id}/access_tokens");
        let request = Request { effect: Effect::SignIn, ..request };
        let what = request.what();
        let answer = self.send_as(&app.statement(self.clock.now())?, request).await?;
        match answer.status {
            201 => {
                let Given { token: Held(secret), expires_at } = parse(&what, &answer.body)?;
                Ok(Token { secret, expires_at })
            }
            _ => Err(refused(&what, &answer, false)),
        }
    }

    /// Looks at one thing.
    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        path: String,
        template: &'static str,
    ) -> Result<T> {
        let request = Request { revalidates: true, ..Request::get(path, template) };
        let what = request.what();
        let answer = self.send(request).await?;
        match answer.status {
            200 => parse(&what, &answer.body),
            _ => Err(refused(&what, &answer, false)),
        }
    }

    /// The body of one thing, for who reads more in it than its shape.
    pub(crate) async fn body(&self, path: String, template: &'static str) -> Result<Answer> {
        let request = Request::get(path, template);
        let what = request.what();
        let answer = self.send(request).await?;
        match answer.status {
            200 => Ok(answer),
            _ => Err(refused(&what, &answer, false)),
        }
    }

    /// A whole listing. A page that cannot be read is an error: what comes after it is not known.
    pub(crate) async fn list<P, T>(&self, listing: &Listing, shared: bool) -> Result<Pages<T>>
    where
        P: DeserializeOwned + Into<Vec<T>>,
        T: Send + Sync + 'static,
    {
        let mut query = format!("per_page={}", listing.per_page);
        let mut pages = Vec::new();
        let mut anew = false;
        while pages.len() < PAGES {
            let path = format!("{}?{query}", listing.path);
            let request = Request {
                shared: shared && !anew,
                revalidates: !anew,
                ..Request::get(path, listing.template)
            };
            let what = request.what();
            let answer = self.send(request).await?;
            if answer.status != 200 {
                return Err(refused(&what, &answer, false));
            }
            let page: Arc<Vec<T>> =
                answer.read_once(|body| parse::<P>(&what, body).map(Into::into))?;
            let next = next_query(&answer)
                .map_err(|message| Error::UnexpectedAnswer { what: what.clone(), message })?;
            // A tag stands for the body alone: behind a full page that is as it was, there may be one
            // that was not there then.
            if next.is_none() && !anew && page.len() >= usize::from(listing.per_page) {
                anew = true;
                continue;
            }
            anew = false;
            pages.push(page);
            match next {
                None => return Ok(Pages(pages)),
                // A page that names itself would be asked for without end.
                Some(next) if next == query => break,
                Some(next) => query = next,
            }
        }
        Err(Error::UnexpectedAnswer {
            what: format!("GET {}", listing.template),
            message: "its pages have no end".into(),
        })
    }

    /// Sends a change, once; the body of its answer.
    pub(crate) async fn change(
        &self,
        method: &'static str,
        path: String,
        template: &'static str,
        body: Option<Body>,
    ) -> Result<Answer> {
        let request = Request { body, ..Request::change(method, path, template) };
        let what = request.what();
        let answer = self.send(request).await?;
        match answer.status {
            200..300 => Ok(answer),
            _ => Err(refused(&what, &answer, true)),
        }
    }

    /// Has GitHub send something that changes nothing.
    pub(crate) async fn ping(&self, path: String, template: &'static str) -> Result<()> {
        let request = Request { effect: Effect::SignIn, ..Request::change("POST", path, template) };
        let what = request.what();
        let answer = self.send(request).await?;
        match answer.status {
            200..300 => Ok(()),
            _ => Err(refused(&what, &answer, false)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        Answer::new(status, Vec::new(), body.as_bytes().to_vec())
    }

    fn told(status: u16, message: &str, errors: &str) -> Answer {
        let body = format!(
            r#"{{"message":"{message}","errors":{errors},"documentation_url":"https://docs.github.com/rest"}}"#
        );
        answer(status, &body)
    }

    #[test]
    fn a_404_is_githubs_own_or_a_gateways() {
        assert_eq!(Said::read(&told(404, "Not Found", "[]")), Said::NotFound);
        for page in ["<html>Not found</html>", "", "{}", r#"{"message":"Not Found"}"#] {
            assert_eq!(Said::read(&answer(404, page)), Said::Foreign, "{page}");
            let error = refused("DELETE x", &answer(404, page), true);
            assert!(matches!(error, Error::UnexpectedAnswer { .. }), "{error}");
        }
    }

    #[test]
    fn what_is_there_already_is_a_conflict_and_another_mistake_is_none() {
        let taken =
            r#"[{"resource":"PublicKey","code":"custom","message":"key is already in use"}]"#;
        let hook = r#"[{"message":"Hook already exists on this repository"}]"#;
        for (answer, refusal) in [
            (told(422, "Validation Failed", taken), Refusal::Conflict),
            (told(422, "Validation Failed", hook), Refusal::Conflict),
            (told(409, "Already exists", "[]"), Refusal::Conflict),
            (told(422, "Validation Failed", r#"["is invalid"]"#), Refusal::Invalid),
            (told(403, "Resource not accessible by integration", "[]"), Refusal::Forbidden),
            (told(401, "Bad credentials", "[]"), Refusal::Unauthorized),
        ] {
            assert_eq!(refused("POST x", &answer, true).refusal(), Some(refusal));
        }
    }

    #[test]
    fn a_limit_that_is_reached_is_no_lack_of_permission() {
        let limited = |headers: &[(&'static str, &str)]| {
            let headers = headers.iter().map(|(name, text)| (*name, (*text).to_owned())).collect();
            let mut answer = told(403, "API rate limit exceeded", "[]");
            answer.headers = headers;
            refused("GET x", &answer, false).refusal()
        };
        assert_eq!(limited(&[("retry-after", "60")]), Some(Refusal::RateLimited));
        let used_up = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1800000000")];
        assert_eq!(limited(&used_up), Some(Refusal::RateLimited));
        assert_eq!(limited(&[("x-ratelimit-remaining", "17")]), Some(Refusal::Forbidden));
    }

    #[test]
    fn the_next_page_is_what_the_header_names() {
        let of =
            |link: &str| next_query(&Answer::new(200, vec![("link", link.to_owned())], Vec::new()));
        let two = "<https://api.github.com/organizations/1/hooks?per_page=100&page=2>; rel=\"next\", \
                   <https://api.github.com/organizations/1/hooks?page=9>; rel=\"last\"";
        assert_eq!(of(two).unwrap().as_deref(), Some("per_page=100&page=2"));
        let other = "<https://x/?page=3>; title=x; Rel = \"last NEXT\"";
        assert_eq!(of(other).unwrap().as_deref(), Some("page=3"));
        let last =
            "<https://api.github.com/x?page=1>; rel=\"prev\", <https://x/?page=1>; rel=\"first\"";
        for none in [last, "", "<x>"] {
            assert_eq!(of(none), Ok(None), "{none}");
        }
        // There is one, and the listing does not end here.
        for unread in
            ["; rel=\"next\"", "<https://x/>; rel=\"next\"", "<https://x/?q=a,b>; rel=\"next\""]
        {
            assert!(of(unread).is_err(), "{unread}");
        }
        assert_eq!(next_query(&answer(200, "[]")), Ok(None));
    }
}
