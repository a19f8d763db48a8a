//! Every request that a rotation sends, to its platform and to custody, is the last of its process: it is
//! held before the server hears of it, or with the answer under way, and the process is killed. Then the
//! rotation is run again, and what there is by the account of the vendor's own tools is what must be.
//!
//! An undisturbed rotation tells which requests there are. A usual run walks a share of them, of which
//! another part each time; `NHI_TEST_WIDE` walks all, and `NHI_TEST_POINT` those of these numbers, after it has listed
//! them all.

use std::{
    collections::hash_map::RandomState,
    hash::BuildHasher,
    process::{Child, Stdio},
    sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use acceptance_tests::{
    Core, Result, World, curl,
    line::{self, Break, Line},
    servers::{JupyterHub, Moto, OpenBao, PostgreSql},
    world::{LEDGER, STATE, aws_hcl, nhi_hcl},
};
use connector::fault_proxy::{Effect, FaultProxy, Hold};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::{BASE, SILENCE, aws, holds, jupyterhub, postgresql};

/// At every so many points nobody says that the dead run is dead: the next waits until its claim is old.
const UNTOLD: usize = 16;
/// How long a rotation may take until it comes to the request that is waited for.
const LONG: Duration = Duration::from_secs(90);

/// How much of the ledger is shown where a point is wrong.
const LINES: usize = 40;

/// Where proxies run.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("threads for proxies"));

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One request of a rotation: what it says, and which of those that say the same.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Point {
    says: String,
    nth: usize,
}

impl std::fmt::Display for Point {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.says, self.nth)
    }
}

/// What is held until its sender is dead, at whichever proxy it comes.
#[derive(Debug, Clone, Default)]
struct Stop {
    http: Hold,
    line: line::Held,
}

impl Stop {
    fn is_reached(&self) -> bool {
        self.http.is_reached() || self.line.reached(Duration::ZERO)
    }

    fn release(&self) {
        self.http.release();
        self.line.release();
    }
}

/// What passes all proxies of a place, in one row.
#[derive(Debug, Clone, Default)]
struct Row(Arc<Mutex<Passed>>);

#[derive(Debug, Default)]
struct Passed {
    seen: Vec<Point>,
    wanted: Option<(Point, Break, Stop)>,
}

impl Row {
    /// Begins anew, and holds one, where one is wanted.
    fn begin(&self, wanted: Option<(&Point, Break)>) -> Stop {
        let stop = Stop::default();
        let wanted = wanted.map(|(point, at)| (point.clone(), at, stop.clone()));
        *locked(&self.0) = Passed { seen: Vec::new(), wanted };
        stop
    }

    fn seen(&self) -> Vec<Point> {
        locked(&self.0).seen.clone()
    }

    /// Counts a request, and says where it is held if it is the one that is wanted.
    fn pass(&self, says: String) -> Option<(Break, Stop)> {
        let mut passed = locked(&self.0);
        let nth = passed.seen.iter().filter(|one| one.says == says).count() + 1;
        let point = Point { says, nth };
        passed.seen.push(point.clone());
        let (_, at, stop) = passed.wanted.take_if(|(wanted, ..)| *wanted == point)?;
        Some((at, stop))
    }

    /// A proxy before an HTTP server, and its address.
    fn http(&self, name: &'static str, server: &str) -> Result<FaultProxy> {
        let proxy =
            RUNTIME.block_on(FaultProxy::start(server)).map_err(|error| error.to_string())?;
        let row = self.clone();
        proxy.watch(move |method, path| {
            let (at, stop) = row.pass(format!("{name} {method} {}", plain(path)))?;
            Some(match at {
                Break::Before => Effect::LoseHeldRequest(stop.http),
                Break::After => Effect::HoldAnswer(stop.http),
            })
        });
        Ok(proxy)
    }

    /// A line to a server that speaks PostgreSQL's protocol.
    fn line(&self, name: &'static str, port: u16) -> Result<Line> {
        let (line, row) = (Line::to(port)?, self.clone());
        line.watch(move |bytes| {
            let (at, stop) = row.pass(format!("{name} {}", spoken(bytes)?))?;
            Some((at, stop.line))
        });
        Ok(line)
    }
}

