//! Their words: actions of Secrets Manager as signed JSON, and what a refusal means. Nothing of a body
//! reaches an error: refusals are told apart by their code and worded by us.

use std::{collections::BTreeMap, time::Duration};

use connector::{
    Error, Refusal, Result,
    transport::{Answer, Body, Effect, Request, json},
};
use domain::Secret;
use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned};
use zeroize::Zeroizing;

use crate::{
    api::{ATTEMPTS, Api, unexpected},
    sign::Place,
};

/// What every request is written in.
const JSON: &str = "application/x-amz-json-1.1";
/// The codes that AWS documents; nothing else of a refusal is kept.
const CODES: [&str; 24] = [
    "AccessDeniedException",
    "DecryptionFailure",
    "EncryptionFailure",
    "ExpiredTokenException",
    "IncompleteSignature",
    "IncompleteSignatureException",
    "InternalServiceError",
    "InvalidClientTokenId",
    "InvalidNextTokenException",
    "InvalidParameterException",
    "InvalidRequestException",
    "InvalidSignatureException",
    "LimitExceededException",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "PreconditionNotMetException",
    "RequestExpired",
    "ResourceExistsException",
    "ResourceNotFoundException",
    "SignatureDoesNotMatch",
    "ThrottlingException",
    "UnknownOperationException",
    "UnrecognizedClientException",
    "ValidationException",
];

/// One action: its name as AWS has it and as messages have it, and what it does.
#[derive(Debug, Clone, Copy)]
pub(super) struct Action {
    target: &'static str,
    template: &'static str,
    effect: Effect,
}

macro_rules! action {
    ($name:literal, $effect:ident) => {
        Action {
            target: concat!("secretsmanager.", $name),
            template: concat!("secretsmanager:", $name),
            effect: Effect::$effect,
        }
    };
}

pub(super) const DESCRIBE: Action = action!("DescribeSecret", Read);
pub(super) const GET: Action = action!("GetSecretValue", Read);
pub(super) const LIST: Action = action!("ListSecrets", Read);
pub(super) const LIST_VERSIONS: Action = action!("ListSecretVersionIds", Read);
pub(super) const CREATE: Action = action!("CreateSecret", Change);
pub(super) const PUT: Action = action!("PutSecretValue", Change);
pub(super) const MOVE_STAGE: Action = action!("UpdateSecretVersionStage", Change);
pub(super) const TAG: Action = action!("TagResource", Change);
pub(super) const UNTAG: Action = action!("UntagResource", Change);

/// Which secret.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Of<'a> {
    pub(super) secret_id: &'a str,
}

/// Which version: by its id, or by a stage that it bears.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Get<'a> {
    pub(super) secret_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) version_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) version_stage: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct List<'a> {
    pub(super) filters: Vec<Filter<'a>>,
    pub(super) include_planned_deletion: bool,
    pub(super) max_results: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) next_token: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Filter<'a> {
    pub(super) key: &'static str,
    pub(super) values: [&'a str; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListVersions<'a> {
    pub(super) secret_id: &'a str,
    pub(super) include_deprecated: bool,
    pub(super) max_results: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) next_token: Option<&'a str>,
}

/// A new secret with its first version.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Create<'a> {
    pub(super) name: &'a str,
    pub(super) client_request_token: &'a str,
    pub(super) secret_string: &'a str,
}

/// A version more.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Put<'a> {
    pub(super) secret_id: &'a str,
    pub(super) client_request_token: &'a str,
    pub(super) secret_string: &'a str,
    pub(super) version_stages: [&'a str; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct MoveStage<'a> {
    pub(super) secret_id: &'a str,
    pub(super) version_stage: &'a str,
    pub(super) remove_from_version_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) move_to_version_id: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct AddTags<'a> {
    pub(super) secret_id: &'a str,
    pub(super) tags: Vec<Tag>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct RemoveTags<'a> {
    pub(super) secret_id: &'a str,
    pub(super) tag_keys: Vec<&'a str>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Tag {
    pub(super) key: String,
    #[serde(default)]
    pub(super) value: String,
}

/// What is told of a secret without its content: of one by itself, or in a listing.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Described {
    pub(super) name: String,
    #[serde(default, deserialize_with = "tags")]
    pub(super) tags: BTreeMap<String, String>,
    deleted_date: Option<serde::de::IgnoredAny>,
    version_ids_to_stages: Option<BTreeMap<String, Vec<String>>>,
    secret_versions_to_stages: Option<BTreeMap<String, Vec<String>>>,
}

impl Described {
    /// Somebody has had it deleted; until its time is over it can be brought back.
    pub(super) fn is_deleted(&self) -> bool {
        self.deleted_date.is_some()
    }

