//! Tokens of a real Unleash, whose listing shows every secret and whose ends show late. They belong to
//! the second ring: each proof takes more than a minute.

use std::time::{Duration, Instant};

use acceptance_tests::{
    Core, Result, World,
    servers::Unleash,
    world::{LEDGER, STATE},
};
use connector::fault_proxy::{Effect, FaultProxy, Hold, Rule};
use serde_json::Value;

use crate::{SILENCE, flat, holds, nothing_is_left_to_do, says_what_to_do};

const MAIN: &str = include_str!("../../../examples/scenarios/unleash/main.tf");
const HCL: &str = include_str!("../../../examples/scenarios/unleash/nhi.hcl");

/// A world with an Unleash.
struct Shop {
    world: World,
    flags: Unleash,
}

fn in_shop(story: impl Fn(&Shop) -> Result<()>) {
    for core in Core::all().unwrap() {
        let path = core.path.display().to_string();
        let flags = Unleash::start().unwrap();
        let world = World::new(core, MAIN).unwrap().with("UNLEASH_ADMIN_TOKEN", &flags.token);
        let hcl = HCL.replace("http://127.0.0.1:4242", &flags.address());
        world
            .write("nhi.hcl", &hcl.replace("http://127.0.0.1:8200", &world.bao.address()))
            .unwrap();
        let shop = Shop { world, flags };
        let told = story(&shop).and_then(|()| {
            shop.take_note()?;
            shop.world.note([shop.flags.token.clone()])?;
            shop.world.no_secret_leaked(&[STATE, LEDGER])
        });
        if let Err(error) = told {
            panic!("{path}: {error}");
        }
    }
}

/// The example, with a credential whose earlier one goes soon.
fn soon(environment: &str) -> String {
    let main = MAIN.replace(
        "schedule      = nhi_rotation_schedule.monthly",
        "schedule      = { name = \"hourly\", every = \"1h\", overlap = \"4s\" }",
    );
    main.replace(
        "environment = \"production\", projects",
        &format!("environment = \"{environment}\", projects"),
    )
}

impl Shop {
    /// Every secret that the server's listing shows now must be in nothing of ours.
    fn take_note(&self) -> Result<()> {
        let all = self.flags.tokens()?;
        let secrets = all.iter().filter_map(|one| one["secret"].as_str().map(str::to_owned));
        self.world.note(secrets)
    }

    /// What the application reads.
    fn token(&self) -> Result<String> {
        let document = self.world.bao.document("apps/checkout")?;
        Ok(document["token"].as_str().unwrap_or_default().to_owned())
    }

    /// The environment that a token asks in; `None` where it is refused.
    fn asks_in(&self, token: &str) -> Result<Option<String>> {
        let asks = self.flags.asks(token)?;
        Ok(asks.and_then(|asks| asks["environment"].as_str().map(str::to_owned)))
    }

    /// The names of all tokens that begin so.
    fn named(&self, beginning: &str) -> Result<Vec<String>> {
        let all = self.flags.tokens()?;
        let name = |one: &Value| one["tokenName"].as_str().unwrap_or_default().to_owned();
        Ok(all.iter().map(name).filter(|name| name.starts_with(beginning)).collect())
    }
}

