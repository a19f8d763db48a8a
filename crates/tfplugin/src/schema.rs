//! What a resource's attributes are.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, OnceLock};

use crate::{Data, Diagnostic, Diagnostics, Path, Refinement, Type, Value};

/// A rule for one attribute's known value; the text says what is wrong and what to do.
pub type Check = Arc<dyn Fn(&Value) -> Result<(), String> + Send + Sync>;

/// The attributes of a provider, resource, data source and so on. (There are no nested blocks:
/// protocol 6 has nested attributes for all that they did.)
#[derive(Clone, Debug, Default)]
pub struct Schema {
    /// Counts up when state must be upgraded; not for attributes that are only added.
    pub version: i64,
    /// In the order of declaration.
    pub attributes: Vec<Attribute>,
    /// Markdown for the documentation.
    pub description: String,
    /// What to use instead, when deprecated.
    pub deprecation: Option<String>,
    /// The type of its objects, once somebody asked for it: every call of a core does.
    pub(crate) ty: Implied,
}

/// What a schema's attributes imply. A copy of the schema is there to become another one, so it
/// works it out afresh.
#[derive(Debug, Default)]
pub(crate) struct Implied(OnceLock<Type>);

impl Clone for Implied {
    fn clone(&self) -> Self {
        Self::default()
    }
}

/// How a nested attribute holds its objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Nesting {
    /// One object.
    Single,
    /// Objects in order.
    List,
    /// Distinct objects.
    Set,
    /// Objects by key.
    Map,
}

/// What an attribute holds.
#[derive(Clone, Debug)]
pub enum Kind {
    /// A value of this type.
    Type(Type),
    /// Objects whose attributes have modes of their own.
    Nested {
        /// How the objects are held.
        nesting: Nesting,
        /// Their attributes.
        attributes: Vec<Attribute>,
    },
}

/// What plan promises of a computed attribute when something else of the object changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stability {
    /// It stays as it was, unless the plan hook says otherwise.
    #[default]
    Stable,
    /// It is unknown until apply in every update.
    Volatile,
}

/// One attribute.
#[derive(Clone)]
pub struct Attribute {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub kind: Kind,
    /// The configuration must set it.
    pub required: bool,
    /// The configuration may set it.
    pub optional: bool,
    /// The provider may set it.
    pub computed: bool,
    /// Cores hide it in their output.
    pub sensitive: bool,
    /// It is in configuration only, never in plan or state.
    pub write_only: bool,
    /// What to use instead, when deprecated.
    pub deprecation: Option<String>,
    /// Markdown for the documentation.
    pub description: String,
    /// What a null configuration means; the attribute must be optional and computed.
    pub default: Option<Value>,
    /// Rules for its known value.
    pub checks: Vec<Check>,
    /// A change needs a new object.
    pub requires_replace: bool,
    /// What plan promises of it in an update.
    pub stability: Stability,
    /// What plan promises of it while it is unknown.
    pub promise: Option<Refinement>,
    /// It is on no page of the documentation.
    pub unlisted: bool,
}

impl Attribute {
    fn with(name: impl Into<String>, kind: Kind) -> Self {
        Self {
            name: name.into(),
            kind,
            required: false,
            optional: false,
            computed: false,
            sensitive: false,
            write_only: false,
            deprecation: None,
            description: String::new(),
            default: None,
            checks: Vec::new(),
            requires_replace: false,
            stability: Stability::Stable,
            promise: None,
            unlisted: false,
        }
    }

    /// An attribute of this type.
    pub fn new(name: impl Into<String>, ty: Type) -> Self {
        Self::with(name, Kind::Type(ty))
    }

    /// An attribute that holds what this Rust type holds.
    pub fn of<T: Data>(name: impl Into<String>) -> Self {
        Self { sensitive: T::SECRET, ..Self::with(name, T::kind()) }
    }

    /// A nested attribute.
    pub fn nested(name: impl Into<String>, nesting: Nesting, attributes: Vec<Attribute>) -> Self {
        Self::with(name, Kind::Nested { nesting, attributes })
    }

    /// The configuration must set it.
    #[must_use]
    pub fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// The configuration may set it.
    #[must_use]
    pub fn optional(mut self) -> Self {
        self.optional = true;
        self
    }

