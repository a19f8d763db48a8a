//! What rotates a slot, what does not, and what ends in it: imports, incidents, values that become
//! known only during apply, integrations that may not act, overlaps that change while they run.

use serde_json::{Value, json};
use tfplugin::mini_core::{Action, MiniCore, Plan, Refusal, State, unknown};

use crate::world::{World, credential, integration, monthly, with};

fn told(plan: &Plan) -> String {
    plan.diagnostics.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// The integration, its credential and what declared the latter.
async fn made(core: &MiniCore) -> (State, State, Value) {
    let made = core.create("nhi_integration", integration()).await.unwrap();
    let config = credential(&made, monthly());
    let key = core.create("nhi_credential", config.clone()).await.unwrap();
    (made, key, config)
}

async fn apply(core: &MiniCore, state: &State, config: &Value) -> State {
    let plan = core.plan(state, config.clone()).await.unwrap();
    core.apply(plan).await.unwrap().unwrap()
}

async fn seen(core: &MiniCore, state: &State) -> State {
    core.observe(state).await.unwrap().0.unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_import_is_not_rotated_by_an_incident_that_is_older_than_it() {
    let world = World::new();
    let core = world.run().await;
    let (_, _, config) = made(&core).await;
    let secret = world.delivered().await;
    let id = "bao/openbao_approle/invoice-sync/credential/default";
    let mut old = with(config, json!({ "incident": "INC-1", "triggers": { "n": "1" } }));
    old["integration"]["incident"] = json!("INC-1");
    let core = world.run().await;
    let imported = core.import("nhi_credential", id).await.unwrap();
    let taken = apply(&core, &imported, &old).await;
    assert_eq!(taken.json()["generation"], 1);
    assert!(world.works(&secret));
    // From then on it is known, and another one is new.
    let taken = seen(&core, &taken).await;
    let exposed = apply(&core, &taken, &with(old, json!({ "incident": "INC-2" }))).await;
    assert_eq!(exposed.json()["generation"], 2);
    assert!(!world.works(&secret));
}

#[tokio::test(start_paused = true)]
async fn a_trigger_that_becomes_known_during_apply_rotates_if_it_is_another_one() {
    let world = World::new();
    let core = world.run().await;
    let (_, key, config) = made(&core).await;
    let one = with(config.clone(), json!({ "triggers": { "release": "1" } }));
    let key = core.update(&key, one.clone()).await.unwrap();
    let open = with(config.clone(), json!({ "triggers": { "release": unknown() } }));
    let plan = core.plan(&key, open.clone()).await.unwrap();
    assert!(plan.planned("generation").is_unknown());
    assert!(told(&plan).contains("known during apply"), "{}", told(&plan));
    let same = core.apply_with(plan.clone(), one.clone()).await.unwrap().unwrap();
    assert_eq!(same.json()["generation"], 1, "the value is what it was");
    let two = with(config.clone(), json!({ "triggers": { "release": "2" } }));
    let other = core.apply_with(plan, two.clone()).await.unwrap().unwrap();
    assert_eq!(other.json()["generation"], 2);
    assert_eq!(other.json()["previous"].as_array().unwrap().len(), 1);
    // Whatever else is asked for at the same time is consistent, too.
    let plan = core.plan(&other, with(open, json!({ "incident": "INC-1" }))).await.unwrap();
    let done = core.apply_with(plan, with(two, json!({ "incident": "INC-1" }))).await;
    assert_eq!(done.unwrap().unwrap().json()["generation"], 3);
}

/// What is asked for after one call on the way went wrong is done by the next run, and done once.
async fn asked_and_stopped(break_it: impl Fn(&World)) -> bool {
    let world = World::new();
    let core = world.run().await;
    let (_, key, config) = made(&core).await;
    let one = with(config.clone(), json!({ "triggers": { "n": "1" } }));
    let key = core.update(&key, one).await.unwrap();
    let two = with(config, json!({ "triggers": { "n": "2" } }));
    let plan = core.plan(&key, two.clone()).await.unwrap();
    break_it(&world);
    let (stopped, kept) = match core.apply(plan).await {
        Ok(state) => (false, state.unwrap()),
        Err(Refusal::Failed { state, .. }) => (true, *state.unwrap()),
        Err(other) => panic!("{other}"),
    };
    world.fake.heal();
    world.at("2026-11-24T10:10:00Z");
    let core = world.run().await;
    let kept = seen(&core, &kept).await;
    let plan = core.plan(&kept, two.clone()).await.unwrap();
    let done = core.apply(plan).await.expect("what was asked for is done").unwrap();
    assert_eq!(done.json()["generation"], 2);
    assert!(world.works(&world.delivered().await));
    let done = seen(&world.run().await, &done).await;
    let again = world.run().await.plan(&done, two).await.unwrap();
    assert_eq!(again.action, Action::Nothing, "{} {}", done.json(), told(&again));
    stopped
}

#[tokio::test(start_paused = true)]
async fn a_rotation_that_stopped_anywhere_is_finished_and_not_begun_again() {
    use connector::fake::{Fault, Verb};
    let behind = |calls: usize| (0..calls).map(|_| secrets::Fault::None);
    for calls in 0..12 {
        let fault = || behind(calls).chain([secrets::Fault::Unreachable]);
        let in_custody = asked_and_stopped(|world| world.vault.fail(fault())).await;
        let in_sink = asked_and_stopped(|world| world.apps.fail(fault())).await;
        assert!(calls > 0 || in_custody && in_sink);
    }
    // Looking at what was done is a part of it.
    let limited = Fault::Refused(connector::Refusal::RateLimited);
    for times in [1, 9] {
        let limited = (0..times).map(|_| limited);
        assert!(asked_and_stopped(|world| world.fake.fail(Verb::Read, limited.clone())).await);
    }
}

#[tokio::test(start_paused = true)]
async fn of_a_rotation_that_was_begun_the_plan_knows_the_generation_and_the_key_once_it_is_delivered()
 {
    let (mut under_way, mut delivered) = (0, 0);
    for calls in 0..12 {
        let world = World::new();
        let core = world.run().await;
        let (_, key, config) = made(&core).await;
        let asked = |n: &str| with(config.clone(), json!({ "triggers": { "n": n } }));
        let key = core.update(&key, asked("1")).await.unwrap();
        let plan = core.plan(&key, asked("2")).await.unwrap();
        let behind = (0..calls).map(|_| secrets::Fault::None);
        world.vault.fail(behind.chain([secrets::Fault::Unreachable]));
        let _ = core.apply(plan).await;
        // The run was killed: the state never heard of it.
        world.at("2026-11-24T10:10:00Z");
        let core = world.run().await;
        let unfinished = seen(&core, &key).await;
        if unfinished.json()["status"] != "unfinished" {
            continue;
        }
        let plan = core.plan(&unfinished, asked("2")).await.unwrap();
        assert_eq!(*plan.planned("generation"), 2.into(), "{calls}");
        let version = tfplugin::Path::attribute("deliver_to").key("app").then("version");
        let is_open = |name: &str| plan.planned(name).is_unknown();
        let open: Vec<bool> = [
            ["key_id", "issued_at", "fingerprint", "previous"].map(is_open).to_vec(),
            vec![plan.planned.at(&version).unwrap().is_unknown()],
        ]
        .concat();
        if unfinished.json()["generation"] == 2 {
            delivered += 1;
            assert!(!open.contains(&true), "{calls}: {open:?}");
        } else {
            under_way += 1;
            assert!(!open.contains(&false), "{calls}: {open:?}");
        }
        let done = core.apply(plan).await.unwrap().unwrap();
        assert_eq!(done.json()["generation"], 2);
        assert!(done.json()["previous"][0]["retire_after"].is_string(), "{}", done.json());
        let done = seen(&world.run().await, &done).await;
        let again = world.run().await.plan(&done, asked("2")).await.unwrap();
        assert_eq!(again.action, Action::Nothing, "{} {}", done.json(), told(&again));
    }
    assert!(under_way > 0 && delivered > 0, "{under_way} {delivered}");
}

#[tokio::test(start_paused = true)]
async fn what_is_asked_for_while_an_ending_is_unfinished_follows_it() {
    use connector::fake::{Fault, Verb};
    let world = World::new();
    let core = world.run().await;
    let (_, key, config) = made(&core).await;
    let asked = |n: &str| with(config.clone(), json!({ "triggers": { "n": n } }));
    let key = core.update(&key, asked("1")).await.unwrap();
    let second = core.update(&key, asked("2")).await.unwrap();
    world.at("2026-11-25T10:00:00Z");
    let core = world.run().await;
    let over = seen(&core, &second).await;
    assert_eq!(over.json()["status"], "retire_due");
    let plan = core.plan(&over, asked("2")).await.unwrap();
    world.fake.fail(Verb::End, [Fault::RequestLost; 3]);
    core.apply(plan).await.unwrap_err();
    world.fake.heal();
    world.at("2026-11-25T10:10:00Z");
    let core = world.run().await;
    let unfinished = seen(&core, &over).await;
    assert_eq!(unfinished.json()["status"], "unfinished");
    // By itself it ends what is earlier, and changes nothing else.
    let plan = core.plan(&unfinished, asked("2")).await.unwrap();
    assert_eq!(*plan.planned("generation"), 2.into());
    let key_id = second.json()["key_id"].as_str().unwrap().to_owned();
    assert_eq!(*plan.planned("key_id"), tfplugin::Value::string(key_id));
    assert_eq!(*plan.planned("previous"), tfplugin::Value::List(Vec::new()));
    let plan = core.plan(&unfinished, asked("3")).await.unwrap();
    assert_eq!(*plan.planned("generation"), 3.into());
    assert!(told(&plan).contains("What was begun"), "{}", told(&plan));
    let third = core.apply(plan).await.unwrap().unwrap();
    assert_eq!(third.json()["generation"], 3);
    assert!(world.works(&world.delivered().await));
}

#[tokio::test(start_paused = true)]
async fn what_follows_an_unfinished_ending_waits_for_the_end_of_a_blackout() {
    use connector::fake::{Fault, Verb};
    let world = World::new();
    let core = world.run().await;
    let (made, key, _) = made(&core).await;
    let frozen = json!([{
        "from": "2026-11-25T10:05:00Z", "until": "2026-11-26T10:00:00Z", "reason": "freeze" }]);
    let config = credential(&made, with(monthly(), json!({ "blackout": frozen })));
    let asked = |n: &str| with(config.clone(), json!({ "triggers": { "n": n } }));
    let key = core.update(&key, asked("1")).await.unwrap();
    let second = core.update(&key, asked("2")).await.unwrap();
    world.at("2026-11-25T10:00:00Z");
    let core = world.run().await;
    let over = seen(&core, &second).await;
    let plan = core.plan(&over, asked("2")).await.unwrap();
    world.fake.fail(Verb::End, [Fault::RequestLost; 3]);
    core.apply(plan).await.unwrap_err();
    world.fake.heal();
    // In the blackout the ending goes on, and nothing is issued.
    world.at("2026-11-25T10:20:00Z");
    let core = world.run().await;
    let unfinished = seen(&core, &over).await;
    assert_eq!(unfinished.json()["status"], "unfinished");
    let plan = core.plan(&unfinished, asked("3")).await.unwrap();
    let refusal = core.apply(plan).await.unwrap_err().to_string();
    assert!(refusal.contains("E-BLACKOUT") && refusal.contains(" at schedule"), "{refusal}");
    let ended = core.update(&unfinished, asked("2")).await.unwrap();
    assert_eq!(ended.json()["generation"], 2);
    let ended = seen(&core, &ended).await;
    assert_eq!(ended.json()["previous"], json!([]));
    world.at("2026-11-26T11:00:00Z");
    let third = world.run().await.update(&ended, asked("3")).await.unwrap();
    assert_eq!(third.json()["generation"], 3);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_would_end_with_the_old_day_is_rotated_when_the_day_moves() {
    let world = World::new();
    let core = world.run().await;
    let until = |day: Value| with(integration(), json!({ "expires_on": day }));
    let made = core.create("nhi_integration", until(json!("2026-12-15"))).await.unwrap();
    let config = |made: &State| with(credential(made, monthly()), json!({ "schedule": null }));
    let key = core.create("nhi_credential", config(&made)).await.unwrap();
    assert_eq!(key.json()["expires_at"], "2026-12-16T00:00:00Z");
    // An earlier day leaves the key as it is: it ends with its integration.
    let earlier = core.update(&made, until(json!("2026-12-10"))).await.unwrap();
    let plan = core.plan(&key, config(&earlier)).await.unwrap();
    assert_eq!(*plan.planned("generation"), 1.into());
    let later = core.update(&made, until(json!("2027-06-30"))).await.unwrap();
    let key = core.update(&key, config(&later)).await.unwrap();
    assert_eq!(key.json()["generation"], 2);
    assert_eq!(key.json()["expires_at"], "2027-07-01T00:00:00Z");
    let endless = core.update(&later, until(Value::Null)).await.unwrap();
    let plan = core.plan(&key, config(&endless)).await.unwrap();
    assert_eq!(*plan.planned("generation"), 3.into());
}

#[tokio::test(start_paused = true)]
async fn an_ending_that_was_not_done_is_not_said_to_be() {
    let world = World::new();
    let core = world.run().await;
    let (_, key, config) = made(&core).await;
    let old = world.delivered().await;
    world.at("2026-12-01T00:00:00Z");
    let core = world.run().await;
    let second = core.update(&seen(&core, &key).await, config.clone()).await.unwrap();
    world.at("2026-12-02T00:00:00Z");
    let core = world.run().await;
    let over = seen(&core, &second).await;
    let plan = core.plan(&over, config.clone()).await.unwrap();
    assert_eq!(*plan.planned("previous"), tfplugin::Value::List(Vec::new()));
    // Another machine's clock, on which the overlap is not over.
    world.at("2026-12-01T23:00:00Z");
    let Err(Refusal::Failed { state, diagnostics }) = world.run().await.apply(plan).await else {
        panic!("nothing was ended, and it is said to be")
    };
    let said = diagnostics.iter().map(ToString::to_string).collect::<String>();
    assert!(said.contains("E-OLD-IN-USE") && said.contains("previous"), "{said}");
    assert_eq!(state.unwrap().json()["previous"].as_array().unwrap().len(), 1);
    assert!(world.works(&old));
}

#[tokio::test(start_paused = true)]
async fn a_proof_stays_until_there_is_a_newer_one() {
    use connector::fake::{Fault, Verb};
    let world = World::new();
    let core = world.run().await;
    let (_, key, config) = made(&core).await;
    let exposed = with(config, json!({ "incident": "INC-1", "triggers": { "n": "1" } }));
    let key = core.update(&key, exposed.clone()).await.unwrap();
    let proof = key.json()["last_revocation"].clone();
    assert!(proof["grade"].is_string());
    let asked = with(exposed, json!({ "triggers": { "n": "2" } }));
    let plan = core.plan(&key, asked.clone()).await.unwrap();
    world.fake.fail(Verb::Probe, [Fault::NotSent; 3]);
    core.apply(plan).await.unwrap_err();
    world.fake.heal();
    world.at("2026-11-24T10:10:00Z");
    let core = world.run().await;
    let unfinished = seen(&core, &key).await;
    assert_eq!(unfinished.json()["status"], "unfinished");
    let done = core.update(&unfinished, asked).await.unwrap();
    assert_eq!(done.json()["last_revocation"], proof);
}

#[tokio::test(start_paused = true)]
async fn an_integration_that_is_written_out_by_its_id_has_credentials() {
    let world = World::new();
    let core = world.run().await;
    let literal = json!({ "id": "bao/openbao_approle/invoice-sync" });
    let config = with(credential_of(literal), json!({ "schedule": monthly() }));
    let said = core.create("nhi_credential", config.clone()).await.unwrap_err().to_string();
    assert!(said.contains("E-GONE"), "{said}");
    core.create("nhi_integration", integration()).await.unwrap();
    let key = core.create("nhi_credential", config.clone()).await.unwrap();
    let old = world.delivered().await;
    let exposed = with(config, json!({ "incident": "INC-1" }));
    let key = core.update(&key, exposed).await.unwrap();
    assert_eq!(key.json()["generation"], 2);
    let new = world.delivered().await;
    assert!(!world.works(&old) && world.works(&new));
    core.destroy(key).await.unwrap();
    assert!(!world.works(&new));
}

fn credential_of(integration: Value) -> Value {
    json!({
        "integration": integration,
        "deliver_to": { "app": { "connection": "apps", "path": "apps/invoice-sync" } },
    })
}

#[tokio::test(start_paused = true)]
async fn a_secret_in_no_sink_of_ours_is_taken_into_custody_by_a_rotation_that_is_asked_for() {
    let world = World::new();
    let core = world.run().await;
    let (_, _, delivered) = made(&core).await;
    let secret = world.delivered().await;
    let id = "bao/openbao_approle/invoice-sync/credential/default";
    let documented =
        json!({ "deliver_to": null, "secret_source": "the runbook of the night shift" });
    let documented = with(delivered.clone(), documented);
    let core = world.run().await;
    let imported = core.import("nhi_credential", id).await.unwrap();
    let taken = apply(&core, &imported, &documented).await;
    // With a place at once, the first plan says what the second will do.
    let elsewhere =
        json!({ "deliver_to": { "app": { "connection": "apps", "path": "apps/new" } } });
    let placed = core.plan(&imported, with(delivered, elsewhere.clone())).await.unwrap();
    assert!(told(&placed).contains("only written down"), "{}", told(&placed));
    // Due, and nowhere to go: that is told before anything is done.
    world.at("2026-12-01T08:00:00Z");
    let core = world.run().await;
    let due = seen(&core, &taken).await;
    assert_eq!(due.json()["status"], "due");
    let said = core.plan(&due, documented.clone()).await.unwrap_err().to_string();
    assert!(said.contains("E-NO-SINK") && said.contains("schedule"), "{said}");
    world.at("2026-11-24T11:00:00Z");
    let core = world.run().await;
    let taken = seen(&core, &taken).await;
    assert_eq!(taken.json()["status"], "unheld");
    let elsewhere =
        json!({ "deliver_to": { "app": { "connection": "apps", "path": "apps/new" } } });
    let elsewhere = with(documented, elsewhere);
    let said = core.plan(&taken, elsewhere.clone()).await.unwrap_err().to_string();
    assert!(said.contains("E-SINK-COPY") && said.contains("triggers"), "{said}");
    let asked = with(elsewhere, json!({ "triggers": { "n": "1" } }));
    let second = core.update(&taken, asked).await.unwrap();
    assert_eq!(second.json()["generation"], 2);
    assert!(world.works(&world.stored("apps/new").await.unwrap()) && world.works(&secret));
}

#[tokio::test(start_paused = true)]
async fn triggers_that_are_removed_rotate_nothing() {
    let world = World::new();
    let core = world.run().await;
    let (_, key, config) = made(&core).await;
    let set = with(config.clone(), json!({ "triggers": { "n": "1" } }));
    let key = core.update(&key, set).await.unwrap();
    let key = core.update(&key, config).await.unwrap();
    assert_eq!(key.json()["generation"], 1);
}

#[tokio::test(start_paused = true)]
async fn what_would_rotate_an_existing_credential_is_known_at_plan_or_refused() {
    let world = World::new();
    let core = world.run().await;
    let (_, key, config) = made(&core).await;
    let key =
        core.update(&key, with(config.clone(), json!({ "function": "billing" }))).await.unwrap();
    let within = |name: &str, value: Value| {
        let mut config = with(config.clone(), json!({ "function": "billing" }));
        config["integration"][name] = value;
        config
    };
    for (name, hidden) in [
        ("incident", with(config.clone(), json!({ "incident": unknown() }))),
        ("function", with(config.clone(), json!({ "function": unknown() }))),
        ("deliver_to", with(config.clone(), json!({ "deliver_to": unknown() }))),
        (
            "path",
            with(
                config.clone(),
                json!({ "deliver_to": {
            "app": { "connection": "apps", "path": unknown() } } }),
            ),
        ),
        (
            "openbao_secret_id",
            with(
                config.clone(),
                json!({
            "openbao_secret_id": { "num_uses": unknown() } }),
            ),
        ),
        ("environment", within("environment", unknown())),
        ("technical_owner", within("technical_owner", json!({ "id": unknown() }))),
        ("incident", within("incident", unknown())),
        ("integration", with(config.clone(), json!({ "integration": unknown() }))),
    ] {
        let said = core.plan(&key, hidden).await.expect_err(name).to_string();
        assert!(said.contains("E-UNKNOWN-GOVERNED") && said.contains(name), "{name}: {said}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_overlap_that_is_not_known_yet_promises_nothing_of_the_old_one() {
    let world = World::new();
    let core = world.run().await;
    let (_, key, config) = made(&core).await;
    world.at("2026-12-01T08:00:00Z");
    let core = world.run().await;
    let due = seen(&core, &key).await;
    let schedule = |overlap: Value| {
        with(config.clone(), json!({ "schedule": with(monthly(), json!({ "overlap": overlap })) }))
    };
    let plan = core.plan(&due, schedule(unknown())).await.unwrap();
    let done = core.apply_with(plan, schedule(json!("0"))).await.unwrap().unwrap();
    assert_eq!(done.json()["previous"], json!([]));
}

#[tokio::test(start_paused = true)]
async fn what_state_cannot_name_is_not_dropped_unrevoked() {
    let world = World::new();
    let core = world.run().await;
    let (made, key, _) = made(&core).await;
    let scopes = crate::world::scope(&made, json!([]), Value::Null);
    let scoped = core.create("nhi_scope", scopes).await.unwrap();
    let secret = world.delivered().await;
    let mut strange = key.json();
    strange["integration"]["id"] = json!("bao/openbao_newer_thing/invoice-sync");
    let mut nameless = made.json();
    nameless["id"] = json!("invoice-sync");
    let mut scopeless = scoped.json();
    scopeless["integration"]["id"] = json!("invoice-sync");
    for (kind, state) in
        [("nhi_credential", strange), ("nhi_integration", nameless), ("nhi_scope", scopeless)]
    {
        let state = core.adopt(kind, 0, state).await.unwrap();
        let plan = core.plan_destroy(&state).await.unwrap();
        let refusal = core.apply(plan).await.unwrap_err().to_string();
        assert!(refusal.contains("E-STATE"), "{kind}: {refusal}");
    }
    assert!(world.works(&secret));
}

#[tokio::test(start_paused = true)]
async fn an_exposure_ends_the_credential_of_what_may_not_act_and_turning_it_on_issues_another() {
    let world = World::new();
    let core = world.run().await;
    let (made, key, config) = made(&core).await;
    let secret = world.delivered().await;
    let off = with(integration(), json!({ "enabled": false, "incident": "INC-4711" }));
    let made = core.update(&made, off.clone()).await.unwrap();
    let exposed = credential(&made, monthly());
    let plan = core.plan(&key, exposed.clone()).await.unwrap();
    assert_eq!(*plan.planned("status"), "missing".into());
    assert!(told(&plan).contains("without a successor"), "{}", told(&plan));
    let ended = core.apply(plan).await.unwrap().unwrap();
    assert_eq!(ended.json()["secret_held"], false);
    assert_eq!(ended.json()["previous"], json!([]));
    assert_eq!(ended.json()["generation"], 1);
    assert!(ended.json()["last_revocation"]["grade"].is_string());
    let core = world.run().await;
    let ended = seen(&core, &ended).await;
    assert_eq!(ended.json()["status"], "missing");
    let plan = core.plan(&ended, exposed).await.unwrap();
    assert_eq!(plan.action, Action::Nothing, "{}", told(&plan));
    let made = core.update(&made, with(off, json!({ "enabled": true }))).await.unwrap();
    assert!(!world.works(&secret), "the switch brings nothing exposed back");
    let on = credential(&made, monthly());
    let fresh = core.update(&ended, on).await.unwrap();
    assert_eq!(fresh.json()["generation"], 2);
    assert!(world.works(&world.delivered().await));
    let _ = config;
}

#[tokio::test(start_paused = true)]
async fn what_is_asked_of_a_credential_that_may_not_act_is_told_to_do_nothing() {
    let world = World::new();
    let core = world.run().await;
    let (made, key, config) = made(&core).await;
    let key = core.update(&key, with(config, json!({ "triggers": { "n": "1" } }))).await.unwrap();
    let off = core.update(&made, with(integration(), json!({ "enabled": false }))).await.unwrap();
    let asked = with(credential(&off, monthly()), json!({ "triggers": { "n": "2" } }));
    let plan = core.plan(&key, asked).await.unwrap();
    assert!(told(&plan).contains("Nothing is issued"), "{}", told(&plan));
    assert_eq!(core.apply(plan).await.unwrap().unwrap().json()["generation"], 1);
}

#[tokio::test(start_paused = true)]
async fn a_shorter_overlap_shortens_the_one_that_is_running() {
    let world = World::new();
    let core = world.run().await;
    let (_, key, config) = made(&core).await;
    let old = world.delivered().await;
    world.at("2026-12-01T08:00:00Z");
    let core = world.run().await;
    let second = core.update(&seen(&core, &key).await, config.clone()).await.unwrap();
    assert_eq!(second.json()["previous"][0]["retire_after"], "2026-12-02T08:00:00Z");
    let schedule = |overlap: &str| {
        with(config.clone(), json!({ "schedule": with(monthly(), json!({ "overlap": overlap })) }))
    };
    // Together with another copy, which is a deed of its own.
    let both = json!({ "deliver_to": {
        "app": { "connection": "apps", "path": "apps/invoice-sync" },
        "copy": { "connection": "apps", "path": "apps/copy" },
    } });
    let schedule = |overlap: &str| with(schedule(overlap), both.clone());
    let plan = core.plan(&second, schedule("2h")).await.unwrap();
    let shorter = core.apply(plan).await.unwrap().unwrap();
    assert_eq!(shorter.json()["previous"][0]["retire_after"], "2026-12-01T10:00:00Z");
    let core = world.run().await;
    let again = seen(&core, &shorter).await;
    assert_eq!(again.json()["previous"][0]["retire_after"], "2026-12-01T10:00:00Z");
    world.at("2026-12-01T10:00:00Z");
    let core = world.run().await;
    let over = seen(&core, &again).await;
    assert_eq!(over.json()["status"], "retire_due");
    let done = core.update(&over, schedule("2h")).await.unwrap();
    assert_eq!(done.json()["previous"], json!([]));
    assert!(!world.works(&old) && world.works(&world.delivered().await));
}

#[tokio::test(start_paused = true)]
async fn only_a_confirmation_that_has_an_effect_is_taken() {
    let world = World::new();
    let core = world.run().await;
    let (_, key, config) = made(&core).await;
    for word in ["used", "read"] {
        let said = core.plan(&key, with(config.clone(), json!({ "confirm": word }))).await;
        let said = said.unwrap_err().to_string();
        assert!(said.contains("confirm") && said.contains("timer"), "{said}");
    }
    core.update(&key, with(config, json!({ "confirm": "timer" }))).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn no_secret_is_delivered_into_the_folder_of_what_is_on_its_way_to_others() {
    let world = World::new();
    let core = world.run().await;
    let made = core.create("nhi_integration", integration()).await.unwrap();
    let to = |path: &str| {
        let place = json!({ "deliver_to": { "app": { "connection": "vault", "path": path } } });
        with(credential(&made, monthly()), place)
    };
    for path in ["nhi", "nhi/", "nhi/apps/x", "/nhi/x"] {
        let Err(Refusal::Provider(told)) = core.create("nhi_credential", to(path)).await else {
            panic!("{path}")
        };
        assert!(told.to_string().contains("E-SINK-CUSTODY"), "{path}: {told}");
    }
    core.create("nhi_credential", to("nhi-apps/x")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_path_that_no_sink_takes_is_refused_before_there_is_a_credential() {
    let world = World::new();
    let core = world.run().await;
    let made = core.create("nhi_integration", integration()).await.unwrap();
    for path in ["../x", "apps/../x", "apps//x", "apps/./x", "/", "apps/x\n"] {
        let place = json!({ "deliver_to": { "app": { "connection": "apps", "path": path } } });
        let config = with(credential(&made, monthly()), place);
        let said = core.plan_create("nhi_credential", config).await.unwrap_err().to_string();
        assert!(said.contains("E-DELIVERY-PATH"), "{path:?}: {said}");
        assert!(said.contains("deliver_to[\"app\"].path"), "{path:?}: {said}");
    }
}

#[tokio::test(start_paused = true)]
async fn custody_is_known_by_its_place_under_whatever_name_a_connection_leads_there() {
    let world = World::new();
    let core = world.run().await;
    let made = core.create("nhi_integration", integration()).await.unwrap();
    let to = |connection: &str, path: &str| {
        let place = json!({ "app": { "connection": connection, "path": path } });
        with(credential(&made, monthly()), json!({ "deliver_to": place }))
    };
    // "safe" leads where "vault" does.
    let said = core.plan_create("nhi_credential", to("safe", "nhi/x")).await.unwrap_err();
    assert!(said.to_string().contains("E-SINK-CUSTODY"), "{said}");
    let twice = json!({ "deliver_to": {
        "a": { "connection": "vault", "path": "apps/x" },
        "b": { "connection": "safe", "path": "apps/x" },
    } });
    let twice = with(credential(&made, monthly()), twice);
    let said = core.plan_create("nhi_credential", twice).await.unwrap_err().to_string();
    assert!(said.contains("E-DELIVERY-TWICE"), "{said}");
    core.plan_create("nhi_credential", to("safe", "apps/x")).await.unwrap();
}