/// A path without what is another one each time.
fn plain(path: &str) -> String {
    let path = path.split("&").next().unwrap_or(path);
    let varies = |word: &str| {
        let digits = word.bytes().filter(u8::is_ascii_digit).count();
        word != "v1" && digits > 0 && (digits + 1 >= word.len() || word.len() > 20)
    };
    let plain = |word: &str| if varies(word) { "*".to_owned() } else { word.to_owned() };
    let parts = path.split('/').map(|part| match part.split_once('=') {
        Some((name, value)) => format!("{name}={}", plain(value)),
        None => plain(part),
    });
    parts.collect::<Vec<_>>().join("/")
}

/// What a client of PostgreSQL says, where it waits for an answer: the begin of the statement.
fn spoken(bytes: &[u8]) -> Option<String> {
    let words = |text: &[u8]| {
        let text = String::from_utf8_lossy(text);
        text.split_whitespace().take(3).collect::<Vec<_>>().join(" ")
    };
    match bytes {
        [] | [b'X', ..] => None,
        [0, ..] => Some("begins".to_owned()),
        [b'p', ..] => Some("signs in".to_owned()),
        [b'P', rest @ ..] => {
            let mut parts = rest.get(4..)?.split(|byte| *byte == 0);
            parts.next()?;
            Some(words(parts.next()?))
        }
        [b'Q', rest @ ..] => Some(words(rest.get(4..)?.split(|byte| *byte == 0).next()?)),
        [other, ..] => Some(format!("says {}", char::from(*other))),
    }
}

/// A world with one credential that rotates, and what is known there by other hands than ours.
trait Place {
    fn world(&self) -> &World;

    /// What its proxies see.
    fn row(&self) -> &Row;

    /// The credential.
    fn slot(&self) -> &'static str;

    /// Where its consumers read.
    fn path(&self) -> &'static str;

    /// Whether what consumers read works at every moment.
    fn overlaps(&self) -> bool {
        true
    }

    /// Whether who has this document is let in.
    fn lets_in(&self, document: &Value) -> Result<bool>;

    /// All that the platform lists.
    fn listed(&self) -> Result<Vec<String>>;

    /// What the platform calls the one that is in a document.
    fn id_of(&self, document: &Value) -> Result<String>;

    /// Secrets besides those that custody knows.
    fn secrets(&self) -> Vec<String> {
        Vec::new()
    }

    /// What consumers read.
    fn delivered(&self) -> Result<Value> {
        let path = format!("/v1/secret/data/{}", self.path());
        Ok(bao_as_root(&self.world().bao, "GET", &path, None)?["data"]["data"].clone())
    }

    /// What is in the claim of its slot besides the claim.
    fn pending(&self) -> Result<Vec<String>> {
        let bao = &self.world().bao;
        let mut pending = Vec::new();
        for path in bao.documents()?.iter().filter(|path| path.starts_with("nhi/")) {
            let document = bao_as_root(bao, "GET", &format!("/v1/secret/data/{path}"), None)?;
            let text = document["data"]["data"]["pending"].as_str().unwrap_or_default().to_owned();
            pending.extend((!text.is_empty()).then_some(path.clone()));
        }
        Ok(pending)
    }
}

/// What OpenBao answers the holder of its root token, asked by curl.
fn bao_as_root(bao: &OpenBao, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
    let header = ("X-Vault-Token", bao.token.as_str());
    let answer = curl::ask(bao.port, method, path, header, body)?;
    match answer.status {
        200..300 => Ok(answer.json),
        status => Err(format!("{method} {path}: {status}")),
    }
}

fn text(document: &Value, name: &str) -> String {
    document[name].as_str().unwrap_or_default().to_owned()
}

