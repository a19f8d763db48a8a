//! The story that the demonstration tells and a test runs: from HCL to proof.

mod board;

use std::{
    path::Path,
    rc::Rc,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    Core, Ran, Result, World,
    world::{LEDGER, LOG, SAVED, STATE},
};

/// What is written in a story, and must have been there to be searched.
const WRITTEN: [&str; 4] = [STATE, SAVED, LOG, LEDGER];

/// What people copy, and what is run here.
pub const MAIN: &str = include_str!("../../examples/scenarios/demo/main.tf");

/// Hears what happens.
pub trait Listener {
    /// A new step.
    fn step(&mut self, title: &str);
    /// What a program really said, with the command that made it.
    fn said(&mut self, command: &str, output: &str);
    /// Something that was checked and holds.
    fn holds(&mut self, fact: &str);
    /// Waiting: for what, and how long yet.
    fn waiting(&mut self, what: &str, left: Duration);
}

/// How long the schedule of a story is. Its steps before the first rotation must be through before
/// the credential falls due, on a slow machine as well.
#[derive(Debug, Clone, Copy)]
struct Pace {
    min_age: Duration,
    every: Duration,
}

impl Pace {
    /// The pace of a machine that needs this long for a plan. Between the first apply and the first
    /// rotation there are six runs, none of them longer than an apply, which is about two plans.
    fn of(plan: Duration) -> Pace {
        let min_age = Duration::from_secs(30).max(plan * 16);
        Pace { min_age, every: min_age + Duration::from_secs(10) }
    }

    /// For `terraform.tfvars`.
    fn variables(self) -> String {
        format!(
            "every   = \"{}s\"\nmin_age = \"{}s\"\n",
            self.every.as_secs(),
            self.min_age.as_secs()
        )
    }

    /// The longest that something may take to fall due, with room for a machine that has become
    /// slower since.
    fn at_most(self, due: Duration) -> Duration {
        due + Duration::from_secs(60) + self.min_age
    }
}

fn check(holds: bool, fact: &str, listener: &mut dyn Listener) -> Result<()> {
    if holds {
        listener.holds(fact);
        Ok(())
    } else {
        Err(format!("this does not hold: {fact}"))
    }
}

const PLAN: &str = "terraform plan -detailed-exitcode -out=saved";

fn saved_plan(world: &World) -> Result<Ran> {
    world.terraform(&["plan", "-detailed-exitcode", "-out=saved"])
}

fn plan(world: &World, code: i32, listener: &mut dyn Listener) -> Result<String> {
    let said = saved_plan(world)?.expect(code)?;
    listener.said(PLAN, &changes(&said));
    Ok(said)
}

fn apply(world: &World, listener: &mut dyn Listener) -> Result<String> {
    let said = world.terraform(&["apply", SAVED])?.expect(0)?;
    let told = said.lines().filter(|line| {
        line.contains(": Creat")
            || line.contains(": Modif")
            || line.contains(": Destr")
            || line.starts_with("Apply complete")
    });
    listener.said("terraform apply saved", &told.collect::<Vec<_>>().join("\n"));
    Ok(said)
}

/// The part of a plan that tells what would be done, without the core's advice around it.
fn changes(said: &str) -> String {
    let begin = said
        .find("Terraform will perform")
        .or_else(|| said.find("OpenTofu will perform"))
        .or_else(|| said.find("Changes to Outputs"))
        .or_else(|| said.find("No changes."))
        .unwrap_or(0);
    let rest = &said[begin..];
    let end = rest.find("\n─").unwrap_or(rest.len());
    rest[..end].trim_end().to_owned()
}

/// The world in which the story is told: in this folder, which stays, or in a temporary one.
///
/// # Errors
///
/// Something that it needs cannot be had.
pub fn world(core: Core, folder: Option<&Path>) -> Result<World> {
    match folder {
        Some(folder) => World::at(core, MAIN, folder, None),
        None => World::new(core, MAIN),
    }
}

