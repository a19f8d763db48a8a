//! The types of `nhi_credential`: one nested attribute a type, from connectors' tables.

use connector::CredentialType;
use domain::Settings;
use tfplugin::{Attribute, Object, Path, Value, model::Misread};

use super::platform_objects::{Nested, kinds, nested, read_nested, settings_of, write_nested};

/// The nested attributes of all types; at most one is set.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct CredentialTypes(Nested);

/// Every type of credential, once.
pub(crate) fn types() -> Vec<&'static CredentialType> {
    let mut types: Vec<&'static CredentialType> = Vec::new();
    for (_, kind) in kinds() {
        for one in kind.credential_types {
            if !types.iter().any(|have| have.name == one.name) {
                types.push(one);
            }
        }
    }
    types
}

fn names() -> impl Iterator<Item = &'static str> {
    types().into_iter().map(|one| one.name)
}

impl CredentialTypes {
    /// The types that are set.
    pub(crate) fn present(&self) -> Vec<&'static str> {
        self.0.present()
    }

    /// The one type that is set, with its value.
    pub(crate) fn chosen(&self) -> Option<(&'static CredentialType, &Value)> {
        match self.0.present()[..] {
            [name] => {
                types().into_iter().find(|one| one.name == name).map(|one| (one, self.0.get(name)))
            }
            _ => None,
        }
    }

    /// The settings of the chosen type, or none.
    pub(crate) fn settings(&self) -> Settings {
        self.chosen().map_or_else(Settings::default, |(one, value)| settings_of(one.fields, value))
    }
}

impl tfplugin::Model for CredentialTypes {
    fn attributes() -> Vec<Attribute> {
        types().into_iter().map(|one| nested(one.name, one.doc, one.fields)).collect()
    }

    fn read(from: &mut Object, _path: &Path) -> Result<Self, Misread> {
        Ok(CredentialTypes(read_nested(names(), from)))
    }

    fn write(&self, into: &mut Object) {
        write_nested(&self.0, names(), into);
    }
}