    /// The versions that bear a stage, with their stages.
    pub(super) fn staged(&self) -> impl Iterator<Item = (&str, &[String])> {
        let staged =
            self.version_ids_to_stages.as_ref().or(self.secret_versions_to_stages.as_ref());
        staged.into_iter().flatten().map(|(id, stages)| (id.as_str(), stages.as_slice()))
    }
}

fn tags<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> std::result::Result<BTreeMap<String, String>, D::Error> {
    let all = Option::<Vec<Tag>>::deserialize(deserializer)?.unwrap_or_default();
    Ok(all.into_iter().map(|tag| (tag.key, tag.value)).collect())
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Listed {
    pub(super) secret_list: Vec<Described>,
    pub(super) next_token: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Versions {
    #[serde(default)]
    pub(super) versions: Vec<OneVersion>,
    pub(super) next_token: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct OneVersion {
    pub(super) version_id: String,
}

/// A version with its content; nothing where that is no text.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Value {
    pub(super) version_id: String,
    #[serde(default, deserialize_with = "secret")]
    pub(super) secret_string: Option<Secret>,
}

fn secret<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> std::result::Result<Option<Secret>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.map(Secret::new))
}

/// What a version was given.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Written {
    #[serde(default)]
    pub(super) version_stages: Vec<String>,
}

/// An answer, and the code of its refusal if it is one that AWS documents.
pub(super) struct Reply {
    what: String,
    changes: bool,
    answer: Answer,
    pub(super) code: Option<&'static str>,
}

impl Reply {
    /// What a success holds.
    pub(super) fn read<T: DeserializeOwned>(&self) -> Result<T> {
        match self.answer.status {
            200 => json::read(&self.what, &self.answer.body),
            _ => Err(self.refused()),
        }
    }

    /// That it is a success; AWS says so in JSON or in nothing, and a gateway in a page.
    pub(super) fn done(&self) -> Result<()> {
        match (self.answer.status, self.answer.body.is_empty()) {
            (200, true) => Ok(()),
            _ => self.read::<serde::de::IgnoredAny>().map(drop),
        }
    }

    /// What an answer that is no success means.
    fn refused(&self) -> Error {
        let Reply { what, changes, answer, code } = self;
        let refusal = match (answer.status, *code) {
            (500.., _) => None,
            (_, Some("ResourceNotFoundException")) => Some(Refusal::NotFound),
            (_, Some("ResourceExistsException")) => Some(Refusal::Conflict),
            (_, Some("ThrottlingException")) => Some(Refusal::RateLimited),
            (_, Some("AccessDeniedException" | "DecryptionFailure" | "EncryptionFailure")) => {
                Some(Refusal::Forbidden)
            }
            (
                _,
                Some(
                    "ExpiredTokenException"
                    | "IncompleteSignature"
                    | "IncompleteSignatureException"
                    | "InvalidClientTokenId"
                    | "InvalidSignatureException"
                    | "MissingAuthenticationToken"
                    | "MissingAuthenticationTokenException"
                    | "RequestExpired"
                    | "SignatureDoesNotMatch"
                    | "UnrecognizedClientException",
                ),
            ) => Some(Refusal::Unauthorized),
            // A gateway's, or another program's: it says nothing about what is there.
            (404, None) => {
                let why = "status 404, and not as AWS says it: is something else in between, and is \
                           the address right?";
                return unexpected(what, why);
            }
            (status, _) => Refusal::of_status(status),
        };
        let Some(refusal) = refusal else {
            return Error::no_judgment(what, format!("status {}", answer.status), *changes);
        };
        let said = code.map(|code| format!(", {code}")).unwrap_or_default();
        let hint = match (refusal, *code) {
            (_, Some("InvalidSignatureException" | "SignatureDoesNotMatch" | "RequestExpired")) => {
                "; is our own secret right, secrets_region the one of this address, and this \
                 machine's clock?"
            }
            (_, Some("DecryptionFailure" | "EncryptionFailure")) => {
                "; may our own access key use the KMS key that this secret is kept with?"
            }
            (_, Some("LimitExceededException")) => {
                "; AWS's limit for this is reached, such as that of a secret's versions in a day"
            }
            (Refusal::Unauthorized, _) => "; is the connection's own access key there and active?",
            (Refusal::Forbidden, _) => {
                "; do the policies of our own access key, and the secret's own, allow this?"
            }
            _ => "",
        };
        Error::Refused {
            what: what.clone(),
            refusal,
            message: format!("status {}{said}{hint}", answer.status),
        }
    }
}

/// The code in a refusal's body: behind a namespace, where one stands before it.
fn code(body: &[u8]) -> Option<&'static str> {
    #[derive(Deserialize)]
    struct Said {
        #[serde(rename = "__type")]
        code: String,
    }
    let said: Said = serde_json::from_slice(body).ok()?;
    let said = said.code.rsplit('#').next()?;
    CODES.into_iter().find(|code| *code == said)
}

