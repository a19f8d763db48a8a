//! The settings of the platform object, as they were applied and as they are.

use connector::Kind;
use domain::{IntegrationId, Settings};
use operations::SeenIntegration;
use tfplugin::Value;

use super::IntegrationModel;
use crate::resources::{
    applied::Applied,
    platform_objects::{kind, object_of},
};

/// Settings in words, as they are kept in private state.
pub(super) fn applied(kind: &Kind, settings: &Settings) -> Applied {
    let words = settings.0.iter().map(|(name, value)| (format!("{}.{name}", kind.name), value));
    Applied(words.map(|(name, value)| (name, value.to_string())).collect())
}

/// What the world shows of the parts that [`applied`] keeps.
pub(super) fn applied_now(id: &IntegrationId, seen: &SeenIntegration) -> Option<Applied> {
    kind(&id.kind).map(|(_, kind)| applied(kind, &seen.observed.settings))
}

/// What the platform chose where nothing was said.
pub(super) fn fill_vendor_defaults(
    model: &mut IntegrationModel,
    kind: &'static Kind,
    live: &Settings,
) {
    let Some((_, Value::Object(object))) = model.platform.chosen() else { return };
    let mut object = object.clone();
    let Value::Object(live) = object_of(kind.fields, live) else { return };
    for (name, value) in &mut object {
        if value.is_unknown() {
            *value = live.get(name).cloned().unwrap_or(Value::Null);
        }
    }
    model.platform.set_value(kind, Value::Object(object));
}
