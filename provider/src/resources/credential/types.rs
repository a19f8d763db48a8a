//! The types of `nhi_credential`: one nested attribute a type, from connectors' tables.

use std::sync::LazyLock;

use connector::{CredentialType, OnChange};
use domain::Settings;
use policy::settings::with_defaults;
use tfplugin::{Attribute, Object, Value, model::Misread};

use crate::resources::platform_objects::{
    Nested, kinds, nested, object_of, read_nested, settings_of, write_nested,
};

/// The nested attributes of all types; at most one is set.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct CredentialTypes(Nested);

/// Every type of credential, once.
static TYPES: LazyLock<Vec<&'static CredentialType>> = LazyLock::new(|| {
    let mut types: Vec<&'static CredentialType> = Vec::new();
    for one in kinds().flat_map(|(_, kind)| kind.credential_types.iter().copied()) {
        if !types.iter().any(|have| have.name == one.name) {
            types.push(one);
        }
    }
    types
});

fn names() -> impl Iterator<Item = &'static str> {
    TYPES.iter().map(|one| one.name)
}

impl CredentialTypes {
    /// The types that are set.
    pub(crate) fn present(&self) -> Vec<&'static str> {
        self.0.present()
    }

    /// The one type that is set, with its value.
    pub(crate) fn chosen(&self) -> Option<(&'static CredentialType, &Value)> {
        match self.0.present()[..] {
            [name] => TYPES.iter().find(|one| one.name == name).map(|one| (*one, self.0.get(name))),
            _ => None,
        }
    }

    /// The settings of the chosen type, as they are written; none where none is chosen.
    pub(crate) fn settings(&self) -> Settings {
        self.chosen().map_or_else(Settings::default, |(one, value)| settings_of(one.fields, value))
    }

    /// Takes in what a look found of the chosen type: what can be changed in place as it is there.
    pub(crate) fn take(&mut self, live: &Settings) {
        let Some((one, Value::Object(_))) = self.chosen() else { return };
        let mut settings = with_defaults(one.fields, &self.settings());
        for field in one.fields.iter().filter(|field| field.on_change == OnChange::InPlace) {
            if let Some(now) = live.0.get(field.name) {
                settings.0.insert(field.name.to_owned(), now.clone());
            }
        }
        self.0.put(one.name, object_of(one.fields, &settings));
    }
}

impl tfplugin::Model for CredentialTypes {
    fn attributes() -> Vec<Attribute> {
        TYPES.iter().map(|one| nested(one.name, one.doc, one.fields)).collect()
    }

    fn read(from: &Object) -> Result<Self, Misread> {
        Ok(CredentialTypes(read_nested(names(), from)))
    }

    fn write(&self, into: &mut Object) {
        write_nested(&self.0, names(), into);
    }
}