#[test]
#[ignore = "second ring: cargo xtask test second"]
fn a_token_is_proven_ended_when_every_node_must_have_heard_of_it_and_not_before() {
    in_shop(|shop| {
        let world = &shop.world;
        shop.flags.issue("by hand", "backend", "production")?;
        shop.take_note()?;
        world.apply()?;
        nothing_is_left_to_do(world)?;
        let first = shop.token()?;
        holds(shop.asks_in(&first)?.as_deref() == Some("production"), "it asks there", "")?;
        let told = world.nhi(&["doctor", "flags"])?.expect(0)?;
        for said in ["unleash_client", "shows the secret of every API token"] {
            holds(flat(&told).contains(said), said, &told)?;
        }
        let told = world.nhi(&["scan"])?.said;
        let listed = told.contains("by%20hand") && told.contains("nhi itself");
        holds(listed, "all is listed", &told)?;

        // Another environment is another token.
        world.write("main.tf", &soon("development"))?;
        let said = world.plan()?.expect(2)?;
        holds(flat(&said).contains("generation = 1 -> 2"), "a rotation is planned", &said)?;
        world.apply()?;
        shop.take_note()?;
        let second = shop.token()?;
        holds(shop.asks_in(&first)?.as_deref() == Some("production"), "the old one works", "")?;
        holds(shop.asks_in(&second)?.as_deref() == Some("development"), "and the new one", "")?;
        std::thread::sleep(Duration::from_secs(5));
        let begun = Instant::now();
        world.apply()?;
        let took = begun.elapsed();
        holds(took >= Duration::from_secs(75), "it waits for the last", &format!("{took:?}"))?;
        holds(shop.asks_in(&first)?.is_none(), "the old one is refused", "")?;
        holds(shop.asks_in(&second)?.is_some(), "the new one works", "")?;
        let state = world.state("nhi_credential.checkout")?;
        holds(state["last_revocation"]["grade"] == "A", "grade A", &state.to_string())?;
        let told = world.nhi(&["ledger", "show", "--kind", "probe.round"])?.expect(0)?;
        let told = flat(&told);
        holds(
            told.contains("first after") && told.contains("last after 75s"),
            "when it was",
            &told,
        )?;
        println!("the proof took {took:?}: {told}");
        world.plan_is_empty()?;

        // A token of somebody else's, and then everything of ours lost.
        shop.flags.issue("checkout", "backend", "production")?;
        shop.take_note()?;
        let told = world.nhi(&["drift"])?.expect(4)?;
        holds(told.contains("checkout"), "it is told", &told)?;
        for name in
            ["terraform.tfstate", "terraform.tfstate.backup", "nhi.db", "nhi.db-wal", "nhi.db-shm"]
        {
            let _ = std::fs::remove_file(world.folder.join(name));
        }
        let id = "flags/unleash_client/checkout";
        for (address, id) in [
            ("nhi_owner.shop", "owner/shop".to_owned()),
            ("nhi_integration.checkout", id.to_owned()),
            ("nhi_credential.checkout", format!("{id}/credential/default")),
        ] {
            world.terraform(&["import", address, &id])?.expect(0)?;
        }
        let said = world.plan()?.said;
        holds(said.contains("0 to destroy"), "it is known", &said)?;
        world.apply()?;
        holds(shop.token()? == second, "and nothing was rotated", "")?;
        world.terraform(&["destroy", "-auto-approve"])?.expect(0)?;
        let left = shop.named("checkout")?;
        holds(left.is_empty(), "nothing of the name is left", &format!("{left:?}"))?;
        holds(shop.named("by hand")?.len() == 1, "and no other was touched", "")
    });
}

#[test]
#[ignore = "second ring: cargo xtask test second"]
fn what_an_unanswered_call_made_is_found_by_its_name_and_one_token_is_left() {
    // What is begun, what is made, the end of what was begun, and the token.
    for (method, nth) in [("POST", 1), ("POST", 2), ("DELETE", 1), ("POST", 3)] {
        in_shop(|shop| {
            let told = |error| format!("{method} {nth}: {error}");
            let runtime = tokio::runtime::Runtime::new().map_err(|error| error.to_string())?;
            let address = shop.flags.address();
            let proxy =
                runtime.block_on(FaultProxy::start(&address)).map_err(|error| error.to_string())?;
            let hcl = shop.world.read("nhi.hcl")?.replace(&address, proxy.address());
            shop.world.write("nhi.hcl", &hcl)?;
            proxy.add(Rule { nth, ..Rule::once(method, "api-tokens", Effect::LoseAnswer) });
            let first = shop.world.terraform(&["apply", "-auto-approve"])?;
            shop.take_note()?;
            let lost = proxy.seen().iter().any(|one| one.status.is_none());
            holds(lost, "an answer was lost", &first.said).map_err(told)?;
            if first.code != 0 {
                says_what_to_do(&first.said).map_err(told)?;
                shop.world.apply().map_err(told)?;
            }
            let ours = shop.named("checkout nhi1-")?;
            let records = shop.named("checkout nhi-record ")?;
            let said = format!("{ours:?} {records:?}");
            holds(ours.len() == 1 && records.len() == 1, "one of each", &said).map_err(told)?;
            let works = shop.asks_in(&shop.token()?)?.is_some();
            holds(works, "the delivered one works", "").map_err(told)?;
            shop.world.plan_is_empty().map_err(told)?;
            shop.world.nhi(&["drift"])?.expect(0).map(drop).map_err(told)
        });
    }
}

