//! Signature version 4: AWS's own crate does it, here is what is put in and taken out.

use std::time::{Duration, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningParams, SigningSettings, sign},
    sign::v4,
};
use connector::{Error, Result};
use domain::{Secret, Settings};
use jiff::Timestamp;

use crate::tables::{self, ADDRESS};

/// What every request of ours is written in.
pub(crate) const FORM: &str = "application/x-www-form-urlencoded; charset=utf-8";

/// An access key, ours or one under test.
#[derive(Debug)]
pub(crate) struct AccessKey {
    pub(crate) id: String,
    secret: Secret,
    session: Option<Secret>,
}

impl AccessKey {
    /// Reads `<key id>:<secret>[:<session token>]`; none of the parts has a colon.
    pub(crate) fn parse(text: &Secret) -> Option<AccessKey> {
        let mut parts = text.expose().splitn(3, ':').map(str::trim);
        let id = parts.next().filter(|id| is_word(id))?.to_owned();
        let secret = parts.next().filter(|secret| is_word(secret)).map(Secret::new)?;
        let session = match parts.next() {
            Some(token) if is_word(token) => Some(Secret::new(token)),
            Some(_) => return None,
            None => None,
        };
        Some(AccessKey { id, secret, session })
    }

    /// The id that AWS lists it by; one for a while is in no listing.
    pub(crate) fn listed_as(&self) -> Option<&str> {
        self.session.is_none().then_some(self.id.as_str())
    }

    /// As it stands in our books: `<key id>:<secret>`.
    pub(crate) fn pair(id: &str, secret: &Secret) -> Secret {
        let mut pair = String::with_capacity(id.len() + 1 + secret.expose().len());
        pair.extend([id, ":", secret.expose()]);
        Secret::new(pair)
    }
}

/// Printable, and nothing that would end a header.
fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic())
}

/// A service of AWS, as far as signing goes.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// The whole address, with a slash at its end.
    pub(crate) url: String,
    service: &'static str,
    pub(crate) region: String,
}

/// The services that are asked.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    pub(crate) iam: Place,
    pub(crate) sts: Place,
    /// Secrets Manager, where the connection says in which region.
    pub(crate) secrets: Option<Place>,
}

impl Places {
    pub(crate) fn new(settings: &Settings, region: &str) -> Places {
        let whole = |address: &str| format!("{}/", address.trim_end_matches('/'));
        let sts = whole(&tables::sts_address(settings));
        Places {
            iam: Place {
                url: whole(settings.text("address").unwrap_or(ADDRESS)),
                service: "iam",
                region: region.to_owned(),
            },
            sts: Place {
                region: region_of(&sts).unwrap_or(region).to_owned(),
                url: sts,
                service: "sts",
            },
            secrets: tables::secrets_address(settings).map(|(address, region)| Place {
                url: whole(&address),
                service: "secretsmanager",
                region: region.to_owned(),
            }),
        }
    }
}

/// The region in a regional address, such as `https://sts.eu-west-1.amazonaws.com`.
fn region_of(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://sts.")?;
    let (region, _) = rest.split_once(".amazonaws.com")?;
    (!region.is_empty() && !region.contains('.')).then_some(region)
}

/// The headers of a POST of this body: those that are signed with it and stand in no body, and what signs
/// them.
pub(crate) fn headers(
    place: &Place,
    key: &AccessKey,
    of: &[(&'static str, &'static str)],
    body: &[u8],
    now: Timestamp,
) -> Result<Vec<(&'static str, Secret)>> {
    let failed = |_| Error::Configuration("a request cannot be signed".into());
    let session = key.session.as_ref().map(|token| token.expose().to_owned());
    let identity =
        Credentials::new(key.id.as_str(), key.secret.expose(), session, None, "nhi").into();
    let parameters: SigningParams<'_> = v4::SigningParams::builder()
        .identity(&identity)
        .region(&place.region)
        .name(place.service)
        .time(UNIX_EPOCH + Duration::from_secs(now.as_second().try_into().unwrap_or(0)))
        .settings(SigningSettings::default())
        .build()
        .map_err(|_| Error::Configuration("a request cannot be signed".into()))?
        .into();
    let signed = of.iter().copied();
    let request = SignableRequest::new("POST", &*place.url, signed, SignableBody::Bytes(body))
        .map_err(failed)?;
    let (signed, _) = sign(request, &parameters).map_err(failed)?.into_parts();
    let besides = of.iter().filter(|(name, _)| *name != "content-type");
    let mut headers: Vec<_> = besides.map(|(name, value)| (*name, Secret::new(*value))).collect();
    for (name, value) in signed.headers() {
        let name = match name {
            "authorization" => "authorization",
            "x-amz-date" => "x-amz-date",
            "x-amz-security-token" => "x-amz-security-token",
            _ => return Err(Error::Configuration("a request is signed in another way".into())),
        };
        headers.push((name, Secret::new(value)));
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_with_and_without_a_session_and_nothing_else_is_taken_for_one() {
        let parsed = |text: &str| AccessKey::parse(&Secret::new(text));
        assert!(parsed("AKIA1:a/b+c").is_some_and(|key| key.session.is_none()));
        assert!(parsed("ASIA1:a/b+c:token==").is_some_and(|key| key.session.is_some()));
        for wrong in ["", "AKIA1", "AKIA1:", ":x", "AKIA1:x:", "AKIA 1:x", "AKIA1:x\ny"] {
            assert!(parsed(wrong).is_none(), "{wrong:?}");
        }
        let key = AccessKey::pair("AKIA1", &Secret::new("x"));
        assert!(!format!("{:?}", parsed(key.expose())).contains('x'));
    }

    /// The example that AWS's documentation of the signing process walks through, with the form's
    /// headers: what is signed is the host, the date and the form, and the key never leaves.
    #[test]
    fn what_is_signed_is_told_and_the_secret_is_not() {
        let key = AccessKey::parse(&Secret::new(
            "AKIDEXAMPLE:wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY:session",
        ));
        let places = Places::new(&Settings::default(), "us-east-1");
        let at = "2015-08-30T12:36:00Z".parse().unwrap();
        let body = b"Action=ListUsers&Version=2010-05-08";
        let headers =
            headers(&places.iam, &key.unwrap(), &[("content-type", FORM)], body, at).unwrap();
        let text = |name: &str| {
            let found = headers.iter().find(|(have, _)| *have == name);
            found.map(|(_, value)| value.expose().to_owned()).unwrap_or_default()
        };
        assert_eq!(text("x-amz-date"), "20150830T123600Z");
        assert_eq!(text("x-amz-security-token"), "session");
        let said = text("authorization");
        assert!(
            said.contains("Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request"),
            "{said}"
        );
        assert!(
            said.contains("SignedHeaders=content-type;host;x-amz-date;x-amz-security-token"),
            "{said}"
        );
        assert!(!said.contains("wJalr"));
    }

    #[test]
    fn a_regional_address_says_what_it_is_signed_for() {
        assert_eq!(region_of("https://sts.eu-west-1.amazonaws.com/"), Some("eu-west-1"));
        assert_eq!(region_of("https://sts.cn-north-1.amazonaws.com.cn/"), Some("cn-north-1"));
        assert_eq!(region_of("https://sts.amazonaws.com/"), None);
        assert_eq!(region_of("http://127.0.0.1:5000/"), None);
    }
}
