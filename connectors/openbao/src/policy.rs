//! The text of an ACL policy, read into rules and written back.
//!
//! A policy of ours opens with one comment line, `# nhi: {…}`, which is the integration's record.
//! Rules that are a path and its capabilities (with an end, where the server takes one) are scopes;
//! every other rule is kept byte for byte and shown as one opaque scope.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    marker::PhantomData,
};

use data_encoding::HEXLOWER;
use domain::{GrantedScope, Scope};
use hcl_edit::{
    Span as _,
    expr::Expression,
    structure::{Block, BlockLabel, Structure},
};
use jiff::Timestamp;
use ring::digest;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::Value;
use unicode_normalization::is_nfc;

use crate::scope::{self, CAPABILITIES, Form};

/// What opens the line of the record.
pub(crate) const RECORD: &str = "# nhi: ";

/// A policy's text, taken apart.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Policy {
    /// The record's JSON, as it stands.
    pub(crate) record: Option<String>,
    /// Comment lines before the first rule, as they stand, without the record's.
    header: Vec<String>,
    /// The rules, in the order of the text.
    pub(crate) rules: Vec<Rule>,
    /// What follows the header, as it stands.
    body: String,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Rule {
    /// A path with capabilities, until when.
    Plain { path: String, capabilities: BTreeSet<&'static str>, until: Option<Timestamp> },
    /// A rule with members, templates or spellings that we do not model.
    Opaque { path: String, text: String },
}

impl Rule {
    /// What the rule gives, as scopes.
    fn scopes(&self) -> Vec<GrantedScope> {
        match self {
            Rule::Plain { path, capabilities, until } => capabilities
                .iter()
                .map(|capability| GrantedScope {
                    scope: scope::rule(path, capability),
                    until: *until,
                })
                .collect(),
            Rule::Opaque { path, text } => {
                vec![GrantedScope::standing(scope::opaque_rule(path, &hash(text)))]
            }
        }
    }
}

/// Eight hexadecimal characters that tell one opaque rule from another.
fn hash(text: &str) -> String {
    HEXLOWER.encode(&digest::digest(&digest::SHA256, text.as_bytes()).as_ref()[..4])
}

impl Policy {
    /// Reads a text. Never fails: what cannot be read is one opaque rule.
    pub(crate) fn parse(text: &str) -> Policy {
        let mut policy = Policy::default();
        let mut rest = text;
        while let Some(line) = rest.split_inclusive('\n').next() {
            let trimmed = line.trim();
            if !trimmed.is_empty() && !trimmed.starts_with('#') {
                break;
            }
            match trimmed.strip_prefix(RECORD) {
                // The first record counts; a second one is a comment like any other.
                Some(json) if policy.record.is_none() => policy.record = Some(json.to_owned()),
                _ if trimmed.is_empty() => {}
                _ => policy.header.push(line.trim_end_matches(['\r', '\n']).to_owned()),
            }
            rest = &rest[line.len()..];
        }
        policy.body = from_json(rest).unwrap_or_else(|| rest.trim_end().to_owned());
        policy.rules = rules(&policy.body);
        policy
    }

    /// What it gives at a time: rules that have ended give nothing.
    pub(crate) fn scopes(&self, now: Timestamp) -> BTreeSet<GrantedScope> {
        let mut ends: BTreeMap<Scope, Option<Timestamp>> = BTreeMap::new();
        for granted in self.rules.iter().flat_map(Rule::scopes) {
            if granted.until.is_some_and(|until| until <= now) {
                continue;
            }
            // The same scope twice lasts as long as the longer one; without an end is longest.
            ends.entry(granted.scope)
                .and_modify(|end| *end = end.zip(granted.until).map(|(a, b)| a.max(b)))
                .or_insert(granted.until);
        }
        ends.into_iter().map(|(scope, until)| GrantedScope { scope, until }).collect()
    }

    /// The text with another record, and everything else as it stands.
    pub(crate) fn with_record(&self, record: &str) -> Policy {
        Policy { record: Some(record.to_owned()), ..self.clone() }
    }

    /// The text with other rules. Opaque ones are copied from this policy.
    ///
    /// # Errors
    ///
    /// An opaque scope that this policy has no rule for: nobody could write it.
    pub(crate) fn with_scopes(&self, scopes: &BTreeSet<GrantedScope>) -> Result<Policy, Scope> {
        let mut plain: BTreeMap<(String, Option<Timestamp>), BTreeSet<&'static str>> =
            BTreeMap::new();
        let mut opaque = Vec::new();
        for granted in scopes {
            match scope::form(granted.scope.as_str()) {
                Some(Form::Rule { path, capability }) => {
                    plain.entry((path.to_owned(), granted.until)).or_default().insert(capability);
                }
                Some(Form::OpaqueRule { .. }) => {
                    let found = self.rules.iter().find(|rule| {
                        matches!(rule, Rule::Opaque { .. })
                            && rule.scopes().iter().any(|one| one.scope == granted.scope)
                    });
                    opaque.push(found.ok_or_else(|| granted.scope.clone())?.clone());
                }
                // Policies that are attached, and settings of the role: not in this text.
                Some(_) => {}
                None => return Err(granted.scope.clone()),
            }
        }
        let mut rules: Vec<Rule> = plain
            .into_iter()
            .map(|((path, until), capabilities)| Rule::Plain { path, capabilities, until })
            .collect();
        rules.extend(opaque);
        let body = rules.iter().map(write_rule).collect::<Vec<_>>().join("\n");
        Ok(Policy { rules, body, ..self.clone() })
    }

    /// The text.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for line in self
            .record
            .iter()
            .map(|json| format!("{RECORD}{json}"))
            .chain(self.header.iter().cloned())
        {
            text.push_str(&line);
            text.push('\n');
        }
        if !self.body.is_empty() {
            text.push('\n');
            text.push_str(&self.body);
            text.push('\n');
        }
        if text.is_empty() {
            // The server refuses a policy without any text.
            text.push_str("# no rules\n");
        }
        text
    }
}

