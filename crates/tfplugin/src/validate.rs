//! Judges a configuration by its attributes' own rules.

use crate::erased::ClientCapabilities;
use crate::provider::whole;
use crate::{Attribute, Diagnostics, Kind, Model, Nesting, Object, Path, Schema, Value, model};

/// Judges a block that is neither planned nor stored: by the attributes' own rules, and where these
/// find no fault by what else is asked of it, its defaults filled in.
pub(crate) async fn block<M: Model, F: Future<Output = Diagnostics> + Send>(
    schema: &Schema,
    config: Value,
    capabilities: ClientCapabilities,
    further: impl FnOnce(M) -> F + Send,
) -> Diagnostics {
    let mut diagnostics = attributes(&schema.attributes, &config, capabilities);
    if diagnostics.has_errors() {
        return diagnostics;
    }
    match model::from_value(&whole(config, schema)) {
        Ok(config) => diagnostics.extend(further(config).await),
        Err(wrong) => diagnostics.push(wrong),
    }
    diagnostics
}

/// What the attributes' own rules say of a configuration; unknown values pass.
pub fn attributes(
    attributes: &[Attribute],
    config: &Value,
    capabilities: ClientCapabilities,
) -> Diagnostics {
    let mut diagnostics = Diagnostics::new();
    if let Value::Object(config) = config {
        let judging = Judging { capabilities, hidden: false };
        judging.judge(attributes, config, &Path::root(), &mut diagnostics);
    }
    diagnostics
}

/// What holds for all that stands below.
#[derive(Clone, Copy)]
struct Judging {
    capabilities: ClientCapabilities,
    /// Something above is sensitive.
    hidden: bool,
}

impl Judging {
    fn judge(
        self,
        attributes: &[Attribute],
        config: &Object,
        at: &Path,
        diagnostics: &mut Diagnostics,
    ) {
        for attribute in attributes {
            let path = at.then(&attribute.name);
            let value = config.get(&attribute.name).filter(|value| !value.is_null());
            let Some(value) = value else {
                if attribute.required {
                    // Cores see to it that it is written, and let `null` pass.
                    diagnostics.error_at(
                        &path,
                        "Required attribute is null",
                        format!("{path} must have a value, and null is none. Set it."),
                    );
                }
                continue;
            };
            if !attribute.is_configurable() {
                // Cores let it pass, and what was written would be ignored without a word.
                diagnostics.error_at(
                    &path,
                    "Read-only attribute",
                    format!(
                        "{path} is set by the provider and only read by a configuration. Remove it \
                         from the configuration."
                    ),
                );
            }
            if value.is_unknown() {
                continue;
            }
            if attribute.write_only && !self.capabilities.write_only_attributes_allowed {
                diagnostics.error_at(
                    &path,
                    "Write-only attribute not supported",
                    format!(
                        "This core would store {path} in state, where it must never be. Write-only \
                     attributes need Terraform 1.11 or OpenTofu 1.11, or later."
                    ),
                );
            }
            let hidden = self.hidden || attribute.sensitive || attribute.write_only;
            for check in &attribute.checks {
                if let Err(why) = check(value) {
                    let why = if hidden {
                        // A rule may quote the value.
                        format!("{path} is not allowed. Its value is sensitive and not shown.")
                    } else {
                        format!("{path}: {why}")
                    };
                    diagnostics.error_at(&path, "Invalid attribute value", why);
                }
            }
            if let Kind::Nested { nesting, attributes } = &attribute.kind {
                if *nesting == Nesting::Set {
                    // Cores count the planned elements: two that become one would be our mistake.
                    let mut with_defaults = value.clone();
                    crate::plan::fill_nested_defaults(&mut with_defaults, *nesting, attributes);
                    if with_defaults.length() < value.length() {
                        diagnostics.error_at(
                        &path,
                        "Equal elements in a set",
                        format!(
                            "Two elements of {path} are equal once their defaults are filled in. \
                             Remove one of them."
                        ),
                    );
                    }
                }
                each_object(value, *nesting, &path, &mut |object, path| {
                    Self { hidden, ..self }.judge(attributes, object, path, diagnostics);
                });
            }
        }
    }
}

/// Runs over the objects of a nested attribute's value.
pub(crate) fn each_object(
    value: &Value,
    nesting: Nesting,
    path: &Path,
    visit: &mut dyn FnMut(&Object, &Path),
) {
    match (nesting, value) {
        (Nesting::Single, Value::Object(object)) => visit(object, path),
        (Nesting::List, Value::List(all)) => {
            for (index, element) in all.iter().enumerate() {
                if let Value::Object(object) = element {
                    visit(object, &path.index(index));
                }
            }
        }
        (Nesting::Set, Value::Set(all)) => {
            for element in all {
                if let Value::Object(object) = element {
                    visit(object, path);
                }
            }
        }
        (Nesting::Map, Value::Map(all)) => {
            for (key, element) in all {
                if let Value::Object(object) = element {
                    visit(object, &path.key(key));
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Type;

    #[test]
    fn what_is_required_has_a_value_wherever_it_stands() {
        let inner = || vec![Attribute::new("id", Type::String).required()];
        let all = [
            Attribute::new("name", Type::String).required(),
            Attribute::nested("owner", Nesting::Single, inner()).required(),
            Attribute::nested("places", Nesting::Map, inner()).optional(),
        ];
        let told = |config: Value| -> Vec<String> {
            let capabilities = ClientCapabilities::default();
            attributes(&all, &config, capabilities).iter().map(ToString::to_string).collect()
        };
        let object = |id: Value| Value::object([("id", id)]);
        let whole = |name: Value, owner: Value, place: Value| {
            let places = Value::map([("a", place)]);
            Value::object([("name", name), ("owner", owner), ("places", places)])
        };
        let text = || Value::string("x");
        assert!(told(whole(text(), object(text()), object(text()))).is_empty());
        let later = || Value::Unknown(None);
        assert!(told(whole(later(), object(later()), object(later()))).is_empty());
        for (config, at) in [
            (whole(Value::Null, object(text()), object(text())), "name"),
            (whole(text(), Value::Null, object(text())), "owner"),
            (whole(text(), object(Value::Null), object(text())), "owner.id"),
            (whole(text(), object(text()), object(Value::Null)), "places[\"a\"].id"),
        ] {
            let told = told(config);
            assert!(told.len() == 1 && told[0].contains(at), "{at}: {told:?}");
        }
    }
}
