//! Credentials: issued, found, proven, ended. Every way that the connection promises is run.

use std::time::Duration;

use domain::{ObservedCredential, Settings};
use jiff::{SignedDuration, Timestamp};

use crate::{
    AccessRequest, Change, Children, Connector, Ended, Error, IssueRequest, Marks, ObjectRef,
    Origin, Probe, Profile, Refusal, Want, profile::Effect,
};

use super::{
    Fixture, Held, Stop, can, claims, ensure,
    fixture::{Credential, connect, issue, made, open},
    kind,
};

type Way = (&'static str, &'static Profile);

/// Every type with every way that the connection promises.
async fn ways(fixture: &dyn Fixture) -> Result<Vec<Way>, Stop> {
    let connector = connect(fixture).await;
    let mut ways = Vec::new();
    for one in kind(fixture)?.credential_types {
        for promise in connector.promises(one.name).await? {
            ways.push((one.name, promise.profile));
        }
    }
    claims(!ways.is_empty(), "no credential can be issued")?;
    Ok(ways)
}

/// Those for which something holds.
async fn ways_that(
    fixture: &dyn Fixture,
    holds: impl Fn(&Profile) -> bool,
    why: &str,
) -> Result<Vec<Way>, Stop> {
    let ways: Vec<Way> = ways(fixture).await?.into_iter().filter(|(_, way)| holds(way)).collect();
    claims(!ways.is_empty(), why)?;
    Ok(ways)
}

async fn listed(
    fixture: &dyn Fixture,
    object: &ObjectRef,
) -> Result<Vec<ObservedCredential>, Stop> {
    let listing = connect(fixture).await.credentials(object).await?;
    ensure(listing.complete, || "the listing is not complete".into())?;
    Ok(listing.credentials)
}

fn adds(way: &Profile) -> bool {
    way.effect.overlaps()
}

/// A short name for an integration of one way.
fn case(case: &str, way: &Way) -> String {
    let short: String = way.1.name.split('-').filter_map(|part| part.chars().next()).collect();
    let of: String = way.0.rsplit('_').take(2).filter_map(|part| part.chars().next()).collect();
    format!("{case}-{short}{of}")
}

fn told(way: &Way, how: impl std::fmt::Display) -> String {
    format!("{} {}: {how}", way.0, way.1.name)
}

async fn accepted(
    connector: &dyn Connector,
    object: &ObjectRef,
    way: &Way,
    one: &Credential,
) -> Held {
    let probed = connector.probe(object, way.0, &one.secret).await?;
    ensure(matches!(probed, Probe::Accepted { residual: None, .. }), || {
        told(way, format!("{probed:?}"))
    })
}

/// What a sign-in shows once it is refused, or at the latest when the platform's time for that is over.
async fn once_refused(
    connector: &dyn Connector,
    object: &ObjectRef,
    way: &Way,
    one: &Credential,
) -> Result<Probe, Stop> {
    let end = tokio::time::Instant::now() + way.1.revocation_lag.to_std();
    loop {
        let probed = connector.probe(object, way.0, &one.secret).await?;
        let rest = end.saturating_duration_since(tokio::time::Instant::now());
        if matches!(probed, Probe::Refused { .. }) || rest.is_zero() {
            return Ok(probed);
        }
        tokio::time::sleep(rest.min(Duration::from_secs(2))).await;
    }
}

pub(super) async fn every_way_of_issuing_is_published_and_promised(fixture: &dyn Fixture) -> Held {
    let connector = connect(fixture).await;
    for one in kind(fixture)?.credential_types {
        let promises = connector.promises(one.name).await?;
        for promise in &promises {
            let published = one.profiles.iter().any(|profile| profile == promise.profile);
            ensure(published, || {
                format!("{} is promised and not published", promise.profile.name)
            })?;
        }
        let best = promises.first().map(|promise| promise.profile.name);
        let because = promises.first().and_then(|promise| promise.because);
        let first = one.profiles.first().map(|profile| profile.name);
        ensure(best == first || because.is_some(), || {
            format!("{}: {best:?} is used and not {first:?}, without a reason", one.name)
        })?;
        for profile in one.profiles {
            let ranked = rank(profile.name);
            ensure(ranked.is_some(), || format!("{} is no way of issuing", profile.name))?;
        }
        let ranks = one.profiles.iter().map(|profile| rank(profile.name));
        ensure(ranks.is_sorted(), || format!("{}: not best first", one.name))?;
    }
    Ok(())
}

