//! The switch of an integration, and the word in its record that keeps it off.

use std::collections::BTreeMap;

use connector::{Change, Connector, ObjectRef, Platform, Want};
use domain::{Action, Direction, IntegrationId, ObservedIntegration, Record};
use ledger::{Change as Row, Selection, Work};
use policy::change::{self, Value, impact::Facts};
use serde_json::json;

use crate::{
    Context, Deed, Problem,
    decommission::not_in_service,
    elsewhere::governed_here,
    integration::REVOKES,
    not_shown,
    observe::object_of,
    ourselves::not_ourselves,
    review::{Asked, BY_RULES, pass_by_hand},
    scopes::record_turn,
};

/// What is done with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Switch {
    /// Off, and nothing else: whoever declares it switches it on again, unless policy has it off.
    Off,
    /// Off because policy has it so, as an apply would: why.
    OffByPolicy(String),
    /// Off, and no declaration switches it on: why.
    Quarantine(String),
    /// On again, and the word in its record goes.
    Lift,
}

impl Switch {
    fn is_on(&self) -> bool {
        *self == Switch::Lift
    }

    /// Whether it is on then, and the word in its record, given the one that stands there.
    fn wanted(&self, says: Option<&String>) -> (bool, Option<String>) {
        match self {
            Switch::Off | Switch::OffByPolicy(_) => (false, says.cloned()),
            // Who stopped it before, and why, stays.
            Switch::Quarantine(why) => (false, says.cloned().or_else(|| Some(why.clone()))),
            Switch::Lift => (true, None),
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Switch::Off | Switch::OffByPolicy(_) => "integration.disabled",
            Switch::Quarantine(_) => "integration.quarantined",
            Switch::Lift => "integration.lifted",
        }
    }

    /// The word for calls and errors.
    fn word(&self) -> &'static str {
        match self {
            Switch::Off | Switch::OffByPolicy(_) => "disable",
            Switch::Quarantine(_) => "quarantine",
            Switch::Lift => "lift",
        }
    }
}

/// Turns the switch of an integration, and reads back that it is so. Whether anything was changed: what
/// is so already is done.
///
/// # Errors
///
/// `E-NO-SWITCH`, or what the platform said.
pub async fn turn(
    context: &Context,
    id: &IntegrationId,
    vendor_id: &str,
    revoke_unmanaged: bool,
    how: &Switch,
) -> Result<bool, Problem> {
    context.ready(if how.is_on() { Work::Begins } else { Work::Ends }).await?;
    let tenant = context.tenant(&id.connection).await?;
    let connector = context.connector(&id.connection).await?;
    let what = id.to_string();
    let kind = connector.platform().kinds().iter().find(|kind| kind.name == id.kind);
    if !kind.is_some_and(|kind| kind.capabilities.disables) {
        return Err(no_switch(&what));
    }
    let keeps_record = kind.is_some_and(|kind| kind.capabilities.keeps_record);
    let object = object_of(id, None, Some(vendor_id));
    let _turn = context.turns.take(&record_turn(id)).await;
    let found = connector
        .read(&object, Want { credentials: false, ..Want::DEED })
        .await
        .map_err(|error| Problem::not_done(&what, how.word(), &error))?
        .ok_or_else(|| not_shown(id))?;
    governed_here(context, id, found.record.as_ref(), []).await?;
    let have = found.record.clone();
    let says = have.as_ref().and_then(|record| record.quarantined.clone());
    let (enabled, word) = how.wanted(says.as_ref());
    if found.enabled == enabled && says == word {
        return Ok(false);
    }
    if how.is_on() {
        not_in_service(&what, have.as_ref())?;
    } else {
        not_ourselves(context, id).await?;
    }
    if says != word && !keeps_record {
        return Err(no_record(&what));
    }
    let before = format!("enabled {}, quarantined {}", found.enabled, says.is_some());
    let after = format!("enabled {enabled}, quarantined {}", word.is_some());
    let deed = match how.is_on() {
        true => Deed {
            object: what.clone(),
            tenant,
            action: "widen",
            before,
            after,
            direction: Direction::Widens,
        },
        false => Deed::ending(&what, &tenant, "disable", before),
    };
    // What gives power back is a change that a board reviews.
    let leave = match how.is_on() {
        true => {
            let asked = lifting(connector.platform(), id, &found, &deed);
            pass_by_hand(context, &asked, BY_RULES).await?
        }
        false => None,
    };
    let done =
        switched(context, (id, &*connector, &object), &found, &deed, how, revoke_unmanaged).await;
    if let Some(leave) = leave {
        leave.ended(context, done.as_ref().err().map(|problem| problem.code), false).await;
    }
    done.map(|()| true)
}

