//! What the platform does to us: refusals, errors, silence, nonsense, answers that never arrive.

use std::time::Duration;

use acceptance_tests::{Result, World};
use connector::fault_proxy::{Effect, Hold, Rule};
use serde_json::json;

use crate::{
    BASE, Between, flat, holds, in_world, one_credential_works, through_a_proxy, triggered,
};

fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Effect {
    let headers =
        headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Effect::Answer { status, headers, body: body.to_owned() }
}

/// A plan must fail, say for what, why and what to do, and call nothing gone.
fn plan_is_an_error(world: &World, why: &str) -> Result<()> {
    let said = world.plan()?.expect(1)?;
    let flat = flat(&said.replace('│', " "));
    holds(
        flat.contains("bao/openbao_approle/invoice-sync"),
        "what cannot be read is named",
        &said,
    )?;
    holds(flat.contains(why), why, &said)?;
    holds(flat.contains("Next: nhi doctor bao"), "and what to do", &said)?;
    for never in ["will be created", "must be replaced", "will be destroyed", "panic", "crashed"] {
        holds(!said.contains(never), &format!("never {never:?}"), &said)?;
    }
    Ok(())
}

#[test]
fn a_platform_that_refuses_fails_or_talks_nonsense_is_an_error_of_the_plan_and_never_an_absence() {
    through_a_proxy(BASE, |world, between| {
        world.apply()?;
        let refusal = r#"{"errors":["permission denied"]}"#;
        for (effect, why) in [
            (answer(401, &[], refusal), "401"),
            (answer(403, &[], refusal), "A refusal is not an absence"),
            (answer(500, &[], r#"{"errors":["internal error"]}"#), "500"),
            (answer(200, &[], "<html>surprise</html>"), "unexpected answer"),
            (answer(200, &[], "{\"data\": 7}"), "unexpected answer"),
            (Effect::CutAnswer, "invoice-sync"),
            (Effect::LoseAnswer, "invoice-sync"),
        ] {
            for place in ["auth/approle/role/invoice-sync", "sys/policies"] {
                between.proxy.clear();
                between.proxy.add(Rule::always(place, effect.clone()));
                plan_is_an_error(world, why)
                    .map_err(|said| format!("{place} {effect:?}: {said}"))?;
            }
        }
        between.proxy.clear();
        one_credential_works(world, 0)
    });
}

#[test]
fn a_part_of_an_integration_that_may_not_be_read_is_an_error_of_the_plan_and_never_less_of_it() {
    through_a_proxy(BASE, |world, between| {
        world.apply()?;
        let refused = answer(403, &[], r#"{"errors":["permission denied"]}"#);
        for place in ["role/invoice-sync/secret-id", "identity/entity"] {
            between.proxy.clear();
            between.proxy.add(Rule::always(place, refused.clone()));
            plan_is_an_error(world, "What cannot be read is not taken for absent")
                .map_err(|said| format!("{place}: {said}"))?;
        }
        between.proxy.clear();
        one_credential_works(world, 0)
    });
}

#[test]
fn a_platform_that_stays_silent_is_an_error_after_a_time() {
    through_a_proxy(BASE, |world, between| {
        world.apply()?;
        let held = Effect::HoldRequest(Hold::default());
        between.proxy.add(Rule::always("auth/approle/role/invoice-sync", held));
        plan_is_an_error(world, "invoice-sync")?;
        between.proxy.clear();
        one_credential_works(world, 0)
    });
}

#[test]
fn a_server_that_is_sealed_is_to_be_unsealed_and_not_to_be_asked_again() {
    in_world(BASE, |world| {
        world.apply()?;
        world.bao.post("/v1/sys/seal", json!({}))?;
        for words in [&["drift"][..], &["scan"], &["doctor"]] {
            let ran = world.nhi(words)?;
            let said = flat(&ran.said);
            holds(ran.code != 0 && said.contains("sealed"), "what it is", &said)?;
            holds(said.contains("unseal") && !said.contains("apply again"), "what helps", &said)?;
        }
        let address = world.bao.address();
        let words = ["init", "--config", "new/nhi.hcl", "--platform", "openbao", "--name", "bao"];
        let more =
            ["--address", &address, "--credential-env", "BAO_TOKEN", "--custody", "secret/x"];
        let said = flat(&world.nhi(&[&words[..], &more].concat())?.expect(1)?);
        holds(said.contains("unsealing it"), "to whoever begins too", &said)
    });
}

#[test]
fn a_platform_that_asks_to_come_again_later_is_obeyed() {
    through_a_proxy(BASE, |world, between| {
        world.apply()?;
        let later = answer(429, &[("Retry-After", "2")], "{}");
        let rule = Rule { times: 1, ..Rule::always("auth/approle/role/invoice-sync", later) };
        between.proxy.add(rule);
        between.proxy.seen();
        let begun = std::time::Instant::now();
        world.plan_is_empty()?;
        let seen = between.proxy.seen();
        holds(seen.iter().any(|one| one.status == Some(429)), "it asked", &format!("{seen:?}"))?;
        holds(begun.elapsed() >= Duration::from_secs(2), "and was obeyed", "")
    });
}

/// The three calls after which it is not known what was done.
pub(crate) const CALLS: [&str; 3] =
    ["role/invoice-sync/custom-secret-id", "secret/data/apps/invoice-sync", "sys/policies/acl/nhi"];

/// An apply during which an answer is lost either copes or says what to do, and the next finishes.
fn loses_an_answer(world: &World, between: &Between, path: &str, overlapping: usize) -> Result<()> {
    between.proxy.seen();
    between.proxy.add(Rule::once("POST", path, Effect::LoseAnswer));
    let first = world.terraform(&["apply", "-auto-approve"])?;
    between.proxy.clear();
    let seen = between.proxy.seen();
    let lost = seen.iter().any(|one| one.path.contains(path) && one.status.is_none());
    holds(lost, "an answer was lost", &format!("{seen:?}"))?;
    if first.code != 0 {
        holds(flat(&first.said.replace('│', " ")).contains("Next:"), "what to do", &first.said)?;
        world.apply().map_err(|error| format!("{}\nand then: {error}", first.said))?;
    }
    one_credential_works(world, overlapping)
}

#[test]
fn an_answer_lost_while_things_are_made_leaves_what_the_next_apply_finishes() {
    for path in CALLS {
        through_a_proxy(BASE, |world, between| {
            loses_an_answer(world, between, path, 0).map_err(|error| format!("{path}: {error}"))
        });
    }
}

#[test]
fn an_answer_lost_in_a_rotation_leaves_what_the_next_apply_finishes() {
    for path in &CALLS[..2] {
        through_a_proxy(&triggered("1"), |world, between| {
            world.apply()?;
            let before = world.bao.document("apps/invoice-sync")?;
            world.write("main.tf", &triggered("2"))?;
            loses_an_answer(world, between, path, 1).map_err(|error| format!("{path}: {error}"))?;
            let state = world.state("nhi_credential.it")?;
            holds(state["generation"] == 2, "one generation further", &state.to_string())?;
            let after = world.bao.document("apps/invoice-sync")?;
            holds(before["secret_id"] != after["secret_id"], "there is a new one", "")?;
            holds(world.bao.signs_in(&before)?, "the old one works during the overlap", "")
        });
    }
}
