//! How a slot is issued, as it is declared: in the ledger, so that it can be rotated from there too.

use std::collections::BTreeMap;

use connector::{CredentialType, Kind};
use domain::{CredentialId, IntegrationId, Settings};
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use ledger::Change;
use policy::settings::with_defaults;
use serde_json::{Value, json};

use crate::{
    Consumers, Context, Delivery, Problem, SlotSpec, Wish, WishedSlot, drift::settings_from,
    integration::settings_json, observe_integration,
};

/// What the facet of a slot begins with among what is declared of its integration.
const FACET: &str = "credential.";

/// The slot that a facet is of.
pub(crate) fn slot_of(facet: &str) -> Option<&str> {
    facet.strip_prefix(FACET)
}

/// The change that keeps a slot's form, or takes it out of what is declared.
pub(crate) fn change(id: &CredentialId, form: Option<Value>) -> Change {
    Change::Declared {
        integration: id.integration.to_string(),
        facet: format!("{FACET}{}", id.name),
        document: form,
    }
}

/// What a new generation is made of. No secret is in it: texts for fields are fixed words such as a
/// role's name, and what holds the secret is named.
pub(crate) fn of(spec: &SlotSpec) -> Value {
    let delivery = |one: &Delivery| {
        let mut to = json!({ "connection": one.connection, "path": one.path });
        if !one.fields.is_empty() {
            to["fields"] = json!(one.fields);
        }
        if one.merge {
            to["merge"] = json!(true);
        }
        (one.name.clone(), to)
    };
    let to: BTreeMap<String, Value> = spec.deliveries.iter().map(delivery).collect();
    let mut form = json!({
        "type": spec.credential_type.name,
        "settings": settings_json(&spec.settings),
        "deliver_to": to,
    });
    if spec.consumers.refuse_interruption {
        form["interruption"] = json!("refuse");
    }
    if let Some(refresh) = spec.consumers.refresh {
        form["consumer_refresh"] = json!(refresh.to_string());
    }
    if spec.drill {
        form["drill"] = json!(true);
    }
    form
}

/// What a form, or a state, says of those who read the secret.
pub fn consumers(interruption: Option<&str>, refresh: Option<&str>) -> Consumers {
    Consumers {
        refuse_interruption: interruption == Some("refuse"),
        refresh: refresh.and_then(|text| text.parse().ok()),
    }
}

/// What is kept of a slot among what is declared of its integration.
pub(crate) fn kept(id: &CredentialId, declared: Value) -> Option<Value> {
    declared.get(format!("{FACET}{}", id.name)).cloned()
}

/// Reads [`of`]. One that cannot be read says nothing.
pub(crate) fn take(slot: &mut WishedSlot, form: &Value) {
    let delivery = |(name, one): (&String, &Value)| {
        let fields = one["fields"].as_object().into_iter().flatten();
        Some(Delivery {
            name: name.clone(),
            connection: one["connection"].as_str()?.to_owned(),
            path: one["path"].as_str()?.to_owned(),
            fields: fields
                .map(|(field, from)| Some((field.clone(), from.as_str()?.to_owned())))
                .collect::<Option<_>>()?,
            merge: one["merge"].as_bool().unwrap_or(false),
        })
    };
    let read = || {
        let to = form["deliver_to"].as_object()?.iter().map(delivery).collect::<Option<_>>()?;
        Some((form["type"].as_str()?.to_owned(), to))
    };
    if let (Some((of_type, to)), Some(settings)) = (read(), form.get("settings")) {
        (slot.credential_type, slot.deliveries) = (Some(of_type), to);
        slot.settings = Some(settings.clone());
        slot.consumers =
            consumers(form["interruption"].as_str(), form["consumer_refresh"].as_str());
        slot.drill = form["drill"].as_bool().unwrap_or(false);
    }
}

/// A declared slot, whole enough that another generation can be issued, on the incarnation of its
/// integration that is declared, or else is there.
///
/// # Errors
///
/// No such slot is declared, or not all of it is known, or it is not there.
pub async fn declared_slot(
    context: &Context,
    wish: &Wish,
    name: &str,
) -> Result<SlotSpec, Problem> {
    let spec = slot_to_end(context, wish, name).await?;
    if wish.slots.iter().any(|slot| slot.name == name && slot.settings.is_some()) {
        return Ok(spec);
    }
    Err(Problem::new("E-FORM-UNKNOWN", "It is not known how this credential is issued")
        .detail(format!(
            "{}: what is declared names it, and not its type, its settings and the form of its \
             documents, as in a ledger of an earlier version.",
            spec.id
        ))
        .next("give the state that declares it: terraform show -json | nhi … --state -"))
}