/// The order of preference.
fn rank(name: &str) -> Option<usize> {
    const ORDER: [&str; 9] = [
        "add-ours",
        "add-marked",
        "slots",
        "add-unmarked",
        "grace",
        "replace-ours",
        "replace-once",
        "replace-self",
        "first-only",
    ];
    ORDER.iter().position(|known| *known == name)
}

pub(super) async fn a_credential_is_issued_marked_and_listed(fixture: &dyn Fixture) -> Held {
    for way in ways(fixture).await? {
        let connector = connect(fixture).await;
        let object = made(fixture, &*connector, &case("issue", &way)).await?;
        open(fixture, &*connector, &object).await?;
        let one = issue(&*connector, &object, way.0, way.1, 7, None).await?;
        ensure(!one.issued.already_there, || told(&way, "it had been there"))?;
        if way.1.lists {
            let all = listed(fixture, &object).await?;
            let found: Vec<_> =
                all.iter().filter(|known| known.key_id == one.issued.key_id).collect();
            let [found] = found[..] else {
                return Err(Stop::Broken(told(&way, format!("{all:?}"))));
            };
            ensure(found.live && found.credential_type == way.0, || {
                told(&way, format!("{found:?}"))
            })?;
            let marked = found.marker.as_deref() == Some(one.marker.as_str());
            ensure(marked || way.1.marks != Marks::AtIssue, || {
                told(&way, format!("marker {:?}", found.marker))
            })?;
        }
        if can(fixture)?.proves_by_use {
            accepted(&*connector, &object, &way, &one).await?;
        }
    }
    Ok(())
}

pub(super) async fn a_repeated_issue_finds_the_earlier_deed(fixture: &dyn Fixture) -> Held {
    let ours = |way: &Profile| matches!(way.origin, Origin::Ours | Origin::OursPublicKey);
    for way in ways_that(fixture, ours, "the platform makes every secret").await? {
        let connector = connect(fixture).await;
        let object = made(fixture, &*connector, &case("repeat", &way)).await?;
        let one = issue(&*connector, &object, way.0, way.1, 1, None).await?;
        let settings = Settings::default();
        let request = IssueRequest {
            credential_type: way.0,
            profile: way.1.name,
            marker: &one.marker,
            secret: Some(&one.secret),
            settings: &settings,
            expires_at: None,
        };
        let again = connect(fixture).await.issue(&object, request).await?;
        let same = again.already_there && again.key_id == one.issued.key_id;
        ensure(same, || told(&way, format!("{again:?}")))?;
        let found = connect(fixture).await.find(&object, way.0, &one.secret).await?;
        let found = found.map(|found| found.key_id);
        ensure(found.as_ref() == Some(&one.issued.key_id), || {
            told(&way, format!("found {found:?}"))
        })?;
        let other = connector.choose_secret(way.0, &settings, &one.marker)?;
        let none = connector.find(&object, way.0, &other).await?;
        ensure(none.is_none(), || told(&way, "a secret that nobody registered is found"))?;
    }
    Ok(())
}

pub(super) async fn two_credentials_live_at_once(fixture: &dyn Fixture) -> Held {
    claims(can(fixture)?.proves_by_use, "nothing can be proven by use")?;
    for way in ways_that(fixture, adds, "only one credential lives at a time").await? {
        let connector = connect(fixture).await;
        let object = made(fixture, &*connector, &case("two", &way)).await?;
        open(fixture, &*connector, &object).await?;
        let old = issue(&*connector, &object, way.0, way.1, 1, None).await?;
        let new = issue(&*connector, &object, way.0, way.1, 2, None).await?;
        ensure(old.issued.key_id != new.issued.key_id, || told(&way, "one key id for two"))?;
        accepted(&*connector, &object, &way, &old).await?;
        accepted(&*connector, &object, &way, &new).await?;
    }
    Ok(())
}

