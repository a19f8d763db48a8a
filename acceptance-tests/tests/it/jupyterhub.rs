//! A user of a real JupyterHub that no person is behind: born, let in, rotated, repaired, ended.

use std::time::Duration;

use acceptance_tests::{
    Core, Result, World,
    servers::JupyterHub,
    world::{LEDGER, STATE, nhi_hcl},
};
use connector::fault_proxy::{Effect, FaultProxy, Hold, Rule};
use serde_json::{Value, json};

use crate::{
    Between, SILENCE, flat, holds, kill::killed_at, nothing_is_left_to_do, says_what_to_do,
};

const OWNERS: &str = r#"
terraform {
  required_providers {
    nhi = { source = "open-nhi/nhi" }
  }
}

provider "nhi" {}

resource "nhi_owner" "teaching" {
  name  = "teaching"
  email = "teaching@acme.example"
}
"#;

const INTEGRATION: &str = r#"
resource "nhi_integration" "it" {
  connection_name = "hub"
  name            = "grade-sync"
  purpose         = "Copies the grades of all classes into the register"
  environment     = "production"
  business_owner  = nhi_owner.teaching
  technical_owner = nhi_owner.teaching
  jupyterhub_user = {}
}
"#;

const SCOPE: &str = r#"
resource "nhi_scope" "it" {
  integration   = nhi_integration.it
  scopes        = ["group/readers", "read:servers!server=veteran"]
  classify      = { "group/readers" = "read" }
  justification = "Reads who is in which class, and whether the examiner's server runs"
}
"#;

const TOKEN: &str = r#"
resource "nhi_credential" "it" {
  integration      = nhi_integration.it
  jupyterhub_token = { scopes = ["inherit"] }
  schedule         = { name = "hourly", every = "1h", overlap = "4s" }
  triggers         = { now = "1" }
  deliver_to       = { app = { connection = "bao", path = "secret/apps/grade-sync" } }
  depends_on       = [nhi_scope.it]
}
"#;

/// All of it.
pub(crate) fn whole() -> String {
    [OWNERS, INTEGRATION, SCOPE, TOKEN].concat()
}

/// What is connected.
pub(crate) fn hcl(hub: &str, bao: &str) -> String {
    let hub = format!(
        "connections = {{\n  hub = {{\n    jupyterhub = {{ address = \"{hub}\", credential = {{ env = \"HUB_TOKEN\" }} }}\n  }}"
    );
    nhi_hcl(bao).replace("connections = {", &hub)
}

/// A world with a hub.
struct School {
    world: World,
    hub: JupyterHub,
}

fn in_school(main: &str, story: impl Fn(&School) -> Result<()>) {
    for core in Core::all().unwrap() {
        let path = core.path.display().to_string();
        let hub = JupyterHub::start().unwrap();
        let world = World::new(core, main).unwrap().with("HUB_TOKEN", &hub.token);
        world.write("nhi.hcl", &hcl(&hub.address(), &world.bao.address())).unwrap();
        let school = School { world, hub };
        let told = story(&school).and_then(|()| {
            school.world.note([school.hub.token.clone()])?;
            school.world.no_secret_leaked(&[STATE, LEDGER])
        });
        if let Err(error) = told {
            panic!("{path}: {error}");
        }
    }
}

/// Runs a story in a world whose hub is to have all of it.
pub(crate) fn with_a_user(story: impl Fn(&World) -> Result<()>) {
    in_school(&whole(), |school| story(&school.world));
}

/// Runs a story with a proxy between the programs and the hub that can make things go wrong.
fn through_a_proxy(main: &str, story: impl Fn(&School, &Between) -> Result<()>) {
    in_school(main, |school| {
        let runtime = tokio::runtime::Runtime::new().map_err(|error| error.to_string())?;
        let address = school.hub.address();
        let proxy =
            runtime.block_on(FaultProxy::start(&address)).map_err(|error| error.to_string())?;
        let hcl = school.world.read("nhi.hcl")?.replace(&address, proxy.address());
        school.world.write("nhi.hcl", &hcl)?;
        story(school, &Between { runtime, proxy })
    });
}

