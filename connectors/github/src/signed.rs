//! What a delivery is signed with: GitHub tells of each what it sent and under which signature, so that a
//! secret is compared with it here, and shown to nobody.

use connector::{Error, Result};
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use domain::Secret;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use ring::{
    digest, hmac,
    rand::{SecureRandom, SystemRandom},
};
use serde::Deserialize;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

/// The header of a delivery that holds its signature.
const SIGNATURE: &str = "x-hub-signature-256";
/// What a form leaves as it is.
const FORM: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'*');

/// A secret that nobody has had.
pub(crate) fn choose() -> Result<Secret> {
    let mut bytes = Zeroizing::new([0u8; 32]);
    SystemRandom::new()
        .fill(&mut *bytes)
        .map_err(|_| Error::Configuration("this machine gives no random numbers".into()))?;
    Ok(Secret::new(BASE64URL_NOPAD.encode(&*bytes)))
}

/// Another text of the same length.
pub(crate) fn random_like(secret: &Secret) -> Result<Secret> {
    let mut text = Zeroizing::new(String::with_capacity(secret.expose().len() + 64));
    while text.len() < secret.expose().len() {
        text.push_str(choose()?.expose());
    }
    Ok(Secret::new(&text[..secret.expose().len()]))
}

/// The key id of a secret, which cannot be guessed and so is not told by its digest.
pub(crate) fn key_id(secret: &Secret) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(b"nhi-github-webhook/1\0");
    context.update(secret.expose().as_bytes());
    HEXLOWER.encode(context.finish().as_ref().get(..8).unwrap_or_default())
}

/// What a delivery says of itself.
#[derive(Debug)]
pub(crate) struct Delivered {
    /// `sha256=…`; `None` where it was not signed.
    signature: Option<String>,
    /// What was sent, as it was written.
    payload: Vec<u8>,
}

impl Delivered {
    /// Reads a delivery; `None` where it does not say what was sent.
    pub(crate) fn read(body: &[u8]) -> Option<Delivered> {
        #[derive(Deserialize)]
        struct Whole {
            request: Sent,
        }
        #[derive(Deserialize)]
        struct Sent {
            headers: Option<Map<String, Value>>,
        }
        let whole: Whole = serde_json::from_slice(body).ok()?;
        let headers = whole.request.headers?;
        let signature = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(SIGNATURE));
        let signature = signature.and_then(|(_, value)| value.as_str()).map(str::to_owned);
        let text = std::str::from_utf8(body).ok()?;
        let payload = member(member(text, "request")?, "payload")?;
        if !payload.starts_with('{') {
            return None;
        }
        Some(Delivered { signature, payload: compact(payload).into_bytes() })
    }

    /// Whether it was signed at all.
    pub(crate) fn is_signed(&self) -> bool {
        self.signature.is_some()
    }

    /// Whether it was signed with a secret, sent as JSON or as a form.
    pub(crate) fn is_signed_with(&self, secret: &Secret) -> bool {
        let signature = self.signature.as_deref().and_then(|text| text.strip_prefix("sha256="));
        let signature = signature.and_then(|hex| HEXLOWER.decode(hex.as_bytes()).ok());
        let Some(signature) = signature else { return false };
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes());
        let form = percent_encode(&self.payload, FORM).to_string().replace("%20", "+");
        let form = format!("payload={form}");
        [self.payload.as_slice(), form.as_bytes()]
            .into_iter()
            .any(|sent| hmac::verify(&key, sent, &signature).is_ok())
    }
}

/// The text of one member of an object, as it is written: numbers, escapes and order stay.
fn member<'a>(object: &'a str, name: &str) -> Option<&'a str> {
    let mut rest = object.trim_start().strip_prefix('{')?.trim_start();
    while rest.starts_with('"') {
        let key = value_end(rest)?;
        let (written, after) = rest.split_at_checked(key)?;
        let value = after.trim_start().strip_prefix(':')?.trim_start();
        let (found, after) = value.split_at_checked(value_end(value)?)?;
        if written.get(1..written.len() - 1) == Some(name) {
            return Some(found);
        }
        rest = after.trim_start().strip_prefix(',')?.trim_start();
    }
    None
}

