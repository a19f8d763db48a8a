//! What their answers look like: XML, in which every action's result has a name of its own.

use std::collections::{BTreeMap, BTreeSet};

use connector::{Error, Result};
use domain::Secret;
use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Deserializer, de::DeserializeOwned};

use crate::{api::unexpected, tags::Tags};

/// An answer that has a result.
#[derive(Debug, Deserialize)]
struct Envelope<T> {
    #[serde(
        alias = "GetCallerIdentityResult",
        alias = "GetAccountAuthorizationDetailsResult",
        alias = "GetUserResult",
        alias = "CreateUserResult",
        alias = "ListUserPoliciesResult",
        alias = "GetUserPolicyResult",
        alias = "ListAttachedUserPoliciesResult",
        alias = "ListGroupsForUserResult",
        alias = "ListAccessKeysResult",
        alias = "GetAccessKeyLastUsedResult",
        alias = "CreateAccessKeyResult"
    )]
    result: T,
}

/// An answer without one.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Done {
    #[expect(
        dead_code,
        reason = "that it is there is what tells the answer from a gateway's page"
    )]
    response_metadata: Metadata,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Metadata {
    #[expect(dead_code, reason = "as above")]
    request_id: String,
}

fn xml<T: DeserializeOwned>(what: &str, body: &[u8]) -> Result<T> {
    // Whatever the parser says may quote the answer.
    let wrong = || unexpected(what, "the answer is not as AWS documents it");
    let text = std::str::from_utf8(body).map_err(|_| wrong())?;
    quick_xml::de::from_str(text).map_err(|_| wrong())
}

/// The result in an answer.
pub(crate) fn result<T: DeserializeOwned>(what: &str, body: &[u8]) -> Result<T> {
    xml::<Envelope<T>>(what, body).map(|envelope| envelope.result)
}

/// That an answer is one.
pub(crate) fn done(what: &str, body: &[u8]) -> Result<()> {
    xml::<Done>(what, body).map(drop)
}

/// The code of a refusal, if it is one that AWS documents; nothing else of it is kept.
pub(crate) fn code(body: &[u8]) -> Option<&'static str> {
    const CODES: [&str; 29] = [
        "AccessDenied",
        "AccessDeniedException",
        "ConcurrentModification",
        "DeleteConflict",
        "EntityAlreadyExists",
        "EntityTemporarilyUnmodifiable",
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "InvalidAccessKeyId",
        "InvalidAction",
        "InvalidClientTokenId",
        "InvalidInput",
        "InvalidParameterValue",
        "LimitExceeded",
        "MalformedPolicyDocument",
        "MissingAuthenticationToken",
        "NoSuchEntity",
        "OptInRequired",
        "PolicyNotAttachable",
        "RequestExpired",
        "RequestLimitExceeded",
        "ServiceFailure",
        "ServiceUnavailable",
        "SignatureDoesNotMatch",
        "Throttling",
        "ThrottlingException",
        "UnmodifiableEntity",
        "ValidationError",
    ];
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Refusal {
        error: Option<Said>,
        // As some services, and moto, wrap it once more.
        errors: Option<Wrapped>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Wrapped {
        error: Said,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Said {
        code: String,
    }
    let refusal: Refusal = quick_xml::de::from_str(std::str::from_utf8(body).ok()?).ok()?;
    let said = refusal.error.or(refusal.errors.map(|wrapped| wrapped.error))?;
    CODES.into_iter().find(|code| *code == said.code)
}

/// A list.
#[derive(Debug, Deserialize)]
pub(crate) struct Members<T> {
    #[serde(default = "Vec::new")]
    member: Vec<T>,
}

impl<T> Default for Members<T> {
    fn default() -> Members<T> {
        Members { member: Vec::new() }
    }
}

impl<T> IntoIterator for Members<T> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.member.into_iter()
    }
}

/// Whether there is more of a listing, and from where on.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct More {
    is_truncated: Option<String>,
    marker: Option<String>,
}