/// The calls that make everything, each with its way to the hub and back.
const MAKES: [(&str, &str); 6] = [
    ("POST", "groups/nhi-grade-sync"),
    ("PUT", "groups/nhi-grade-sync/properties"),
    ("POST", "users/grade-sync"),
    ("POST", "groups/readers/users"),
    ("POST", "shares/veteran"),
    ("POST", "users/grade-sync/tokens"),
];
/// Where a call may be when somebody dies: before the hub hears of it, and after.
const HELD: [fn(Hold) -> Effect; 2] = [Effect::HoldRequest, Effect::HoldAnswer];

impl School {
    /// By the hub's own account: the user holds what is declared, there is one token of ours besides
    /// `overlapping` earlier ones and none of anybody else, the application's works; and nothing is
    /// left to do.
    fn is_settled(&self, overlapping: usize) -> Result<()> {
        let tokens = self.hub.tokens("grade-sync")?;
        let ours = tokens.iter().all(|(_, note)| note.starts_with("nhi1-"));
        let said = format!("{tokens:?}");
        holds(ours && tokens.len() == 1 + overlapping, "no token too many", &said)?;
        let token = self.token()?;
        holds(self.can(&token, "list:users")?, "the delivered one works", "")?;
        holds(self.can(&token, "read:servers!server=veteran/")?, "with all that is declared", "")?;
        let groups = self.hub.groups_of("grade-sync")?;
        holds(groups == ["readers"], "the user is where it belongs", &format!("{groups:?}"))?;
        nothing_is_left_to_do(&self.world)
    }

    /// What the application reads.
    fn token(&self) -> Result<String> {
        let document = self.world.bao.document("apps/grade-sync")?;
        let token = document["token"].as_str().unwrap_or_default().to_owned();
        self.world.note([token.clone()])?;
        Ok(token)
    }

    /// What the hub lets a token do; nothing where it is refused.
    fn may(&self, token: &str) -> Result<Vec<String>> {
        let whose = self.hub.whose(token)?.unwrap_or(Value::Null);
        let scopes = whose["scopes"].as_array().cloned().unwrap_or_default();
        Ok(scopes.iter().filter_map(Value::as_str).map(str::to_owned).collect())
    }

    fn can(&self, token: &str, scope: &str) -> Result<bool> {
        Ok(self.may(token)?.iter().any(|one| one == scope))
    }
}

#[test]
fn what_has_expired_where_nothing_is_switched_off_is_told_and_ends_where_the_policy_revokes() {
    let lives_until = |day: &str| {
        let end = format!("  expires_on      = \"{day}\"\n  jupyterhub_user");
        format!("{OWNERS}{}{SCOPE}{TOKEN}", INTEGRATION.replace("  jupyterhub_user", &end))
    };
    in_school(&lives_until("2199-12-31"), |school| {
        let world = &school.world;
        world.apply()?;
        let token = school.token()?;
        world.write("main.tf", &lives_until("2026-01-01"))?;
        world.apply()?;
        // Nothing can be switched off, and no apply fails for it.
        let said = flat(&world.plan()?.expect(0)?);
        holds(said.contains("(E-NO-SWITCH)") && said.contains("expired"), "it is told", &said)?;
        holds(school.can(&token, "list:users")?, "and lives on", "")?;

        world.write("policy.hcl", "expired = \"revoke\"\n")?;
        let hcl = world.read("nhi.hcl")?;
        world.write("nhi.hcl", &format!("{hcl}\npolicy = {{ file = \"policy.hcl\" }}\n"))?;
        let said = flat(&world.plan()?.expect(2)?);
        holds(said.contains("\"active\" -> \"revoked\""), "the end", &said)?;
        world.apply()?;
        holds(school.hub.tokens("grade-sync")?.is_empty(), "no token is left", "")?;
        holds(!school.can(&token, "list:users")?, "the old one is refused", "")?;
        world.plan_is_empty()
    });
}