/// Where the value that a text begins with ends.
fn value_end(text: &str) -> Option<usize> {
    let (mut depth, mut quoted, mut escaped) = (0usize, false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => {
                quoted = !quoted;
                if !quoted && depth == 0 {
                    return Some(at + 1);
                }
            }
            _ if quoted => {}
            '{' | '[' => depth += 1,
            '}' | ']' if depth == 0 => return Some(at),
            '}' | ']' => {
                depth -= 1;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            ',' if depth == 0 => return Some(at),
            _ => {}
        }
    }
    None
}

/// The same without what stands between tokens: GitHub sends no blanks, whatever it shows.
fn compact(json: &str) -> String {
    let (mut quoted, mut escaped) = (false, false);
    let keep = |c: &char| {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => {}
        }
        quoted || !c.is_ascii_whitespace()
    };
    json.chars().filter(keep).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sign(secret: &Secret, sent: &str) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes());
        format!("sha256={}", HEXLOWER.encode(hmac::sign(&key, sent.as_bytes()).as_ref()))
    }

    fn delivery(signature: &str, payload: &str) -> Vec<u8> {
        format!(
            r#"{{ "id": 1, "request": {{ "headers": {{"Accept": "*/*", "X-Hub-Signature-256": "{signature}"}},
               "payload": {payload} }}, "response": {{ "headers": {{}}, "payload": "{{}}" }} }}"#
        )
        .into_bytes()
    }

    #[test]
    fn a_delivery_tells_which_secret_it_was_signed_with() {
        let secret = choose().unwrap();
        // Order, numbers and escapes are the sender's.
        let sent = r#"{"zen":"Half \u00e9 \"a b\" {[, ","hook_id":12345678901234567890,"b":1.50,"a":[1, 2]}"#;
        let sent = compact(sent);
        let shown = sent.replace(",\"", ",\n  \"").replace("[1,", "[ 1 ,");
        let found = Delivered::read(&delivery(&sign(&secret, &sent), &shown)).unwrap();
        assert!(found.is_signed() && found.is_signed_with(&secret));
        assert!(!found.is_signed_with(&random_like(&secret).unwrap()));
        let form = format!("payload={}", percent_encode(sent.as_bytes(), FORM)).replace("%20", "+");
        let found = Delivered::read(&delivery(&sign(&secret, &form), &shown)).unwrap();
        assert!(found.is_signed_with(&secret));
        let other = Delivered::read(&delivery(&sign(&secret, "{}"), &shown)).unwrap();
        assert!(!other.is_signed_with(&secret));
    }

    #[test]
    fn a_delivery_that_does_not_say_what_was_sent_says_nothing() {
        for body in [
            "",
            "{}",
            "[]",
            r#"{"request":{"headers":null,"payload":null}}"#,
            r#"{"request":{"headers":{},"payload":null}}"#,
            r#"{"request":{"headers":{}}}"#,
        ] {
            assert!(Delivered::read(body.as_bytes()).is_none(), "{body}");
        }
        let bare = Delivered::read(br#"{"request":{"headers":{},"payload":{}}}"#).unwrap();
        assert!(!bare.is_signed() && !bare.is_signed_with(&choose().unwrap()));
    }

    #[test]
    fn a_secret_has_one_key_id_which_does_not_tell_it() {
        let (one, two) = (choose().unwrap(), choose().unwrap());
        assert_eq!(key_id(&one), key_id(&one.duplicate()));
        assert_ne!(key_id(&one), key_id(&two));
        assert!(!one.expose().contains(&key_id(&one)) && one.expose().len() == 43);
        for length in [1, 43, 100] {
            let like = random_like(&Secret::new("x".repeat(length))).unwrap();
            assert_eq!(like.expose().len(), length);
        }
    }

    proptest! {
        #[test]
        fn a_member_is_found_as_it_is_written(a in "\\PC*", b in any::<i64>(), c in "\\PC*") {
            let whole = serde_json::json!({ "x": { "p": a, "y": [c, { "p": 0 }] }, "p": b });
            let text = whole.to_string();
            let found = member(&text, "p").unwrap();
            prop_assert_eq!(found, b.to_string());
            let inner = member(&text, "x").unwrap();
            prop_assert_eq!(serde_json::from_str::<Value>(inner).unwrap(), whole["x"].clone());
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in "\\PC*", bytes in any::<Vec<u8>>()) {
            let _ = (member(&text, "p"), Delivered::read(text.as_bytes()), Delivered::read(&bytes));
        }
    }
}
