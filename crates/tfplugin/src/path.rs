//! The way from an object to a value inside it.

use std::fmt;

/// One step of a [`Path`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// An attribute of an object.
    Attribute(String),
    /// A key of a map.
    Key(String),
    /// An index of a list or tuple, counted from 0.
    Index(i64),
}

/// The way from an object to a value inside it. Elements of sets have none: stop at the set.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path(Vec<Step>);

impl Path {
    /// The object itself.
    pub fn root() -> Self {
        Self::default()
    }

    /// An attribute of the object.
    pub fn attribute(name: impl Into<String>) -> Self {
        Self::root().then(name)
    }

    /// This path and an attribute below it.
    #[must_use]
    pub fn then(&self, name: impl Into<String>) -> Self {
        self.with(Step::Attribute(name.into()))
    }

    /// This path and a map's key below it.
    #[must_use]
    pub fn key(&self, key: impl Into<String>) -> Self {
        self.with(Step::Key(key.into()))
    }

    /// This path and a list's index below it.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        self.with(Step::Index(i64::try_from(index).unwrap_or(i64::MAX)))
    }

    /// This path and one step more.
    #[must_use]
    pub fn with(&self, step: Step) -> Self {
        let mut steps = Vec::with_capacity(self.0.len() + 1);
        steps.extend_from_slice(&self.0);
        steps.push(step);
        Self(steps)
    }

    /// The same place seen from further out: below this step.
    pub(crate) fn within(mut self, step: Step) -> Self {
        self.0.insert(0, step);
        self
    }

    /// The steps from the object inwards.
    pub fn steps(&self) -> &[Step] {
        &self.0
    }

    /// Whether this is the object itself.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<Vec<Step>> for Path {
    fn from(steps: Vec<Step>) -> Self {
        Self(steps)
    }
}

/// Attribute names with dots between them: `integration.vendor_id`.
impl From<&str> for Path {
    fn from(text: &str) -> Self {
        Self(
            text.split('.')
                .filter(|name| !name.is_empty())
                .map(|name| Step::Attribute(name.to_owned()))
                .collect(),
        )
    }
}

impl From<&Path> for Path {
    fn from(path: &Path) -> Self {
        path.clone()
    }
}

/// As people write it in HCL: `deliver_to["app"].path`, `previous[0].key_id`.
impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, step) in self.0.iter().enumerate() {
            match step {
                Step::Attribute(name) if position == 0 => f.write_str(name)?,
                Step::Attribute(name) => write!(f, ".{name}")?,
                Step::Key(key) => write!(f, "[{key:?}]")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_reads_as_people_write_it() {
        let path = Path::attribute("deliver_to").key("app").then("hosts").index(2);
        assert_eq!(path.to_string(), "deliver_to[\"app\"].hosts[2]");
        assert_eq!(Path::from("a.b"), Path::attribute("a").then("b"));
    }
}
