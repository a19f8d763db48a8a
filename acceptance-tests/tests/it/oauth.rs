//! A client of a real authorization server: registered, opened, rotated, repaired, ended.

use acceptance_tests::{
    Core, Result, World,
    servers::{Oidc, Scim, scim},
    world::{LEDGER, STATE, nhi_hcl},
};
use connector::fault_proxy::{Effect, FaultProxy, Hold, Rule};
use serde_json::{Value, json};

use crate::{
    Between, SILENCE, applied_in_the_end, flat, holds, kill::killed_at, nothing_is_left_to_do,
};

const OWNERS: &str = r#"
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
"#;

const INTEGRATION: &str = r#"
resource "nhi_integration" "it" {
  connection_name = "login"
  name            = "ticket-sync"
  purpose         = "Copies open tickets into the weekly report of the service desk"
  environment     = "production"
  business_owner  = nhi_owner.desk
  technical_owner = nhi_owner.desk
  oauth_client    = { redirect_uris = ["https://app.acme.example/callback"] }
}
"#;

const SCOPE: &str = r#"
resource "nhi_scope" "it" {
  integration   = nhi_integration.it
  scopes        = ["tickets:read", "reports:read"]
  justification = "Reads tickets and the report that they go into"
}
"#;

const KEY: &str = r#"
resource "nhi_credential" "it" {
  integration       = nhi_integration.it
  oauth_private_key = {}
  schedule          = { name = "hourly", every = "1h", overlap = "4s" }
  triggers          = { now = "1" }
  deliver_to        = { app = { connection = "bao", path = "secret/apps/ticket-sync" } }
}
"#;

const SECRET: &str = r#"
resource "nhi_credential" "it" {
  integration         = nhi_integration.it
  oauth_client_secret = {}
  deliver_to          = { app = { connection = "bao", path = "secret/apps/ticket-sync" } }
}
"#;

/// All of it.
pub(crate) fn whole() -> String {
    [OWNERS, INTEGRATION, SCOPE, KEY].concat()
}

/// A world with an authorization server, and everything secret that was seen in it.
pub(crate) struct Login {
    pub(crate) world: World,
    pub(crate) oidc: Oidc,
    secrets: Vec<String>,
    /// The tokens that managed the client, each once.
    tokens: std::collections::BTreeSet<String>,
}

pub(crate) fn in_login(main: &str, story: impl Fn(&mut Login) -> Result<()>) {
    for core in Core::all().unwrap() {
        let oidc = Oidc::start().unwrap();
        let address = oidc.address();
        with_login(core, main, oidc, &address, &story);
    }
}

/// A story with a server that programs reach at an address.
fn with_login(
    core: Core,
    main: &str,
    oidc: Oidc,
    address: &str,
    story: impl Fn(&mut Login) -> Result<()>,
) {
    let path = core.path.display().to_string();
    let world = World::new(core, main)
        .unwrap()
        .with("LOGIN_TOKEN", acceptance_tests::servers::oidc::INITIAL);
    let connection = format!(
        "connections = {{\n  login = {{\n    oauth = {{ address = \"{address}\", credential = {{ env = \"LOGIN_TOKEN\" }}, token_lifetime_member = \"x_token_ttl\" }}\n  }}"
    );
    let hcl = nhi_hcl(&world.bao.address()).replace("connections = {", &connection);
    world.write("nhi.hcl", &hcl).unwrap();
    let mut login = Login { world, oidc, secrets: Vec::new(), tokens: Default::default() };
    if let Err(error) = story(&mut login).and_then(|()| login.tells_nothing()) {
        panic!("{path}: {error}");
    }
}

