//! The provider's binary driven as a core drives it, without a core and without a platform.

mod access;
mod adopted;
mod approved;
mod clock;
mod direction;
mod findings;
mod foreign;
mod gaps;
mod golden;
mod governed;
mod inventory;
mod moved;
mod on_request;
mod promises;
mod real_core;
mod reviewed;
mod slots;
mod ties;
mod world;

use serde_json::{Value, json};
use tfplugin::mini_core::{MiniCore, Refusal};

/// The provider in a folder without any configuration.
async fn core(folder: &tempfile::TempDir) -> MiniCore {
    let file = folder.path().join("nhi.hcl");
    std::fs::write(&file, "ledger = { none = true }\n").unwrap();
    let file = file.display().to_string();
    let program = env!("CARGO_BIN_EXE_terraform-provider-nhi");
    let core = MiniCore::launch(program, &[("NHI_CONFIG", &file)]).await.unwrap();
    core.configure(json!({})).await.unwrap();
    core
}

/// What is said when a configuration is refused.
async fn refusal(core: &MiniCore, kind: &str, config: Value) -> String {
    match core.plan_create(kind, config.clone()).await {
        Ok(_) => panic!("{kind} was accepted: {config}"),
        Err(refusal @ (Refusal::Broken(_) | Refusal::Wire(_))) => panic!("{kind}: {refusal}"),
        Err(refusal) => {
            let said = refusal.to_string();
            // A core by itself asks for what the schema requires.
            let ours = !matches!(refusal, Refusal::Config(_));
            assert!(!ours || said.contains("Next: ") && said.contains("(E-"), "{said}");
            said
        }
    }
}

