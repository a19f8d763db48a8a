//! Who asked for a change, where somebody else vouches for it: the token that a pipeline has for its run.
//!
//! Whoever asks is none of those who approve, so whoever could make themselves another requester could
//! approve their own change. A word in a variable is therefore none; what counts is a token that a known
//! issuer has signed for us, of a run of ours. Anybody may let a pipeline of their own ask for a token
//! for any audience, so that claims which tell whose run it is must be asked for as well.
//!
//! Source: RFC 7515 and 7519; GitHub's and GitLab's pages on OpenID Connect in their pipelines. Signatures
//! are checked by ring, which is what all of our cryptography is by.

use data_encoding::BASE64URL_NOPAD;
use domain::Now;
use policy::change::requester::Voucher;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, RSA_PKCS1_2048_8192_SHA256,
    RsaPublicKeyComponents, UnparsedPublicKey,
};
use serde_json::{Map, Value};

/// The most that is read of one token.
const LARGEST: usize = 16 << 10;

/// The longest that a token of one run may live.
const LONGEST: i64 = 86_400;

/// How far the issuer's clock may be ahead of ours.
const AHEAD: i64 = 60;

/// Somebody who vouches for requesters, with the keys that it has.
#[derive(Debug, Clone)]
pub struct Issuer {
    /// What the policy says of it.
    pub terms: Voucher,
    /// Its keys.
    pub keys: Keys,
}

/// Why nobody knows who asks. It holds nothing of the token but names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unproven(String);

/// Public keys of an issuer (RFC 7517).
#[derive(Debug, Clone, Default)]
pub struct Keys(Vec<Key>);

#[derive(Debug, Clone)]
struct Key {
    id: Option<String>,
    of: Public,
}

#[derive(Debug, Clone)]
enum Public {
    Rsa { n: Vec<u8>, e: Vec<u8> },
    P256(Vec<u8>),
    P384(Vec<u8>),
}

fn no(why: impl Into<String>) -> Unproven {
    Unproven(why.into())
}

impl Keys {
    /// Reads a key set, as an issuer publishes it. Keys of other kinds are passed over.
    ///
    /// # Errors
    ///
    /// It is no key set, or none of its keys can be used here.
    pub fn parse(text: &str) -> Result<Keys, Unproven> {
        let value: Value = serde_json::from_str(text)
            .map_err(|error| no(format!("it is no set of keys (JWKS): {error}")))?;
        let Some(all) = value.get("keys").and_then(Value::as_array) else {
            return Err(no("it is no set of keys (JWKS): it has no member \"keys\""));
        };
        let keys: Vec<Key> = all.iter().filter_map(Key::read).collect();
        match keys.is_empty() {
            true => {
                Err(no("none of its keys can be used: expected RSA of 2048 bits, P-256 or P-384"))
            }
            false => Ok(Keys(keys)),
        }
    }

    /// The one key of that name; without a name, the only one.
    fn named(&self, id: Option<&str>) -> Option<&Key> {
        match (id, self.0.as_slice()) {
            (Some(id), all) => all.iter().find(|key| key.id.as_deref() == Some(id)),
            (None, [only]) => Some(only),
            (None, _) => None,
        }
    }
}

impl Key {
    fn read(value: &Value) -> Option<Key> {
        let text = |name: &str| value.get(name).and_then(Value::as_str);
        let bytes = |name: &str| BASE64URL_NOPAD.decode(text(name)?.as_bytes()).ok();
        if text("use").is_some_and(|of| of != "sig") {
            return None;
        }
        let point = |length: usize| {
            let (x, y) = (bytes("x")?, bytes("y")?);
            (x.len() == length && y.len() == length).then(|| [vec![4], x, y].concat())
        };
        let of = match (text("kty")?, text("crv")) {
            // Of shorter ones no signature holds: ring takes none.
            ("RSA", _) => Public::Rsa { n: bytes("n")?, e: bytes("e")? },
            ("EC", Some("P-256")) => Public::P256(point(32)?),
            ("EC", Some("P-384")) => Public::P384(point(48)?),
            _ => return None,
        };
        Some(Key { id: text("kid").map(str::to_owned), of })
    }

    /// Whether it made a signature by that algorithm. The key says which algorithm is its own, so that a
    /// token cannot choose.
    fn made(&self, algorithm: &str, signed: &[u8], signature: &[u8]) -> bool {
        match (&self.of, algorithm) {
            (Public::Rsa { n, e }, "RS256") => RsaPublicKeyComponents { n, e }
                .verify(&RSA_PKCS1_2048_8192_SHA256, signed, signature)
                .is_ok(),
            (Public::P256(point), "ES256") => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
                    .verify(signed, signature)
                    .is_ok()
            }
            (Public::P384(point), "ES384") => {
                UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, point)
                    .verify(signed, signature)
                    .is_ok()
            }
            _ => false,
        }
    }
}

