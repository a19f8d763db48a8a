//! What time does to a configuration that nobody edits: days pass between plan and apply, windows
//! close, grace ends, clocks go wrong. Platform, sinks and provider share one clock, and the test
//! moves it.

use serde_json::{Value, json};
use tfplugin::mini_core::{Action, MiniCore, Plan, Refusal, State};

use crate::world::{World, credential, integration, monthly, scope, with};

/// The integration and its credential as of the beginning.
async fn made(world: &World, schedule: &Value) -> (State, State) {
    let core = world.run().await;
    let integration = core.create("nhi_integration", integration()).await.unwrap();
    let made = core.create("nhi_credential", credential(&integration, schedule.clone())).await;
    (integration, made.unwrap())
}

/// What a new run reads and what it warns of.
async fn seen(core: &MiniCore, state: &State) -> (State, String) {
    let (state, told) = core.observe(state).await.unwrap();
    let told: Vec<String> = told.iter().map(ToString::to_string).collect();
    (state.expect("it is there"), told.join("\n"))
}

async fn status(core: &MiniCore, state: &State) -> (State, Value) {
    let (state, _) = seen(core, state).await;
    let status = state.json()["status"].clone();
    (state, status)
}

#[tokio::test(start_paused = true)]
async fn a_credential_falls_due_rotates_with_overlap_and_the_old_one_is_retired() {
    let world = World::new();
    let (integration, first) = made(&world, &monthly()).await;
    let config = credential(&integration, monthly());
    let old = world.delivered().await;
    world.at("2026-11-30T23:59:59Z");
    let core = world.run().await;
    assert_eq!(status(&core, &first).await.1, "current");
    world.at("2026-12-01T00:00:00Z");
    let (due, word) = status(&core, &first).await;
    assert_eq!(word, "due");
    let plan = core.plan(&due, config.clone()).await.unwrap();
    assert_eq!(plan.action, Action::Update);
    let second = core.apply(plan).await.unwrap().unwrap();
    assert_eq!(second.json()["generation"], 2);
    assert_eq!(second.json()["previous"][0]["retire_after"], "2026-12-02T00:00:00Z");
    assert!(world.works(&old) && world.works(&world.delivered().await), "both work for a day");
    world.at("2026-12-02T00:00:00Z");
    let core = world.run().await;
    let (over, word) = status(&core, &second).await;
    assert_eq!(word, "retire_due");
    let third = core.update(&over, config.clone()).await.unwrap();
    assert_eq!(third.json()["previous"], json!([]));
    assert_eq!(third.json()["last_revocation"]["grade"], "A");
    assert!(!world.works(&old) && world.works(&world.delivered().await));
    let (again, word) = status(&core, &third).await;
    assert_eq!(word, "current");
    assert_eq!(core.plan(&again, config).await.unwrap().action, Action::Nothing);
}

#[tokio::test(start_paused = true)]
async fn a_plan_of_last_week_is_carried_out_once() {
    let world = World::new();
    let (integration, first) = made(&world, &monthly()).await;
    let config = credential(&integration, monthly());
    world.at("2026-12-01T08:00:00Z");
    let (due, _) = status(&world.run().await, &first).await;
    let saved = world.run().await.plan(&due, config.clone()).await.unwrap();
    // Overdue by now, which only adds to the reason.
    world.at("2026-12-08T08:00:00Z");
    let done = world.run().await.apply(saved.clone()).await.unwrap().unwrap();
    assert_eq!(done.json()["generation"], 2);
    assert_eq!(done.json()["issued_at"], "2026-12-08T08:00:00Z");
    let delivered = world.delivered().await;
    // Applied again, it finds its goal reached and issues nothing.
    let again = world.run().await.apply(saved).await.unwrap().unwrap();
    assert_eq!(again.json()["generation"], 2);
    assert_eq!(again.json()["key_id"], done.json()["key_id"]);
    assert!(world.works(&delivered));
    assert_eq!(status(&world.run().await, &again).await.1, "current");
}

