//! The platform objects of `nhi_integration`: one nested attribute a kind, from connectors' tables.

use std::{collections::BTreeMap, sync::LazyLock};

use connector::{Default as FieldDefault, Field, FieldType, Kind, OnChange, Platform};
use domain::{IntegrationId, Setting, Settings};
use tfplugin::{Attr, Attribute, Nesting, Object, Type, Value, model::Misread};

/// The nested attributes of all kinds; in a valid configuration exactly one is set.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct PlatformObjects(Nested);

/// The nested attributes that a table of tables makes, by name, as they came over the wire.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Nested(BTreeMap<&'static str, Value>);

impl Nested {
    /// The names that are set (known or not).
    pub(crate) fn present(&self) -> Vec<&'static str> {
        self.0.iter().filter(|(_, value)| !value.is_null()).map(|(name, _)| *name).collect()
    }

    /// The value under a name; null where it is not set.
    pub(crate) fn get(&self, name: &str) -> &Value {
        self.0.get(name).unwrap_or(&Value::Null)
    }

    /// Sets the value under a name and clears all others.
    pub(crate) fn put(&mut self, name: &'static str, value: Value) {
        self.0.clear();
        self.0.insert(name, value);
    }

    fn read(names: impl Iterator<Item = &'static str>, from: &Object) -> Nested {
        Nested(
            names
                .filter_map(|name| Some((name, from.get(name)?)))
                .filter(|(_, value)| !value.is_null())
                .map(|(name, value)| (name, value.clone()))
                .collect(),
        )
    }

    fn write(&self, names: impl Iterator<Item = &'static str>, into: &mut Object) {
        for name in names {
            into.insert(name.to_owned(), self.get(name).clone());
        }
    }
}

type KindOf = (Option<&'static dyn Platform>, &'static Kind);

static KINDS: LazyLock<Vec<KindOf>> = LazyLock::new(|| {
    wiring::platforms()
        .into_iter()
        .flat_map(|platform| platform.kinds().iter().map(move |kind| (Some(platform), kind)))
        .chain([(None, wiring::third_party())])
        .collect()
});

/// Every kind, with its platform where it has one.
pub(crate) fn kinds() -> impl Iterator<Item = KindOf> {
    KINDS.iter().copied()
}

/// The kind of that name, with its platform where it has one.
pub(crate) fn kind(name: &str) -> Option<KindOf> {
    kinds().find(|(_, kind)| kind.name == name)
}

fn kind_names() -> impl Iterator<Item = &'static str> {
    kinds().map(|(_, kind)| kind.name)
}

impl PlatformObjects {
    /// The kinds that are set.
    pub(crate) fn present(&self) -> Vec<&'static str> {
        self.0.present()
    }

    /// The one kind that is set, with its value; `None` unless exactly one is.
    pub(crate) fn chosen(&self) -> Option<(&'static Kind, &Value)> {
        match self.0.present()[..] {
            [name] => kind(name).map(|(_, kind)| (kind, self.0.get(name))),
            _ => None,
        }
    }

    /// Sets one kind's object.
    pub(crate) fn set(&mut self, kind: &'static Kind, settings: &Settings) {
        self.0.put(kind.name, object_of(kind.fields, settings));
    }

    /// Sets one kind's object as it stands in a plan.
    pub(crate) fn set_value(&mut self, kind: &'static Kind, value: Value) {
        self.0.put(kind.name, value);
    }
}

impl tfplugin::Model for PlatformObjects {
    fn attributes() -> Vec<Attribute> {
        kinds().map(|(_, kind)| nested(kind.name, kind.doc, kind.fields)).collect()
    }

    fn read(from: &Object) -> Result<Self, Misread> {
        Ok(PlatformObjects(Nested::read(kind_names(), from)))
    }

    fn write(&self, into: &mut Object) {
        self.0.write(kind_names(), into);
    }
}

/// The name of an id's kind. From an id whose key is unknown yet it still shows.
pub(super) fn kind_in(id: &Attr<String>) -> Option<String> {
    match id {
        Attr::Value(id) => Some(id.parse::<IntegrationId>().ok()?.kind),
        Attr::Unknown(Some(promise)) => {
            Some(promise.prefix.as_deref()?.split('/').nth(1)?.to_owned())
        }
        _ => None,
    }
}

/// The name of an id's connection, likewise.
pub(super) fn connection_in(id: &Attr<String>) -> Option<String> {
    match id {
        Attr::Value(id) => Some(id.parse::<IntegrationId>().ok()?.connection),
        Attr::Unknown(Some(promise)) => {
            Some(promise.prefix.as_deref()?.split('/').next()?.to_owned())
        }
        _ => None,
    }
}

