//! Values: known, null and unknown.

use std::collections::BTreeMap;
use std::fmt;

use unicode_normalization::{UnicodeNormalization, is_nfc};

use crate::{Attribute, Kind, Nesting, Number, Path, Step, Type};

/// The attributes of an object by name.
pub type Object = BTreeMap<String, Value>;

/// A value of any type. Strings are in Unicode normal form C and sets are sorted without doubles:
/// build them with [`Value::string`] and [`Value::set`].
///
/// Its `Debug` shows the shape and none of the texts and numbers, for any of them may be secret;
/// [`Value::spelled`] shows all.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    /// No value.
    #[default]
    Null,
    /// A value that apply will bring, with what is promised of it.
    Unknown(Option<Box<Refinement>>),
    /// True or false.
    Bool(bool),
    /// A number of any size.
    Number(Number),
    /// Unicode text.
    String(String),
    /// Values of one type in order.
    List(Vec<Value>),
    /// Distinct values of one type, sorted.
    Set(Vec<Value>),
    /// Values of one type by key.
    Map(BTreeMap<String, Value>),
    /// Values of several types by name.
    Object(Object),
    /// Values of several types in order.
    Tuple(Vec<Value>),
    /// A value of a dynamic attribute, with its own type.
    Dynamic(Box<(Type, Value)>),
}

/// What is promised of an unknown value.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Refinement {
    /// It is null (`Some(true)`) or is not (`Some(false)`).
    pub null: Option<bool>,
    /// The text begins so.
    pub prefix: Option<String>,
    /// The number is at least this, inclusive or not.
    pub minimum: Option<(Number, bool)>,
    /// The number is at most this, inclusive or not.
    pub maximum: Option<(Number, bool)>,
    /// The collection has at least so many elements.
    pub min_length: Option<i64>,
    /// The collection has at most so many elements.
    pub max_length: Option<i64>,
}

impl Refinement {
    /// Promised not to be null.
    pub fn not_null() -> Self {
        Self { null: Some(false), ..Self::default() }
    }

    /// Promised to be text that begins so.
    pub fn prefix(prefix: impl Into<String>) -> Self {
        Self { prefix: Some(prefix.into()), ..Self::not_null() }
    }

    /// Whether nothing is promised.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What a value breaks of the promise, if anything.
    pub fn broken_by(&self, value: &Value) -> Option<String> {
        match (self.null, value) {
            (Some(false), Value::Null) => return Some("promised not to be null".to_owned()),
            (Some(true), value) if !matches!(value, Value::Null | Value::Unknown(_)) => {
                return Some("promised to be null".to_owned());
            }
            _ => {}
        }
        if let (Some(prefix), Value::String(text)) = (&self.prefix, value)
            && !text.starts_with(prefix.as_str())
        {
            return Some(format!("promised to begin with {prefix:?}"));
        }
        if let Value::Number(number) = value {
            if let Some((minimum, inclusive)) = &self.minimum
                && (number < minimum || (number == minimum && !inclusive))
            {
                return Some(format!("promised to be at least {minimum}"));
            }
            if let Some((maximum, inclusive)) = &self.maximum
                && (number > maximum || (number == maximum && !inclusive))
            {
                return Some(format!("promised to be at most {maximum}"));
            }
        }
        if let Some(length) = value.length() {
            let length = i64::try_from(length).unwrap_or(i64::MAX);
            if self.min_length.is_some_and(|least| length < least)
                || self.max_length.is_some_and(|most| length > most)
            {
                return Some("promised another number of elements".to_owned());
            }
        }
        None
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Shown { value: self, all: false }.fmt(f)
    }
}

/// A value to be shown, with or without what it holds.
struct Shown<'a> {
    value: &'a Value,
    all: bool,
}