/// A declared slot, as far as is known, which is enough to end what it has.
///
/// # Errors
///
/// No such slot is declared, or it is not there.
pub async fn slot_to_end(context: &Context, wish: &Wish, name: &str) -> Result<SlotSpec, Problem> {
    let integration = wish.integration()?;
    let id = CredentialId { integration, name: name.to_owned() };
    let slot = wish.slots.iter().find(|slot| slot.name == name).ok_or_else(|| undeclared(&id))?;
    let (kind, credential_type) = typed(context, &id, slot.credential_type.as_deref())?;
    let vendor_id = match &wish.vendor_id {
        Some(vendor_id) => vendor_id.clone(),
        None => observe_integration(context, &id.integration, None, None)
            .await?
            .map(|seen| seen.observed.vendor_id)
            .ok_or_else(|| not_shown(&id.integration))?,
    };
    let said = |name: &str| wish.record.as_ref().and_then(|record| record.get(name));
    let fields = credential_type.fields;
    let settings = slot.settings.as_ref().map(|settings| settings_from(fields, settings));
    Ok(SlotSpec {
        vendor_id,
        kind,
        credential_type,
        settings: with_defaults(fields, &settings.unwrap_or_default()),
        schedule: slot.schedule.clone(),
        deliveries: slot.deliveries.clone(),
        former: Vec::new(),
        drill: slot.drill,
        integration_ends: said("expires_on").and_then(|day| end_of_day(day)),
        known: slot.known.clone(),
        asked: None,
        consumers: slot.consumers,
        id,
    })
}

/// A slot of which only its id and its incarnation are known: enough to end what it has, wherever that
/// was delivered.
///
/// # Errors
///
/// Its connection cannot hold it.
pub fn undeclared_slot(
    context: &Context,
    id: &CredentialId,
    vendor_id: &str,
) -> Result<SlotSpec, Problem> {
    let (kind, credential_type) = typed(context, id, None)?;
    Ok(SlotSpec {
        id: id.clone(),
        vendor_id: vendor_id.to_owned(),
        kind,
        credential_type,
        settings: with_defaults(credential_type.fields, &Settings::default()),
        schedule: None,
        deliveries: Vec::new(),
        former: Vec::new(),
        drill: false,
        integration_ends: None,
        known: None,
        asked: None,
        consumers: Consumers::default(),
    })
}

/// The kind of a slot and its type, or else the kind's own.
fn typed(
    context: &Context,
    id: &CredentialId,
    named: Option<&str>,
) -> Result<(&'static Kind, &'static CredentialType), Problem> {
    let platform = context.connections.platform(&id.integration.connection)?;
    let kind = platform.kinds().iter().find(|kind| kind.name == id.integration.kind);
    let typed = kind.and_then(|kind| {
        let of_type = kind.credential_types.iter().find(|one| named == Some(one.name));
        Some((kind, *of_type.or(kind.credential_types.first())?))
    });
    typed.ok_or_else(|| {
        Problem::new("E-KIND", "This connection cannot hold such a credential")
            .detail(format!(
                "{id}: connection {:?} is {}.",
                id.integration.connection,
                platform.name()
            ))
            .next("give that connection its platform back")
    })
}

fn undeclared(id: &CredentialId) -> Problem {
    Problem::new("E-UNDECLARED", "No such credential is declared")
        .detail(format!("Nothing declares {id}."))
        .next("nhi drift lists what is declared; another root's state is given with --state")
}

/// An integration that a command is about is not there.
pub fn not_shown(id: &IntegrationId) -> Problem {
    Problem::new("E-GONE", "The integration is not there")
        .detail(format!("{id}: its platform does not show it."))
        .next("terraform plan")
}

/// When a day (`2026-12-31`) is over, in UTC.
pub fn end_of_day(day: &str) -> Option<Timestamp> {
    let next = day.parse::<Date>().ok()?.tomorrow().ok()?;
    Some(next.to_zoned_datetime(TimeZone::UTC).ok()?.timestamp())
}