/// The credential of the example under another name, with a value that makes it rotate.
fn one_of(name: &str, overlap: &str, now: u32) -> String {
    format!(
        "resource \"nhi_credential\" \"{name}\" {{
  integration   = nhi_integration.checkout
  name          = \"{name}\"
  unleash_token = {{ environment = \"production\", projects = [\"default\"] }}
  schedule      = {{ name = \"{name}\", every = \"30d\", overlap = \"{overlap}\" }}
  triggers      = {{ now = \"{now}\" }}
  deliver_to    = {{ app = {{ connection = \"bao\", path = \"secret/apps/{name}\" }} }}
}}
"
    )
}

/// At which call of a rotation the server is killed, and with what of an answer.
type Point = (&'static str, fn(Hold) -> Effect);

/// Credentials by name, each with the overlap of its schedule, and where the server is killed while it
/// rotates: before it hears of the call, or when it has done it, heard of or not.
const KILLED: [(&str, &str, Point); 4] = [
    ("unheard", "24h", ("POST", Effect::HoldRequest)),
    ("done", "24h", ("POST", Effect::HoldAnswer)),
    ("lost", "24h", ("POST", Effect::LoseHeldAnswer)),
    ("ending", "0s", ("DELETE", Effect::LoseHeldAnswer)),
];

#[test]
#[ignore = "second ring: cargo xtask test second"]
fn a_server_that_is_killed_while_a_token_rotates_and_started_again_leaves_what_an_apply_finishes() {
    in_shop(|shop| {
        let world = &shop.world;
        let runtime = tokio::runtime::Runtime::new().map_err(|error| error.to_string())?;
        let address = shop.flags.address();
        let proxy =
            runtime.block_on(FaultProxy::start(&address)).map_err(|error| error.to_string())?;
        world.write("nhi.hcl", &world.read("nhi.hcl")?.replace(&address, proxy.address()))?;
        let base = MAIN.split("# What the token reaches").next().unwrap_or_default();
        let writes = |rotated: usize| {
            let all = KILLED
                .iter()
                .enumerate()
                .map(|(at, (name, overlap, ..))| one_of(name, overlap, u32::from(at < rotated)));
            world.write("main.tf", &format!("{base}{}", all.collect::<String>()))
        };
        let token = |name: &str| -> Result<String> {
            let document = world.bao.document(&format!("apps/{name}"))?;
            Ok(document["token"].as_str().unwrap_or_default().to_owned())
        };
        writes(0)?;
        world.apply()?;
        let mut expected = shop.named("checkout nhi1-")?.len();
        for (at, (name, _, (method, held))) in KILLED.into_iter().enumerate() {
            let told = |error| format!("{name}: {error}");
            let before = token(name)?;
            let hold = Hold::default();
            proxy.add(Rule::once(method, "api-tokens", held(hold.clone())));
            writes(at + 1)?;
            let said = std::thread::scope(|scope| {
                let applied = scope.spawn(|| world.terraform(&["apply", "-auto-approve"]));
                let reached =
                    async { tokio::time::timeout(Duration::from_secs(120), hold.reached()).await };
                let reached = runtime.block_on(reached).map_err(|_| "the call was never made");
                let killed = shop.flags.kill();
                hold.release();
                let applied = applied.join().map_err(|_| "the apply panicked")?;
                reached?;
                killed.and(applied)
            })
            .map_err(told)?;
            proxy.clear();
            holds(said.code != 0, "nobody goes on without a server", &said.said).map_err(told)?;
            says_what_to_do(&said.said).map_err(told)?;
            shop.flags.start_again().map_err(told)?;
            // Nobody tells that the run which failed is over: its claim has to be silent.
            std::thread::sleep(SILENCE);
            world.apply().map_err(told)?;
            shop.take_note()?;

            let after = token(name)?;
            holds(after != before, "it rotated", "").map_err(told)?;
            holds(shop.asks_in(&after)?.is_some(), "the delivered one works", "").map_err(told)?;
            let ends = method == "DELETE";
            let old = shop.asks_in(&before)?.is_some();
            holds(old != ends, "the earlier one works in its overlap, and no longer", "")
                .map_err(told)?;
            expected += usize::from(!ends);
            let ours = shop.named("checkout nhi1-")?;
            holds(ours.len() == expected, "none is unknown, and none lost", &format!("{ours:?}"))
                .map_err(told)?;
            for (other, ..) in KILLED {
                holds(shop.asks_in(&token(other)?)?.is_some(), "the others work", other)
                    .map_err(told)?;
            }
            world.plan_is_empty().map_err(told)?;
            world.nhi(&["drift"])?.expect(0).map_err(told)?;
            if ends {
                let state = world.state(&format!("nhi_credential.{name}"))?;
                holds(state["last_revocation"]["grade"] == "A", "grade A", &state.to_string())
                    .map_err(told)?;
            }
        }
        Ok(())
    });
}