/// Weekend nights in Zurich.
fn nights() -> Value {
    with(
        monthly(),
        json!({
            "windows": [{ "days": ["sat", "sun"], "start": "02:00", "length": "4h" }],
            "timezone": "Europe/Zurich",
        }),
    )
}

#[tokio::test(start_paused = true)]
async fn what_is_due_waits_for_its_window_and_a_plan_does_not_outlive_it() {
    let world = World::new();
    let (integration, first) = made(&world, &nights()).await;
    let config = credential(&integration, nights());
    world.at("2026-12-01T08:00:00Z");
    let core = world.run().await;
    let (waiting, told) = seen(&core, &first).await;
    assert_eq!(waiting.json()["status"], "waiting");
    assert!(told.contains("2026-12-05T01:00:00Z"), "{told}");
    // The word alone is in state; nothing is planned for it.
    assert_eq!(core.plan(&waiting, config.clone()).await.unwrap().action, Action::Nothing);
    world.at("2026-12-05T04:50:00Z");
    let (due, word) = status(&core, &waiting).await;
    assert_eq!(word, "due");
    let plan = core.plan(&due, config).await.unwrap();
    // 07:12 in Zurich: the window closed at six.
    world.at("2026-12-05T06:12:00Z");
    let refusal = world.run().await.apply(plan.clone()).await.unwrap_err().to_string();
    assert!(refusal.contains("E-WINDOW-CLOSED") && refusal.contains(" at schedule"), "{refusal}");
    assert!(refusal.contains("2026-12-06T01:00:00Z"), "{refusal}");
    assert!(refusal.contains("now Sat 2026-12-05 07:12 Europe/Zurich"), "{refusal}");
    assert!(refusal.contains("due since Tue 2026-12-01 01:00"), "{refusal}");
    assert!(refusal.contains("overdue on Tue 2026-12-08 01:00"), "{refusal}");
    assert_eq!(status(&core, &due).await.1, "waiting");
    // Ten minutes after six are forgiven.
    world.at("2026-12-05T05:10:00Z");
    let done = world.run().await.apply(plan).await.unwrap().unwrap();
    assert_eq!(done.json()["generation"], 2);
}

#[tokio::test(start_paused = true)]
async fn what_is_overdue_waits_for_no_window_and_what_a_person_asks_for_neither() {
    let world = World::new();
    let (integration, first) = made(&world, &nights()).await;
    let config = with(credential(&integration, nights()), json!({ "triggers": { "n": "1" } }));
    let core = world.run().await;
    let first = core.update(&first, config.clone()).await.unwrap();
    assert_eq!(first.json()["generation"], 1, "the first setting of triggers does nothing");
    // A Tuesday noon.
    let asked = with(config, json!({ "triggers": { "n": "2" } }));
    let second = core.update(&first, asked.clone()).await.unwrap();
    assert_eq!(second.json()["generation"], 2);
    world.at("2026-12-09T12:00:00Z");
    let (overdue, word) = status(&core, &second).await;
    assert_eq!(word, "overdue");
    let third = core.update(&overdue, asked).await.unwrap();
    assert_eq!(third.json()["generation"], 3);
}

#[tokio::test(start_paused = true)]
async fn a_blackout_holds_back_everything_but_an_exposure() {
    let frozen = with(
        monthly(),
        json!({ "blackout": [{
            "from": "2026-12-01T00:00:00Z", "until": "2026-12-20T00:00:00Z", "reason": "freeze" }] }),
    );
    let world = World::new();
    let (integration, first) = made(&world, &frozen).await;
    let config = credential(&integration, frozen.clone());
    world.at("2026-12-02T08:00:00Z");
    let core = world.run().await;
    assert_eq!(status(&core, &first).await.1, "waiting");
    // Overdue by the schedule, and still frozen.
    world.at("2026-12-10T08:00:00Z");
    let (waiting, told) = seen(&core, &first).await;
    assert_eq!(waiting.json()["status"], "waiting");
    assert!(told.contains("2026-12-20T00:00:00Z"), "{told}");
    let asked = with(config.clone(), json!({ "triggers": { "n": "1" } }));
    let set = core.update(&waiting, asked).await.unwrap();
    let asked = with(config.clone(), json!({ "triggers": { "n": "2" } }));
    let plan = core.plan(&set, asked).await.unwrap();
    let refusal = core.apply(plan).await.unwrap_err().to_string();
    assert!(refusal.contains("E-BLACKOUT") && refusal.contains(" at schedule"), "{refusal}");
    let exposed = with(config, json!({ "triggers": { "n": "1" }, "incident": "INC-4711" }));
    let old = world.delivered().await;
    let done = core.update(&set, exposed).await.unwrap();
    assert_eq!(done.json()["generation"], 2);
    assert!(!world.works(&old), "an exposed one has no overlap");
}

