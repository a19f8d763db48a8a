//! HCL as we write it: what vendors named is data, whatever stands in it.

use std::collections::BTreeSet;

use domain::Setting;

/// A text as an HCL literal that nothing can break out of.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    let mut rest = text.chars().peekable();
    let mut before = ' ';
    while let Some(c) = rest.next() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            // Doubled it is no template. Behind one of its own kind that would be read otherwise.
            '$' | '%' if rest.peek() == Some(&'{') && before == c => spell(c, &mut out),
            '$' | '%' if rest.peek() == Some(&'{') => out.extend([c, c]),
            c if is_hidden(c) => spell(c, &mut out),
            c => out.push(c),
        }
        before = c;
    }
    out.push('"');
    out
}

/// A character by its number.
fn spell(c: char, out: &mut String) {
    let number = u32::from(c);
    let text =
        if number > 0xffff { format!("\\U{number:08x}") } else { format!("\\u{number:04x}") };
    out.push_str(&text);
}

/// What a reader does not see, or sees in another place than where it stands.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
        || matches!(c, '\u{e0000}'..='\u{e007f}')
}

/// A line that HCL ignores, whatever stands in it.
pub(crate) fn comment(text: &str) -> String {
    let one_line: String = text.chars().map(|c| if is_hidden(c) { ' ' } else { c }).collect();
    format!("# {}", one_line.trim_end())
}

/// Every line of a text as a comment.
pub(crate) fn commented(text: &str) -> String {
    let line = |line: &str| {
        if line.is_empty() { "#\n".to_owned() } else { format!("{}\n", comment(line)) }
    };
    text.lines().map(line).collect()
}

/// A name that people would choose. What has no letter and no digit of its own has none.
pub(crate) fn identifier(name: &str) -> String {
    const LONGEST: usize = 60;
    let mut made = String::new();
    for c in name.chars() {
        match c.to_ascii_lowercase() {
            c if c.is_ascii_alphanumeric() => made.push(c),
            _ if made.is_empty() || made.ends_with('_') => {}
            _ => made.push('_'),
        }
    }
    made.truncate(LONGEST);
    let made = made.trim_end_matches('_');
    match made.starts_with(|c: char| c.is_ascii_digit()) {
        true => format!("_{made}"),
        false => made.to_owned(),
    }
}

/// An identifier unlike all before it: that of the name, else with the last six of the id behind it.
/// What has no name of its own goes by `otherwise` and its id.
pub(crate) fn unlike(
    name: &str,
    otherwise: &str,
    id: &str,
    taken: &mut BTreeSet<String>,
) -> String {
    let id = identifier(id);
    let tail =
        id.get(id.len().saturating_sub(6)..).unwrap_or_default().trim_matches('_').to_owned();
    let plain = match identifier(name) {
        plain if plain.is_empty() => format!("{}_{tail}", identifier(otherwise)),
        plain => plain,
    };
    let longer = [plain.clone(), format!("{plain}_{tail}")].into_iter();
    let numbered = (2..).map(|number| format!("{plain}_{tail}_{number}"));
    let free = longer.chain(numbered).find(|one| !taken.contains(one)).unwrap_or_default();
    taken.insert(free.clone());
    free
}

/// A setting as it is written.
pub(crate) fn setting(setting: &Setting) -> String {
    match setting {
        Setting::Text(text) => quoted(text),
        Setting::Flag(flag) => flag.to_string(),
        Setting::Count(count) => count.to_string(),
        Setting::Texts(texts) => list(texts.iter().map(String::as_str)),
    }
}

/// A list of texts: in one line where that is short.
pub(crate) fn list<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    const WIDTH: usize = 60;
    let texts: Vec<String> = texts.into_iter().map(quoted).collect();
    let line = format!("[{}]", texts.join(", "));
    if line.len() <= WIDTH {
        return line;
    }
    let lines: Vec<String> = texts.iter().map(|text| format!("  {text},\n")).collect();
    format!("[\n{}]", lines.concat())
}

/// An object of attributes.
pub(crate) fn object(attributes: &[(String, String)]) -> String {
    match attributes {
        [] => "{}".to_owned(),
        attributes => format!("{{\n{}}}", indented(&lines(attributes))),
    }
}

/// A block with its labels, as the core's own formatter leaves it.
pub(crate) fn block(head: &str, attributes: &[(String, String)]) -> String {
    format!("{head} {{\n{}}}\n", indented(&lines(attributes)))
}

/// Attributes, one below the other: signs of equality of neighbours are aligned, and what has several
/// lines stands by itself.
fn lines(attributes: &[(String, String)]) -> String {
    let is_long = |value: &str| value.contains('\n');
    let mut out = String::new();
    let mut rest = attributes;
    while let Some((name, value)) = rest.first() {
        if !out.is_empty() {
            out.push('\n');
        }
        if is_long(value) {
            out.push_str(&format!("{name} = {value}\n"));
            rest = &rest[1..];
            continue;
        }
        let short = rest.iter().take_while(|(_, value)| !is_long(value)).count();
        let width = rest[..short].iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        for (name, value) in &rest[..short] {
            out.push_str(&format!("{name:width$} = {value}\n"));
        }
        rest = &rest[short..];
    }
    out
}

