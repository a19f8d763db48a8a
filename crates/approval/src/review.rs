//! What somebody says of an integration after they have looked at it: an access review, in the words of
//! in-toto. It is signed as an approval is, and is none: its predicate is another one.

use domain::realm::digest_of;
use jiff::Timestamp;
use policy::change::Digest;
use serde::{Deserialize, Serialize};

use crate::{
    Envelope,
    in_toto::{self, NoStatement, Subject},
    verify::{Signer, Trust, Unread, opened},
};

/// The predicate's type: what this file says of an integration.
pub const PREDICATE: &str = "https://github.com/open-nhi/nhi/access-review/v1";

/// A review of one integration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Review {
    /// Its id.
    pub integration: String,
    /// The tenant that it is of; empty where that is not known.
    pub tenant: String,
    /// What is said of it.
    pub said: Said,
}

/// What is said of an integration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Said {
    /// The tenant.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    tenant: String,
    /// What is to become of it.
    pub decision: Conclusion,
    /// Why.
    pub reason: String,
    /// When, as whoever signs says.
    pub reviewed_at: Timestamp,
    /// The ticket, or the incident that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<String>,
    /// SHA-256 of what was shown of it before it was signed, in hexadecimal digits.
    pub shown: String,
    /// Makes each statement another one.
    pub nonce: String,
}

/// What is to become of an integration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Conclusion {
    /// It keeps what it has.
    Keep,
    /// It is to have less.
    Narrow,
    /// It is to end.
    End,
}

impl Conclusion {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Conclusion::Keep => "keep",
            Conclusion::Narrow => "narrow",
            Conclusion::End => "end",
        }
    }
}

/// What reviews of an integration are kept under: a digest of a domain of its own over tenant and id, so
/// that it is none of a change.
pub fn key(tenant: &str, integration: &str) -> Digest {
    Digest(digest_of("nhi-review/v1", &[tenant, integration]))
}

impl Review {
    /// A review of this integration, in words.
    pub fn new(
        (tenant, integration): (&str, &str),
        (decision, reason): (Conclusion, &str),
        reviewed_at: Timestamp,
        (shown, nonce): (String, String),
    ) -> Review {
        Review {
            integration: integration.to_owned(),
            tenant: tenant.to_owned(),
            said: Said {
                tenant: tenant.to_owned(),
                decision,
                reason: reason.to_owned(),
                reviewed_at,
                ticket: None,
                shown,
                nonce,
            },
        }
    }

    /// What it is kept under.
    pub fn key(&self) -> Digest {
        key(&self.tenant, &self.integration)
    }

    /// Its bytes, as they are signed.
    pub fn to_bytes(&self) -> Vec<u8> {
        let subject = Subject::new(&self.integration, self.key());
        let said = Said { tenant: self.tenant.clone(), ..self.said.clone() };
        in_toto::to_bytes(vec![subject], PREDICATE, said)
    }

    /// Reads one.
    ///
    /// # Errors
    ///
    /// It is no review, or says something that cannot be.
    pub fn from_bytes(bytes: &[u8]) -> Result<Review, NoStatement> {
        let no = |text: String| NoStatement(text);
        let (named, said): (_, Said) = in_toto::from_bytes(bytes, PREDICATE, "review")?;
        let [subject] = named.as_slice() else {
            return Err(no(format!("it names {} integrations, not one", named.len())));
        };
        let integration = subject.name.clone();
        let review = Review { integration, tenant: said.tenant.clone(), said };
        if subject.digest() != Some(review.key()) {
            return Err(no("its digest is not that of the integration that it names".to_owned()));
        }
        in_toto::all_said(&[("reason", &review.said.reason), ("nonce", &review.said.nonce)])?;
        Ok(review)
    }
}

/// Verifies one envelope at a time, which is now or, for evidence, when it was noted: the review and who
/// made it.
///
/// # Errors
///
/// Why it does not count.
pub fn verify(
    bytes: &[u8],
    trust: Trust<'_>,
    at: &[Timestamp],
) -> Result<(Review, Signer), Unread> {
    let (payload, by) = opened(bytes, trust, at)?;
    let review = Review::from_bytes(&payload)
        .map_err(|error| Unread::new("E-APPROVAL-FORM", error.to_string()))?;
    let by = by.into_iter().next();
    let by = by.ok_or_else(|| Unread::new("E-APPROVAL-FORM", "nobody signed it"))?;
    // Whoever says that they will have looked at it has not.
    if at.iter().any(|at| review.said.reviewed_at > at.saturating_add(AHEAD).unwrap_or(*at)) {
        return Err(Unread::new("E-APPROVAL-CLOCK", "it was made later than now"));
    }
    Ok((review, by))
}