/// Tells the whole story. The world is the caller's, whose it stays where the story fails.
///
/// # Errors
///
/// What did not hold, with what was said.
pub fn tell(world: Rc<World>, listener: &mut dyn Listener) -> Result<()> {
    let bao = &world.bao;
    let document = |world: &World| world.bao.document("apps/invoice-sync");

    listener.step("An integration, what it may do, and its first credential");
    let begun = Instant::now();
    plan(&world, 2, listener)?;
    let pace = Pace::of(begun.elapsed());
    world.write("terraform.tfvars", &pace.variables())?;
    apply(&world, listener)?;
    let first = document(&world)?;
    check(bao.signs_in(&first)?, "the application signs in with what the sink holds", listener)?;
    world.no_secret_leaked(&WRITTEN)?;
    listener
        .holds("state, saved plan, log, ledger and output were searched for the secret: nothing");
    plan(&world, 0, listener)?;

    listener.step("Behind Terraform's back: a wider policy, and a second secret-id");
    bao.widen("nhi/invoice-sync", "secret/data/payroll/*")?;
    let stray = bao.add_secret_id("invoice-sync")?;
    let said = plan(&world, 2, listener)?;
    check(
        said.contains("secret/data/payroll/*:read"),
        "plan names the scope that was added",
        listener,
    )?;
    check(said.contains("(secret)"), "and what it lets its holder do", listener)?;
    check(said.contains(&stray), "and the credential that nobody declared", listener)?;
    let drift = world.nhi(&["drift"])?.expect(2)?;
    listener.said("nhi drift   (exit code 2)", drift.trim_end());
    check(
        drift.contains("secret/data/payroll/*:read (secret)") && drift.contains(&stray),
        "nhi drift says the same without Terraform",
        listener,
    )?;

    listener.step("Apply narrows and revokes");
    apply(&world, listener)?;
    check(
        !bao.accessors("invoice-sync")?.contains(&stray),
        "the stray secret-id is gone",
        listener,
    )?;
    plan(&world, 0, listener)?;

    listener.step("The credential falls due, by the real clock");
    let said =
        wait_for_plan(&world, pace.at_most(pace.min_age + pace.every), "the schedule", listener)?;
    listener.said(PLAN, &changes(&said));
    check(said.contains("\"due\" -> \"current\""), "plan shows the rotation", listener)?;
    apply(&world, listener)?;
    let second = document(&world)?;
    check(second["secret_id"] != first["secret_id"], "the sink holds a new secret", listener)?;
    check(bao.signs_in(&second)?, "the application signs in with the new one", listener)?;
    check(bao.signs_in(&first)?, "the old one still works: its overlap is not over", listener)?;
    world.no_secret_leaked(&WRITTEN)?;
    let said = wait_for_plan(&world, pace.at_most(Duration::ZERO), "the overlap", listener)?;
    check(said.contains("retire_due"), "plan shows that the old one is to go", listener)?;
    apply(&world, listener)?;
    check(!bao.signs_in(&first)?, "the old one is refused", listener)?;
    check(bao.signs_in(&second)?, "the new one works", listener)?;
    let credential = world.state("nhi_credential.invoice_sync")?;
    check(credential["last_revocation"]["grade"] == "A", "proven to grade A", listener)?;
    let proof = world
        .nhi(&["ledger", "show", "--kind", "rotation.proven", "--kind", "probe.round"])?
        .expect(0)?;
    listener.said("nhi ledger show --kind rotation.proven --kind probe.round", proof.trim_end());
    let key = credential["last_revocation"]["key_id"].as_str().unwrap_or("no key");
    check(
        proof.lines().any(|line| line.contains("grade=A") && line.contains(key)),
        "and so the ledger says",
        listener,
    )?;

    listener.step("Nobody applies: nhi reconcile rotates");
    let third = between(&world, pace, &second, listener)?;

    board::tell(&world, listener)?;

    listener.step("Destroy revokes everything");
    let said = world.terraform(&["destroy", "-auto-approve"])?.expect(0)?;
    let told: Vec<&str> = said
        .lines()
        .filter(|line| line.contains(": Destr") || line.starts_with("Destroy complete"))
        .collect();
    listener.said("terraform destroy", &told.join("\n"));
    let ours = bao.ours()?;
    if !ours.is_empty() {
        return Err(format!("this is left on the platform: {}", ours.join(", ")));
    }
    listener.holds("the platform is empty: no role, policy, entity, alias or token is left");
    stays(&world, listener)?;
    check(!bao.signs_in(&third)?, "the last credential is refused", listener)?;
    let history = world.nhi(&["ledger", "show"])?.expect(0)?;
    listener.said("nhi ledger show", history.trim_end());
    let verified = world.nhi(&["ledger", "verify"])?.expect(0)?;
    listener.said("nhi ledger verify", verified.trim_end());
    world.no_secret_leaked(&WRITTEN)?;
    listener.holds("everything that was written and said was searched for every secret: nothing");
    Ok(())
}