#[tokio::test]
async fn owners_live_a_whole_life_within_the_laws() {
    let folder = tempfile::tempdir().unwrap();
    let core = core(&folder).await;
    let config = json!({ "name": "payments-platform", "email": "payments@acme.example" });
    let owner = core.create("nhi_owner", config).await.unwrap();
    assert_eq!(owner.json()["id"], "owner/payments-platform");
    assert_eq!(owner.json()["status"], "unchecked");
    let config =
        json!({ "name": "payments-platform", "email": "other@acme.example", "kind": "vendor" });
    let owner = core.update(&owner, config).await.unwrap();
    assert_eq!(owner.json()["kind"], "vendor");
    let renamed = json!({ "name": "somebody-else", "email": "other@acme.example" });
    let plan = core.plan(&owner, renamed).await.unwrap();
    assert!(!plan.replace.is_empty(), "another name is another owner");
    let imported = core.import("nhi_owner", "owner/payments-platform").await.unwrap();
    assert_eq!(imported.json()["name"], "payments-platform");
    core.destroy(owner).await.unwrap();
    core.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_schedule_derives_what_is_not_said_and_refuses_contradictions() {
    let folder = tempfile::tempdir().unwrap();
    let core = core(&folder).await;
    let config = json!({ "name": "monthly", "every": "30d" });
    let schedule = core.create("nhi_rotation_schedule", config).await.unwrap();
    assert_eq!(schedule.json()["min_age"], "7d12h");
    assert_eq!(schedule.json()["overlap"], "24h");
    core.destroy(schedule).await.unwrap();
    for (config, expected) in [
        (json!({ "name": "x", "every": "1mo" }), "duration"),
        (json!({ "name": "x", "every": "5s", "overlap": "0" }), "at least 15m"),
        (json!({ "name": "x", "every": "1d", "overlap": "2d" }), "overlap must be below"),
        (json!({ "name": "x", "every": "30d", "lifetime": "31d" }), "lifetime must be above"),
        (
            json!({ "name": "x", "every": "30d", "windows": [{ "days": ["someday"], "start": "02:00", "length": "4h" }] }),
            "someday",
        ),
        (
            json!({ "name": "x", "every": "30d", "windows": [{ "days": ["sat"], "start": "2 am", "length": "4h" }] }),
            "HH:MM",
        ),
        (json!({ "name": "x", "every": "30d", "timezone": "Mars/Olympus" }), "time zone"),
    ] {
        let said = refusal(&core, "nhi_rotation_schedule", config).await;
        assert!(said.contains(expected), "{expected:?} in {said}");
    }
    core.shutdown().await.unwrap();
}

#[tokio::test]
async fn what_is_wrong_is_told_offline_with_its_attribute() {
    let folder = tempfile::tempdir().unwrap();
    let core = core(&folder).await;
    let owner = json!({ "id": "owner/a-team", "email": "a@acme.example", "status": "unchecked" });
    let integration = |more: Value| {
        let mut config = json!({
            "connection_name": "bao",
            "name": "invoice-sync",
            "purpose": "Copies paid invoices to the general ledger every night",
            "environment": "production",
            "business_owner": owner,
            "technical_owner": owner,
        });
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        config
    };
    let vendor = json!({
        "vendor": "Acme",
        "contract": "https://contracts.acme.example/4711",
        "contract_ends_on": "2099-12-31",
        "telemetry": "siem/acme",
        "disable_path": "https://runbooks.acme.example/acme",
        "admin_review_every": "90d",
    });
    for (config, expected) in [
        (integration(json!({})), "A platform object is needed"),
        (
            integration(json!({ "openbao_approle": {}, "purpose": "because" })),
            "at least 20 characters",
        ),
        (integration(json!({ "openbao_approle": {}, "expires_on": "soon" })), "YYYY-MM-DD"),
        (
            integration(json!({ "openbao_approle": {}, "execution_mode": "sometimes" })),
            "one of batch",
        ),
        (
            integration(json!({ "openbao_approle": {}, "connection_name": null })),
            "A connection is needed",
        ),
        (integration(json!({ "openbao_approle": {} })), "no connection of that name"),
        (
            integration(json!({ "openbao_approle": { "token_bound_cidrs": ["10.0.0.1/8"] } })),
            "no bits beyond",
        ),
        (
            integration(json!({ "oauth_client": { "redirect_uris": ["https://*.a.example/cb"] } })),
            "no wildcard",
        ),
        (integration(json!({ "oauth_client": { "grant_types": [] } })), "at least one"),
        (integration(json!({ "openbao_approle": {}, "oauth_client": {} })), "More than one"),
        (integration(json!({ "openbao_approle": {}, "name": "A B" })), "not usable there"),
        (
            integration(json!({ "third_party": { "vendor": "Acme" }, "connection_name": null })),
            "contract",
        ),
        (
            integration(json!({ "third_party": vendor, "connection_name": null,
                "expires_when": ["owner_left"] })),
            "Nobody would judge this",
        ),
        (
            integration(json!({ "third_party": vendor, "connection_name": null,
                "workflows": { "nightly": { "id": "bao/openbao_approle/x" } } })),
            "Nobody would judge this",
        ),
    ] {
        let said = refusal(&core, "nhi_integration", config).await;
        assert!(said.contains(expected), "{expected:?} in {said}");
    }
    let scope = |scopes: Value, more: Value| {
        let mut config = json!({
            "integration": { "id": "bao/openbao_approle/x", "vendor_id": "v", "environment": "production" },
            "scopes": scopes,
            "justification": "Reads tonight's invoices and nothing else",
        });
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        config
    };
    let credential = |more: Value| {
        let mut config = json!({
            "integration": { "id": "bao/openbao_approle/x", "vendor_id": "v",
                "technical_owner": { "id": "owner/a-team" } },
            "deliver_to": { "app": { "connection": "bao", "path": "secret/x" } },
        });
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        config
    };
    let daily = json!({ "name": "daily", "every": "1d", "overlap": "2d" });
    for (config, expected) in [
        (credential(json!({ "schedule": daily })), "E-SCHEDULE"),
        (credential(json!({ "deliver_to": null })), "E-NO-SINK"),
        (credential(json!({ "deliver_to": null, "secret_source": "a safe" })), "E-NO-SINK"),
        (credential(json!({ "oauth_private_key": {} })), "no such credential"),
        (
            credential(json!({ "integration": { "id": "none/third_party/payroll-bureau" } })),
            "issued elsewhere",
        ),
        (credential(json!({ "integration": { "id": "bao/openbao_aprole/x" } })), "openbao_aprole"),
        (
            credential(json!({ "deliver_to": {
                "app": { "connection": "bao", "path": "secret/x" },
                "copy": { "connection": "bao", "path": "/secret/x/" },
            } })),
            "E-DELIVERY-TWICE",
        ),
        (credential(json!({})), "integration.id"),
    ] {
        let said = refusal(&core, "nhi_credential", config).await;
        assert!(said.contains(expected), "{expected:?} in {said}");
    }
    let said = refusal(&core, "nhi_scope", scope(json!(["a:read"]), json!({}))).await;
    assert!(said.contains("E-CONNECTION-UNKNOWN") && said.contains("integration.id"), "{said}");
    // Contradictions need no configuration: they are said as soon as they are written.
    let told = core.validate("nhi_rotation_schedule", daily).await.unwrap();
    assert!(told.iter().any(|one| one.detail.contains("E-SCHEDULE")));
    for (config, expected) in [
        (scope(json!(["secret/data/x:raed"]), json!({})), "E-SCOPE-GRAMMAR"),
        (
            scope(
                json!(["tickets read"]),
                json!({ "integration": { "id": "login/oauth_client/x", "vendor_id": "v" } }),
            ),
            "no space in it",
        ),
        (scope(json!(["a:read"]), json!({ "justification": "because" })), "at least 20 characters"),
        (scope(json!(["a:read"]), json!({ "enforcement": "loosely" })), "one of exact"),
        (
            scope(json!(["a:read"]), json!({ "classify": { "a:read": "harmless" } })),
            "not an action",
        ),
        (
            scope(
                json!(["a:read"]),
                json!({ "temporary": { "a:read": {
                "until": "2030-01-01T00:00:00Z", "justification": "A re-run of last year's closing" } } }),
            ),
            "standing as well",
        ),
        (
            scope(
                json!(["sys/policies/acl/*:update"]),
                json!({ "integration": {
                "id": "bao/openbao_approle/x", "vendor_id": "v", "environment": "production",
                "ceiling": { "highest_action": "write" } } }),
            ),
            "E-CEILING",
        ),
    ] {
        let said = refusal(&core, "nhi_scope", config).await;
        assert!(said.contains(expected), "{expected:?} in {said}");
    }
    core.shutdown().await.unwrap();
}

#[tokio::test]
async fn an_empty_text_where_something_must_be_said_is_refused_with_its_path() {
    let folder = tempfile::tempdir().unwrap();
    let core = core(&folder).await;
    let owner = json!({ "id": "owner/a-team" });
    for (resource, attribute, more) in [
        ("nhi_integration", "environment", json!({ "environment": " " })),
        ("nhi_integration", "incident", json!({ "environment": "test", "incident": "" })),
        (
            "nhi_integration",
            "mount",
            json!({ "environment": "test", "openbao_approle": { "mount": "" } }),
        ),
        ("nhi_owner", "department", json!({ "department": "" })),
        ("nhi_owner", "id", json!({ "directory": { "connection": "people", "id": "" } })),
        (
            "nhi_scope",
            "ticket",
            json!({ "temporary": { "a:read": { "ticket": "",
            "until": "2030-01-01T00:00:00Z", "justification": "A re-run of last year's closing" } } }),
        ),
        ("nhi_scope", "justifications", json!({ "justifications": { "a:read": "" } })),
        ("nhi_credential", "function", json!({ "function": "" })),
        ("nhi_credential", "secret_source", json!({ "secret_source": "" })),
        (
            "nhi_credential",
            "path",
            json!({ "deliver_to": { "a": { "connection": "b", "path": "" } } }),
        ),
        (
            "nhi_rotation_schedule",
            "reason",
            json!({ "blackout": [{ "reason": "",
            "from": "2030-01-01T00:00:00Z", "until": "2030-01-02T00:00:00Z" }] }),
        ),
    ] {
        let mut config = match resource {
            "nhi_integration" => json!({
                "connection_name": "bao", "name": "x", "business_owner": owner.clone(),
                "technical_owner": owner.clone(), "purpose": "Copies invoices every night",
                "openbao_approle": {},
            }),
            "nhi_owner" => json!({ "name": "a-team", "email": "a@b.example" }),
            "nhi_scope" => json!({
                "integration": { "id": "bao/openbao_approle/x" }, "scopes": [],
                "justification": "Reads what it must and nothing else",
            }),
            "nhi_credential" => json!({ "integration": { "id": "bao/openbao_approle/x" } }),
            _ => json!({ "name": "monthly", "every": "30d" }),
        };
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let told = core.validate(resource, config).await.unwrap();
        let refused = told.iter().any(|one| {
            let at = one.path.as_ref().map(ToString::to_string).unwrap_or_default();
            at.contains(attribute) && one.detail.contains("E-VALUE")
        });
        assert!(refused, "{resource}.{attribute}: {told:?}");
    }
    core.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_third_party_s_integration_lives_without_a_connection() {
    let folder = tempfile::tempdir().unwrap();
    let core = core(&folder).await;
    let owner = json!({ "id": "owner/a-team", "email": "a@acme.example", "status": "unchecked" });
    let config = json!({
        "name": "payroll-bureau",
        "purpose": "The bureau computes salaries from our time sheets",
        "environment": "production",
        "business_owner": owner,
        "technical_owner": owner,
        "third_party": {
            "vendor": "Salaries Ltd",
            "contract": "https://contracts.acme.example/4711",
            "contract_ends_on": "2030-12-31",
            "telemetry": "siem/payroll-bureau",
            "disable_path": "https://runbooks.acme.example/payroll-bureau",
            "admin_review_every": "90d",
        },
    });
    let made = core.create("nhi_integration", config).await.unwrap();
    assert_eq!(made.json()["id"], "none/third_party/payroll-bureau");
    assert_eq!(made.json()["state"], "active");
    core.destroy(made).await.unwrap();
    core.shutdown().await.unwrap();
}