pub(super) async fn a_replaced_credential_is_refused(fixture: &dyn Fixture) -> Held {
    claims(can(fixture)?.proves_by_use, "nothing can be proven by use")?;
    let replaces = |way: &Profile| way.effect == Effect::Replaces;
    for way in ways_that(fixture, replaces, "no way of issuing replaces").await? {
        let connector = connect(fixture).await;
        let object = made(fixture, &*connector, &case("replace", &way)).await?;
        open(fixture, &*connector, &object).await?;
        let old = issue(&*connector, &object, way.0, way.1, 1, None).await?;
        accepted(&*connector, &object, &way, &old).await?;
        let new = issue(&*connector, &object, way.0, way.1, 2, None).await?;
        let refused = connector.probe(&object, way.0, &old.secret).await?;
        let is_refused = matches!(refused, Probe::Refused { .. });
        ensure(is_refused, || told(&way, format!("the old one: {refused:?}")))?;
        accepted(&*connector, &object, &way, &new).await?;
    }
    Ok(())
}

pub(super) async fn ending_one_leaves_the_others(fixture: &dyn Fixture) -> Held {
    for way in ways_that(fixture, adds, "only one credential lives at a time").await? {
        let connector = connect(fixture).await;
        let object = made(fixture, &*connector, &case("end", &way)).await?;
        let old = issue(&*connector, &object, way.0, way.1, 1, None).await?;
        let new = issue(&*connector, &object, way.0, way.1, 2, None).await?;
        let ended = connector.end(&object, &old.issued.key_id).await?;
        ensure(ended == Ended::Now, || told(&way, format!("{ended:?}")))?;
        let again = connect(fixture).await.end(&object, &old.issued.key_id).await?;
        ensure(again == Ended::AlreadyGone, || told(&way, format!("again: {again:?}")))?;
        if way.1.lists {
            let keys: Vec<_> =
                listed(fixture, &object).await?.into_iter().map(|one| one.key_id).collect();
            ensure(keys == [new.issued.key_id], || told(&way, format!("left: {keys:?}")))?;
        }
        let never = connector.end(&object, "nhi-never-was").await;
        let fine = matches!(&never, Ok(Ended::AlreadyGone) | Err(Error::Refused { .. }));
        ensure(fine, || told(&way, format!("ending nothing: {never:?}")))?;
    }
    Ok(())
}

pub(super) async fn a_place_is_neither_written_over_nor_emptied_for_its_next_holder(
    fixture: &dyn Fixture,
) -> Held {
    claims(can(fixture)?.proves_by_use, "nothing can be proven by use")?;
    let alternates = |way: &Profile| way.effect == Effect::Alternates;
    for way in ways_that(fixture, alternates, "no way of issuing fills places").await? {
        let connector = connect(fixture).await;
        let object = made(fixture, &*connector, &case("place", &way)).await?;
        open(fixture, &*connector, &object).await?;
        let old = issue(&*connector, &object, way.0, way.1, 1, None).await?;
        let other = issue(&*connector, &object, way.0, way.1, 2, None).await?;
        let full = issue(&*connector, &object, way.0, way.1, 3, None).await;
        ensure(full.is_err(), || told(&way, "a third one found a place"))?;
        accepted(&*connector, &object, &way, &old).await?;
        connector.end(&object, &old.issued.key_id).await?;
        let next = issue(&*connector, &object, way.0, way.1, 3, None).await?;
        let again = connector.end(&object, &old.issued.key_id).await?;
        ensure(again == Ended::AlreadyGone, || told(&way, format!("again: {again:?}")))?;
        accepted(&*connector, &object, &way, &other).await?;
        accepted(&*connector, &object, &way, &next).await?;
    }
    Ok(())
}

pub(super) async fn an_end_that_was_set_is_told(fixture: &dyn Fixture) -> Held {
    let why = "no end can be set at issue";
    for way in ways_that(fixture, |way| way.sets_expiry && way.lists, why).await? {
        let connector = connect(fixture).await;
        let object = made(fixture, &*connector, &case("expiry", &way)).await?;
        let end = Timestamp::now() + SignedDuration::from_hours(2);
        let one = issue(&*connector, &object, way.0, way.1, 1, Some(end)).await?;
        let all = listed(fixture, &object).await?;
        let found = all.iter().find(|known| known.key_id == one.issued.key_id);
        let told_end = found.and_then(|found| found.expires_at);
        let near = told_end.is_some_and(|at| (at.as_second() - end.as_second()).abs() < 60);
        ensure(near, || told(&way, format!("{told_end:?}, asked for {end}")))?;
        let past = Timestamp::now() - SignedDuration::from_hours(1);
        let refused = issue(&*connector, &object, way.0, way.1, 2, Some(past)).await;
        ensure(refused.is_err(), || told(&way, "an end in the past was taken"))?;
    }
    Ok(())
}