    /// The provider may set it.
    #[must_use]
    pub fn computed(mut self) -> Self {
        self.computed = true;
        self
    }

    /// Cores hide it in their output.
    #[must_use]
    pub fn sensitive(mut self) -> Self {
        self.sensitive = true;
        self
    }

    /// It is in configuration only.
    #[must_use]
    pub fn write_only(mut self) -> Self {
        self.write_only = true;
        self
    }

    /// A change needs a new object.
    #[must_use]
    pub fn replace(mut self) -> Self {
        self.requires_replace = true;
        self
    }

    /// Unknown in every update.
    #[must_use]
    pub fn volatile(mut self) -> Self {
        self.stability = Stability::Volatile;
        self
    }

    /// Deprecated; the text says what to use instead.
    #[must_use]
    pub fn deprecated(mut self, instead: impl Into<String>) -> Self {
        self.deprecation = Some(instead.into());
        self
    }

    /// There only to be refused by us: the core drops what an object does not know without a word. No
    /// page of the documentation names it.
    #[must_use]
    pub fn unlisted(mut self) -> Self {
        self.unlisted = true;
        self
    }

    /// Markdown for the documentation.
    #[must_use]
    pub fn describe(mut self, description: impl Into<String>) -> Self {
        self.description = description.into();
        self
    }

    /// What a null configuration means. Makes the attribute optional and computed.
    #[must_use]
    pub fn default_to(mut self, value: impl Into<Value>) -> Self {
        self.default = Some(value.into());
        self.optional = true;
        self.computed = true;
        self
    }

    /// While unknown it is promised not to be null.
    #[must_use]
    pub fn not_null(mut self) -> Self {
        self.promise.get_or_insert_default().null = Some(false);
        self
    }

    /// While unknown it is promised to begin so.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.promise = Some(Refinement::prefix(prefix));
        self
    }

    /// Adds a rule for its known value.
    #[must_use]
    pub fn check<T: Data>(
        mut self,
        rule: impl Fn(&T) -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        self.checks.push(Arc::new(move |value| {
            match T::decode(value) {
                Ok(value) => rule(&value),
                // Parts are unknown yet, or another rule has already said that the type is wrong.
                Err(_) => Ok(()),
            }
        }));
        self
    }

    /// The type of its values, nested attributes as objects.
    pub fn ty(&self) -> Type {
        self.kind.ty()
    }

    /// Whether the configuration may set it.
    pub fn is_configurable(&self) -> bool {
        self.required || self.optional
    }

    /// The unknown value that plan promises.
    pub fn unknown(&self) -> Value {
        Value::Unknown(self.promise.clone().filter(|p| !p.is_empty()).map(Box::new))
    }
}

impl Kind {
    /// The type of values of this kind.
    pub fn ty(&self) -> Type {
        match self {
            Self::Type(ty) => ty.clone(),
            Self::Nested { nesting, attributes } => {
                let object = implied(attributes);
                match nesting {
                    Nesting::Single => object,
                    Nesting::List => Type::list(object),
                    Nesting::Set => Type::set(object),
                    Nesting::Map => Type::map(object),
                }
            }
        }
    }
}

impl fmt::Debug for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words = Vec::new();
        for (word, on) in [
            ("required", self.required),
            ("optional", self.optional),
            ("computed", self.computed),
            ("sensitive", self.sensitive),
            ("write_only", self.write_only),
            ("replace", self.requires_replace),
            ("volatile", self.stability == Stability::Volatile),
        ] {
            if on {
                words.push(word);
            }
        }
        write!(f, "{}: {} ({})", self.name, self.ty(), words.join(", "))?;
        if let Some(default) = &self.default {
            write!(f, " = {:?}", default.spelled())?;
        }
        if let Kind::Nested { attributes, .. } = &self.kind {
            f.debug_list().entries(attributes).finish()?;
        }
        Ok(())
    }
}

/// The type of an object with these attributes.
pub fn implied(attributes: &[Attribute]) -> Type {
    Type::object(attributes.iter().map(|a| (a.name.clone(), a.ty())))
}

/// Where a schema stands, which decides the names that users could never set and the rules of
/// identities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A provider block.
    Provider,
    /// A managed resource.
    Resource,
    /// A data source or an ephemeral resource.
    Data,
    /// The `config` block of a list resource, where cores reserve no name.
    List,
    /// The `config` block of an action, where cores reserve no name either.
    Action,
    /// An identity.
    Identity,
}

