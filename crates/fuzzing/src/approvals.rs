//! What people sign and who they are: whatever lies in the folder, it is what somebody signed or it is
//! refused.

use approval::{
    Envelope, Revoked, Signers, Statement,
    requester::{Issuer, Keys, requester},
    signers::fingerprint,
    sshsig,
};
use jiff::Timestamp;
use policy::change::requester::Voucher;

use crate::text;

/// A statement: what is read says the same when it is written and read again.
pub fn statements(data: &[u8]) {
    let Ok(one) = Statement::from_bytes(data) else { return };
    assert!(!one.subjects.is_empty() && one.said.not_after > one.said.not_before);
    assert_eq!(Statement::from_bytes(&one.to_bytes()), Ok(one));
}

/// An envelope, the same way.
pub fn envelopes(data: &[u8]) {
    let Ok(one) = Envelope::from_json(data) else { return };
    assert!(!one.signatures.is_empty());
    assert_eq!(Envelope::from_json(one.to_json("k").as_bytes()), Ok(one));
}

/// What the seeds of signatures are over, and by whom.
const SIGNED: &[u8] = b"nhi";
const NAMESPACE: &str = "nhi-approval@acme.example";
const BY: [&str; 2] =
    [include_str!("../../../fuzz/keys/ed25519.pub"), include_str!("../../../fuzz/keys/p256.pub")];

/// A signature: nothing holds but what those keys made.
pub fn signatures(data: &[u8]) {
    let Ok(signed) = sshsig::check(data, SIGNED, NAMESPACE) else { return };
    let by = fingerprint(&signed.key);
    let known = BY.iter().any(|one| {
        let line = format!("ann {one}");
        let signers = Signers::parse(&line).expect("the committed keys are keys");
        signers.who(&signed, NAMESPACE, Timestamp::UNIX_EPOCH).is_ok()
    });
    assert!(known, "a signature by {by} holds, which nobody made");
    assert!(sshsig::check(data, b"other", NAMESPACE).is_err());
    assert!(sshsig::check(data, SIGNED, "git").is_err());
}

/// The file of those who may sign: what is wrong has a line, and a key is one person's.
pub fn signers(data: &[u8]) {
    match Signers::parse(text(data)) {
        Ok(signers) => signers.principals().for_each(|one| assert!(!one.is_empty())),
        Err(error) => assert!(error.line > 0 && !error.message.is_empty()),
    }
}

/// A list of keys that were taken back, binary or plain.
pub fn revocations(data: &[u8]) {
    if let Err(error) = Revoked::parse(data) {
        assert!(!error.to_string().is_empty());
    }
}

const JWKS: &str = include_str!("../../../fuzz/keys/jwks.json");

/// The token of a run: nobody asks by it but whom the issuer named.
pub fn tokens(data: &[u8]) {
    let terms = Voucher {
        issuer: "https://ci.example".to_owned(),
        keys: "jwks.json".to_owned(),
        audience: "nhi".to_owned(),
        required: [("repository".to_owned(), "acme/nhi".to_owned())].into(),
        claim: "actor".to_owned(),
        principals: [("octo".to_owned(), "bo".to_owned())].into(),
    };
    let keys = Keys::parse(JWKS).expect("the committed keys are keys");
    let issuer = Issuer { terms, keys };
    let now = Timestamp::from_second(1_799_582_400).expect("a moment").into();
    match requester(text(data), &[issuer], now) {
        Ok(who) => assert_eq!(who, "bo"),
        Err(why) => assert!(!why.to_string().is_empty()),
    }
}
