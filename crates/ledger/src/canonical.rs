//! JSON in one spelling only, so that equal things have equal bytes and equal hashes.
//!
//! Members are sorted by the bytes of their names, there is no white space, text is in Unicode form
//! NFC, numbers are integers of at most 2⁵³ either way, and there is neither a float nor a null:
//! what is absent is left out.

use std::{borrow::Cow, fmt::Write as _};

use serde_json::{Map, Value};
use unicode_normalization::{UnicodeNormalization, is_nfc};

/// The largest integer, either way, that every JSON reader keeps exactly.
pub const INTEGER_MAX: i64 = 1 << 53;

/// The most bytes that an entry's body may have.
pub const BODY_MAX: usize = 4096;

/// The most bytes that one document of the inventory may have.
pub const DOCUMENT_MAX: usize = 1024 * 1024;

/// How deep arrays and objects may be nested.
pub const DEPTH_MAX: usize = 64;

/// Why a value has no canonical form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A null; absent things are left out.
    #[error("{0} is null: leave it out instead")]
    Null(String),
    /// A number with a fraction, an exponent, or beyond 2⁵³.
    #[error("{path} is {number}: only whole numbers up to 2^53 are kept")]
    Number {
        /// Where.
        path: String,
        /// As it was written.
        number: String,
    },
    /// Two names that are one after normalization.
    #[error("{0} occurs twice once its name is normalized")]
    Twice(String),
    /// Nested too deep.
    #[error("{0} is nested more than {DEPTH_MAX} deep")]
    Deep(String),
    /// Too long.
    #[error("it has {bytes} bytes and may have {limit}: put what is long into a document")]
    Long {
        /// Bytes of the canonical form.
        bytes: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// Bytes that are no JSON at all.
    #[error("it is not JSON: {0}")]
    NotJson(String),
    /// JSON, but spelled otherwise than we spell it.
    #[error("it is JSON, but not in canonical form")]
    NotCanonical,
}

/// Encodes a value.
///
/// # Errors
///
/// A null, a number that is not a small integer, names that meet after normalization, nesting
/// beyond [`DEPTH_MAX`]: each names the path.
pub fn encode(value: &Value) -> Result<Vec<u8>, Error> {
    let mut text = String::with_capacity(256);
    write(&mut text, value, &mut Path::default())?;
    Ok(text.into_bytes())
}

/// Encodes a value of at most `limit` bytes.
///
/// # Errors
///
/// As [`encode`], and [`Error::Long`].
pub fn encode_within(value: &Value, limit: usize) -> Result<Vec<u8>, Error> {
    let bytes = encode(value)?;
    if bytes.len() > limit {
        return Err(Error::Long { bytes: bytes.len(), limit });
    }
    Ok(bytes)
}

/// An object whose members are written one after the other, in order: no value is built for it first.
#[derive(Debug)]
pub(crate) struct Object {
    text: String,
    last: &'static str,
}

impl Object {
    pub(crate) fn new() -> Object {
        Object { text: String::from("{"), last: "" }
    }

    /// Begins a member; its value comes next.
    pub(crate) fn name(&mut self, name: &'static str) {
        debug_assert!(self.last < name, "{name} after {}", self.last);
        self.last = name;
        if self.text.len() > 1 {
            self.text.push(',');
        }
        write_string(&mut self.text, name);
        self.text.push(':');
    }

    /// How many bytes there are so far.
    pub(crate) fn len(&self) -> usize {
        self.text.len()
    }

    pub(crate) fn text(&mut self, name: &'static str, value: &str) {
        self.name(name);
        write_string(&mut self.text, value);
    }

    pub(crate) fn text_if(&mut self, name: &'static str, value: Option<&str>) {
        if let Some(value) = value {
            self.text(name, value);
        }
    }

    pub(crate) fn number(&mut self, name: &'static str, value: i128) -> Result<(), Error> {
        if value.abs() > i128::from(INTEGER_MAX) {
            return Err(Error::Number { path: name.to_owned(), number: value.to_string() });
        }
        self.name(name);
        let _ = write!(self.text, "{value}");
        Ok(())
    }

