//! Between the wire's messages and our own types, from the core's side.

use tfplugin_proto::tfplugin6 as wire;

use super::Refusal;
use crate::erased::Deferred;
use crate::laws::Law;
use crate::{
    Attribute, Diagnostic, Diagnostics, Nesting, Path, Schema, Severity, Step, Type, Value, msgpack,
};

/// A value for the provider.
pub(super) fn encode(value: &Value, ty: &Type) -> Result<Option<wire::DynamicValue>, Refusal> {
    let msgpack = msgpack::encode(value, ty).map_err(|wrong| Refusal::Config(wrong.to_string()))?;
    Ok(Some(wire::DynamicValue { msgpack, json: Vec::new() }))
}

/// A value of the provider's; absent and empty are null.
pub(super) fn decode(value: Option<wire::DynamicValue>, ty: &Type) -> Result<Value, Refusal> {
    let value = value.unwrap_or_default();
    if value.msgpack.is_empty() && !value.json.is_empty() {
        return Err(Refusal::broken(
            Law::FitsSchema,
            Path::root(),
            "an answer is JSON, which not every core takes everywhere",
        ));
    }
    msgpack::decode(&value.msgpack, ty)
        .map_err(|wrong| Refusal::broken(Law::FitsSchema, Path::root(), wrong.to_string()))
}

/// An identity for the provider.
pub(super) fn encode_identity(
    identity: Option<&Value>,
    schema: Option<&Schema>,
) -> Result<Option<wire::ResourceIdentityData>, Refusal> {
    let (Some(identity), Some(schema)) = (identity, schema) else { return Ok(None) };
    Ok(Some(wire::ResourceIdentityData { identity_data: encode(identity, schema.ty())? }))
}

/// An identity of the provider's. Cores crash on one for a type that has none.
pub(super) fn decode_identity(
    data: Option<wire::ResourceIdentityData>,
    schema: Option<&Schema>,
) -> Result<Option<Value>, Refusal> {
    match (data, schema) {
        (None, _) => Ok(None),
        (Some(_), None) => Err(Refusal::broken(
            Law::FitsSchema,
            Path::root(),
            "an identity for a type that has no identity schema",
        )),
        (Some(data), Some(schema)) => {
            let value = decode(data.identity_data, schema.ty())?;
            Ok((!value.is_null()).then_some(value))
        }
    }
}

/// Why an answer waits. Cores take a reason that they do not know for no reason at all.
pub(super) fn deferred(deferred: &wire::Deferred) -> Result<Deferred, Refusal> {
    use wire::deferred::Reason;
    match deferred.reason() {
        Reason::ResourceConfigUnknown => Ok(Deferred::ResourceConfigUnknown),
        Reason::ProviderConfigUnknown => Ok(Deferred::ProviderConfigUnknown),
        Reason::AbsentPrereq => Ok(Deferred::AbsentPrerequisite),
        Reason::Unknown => Err(Refusal::wire("the provider deferred its answer for no reason")),
    }
}

/// What the provider says.
pub(super) fn diagnostics(all: Vec<wire::Diagnostic>) -> Diagnostics {
    all.into_iter()
        .map(|one| Diagnostic {
            // Cores take what is neither for an error too.
            severity: match one.severity() {
                wire::diagnostic::Severity::Warning => Severity::Warning,
                _ => Severity::Error,
            },
            path: one.attribute.map(path),
            summary: one.summary,
            detail: one.detail,
        })
        .collect()
}

/// Errors end the step; warnings are given back.
pub(super) fn check(all: Vec<wire::Diagnostic>) -> Result<Diagnostics, Refusal> {
    let diagnostics = diagnostics(all);
    if diagnostics.has_errors() { Err(Refusal::Provider(diagnostics)) } else { Ok(diagnostics) }
}

/// A place in a value.
pub(super) fn path(path: wire::AttributePath) -> Path {
    use wire::attribute_path::step::Selector;
    path.steps.into_iter().filter_map(|step| step.selector).fold(Path::root(), |path, selector| {
        path.with(match selector {
            Selector::AttributeName(name) => Step::Attribute(name),
            Selector::ElementKeyString(key) => Step::Key(key),
            Selector::ElementKeyInt(index) => Step::Index(index),
        })
    })
}

/// A schema as the core understands it.
pub(super) fn schema(schema: wire::Schema) -> Result<Schema, Refusal> {
    let block = schema.block.unwrap_or_default();
    if !block.block_types.is_empty() {
        return Err(Refusal::wire("a schema has nested blocks, which this core does not know"));
    }
    Ok(Schema {
        version: schema.version,
        attributes: attributes(block.attributes)?,
        description: block.description,
        deprecation: block.deprecated.then_some(block.deprecation_message),
        ..Schema::default()
    })
}

fn attributes(all: Vec<wire::schema::Attribute>) -> Result<Vec<Attribute>, Refusal> {
    all.into_iter().map(attribute).collect()
}

fn attribute(wire: wire::schema::Attribute) -> Result<Attribute, Refusal> {
    use wire::schema::object::NestingMode;
    let mut attribute = match wire.nested_type {
        None => Attribute::new(wire.name.clone(), ty(&wire.r#type, &wire.name)?),
        Some(object) => {
            let nesting = match object.nesting() {
                NestingMode::Single => Nesting::Single,
                NestingMode::List => Nesting::List,
                NestingMode::Set => Nesting::Set,
                NestingMode::Map => Nesting::Map,
                NestingMode::Invalid => {
                    return Err(Refusal::wire(format!("{} nests in no way", wire.name)));
                }
            };
            Attribute::nested(wire.name.clone(), nesting, attributes(object.attributes)?)
        }
    };
    let modes = (wire.required, wire.optional, wire.computed);
    if matches!(modes, (false, false, false) | (true, true, _) | (true, _, true)) {
        return Err(Refusal::wire(format!(
            "{} is required, optional and computed in a way that cores refuse",
            wire.name
        )));
    }
    attribute.required = wire.required;
    attribute.optional = wire.optional;
    attribute.computed = wire.computed;
    attribute.sensitive = wire.sensitive;
    attribute.write_only = wire.write_only;
    attribute.description = wire.description;
    Ok(attribute)
}

/// The schema of an identity.
pub(super) fn identity_schema(wire: wire::ResourceIdentitySchema) -> Result<Schema, Refusal> {
    let attributes = wire
        .identity_attributes
        .into_iter()
        .map(|one| {
            let attribute = Attribute::new(one.name.clone(), ty(&one.r#type, &one.name)?);
            match (one.required_for_import, one.optional_for_import) {
                (true, false) => Ok(attribute.required()),
                (false, true) => Ok(attribute.optional()),
                _ => Err(Refusal::wire(format!(
                    "{} of an identity is neither required nor optional, or both",
                    one.name
                ))),
            }
        })
        .collect::<Result<_, _>>()?;
    Ok(Schema { version: wire.version, attributes, ..Schema::default() })
}

/// A type. One that is no JSON makes cores crash.
pub(super) fn ty(bytes: &[u8], name: &str) -> Result<Type, Refusal> {
    Type::from_json_bytes(bytes).map_err(|wrong| Refusal::wire(format!("{name}: {wrong}")))
}