#[test]
fn the_example_of_a_hub_is_applied_as_it_stands_and_described_by_the_other_commands() {
    in_school(include_str!("../../../examples/scenarios/jupyterhub/main.tf"), |school| {
        let world = &school.world;
        let hcl = include_str!("../../../examples/scenarios/jupyterhub/nhi.hcl");
        let hcl = hcl.replace("http://127.0.0.1:8000", &school.hub.address());
        let hcl = hcl.replace("http://127.0.0.1:8200", &world.bao.address());
        world.write("nhi.hcl", &hcl.replace("JUPYTERHUB_API_TOKEN", "HUB_TOKEN"))?;
        world.apply()?;
        nothing_is_left_to_do(world)?;
        let document = world.bao.document("apps/class-report")?;
        let token = document["token"].as_str().unwrap_or_default();
        holds(school.can(token, "read:users:groups")?, "it reads groups", "")?;
        holds(!school.can(token, "read:users:activity")?, "and no more", "")?;
        let told = world.nhi(&["doctor", "hub"])?.expect(0)?;
        let own = "our own credential is the environment variable HUB_TOKEN";
        for said in ["jupyterhub_user", "tells last use", own] {
            holds(told.contains(said), said, &told)?;
        }
        holds(!told.contains("lacks the scope"), "our token may do all", &told)?;
        // People are in the group that says so.
        school.hub.by_hand("POST", "users/alice", None)?;
        school.hub.join("alice", "graders")?;
        let told = world.nhi(&["scan"])?.said;
        holds(told.contains("veteran") && !told.contains("alice"), "programs are listed", &told)
    });
}

#[test]
fn a_user_is_let_in_where_it_is_declared_and_its_token_works_with_just_that() {
    in_school(&[OWNERS, INTEGRATION].concat(), |school| {
        let world = &school.world;
        world.apply()?;
        world.plan_is_empty()?;
        holds(school.hub.groups_of("grade-sync")?.is_empty(), "it is born in no group", "")?;
        holds(school.hub.tokens("grade-sync")?.is_empty(), "and without a token", "")?;
        world.write("main.tf", &[OWNERS, INTEGRATION, SCOPE, TOKEN].concat())?;
        let said = world.plan()?.expect(2)?;
        holds(flat(&said).contains("highest_action = \"read\""), "it only reads", &said)?;
        world.apply()?;
        let token = school.token()?;
        holds(school.can(&token, "list:users")?, "the group's role is in the token", "")?;
        holds(school.can(&token, "read:servers!server=veteran/")?, "and the share", "")?;
        holds(!school.can(&token, "admin:users")?, "and no more", "")?;
        nothing_is_left_to_do(world)?;

        // Somebody makes it an admin, a grader, and gives it a server to run things in.
        school.hub.join("grade-sync", "graders")?;
        let admin = json!({ "admin": true });
        school.hub.by_hand("PATCH", "users/grade-sync", Some(&admin))?;
        let share = json!({ "user": "grade-sync" });
        school.hub.by_hand("POST", "shares/veteran/", Some(&share))?;
        holds(school.can(&token, "admin:users")?, "the token may at once", "")?;
        let said = world.plan()?.expect(2)?;
        for scope in ["admin", "group/graders", "access:servers!server=veteran/"] {
            holds(said.contains(&format!("- \"{scope}\"")), scope, &said)?;
        }
        let told = world.nhi(&["drift"])?.expect(2)?;
        holds(told.contains("group/graders"), "drift says the same", &told)?;
        world.apply()?;
        world.plan_is_empty()?;
        holds(school.hub.groups_of("grade-sync")? == ["readers"], "it is out again", "")?;
        holds(!school.can(&token, "admin:users")?, "and the token may no more", "")?;
        holds(school.can(&token, "list:users")?, "but what was declared", "")
    });
}