/// A server with these variables that stands behind a proxy, and calls itself by the proxy's address.
pub(crate) fn behind_a_proxy(variables: &[(&'static str, String)]) -> Result<(Oidc, Between)> {
    let runtime = tokio::runtime::Runtime::new().map_err(|error| error.to_string())?;
    let proxy = std::cell::RefCell::new(None);
    let oidc = Oidc::start_with(|port| {
        let upstream = format!("http://127.0.0.1:{port}");
        let between = runtime.block_on(FaultProxy::start(&upstream)).ok();
        let issuer = between.as_ref().map(|one| one.address().to_owned());
        *proxy.borrow_mut() = between;
        let issuer = issuer.map(|issuer| ("OIDC_ISSUER", issuer));
        issuer.into_iter().chain(variables.iter().cloned()).collect()
    })?;
    let proxy = proxy.take().ok_or("no proxy")?;
    Ok((oidc, Between { runtime, proxy }))
}

/// The same with a proxy in between that can make things go wrong. `keeps_tokens`: a registration token
/// stays what it is when it was used, as at many servers.
fn through_a_proxy(
    main: &str,
    keeps_tokens: bool,
    story: impl Fn(&mut Login, &Between) -> Result<()>,
) {
    for core in Core::all().unwrap() {
        let keeps = keeps_tokens.then(|| ("OIDC_KEEPS_TOKENS", "1".to_owned()));
        let (oidc, between) = behind_a_proxy(keeps.as_slice()).unwrap();
        let address = oidc.address();
        with_login(core, main, oidc, &address, |login| story(login, &between));
    }
}

impl Login {
    /// The place of the client's document in custody, and the document.
    fn custody(&self) -> Result<(String, Value)> {
        let folder = "nhi/k3x9q2-keyring";
        let list = format!("/v1/secret/metadata/{folder}?list=true");
        let keys = self.world.bao.ask("GET", &list, None)?.json["data"]["keys"].clone();
        let names = keys.as_array().into_iter().flatten().filter_map(Value::as_str);
        for name in names.filter(|name| name.starts_with("oauth-")) {
            let place = format!("{folder}/{name}");
            let document = self.world.bao.document(&place)?;
            let state = document["state"].as_str().unwrap_or_default();
            let state: Value = serde_json::from_str(state).unwrap_or_default();
            // That of its name only says which client it is.
            if state["phase"] != "kept" {
                return Ok((place, document));
            }
        }
        Err("custody holds no client".into())
    }

    /// The client's id, and the token that manages it now. It must differ from every earlier one.
    pub(crate) fn registration(&mut self) -> Result<(String, String)> {
        let (_, document) = self.custody()?;
        let state: Value = serde_json::from_str(document["state"].as_str().unwrap_or_default())
            .map_err(|error| error.to_string())?;
        let token = document["registration_token"].as_str().unwrap_or_default().to_owned();
        // A client that was deleted has none any more.
        if !token.is_empty() && self.tokens.insert(token.clone()) {
            self.secrets.push(token.clone());
        }
        Ok((state["client_id"].as_str().unwrap_or_default().to_owned(), token))
    }

    /// The client as the server has it, asked with what custody holds.
    fn client(&mut self) -> Result<Value> {
        let (id, token) = self.registration()?;
        self.oidc.registration("GET", &id, &token, None)
    }

    /// Somebody else who has custody's token changes the client, and keeps the new token there.
    pub(crate) fn by_hand(&mut self, change: &[(&str, Value)]) -> Result<()> {
        let mut client = self.client()?;
        let (id, token) = self.registration()?;
        for member in [
            "registration_client_uri",
            "registration_access_token",
            "client_id_issued_at",
            "client_secret_expires_at",
        ] {
            client.as_object_mut().map(|members| members.remove(member));
        }
        for (name, value) in change {
            client[*name] = value.clone();
        }
        let now = self.oidc.registration("PUT", &id, &token, Some(&client))?;
        self.keep_token(now["registration_access_token"].clone())?;
        self.registration().map(|_| ())
    }

    /// Writes a registration token into custody by hand.
    fn keep_token(&self, token: Value) -> Result<()> {
        let (place, mut document) = self.custody()?;
        let version = self.world.bao.get(&format!("/v1/secret/data/{place}"))?["data"]["metadata"]
            ["version"]
            .clone();
        document["registration_token"] = token;
        let written = json!({ "data": document, "options": { "cas": version } });
        self.world.bao.post(&format!("/v1/secret/data/{place}"), written).map(|_| ())
    }

    /// What the application reads.
    pub(crate) fn document(&mut self) -> Result<Value> {
        let document = self.world.bao.document("apps/ticket-sync")?;
        if let Some(pem) = document["private_key"].as_str() {
            self.secrets.extend(key_lines(pem));
        }
        self.secrets.extend(document["client_secret"].as_str().map(str::to_owned));
        Ok(document)
    }

    fn tells_nothing(&mut self) -> Result<()> {
        holds(!self.secrets.is_empty(), "there was something to keep quiet about", "")?;
        // What the provider itself was given and signed in with, which no document ever held.
        let told = self.oidc.told()?;
        let tokens = self.tokens.iter().filter(|token| !told.contains(token)).count();
        holds(tokens == 0, "the server's account has every registration token", "")?;
        self.secrets.extend(told);
        // Keys as a log would have them, a line at a time, whichever version of a document has them.
        for pem in self.world.bao.values()?.into_iter().filter(|one| one.contains("PRIVATE KEY")) {
            self.secrets.extend(key_lines(&pem));
        }
        self.world.note(self.secrets.iter().cloned())?;
        self.world.no_secret_leaked(&[STATE, LEDGER])
    }
}

fn key_lines(pem: &str) -> Vec<String> {
    let lines = pem.lines().filter(|line| line.len() > 20 && !line.starts_with('-'));
    lines.map(str::to_owned).collect()
}

fn sorted(list: &Value) -> Vec<String> {
    let mut all: Vec<String> = list
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect();
    all.sort();
    all
}

#[test]
fn a_client_is_born_parked_and_opened_by_the_later_of_scope_and_key() {
    in_login(&[OWNERS, INTEGRATION].concat(), |login| {
        login.world.apply()?;
        let client = login.client()?;
        holds(
            client["token_endpoint_auth_method"] == "none" && client["grant_types"] == json!([]),
            "it is born without a way to get a token",
            &client.to_string(),
        )?;
        login.world.plan_is_empty()?;
        login.world.write("main.tf", &[OWNERS, INTEGRATION, KEY].concat())?;
        login.world.apply()?;
        let document = login.document()?;
        holds(login.client()?["grant_types"] == json!([]), "a key alone opens nothing", "")?;
        holds(!login.oidc.signs_in(&document, "tickets:read")?, "nor gets a token", "")?;
        login.world.write("main.tf", &[OWNERS, INTEGRATION, KEY, SCOPE].concat())?;
        login.world.apply()?;
        let got = login.oidc.token(&document, "tickets:read")?;
        holds(got.status == 200, "the application gets a token", &got.json.to_string())?;
        let more = login.oidc.token(&document, "admin")?;
        holds(more.status == 400, "and none for more", &more.json.to_string())?;
        nothing_is_left_to_do(&login.world)?;
        // Each change gave the registration another token, and custody had every one of them.
        login.registration()?;
        holds(login.tokens.len() >= 3, "custody followed the token", "")
    });
}

#[test]
fn a_key_rotates_with_overlap_and_the_old_one_is_proven_refused() {
    in_login(&[OWNERS, INTEGRATION, SCOPE, KEY].concat(), |login| {
        login.world.apply()?;
        login.registration()?;
        let first = login.document()?;
        let main = [OWNERS, INTEGRATION, SCOPE, KEY].concat().replace("now = \"1\"", "now = \"2\"");
        login.world.write("main.tf", &main)?;
        let said = login.world.plan()?.expect(2)?;
        holds(flat(&said).contains("generation = 1 -> 2"), "a new generation is planned", &said)?;
        login.world.apply()?;
        let second = login.document()?;
        let client = login.client()?;
        holds(
            client["jwks"]["keys"].as_array().is_some_and(|keys| keys.len() == 2),
            "both keys are there",
            &client.to_string(),
        )?;
        holds(login.oidc.signs_in(&first, "tickets:read")?, "the old one still works", "")?;
        holds(login.oidc.signs_in(&second, "tickets:read")?, "and so does the new one", "")?;
        std::thread::sleep(std::time::Duration::from_secs(5));
        let said = login.world.plan()?.expect(2)?;
        holds(said.contains("\"retire_due\" -> \"current\""), "the old one is to go", &said)?;
        login.world.apply()?;
        holds(!login.oidc.signs_in(&first, "tickets:read")?, "the old one is refused", "")?;
        holds(login.oidc.signs_in(&second, "tickets:read")?, "the new one works", "")?;
        let state = login.world.state("nhi_credential.it")?;
        // What its clients were given may live a while longer, and the grade says until when.
        let grade = state["last_revocation"]["grade"].as_str().unwrap_or_default();
        holds(grade.starts_with('A'), "grade A", &state.to_string())?;
        let told = login.world.nhi(&["ledger", "show", "--kind", "rotation.proven"])?.expect(0)?;
        holds(told.contains("grade=A"), "the ledger has the proof", &told)?;
        login.world.plan_is_empty()?;
        login.registration().map(|_| ())
    });
}

#[test]
fn what_was_changed_on_a_client_by_hand_is_shown_and_repaired() {
    in_login(&[OWNERS, INTEGRATION, SCOPE, KEY].concat(), |login| {
        login.world.apply()?;
        let document = login.document()?;
        login.by_hand(&[
            (
                "redirect_uris",
                json!(["https://app.acme.example/callback", "https://evil.example/take"]),
            ),
            ("scope", json!("tickets:read reports:read tickets:write")),
            ("contacts", json!(["someone@evil.example"])),
        ])?;
        let said = login.world.plan()?.expect(2)?;
        holds(said.contains("- \"https://evil.example/take\""), "the callback is named", &said)?;
        holds(said.contains("- \"tickets:write\""), "and the scope", &said)?;
        let contact = "email = \"someone@evil.example\" -> \"desk@acme.example\"";
        holds(flat(&said).contains(contact), "and whom it shows as a contact", &said)?;
        let told = login.world.nhi(&["drift"])?.expect(2)?;
        holds(
            told.contains("https://evil.example/take")
                && told.contains("tickets:write")
                && told.contains("record.contacts"),
            "drift says the same",
            &told,
        )?;
        login.world.apply()?;
        login.world.plan_is_empty()?;
        let client = login.client()?;
        holds(
            sorted(&client["redirect_uris"]) == ["https://app.acme.example/callback"],
            "the callback is gone",
            &client.to_string(),
        )?;
        holds(
            login.oidc.token(&document, "tickets:write")?.status == 400,
            "and the scope is refused",
            "",
        )?;
        login.by_hand(&[("scope", json!("reports:read"))])?;
        let said = login.world.plan()?.expect(2)?;
        holds(said.contains("+ \"tickets:read\""), "what was taken away is given back", &said)?;
        holds(said.contains("This change gives power"), "and that is said", &said)?;
        login.world.apply()?;
        login.world.plan_is_empty()
    });
}

#[test]
fn the_first_client_secret_is_delivered_and_a_second_is_refused_at_plan() {
    in_login(&[OWNERS, INTEGRATION, SCOPE, SECRET].concat(), |login| {
        login.world.apply()?;
        login.registration()?;
        let document = login.document()?;
        holds(login.oidc.signs_in(&document, "tickets:read")?, "it gets a token", "")?;
        login.world.plan_is_empty()?;
        for value in ["1", "2"] {
            let main = [OWNERS, INTEGRATION, SCOPE, SECRET].concat().replace(
                "  oauth_client_secret = {}\n",
                &format!("  oauth_client_secret = {{}}\n  triggers = {{ now = \"{value}\" }}\n"),
            );
            login.world.write("main.tf", &main)?;
            if value == "1" {
                login.world.apply()?;
            }
        }
        let said = login.world.plan()?.expect(1)?;
        holds(
            said.contains("E-ROTATE") && said.contains("oauth_private_key"),
            "the way out",
            &said,
        )?;
        holds(login.oidc.signs_in(&document, "tickets:read")?, "and it still works", "")?;
        // The way out that the error names.
        login.world.write("main.tf", &[OWNERS, INTEGRATION, SCOPE, KEY].concat())?;
        login.world.apply()?;
        holds(!login.oidc.signs_in(&document, "tickets:read")?, "the secret is refused", "")?;
        let key = login.document()?;
        holds(login.oidc.signs_in(&key, "tickets:read")?, "a key took its place", "")?;
        login.world.plan_is_empty()
    });
}

#[test]
fn a_client_secret_that_was_ended_for_an_incident_never_works_again() {
    let main = [OWNERS, INTEGRATION, SCOPE, SECRET].concat();
    in_login(&main, |login| {
        login.world.apply()?;
        login.registration()?;
        let exposed = login.document()?;
        let replace = ["plan", "-replace=nhi_credential.it"];
        let said = flat(&login.world.terraform(&replace)?.expect(1)?);
        holds(said.contains("E-ROTATE") && said.contains("enabled = false"), "at plan", &said)?;
        let off = "  purpose         =";
        let switched = format!("  enabled         = false\n  incident        = \"INC-9\"\n{off}");
        login.world.write("main.tf", &main.replace(off, &switched))?;
        login.world.apply()?;
        holds(!login.oidc.signs_in(&exposed, "tickets:read")?, "it is refused", "")?;
        let told = login.world.nhi(&["ledger", "show", "--kind", "rotation.proven"])?.expect(0)?;
        holds(told.contains("grade=C"), "and proven to be no more than switched off", &told)?;
        login.world.write("main.tf", &main)?;
        let said = login.world.terraform(&["apply", "-auto-approve"])?.expect(1)?;
        let told = flat(&said);
        holds(told.contains("E-GIVEN-AGAIN") && told.contains("-replace"), "it came again", &said)?;
        holds(!login.oidc.signs_in(&exposed, "tickets:read")?, "and is refused still", "")?;
        login.registration()?;
        // The way out that the error names.
        let replace = ["apply", "-auto-approve", "-replace=nhi_integration.it"];
        login.world.terraform(&replace)?.expect(0)?;
        login.registration()?;
        let fresh = login.document()?;
        holds(login.oidc.signs_in(&fresh, "tickets:read")?, "another client signs in", "")?;
        holds(!login.oidc.signs_in(&exposed, "tickets:read")?, "the exposed one does not", "")?;
        login.world.plan_is_empty()
    });
}

#[test]
fn a_client_secret_that_the_server_changed_is_delivered_and_sent_as_it_is_declared() {
    in_login(&[OWNERS, INTEGRATION, SCOPE, SECRET].concat(), |login| {
        login.world.apply()?;
        login.registration()?;
        let first = login.document()?;
        let turned = "turned-by-the-server-4Kx0Wq7Zt2Lm";
        login.secrets.push(turned.to_owned());
        login.by_hand(&[("x_secret", json!(turned))])?;
        holds(!login.oidc.signs_in(&first, "tickets:read")?, "the delivered one is refused", "")?;
        let said = login.world.plan()?.expect(2)?;
        holds(said.contains("\"stale_copy\" -> \"current\""), "a copy is to be made", &said)?;
        holds(said.contains("\"changed\" -> \"delivered\""), "of what is there now", &said)?;
        let told = login.world.nhi(&["drift"])?.expect(2)?;
        holds(!told.contains(turned), "drift keeps quiet about it", "")?;
        login.world.apply()?;
        let mut second = login.document()?;
        holds(second["client_secret"] == turned, "it is the one that the server has", "")?;
        holds(login.oidc.signs_in(&second, "tickets:read")?, "and works", "")?;
        login.world.plan_is_empty()?;
        let state = login.world.state("nhi_credential.it")?;
        holds(state["generation"] == 1, "it is the same generation", &state.to_string())?;

        let main = [OWNERS, INTEGRATION, SCOPE, SECRET].concat().replace(
            "oauth_client_secret = {}",
            "oauth_client_secret = { method = \"client_secret_post\" }",
        );
        login.world.write("main.tf", &main)?;
        let said = login.world.plan()?.expect(2)?;
        holds(said.contains("0 to destroy") && said.contains("method"), "it is planned", &said)?;
        login.world.apply()?;
        second["method"] = json!("client_secret_post");
        holds(login.oidc.signs_in(&second, "tickets:read")?, "it is sent in the form", "")?;
        login.world.plan_is_empty()?;
        login.by_hand(&[("token_endpoint_auth_method", json!("client_secret_basic"))])?;
        let said = login.world.plan()?.expect(2)?;
        holds(said.contains("\"client_secret_basic\" -> \"client_secret_post\""), "seen", &said)?;
        login.world.apply()?;
        holds(login.oidc.signs_in(&second, "tickets:read")?, "and it is put right", "")?;
        login.world.plan_is_empty()?;

        login.world.write("main.tf", &main.replace("secret_post", "secret_jwt"))?;
        let said = login.world.plan()?.expect(1)?;
        let told = flat(&said);
        holds(told.contains("oauth_client_secret.method: expected one of"), "the words", &said)
    });
}

#[test]
fn a_client_that_somebody_deleted_is_not_called_gone_and_the_way_out_is_told_and_works() {
    in_login(&[OWNERS, INTEGRATION, SCOPE, KEY].concat(), |login| {
        login.world.apply()?;
        login.document()?;
        let (id, token) = login.registration()?;
        let (place, _) = login.custody()?;
        // Another state has no part in it: it is told which client has the name.
        let state = login.world.read(STATE)?;
        std::fs::remove_file(login.world.folder.join(STATE)).map_err(|error| error.to_string())?;
        let ran = login.world.terraform(&["apply", "-auto-approve"])?.expect(1)?;
        let import = format!("terraform import <ADDRESS> 'login/oauth_client/{id}'");
        holds(flat(&ran).contains("E-EXISTS") && flat(&ran).contains(&import), "its id", &ran)?;
        login.world.write(STATE, &state)?;
        login
            .oidc
            .registration("DELETE", &id, &token, None)
            .map(drop)
            .or_else(|said| if said.contains(": 204 ") { Ok(()) } else { Err(said) })?;
        for words in [&["plan"][..], &["destroy", "-auto-approve"]] {
            let said = login.world.terraform(words)?.expect(1)?;
            let told: String = said.replace('│', " ");
            let told = flat(&told);
            for part in ["E-UNREADABLE", &id, "works on", "terraform state rm", &place] {
                holds(told.contains(part), part, &said)?;
            }
        }
        // The way out, as it is told.
        for address in ["nhi_credential.it", "nhi_scope.it", "nhi_integration.it"] {
            login.world.terraform(&["state", "rm", address])?.expect(0)?;
        }
        for place in [&*place, "apps/ticket-sync"] {
            let path = format!("/v1/secret/metadata/{place}");
            login.world.bao.ask("DELETE", &path, None)?;
        }
        login.world.apply()?;
        login.world.plan_is_empty()?;
        let (successor, _) = login.registration()?;
        holds(successor != id, "it is another client", &successor)?;
        let document = login.document()?;
        holds(login.oidc.signs_in(&document, "tickets:read")?, "which signs in", "")?;
        login.world.terraform(&["destroy", "-auto-approve"])?.expect(0).map(drop)
    });
}

#[test]
fn how_long_tokens_live_is_declared_and_put_right() {
    let lives = INTEGRATION
        .replace("oauth_client    = { ", "oauth_client    = { token_lifetime = \"5m\", ");
    in_login(&[OWNERS, &lives, SCOPE, KEY].concat(), |login| {
        login.world.apply()?;
        login.world.plan_is_empty()?;
        let document = login.document()?;
        let got = login.oidc.token(&document, "tickets:read")?;
        holds(
            got.json["expires_in"] == 300,
            "the server does so",
            &got.json["expires_in"].to_string(),
        )?;
        login.by_hand(&[("x_token_ttl", json!(86_400))])?;
        let said = login.world.plan()?.expect(2)?;
        holds(flat(&said).contains("token_lifetime = \"1d\" -> \"5m\""), "it is seen", &said)?;
        login.world.apply()?;
        login.world.plan_is_empty()?;
        let got = login.oidc.token(&document, "tickets:read")?;
        holds(got.json["expires_in"] == 300, "and put right", "")
    });
}

#[test]
fn what_a_client_cannot_have_is_refused_by_the_plan_with_the_way_out() {
    let bare = [OWNERS, INTEGRATION, SCOPE].concat();
    let main = [&bare, KEY].concat();
    let second = SECRET
        .replace("\"it\" {", "\"second\" {\n  name = \"second\"")
        .replace("apps/ticket-sync", "apps/second");
    let both = [&*main, &second].concat();
    in_login(&both, |login| {
        let no_room = |login: &Login, what: &str| {
            let said = login.world.plan()?.expect(1)?;
            let told = flat(&said.replace('│', " "));
            let parts =
                ["E-NO-ROOM", "oauth_private_key", "oauth_client_secret", "keep one of the two"];
            holds(parts.iter().all(|part| told.contains(part)), what, &said)
        };
        no_room(login, "two types that the first plan of all makes")?;
        login.world.write("main.tf", &bare)?;
        login.world.apply()?;
        login.world.write("main.tf", &both)?;
        no_room(login, "two types that a later plan makes")?;
        login.world.write("main.tf", &main)?;
        login.world.apply()?;
        login.world.write("main.tf", &both)?;
        no_room(login, "one type beside what lives")?;
        login.world.write("main.tf", &main)?;
        login.world.plan_is_empty()?;

        let elsewhere = json!("https://elsewhere.example/jwks");
        login.by_hand(&[("jwks", Value::Null), ("jwks_uri", elsewhere)])?;
        let said = login.world.plan()?.expect(1)?;
        let told = flat(&said.replace('│', " "));
        holds(
            told.contains("E-NO-ROOM") && told.contains("jwks_uri"),
            "an address of keys",
            &said,
        )?;
        holds(told.contains("revoke_unmanaged = true"), "with the way out", &said)?;
        let name = "  name            =";
        let strict = main.replace(name, &format!("  revoke_unmanaged = true\n{name}"));
        login.world.write("main.tf", &strict)?;
        login.world.apply()?;
        login.world.plan_is_empty()?;
        let document = login.document()?;
        holds(login.oidc.signs_in(&document, "tickets:read")?, "a new key signs in", "")?;

        let lives =
            strict.replace("oauth_client    = { ", "oauth_client    = { token_lifetime = \"5m\", ");
        login.world.write("main.tf", &lives)?;
        let hcl = login.world.read("nhi.hcl")?;
        let member = ", token_lifetime_member = \"x_token_ttl\"";
        login.world.write("nhi.hcl", &hcl.replace(member, ""))?;
        let said = login.world.plan()?.expect(1)?;
        let told = flat(&said.replace('│', " "));
        holds(told.contains("E-NOT-TAKEN"), "a setting that the connection cannot take", &said)?;
        holds(told.contains("token_lifetime_member of the connection"), "with the way out", &said)?;
        login.registration().map(drop)
    });
}

#[test]
fn another_algorithm_is_a_rotation_with_overlap() {
    in_login(&[OWNERS, INTEGRATION, SCOPE, KEY].concat(), |login| {
        login.world.apply()?;
        let mut old = login.document()?;
        for algorithm in ["ES384", "EdDSA"] {
            let main = [OWNERS, INTEGRATION, SCOPE, KEY].concat().replace(
                "oauth_private_key = {}",
                &format!("oauth_private_key = {{ algorithm = \"{algorithm}\" }}"),
            );
            login.world.write("main.tf", &main)?;
            let said = login.world.plan()?.expect(2)?;
            holds(flat(&said).contains("generation ="), "a new generation is planned", &said)?;
            login.world.apply()?;
            let new = login.document()?;
            holds(login.oidc.signs_in(&old, "tickets:read")?, "the old one still works", "")?;
            holds(login.oidc.signs_in(&new, "tickets:read")?, "the new one works", algorithm)?;
            std::thread::sleep(std::time::Duration::from_secs(5));
            login.world.apply()?;
            holds(!login.oidc.signs_in(&old, "tickets:read")?, "the old one is refused", "")?;
            login.world.plan_is_empty()?;
            old = new;
        }
        login.registration().map(|_| ())
    });
}

#[test]
fn a_client_is_imported_by_its_id_and_destroyed_with_its_key() {
    in_login(&[OWNERS, INTEGRATION, SCOPE, KEY].concat(), |login| {
        login.world.apply()?;
        let before = login.document()?;
        let (id, _) = login.registration()?;
        for name in
            ["terraform.tfstate", "terraform.tfstate.backup", "nhi.db", "nhi.db-wal", "nhi.db-shm"]
        {
            let _ = std::fs::remove_file(login.world.folder.join(name));
        }
        for (address, id) in [
            ("nhi_owner.desk", "owner/service-desk".to_owned()),
            ("nhi_integration.it", format!("login/oauth_client/{id}")),
            ("nhi_scope.it", format!("login/oauth_client/{id}/scope")),
            ("nhi_credential.it", format!("login/oauth_client/{id}/credential/default")),
        ] {
            login.world.terraform(&["import", address, &id])?.expect(0)?;
        }
        let said = login.world.plan()?.said;
        holds(
            said.contains("0 to add") && said.contains("0 to destroy"),
            "nothing is made anew",
            &said,
        )?;
        login.world.apply()?;
        login.world.plan_is_empty()?;
        holds(login.document()? == before, "and nothing was rotated", "")?;
        let (id, token) = login.registration()?;
        login.world.terraform(&["destroy", "-auto-approve"])?.expect(0)?;
        holds(!login.oidc.signs_in(&before, "tickets:read")?, "the key is refused", "")?;
        holds(
            login.oidc.registration("GET", &id, &token, None).is_err(),
            "the client is gone",
            "",
        )?;
        let told = login.world.nhi(&["ledger", "show"])?.expect(0)?;
        login.registration()?;
        holds(told.contains(&id), "the ledger tells of it", &told)
    });
}

/// A key as a person makes one: its public half as the server takes it, and the private one.
fn key_made_by_hand() -> Result<(Value, String)> {
    const MAKE: &str = "const { publicKey, privateKey } = require('crypto').generateKeyPairSync('ec', \
        { namedCurve: 'P-256' }); console.log(JSON.stringify([publicKey.export({ format: 'jwk' }), \
        privateKey.export({ type: 'pkcs8', format: 'pem' })]))";
    let node = acceptance_tests::tools::need("node")?;
    let made = std::process::Command::new(node).args(["-e", MAKE]).output();
    let made = made.map_err(|error| error.to_string())?.stdout;
    serde_json::from_slice(&made).map_err(|error| error.to_string())
}

/// A story with clients of these names that somebody registered, every other one with a secret that the
/// server chose; custody knows what manages each.
pub(crate) fn with_clients_made_by_hand(
    names: &[&str],
    story: impl Fn(&World, &[String]) -> Result<()>,
) {
    in_login(OWNERS, |login| {
        login.world.apply()?;
        let mut ids = Vec::new();
        for (number, name) in names.iter().enumerate() {
            let (jwk, pem) = key_made_by_hand()?;
            login.secrets.extend(key_lines(&pem));
            let mut client = json!({
                "client_name": name,
                "grant_types": ["client_credentials"],
                "response_types": [],
                "redirect_uris": ["https://app.acme.example/callback"],
                "scope": "tickets:read reports:read",
            });
            if number % 2 == 0 {
                client["token_endpoint_auth_method"] = json!("private_key_jwt");
                client["jwks"] = json!({ "keys": [jwk] });
            } else {
                client["token_endpoint_auth_method"] = json!("client_secret_basic");
            }
            let answer = login.oidc.register(&client)?;
            let id = answer["client_id"].as_str().unwrap_or_default().to_owned();
            for secret in ["registration_access_token", "client_secret"] {
                login.secrets.extend(answer[secret].as_str().map(str::to_owned));
            }
            let place = format!("/v1/secret/data/nhi/k3x9q2-keyring/client-{id}");
            let mut kept = json!({});
            for name in [
                "client_id",
                "registration_client_uri",
                "registration_access_token",
                "client_secret",
            ] {
                if answer[name].is_string() {
                    kept[name] = answer[name].clone();
                }
            }
            login.world.bao.post(&place, json!({ "data": kept }))?;
            ids.push(id);
        }
        story(&login.world, &ids)
    });
}

#[test]
fn a_client_that_somebody_registered_by_hand_is_imported_and_its_key_rotated() {
    let by_hand = KEY
        .replace("  triggers          = { now = \"1\" }\n", "")
        .replace("deliver_to        = { app = { connection = \"bao\", path = \"secret/apps/ticket-sync\" } }",
            "secret_source     = \"vault/ticket-sync\"");
    in_login(&[OWNERS, INTEGRATION, SCOPE, &by_hand].concat(), |login| {
        let (jwk, pem) = key_made_by_hand()?;
        login.secrets.extend(key_lines(&pem));
        let answer = login.oidc.register(&json!({
            "client_name": "ticket-sync",
            "token_endpoint_auth_method": "private_key_jwt",
            "grant_types": ["client_credentials"],
            "response_types": [],
            "redirect_uris": ["https://app.acme.example/callback"],
            "scope": "tickets:read reports:read",
            "jwks": { "keys": [jwk] },
        }))?;
        let id = answer["client_id"].as_str().unwrap_or_default().to_owned();
        let token = answer["registration_access_token"].as_str().unwrap_or_default().to_owned();
        login.secrets.push(token.clone());
        let old = json!({ "client_id": id, "private_key": pem });
        holds(login.oidc.signs_in(&old, "tickets:read")?, "it works", "")?;
        let imports = [
            ("nhi_owner.desk", "owner/service-desk".to_owned()),
            ("nhi_integration.it", format!("login/oauth_client/{id}")),
            ("nhi_scope.it", format!("login/oauth_client/{id}/scope")),
            ("nhi_credential.it", format!("login/oauth_client/{id}/credential/default")),
        ];
        // What is to be written where, is told.
        let place = format!("nhi/k3x9q2-keyring/client-{id}");
        let line = format!("bao kv put -mount=secret {place} @answer.json");
        let words = ["import", imports[1].0, &imports[1].1];
        let said = login.world.terraform(&words)?.expect(1)?;
        let told = flat(&said.replace('│', " "));
        holds(told.contains("E-UNREADABLE") && told.contains(&line), "a line to paste", &said)?;
        let write = |login: &Login, answer: &Value| {
            let data = json!({ "data": answer });
            login.world.bao.post(&format!("/v1/secret/data/{place}"), data)
        };
        let mut wrong = answer.clone();
        wrong["registration_access_token"] = json!("an-older-one-Zq81");
        write(login, &wrong)?;
        let said = login.world.terraform(&words)?.expect(1)?;
        let told = flat(&said.replace('│', " "));
        let named = told.contains(&place) && told.contains("not accepted");
        holds(named && !told.contains("Zq81"), "a wrong token is told", &said)?;
        write(login, &answer)?;
        for (address, id) in &imports {
            login.world.terraform(&["import", address, id])?.expect(0)?;
        }
        let said = login.world.plan()?.said;
        let keeps = said.contains("0 to add") && said.contains("0 to destroy");
        holds(keeps && !said.contains("generation"), "nothing is made anew", &said)?;
        login.world.apply()?;
        login.world.plan_is_empty()?;
        login.registration()?;
        let left = login.world.bao.document(&place).map(|left| left["client_id"].clone());
        holds(!left.is_ok_and(|left| left == json!(id)), "the token stands in one place", "")?;
        holds(login.oidc.signs_in(&old, "tickets:read")?, "and it works as before", "")?;

        login.world.write("main.tf", &[OWNERS, INTEGRATION, SCOPE, KEY].concat())?;
        login.world.apply()?;
        login.world.apply()?;
        let new = login.document()?;
        holds(login.oidc.signs_in(&new, "tickets:read")?, "the new key works", "")?;
        std::thread::sleep(std::time::Duration::from_secs(5));
        login.world.apply()?;
        holds(!login.oidc.signs_in(&old, "tickets:read")?, "the old one is refused", "")?;
        nothing_is_left_to_do(&login.world)?;
        login.world.nhi(&["doctor", "login"])?.expect(0)?;
        // Its document is lost, and comes back from a backup.
        let (place, kept) = login.custody()?;
        login.registration()?;
        login.world.bao.ask("DELETE", &format!("/v1/secret/metadata/{place}"), None)?;
        for said in
            [login.world.nhi(&["doctor", "login"])?.expect(1)?, login.world.plan()?.expect(1)?]
        {
            let told = flat(&said.replace('│', " "));
            let way = told.contains(&id) && told.contains("bring custody back");
            holds(way && !told.contains("Next: nhi doctor"), "the way back", &said)?;
        }
        login.world.bao.post(&format!("/v1/secret/data/{place}"), json!({ "data": kept }))?;
        login.world.plan_is_empty()?;
        login.world.nhi(&["doctor", "login"])?.expect(0)?;
        // And custody itself, out of the configuration.
        let hcl = login.world.read("nhi.hcl")?;
        let without: Vec<&str> = hcl.lines().filter(|line| !line.contains("custody")).collect();
        login.world.write("nhi.hcl", &without.join("\n"))?;
        let said = login.world.plan()?.expect(1)?;
        let told = flat(&said.replace('│', " "));
        holds(told.contains("bring that line back"), "what is missing", &said)?;
        holds(!told.contains("Next: nhi doctor"), "and no circle", &said)?;
        let said = login.world.nhi(&["doctor", "login"])?.expect(1)?;
        holds(said.contains("bring back the lines custody = "), "the doctor too", &said)?;
        login.world.write("nhi.hcl", &hcl)?;
        login.world.plan_is_empty()
    });
}

/// The example as people copy it, with its folder beside the configuration: what stands in it is
/// meant to be secret.
fn in_example(story: impl Fn(&World, &Oidc, &Scim, &str) -> Result<()>) {
    for core in Core::all().unwrap() {
        let path = core.path.display().to_string();
        let (oidc, scim) = (Oidc::start().unwrap(), Scim::start().unwrap());
        let lead = scim.hire("lead", "service desk").unwrap();
        let world = World::new(core, include_str!("../../../examples/scenarios/oauth/main.tf"))
            .unwrap()
            .with("LOGIN_TOKEN", acceptance_tests::servers::oidc::INITIAL)
            .with("PEOPLE_TOKEN", scim::TOKEN)
            .with("TF_VAR_desk", &lead);
        let hcl = include_str!("../../../examples/scenarios/oauth/nhi.hcl")
            .replace("https://login.acme.example", &oidc.address())
            .replace("https://people.acme.example/scim/v2", &scim.address())
            .replace("\"secrets\"", "\"../secrets\"");
        world.write("nhi.hcl", &hcl).unwrap();
        if let Err(error) = story(&world, &oidc, &scim, &lead) {
            panic!("{path}: {error}");
        }
    }
}

#[test]
fn the_example_delivers_to_a_folder_that_may_be_restored_and_asks_a_directory_for_its_owner() {
    in_example(|world, oidc, scim, lead| {
        world.apply()?;
        world.plan_is_empty()?;
        let folder = world.root().join("secrets");
        let path = folder.join("apps/ticket-sync");
        let said = |error: std::io::Error| error.to_string();
        let read = || std::fs::read_to_string(&path).map_err(said);
        let first = read()?;
        let document: Value = serde_json::from_str(&first).map_err(|error| error.to_string())?;
        let got = oidc.token(&document, "tickets:read")?;
        holds(got.status == 200, "the application gets a token", &got.json.to_string())?;
        world.note(key_lines(document["private_key"].as_str().unwrap_or_default()))?;
        world.nhi(&["drift"])?.expect(0)?;
        // Copied elsewhere and back, as a restore does it.
        let shell = |line: &str| {
            let mut shell = std::process::Command::new("sh");
            let ran = shell.args(["-c", line]).current_dir(world.root()).status();
            holds(ran.is_ok_and(|status| status.success()), line, "")
        };
        shell(
            "cp -R -p secrets kept && rm -r secrets && cp -R -p kept secrets && touch secrets/apps/*",
        )?;
        nothing_is_left_to_do(world)?;
        // Written over by what is no document at all.
        std::fs::write(&path, "see the wiki").map_err(said)?;
        let said_plan = world.plan()?.expect(2)?;
        holds(said_plan.contains("stale_copy"), "a copy is planned", &said_plan)?;
        world.apply()?;
        holds(read()? == first, "it is what it was", "")?;
        world.plan_is_empty()?;
        // Everything that we keep beside the documents is lost.
        shell("rm -r secrets/.nhi")?;
        let lost = world.plan()?.expect(2)?;
        holds(lost.contains("stale_copy"), "it is told", &lost)?;
        world.apply()?;
        holds(read()? == first, "the document itself was right", "")?;
        world.plan_is_empty()?;
        // Open to others: what to do is a line to paste.
        shell("chmod 0644 secrets/apps/ticket-sync")?;
        let told = world.plan()?.expect(1)?;
        let line = format!("chmod go= {}", path.display());
        holds(flat(&told).contains("Next: chmod go= "), "the remedy", &told)?;
        shell(&line)?;
        world.plan_is_empty()?;
        shell("chmod 0755 secrets")?;
        let told = world.plan()?.expect(1)?;
        let line = format!("chmod go= {}", folder.display());
        holds(!told.contains("nhi doctor"), "custody is what to see to", &told)?;
        shell(&line)?;
        world.plan_is_empty()?;
        // Whoever is switched off in the directory is drift.
        scim.set_active(lead, false)?;
        let told = world.plan()?.expect(2)?;
        holds(told.contains("\"active\" -> \"inactive\""), "the owner", &told)?;
        world.no_secret_leaked(&[STATE, LEDGER])
    });
}

/// A client with a key that rotates when this value changes.
pub(crate) fn keyed(now: &str) -> String {
    let main = [OWNERS, INTEGRATION, SCOPE, KEY].concat();
    main.replace("now = \"1\"", &format!("now = \"{now}\""))
}

/// Kills the provider at the nth change of a client, before the server hears of it or before we hear of
/// the server.
fn client_is_finished_after_a_kill_at(nth: u32, held: fn(Hold) -> Effect) {
    let main = |now: &str| {
        [OWNERS, INTEGRATION, SCOPE, KEY]
            .concat()
            .replace("now = \"1\"", &format!("now = \"{now}\""))
    };
    through_a_proxy(&main("1"), true, |login, between| {
        let told = |error| format!("change {nth}: {error}");
        login.world.apply()?;
        let before = login.document()?;
        login.world.write("main.tf", &keyed("2"))?;
        let rule = |hold| Rule { nth, ..Rule::once("PUT", "/reg/", held(hold)) };
        killed_at(&login.world, between, rule).map_err(told)?;
        // What was held arrives after its sender's death.
        std::thread::sleep(std::time::Duration::from_secs(1));
        holds(login.oidc.signs_in(&before, "tickets:read")?, "the old one works", "")
            .map_err(told)?;
        let works = login.document()?;
        holds(login.oidc.signs_in(&works, "tickets:read")?, "what the sink holds works", "")
            .map_err(told)?;
        std::thread::sleep(SILENCE);
        applied_in_the_end(&login.world).map_err(told)?;
        let now = login.document()?;
        holds(login.oidc.signs_in(&now, "tickets:read")?, "the new one works", "").map_err(told)?;
        std::thread::sleep(std::time::Duration::from_secs(5));
        applied_in_the_end(&login.world).map_err(told)?;
        holds(!login.oidc.signs_in(&before, "tickets:read")?, "the old one is refused", "")
            .map_err(told)?;
        let keys = login.client()?["jwks"]["keys"].as_array().map_or(0, Vec::len);
        holds(keys == 1, "no key too many", &keys.to_string()).map_err(told)?;
        let state = login.world.state("nhi_credential.it")?;
        holds(state["generation"] == 2, "one generation further", &state.to_string())
            .map_err(told)?;
        login.world.plan_is_empty().map_err(told)
    });
}

#[test]
fn a_provider_killed_in_a_rotation_at_a_server_leaves_what_the_next_apply_finishes() {
    client_is_finished_after_a_kill_at(1, Effect::HoldRequest);
    client_is_finished_after_a_kill_at(1, Effect::HoldAnswer);
}

#[test]
fn a_registration_token_that_died_with_the_provider_is_told_and_the_application_works_on() {
    through_a_proxy(&keyed("1"), false, |login, between| {
        login.world.apply()?;
        let before = login.document()?;
        login.world.write("main.tf", &keyed("2"))?;
        let rule = |hold| Rule::once("PUT", "/reg/", Effect::HoldAnswer(hold));
        killed_at(&login.world, between, rule)?;
        holds(login.oidc.signs_in(&before, "tickets:read")?, "the old one works", "")?;
        std::thread::sleep(std::time::Duration::from_secs(12));
        let said = flat(&login.world.plan()?.expect(1)?.replace('│', " "));
        holds(said.contains("its management is lost"), "what happened is told", &said)?;
        holds(said.contains("E-MANAGEMENT-LOST"), "by its name", &said)?;
        holds(said.contains("write a new registration token of theirs"), "and what helps", &said)?;
        let said = login.world.nhi(&["drift"])?.expect(1)?;
        holds(said.contains("its management is lost"), "drift is not clean", &said)?;
        holds(said.contains("locked-out-of-management"), "and names the hold", &said)?;
        holds(login.oidc.signs_in(&before, "tickets:read")?, "the application works on", "")?;
        // The server's administrator looks the token up.
        let id = login.registration()?.0;
        let manages = |token: &String| login.oidc.registration("GET", &id, token, None).is_ok();
        let token = login.oidc.told()?.into_iter().rev().find(manages);
        login.keep_token(token.ok_or("no token manages the client")?.into())?;
        applied_in_the_end(&login.world)?;
        let now = login.document()?;
        holds(now != before && login.oidc.signs_in(&now, "tickets:read")?, "it is rotated", "")?;
        login.world.nhi(&["drift"])?.expect(0).map(|_| ())
    });
}
