//! Who may sign: the file that OpenSSH calls `allowed_signers`.
//!
//! Source: ssh-keygen(1), ALLOWED SIGNERS. What is stricter here: a key is one person's, so a line
//! without `cert-authority` names one principal and no pattern, and one key stands in one line.

use std::collections::BTreeMap;

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use ssh_key::{Certificate, HashAlg, PublicKey, public::KeyData};

use crate::sshsig::Signed;

/// The signers of an organization.
#[derive(Debug, Clone, Default)]
pub struct Signers {
    lines: Vec<Line>,
}

#[derive(Debug, Clone)]
struct Line {
    number: usize,
    principals: Vec<String>,
    key: KeyData,
    is_authority: bool,
    namespaces: Option<Vec<String>>,
    valid_after: Option<Timestamp>,
    valid_before: Option<Timestamp>,
}

/// A line of the file, as far as others ask for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listed<'a> {
    /// The line, counted from 1.
    pub line: usize,
    /// Whom it names; of an authority these may be patterns.
    pub principals: &'a [String],
    /// The key.
    pub key: &'a KeyData,
    /// It is an authority's key, whose certificates say who signs.
    pub is_authority: bool,
    /// It is in a device that somebody touches.
    pub is_hardware: bool,
    /// From when on it is valid.
    pub valid_after: Option<Timestamp>,
    /// Until when it is.
    pub valid_before: Option<Timestamp>,
}

/// What is wrong in the file, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct SignersError {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong and what is expected.
    pub message: String,
}

/// Why whoever signed is nobody here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unknown {
    /// Nobody has this key.
    #[error("nobody in the file of signers has the key {0}")]
    Key(String),
    /// The key may not sign this.
    #[error("line {0} does not allow this namespace")]
    Namespace(usize),
    /// The key is not valid at that time.
    #[error("the key of line {line} is not valid then: {why}")]
    Validity {
        /// The line.
        line: usize,
        /// From when or until when it is.
        why: String,
    },
    /// The certificate is not good.
    #[error("its certificate does not count: {0}")]
    Certificate(String),
}

impl Signers {
    /// Reads the file.
    ///
    /// # Errors
    ///
    /// The first line that is wrong.
    pub fn parse(text: &str) -> Result<Signers, SignersError> {
        let mut signers = Signers::default();
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        for (at, raw) in text.lines().enumerate() {
            let number = at + 1;
            let raw = raw.trim();
            if raw.is_empty() || raw.starts_with('#') {
                continue;
            }
            let line =
                line(raw, number).map_err(|message| SignersError { line: number, message })?;
            let print = fingerprint(&line.key);
            if let Some(before) = seen.insert(print, number) {
                let message = format!(
                    "this key stands in line {before} already: one key is one person's, or people \
                     cannot be counted"
                );
                return Err(SignersError { line: number, message });
            }
            signers.lines.push(line);
        }
        Ok(signers)
    }

    /// The principals that it names, patterns of authorities among them.
    pub fn principals(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().flat_map(|line| line.principals.iter().map(String::as_str))
    }

    /// Its lines that may sign in a namespace.
    pub fn listed(&self, namespace: &str) -> impl Iterator<Item = Listed<'_>> {
        let named =
            move |line: &&Line| line.namespaces.as_ref().is_none_or(|all| is_among(namespace, all));
        self.lines.iter().filter(named).map(|line| Listed {
            line: line.number,
            principals: &line.principals,
            key: &line.key,
            is_authority: line.is_authority,
            is_hardware: matches!(
                line.key,
                KeyData::SkEd25519(_) | KeyData::SkEcdsaSha2NistP256(_)
            ),
            valid_after: line.valid_after,
            valid_before: line.valid_before,
        })
    }

    /// Who signed, of a signature whose mathematics is right.
    ///
    /// # Errors
    ///
    /// Why that is nobody here at that time.
    pub fn who(&self, signed: &Signed, namespace: &str, at: Timestamp) -> Result<String, Unknown> {
        match &signed.certificate {
            None => {
                let line = self.line_of(&signed.key, false)?;
                line.allows(namespace, at)?;
                Ok(line.principals[0].clone())
            }
            Some(certificate) => {
                let line = self.line_of(certificate.signature_key(), true)?;
                line.allows(namespace, at)?;
                line.certified(certificate, at)
            }
        }
    }

    fn line_of(&self, key: &KeyData, is_authority: bool) -> Result<&Line, Unknown> {
        let found =
            self.lines.iter().find(|line| line.key == *key && line.is_authority == is_authority);
        found.ok_or_else(|| Unknown::Key(fingerprint(key)))
    }
}

impl Line {
    fn allows(&self, namespace: &str, at: Timestamp) -> Result<(), Unknown> {
        let named = self.namespaces.as_ref();
        if named.is_some_and(|all| !is_among(namespace, all)) {
            return Err(Unknown::Namespace(self.number));
        }
        let validity = |why: String| Err(Unknown::Validity { line: self.number, why });
        match (self.valid_after, self.valid_before) {
            (Some(from), _) if at < from => validity(format!("from {from} on")),
            (_, Some(until)) if at >= until => validity(format!("until {until}")),
            _ => Ok(()),
        }
    }