impl fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.all;
        let each = |value| Shown { value, all };
        match self.value {
            Value::Null => f.write_str("null"),
            Value::Unknown(None) => f.write_str("unknown"),
            Value::Unknown(Some(promise)) => write!(f, "unknown with {promise:?}"),
            Value::Bool(value) => write!(f, "{value}"),
            Value::Number(number) if all => write!(f, "{number}"),
            Value::Number(_) => f.write_str("number(…)"),
            Value::String(text) if all => write!(f, "{text:?}"),
            Value::String(_) => f.write_str("string(…)"),
            Value::List(elements) | Value::Tuple(elements) => {
                f.debug_list().entries(elements.iter().map(each)).finish()
            }
            Value::Set(elements) => f.debug_set().entries(elements.iter().map(each)).finish(),
            Value::Map(elements) | Value::Object(elements) => {
                f.debug_map().entries(elements.iter().map(|(key, one)| (key, each(one)))).finish()
            }
            Value::Dynamic(inner) => write!(f, "{} ", inner.0).and_then(|()| each(&inner.1).fmt(f)),
        }
    }
}

impl Value {
    /// Shows all that it holds, secrets too: for tests.
    pub fn spelled(&self) -> impl fmt::Debug + '_ {
        Shown { value: self, all: true }
    }

    /// Text in normal form C.
    pub fn string(text: impl Into<String>) -> Self {
        let text = text.into();
        if text.is_ascii() || is_nfc(&text) {
            return Self::String(text);
        }
        Self::String(text.nfc().collect())
    }

    /// A set: sorted, doubles dropped (two unknown elements may turn out to differ, and stay).
    pub fn set(elements: impl IntoIterator<Item = Value>) -> Self {
        let mut elements: Vec<Value> = elements.into_iter().collect();
        elements.sort();
        elements.dedup_by(|a, b| a == b && a.is_wholly_known());
        Self::Set(elements)
    }

    /// An integer.
    pub fn int(value: i64) -> Self {
        Self::Number(Number::from(value))
    }

    /// An object with these attributes.
    pub fn object<N: Into<String>>(attributes: impl IntoIterator<Item = (N, Value)>) -> Self {
        let attributes = attributes.into_iter().map(|(name, value)| (name.into(), value));
        Self::Object(named(attributes.collect()))
    }

    /// A map with these elements.
    pub fn map<N: Into<String>>(elements: impl IntoIterator<Item = (N, Value)>) -> Self {
        let elements = elements.into_iter().map(|(key, value)| (key.into(), value));
        Self::Map(named(elements.collect()))
    }

    /// An unknown value of which nothing is promised.
    pub fn unknown() -> Self {
        Self::Unknown(None)
    }

    /// Whether it is null.
    pub fn is_null(&self) -> bool {
        match self {
            Self::Null => true,
            Self::Dynamic(inner) => inner.1.is_null(),
            _ => false,
        }
    }

    /// Whether it is unknown itself.
    pub fn is_unknown(&self) -> bool {
        match self {
            Self::Unknown(_) => true,
            Self::Dynamic(inner) => inner.1.is_unknown(),
            _ => false,
        }
    }

    /// Whether nothing in it is unknown.
    pub fn is_wholly_known(&self) -> bool {
        match self {
            Self::Unknown(_) => false,
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::String(_) => true,
            Self::List(all) | Self::Set(all) | Self::Tuple(all) => {
                all.iter().all(Self::is_wholly_known)
            }
            Self::Map(all) | Self::Object(all) => all.values().all(Self::is_wholly_known),
            Self::Dynamic(inner) => inner.1.is_wholly_known(),
        }
    }

    /// Where it is unknown; inside sets the path of the set.
    pub fn unknown_paths(&self) -> Vec<Path> {
        fn walk(value: &Value, at: &Path, paths: &mut Vec<Path>) {
            match value {
                Value::Unknown(_) => paths.push(at.clone()),
                Value::List(all) | Value::Tuple(all) => {
                    for (index, value) in all.iter().enumerate() {
                        walk(value, &at.index(index), paths);
                    }
                }
                Value::Set(all) => all.iter().for_each(|value| walk(value, at, paths)),
                Value::Map(all) => {
                    for (key, value) in all {
                        walk(value, &at.key(key), paths);
                    }
                }
                Value::Object(all) => {
                    for (name, value) in all {
                        walk(value, &at.then(name), paths);
                    }
                }
                Value::Dynamic(inner) => walk(&inner.1, at, paths),
                _ => {}
            }
        }
        let mut paths = Vec::new();
        walk(self, &Path::root(), &mut paths);
        paths.dedup();
        paths
    }

    /// How many elements a collection has.
    pub fn length(&self) -> Option<usize> {
        match self {
            Self::List(all) | Self::Set(all) | Self::Tuple(all) => Some(all.len()),
            Self::Map(all) => Some(all.len()),
            _ => None,
        }
    }

    /// The text, where it is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The attributes, where it is an object.
    pub fn as_object(&self) -> Option<&Object> {
        match self {
            Self::Object(attributes) => Some(attributes),
            _ => None,
        }
    }

    /// The attributes, to change them.
    pub fn as_object_mut(&mut self) -> Option<&mut Object> {
        match self {
            Self::Object(attributes) => Some(attributes),
            _ => None,
        }
    }

    /// An attribute, element or index of it; none where there is none.
    pub fn step(&self, step: &Step) -> Option<&Value> {
        match (self, step) {
            (Self::Object(all), Step::Attribute(name)) => all.get(name),
            (Self::Map(all), Step::Key(key)) => all.get(key),
            (Self::Object(all), Step::Key(key)) | (Self::Map(all), Step::Attribute(key)) => {
                all.get(key)
            }
            (Self::List(all) | Self::Tuple(all), Step::Index(index)) => {
                usize::try_from(*index).ok().and_then(|index| all.get(index))
            }
            (Self::Dynamic(inner), step) => inner.1.step(step),
            _ => None,
        }
    }

    /// The value at a path; none where the way ends before.
    pub fn at(&self, path: &Path) -> Option<&Value> {
        path.steps().iter().try_fold(self, |value, step| value.step(step))
    }

    /// The value at a path, to change it.
    pub fn at_mut(&mut self, path: &Path) -> Option<&mut Value> {
        path.steps().iter().try_fold(self, |value, step| match (value, step) {
            (Self::Object(all), Step::Attribute(name) | Step::Key(name))
            | (Self::Map(all), Step::Key(name) | Step::Attribute(name)) => all.get_mut(name),
            (Self::List(all) | Self::Tuple(all), Step::Index(index)) => {
                usize::try_from(*index).ok().and_then(|index| all.get_mut(index))
            }
            _ => None,
        })
    }

    /// The same value, where promises about unknown parts do not count.
    pub fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Unknown(_), Self::Unknown(_)) => true,
            (Self::List(a), Self::List(b))
            | (Self::Set(a), Self::Set(b))
            | (Self::Tuple(a), Self::Tuple(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.same(b))
            }
            (Self::Map(a), Self::Map(b)) | (Self::Object(a), Self::Object(b)) => {
                a.len() == b.len()
                    && a.iter().zip(b).all(|((ka, a), (kb, b))| ka == kb && a.same(b))
            }
            (Self::Dynamic(a), Self::Dynamic(b)) => a.0 == b.0 && a.1.same(&b.1),
            (a, b) => a == b,
        }
    }

    /// The same value with null in place of what is unknown.
    #[must_use]
    pub fn without_unknowns(self) -> Self {
        match self {
            Self::Unknown(_) => Self::Null,
            Self::List(all) => Self::List(all.into_iter().map(Self::without_unknowns).collect()),
            Self::Set(all) => Self::set(all.into_iter().map(Self::without_unknowns)),
            Self::Tuple(all) => Self::Tuple(all.into_iter().map(Self::without_unknowns).collect()),
            Self::Map(all) => Self::Map(each(all, Self::without_unknowns)),
            Self::Object(all) => Self::Object(each(all, Self::without_unknowns)),
            Self::Dynamic(inner) => {
                let (ty, value) = *inner;
                match value.without_unknowns() {
                    Self::Null => Self::Null,
                    value => Self::Dynamic(Box::new((ty, value))),
                }
            }
            other => other,
        }
    }

    /// The same value with null in place of what does not have this type.
    #[must_use]
    pub fn without_misfits(self, ty: &Type) -> Self {
        match (self, ty) {
            (Self::List(all), Type::List(of)) => {
                Self::List(all.into_iter().map(|v| v.without_misfits(of)).collect())
            }
            (Self::Set(all), Type::Set(of)) => {
                Self::set(all.into_iter().map(|v| v.without_misfits(of)))
            }
            (Self::Map(all), Type::Map(of)) => {
                Self::Map(each(all, |value| value.without_misfits(of)))
            }
            (Self::Object(mut all), Type::Object(types)) => {
                Self::object(types.iter().map(|(name, of)| {
                    let value = all.remove(name).unwrap_or_default();
                    (name.as_str(), value.without_misfits(of))
                }))
            }
            (value, ty) if value.misfit(ty).is_none() => value,
            _ => Self::Null,
        }
    }

    /// Where the value does not have this type, and why.
    pub fn misfit(&self, ty: &Type) -> Option<(Path, String)> {
        misfit(self, ty, &Path::root())
    }
}

