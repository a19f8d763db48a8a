//! Integrations: made, seen, changed, switched, deleted.

use std::collections::BTreeSet;

use domain::{GrantedScope, ObservedIntegration, Record};
use jiff::{SignedDuration, Timestamp};

use crate::{Change, Ended, Error, Freshness, NewIntegration, ObjectRef, Refusal, Want};

use super::{
    Fixture, Held, Stop, can, claims, ensure,
    fixture::{connect, made, name, new, open, record, standing},
    kind,
};

const FRESH: Want = Want { credentials: false, details: false, freshness: Freshness::Fresh };

async fn seen(fixture: &dyn Fixture, object: &ObjectRef) -> Result<ObservedIntegration, Stop> {
    // By another process, which knows nothing but what stands there.
    let found = connect(fixture).await.read(object, Want::DEED).await?;
    let found = found.ok_or_else(|| Stop::Broken("it is not there".into()))?;
    ensure(found.gaps.is_empty(), || format!("it has gaps: {:?}", found.gaps))?;
    Ok(found)
}

pub(super) async fn the_tenant_is_the_same_in_every_process(fixture: &dyn Fixture) -> Held {
    let (one, two) =
        (connect(fixture).await.tenant().await?, connect(fixture).await.tenant().await?);
    ensure(one == two && !one.is_empty(), || format!("{one:?} and {two:?}"))
}

pub(super) async fn an_integration_is_born_parked_with_its_record(fixture: &dyn Fixture) -> Held {
    claims(can(fixture)?.creates, "integrations cannot be made")?;
    let connector = connect(fixture).await;
    let wanted = new(fixture, "born");
    let made = connector.create(&wanted).await?;
    ensure(made.parked && made.scopes.is_empty() && made.enabled, || format!("{made:?}"))?;
    ensure(!can(fixture)?.key_is_ours || made.key == wanted.name, || {
        format!("its key is {:?}", made.key)
    })?;
    let object = ObjectRef {
        kind: made.kind.clone(),
        key: made.key.clone(),
        vendor_id: Some(made.vendor_id.clone()),
        name: wanted.name.clone(),
    };
    let seen = seen(fixture, &object).await?;
    let bare = |one: &ObservedIntegration| ObservedIntegration { credentials: None, ..one.clone() };
    ensure(bare(&seen) == bare(&made), || format!("seen {seen:?}, made {made:?}"))?;
    ensure(seen.credentials.is_none_or(|all| all.is_empty()), || {
        "it was born with a credential".into()
    })?;
    if can(fixture)?.keeps_record {
        ensure(made.record == Some(wanted.record), || format!("{:?}", made.record))?;
    }
    Ok(())
}

pub(super) async fn a_second_create_is_refused(fixture: &dyn Fixture) -> Held {
    claims(can(fixture)?.key_is_ours, "the platform chooses the key, so every create is another")?;
    let connector = connect(fixture).await;
    made(fixture, &*connector, "second").await?;
    let again = connect(fixture).await.create(&new(fixture, "second")).await;
    let refused = matches!(&again, Err(error) if error.refusal() == Some(Refusal::Conflict));
    ensure(refused, || format!("{again:?}"))
}

pub(super) async fn an_unfinished_create_is_resumed_by_its_own_realm(
    fixture: &dyn Fixture,
) -> Held {
    let can = can(fixture)?;
    claims(can.key_is_ours && can.keeps_record, "no key and record of ours on the object")?;
    let unfinished = Record { unfinished: true, ..record() };
    let begun = NewIntegration { record: unfinished, ..new(fixture, "unfinished") };
    let first = connect(fixture).await.create(&begun).await?;
    let foreign = NewIntegration {
        record: Record { realm: Some("zzzzzz".into()), ..record() },
        ..new(fixture, "unfinished")
    };
    let refused = connect(fixture).await.create(&foreign).await;
    ensure(refused.is_err(), || "another realm took it over".into())?;
    let done = connect(fixture).await.create(&new(fixture, "unfinished")).await?;
    ensure(done.vendor_id == first.vendor_id && done.record == Some(record()), || {
        format!("{done:?}")
    })
}

pub(super) async fn what_is_not_there_is_none(fixture: &dyn Fixture) -> Held {
    let can = can(fixture)?;
    claims(can.lists || can.key_is_ours, "absence cannot be told")?;
    let object = ObjectRef {
        kind: fixture.kind().to_owned(),
        key: name("nowhere"),
        vendor_id: None,
        name: name("nowhere"),
    };
    let found = connect(fixture).await.read(&object, Want::DEED).await?;
    ensure(found.is_none(), || format!("{found:?}"))
}

