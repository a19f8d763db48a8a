//! A client secret at a server that makes another one: it rotates in place, whatever becomes of the
//! answer that brings it.

use acceptance_tests::{
    Core, Result, World,
    servers::{Oidc, oidc},
    world::{LEDGER, STATE, nhi_hcl},
};
use connector::fault_proxy::{Effect, Rule};
use serde_json::Value;

use crate::{Between, SILENCE, flat, holds, kill::killed_at, oauth::behind_a_proxy};

pub(crate) const MAIN: &str = r#"
terraform {
  required_providers {
    nhi = { source = "open-nhi/nhi" }
  }
}

provider "nhi" {}

resource "nhi_owner" "desk" {
  name  = "service-desk"
  email = "desk@acme.example"
}

resource "nhi_integration" "it" {
  connection_name = "login"
  name            = "ticket-sync"
  purpose         = "Copies open tickets into the weekly report of the service desk"
  environment     = "production"
  business_owner  = nhi_owner.desk
  technical_owner = nhi_owner.desk
  oauth_client    = {}
}

resource "nhi_scope" "it" {
  integration   = nhi_integration.it
  scopes        = ["tickets:read"]
  justification = "Reads the tickets that the report is about"
}

resource "nhi_credential" "it" {
  integration         = nhi_integration.it
  oauth_client_secret = {}
  triggers            = { now = "<NOW>" }
  deliver_to          = { app = { connection = "bao", path = "secret/apps/ticket-sync" } }
}
"#;

struct Desk {
    world: World,
    oidc: Oidc,
    between: Between,
}

impl Desk {
    /// A server behind a proxy that makes another secret for an update without the one that is there,
    /// and keeps its registration tokens, so that a lost answer costs no management.
    fn at(core: Core) -> Result<Desk> {
        let world = World::new(core, &MAIN.replace("<NOW>", "1"))?;
        let world = world.with("LOGIN_TOKEN", oidc::INITIAL);
        let (oidc, between) = behind_a_proxy(&[
            ("OIDC_KEEPS_TOKENS", "1".to_owned()),
            ("OIDC_REISSUES", "omitted".to_owned()),
        ])?;
        let login = format!(
            "connections = {{\n  login = {{\n    oauth = {{ address = \"{}\", credential = {{ env = \
             \"LOGIN_TOKEN\" }} }}\n  }}",
            between.proxy.address()
        );
        let hcl = nhi_hcl(&world.bao.address()).replace("connections = {", &login);
        world.write("nhi.hcl", &hcl)?;
        Ok(Desk { world, oidc, between })
    }

    fn asks(&self, now: &str) -> Result<()> {
        self.world.write("main.tf", &MAIN.replace("<NOW>", now))
    }

    /// What the application reads.
    fn document(&self) -> Result<Value> {
        self.world.bao.document("apps/ticket-sync")
    }

    fn signs_in(&self, document: &Value) -> Result<bool> {
        self.oidc.signs_in(document, "tickets:read")
    }

    /// The changes of the client since this was last asked.
    fn changes(&self) -> usize {
        let seen = self.between.proxy.seen();
        seen.iter().filter(|one| one.method == "PUT" && one.path.contains("/reg/")).count()
    }

    /// What is delivered works, what was does not, and nothing is left to do.
    fn is_at(&self, generation: u64, old: &Value) -> Result<()> {
        holds(self.signs_in(&self.document()?)?, "what is delivered works", "")?;
        holds(!self.signs_in(old)?, "the one before is refused", "")?;
        let state = self.world.state("nhi_credential.it")?;
        holds(state["generation"] == generation, "its generation", &state.to_string())?;
        // What its clients were given may live a while longer, and the grade says until when.
        let grade = state["last_revocation"]["grade"].as_str().unwrap_or_default();
        holds(grade.starts_with('A'), "grade A", &state.to_string())?;
        self.world.plan_is_empty()
    }

