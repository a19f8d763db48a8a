//! Tokens of a real Strapi: further ones with overlap, and the own one, whose secret is replaced in one
//! call. They belong to the second ring: the server is large.

use std::time::Duration;

use acceptance_tests::{
    Core, Result, World,
    servers::Strapi,
    world::{LEDGER, STATE},
};
use connector::fault_proxy::{Effect, FaultProxy, Rule};
use serde_json::{Value, json};

use crate::{
    Between, SILENCE, flat, holds, kill::killed_at, nothing_is_left_to_do, says_what_to_do,
};

const MAIN: &str = include_str!("../../../examples/scenarios/strapi/main.tf");
const HCL: &str = include_str!("../../../examples/scenarios/strapi/nhi.hcl");
const FURTHER: &str = "strapi_token = {}";
const SCHEDULE: &str = "nhi_rotation_schedule.monthly";

/// A world with a Strapi, which our programs reach through a proxy that can make things go wrong.
struct Desk {
    world: World,
    cms: Strapi,
    between: Between,
}

fn at_desk(story: impl Fn(&Desk) -> Result<()>) {
    for core in Core::all().unwrap() {
        let path = core.path.display().to_string();
        let cms = Strapi::start().unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let proxy = runtime.block_on(FaultProxy::start(&cms.address())).unwrap();
        let world = World::new(core, MAIN).unwrap().with("STRAPI_ADMIN_TOKEN", &cms.token);
        let hcl = HCL.replace("http://127.0.0.1:1337", proxy.address());
        world
            .write("nhi.hcl", &hcl.replace("http://127.0.0.1:8200", &world.bao.address()))
            .unwrap();
        let desk = Desk { world, cms, between: Between { runtime, proxy } };
        let told = story(&desk).and_then(|()| {
            desk.take_note()?;
            desk.world.note([desk.cms.token.clone()])?;
            desk.world.no_secret_leaked(&[STATE, LEDGER])
        });
        if let Err(error) = told {
            panic!("{path}: {error}");
        }
    }
}

/// The example, whose earlier token goes soon and whose triggers have a value.
fn asks(credential: &str, now: &str) -> String {
    let overlap = if credential == FURTHER { "4s" } else { "0" };
    let soon = format!("{{ name = \"hourly\", every = \"1h\", overlap = \"{overlap}\" }}");
    MAIN.replace(
        &format!("schedule     = {SCHEDULE}"),
        &format!("schedule     = {soon}\n  triggers     = {{ now = \"{now}\" }}"),
    )
    .replace(FURTHER, credential)
}

impl Desk {
    /// The secret of every token that is there now must be in nothing of ours.
    fn take_note(&self) -> Result<()> {
        for one in self.cms.tokens()? {
            self.world.note([self.cms.shown(&one["id"])?])?;
        }
        Ok(())
    }

    /// What the application reads.
    fn token(&self) -> Result<String> {
        let document = self.world.bao.document("apps/helpdesk")?;
        Ok(document["token"].as_str().unwrap_or_default().to_owned())
    }

    /// Whether an application lists tickets with a token; `None` where nobody knows it.
    fn lists(&self, token: &str) -> Result<Option<bool>> {
        match self.cms.lists_tickets(token)? {
            200 => Ok(Some(true)),
            403 => Ok(Some(false)),
            401 => Ok(None),
            status => Err(format!("status {status}")),
        }
    }

    /// The names of all tokens that begin so.
    fn named(&self, beginning: &str) -> Result<Vec<String>> {
        let name = |one: &Value| one["name"].as_str().unwrap_or_default().to_owned();
        let all = self.cms.tokens()?;
        Ok(all.iter().map(name).filter(|name| name.starts_with(beginning)).collect())
    }

    fn writes(&self, credential: &str, now: &str) -> Result<()> {
        self.world.write("main.tf", &asks(credential, now))
    }

    /// What is delivered works, what was does not, it is proven, and nothing is left to do.
    fn is_at(&self, generation: u64, old: &str) -> Result<()> {
        self.take_note()?;
        holds(self.lists(&self.token()?)? == Some(true), "what is delivered works", "")?;
        holds(self.lists(old)?.is_none(), "the one before is refused", "")?;
        let state = self.world.state("nhi_credential.helpdesk")?;
        holds(state["generation"] == generation, "its generation", &state.to_string())?;
        holds(state["last_revocation"]["grade"] == "A", "grade A", &state.to_string())?;
        nothing_is_left_to_do(&self.world)
    }
}