pub(super) async fn another_incarnation_is_refused(fixture: &dyn Fixture) -> Held {
    let connector = connect(fixture).await;
    let object = made(fixture, &*connector, "incarnation").await?;
    let other = ObjectRef { vendor_id: Some("another".into()), ..object.clone() };
    let refused = |error: &Error| matches!(error, Error::Recreated { .. });
    let read = connector.read(&other, FRESH).await;
    ensure(read.as_ref().is_err_and(refused), || format!("read: {read:?}"))?;
    let deleted = connector.delete(&other).await;
    ensure(deleted.as_ref().is_err_and(refused), || format!("delete: {deleted:?}"))?;
    seen(fixture, &object).await.map(drop)
}

pub(super) async fn a_listing_has_everybody_and_says_whether_it_is_complete(
    fixture: &dyn Fixture,
) -> Held {
    claims(can(fixture)?.lists, "integrations cannot be listed")?;
    let connector = connect(fixture).await;
    let object = made(fixture, &*connector, "listed").await?;
    let theirs = fixture.create_by_hand(&name("theirs")).await;
    let before = Timestamp::now();
    let listed = connect(fixture).await.list(Want::DEED).await?;
    ensure(listed.is_complete(), || format!("gaps: {:?}", listed.gaps))?;
    ensure(listed.tenant == connector.tenant().await?, || "another tenant".into())?;
    let late = SignedDuration::from_mins(5);
    ensure(before.duration_since(listed.requested_at).abs() < late, || "another time".into())?;
    for key in [Some(object.key), theirs].into_iter().flatten() {
        let found = listed.integrations.iter().filter(|one| one.key == key).count();
        ensure(found == 1, || format!("{key} is there {found} times"))?;
    }
    let sorted = listed.integrations.is_sorted_by(|a, b| (&a.kind, &a.key) <= (&b.kind, &b.key));
    ensure(sorted, || "not sorted by kind and key".into())
}

pub(super) async fn settings_are_what_was_asked_for(fixture: &dyn Fixture) -> Held {
    let connector = connect(fixture).await;
    let object = made(fixture, &*connector, "settings").await?;
    let has = |one: &ObservedIntegration, wanted: &domain::Settings| {
        wanted.0.iter().all(|(name, value)| one.settings.0.get(name) == Some(value))
    };
    let born = seen(fixture, &object).await?;
    ensure(has(&born, &fixture.settings()), || format!("{:?}", born.settings))?;
    let Some(other) = fixture.other_settings() else {
        return Err(Stop::Absent("the fixture has no other settings".into()));
    };
    let change = Change { settings: Some(other.clone()), ..Change::default() };
    let changed = connector.modify(&object, &change).await?;
    let now = seen(fixture, &object).await?;
    ensure(has(&changed, &other) && has(&now, &other), || format!("{:?}", now.settings))?;
    ensure((&now.record, &now.scopes) == (&born.record, &born.scopes), || {
        "more than that changed".into()
    })
}

pub(super) async fn a_record_changes_alone(fixture: &dyn Fixture) -> Held {
    claims(can(fixture)?.keeps_record, "the record is kept elsewhere")?;
    let connector = connect(fixture).await;
    let object = made(fixture, &*connector, "record").await?;
    if can(fixture)?.changes_scopes {
        let scopes = Some(standing(&fixture.scopes()[..2]));
        connector.modify(&object, &Change { scopes, ..Change::default() }).await?;
    }
    let before = seen(fixture, &object).await?;
    let other = Record {
        purpose: Some("Something else\nover two lines */ # \" \\ €".into()),
        justification: Some("because".into()),
        scopes_governed: true,
        ..record()
    };
    let change = Change { record: Some(other.clone()), ..Change::default() };
    connector.modify(&object, &change).await?;
    let now = seen(fixture, &object).await?;
    ensure(now.record.as_ref() == Some(&other), || format!("{:?}", now.record))?;
    ensure(ObservedIntegration { record: before.record.clone(), ..now } == before, || {
        "more than that changed".into()
    })
}

pub(super) async fn scopes_are_replaced_and_emptied(fixture: &dyn Fixture) -> Held {
    claims(can(fixture)?.changes_scopes, "scopes cannot be changed")?;
    let connector = connect(fixture).await;
    let object = made(fixture, &*connector, "scopes").await?;
    let scopes = fixture.scopes();
    for wanted in [&scopes[..2], &scopes[1..3], &scopes[..0], &scopes[..1]] {
        let wanted = standing(wanted);
        let change = Change { scopes: Some(wanted.clone()), ..Change::default() };
        let changed = connector.modify(&object, &change).await?;
        let now = seen(fixture, &object).await?;
        ensure(changed.scopes == wanted && now.scopes == wanted, || {
            format!("{:?}, wanted {wanted:?}", now.scopes)
        })?;
        ensure(!wanted.is_empty() || now.parked, || "without scopes it is not parked".into())?;
        ensure(!can(fixture)?.keeps_record || now.record == Some(record()), || {
            "the record went".into()
        })?;
    }
    Ok(())
}