/// The generation that a document says it is of.
fn generation(document: &Value) -> Result<u64> {
    let says: Value = serde_json::from_str(&text(document, "_nhi")).unwrap_or_default();
    says["gen"].as_u64().ok_or_else(|| "a document names no generation".to_owned())
}

fn names(document: &Value) -> Vec<&String> {
    document.as_object().into_iter().flatten().map(|(name, _)| name).collect()
}

/// A new world with this in it. One core is enough: no rotation here asks it.
fn world(main: &str) -> Result<World> {
    // With what ends at once, all of a rotation is one run.
    let at_once = ["24h", "4s"].iter().fold(main.to_owned(), |main, overlap| {
        main.replace(&format!("overlap = \"{overlap}\""), "overlap = \"0\"")
            .replace(&format!("overlap   = \"{overlap}\""), "overlap   = \"0\"")
    });
    holds(at_once != main, "there was an overlap, or none", main)?;
    World::new(Core::find(None)?, &at_once)
}

/// OpenBao is platform and custody in one.
struct Bao {
    world: World,
    row: Row,
    _proxy: FaultProxy,
}

impl Bao {
    fn start() -> Result<Box<dyn Place>> {
        let (world, row) = (world(BASE)?, Row::default());
        let proxy = row.http("bao", &world.bao.address())?;
        world.write("nhi.hcl", &nhi_hcl(proxy.address()))?;
        Ok(Box::new(Bao { world, row, _proxy: proxy }))
    }
}

const ROLE: &str = "/v1/auth/approle/role/invoice-sync";

impl Place for Bao {
    fn world(&self) -> &World {
        &self.world
    }

    fn row(&self) -> &Row {
        &self.row
    }

    fn slot(&self) -> &'static str {
        "bao/openbao_approle/invoice-sync/credential/default"
    }

    fn path(&self) -> &'static str {
        "apps/invoice-sync"
    }

    fn lets_in(&self, document: &Value) -> Result<bool> {
        let port = self.world.bao.port;
        let body = json!({ "role_id": document["role_id"], "secret_id": document["secret_id"] });
        let path = "/v1/auth/approle/login";
        let answer = curl::ask(port, "POST", path, ("X-Vault-Token", ""), Some(&body))?;
        if answer.status == 200 {
            let token = text(&answer.json["auth"], "client_token");
            let header = ("X-Vault-Token", token.as_str());
            curl::ask(port, "POST", "/v1/auth/token/revoke-self", header, None)?;
        }
        Ok(answer.status == 200)
    }

    fn listed(&self) -> Result<Vec<String>> {
        let path = format!("{ROLE}/secret-id?list=true");
        let keys = bao_as_root(&self.world.bao, "GET", &path, None)?["data"]["keys"].clone();
        let keys = keys.as_array().cloned().unwrap_or_default();
        Ok(keys.iter().filter_map(Value::as_str).map(str::to_owned).collect())
    }

    fn id_of(&self, document: &Value) -> Result<String> {
        let body = json!({ "secret_id": document["secret_id"] });
        let path = format!("{ROLE}/secret-id/lookup");
        let about = bao_as_root(&self.world.bao, "POST", &path, Some(&body))?;
        Ok(text(&about["data"], "secret_id_accessor"))
    }
}

/// An AWS account.
struct Account {
    world: World,
    moto: Moto,
    row: Row,
    _proxies: [FaultProxy; 2],
}

impl Account {
    fn start() -> Result<Box<dyn Place>> {
        let (moto, row) = (Moto::start()?, Row::default());
        let world = world(aws::MAIN)?
            .with("AWS_ACCESS_KEY_ID", &moto.id)
            .with("AWS_SECRET_ACCESS_KEY", &moto.secret);
        let (iam, bao) =
            (row.http("aws", &moto.address())?, row.http("bao", &world.bao.address())?);
        world.write("nhi.hcl", &aws_hcl(aws::HCL, iam.address(), bao.address()))?;
        Ok(Box::new(Account { world, moto, row, _proxies: [iam, bao] }))
    }
}

impl Place for Account {
    fn world(&self) -> &World {
        &self.world
    }