/// The id of what hangs on an integration whose own is not known yet: both begin alike.
pub(super) fn unknown_below(id: &Attr<String>) -> Attr<String> {
    match id {
        Attr::Unknown(Some(promise)) => {
            promise.prefix.clone().map_or_else(Attr::unknown_not_null, Attr::unknown_with_prefix)
        }
        _ => Attr::unknown_not_null(),
    }
}

/// The nested attributes of credential types, likewise.
pub(super) fn nested(name: &str, doc: &str, fields: &'static [Field]) -> Attribute {
    Attribute::nested(name, Nesting::Single, fields.iter().map(attribute).collect())
        .optional()
        .describe(doc)
}

/// Reads and writes the nested attributes under these names.
pub(super) fn read_nested(names: impl Iterator<Item = &'static str>, from: &Object) -> Nested {
    Nested::read(names, from)
}

/// See [`read_nested`].
pub(super) fn write_nested(
    nested: &Nested,
    names: impl Iterator<Item = &'static str>,
    into: &mut Object,
) {
    nested.write(names, into);
}

fn attribute(field: &Field) -> Attribute {
    let ty = match field.field_type {
        FieldType::Text | FieldType::Word(_) | FieldType::Span | FieldType::Date => Type::String,
        FieldType::Flag => Type::Bool,
        FieldType::Count => Type::Number,
        FieldType::Texts | FieldType::Cidrs | FieldType::Uris => Type::set(Type::String),
    };
    let mut attribute = Attribute::new(field.name, ty).describe(field.doc);
    attribute = match (field.required, field.default) {
        (true, _) => attribute.required(),
        (false, FieldDefault::None) => attribute.optional(),
        (false, FieldDefault::Vendor) => attribute.optional().computed(),
        (false, FieldDefault::Ours(text)) => attribute.default_to(default(field, text)),
        (false, FieldDefault::OursTexts(texts)) => {
            attribute.default_to(Value::set(texts.iter().map(|text| Value::string(*text))))
        }
    };
    if field.on_change == OnChange::Replace {
        attribute = attribute.replace();
    }
    match field.field_type {
        FieldType::Word(words) => {
            attribute.check::<String>(move |text| crate::rules::one_of(text, words))
        }
        FieldType::Text => attribute.check::<String>(|text| crate::rules::said(text)),
        FieldType::Span => attribute.check::<String>(|text| crate::rules::span(text)),
        FieldType::Date => attribute.check::<String>(|text| crate::rules::date(text)),
        FieldType::Count => attribute.check::<i64>(|count| crate::rules::count(*count)),
        FieldType::Cidrs => attribute.check(crate::rules::cidrs),
        FieldType::Uris => attribute.check(crate::rules::uris),
        // Where absence means some, none is not what anybody means.
        FieldType::Texts if matches!(field.default, FieldDefault::OursTexts([_, ..])) => {
            attribute.check(crate::rules::some)
        }
        _ => attribute,
    }
}

/// A default as its field's type has it. The table's own test holds that it fits.
fn default(field: &Field, text: &str) -> Value {
    match field.field_type {
        FieldType::Flag => Value::Bool(text == "true"),
        FieldType::Count => text.parse().map_or(Value::Null, Value::int),
        _ => Value::string(text),
    }
}

/// Settings out of a nested object. Unknown members are left out.
pub(crate) fn settings_of(fields: &[Field], value: &Value) -> Settings {
    let mut settings = Settings::default();
    let Value::Object(object) = value else { return settings };
    for field in fields {
        let setting = match object.get(field.name) {
            Some(Value::String(text)) => Setting::Text(text.clone()),
            Some(Value::Bool(flag)) => Setting::Flag(*flag),
            Some(Value::Number(number)) => match number.as_i64() {
                Some(count) => Setting::Count(count),
                None => continue,
            },
            Some(Value::Set(texts)) => {
                Setting::Texts(texts.iter().filter_map(Value::as_str).map(str::to_owned).collect())
            }
            _ => continue,
        };
        settings.0.insert(field.name.to_owned(), setting);
    }
    settings
}

/// A nested object out of settings; what is absent is null.
pub(crate) fn object_of(fields: &[Field], settings: &Settings) -> Value {
    Value::object(fields.iter().map(|field| {
        let value = match settings.0.get(field.name) {
            None => Value::Null,
            Some(Setting::Text(text)) => Value::string(text.as_str()),
            Some(Setting::Flag(flag)) => Value::Bool(*flag),
            Some(Setting::Count(count)) => Value::int(*count),
            Some(Setting::Texts(texts)) => {
                Value::set(texts.iter().map(|text| Value::string(text.as_str())))
            }
        };
        (field.name, value)
    }))
}