#[tokio::test(start_paused = true)]
async fn in_an_incident_the_exposed_one_ends_first_where_that_is_asked_for() {
    use connector::fake::{Fault, Verb};
    let world = World::new();
    let (integration, first) = made(&world, &monthly()).await;
    let core = world.run().await;
    let config = with(
        credential(&integration, monthly()),
        json!({ "on_incident": "revoke_first", "incident": "INC-4711" }),
    );
    let old = world.delivered().await;
    let plan = core.plan(&first, config.clone()).await.unwrap();
    assert!(format!("{:?}", plan.diagnostics).contains("Ends before there is another"));
    // The platform cannot issue just now: the outage is what was accepted, and the next apply ends it.
    world.fake.fail(Verb::Issue, [Fault::Refused(connector::Refusal::RateLimited)]);
    core.apply(plan).await.unwrap_err();
    assert!(!world.works(&old), "it was ended first");
    let core = world.run().await;
    let (seen, _) = status(&core, &first).await;
    world.fake.calls();
    let done = core.update(&seen, config.clone()).await.unwrap();
    assert_eq!(done.json()["generation"], 2);
    assert_eq!(done.json()["previous"], json!([]));
    assert!(world.works(&world.delivered().await));
    let (after, word) = status(&core, &done).await;
    assert_eq!(word, "current");
    assert_eq!(core.plan(&after, config).await.unwrap().action, Action::Nothing);
}

#[tokio::test(start_paused = true)]
async fn nobody_runs_anything_again_and_access_ends_by_itself() {
    let world = World::new();
    let (integration, first) = made(&world, &monthly()).await;
    // every + min_age + overdue_after + overlap.
    assert_eq!(first.json()["expires_at"], "2027-01-01T11:00:00Z");
    let secret = world.delivered().await;
    world.at("2027-01-01T10:59:59Z");
    assert!(world.works(&secret));
    world.at("2027-01-01T11:00:00Z");
    assert!(!world.works(&secret));
    let core = world.run().await;
    let (expired, word) = status(&core, &first).await;
    assert_eq!(word, "expired");
    let second = core.update(&expired, credential(&integration, monthly())).await.unwrap();
    assert_eq!(second.json()["previous"], json!([]));
    assert!(world.works(&world.delivered().await));
}

#[tokio::test(start_paused = true)]
async fn a_lifetime_of_none_never_ends_and_an_integration_s_end_is_its_credential_s() {
    let world = World::new();
    let endless = with(monthly(), json!({ "lifetime": "none" }));
    let (integration, first) = made(&world, &endless).await;
    assert_eq!(first.json()["expires_at"], Value::Null);
    let core = world.run().await;
    let ends = with(crate::world::integration(), json!({ "expires_on": "2026-12-15" }));
    let integration = core.update(&integration, ends).await.unwrap();
    world.at("2026-12-01T08:00:00Z");
    let core = world.run().await;
    let (due, _) = status(&core, &first).await;
    let second = core.update(&due, credential(&integration, monthly())).await.unwrap();
    assert_eq!(second.json()["expires_at"], "2026-12-16T00:00:00Z");
    // On its last day: a rotation would not put that end off, and there is none.
    world.at("2026-12-15T12:00:00Z");
    let core = world.run().await;
    let (last, _) = status(&core, &second).await;
    assert_eq!(last.json()["status"], "retire_due");
    let last = core.update(&last, credential(&integration, monthly())).await.unwrap();
    assert_eq!(status(&core, &last).await.0.json()["status"], "current");
    assert_eq!(last.json()["generation"], second.json()["generation"]);
}