    fn row(&self) -> &Row {
        &self.row
    }

    fn slot(&self) -> &'static str {
        "aws/aws_iam_user/invoice-sync/credential/default"
    }

    fn path(&self) -> &'static str {
        "apps/invoice-sync"
    }

    fn lets_in(&self, document: &Value) -> Result<bool> {
        let key = (&*self.id_of(document)?, &*text(document, "AWS_SECRET_ACCESS_KEY"));
        Ok(self.moto.ask_as(key, "sts", "get_caller_identity", json!({}))?.is_ok())
    }

    fn listed(&self) -> Result<Vec<String>> {
        let user = json!({ "UserName": "invoice-sync" });
        let keys = self.moto.iam("list_access_keys", user)?["AccessKeyMetadata"].clone();
        let keys = keys.as_array().cloned().unwrap_or_default();
        Ok(keys.iter().map(|key| text(key, "AccessKeyId")).collect())
    }

    fn id_of(&self, document: &Value) -> Result<String> {
        Ok(text(document, "AWS_ACCESS_KEY_ID"))
    }

    fn secrets(&self) -> Vec<String> {
        vec![self.moto.secret.clone()]
    }
}

/// A JupyterHub.
struct School {
    world: World,
    hub: JupyterHub,
    row: Row,
    _proxies: [FaultProxy; 2],
}

impl School {
    fn start() -> Result<Box<dyn Place>> {
        let (hub, row) = (JupyterHub::start()?, Row::default());
        let world = world(&jupyterhub::whole())?.with("HUB_TOKEN", &hub.token);
        let (to_hub, bao) =
            (row.http("hub", &hub.address())?, row.http("bao", &world.bao.address())?);
        world.write("nhi.hcl", &jupyterhub::hcl(to_hub.address(), bao.address()))?;
        Ok(Box::new(School { world, hub, row, _proxies: [to_hub, bao] }))
    }
}

impl Place for School {
    fn world(&self) -> &World {
        &self.world
    }

    fn row(&self) -> &Row {
        &self.row
    }

    fn slot(&self) -> &'static str {
        "hub/jupyterhub_user/grade-sync/credential/default"
    }

    fn path(&self) -> &'static str {
        "apps/grade-sync"
    }

    fn lets_in(&self, document: &Value) -> Result<bool> {
        Ok(self.hub.whose(&text(document, "token"))?.is_some())
    }

    fn listed(&self) -> Result<Vec<String>> {
        Ok(self.hub.tokens("grade-sync")?.into_iter().map(|(id, _)| id).collect())
    }

    fn id_of(&self, document: &Value) -> Result<String> {
        let whose = self.hub.whose(&text(document, "token"))?.unwrap_or_default();
        Ok(text(&whose, "token_id"))
    }

    fn secrets(&self) -> Vec<String> {
        vec![self.hub.token.clone()]
    }
}

/// A cluster, with a role that has one password at a time, or two that sign in for it by turns.
struct Shop {
    world: World,
    db: PostgreSql,
    row: Row,
    by_turns: bool,
    _proxy: FaultProxy,
}

impl Shop {
    fn start(by_turns: bool) -> Result<Box<dyn Place>> {
        let (db, row) = (PostgreSql::start()?, Row::default());
        db.by_hand("create database shop")?;
        db.by_hand_in("shop", postgresql::THINGS)?;
        let world = match by_turns {
            true => world(postgresql::BY_TURNS)?,
            false => World::new(Core::find(None)?, postgresql::MAIN)?,
        };
        let world = world.with("NHI_PGPASSWORD", &db.password);
        let (line, bao) = (row.line("db", db.port)?, row.http("bao", &world.bao.address())?);
        let there = format!("127.0.0.1:{}", line.port);
        let hcl = postgresql::HCL.replace("127.0.0.1:5432", &there);
        world.write("nhi.hcl", &hcl.replace("http://127.0.0.1:8200", bao.address()))?;
        Ok(Box::new(Shop { world, db, row, by_turns, _proxy: bao }))
    }
}