pub(super) async fn the_end_of_one_is_brought_forward_and_put_off_and_the_others_keep_theirs(
    fixture: &dyn Fixture,
) -> Held {
    let connector = connect(fixture).await;
    let mut all = ways(fixture).await?;
    all.retain(|way| connector.moves_expiry(way.0) && adds(way.1) && way.1.lists);
    claims(!all.is_empty(), "the end of one that is there cannot be set")?;
    for way in all {
        let object = made(fixture, &*connector, &case("limit", &way)).await?;
        open(fixture, &*connector, &object).await?;
        let old = issue(&*connector, &object, way.0, way.1, 1, None).await?;
        let new = issue(&*connector, &object, way.0, way.1, 2, None).await?;
        let key_id = &old.issued.key_id;
        let ends_of = |key: &str| {
            let (object, key) = (&object, key.to_owned());
            async move {
                let all = listed(fixture, object).await?;
                let found = all.into_iter().find(|one| one.key_id == key && one.live);
                Ok::<_, Stop>(found.map(|one| one.expires_at.map(|end| end.as_second())))
            }
        };
        let others = ends_of(&new.issued.key_id).await?;
        let soon = Timestamp::now() + SignedDuration::from_hours(2);
        let late = soon + SignedDuration::from_hours(3);
        for end in [Some(late), Some(soon), Some(soon), Some(late), None] {
            connector.set_expiry(&object, key_id, end).await?;
            let told_end = ends_of(key_id).await?;
            ensure(told_end == Some(end.map(|end| end.as_second())), || {
                told(&way, format!("{told_end:?}, asked for {end:?}"))
            })?;
            accepted(&*connector, &object, &way, &old).await?;
        }
        ensure(ends_of(&new.issued.key_id).await? == others, || told(&way, "the other's moved"))?;
        // It really ends then, by the platform's own hand.
        let now = Timestamp::now() + SignedDuration::from_secs(2);
        connector.set_expiry(&object, key_id, Some(now)).await?;
        tokio::time::sleep(Duration::from_secs(3)).await;
        let refused = once_refused(&*connector, &object, &way, &old).await?;
        ensure(matches!(refused, Probe::Refused { .. }), || told(&way, "it is let in after it"))?;
        accepted(&*connector, &object, &way, &new).await?;
        connector.end(&object, key_id).await?;
        let gone = connector.set_expiry(&object, key_id, Some(late)).await;
        let refusal = gone.as_ref().err().and_then(Error::refusal);
        ensure(refusal == Some(Refusal::NotFound), || told(&way, format!("gone: {gone:?}")))?;
    }
    Ok(())
}

pub(super) async fn revocation_is_proven_by_use(fixture: &dyn Fixture) -> Held {
    claims(can(fixture)?.proves_by_use, "nothing can be proven by use")?;
    let proves = |way: &Profile| adds(way) && way.probe.between_successes >= 2;
    for way in ways_that(fixture, proves, "an old secret must not be tried").await? {
        let connector = connect(fixture).await;
        let object = made(fixture, &*connector, &case("proof", &way)).await?;
        open(fixture, &*connector, &object).await?;
        let old = issue(&*connector, &object, way.0, way.1, 1, None).await?;
        let new = issue(&*connector, &object, way.0, way.1, 2, None).await?;
        connector.end(&object, &old.issued.key_id).await?;
        let random = connector.random_like(way.0, &old.secret)?;
        accepted(&*connector, &object, &way, &new).await?;
        let random = connector.probe(&object, way.0, &random).await?;
        let refused = once_refused(&*connector, &object, &way, &old).await?;
        accepted(&*connector, &object, &way, &new).await?;
        ensure(matches!(refused, Probe::Refused { .. }) && refused == random, || {
            told(&way, format!("old {refused:?}, random {random:?}"))
        })?;
    }
    Ok(())
}