fn misfit(value: &Value, ty: &Type, path: &Path) -> Option<(Path, String)> {
    match (value, ty) {
        (Value::Null | Value::Unknown(_), _)
        | (Value::Bool(_), Type::Bool)
        | (Value::Number(_), Type::Number)
        | (Value::String(_), Type::String) => None,
        (Value::List(all), Type::List(of)) => {
            all.iter().enumerate().find_map(|(i, v)| misfit(v, of, &path.index(i)))
        }
        (Value::Set(all), Type::Set(of)) => all.iter().find_map(|v| misfit(v, of, path)),
        (Value::Map(all), Type::Map(of)) => {
            all.iter().find_map(|(k, v)| misfit(v, of, &path.key(k)))
        }
        (Value::Tuple(all), Type::Tuple(types)) if all.len() == types.len() => {
            all.iter().zip(types).enumerate().find_map(|(i, (v, of))| misfit(v, of, &path.index(i)))
        }
        (Value::Object(all), Type::Object(types)) => {
            if let Some(name) = types.keys().find(|name| !all.contains_key(*name)) {
                return Some((path.then(name), "the attribute is missing".to_owned()));
            }
            if let Some(name) = all.keys().find(|name| !types.contains_key(*name)) {
                return Some((path.then(name), "there is no such attribute".to_owned()));
            }
            all.iter().find_map(|(name, v)| misfit(v, &types[name], &path.then(name)))
        }
        (Value::Dynamic(inner), Type::Dynamic) => misfit(&inner.1, &inner.0, path),
        (value, ty) => Some((path.clone(), format!("{} is no {ty}", value.noun()))),
    }
}

