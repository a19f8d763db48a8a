//! Configuration as a tree that knows where each value stands, whichever place it was read from.
//!
//! `nhi.hcl` and the provider block have the same body. Both become a [`Node`], so that one reader
//! and one set of errors serve them.

use std::{collections::BTreeMap, fmt};

use hcl_edit::{
    expr::{Expression, ObjectKey},
    structure::Body,
};

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    /// Absent.
    Null,
    /// Not known before apply (only in a provider block).
    Unknown,
    /// A text.
    Text(String),
    /// A switch.
    Flag(bool),
    /// A whole number.
    Count(i64),
    /// A list or set.
    List(Vec<Node>),
    /// An object or map.
    Map(BTreeMap<String, Node>),
}

/// Where a value stands, in words: `connections.bao.openbao.address`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Place(Vec<String>);

impl Place {
    /// One step further in.
    #[must_use]
    pub fn join(&self, step: impl fmt::Display) -> Place {
        let mut steps = self.0.clone();
        steps.push(step.to_string());
        Place(steps)
    }

    /// The steps, outermost first.
    pub fn steps(&self) -> &[String] {
        &self.0
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            f.write_str("the configuration")
        } else {
            f.write_str(&self.0.join("."))
        }
    }
}

/// What is wrong, where, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {message}")]
pub struct ConfigError {
    /// Where it stands.
    pub place: Place,
    /// What is wrong and what to do, in one or two sentences.
    pub message: String,
}

/// Makes an error at a place.
pub(crate) fn wrong(place: &Place, message: impl Into<String>) -> ConfigError {
    ConfigError { place: place.clone(), message: message.into() }
}

/// The deepest nesting that is read; the body needs six.
const DEEPEST: usize = 32;

impl Node {
    /// Reads the text of `nhi.hcl`: literal values only, since nothing is evaluated.
    ///
    /// # Errors
    ///
    /// The text is no HCL, or it holds an expression that would have to be evaluated.
    pub fn parse_hcl(text: &str) -> Result<Node, ConfigError> {
        if text.len() > 1 << 20 {
            return Err(wrong(&Place::default(), "it is longer than 1 MiB"));
        }
        // Editors put it there, and it says nothing.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        // The parser below recurses; a hostile file must not exhaust the stack.
        let deepest = text.chars().fold((0usize, 0usize), |(now, most), c| match c {
            '{' | '[' | '(' => (now + 1, most.max(now + 1)),
            '}' | ']' | ')' => (now.saturating_sub(1), most),
            _ => (now, most),
        });
        if deepest.1 > DEEPEST {
            return Err(wrong(&Place::default(), format!("it is nested deeper than {DEEPEST}")));
        }
        let body: Body = text.parse().map_err(|error: hcl_edit::parser::Error| {
            let (line, column) = (error.location().line(), error.location().column());
            let what = match (error.message(), key_at(text, line, column)) {
                (message, Some(key)) if message.contains("redefined") => {
                    format!("{key} is set a second time")
                }
                (message, _) => message.to_owned(),
            };
            wrong(&Place::default(), format!("line {line}, column {column}: {what}"))
        })?;
        body_node(&body, &Place::default())
    }

    /// The member of a map; `Null` where it is absent or this is no map.
    pub fn member(&self, name: &str) -> &Node {
        match self {
            Node::Map(map) => map.get(name).unwrap_or(&Node::Null),
            _ => &Node::Null,
        }
    }

    /// Whether it or anything inside is unknown.
    pub fn has_unknown(&self) -> bool {
        match self {
            Node::Unknown => true,
            Node::List(items) => items.iter().any(Node::has_unknown),
            Node::Map(map) => map.values().any(Node::has_unknown),
            _ => false,
        }
    }
}

/// The key that stands at a place, as it is written there.
fn key_at(text: &str, line: usize, column: usize) -> Option<&str> {
    let line = text.lines().nth(line.checked_sub(1)?)?;
    let (start, _) = line.char_indices().nth(column.checked_sub(1)?)?;
    let rest = line[start..].trim_start();
    let key = rest.split(['=', ':', ' ', '\t']).next()?;
    (!key.is_empty()).then_some(key)
}