pub(super) async fn one_that_is_switched_off_is_not_ended_and_works_when_it_is_switched_on(
    fixture: &dyn Fixture,
) -> Held {
    let connector = connect(fixture).await;
    let mut all = ways(fixture).await?;
    all.retain(|way| connector.disables(way.0) && adds(way.1));
    claims(!all.is_empty(), "no single credential can be switched off")?;
    for way in all {
        let object = made(fixture, &*connector, &case("switch", &way)).await?;
        open(fixture, &*connector, &object).await?;
        let old = issue(&*connector, &object, way.0, way.1, 1, None).await?;
        let new = issue(&*connector, &object, way.0, way.1, 2, None).await?;
        let key_id = &old.issued.key_id;
        let is = |on: bool| {
            let (way, object) = (&way, &object);
            async move {
                let all = listed(fixture, object).await?;
                let found = all.iter().find(|one| one.key_id == *key_id);
                ensure(found.is_some_and(|one| one.live == on && one.disabled != on), || {
                    told(way, format!("switched on is {on}, and listed is {found:?}"))
                })
            }
        };
        for _ in 0..2 {
            connector.disable(&object, key_id).await?;
            is(false).await?;
        }
        let refused = once_refused(&*connector, &object, &way, &old).await?;
        ensure(matches!(refused, Probe::Refused { .. }), || told(&way, "it is let in"))?;
        accepted(&*connector, &object, &way, &new).await?;
        for _ in 0..2 {
            connector.enable(&object, key_id).await?;
            is(true).await?;
        }
        accepted(&*connector, &object, &way, &old).await?;
        connector.disable(&object, key_id).await?;
        connector.end(&object, key_id).await?;
        let all = listed(fixture, &object).await?;
        ensure(all.iter().all(|one| one.key_id != *key_id), || told(&way, "it is listed"))?;
        accepted(&*connector, &object, &way, &new).await?;
        for gone in
            [connector.disable(&object, key_id).await, connector.enable(&object, key_id).await]
        {
            let refusal = gone.as_ref().err().and_then(Error::refusal);
            ensure(refusal == Some(Refusal::NotFound), || told(&way, format!("gone: {gone:?}")))?;
        }
        accepted(&*connector, &object, &way, &new).await?;
    }
    Ok(())
}

pub(super) async fn switched_off_means_no_sign_in(fixture: &dyn Fixture) -> Held {
    let can = can(fixture)?;
    claims(can.disables, "integrations cannot be switched off")?;
    claims(can.proves_by_use, "nothing can be proven by use")?;
    let way = ways(fixture).await?.remove(0);
    let connector = connect(fixture).await;
    let object = made(fixture, &*connector, &case("off", &way)).await?;
    open(fixture, &*connector, &object).await?;
    let one = issue(&*connector, &object, way.0, way.1, 1, None).await?;
    let token = fixture.sign_in(&object, &one.secret).await;
    let off = Change { enabled: Some(false), ..Change::default() };
    connector.modify(&object, &off).await?;
    let probed = connector.probe(&object, way.0, &one.secret).await?;
    ensure(matches!(probed, Probe::Refused { .. }), || format!("{probed:?}"))?;
    if let Some(token) = token
        && can.disable_reaches_tokens
    {
        ensure(!token.works().await, || "a token issued before still works".into())?;
    }
    let on = Change { enabled: Some(true), ..Change::default() };
    connector.modify(&object, &on).await?;
    accepted(&*connector, &object, &way, &one).await
}

