//! A client of an authorization server whose key or secret rotates, as a place: every change turns the
//! token that manages it. What is there is told by curl, and by Node where a key has to sign.

use std::{
    cell::RefCell,
    io::Write,
    process::{Command, Stdio},
    sync::OnceLock,
};

use acceptance_tests::{
    Core, Result, World, curl,
    servers::{Oidc, oidc},
    tools,
    world::nhi_hcl,
};
use serde_json::{Value, json};

use crate::{
    holds, oauth, oauth_secret,
    places::{Place, Row, Site, bao_as_root, text, world},
};

/// What both kinds of credential may ask for.
const SCOPE: &str = "tickets:read";
/// The public half of a private key, by a program that shares no code with ours.
const PUBLIC: &str = "const { createPublicKey } = require('crypto'); \
     const pem = require('fs').readFileSync(0, 'utf8'); \
     console.log(createPublicKey(pem).export({ format: 'jwk' }).x)";

/// One client.
pub(crate) struct Login {
    site: Site,
    oidc: Oidc,
    /// It has keys of its own, and else a secret that the server makes.
    has_keys: bool,
    slot: OnceLock<&'static str>,
}

impl Login {
    pub(crate) fn start(has_keys: bool) -> Result<Box<dyn Place>> {
        let row = Row::default();
        let world = match has_keys {
            true => world(&oauth::keyed("1"))?,
            false => World::new(Core::find(None)?, &oauth_secret::MAIN.replace("<NOW>", "1"))?,
        };
        let world = world.with("LOGIN_TOKEN", oidc::INITIAL);
        // The server calls itself by the address of what stands before it.
        let between = RefCell::new(None);
        let oidc = Oidc::start_with(|port| {
            let proxy = row.http("login", &format!("http://127.0.0.1:{port}")).ok();
            let issuer = proxy.as_ref().map(|one| ("OIDC_ISSUER", one.address().to_owned()));
            *between.borrow_mut() = proxy;
            let reissues = (!has_keys).then(|| ("OIDC_REISSUES", "omitted".to_owned()));
            issuer.into_iter().chain(reissues).collect()
        })?;
        let login = between.take().ok_or("no proxy")?;
        let bao = row.http("bao", &world.bao.address())?;
        let more = if has_keys { "" } else { ", reissues = true" };
        let connection = format!(
            "connections = {{\n  login = {{\n    oauth = {{ address = \"{}\", credential = {{ env = \
             \"LOGIN_TOKEN\" }}{more} }}\n  }}",
            login.address()
        );
        world.write("nhi.hcl", &nhi_hcl(bao.address()).replace("connections = {", &connection))?;
        let site = Site { world, row, proxies: vec![login, bao] };
        Ok(Box::new(Login { site, oidc, has_keys, slot: OnceLock::new() }))
    }

    /// The place of the client's document in custody, and what is there: the one that has the token. That
    /// of the client's name says no more than which client it became.
    fn custody(&self) -> Result<(String, Value)> {
        let bao = &self.world().bao;
        for place in bao.documents()? {
            if !place.contains("-keyring/oauth-") {
                continue;
            }
            let path = format!("/v1/secret/data/{place}");
            let there = bao_as_root(bao, "GET", &path, None)?["data"].clone();
            if !text(&there["data"], "registration_token").is_empty() {
                return Ok((path, there));
            }
        }
        Err("custody holds no client".to_owned())
    }

    fn id(&self) -> Result<String> {
        let (_, there) = self.custody()?;
        let state = serde_json::from_str::<Value>(&text(&there["data"], "state"));
        Ok(text(&state.map_err(|error| error.to_string())?, "client_id"))
    }

    /// The client as its server shows it to whoever has this token; nothing where that is refused.
    fn shown_to(&self, token: &str) -> Result<Option<Value>> {
        let (path, bearer) = (format!("/reg/{}", self.id()?), format!("Bearer {token}"));
        let header = ("Authorization", bearer.as_str());
        let answer = curl::ask(self.oidc.port, "GET", &path, header, None)?;
        match answer.status {
            200 => Ok(Some(answer.json)),
            401 => Ok(None),
            status => Err(format!("GET {path}: {status}")),
        }
    }