    pub(crate) fn value(&mut self, name: &'static str, value: &Value) -> Result<(), Error> {
        self.name(name);
        write(&mut self.text, value, &mut Path { steps: vec![Step::Name(name)] })
    }

    pub(crate) fn members(
        &mut self,
        name: &'static str,
        members: &Map<String, Value>,
    ) -> Result<(), Error> {
        self.name(name);
        write_members(&mut self.text, members, &mut Path { steps: vec![Step::Name(name)] })
    }

    pub(crate) fn object(&mut self, name: &'static str, object: Object) {
        self.name(name);
        self.text.push_str(&object.end());
    }

    pub(crate) fn end(mut self) -> String {
        self.text.push('}');
        self.text
    }
}

/// Decodes bytes that must be in canonical form.
///
/// # Errors
///
/// [`Error::NotJson`], [`Error::NotCanonical`], or what [`encode`] says about the value.
pub fn decode(bytes: &[u8]) -> Result<Value, Error> {
    let value: Value =
        serde_json::from_slice(bytes).map_err(|error| Error::NotJson(error.to_string()))?;
    if encode(&value)? != bytes {
        return Err(Error::NotCanonical);
    }
    Ok(value)
}

/// Leaves out every null member and every null item, however deep.
///
/// For documents that come from elsewhere, where null and absent mean the same.
pub fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(members) => Value::Object(
            members
                .into_iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(name, value)| (name, without_nulls(value)))
                .collect(),
        ),
        Value::Array(items) => Value::Array(
            items.into_iter().filter(|item| !item.is_null()).map(without_nulls).collect(),
        ),
        other => other,
    }
}

/// The members of a canonical object, undecoded, in order: each name and the bytes of its value.
///
/// Made for verifying a million entries a second: it allocates nothing and decodes nothing. On
/// bytes that are no canonical object it ends early; the caller then misses a member and says so.
pub fn members(body: &[u8]) -> Members<'_> {
    let inner = match body {
        [b'{', inner @ .., b'}'] => inner,
        _ => &[],
    };
    Members { rest: inner }
}

/// See [`members`].
#[derive(Debug, Clone)]
pub struct Members<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Members<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let name_end = string_end(self.rest)?;
        let name = self.rest.get(1..name_end - 1)?;
        let after = self.rest.get(name_end..)?.strip_prefix(b":")?;
        let value_end = value_end(after)?;
        let (value, rest) = after.split_at(value_end);
        self.rest = rest.strip_prefix(b",").unwrap_or(rest);
        Some((name, value))
    }
}

/// The length of the string that `bytes` begin with, quotes included.
fn string_end(bytes: &[u8]) -> Option<usize> {
    if bytes.first() != Some(&b'"') {
        return None;
    }
    let mut at = 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    None
}

/// The length of the value that `bytes` begin with.
fn value_end(bytes: &[u8]) -> Option<usize> {
    let mut depth = 0usize;
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => at += string_end(&bytes[at..])?,
            b'{' | b'[' => {
                depth += 1;
                at += 1;
            }
            b'}' | b']' => {
                depth = depth.checked_sub(1)?;
                at += 1;
            }
            b',' if depth == 0 => return (at > 0).then_some(at),
            _ => at += 1,
        }
    }
    (depth == 0 && at > 0).then_some(at)
}

/// Where we are in a value, for messages only: nothing is formatted until something is wrong.
#[derive(Default)]
struct Path<'a> {
    steps: Vec<Step<'a>>,
}

enum Step<'a> {
    Name(&'a str),
    Index(usize),
}

impl Path<'_> {
    fn text(&self) -> String {
        let mut text = String::new();
        for step in &self.steps {
            match step {
                Step::Name(name) if text.is_empty() => text.push_str(name),
                Step::Name(name) => {
                    text.push('.');
                    text.push_str(name);
                }
                Step::Index(index) => {
                    let _ = write!(text, "[{index}]");
                }
            }
        }
        if text.is_empty() { "the value".to_owned() } else { text }
    }
}

