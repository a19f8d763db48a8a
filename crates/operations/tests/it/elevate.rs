//! What may be had for a while by asking: what is given ends, whoever is killed, and nobody calls a grant
//! of theirs one of these.

use std::collections::{BTreeMap, BTreeSet};

use connector::{Connector, Want, fake::APP};
use domain::{IntegrationId, ObservedIntegration, Record, Scope, Span};
use operations::{
    Context, DeclaredScopes, ElevateRequest, Elevated, KindLattice, Problem, Switch, Taken, Tick,
    Wish, Wishes, declared_in_ledger, elevate, elevations, end_elevation, judge_integration,
    set_scopes, turn,
};
use policy::{
    change::quorum::Decision,
    elevation::{Approval, OnRequest},
    rotation::Goal,
    scopes::{Declared, Enforcement},
};

use crate::{
    board::Office,
    world::{Fuse, Moment, World},
};

const LATTICE: KindLattice = KindLattice { platform: &connector::fake::PLATFORM, kind: APP };
const HALF_AN_HOUR: Span = Span::from_secs(1_800);
const ASKED: ElevateRequest<'_> = ElevateRequest {
    scope: "repo:write",
    span: HALF_AN_HOUR,
    reason: "INC-9: put a release back",
    ticket: Some("INC-9"),
};

fn id() -> IntegrationId {
    IntegrationId::new("fake", APP, "sync")
}

fn declared(word: Option<&str>) -> Declared {
    let one =
        OnRequest { longest: Span::from_secs(3_600), approval: Approval::from_word(word).unwrap() };
    Declared {
        scopes: BTreeSet::from(["repo:read".to_owned()]),
        on_request: BTreeMap::from([("repo:write".to_owned(), one)]),
        ..Declared::default()
    }
}

async fn apply(context: &Context, world: &World, declared: Declared, first: bool) {
    let wish = DeclaredScopes {
        declared,
        enforcement: Enforcement::Exact,
        classify: BTreeMap::new(),
        justification: None,
        first,
    };
    set_scopes(context, &id(), Some(&world.vendor_id), LATTICE, &wish).await.unwrap();
}

/// It reads, and may ask to write.
async fn may_ask(word: Option<&str>) -> World {
    let world = World::new("add-marked").await;
    world.whole("a", Goal::Rotate { to: 1, at_once: false }).await;
    apply(&world.context("apply", &Fuse::none()), &world, declared(word), true).await;
    world
}

async fn seen(world: &World) -> ObservedIntegration {
    world.fake.read(&world.object(), Want::DEED).await.unwrap().unwrap()
}

async fn live(world: &World) -> Vec<String> {
    seen(world).await.scopes.iter().map(|held| held.scope.as_str().to_owned()).collect()
}

/// As the ledger has it.
async fn wish(context: &Context) -> Wish {
    let wishes = declared_in_ledger(&*context.ledger).await.unwrap();
    wishes.integrations.get(&id().to_string()).unwrap().clone()
}

async fn asks(
    context: &Context,
    world: &World,
    asked: ElevateRequest<'_>,
) -> Result<Elevated, Problem> {
    let scopes = wish(context).await.scopes.unwrap();
    elevate(context, &id(), Some(&world.vendor_id), LATTICE, &scopes, asked).await
}

async fn found(context: &Context) -> Vec<String> {
    let judged = judge_integration(context, &wish(context).await).await.unwrap();
    let about = judged.findings.into_iter().filter(|(_, one)| one.facet == "scopes");
    about.map(|(_, one)| one.rule.to_string()).collect()
}

async fn ticked(context: &Context) -> Vec<Taken> {
    let wish = wish(context).await;
    let integrations = BTreeMap::from([(wish.id.clone(), wish)]);
    let tick = Tick::begin(context, operations::Asked::default()).await;
    let looked = tick.look(Wishes { integrations, ..Wishes::default() }, |_, _| ()).await;
    assert!(looked.unread.is_empty(), "{:?}", looked.unread);
    let mut taken = Vec::new();
    let of_scopes = |one: &Taken| matches!(one, Taken::Narrowed(_));
    tick.take_all(&looked.steps, |_, _, one| taken.extend(Some(one).filter(of_scopes))).await;
    taken
}