    /// The client, asked for with what custody has.
    fn client(&self) -> Result<Option<Value>> {
        self.shown_to(&text(&self.custody()?.1["data"], "registration_token"))
    }

    /// The server's administrator looks the token up that manages the client, and writes it into custody.
    fn let_in(&self) -> Result<()> {
        for token in self.oidc.told()?.into_iter().rev() {
            if self.shown_to(&token)?.is_none() {
                continue;
            }
            let (path, mut there) = self.custody()?;
            let cas = there["metadata"]["version"].clone();
            there["data"]["registration_token"] = json!(token);
            let body = json!({ "data": there["data"], "options": { "cas": cas } });
            return bao_as_root(&self.world().bao, "POST", &path, Some(&body)).map(drop);
        }
        Err("no token manages the client".to_owned())
    }
}

impl Place for Login {
    fn site(&self) -> &Site {
        &self.site
    }

    fn slot(&self) -> &'static str {
        self.slot.get_or_init(|| {
            let id = self.id().unwrap_or_default();
            Box::leak(format!("login/oauth_client/{id}/credential/default").into_boxed_str())
        })
    }

    fn path(&self) -> &'static str {
        "apps/ticket-sync"
    }

    fn overlaps(&self) -> bool {
        self.has_keys
    }

    /// Where the answer to a change died with its run, so did the only token that manages the client:
    /// everybody says so, nobody calls with the dead one, and with a token of the administrator's it goes on.
    fn mend(&self) -> Result<bool> {
        if self.client()?.is_some() {
            return Ok(false);
        }
        let (world, slot) = (self.world(), self.slot());
        let integration = slot.rsplit_once("/credential/").map_or(slot, |(before, _)| before);
        let tells = |said: String| {
            let told =
                ["E-MANAGEMENT-LOST", integration, "write a new registration token of theirs"];
            let told = said.contains("locked-out-of-management")
                && told[1..].iter().all(|one| said.contains(one));
            holds(told, "that management is lost, and what helps", &said)
        };
        self.row().begin(None);
        tells(world.nhi(&["recover"])?.expect(5)?)?;
        tells(world.nhi(&["recover", integration, "--yes"])?.expect(1)?)?;
        tells(world.nhi(&["drift"])?.expect(1)?)?;
        tells(world.nhi(&["doctor", "login"])?.expect(1)?)?;
        world.nhi(&["rotate", slot, "--yes"])?.expect(1)?;
        let seen = self.row().seen();
        let changes = seen.iter().filter(|one| one.says.starts_with("login PUT")).count();
        holds(changes == 0, "nobody changes the client with a dead token", &format!("{seen:?}"))?;
        if self.has_keys {
            holds(self.lets_in(&self.delivered()?)?, "the application works on", "")?;
        }
        self.let_in()?;
        Ok(true)
    }

    fn lets_in(&self, document: &Value) -> Result<bool> {
        self.oidc.signs_in(document, SCOPE)
    }

    fn listed(&self) -> Result<Vec<String>> {
        let client = self.client()?.ok_or("custody's token is refused")?;
        Ok(match self.has_keys {
            true => {
                let keys = client["jwks"]["keys"].as_array().cloned().unwrap_or_default();
                keys.iter().map(|key| text(key, "x")).collect()
            }
            // One at a time, by its begin.
            false => vec![text(&client, "client_secret").chars().take(8).collect()],
        })
    }

    fn id_of(&self, document: &Value) -> Result<String> {
        if !self.has_keys {
            return Ok(text(document, "client_secret").chars().take(8).collect());
        }
        let mut child = Command::new(tools::need("node")?)
            .args(["-e", PUBLIC])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("node: {error}"))?;
        if let Some(mut input) = child.stdin.take() {
            let pem = text(document, "private_key");
            input.write_all(pem.as_bytes()).map_err(|error| error.to_string())?;
        }
        let done = child.wait_with_output().map_err(|error| error.to_string())?;
        Ok(String::from_utf8_lossy(&done.stdout).trim().to_owned())
    }

    fn secrets(&self) -> Vec<String> {
        self.oidc.told().unwrap_or_default()
    }
}