    /// The one principal of a certificate that this authority may speak for.
    fn certified(&self, certificate: &Certificate, at: Timestamp) -> Result<String, Unknown> {
        let no = |why: &str| Err(Unknown::Certificate(why.to_owned()));
        if !certificate.cert_type().is_user() {
            return no("it is a host's");
        }
        let authority = KeyData::fingerprint(certificate.signature_key(), HashAlg::Sha256);
        let seconds = u64::try_from(at.as_second()).unwrap_or_default();
        if let Err(error) = certificate.validate_at(seconds, [&authority]) {
            return no(&format!("{error}"));
        }
        // What it demands and nobody knows cannot be kept to.
        if certificate.critical_options().iter().next().is_some() {
            return no("it has critical options");
        }
        let mine: Vec<&String> = certificate
            .valid_principals()
            .iter()
            .filter(|one| is_among(one, &self.principals))
            .collect();
        match mine.as_slice() {
            [one] => Ok((*one).clone()),
            [] => no("it names nobody whom that authority may speak for"),
            _ => no("it names several people, and a signature is one person's"),
        }
    }
}

/// The SHA-256 fingerprint of a key, as OpenSSH writes it.
pub fn fingerprint(key: &KeyData) -> String {
    key.fingerprint(HashAlg::Sha256).to_string()
}

/// Whether a list of patterns has a word: `*` and `?` match, and `!` takes out.
fn is_among(word: &str, patterns: &[String]) -> bool {
    let mut found = false;
    for pattern in patterns {
        match pattern.strip_prefix('!') {
            Some(pattern) if policy::waiver::matches(pattern, word) => return false,
            Some(_) => {}
            None => found |= policy::waiver::matches(pattern, word),
        }
    }
    found
}

fn line(raw: &str, number: usize) -> Result<Line, String> {
    let (principals, rest) = word(raw)?;
    let principals: Vec<String> = principals.split(',').map(str::to_owned).collect();
    let mut line = Line {
        number,
        principals,
        key: KeyData::Ed25519(ssh_key::public::Ed25519PublicKey([0; 32])),
        is_authority: false,
        namespaces: None,
        valid_after: None,
        valid_before: None,
    };
    let mut rest = rest.trim_start();
    // A key begins with its kind; what stands before it are options.
    if !is_kind(rest) {
        let (options, key) = word(rest)?;
        for option in options_of(&options)? {
            let (name, value) = match option.split_once('=') {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (option, None),
            };
            match (name.to_ascii_lowercase().as_str(), value) {
                ("cert-authority", None) => line.is_authority = true,
                ("namespaces", Some(all)) => {
                    line.namespaces = Some(all.split(',').map(str::to_owned).collect());
                }
                ("valid-after", Some(at)) => line.valid_after = Some(time(&at)?),
                ("valid-before", Some(at)) => line.valid_before = Some(time(&at)?),
                (name, _) => {
                    return Err(format!(
                        "{name:?} is no option of a signer; expected cert-authority, \
                         namespaces=\"…\", valid-after=\"…\" or valid-before=\"…\""
                    ));
                }
            }
        }
        rest = key.trim_start();
    }
    let key = PublicKey::from_openssh(rest)
        .map_err(|error| format!("expected a public key (\"ssh-ed25519 AAAA…\"): {error}"))?;
    line.key = key.key_data().clone();
    let pattern = |name: &String| name.is_empty() || name.contains(['*', '?', '!']);
    if !line.is_authority && (line.principals.len() != 1 || line.principals.iter().any(pattern)) {
        return Err(
            "a key is one person's: expected one name, without * and ?, before it".to_owned()
        );
    }
    Ok(line)
}

fn is_kind(text: &str) -> bool {
    ["ssh-", "ecdsa-", "sk-ssh-", "sk-ecdsa-"].iter().any(|kind| text.starts_with(kind))
}

/// The first word and what follows it; quotes keep blanks together.
fn word(text: &str) -> Result<(String, &str), String> {
    let mut quoted = false;
    for (at, c) in text.char_indices() {
        match c {
            '"' => quoted = !quoted,
            ' ' | '\t' if !quoted => {
                return Ok((strip(&text[..at]), &text[at..]));
            }
            _ => {}
        }
    }
    Err("expected: principal [options] key".to_owned())
}

/// A word that is quoted as a whole is what stands inside.
fn strip(text: &str) -> String {
    let inner = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    inner.filter(|inner| !inner.contains('"')).unwrap_or(text).to_owned()
}

/// The options, taken apart at commas outside of quotes, the quotes gone.
fn options_of(text: &str) -> Result<Vec<String>, String> {
    let (mut all, mut one, mut quoted) = (Vec::new(), String::new(), false);
    for c in text.chars() {
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => all.push(std::mem::take(&mut one)),
            c => one.push(c),
        }
    }
    if quoted {
        return Err("a quote is not closed".to_owned());
    }
    all.push(one);
    Ok(all)
}

/// `YYYYMMDD[HHMM[SS]][Z]`. Without `Z` OpenSSH takes the local zone; here every time is UTC, so that
/// it means the same on each machine.
fn time(text: &str) -> Result<Timestamp, String> {
    let digits = text.strip_suffix('Z').unwrap_or(text);
    let no = || format!("{text:?} is no time; expected YYYYMMDD[HHMM[SS]]Z");
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(no());
    }
    let part =
        |from: usize, to: usize| digits.get(from..to).and_then(|part| part.parse::<i16>().ok());
    let small = |from: usize, to: usize| part(from, to).and_then(|part| i8::try_from(part).ok());
    let (hour, minute, second) = match digits.len() {
        8 => (Some(0), Some(0), Some(0)),
        12 => (small(8, 10), small(10, 12), Some(0)),
        14 => (small(8, 10), small(10, 12), small(12, 14)),
        _ => return Err(no()),
    };
    let at = || {
        let (year, month, day) = (part(0, 4)?, small(4, 6)?, small(6, 8)?);
        let at = DateTime::new(year, month, day, hour?, minute?, second?, 0).ok()?;
        TimeZone::UTC.to_timestamp(at).ok()
    };
    at().ok_or_else(no)
}