/// The page for people of a look at everything.
const PAGE: &str = "drift.html";

/// What falls due between two applies is done without one, and leaves nothing to plan. What is delivered
/// then.
fn between(
    world: &World,
    pace: Pace,
    earlier: &Value,
    listener: &mut dyn Listener,
) -> Result<Value> {
    let bao = &world.bao;
    let due =
        || Ok(world.nhi(&["reconcile", "--dry-run"])?.expect(0)?.contains("it is due: issue"));
    wait_for(pace.at_most(pace.min_age + pace.every), "the schedule", listener, due)?;
    let said = world.nhi(&["reconcile", "--yes"])?.expect(0)?;
    listener.said("nhi reconcile --yes", said.trim_end());
    let now = bao.document("apps/invoice-sync")?;
    check(now["secret_id"] != earlier["secret_id"], "the sink holds a new secret", listener)?;
    let both = bao.signs_in(&now)? && bao.signs_in(earlier)?;
    check(both, "it signs in, and the old one as long as its overlap lasts", listener)?;
    let said = saved_plan(world)?.expect(2)?;
    listener.said(PLAN, &changes(&said));
    check(
        said.contains("without changing any real infrastructure"),
        "nothing is to be changed: the output follows the generation",
        listener,
    )?;
    apply(world, listener)?;
    wait_for(pace.at_most(Duration::ZERO), "the overlap", listener, || {
        world.nhi(&["reconcile", "--yes"])?.expect(0)?;
        Ok(!bao.signs_in(earlier)?)
    })?;
    listener.holds("the next run of nhi reconcile has ended the old one");
    plan(world, 0, listener)?;
    let words = format!("html={PAGE}");
    let said = world.nhi(&["drift", "--report", &words])?.expect(0)?;
    listener.said(&format!("nhi drift --report {words}"), said.trim_end());
    world.no_secret_leaked(&[PAGE])?;
    listener.holds(&format!("a page for people to open: {}", world.folder.join(PAGE).display()));
    Ok(now)
}

/// Waits until this holds.
fn wait_for(
    most: Duration,
    what: &str,
    listener: &mut dyn Listener,
    mut holds: impl FnMut() -> Result<bool>,
) -> Result<()> {
    let until = Instant::now() + most;
    while !holds()? {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(format!("{what} did not show within {} seconds", most.as_secs()));
        }
        listener.waiting(what, left);
        std::thread::sleep(Duration::from_secs(1));
    }
    Ok(())
}

/// What stays in the KV store after all was destroyed: each document, and that it opens nothing.
fn stays(world: &World, listener: &mut dyn Listener) -> Result<()> {
    let mut told = Vec::new();
    for path in world.bao.documents()? {
        let document = world.bao.document(&path)?;
        let what = match path.strip_prefix("nhi/") {
            Some(_) => "the slot's claim, closed, so that no later run begins at an old number",
            None => "what the application read, marked as revoked",
        };
        let pending = document["pending"].as_str().is_some_and(|secret| !secret.is_empty());
        let revoked =
            document["_nhi"].as_str().is_none_or(|ours| ours.contains("\"revoked\":true"));
        if pending || !revoked || world.bao.signs_in(&document)? {
            return Err(format!("{path} is more than history: {document}"));
        }
        told.push(format!("secret/{path}: {what}"));
    }
    check(told.len() == 2, "two documents stay in the KV store, and they open nothing", listener)?;
    listener.said("bao kv list secret   (each, and why it stays)", &told.join("\n"));
    Ok(())
}

/// Plans until there is something to do.
fn wait_for_plan(
    world: &World,
    most: Duration,
    what: &str,
    listener: &mut dyn Listener,
) -> Result<String> {
    let until = Instant::now() + most;
    loop {
        let ran = saved_plan(world)?;
        if ran.code == 2 {
            return Ok(ran.said);
        }
        ran.expect(0)?;
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(format!("{what} did not show within {} seconds", most.as_secs()));
        }
        listener.waiting(what, left);
        std::thread::sleep(Duration::from_secs(3));
    }
}