    fn story(&self) -> Result<()> {
        let world = &self.world;
        let said = flat(&world.plan()?.expect(2)?.replace('│', " "));
        holds(
            said.contains("replace-self") && said.contains("custody"),
            "what may be lost",
            &said,
        )?;
        // Whoever does not say that the server makes another is told where to say it.
        world.apply()?;
        self.asks("2")?;
        let said = flat(&world.plan()?.expect(1)?.replace('│', " "));
        holds(said.contains("E-ROTATE") && said.contains("reissues = true"), "the way on", &said)?;
        let hcl = world.read("nhi.hcl")?;
        let token = "credential = { env = \"LOGIN_TOKEN\" }";
        world.write("nhi.hcl", &hcl.replace(token, &format!("{token}, reissues = true")))?;
        let said = flat(&world.plan()?.expect(2)?.replace('│', " "));
        for part in ["replace-once", "without overlap", "stops working in that call"] {
            holds(said.contains(part), part, &said)?;
        }
        let first = self.document()?;
        world.apply()?;
        self.is_at(2, &first)?;

        // The answer is lost: what was made is read, and no other one is made.
        let second = self.document()?;
        self.asks("3")?;
        self.changes();
        self.between.proxy.add(Rule::once("PUT", "/reg/", Effect::LoseAnswer));
        let lost = world.terraform(&["apply", "-auto-approve"])?;
        self.between.proxy.clear();
        if lost.code != 0 {
            world.apply().map_err(|error| format!("{}\nand then: {error}", lost.said))?;
        }
        self.is_at(3, &second)?;
        holds(self.changes() == 1, "one change of the client", "")?;

        // The provider dies before it hears of it: nothing works then, as the plan had said.
        let third = self.document()?;
        self.asks("4")?;
        let held = |hold| Rule::once("PUT", "/reg/", Effect::HoldAnswer(hold));
        killed_at(world, &self.between, held)?;
        holds(!self.signs_in(&self.document()?)?, "what is delivered is refused", "")?;
        std::thread::sleep(SILENCE);
        world.apply()?;
        self.is_at(4, &third)?;
        holds(self.changes() == 1, "one change of the client", "")?;
        // And before the server heard of it.
        let fourth = self.document()?;
        self.asks("5")?;
        let held = |hold| Rule::once("PUT", "/reg/", Effect::HoldRequest(hold));
        killed_at(world, &self.between, held)?;
        std::thread::sleep(SILENCE);
        world.apply()?;
        self.is_at(5, &fourth)?;
        world.terraform(&["destroy", "-auto-approve"])?.expect(0).map(drop)
    }

    fn tells_nothing(&self) -> Result<()> {
        self.world.note(self.oidc.told()?)?;
        self.world.no_secret_leaked(&[STATE, LEDGER])
    }
}

/// Gets a token, has a service ask the server about it, and keeps it where the search for secrets does
/// not go.
const USES: &str = r#"
ephemeral "nhi_access_token" "it" {
  integration = nhi_integration.it
  credential  = nhi_credential.it
}

resource "terraform_data" "consumer" {
  triggers_replace = "<WHICH>"
  provisioner "local-exec" {
    command     = "printf %s \"$TOKEN\" > '<KEPT>/token' && curl -sf --data-urlencode \"token@<KEPT>/token\" -d '@<KEPT>/service' '<ISSUER>/token/introspection' > '<KEPT>/said'"
    environment = { TOKEN = ephemeral.nhi_access_token.it.token }
  }
  depends_on = [nhi_scope.it]
}
"#;

#[test]
fn a_token_of_a_client_lets_in_during_the_apply_and_is_revoked_after_it() {
    let lets_in = |desk: &Desk| -> Result<()> {
        let world = &desk.world;
        let kept = tempfile::tempdir().map_err(|error| error.to_string())?;
        let file = |name: &str| kept.path().join(name);
        std::fs::write(file("service"), desk.oidc.service()?).map_err(|error| error.to_string())?;
        let mut before = String::new();
        for which in ["one", "two"] {
            let uses = USES.replace("<WHICH>", which).replace("<ISSUER>", &desk.oidc.address());
            let uses = uses.replace("<KEPT>", &kept.path().display().to_string());
            world.write("main.tf", &[&MAIN.replace("<NOW>", "1"), &*uses].concat())?;
            let said = world.apply()?;
            holds(!said.contains("E-ACCESS-OPEN"), "it could be ended", &said)?;
            let read =
                |name| std::fs::read_to_string(file(name)).map_err(|error| error.to_string());
            let (token, known) = (read("token")?, read("said")?);
            holds(known.contains("\"active\":true"), "it let in", &known)?;
            holds(known.contains("tickets:read"), "for what the client may", &known)?;
            holds(!token.is_empty() && token != before, "each apply has its own", "")?;
            holds(!desk.oidc.is_active(&token)?, "it is refused after the run", "")?;
            before = token;
        }
        // Without a credential the error names it.
        let main = world.read("main.tf")?.replace("  credential  = nhi_credential.it\n", "");
        world.write("main.tf", &main)?;
        let said = flat(&world.plan()?.expect(1)?.replace('│', " "));
        holds(said.contains("credential = nhi_credential.NAME"), "what to say", &said)
    };
    for core in Core::all().unwrap() {
        let path = core.path.display().to_string();
        let desk = Desk::at(core).unwrap();
        if let Err(error) = lets_in(&desk).and_then(|()| desk.tells_nothing()) {
            panic!("{path}: {error}");
        }
    }
}

#[test]
fn a_client_secret_rotates_in_place_where_its_server_makes_another_and_a_lost_answer_is_read() {
    for core in Core::all().unwrap() {
        let path = core.path.display().to_string();
        let desk = Desk::at(core).unwrap();
        if let Err(error) = desk.story().and_then(|()| desk.tells_nothing()) {
            panic!("{path}: {error}");
        }
    }
}
