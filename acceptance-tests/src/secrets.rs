//! Looking for secrets where none may be.

use std::{
    collections::BTreeSet,
    fs,
    io::{Cursor, Read},
    path::Path,
};

use aho_corasick::AhoCorasick;
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD},
};
use serde_json::Value;

use crate::Result;

/// Shorter ones would be found everywhere.
const SHORTEST: usize = 12;
/// How many wrappings (archives, base64 in JSON) are taken off.
const DEEPEST: u8 = 4;

/// A search for some secrets in every form that they may have been written in.
#[derive(Debug)]
pub struct Search(AhoCorasick);

impl Search {
    /// A search for these.
    ///
    /// # Errors
    ///
    /// None of them is long enough to be told from chance: the search would find nothing anywhere.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Result<Search> {
        let needles: BTreeSet<Vec<u8>> =
            secrets.into_iter().filter(|one| one.len() >= SHORTEST).flat_map(forms).collect();
        if needles.is_empty() {
            return Err("no secret is known, so none can be searched for".into());
        }
        AhoCorasick::new(needles).map(Search).map_err(|error| error.to_string())
    }

    /// Whether a text holds one.
    pub fn told(&self, text: &str) -> bool {
        self.0.is_match(text)
    }

    /// Where bytes hold one: the name, and within archives the member's.
    pub fn places(&self, name: &str, bytes: &[u8]) -> Vec<String> {
        let mut found = Vec::new();
        self.look(name, bytes, DEEPEST, &mut found);
        found
    }

    fn look(&self, name: &str, bytes: &[u8], depth: u8, found: &mut Vec<String>) {
        if self.0.is_match(bytes) {
            found.push(name.to_owned());
        }
        let Some(depth) = depth.checked_sub(1) else { return };
        // A saved plan is an archive, and what it says is deflated.
        if let Ok(mut archive) = zip::ZipArchive::new(Cursor::new(bytes)) {
            for index in 0..archive.len() {
                let Ok(mut member) = archive.by_index(index) else {
                    found.push(format!("{name}: member {index} cannot be read"));
                    continue;
                };
                let inner = format!("{name}!{}", member.name());
                let mut bytes = Vec::new();
                match member.read_to_end(&mut bytes) {
                    Ok(_) => self.look(&inner, &bytes, depth, found),
                    Err(error) => found.push(format!("{inner} cannot be read: {error}")),
                }
            }
        } else if let Ok(json) = serde_json::from_slice::<Value>(bytes) {
            // Private state is bytes in base64.
            self.look_in_strings(name, &json, depth, found);
        }
    }

    fn look_in_strings(&self, name: &str, json: &Value, depth: u8, found: &mut Vec<String>) {
        match json {
            Value::String(text) if text.len() >= SHORTEST => {
                let engines = [&STANDARD, &STANDARD_NO_PAD, &URL_SAFE, &URL_SAFE_NO_PAD];
                if let Some(bytes) = engines.into_iter().find_map(|one| one.decode(text).ok()) {
                    self.look(&format!("{name} (base64 within)"), &bytes, depth, found);
                }
            }
            Value::Array(all) => {
                all.iter().for_each(|one| self.look_in_strings(name, one, depth, found));
            }
            Value::Object(all) => {
                all.values().for_each(|one| self.look_in_strings(name, one, depth, found));
            }
            _ => {}
        }
    }

    /// Every place below a folder that holds one.
    ///
    /// # Errors
    ///
    /// A file cannot be read.
    pub fn below(&self, folder: &Path) -> Result<Vec<String>> {
        let mut found = Vec::new();
        let told = |path: &Path, error: std::io::Error| format!("{}: {error}", path.display());
        for entry in fs::read_dir(folder).map_err(|error| told(folder, error))? {
            let path = entry.map_err(|error| told(folder, error))?.path();
            if path.is_symlink() {
                continue;
            } else if path.is_dir() {
                found.extend(self.below(&path)?);
            } else if path.is_file() {
                let bytes = fs::read(&path).map_err(|error| told(&path, error))?;
                found.extend(self.places(&path.display().to_string(), &bytes));
            }
        }
        Ok(found)
    }
}

/// A secret as it stands in clear, in JSON, in JSON in JSON, in URLs, in hex, and in base64 at each
/// of the three positions that it may have there.
fn forms(secret: &str) -> Vec<Vec<u8>> {
    let json = escaped(secret);
    // Go's encoder escapes these as well.
    let html = json.replace('&', "\\u0026").replace('<', "\\u003c").replace('>', "\\u003e");
    let hex = |upper: bool| -> String {
        let one = |byte: u8| if upper { format!("{byte:02X}") } else { format!("{byte:02x}") };
        secret.bytes().map(one).collect()
    };
    let mut all = vec![
        secret.to_owned(),
        escaped(&json),
        json,
        escaped(&html),
        html,
        hex(true),
        hex(false),
        percent(secret, true),
        percent(secret, false),
        percent(secret, true).replace("%20", "+"),
    ];
    for shift in 0..3 {
        let bytes = &secret.as_bytes()[shift..];
        // What stands beside it changes the last characters of what is no whole three bytes.
        let whole = &bytes[..bytes.len() / 3 * 3];
        all.extend([STANDARD.encode(whole), URL_SAFE.encode(whole)]);
    }
    all.extend(slices(secret));
    all.into_iter().map(String::into_bytes).collect()
}

