//! From structs to objects and back: the traits that `#[derive(Model)]` implements.

use std::collections::{BTreeMap, BTreeSet};

use crate::{Attr, Attribute, Diagnostic, Kind, Nesting, Number, Object, Path, Step, Type, Value};

/// An ordered set.
pub type Set<T> = BTreeSet<T>;

/// Why a value cannot be read as a Rust type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Misread {
    /// A part of it is unknown where the Rust type has no place for that.
    Unknown,
    /// A part of it does not fit.
    Wrong(Box<Misfit>),
}

/// A part of a value that does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// Where it is. Whoever reads a part knows nothing of the whole: each level adds its step on the
    /// way out, so that nothing is spent on paths where all fits.
    pub path: Path,
    /// Why, as the end of a sentence.
    pub why: String,
}

impl Misread {
    /// What was to be read does not fit, and here is why.
    pub fn wrong(why: impl Into<String>) -> Self {
        Self::Wrong(Box::new(Misfit { path: Path::root(), why: why.into() }))
    }

    fn within(self, step: impl FnOnce() -> Step) -> Self {
        match self {
            Self::Unknown => Self::Unknown,
            Self::Wrong(misfit) => {
                let Misfit { path, why } = *misfit;
                Self::Wrong(Box::new(Misfit { path: path.within(step()), why }))
            }
        }
    }
}

impl From<Misread> for Diagnostic {
    fn from(misread: Misread) -> Self {
        match misread {
            Misread::Wrong(misfit) => {
                let Misfit { path, why } = *misfit;
                Diagnostic::error("Value has the wrong type", format!("At {path}: {why}.")).at(path)
            }
            Misread::Unknown => Diagnostic::error(
                "Unknown value",
                "A value is not known yet, and this operation needs it.",
            ),
        }
    }
}

/// Attributes of an object as a struct: `#[derive(Model)]`, or by hand for attributes that are
/// made at run time (use such a part with `#[tf(flatten)]`).
///
/// The derive refuses what says too little:
///
/// ```compile_fail
/// #[derive(Clone, PartialEq, tfplugin::Model)]
/// struct Thing {
///     name: tfplugin::Attr<String>, // required, optional or computed?
/// }
/// ```
///
/// or what cannot be null or unknown:
///
/// ```compile_fail
/// #[derive(Clone, PartialEq, tfplugin::Model)]
/// struct Thing {
///     #[tf(required)]
///     name: String, // not an Attr
/// }
/// ```
///
/// or words that mean nothing:
///
/// ```compile_fail
/// #[derive(Clone, PartialEq, tfplugin::Model)]
/// struct Thing {
///     #[tf(required, imutable)]
///     name: tfplugin::Attr<String>,
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no attributes",
    note = "derive it: `#[derive(Clone, PartialEq, tfplugin::Model)]`"
)]
pub trait Model: Sized + Clone + PartialEq + Send + Sync + 'static {
    /// The attributes in order.
    fn attributes() -> Vec<Attribute>;

    /// Markdown for the documentation.
    fn description() -> &'static str {
        ""
    }

    /// Reads its attributes of an object; a missing one is null.
    ///
    /// # Errors
    /// A value does not fit its field.
    fn read(from: &Object) -> Result<Self, Misread>;

    /// Puts its attributes into an object.
    fn write(&self, into: &mut Object);
}

/// What an attribute can hold, never null nor unknown itself: that is [`Attr`]'s part.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the value of an attribute",
    note = "values are String, Secret, bool, i64, Number, Dynamic, Vec<…>, Set<…>, \
            BTreeMap<String, …>, structs that derive Model, and types that implement Data"
)]
pub trait Data: Sized + Clone + Send + Sync + 'static {
    /// Whether it is a [`Secret`](crate::Secret), or holds some: its attribute is sensitive then.
    const SECRET: bool = false;

    /// What the attribute is in the schema.
    fn kind() -> Kind;

    /// Reads a value that is neither null nor unknown.
    ///
    /// # Errors
    /// The value does not fit, or a part of it is unknown.
    fn decode(value: &Value) -> Result<Self, Misread>;

    /// Reads an element of a collection, which may be null or unknown: only [`Attr`] has a place
    /// for that.
    ///
    /// # Errors
    /// The element does not fit, or a part of it is unknown.
    fn decode_element(value: &Value) -> Result<Self, Misread> {
        match value {
            Value::Null => Err(Misread::wrong("null cannot stand among the elements")),
            Value::Unknown(_) => Err(Misread::Unknown),
            value => Self::decode(value),
        }
    }

    /// The value.
    fn encode(&self) -> Value;
}