#[test]
#[ignore = "second ring: cargo xtask test second"]
fn a_further_token_rotates_with_overlap_and_power_given_by_hand_is_taken_from_every_token() {
    at_desk(|desk| {
        let world = &desk.world;
        desk.writes(FURTHER, "1")?;
        world.apply()?;
        desk.take_note()?;
        nothing_is_left_to_do(world)?;
        let first = desk.token()?;
        holds(desk.lists(&first)? == Some(true), "it lists tickets", "")?;
        let told = world.nhi(&["doctor", "cms"])?.expect(0)?;
        for said in ["strapi_client", "shows the secret of each API token"] {
            holds(flat(&told).contains(said), said, &told)?;
        }
        let told = world.nhi(&["scan"])?.said;
        holds(told.contains("helpdesk"), "all is listed", &told)?;

        // Somebody widens the token that the application has.
        let further = desk.named("helpdesk nhi1-")?.remove(0);
        let further = desk.cms.named(&further)?;
        let wide = json!({ "type": "full-access" });
        let path = format!("admin/api-tokens/{}", further["id"]);
        desk.cms.by_hand("PUT", &path, Some(&wide))?;
        let said = flat(&world.plan()?.expect(2)?);
        holds(said.contains("- \"full-access\""), "what is too much is shown", &said)?;
        let said = flat(&world.nhi(&["drift"])?.expect(2)?);
        holds(said.contains("full-access (admin)"), "and told as what it is", &said)?;
        world.apply()?;
        let narrowed = desk.cms.named(further["name"].as_str().unwrap_or_default())?;
        holds(narrowed["type"] == "custom", "it is taken away", &narrowed.to_string())?;
        holds(desk.lists(&first)? == Some(true), "and the token works on", "")?;

        desk.writes(FURTHER, "2")?;
        let said = flat(&world.plan()?.expect(2)?);
        holds(said.contains("generation = 1 -> 2"), "a rotation is planned", &said)?;
        world.apply()?;
        desk.take_note()?;
        let second = desk.token()?;
        let both = (desk.lists(&first)?, desk.lists(&second)?);
        holds(both == (Some(true), Some(true)), "both work", &format!("{both:?}"))?;
        std::thread::sleep(Duration::from_secs(5));
        world.apply()?;
        desk.is_at(2, &first)?;

        // Everything of ours is lost.
        for name in
            ["terraform.tfstate", "terraform.tfstate.backup", "nhi.db", "nhi.db-wal", "nhi.db-shm"]
        {
            let _ = std::fs::remove_file(world.folder.join(name));
        }
        let id = "cms/strapi_client/helpdesk";
        for (address, id) in [
            ("nhi_owner.support", "owner/support".to_owned()),
            ("nhi_integration.helpdesk", id.to_owned()),
            ("nhi_scope.helpdesk", format!("{id}/scope")),
            ("nhi_credential.helpdesk", format!("{id}/credential/default")),
        ] {
            world.terraform(&["import", address, &id])?.expect(0)?;
        }
        let said = world.plan()?.said;
        holds(said.contains("0 to destroy"), "it is known", &said)?;
        world.apply()?;
        holds(desk.token()? == second, "and nothing was rotated", "")?;
        world.terraform(&["destroy", "-auto-approve"])?.expect(0)?;
        let left = desk.named("helpdesk")?;
        holds(left.is_empty(), "nothing of the name is left", &format!("{left:?}"))?;
        holds(desk.named("Read Only")?.len() == 1, "and no other was touched", "")
    });
}