impl More {
    /// From where on there is more. A listing that is cut and does not say where is an error.
    pub(crate) fn marker(&self, what: &str) -> Result<Option<String>> {
        let cut = match self.is_truncated.as_deref() {
            Some("true") => true,
            // Left out where there was no cause to say it.
            Some("false") | None => false,
            Some(_) => return Err(unexpected(what, "whether the listing is whole is not told")),
        };
        match &self.marker {
            _ if !cut => Ok(None),
            Some(marker) if !marker.is_empty() => Ok(Some(marker.clone())),
            _ => Err(unexpected(what, "the listing is cut and does not say where it goes on")),
        }
    }
}

/// `GetCallerIdentity`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Identity {
    pub(crate) account: String,
    pub(crate) user_id: String,
    pub(crate) arn: String,
}

impl Identity {
    /// The name of the user, where it is one: not a role's session, nor the root user.
    pub(crate) fn user(&self) -> Option<&str> {
        let resource = self.arn.splitn(6, ':').nth(5)?;
        resource.strip_prefix("user/")?.rsplit('/').next().filter(|name| !name.is_empty())
    }
}

/// A page of `GetAccountAuthorizationDetails`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Details {
    pub(crate) user_detail_list: Members<UserDetail>,
    is_truncated: Option<String>,
    marker: Option<String>,
}

/// Pages of listings by name.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Listing {
    #[serde(default)]
    pub(crate) policy_names: Members<String>,
    #[serde(default)]
    pub(crate) attached_policies: Members<Attached>,
    #[serde(default)]
    pub(crate) groups: Members<Group>,
    #[serde(default)]
    pub(crate) access_key_metadata: Members<KeyInfo>,
    is_truncated: Option<String>,
    marker: Option<String>,
}

impl Details {
    pub(crate) fn more(&self) -> More {
        More { is_truncated: self.is_truncated.clone(), marker: self.marker.clone() }
    }
}

impl Listing {
    pub(crate) fn more(&self) -> More {
        More { is_truncated: self.is_truncated.clone(), marker: self.marker.clone() }
    }
}

/// A user in the account's details.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct UserDetail {
    user_name: String,
    user_id: String,
    path: String,
    #[serde(default)]
    user_policy_list: Members<InlinePolicy>,
    #[serde(default)]
    group_list: Members<String>,
    #[serde(default)]
    attached_managed_policies: Members<Attached>,
    permissions_boundary: Option<Boundary>,
    #[serde(default)]
    tags: Members<Tag>,
}

