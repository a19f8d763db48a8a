//! Between the declaration and the record that stands on the platform.

use std::collections::BTreeMap;

use domain::{OwnerRef, Record};
use operations::DeclaredIntegration;
use tfplugin::Attr;

use super::{IntegrationModel, ties::ties_of};
use crate::resources::{
    platform_objects::settings_of,
    references::{Adoption, Ceiling, OwnerReference},
};

fn owner_ref(owner: &Attr<OwnerReference>) -> Option<OwnerRef> {
    let owner = owner.value()?;
    Some(OwnerRef {
        id: owner.id.as_deref()?.to_owned(),
        email: owner.email.as_deref().map(str::to_owned),
    })
}

fn adoption_of(adoption: &Attr<Adoption>) -> Option<domain::Adoption> {
    let adoption = adoption.value()?;
    Some(domain::Adoption {
        complete_by: adoption.complete_by.as_deref()?.to_owned(),
        steward: adoption.steward.as_deref()?.to_owned(),
    })
}

fn record_of(model: &IntegrationModel) -> Record {
    let text = |attr: &Attr<String>| attr.as_deref().map(str::to_owned);
    let ceiling = model.ceiling.value();
    Record {
        purpose: text(&model.purpose),
        environment: text(&model.environment),
        business_owner: owner_ref(&model.business_owner),
        technical_owner: owner_ref(&model.technical_owner),
        execution_mode: text(&model.execution_mode),
        category: text(&model.category),
        expires_on: text(&model.expires_on),
        review_every: text(&model.review_every),
        ceiling_action: ceiling.and_then(|one| text(&one.highest_action)),
        ceiling_scopes: ceiling.and_then(|one| one.scopes.value().cloned()),
        adoption: adoption_of(&model.adoption),
        labels: model.labels.value().cloned().unwrap_or_default(),
        ..Record::default()
    }
}

pub(super) fn declared(model: &IntegrationModel) -> Option<DeclaredIntegration> {
    let (kind, value) = model.platform.chosen()?;
    Some(DeclaredIntegration {
        connection: model.connection_name.as_deref()?.to_owned(),
        kind,
        name: model.name.as_deref()?.to_owned(),
        settings: settings_of(kind.fields, value),
        record: record_of(model),
        // What has no switch is never off.
        enabled: model.state == "active" || !kind.capabilities.disables,
        revoke_unmanaged: model.revoke_unmanaged == true,
        ties: ties_of(model),
    })
}

/// Governance fields as the record on the platform has them now.
pub(super) fn take_record(model: &mut IntegrationModel, record: &Record) {
    let owner = |known: &Attr<OwnerReference>, live: &Option<OwnerRef>| match live {
        None => Attr::Null,
        Some(live) => match known.value() {
            // The reference is configuration; its status came with it.
            Some(known)
                if known.id == live.id && known.email.as_deref() == live.email.as_deref() =>
            {
                Attr::Value(known.clone())
            }
            _ => Attr::Value(OwnerReference {
                id: Attr::Value(live.id.clone()),
                email: Attr::from(live.email.clone()),
                status: Attr::Null,
            }),
        },
    };
    model.purpose = Attr::from(record.purpose.clone());
    model.environment = Attr::from(record.environment.clone());
    model.business_owner = owner(&model.business_owner, &record.business_owner);
    model.technical_owner = owner(&model.technical_owner, &record.technical_owner);
    model.execution_mode = Attr::from(record.execution_mode.clone());
    model.category = Attr::from(record.category.clone());
    model.expires_on = Attr::from(record.expires_on.clone());
    model.review_every = Attr::from(record.review_every.clone());
    let known = model.ceiling.value().cloned().unwrap_or_default();
    let ceiling = Ceiling {
        highest_action: Attr::from(record.ceiling_action.clone()),
        scopes: Attr::from(record.ceiling_scopes.clone()),
    };
    let empty = ceiling == Ceiling::default();
    model.ceiling = if empty && (model.ceiling.is_null() || known != Ceiling::default()) {
        Attr::Null
    } else {
        Attr::Value(ceiling)
    };
    model.adoption = record.adoption.as_ref().map_or(Attr::Null, |one| {
        Attr::Value(Adoption {
            complete_by: one.complete_by.as_str().into(),
            steward: one.steward.as_str().into(),
        })
    });
    let keeps_empty = model.labels.value().is_some_and(BTreeMap::is_empty);
    model.labels = if record.labels.is_empty() && !keeps_empty {
        Attr::Null
    } else {
        Attr::Value(record.labels.clone())
    };
}
