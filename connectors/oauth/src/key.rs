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
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

const BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const END: &str = "-----END PRIVATE KEY-----";

fn broken(what: &str) -> Error {
    Error::Configuration(format!("the private key {what}"))
}

/// Makes an ES256 key, as PKCS#8 in PEM.
pub(crate) fn generate() -> Result<Secret> {
    let random = SystemRandom::new();
    let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random)
        .map_err(|_| broken("cannot be made: this machine gives no random numbers"))?;
    let body = Zeroizing::new(STANDARD.encode(document.as_ref()));
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

fn load(secret: &Secret) -> Result<EcdsaKeyPair> {
    let text = secret.expose().trim();
    let body = text.strip_prefix(BEGIN).and_then(|rest| rest.strip_suffix(END));
    let body = body.ok_or_else(|| broken("is no PKCS#8 key in PEM"))?;
    let body: Zeroizing<String> = Zeroizing::new(body.split_whitespace().collect());
    let der = Zeroizing::new(STANDARD.decode(&*body).map_err(|_| broken("is no PEM"))?);
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &der, &SystemRandom::new())
        .map_err(|_| broken("is no ES256 key"))
}

/// The public half as a JWK under a key id.
pub(crate) fn public(secret: &Secret, kid: &str) -> Result<Map<String, Value>> {
    let pair = load(secret)?;
    let point = pair.public_key().as_ref();
    let (Some(x), Some(y)) = (point.get(1..33), point.get(33..65)) else {
        return Err(broken("has no public half"));
    };
    let jwk = json!({
        "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": kid,
        "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y),
    });
    Ok(jwk.as_object().cloned().unwrap_or_default())
}

/// What a JWK is known by: its key id, else its thumbprint (RFC 7638).
pub(crate) fn id_of(jwk: &Map<String, Value>) -> String {
    if let Some(kid) = jwk.get("kid").and_then(Value::as_str) {
        return kid.to_owned();
    }
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
    let header = json!({ "alg": "ES256", "kid": kid, "typ": "JWT" });
    let claims = json!({
        "iss": client_id, "sub": client_id, "aud": audience, "jti": URL_SAFE_NO_PAD.encode(id),
        "iat": now.as_second(), "exp": now.as_second() + 60,
    });
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(&header), part(&claims));
    let signature =
        load(secret)?.sign(&random, signed.as_bytes()).map_err(|_| broken("cannot sign"))?;
    Ok(Secret::new(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))))
}

#[cfg(test)]
mod tests {
    use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

    use super::*;

    #[test]
    fn an_assertion_is_signed_by_the_key_that_the_jwk_shows() {
        let secret = generate().unwrap();
        let jwk = public(&secret, "k1").unwrap();
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let jwt = assertion(&secret, "k1", "c", "https://issuer", now).unwrap();
        let (signed, signature) = jwt.expose().rsplit_once('.').unwrap();
        let part = |name: &str| URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap();
        let point = [vec![4], part("x"), part("y")].concat();
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
        key.verify(signed.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap()).unwrap();
        assert!(!same(&jwk, &public(&generate().unwrap(), "k1").unwrap()));
    }

    #[test]
    fn a_thumbprint_is_that_of_the_standard() {
        // RFC 7638 §3.1.
        let jwk = json!({"kty": "RSA", "e": "AQAB", "alg": "RS256", "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"});
        assert_eq!(id_of(jwk.as_object().unwrap()), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
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