fn write<'a>(text: &mut String, value: &'a Value, path: &mut Path<'a>) -> Result<(), Error> {
    if path.steps.len() > DEPTH_MAX {
        return Err(Error::Deep(path.text()));
    }
    match value {
        Value::Null => return Err(Error::Null(path.text())),
        Value::Bool(true) => text.push_str("true"),
        Value::Bool(false) => text.push_str("false"),
        Value::Number(number) => {
            let integer = number
                .as_i64()
                .filter(|integer| (-INTEGER_MAX..=INTEGER_MAX).contains(integer))
                .ok_or_else(|| Error::Number { path: path.text(), number: number.to_string() })?;
            let _ = write!(text, "{integer}");
        }
        Value::String(string) => write_string(text, string),
        Value::Array(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                path.steps.push(Step::Index(index));
                write(text, item, path)?;
                path.steps.pop();
            }
            text.push(']');
        }
        Value::Object(members) => write_members(text, members, path)?,
    }
    Ok(())
}

fn write_members<'a>(
    text: &mut String,
    members: &'a Map<String, Value>,
    path: &mut Path<'a>,
) -> Result<(), Error> {
    // Names that are in form NFC stay as they are.
    let name_of = |name: &'a String| match is_nfc(name) {
        true => Cow::Borrowed(name.as_str()),
        false => Cow::Owned(name.nfc().collect()),
    };
    let mut sorted: Vec<(Cow<'a, str>, &'a String, &'a Value)> =
        members.iter().map(|(name, value)| (name_of(name), name, value)).collect();
    sorted.sort_by(|one, other| one.0.cmp(&other.0));
    text.push('{');
    for (index, (name, raw, value)) in sorted.iter().enumerate() {
        path.steps.push(Step::Name(raw));
        if index > 0 {
            if sorted[index - 1].0 == *name {
                return Err(Error::Twice(path.text()));
            }
            text.push(',');
        }
        write_string(text, name);
        text.push(':');
        write(text, value, path)?;
        path.steps.pop();
    }
    text.push('}');
    Ok(())
}

fn write_string(text: &mut String, string: &str) {
    text.push('"');
    // Most texts are ASCII without anything to escape.
    let plain = |byte: u8| byte.is_ascii() && byte >= b' ' && byte != b'"' && byte != b'\\';
    if string.bytes().all(plain) {
        text.push_str(string);
    } else if is_nfc(string) {
        write_characters(text, string.chars());
    } else {
        write_characters(text, string.nfc());
    }
    text.push('"');
}