/// The change that a lift is, as a board reads it.
fn lifting(
    platform: &'static dyn Platform,
    id: &IntegrationId,
    found: &ObservedIntegration,
    deed: &Deed,
) -> Asked {
    let record = found.record.clone().unwrap_or_default();
    let owners = [&record.business_owner, &record.technical_owner];
    let switch = |enabled: bool, why: &Option<String>| {
        let mut members = BTreeMap::from([("enabled".to_owned(), Value::Flag(enabled))]);
        if let Some(why) = why {
            members.insert("quarantined".to_owned(), Value::text(why.as_str()));
        }
        Value::Map(members)
    };
    let may = found.scopes.iter().map(|held| platform.action(&id.kind, &held.scope)).max();
    let why = match &record.quarantined {
        Some(why) => format!("it is switched on again; quarantined: {why}"),
        None => "it is switched on again".to_owned(),
    };
    Asked {
        object: deed.object.clone(),
        change: change::Change {
            tenant: deed.tenant.clone(),
            kind: "nhi_integration".to_owned(),
            object: format!("{}/{}", id.kind, found.vendor_id),
            action: change::Action::Update,
            generation: 0,
            before: switch(found.enabled, &record.quarantined),
            after: switch(true, &None),
        },
        facts: Facts {
            direction: deed.direction,
            action_before: Some(Action::None),
            action_after: Some(may.unwrap_or(Action::None)),
            environment: record.environment.clone(),
            execution_mode: record.execution_mode.clone(),
            takes_last_credential: false,
            removes_owner: false,
        },
        why: vec![why],
        owners: owners.into_iter().flatten().map(|owner| owner.id.clone()).collect(),
    }
}

/// Does what was decided, and reads back that it is so.
async fn switched(
    context: &Context,
    (id, connector, object): (&IntegrationId, &dyn Connector, &ObjectRef),
    found: &ObservedIntegration,
    deed: &Deed,
    how: &Switch,
    revoke_unmanaged: bool,
) -> Result<(), Problem> {
    let what = id.to_string();
    let have = found.record.clone();
    let says = have.as_ref().and_then(|record| record.quarantined.clone());
    let (enabled, word) = how.wanted(says.as_ref());
    let leave = context.gate.authorize(deed)?;
    let record = (says != word).then(|| {
        let have = have.clone().unwrap_or_default();
        let realm = have.realm.clone().or(context.realm.as_ref().map(|realm| realm.id.clone()));
        Record { realm, quarantined: word.clone(), ..have }
    });
    let change = Change { enabled: Some(enabled), record, ..Change::default() };
    let now = context
        .attempt(&what, how.word(), leave.auth(), async {
            connector
                .modify(object, &change)
                .await
                .map_err(|error| Problem::not_done(&what, how.word(), &error))
        })
        .await?;
    let is_so = now.record.and_then(|record| record.quarantined);
    if now.enabled != enabled || is_so != word {
        return Err(Problem::new("E-NOT-DONE", "The platform was not changed as planned")
            .detail(format!("{what}: {}: it was accepted, and reads otherwise.", how.word()))
            .next(format!("nhi scan {}, and look what the platform says", id.connection)));
    }
    let mut entry = context.entry(how.kind(), &what);
    entry.digest_after = Some(deed.digest());
    entry.auth = Some(leave.auth().to_owned());
    if let Switch::Quarantine(why) | Switch::OffByPolicy(why) = how {
        entry = entry.detail("why", why.clone());
    }
    // A hand on the switch declares nothing; what follows from policy, or stays until somebody says
    // otherwise, is what is wanted from now on.
    if *how != Switch::Off {
        let mut document = json!({ "enabled": enabled });
        if revoke_unmanaged {
            document[REVOKES] = json!(true);
        }
        let (integration, facet) = (what.clone(), "enabled".to_owned());
        // What nobody declares stays undeclared: else it would be looked for from now on, as declared
        // and without the rest of it.
        if is_declared(context, &what).await {
            entry = entry.change(Row::Declared {
                integration: integration.clone(),
                facet: facet.clone(),
                document: Some(document.clone()),
            });
        }
        entry = entry.change(Row::Applied { integration, facet, document: Some(document) });
    }
    context.note(entry).await;
    Ok(())
}

/// Whether the ledger has it as declared. One that cannot be read says nothing.
async fn is_declared(context: &Context, what: &str) -> bool {
    let of_it = Selection { declared: true, ..Selection::of(what) };
    let rows = context.ledger.integrations(&of_it).await.unwrap_or_default();
    rows.iter().any(|row| row.declared.is_some())
}

/// What its platform cannot switch off.
fn no_switch(what: &str) -> Problem {
    Problem::new("E-NO-SWITCH", "Its platform has no switch")
        .detail(format!(
            "{what}: such an integration can be ended there, and not switched off. Nothing was changed."
        ))
        .next(format!("nhi revoke {what} ends all that it signs in with, and nothing brings it back"))
}

fn no_record(what: &str) -> Problem {
    Problem::new("E-NO-RECORD", "Its platform keeps no word beside it")
        .detail(format!(
            "{what}: that it is quarantined would be written nowhere, and the next apply would switch \
             it on. Nothing was changed."
        ))
        .next(format!("nhi disable {what}, and set enabled = false in its nhi_integration"))
}