/// Reads one attribute of an object. Used by the derive.
///
/// # Errors
/// The value does not fit.
pub fn take<T: Data>(from: &Object, name: &str) -> Result<Attr<T>, Misread> {
    match from.get(name) {
        None => Ok(Attr::Null),
        Some(value) => {
            read_attr(value).map_err(|wrong| wrong.within(|| Step::Attribute(name.to_owned())))
        }
    }
}

fn read_attr<T: Data>(value: &Value) -> Result<Attr<T>, Misread> {
    match value {
        Value::Null => Ok(Attr::Null),
        Value::Unknown(promise) => Ok(Attr::Unknown(promise.clone())),
        value => match T::decode(value) {
            Ok(value) => Ok(Attr::Value(value)),
            Err(Misread::Unknown) => Ok(Attr::Unknown(None)),
            Err(wrong) => Err(wrong),
        },
    }
}

/// The value of one attribute. Used by the derive.
pub fn put<T: Data>(attr: &Attr<T>) -> Value {
    match attr {
        Attr::Null => Value::Null,
        Attr::Unknown(promise) => Value::Unknown(promise.clone()),
        Attr::Value(value) => value.encode(),
    }
}

/// Reads a whole object.
///
/// # Errors
/// It is no object, or a value does not fit its field.
pub fn from_value<M: Model>(value: &Value) -> Result<M, Diagnostic> {
    match value {
        Value::Object(object) => from_object(object),
        other => Err(Misread::wrong(format!("{} is no object", other.noun())).into()),
    }
}

/// The same of its attributes.
pub(crate) fn from_object<M: Model>(object: &Object) -> Result<M, Diagnostic> {
    M::read(object).map_err(Diagnostic::from)
}

/// Reads a whole object; null is none.
///
/// # Errors
/// It is neither null nor an object, or a value does not fit its field.
pub fn from_nullable<M: Model>(value: &Value) -> Result<Option<M>, Diagnostic> {
    if value.is_null() { Ok(None) } else { from_value(value).map(Some) }
}

/// An object whose attributes are all null: where imports begin.
///
/// # Errors
/// A part written by hand does not take null.
pub fn empty<M: Model>() -> Result<M, Diagnostic> {
    from_object(&crate::value::all_null(&M::attributes()))
}

/// The whole object.
pub fn to_value<M: Model>(model: &M) -> Value {
    let mut object = Object::new();
    model.write(&mut object);
    Value::Object(object)
}

fn no_fit<T>(value: &Value, ty: &str) -> Result<T, Misread> {
    Err(Misread::wrong(format!("{} is no {ty}", value.noun())))
}

impl Data for String {
    fn kind() -> Kind {
        Kind::Type(Type::String)
    }

    fn decode(value: &Value) -> Result<Self, Misread> {
        match value {
            Value::String(text) => Ok(text.clone()),
            other => no_fit(other, "string"),
        }
    }

    fn encode(&self) -> Value {
        Value::string(self.as_str())
    }
}

impl Data for bool {
    fn kind() -> Kind {
        Kind::Type(Type::Bool)
    }

    fn decode(value: &Value) -> Result<Self, Misread> {
        match value {
            Value::Bool(value) => Ok(*value),
            other => no_fit(other, "bool"),
        }
    }

    fn encode(&self) -> Value {
        Value::Bool(*self)
    }
}

impl Data for i64 {
    fn kind() -> Kind {
        Kind::Type(Type::Number)
    }

    fn decode(value: &Value) -> Result<Self, Misread> {
        match value {
            Value::Number(number) => number.as_i64().ok_or_else(|| {
                Misread::wrong(format!(
                    "it is no whole number between {} and {}",
                    i64::MIN,
                    i64::MAX
                ))
            }),
            other => no_fit(other, "number"),
        }
    }

    fn encode(&self) -> Value {
        Value::int(*self)
    }
}

impl Data for Number {
    fn kind() -> Kind {
        Kind::Type(Type::Number)
    }

    fn decode(value: &Value) -> Result<Self, Misread> {
        match value {
            Value::Number(number) => Ok(number.clone()),
            other => no_fit(other, "number"),
        }
    }