#[test]
#[ignore = "second ring: cargo xtask test second"]
fn an_own_token_is_regenerated_without_overlap_as_the_plan_says_and_a_lost_answer_costs_another() {
    const OWN: &str = "strapi_own_token = {}";
    at_desk(|desk| {
        let world = &desk.world;
        desk.writes(OWN, "1")?;
        world.apply()?;
        desk.take_note()?;
        world.plan_is_empty()?;
        let first = desk.token()?;
        holds(desk.lists(&first)? == Some(true), "it lists tickets", "")?;
        desk.writes(OWN, "2")?;
        let said = flat(&world.plan()?.expect(2)?.replace('│', " "));
        for part in ["replace-once", "without overlap", "stops working in that call"] {
            holds(said.contains(part), part, &said)?;
        }
        world.apply()?;
        desk.is_at(2, &first)?;

        // The answer is lost, and with it the secret: nothing works until another one is made.
        let second = desk.token()?;
        desk.writes(OWN, "3")?;
        desk.between.proxy.add(Rule::once("POST", "/regenerate", Effect::LoseAnswer));
        let lost = world.terraform(&["apply", "-auto-approve"])?;
        desk.take_note()?;
        let seen = desk.between.proxy.seen();
        holds(seen.iter().any(|one| one.status.is_none()), "an answer was lost", &lost.said)?;
        if lost.code != 0 {
            says_what_to_do(&lost.said)?;
            world.apply().map_err(|error| format!("{}\nand then: {error}", lost.said))?;
        }
        desk.is_at(3, &second)?;

        // The provider dies before it hears of it: nothing works then, as the plan had said.
        let third = desk.token()?;
        desk.writes(OWN, "4")?;
        let held = |hold| Rule::once("POST", "/regenerate", Effect::HoldAnswer(hold));
        killed_at(world, &desk.between, held)?;
        holds(desk.lists(&desk.token()?)?.is_none(), "what is delivered is refused", "")?;
        std::thread::sleep(SILENCE);
        world.apply()?;
        desk.is_at(4, &third)?;

        // Somebody regenerates it by hand: what the server shows of it says so, and is delivered.
        let own = desk.cms.named("helpdesk")?;
        let path = format!("admin/api-tokens/{}/regenerate", own["id"]);
        desk.cms.by_hand("POST", &path, None)?;
        let fourth = desk.token()?;
        holds(desk.lists(&fourth)?.is_none(), "the delivered one is refused", "")?;
        desk.take_note()?;
        let told = world.nhi(&["drift"])?;
        holds(told.code != 0 && told.said.contains("helpdesk"), "drift tells it", &told.said)?;
        let said = flat(&world.plan()?.expect(2)?);
        holds(said.contains("stale_copy"), "plan says what is stale", &said)?;
        world.apply()?;
        let fifth = desk.token()?;
        holds(fifth != fourth && desk.lists(&fifth)? == Some(true), "it is delivered", "")?;
        let state = world.state("nhi_credential.helpdesk")?;
        holds(state["generation"] == 4, "without another secret", &state.to_string())?;
        nothing_is_left_to_do(world)?;
        world.terraform(&["destroy", "-auto-approve"])?.expect(0)?;
        holds(desk.lists(&fifth)?.is_none(), "it is refused", "")?;
        let left = desk.named("helpdesk")?;
        holds(left.is_empty(), "nothing of the name is left", &format!("{left:?}"))
    });
}

#[test]
#[ignore = "second ring: cargo xtask test second"]
fn whichever_answer_is_lost_while_it_is_made_the_next_apply_finishes_it() {
    at_desk(|desk| {
        desk.world.apply()?;
        let mut count = std::collections::BTreeMap::new();
        for one in desk.between.proxy.seen() {
            if let Some(method) =
                ["POST", "PUT", "DELETE"].into_iter().find(|method| one.method == *method)
            {
                *count.entry(method).or_insert(0) += 1;
            }
        }
        let each = count.into_iter();
        let changes: Vec<(&str, u32)> =
            each.flat_map(|(method, most)| (1..=most).map(move |n| (method, n))).collect();
        println!("{changes:?}");
        holds(changes.len() >= 5, "it is made in several calls", &format!("{changes:?}"))?;
        for (method, nth) in changes {
            // On one server: what was made is ended, and made anew.
            desk.take_note()?;
            desk.world.terraform(&["destroy", "-auto-approve"])?.expect(0)?;
            let left = desk.named("helpdesk")?;
            holds(left.is_empty(), "nothing of the name is left", &format!("{left:?}"))?;
            loses(desk, method, nth).map_err(|error| format!("{method} {nth}: {error}"))?;
        }
        Ok(())
    });
}

/// The answer of one call is lost while all of it is made.
fn loses(desk: &Desk, method: &str, nth: u32) -> Result<()> {
    drop(desk.between.proxy.seen());
    let rule = Rule { nth, ..Rule::once(method, "api-tokens", Effect::LoseAnswer) };
    desk.between.proxy.add(rule);
    let first = desk.world.terraform(&["apply", "-auto-approve"])?;
    desk.between.proxy.clear();
    desk.take_note()?;
    let seen = desk.between.proxy.seen();
    let lost = seen.iter().any(|one| one.status.is_none());
    holds(lost, "an answer was lost", &first.said)?;
    if first.code != 0 {
        says_what_to_do(&first.said)?;
        desk.world.apply()?;
    }
    let (own, ours) = (desk.named("helpdesk")?, desk.named("helpdesk nhi1-")?);
    let said = format!("{own:?}");
    holds(ours.len() == 1, "one token", &said)?;
    holds(own.iter().filter(|one| *one == "helpdesk").count() == 1, "one own", &said)?;
    holds(desk.lists(&desk.token()?)? == Some(true), "the delivered one works", "")?;
    nothing_is_left_to_do(&desk.world)
}
