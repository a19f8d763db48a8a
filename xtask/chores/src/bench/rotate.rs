//! Rotations on OpenBao, many at once: the provider alone applies them, so that what is measured is
//! ours and the server's, and no core's.

use std::{
    collections::BTreeMap,
    fmt::Display,
    path::{Path, PathBuf},
    time::Instant,
};

use acceptance_tests::{
    servers::OpenBao,
    world::{REALM_KEY, nhi_hcl},
};
use clap::Args;
use connector::fault_proxy::{FaultProxy, Seen};
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};
use tfplugin::mini_core::{MiniCore, Plan, State};

use super::{built_for, process::cost};
use xtask::shell::{Result, released_provider};

/// Applies them, tells what one asks of the server, and lets simulated ones run.
#[derive(Debug, Args)]
pub(crate) struct Rotate {
    /// How many credentials rotate in one apply.
    #[arg(long, default_value_t = 1000)]
    credentials: usize,
    /// How many of them at once.
    #[arg(long, default_value_t = 8)]
    at_once: usize,
    /// Every request of a rotation by its kind.
    #[arg(long)]
    requests: bool,
    /// Measure this provider, such as an earlier one, and not the one that is built now.
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
}

/// So many rotations are counted, one after the other.
const COUNTED: usize = 8;

fn text(error: impl Display) -> String {
    error.to_string()
}