const RESERVED_IN_RESOURCES: &[&str] = &[
    "count",
    "for_each",
    "provider",
    "depends_on",
    "lifecycle",
    "connection",
    "provisioner",
    "locals",
    "_",
];
const RESERVED_IN_PROVIDERS: &[&str] =
    &["alias", "version", "count", "depends_on", "for_each", "source", "lifecycle", "locals"];

impl Schema {
    /// A schema of these attributes, version 0.
    pub fn new(attributes: Vec<Attribute>) -> Self {
        Self { attributes, ..Self::default() }
    }

    /// The type of whole objects. It is worked out once: change attributes before, or a copy.
    pub fn ty(&self) -> &Type {
        self.ty.0.get_or_init(|| implied(&self.attributes))
    }

    /// The attribute of that name.
    pub fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes.iter().find(|a| a.name == name)
    }

    /// What cores would refuse or crash on, or users could never set.
    pub fn faults(&self, place: Place) -> Diagnostics {
        let mut faults = Diagnostics::new();
        if self.version < 0 {
            faults.push(fault(&Path::root(), "the version is below 0"));
        }
        let reserved = match place {
            Place::Provider => RESERVED_IN_PROVIDERS,
            Place::Resource | Place::Data => RESERVED_IN_RESOURCES,
            Place::List | Place::Action | Place::Identity => &[],
        };
        for attribute in &self.attributes {
            if reserved.contains(&attribute.name.as_str()) {
                faults.push(fault(
                    &Path::attribute(&attribute.name),
                    "cores reserve this name: users could never set it",
                ));
            }
        }
        if place == Place::Identity {
            for attribute in &self.attributes {
                identity_faults(attribute, &mut faults);
            }
        } else {
            let inside = Inside {
                no_write_only: !matches!(place, Place::Resource | Place::Action),
                ..Inside::default()
            };
            attribute_faults(&self.attributes, &Path::root(), inside, &mut faults);
        }
        faults
    }
}

fn fault(path: &Path, why: impl fmt::Display) -> Diagnostic {
    Diagnostic::error(
        "Invalid schema",
        format!("Attribute {path}: {why}. Report it to the provider's developers."),
    )
    .at(path)
}

#[derive(Clone, Copy, Default)]
struct Inside {
    set: bool,
    /// Cores take write-only values for managed resources and actions only.
    no_write_only: bool,
    computed_only: bool,
}

fn identity_faults(attribute: &Attribute, faults: &mut Diagnostics) {
    let path = Path::attribute(&attribute.name);
    let primitive = |ty: &Type| matches!(ty, Type::String | Type::Bool | Type::Number);
    match &attribute.kind {
        Kind::Type(Type::List(of)) if primitive(of) => {}
        Kind::Type(ty) if primitive(ty) => {}
        _ => {
            faults.push(fault(&path, "an identity holds strings, numbers, bools and lists of them"))
        }
    }
    if attribute.required == attribute.optional {
        faults.push(fault(
            &path,
            "an identity's attribute is either required or optional for import",
        ));
    }
    if !is_identifier(&attribute.name) {
        faults.push(fault(&path, "a name is a-z, 0-9 and _, and begins with a letter"));
    }
}