#[test]
fn a_token_rotates_with_overlap_and_the_old_one_is_proven_refused() {
    in_school(&[OWNERS, INTEGRATION, SCOPE, TOKEN].concat(), |school| {
        let world = &school.world;
        world.apply()?;
        let first = school.token()?;
        let main = [OWNERS, INTEGRATION, SCOPE, TOKEN].concat();
        world.write("main.tf", &main.replace("now = \"1\"", "now = \"2\""))?;
        let said = world.plan()?.expect(2)?;
        holds(flat(&said).contains("generation = 1 -> 2"), "a new generation is planned", &said)?;
        world.apply()?;
        let second = school.token()?;
        holds(first != second, "there is another token", "")?;
        holds(school.can(&first, "list:users")?, "the old one still works", "")?;
        holds(school.can(&second, "list:users")?, "and so does the new one", "")?;
        std::thread::sleep(Duration::from_secs(5));
        let said = world.plan()?.expect(2)?;
        holds(said.contains("\"retire_due\" -> \"current\""), "the old one is to go", &said)?;
        world.apply()?;
        holds(school.hub.whose(&first)?.is_none(), "the old one is refused", "")?;
        holds(school.can(&second, "list:users")?, "the new one works", "")?;
        holds(school.hub.tokens("grade-sync")?.len() == 1, "and is the only one", "")?;
        let state = world.state("nhi_credential.it")?;
        holds(state["last_revocation"]["grade"] == "A", "grade A", &state.to_string())?;
        let told = world.nhi(&["ledger", "show", "--kind", "rotation.proven"])?.expect(0)?;
        holds(told.contains("grade=A"), "the ledger has the proof", &told)?;
        world.plan_is_empty()
    });
}

#[test]
fn other_scopes_of_a_token_are_a_rotation_and_one_that_its_user_lacks_is_refused() {
    in_school(&[OWNERS, INTEGRATION, SCOPE, TOKEN].concat(), |school| {
        let world = &school.world;
        world.apply()?;
        let first = school.token()?;
        let main = [OWNERS, INTEGRATION, SCOPE, TOKEN].concat();
        let with = |scopes: &str| main.replace("\"inherit\"", scopes);
        world.write("main.tf", &with("\"read:users!user\""))?;
        let said = world.plan()?.expect(2)?;
        holds(flat(&said).contains("generation = 1 -> 2"), "a new generation is planned", &said)?;
        world.apply()?;
        let second = school.token()?;
        holds(school.can(&second, "read:users:name!user=grade-sync")?, "it may less", "")?;
        holds(!school.can(&second, "list:users")?, "than its user", "")?;
        std::thread::sleep(Duration::from_secs(5));
        world.apply()?;
        holds(school.hub.whose(&first)?.is_none(), "the wide one is refused", "")?;
        // The hub shows more scopes than were asked for: that is no drift.
        nothing_is_left_to_do(world)?;

        world.write("main.tf", &with("\"admin:users\""))?;
        let said = world.terraform(&["apply", "-auto-approve"])?.expect(1)?;
        holds(flat(&said).contains("give the user the scopes first"), "the way out", &said)?;
        holds(school.hub.whose(&second)?.is_some(), "and what was there works on", "")?;
        world.write("main.tf", &with("\"read:users!user\""))?;
        world.apply()?;
        world.plan_is_empty()
    });
}