/// Who asks, by the token of a run.
///
/// # Errors
///
/// Why nobody knows. Then one more is to approve.
pub fn requester(token: &str, issuers: &[Issuer], now: Now) -> Result<String, Unproven> {
    let token = token.trim();
    if token.len() > LARGEST {
        return Err(no(format!("the token is longer than {LARGEST} bytes")));
    }
    let parts: Vec<&str> = token.split('.').collect();
    let [head, body, signature] = parts.as_slice() else {
        return Err(no("the token is none of a run (a JWT of three parts)"));
    };
    let decode = |text: &str, what: &str| {
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes());
        bytes.map_err(|_| no(format!("the token's {what} cannot be read")))
    };
    let object = |text: &str, what: &str| -> Result<Map<String, Value>, Unproven> {
        serde_json::from_slice(&decode(text, what)?)
            .map_err(|_| no(format!("the token's {what} cannot be read")))
    };
    let (header, claims) = (object(head, "header")?, object(body, "claims")?);
    // What must be understood and is not would change what it means.
    if header.contains_key("crit") {
        return Err(no("the token has demands (crit) that are not known here"));
    }
    let said = |all: &Map<String, Value>, name: &str| {
        all.get(name).and_then(Value::as_str).map(str::to_owned)
    };
    let from = said(&claims, "iss").ok_or_else(|| no("the token does not say who issued it"))?;
    let of_that: Vec<&Issuer> = issuers.iter().filter(|one| one.terms.issuer == from).collect();
    if of_that.is_empty() {
        return Err(no(format!("the policy knows no issuer {from:?}")));
    }
    let algorithm = said(&header, "alg").unwrap_or_default();
    let id = said(&header, "kid");
    let signed = &token.as_bytes()[..head.len() + 1 + body.len()];
    let signature = decode(signature, "signature")?;
    // One issuer may be named for several repositories; each is asked, and the last no is told.
    let mut last = no("nobody");
    for issuer in of_that {
        let key = issuer.keys.named(id.as_deref());
        if !key.is_some_and(|key| key.made(&algorithm, signed, &signature)) {
            last = no(format!(
                "the token is signed by none of the keys of {from:?} that the policy knows; an issuer \
                 changes them now and then: fetch its set anew"
            ));
            continue;
        }
        match issuer.names(&claims, now) {
            Ok(who) => return Ok(who),
            Err(why) => last = why,
        }
    }
    Err(last)
}

impl Issuer {
    /// Whom claims name that it has signed.
    fn names(&self, claims: &Map<String, Value>, now: Now) -> Result<String, Unproven> {
        let audience = match claims.get("aud") {
            Some(Value::String(one)) => *one == self.terms.audience,
            Some(Value::Array(all)) => {
                all.iter().any(|one| one.as_str() == Some(&self.terms.audience))
            }
            _ => false,
        };
        if !audience {
            return Err(no(format!(
                "the token is made for somebody else than {:?}",
                self.terms.audience
            )));
        }
        self.in_time(claims, now)?;
        if self.terms.required.is_empty() {
            return Err(no("the policy does not say whose runs count"));
        }
        for (name, wanted) in &self.terms.required {
            match claims.get(name).and_then(word) {
                Some(found) if found == *wanted => {}
                Some(found) => {
                    return Err(no(format!("the token's {name} is {found:?}, not {wanted:?}")));
                }
                None => return Err(no(format!("the token has no {name}"))),
            }
        }
        let name =
            claims.get(&self.terms.claim).and_then(word).filter(|name| !name.trim().is_empty());
        let name = name.ok_or_else(|| no(format!("the token has no {}", self.terms.claim)))?;
        // Who signs here may have a second name there.
        let known = self.terms.principals.get(&name).cloned();
        known.ok_or_else(|| {
            no(format!("the policy does not say who {name:?} of {:?} is", self.terms.issuer))
        })
    }

    fn in_time(&self, claims: &Map<String, Value>, now: Now) -> Result<(), Unproven> {
        // A time that is no number is no time: to pass over it would make a token last for ever.
        let time = |name: &str| match claims.get(name) {
            None => Ok(None),
            Some(value) => match value.as_i64().or_else(|| whole(value)) {
                Some(time) => Ok(Some(time)),
                None => Err(no(format!("the token's {name} is no time"))),
            },
        };
        let ends = time("exp")?.ok_or_else(|| no("the token has no end (exp)"))?;
        let (from, made) = (time("nbf")?, time("iat")?);
        let (lo, hi) = (now.lo.as_second(), now.hi.as_second());
        if hi >= ends {
            return Err(no("the token is over"));
        }
        if from.max(made).is_some_and(|from| from > lo.saturating_add(AHEAD)) {
            return Err(no("the token is of a time that is to come"));
        }
        let begun = made.or(from).unwrap_or(lo);
        if ends.saturating_sub(begun) > LONGEST {
            return Err(no("the token is good for more than a day, so that it is none of one run"));
        }
        Ok(())
    }
}

