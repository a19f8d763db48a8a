//! Signing in as a GitHub App: a statement signed with its private key gets a token of its installation,
//! which lives an hour.

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use connector::{Error, Result};
use domain::Secret;
use jiff::{SignedDuration, Timestamp};
use ring::{rand::SystemRandom, rsa::KeyPair, signature::RSA_PKCS1_SHA256};
use serde_json::json;
use zeroize::Zeroizing;

/// How a key is written: what stands around it, and whether it is one of many kinds.
const FORMS: [(&str, &str, bool); 2] = [
    ("-----BEGIN RSA PRIVATE KEY-----", "-----END RSA PRIVATE KEY-----", false),
    ("-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----", true),
];
/// A statement is good for ten minutes at most, and no clock is quite right.
const BEFORE: i64 = 60;
const AFTER: i64 = 540;
/// A token that ends so soon is not used any more.
const RESERVE: SignedDuration = SignedDuration::from_mins(5);

/// An App, and the token that it has now.
pub(crate) struct App {
    id: String,
    key: KeyPair,
    token: tokio::sync::Mutex<Option<Token>>,
}

/// A token of an installation.
#[derive(Debug)]
pub(crate) struct Token {
    pub(crate) secret: Secret,
    pub(crate) expires_at: Timestamp,
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "App({})", self.id)
    }
}

impl App {
    /// Reads its private key, as GitHub gives it out.
    pub(crate) fn new(id: &str, secret: &Secret) -> std::result::Result<App, String> {
        let text = secret.expose().trim();
        let form = FORMS.into_iter().find_map(|(begin, end, many)| {
            Some((text.strip_prefix(begin)?.strip_suffix(end)?, many))
        });
        let (body, many) =
            form.ok_or("with app_id the credential is the App's private key, and this is none")?;
        let body: Zeroizing<String> = Zeroizing::new(body.split_whitespace().collect());
        let der = STANDARD.decode(&*body).map_err(|_| "the App's private key is no PEM")?;
        let der = Zeroizing::new(der);
        let key = if many { KeyPair::from_pkcs8(&der) } else { KeyPair::from_der(&der) };
        let key = key.map_err(|_| "the App's private key is no RSA key of 2048 bits or more")?;
        Ok(App { id: id.to_owned(), key, token: tokio::sync::Mutex::default() })
    }

    /// Says who it is: a JWT (RFC 7519), signed with RS256.
    pub(crate) fn statement(&self, now: Timestamp) -> Result<Secret> {
        let part = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let header = part(&json!({ "alg": "RS256", "typ": "JWT" }));
        let now = now.as_second();
        let claims = part(&json!({ "iat": now - BEFORE, "exp": now + AFTER, "iss": self.id }));
        let signed = format!("{header}.{claims}");
        let mut signature = vec![0; self.key.public().modulus_len()];
        self.key
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature)
            .map_err(|_| Error::Configuration("the App's private key cannot sign".into()))?;
        Ok(Secret::new(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(&signature))))
    }

    /// The token that it has, where that lives long enough, or another one; whoever comes while one is
    /// asked for waits for that.
    pub(crate) async fn token(
        &self,
        now: Timestamp,
        ask: impl AsyncFnOnce() -> Result<Token>,
    ) -> Result<Secret> {
        let mut token = self.token.lock().await;
        let lives = |token: &Token| token.expires_at.duration_since(now) > RESERVE;
        if let Some(token) = token.as_ref().filter(|token| lives(token)) {
            return Ok(token.secret.duplicate());
        }
        let asked = ask().await?;
        let secret = asked.secret.duplicate();
        *token = Some(asked);
        Ok(secret)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_key_is_refused_without_quoting_it() {
        let (begin, end, _) = FORMS[0];
        for text in ["ghs_verysecret", "", &format!("{begin}\nverysecret\n{end}"), begin] {
            let said = App::new("1", &Secret::new(text)).map(drop).unwrap_err();
            assert!(said.contains("private key") && !said.contains("verysecret"), "{said}");
        }
    }
}