/// The same of one that is kept: it is judged as of the day that it bears, so that a review outlives the
/// key that it was made with, and a key that is over makes none that is newer than itself.
///
/// # Errors
///
/// Why it does not count.
pub fn verify_kept(
    bytes: &[u8],
    trust: Trust<'_>,
    now: Timestamp,
) -> Result<(Review, Signer), Unread> {
    let form = |why: String| Unread::new("E-APPROVAL-FORM", why);
    let envelope = Envelope::from_json(bytes).map_err(|error| form(error.to_string()))?;
    let dated = Review::from_bytes(&envelope.payload).map_err(|error| form(error.to_string()))?;
    if dated.said.reviewed_at > now.saturating_add(AHEAD).unwrap_or(now) {
        return Err(Unread::new("E-APPROVAL-CLOCK", "it was made later than now"));
    }
    verify(bytes, trust, &[dated.said.reviewed_at])
}

/// How far the clock of whoever signs may be ahead.
const AHEAD: jiff::SignedDuration = jiff::SignedDuration::from_mins(5);

#[cfg(test)]
mod tests {
    use ssh_key::{PrivateKey, private::Ed25519Keypair};

    use super::*;
    use crate::{Revoked, Signers, namespace, sshsig};

    fn review() -> Review {
        let at = "2027-01-10T08:00:00Z".parse().unwrap();
        Review::new(
            ("openbao:c1", "bao/openbao_approle/x"),
            (Conclusion::Keep, "it still feeds the invoices"),
            at,
            ("00".to_owned(), "n1".to_owned()),
        )
    }

    #[test]
    fn a_review_is_read_back_and_what_is_no_review_of_that_integration_is_refused() {
        let one = review();
        let text = String::from_utf8(one.to_bytes()).unwrap();
        assert_eq!(Review::from_bytes(text.as_bytes()), Ok(one.clone()));
        let no = |text: &str| Review::from_bytes(text.as_bytes()).unwrap_err().to_string();
        assert!(no(&text.replace("approle/x", "approle/y")).contains("digest"));
        assert!(no(&text.replace("openbao:c1", "openbao:c2")).contains("digest"));
        assert!(no(&text.replace("access-review", "change-approval")).contains("change-approval"));
        assert!(no(&text.replace("\"keep\"", "\"maybe\"")).contains("maybe"));
        assert!(no(&text.replace("it still feeds the invoices", " ")).contains("reason"));
        assert_ne!(key("a\nb", "c"), key("a", "b\nc"), "no two have one key");
    }

    #[test]
    fn a_review_counts_when_somebody_known_signed_it_and_is_no_approval() {
        let key = PrivateKey::from(Ed25519Keypair::from_seed(&[7; 32]));
        let name = namespace("acme.example");
        let payload = review().to_bytes();
        let signature = sshsig::sign(&key, &name, &Envelope::signed_bytes(&payload)).unwrap();
        let envelope = Envelope { payload, signatures: vec![signature] }.to_json("k");
        let line = format!(
            "ann@acme.example valid-before=\"20270201Z\" {}",
            key.public_key().to_openssh().unwrap()
        );
        let signers = Signers::parse(&line).unwrap();
        let revoked = Revoked::default();
        let trust = Trust { namespace: &name, signers: &signers, revoked: &revoked };
        let at = |text: &str| [text.parse::<Timestamp>().unwrap()];
        let (read, by) = verify(envelope.as_bytes(), trust, &at("2027-01-10T09:00:00Z")).unwrap();
        assert_eq!((read, by.principal.as_str()), (review(), "ann@acme.example"));
        let no = |at: &[Timestamp]| verify(envelope.as_bytes(), trust, at).unwrap_err().code;
        assert_eq!(no(&at("2027-03-01T00:00:00Z")), "E-APPROVAL-SIGNER", "the key was retired");
        assert_eq!(no(&at("2027-01-10T07:00:00Z")), "E-APPROVAL-CLOCK");
        let kept = |now: &str| verify_kept(envelope.as_bytes(), trust, now.parse().unwrap());
        assert!(kept("2027-03-01T00:00:00Z").is_ok(), "it outlives its key");
        assert_eq!(kept("2027-01-09T00:00:00Z").unwrap_err().code, "E-APPROVAL-CLOCK");
        let as_approval = crate::verify(envelope.as_bytes(), trust, &at("2027-01-10T09:00:00Z"));
        assert_eq!(as_approval.unwrap_err().code, "E-APPROVAL-FORM");
    }
}
