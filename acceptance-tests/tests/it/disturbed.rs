//! One request of a rotation meets a fault. Whatever the run makes of it, what consumers read works, and
//! whoever is left with an error is told what to do; then the next runs bring it to rest, by the account of
//! the vendor's own tools.

use std::time::Duration;

use acceptance_tests::Result;
use connector::fault_proxy::{Effect, Rule, Stale};
use jiff::{SignedDuration, Timestamp};

use crate::{
    flat, holds,
    places::{Account, Bao, Place, School, begun, is_at_rest, runs_again},
    walk::{Case, Pace, Start, is_wide, walk},
};

/// A request: its method, what its path contains, and which of those it is.
type Call = (&'static str, &'static str, u32);
/// What goes wrong, in words, and how it is made.
type Fault = (&'static str, fn() -> Effect);

/// What is answered, and with which headers.
fn told(
    status: u16,
    headers: &[(&str, String)],
    body: &str,
) -> (u16, Vec<(String, String)>, String) {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    (status, headers, body.to_owned())
}

fn answer(status: u16, headers: &[(&str, String)], body: &str) -> Effect {
    let (status, headers, body) = told(status, headers, body);
    Effect::Answer { status, headers, body }
}

fn instead(status: u16, body: &str) -> Effect {
    let (status, headers, body) = told(status, &[], body);
    Effect::Instead { status, headers, body }
}

/// A moment as HTTP spells it.
fn date(later: SignedDuration) -> String {
    let at = (Timestamp::now() + later).in_tz("UTC").unwrap();
    at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

const PAGE: &str = "<!DOCTYPE html><title>Sign in to the network</title>";

/// What goes wrong and is over at once.
fn quick() -> Vec<Fault> {
    vec![
        ("reset", || Effect::Reset),
        ("delivered twice", || Effect::Twice),
        ("done, and a page for people", || instead(200, PAGE)),
        ("not done, and a page for people", || answer(200, &[], PAGE)),
        ("done, and an error of the server", || instead(500, r#"{"errors":["internal error"]}"#)),
        ("done, and no gateway", || instead(502, PAGE)),
        ("not done, and an error of the server", || answer(503, &[], "{}")),
        ("done, and half an answer", || Effect::CutAnswer),
        ("redirected", || {
            let there = "http://127.0.0.1:1/elsewhere".to_owned();
            answer(307, &[("Location", there)], "")
        }),
        ("to come later, by a date", || {
            answer(429, &[("Retry-After", date(SignedDuration::from_secs(2)))], "{}")
        }),
        ("to come never", || answer(429, &[("Retry-After", "99999999999".to_owned())], "{}")),
        ("to come soon", || answer(429, &[("Retry-After", "soon".to_owned())], "{}")),
        ("an answer without measure", || Effect::Huge(64 << 20)),
        ("an answer nested without end", || answer(200, &[], &"[".repeat(100_000))),
        ("days ahead", || Effect::header("Date", &date(SignedDuration::from_hours(72)))),
        ("days behind", || Effect::header("Date", &date(SignedDuration::from_hours(-72)))),
    ]
}

/// What is over when whoever asked has given up.
fn slow() -> Vec<Fault> {
    vec![
        ("delivered when nobody waits any more", || Effect::Late),
        ("swallowed", || Effect::Swallow),
        ("trickling", || Effect::Trickle(Duration::from_secs(1))),
    ]
}

/// Rotates while a fault waits for one of its requests, and again without it.
fn disturbed(place: &dyn Place, rule: &Rule, told: bool) -> Result<bool> {
    let (world, before) = (place.world(), place.delivered()?);
    for proxy in place.proxies() {
        proxy.seen();
        proxy.add(rule.clone());
    }
    place.row().begin(None);
    let ran = world.nhi(&["rotate", place.slot(), "--yes"]);
    let met = place.proxies().iter().any(|proxy| {
        let of = |method: &str, path: &str| {
            rule.method.as_deref().is_none_or(|one| one == method) && path.contains(&rule.path)
        };
        let seen = proxy.seen();
        seen.iter().filter(|one| of(&one.method, &one.path)).count() >= rule.nth as usize
    });
    place.proxies().iter().for_each(connector::fault_proxy::FaultProxy::clear);
    let ran = ran?;
    let said = flat(&ran.said);
    holds(ran.code == 0 || said.contains("Next:"), "what to do is told", &ran.said)?;
    for never in ["panicked", "E-NO-END"] {
        holds(!said.contains(never), &format!("never {never}"), &ran.said)?;
    }
    let after = || -> Result<()> {
        holds(place.lets_in(&place.delivered()?)?, "what consumers read works all the time", "")?;
        runs_again(place, &before, told)?;
        is_at_rest(place, &before)
    };
    after().map_err(|error| format!("{error}\nafter exit code {}: {}", ran.code, ran.said))?;
    Ok(met)
}

/// Lets each fault meet each call.
fn disturb(name: &str, pace: Pace, start: &Start<'_>, rules: Vec<(String, RuleOf)>) {
    let all: Vec<Case<'_>> = rules
        .into_iter()
        .map(|(says, rule)| Case {
            says,
            does: Box::new(move |place, told| disturbed(place, &rule(), told)),
        })
        .collect();
    let first = begun(start).unwrap_or_else(|error| panic!("{name}: {error}"));
    walk(name, pace, start, first, &all);
}

type RuleOf = Box<dyn Fn() -> Rule + Sync>;

fn each(calls: &[Call], faults: &[Fault]) -> Vec<(String, RuleOf)> {
    let mut all: Vec<(String, RuleOf)> = Vec::new();
    for &(method, path, nth) in calls {
        for &(what, effect) in faults {
            let rule = move || Rule { nth, ..Rule::once(method, path, effect()) };
            all.push((format!("{method} {path} ({nth}): {what}"), Box::new(rule)));
        }
    }
    all
}

/// What is listed is what there was a while ago: a new one is not there yet, and an ended one still is.
fn stale(method: &'static str, path: &'static str) -> Vec<(String, RuleOf)> {
    let one = |from: u32| -> (String, RuleOf) {
        let rule = move || {
            let effect = Effect::Stale(Stale::lasting(Duration::from_secs(3)));
            Rule { method: Some(method.to_owned()), nth: from, ..Rule::always(path, effect) }
        };
        (format!("{method} {path} (from {from} on): of a while ago"), Box::new(rule))
    };
    [1, 3, 5, 7, 9].map(one).into()
}

const BAO: [Call; 7] = [
    ("POST", "/custom-secret-id", 1),
    ("POST", "/secret/data/nhi/", 1),
    ("POST", "/secret/data/nhi/", 2),
    ("POST", "/secret/data/apps/", 1),
    ("POST", "/secret-id-accessor/destroy", 1),
    ("POST", "/approle/login", 1),
    ("LIST", "/role/invoice-sync/secret-id", 4),
];
const HUB: [Call; 3] = [
    ("POST", "/users/grade-sync/tokens", 1),
    ("DELETE", "/users/grade-sync/tokens/", 1),
    ("GET", "/users/grade-sync/tokens", 5),
];
const AWS: [Call; 3] = [
    ("POST", "=CreateAccessKey", 1),
    ("POST", "=DeleteAccessKey", 1),
    ("POST", "=ListAccessKeys", 4),
];

#[test]
fn a_rotation_on_openbao_that_one_fault_disturbs_is_put_right_by_the_next_run() {
    let mut rules = each(&BAO, &quick());
    rules.extend(stale("LIST", "/role/invoice-sync/secret-id"));
    disturb("openbao", Pace { share: 6, lanes: 1 }, &Bao::start, rules);
}

#[test]
fn a_rotation_on_a_hub_that_one_fault_disturbs_is_put_right_by_the_next_run() {
    let mut rules = each(&HUB, &quick());
    rules.extend(stale("GET", "/users/grade-sync/tokens"));
    disturb("hub", Pace { share: 6, lanes: 1 }, &School::start, rules);
}

#[test]
fn a_rotation_on_aws_that_one_fault_disturbs_is_put_right_by_the_next_run() {
    let mut rules = each(&AWS, &quick());
    // Which has a story of its own.
    rules.retain(|(says, _)| !says.ends_with("CreateAccessKey (1): delivered twice"));
    rules.extend(stale("POST", "=ListAccessKeys"));
    let lanes = if is_wide() { 6 } else { 4 };
    disturb("aws", Pace { share: 3, lanes }, &Account::start, rules);
}

#[test]
fn a_rotation_whose_request_takes_too_long_is_put_right_by_the_next_run() {
    let rules = each(&BAO[..5], &slow());
    let lanes = if is_wide() { 6 } else { 1 };
    disturb("openbao, slowly", Pace { share: 1, lanes }, &Bao::start, rules);
}

/// Nothing marks a key there as it is made: of a call that is delivered twice nobody can say that both were
/// ours.
#[test]
fn a_key_that_a_call_made_twice_on_aws_is_named_and_ended_by_nobody_but_a_person() {
    let story = || -> Result<()> {
        let place = Account::open()?;
        let world = place.world();
        world.apply()?;
        let before = place.delivered()?;
        let works = || holds(place.lets_in(&before)?, "what consumers read works all the time", "");
        let rule = Rule::once("POST", "=CreateAccessKey", Effect::Twice);
        place.proxies().iter().for_each(|proxy| proxy.add(rule.clone()));
        let said = world.nhi(&["rotate", place.slot(), "--yes"])?.expect(1)?;
        holds(said.contains("LimitExceeded") && said.contains("Next:"), "it is told", &said)?;
        works()?;
        let ours = place.id_of(&before)?;
        let other = place.listed()?.into_iter().find(|one| *one != ours);
        let other = other.ok_or("the first of the two calls made none")?;
        let said = world.nhi(&["rotate", place.slot(), "--yes"])?.expect(1)?;
        let named = said.contains("E-ROTATE") && said.contains(&other);
        holds(named && said.contains("Next:"), "which is in the way, and what to do", &said)?;
        holds(place.listed()?.len() == 2, "nothing was ended", "")?;
        works()?;
        place.end_by_hand(&other)?;
        world.nhi(&["rotate", place.slot(), "--yes"])?.expect(0)?;
        is_at_rest(&place, &before)
    };
    story().unwrap_or_else(|error| panic!("{error}"));
}