/// Pieces of a secret's latter half, for what is only a part of one: how it begins may be public (the
/// kind of a token, the algorithm of a signature), and words in it are everybody's. What is more than a
/// token, such as an address or a document, has public parts everywhere.
fn slices(secret: &str) -> impl Iterator<Item = String> + '_ {
    let more = |byte: &u8| matches!(byte, b'/' | b'{' | b'"') || byte.is_ascii_whitespace();
    let from = if secret.as_bytes().iter().any(more) { secret.len() } else { secret.len() / 2 };
    let half = &secret.as_bytes()[from..];
    half.windows(SHORTEST).filter_map(|piece| {
        let random = piece.iter().all(u8::is_ascii_alphanumeric)
            && piece.iter().any(u8::is_ascii_digit)
            && piece.iter().any(u8::is_ascii_alphabetic);
        random.then(|| piece.iter().copied().map(char::from).collect())
    })
}

fn escaped(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

fn percent(text: &str, upper: bool) -> String {
    let one = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
            char::from(byte).to_string()
        }
        _ if upper => format!("%{byte:02X}"),
        _ => format!("%{byte:02x}"),
    };
    text.bytes().map(one).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// With everything in it that some encoding changes.
    const SECRET: &str = "-----BEGIN KEY-----\nMHc/CAQ+E&\"<ä> 42==\n";

    fn search() -> Search {
        Search::new(["short", SECRET]).unwrap()
    }

    fn archive(member: &str, text: &str) -> Vec<u8> {
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        let deflated = zip::write::SimpleFileOptions::default()
            .compression_method(zip::CompressionMethod::Deflated);
        zip.start_file(member, deflated).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
        zip.finish().unwrap().into_inner()
    }

    #[test]
    fn a_secret_is_found_in_every_encoding_and_nothing_is_found_where_none_is() {
        let json = serde_json::json!({ "key": SECRET }).to_string();
        for text in [
            SECRET.to_owned(),
            json.clone(),
            serde_json::json!({ "body": json }).to_string(),
            json.replace('&', "\\u0026").replace('<', "\\u003c").replace('>', "\\u003e"),
            STANDARD.encode(format!("a{SECRET}")),
            STANDARD.encode(format!("ab{SECRET}b")),
            URL_SAFE_NO_PAD.encode(format!("abc{SECRET}bcd")),
            SECRET.bytes().map(|byte| format!("{byte:02x}")).collect(),
            SECRET.bytes().map(|byte| format!("{byte:02X}")).collect(),
            url::form_urlencoded::byte_serialize(SECRET.as_bytes()).collect(),
            percent(SECRET, false),
        ] {
            assert!(search().told(&format!("before {text} after")), "{text}");
        }
        for text in ["", "short", "-----BEGIN KEY-----", &"x".repeat(4096)] {
            assert!(!search().told(text), "{text}");
        }
    }

    #[test]
    fn a_secret_is_found_in_a_saved_plan_and_in_private_state() {
        let text = format!("{}{SECRET}", "filler ".repeat(500));
        let plan = archive("tfplan", &text);
        assert!(!search().0.is_match(&plan), "deflated, it is not there to see");
        assert_eq!(search().places("saved", &plan), ["saved!tfplan"]);
        // A state within a plan, and private bytes within the state, which are JSON with base64.
        let private = serde_json::json!({ "mine": STANDARD.encode(SECRET) }).to_string();
        let state = serde_json::json!({ "resources": [{ "private": STANDARD.encode(private) }] })
            .to_string();
        assert!(!search().told(&state), "twice in base64, it is not there to see");
        assert!(!search().places("state", state.as_bytes()).is_empty());
        assert!(!search().places("saved", &archive("tfstate", &state)).is_empty());
        assert!(search().places("saved", &archive("tfplan", "nothing")).is_empty());
    }

    #[test]
    fn a_part_of_a_secret_is_found_too_and_no_word_of_it() {
        let secret = "default:development.4f0c2b9a7d1e6583aa90c4";
        let search = Search::new([secret]).unwrap();
        assert!(search.told("token …2b9a7d1e6583… refused"));
        for text in ["default:development", "development.4f0c"] {
            assert!(!search.told(text), "{text}");
        }
        let address = Search::new(["http://127.0.0.1:8080/register/4f0c2b9a7d1e6583"]).unwrap();
        assert!(!address.told("client 4f0c2b9a7d1e6583"));
    }

    #[test]
    fn a_search_for_nothing_is_refused() {
        assert!(Search::new(["", "short"]).is_err());
    }
}
