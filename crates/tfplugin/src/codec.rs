//! What both encodings share: limits, and errors that name the place.

use std::fmt;

use crate::{Diagnostic, Path};

/// How many bytes a value may have in an encoding: what cores send at most.
pub const MAX_BYTES: usize = 256 << 20;

/// Bytes or JSON that are no value of the type, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// Where.
    pub path: Path,
    /// Why; never the value itself.
    pub why: String,
}

impl Malformed {
    /// Malformed there, because of this.
    pub fn new(path: &Path, why: impl Into<String>) -> Self {
        Self { path: path.clone(), why: why.into() }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_root() {
            return f.write_str(&self.why);
        }
        write!(f, "at {}: {}", self.path, self.why)
    }
}

impl std::error::Error for Malformed {}

impl From<Malformed> for Diagnostic {
    fn from(malformed: Malformed) -> Self {
        Diagnostic::error("Value cannot be read", format!("{malformed}.")).at(malformed.path)
    }
}

impl From<Malformed> for crate::Diagnostics {
    fn from(malformed: Malformed) -> Self {
        Diagnostic::from(malformed).into()
    }
}

/// The way to the value in hand, kept without an allocation per value.
#[derive(Clone, Copy)]
pub(crate) struct Trail<'a> {
    up: Option<&'a Trail<'a>>,
    step: Here<'a>,
    pub(crate) depth: usize,
}

#[derive(Clone, Copy)]
enum Here<'a> {
    Root,
    Attribute(&'a str),
    Key(&'a str),
    Index(usize),
    /// An element of a set has no path of its own.
    Same,
}

impl<'a> Trail<'a> {
    pub(crate) fn root() -> Self {
        Self { up: None, step: Here::Root, depth: 0 }
    }

    fn below(&'a self, step: Here<'a>) -> Self {
        Self { up: Some(self), step, depth: self.depth + 1 }
    }

    pub(crate) fn attribute(&'a self, name: &'a str) -> Self {
        self.below(Here::Attribute(name))
    }

    pub(crate) fn key(&'a self, key: &'a str) -> Self {
        self.below(Here::Key(key))
    }

    pub(crate) fn index(&'a self, index: usize) -> Self {
        self.below(Here::Index(index))
    }

    pub(crate) fn same(&'a self) -> Self {
        self.below(Here::Same)
    }

    pub(crate) fn path(&self) -> Path {
        let up = self.up.map_or_else(Path::root, Trail::path);
        match self.step {
            Here::Root | Here::Same => up,
            Here::Attribute(name) => up.then(name),
            Here::Key(key) => up.key(key),
            Here::Index(index) => up.index(index),
        }
    }

    pub(crate) fn wrong<T>(&self, why: impl Into<String>) -> Result<T, Malformed> {
        Err(Malformed::new(&self.path(), why))
    }

    /// Refuses what nests too deep.
    pub(crate) fn check_depth(&self) -> Result<(), Malformed> {
        if self.depth > crate::types::MAX_DEPTH {
            return self.wrong(format!(
                "values may nest {} levels deep, not more",
                crate::types::MAX_DEPTH
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::types::MAX_DEPTH;
    use crate::{Attribute, Nesting, Schema, Type, Value, json, msgpack};

    /// The stack that a call has to itself, in a build that is not optimised.
    const STACK: usize = 2 << 20;

    fn on_a_small_stack(work: fn()) {
        std::thread::Builder::new().stack_size(STACK).spawn(work).unwrap().join().unwrap();
    }

    #[test]
    fn what_nests_as_deep_as_may_be_leaves_room_on_the_stack() {
        on_a_small_stack(|| {
            type Shape = (fn(Type) -> Type, fn(Value) -> Value);
            let shapes: [Shape; 5] = [
                (Type::list, |inner| Value::List(vec![inner])),
                (Type::set, |inner| Value::set([inner])),
                (Type::map, |inner| Value::map([("k", inner)])),
                (|inner| Type::object([("a", inner)]), |inner| Value::object([("a", inner)])),
                (|inner| Type::Tuple(vec![inner]), |inner| Value::Tuple(vec![inner])),
            ];
            for (ty, value) in shapes {
                let deep = |levels| {
                    (0..levels).fold((Type::Bool, Value::Bool(true)), |(t, v), _| (ty(t), value(v)))
                };
                let (all, most) = deep(MAX_DEPTH);
                let bytes = msgpack::encode(&most, &all).unwrap();
                assert_eq!(msgpack::decode(&bytes, &all).unwrap(), most);
                let text = json::encode(&most, &all).unwrap();
                assert_eq!(json::decode(&text, &all).unwrap(), most);
                assert!(most.misfit(&all).is_none() && most.same(&most.clone()));
                assert_eq!(most.clone().without_misfits(&all), most);
                let (more, too_deep) = deep(MAX_DEPTH + 1);
                assert!(msgpack::encode(&too_deep, &more).is_err());
                assert!(json::encode(&too_deep, &more).is_err());
            }
        });
    }

    #[test]
    fn stored_json_that_nests_without_end_is_an_error() {
        on_a_small_stack(|| {
            for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
                let text = format!("{}1{}", open.repeat(100_000), close.repeat(100_000));
                assert!(json::parse(text.as_bytes()).is_err());
                assert!(Type::from_json_bytes(text.as_bytes()).is_err());
            }
            let leaf = vec![Attribute::new("x", Type::Dynamic).optional()];
            let schema = Schema::new(vec![Attribute::nested("n", Nesting::List, leaf).optional()]);
            let deep = format!("{}\"bool\"{}", "[\"list\",".repeat(60), "]".repeat(60));
            let value = format!("{}true{}", "[".repeat(60), "]".repeat(60));
            let text = format!("{{\"n\":[{{\"x\":{{\"type\":{deep},\"value\":{value}}}}}]}}");
            let state = json::parse(text.as_bytes()).unwrap();
            assert!(json::decode_state(&state, &schema).is_ok());
        });
    }
}
