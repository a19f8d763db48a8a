//! Deploy keys and webhooks of an organisation, and an App that somebody installed, on the connector's own
//! GitHub: a server that keeps what it is told. GitHub itself is never asked.

use std::time::Duration;

use acceptance_tests::{
    Core, Result, World,
    world::{LEDGER, STATE},
};
use base64::{Engine, engine::general_purpose::STANDARD};

use crate::{flat, holds, nothing_is_left_to_do};

/// Not all of it is needed here.
#[allow(dead_code)]
#[path = "../../../connectors/github/tests/it/fake.rs"]
mod fake;
#[path = "../../../connectors/github/tests/it/http.rs"]
mod http;

use fake::{APP_TOKEN, Fake};

const MAIN: &str = include_str!("../../../examples/scenarios/github/main.tf");
const HCL: &str = include_str!("../../../examples/scenarios/github/nhi.hcl");

/// A world with an organisation.
struct Forge {
    world: World,
    github: Fake,
}

fn at_forge(story: impl Fn(&Forge) -> Result<()>) {
    for core in Core::all().unwrap() {
        let path = core.path.display().to_string();
        let github = Fake::start();
        let world = World::new(core, &asks("1")).unwrap().with("GITHUB_TOKEN", APP_TOKEN);
        let hcl = HCL.replace("https://api.github.com", &github.address);
        world
            .write("nhi.hcl", &hcl.replace("http://127.0.0.1:8200", &world.bao.address()))
            .unwrap();
        let forge = Forge { world, github };
        let told = story(&forge).and_then(|()| {
            forge.world.note([APP_TOKEN.to_owned()])?;
            forge.world.no_secret_leaked(&[STATE, LEDGER])
        });
        if let Err(error) = told {
            panic!("{path}: {error}");
        }
    }
}

/// The example, whose earlier key goes soon and whose triggers have a value.
fn asks(now: &str) -> String {
    let soon = "{ name = \"hourly\", every = \"1h\", overlap = \"4s\" }";
    let at_once = "{ name = \"now-and-then\", every = \"1h\", overlap = \"0\" }";
    let with = |schedule: &str| format!("= {schedule}\n  triggers = {{ now = \"{now}\" }}");
    MAIN.replace("= nhi_rotation_schedule.monthly", &with(soon))
        .replace("= nhi_rotation_schedule.at_once", &with(at_once))
}

impl Forge {
    /// What whoever fetches reads: a private key, whose public half is among those of the repository.
    fn key(&self) -> Result<(String, bool)> {
        let document = self.world.bao.document("apps/deployer")?;
        let key = document["private_key"].as_str().unwrap_or_default().to_owned();
        // The parts of it that nobody else has.
        let lines: Vec<&str> = key.lines().collect();
        self.world.note(lines.iter().skip(2).take(2).map(|line| (*line).to_owned()))?;
        let body: String = key.lines().filter(|line| !line.starts_with('-')).collect();
        let whole = STANDARD.decode(body).map_err(|error| error.to_string())?;
        let is_of = |(_, line): &(String, String)| {
            let blob = line.split_whitespace().nth(1).unwrap_or_default();
            STANDARD.decode(blob).is_ok_and(|blob| whole.windows(blob.len()).any(|one| one == blob))
        };
        let there = self.github.keys("api").iter().any(is_of);
        Ok((key, there))
    }

    /// What the receiver of deliveries reads, and whether GitHub signs with it.
    fn secret(&self) -> Result<(String, bool)> {
        let document = self.world.bao.document("apps/ci")?;
        let secret = document["secret"].as_str().unwrap_or_default().to_owned();
        self.world.note([secret.clone()])?;
        let id = self.world.state("nhi_integration.ci")?["id"].clone();
        let id = id.as_str().and_then(|id| id.rsplit('/').next()).unwrap_or_default().to_owned();
        let signs = self.github.secret_of("", &id).is_some_and(|one| one == secret);
        Ok((secret, signs))
    }
}

