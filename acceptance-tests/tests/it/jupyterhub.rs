//! A user of a real JupyterHub that no person is behind: born, let in, rotated, repaired, ended.

use acceptance_tests::{
    Core, Result, World,
    servers::JupyterHub,
    world::{LEDGER, STATE, nhi_hcl},
};
use serde_json::{Value, json};

use crate::{flat, holds};

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
        let connection = format!(
            "connections = {{\n  hub = {{\n    jupyterhub = {{ address = \"{}\", credential = {{ env = \"HUB_TOKEN\" }} }}\n  }}",
            hub.address()
        );
        let hcl = nhi_hcl(&world.bao.address()).replace("connections = {", &connection);
        world.write("nhi.hcl", &hcl).unwrap();
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

impl School {
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
        world.plan_is_empty()?;
        world.nhi(&["drift"])?.expect(0)?;

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
        std::thread::sleep(std::time::Duration::from_secs(5));
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
        std::thread::sleep(std::time::Duration::from_secs(5));
        world.apply()?;
        holds(school.hub.whose(&first)?.is_none(), "the wide one is refused", "")?;
        // The hub shows more scopes than were asked for: that is no drift.
        world.plan_is_empty()?;
        world.nhi(&["drift"])?.expect(0)?;

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
        let told = world.nhi(&["drift"])?.expect(2)?;
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