pub(super) async fn a_connection_knows_the_credential_that_it_signs_in_with(
    fixture: &dyn Fixture,
) -> Held {
    claims(can(fixture)?.creates, "integrations cannot be made")?;
    let way = ways(fixture).await?.remove(0);
    let connector = connect(fixture).await;
    let object = made(fixture, &*connector, &case("ourselves", &way)).await?;
    open(fixture, &*connector, &object).await?;
    let one = issue(&*connector, &object, way.0, way.1, 1, None).await?;
    let Some(signed_in) = fixture.connect_with(&object, &one.secret).await else {
        return Err(Stop::Absent("no connection signs in as one of this kind".into()));
    };
    let found = signed_in.ourselves().await?;
    let is_it = found.as_ref().is_some_and(|found| {
        found.is(&object.kind, &object.key) && found.may_be(&one.issued.key_id)
    });
    ensure(is_it, || format!("{found:?}, and it is {} of {}", one.issued.key_id, object.key))?;
    // Another one of the same object is told apart, unless none is.
    let differs = found.is_some_and(|found| {
        found.key_id.is_none() || !found.may_be(&format!("{}-other", one.issued.key_id))
    });
    ensure(differs, || "any credential is taken for it".into())?;
    let other = connect(fixture).await.ourselves().await?;
    let mixed = other.filter(|other| other.key == object.key);
    ensure(mixed.is_none(), || format!("another connection takes itself for it: {mixed:?}"))
}

pub(super) async fn children_are_found_and_revoked(fixture: &dyn Fixture) -> Held {
    let can = can(fixture)?;
    let way = ways(fixture).await?.remove(0);
    let connector = connect(fixture).await;
    let object = made(fixture, &*connector, &case("sweep", &way)).await?;
    open(fixture, &*connector, &object).await?;
    let old = issue(&*connector, &object, way.0, way.1, 1, None).await?;
    let nothing = connector.sweep(&object, Some(&old.marker)).await;
    if !can.sweeps_children {
        let honest = match nothing {
            Ok(Children::Swept(_)) => false,
            Ok(Children::None) => !fixture.mints(),
            _ => true,
        };
        ensure(honest, || format!("it cannot sweep, and says {nothing:?}"))?;
        return Err(Stop::Absent("tokens minted from a credential cannot be found".into()));
    }
    let nothing = nothing?;
    ensure(nothing == Children::None, || format!("{nothing:?} before any sign-in"))?;
    // Before there is another one, which may replace it.
    let of_old = fixture.sign_in(&object, &old.secret).await;
    let new = issue(&*connector, &object, way.0, way.1, 2, None).await?;
    let (Some(of_old), Some(of_new)) = (of_old, fixture.sign_in(&object, &new.secret).await) else {
        return Err(Stop::Absent("the fixture cannot sign in".into()));
    };
    ensure(of_old.works().await && of_new.works().await, || {
        "the tokens do not work at all".into()
    })?;
    let swept = connector.sweep(&object, Some(&old.marker)).await?;
    ensure(swept == Children::Swept(1), || format!("{swept:?}"))?;
    ensure(!of_old.works().await, || "it still works".into())?;
    ensure(of_new.works().await, || "the other generation's was swept too".into())?;
    let rest = connect(fixture).await.sweep(&object, None).await?;
    ensure(rest == Children::Swept(1) && !of_new.works().await, || format!("the rest: {rest:?}"))
}

pub(super) async fn access_lets_in_for_no_longer_than_asked_and_is_refused_once_it_is_ended(
    fixture: &dyn Fixture,
) -> Held {
    claims(can(fixture)?.mints_access, "no access is minted")?;
    let way = ways(fixture).await?.remove(0);
    let connector = connect(fixture).await;
    let object = made(fixture, &*connector, &case("access", &way)).await?;
    open(fixture, &*connector, &object).await?;
    let one = issue(&*connector, &object, way.0, way.1, 1, None).await?;
    let life = domain::Span::from_secs(1800);
    let marker = super::fixture::marker(0);
    let request = AccessRequest { life, marker: &marker, with: Some((way.0, &one.secret)) };
    let begun = Timestamp::now();
    let access = connector.mint(&object, request).await?;
    let other = connector.mint(&object, request).await?;
    let latest = begun + SignedDuration::from_secs(1860);
    let bounded = |at: Timestamp| at > begun && at <= latest;
    ensure(bounded(access.expires_at) && bounded(other.expires_at), || {
        format!("it ends at {}, asked at {begun}", access.expires_at)
    })?;
    ensure(access.token != other.token, || "one token for two".into())?;
    for token in [&access.token, &other.token] {
        let lets_in = fixture.lets_in(&object, token).await;
        ensure(lets_in == Some(true), || format!("it does not let in: {lets_in:?}"))?;
    }
    let all = listed(fixture, &object).await?;
    let stray = all.iter().find(|known| {
        known.key_id != one.issued.key_id && known.marker.as_deref() != Some(&marker)
    });
    ensure(stray.is_none(), || format!("it stands there as nobody's: {stray:?}"))?;
    // Whoever ends it is another process, perhaps.
    let ended = connect(fixture).await.end_access(&object, &access.handle).await?;
    ensure(ended == Ended::Now, || format!("{ended:?}"))?;
    let lets_in = fixture.lets_in(&object, &access.token).await;
    ensure(lets_in == Some(false), || format!("ended, and it lets in: {lets_in:?}"))?;
    let lets_in = fixture.lets_in(&object, &other.token).await;
    ensure(lets_in == Some(true), || format!("the other one was ended too: {lets_in:?}"))?;
    // Some platforms say yes to the end of what has ended.
    connector.end_access(&object, &access.handle).await?;
    connector.end_access(&object, &other.handle).await?;
    accepted(&*connector, &object, &way, &one).await
}

