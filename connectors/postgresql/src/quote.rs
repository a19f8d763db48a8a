//! Names and texts inside statements that take no parameters.

use postgres_protocol::escape::{escape_identifier, escape_literal};

/// The longest name: the server cuts what is longer, and means another by it.
pub(crate) const LONGEST: usize = 63;

/// A name as the server reads it back.
pub(crate) fn name(text: &str) -> String {
    escape_identifier(text)
}

/// A text as the server reads it back.
pub(crate) fn text(text: &str) -> String {
    escape_literal(text)
}

/// Why a text can be no name; `None` where it can.
pub(crate) fn refuse(text: &str) -> Option<&'static str> {
    if text.is_empty() {
        Some("it is empty")
    } else if text.len() > LONGEST {
        Some("it is longer than 63 bytes, and PostgreSQL would cut it")
    } else if text.chars().any(char::is_control) {
        Some("it has a control character")
    } else {
        None
    }
}

/// Whether a list of types is nothing but that: words, dots, brackets, and names in quotes. What stands
/// between the parentheses of a function cannot end them.
pub(crate) fn is_types(text: &str) -> bool {
    let mut quoted = false;
    for c in text.chars() {
        match c {
            '"' => quoted = !quoted,
            _ if c.is_control() => return false,
            _ if quoted => {}
            _ if c.is_alphanumeric() || matches!(c, '_' | '$' | '.' | ',' | ' ' | '[' | ']') => {}
            _ => return false,
        }
    }
    !quoted
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What the server makes of a quoted name: one, and nothing behind it.
    fn read_name(sql: &str) -> Option<String> {
        let inner = sql.strip_prefix('"')?.strip_suffix('"')?;
        let plain = inner.replace("\"\"", "");
        (!plain.contains('"')).then(|| inner.replace("\"\"", "\""))
    }

    /// What the server makes of a quoted text, standard-conforming or with escapes.
    fn read_text(sql: &str) -> Option<String> {
        let sql = sql.trim_start();
        let (inner, escapes) = match sql.strip_prefix("E'") {
            Some(inner) => (inner, true),
            None => (sql.strip_prefix('\'')?, false),
        };
        let inner = inner.strip_suffix('\'')?;
        if inner.replace("''", "").contains('\'') || (!escapes && inner.contains('\\')) {
            return None;
        }
        let read = inner.replace("''", "'");
        Some(if escapes { read.replace("\\\\", "\\") } else { read })
    }

    proptest! {
        #[test]
        fn a_quoted_name_is_that_name_and_nothing_more(text in "[^\u{0}]{1,40}|[\"';\\\\ -]{1,20}") {
            prop_assert_eq!(read_name(&name(&text)), Some(text));
        }

        #[test]
        fn a_quoted_text_is_that_text_and_nothing_more(literal in "[^\u{0}]{0,40}|[\"';\\\\ -]{0,20}") {
            prop_assert_eq!(read_text(&text(&literal)), Some(literal));
        }

        #[test]
        fn a_list_of_types_never_leaves_its_parentheses(text in "[a-z\"();', .\\[\\]-]{0,30}") {
            if is_types(&text) {
                // Without what is in quotes, nothing is left that a statement could go on with.
                let bare: String = text.split('"').step_by(2).collect();
                prop_assert!(!bare.contains(['(', ')', ';', '\'', '-']), "{}", bare);
            }
        }
    }
}