pub(super) async fn a_scope_given_by_hand_is_seen_and_taken_away(fixture: &dyn Fixture) -> Held {
    claims(can(fixture)?.changes_scopes, "scopes cannot be changed")?;
    let connector = connect(fixture).await;
    let object = made(fixture, &*connector, "byhand").await?;
    let scopes = fixture.scopes();
    let declared = standing(&scopes[..1]);
    let change = Change { scopes: Some(declared.clone()), ..Change::default() };
    connector.modify(&object, &change).await?;
    if !fixture.grant_by_hand(&object, &scopes[1]).await {
        return Err(Stop::Absent("the fixture's hand cannot give a scope".into()));
    }
    let now = seen(fixture, &object).await?;
    let has = now.scopes.iter().any(|one| one.scope == scopes[1]);
    ensure(has, || format!("{:?}", now.scopes))?;
    connector.modify(&object, &change).await?;
    let now = seen(fixture, &object).await?;
    ensure(now.scopes == declared, || format!("{:?}", now.scopes))
}

pub(super) async fn a_scope_with_an_end_keeps_it(fixture: &dyn Fixture) -> Held {
    claims(can(fixture)?.changes_scopes, "scopes cannot be changed")?;
    let connector = connect(fixture).await;
    let here = connector.capabilities(kind(fixture)?).await?;
    ensure(can(fixture)?.ends_scopes || !here.ends_scopes, || "more than is published".into())?;
    let object = made(fixture, &*connector, "dated").await?;
    let scopes = fixture.scopes();
    let until = Timestamp::from_second(Timestamp::now().as_second() + 7200).ok();
    let mut wanted: BTreeSet<GrantedScope> = standing(&scopes[..1]);
    wanted.insert(GrantedScope { scope: scopes[1].clone(), until });
    let change = Change { scopes: Some(wanted.clone()), ..Change::default() };
    if !here.ends_scopes {
        let refused = connector.modify(&object, &change).await;
        let says = matches!(refused, Err(Error::Unsupported { .. }));
        ensure(says, || format!("it ends no scope by itself, and says {refused:?}"))?;
        let now = seen(fixture, &object).await?;
        ensure(now.scopes.is_empty(), || format!("and has {:?}", now.scopes))?;
        return Err(Stop::Absent("no scope is ended by itself on this connection".into()));
    }
    connector.modify(&object, &change).await?;
    let now = seen(fixture, &object).await?;
    ensure(now.scopes == wanted, || format!("{:?}", now.scopes))
}

pub(super) async fn switching_off_and_on_changes_nothing_else(fixture: &dyn Fixture) -> Held {
    let connector = connect(fixture).await;
    let object = made(fixture, &*connector, "switch").await?;
    let off = Change { enabled: Some(false), ..Change::default() };
    if !can(fixture)?.disables {
        let refused = connector.modify(&object, &off).await;
        let says = matches!(refused, Err(Error::Unsupported { .. }));
        ensure(says, || format!("it cannot be switched off, and says {refused:?}"))?;
        return Err(Stop::Absent("integrations cannot be switched off".into()));
    }
    open(fixture, &*connector, &object).await?;
    let before = seen(fixture, &object).await?;
    for enabled in [false, false, true, true] {
        let change = Change { enabled: Some(enabled), ..Change::default() };
        connector.modify(&object, &change).await?;
        let now = seen(fixture, &object).await?;
        ensure(now.enabled == enabled, || format!("{:?}, asked for {enabled}", now.enabled))?;
        ensure(ObservedIntegration { enabled: before.enabled, ..now } == before, || {
            "more than that changed".into()
        })?;
    }
    Ok(())
}

pub(super) async fn deleting_twice_succeeds(fixture: &dyn Fixture) -> Held {
    let connector = connect(fixture).await;
    let object = made(fixture, &*connector, "deleted").await?;
    let first = connector.delete(&object).await?;
    ensure(first == Ended::Now, || format!("{first:?}"))?;
    let second = connect(fixture).await.delete(&object).await?;
    ensure(second == Ended::AlreadyGone, || format!("{second:?}"))?;
    let can = can(fixture)?;
    if can.lists || can.key_is_ours {
        let found = connect(fixture).await.read(&object, FRESH).await?;
        ensure(found.is_none(), || format!("{found:?}"))?;
    }
    if can.key_is_ours {
        let again = connector.create(&new(fixture, "deleted")).await?;
        ensure(again.scopes.is_empty() && again.enabled, || format!("{again:?}"))?;
        ensure(Some(&again.vendor_id) != object.vendor_id.as_ref(), || {
            "the same incarnation".into()
        })?;
    }
    Ok(())
}