/// `GetUser` and `CreateUser`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct UserAnswer {
    user: BareUser,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct BareUser {
    user_name: String,
    user_id: String,
    path: String,
    permissions_boundary: Option<Boundary>,
    #[serde(default)]
    tags: Members<Tag>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct InlinePolicy {
    pub(crate) policy_name: String,
    policy_document: String,
}

impl InlinePolicy {
    /// Its text, which comes escaped as in a URL.
    pub(crate) fn text(&self, what: &str) -> Result<String> {
        let text = percent_decode_str(&self.policy_document).decode_utf8();
        text.map(Into::into).map_err(|_| unexpected(what, "a policy's text is not UTF-8"))
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Attached {
    pub(crate) policy_arn: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Group {
    pub(crate) group_name: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Boundary {
    permissions_boundary_arn: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Tag {
    key: String,
    #[serde(default)]
    value: String,
}

/// An access key in a listing.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct KeyInfo {
    pub(crate) access_key_id: String,
    pub(crate) status: String,
    #[serde(default, deserialize_with = "time")]
    pub(crate) create_date: Option<Timestamp>,
}

impl KeyInfo {
    pub(crate) fn is_active(&self) -> bool {
        self.status == "Active"
    }
}

/// `CreateAccessKey`: the secret, once.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct KeyAnswer {
    pub(crate) access_key: NewKey,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct NewKey {
    pub(crate) access_key_id: String,
    #[serde(deserialize_with = "secret")]
    pub(crate) secret_access_key: Secret,
    #[serde(default, deserialize_with = "time")]
    pub(crate) create_date: Option<Timestamp>,
}

/// `GetAccessKeyLastUsed`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct LastUsedAnswer {
    pub(crate) user_name: Option<String>,
    access_key_last_used: Option<LastUse>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct LastUse {
    #[serde(default, deserialize_with = "time")]
    last_used_date: Option<Timestamp>,
}

impl LastUsedAnswer {
    pub(crate) fn at(&self) -> Option<Timestamp> {
        self.access_key_last_used.as_ref().and_then(|used| used.last_used_date)
    }
}

/// Reads a text straight into a [`Secret`].
fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Secret, D::Error> {
    String::deserialize(deserializer).map(Secret::new)
}

/// Reads a time; `N/A` and nothing are none.
fn time<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> std::result::Result<Option<Timestamp>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?.unwrap_or_default();
    if text.is_empty() || text == "N/A" {
        return Ok(None);
    }
    text.parse().map(Some).map_err(serde::de::Error::custom)
}

/// A user with all that says what it may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) path: String,
    pub(crate) boundary: Option<String>,
    pub(crate) tags: Tags,
    /// Inline policies by name.
    pub(crate) inline: BTreeMap<String, String>,
    /// ARNs of attached policies.
    pub(crate) attached: BTreeSet<String>,
    pub(crate) groups: BTreeSet<String>,
}

impl User {
    /// The same user with what it may do.
    pub(crate) fn with_power(
        self,
        (inline, attached, groups): (BTreeMap<String, String>, BTreeSet<String>, BTreeSet<String>),
    ) -> User {
        User { inline, attached, groups, ..self }
    }
}

fn tags(all: Members<Tag>) -> Tags {
    all.into_iter().map(|tag| (tag.key, tag.value)).collect()
}

fn boundary(boundary: Option<Boundary>) -> Option<String> {
    boundary.and_then(|one| one.permissions_boundary_arn).filter(|arn| !arn.is_empty())
}

impl UserDetail {
    pub(crate) fn into_user(self, what: &str) -> Result<User> {
        let mut inline = BTreeMap::new();
        for policy in self.user_policy_list {
            inline.insert(policy.policy_name.clone(), policy.text(what)?);
        }
        Ok(User {
            name: self.user_name,
            id: self.user_id,
            path: self.path,
            boundary: boundary(self.permissions_boundary),
            tags: tags(self.tags),
            inline,
            attached: self
                .attached_managed_policies
                .into_iter()
                .map(|one| one.policy_arn)
                .collect(),
            groups: self.group_list.into_iter().collect(),
        })
    }
}

impl UserAnswer {
    /// The user as far as it is told: without what it may do.
    pub(crate) fn into_user(self) -> User {
        User {
            name: self.user.user_name,
            id: self.user.user_id,
            path: self.user.path,
            boundary: boundary(self.user.permissions_boundary),
            tags: tags(self.user.tags),
            inline: BTreeMap::new(),
            attached: BTreeSet::new(),
            groups: BTreeSet::new(),
        }
    }
}

/// The error for a listing that somebody else answered.
pub(crate) fn other(what: &str, asked: &str, found: &str) -> Error {
    unexpected(what, &format!("asked about {asked:?}, answered about {found:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An answer as it was recorded; the secret in the one that has one was put in afterwards.
    macro_rules! fixture {
        ($name:literal) => {
            include_bytes!(concat!("../fixtures/", $name, ".xml"))
        };
    }

    #[test]
    fn only_a_user_of_the_account_is_one_that_is_listed() {
        let of = |arn: &str| Identity { account: "1".into(), user_id: "A".into(), arn: arn.into() };
        for (arn, user) in [
            ("arn:aws:iam::123456789012:user/ops", Some("ops")),
            ("arn:aws-cn:iam::123456789012:user/services/team/ops", Some("ops")),
            ("arn:aws:iam::123456789012:root", None),
            ("arn:aws:sts::123456789012:assumed-role/nhi/session", None),
            ("arn:aws:sts::123456789012:federated-user/ops", None),
            ("arn:aws:iam::123456789012:user/", None),
            ("", None),
        ] {
            assert_eq!(of(arn).user(), user, "{arn}");
        }
    }

    #[test]
    fn what_was_recorded_is_read() {
        let details: Details = result("test", fixture!("account-details")).unwrap();
        assert_eq!(details.more().marker("test").unwrap().as_deref(), Some("2"));
        let users: Result<Vec<User>> =
            details.user_detail_list.into_iter().map(|user| user.into_user("test")).collect();
        let users = users.unwrap();
        let sync = &users[1];
        assert_eq!(
            (users.len(), sync.name.as_str(), sync.path.as_str()),
            (2, "invoice-sync", "/services/")
        );
        assert!(sync.inline["nhi"].starts_with("{\"Version\""), "{:?}", sync.inline);
        assert_eq!(sync.attached, ["arn:aws:iam::aws:policy/ReadOnlyAccess".to_owned()].into());
        assert_eq!(sync.groups, ["ops".to_owned()].into());
        assert_eq!(sync.tags["team"], "payments");
        let made: UserAnswer = result("test", fixture!("user-created")).unwrap();
        assert_eq!(made.into_user().id, sync.id);
        let keys: Listing = result("test", fixture!("keys")).unwrap();
        assert_eq!(keys.more().marker("test").unwrap(), None);
        let key = keys.access_key_metadata.into_iter().next().unwrap();
        assert!(key.is_active() && key.create_date.is_some());
        let used = |body: &[u8]| result::<LastUsedAnswer>("test", body).unwrap().at();
        assert!(used(fixture!("key-used")).is_some() && used(fixture!("key-never-used")).is_none());
        let identity: Identity = result("test", fixture!("identity")).unwrap();
        assert_eq!(identity.account, "123456789012");
        assert!(done("test", fixture!("done")).is_ok());
    }

    #[test]
    fn a_new_secret_is_one_from_the_first_moment() {
        let made: KeyAnswer = result("test", fixture!("key-created")).unwrap();
        assert_eq!(made.access_key.secret_access_key.expose().len(), 40);
        assert!(!format!("{made:?}").contains("wJalr"));
    }

    #[test]
    fn a_refusal_is_known_by_its_code_in_each_of_its_forms_and_nothing_else_is_kept() {
        for (body, expected) in [
            (&fixture!("user-absent")[..], Some("NoSuchEntity")),
            (fixture!("user-exists"), Some("EntityAlreadyExists")),
            (fixture!("signature-wrong"), Some("SignatureDoesNotMatch")),
            (b"<ErrorResponse><Error><Code>verysecret</Code></Error></ErrorResponse>", None),
            (b"<html>", None),
            (b"", None),
            (b"{}", None),
        ] {
            assert_eq!(code(body), expected, "{}", String::from_utf8_lossy(body));
        }
    }

    #[test]
    fn a_page_that_is_none_is_never_an_empty_listing() {
        for body in [
            &b""[..],
            b"<html></html>",
            b"{}",
            b"<X><ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></X>",
            b"<X><GetAccountAuthorizationDetailsResult/></X>",
            b"<X><GetAccountAuthorizationDetailsResult><IsTruncated>false</IsTruncated></GetAccountAuthorizationDetailsResult></X>",
            &fixture!("account-details")[..400],
        ] {
            assert!(result::<Details>("test", body).is_err(), "{}", String::from_utf8_lossy(body));
        }
        assert!(done("test", b"<html></html>").is_err());
        let cut: Listing = result(
            "test",
            b"<X><ListAccessKeysResult><IsTruncated>true</IsTruncated></ListAccessKeysResult></X>",
        )
        .unwrap();
        assert!(cut.more().marker("test").is_err(), "cut, and nobody knows where");
    }
}