impl Value {
    /// What it is, for messages; never what it holds.
    pub fn noun(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Unknown(_) => "an unknown value",
            Self::Bool(_) => "a bool",
            Self::Number(_) => "a number",
            Self::String(_) => "a string",
            Self::List(_) => "a list",
            Self::Set(_) => "a set",
            Self::Map(_) => "a map",
            Self::Object(_) => "an object",
            Self::Tuple(_) => "a tuple",
            Self::Dynamic(_) => "a dynamic value",
        }
    }
}

/// What stands where nothing does.
pub(crate) const NULL: &Value = &Value::Null;

/// What stands under each name.
///
/// Whatever is collected into a map is sorted first, and the sort is compiled anew, at 5 KB, for each
/// kind of iterator. Of a vector it is the same one everywhere.
pub(crate) fn named<V, M: FromIterator<(String, V)>>(all: Vec<(String, V)>) -> M {
    all.into_iter().collect()
}

fn each(mut all: Object, change: impl Fn(Value) -> Value) -> Object {
    for value in all.values_mut() {
        *value = change(std::mem::take(value));
    }
    all
}

/// The value of an attribute; a missing one is null.
pub(crate) fn get<'a>(object: &'a Object, attribute: &Attribute) -> &'a Value {
    object.get(&attribute.name).unwrap_or(NULL)
}

/// An object of the schema with every attribute null.
pub fn all_null(attributes: &[Attribute]) -> Object {
    named(attributes.iter().map(|a| (a.name.clone(), Value::Null)).collect())
}

