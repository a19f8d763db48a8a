//! Settings of a platform object or of a credential type, as a connector's table declares them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

/// One setting's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Setting {
    /// Text; durations and dates too.
    Text(String),
    /// A switch.
    Flag(bool),
    /// A count.
    Count(i64),
    /// A set of texts.
    Texts(BTreeSet<String>),
}

/// In words, for people and for comparing.
impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Setting::Text(text) => f.write_str(text),
            Setting::Flag(flag) => flag.fmt(f),
            Setting::Count(count) => count.fmt(f),
            Setting::Texts(texts) => {
                let all: Vec<&str> = texts.iter().map(String::as_str).collect();
                f.write_str(&all.join(", "))
            }
        }
    }
}

/// The settings that are present, by field name. An absent one is null: what that means is said by
/// the connector's table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settings(pub BTreeMap<String, Setting>);

impl Settings {
    /// Text of a field, if present.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.0.get(name) {
            Some(Setting::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// Switch of a field, if present.
    pub fn flag(&self, name: &str) -> Option<bool> {
        match self.0.get(name) {
            Some(Setting::Flag(flag)) => Some(*flag),
            _ => None,
        }
    }

    /// Count of a field, if present.
    pub fn count(&self, name: &str) -> Option<i64> {
        match self.0.get(name) {
            Some(Setting::Count(count)) => Some(*count),
            _ => None,
        }
    }

    /// Set of a field, if present.
    pub fn texts(&self, name: &str) -> Option<&BTreeSet<String>> {
        match self.0.get(name) {
            Some(Setting::Texts(texts)) => Some(texts),
            _ => None,
        }
    }

    /// Adds a field, for building settings in one expression.
    #[must_use]
    pub fn with(mut self, name: &str, value: Setting) -> Self {
        self.0.insert(name.to_owned(), value);
        self
    }
}
