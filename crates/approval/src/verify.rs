//! From what is kept to what counts.

use std::collections::BTreeMap;

use domain::Now;
use jiff::Timestamp;
use policy::change::{
    Digest,
    quorum::{Decision, Presence, Vote},
};

use crate::{
    Envelope, Revoked, Signers, Statement,
    signers::fingerprint,
    sshsig::{self, Signed},
    store::{Store, StoreError},
};

/// Whom to believe.
#[derive(Debug, Clone, Copy)]
pub struct Trust<'a> {
    /// The namespace of the organization.
    pub namespace: &'a str,
    /// Who may sign.
    pub signers: &'a Signers,
    /// Which keys are taken back.
    pub revoked: &'a Revoked,
}

/// A statement and who signed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// What is said.
    pub statement: Statement,
    /// Who signed it, and with what.
    pub by: Vec<Signer>,
}

/// Somebody who signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signer {
    /// As the file of signers calls them.
    pub principal: String,
    /// The fingerprint of their key.
    pub key: String,
    /// What it shows.
    pub presence: Presence,
}

/// What is kept and does not count, and why. It is told, since somebody meant something by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    /// Where it is kept.
    pub place: String,
    /// Its code.
    pub code: &'static str,
    /// Why.
    pub why: String,
}

impl Unread {
    pub(crate) fn new(code: &'static str, why: impl ToString) -> Unread {
        Unread { place: String::new(), code, why: why.to_string() }
    }
}

/// Verifies one envelope at a time, which is now or, for evidence, when it was used. Where it has
/// several signatures each must be good: one that is not was put there by somebody.
///
/// # Errors
///
/// Why it does not count.
pub fn verify(bytes: &[u8], trust: Trust<'_>, at: &[Timestamp]) -> Result<Verified, Unread> {
    let (payload, by) = opened(bytes, trust, at)?;
    // Only what was signed by somebody who is known is looked into.
    let statement =
        Statement::from_bytes(&payload).map_err(|error| Unread::new("E-APPROVAL-FORM", error))?;
    Ok(Verified { statement, by })
}

/// The payload of an envelope of whatever statement, and who signed it.
///
/// # Errors
///
/// Why it does not count.
pub fn opened(
    bytes: &[u8],
    trust: Trust<'_>,
    at: &[Timestamp],
) -> Result<(Vec<u8>, Vec<Signer>), Unread> {
    let envelope =
        Envelope::from_json(bytes).map_err(|error| Unread::new("E-APPROVAL-FORM", error))?;
    let signed_bytes = Envelope::signed_bytes(&envelope.payload);
    let mut by: Vec<Signer> = Vec::new();
    for signature in &envelope.signatures {
        let signed = sshsig::check(signature, &signed_bytes, trust.namespace)
            .map_err(|error| Unread::new("E-APPROVAL-SIGNATURE", error))?;
        let principal = who(&signed, trust, at)?;
        if by.iter().all(|known| known.principal != principal) {
            by.push(Signer { principal, key: fingerprint(&signed.key), presence: signed.presence });
        }
    }
    Ok((envelope.payload, by))
}

fn who(signed: &Signed, trust: Trust<'_>, at: &[Timestamp]) -> Result<String, Unread> {
    if trust.revoked.has(signed) {
        let why = format!("the key {} was taken back", fingerprint(&signed.key));
        return Err(Unread::new("E-APPROVAL-KEY-REVOKED", why));
    }
    // By every clock.
    let mut principal = None;
    for at in at {
        let who = trust.signers.who(signed, trust.namespace, *at);
        principal = Some(who.map_err(|error| Unread::new("E-APPROVAL-SIGNER", error))?);
    }
    principal.ok_or_else(|| Unread::new("E-APPROVAL-CLOCK", "no time is known to judge it by"))
}

/// Everything that somebody who is known has said of one change, and what is kept of it and does not
/// count.
///
/// # Errors
///
/// The store cannot be read.
pub fn votes(
    store: &dyn Store,
    digest: Digest,
    trust: Trust<'_>,
    now: Now,
) -> Result<(Vec<Vote>, Vec<Unread>), StoreError> {
    let (mut votes, mut unread) = (Vec::new(), Vec::new());
    // Certificates can give one key two names. It is one person's all the same.
    let mut people: BTreeMap<String, String> = BTreeMap::new();
    for kept in store.of(digest)? {
        let found = match &kept.bytes {
            Ok(bytes) => verify(bytes, trust, &[now.lo, now.hi]),
            Err(why) => Err(Unread::new("E-APPROVAL-FORM", why)),
        };
        // A statement about something else, however good, says nothing of this.
        let found = found.and_then(|one| match one.statement.subjects.contains_key(&digest) {
            true => Ok(one),
            false => Err(Unread::new("E-APPROVAL-SUBJECT", "it is about other changes")),
        });
        let one = match found {
            Ok(one) => one,
            Err(why) => {
                unread.push(Unread { place: kept.place, ..why });
                continue;
            }
        };
        for signer in &one.by {
            let first =
                people.entry(signer.key.clone()).or_insert_with(|| signer.principal.clone());
            // A no counts by whatever name: it makes nobody more.
            if *first == signer.principal || one.statement.said.decision == Decision::Reject {
                votes.push(vote(&one.statement, signer));
                continue;
            }
            let why = format!("its key {} signed as {first} already", signer.key);
            let told = Unread::new("E-APPROVAL-SIGNER", why);
            unread.push(Unread { place: kept.place.clone(), ..told });
        }
    }
    Ok((votes, unread))
}

fn vote(statement: &Statement, by: &Signer) -> Vote {
    let said = &statement.said;
    Vote {
        principal: by.principal.clone(),
        role: said.role.clone(),
        decision: said.decision,
        signed_at: said.signed_at,
        not_before: said.not_before,
        not_after: said.not_after,
        presence: by.presence,
        nonce: said.nonce.clone(),
        policy_version: said.policy.version,
        requester: said.requester.clone(),
        changes: statement.subjects.len(),
    }
}