impl Place for Shop {
    fn world(&self) -> &World {
        &self.world
    }

    fn row(&self) -> &Row {
        &self.row
    }

    fn slot(&self) -> &'static str {
        "db/postgresql_role/invoice-export/credential/default"
    }

    fn path(&self) -> &'static str {
        "apps/invoice-export"
    }

    fn overlaps(&self) -> bool {
        self.by_turns
    }

    fn lets_in(&self, document: &Value) -> Result<bool> {
        self.db.lets_in(&self.id_of(document)?, &text(document, "password"))
    }

    fn listed(&self) -> Result<Vec<String>> {
        let can = "rolcanlogin and rolpassword is not null and oid > 16383";
        self.db.by_hand(&format!("select rolname from pg_authid where {can} order by 1"))
    }

    fn id_of(&self, document: &Value) -> Result<String> {
        Ok(match self.by_turns {
            true => text(document, "user"),
            false => "invoice-export".to_owned(),
        })
    }

    fn secrets(&self) -> Vec<String> {
        vec![self.db.password.clone()]
    }
}

/// By the account of the vendor's own tools: what consumers read works and is one generation further,
/// what they read before is refused, and nothing else is there; and nothing is left to do.
fn is_at_rest(place: &dyn Place, before: &Value) -> Result<()> {
    let (world, document) = (place.world(), place.delivered()?);
    let (was, is) = (generation(before)?, generation(&document)?);
    holds(is == was + 1, "one generation further", &format!("{was} -> {is}"))?;
    holds(names(&document) == names(before), "in the same form", "")?;
    holds(!place.lets_in(before)?, "the old one is refused", "")?;
    holds(place.lets_in(&document)?, "what consumers read works", "")?;
    let (listed, one) = (place.listed()?, place.id_of(&document)?);
    holds(listed == [one.as_str()], "and is all that there is", &format!("{listed:?}, not {one}"))?;
    let said = world.nhi(&["recover"])?.expect(0)?;
    holds(said.contains("Nothing is open"), "nothing is open", &said)?;
    let pending = place.pending()?;
    holds(pending.is_empty(), "no secret is left in custody", &format!("{pending:?}"))?;
    world.nhi(&["drift"])?.expect(0).map(drop)
}

fn rotation(place: &dyn Place) -> Result<Child> {
    let mut command = place.world().nhi_command();
    command.args(["rotate", place.slot(), "--yes"]).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().map_err(|error| error.to_string())
}

/// Rotates, and kills the process at a point; false where the rotation ended without coming there.
fn killed_at(place: &dyn Place, point: &Point, at: Break) -> Result<bool> {
    let stop = place.row().begin(Some((point, at)));
    let (mut run, begun) = (rotation(place)?, Instant::now());
    let reached = loop {
        if stop.is_reached() {
            break Ok(true);
        }
        match run.try_wait().map_err(|error| error.to_string())? {
            Some(ended) if ended.success() => break Ok(false),
            Some(ended) => break Err(format!("the rotation failed by itself: {ended}")),
            None if begun.elapsed() > LONG => break Err("it came to no end".to_owned()),
            None => thread::sleep(Duration::from_millis(1)),
        }
    };
    let killed = run.kill().and_then(|()| run.wait());
    stop.release();
    place.row().begin(None);
    killed.map_err(|error| error.to_string())?;
    reached
}

/// What there is after a kill is put right by the next runs, whether somebody says that the dead one is
/// dead or not.
fn runs_again(place: &dyn Place, before: &Value, told: bool) -> Result<()> {
    let (world, slot) = (place.world(), place.slot());
    let was = generation(before)?;
    let further = || Ok::<_, String>(generation(&place.delivered()?)? > was);
    let open = || Ok::<_, String>(!world.nhi(&["recover"])?.said.contains("Nothing is open"));
    if told && open()? {
        world.nhi(&["recover", slot, "--take", "--yes"])?.expect(0)?;
    }
    // What was never begun is asked for once more; what is open is the one that was asked for.
    if !further()? {
        world.nhi(&["rotate", slot, "--yes"])?.expect(0)?;
    } else if open()? {
        // Another rotation would be one more.
        thread::sleep(SILENCE);
        world.nhi(&["recover", slot, "--yes"])?.expect(0)?;
    }
    // Whoever dies between the two has begun to keep the earlier one: its end is the next apply's.
    if place.listed()?.len() > 1 {
        let said = world.nhi(&["drift"])?.expect(5)?;
        holds(said.contains("overlap is over is not ended; apply ends it"), "told", &said)?;
        world.apply()?;
    }
    Ok(())
}