#[tokio::test(start_paused = true)]
async fn what_is_asked_for_is_given_is_no_drift_and_ends() {
    let world = may_ask(None).await;
    let context = world.context("person", &Fuse::none());
    let given = asks(&context, &world, ASKED).await.unwrap();
    assert_eq!(given.until, context.now() + HALF_AN_HOUR.to_std());
    assert_eq!(live(&world).await, ["repo:read", "repo:write"]);
    assert!(found(&context).await.is_empty(), "{:?}", found(&context).await);
    // The word of it outlives every ledger, and is asked for anew.
    assert_eq!(elevations(&context, &seen(&world).await).len(), 1);
    // An apply neither takes it away nor makes it last.
    apply(&context, &world, declared(None), false).await;
    let held = seen(&world).await.scopes.into_iter().find(|held| held.until.is_some()).unwrap();
    assert_eq!((held.scope.as_str(), held.until), ("repo:write", Some(given.until)));
    // Once more is longer.
    world.clock.advance(Span::from_secs(600));
    let longer = asks(&context, &world, ASKED).await.unwrap();
    assert_eq!(longer.until, given.until + Span::from_secs(600).to_std());
    world.clock.advance(HALF_AN_HOUR);
    assert_eq!(live(&world).await, ["repo:read"], "its platform ended it");
    assert!(found(&context).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_its_platform_does_not_end_the_next_tick_takes_away() {
    let world = may_ask(None).await;
    let context = world.context("person", &Fuse::none());
    asks(&context, &world, ASKED).await.unwrap();
    // As on a platform that has no ends.
    world.fake.by_hand(APP, "sync", |hand| {
        hand.withdraw("repo:write");
        hand.grant("repo:write");
    });
    assert!(ticked(&context).await.is_empty(), "its time is not over");
    world.clock.advance(HALF_AN_HOUR);
    assert_eq!(found(&context).await, ["scope-outlived"]);
    let taken = ticked(&context).await;
    assert!(matches!(&taken[..], [Taken::Narrowed(_)]), "{taken:?}");
    assert_eq!(live(&world).await, ["repo:read"]);
    assert!(seen(&world).await.record.unwrap().elevated.is_empty(), "nothing is left of it");
    assert!(found(&context).await.is_empty() && ticked(&context).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_no_entry_covers_or_for_so_long_is_refused_and_nothing_is_changed() {
    let world = may_ask(None).await;
    let context = world.context("person", &Fuse::none());
    let before = seen(&world).await;
    let refused =
        async |asked: ElevateRequest<'_>| asks(&context, &world, asked).await.unwrap_err().code;
    assert_eq!(refused(ElevateRequest { scope: "repo:delete", ..ASKED }).await, "E-ELEVATE");
    assert_eq!(refused(ElevateRequest { scope: "repo:read", ..ASKED }).await, "E-ELEVATE");
    assert_eq!(refused(ElevateRequest { scope: "REPO", ..ASKED }).await, "E-SCOPE-GRAMMAR");
    let long = ElevateRequest { span: Span::from_secs(3_601), ..ASKED };
    assert_eq!(refused(long).await, "E-TOO-LONG");
    assert_eq!(seen(&world).await, before);
    // A ceiling that came down since limits it too.
    world.fake.by_hand(APP, "sync", |hand| {
        let record = before.record.clone().unwrap();
        hand.write_record(Some(Record { ceiling_action: Some("read".into()), ..record }));
    });
    assert_eq!(refused(ASKED).await, "E-CEILING");
    // What is stopped is given nothing.
    world.fake.by_hand(APP, "sync", |hand| {
        hand.write_record(before.record.clone());
        hand.enable(false);
    });
    assert_eq!(refused(ASKED).await, "E-ELEVATE");
    assert_eq!(live(&world).await, ["repo:read"]);
}

#[tokio::test(start_paused = true)]
async fn nobody_calls_a_grant_of_theirs_one_that_was_asked_for() {
    let world = may_ask(None).await;
    let context = world.context("person", &Fuse::none());
    let given = asks(&context, &world, ASKED).await.unwrap();
    let word = seen(&world).await.record.unwrap().elevated["repo:write"].clone();
    end_elevation(&context, &id(), None, LATTICE, "repo:write").await.unwrap();
    let record = seen(&world).await.record.unwrap();
    let forge = |scope: &str, word: String| {
        let record = record.clone();
        world.fake.by_hand(APP, "sync", |hand| {
            hand.withdraw("repo:write");
            hand.grant(scope);
            let elevated = BTreeMap::from([(scope.to_owned(), word)]);
            hand.write_record(Some(Record { elevated, ..record }));
        });
    };
    // A later end, another scope, no key at all.
    let (_, mac) = word.split_once(' ').unwrap();
    let later = given.until + Span::from_secs(60).to_std();
    for (scope, word) in [
        ("repo:write", format!("{later:.0} {mac}")),
        ("repo:write", format!("{:.0}", given.until)),
        ("repo:delete", word.clone()),
    ] {
        forge(scope, word.clone());
        assert_eq!(found(&context).await, ["scope-added"], "{scope} {word}");
        world.fake.by_hand(APP, "sync", |hand| hand.withdraw(scope));
    }
    // What a hand gave is not made one of these by asking.
    world.fake.by_hand(APP, "sync", |hand| {
        hand.write_record(Some(record));
        hand.grant("repo:write");
    });
    let refused = asks(&context, &world, ASKED).await.unwrap_err();
    assert_eq!(refused.code, "E-ELEVATE", "{refused}");
    assert!(refused.to_string().contains("nobody here gave it"), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn it_ends_before_its_time_by_a_word_and_with_its_entry() {
    let world = may_ask(None).await;
    let context = world.context("person", &Fuse::none());
    asks(&context, &world, ASKED).await.unwrap();
    let not = end_elevation(&context, &id(), None, LATTICE, "repo:read").await.unwrap_err();
    assert_eq!(not.code, "E-ELEVATE", "{not}");
    let gone = end_elevation(&context, &id(), None, LATTICE, "repo:write").await.unwrap();
    assert_eq!(gone, BTreeSet::from([Scope::canonical("repo:write")]));
    assert_eq!(live(&world).await, ["repo:read"]);
    assert!(seen(&world).await.record.unwrap().elevated.is_empty());
    asks(&context, &world, ASKED).await.unwrap();
    let none = Declared { on_request: BTreeMap::new(), ..declared(None) };
    apply(&context, &world, none, false).await;
    assert_eq!(live(&world).await, ["repo:read"], "nobody declares any more that it may be had");
}

#[tokio::test(start_paused = true)]
async fn whoever_gives_it_may_be_killed_at_any_call_and_it_ends_all_the_same() {
    let mut interrupted = 0;
    'calls: for call in 1..20 {
        for moment in [Moment::Before, Moment::After] {
            let world = may_ask(None).await;
            let fuse = Fuse::at(call, moment);
            let context = world.context("killed", &fuse);
            let done = tokio::select! {
                biased;
                done = asks(&context, &world, ASKED) => Some(done),
                () = fuse.died() => None,
            };
            match done {
                None => interrupted += 1,
                Some(Ok(_)) => break 'calls,
                Some(Err(problem)) => panic!("{problem:?}"),
            }
            let how = format!("{call} {moment:?}");
            let context = world.context("looks", &Fuse::none());
            let now = seen(&world).await;
            let given = now.scopes.iter().any(|held| held.scope.as_str() == "repo:write");
            let words = elevations(&context, &now);
            assert!(!given || words.contains_key(&Scope::canonical("repo:write")), "{how}");
            assert!(found(&context).await.is_empty(), "{how}: {:?}", found(&context).await);
            let entries = world.kinds().await;
            let nothing = words.is_empty() && !given;
            assert!(nothing || entries.iter().any(|one| one == "scopes.elevating"), "{how}");
            world.fake.by_hand(APP, "sync", |hand| {
                if given {
                    hand.withdraw("repo:write");
                    hand.grant("repo:write");
                }
            });
            world.clock.advance(HALF_AN_HOUR + Span::from_secs(60));
            ticked(&context).await;
            assert_eq!(live(&world).await, ["repo:read"], "{how}");
            // And whoever asks again gets it.
            asks(&context, &world, ASKED).await.unwrap();
        }
    }
    assert!(interrupted >= 4, "{interrupted}");
}

#[tokio::test(start_paused = true)]
async fn where_a_board_reviews_it_is_given_once_they_have_signed_and_once() {
    let world = may_ask(None).await;
    let office = Office::new();
    let context = office.over(world.context("person", &Fuse::none()));
    let refused = asks(&context, &world, ASKED).await.unwrap_err();
    assert_eq!(refused.code, "E-APPROVAL-MISSING", "{refused}");
    assert!(refused.to_string().contains("nhi approve"), "{refused}");
    assert_eq!(live(&world).await, ["repo:read"]);
    // For another time, or for another reason, it is another change.
    office.approve(&refused, context.now());
    let longer = ElevateRequest { span: Span::from_secs(3_600), ..ASKED };
    assert_eq!(asks(&context, &world, longer).await.unwrap_err().code, "E-APPROVAL-MISSING");
    let other = ElevateRequest { reason: "because", ..ASKED };
    assert_eq!(asks(&context, &world, other).await.unwrap_err().code, "E-APPROVAL-MISSING");
    // Minutes later it is still the one that was signed.
    world.clock.advance(Span::from_secs(600));
    let given = asks(&context, &world, ASKED).await.unwrap();
    assert!(given.auth.starts_with("approval:"), "{given:?}");
    assert_eq!(live(&world).await, ["repo:read", "repo:write"]);
    // It ends without anybody's leave, and what was signed is used up.
    end_elevation(&context, &id(), None, LATTICE, "repo:write").await.unwrap();
    assert_eq!(asks(&context, &world, ASKED).await.unwrap_err().code, "E-APPROVAL-USED");
    assert_eq!(live(&world).await, ["repo:read"]);
}

#[tokio::test(start_paused = true)]
async fn what_its_declaration_approves_needs_nobody_and_what_it_asks_more_for_needs_more() {
    let world = may_ask(Some("none")).await;
    let office = Office::new();
    let context = office.over(world.context("person", &Fuse::none()));
    let given = asks(&context, &world, ASKED).await.unwrap();
    assert_eq!(given.auth, "standing:on_request");
    let world = may_ask(Some("critical")).await;
    let context = office.over(world.context("person", &Fuse::none()));
    let refused = asks(&context, &world, ASKED).await.unwrap_err();
    assert!(refused.to_string().contains("impact critical"), "{refused}");
    // Somebody who says no is heard, whatever the declaration says.
    let world = may_ask(Some("none")).await;
    let context = office.over(world.context("person", &Fuse::none()));
    let scopes = wish(&context).await.scopes.unwrap();
    let foreseen = operations::foresee_elevation(&context, &id(), None, LATTICE, &scopes, ASKED)
        .await
        .unwrap();
    office.says("ann", Decision::Reject, foreseen.asked.change.digest(), context.now());
    assert_eq!(asks(&context, &world, ASKED).await.unwrap_err().code, "E-APPROVAL-REJECTED");
    assert_eq!(live(&world).await, ["repo:read"]);
}

#[tokio::test(start_paused = true)]
async fn where_a_board_reviews_a_quarantine_is_lifted_by_those_who_sign() {
    let world = World::new("add-marked").await;
    world.whole("a", Goal::Rotate { to: 1, at_once: false }).await;
    let office = Office::new();
    let context = office.over(world.context("person", &Fuse::none()));
    let by_whom = async |how: &Switch| turn(&context, &id(), &world.vendor_id, false, how).await;
    by_whom(&Switch::Quarantine("INC-7".into())).await.unwrap();
    let refused = by_whom(&Switch::Lift).await.unwrap_err();
    assert_eq!(refused.code, "E-APPROVAL-MISSING", "{refused}");
    assert!(refused.detail.contains("INC-7"), "{refused}");
    assert!(!seen(&world).await.enabled);
    office.approve(&refused, context.now());
    assert!(by_whom(&Switch::Lift).await.unwrap());
    assert!(seen(&world).await.enabled);
    by_whom(&Switch::Quarantine("INC-7".into())).await.unwrap();
    assert_eq!(by_whom(&Switch::Lift).await.unwrap_err().code, "E-APPROVAL-USED");
}

#[test]
fn what_the_ledger_keeps_of_it_reads_as_it_was_written() {
    let text = r#"{"repo:write":{"max":"1h","approval":"high"},"repo:all":{"max":"x"}}"#;
    let read = operations::on_request(Some(&serde_json::from_str(text).unwrap()));
    assert_eq!(read.len(), 1, "what cannot be read may not be asked for");
    assert_eq!(read["repo:write"].longest, Span::from_secs(3_600));
}