#[tokio::test(start_paused = true)]
async fn a_temporary_scope_begins_and_ends_by_the_clock() {
    let world = World::new();
    let core = world.run().await;
    let integration = core.create("nhi_integration", integration()).await.unwrap();
    let dated = json!({ "secret/data/old/*:read": {
        "from": "2026-12-01T00:00:00Z",
        "until": "2026-12-05T00:00:00Z",
        "justification": "Re-run of the 2025 closing",
    } });
    let config = scope(&integration, json!(["secret/data/new/*:read"]), dated);
    let made = core.create("nhi_scope", config.clone()).await.unwrap();
    let word =
        |state: &State| state.json()["temporary"]["secret/data/old/*:read"]["status"].clone();
    assert_eq!(word(&made), "scheduled");
    assert_eq!(world.scopes().await, ["secret/data/new/*:read"]);
    world.at("2026-12-01T00:00:00Z");
    let core = world.run().await;
    let (starting, _) = seen(&core, &made).await;
    assert_eq!(word(&starting), "starting");
    let active = core.update(&starting, config.clone()).await.unwrap();
    assert_eq!(word(&active), "active");
    assert_eq!(active.json()["elevated"], json!(["secret/data/old/*:read"]));
    assert_eq!(world.scopes().await.len(), 2);
    // The platform ends it itself.
    world.at("2026-12-05T00:00:00Z");
    assert_eq!(world.scopes().await, ["secret/data/new/*:read"]);
    let core = world.run().await;
    let (ended, told) = seen(&core, &active).await;
    assert_eq!(word(&ended), "ended");
    assert!(told.contains("delete these lines"), "{told}");
    assert_eq!(core.plan(&ended, config.clone()).await.unwrap().action, Action::Nothing);
    // Somebody gives it again, when its time is over.
    world.by_hand(|hand| hand.grant("secret/data/old/*:read"));
    let (ending, _) = seen(&core, &ended).await;
    assert_eq!(word(&ending), "ending");
    let over = core.update(&ending, config).await.unwrap();
    assert_eq!(word(&over), "ended");
    assert_eq!(world.scopes().await, ["secret/data/new/*:read"]);
}