#[test]
fn a_token_of_somebody_else_is_shown_and_let_live_and_all_is_gone_at_the_end() {
    in_school(&[OWNERS, INTEGRATION, SCOPE, TOKEN].concat(), |school| {
        let world = &school.world;
        let before = school.hub.everything()?;
        world.apply()?;
        let ours = school.token()?;
        let body = json!({ "note": "just to try something" });
        let made = school.hub.by_hand("POST", "users/grade-sync/tokens", Some(&body))?;
        let theirs = made["token"].as_str().unwrap_or_default().to_owned();
        world.note([theirs.clone()])?;
        let told = world.nhi(&["drift"])?.expect(4)?;
        let id = made["id"].as_str().unwrap_or_default();
        holds(told.contains(&format!("{id}.")), "it is named", &told)?;
        world.apply()?;
        holds(school.hub.whose(&theirs)?.is_some(), "and lives on", "")?;

        for name in
            ["terraform.tfstate", "terraform.tfstate.backup", "nhi.db", "nhi.db-wal", "nhi.db-shm"]
        {
            let _ = std::fs::remove_file(world.folder.join(name));
        }
        let id = "hub/jupyterhub_user/grade-sync";
        for (address, id) in [
            ("nhi_owner.teaching", "owner/teaching".to_owned()),
            ("nhi_integration.it", id.to_owned()),
            ("nhi_scope.it", format!("{id}/scope")),
            ("nhi_credential.it", format!("{id}/credential/default")),
        ] {
            world.terraform(&["import", address, &id])?.expect(0)?;
        }
        let said = world.plan()?.said;
        holds(said.contains("0 to add") && said.contains("0 to destroy"), "it is known", &said)?;
        world.apply()?;
        holds(school.token()? == ours, "and nothing was rotated", "")?;
        world.terraform(&["destroy", "-auto-approve"])?.expect(0)?;
        for token in [&ours, &theirs] {
            holds(school.hub.whose(token)?.is_none(), "no token works", "")?;
        }
        let after = school.hub.everything()?;
        holds(after == before, "nothing is left", &format!("{after:?}"))
    });
}

#[test]
fn an_answer_of_the_hub_that_is_lost_leaves_what_the_next_apply_finishes() {
    for (method, path) in MAKES {
        through_a_proxy(&[OWNERS, INTEGRATION, SCOPE, TOKEN].concat(), |school, between| {
            let told = |error| format!("{method} {path}: {error}");
            between.proxy.add(Rule::once(method, path, Effect::LoseAnswer));
            let first = school.world.terraform(&["apply", "-auto-approve"])?;
            let seen = between.proxy.seen();
            let lost = seen.iter().any(|one| one.path.contains(path) && one.status.is_none());
            holds(lost, "an answer was lost", &format!("{seen:?}")).map_err(told)?;
            if first.code != 0 {
                says_what_to_do(&first.said).map_err(told)?;
                school.world.apply().map_err(told)?;
            }
            school.is_settled(0).map_err(told)
        });
    }
}

#[test]
fn a_provider_killed_at_a_hub_is_told_leaves_what_the_next_apply_finishes() {
    for (method, path) in MAKES {
        for (at, held) in HELD.into_iter().enumerate() {
            through_a_proxy(&[OWNERS, INTEGRATION, SCOPE, TOKEN].concat(), |school, between| {
                let told = |error| format!("{method} {path}, held at {at}: {error}");
                let rule = |hold| Rule::once(method, path, held(hold));
                killed_at(&school.world, between, rule).map_err(told)?;
                if path.ends_with("tokens") {
                    std::thread::sleep(SILENCE);
                }
                school.world.apply().map_err(told)?;
                school.is_settled(0).map_err(told)
            });
        }
    }
}

#[test]
fn a_provider_killed_in_a_rotation_of_a_token_leaves_one_that_works_and_none_that_is_unknown() {
    let main = [OWNERS, INTEGRATION, SCOPE, TOKEN].concat();
    let second = main.replace("now = \"1\"", "now = \"2\"");
    for call in [("POST", "users/grade-sync/tokens"), ("DELETE", "users/grade-sync/tokens/")] {
        for (at, held) in HELD.into_iter().enumerate() {
            through_a_proxy(&main, |school, between| {
                let told = |error| format!("{} {}, held at {at}: {error}", call.0, call.1);
                let world = &school.world;
                world.apply()?;
                let first = school.token()?;
                world.write("main.tf", &second)?;
                if call.0 == "DELETE" {
                    world.apply().map_err(told)?;
                    std::thread::sleep(Duration::from_secs(5));
                }
                let rule = |hold| Rule::once(call.0, call.1, held(hold));
                killed_at(world, between, rule).map_err(told)?;
                if call.0 == "POST" {
                    let works = school.can(&first, "list:users")?;
                    holds(works, "the old one works all the time", "").map_err(told)?;
                }
                std::thread::sleep(SILENCE);
                world.apply().map_err(told)?;
                // The overlap may have gone by while nobody was there, or begins only now.
                std::thread::sleep(Duration::from_secs(5));
                world.apply().map_err(told)?;
                holds(school.hub.whose(&first)?.is_none(), "the old one is refused", "")
                    .map_err(told)?;
                let state = world.state("nhi_credential.it")?;
                let proven = state["last_revocation"]["grade"] == "A" && state["generation"] == 2;
                holds(proven, "and proven so", &state.to_string()).map_err(told)?;
                school.is_settled(0).map_err(told)
            });
        }
    }
}