#[test]
fn a_deploy_key_rotates_with_overlap_and_a_webhook_s_secret_at_once_and_is_proven() {
    at_forge(|forge| {
        let world = &forge.world;
        world.apply()?;
        nothing_is_left_to_do(world)?;
        let ((first, there), (secret, signs)) = (forge.key()?, forge.secret()?);
        holds(there && signs, "what is delivered is what GitHub has", "")?;
        let told = world.nhi(&["doctor", "github"])?.expect(0)?;
        for said in ["github_ssh_client", "no repository gets"] {
            holds(flat(&told).contains(said), said, &told)?;
        }
        let told = world.nhi(&["scan"])?.said;
        for said in ["deployer", "ci-bot", "github_token_grant/"] {
            holds(told.contains(said), said, &told)?;
        }

        world.write("main.tf", &asks("2"))?;
        let said = flat(&world.plan()?.expect(2)?.replace('│', " "));
        holds(said.contains("without overlap"), "the webhook's is told", &said)?;
        world.apply()?;
        let ((second, there), (next, signs)) = (forge.key()?, forge.secret()?);
        holds(there && second != first, "another key", "")?;
        holds(signs && next != secret, "another secret", "")?;
        let all = forge.github.keys("api");
        holds(all.len() == 2, "both keys are there", &format!("{all:?}"))?;
        let state = world.state("nhi_credential.ci")?;
        holds(
            state["last_revocation"]["grade"] == "A",
            "proven by a delivery",
            &state.to_string(),
        )?;
        std::thread::sleep(Duration::from_secs(5));
        world.apply()?;
        let all = forge.github.keys("api");
        holds(all.len() == 1 && forge.key()?.1, "the earlier one is gone", &format!("{all:?}"))?;
        let state = world.state("nhi_credential.deployer")?;
        let grade = &state["last_revocation"]["grade"];
        holds(grade == "B", "shown by the listing alone", &state.to_string())?;
        nothing_is_left_to_do(world)?;

        // Somebody adds a key under its name.
        forge.github.add_key("api", "deployer");
        let said = flat(&world.nhi(&["drift"])?.expect(4)?);
        holds(said.contains("credential that nobody declared"), "it is told", &said)?;
        world.terraform(&["destroy", "-auto-approve"])?.expect(0)?;
        let left = (forge.github.keys("api"), forge.github.variables());
        holds(left.0.is_empty() && left.1.is_empty(), "nothing is left", &format!("{left:?}"))
    });
}

#[test]
fn an_app_that_somebody_installed_is_taken_in_and_uninstalled_and_what_changes_of_it_is_told() {
    const BOT: &str = r#"
resource "nhi_integration" "bot" {
  connection_name     = "github"
  name                = "ci-bot"
  purpose             = "Comments on what was built"
  environment         = "production"
  business_owner      = nhi_owner.delivery
  technical_owner     = nhi_owner.delivery
  expires_on          = "2099-06-30"
  github_installation = {}
}
"#;
    at_forge(|forge| {
        let world = &forge.world;
        world.apply()?;
        forge.key()?;
        forge.secret()?;
        world.write("main.tf", &format!("{}{BOT}", asks("1")))?;
        // Nobody installs an App from here.
        let said = world.terraform(&["apply", "-auto-approve"])?.expect(1)?;
        let said = flat(&said.replace('│', " "));
        holds(said.contains("a person does that in GitHub"), "why not", &said)?;
        let id = "github/github_installation/ci-bot";
        world.terraform(&["import", "nhi_integration.bot", id])?.expect(0)?;
        world.apply()?;
        nothing_is_left_to_do(world)?;
        forge.github.suspend("ci-bot");
        let said = flat(&world.nhi(&["drift"])?.said);
        holds(said.contains("ci-bot"), "that it is suspended is told", &said)?;
        world.terraform(&["destroy", "-auto-approve"])?.expect(0)?;
        let said = world.nhi(&["scan"])?.said;
        holds(!said.contains("ci-bot"), "it is uninstalled", &said)?;
        holds(said.contains("github_token_grant/"), "and nothing else", &said)
    });
}