pub(crate) fn is_identifier(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

fn attribute_faults(attributes: &[Attribute], at: &Path, inside: Inside, faults: &mut Diagnostics) {
    let mut seen = BTreeSet::new();
    for attribute in attributes {
        let path = at.then(&attribute.name);
        let mut wrong = |why: &str| faults.push(fault(&path, why));
        if !seen.insert(attribute.name.as_str()) {
            wrong("there are two of this name");
        }
        if !is_identifier(&attribute.name) {
            wrong("a name is a-z, 0-9 and _, and begins with a letter");
        }
        match (attribute.required, attribute.optional, attribute.computed) {
            (false, false, false) => wrong("it is neither required nor optional nor computed"),
            (true, true, _) => wrong("it is required and optional"),
            (true, _, true) => wrong("it is required and computed"),
            _ => {}
        }
        if attribute.default.is_some() && !(attribute.optional && attribute.computed) {
            wrong(
                "only what is optional and computed can have a default: cores refuse to plan it else",
            );
        }
        if let Some(default) = &attribute.default {
            if let Some((_, why)) = default.misfit(&attribute.ty()) {
                wrong(&format!("its default does not have its type: {why}"));
            }
            if !default.is_wholly_known() {
                wrong("its default is unknown");
            }
        }
        if attribute.write_only {
            if inside.no_write_only {
                wrong("only resources and actions have what is write-only");
            }
            if attribute.computed {
                wrong("it is write-only and computed");
            }
            if inside.set || matches!(attribute.kind, Kind::Nested { nesting: Nesting::Set, .. }) {
                wrong("sets hold nothing write-only");
            }
        }
        if inside.computed_only && attribute.is_configurable() {
            wrong("it stands in a computed attribute, so nobody can set it");
        }
        if attribute.promise.is_some() && !attribute.computed {
            wrong("only what is computed is ever unknown, so nothing can be promised of it");
        }
        if attribute.stability == Stability::Volatile && !attribute.computed {
            wrong("only what is computed is ever volatile");
        }
        if attribute.promise.as_ref().is_some_and(|promise| promise.prefix.is_some())
            && attribute.ty() != Type::String
        {
            wrong("only text can be promised to begin so");
        }
        match &attribute.kind {
            Kind::Type(ty) => {
                if ty.has_dynamic() && *ty != Type::Dynamic {
                    wrong(
                        "a dynamic type inside another crashes cores: make the whole attribute dynamic",
                    );
                }
                if inside.set && ty.has_dynamic() {
                    wrong("sets hold nothing dynamic");
                }
            }
            Kind::Nested { nesting, attributes } => {
                if attributes.is_empty() && attribute.required {
                    wrong("it is required and has no attributes");
                }
                let inside = Inside {
                    set: inside.set || *nesting == Nesting::Set,
                    computed_only: attribute.computed && !attribute.optional,
                    ..inside
                };
                attribute_faults(attributes, &path, inside, faults);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(attribute: Attribute) -> String {
        Schema::new(vec![attribute]).faults(Place::Resource).to_string()
    }

    #[test]
    fn what_cores_refuse_is_a_fault() {
        let string = |name: &str| Attribute::new(name, Type::String);
        assert!(faults(string("a")).contains("neither"));
        assert!(faults(string("a").required().optional()).contains("required and optional"));
        assert!(faults(string("a").required().computed()).contains("required and computed"));
        assert!(faults(string("A").required()).contains("a-z"));
        assert!(faults(string("count").optional()).contains("reserve"));
        assert!(faults(string("a").default_to(7)).contains("a number is no string"));
        assert!(
            faults(Attribute::new("a", Type::list(Type::Dynamic)).optional()).contains("crash")
        );
        let secret = string("s").optional().write_only();
        assert!(
            faults(Attribute::nested("n", Nesting::Set, vec![secret]).optional())
                .contains("write-only")
        );
        let inner = string("s").optional();
        assert!(
            faults(Attribute::nested("n", Nesting::List, vec![inner]).computed())
                .contains("nobody can set it")
        );
        assert!(faults(string("a").required().volatile()).contains("volatile"));
        let number = Attribute::new("a", Type::Number).computed();
        assert!(faults(number.prefix("x")).contains("only text"));
        assert_eq!(faults(string("a").required()), "");
    }

    #[test]
    fn what_is_write_only_belongs_to_resources_and_actions() {
        let secret = || Attribute::new("s", Type::String).optional().write_only();
        let outer = Attribute::nested("n", Nesting::Single, vec![secret()]).optional();
        for attribute in [secret(), outer] {
            let schema = Schema::new(vec![attribute]);
            for place in [Place::Resource, Place::Action] {
                assert_eq!(schema.faults(place).to_string(), "", "{place:?}");
            }
            for place in [Place::Provider, Place::Data, Place::List] {
                assert!(schema.faults(place).to_string().contains("write-only"), "{place:?}");
            }
        }
    }

    #[test]
    fn an_identity_holds_primitives_and_lists_only() {
        let of = |a: Attribute| Schema::new(vec![a]).faults(Place::Identity).to_string();
        assert_eq!(of(Attribute::new("id", Type::String).required()), "");
        assert!(of(Attribute::new("id", Type::map(Type::String)).required()).contains("identity"));
        assert!(of(Attribute::new("id", Type::String).computed()).contains("either"));
    }
}