fn write_characters(text: &mut String, characters: impl Iterator<Item = char>) {
    for character in characters {
        match character {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\u{8}' => text.push_str("\\b"),
            '\t' => text.push_str("\\t"),
            '\n' => text.push_str("\\n"),
            '\u{c}' => text.push_str("\\f"),
            '\r' => text.push_str("\\r"),
            control if control < ' ' => {
                let _ = write!(text, "\\u{:04x}", u32::from(control));
            }
            other => text.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn text(value: &Value) -> String {
        String::from_utf8(encode(value).expect("it has a canonical form")).expect("it is UTF-8")
    }

    #[test]
    fn members_are_sorted_and_nothing_is_spaced() {
        assert_eq!(
            text(&json!({"b": [1, true], "a": {"d": -2, "c": "x"}})),
            r#"{"a":{"c":"x","d":-2},"b":[1,true]}"#
        );
    }

    #[test]
    fn text_is_escaped_as_little_as_json_allows() {
        assert_eq!(
            text(&json!("a\"\\/\u{8}\t\n\u{c}\r\u{1}é\u{7f}")),
            "\"a\\\"\\\\/\\b\\t\\n\\f\\r\\u0001é\u{7f}\""
        );
    }

    #[test]
    fn text_is_in_form_nfc() {
        assert_eq!(text(&json!({"e\u{301}": "e\u{301}"})), "{\"é\":\"é\"}");
    }

    #[test]
    fn a_null_is_refused_with_its_path() {
        let error = encode(&json!({"detail": {"owners": [1, null]}})).expect_err("it has a null");
        assert_eq!(error, Error::Null("detail.owners[1]".to_owned()));
    }

    #[test]
    fn fractions_exponents_and_large_numbers_are_refused() {
        for source in [
            "1.5",
            "1e3",
            "1.0",
            "9007199254740993",
            "-9007199254740993",
            "1e400",
            "123456789012345678901234567890",
        ] {
            let value: Value = serde_json::from_str(source).expect("it is JSON");
            assert!(matches!(encode(&value), Err(Error::Number { .. })), "{source}");
        }
        assert_eq!(text(&json!(INTEGER_MAX)), "9007199254740992");
        assert_eq!(text(&json!(-INTEGER_MAX)), "-9007199254740992");
    }

    #[test]
    fn names_that_meet_after_normalization_are_refused() {
        let error = encode(&json!({"é": 1, "e\u{301}": 2})).expect_err("the names are one");
        assert!(matches!(error, Error::Twice(_)), "{error}");
    }

    #[test]
    fn a_long_body_is_refused_with_both_numbers() {
        let error = encode_within(&json!("x".repeat(5000)), BODY_MAX).expect_err("it is long");
        assert_eq!(error, Error::Long { bytes: 5002, limit: 4096 });
    }

    #[test]
    fn deep_nesting_is_refused() {
        let deep = (0..100).fold(json!(1), |inner, _| json!([inner]));
        assert!(matches!(encode(&deep), Err(Error::Deep(_))));
    }

    #[test]
    fn another_spelling_is_not_canonical() {
        for spelled in ["{ }", r#"{"b":1,"a":2}"#, r#""\u0041""#, r#"{"a":1,"a":1}"#, "-0"] {
            assert_eq!(decode(spelled.as_bytes()), Err(Error::NotCanonical), "{spelled}");
        }
        assert!(matches!(decode(b"{"), Err(Error::NotJson(_))));
        assert!(matches!(decode(b"\xff"), Err(Error::NotJson(_))));
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<bool>().prop_map(Value::from),
            (-INTEGER_MAX..=INTEGER_MAX).prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::btree_map("[a-z\"\\\\{},:\u{e9}]{0,4}", inner, 0..6)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_encoded_decodes_to_itself(value in values()) {
            let bytes = encode(&value).expect("it has a canonical form");
            let again = decode(&bytes).expect("it is canonical");
            prop_assert_eq!(encode(&again).expect("it has a canonical form"), bytes);
        }

        #[test]
        fn the_order_of_members_does_not_matter(mut members in prop::collection::vec(("[a-z]{1,3}", values()), 0..6)) {
            members.sort_by(|one, other| one.0.cmp(&other.0));
            members.dedup_by(|one, other| one.0 == other.0);
            let forward: Map<String, Value> = members.iter().cloned().collect();
            let backward: Map<String, Value> = members.into_iter().rev().collect();
            prop_assert_eq!(encode(&forward.into()), encode(&backward.into()));
        }

        #[test]
        fn the_undecoded_members_are_the_members(value in values()) {
            let object = json!({"first": 1, "in": value, "last": "x"});
            let bytes = encode(&object).expect("it has a canonical form");
            let seen: Vec<(&[u8], &[u8])> = members(&bytes).collect();
            prop_assert_eq!(seen.len(), 3);
            for (name, raw) in seen {
                let name = std::str::from_utf8(name).expect("it is UTF-8");
                prop_assert_eq!(raw, encode(&object[name]).expect("it has a canonical form"));
            }
        }

        #[test]
        fn hostile_bytes_end_and_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = decode(&bytes);
            let _ = members(&bytes).count();
        }
    }
}