/// A number as issuers may write it (`1700000000.0`), where it is whole.
fn whole(value: &Value) -> Option<i64> {
    let number = value.as_f64().filter(|number| number.fract() == 0.0 && number.abs() < 9e15)?;
    format!("{number:.0}").parse().ok()
}

/// A claim as a word: GitLab writes ids as texts, others as numbers.
fn word(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use ring::{
        rand::SystemRandom,
        signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
    };
    use serde_json::json;

    use super::*;

    const ISSUER: &str = "https://token.actions.githubusercontent.com";

    struct Ci {
        pair: EcdsaKeyPair,
    }

    impl Ci {
        fn new() -> Ci {
            let (random, signing) = (SystemRandom::new(), &ECDSA_P256_SHA256_FIXED_SIGNING);
            let made = EcdsaKeyPair::generate_pkcs8(signing, &random).unwrap();
            Ci { pair: EcdsaKeyPair::from_pkcs8(signing, made.as_ref(), &random).unwrap() }
        }

        fn jwks(&self) -> String {
            let point = self.pair.public_key().as_ref();
            let part = |from: usize| BASE64URL_NOPAD.encode(&point[from..from + 32]);
            let odd = json!({ "kty": "OKP", "crv": "Ed25519", "x": "AA" });
            let key = json!({ "kty": "EC", "crv": "P-256", "kid": "k1", "use": "sig", "x": part(1), "y": part(33) });
            json!({ "keys": [odd, key] }).to_string()
        }

        fn issuer(&self) -> Issuer {
            let terms = Voucher {
                issuer: ISSUER.into(),
                keys: "jwks.json".into(),
                audience: "nhi".into(),
                required: [("repository".to_owned(), "acme/nhi".to_owned())].into(),
                claim: "actor".into(),
                principals: [("octo".to_owned(), "bo@acme.example".to_owned())].into(),
            };
            Issuer { terms, keys: Keys::parse(&self.jwks()).unwrap() }
        }

        fn signed(&self, header: &Value, claims: &Value) -> String {
            let part = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
            let signed = format!("{}.{}", part(header), part(claims));
            let signature = self.pair.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
            format!("{signed}.{}", BASE64URL_NOPAD.encode(signature.as_ref()))
        }

        fn token(&self, changes: &Value) -> String {
            let mut claims = json!({
                "iss": ISSUER, "aud": "nhi", "repository": "acme/nhi", "actor": "octo",
                "iat": seconds(0), "nbf": seconds(-300), "exp": seconds(600),
            });
            for (name, value) in changes.as_object().unwrap() {
                claims[name] = value.clone();
            }
            self.signed(&json!({ "alg": "ES256", "kid": "k1" }), &claims)
        }
    }

    fn now() -> Now {
        "2027-01-10T12:00:00Z".parse::<jiff::Timestamp>().unwrap().into()
    }

    fn seconds(after: i64) -> i64 {
        now().hi.as_second() + after
    }

    #[test]
    fn a_run_of_ours_names_who_asks_by_the_name_that_signers_have() {
        let ci = Ci::new();
        let of = |changes: Value| requester(&ci.token(&changes), &[ci.issuer()], now());
        assert_eq!(of(json!({})), Ok("bo@acme.example".to_owned()));
        assert_eq!(of(json!({ "aud": ["other", "nhi"] })), Ok("bo@acme.example".to_owned()));
        let principals = [("583231".to_owned(), "bo@acme.example".to_owned())].into();
        let Issuer { terms, keys } = ci.issuer();
        let terms = Voucher { claim: "actor_id".into(), principals, ..terms };
        let numbered = Issuer { terms, keys };
        let token = ci.token(&json!({ "actor_id": 583_231 }));
        assert_eq!(requester(&token, &[numbered], now()), Ok("bo@acme.example".to_owned()));
    }

    #[test]
    fn a_token_of_somebody_else_of_another_time_or_for_another_is_none() {
        let ci = Ci::new();
        for (changes, told) in [
            (json!({ "aud": "sts.amazonaws.com" }), "somebody else than"),
            (json!({ "aud": null }), "somebody else than"),
            (json!({ "iss": "https://gitlab.com" }), "no issuer"),
            (json!({ "iss": null }), "who issued it"),
            (json!({ "repository": "eve/nhi" }), "not \"acme/nhi\""),
            (json!({ "repository": null }), "has no repository"),
            (json!({ "actor": null }), "has no actor"),
            (json!({ "actor": " " }), "has no actor"),
            // A second account of somebody who signs is not somebody else.
            (json!({ "actor": "octo-two" }), "does not say who"),
            (json!({ "exp": seconds(0) }), "is over"),
            (json!({ "exp": null }), "no time"),
            (json!({ "exp": "never" }), "no time"),
            (json!({ "nbf": seconds(3600).to_string() }), "no time"),
            (json!({ "nbf": seconds(61) }), "to come"),
            (json!({ "iat": seconds(61) }), "to come"),
            (json!({ "exp": seconds(86_401) }), "more than a day"),
        ] {
            let error = requester(&ci.token(&changes), &[ci.issuer()], now()).unwrap_err();
            assert!(error.to_string().contains(told), "{changes}: {error}");
        }
        let Issuer { terms, keys } = ci.issuer();
        let any = Issuer { terms: Voucher { required: [].into(), ..terms }, keys };
        let error = requester(&ci.token(&json!({})), &[any], now()).unwrap_err();
        assert!(error.to_string().contains("whose runs"), "{error}");
    }

    #[test]
    fn a_token_that_was_forged_or_says_how_it_wants_to_be_checked_is_none() {
        let (ci, eve) = (Ci::new(), Ci::new());
        let issuers = [ci.issuer()];
        let claims = json!({
            "iss": ISSUER, "aud": "nhi", "repository": "acme/nhi", "actor": "octo", "exp": seconds(600),
        });
        let by =
            |who: &Ci, header: Value| requester(&who.signed(&header, &claims), &issuers, now());
        assert!(by(&ci, json!({ "alg": "ES256", "kid": "k1" })).is_ok());
        assert!(by(&ci, json!({ "alg": "ES256" })).is_ok(), "there is one key that it can be");
        for (who, header) in [
            (&eve, json!({ "alg": "ES256", "kid": "k1" })),
            (&ci, json!({ "alg": "ES256", "kid": "k2" })),
            (&ci, json!({ "alg": "RS256", "kid": "k1" })),
            (&ci, json!({ "alg": "none", "kid": "k1" })),
            (&ci, json!({ "alg": "HS256", "kid": "k1" })),
            (&ci, json!({ "kid": "k1" })),
            (&ci, json!({ "alg": "ES256", "kid": "k1", "crit": ["b64"] })),
        ] {
            assert!(by(who, header.clone()).is_err(), "{header}");
        }
        let good = ci.token(&json!({}));
        let (rest, _) = good.rsplit_once('.').unwrap();
        let other = ci.token(&json!({ "actor": "eve" }));
        let (_, signature) = other.rsplit_once('.').unwrap();
        let long = format!("{rest}.{}", "A".repeat(LARGEST));
        for forged in [
            format!("{rest}."),
            format!("{rest}.{signature}"),
            rest.to_owned(),
            format!("{good}.x"),
            String::new(),
            "a.b.c".to_owned(),
            long,
        ] {
            let error = requester(&forged, &issuers, now()).unwrap_err().to_string();
            assert!(
                !error.contains(signature) && !error.contains(rest),
                "a token is told: {error}"
            );
        }
    }

    #[test]
    fn a_token_that_others_made_with_openssl_is_believed_by_either_kind_of_key() {
        let keys = include_str!("../../../fuzz/keys/jwks.json");
        let Issuer { terms, .. } = Ci::new().issuer();
        let terms = Voucher { issuer: "https://ci.example".into(), ..terms };
        let issuer = Issuer { terms, keys: Keys::parse(keys).unwrap() };
        let then = jiff::Timestamp::from_second(1_799_582_400).unwrap();
        for token in [
            include_str!("../../../fuzz/seeds/tokens/rs256"),
            include_str!("../../../fuzz/seeds/tokens/es256"),
        ] {
            let who = requester(token, std::slice::from_ref(&issuer), then.into());
            assert_eq!(who, Ok("bo@acme.example".to_owned()));
        }
    }

    #[test]
    fn a_key_of_another_kind_is_passed_over_and_a_set_without_one_is_refused() {
        for (text, told) in [
            ("{}", "\"keys\""),
            ("no", "JWKS"),
            (r#"{"keys":[]}"#, "none of its keys"),
            (r#"{"keys":[{"kty":"oct","k":"AA"}]}"#, "none of its keys"),
            (r#"{"keys":[{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}]}"#, "none of its keys"),
            (r#"{"keys":[{"kty":"RSA","use":"enc","n":"AA","e":"AQAB"}]}"#, "none of its keys"),
        ] {
            let error = Keys::parse(text).unwrap_err().to_string();
            assert!(error.contains(told), "{text}: {error}");
        }
    }
}
