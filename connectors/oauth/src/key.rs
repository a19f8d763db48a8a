//! A private key of ours: made, shown as a public JWK, used to sign in.

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use connector::{Error, Result};
use domain::Secret;
use jiff::Timestamp;
use ring::{
    digest,
    rand::{SecureRandom, SystemRandom},
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
        EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair,
    },
};
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use crate::tables::{ALGORITHMS, PRIVATE_KEY};

const BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const END: &str = "-----END PRIVATE KEY-----";

fn broken(what: &str) -> Error {
    Error::Configuration(format!("the private key {what}"))
}

/// The PKCS#8 form of an Ed25519 key up to the 32 octets of the key itself (RFC 8410 §7). The form
/// that `ring` writes has the public half too, which older libraries do not read.
const ED25519: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// A key as it signs.
enum Pair {
    Ecdsa(&'static str, &'static str, EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl Pair {
    fn algorithm(&self) -> &'static str {
        match self {
            Pair::Ecdsa(name, ..) => name,
            Pair::Ed25519(_) => "EdDSA",
        }
    }
}

/// The curves of ECDSA: name of the algorithm, of the curve, and how they sign.
static CURVES: [(&str, &str, &EcdsaSigningAlgorithm); 2] = [
    ("ES256", "P-256", &ECDSA_P256_SHA256_FIXED_SIGNING),
    ("ES384", "P-384", &ECDSA_P384_SHA384_FIXED_SIGNING),
];

/// Makes a key for an algorithm, as PKCS#8 in PEM.
pub(crate) fn generate(algorithm: &str) -> Result<Secret> {
    let random = SystemRandom::new();
    let poor = || broken("cannot be made: this machine gives no random numbers");
    let curve = CURVES.iter().find(|(name, ..)| *name == algorithm);
    let body = match curve {
        Some((.., signing)) => {
            let made = EcdsaKeyPair::generate_pkcs8(signing, &random).map_err(|_| poor())?;
            Zeroizing::new(STANDARD.encode(made.as_ref()))
        }
        None if algorithm == "EdDSA" => {
            let mut made = Zeroizing::new([0u8; 48]);
            made[..16].copy_from_slice(&ED25519);
            random.fill(&mut made[16..]).map_err(|_| poor())?;
            Zeroizing::new(STANDARD.encode(&made[..]))
        }
        None => {
            return Err(Error::Configuration(format!(
                "{PRIVATE_KEY}.algorithm is {algorithm:?}: expected one of {}",
                ALGORITHMS.join(", ")
            )));
        }
    };
    let mut pem = String::with_capacity(body.len() + 80);
    pem.push_str(BEGIN);
    for (at, c) in body.char_indices() {
        if at % 64 == 0 {
            pem.push('\n');
        }
        pem.push(c);
    }
    pem.push('\n');
    pem.push_str(END);
    pem.push('\n');
    Ok(Secret::new(pem))
}

fn load(secret: &Secret) -> Result<Pair> {
    let text = secret.expose().trim();
    let body = text.strip_prefix(BEGIN).and_then(|rest| rest.strip_suffix(END));
    let body = body.ok_or_else(|| broken("is no PKCS#8 key in PEM"))?;
    let body: Zeroizing<String> = Zeroizing::new(body.split_whitespace().collect());
    let der = Zeroizing::new(STANDARD.decode(&*body).map_err(|_| broken("is no PEM"))?);
    for (name, curve, signing) in CURVES {
        if let Ok(pair) = EcdsaKeyPair::from_pkcs8(signing, &der, &SystemRandom::new()) {
            return Ok(Pair::Ecdsa(name, curve, pair));
        }
    }
    let ed25519 = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der);
    let none = || broken(&format!("is for none of {}", ALGORITHMS.join(", ")));
    ed25519.map(Pair::Ed25519).map_err(|_| none())
}

/// What a key signs with.
pub(crate) fn algorithm(secret: &Secret) -> Result<&'static str> {
    Ok(load(secret)?.algorithm())
}

/// The public half as a JWK. Its key id is the marker and the key's own thumbprint, so that another
/// key under it is seen.
pub(crate) fn public(secret: &Secret, marker: &str) -> Result<Map<String, Value>> {
    let pair = load(secret)?;
    let mut jwk = match &pair {
        Pair::Ecdsa(name, curve, pair) => {
            // An uncompressed point: a 4, and the two coordinates.
            let point = pair.public_key().as_ref().get(1..).unwrap_or_default();
            let (x, y) = point.split_at(point.len() / 2);
            json!({
                "kty": "EC", "crv": curve, "use": "sig", "alg": name,
                "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y),
            })
        }
        Pair::Ed25519(pair) => json!({
            "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA",
            "x": URL_SAFE_NO_PAD.encode(pair.public_key().as_ref()),
        }),
    };
    let jwk = jwk.as_object_mut().map(std::mem::take).unwrap_or_default();
    let kid = format!("{marker}.{}", thumbprint(&jwk));
    Ok(jwk.into_iter().chain([("kid".to_owned(), Value::String(kid))]).collect())
}

/// What a JWK is known by: its key id and its thumbprint. Two keys may bear one key id, and one may
/// come into another's place.
pub(crate) fn id_of(jwk: &Map<String, Value>) -> String {
    let own = thumbprint(jwk);
    match jwk.get("kid").and_then(Value::as_str) {
        Some(kid) if bound(kid, &own).is_some() => kid.to_owned(),
        Some(kid) => format!("{kid}.{own}"),
        None => own,
    }
}