pub(super) async fn a_credential_issued_by_hand_is_listed_and_can_be_ended(
    fixture: &dyn Fixture,
) -> Held {
    claims(can(fixture)?.lists_credentials, "credentials cannot be listed")?;
    let connector = connect(fixture).await;
    let object = made(fixture, &*connector, "unmanaged").await?;
    let Some(key_id) = fixture.issue_by_hand(&object).await else {
        return Err(Stop::Absent("the fixture's hand cannot issue".into()));
    };
    let all = listed(fixture, &object).await?;
    let found = all.iter().find(|one| one.key_id == key_id);
    ensure(found.is_some_and(|one| one.marker.is_none() && one.live), || format!("{all:?}"))?;
    connector.end(&object, &key_id).await?;
    ensure(listed(fixture, &object).await?.is_empty(), || "it is still listed".into())
}

pub(super) async fn a_lean_read_tells_ids_and_the_rest_on_request(fixture: &dyn Fixture) -> Held {
    claims(can(fixture)?.lists_credentials, "credentials cannot be listed")?;
    let way = ways(fixture).await?.remove(0);
    let connector = connect(fixture).await;
    let object = made(fixture, &*connector, &case("lean", &way)).await?;
    let one = issue(&*connector, &object, way.0, way.1, 3, None).await?;
    let connector = connect(fixture).await;
    let lean = connector.read(&object, Want::LEAN).await?;
    let lean = lean.and_then(|one| one.credentials).unwrap_or_default();
    ensure(lean.len() == 1 && lean[0].key_id == one.issued.key_id, || format!("{lean:?}"))?;
    let told = connector.credential(&object, &one.issued.key_id).await?;
    let whole = listed(fixture, &object).await?;
    ensure(told.as_ref() == whole.first(), || format!("{told:?}, listed {whole:?}"))?;
    let none = connector.credential(&object, "nhi-never-was").await?;
    ensure(none.is_none(), || format!("{none:?}"))
}

pub(super) async fn a_random_secret_looks_like_a_real_one(fixture: &dyn Fixture) -> Held {
    claims(can(fixture)?.proves_by_use, "nothing can be proven by use")?;
    for way in ways(fixture).await? {
        let connector = connect(fixture).await;
        let object = made(fixture, &*connector, &case("random", &way)).await?;
        let one = issue(&*connector, &object, way.0, way.1, 1, None).await?;
        let random = connector.random_like(way.0, &one.secret)?;
        let again = connector.random_like(way.0, &one.secret)?;
        ensure(random != one.secret && random != again, || told(&way, "it is no random one"))?;
        if way.1.origin != Origin::OursPublicKey {
            let same = random.expose().len() == one.secret.expose().len();
            ensure(same, || told(&way, "it has another length"))?;
        }
    }
    Ok(())
}

pub(super) async fn a_secret_of_ours_is_another_every_time(fixture: &dyn Fixture) -> Held {
    let connector = connect(fixture).await;
    for way in ways(fixture).await? {
        let settings = Settings::default();
        let choose = || connector.choose_secret(way.0, &settings, "nhi1-x");
        if matches!(way.1.origin, Origin::Ours | Origin::OursPublicKey) {
            let (one, two) = (choose()?, choose()?);
            ensure(one != two && one.expose().len() >= 32, || told(&way, "it can be guessed"))?;
        }
    }
    Ok(())
}