fn body_node(body: &Body, place: &Place) -> Result<Node, ConfigError> {
    let mut map = BTreeMap::new();
    for structure in body {
        if let Some(attribute) = structure.as_attribute() {
            let name = attribute.key.as_str().to_owned();
            let here = place.join(&name);
            let node = expression_node(&attribute.value, &here)?;
            if map.insert(name, node).is_some() {
                return Err(wrong(&here, "it is set twice"));
            }
        } else if let Some(block) = structure.as_block() {
            let name = block.ident.as_str().to_owned();
            let here = place.join(&name);
            return Err(wrong(&here, format!("write it as an attribute: {name} = {{ … }}")));
        }
    }
    Ok(Node::Map(map))
}

fn expression_node(expression: &Expression, place: &Place) -> Result<Node, ConfigError> {
    Ok(match expression {
        Expression::Null(_) => Node::Null,
        Expression::Bool(flag) => Node::Flag(**flag),
        Expression::String(text) => Node::Text(text.as_str().to_owned()),
        Expression::Number(number) => match number.as_i64() {
            Some(count) => Node::Count(count),
            None => return Err(wrong(place, "only whole numbers are read here")),
        },
        Expression::Array(array) => Node::List(
            array
                .iter()
                .enumerate()
                .map(|(index, item)| expression_node(item, &place.join(index)))
                .collect::<Result<_, _>>()?,
        ),
        Expression::Object(object) => {
            let mut map = BTreeMap::new();
            for (key, value) in object {
                let name = match key {
                    ObjectKey::Ident(ident) => ident.as_str().to_owned(),
                    ObjectKey::Expression(Expression::String(text)) => text.as_str().to_owned(),
                    ObjectKey::Expression(Expression::Variable(variable)) => {
                        variable.as_str().to_owned()
                    }
                    ObjectKey::Expression(_) => {
                        return Err(wrong(place, "a key must be a plain name"));
                    }
                };
                let here = place.join(&name);
                let node = expression_node(value.expr(), &here)?;
                if map.insert(name, node).is_some() {
                    return Err(wrong(&here, "it is set twice"));
                }
            }
            Node::Map(map)
        }
        Expression::Parenthesis(inner) => expression_node(inner.inner(), place)?,
        _ => {
            return Err(wrong(
                place,
                "only plain values are read here: no variables, functions or interpolation. \
                 A secret comes from { env = \"NAME\" }, { file = \"…\" } or { path = \"…\" }",
            ));
        }
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn plain_values_are_read_and_expressions_are_refused_by_place() {
        let node = Node::parse_hcl("a = { b = [\"x\", 3, true], \"c d\" = null }").unwrap();
        let list = Node::List(vec![Node::Text("x".into()), Node::Count(3), Node::Flag(true)]);
        assert_eq!(node.member("a").member("b"), &list);
        assert_eq!(node.member("a").member("c d"), &Node::Null);
        let error = Node::parse_hcl("a = { b = var.token }").unwrap_err();
        assert_eq!(error.place.to_string(), "a.b");
        let error = Node::parse_hcl("a = \"${var.token}\"").unwrap_err();
        assert!(error.message.contains("no variables"), "{error}");
        let error = Node::parse_hcl("connections { }").unwrap_err();
        assert!(error.message.contains("connections = {"), "{error}");
        assert!(Node::parse_hcl("a = ").unwrap_err().message.contains("line 1"));
    }

    #[test]
    fn a_key_that_is_set_twice_is_named_wherever_it_stands() {
        for (text, named) in [
            ("demo = true\n\ndemo = false", "line 3, column 1: demo is set a second time"),
            ("a = {\n  b = 1\n  b = 2 }", "b is set a second time"),
            ("a = { \"b c\" = 1, d = 2, \"b c\" = 3 }", "set"),
        ] {
            let error = Node::parse_hcl(text).unwrap_err().to_string();
            assert!(error.contains(named), "{error}");
        }
    }

    #[test]
    fn what_an_editor_adds_is_no_fault() {
        let node = Node::parse_hcl("\u{feff}a = 1\r\nb = true\r\n").unwrap();
        assert_eq!((node.member("a"), node.member("b")), (&Node::Count(1), &Node::Flag(true)));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "[a-z={}\\[\\]\"$. \n0-9-]{0,80}|.{0,60}") {
            let _ = Node::parse_hcl(&text);
        }
    }

    #[test]
    fn a_deeply_nested_text_is_refused() {
        let text = format!("a = {}", "[".repeat(100_000));
        assert!(Node::parse_hcl(&text).unwrap_err().message.contains("nested deeper"));
    }
}