/// Runs over the objects of a nested attribute's value and changes each.
pub(crate) fn for_each_object(
    value: &mut Value,
    nesting: Nesting,
    path: &Path,
    change: &mut dyn FnMut(&mut Object, &Path),
) {
    match (nesting, value) {
        (Nesting::Single, Value::Object(object)) => change(object, path),
        (Nesting::List, Value::List(all)) => {
            for (index, element) in all.iter_mut().enumerate() {
                if let Value::Object(object) = element {
                    change(object, &path.index(index));
                }
            }
        }
        (Nesting::Map, Value::Map(all)) => {
            for (key, element) in all.iter_mut() {
                if let Value::Object(object) = element {
                    change(object, &path.key(key));
                }
            }
        }
        (Nesting::Set, set @ Value::Set(_)) => {
            if let Value::Set(mut all) = std::mem::take(set) {
                for element in &mut all {
                    if let Value::Object(object) = element {
                        change(object, path);
                    }
                }
                *set = Value::set(all);
            }
        }
        _ => {}
    }
}

/// Adds what the object lacks of its attributes, as null. One that is decoded lacks nothing, and is not
/// searched; names that are no attribute are in no object.
pub(crate) fn complete(object: &mut Object, attributes: &[Attribute]) {
    if object.len() >= attributes.len() {
        return;
    }
    for attribute in attributes {
        if !object.contains_key(&attribute.name) {
            object.insert(attribute.name.clone(), Value::Null);
        }
    }
}

/// The value of that name, null where it was not there; the name is copied only then. Always some.
pub(crate) fn entry<'a>(object: &'a mut Object, name: &str) -> Option<&'a mut Value> {
    if !object.contains_key(name) {
        object.insert(name.to_owned(), Value::Null);
    }
    object.get_mut(name)
}

/// The same object as it is planned and stored: every attribute there, what is write-only null.
pub fn without_write_only(value: Value, attributes: &[Attribute]) -> Value {
    let Value::Object(mut object) = value else { return value };
    blank_write_only(&mut object, attributes);
    Value::Object(object)
}

fn blank_write_only(object: &mut Object, attributes: &[Attribute]) {
    complete(object, attributes);
    for attribute in attributes {
        if attribute.write_only {
            object.insert(attribute.name.clone(), Value::Null);
        } else if let Kind::Nested { nesting, attributes } = &attribute.kind
            && let Some(value) = object.get_mut(&attribute.name)
        {
            for_each_object(value, *nesting, &Path::root(), &mut |inner, _| {
                blank_write_only(inner, attributes);
            });
        }
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::int(value)
    }
}

impl From<i32> for Value {
    fn from(value: i32) -> Self {
        Self::int(i64::from(value))
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::string(text)
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::string(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_sorted_and_holds_a_known_value_once() {
        let set = Value::set(["b", "a", "b"].map(Value::from));
        assert_eq!(set, Value::Set(vec!["a".into(), "b".into()]));
        let two = Value::set([Value::unknown(), Value::unknown()]);
        assert_eq!(two.length(), Some(2));
    }

    #[test]
    fn two_spellings_of_a_letter_are_one_string() {
        assert_eq!(Value::string("e\u{301}"), Value::string("\u{e9}"));
    }

    #[test]
    fn a_misfit_names_its_place() {
        let ty = Type::object([("a", Type::list(Type::Bool))]);
        let value = Value::object([("a", Value::List(vec![true.into(), "x".into()]))]);
        let (path, why) = value.misfit(&ty).unwrap();
        assert_eq!(path.to_string(), "a[1]");
        assert_eq!(why, "a string is no bool");
        let missing = Value::object::<&str>([]);
        assert_eq!(missing.misfit(&ty).unwrap().1, "the attribute is missing");
        let fitting = Value::object([("a", Value::List(vec![true.into(), Value::Null]))]);
        assert_eq!(value.without_misfits(&ty), fitting);
        let strange = Value::object([("b", true.into())]);
        assert_eq!(strange.without_misfits(&ty), Value::object([("a", Value::Null)]));
    }
}