fn write_rule(rule: &Rule) -> String {
    match rule {
        Rule::Plain { path, capabilities, until } => {
            let words: Vec<String> = CAPABILITIES
                .iter()
                .filter(|one| capabilities.contains(*one))
                .map(|one| format!("\"{one}\""))
                .collect();
            let end =
                until.map(|until| format!("  expiration   = \"{until}\"\n")).unwrap_or_default();
            let path = path.replace('\\', "\\\\").replace('"', "\\\"");
            format!("path \"{path}\" {{\n  capabilities = [{}]\n{end}}}\n", words.join(", "))
        }
        Rule::Opaque { text, .. } => format!("{text}\n"),
    }
}

/// The members of a JSON object, in their order, twice the same too.
struct Members<T>(Vec<(String, T)>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Members<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Each<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Each<T> {
            type Value = Members<T>;
            fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
                to.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<T>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        from.deserialize_map(Each(PhantomData))
    }
}

/// What stands at the top of a policy in JSON.
#[derive(Deserialize)]
#[serde(untagged)]
enum Part {
    /// Paths with their members.
    Paths(Members<Members<Value>>),
    /// Several such objects.
    Listed(Vec<Members<Members<Value>>>),
    /// A word, a number or nothing.
    Word(Value),
}

/// A policy in JSON as the text that we write: a comment, and so a record, has no place in JSON.
/// `None` where it is no JSON, or has more in it than the server takes. A `name` and what is `null` mean
/// nothing to it; what stands twice it reads twice, in either form.
fn from_json(text: &str) -> Option<String> {
    let Members(top) = serde_json::from_str::<Members<Part>>(text).ok()?;
    let mut body = String::new();
    for (word, part) in top {
        let all = match (word.as_str(), part) {
            ("path", Part::Paths(paths)) => vec![paths],
            ("path", Part::Listed(all)) => all,
            ("name", Part::Word(value)) if !value.is_object() && !value.is_array() => continue,
            _ => return None,
        };
        for (path, Members(members)) in all.into_iter().flat_map(|Members(paths)| paths) {
            body.push_str(&format!("path {} {{\n", quoted(&path)?));
            for (name, value) in members.iter().filter(|(_, value)| !value.is_null()) {
                let letter = |one: u8| one.is_ascii_lowercase() || one == b'_';
                if name.is_empty() || !name.bytes().all(letter) {
                    return None;
                }
                body.push_str(&format!("  {name} = {}\n", written(value)?));
            }
            body.push_str("}\n");
        }
    }
    Some(body.trim_end().to_owned())
}