/// The marker in a key id that was made for this very key.
pub(crate) fn marker_of(jwk: &Map<String, Value>) -> Option<String> {
    let kid = jwk.get("kid").and_then(Value::as_str)?;
    let marker = bound(kid, &thumbprint(jwk))?;
    marker.starts_with("nhi1-").then(|| marker.to_owned())
}

/// The key id that an assertion names.
pub(crate) fn kid_of(jwk: &Map<String, Value>) -> String {
    let kid = jwk.get("kid").and_then(Value::as_str);
    kid.map_or_else(|| thumbprint(jwk), str::to_owned)
}

fn bound<'a>(kid: &'a str, own: &str) -> Option<&'a str> {
    kid.strip_suffix(own)?.strip_suffix('.')
}

/// RFC 7638.
fn thumbprint(jwk: &Map<String, Value>) -> String {
    let text = |name: &str| jwk.get(name).and_then(Value::as_str).unwrap_or_default();
    let members: &[&str] = match text("kty") {
        "RSA" => &["e", "kty", "n"],
        "OKP" => &["crv", "kty", "x"],
        _ => &["crv", "kty", "x", "y"],
    };
    let parts: Vec<String> =
        members.iter().map(|name| format!("{:?}:{:?}", name, text(name))).collect();
    let canonical = format!("{{{}}}", parts.join(","));
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, canonical.as_bytes()))
}

/// Whether two JWKs are the same key.
pub(crate) fn same(a: &Map<String, Value>, b: &Map<String, Value>) -> bool {
    ["kty", "crv", "x", "y", "n", "e"].iter().all(|name| a.get(*name) == b.get(*name))
}

/// An assertion that signs a client in (RFC 7523), good for one minute and one use.
pub(crate) fn assertion(
    secret: &Secret,
    kid: &str,
    client_id: &str,
    audience: &str,
    now: Timestamp,
) -> Result<Secret> {
    let random = SystemRandom::new();
    let mut id = [0u8; 16];
    random.fill(&mut id).map_err(|_| broken("cannot sign: no random numbers"))?;
    let pair = load(secret)?;
    let header = json!({ "alg": pair.algorithm(), "kid": kid, "typ": "JWT" });
    let claims = json!({
        "iss": client_id, "sub": client_id, "aud": audience, "jti": URL_SAFE_NO_PAD.encode(id),
        "iat": now.as_second(), "exp": now.as_second() + 60,
    });
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(&header), part(&claims));
    let signature = match &pair {
        Pair::Ecdsa(.., pair) => {
            pair.sign(&random, signed.as_bytes()).map_err(|_| broken("cannot sign"))?
        }
        Pair::Ed25519(pair) => pair.sign(signed.as_bytes()),
    };
    Ok(Secret::new(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))))
}

#[cfg(test)]
mod tests {
    use ring::signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519 as VERIFY_ED25519,
        UnparsedPublicKey, VerificationAlgorithm,
    };

    use super::*;

    #[test]
    fn an_assertion_is_signed_by_the_key_that_the_jwk_shows() {
        for name in ALGORITHMS {
            let secret = generate(name).unwrap();
            assert_eq!(algorithm(&secret).unwrap(), name);
            let jwk = public(&secret, "k1").unwrap();
            assert_eq!(jwk["alg"], name);
            let now = Timestamp::from_second(1_800_000_000).unwrap();
            let jwt = assertion(&secret, "k1", "c", "https://issuer", now).unwrap();
            let (signed, signature) = jwt.expose().rsplit_once('.').unwrap();
            let part = |name: &str| {
                let text = jwk.get(name).and_then(Value::as_str).unwrap_or_default();
                URL_SAFE_NO_PAD.decode(text).unwrap()
            };
            let (how, point): (&'static dyn VerificationAlgorithm, _) = match name {
                "ES256" => (&ECDSA_P256_SHA256_FIXED, [vec![4], part("x"), part("y")].concat()),
                "ES384" => (&ECDSA_P384_SHA384_FIXED, [vec![4], part("x"), part("y")].concat()),
                _ => (&VERIFY_ED25519, part("x")),
            };
            let key = UnparsedPublicKey::new(how, point);
            key.verify(signed.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap()).unwrap();
            assert!(!same(&jwk, &public(&generate(name).unwrap(), "k1").unwrap()));
        }
        assert!(generate("none").unwrap_err().to_string().contains("oauth_private_key.algorithm"));
    }

    #[test]
    fn a_thumbprint_is_that_of_the_standard() {
        // RFC 7638 §3.1.
        let jwk = json!({"kty": "RSA", "e": "AQAB", "alg": "RS256", "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"});
        assert_eq!(
            thumbprint(jwk.as_object().unwrap()),
            "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
        );
    }

    #[test]
    fn what_is_no_key_is_refused_without_quoting_it() {
        for text in
            ["", "verysecret", "-----BEGIN PRIVATE KEY-----\nverysecret\n-----END PRIVATE KEY-----"]
        {
            let error = public(&Secret::new(text), "k").unwrap_err().to_string();
            assert!(!error.contains("verysecret"), "{error}");
        }
    }
}