#[test]
fn a_provider_killed_at_it_takes_everything_away_leaves_what_the_next_apply_takes() {
    let main = [OWNERS, INTEGRATION, SCOPE, TOKEN].concat();
    // The user's own end is the second that its path is in: the first is its token's.
    for (method, path, nth) in [
        ("DELETE", "users/grade-sync/tokens/", 1),
        ("DELETE", "groups/readers/users", 1),
        ("PATCH", "shares/veteran", 1),
        ("DELETE", "users/grade-sync", 2),
        ("DELETE", "groups/nhi-grade-sync", 1),
    ] {
        for (at, held) in HELD.into_iter().enumerate() {
            through_a_proxy(&main, |school, between| {
                let told = |error| format!("{method} {path}, held at {at}: {error}");
                let before = school.hub.everything()?;
                let world = &school.world;
                world.apply()?;
                let token = school.token()?;
                world.write("main.tf", OWNERS)?;
                let rule = |hold| Rule { nth, ..Rule::once(method, path, held(hold)) };
                killed_at(world, between, rule).map_err(told)?;
                if path.contains("tokens") {
                    std::thread::sleep(SILENCE);
                }
                world.apply().map_err(told)?;
                holds(school.hub.whose(&token)?.is_none(), "the token is refused", "")
                    .map_err(told)?;
                let after = school.hub.everything()?;
                holds(after == before, "nothing is left", &format!("{after:?}")).map_err(told)?;
                world.plan_is_empty().map_err(told)
            });
        }
    }
}

#[test]
fn access_as_a_user_lets_in_during_the_apply_is_nobody_s_stray_and_is_gone_after_it() {
    let main = [OWNERS, INTEGRATION, SCOPE].concat();
    in_school(&main, |school| {
        let world = &school.world;
        world.apply()?;
        let kept = tempfile::tempdir().map_err(|error| error.to_string())?;
        let nhi = world.nhi_command().get_program().to_string_lossy().into_owned();
        // Whoever looks for drift while it is open finds none.
        let uses = r#"
ephemeral "nhi_access_token" "it" {
  integration = nhi_integration.it
}

resource "terraform_data" "consumer" {
  provisioner "local-exec" {
    command     = "printf %s \"$TOKEN\" > '<KEPT>/token' && curl -sf -H \"Authorization: token $TOKEN\" '<HUB>/hub/api/users' > '<KEPT>/users' && '<NHI>' drift > '<KEPT>/drift'"
    environment = { TOKEN = ephemeral.nhi_access_token.it.token }
  }
  depends_on = [nhi_scope.it]
}
"#;
        let uses = uses.replace("<KEPT>", &kept.path().display().to_string());
        let uses = uses.replace("<NHI>", &nhi).replace("<HUB>", &school.hub.address());
        world.write("main.tf", &[&*main, &*uses].concat())?;
        let said = world.apply()?;
        holds(!said.contains("E-ACCESS-OPEN"), "it could be ended", &said)?;
        let read = |name| {
            std::fs::read_to_string(kept.path().join(name)).map_err(|error| error.to_string())
        };
        let (token, users) = (read("token")?, read("users")?);
        world.note([token.clone()])?;
        holds(users.contains("grade-sync"), "it may what its user may", &users)?;
        holds(school.hub.whose(&token)?.is_none(), "and nothing after the run", "")?;
        let tokens = school.hub.tokens("grade-sync")?;
        holds(tokens.is_empty(), "no token is left", &format!("{tokens:?}"))?;
        world.plan_is_empty()
    });
}