/// Two more to the right. No literal of ours goes over a line.
fn indented(text: &str) -> String {
    let line = |line: &str| if line.is_empty() { "\n".to_owned() } else { format!("  {line}\n") };
    text.lines().map(line).collect()
}

#[cfg(test)]
mod tests {
    use hcl_edit::{expr::Expression, structure::Body};
    use proptest::prelude::*;

    use super::*;

    /// Texts that somebody might hope to break out with.
    fn hostile() -> impl Strategy<Value = String> {
        let pieces = [
            "${",
            "%{",
            "$",
            "%",
            "{",
            "}",
            "\"",
            "\\",
            "\n",
            "\r\n",
            "<<EOT\n",
            "EOT",
            "#",
            "//",
            "/*",
            "*/",
            "\u{202e}",
            "\u{2028}",
            "\u{0}",
            "\u{7f}",
            "\u{85}",
            "é",
            "名",
            "\u{1f600}",
            "a",
            "-",
            "_",
            "1",
            " ",
            "resource",
            "~}",
            "\\u0041",
            "\t",
            "\u{e0041}",
        ];
        prop_oneof![
            prop::collection::vec(prop::sample::select(pieces.to_vec()), 0..12)
                .prop_map(|all| all.concat()),
            any::<String>(),
        ]
    }

    fn only_attribute(text: &str) -> Option<String> {
        let body: Body = format!("x = {text}\n").parse().ok()?;
        let [one] = &body.attributes().collect::<Vec<_>>()[..] else { return None };
        match &one.value {
            Expression::String(text) => Some(text.value().clone()),
            // A dollar sign that is doubled stands in a template without a part that is evaluated.
            Expression::StringTemplate(template) => template
                .iter()
                .map(|element| match element {
                    hcl_edit::template::Element::Literal(text) => Some(text.value().clone()),
                    _ => None,
                })
                .collect(),
            _ => None,
        }
    }

    proptest! {
        #[test]
        fn every_text_is_one_literal_in_one_line_that_says_the_same(text in hostile()) {
            let written = quoted(&text);
            prop_assert!(!written.chars().any(is_hidden), "{written:?}");
            prop_assert_eq!(only_attribute(&written), Some(text), "{}", written);
        }

        #[test]
        fn no_comment_can_be_left_again(text in hostile()) {
            let body: Body = commented(&text).parse().unwrap();
            prop_assert_eq!(body.iter().count(), 0);
            prop_assert_eq!(comment(&text).lines().count(), 1);
        }

        #[test]
        fn every_name_makes_an_identifier_and_no_two_the_same(
            names in prop::collection::vec((hostile(), hostile()), 1..12)
        ) {
            let mut taken = BTreeSet::new();
            let mut made = BTreeSet::new();
            for (name, id) in &names {
                let one = unlike(name, "openbao_approle", id, &mut taken);
                let fits = one.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
                    && one.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
                prop_assert!(fits, "{}", one);
                prop_assert!(made.insert(one));
            }
        }

        #[test]
        fn what_is_in_a_block_stays_in_it(texts in prop::collection::vec(hostile(), 0..5)) {
            let scopes = list(texts.iter().map(String::as_str));
            let inner = object(&[("a".to_owned(), scopes.clone()), ("b".to_owned(), "1".to_owned())]);
            let text = block("resource \"x\" \"y\"", &[("c".to_owned(), inner), ("d".to_owned(), scopes)]);
            let body: Body = text.parse().unwrap();
            let [one] = &body.blocks().collect::<Vec<_>>()[..] else { panic!("{text}") };
            prop_assert_eq!(one.body.attributes().count(), 2);
        }
    }

    #[test]
    fn a_name_is_what_a_person_would_choose() {
        let mut taken = BTreeSet::new();
        let mut name = |name: &str, id: &str| unlike(name, "openbao_approle", id, &mut taken);
        assert_eq!(name("Invoice Sync", "r-1"), "invoice_sync");
        assert_eq!(
            name("invoice-sync", "1d5be74d-0ec0-7c30-f9b2-ff4e992e6b4d"),
            "invoice_sync_2e6b4d"
        );
        assert_eq!(name("1\" } resource", "x"), "_1_resource");
        assert_eq!(name("名", "abc-DEF123"), "openbao_approle_def123");
        assert_eq!(name("名", "abc-DEF123"), "openbao_approle_def123_def123");
        assert_eq!(name("__a--b__", ""), "a_b");
    }

    #[test]
    fn what_was_a_template_is_none() {
        assert_eq!(quoted("a${b}%{c}"), "\"a$${b}%%{c}\"");
        assert_eq!(quoted("$${a}"), "\"$\\u0024{a}\"");
        assert_eq!(quoted("a\n\"\\\u{202e}"), "\"a\\u000a\\\"\\\\\\u202e\"");
    }
}
