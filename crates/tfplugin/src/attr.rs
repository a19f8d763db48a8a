//! The three states of an attribute.

use crate::{Diagnostic, Path, Refinement};

/// An attribute's value: null, unknown until apply, or known.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Attr<T> {
    /// Not set.
    #[default]
    Null,
    /// Known after apply, with what is promised of it.
    Unknown(Option<Box<Refinement>>),
    /// Known.
    Value(T),
}

impl<T> Attr<T> {
    /// Unknown, nothing promised.
    pub fn unknown() -> Self {
        Self::Unknown(None)
    }

    /// Unknown, promised not to be null.
    pub fn unknown_not_null() -> Self {
        Self::Unknown(Some(Box::new(Refinement::not_null())))
    }

    /// Unknown text, promised to begin so.
    pub fn unknown_with_prefix(prefix: impl Into<String>) -> Self {
        Self::Unknown(Some(Box::new(Refinement::prefix(prefix))))
    }

    /// Whether it is null.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// Whether it is unknown.
    pub fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown(_))
    }

    /// Whether it is a value, neither null nor unknown.
    pub fn is_value(&self) -> bool {
        matches!(self, Self::Value(_))
    }

    /// The value, where it is one.
    pub fn value(&self) -> Option<&T> {
        match self {
            Self::Value(value) => Some(value),
            _ => None,
        }
    }

    /// The value to change, where it is one.
    pub fn value_mut(&mut self) -> Option<&mut T> {
        match self {
            Self::Value(value) => Some(value),
            _ => None,
        }
    }

    /// The value, where it is one; null and unknown are both none.
    pub fn into_value(self) -> Option<T> {
        match self {
            Self::Value(value) => Some(value),
            _ => None,
        }
    }

    /// Known null as `Some(None)`, a value as `Some(Some(_))`, unknown as none.
    pub fn known(&self) -> Option<Option<&T>> {
        match self {
            Self::Null => Some(None),
            Self::Value(value) => Some(Some(value)),
            Self::Unknown(_) => None,
        }
    }

    /// The same state, the value borrowed.
    pub fn as_ref(&self) -> Attr<&T> {
        match self {
            Self::Null => Attr::Null,
            Self::Unknown(promise) => Attr::Unknown(promise.clone()),
            Self::Value(value) => Attr::Value(value),
        }
    }

    /// The same state, the value changed. Promises are dropped, for they were about the old one.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Attr<U> {
        match self {
            Self::Null => Attr::Null,
            Self::Unknown(_) => Attr::Unknown(None),
            Self::Value(value) => Attr::Value(change(value)),
        }
    }

    /// A value leads on; null stays null and unknown stays unknown.
    pub fn and_then<U>(self, change: impl FnOnce(T) -> Attr<U>) -> Attr<U> {
        match self {
            Self::Null => Attr::Null,
            Self::Unknown(_) => Attr::Unknown(None),
            Self::Value(value) => change(value),
        }
    }

    /// The value, or this where there is none.
    pub fn unwrap_or(self, other: T) -> T {
        self.into_value().unwrap_or(other)
    }

    /// The value, or the default of its type where there is none.
    pub fn unwrap_or_default(self) -> T
    where
        T: Default,
    {
        self.into_value().unwrap_or_default()
    }

    /// This, or another where this is null.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        match self {
            Self::Null => other,
            some => some,
        }
    }

    /// Sets a value.
    pub fn set(&mut self, value: impl Into<T>) {
        *self = Self::Value(value.into());
    }

    /// Takes what is there and leaves null.
    pub fn take(&mut self) -> Self {
        std::mem::take(self)
    }

    /// The value of an attribute that a change needs to go on.
    ///
    /// # Errors
    /// It is null or unknown; the diagnostic names the path.
    pub fn need(&self, path: impl Into<Path>) -> Result<&T, Diagnostic> {
        let path = path.into();
        match self {
            Self::Value(value) => Ok(value),
            Self::Null => Err(Diagnostic::error(
                "Missing attribute value",
                format!("The attribute {path} has no value, and this operation needs one."),
            )
            .at(path)),
            Self::Unknown(_) => Err(Diagnostic::error(
                "Unknown attribute value",
                format!("The value of {path} is not known yet, and this operation needs it."),
            )
            .at(path)),
        }
    }
}

impl<T: Clone> Attr<&T> {
    /// The value cloned.
    pub fn cloned(self) -> Attr<T> {
        match self {
            Self::Null => Attr::Null,
            Self::Unknown(promise) => Attr::Unknown(promise),
            Self::Value(value) => Attr::Value(value.clone()),
        }
    }
}

impl<T: std::ops::Deref> Attr<T> {
    /// The value as what it points to: `Option<&str>` of an `Attr<String>`.
    pub fn as_deref(&self) -> Option<&T::Target> {
        self.value().map(std::ops::Deref::deref)
    }
}

impl Attr<String> {
    /// The text, or the empty text where there is none.
    pub fn text(&self) -> &str {
        self.as_deref().unwrap_or_default()
    }
}

impl<T> From<T> for Attr<T> {
    fn from(value: T) -> Self {
        Self::Value(value)
    }
}

impl From<&str> for Attr<String> {
    fn from(text: &str) -> Self {
        Self::Value(text.to_owned())
    }
}

/// None is null.
impl<T> From<Option<T>> for Attr<T> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Self::Value)
    }
}

impl<T: PartialEq> PartialEq<T> for Attr<T> {
    fn eq(&self, other: &T) -> bool {
        self.value() == Some(other)
    }
}

impl PartialEq<str> for Attr<String> {
    fn eq(&self, other: &str) -> bool {
        self.as_deref() == Some(other)
    }
}

impl PartialEq<&str> for Attr<String> {
    fn eq(&self, other: &&str) -> bool {
        self.as_deref() == Some(*other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_and_unknown_are_told_apart() {
        let null: Attr<String> = Attr::Null;
        let unknown: Attr<String> = Attr::unknown();
        assert_eq!(null.known(), Some(None));
        assert_eq!(unknown.known(), None);
        assert!(null.need("name").unwrap_err().summary.starts_with("Missing"));
        assert!(unknown.need("name").unwrap_err().summary.starts_with("Unknown"));
        assert!(Attr::<String>::from(None).is_null());
        assert_eq!(Attr::from("x".to_owned()).map(|x| x.len()), Attr::Value(1));
    }
}