/// A string as the server's grammar has it; none where it would be read as more than a string.
fn quoted(text: &str) -> Option<String> {
    let odd = text.contains("${") || text.contains("%{") || text.chars().any(char::is_control);
    (!odd).then(|| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")))
}

/// A JSON value in the server's grammar.
fn written(value: &Value) -> Option<String> {
    Some(match value {
        Value::Null => return None,
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(text) => quoted(text)?,
        Value::Array(all) => {
            let all: Option<Vec<String>> = all.iter().map(written).collect();
            format!("[{}]", all?.join(", "))
        }
        Value::Object(all) => {
            let member = |(name, value): (&String, &Value)| {
                Some(format!("{} = {}", quoted(name)?, written(value)?))
            };
            let all: Option<Vec<String>> = all.iter().map(member).collect();
            format!("{{ {} }}", all?.join(", "))
        }
    })
}

fn rules(body: &str) -> Vec<Rule> {
    if body.trim().is_empty() {
        return Vec::new();
    }
    let whole = || vec![Rule::Opaque { path: "?".to_owned(), text: body.to_owned() }];
    let Ok(parsed) = hcl_edit::parser::parse_body(body) else {
        // The server's grammar is wider than our parser's: what that does not read is one rule.
        return match split(body).as_deref() {
            Some([text]) => match label(text) {
                Some(path) => vec![Rule::Opaque { path, text: (*text).to_owned() }],
                None => whole(),
            },
            Some(texts) => texts.iter().flat_map(|text| rules(text)).collect(),
            None => whole(),
        };
    };
    let mut rules = Vec::new();
    for structure in &parsed {
        let block = match structure {
            Structure::Block(block) => block,
            // It means nothing to the server; any other attribute is none of our grammar.
            Structure::Attribute(attribute) if attribute.key.as_str() == "name" => continue,
            Structure::Attribute(_) => return whole(),
        };
        let Some(text) = block.span().and_then(|range| body.get(range)) else { return whole() };
        let text = text.trim().to_owned();
        let label = match block.labels.as_slice() {
            [BlockLabel::String(label)] if block.ident.as_str() == "path" => {
                label.as_str().to_owned()
            }
            _ => return whole(),
        };
        // The server drops one leading slash.
        let path = label.strip_prefix('/').unwrap_or(&label).to_owned();
        rules.push(plain(&path, block).unwrap_or(Rule::Opaque { path, text }));
    }
    rules
}

/// The path of a text that is one rule, where it is spelt without escapes and templates.
fn label(text: &str) -> Option<String> {
    let rest = text.trim_start().strip_prefix("path")?.trim_start().strip_prefix('"')?;
    let (path, rest) = rest.split_once('"')?;
    let plain = scope::is_plain_path(path) && !path.contains('\\') && is_nfc(path);
    // The server drops one leading slash.
    let path = path.strip_prefix('/').unwrap_or(path);
    (plain && !path.is_empty() && rest.trim_start().starts_with('{')).then(|| path.to_owned())
}

/// A text cut behind each block that closes at the top, by strings, comments and braces alone. `None`
/// where that does not tell where a rule ends: braces that do not match, a text in a heredoc or in a
/// string over several lines, anything behind the last block.
fn split(body: &str) -> Option<Vec<&str>> {
    let bytes = body.as_bytes();
    let (mut texts, mut depth, mut start, mut at) = (Vec::new(), 0_usize, 0, 0);
    while let Some(byte) = bytes.get(at) {
        let rest = body.get(at..).unwrap_or_default();
        at += match byte {
            b'#' => rest.find('\n').unwrap_or(rest.len()),
            b'/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            b'/' if rest.starts_with("/*") => rest.find("*/")? + 2,
            b'<' if rest.starts_with("<<") => return None,
            b'$' if rest.starts_with("${") => return None,
            b'"' => {
                let mut escaped = false;
                let end = rest.bytes().skip(1).position(|one| {
                    let ends = !escaped && one == b'"';
                    escaped = !escaped && one == b'\\';
                    ends
                })?;
                let string = &rest[..end + 2];
                if string.contains('\n') || string.contains("${") {
                    return None;
                }
                string.len()
            }
            b'{' => {
                depth += 1;
                1
            }
            b'}' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    texts.push(bare(&body[start..=at]));
                    start = at + 1;
                }
                1
            }
            _ => 1,
        };
    }
    // Comments behind the last rule are no rule.
    let behind = &body[start..];
    let only_comments =
        behind.lines().all(|line| line.trim().is_empty() || line.trim().starts_with('#'));
    (depth == 0 && only_comments && !texts.is_empty()).then_some(texts)
}

