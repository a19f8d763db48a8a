//! Between the wire's messages and our own types.

use tfplugin_proto::tfplugin6 as wire;

use crate::erased::{ClientCapabilities, Deferred, Parameter, Signature};
use crate::{
    Attribute, Diagnostic, Diagnostics, Kind, Nesting, Path, Schema, Severity, Step, Type, Value,
    json, msgpack,
};

/// A value as the core sent it. Absent and empty are null (OpenTofu passes null arguments so).
pub(super) fn decode(value: Option<wire::DynamicValue>, ty: &Type) -> Result<Value, Diagnostic> {
    let Some(value) = value else { return Ok(Value::Null) };
    if !value.msgpack.is_empty() {
        msgpack::decode(&value.msgpack, ty).map_err(Diagnostic::from)
    } else if !value.json.is_empty() {
        json::decode_bytes(&value.json, ty).map_err(Diagnostic::from)
    } else {
        Ok(Value::Null)
    }
}

/// A value for the core: always MessagePack, which is the one form that cores take everywhere.
pub(super) fn encode(value: &Value, ty: &Type) -> Result<Option<wire::DynamicValue>, Diagnostic> {
    let msgpack = msgpack::encode(value, ty).map_err(Diagnostic::from)?;
    Ok(Some(wire::DynamicValue { msgpack, json: Vec::new() }))
}

/// An identity as the core sent it; the object that it names, by the identity schema.
pub(super) fn decode_identity(
    data: Option<wire::ResourceIdentityData>,
    schema: Option<&Schema>,
) -> Result<Option<Value>, Diagnostic> {
    let (Some(data), Some(schema)) = (data, schema) else { return Ok(None) };
    let value = decode(data.identity_data, schema.ty())?;
    Ok((!value.is_null()).then_some(value))
}

/// An identity for the core. A type without an identity schema never has one: cores crash on it.
pub(super) fn encode_identity(
    identity: Option<&Value>,
    schema: Option<&Schema>,
) -> Result<Option<wire::ResourceIdentityData>, Diagnostic> {
    let (Some(identity), Some(schema)) = (identity, schema) else { return Ok(None) };
    Ok(Some(wire::ResourceIdentityData { identity_data: encode(identity, schema.ty())? }))
}

/// The JSON of stored state.
pub(super) fn raw_json(raw: Option<wire::RawState>) -> Result<serde_json::Value, Diagnostic> {
    let raw = raw.unwrap_or_default();
    if raw.json.is_empty() && !raw.flatmap.is_empty() {
        return Err(Diagnostic::error(
            "State is too old",
            "This state was stored by a core older than 0.12. Upgrade it with that core first.",
        ));
    }
    if raw.json.is_empty() {
        return Ok(serde_json::Value::Null);
    }
    serde_json::from_slice(&raw.json).map_err(|error| {
        Diagnostic::error("State cannot be read", format!("The stored JSON is damaged: {error}."))
    })
}

/// What people are told.
pub(super) fn diagnostics(all: &Diagnostics) -> Vec<wire::Diagnostic> {
    all.iter()
        .map(|one| wire::Diagnostic {
            severity: match one.severity {
                Severity::Error => wire::diagnostic::Severity::Error.into(),
                Severity::Warning => wire::diagnostic::Severity::Warning.into(),
            },
            summary: one.summary.clone(),
            detail: one.detail.clone(),
            attribute: one.path.as_ref().filter(|path| !path.is_root()).map(path),
        })
        .collect()
}

/// A place in a value.
pub(super) fn path(path: &Path) -> wire::AttributePath {
    use wire::attribute_path::step::Selector;
    let steps = path
        .steps()
        .iter()
        .map(|step| wire::attribute_path::Step {
            selector: Some(match step {
                Step::Attribute(name) => Selector::AttributeName(name.clone()),
                Step::Key(key) => Selector::ElementKeyString(key.clone()),
                Step::Index(index) => Selector::ElementKeyInt(*index),
            }),
        })
        .collect();
    wire::AttributePath { steps }
}

