//! One request of a rotation meets a fault. Whatever the run makes of it, what consumers read works, and
//! whoever is left with an error is told what to do; then the next runs bring it to rest, by the account of
//! the vendor's own tools.
//!
//! Where each of the twenty faults of `fault_proxy.rs` meets a rotation:
//!
//! | | OpenBao | AWS | a hub | PostgreSQL |
//! |---|---|---|---|---|
//! | 1, 3, 8, 11, 12, 14 | `quick` | `quick` | `quick` | 1 and 3: `ON_A_LINE`: cut before, and after |
//! | 2 | not here: nothing is sent then, see `reach.rs` | as there | as there | as there |
//! | 4, 5, 13 | `slow` | as there: it is our own transport | as there | `ON_A_SLOW_LINE` |
//! | 6 | `quick` | `quick`, and a story of its own | `quick` | no: a second copy within a session is no session any more, TCP drops it |
//! | 7, 10, 19 | `quick` | `quick` | `quick` | no: that protocol has no such answers |
//! | 9, 18 | `refusals` | `refusals` | `refusals` | no: its refusals come from its one server, in the same session |
//! | 15 | `pages`: a listing there is one page | `pages`, with cursors | `pages`: a user's tokens are one page | no: a query has no pages |
//! | 16 | `stale` | `stale` | `stale` | no: there is one server, and it reads what it wrote |
//! | 17 | `still` | `still` | `still` | no: a password is refused from the commit on |
//! | 20 | `refusals`: no connector asks for what changed since an `ETag`, so one says nothing, and "not modified" is an answer that nobody asked for | as there | as there | no: that protocol has none |

use std::time::Duration;

use acceptance_tests::{Ran, Result, line};
use connector::fault_proxy::{Effect, Rewrite, Rule, Stale, Still};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::{
    flat, holds,
    places::{Account, Bao, Place, Point, School, Shop, begun, is_at_rest, runs_again},
    points::undisturbed,
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
    settles(place, &before, &ran?, told)?;
    Ok(met)
}