/// What becomes of the earlier one, and what rotates a credential so for the nth time.
type Reason = (&'static str, fn(u32) -> Value);

const REASONS: [Reason; 2] = [
    ("the earlier one kept", |nth| json!({ "triggers": { "release": nth.to_string() } })),
    ("all earlier ones ended", |nth| json!({ "incident": format!("INC-{nth}") })),
];

impl Rotate {
    pub(super) fn run(self) -> Result<()> {
        let program = self.program.clone().map_or_else(released_provider, Ok)?;
        let runtime = tokio::runtime::Runtime::new().map_err(text)?;
        runtime.block_on(self.on_openbao(&program))?;
        built_for("search", "simulation", "pace", &[])
    }

    async fn on_openbao(&self, program: &Path) -> Result<()> {
        let place = Place::new(program)?;
        let core = place.core().await?;
        let core = &core;
        let mut made: Vec<Made> = stream::iter(0..self.credentials)
            .map(|index| async move { create(core, index).await })
            .buffered(self.at_once)
            .try_collect()
            .await?;
        println!("{} credentials on OpenBao, {} at once:", made.len(), self.at_once);
        for (name, reason) in REASONS {
            made = self.rotate(&place, made, name, &reason(1)).await?;
        }
        println!("  goal: at least 20 rotations a second");
        made.truncate(COUNTED);
        let look = place.counted(&mut made, None).await?;
        println!("requests of one, of an apply of {COUNTED} one after the other:");
        println!("  {:<22} {:5.1}", "a look at it", look.each());
        for (name, reason) in REASONS {
            let counted = place.counted(&mut made, Some(&reason(2))).await?;
            println!(
                "  {name:<22} {:5.1}: {:.1} change something or sign in, and {:.1} read",
                counted.each(),
                counted.changes(),
                counted.each() - counted.changes(),
            );
            if self.requests {
                counted.list();
            }
        }
        println!("  goal: at most 20 beside the look");
        Ok(())
    }

    /// Plans in one process and applies in another, as cores do.
    async fn rotate(
        &self,
        place: &Place,
        made: Vec<Made>,
        name: &str,
        reason: &Value,
    ) -> Result<Vec<Made>> {
        let planned = place.planned(&made, reason, self.at_once).await?;
        drop(made);
        let core = place.core().await?;
        let begun = Instant::now();
        let many = planned.len();
        let core_ref = &core;
        let made: Vec<Made> = stream::iter(planned)
            .map(|one| one.apply(core_ref))
            .buffer_unordered(self.at_once)
            .try_collect()
            .await?;
        let took = begun.elapsed().as_secs_f64();
        let cost = core.process_id().and_then(cost).unwrap_or_default();
        println!(
            "  {name:<22} {:6.1} rotations a second; the provider takes {:.1} ms of processor for each \
             and {:.1} MiB at most",
            many as f64 / took,
            cost.busy.as_secs_f64() * 1e3 / many.max(1) as f64,
            cost.peak_kib as f64 / 1024.0,
        );
        Ok(made)
    }
}

/// A server, and the folder that a configuration stands in.
struct Place {
    bao: OpenBao,
    program: PathBuf,
    folder: tempfile::TempDir,
}

impl Place {
    fn new(program: &Path) -> Result<Place> {
        let folder = tempfile::tempdir().map_err(text)?;
        let place = Place { bao: OpenBao::start()?, program: program.to_owned(), folder };
        place.point_at(&place.bao.address())?;
        Ok(place)
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("nhi.hcl")
    }

    fn point_at(&self, address: &str) -> Result<()> {
        std::fs::write(self.file(), nhi_hcl(address)).map_err(text)
    }

    /// A process of the provider, as a core starts one for a plan or an apply.
    async fn core(&self) -> Result<MiniCore> {
        let file = self.file().display().to_string();
        let environment =
            [("NHI_CONFIG", &*file), ("BAO_TOKEN", &*self.bao.token), ("NHI_REALM_KEY", REALM_KEY)];
        let core = MiniCore::launch(&self.program, &environment).await.map_err(text)?;
        core.configure(json!({})).await.map_err(text)?;
        Ok(core)
    }

    async fn planned(&self, made: &[Made], reason: &Value, at_once: usize) -> Result<Vec<Planned>> {
        let core = &self.core().await?;
        let plan = async |one: &Made| {
            let config = with(&one.config, reason);
            let plan = core.plan(&one.state, config.clone()).await.map_err(text)?;
            let before = one.state.json()["generation"].as_u64().unwrap_or_default();
            Ok(Planned { plan, before, config })
        };
        stream::iter(made).map(plan).buffered(at_once).try_collect().await
    }

    /// What a rotation asks of the server, or a look where there is none.
    async fn counted(&self, made: &mut [Made], reason: Option<&Value>) -> Result<Counted> {
        let planned = match reason {
            Some(reason) => self.planned(made, reason, 1).await?,
            None => Vec::new(),
        };
        let proxy = FaultProxy::start(&self.bao.address()).await.map_err(text)?;
        self.point_at(proxy.address())?;
        let core = self.core().await?;
        if reason.is_none() {
            for one in &*made {
                core.refresh(&one.state).await.map_err(text)?;
            }
        }
        for (one, planned) in made.iter_mut().zip(planned) {
            *one = planned.apply(&core).await?;
        }
        self.point_at(&self.bao.address())?;
        Ok(Counted(proxy.seen()))
    }
}

/// A credential, and what declares it.
struct Made {
    state: State,
    config: Value,
}

struct Planned {
    plan: Plan,
    before: u64,
    config: Value,
}

impl Planned {
    async fn apply(self, core: &MiniCore) -> Result<Made> {
        let state = core.apply(self.plan).await.map_err(text)?.ok_or("it is gone")?;
        match state.json()["generation"].as_u64() {
            Some(generation) if generation == self.before + 1 => {
                Ok(Made { state, config: self.config })
            }
            other => Err(format!("after generation {} comes {other:?}", self.before)),
        }
    }
}

fn with(config: &Value, more: &Value) -> Value {
    let mut config = config.clone();
    if let (Some(config), Value::Object(more)) = (config.as_object_mut(), more) {
        config.extend(more.clone());
    }
    config
}

/// An integration with a credential.
async fn create(core: &MiniCore, index: usize) -> Result<Made> {
    let owner = json!({ "id": "owner/one", "email": "one@acme.example", "status": "unchecked" });
    let integration = json!({
        "connection_name": "bao",
        "name": format!("bench-{index}"),
        "purpose": "Measures how long a rotation takes",
        "environment": "bench",
        "business_owner": owner,
        "technical_owner": owner,
        "openbao_approle": {},
    });
    let made = async |kind: &str, config: &Value| -> Result<State> {
        let plan = core.plan_create(kind, config.clone()).await.map_err(text)?;
        core.apply(plan).await.map_err(text)?.ok_or_else(|| format!("no {kind} was made"))
    };
    let state = made("nhi_integration", &integration).await?.json();
    let kept = ["id", "vendor_id", "environment", "expires_on", "state", "incident"];
    let mut reference: Value =
        kept.iter().map(|name| ((*name).to_owned(), state[*name].clone())).collect();
    reference["technical_owner"] = json!({ "id": "owner/one" });
    let config = json!({
        "integration": reference,
        "deliver_to": { "app": { "connection": "bao", "path": format!("secret/bench/{index}") } },
        "triggers": { "release": "0" },
    });
    Ok(Made { state: made("nhi_credential", &config).await?, config })
}

/// Requests of [`COUNTED`] rotations.
struct Counted(Vec<Seen>);

impl Counted {
    fn each(&self) -> f64 {
        self.0.len() as f64 / COUNTED as f64
    }

    /// Those that change something, or sign in.
    fn changes(&self) -> f64 {
        let reads =
            |one: &&Seen| matches!(&*one.method, "GET" | "LIST") || one.path.contains("lookup");
        (self.0.len() - self.0.iter().filter(reads).count()) as f64 / COUNTED as f64
    }

    fn list(&self) {
        let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
        for one in &self.0 {
            let path = one.path.split('?').next().unwrap_or_default();
            let parts: Vec<&str> = path.trim_start_matches("/v1/").split('/').collect();
            let named = parts.into_iter().map(|part| match part {
                _ if part.contains("bench-") || part.parse::<usize>().is_ok() => "{name}",
                _ if part.len() == 26 => "{slot}",
                part => part,
            });
            let path = named.collect::<Vec<_>>().join("/");
            *kinds.entry(format!("{:<5} {path}", one.method)).or_default() += 1;
        }
        for (kind, times) in kinds {
            println!("      {:5.1}  {kind}", times as f64 / COUNTED as f64);
        }
    }
}