/// Why a change waits.
pub(super) fn deferred(deferred: Option<Deferred>) -> Option<wire::Deferred> {
    use wire::deferred::Reason;
    deferred.map(|deferred| wire::Deferred {
        reason: match deferred {
            Deferred::ResourceConfigUnknown => Reason::ResourceConfigUnknown,
            Deferred::ProviderConfigUnknown => Reason::ProviderConfigUnknown,
            Deferred::AbsentPrerequisite => Reason::AbsentPrereq,
        }
        .into(),
    })
}

/// What the core can do.
pub(super) fn capabilities(wire: Option<wire::ClientCapabilities>) -> ClientCapabilities {
    let wire = wire.unwrap_or_default();
    ClientCapabilities {
        deferral_allowed: wire.deferral_allowed,
        write_only_attributes_allowed: wire.write_only_attributes_allowed,
        store_planned_private: wire.store_planned_private,
    }
}

/// A schema.
pub(super) fn schema(schema: &Schema) -> wire::Schema {
    let deprecated = schema.deprecation.is_some();
    wire::Schema {
        version: schema.version,
        block: Some(wire::schema::Block {
            version: schema.version,
            attributes: schema.attributes.iter().map(attribute).collect(),
            description: schema.description.clone(),
            description_kind: wire::StringKind::Markdown.into(),
            deprecated,
            deprecation_message: schema.deprecation.clone().unwrap_or_default(),
            ..wire::schema::Block::default()
        }),
    }
}

fn attribute(attribute: &Attribute) -> wire::schema::Attribute {
    let (r#type, nested_type) = match &attribute.kind {
        Kind::Type(ty) => (ty.to_json_bytes(), None),
        Kind::Nested { nesting, attributes } => {
            use wire::schema::object::NestingMode;
            let nesting = match nesting {
                Nesting::Single => NestingMode::Single,
                Nesting::List => NestingMode::List,
                Nesting::Set => NestingMode::Set,
                Nesting::Map => NestingMode::Map,
            };
            let object = wire::schema::Object {
                attributes: attributes.iter().map(self::attribute).collect(),
                nesting: nesting.into(),
                ..wire::schema::Object::default()
            };
            (Vec::new(), Some(object))
        }
    };
    wire::schema::Attribute {
        name: attribute.name.clone(),
        r#type,
        nested_type,
        description: attribute.description.clone(),
        required: attribute.required,
        optional: attribute.optional,
        computed: attribute.computed,
        sensitive: attribute.sensitive,
        description_kind: wire::StringKind::Markdown.into(),
        deprecated: attribute.deprecation.is_some(),
        write_only: attribute.write_only,
        deprecation_message: attribute.deprecation.clone().unwrap_or_default(),
    }
}

/// The schema of an identity: what the user must give to import is required.
pub(super) fn identity_schema(schema: &Schema) -> wire::ResourceIdentitySchema {
    use wire::resource_identity_schema::IdentityAttribute;
    wire::ResourceIdentitySchema {
        version: schema.version,
        identity_attributes: schema
            .attributes
            .iter()
            .map(|attribute| IdentityAttribute {
                name: attribute.name.clone(),
                r#type: attribute.ty().to_json_bytes(),
                required_for_import: attribute.required,
                optional_for_import: !attribute.required,
                description: attribute.description.clone(),
            })
            .collect(),
    }
}

/// A function. The core dereferences its result without looking, so there always is one.
pub(super) fn function(signature: &Signature) -> wire::Function {
    wire::Function {
        parameters: signature.parameters.iter().map(parameter).collect(),
        variadic_parameter: signature.variadic.as_ref().map(parameter),
        r#return: Some(wire::function::Return { r#type: signature.returns.to_json_bytes() }),
        summary: signature.summary.clone(),
        description: signature.description.clone(),
        description_kind: wire::StringKind::Markdown.into(),
        deprecation_message: signature.deprecation.clone().unwrap_or_default(),
    }
}

fn parameter(parameter: &Parameter) -> wire::function::Parameter {
    wire::function::Parameter {
        name: parameter.name.clone(),
        r#type: parameter.ty.to_json_bytes(),
        allow_null_value: parameter.allow_null,
        allow_unknown_values: parameter.allow_unknown,
        description: parameter.description.clone(),
        description_kind: wire::StringKind::Markdown.into(),
    }
}

/// A moment on the wire.
pub(super) fn timestamp(at: Option<std::time::SystemTime>) -> Option<prost_types::Timestamp> {
    at.map(prost_types::Timestamp::from)
}