#[tokio::test(start_paused = true)]
async fn a_scope_that_the_platform_cannot_end_ends_with_the_first_apply_after_its_time() {
    let world = World::new();
    let core = world.run().await;
    let integration = core.create("nhi_integration", integration()).await.unwrap();
    let until =
        json!({ "until": "2026-12-05T00:00:00Z", "justification": "Closing of 2025, again" });
    let dated = json!({ "secret/data/old/*:read": until, "policy/closing": until });
    let config = scope(&integration, json!([]), dated);
    let plan = core.plan_create("nhi_scope", config.clone()).await.unwrap();
    let told: Vec<String> = plan.diagnostics.iter().map(ToString::to_string).collect();
    let told = told.join("\n");
    assert!(told.contains("policy/closing: when its time is over, it stays"), "{told}");
    let made = core.apply(plan).await.unwrap().unwrap();
    // Only a rule has room for an end of its own.
    for one in world.shown().await.scopes {
        assert_eq!(one.until.is_some(), one.scope.as_str().ends_with(":read"), "{one:?}");
    }
    world.at("2026-12-05T00:00:00Z");
    let core = world.run().await;
    let (over, _) = seen(&core, &made).await;
    assert_eq!(over.json()["temporary"]["policy/closing"]["status"], "ending");
    core.update(&over, config).await.unwrap();
    assert_eq!(world.scopes().await, Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_saved_plan_does_not_give_what_has_ended_meanwhile() {
    let world = World::new();
    let core = world.run().await;
    let integration = core.create("nhi_integration", integration()).await.unwrap();
    let dated = json!({ "secret/data/old/*:read": {
        "until": "2026-11-27T00:00:00Z", "justification": "Re-run of the 2025 closing" } });
    let config = scope(&integration, json!(["secret/data/new/*:read"]), dated);
    let saved = core.plan_create("nhi_scope", config).await.unwrap();
    world.pass_hours(7 * 24);
    let made = world.run().await.apply(saved).await.unwrap().unwrap();
    assert_eq!(made.json()["temporary"]["secret/data/old/*:read"]["status"], "ended");
    assert_eq!(world.scopes().await, ["secret/data/new/*:read"]);
}

#[tokio::test(start_paused = true)]
async fn a_saved_plan_does_not_call_active_what_has_ended_meanwhile() {
    let world = World::new();
    let core = world.run().await;
    let integration = core.create("nhi_integration", integration()).await.unwrap();
    let dated = json!({ "secret/data/old/*:read": {
        "from": "2026-12-01T00:00:00Z",
        "until": "2026-12-05T00:00:00Z",
        "justification": "Re-run of the 2025 closing",
    } });
    let config = scope(&integration, json!(["secret/data/new/*:read"]), dated);
    let made = core.create("nhi_scope", config.clone()).await.unwrap();
    world.at("2026-12-02T00:00:00Z");
    let core = world.run().await;
    let (starting, _) = seen(&core, &made).await;
    let saved = core.plan(&starting, config.clone()).await.unwrap();
    world.at("2026-12-06T00:00:00Z");
    let said = world.run().await.apply(saved).await.unwrap_err().to_string();
    assert!(
        said.contains("E-TEMPORARY") && said.contains("temporary[\"secret/data/old/*:read\"]"),
        "{said}"
    );
    let core = world.run().await;
    let (ended, _) = seen(&core, &starting).await;
    assert_eq!(ended.json()["temporary"]["secret/data/old/*:read"]["status"], "ended");
    assert_eq!(core.plan(&ended, config).await.unwrap().action, Action::Nothing);
}

#[tokio::test(start_paused = true)]
async fn a_temporary_scope_that_is_written_with_a_past_end_is_planned_as_over_and_gives_nothing() {
    let world = World::new();
    let core = world.run().await;
    let integration = core.create("nhi_integration", integration()).await.unwrap();
    let dated = |until: &str| {
        json!({ "secret/data/old/*:read": { "until": until,
            "justification": "Re-run of the 2025 closing" } })
    };
    let config = |until: &str| scope(&integration, json!(["secret/data/new/*:read"]), dated(until));
    let said = |plan: &Plan| {
        plan.diagnostics.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    let over = |plan: &Plan| {
        let status =
            tfplugin::Path::attribute("temporary").key("secret/data/old/*:read").then("status");
        assert_eq!(plan.planned.at(&status), Some(&tfplugin::Value::string("ended")));
        assert_eq!(plan.planned("elevated"), &tfplugin::Value::set([]));
        let over = said(plan).contains("This temporary scope is over already");
        assert!(over && said(plan).contains("].until:"), "{}", said(plan));
        assert!(!said(plan).contains("gives power"), "{}", said(plan));
    };
    // The year was mistyped.
    let past = config("2025-12-05T00:00:00Z");
    let plan = core.plan_create("nhi_scope", past.clone()).await.unwrap();
    over(&plan);
    world.at("2026-11-24T11:00:00Z");
    let made = world.run().await.apply(plan).await.unwrap().unwrap();
    assert_eq!(world.scopes().await, ["secret/data/new/*:read"]);
    assert_eq!(core.plan(&made, past.clone()).await.unwrap().action, Action::Nothing);
    // A clock that is behind the plan's gives nothing that the plan did not show.
    let more = with(past.clone(), json!({ "scopes": ["secret/data/newer/*:read"] }));
    let plan = core.plan(&made, more).await.unwrap();
    world.at("2025-12-01T00:00:00Z");
    let behind = world.run().await.apply(plan).await.unwrap_err().to_string();
    assert!(behind.contains("E-TEMPORARY") && behind.contains("clock"), "{behind}");
    assert_eq!(world.scopes().await, ["secret/data/new/*:read"]);
    world.at("2026-11-24T11:00:00Z");
    // Another end that is past as well is none either, and one that moves into the past takes away.
    over(&core.plan(&made, config("2026-01-01T00:00:00Z")).await.unwrap());
    let core = world.run().await;
    let active = core.update(&made, config("2026-12-05T00:00:00Z")).await.unwrap();
    assert_eq!(active.json()["elevated"], json!(["secret/data/old/*:read"]));
    let plan = core.plan(&active, past).await.unwrap();
    over(&plan);
    assert!(said(&plan).contains("- secret/data/old/*:read (temporary)"), "{}", said(&plan));
    core.apply(plan).await.unwrap();
    assert_eq!(world.scopes().await, ["secret/data/new/*:read"]);
}

#[tokio::test(start_paused = true)]
async fn an_integration_that_outlives_its_day_is_switched_off_and_later_revoked() {
    let mut world = World::new();
    world.rules.expired_revoke_after = "10d".parse().ok();
    let (made, key) = made(&world, &monthly()).await;
    let config = with(integration(), json!({ "expires_on": "2026-12-10" }));
    let core = world.run().await;
    let made = core.update(&made, config.clone()).await.unwrap();
    let secret = world.delivered().await;
    world.at("2026-12-10T23:59:59Z");
    let (seen_once, _) = seen(&core, &made).await;
    assert_eq!(core.plan(&seen_once, config.clone()).await.unwrap().action, Action::Nothing);
    world.at("2026-12-11T00:00:00Z");
    let core = world.run().await;
    let (expired, _) = seen(&core, &made).await;
    assert_eq!(expired.json()["standing"]["expired"], "disable");
    let off = core.update(&expired, config.clone()).await.unwrap();
    assert_eq!(off.json()["state"], "disabled");
    assert!(!world.works(&secret));
    // Due, but what may not act gets no new credential.
    let core = world.run().await;
    let (due, _) = seen(&core, &key).await;
    let kept = core.update(&due, credential(&off, monthly())).await.unwrap();
    assert_eq!(kept.json()["generation"], 1);
    // A later day answers it, in one plan.
    let later = with(integration(), json!({ "expires_on": "2027-03-01" }));
    let plan = core.plan(&off, later).await.unwrap();
    let open = core.apply(plan.clone()).await.unwrap().unwrap();
    assert_eq!(open.json()["state"], "active");
    assert!(plan.diagnostics.iter().any(|one| one.summary.contains("gives power")));
    assert!(world.works(&secret));
    // Nobody answers it, and the policy's second date passes.
    let plan = core.plan(&open, config.clone()).await.unwrap();
    let closed = core.apply(plan).await.unwrap().unwrap();
    world.at("2026-12-21T00:00:00Z");
    let core = world.run().await;
    let (over, _) = seen(&core, &closed).await;
    assert_eq!(over.json()["standing"]["expired"], "revoke");
    let revoked = core.update(&over, config).await.unwrap();
    assert_eq!(revoked.json()["state"], "revoked");
    world.by_hand(|hand| hand.enable(true));
    assert!(!world.works(&secret), "it is ended, not only switched off");
}

#[tokio::test(start_paused = true)]
async fn a_review_that_nobody_makes_is_told_before_anything_follows() {
    let world = World::new();
    let core = world.run().await;
    let config = with(integration(), json!({ "review_every": "90d" }));
    let made = core.create("nhi_integration", config.clone()).await.unwrap();
    world.pass_hours(91 * 24);
    let core = world.run().await;
    let (late, told) = seen(&core, &made).await;
    assert_eq!(late.json()["standing"]["review_overdue"], "warn");
    assert!(told.contains("review"), "{told}");
    world.pass_hours(31 * 24);
    let core = world.run().await;
    let (later, _) = seen(&core, &late).await;
    let off = core.update(&later, config).await.unwrap();
    assert_eq!(off.json()["state"], "disabled");
}

#[tokio::test(start_paused = true)]
async fn an_owner_who_is_gone_has_left_when_the_grace_is_over() {
    let world = World::new();
    world.person("2819c223", Some(true));
    let core = world.run().await;
    let config = json!({
        "name": "payments",
        "email": "p@acme.example",
        "directory": { "connection": "people", "id": "2819c223" },
    });
    let owner = core.create("nhi_owner", config.clone()).await.unwrap();
    assert_eq!(owner.json()["status"], "active");
    let reference = |owner: &State| {
        let owner = owner.json();
        json!({ "id": owner["id"], "email": owner["email"], "status": owner["status"] })
    };
    let naming =
        |owner: &State| with(integration(), json!({ "technical_owner": reference(owner) }));
    let made = core.create("nhi_integration", naming(&owner)).await.unwrap();
    world.at("2026-12-01T00:00:00Z");
    world.person("2819c223", Some(false));
    let core = world.run().await;
    let (inactive, told) = seen(&core, &owner).await;
    assert_eq!(inactive.json()["status"], "inactive");
    assert_eq!(inactive.json()["inactive_since"], "2026-12-01");
    assert!(told.contains("2026-12-01"), "{told}");
    let plan = core.plan(&made, naming(&inactive)).await.unwrap();
    assert_eq!(plan.action, Action::Update, "it shows on the integration");
    let still = core.apply(plan).await.unwrap().unwrap();
    assert_eq!(still.json()["state"], "active");
    // A month later the policy demands action.
    world.at("2026-12-31T00:00:00Z");
    let core = world.run().await;
    let (left, told) = seen(&core, &inactive).await;
    assert_eq!(left.json()["status"], "left");
    assert!(told.contains("has left: inactive or gone in the directory since"), "{told}");
    let plan = core.plan(&still, naming(&left)).await.unwrap();
    let told: Vec<String> = plan.diagnostics.iter().map(ToString::to_string).collect();
    let told = told.join("\n");
    assert!(told.contains("takes power away") && told.contains("active -> disabled"), "{told}");
    assert!(told.contains("an owner has left"), "{told}");
    let off = core.apply(plan).await.unwrap().unwrap();
    assert_eq!(off.json()["state"], "disabled");
    // Nobody can be bound to them any more.
    let other =
        json!({ "name": "billing", "directory": { "connection": "people", "id": "2819c223" } });
    let refusal = core.create("nhi_owner", other).await.unwrap_err();
    assert!(matches!(refusal, Refusal::Failed { .. }));
    assert!(refusal.to_string().contains("E-OWNER-LEFT"), "{refusal}");
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_goes_back_and_forth_by_days_rotates_nothing_twice() {
    let world = World::new();
    let (integration, first) = made(&world, &monthly()).await;
    let config = credential(&integration, monthly());
    world.at("2026-12-01T08:00:00Z");
    let core = world.run().await;
    let (due, _) = status(&core, &first).await;
    let saved = core.plan(&due, config.clone()).await.unwrap();
    // The runner that applies is nine days behind: before the key it ends was due.
    world.at("2026-11-22T08:00:00Z");
    let second = world.run().await.apply(saved).await.unwrap().unwrap();
    assert_eq!(second.json()["generation"], 2);
    for moment in [
        "2026-11-25T00:00:00Z",
        "2026-11-20T00:00:00Z",
        "2026-11-30T23:00:00Z",
        "2026-11-21T00:00:00Z",
    ] {
        world.at(moment);
        let (_, word) = status(&world.run().await, &second).await;
        assert!(matches!(word.as_str(), Some("current" | "retire_due")), "{moment}: {word}");
    }
    let secret = world.delivered().await;
    assert!(world.works(&secret));
    // Right again: the new key was issued on the wrong day and is due with the others.
    world.at("2026-12-01T08:00:00Z");
    let core = world.run().await;
    let (again, word) = status(&core, &second).await;
    assert_eq!(word, "due");
    let third = core.update(&again, config).await.unwrap();
    assert_eq!(third.json()["generation"], 3);
    assert!(world.works(&world.delivered().await));
}