    fn encode(&self) -> Value {
        Value::Number(self.clone())
    }
}

/// A value that says its own type, for dynamic attributes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Dynamic {
    /// The type of the value.
    pub ty: Type,
    /// The value.
    pub value: Value,
}

impl Data for Dynamic {
    fn kind() -> Kind {
        Kind::Type(Type::Dynamic)
    }

    fn decode(value: &Value) -> Result<Self, Misread> {
        match value {
            Value::Dynamic(inner) => Ok(Self { ty: inner.0.clone(), value: inner.1.clone() }),
            other => no_fit(other, "dynamic value"),
        }
    }

    fn encode(&self) -> Value {
        Value::Dynamic(Box::new((self.ty.clone(), self.value.clone())))
    }
}

/// The kind of a collection of these.
fn many(kind: Kind, nesting: Nesting, of: fn(Type) -> Type) -> Kind {
    match kind {
        Kind::Nested { nesting: Nesting::Single, attributes } => {
            Kind::Nested { nesting, attributes }
        }
        other => Kind::Type(of(other.ty())),
    }
}

impl<T: Data> Data for Vec<T> {
    const SECRET: bool = T::SECRET;

    fn kind() -> Kind {
        many(T::kind(), Nesting::List, Type::list)
    }

    fn decode(value: &Value) -> Result<Self, Misread> {
        match value {
            Value::List(all) => all
                .iter()
                .enumerate()
                .map(|(index, value)| {
                    T::decode_element(value).map_err(|wrong| {
                        wrong.within(|| Step::Index(i64::try_from(index).unwrap_or(i64::MAX)))
                    })
                })
                .collect(),
            other => no_fit(other, "list"),
        }
    }

    fn encode(&self) -> Value {
        Value::List(self.iter().map(Data::encode).collect())
    }
}

impl<T: Data + Ord> Data for BTreeSet<T> {
    const SECRET: bool = T::SECRET;

    fn kind() -> Kind {
        many(T::kind(), Nesting::Set, Type::set)
    }

    fn decode(value: &Value) -> Result<Self, Misread> {
        match value {
            Value::Set(all) => all.iter().map(T::decode_element).collect(),
            other => no_fit(other, "set"),
        }
    }

    fn encode(&self) -> Value {
        Value::set(self.iter().map(Data::encode))
    }
}

impl<T: Data> Data for BTreeMap<String, T> {
    const SECRET: bool = T::SECRET;

    fn kind() -> Kind {
        many(T::kind(), Nesting::Map, Type::map)
    }

    fn decode(value: &Value) -> Result<Self, Misread> {
        match value {
            Value::Map(all) => all
                .iter()
                .map(|(key, value)| {
                    let value = T::decode_element(value)
                        .map_err(|wrong| wrong.within(|| Step::Key(key.clone())))?;
                    Ok((key.clone(), value))
                })
                .collect(),
            other => no_fit(other, "map"),
        }
    }

    fn encode(&self) -> Value {
        Value::map(self.iter().map(|(key, value)| (key.as_str(), value.encode())))
    }
}

/// Elements that may be null or unknown each.
impl<T: Data> Data for Attr<T> {
    const SECRET: bool = T::SECRET;

    fn kind() -> Kind {
        T::kind()
    }

    fn decode(value: &Value) -> Result<Self, Misread> {
        read_attr(value)
    }

    fn decode_element(value: &Value) -> Result<Self, Misread> {
        Self::decode(value)
    }

    fn encode(&self) -> Value {
        put(self)
    }
}

/// A nested object.
impl<M: Model> Data for M {
    fn kind() -> Kind {
        Kind::Nested { nesting: Nesting::Single, attributes: M::attributes() }
    }

    fn decode(value: &Value) -> Result<Self, Misread> {
        match value {
            Value::Object(object) => <M as Model>::read(object),
            other => no_fit(other, "object"),
        }
    }

    fn encode(&self) -> Value {
        to_value(self)
    }
}

/// A part with no attributes: for resources without configuration, and actions without settings.
impl Model for () {
    fn attributes() -> Vec<Attribute> {
        Vec::new()
    }

    fn read(_from: &Object) -> Result<Self, Misread> {
        Ok(())
    }

    fn write(&self, _into: &mut Object) {}
}