/// One point: killed there, put right, and asserted.
fn one(place: &dyn Place, point: &Point, at: Break, told: bool) -> Result<bool> {
    let before = place.delivered()?;
    let reached = killed_at(place, point, at)?;
    if reached {
        if place.overlaps() {
            let works = place.lets_in(&place.delivered()?)?;
            holds(works, "what consumers read works all the time", "")?;
        }
        runs_again(place, &before, told)?;
    }
    is_at_rest(place, &before)?;
    Ok(reached)
}

/// How a platform is walked: how many of its points in a usual run, and in how many worlds at once.
#[derive(Clone, Copy)]
struct Pace {
    share: usize,
    lanes: usize,
}

/// Which of so many points are walked, by their numbers from 1.
fn chosen(all: usize, pace: Pace) -> (String, Vec<usize>) {
    if let Ok(named) = std::env::var("NHI_TEST_POINT") {
        let numbers = named.split(',').flat_map(str::parse).collect();
        return (format!("of which {named}"), numbers);
    }
    if is_wide() {
        return ("all of them".to_owned(), (1..=all).collect());
    }
    let every = all.div_ceil(pace.share).max(1);
    let from = usize::try_from(RandomState::new().hash_one(all) % every as u64).unwrap_or(0) + 1;
    (format!("every {every}th from {from} on"), (from..=all).step_by(every).collect())
}

fn is_wide() -> bool {
    std::env::var_os("NHI_TEST_WIDE").is_some()
}

/// What came of a walk.
#[derive(Debug, Default)]
struct Tally {
    walked: usize,
    wrong: Vec<String>,
    /// What a rotation ended without.
    missed: Vec<String>,
    slowest: (Duration, usize),
}

/// A new world with everything in it.
fn begun(start: &impl Fn() -> Result<Box<dyn Place>>) -> Result<Box<dyn Place>> {
    let place = start()?;
    place.world().apply()?;
    Ok(place)
}

/// The requests of a rotation that nobody disturbs.
fn undisturbed(place: &dyn Place) -> Result<Vec<Point>> {
    let before = place.delivered()?;
    place.row().begin(None);
    place.world().nhi(&["rotate", place.slot(), "--yes"])?.expect(0)?;
    let seen = place.row().seen();
    is_at_rest(place, &before)?;
    Ok(seen)
}

/// Walks the points that nobody else of the same walk has taken, in one world; where something is wrong
/// in it, in a new one.
fn walk_in(
    mut place: Box<dyn Place>,
    start: &impl Fn() -> Result<Box<dyn Place>>,
    all: &[(&Point, Break)],
    left: &Mutex<std::vec::IntoIter<(bool, usize)>>,
    tally: &Mutex<Tally>,
) -> Result<()> {
    const ENOUGH: usize = 5;
    while let Some((told, number)) = { locked(left).next() } {
        let Some((point, at)) = all.get(number.wrapping_sub(1)) else { continue };
        let since = Instant::now();
        let done = one(&*place, point, *at, told);
        let mut tally = locked(tally);
        tally.walked += 1;
        tally.slowest = tally.slowest.max((since.elapsed(), number));
        match done {
            Ok(true) => {}
            Ok(false) => tally.missed.push(format!("{number}, {point}")),
            Err(error) => {
                let said = place.world().nhi(&["ledger", "show"]).map(|ran| ran.said);
                let said = said.unwrap_or_default();
                let from = said.lines().count().saturating_sub(LINES);
                let last = said.lines().skip(from).collect::<Vec<_>>().join("\n");
                tally.wrong.push(format!("{number}, {point}, {at:?}: {error}\n{last}"));
                if tally.wrong.len() >= ENOUGH {
                    return Ok(());
                }
                drop(tally);
                place = begun(start)?;
            }
        }
    }
    place.world().note(place.secrets())?;
    place.world().no_secret_leaked(&[STATE, LEDGER])
}