/// A text without the lines of comment before it, which would be the policy's header if it came first.
fn bare(text: &str) -> &str {
    let mut text = text.trim();
    while text.starts_with('#')
        && let Some((_, rest)) = text.split_once('\n')
    {
        text = rest.trim();
    }
    text
}

/// A rule of nothing but capabilities and an end.
fn plain(path: &str, block: &Block) -> Option<Rule> {
    // Another spelling of the same characters is another path to the server.
    if !scope::is_plain_path(path) || !is_nfc(path) {
        return None;
    }
    let (mut capabilities, mut until) = (BTreeSet::new(), None);
    for structure in &block.body {
        let attribute = structure.as_attribute()?;
        match attribute.key.as_str() {
            "capabilities" => {
                for word in attribute.value.as_array()? {
                    let Expression::String(word) = word else { return None };
                    let known = CAPABILITIES.iter().find(|one| **one == word.as_str())?;
                    capabilities.insert(*known);
                }
            }
            "expiration" => until = Some(attribute.value.as_str()?.parse().ok()?),
            _ => return None,
        }
    }
    // A rule without capabilities gives nothing and still hides wider ones: no scope says that.
    (!capabilities.is_empty()).then(|| Rule::Plain { path: path.to_owned(), capabilities, until })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn names(policy: &Policy) -> Vec<String> {
        policy.scopes(at("2026-11-24T00:00:00Z")).iter().map(|one| one.scope.to_string()).collect()
    }

    #[test]
    fn a_policy_of_comments_holds_a_record_and_no_scope() {
        let policy = Policy::parse("# nhi: {\"v\":1}\n");
        assert_eq!(policy.record.as_deref(), Some("{\"v\":1}"));
        assert!(names(&policy).is_empty());
        assert_eq!(policy.text(), "# nhi: {\"v\":1}\n");
    }

    #[test]
    fn rules_that_we_do_not_model_are_one_opaque_scope_each_and_stay_byte_for_byte() {
        let odd = "path \"kv/+/x\" {\n  capabilities = [\"read\"] # why\n  allowed_parameters = { \"a\" = [\"b\"] }\n}";
        let text = format!(
            "# note\n# nhi: {{}}\npath \"/a/b\" {{ capabilities = [\"list\", \"read\"] }}\n{odd}\n"
        );
        let policy = Policy::parse(&text);
        let scopes = names(&policy);
        assert_eq!(scopes[..2], ["a/b:list".to_owned(), "a/b:read".to_owned()]);
        assert!(scopes[2].starts_with("rule/kv/+/x#"), "{scopes:?}");
        let again = policy.with_scopes(&policy.scopes(at("2026-11-24T00:00:00Z"))).unwrap();
        assert!(again.text().contains(odd), "{}", again.text());
        assert!(again.text().contains("# note\n"));
        assert_eq!(names(&Policy::parse(&again.text())), scopes);
    }

    #[test]
    fn templates_empty_rules_legacy_rules_and_broken_texts_are_opaque() {
        for body in [
            "path \"secret/{{identity.entity.id}}/x\" { capabilities = [\"read\"] }",
            "path \"a\" { capabilities = [] }",
            "path \"a\" { policy = \"write\" }",
            "path \"a\" { capabilities = [\"fly\"] }",
            "path \"a\" { capabilities = ",
            "{\"path\": {\"a\": {\"capabilities\": [\"read\"], \"capabilities\": [\"list\"]}}}",
            "{\"path\": {\"a\": {\"capabilities\": [\"read\"]}}, \"version\": 1}",
            "{\"path\": {\"a\": {\"capabilities\": [\"read\"]}}, \"name\": [\"x\"]}",
            "names = \"x\"\npath \"a\" { capabilities = [\"read\"] }",
        ] {
            let scopes = names(&Policy::parse(body));
            assert!(scopes.len() == 1 && scopes[0].starts_with("rule/"), "{body}: {scopes:?}");
        }
    }

    #[test]
    fn of_a_policy_in_json_only_the_rule_that_is_not_modelled_is_opaque() {
        let read = r#"{"capabilities": ["read"]}"#;
        for (json, known, odd) in [
            (format!(r#"{{"path": {{"a": {read}}}, "name": "x"}}"#), vec!["a:read"], None),
            (format!(r#"{{"name": null, "path": {{"a": {read}}}}}"#), vec!["a:read"], None),
            (
                format!(
                    r#"{{"path": [{{"a": {read}, "b": {read}}}, {{"c": {read}}}], "name": 3}}"#
                ),
                vec!["a:read", "b:read", "c:read"],
                None,
            ),
            (
                r#"{"path": {"a": {"capabilities": ["read"], "max_wrapping_ttl": null}}}"#.into(),
                vec!["a:read"],
                None,
            ),
            (
                format!(
                    r#"{{"name": "x", "path": {{"a": {read}, "z": {{"capabilities": ["read"], "comment": "why"}}}}}}"#
                ),
                vec!["a:read"],
                Some("rule/z"),
            ),
            (
                format!(
                    r#"{{"path": {{"a": {read}, "z": {{"capabilities": ["read"], "capabilities": ["list"]}}}}}}"#
                ),
                vec!["a:read"],
                Some("rule/z"),
            ),
        ] {
            let policy = Policy::parse(&json);
            let scopes = names(&policy);
            assert_eq!(scopes[..known.len()], known, "{json}");
            let rest = &scopes[known.len()..];
            let rest: Vec<&str> =
                rest.iter().filter_map(|one| Some(one.split_once('#')?.0)).collect();
            assert_eq!(rest, Vec::from_iter(odd), "{json}");
            let again = policy.with_scopes(&policy.scopes(at("2026-11-24T00:00:00Z"))).unwrap();
            assert_eq!(names(&Policy::parse(&again.text())), scopes, "{}", again.text());
        }
        let named = Policy::parse("name = \"x\"\npath \"a\" { capabilities = [\"read\"] }");
        assert_eq!(names(&named), ["a:read"]);
    }

    #[test]
    fn a_spelling_that_only_the_server_reads_makes_one_rule_opaque_and_no_other() {
        for odd in [
            "path \"z/*\" { capabilities = [\"read\"], min_wrapping_ttl = \"1s\" }",
            "path \"z/*\" { capabilities = [\"read\"] min_wrapping_ttl = \"1s\" } # }",
            "path \"z/*\" { capabilities = [\"re}ad\"], /* } */ min_wrapping_ttl = \"1s\" }",
        ] {
            let text = format!(
                "# nhi: {{}}\npath \"a\" {{ capabilities = [\"read\"] }}\n{odd}\n\
                 path \"b\" {{\n  capabilities = [\"list\"]\n}}\n"
            );
            let policy = Policy::parse(&text);
            let scopes = names(&policy);
            assert_eq!(scopes[..2], ["a:read".to_owned(), "b:list".to_owned()], "{text}");
            assert!(scopes.len() == 3 && scopes[2].starts_with("rule/z/*#"), "{scopes:?}");
            let again = policy.with_scopes(&policy.scopes(at("2026-11-24T00:00:00Z"))).unwrap();
            assert_eq!(names(&Policy::parse(&again.text())), scopes, "{}", again.text());
        }
        // What cannot be told apart for certain stays one.
        for body in [
            "path \"a\" { capabilities = [\"read\"], x = <<E\n}\nE\n}\npath \"b\" { capabilities = [\"read\"] }",
            "path \"a\" { capabilities = [\"read\"] }\nname = \"x\", path \"b\" { capabilities = [",
            "path \"a\" { capabilities = [\"read\"], y = 1 }\nname = \"x\"",
        ] {
            let scopes = names(&Policy::parse(body));
            assert!(scopes.len() == 1 && scopes[0].starts_with("rule/?#"), "{body}: {scopes:?}");
        }
    }

    #[test]
    fn a_rule_ends_when_it_says_and_lasts_as_long_as_its_longest() {
        let policy = Policy::parse(
            "path \"a\" {\n capabilities = [\"read\"]\n expiration = \"2026-11-23T00:00:00Z\"\n}\n\
             path \"b\" {\n capabilities = [\"read\"]\n expiration = \"2026-12-01T00:00:00Z\"\n}\n\
             path \"b\" {\n capabilities = [\"read\", \"list\"]\n expiration = \"2027-01-01T00:00:00Z\"\n}\n",
        );
        let scopes: Vec<_> = policy
            .scopes(at("2026-11-24T00:00:00Z"))
            .into_iter()
            .map(|one| (one.scope.to_string(), one.until))
            .collect();
        let end = Some(at("2027-01-01T00:00:00Z"));
        assert_eq!(scopes, [("b:list".to_owned(), end), ("b:read".to_owned(), end)]);
    }

    #[test]
    fn an_opaque_scope_that_is_not_there_cannot_be_written() {
        let wanted = BTreeSet::from([GrantedScope::standing(Scope::canonical("rule/a#00000000"))]);
        assert!(Policy::parse("").with_scopes(&wanted).is_err());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            scopes in prop::collection::btree_set(("[a-z\"\\\\]{1,3}(/[a-z+]{1,3}){0,2}\\*?", 0..CAPABILITIES.len(), any::<bool>()), 0..8),
        ) {
            let end = at("2030-01-01T00:00:00.5Z");
            let mut wanted: BTreeMap<Scope, Option<Timestamp>> = BTreeMap::new();
            for (path, capability, dated) in scopes {
                wanted.insert(scope::rule(&path, CAPABILITIES[capability]), dated.then_some(end));
            }
            let wanted: BTreeSet<_> = wanted.into_iter().map(|(scope, until)| GrantedScope { scope, until }).collect();
            let text = Policy::parse("# nhi: {}\n").with_scopes(&wanted).unwrap().text();
            prop_assert_eq!(Policy::parse(&text).scopes(at("2026-11-24T00:00:00Z")), wanted);
        }

        #[test]
        fn no_text_makes_the_reader_panic_and_every_text_keeps_its_body(text in ".*|(path \"[a-z]\" \\{.{0,20}\\}\n?){0,3}") {
            let policy = Policy::parse(&text);
            let again = Policy::parse(&policy.with_record("{}").text());
            prop_assert_eq!(again.rules, policy.rules);
        }
    }
}