/// What is sent, in bytes that are wiped; room for a content whose quotes are escaped once more.
fn body(of: &impl Serialize, content: usize) -> Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(2 * content + 8 * 1024));
    serde_json::to_writer(&mut *bytes, of)
        .map_err(|error| Error::Configuration(format!("the request cannot be written: {error}")))?;
    Ok(bytes)
}

/// Sends an action, with a content so long in it.
pub(super) async fn send(
    api: &Api,
    place: &Place,
    action: Action,
    of: &impl Serialize,
    content: usize,
) -> Result<Reply> {
    let Action { target, template, effect } = action;
    let bytes = body(of, content)?;
    let mut attempt = 1;
    loop {
        let request = Request {
            method: "POST",
            headers: api.signed(
                place,
                &[("content-type", JSON), ("x-amz-target", target)],
                &bytes,
            )?,
            body: Some(Body { content_type: JSON, bytes: bytes.clone() }),
            effect,
            ..Request::get(place.url.as_str(), template)
        };
        let answer = api.pass(request).await?;
        let code = if answer.status == 200 { None } else { code(&answer.body) };
        let what = format!("POST {template}");
        let reply = Reply { what, changes: effect == Effect::Change, answer, code };
        let throttled = code == Some("ThrottlingException");
        if !throttled || effect != Effect::Read || attempt >= ATTEMPTS {
            return Ok(reply);
        }
        tokio::time::sleep(Duration::from_millis(300 << attempt)).await;
        attempt += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(status: u16, body: &str, changes: bool) -> Reply {
        let answer = Answer::new(status, Vec::new(), body.as_bytes().to_vec());
        Reply { what: "POST x".into(), changes, code: code(&answer.body), answer }
    }

    #[test]
    fn a_refusal_is_told_by_its_code_whatever_stands_before_it() {
        for (status, body, expected) in [
            (400, r#"{"__type":"ResourceNotFoundException"}"#, Some(Refusal::NotFound)),
            (400, r#"{"__type":"com.amazonaws#ResourceExistsException"}"#, Some(Refusal::Conflict)),
            (400, r#"{"__type":"ThrottlingException"}"#, Some(Refusal::RateLimited)),
            (400, r#"{"__type":"AccessDeniedException"}"#, Some(Refusal::Forbidden)),
            (400, r#"{"__type":"UnrecognizedClientException"}"#, Some(Refusal::Unauthorized)),
            (400, r#"{"__type":"InvalidParameterException"}"#, Some(Refusal::Invalid)),
            // No word of AWS: nothing is known of what is there.
            (404, "<html>", None),
            (500, r#"{"__type":"InternalServiceError"}"#, None),
        ] {
            let error = reply(status, body, false).done().unwrap_err();
            assert_eq!(error.refusal(), expected, "{body}");
        }
        let lost = reply(500, r#"{"__type":"InternalServiceError"}"#, true).done().unwrap_err();
        assert_eq!(lost.outcome(), connector::Outcome::Ambiguous);
    }

    #[test]
    fn a_success_is_json_or_nothing_and_no_page() {
        assert!(reply(200, "", true).done().is_ok() && reply(200, "{}", true).done().is_ok());
        assert!(reply(200, "<html>", true).done().is_err());
    }

    #[test]
    fn what_a_refusal_says_besides_its_code_is_not_repeated() {
        let body = r#"{"__type":"InvalidRequestException","message":"hunter2"}"#;
        assert!(!reply(400, body, true).done().unwrap_err().to_string().contains("hunter2"));
    }

    #[test]
    fn a_secret_is_described_alike_by_itself_and_in_a_listing_and_with_nulls() {
        for text in [
            r#"{"Name":"a","VersionIdsToStages":{"v":["AWSCURRENT"]},"Tags":[{"Key":"k","Value":"x"}]}"#,
            r#"{"Name":"a","SecretVersionsToStages":{"v":["AWSCURRENT"]},"Tags":[{"Key":"k","Value":"x"}],
                "DeletedDate":null}"#,
        ] {
            let described: Described = serde_json::from_str(text).unwrap();
            assert_eq!(described.tags["k"], "x");
            assert_eq!(described.staged().next().unwrap().0, "v");
            assert!(!described.is_deleted());
        }
        let bare: Described = serde_json::from_str(r#"{"Name":"a","Tags":null}"#).unwrap();
        assert!(bare.tags.is_empty() && bare.staged().next().is_none());
        let gone: Described = serde_json::from_str(r#"{"Name":"a","DeletedDate":1.7e9}"#).unwrap();
        assert!(gone.is_deleted());
    }
}