/// Walks the points of one rotation.
fn walk(name: &str, pace: Pace, start: impl Fn() -> Result<Box<dyn Place>> + Sync) {
    let first = begun(&start).and_then(|place| Ok((undisturbed(&*place)?, place)));
    let (points, first) = first.unwrap_or_else(|error| panic!("{name}, undisturbed: {error}"));
    let all: Vec<(&Point, Break)> =
        points.iter().flat_map(|point| [(point, Break::Before), (point, Break::After)]).collect();
    let (which, numbers) = chosen(all.len(), pace);
    println!("{name}: {} requests, {} points, {which}", points.len(), all.len());
    if which.starts_with("of") {
        for (number, (point, at)) in all.iter().enumerate() {
            println!("{name} {}: {point}, {at:?}", number + 1);
        }
    }
    let (since, lanes) = (Instant::now(), pace.lanes.min(numbers.len()));
    let told = |at: usize| at % UNTOLD != UNTOLD - 1;
    let numbers: Vec<_> =
        numbers.into_iter().enumerate().map(|(at, one)| (told(at), one)).collect();
    let (left, tally) = (Mutex::new(numbers.into_iter()), Mutex::new(Tally::default()));
    let ended = thread::scope(|scope| {
        let others: Vec<_> = (1..lanes)
            .map(|_| scope.spawn(|| walk_in(begun(&start)?, &start, &all, &left, &tally)))
            .collect();
        let mut ended = vec![walk_in(first, &start, &all, &left, &tally)];
        ended.extend(others.into_iter().map(|one| one.join().unwrap_or(Err("it fell".into()))));
        ended
    });
    let tally = tally.into_inner().unwrap_or_else(PoisonError::into_inner);
    let (walked, missed, slowest) = (tally.walked, &tally.missed, tally.slowest);
    println!(
        "{name}: {walked} in {:?}, {} wrong; the slowest {slowest:?}; not come to: {missed:?}",
        since.elapsed(),
        tally.wrong.len()
    );
    let wrong: Vec<String> =
        tally.wrong.iter().cloned().chain(ended.into_iter().filter_map(Result::err)).collect();
    assert!(wrong.is_empty(), "{name}: {} wrong\n{}", wrong.len(), wrong.join("\n\n"));
    // What is sent at once may come in another order, and not much is.
    assert!(missed.len() * 10 <= walked, "{name}: not come to: {missed:?}");
}

/// Where nothing is waited for.
const FAST: Pace = Pace { share: 8, lanes: 1 };

#[test]
fn whichever_request_of_a_rotation_on_openbao_is_the_last_of_its_run_the_next_puts_it_right() {
    walk("openbao", FAST, Bao::start);
}

#[test]
fn whichever_request_of_a_rotation_on_aws_is_the_last_of_its_run_the_next_puts_it_right() {
    // A rotation waits there until an ended key is sure to be refused everywhere.
    let lanes = if is_wide() { 6 } else { 4 };
    walk("aws", Pace { share: 4, lanes }, Account::start);
}

#[test]
fn whichever_request_of_a_rotation_on_a_hub_is_the_last_of_its_run_the_next_puts_it_right() {
    walk("hub", FAST, School::start);
}

#[test]
fn whichever_request_of_a_new_password_is_the_last_of_its_run_the_next_puts_it_right() {
    walk("password", FAST, || Shop::start(false));
}

#[test]
fn whichever_request_of_two_roles_by_turns_is_the_last_of_its_run_the_next_puts_it_right() {
    walk("pair", FAST, || Shop::start(true));
}