/// Whatever a disturbed run came to, the next brings it to rest.
fn settles(place: &dyn Place, before: &Value, ran: &Ran, told: bool) -> Result<()> {
    let said = flat(&ran.said);
    holds(ran.code == 0 || said.contains("Next:"), "what to do is told", &ran.said)?;
    for never in ["panicked", "E-NO-END"] {
        holds(!said.contains(never), &format!("never {never}"), &ran.said)?;
    }
    let after = || -> Result<()> {
        if place.overlaps() {
            let works = place.lets_in(&place.delivered()?)?;
            holds(works, "what consumers read works all the time", "")?;
        }
        runs_again(place, before, told)?;
        is_at_rest(place, before)
    };
    after().map_err(|error| format!("{error}\nafter exit code {}: {}", ran.code, ran.said))
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

/// How a platform says no, in its own words: a status and a body.
struct Words {
    /// Somebody else changed it.
    conflict: (u16, &'static str),
    /// It is there already.
    exists: &'static str,
    /// Our own credential is not accepted.
    unknown: (u16, &'static str),
    /// Our own credential may not do this.
    forbidden: (u16, &'static str),
    /// It is not there, or not for us to see.
    hidden: (u16, &'static str),
}

const BAO_SAYS: Words = Words {
    conflict: (400, r#"{"errors":["check-and-set parameter did not match the current version"]}"#),
    exists: r#"{"errors":["1 error occurred: the entry already exists"]}"#,
    unknown: (401, r#"{"errors":["missing client token"]}"#),
    forbidden: (403, r#"{"errors":["permission denied"]}"#),
    hidden: (404, r#"{"errors":[]}"#),
};
const HUB_SAYS: Words = Words {
    conflict: (409, r#"{"status":409,"message":"Conflict"}"#),
    exists: r#"{"status":500,"message":"Token already exists"}"#,
    unknown: (401, r#"{"status":401,"message":"Missing or invalid credentials."}"#),
    forbidden: (403, r#"{"status":403,"message":"Action is not authorized with current scopes"}"#),
    hidden: (404, r#"{"status":404,"message":"No access to resources or resources not found"}"#),
};

macro_rules! aws_says {
    ($code:literal) => {
        concat!(
            "<ErrorResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><Error><Type>Sender</Type>\
             <Code>",
            $code,
            "</Code><Message>no</Message></Error><RequestId>1</RequestId></ErrorResponse>"
        )
    };
}

const AWS_SAYS: Words = Words {
    conflict: (409, aws_says!("ConcurrentModification")),
    exists: aws_says!("EntityAlreadyExists"),
    unknown: (403, aws_says!("InvalidClientTokenId")),
    forbidden: (403, aws_says!("AccessDenied")),
    hidden: (404, aws_says!("NoSuchEntity")),
};

/// What a platform says that is no failure of the network: once, or of one thing for a whole run.
fn refusals(words: &'static Words, calls: &[Call]) -> Vec<(String, RuleOf)> {
    type Once = (&'static str, u32, fn(&Words) -> Effect);
    let all: [Once; 9] = [
        ("in conflict", 1, |words| answer(words.conflict.0, &[], words.conflict.1)),
        ("changed in between", 1, |words| answer(412, &[], words.conflict.1)),
        ("there already, as an error, and not done", 1, |words| answer(500, &[], words.exists)),
        ("there already, as an error, and done", 1, |words| instead(500, words.exists)),
        ("refused once for who asks", 1, |words| answer(words.unknown.0, &[], words.unknown.1)),
        ("refused all the time", u32::MAX, |words| {
            answer(words.forbidden.0, &[], words.forbidden.1)
        }),
        ("not there, all the time", u32::MAX, |words| answer(words.hidden.0, &[], words.hidden.1)),
        ("not modified", 1, |_| answer(304, &[("ETag", "\"1\"".to_owned())], "")),
        ("an ETag that never changes", u32::MAX, |_| Effect::header("ETag", "\"1\"")),
    ];
    let mut rules: Vec<(String, RuleOf)> = Vec::new();
    for &(method, path, nth) in calls {
        for (what, times, effect) in all {
            let rule = move || Rule { nth, times, ..Rule::once(method, path, effect(words)) };
            rules.push((format!("{method} {path} (from {nth} on): {what}"), Box::new(rule)));
        }
    }
    rules
}

/// What becomes of the things that a listing names.
type Lists = fn(&mut Vec<Value>);

/// A listing in JSON, whose items stand at a pointer.
fn listing(at: &'static str, change: Lists) -> Effect {
    Effect::Rewrite(Rewrite::new(move |_, body| {
        let Ok(mut said) = serde_json::from_slice::<Value>(body) else { return };
        if let Some(Value::Array(items)) = said.pointer_mut(at) {
            change(items);
            *body = said.to_string().into_bytes();
        }
    }))
}

/// A listing of AWS, whose items are members; and where it says that it goes on.
fn members(change: fn(&mut Vec<String>), goes_on: Option<&'static str>) -> Effect {
    Effect::Rewrite(Rewrite::new(move |_, body| {
        let said = String::from_utf8_lossy(body).into_owned();
        let (Some(from), Some(to)) = (said.find("<member>"), said.rfind("</member>")) else {
            return;
        };
        let to = to + "</member>".len();
        let items = said[from..to].split_inclusive("</member>");
        let mut items: Vec<String> = items.map(|one| one.trim().to_owned()).collect();
        change(&mut items);
        let said = format!("{}{}{}", &said[..from], items.concat(), &said[to..]);
        *body = match goes_on {
            None => said,
            Some(where_to) => said.replace(
                "<IsTruncated>false</IsTruncated>",
                &format!("<IsTruncated>true</IsTruncated>{where_to}"),
            ),
        }
        .into_bytes();
    }))
}

/// From where on a listing's pages are not what they should be: before a rotation begins, and within.
const FROM: [u32; 4] = [1, 3, 4, 6];

/// A listing that is one page.
fn pages(method: &'static str, path: &'static str, at: &'static str) -> Vec<(String, RuleOf)> {
    let all: [(&str, Lists); 4] = [
        ("an empty page", |items| items.clear()),
        ("the first is missing", |items| drop(items.splice(..items.len().min(1), []))),
        ("the last is missing", |items| drop(items.pop())),
        ("one is there twice", |items| items.extend(items.first().cloned())),
    ];
    let mut rules: Vec<(String, RuleOf)> = Vec::new();
    for nth in FROM {
        for (what, change) in all {
            let rule = move || Rule { nth, ..Rule::once(method, path, listing(at, change)) };
            rules.push((format!("{method} {path} ({nth}): {what}"), Box::new(rule)));
        }
    }
    rules
}

/// A listing of AWS, which may have many pages.
fn cursors(path: &'static str) -> Vec<(String, RuleOf)> {
    const NEXT: Option<&str> = Some("<Marker>next</Marker>");
    type Page = (&'static str, u32, fn() -> Effect);
    let all: [Page; 7] = [
        ("an empty page, and then all", 1, || members(Vec::clear, NEXT)),
        ("all, and then all again", 1, || members(|_| (), NEXT)),
        ("the first alone, and then all", 1, || members(|items| items.truncate(1), NEXT)),
        ("the same cursor again and again", u32::MAX, || members(|_| (), NEXT)),
        ("it goes on, and nobody says where", 1, || members(|_| (), Some(""))),
        ("the last is missing", 1, || members(|items| drop(items.pop()), None)),
        ("an empty page alone", 1, || members(Vec::clear, None)),
    ];
    let mut rules: Vec<(String, RuleOf)> = Vec::new();
    for nth in FROM {
        for (what, times, effect) in all {
            let rule = move || Rule { nth, times, ..Rule::once("POST", path, effect()) };
            rules.push((format!("{path} ({nth}): {what}"), Box::new(rule)));
        }
    }
    rules
}

/// For how long somebody who was ended is let in.
const AFTER_ITS_END: Duration = Duration::from_secs(6);

/// Two rotations: of the first the proxy learns how the new one is let in, and in the second it lets it in
/// when it is the earlier one, and has ended. That is not called proven as long as it is so.
fn let_in_after_its_end(
    place: &dyn Place,
    call: (&'static str, &'static str),
    by_turns: bool,
    told: bool,
) -> Result<bool> {
    let still = Still::lasting(AFTER_ITS_END, by_turns);
    let effect = Effect::Still(still.clone());
    let rule = Rule { method: Some(call.0.to_owned()), ..Rule::always(call.1, effect) };
    disturbed(place, &rule, told)?;
    let (world, before) = (place.world(), place.delivered()?);
    let ended = place.id_of(&before)?;
    place.proxies().iter().for_each(|proxy| proxy.add(rule.clone()));
    let since = std::time::Instant::now();
    let ran = world.nhi(&["rotate", place.slot(), "--yes"])?;
    let (took, let_in) = (since.elapsed(), still.let_in());
    place.proxies().iter().for_each(connector::fault_proxy::FaultProxy::clear);
    let said = world.nhi(&["ledger", "show", "--kind", "rotation.proven"])?.expect(0)?;
    let proven = said.contains(&format!("key={ended}"));
    let shown = format!("let in {let_in} times, {took:?}: {}\n{said}", ran.said);
    holds(!proven || took >= AFTER_ITS_END, "what is let in is not called proven", &shown)?;
    settles(place, &before, &ran, told)?;
    Ok(let_in > 0)
}

/// An ended credential that is let in for a while, all the time and at every second connection.
fn still(name: &str, start: &Start<'_>, method: &'static str, path: &'static str) {
    let case = |by_turns: bool| Case {
        says: format!("let in after its end{}", if by_turns { ", by turns" } else { "" }),
        does: Box::new(move |place, told| {
            let_in_after_its_end(place, (method, path), by_turns, told)
        }),
    };
    let first = begun(start).unwrap_or_else(|error| panic!("{name}: {error}"));
    walk(name, Pace { share: 2, lanes: 1 }, start, first, &[case(false), case(true)]);
}

const BAO_LISTS: Call = ("LIST", "/role/invoice-sync/secret-id", 1);
const HUB_LISTS: Call = ("GET", "/users/grade-sync/tokens", 1);
const AWS_LISTS: Call = ("POST", "=ListAccessKeys", 1);
/// What a usual run does of it.
const FEW: Pace = Pace { share: 4, lanes: 1 };

#[test]
fn a_rotation_on_openbao_that_meets_conflicts_refusals_and_broken_listings_is_put_right() {
    let mut rules = refusals(&BAO_SAYS, &[&[BAO_LISTS], &BAO[..]].concat());
    rules.extend(pages(BAO_LISTS.0, BAO_LISTS.1, "/data/keys"));
    disturb("openbao, refused", FEW, &Bao::start, rules);
}

#[test]
fn a_rotation_on_a_hub_that_meets_conflicts_refusals_and_broken_listings_is_put_right() {
    let mut rules = refusals(&HUB_SAYS, &[&[HUB_LISTS], &HUB[..]].concat());
    rules.extend(pages(HUB_LISTS.0, HUB_LISTS.1, "/api_tokens"));
    disturb("hub, refused", FEW, &School::start, rules);
}

#[test]
fn a_rotation_on_aws_that_meets_conflicts_refusals_and_broken_pages_is_put_right() {
    let mut rules = refusals(&AWS_SAYS, &[&[AWS_LISTS], &AWS[..]].concat());
    rules.extend(cursors(AWS_LISTS.1));
    let lanes = if is_wide() { 6 } else { 3 };
    disturb("aws, refused", Pace { share: 3, lanes }, &Account::start, rules);
}

#[test]
fn an_earlier_secret_id_that_is_let_in_after_its_end_is_not_called_proven_before_it_is_refused() {
    still("openbao, still", &Bao::start, "POST", "/approle/login");
}

#[test]
fn an_earlier_token_of_a_hub_that_is_let_in_after_its_end_is_not_called_proven_before_it_is_refused()
 {
    still("hub, still", &School::start, "GET", "/hub/api/user");
}

#[test]
fn an_earlier_key_on_aws_that_is_let_in_after_its_end_is_not_called_proven_before_it_is_refused() {
    still("aws, still", &Account::start, "POST", "=GetCallerIdentity");
}

/// What may happen to each thing that is said to a database.
type Said = (&'static str, fn() -> line::Fault);

fn cut(at: line::Break) -> line::Fault {
    let held = line::Held::default();
    held.release();
    line::Fault::Break(at, held)
}

/// What happens to it and is over at once.
const ON_A_LINE: [Said; 3] = [
    ("cut before it is heard", || cut(line::Break::Before)),
    ("done, and cut", || cut(line::Break::After)),
    ("a moment later", || line::Fault::Delay(Duration::from_millis(1500))),
];

/// What is over when whoever said it has given up.
const ON_A_SLOW_LINE: [Said; 3] = [
    ("swallowed", || line::Fault::Swallow),
    ("heard when nobody waits any more", || line::Fault::Late),
    ("done, and silence", || line::Fault::Silence),
];

/// Rotates while something waits on the line for one of the things that are said, and again without it.
fn said(place: &dyn Place, point: &Point, fault: &line::Fault, told: bool) -> Result<bool> {
    let before = place.delivered()?;
    place.row().disturb(point, fault);
    let ran = place.world().nhi(&["rotate", place.slot(), "--yes"])?;
    let met = place.row().was_disturbed();
    place.row().begin(None);
    settles(place, &before, &ran, told)?;
    Ok(met)
}

/// Lets each of that happen to each thing that a rotation says to a database.
fn disturb_a_line(name: &str, by_turns: bool, faults: &[Said], share: usize) {
    let start = || Shop::start(by_turns);
    let first = begun(&start).and_then(|place| Ok((undisturbed(&*place)?, place)));
    let (points, first) = first.unwrap_or_else(|error| panic!("{name}, undisturbed: {error}"));
    let mut all: Vec<Case<'_>> = Vec::new();
    for point in points.into_iter().filter(Point::is_said) {
        for &(what, fault) in faults {
            let point = point.clone();
            all.push(Case {
                says: format!("{point}: {what}"),
                does: Box::new(move |place, told| said(place, &point, &fault(), told)),
            });
        }
    }
    let lanes = if is_wide() { 6 } else { 1 };
    walk(name, Pace { share, lanes }, &start, first, &all);
}

#[test]
fn a_new_password_whose_line_to_the_database_fails_is_put_right_by_the_next_run() {
    disturb_a_line("password, by line", false, &ON_A_LINE, 4);
}

#[test]
fn two_roles_by_turns_whose_line_to_the_database_fails_are_put_right_by_the_next_run() {
    disturb_a_line("pair, by line", true, &ON_A_LINE, 4);
}

#[test]
fn a_new_password_whose_line_to_the_database_takes_too_long_is_put_right_by_the_next_run() {
    disturb_a_line("password, by a slow line", false, &ON_A_SLOW_LINE, 1);
}

#[test]
fn two_roles_by_turns_whose_line_to_the_database_takes_too_long_are_put_right_by_the_next_run() {
    disturb_a_line("pair, by a slow line", true, &ON_A_SLOW_LINE, 1);
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
